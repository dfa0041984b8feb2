/* bayes_accuracy.c -- how well the classifier tells spam from ham, by cross-validation.
 *
 *	bayes_accuracy SPAM... -- HAM...	files, mboxes or folders, as `postern bayes train` takes them
 *
 * Ten times nine tenths of the messages are learnt and the rest is judged; which tenth a message is in
 * hangs on its bytes alone. Then the learning curve: after so many of each, all the rest. A message that stands
 * twice in the corpus is taken once. What judges is the library the scanner uses; nothing here is tuned.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/mail_files.h"
#include "postern/anatomy.h"
#include "postern/bayes.h"
#include "postern/err.h"
#include "table.h"

#define FOLDS 10
#define MAX 200000

static const struct bayes_key key = { "accuracy accurac" };

struct mail {
	uint64_t print;
	uint32_t *hashes;
	size_t n;
	bool spam;
};

static struct mail *mails;
static size_t nmails;
static struct idtable *known;
static bool spam_now;

static int
take(void *ctx, const char *name, struct span content, struct arena *a)
{
	uint64_t print = siphash(key.bytes, content.p, content.n);
	struct bayes_tokens t;
	struct anatomy an;
	struct mail *m;

	if (idtable_get(known, print) || nmails == MAX)
		return 0;
	idtable_put(known, print, &known);
	anatomy_build(a, content, NULL, &an);
	bayes_tokenise(&an, &key, a, &t);
	m = &mails[nmails++];
	*m = (struct mail){ print, malloc((t.n + 1) * sizeof(uint32_t)), t.n, spam_now };
	for (size_t i = 0; i < t.n; i++)
		m->hashes[i] = t.v[i].hash;
	return 0;
}

static void
complain(void *ctx, const char *name, const char *why)
{
	fprintf(stderr, "%s: %s\n", name, why);
}

static int
by_print(const void *a, const void *b)
{
	const struct mail *x = a, *y = b;

	return (x->print > y->print) - (x->print < y->print);
}

struct sums {
	size_t n[2];		/* ham, spam */
	size_t says[2][3];	/* ham, unsure, spam */
	size_t steps[2][8];	/* BAYES_00 … BAYES_99 */
};

static void
learn(struct bayes_table *t, const struct mail *m)
{
	struct bayes_eviction e;

	if (bayes_table_full(t, m->n))
		bayes_table_evict(t, &e);
	bayes_table_learn(t, m->hashes, m->n, m->spam, 1, 1);
}

static void
judge(const struct bayes_table *t, const struct mail *m, struct sums *s)
{
	static const int from[8] = { 0, 1, 5, 20, 60, 80, 95, 99 };
	const struct bayes_model model = { &t->head, t->slots };
	struct bayes_rating r;
	int step = 7;

	bayes_rate(&model, m->hashes, m->n, &r);
	while (r.percent < from[step])
		step--;
	s->n[m->spam]++;
	s->says[m->spam][r.percent >= BAYES_SPAM_FROM ? 2 : r.percent >= BAYES_UNSURE_FROM]++;
	s->steps[m->spam][step]++;
}

static double
share(size_t n, size_t of)
{
	return of ? 100.0 * (double)n / (double)of : 0;
}

static void
print(const char *what, const struct sums *s)
{
	printf("%-22s ham %5zu: %6.2f%% ham %5.2f%% unsure %5.2f%% spam    spam %5zu: %6.2f%% spam %5.2f%% unsure %5.2f%% ham\n",
	    what, s->n[0], share(s->says[0][0], s->n[0]), share(s->says[0][1], s->n[0]), share(s->says[0][2], s->n[0]),
	    s->n[1], share(s->says[1][2], s->n[1]), share(s->says[1][1], s->n[1]), share(s->says[1][0], s->n[1]));
}

static void
folds(struct bayes_table *t)
{
	static const char *const names[] = { "BAYES_00", "BAYES_05", "BAYES_20", "(nothing)", "BAYES_60", "BAYES_80",
		"BAYES_95", "BAYES_99" };
	struct sums s = { 0 };

	for (unsigned f = 0; f < FOLDS; f++) {
		bayes_table_clear(t);
		for (size_t i = 0; i < nmails; i++)
			if (mails[i].print % FOLDS != f)
				learn(t, &mails[i]);
		for (size_t i = 0; i < nmails; i++)
			if (mails[i].print % FOLDS == f)
				judge(t, &mails[i], &s);
	}
	print("ten folds", &s);
	for (int k = 0; k < 8; k++)
		printf("  %-10s %5zu ham (%5.2f%%)  %5zu spam (%5.2f%%)\n", names[k], s.steps[0][k],
		    share(s.steps[0][k], s.n[0]), s.steps[1][k], share(s.steps[1][k], s.n[1]));
}

static void
curve(struct bayes_table *t, size_t of_each)
{
	size_t taught[2] = { 0, 0 };
	struct sums s = { 0 };
	char what[64];

	bayes_table_clear(t);
	for (size_t i = 0; i < nmails; i++)
		if (taught[mails[i].spam] < of_each) {
			taught[mails[i].spam]++;
			learn(t, &mails[i]);
		}
	if (taught[0] < of_each || taught[1] < of_each)
		return;
	taught[0] = taught[1] = 0;
	for (size_t i = 0; i < nmails; i++)
		if (taught[mails[i].spam]++ >= of_each)
			judge(t, &mails[i], &s);
	snprintf(what, sizeof(what), "after %zu of each", of_each);
	print(what, &s);
}

int
main(int argc, char **argv)
{
	struct bayes_table t;
	size_t spam = 0;

	mails = calloc(MAX, sizeof(*mails));
	known = idtable_new();
	ASSERT(mails && bayes_table_init(&t, BAYES_TABLE_TOKENS) == 0);
	t.head.minimum_spam = t.head.minimum_ham = 1;
	spam_now = true;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--") == 0)
			spam_now = false;
		else
			mail_files_walk(argv[i], take, complain, NULL);
	for (size_t i = 0; i < nmails; i++)
		spam += mails[i].spam;
	if (spam_now || spam < FOLDS || nmails - spam < FOLDS) {
		fputs("usage: bayes_accuracy SPAM... -- HAM...\n", stderr);
		return 2;
	}
	qsort(mails, nmails, sizeof(*mails), by_print);
	printf("%zu spam, %zu ham\n", spam, nmails - spam);
	folds(&t);
	for (size_t n = 50; n <= 1600; n *= 2)
		curve(&t, n);
	bayes_table_release(&t);
	return 0;
}
