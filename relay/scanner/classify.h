/* classify.h -- the classifier (postern/bayes.h) in a scanner: what it says of a message, and what it will
 * need to learn from it. */
#ifndef SCANNER_CLASSIFY_H
#define SCANNER_CLASSIFY_H

#include "postern/bayes.h"
#include "postern/envelope.h"
#include "postern/facts.h"
#include "postern/verdict.h"

/* Into facts and tokens. Of a word that people wrote the facts have its hash: they go into the journal. */
void classify(const struct bayes_model *m, const struct anatomy *an, struct arena *a, struct facts *f,
    struct bayes_tokens *tokens);
/* What the store is to remember of a message: of all that are kept, and of some that are delivered. */
struct span classify_remember(const struct bayes_model *m, const struct envelope *env,
    const struct verdict *v, const struct bayes_tokens *tokens, struct arena *a);

#endif
