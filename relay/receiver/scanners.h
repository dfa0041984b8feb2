/* scanners.h -- which scanner judges which message, and what happens when one dies of it. */
#ifndef RECEIVER_SCANNERS_H
#define RECEIVER_SCANNERS_H

#include "receiver/message.h"

struct scanners;

struct scanners *scanners_new(struct messages *all);
void scanners_free(struct scanners **sc);
void scanners_up(struct scanners *sc, struct link *l, int64_t now);
/* It wants no more; once it has answered what it has, its link is closed and it leaves. */
void scanners_retire(struct scanners *sc, struct link *l);
/* The scanner is gone: what it had goes to others; what killed two is held. */
bool scanners_down(struct scanners *sc, struct link *l, int64_t now);
/* -1: too many are waiting already. */
int scanners_judge(struct scanners *sc, struct message *m, int64_t now);
/* l has answered: its place is free. The message, when it is still there. */
struct message *scanners_answered(struct scanners *sc, struct link *l, uint64_t ticket, int64_t now);
void scanners_forget(struct scanners *sc, struct message *m);
void scanners_tick(struct scanners *sc, int64_t now);
size_t scanners_waiting(const struct scanners *sc);

#endif
