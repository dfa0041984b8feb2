/* client.c -- a connection to the console: requests in, answers out, one after the other.
 *
 * A request has REQUEST_TIME from its first byte, whatever is sent meanwhile, and an answer its time
 * to be taken. (That is why evhttp is not here: its time starts anew with each byte, and it counts
 * no connections.) Between requests a connection rests for IDLE_TIME, REQUESTS_MAX times. There are
 * CONNECTIONS of them, CONNECTIONS_EACH of one client, a proxy of this machine excepted; who comes
 * then is hung up on, unless the eldest that has not said its request can go in its place.
 *
 * While a request is answered nothing is read, so what it borrows from `in` stays where it is.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "console/console.h"
#include "console/page.h"
#include "log.h"

#define CONNECTIONS 256
#define CONNECTIONS_EACH 32
#define REQUESTS_MAX 1000
#define REQUEST_TIME (15 * US_PER_SEC)	/* handshake; a request */
#define IDLE_TIME (75 * US_PER_SEC)
#define ANSWER_TIME (15 * US_PER_SEC)	/* for the client to take it, and … */
#define ANSWER_RATE (32 << 10)		/* … a second for so many bytes */
#define LINGER_TIME (2 * US_PER_SEC)	/* for what an oversized request still sends */
#define BEAT_TIME (15 * US_PER_SEC)	/* of events, so that a proxy does not hang up */
#define LIVE_BACKLOG ((size_t)1 << 20)	/* a client slower than that has lost */
#define READ_MAX ((size_t)16 << 10)

/* ---- the end ---- */

static void
stop_asking(struct client *k)
{
	if (k->ticket)
		ticket_close(k->c->tickets, k->ticket);
	k->ticket = 0;
	forward_free(&k->forward);
}

void
client_close(struct client *k)
{
	struct console *c = k->c;

	for (struct client **pp = &c->clients; *pp; pp = &(*pp)->next)
		if (*pp == k) {
			*pp = k->next;
			break;
		}
	stop_asking(k);
	live_free(&k->live);
	event_free(k->ev);
	transport_close(&k->t);
	buf_release(&k->in);
	buf_release(&k->out);
	buf_release(&k->fields);
	arena_free(&k->arena);
	free(k);
	c->n--;
	if (c->rt->retiring && c->n == 0)
		runtime_finish(c->rt);
}

/* ---- waiting ---- */

static void on_event(evutil_socket_t fd, short what, void *arg);

/* For the socket (EV_READ, EV_WRITE; 0: neither) until the deadline. */
static void
wait_for(struct client *k, short what)
{
	int64_t left = k->deadline - clock_mono();
	struct timeval tv;

	if (left < 0)
		left = 0;
	tv = (struct timeval){ .tv_sec = left / US_PER_SEC, .tv_usec = left % US_PER_SEC };
	event_del(k->ev);
	event_assign(k->ev, k->c->rt->base, what ? k->t.fd : -1, what, on_event, k);
	event_add(k->ev, &tv);
}

static void
wait_io(struct client *k, short what)
{
	wait_for(k, k->t.ssl ? k->t.wants_write ? EV_WRITE : EV_READ : what);
}

void
client_asks(struct client *k, int64_t time)
{
	k->stage = ASKING;
	k->deadline = clock_mono() + time;
	wait_for(k, 0);
}

/* ---- answers ---- */

static void
linger(struct client *k)
{
	if (transport_shutdown(&k->t) == -1) {
		client_close(k);
		return;
	}
	k->stage = LINGER;
	k->deadline = clock_mono() + LINGER_TIME;
	wait_for(k, EV_READ);
}

/* The answer is out: what came behind its request may be the next one. */
static void
next_request(struct client *k)
{
	if (k->r.close || k->c->rt->retiring || ++k->requests >= REQUESTS_MAX) {
		linger(k);
		return;
	}
	buf_consume(&k->in, k->r.size);
	if (buf_size(&k->in) == 0)
		buf_release(&k->in);
	buf_release(&k->out);
	arena_reset(k->arena);
	k->r = (struct http_request){ 0 };
	k->as = k->name = k->token = k->parameter = (struct span){ 0 };
	k->route = NULL;
	k->roles = 0;
	k->state = NULL;
	k->stage = REQUEST;
	k->deadline = clock_mono() + (buf_size(&k->in) ? REQUEST_TIME : IDLE_TIME);
	wait_for(k, EV_READ);
	event_active(k->ev, EV_READ, 0);	/* TLS may have read more than the socket shows */
}

/* false: the client is closed. */
static bool
flush(struct client *k)
{
	struct err err;

	while (buf_size(&k->out) + k->rest.n) {
		struct span v[2] = { buf_data(&k->out), k->rest };
		size_t first = v[0].n ? 0 : 1;
		ssize_t n = transport_write(&k->t, v + first, v[first ^ 1].n && !first ? 2 : 1, &err);
		size_t head;

		if (n == TRANSPORT_AGAIN) {
			wait_io(k, EV_WRITE);
			return true;
		}
		if (n < 0) {
			client_close(k);
			return false;
		}
		head = (size_t)n < v[0].n ? (size_t)n : v[0].n;
		buf_consume(&k->out, head);
		k->rest = span_from(k->rest, (size_t)n - head);
	}
	if (k->stage == LIVE)
		wait_for(k, EV_READ);
	else
		next_request(k);
	return true;
}

