/* ask.c -- questions of the store to the shared base; see cluster.h, messages_base.h.
 *
 * One is asked at a time, in a session apart from that of the rows, so that a search never holds up what
 * is to be stored. The base gives up a statement by itself before we give up the session. Values stand in
 * the order of each question's comment; a NULL filter is none.
 */
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "cluster/cluster.h"
#include "fs.h"
#include "log.h"

#define ANSWER_MAX (3u << 20)		/* rows of one answer; there are more: partial */
#define INLINE_MAX (256u << 10)		/* a content that is larger travels as a memfd */
#define WAITING_MAX 256

#define KEPT_ROW "store, kid, node, id, parent, kind, queue, time, expires, on_expire, sender, client, subject, size," \
	" state, new_id, \"by\", decided, envelope, "
#define KEPT_REST ", voted, direction, class, sender_domain, virus, confirmed, needs, array_to_string(rcpts, E'\\n')," \
	" gid, "

/* A step of a question: up to four statements, each giving rows of a table; their parameters are the
 * question's values 1 .. n, or what follows them. */
struct step {
	const char *sql[4];
	enum base_table table[4];
};

static const struct step steps[BASE_ASK_COUNT] = {
	/* id */
	[BASE_ASK_RECORD] = { { "SELECT r.id, r.json FROM record r WHERE r.id = $1 OR r.id = (SELECT m.parent FROM message m"
	    " WHERE m.id = $1) ORDER BY r.id = $1 DESC LIMIT 1",
	    "SELECT id, parent, time, direction::int8, listener, client, client_name, helo, \"user\", tls, sender,"
	    " sender_domain, subject, size, node, NULL::text FROM message WHERE id = $1",
	    "SELECT id, address, domain, outcome, status, dsn, relay, reply, tls, time, attempts::int8 FROM recipient"
	    " WHERE id = $1" }, { BASE_RECORD, BASE_MESSAGE, BASE_RECIPIENT } },
	/* kind, state, queue, class, from, from's domain, to, to's domain, q, id, before, limit, not of this store,
	 * direction, addresses and domains of who asks (of who sees all: NULL) */
	[BASE_ASK_KEPT_PAGE] = { { "SELECT " KEPT_ROW "NULL::bytea" KEPT_REST "NULL::bytea FROM kept WHERE"
	    " ($1::text IS NULL OR kind = $1) AND ($2::int8 IS NULL OR state = $2) AND ($3::text IS NULL OR queue = $3)"
	    " AND ($4::text IS NULL OR class = $4) AND ($5::text IS NULL OR lower(sender) = lower($5))"
	    " AND ($6::text IS NULL OR sender_domain = $6) AND ($7::text IS NULL OR rcpts @> ARRAY[lower($7)])"
	    " AND ($8::text IS NULL OR EXISTS(SELECT FROM unnest(rcpts) r WHERE split_part(r, '@', 2) = $8))"
	    " AND ($9::text IS NULL OR position(lower($9) in lower(concat_ws(' ', sender, subject,"
	    " array_to_string(rcpts, ' ')))) > 0) AND ($10::int8 IS NULL OR id = $10) AND ($11::int8 IS NULL OR time < $11)"
	    " AND store <> $13::int8 AND ($14::int8 IS NULL OR direction = $14)"
	    " AND ($15::text IS NULL OR rcpts && string_to_array($15, E'\\n') OR sender_domain ="
	    " ANY(string_to_array($16::text, E'\\n')) OR EXISTS(SELECT FROM unnest(rcpts) r WHERE split_part(r, '@', 2) ="
	    " ANY(string_to_array($16, E'\\n'))))"
	    " ORDER BY time DESC, gid DESC LIMIT $12::int8" }, { BASE_KEPT } },
	/* gid */
	[BASE_ASK_KEPT_GET] = { { "SELECT " KEPT_ROW "record" KEPT_REST "content FROM kept WHERE gid = $1" }, { BASE_KEPT } },
	/* store, kid, token, state, by, claimer */
	[BASE_ASK_CLAIM] = { {
	    "UPDATE kept SET state = $4::int8::int, token = $3, claimer = $6, \"by\" = $5 WHERE store = $1 AND kid = $2"
	    " AND (state = 1 OR token = $3) RETURNING token, state::int8, $6::int8, \"by\", 0::int8",
	    "SELECT 0::int8, state::int8, new_id, \"by\", decided FROM kept WHERE store = $1 AND kid = $2" },
	    { BASE_DONE, BASE_DONE } },
	/* store */
	[BASE_ASK_MARKS] = { { "SELECT kid, state::int8, new_id, \"by\", decided FROM kept WHERE store = $1 AND mark"
	    " AND state > 3 LIMIT 500" }, { BASE_DONE } },
	/* rev */
	[BASE_ASK_LISTS] = { { "SELECT scope::int8, owner, what, domain, side::int8, kind::int8, who, reason, time, \"by\","
	    " expires, unauthenticated::int8, state::int8, gone::int::int8, rev FROM list_entry WHERE rev > $1"
	    " ORDER BY rev FETCH FIRST 2000 ROWS WITH TIES" }, { BASE_LIST } },
	/* words, before, limit */
	[BASE_ASK_AUDIT_PAGE] = { { "SELECT store, node, seq, time, who, what, subject, detail, key, hash FROM audit"
	    " WHERE ($2::int8 IS NULL OR time < $2) AND NOT EXISTS(SELECT FROM"
	    " unnest(string_to_array(coalesce($1::text, ''), E'\\n')) w WHERE position(lower(w) in"
	    " lower(concat_ws(' ', who, what, subject, detail, node))) = 0)"
	    " ORDER BY time DESC, store, seq DESC LIMIT $3::int8" }, { BASE_AUDIT } },
	/* store, after, limit */
	[BASE_ASK_AUDIT_CHAIN] = { { "SELECT store, node, seq, time, who, what, subject, detail, key, hash FROM audit"
	    " WHERE store = $1 AND seq > $2 ORDER BY seq LIMIT $3::int8",
	    "SELECT store, seq, hash, key, mac FROM audit_base WHERE store = $1 AND $2::int8 >= 0 AND $3::int8 > 0" },
	    { BASE_AUDIT, BASE_AUDIT_BASE } },
	[BASE_ASK_NODES] = { { "SELECT store, name, version, (extract(epoch FROM heard) * 1000000)::int8, behind,"
	    " audit_seq, (SELECT hash FROM audit a WHERE a.store = n.store ORDER BY seq DESC LIMIT 1), queue,"
	    " config, counters"
	    " FROM node n"
	    " ORDER BY name, since" }, { BASE_NODE } },
};

