/* zip.h -- reads zip containers from memory: names, flags, members inflated piecewise. */
#ifndef ANATOMY_ZIP_H
#define ANATOMY_ZIP_H

#include "postern/anatomy.h"

struct zip {
	struct span bytes;
	size_t at;		/* next entry of the central directory, or local header */
	uint32_t left;		/* entries still to be told */
	uint64_t shift;		/* what stands before the archive and is not counted in its offsets */
	bool central;		/* false: no directory was found, local headers are followed */
};

struct zip_entry {
	struct span name;
	struct span data;	/* compressed */
	uint16_t method;
	bool encrypted;
	bool utf8;		/* the name is; else of an old code page */
	uint32_t crc;		/* as told */
	uint64_t size;		/* unpacked, as told */
	uint64_t local;		/* where its local header is */
	bool differs;		/* the local header tells something else */
};

#define ZIP_AES 99		/* method: WinZip's AES */

#define ZIP_ENTRIES 20000	/* looked at, at most */

bool zip_open(struct zip *z, struct span bytes);
/* By the directory that the end record at offset i names; z->bytes is set. */
bool zip_open_end(struct zip *z, size_t i);
bool zip_next(struct zip *z, struct zip_entry *e);
/* The local header at `at`, if there is one; e->data goes on to the end of what may be its. */
bool zip_local(struct span bytes, size_t at, struct zip_entry *e);

/* All members that any program may find: those of each directory, and those that stand in no
 * directory. Which program finds which is their affair: with differences, `ambiguous` is set. */
struct zip_listing {
	struct zip_entry *v;	/* by place */
	size_t n;
	bool ambiguous;
	bool cut;		/* more than ZIP_ENTRIES */
	bool split;		/* a volume of several */
};
void zip_list(struct arena *a, struct span bytes, struct zip_listing *out);
/* Bytes that end as a zip does, whatever they begin with. */
bool zip_has_end(struct span bytes);

/* Called with each piece; false ends the reading. */
typedef bool zip_sink_fn(void *arg, const char *p, size_t n);
/* Inflates a stored or deflated member. *budget is lowered by what comes out; false when the
 * budget or the ratio is exceeded (then not all was seen). Broken data just ends. */
bool zip_inflate(const struct zip_entry *e, uint64_t *budget, zip_sink_fn *sink, void *arg);

/* Part `index` is, or ends as, a zip: its members become parts. */
struct builder;
struct pour;
/* A stored or deflated member without a key. False: it broke off or a budget ended it. */
bool zip_pour(const struct zip_entry *e, struct pour *o);
void zip_unpack(struct builder *b, uint16_t index);

#endif
