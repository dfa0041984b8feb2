/* fingerprint_folder.h -- a folder of fingerprints, and documents read into texts. */
#ifndef CLI_FINGERPRINT_FOLDER_H
#define CLI_FINGERPRINT_FOLDER_H

#include "cli/cli.h"
#include "postern/fingerprint.h"
#include "postern/anatomy.h"

#define DOCUMENT_BYTES_MAX ((size_t)256 << 20)

struct fingerprint_folder {
	const char *path;
	int fd;			/* locked */
	struct arena *arena;
	struct span bytes;	/* of the index; empty: there is none yet */
	struct fingerprints index;
};

/* argument: a path, or "dir:PATH" as a policy has it, in the policy's folder. NULL: said on stderr. */
const char *fingerprint_folder_path(const struct cli *cli, const char *argument, struct arena *a);
/* change: makes the folder, waits until nobody else changes it. A missing index is an error when
 * nothing is to be changed. */
int fingerprint_folder_open(struct fingerprint_folder *f, const char *path, bool change, struct err *err);
/* In place of the old index, whole or not at all. */
int fingerprint_folder_write(struct fingerprint_folder *f, struct span bytes, struct err *err);
void fingerprint_folder_close(struct fingerprint_folder *f);

/* A file as the scanner would see it in a message. -1: it cannot be read. */
int document_read(const char *path, struct arena *a, struct anatomy *out, struct err *err);
/* What was not looked into, or NULL. */
const char *document_doubt(const struct anatomy *an);

#endif
