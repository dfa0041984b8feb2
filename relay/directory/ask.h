/* ask.h -- what the other roles want to know of an address, answered from the cache or by LDAP.
 *
 *	values	an attribute of the entries that a filter finds (routes, recipients)
 *	groups	the groups an address is in, nested ones with them
 *	exists	whether a group is there at all: one that is not would be empty for ever
 *	login	whether a name and a password are right; never kept
 *
 * An answer is a certain yes, a certain no, or UNKNOWN: LDAP cannot be asked, and what was
 * known of old is too old. Equal questions that are under way are asked once. What LDAP said
 * stays usable for `stale` when it can be asked no more.
 */
#ifndef DIRECTORY_ASK_H
#define DIRECTORY_ASK_H

#include "directory/cache.h"
#include "directory/pool.h"

struct asker;

#define GROUPS_DEPTH_MAX 16	/* of groups within groups */
#define GROUPS_MAX CACHE_VALUES_MAX	/* of one address */

enum ask_status { ASK_FOUND, ASK_MISSING, ASK_UNKNOWN, ASK_STATUSES };

struct answer {			/* borrowed while the callback runs */
	enum ask_status status;
	const struct span *values;	/* groups: as dn_normalise leaves them */
	size_t n;
	bool cached, stale;
	int64_t made;		/* clock_real */
	const char *text;	/* UNKNOWN: why */
	/* for people; "" when it came from the cache */
	const char *filter, *dn, *server;
	enum cache_age was;	/* what the cache had when LDAP was asked afresh */
	int64_t was_made;
};
typedef void ask_cb(void *ctx, const struct answer *a);

struct asker *asker_new(const struct config *conf, struct event_base *base,
    struct cache *cache);
void asker_free(struct asker **k);
/* The pool of a directory; made from how->dir. */
void asker_add(struct asker *k, const struct pool_setup *how);
struct pool *asker_pool(const struct asker *k, const struct conf_directory *dir);

/* Whether an address can be in this directory at all. */
bool ask_covers(const struct conf_directory *dir, struct span address);

/* Each calls back once: from within when the cache knows it, else from the loop. fresh: the cache is
 * not asked (but for stale answers), for people. */
void ask_values(struct asker *k, const struct conf_directory *dir, struct span filter,
    struct span attribute, struct span address, bool fresh, ask_cb *cb, void *ctx);
void ask_groups(struct asker *k, const struct conf_directory *dir, struct span address, bool fresh,
    ask_cb *cb, void *ctx);
void ask_exists(struct asker *k, const struct conf_directory *dir, struct span dn, bool fresh,
    ask_cb *cb, void *ctx);
/* Of an entry that is known by its DN; never kept, never of old. Groups: its own DN is the first of them. */
void ask_groups_of(struct asker *k, const struct conf_directory *dir, struct span dn, ask_cb *cb, void *ctx);
void ask_attribute(struct asker *k, const struct conf_directory *dir, struct span dn, struct span attribute,
    ask_cb *cb, void *ctx);
/* The one entry that the filter finds for a name, without a bind: FOUND with answer.dn, or MISSING. */
void ask_entry(struct asker *k, const struct conf_lookup *how, struct span user, ask_cb *cb, void *ctx);
/* FOUND: right, and answer.dn is whose; MISSING: wrong. */
void ask_login(struct asker *k, const struct conf_lookup *how, struct span dn_template,
    struct span user, struct span password, ask_cb *cb, void *ctx);

#endif
