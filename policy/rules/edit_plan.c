/* edit_plan.c -- what one rule asks of a message, and what it cannot have.
 *
 * A signed or encrypted part is never altered: not a byte of what a
 * multipart/signed covers, of S/MIME, or of a text that PGP has signed or
 * encrypted within. Nor is what lies in a container that had to be decoded to be
 * seen, and what the message shows only in part. The edit is refused and
 * recorded with its reason; the rule's outcome stays, unless its on_fail says more.
 *
 * A file within another (an archive, an encoded message) goes with the outermost
 * one that stands in the message.
 */
#include "anatomy/charset.h"
#include "buf.h"
#include "edits.h"

#define QUOTED_MAX ((size_t)1 << 20)	/* of a text looked through for its own appendix */

/* --- what may not be touched ------------------------------------------------------------ */

bool
part_within(const struct anatomy *an, size_t i, size_t of)
{
	while (i != of && an->parts[i].parent != PART_NONE && i > of)
		i = an->parts[i].parent;
	return i == of;
}

static bool
is_pgp_text(const struct part *p)
{
	static const char mark[] = "-----BEGIN PGP ";
	const char *q = p->decoded.p, *end = q + p->decoded.n;

	if (p->text.s.p == NULL)
		return false;
	while (q && (q = memmem(q, (size_t)(end - q), mark, sizeof(mark) - 1)) != NULL) {
		struct span rest = span_make(q + sizeof(mark) - 1, (size_t)(end - q) - sizeof(mark) + 1);

		if ((q == p->decoded.p || q[-1] == '\n') && (span_starts(rest, SPAN_LIT("MESSAGE")) ||
		    span_starts(rest, SPAN_LIT("SIGNED MESSAGE"))))
			return true;
		q++;
	}
	return false;
}

const char *
part_sealed(const struct anatomy *an, size_t i)
{
	if (is_pgp_text(&an->parts[i]))
		return "signed or encrypted with PGP";
	for (size_t k = i; k != PART_NONE; k = an->parts[k].parent) {
		struct span type = an->parts[k].declared;

		if (span_is(type, "multipart/signed"))
			return "signed";
		if (span_is(type, "multipart/encrypted"))
			return "encrypted";
		if (span_is(type, "application/pkcs7-mime") ||
		    span_is(type, "application/x-pkcs7-mime"))
			return "signed or encrypted with S/MIME";
	}
	return NULL;
}

/* What stands in the message as it is: multiparts and attached messages that are not encoded. */
static bool
is_plain_container(const struct part *p)
{
	return (p->type == TYPE_MULTIPART || p->type == TYPE_MESSAGE) &&
	    encoding_from_name(p->encoding) == ENCODING_IDENTITY;
}

uint16_t
part_container(const struct anatomy *an, size_t i)
{
	uint16_t found = PART_NONE;

	for (uint16_t k = an->parts[i].parent; k != PART_NONE; k = an->parts[k].parent)
		if (!is_plain_container(&an->parts[k]))
			found = k;
	return found;
}

/* Of a file within a file, of an encoded message, of another reading of a part: what stands in the
 * message itself. */
static uint16_t
outermost(const struct anatomy *an, uint16_t i)
{
	uint16_t container;

	while (an->parts[i].reading || an->parts[i].unpacked)
		i = an->parts[i].parent;
	container = part_container(an, i);
	return container != PART_NONE ? container : i;
}

static size_t
count_field(const struct part *p, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < p->nheaders; i++)
		n += span_is_nocase(p->headers[i].name, name);
	return n;
}

/* An empty line, or nothing at all, stands before the body. */
static bool
has_body(const struct anatomy *an, const struct part *p)
{
	struct span head = span_sub(an->raw, 0, p->body_offset);

	if (head.n == 0 || head.p[head.n - 1] != '\n')
		return false;
	head.n--;
	if (head.n && head.p[head.n - 1] == '\r')
		head.n--;
	return head.n <= p->header_offset || head.p[head.n - 1] == '\n';
}

/* Two or four bytes a letter, and no transfer encoding that could carry them: whatever was put in
 * would break the message (RFC 2045, 2.7). */
static bool
is_wide_and_bare(struct arena *a, const struct part *p)
{
	const struct span star = SPAN_LIT("*");
	struct span out;

	return encoding_from_name(p->encoding) == ENCODING_IDENTITY && p->charset.n &&
	    charset_encode(a, charset_used(p->charset, p->decoded), star, &out) && !span_eq(out, star);
}

/* What is seen is what stands there, in a character set; not what was got out of a document. */
static bool
is_text(enum part_type t)
{
	return part_type_class(t) == CLASS_TEXT || part_type_class(t) == CLASS_SCRIPT || t == TYPE_SVG;
}

