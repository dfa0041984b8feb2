/* connection.c -- sockets of SMTP clients: accept, read, write, TLS, deadlines.
 *
 * One read for what has arrived (into one buffer that all connections
 * share), one step of the session, one write for all of its replies. An idle
 * connection keeps nothing but its structs. While a message is judged the
 * socket is not read beyond READ_AHEAD; when the client does not read our
 * replies it is not read at all.
 *
 * TLS lies under the session (net/transport.c). The handshake begins when the
 * 220 has left, with nothing of what was read before it, and has a deadline
 * of its own. A record is always taken whole, so that nothing waits inside
 * OpenSSL where no event would tell of it.
 *
 * Deadlines are kept as a number in each connection and looked at once a
 * second. A command's deadline moves only when the command is complete, and
 * DATA must bring DATA_RATE_MIN bytes a second after its first minute:
 * trickling bytes buys no time.
 *
 * A connection is closed by conn_close() and freed at the end of the turn; others
 * know it by its number only.
 */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "receiver/connection.h"

#define IN_MAX (READ_MAX + 2 * WIRE_LINE_MAX + READ_AHEAD + TLS_RECORD)
#define READ_AHEAD (8u << 10)		/* bytes read while the client should wait */
#define DATA_GRACE (60 * US_PER_SEC)
#define DATA_RATE_MIN 128		/* bytes a second */
#define TLS_RECORD (16u << 10)		/* the most that one TLS record holds (RFC 8446, 5.1) */
#define HANDSHAKE_MAX (30 * US_PER_SEC)	/* for the whole TLS handshake */
#define LINGER (2 * US_PER_SEC)		/* so that the last reply is read before the reset */
#define PROGRESS (15 * US_PER_SEC)	/* an MTA waits for its filter 300 s unless it hears of it */
#define FAREWELL (10 * US_PER_SEC)	/* for a client that does not read its last reply */
#define IDLE_KEEP 1024			/* larger buffers are given back when they are empty */

static void conn_run(struct conn *c, struct span bytes);
static void handshake_begin(struct conn *c);

/* ---- life and death ---- */

/* A session more or less of this client; how many it has, over all receivers. */
uint32_t
client_count(struct receiver *rx, struct ip ip, int by)
{
	struct span key = span_make((const char *)&ip, sizeof(ip));
	struct { struct ip ip; uint32_t n; } *own = table_get(rx->clients, key);
	uint32_t n, shared = limits_sessions(rx->limits, rx->column, ip, by, clock_mono());

	if (own == NULL && by > 0) {
		own = calloc(1, sizeof(*own));
		ASSERT(own != NULL);
		own->ip = ip;
		table_put(rx->clients, span_make((const char *)&own->ip, sizeof(ip)), own);
	}
	if (own == NULL)
		return shared;
	n = own->n += (uint32_t)by;
	if (n == 0) {
		table_remove(rx->clients, key);
		free(own);
	}
	return n > shared ? n : shared;
}

void
conn_count(struct conn *c, struct ip ip)
{
	if (c->counted.family)
		client_count(c->mail.rx, c->counted, -1);
	c->counted = ip;
	if (ip.family)
		client_count(c->mail.rx, ip, 1);
}

/* Sessions of a listener and of all, over all receivers. */
void
session_count(struct door *d, int by)
{
	struct receiver *rx = d->rx;

	d->sessions += (uint32_t)by;
	rx->sessions += (uint32_t)by;
	limits_open(rx->limits, rx->column, d->conf->name, by, clock_mono());
	limits_publish_sessions(rx->limits, rx->column, rx->sessions);
}

