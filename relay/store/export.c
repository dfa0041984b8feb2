/* export.c -- see export.h. */
#include <stdlib.h>

#include "clock.h"
#include "id.h"
#include "ipc/messages_export.h"
#include "json.h"
#include "log.h"
#include "store/export.h"
#include "store/export_format.h"
#include "store/journal.h"

#define EVENTS_AT_ONCE 200		/* of a log server, in one frame */
#define BODY_MAX (1u << 20)
#define LOOKED_AT 1000			/* rows of the journal for one frame, when few of them are wanted */
#define ANSWER_US (120 * US_PER_SEC)
#define RETRY_FIRST US_PER_SEC
#define RETRY_MAX (300 * US_PER_SEC)
#define GIVE_UP (24 * 3600 * US_PER_SEC)	/* of one webhook event that is never taken */

struct target {
	const struct conf_export *conf;
	char name[33];
	int64_t at;			/* the last event that is over */
	int64_t until;			/* of the EXPORT under way */
	size_t n;			/* events in it */
	uint64_t ticket;		/* 0: none is under way */
	int64_t deadline, retry_at;	/* clock_mono */
	int64_t failing;		/* clock_mono of the first failure in a row; 0 */
	int64_t wait;
	int64_t lost;			/* events, since it was last told of any */
};

struct exports {
	struct store *s;
	struct link *fetcher;
	uint64_t last_ticket;
	struct target t[EXPORTS_MAX];
	size_t n;
	struct arena *arena;
};

static int64_t
journal_end(struct exports *x, struct err *err)
{
	sqlite3_stmt *st = db_stmt(x->s->db, "SELECT coalesce(max(seq), 0) FROM event", err);
	int64_t v = -1;

	if (st && db_step(x->s->db, st, err) == 1) {
		v = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return v;
}

/* ---- the place ---- */

static void
place_key(const struct target *t, char key[64])
{
	snprintf(key, 64, "export:%s", t->name);
}

static int
place_write(struct exports *x, const struct target *t, struct err *err)
{
	sqlite3_stmt *st;
	char key[64];
	int r = -1;

	place_key(t, key);
	store_settle(x->s);
	if (db_begin(x->s->db, false, err) == -1)
		return -1;
	st = db_stmt(x->s->db, "INSERT INTO setting(name, value) VALUES(?,?)"
	    " ON CONFLICT(name) DO UPDATE SET value=excluded.value", err);
	if (st) {
		db_text(st, 1, span_str(key));
		db_int(st, 2, t->at);
		r = db_run(x->s->db, st, err);
	}
	if (r == 0)
		return db_commit(x->s->db, err);
	db_rollback(x->s->db);
	return -1;
}

static void
place_read(struct exports *x, struct target *t)
{
	struct err err;
	sqlite3_stmt *st = db_stmt(x->s->db, "SELECT value FROM setting WHERE name=?", &err);
	int64_t end = journal_end(x, &err);
	char key[64];
	bool known = false;

	place_key(t, key);
	if (st) {
		db_text(st, 1, span_str(key));
		if ((known = db_step(x->s->db, st, &err) == 1)) {
			t->at = sqlite3_column_int64(st, 0);
			sqlite3_reset(st);
		}
	}
	if (!known || t->at > end) {
		t->at = end < 0 ? 0 : end;
		if (place_write(x, t, &err) == -1)
			log_warn("%s: its place in the journal is not written: %s", t->name, err.text);
	}
}

static void
targets_read(struct exports *x)
{
	const struct config *c = x->s->rt->conf;

	x->n = c->nexports;
	for (size_t i = 0; i < x->n; i++) {
		struct target *t = &x->t[i];

		*t = (struct target){ .conf = &c->exports[i] };
		snprintf(t->name, sizeof(t->name), SPAN_FMT, SPAN_ARG(t->conf->name));
		place_read(x, t);
	}
}

struct exports *
exports_new(struct store *s)
{
	struct exports *x = calloc(1, sizeof(*x));

	ASSERT(x != NULL);
	x->s = s;
	x->arena = arena_new(0);
	targets_read(x);
	return x;
}

void
exports_reconfigured(struct exports *x)
{
	targets_read(x);	/* what is under way comes again */
}

void
exports_end(struct exports *x)
{
	x->fetcher = NULL;
	x->n = 0;
}

/* ---- events out of the journal ---- */

static bool
kind_of(struct span name, enum event_kind *k)
{
	for (int i = 0; i < EVENT_COUNT; i++)
		if (span_is(name, event_name((enum event_kind)i))) {
			*k = (enum event_kind)i;
			return true;
		}
	return false;
}

static int
add_recipients(struct exports *x, struct msg_event *ev, size_t max, struct err *err)
{
	sqlite3_stmt *st = db_stmt(x->s->db, "SELECT address FROM recipient WHERE id=? LIMIT ?", err);
	struct recipient *v = arena_zalloc(x->arena, max * sizeof(*v));
	size_t n = 0;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)ev->id);
	db_int(st, 2, (int64_t)max);
	while ((r = db_step(x->s->db, st, err)) == 1)
		if (n < max)
			v[n++].address = arena_span(x->arena, db_column(st, 0));
	ev->env.recipients = v;
	ev->env.nrecipients = n;
	return r;
}

