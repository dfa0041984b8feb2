/* values.c -- values on their way to PostgreSQL, in its binary formats; see cluster.h.
 *
 * An array: dimensions, whether there are NULLs, the type of its elements, their number, the first one's
 * index; then each behind its length, -1 for NULL. All big-endian (src/backend/utils/adt/arrayfuncs.c).
 */
#include "cluster/cluster.h"
#include "utf8.h"

#define ARRAY_HEAD 20

static void
put_be(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (24 - 8 * i));
}

void
array_begin(struct array *a)
{
	static const char head[ARRAY_HEAD];

	*a = (struct array){ 0 };
	buf_init(&a->b, 512u << 20);
	buf_put(&a->b, head, sizeof(head));
}

void
array_value(struct array *a, const struct base_value *v)
{
	char raw[12];

	a->n++;
	switch (v->type) {
	case BASE_INT:
		put_be(raw, 8);
		put_be(raw + 4, (uint32_t)((uint64_t)v->i >> 32));
		put_be(raw + 8, (uint32_t)v->i);
		buf_put(&a->b, raw, 12);
		break;
	case BASE_TEXT:
	case BASE_BLOB:
		put_be(raw, (uint32_t)v->s.n);
		buf_put(&a->b, raw, 4);
		buf_span(&a->b, v->s);
		break;
	default:
		put_be(raw, UINT32_MAX);
		buf_put(&a->b, raw, 4);
		a->nulls = true;
	}
}

struct span
array_end(struct array *a, Oid element)
{
	char *p = a->b.p + a->b.head;

	put_be(p, a->n ? 1 : 0);
	put_be(p + 4, a->nulls);
	put_be(p + 8, element);
	put_be(p + 12, a->n);
	put_be(p + 16, 1);
	/* of an empty one there is no dimension to speak of */
	return span_sub(buf_data(&a->b), 0, a->n ? SIZE_MAX : 12);
}

static size_t
clean_bytes(struct span s)
{
	uint32_t cp;
	size_t i = 0, n;

	while (i < s.n && s.p[i] && (n = utf8_next(s.p + i, s.n - i, &cp)) > 0)
		i += n;
	return i;
}

struct span
text_clean(struct span s, struct arena *a)
{
	size_t good = clean_bytes(s), n = 0, len;
	uint32_t cp;
	char *out;

	if (good == s.n)
		return s;
	out = arena_alloc(a, 3 * s.n);
	for (size_t i = 0; i < s.n; i += len) {
		len = s.p[i] ? utf8_next(s.p + i, s.n - i, &cp) : 0;
		if (len) {
			memcpy(out + n, s.p + i, len);
			n += len;
		} else {
			memcpy(out + n, "\xef\xbf\xbd", 3);
			n += 3;
			len = 1;
		}
	}
	return span_make(out, n);
}
