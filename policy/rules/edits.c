/* edits.c -- what rules change in a message, as byte ranges of the message as
 * received: in the order strip_attachment, redact, append_text, headers, subject.
 *
 * The order is one of precedence: nothing is blackened in, or appended to, a
 * part that goes. Changes of one part's text by several rules are worked out
 * together (edit_text.c), so ranges never overlap and each is the work of all who
 * asked. Recipients for whom the same rules hold share one set of edits.
 *
 * A file that goes takes its Content- fields with it and leaves a text/plain part
 * in its place, so the structure around it stands. Where the message itself is
 * the file, only those fields of its header change.
 */
#include <stdlib.h>

#include "buf.h"
#include "edits.h"

bool
effects_edit(const struct effects *t)
{
	return t->nadd || t->remove.n || t->prefix.n || t->strip || t->redact || t->append ||
	    t->clean_override;
}

void
edit_push(struct edits *x, struct edit one)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? x->cap * 2 : 8;

		x->v = arena_grow(x->e->arena, x->v, x->cap * sizeof(*x->v), cap * sizeof(*x->v));
		x->cap = cap;
	}
	x->v[x->n++] = one;
}

/* --- files that go --------------------------------------------------------------------------- */

struct gone {			/* one file, and who wants it away */
	uint16_t part;
	const struct rule *rule;	/* whose notice it is: the first by id */
	struct span rules;
};

static bool
is_content(struct span name)
{
	return span_starts_nocase(name, SPAN_LIT("content-"));
}

/* LF to the message's own line end, and encoded; the name of the encoding. */
static const char *
encoded_text(struct edits *x, struct span text, struct span *out)
{
	struct buf b;
	bool base64;

	buf_init(&b, EDIT_BYTES);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\n')
			buf_puts(&b, x->eol);
		else
			buf_putc(&b, text.p[i]);
	*out = transfer_encode(x->e->arena, buf_data(&b), x->eol, &base64);
	buf_release(&b);
	return base64 ? "base64" : "quoted-printable";
}

/* A message's own part: its other fields stay. */
static void
strip_message(struct edits *x, const struct part *p, struct span fields, struct span body,
    struct edit like)
{
	bool put = false;

	for (size_t i = 0; i < p->nheaders; i++) {
		const struct header *h = &p->headers[i];

		if (!is_content(h->name))
			continue;
		like.offset = h->offset;
		like.size = h->size;
		like.with = put ? (struct span){ 0 } : fields;
		put = true;
		edit_push(x, like);
	}
	if (!put) {
		like.offset = p->header_offset;
		like.size = 0;
		like.with = fields;
		edit_push(x, like);
	}
	like.offset = p->body_offset;
	like.size = p->body_size;
	like.with = body;
	edit_push(x, like);
}

static void
strip_one(struct edits *x, const struct gone *g)
{
	const struct anatomy *an = x->e->an;
	const struct part *p = &an->parts[g->part];
	bool top = p->parent == PART_NONE || an->parts[p->parent].type == TYPE_MESSAGE;
	struct edit like = { .part = p->number, .rule = g->rules, .action = "strip_attachment" };
	bool version = p->parent == PART_NONE && !root_has(an, "MIME-Version");
	size_t end = p->body_offset + p->body_size;
	struct span fields, body;
	const char *encoding = encoded_text(x, strip_notice(x->e, g->rule, g->part), &body);

	fields = span_str(arena_printf(x->e->arena, "%s%sContent-Type: text/plain; charset=utf-8%s"
	    "Content-Transfer-Encoding: %s%sContent-Disposition: inline%s",
	    version ? "MIME-Version: 1.0" : "", version ? x->eol : "", x->eol, encoding, x->eol,
	    x->eol));
	/* the line end before a boundary is the boundary's */
	if (end < an->raw.n && (an->raw.p[end] == '\r' || an->raw.p[end] == '\n') &&
	    body.n >= strlen(x->eol))
		body.n -= strlen(x->eol);
	if (top) {
		strip_message(x, p, fields, body, like);
		return;
	}
	like.offset = p->header_offset;
	like.size = end - p->header_offset;
	like.with = text_join(x->e->arena, fields, x->eol, body);
	edit_push(x, like);
}

