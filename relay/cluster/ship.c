/* ship.c -- rows of the store into the shared base; see cluster.h, base_schema.c.
 *
 * A batch is one transaction, and an answer goes out only when it is committed. Every row has a key, so a
 * batch whose commit was never heard of is sent again and makes nothing twice. Rows of one table go as
 * arrays in one statement, in the order of the tables, so two nodes never wait for each other in a ring.
 */
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "cluster/base_schema.h"
#include "cluster/cluster.h"
#include "fs.h"
#include "id.h"
#include "log.h"

#define DAY_IDS (INT64_C(86400) * 1000000 * ID_SLOTS)
#define HEARTBEAT_US (INT64_C(5) * 1000000)
#define EXPIRE_US (INT64_C(3600) * 1000000)
#define KEPT_MAX 4			/* of one batch */

/* The columns of a table as they are sent: i bigint, t text, b bytea. */
static const struct {
	const char *types, *sql;
} inserts[BASE_TABLE_COUNT] = {
	[BASE_MESSAGE] = { "iiiittttttttti" "tt",
	    "INSERT INTO message(id, parent, time, direction, listener, client, client_name, helo, \"user\", tls,"
	    " sender, sender_domain, subject, size, node, words) SELECT a, b, c, d::int, e, f, g, h, i, j, k, l, m, n, o,"
	    " p::tsvector FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
	    " AS x(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) ORDER BY a"
	    " ON CONFLICT(id) DO UPDATE SET parent = coalesce(excluded.parent, message.parent),"
	    " sender = coalesce(excluded.sender, message.sender),"
	    " sender_domain = coalesce(excluded.sender_domain, message.sender_domain),"
	    " subject = coalesce(excluded.subject, message.subject), size = greatest(message.size, excluded.size),"
	    " words = coalesce(excluded.words, message.words)"
	    " WHERE (message.parent, message.subject, message.size, message.words) IS DISTINCT FROM"
	    " (coalesce(excluded.parent, message.parent), coalesce(excluded.subject, message.subject),"
	    " greatest(message.size, excluded.size), coalesce(excluded.words, message.words))" },
	[BASE_RECIPIENT] = { "ittttttttii",
	    "INSERT INTO recipient(id, address, domain, outcome, status, dsn, relay, reply, tls, time, attempts)"
	    " SELECT DISTINCT ON (a, b) a, b, c, d, e, f, g, h, i, j, k::int FROM"
	    " unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) AS x(a, b, c, d, e, f, g, h, i, j, k) ORDER BY a, b"
	    " ON CONFLICT(id, address) DO UPDATE SET outcome = excluded.outcome, status = excluded.status,"
	    " dsn = excluded.dsn, relay = excluded.relay, reply = excluded.reply, tls = excluded.tls,"
	    " time = excluded.time, attempts = greatest(excluded.attempts, recipient.attempts)"
	    " WHERE excluded.time >= recipient.time" },
	[BASE_EVENT] = { "iiiittttttttitt",
	    "INSERT INTO event(id, key, seq, time, kind, rcpt, outcome, dsn, relay, reply, tls, \"by\", parent, node,"
	    " words) SELECT a, b, c, d, e, f, g, h, i, j, k, l, m, n, o::tsvector FROM"
	    " unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
	    " AS x(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o) ORDER BY a, b ON CONFLICT(id, key) DO NOTHING" },
	[BASE_RECORD] = { "ib",
	    "INSERT INTO record(id, json) SELECT a, b FROM unnest($1, $2) AS x(a, b) ORDER BY a"
	    " ON CONFLICT(id) DO UPDATE SET json = excluded.json WHERE record.json <> excluded.json" },
	[BASE_AUDIT] = { "itiittttib",
	    "INSERT INTO audit(store, node, seq, time, who, what, subject, detail, key, hash) SELECT * FROM"
	    " unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT(store, seq) DO NOTHING" },
	[BASE_AUDIT_BASE] = { "iibib",
	    "WITH x AS (INSERT INTO audit_base(store, seq, hash, key, mac) SELECT * FROM unnest($1, $2, $3, $4, $5)"
	    " ON CONFLICT(store) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, key = excluded.key,"
	    " mac = excluded.mac RETURNING store, seq) DELETE FROM audit USING x WHERE audit.store = x.store"
	    " AND audit.seq <= x.seq" },
	[BASE_LIST] = { "ittt" "iittit" "iiiii",
	    "WITH r AS (UPDATE list_rev SET rev = rev + 1 RETURNING rev), n AS (SELECT pg_notify('postern', 'lists'))"
	    " INSERT INTO list_entry(scope, owner, what, domain, side, kind, who, reason, time, \"by\", expires,"
	    " unauthenticated, state, gone, rev, store) SELECT a::int, b, c, d, e::int, f::int, g, h, i, j, k, l::int,"
	    " m::int, n <> 0, (SELECT rev FROM r), o FROM"
	    " unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)"
	    " AS x(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o), (SELECT count(*) FROM n) AS told ORDER BY a, b, c"
	    " ON CONFLICT(scope, owner, what) DO UPDATE SET domain = excluded.domain, side = excluded.side,"
	    " kind = excluded.kind, who = excluded.who, reason = excluded.reason, time = excluded.time,"
	    " \"by\" = excluded.\"by\", expires = excluded.expires, unauthenticated = excluded.unauthenticated,"
	    " state = excluded.state, gone = excluded.gone, rev = excluded.rev, store = excluded.store" },
	[BASE_DONE] = { "iiiti",
	    "WITH n AS (SELECT pg_notify('postern', 'kept')), x AS (SELECT * FROM unnest($1, $2, $3, $4, $5)"
	    " AS x(token, state, new_id, \"by\", decided))"
	    " UPDATE kept SET state = x.state::int,"
	    " claimer = CASE WHEN x.state = 1 THEN NULL ELSE claimer END,"
	    " token = CASE WHEN x.state = 1 THEN NULL ELSE kept.token END,"
	    " new_id = x.new_id, \"by\" = CASE WHEN x.state <> 1 THEN kept.\"by\" END, decided = x.decided,"
	    " content = CASE WHEN x.state = 1 THEN content END, mark = x.state <> 1 AND claimer <> store"
	    " FROM x, (SELECT count(*) FROM n) AS told WHERE kept.token = x.token AND kept.state IN (2, 3)" },
	[BASE_GONE] = { "ii",
	    "DELETE FROM kept USING unnest($1, $2) AS x(a, b) WHERE store = a AND kid = b" },
};

