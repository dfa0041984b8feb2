/* queue_retell.c -- at a start: what the last run told and may have taken with it.
 *
 * Events are on their way to the store for a moment, and a power cut in that moment would leave messages without
 * a beginning or an end in the journal. So a message that is done stays in the spool until the store has
 * confirmed what was told of it (queue_events.c), and a start tells its beginning and its end again; of those that are still to be
 * delivered and are young, their beginning. The store passes over what it has (EVENT_RETOLD).
 */
#include "clock.h"
#include "queue/queue.h"

#define YOUNG_US (120 * US_PER_SEC)	/* before the newest message there is */

static void
accepted(struct queue *q, struct message *m, const struct stored *s, struct arena *a)
{
	struct msg_event ev = { .kind = EVENT_ACCEPTED, .id = m->item.id, .parent = s->parent,
		.time = s->env.received ? s->env.received : m->since, .size = m->size, .has_env = true,
		.env = s->env, .by = SPAN_LIT(EVENT_RETOLD) };

	(void)spool_read_json(q->sp, &m->item, s, a, &ev.record, NULL);
	queue_event(q, &ev);
}

static void
ended(struct queue *q, struct message *m, const struct leg *l, const struct stored *s, const struct plan *p,
    struct arena *a)
{
	struct state st;

	if (l->at.segment == 0 || spool_read_state(q->sp, &l->at, a, &st, NULL) == -1)
		return;
	for (size_t i = 0; i < st.ntargets; i++) {
		const struct target_state *t = &st.targets[i];
		const struct msg_decision *d;
		struct msg_event ev;

		if (t->target >= p->ntargets || t->status == TARGET_PENDING)
			continue;
		d = &s->decisions[p->targets[t->target].recipient];
		ev = (struct msg_event){ .kind = queue_event_kind(t->status, d->outcome), .id = m->item.id,
			.time = st.time, .size = m->size, .rcpt = p->targets[t->target].rcpt.address,
			.outcome = span_str(outcome_name(d->outcome)), .dsn = t->dsn, .relay = t->relay,
			.reply = t->reply, .by = SPAN_LIT(EVENT_RETOLD) };
		queue_event(q, &ev);
	}
}

static void
retell(struct queue *q, struct message *m)
{
	struct arena *a = arena_new(0);
	struct stored s;
	struct plan p;

	if (queue_plan(q, m, a, &s, &p, NULL) == 0) {
		accepted(q, m, &s, a);
		for (size_t i = 0; i < m->nlegs && message_done(m); i++)
			ended(q, m, &m->legs[i], &s, &p, a);
	}
	arena_free(&a);
}

void
queue_retell(struct queue *q)
{
	struct spool_item *it;
	int64_t newest = 0;
	size_t at = 0;

	while ((it = spool_next(q->sp, &at)) != NULL)
		if (id_time(it->id) > newest)
			newest = id_time(it->id);
	at = 0;
	while ((it = spool_next(q->sp, &at)) != NULL) {
		struct message *m = message_of_item(it);

		if (message_done(m) || id_time(it->id) > newest - YOUNG_US)
			retell(q, m);
	}
	/* Not while going through the items. */
	at = 0;
	while ((it = spool_next(q->sp, &at)) != NULL) {
		struct message *m = message_of_item(it);

		if (it->state == ITEM_LIVE && message_done(m) && !queue_events_hold(q, it->id, true))
			queue_finish(q, m);
	}
}
