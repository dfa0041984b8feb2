/* reader.h -- the role that reads text in pictures: a parent that forks a child for each.
 *
 * The engine (tesseract) brings two dozen libraries, so this role is a program of its own, postern-ocr,
 * which the master starts as it starts the others. The engine is loaded once, before the cage is shut; the
 * child of a picture shares it by fork, may do nothing but compute, and ends with its picture.
 */
#ifndef READER_READER_H
#define READER_READER_H

#include "master/runtime.h"

/* What a child says: one byte, then the text. */
enum picture_status { PICTURE_WHOLE, PICTURE_PART, PICTURE_NOT, PICTURE_STATUSES };

struct reader_engine {
	/* In the parent, before the cage: languages as in "eng+fra". */
	int (*start)(const char *languages, struct err *err);
	/* In a child: what can be read in ms. text: malloc'd, UTF-8; "" nothing. */
	enum picture_status (*read)(const char *bytes, size_t n, uint64_t pixels, int64_t ms, char **text);
};

/* Set by the program before runtime_main. */
extern const struct reader_engine *reader_engine;
extern const struct role_ops reader_ops;

#define READER_TEXT ((size_t)256 << 10)	/* of one picture */
#define READER_MEMORY ((uint64_t)768 << 20)	/* of a child, beside what the parent has */
#define READER_CHILDREN 64			/* at a time */
#define PICTURE_BYTES ((uint64_t)256 << 20)

/* In a child: the text of the picture in fd to `out`, then the end. */
_Noreturn void reader_child(int fd, uint64_t size, uint64_t pixels, int64_t ms, int out, uint64_t memory);

#endif
