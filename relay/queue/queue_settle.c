/* queue_settle.c -- what became of a leg: recorded, told, and what follows from it.
 *
 * A recipient is failed for good only after the notice about it is durable:
 * queue_settle() buffers the notice, queue_notice_done() goes on when the sync
 * has answered. A notice that cannot be stored puts the failure off; a crash
 * in between repeats the attempt. Never the other way: no failure is ever
 * forgotten without the sender having been told.
 *
 * The null sender is never written to: what fails there is logged and journalled.
 *
 * What arrived is told only when RFC 3461 asks for it (NOTIFY=SUCCESS) and the next
 * hop cannot: it offers no DSN, so the notice says "relayed". It goes the same
 * way, but when it cannot be stored the delivery stands and the notice is lost.
 */
#include <stdlib.h>

#include "clock.h"
#include "queue/dsn.h"
#include "queue/queue.h"

#define LIVES_PER_TURN 500
#define LIVES_US 5000
#define LIFE_AGAIN (60 * US_PER_SEC)
#define HINT_LATER (5 * US_PER_SEC)	/* a clock that differs a little must not cost a try */

bool
queue_failure(enum target_status s)
{
	return s == TARGET_FAILED || s == TARGET_EXPIRED || s == TARGET_REFUSED;
}

/* ---- recording ---- */

static const struct fate *
fate_of(const struct fate *o, size_t n, size_t target)
{
	for (size_t i = 0; i < n; i++)
		if (o[i].target == target)
			return &o[i];
	return NULL;
}

static void
take_from_old(struct queue *q, const struct leg *l, struct arena *a, struct state *new, bool texts)
{
	struct state old;

	if (l->at.segment == 0 || spool_read_state(q->sp, &l->at, a, &old, NULL) == -1)
		return;
	if (l->rerouted)
		new->route = old.route;
	for (size_t i = 0; texts && i < new->ntargets; i++)
		for (size_t k = 0; k < old.ntargets; k++)
			if (old.targets[k].target == new->targets[i].target) {
				struct target_state *t = &new->targets[i];

				t->cls = old.targets[k].cls;
				t->dsn = old.targets[k].dsn;
				t->reply = old.targets[k].reply;
				t->relay = old.targets[k].relay;
			}
}

/* Writes the STATE of a leg; without fates (flags changed) the texts of the one before stay.
 * route: NULL: the one before stays. */
static void
remember(struct queue *q, struct message *m, struct leg *l, const struct plan *p,
    const struct fate *o, size_t n, const struct span *route)
{
	const uint8_t *status = message_status(m);
	struct arena *a = arena_new(0);
	struct state st = { .time = clock_real(), .next = l->job.node.when,
		.attempts = l->attempts, .streak = l->streak,
		.since = m->since == id_time(m->item.id) ? 0 : m->since };

	st.targets = arena_array(a, p->ntargets, sizeof(*st.targets));
	for (size_t i = 0, k = 0; i < p->ntargets; i++) {
		const struct fate *f;

		if (p->targets[i].leg != l->index)
			continue;
		/* Fates mostly come in the order of their targets. */
		f = k < n && o[k].target == i ? &o[k++] : fate_of(o, n, i);
		st.targets[st.ntargets++] = f ? (struct target_state){ .target = (uint16_t)i,
			.status = status[i], .cls = f->cls, .dsn = f->dsn,
			.reply = span_sub(f->reply, 0, 1024), .relay = f->relay } :
			(struct target_state){ .target = (uint16_t)i, .status = status[i] };
	}
	if (n == 0 || l->rerouted)
		take_from_old(q, l, a, &st, n == 0);
	if (route != NULL) {
		st.route = *route;
		l->rerouted = route->n > 0;
	}
	spool_state(q->sp, &m->item, &l->at, m->flags, &st);
	q->soon = true;
	arena_free(&a);
}

void
queue_remember(struct queue *q, struct message *m, struct leg *l, const struct plan *p,
    const struct fate *o, size_t n)
{
	remember(q, m, l, p, o, n, NULL);
}

