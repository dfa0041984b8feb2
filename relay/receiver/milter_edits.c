/* milter_edits.c -- what an MTA has to do so that its header is ours; see milter.h.
 *
 * Both headers are read as fields, back to front, for what we add stands on top: a field is the same,
 * has another value, went, or is new. MTAs number fields differently once any was touched (Postfix counts
 * one that was inserted, Sendmail does not; Sendmail has its own Received field in the list, Postfix
 * hides it), so nothing said here depends on what was said before it:
 *
 *   - changes and removals first (CHGHEADER by name and number among the fields of that name), the
 *     last one first: their numbers are those of the header the MTA gave us;
 *   - then what stands on top, each inserted at place 0, the last one first;
 *   - then, rarely, what is new further down, at its place in the new header.
 *
 * Linear; what comes out is right whatever was changed, and short when little was.
 */
#include "postern/arena.h"
#include "receiver/message.h"
#include "receiver/milter.h"
#include "table.h"

#define FIELD_MAX (300u << 10)

struct field {
	struct span name, value;	/* value: from behind the colon to before the last CRLF */
	size_t number;		/* among those of its name, from 1 on */
	uint32_t *mine, *other;	/* how many like it this header and the other one have, of what is not yet done */
	bool new;		/* of ours: to be inserted */
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

/* A count by name, or by the whole field. */
static uint32_t *
counted(struct arena *a, struct table *t, struct span key)
{
	uint32_t *n = table_get(t, key);

	if (n == NULL) {
		n = arena_zalloc(a, sizeof(*n));
		table_put(t, key, n);
	}
	return n;
}

static struct span
whole(struct arena *a, const struct field *f)
{
	return span_str(arena_printf(a, SPAN_FMT ":" SPAN_FMT, SPAN_ARG(f->name), SPAN_ARG(f->value)));
}

static void
count(struct arena *a, struct field *f, size_t n, struct table *here, struct table *there)
{
	for (size_t i = 0; i < n; i++) {
		struct span w = whole(a, &f[i]);

		f[i].mine = counted(a, here, w);
		f[i].other = counted(a, there, w);
		++*f[i].mine;
	}
}

static void
number(struct arena *a, struct field *f, size_t n)
{
	struct table *names = table_new();

	for (size_t i = 0; i < n; i++)
		f[i].number = ++*counted(a, names, arena_lower(a, f[i].name));
	table_free(&names);
}

enum step { STAYS, CHANGES, GOES, COMES };

/* Of the last field of each header that is not done; NULL: there is none. */
static enum step
step_of(const struct field *o, const struct field *n)
{
	if (n == NULL)
		return GOES;
	if (o == NULL)
		return COMES;
	if (same(o, n))
		return STAYS;
	if (*o->other == 0 && *n->other == 0 && span_eq_nocase(o->name, n->name))
		return CHANGES;
	return *o->other == 0 || *n->other ? GOES : COMES;
}

int
milter_header_edits(struct buf *out, struct span was, struct span is, bool leading_space)
{
	struct arena *a = arena_new(4096);
	struct table *theirs = table_new(), *ours = table_new();
	struct field *old, *new;
	size_t nold = fields_of(a, was, &old), nnew = fields_of(a, is, &new), i = nold, j = nnew, top = 0;
	struct buf b;

	buf_init(&b, FIELD_MAX);
	number(a, old, nold);
	count(a, old, nold, theirs, ours);
	count(a, new, nnew, ours, theirs);
	while (i || j) {
		struct field *o = i ? &old[i - 1] : NULL, *n = j ? &new[j - 1] : NULL;
		enum step step = step_of(o, n);

		if (step == CHANGES)
			put_field(out, &b, 'm', o->number, n->name, n->value, leading_space);
		else if (step == GOES)
			put_field(out, &b, 'm', o->number, o->name, (struct span){ 0 }, leading_space);
		else if (step == COMES)
			n->new = true;
		if (step != COMES) {
			--*o->mine;
			i--;
		}
		if (step != GOES) {
			--*n->mine;
			j--;
		}
	}
	while (top < nnew && new[top].new)
		top++;
	for (j = top; j-- > 0;)
		put_field(out, &b, 'i', 0, new[j].name, new[j].value, leading_space);
	for (j = top; j < nnew; j++)
		if (new[j].new)
			put_field(out, &b, 'i', j, new[j].name, new[j].value, leading_space);
	buf_release(&b);
	table_free(&theirs);
	table_free(&ours);
	arena_free(&a);
	return buf_failed(out) ? -1 : 0;
}
