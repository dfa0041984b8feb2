/* messages_base.h -- the bodies of the frames between the store and the role `cluster`, which speaks to
 * the shared base (PostgreSQL).
 *
 * Both send rows: a row is the number of a table (base_table) and values in the order of its columns. What
 * is large (a kept message) travels as a sealed memfd; the value says so.
 */
#ifndef IPC_MESSAGES_BASE_H
#define IPC_MESSAGES_BASE_H

#include "ipc/messages.h"

/* X(NAME, "table", "columns") The columns stand in this order in every row and on both sides: in SQL of
 * PostgreSQL and of the store's own tables. Words: the text of a tsvector. */
#define BASE_TABLES(X) \
	X(MESSAGE, "message", "id, parent, time, direction, listener, client, client_name, helo, \"user\", tls," \
	    " sender, sender_domain, subject, size, node, words") \
	X(RECIPIENT, "recipient", "id, address, domain, outcome, status, dsn, relay, reply, tls, time, attempts") \
	X(EVENT, "event", "id, key, seq, time, kind, rcpt, outcome, dsn, relay, reply, tls, \"by\", parent, node," \
	    " words") \
	X(RECORD, "record", "id, json") \
	X(AUDIT, "audit", "store, node, seq, time, who, what, subject, detail, key, hash") \
	X(AUDIT_BASE, "audit_base", "store, seq, hash, key, mac") \
	X(KEPT, "kept", "store, kid, node, id, parent, kind, queue, time, expires, on_expire, sender, client, subject," \
	    " size, state, new_id, \"by\", decided, envelope, record, voted, direction, class, sender_domain, virus," \
	    " confirmed, needs, rcpts, gid, content") \
	X(LIST, "list_entry", "scope, owner, what, domain, side, kind, who, reason, time, \"by\", expires," \
	    " unauthenticated, state, gone, rev") \
	X(DONE, "done", "token, state, new_id, \"by\", decided") \
	X(NODE, "node", "store, name, version, heard, behind, audit_seq, hash, queue, config, counters") \
	X(GONE, "gone", "store, kid")
enum base_table {
	BASE_NONE,
#define X(name, text, columns) BASE_##name,
	BASE_TABLES(X)
#undef X
	BASE_TABLE_COUNT
};
#define BASE_COLUMNS_MAX 32

enum base_type { BASE_NULL, BASE_INT, BASE_TEXT, BASE_BLOB, BASE_FD /* the frame's descriptor */, BASE_TYPES };
struct base_value {
	enum base_type type;
	int64_t i;		/* INT; FD: its size */
	struct span s;
};

/* A list of rows or of values, as it is written … */
void base_row_begin(struct buf *b, enum base_table t);	/* as many values as it has columns follow */
void base_int(struct buf *b, int64_t v);
void base_text(struct buf *b, struct span s);		/* "" stays "" */
void base_blob(struct buf *b, struct span s);
void base_null(struct buf *b);
void base_fd(struct buf *b, uint64_t size);
size_t base_columns(enum base_table t);

/* … and read: 1, 0 the end, -1 it breaks the rules. */
struct base_reader {
	struct span rest;
};
int base_row_next(struct base_reader *r, enum base_table *t, struct base_value v[BASE_COLUMNS_MAX]);
int base_value_next(struct base_reader *r, struct base_value *v);

/* ---- SHARE: a batch; ticket answers with SHARED ---- */
struct msg_share {
	int64_t event_seq, audit_seq;	/* up to here the base will have them */
	uint64_t behind;		/* rows that wait behind this batch */
	struct span rows;
};

/* ---- SHARED: without a ticket: how the base is ---- */
enum shared_kind {
	SHARED_AWAY,		/* text says why; also of a batch, which may come again */
	SHARED_THERE,		/* connected: event_seq and audit_seq are what it has of this store */
	SHARED_DONE,		/* of a ticket: it has the batch */
	SHARED_REFUSED,		/* of a ticket: it will never take these rows: text says why */
	SHARED_NEWS,		/* something changed there: enum shared_news in `news` */
	SHARED_KINDS
};
enum shared_news { SHARED_NEWS_KEPT = 1, SHARED_NEWS_LISTS = 2 };
struct msg_shared {
	enum shared_kind kind;
	int64_t event_seq, audit_seq;
	uint64_t base;			/* which base this is */
	uint32_t news;
	bool named;			/* AWAY: another node has our name */
	bool newer;			/* AWAY: its schema is newer than this program */
	struct span text;
};

/* ---- BASE_ASK: ticket answers with BASE_TOLD ---- */
/* X(NAME) and the values that go with it: cluster/ask.c */
#define BASE_ASKS(X) \
	X(SEARCH) X(RECORD) X(KEPT_PAGE) X(KEPT_GET) X(CLAIM) X(MARKS) X(LISTS) X(AUDIT_PAGE) X(AUDIT_CHAIN) X(NODES)
enum base_ask {
#define X(name) BASE_ASK_##name,
	BASE_ASKS(X)
#undef X
	BASE_ASK_COUNT
};
struct msg_base_ask {
	enum base_ask what;
	struct span values;
};
enum base_told { BASE_TOLD_OK, BASE_TOLD_AWAY, BASE_TOLD_FAILED, BASE_TOLD_COUNT };
struct msg_base_told {
	enum base_told told;
	bool partial;		/* there would have been more, and time was up */
	struct span text;	/* why not */
	struct span rows;
};

MSG_CODEC(share);
MSG_CODEC(shared);
MSG_CODEC(base_ask);
MSG_CODEC(base_told);

#endif