/* One row: its content is large. What a decision sets is left alone unless its home is first. */
static const char kept_types[] = "iitii" "ttiit" "tttii" "itibb" "iittt" "iit", kept_sql[] =
    "INSERT INTO kept(store, kid, node, id, parent, kind, queue, time, expires, on_expire, sender, client, subject,"
    " size, state, new_id, \"by\", decided, envelope, record, voted, direction, class, sender_domain, virus,"
    " confirmed, needs, rcpts, content) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
    " $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, string_to_array($28, E'\\n'), $29)"
    " ON CONFLICT(store, kid) DO UPDATE SET expires = excluded.expires, on_expire = excluded.on_expire,"
    " envelope = excluded.envelope, record = excluded.record, voted = excluded.voted, class = excluded.class,"
    " virus = excluded.virus, confirmed = excluded.confirmed, needs = excluded.needs, rcpts = excluded.rcpts,"
    " state = CASE WHEN kept.state = 1 AND excluded.state > 3 THEN excluded.state ELSE kept.state END,"
    " new_id = CASE WHEN kept.state = 1 THEN excluded.new_id ELSE kept.new_id END,"
    " \"by\" = CASE WHEN kept.state = 1 THEN excluded.\"by\" ELSE kept.\"by\" END,"
    " decided = CASE WHEN kept.state = 1 THEN excluded.decided ELSE kept.decided END,"
    " content = CASE WHEN kept.state > 3 OR excluded.state > 3 THEN NULL"
    " ELSE coalesce(excluded.content, kept.content) END,"
    " mark = kept.mark AND excluded.state < 4";

