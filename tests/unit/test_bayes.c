/* test_bayes.c -- the classifier: its arithmetic against tables and values worked by hand, tokens, table. */
#include <math.h>

#include "postern/anatomy.h"
#include "postern/bayes.h"
#include "postern/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct bayes_key key = { "0123456789abcde" }, other = { "0123456789abcdf" };

static void
near(double got, double want, double by)
{
	if (fabs(got - want) > by)
		fail_msg("%.9f, and not %.9f", got, want);
}

/* Upper percentage points of chi-square, as printed in every table of it. */
static void
test_chi_square(void **state)
{
	static const struct { unsigned v; double x, p; } table[] = {
		{ 2, 5.991, 0.05 }, { 4, 9.488, 0.05 }, { 10, 18.307, 0.05 }, { 20, 31.410, 0.05 },
		{ 100, 124.342, 0.05 }, { 2, 9.210, 0.01 }, { 10, 23.209, 0.01 }, { 50, 76.154, 0.01 },
		{ 10, 9.342, 0.5 }, { 100, 99.334, 0.5 }, { 4, 0.711, 0.95 },
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		near(bayes_chi2q(table[i].x, table[i].v), table[i].p, 1e-4);
	near(bayes_chi2q(0, 2), 1, 0);
	near(bayes_chi2q(3, 2), exp(-1.5), 1e-12);
	near(bayes_chi2q(1e9, 300), 0, 0);	/* underflow is the truth */
}

/* Robinson's f(w) with s = 0.45, x = 0.5. A word seen once: 1.225/1.45 = 0.844828 and 0.225/1.45 =
 * 0.155172, the figures SpamBayes is known by. */
static void
test_word(void **state)
{
	near(bayes_word(0, 0, 100, 100), 0.5, 0);
	near(bayes_word(1, 0, 100, 100), 0.8448275862, 1e-9);
	near(bayes_word(0, 1, 100, 100), 0.1551724138, 1e-9);
	/* Rates and not counts: 4 of 400 spam and 1 of 100 ham are the same. */
	near(bayes_word(4, 1, 400, 100), 0.5, 1e-12);
	/* 30 of 100 and 10 of 200: p = 0.3/0.35, n = 40: (0.225 + 40 * 0.857142857) / 40.45 */
	near(bayes_word(30, 10, 100, 200), (0.225 + 40 * (0.3 / 0.35)) / 40.45, 1e-12);
	/* A count above its total is none. */
	near(bayes_word(500, 0, 100, 100), (0.225 + 500) / 500.45, 1e-12);
	assert_true(bayes_word(UINT32_MAX, 0, 1, 1) < 1);
}

/* ---- tables ---- */

static void
table_of(struct bayes_table *t, uint32_t max)
{
	assert_int_equal(bayes_table_init(t, max), 0);
	t->head.minimum_spam = t->head.minimum_ham = 1;
}

static struct bayes_model
model_of(const struct bayes_table *t)
{
	return (struct bayes_model){ &t->head, t->slots };
}

static void
test_rate(void **state)
{
	struct bayes_table t;
	struct bayes_rating r;
	struct bayes_model m;
	uint32_t spam[2] = { 11, 12 }, ham[2] = { 21, 22 }, all[5] = { 11, 12, 21, 22, 77 };

	table_of(&t, 1000);
	t.head.minimum_spam = 2;
	bayes_table_learn(&t, spam, 2, true, 1, 1);
	bayes_table_learn(&t, ham, 2, false, 1, 1);
	m = model_of(&t);
	bayes_rate(&m, spam, 2, &r);
	assert_false(r.known);			/* one spam, and it wants two */
	t.head.minimum_spam = 1;
	/* Two words of f = 0.844828: S = 1 - Q(7.4529, 4) = 0.886186, H = 1 - Q(0.67449, 4) = 0.045567;
	 * (1 + S - H) / 2 */
	bayes_rate(&m, spam, 2, &r);
	assert_true(r.known);
	near(r.p, 0.9203, 1e-3);
	assert_int_equal(r.percent, 92);
	assert_int_equal(r.used, 2);
	assert_string_equal(bayes_says(r.percent), "spam");
	bayes_rate(&m, ham, 2, &r);
	near(r.p, 1 - 0.9203, 1e-3);
	assert_string_equal(bayes_says(r.percent), "ham");
	/* Clues that contradict each other, and none at all: unsure. */
	bayes_rate(&m, all, 5, &r);
	near(r.p, 0.5, 1e-12);
	assert_int_equal(r.seen, 4);
	bayes_rate(&m, all + 4, 1, &r);
	near(r.p, 0.5, 0);
	assert_int_equal(r.used, 0);
	assert_string_equal(bayes_says(r.percent), "unsure");
	bayes_table_release(&t);
}

/* More words than are combined: the strongest, and no more of them. */
static void
test_strongest(void **state)
{
	struct bayes_table t;
	struct bayes_rating r;
	struct bayes_model m;
	uint32_t weak[400], strong[100], both[500];

	table_of(&t, 10000);
	for (uint32_t i = 0; i < 400; i++)
		weak[i] = both[i] = 1000 + i;
	for (uint32_t i = 0; i < 100; i++)
		strong[i] = both[400 + i] = 5000 + i;
	for (int i = 0; i < 3; i++) {
		bayes_table_learn(&t, strong, 100, false, 1, 1);
		bayes_table_learn(&t, weak, 400, true, 1, 1);
	}
	bayes_table_learn(&t, weak, 400, false, 1, 1);	/* weak: 3 of 3 spam, 1 of 4 ham */
	m = model_of(&t);
	bayes_rate(&m, both, 500, &r);
	assert_int_equal(r.seen, 500);
	assert_int_equal(r.used, BAYES_CLUES_MAX);	/* 100 of ham, 50 of spam */
	assert_true(r.p < 0.01);
	assert_int_equal(r.nclues, BAYES_SHOWN);
	for (size_t i = 0; i < r.nclues; i++)
		assert_true(r.clues[i].token >= 400 && r.clues[i].p < 0.5);
	bayes_table_release(&t);
}

static void
test_unlearn(void **state)
{
	struct bayes_table t;
	const struct bayes_slot *s;
	struct bayes_model m;
	uint32_t a[2] = { 7, 8 }, b[1] = { 8 };

	table_of(&t, 1000);
	m = model_of(&t);
	bayes_table_learn(&t, a, 2, true, 1, 20);
	bayes_table_learn(&t, b, 1, false, 1, 21);
	s = bayes_model_find(&m, 8);
	assert_int_equal(s->spam, 1);
	assert_int_equal(s->ham, 1);
	assert_int_equal(s->day, 21);
	bayes_table_learn(&t, a, 2, true, -1, 22);
	assert_int_equal(s->spam, 0);
	assert_int_equal(s->ham, 1);
	assert_int_equal(t.head.spam, 0);
	/* What is not there cannot be taken away, and nothing falls below nothing. */
	bayes_table_learn(&t, a, 2, true, -1, 22);
	assert_int_equal(s->spam, 0);
	assert_int_equal(t.head.spam, 0);
	assert_null(bayes_model_find(&m, 9));
	bayes_table_release(&t);
}

static void
test_eviction(void **state)
{
	struct bayes_eviction e;
	struct bayes_table t;
	struct bayes_model m;

	table_of(&t, 1000);
	for (uint32_t i = 1; i <= 1000; i++) {	/* 100 a day; each tenth was seen twice */
		struct bayes_slot s = { i, 1, i % 10 == 0, 100 + (i - 1) / 100 };

		assert_true(bayes_table_put(&t, &s));
	}
	assert_true(bayes_table_full(&t, 1));
	bayes_table_evict(&t, &e);
	m = model_of(&t);
	/* 250 are wanted, 90 of a day were seen once: the first three days'. */
	assert_int_equal(e.count, 1);
	assert_int_equal(e.day, 102);
	assert_int_equal(e.n, 270);
	assert_int_equal(t.head.tokens, 730);
	for (uint32_t i = 1; i <= 1000; i++)
		assert_int_equal(bayes_model_find(&m, i) != NULL, i % 10 == 0 || i > 300);
	/* All seen often: then the less often seen go, the old ones first. */
	bayes_table_clear(&t);
	for (uint32_t i = 1; i <= 1000; i++) {
		struct bayes_slot s = { i, i <= 400 ? 3 : 50, 0, 100 };

		assert_true(bayes_table_put(&t, &s));
	}
	bayes_table_evict(&t, &e);
	assert_int_equal(e.count, 4);
	assert_int_equal(e.n, 400);
	bayes_table_release(&t);
}

/* A table that is full takes no more words, and still counts those it has. */
static void
test_full(void **state)
{
	struct bayes_table t;
	struct bayes_slot s = { 5000, 1, 1, 1 };
	struct bayes_model m;
	uint32_t a[1] = { 5000 };

	table_of(&t, 1024);
	m = model_of(&t);
	for (uint32_t i = 1; i <= 1024; i++)
		bayes_table_learn(&t, &i, 1, true, 1, 1);
	assert_false(bayes_table_put(&t, &s));
	bayes_table_learn(&t, a, 1, true, 1, 1);
	assert_int_equal(t.head.tokens, 1024);
	assert_null(bayes_model_find(&m, 5000));
	a[0] = 17;
	bayes_table_learn(&t, a, 1, true, 1, 1);
	assert_int_equal(bayes_model_find(&m, 17)->spam, 2);
	bayes_table_release(&t);
}

/* ---- models from elsewhere ---- */

static void
test_broken_models(void **state)
{
	struct bayes_table t;
	struct bayes_model m;
	size_t n;
	char *p;

	table_of(&t, 1000);
	n = sizeof(t.head) + t.head.slots * sizeof(*t.slots);
	p = aligned_alloc(64, (n + 63) / 64 * 64);
	memcpy(p, &t.head, sizeof(t.head));
	memcpy(p + sizeof(t.head), t.slots, n - sizeof(t.head));
	assert_true(bayes_model_read(span_make(p, n), &m));
	assert_false(bayes_model_read(span_make(p, n - 1), &m));
	assert_false(bayes_model_read(span_make(p, sizeof(t.head) - 1), &m));
	assert_null(m.head);
	((struct bayes_head *)(void *)p)->slots++;
	assert_false(bayes_model_read(span_make(p, n), &m));
	((struct bayes_head *)(void *)p)->slots = 0;
	assert_false(bayes_model_read(span_make(p, sizeof(t.head)), &m));
	/* No empty slot anywhere: a search ends all the same. */
	((struct bayes_head *)(void *)p)->slots = t.head.slots;
	memset(p + sizeof(t.head), 0x55, n - sizeof(t.head));
	assert_true(bayes_model_read(span_make(p, n), &m));
	assert_null(bayes_model_find(&m, 1));
	p[0] ^= 1;
	assert_false(bayes_model_read(span_make(p, n), &m));
	free(p);
	bayes_table_release(&t);
}

/* ---- tokens ---- */

static void
tokens_of(const char *raw, const struct bayes_key *k, struct arena *a, struct bayes_tokens *out)
{
	struct anatomy *an = arena_zalloc(a, sizeof(*an));

	anatomy_build(a, span_str(raw), NULL, an);
	bayes_tokenise(an, k, a, out);
}

static const struct bayes_token *
token(const struct bayes_tokens *t, enum bayes_kind kind, const char *text)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind == kind && span_is(t->v[i].text, text))
			return &t->v[i];
	return NULL;
}

