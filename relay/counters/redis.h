/* redis.h -- one connection to Redis or Valkey, in the event loop.
 *
 * Commands are written together at the end of the turn and answered in their order (pipelining).
 * hiredis reads the protocol (RESP2); the bytes are ours (net/transport.h), since hiredis 0.14, Debian
 * 12's, has no TLS and resolves names blocking.
 *
 * A connection that ends for whatever reason is tried again by itself, after REDIS_RETRY_MIN to
 * REDIS_RETRY_MAX. What was not answered by then is told so (reply NULL): it may have been carried
 * out or not.
 */
#ifndef COUNTERS_REDIS_H
#define COUNTERS_REDIS_H

#include "master/config.h"

#define REDIS_RETRY_MIN (INT64_C(100) * 1000)
#define REDIS_RETRY_MAX (INT64_C(2) * 1000000)
#define REDIS_PATIENCE (INT64_C(3) * 1000000)	/* for connecting, TLS, and the first answers */
#define REDIS_OUT_MAX (64u << 20)	/* bytes of commands that wait to be written */

struct event_base;
struct redis;
struct redisReply;
struct resolver;
struct ssl_ctx_st;

/* reply NULL: the connection is gone. Never from within redis_send. */
typedef void redis_cb(void *ctx, void *what, const struct redisReply *reply);

struct redis_ops {
	/* Connected, and who we are is believed. */
	void (*up)(void *ctx);
	/* It was up, or could not be had; why for people. What waited has been told. */
	void (*down)(void *ctx, const char *why);
};

/* Of `password_file`, or of the URL; "": none. */
int redis_password(const struct conf_counters *c, struct arena *a, struct span *out, struct err *err);

struct redis_setup {
	struct event_base *base;
	const struct conf_counters *conf;
	struct span password;
	struct ssl_ctx_st *tls;		/* NULL: without */
	struct resolver *resolver;	/* for a server that is named, not numbered */
};

/* Connects at the next turn. The setup's texts outlive it. */
struct redis *redis_new(const struct redis_setup *how, const struct redis_ops *ops, void *ctx);
void redis_free(struct redis **r);
/* -1: there is no connection, or too much waits; cb will not be called then. cb may be NULL. */
int redis_send(struct redis *r, size_t argc, const struct span *argv, redis_cb *cb, void *what);
/* Ends the connection, and tries again later: down() is called at the end of the turn. */
void redis_fail(struct redis *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* It answers as it should: the next failure is tried again soon. */
void redis_good(struct redis *r);
bool redis_is_up(const struct redis *r);
size_t redis_waiting(const struct redis *r);	/* commands without an answer */
/* How long it has said nothing although it was asked; 0: nothing is asked. Microseconds. */
int64_t redis_silence(const struct redis *r);

#endif
