/* https.h -- one HTTPS exchange in the event loop, through libcurl.
 *
 * What is allowed is little, and the same for everybody: https, one request, no redirect, no
 * proxy, no cookie, TLS 1.2 or later, a certificate that an authority vouches for and that has the
 * host's name among its alternative names (a common name does not count). Names are resolved by
 * our own resolver, so that libcurl needs neither thread nor file. Each exchange has a curl of its
 * own: nothing of one host is seen by another.
 */
#ifndef FETCHER_HTTPS_H
#define FETCHER_HTTPS_H

#include <stdint.h>

#include "postern/err.h"
#include "postern/span.h"

struct event_base;
struct resolver;
struct x509_store_st;
struct https;

struct https_world {
	struct event_base *base;
	struct resolver *resolver;
	struct x509_store_st *roots;
};

struct https_question {
	const char *url;
	struct span post;		/* p NULL: GET */
	const char *type;		/* of what is posted */
	const char *headers[4];		/* more of them, "Name: value"; NULL: the end */
	size_t max;			/* bytes of the answer's body; more is a failure */
	int64_t timeout;		/* microseconds, from the first to the last byte */
};

enum https_end {
	HTTPS_ANSWERED,			/* status, type and body hold; status may be any */
	HTTPS_CERTIFICATE,		/* the other side has not proved to be the host */
	HTTPS_FAILED,
};

struct https_answer {
	enum https_end end;
	int status;
	struct span type, body;
	int64_t date;			/* the other side's clock (Date), seconds; 0: it does not say */
	const char *why;		/* one line, unless ANSWERED */
};

typedef void https_cb(void *ctx, const struct https_answer *a);

/* Once in a process, before the sandbox. roots: a file of certificates, NULL: the system's. */
int https_global(const char *roots, struct x509_store_st **out, struct err *err);
/* Other authorities than those, of a file of certificates. */
int https_roots(const char *path, struct x509_store_st **out, struct err *err);
/* Never calls back from within. The question is copied but for post, which must stay. */
struct https *https_start(const struct https_world *w, const struct https_question *q,
    https_cb *cb, void *ctx);
void https_cancel(struct https **h);		/* NULL-safe; the callback will not come */

#endif
