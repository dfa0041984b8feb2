/* tlsrpt.c -- TLS reports in the store: events in, days out; see tlsrpt.h. */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "store/tlsrpt_own.h"

#define WRITE_US (INT64_C(200) * 1000)
#define LOOK_US (60 * US_PER_SEC)
#define PRUNE_US (3600 * US_PER_SEC)
#define AFTER_US (15 * 60 * US_PER_SEC)		/* behind midnight: the last sessions are in */
#define JITTER_US (4 * 3600 * US_PER_SEC)	/* RFC 8460, 4.1: up to four hours */

static void
arm(struct event *ev, int64_t us)
{
	struct timeval tv = { us / US_PER_SEC, us % US_PER_SEC };

	if (!evtimer_pending(ev, NULL))
		evtimer_add(ev, &tv);
}

static int
seen_write(struct tls_reports *t, struct err *err)
{
	struct db *d = t->s->db;

	store_settle(t->s);
	if (db_begin(d, false, err) == -1)
		return -1;
	for (size_t i = 0; i < t->seen.n; i++)
		if (tls_db_add(d, &t->seen.list[i], err) == -1) {
			db_rollback(d);
			return -1;
		}
	return db_commit(d, err);
}

void
reports_flush(struct tls_reports *t)
{
	struct err err;

	if (t->seen.n == 0)
		return;
	if (seen_write(t, &err) == -1) {
		if (!t->seen.failing)
			log_error("what was seen of TLS cannot be written; it waits: %s", err.text);
		t->seen.failing = true;
		arm(t->write, RETRY_US);
		return;
	}
	t->seen.failing = false;
	t->seen.n = 0;
	t->seen.list = NULL;
	arena_reset(t->seen.arena);
}

static void
on_write(evutil_socket_t fd, short what, void *arg)
{
	reports_flush(arg);
}

static int
take_seen(struct tls_reports *t, struct frame *f)
{
	struct msg_tls_seen *m;

	if (t->seen.n == SEEN_MAX) {
		counter_add(COUNTER_EVENTS_LOST, 1);
		return 0;
	}
	if (t->seen.list == NULL)
		t->seen.list = arena_array(t->seen.arena, SEEN_MAX, sizeof(*t->seen.list));
	m = &t->seen.list[t->seen.n];
	if (tls_seen_decode(arena_span(t->seen.arena, f->body), f->fd, t->seen.arena, m) == -1)
		return -1;
	t->seen.n++;
	arm(t->write, t->seen.failing ? RETRY_US : WRITE_US);
	return 0;
}

/* ---- days ---- */

static void
look(struct tls_reports *t, int64_t real)
{
	struct arena *a = arena_new(0);
	struct tls_report_row *rows;
	struct err err;
	size_t n, room = FLIGHTS_AT_ONCE > t->flying ? FLIGHTS_AT_ONCE - t->flying : 0;

	store_settle(t->s);
	if (tls_db_schedule(t->s->db, real / TLS_DAY_US, AFTER_US, JITTER_US, &err) == -1 ||
	    tls_db_due(t->s->db, real, room, a, &rows, &n, &err) == -1) {
		log_error("TLS reports: %s", err.text);
		arena_free(&a);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct tls_report_row leased = rows[i];

		/* If this process ends meanwhile, it is taken up again then. */
		leased.next = real + 10 * 60 * US_PER_SEC;
		if (leased.first == 0)
			leased.first = real;
		if (tls_db_put(t->s->db, &leased, &err) == 0)
			flight_new(t, &leased, NULL);
	}
	arena_free(&a);
	if (n == room && n > 0)
		t->look_at = 0;		/* there may be more */
	flights_pump(t);
}

static void
prune(struct tls_reports *t, int64_t real)
{
	struct err err;

	store_settle(t->s);
	if (db_begin(t->s->db, false, &err) == -1)
		return;
	if (tls_db_prune(t->s->db, real / TLS_DAY_US - TLS_DAYS_KEPT, &err) == -1) {
		log_error("TLS reports: %s", err.text);
		db_rollback(t->s->db);
	} else if (db_commit(t->s->db, &err) == -1)
		log_error("TLS reports: %s", err.text);
}

void
reports_tick(struct tls_reports *t, int64_t real, int64_t mono)
{
	flights_tick(t, mono);
	if (t->s->rt->retiring)
		return;
	if (mono >= t->prune_at) {
		t->prune_at = mono + PRUNE_US;
		prune(t, real);
	}
	if (!t->s->rt->conf->reports.send || mono < t->look_at || t->flying >= FLIGHTS_AT_ONCE)
		return;
	t->look_at = mono + LOOK_US;
	look(t, real);
}

/* ---- the role ---- */

struct tls_reports *
reports_new(struct store *s)
{
	struct tls_reports *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	t->s = s;
	t->seen.arena = arena_new(0);
	t->write = evtimer_new(s->rt->base, on_write, t);
	ASSERT(t->write != NULL);
	t->prune_at = clock_mono() + LOOK_US;
	return t;
}

void
reports_free(struct tls_reports **tp)
{
	struct tls_reports *t = *tp;

	*tp = NULL;
	flights_drop(t);
	arena_free(&t->seen.arena);
	event_free(t->write);
	free(t);
}

void
reports_peer_up(struct tls_reports *t, struct link *l)
{
	/* The latest of each: it has the newest configuration. */
	if (link_peer(l) == ROLE_DELIVERY)
		t->delivery = l;
	else if (link_peer(l) == ROLE_SIGNER)
		t->signer = l;
	else if (link_peer(l) == ROLE_FETCHER)
		t->fetcher = l;
}

void
reports_peer_down(struct tls_reports *t, struct link *l)
{
	struct link **const all[] = { &t->delivery, &t->signer, &t->fetcher };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (*all[i] == l)
			*all[i] = NULL;
	flights_lost(t, l);
}

int
reports_frame(struct tls_reports *t, struct link *l, struct frame *f)
{
	struct arena *a = t->s->scratch;
	struct msg_rua rua;
	struct msg_signed sig;
	struct msg_posted posted;

	switch (f->type) {
	case FRAME_TLS_SEEN:
		return take_seen(t, f);
	case FRAME_RUA:
		return rua_decode(f->body, f->fd, a, &rua) == -1 ? -1 : flight_rua(t, f->ticket, &rua);
	case FRAME_SIGNED:
		return signed_decode(f->body, f->fd, a, &sig) == -1 ? -1 :
		    flight_signed(t, f->ticket, &sig);
	case FRAME_POSTED:
		return posted_decode(f->body, f->fd, a, &posted) == -1 ? -1 :
		    flight_posted(t, f->ticket, &posted);
	default:
		return -1;
	}
}
