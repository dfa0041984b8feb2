/* expand.c -- texts with variables: $ref, $rule, $sender, $filenames, $findings.
 *
 * What variables hold comes from strangers. Nothing of it may end a line: CR,
 * LF and every other control character become a space before a text leaves
 * here, so no header and no reply line can be smuggled in. Lists say how many
 * more there are; matched values stay masked.
 */
#include <stdio.h>

#include "buf.h"
#include "id.h"
#include "rules.h"
#include "utf8.h"

#define LIST_MAX 5		/* names or values a list shows */
#define ITEM_MAX 80		/* bytes of one of them */
#define TEXT_MAX 8192

enum variable { VAR_REF, VAR_RULE, VAR_SENDER, VAR_FILENAMES, VAR_FINDINGS, VAR_COUNT };
const char *const expand_names[] = { "ref", "rule", "sender", "filenames", "findings", NULL };

struct span
text_join(struct arena *a, struct span x, const char *between, struct span y)
{
	size_t n = strlen(between);
	char *p;

	if (!x.n)
		return y;
	p = arena_alloc(a, x.n + n + y.n);
	memcpy(p, x.p, x.n);
	memcpy(p + x.n, between, n);
	if (y.n)
		memcpy(p + x.n + n, y.p, y.n);
	return span_make(p, x.n + n + y.n);
}

static size_t
word_length(struct span s)
{
	size_t n = 0;

	while (n < s.n && ((s.p[n] >= 'a' && s.p[n] <= 'z') || (s.p[n] >= 'A' && s.p[n] <= 'Z') ||
	    s.p[n] == '_'))
		n++;
	return n;
}

/* The variable at s (behind its `$`), or VAR_COUNT. */
static enum variable
variable_at(struct span s, size_t *len)
{
	*len = word_length(s);
	for (int v = 0; v < VAR_COUNT; v++)
		if (span_is(span_sub(s, 0, *len), expand_names[v]))
			return (enum variable)v;
	return VAR_COUNT;
}

/* "$12" and "a $ sign" are only text: a variable begins with a letter. */
bool
expand_check(struct span text, struct span *bad)
{
	for (size_t i = 0; i < text.n; i++) {
		size_t len;

		if (text.p[i] != '$')
			continue;
		if (i + 1 < text.n && text.p[i + 1] == '$') {
			i++;
			continue;
		}
		if (variable_at(span_from(text, i + 1), &len) == VAR_COUNT && len > 0) {
			*bad = span_sub(text, i, len + 1);
			return false;
		}
		i += len;
	}
	return true;
}

/* At most max bytes, cut between characters. */
static struct span
clip(struct span s, size_t max)
{
	size_t n = s.n < max ? s.n : max;

	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return span_sub(s, 0, n);
}

static void
put_item(struct buf *b, struct span s, const char *separator)
{
	struct span c = clip(s, ITEM_MAX);

	buf_puts(b, separator);
	buf_span(b, c);
	if (c.n < s.n)
		buf_puts(b, "...");
}

static void
put_filenames(struct eval *e, const struct rule *r, struct buf *b)
{
	const struct file_cond *f = r && r->file_atom >= 0 ? e->p->atoms[r->file_atom].file : NULL;
	size_t n = 0;

	for (size_t i = 0; e->an && i < e->an->nparts; i++) {
		const struct part *part = &e->an->parts[i];

		if (e->only_file != PART_NONE ? i != e->only_file :
		    f ? !eval_file(f, part, &e->steps) : !part->attachment)
			continue;
		if (n < LIST_MAX)
			put_item(b, part->name.n ? part->name : SPAN_LIT("(no name)"), n ? ", " : "");
		n++;
	}
	if (n > LIST_MAX)
		buf_printf(b, " and %zu more", n - LIST_MAX);
}

static bool
rule_names(const struct policy *p, const struct rule *r, uint32_t detector)
{
	if (!r || r->ndetectors == 0)	/* nothing that only a shadow rule looks for */
		return bit_has(p->live, detector);
	for (size_t i = 0; i < r->ndetectors; i++)
		if (r->detectors[i] == detector)
			return true;
	return false;
}

/* "fr-nir: ******46, ******12; iban: ****21" */
static void
put_findings(struct eval *e, const struct rule *r, struct buf *b)
{
	const struct detection *d = &e->detection;
	size_t ndet = e->p->detectors && d->first ? detectors_count(e->p->detectors) : 0;
	bool any = false;

	for (uint32_t i = 0; i < ndet; i++) {
		struct span id = detectors_id(e->p->detectors, i);
		uint64_t shown[LIST_MAX];
		uint32_t n = d->first[i + 1] - d->first[i];
		size_t nshown = 0;

		if (n == 0 || (id.n && id.p[0] == ' ') || !rule_names(e->p, r, i))
			continue;
		put_item(b, id, any ? "; " : "");
		any = true;
		for (uint32_t k = d->first[i]; k < d->first[i + 1] && nshown < LIST_MAX; k++) {
			bool had = false;

			for (size_t s = 0; s < nshown; s++)
				had |= shown[s] == d->matches[k].value;
			if (had)
				continue;
			put_item(b, d->matches[k].masked, nshown ? ", " : ": ");
			shown[nshown++] = d->matches[k].value;
		}
		if (n > nshown)
			buf_printf(b, " (%u in all)", n);
	}
}

