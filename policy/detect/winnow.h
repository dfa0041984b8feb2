/* winnow.h -- the fingerprints of a text: winnowing (Schleimer, Wilkerson, Aiken 2003).
 *
 * Of folded text (text_fold) only letters and digits count, so neither layout
 * nor punctuation, case, accents or line ends matter. Each run of WINNOW_GRAM
 * of them is a gram; of every WINNOW_WINDOW grams that follow each other the
 * one with the least hash is chosen. Two texts that share WINNOW_GUARANTEE
 * letters and digits in a row share a chosen gram, wherever they stand; what
 * shares less than WINNOW_GRAM never does. About 2 of WINNOW_WINDOW + 1 grams
 * are chosen, and the work is linear whatever the text.
 */
#ifndef DETECT_WINNOW_H
#define DETECT_WINNOW_H

#include "postern/span.h"

#define WINNOW_GRAM 32
#define WINNOW_WINDOW 33
#define WINNOW_GUARANTEE (WINNOW_GRAM + WINNOW_WINDOW - 1)	/* 64: some ten words */
#define WINNOW_KEY_BYTES (WINNOW_GRAM * 4)

struct winnow_gram {
	uint32_t at;		/* how many letters and digits stand before it */
	uint32_t from, to;	/* in the folded text */
	uint32_t n;
	uint8_t key[WINNOW_KEY_BYTES];	/* its characters alone, in UTF-8: n bytes */
};

typedef void winnow_hit(void *ctx, const struct winnow_gram *g);
/* Chosen grams in the order of the text. Returns the number of letters and digits. folded is
 * valid UTF-8, shorter than 4 GiB. */
size_t winnow(struct span folded, winnow_hit *hit, void *ctx);

#endif
