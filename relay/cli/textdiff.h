/* textdiff.h -- the lines in which two texts differ. */
#ifndef CLI_TEXTDIFF_H
#define CLI_TEXTDIFF_H

#include "buf.h"

/* In the form of `diff -u`, without the two lines of file names. put: each line with its sign. True
 * when they differ. Bounded: where texts differ in very many lines it is not the shortest form. */
bool textdiff(struct span a, struct span b, void (*put)(void *ctx, char sign, struct span line),
    void *ctx);

#endif
