/* store.h -- what the store's own files share: its state, and who does what.
 *
 * store.c takes frames and commits; release.c carries decisions to the queue;
 * store_control.c answers people. Nothing here waits for the queue: a
 * decision is a ticket, an answer comes when it comes.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "id.h"
#include "ipc/ticket.h"
#include "lists/book.h"
#include "master/runtime.h"
#include "store/approval.h"
#include "store/basis.h"
#include "store/journal.h"
#include "store/kept.h"
#include "store/sealed.h"
#include "table.h"

#define BATCH_EVENTS 1000
#define BATCH_US (INT64_C(200) * 1000)		/* a batch is committed after it, at the latest */
#define BATCH_BYTES ((size_t)64 << 20)		/* waiting while the database does not take them */
#define RETRY_US (INT64_C(1000) * 1000)

struct event;

struct store_peer {
	struct link *link;
	uint64_t seq_seen, seq_acked;	/* of events: in the batch, told */
	bool gap;			/* one was dropped: nothing behind it may be acknowledged */
	struct idtable *segments;	/* number -> descriptor + 1 */
	struct store_peer *next;
};

struct store_batch {
	struct arena *arena;
	struct msg_event *events;	/* BATCH_EVENTS at first; grows while the database is away */
	size_t n, room, bytes;
	bool failing;			/* said so already */
};

struct store_keeps {			/* in the transaction under way, not answered yet */
	struct { struct link *link; uint64_t ticket; } wait[64];
	size_t n;
};

struct ticket_kind {		/* what a ticket's owner begins with */
	bool errand;		/* else a flight of release.c */
};

struct store_lists {		/* lists_book.c */
	struct event *timer;	/* a change waits to be handed out */
	bool dirty;
	bool making;		/* a searcher is at it, since `begun` */
	int64_t begun;
	int64_t took, done;	/* the last time: microseconds, and clock_mono at its end */
	int64_t next_end;	/* clock_real: then entries run out; 0: none does */
	uint64_t generation;
	void *map;		/* the book that was handed out last */
	size_t size;
	struct book book;
};

struct store {
	struct runtime *rt;
	struct db *db;
	struct keyring *keys;
	struct {		/* what is sealed with older keys, or none */
		enum sealed_kind kind;
		int64_t row;
		bool done;
	} moving;
	struct store_peer *peers;
	struct link *queue;		/* NULL: it is away */
	struct store_batch batch;
	struct store_keeps keeps;
	struct bases bases;		/* verdict records that go with the next batch */
	struct {			/* a POLICY frame that could not be written yet; NULL: none */
		char *bytes;
		size_t n;
		char hash[17], commit[65], how[17];
		struct msg_policy msg;
	} policy;
	int64_t expire_at;		/* clock_mono: then old records are deleted */
	struct event *flush, *keep_commit, *tick, *leave;
	struct arena *scratch;		/* of one frame or one request */
	struct tickets *tickets;	/* owner: begins with struct ticket_kind */
	struct id_source ids;
	struct flight *flights;
	int64_t expiry_at;		/* clock_mono: then holds are looked at */
	struct errand *errands;		/* approve.c */
	int64_t outbox_at, decided_at;	/* clock_mono: then they are looked at */
	bool indexed;			/* there is nothing older than the index of words */
	int64_t retain_at;		/* clock_mono: the next slice of what is too old */
	int64_t head_at;		/* clock_mono: then the audit log's head is logged */
	int64_t settled_at;		/* clock_mono: from then on the journal knows what the queue had taken */
	int64_t settle_at;		/* clock_mono: then unfinished decisions are taken up; 0 */
	struct tail *tails;
	struct tls_reports *tls;
	struct exports *exports;	/* export.c */
	struct store_lists lists;
	struct digests *digests;	/* digest.c */
	struct looks *looks;		/* look.c; NULL: none yet */
	struct bayes_book *bayes;	/* NULL: the classifier is off */
	struct people *people;
	struct experience *experience;
	struct share *share;		/* NULL: this node is alone */
	struct rules_shown *rules;	/* policy_rules.c; NULL: nobody has asked */
	struct apart *apart;		/* NULL: no searchers */
	bool reads;			/* this is a searcher's: nothing is written … */
	bool unwritten;			/* … and something should have been */
};

