/* bench_bayes.c -- what the classifier costs a message: taking it apart, and asking a full model.
 *
 * The anatomy is there already when it is asked (bench_anatomy.c measures that). The model is as large as it
 * is by default and full, its words spread as hashes are, so that most look-ups miss every cache that the
 * machine has less of. The best of several rounds: the machine may be busy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "postern/anatomy.h"
#include "postern/bayes.h"
#include "postern/err.h"

static const struct bayes_key key = { "bench of bayes." };

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static uint64_t seed = 88172645463325252u;

static uint32_t
rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 32);
}

/* Words as a language has them: few of them often, many seldom. */
static struct span
message(struct arena *a, size_t bytes)
{
	static const char *const syllables[] = { "ta", "ri", "mon", "sel", "vo", "ka", "den", "pli", "or", "ut", "ga", "ne" };
	char *p = arena_alloc(a, bytes + 256);
	size_t n = (size_t)snprintf(p, 256, "From: Shop <news@mail.shop.example>\r\nSubject: Your order of Tuesday\r\n"
	    "Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMessage-ID: <1@x.example>\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n");

	while (n < bytes) {
		uint32_t r = rnd(), rank = (r & 0xff) < 128 ? r >> 8 & 63 : (r & 0xff) < 224 ? r >> 8 & 1023 : r >> 8 & 8191;

		for (uint32_t k = rank + 12; k; k /= 12)
			n += (size_t)snprintf(p + n, 8, "%s", syllables[k % 12]);
		p[n++] = ' ';
		if (rnd() % 12 == 0)
			n += (size_t)snprintf(p + n, 8, "\r\n");
	}
	return span_make(p, n);
}

static void
fill(struct bayes_table *t, const uint32_t *hashes, size_t n)
{
	t->head.minimum_spam = t->head.minimum_ham = 1;
	t->head.spam = t->head.ham = 5000;
	for (size_t i = 0; i < n; i += 2) {	/* half of the message's words are known */
		struct bayes_slot s = { hashes[i], rnd() % 500, rnd() % 500, 20000 };

		bayes_table_put(t, &s);
	}
	while (!bayes_table_full(t, 1)) {
		struct bayes_slot s = { rnd() | 1, rnd() % 50, rnd() % 50, 20000 };

		bayes_table_put(t, &s);
	}
}

static void
measure(const char *name, size_t bytes, struct bayes_table *t)
{
	struct arena *a = arena_new(1 << 20), *b = arena_new(1 << 20);
	const struct bayes_model m = { &t->head, t->slots };
	uint32_t hashes[BAYES_TOKENS];
	struct bayes_tokens tokens;
	struct bayes_rating r;
	struct anatomy an;
	double take = 1e9, ask = 1e9;

	anatomy_build(a, message(a, bytes), NULL, &an);
	bayes_tokenise(&an, &key, a, &tokens);
	for (size_t i = 0; i < tokens.n; i++)
		hashes[i] = tokens.v[i].hash;
	bayes_table_clear(t);
	fill(t, hashes, tokens.n);
	for (int k = 0; k < 200; k++) {
		double from = now();

		arena_reset(b);
		bayes_tokenise(&an, &key, b, &tokens);
		if (now() - from < take)
			take = now() - from;
		for (size_t i = 0; i < (64u << 20) / sizeof(struct bayes_slot) / 64 && i < t->head.slots; i += 4)
			seed += t->slots[(i * 2654435761u) & (t->head.slots - 1)].day;	/* other messages' words */
		from = now();
		bayes_rate(&m, hashes, tokens.n, &r);
		if (now() - from < ask)
			ask = now() - from;
	}
	printf("%-8s %8zu bytes, %4zu tokens, %3zu clues: taken apart %6.1f us, asked %6.1f us, together %6.1f us\n",
	    name, an.raw.n, tokens.n, r.used, take, ask, take + ask);
	arena_free(&a);
	arena_free(&b);
}

/* One message into the table, and a full one made room in. */
static void
measure_learning(struct bayes_table *t)
{
	uint32_t hashes[BAYES_TOKENS];
	struct bayes_eviction e;
	double from;

	for (size_t i = 0; i < BAYES_TOKENS; i++)
		hashes[i] = t->slots[rnd() & (t->head.slots - 1)].token | 1;
	from = now();
	for (int k = 0; k < 100; k++)
		bayes_table_learn(t, hashes, BAYES_TOKENS, k & 1, 1, 20000);
	printf("learning in memory: %.1f us a message of %d tokens\n", (now() - from) / 100, BAYES_TOKENS);
	from = now();
	bayes_table_evict(t, &e);
	printf("eviction: %.1f ms for %u of %u tokens; the model has %.1f MiB\n", (now() - from) / 1e3, e.n, t->max,
	    (double)t->head.slots * sizeof(struct bayes_slot) / (1 << 20));
}

int
main(void)
{
	struct bayes_table t;

	ASSERT(bayes_table_init(&t, BAYES_TABLE_TOKENS) == 0);
	measure("4 KiB", 4096, &t);
	measure("64 KiB", 65536, &t);
	measure("1 MiB", 1 << 20, &t);
	measure_learning(&t);
	bayes_table_release(&t);
	return 0;
}
