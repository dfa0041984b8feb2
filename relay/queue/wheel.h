/* wheel.h -- a timing wheel: any number of timers, each set and cleared in constant time.
 *
 * Four levels of 64 slots, the finest of 100 ms, the coarsest reaching 19
 * days; what lies further is looked at again there. A timer is never early
 * and at most one slot of 100 ms late. Time is whatever the caller says.
 */
#ifndef QUEUE_WHEEL_H
#define QUEUE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WHEEL_TICK INT64_C(100000)	/* microseconds */
#define WHEEL_NEVER INT64_MAX

struct wheel_node {		/* zeroed: in no list */
	struct wheel_node *next, *prev;
	int64_t when;		/* microseconds */
};

struct wheel_list {
	struct wheel_node head;	/* circular */
};
void wheel_list_init(struct wheel_list *l);
bool wheel_list_empty(const struct wheel_list *l);
void wheel_list_push(struct wheel_list *l, struct wheel_node *n);	/* at the end */
void wheel_list_push_front(struct wheel_list *l, struct wheel_node *n);
struct wheel_node *wheel_list_pop(struct wheel_list *l);		/* NULL: empty */

struct wheel {
	int64_t tick;		/* reached */
	size_t n;		/* timers in it, due ones included */
	uint64_t bits[4];	/* slots that may hold something */
	struct wheel_list slots[4][64];
	struct wheel_list due;
	struct wheel_list spilling;	/* of a coarse slot, on the way to finer ones */
};

void wheel_init(struct wheel *w, int64_t now);
void wheel_add(struct wheel *w, struct wheel_node *n, int64_t when);
/* Takes a node out of whatever list it is in; fine when it is in none. */
void wheel_node_unlink(struct wheel_node *n);
void wheel_remove(struct wheel *w, struct wheel_node *n);
void wheel_advance(struct wheel *w, int64_t now);
/* The same, but places at most so many timers of a coarse slot (which may hold all there are). true:
 * there is more to do, and wheel_next() says so. */
bool wheel_advance_some(struct wheel *w, int64_t now, size_t budget);
struct wheel_node *wheel_pop(struct wheel *w);	/* the next due one, or NULL */
/* When to advance next: not after the first timer, perhaps before it. */
int64_t wheel_next(const struct wheel *w);

#endif
