/* console.c -- the role that serves the page behind links to approve, over HTTPS.
 *
 *	GET /approve?token=T, GET /approve/T	shows what waits; decides nothing
 *	POST /approve		token, decision (approve, deny), reason: acts
 *	GET /digest?token=T	a message in quarantine (digest_page.c); POST /digest acts
 *	GET /healthz		"ok" while the store is there
 *
 * HEAD is GET without a body; everything else is 404. It holds a certificate's key and
 * nothing else: no message, no key of tokens. What a token is worth the store says
 * (APPROVE_ASK), each time. No token stands in the log.
 *
 * A connection carries one request, in REQUEST_TIME from its acceptance, whatever it sends
 * meanwhile. (That is why evhttp is not here: its time starts anew with each byte, and it
 * counts no connections.) There are CONNECTIONS of them, CONNECTIONS_EACH of one client, a
 * proxy of this machine excepted; who comes then is hung up on, unless the eldest that has
 * not said its request yet can go in its place.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "console/digest_page.h"
#include "console/http.h"
#include "console/page.h"
#include "ipc/ticket.h"
#include "log.h"
#include "master/runtime.h"
#include "net/tls_server.h"
#include "net/transport.h"

#define CONNECTIONS 128
#define CONNECTIONS_EACH 16
#define ACCEPTS_PER_TURN 16
#define REQUEST_TIME (15 * US_PER_SEC)	/* handshake and request */
#define ANSWER_TIME (15 * US_PER_SEC)	/* of the store; and again for the client to take it */
#define LINGER_TIME (2 * US_PER_SEC)	/* for what an oversized request still sends */
#define RETIRE_TIME (5 * US_PER_SEC)
#define READ_MAX ((size_t)16 << 10)

enum stage { HANDSHAKE, REQUEST, ASKING, ANSWER, LINGER };

struct console {
	struct runtime *rt;
	struct ssl_ctx_st *tls;		/* NULL: plain */
	int fd;				/* -1: not listening */
	struct event *accept, *leave;
	struct link *store;
	struct tickets *tickets;
	struct client *clients;		/* newest first */
	size_t n;
	struct arena *scratch;
};

struct client {
	struct console *c;
	struct client *next;
	struct transport t;
	struct ip ip;
	struct event *ev;
	enum stage stage;
	int64_t deadline;
	uint64_t ticket;		/* ASKING */
	struct buf in, out;
	struct span token;		/* shown: it goes into the forms */
	struct arena *arena;
	bool head, french;
};

/* ---- the end ---- */

