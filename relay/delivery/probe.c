/* probe.c -- what a mail server says of itself; see probe.h. */
#include <errno.h>
#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "delivery/probe.h"
#include "delivery/probe_certificate.h"
#include "delivery/reply.h"

/* X(NAME, "what people call it") */
#define PROBE_STATES(X) \
	X(DNS, "dns") X(CONNECT, "connect") X(GREETING, "greeting") X(EHLO, "EHLO") X(STARTTLS, "STARTTLS") \
	X(TLS, "handshake") X(EHLO_TLS, "EHLO (TLS)") X(QUIT, "QUIT") X(OVER, "over")
enum probe_state {
#define X(name, text) PROBE_##name,
	PROBE_STATES(X)
#undef X
};

static const char *const state_names[] = {
#define X(name, text) text,
	PROBE_STATES(X)
#undef X
};

struct probe_step {
	const char *name;
	int64_t took;			/* us */
	struct span said;
};

struct probe {
	struct probe_setup s;
	probe_done *done;
	void *ctx;
	struct arena *arena;
	enum probe_state state;
	char *name;			/* NULL: the host is an address */
	struct question *q[3];
	unsigned asking;
	struct ip ips[PROBE_ADDRESSES_MAX];
	size_t nips, at;
	struct dns_answer *tlsa;	/* NULL: none */
	bool tlsa_matches[DNS_RECORDS_MAX];
	struct transport t;
	struct event *ev, *deadline, *end;
	struct smtp_reply reply;
	char out[600];
	size_t out_n, out_at;
	int64_t began, since;
	/* the result */
	struct probe_step steps[PROBE_STEPS_MAX];
	size_t nsteps;
	struct span error, banner, server;
	struct span extensions[PROBE_EXTENSIONS_MAX];
	size_t nextensions;
	bool starttls, has_size, ok, has_certificate;
	uint64_t size;
	struct span agreed;
	struct probe_certificate certificate;
};

bool
probe_ok(const struct probe *p)
{
	return p->ok;
}

/* ---- the end ---- */

static void
probe_free(struct probe *p)
{
	struct arena *a = p->arena;

	for (size_t i = 0; i < 3; i++)
		resolver_cancel(&p->q[i]);
	if (p->ev)
		event_free(p->ev);
	event_free(p->deadline);
	event_free(p->end);
	transport_close(&p->t);
	smtp_reply_release(&p->reply);
	arena_free(&a);
}

static void
step(struct probe *p, struct span said)
{
	int64_t now = clock_mono();

	if (p->nsteps < PROBE_STEPS_MAX)
		p->steps[p->nsteps++] = (struct probe_step){ state_names[p->state], now - p->since,
			arena_span(p->arena, said) };
	p->since = now;
}

static void
over(struct probe *p)
{
	p->state = PROBE_OVER;
	if (p->ev)
		event_del(p->ev);
	evtimer_del(p->deadline);
	event_active(p->end, EV_TIMEOUT, 0);
}

static void __attribute__((format(printf, 2, 3)))
fail(struct probe *p, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* What comes behind a farewell matters to nobody. */
	if (p->state == PROBE_QUIT) {
		over(p);
		return;
	}
	p->error = arena_span(p->arena, span_str(text));
	step(p, p->error);
	p->ok = false;
	over(p);
}

static void
at_end(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	if (p->state != PROBE_OVER) {
		fail(p, "no end within %d s", (int)(PROBE_ALL_US / US_PER_SEC));
		return;
	}
	p->done(p->ctx, p);
	probe_free(p);
}

static void
enter(struct probe *p, enum probe_state s)
{
	static const struct timeval patience = { PROBE_STEP_US / US_PER_SEC, 0 };

	p->state = s;
	evtimer_add(p->deadline, &patience);
}

/* ---- connecting ---- */

static void on_socket(evutil_socket_t fd, short what, void *arg);

static void
await(struct probe *p, short what)
{
	event_del(p->ev);
	event_assign(p->ev, p->s.base, p->t.fd, what, on_socket, p);
	event_add(p->ev, NULL);
}

