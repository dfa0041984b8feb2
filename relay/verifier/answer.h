/* answer.h -- what was found out about a message, as facts, as a header field, as a line for the log. Pure. */
#ifndef VERIFIER_ANSWER_H
#define VERIFIER_ANSWER_H

#include "ipc/messages_verify.h"
#include "master/config.h"
#include "receiver/reputation.h"
#include "verifier/dmarc.h"
#include "verifier/dnsbl.h"
#include "verifier/hosts.h"
#include "verifier/seals.h"
#include "verifier/signatures.h"
#include "verifier/spf.h"
#include "verifier/uribl.h"

struct check_found {
	const struct msg_identify *who;
	const struct mail *mail;
	const struct config *conf;
	const struct spf_result *spf;		/* NULL: the client is not known */
	const struct signature *signatures;
	size_t nsignatures;
	enum auth_result dkim;			/* of all signatures together */
	const struct seals_result *seals;
	const struct dmarc_result *dmarc;
	const struct dnsbl_result *dnsbl;	/* NULL: none is asked */
	const struct uribl *uribl;		/* NULL: none is asked */
	const struct hosts *hosts;		/* NULL: the client is not known */
	const struct facts *rated;		/* by the spam filter outside */
	const char *unrated;			/* why it did not; NULL: it did, or is not asked */
	const struct reputation *reputation;	/* our own experience; NULL: not asked */
	int64_t now;				/* Unix microseconds */
	struct span vouched;			/* that trusted forwarder outweighs a failed DMARC; "" none */
};

void answer_make(const struct check_found *f, struct arena *a, struct msg_facts *out);

#endif
