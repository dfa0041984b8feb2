/* scanners.c -- which scanner judges which message, and what happens when one dies of it.
 *
 * A scanner works on one message at a time; a second one lies ready in its
 * channel, so that it never waits for us. New work goes to the scanner with
 * the least. When a scanner dies, the oldest message it had is its killer:
 * it is tried once more on another one, then held as unscannable. What lay behind it
 * is innocent. A scanner that does not answer within scan_timeout counts as
 * killed; the master is asked to end it. The second try waits for SUSPECT_PAUSE:
 * when the scanners' parent dies they all go within milliseconds, and no message
 * shall be blamed for two deaths that were one.
 *
 * The queue of waiting messages is bounded, in number and in time: without a
 * scanner the client hears 451 and keeps its message.
 */
#include <stdlib.h>

#include "log.h"
#include "receiver/scanners.h"

#define DEPTH 2
#define WORKERS_MAX 256
#define WAITING_MAX 2000
#define GRACE (10 * INT64_C(1000000))	/* without any scanner: time to start a new one */
#define KILLS_MAX 2
#define PATIENCE_MIN (5 * INT64_C(1000000))
#define SUSPECT_PAUSE (INT64_C(500) * 1000)

struct worker {
	struct link *l;
	struct { uint64_t ticket; struct message *m; } busy[DEPTH];	/* oldest first; m NULL: given up */
	unsigned n;
	int64_t since;		/* the oldest is being judged */
	bool condemned;		/* gets no more; its end is under way */
	bool retiring;		/* condemned by itself: it goes when it is done */
};

struct scanners {
	struct messages *all;
	struct worker workers[WORKERS_MAX];
	size_t n;
	struct message *first, *last;	/* waiting */
	size_t waiting;
};

struct scanners *
scanners_new(struct messages *all)
{
	struct scanners *sc = calloc(1, sizeof(*sc));

	ASSERT(sc != NULL);
	sc->all = all;
	return sc;
}

void
scanners_free(struct scanners **sc)
{
	free(*sc);
	*sc = NULL;
}

size_t
scanners_waiting(const struct scanners *sc)
{
	return sc->waiting;
}

/* How long a message waits for a scanner. */
static int64_t
patience(const struct scanners *sc)
{
	int64_t two = 2 * sc->all->conf->scan_timeout;

	return two > PATIENCE_MIN ? two : PATIENCE_MIN;
}

/* ---- the line of those who wait ---- */

static void
wait_put(struct scanners *sc, struct message *m, bool in_front)
{
	ASSERT(!m->waiting);
	m->waiting = true;
	m->prev_wait = in_front ? NULL : sc->last;
	m->next_wait = in_front ? sc->first : NULL;
	*(m->prev_wait ? &m->prev_wait->next_wait : &sc->first) = m;
	*(m->next_wait ? &m->next_wait->prev_wait : &sc->last) = m;
	sc->waiting++;
}

static void
wait_remove(struct scanners *sc, struct message *m)
{
	if (!m->waiting)
		return;
	*(m->prev_wait ? &m->prev_wait->next_wait : &sc->first) = m->next_wait;
	*(m->next_wait ? &m->next_wait->prev_wait : &sc->last) = m->prev_wait;
	m->waiting = false;
	sc->waiting--;
}

static struct worker *
least_busy(struct scanners *sc)
{
	struct worker *best = NULL;

	for (size_t i = 0; i < sc->n; i++) {
		struct worker *w = &sc->workers[i];

		if (!w->condemned && w->n < DEPTH && (best == NULL || w->n < best->n))
			best = w;
	}
	return best;
}

/* Suspects wait at the front of the line; there are never many. */
static struct message *
first_due(const struct scanners *sc, int64_t now)
{
	struct message *m = sc->first;

	while (m && m->not_before > now)
		m = m->next_wait;
	return m;
}

static void
dispatch(struct scanners *sc, int64_t now)
{
	struct worker *w;

	struct message *m;

	while ((m = first_due(sc, now)) != NULL && (w = least_busy(sc)) != NULL) {
		uint64_t ticket = ticket_open(sc->all->tickets, m, INT64_MAX);

		wait_remove(sc, m);
		if (message_send_scan(m, w->l, ticket) == -1) {
			ticket_close(sc->all->tickets, ticket);
			message_finish(m, 451, "4.7.1 the message cannot be checked now");
			continue;
		}
		m->ticket = ticket;
		if (w->n == 0)
			w->since = now;
		w->busy[w->n].ticket = ticket;
		w->busy[w->n++].m = m;
	}
}

int
scanners_judge(struct scanners *sc, struct message *m, int64_t now)
{
	if (sc->waiting >= WAITING_MAX)
		return -1;
	m->wait_until = now + patience(sc);
	wait_put(sc, m, false);
	dispatch(sc, now);
	return 0;
}