static void
client_close(struct client *k)
{
	struct console *c = k->c;

	for (struct client **pp = &c->clients; *pp; pp = &(*pp)->next)
		if (*pp == k) {
			*pp = k->next;
			break;
		}
	if (k->ticket)
		ticket_close(c->tickets, k->ticket);
	event_free(k->ev);
	transport_close(&k->t);
	buf_release(&k->in);
	buf_release(&k->out);
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

static void
flush(struct client *k)
{
	struct err err;

	while (buf_size(&k->out)) {
		struct span v = buf_data(&k->out);
		ssize_t n = transport_write(&k->t, &v, 1, &err);

		if (n == TRANSPORT_AGAIN) {
			wait_io(k, EV_WRITE);
			return;
		}
		if (n < 0) {
			client_close(k);
			return;
		}
		buf_consume(&k->out, (size_t)n);
	}
	linger(k);
}

static void
answer(struct client *k, int status, const char *type, const struct buf *body)
{
	buf_printf(&k->out, "HTTP/1.1 %d %s\r\n"
	    "Content-Type: %s; charset=utf-8\r\nContent-Length: %zu\r\n"
	    "Connection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
	    "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nVary: Accept-Language\r\n"
	    "Content-Security-Policy: %s\r\n\r\n", status, http_reason(status), type,
	    buf_size(body), console_page_security());
	if (!k->head)
		buf_span(&k->out, buf_data(body));
	k->stage = ANSWER;
	k->deadline = clock_mono() + ANSWER_TIME;
	flush(k);
}

static void
answer_status(struct client *k, int status)
{
	struct buf b;

	buf_init(&b, PAGE_MAX);
	console_page_status(&b, status, k->french);
	answer(k, status, "text/html", &b);
	buf_release(&b);
}

static void
refused(const struct client *k, struct span why)
{
	char ip[IP_TEXT_MAX];

	log_warn("a link to approve is refused, from %s: " SPAN_FMT, ip_format(k->ip, ip),
	    SPAN_ARG(why));
}

static void
told(struct client *k, const struct msg_approve_told *m)
{
	struct buf b;

	k->ticket = 0;
	if (m->told == APPROVE_UNKNOWN || m->told == APPROVE_FAULT) {
		refused(k, m->text);
		answer_status(k, m->told == APPROVE_FAULT ? 503 : 404);
		return;
	}
	buf_init(&b, PAGE_MAX);
	if (m->told == APPROVE_OPEN)
		console_page_open(&b, m, k->token, k->french);
	else
		console_page_over(&b, m, k->french);
	if (buf_failed(&b)) {
		refused(k, SPAN_LIT("the page is too long"));
		answer_status(k, 503);
	} else {
		answer(k, m->told == APPROVE_OVER ? 410 : 200, "text/html", &b);
	}
	buf_release(&b);
}

/* ---- requests ---- */

static void
ask_store(struct client *k, enum frame_type type, const struct buf *b)
{
	struct console *c = k->c;
	int r;

	if (c->store == NULL) {
		answer_status(k, 503);
		return;
	}
	k->ticket = ticket_open(c->tickets, k, clock_mono() + ANSWER_TIME);
	k->stage = ASKING;
	k->deadline = clock_mono() + ANSWER_TIME;
	r = buf_failed(b) ? -1 : link_send(c->store, type, k->ticket, buf_data(b), -1);
	if (r == -1) {
		ticket_close(c->tickets, k->ticket);
		k->ticket = 0;
		answer_status(k, 503);
	} else {
		wait_for(k, 0);
	}
}

static void
ask(struct client *k, const struct msg_approve_ask *m)
{
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	approve_ask_encode(&b, m);
	ask_store(k, FRAME_APPROVE_ASK, &b);
	buf_release(&b);
}

static void
show(struct client *k, const struct http_request *r)
{
	struct msg_approve_ask m = { .what = APPROVE_SHOW };

	if (span_starts(r->path, SPAN_LIT("/approve/")))
		m.token = span_from(r->path, 9);
	else if (!http_field(r->query, "token", k->arena, &m.token))
		m.token = (struct span){ 0 };
	m.token = arena_span(k->arena, m.token);
	if (m.token.n == 0) {
		answer_status(k, 404);
		return;
	}
	k->token = m.token;
	ask(k, &m);
}

static void
act(struct client *k, const struct http_request *r)
{
	struct msg_approve_ask m = { 0 };
	struct span decision;

	if (!r->form || !http_field(r->body, "token", k->arena, &m.token) || m.token.n == 0) {
		answer_status(k, 404);
		return;
	}
	if (!http_field(r->body, "decision", k->arena, &decision) ||
	    (!span_is(decision, "approve") && !span_is(decision, "deny"))) {
		answer_status(k, 400);
		return;
	}
	if (!http_field(r->body, "reason", k->arena, &m.reason))
		m.reason = (struct span){ 0 };
	m.what = span_is(decision, "approve") ? APPROVE_YES : APPROVE_NO;
	ask(k, &m);
}

/* ---- links of digests: /digest?token= ---- */

static void
digest_told(struct client *k, const struct msg_digest_told *m)
{
	struct buf b;

	k->ticket = 0;
	if (m->told == DIGEST_UNKNOWN || m->told == DIGEST_FAULT) {
		refused(k, m->text);
		answer_status(k, m->told == DIGEST_FAULT ? 503 : 404);
		return;
	}
	buf_init(&b, PAGE_MAX);
	if (m->told == DIGEST_OPEN)
		digest_page_open(&b, m, k->token, k->french);
	else
		digest_page_over(&b, m, k->french);
	answer(k, m->told == DIGEST_OVER ? 410 : 200, "text/html", &b);
	buf_release(&b);
}

/* GET shows, POST acts: who opens links to look at them, as mail servers do, decides nothing. */
static void
digest_ask(struct client *k, const struct http_request *r)
{
	struct msg_digest_ask m = { .act = DIGEST_SHOW };
	bool acts = r->method == HTTP_POST;
	struct span decision;
	struct buf b;

	if ((acts && !r->form) || !http_field(acts ? r->body : r->query, "token", k->arena, &m.token) ||
	    m.token.n == 0) {
		answer_status(k, 404);
		return;
	}
	if (acts && (!http_field(r->body, "decision", k->arena, &decision) ||
	    !digest_act_parse(decision, &m.act))) {
		answer_status(k, 400);
		return;
	}
	k->token = m.token = arena_span(k->arena, m.token);
	buf_init(&b, FRAME_SMALL);
	digest_ask_encode(&b, &m);
	ask_store(k, FRAME_DIGEST_ASK, &b);
	buf_release(&b);
}

static void
health(struct client *k)
{
	struct buf b;

	buf_init(&b, 64);
	buf_puts(&b, k->c->store ? "ok\n" : "no store\n");
	answer(k, k->c->store ? 200 : 503, "text/plain", &b);
	buf_release(&b);
}

static void
serve(struct client *k, const struct http_request *r)
{
	bool looks = r->method == HTTP_GET || r->method == HTTP_HEAD;

	k->head = r->method == HTTP_HEAD;
	k->french = http_french(r->languages);
	if (looks && span_is(r->path, "/healthz"))
		health(k);
	else if (looks && (span_is(r->path, "/approve") || span_starts(r->path, SPAN_LIT("/approve/"))))
		show(k, r);
	else if (r->method == HTTP_POST && span_is(r->path, "/approve"))
		act(k, r);
	else if ((looks || r->method == HTTP_POST) && span_is(r->path, "/digest"))
		digest_ask(k, r);
	else
		answer_status(k, 404);
}

/* Goes on reading until a request is whole, or is none. */
static void
read_request(struct client *k)
{
	struct http_request r;
	struct err err;
	int status = 400, whole;
	char *room;
	ssize_t n;

	for (;;) {
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
		buf_commit(&k->in, (size_t)n);
		if ((whole = http_read(buf_data(&k->in), &r, &status)) == 0)
			continue;
		if (whole == 1)
			serve(k, &r);
		else
			answer_status(k, status);
		return;
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
		if (k->stage == ASKING) {
			ticket_close(k->c->tickets, k->ticket);
			k->ticket = 0;
			answer_status(k, 503);
		} else {
			client_close(k);
		}
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
		if (k->stage != ASKING && k->stage != ANSWER)
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

static void
client_new(struct console *c, int fd, struct ip ip)
{
	struct client *k;
	struct err err;

	if (!make_room(c, ip)) {
		close(fd);
		return;
	}
	k = calloc(1, sizeof(*k));
	ASSERT(k != NULL);
	*k = (struct client){ .c = c, .next = c->clients, .t = { .fd = fd }, .ip = ip,
		.stage = c->tls ? HANDSHAKE : REQUEST, .deadline = clock_mono() + REQUEST_TIME };
	k->arena = arena_new(0);
	k->ev = event_new(c->rt->base, -1, 0, on_event, k);
	ASSERT(k->ev != NULL);
	buf_init(&k->in, HTTP_HEAD_MAX + HTTP_BODY_MAX + READ_MAX);
	buf_init(&k->out, PAGE_MAX + HTTP_HEAD_MAX);
	c->clients = k;
	c->n++;
	if (c->tls == NULL)
		wait_for(k, EV_READ);
	else if (transport_tls_accept(&k->t, c->tls, &err) == -1)
		client_close(k);
	else
		wait_for(k, EV_READ);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct console *c = arg;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		uint16_t port;
		int client = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client == -1 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (client == -1)
			return;
		client_new(c, client, ip_from_sockaddr((struct sockaddr *)&ss, &port));
	}
}

/* ---- the role ---- */

static int
console_start(struct runtime *rt, struct err *err)
{
	const struct conf_console *conf = &rt->conf->console;
	const struct tls_server t = { conf->certificate, conf->key, rt->conf->tls_only13, NULL };
	struct console *c = calloc(1, sizeof(*c));
	char warning[128];

	ASSERT(c != NULL);
	rt->state = c;
	c->rt = rt;
	c->fd = -1;
	c->tickets = tickets_new();
	c->scratch = arena_new(0);
	if (conf->certificate == NULL)
		return 0;
	if ((c->tls = tls_server_context(&t, err)) == NULL)
		return -1;
	if (tls_server_warning(c->tls, clock_real() / US_PER_SEC, warning, sizeof(warning)))
		log_warn("console: %s", warning);
	return 0;
}

static void
on_leave(evutil_socket_t fd, short what, void *arg)
{
	struct console *c = arg;

	runtime_finish(c->rt);
}

static int
console_run(struct runtime *rt, struct err *err)
{
	struct console *c = rt->state;

	c->leave = evtimer_new(rt->base, on_leave, c);
	ASSERT(c->leave != NULL);
	console_page_security();
	return 0;
}

static void
console_listener(struct runtime *rt, uint32_t index, int fd)
{
	struct console *c = rt->state;

	if (c->fd != -1 || rt->retiring) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->accept = event_new(rt->base, fd, EV_READ | EV_PERSIST, on_accept, c);
	ASSERT(c->accept != NULL);
	event_add(c->accept, NULL);
}

static int
console_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct console *c = rt->state;
	struct msg_approve_told m;
	struct client *k;

	arena_reset(c->scratch);
	if (f->type == FRAME_DIGEST_TOLD) {
		struct msg_digest_told d;

		if (digest_told_decode(f->body, f->fd, c->scratch, &d) == -1)
			return -1;
		if ((k = ticket_close(c->tickets, f->ticket)) != NULL)
			digest_told(k, &d);
		return 0;
	}
	if (f->type != FRAME_APPROVE_TOLD || approve_told_decode(f->body, f->fd, c->scratch, &m) == -1)
		return -1;
	if ((k = ticket_close(c->tickets, f->ticket)) != NULL)
		told(k, &m);
	return 0;
}

static void
console_peer_up(struct runtime *rt, struct link *l)
{
	struct console *c = rt->state;

	c->store = l;
}

static void
console_peer_down(struct runtime *rt, struct link *l)
{
	struct console *c = rt->state;

	if (c->store != l)
		return;
	c->store = NULL;
	for (struct client *k = c->clients, *next; k; k = next) {
		next = k->next;
		if (k->stage != ASKING)
			continue;
		ticket_close(c->tickets, k->ticket);
		k->ticket = 0;
		answer_status(k, 503);
	}
}

static void
console_retire(struct runtime *rt)
{
	struct console *c = rt->state;
	struct timeval tv = { .tv_sec = RETIRE_TIME / US_PER_SEC };

	if (c->accept) {
		event_free(c->accept);
		c->accept = NULL;
		close(c->fd);
		c->fd = -1;
	}
	if (c->n == 0)
		runtime_finish(rt);
	else
		evtimer_add(c->leave, &tv);
}

static const struct sandbox console_sandbox = { SANDBOX_NET_SERVER };

const struct role_ops console_ops = {
	.role = ROLE_CONSOLE,
	.sandbox = &console_sandbox,
	.start = console_start,
	.run = console_run,
	.peer_up = console_peer_up,
	.peer_down = console_peer_down,
	.frame = console_frame,
	.listener = console_listener,
	.retire = console_retire,
};
