/* redis.c -- one connection to Redis or Valkey; see redis.h. */
#include <errno.h>
#include <event2/event.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "addr.h"
#include "buf.h"
#include "clock.h"
#include "counters/redis.h"
#include "fs.h"
#include "net/resolver.h"
#include "net/transport.h"

#define READ_SIZE (64u << 10)
#define WAITING_MIN 64
#define PASSWORD_MAX 1024

/* X(NAME, "phrase") */
#define STEPS(X) \
	X(REST, "waiting before the next try") \
	X(RESOLVE, "looking up its address") \
	X(CONNECT, "connecting") \
	X(HANDSHAKE, "TLS handshake") \
	X(GREET, "logging in") \
	X(UP, "connected")
enum step {
#define X(name, phrase) STEP_##name,
	STEPS(X)
#undef X
};
static const char *const phrases[] = {
#define X(name, phrase) phrase,
	STEPS(X)
#undef X
};

struct waiting {
	redis_cb *cb;
	void *what;
};

struct redis {
	struct redis_setup how;
	const struct redis_ops *ops;
	void *ctx;
	enum step step;
	struct ip ip;
	struct transport t;
	redisReader *reader;
	struct buf out;
	struct waiting *ring;		/* of `room`, a power of two */
	size_t room, first, count;
	struct question *question;
	bool six;			/* the question is for AAAA */
	struct event *ev_read, *ev_write, *timer, *flush;
	int64_t delay;
	int64_t heard;			/* clock_mono: the last answer, or the first question since all were answered */
	bool failing;			/* redis_fail was called: at the end of the turn */
	char why[300];
};

static void begin(struct redis *r);
static void on_event(evutil_socket_t fd, short what, void *arg);

int
redis_password(const struct conf_counters *c, struct arena *a, struct span *out, struct err *err)
{
	struct span s = c->password;

	if (c->password_file && fs_read(a, c->password_file, PASSWORD_MAX, &s, err) == -1)
		return -1;
	while (c->password_file && s.n && (unsigned char)s.p[s.n - 1] <= ' ')
		s.n--;
	if (c->password_file && s.n == 0)
		return err_set(err, 0, "%s holds no password", c->password_file);
	*out = s;
	return 0;
}

/* ---- the end of a connection ---- */

static void
arm(struct redis *r, int64_t us)
{
	struct timeval tv = { us / US_PER_SEC, us % US_PER_SEC };

	evtimer_add(r->timer, &tv);
}

static void
lose(struct redis *r)
{
	resolver_cancel(&r->question);
	if (r->ev_read)
		event_free(r->ev_read);
	if (r->ev_write)
		event_free(r->ev_write);
	r->ev_read = r->ev_write = NULL;
	transport_close(&r->t);
	r->t.fd = -1;
	redisReaderFree(r->reader);
	r->reader = NULL;
	buf_reset(&r->out);
	r->step = STEP_REST;
	while (r->count) {
		struct waiting w = r->ring[r->first];

		r->first = (r->first + 1) & (r->room - 1);
		r->count--;
		if (w.cb)
			w.cb(r->ctx, w.what, NULL);
	}
}

static void
fall(struct redis *r, const char *why)
{
	if (why != r->why)
		snprintf(r->why, sizeof(r->why), "%s", why);
	r->failing = false;
	lose(r);
	r->delay = r->delay ? r->delay * 2 : REDIS_RETRY_MIN;
	if (r->delay > REDIS_RETRY_MAX)
		r->delay = REDIS_RETRY_MAX;
	arm(r, r->delay);
	r->ops->down(r->ctx, r->why);
}

void
redis_fail(struct redis *r, const char *fmt, ...)
{
	va_list ap;

	if (r->step == STEP_REST || r->failing)
		return;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	r->failing = true;
	event_active(r->flush, EV_TIMEOUT, 0);
}

/* ---- commands ---- */

int
redis_send(struct redis *r, size_t argc, const struct span *argv, redis_cb *cb, void *what)
{
	char head[32];

	if (r->step < STEP_GREET || r->failing || buf_size(&r->out) > REDIS_OUT_MAX / 2)
		return -1;
	if (r->count == r->room) {
		struct waiting *ring = calloc(r->room ? 2 * r->room : WAITING_MIN, sizeof(*ring));

		ASSERT(ring != NULL);
		for (size_t i = 0; i < r->count; i++)
			ring[i] = r->ring[(r->first + i) & (r->room - 1)];
		free(r->ring);
		r->ring = ring;
		r->room = r->room ? 2 * r->room : WAITING_MIN;
		r->first = 0;
	}
	buf_put(&r->out, head, (size_t)snprintf(head, sizeof(head), "*%zu\r\n", argc));
	for (size_t i = 0; i < argc; i++) {
		buf_put(&r->out, head, (size_t)snprintf(head, sizeof(head), "$%zu\r\n", argv[i].n));
		buf_span(&r->out, argv[i]);
		buf_put(&r->out, "\r\n", 2);
	}
	if (r->count == 0)
		r->heard = clock_mono();
	r->ring[(r->first + r->count++) & (r->room - 1)] = (struct waiting){ cb, what };
	if (buf_failed(&r->out))
		redis_fail(r, "more than %u bytes wait to be sent", REDIS_OUT_MAX);
	else
		event_active(r->flush, EV_TIMEOUT, 0);
	return 0;
}