/* Why the text of a part cannot be changed, or NULL. */
static const char *
text_refused(struct arena *a, const struct anatomy *an, size_t i)
{
	const struct part *p = &an->parts[i];
	const char *why = part_sealed(an, i);

	if (why)
		return why;
	if (p->unpacked)
		return "lies within a file";
	if (p->text.s.p && part_type_class(p->type) == CLASS_DOCUMENT)
		return "a document cannot be blackened";
	if (p->text.s.p == NULL || !is_text(p->type))
		return "no text part";
	if (p->reading)
		return "mail programs read it differently";
	if (part_container(an, i) != PART_NONE)
		return "lies within another file";
	if (p->defects & DEFECT_ENCODING_UNKNOWN)
		return "its transfer encoding is unknown";
	if (is_wide_and_bare(a, p))
		return "its character set does not fit its transfer encoding";
	if (p->defects & DEFECT_TOO_LARGE)
		return "only part of it could be read";
	if (count_field(p, "Content-Type") > 1 || count_field(p, "Content-Transfer-Encoding") > 1)
		return "its type or encoding stands twice";
	if (!has_body(an, p) || (p->parent == PART_NONE && p->nheaders == 0))
		return "the message has no header";
	return NULL;
}

/* --- making a plan ----------------------------------------------------------------------------- */

struct planner {
	uint16_t asked;		/* the part asked about last: */
	const char *answer;	/* why its text cannot be changed */
	struct eval *e;
	const struct rule *r;
	struct edit_plan *plan;
	size_t cap_strips, cap_redactions, cap_subjects, cap_refused;
};

#define GROW(pl, v, n, cap) do { \
	if ((n) == (cap)) { \
		size_t grown = (cap) ? (cap) * 2 : 8; \
		(v) = arena_grow((pl)->e->arena, (v), (cap) * sizeof(*(v)), grown * sizeof(*(v))); \
		(cap) = grown; \
	} \
} while (0)

static void
refuse(struct planner *pl, struct span part, const char *action, const char *why)
{
	struct edit_plan *p = pl->plan;

	for (size_t i = 0; i < p->nrefused; i++)
		if (span_eq(p->refused[i].part, part) && p->refused[i].action == action &&
		    p->refused[i].why == why)
			return;
	GROW(pl, p->refused, p->nrefused, pl->cap_refused);
	p->refused[p->nrefused++] = (struct refused_edit){ pl->r->id, part, action, why };
}

static void
strip(struct planner *pl, uint16_t found)
{
	const struct anatomy *an = pl->e->an;
	struct edit_plan *p = pl->plan;
	uint16_t i = outermost(an, found);
	const struct part *part = &an->parts[i];
	const char *why = part_sealed(an, i);

	if (!why && part->parent == PART_NONE && (part->nheaders == 0 || !has_body(an, part)))
		why = "the message has no header";
	if (!why && part->type == TYPE_MULTIPART && part->parent == PART_NONE)
		why = an->parts[found].reading ? "mail programs read it differently" :
		    "the whole message is encoded";
	if (why) {
		refuse(pl, part->number, "strip_attachment", why);
		return;
	}
	for (size_t k = 0; k < p->nstrips; k++)
		if (p->strips[k] == i)
			return;
	GROW(pl, p->strips, p->nstrips, pl->cap_strips);
	p->strips[p->nstrips++] = i;
}

static void
plan_strip(struct planner *pl)
{
	const struct strip_ask *ask = pl->r->then.strip;
	const struct file_cond *f = ask->file ? ask->file : pl->r->file_atom >= 0 ?
	    pl->e->p->atoms[pl->r->file_atom].file : NULL;

	for (size_t i = 0; f && i < pl->e->an->nparts; i++) {
		const struct part *part = &pl->e->an->parts[i];

		/* Where the budget is gone nothing proves that a file may stay. */
		if (eval_file(f, part, &pl->e->steps) || (pl->e->steps == 0 && part->attachment &&
		    part->type != TYPE_MULTIPART))
			strip(pl, (uint16_t)i);
	}
}

/* --- redact ---------------------------------------------------------------------------------------- */

static void
redact_subject(struct planner *pl, const struct surface *s, const struct match *m)
{
	struct edit_plan *p = pl->plan;
	struct subject_redaction one = { .with = pl->r->then.redact->evidence ? m->masked :
		pl->r->then.redact->with };
	const char *why = subject_redaction(pl->e->an, s, m->place, &one);

	if (why) {
		refuse(pl, pl->e->an->parts[s->part].number, "redact", why);
		return;
	}
	GROW(pl, p->subjects, p->nsubjects, pl->cap_subjects);
	p->subjects[p->nsubjects++] = one;
}

