/* fuzz_clamd.c -- answers of whoever listens where clamd should: only a plain one is one. */
#include <string.h>

#include "scanner/clamd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span reply = { (const char *)data, size }, text;
	struct clamd_version v;
	enum clamd_word w = clamd_reply_parse(reply, 1, &text);

	if (w == CLAMD_OK) {
		ASSERT(size >= 11 && memcmp(reply.p + size - 4, ": OK", 4) == 0);
		ASSERT(span_starts(reply, SPAN_LIT("1: stream: OK")) || span_starts(reply, SPAN_LIT("1: fd[")));
	}
	if (w == CLAMD_FOUND)
		ASSERT(text.n > 0 && text.n <= 200);
	for (size_t i = 0; i < text.n; i++)
		ASSERT(text.p[i] >= ' ' && text.p[i] <= '~');
	if (clamd_version_parse(reply, 1, &v))
		ASSERT(v.version.n > 0 && v.version.n <= 40 && v.made >= 0);
	return 0;
}
