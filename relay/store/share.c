/* share.c -- this node's side of the shared base; see share.h.
 *
 * One batch is under way at a time. Its answer is awaited for ever: the role `cluster` answers or dies. A
 * batch that the base will never take is sent again in halves, down to the one thing that is wrong, which
 * is left out, counted and said. How far the base is stands in both: a database that was put back from a
 * copy begins again where the elder of the two stands.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "id.h"
#include "log.h"
#include "store/audit.h"
#include "store/claim.h"
#include "store/share_private.h"

#define BATCH_LIMIT 500
#define RECENT_MAX 65536		/* messages the base has got lately */
#define SAVE_US US_PER_SEC
#define POLL_US (10 * US_PER_SEC)	/* what a notice was missed for */
#define GUEST_US (600 * US_PER_SEC)	/* a row that was fetched and not decided leaves */
#define ALARM_US (15 * US_PER_SEC)	/* away so long: an alarm; a restart is shorter */

bool
share_on(const struct store *s)
{
	return s->share != NULL;
}

bool
share_there(const struct store *s)
{
	return s->share && s->share->there && s->share->cluster;
}

int64_t
share_self(const struct store *s)
{
	return s->share ? s->share->self : 0;
}

const char *
share_why(const struct store *s)
{
	return s->share && s->share->why[0] ? s->share->why : "the shared base is away";
}

bool
share_was_sent(struct store *s, uint64_t id)
{
	return idtable_get(s->share->recent, id) || idtable_get(s->share->older, id);
}

void
share_sent(struct store *s, uint64_t id)
{
	if (idtable_count(s->share->recent) >= RECENT_MAX) {
		idtable_free(&s->share->older);
		s->share->older = s->share->recent;
		s->share->recent = idtable_new();
	}
	idtable_put(s->share->recent, id, s);
}

static void
forget_sent(struct share *h)
{
	idtable_free(&h->recent);
	idtable_free(&h->older);
	h->recent = idtable_new();
	h->older = idtable_new();
}

/* ---- what is remembered ---- */

static int
run(struct db *d, const char *sql, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	return st == NULL ? -1 : db_run(d, st, err);
}

