/* sealed.h -- columns that hold content: zstd, then sealed (keyring.h).
 *
 * Which they are, and what the seal is bound to, stands in one table: it is what `postern store
 * rekey` walks over. What a version before seals wrote is read as it stands. Addresses, subjects,
 * file names and times of the journal are in clear: they are searched.
 */
#ifndef STORE_SEALED_H
#define STORE_SEALED_H

#include "postern/arena.h"
#include "store/db.h"
#include "store/db_keys.h"

/* X(NAME, "label", table, row's number, blob, what the seal is bound to) */
#define SEALED(X) \
	X(CONTENT, "kept content", "kept_content", "kid", "bytes", "kid") \
	X(KEPT_RECORD, "kept record", "kept", "kid", "record", "id") \
	X(RECORD, "record", "record", "id", "json", "id") \
	X(VERDICT, "verdict", "verdict", "id", "bytes", "id") \
	X(PACK, "verdict pack", "verdict_pack", "seq", "bytes", "first") \
	X(OUTBOX, "outbox", "outbox", "oid", "text", "about") \
	X(BAYES, "bayes secret", "bayes_secret", "one", "bytes", "one") \
	X(OUTBOX_HTML, "outbox html", "outbox", "oid", "html", "about") \
	X(APPROVAL, "approval secret", "approval_secret", "one", "bytes", "one") \
	X(TOTP, "second factor", "person_totp", "number", "totp", "number") \
	X(RECORD_PACK, "record pack", "record_pack", "seq", "bytes", "first")
enum sealed_kind {
#define X(name, label, table, row, blob, bound) SEALED_##name,
	SEALED(X)
#undef X
	SEALED_COUNT
};

/* Binds `plain` as it is to be stored; without keys as it is. */
int sealed_bind(struct db *d, sqlite3_stmt *st, int i, enum sealed_kind kind, int64_t bound,
    struct span plain, struct err *err);
/* The same, compressed before. */
int sealed_bind_zip(struct db *d, sqlite3_stmt *st, int i, enum sealed_kind kind, int64_t bound,
    struct span plain, struct err *err);
/* What a column holds, in the arena or borrowed until the next step. */
int sealed_column(struct db *d, sqlite3_stmt *st, int i, enum sealed_kind kind, int64_t bound,
    struct arena *a, struct span *out, struct err *err);
/* The same, unpacked, in the arena. */
int sealed_column_zip(struct db *d, sqlite3_stmt *st, int i, enum sealed_kind kind, int64_t bound,
    size_t max, struct arena *a, struct span *out, struct err *err);

/* Seals with the newest key what has none or an older one: looks at no more than `rows` rows and a few
 * MiB, in a transaction of its own. *kind and *row say where it is; 1 there is more, 0 all is
 * done, -1. */
int sealed_migrate(struct db *d, enum sealed_kind *kind, int64_t *row, size_t rows, struct err *err);
/* Of kept contents: how many there are, and how many of them no key here opens. */
int sealed_unreadable(struct db *d, uint64_t *all, uint64_t *lost, struct err *err);

#endif
