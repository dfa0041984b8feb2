/* fuzz_edm_find.c -- any bytes as a text that is searched for values of exact data.
 *
 * What a finder offers is what the builder would have made of that stretch; and
 * what the builder makes of a text is found where it stands alone.
 */
#include "detect/exact.h"
#include "postern/anatomy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct state {
	enum exact_type type;
	struct span text, want;
	size_t n;
	bool found;
};

static bool
on_candidate(void *ctx, size_t from, size_t to, struct span value)
{
	struct state *s = ctx;
	struct exact_value v;
	struct exact_date d;
	const char *why;

	ASSERT(from < to && to <= s->text.n && value.n > 0 && value.n <= EXACT_VALUE_MAX);
	s->n++;
	s->found |= s->want.n && span_eq(value, s->want);
	if (s->type == EXACT_DATE) {
		bool among = false;

		ASSERT(exact_date_at(s->text, from, s->text.n, &d) == to);
		for (unsigned i = 0; i < d.n; i++)
			among |= span_eq(value, span_make(d.v[i], 8));
		ASSERT(among);
	} else if (s->type != EXACT_PHONE || to - from <= EXACT_PHONE_MAX) {
		ASSERT(exact_normalise(s->type, span_sub(s->text, from, to - from), &v, &why));
		ASSERT(span_eq(value, span_make(v.p, v.n)));
	}
	return s->n < 100000;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text in = { .s = { (const char *)data, size } }, folded;
	struct arena *a = arena_new(0);

	text_fold(a, &in, &folded);
	for (int t = 0; t < EXACT_TYPE_COUNT; t++) {
		struct exact_shape shape = { (enum exact_type)t, ~UINT64_C(1), false };
		struct state s = { .type = (enum exact_type)t, .text = folded.s };
		struct exact_value v;
		const char *why;

		if (t == EXACT_DATE_MDY)
			continue;
		if (t == EXACT_NAME || t == EXACT_TEXT)
			shape.lengths = (UINT64_C(2) << EXACT_WORDS_MAX) - 2;
		exact_find(&shape, s.text, 0, s.text.n, on_candidate, &s);
		if (exact_normalise(s.type, span_trim(folded.s), &v, &why)) {
			s = (struct state){ .type = s.type, .text = { v.p, v.n }, .want = { v.p, v.n } };
			exact_find(&shape, s.text, 0, s.text.n, on_candidate, &s);
			ASSERT(s.found);
		}
	}
	arena_free(&a);
	return 0;
}
