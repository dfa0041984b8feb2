/* pg.c -- see pg.h.
 *
 * libpq resolves names by the C library, which blocks and opens files: it is given addresses, which our own
 * resolver has found, beside the name that the certificate must have. It also looks for files at home
 * (.pgpass, certificates, services) and for a Kerberos ticket: all of that is turned off.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cluster/pg.h"
#include "net/resolver.h"

#define WHY_MAX 400
#define ADDRESSES_MAX 16

struct asking {			/* of a question: whose */
	struct pg *p;
	size_t slot;
};

enum pg_state { PG_IDLE, PG_RESOLVING, PG_CONNECTING, PG_SETTING, PG_READY };

struct pg {
	struct pg_world w;
	const struct pg_ops *ops;
	void *ctx;
	enum pg_state state;
	PGconn *c;
	struct event *io, *timer, *dead;	/* dead: tells lost() in a turn of its own */
	char why[WHY_MAX];
	struct question *questions[2 * BASE_HOSTS_MAX];
	struct asking asking[2 * BASE_HOSTS_MAX];
	size_t nquestions;		/* still open */
	struct { struct ip ip; size_t host; } found[ADDRESSES_MAX];
	size_t nfound;
	struct {			/* the batch under way */
		bool on, failed;
		size_t n, at;
		pg_rows *rows;
		pg_done *done;
		void *ctx;
		struct pg_end end;
		char text[WHY_MAX];
	} batch;
};

static void
timer_set(struct pg *p, int64_t us)
{
	struct timeval tv = { us / US_PER_SEC, us % US_PER_SEC };

	evtimer_add(p->timer, &tv);
}

/* ---- the end of it ---- */

static void
batch_over(struct pg *p)
{
	pg_done *done = p->batch.done;
	struct pg_end end = p->batch.end;

	p->batch.on = false;
	evtimer_del(p->timer);
	end.text = p->batch.text;
	if (done)
		done(p->batch.ctx, &end);
}

static void
close_all(struct pg *p)
{
	for (size_t i = 0; i < 2 * BASE_HOSTS_MAX; i++)
		resolver_cancel(&p->questions[i]);
	p->nquestions = 0;
	if (p->io)
		event_free(p->io);
	p->io = NULL;
	evtimer_del(p->timer);
	if (p->c)
		PQfinish(p->c);
	p->c = NULL;
	p->state = PG_IDLE;
}

static void
on_dead(evutil_socket_t fd, short what, void *arg)
{
	struct pg *p = arg;

	p->ops->lost(p->ctx, p->why);
}

void
pg_drop(struct pg *p, const char *why)
{
	struct span s = span_trim(span_str(why));

	if (p->state == PG_IDLE && !evtimer_pending(p->dead, NULL) && p->c == NULL && p->why[0])
		return;
	for (size_t i = 0; i < s.n && i + 1 < sizeof(p->why); i++)
		p->why[i] = s.p[i] == '\n' || s.p[i] == '\r' || s.p[i] == '\t' ? ' ' : s.p[i];
	p->why[s.n < sizeof(p->why) ? s.n : sizeof(p->why) - 1] = '\0';
	close_all(p);
	if (p->batch.on) {
		p->batch.end = (struct pg_end){ .lost = true };
		snprintf(p->batch.text, sizeof(p->batch.text), "%s", p->why);
		batch_over(p);
	}
	event_active(p->dead, EV_TIMEOUT, 0);
}

static void
drop_by_libpq(struct pg *p)
{
	char text[WHY_MAX];

	snprintf(text, sizeof(text), "%s", p->c && *PQerrorMessage(p->c) ? PQerrorMessage(p->c) :
	    "the connection was closed");
	pg_drop(p, text);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct pg *p = arg;

	pg_drop(p, p->state == PG_READY || p->state == PG_SETTING ? "the server does not answer in time" :
	    p->state == PG_RESOLVING ? "the DNS does not answer in time" : "no connection in time");
}

/* ---- reading ---- */

static void
take_result(struct pg *p, PGresult *r)
{
	switch (PQresultStatus(r)) {
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
	case PGRES_SINGLE_TUPLE:
		if (p->batch.rows && !p->batch.failed)
			p->batch.rows(p->batch.ctx, p->batch.at, r);
		p->batch.at++;
		break;
	case PGRES_PIPELINE_ABORTED:
		p->batch.at++;
		break;
	default:
		if (!p->batch.failed) {
			const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
			const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

			snprintf(p->batch.end.sqlstate, sizeof(p->batch.end.sqlstate), "%s", state ? state : "");
			snprintf(p->batch.text, sizeof(p->batch.text), "%s", text ? text : PQresultErrorMessage(r));
		}
		p->batch.failed = true;
		p->batch.at++;
	}
}

