/* ticket.h -- open requests: a number with a generation, an owner, a deadline.
 *
 * A ticket is never reused while a late answer could still carry it: the slot
 * index is in its lower half and a generation that grows in the upper half.
 * Never 0.
 */
#ifndef IPC_TICKET_H
#define IPC_TICKET_H

#include <stdint.h>

struct tickets;

struct tickets *tickets_new(void);
void tickets_free(struct tickets **t);
/* owner: any pointer, not NULL. deadline: clock_mono() microseconds. */
uint64_t ticket_open(struct tickets *t, void *owner, int64_t deadline);
void *ticket_owner(const struct tickets *t, uint64_t ticket);	/* NULL: closed or never open */
void *ticket_close(struct tickets *t, uint64_t ticket);		/* its owner, or NULL */
/* The next open ticket whose deadline has passed, or 0. It stays open. */
uint64_t ticket_expired(struct tickets *t, int64_t now);
uint32_t tickets_count(const struct tickets *t);

#endif
