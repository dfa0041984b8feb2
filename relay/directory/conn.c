/* conn.c -- one connection to an LDAP server; see conn.h.
 *
 * RFC 4511 over RFC 4513. The steps follow each other; a step that takes longer than the
 * directory's timeout ends the connection, as does every error of the protocol: a
 * connection of which one answer is wrong is not asked again.
 */
#include <errno.h>
#include <event2/event.h>
#include <ldap.h>
#include <malloc.h>
#include <openldap.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "net/resolver.h"
#include "directory/conn.h"
#include "log.h"
#include "net/transport.h"

#define LDAP_MESSAGES_A_TURN 200	/* then the others have their turn */

/* X(NAME, "phrase") */
#define STEPS(X) \
	X(RESOLVE, "looking up its address") \
	X(CONNECT, "connecting") \
	X(STARTTLS, "asking for TLS") \
	X(HANDSHAKE, "TLS handshake") \
	X(BIND, "binding") \
	X(READY, "ready") \
	X(DEAD, "closed")
enum step {
#define X(name, phrase) STEP_##name,
	STEPS(X)
#undef X
};

static const char *
step_phrase(enum step s)
{
	static const char *const text[] = {
#define X(name, phrase) phrase,
		STEPS(X)
#undef X
	};

	return text[s];
}

struct lconn {
	struct lconn_setup how;
	const struct lconn_ops *ops;
	void *ctx;
	enum step step;
	struct ip ip;
	struct transport t;
	LDAP *ld;
	int id;				/* of STARTTLS or BIND */
	struct question *question;
	struct event *ev_read, *ev_write, *timer, *again;
	int64_t since;
	struct err trouble;		/* of the transport, when libldap only says "server down" */
	char name[320];
};

static void step_begin(struct lconn *c, enum step step);
static void on_event(evutil_socket_t fd, short what, void *arg);

/* ---- libldap ---- */

static void *
wiping_malloc(ber_len_t n, void *ctx)
{
	return malloc(n ? n : 1);
}

static void *
wiping_calloc(ber_len_t n, ber_len_t size, void *ctx)
{
	return calloc(n ? n : 1, size ? size : 1);
}

