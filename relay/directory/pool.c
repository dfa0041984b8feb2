/* pool.c -- one named directory: servers, connections, questions; see pool.h. */
#include <event2/event.h>
#include <ldap.h>
#include <stdlib.h>

#include "clock.h"
#include "directory/pool.h"
#include "log.h"
#include "postern/arena.h"

#define REST_FIRST (1 * US_PER_SEC)
#define REST_MAX (60 * US_PER_SEC)
#define LIVES_FOR (600 * US_PER_SEC)	/* then a new one is made, at the first server that answers */
#define TRIES 2
#define TICK_US 100000			/* while something is asked */
#define IDLE_SECONDS 10
#define BYTES_MAX (1u << 20)		/* of all entries of an answer */

struct asked {
	struct asked *next, **prev;
	struct arena *arena;
	pool_cb *cb;
	void *ctx;
	bool bind;
	const char *base, *filter;	/* base: also the DN of a bind */
	const char *attributes[2];
	bool subtree;
	size_t max;
	char *password;			/* wiped with it */
	size_t npassword;
	int64_t deadline;
	unsigned tries;
	struct line *line;		/* where it was sent; NULL: it waits */
	int id;
	struct found_entry *entries;
	size_t n, bytes;
	bool too_many;
	const char *failed;		/* set: to be told in the next turn */
};

struct line {				/* a connection */
	struct pool *p;
	struct lconn *conn;		/* NULL: none */
	size_t server;
	uint32_t open;			/* questions that wait there for their answer */
	bool bind;
	bool ready;			/* it has been */
};

struct server {
	unsigned failures;
	int64_t rests_until;
	char why[512];
};

struct pool {
	struct pool_setup how;
	struct server servers[DIRECTORY_SERVERS_MAX];
	struct line search, binds[POOL_BINDS_MAX];
	struct asked *first, **last;
	size_t count;
	struct event *work, *tick;
	bool ticking;
};

static void pump(struct pool *p);

/* ---- questions ---- */

static void
asked_free(struct pool *p, struct asked *q)
{
	struct arena *a = q->arena;

	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
	else
		p->last = q->prev;
	p->count--;
	if (q->line)
		q->line->open--;
	if (q->password)
		explicit_bzero(q->password, q->npassword);
	arena_free(&a);
}

static void
tell(struct pool *p, struct asked *q, enum pool_status status, const char *text, const char *server)
{
	struct pool_answer a = { .status = status, .entries = q->entries, .n = q->n, .text = text,
		.server = server };

	/* Out of every list first: the callback may ask again. */
	pool_cb *cb = q->cb;
	void *ctx = q->ctx;
	struct arena *keep = q->arena, *empty = arena_new(64);

	q->arena = empty;
	if (status != POOL_OK)
		a.n = 0;
	asked_free(p, q);
	cb(ctx, &a);
	arena_free(&keep);
}

static struct asked *
asked_new(struct pool *p, pool_cb *cb, void *ctx)
{
	struct arena *a = arena_new(1024);
	struct asked *q = arena_zalloc(a, sizeof(*q));

	q->arena = a;
	q->cb = cb;
	q->ctx = ctx;
	q->deadline = clock_mono() + TRIES * p->how.dir->timeout;
	q->prev = p->last;
	*p->last = q;
	p->last = &q->next;
	if (++p->count > POOL_WAITING_MAX)
		q->failed = "too many questions at once";
	event_active(p->work, EV_TIMEOUT, 0);
	return q;
}

void
pool_search(struct pool *p, const struct pool_search *s, pool_cb *cb, void *ctx)
{
	struct asked *q = asked_new(p, cb, ctx);

	q->base = arena_str(q->arena, span_str(s->base));
	q->filter = arena_str(q->arena, span_str(s->filter));
	q->attributes[0] = s->attribute ? arena_str(q->arena, span_str(s->attribute)) :
	    LDAP_NO_ATTRS;
	q->subtree = s->subtree;
	q->max = s->max;
}