/* words, replies, anywhere, status, from, below, limit, milliseconds, id */
static const char search_ids[] = "SELECT id, more FROM found($1::text::tsquery, $2::text::tsquery, $3::int8 <> 0, $4,"
	" $5, $6, $7::int8::int, $8::int8::int)",
    search_id[] = "SELECT DISTINCT id, false FROM (SELECT id FROM message WHERE id = $1 UNION ALL SELECT id FROM message"
	" WHERE parent = $1 UNION ALL SELECT id FROM event WHERE id = $1) x ORDER BY id LIMIT $2::int8";
static const struct step search_rows = { {
	"SELECT id, parent, time, direction::int8, listener, client, client_name, helo, \"user\", tls, sender,"
	" sender_domain, subject, size, node, NULL::text FROM message WHERE id = ANY($1)",
	"SELECT id, address, domain, outcome, status, dsn, relay, reply, tls, time, attempts::int8 FROM recipient"
	" WHERE id = ANY($1)",
	"SELECT id, key, seq, time, kind, rcpt, outcome, dsn, relay, reply, tls, \"by\", parent, node, NULL::text FROM event"
	" WHERE id = ANY($1)",
	"SELECT id, json FROM record WHERE id = ANY($1)" }, { BASE_MESSAGE, BASE_RECIPIENT, BASE_EVENT, BASE_RECORD } };

/* ---- answers ---- */

static void
question_free(struct question_base *q)
{
	if (q->fd != -1)
		close(q->fd);
	buf_release(&q->rows);
	arena_free(&q->a);
	free(q);
}

static void
answer(struct cluster *c, struct question_base *q, enum base_told told, const char *text)
{
	struct msg_base_told m = { .told = told, .partial = q->partial || buf_failed(&q->rows),
		.text = span_str(text ? text : "") };
	struct buf b;

	if (told == BASE_TOLD_OK)
		m.rows = buf_data(&q->rows);
	buf_init(&b, FRAME_BIG);
	base_told_encode(&b, &m);
	if (c->store && link_send(c->store, FRAME_BASE_TOLD, q->ticket, buf_data(&b), q->fd) == 0)
		q->fd = -1;
	else if (c->store)
		q->fd = -1;	/* closed in any case */
	buf_release(&b);
}

