/* ole2.h -- compound files (MS-CFB) and the documents within: .doc, .xls, .ppt, .msg. */
#ifndef ANATOMY_OLE2_H
#define ANATOMY_OLE2_H

#include "anatomy/mime.h"
#include "anatomy/unpack.h"

bool ole2_is(struct span bytes);
/* Part `index` is a compound file: its texts, and what is embedded in it. */
void ole2_read(struct builder *b, uint16_t index);
/* What "insert a file" makes, without the size in front: label, path, the bytes. */
void ole2_native(struct builder *b, uint16_t index, struct span s);
/* A macro project that an OOXML document holds as a member: the source as side texts. */
void vba_read(struct builder *b, uint16_t index, struct span project);

/* --- cfb.c: the file system in the file ------------------------------------------------- */

#define CFB_ENTRIES 8192	/* directory entries looked at */
#define CFB_NAME 128		/* bytes of a name in UTF-8: 31 characters */

struct cfb_entry {
	char name[CFB_NAME];
	size_t nname;
	uint8_t kind;		/* 1 storage, 2 stream, 5 root */
	uint32_t left, right, child;
	uint32_t start;
	uint64_t size;
	uint32_t parent;	/* CFB_NONE: not in the tree */
	struct span plain;	/* its lock undone; p NULL: it has none */
};
#define CFB_NONE UINT32_MAX

struct cfb {
	struct builder *b;
	struct span bytes;
	unsigned shift, mini_shift;
	uint32_t *fat;		/* whole */
	size_t nfat;
	struct cfb_entry *v;
	size_t n;
	struct span mini;	/* the stream that short streams lie in */
	uint32_t mini_fat;	/* its first sector */
	uint32_t *minis;
	size_t nminis;
	uint32_t cutoff;
	bool broken;		/* a chain or a table that cannot be */
	bool cut;		/* a budget ended something */
};

bool cfb_open(struct cfb *c, struct builder *b, struct span bytes);
/* Entry of that name in a storage (CFB_NONE: anywhere), or CFB_NONE. Names without ASCII case. */
uint32_t cfb_find(const struct cfb *c, uint32_t storage, const char *name);
/* The bytes of a stream: borrowed where they lie together, else paid for and put together. */
struct span cfb_stream(struct cfb *c, uint32_t entry);
static inline struct span
cfb_name(const struct cfb *c, uint32_t entry)
{
	return span_make(c->v[entry].name, c->v[entry].nname);
}

/* --- one for each kind; false: it broke off, and strings will be searched ---------------- */

bool doc_read(struct cfb *c, struct builder *b, uint16_t index);
bool xls_read(struct cfb *c, struct builder *b, uint16_t index);
bool ppt_read(struct cfb *c, struct builder *b, uint16_t index);
bool msg_read(struct cfb *c, struct builder *b, uint16_t index);
void vba_streams(struct cfb *c, struct builder *b, uint16_t index);

/* Replaces the locked streams of a .doc or .xls that a password of the message opens (ole2_lock.c). */
void ole2_unlock(struct cfb *c, struct builder *b, uint16_t index);

/* Little-endian numbers; 0 beyond the end. */
static inline uint32_t
get8(struct span s, size_t at)
{
	return at < s.n ? (unsigned char)s.p[at] : 0;
}
static inline uint32_t
get16(struct span s, size_t at)
{
	return get8(s, at) | get8(s, at + 1) << 8;
}
static inline uint32_t
get32(struct span s, size_t at)
{
	return get16(s, at) | get16(s, at + 2) << 16;
}

/* UTF-16LE, or windows-1252, to UTF-8 in the arena. */
struct span text_of_utf16(struct arena *a, struct span s);
struct span text_of_1252(struct arena *a, struct span s);

#endif