static void
redact_match(struct planner *pl, const struct match *m)
{
	const struct anatomy *an = pl->e->an;
	const struct surface *s = &an->surfaces[m->surface];
	const struct part *part = &an->parts[s->part];
	struct edit_plan *p = pl->plan;

	if (s->text != &part->text && s->text != &part->hidden) {
		if (s->where == WHERE_SUBJECT || s->where == WHERE_HEADER)
			redact_subject(pl, s, m);
		else
			refuse(pl, part->number, "redact", s->origin.n ? "stands apart from the text" :
			    "no text part");
		return;
	}
	if (pl->asked != s->part) {
		pl->asked = s->part;
		pl->answer = part->type == TYPE_MULTIPART ? "stands around the parts" :
		    text_refused(pl->e->arena, an, s->part);
	}
	if (pl->answer) {
		refuse(pl, part->number, "redact", pl->answer);
		return;
	}
	GROW(pl, p->redactions, p->nredactions, pl->cap_redactions);
	p->redactions[p->nredactions++] = (struct redaction){ s->part, m->place.from,
		m->place.to < part->decoded.n ? m->place.to : (uint32_t)part->decoded.n,
		pl->r->then.redact->evidence ? m->masked : pl->r->then.redact->with, pl->r->id };
}

static void
redact_detector(struct planner *pl, uint32_t detector, enum confidence floor, unsigned where)
{
	const struct detection *d = &pl->e->detection;

	if (d->first == NULL)
		return;
	if (d->first[detector + 1] - d->first[detector] >= DETECT_MATCHES_MAX)
		refuse(pl, (struct span){ 0 }, "redact", "more matches than are looked for");
	for (uint32_t i = d->first[detector]; i < d->first[detector + 1]; i++) {
		const struct match *m = &d->matches[i];

		if (m->confidence >= floor && (pl->e->an->surfaces[m->surface].where & where))
			redact_match(pl, m);
	}
}

static void
redact_cond(struct planner *pl, const struct cond *c)
{
	const struct policy *p = pl->e->p;
	const struct atom *a;

	for (uint32_t i = 0; c->op != COND_ATOM && i < c->n; i++)
		redact_cond(pl, &c->kids[i]);
	if (c->op != COND_ATOM)
		return;
	a = &p->atoms[c->atom];
	if ((a->kind == ATOM_FINDS || a->kind == ATOM_TEXT) && !a->negate) {
		const struct measure *m = &p->measures[a->finds.measure];

		redact_detector(pl, m->detector, m->floor, m->where);
	}
}

static void
plan_redact(struct planner *pl)
{
	const struct redact_ask *ask = pl->r->then.redact;

	if (pl->e->detection.undecided)
		refuse(pl, (struct span){ 0 }, "redact", "not all of it could be searched");
	for (size_t i = 0; ask->self && i < pl->r->nwhen; i++)
		redact_cond(pl, &pl->r->when[i]);
	for (size_t i = 0; i < ask->n; i++)
		redact_detector(pl, ask->detectors[i], ask->floor, WHERE_ANY);
}

/* --- append ------------------------------------------------------------------------------------------ */

/* Letters and digits alone, folded: quote marks, wrapping and markup do not count. */
static struct span
letters(struct arena *a, struct span s)
{
	struct span folded = text_fold_word(a, span_sub(s, 0, QUOTED_MAX));
	char *p = arena_alloc(a, folded.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < folded.n; i++) {
		unsigned char c = (unsigned char)folded.p[i];

		if (c > 0x7f || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
		    (c >= 'A' && c <= 'Z'))
			p[n++] = (char)c;
	}
	return span_make(p, n);
}

/* The longest line of a template without a variable: what a quoted appendix is known by. */
static struct span
known_by(struct span s)
{
	struct span best = { 0 };

	while (s.n) {
		struct span line = span_sub(s, 0, span_find(s, '\n'));

		s = span_from(s, line.n + 1);
		line = span_trim(line);
		if (line.n > best.n && span_find(line, '$') == line.n &&
		    span_find(line, '<') == line.n)
			best = line;
	}
	return best;
}

static bool
quoted_already(struct planner *pl, const struct part *p, const struct append_ask *ask)
{
	struct arena *tmp = arena_new(0);
	struct span text = letters(tmp, p->text.s);
	bool had = false;

	for (int l = 0; l < LANG_COUNT && ask->once && !had; l++) {
		struct span mark = letters(tmp, known_by(ask->text.v[l]));

		had = mark.n >= 8 && text.n >= mark.n &&
		    memmem(text.p, text.n, mark.p, mark.n) != NULL;
	}
	arena_free(&tmp);
	return had;
}

