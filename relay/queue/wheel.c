/* wheel.c -- see wheel.h. */
#include <string.h>

#include "postern/err.h"
#include "queue/wheel.h"

#define BITS 6
#define MASK 63
#define LEVELS 4

void
wheel_list_init(struct wheel_list *l)
{
	l->head.next = l->head.prev = &l->head;
}

bool
wheel_list_empty(const struct wheel_list *l)
{
	return l->head.next == &l->head;
}

static void
insert(struct wheel_node *before, struct wheel_node *n)
{
	ASSERT(n->next == NULL && n->prev == NULL);
	n->next = before;
	n->prev = before->prev;
	before->prev->next = n;
	before->prev = n;
}

void
wheel_list_push(struct wheel_list *l, struct wheel_node *n)
{
	insert(&l->head, n);
}

void
wheel_list_push_front(struct wheel_list *l, struct wheel_node *n)
{
	insert(l->head.next, n);
}

struct wheel_node *
wheel_list_pop(struct wheel_list *l)
{
	struct wheel_node *n = l->head.next;

	if (n == &l->head)
		return NULL;
	wheel_node_unlink(n);
	return n;
}

void
wheel_node_unlink(struct wheel_node *n)
{
	if (n->next == NULL)
		return;
	n->next->prev = n->prev;
	n->prev->next = n->next;
	n->next = n->prev = NULL;
}

static int64_t
tick_at_or_after(int64_t when)
{
	return when <= 0 ? 0 : when / WHEEL_TICK + (when % WHEEL_TICK != 0);
}

void
wheel_init(struct wheel *w, int64_t now)
{
	memset(w, 0, sizeof(*w));
	w->tick = now / WHEEL_TICK;
	for (int i = 0; i < LEVELS; i++)
		for (int k = 0; k <= MASK; k++)
			wheel_list_init(&w->slots[i][k]);
	wheel_list_init(&w->due);
	wheel_list_init(&w->spilling);
}

/* A slot of level i holds what is due within the 64 slots ahead of level i's hand. */
static void
place(struct wheel *w, struct wheel_node *n)
{
	int64_t tick = tick_at_or_after(n->when);

	if (tick <= w->tick) {
		wheel_list_push(&w->due, n);
		return;
	}
	for (int i = 0; i < LEVELS; i++) {
		int64_t hand = w->tick >> i * BITS, slot = tick >> i * BITS;

		if (slot - hand > MASK && i == LEVELS - 1)
			slot = hand + MASK;	/* beyond the wheel: looked at again there */
		if (slot - hand <= MASK) {
			wheel_list_push(&w->slots[i][slot & MASK], n);
			w->bits[i] |= UINT64_C(1) << (slot & MASK);
			return;
		}
	}
}

void
wheel_add(struct wheel *w, struct wheel_node *n, int64_t when)
{
	n->when = when;
	w->n++;
	place(w, n);
}

void
wheel_remove(struct wheel *w, struct wheel_node *n)
{
	ASSERT(n->next != NULL && w->n > 0);
	wheel_node_unlink(n);
	w->n--;
}

/* All of one list behind another, in constant time. */
static void
splice(struct wheel_list *to, struct wheel_list *from)
{
	if (wheel_list_empty(from))
		return;
	from->head.next->prev = to->head.prev;
	to->head.prev->next = from->head.next;
	from->head.prev->next = &to->head;
	to->head.prev = from->head.prev;
	wheel_list_init(from);
}

/* Empties a slot: on the finest level all in it is due; else it is to be placed anew. */
static void
spill(struct wheel *w, int level, int64_t slot)
{
	w->bits[level] &= ~(UINT64_C(1) << (slot & MASK));
	splice(level == 0 ? &w->due : &w->spilling, &w->slots[level][slot & MASK]);
}

static bool
place_spilled(struct wheel *w, size_t *budget)
{
	struct wheel_node *n;

	for (; *budget > 0 && (n = wheel_list_pop(&w->spilling)) != NULL; --*budget)
		place(w, n);
	return !wheel_list_empty(&w->spilling);
}

bool
wheel_advance_some(struct wheel *w, int64_t now, size_t budget)
{
	int64_t target = now / WHEEL_TICK;

	/* The hand stands still until all that it let fall is in its place. */
	while (!place_spilled(w, &budget) && w->tick < target) {
		uint64_t any = w->bits[0] | w->bits[1] | w->bits[2] | w->bits[3];

		if (any == 0) {
			w->tick = target;
			break;
		}
		/* Nothing on the finest level: on to where the next one turns. */
		if (w->bits[0] == 0 && (w->tick | MASK) < target)
			w->tick |= MASK;
		w->tick++;
		for (int i = LEVELS - 1; i >= 0; i--)
			if ((w->tick & ((INT64_C(1) << i * BITS) - 1)) == 0)
				spill(w, i, w->tick >> i * BITS);
	}
	return !wheel_list_empty(&w->spilling);
}

void
wheel_advance(struct wheel *w, int64_t now)
{
	(void)wheel_advance_some(w, now, SIZE_MAX);
}

struct wheel_node *
wheel_pop(struct wheel *w)
{
	struct wheel_node *n = wheel_list_pop(&w->due);

	if (n != NULL)
		w->n--;
	return n;
}

int64_t
wheel_next(const struct wheel *w)
{
	int64_t best = WHEEL_NEVER;

	if (!wheel_list_empty(&w->due) || !wheel_list_empty(&w->spilling))
		return w->tick * WHEEL_TICK;
	for (int i = 0; i < LEVELS; i++) {
		int64_t hand = w->tick >> i * BITS;

		for (int k = 1; k <= MASK && w->bits[i] != 0; k++) {
			int64_t slot = hand + k;

			if (!(w->bits[i] & UINT64_C(1) << (slot & MASK)) ||
			    wheel_list_empty(&w->slots[i][slot & MASK]))
				continue;
			if (((slot << i * BITS) * WHEEL_TICK) < best)
				best = (slot << i * BITS) * WHEEL_TICK;
			break;
		}
	}
	return best;
}