/* ---- the session ---- */

static void
hello_rows(void *ctx, size_t i, const PGresult *r)
{
	struct cluster *c = ctx;
	struct msg_shared m = { .kind = SHARED_THERE };

	if (PQntuples(r) != 1 || PQnfields(r) != 3)
		return;
	m.event_seq = pg_get_int(r, 0, 0);
	m.audit_seq = pg_get_int(r, 0, 1);
	m.base = c->base = (uint64_t)pg_get_int(r, 0, 2);
	cluster_say(c, 0, &m);
}

static void
hello_done(void *ctx, const struct pg_end *end)
{
	struct cluster *c = ctx;

	c->newer = !end->ok && strcmp(end->sqlstate, BASE_SCHEMA_NEWER) == 0;
	if (!end->ok) {
		pg_drop(c->ship, end->text);
		return;
	}
	if (c->said || !c->shipping)
		log_info("the shared base is there: " SPAN_FMT, SPAN_ARG(c->rt->conf->base.shown));
	c->said = false;
	c->shipping = true;
	c->day_at = clock_mono() + HEARTBEAT_US;
	ship_go(c);
}

static void
locked_rows(void *ctx, size_t i, const PGresult *r)
{
	struct cluster *c = ctx;

	if (i == 0 && PQntuples(r) == 1)
		c->days[0] = (int)pg_get_int(r, 0, 0);
}

static int
today(void)
{
	return (int)(clock_real() / (86400 * US_PER_SEC));
}

static int64_t
days_of(int64_t us)
{
	return us / (86400 * US_PER_SEC);
}

static void
locked_done(void *ctx, const struct pg_end *end)
{
	struct cluster *c = ctx;
	const struct config *conf = c->rt->conf;
	struct pg_query q[3] = { { .sql = base_schema_sql() },
		{ .sql = "SELECT day_make(d) FROM generate_series($1::int8::int, $2::int8::int) d" },
		{ .sql = "INSERT INTO node(store, name, version, journal_days, evidence_days) VALUES($1, $2, $3, $4::int8::int,"
		    " $5::int8::int) ON CONFLICT(store) DO UPDATE SET name = excluded.name, version = excluded.version,"
		    " journal_days = excluded.journal_days, evidence_days = excluded.evidence_days, heard = now()"
		    " RETURNING event_seq, audit_seq, (SELECT id FROM base)" } };
	bool ours = c->days[0] == 1;

	c->ndays = 0;
	if (!end->ok) {
		pg_drop(c->ship, end->text);
		return;
	}
	c->named = !ours;
	if (!ours) {
		pg_drop(c->ship, "another node has this node's name, or its session has not ended yet");
		return;
	}
	arena_reset(c->scratch);
	pg_int(&q[1], today() - 1, c->scratch);
	pg_int(&q[1], today() + BASE_DAYS_AHEAD, c->scratch);
	pg_int(&q[2], (int64_t)c->self, c->scratch);
	pg_text(&q[2], span_str(c->node));
	pg_text(&q[2], SPAN_LIT(POSTERN_VERSION));
	pg_int(&q[2], days_of(conf->retention[RETENTION_JOURNAL]), c->scratch);
	pg_int(&q[2], days_of(conf->retention[RETENTION_EVIDENCE]), c->scratch);
	pg_run(c->ship, q, 3, CLUSTER_SHARE_US, hello_rows, hello_done, c);
}

void
ship_hello(struct cluster *c)
{
	struct pg_query q = { .sql = "SELECT pg_try_advisory_lock(1349743731, hashtext($1))" };

	c->shipping = false;
	if (c->self == 0) {	/* the store has not said who it is */
		pg_drop(c->ship, "the store is away");
		return;
	}
	c->days[0] = 0;
	pg_text(&q, span_str(c->node));
	pg_run(c->ship, &q, 1, CLUSTER_SHARE_US, locked_rows, locked_done, c);
}

