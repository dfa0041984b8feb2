/* door.c -- listeners: who is let in, and as whom.
 *
 * A client that is turned away at once costs one send() and no memory. From
 * the networks of `proxy_protocol` a header comes first: the session begins, and
 * the client is known, when it is complete. Who sends anything else there is hung
 * up on without a word, as the protocol wants it.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "receiver/connection.h"
#include "receiver/proxy.h"

#define PROXY_TIME (10 * US_PER_SEC)	/* for the PROXY header */
#define ACCEPTS_PER_TURN 64

/* Turned away without a session: costs no memory. */
static void
turn_away(struct door *d, int fd, struct ip ip, unsigned code, const char *text, bool log)
{
	struct receiver *rx = d->rx;
	uint64_t id = id_new(&rx->ids, clock_real());
	char line[512], ref[ID_SIZE];
	int n;

	n = snprintf(line, sizeof(line), "%u %s (ref %s)\r\n", code, text, id_format(id, ref));
	ASSERT(n > 4 && (size_t)n < sizeof(line));
	if (send(fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		log_debug("a refused client did not wait for its refusal");
	close(fd);
	counter_add(COUNTER_CONNECTIONS_REFUSED, 1);
	if (log)
		log_refused(id, "CONNECT", SPAN_LIT(""), ip, code,
		    span_make(line + 4, (size_t)n - 6), NULL, NULL);
	if (code == 554)
		hint_allow(rx, d, id, ip, clock_mono());
}

/* Is there room for one more session at all? */
static bool
full(struct door *d)
{
	struct receiver *rx = d->rx;
	struct limits_totals all;
	uint32_t here;

	limits_totals(rx->limits, rx->column, clock_mono(), &all);
	here = limits_open(rx->limits, rx->column, d->conf->name, 0, clock_mono());
	return (here > d->sessions ? here : d->sessions) >= d->conf->limits.sessions ||
	    all.sessions + rx->sessions >= rx->rt->conf->limits.sessions;
}

/* Has this client too many sessions, with the one that counts already? 0: no. */
static unsigned
crowded(struct door *d, struct ip ip, uint32_t sessions, const char **text)
{
	const struct limit_rule *rule;
	char ip_text[IP_TEXT_MAX];
	struct limits_who asks = { .client = span_str(ip_format(ip, ip_text)),
		.real = clock_real() };
	uint64_t max = limits_connections(d->gate.rules, d->gate.nrules, &asks, &rule);

	if (sessions > max) {
		counter_add(COUNTER_LIMIT_HITS, 1);
		label_add(LABEL_LIMIT, rule->id, (struct span){ 0 }, 1);
		log_warn("limit %.*s reached by %s: %s", SPAN_ARG(rule->id), ip_text,
		    outcome_name(rule->then));
		*text = "4.7.0 too many sessions of this client";
		if (rule->then == OUTCOME_REJECT || rule->then == OUTCOME_DEFER)
			return 421;
	}
	if (sessions <= d->conf->limits.sessions_per_client)
		return 0;
	*text = "4.7.0 too many sessions of this client";
	return 421;
}

/* The connection is this client's from now on: is he welcome? */
static unsigned
admit(struct conn *c, struct ip ip, struct gate_client *who, const char **text)
{
	struct gate_why why;
	unsigned code = gate_connect(&c->door->gate, ip, who, text, &why);

	conn_count(c, ip);
	return code ? code : crowded(c->door, ip, client_count(c->mail.rx, ip, 0), text);
}

/* The session begins. refused: what admit() said. */
static void
conn_begin(struct conn *c, const struct gate_client *who, unsigned code, const char *text)
{
	struct smtp_reply r = { .code = code, .text = span_str(text) };

	c->s.client_name = who->name;
	c->s.permitted = who->permitted;
	c->deadline = clock_mono() + c->door->conf->limits.command_timeout;
	if (code) {	/* it only waits for its end: it keeps no place from the next one */
		counter_add(COUNTER_CONNECTIONS_REFUSED, 1);
		conn_count(c, (struct ip){ 0 });
	}
	if (code == 554)
		hint_allow(c->mail.rx, c->door, 0, c->s.client, clock_mono());
	conn_input(c, SMTP_OPEN, &r, 0);
}

/* ---- the PROXY header ---- */

void
proxy_failed(struct conn *c, const char *why)
{
	char ip[IP_TEXT_MAX];

	log_warn("a PROXY header of %s %s; `proxy_protocol` of listener %.*s at %s:%u wants one",
	    ip_format(c->s.client, ip), why, SPAN_ARG(c->door->conf->name),
	    c->mail.rx->rt->conf->path, c->door->conf->line);
	counter_add(COUNTER_CONNECTIONS_REFUSED, 1);
	conn_close(c);
}

void
proxy_input(struct conn *c)
{
	struct gate_client who;
	struct proxy_header h;
	const char *text = "";
	unsigned code;

	switch (proxy_parse(buf_data(&c->in), &h)) {
	case PROXY_MORE:
		return;
	case PROXY_BAD:
		proxy_failed(c, "cannot be read");
		return;
	case PROXY_LOCAL:
		break;
	case PROXY_CLIENT:
		c->s.client = h.client;
		c->s.client_port = h.port;
		c->s.may_xclient = nets_have(&c->door->conf->xclient, h.client);
		break;
	}
	c->proxied = false;
	buf_consume(&c->in, h.size);
	code = admit(c, c->s.client, &who, &text);
	conn_begin(c, &who, code, text);
}

/* ---- MTAs behind a milter's listener ---- */

/* Those named, or else this machine. */
static bool
is_mta(const struct conf_listener *l, struct ip ip)
{
	struct cidr here;

	if (ip.family == 0)	/* a socket of the file system: its mode says who may */
		return true;
	if (l->mtas.n)
		return nets_have(&l->mtas, ip);
	return cidr_parse(ip.family == 4 ? SPAN_LIT("127.0.0.0/8") : SPAN_LIT("::1"), &here, NULL) == 0 &&
	    cidr_has(here, ip);
}

/* Whom the MTA took is welcome; whether he sends out or in says the listener, and with `auto`
 * its `allow`. */
static unsigned
milter_client(const struct conf_listener *l, struct ip ip, struct gate_client *out)
{
	out->permitted = access_permitted(l, ip, &out->name) && l->direction == LISTEN_AUTO;
	out->permitted |= l->direction == LISTEN_OUTBOUND;
	return 0;
}

/* ---- who it claims to be ---- */

void
conn_xclient(void *ctx, struct smtp_session *s, const struct xclient *x, struct smtp_reply *r)
{
	struct conn *c = ctx;		/* conn_mail is its first member */
	char was[CLIENT_TEXT_MAX], ip[IP_TEXT_MAX];
	struct gate_client who;
	const char *text = "";
	unsigned code;

	client_text(s->client_name, s->client, was);
	if (x->has & XCLIENT_ADDR)
		s->client = x->addr;
	if (x->has & XCLIENT_PORT)
		s->client_port = x->port;
	if (c->milter)		/* the MTA let him in */
		code = milter_client(c->door->conf, s->client, &who);
	else
		code = admit(c, s->client, &who, &text);
	s->permitted = who.permitted;
	s->client_name = x->has & XCLIENT_NAME ? x->name : who.name;
	log_msg(LOG_LVL_INFO, s->id, "%s%s %.*s[%s]", c->milter ? "milter: " : "xclient: ",
	    c->milter ? "the MTA's client is" : strcat(was, " speaks for"), SPAN_ARG(s->client_name),
	    ip_format(s->client, ip));
	*r = (struct smtp_reply){ .code = code, .text = span_str(text) };
}

/* ---- transcripts ---- */

void
conn_heard(struct conn_mail *m, bool by_us, struct span text)
{
	struct conn *c = (struct conn *)m;	/* its first member */

	if (!transcript_wants(m->rx->transcript, c->s.client, clock_mono()))
		return;
	if (m->session == 0)
		m->session = c->s.id;
	transcript_add(m->rx->transcript, m->session, clock_real(),
	    by_us ? TRANSCRIPT_SERVER : TRANSCRIPT_CLIENT, c->s.client, text);
}

void
conn_note(struct conn_mail *m, const char *fmt, ...)
{
	struct conn *c = (struct conn *)m;
	char text[256];
	va_list ap;

	if (!transcript_wants(m->rx->transcript, c->s.client, clock_mono()))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	transcript_add(m->rx->transcript, m->session ? m->session : c->s.id, clock_real(),
	    TRANSCRIPT_EVENT, c->s.client, span_str(text));
}

/* ---- a new connection ---- */

static void
welcome(struct door *d, int fd, struct ip ip, uint16_t port)
{
	struct receiver *rx = d->rx;
	int64_t now = clock_mono();
	bool log = now - d->crowded > US_PER_SEC || d->crowded == 0;
	struct gate_client who = { 0 };
	const char *text = "4.7.0 too many sessions, try again later";
	struct gate_why why;
	unsigned code;
	struct conn *c;
	char ip_text[IP_TEXT_MAX];

	if (full(d)) {
		turn_away(d, fd, ip, 421, text, log);
		d->crowded = now;
		return;
	}
	if (d->conf->milter) {
		if (!is_mta(d->conf, ip)) {
			log_warn("[%s] is not among the `mtas` of listener %.*s at %s:%u", ip_format(ip, ip_text),
			    SPAN_ARG(d->conf->name), rx->rt->conf->path, d->conf->line);
			counter_add(COUNTER_CONNECTIONS_REFUSED, 1);
			close(fd);
			return;
		}
		conn_begin(conn_new(d, fd, ip, port), &who, 0, "");
		return;
	}
	if (nets_have(&d->conf->proxy, ip)) {
		c = conn_new(d, fd, ip, port);
		c->proxied = true;
		c->deadline = now + PROXY_TIME;
		conn_want_read(c, true);
		return;
	}
	if ((code = gate_connect(&d->gate, ip, &who, &text, &why)) != 0) {
		turn_away(d, fd, ip, code, text, true);
		return;
	}
	if ((code = crowded(d, ip, client_count(rx, ip, 1), &text)) != 0) {
		client_count(rx, ip, -1);
		turn_away(d, fd, ip, code, text, log);
		d->crowded = now;
		return;
	}
	c = conn_new(d, fd, ip, port);
	c->counted = ip;
	conn_begin(c, &who, 0, "");
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct door *d = arg;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		uint16_t port;
		struct ip ip;
		int client;

		client = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS)) {
			log_error("accept: %s; the listener rests for a second", strerror(errno));
			event_del(d->accept);
			d->open = false;
			return;
		}
		if (client == -1 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (client == -1)
			return;
		ip = ip_from_sockaddr((struct sockaddr *)&ss, &port);
		welcome(d, client, ip, port);
	}
}

