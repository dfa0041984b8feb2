/* syslog.c -- to one log server: UDP (RFC 5426), TCP with octet counting (RFC 6587, 3.4.1), TLS (RFC 5425), or the
 * socket of this machine's; see export.h.
 *
 * Neither protocol says that a message was taken. So a batch counts as sent when the other side's TCP has
 * acknowledged all of it and the connection still stands; one that breaks before that is sent again, whole, over the
 * next. A datagram counts as sent when the kernel has it.
 */
#include <errno.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fetcher/export.h"
#include "ipc/codec.h"
#include "net/resolver.h"

#define SEND_SECONDS 30		/* from the question to the last byte */
#define LOOK_MS 20		/* between looks whether all is acknowledged */
#define OUT_MAX (2u << 20)
#define SYSTEM_ROOTS "/etc/ssl/certs/ca-certificates.crt"

enum state { CLOSED, RESOLVING, CONNECTING, SHAKING, OPEN };

struct syslog_peer {
	const struct conf_export *conf;
	const struct https_world *w;
	enum state state;
	struct ip ip;
	struct question *question;
	bool again;			/* AAAA is still to be asked */
	int fd;
	int unix_fd;			/* of EXPORT_UNIX: made before the sandbox */
	SSL_CTX *ctx;
	SSL *ssl;
	struct event *io;		/* as the state wants it */
	struct event *late, *look, *answer;
	struct buf out;			/* what is sent, framed */
	size_t done;
	struct buf grams;		/* datagrams: as they came */
	syslog_cb *cb;			/* NULL: idle */
	void *cb_ctx;
	const char *why;
	char text[300];
};

static void advance(struct syslog_peer *p);

/* ---- the end ---- */

static void
hang_up(struct syslog_peer *p)
{
	resolver_cancel(&p->question);
	if (p->io)
		event_free(p->io);
	p->io = NULL;
	SSL_free(p->ssl);
	p->ssl = NULL;
	if (p->fd != -1)
		close(p->fd);
	p->fd = -1;
	p->state = CLOSED;
}

static void
finish(struct syslog_peer *p, const char *why)
{
	p->why = why;
	evtimer_del(p->late);
	evtimer_del(p->look);
	event_active(p->answer, EV_TIMEOUT, 0);
}

static void
on_answer(evutil_socket_t fd, short what, void *arg)
{
	struct syslog_peer *p = arg;
	syslog_cb *cb = p->cb;

	p->cb = NULL;
	buf_reset(&p->out);
	buf_reset(&p->grams);
	if (cb)
		cb(p->cb_ctx, p->why);
}

static void __attribute__((format(printf, 2, 3)))
fail(struct syslog_peer *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->text, sizeof(p->text), fmt, ap);
	va_end(ap);
	hang_up(p);
	if (p->cb)
		finish(p, p->text);
}

static void
on_late(evutil_socket_t fd, short what, void *arg)
{
	fail(arg, "it is too slow");
}

/* ---- the stream ---- */

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	advance(arg);
}

static void
want(struct syslog_peer *p, short what)
{
	if (p->io)
		event_free(p->io);
	p->io = event_new(p->w->base, p->fd, what, on_io, p);
	ASSERT(p->io != NULL);
	event_add(p->io, NULL);
}

static const char *
tls_error(struct syslog_peer *p)
{
	long v = p->ssl ? SSL_get_verify_result(p->ssl) : X509_V_OK;
	const char *s = v != X509_V_OK ? X509_verify_cert_error_string(v) :
	    ERR_reason_error_string(ERR_get_error());

	ERR_clear_error();
	return s ? s : "the connection ended";
}

/* Nothing is to be read here; the end is. False: it is over. */
static bool
still_there(struct syslog_peer *p)
{
	char bytes[512];
	ssize_t n;

	for (;;) {
		ERR_clear_error();
		n = p->ssl ? SSL_read(p->ssl, bytes, sizeof(bytes)) : recv(p->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (n > 0)
			continue;
		if (p->ssl)
			return SSL_get_error(p->ssl, (int)n) == SSL_ERROR_WANT_READ;
		return n == -1 && (errno == EAGAIN || errno == EINTR);
	}
}

static void send_datagrams(struct syslog_peer *p);

static void
on_look(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0, LOOK_MS * 1000 };
	struct syslog_peer *p = arg;
	int left = 0;

	if (p->conf->way == EXPORT_UNIX)
		send_datagrams(p);
	else if (ioctl(p->fd, SIOCOUTQ, &left) == -1)
		fail(p, "%s", strerror(errno));
	else if (!still_there(p))
		fail(p, "it closed the connection");
	else if (left)
		evtimer_add(p->look, &soon);
	else {
		want(p, EV_READ);	/* the end is noticed while nothing is to be sent */
		finish(p, NULL);
	}
}

