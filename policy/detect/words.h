/* words.h -- finds any number of words and phrases in one walk over a text.
 *
 * An Aho-Corasick automaton over folded text (text_fold): its cost is that of
 * the text, whatever the number of words. A word is found only where it stands
 * whole: a letter or digit of the word has no letter or digit beside it
 * (Unicode's; scripts written without spaces have no such boundary).
 */
#ifndef DETECT_WORDS_H
#define DETECT_WORDS_H

#include "postern/span.h"

struct words;

#define WORD_BYTES_MAX 1024	/* of one folded word or phrase */

struct words *words_new(void);
void words_free(struct words **w);
/* Equal words share a number. word is folded (text_fold_word), not empty, at most
 * WORD_BYTES_MAX. Not after words_compile. */
uint32_t words_add(struct words *w, struct span word);
void words_compile(struct words *w);
size_t words_count(const struct words *w);
struct span words_text(const struct words *w, uint32_t word);

/* Called for each whole word, in order of its end. */
typedef void words_hit(void *ctx, uint32_t word, size_t from, size_t to);
void words_search(const struct words *w, struct span folded, words_hit *hit, void *ctx);

#endif
