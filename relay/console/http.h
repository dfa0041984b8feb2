/* http.h -- one HTTP/1.1 request, read whole, and nothing more of HTTP: pure.
 *
 * There is no chunked body, and nothing for a proxy and us to disagree about: what is not plain
 * is refused, and a connection on which something was refused is closed. Bounded: HTTP_HEAD_MAX
 * for the request line and all fields, and for a body, which must be announced by Content-Length,
 * what http_room grants it by its path.
 */
#ifndef CONSOLE_HTTP_H
#define CONSOLE_HTTP_H

#include "postern/arena.h"
#include "postern/span.h"

#define HTTP_HEAD_MAX ((size_t)8 << 10)
#define HTTP_FORM_MAX ((size_t)16 << 10)
#define HTTP_BODY_MAX ((size_t)64 << 10)	/* of /api/… */
#define HTTP_POLICY_MAX ((size_t)2 << 20)	/* of policy files, by somebody with a session's cookie */
#define HTTP_SESSION_SIZE 64			/* the cookie: hexadecimal */
#define HTTP_NEXT_MAX 200			/* of the page that a sign-in at a provider leads to */
#define HTTP_FIELD_MAX ((size_t)2 << 10)	/* a form's field, decoded */

/* X(NAME, "name"); what has no name here is OTHER */
#define HTTP_METHODS(X) X(GET, "GET") X(HEAD, "HEAD") X(POST, "POST") X(PATCH, "PATCH") X(DELETE, "DELETE")
enum http_method {
#define X(name, text) HTTP_##name,
	HTTP_METHODS(X)
#undef X
	HTTP_OTHER
};
const char *http_method_name(enum http_method m);	/* "OTHER" */

struct http_request {
	enum http_method method;
	struct span path;	/* before ?, as it came */
	struct span query;	/* behind ?, as it came; "" none */
	struct span languages;	/* Accept-Language; "" none */
	struct span host;	/* Host, with its port; "" none (HTTP/1.0) */
	struct span session;	/* the cookie postern_session, HTTP_SESSION_SIZE hexadecimal digits; "" none */
	struct span oidc;	/* the cookie __Host-postern_oidc, as many digits; "" none */
	struct span oidc_language;	/* … behind its `.`: "en", "fr" */
	struct span oidc_next;	/* … and behind that the page: http_next_ok; "" none */
	struct span csrf;	/* X-Postern-CSRF */
	struct span etag;	/* If-None-Match */
	struct span forwarded;	/* X-Forwarded-For */
	bool cross_site;	/* Sec-Fetch-Site says that another site asks */
	bool form;		/* the body is application/x-www-form-urlencoded */
	bool json;		/* the body is application/json */
	bool old;		/* HTTP/1.0 */
	bool close;		/* no further request on this connection */
	struct span body;
	size_t size;		/* of all of it */
};

/* How large a body this request may bring. */
size_t http_room(const struct http_request *r);
/* 1: whole, borrowed from `in`; 0: more is to come; -1: never: *status is the answer. */
int http_read(struct span in, struct http_request *r, int *status);
/* %xx and + undone; false: broken, too long, or a NUL. */
bool http_decode(struct span s, struct arena *a, struct span *out);
/* A field of a query or form, decoded; false: it is not there, twice there, broken or too long. */
bool http_field(struct span form, const char *name, struct arena *a, struct span *out);
/* The address of a page behind our `/#`: "/queue?by=site". Fit for a cookie and a header, and for nothing else. */
bool http_next_ok(struct span next);
/* Does Accept-Language (RFC 9110, 12.5.4) rather have French than English? */
bool http_french(struct span languages);
const char *http_reason(int status);

#endif