static int
gone_order(const void *a, const void *b)
{
	const struct gone *x = a, *y = b;

	return x->part != y->part ? (x->part > y->part) - (x->part < y->part) :
	    x->rule < y->rule ? -1 : x->rule > y->rule;
}

/* All files that go, each once, none within another. */
static size_t
gone_all(struct eval *e, const struct rule *const *rules, size_t nrules, struct gone **out)
{
	size_t n = 0, kept = 0;
	struct gone *v;

	for (size_t i = 0; i < nrules; i++)
		n += edit_plan(e, rules[i])->nstrips;
	v = arena_array(e->arena, n + 1, sizeof(*v));
	n = 0;
	for (size_t i = 0; i < nrules; i++) {
		const struct edit_plan *plan = edit_plan(e, rules[i]);

		for (size_t k = 0; k < plan->nstrips; k++)
			v[n++] = (struct gone){ plan->strips[k], rules[i], rules[i]->id };
	}
	if (n)
		qsort(v, n, sizeof(*v), gone_order);
	for (size_t i = 0; i < n; i++) {
		struct gone *last = kept ? &v[kept - 1] : NULL;

		if (last && last->part == v[i].part)
			last->rules = text_join(e->arena, last->rules, ",", v[i].rules);
		else if (!last || !part_within(e->an, v[i].part, last->part))
			v[kept++] = v[i];
	}
	*out = v;
	return kept;
}

/* --- texts -------------------------------------------------------------------------------------- */

static int
redaction_order(const void *a, const void *b)
{
	const struct redaction *x = a, *y = b;

	if (x->part != y->part)
		return x->part < y->part ? -1 : 1;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (x->to < y->to) - (x->to > y->to);
}

static int
append_order(const void *a, const void *b)
{
	const struct append *x = a, *y = b;
	size_t n = x->rule.n < y->rule.n ? x->rule.n : y->rule.n;
	int r = memcmp(x->rule.p, y->rule.p, n);

	if (x->part != y->part)
		return x->part < y->part ? -1 : 1;
	return r ? r : (x->rule.n > y->rule.n) - (x->rule.n < y->rule.n);
}

static bool
is_gone(const struct eval *e, size_t part, const struct gone *gone, size_t ngone)
{
	for (size_t i = 0; i < ngone; i++)
		if (part_within(e->an, part, gone[i].part))
			return true;
	return false;
}

/* A part of its own before the first of a multipart that has no text. */
static void
append_part(struct edits *x, const struct append *ap)
{
	const struct part *p = &x->e->an->parts[ap->part];
	struct span boundary = x->e->an->parts[p->parent].boundary, body;
	const char *encoding = encoded_text(x, ap->text, &body);
	struct buf b;

	buf_init(&b, EDIT_BYTES);
	buf_printf(&b, "Content-Type: text/plain; charset=utf-8%sContent-Transfer-Encoding: %s%s%s",
	    x->eol, encoding, x->eol, x->eol);
	buf_span(&b, body);
	buf_puts(&b, x->eol);
	buf_puts(&b, "--");
	buf_span(&b, boundary);
	buf_puts(&b, x->eol);
	edit_push(x, (struct edit){ .offset = p->header_offset, .rule = ap->rule, .part = p->number,
	    .with = arena_span(x->e->arena, buf_data(&b)), .action = "append_text" });
	buf_release(&b);
}

static void
texts(struct edits *x, const struct rule *const *rules, size_t nrules, const struct gone *gone,
    size_t ngone)
{
	struct eval *e = x->e;
	size_t nr = 0, na = 0;
	struct redaction *r;
	struct append *ap;

	for (size_t i = 0; i < nrules; i++) {
		nr += edit_plan(e, rules[i])->nredactions;
		na += edit_plan(e, rules[i])->nappends;
	}
	if (nr + na == 0)
		return;
	r = arena_array(e->arena, nr + 1, sizeof(*r));
	ap = arena_array(e->arena, na + 1, sizeof(*ap));
	nr = na = 0;
	for (size_t i = 0; i < nrules; i++) {
		const struct edit_plan *p = edit_plan(e, rules[i]);

		for (size_t k = 0; k < p->nredactions; k++)
			r[nr++] = p->redactions[k];
		for (size_t k = 0; k < p->nappends; k++) {
			bool had = false;	/* the same words by two rules */

			for (size_t s = 0; s < na && !had; s++)
				had = ap[s].part == p->appends[k].part &&
				    span_eq(ap[s].text, p->appends[k].text);
			if (!had)
				ap[na++] = p->appends[k];
		}
	}
	qsort(r, nr, sizeof(*r), redaction_order);
	qsort(ap, na, sizeof(*ap), append_order);
	for (size_t i = 0, k = 0; i < nr || k < na;) {
		size_t part = i < nr && (k == na || r[i].part <= ap[k].part) ? r[i].part : ap[k].part;
		size_t i2 = i, k2 = k, own;

		while (i2 < nr && r[i2].part == part)
			i2++;
		for (; k2 < na && ap[k2].part == part; k2++)
			;
		for (own = k; own < k2 && ap[own].how != APPEND_PART; own++)
			;
		for (size_t s = own; s < k2; s++)
			if (!is_gone(e, x->e->an->parts[part].parent, gone, ngone))
				append_part(x, &ap[s]);
		if (i2 - i + own - k && !is_gone(e, part, gone, ngone))
			edit_text(x, part, r + i, i2 - i, ap + k, own - k);
		i = i2;
		k = k2;
	}
}