void
conn_close(struct conn *c)
{
	struct receiver *rx = c->mail.rx;

	if (c->closed)
		return;
	c->closed = true;
	conn_note(&c->mail, "closed while %s", smtp_state_phrase(c->s.state));
	/* The messages's own connection number is all it has of us. */
	if (c->s.state == SMTP_JUDGED)
		for (struct message *m = rx->messages.first; m; m = m->next)
			if (m->id == c->s.ticket) {
				message_orphan(m);
				break;
			}
	smtp_session_release(&c->s);
	if (c->milter) {
		milter_written(rx, c->milter);
		milter_release(c->milter);
		free(c->milter);
		c->milter = NULL;
	}
	event_free(c->readable);
	if (c->writable)
		event_free(c->writable);
	if (c->t.ssl)
		counter_add(COUNTER_TLS_SESSIONS, -1);
	transport_close(&c->t);
	buf_release(&c->in);
	idtable_remove(rx->conns, c->mail.conn);
	conn_count(c, (struct ip){ 0 });
	session_count(c->door, -1);
	*(c->prev ? &c->prev->next : &rx->first) = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->next = rx->doomed;
	rx->doomed = c;
	event_active(rx->settle, EV_TIMEOUT, 0);
}

void
conns_bury(struct receiver *rx)
{
	while (rx->doomed) {
		struct conn *c = rx->doomed;

		rx->doomed = c->next;
		free(c);
	}
}

static void
conn_lost(struct conn *c, const char *why)
{
	char who[CLIENT_TEXT_MAX];

	if (!c->lingering && c->s.state != SMTP_OVER && (c->s.t || c->s.state == SMTP_JUDGED))
		log_msg(LOG_LVL_INFO, c->s.id, "%s %s while %s",
		    why, client_text(c->s.client_name, c->s.client, who),
		    smtp_state_phrase(c->s.state));
	conn_close(c);
}

void
conn_want_read(struct conn *c, bool on)
{
	if (on == c->reading)
		return;
	c->reading = on;
	if (on)
		event_add(c->readable, NULL);
	else
		event_del(c->readable);
}

/* ---- writing ---- */

static void on_writable(evutil_socket_t fd, short what, void *arg);

static void
want_write(struct conn *c, bool on)
{
	if (on == c->writing)
		return;
	c->writing = on;
	if (on && c->writable == NULL) {
		c->writable = event_new(c->mail.rx->rt->base, c->t.fd, EV_WRITE | EV_PERSIST,
		    on_writable, c);
		ASSERT(c->writable != NULL);
	}
	if (on)
		event_add(c->writable, NULL);
	else
		event_del(c->writable);
}

/* false: the client is gone, and so is c. */
static bool
conn_flush(struct conn *c)
{
	struct buf *out = conn_out(c);

	while (buf_size(out)) {
		struct span s = buf_data(out);
		ssize_t n = transport_write(&c->t, &s, 1, NULL);

		if (n == TRANSPORT_AGAIN)
			break;
		if (n < 0) {
			conn_lost(c, "lost connection of");
			return false;
		}
		buf_consume(out, (size_t)n);
	}
	want_write(c, buf_size(out) > 0);
	if (buf_size(out) == 0 && out->cap > IDLE_KEEP)
		buf_shrink(out);
	if (c->milter && buf_size(out) == 0 && buf_size(&c->milter->edits) == 0)
		milter_written(c->mail.rx, c->milter);
	return true;
}

/* Everything was said. The reply must not be lost to a reset because bytes of the client
 * were never read: those are read and thrown away for a moment. */
static void
conn_finish(struct conn *c, bool unread)
{
	if (buf_size(conn_out(c))) {	/* on_writable comes back */
		c->deadline = clock_mono() + FAREWELL;
		conn_want_read(c, false);
		return;
	}
	if (c->eof || (!unread && c->t.ssl == NULL) || transport_shutdown(&c->t) == -1 || !unread) {
		conn_close(c);
		return;
	}
	c->lingering = true;
	c->deadline = clock_mono() + LINGER;
	buf_release(&c->in);
	conn_want_read(c, true);
}

/* ---- the session ---- */