static void
write_out(struct syslog_peer *p)
{
	struct span all = buf_data(&p->out);

	if (!still_there(p)) {
		fail(p, "it closed the connection");
		return;
	}
	while (p->cb && p->done < all.n) {
		ssize_t n;

		ERR_clear_error();
		n = p->ssl ? SSL_write(p->ssl, all.p + p->done, (int)(all.n - p->done)) :
		    send(p->fd, all.p + p->done, all.n - p->done, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			p->done += (size_t)n;
			continue;
		}
		if (p->ssl ? SSL_get_error(p->ssl, (int)n) == SSL_ERROR_WANT_WRITE : errno == EAGAIN) {
			want(p, EV_WRITE);
			return;
		}
		if (p->ssl && SSL_get_error(p->ssl, (int)n) == SSL_ERROR_WANT_READ) {
			want(p, EV_READ);
			return;
		}
		fail(p, "sending: %s", p->ssl ? tls_error(p) : strerror(errno));
		return;
	}
	if (p->cb)
		on_look(-1, 0, p);
	else
		want(p, EV_READ);
}

static void
shake(struct syslog_peer *p)
{
	int n;

	ERR_clear_error();
	if ((n = SSL_connect(p->ssl)) == 1) {
		p->state = OPEN;
		write_out(p);
		return;
	}
	n = SSL_get_error(p->ssl, n);
	if (n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE)
		want(p, n == SSL_ERROR_WANT_READ ? EV_READ : EV_WRITE);
	else
		fail(p, "TLS: %s", tls_error(p));
}

static void
begin_tls(struct syslog_peer *p)
{
	const struct conf_host *h = &p->conf->host;
	char name[DNS_NAME_MAX + 1];
	X509_VERIFY_PARAM *param;

	p->ssl = SSL_new(p->ctx);
	ASSERT(p->ssl != NULL);
	param = SSL_get0_param(p->ssl);
	snprintf(name, sizeof(name), SPAN_FMT, SPAN_ARG(h->name));
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (h->ip.family)
		ASSERT(X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1);
	else
		ASSERT(X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
		    SSL_set_tlsext_host_name(p->ssl, name) == 1);
	ASSERT(SSL_set_fd(p->ssl, p->fd) == 1);
	p->state = SHAKING;
	shake(p);
}

/* An event of the socket, or something to be sent. */
static void
advance(struct syslog_peer *p)
{
	int e = 0;
	socklen_t n = sizeof(e);

	switch (p->state) {
	case CONNECTING:
		if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &e, &n) == -1 || e) {
			fail(p, "connecting: %s", strerror(e ? e : errno));
			return;
		}
		if (p->conf->way == EXPORT_TLS) {
			begin_tls(p);
			return;
		}
		p->state = OPEN;
		/* FALLTHROUGH */
	case OPEN:
		write_out(p);
		return;
	case SHAKING:
		shake(p);
		return;
	case CLOSED:
	case RESOLVING:
		return;
	}
}

/* ---- datagrams ---- */

/* A socket of the file system holds a few (net.unix.max_dgram_qlen, 10 as the kernel comes): what it has no
 * room for waits until its reader has taken some, and what it has is not sent again. */
static void
send_datagrams(struct syslog_peer *p)
{
	static const struct timeval soon = { 0, LOOK_MS * 1000 };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct span all = span_from(buf_data(&p->grams), p->done);
	struct dec d = { all.p, all.p + all.n, false };

	if (p->conf->path)
		memcpy(un.sun_path, p->conf->path, strlen(p->conf->path) + 1);
	while (d.p < d.end && !d.bad) {
		struct span one = dec_span(&d);
		ssize_t n = p->conf->path ? sendto(p->unix_fd, one.p, one.n, MSG_DONTWAIT | MSG_NOSIGNAL,
		    (struct sockaddr *)&un, sizeof(un)) : send(p->fd, one.p, one.n, MSG_DONTWAIT);

		if (n == -1 && errno == ECONNREFUSED && !p->conf->path)	/* of the one before: ICMP */
			n = send(p->fd, one.p, one.n, MSG_DONTWAIT);
		if (n == -1 && p->conf->path && (errno == EAGAIN || errno == ENOBUFS)) {
			evtimer_add(p->look, &soon);
			return;
		}
		if (n == -1) {
			fail(p, "sending: %s", strerror(errno));
			return;
		}
		p->done = buf_size(&p->grams) - (size_t)(d.end - d.p);
	}
	finish(p, NULL);
}

