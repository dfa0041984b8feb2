/* fuzz_av_stamp.c -- stamps of strangers: what is parsed says the same again, no stamp is genuine that was not
 * made with the key, and after stripping there is none. */
#include "clock.h"
#include "postern/err.h"
#include "scanner/av_stamp.h"
#include "scanner/stamps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span key = { "0123456789abcdef0123456789abcdef", 32 };
	struct span raw = { (const char *)data, size }, value;
	struct arena *a = arena_new(0);
	struct variant none = { NULL, 0 };
	struct verdict v = { .variants = &none, .nvariants = 1 };
	struct envelope env = { .client = { .family = 4 } };
	struct stamps_seen seen;
	struct av_stamp s, again;
	size_t end = 0, at, from = 0, n = 0;
	char *out;

	if (av_stamp_parse(raw, a, &s)) {
		ASSERT(av_stamp_word(s.engine) && av_stamp_word(s.signatures));
		ASSERT(!av_stamp_genuine(&s, key));
		value = av_stamp_make(&s, key, a);
		ASSERT(av_stamp_parse(span_from(value, 13), a, &again) && av_stamp_genuine(&again, key));
		ASSERT(again.time == s.time && span_eq(again.engine, s.engine));
	}
	stamps_look(NULL, NULL, &env, raw, 0, a, &seen);
	stamps_edit(NULL, NULL, &seen, false, 0, raw, a, &v);
	out = arena_alloc(a, size + 1);
	for (size_t i = 0; i < v.variants[0].nedits; i++) {
		const struct edit *e = &v.variants[0].edits[i];

		ASSERT(e->offset >= from && e->size <= size - e->offset && e->with.n == 0);
		memcpy(out + n, raw.p + from, e->offset - from);
		n += e->offset - from;
		from = e->offset + e->size;
	}
	if (size > from)
		memcpy(out + n, raw.p + from, size - from);
	n += size - from;
	at = av_stamp_find(span_make(out, n), 0, &end, &value);
	ASSERT(at == n);
	if (size) {
		unsigned char body[STAMP_HASH];

		av_stamp_body(raw, body);
	}
	arena_free(&a);
	return 0;
}
