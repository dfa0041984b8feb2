/* probe.h -- `postern probe HOST PORT`: what a mail server says of itself, and how fast. Never a MAIL command.
 *
 *	addresses and TLSA -> connect -> 220 -> EHLO -> STARTTLS -> handshake -> EHLO -> QUIT
 *
 * One address after the other until one takes the connection. Each step has its time and its words;
 * the first that fails ends it. What the server says is hostile text: bounded (reply.h), printable.
 * Callers: delivery for the control socket and the console, and the tool itself where no daemon runs.
 */
#ifndef DELIVERY_PROBE_H
#define DELIVERY_PROBE_H

#include "json.h"
#include "net/resolver.h"
#include "postern/arena.h"

struct ssl_ctx_st;

#define PROBE_ADDRESSES_MAX 8
#define PROBE_STEPS_MAX 16
#define PROBE_EXTENSIONS_MAX 64
#define PROBE_STEP_US (INT64_C(10) * 1000000)
#define PROBE_ALL_US (INT64_C(40) * 1000000)

struct probe_setup {
	struct event_base *base;
	struct resolver *resolver;
	struct ssl_ctx_st *tls;
	struct span hello;
	const struct ip *sources;	/* the first of the target's family is sent from; none: the system's choice */
	size_t nsources;
	struct span host;		/* a name, or an address */
	uint16_t port;
};

struct probe;
/* It is over; p is freed behind it. */
typedef void probe_done(void *ctx, const struct probe *p);

/* Texts are copied; never calls back from within. */
struct probe *probe_start(const struct probe_setup *s, probe_done *done, void *ctx);
/* {"host","port","ok","error","address","addresses","steps":[{"step","ms","said"}],"banner","name","extensions","size",
 * "starttls","tls","certificate","tlsa":[{"record","matches"}],"tlsa_secure"} */
void probe_write(const struct probe *p, struct json *j);
bool probe_ok(const struct probe *p);

#endif