static void
wiping_free(void *p, void *ctx)
{
	if (p == NULL)
		return;
	explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

static void *
wiping_realloc(void *p, ber_len_t n, void *ctx)
{
	void *to = malloc(n ? n : 1);
	size_t had = p ? malloc_usable_size(p) : 0;

	if (to && p) {
		memcpy(to, p, had < n ? had : n);
		wiping_free(p, ctx);
	}
	return to;
}

int
lconn_library(struct err *err)
{
	static BerMemoryFunctions fns = { wiping_malloc, wiping_calloc, wiping_realloc,
		wiping_free };
	int version = LDAP_VERSION3;

	/* ldap.conf and .ldaprc could switch off what postern.yaml asks for. */
	setenv("LDAPNOINIT", "1", 1);
	if (ber_set_option(NULL, LBER_OPT_MEMORY_FNS, &fns) != LBER_OPT_SUCCESS)
		log_debug("libldap is in use already: its memory is not wiped");
	if (ldap_set_option(NULL, LDAP_OPT_PROTOCOL_VERSION, &version) != LDAP_OPT_SUCCESS)
		return err_set(err, 0, "libldap cannot be used");
	return 0;
}

/* ---- the layer between libldap and our transport ---- */

static int
io_setup(Sockbuf_IO_Desc *d, void *arg)
{
	d->sbiod_pvt = arg;
	return 0;
}

static int
io_remove(Sockbuf_IO_Desc *d)
{
	return 0;
}

static int
io_ctrl(Sockbuf_IO_Desc *d, int opt, void *arg)
{
	struct lconn *c = d->sbiod_pvt;

	if (opt == LBER_SB_OPT_DATA_READY && c->t.ssl)
		return SSL_pending(c->t.ssl) > 0;
	return LBER_SBIOD_CTRL_NEXT(d, opt, arg);
}

static ber_slen_t
io_result(ssize_t r)
{
	if (r >= 0)
		return (ber_slen_t)r;
	errno = r == TRANSPORT_AGAIN ? EWOULDBLOCK : ECONNRESET;
	return -1;
}

static ber_slen_t
io_read(Sockbuf_IO_Desc *d, void *p, ber_len_t n)
{
	struct lconn *c = d->sbiod_pvt;

	return io_result(transport_read(&c->t, p, n, &c->trouble));
}

static ber_slen_t
io_write(Sockbuf_IO_Desc *d, void *p, ber_len_t n)
{
	struct lconn *c = d->sbiod_pvt;
	struct span s = { p, n };

	return io_result(transport_write(&c->t, &s, 1, &c->trouble));
}

static int
io_close(Sockbuf_IO_Desc *d)
{
	return 0;
}

static Sockbuf_IO layer = { .sbi_setup = io_setup, .sbi_remove = io_remove, .sbi_ctrl = io_ctrl,
	.sbi_read = io_read, .sbi_write = io_write, .sbi_close = io_close };

/* libldap owns the descriptor from here on. */
static bool
open_handle(struct lconn *c)
{
	ber_len_t max = CONN_PDU_MAX;
	Sockbuf *sb = NULL;

	if (ldap_init_fd(c->t.fd, LDAP_PROTO_TCP, "ldap://directory", &c->ld) != LDAP_SUCCESS) {
		c->ld = NULL;
		return false;
	}
	ldap_set_option(c->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	ldap_set_option(c->ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
	return ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) == LDAP_OPT_SUCCESS && sb != NULL &&
	    ber_sockbuf_add_io(sb, &layer, LBER_SBIOD_LEVEL_TRANSPORT, c) == 0 &&
	    ber_sockbuf_ctrl(sb, LBER_SB_OPT_SET_MAX_INCOMING, &max) == 1;
}

/* ---- life ---- */

static void
free_events(struct lconn *c)
{
	struct event **all[] = { &c->ev_read, &c->ev_write, &c->timer };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (*all[i])
			event_free(*all[i]);
		*all[i] = NULL;
	}
}

static void
bury(evutil_socket_t fd, short what, void *arg)
{
	struct lconn *c = arg;

	event_free(c->again);
	if (c->ld) {
		/* Sends the goodbye as far as the socket takes it, and closes the descriptor. */
		ldap_unbind_ext(c->ld, NULL, NULL);
		c->t.fd = -1;
	}
	transport_close(&c->t);
	free(c);
}

void
lconn_close(struct lconn **cp)
{
	struct lconn *c = *cp;

	*cp = NULL;
	if (c == NULL || c->step == STEP_DEAD)
		return;
	c->step = STEP_DEAD;
	resolver_cancel(&c->question);
	free_events(c);
	/* Once, in the next turn: we may be inside one of its callbacks now. */
	event_assign(c->again, c->how.base, -1, 0, bury, c);
	event_active(c->again, EV_TIMEOUT, 0);
}

static void
die(struct lconn *c, const char *why)
{
	struct lconn *gone = c;
	char text[1600];

	if (c->step == STEP_DEAD)
		return;
	snprintf(text, sizeof(text), "%s: %s: %s", c->name, step_phrase(c->step), why);
	lconn_close(&gone);
	c->ops->closed(c->ctx, c, text);
}

static void
die_ldap(struct lconn *c, int code)
{
	char *text = NULL;
	char why[1400];

	if (c->ld)
		ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
	snprintf(why, sizeof(why), "%s%s%s%s%s", ldap_err2string(code), text && *text ? ": " : "",
	    text ? text : "", c->trouble.text[0] ? ": " : "", c->trouble.text);
	ldap_memfree(text);
	die(c, why);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	die(arg, "no answer in time");
}

/* ---- step by step ---- */

static void
wait_for(struct lconn *c, short what)
{
	if (c->ev_read == NULL) {
		c->ev_read = event_new(c->how.base, c->t.fd, EV_READ | EV_PERSIST, on_event, c);
		c->ev_write = event_new(c->how.base, c->t.fd, EV_WRITE, on_event, c);
		ASSERT(c->ev_read && c->ev_write);
	}
	if (what & EV_READ)
		event_add(c->ev_read, NULL);
	if (what & EV_WRITE)
		event_add(c->ev_write, NULL);
}

static void
connect_to(struct lconn *c, struct ip ip)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(ip, c->how.server->port, &ss);
	char text[IP_TEXT_MAX];

	c->ip = ip;
	snprintf(c->name, sizeof(c->name), "%s[%s]:%u", c->how.server->host,
	    ip_format(ip, text), c->how.server->port);
	c->t.fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->t.fd == -1 || (connect(c->t.fd, (struct sockaddr *)&ss, len) == -1 &&
	    errno != EINPROGRESS)) {
		die(c, strerror(errno));
		return;
	}
	c->step = STEP_CONNECT;
	wait_for(c, EV_WRITE);
}

