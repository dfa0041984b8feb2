/* fuzz_edm_index.c -- any bytes as an index of exact data.
 *
 * As they are, with and without a key; then sealed anew with the key, as if
 * their maker had meant it, and asked for everything.
 */
#include <endian.h>
#include <nettle/hmac.h>
#include <stdlib.h>

#include "detect/exact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { KEY_ID_AT = 32, TAGS_AT = 72, TAGS_TAG_AT = 80, SEAL_AT = EXACT_HEADER - 32 };

static const uint8_t key[EXACT_KEY] = { 7, 7, 7 };

static void
put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, 8);
}

static void
seal(uint8_t *p, size_t n)
{
	struct hmac_sha256_ctx c;
	uint64_t tags, blocks;

	memcpy(&tags, p + TAGS_AT, 8);
	tags = le64toh(tags);
	if (tags < EXACT_HEADER || tags > n)
		return;
	blocks = (tags - EXACT_HEADER + EXACT_BLOCK - 1) / EXACT_BLOCK;
	if (tags + blocks * 8 != n)
		return;
	for (uint64_t i = 0; i < blocks; i++) {
		uint64_t at = EXACT_HEADER + i * EXACT_BLOCK;

		put64(p + tags + i * 8, exact_tag(key, p + at, tags - at < EXACT_BLOCK ? tags - at :
		    EXACT_BLOCK));
	}
	put64(p + TAGS_TAG_AT, exact_tag(key, p + tags, blocks * 8));
	put64(p + KEY_ID_AT, exact_key_id(key));
	hmac_sha256_set_key(&c, EXACT_KEY, key);
	hmac_sha256_update(&c, sizeof("postern edm header"), (const uint8_t *)"postern edm header");
	hmac_sha256_update(&c, SEAL_AT, p);
	hmac_sha256_digest(&c, 32, p + SEAL_AT);
}

static bool
on_found(void *ctx, const struct exact_found *f)
{
	const struct exact_header *h = ctx;

	ASSERT(f->column < h->ncolumns && f->from < f->to);
	return true;
}

static void
ask(struct exact_index *ix)
{
	static const char text[] = "de la fontaine 1 84 12 76 451 089 46 jean 7 decembre 1984 p-000123 jean@fontaine.example "
	    "martin 150019912345670 05/01/1950 martin 250019912345634 marie";
	const struct exact_header *h = exact_info(ix);
	struct exact_scratch *s = exact_scratch_new();

	for (uint32_t c = 0; c < h->ncolumns; c++) {
		struct exact_plan p = { .ix = ix, .require = (uint16_t)(1u << c), .within = 50,
			.of = (uint16_t)((1u << h->ncolumns) - 1 - (1u << c)), .min = 1, .partly = true };
		int64_t steps = 100000;

		for (uint32_t v = 0; v < h->columns[c].values && v < 1000; v++) {
			struct exact_rows r = exact_rows(ix, c, v);

			for (uint32_t i = 0; i < r.n && i < 1000; i++)
				exact_value_of(ix, c, exact_row_at(&r, i));
		}
		exact_plan_finish(&p);
		exact_search(&p, s, span_make(text, sizeof(text) - 1), 50, &steps, on_found,
		    (void *)(uintptr_t)h);
	}
	exact_scratch_free(&s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *p = malloc(size + 1);
	struct exact_index *ix;

	ASSERT_MEMORY(p);
	memcpy(p, data, size);
	if ((ix = exact_open(span_make((char *)p, size), NULL, NULL)) != NULL)
		ASSERT(!exact_whole(ix));
	exact_close(&ix);
	ix = exact_open(span_make((char *)p, size), key, NULL);
	exact_close(&ix);
	if (size >= EXACT_HEADER)
		seal(p, size);
	if ((ix = exact_open(span_make((char *)p, size), key, NULL)) != NULL)
		ask(ix);
	exact_close(&ix);
	free(p);
	return 0;
}