/* ---- a batch ---- */

struct loading {			/* rows of a frame, by table and column */
	struct array cols[BASE_TABLE_COUNT][BASE_COLUMNS_MAX];
	uint32_t n[BASE_TABLE_COUNT];
	struct base_value kept[KEPT_MAX][BASE_COLUMNS_MAX];
	size_t nkept;
	int days[CLUSTER_DAYS];
	size_t ndays;
};

static bool
day_known(const int *days, size_t n, int day)
{
	for (size_t i = 0; i < n; i++)
		if (days[i] == day)
			return true;
	return false;
}

static void
day_note(struct cluster *c, struct loading *l, int64_t id)
{
	int day = (int)(id / DAY_IDS);

	if (!day_known(c->days, c->ndays, day) && !day_known(l->days, l->ndays, day) && l->ndays < CLUSTER_DAYS)
		l->days[l->ndays++] = day;
}

static bool
type_fits(char type, const struct base_value *v)
{
	return v->type == BASE_NULL || (type == 'i' ? v->type == BASE_INT : type == 't' ? v->type == BASE_TEXT :
	    v->type == BASE_BLOB || v->type == BASE_FD);
}

static int
load_row(struct cluster *c, struct loading *l, enum base_table t, struct base_value *v)
{
	const char *types = t == BASE_KEPT ? kept_types : inserts[t].types;

	if (types == NULL || (t == BASE_KEPT && l->nkept == KEPT_MAX))
		return -1;
	for (size_t i = 0; types[i]; i++) {
		if (!type_fits(types[i], &v[i]))
			return -1;
		if (v[i].type == BASE_TEXT)
			v[i].s = text_clean(v[i].s, c->scratch);
	}
	if (t == BASE_KEPT) {
		memcpy(l->kept[l->nkept++], v, sizeof(l->kept[0]));
		return 0;
	}
	if (t <= BASE_RECORD)
		day_note(c, l, v[0].i);
	for (size_t i = 0; types[i]; i++) {
		if (l->n[t] == 0)
			array_begin(&l->cols[t][i]);
		array_value(&l->cols[t][i], &v[i]);
	}
	l->n[t]++;
	return 0;
}

static int
load(struct cluster *c, struct loading *l, struct span rows)
{
	struct base_reader r = { rows };
	struct base_value v[BASE_COLUMNS_MAX];
	enum base_table t;
	int x;

	while ((x = base_row_next(&r, &t, v)) == 1)
		if (load_row(c, l, t, v) == -1)
			return -1;
	return x;
}

static void
unload(struct loading *l)
{
	for (int t = 0; t < BASE_TABLE_COUNT; t++)
		for (size_t i = 0; l->n[t] && inserts[t].types[i]; i++)
			buf_release(&l->cols[t][i].b);
	free(l);
}

static Oid
oid_of(char type)
{
	return type == 'i' ? PG_INT8 : type == 't' ? PG_TEXT : PG_BYTEA;
}

static void
kept_query(struct cluster *c, struct pg_query *q, const struct base_value *v)
{
	q->sql = kept_sql;
	for (size_t i = 0; i < 29; i++) {
		/* rows of the table have gid behind rcpts, which the base makes itself */
		const struct base_value *x = &v[i == 28 ? 29 : i];

		if (x->type == BASE_INT)
			pg_int(q, x->i, c->scratch);
		else if (x->type == BASE_TEXT)
			pg_text(q, x->s);
		else if (x->type == BASE_BLOB)
			pg_blob(q, x->s);
		else if (x->type == BASE_FD)
			pg_blob(q, span_make(c->batch.content, c->batch.content_n));
		else
			pg_none(q);
	}
}

static void
batch_end(struct cluster *c, enum shared_kind kind, const char *text)
{
	struct msg_shared m = { .kind = kind, .text = span_str(text ? text : "") };
	uint64_t ticket = c->batch.ticket;

	free(c->batch.body);
	free(c->batch.content);
	memset(&c->batch, 0, sizeof(c->batch));
	cluster_say(c, ticket, &m);
}

