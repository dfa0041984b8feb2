/* classify.h -- the classifier (postern/bayes.h) in a scanner: what it says of a message, and what it will
 * need to learn from it. */
#ifndef SCANNER_CLASSIFY_H
#define SCANNER_CLASSIFY_H

#include "postern/bayes.h"
#include "postern/envelope.h"
#include "postern/facts.h"
#include "postern/verdict.h"

/* Into facts and tokens. words: those that people wrote are told too (whoever asks has the message
 * before them); else such a clue is the hash of its word. */
void classify(const struct bayes_model *m, const struct anatomy *an, bool words, struct arena *a,
    struct facts *f, struct bayes_tokens *tokens);
/* What is told of a rating. */
void classify_told(const struct bayes_rating *r, const struct bayes_tokens *t, bool words,
    struct arena *a, struct facts *f);
/* What the store is to remember of a message: of all that are kept, and of some that are delivered. */
struct span classify_remember(const struct bayes_model *m, const struct envelope *env,
    const struct verdict *v, const struct bayes_tokens *tokens, struct arena *a);

#endif
