/* asked_client.c -- a request of a control client or the console; see asked_client.h. */
#include "addr.h"
#include "delivery/asked_client.h"

#define READERS (PRINCIPAL_BIT(DOMAIN_ADMIN) | PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR))

bool
client_begin(struct client_request *q, struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	struct err err;

	*q = (struct client_request){ .rt = rt, .fd = fd, .arena = arena_new(0) };
	q->v = jval_parse(request, &err);
	if (q->v && principal_read(q->v, uid, q->arena, &q->who, &err) == 0)
		return true;
	client_error_coded(q, q->v ? "forbidden" : "invalid", err.text);
	client_over(q);
	return false;
}

void
client_over(struct client_request *q)
{
	if (q->fd != -1)
		client_error_coded(q, "invalid", "the request cannot be answered");
	jval_free(&q->v);
	arena_free(&q->arena);
}

struct json
client_line(struct reply *r)
{
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	return j;
}

void
client_line_end(struct reply *r, struct json *j)
{
	json_end_object(j);
	buf_putc(reply_buf(r), '\n');
}

struct reply *
client_take(struct client_request *q)
{
	struct reply *r = reply_new(q->rt, q->fd);

	q->fd = -1;
	return r;
}

void
client_error_coded(struct client_request *q, const char *code, const char *text)
{
	struct reply *r;
	struct json j;

	if (q->fd == -1)
		return;
	r = client_take(q);
	j = client_line(r);
	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	client_line_end(r, &j);
	reply_end(&r);
}

const struct conf_domain *
client_domain(struct client_request *q, const char *member)
{
	const struct conf_domain *d = NULL;
	struct span name;

	if (!principal_is(&q->who, READERS)) {
		client_error_coded(q, "forbidden", "not allowed");
		return NULL;
	}
	if (domain_normalise(q->arena, jval_text(q->v, member), &name))
		d = config_domain(q->rt->conf, name);
	if (d && (q->who.local || principal_sees_domain(&q->who, d->name)))
		return d;
	client_error_coded(q, "not-found", "no such domain");
	return NULL;
}
