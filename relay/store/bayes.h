/* bayes.h -- the classifier in the store: what comes from the scanners, what people decide, and the model
 * that goes back. */
#ifndef STORE_BAYES_H
#define STORE_BAYES_H

#include "store/bayes_db.h"
#include "store/store.h"

struct asked;
struct json;

struct bayes_waiting { uint64_t id; uint32_t at, n; };
struct bayes_book {
	struct bayes_db db;
	struct buf tokens;		/* of messages that go with the next batch */
	struct bayes_waiting *v;
	size_t n, room;
	uint64_t generation;
	int64_t publish_at, expire_at;	/* clock_mono */
	int64_t published;		/* clock_real; 0 never */
	uint64_t limited, lost;		/* since the start: over a limit; no room for their hashes */
};

/* store.c, at its places */
void bayes_begin(struct store *s);
void bayes_end(struct store *s);
void bayes_tick(struct store *s);
void bayes_reconfigured(struct runtime *rt);
/* Hashes of a message that may be decided about; true: they wait for bayes_write, which is within the batch's
 * transaction, and bayes_written, when that is done. */
bool bayes_take(struct store *s, uint64_t id, struct span tokens);
bool bayes_waits(const struct store *s);
int bayes_write(struct store *s, struct err *err);
void bayes_written(struct store *s);

/* Somebody decided about a kept message: released from quarantine it is HAM, confirmed SPAM. What was held for
 * another reason, and what the clock decided, teaches nothing. Cannot fail for the caller. */
void bayes_decided(struct store *s, const struct kept *k, enum bayes_class as, struct span by);

/* bayes_control.c: bayes.*; and a member `bayes` of the journal's figures */
void bayes_json(const struct store *s, struct json *j);
void bayes_client(struct asked *q);
/* Learns one by one, in one transaction, with a row of the audit log when somebody teaches; who "": the decision
 * has its own. -1: nothing of it was learnt. */
int bayes_learn_all(struct store *s, const struct bayes_lesson *l, size_t n, struct span who,
    enum bayes_done *done, struct err *err);

#endif