/* The rows' own fault: a value that cannot be, or is too large. All else passes. */
static bool
is_refusal(const char *sqlstate)
{
	return strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0 ||
	    strncmp(sqlstate, "21", 2) == 0 || strncmp(sqlstate, "54", 2) == 0;
}

static void
batch_done(void *ctx, const struct pg_end *end)
{
	struct cluster *c = ctx;

	c->batch.on = false;
	if (end->ok) {
		c->ship_wait = 0;
		batch_end(c, SHARED_DONE, NULL);
		return;
	}
	if (!end->lost && is_refusal(end->sqlstate)) {
		batch_end(c, SHARED_REFUSED, end->text);
		return;
	}
	batch_end(c, SHARED_AWAY, end->text);
	if (!end->lost)
		pg_drop(c->ship, end->text);
}

static void
days_done(void *ctx, const struct pg_end *end)
{
	struct cluster *c = ctx;

	c->batch.on = false;
	if (end->ok)
		ship_go(c);
	else
		batch_done(ctx, end);
}

/* Partitions first, in a transaction of their own: whoever makes one holds up the others. */
static void
make_days(struct cluster *c, const struct loading *l)
{
	struct pg_query q[PG_QUERIES_MAX] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < l->ndays && n < PG_QUERIES_MAX; i++, n++) {
		q[n].sql = "SELECT day_make($1::int8::int)";
		pg_int(&q[n], l->days[i], c->scratch);
		if (c->ndays == CLUSTER_DAYS)
			c->ndays = 0;
		c->days[c->ndays++] = l->days[i];
	}
	c->batch.on = true;
	pg_run(c->ship, q, n, CLUSTER_SHARE_US, NULL, days_done, c);
}

static void
run_batch(struct cluster *c, const struct loading *l, const struct msg_share *m)
{
	struct pg_query q[PG_QUERIES_MAX] = { 0 };
	size_t n = 0;

	for (int t = 0; t < BASE_TABLE_COUNT; t++) {
		if (l->n[t] == 0)
			continue;
		q[n].sql = inserts[t].sql;
		for (size_t i = 0; inserts[t].types[i]; i++)
			pg_array(&q[n], oid_of(inserts[t].types[i]),
			    array_end((struct array *)(uintptr_t)&l->cols[t][i], oid_of(inserts[t].types[i])));
		n++;
	}
	for (size_t i = 0; i < l->nkept; i++)
		kept_query(c, &q[n++], l->kept[i]);
	q[n].sql = "UPDATE node SET event_seq = greatest(event_seq, $2), audit_seq = greatest(audit_seq, $3),"
	    " behind = $4, heard = now() WHERE store = $1";
	pg_int(&q[n], (int64_t)c->self, c->scratch);
	pg_int(&q[n], m->event_seq, c->scratch);
	pg_int(&q[n], m->audit_seq, c->scratch);
	pg_int(&q[n++], (int64_t)m->behind, c->scratch);
	c->batch.on = true;
	pg_run(c->ship, q, n, CLUSTER_SHARE_US, NULL, batch_done, c);
}

void
ship_go(struct cluster *c)
{
	struct loading *l;
	struct msg_share m;

	if (c->batch.body == NULL || c->batch.on)
		return;
	if (!c->shipping) {
		batch_end(c, SHARED_AWAY, "the shared base is away");
		return;
	}
	if (!pg_ready(c->ship))
		return;
	arena_reset(c->scratch);
	l = calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	if (share_decode(span_make(c->batch.body, c->batch.n), -1, c->scratch, &m) == -1 || load(c, l, m.rows) == -1)
		batch_end(c, SHARED_REFUSED, "rows that cannot be read");
	else if (l->ndays)
		make_days(c, l);
	else
		run_batch(c, l, &m);
	unload(l);
}

