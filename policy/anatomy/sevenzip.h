/* sevenzip.h -- what stands in the header of a 7z archive, for who writes it again without its lock. */
#ifndef ANATOMY_SEVENZIP_H
#define ANATOMY_SEVENZIP_H

#include "anatomy/mime.h"

#define SEVENZIP_CODERS 8
#define SEVENZIP_STREAMS 16		/* in or out, of one folder */

enum { ID_END, ID_HEADER, ID_ARCHIVE, ID_MORE, ID_MAIN, ID_FILES, ID_PACK, ID_UNPACK, ID_SUBSTREAMS,
	ID_SIZE, ID_CRC, ID_FOLDER, ID_CODER_SIZES, ID_ENCODED = 0x17 };

struct sevenzip_coder {
	struct span id, props;
	uint64_t in, out;	/* streams */
	unsigned first_in, first_out;
	bool aes;
};

struct sevenzip_folder {
	struct sevenzip_coder *coders;
	unsigned ncoders, nin, nout, npacked, nbinds;
	unsigned packed[SEVENZIP_STREAMS];
	unsigned bind_in[SEVENZIP_STREAMS], bind_out[SEVENZIP_STREAMS];
	uint64_t sizes[SEVENZIP_STREAMS];
	uint64_t first_pack;	/* index of its first packed stream */
	bool has_sum, aes;
	uint32_t sum;
};

struct sevenzip_streams {
	uint64_t pack_at, npack;
	uint64_t *pack_sizes, *pack_places;
	struct sevenzip_folder *folders;
	size_t nfolders;
	bool aes;
	size_t end;		/* where what we copy begins */
};

struct sevenzip_reader {
	struct builder *b;
	struct span s;
	size_t at;
	bool bad;
};

/* From behind the mark of the streams on. False: not as it should be. */
bool sevenzip_streams_read(struct sevenzip_reader *r, struct sevenzip_streams *s);
unsigned sevenzip_byte(struct sevenzip_reader *r);

#endif
