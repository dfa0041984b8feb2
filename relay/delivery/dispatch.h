/* dispatch.h -- which way each recipient of a job goes, where more than his domain decides.
 *
 * The queue hands over what of a message goes to one domain. Lines of postern.yaml may tell
 * recipients of one domain apart, or senders, and a directory may have to be asked. So
 * a job is looked at here first; where its recipients go different ways it becomes parts,
 * and their results are put together again: the queue sees one job and one RESULT.
 *
 * What cannot be known (LDAP is down, and nothing is known of old) is put off, for those
 * recipients alone. A part that goes another way than its domain's says nothing about
 * the domain when its servers cannot be reached: the site does not rest for it.
 */
#ifndef DELIVERY_DISPATCH_H
#define DELIVERY_DISPATCH_H

#include "delivery/job.h"
#include "ipc/channel.h"

struct dispatch;
struct policy;

#define DISPATCH_PATIENCE (INT64_C(30) * 1000000)	/* for the directory's answers */

struct dispatch_setup {
	struct carrier *c;
	const struct policy *groups;	/* of senders, for sender_routes; NULL: no line asks */
	/* The job is over; takes it. As carrier.done, which is dispatch_done. */
	void (*done)(void *ctx, struct job *job);
	void *ctx;
};

struct dispatch *dispatch_new(const struct dispatch_setup *how);
/* The directory's channel; NULL: gone. */
void dispatch_directory(struct dispatch *d, struct link *l);
int dispatch_found(struct dispatch *d, struct frame *f);	/* FOUND. -1: nonsense */
int dispatch_memberships(struct dispatch *d, struct frame *f);
/* Takes the job. */
void dispatch_take(struct dispatch *d, struct job *job);
void *dispatch_context(void *ctx);	/* of dispatch_setup, for whom carrier.ctx is the dispatch */
void dispatch_done(void *ctx, struct job *job);		/* ctx: the dispatch */
/* What waits for the directory is handed back. */
void dispatch_retire(struct dispatch *d);
void dispatch_tick(struct dispatch *d, int64_t now);	/* each second; clock_mono */
size_t dispatch_count(const struct dispatch *d);	/* jobs that are here */

/* One address, for people: what decides, and the way. */
struct dispatch_answer {
	const struct conf_route *line;	/* NULL: none, by MX */
	struct span way;		/* empty: there is none, and why says it */
	struct span hops;		/* what the directory said */
	bool asked, stale;		/* the directory was; it knew it of old */
	const struct smtp_result *why;
};
typedef void dispatch_cb(void *ctx, const struct dispatch_answer *a);
void dispatch_ask(struct dispatch *d, struct span domain, struct span address, struct span sender,
    dispatch_cb *cb, void *ctx);

#endif
