/* bayes.h -- a classifier that learns: words of a message, how often they stood in spam and in
 * ham, and what that says together.
 *
 * A message is known to the model by hashes alone, keyed with a secret of the site: whoever does not
 * have it can neither aim at the places of other words nor read words out of a table. A
 * message's number of hashes is bounded (BAYES_TOKENS), and so is how much of it is read.
 *
 * How the counts become a probability (policy/detect/bayes_rate.c): Gary Robinson, "A Statistical
 * Approach to the Spam Problem", Linux Journal 107 (2003), with Fisher's method of combining
 * probabilities, as SpamBayes (classifier.py, chi2_spamprob) and SpamAssassin do.
 *
 * Pure. A model is bytes (a sealed memfd of the store's) that are only read; the table in which
 * somebody learns is struct bayes_table.
 */
#ifndef POSTERN_BAYES_H
#define POSTERN_BAYES_H

#include "postern/arena.h"
#include "postern/span.h"

struct anatomy;

/* ---- the numbers ---- */
#define BAYES_TOKENS 1024		/* distinct hashes of one message */
#define BAYES_READ ((size_t)32 << 10)	/* bytes of folded text that are read, over all texts */
#define BAYES_WORD 40			/* bytes; what is longer counts by its length alone */
#define BAYES_HOSTS 64			/* hosts of links that count */
#define BAYES_CLUES_MAX 150		/* the strongest that are combined (SpamBayes: max_discriminators) */
#define BAYES_STRENGTH 0.1		/* nearer to 0.5 than this: says nothing (minimum_prob_strength) */
#define BAYES_PRIOR 0.5			/* Robinson's x: of a word never seen */
#define BAYES_PRIOR_WEIGHT 0.45		/* Robinson's s: how many messages that belief is worth */
#define BAYES_SHOWN 12			/* clues told to people */
#define BAYES_UNSURE_FROM 20		/* per cent: below it is ham … */
#define BAYES_SPAM_FROM 90		/* … from here on spam, in between unsure (SpamBayes's cutoffs) */
#define BAYES_LEARN_MIN 200		/* spam and ham each, before it says anything (SpamAssassin's) */
#define BAYES_TABLE_TOKENS 250000	/* of a table, unless postern.yaml says else: 8 MiB */
#define BAYES_SLOTS_MAX (UINT32_C(1) << 23)

/* ---- a message's tokens ---- */

/* X(NAME, "name", content): content is what people wrote; its words are not told to the journal. */
#define BAYES_KINDS(X) \
	X(TEXT, "word", true) X(PAIR, "pair", true) X(SUBJECT, "subject", true) X(HIDDEN, "hidden", true) \
	X(FROM, "from", false) X(HOST, "host", false) X(HEADER, "header", false) X(FILE, "file", false) \
	X(SHAPE, "shape", false)
enum bayes_kind {
#define X(name, text, content) BAYES_##name,
	BAYES_KINDS(X)
#undef X
	BAYES_KIND_COUNT
};
const char *bayes_kind_name(enum bayes_kind k);
bool bayes_kind_is_content(enum bayes_kind k);

struct bayes_key {
	uint8_t bytes[16];
};

struct bayes_token {
	uint32_t hash;		/* never 0 */
	enum bayes_kind kind;
	struct span text;	/* folded; borrowed from the anatomy or in the arena */
};

struct bayes_tokens {
	struct bayes_token *v;
	size_t n;
};
/* Never fails; the same message and key give the same tokens in the same order. */
void bayes_tokenise(const struct anatomy *an, const struct bayes_key *key, struct arena *a,
    struct bayes_tokens *out);
/* The hashes alone, as messages and the database carry them: 4 bytes each, little-endian. */
struct span bayes_pack(const struct bayes_tokens *t, struct arena *a);
/* False: no such bytes (length, order of bytes does not matter, 0, too many). hashes: BAYES_TOKENS. */
bool bayes_unpack(struct span packed, uint32_t *hashes, size_t *n);

/* ---- the model ---- */

struct bayes_slot {
	uint32_t token;		/* 0: empty */
	uint32_t spam, ham;	/* messages it stood in */
	uint32_t day;		/* since 1970, when it was learnt last */
};
/* Host byte order: it goes from process to process of one machine. */
struct bayes_head {
	char magic[8];		/* BAYES_MAGIC */
	uint64_t generation;
	uint32_t slots;		/* a power of two */
	uint32_t tokens;	/* that are not empty */
	uint32_t spam, ham;	/* messages learnt */
	uint32_t minimum_spam, minimum_ham;	/* before it may be asked */
	uint32_t delivered;	/* of 100 messages that are delivered, how many are remembered */
	uint32_t spare;
	struct bayes_key key;
};
#define BAYES_MAGIC "PstrBay1"

struct bayes_model {
	const struct bayes_head *head;	/* NULL: none */
	const struct bayes_slot *slots;
};
/* Any bytes may come; false: they are no model. Borrowed. */
bool bayes_model_read(struct span bytes, struct bayes_model *m);
bool bayes_model_ready(const struct bayes_head *h);	/* it has learnt enough */
const struct bayes_slot *bayes_model_find(const struct bayes_model *m, uint32_t token);	/* NULL */

/* ---- asking it ---- */

struct bayes_clue {
	size_t token;		/* index among the message's */
	double p;		/* Robinson's f(w): 0 ham, 1 spam */
};
struct bayes_rating {
	bool known;		/* the model is ready */
	double p;		/* 0 ham … 1 spam; 0.5 when nothing in it is known */
	uint8_t percent;	/* p in per cent, rounded down */
	size_t used;		/* clues that were combined */
	size_t seen;		/* tokens the model knows */
	struct bayes_clue clues[BAYES_SHOWN];	/* the strongest first */
	size_t nclues;
};
void bayes_rate(const struct bayes_model *m, const uint32_t *hashes, size_t n, struct bayes_rating *out);
double bayes_word(uint32_t spam, uint32_t ham, uint32_t nspam, uint32_t nham);	/* f(w) */
/* Chance that chi-square with `freedom` degrees (even) is as large as x2 or larger. */
double bayes_chi2q(double x2, unsigned freedom);
const char *bayes_says(uint8_t percent);	/* "ham", "unsure", "spam" */

/* ---- learning ---- */

/* Where somebody counts. Full, it forgets what was seen once and long ago first. */
struct bayes_table {
	struct bayes_head head;
	struct bayes_slot *slots;
	uint32_t max;		/* tokens */
};
int bayes_table_init(struct bayes_table *t, uint32_t max);	/* -1: no memory */
void bayes_table_release(struct bayes_table *t);
void bayes_table_clear(struct bayes_table *t);
/* As it was read from the database: false when there is no room. */
bool bayes_table_put(struct bayes_table *t, const struct bayes_slot *s);
/* One message: +1 (sign 1) or -1 for each of its tokens and for its class. Counts never fall below 0:
 * what was forgotten meanwhile stays so. */
void bayes_table_learn(struct bayes_table *t, const uint32_t *hashes, size_t n, bool spam, int sign,
    uint32_t day);
bool bayes_table_full(const struct bayes_table *t, size_t more);
/* Who goes: those with spam + ham <= count that were learnt last before that day, or on it and have a hash
 * up to `token` (hashes are spread evenly: a share of the day's). About a quarter of max, or all there are. */
struct bayes_eviction {
	uint32_t count, day, token;
	uint32_t n;
};
void bayes_table_evict(struct bayes_table *t, struct bayes_eviction *out);

#endif
