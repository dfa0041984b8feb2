/* exact_index.c -- the file of an index: written as a layout, opened, asked; see postern/exact.h.
 *
 * What is opened may be anything: every size and offset is checked against the
 * bytes that are there before anything else is read, and every number read
 * later against its table, so that no file can lead out of itself. With the
 * key all of it is proved, by tags made with SipHash: what passes has been made by who
 * has the key, and is whole.
 */
#include <endian.h>
#include <errno.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <stddef.h>

#include "postern/exact.h"
#include "table.h"
#include "utf8.h"

#define COLUMN_SIZE 160
#define COLUMNS_AT 256
#define SEAL_SIZE 32
#define DIRECTORY_BITS_MAX 24
#define ENTRIES_EACH 16		/* values for each entry of the directory, about */

struct exact_column_key {
	struct hmac_sha256_ctx values;
	uint8_t filter[16];
};

struct exact_index {
	struct span bytes;
	struct exact_header h;
	bool whole;
	union exact_column_room keys[EXACT_COLUMNS];
};

_Static_assert(sizeof(struct exact_column_key) <= EXACT_COLUMN_KEY_SIZE, "room for the key");
_Static_assert(sizeof(EXACT_MAGIC) == 16, "the magic has 16 bytes");
_Static_assert(COLUMNS_AT + EXACT_COLUMNS * COLUMN_SIZE + SEAL_SIZE <= EXACT_HEADER, "columns fit");

/* --- keys ---------------------------------------------------------------------------------- */

