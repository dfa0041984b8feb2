/* queue_acts.c -- what an operator does to one message.
 *
 * Only what was selected is touched (queue_select.h): of a message to three
 * sites, `fail site=…` ends one leg. What is at a delivery process at this
 * moment may be delivered at this moment, and is left alone.
 */
#include "clock.h"
#include "queue/queue_acts.h"

static bool
leg_chosen(struct asked *k, struct message *m, const struct leg *l)
{
	return selector_leg(k->q, &k->sel, m, l, &k->look);
}

bool
act_retry(struct asked *k, struct message *m)
{
	bool any = false;

	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];
		struct schedule *s = queue_schedule_of(k->q, l);

		if ((l->job.state != JOB_WAITING && l->job.state != JOB_READY) ||
		    !leg_chosen(k, m, l))
			continue;
		schedule_wake_site(s, schedule_job_site(&l->job));
		schedule_hurry(s, &l->job);
		any = true;
	}
	return any;
}

static bool
flag_set(struct asked *k, struct message *m, uint8_t flags)
{
	struct queue *q = k->q;

	if (!selector_look(q, m, &k->look))
		return false;
	queue_flags(q, m, flags);
	queue_remember(q, m, &m->legs[0], &k->look.p, NULL, 0);
	if (!(flags & STATE_HELD))
		queue_schedule_all(q, m, &k->look.p);
	return true;
}

bool
act_hold(struct asked *k, struct message *m)
{
	if ((m->flags & STATE_HELD) || !selector_look(k->q, m, &k->look))
		return false;
	for (size_t i = 0; i < m->nlegs; i++) {
		int64_t next = m->legs[i].job.node.when;

		queue_unschedule(k->q, &m->legs[i]);
		m->legs[i].job.node.when = next;
	}
	return flag_set(k, m, m->flags | STATE_HELD);
}

bool
act_release(struct asked *k, struct message *m)
{
	return (m->flags & STATE_HELD) && flag_set(k, m, m->flags & (uint8_t)~STATE_HELD);
}

bool
act_fail(struct asked *k, struct message *m)
{
	struct queue *q = k->q;
	struct looked *look = &k->look;
	bool silent = jval_bool(k->req, "silent"), any = false;

	arena_reset(q->scratch);
	if (!selector_look(q, m, look))
		return false;
	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];
		struct fate *o;
		size_t n = 0;

		if (l->kind != LEG_DELIVER || l->job.state == JOB_OUT || l->settling ||
		    !leg_chosen(k, m, l))
			continue;
		o = arena_array(look->a, look->p.ntargets, sizeof(*o));
		for (size_t t = 0; t < look->p.ntargets; t++)
			if (look->p.targets[t].leg == l->index &&
			    message_status(m)[t] == TARGET_PENDING &&
			    selector_target(&k->sel, &look->p.targets[t]))
				o[n++] = (struct fate){ .target = (uint16_t)t,
					.status = silent ? TARGET_DROPPED : TARGET_FAILED,
					.cls = FAIL_LOCAL, .dsn = SPAN_LIT("5.7.0"),
					.relay = SPAN_LIT("none"),
					.reply = SPAN_LIT("given up by the postmaster") };
		if (n == 0)
			continue;
		queue_unschedule(q, l);
		queue_settle(q, m, l, &look->s, &look->p, o, n);
		any = true;
		/* The last one may have ended the message. */
		if (m->item.state != ITEM_LIVE)
			break;
	}
	return any;
}

/* Out of the line it waits in, into the one where it belongs now, at once. */
static bool
leg_moves(struct asked *k, struct message *m, struct leg *l)
{
	if (l->kind != LEG_DELIVER || l->job.state == JOB_OUT || l->settling ||
	    !leg_pending(m, &k->look.p, l) || !leg_chosen(k, m, l))
		return false;
	queue_unschedule(k->q, l);
	l->job.node.when = clock_real();
	return true;
}

/* The route is durable with the next sync; until then a crash would lead to the old one. What is
 * out at this moment takes it when it comes back, and its record is read then. */
bool
act_reroute(struct asked *k, struct message *m)
{
	struct queue *q = k->q;
	struct span to = k->to;
	bool any = false;

	if (!selector_look(q, m, &k->look))
		return false;
	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];

		if (l->kind == LEG_DELIVER && l->job.state == JOB_OUT && !l->settling &&
		    leg_chosen(k, m, l)) {
			queue_remember_route(q, m, l, &k->look.p, to);
			k->sync_soon = any = true;
			continue;
		}
		if (!leg_moves(k, m, l))
			continue;
		queue_remember_route(q, m, l, &k->look.p, to);
		if (!(m->flags & STATE_HELD))
			schedule_add(q->out, &l->job, q->drain.n ? q->drain : to.n ? to :
			    k->look.p.legs[i].site, l->job.node.when);
		any = true;
	}
	return any;
}

/* To the node that takes over, or back; nothing is written: a restart ends a drain. */
bool
act_drain(struct asked *k, struct message *m)
{
	struct queue *q = k->q;
	bool any = false;

	if ((m->flags & STATE_STILL) || !selector_look(q, m, &k->look))
		return false;
	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];

		if (!leg_moves(k, m, l))
			continue;
		schedule_add(q->out, &l->job, queue_site(q, l, &k->look.p, k->look.a),
		    l->job.node.when);
		any = true;
	}
	return any;
}
