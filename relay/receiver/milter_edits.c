/* milter_edits.c -- what an MTA has to do so that its header is ours; see milter.h.
 *
 * Both headers are read as fields, front to back, and each step leaves the MTA's list equal to the
 * new one as far as it has been read: a field is the same, has another value (CHGHEADER by name
 * and its number among those of that name), is new (INSHEADER at its place), or goes (CHGHEADER to
 * nothing). Linear; what comes out is right whatever was changed, and short when little was.
 */
#include "postern/arena.h"
#include "receiver/message.h"
#include "receiver/milter.h"
#include "table.h"

#define FIELD_MAX (300u << 10)

struct field {
	struct span name, value;	/* value: from behind the colon to before the last CRLF */
};

static size_t
fields_of(struct arena *a, struct span header, struct field **out)
{
	struct span rest = header, name, value;
	struct field *f;
	size_t n = 0, i = 0;

	while (header_next(&rest, &name, &value))
		n++;
	f = arena_array(a, n + 1, sizeof(*f));
	for (rest = header; i < n && header_next(&rest, &name, &value); i++) {
		while (value.n && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
			value.n--;
		f[i] = (struct field){ name, value };
	}
	*out = f;
	return n;
}

/* A value on its way to the MTA: LF alone folds. */
static void
put_value(struct buf *b, struct span v, bool leading_space)
{
	if (!leading_space && v.n && v.p[0] == ' ')
		v = span_from(v, 1);
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != '\r')
			buf_putc(b, v.p[i]);
	buf_putc(b, '\0');
}

/* 'i': at place `at`; 'm': number `at` of its name. */
static void
put_field(struct buf *out, struct buf *b, char type, size_t at, struct span name, struct span value,
    bool leading_space)
{
	char number[4];

	for (int i = 0; i < 4; i++)
		number[i] = (char)((uint32_t)at >> (24 - 8 * i));
	buf_reset(b);
	buf_put(b, number, 4);
	buf_span(b, name);
	buf_putc(b, '\0');
	put_value(b, value, leading_space);
	if (buf_failed(b))
		out->failed = true;
	else
		milter_put(out, type, buf_data(b));
}

static bool
same(const struct field *a, const struct field *b)
{
	return span_eq(a->name, b->name) && span_eq(a->value, b->value);
}

/* How many fields of this name stand in the part that is done. */
static size_t *
seen(struct arena *a, struct table *t, struct span name)
{
	struct span key = arena_lower(a, name);
	size_t *n = table_get(t, key);

	if (n == NULL) {
		n = arena_zalloc(a, sizeof(*n));
		table_put(t, key, n);
	}
	return n;
}

int
milter_header_edits(struct buf *out, struct span was, struct span is, bool leading_space)
{
	struct arena *a = arena_new(4096);
	struct table *t = table_new();
	struct field *old, *new;
	size_t nold = fields_of(a, was, &old), nnew = fields_of(a, is, &new), i = 0, j = 0;
	struct buf b;

	buf_init(&b, FIELD_MAX);
	while (nold && nnew && same(&old[nold - 1], &new[nnew - 1])) {
		nold--;
		nnew--;
	}
	while (i < nold || j < nnew) {
		bool both = i < nold && j < nnew;

		if (both && same(&old[i], &new[j]))
			i++;
		else if (both && span_eq_nocase(old[i].name, new[j].name) && nold - i == nnew - j) {
			put_field(out, &b, 'm', *seen(a, t, new[j].name) + 1, new[j].name,
			    new[j].value, leading_space);
			i++;
		} else if (j < nnew && nnew - j > nold - i) {
			put_field(out, &b, 'i', j, new[j].name, new[j].value, leading_space);
		} else {
			put_field(out, &b, 'm', *seen(a, t, old[i].name) + 1, old[i].name,
			    (struct span){ 0 }, leading_space);
			i++;
			continue;
		}
		++*seen(a, t, new[j++].name);
	}
	buf_release(&b);
	table_free(&t);
	arena_free(&a);
	return buf_failed(out) ? -1 : 0;
}
