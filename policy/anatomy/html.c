/* html.c -- visible and hidden text of HTML; see anatomy/html.h.
 *
 * No tree is built: tags are told from text as HTML 5 tokenises, in one pass
 * that never looks back. Block elements and cells part the text, other tags
 * vanish, so that "12<b>34</b>" reads 1234. White space is one space, line
 * ends are those that tags make.
 *
 * Hidden is the text of an element with the `hidden` attribute or an inline
 * style of display:none, visibility:hidden, opacity:0, font-size:0 or
 * mso-hide, up to its end tag (elements of its name within are counted);
 * comments; scripts; and what stands behind a tag or comment that never
 * ends, where readers differ. Style sheets are in neither text. Colours and
 * sizes from style sheets are not computed.
 */
#include "anatomy/html.h"

#include "anatomy/html_links.h"
#include "anatomy/textmap.h"
#include "html_entities.h"

struct sink {
	struct textmake t;
	bool gap;		/* white space waits to be written */
	bool line;		/* a line end waits to be written */
	size_t gap_at;
	bool row;		/* and so do a row's end, … */
	uint32_t cells_before, cells;	/* … cells begun before it, and since then or without it */
};

struct html {
	struct span s;
	struct sink visible, hidden;
	struct sink *to;	/* one of both */
	bool pre;
	char hide[16];		/* name of the element that hides, "" when none does */
	unsigned hide_depth;
	struct html_links *links;	/* NULL: nobody wants them */
};

enum kind { INLINE, BLOCK, CELL, ROW, RAW_SCRIPT, RAW_STYLE, PRE };
static const struct {
	const char *name;
	enum kind kind;
} elements[] = {
	{ "address", BLOCK }, { "article", BLOCK }, { "aside", BLOCK }, { "blockquote", BLOCK },
	{ "body", BLOCK }, { "br", BLOCK }, { "caption", BLOCK }, { "center", BLOCK },
	{ "dd", BLOCK }, { "details", BLOCK }, { "dir", BLOCK }, { "div", BLOCK }, { "dl", BLOCK },
	{ "dt", BLOCK }, { "fieldset", BLOCK }, { "figcaption", BLOCK }, { "figure", BLOCK },
	{ "footer", BLOCK }, { "form", BLOCK }, { "h1", BLOCK }, { "h2", BLOCK }, { "h3", BLOCK },
	{ "h4", BLOCK }, { "h5", BLOCK }, { "h6", BLOCK }, { "head", BLOCK }, { "header", BLOCK },
	{ "hr", BLOCK }, { "html", BLOCK }, { "legend", BLOCK }, { "li", BLOCK }, { "main", BLOCK },
	{ "nav", BLOCK }, { "ol", BLOCK }, { "option", BLOCK }, { "p", BLOCK }, { "pre", PRE },
	{ "script", RAW_SCRIPT }, { "section", BLOCK }, { "style", RAW_STYLE },
	{ "summary", BLOCK }, { "table", ROW }, { "tbody", ROW }, { "td", CELL },
	{ "textarea", BLOCK }, { "tfoot", ROW }, { "th", CELL }, { "thead", ROW },
	{ "title", BLOCK }, { "tr", ROW }, { "ul", BLOCK },
};
static const char *const voids[] = { "area", "base", "br", "col", "embed", "hr", "img", "input",
	"link", "meta", "param", "source", "track", "wbr" };