static bool
try_address(struct probe *p, struct ip ip, struct err *err)
{
	struct sockaddr_storage to, from;
	socklen_t n = ip_to_sockaddr(ip, p->s.port, &to);
	int fd = socket(ip.family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char text[IP_TEXT_MAX];

	if (fd == -1) {
		err_errno(err, "socket");
		return false;
	}
	p->t.fd = fd;
	for (size_t i = 0; i < p->s.nsources; i++) {
		if (p->s.sources[i].family != ip.family)
			continue;
		if (bind(fd, (struct sockaddr *)&from, ip_to_sockaddr(p->s.sources[i], 0, &from)) == -1) {
			err_errno(err, "from %s", ip_format(p->s.sources[i], text));
			return false;
		}
		break;
	}
	if (connect(fd, (struct sockaddr *)&to, n) == -1 && errno != EINPROGRESS) {
		err_errno(err, "connect");
		return false;
	}
	return true;
}

/* The next address, or the end. */
static void
next_address(struct probe *p, const char *why)
{
	char text[IP_TEXT_MAX];
	struct err err;

	if (why) {
		ip_format(p->ips[p->at], text);
		step(p, span_str(arena_printf(p->arena, "%s: %s", text, why)));
		event_del(p->ev);
		transport_close(&p->t);
		p->at++;
	}
	for (; p->at < p->nips; p->at++) {
		enter(p, PROBE_CONNECT);
		if (try_address(p, p->ips[p->at], &err)) {
			await(p, EV_WRITE);
			return;
		}
		ip_format(p->ips[p->at], text);
		step(p, span_str(arena_printf(p->arena, "%s: %s", text, err.text)));
		transport_close(&p->t);
	}
	p->error = SPAN_LIT("no address of it takes a connection");
	over(p);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;

	if (p->state == PROBE_CONNECT)
		next_address(p, "Connection timed out");
	else
		fail(p, "no answer within %d s", (int)(PROBE_STEP_US / US_PER_SEC));
}

/* ---- the conversation ---- */

static void
say(struct probe *p, enum probe_state s, const char *command)
{
	enter(p, s);
	p->out_n = (size_t)snprintf(p->out, sizeof(p->out), "%s", command);
	p->out_at = 0;
	smtp_reply_reset(&p->reply);
	await(p, EV_WRITE);
}

static void
ehlo(struct probe *p, enum probe_state s)
{
	say(p, s, arena_printf(p->arena, "EHLO " SPAN_FMT "\r\n", SPAN_ARG(span_sub(p->s.hello, 0, 255))));
}

static void
take_extensions(struct probe *p)
{
	p->nextensions = 0;
	p->starttls = p->has_size = false;
	p->server = arena_span(p->arena, smtp_reply_line(&p->reply, 0));
	for (size_t i = 1; i < p->reply.nlines && p->nextensions < PROBE_EXTENSIONS_MAX; i++) {
		struct span l = arena_span(p->arena, smtp_reply_line(&p->reply, i));
		struct span word = span_sub(l, 0, span_find(l, ' ')), arg = span_trim(span_from(l, word.n));

		p->extensions[p->nextensions++] = l;
		p->starttls |= span_is_nocase(word, "STARTTLS");
		if (!span_is_nocase(word, "SIZE"))
			continue;
		p->has_size = true;
		p->size = 0;
		for (size_t k = 0; k < arg.n && arg.p[k] >= '0' && arg.p[k] <= '9' && p->size < UINT64_MAX / 100; k++)
			p->size = p->size * 10 + (uint64_t)(arg.p[k] - '0');
	}
}

static void
shake(struct probe *p)
{
	char agreed[TRANSPORT_AGREED_MAX];
	struct err err;

	switch (transport_handshake(&p->t, &err)) {
	case TRANSPORT_AGAIN:
		await(p, p->t.wants_write ? EV_WRITE : EV_READ);
		return;
	case TRANSPORT_BROKEN:
		fail(p, "%s", err.text);
		return;
	}
	p->agreed = arena_span(p->arena, transport_agreed(&p->t, agreed));
	step(p, p->agreed);
	p->has_certificate = probe_certificate_read(&p->t, p->s.host, p->arena, &p->certificate);
	for (size_t i = 0; p->tlsa && i < p->tlsa->n; i++)
		p->tlsa_matches[i] = probe_certificate_matches(&p->t, dns_data(p->tlsa, &p->tlsa->records[i]));
	ehlo(p, PROBE_EHLO_TLS);
}

static void
heard(struct probe *p)
{
	struct span text = smtp_reply_text(&p->reply);
	unsigned code = p->reply.code;
	struct err err;

	step(p, text);
	switch (p->state) {
	case PROBE_GREETING:
		p->banner = arena_span(p->arena, text);
		if (code / 100 != 2) {
			p->error = SPAN_LIT("it will not talk to us: see its greeting");
			say(p, PROBE_QUIT, "QUIT\r\n");
			return;
		}
		ehlo(p, PROBE_EHLO);
		return;
	case PROBE_EHLO:
	case PROBE_EHLO_TLS:
		if (code / 100 != 2) {
			p->error = SPAN_LIT("it does not take EHLO");
			say(p, PROBE_QUIT, "QUIT\r\n");
			return;
		}
		p->ok = true;
		if (p->state == PROBE_EHLO) {
			take_extensions(p);
			if (p->starttls) {
				say(p, PROBE_STARTTLS, "STARTTLS\r\n");
				return;
			}
		} else {
			bool offered = p->starttls;

			take_extensions(p);
			p->starttls = offered;
		}
		say(p, PROBE_QUIT, "QUIT\r\n");
		return;
	case PROBE_STARTTLS:
		if (code / 100 != 2) {
			p->error = SPAN_LIT("it offers STARTTLS and then refuses it");
			p->ok = false;
			say(p, PROBE_QUIT, "QUIT\r\n");
			return;
		}
		enter(p, PROBE_TLS);
		if (transport_tls(&p->t, p->s.tls, p->name, &err) == -1)
			fail(p, "%s", err.text);
		else
			shake(p);
		return;
	default:
		over(p);
	}
}

static void
hear(struct probe *p)
{
	char room[4096];
	struct err err;

	for (;;) {
		ssize_t n = transport_read(&p->t, room, sizeof(room), &err);
		size_t used;

		if (n == TRANSPORT_AGAIN) {
			await(p, p->t.wants_write ? EV_WRITE : EV_READ);
			return;
		}
		if (n <= 0) {
			fail(p, "%s", n == 0 ? "it hung up" : err.text);
			return;
		}
		switch (smtp_reply_feed(&p->reply, span_make(room, (size_t)n), &used)) {
		case REPLY_MORE:
			break;
		case REPLY_BROKEN:
			fail(p, "that is no SMTP: %s", p->reply.broken);
			return;
		case REPLY_WHOLE:
			/* Words before they are asked for, behind STARTTLS above all, would be taken for
			 * those of the next command. */
			if (used < (size_t)n && p->state != PROBE_QUIT) {
				fail(p, "it says more than it is asked");
				return;
			}
			heard(p);
			return;
		}
	}
}

static void
connected(struct probe *p)
{
	int e = 0;
	socklen_t n = sizeof(e);
	char text[IP_TEXT_MAX];

	if (getsockopt(p->t.fd, SOL_SOCKET, SO_ERROR, &e, &n) == -1)
		e = errno;
	if (e) {
		next_address(p, strerror(e));
		return;
	}
	step(p, span_str(ip_format(p->ips[p->at], text)));
	enter(p, PROBE_GREETING);
	await(p, EV_READ);
}

static void
on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct probe *p = arg;
	struct err err;

	if (p->state == PROBE_OVER)
		return;
	if (p->state == PROBE_CONNECT) {
		connected(p);
		return;
	}
	if (p->state == PROBE_TLS) {
		shake(p);
		return;
	}
	while (p->out_at < p->out_n) {
		struct span v = span_make(p->out + p->out_at, p->out_n - p->out_at);
		ssize_t n = transport_write(&p->t, &v, 1, &err);

		if (n == TRANSPORT_AGAIN) {
			await(p, p->t.wants_write ? EV_WRITE : EV_READ);
			return;
		}
		if (n <= 0) {
			fail(p, "%s", err.text);
			return;
		}
		p->out_at += (size_t)n;
	}
	hear(p);
}

