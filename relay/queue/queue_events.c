/* queue_events.c -- what is told to the store, kept until it has it.
 *
 * Events are numbered; the store confirms the highest number it has committed.
 * While it is away they wait here, as many as EVENTS_MAX and EVENTS_BYTES
 * allow; what comes beyond is counted as lost. Mail never waits for it.
 *
 * A message that is done keeps its place in the spool, with all its targets' states, until what was told of
 * it is confirmed: after a power cut a start tells it again (queue_retell.c), so the journal has the
 * end of every message. Where there is no store to confirm, it goes at once.
 */
#include <stdlib.h>

#include "clock.h"
#include "queue/queue.h"

#define EVENTS_MAX 200000
#define EVENTS_BYTES ((size_t)64 << 20)
#define BACKLOG_MAX ((size_t)16 << 20)
#define WORK_KEEP ((size_t)64 << 10)

struct event_entry {
	struct event_entry *next;
	uint64_t seq;
	size_t n;
	char body[];		/* as a frame, its number yet to be written */
};

struct event_log {
	struct event_entry *first, **tail;
	struct event_entry *unsent;		/* the first one not yet sent; NULL: all are */
	size_t n, bytes;
	uint64_t seq;
	bool losing;
	struct buf work;		/* one event is encoded at a time */
	/* Messages that are done and whose DONE waits for what was told of them, in the order of seq. */
	struct done { uint64_t id, seq; } *done;
	size_t done_at, ndone, cap_done;
};

struct event_log *
events_new(void)
{
	struct event_log *e = calloc(1, sizeof(*e));

	ASSERT(e != NULL);
	e->tail = &e->first;
	buf_init(&e->work, FRAME_BIG);
	/* Rising over restarts too. */
	e->seq = (uint64_t)clock_real();
	return e;
}

void
events_free(struct event_log **ep)
{
	struct event_entry *x;

	if (*ep == NULL)
		return;
	while ((x = (*ep)->first) != NULL) {
		(*ep)->first = x->next;
		free(x);
	}
	free((*ep)->done);
	buf_release(&(*ep)->work);
	free(*ep);
	*ep = NULL;
}

bool
queue_events_hold(struct queue *q, uint64_t id, bool always)
{
	struct event_log *e = q->events;

	if (e->n == 0 || e->losing || q->finishing || (!always && q->store == NULL))
		return false;
	if (e->ndone == e->cap_done) {
		if (e->done_at > e->cap_done / 2) {
			memmove(e->done, e->done + e->done_at, (e->ndone - e->done_at) * sizeof(*e->done));
			e->ndone -= e->done_at;
			e->done_at = 0;
		} else {
			e->cap_done = e->cap_done ? e->cap_done * 2 : 256;
			e->done = realloc(e->done, e->cap_done * sizeof(*e->done));
			ASSERT(e->done != NULL);
		}
	}
	e->done[e->ndone++] = (struct done){ id, e->seq };
	counter_add(COUNTER_QUEUED, -1);	/* nobody waits for it any more */
	return true;
}

size_t
queue_events_held(const struct queue *q)
{
	return q->events->ndone - q->events->done_at;
}

/* Confirmed: their end can be written. */
static void
let_go(struct queue *q, uint64_t seq)
{
	struct event_log *e = q->events;

	for (; e->done_at < e->ndone && e->done[e->done_at].seq <= seq; e->done_at++) {
		struct message *m = queue_find(q, e->done[e->done_at].id);

		counter_add(COUNTER_QUEUED, 1);	/* what leaves the spool is counted there */
		if (m && m->item.state == ITEM_LIVE && message_done(m))
			spool_finish(q->sp, &m->item);
	}
	if (e->done_at == e->ndone)
		e->done_at = e->ndone = 0;
}

static void
send_on(struct queue *q)
{
	struct event_log *e = q->events;

	while (q->store && e->unsent && link_backlog(q->store) < BACKLOG_MAX) {
		if (link_send(q->store, FRAME_EVENT, 0, span_make(e->unsent->body, e->unsent->n),
		    -1) == -1)
			return;
		e->unsent = e->unsent->next;
	}
}

struct event_entry *
queue_event_make(struct queue *q, const struct msg_event *m)
{
	struct buf *b = &q->events->work;
	struct event_entry *x = NULL;

	event_encode(b, m);
	if (!buf_failed(b)) {
		x = malloc(sizeof(*x) + buf_size(b));
		ASSERT(x != NULL);
		x->n = buf_size(b);
		memcpy(x->body, buf_data(b).p, x->n);
	}
	buf_reset(b);
	if (b->cap > WORK_KEEP)
		buf_shrink(b);
	return x;
}

void
queue_event_tell(struct queue *q, struct event_entry *x)
{
	struct event_log *e = q->events;

	if (x == NULL)
		return;
	if (e->n >= EVENTS_MAX || e->bytes + x->n > EVENTS_BYTES) {
		/* Its own event cannot be kept either: it would come here again. */
		if (!e->losing) {
			e->losing = true;
			queue_alarm(q, ALARM_EVENTS, "the store has been away too long: events are "
			    "lost from here on");
		}
		counter_add(COUNTER_EVENTS_LOST, 1);
		free(x);
		return;
	}
	x->next = NULL;
	x->seq = ++e->seq;
	event_number(x->body, x->seq);
	*e->tail = x;
	e->tail = &x->next;
	if (e->unsent == NULL)
		e->unsent = x;
	e->n++;
	e->bytes += x->n;
	send_on(q);
}

void
queue_event(struct queue *q, const struct msg_event *m)
{
	queue_event_tell(q, queue_event_make(q, m));
}

void
queue_events_resend(struct queue *q)
{
	q->events->unsent = q->events->first;
	send_on(q);
}

int
queue_events_ack(struct queue *q, uint64_t seq)
{
	struct event_log *e = q->events;
	struct event_entry *x;

	if (seq > e->seq)
		return -1;
	while ((x = e->first) != NULL && x->seq <= seq) {
		/* Confirmed before it was sent: not by this store. */
		if (e->unsent == x)
			return -1;
		e->first = x->next;
		if (e->first == NULL)
			e->tail = &e->first;
		e->n--;
		e->bytes -= x->n;
		free(x);
	}
	let_go(q, seq);
	if (e->losing && e->n < EVENTS_MAX / 2) {
		e->losing = false;
		queue_alarm_over(q, ALARM_EVENTS);
	}
	send_on(q);
	return 0;
}

size_t
queue_events_waiting(const struct queue *q)
{
	return q->events->n;
}
