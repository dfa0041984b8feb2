/* api_forward.c -- a control command on behalf of who signed in, and its lines as an answer.
 *
 * The master gets the request with one end of a socketpair (frame AS) and passes both to the role that
 * answers, which writes JSON lines and closes. All of them are read, ANSWER_BYTES_MAX at most, before
 * the client hears anything: an error in the last line is still a status.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "console/routes.h"
#include "log.h"

#define READ_PIECE ((size_t)64 << 10)

struct forward {
	struct client *k;
	int fd;
	struct event *ev;
	struct buf in;
	forward_done *done;
	bool whatever;			/* an error is an answer, too */
};

void
forward_free(struct forward **fp)
{
	struct forward *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	event_free(f->ev);
	close(f->fd);
	buf_release(&f->in);
	free(f);
}

static void
finish(struct forward *f)
{
	struct client *k = f->k;
	struct span lines = arena_span(k->arena, buf_data(&f->in));
	forward_done *done = f->done;
	bool whatever = f->whatever;
	const char *code;
	struct err err;
	int status;

	forward_free(&k->forward);
	if (!whatever && api_failed(lines, &status, &code, &err) == -1) {
		if (status == 403 || status == 404)
			session_refused(k, "api", k->r.path);
		client_error(k, status, code, err.text);
	} else
		done(k, lines);
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct forward *f = arg;
	struct client *k = f->k;
	char *room;
	ssize_t n;

	for (;;) {
		if ((room = buf_room(&f->in, READ_PIECE)) == NULL) {
			client_error(k, 503, "limit", "the answer is too long: ask for less");
			return;
		}
		n = read(f->fd, room, READ_PIECE);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return;
		if (n <= 0) {
			finish(f);
			return;
		}
		buf_commit(&f->in, (size_t)n);
	}
}

static void
send_request(struct client *k, struct span request, forward_done *done, bool whatever)
{
	struct runtime *rt = k->c->rt;
	struct msg_client m = { .request = request };
	struct forward *f;
	struct buf b;
	int sv[2], r;

	ASSERT(k->forward == NULL);
	if (rt->master == NULL ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1) {
		client_error(k, 503, "busy", "the daemon cannot be asked now");
		return;
	}
	buf_init(&b, FRAME_BIG);
	client_encode(&b, &m);
	r = buf_failed(&b) ? -1 : link_send(rt->master, FRAME_AS, 0, buf_data(&b), sv[1]);
	if (buf_failed(&b))
		close(sv[1]);
	buf_release(&b);
	if (r == -1) {
		close(sv[0]);
		client_error(k, 503, "busy", "the daemon cannot be asked now");
		return;
	}
	f = calloc(1, sizeof(*f));
	ASSERT(f != NULL);
	*f = (struct forward){ .k = k, .fd = sv[0], .done = done, .whatever = whatever };
	buf_init(&f->in, ANSWER_BYTES_MAX + READ_PIECE);
	f->ev = event_new(rt->base, f->fd, EV_READ | EV_PERSIST, on_readable, f);
	ASSERT(f->ev != NULL);
	event_add(f->ev, NULL);
	k->forward = f;
	client_asks(k, k->metrics || (whatever && k->route->shape == SHAPE_OVERVIEW) ? METRICS_TIME :
	    COMMAND_TIME);
}

void
forward_send(struct client *k, struct span request, forward_done *done)
{
	send_request(k, request, done, false);
}

void
forward_send_whatever(struct client *k, struct span request, forward_done *done)
{
	send_request(k, request, done, true);
}

void
forward_ask(struct client *k, const char *command, forward_done *done)
{
	struct buf b;
	struct json j;

	buf_init(&b, FRAME_SMALL);
	api_command(k, &j, &b, command);
	json_end_object(&j);
	forward_send_whatever(k, buf_data(&b), done);
	buf_release(&b);
}

bool
forward_late(struct client *k)
{
	forward_done *done = k->forward && k->forward->whatever ? k->forward->done : NULL;

	if (done == NULL)
		return false;
	forward_free(&k->forward);
	done(k, (struct span){ 0 });
	return true;
}

/* ---- lines ---- */

static struct span
last_line(struct span lines)
{
	size_t at;

	lines = span_trim(lines);
	for (at = lines.n; at && lines.p[at - 1] != '\n'; at--)
		;
	return span_from(lines, at);
}