bool
redis_is_up(const struct redis *r)
{
	return r->step == STEP_UP && !r->failing;
}

size_t
redis_waiting(const struct redis *r)
{
	return r->count;
}

int64_t
redis_silence(const struct redis *r)
{
	return r->count ? clock_mono() - r->heard : 0;
}

/* ---- logging in ---- */

/* What an administrator should hear of the answers that mean a mistake of his. */
static void
greeted(void *ctx, void *what, const struct redisReply *reply)
{
	struct redis *r = what;

	if (reply == NULL || r->failing)
		return;
	if (reply->type == REDIS_REPLY_ERROR)
		redis_fail(r, "it refuses us: %.200s", reply->str);
}

static void
logged_in(void *ctx, void *what, const struct redisReply *reply)
{
	struct redis *r = what;

	greeted(ctx, what, reply);
	if (reply == NULL || r->failing)
		return;
	r->step = STEP_UP;
	evtimer_del(r->timer);
	r->ops->up(r->ctx);
}

static void
greet(struct redis *r)
{
	const struct conf_counters *c = r->how.conf;
	char number[16];
	int n = snprintf(number, sizeof(number), "%u", c->database);
	struct span auth[3] = { SPAN_LIT("AUTH"), c->user, r->how.password };
	struct span choose[2] = { SPAN_LIT("SELECT"), span_make(number, (size_t)n) };
	struct span ping = SPAN_LIT("PING");

	r->step = STEP_GREET;
	if (r->how.password.n && c->user.n)
		redis_send(r, 3, auth, greeted, r);
	else if (r->how.password.n) {
		auth[1] = auth[2];
		redis_send(r, 2, auth, greeted, r);
	}
	if (c->database)
		redis_send(r, 2, choose, greeted, r);
	redis_send(r, 1, &ping, logged_in, r);
}

/* ---- bytes ---- */

static void
write_out(struct redis *r)
{
	struct err err;

	while (buf_size(&r->out)) {
		struct span s = buf_data(&r->out);
		ssize_t n = transport_write(&r->t, &s, 1, &err);

		if (n == TRANSPORT_AGAIN) {
			event_add(r->ev_write, NULL);
			return;
		}
		if (n < 0) {
			redis_fail(r, "lost connection: %s", err.text);
			return;
		}
		buf_consume(&r->out, (size_t)n);
	}
	event_del(r->ev_write);
}

static void
on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;

	if (!r->failing && r->step >= STEP_GREET)
		write_out(r);
	if (r->failing)
		fall(r, r->why);
}

static void
take_replies(struct redis *r)
{
	void *reply;

	while (!r->failing && redisReaderGetReply(r->reader, &reply) == REDIS_OK && reply) {
		struct waiting w;

		if (r->count == 0) {
			freeReplyObject(reply);
			redis_fail(r, "an answer to no question");
			return;
		}
		w = r->ring[r->first];
		r->first = (r->first + 1) & (r->room - 1);
		r->count--;
		if (w.cb)
			w.cb(r->ctx, w.what, reply);
		freeReplyObject(reply);
	}
	if (!r->failing && r->reader->err)
		redis_fail(r, "it does not speak Redis's protocol: %s", r->reader->errstr);
}

static void
read_in(struct redis *r)
{
	static char bytes[READ_SIZE];
	struct err err;

	while (!r->failing) {
		ssize_t n = transport_read(&r->t, bytes, sizeof(bytes), &err);

		if (n == TRANSPORT_AGAIN)
			return;
		if (n == 0) {
			redis_fail(r, "it closed the connection while %s", phrases[r->step]);
			return;
		}
		if (n < 0) {
			redis_fail(r, "lost connection: %s", err.text);
			return;
		}
		redisReaderFeed(r->reader, bytes, (size_t)n);
		r->heard = clock_mono();
		take_replies(r);
		if ((size_t)n < sizeof(bytes) && r->t.ssl == NULL)
			return;
	}
}

static void
handshake(struct redis *r)
{
	struct span name = r->how.conf->host.name;
	struct err err;
	int n = transport_handshake(&r->t, &err);

	if (n == TRANSPORT_AGAIN) {
		if (r->t.wants_write)
			event_add(r->ev_write, NULL);
		return;
	}
	if (n != 0)
		redis_fail(r, "TLS: %s", err.text);
	else if (transport_proved(&r->t, &name, 1, &err) == PROVED_NOTHING)
		redis_fail(r, "its certificate is not good: %s", err.text);
	else
		greet(r);
}

