/* spf_eval.h -- check_host() of RFC 7208, the strict engine behind spf.h. */
#ifndef VERIFIER_SPF_EVAL_H
#define VERIFIER_SPF_EVAL_H

#include "verifier/spf.h"
#include "verifier/spf_macro.h"
#include "verifier/spf_record.h"

struct spf_frame {		/* one check_host() under way */
	struct span domain;	/* names.domain of its macros */
	struct span text;	/* the record */
	struct spf_record record;
	size_t at;		/* the term being judged */
	bool fetched;		/* record is filled */
	bool redirected;	/* reached by redirect=: no record is an error (6.1) */
	bool counted, voided;	/* the term at `at` has been charged */
	bool ahead;		/* what follows has been asked for */
};

enum spf_phase { SPF_CHECKING, SPF_EXPLAINING, SPF_FINISHED };

struct spf_eval {
	struct arena *a;
	struct dns_book *book;
	struct spf_names names;		/* domain changes with the frame */
	bool explain, serial;
	enum spf_phase phase;
	struct spf_frame frames[SPF_DEPTH_MAX + 1];
	size_t depth;			/* index of the frame at work */
	bool name_counted;		/* %{p} has been charged */
	struct spf_match path[SPF_DEPTH_MAX + 1];
	size_t npath;
	struct spf_result *result;
};

/* The names are filled in, but for `domain` and `validated`. */
void spf_eval_begin(struct spf_eval *e, struct span domain);
bool spf_eval_step(struct spf_eval *e);		/* true: finished */
/* Ends it; problem "" for none. */
void spf_eval_finish(struct spf_eval *e, enum auth_result r, struct span problem);
/* "4.3.2.1.in-addr.arpa" and its like of IPv6. */
struct span spf_reverse_name(struct arena *a, struct ip ip);

#endif
