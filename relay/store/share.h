/* share.h -- a node that shares: its rows go to the base of many nodes, and the base is asked for others'.
 *
 * Nothing here is in the way of mail or of the node's own database. Rows are read back from there and sent
 * to the role `cluster`, one batch at a time; where the base has them is known by numbers (events, audit
 * log) and by marks that are deleted (kept messages, lists, decisions). What is sent twice is there once.
 *
 * A question to the base is answered, or has no answer after BASE_PATIENCE_US; whoever asks goes on with
 * what this node knows.
 */
#ifndef STORE_SHARE_H
#define STORE_SHARE_H

#include "ipc/messages_base.h"
#include "store/asked.h"
#include "store/search_query.h"

#define BASE_PATIENCE_US (INT64_C(2500) * 1000)
#define BASE_SEARCH_MS 1200		/* of the base, for a search */

struct share;
struct base_words;

/* share.c */
void share_begin(struct store *s);		/* the database is open */
void share_end(struct store *s);
void share_peer_up(struct store *s, struct link *l);
void share_peer_down(struct store *s, struct link *l);
int share_frame(struct store *s, struct link *l, struct frame *f);
void share_wake(struct store *s);		/* something was committed */
void share_tick(struct store *s);
bool share_on(const struct store *s);		/* this node is one of many */
bool share_there(const struct store *s);	/* … and the base can be asked now */
int64_t share_self(const struct store *s);	/* this database's number among all */
const char *share_why(const struct store *s);	/* why it is not there */
void share_status(struct store *s, struct json *j);	/* the member `base` of an answer */

/* ---- questions ---- */
/* m NULL: no answer; why says so. Rows and texts are borrowed. fd: of a BASE_FD value; the callee's. */
typedef void base_cb(void *ctx, const struct msg_base_told *m, int fd, const char *why);
void base_ask(struct store *s, enum base_ask what, const struct buf *values, base_cb *cb, void *ctx);
/* A database in memory with our own tables, in which rows of others are looked at as if they were ours.
 * Empty at first; until the next call. */
struct db *base_db(struct store *s, struct err *err);
/* Rows into it. `nodes`: by the id of a message, the name of its node (in the arena); may be NULL. */
int base_load(struct db *d, struct span rows, int fd, struct arena *a, struct idtable *nodes, struct err *err);

/* share_words.c: what PostgreSQL looks for, in the words of our own index */
struct base_words *base_words_new(struct db *d, struct err *err);
void base_words_free(struct base_words **w);
enum column;
/* Text of a tsvector: the words of a column ('0' … '7': keys, sender, rcpt, subject, files, client, rules,
 * replies) are added. */
void base_words_add(struct base_words *w, char column, struct span text, struct buf *out);
/* Texts of tsqueries; "" where there are none. who: what he may see is part of it; NULL: all. */
void base_words_query(struct base_words *w, const struct search_query *q, const struct principal *who, struct arena *a,
    struct span *words, struct span *replies, bool *anywhere);

/* share_rows.c: rows of a batch */
struct share_batch {
	struct buf rows;
	int fd;				/* of a content; -1 */
	int64_t event_seq, audit_seq;	/* where it ends */
	int64_t base_seq;		/* audit_base */
	int64_t kept[8], lists, *tokens;	/* marks: of share_kept; up to this of share_list; of claim */
	size_t nkept, ntokens;
	size_t units;			/* things in it that could be sent apart */
	uint64_t nrows;
};
/* At most `limit` of each kind, 1: one alone. -1: the database fails. */
int share_gather(struct store *s, struct base_words *w, struct share_batch *b, size_t limit, struct arena *a,
    struct err *err);
/* The base has it: marks go. In a transaction of its own. */
int share_forget(struct db *d, const struct share_batch *b, struct err *err);

/* base_trace.c */
bool base_trace(struct asked *q, uint64_t below, uint32_t limit);	/* false: this node alone answers */
bool base_explain(struct asked *q, uint64_t id);

/* base_audit.c: false, this node alone answers. w: where the walk is to go on */
struct audit_walk;
bool base_audit_list(struct asked *q, size_t limit);
bool base_audit_verify(struct asked *q, const struct audit_walk *w);

/* base_kept.c */
/* A request about kept messages that concerns other nodes: what it names is fetched, then it is run again
 * by store_answer(), with q->fetched. False: it may be answered now. */
bool base_kept(struct asked *q);
/* The rows of others behind our own in q->reply; then `done` ends the answer. */
struct kept_ask;
bool base_kept_page(struct asked *q, const struct kept_ask *ask, int64_t before, size_t limit, base_cb *done, void *ctx);
/* A row by the name it is shown by: "17", or "g17" that was fetched before. */
bool kept_kid_of(struct asked *q, struct span text, int64_t *kid);

#endif
