/* users.h -- the file of users: `name:$scrypt$…`, a line each; '#' begins a comment. */
#ifndef AUTHENTICATOR_USERS_H
#define AUTHENTICATOR_USERS_H

#include "postern/err.h"
#include "postern/span.h"

struct users;

/* NULL: the file cannot be read, everybody may read it, or a line is wrong (err says which). */
struct users *users_load(const char *path, struct err *err);
void users_free(struct users **u);
size_t users_count(const struct users *u);
/* *right: that user has that password. An unknown name costs as much as a known one. -1: it
 * could not be computed. */
int users_check(const struct users *u, struct span name, struct span password, bool *right,
    struct err *err);

#endif
