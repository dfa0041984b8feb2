/* fuzz_base.c -- rows and values between the store and the role `cluster`: whatever reads must be written to
 * the same bytes again, and becomes an array of PostgreSQL without a text that it would not take.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "cluster/cluster.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_value(struct buf *b, const struct base_value *v)
{
	switch (v->type) {
	case BASE_INT:
		base_int(b, v->i);
		break;
	case BASE_TEXT:
		base_text(b, v->s);
		break;
	case BASE_BLOB:
		base_blob(b, v->s);
		break;
	case BASE_FD:
		base_fd(b, (uint64_t)v->i);
		break;
	default:
		base_null(b);
	}
}

static void
check_clean(struct span s, struct arena *a)
{
	struct span t = text_clean(s, a);
	uint32_t cp;
	size_t n;

	for (size_t i = 0; i < t.n; i += n)
		if (t.p[i] == '\0' || (n = utf8_next(t.p + i, t.n - i, &cp)) == 0)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct base_reader r = { span_make((const char *)data, size) };
	struct base_value v[BASE_COLUMNS_MAX];
	struct arena *a = arena_new(0);
	struct array list;
	enum base_table t;
	struct buf b;
	int x;

	buf_init(&b, 16u << 20);
	array_begin(&list);
	while ((x = base_row_next(&r, &t, v)) == 1) {
		base_row_begin(&b, t);
		for (size_t i = 0; i < base_columns(t); i++) {
			write_value(&b, &v[i]);
			array_value(&list, &v[i]);
			if (v[i].type == BASE_TEXT)
				check_clean(v[i].s, a);
		}
	}
	if (x == 0 && !span_eq(buf_data(&b), span_make((const char *)data, size)))
		abort();
	if (array_end(&list, PG_TEXT).n < 12)
		abort();
	buf_release(&list.b);
	buf_release(&b);
	arena_free(&a);
	return 0;
}
