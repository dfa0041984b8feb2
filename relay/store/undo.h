/* undo.h -- decisions that can be taken back for a moment.
 *
 * Who decides in the console sees at once what he has done, and may take it back: for `quarantine:
 * {undo: 10s}` the row stays WAITING and its decision stands beside it. Then the clock carries it
 * out as if it had been made that moment. Both are rows of the database: a restart loses neither, and the
 * decision goes in the transaction that makes it true. Whoever decides otherwise meanwhile without
 * waiting (the gateway's own command, a voice, a link, an expiry) has decided.
 */
#ifndef STORE_UNDO_H
#define STORE_UNDO_H

#include "json.h"
#include "store/asked.h"

/* Has the asker a moment? `undo` in the request, and one in the configuration. */
bool undo_wanted(const struct asked *q);
/* Written down and audited: carried out later. A line for each, then the end. */
void undo_later(struct asked *q, enum act_verb verb, const int64_t *kids, size_t n, struct span reason,
    size_t done, size_t failed);
/* Does a decision wait for this row? 1, 0, -1. */
int undo_waits(struct db *d, int64_t kid, struct err *err);
/* Its decision is made, or it cannot be: in the caller's transaction. */
int undo_over(struct db *d, int64_t kid, struct err *err);
/* "pending":{"verb","by","until"}, where there is one. */
int undo_json(struct db *d, int64_t kid, struct json *j, struct err *err);
void undo_tick(struct store *s);
/* {"cmd":"kept.undo","kids":[…]}: by who decided, or who operates the gateway. */
void do_undo(struct asked *q);

#endif
