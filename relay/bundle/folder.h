/* folder.h -- a configuration folder and a bundle: what is taken out of one, and put into one. */
#ifndef BUNDLE_FOLDER_H
#define BUNDLE_FOLDER_H

#include "bundle/bundle.h"
#include "master/config.h"

/* Beside postern.yaml, of this node alone. */
#define BUNDLE_TRUST_FILE "bundle.pub"		/* whose signature counts */
#define BUNDLE_STATE_FILE "bundle.state"	/* what was applied */
#define BUNDLE_NODE_KEY "keys/node.key"		/* opens secrets */
#define BUNDLE_NODE_PUB "keys/node.pub"

/* Fills out->files (sorted, keys marked secret) and out->needs. watched: files the policy names. */
int bundle_collect(struct arena *a, const struct config *conf, const char *const *watched, size_t nwatched,
    struct bundle *out, struct err *err);

struct bundle_state {		/* of what is in force; serial 0: nothing was ever applied */
	int64_t serial;
	struct span digest;	/* hex of SHA-256 over the signed part */
	struct span keyid;
	struct span *files;
	size_t nfiles;
};
int bundle_state_read(struct arena *a, const char *dir, struct bundle_state *out, struct err *err);
void bundle_digest(const struct bundle *b, char hex[static 65]);

/* A folder beside dir with everything of dir that is the node's own and everything of the bundle.
 * files: the bundle's, with its secrets. *staged: its path, in a. Needs to be the only one at it. */
int bundle_stage(struct arena *a, const char *dir, const char *beside, const struct bundle *b,
    const struct bundle_file *files, size_t n, const struct bundle_state *old, const char **staged, struct err *err);
/* The two change places in one step. */
int bundle_swap(const char *dir, const char *staged, struct err *err);
/* The folder as it was before goes to "DIR.previous", in the place of the one there. */
int bundle_keep(struct arena *a, const char *dir, const char *staged, struct err *err);

#endif
