/* fuzz_bayes.c -- any bytes as a message for the classifier, and as a model it is asked of.
 *
 * Tokens are distinct, bounded, never 0, and the same each time. A model of any bytes is refused or asked;
 * what it says is a probability. What is learnt of a message speaks for what it was learnt as, and when it
 * is taken back nothing is left of it.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "postern/anatomy.h"
#include "postern/bayes.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct bayes_key key = { "fuzz the tokens" };

static void
check_tokens(const struct bayes_tokens *t, const struct bayes_tokens *again)
{
	ASSERT(t->n <= BAYES_TOKENS && t->n == again->n);
	for (size_t i = 0; i < t->n; i++) {
		ASSERT(t->v[i].hash != 0 && t->v[i].kind < BAYES_KIND_COUNT);
		ASSERT(t->v[i].hash == again->v[i].hash && t->v[i].text.n > 0);
		for (size_t k = i > 20 ? i - 20 : 0; k < i; k++)
			ASSERT(t->v[i].hash != t->v[k].hash);
	}
}

static void
check_rating(const struct bayes_rating *r, size_t n)
{
	ASSERT(r->p >= 0 && r->p <= 1 && r->percent <= 100);
	ASSERT(r->used <= BAYES_CLUES_MAX && r->used <= r->seen && r->nclues <= BAYES_SHOWN);
	ASSERT(r->nclues <= r->used && (r->known || r->percent == 50));
	for (size_t i = 0; i < r->nclues; i++) {
		ASSERT(r->clues[i].token < n && r->clues[i].p > 0 && r->clues[i].p < 1);
		ASSERT(i == 0 || fabs(r->clues[i - 1].p - 0.5) >= fabs(r->clues[i].p - 0.5));
	}
}

static void
ask_any_bytes(const uint8_t *data, size_t size, const uint32_t *hashes, size_t n)
{
	struct bayes_model m;
	struct bayes_rating r;
	size_t bytes = sizeof(struct bayes_head) + 16 * sizeof(struct bayes_slot);
	uint8_t *p = aligned_alloc(_Alignof(max_align_t), (bytes + 63) / 64 * 64);
	struct bayes_head *h = (struct bayes_head *)(void *)p;

	ASSERT(p != NULL);
	memset(p, 0, bytes);
	memcpy(p, data, size < bytes ? size : bytes);
	if (bayes_model_read(span_make((char *)p, bytes), &m)) {
		bayes_rate(&m, hashes, n, &r);
		check_rating(&r, n);
	}
	memcpy(h->magic, BAYES_MAGIC, sizeof(h->magic));
	h->slots = 16;
	ASSERT(bayes_model_read(span_make((char *)p, bytes), &m));
	bayes_rate(&m, hashes, n, &r);
	check_rating(&r, n);
	free(p);
}

static void
learn(const uint32_t *hashes, size_t n)
{
	static const uint32_t stranger[1] = { 1 };
	struct bayes_table t;
	struct bayes_model m;
	struct bayes_rating r;

	ASSERT(bayes_table_init(&t, 4 * BAYES_TOKENS) == 0);
	t.head.minimum_spam = t.head.minimum_ham = 1;
	m = (struct bayes_model){ &t.head, t.slots };
	bayes_table_learn(&t, stranger, 1, false, 1, 1);
	for (int i = 0; i < 3; i++)
		bayes_table_learn(&t, hashes, n, true, 1, 1);
	bayes_rate(&m, hashes, n, &r);
	check_rating(&r, n);
	ASSERT(r.known && r.p >= 0.5);
	for (int i = 0; i < 3; i++)
		bayes_table_learn(&t, hashes, n, true, -1, 1);
	t.head.spam = 1;
	bayes_rate(&m, hashes, n, &r);
	ASSERT(r.p <= 0.5);
	bayes_table_release(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	uint32_t hashes[BAYES_TOKENS], back[BAYES_TOKENS];
	struct bayes_tokens t, again;
	struct anatomy an;
	size_t n;

	if (size > 1u << 16) {
		arena_free(&a);
		return 0;
	}
	anatomy_build(a, span_make((const char *)data, size), NULL, &an);
	bayes_tokenise(&an, &key, a, &t);
	bayes_tokenise(&an, &key, a, &again);
	check_tokens(&t, &again);
	for (size_t i = 0; i < t.n; i++)
		hashes[i] = t.v[i].hash;
	ASSERT(bayes_unpack(bayes_pack(&t, a), back, &n) && n == t.n);
	ASSERT(memcmp(hashes, back, n * sizeof(*back)) == 0);
	bayes_unpack(span_make((const char *)data, size), back, &n);
	ask_any_bytes(data, size, hashes, t.n);
	if (t.n)
		learn(hashes, t.n);
	arena_free(&a);
	return 0;
}
