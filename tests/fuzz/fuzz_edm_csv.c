/* fuzz_edm_csv.c -- any bytes as an export, however they arrive, and as its description. */
#include "buf.h"
#include "conf.h"
#include "edm/edm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	const uint8_t *p;
	size_t n, at, piece;
};

static ssize_t
give(void *ctx, char *p, size_t n)
{
	struct source *s = ctx;

	if (n > s->piece)
		n = s->piece;
	if (n > s->n - s->at)
		n = s->n - s->at;
	if (n)
		memcpy(p, s->p + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

static void
read_all(const uint8_t *data, size_t size, size_t piece, struct buf *out)
{
	struct source s = { data, size, 0, piece };
	struct err err = { 0 };
	uint64_t line = 0;
	struct csv c;
	int got;

	csv_init(&c, give, &s, 0);
	while ((got = csv_next(&c, &err)) == 1) {
		ASSERT(c.nfields > 0 && c.nfields <= CSV_FIELDS_MAX && c.line > line);
		line = c.line;
		buf_printf(out, "%llu", (unsigned long long)line);
		for (size_t i = 0; i < c.nfields; i++) {
			buf_putc(out, '\1');
			buf_span(out, c.fields[i]);
		}
		buf_putc(out, '\2');
	}
	ASSERT(got == 0 || err.text[0]);
	buf_puts(out, err.text);
	csv_release(&c);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct edm_description d = { .n = 0 };
	struct diags diags;
	struct buf one, other;

	buf_init(&one, 64u << 20);
	buf_init(&other, 64u << 20);
	read_all(data, size, SIZE_MAX, &one);
	read_all(data, size, 3, &other);
	ASSERT(span_eq(buf_data(&one), buf_data(&other)));
	buf_release(&one);
	buf_release(&other);
	diags_init(&diags, a);
	edm_description_read("x", span_make((const char *)data, size), &diags, &d);
	ASSERT(d.n <= EXACT_COLUMNS);
	for (size_t i = 0; i < d.n; i++)
		ASSERT(d.columns[i].name[0] && d.columns[i].type < EXACT_TYPE_COUNT);
	arena_free(&a);
	return 0;
}
