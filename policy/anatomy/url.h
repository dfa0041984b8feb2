/* url.h -- links as they are found, and the book in which their hosts are kept; see postern/url.h. */
#ifndef ANATOMY_URL_H
#define ANATOMY_URL_H

#include "anatomy/mime.h"
#include "postern/url.h"

#define HOST_MAX 254

/* --- url.c: one URL ------------------------------------------------------------------------ */

struct url_parsed {
	char scheme[16];
	char host[HOST_MAX];	/* NUL-terminated; "" none */
	char user[HOST_MAX];	/* a host that stands before an @ */
	size_t nhost, nuser;
	unsigned tricks;
	bool mail, script;
	bool relative;		/* to a base that is not known */
	bool cut;		/* too long: its host did not end */
	struct span path;	/* up to query or fragment */
	struct span rest;	/* all behind the host */
	struct span more;	/* mailto: further addresses */
};

/* What relative ones lead to: the host of a <base>. */
struct url_base {
	char host[HOST_MAX];
	bool known;
};

/* As a reader of HTML takes it (the URL standard of WHATWG); in: entities resolved, without the
 * tabs and line ends that readers drop. false: it leads to no host and is no script. base may be NULL. */
bool url_parse(struct arena *scratch, struct span in, const struct url_base *base,
    struct url_parsed *out);
/* "user@host:port" by the same rules, into what url_parse() has begun. */
bool url_authority(struct arena *scratch, struct span in, struct url_parsed *out);
/* Any spelling of a host to the one that counts; its length, 0: it is none. */
size_t host_normalise(struct arena *scratch, struct span in, char out[HOST_MAX], unsigned *tricks);
/* Is it a top-level domain or another suffix that the list has, not just any last label? */
bool host_suffix_known(struct span host);
bool host_is_suffix(struct span host);	/* a registry's own: "co.uk", not "github.io" */
struct span host_unicode(struct arena *a, struct span host);

/* --- url_book.c: what is kept -------------------------------------------------------------------- */

struct url_found {		/* beside what was parsed */
	enum url_kind kind;
	uint16_t part;
	uint32_t offset;
	struct span shown;	/* of a link: what people read; any text */
	bool prose;		/* path is what follows in a text, and may be more */
};
void url_keep(struct builder *b, const struct url_parsed *u, const struct url_found *at);
/* A URL of a file's own (a PDF's, an office document's) or of an attribute. text: may be "". */
void url_add(struct builder *b, enum url_kind kind, uint16_t part, uint32_t offset, struct span url,
    struct span text, const struct url_base *base);
void url_cut(struct builder *b, uint16_t part);
struct arena *url_scratch(struct builder *b);
/* Gives the entries to the anatomy. */
void url_finish(struct builder *b);

/* --- url_text.c: in texts ---------------------------------------------------------------------- */

/* Every URL of a text. folded: lines go on behind a line end with a space (RFC 5545, 3.1). */
void url_scan(struct builder *b, uint16_t part, const struct text *t, bool folded);
/* Those within the path and query of another one. */
void url_scan_within(struct builder *b, uint16_t part, uint32_t offset, struct span rest);
/* The host that a text shows to people: of its first URL, or the one that it is; false: none. mail: also
 * that of an address. */
bool url_shown(struct arena *scratch, struct span text, bool mail, char out[HOST_MAX], size_t *n);
/* The path that begins a text; "" when it does not. */
struct span url_prose_path(struct span s);
/* Where a link that was made safe by a mail filter leads in the end; false: it is none, or hides it. */
bool url_unwrap(struct arena *scratch, const struct url_parsed *u, char out[HOST_MAX], size_t *n);

#endif