void
queue_remember_route(struct queue *q, struct message *m, struct leg *l, const struct plan *p,
    struct span route)
{
	remember(q, m, l, p, NULL, 0, &route);
}

/* What the end of a target is called in the journal. */
enum event_kind
queue_event_kind(enum target_status status, enum outcome outcome)
{
	static const enum event_kind kinds[TARGET_STATUSES] = {
		[TARGET_PENDING] = EVENT_DEFERRED, [TARGET_SENT] = EVENT_SENT,
		[TARGET_FAILED] = EVENT_FAILED, [TARGET_EXPIRED] = EVENT_EXPIRED,
		[TARGET_KEPT] = EVENT_QUARANTINED, [TARGET_DISCARDED] = EVENT_DISCARDED,
		[TARGET_REFUSED] = EVENT_REJECTED, [TARGET_DROPPED] = EVENT_FAILED };

	return status == TARGET_KEPT && outcome == OUTCOME_HOLD ? EVENT_HELD : kinds[status];
}

static void
tell(struct queue *q, struct message *m, const struct leg *l, const struct stored *s,
    const struct plan *p, const struct fate *o)
{
	const struct msg_decision *d = &s->decisions[p->targets[o->target].recipient];
	struct msg_event ev = { .kind = queue_event_kind(o->status, d->outcome), .id = m->item.id, .time = clock_real(),
		.size = m->size, .rcpt = p->targets[o->target].rcpt.address,
		.outcome = span_str(outcome_name(d->outcome)), .dsn = o->dsn,
		.relay = o->relay, .reply = o->reply, .tls = o->tls };

	if (o->status == TARGET_KEPT) {
		bool hold = d->outcome == OUTCOME_HOLD;

		counter_add(hold ? COUNTER_HELD : COUNTER_QUARANTINED, 1);
	}
	if (o->status == TARGET_EXPIRED || o->status == TARGET_REFUSED)
		counter_add(COUNTER_FAILED, 1);
	/* Deliveries log what they did themselves. */
	if ((l->kind != LEG_DELIVER || o->status == TARGET_EXPIRED || o->status == TARGET_DROPPED) &&
	    !queue_postfix_ended(m->item.id, &s->env, o->status, ev.rcpt, o->dsn, o->reply))
		log_msg(LOG_LVL_INFO, m->item.id, "to=<" SPAN_FMT ">, relay=none, dsn=" SPAN_FMT
		    ", status=%s (" SPAN_FMT ")", SPAN_ARG(ev.rcpt), SPAN_ARG(o->dsn),
		    o->status == TARGET_KEPT ? d->outcome == OUTCOME_HOLD ? "held" :
		    "quarantined" : target_status_name(o->status), SPAN_ARG(o->reply));
	queue_event(q, &ev);
}

void
queue_finish(struct queue *q, struct message *m)
{
	if (m->item.state != ITEM_LIVE)
		return;
	for (size_t i = 0; i < m->nlegs; i++)
		queue_unschedule(q, &m->legs[i]);
	if (m->life.next != NULL)
		wheel_remove(&q->lives, &m->life);
	if (!message_done(m) || !queue_events_hold(q, m->item.id, false)) {
		spool_finish(q->sp, &m->item);
		q->soon = true;
	}
}

/* ---- when to try again ---- */

/* The class whose curve comes back soonest decides for the whole leg; the time a greylisting
 * server named goes before its curve. */