/* HTML of a plain text. */
static struct span
html_of(struct arena *a, struct span text)
{
	struct span out;
	struct buf b;

	buf_init(&b, EDIT_BYTES);
	buf_puts(&b, "<div>");
	for (size_t i = 0; i < text.n; i++)
		switch (text.p[i]) {
		case '<':
			buf_puts(&b, "&lt;");
			break;
		case '>':
			buf_puts(&b, "&gt;");
			break;
		case '&':
			buf_puts(&b, "&amp;");
			break;
		case '\n':
			buf_puts(&b, i + 1 < text.n ? "<br>\n" : "");
			break;
		default:
			buf_putc(&b, text.p[i]);
		}
	buf_puts(&b, "</div>\n");
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

static void
append_to(struct planner *pl, size_t i, enum append_how how)
{
	const struct append_ask *ask = pl->r->then.append;
	struct edit_plan *p = pl->plan;
	enum language l = language_of(pl->e);
	struct span text;

	if (how != APPEND_PART && quoted_already(pl, &pl->e->an->parts[i], ask))
		return;
	text = how == APPEND_HTML && texts_pick(&ask->html, l).n ?
	    expand_html(pl->e, pl->r, texts_pick(&ask->html, l)) :
	    expand_lines(pl->e, pl->r, texts_pick(&ask->text, l));
	if (how == APPEND_HTML && !texts_pick(&ask->html, l).n)
		text = html_of(pl->e->arena, text);
	p->appends = arena_grow(pl->e->arena, p->appends, p->nappends * sizeof(*p->appends),
	    (p->nappends + 1) * sizeof(*p->appends));
	p->appends[p->nappends++] = (struct append){ (uint16_t)i, how, text, pl->r->id };
}

/* The parts a reader takes for the text; true when there is one. */
static bool
append_below(struct planner *pl, size_t i)
{
	const struct anatomy *an = pl->e->an;
	const struct part *p = &an->parts[i];
	bool any = false;
	const char *why;

	if (p->type == TYPE_MULTIPART) {
		bool all = span_is(p->declared, "multipart/alternative");

		if ((why = part_sealed(an, i)) != NULL) {
			refuse(pl, p->number, "append_text", why);
			return true;
		}
		if (span_is(p->declared, "multipart/report")) {
			refuse(pl, p->number, "append_text", "a report of a mail server");
			return true;
		}
		for (size_t k = i + 1; k < an->nparts && (all || !any); k++) {
			if (an->parts[k].parent != i || an->parts[k].reading)
				continue;
			any |= append_below(pl, k);
			if (!all)
				break;	/* the first part is the text */
		}
		return any;
	}
	if (p->attachment || !span_starts(p->declared, SPAN_LIT("text/")) ||
	    p->text.s.p == NULL || p->type == TYPE_MESSAGE)
		return false;
	if (!span_is(p->declared, "text/plain") && !span_is(p->declared, "text/html"))
		return false;
	if ((why = text_refused(pl->e->arena, an, i)) != NULL)
		refuse(pl, p->number, "append_text", why);
	else
		append_to(pl, i, span_is(p->declared, "text/html") ? APPEND_HTML : APPEND_TEXT);
	return true;
}

static void
plan_append(struct planner *pl)
{
	const struct anatomy *an = pl->e->an;
	const char *why = part_sealed(an, 0);

	if (append_below(pl, 0))
		return;
	if (!why && (an->parts[0].type != TYPE_MULTIPART || an->nparts < 2))
		why = "the message has no text";
	if (!why && !span_is(an->parts[0].declared, "multipart/mixed"))
		why = "the message has no text";
	if (!why && (an->parts[1].reading || part_container(an, 1) != PART_NONE))
		why = "lies within another file";
	if (why)
		refuse(pl, an->parts[0].number, "append_text", why);
	else
		append_to(pl, 1, APPEND_PART);
}

const struct edit_plan *
edit_plan(struct eval *e, const struct rule *r)
{
	static const struct edit_plan none;
	struct planner pl = { .e = e, .r = r, .asked = PART_NONE };

	if (!r->then.strip && !r->then.redact && !r->then.append)
		return &none;
	ASSERT(r >= e->p->rules && r < e->p->rules + e->p->nrules);
	if (!e->plans)
		e->plans = arena_array(e->arena, e->p->nrules, sizeof(*e->plans));
	pl.plan = &e->plans[r - e->p->rules];
	if (pl.plan->made)
		return pl.plan;
	pl.plan->made = true;
	if (r->then.strip)
		plan_strip(&pl);
	if (r->then.redact)
		plan_redact(&pl);
	if (r->then.append)
		plan_append(&pl);
	return pl.plan;
}

struct span
strip_notice(struct eval *e, const struct rule *r, uint16_t part)
{
	struct span out;

	e->only_file = part;
	out = expand_lines(e, r, texts_pick(&r->then.strip->notice, language_of(e)));
	e->only_file = PART_NONE;
	return out.n && out.p[out.n - 1] == '\n' ? out : text_join(e->arena, out, "\n",
	    (struct span){ 0 });
}
