/* queue_limits.c -- how much the queue may hold: 452 before harm.
 *
 * Counted is what is in the queue or waits for a sync: messages, their bytes,
 * the memory that knowing of them takes. The limits stand in front of new mail
 * only; notices of our own are always taken, they are what ends a message.
 * Refused is until the queue has gone down to 98 % of the limit, so that it does not
 * flicker. (The disk's own floor stands in spool_append.)
 */
#include "queue/queue.h"

/* Beside the struct: the allocator's own, and the entry in the table. Measured by bench_spool. */
#define ENTRY_BYTES 64

/* Ages are counted in steps of 2^24 us (17 s): an entry for each step in which anything that is
 * still here came, so the oldest is known without looking at all. */
static uint64_t
age_of(const struct message *m)
{
	return m->since > 0 ? (uint64_t)m->since >> 24 : 0;
}

static void
age_count(struct queue *q, uint64_t age, int by)
{
	uintptr_t n = (uintptr_t)idtable_get(q->size.ages, age) + (uintptr_t)by;

	if (n > 0)
		idtable_put(q->size.ages, age, (void *)n);
	else
		idtable_remove(q->size.ages, age);
}

int64_t
queue_oldest(struct queue *q)
{
	if (idtable_count(q->size.ages) == 0)
		return 0;
	while (idtable_get(q->size.ages, q->size.oldest) == NULL)
		q->size.oldest++;
	return (int64_t)(q->size.oldest << 24);
}

void
queue_flags(struct queue *q, struct message *m, uint8_t flags)
{
	q->size.held += (flags & STATE_HELD) != 0;
	q->size.held -= (m->flags & STATE_HELD) != 0;
	m->flags = flags;
}

void
queue_took(struct queue *q, const struct message *m)
{
	uint64_t age = age_of(m);

	if (idtable_count(q->size.ages) == 0 || age < q->size.oldest)
		q->size.oldest = age;
	age_count(q, age, 1);
	q->size.held += (m->flags & STATE_HELD) != 0;
	q->size.messages++;
	q->size.bytes += m->size;
	q->size.memory += queued_bytes(m) + ENTRY_BYTES;
}

void
queue_gave(struct queue *q, const struct message *m)
{
	ASSERT(q->size.messages > 0 && q->size.bytes >= m->size);
	age_count(q, age_of(m), -1);
	q->size.held -= (m->flags & STATE_HELD) != 0;
	q->size.messages--;
	q->size.bytes -= m->size;
	q->size.memory -= queued_bytes(m) + ENTRY_BYTES;
}

bool
queue_has_room(struct queue *q)
{
	const struct conf_queue *c = &q->rt->conf->queue;
	const struct { const char *name; uint64_t have, max; } l[] = {
		{ "messages", q->size.messages, c->messages },
		{ "bytes", q->size.bytes, c->bytes },
		{ "memory", q->size.memory, c->memory },
	};
	const char *over = NULL, *near = NULL;
	char text[120];

	for (size_t i = 0; i < sizeof(l) / sizeof(l[0]); i++) {
		/* 0: not configured, as in tests of other things. */
		uint64_t max = l[i].max ? l[i].max : UINT64_MAX;
		uint64_t bar = q->size.over ? max - max / 50 : max;
		uint64_t warn = max - max / 100 * (queue_alarmed(q, ALARM_NEAR) ? 12 : 10);

		if (over == NULL && l[i].have >= bar)
			over = l[i].name;
		if (near == NULL && l[i].have >= warn) {
			near = l[i].name;
			snprintf(text, sizeof(text), "%llu of %llu %s (queue.%s)",
			    (unsigned long long)l[i].have, (unsigned long long)max, near, near);
		}
	}
	if (near != NULL)
		queue_alarm(q, ALARM_NEAR, "the queue is nearly full: %s", text);
	else
		queue_alarm_over(q, ALARM_NEAR);
	q->size.over = over;
	if (over != NULL)
		queue_alarm(q, ALARM_LIMIT, "new messages are refused with 452: queue.%s is reached "
		    "(%llu messages, %llu bytes, %llu of memory)", over,
		    (unsigned long long)q->size.messages, (unsigned long long)q->size.bytes,
		    (unsigned long long)q->size.memory);
	else
		queue_alarm_over(q, ALARM_LIMIT);
	return over == NULL;
}
