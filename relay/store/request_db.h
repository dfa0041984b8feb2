/* request_db.h -- a recipient asks for a message that he may not release himself. */
#ifndef STORE_REQUEST_DB_H
#define STORE_REQUEST_DB_H

#include "master/config.h"
#include "store/kept.h"

/* Numbers stand in the database. */
#define REQUEST_STATES(X) X(OPEN, 1, "open") X(GRANTED, 2, "granted") X(REFUSED, 3, "refused")
enum request_state {
#define X(name, number, text) REQUEST_##name = number,
	REQUEST_STATES(X)
#undef X
};

/* 1 asked now, 0 asked before, -1. */
int request_put(struct db *d, int64_t kid, struct span address, struct span reason, int64_t now,
    struct err *err);
/* Who asks and has no answer is given one, and told of it by mail: within the transaction of the
 * decision. */
int requests_decide(struct db *d, const struct kept *k, bool granted, struct span by, struct span why,
    const struct config *c, int64_t now, struct arena *a, struct err *err);
/* "requests" of a row, of the recipients that may be seen; nothing where nobody has asked. */
struct json;
int requests_json(struct db *d, const struct kept *k, const bool *mine, struct json *j,
    struct err *err);
/* Messages that wait and are asked for. */
int requests_count(struct db *d, uint64_t *n, struct err *err);

#endif
