/* edit_headers.c -- what rules change in the header of a message.
 *
 * Added header fields go on top (offset 0), so that nothing of the message
 * moves into or out of its headers. A value is one logical line: control
 * characters are spaces already (expand.c), text that is not plain ASCII is
 * written as encoded words (RFC 2047), lines are folded (RFC 5322, 2.2.3).
 * Body and MIME structure are never touched by header edits, so signed and
 * encrypted parts stay as they are.
 *
 * Ranges do not overlap: a Subject that one rule removes and another prefixes
 * is removed, and comes back on top with the prefix alone. The words of an
 * override leave with the field they stand in, which is written anew.
 */
#include "base64.h"
#include "buf.h"
#include "edits.h"
#include "utf8.h"

#define LINE_WISH 76		/* RFC 5322, 2.1.1: should */
#define WORD_MAX 900		/* a word beyond this cannot stand on a line of 998 */
#define PREFIX_MAX 12000		/* of all rules together; what comes behind it is left out */
#define ENCODED_BYTES 45	/* text bytes of one encoded word of 75 characters */

/* --- writing text into a header ------------------------------------------------------------ */

static bool
plain(struct span s)
{
	size_t word = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
		if (s.p[i] == '=' && i + 1 < s.n && s.p[i + 1] == '?')
			return false;
		word = s.p[i] == ' ' ? 0 : word + 1;
		if (word > WORD_MAX)
			return false;
	}
	return true;
}

/* Folds before spaces, which stay: unfolding gives the text back. */
static void
put_plain(struct buf *b, struct span s, size_t column, const char *eol)
{
	while (s.n) {
		size_t n = 0;

		while (n < s.n && s.p[n] == ' ')
			n++;
		while (n < s.n && s.p[n] != ' ')
			n++;
		if (column + n > LINE_WISH && s.p[0] == ' ' && column > 1) {
			buf_puts(b, eol);
			column = 0;
		}
		buf_span(b, span_sub(s, 0, n));
		column += n;
		s = span_from(s, n);
	}
}

/* Encoded words, each of whole characters; what is not UTF-8 becomes `?`. */
static void
put_encoded(struct buf *b, struct span s, const char *eol)
{
	unsigned char word[ENCODED_BYTES];
	size_t n = 0;
	bool first = true;

	for (size_t i = 0; i <= s.n; ) {
		uint32_t c;
		size_t len = i < s.n ? utf8_next(s.p + i, s.n - i, &c) : 0, take = len ? len : 1;

		if (i == s.n || n + take > sizeof(word)) {
			if (!first) {
				buf_puts(b, eol);
				buf_putc(b, ' ');
			}
			buf_puts(b, "=?UTF-8?B?");
			base64_encode(b, span_make((const char *)word, n), true);
			buf_puts(b, "?=");
			first = false;
			n = 0;
			if (i == s.n)
				break;
		}
		if (len)
			memcpy(word + n, s.p + i, len);
		else
			word[n] = '?';
		n += take;
		i += take;
	}
}

static void
put_unstructured(struct buf *b, struct span s, size_t column, const char *eol)
{
	if (plain(s))
		put_plain(b, s, column, eol);
	else
		put_encoded(b, s, eol);
}

struct span
edit_field(struct edits *x, struct span name, struct span value)
{
	struct buf b;
	struct span out;

	buf_init(&b, 256 << 10);
	buf_span(&b, name);
	buf_puts(&b, ": ");
	put_unstructured(&b, span_trim(value), name.n + 2, x->eol);
	buf_puts(&b, x->eol);
	ASSERT(!buf_failed(&b));
	out = arena_span(x->e->arena, buf_data(&b));
	buf_release(&b);
	return out;
}

/* --- add, remove ------------------------------------------------------------------------------ */

static void
add_headers(struct edits *x, const struct rule *const *rules, size_t nrules)
{
	for (size_t i = 0; i < nrules; i++)
		for (size_t k = 0; k < rules[i]->then.nadd; k++) {
			const struct header_add *h = &rules[i]->then.add[k];
			struct span with = edit_field(x, h->name, expand_text(x->e, rules[i], h->value));
			bool had = false;

			for (size_t s = 0; s < x->n && !had; s++)
				had = span_eq(x->v[s].with, with);
			if (!had)
				edit_push(x, (struct edit){ .with = with, .rule = rules[i]->id,
				    .action = "add_header" });
		}
}

static const struct rule *
who_removes(const struct header *h, const struct rule *const *rules, size_t nrules)
{
	for (size_t i = 0; i < nrules; i++)
		for (size_t k = 0; k < rules[i]->then.remove.n; k++)
			if (glob_match(rules[i]->then.remove.v[k], h->name))
				return rules[i];
	return NULL;
}

/* --- subject --------------------------------------------------------------------------------------- */

static bool
contains(struct span s, struct span what)
{
	return what.n && s.n >= what.n && memmem(s.p, s.n, what.p, what.n) != NULL;
}

/* All prefixes that the value does not carry yet, in order of rule ids; rules: who asks. */
static struct span
prefix_for(struct edits *x, const struct rule *const *rules, size_t nrules, struct span value,
    struct span *who)
{
	struct span text = { 0 };

	*who = (struct span){ 0 };
	for (size_t i = 0; i < nrules; i++) {
		struct span p;

		if (!rules[i]->then.prefix.n)
			continue;
		p = span_trim(expand_text(x->e, rules[i], rules[i]->then.prefix));
		if (!p.n || contains(value, p) || contains(text, p) || text.n + p.n > PREFIX_MAX)
			continue;
		text = text_join(x->e->arena, text, " ", p);
		*who = text_join(x->e->arena, *who, ",", rules[i]->id);
	}
	return text;
}

