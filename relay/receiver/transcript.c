/* transcript.c -- what clients and we said to each other, on demand, for a time.
 *
 * A ring of slots of 512 bytes, one line in each, in memory that all
 * receivers share. A writer takes the next number and with it its slot, marks it as
 * being written, fills it, and marks it with the number: a reader believes a slot
 * only when it carries the number it should before and after the copy. A writer that is
 * killed in between leaves one line unreadable until the ring has come round.
 *
 * What is secret never comes here: the session masks credentials, and bodies
 * are a line that says how many bytes they had.
 */
#include <stdatomic.h>

#include "postern/err.h"
#include "receiver/transcript.h"

struct slot {
	_Atomic uint64_t number;	/* of its line, from 1 on; 0: being written, or empty */
	uint64_t session;
	int64_t time;
	struct ip client;
	uint8_t kind;
	uint16_t size;
	char text[TRANSCRIPT_TEXT];
};

_Static_assert(sizeof(struct slot) <= 512, "a slot has 512 bytes");

struct transcript {
	_Atomic int64_t until;		/* 0: off */
	_Atomic uint64_t last;		/* number of the newest line */
	_Atomic uint64_t first;		/* older ones belong to an earlier start */
	struct cidr clients;
	bool all;
	uint64_t slots;
	_Alignas(64) unsigned char ring[];
};

static struct slot *
slot_of(const struct transcript *t, uint64_t number)
{
	return (struct slot *)(uintptr_t)(t->ring + number % t->slots * 512);
}

struct transcript *
transcript_attach(void *memory, size_t size)
{
	struct transcript *t = memory;

	ASSERT(size >= 4096 && (uintptr_t)memory % 64 == 0);
	t->slots = (size - sizeof(*t)) / 512;	/* the same for everybody */
	return t;
}

void
transcript_start(struct transcript *t, struct cidr clients, bool all, int64_t until)
{
	atomic_store(&t->until, 0);
	t->clients = clients;
	t->all = all;
	atomic_store(&t->first, atomic_load(&t->last));
	atomic_store(&t->until, until);
}

void
transcript_stop(struct transcript *t)
{
	atomic_store(&t->until, 0);
}

bool
transcript_wants(const struct transcript *t, struct ip client, int64_t now)
{
	int64_t until = atomic_load_explicit(&t->until, memory_order_acquire);

	return until && now < until && (t->all || cidr_has(t->clients, client));
}

static void
add_line(struct transcript *t, uint64_t session, int64_t real, enum transcript_kind k,
    struct ip client, struct span text)
{
	uint64_t number = atomic_fetch_add(&t->last, 1) + 1;
	struct slot *s = slot_of(t, number);

	atomic_store_explicit(&s->number, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	s->session = session;
	s->time = real;
	s->client = client;
	s->kind = (uint8_t)k;
	s->size = (uint16_t)(text.n < UINT16_MAX ? text.n : UINT16_MAX);
	text = span_sub(text, 0, TRANSCRIPT_TEXT);
	if (text.n)
		memcpy(s->text, text.p, text.n);
	atomic_store_explicit(&s->number, number, memory_order_release);
}

void
transcript_add(struct transcript *t, uint64_t session, int64_t real, enum transcript_kind k,
    struct ip client, struct span text)
{
	do {
		size_t n = span_find(text, '\n');
		struct span line = span_sub(text, 0, n);

		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		add_line(t, session, real, k, client, line);
		text = span_from(text, n + 1);
	} while (text.n);
}

bool
transcript_next(const struct transcript *t, uint64_t *at, struct transcript_line *line)
{
	uint64_t last = atomic_load(&t->last), first = atomic_load(&t->first);

	if (last > t->slots && first < last - t->slots)
		first = last - t->slots;
	if (*at < first)
		*at = first;
	while (*at < last) {
		const struct slot *s = slot_of(t, ++*at);
		size_t n;

		if (atomic_load_explicit(&s->number, memory_order_acquire) != *at)
			continue;
		line->session = s->session;
		line->time = s->time;
		line->client = s->client;
		line->kind = s->kind <= TRANSCRIPT_SERVER ? (enum transcript_kind)s->kind :
		    TRANSCRIPT_EVENT;
		n = s->size < TRANSCRIPT_TEXT ? s->size : TRANSCRIPT_TEXT;
		memcpy(line->text, s->text, n);
		line->text[n] = '\0';
		if (s->size > TRANSCRIPT_TEXT)
			memcpy(line->text + n, "...", 4);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&s->number, memory_order_relaxed) == *at)
			return true;
	}
	return false;
}

void
transcript_state(const struct transcript *t, int64_t now, struct transcript_state *out)
{
	uint64_t last = atomic_load(&t->last), first = atomic_load(&t->first);

	*out = (struct transcript_state){ .until = atomic_load(&t->until),
		.lines = last - first };
	out->on = out->until && now < out->until;
	out->lost = out->lines > t->slots ? out->lines - t->slots : 0;
}
