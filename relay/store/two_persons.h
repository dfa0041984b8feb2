/* two_persons.h -- quarantines from which two different persons must release.
 *
 * `quarantine: {two_persons: [NAME]}` names them; a rule says `quarantine: NAME`, or asks for it
 * itself: `quarantine: {name: NAME, approvals: 2}`. A rule can only ask for more than the name does. A
 * release is then a voice: the first is counted, the second of another person releases. The sender has
 * none, nor has the same person a second one. It is the machine of approvals (approval.h), whose need
 * is written down when a rule asks for it, else with the first voice.
 */
#ifndef STORE_TWO_PERSONS_H
#define STORE_TWO_PERSONS_H

#include "ipc/principal.h"
#include "store/store.h"

/* 1, 0, -1. */
int two_persons_wanted(struct db *d, const struct config *c, const struct kept *k, struct err *err);
/* A rule asks for it: in the transaction that keeps the message. */
int two_persons_need(struct db *d, int64_t kid, struct err *err);
/* A voice for the release; *given: it was the second. -1 with err->code 0: refused, err says why. */
int two_persons_voice(struct store *s, const struct kept *k, const struct principal *who,
    struct span by, struct span reason, struct arena *a, bool *given, struct err *err);
/* The voices so far are taken back: it stays. */
int two_persons_deny(struct store *s, const struct kept *k, struct err *err);

#endif