static void
derive(const uint8_t key[EXACT_KEY], const char *what, struct span more, uint8_t out[32])
{
	struct hmac_sha256_ctx c;

	hmac_sha256_set_key(&c, EXACT_KEY, key);
	hmac_sha256_update(&c, strlen(what) + 1, (const uint8_t *)what);
	if (more.n)
		hmac_sha256_update(&c, more.n, (const uint8_t *)more.p);
	hmac_sha256_digest(&c, 32, out);
	explicit_bzero(&c, sizeof(c));
}

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
exact_key_read(struct span text, uint8_t key[EXACT_KEY])
{
	struct span s = span_trim(text);

	if (!span_starts(s, SPAN_LIT(EXACT_KEY_MARK)))
		return false;
	s = span_from(s, sizeof(EXACT_KEY_MARK) - 1);
	if (s.n != EXACT_KEY * 2)
		return false;
	for (size_t i = 0; i < EXACT_KEY; i++) {
		int hi = hex(s.p[i * 2]), lo = hex(s.p[i * 2 + 1]);

		if (hi < 0 || lo < 0)
			return false;
		key[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}

struct exact_column_key *
exact_column_key(union exact_column_room *room, const uint8_t key[EXACT_KEY], struct span name,
    enum exact_type t)
{
	struct exact_column_key *k = (struct exact_column_key *)(void *)room->room;
	char what[64];
	uint8_t sub[32];

	/* The order of an export's dates is no matter of its values. */
	if (t == EXACT_DATE_MDY)
		t = EXACT_DATE;
	snprintf(what, sizeof(what), "postern edm values %s", exact_type_name(t));
	derive(key, what, name, sub);
	hmac_sha256_set_key(&k->values, sizeof(sub), sub);
	snprintf(what, sizeof(what), "postern edm filter %s", exact_type_name(t));
	derive(key, what, name, sub);
	memcpy(k->filter, sub, sizeof(k->filter));
	explicit_bzero(sub, sizeof(sub));
	return k;
}

void
exact_hash(const struct exact_column_key *k, struct span value, uint8_t out[EXACT_HASH])
{
	struct hmac_sha256_ctx c = k->values;

	hmac_sha256_update(&c, value.n, (const uint8_t *)value.p);
	hmac_sha256_digest(&c, EXACT_HASH, out);
}

uint64_t
exact_filter_hash(const struct exact_column_key *k, struct span value)
{
	return siphash(k->filter, value.n ? value.p : "", value.n);
}

uint64_t
exact_key_id(const uint8_t key[EXACT_KEY])
{
	uint8_t out[32];
	uint64_t id;

	derive(key, "postern edm key id", (struct span){ 0 }, out);
	memcpy(&id, out, sizeof(id));
	return le64toh(id);
}

uint64_t
exact_tag(const uint8_t key[EXACT_KEY], const void *p, size_t n)
{
	uint8_t out[32];
	uint64_t tag;

	derive(key, "postern edm tags", (struct span){ 0 }, out);
	tag = siphash(out, p, n);
	explicit_bzero(out, sizeof(out));
	return tag;
}

/* --- filters: blocks of 512 bits, six of them for each value ------------------------------------- */

#define FILTER_BITS 6

static size_t
filter_at(uint32_t blocks, uint64_t hash, uint64_t *bits)
{
	*bits = hash * UINT64_C(0x9e3779b97f4a7c15);
	return (size_t)((hash >> 32) * blocks >> 32) * EXACT_FILTER_BLOCK;
}

void
exact_filter_put(uint8_t *filter, uint32_t blocks, uint64_t hash)
{
	uint64_t bits;
	uint8_t *b = filter + filter_at(blocks, hash, &bits);

	for (int i = 0; i < FILTER_BITS; i++, bits >>= 9)
		b[bits % 512 / 8] |= (uint8_t)(1 << bits % 8);
}

bool
exact_filter_has(const uint8_t *filter, uint32_t blocks, uint64_t hash)
{
	uint64_t bits;
	const uint8_t *b = filter + filter_at(blocks, hash, &bits);

	for (int i = 0; i < FILTER_BITS; i++, bits >>= 9)
		if (!(b[bits % 512 / 8] >> bits % 8 & 1))
			return false;
	return true;
}

/* --- the layout ------------------------------------------------------------------------------------ */

static uint64_t
aligned(uint64_t n)
{
	return (n + EXACT_ALIGN - 1) / EXACT_ALIGN * EXACT_ALIGN;
}

void
exact_layout(struct exact_header *h)
{
	uint64_t at = EXACT_HEADER;

	for (uint32_t i = 0; i < h->ncolumns; i++) {
		struct exact_column *c = &h->columns[i];

		c->filter_blocks = (uint32_t)((uint64_t)c->values * EXACT_FILTER_BITS / 512 + 1);
		c->directory_bits = 0;
		while (c->directory_bits < DIRECTORY_BITS_MAX &&
		    (uint64_t)ENTRIES_EACH << c->directory_bits < c->values)
			c->directory_bits++;
		c->filter = at;
		at = aligned(at + (uint64_t)c->filter_blocks * EXACT_FILTER_BLOCK);
		c->directory = at;
		at = aligned(at + ((UINT64_C(1) << c->directory_bits) + 1) * 4);
		c->entries = at;
		at = aligned(at + (uint64_t)c->values * EXACT_ENTRY);
		c->rows = at;
		at = aligned(at + c->nrows * 4);
		c->of_row = at;
		at = aligned(at + (uint64_t)h->rows * 4);
	}
	h->tags = at;
	h->size = at + (at - EXACT_HEADER + EXACT_BLOCK - 1) / EXACT_BLOCK * 8;
}

static uint8_t *
put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, 8);
	return p + 8;
}

static uint8_t *
put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, 4);
	return p + 4;
}

static uint64_t
get64(const uint8_t **p)
{
	uint64_t v;

	memcpy(&v, *p, 8);
	*p += 8;
	return le64toh(v);
}

static inline uint32_t
load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return le32toh(v);
}

static uint32_t
get32(const uint8_t **p)
{
	uint32_t v = load32(*p);

	*p += 4;
	return v;
}

static void
seal(const uint8_t key[EXACT_KEY], const uint8_t header[EXACT_HEADER], uint8_t out[SEAL_SIZE])
{
	derive(key, "postern edm header", span_make((const char *)header, EXACT_HEADER - SEAL_SIZE), out);
}