static int64_t
number(struct db *d, const char *sql)
{
	sqlite3_stmt *st = db_stmt(d, sql, NULL);
	int64_t v = 0;

	if (st && db_step(d, st, NULL) == 1) {
		v = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return v;
}

/* Another base than before, or the first one: it gets all that is here. */
static int
begin_anew(struct store *s, uint64_t base, struct err *err)
{
	struct db *d = s->db;

	if (db_begin(d, false, err) == -1)
		return -1;
	if (run(d, "DELETE FROM share_kept", err) == -1 || run(d, "DELETE FROM share_list", err) == -1 ||
	    run(d, "INSERT INTO share_kept(kid, content) SELECT kid, 1 FROM kept WHERE home IS NULL", err) == -1 ||
	    run(d, "INSERT INTO share_list(scope, owner, what) SELECT scope, owner, what FROM list_entry", err) == -1 ||
	    db_setting_put(d, "share_base", (int64_t)base, err) == -1 || db_setting_put(d, "share_rev", 0, err) == -1 ||
	    db_setting_put(d, "share_event", 0, err) == -1 || db_setting_put(d, "share_audit", 0, err) == -1) {
		db_rollback(d);
		return -1;
	}
	return db_commit(d, err);
}

static void
save(struct store *s)
{
	struct share *h = s->share;
	struct err err;

	if (h->saved == h->event_seq + h->audit_seq || db_in_transaction(s->db))
		return;
	if (db_begin(s->db, false, &err) == -1)
		return;
	if (db_setting_put(s->db, "share_event", h->event_seq, &err) == -1 ||
	    db_setting_put(s->db, "share_audit", h->audit_seq, &err) == -1 || db_commit(s->db, &err) == -1)
		db_rollback(s->db);
	else
		h->saved = h->event_seq + h->audit_seq;
}

/* ---- the batch ---- */

static void
batch_clear(struct share_batch *b)
{
	if (b->fd != -1)
		close(b->fd);
	buf_release(&b->rows);
	*b = (struct share_batch){ .fd = -1 };
}

static uint64_t
waiting(struct store *s)
{
	struct share *h = s->share;
	int64_t n = number(s->db, "SELECT coalesce(max(seq), 0) FROM event") - h->event_seq;
	int64_t m = number(s->db, "SELECT coalesce(max(seq), 0) FROM audit") - h->audit_seq;

	return (uint64_t)(n > 0 ? n : 0) + (uint64_t)(m > 0 ? m : 0) +
	    (uint64_t)number(s->db, "SELECT count(*) FROM share_kept") +
	    (uint64_t)number(s->db, "SELECT count(*) FROM share_list") +
	    (uint64_t)number(s->db, "SELECT count(*) FROM claim WHERE state=3");
}

static int
send_share(struct store *s, uint64_t ticket, const struct msg_share *m, int fd)
{
	struct buf b;
	int r;

	buf_init(&b, FRAME_BIG);
	share_encode(&b, m);
	r = buf_failed(&b) ? -1 : link_send(s->share->cluster, FRAME_SHARE, ticket, buf_data(&b), fd);
	buf_release(&b);
	return r;
}

/* Who we are, before anything else. */
static void
hello(struct store *s)
{
	struct msg_share m = { .event_seq = s->share->self };

	send_share(s, 0, &m, -1);
}

/* Numbers of rows may begin anew when all that had greater ones is gone. */
static void
not_ahead(struct store *s)
{
	struct share *h = s->share;
	int64_t last = number(s->db, "SELECT coalesce(max(seq), 0) FROM event");

	if (h->event_seq > last)
		h->event_seq = last;
}

static void
pump(struct store *s)
{
	struct share *h = s->share;
	struct msg_share m;
	struct err err;
	int r;

	if (!h->there || h->cluster == NULL || h->ticket || s->rt->retiring || s->batch.failing)
		return;
	store_settle(s);
	do {
		batch_clear(&h->batch);
		arena_reset(h->scratch);
		buf_init(&h->batch.rows, FRAME_BIG - FRAME_SMALL);
		h->batch.event_seq = h->event_seq;
		h->batch.audit_seq = h->audit_seq;
		h->batch.base_seq = h->base_seq;
		r = share_gather(s, h->words, &h->batch, h->limit, h->scratch, &err);
		if (r == -1 && err.code == E2BIG && h->limit > 1)
			h->limit = 1;
		else if (r == 0 && h->batch.units == 0 && h->batch.event_seq == h->event_seq)
			break;		/* there is nothing more */
		else if (r == 0 && h->batch.units == 0)
			h->event_seq = h->batch.event_seq;	/* events of no message */
		else
			break;
	} while (true);
	if (r == -1) {
		log_error("rows for the shared base: %s", err.text);
		return;
	}
	if (h->batch.units == 0) {
		h->behind = 0;
		return;
	}
	m = (struct msg_share){ .event_seq = h->batch.event_seq, .audit_seq = h->batch.audit_seq, .behind = h->behind,
		.rows = buf_data(&h->batch.rows) };
	h->ticket = ticket_open(h->tickets, h, INT64_MAX);
	r = h->batch.fd;
	h->batch.fd = -1;
	if (send_share(s, h->ticket, &m, r) == -1) {
		ticket_close(h->tickets, h->ticket);
		h->ticket = 0;
	}
}

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
	pump(arg);
}

void
share_wake(struct store *s)
{
	if (s->share && s->share->there && s->share->ticket == 0)
		event_active(s->share->wake, EV_TIMEOUT, 0);
}

static void
batch_over(struct store *s, const struct msg_shared *m)
{
	struct share *h = s->share;
	struct err err;

	ticket_close(h->tickets, h->ticket);
	h->ticket = 0;
	if (m->kind == SHARED_AWAY) {
		batch_clear(&h->batch);
		return;
	}
	if (m->kind == SHARED_REFUSED && h->batch.units > 1) {
		h->limit = h->batch.units > h->limit ? h->limit / 2 : h->batch.units / 2;
		if (h->limit < 1)
			h->limit = 1;
		forget_sent(h);
		batch_clear(&h->batch);
		share_wake(s);
		return;
	}
	if (m->kind == SHARED_REFUSED) {
		log_error("a row that the shared base does not take is left out: " SPAN_FMT, SPAN_ARG(m->text));
		counter_add(COUNTER_SHARE_LOST, 1);
	} else {
		counter_add(COUNTER_SHARED, (int64_t)h->batch.nrows);
	}
	store_settle(s);
	if (share_forget(s->db, &h->batch, &err) == -1)
		log_error("what the shared base has: %s", err.text);
	h->event_seq = h->batch.event_seq;
	h->audit_seq = h->batch.audit_seq;
	h->base_seq = h->batch.base_seq;
	h->limit = 2 * h->limit > BATCH_LIMIT ? BATCH_LIMIT : 2 * h->limit;
	batch_clear(&h->batch);
	share_wake(s);
}

