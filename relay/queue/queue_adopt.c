/* queue_adopt.c -- an import into a running queue (`postern queue import`).
 *
 * The tool makes whole segments beside ours (portable_import.c): it asks for a
 * number, writes seg-N.import, makes the list of what is in it durable, renames it
 * to seg-N, and then asks for its adoption. From the renaming on a start would find the
 * messages by itself, so nothing here has to be durable: adoption reads the
 * segment, a step at a time, and schedules what is in it. Asked twice, it is
 * done once.
 *
 * A state stands behind its message: so the last message of a step waits for the
 * next one before it is scheduled, lest one that is held be sent.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "queue/queue_acts.h"

#define STEP_BYTES ((size_t)512 << 10)
#define STEP_PAUSE_US 500

struct adoption {
	struct asked k;
	struct jval *own;
	struct reply *reply;
	struct event *step;
	uint32_t segment;
	size_t messages;
	struct adoption *next;
};

void
adopt_reserve(struct asked *k)
{
	struct json j;

	if (!queue_has_room(k->q)) {
		asked_error(k, "the queue is full");
		return;
	}
	json_begin(&j, k->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kuint(&j, "segment", spool_reserve(k->q->sp));
	json_end_object(&j);
	buf_putc(k->out, '\n');
}

/* It is in the queue from here on, like any other. */
static void
take_in(struct queue *q, uint64_t id)
{
	struct message *m = queue_find(q, id);
	struct msg_event ev = { .kind = EVENT_ACCEPTED, .id = id, .time = clock_real(),
		.has_env = true };
	struct stored s;
	struct plan p;
	struct err err;

	if (m == NULL)
		return;
	arena_reset(q->work);
	if (queue_plan(q, m, q->work, &s, &p, &err) == -1) {
		log_msg(LOG_LVL_ERROR, id, "imported but not readable: %s", err.text);
		return;
	}
	ev.parent = s.parent;
	ev.size = s.size;
	ev.env = s.env;
	(void)spool_read_json(q->sp, &m->item, &s, q->work, &ev.record, NULL);
	log_msg(LOG_LVL_INFO, id, "from=<" SPAN_FMT ">, size=%llu, nrcpt=%zu (queue active, "
	    "imported)", SPAN_ARG(s.env.sender), (unsigned long long)m->size, s.env.nrecipients);
	queue_event(q, &ev);
	if (message_done(m))
		queue_finish(q, m);
	else
		queue_schedule_all(q, m, &p);
}

static void
adoption_end(struct adoption *a, const char *error)
{
	struct queue *q = a->k.q;
	char what[40];
	struct json j;

	for (struct adoption **p = &q->adoptions; *p; p = &(*p)->next)
		if (*p == a) {
			*p = a->next;
			break;
		}
	if (!error) {
		snprintf(what, sizeof(what), "segment %u", a->segment);
		asked_journal(&a->k, "import", 0, span_str(what), a->messages);
	}
	json_begin(&j, a->k.out);
	json_object(&j);
	json_kint(&j, "v", 1);
	if (error)
		json_kcstr(&j, "error", error);
	json_kuint(&j, "segment", a->segment);
	json_kuint(&j, "messages", a->messages);
	json_end_object(&j);
	buf_putc(a->k.out, '\n');
	reply_end(&a->reply);
	event_free(a->step);
	jval_free(&a->own);
	free(a);
}

void
queue_adoptions_end(struct queue *q)
{
	while (q->adoptions)
		adoption_end(q->adoptions, "the queue is stopping; the next start takes the rest");
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0, STEP_PAUSE_US };
	struct adoption *a = arg;
	struct queue *q = a->k.q;
	size_t n, left;
	bool more;

	/* One at a time: its messages are gathered in one list. */
	if (q->adoptions->next != NULL) {
		struct adoption *oldest = q->adoptions;

		while (oldest->next)
			oldest = oldest->next;
		if (oldest != a) {
			evtimer_add(a->step, &soon);
			return;
		}
	}
	more = spool_adopt_step(q->sp, a->segment, STEP_BYTES);
	n = q->nadopted;
	left = more && n > 0 ? 1 : 0;
	for (size_t i = 0; i + left < n; i++)
		take_in(q, q->adopted[i]);
	a->messages += n - left;
	if (left)
		q->adopted[0] = q->adopted[n - 1];
	q->nadopted = left;
	queue_turn(q);
	if (more)
		evtimer_add(a->step, &soon);
	else
		adoption_end(a, NULL);
}

/* What the spool finds in an adopted segment. */
void
queue_adopted(struct queue *q, uint64_t id)
{
	if (q->nadopted == q->cap_adopted) {
		q->cap_adopted = q->cap_adopted ? q->cap_adopted * 2 : 256;
		q->adopted = realloc(q->adopted, q->cap_adopted * sizeof(*q->adopted));
		ASSERT(q->adopted != NULL);
	}
	q->adopted[q->nadopted++] = id;
}

void
adopt_segment(struct asked *k)
{
	int64_t number = jval_int(k->req, "segment", 0);
	struct adoption *a;
	struct err err;
	struct json j;
	int r;

	if (number <= 0 || number > UINT32_MAX) {
		asked_error(k, "which segment?");
		return;
	}
	if ((r = spool_adopt(k->q->sp, (uint32_t)number, &err)) == -1) {
		asked_error(k, err.text);
		return;
	}
	if (r == 0) {		/* known already */
		json_begin(&j, k->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kuint(&j, "segment", (uint64_t)number);
		json_kuint(&j, "messages", 0);
		json_end_object(&j);
		buf_putc(k->out, '\n');
		return;
	}
	a = calloc(1, sizeof(*a));
	ASSERT(a != NULL);
	a->k = *k;
	a->own = *k->owned;
	*k->owned = NULL;
	a->reply = *k->reply;
	*k->reply = NULL;
	a->segment = (uint32_t)number;
	a->step = evtimer_new(k->q->rt->base, on_step, a);
	ASSERT(a->step != NULL);
	a->next = k->q->adoptions;
	k->q->adoptions = a;
	on_step(-1, 0, a);
}