static void
connected(struct redis *r)
{
	int e = 0, one = 1;
	socklen_t len = sizeof(e);
	char name[256];
	struct err err;

	if (getsockopt(r->t.fd, SOL_SOCKET, SO_ERROR, &e, &len) == -1 || e) {
		redis_fail(r, "cannot be connected to: %s", strerror(e));
		return;
	}
	event_del(r->ev_write);
	if (r->how.conf->socket == NULL)
		setsockopt(r->t.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (r->how.tls == NULL) {
		greet(r);
		return;
	}
	snprintf(name, sizeof(name), SPAN_FMT, SPAN_ARG(r->how.conf->host.name));
	r->step = STEP_HANDSHAKE;
	if (transport_tls(&r->t, r->how.tls, name, &err) == -1)
		redis_fail(r, "TLS: %s", err.text);
	else
		handshake(r);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;

	if (r->failing)
		return;
	if (r->step == STEP_CONNECT)
		connected(r);
	else if (r->step == STEP_HANDSHAKE)
		handshake(r);
	else {
		if (what & EV_READ || r->t.ssl)
			read_in(r);
		if (!r->failing && what & EV_WRITE)
			write_out(r);
	}
}

/* ---- the beginning ---- */

static void
open_socket(struct redis *r)
{
	const struct conf_counters *c = r->how.conf;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct sockaddr_storage ss;
	const struct sockaddr *sa = (const struct sockaddr *)&sun;
	socklen_t len = sizeof(sun);

	if (c->socket)
		snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", c->socket);
	else {
		len = ip_to_sockaddr(r->ip, c->host.port, &ss);
		sa = (const struct sockaddr *)&ss;
	}
	r->step = STEP_CONNECT;
	r->t = (struct transport){ .fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0) };
	if (r->t.fd == -1) {
		redis_fail(r, "socket: %s", strerror(errno));
		return;
	}
	r->ev_read = event_new(r->how.base, r->t.fd, EV_READ | EV_PERSIST, on_event, r);
	r->ev_write = event_new(r->how.base, r->t.fd, EV_WRITE | EV_PERSIST, on_event, r);
	ASSERT(r->ev_read != NULL && r->ev_write != NULL);
	event_add(r->ev_write, NULL);
	event_add(r->ev_read, NULL);
	if (connect(r->t.fd, sa, len) == -1 && errno != EINPROGRESS)
		redis_fail(r, "cannot be connected to: %s", strerror(errno));
}

static void
resolved(void *ctx, const struct dns_answer *a)
{
	struct redis *r = ctx;

	r->question = NULL;
	if (a->status == DNS_OK && a->n) {
		r->ip = a->records[0].ip;
		open_socket(r);
	} else if (!r->six && (a->status == DNS_NODATA || a->status == DNS_OK)) {
		char name[256];

		r->six = true;
		snprintf(name, sizeof(name), SPAN_FMT, SPAN_ARG(r->how.conf->host.name));
		r->question = resolver_ask(r->how.resolver, name, DNS_AAAA, resolved, r);
	} else
		redis_fail(r, "its name has no address: %s", dns_status_text(a->status));
}

static void
begin(struct redis *r)
{
	const struct conf_counters *c = r->how.conf;
	char name[256];

	ASSERT(r->step == STEP_REST && r->count == 0);
	r->reader = redisReaderCreate();
	ASSERT(r->reader != NULL);
	arm(r, REDIS_PATIENCE);
	r->ip = c->host.ip;
	if (c->socket || r->ip.family) {
		open_socket(r);
		return;
	}
	r->step = STEP_RESOLVE;
	r->six = false;
	snprintf(name, sizeof(name), SPAN_FMT, SPAN_ARG(c->host.name));
	r->question = resolver_ask(r->how.resolver, name, DNS_A, resolved, r);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct redis *r = arg;

	if (r->step == STEP_REST)
		begin(r);
	else if (r->step != STEP_UP)
		redis_fail(r, "no answer while %s", phrases[r->step]);
}

struct redis *
redis_new(const struct redis_setup *how, const struct redis_ops *ops, void *ctx)
{
	struct redis *r = calloc(1, sizeof(*r));

	ASSERT(r != NULL);
	r->how = *how;
	r->ops = ops;
	r->ctx = ctx;
	r->t.fd = -1;
	buf_init(&r->out, REDIS_OUT_MAX);
	r->timer = evtimer_new(how->base, on_timer, r);
	r->flush = event_new(how->base, -1, 0, on_flush, r);
	ASSERT(r->timer != NULL && r->flush != NULL);
	arm(r, 0);
	return r;
}

void
redis_good(struct redis *r)
{
	r->delay = 0;
}

void
redis_free(struct redis **r)
{
	if (*r == NULL)
		return;
	(*r)->failing = true;
	lose(*r);
	event_free((*r)->timer);
	event_free((*r)->flush);
	buf_release(&(*r)->out);
	free((*r)->ring);
	free(*r);
	*r = NULL;
}
