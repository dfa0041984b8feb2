/* audit.h -- who did what: every change by a person, every access refused. */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "store/db.h"

/* Within the transaction of what it tells of, where there is one. */
int audit_put(struct db *d, struct span who, const char *what, struct span subject,
    struct span detail, int64_t now, struct err *err);

#endif
