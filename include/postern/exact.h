/* exact.h -- exact data match: an index of rows (patients, customers), known by
 * keyed hashes alone.
 *
 * An index is made by `postern edm build` from an export, on any machine, and
 * mapped by who loads the policy. Of the data it holds truncated HMAC-SHA-256
 * values, filters made with SipHash, and which values stand in one row; nothing
 * in clear. All keys are derived from one key file. docs/EDM.md says what
 * somebody learns who holds the index, with and without the key.
 *
 * Layout, little-endian: a header of EXACT_HEADER bytes; for each column a
 * blocked Bloom filter, a directory, the values (sorted by hash), the rows of
 * values that stand in several, and the value of each row; then a tag for
 * each EXACT_BLOCK bytes behind the header. The header ends in an HMAC over
 * itself, and covers the tags: a byte that changed is found when it is opened.
 *
 * Pure: bytes come from the caller and must outlive what is opened on them.
 */
#ifndef POSTERN_EXACT_H
#define POSTERN_EXACT_H

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

#define EXACT_COLUMNS 16		/* of one index */
#define EXACT_NAME_SIZE 32		/* bytes of a column's name, with the NUL */
#define EXACT_KEY 32			/* bytes of a key */
#define EXACT_HASH 12			/* bytes kept of each HMAC */
#define EXACT_ROWS_MAX UINT32_C(0x7fffffff)
#define EXACT_VALUE_MAX 255		/* bytes of a value, normalised */
#define EXACT_LENGTH_MAX 63		/* characters of a number or code */
#define EXACT_WORDS_MAX 12		/* words of a name or text */
#define EXACT_NONE UINT32_MAX

/* --- values ---------------------------------------------------------------------------- */

#define EXACT_TYPES(X) \
	X(DIGITS, "digits", "digits; blanks, dots, dashes and slashes between them do not count") \
	X(CODE, "code", "letters and digits in any case; the same between them does not count") \
	X(NIR, "nir", "French social security number, 13 or 15 characters, Corsica too") \
	X(PHONE, "phone", "telephone number: its last nine digits") \
	X(NAME, "name", "name: case, accents, hyphens and apostrophes do not count") \
	X(DATE, "date", "date in any usual English or French notation; 03/04 is 3 April") \
	X(DATE_MDY, "date-mdy", "the same; 03/04 is March 4") \
	X(EMAIL, "email", "e-mail address, in any case") \
	X(TEXT, "text", "any text: words, without what stands between them")
enum exact_type {
#define X(name, text, help) EXACT_##name,
	EXACT_TYPES(X)
#undef X
	EXACT_TYPE_COUNT
};
const char *exact_type_name(enum exact_type t);
const char *exact_type_help(enum exact_type t);
bool exact_type_from_name(struct span name, enum exact_type *t);
const char *const *exact_type_names(void);	/* NULL-terminated */

struct exact_value {
	char p[EXACT_VALUE_MAX + 1];
	size_t n;
};
/* What is compared, of a text as text_fold() leaves it. False with *why: it is no such value. */
bool exact_normalise(enum exact_type t, struct span folded, struct exact_value *out,
    const char **why);
/* Characters of a number, words of a name: a bit of exact_shape.lengths. */
unsigned exact_length(enum exact_type t, struct span value);

struct exact_shape {		/* what values of a column look like */
	enum exact_type type;
	uint64_t lengths;	/* bit n: some have length n */
	bool digit;		/* each has a digit */
	int64_t *work;		/* falls with what is looked at, candidate or not; below 0 the search ends */
};
/* Each stretch of text[from, to) that may be such a value; a text as text_fold() leaves it. Linear.
 * False: fn ended it, or the work did. */
typedef bool exact_candidate(void *ctx, size_t from, size_t to, struct span value);
bool exact_find(const struct exact_shape *s, struct span text, size_t from, size_t to,
    exact_candidate *fn, void *ctx);

/* --- keys ------------------------------------------------------------------------------- */

#define EXACT_KEY_MARK "postern-edm-key-1:"
/* The text of a key file: the mark and 64 hexadecimal digits. */
bool exact_key_read(struct span text, uint8_t key[EXACT_KEY]);

