/* program.h -- where the program that reads pictures is, and a picture read by it alone. */
#ifndef READER_PROGRAM_H
#define READER_PROGRAM_H

#include "postern/anatomy.h"
#include "postern/err.h"

#define READER_PROGRAM "postern-ocr"

struct conf_ocr;

/* Beside the program `exe`, or in the sbin beside its bin. */
bool reader_program(const char *exe, char *path, size_t size);
/* The program is there and has these languages; it is run to know. */
int reader_check(const struct conf_ocr *conf, struct err *err);

/* For who has no reader to ask (`postern explain`): the program is run for each picture. */
struct reader_alone {
	const struct conf_ocr *conf;
	int64_t spent;		/* microseconds of this message's */
};
/* For struct picture_reader; ctx: struct reader_alone. */
bool reader_alone(void *ctx, struct span picture, struct arena *a, struct span *out);

#endif
