/* bayes_db.h -- what the classifier (postern/bayes.h) has learnt, in the database.
 *
 * Two things are kept: how often each word stood in spam and in ham, and which messages were
 * learnt, as what, by whom, with their hashes for a while, so that each counts once and can be
 * taken back. No content: a message is its hashes.
 *
 * The counts stand in memory too (bayes_table), which is what is published; every change is made
 * there and written in one transaction. When that fails the memory is read anew.
 *
 * What one may add (BAYES_BY_PERSON, BAYES_BY_SENDER) bounds how far somebody who decides wrongly, or
 * sends a lot to be decided about, can bend it for all.
 */
#ifndef STORE_BAYES_DB_H
#define STORE_BAYES_DB_H

#include "master/config.h"
#include "postern/bayes.h"
#include "store/db.h"

#define BAYES_BY_PERSON 200		/* messages a day, learnt by one person's decisions */
#define BAYES_BY_SENDER 50		/* a day and class, of one sender's domain */
#define BAYES_DAY INT64_C(86400000000)
#define BAYES_SEEN_DAYS 366		/* a message that was learnt is known as such, hashes or not */
#define BAYES_REMEMBERED_MAX 200000	/* messages; the oldest go (about 2 KiB each) */

enum bayes_class { BAYES_NONE, BAYES_SPAM, BAYES_HAM };
const char *bayes_class_name(enum bayes_class c);

enum bayes_done {
	BAYES_LEARNT,		/* or, of NONE, forgotten */
	BAYES_CHANGED,		/* it had been learnt as the other */
	BAYES_KNOWN,		/* as that already: nothing happened */
	BAYES_STRANGER,		/* its hashes are not here */
	BAYES_LIMIT,		/* who decides, or who sent it, has had enough for today */
};
const char *bayes_done_name(enum bayes_done d);

struct bayes_db {
	struct db *db;
	struct bayes_table table;
	struct conf_bayes conf;
	bool changed;		/* since it was published */
	int64_t since;		/* when the first message was learnt; 0 none */
};

/* Makes the secret when there is none. -1: what cannot be read is an error; table.slots is NULL then. */
int bayes_db_open(struct bayes_db *b, struct db *d, const struct conf_bayes *c, struct err *err);
void bayes_db_close(struct bayes_db *b);
/* Other limits of postern.yaml. */
int bayes_db_configure(struct bayes_db *b, const struct conf_bayes *c, struct err *err);

/* Within the caller's transaction: hashes of a message that may be decided about. Known ids stay. */
int bayes_db_remember(struct bayes_db *b, int64_t id, struct span tokens, int64_t now, struct err *err);

struct bayes_lesson {
	int64_t id;		/* of a message; of a file negative (bayes_file_id) */
	struct span tokens;	/* bayes_pack; "" those remembered */
	enum bayes_class as;	/* NONE: take it back */
	struct span by;		/* "uid 0", a name, "file" */
	struct span source;	/* domain of the sender; "" none */
	bool limited;		/* a decision: both limits count */
};
/* Within the caller's transaction; a failure leaves memory ahead of the database: bayes_db_reload after
 * the rollback. */
int bayes_db_learn(struct bayes_db *b, const struct bayes_lesson *l, int64_t now,
    enum bayes_done *done, struct err *err);
int bayes_db_reload(struct bayes_db *b, struct err *err);
/* Nothing has been learnt; remembered messages stay. With everything: a new secret too. */
int bayes_db_clear(struct bayes_db *b, bool everything, struct err *err);
/* Old rows: a slice. */
int bayes_db_expire(struct bayes_db *b, int64_t now, struct err *err);
int bayes_db_remembered(struct bayes_db *b, uint64_t *n, struct err *err);

/* Export and import. What is imported counts once its totals are told, which is last. */
int bayes_db_page(struct bayes_db *b, uint32_t after, size_t max, struct bayes_slot *out, size_t *n,
    struct err *err);
int bayes_db_take(struct bayes_db *b, const struct bayes_slot *v, size_t n, size_t *taken, struct err *err);
int bayes_db_totals(struct bayes_db *b, uint32_t spam, uint32_t ham, int64_t since, struct err *err);
int bayes_db_set_key(struct bayes_db *b, const struct bayes_key *key, struct err *err);

int64_t bayes_file_id(const struct bayes_key *key, struct span content);

#endif
