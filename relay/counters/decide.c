/* decide.c -- one decision: a frame, a round trip, an answer in time or `away`.
 *
 * A decision that is late is answered `away`, and the receiver decides within its node's share. Redis
 * may have counted it all the same: so what the receiver took (COUNT_OWE) waits beside the decision
 * until the late answer comes, or the fence of the next connection tells. Carried out and granted: it is counted.
 * Refused, or never carried out: what was taken is owed (merge.c). Each is counted once.
 */
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

#include "clock.h"
#include "counters/role.h"

struct counted {
	struct counted *next, **prev;	/* in first or unsure */
	struct arena *arena;
	struct link *link;		/* NULL: gone */
	uint64_t ticket, number;	/* number: in c->told */
	uint64_t epoch, seq;
	int64_t asked;			/* clock_mono */
	struct msg_count_ask ask;
	struct msg_count_owe owe;
	bool told;			/* `away` */
	bool owes;			/* COUNT_OWE has come */
	bool settled;			/* whether it counted is known … */
	bool counted;			/* … and it did */
};

static void
unlist(struct counters *c, struct counted *d)
{
	if (d->prev == NULL)
		return;
	*d->prev = d->next;
	if (d->next)
		d->next->prev = d->prev;
	else if (c->end == &d->next)
		c->end = d->prev;
	d->prev = NULL;
	d->next = NULL;
}

static void
drop(struct counters *c, struct counted *d)
{
	struct arena *a = d->arena;

	unlist(c, d);
	if (d->number)
		idtable_remove(c->told, d->number);
	c->ndecisions--;
	arena_free(&a);
}

/* Told and owed and settled, in whatever order they come. */
static void
maybe_over(struct counters *c, struct counted *d)
{
	if (!d->settled || (d->told && !d->owes))
		return;
	if (d->told && !d->counted)
		merge_owe(c, d->owe.items, d->owe.nitems);
	drop(c, d);
}

static void
tell(struct counters *c, struct link *l, uint64_t ticket, const struct msg_count_told *m)
{
	buf_reset(&c->out);
	count_told_encode(&c->out, m);
	link_send(l, FRAME_COUNT_TOLD, ticket, buf_data(&c->out), -1);
}

static void
tell_away(struct counters *c, struct counted *d)
{
	struct msg_count_told m = { .away = true };

	if (d->told)
		return;
	d->told = true;
	if (d->link == NULL) {		/* nobody took anything */
		d->owes = true;
		return;
	}
	m.decision = d->number = ++c->last_decision;
	idtable_put(c->told, d->number, d);
	tell(c, d->link, d->ticket, &m);
}

/* ---- the question ---- */

static void decided(void *ctx, void *what, const struct redisReply *reply);

static bool
ask(struct counters *c, struct counted *d, bool whole)
{
	counters_call_begin(c);
	ask_write(&c->call, &d->ask);
	if (counters_call(c, SCRIPT_DECIDE, whole, decided, d) == -1)
		return false;
	d->epoch = c->epoch;
	d->seq = c->seq;
	unlist(c, d);
	d->prev = c->end;
	*c->end = d;
	c->end = &d->next;
	return true;
}

static void
arm(struct counters *c)
{
	const struct counted *d = c->first;
	int64_t left;
	struct timeval tv;

	if (d == NULL || evtimer_pending(c->late, NULL))
		return;
	while (d && d->told)
		d = d->next;
	if (d == NULL)
		return;
	left = d->asked + c->conf->timeout - clock_mono();
	left = left > 0 ? left : 0;
	tv = (struct timeval){ left / US_PER_SEC, left % US_PER_SEC };
	evtimer_add(c->late, &tv);
}

int
decide_ask(struct counters *c, struct link *l, struct frame *f)
{
	struct arena *a = arena_new(1024);
	struct counted *d = arena_zalloc(a, sizeof(*d));

	d->arena = a;
	d->link = l;
	d->ticket = f->ticket;
	d->asked = clock_mono();
	if (count_ask_decode(arena_span(a, f->body), f->fd, a, &d->ask) == -1) {
		arena_free(&a);
		return -1;
	}
	c->ndecisions++;
	if (!c->serving || c->ndecisions > DECISIONS_MAX || !ask(c, d, false)) {
		tell(c, l, f->ticket, &(struct msg_count_told){ .away = true });
		drop(c, d);
		return 0;
	}
	arm(c);
	return 0;
}

/* ---- the answer ---- */