void
pool_bind(struct pool *p, const char *dn, struct span password, pool_cb *cb, void *ctx)
{
	struct asked *q = asked_new(p, cb, ctx);

	q->bind = true;
	q->base = arena_str(q->arena, span_str(dn));
	if (password.n == 0 || *dn == '\0') {
		q->failed = "a bind without a name or a password proves nothing";
		return;
	}
	q->npassword = password.n;
	q->password = arena_alloc(q->arena, password.n);
	memcpy(q->password, password.p, password.n);
}

/* ---- servers ---- */

static bool
server_up(const struct pool *p, size_t i, int64_t now)
{
	return p->servers[i].rests_until <= now;
}

/* The first that does not rest, or -1. */
static int
server_choose(const struct pool *p)
{
	int64_t now = clock_mono();

	for (size_t i = 0; i < p->how.dir->nservers; i++)
		if (server_up(p, i, now))
			return (int)i;
	return -1;
}

bool
pool_down(const struct pool *p)
{
	return p->search.conn == NULL && server_choose(p) == -1;
}

static void
server_failed(struct pool *p, size_t i, const char *why)
{
	struct server *s = &p->servers[i];
	int64_t rest = REST_FIRST << (s->failures < 6 ? s->failures : 6);

	s->failures++;
	s->rests_until = clock_mono() + (rest > REST_MAX ? REST_MAX : rest);
	snprintf(s->why, sizeof(s->why), "%s", why);
	log_warn("directory " SPAN_FMT ": %s", SPAN_ARG(p->how.dir->name), why);
}

size_t
pool_servers(const struct pool *p, struct pool_server *out)
{
	int64_t now = clock_mono();

	for (size_t i = 0; i < p->how.dir->nservers; i++) {
		const struct server *s = &p->servers[i];

		out[i] = (struct pool_server){ .conf = &p->how.dir->servers[i],
			.failures = s->failures, .why = s->why,
			.rests = s->rests_until > now ? s->rests_until - now : 0,
			.used = p->search.conn && lconn_is_ready(p->search.conn) &&
			    p->search.server == i };
	}
	return p->how.dir->nservers;
}

/* ---- what a connection says ---- */

static void
on_ready(void *ctx, struct lconn *c)
{
	struct line *l = ctx;
	struct server *s = &l->p->servers[l->server];

	l->ready = true;
	if (s->failures)
		log_info("directory " SPAN_FMT ": %s answers again", SPAN_ARG(l->p->how.dir->name),
		    lconn_text(c));
	s->failures = 0;
	s->rests_until = 0;
	s->why[0] = '\0';
	event_active(l->p->work, EV_TIMEOUT, 0);
}

/* What was asked there is asked elsewhere, once; a bind is not: who knows what came of it. */
static void
line_lost(struct line *l, const char *why)
{
	struct pool *p = l->p;

	for (struct asked *q = p->first; q; q = q->next) {
		if (q->line != l)
			continue;
		l->open--;
		q->line = NULL;
		q->n = q->bytes = 0;
		q->entries = NULL;
		if (q->bind || ++q->tries >= TRIES)
			q->failed = arena_str(q->arena, span_str(why));
	}
	event_active(p->work, EV_TIMEOUT, 0);
}

static void
on_closed(void *ctx, struct lconn *c, const char *why)
{
	struct line *l = ctx;

	l->conn = NULL;
	/* Servers end connections that are idle, and when they are started anew: whether this one
	 * can be had is seen when it is connected to again. */
	if (!l->ready)
		server_failed(l->p, l->server, why);
	line_lost(l, why);
}

static struct asked *
find(struct line *l, int id)
{
	for (struct asked *q = l->p->first; q; q = q->next)
		if (q->line == l && q->id == id)
			return q;
	return NULL;
}

