/* book_layout.h -- the bytes of a book: head, entries, slots, texts; host byte order, one machine. */
#ifndef LISTS_BOOK_LAYOUT_H
#define LISTS_BOOK_LAYOUT_H

#include "lists/book.h"

#define BOOK_MAGIC "PLISTS1"
#define BOOK_TEXTS_MAX ((size_t)2 << 30)
#define BOOK_KEY_MAX (LISTS_OWNER_MAX + LISTS_WHAT_MAX + 4)

struct book_head {
	char magic[8];
	uint64_t generation;
	int64_t made;
	uint64_t size;			/* of the whole */
	uint64_t texts;			/* bytes of texts */
	uint32_t n, slots;		/* slots: a power of two, never full */
	uint32_t scopes[LIST_SCOPES];	/* entries of each */
	uint32_t unused;
	uint64_t lengths4;		/* bit for each length of an IPv4 prefix, 0 to 32 … */
	uint64_t lengths6[3];		/* … of an IPv6 prefix, 0 to 128 */
	uint8_t key[16];		/* of the hash */
};
struct book_entry {
	uint64_t number;
	int64_t expires;
	uint32_t owner, what, who, reason;	/* offsets in the texts */
	uint16_t owner_n, what_n, who_n, reason_n;
	uint8_t scope, side, kind, unauthenticated;
	uint32_t unused;
};

/* What an entry is found by. key: BOOK_KEY_MAX bytes; 0: too long to be in any book. */
static inline size_t
book_key(char *key, enum list_scope scope, enum entry_kind kind, struct span owner, struct span what)
{
	size_t n = 0;

	if (owner.n > LISTS_OWNER_MAX || what.n > LISTS_WHAT_MAX + 1)
		return 0;
	key[n++] = (char)scope;
	key[n++] = (char)kind;
	if (owner.n)
		memcpy(key + n, owner.p, owner.n);
	n += owner.n;
	key[n++] = '\0';
	if (what.n)
		memcpy(key + n, what.p, what.n);
	return n + what.n;
}

#endif
