/* url_book.c -- the hosts that a message leads to, each once; see postern/url.h.
 *
 * An entry is known by its host and the host that is shown in its place. The book is made with the
 * first link, so a message without any pays nothing; its memory is bounded by the limit, whatever
 * the number of links. The limit reached is a defect of the part in hand, not silence.
 */
#include "anatomy/url.h"

#include <stdlib.h>

#include "anatomy/html.h"
#include "anatomy/textmap.h"
#include "postern/err.h"
#include "table.h"

struct url_book {
	struct arena *a, *scratch;
	struct table *known;	/* host, NUL, shown, NUL, what else -> struct url */
	struct url *v;
	size_t n, cap;
	char plain[URL_BYTES];	/* an attribute, as it is read */
};

static const char *const kinds[] = {
#define X(name, text) text,
	URL_KINDS(X)
#undef X
};

const char *
url_kind_name(enum url_kind k)
{
	return (unsigned)k < URL_KIND_COUNT ? kinds[k] : "unknown";
}

static struct url_book *
book(struct builder *b)
{
	if (!b->urls) {
		b->urls = calloc(1, sizeof(*b->urls));
		ASSERT(b->urls != NULL);
		b->urls->a = b->a;
		b->urls->scratch = arena_new(0);
		b->urls->known = table_new();
	}
	return b->urls;
}

struct arena *
url_scratch(struct builder *b)
{
	struct arena *scratch = book(b)->scratch;

	arena_reset(scratch);
	return scratch;
}

void
url_cut(struct builder *b, uint16_t part)
{
	b->out->parts[part].defects |= DEFECT_URLS_CUT;
}

/* One line of characters that can be printed. */
static struct span
path_copy(struct arena *a, struct span path)
{
	char *to;

	path = span_sub(path, 0, URL_PATH);
	if (path.n == URL_PATH)
		while (path.n && ((unsigned char)path.p[path.n - 1] & 0xc0) == 0x80)
			path.n--;
	if (path.n == URL_PATH)
		path.n--;	/* perhaps the beginning of a character */
	to = arena_str(a, path);
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)to[i] < ' ' || to[i] == 0x7f)
			to[i] = ' ';
	return span_make(to, path.n);
}

void
url_keep(struct builder *b, const struct url_parsed *u, const struct url_found *at)
{
	struct url_book *k = book(b);
	char key[3 * HOST_MAX], shown[HOST_MAX], target[HOST_MAX];
	size_t nshown = 0, ntarget = 0, n;
	struct span whole;
	uintptr_t had;
	struct url *e;

	if (u->cut)
		url_cut(b, at->part);
	if (u->nhost == 0 && !u->script)
		return;
	if (!u->mail && !u->script)
		url_unwrap(k->scratch, u, target, &ntarget);
	if (at->shown.n)
		url_shown(k->scratch, at->shown, u->mail, shown, &nshown);
	if (!nshown && u->nuser) {
		memcpy(shown, u->user, u->nuser);
		nshown = u->nuser;
	}
	if (nshown == u->nhost && memcmp(shown, u->host, nshown) == 0)
		nshown = 0;
	memcpy(key, u->host, u->nhost);
	n = u->nhost;
	key[n++] = '\0';
	memcpy(key + n, shown, nshown);
	n += nshown;
	key[n++] = '\0';
	memcpy(key + n, target, ntarget);
	n += ntarget;
	key[n++] = u->mail ? 'm' : u->script ? 's' : '-';
	whole = span_make(key, n);
	had = (uintptr_t)table_get(k->known, whole);
	if (had) {
		k->v[had - 1].count++;
		k->v[had - 1].tricks |= u->tricks;
		return;
	}
	if (k->n == b->max_urls) {
		url_cut(b, at->part);
		return;
	}
	if (k->n == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 16;

		k->v = arena_grow(k->a, k->v, k->cap * sizeof(*k->v), cap * sizeof(*k->v));
		k->cap = cap;
	}
	whole = arena_span(k->a, whole);
	e = &k->v[k->n++];
	*e = (struct url){ .kind = u->script ? URL_SCRIPT : at->kind, .tricks = u->tricks,
		.part = at->part, .offset = at->offset, .count = 1, .mail = u->mail,
		.scheme = arena_span(k->a, span_str(u->scheme)), .host = span_sub(whole, 0, u->nhost),
		.shown = span_sub(whole, u->nhost + 1, nshown),
		.target = span_sub(whole, u->nhost + nshown + 2, ntarget) };
	e->unicode = host_unicode(k->a, e->host);
	e->path = u->mail || u->script ? span_make("", 0) : path_copy(k->a, at->prose ? url_prose_path(u->path) :
	    u->path);
	if (e->target.n == 0)
		e->target = e->host;
	table_put(k->known, whole, (void *)(uintptr_t)k->n);
}

/* References resolved as in an attribute (HTML 5, 13.2.5.73); without tabs and line ends, which
 * readers drop wherever they stand. */
