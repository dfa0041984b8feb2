/* claim.h -- who decides about a kept message, when several nodes can.
 *
 * The base has the state: a claim is an UPDATE that goes from "waiting", so of two nodes one wins. What a
 * claim is for is written down here before the base is asked (ASKED), so it is known whatever dies in
 * between: when this process starts anew, what was asked and not answered is given back; what was won (WON)
 * and marked in the row is carried out, as every decision left half done (release.c). The base learns
 * how it ended (OVER) with the next rows, and forgets the content then.
 */
#ifndef STORE_CLAIM_H
#define STORE_CLAIM_H

#include "store/kept.h"

struct store;

/* States. They stand in the database. */
enum claim_state { CLAIM_ASKED = 1, CLAIM_WON, CLAIM_OVER };

/* why: said when it is not ours. Never from within claim_start. */
typedef void claim_cb(void *ctx, bool ours, const char *why);
/* -1: this node's own database fails. */
int claim_start(struct store *s, const struct kept *k, uint64_t token, enum kept_state to, struct span by,
    claim_cb *cb, void *ctx, struct err *err);
/* The row's decision is carried out; it waits again. Nothing where there was no claim. */
int claim_carried_out(struct db *d, int64_t kid, struct err *err);
int claim_given_back(struct db *d, int64_t kid, struct err *err);
/* At the start. */
int claims_begin(struct db *d, struct err *err);

#endif