void
exact_header_write(const struct exact_header *h, const uint8_t key[EXACT_KEY],
    uint8_t out[EXACT_HEADER])
{
	uint8_t *p = out;

	memset(out, 0, EXACT_HEADER);
	memcpy(p, EXACT_MAGIC, 16);
	p = put32(p + 16, EXACT_VERSION);
	p = put32(p, h->ncolumns);
	p = put64(p, h->size);
	p = put64(p, h->key_id);
	p = put64(p, h->built);
	memcpy(p, h->nonce, 16);
	p = put32(p + 16, h->rows);
	p = put32(p, 0);
	p = put64(p, h->tags);
	put64(p, h->tags_tag);
	for (uint32_t i = 0; i < h->ncolumns; i++) {
		const struct exact_column *c = &h->columns[i];

		p = out + COLUMNS_AT + i * COLUMN_SIZE;
		ASSERT(c->name.n > 0 && c->name.n < EXACT_NAME_SIZE);
		memcpy(p, c->name.p, c->name.n);
		p = put32(p + EXACT_NAME_SIZE, c->type);
		p = put32(p, c->digit);
		p = put64(p, c->lengths);
		p = put32(p, c->cells);
		p = put32(p, c->values);
		p = put32(p, c->most);
		p = put32(p, c->density);
		p = put64(p, c->filter);
		p = put64(p, c->directory);
		p = put64(p, c->entries);
		p = put64(p, c->rows);
		p = put64(p, c->of_row);
		p = put32(p, c->filter_blocks);
		p = put32(p, c->directory_bits);
		put64(p, c->nrows);
	}
	seal(key, out, out + EXACT_HEADER - SEAL_SIZE);
}

/* --- opening ------------------------------------------------------------------------------------------ */

static bool
column_read(const uint8_t *p, struct exact_column *c)
{
	size_t n = strnlen((const char *)p, EXACT_NAME_SIZE);
	uint32_t type, flags;

	c->name = span_make((const char *)p, n);
	p += EXACT_NAME_SIZE;
	type = get32(&p);
	flags = get32(&p);
	c->lengths = get64(&p);
	c->cells = get32(&p);
	c->values = get32(&p);
	c->most = get32(&p);
	c->density = get32(&p);
	c->filter = get64(&p);
	c->directory = get64(&p);
	c->entries = get64(&p);
	c->rows = get64(&p);
	c->of_row = get64(&p);
	c->filter_blocks = get32(&p);
	c->directory_bits = get32(&p);
	c->nrows = get64(&p);
	if (n == 0 || n == EXACT_NAME_SIZE || type >= EXACT_TYPE_COUNT || flags > 1)
		return false;
	for (size_t i = 0, k; i < n; i += k) {
		uint32_t cp;

		if ((k = utf8_next(c->name.p + i, n - i, &cp)) == 0 || cp < ' ' || cp == 0x7f)
			return false;
	}
	c->type = (enum exact_type)type;
	c->digit = flags;
	return true;
}

/* Sizes and places are those the counts give: there is one layout. */
static bool
header_read(const uint8_t *p, struct exact_header *h)
{
	const uint8_t *from = p;
	struct exact_header want;

	p += 20;
	h->ncolumns = get32(&p);
	h->size = get64(&p);
	h->key_id = get64(&p);
	h->built = get64(&p);
	memcpy(h->nonce, p, 16);
	p += 16;
	h->rows = get32(&p);
	get32(&p);
	h->tags = get64(&p);
	h->tags_tag = get64(&p);
	if (h->ncolumns == 0 || h->ncolumns > EXACT_COLUMNS || h->rows >= EXACT_ROWS_MAX)
		return false;
	for (uint32_t i = 0; i < h->ncolumns; i++) {
		struct exact_column *c = &h->columns[i];

		if (!column_read(from + COLUMNS_AT + i * COLUMN_SIZE, c) || c->cells > h->rows ||
		    c->values > c->cells || c->most > c->cells || c->nrows > 2 * (uint64_t)c->cells)
			return false;
		for (uint32_t k = 0; k < i; k++)
			if (span_eq(h->columns[k].name, c->name))
				return false;
	}
	want = *h;
	exact_layout(&want);
	for (uint32_t i = 0; i < h->ncolumns; i++) {
		const struct exact_column *c = &h->columns[i], *w = &want.columns[i];

		if (c->filter != w->filter || c->directory != w->directory ||
		    c->entries != w->entries || c->rows != w->rows || c->of_row != w->of_row ||
		    c->filter_blocks != w->filter_blocks || c->directory_bits != w->directory_bits)
			return false;
	}
	return want.tags == h->tags && want.size == h->size;
}

