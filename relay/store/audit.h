/* audit.h -- who changed what. */
#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H

#include "store/db.h"

/* One row, in the caller's transaction if there is one. Texts may be empty, except what. */
int audit_put(struct db *d, struct span who, const char *what, struct span subject,
    struct span detail, int64_t now, struct err *err);

#endif
