/* record.h -- what the evaluation of a message used, without the message: findings, not content.
 *
 * A record is made beside a verdict and kept by whoever asked. It is enough to
 * evaluate any policy again, with two exceptions that are told and never
 * guessed: a condition over free text (words or a pattern of its own), of which
 * the record knows the answer only when the policy in force had the same one;
 * and a detector that the policy in force had not, or had otherwise. What cannot
 * be known is tried both ways; only where the outcome hangs on it is a replay unsure.
 *
 * A record does not name its detectors and conditions, it refers to the
 * *manifest* of the policy in force, which is kept once. Matched values are
 * numbered in it, not hashed: a hash of a short number is the number.
 *
 * Pure, as policy.h.
 */
#ifndef POSTERN_RECORD_H
#define POSTERN_RECORD_H

#include "postern/policy.h"

#define RECORD_VERSION 1
#define RECORD_BYTES_MAX (256u << 10)	/* of an encoded record; what would be more is cut, and says so */

/* --- the manifest ------------------------------------------------------------------------ */

/* What a record of this policy refers to; lives as long as the policy. */
struct span policy_manifest(const struct policy *p);
/* Known by its bytes. */
uint64_t manifest_key(struct span bytes);

struct manifest_name {		/* a detector or a text condition of a policy */
	struct span name;	/* of a condition: its key, for people */
	uint64_t hash;		/* of all that defines it */
};
struct manifest {
	uint64_t key;
	struct span policy;	/* policy_hash */
	struct span program;	/* version of Postern */
	struct manifest_name *packs, *detectors, *texts;
	size_t npacks, ndetectors, ntexts;
};
/* Borrows from bytes. -1: not a manifest. */
int manifest_read(struct span bytes, struct arena *a, struct manifest *m);

/* --- the record --------------------------------------------------------------------------- */

/* A limit of the receiver had its say after the verdict: appended to an encoded record. */
struct buf;
void record_add_limit(struct buf *record, struct span rule, struct span queue);
/* The verdict that could not be one (policy_verdict_failed). */
struct span record_failed(const struct policy *p, const struct anatomy *an,
    const struct envelope *env, const struct facts *facts, const struct verdict *v,
    struct span reason, struct arena *a);

struct record {
	uint64_t manifest;	/* its key */
	struct envelope env;	/* without what no policy asks for */
	struct facts facts;
	struct anatomy an;	/* parts without content: their spans have a length and no bytes */
	struct verdict verdict;	/* as it was, without findings; variants are empty */
	uint64_t edits;		/* that it had, over all variants */
	bool failed;		/* the scanner could not do its work; reason says why */
	struct span reason;
	bool cut;		/* too large: parts and findings are not all here */
	bool thin;		/* too large: findings without places and evidence */
	bool exhausted;		/* its evaluation ran out of budget: it is not replayed */
	bool began_undecided;	/* a detector gave up */
	struct span limit_rule, limit_queue;	/* record_add_limit; empty: none */
	struct span override_header, override_subject;	/* reasons a sender gave; empty: none */
	const struct span *refused;	/* rules of which an edit could not be made */
	size_t nrefused;
	struct span found, texts, grades;	/* for record_replay */
};
/* Borrows from bytes; arrays are in the arena. -1: damaged, or of a newer version. Any bytes may come. */
int record_read(struct span bytes, struct arena *a, struct record *r);
/* Only what counting rules needs: the id, decisions and the limit. */
int record_read_decisions(struct span bytes, struct arena *a, struct record *r);

/* --- replay --------------------------------------------------------------------------------- */

/* A policy and a manifest brought together: once for all records of that manifest. */
struct record_plan;
struct record_plan *record_plan_new(const struct policy *p, const struct manifest *m);
void record_plan_free(struct record_plan **plan);	/* NULL-safe */

#define VARIANT_UNKNOWN UINT16_MAX	/* decision.variant: another policy's edits need the message */

struct replay {
	struct verdict verdict;	/* as far as it can be known: what is unknown does not hit */
	bool touched;		/* something unknown was asked … */
	struct verdict upper;	/* … and this is the verdict if all of it hits; else the same one */
	bool unsure;		/* for a recipient at least the outcome hangs on it */
	struct span why;	/* the first thing that is: "subject", "finds board" */
};
/* opt may be NULL. Everything lives in the arena. */
void record_replay(const struct record_plan *plan, const struct record *r,
    const struct policy_options *opt, struct arena *a, struct replay *out);

/* A limit that had its say has it again, when the policy still has it. */
void record_limit(const struct policy *p, const struct record *r, struct verdict *v);

/* Equal in all that a record knows; else a line for each difference into why (may be NULL). */
bool verdict_same(const struct verdict *was, const struct verdict *is, const struct envelope *env,
    struct buf *why);

#endif
