/* filter.h -- what goes into an LDAP question: templates, and the escaping of all that
 * comes from outside.
 *
 * Pure. A template is what the administrator wrote: a filter (RFC 4515) or a DN (RFC 4514) with
 * %m the address, %u its local part, %d its domain, %% a percent sign. What takes their places
 * is escaped, so that it can be nothing but a value, whatever a stranger put into an address.
 */
#ifndef DIRECTORY_FILTER_H
#define DIRECTORY_FILTER_H

#include "buf.h"
#include "postern/arena.h"
#include "postern/err.h"

#define FILTER_MAX 8192		/* of a filter that is sent */
#define DN_MAX 4096

/* RFC 4515, 3: `(` `)` `*` `\` NUL, and all that is not printable ASCII, as \xx. */
void filter_escape(struct buf *b, struct span value);
/* RFC 4514, 2.4: what has a meaning in a DN, and the ends of the value. */
void dn_escape(struct buf *b, struct span value);

enum template_kind { TEMPLATE_FILTER, TEMPLATE_DN };

/* Whether it can be used: known % only, at least one of them; a filter has its brackets in
 * pairs. */
bool template_check(enum template_kind kind, struct span text, struct err *err);
/* text with the address in its places, in the arena. -1: longer than its maximum. An address
 * without @ (a user's name) is its own local part, with an empty domain. */
int template_expand(enum template_kind kind, struct span text, struct span address,
    struct arena *a, struct span *out, struct err *err);

/* A DN as it can be compared byte by byte: attribute names and values in lower case, no space
 * around separators, escapes in one spelling. false: it is none. Reads it with libldap. */
bool dn_normalise(struct arena *a, struct span dn, struct span *out);
/* dn lies at or below base; both as dn_normalise left them. */
bool dn_within(struct span dn, struct span base);

#endif