static struct span
attribute_plain(struct span in, char out[URL_BYTES], unsigned *tricks)
{
	size_t n = 0;

	in = span_trim(in);
	for (size_t i = 0; i < in.n && n + 4 <= URL_BYTES; ) {
		uint32_t c;
		size_t len;

		if (in.p[i] == '\t' || in.p[i] == '\r' || in.p[i] == '\n') {
			*tricks |= URL_IS_BROKEN;
			i++;
			continue;
		}
		len = in.p[i] == '&' ? html_entity(in, i, &c) : 0;
		if (len && in.p[i + len - 1] != ';' && i + len < in.n &&
		    (in.p[i + len] == '=' || (ascii_lower(in.p[i + len]) >= 'a' &&
		    ascii_lower(in.p[i + len]) <= 'z')) && in.p[i + 1] != '#')
			len = 0;
		if (len == 0) {
			out[n++] = in.p[i++];
			continue;
		}
		i += len;
		if (c == '\t' || c == '\r' || c == '\n')
			*tricks |= URL_IS_BROKEN;
		else
			n += utf8_put(out + n, c);
	}
	return span_make(out, n);
}

void
url_add(struct builder *b, enum url_kind kind, uint16_t part, uint32_t offset, struct span url,
    struct span text, const struct url_base *base)
{
	char *plain = book(b)->plain;
	struct url_found at = { kind, part, offset, text };
	struct url_parsed u = { .script = true };
	unsigned tricks = 0;
	struct span s = attribute_plain(url, plain, &tricks);
	bool long_one = s.n + 4 > URL_BYTES;

	for (unsigned n = 0; s.n && n < 100; n++) {
		bool found = url_parse(url_scratch(b), s, base, &u);

		u.tricks |= tricks;
		u.cut |= long_one && u.rest.n == 0 && !u.mail;
		if (found || u.cut)
			url_keep(b, &u, &at);
		if (!u.mail || u.more.n == 0)
			break;
		/* further addresses of a mailto: */
		memmove(plain + 7, u.more.p, u.more.n);
		memcpy(plain, "mailto:", 7);
		s = span_make(plain, u.more.n + 7);
	}
	if (!u.mail && !u.script && u.rest.n)
		url_scan_within(b, part, offset, u.rest);
}

void
url_finish(struct builder *b)
{
	struct url_book *k = b->urls;

	if (!k)
		return;
	b->out->urls = k->v;
	b->out->nurls = k->n;
	arena_free(&k->scratch);
	table_free(&k->known);
	free(k);
	b->urls = NULL;
}

/* --- what is asked of them ----------------------------------------------------------------------- */

bool
url_mismatch(const struct url *u)
{
	return u->shown.n && !span_eq(u->shown, u->target) &&
	    !span_eq(host_domain(u->shown), host_domain(u->target));
}

struct span
host_defang(struct arena *a, struct span host)
{
	size_t dots = 0, n = 0;
	char *to;

	for (size_t i = 0; i < host.n; i++)
		dots += host.p[i] == '.';
	to = arena_alloc(a, host.n + 2 * dots + 1);
	for (size_t i = 0; i < host.n; i++) {
		if (host.p[i] == '.') {
			memcpy(to + n, "[.]", 3);
			n += 3;
		} else {
			to[n++] = host.p[i];
		}
	}
	return span_make(to, n);
}

struct span
url_defang(struct arena *a, const struct url *u)
{
	struct span host = host_defang(a, u->host), plain = host_defang(a, u->unicode);
	const char *scheme = arena_str(a, u->scheme);

	if (u->kind == URL_SCRIPT)
		return span_str(arena_printf(a, "%s:", scheme));
	if (strncmp(scheme, "http", 4) == 0)
		scheme = arena_printf(a, "hxxp%s", scheme + 4);
	if (span_eq(u->host, u->unicode))
		return span_str(arena_printf(a, "%s:%s" SPAN_FMT SPAN_FMT, scheme, u->mail ? "" : "//",
		    SPAN_ARG(host), SPAN_ARG(u->path)));
	return span_str(arena_printf(a, "%s:%s" SPAN_FMT SPAN_FMT " (" SPAN_FMT ")", scheme,
	    u->mail ? "" : "//", SPAN_ARG(host), SPAN_ARG(u->path), SPAN_ARG(plain)));
}

size_t
anatomy_hosts(const struct anatomy *an, struct arena *a, size_t max, struct url_host **out,
    bool *cut)
{
	struct table *seen = table_new();
	size_t n = 0;

	*out = arena_array(a, (max < an->nurls * 2 ? max : an->nurls * 2) + 1, sizeof(**out));
	*cut = an->defects & DEFECT_URLS_CUT;
	for (size_t i = 0; i < an->nurls * 2; i++) {
		const struct url *u = &an->urls[i / 2];
		struct span host = i % 2 ? u->target : u->host;

		if (host.n == 0 || table_get(seen, host))
			continue;
		if (n == max) {
			*cut = true;
			break;
		}
		table_put(seen, host, *out);
		(*out)[n++] = (struct url_host){ host, host_domain(host) };
	}
	table_free(&seen);
	return n;
}
