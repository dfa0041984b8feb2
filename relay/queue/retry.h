/* retry.h -- how soon to try again: a curve for each class of failure.
 *
 * A mailbox that is full is not empty in a minute, a greylisting server says
 * yes after five, and a site that says "too much" wants less of us. So what
 * failed is put into one of a few classes, by who failed (enum fail_class) and
 * by the words of the reply, and each class has its own list of pauses; the
 * last one repeats. One table holds names, defaults and what people are told.
 *
 * Pure: the same texts always give the same class, so a restart finds it again
 * in the record of the latest attempt.
 */
#ifndef QUEUE_RETRY_H
#define QUEUE_RETRY_H

#include "ipc/messages.h"

/* X(NAME, "key in postern.yaml", "phrase", pauses in minutes …) */
#define RETRY_TABLE(X) \
	X(DEFAULT, "default", "put off by the other side", 1, 5, 15, 30, 60, 120, 240) \
	X(DNS, "dns", "its domain cannot be looked up", 2, 5, 15, 30, 60, 120, 240) \
	X(CONNECT, "connect", "none of its servers can be reached", 1, 5, 15, 30, 60, 120, 240) \
	X(TLS, "tls", "no connection as safe as asked for", 10, 30, 60, 120, 240) \
	X(GREYLISTED, "greylisted", "asked to come again (greylisting)", 5, 5, 10, 20, 30, 60, 120) \
	X(RATE, "rate", "it takes no more for now", 5, 10, 20, 40, 60, 120) \
	X(MAILBOX_FULL, "mailbox_full", "a mailbox is full", 60, 120, 240, 480)
enum retry_class {
#define X(name, key, phrase, ...) RETRY_##name,
	RETRY_TABLE(X)
#undef X
	RETRY_CLASSES
};

struct retry_curve {
	const int64_t *pause;	/* microseconds */
	size_t n;		/* 0: that of RETRY_DEFAULT */
};

#define RETRY_STEPS_MAX 64	/* pauses of one curve */

const char *retry_name(enum retry_class c);
const char *retry_phrase(enum retry_class c);
/* The table's own curve. */
struct retry_curve retry_default(enum retry_class c);
/* The pause before the try after `failed` ones of this class in a row (1 …). */
int64_t retry_pause(const struct retry_curve curves[RETRY_CLASSES], enum retry_class c,
    unsigned failed);
enum retry_class retry_classify(enum fail_class cls, struct span dsn, struct span reply);
/* Of a site that is to rest: nothing was said of recipients. */
enum retry_class retry_of_site(enum fail_class cls);
/* What a greylisting server asks for in its own words ("in 300 seconds", "00:05:00"), within
 * RETRY_HINT_MIN and _MAX; 0: nothing. */
#define RETRY_HINT_MIN (INT64_C(30) * 1000000)
#define RETRY_HINT_MAX (INT64_C(3600) * 1000000)
int64_t retry_hint(struct span reply);

#endif
