/* queue_submit.c -- messages come in; one sync; the answers. */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "queue/queue.h"

#define MESSAGE_MAX (UINT64_C(1) << 30)

struct awaiting *
queue_await(struct queue *q, struct message *m)
{
	struct awaiting *aw;

	if (q->nawaiting == q->cap_awaiting) {
		q->cap_awaiting = q->cap_awaiting ? q->cap_awaiting * 2 : 64;
		q->awaiting = realloc(q->awaiting, q->cap_awaiting * sizeof(*q->awaiting));
		ASSERT(q->awaiting != NULL);
	}
	aw = &q->awaiting[q->nawaiting++];
	*aw = (struct awaiting){ .m = m };
	return aw;
}

/* ---- answers ---- */

void
queue_answer(struct queue *q, struct link *to, uint64_t ticket, uint64_t id,
    enum accept_status status, const char *why)
{
	struct msg_accepted m = { .id = id, .status = status, .text = span_str(why) };
	struct buf b;

	if (to == NULL)
		return;
	buf_init(&b, FRAME_SMALL);
	accepted_encode(&b, &m);
	(void)link_send(to, FRAME_ACCEPTED, ticket, buf_data(&b), -1);
	buf_release(&b);
}

static void
say_full(struct queue *q, enum accept_status status, const char *why)
{
	queue_alarm(q, ALARM_SPOOL, "new messages are refused with %s: %s",
	    status == ACCEPT_FULL ? "452" : "451", why);
}

static enum accept_status
status_of(const struct err *err)
{
	return err->code == ENOSPC || err->code == EDQUOT || err->code == ENOBUFS ? ACCEPT_FULL :
	    ACCEPT_IO;
}

int
queue_append(struct queue *q, struct stored *s, struct span record, struct payload *payload,
    struct awaiting **aw, enum accept_status *status, struct err *err)
{
	struct message *m;
	struct plan p;

	if (payload->size > MESSAGE_MAX || plan_make(q->scratch, s, q->rt->conf->hostname, &p) == -1) {
		*status = ACCEPT_IO;
		return err_set(err, E2BIG, "more than one message may hold");
	}
	s->size = payload->size;
	m = queued_new(s, &p);
	if (spool_append(q->sp, &m->item, s, record, payload, err) == -1) {
		queued_free(&m);
		*status = status_of(err);
		say_full(q, *status, err->text);
		return -1;
	}
	queue_took(q, m);
	*aw = queue_await(q, m);
	return 0;
}

void
queue_note_accepted(struct queue *q, struct awaiting *aw, const struct stored *s, struct span record)
{
	struct msg_event ev = { .kind = EVENT_ACCEPTED, .id = s->env.id, .parent = s->parent,
		.time = clock_real(), .size = s->size, .has_env = true, .env = s->env,
		.record = record };

	if ((aw->event = queue_event_make(q, &ev)) == NULL) {
		ev.record = (struct span){ 0 };
		aw->event = queue_event_make(q, &ev);
	}
}

int
queue_submit(struct queue *q, struct link *from, struct frame *f)
{
	struct msg_submit m;
	struct stored s;
	struct plan p;
	struct awaiting *aw;
	enum accept_status status;
	struct err err;
	struct message *old;

	/* A batch that has grown large goes to the disk before it grows on. */
	if (spool_batched(q->sp) >= SPOOL_BATCH_MAX)
		queue_sync(q);
	if (submit_decode(f->body, f->fd, q->scratch, &m) == -1 || m.env.id == 0 ||
	    m.ndecisions != m.env.nrecipients || m.record.n > RECORD_MAX)
		return -1;
	s = (struct stored){ .env = m.env, .parent = m.parent, .decisions = m.decisions,
		.ndecisions = m.ndecisions };
	if (plan_make(q->scratch, &s, q->rt->conf->hostname, &p) == -1)
		return -1;
	if ((old = queue_find(q, m.env.id)) != NULL) {
		/* The store asks again for what it lost the answer to. In the batch it
		 * is not decided yet: then it will ask once more. */
		queue_answer(q, from, f->ticket, m.env.id, old->item.state == ITEM_PENDING ?
		    ACCEPT_IO : ACCEPT_OK, "queued already");
		return 0;
	}
	if (!queue_has_room(q)) {
		queue_answer(q, from, f->ticket, m.env.id, ACCEPT_FULL, "the queue is full");
		return 0;
	}
	if (link_peer(from) == ROLE_STORE && m.env.sender.n == 0 && m.env.nrecipients == 1 &&
	    m.payload.fd == -1 && span_is(m.decisions[0].rule, "notice")) {
		queue_note(q, from, f->ticket, &m);
		return 0;
	}
	if (queue_append(q, &s, m.record, &m.payload, &aw, &status, &err) == -1) {
		queue_answer(q, from, f->ticket, m.env.id, status, err.text);
		return 0;
	}
	aw->from = from;
	aw->ticket = f->ticket;
	queue_note_accepted(q, aw, &s, m.record);
	return 0;
}

/* ---- the sync ---- */

static void
accepted(struct queue *q, struct awaiting *aw)
{
	struct message *m = aw->m;
	struct stored s;
	struct plan p;
	struct err err;

	arena_reset(q->work);
	if (queue_plan(q, m, q->work, &s, &p, &err) == -1) {
		/* It is durable; the next start will read it again. */
		log_msg(LOG_LVL_ERROR, m->item.id, "stored but not readable: %s", err.text);
	} else {
		queue_postfix_received(m->item.id, &s.env);
		log_later(m->item.id, "from=<" SPAN_FMT ">, size=%llu, nrcpt=%zu "
		    "(queue active)", SPAN_ARG(s.env.sender), (unsigned long long)m->size,
		    s.env.nrecipients);
		queue_schedule_all(q, m, &p);
	}
	counter_add(COUNTER_QUEUED, 1);
	queue_event_tell(q, aw->event);
	aw->event = NULL;
	queue_answer(q, aw->from, aw->ticket, m->item.id, ACCEPT_OK, "");
}

void
queue_sync(struct queue *q)
{
	struct awaiting *list = q->awaiting;
	size_t n = q->nawaiting;
	enum accept_status status;
	struct err err = { 0 };
	int r;

	/* Settling a notice may lead to new ones: they are the next batch. */
	q->awaiting = NULL;
	q->nawaiting = q->cap_awaiting = 0;
	r = spool_sync(q->sp, &err);
	counter_add(COUNTER_SYNCS, 1);
	if (!spool_dirty(q->sp)) {
		q->soon = false;
		evtimer_del(q->lazy);
	}
	status = r == 0 ? ACCEPT_OK : status_of(&err);
	if (r == 0 && n > 0)
		queue_alarm_over(q, ALARM_SPOOL);
	if (r == -1)
		say_full(q, status, err.text);
	for (size_t i = 0; i < n; i++) {
		struct awaiting *aw = &list[i];

		if (r == 0)
			accepted(q, aw);
		else
			queue_answer(q, aw->from, aw->ticket, aw->m->item.id, status, err.text);
		if (aw->notice)
			queue_notice_done(q, aw, r == 0);
		if (r == -1) {
			queue_gave(q, aw->m);
			queued_free(&aw->m);
		}
		free(aw->event);
		arena_free(&aw->arena);
	}
	free(list);
}

void
queue_forget_link(struct queue *q, struct link *l)
{
	for (size_t i = 0; i < q->nawaiting; i++)
		if (q->awaiting[i].from == l)
			q->awaiting[i].from = NULL;
}