static int64_t
next_try(struct queue *q, struct leg *l, const struct fate *o, size_t n)
{
	enum retry_class best = RETRY_DEFAULT;
	int64_t soonest = WHEEL_NEVER, hint = 0, at;
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		enum retry_class c = retry_classify(o[i].cls, o[i].dsn, o[i].reply);
		unsigned streak = c == l->retry ? l->streak + 1u : 1;

		if (o[i].status != TARGET_PENDING)
			continue;
		if (c == RETRY_GREYLISTED && hint == 0)
			hint = retry_hint(o[i].reply);
		if (any && c == best)
			continue;
		at = schedule_retry_at(q->out, c, streak);
		if (at < soonest) {
			soonest = at;
			best = c;
		}
		any = true;
	}
	if (!any)
		return schedule_retry_at(q->out, l->retry, l->streak);
	l->streak = best == l->retry ? (uint8_t)(l->streak + (l->streak < UINT8_MAX)) : 1;
	l->retry = (uint8_t)best;
	return hint > 0 && best == RETRY_GREYLISTED ? clock_real() + hint + HINT_LATER : soonest;
}

void
queue_leg_read(struct leg *l, const struct state *st)
{
	const struct target_state *t = &st->targets[0];

	for (size_t i = 0; i < st->ntargets; i++)
		if (st->targets[i].status == TARGET_PENDING && st->targets[i].reply.n > 0) {
			t = &st->targets[i];
			break;
		}
	l->last = (uint8_t)t->cls;
	l->retry = st->attempts ? (uint8_t)retry_classify(t->cls, t->dsn, t->reply) : RETRY_DEFAULT;
	/* A record of before version 3 does not say. */
	l->streak = st->streak ? st->streak :
	    (uint8_t)(st->attempts < UINT8_MAX ? st->attempts : UINT8_MAX);
}

/* All is known and told to whom it concerns. */
static void
conclude(struct queue *q, struct message *m, struct leg *l, const struct stored *s,
    const struct plan *p, const struct fate *o, size_t n)
{
	uint8_t *status = message_status(m);
	struct arena *a;
	struct span site;
	bool pending;

	for (size_t i = 0; i < n; i++) {
		status[o[i].target] = (uint8_t)o[i].status;
		l->last = (uint8_t)o[i].cls;
		tell(q, m, l, s, p, &o[i]);
	}
	pending = leg_pending(m, p, l);
	if (!pending && message_done(m)) {
		queue_finish(q, m);
		/* Its DONE waits for the journal: it must not be delivered again meanwhile. */
		if (m->item.state == ITEM_LIVE)
			queue_remember(q, m, l, p, o, n);
		return;
	}
	if (pending)
		l->job.node.when = l->kind == LEG_DELIVER ? next_try(q, l, o, n) :
		    clock_real() + LIFE_AGAIN;
	/* Before the new state is written: the old one knows the route. */
	a = l->rerouted ? arena_new(0) : NULL;
	site = queue_site(q, l, p, a);
	queue_remember(q, m, l, p, o, n);
	if (pending && !(m->flags & STATE_STILL))
		schedule_add(queue_schedule_of(q, l), &l->job, site, l->job.node.when);
	arena_free(&a);
}

void
queue_settle(struct queue *q, struct message *m, struct leg *l, const struct stored *s,
    const struct plan *p, const struct fate *in, size_t n)
{
	struct fate *o = arena_array(q->scratch, n, sizeof(*o));
	bool expired = clock_real() >= m->since + q->rt->conf->delivery.expire;
	enum dsn_kind kind = DSN_RELAYED;
	bool wanted = false;

	for (size_t i = 0; i < n; i++) {
		bool told;

		o[i] = in[i];
		if (expired && l->kind == LEG_DELIVER && o[i].status == TARGET_PENDING)
			o[i].status = TARGET_EXPIRED;
		told = queue_notice_wanted(q, DSN_FAILED, s, p, &o[i]);
		wanted = wanted || told;
		/* What one notice says of several: failed before expired before relayed. */
		if (told && (o[i].status == TARGET_FAILED || o[i].status == TARGET_REFUSED))
			kind = DSN_FAILED;
		else if (told && o[i].status == TARGET_EXPIRED && kind == DSN_RELAYED)
			kind = DSN_EXPIRED;
		if (!told && queue_failure(o[i].status) && s->env.sender.n == 0)
			log_msg(LOG_LVL_WARN, m->item.id, "a notice that cannot be delivered to "
			    "<" SPAN_FMT "> ends here: " SPAN_FMT,
			    SPAN_ARG(p->targets[o[i].target].rcpt.address), SPAN_ARG(o[i].reply));
	}
	if (wanted) {
		if (queue_notice(q, m, l->index, s, p, kind, o, n)) {
			l->settling = true;
			return;
		}
		for (size_t i = 0; i < n; i++)
			if (queue_failure(o[i].status))
				o[i].status = TARGET_PENDING;
			else if (o[i].relayed)
				log_msg(LOG_LVL_WARN, m->item.id, "the notice of what was handed on "
				    "is lost");
	}
	conclude(q, m, l, s, p, o, n);
}