/* ---- scanners come and go ---- */

static struct worker *
find(struct scanners *sc, const struct link *l)
{
	for (size_t i = 0; i < sc->n; i++)
		if (sc->workers[i].l == l)
			return &sc->workers[i];
	return NULL;
}

void
scanners_up(struct scanners *sc, struct link *l, int64_t now)
{
	if (sc->n == WORKERS_MAX) {
		log_error("more than %d scanners: one is not used", WORKERS_MAX);
		return;
	}
	sc->workers[sc->n++] = (struct worker){ .l = l };
	dispatch(sc, now);
}

/* What a worker had goes back to the front of the line, but for its killer's second time. */
static void
take_back(struct scanners *sc, struct worker *w, int64_t now)
{
	for (unsigned i = w->n; i-- > 0; ) {
		struct message *m = w->busy[i].m;

		ticket_close(sc->all->tickets, w->busy[i].ticket);
		if (m == NULL)
			continue;
		m->ticket = 0;
		if (i == 0 && ++m->kills >= KILLS_MAX) {
			log_msg(LOG_LVL_ERROR, m->id, "killed %u scanners: held as unscannable",
			    m->kills);
			message_unscannable(m,
			    "the message ended two scanners: held as unscannable", now);
			continue;
		}
		if (i == 0)
			log_msg(LOG_LVL_WARN, m->id, "its scanner[%u] died: once more on another",
			    link_instance(w->l));
		m->not_before = i == 0 ? now + SUSPECT_PAUSE : 0;
		m->wait_until = now + patience(sc);
		wait_put(sc, m, true);
	}
	w->n = 0;
}

bool
scanners_down(struct scanners *sc, struct link *l, int64_t now)
{
	struct worker *w = find(sc, l), gone;
	bool busy;

	if (w == NULL)
		return false;
	gone = *w;
	busy = gone.n > 0;
	*w = sc->workers[--sc->n];
	take_back(sc, &gone, now);
	dispatch(sc, now);
	return busy;
}

/* A retiring scanner that has nothing left is let go: nothing can be lost on its way to it. */
static bool
let_go(struct scanners *sc, struct worker *w)
{
	struct link *l = w->l;

	if (!w->retiring || w->n)
		return false;
	*w = sc->workers[--sc->n];
	sc->all->released(sc->all->ctx, l);
	link_close(&l);
	return true;
}

void
scanners_retire(struct scanners *sc, struct link *l)
{
	struct worker *w = find(sc, l);

	if (w == NULL)
		return;
	w->condemned = w->retiring = true;
	let_go(sc, w);
}

struct message *
scanners_answered(struct scanners *sc, struct link *l, uint64_t ticket, int64_t now)
{
	struct worker *w = find(sc, l);
	struct message *m = NULL;

	for (unsigned i = 0; w && i < w->n; i++) {
		if (w->busy[i].ticket != ticket)
			continue;
		m = w->busy[i].m;
		for (unsigned k = i + 1; k < w->n; k++)
			w->busy[k - 1] = w->busy[k];
		w->n--;
		w->since = now;
		let_go(sc, w);
		break;
	}
	if (m) {
		ticket_close(sc->all->tickets, ticket);
		m->ticket = 0;
	}
	dispatch(sc, now);
	return m;
}

void
scanners_forget(struct scanners *sc, struct message *m)
{
	wait_remove(sc, m);
	for (size_t i = 0; i < sc->n; i++)
		for (unsigned k = 0; k < sc->workers[i].n; k++)
			if (sc->workers[i].busy[k].m == m)
				sc->workers[i].busy[k].m = NULL;
	if (m->ticket)
		ticket_close(sc->all->tickets, m->ticket);
	m->ticket = 0;
}

void
scanners_tick(struct scanners *sc, int64_t now)
{
	bool any = false;

	for (size_t i = 0; i < sc->n; i++) {
		struct worker *w = &sc->workers[i];

		if ((!w->condemned || w->retiring) && w->n && now - w->since > sc->all->conf->scan_timeout) {
			log_error("scanner[%u] has not answered for %lld s", link_instance(w->l),
			    (long long)((now - w->since) / 1000000));
			w->condemned = true;
			w->retiring = false;
			take_back(sc, w, now);
			sc->all->hung(sc->all->ctx, w->l);
		}
		any |= !w->condemned;
	}
	dispatch(sc, now);
	while (sc->first) {
		struct message *m = sc->first;
		int64_t limit = m->wait_until;

		if (!any && limit > m->wait_until - patience(sc) + GRACE)
			limit = m->wait_until - patience(sc) + GRACE;
		if (now < limit)
			break;
		wait_remove(sc, m);
		message_finish(m, 451, "4.7.1 no scanner available, try again later");
	}
}