struct exact_column_key;	/* what a column's values are hashed with */
#define EXACT_COLUMN_KEY_SIZE 384
union exact_column_room {
	uint64_t align;
	char room[EXACT_COLUMN_KEY_SIZE];
};
/* Derives it from the key, and the column's name and type. */
struct exact_column_key *exact_column_key(union exact_column_room *room,
    const uint8_t key[EXACT_KEY], struct span name, enum exact_type t);
void exact_hash(const struct exact_column_key *k, struct span value, uint8_t out[EXACT_HASH]);
uint64_t exact_filter_hash(const struct exact_column_key *k, struct span value);
/* Eight bytes that tell keys apart, and nothing of the key. */
uint64_t exact_key_id(const uint8_t key[EXACT_KEY]);

/* --- the file --------------------------------------------------------------------------- */

#define EXACT_MAGIC "Postern EDM\r\n\x1a\n"	/* 15 bytes and its NUL */
#define EXACT_VERSION 1
#define EXACT_HEADER 4096
#define EXACT_BLOCK ((size_t)1 << 20)
#define EXACT_ALIGN 64
#define EXACT_ENTRY 16			/* hash, then its row, or where its rows stand */
#define EXACT_ONE UINT32_C(0x80000000)	/* the only row of a value, not a place */
#define EXACT_FILTER_BLOCK 64
#define EXACT_FILTER_BITS 12		/* of the filter, for each value */

struct exact_column {
	struct span name;
	enum exact_type type;
	bool digit;
	uint64_t lengths;
	uint32_t cells;		/* rows that have a value */
	uint32_t values;	/* distinct ones */
	uint32_t most;		/* rows of the value that stands in most */
	uint32_t density;	/* of all texts of that shape so many in a thousand million are values; 0: unknown */
	uint64_t filter, directory, entries, rows, of_row;	/* offsets in the file */
	uint32_t filter_blocks, directory_bits;
	uint64_t nrows;		/* words in rows */
};
struct exact_header {
	uint64_t size;		/* of the file */
	uint64_t key_id;
	uint64_t built;		/* Unix seconds */
	uint8_t nonce[16];	/* of this build */
	uint32_t rows;
	uint32_t ncolumns;
	uint64_t tags;		/* offset of the tags; they end the file */
	uint64_t tags_tag;
	struct exact_column columns[EXACT_COLUMNS];
};
/* Sets the offsets, tags and size; the counts are given. */
void exact_layout(struct exact_header *h);
/* The header's bytes, sealed with the key. */
void exact_header_write(const struct exact_header *h, const uint8_t key[EXACT_KEY],
    uint8_t out[EXACT_HEADER]);
/* Of a block behind the header, or of the tags themselves. */
uint64_t exact_tag(const uint8_t key[EXACT_KEY], const void *p, size_t n);
/* Where a value's bit stands in a filter. */
void exact_filter_put(uint8_t *filter, uint32_t blocks, uint64_t hash);
bool exact_filter_has(const uint8_t *filter, uint32_t blocks, uint64_t hash);

struct exact_index;

/* bytes: the file, or of one that is not here its header alone. key NULL: its hashes are not asked
 * and its bytes not proved. NULL with err: truncated, damaged, of another version, made with another key. */
struct exact_index *exact_open(struct span bytes, const uint8_t *key, struct err *err);
void exact_close(struct exact_index **ix);	/* wipes the keys */
const struct exact_header *exact_info(const struct exact_index *ix);
/* Whether all of it is here, and the key: else nothing can be looked up. */
bool exact_whole(const struct exact_index *ix);
/* What tells this index from all others; the first bytes of the file do. */
struct span exact_identity(const struct exact_index *ix);

/* The number of a value of a column, or EXACT_NONE. maybe: it passed the filter. */
uint32_t exact_lookup(const struct exact_index *ix, size_t column, struct span value, bool *maybe);
/* Rows that have it: *n of them, exact_row_at() says which. */
struct exact_rows {
	const uint8_t *p;
	uint32_t n, one;
};
struct exact_rows exact_rows(const struct exact_index *ix, size_t column, uint32_t value);
uint32_t exact_row_at(const struct exact_rows *r, uint32_t i);
/* The number of the value that a row has in a column; EXACT_NONE: none. */
uint32_t exact_value_of(const struct exact_index *ix, size_t column, uint32_t row);

#endif
