/* journal.c -- events into tables; see journal.h and schema.c.
 *
 * Events come from several processes and so in no order: what is known of a
 * recipient is replaced only by something later. A message's row may
 * therefore be written after the first thing that happened to it.
 */
#include <stdlib.h>

#include "addr.h"
#include "id.h"
#include "store/audit.h"
#include "store/journal.h"
#include "store/record_words.h"
#include "store/sealed.h"
#include "table.h"

#define HOUR_US (INT64_C(3600) * 1000000)
#define ATTEMPTS_KEPT 5		/* transcripts of a message */
#define ZIP_FROM 400		/* a record below it is stored as it is */

/* What an event makes of a recipient; NULL: nothing. */
static const char *
status_of(enum event_kind k)
{
	switch (k) {
	case EVENT_ACCEPTED:
		return "queued";
	case EVENT_BOUNCED:
	case EVENT_DELAYED:
	case EVENT_OPERATOR:
	case EVENT_LOCKED:
	case EVENT_ALARM:
	case EVENT_AUDIT:
	case EVENT_ATTEMPT:
	case EVENT_TLS_FAILED:
		return NULL;
	default:
		return event_name(k);
	}
}

static struct span
domain_of(struct span address)
{
	struct span local, domain;

	if (!mailaddr_split(address, &local, &domain))
		return (struct span){ 0 };
	return domain;
}

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
add_message(struct db *d, const struct msg_event *ev, struct err *err)
{
	const struct envelope *env = &ev->env;
	char client[IP_TEXT_MAX];
	struct arena *a = arena_new(0);
	struct record_words w;
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO message(id, parent, time, direction, listener,"
	    " client, client_name, helo, user, tls, sender, sender_domain, subject, size)"
	    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO UPDATE SET"
	    " parent=coalesce(excluded.parent, parent), sender=coalesce(excluded.sender, sender),"
	    " sender_domain=coalesce(excluded.sender_domain, sender_domain),"
	    " subject=coalesce(excluded.subject, subject), size=max(size, excluded.size)", err);
	int r;

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
	db_text(st, 12, domain_of(env->sender));
	record_words(ev->record, a, &w);
	db_text(st, 13, w.subject);
	db_int(st, 14, ev->size > INT64_MAX ? INT64_MAX : (int64_t)ev->size);
	r = db_run(d, st, err);
	arena_free(&a);
	return r;
}

static int
add_record(struct db *d, const struct msg_event *ev, struct err *err)
{
	sqlite3_stmt *st;
	int r;

	if (ev->record.n == 0)
		return 0;
	st = db_stmt(d, "INSERT OR REPLACE INTO record(id, json) VALUES(?,?)", err);
	if (st == NULL)
		return -1;
	if (ev->record.n >= ZIP_FROM)
		r = sealed_bind_zip(d, st, 2, SEALED_RECORD, (int64_t)ev->id, ev->record, err);
	else
		r = sealed_bind(d, st, 2, SEALED_RECORD, (int64_t)ev->id, ev->record, err);
	if (r == -1)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	r = db_run(d, st, err);
	sqlite3_clear_bindings(st);
	return r;
}

/* A fresh recipient: what is known already is newer. */
static int
add_recipient(struct db *d, const struct msg_event *ev, struct span address, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO recipient(id, address, domain, status, time)"
	    " VALUES(?,?,?,?,?) ON CONFLICT DO NOTHING", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	db_text_always(st, 2, address);
	db_text(st, 3, domain_of(address));
	db_text(st, 4, span_str(status_of(ev->kind)));
	db_int(st, 5, ev->time);
	return db_run(d, st, err);
}

static bool
is_try(const struct msg_event *ev)
{
	return ev->kind == EVENT_SENT || ev->kind == EVENT_DEFERRED || ev->kind == EVENT_FAILED;
}

static void
bind_result(sqlite3_stmt *st, const struct msg_event *ev)
{
	db_text(st, 4, ev->outcome);
	db_text(st, 5, span_str(status_of(ev->kind)));
	db_text(st, 6, ev->dsn);
	db_text(st, 7, ev->relay);
	db_text(st, 8, ev->reply);
	db_text(st, 9, ev->tls);
	db_int(st, 10, ev->time);
	db_int(st, 11, is_try(ev));
}

/* Something later is known already: only the try counts. */
static int
late_result(struct db *d, const struct msg_event *ev, struct span address, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE recipient SET attempts=attempts+?11"
	    " WHERE id=?1 AND address=?2", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	db_text_always(st, 2, address);
	db_int(st, 11, is_try(ev));
	return db_run(d, st, err);
}

static int
one_result(struct db *d, const struct msg_event *ev, struct span address, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO recipient(id, address, domain, outcome, status,"
	    " dsn, relay, reply, tls, time, attempts) VALUES(?,?,?,?,?,?,?,?,?,?,?)"
	    " ON CONFLICT(id, address) DO UPDATE SET outcome=coalesce(excluded.outcome, outcome),"
	    " status=excluded.status, dsn=excluded.dsn, relay=excluded.relay, reply=excluded.reply,"
	    " tls=excluded.tls, time=excluded.time, attempts=attempts+excluded.attempts"
	    " WHERE excluded.time>=time OR status='queued'", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	db_text_always(st, 2, address);
	db_text(st, 3, domain_of(address));
	bind_result(st, ev);
	if (db_run(d, st, err) == -1)
		return -1;
	return db_changes(d) > 0 ? 0 : late_result(d, ev, address, err);
}

/* The event names no recipient: it concerns all of them. */
static int
every_result(struct db *d, const struct msg_event *ev, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE recipient SET outcome=coalesce(?4, outcome), status=?5,"
	    " dsn=?6, relay=?7, reply=?8, tls=?9, time=?10, attempts=attempts+?11"
	    " WHERE id=?1 AND time<=?10", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	bind_result(st, ev);
	return db_run(d, st, err);
}

int
journal_add(struct db *d, const struct msg_event *ev, int64_t *seq, struct err *err)
{
	int r = add_event(d, ev, seq, err);

	if (r == 1 && ev->kind == EVENT_AUDIT && audit_event(d, ev, err) == -1)
		return -1;
	if (r != 1 || ev->id == 0)
		return r;
	if (ev->kind == EVENT_ATTEMPT)
		return trim_attempts(d, ev->id, err) == -1 ? -1 : 1;
	if (ev->has_env) {
		if (add_message(d, ev, err) == -1 || add_record(d, ev, err) == -1)
			return -1;
		for (size_t i = 0; i < ev->env.nrecipients; i++)
			if (add_recipient(d, ev, ev->env.recipients[i].address, err) == -1)
				return -1;
	}
	if (status_of(ev->kind) == NULL || ev->kind == EVENT_ACCEPTED)
		return 1;
	if ((ev->rcpt.n ? one_result(d, ev, ev->rcpt, err) : every_result(d, ev, err)) == -1)
		return -1;
	return 1;
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
	sqlite3_stmt *st = db_stmt(d, "SELECT json, id FROM record WHERE id=?1 UNION ALL"
	    " SELECT r.json, r.id FROM message m JOIN record r ON r.id=m.parent WHERE m.id=?1 LIMIT 1",
	    err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	r = db_step(d, st, err);
	if (r == 1 && sealed_column_zip(d, st, 0, SEALED_RECORD, sqlite3_column_int64(st, 1), RECORD_MAX, a,
	    json, err) == -1)
		r = -1;
	sqlite3_reset(st);
	return r;
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
