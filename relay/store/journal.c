/* journal.c -- events into tables; see journal.h and schema.c.
 *
 * Events come from several processes and so in no order: a message's row may be written after the first thing
 * that happened to it. Events and messages are written as they come; what is known of recipients, records, words and
 * the hours' counts together at the end of the batch.
 */
#include <stdlib.h>

#include "addr.h"
#include "id.h"
#include "store/audit.h"
#include "store/hours.h"
#include "store/journal.h"
#include "store/journal_pending.h"
#include "store/record_words.h"
#include "store/records.h"
#include "store/search.h"
#include "table.h"

#define HOUR_US (INT64_C(3600) * 1000000)
#define ATTEMPTS_KEPT 5		/* transcripts of a message */

struct journal_batch {
	struct db *d;
	bool alone;			/* records */
	struct arena *arena;
	struct search_batch *index;
	struct records records;
	struct pending pending;
	struct hour_counts hours;
	struct record_words words;	/* of the event under way */
};

/* Equal for an event and its repetition. The hash needs no secret: who makes two of his own
 * events collide hides one of them from himself. */
static int64_t
key_of(const struct msg_event *ev)
{
	static const uint8_t fixed[16] = "postern-journal";
	uint64_t h = siphash(fixed, ev->rcpt.n ? ev->rcpt.p : "", ev->rcpt.n);
	uint64_t all[3] = { h, (uint64_t)ev->time, ev->kind };

	return (int64_t)siphash(fixed, all, sizeof(all));
}

/* What a start tells again is known when it was told before, whenever that was. 1: it is. */
static int
told_before(struct db *d, const struct msg_event *ev, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT 1 FROM event WHERE id=? AND kind=? AND rcpt=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	db_text(st, 2, span_str(event_name(ev->kind)));
	db_text_always(st, 3, ev->rcpt);
	r = db_step(d, st, err);
	sqlite3_reset(st);
	return r;
}