static void
resolved(void *ctx, const struct dns_answer *a)
{
	struct lconn *c = ctx;

	c->question = NULL;
	if (a->status == DNS_OK && a->n)
		connect_to(c, a->records[arc4random_uniform((uint32_t)a->n)].ip);
	else if (c->how.known.family)
		connect_to(c, c->how.known);
	else
		die(c, dns_status_text(a->status));
}

static void
start(evutil_socket_t fd, short what, void *arg)
{
	struct lconn *c = arg;

	if (c->how.server->ip.family)
		connect_to(c, c->how.server->ip);
	else if (c->how.resolver)
		c->question = resolver_ask(c->how.resolver, c->how.server->host, DNS_A, resolved, c);
	else
		die(c, "there is no DNS");
}

struct lconn *
lconn_new(const struct lconn_setup *how, const struct lconn_ops *ops, void *ctx)
{
	struct timeval tv = { how->dir->timeout / US_PER_SEC, how->dir->timeout % US_PER_SEC };
	struct lconn *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	c->how = *how;
	c->ops = ops;
	c->ctx = ctx;
	c->t.fd = -1;
	snprintf(c->name, sizeof(c->name), "%s:%u", how->server->host, how->server->port);
	c->timer = event_new(how->base, -1, 0, on_timer, c);
	c->again = event_new(how->base, -1, 0, start, c);
	ASSERT(c->timer && c->again);
	event_add(c->timer, &tv);	/* for all steps together */
	event_active(c->again, EV_TIMEOUT, 0);
	return c;
}

static void
connected(struct lconn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->t.fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error)
		die(c, strerror(error));
	else
		step_begin(c, c->how.server->ldaps ? STEP_HANDSHAKE :
		    c->how.dir->starttls ? STEP_STARTTLS : STEP_BIND);
}

/* The certificate must be the server's: its name as it stands in postern.yaml. */
static void
shaken(struct lconn *c)
{
	struct span name = span_str(c->how.server->host);
	struct err why = { 0 };
	size_t n = strlen(c->name);

	if (transport_proved(&c->t, &name, 1, &why) == PROVED_NOTHING) {
		char text[1200];

		snprintf(text, sizeof(text), "its certificate is not good: %s", why.text);
		die(c, text);
		return;
	}
	snprintf(c->name + n, sizeof(c->name) - n, " %s", SSL_get_version(c->t.ssl));
	step_begin(c, STEP_BIND);
}

static void
shake(struct lconn *c)
{
	struct err err = { 0 };

	switch (transport_handshake(&c->t, &err)) {
	case 0:
		shaken(c);
		break;
	case TRANSPORT_AGAIN:
		wait_for(c, c->t.wants_write ? EV_READ | EV_WRITE : EV_READ);
		break;
	default:
		die(c, err.text);
	}
}

static void
ready(struct lconn *c)
{
	c->step = STEP_READY;
	c->since = clock_mono();
	event_del(c->timer);
	c->ops->ready(c->ctx, c);
}

static void
step_begin(struct lconn *c, enum step step)
{
	struct err err = { 0 };
	int code;

	c->step = step;
	/* Before libldap, whose handle closes the descriptor, and before anything is read. */
	if (step == STEP_HANDSHAKE) {
		if (transport_tls(&c->t, c->how.tls, c->how.server->host, &err) == -1)
			die(c, err.text);
		else
			shake(c);
		return;
	}
	if (c->ld == NULL && !open_handle(c)) {
		die(c, "libldap does not take the connection");
		return;
	}
	wait_for(c, EV_READ);
	if (step == STEP_STARTTLS) {	/* RFC 4511, 4.14 */
		code = ldap_extended_operation(c->ld, LDAP_EXOP_START_TLS, NULL, NULL, NULL, &c->id);
		if (code != LDAP_SUCCESS)
			die_ldap(c, code);
	} else if (c->how.dn == NULL) {
		ready(c);
	} else if ((c->id = lconn_bind(c, c->how.dn, c->how.password)) == -1) {
		die(c, "the bind cannot be sent");
	}
}