/* What roles say that do not say a code. */
static void
guess(struct span text, int *status, const char **code)
{
	static const struct { const char *has, *code; int status; } known[] = {
		{ "no such command", "not-available", 501 }, { "unknown command", "not-available", 501 },
		{ "nobody answers this command", "busy", 503 }, { "is stopping", "busy", 503 },
		{ "too many", "busy", 503 }, { "interrupted", "busy", 503 },
		{ "no message with this id", "not-found", 404 }, { "no such message", "not-found", 404 },
		{ "is not in the queue", "not-found", 404 },
		{ "not allowed", "forbidden", 403 },
	};

	*status = 400;
	*code = "invalid";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (memmem(text.p, text.n, known[i].has, strlen(known[i].has))) {
			*status = known[i].status;
			*code = known[i].code;
			return;
		}
}

int
api_failed(struct span lines, int *status, const char **code, struct err *err)
{
	static const struct { const char *code; int status; } codes[] = {
		{ "not-found", 404 }, { "forbidden", 403 }, { "invalid", 400 }, { "conflict", 409 },
		{ "busy", 503 }, { "limit", 429 }, { "not-available", 501 }, { "login", 401 },
		{ "totp", 401 },
	};
	struct err parse;
	struct jval *v = jval_parse(last_line(lines), &parse);
	struct span text = jval_text(v, "error"), said = jval_text(v, "code");
	int r = 0;

	if (lines.n && v == NULL) {
		r = err_set(err, EPROTO, "the answer cannot be read");
		*status = 503;
		*code = "busy";
	} else if (text.n) {
		r = err_set(err, EINVAL, SPAN_FMT, SPAN_ARG(span_sub(text, 0, 400)));
		guess(text, status, code);
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
			if (span_is(said, codes[i].code)) {
				*code = codes[i].code;
				*status = codes[i].status;
			}
	}
	jval_free(&v);
	return r;
}

/* {"found":…}, {"more":…}: what commands say behind their lines. */
static bool
is_summary(const struct jval *v)
{
	return (jval_has(v, "found") || jval_has(v, "more") || jval_has(v, "total") ||
	    jval_has(v, "done")) &&
	    !jval_has(v, "id") && !jval_has(v, "kid") && !jval_has(v, "name");
}

void
api_items(struct buf *b, struct span lines)
{
	struct span last = last_line(lines), items = span_trim(lines);
	const struct jval *more;
	struct err err;
	struct jval *v = jval_parse(last, &err);
	bool first = true;

	if (is_summary(v))
		items = span_trim(span_sub(items, 0, items.n - last.n));
	buf_puts(b, "\"items\":[");
	while (items.n) {
		size_t n = span_find(items, '\n');
		struct span line = span_trim(span_sub(items, 0, n));

		items = span_from(items, n + 1);
		if (line.n == 0)
			continue;
		if (!first)
			buf_putc(b, ',');
		first = false;
		buf_span(b, line);
	}
	buf_puts(b, "],\"more\":");
	more = jval_get(v, "more");
	buf_puts(b, is_summary(v) && (jval_is_int(more) ? jval_integer(more) > 0 : jval_bool(v, "more")) ?
	    "true" : "false");
	if (is_summary(v)) {
		static const char *const beside[] = { "next", "found", "total", "partial", "done", "failed" };

		for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
			if (jval_has(v, beside[i])) {
				buf_printf(b, ",\"%s\":", beside[i]);
				jval_write(jval_get(v, beside[i]), b);
			}
	}
	jval_free(&v);
}

void
api_answer_lines(struct client *k, struct span lines)
{
	struct span last = last_line(lines);
	struct buf b;

	if (k->route->shape == SHAPE_OBJECT || span_starts(span_trim(lines), SPAN_LIT("{\"v\":1,\"items\":["))) {
		client_answer(k, 200, "application/json", last.n ? last : SPAN_LIT("{\"v\":1}"));
		return;
	}
	buf_init(&b, ANSWER_BYTES_MAX + 1000);
	buf_puts(&b, "{\"v\":1,");
	api_items(&b, lines);
	buf_putc(&b, '}');
	if (buf_failed(&b))
		client_error(k, 503, "limit", "the answer is too long: ask for less");
	else
		client_answer(k, 200, "application/json", buf_data(&b));
	buf_release(&b);
}