/* ---- how the base is ---- */

static void
tell_alarm(struct store *s, bool begins)
{
	struct msg_event ev = { .kind = EVENT_ALARM, .time = clock_real() };
	char line[400];

	if (begins)
		snprintf(line, sizeof(line), "shared-base begins: %s; mail goes on, rows wait", share_why(s));
	else
		snprintf(line, sizeof(line), "shared-base is over: the shared base is there");
	ev.reply = span_str(line);
	store_event(s, &ev);
}

static void
is_away(struct store *s, const struct msg_shared *m)
{
	struct share *h = s->share;

	if (h->there || h->since == 0)
		h->since = clock_real();
	h->there = false;
	h->newer = m->newer;
	h->named = m->named;
	snprintf(h->why, sizeof(h->why), SPAN_FMT, SPAN_ARG(m->text));
	counter_set(COUNTER_SHARE_THERE, 0);
}

static void
is_there(struct store *s, const struct msg_shared *m)
{
	struct share *h = s->share;
	int64_t known = 0, event = 0, audit = 0;
	struct err err = { 0 };

	store_settle(s);
	if (db_setting(s->db, "share_base", &known, &err) == -1 ||
	    ((uint64_t)known != m->base && begin_anew(s, m->base, &err) == -1) ||
	    db_setting(s->db, "share_event", &event, &err) == -1 || db_setting(s->db, "share_audit", &audit, &err) == -1) {
		log_error("the shared base: %s", err.text);
		return;
	}
	h->event_seq = m->event_seq < event ? m->event_seq : event;
	h->audit_seq = m->audit_seq < audit ? m->audit_seq : audit;
	h->base_seq = -1;
	h->saved = event + audit;
	not_ahead(s);
	if (!h->there)
		h->since = clock_real();
	h->there = true;
	h->newer = h->named = false;
	h->why[0] = '\0';
	if (h->alarmed)
		tell_alarm(s, false);
	h->alarmed = false;
	counter_set(COUNTER_SHARE_THERE, 1);
	forget_sent(h);
	h->news_kept = h->news_lists = true;
	share_wake(s);
}

static int
take_shared(struct store *s, struct frame *f)
{
	struct share *h = s->share;
	struct msg_shared m;

	if (shared_decode(f->body, f->fd, s->scratch, &m) == -1)
		return -1;
	if (f->ticket) {
		if (f->ticket == h->ticket)
			batch_over(s, &m);
		return 0;
	}
	switch (m.kind) {
	case SHARED_AWAY:
		is_away(s, &m);
		return 0;
	case SHARED_THERE:
		is_there(s, &m);
		return 0;
	case SHARED_NEWS:
		h->news_kept |= (m.news & SHARED_NEWS_KEPT) != 0;
		h->news_lists |= (m.news & SHARED_NEWS_LISTS) != 0;
		share_news(s);
		return 0;
	default:
		return -1;
	}
}

int
share_frame(struct store *s, struct link *l, struct frame *f)
{
	if (s->share == NULL)
		return -1;
	if (f->type == FRAME_SHARED && l != s->share->cluster)
		return 0;	/* of one that is retiring */
	return f->type == FRAME_SHARED ? take_shared(s, f) : base_told(s, f);
}

/* ---- the clock ---- */

void
share_news(struct store *s)
{
	struct share *h = s->share;

	if (!h->there)
		return;
	if (h->news_kept)
		base_marks(s);
	if (h->news_lists)
		base_lists(s);
	h->news_kept = h->news_lists = false;
}

void
share_tick(struct store *s)
{
	struct share *h = s->share;
	int64_t now = clock_mono();
	struct err err;

	if (h == NULL)
		return;
	not_ahead(s);
	h->behind = waiting(s);
	counter_set(COUNTER_SHARE_BEHIND, h->behind);
	if (now >= h->save_at) {
		h->save_at = now + SAVE_US;
		save(s);
	}
	if (!db_in_transaction(s->db) && guests_leave(s->db, clock_real() - GUEST_US, &err) == -1)
		log_error("guests: %s", err.text);
	if (now >= h->poll_at) {
		h->poll_at = now + POLL_US;
		h->news_kept = h->news_lists = true;
	}
	if (!h->there && !h->alarmed && clock_real() - h->since > ALARM_US) {
		h->alarmed = true;
		log_error("alarm: the shared base cannot be had: %s", share_why(s));
		tell_alarm(s, true);
	}
	share_news(s);
	share_wake(s);
}