static void setup_done(struct pg *p);

static void
notices(struct pg *p)
{
	PGnotify *n;

	while (p->c && (n = PQnotifies(p->c)) != NULL) {
		if (p->ops->notified)
			p->ops->notified(p->ctx, n->relname, n->extra);
		PQfreemem(n);
	}
}

static void
read_results(struct pg *p)
{
	PGresult *r;

	if (!PQconsumeInput(p->c)) {
		drop_by_libpq(p);
		return;
	}
	while (p->c && p->batch.on && !PQisBusy(p->c)) {
		if ((r = PQgetResult(p->c)) == NULL) {	/* the end of one statement */
			if (PQstatus(p->c) != CONNECTION_OK) {
				drop_by_libpq(p);
				return;
			}
			continue;
		}
		if (PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
			PQclear(r);
			p->batch.end.ok = !p->batch.failed;
			if (p->state == PG_SETTING)
				setup_done(p);
			else
				batch_over(p);
			break;
		}
		take_result(p, r);
		PQclear(r);
	}
	notices(p);
}

static void
want(struct pg *p, short what);

static void
on_io(evutil_socket_t fd, short what, void *arg)
{
	struct pg *p = arg;

	if (what & EV_READ)
		read_results(p);
	if (p->c == NULL)
		return;
	switch (PQflush(p->c)) {
	case -1:
		drop_by_libpq(p);
		break;
	case 0:
		want(p, EV_READ);
		break;
	default:
		want(p, EV_READ | EV_WRITE);
	}
}

static void on_connecting(evutil_socket_t fd, short what, void *arg);

static void
want(struct pg *p, short what)
{
	bool connecting = p->state == PG_CONNECTING;

	if (p->io && !connecting && event_get_fd(p->io) == PQsocket(p->c) &&
	    (event_get_events(p->io) & (EV_READ | EV_WRITE)) == what)
		return;
	if (p->io)
		event_free(p->io);
	p->io = event_new(p->w.base, PQsocket(p->c), (short)(what | (connecting ? 0 : EV_PERSIST)),
	    connecting ? on_connecting : on_io, p);
	ASSERT(p->io != NULL);
	event_add(p->io, NULL);
}

/* ---- connecting ---- */

static void
setup_done(struct pg *p)
{
	p->batch.on = false;
	evtimer_del(p->timer);
	if (p->batch.failed) {
		pg_drop(p, p->batch.text);
		return;
	}
	p->state = PG_READY;
	p->ops->ready(p->ctx);
}

static void send_batch(struct pg *p, const struct pg_query *q, size_t n);

/* What every session has: our tables first, and an end of it when the network is cut, at the server too. */
static void
setup(struct pg *p)
{
	static const struct pg_query q[] = { { .sql = "SELECT set_config('search_path', 'postern', false),"
	    " set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),"
	    " set_config('tcp_keepalives_count', '3', false), set_config('tcp_user_timeout', '30000', false),"
	    " set_config('idle_in_transaction_session_timeout', '60000', false),"
	    /* what is acknowledged must be there after a crash of the server, too */
	    " set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'"
	    " ELSE current_setting('synchronous_commit') END, false),"
	    " set_config('client_min_messages', 'error', false), set_config('jit', 'off', false)" } };

	p->state = PG_SETTING;
	memset(&p->batch, 0, sizeof(p->batch));
	p->batch.on = true;
	timer_set(p, PG_CONNECT_US);
	send_batch(p, q, 1);
}

static void
quiet(void *arg, const PGresult *r)
{
}

static void
on_connecting(evutil_socket_t fd, short what, void *arg)
{
	struct pg *p = arg;

	switch (PQconnectPoll(p->c)) {
	case PGRES_POLLING_READING:
		want(p, EV_READ);
		break;
	case PGRES_POLLING_WRITING:
		want(p, EV_WRITE);
		break;
	case PGRES_POLLING_OK:
		event_free(p->io);	/* from here on another callback reads */
		p->io = NULL;
		if (PQsetnonblocking(p->c, 1) == -1 || PQenterPipelineMode(p->c) != 1) {
			drop_by_libpq(p);
			break;
		}
		PQsetNoticeReceiver(p->c, quiet, NULL);
		setup(p);
		break;
	default:
		drop_by_libpq(p);
	}
}

