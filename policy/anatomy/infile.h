/* infile.h -- files that stand within a text, as people sent them before MIME. */
#ifndef ANATOMY_INFILE_H
#define ANATOMY_INFILE_H

#include "postern/anatomy.h"

enum infile_kind { INFILE_UU, INFILE_BASE64, INFILE_YENC, INFILE_BINHEX, INFILE_DATA, INFILE_KINDS };

struct infile {
	enum infile_kind kind;
	struct span name;	/* bytes as written; "" none, as always of INFILE_DATA */
	struct span bytes;	/* in the arena */
	struct span resource;	/* BinHex: the other fork; mostly empty */
	size_t from, to;	/* where it stands in the text */
	bool broken;		/* no end, a wrong checksum or size, strange characters: what was
				 * readable stands in bytes */
	bool partial;		/* yEnc: one of several parts */
	bool cut;		/* max was reached */
};

struct infiles {
	struct span text;
	size_t next[INFILE_KINDS];	/* where each kind's next sign stands, SIZE_MAX: nowhere */
};

void infiles_begin(struct infiles *s, struct span text);
/* The next file by where it begins; false: no more. Files of different kinds may overlap. max: bytes that may
 * come out. All files of a text together cost time linear in the text. */
bool infiles_next(struct infiles *s, struct arena *a, size_t max, struct infile *out);

#endif