static bool
is_alpha(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

/* --- character references -------------------------------------------------------------- */

static const struct entity *
entity_find(const char *name, size_t n)
{
	size_t lo = 0, hi = sizeof(entities) / sizeof(entities[0]);

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		int d = strncmp(name, entities[mid].name, n);

		if (d == 0 && entities[mid].name[n] == '\0')
			return &entities[mid];
		if (d > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

size_t
html_entity(struct span s, size_t i, uint32_t *c)
{
	/* Numbers from 128 to 159 mean windows-1252 to every reader. */
	static const uint16_t c1[32] = { 0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020,
		0x2021, 0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018,
		0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a,
		0x153, 0x9d, 0x17e, 0x178 };
	size_t from = i, n;
	uint32_t v = 0;

	if (++i >= s.n)
		return 0;
	if (s.p[i] == '#') {
		bool hex = i + 1 < s.n && ascii_lower(s.p[i + 1]) == 'x';
		size_t digits = i += hex ? 2 : 1;

		for (; i < s.n; i++) {
			char d = ascii_lower(s.p[i]);

			if (d >= '0' && d <= '9')
				d = (char)(d - '0');
			else if (hex && d >= 'a' && d <= 'f')
				d = (char)(d - 'a' + 10);
			else
				break;
			if (v < 0x110000)
				v = v * (hex ? 16 : 10) + (uint32_t)d;
		}
		if (i == digits)
			return 0;
		if (v >= 128 && v < 160)
			v = c1[v - 128];
		if (v == 0 || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
			v = 0xfffd;
		*c = v;
		return i + (i < s.n && s.p[i] == ';') - from;
	}
	for (n = 0; n < 32 && i + n < s.n && (is_alpha(s.p[i + n]) ||
	    (s.p[i + n] >= '0' && s.p[i + n] <= '9')); n++)
		;
	if (n && i + n < s.n && s.p[i + n] == ';') {
		const struct entity *e = entity_find(s.p + i, n);

		if (e) {
			*c = e->c;
			return n + 2;
		}
	}
	for (n = n > 8 ? 8 : n; n >= 2; n--) {
		const struct entity *e = entity_find(s.p + i, n);

		if (e && e->bare) {
			*c = e->c;
			return n + 1;
		}
	}
	return 0;
}

/* --- text --------------------------------------------------------------------------------- */

/* Between the cells of a row; to people a blank, and to those who look for columns a border. */
#define CELL_BORDER "\xe2\x80\x83"	/* U+2003 */

static void
borders_put(struct sink *to, uint32_t n)
{
	while (n-- > 0)
		textmake_put(&to->t, CELL_BORDER, sizeof(CELL_BORDER) - 1, to->gap_at);
}

/* What waits between two words is written once the second one comes. A paragraph within a
 * cell is not a line of its own when the cell's border is there too. */
static void
flush_gap(struct sink *to)
{
	if (to->t.n && to->row) {
		borders_put(to, to->cells_before);
		textmake_put(&to->t, "\n", 1, to->gap_at);
		borders_put(to, to->cells > 1 ? to->cells - 1 : 0);
	} else if (to->t.n && to->cells) {
		borders_put(to, to->cells);
	} else if (to->t.n && to->line) {
		textmake_put(&to->t, "\n", 1, to->gap_at);
	} else if (to->t.n && to->gap) {
		textmake_put(&to->t, " ", 1, to->gap_at);
	}
	to->gap = to->line = to->row = false;
	to->cells = to->cells_before = 0;
}

static void
gap(struct sink *to, size_t at, bool line)
{
	if (!to->gap && !to->line)
		to->gap_at = at;
	if (line)
		to->line = true;
	else
		to->gap = true;
}

static void
text_from(struct html *h, size_t i, size_t end)
{
	const char *p = h->s.p;

	while (i < end) {
		size_t from = i, len;
		uint32_t c;

		if (h->pre && (p[i] == '\n' || p[i] == '\r')) {
			gap(h->to, i++, true);
			continue;
		}
		if (is_space(p[i])) {
			gap(h->to, i++, false);
			continue;
		}
		if (p[i] == '&' && (len = html_entity(span_sub(h->s, 0, end), i, &c)) != 0) {
			flush_gap(h->to);
			textmake_char(&h->to->t, c, i);
			i += len;
			continue;
		}
		flush_gap(h->to);
		/* Words with single spaces between go as one piece. */
		for (i++; i < end && p[i] != '&'; i++)
			if (is_space(p[i]) && (p[i] != ' ' || i + 1 == end || is_space(p[i + 1])))
				break;
		textmake_copy(&h->to->t, from, i - from);
	}
}

/* Text that is hidden where it stands, in whatever text goes on behind it. */
static void
aside(struct html *h, size_t from, size_t end)
{
	struct sink *to = h->to;

	h->to = &h->hidden;
	gap(h->to, from, true);
	text_from(h, from, end);
	gap(h->to, end, true);
	h->to = to;
}

/* --- tags --------------------------------------------------------------------------------- */

/* Does value (of a property, white space gone) mean zero: "0", "0px", "0.0em"? */
static bool
is_zero(const char *v)
{
	if (*v != '0' && *v != '.')
		return false;
	for (; *v && *v != '!'; v++)
		if (*v >= '1' && *v <= '9')
			return false;
	return true;
}

static bool
style_hides(struct span style)
{
	static const struct {
		const char *property;
		const char *value;	/* NULL: zero */
	} ways[] = { { "display:", "none" }, { "visibility:", "hidden" }, { "opacity:", NULL },
		{ "font-size:", NULL }, { "mso-hide:", "all" } };

	for (size_t i = 0; i < style.n; i++) {
		char flat[64];
		size_t n = 0;

		/* One declaration, without its white space. */
		for (; i < style.n && style.p[i] != ';'; i++)
			if (!is_space(style.p[i]) && style.p[i] != '\0' && n < sizeof(flat) - 1)
				flat[n++] = ascii_lower(style.p[i]);
		flat[n] = '\0';
		for (size_t k = 0; k < sizeof(ways) / sizeof(ways[0]); k++) {
			size_t len = strlen(ways[k].property);

			if (strncmp(flat, ways[k].property, len) != 0)
				continue;
			if (ways[k].value ? strncmp(flat + len, ways[k].value,
			    strlen(ways[k].value)) == 0 : is_zero(flat + len))
				return true;
		}
	}
	return false;
}

/* The tag at s[i] ('<'): its end behind the '>', 0 when it never ends. */
static size_t
tag_parse(struct span s, size_t i, struct html_tag *t)
{
	size_t n = 0;

	memset(t->name, 0, sizeof(t->name));
	t->end = t->hides = t->self_closing = false;
	t->nlinks = 0;
	i++;
	if (s.p[i] == '/') {
		t->end = true;
		i++;
	}
	for (; i < s.n && !is_space(s.p[i]) && s.p[i] != '>' && s.p[i] != '/'; i++)
		if (n < sizeof(t->name) - 1)
			t->name[n++] = ascii_lower(s.p[i]);
	if (n == sizeof(t->name) - 1)
		t->name[0] = '\0';
	for (;;) {
		struct span name, value = { 0 };
		enum html_attribute what;
		size_t from;

		while (i < s.n && (is_space(s.p[i]) || s.p[i] == '/')) {
			t->self_closing = s.p[i] == '/';
			i++;
		}
		if (i >= s.n)
			return 0;
		if (s.p[i] == '>')
			return i + 1;
		t->self_closing = false;
		for (from = i++; i < s.n && !is_space(s.p[i]) && s.p[i] != '=' && s.p[i] != '>' &&
		    s.p[i] != '/'; i++)
			;
		name = span_sub(s, from, i - from);
		while (i < s.n && is_space(s.p[i]))
			i++;
		if (i < s.n && s.p[i] == '=') {
			for (i++; i < s.n && is_space(s.p[i]); i++)
				;
			if (i < s.n && (s.p[i] == '"' || s.p[i] == '\'')) {
				char quote = s.p[i++];

				value = span_sub(s, i, span_find(span_from(s, i), quote));
				i += value.n;
				if (i >= s.n)
					return 0;
				i++;
			} else {
				for (from = i; i < s.n && !is_space(s.p[i]) && s.p[i] != '>'; i++)
					;
				value = span_sub(s, from, i - from);
			}
		}
		if (t->end)
			continue;
		if (span_is_nocase(name, "hidden"))
			t->hides = true;
		else if (span_is_nocase(name, "style") && style_hides(value))
			t->hides = true;
		if (value.n && t->nlinks < HTML_ATTRIBUTES &&
		    (what = html_attribute(name)) != HTML_OTHER &&
		    (what != HTML_STYLE || memchr(value.p, '(', value.n))) {
			t->links[t->nlinks].what = what;
			t->links[t->nlinks++].value = value;
		}
	}
}

static enum kind
kind_of(const char *name)
{
	for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++)
		if (elements[i].name[0] == name[0] && strcmp(elements[i].name, name) == 0)
			return elements[i].kind;
	return INLINE;
}

static bool
is_void(const char *name)
{
	for (size_t i = 0; i < sizeof(voids) / sizeof(voids[0]); i++)
		if (strcmp(voids[i], name) == 0)
			return true;
	return false;
}

/* Where the raw text of a script or style element ends: at its "</name". */
static size_t
raw_end(struct span s, size_t i, const char *name)
{
	size_t n = strlen(name);

	for (;;) {
		const char *q = i < s.n ? memmem(s.p + i, s.n - i, "</", 2) : NULL;

		if (q == NULL)
			return s.n;
		i = (size_t)(q - s.p);
		if (span_eq_nocase(span_sub(s, i + 2, n), span_make(name, n)))
			return i;
		i += 2;
	}
}

static void
gap_of_table(struct sink *to, size_t at, const struct html_tag *t)
{
	bool row = kind_of(t->name) == ROW;

	gap(to, at, row);
	if (row) {
		if (!to->row)
			to->cells_before = to->cells;
		to->row = true;
		to->cells = 0;
	} else if (!t->end) {
		to->cells++;
	}
}

/* Does the element begin or end what hides? */
static void
hide(struct html *h, const struct html_tag *t, size_t at)
{
	if (h->hide_depth == 0) {
		if (t->end || !t->hides || t->name[0] == '\0' || is_void(t->name))
			return;
		memcpy(h->hide, t->name, sizeof(h->hide));
		h->hide_depth = 1;
		h->to = &h->hidden;
		gap(h->to, at, true);
	} else if (strcmp(t->name, h->hide) == 0) {
		h->hide_depth += t->end ? -1u : 1u;
		if (h->hide_depth == 0) {
			h->to = &h->visible;
			if (kind_of(t->name) == BLOCK || kind_of(t->name) == ROW)
				gap(h->to, at, true);
		}
	}
}

/* The tag at i; what stands behind it. */
static size_t
tag_at(struct html *h, size_t i)
{
	struct html_tag t;
	size_t next = tag_parse(h->s, i, &t), end;
	enum kind kind;

	if (next == 0) {	/* it never ends */
		aside(h, i, h->s.n);
		return h->s.n;
	}
	kind = kind_of(t.name);
	if (kind == ROW || kind == CELL)
		gap_of_table(h->to, i, &t);
	else if (kind == BLOCK || kind == PRE)
		gap(h->to, i, true);
	hide(h, &t, i);
	if (h->links && (t.nlinks || t.name[0] == 'a'))
		html_links_tag(h->links, &t, span_make(h->visible.t.p, h->visible.t.n));
	if (kind == PRE)
		h->pre = !t.end;
	if (!t.end && (kind == RAW_SCRIPT || kind == RAW_STYLE)) {
		end = raw_end(h->s, next, t.name);
		if (kind == RAW_SCRIPT)
			aside(h, next, end);
		else if (h->links)
			html_links_style(h->links, span_sub(h->s, next, end - next));
		return end;
	}
	return next;
}

/* "<!" or "<?" at i: a comment, a declaration. */
static size_t
bang_at(struct html *h, size_t i)
{
	const char *p = h->s.p, *q;
	size_t n = h->s.n;

	if (n - i >= 4 && p[i + 1] == '!' && p[i + 2] == '-' && p[i + 3] == '-') {
		i += 4;
		if (i < n && p[i] == '>')
			return i + 1;
		q = memmem(p + i, n - i, "-->", 3);
		if (q == NULL) {
			aside(h, i, n);
			return n;
		}
		aside(h, i, (size_t)(q - p));
		return (size_t)(q - p) + 3;
	}
	q = memchr(p + i, '>', n - i);
	if (q == NULL) {
		aside(h, i, n);
		return n;
	}
	return (size_t)(q - p) + 1;
}

void
html_text(struct arena *a, const struct text *in, struct html_links *links, struct text *visible,
    struct text *hidden)
{
	struct html h = { .s = in->s, .links = links };
	size_t i = 0, n = in->s.n;

	textmake_init(&h.visible.t, a, in, n / 2, true);
	textmake_init(&h.hidden.t, a, in, 48, true);
	h.to = &h.visible;
	while (i < n) {
		const char *lt = memchr(h.s.p + i, '<', n - i);
		size_t at = lt ? (size_t)(lt - h.s.p) : n;

		text_from(&h, i, at);
		i = at;
		if (at == n)
			break;
		if (n - at > 1 && (is_alpha(lt[1]) || (n - at > 2 && lt[1] == '/' && is_alpha(lt[2]))))
			i = tag_at(&h, at);
		else if (n - at > 1 && (lt[1] == '!' || lt[1] == '?' || lt[1] == '/'))
			i = bang_at(&h, at);
		else
			text_from(&h, i++, at + 1);
	}
	if (links)
		html_links_end(links, span_make(h.visible.t.p, h.visible.t.n));
	textmake_finish(&h.visible.t, n, visible);
	textmake_finish(&h.hidden.t, n, hidden);
}

struct span
html_charset(struct span head)
{
	static const char *const keys[] = { "charset", "encoding" };

	head = span_sub(head, 0, 1024);
	for (size_t k = 0; k < 2; k++)
		for (size_t i = 0; i + 9 < head.n; i++) {
			size_t n = strlen(keys[k]), at = i + n, from;

			if (!span_eq_nocase(span_sub(head, i, n), span_str(keys[k])))
				continue;
			while (at < head.n && is_space(head.p[at]))
				at++;
			if (at >= head.n || head.p[at] != '=')
				continue;
			for (at++; at < head.n && (is_space(head.p[at]) || head.p[at] == '"' ||
			    head.p[at] == '\''); at++)
				;
			for (from = at; at < head.n && (is_alpha(head.p[at]) || (head.p[at] >= '0' &&
			    head.p[at] <= '9') || strchr("-_:.", head.p[at])) && head.p[at]; at++)
				;
			if (at > from)
				return span_sub(head, from, at - from);
		}
	return span_make("", 0);
}
