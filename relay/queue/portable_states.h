/* portable_states.h -- of an export's message: held or not, and on a hand-over how its tries went. */
#ifndef QUEUE_PORTABLE_STATES_H
#define QUEUE_PORTABLE_STATES_H

#include "ipc/json_read.h"
#include "queue/record.h"

typedef int portable_put_state(void *ctx, uint64_t id, uint8_t flags, const struct state *st, struct err *err);
/* head: the line of the message. Calls put for each STATE that goes behind it. */
int portable_states(struct arena *a, const struct jval *head, bool handover, uint64_t id, portable_put_state *put,
    void *ctx, struct err *err);

#endif
