/* http.h -- one HTTP/1.1 request, read whole, and nothing more of HTTP: pure.
 *
 * A connection carries one request and its answer. So there is no pipelining, no chunked
 * body, no keep-alive, and nothing for a proxy and us to disagree about: what is not
 * plain is refused. Bounded: HTTP_HEAD_MAX for the request line and all fields,
 * HTTP_BODY_MAX for a body, which must be announced by Content-Length.
 */
#ifndef CONSOLE_HTTP_H
#define CONSOLE_HTTP_H

#include "postern/arena.h"
#include "postern/span.h"

#define HTTP_HEAD_MAX ((size_t)8 << 10)
#define HTTP_BODY_MAX ((size_t)16 << 10)
#define HTTP_FIELD_MAX ((size_t)2 << 10)	/* a form's field, decoded */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

struct http_request {
	enum http_method method;
	struct span path;	/* before ?, as it came */
	struct span query;	/* behind ?, as it came; "" none */
	struct span languages;	/* Accept-Language; "" none */
	bool form;		/* the body is application/x-www-form-urlencoded */
	struct span body;
};

/* 1: whole, borrowed from `in`; 0: more is to come; -1: never: *status is the answer. */
int http_read(struct span in, struct http_request *r, int *status);
/* A field of a query or form, decoded; false: it is not there, twice there, broken or too long. */
bool http_field(struct span form, const char *name, struct arena *a, struct span *out);
/* Does Accept-Language (RFC 9110, 12.5.4) rather have French than English? */
bool http_french(struct span languages);
const char *http_reason(int status);

#endif