static void
delay_noticed(struct queue *q, struct message *m, const struct stored *s, const struct plan *p,
    struct awaiting *aw)
{
	struct msg_event ev = { .kind = EVENT_DELAYED, .id = m->item.id,
		.parent = aw->m->item.id, .time = clock_real() };

	m->flags |= STATE_NOTICED;
	queue_remember(q, m, &m->legs[p->targets[aw->fates[0].target].leg], p, NULL, 0);
	log_msg(LOG_LVL_INFO, m->item.id, "sender delay notification queued");
	queue_event(q, &ev);
}

void
queue_notice_done(struct queue *q, struct awaiting *aw, bool durable)
{
	struct message *m = queue_find(q, aw->about);
	struct stored s;
	struct plan p;
	struct err err;
	char id[ID_SIZE];

	if (m == NULL || m->item.state != ITEM_LIVE)
		return;
	arena_reset(q->work);
	if (queue_plan(q, m, q->work, &s, &p, &err) == -1) {
		log_msg(LOG_LVL_ERROR, m->item.id, "not settled: %s", err.text);
		return;
	}
	if (durable)
		counter_add(COUNTER_BOUNCES, 1);
	if (aw->leg == LEG_NONE) {
		if (durable)
			delay_noticed(q, m, &s, &p, aw);
		return;
	}
	m->legs[aw->leg].settling = false;
	if (durable && aw->kind == DSN_RELAYED) {
		log_msg(LOG_LVL_INFO, m->item.id, "sender delivery status notification: %s",
		    id_format(aw->m->item.id, id));
	} else if (durable) {
		struct msg_event ev = { .kind = EVENT_BOUNCED, .id = m->item.id,
			.parent = aw->m->item.id, .time = clock_real() };

		log_msg(LOG_LVL_INFO, m->item.id, "sender non-delivery notification: %s",
		    id_format(aw->m->item.id, id));
		queue_event(q, &ev);
	}
	for (size_t i = 0; !durable && i < aw->nfates; i++)
		if (queue_failure(aw->fates[i].status))
			aw->fates[i].status = TARGET_PENDING;
	conclude(q, m, &m->legs[aw->leg], &s, &p, aw->fates, aw->nfates);
}

/* ---- delay and expiry ---- */

static bool
lives(const struct message *m)
{
	for (size_t i = 0; i < m->nlegs; i++)
		if (m->legs[i].kind == LEG_DELIVER)
			return !(m->flags & STATE_STILL);
	return false;
}

static void
live_at_least(struct queue *q, struct message *m, int64_t earliest)
{
	const struct conf_delivery *d = &q->rt->conf->delivery;
	int64_t when = m->since + d->expire;

	if (m->life.next != NULL)
		wheel_remove(&q->lives, &m->life);
	if (!lives(m) || m->item.state == ITEM_FINISHING)
		return;
	if (d->delay_notice > 0 && d->delay_notice < d->expire && !(m->flags & STATE_NOTICED))
		when = m->since + d->delay_notice;
	wheel_add(&q->lives, &m->life, when > earliest ? when : earliest);
}

void
queue_live(struct queue *q, struct message *m)
{
	live_at_least(q, m, 0);
}

