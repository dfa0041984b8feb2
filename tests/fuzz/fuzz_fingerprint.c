/* fuzz_fingerprint.c -- any bytes as an index of fingerprints; its checksum is put right first.
 *
 * What is accepted can be looked up, searched with, and written again as the same bytes.
 */
#include <stdint.h>

#include "buf.h"
#include "detect/detect.h"
#include "postern/fingerprint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_up(const struct fingerprints *f)
{
	for (uint32_t i = 0; i < f->nhashes; i++) {
		uint64_t hash = 0;
		int64_t owner;

		for (unsigned k = 0; k < 6; k++)
			hash |= (uint64_t)f->hashes[(size_t)i * 6 + k] << (8 * k);
		ASSERT(fingerprints_find(f, hash) == i);
		fingerprints_find(f, hash + 1);
		fingerprints_ignored(f, i);
		for (uint32_t k = 0; (owner = fingerprints_owner(f, i, k)) >= 0; k++)
			ASSERT(owner < f->ndocuments && k < FINGERPRINT_OWNERS_MAX);
	}
	fingerprints_find(f, 0);
	fingerprints_find(f, (UINT64_C(1) << 48) - 1);
	for (uint32_t i = 0; i < f->ndocuments; i++)
		ASSERT(f->documents[i].counted <= f->documents[i].hashes);
}

/* A text of the index's own, which one of the corpus holds. */
static const char text[] =
    "The minutes of the previous meeting were read and approved. The chair reported that the works on the "
    "northern quay would be finished before the end of the quarter, and that the bank had agreed to wait.";

static void
search(const struct fingerprints *f, struct arena *a)
{
	struct text t = { .s = span_make(text, sizeof(text) - 1) };
	struct surface s = { .where = WHERE_BODY, .text = &t };
	struct anatomy an = { .surfaces = &s, .nsurfaces = 1 };
	struct fingerprint_overlap *v;
	size_t n = fingerprints_check(f, &an, a, &v);

	for (size_t i = 0; i < n; i++) {
		ASSERT(v[i].overlap >= 0 && v[i].overlap <= 100);
		ASSERT(!v[i].document->ignored && v[i].hashes <= v[i].document->counted);
		ASSERT(i == 0 || v[i - 1].overlap >= v[i].overlap);
	}
}

static void
write_again(const struct fingerprints *f)
{
	struct fingerprint_maker *m = fingerprint_maker_new(f->key);
	struct err err;
	struct buf b;

	fingerprint_maker_take(m, f);
	buf_init(&b, FINGERPRINT_BYTES_MAX);
	ASSERT(fingerprint_maker_write(m, f->made, &b, &err) == 0);
	ASSERT(span_eq(buf_data(&b), f->bytes));
	buf_release(&b);
	fingerprint_maker_free(&m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	char *p = malloc(size ? size : 1);
	struct fingerprints f;
	struct err err;

	ASSERT(p != NULL);
	if (size)
		memcpy(p, data, size);
	if (fingerprints_read(span_make(p, size), a, &f, &err) == -1)
		ASSERT(err.text[0]);
	if (size >= 24) {
		uint64_t sum = fingerprints_checksum(span_make(p, size));

		for (unsigned i = 0; i < 8; i++)
			p[16 + i] = (char)(sum >> (8 * i));
	}
	if (fingerprints_read(span_make(p, size), a, &f, &err) == 0) {
		look_up(&f);
		search(&f, a);
		write_again(&f);
	}
	free(p);
	arena_free(&a);
	return 0;
}