/* --- all together ----------------------------------------------------------------------------------- */

/* By place; what is put in at one place keeps its order and stands before what is replaced there. */
static int
edit_order(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	if (x->offset != y->offset)
		return x->offset < y->offset ? -1 : 1;
	if ((x->size > 0) != (y->size > 0))
		return x->size > 0 ? 1 : -1;
	return x->order < y->order ? -1 : 1;
}

/* On top of a message that begins with its body, fields need the empty line they never had. */
static void
close_header(struct edits *x, size_t top)
{
	struct span raw = x->e->an->raw;

	if (top == 0 || x->e->an->header_end > 0 || raw.n == 0 || raw.p[0] == '\r' ||
	    raw.p[0] == '\n')
		return;
	x->v[top - 1].with = text_join(x->e->arena, x->v[top - 1].with, x->eol, (struct span){ 0 });
}

/* Too many for a verdict: those near each other become one, ever farther, with what stands
 * between them. */
static void
coalesce(struct edits *x, size_t top)
{
	for (uint64_t gap = 64; x->n - top > EDITS_MAX; gap *= 8) {
		size_t n = top;

		for (size_t i = top; i < x->n;) {
			struct edit one = x->v[i];
			uint64_t end = one.offset + one.size;
			size_t k = i + 1;
			struct buf b;

			while (k < x->n && x->v[k].offset - end <= gap) {
				end = x->v[k].offset + x->v[k].size;
				k++;
			}
			if (k > i + 1) {
				uint64_t at = one.offset;

				buf_init(&b, EDIT_BYTES);
				for (size_t s = i; s < k; s++) {
					buf_span(&b, span_sub(x->e->an->raw, at, x->v[s].offset - at));
					buf_span(&b, x->v[s].with);
					at = x->v[s].offset + x->v[s].size;
				}
				one.with = arena_span(x->e->arena, buf_data(&b));
				one.size = end - one.offset;
				one.opaque = true;
				buf_release(&b);
			}
			x->v[n++] = one;
			i = k;
		}
		x->n = n;
	}
}

struct edit *
edits_build(struct eval *e, const struct rule *const *rules, size_t nrules, size_t *n)
{
	size_t line = span_find(e->an->raw, '\n'), top;
	struct edits x = { .e = e };
	struct gone *gone;
	size_t ngone;

	x.eol = line < e->an->raw.n && (line == 0 || e->an->raw.p[line - 1] != '\r') ? "\n" : "\r\n";
	edit_headers(&x, rules, nrules, &top);
	close_header(&x, top);
	ngone = gone_all(e, rules, nrules, &gone);
	for (size_t i = 0; i < ngone; i++)
		strip_one(&x, &gone[i]);
	texts(&x, rules, nrules, gone, ngone);
	for (size_t i = 0; i < x.n; i++)
		x.v[i].order = (uint32_t)i;
	/* the fields on top keep their order: only what follows is sorted */
	if (x.n > top)
		qsort(x.v + top, x.n - top, sizeof(*x.v), edit_order);
	coalesce(&x, top);
	for (size_t i = 1; i < x.n; i++)
		ASSERT(x.v[i].offset >= x.v[i - 1].offset + x.v[i - 1].size);
	*n = x.n;
	return x.v;
}
