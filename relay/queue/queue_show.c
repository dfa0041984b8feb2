/* queue_show.c -- messages and sites as JSON, for people: above all, why something is still here. */
#include <stdlib.h>

#include "clock.h"
#include "json.h"
#include "queue/queue_show.h"

static const char *const class_names[FAIL_CLASSES] = { "", "dns", "connect", "tls", "greeting",
	"site", "recipient", "message", "local" };

static void
put_id(struct json *j, const char *key, uint64_t id)
{
	char text[ID_SIZE];

	json_kcstr(j, key, id ? id_format(id, text) : NULL);
}

static void
put_time(struct json *j, const char *key, int64_t us)
{
	json_key(j, key);
	if (us == 0)
		json_null(j);
	else
		json_num(j, (double)us / US_PER_SEC);
}

/* One word for programs, one phrase for people. */
static void
put_why(struct json *j, const struct queue *q, const struct message *m, const struct leg *l)
{
	struct site_info site;
	const char *state, *why;

	schedule_job_info(&l->job, &site);
	if (m->flags & STATE_OFFERED)
		state = "offered", why = "another node may have it: `postern drain --to` that node ends it";
	else if (m->flags & STATE_HELD)
		state = "held", why = "held by an operator; `queue release` lets it go";
	else if (l->settling)
		state = "settling", why = "its outcome is being recorded";
	else if (l->job.state == JOB_OUT)
		state = "active", why = l->kind == LEG_KEEP ? "the store has it" :
		    "being delivered now";
	else if (site.paused && l->kind == LEG_KEEP)
		state = "paused", why = "waits for the store to come back";
	else if (site.paused)
		state = "paused", why = "its site is paused; `queue resume` lets it go";
	else if (l->job.state == JOB_READY && site.rests_until)
		state = "resting", why = "its site could not be reached and rests";
	else if (l->job.state == JOB_READY && site.out >= site.window)
		state = "ready", why = "waits for its turn: the site's window is full";
	else if (l->job.state == JOB_READY)
		state = "ready", why = q->ndelivery ? "waits for its turn" :
		    "waits for a delivery process";
	else if (l->job.state == JOB_WAITING)
		state = "deferred", why = "waits for its next try";
	else
		state = "done", why = "nothing is left to do";
	json_kcstr(j, "state", state);
	json_kcstr(j, "why", why);
	if (l->job.site != NULL && l->kind == LEG_DELIVER) {
		json_kuint(j, "site_active", site.out);
		json_kuint(j, "site_window", site.window);
		if (site.failures) {
			json_kuint(j, "site_failures", site.failures);
			json_kcstr(j, "site_last", class_names[site.last]);
		}
	}
	if (l->cut_off)
		json_kbool(j, "may_be_delivered_twice", true);
	if (site.rests_until && l->job.state == JOB_READY)
		put_time(j, "rests_until", site.rests_until);
}

static void
put_target(struct json *j, struct message *m, const struct stored *s, const struct plan *p,
    size_t i, const struct target_state *t)
{
	const struct target *x = &p->targets[i];
	const struct msg_decision *d = &s->decisions[x->recipient];

	json_object(j);
	json_kstr(j, "address", x->rcpt.address);
	if (!span_eq(x->rcpt.address, x->original))
		json_kstr(j, "original", x->original);
	json_kcstr(j, "status", target_status_name(message_status(m)[i]));
	json_kcstr(j, "outcome", outcome_name(d->outcome));
	if (d->rule.n)
		json_kstr(j, "rule", d->rule);
	if (d->queue.n)
		json_kstr(j, "queue", d->queue);
	if (t && t->reply.n) {
		json_kstr(j, "dsn", t->dsn);
		json_kstr(j, "reply", t->reply);
		json_kstr(j, "relay", t->relay);
	}
	json_end_object(j);
}

