/* api.c -- /api/v1: which route, who asks, may he, and the command behind it.
 *
 * In this order: the route, where the request comes from (Sec-Fetch-Site, the type of its body), the
 * session's token where something is to change, the session itself (the store is asked, each time: who
 * was removed is out at once), the role. Only then a command goes to the role that answers it.
 */
#include "console/routes.h"
#include "log.h"

#define OPENAPI_MAX ((size_t)256 << 10)

static void
describe(struct client *k)
{
	struct buf b;

	buf_init(&b, OPENAPI_MAX);
	openapi_write(&b);
	client_answer(k, 200, "application/json", buf_data(&b));
	buf_release(&b);
}

/* ---- a message ---- */

static void
message_explained(struct client *k, struct span lines)
{
	const struct span *first = k->state;
	struct span record = span_trim(lines);
	const char *code;
	struct err err;
	struct buf b;
	int status;

	buf_init(&b, ANSWER_BYTES_MAX);
	buf_span(&b, *first);
	buf_puts(&b, ",\"explain\":");
	buf_span(&b, record.n && api_failed(record, &status, &code, &err) == 0 ? record :
	    SPAN_LIT("null"));
	buf_putc(&b, '}');
	if (buf_failed(&b))
		client_error(k, 503, "limit", "the answer is too long");
	else
		client_answer(k, 200, "application/json", buf_data(&b));
	buf_release(&b);
}

/* The line of the trace with this id; then its record. */
static void
message_traced(struct client *k, struct span lines)
{
	struct span line = span_sub(lines, 0, span_find(lines, '\n')), *first;
	struct err err;
	struct jval *v = jval_parse(line, &err);
	struct json j;
	struct buf b;

	if (!span_eq(jval_text(v, "id"), k->parameter)) {
		jval_free(&v);
		session_refused(k, "message", k->parameter);
		client_error(k, 404, "not-found", "no message with this id");
		return;
	}
	buf_init(&b, ANSWER_BYTES_MAX);
	buf_puts(&b, "{\"v\":1,\"message\":");
	buf_span(&b, line);
	buf_puts(&b, ",\"events\":");
	jval_write(jval_get(v, "events"), &b);
	jval_free(&v);
	first = arena_alloc(k->arena, sizeof(*first));
	*first = arena_span(k->arena, buf_data(&b));
	k->state = first;
	buf_reset(&b);
	api_command(k, &j, &b, "explain");
	json_kstr(&j, "id", k->parameter);
	json_end_object(&j);
	forward_send_whatever(k, buf_data(&b), message_explained);
	buf_release(&b);
}

static void
message(struct client *k)
{
	struct buf b;
	struct json j;

	buf_init(&b, FRAME_SMALL);
	api_command(k, &j, &b, "trace");
	json_kstr(&j, "q", k->parameter);
	json_kint(&j, "limit", 1);
	json_end_object(&j);
	forward_send(k, buf_data(&b), message_traced);
	buf_release(&b);
}

/* ---- what is known of who asks ---- */

static void
command(struct client *k)
{
	struct err err = { 0 };
	struct buf b;

	buf_init(&b, FRAME_BIG - 64);
	if (api_request(k, &b, &err))
		forward_send(k, buf_data(&b), api_answer_lines);
	else
		client_error(k, 400, "invalid", err.text);
	buf_release(&b);
}

void
api_known(struct client *k)
{
	const struct route *r = k->route;

	if (!(k->roles & (r->roles | PRINCIPAL_BIT(ADMIN)))) {
		session_refused(k, r->command, k->r.path);
		client_error(k, 403, "forbidden", "your roles do not allow this");
		return;
	}
	switch (r->shape) {
	case SHAPE_OWN:
		session_serve(k);
		break;
	case SHAPE_OVERVIEW:
		overview_serve(k);
		break;
	case SHAPE_LIVE:
		live_start(k);
		break;
	case SHAPE_MESSAGE:
		message(k);
		break;
	default:
		command(k);
		break;
	}
}

/* ---- the gate ---- */

static bool
changes(const struct client *k)
{
	return k->r.method != HTTP_GET && k->r.method != HTTP_HEAD;
}

static bool
parameter_is_plain(struct client *k)
{
	struct span v;

	if (k->parameter.n == 0)
		return true;
	if (!http_decode(k->parameter, k->arena, &v))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f)
			return false;
	k->parameter = v;
	return true;
}

void
api_serve(struct client *k)
{
	static const struct span prefix = { "/api/v1", 7 };
	struct span path = k->r.path;
	bool known = false;

	if (!span_starts(path, prefix)) {
		client_error(k, 404, "not-found", "there is /api/v1 alone");
		return;
	}
	path = span_from(path, prefix.n);
	if (span_is(path, "/openapi.json") && !changes(k)) {
		describe(k);
		return;
	}
	if ((k->route = api_route(k->r.method, path, &k->parameter, &known)) == NULL) {
		client_error(k, known ? 405 : 404, known ? "invalid" : "not-found",
		    known ? "not with this method" : "no such path");
		return;
	}
	if (!parameter_is_plain(k))
		client_error(k, 404, "not-found", "no such path");
	else if (changes(k) && k->r.cross_site)
		client_error(k, 403, "csrf", "another site asks for this");
	else if (k->r.body.n && !k->r.json)
		client_error(k, 415, "invalid", "a body is application/json here");
	else if (k->route->roles == BY_ANYBODY)
		session_serve(k);
	else if (k->r.session.n == 0)
		client_error(k, 401, "login", "nobody is signed in");
	else if (changes(k) && !session_csrf_right(k))
		client_error(k, 403, "csrf", "X-Postern-CSRF is missing or not this session's");
	else
		session_find(k);
}
