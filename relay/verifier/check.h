/* check.h -- all that is found out about who sent one message, in the event loop.
 *
 * The evaluators (SPF, DKIM, ARC, DMARC) are pure and share one book of DNS
 * questions; a check asks the resolver, wakes them when answers come, and has one
 * time limit for everything. What needs no message begins in check_new();
 * check_message() brings the rest. When the time is up, what is missing is temperror:
 * a check always ends, and what that means is the policy's business.
 */
#ifndef VERIFIER_CHECK_H
#define VERIFIER_CHECK_H

#include "ipc/messages_verify.h"
#include "master/config.h"
#include "verifier/dmarc.h"
#include "verifier/dnsbl.h"
#include "verifier/filter.h"
#include "verifier/seals.h"
#include "verifier/signatures.h"
#include "verifier/spf.h"
#include "verifier/uribl.h"

struct event_base;
struct reputation;
struct resolver;

struct check_world {
	struct event_base *base;
	struct resolver *resolver;
	const struct config *conf;
	const struct dmarc_psl *psl;
	bool rate;		/* the spam filter of conf is asked */
	const struct reputation *reputation;	/* NULL: our own experience is not asked */
};

struct check;

/* It is done; now, or at any later time, check_free. Never from within a call. */
typedef void check_cb(void *ctx, struct check *c);

/* who is copied. */
struct check *check_new(const struct check_world *w, const struct msg_identify *who);
/* raw must stay until check_free. */
void check_message(struct check *c, struct span raw, check_cb *cb, void *ctx);
void check_free(struct check **c);	/* NULL-safe; its questions are given up */

const struct msg_identify *check_who(const struct check *c);
/* Once it is done; everything lives in a. */
void check_answer(struct check *c, struct arena *a, struct msg_facts *out);

#endif