/* ---- names ---- */

static void
asked(struct probe *p)
{
	if (--p->asking)
		return;
	if (p->nips == 0) {
		fail(p, "%s has no address", p->name);
		return;
	}
	if (p->name)
		step(p, span_str(arena_printf(p->arena, "%zu address%s", p->nips, p->nips > 1 ? "es" : "")));
	next_address(p, NULL);
}

static void
got_addresses(void *ctx, const struct dns_answer *a, size_t which)
{
	struct probe *p = ctx;

	p->q[which] = NULL;
	for (size_t i = 0; i < a->n && p->nips < PROBE_ADDRESSES_MAX; i++)
		p->ips[p->nips++] = a->records[i].ip;
	asked(p);
}

static void
got_a(void *ctx, const struct dns_answer *a)
{
	got_addresses(ctx, a, 0);
}

static void
got_aaaa(void *ctx, const struct dns_answer *a)
{
	got_addresses(ctx, a, 1);
}

static void
got_tlsa(void *ctx, const struct dns_answer *a)
{
	struct probe *p = ctx;

	p->q[2] = NULL;
	if (a->n) {
		p->tlsa = arena_alloc(p->arena, sizeof(*p->tlsa));
		*p->tlsa = *a;
	}
	asked(p);
}

static void
begin(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval all = { PROBE_ALL_US / US_PER_SEC, 0 };
	struct probe *p = arg;

	event_assign(p->end, p->s.base, -1, 0, at_end, p);
	evtimer_add(p->end, &all);
	if (p->name == NULL) {
		p->asking = 1;
		asked(p);
		return;
	}
	enter(p, PROBE_DNS);
	p->asking = 3;
	p->q[0] = resolver_ask(p->s.resolver, p->name, DNS_A, got_a, p);
	p->q[1] = resolver_ask(p->s.resolver, p->name, DNS_AAAA, got_aaaa, p);
	p->q[2] = resolver_ask(p->s.resolver, arena_printf(p->arena, "_%u._tcp.%s", p->s.port, p->name), DNS_TLSA,
	    got_tlsa, p);
}