static int
add_event(struct db *d, const struct msg_event *in, int64_t *seq, struct err *err)
{
	struct msg_event copy = *in;
	const struct msg_event *ev = &copy;

	if (span_is(copy.by, EVENT_RETOLD)) {
		int known = told_before(d, ev, err);

		if (known != 0)
			return known == 1 ? 0 : -1;
		copy.by = (struct span){ 0 };
	}
	sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO event(id, time, kind, rcpt, outcome, dsn,"
	    " relay, reply, tls, by, parent, key) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	db_int(st, 2, ev->time);
	db_text(st, 3, span_str(event_name(ev->kind)));
	db_text_always(st, 4, ev->rcpt);
	db_text(st, 5, ev->outcome);
	db_text(st, 6, ev->dsn);
	db_text(st, 7, ev->relay);
	db_text(st, 8, ev->reply);
	db_text(st, 9, ev->tls);
	db_text(st, 10, ev->by);
	db_id(st, 11, ev->parent);
	db_int(st, 12, key_of(ev));
	if (db_run(d, st, err) == -1)
		return -1;
	*seq = db_last_rowid(d);
	return db_changes(d) > 0;
}

/* What was said in attempts is long, and only the latest are worth it. */
static int
trim_attempts(struct db *d, uint64_t id, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM event WHERE id=?1 AND kind='attempt' AND time<"
	    "(SELECT min(time) FROM (SELECT time FROM event WHERE id=?1 AND kind='attempt'"
	    " ORDER BY time DESC LIMIT ?2))", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	db_int(st, 2, ATTEMPTS_KEPT);
	return db_run(d, st, err);
}

static int
add_message(struct db *d, const struct msg_event *ev, struct span subject, struct err *err)
{
	const struct envelope *env = &ev->env;
	char client[IP_TEXT_MAX];
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO message(id, parent, time, direction, listener,"
	    " client, client_name, helo, user, tls, sender, sender_domain, subject, size)"
	    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET"
	    " parent=coalesce(excluded.parent, parent), sender=coalesce(excluded.sender, sender),"
	    " sender_domain=coalesce(excluded.sender_domain, sender_domain),"
	    " subject=coalesce(excluded.subject, subject), size=max(size, excluded.size)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	db_id(st, 2, ev->parent);
	db_int(st, 3, env->received ? env->received : ev->time);
	db_int(st, 4, env->direction);
	db_text(st, 5, env->listener);
	if (env->client.family)
		db_text(st, 6, span_str(ip_format(env->client, client)));
	db_text(st, 7, env->client_name);
	db_text(st, 8, env->helo);
	db_text(st, 9, env->user);
	db_text(st, 10, env->tls);
	db_text_always(st, 11, env->sender);
	db_text(st, 12, address_domain(env->sender));
	db_text(st, 13, subject);
	db_int(st, 14, ev->size > INT64_MAX ? INT64_MAX : (int64_t)ev->size);
	return db_run(d, st, err);
}

/* ---- batches ---- */

struct journal_batch *
journal_begin(struct db *d, bool alone)
{
	struct journal_batch *b = calloc(1, sizeof(*b));

	ASSERT(b != NULL);
	b->d = d;
	b->alone = alone;
	b->arena = arena_new(64u << 10);
	b->index = search_batch_new();
	records_init(&b->records);
	pending_init(&b->pending);
	return b;
}

void
journal_free(struct journal_batch **bp)
{
	struct journal_batch *b = *bp;

	*bp = NULL;
	if (b == NULL)
		return;
	search_batch_free(&b->index);
	records_release(&b->records);
	pending_release(&b->pending);
	arena_free(&b->arena);
	free(b);
}

static int
note_message(struct journal_batch *b, const struct msg_event *ev, struct err *err)
{
	record_words(ev->record, b->arena, &b->words);
	if (add_message(b->d, ev, b->words.subject, err) == -1)
		return -1;
	if (ev->record.n && records_add(&b->records, ev->id, ev->record) == -1 &&
	    record_write(b->d, ev->id, ev->record, err) == -1)
		return -1;
	for (size_t i = 0; i < ev->env.nrecipients; i++)
		if (pending_new(&b->pending, b->d, ev, ev->env.recipients[i].address, err) == -1)
			return -1;
	return 0;
}

static int
note(struct journal_batch *b, const struct msg_event *ev, struct err *err)
{
	if (ev->kind == EVENT_AUDIT && audit_event(b->d, ev, err) == -1)
		return -1;
	if (ev->id == 0)
		return 0;
	if (ev->kind == EVENT_ATTEMPT)
		return trim_attempts(b->d, ev->id, err);
	b->words = (struct record_words){ 0 };
	if (ev->has_env && note_message(b, ev, err) == -1)
		return -1;
	return pending_result(&b->pending, b->d, ev, err);
}

int
journal_add(struct journal_batch *b, const struct msg_event *ev, int64_t *seq, struct err *err)
{
	int r = add_event(b->d, ev, seq, err);

	if (r != 1)
		return r;
	if (note(b, ev, err) == -1)
		return -1;
	search_note(b->index, ev, &b->words);
	hours_note(&b->hours, ev);
	return 1;
}

int
journal_write(struct journal_batch *b, struct err *err)
{
	if (pending_write(&b->pending, b->d, err) == -1 ||
	    records_write(b->d, &b->records, b->alone, err) == -1 ||
	    search_write(b->d, b->index, err) == -1)
		return -1;
	return hours_write(b->d, &b->hours, err);
}

static void
kopt(struct json *j, const char *key, struct span s)
{
	if (s.n)
		json_kstr(j, key, s);
}

void
journal_event_json(struct json *j, const struct msg_event *ev, int64_t seq)
{
	char id[ID_SIZE], ip[IP_TEXT_MAX];

	json_kint(j, "seq", seq);
	json_kint(j, "time", ev->time);
	json_kcstr(j, "id", ev->id ? id_format(ev->id, id) : NULL);
	if (ev->parent)
		json_kcstr(j, "parent", id_format(ev->parent, id));
	json_kcstr(j, "kind", event_name(ev->kind));
	if (ev->has_env) {
		if (ev->env.client.family)
			json_kcstr(j, "client", ip_format(ev->env.client, ip));
		kopt(j, "client_name", ev->env.client_name);
		json_kstr(j, "sender", ev->env.sender);
		json_kuint(j, "size", ev->size);
		json_key(j, "recipients");
		json_array(j);
		for (size_t i = 0; i < ev->env.nrecipients; i++)
			json_str(j, ev->env.recipients[i].address);
		json_end_array(j);
	}
	kopt(j, "rcpt", ev->rcpt);
	kopt(j, "outcome", ev->outcome);
	kopt(j, "dsn", ev->dsn);
	kopt(j, "relay", ev->relay);
	kopt(j, "reply", ev->reply);
	kopt(j, "tls", ev->tls);
	kopt(j, "by", ev->by);
}

int
journal_record(struct db *d, uint64_t id, struct arena *a, struct span *json, struct err *err)
{
	int r = record_get(d, id, a, json, err);
	uint64_t parent = 0;
	sqlite3_stmt *st;

	if (r != 0)
		return r;
	if ((st = db_stmt(d, "SELECT parent FROM message WHERE id=?", err)) == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	if ((r = db_step(d, st, err)) == 1)
		parent = db_column_id(st, 0);
	sqlite3_reset(st);
	return r == -1 ? -1 : parent ? record_get(d, parent, a, json, err) : 0;
}

int
journal_knows(struct db *d, uint64_t id, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT 1 FROM message WHERE id=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	r = db_step(d, st, err);
	sqlite3_reset(st);
	return r;
}

int
journal_stats(struct db *d, int64_t since, struct json *j, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT what, sum(n) FROM hour_count WHERE hour>? AND what NOT IN"
	    " ('accepted', 'attempt', 'operator', 'audit', 'alarm', 'locked') GROUP BY what ORDER BY 2 DESC", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, since / HOUR_US);
	json_key(j, "recipients");
	json_object(j);
	while ((r = db_step(d, st, err)) == 1)
		json_kint(j, (const char *)sqlite3_column_text(st, 0), sqlite3_column_int64(st, 1));
	json_end_object(j);
	return r;
}
