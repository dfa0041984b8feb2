/* html_links.c -- where the elements of an HTML text lead; see anatomy/html_links.h.
 *
 * Each attribute that a reader follows or fetches: links, areas, forms and their buttons, pictures
 * and their sets, frames, objects, backgrounds, style sheets (url() in attributes and in style
 * elements), the refresh of a meta. The host of a <base> is that of all relative ones behind it. An
 * <a> is kept when it ends, with the text that people read; a new <a> ends the one before, as in
 * every reader. URLs in comments and scripts are found where their texts are searched.
 */
#include "anatomy/html_links.h"

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

enum html_attribute
html_attribute(struct span name)
{
	static const struct {
		const char *name;
		unsigned char n;
		enum html_attribute what;
	} known[] = {
#define X(name, what) { name, sizeof(name) - 1, what }
		X("href", HTML_HREF), X("src", HTML_SRC), X("style", HTML_STYLE),
		X("action", HTML_ACTION), X("formaction", HTML_ACTION), X("srcset", HTML_SRCSET),
		X("imagesrcset", HTML_SRCSET), X("background", HTML_SRC), X("poster", HTML_SRC),
		X("data", HTML_SRC), X("content", HTML_CONTENT), X("http-equiv", HTML_REFRESH),
		X("xlink:href", HTML_HREF), X("ping", HTML_SRC), X("lowsrc", HTML_SRC),
		X("dynsrc", HTML_SRC), X("codebase", HTML_SRC), X("manifest", HTML_SRC),
		X("longdesc", HTML_SRC), X("cite", HTML_SRC), X("archive", HTML_SRC),
#undef X
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].n == name.n && known[i].name[0] == ascii_lower(name.p[0]) &&
		    span_is_nocase(name, known[i].name))
			return known[i].what;
	return HTML_OTHER;
}

static void
add(struct html_links *l, enum url_kind kind, struct span url, struct span text)
{
	size_t at;

	if (url.n == 0)
		return;
	at = url.p >= l->in->s.p && url.p < l->in->s.p + l->in->s.n ? (size_t)(url.p - l->in->s.p) : 0;
	url_add(l->b, kind, l->part, (uint32_t)offmap_origin(&l->in->map, at), url, text, &l->base);
}

static void
anchor_end(struct html_links *l, struct span visible)
{
	if (!l->open)
		return;
	l->open = false;
	add(l, URL_LINK, l->href, span_from(visible, l->from));
}

/* "a.png 1x, https://b.example/c.png 2x" (HTML 5, 4.8.4.2.1) */
static void
set_read(struct html_links *l, struct span s)
{
	size_t i = 0;

	while (i < s.n) {
		size_t from, end;

		while (i < s.n && (is_space(s.p[i]) || s.p[i] == ','))
			i++;
		for (from = i; i < s.n && !is_space(s.p[i]); )
			i++;
		for (end = i; end > from && s.p[end - 1] == ','; )
			end--;
		add(l, URL_FETCHED, span_sub(s, from, end - from), span_make("", 0));
		if (end < i)
			continue;
		while (i < s.n && s.p[i] != ',')
			i++;
	}
}