static struct span
column(struct exports *x, sqlite3_stmt *st, int i)
{
	return arena_span(x->arena, db_column(st, i));
}

static void
event_of(struct exports *x, sqlite3_stmt *st, enum event_kind kind, struct msg_event *ev)
{
	*ev = (struct msg_event){ .kind = kind, .id = db_column_id(st, 1),
		.time = sqlite3_column_int64(st, 2), .rcpt = column(x, st, 4), .outcome = column(x, st, 5),
		.dsn = column(x, st, 6), .relay = column(x, st, 7), .reply = column(x, st, 8),
		.tls = column(x, st, 9), .by = column(x, st, 10), .parent = db_column_id(st, 11),
		.size = (uint64_t)sqlite3_column_int64(st, 15) };
	ev->env.client_name = column(x, st, 13);
	ev->env.sender = column(x, st, 14);
	if (!ip_parse(db_column(st, 12), &ev->env.client))
		ev->env.client = (struct ip){ 0 };
	ev->has_env = kind == EVENT_ACCEPTED || kind == EVENT_REFUSED || kind == EVENT_LOCKED;
}

/* The next events of the target into m; 1 there are some, 0 none, -1 failure. */
static int
gather(struct exports *x, struct target *t, struct buf *body, struct msg_export *m, struct err *err)
{
	static const char sql[] = "SELECT e.seq, e.id, e.time, e.kind, e.rcpt, e.outcome, e.dsn, e.relay,"
	    " e.reply, e.tls, e.by, e.parent, m.client, m.client_name, m.sender, m.size"
	    " FROM event e LEFT JOIN message m ON m.id=e.id WHERE e.seq>?1 ORDER BY e.seq LIMIT ?2";
	const struct config *c = x->s->rt->conf;
	const struct export_about about = { c->hostname, SPAN_LIT(POSTERN_VERSION) };
	bool hook = t->conf->way == EXPORT_WEBHOOK;
	sqlite3_stmt *st = db_stmt(x->s->db, sql, err);
	struct enc e = { body };
	struct buf one;
	int r = -1;

	if (st == NULL)
		return -1;
	db_int(st, 1, t->at);
	db_int(st, 2, LOOKED_AT);
	t->until = t->at;
	t->n = 0;
	buf_init(&one, BODY_MAX);
	while (t->n < (hook ? 1 : EVENTS_AT_ONCE) && (r = db_step(x->s->db, st, err)) == 1) {
		int64_t seq = sqlite3_column_int64(st, 0);
		enum event_kind kind;
		struct msg_event ev;

		if (!kind_of(db_column(st, 3), &kind) || !(t->conf->events & UINT64_C(1) << kind)) {
			t->until = seq;
			continue;
		}
		event_of(x, st, kind, &ev);
		if (ev.has_env && add_recipients(x, &ev, hook ? 1000 : EXPORT_TO_MAX, err) == -1) {
			r = -1;
			break;
		}
		buf_reset(&one);
		if (hook) {
			struct json j;

			json_begin(&j, &one);
			json_object(&j);
			json_kint(&j, "v", 1);
			journal_event_json(&j, &ev, seq);
			json_end_object(&j);
			m->event = span_str(event_name(kind));
		} else
			export_syslog(&one, &about, t->conf->format, &ev, seq);
		if (t->n && buf_size(body) + buf_size(&one) + 4 > BODY_MAX)
			break;
		t->until = seq;
		if (buf_failed(&one)) {	/* too large to be told */
			counter_add(COUNTER_EXPORT_LOST, 1);
			buf_release(&one);
			buf_init(&one, BODY_MAX);
			continue;
		}
		if (hook)
			buf_put(body, buf_data(&one).p, buf_size(&one));
		else
			enc_span(&e, buf_data(&one));
		t->n++;
	}
	sqlite3_reset(st);
	buf_release(&one);
	return r == -1 ? -1 : t->n > 0;
}

/* ---- sending ---- */

static void
put_off(struct exports *x, struct target *t, struct span why)
{
	int64_t now = clock_mono();

	t->ticket = 0;
	if (t->failing == 0) {
		t->failing = now;
		t->wait = RETRY_FIRST;
		log_warn("%s cannot be told of events, which wait: " SPAN_FMT, t->name,
		    SPAN_ARG(span_sub(why, 0, 300)));
	} else if (t->wait < RETRY_MAX)
		t->wait *= 2;
	t->retry_at = now + (t->wait < RETRY_MAX ? t->wait : RETRY_MAX);
	counter_add(COUNTER_EXPORT_FAILURES, 1);
}

