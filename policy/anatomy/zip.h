/* zip.h -- reads zip containers from memory: names, flags, members inflated piecewise. */
#ifndef ANATOMY_ZIP_H
#define ANATOMY_ZIP_H

#include "postern/anatomy.h"

struct zip {
	struct span bytes;
	size_t at;		/* next entry of the central directory, or local header */
	uint32_t left;		/* entries still to be told */
	bool central;		/* false: no directory was found, local headers are followed */
};

struct zip_entry {
	struct span name;
	struct span data;	/* compressed */
	uint16_t method;
	bool encrypted;
};

#define ZIP_ENTRIES 20000	/* looked at, at most */

bool zip_open(struct zip *z, struct span bytes);
bool zip_next(struct zip *z, struct zip_entry *e);

/* Called with each piece; false ends the reading. */
typedef bool zip_sink_fn(void *arg, const char *p, size_t n);
/* Inflates a stored or deflated member. *budget is lowered by what comes out; false when the
 * budget or the ratio is exceeded (then not all was seen). Broken data just ends. */
bool zip_inflate(const struct zip_entry *e, uint64_t *budget, zip_sink_fn *sink, void *arg);

#endif
