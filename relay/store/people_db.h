/* people_db.h -- accounts of the console, and who is signed in: the tables person and session. */
#ifndef STORE_PEOPLE_DB_H
#define STORE_PEOPLE_DB_H

#include "json.h"
#include "postern/arena.h"
#include "store/db.h"
#include "store/totp.h"

#define PERSON_NAME_MAX 64
#define PERSON_RECOVERY 10		/* codes for who lost the device */
#define SESSION_HASH 64			/* hexadecimal SHA-256 */

struct person {
	struct span name;
	struct span hash;		/* scrypt; "": no password, nobody signs in by one */
	unsigned roles;			/* PRINCIPAL_BIT */
	struct span domains, addresses;	/* lines */
	struct span language;		/* "", "en", "fr" */
	struct span totp;		/* TOTP_SECRET bytes; "" none */
	int64_t totp_step;		/* the last one taken */
	struct span recovery;		/* SHA-256 of codes, PERSON_RECOVERY at most, each once */
	bool disabled;
	int64_t created, seen;		/* seen: signed in last; 0 never */
};

/* 1 found, 0 none, -1. Texts go into the arena. */
int person_get(struct db *d, struct span name, struct arena *a, struct person *p, struct err *err);
/* A new row or in place of the old one. */
int person_put(struct db *d, const struct person *p, struct err *err);
int person_remove(struct db *d, struct span name, struct err *err);	/* with all its sessions; 1, 0, -1 */
/* A line of JSON for each, by name. */
int person_list(struct db *d, struct buf *out, size_t *n, struct err *err);
void person_json(struct json *j, const struct person *p);
/* "name", "roles", "domains", "addresses", as principal_read wants them. */
void person_principal_json(struct json *j, const struct person *p);

struct session {
	struct span hash, name;
	struct span kind;		/* "local", "directory", "oidc", "link" */
	struct span principal;		/* JSON; "": that of the account as it is now */
	struct span typed;		/* "directory": the name that its filter found him by */
	struct span language, ip;
	int64_t created, seen;
};
int session_put(struct db *d, const struct session *s, struct err *err);
int session_get(struct db *d, struct span hash, struct arena *a, struct session *s, struct err *err);
int session_seen(struct db *d, struct span hash, int64_t now, struct err *err);
int session_language(struct db *d, struct span hash, struct span language, struct err *err);
int session_remove(struct db *d, struct span hash, struct err *err);
/* The directory's that were not looked at since `before`, at most max; the one to be asked first first. */
int sessions_stale(struct db *d, int64_t before, size_t max, struct arena *a, struct session *v, size_t *n,
    struct err *err);
int session_checked(struct db *d, struct span hash, int64_t now, struct err *err);
/* All of that name, but this one ("": all). */
int sessions_remove(struct db *d, struct span name, struct span but, struct err *err);
int sessions_expire(struct db *d, int64_t idle_before, int64_t made_before, struct err *err);

#endif