static bool
says(struct span fields, const char *name)
{
	return fields.n && memmem(fields.p, fields.n, name, strlen(name)) != NULL;
}

static void
put_head(struct client *k, int status, const char *type)
{
	struct span own = buf_data(&k->fields);

	buf_printf(&k->out, "HTTP/1.1 %d %s\r\n", status, http_reason(status));
	buf_span(&k->out, own);
	if (type)
		buf_printf(&k->out, "Content-Type: %s\r\n", type);
	if (!says(own, "Cache-Control:"))
		buf_puts(&k->out, "Cache-Control: no-store\r\n");
	if (!says(own, "Content-Security-Policy:"))
		buf_puts(&k->out, "Content-Security-Policy: default-src 'none'; script-src 'self'; "
		    "style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
		    "base-uri 'none'; frame-ancestors 'none'\r\n");
	if (k->t.ssl)
		buf_puts(&k->out, "Strict-Transport-Security: max-age=31536000\r\n");
	buf_puts(&k->out, "Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
	    "X-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: same-origin\r\n"
	    "Cross-Origin-Opener-Policy: same-origin\r\n");
	buf_release(&k->fields);
	buf_init(&k->fields, CLIENT_FIELDS_MAX);
}

static void
answer(struct client *k, int status, const char *type, struct span body, bool copy)
{
	stop_asking(k);
	k->r.close |= status == 413 || status == 431 || k->requests + 1 >= REQUESTS_MAX ||
	    k->c->rt->retiring;
	put_head(k, status, type);
	if (status != 304)
		buf_printf(&k->out, "Content-Length: %zu\r\n", body.n);
	buf_printf(&k->out, "Connection: %s\r\n\r\n", k->r.close ? "close" : "keep-alive");
	if (k->r.method == HTTP_HEAD || status == 304)
		body = (struct span){ 0 };
	if (copy)
		buf_span(&k->out, body);
	else
		k->rest = body;
	k->stage = ANSWER;
	k->deadline = clock_mono() + ANSWER_TIME +
	    (int64_t)((buf_size(&k->out) + k->rest.n) / ANSWER_RATE) * US_PER_SEC;
	flush(k);
}

void
client_answer(struct client *k, int status, const char *type, struct span body)
{
	answer(k, status, type, body, true);
}

void
client_answer_static(struct client *k, int status, const char *type, struct span body)
{
	answer(k, status, type, body, false);
}

void
client_error(struct client *k, int status, const char *code, const char *text)
{
	struct buf b;
	struct json j;

	buf_init(&b, ERROR_TEXT_MAX * 6 + 200);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "error", span_sub(span_str(text), 0, ERROR_TEXT_MAX));
	json_kcstr(&j, "code", code);
	json_end_object(&j);
	client_answer(k, status, "application/json", buf_data(&b));
	buf_release(&b);
}

/* ---- answers without end ---- */

bool
client_live(struct client *k, const char *type)
{
	stop_asking(k);
	k->r.close = true;
	put_head(k, 200, type);
	buf_puts(&k->out, "Connection: close\r\nX-Accel-Buffering: no\r\n\r\n");
	k->stage = LIVE;
	k->deadline = clock_mono() + BEAT_TIME;
	return flush(k);
}

bool
client_say(struct client *k, struct span piece)
{
	if (buf_size(&k->out) + piece.n > LIVE_BACKLOG) {
		log_info("console: a client that does not read its events is left");
		client_close(k);
		return false;
	}
	buf_span(&k->out, piece);
	k->deadline = clock_mono() + BEAT_TIME;
	return flush(k);
}

/* Something to read while events are written: it can only be the end. */
static void
live_readable(struct client *k)
{
	char junk[512];
	struct err err;
	ssize_t n;

	while ((n = transport_read(&k->t, junk, sizeof(junk), &err)) > 0)
		;
	if (n == TRANSPORT_AGAIN)
		flush(k);
	else
		client_close(k);
}

/* ---- asking the store ---- */

int
client_ask_store(struct client *k, enum frame_type type, struct span body, told_fn *told)
{
	struct console *c = k->c;

	if (c->store == NULL)
		return -1;
	k->ticket = ticket_open(c->tickets, k, clock_mono() + STORE_TIME);
	k->told = told;
	if (link_send(c->store, type, k->ticket, body, -1) == -1) {
		ticket_close(c->tickets, k->ticket);
		k->ticket = 0;
		return -1;
	}
	client_asks(k, STORE_TIME);
	return 0;
}