/* host, hostaddr and port as libpq wants them: lists of equal length. */
static void
addresses(struct pg *p, struct buf *hosts, struct buf *addrs, struct buf *ports)
{
	char text[IP_TEXT_MAX];

	for (size_t i = 0; i < p->nfound; i++) {
		const struct conf_host *h = &p->w.conf->hosts[p->found[i].host];

		buf_printf(hosts, "%s" SPAN_FMT, i ? "," : "", SPAN_ARG(h->name));
		buf_printf(addrs, "%s%s", i ? "," : "", ip_format(p->found[i].ip, text));
		buf_printf(ports, "%s%u", i ? "," : "", h->port);
	}
	buf_putc(hosts, '\0');
	buf_putc(addrs, '\0');
	buf_putc(ports, '\0');
}

static void
start(struct pg *p)
{
	const struct conf_base *conf = p->w.conf;
	const char *keys[20], *values[20];
	struct buf hosts, addrs, ports;
	char port[8];
	size_t n = 0;

#define SET(key, value) do { keys[n] = key; values[n++] = value; } while (0)
	buf_init(&hosts, 16384);
	buf_init(&addrs, 16384);
	buf_init(&ports, 1024);
	addresses(p, &hosts, &addrs, &ports);
	snprintf(port, sizeof(port), "%u", conf->port);
	if (conf->socket) {
		SET("host", conf->socket);
		SET("port", port);
	} else {
		SET("host", buf_data(&hosts).p);
		SET("hostaddr", buf_data(&addrs).p);
		SET("port", buf_data(&ports).p);
		SET("sslmode", conf->sslmode);
		SET("sslrootcert", conf->roots ? conf->roots : PG_ROOTS);
		SET("target_session_attrs", p->w.conf->nhosts > 1 ? "read-write" : "any");
	}
	SET("user", conf->user);
	SET("dbname", conf->database ? conf->database : conf->user);
	SET("password", p->w.password);
	SET("passfile", "/dev/null");
	SET("gssencmode", "disable");
	SET("sslcert", "/dev/null/none");
	SET("client_encoding", "UTF8");
	SET("application_name", p->w.node);
	SET("fallback_application_name", "postern");
	keys[n] = NULL;
#undef SET
	p->c = PQconnectStartParams(keys, values, 0);
	buf_release(&hosts);
	buf_release(&addrs);
	buf_release(&ports);
	p->state = PG_CONNECTING;
	if (p->c == NULL || PQstatus(p->c) == CONNECTION_BAD)
		drop_by_libpq(p);
	else
		want(p, EV_WRITE);
}

static void
on_address(void *arg, const struct dns_answer *a)
{
	struct asking *ask = arg;
	struct pg *p = ask->p;

	p->questions[ask->slot] = NULL;
	for (size_t i = 0; a->status == DNS_OK && i < a->n && p->nfound < ADDRESSES_MAX; i++)
		if (a->records[i].ip.family) {
			p->found[p->nfound].ip = a->records[i].ip;
			p->found[p->nfound++].host = ask->slot / 2;
		}
	if (--p->nquestions > 0)
		return;
	for (size_t i = 0; p->nfound == 0 && i < p->w.conf->nhosts; i++)
		if (p->w.known[i].family) {	/* what /etc/hosts said at the start */
			p->found[0].ip = p->w.known[i];
			p->found[0].host = i;
			p->nfound = 1;
		}
	if (p->nfound == 0)
		pg_drop(p, "the DNS knows no address of the server");
	else
		start(p);
}

static void
ask_for(struct pg *p, size_t host, uint16_t type, size_t slot)
{
	const struct conf_host *h = &p->w.conf->hosts[host];
	char name[DNS_NAME_MAX];

	p->asking[slot] = (struct asking){ p, slot };
	snprintf(name, sizeof(name), SPAN_FMT, SPAN_ARG(h->name));
	p->nquestions++;
	p->questions[slot] = resolver_ask(p->w.resolver, name, type, on_address, &p->asking[slot]);
}

