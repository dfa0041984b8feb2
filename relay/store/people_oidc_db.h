/* people_oidc_db.h -- who has signed in at a provider of OpenID Connect: the table oidc_person.
 *
 * A person is his issuer and subject (OpenID Connect Core 1.0, 5.7): these never change, and are never another's.
 * The name is what he is known by here, and one person's: whoever comes later with it is not let in until an
 * administrator forgets the first (`postern users remove NAME`).
 */
#ifndef STORE_PEOPLE_OIDC_DB_H
#define STORE_PEOPLE_OIDC_DB_H

#include "json.h"
#include "postern/arena.h"
#include "store/db.h"

struct oidc_identity {
	struct span issuer, subject, name, mail;
	unsigned roles;			/* those he signed in with last */
	int64_t created, seen;
};

/* 1 found, 0 none, -1. Texts go into the arena. */
int oidc_person_by_subject(struct db *d, struct span issuer, struct span subject, struct arena *a,
    struct oidc_identity *i, struct err *err);
int oidc_person_by_name(struct db *d, struct span name, struct arena *a, struct oidc_identity *i, struct err *err);
int oidc_person_put(struct db *d, const struct oidc_identity *i, struct err *err);
/* With his sessions. 1, 0, -1. */
int oidc_person_remove(struct db *d, struct span name, struct err *err);
/* A line of JSON for each, by name; *n is added to. */
int oidc_person_list(struct db *d, struct buf *out, size_t *n, struct err *err);

#endif
