/* bayes_rate.c -- what the counts say of a message; see postern/bayes.h.
 *
 * For a word w in `spam` of NSPAM spam messages and `ham` of NHAM others (Robinson 2003; SpamBayes,
 * classifier.py, probability()):
 *
 *	p(w) = (spam/NSPAM) / (spam/NSPAM + ham/NHAM)
 *	f(w) = (s x + n p(w)) / (s + n),   n = spam + ham
 *
 * so that a word seen once says little and one never seen says x. Of the words further from
 * 0.5 than BAYES_STRENGTH the strongest BAYES_CLUES_MAX are combined by Fisher's method:
 *
 *	S = 1 - C(-2 sum ln(1 - f(w)), 2N)	near 1 for many words of spam
 *	H = 1 - C(-2 sum ln f(w), 2N)		near 1 for many words of ham
 *	p = (1 + S - H) / 2
 *
 * where C is the chance that chi-square of 2N degrees is that large (chi2Q). Clues against each
 * other, and no clues at all, both come to 0.5: unsure, not sure of one of them.
 *
 * Linear in the tokens: the strongest are found by counting strengths, not by sorting.
 */
#include <math.h>
#include <string.h>

#include "postern/bayes.h"
#include "postern/err.h"

#define STEPS 512		/* of strength, from 0 to 0.5 */
#define PROBES_MAX 256		/* slots looked at; an honest table needs few */

bool
bayes_model_read(struct span bytes, struct bayes_model *m)
{
	const struct bayes_head *h = (const struct bayes_head *)(const void *)bytes.p;

	*m = (struct bayes_model){ 0 };
	if (bytes.n < sizeof(*h) || (uintptr_t)bytes.p % _Alignof(struct bayes_head) ||
	    memcmp(h->magic, BAYES_MAGIC, sizeof(h->magic)) != 0)
		return false;
	if (h->slots == 0 || h->slots > BAYES_SLOTS_MAX || (h->slots & (h->slots - 1)) ||
	    bytes.n != sizeof(*h) + (size_t)h->slots * sizeof(struct bayes_slot))
		return false;
	m->head = h;
	m->slots = (const struct bayes_slot *)(const void *)(bytes.p + sizeof(*h));
	return true;
}

bool
bayes_model_ready(const struct bayes_head *h)
{
	return h->spam > 0 && h->ham > 0 && h->spam >= h->minimum_spam && h->ham >= h->minimum_ham;
}

const struct bayes_slot *
bayes_model_find(const struct bayes_model *m, uint32_t token)
{
	uint32_t mask = m->head->slots - 1, at = token & mask;

	for (int i = 0; i < PROBES_MAX && m->slots[at].token; i++, at = (at + 1) & mask)
		if (m->slots[at].token == token)
			return &m->slots[at];
	return NULL;
}

double
bayes_word(uint32_t spam, uint32_t ham, uint32_t nspam, uint32_t nham)
{
	/* Counts above their totals are no counts: the table may have forgotten, and learnt again. */
	double s = nspam ? (double)(spam < nspam ? spam : nspam) / nspam : 0;
	double h = nham ? (double)(ham < nham ? ham : nham) / nham : 0;
	double n = (double)spam + ham;

	if (s + h == 0)
		return BAYES_PRIOR;
	return (BAYES_PRIOR_WEIGHT * BAYES_PRIOR + n * (s / (s + h))) / (BAYES_PRIOR_WEIGHT + n);
}

double
bayes_chi2q(double x2, unsigned freedom)
{
	double m = x2 / 2, term = exp(-m), sum = term;

	ASSERT(freedom > 0 && freedom % 2 == 0);
	for (unsigned i = 1; i < freedom / 2; i++) {
		term *= m / i;
		sum += term;
	}
	return sum < 1 ? sum : 1;
}

const char *
bayes_says(uint8_t percent)
{
	return percent >= BAYES_SPAM_FROM ? "spam" : percent >= BAYES_UNSURE_FROM ? "unsure" : "ham";
}

static unsigned
step_of(double f)
{
	unsigned s = (unsigned)(fabs(f - 0.5) * 2 * STEPS);

	return s < STEPS ? s : STEPS - 1;
}

/* f(w) of each token; 0: it says nothing. The weakest step that still counts, and how many of it. */
static unsigned
weigh(const struct bayes_model *m, const uint32_t *hashes, size_t n, double *f, size_t *seen,
    size_t *of_last)
{
	uint16_t steps[STEPS] = { 0 };
	size_t sum = 0;
	unsigned s = STEPS;

	*seen = 0;
	for (size_t i = 0; i < n; i++)	/* the table is larger than any cache */
		__builtin_prefetch(&m->slots[hashes[i] & (m->head->slots - 1)]);
	for (size_t i = 0; i < n; i++) {
		const struct bayes_slot *slot = bayes_model_find(m, hashes[i]);

		f[i] = 0;
		if (slot == NULL)
			continue;
		++*seen;
		f[i] = bayes_word(slot->spam, slot->ham, m->head->spam, m->head->ham);
		if (fabs(f[i] - 0.5) < BAYES_STRENGTH)
			f[i] = 0;
		else
			steps[step_of(f[i])]++;
	}
	while (s > 0 && sum + steps[s - 1] <= BAYES_CLUES_MAX)
		sum += steps[--s];
	*of_last = BAYES_CLUES_MAX - sum;	/* of step s - 1, in the message's order */
	return s;
}

/* The strongest few, in order: for people. */
static void
show(struct bayes_rating *out, size_t token, double f)
{
	size_t at = out->nclues;

	while (at > 0 && fabs(out->clues[at - 1].p - 0.5) < fabs(f - 0.5))
		at--;
	if (at == BAYES_SHOWN)
		return;
	if (out->nclues < BAYES_SHOWN)
		out->nclues++;
	memmove(&out->clues[at + 1], &out->clues[at],
	    (out->nclues - 1 - at) * sizeof(out->clues[0]));
	out->clues[at] = (struct bayes_clue){ token, f };
}

void
bayes_rate(const struct bayes_model *m, const uint32_t *hashes, size_t n, struct bayes_rating *out)
{
	double f[BAYES_TOKENS], not_ham = 0, not_spam = 0, h, s;
	size_t of_last;
	unsigned from;

	*out = (struct bayes_rating){ .p = 0.5, .percent = 50 };
	if (m->head == NULL || !bayes_model_ready(m->head) || n > BAYES_TOKENS)
		return;
	out->known = true;
	from = weigh(m, hashes, n, f, &out->seen, &of_last);
	for (size_t i = 0; i < n; i++) {
		unsigned step;

		if (f[i] == 0)
			continue;
		step = step_of(f[i]);
		if (step + 1 < from || (step + 1 == from && of_last == 0))
			continue;
		of_last -= step + 1 == from;
		out->used++;
		not_ham += log(f[i]);
		not_spam += log(1 - f[i]);
		show(out, i, f[i]);
	}
	if (out->used == 0)
		return;
	s = 1 - bayes_chi2q(-2 * not_spam, 2 * (unsigned)out->used);
	h = 1 - bayes_chi2q(-2 * not_ham, 2 * (unsigned)out->used);
	out->p = (1 + s - h) / 2;
	out->percent = (uint8_t)(out->p * 100);
}