static void
test_tokens(void **state)
{
	struct arena *a = arena_new(0);
	struct bayes_tokens t;

	tokens_of("From: Shop <news@mail.shop.example>\r\nSubject: V\xc3\x8d" "A Free!\r\nX-Mailer: Acme Mailer 3.2\r\n"
	    "List-Unsubscribe: <mailto:x@shop.example>\r\nReply-To: <boss@gmail.example>\r\n"
	    "Received: from unheard.example\r\nX-Spam-Status: yes\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n"
	    "Your ACCOUNT is limited: pay 20 $ or call 0612345678 today, "
	    "\xe6\x97\xa5\xe6\x9c\xac. See https://pay.evil.example/x\r\n", &key, a, &t);
	assert_non_null(token(&t, BAYES_SUBJECT, "via"));		/* folded */
	assert_non_null(token(&t, BAYES_SUBJECT, "!"));
	assert_non_null(token(&t, BAYES_TEXT, "account"));
	assert_non_null(token(&t, BAYES_PAIR, "your account"));
	assert_non_null(token(&t, BAYES_PAIR, "20 $"));
	assert_null(token(&t, BAYES_TEXT, "is"));			/* too short alone … */
	assert_non_null(token(&t, BAYES_PAIR, "account is"));	/* … and good for a pair */
	assert_null(token(&t, BAYES_TEXT, "0612345678"));		/* no number can be found again */
	assert_non_null(token(&t, BAYES_TEXT, "0000000000"));
	assert_non_null(token(&t, BAYES_TEXT, "\xe6\x97\xa5"));	/* no spaces: each by itself */
	assert_non_null(token(&t, BAYES_FROM, "mail.shop.example"));
	assert_non_null(token(&t, BAYES_FROM, "shop.example"));
	assert_non_null(token(&t, BAYES_HOST, "evil.example"));
	assert_non_null(token(&t, BAYES_HOST, "pay.evil.example"));
	assert_non_null(token(&t, BAYES_HEADER, "mailer:acme mailer"));
	assert_non_null(token(&t, BAYES_HEADER, "list-unsubscribe"));
	assert_non_null(token(&t, BAYES_HEADER, "answers:gmail.example"));
	assert_non_null(token(&t, BAYES_SHAPE, "charset:utf-8"));
	for (size_t i = 0; i < t.n; i++) {		/* no trace, nor what a filter before us said */
		assert_true(memmem(t.v[i].text.p, t.v[i].text.n, "unheard", 7) == NULL);
		assert_true(memmem(t.v[i].text.p, t.v[i].text.n, "spam-status", 11) == NULL);
		assert_int_not_equal(t.v[i].hash, 0);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(t.v[i].hash, t.v[k].hash);
	}
	arena_free(&a);
}