/* Which curve it is on, all of it, and where. */
static void
put_retry(struct json *j, const struct queue *q, const struct leg *l)
{
	const struct retry_curve *curves = q->rt->conf->delivery.retry;
	const struct retry_curve *k = &curves[curves[l->retry].n ? l->retry : RETRY_DEFAULT];

	json_key(j, "retry");
	json_object(j);
	json_kcstr(j, "class", retry_name(l->retry));
	json_kcstr(j, "phrase", retry_phrase(l->retry));
	json_kuint(j, "failed", l->streak);
	json_key(j, "curve");
	json_array(j);
	for (size_t i = 0; i < k->n; i++)
		json_num(j, (double)k->pause[i] / US_PER_SEC);
	json_end_array(j);
	json_end_object(j);
}

static void
put_leg(struct json *j, struct queue *q, struct message *m, const struct stored *s,
    const struct plan *p, const struct leg *l, struct arena *a, size_t max)
{
	struct state st = { 0 };
	size_t shown = 0;

	if (l->at.segment != 0)
		(void)spool_read_state(q->sp, &l->at, a, &st, NULL);
	json_object(j);
	json_kcstr(j, "kind", leg_kind_name(l->kind));
	if (l->kind == LEG_DELIVER)
		json_kstr(j, "site", p->legs[l->index].site);
	if (st.route.n)
		json_kstr(j, "route", st.route);
	put_why(j, q, m, l);
	json_kuint(j, "attempts", l->attempts);
	if (l->job.state == JOB_WAITING)
		put_time(j, "next", l->job.node.when);
	if (l->last)
		json_kcstr(j, "last", class_names[l->last]);
	if (l->kind == LEG_DELIVER && l->attempts > 0)
		put_retry(j, q, l);
	if (st.time)
		put_time(j, "last_change", st.time);
	json_key(j, "recipients");
	json_array(j);
	for (size_t i = 0; i < p->ntargets && shown < max; i++) {
		const struct target_state *t = NULL;

		if (p->targets[i].leg != l->index)
			continue;
		for (size_t k = 0; k < st.ntargets && !t; k++)
			if (st.targets[k].target == i)
				t = &st.targets[k];
		put_target(j, m, s, p, i, t);
		shown++;
	}
	json_end_array(j);
	json_end_object(j);
}

void
queue_show_message(struct json *j, struct queue *q, struct message *m, bool whole)
{
	struct arena *a = arena_new(0);
	struct stored s;
	struct plan p;
	struct err err;
	size_t max = whole ? TARGETS_MAX : 20, shown = 0;

	json_object(j);
	json_kint(j, "v", 1);
	put_id(j, "id", m->item.id);
	if (queue_plan(q, m, a, &s, &p, &err) == -1) {
		json_kcstr(j, "error", err.text);
		json_end_object(j);
		arena_free(&a);
		return;
	}
	put_id(j, "parent", s.parent);
	json_kstr(j, "sender", s.env.sender);
	json_kuint(j, "size", m->size);
	put_time(j, "received", s.env.received);
	put_time(j, "since", m->since);
	json_kbool(j, "held", (m->flags & STATE_HELD) != 0);
	if (whole) {
		json_kbool(j, "delay_noticed", (m->flags & STATE_NOTICED) != 0);
		put_time(j, "expires", m->since + q->rt->conf->delivery.expire);
		json_kstr(j, "helo", s.env.helo);
		json_kuint(j, "segment", m->item.at.segment);
		json_kuint(j, "offset", m->item.at.offset);
	}
	json_key(j, "legs");
	json_array(j);
	for (size_t i = 0; i < m->nlegs && shown < max; i++)
		if (whole || leg_pending(m, &p, &m->legs[i])) {
			put_leg(j, q, m, &s, &p, &m->legs[i], a, max);
			shown++;
		}
	json_end_array(j);
	json_end_object(j);
	arena_free(&a);
}

