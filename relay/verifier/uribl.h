/* uribl.h -- blocklists of the domains that a message's links lead to (RFC 5782, 4). Pure.
 *
 * The links come from policy/anatomy, asked with small budgets: texts and HTML, no archives. What
 * is asked for is the domain that somebody registered, of an address the address; our own
 * domains never are. Of more than URIBL_DOMAINS the first in the message are asked.
 */
#ifndef VERIFIER_URIBL_H
#define VERIFIER_URIBL_H

#include "postern/facts.h"
#include "verifier/dnsbl.h"

#define URIBL_DOMAINS 40
#define URIBL_QUESTIONS 200		/* of the message's book: domains times lists */

struct uribl;

/* ours: may a domain be left out? */
struct uribl *uribl_new(struct arena *a, struct dns_book *book, const struct dnsbl_list *lists,
    size_t n, struct span raw, bool (*ours)(void *ctx, struct span domain), void *ctx);
bool uribl_step(struct uribl *u);		/* true: done */
void uribl_abort(struct uribl *u);		/* time is up */
/* Sets listed_known and listed_hosts; not known where no list answered for anything. */
void uribl_facts(const struct uribl *u, struct arena *a, struct facts *f);

#endif