void
pg_connect(struct pg *p)
{
	if (p->state != PG_IDLE || evtimer_pending(p->dead, NULL))
		return;
	p->why[0] = '\0';
	p->nfound = 0;
	timer_set(p, PG_CONNECT_US);
	p->state = PG_RESOLVING;
	for (size_t i = 0; i < p->w.conf->nhosts; i++) {
		const struct conf_host *h = &p->w.conf->hosts[i];

		if (h->ip.family) {
			p->found[p->nfound].ip = h->ip;
			p->found[p->nfound++].host = i;
		} else if (p->w.resolver) {
			ask_for(p, i, DNS_A, 2 * i);
			ask_for(p, i, DNS_AAAA, 2 * i + 1);
		}
	}
	if (p->nquestions == 0)
		start(p);
}

/* ---- batches ---- */

static void
send_batch(struct pg *p, const struct pg_query *q, size_t n)
{
	static const int binary[PG_PARAMS_MAX] = { [0 ... PG_PARAMS_MAX - 1] = 1 };

	for (size_t i = 0; i < n; i++)
		if (PQsendQueryParams(p->c, q[i].sql, q[i].n, q[i].types, q[i].values, q[i].lengths, binary,
		    1) != 1) {
			drop_by_libpq(p);
			return;
		}
	if (PQpipelineSync(p->c) != 1) {
		drop_by_libpq(p);
		return;
	}
	want(p, PQflush(p->c) == 0 ? EV_READ : EV_READ | EV_WRITE);
}

void
pg_run(struct pg *p, const struct pg_query *q, size_t n, int64_t timeout_us, pg_rows *rows,
    pg_done *done, void *ctx)
{
	ASSERT(pg_ready(p));
	memset(&p->batch, 0, sizeof(p->batch));
	p->batch.on = true;
	p->batch.n = n;
	p->batch.rows = rows;
	p->batch.done = done;
	p->batch.ctx = ctx;
	timer_set(p, timeout_us);
	send_batch(p, q, n);
}

bool
pg_ready(const struct pg *p)
{
	return p->state == PG_READY && !p->batch.on;
}

struct pg *
pg_new(const struct pg_world *w, const struct pg_ops *ops, void *ctx)
{
	struct pg *p = calloc(1, sizeof(*p));

	ASSERT(p != NULL);
	p->w = *w;
	p->ops = ops;
	p->ctx = ctx;
	p->timer = evtimer_new(w->base, on_timer, p);
	p->dead = evtimer_new(w->base, on_dead, p);
	ASSERT(p->timer && p->dead);
	return p;
}

void
pg_free(struct pg **pp)
{
	struct pg *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	close_all(p);
	event_free(p->timer);
	event_free(p->dead);
	free(p);
}

/* ---- parameters ---- */

static void
param(struct pg_query *q, Oid type, const char *p, size_t n)
{
	ASSERT(q->n < PG_PARAMS_MAX && n <= INT32_MAX);
	q->types[q->n] = type;
	q->values[q->n] = p;
	q->lengths[q->n++] = (int)n;
}

void
pg_int(struct pg_query *q, int64_t v, struct arena *a)
{
	char *raw = arena_alloc(a, 8);

	for (int i = 0; i < 8; i++)
		raw[i] = (char)((uint64_t)v >> (56 - 8 * i));
	param(q, PG_INT8, raw, 8);
}

void
pg_text(struct pg_query *q, struct span s)
{
	param(q, PG_TEXT, s.n ? s.p : "", s.n);
}

void
pg_blob(struct pg_query *q, struct span s)
{
	param(q, PG_BYTEA, s.n ? s.p : "", s.n);
}

void
pg_none(struct pg_query *q)
{
	param(q, 0, NULL, 0);
}

void
pg_array(struct pg_query *q, Oid element, struct span binary)
{
	param(q, element == PG_INT8 ? PG_INT8_ARRAY : element == PG_BYTEA ? PG_BYTEA_ARRAY : PG_TEXT_ARRAY,
	    binary.p, binary.n);
}

/* ---- results ---- */

struct span
pg_get(const PGresult *r, int row, int col)
{
	return span_make(PQgetvalue(r, row, col), (size_t)PQgetlength(r, row, col));
}

int64_t
pg_get_int(const PGresult *r, int row, int col)
{
	struct span s = pg_get(r, row, col);
	uint64_t v = s.n && ((unsigned char)s.p[0] & 0x80) ? UINT64_MAX : 0;

	if (PQgetisnull(r, row, col))
		return 0;
	if (s.n == 1)
		return s.p[0];
	for (size_t i = 0; i < s.n && i < 8; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return (int64_t)v;
}
