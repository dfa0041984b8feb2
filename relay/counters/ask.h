/* ask.h -- a decision as the arguments of its script (scripts.c, `decide`), and its answer read. */
#ifndef COUNTERS_ASK_H
#define COUNTERS_ASK_H

#include "counters/scripts.h"

struct redisReply;

/* The answer: now, three for each group, two for each item from here on, grey, its age, mailbox, its age,
 * reputations. */
#define ASK_ITEMS (1 + 3 * COUNT_GROUPS)

/* Behind call_begin(). */
void ask_write(struct call *c, const struct msg_count_ask *m);
/* false: it cannot be read. */
bool ask_read(const struct redisReply *r, size_t nitems, struct msg_count_told *m);

/* 0: there is none. */
int64_t reply_int(const struct redisReply *r, size_t i);

#endif
