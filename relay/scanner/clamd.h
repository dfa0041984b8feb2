/* clamd.h -- the words clamd answers with, and the way to it. */
#ifndef SCANNER_CLAMD_H
#define SCANNER_CLAMD_H

#include "postern/err.h"
#include "postern/span.h"

#define CLAMD_REPLY_MAX 4096

enum clamd_word { CLAMD_GARBAGE, CLAMD_OK, CLAMD_FOUND, CLAMD_LIMIT, CLAMD_ERROR };

/* The answer to request `id` of a session, without its end ("2: stream: Eicar-Test FOUND"). text: the name
 * of what was found, or the error; borrowed. Whatever is not exactly an answer is GARBAGE. */
enum clamd_word clamd_reply_parse(struct span reply, uint32_t id, struct span *text);

struct clamd_version {
	struct span version;	/* "1.4.6" */
	unsigned daily;		/* 0: it has custom signatures alone */
	int64_t made;		/* Unix seconds, up to a day wrong: clamd tells its own time; 0: not told */
};
/* "1: ClamAV 1.4.6/27850/Sat Nov 21 09:38:10 2026"; false: garbage. */
bool clamd_version_parse(struct span reply, uint32_t id, struct clamd_version *out);

struct conf_antivirus;
/* A socket to clamd that is connected or still connecting, non-blocking; -1. */
int clamd_dial(const struct conf_antivirus *c, struct err *err);

#endif
