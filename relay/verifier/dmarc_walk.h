/* dmarc_walk.h -- DMARC records in the DNS: one look, and the tree walk of RFC 9989, 4.10. */
#ifndef VERIFIER_DMARC_WALK_H
#define VERIFIER_DMARC_WALK_H

#include "verifier/dmarc_record.h"

enum dmarc_look { DMARC_LOOK_WAIT, DMARC_LOOK_FAILED, DMARC_LOOK_NONE, DMARC_LOOK_ONE, DMARC_LOOK_SEVERAL };

struct dmarc_found {
	enum dmarc_look state;
	struct dmarc_record record;	/* DMARC_LOOK_ONE */
};

/* The record at _dmarc.domain. */
struct dmarc_found dmarc_look(struct dns_book *b, struct span domain);

enum dmarc_walk_state { DMARC_WALK_WAIT, DMARC_WALK_FAILED, DMARC_WALK_DONE };

struct dmarc_walk {
	struct span organisation;
	bool has_policy;		/* of the domain, its organisation, or the public suffix above it */
	struct dmarc_record policy;
	struct span policy_domain;
};

/* domain: A-labels, lower case; the spans lie in it. *w is filled when DONE. */
enum dmarc_walk_state dmarc_walk(struct dns_book *b, struct span domain, struct dmarc_walk *w);

#endif