static void
first_over(struct cluster *c, enum base_told told, const char *text)
{
	struct question_base *q = c->first;

	c->asking = false;
	if ((c->first = q->next) == NULL)
		c->last = &c->first;
	answer(c, q, told, text);
	question_free(q);
	ask_go(c);
}

static void
put_value(struct question_base *q, const PGresult *r, int row, int col)
{
	struct span s = pg_get(r, row, col);

	if (PQgetisnull(r, row, col)) {
		base_null(&q->rows);
		return;
	}
	switch (PQftype(r, col)) {
	case PG_INT8:
	case PG_INT4:
	case PG_INT2:
	case PG_BOOL:
		base_int(&q->rows, pg_get_int(r, row, col));
		return;
	case PG_BYTEA:
		if (s.n > INLINE_MAX && q->fd == -1) {
			struct err err;

			if ((q->fd = fs_memfd("content", &err)) != -1 && fs_write_all(q->fd, s.p, s.n, &err) == 0 &&
			    fs_memfd_seal(q->fd, &err) == 0)
				base_fd(&q->rows, s.n);
			else
				base_null(&q->rows);
			return;
		}
		base_blob(&q->rows, s);
		return;
	default:
		base_text(&q->rows, s);
	}
}

static void
put_rows(struct question_base *q, enum base_table t, const PGresult *r)
{
	if (PQnfields(r) != (int)base_columns(t))
		return;
	for (int i = 0; i < PQntuples(r); i++) {
		if (buf_size(&q->rows) > ANSWER_MAX) {
			q->partial = true;
			return;
		}
		base_row_begin(&q->rows, t);
		for (int k = 0; k < PQnfields(r); k++)
			put_value(q, r, i, k);
	}
}

/* ---- searching: ids first, then their rows ---- */

static void
take_ids(struct question_base *q, const PGresult *r)
{
	struct array ids;

	array_begin(&ids);
	for (int i = 0; i < PQntuples(r); i++) {
		struct base_value v = { .type = BASE_INT, .i = pg_get_int(r, i, 0) };

		if (pg_get_int(r, i, 1))
			q->partial = true;
		else
			array_value(&ids, &v);
	}
	if (ids.n)
		q->ids = arena_span(q->a, array_end(&ids, PG_INT8));
	buf_release(&ids.b);
}

static void
on_rows(void *ctx, size_t i, const PGresult *r)
{
	struct cluster *c = ctx;
	struct question_base *q = c->first;

	if (i == 0)		/* the time the base may take */
		return;
	if (q->what == BASE_ASK_SEARCH && q->step < 2)
		take_ids(q, r);
	else
		put_rows(q, q->what == BASE_ASK_SEARCH ? search_rows.table[i - 1] : steps[q->what].table[i - 1], r);
}

static void run_first(struct cluster *c);

static void
on_done(void *ctx, const struct pg_end *end)
{
	struct cluster *c = ctx;
	struct question_base *q = c->first;

	if (!end->ok) {
		bool slow = strcmp(end->sqlstate, "57014") == 0;

		first_over(c, end->lost ? BASE_TOLD_AWAY : BASE_TOLD_FAILED, slow ? "the base took too long" : end->text);
		return;
	}
	c->asks_wait = 0;
	if (q->what != BASE_ASK_SEARCH || q->step == 2) {
		first_over(c, BASE_TOLD_OK, NULL);
		return;
	}
	/* An id that is none may be a word. */
	q->step = q->ids.n ? 2 : q->step == 0 && (q->v[0].type == BASE_TEXT || q->v[1].type == BASE_TEXT) ? 1 : 3;
	if (q->step == 3)
		first_over(c, BASE_TOLD_OK, NULL);
	else
		run_first(c);
}

static void
put_param(struct pg_query *p, const struct base_value *v, struct arena *a)
{
	if (v->type == BASE_INT)
		pg_int(p, v->i, a);
	else if (v->type == BASE_TEXT)
		pg_text(p, text_clean(v->s, a));
	else if (v->type == BASE_BLOB)
		pg_blob(p, v->s);
	else
		pg_none(p);
}

