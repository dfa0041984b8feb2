/* fuzz_files.h -- a file as the only part of a message, without the message: for the targets that
 * fuzz what unpacks and reads files. */
#ifndef FUZZ_FILES_H
#define FUZZ_FILES_H

#include <stdint.h>
#include <stdio.h>

#include "anatomy/textmap.h"
#include "postern/anatomy.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void
fuzz_text(const struct text *t)
{
	ASSERT(t->s.n == 0 || t->s.p != NULL);
	ASSERT(utf8_valid_until(t->s) == t->s.n);
}

/* Reads nothing: what takes pictures out of documents is to be fuzzed too. */
static inline bool
fuzz_picture(void *ctx, struct span picture, struct arena *a, struct span *out)
{
	ASSERT(picture.n > 0 && picture.p != NULL);
	*out = picture.p[0] & 1 ? SPAN_LIT("text") : SPAN_LIT("");
	return picture.n & 1;
}

/* Everything that a caller of the anatomy relies on, of whatever came out of the file. */
static inline void
fuzz_file(const uint8_t *data, size_t size, const char *name)
{
	static const struct picture_reader reader = { fuzz_picture, NULL };
	static const struct anatomy_limits limits = { .decoded = 8 << 20, .entries = 200,
		.unpack = 5, .text = 4 << 20, .passwords = 3, .pictures = &reader, .key_blocks = 40000 };
	struct arena *a = arena_new(0);
	char *raw = arena_alloc(a, size + 512);
	struct anatomy an;
	uint64_t decoded = 0;
	int n = snprintf(raw, 512, "Subject: password: abc\r\nContent-Type: application/octet-stream; "
	    "name=\"%s\"\r\nContent-Transfer-Encoding: binary\r\n\r\n", name);

	memcpy(raw + n, data, size);
	anatomy_build(a, span_make(raw, (size_t)n + size), &limits, &an);
	for (size_t i = 0; i < an.nparts; i++) {
		const struct part *p = &an.parts[i];

		ASSERT(i == 0 ? p->parent == PART_NONE : p->parent < i);
		ASSERT(p->decoded.n == 0 || p->decoded.p != NULL);
		ASSERT(utf8_valid_until(p->name) == p->name.n);
		ASSERT((uint64_t)p->body_offset + p->body_size <= an.raw.n);
		ASSERT(p->encryption < ENCRYPTION_COUNT);
		fuzz_text(&p->text);
		fuzz_text(&p->hidden);
		for (size_t k = 0; k < p->nsides; k++)
			fuzz_text(&p->sides[k].text);
		if (p->unpacked && p->headers == NULL && !p->reading)
			decoded += p->decoded.n;
	}
	/* Bytes that came out of files are paid for, whatever borrowed them. */
	ASSERT(decoded <= limits.decoded + size * 4);
	arena_free(&a);
}

#endif