static void
late(struct client *k)
{
	told_fn *told = k->ticket ? k->told : NULL;

	if (forward_late(k))
		return;
	stop_asking(k);
	if (told)
		told(k, NULL);
	else
		client_error(k, 503, "busy", "the answer takes too long");
}

void
clients_store_gone(struct console *c)
{
	for (struct client *k = c->clients, *next; k; k = next) {
		next = k->next;
		if (k->stage == ASKING && k->ticket)
			late(k);
	}
}

void
clients_retire(struct console *c)
{
	for (struct client *k = c->clients, *next; k; k = next) {
		next = k->next;
		if (k->stage == LIVE || (k->stage == REQUEST && k->requests && buf_size(&k->in) == 0))
			client_close(k);
	}
}

/* ---- requests ---- */

static void
refuse(struct client *k, int status)
{
	k->r.close = true;	/* where its end is nobody knows */
	if (k->requests && status == 400) {
		client_close(k);
		return;
	}
	approve_status(k, status);
}

/* Goes on reading until a request is whole, or is none. */
static void
read_request(struct client *k)
{
	struct err err;
	int status = 400, whole;
	char *room;
	ssize_t n;

	for (;;) {
		whole = buf_size(&k->in) ? http_read(buf_data(&k->in), &k->r, &status) : 0;
		if (whole == 1) {
			serve(k);
			return;
		}
		if (whole == -1) {
			refuse(k, status);
			return;
		}
		room = buf_room(&k->in, READ_MAX);
		n = room ? transport_read(&k->t, room, READ_MAX, &err) : TRANSPORT_BROKEN;
		if (n == TRANSPORT_AGAIN) {
			wait_io(k, EV_READ);
			return;
		}
		if (n <= 0) {
			client_close(k);
			return;
		}
		if (buf_size(&k->in) == 0 && k->requests)	/* its time begins */
			k->deadline = clock_mono() + REQUEST_TIME;
		buf_commit(&k->in, (size_t)n);
	}
}

static void
shake(struct client *k)
{
	struct err err;
	int r = transport_handshake(&k->t, &err);

	if (r == TRANSPORT_AGAIN) {
		wait_io(k, EV_READ);
	} else if (r < 0) {
		log_debug("console: TLS handshake: %s", err.text);
		client_close(k);
	} else {
		k->stage = REQUEST;
		read_request(k);
	}
}

/* What comes now is only taken so that our answer is not lost with it. */
static void
discard(struct client *k)
{
	char junk[4096];
	ssize_t n = recv(k->t.fd, junk, sizeof(junk), MSG_DONTWAIT);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		client_close(k);
	else
		wait_for(k, EV_READ);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct client *k = arg;

	if (what & EV_TIMEOUT || clock_mono() >= k->deadline) {
		if (k->stage == ASKING)
			late(k);
		else if (k->stage == LIVE)
			live_beat(k);
		else
			client_close(k);
		return;
	}
	switch (k->stage) {
	case HANDSHAKE:
		shake(k);
		break;
	case REQUEST:
		read_request(k);
		break;
	case ANSWER:
		flush(k);
		break;
	case LIVE:
		live_readable(k);
		break;
	case LINGER:
		discard(k);
		break;
	case ASKING:
		break;
	}
}

/* ---- connections ---- */

/* Is there room for this client? The eldest that still talks makes room when there is none. */
static bool
make_room(struct console *c, struct ip ip)
{
	struct client *eldest = NULL;
	size_t same = 0;

	for (struct client *k = c->clients; k; k = k->next) {
		same += ip_eq(k->ip, ip);
		if (k->stage != ASKING && k->stage != ANSWER && k->stage != LIVE)
			eldest = k;
	}
	if (same >= CONNECTIONS_EACH && !ip_is_loopback(ip))
		return false;
	if (c->n < CONNECTIONS)
		return true;
	if (eldest)
		client_close(eldest);
	return eldest != NULL;
}

void
client_new(struct console *c, int fd, struct ip ip, bool metrics)
{
	struct client *k;
	struct err err;

	if (!make_room(c, ip)) {
		close(fd);
		return;
	}
	k = calloc(1, sizeof(*k));
	ASSERT(k != NULL);
	*k = (struct client){ .c = c, .next = c->clients, .t = { .fd = fd }, .ip = ip, .metrics = metrics,
		.stage = c->tls && !metrics ? HANDSHAKE : REQUEST,
		.deadline = clock_mono() + REQUEST_TIME };
	k->arena = arena_new(0);
	k->ev = event_new(c->rt->base, -1, 0, on_event, k);
	ASSERT(k->ev != NULL);
	buf_init(&k->in, HTTP_HEAD_MAX + HTTP_POLICY_MAX + READ_MAX);
	buf_init(&k->out, ANSWER_BYTES_MAX + 2 * HTTP_HEAD_MAX);
	buf_init(&k->fields, CLIENT_FIELDS_MAX);
	c->clients = k;
	c->n++;
	if (k->stage == HANDSHAKE && transport_tls_accept(&k->t, c->tls, &err) == -1)
		client_close(k);
	else
		wait_for(k, EV_READ);
}