static bool
blocks_proved(const struct exact_index *ix, const uint8_t *key)
{
	const char *p = ix->bytes.p;
	uint64_t n = (ix->h.size - ix->h.tags) / 8;
	uint8_t k[32];
	bool good;

	derive(key, "postern edm tags", (struct span){ 0 }, k);
	good = siphash(k, n ? p + ix->h.tags : "", n * 8) == ix->h.tags_tag;
	for (uint64_t i = 0; i < n && good; i++) {
		uint64_t at = EXACT_HEADER + i * EXACT_BLOCK, tag;
		size_t size = ix->h.tags - at < EXACT_BLOCK ? (size_t)(ix->h.tags - at) : EXACT_BLOCK;

		memcpy(&tag, p + ix->h.tags + i * 8, 8);
		good = siphash(k, p + at, size) == le64toh(tag);
	}
	explicit_bzero(k, sizeof(k));
	return good;
}

static int
prove(const struct exact_index *ix, const uint8_t *key, struct err *err)
{
	const uint8_t *header = (const uint8_t *)ix->bytes.p;
	uint64_t id = exact_key_id(key);
	uint8_t want[SEAL_SIZE];

	if (id != ix->h.key_id)
		return err_set(err, EACCES, "it was made with another key (%016llx; this one is %016llx)",
		    (unsigned long long)ix->h.key_id, (unsigned long long)id);
	seal(key, header, want);
	if (!memeql_sec(want, header + EXACT_HEADER - SEAL_SIZE, SEAL_SIZE))
		return err_set(err, EPROTO, "its header is damaged");
	if (!blocks_proved(ix, key))
		return err_set(err, EPROTO, "it is damaged: copy or build it again");
	return 0;
}

static int
open_all(struct exact_index *ix, struct span bytes, const uint8_t *key, struct err *err)
{
	const uint8_t *p = (const uint8_t *)bytes.p;

	if (bytes.n == 0)
		return err_set(err, EPROTO, "it is empty");
	if (bytes.n < 16 || memcmp(p, EXACT_MAGIC, 16) != 0)
		return err_set(err, EPROTO, "it is no index of `postern edm build`");
	if (bytes.n < EXACT_HEADER)
		return err_set(err, EPROTO, "it is cut short: %zu bytes, the header alone has %d", bytes.n,
		    EXACT_HEADER);
	if (load32(p + 16) != EXACT_VERSION)
		return err_set(err, EPROTO, "it is an index of version %u, this program reads version %d: "
		    "build it again", load32(p + 16), EXACT_VERSION);
	if (!header_read(p, &ix->h))
		return err_set(err, EPROTO, "its header is damaged");
	ix->bytes = bytes;
	ix->whole = key && bytes.n == ix->h.size;
	if (bytes.n != ix->h.size && (key || bytes.n != EXACT_HEADER))
		return err_set(err, EPROTO, "it is %s: %zu bytes of %llu",
		    bytes.n < ix->h.size ? "cut short" : "too long", bytes.n,
		    (unsigned long long)ix->h.size);
	if (!key)
		return 0;
	if (prove(ix, key, err) == -1)
		return -1;
	for (uint32_t i = 0; i < ix->h.ncolumns; i++)
		exact_column_key(&ix->keys[i], key, ix->h.columns[i].name, ix->h.columns[i].type);
	return 0;
}