void
door_add(struct receiver *rx, const struct conf_listener *l, int fd)
{
	struct door *d = calloc(1, sizeof(*d));
	int one = 1;

	ASSERT(d != NULL);
	/* Accepted sockets inherit it: a reply never waits for the ACK of the one before. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*d = (struct door){ .rx = rx, .conf = l, .fd = fd,
		.site = { .hostname = l->hostname, .banner = l->banner, .postmaster = rx->rt->conf->postmaster,
		    .max_size = l->max_size, .recipients = l->limits.recipients,
		    .errors = l->limits.errors, .messages = l->limits.messages,
		    .normalise = l->normalise, .tls = l->tls != LISTEN_TLS_OFF,
		    .tls_required = l->tls == LISTEN_TLS_REQUIRED, .auth = l->auth },
		.gate = { .conf = rx->rt->conf, .listener = l, .access = rx->access,
		    .limits = rx->limits, .rules = rx->rules, .nrules = rx->nrules,
		    .batv = rx->batv, .count = rx->counting ? &rx->count : NULL } };
	if (l->tls)
		d->tls = rx->tls[l - rx->rt->conf->listeners];
	d->accept = event_new(rx->rt->base, fd, EV_READ | EV_PERSIST, on_accept, d);
	ASSERT(d->accept != NULL);
	rx->doors = realloc(rx->doors, (rx->ndoors + 1) * sizeof(struct door *));
	ASSERT(rx->doors != NULL);
	rx->doors[rx->ndoors++] = d;
	if (rx->serving)
		doors_open(rx);
}

void
doors_open(struct receiver *rx)
{
	for (size_t i = 0; i < rx->ndoors; i++) {
		struct door *d = rx->doors[i];

		if (!d->open && d->fd != -1)
			event_add(d->accept, NULL);
		d->open = true;
	}
}

void
doors_close(struct receiver *rx)
{
	for (size_t i = 0; i < rx->ndoors; i++) {
		struct door *d = rx->doors[i];

		event_del(d->accept);
		if (d->fd != -1)
			close(d->fd);
		d->fd = -1;
	}
}