static void
put_variable(struct eval *e, const struct rule *r, enum variable v, struct buf *b)
{
	char id[ID_SIZE];

	switch (v) {
	case VAR_REF:
		buf_puts(b, e->env->id ? id_format(e->env->id, id) : "-");
		break;
	case VAR_RULE:
		if (r)
			buf_span(b, r->id);
		break;
	case VAR_SENDER:
		buf_span(b, e->env->sender.n ? clip(e->env->sender, 254) : SPAN_LIT("<>"));
		break;
	case VAR_FILENAMES:
		put_filenames(e, r, b);
		break;
	case VAR_FINDINGS:
		put_findings(e, r, b);
		break;
	case VAR_COUNT:
		break;
	}
}

/* What strangers wrote stays on its line. */
static void
put_variable_flat(struct eval *e, const struct rule *r, enum variable v, struct buf *b)
{
	size_t from = buf_size(b);

	put_variable(e, r, v, b);
	for (size_t i = from; i < buf_size(b); i++) {
		char *p = &b->p[b->head + i];

		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	}
}

/* What strangers wrote is no markup. */
static void
put_variable_html(struct eval *e, const struct rule *r, enum variable v, struct buf *b)
{
	struct buf plain;
	struct span s;

	buf_init(&plain, TEXT_MAX);
	put_variable_flat(e, r, v, &plain);
	s = buf_data(&plain);
	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '<':
			buf_puts(b, "&lt;");
			break;
		case '>':
			buf_puts(b, "&gt;");
			break;
		case '&':
			buf_puts(b, "&amp;");
			break;
		case '"':
			buf_puts(b, "&quot;");
			break;
		case '\'':
			buf_puts(b, "&#39;");
			break;
		default:
			buf_putc(b, s.p[i]);
		}
	buf_release(&plain);
}

static struct span
expand(struct eval *e, const struct rule *r, struct span text,
    void (*put)(struct eval *e, const struct rule *r, enum variable v, struct buf *b))
{
	struct span out;
	struct buf b;

	buf_init(&b, 8 * TEXT_MAX + text.n + 1);
	for (size_t i = 0; i < text.n; i++) {
		size_t len;
		enum variable v;

		if (text.p[i] != '$') {
			if (text.p[i] != '\r')
				buf_putc(&b, text.p[i]);
			continue;
		}
		if (i + 1 < text.n && text.p[i + 1] == '$') {
			buf_putc(&b, '$');
			i++;
			continue;
		}
		v = variable_at(span_from(text, i + 1), &len);
		if (v == VAR_COUNT) {
			buf_putc(&b, '$');
			continue;
		}
		put(e, r, v, &b);
		i += len;
	}
	out = arena_span(e->arena, buf_data(&b));
	buf_release(&b);
	return out;
}

struct span
expand_lines(struct eval *e, const struct rule *r, struct span text)
{
	return expand(e, r, text, put_variable_flat);
}

struct span
expand_html(struct eval *e, const struct rule *r, struct span text)
{
	return expand(e, r, text, put_variable_html);
}

struct span
expand_text(struct eval *e, const struct rule *r, struct span text)
{
	struct span out = expand_lines(e, r, text);
	char *p = (char *)(uintptr_t)out.p;

	for (size_t i = 0; i < out.n; i++)
		if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
			p[i] = ' ';
	return out;
}

/* One ASCII letter for what an administrator may write; `?` for the rest. */
static char
ascii_of(uint32_t c)
{
	static const char latin[] =
	    "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo/ouuuuyty";

	if (c < 0x80)
		return (char)c;
	if (c >= 0xc0 && c <= 0xff)
		return latin[c - 0xc0];
	switch (c) {
	case 0xa0: case 0x202f: case 0x2009:
		return ' ';
	case 0x152:
		return 'O';
	case 0x153:
		return 'o';
	case 0x2018: case 0x2019:
		return '\'';
	case 0xab: case 0xbb: case 0x201c: case 0x201d:
		return '"';
	case 0x2010: case 0x2011: case 0x2013: case 0x2014:
		return '-';
	case 0xb7: case 0x2022:
		return '*';
	case 0x20ac:
		return 'E';
	default:
		return '?';
	}
}

static struct span
to_ascii(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; ) {
		uint32_t c;
		size_t len = utf8_next(s.p + i, s.n - i, &c);

		p[n++] = len ? ascii_of(c) : '?';
		i += len ? len : 1;
	}
	return span_make(p, n);
}

struct span
expand_reply(struct eval *e, const struct rule *r, struct span code, struct span text, size_t max)
{
	struct span s = to_ascii(e->arena, expand_text(e, r, text));
	char id[ID_SIZE], ref[ID_SIZE + 8] = "";
	size_t room;

	/* Every refusal names the message: what people quote to the help desk. */
	if (e->env->id) {
		struct span want = span_str(id_format(e->env->id, id));
		bool has = false;

		for (size_t i = 0; i + want.n <= s.n && !has; i++)
			has = memcmp(s.p + i, want.p, want.n) == 0;
		if (!has)
			snprintf(ref, sizeof(ref), " (ref %s)", id);
	}
	room = max - code.n - 1 - strlen(ref);
	if (s.n > room)
		return span_str(arena_printf(e->arena, SPAN_FMT " " SPAN_FMT "...%s", SPAN_ARG(code),
		    SPAN_ARG(span_sub(s, 0, room - 3)), ref));
	return span_str(arena_printf(e->arena, SPAN_FMT " " SPAN_FMT "%s", SPAN_ARG(code),
	    SPAN_ARG(s), ref));
}