static void
moved(struct exports *x, struct target *t, int64_t to)
{
	struct err err;

	t->at = to;
	if (place_write(x, t, &err) == -1)
		log_warn("%s: its place in the journal is not written: %s", t->name, err.text);
}

/* What is more than the backlog behind is left out. */
static void
shorten(struct exports *x, struct target *t, int64_t end)
{
	int64_t lost = end - t->at - (int64_t)t->conf->backlog;

	if (t->lost && -lost > (int64_t)t->conf->backlog / 2) {
		log_info("%s has caught up; %lld events were not told", t->name, (long long)t->lost);
		t->lost = 0;
	}
	if (lost <= 0)
		return;
	if (t->lost == 0)	/* once; how many is said when it has caught up */
		log_error("%s: events of the journal are not told: more than %llu wait", t->name,
		    (unsigned long long)t->conf->backlog);
	t->lost += lost;
	counter_add(COUNTER_EXPORT_LOST, lost);
	moved(x, t, t->at + lost);
}

static void
give_up(struct exports *x, struct target *t)
{
	log_error("%s: an event is not told: it was not taken for a day", t->name);
	counter_add(COUNTER_EXPORT_LOST, (int64_t)t->n);
	t->failing = 0;
	moved(x, t, t->until);
}

static void
send_next(struct exports *x, struct target *t, int64_t now)
{
	struct msg_export m = { .name = span_str(t->name) };
	struct buf body, b;
	char delivery[64];
	struct err err;
	int r;

	arena_reset(x->arena);
	buf_init(&body, 2 * BODY_MAX);
	buf_init(&b, FRAME_BIG);
	r = gather(x, t, &body, &m, &err);
	if (r == -1) {
		put_off(x, t, span_str(err.text));
	} else if (r == 0) {
		if (t->until > t->at + LOOKED_AT / 2)	/* nothing wanted in all of these */
			moved(x, t, t->until);
		else
			t->at = t->until;
	} else {
		snprintf(delivery, sizeof(delivery), "%s-%lld", t->name, (long long)t->until);
		m.delivery = span_str(delivery);
		m.body = buf_data(&body);
		export_encode(&b, &m);
		t->ticket = ++x->last_ticket;
		t->deadline = now + ANSWER_US;
		if (buf_failed(&b) || link_send(x->fetcher, FRAME_EXPORT, t->ticket, buf_data(&b), -1) == -1)
			put_off(x, t, SPAN_LIT("the fetcher does not take it"));
	}
	buf_release(&body);
	buf_release(&b);
}

void
exports_tick(struct exports *x)
{
	int64_t now = clock_mono(), end, behind = 0;
	struct err err;

	if (x->n == 0 || x->s->reads || x->s->rt->retiring || (end = journal_end(x, &err)) == -1)
		return;
	for (size_t i = 0; i < x->n; i++) {
		struct target *t = &x->t[i];

		if (t->ticket == 0)
			shorten(x, t, end);
		if (end - t->at > behind)
			behind = end - t->at;
		if (t->ticket && now >= t->deadline)
			put_off(x, t, SPAN_LIT("no answer from the fetcher"));
		if (t->failing && t->conf->way == EXPORT_WEBHOOK && now - t->failing > GIVE_UP && t->ticket == 0)
			give_up(x, t);
		if (t->ticket == 0 && x->fetcher && now >= t->retry_at && t->at < end)
			send_next(x, t, now);
	}
	counter_set(COUNTER_EXPORT_WAITING, (uint64_t)behind);
}

/* ---- the role ---- */

void
exports_peer_up(struct exports *x, struct link *l)
{
	if (link_peer(l) == ROLE_FETCHER)
		x->fetcher = l;	/* the latest has the newest configuration */
}

void
exports_peer_down(struct exports *x, struct link *l)
{
	if (x->fetcher != l)
		return;
	x->fetcher = NULL;
	for (size_t i = 0; i < x->n; i++) {
		x->t[i].ticket = 0;	/* it comes again */
		x->t[i].retry_at = 0;
	}
}

int
exports_frame(struct exports *x, struct frame *f)
{
	struct msg_exported m;

	if (exported_decode(f->body, f->fd, x->s->scratch, &m) == -1)
		return -1;
	for (size_t i = 0; i < x->n; i++) {
		struct target *t = &x->t[i];

		if (t->ticket != f->ticket)
			continue;
		if (!m.ok) {
			put_off(x, t, m.text);
			return 0;
		}
		if (t->failing)
			log_info("%s is told of events again", t->name);
		t->ticket = 0;
		t->failing = t->retry_at = 0;
		counter_add(COUNTER_EXPORTED, (int64_t)t->n);
		moved(x, t, t->until);
		exports_tick(x);
		return 0;
	}
	return 0;	/* a late one: it was sent again meanwhile */
}
