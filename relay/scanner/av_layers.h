/* av_layers.h -- which files of a message an engine has looked at while it looked at the whole.
 *
 * libclamav has a MIME reader and unpackers of its own, and tells of each file it is about to look at
 * (a layer) and of what came of it. A layer that has the very bytes of a file that we decoded, and
 * was clean, need not be given to the engine once more. What decides is the bytes, not how the engine came to them:
 * where it reads a message otherwise than we do, skips a member, or fails to write a temporary
 * file, the layer is not there, and our file is scanned by itself.
 */
#ifndef SCANNER_AV_LAYERS_H
#define SCANNER_AV_LAYERS_H

#include "postern/arena.h"
#include "postern/span.h"

#define AV_LAYERS_DEEP 64	/* beyond it nothing is noted */

struct av_layers {
	struct layer_file *files;	/* by size */
	size_t nfiles;
	uint8_t *seen;			/* of the files as they were given */
	size_t depth;			/* layers entered and not left */
	struct layer_file *open[AV_LAYERS_DEEP];	/* NULL: none of ours */
	bool mail;			/* the outermost was taken for a mail */
	bool astray;			/* left more often than entered: nothing is known */
};

/* Everything lives in the arena; the files must outlive it. Empty ones are never seen. */
void av_layers_init(struct av_layers *l, const struct span *files, size_t n, struct arena *a);
void av_layers_enter(struct av_layers *l, struct span bytes, const char *type);
void av_layers_leave(struct av_layers *l, bool clean);
void av_layers_forget(struct av_layers *l);	/* the whole was not clean */
bool av_layers_saw(const struct av_layers *l, size_t file);

#endif