/* url(…) and @import "…" (CSS 2, 4.3.4); escapes of CSS are not undone. */
static void
css_read(struct html_links *l, struct span s)
{
	const char *import = s.n > 7 ? memmem(s.p, s.n, "@import", 7) : NULL;
	size_t i = 0;

	while (i < s.n) {
		const char *q = memchr(s.p + i, '(', s.n - i);
		bool imports = import && (!q || import < q);
		size_t from, end;
		char quote = 0;

		if (!q && !imports)
			break;
		i = imports ? (size_t)(import - s.p) + 7 : (size_t)(q - s.p) + 1;
		if (imports)
			import = memmem(s.p + i, s.n - i, "@import", 7);
		else if (i < 4 || !span_is_nocase(span_sub(s, i - 4, 4), "url("))
			continue;
		while (i < s.n && is_space(s.p[i]))
			i++;
		if (i < s.n && (s.p[i] == '"' || s.p[i] == '\''))
			quote = s.p[i++];
		else if (imports)
			continue;	/* @import url(…) is found as such */
		for (from = i; i < s.n && (quote ? s.p[i] != quote && s.p[i] != '\n' : s.p[i] != ')'); )
			i++;
		for (end = i; end > from && is_space(s.p[end - 1]); )
			end--;
		add(l, URL_FETCHED, span_sub(s, from, end - from), span_make("", 0));
		if (import && import < s.p + i)
			import = memmem(s.p + i, s.n - i, "@import", 7);
	}
}

/* "0; url=https://…" (HTML 5, 4.2.5.3) */
static void
refresh_read(struct html_links *l, struct span s)
{
	size_t i = 0;
	char quote = 0;

	while (i < s.n && (is_space(s.p[i]) || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '.'))
		i++;
	while (i < s.n && (is_space(s.p[i]) || s.p[i] == ';' || s.p[i] == ','))
		i++;
	if (span_is_nocase(span_sub(s, i, 3), "url")) {
		size_t k = i + 3;

		while (k < s.n && is_space(s.p[k]))
			k++;
		if (k < s.n && s.p[k] == '=') {
			for (k++; k < s.n && is_space(s.p[k]); k++)
				;
			i = k;
		}
	}
	if (i < s.n && (s.p[i] == '"' || s.p[i] == '\''))
		quote = s.p[i++];
	s = span_from(s, i);
	if (quote)
		s.n = span_find(s, quote);
	add(l, URL_REFRESH, s, span_make("", 0));
}

static void
base_read(struct html_links *l, struct span href)
{
	struct url_parsed u;

	add(l, URL_BASE, href, span_make("", 0));
	if (l->base.known || !url_parse(url_scratch(l->b), span_trim(href), NULL, &u) || u.nhost == 0 ||
	    u.mail)
		return;
	memcpy(l->base.host, u.host, u.nhost + 1);
	l->base.known = true;
}

static bool
is(const struct html_tag *t, const char *name)
{
	return strcmp(t->name, name) == 0;
}

void
html_links_tag(struct html_links *l, const struct html_tag *t, struct span visible)
{
	struct span none = span_make("", 0), refresh = none;
	bool refreshes = false;

	if (is(t, "a"))
		anchor_end(l, visible);
	if (t->end)
		return;
	for (unsigned i = 0; i < t->nlinks; i++) {
		struct span v = t->links[i].value;

		switch (t->links[i].what) {
		case HTML_OTHER:
			break;
		case HTML_HREF:
			if (is(t, "base")) {
				base_read(l, v);
			} else if (is(t, "link") || is(t, "image") || is(t, "use")) {
				add(l, URL_FETCHED, v, none);
			} else if (is(t, "a") && !l->open) {
				l->open = true;
				l->href = v;
				l->from = visible.n;
			} else {
				add(l, URL_LINK, v, none);
			}
			break;
		case HTML_SRC:
			add(l, URL_FETCHED, v, none);
			break;
		case HTML_ACTION:
			add(l, URL_FORM, v, none);
			break;
		case HTML_SRCSET:
			set_read(l, v);
			break;
		case HTML_STYLE:
			css_read(l, v);
			break;
		case HTML_CONTENT:
			refresh = v;
			break;
		case HTML_REFRESH:
			refreshes = span_is_nocase(span_trim(v), "refresh");
			break;
		}
	}
	if (refreshes && refresh.n && is(t, "meta"))
		refresh_read(l, refresh);
}

void
html_links_style(struct html_links *l, struct span css)
{
	css_read(l, css);
}

void
html_links_end(struct html_links *l, struct span visible)
{
	anchor_end(l, visible);
}