/* How many parameters the text has: $1 … $n. */
static size_t
params_of(const char *sql)
{
	size_t most = 0;

	for (; *sql; sql++)
		if (sql[0] == '$' && sql[1] >= '1' && sql[1] <= '9') {
			size_t n = (size_t)atoi(sql + 1);

			most = n > most ? n : most;
		}
	return most;
}

static void
put_query(struct pg_query *p, const char *sql, const struct question_base *q)
{
	p->sql = sql;
	for (size_t i = 0; i < params_of(sql); i++)
		put_param(p, &q->v[i], q->a);
}

static void
run_first(struct cluster *c)
{
	static const struct base_value none;
	struct question_base *q = c->first;
	struct pg_query p[5] = { { .sql = "SELECT set_config('statement_timeout', '3000', true)" } };
	size_t n = 1;

	if (q->what != BASE_ASK_SEARCH) {
		for (size_t i = 0; i < 4 && steps[q->what].sql[i]; i++)
			put_query(&p[n++], steps[q->what].sql[i], q);
	} else if (q->step == 2) {
		for (size_t i = 0; i < 4; i++, n++) {
			p[n].sql = search_rows.sql[i];
			pg_array(&p[n], PG_INT8, q->ids);
		}
	} else if (q->step == 0 && q->n == 9 && q->v[8].type == BASE_INT) {
		p[n].sql = search_id;
		put_param(&p[n], &q->v[8], q->a);
		put_param(&p[n++], &q->v[6], q->a);
	} else {
		q->step = 1;
		for (size_t i = 0; i < 8; i++)
			put_param(&p[n], q->n > i ? &q->v[i] : &none, q->a);
		p[n++].sql = search_ids;
	}
	c->asking = true;
	pg_run(c->asks, p, n, CLUSTER_ASK_US, on_rows, on_done, c);
}

void
ask_go(struct cluster *c)
{
	/* Nobody waits any more for what is that old. */
	while (c->first && !c->asking && clock_mono() - c->first->since > CLUSTER_ASK_US) {
		struct question_base *q = c->first;

		if ((c->first = q->next) == NULL)
			c->last = &c->first;
		answer(c, q, BASE_TOLD_AWAY, "the shared base is slow");
		question_free(q);
	}
	if (c->first && !c->asking && pg_ready(c->asks) && c->listening)
		run_first(c);
}

int
ask_take(struct cluster *c, struct frame *f)
{
	struct question_base *q = calloc(1, sizeof(*q));
	struct base_reader r;
	struct msg_base_ask m;
	size_t waiting = 0;
	int x = 1;

	ASSERT(q != NULL);
	q->a = arena_new(0);
	q->ticket = f->ticket;
	q->fd = -1;
	q->since = clock_mono();
	buf_init(&q->rows, FRAME_BIG - FRAME_SMALL);
	if (base_ask_decode(f->body, f->fd, q->a, &m) == -1) {
		question_free(q);
		return -1;
	}
	q->what = m.what;
	r.rest = arena_span(q->a, m.values);
	while (q->n < BASE_COLUMNS_MAX && (x = base_value_next(&r, &q->v[q->n])) == 1)
		q->n++;
	if (x == -1 || (x == 1 && r.rest.n)) {
		question_free(q);
		return -1;
	}
	for (struct question_base *o = c->first; o; o = o->next)
		waiting++;
	if (!c->listening || waiting >= WAITING_MAX) {
		answer(c, q, BASE_TOLD_AWAY, c->listening ? "too much is asked of the shared base" : "the shared base is away");
		question_free(q);
		return 0;
	}
	*c->last = q;
	c->last = &q->next;
	ask_go(c);
	return 0;
}

void
ask_away(struct cluster *c)
{
	while (c->first) {
		struct question_base *q = c->first;

		if ((c->first = q->next) == NULL)
			c->last = &c->first;
		answer(c, q, BASE_TOLD_AWAY, "the shared base is away");
		question_free(q);
	}
	c->asking = false;
}

void
ask_forget(struct cluster *c)
{
	for (struct question_base **pp = c->asking ? &c->first->next : &c->first; *pp;) {
		struct question_base *q = *pp;

		*pp = q->next;
		question_free(q);
	}
	c->last = c->first ? &c->first->next : &c->first;
	if (c->first)	/* its answer finds nobody */
		c->first->ticket = 0;
}
