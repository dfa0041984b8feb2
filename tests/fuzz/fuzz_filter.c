/* fuzz_filter.c -- answers of spam filters, in any bytes and any pieces: understood the same whatever the
 * pieces, bounded, and never a rating that is no number. The first byte says which filter, and where
 * the answer is cut. */
#include <stdint.h>
#include <stdlib.h>

#include "postern/err.h"
#include "verifier/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_filter conf = { 0 };
	struct arena *a;
	struct facts f, again;
	struct span in;
	const char *why = NULL;

	if (size == 0)
		return 0;
	conf.kind = data[0] & 1 ? FILTER_SPAMD : FILTER_RSPAMD;
	in = span_make((const char *)data + 1, size - 1);
	a = arena_new(0);
	if (filter_heard(&conf, in, true, a, &f, &why) == FILTER_SAID) {
		ASSERT(f.spam_known && f.spam_score > -1e300 && f.spam_score < 1e300);
		ASSERT(f.nspam_symbols <= FACTS_SYMBOLS_MAX);
		for (size_t i = 0; i < f.nspam_symbols; i++)
			ASSERT(f.spam_symbols[i].n > 0 && f.spam_symbols[i].n <= FILTER_NAME_MAX);
	} else
		ASSERT(why != NULL && !f.spam_known);
	/* What is said before the end stays so. */
	if (filter_heard(&conf, span_sub(in, 0, in.n * (data[0] >> 1) / 128), false, a, &again, &why) ==
	    FILTER_SAID)
		ASSERT(again.spam_known);
	arena_free(&a);
	return 0;
}
