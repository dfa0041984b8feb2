/* queue_events.c -- what is told to the store, kept until it has it.
 *
 * Events are numbered; the store confirms the highest number it has committed.
 * While it is away they wait here, as many as EVENTS_MAX and EVENTS_BYTES
 * allow; what comes beyond is counted as lost. Mail never waits for it.
 */
#include <stdlib.h>

#include "clock.h"
#include "queue/queue.h"

#define EVENTS_MAX 200000
#define EVENTS_BYTES ((size_t)64 << 20)
#define BACKLOG_MAX ((size_t)16 << 20)

struct entry {
	struct entry *next;
	uint64_t seq;
	size_t n;
	char body[];
};

struct event_log {
	struct entry *first, **tail;
	struct entry *unsent;		/* the first one not yet sent; NULL: all are */
	size_t n, bytes;
	uint64_t seq;
	bool losing;
};

struct event_log *
events_new(void)
{
	struct event_log *e = calloc(1, sizeof(*e));

	ASSERT(e != NULL);
	e->tail = &e->first;
	/* Rising over restarts too. */
	e->seq = (uint64_t)clock_real();
	return e;
}

void
events_free(struct event_log **ep)
{
	struct entry *x;

	if (*ep == NULL)
		return;
	while ((x = (*ep)->first) != NULL) {
		(*ep)->first = x->next;
		free(x);
	}
	free(*ep);
	*ep = NULL;
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

static void
keep(struct queue *q, struct span body)
{
	struct event_log *e = q->events;
	struct entry *x;

	if (e->n >= EVENTS_MAX || e->bytes + body.n > EVENTS_BYTES) {
		/* Its own event cannot be kept either: it would come here again. */
		if (!e->losing) {
			e->losing = true;
			queue_alarm(q, ALARM_EVENTS, "the store has been away too long: events are "
			    "lost from here on");
		}
		counter_add(COUNTER_EVENTS_LOST, 1);
		return;
	}
	x = malloc(sizeof(*x) + body.n);
	ASSERT(x != NULL);
	x->next = NULL;
	x->seq = e->seq;
	x->n = body.n;
	memcpy(x->body, body.p, body.n);
	*e->tail = x;
	e->tail = &x->next;
	if (e->unsent == NULL)
		e->unsent = x;
	e->n++;
	e->bytes += body.n;
	send_on(q);
}

void
queue_event(struct queue *q, const struct msg_event *in)
{
	struct msg_event m = *in;
	struct buf b;

	m.seq = ++q->events->seq;
	buf_init(&b, FRAME_BIG);
	event_encode(&b, &m);
	if (!buf_failed(&b))
		keep(q, buf_data(&b));
	buf_release(&b);
}

/* Encoded when there was still a frame to encode from; gets its number now. */
void
queue_event_encoded(struct queue *q, struct buf *b)
{
	struct arena *a = arena_new(0);
	struct msg_event m;

	if (event_decode(buf_data(b), -1, a, &m) == 0)
		queue_event(q, &m);
	arena_free(&a);
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
	struct entry *x;

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