void
share_status(struct store *s, struct json *j)
{
	struct share *h = s->share;

	if (h == NULL)
		return;
	json_key(j, "base");
	json_object(j);
	json_kstr(j, "address", s->rt->conf->base.shown);
	json_kstr(j, "node", s->rt->conf->node);
	json_kbool(j, "there", h->there);
	json_kint(j, "since", h->since);
	json_kuint(j, "behind", waiting(s));
	json_kcstr(j, "why", h->there ? NULL : share_why(s));
	json_kbool(j, "name_taken", h->named);
	json_kbool(j, "newer", h->newer);
	json_end_object(j);
}

bool
share_audit_sent(struct store *s)
{
	return number(s->db, "SELECT coalesce(max(seq), 0) FROM audit") <= s->share->audit_seq;
}

/* ---- begin and end ---- */

static int
identity(struct store *s, struct err *err)
{
	struct share *h = s->share;
	int64_t on = 0;
	int r = db_setting(s->db, "share_self", &h->self, err);

	if (r == -1 || db_setting(s->db, "sharing", &on, err) == -1 || db_begin(s->db, true, err) == -1)
		return -1;
	if (r == 0) {
		if (getrandom(&h->self, sizeof(h->self), 0) != sizeof(h->self))
			h->self = clock_real();
		h->self = (int64_t)((uint64_t)h->self >> 1 | 1);
		r = db_setting_put(s->db, "share_self", h->self, err);
	} else {
		r = 0;
	}
	/* What changed while it did not share was not noted: all goes again. */
	if (r == 0 && on == 0)
		r = db_setting_put(s->db, "share_base", 0, err);
	if (r == 0)
		r = db_setting_put(s->db, "sharing", 1, err);
	if (r == 0)
		return db_commit(s->db, err);
	db_rollback(s->db);
	return -1;
}

void
share_begin(struct store *s)
{
	struct share *h;
	struct err err = { 0 };

	if (!s->rt->conf->base.on) {
		if (run(s->db, "DELETE FROM setting WHERE name='sharing'", &err) == -1)
			log_error("%s", err.text);
		return;
	}
	h = calloc(1, sizeof(*h));
	ASSERT(h != NULL);
	s->share = h;
	h->tickets = tickets_new();
	h->scratch = arena_new(1u << 20);
	h->batch.fd = -1;
	h->limit = BATCH_LIMIT;
	h->since = clock_real();
	h->recent = idtable_new();
	h->older = idtable_new();
	snprintf(h->why, sizeof(h->why), "it has not answered yet");
	h->wake = event_new(s->rt->base, -1, 0, on_wake, s);
	h->patience = evtimer_new(s->rt->base, base_patience, s);
	ASSERT(h->wake && h->patience);
	if ((h->words = base_words_new(s->db, &err)) == NULL || identity(s, &err) == -1 ||
	    claims_begin(s->db, &err) == -1 || guests_leave(s->db, 0, &err) == -1) {
		log_error("this node does not share: %s", err.text);
		event_free(h->wake);
		s->share = NULL;
	}
}

void
share_end(struct store *s)
{
	struct share *h = s->share;

	if (h == NULL)
		return;
	save(s);
	base_words_free(&h->words);
	db_close(&h->mem);
}

/* What is under way will not be answered. */
static void
leave(struct store *s, const char *why)
{
	struct msg_shared m = { .kind = SHARED_AWAY, .text = span_str(why) };

	if (s->share->ticket)
		batch_over(s, &m);
	is_away(s, &m);
}

void
share_peer_up(struct store *s, struct link *l)
{
	struct share *h = s->share;

	if (h == NULL)
		return;
	/* After a reload there are two for a while; the older one is asked again when the younger one ends. */
	leave(s, "the process that speaks to it is a new one");
	h->before = h->cluster;
	h->cluster = l;
	hello(s);
}

void
share_peer_down(struct store *s, struct link *l)
{
	struct share *h = s->share;

	if (h && h->before == l)
		h->before = NULL;
	if (h == NULL || h->cluster != l)
		return;
	h->cluster = h->before;
	h->before = NULL;
	leave(s, "the process that speaks to it ended");
	if (h->cluster)
		hello(s);
}

struct base_words *
share_words(struct store *s)
{
	return s->share->words;
}