/* ---- the beginning ---- */

static void
dial(struct syslog_peer *p)
{
	bool udp = p->conf->way == EXPORT_UDP;
	struct sockaddr_storage ss;
	socklen_t n = ip_to_sockaddr(p->ip, p->conf->host.port, &ss);

	p->fd = socket(ss.ss_family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd == -1 || (connect(p->fd, (struct sockaddr *)&ss, n) == -1 && errno != EINPROGRESS)) {
		fail(p, "connecting: %s", strerror(errno));
		return;
	}
	if (udp) {
		p->state = OPEN;
		send_datagrams(p);
		return;
	}
	p->state = CONNECTING;
	want(p, EV_WRITE);
}

static void
resolved(void *ctx, const struct dns_answer *a)
{
	struct syslog_peer *p = ctx;
	char name[DNS_NAME_MAX + 1];

	p->question = NULL;
	if (a->n) {
		p->ip = a->records[0].ip;
		dial(p);
		return;
	}
	snprintf(name, sizeof(name), SPAN_FMT, SPAN_ARG(p->conf->host.name));
	if (p->again) {
		p->again = false;
		p->question = resolver_ask(p->w->resolver, name, DNS_AAAA, resolved, p);
		return;
	}
	fail(p, "%s has no address: %s", name, dns_status_text(a->status));
}

static void
begin(struct syslog_peer *p)
{
	char name[DNS_NAME_MAX + 1];

	if (p->conf->path) {
		send_datagrams(p);
	} else if (p->conf->host.ip.family) {
		p->ip = p->conf->host.ip;
		dial(p);
	} else {
		snprintf(name, sizeof(name), SPAN_FMT, SPAN_ARG(p->conf->host.name));
		p->state = RESOLVING;
		p->again = true;
		p->question = resolver_ask(p->w->resolver, name, DNS_A, resolved, p);
	}
}

bool
syslog_busy(const struct syslog_peer *p)
{
	return p->cb != NULL;
}

int
syslog_send(struct syslog_peer *p, struct span body, syslog_cb *done, void *ctx)
{
	static const struct timeval late = { SEND_SECONDS, 0 };
	struct dec d = { body.p, body.p + body.n, false };
	bool grams = p->conf->way == EXPORT_UDP || p->conf->way == EXPORT_UNIX;

	ASSERT(p->cb == NULL);
	while (d.p < d.end && !d.bad) {
		struct span one = dec_span(&d);

		buf_printf(&p->out, "%zu ", one.n);
		buf_put(&p->out, one.p, one.n);
	}
	if (grams)
		buf_put(&p->grams, body.p, body.n);
	if (d.bad || buf_failed(&p->out) || buf_failed(&p->grams)) {
		buf_release(&p->out);
		buf_init(&p->out, OUT_MAX);
		return -1;
	}
	p->cb = done;
	p->cb_ctx = ctx;
	p->done = 0;
	evtimer_add(p->late, &late);
	if (p->state == CLOSED)
		begin(p);
	else if (grams)
		send_datagrams(p);
	else
		advance(p);
	return 0;
}

/* ---- start ---- */

static int
roots_load(struct syslog_peer *p, struct err *err)
{
	const char *roots = p->conf->roots ? p->conf->roots : SYSTEM_ROOTS;

	p->ctx = SSL_CTX_new(TLS_client_method());
	ASSERT(p->ctx != NULL);
	SSL_CTX_set_min_proto_version(p->ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(p->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(p->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (SSL_CTX_load_verify_file(p->ctx, roots) != 1 && p->conf->roots)
		return err_set(err, 0, "siem ca %s: %s", roots, tls_error(p));
	ERR_clear_error();
	return 0;
}

struct syslog_peer *
syslog_start(const struct conf_export *conf, struct err *err)
{
	struct syslog_peer *p = calloc(1, sizeof(*p));

	ASSERT(p != NULL);
	p->conf = conf;
	p->fd = p->unix_fd = -1;
	buf_init(&p->out, OUT_MAX);
	buf_init(&p->grams, OUT_MAX);
	if (conf->way == EXPORT_UNIX &&
	    (p->unix_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) == -1) {
		err_errno(err, "a socket for %s", conf->path);
		return NULL;
	}
	if (conf->way == EXPORT_TLS && roots_load(p, err) == -1)
		return NULL;
	return p;
}

void
syslog_run(struct syslog_peer *p, const struct https_world *w)
{
	p->w = w;
	p->late = evtimer_new(w->base, on_late, p);
	p->look = evtimer_new(w->base, on_look, p);
	p->answer = event_new(w->base, -1, 0, on_answer, p);
	ASSERT(p->late && p->look && p->answer);
}