static void
set_deadline(struct conn *c, bool answered)
{
	const struct listener_limits *lim = &c->door->conf->limits;
	int64_t now = clock_mono();

	if (smtp_receives(c->s.state)) {
		if (c->body_since == 0) {
			c->body_since = now;
			c->body_bytes = 0;
		}
		/* Between chunks a command is awaited; the message's rate counts on. */
		c->deadline = now + (c->s.state == SMTP_CHUNKS ? lim->command_timeout :
		    lim->data_timeout);
		return;
	}
	c->body_since = 0;
	if (smtp_waiting(&c->s))
		c->deadline = INT64_MAX;	/* what it waits for has deadlines of its own */
	else if (answered || c->deadline == INT64_MAX)
		c->deadline = now + lim->command_timeout;
}

/* Keeps what was not taken. The bytes may lie in c->in already. */
static void
keep(struct conn *c, struct span rest)
{
	struct span have = buf_data(&c->in);

	if (rest.n == 0) {
		buf_reset(&c->in);
		if (c->in.cap > IDLE_KEEP)
			buf_shrink(&c->in);
	} else if (have.n && rest.p >= have.p && rest.p < have.p + have.n)
		buf_consume(&c->in, have.n - rest.n);
	else {
		ASSERT(have.n == 0);
		ASSERT(buf_span(&c->in, rest) == 0);
	}
}

/* Credentials are not left behind in a buffer. */
static void
wipe_secrets(struct conn *c, struct span used)
{
	if (c->s.auth.secret && used.n)
		explicit_bzero((char *)(uintptr_t)used.p, used.n);
	c->s.auth.secret = false;
}

static enum smtp_step
conn_step(struct conn *c, const struct smtp_input *in, size_t *used)
{
	return c->milter ? milter_step(c->milter, in, used) : smtp_session_step(&c->s, in, used);
}

/* Feeds the session until it needs more, waits, or the client does not read. */
static void
conn_run(struct conn *c, struct span bytes)
{
	struct smtp_input in = { .kind = SMTP_BYTES, .now = clock_real(), .bytes = bytes };
	enum smtp_step step;
	bool answered = false;

	do {
		enum smtp_state before = c->s.state;
		size_t used;

		step = conn_step(c, &in, &used);
		if (smtp_receives(before) || smtp_receives(c->s.state))
			c->body_bytes += used;
		wipe_secrets(c, span_sub(in.bytes, 0, used));
		in.bytes = span_from(in.bytes, used);
		answered |= buf_size(conn_out(c)) > 0;
		if (!conn_flush(c))
			return;
		if (step == SMTP_TLS) {
			handshake_begin(c);
			return;
		}
		if (step == SMTP_DONE) {
			conn_finish(c, in.bytes.n || smtp_receives(before));
			return;
		}
		if (used == 0)
			break;
	} while (in.bytes.n && step != SMTP_WAIT && buf_size(conn_out(c)) == 0);
	keep(c, in.bytes);
	set_deadline(c, answered);
	if (c->eof && step != SMTP_WAIT && buf_size(conn_out(c)) == 0) {
		conn_lost(c, "lost connection of");
		return;
	}
	conn_want_read(c, !c->eof && buf_size(conn_out(c)) == 0 &&
	    !(step == SMTP_WAIT && buf_size(&c->in) >= READ_AHEAD));
}

void
conn_input(struct conn *c, enum smtp_input_kind kind, const struct smtp_reply *r, uint64_t ticket)
{
	struct smtp_input in = { .kind = kind, .now = clock_real(), .ticket = ticket };
	size_t used;

	if (r)
		in.reply = *r;
	if (conn_step(c, &in, &used) != SMTP_DONE) {
		/* conn_run writes the reply together with those to what waited behind it */
		conn_run(c, buf_data(&c->in));
		return;
	}
	if (conn_flush(c))
		conn_finish(c, true);
}

struct conn_mail *
conn_find(struct receiver *rx, uint64_t conn, struct smtp_session **s)
{
	struct conn *c = idtable_get(rx->conns, conn);

	if (c == NULL)
		return NULL;
	*s = &c->s;
	return &c->mail;
}

