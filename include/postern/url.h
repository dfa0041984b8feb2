/* url.h -- where the links of a message lead.
 *
 * Kept are hosts, not every URL: an entry for each host that something leads to,
 * and, of links whose text shows another host than they lead to, one for each such
 * pair. So a log file with a million URLs of three hosts has three entries.
 *
 * Hosts have one spelling: lower case, A-labels (UTS #46), no dot at the end; IPv4 in
 * four decimal numbers whatever it was written in, IPv6 in brackets. Nothing is asked
 * of anybody: what is a public suffix is known from libpsl's own list.
 */
#ifndef POSTERN_URL_H
#define POSTERN_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postern/arena.h"
#include "postern/span.h"

struct anatomy;

/* How it stands in the message. X(NAME, "name") */
#define URL_KINDS(X) \
	X(TEXT, "text") X(LINK, "link") X(FORM, "form") X(FETCHED, "fetched") X(REFRESH, "refresh") \
	X(BASE, "base") X(DOCUMENT, "document") X(WITHIN, "within") X(SCRIPT, "script")
/* TEXT: as people write it. LINK: to be clicked, of HTML. FORM: where a form is sent. FETCHED: a
 * picture, a style sheet, a frame. REFRESH, BASE: of HTML's head. DOCUMENT: a link of a PDF or an
 * office document. WITHIN: in the path or query of another (redirectors, link protection). SCRIPT:
 * javascript: or vbscript:, which has no host. */
enum url_kind {
#define X(name, text) URL_##name,
	URL_KINDS(X)
#undef X
	URL_KIND_COUNT
};
const char *url_kind_name(enum url_kind k);

/* Ways to hide where it leads. X(NAME, bit, "name") */
#define URL_TRICKS(X) \
	X(OBFUSCATED, 0, "obfuscated") X(USERINFO, 1, "userinfo") X(NUMERIC, 2, "numeric-address") \
	X(ESCAPED, 3, "escaped-host") X(BACKSLASH, 4, "backslash") X(BROKEN, 5, "broken-by-white-space")
/* OBFUSCATED: hxxp, [.] and such. USERINFO: something stands before an @. NUMERIC: an IPv4 address not
 * in its usual form. ESCAPED: %XX within the host. BACKSLASH: for a slash. BROKEN: tabs or line ends,
 * which readers drop. */
enum {
#define X(name, bit, text) URL_IS_##name = 1 << (bit),
	URL_TRICKS(X)
#undef X
};

struct url {
	enum url_kind kind;	/* of the first of them */
	unsigned tricks;	/* of any of them */
	uint16_t part;		/* of the first: index of its part … */
	uint32_t offset;	/* … and where in its decoded bytes */
	uint32_t count;
	bool mail;		/* mailto: */
	struct span scheme;	/* "https"; of what had none, the one a reader takes */
	struct span host;	/* "" for SCRIPT */
	struct span unicode;	/* the host as people read it, U-labels */
	struct span path;	/* the first URL_PATH bytes, as written; no user, query or fragment */
	struct span shown;	/* a host that is shown in its place: in a link's text, or before an @; "" none */
	struct span target;	/* where a link that was made safe leads in the end; else the host */
};
#define URL_PATH 120
#define URL_BYTES 8192		/* of an attribute: its host must end within … */
#define URL_AUTHORITY 1024	/* … and in a text, within these behind the slashes */

/* The domain that somebody registered, "example.co.uk" of "www.example.co.uk"; of an address, and of a
 * public suffix, itself. Borrowed from host. */
struct span host_domain(struct span host);
bool host_is_address(struct span host);
/* Is what is shown of another organisation than where it leads? */
bool url_mismatch(const struct url *u);
/* As it may be shown: "hxxps://paypa1[.]example/login". No user, no query, one line. */
struct span url_defang(struct arena *a, const struct url *u);
struct span host_defang(struct arena *a, struct span host);

/* For who asks blocklists: the distinct hosts, at most max of them; addresses too, scripts not. *cut: there
 * were more (then the message has more than can be asked, or the defect urls-cut). */
struct url_host {
	struct span host, domain;
};
size_t anatomy_hosts(const struct anatomy *an, struct arena *a, size_t max, struct url_host **out,
    bool *cut);

#endif
