/* pool.h -- one named directory: its servers, its connections, what waits for an answer.
 *
 * Searches share one connection, bound as postern.yaml says; a user's bind has a connection
 * of its own for that moment. Servers are tried in their order. One that cannot be had rests (1 s,
 * doubling to 60 s) and is not asked meanwhile: when all rest, questions fail at once. A
 * search whose connection is lost goes to the next server once; an answer that never
 * comes ends the connection it was expected on, with all that waits there.
 */
#ifndef DIRECTORY_POOL_H
#define DIRECTORY_POOL_H

#include "directory/conn.h"

#define POOL_WAITING_MAX 2000		/* questions; more fail at once */
#define POOL_BINDS_MAX 8		/* users that are checked at once */

struct pool;

struct found_entry {
	struct span dn;
	const struct span *values;	/* of the first attribute that was asked for */
	size_t n;
};

enum pool_status {
	POOL_OK,
	POOL_NO_OBJECT,		/* the base is not there */
	POOL_TOO_MANY,		/* more entries or values than were asked for */
	POOL_REFUSED,		/* a bind: wrong name or password */
	POOL_FAILED,		/* it cannot be known now */
};

struct pool_answer {		/* borrowed while the callback runs */
	enum pool_status status;
	const struct found_entry *entries;
	size_t n;
	const char *text;	/* why not */
	const char *server;	/* who answered; "" nobody */
};
typedef void pool_cb(void *ctx, const struct pool_answer *a);

struct pool_setup {
	struct event_base *base;
	struct resolver *resolver;
	struct ssl_ctx_st *tls;
	const struct conf_directory *dir;
	struct ip known[DIRECTORY_SERVERS_MAX];
	struct span password;
};

struct pool *pool_new(const struct pool_setup *how);
void pool_free(struct pool **p);	/* nothing is called back */

struct pool_search {
	const char *base;
	bool subtree;			/* else just the base */
	const char *filter;
	const char *attribute;		/* NULL: none, only whether and where */
	size_t max;			/* entries, and values of each */
};
/* Never call back from within. Texts are copied; the password's copy is wiped. */
void pool_search(struct pool *p, const struct pool_search *s, pool_cb *cb, void *ctx);
/* An empty password is refused here (RFC 4513, 5.1.2). */
void pool_bind(struct pool *p, const char *dn, struct span password, pool_cb *cb, void *ctx);

/* For people. */
struct pool_server {
	const struct conf_ldap_server *conf;
	unsigned failures;
	int64_t rests;			/* microseconds it will rest yet; 0: it may be asked */
	const char *why;		/* it failed last; "" it did not */
	bool used;			/* the searches go there now */
};
size_t pool_servers(const struct pool *p, struct pool_server *out);
bool pool_down(const struct pool *p);	/* all servers rest */

#endif
