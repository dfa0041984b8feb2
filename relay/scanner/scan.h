/* scan.h -- one message, judged: anatomy, antivirus, policy, and the record of why.
 *
 * The scanner's workers and `postern explain` use the same function, so that
 * what is explained offline is what happens to mail.
 */
#ifndef SCANNER_SCAN_H
#define SCANNER_SCAN_H

#include "ipc/messages.h"
#include "postern/bayes.h"
#include "postern/policy.h"
#include "scanner/antivirus.h"
#include "scanner/archive.h"

struct judge {
	struct policy *policy;
	struct antivirus *antivirus;	/* NULL: engine off */
	struct antivirus_dial dial;	/* how clamd is reached; none: directly */
	struct stamps *stamps;		/* NULL: none are made or believed */
	const struct picture_reader *pictures;	/* NULL: text in pictures is not read */
	struct bayes_model bayes;	/* head NULL: the classifier is off, or not there yet */
	struct arena *arena;		/* of the policy */
	struct policy_parts parts;	/* what it was made from */
};

struct judgement {
	struct anatomy anatomy;
	struct facts facts;
	struct verdict verdict;
	struct bayes_tokens tokens;	/* inbound, with a model: what it consists of to the classifier */
	struct explain_times ms;
	const char *trouble;	/* for the log: why nothing could be judged; "" */
	bool stamped, stamp_accepted, stamp_refused;
	unsigned stamps_stripped;
};

struct config;
struct diags;

/* The policy of conf->policy_dir; its errors are in d, and err names the folder. */
int judge_open(struct judge *j, const struct config *conf, struct diags *d, struct err *err);
/* The antivirus engine, unless it is off. tmpdir must exist. */
int judge_antivirus(struct judge *j, const struct config *conf, const char *tmpdir,
    struct err *err);
/* The keys of stamps, which only the scanners read: who explains a message has it scanned. */
int judge_stamps(struct judge *j, const struct config *conf, struct err *err);
void judge_close(struct judge *j);

/* Cannot fail; everything lives in the arena and in raw. opt may be NULL. */
void judge_message(const struct judge *j, const struct envelope *env, struct span raw,
    const struct policy_options *opt, struct arena *a, struct judgement *out);
/* The JSON of verdict_explain, at most max bytes: where all of it would be more, lists are cut. */
struct span judgement_record(const struct judge *j, const struct envelope *env,
    const struct judgement *ju, size_t max, struct arena *a);
/* As the VERDICT frame carries it; borrows from ju. */
void judgement_message(const struct judgement *ju, struct span record, struct arena *a,
    struct msg_verdict *out);

#endif