struct probe *
probe_start(const struct probe_setup *s, probe_done *done, void *ctx)
{
	struct arena *a = arena_new(0);
	struct probe *p = arena_zalloc(a, sizeof(*p));

	p->arena = a;
	p->s = *s;
	p->s.host = arena_span(a, s->host);
	p->s.hello = arena_span(a, s->hello);
	p->done = done;
	p->ctx = ctx;
	p->t.fd = -1;
	smtp_reply_init(&p->reply);
	if (ip_parse(p->s.host, &p->ips[0]))
		p->nips = 1;
	else
		p->name = arena_str(a, p->s.host);
	p->began = p->since = clock_mono();
	p->ev = event_new(s->base, -1, 0, on_socket, p);
	p->deadline = evtimer_new(s->base, on_deadline, p);
	p->end = evtimer_new(s->base, begin, p);
	ASSERT(p->ev && p->deadline && p->end);
	event_active(p->end, EV_TIMEOUT, 0);
	return p;
}

/* ---- for people and programs ---- */

static void
write_text(struct json *j, const char *key, struct span s)
{
	json_key(j, key);
	if (s.n)
		json_str(j, s);
	else
		json_null(j);
}

static void
write_tlsa(const struct probe *p, struct json *j)
{
	json_key(j, "tlsa");
	json_array(j);
	for (size_t i = 0; p->tlsa && i < p->tlsa->n; i++) {
		struct span d = dns_data(p->tlsa, &p->tlsa->records[i]);
		struct buf b;

		buf_init(&b, 2 * DNS_DATA_MAX + 32);
		for (size_t k = 0; k < d.n; k++)
			buf_printf(&b, k < 3 ? "%u " : "%02x", (unsigned char)d.p[k]);
		json_object(j);
		json_kstr(j, "record", buf_data(&b));
		json_kbool(j, "matches", p->tlsa_matches[i]);
		json_end_object(j);
		buf_release(&b);
	}
	json_end_array(j);
	json_kbool(j, "tlsa_secure", p->tlsa && p->tlsa->secure);
}

void
probe_write(const struct probe *p, struct json *j)
{
	char text[IP_TEXT_MAX];

	json_kstr(j, "host", p->s.host);
	json_kuint(j, "port", p->s.port);
	json_kbool(j, "ok", p->ok && p->error.n == 0);
	write_text(j, "error", p->error);
	json_kcstr(j, "address", p->at < p->nips ? ip_format(p->ips[p->at], text) : NULL);
	json_key(j, "addresses");
	json_array(j);
	for (size_t i = 0; i < p->nips; i++)
		json_cstr(j, ip_format(p->ips[i], text));
	json_end_array(j);
	json_key(j, "steps");
	json_array(j);
	for (size_t i = 0; i < p->nsteps; i++) {
		json_object(j);
		json_kcstr(j, "step", p->steps[i].name);
		json_kint(j, "ms", (p->steps[i].took + 500) / 1000);
		json_kstr(j, "said", p->steps[i].said);
		json_end_object(j);
	}
	json_end_array(j);
	write_text(j, "banner", p->banner);
	write_text(j, "name", span_sub(p->server, 0, span_find(p->server, ' ')));
	json_key(j, "extensions");
	json_array(j);
	for (size_t i = 0; i < p->nextensions; i++)
		json_str(j, p->extensions[i]);
	json_end_array(j);
	json_key(j, "size");
	if (p->has_size)
		json_uint(j, p->size);
	else
		json_null(j);
	json_kbool(j, "starttls", p->starttls);
	write_text(j, "tls", p->agreed);
	json_key(j, "certificate");
	if (p->has_certificate)
		probe_certificate_write(&p->certificate, clock_real() / US_PER_SEC, j);
	else
		json_null(j);
	write_tlsa(p, j);
}
