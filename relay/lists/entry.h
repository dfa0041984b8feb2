/* entry.h -- one entry of the lists of senders: what it may name, and how that is written. Pure.
 *
 *	a@b		that address; the sender's or the author's (From:)
 *	@b		all of that domain, and of the domains below it
 *	192.0.2.0/24	clients; only administrators of all or of a domain may name them
 *
 * One spelling for each: domains in lower-case A-labels, local parts in lower case, networks by their
 * first address. Two spellings of one thing are one entry.
 */
#ifndef LISTS_ENTRY_H
#define LISTS_ENTRY_H

#include "addr.h"
#include "postern/facts.h"

/* Limits of the lists; docs/LISTS.md has them as a table. */
#define LISTS_WHAT_MAX 320		/* bytes: RFC 5321, 4.5.3.1, a local part, @ and a domain */
#define LISTS_OWNER_MAX 320
#define LISTS_REASON_MAX 200
#define LISTS_USER_MAX 1000		/* entries of one recipient */
#define LISTS_DOMAIN_MAX 20000		/* of one domain */
#define LISTS_ALL_MAX 200000		/* of the administrators of all */
#define LISTS_MAX 2000000		/* together */
#define LISTS_BITS4_MIN 8		/* a shorter prefix is half the world */
#define LISTS_BITS6_MIN 16

enum entry_kind { ENTRY_ADDRESS, ENTRY_DOMAIN, ENTRY_NETWORK, ENTRY_KINDS };

struct entry {
	uint64_t number;
	enum list_scope scope;
	enum list_side side;
	enum entry_kind kind;
	bool unauthenticated;		/* it counts though nothing proves the sender */
	int64_t expires;		/* Unix microseconds; 0: never */
	struct span owner;		/* an address, a domain; "" for all */
	struct span who;		/* who answers for it, and made it */
	struct span what, reason;
};

/* text in its one spelling. -1: err says what may stand there, with a did-you-mean. */
int entry_what(struct arena *a, struct span text, enum entry_kind *kind, struct span *what, struct err *err);
/* The owner of a list of that scope in its one spelling ("" for all). */
int entry_owner(struct arena *a, enum list_scope scope, struct span text, struct span *owner,
    struct err *err);
/* The address without a "+tag" in its local part; the same span where it has none. */
struct span address_untagged(struct arena *a, struct span address);
/* Lower case throughout; domain in A-labels. */
struct span address_folded(struct arena *a, struct span address);

/* Which of all that speaks of a message decides: docs/LISTS.md, the table. mask: LISTED_BIT of what counts;
 * false: nothing does. */
bool lists_decide(unsigned mask, enum list_scope *scope, enum list_side *side);

#endif