static void
take_values(struct asked *q, struct found_entry *e, struct berval **values)
{
	size_t n = 0;
	struct span *out;

	while (values[n] && n < q->max)
		n++;
	q->too_many |= values[n] != NULL;
	out = arena_array(q->arena, n, sizeof(*out));
	for (size_t i = 0; i < n; i++) {
		q->bytes += values[i]->bv_len;
		if (q->bytes > BYTES_MAX) {
			q->too_many = true;
			break;
		}
		out[e->n++] = arena_span(q->arena, span_make(values[i]->bv_val,
		    values[i]->bv_len));
	}
	e->values = out;
}

static void
on_entry(void *ctx, struct lconn *c, int id, void *ld, struct ldapmsg *entry)
{
	struct asked *q = find(ctx, id);
	struct berval **values = NULL;
	char *dn;

	if (q == NULL || q->too_many)
		return;
	if (q->n == q->max) {		/* servers need not keep to the size that was asked for */
		q->too_many = true;
		return;
	}
	if ((dn = ldap_get_dn(ld, entry)) == NULL)
		return;
	if (q->attributes[0] && strcmp(q->attributes[0], LDAP_NO_ATTRS) != 0)
		values = ldap_get_values_len(ld, entry, q->attributes[0]);
	q->entries = arena_grow(q->arena, q->entries, q->n * sizeof(*q->entries),
	    (q->n + 1) * sizeof(*q->entries));
	q->entries[q->n] = (struct found_entry){ .dn = arena_span(q->arena, span_str(dn)) };
	q->bytes += q->entries[q->n].dn.n;
	if (values)
		take_values(q, &q->entries[q->n], values);
	q->n++;
	ldap_memfree(dn);
	if (values)
		ldap_value_free_len(values);
}

static enum pool_status
meaning(const struct asked *q, int code)
{
	if (q->too_many || code == LDAP_SIZELIMIT_EXCEEDED)
		return POOL_TOO_MANY;
	if (code == LDAP_SUCCESS)
		return POOL_OK;
	if (!q->bind)
		return code == LDAP_NO_SUCH_OBJECT ? POOL_NO_OBJECT : POOL_FAILED;
	switch (code) {
	case LDAP_INVALID_CREDENTIALS:
	case LDAP_NO_SUCH_OBJECT:
	case LDAP_INVALID_DN_SYNTAX:
	case LDAP_INAPPROPRIATE_AUTH:
	case LDAP_UNWILLING_TO_PERFORM:
	case LDAP_CONSTRAINT_VIOLATION:		/* locked there */
	case LDAP_INSUFFICIENT_ACCESS:
		return POOL_REFUSED;
	default:
		return POOL_FAILED;
	}
}

static void
on_result(void *ctx, struct lconn *c, int id, int code, const char *text)
{
	struct line *l = ctx;
	struct asked *q = find(l, id);
	char why[600];

	if (q == NULL)
		return;
	snprintf(why, sizeof(why), "%s%s%s", ldap_err2string(code), *text ? ": " : "", text);
	event_active(l->p->work, EV_TIMEOUT, 0);
	tell(l->p, q, meaning(q, code), why, lconn_text(c));
}

static const struct lconn_ops line_ops = { on_ready, on_closed, on_entry, on_result };

/* ---- the work ---- */

static void
line_open(struct pool *p, struct line *l, size_t server)
{
	struct lconn_setup how = { .base = p->how.base, .resolver = p->how.resolver,
		.tls = p->how.tls, .dir = p->how.dir, .server = &p->how.dir->servers[server],
		.known = p->how.known[server] };

	if (!l->bind && p->how.dir->bind) {
		how.dn = p->how.dir->bind;
		how.password = p->how.password;
	}
	l->server = server;
	l->ready = false;
	l->conn = lconn_new(&how, &line_ops, l);
}