/* The same words in a subject and in a text are others; another secret makes others of all. */
static void
test_keyed(void **state)
{
	static const char raw[] = "Subject: winner\r\n\r\nwinner\r\n";
	struct arena *a = arena_new(0);
	struct bayes_tokens t, u;
	size_t same = 0;

	tokens_of(raw, &key, a, &t);
	tokens_of(raw, &other, a, &u);
	assert_int_not_equal(token(&t, BAYES_SUBJECT, "winner")->hash, token(&t, BAYES_TEXT, "winner")->hash);
	assert_int_equal(t.n, u.n);
	for (size_t i = 0; i < t.n; i++)
		same += t.v[i].hash == u.v[i].hash;
	assert_int_equal(same, 0);
	arena_free(&a);
}

static void
test_bounds(void **state)
{
	struct arena *a = arena_new(0);
	uint32_t hashes[BAYES_TOKENS];
	struct bayes_tokens t;
	struct span packed;
	size_t n = 0, count;
	char *raw = malloc(1u << 20);

	n += (size_t)snprintf(raw, 64, "Subject: x\r\n\r\n");
	for (unsigned i = 0; n < (1u << 20) - 64; i++)
		n += (size_t)snprintf(raw + n, 64, "word%c%c%c%s", 'a' + i % 26, 'a' + i / 26 % 26, 'a' + i / 676 % 26,
		    i % 8 ? " " : "\r\n");
	tokens_of(raw, &key, a, &t);
	assert_int_equal(t.n, BAYES_TOKENS);
	packed = bayes_pack(&t, a);
	assert_true(bayes_unpack(packed, hashes, &count));
	assert_int_equal(count, BAYES_TOKENS);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(hashes[i], t.v[i].hash);
	assert_false(bayes_unpack(span_sub(packed, 0, 5), hashes, &count));
	assert_false(bayes_unpack(SPAN_LIT("\0\0\0\0"), hashes, &count));
	assert_false(bayes_unpack(span_make(packed.p, packed.n + 4), hashes, &count));
	free(raw);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chi_square), cmocka_unit_test(test_word), cmocka_unit_test(test_rate),
		cmocka_unit_test(test_strongest), cmocka_unit_test(test_unlearn), cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_full), cmocka_unit_test(test_broken_models), cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_keyed), cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