/* The bytes of a sealed memfd. */
static int
read_content(int fd, char **out, size_t *n, struct err *err)
{
	uint64_t size;
	size_t at = 0;
	ssize_t r = 1;

	if (fs_memfd_check(fd, &size, err) == -1 || size > 512u << 20)
		return -1;
	*out = malloc(size ? size : 1);
	ASSERT(*out != NULL);
	for (*n = size; at < size && (r = pread(fd, *out + at, size - at, (off_t)at)) > 0; at += (size_t)r)
		;
	return r > 0 ? 0 : -1;
}

int
ship_take(struct cluster *c, struct frame *f)
{
	struct msg_share m;
	struct err err;

	arena_reset(c->scratch);
	if (share_decode(f->body, f->fd, c->scratch, &m) == -1)
		return -1;
	/* The first one says who it is, and has no rows. Said again, it hears again how far the base is. */
	if (m.rows.n == 0) {
		c->self = (uint64_t)m.event_seq;
		c->ship_at = 0;
		if (c->shipping)
			pg_drop(c->ship, "the store begins anew");
		return 0;
	}
	if (c->batch.body)
		return -1;
	c->batch.ticket = f->ticket;
	c->batch.n = f->body.n;
	c->batch.body = malloc(f->body.n);
	ASSERT(c->batch.body != NULL);
	memcpy(c->batch.body, f->body.p, f->body.n);
	if (f->fd != -1 && read_content(f->fd, &c->batch.content, &c->batch.content_n, &err) == -1)
		return -1;
	ship_go(c);
	return 0;
}

void
ship_forget(struct cluster *c)
{
	c->self = 0;
	if (c->batch.body || pg_ready(c->ship))
		pg_drop(c->ship, "the store is away");
}

/* ---- from time to time ---- */

static void
beat_done(void *ctx, const struct pg_end *end)
{
	struct cluster *c = ctx;

	if (!end->ok && !end->lost) {
		pg_drop(c->ship, end->text);
		return;
	}
	if (end->ok)
		c->ship_wait = 0;
	ship_go(c);
}

void
ship_tick(struct cluster *c)
{
	int64_t now = clock_mono();
	struct pg_query q[3] = { 0 };
	char hash[17];
	size_t n = 0;

	if (!c->shipping || !pg_ready(c->ship) || now < c->day_at)
		return;
	c->day_at = now + HEARTBEAT_US;
	arena_reset(c->scratch);
	snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)c->rt->conf->hash);
	q[n].sql = "UPDATE node SET heard = now(), queue = $2, behind = $3, config = $4, counters = $5 WHERE store = $1";
	pg_int(&q[n], (int64_t)c->self, c->scratch);
	pg_int(&q[n], (int64_t)counter_get(COUNTER_QUEUED), c->scratch);
	pg_int(&q[n], (int64_t)counter_get(COUNTER_SHARE_BEHIND), c->scratch);
	pg_text(&q[n], span_str(hash));
	pg_text(&q[n++], !c->rt->conf->counters.shared ? (struct span){ 0 } :
	    counter_get(COUNTER_COUNT_AWAY) ? SPAN_LIT("alone") : SPAN_LIT("shared"));
	if (now >= c->expire_at) {
		c->expire_at = now + EXPIRE_US;
		q[n].sql = "SELECT day_make(d) FROM generate_series($1::int8::int, $2::int8::int) d";
		pg_int(&q[n], today() - 1, c->scratch);
		pg_int(&q[n++], today() + BASE_DAYS_AHEAD, c->scratch);
		/* The longest term of all nodes heard of lately; 0 is for ever. */
		q[n].sql = "SELECT days_drop(CASE WHEN min(journal_days) > 0 THEN $1::int8::int - max(journal_days) ELSE 0 END,"
		    " CASE WHEN min(evidence_days) > 0 THEN $1::int8::int - max(evidence_days) ELSE 0 END)"
		    " FROM node WHERE heard > now() - interval '30 days'";
		pg_int(&q[n++], today(), c->scratch);
	}
	pg_run(c->ship, q, n, CLUSTER_SHARE_US, NULL, beat_done, c);
}
