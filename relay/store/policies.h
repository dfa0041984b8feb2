/* policies.h -- which policy was in force, when, by whom; and the policies themselves.
 *
 * An archive (scanner/archive.h) is kept once, whatever number of times it comes
 * into force; its manifest lies beside it, for the records that refer to it.
 */
#ifndef STORE_POLICIES_H
#define STORE_POLICIES_H

#include "ipc/messages.h"
#include "store/db.h"

#define POLICY_ARCHIVE_MAX ((size_t)64 << 20)	/* packed */
#define HISTORY_MAX 10000			/* entries kept */

/* Within the caller's transaction. 1: it is news, 0: known already, -1. */
int policies_note(struct db *d, const struct msg_policy *m, struct span archive, struct err *err);
/* One JSON line for each change, newest first. */
int policies_history(struct db *d, size_t limit, struct buf *out, struct err *err);
/* The archive of the policy whose hash begins so, the latest; or of a manifest (key not 0). 1, 0
 * none, 2 several policies begin so, -1. */
int policies_archive(struct db *d, struct span hash, uint64_t key, struct arena *a,
    struct span *out, struct err *err);
/* The manifest of the policy in force. 1, 0 none yet, -1. */
int policies_last(struct db *d, uint64_t *manifest, struct err *err);
int policies_manifest(struct db *d, uint64_t key, struct arena *a, struct span *out,
    struct err *err);
/* Archives that were last in force before, and not the one in force. */
int policies_expire(struct db *d, int64_t before, struct err *err);

#endif
