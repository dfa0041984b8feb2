/* pg.h -- a connection to PostgreSQL in the event loop: libpq, never blocking.
 *
 * One struct pg is one session: it connects, prepares itself (PG_SETUP), runs batches, one at a time, and
 * is lost. A batch is a pipeline of statements with parameters and one transaction: all of it or nothing.
 * A server that does not answer in time is as lost as one that closes. Who uses it connects again by
 * pg_connect, when he likes. No callback comes from within pg_connect or pg_run.
 */
#ifndef CLUSTER_PG_H
#define CLUSTER_PG_H

#include <libpq-fe.h>

#include "master/config.h"
#include "postern/arena.h"
#include "postern/err.h"

struct event_base;
struct resolver;
struct pg;

#define PG_PARAMS_MAX 32
#define PG_QUERIES_MAX 16
#define PG_ROOTS "/etc/ssl/certs/ca-certificates.crt"	/* unless sslrootcert is said */
#define PG_CONNECT_US (INT64_C(10) * 1000000)	/* for a connection, its TLS and its password */

struct pg_world {
	struct event_base *base;
	struct resolver *resolver;
	const struct conf_base *conf;
	struct ip known[BASE_HOSTS_MAX];	/* of names: where the DNS knows nothing */
	const char *password;		/* NULL: none */
	const char *node;		/* application_name: who looks at pg_stat_activity sees it */
};

struct pg_ops {
	void (*ready)(void *ctx);
	/* Also when it never was ready. A batch under way has been told (done, ok false) before. */
	void (*lost)(void *ctx, const char *why);
	void (*notified)(void *ctx, const char *channel, const char *what);
};

struct pg *pg_new(const struct pg_world *w, const struct pg_ops *ops, void *ctx);
void pg_free(struct pg **p);
void pg_connect(struct pg *p);
void pg_drop(struct pg *p, const char *why);	/* lost() follows in a turn of its own */
bool pg_ready(const struct pg *p);		/* and no batch is under way */

/* ---- a batch ---- */
struct pg_query {
	const char *sql;
	int n;
	Oid types[PG_PARAMS_MAX];
	const char *values[PG_PARAMS_MAX];	/* borrowed until pg_run has returned */
	int lengths[PG_PARAMS_MAX];
};
/* Parameters, in binary: the arena lives as long as pg_run takes. */
void pg_int(struct pg_query *q, int64_t v, struct arena *a);
void pg_text(struct pg_query *q, struct span s);
void pg_blob(struct pg_query *q, struct span s);
void pg_none(struct pg_query *q);		/* NULL, of a type PostgreSQL finds */
void pg_array(struct pg_query *q, Oid element, struct span binary);

struct pg_end {
	bool ok;
	bool lost;			/* not known whether it was done */
	char sqlstate[6];		/* "" : it is not the server who says so */
	const char *text;
};
/* rows: of query i, as binary; only of batches that succeed so far. */
typedef void pg_rows(void *ctx, size_t i, const PGresult *rows);
typedef void pg_done(void *ctx, const struct pg_end *end);
void pg_run(struct pg *p, const struct pg_query *q, size_t n, int64_t timeout_us, pg_rows *rows,
    pg_done *done, void *ctx);

/* ---- values of a result ---- */
int64_t pg_get_int(const PGresult *r, int row, int col);	/* int8, int4, int2, bool; 0 for NULL */
struct span pg_get(const PGresult *r, int row, int col);	/* text, bytea: borrowed */
#define PG_INT8 20
#define PG_INT4 23
#define PG_INT2 21
#define PG_BOOL 16
#define PG_TEXT 25
#define PG_BYTEA 17
#define PG_INT8_ARRAY 1016
#define PG_TEXT_ARRAY 1009
#define PG_BYTEA_ARRAY 1001

#endif
