/* edit_subject.c -- what is blackened in the subject of a message.
 *
 * The subject is taken as people read it: unfolded, its encoded words decoded (RFC 2047). Matches
 * are places in the field as written; a character of the text belongs to a match when it comes from within.
 * Of words too many or too long to be mapped letter by letter (header.c) all goes. The whole field is then written anew, as
 * one range (edit_headers.c), for the letters of an encoded word are not bytes of their own.
 *
 * Other header fields stay: they are addresses, ids and routes, and a server behind us would read
 * what is left of them as something else.
 */
#include <stdlib.h>

#include "buf.h"
#include "edits.h"
#include "utf8.h"

#define SUBJECT_MAX ((size_t)8 << 10)	/* of text; a mark is three bytes, an encoded word a third more */
#define MARK "\xe2\x96\x88"		/* U+2588, as in texts */

/* The subject of the message that a surface is made from; NULL: it is another field, or of an
 * attached message. */
static const struct header *
subject_of(const struct anatomy *an, const struct surface *s, uint32_t at)
{
	const struct part *root = &an->parts[0];

	if (s->part != 0 || !(s->where & (WHERE_SUBJECT | WHERE_HEADER)))
		return NULL;
	for (size_t i = 0; i < root->nheaders; i++) {
		const struct header *h = &root->headers[i];

		if (span_is_nocase(h->name, "Subject") && at >= h->offset && at < h->offset + h->size)
			return h;
	}
	return NULL;
}

const char *
subject_redaction(const struct anatomy *an, const struct surface *s, struct place place,
    struct subject_redaction *out)
{
	const struct header *h = subject_of(an, s, place.from);

	if (h == NULL)
		return "stands in a header field";
	if (s->text->s.n > SUBJECT_MAX)
		return "the subject is too long";
	out->header = h;
	out->text = s->text;
	out->from = (uint32_t)text_offset(s->text, place.from);
	out->to = (uint32_t)text_offset(s->text, place.to);
	return NULL;
}

static int
by_place(const void *a, const void *b)
{
	const struct subject_redaction *x = a, *y = b;

	return x->from != y->from ? x->from < y->from ? -1 : 1 : (x->to < y->to) - (x->to > y->to);
}

/* A mark for each character but white space, or the words that stand for all. */
static void
put_black(struct buf *b, struct span s, struct span with)
{
	if (with.n) {
		buf_span(b, with);
		return;
	}
	for (size_t i = 0; i < s.n;) {
		uint32_t c;
		size_t n = utf8_next(s.p + i, s.n - i, &c);

		if (n && (c == ' ' || c == '\t'))
			buf_putc(b, ' ');
		else
			buf_puts(b, MARK);
		i += n ? n : 1;
	}
}

bool
subject_blackened(struct edits *x, const struct header *h, const struct rule *const *rules, size_t nrules,
    struct span *value, struct span *who)
{
	struct arena *a = x->e->arena;
	struct subject_redaction *v;
	size_t n = 0, at = 0;
	struct span s;
	struct buf b;

	for (size_t i = 0; i < nrules; i++)
		n += edit_plan(x->e, rules[i])->nsubjects;
	if (n == 0)
		return false;
	v = arena_array(a, n, sizeof(*v));
	n = 0;
	for (size_t i = 0; i < nrules; i++) {
		const struct edit_plan *p = edit_plan(x->e, rules[i]);
		bool any = false;

		for (size_t k = 0; k < p->nsubjects; k++)
			if (p->subjects[k].header == h) {
				v[n++] = p->subjects[k];
				any = true;
			}
		if (any)
			*who = text_join(a, *who, ",", rules[i]->id);
	}
	if (n == 0)
		return false;
	qsort(v, n, sizeof(*v), by_place);
	s = v[0].text->s;
	buf_init(&b, 64u << 10);
	for (size_t i = 0; i < n;) {
		size_t from = v[i].from > at ? v[i].from : at, to = v[i].to, k = i + 1;

		while (k < n && v[k].from < to) {
			if (v[k].to > to)
				to = v[k].to;
			k++;
		}
		buf_span(&b, span_sub(s, at, from - at));
		if (to > from)
			put_black(&b, span_sub(s, from, to - from), v[i].with);
		at = to > at ? to : at;
		i = k;
	}
	buf_span(&b, span_from(s, at));
	ASSERT(!buf_failed(&b));
	*value = span_trim(arena_span(a, buf_data(&b)));
	buf_release(&b);
	return true;
}
