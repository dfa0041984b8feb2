/* ticket.c -- open requests; see ticket.h.
 *
 * Slots in an array with a free list; deadlines in a binary heap of slot
 * numbers, each slot knowing its place, so that opening, closing and finding
 * the next expired one cost O(log n).
 */
#include <stdlib.h>
#include <string.h>

#include "ipc/ticket.h"
#include "postern/err.h"

struct slot {
	void *owner;		/* NULL: free */
	int64_t deadline;
	uint32_t generation;
	uint32_t heap;		/* place in the heap; for a free slot: the next free one */
};

struct tickets {
	struct slot *slots;
	uint32_t *heap;
	uint32_t n, cap;	/* open; allocated */
	uint32_t free;		/* first free slot, cap: none */
};

struct tickets *
tickets_new(void)
{
	struct tickets *t = calloc(1, sizeof(*t));

	ASSERT(t != NULL);
	return t;
}

void
tickets_free(struct tickets **tp)
{
	if (*tp == NULL)
		return;
	free((*tp)->slots);
	free((*tp)->heap);
	free(*tp);
	*tp = NULL;
}

static void
grow(struct tickets *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : 64;

	ASSERT(cap > t->cap);
	t->slots = realloc(t->slots, cap * sizeof(*t->slots));
	t->heap = realloc(t->heap, cap * sizeof(*t->heap));
	ASSERT(t->slots && t->heap);
	memset(t->slots + t->cap, 0, (cap - t->cap) * sizeof(*t->slots));
	for (uint32_t i = t->cap; i < cap; i++)
		t->slots[i].heap = i + 1;
	t->free = t->cap;
	t->cap = cap;
}

static void
place(struct tickets *t, uint32_t at, uint32_t slot)
{
	t->heap[at] = slot;
	t->slots[slot].heap = at;
}

static void
sift(struct tickets *t, uint32_t at)
{
	uint32_t slot = t->heap[at];
	int64_t key = t->slots[slot].deadline;

	while (at > 0 && t->slots[t->heap[(at - 1) / 2]].deadline > key) {
		place(t, at, t->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		uint32_t kid = 2 * at + 1;

		if (kid >= t->n)
			break;
		if (kid + 1 < t->n && t->slots[t->heap[kid + 1]].deadline <
		    t->slots[t->heap[kid]].deadline)
			kid++;
		if (t->slots[t->heap[kid]].deadline >= key)
			break;
		place(t, at, t->heap[kid]);
		at = kid;
	}
	place(t, at, slot);
}

uint64_t
ticket_open(struct tickets *t, void *owner, int64_t deadline)
{
	struct slot *s;
	uint32_t i;

	ASSERT(owner != NULL);
	if (t->free == t->cap)
		grow(t);
	i = t->free;
	s = &t->slots[i];
	t->free = s->heap;
	s->owner = owner;
	s->deadline = deadline;
	if (++s->generation == 0)
		s->generation = 1;
	place(t, t->n, i);
	sift(t, t->n++);
	return (uint64_t)s->generation << 32 | i;
}

static struct slot *
find(const struct tickets *t, uint64_t ticket)
{
	uint32_t i = (uint32_t)ticket;

	if (i >= t->cap || t->slots[i].owner == NULL ||
	    t->slots[i].generation != (uint32_t)(ticket >> 32))
		return NULL;
	return &t->slots[i];
}

void *
ticket_owner(const struct tickets *t, uint64_t ticket)
{
	struct slot *s = find(t, ticket);

	return s ? s->owner : NULL;
}

void *
ticket_close(struct tickets *t, uint64_t ticket)
{
	struct slot *s = find(t, ticket);
	uint32_t at;
	void *owner;

	if (s == NULL)
		return NULL;
	owner = s->owner;
	s->owner = NULL;
	at = s->heap;
	t->n--;
	if (at != t->n) {
		place(t, at, t->heap[t->n]);
		sift(t, at);
	}
	s->heap = t->free;
	t->free = (uint32_t)ticket;
	return owner;
}

uint64_t
ticket_expired(struct tickets *t, int64_t now)
{
	uint32_t i;

	if (t->n == 0 || t->slots[t->heap[0]].deadline > now)
		return 0;
	i = t->heap[0];
	return (uint64_t)t->slots[i].generation << 32 | i;
}

uint32_t
tickets_count(const struct tickets *t)
{
	return t->n;
}
