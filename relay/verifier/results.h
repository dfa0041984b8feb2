/* results.h -- Authentication-Results (RFC 8601): ours written, others' read. Pure. */
#ifndef VERIFIER_RESULTS_H
#define VERIFIER_RESULTS_H

#include "buf.h"
#include "postern/arena.h"
#include "postern/span.h"

/* ---- reading ---- */
/* Does a field's body claim to be written by `us`? Also when nobody can tell who wrote it: some
 * reader may take it for ours. */
bool results_claim(struct span body, struct span us);
/* Is "method=result" among what stands behind the name of the server? Comments and quoted strings say
 * nothing. */
bool results_say(struct span list, const char *method, const char *result);

/* ---- writing ---- */
struct results {
	struct buf *b;
	size_t column;
	bool any;
};
void results_begin(struct results *r, struct buf *b, struct span authserv_id);
void results_method(struct results *r, const char *method, const char *result);
/* In this order, behind results_method. Text of strangers is quoted, what is not visible ASCII
 * becomes "?", and VALUE_MAX bytes of it are enough. */
void results_reason(struct results *r, struct span text);
void results_comment(struct results *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void results_property(struct results *r, const char *name, struct span value);
void results_end(struct results *r);		/* closes the field; "none" when nothing was said */

#endif