/* ---- answers ---- */

static void
own_result(struct lconn *c, int id, int code, const char *text)
{
	char why[1200];

	if (id != c->id) {
		die(c, "an answer to nothing that was asked");
		return;
	}
	if (code != LDAP_SUCCESS) {
		snprintf(why, sizeof(why), "%s%s%s", ldap_err2string(code), *text ? ": " : "", text);
		die(c, why);
	} else if (c->step == STEP_STARTTLS) {
		step_begin(c, STEP_HANDSHAKE);
	} else {
		ready(c);
	}
}

static void
heard(struct lconn *c, LDAPMessage *m)
{
	int type = ldap_msgtype(m), id = ldap_msgid(m), code = LDAP_OTHER;
	char *text = NULL;

	if (type == LDAP_RES_SEARCH_ENTRY) {
		if (c->step == STEP_READY)
			c->ops->entry(c->ctx, c, id, c->ld, m);
		return;
	}
	if (type == LDAP_RES_SEARCH_REFERENCE || type == LDAP_RES_INTERMEDIATE)
		return;		/* it lies elsewhere, where we do not ask */
	if (ldap_parse_result(c->ld, m, &code, NULL, &text, NULL, NULL, 0) != LDAP_SUCCESS)
		die(c, "an answer that cannot be read");
	else if (c->step == STEP_READY)
		c->ops->result(c->ctx, c, id, code, text ? text : "");
	else
		own_result(c, id, code, text ? text : "");
	ldap_memfree(text);
}

static void
read_answers(struct lconn *c)
{
	LDAPMessage *m;

	for (int i = 0; i < LDAP_MESSAGES_A_TURN; i++) {
		enum step before = c->step;
		struct timeval zero = { 0 };
		int r;

		m = NULL;
		r = ldap_result(c->ld, LDAP_RES_ANY, LDAP_MSG_ONE, &zero, &m);
		if (r == 0 && !(c->t.ssl && SSL_pending(c->t.ssl) > 0))
			return;
		if (r == -1) {
			int code = LDAP_SERVER_DOWN;

			ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &code);
			die_ldap(c, code);
			return;
		}
		if (m) {
			heard(c, m);
			ldap_msgfree(m);
		}
		/* TLS has begun: what is there now are its records. */
		if (c->step == STEP_DEAD || (c->step == STEP_HANDSHAKE && c->step != before))
			return;
	}
	event_active(c->ev_read, EV_READ, 0);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct lconn *c = arg;

	switch (c->step) {
	case STEP_CONNECT:
		connected(c);
		break;
	case STEP_HANDSHAKE:
		shake(c);
		break;
	case STEP_RESOLVE:
	case STEP_DEAD:
		break;
	default:
		read_answers(c);
	}
}

/* ---- questions ---- */

int
lconn_search(struct lconn *c, const char *base, int scope, const char *filter,
    const char *const *attributes, int max)
{
	int id = -1;

	if (c->step != STEP_READY || ldap_search_ext(c->ld, base, scope, filter,
	    (char **)(uintptr_t)attributes, 0, NULL, NULL, NULL, max, &id) != LDAP_SUCCESS)
		return -1;
	return id;
}

int
lconn_bind(struct lconn *c, const char *dn, struct span password)
{
	struct berval bv = { password.n, (char *)(uintptr_t)password.p };
	int id = -1;

	/* RFC 4513, 5.1.2: a name without a password binds as nobody, and succeeds. */
	ASSERT(password.n > 0 && *dn);
	if (ldap_sasl_bind(c->ld, dn, LDAP_SASL_SIMPLE, &bv, NULL, NULL, &id) != LDAP_SUCCESS)
		return -1;
	return id;
}

void
lconn_abandon(struct lconn *c, int id)
{
	if (c->step == STEP_READY)
		ldap_abandon_ext(c->ld, id, NULL, NULL);
}

const char *
lconn_text(const struct lconn *c)
{
	return c->name;
}

bool
lconn_is_ready(const struct lconn *c)
{
	return c->step == STEP_READY;
}

int64_t
lconn_since(const struct lconn *c)
{
	return c->since;
}