void
queue_show_site(struct json *j, const struct site_info *t)
{
	json_object(j);
	json_kint(j, "v", 1);
	json_kstr(j, "site", t->name);
	json_kuint(j, "messages", t->waiting + t->ready + t->out);
	json_kuint(j, "deferred", t->waiting);
	json_kuint(j, "ready", t->ready);
	json_kuint(j, "active", t->out);
	json_kuint(j, "window", t->window);
	json_kuint(j, "failures", t->failures);
	json_kcstr(j, "last", t->last ? class_names[t->last] : NULL);
	put_time(j, "rests_until", t->rests_until);
	json_kbool(j, "paused", t->paused);
	json_end_object(j);
}

void
queue_show_summary(struct json *j, struct queue *q)
{
	struct spool_stats st;

	spool_stats(q->sp, &st);
	json_object(j);
	json_kint(j, "v", 1);
	json_kuint(j, "messages", st.messages - queue_events_held(q));
	json_kuint(j, "held", q->size.held);
	json_kuint(j, "active", schedule_out(q->out) + schedule_out(q->inner));
	json_kuint(j, "sites", schedule_sites(q->out));
	put_time(j, "oldest", queue_oldest(q));
	json_kuint(j, "bytes", q->size.bytes);
	json_kuint(j, "memory", q->size.memory);
	json_kbool(j, "refusing", queue_alarmed(q, ALARM_SPOOL) || q->size.over);
	json_kcstr(j, "limit_reached", q->size.over);
	json_kbool(j, "nearly_full", queue_alarmed(q, ALARM_NEAR));
	json_key(j, "alarms");
	json_array(j);
	for (int a = 0; a < ALARMS; a++)
		if (queue_alarmed(q, (enum queue_alarm)a)) {
			json_object(j);
			json_kcstr(j, "name", queue_alarm_name((enum queue_alarm)a));
			put_time(j, "since", q->alarms[a].since);
			json_kcstr(j, "text", q->alarms[a].text);
			json_end_object(j);
		}
	json_end_array(j);
	json_key(j, "limits");
	json_object(j);
	json_kuint(j, "messages", q->rt->conf->queue.messages);
	json_kuint(j, "bytes", q->rt->conf->queue.bytes);
	json_kuint(j, "memory", q->rt->conf->queue.memory);
	json_kuint(j, "free", q->rt->conf->queue.free);
	json_end_object(j);
	json_kbool(j, "store", q->store != NULL);
	if (q->drain.n)
		json_kstr(j, "drain", q->drain);
	if (q->handover.n) {
		json_kcstr(j, "offered_to", q->handover.to);
		json_kuint(j, "offered", q->handover.n);
	}
	json_kuint(j, "deliveries", q->ndelivery);
	json_kuint(j, "events_waiting", queue_events_waiting(q));
	json_key(j, "spool");
	json_object(j);
	json_kuint(j, "segments", st.segments);
	json_kuint(j, "bytes", st.bytes);
	json_kuint(j, "live_bytes", st.live_bytes);
	json_kuint(j, "free_bytes", st.free_bytes);
	json_kuint(j, "syncs", st.syncs);
	json_kuint(j, "failures", st.failures);
	json_kuint(j, "damaged", st.damaged);
	json_kuint(j, "compacted_bytes", st.compacted);
	json_kuint(j, "reused", st.reused);
	json_kuint(j, "spares", st.spares);
	json_end_object(j);
	json_end_object(j);
}

/* ---- the reason ---- */

struct span
queue_reason(struct queue *q, const struct message *m, struct arena *a)
{
	struct state st;

	if (m->flags & STATE_HELD)
		return SPAN_LIT("held by an operator");
	for (size_t i = 0; i < m->nlegs; i++)
		if (m->legs[i].at.segment != 0 &&
		    spool_read_state(q->sp, &m->legs[i].at, a, &st, NULL) == 0)
			for (size_t k = 0; k < st.ntargets; k++)
				if (st.targets[k].status == TARGET_PENDING && st.targets[k].reply.n)
					return span_sub(st.targets[k].reply, 0, 200);
	return SPAN_LIT("not tried yet");
}
