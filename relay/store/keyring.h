/* keyring.h -- the keys of what is sealed in the database; they lie in a file outside it.
 *
 * The file (`store_key`, mode 0600, of root) has one key a line, 64 hexadecimal digits; `#` begins a
 * comment. The last key seals what is new; all of them open what is old. A key's number is part of
 * its own digest: whatever order lines come back in from a backup, each sealed thing finds its own.
 *
 * A sealed thing is
 *	'P' 'S' 1	format
 *	number (7)	of the key, big-endian
 *	salt (16)	its own key is HMAC-SHA256(master, label, id, salt)
 *	nonce (12), AES-256-GCM ciphertext, tag (16); label and id are authenticated too
 *
 * so that no two share a key, and once a row's first bytes are overwritten (secure_delete) nothing opens
 * what may be left of the rest, not even who has the master key.
 */
#ifndef STORE_KEYRING_H
#define STORE_KEYRING_H

#include "postern/arena.h"
#include "postern/err.h"
#include "store/db_keys.h"

#define KEYRING_MAX 64
#define SEAL_HEAD (3 + 7 + 16 + 12)
#define SEAL_EXTRA (SEAL_HEAD + 16)

struct keyring;

/* What `path` has; in memory that is not swapped or dumped. It is made, with one key, when it is not there
 * (*made says so). */
struct keyring *keyring_open(const char *path, bool *made, struct err *err);
/* Appends a key. */
int keyring_extend(const char *path, struct err *err);
void keyring_free(struct keyring **k);		/* wiped */

size_t keyring_count(const struct keyring *k);
int64_t keyring_number(const struct keyring *k, size_t i);	/* the last one is the active one */
int64_t keyring_active(const struct keyring *k);
/* A key derived for `use`, NULL: no key of that number. */
const unsigned char *keyring_audit(const struct keyring *k, int64_t number);

bool is_sealed(struct span s);
int64_t sealed_by(struct span s);	/* the key's number; 0: not sealed */
/* Once before the sandbox. */
int keyring_try(const struct keyring *k, struct err *err);
/* label: which kind of thing; id: which one. Into malloc'ed memory of the caller. */
int seal(const struct keyring *k, const char *label, int64_t id, struct span plain, char **out,
    size_t *n, struct err *err);
/* Into the arena. What is not sealed comes back as it is (borrowed). -1 with err->code ENOKEY: its key
 * is not here; EBADMSG: it is not what was sealed. */
int unseal(const struct keyring *k, const char *label, int64_t id, struct span sealed,
    struct arena *a, struct span *out, struct err *err);

#endif
