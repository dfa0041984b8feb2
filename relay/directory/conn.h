/* conn.h -- one connection to an LDAP server, in the event loop.
 *
 * Resolved, connected, TLS where it is asked for, bound: then `ready`, and searches go out
 * side by side, each known by its number. The sockets are ours and never block: libldap
 * makes and reads the protocol through a layer of ours (lber's Sockbuf_IO) over net/transport, which
 * also does TLS, so that neither a silent server nor a slow handshake holds up the process.
 * libldap itself connects nowhere, follows no referral and reads no file.
 *
 * Callbacks come from the event loop only, and may close the connection.
 */
#ifndef DIRECTORY_CONN_H
#define DIRECTORY_CONN_H

#include "master/config.h"
#include "postern/err.h"

struct lconn;
struct event_base;
struct ldapmsg;
struct resolver;
struct ssl_ctx_st;

#define CONN_PDU_MAX (1u << 20)		/* one entry of an answer */

struct lconn_setup {
	struct event_base *base;
	struct resolver *resolver;	/* for names */
	struct ssl_ctx_st *tls;
	const struct conf_directory *dir;
	const struct conf_ldap_server *server;
	struct ip known;		/* of a name that the DNS does not know (/etc/hosts) */
	const char *dn;			/* NULL: ready without a bind */
	struct span password;		/* borrowed as long as the connection lives */
};

struct lconn_ops {
	void (*ready)(void *ctx, struct lconn *c);
	/* The connection is no more, or never came to be; forget it, do not close it. refused: the server
	 * answers, but does not let us in (a wrong password, a certificate). */
	void (*closed)(void *ctx, struct lconn *c, const char *why);
	/* One entry of search `id`; entry as libldap has it, with its handle. */
	void (*entry)(void *ctx, struct lconn *c, int id, void *ld, struct ldapmsg *entry);
	/* The end of `id`: LDAP's result code, and the server's words. */
	void (*result)(void *ctx, struct lconn *c, int id, int code, const char *text);
};

/* libldap's settings for the whole process, once, before the sandbox: no file of the system's or
 * the user's is honoured, and its memory is wiped when it is freed (passwords pass through it). */
int lconn_library(struct err *err);

struct lconn *lconn_new(const struct lconn_setup *how, const struct lconn_ops *ops, void *ctx);
void lconn_close(struct lconn **c);	/* NULL-safe; says goodbye; freed at the end of the turn */
/* A number above 0, or -1: the connection is going (`closed` will come, or it is dead already). */
int lconn_search(struct lconn *c, const char *base, int scope, const char *filter,
    const char *const *attributes, int max);
/* The password must not be empty. */
int lconn_bind(struct lconn *c, const char *dn, struct span password);
void lconn_abandon(struct lconn *c, int id);
/* "dc1.example.org[10.0.0.1]:636 TLSv1.3", as far as it is known. */
const char *lconn_text(const struct lconn *c);
bool lconn_is_ready(const struct lconn *c);
int64_t lconn_since(const struct lconn *c);	/* clock_mono when it became ready */

#endif