static bool
granted(const struct msg_count_ask *m, const struct msg_count_told *t)
{
	for (int g = 0; g < COUNT_GROUPS; g++)
		if (t->groups[g].hit && m->items[t->groups[g].hit - 1].then >= OUTCOME_DEFER)
			return false;
	return true;
}

static bool
read_answer(struct counters *c, struct counted *d, const struct redisReply *r, struct msg_count_told *m)
{
	size_t n = d->ask.nitems, at = ASK_ITEMS + 2 * n + 4;
	char names[2][REPUTATION_NAME_MAX];

	if (!ask_read(r, n, m))
		return false;
	for (size_t i = 0; i < n; i++)
		merge_told(c, &d->ask.items[i], reply_int(r, ASK_ITEMS + 2 * i), reply_int(r, ASK_ITEMS + 2 * i + 1));
	if (d->ask.client.family && r->elements >= at + 2) {
		reputation_names(d->ask.client, names[0], names[1]);
		for (size_t i = 0; i < 2; i++)
			if (r->element[at + i]->type == REDIS_REPLY_STRING)
				notes_heard(c, "an"[i], names[i], r->element[at + i]->str);
	}
	return true;
}

static void
decided(void *ctx, void *what, const struct redisReply *reply)
{
	struct counters *c = ctx;
	struct counted *d = what;
	struct msg_count_told m = { 0 };
	bool noscript;

	if (reply == NULL) {		/* the fence will say */
		unlist(c, d);
		d->next = c->unsure;
		d->prev = &c->unsure;
		if (d->next)
			d->next->prev = &d->next;
		c->unsure = d;
		tell_away(c, d);
		return;
	}
	if (counters_refused(c, reply, &noscript)) {
		if (noscript && ask(c, d, true))
			return;
		unlist(c, d);
		tell_away(c, d);
		d->settled = true;
		maybe_over(c, d);
		return;
	}
	unlist(c, d);
	counters_clock(c, reply);
	d->settled = true;
	if (!read_answer(c, d, reply, &m)) {
		redis_fail(c->redis, "an answer that cannot be read");
		tell_away(c, d);
	} else {
		d->counted = granted(&d->ask, &m);
		histogram_add(HISTOGRAM_COUNTING, clock_mono() - d->asked);
		if (!d->told && d->link) {
			counter_add(COUNTER_COUNT_DECISIONS, 1);
			tell(c, d->link, d->ticket, &m);
		}
	}
	maybe_over(c, d);
	if (c->first == NULL)
		counters_serve(c);
}

/* ---- late, owed, lost ---- */

void
decide_late(struct counters *c, int64_t now)
{
	bool any = false;

	for (struct counted *d = c->first; d && now - d->asked >= c->conf->timeout; d = d->next) {
		any |= !d->told;
		tell_away(c, d);
	}
	if (any)
		counters_late(c, "it answers too late");
	arm(c);
}

int
decide_owe(struct counters *c, struct frame *f)
{
	struct msg_count_owe m;
	struct counted *d;

	if (count_owe_decode(f->body, f->fd, c->scratch, &m) == -1)
		return -1;
	if (m.decision == 0) {
		merge_owe(c, m.items, m.nitems);
		return 0;
	}
	if ((d = idtable_get(c->told, m.decision)) == NULL || d->owes)
		return 0;
	if (count_owe_decode(arena_span(d->arena, f->body), f->fd, d->arena, &d->owe) == -1)
		return -1;
	d->owes = true;
	maybe_over(c, d);
	return 0;
}

static void
abandon(struct counters *c, struct counted *d, const struct link *l)
{
	if (d->link != l)
		return;
	d->link = NULL;
	if (d->told && !d->owes)
		d->owes = true;		/* what he took dies with him */
}

void
decide_link_down(struct counters *c, const struct link *l)
{
	struct counted *d;
	uint64_t key;
	size_t at = 0;
	void *v;

	for (d = c->first; d; d = d->next)
		abandon(c, d, l);
	for (d = c->unsure; d; d = d->next)
		abandon(c, d, l);
	while (idtable_next(c->told, &at, &key, &v)) {
		d = v;
		abandon(c, d, l);
		if (d->settled && d->owes) {
			idtable_remove(c->told, key);
			d->number = 0;
			maybe_over(c, d);
		}
	}
}

void
decide_settle(struct counters *c, uint64_t epoch, uint64_t seq)
{
	for (struct counted *d = c->unsure, *next; d; d = next) {
		next = d->next;
		unlist(c, d);
		d->settled = true;
		/* Whether it was granted nobody knows: if not, what was taken is within the share. */
		d->counted = d->epoch == epoch && d->seq <= seq;
		maybe_over(c, d);
	}
}
