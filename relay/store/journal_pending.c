/* journal_pending.c -- see journal_pending.h. */
#include <errno.h>
#include <stdlib.h>

#include "addr.h"
#include "log.h"
#include "master/runtime.h"
#include "store/journal_pending.h"

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

static bool
is_try(const struct msg_event *ev)
{
	return ev->kind == EVENT_SENT || ev->kind == EVENT_DEFERRED || ev->kind == EVENT_FAILED;
}

struct span
address_domain(struct span address)
{
	struct span local, domain;

	if (!mailaddr_split(address, &local, &domain))
		return (struct span){ 0 };
	return domain;
}

void
pending_init(struct pending *p)
{
	*p = (struct pending){ .of = idtable_new() };
}

void
pending_release(struct pending *p)
{
	idtable_free(&p->of);
	free(p->v);
	*p = (struct pending){ 0 };
}

/* ---- rows ---- */

/* A fresh recipient: what is known already is newer. */
static int
write_new(struct db *d, const struct pending_rcpt *r, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO recipient(id, address, domain, status, time)"
	    " VALUES(?,?,?,?,?) ON CONFLICT DO NOTHING", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)r->id);
	db_text_always(st, 2, r->address);
	db_text(st, 3, address_domain(r->address));
	db_text(st, 4, span_str(r->status));
	db_int(st, 5, r->time);
	return db_run(d, st, err);
}

static void
bind_result(sqlite3_stmt *st, const struct pending_rcpt *r)
{
	db_text(st, 4, r->outcome);
	db_text(st, 5, span_str(r->status));
	db_text(st, 6, r->dsn);
	db_text(st, 7, r->relay);
	db_text(st, 8, r->reply);
	db_text(st, 9, r->tls);
	db_int(st, 10, r->time);
	db_int(st, 11, r->attempts);
}

/* Something later is known already: only the tries count. */
static int
write_late(struct db *d, const struct pending_rcpt *r, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE recipient SET attempts=attempts+?11"
	    " WHERE id=?1 AND address=?2", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)r->id);
	db_text_always(st, 2, r->address);
	db_int(st, 11, r->attempts);
	return db_run(d, st, err);
}

static int
write_result(struct db *d, const struct pending_rcpt *r, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO recipient(id, address, domain, outcome, status,"
	    " dsn, relay, reply, tls, time, attempts) VALUES(?,?,?,?,?,?,?,?,?,?,?)"
	    " ON CONFLICT(id, address) DO UPDATE SET outcome=coalesce(excluded.outcome, outcome),"
	    " status=excluded.status, dsn=excluded.dsn, relay=excluded.relay, reply=excluded.reply,"
	    " tls=excluded.tls, time=excluded.time, attempts=attempts+excluded.attempts"
	    " WHERE excluded.time>=time OR status='queued'", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)r->id);
	db_text_always(st, 2, r->address);
	db_text(st, 3, address_domain(r->address));
	bind_result(st, r);
	if (db_run(d, st, err) == -1)
		return -1;
	return db_changes(d) > 0 ? 0 : write_late(d, r, err);
}

/* The event names no recipient: it concerns all of them. */
static int
write_every(struct db *d, const struct pending_rcpt *r, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE recipient SET outcome=coalesce(?4, outcome), status=?5,"
	    " dsn=?6, relay=?7, reply=?8, tls=?9, time=?10, attempts=attempts+?11"
	    " WHERE id=?1 AND time<=?10", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)r->id);
	bind_result(st, r);
	return db_run(d, st, err);
}

static int
write_one(struct db *d, struct pending_rcpt *r, struct err *err)
{
	if (r->written)
		return 0;
	if ((r->result ? write_result(d, r, err) : write_new(d, r, err)) == -1) {
		if (err->code != EINVAL)
			return -1;
		log_msg(LOG_LVL_ERROR, r->id, "not journalled: %s", err->text);
		counter_add(COUNTER_EVENTS_LOST, 1);
	}
	r->written = true;
	return 0;
}

/* ---- what waits ---- */

static struct pending_rcpt *
at(const struct pending *p, size_t place)
{
	return place ? &p->v[place - 1] : NULL;
}

/* The recipient, if it waits; else *n: how many of this message do. */
static struct pending_rcpt *
find(const struct pending *p, uint64_t id, struct span address, size_t *n)
{
	struct pending_rcpt *r = at(p, (size_t)(uintptr_t)idtable_get(p->of, id));

	*n = 0;
	for (; r && !span_eq(r->address, address); r = at(p, r->next))
		++*n;
	return r;
}

/* The message's, of which no more than PENDING_OF_ONE wait. */
static void
add(struct pending *p, const struct pending_rcpt *r)
{
	if (p->n == p->room) {
		p->room = p->room ? 2 * p->room : 256;
		p->v = realloc(p->v, p->room * sizeof(*p->v));
		ASSERT(p->v != NULL);
	}
	p->v[p->n] = *r;
	p->v[p->n].next = (size_t)(uintptr_t)idtable_get(p->of, r->id);
	idtable_put(p->of, r->id, (void *)(uintptr_t)++p->n);
}

static struct pending_rcpt
said(const struct msg_event *ev, struct span address)
{
	return (struct pending_rcpt){ .id = ev->id, .address = address, .status = status_of(ev->kind),
		.outcome = ev->outcome, .dsn = ev->dsn, .relay = ev->relay, .reply = ev->reply, .tls = ev->tls,
		.time = ev->time, .attempts = is_try(ev), .result = true };
}

/* As the row would take it. */
static void
merge(struct pending_rcpt *r, const struct pending_rcpt *with)
{
	uint32_t attempts = r->attempts + with->attempts;
	struct span outcome = r->outcome;
	size_t next = r->next;

	if (with->time >= r->time || strcmp(r->status, "queued") == 0) {
		*r = *with;
		r->next = next;
		if (r->outcome.n == 0)
			r->outcome = outcome;
	}
	r->attempts = attempts;
	r->result = true;
}

int
pending_new(struct pending *p, struct db *d, const struct msg_event *ev, struct span address, struct err *err)
{
	struct pending_rcpt r = { .id = ev->id, .address = address, .status = status_of(ev->kind), .time = ev->time };
	size_t n;

	if (find(p, ev->id, address, &n))
		return 0;
	if (n >= PENDING_OF_ONE)
		return write_new(d, &r, err);
	add(p, &r);
	return 0;
}

int
pending_result(struct pending *p, struct db *d, const struct msg_event *ev, struct err *err)
{
	struct pending_rcpt r = said(ev, ev->rcpt), *known;
	size_t n;

	if (r.status == NULL || ev->kind == EVENT_ACCEPTED)
		return 0;
	if (ev->rcpt.n == 0) {
		known = at(p, (size_t)(uintptr_t)idtable_remove(p->of, ev->id));
		for (; known; known = at(p, known->next))
			if (write_one(d, known, err) == -1)
				return -1;
		return write_every(d, &r, err);
	}
	if ((known = find(p, ev->id, ev->rcpt, &n)) != NULL)
		merge(known, &r);
	else if (n >= PENDING_OF_ONE)
		return write_result(d, &r, err);
	else
		add(p, &r);
	return 0;
}

int
pending_write(struct pending *p, struct db *d, struct err *err)
{
	for (size_t i = 0; i < p->n; i++)
		if (write_one(d, &p->v[i], err) == -1)
			return -1;
	return 0;
}
