/* runtime.h -- what every event-driven role has in common: its place in the house.
 *
 * A role is a struct role_ops and nothing else global. posternd execs itself
 * as `posternd --role NAME --instance N`, with these descriptors open:
 * 2 log, 3 control channel to the master, 4 postern.yaml as a sealed memfd,
 * 5 shared memory (counters, limits). Then, in this order:
 *
 *   start()   with the privileges of the starter: read keys, certificates, lists, open folders
 *   (runtime)  drops to the role's account, enters the sandbox
 *   run()     sockets and events; the loop is about to start
 *   READY goes to the master; peers and listeners arrive; work
 *   retire()  no new work; call runtime_finish() once all is finished
 *
 * Blocking roles (scanner workers, store) use the same start-up with a loop
 * of their own: ops->loop.
 */
#ifndef MASTER_RUNTIME_H
#define MASTER_RUNTIME_H

#include "ipc/channel.h"
#include "ipc/messages.h"
#include "master/config.h"
#include "master/counters.h"
#include "master/sandbox.h"

struct event_base;
struct startup;

struct runtime {
	enum role role;
	uint32_t instance;		/* unique among all processes since the master started */
	uint32_t place;			/* unique among those that live: for ids */
	const struct config *conf;
	struct event_base *base;
	struct link *master;
	void *state;			/* the role's own */
	uid_t uid;			/* of the role after dropping, for files made in start() */
	gid_t gid;
	bool retiring;
	int64_t retire_by;		/* clock_mono: no later than this; 0: the role's own haste */
	bool privileged;		/* started as root: files can be given to the role */
	struct shared *shared;
};

struct role_ops {
	enum role role;
	const struct sandbox *sandbox;
	int (*start)(struct runtime *rt, struct err *err);
	int (*run)(struct runtime *rt, struct err *err);
	/* A channel to another role; keep it until peer_down. */
	void (*peer_up)(struct runtime *rt, struct link *l);
	void (*peer_down)(struct runtime *rt, struct link *l);
	/* A frame from a peer. Return -1 when its body breaks the rules: the runtime cuts the
	 * peer off and tells the master, which ends it. */
	int (*frame)(struct runtime *rt, struct link *l, struct frame *f);
	/* A bound, listening, non-blocking socket of config_endpoint(index). */
	void (*listener)(struct runtime *rt, uint32_t index, int fd);
	/* A control client: one request (a JSON object with "cmd"); answer on fd, JSON lines, then
	 * close it. The role owns fd (non-blocking). uid is the caller's. */
	void (*client)(struct runtime *rt, int fd, uint32_t uid, struct span request);
	void (*retire)(struct runtime *rt);
	/* Retiring already, and now there is less time: rt->retire_by is new. May be NULL. */
	void (*hurry)(struct runtime *rt);
	/* The policy in force, a POLICY frame, or an EVENT of the master's (the store only). -1: its body breaks the rules. */
	int (*policy)(struct runtime *rt, struct frame *f);
	/* The lists of senders, a LISTS frame (receivers only). -1: its body breaks the rules. */
	int (*lists)(struct runtime *rt, struct frame *f);
	/* rt->conf is new (queue and store only, the others are started anew); may be NULL. */
	void (*reconfigured)(struct runtime *rt);
};

/* Runs a role to its end; the process's exit status. */
int runtime_main(const struct role_ops *ops, const struct startup *su);
/* Of the ids this process makes, with the node's number as configured now. */
uint32_t runtime_id_slot(const struct runtime *rt);
/* All is finished after retire(): leave the loop, exit 0. */
void runtime_finish(struct runtime *rt);

extern const struct role_ops receiver_ops, signer_ops, queue_ops, delivery_ops, store_ops,
    authenticator_ops, directory_ops, fetcher_ops, verifier_ops, console_ops, editor_ops,
    counters_ops, cluster_ops;
/* The scanner is a parent that loads once and forks workers: it has a main of its own. */
int scanner_main(const struct startup *su);

/* Writes everything to a control client's socket without blocking the role: buffers up to
 * 64 MiB, closes fd when done. */
struct reply;
struct reply *reply_new(struct runtime *rt, int fd);
/* One that goes nowhere: what was written is read with reply_buf, and reply_end forgets it. */
struct reply *reply_gather(void);
struct buf *reply_buf(struct reply *r);		/* write JSON lines here … */
void reply_send(struct reply *r);		/* … and let them go; more may follow */
void reply_end(struct reply **r);		/* the rest, then close */
void reply_error(struct runtime *rt, int fd, const char *why);	/* {"v":1,"error":why}, then close */

#endif