void
conn_answer(struct receiver *rx, uint64_t conn, uint64_t ticket, const struct smtp_reply *r)
{
	struct conn *c = idtable_get(rx->conns, conn);

	if (c)
		conn_input(c, SMTP_ANSWER, r, ticket);
}

/* ---- TLS ---- */

static void
handshake_failed(struct conn *c, const char *why)
{
	char who[CLIENT_TEXT_MAX];

	counter_add(COUNTER_TLS_FAILURES, 1);
	log_msg(LOG_LVL_INFO, c->s.id, "%s with %s", why,
	    client_text(c->s.client_name, c->s.client, who));
	conn_close(c);
}

static void
handshake_done(struct conn *c)
{
	const struct conf_listener *l = c->door->conf;
	struct smtp_input in = { .kind = SMTP_SECURED, .now = clock_real() };
	char agreed[TRANSPORT_AGREED_MAX];
	struct span node;
	size_t used;
	int one = 1;

	c->handshaking = false;
	/* We have nothing to say to the client's Finished, and a client with Nagle's algorithm waits for
	 * its ACK before it sends EHLO: without this 40 ms pass. */
	setsockopt(c->t.fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
	want_write(c, false);
	in.bytes = transport_agreed(&c->t, agreed);
	conn_note(&c->mail, "%.*s", SPAN_ARG(in.bytes));
	node = transport_peer_name(&c->t, l->client_names, l->nclient_names);
	if (node.n && !c->s.permitted) {
		c->s.permitted = true;
		log_msg(LOG_LVL_INFO, c->s.id, "client certificate of %.*s: may relay",
		    SPAN_ARG(node));
	}
	smtp_session_step(&c->s, &in, &used);
	set_deadline(c, true);
	if (c->s.state != SMTP_OVER)
		return;
	if (conn_flush(c))	/* retiring */
		conn_finish(c, true);
}

static void
handshake(struct conn *c)
{
	struct err err;
	int r = transport_handshake(&c->t, &err);

	if (r == 0)
		handshake_done(c);
	else if (r == TRANSPORT_AGAIN)
		want_write(c, c->t.wants_write);
	else
		handshake_failed(c, err.text);
}

/* The 220 has left, or leaves now: nothing read before counts any more. */
static void
handshake_begin(struct conn *c)
{
	struct err err;

	buf_reset(&c->in);
	buf_shrink(&c->in);
	c->deadline = clock_mono() + HANDSHAKE_MAX;
	if (buf_size(conn_out(c))) {	/* on_writable comes back */
		conn_want_read(c, false);
		return;
	}
	if (transport_tls_accept(&c->t, c->door->tls, &err) == -1) {
		handshake_failed(c, err.text);
		return;
	}
	counter_add(COUNTER_TLS_SESSIONS, 1);
	c->handshaking = true;
	conn_want_read(c, true);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;

	if (c->handshaking) {
		handshake(c);
		return;
	}
	if (!conn_flush(c) || buf_size(conn_out(c)))
		return;
	if (c->s.state == SMTP_HANDSHAKE)
		handshake_begin(c);
	else if (c->s.state == SMTP_OVER)
		conn_finish(c, true);
	else
		conn_run(c, buf_data(&c->in));
}

/* With TLS: as many whole records as there are and find room. */
static ssize_t
conn_read(struct conn *c, char *to, size_t room)
{
	size_t have = 0;
	ssize_t n;

	do {
		n = transport_read(&c->t, to + have, room - have, NULL);
		if (n > 0)
			have += (size_t)n;
	} while (n > 0 && c->t.ssl && room - have >= TLS_RECORD);
	return have ? (ssize_t)have : n;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct conn *c = arg;
	struct receiver *rx = c->mail.rx;
	bool ahead = !c->lingering && (smtp_waiting(&c->s) || c->proxied || buf_size(&c->in) > 0);
	size_t room = !ahead ? READ_MAX : c->t.ssl ? TLS_RECORD : READ_AHEAD;
	char *to = ahead ? buf_room(&c->in, room) : rx->read_buf;
	ssize_t n;

	if (c->handshaking) {
		handshake(c);
		return;
	}
	ASSERT(to != NULL);
	n = conn_read(c, to, room);
	if (n == TRANSPORT_AGAIN) {
		if (c->t.ssl && c->t.wants_write) {	/* OpenSSL has an answer of its own to send */
			conn_want_read(c, false);
			want_write(c, true);
		}
		return;
	}
	if (n < 0) {
		conn_lost(c, "lost connection of");
		return;
	}
	if (c->lingering) {
		if (n == 0)
			conn_close(c);
		return;
	}
	if (n == 0) {
		c->eof = true;
		conn_want_read(c, false);
		if (!smtp_waiting(&c->s) && buf_size(conn_out(c)) == 0)
			conn_lost(c, "lost connection of");
		return;
	}
	if (!ahead) {
		conn_run(c, span_make(to, (size_t)n));
		return;
	}
	buf_commit(&c->in, (size_t)n);
	if (c->proxied)
		proxy_input(c);
	else if (!smtp_waiting(&c->s))
		conn_run(c, buf_data(&c->in));
	else if (buf_size(&c->in) >= READ_AHEAD)
		conn_want_read(c, false);
}

struct conn *
conn_new(struct door *d, int fd, struct ip ip, uint16_t port)
{
	struct receiver *rx = d->rx;
	struct conn *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	c->mail = (struct conn_mail){ .rx = rx, .door = d, .conn = ++rx->last_conn };
	c->door = d;
	c->t.fd = fd;
	buf_init(&c->in, IN_MAX);
	smtp_session_init(&c->s, &d->site, &transaction_ops, &c->mail, &rx->ids);
	c->s.listener = d->conf->name;
	c->s.client = ip;
	c->s.client_port = port;
	c->s.may_xclient = nets_have(&d->conf->xclient, ip);
	if (d->conf->milter) {
		c->milter = calloc(1, sizeof(*c->milter));
		ASSERT(c->milter != NULL);
		milter_init(c->milter, &c->s);
	}
	c->readable = event_new(rx->rt->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	ASSERT(c->readable != NULL);
	c->next = rx->first;
	if (c->next)
		c->next->prev = c;
	rx->first = c;
	idtable_put(rx->conns, c->mail.conn, c);
	session_count(d, 1);
	counter_add(COUNTER_CONNECTIONS, 1);
	return c;
}

/* ---- once a second ---- */

void
conns_tick(struct receiver *rx, int64_t now)
{
	struct conn *c, *next;

	for (c = rx->first; c; c = next) {
		int64_t since = c->body_since;

		next = c->next;
		if (c->lingering || (c->s.state == SMTP_OVER && now >= c->deadline)) {
			if (now >= c->deadline)
				conn_close(c);
			continue;
		}
		if (c->proxied) {
			if (now >= c->deadline)
				proxy_failed(c, "did not come in time");
			continue;
		}
		if (c->s.state == SMTP_HANDSHAKE) {
			if (now >= c->deadline)
				handshake_failed(c, "TLS handshake: timeout");
			continue;
		}
		if (c->milter && c->s.state == SMTP_JUDGED && now - c->progress >= PROGRESS) {
			if (c->progress && milter_progress(c->milter) && !conn_flush(c))
				continue;
			c->progress = now;
		}
		if (now >= c->deadline || (since && now - since > DATA_GRACE &&
		    c->body_bytes < (uint64_t)((now - since) / US_PER_SEC) * DATA_RATE_MIN)) {
			c->deadline = now + LINGER;
			conn_input(c, SMTP_TIMEOUT, NULL, 0);
		}
	}
}

void
conns_retire(struct receiver *rx)
{
	struct conn *c, *next;

	for (c = rx->first; c; c = next) {
		next = c->next;
		if (c->proxied)
			conn_close(c);
		else if (!c->lingering && c->s.state == SMTP_HANDSHAKE)
			c->s.retiring = true;
		else if (!c->lingering && c->s.state != SMTP_OVER)
			conn_input(c, SMTP_RETIRE, NULL, 0);
	}
}
