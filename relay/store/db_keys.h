/* db_keys.h -- the keys a database is used with; they lie outside it (keyring.h). */
#ifndef STORE_DB_KEYS_H
#define STORE_DB_KEYS_H

#include <stdint.h>

#define DB_KEY_SIZE 32

struct db;
struct keyring;

/* The ring is the caller's and outlives the database. NULL: nothing is sealed, rows of the audit
 * log are chained without a key. */
void db_use_keys(struct db *d, const struct keyring *ring);
const struct keyring *db_keys(const struct db *d);
/* Of the audit log: the number of the key new rows are chained with (0: none), and a key by its
 * number (NULL: it is not here). */
int64_t db_audit_key_number(const struct db *d);
const unsigned char *db_audit_key(const struct db *d, int64_t number);

#endif