/* Inserts behind the colon; what follows keeps its own white space. */
static void
prefix_header(struct edits *x, const struct header *h, struct span text, struct span who)
{
	struct span raw = span_sub(x->e->an->raw, h->offset, h->size), rest, value;
	size_t colon = span_find(raw, ':'), line;
	bool encoded = !plain(text);
	struct buf b;

	if (colon == raw.n)
		return;
	rest = span_from(raw, colon + 1);
	value = span_trim(rest);
	line = span_find(rest, '\n');
	/* White space between two encoded words is not shown (RFC 2047, 6.2). */
	if (encoded && span_starts(value, SPAN_LIT("=?")))
		text = text_join(x->e->arena, text, " ", (struct span){ 0 });
	buf_init(&b, 256 << 10);
	buf_putc(&b, ' ');
	put_unstructured(&b, text, colon + 2, x->eol);
	if (value.n) {
		if (colon + buf_size(&b) + line > WORD_MAX)
			buf_puts(&b, x->eol);
		if (!ascii_is_wsp(rest.p[0]) && rest.p[0] != '\r' && rest.p[0] != '\n')
			buf_putc(&b, ' ');
	}
	ASSERT(!buf_failed(&b));
	edit_push(x, (struct edit){ .offset = h->offset + colon + 1,
	    .with = arena_span(x->e->arena, buf_data(&b)), .rule = who,
	    .action = "prefix_subject" });
	buf_release(&b);
}

/* --- the header as a whole ------------------------------------------------------------------ */

bool
root_has(const struct anatomy *an, const char *name)
{
	return part_header(&an->parts[0], name) != NULL;
}

static bool
wants_prefix(const struct rule *const *rules, size_t nrules)
{
	for (size_t i = 0; i < nrules; i++)
		if (rules[i]->then.prefix.n)
			return true;
	return false;
}

static const struct rule *
who_cleans(const struct rule *const *rules, size_t nrules)
{
	for (size_t i = 0; i < nrules; i++)
		if (rules[i]->then.clean_override)
			return rules[i];
	return NULL;
}

/* The value without the words of an override. */
static struct span
without(struct arena *a, struct span value, struct span token)
{
	struct span before = span_trim(span_make(value.p, (size_t)(token.p - value.p)));
	struct span after = span_trim(span_from(value, (size_t)(token.p - value.p) + token.n));

	return after.n ? text_join(a, before, " ", after) : before;
}

/* The subject written anew, with the prefix on top. */
static void
new_subject(struct edits *x, const struct header *h, struct span value, struct span prefix, struct edit like)
{
	if (prefix.n)
		value = value.n ? text_join(x->e->arena, prefix, " ", value) : prefix;
	like.offset = h->offset;
	like.size = h->size;
	like.with = edit_field(x, SPAN_LIT("Subject"), value);
	edit_push(x, like);
}

static void
edit_one(struct edits *x, const struct header *h, const struct rule *const *rules, size_t nrules,
    bool prefix)
{
	const struct rule *r = who_removes(h, rules, nrules), *clean = who_cleans(rules, nrules);
	struct span who = { 0 }, text = { 0 }, value = h->value, redacts = { 0 }, token, reason;
	struct arena *a = x->e->arena;
	bool black, cleaned;

	if (!r && clean && span_is_nocase(h->name, OVERRIDE_HEADER))
		r = clean;
	if (r) {
		edit_push(x, (struct edit){ .offset = h->offset, .size = h->size, .rule = r->id,
		    .action = r == clean ? "override" : "remove_header" });
		return;
	}
	if (!span_is_nocase(h->name, "subject"))
		return;
	if (prefix)
		text = prefix_for(x, rules, nrules, h->value, &who);
	black = subject_blackened(x, h, rules, nrules, &value, &redacts);
	cleaned = clean && override_find(value, &token, &reason);
	if (cleaned) {
		value = without(a, value, token);
		who = text_join(a, clean->id, who.n ? "," : "", who);
	}
	if (black)
		new_subject(x, h, value, text, (struct edit){ .rule = text_join(a, redacts,
		    who.n ? "," : "", who), .action = "redact", .opaque = true });
	else if (cleaned)
		new_subject(x, h, value, text, (struct edit){ .rule = who, .action = "override" });
	else if (text.n)
		prefix_header(x, h, text, who);
}

void
edit_headers(struct edits *x, const struct rule *const *rules, size_t nrules, size_t *top)
{
	const struct part *root = &x->e->an->parts[0];
	bool subject = false, prefix = wants_prefix(rules, nrules);

	add_headers(x, rules, nrules);
	for (size_t i = 0; i < root->nheaders; i++)
		if (span_is_nocase(root->headers[i].name, "subject") &&
		    !who_removes(&root->headers[i], rules, nrules))
			subject = true;
	if (prefix && !subject) {
		struct span who, text = prefix_for(x, rules, nrules, (struct span){ 0 }, &who);

		if (text.n)
			edit_push(x, (struct edit){ .with = edit_field(x, SPAN_LIT("Subject"), text),
			    .rule = who, .action = "prefix_subject" });
	}
	*top = x->n;
	for (size_t i = 0; i < root->nheaders; i++)
		edit_one(x, &root->headers[i], rules, nrules, prefix);
}