struct exact_index *
exact_open(struct span bytes, const uint8_t *key, struct err *err)
{
	struct exact_index *ix = calloc(1, sizeof(*ix));

	ASSERT_MEMORY(ix);
	if (open_all(ix, bytes, key, err) == -1)
		exact_close(&ix);
	return ix;
}

void
exact_close(struct exact_index **ix)
{
	if (*ix == NULL)
		return;
	explicit_bzero(*ix, sizeof(**ix));
	free(*ix);
	*ix = NULL;
}

const struct exact_header *
exact_info(const struct exact_index *ix)
{
	return &ix->h;
}

bool
exact_whole(const struct exact_index *ix)
{
	return ix->whole;
}

struct span
exact_identity(const struct exact_index *ix)
{
	return span_sub(ix->bytes, 0, EXACT_HEADER);
}

/* --- asking ------------------------------------------------------------------------------------------- */

static uint32_t
word_at(const struct exact_index *ix, uint64_t table, uint64_t i)
{
	return load32(ix->bytes.p + table + i * 4);
}

/* Values whose hash begins alike lie together; of them the one that is equal. */
static uint32_t
entry_find(const struct exact_index *ix, const struct exact_column *c, const uint8_t *hash)
{
	uint32_t top = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
	uint32_t slot = c->directory_bits ? top >> (32 - c->directory_bits) : 0;
	uint32_t lo = word_at(ix, c->directory, slot), hi = word_at(ix, c->directory, slot + 1);

	if (lo > hi || hi > c->values)
		return EXACT_NONE;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int d = memcmp(ix->bytes.p + c->entries + (uint64_t)mid * EXACT_ENTRY, hash, EXACT_HASH);

		if (d == 0)
			return mid;
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return EXACT_NONE;
}

uint32_t
exact_lookup(const struct exact_index *ix, size_t column, struct span value, bool *maybe)
{
	const struct exact_column *c = &ix->h.columns[column];
	const struct exact_column_key *k =
	    (const struct exact_column_key *)(const void *)ix->keys[column].room;
	uint8_t hash[EXACT_HASH];

	ASSERT(ix->whole && column < ix->h.ncolumns);
	*maybe = c->values > 0 && exact_filter_has((const uint8_t *)ix->bytes.p + c->filter,
	    c->filter_blocks, exact_filter_hash(k, value));
	if (!*maybe)
		return EXACT_NONE;
	exact_hash(k, value, hash);
	return entry_find(ix, c, hash);
}

struct exact_rows
exact_rows(const struct exact_index *ix, size_t column, uint32_t value)
{
	const struct exact_column *c = &ix->h.columns[column];
	struct exact_rows none = { NULL, 0, 0 };
	uint32_t at, n;

	if (value >= c->values)
		return none;
	at = load32(ix->bytes.p + c->entries + (uint64_t)value * EXACT_ENTRY + EXACT_HASH);
	if (at & EXACT_ONE)
		return (struct exact_rows){ NULL, 1, at & ~EXACT_ONE };
	if (at >= c->nrows)
		return none;
	n = word_at(ix, c->rows, at);
	if (n > c->nrows - at - 1)
		return none;
	return (struct exact_rows){ (const uint8_t *)ix->bytes.p + c->rows + ((uint64_t)at + 1) * 4, n, 0 };
}

uint32_t
exact_row_at(const struct exact_rows *r, uint32_t i)
{
	return r->p ? load32(r->p + (size_t)i * 4) : r->one;
}

uint32_t
exact_value_of(const struct exact_index *ix, size_t column, uint32_t row)
{
	return row < ix->h.rows ? word_at(ix, ix->h.columns[column].of_row, row) : EXACT_NONE;
}
