/* archive.h -- a policy as it was loaded, in one piece: to be kept, shown, compared and compiled again.
 *
 * It holds the policy files, the lists they refer to, the networks and domains
 * of postern.yaml, and the manifest of what they compiled to (postern/record.h).
 */
#ifndef SCANNER_ARCHIVE_H
#define SCANNER_ARCHIVE_H

#include "conf.h"
#include "master/config.h"
#include "postern/record.h"

#define ARCHIVE_MAX ((size_t)64 << 20)		/* unpacked */
#define ARCHIVE_LISTS_MAX ((size_t)32 << 20)	/* beyond it the longest lists are left out */
#define ARCHIVE_COMMIT 64			/* digits of a commit, at most */

/* A time zone is a list, too, in a folder that no list of a policy can lie in. */
#define ARCHIVE_ZONES "/zoneinfo/"
/* Of an index of exact data its header alone is kept. */
#define ARCHIVE_INDEX "/edm/"
struct archive_list {
	struct span path, text;
	bool left_out;		/* it was too long */
};
/* What a load read; names and texts live where it put them. */
struct policy_parts {
	struct policy_source *files;
	size_t nfiles;
	struct archive_list *lists;
	size_t nlists, caplists;
};

struct archive {
	struct span hash, manifest;
	struct policy_parts parts;
	struct policy_network *networks;
	struct span *domains;
	size_t nnetworks, ndomains;
};

/* Into malloc'ed memory, compressed. */
int policy_archive_pack(const struct policy *p, const struct policy_parts *parts,
    const struct config *conf, char **out, size_t *n, struct err *err);
int policy_archive_unpack(struct span bytes, struct arena *a, struct archive *out, struct err *err);
/* Compiles it again. NULL: the reasons are in d. The archive must outlive the policy. */
struct policy *policy_archive_load(const struct archive *ar, struct diags *d);

/* The commit that HEAD of the work tree around a folder names; "" when there is none. Reads a few
 * small files of .git, runs nothing, and says nothing but hexadecimal digits. */
void commit_of(const char *dir, char out[ARCHIVE_COMMIT + 1]);

#endif