/* store.c */
int store_flush(struct store *s);		/* the batch, now: 0, or -1 (it stays) */
void store_settle(struct store *s);		/* commits and answers KEEPs under way */
/* An event of the store's own; goes the way of all others. */
void store_event(struct store *s, const struct msg_event *ev);
int store_told(struct store *s, struct frame *f);	/* an event of the master's */

/* release.c */
/* ANYWAY: released whatever a scanner would say of it. Numbers stand in the database (undo.c). */
enum act_verb { ACT_RELEASE, ACT_REJECT, ACT_DELETE, ACT_EXPIRE, ACT_APPROVE, ACT_ANYWAY };
/* Carries out `verb` on each; takes the reply (may be NULL) and ends it. */
void act_start(struct store *s, enum act_verb verb, const int64_t *kids, size_t n, struct span by,
    struct span text, struct reply *reply);
/* The same, where so many were done or refused before. */
void act_start_some(struct store *s, enum act_verb verb, const int64_t *kids, size_t n,
    struct span by, struct span text, struct reply *reply, size_t done, size_t failed);
void act_accepted(struct store *s, uint64_t ticket, const struct msg_accepted *m);
/* Bytes for the queue or the signer: inline, or in a sealed memfd that the frame takes. */
int store_payload(struct span content, struct arena *a, struct payload *p, struct err *err);
void act_queue_gone(struct store *s);
void act_tick(struct store *s);			/* deadlines, expiry, unfinished decisions */

/* approve.c */
void approve_tick(struct store *s);		/* mails that wait, decisions not carried out */
/* A voice: counted, journalled, and what it decides begun. -1: refused, err says why. */
int approve_vote(struct store *s, const struct kept *k, struct span address, bool approve,
    struct span via, struct span reason, const struct token *used, struct arena *a,
    enum approval_state *state, struct err *err);
/* The queue's answer to a mail of ours; m NULL: none came. */
void errand_over(struct store *s, void *owner, const struct msg_accepted *m);
void errands_gone(struct store *s);
bool span_is_plain(struct span s);		/* one line of printable ASCII: fit for an SMTP reply */

/* approve_link.c */
int approve_link(struct store *s, struct link *l, struct frame *f);

/* lists_book.c: the lists of senders for the receivers */
int lists_start(struct store *s, struct err *err);	/* hands out the first book */
void lists_changed(struct store *s);		/* soon handed out anew */
void lists_tick(struct store *s, int64_t now);	/* clock_real: what ran out goes */
void lists_now(struct store *s);		/* what waits is handed out at once */
/* All entries in force as a book, in a sealed memfd. */
int lists_write(struct db *d, uint64_t generation, int *fd, struct err *err);
void lists_end(struct store *s);
/* store_keys.c */
void store_keys_begin(struct store *s);
void store_keys_tick(struct store *s);

/* tend.c */
void store_tend(struct store *s);

/* retention.c */
void store_retain(struct store *s);
/* A slice of the journal from before; in the caller's transaction. Rows deleted, -1. */
int journal_expire(struct db *d, int64_t before, struct err *err);

/* store_policy.c */
void store_policy_write(struct store *s);	/* what waits, if anything does */
int store_policy(struct runtime *rt, struct frame *f);
void store_expire(struct store *s);		/* called every second */

/* store_control.c */
void store_client(struct runtime *rt, int fd, uint32_t uid, struct span request);
void store_tell(struct store *s, const struct msg_event *ev, int64_t seq);
void store_tails_end(struct store *s);
struct json;
void store_splice(struct json *j, struct span object);	/* a scanner's members into the object under way */
struct span store_one_line(struct arena *a, struct span json);	/* JSON that others wrote */

#endif
