/* signatures.h -- a folder of antivirus databases: which are there, how old they are, what they are
 * called in a stamp.
 */
#ifndef SCANNER_SIGNATURES_H
#define SCANNER_SIGNATURES_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/err.h"

#define SIGNATURES_ID 160

struct signatures {
	unsigned count;		/* loaded; filled by who loads them */
	unsigned daily, main;	/* versions of the official ones; 0: not there */
	int64_t made;		/* Unix seconds: see signatures_read; 0: not known */
	/* The same for two machines only when both have the same signatures and look for the same:
	 * "daily27850+main62+own0123456789abcdef+n8712345+opt3". Empty: it cannot be said. */
	char id[SIGNATURES_ID];
};

/* What the folder holds. `made` is when the daily database was built, or, without one, the main one;
 * where there are custom signatures alone, the time of the newest file. -1: it cannot be read. */
int signatures_read(const char *folder, struct signatures *out, struct err *err);
/* Completes `id`, which counts how many were loaded and with which options. */
void signatures_name(struct signatures *s, unsigned loaded, unsigned options);
/* Names, sizes and times of the databases in a folder, as one number that is another one when
 * anything of them has changed; 0: there are none. Reads no file. */
uint64_t signatures_print(const char *folder);

#endif
