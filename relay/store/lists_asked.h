/* lists_asked.h -- what the answers about lists of senders share: rights, refusals, an entry as a line. */
#ifndef STORE_LISTS_ASKED_H
#define STORE_LISTS_ASKED_H

#include "json.h"
#include "store/asked.h"
#include "store/lists_db.h"

#define MANAGERS PRINCIPAL_BIT(OPERATOR)	/* of every list */

/* {"error","code"}: invalid, not-found, conflict, limit, forbidden. */
void lists_refuse(struct asked *q, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Change, or (seeing) only see the list of that owner. */
bool lists_may(const struct asked *q, enum list_scope scope, struct span owner, bool seeing);
/* It does not exist for him; written down, in the transaction under way or in one of its own. */
void lists_not_his(struct asked *q, const char *cmd, struct span what);
/* One of the names; false: said, with a did-you-mean. */
bool lists_choose(struct asked *q, const char *key, struct span s, const char *const *names, int *out);
void lists_put(struct asked *q, const struct list_row *r);

#endif