/* What is pending of the leg, with the words of its latest attempt. */
static size_t
last_fates(struct queue *q, struct message *m, const struct leg *l, const struct plan *p,
    enum target_status become, struct arena *a, struct fate **out)
{
	const uint8_t *status = message_status(m);
	struct fate *o = arena_array(a, p->ntargets, sizeof(*o));
	struct state st = { 0 };
	size_t n = 0;

	if (l->at.segment != 0)
		(void)spool_read_state(q->sp, &l->at, a, &st, NULL);
	for (size_t i = 0; i < p->ntargets; i++) {
		if (p->targets[i].leg != l->index || status[i] != TARGET_PENDING)
			continue;
		o[n] = (struct fate){ .target = (uint16_t)i, .status = become,
			.dsn = SPAN_LIT("4.4.7"), .relay = SPAN_LIT("none"),
			.reply = SPAN_LIT("not tried in time") };
		for (size_t k = 0; k < st.ntargets; k++)
			if (st.targets[k].target == i && st.targets[k].reply.n > 0) {
				o[n].dsn = st.targets[k].dsn;
				o[n].reply = st.targets[k].reply;
				o[n].relay = st.targets[k].relay;
				o[n].cls = st.targets[k].cls;
			}
		n++;
	}
	*out = o;
	return n;
}

static void
expire(struct queue *q, struct message *m, const struct stored *s, const struct plan *p)
{
	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];
		struct fate *o;
		size_t n;

		if (l->kind != LEG_DELIVER || l->job.state == JOB_OUT || l->settling)
			continue;
		n = last_fates(q, m, l, p, TARGET_EXPIRED, q->work, &o);
		if (n == 0)
			continue;
		queue_unschedule(q, l);
		queue_settle(q, m, l, s, p, o, n);
	}
}

static void
delay(struct queue *q, struct message *m, const struct stored *s, const struct plan *p)
{
	struct fate *all = arena_array(q->work, p->ntargets, sizeof(*all)), *o;
	size_t n = 0, k;
	bool wanted = false;

	for (size_t i = 0; i < m->nlegs; i++) {
		if (m->legs[i].kind != LEG_DELIVER)
			continue;
		k = last_fates(q, m, &m->legs[i], p, TARGET_PENDING, q->work, &o);
		for (size_t x = 0; x < k; x++) {
			wanted = wanted || queue_notice_wanted(q, DSN_DELAYED, s, p, &o[x]);
			all[n++] = o[x];
		}
	}
	if (!wanted)
		m->flags |= STATE_NOTICED;	/* nobody is told: nothing to record */
	else
		(void)queue_notice(q, m, LEG_NONE, s, p, DSN_DELAYED, all, n);
}

void
queue_lives(struct queue *q)
{
	int64_t now = clock_real(), expire_after = q->rt->conf->delivery.expire;
	int64_t until = clock_mono() + LIVES_US;
	struct wheel_node *node;
	int n = 0;

	(void)wheel_advance_some(&q->lives, now, 100 * LIVES_PER_TURN);
	if (q->rt->retiring)
		return;
	/* What is left is due still: the timer comes back to it, mail in between. */
	while (n++ < LIVES_PER_TURN && clock_mono() < until && (node = wheel_pop(&q->lives)) != NULL) {
		struct message *m = message_of_life(node);
		struct stored s;
		struct plan p;
		struct err err;

		arena_reset(q->work);
		arena_reset(q->scratch);
		if (m->item.state == ITEM_LIVE && queue_plan(q, m, q->work, &s, &p, &err) == 0) {
			if (now >= m->since + expire_after)
				expire(q, m, &s, &p);
			else if (!(m->flags & STATE_NOTICED) &&
			    q->rt->conf->delivery.delay_notice > 0)
				delay(q, m, &s, &p);
		}
		/* A leg that is out, or a notice that waits, is looked at again later. */
		if (m->item.state == ITEM_LIVE)
			live_at_least(q, m, now + LIFE_AGAIN);
	}
}
