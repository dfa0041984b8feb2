/* xml.c -- a small state machine over XML that comes in pieces; see anatomy/xml.h.
 *
 * Entities other than the five and numbers are shown as they are written and
 * never expanded: no billion laughs, no file of ours in a text.
 */
#include "anatomy/xml.h"

#include "anatomy/html.h"
#include "anatomy/textmap.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
tag_end(struct xml *x)
{
	struct xml_tag t = { .all = span_make(x->buf, x->n) };
	size_t n = 0, colon = SIZE_MAX;

	if (x->n == 0 || x->buf[0] == '?')
		return;
	if (x->buf[0] == '!') {
		x->doctype |= span_starts(t.all, SPAN_LIT("!DOCTYPE")) ||
		    span_starts(t.all, SPAN_LIT("!ENTITY"));
		return;
	}
	t.closing = x->buf[0] == '/';
	t.empty = x->buf[x->n - 1] == '/';
	if (t.closing)
		t.all = span_from(t.all, 1);
	while (n < t.all.n && !is_blank(t.all.p[n]) && t.all.p[n] != '/') {
		if (t.all.p[n] == ':' && colon == SIZE_MAX)
			colon = n;
		n++;
	}
	t.prefix = colon == SIZE_MAX ? span_make("", 0) : span_sub(t.all, 0, colon);
	t.name = colon == SIZE_MAX ? span_sub(t.all, 0, n) : span_sub(t.all, colon + 1, n - colon - 1);
	x->tag(x->arg, &t);
}

static void
entity_end(struct xml *x)
{
	uint32_t c;
	char utf8[4];

	x->entity[x->nentity++] = ';';
	if (html_entity(span_make(x->entity, x->nentity), 0, &c) == x->nentity)
		x->text(x->arg, utf8, utf8_put(utf8, c));
	else
		x->text(x->arg, x->entity, x->nentity);
}

static void
tag_char(struct xml *x, char c)
{
	if (x->quote) {
		if (c == x->quote)
			x->quote = '\0';
	} else if (c == '>') {
		tag_end(x);
		x->state = XML_TEXT;
		return;
	} else if (x->n > 0 && x->buf[0] != '!' && (c == '"' || c == '\'')) {
		x->quote = c;
	}
	/* A long tag keeps its beginning, and whether a "/" ends it. */
	if (x->n < sizeof(x->buf))
		x->buf[x->n++] = c;
	else
		x->buf[sizeof(x->buf) - 1] = c;
	if (x->n == 3 && memcmp(x->buf, "!--", 3) == 0) {
		x->state = XML_COMMENT;
		x->brackets = 0;
	} else if (x->n == 8 && memcmp(x->buf, "![CDATA[", 8) == 0) {
		x->state = XML_CDATA;
		x->brackets = 0;
	}
}

/* The end "]]>" is no text: brackets are held back until it is known what they are. */
static void
cdata_char(struct xml *x, char c)
{
	if (c == ']') {
		x->brackets++;
		return;
	}
	if (c == '>' && x->brackets >= 2) {
		for (; x->brackets > 2; x->brackets--)
			x->text(x->arg, "]", 1);
		x->state = XML_TEXT;
		return;
	}
	for (; x->brackets; x->brackets--)
		x->text(x->arg, "]", 1);
	x->text(x->arg, &c, 1);
}

void
xml_piece(struct xml *x, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = p[i];
		size_t from = i;

		switch (x->state) {
		case XML_TEXT:
			while (i < n && p[i] != '<' && p[i] != '&')
				i++;
			if (i > from)
				x->text(x->arg, p + from, i - from);
			if (i == n)
				return;
			x->state = p[i] == '<' ? XML_IN_TAG : XML_ENTITY;
			x->n = 0;
			x->quote = '\0';
			x->entity[0] = '&';
			x->nentity = 1;
			break;
		case XML_ENTITY:
			if (c == ';') {
				entity_end(x);
				x->state = XML_TEXT;
			} else if (x->nentity >= sizeof(x->entity) - 1 || c == '<' || c == '&') {
				x->text(x->arg, x->entity, x->nentity);
				x->state = XML_TEXT;
				i--;	/* read again as text */
			} else {
				x->entity[x->nentity++] = c;
			}
			break;
		case XML_IN_TAG:
			tag_char(x, c);
			break;
		case XML_COMMENT:
			if (c == '>' && x->brackets >= 2)
				x->state = XML_TEXT;
			x->brackets = c == '-' ? x->brackets + 1 : 0;
			break;
		case XML_CDATA:
			cdata_char(x, c);
			break;
		}
	}
}

struct span
xml_attribute(const struct xml_tag *t, const char *name)
{
	struct span s = t->all, want = span_str(name);
	size_t i = 0;

	while (i < s.n && !is_blank(s.p[i]))
		i++;
	while (i < s.n) {
		size_t from, end;
		struct span key;
		char quote;

		while (i < s.n && (is_blank(s.p[i]) || s.p[i] == '/'))
			i++;
		from = i;
		while (i < s.n && s.p[i] != '=' && !is_blank(s.p[i]))
			i++;
		key = span_sub(s, from, i - from);
		while (i < s.n && s.p[i] != '"' && s.p[i] != '\'')
			i++;
		if (i >= s.n)
			break;
		quote = s.p[i++];
		end = i + span_find(span_from(s, i), quote);
		if (key.n >= want.n && span_eq(span_from(key, key.n - want.n), want) &&
		    (key.n == want.n || key.p[key.n - want.n - 1] == ':'))
			return span_sub(s, i, end - i);
		i = end + 1;
	}
	return span_make("", 0);
}

uint64_t
xml_number(struct span value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < value.n && value.p[i] >= '0' && value.p[i] <= '9'; i++)
		v = v > UINT64_MAX / 16 ? UINT64_MAX / 16 : v * 10 + (uint64_t)(value.p[i] - '0');
	return v;
}

struct span
xml_value(struct arena *a, struct span value)
{
	char *out = arena_alloc(a, value.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < value.n;) {
		uint32_t c;
		size_t len = value.p[i] == '&' ? html_entity(value, i, &c) : 0;
		char utf8[4];
		unsigned k;

		if (len < 4) {		/* too short to grow */
			out[n++] = value.p[i++];
			continue;
		}
		k = utf8_put(utf8, c);
		memcpy(out + n, utf8, k);
		n += k;
		i += len;
	}
	return span_make(out, n);
}
