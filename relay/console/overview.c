/* overview.c -- /overview: what the store says of it, with the queue's figures and alarms and the
 * master's name and version. Only the store has to answer: the page goes on without the others.
 */
#include "console/routes.h"

static struct jval *
read_answer(struct span lines)
{
	struct err err;
	struct jval *v = lines.n ? jval_parse(span_trim(lines), &err) : NULL;

	if (jval_has(v, "error"))
		jval_free(&v);
	return v;
}

static void
put(struct buf *b, const struct jval *v, const char *key)
{
	if (!jval_has(v, key))
		return;
	buf_printf(b, ",\"%s\":", key);
	jval_write(jval_get(v, key), b);
}

static void
master_told(struct client *k, struct span lines)
{
	const struct span *first = k->state;
	struct jval *v = read_answer(lines);
	struct buf b;

	buf_init(&b, ANSWER_BYTES_MAX);
	buf_span(&b, *first);
	put(&b, v, "version");
	put(&b, v, "hostname");
	put(&b, v, "uptime");
	put(&b, v, "reload");
	buf_putc(&b, '}');
	jval_free(&v);
	client_answer(k, 200, "application/json", buf_data(&b));
	buf_release(&b);
}

static void
queue_told(struct client *k, struct span lines)
{
	struct span *first = k->state;
	struct jval *v = read_answer(lines);
	struct buf b;

	buf_init(&b, ANSWER_BYTES_MAX);
	buf_span(&b, *first);
	put(&b, v, "alarms");
	if (v) {
		buf_puts(&b, ",\"queue\":");
		buf_span(&b, span_trim(lines));
	}
	jval_free(&v);
	*first = arena_span(k->arena, buf_data(&b));
	buf_release(&b);
	forward_ask(k, "status", master_told);
}

/* An object is open from here to master_told. */
static void
store_told(struct client *k, struct span lines)
{
	struct span *first = arena_alloc(k->arena, sizeof(*first));

	lines = span_trim(lines);
	if (lines.n == 0 || lines.p[lines.n - 1] != '}') {
		client_error(k, 503, "busy", "the store does not answer now");
		return;
	}
	*first = span_sub(lines, 0, lines.n - 1);
	k->state = first;
	if (k->roles & (BY_READERS | BY_ADMIN))
		forward_ask(k, "queue.summary", queue_told);
	else
		forward_ask(k, "status", master_told);
}

void
overview_serve(struct client *k)
{
	struct err err = { 0 };
	struct buf b;

	buf_init(&b, FRAME_BIG - 64);
	if (api_request(k, &b, &err))
		forward_send(k, buf_data(&b), store_told);
	else
		client_error(k, 400, "invalid", err.text);
	buf_release(&b);
}
