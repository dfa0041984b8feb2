/* look.c -- kept messages on their way to a scanner; see look.h. */
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "store/look.h"

#define WORKERS_MAX 256
#define DEATHS_MAX 2
#define GRACE (10 * US_PER_SEC)		/* without any scanner: time to start a new one */

struct look {
	int64_t kid;
	enum inspect_what what;
	look_done *done;
	void *ctx;
	uint64_t ticket;		/* 0: it waits */
	int64_t deadline;		/* clock_mono */
	unsigned deaths;
	struct look *next;
};

struct looks {
	struct { struct link *l; uint64_t ticket; bool retiring; } workers[WORKERS_MAX];
	size_t n;
	struct look *first, **last;	/* oldest first */
	uint64_t number;
};

static struct looks *
looks_of(struct store *s)
{
	if (s->looks == NULL) {
		s->looks = calloc(1, sizeof(*s->looks));
		ASSERT(s->looks != NULL);
		s->looks->last = &s->looks->first;
	}
	return s->looks;
}

static void
look_remove(struct looks *all, struct look *gone)
{
	for (struct look **pp = &all->first; *pp; pp = &(*pp)->next)
		if (*pp == gone) {
			*pp = gone->next;
			if (all->last == &gone->next)
				all->last = pp;
			return;
		}
}

/* It is out of the list before anybody is called, who may start another. */
static void
look_end(struct looks *all, struct look *k, const struct msg_inspected *m, const char *why)
{
	look_remove(all, k);
	k->done(k->ctx, m, why);
	free(k);
}

static int
send_one(struct store *s, struct link *l, struct look *k, uint64_t ticket, struct err *err)
{
	struct arena *a = arena_new(0);
	struct msg_inspect m = { .what = k->what };
	struct kept kept;
	struct buf b;
	int r = kept_load(s->db, k->kid, true, a, &kept, err);

	if (r == 0)
		r = err_set(err, 0, "it is gone");
	if (r != 1 || store_payload(kept.content, a, &m.payload, err) == -1) {
		arena_free(&a);
		return -1;
	}
	m.env = kept.env;
	buf_init(&b, FRAME_BIG);
	inspect_encode(&b, &m);
	if (buf_failed(&b)) {
		if (m.payload.fd != -1)
			close(m.payload.fd);
		r = err_set(err, 0, "its envelope is too large");
	} else if (link_send(l, FRAME_INSPECT, ticket, buf_data(&b), m.payload.fd) == -1) {
		r = err_set(err, 0, "the scanner takes nothing now");
	}
	buf_release(&b);
	arena_free(&a);
	return r == -1 ? -1 : 0;
}

/* Failures are told by the tick: nobody is called from within look_start. */
static void
dispatch(struct store *s, bool may_call)
{
	struct looks *all = looks_of(s);
	struct err err = { 0 };

	for (size_t i = 0; i < all->n; i++) {
		struct look *k = all->first;

		while (k && k->ticket)
			k = k->next;
		if (k == NULL)
			return;
		if (all->workers[i].ticket || all->workers[i].retiring)
			continue;
		store_settle(s);
		if (send_one(s, all->workers[i].l, k, all->number + 1, &err) == -1) {
			k->deadline = 0;
			if (!may_call)
				return;
			look_end(all, k, NULL, err.text);
			i--;
			continue;
		}
		all->workers[i].ticket = k->ticket = ++all->number;
	}
}

void
look_start(struct store *s, enum inspect_what what, int64_t kid, look_done *done, void *ctx)
{
	struct looks *all = looks_of(s);
	struct look *k = calloc(1, sizeof(*k));

	ASSERT(k != NULL);
	*k = (struct look){ .kid = kid, .what = what, .done = done, .ctx = ctx,
		.deadline = clock_mono() + 2 * s->rt->conf->scan_timeout + GRACE };
	*all->last = k;
	all->last = &k->next;
	dispatch(s, false);
}

bool
look_pending(const struct store *s, int64_t kid)
{
	for (const struct look *k = s->looks ? s->looks->first : NULL; k; k = k->next)
		if (k->kid == kid && k->what == INSPECT_JUDGE)
			return true;
	return false;
}

/* ---- scanners ---- */

void
look_peer_up(struct store *s, struct link *l)
{
	struct looks *all = looks_of(s);

	if (all->n == WORKERS_MAX)
		return;
	all->workers[all->n].l = l;
	all->workers[all->n].ticket = 0;
	all->workers[all->n++].retiring = false;
	dispatch(s, true);
}

static struct look *
look_of(struct looks *all, uint64_t ticket)
{
	struct look *k = all->first;

	while (k && k->ticket != ticket)
		k = k->next;
	return ticket ? k : NULL;
}

void
look_peer_down(struct store *s, struct link *l)
{
	struct looks *all = looks_of(s);

	for (size_t i = 0; i < all->n; i++) {
		struct look *k;

		if (all->workers[i].l != l)
			continue;
		k = look_of(all, all->workers[i].ticket);
		all->workers[i] = all->workers[--all->n];
		if (k == NULL)
			break;
		k->ticket = 0;
		if (++k->deaths == DEATHS_MAX)
			look_end(all, k, NULL, "it ended two scanners: it cannot be looked at");
		break;
	}
	dispatch(s, true);
}

int
look_frame(struct store *s, struct link *l, struct frame *f, bool *leave)
{
	struct looks *all = looks_of(s);
	struct msg_inspected m;
	struct look *k;
	size_t i = 0;

	*leave = false;
	while (i < all->n && all->workers[i].l != l)
		i++;
	if (i == all->n)
		return f->type == FRAME_RETIRE || f->type == FRAME_INSPECTED ? 0 : -1;
	if (f->type == FRAME_RETIRE) {
		all->workers[i].retiring = true;
	} else {
		if (f->type != FRAME_INSPECTED ||
		    inspected_decode(f->body, f->fd, s->scratch, &m) == -1)
			return -1;
		k = look_of(all, f->ticket);
		all->workers[i].ticket = 0;
		if (k)
			look_end(all, k, m.status == INSPECT_DONE ? &m : NULL, m.status == INSPECT_DONE ? NULL :
			    arena_str(s->scratch, m.why));
		dispatch(s, true);
		for (i = 0; i < all->n && all->workers[i].l != l; i++)
			;
		if (i == all->n)
			return 0;
	}
	*leave = all->workers[i].retiring && all->workers[i].ticket == 0;
	return 0;
}

void
look_tick(struct store *s)
{
	int64_t now = clock_mono();
	struct looks *all = s->looks;

	if (all == NULL)
		return;
	for (struct look *k = all->first, *next; k; k = next) {
		int64_t limit = k->deadline;

		next = k->next;
		if (all->n == 0 && limit > k->deadline - 2 * s->rt->conf->scan_timeout)
			limit = k->deadline - 2 * s->rt->conf->scan_timeout;
		if (now < limit)
			continue;
		for (size_t i = 0; i < all->n; i++)
			if (k->ticket && all->workers[i].ticket == k->ticket)
				all->workers[i].ticket = UINT64_MAX;	/* its answer comes late, or never */
		look_end(all, k, NULL, all->n ? "no scanner has answered; try again" :
		    "no scanner is there to look at it; try again in a moment");
		next = all->first;	/* who was called may have changed the line */
	}
}

void
looks_free(struct store *s)
{
	struct looks *all = s->looks;

	s->looks = NULL;
	for (struct look *k = all ? all->first : NULL, *next; k; k = next) {
		next = k->next;
		free(k);
	}
	free(all);
}
