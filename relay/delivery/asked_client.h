/* asked_client.h -- a request of a control client or the console, read and limited to what its maker may see.
 *
 *	if (!client_begin(&q, rt, fd, uid, request))	it has been answered
 *		return;
 *	… client_error_coded(&q, …), or r = client_take(&q) and lines; nothing: the client hears that nobody answers
 *	client_over(&q);
 */
#ifndef DELIVERY_ASKED_CLIENT_H
#define DELIVERY_ASKED_CLIENT_H

#include "ipc/json_read.h"
#include "ipc/principal.h"
#include "json.h"
#include "master/runtime.h"

struct client_request {
	struct runtime *rt;
	int fd;				/* -1: answered, or taken */
	struct arena *arena;
	struct jval *v;
	struct principal who;
};

bool client_begin(struct client_request *q, struct runtime *rt, int fd, uint32_t uid, struct span request);
void client_over(struct client_request *q);
/* {"v":1,"error":text,"code":code} */
void client_error_coded(struct client_request *q, const char *code, const char *text);
/* The answer is the caller's to write and to end. */
struct reply *client_take(struct client_request *q);
/* One of our domains that a member names, and that the client may see. NULL: it has been told that there is none. */
const struct conf_domain *client_domain(struct client_request *q, const char *member);
struct json client_line(struct reply *r);			/* {"v":1 */
void client_line_end(struct reply *r, struct json *j);

#endif
