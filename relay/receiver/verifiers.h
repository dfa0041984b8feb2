/* verifiers.h -- which verifier finds out who sent a message, and what happens when one dies of it. */
#ifndef RECEIVER_VERIFIERS_H
#define RECEIVER_VERIFIERS_H

#include "receiver/message.h"

struct verifiers;

struct verifiers *verifiers_new(struct messages *all);
void verifiers_free(struct verifiers **v);
void verifiers_up(struct verifiers *v, struct link *l, int64_t now);
/* It wants no more; once it has answered what it has, its link is closed. */
void verifiers_retire(struct verifiers *v, struct link *l);
/* It is gone: what it had is asked of others; what was there at two deaths is held. true: it was busy. */
bool verifiers_down(struct verifiers *v, struct link *l, int64_t now);
size_t verifiers_count(const struct verifiers *v);
/* Announces a transaction; whom it was told (an instance, 0: nobody). */
uint32_t verifiers_announce(struct verifiers *v, const struct smtp_transaction *t);
/* true: it is asked, or waits for a verifier. false: too many wait already. */
bool verifiers_ask(struct verifiers *v, struct message *m, int64_t now);
void verifiers_forget(struct verifiers *v, struct message *m);
void verifiers_tick(struct verifiers *v, int64_t now);
/* FACTS. -1: the body breaks the rules. */
int verifiers_facts(struct verifiers *v, struct link *l, struct frame *f, int64_t now);

#endif