/* The line for this question; NULL: wait. */
static struct line *
line_for(struct pool *p, const struct asked *q)
{
	struct line *fresh = NULL;

	if (!q->bind)
		return p->search.open < p->how.dir->searches ? &p->search : NULL;
	for (size_t i = 0; i < POOL_BINDS_MAX; i++) {
		struct line *l = &p->binds[i];

		if (l->open)
			continue;
		if (l->conn && lconn_is_ready(l->conn))
			return l;
		if (fresh == NULL || l->conn)
			fresh = l;
	}
	return fresh;
}

/* true: sent, or it waits for a connection that is being made. */
static void
send_one(struct pool *p, struct asked *q)
{
	struct line *l = line_for(p, q);
	int server;

	if (l == NULL)
		return;
	if (l->conn == NULL) {
		if ((server = server_choose(p)) == -1) {
			q->failed = "no server of the directory can be had";
			for (size_t i = 0; i < p->how.dir->nservers; i++)
				if (p->servers[i].why[0])
					q->failed = arena_str(q->arena,
					    span_str(p->servers[i].why));
			return;
		}
		line_open(p, l, (size_t)server);
		return;
	}
	if (!lconn_is_ready(l->conn))
		return;
	q->id = q->bind ? lconn_bind(l->conn, q->base, span_make(q->password, q->npassword)) :
	    lconn_search(l->conn, q->base, q->subtree ? LDAP_SCOPE_SUBTREE : LDAP_SCOPE_BASE,
	    q->filter, q->attributes, (int)q->max + 1);
	if (q->id == -1) {
		/* libldap takes no filter that is none; else the connection is going. */
		q->failed = "the question cannot be sent";
		return;
	}
	q->line = l;
	l->open++;
	q->deadline = clock_mono() + p->how.dir->timeout;
}

static void
pump(struct pool *p)
{
	int64_t now = clock_mono();
	struct timeval soon = { 0, TICK_US }, idle = { IDLE_SECONDS, 0 };

	/* Callbacks ask and are told: after each the list is looked at afresh. */
again:
	for (struct asked *q = p->first; q; q = q->next) {
		if (q->failed == NULL && q->line == NULL)
			send_one(p, q);
		if (q->failed) {
			tell(p, q, q->bind && q->npassword == 0 ? POOL_REFUSED : POOL_FAILED,
			    q->failed, "");
			goto again;
		}
		if (now >= q->deadline && q->line) {
			/* The server takes no more of our time: nor does what else waits there. */
			struct line *l = q->line;

			server_failed(p, l->server, "a question was not answered in time");
			lconn_close(&l->conn);
			line_lost(l, "a question was not answered in time");
			goto again;
		}
		if (now >= q->deadline) {
			q->failed = "no answer in time";
			tell(p, q, POOL_FAILED, q->failed, "");
			goto again;
		}
	}
	if (p->search.conn && p->search.open == 0 && lconn_is_ready(p->search.conn) &&
	    now - lconn_since(p->search.conn) > LIVES_FOR)
		lconn_close(&p->search.conn);
	if (p->count || p->search.conn)
		evtimer_add(p->tick, p->count ? &soon : &idle);
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	pump(arg);
}

struct pool *
pool_new(const struct pool_setup *how)
{
	struct pool *p = calloc(1, sizeof(*p));

	ASSERT(p != NULL && how->dir->nservers <= DIRECTORY_SERVERS_MAX);
	p->how = *how;
	p->last = &p->first;
	p->search.p = p;
	for (size_t i = 0; i < POOL_BINDS_MAX; i++)
		p->binds[i] = (struct line){ .p = p, .bind = true };
	p->work = event_new(how->base, -1, 0, on_work, p);
	p->tick = event_new(how->base, -1, 0, on_work, p);
	ASSERT(p->work && p->tick);
	return p;
}

void
pool_free(struct pool **pp)
{
	struct pool *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	while (p->first)
		asked_free(p, p->first);
	lconn_close(&p->search.conn);
	for (size_t i = 0; i < POOL_BINDS_MAX; i++)
		lconn_close(&p->binds[i].conn);
	event_free(p->work);
	event_free(p->tick);
	free(p);
}
