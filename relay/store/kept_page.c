/* kept_page.c -- kept messages as people read them; see kept_page.h.
 *
 * A page is a walk down one index, newest first, that stops when it has what was asked for: the
 * most particular filter chooses the index, the others are tested on the way. An index leads through rows of
 * one state and one kind: a page of several walks once for each, who sees but part of it once for each of
 * his addresses and domains, and the walks are merged. So the hundredth page costs what the first does, a
 * million rows what a thousand do, and what was decided is no way to go for what waits; but for a filter
 * that hits next to nothing along a long way: that one has a budget.
 */
#include <errno.h>
#include <stdlib.h>

#include "id.h"
#include "json.h"
#include "store/approval_db.h"
#include "store/kept_page.h"
#include "store/kept_view.h"
#include "store/request_db.h"
#include "store/undo.h"

#define WORD_MIN 3		/* of the full-text index: trigrams */
#define TEXT_MAX 200

/* ---- which ---- */

#define REST " AND k.kid<?3 AND +k.kind=?1 AND (?2 IS NULL OR +k.state=?2)" \
	" AND (?5 IS NULL OR +k.queue=?5) AND (?6 IS NULL OR +k.class=?6)" \
	" AND (?7 IS NULL OR +k.sender=?7 COLLATE NOCASE) AND (?8 IS NULL OR +k.sender_domain=?8)" \
	" AND (?9 IS NULL OR EXISTS(SELECT 1 FROM kept_rcpt x WHERE x.kid=k.kid" \
	" AND +x.address=?9 COLLATE NOCASE))" \
	" AND (?10 IS NULL OR EXISTS(SELECT 1 FROM kept_rcpt x WHERE x.kid=k.kid AND +x.domain=?10))" \
	" AND (?12 IS NULL OR +k.direction=?12)" \
	" AND (?13 IS NULL OR EXISTS(SELECT 1 FROM kept_words w WHERE w.rowid=k.kid" \
	" AND w.words LIKE ?13))" \
	" AND (?14 IS NULL OR EXISTS(SELECT 1 FROM kept_request q WHERE q.kid=k.kid AND q.state=1)) AND k.home IS NULL"
#define WAY(from, where) "SELECT k.kid FROM " from " WHERE " where REST " ORDER BY k.kid DESC LIMIT ?4"
#define RCPT(index, where) "SELECT r.kid FROM kept_rcpt r INDEXED BY " index " CROSS JOIN kept k WHERE " \
	where " AND r.kid<?3 AND k.kid=r.kid" REST " GROUP BY r.kid ORDER BY r.kid DESC LIMIT ?4"

enum way { WAY_STATE, WAY_ID, WAY_QUEUE, WAY_CLASS, WAY_FROM, WAY_FROM_DOMAIN, WAY_TO,
	WAY_TO_DOMAIN, WAY_WORDS, WAY_ASKED };

static const char *
way_sql(enum way w)
{
	switch (w) {
	case WAY_STATE:
		return WAY("kept k INDEXED BY kept_state", "k.state=?2 AND k.kind=?1");
	case WAY_ID:
		return WAY("kept k INDEXED BY kept_id", "k.id=?11");
	case WAY_QUEUE:
		return WAY("kept k INDEXED BY kept_queue", "k.queue=?11 AND k.state=?2 AND k.kind=?1");
	case WAY_CLASS:
		return WAY("kept k INDEXED BY kept_class", "k.class=?11 AND k.state=?2 AND k.kind=?1");
	case WAY_FROM:
		return WAY("kept k INDEXED BY kept_sender", "k.sender=?11 COLLATE NOCASE AND k.state=?2 AND k.kind=?1");
	case WAY_FROM_DOMAIN:
		return WAY("kept k INDEXED BY kept_sender_domain", "k.sender_domain=?11 AND k.state=?2 AND k.kind=?1");
	case WAY_TO:
		return RCPT("kept_rcpt_address", "r.address=?11 COLLATE NOCASE AND r.state=?2 AND r.kind=?1");
	case WAY_TO_DOMAIN:
		return RCPT("kept_rcpt_domain", "r.domain=?11 AND r.state=?2 AND r.kind=?1");
	case WAY_WORDS:
		return "SELECT k.kid FROM kept_words f CROSS JOIN kept k WHERE f.words MATCH ?11"
		    " AND f.rowid<?3 AND k.kid=f.rowid" REST " ORDER BY f.rowid DESC LIMIT ?4";
	case WAY_ASKED:
		return "SELECT r.kid FROM kept_request r INDEXED BY kept_request_open CROSS JOIN kept k"
		    " WHERE r.state=1 AND r.kid<?3 AND k.kid=r.kid" REST
		    " GROUP BY r.kid ORDER BY r.kid DESC LIMIT ?4";
	}
	return NULL;
}

struct page {
	const struct kept_ask *ask;
	struct arena *a;
	size_t max;
	int64_t *kids;		/* of all walks */
	size_t n, room;
};

static void
bind_either(sqlite3_stmt *st, int exact, struct span s, struct arena *a)
{
	char *p = arena_str(a, s);

	if (s.n == 0)
		return;
	if (span_find(s, '@') < s.n && s.p[0] != '@') {
		db_text(st, exact, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	s = span_make(p, s.n);
	db_text(st, exact + 1, s.p[0] == '@' ? span_from(s, 1) : s);
}

/* Of that kind, and one phrase, in the index's language: quotes doubled, nothing else means anything. */
static struct span
phrase(enum outcome kind, struct span q, struct arena *a)
{
	char *out = arena_alloc(a, 2 * q.n + 64);
	size_t n = (size_t)snprintf(out, 64, "\"#%s\" AND \"", outcome_name(kind));

	for (size_t i = 0; i < q.n; i++) {
		if (q.p[i] == '"')
			out[n++] = '"';
		out[n++] = q.p[i];
	}
	out[n++] = '"';
	return span_make(out, n);
}

static struct span
like(struct span q, struct arena *a)
{
	return span_str(arena_printf(a, "%%" SPAN_FMT "%%", SPAN_ARG(q)));
}

static int
walk(struct db *d, struct page *p, enum way way, enum outcome kind, int state, struct span key,
    enum direction direction, struct err *err)
{
	const struct kept_ask *ask = p->ask;
	sqlite3_stmt *st = db_stmt(d, way_sql(way), err);
	bool indexed = way == WAY_WORDS;
	int r;

	if (st == NULL)
		return -1;
	db_text(st, 1, span_str(outcome_name(kind)));
	if (state)
		db_int(st, 2, state);
	db_int(st, 3, ask->before ? ask->before : INT64_MAX);
	db_int(st, 4, (int64_t)p->max);
	db_text(st, 5, ask->queue);
	db_text(st, 6, ask->class);
	bind_either(st, 7, ask->from, p->a);
	bind_either(st, 9, ask->to, p->a);
	if (way == WAY_ID)
		db_id(st, 11, ask->id);
	else if (indexed)
		db_text(st, 11, phrase(kind, ask->q, p->a));
	else
		db_text(st, 11, key);
	if (direction)
		db_int(st, 12, direction);
	if (ask->q.n && !indexed)
		db_text(st, 13, like(ask->q, p->a));
	if (ask->asked)
		db_int(st, 14, 1);
	while ((r = db_step(d, st, err)) == 1) {
		if (p->n == p->room) {
			p->room = p->room ? 2 * p->room : 64;
			p->kids = arena_grow(p->a, p->kids, p->n * sizeof(*p->kids),
			    p->room * sizeof(*p->kids));
		}
		p->kids[p->n++] = sqlite3_column_int64(st, 0);
	}
	return r;
}

/* A walk for each state that is asked for, where the index has it. */
static int
walk_states(struct db *d, struct page *p, enum way way, enum outcome kind, struct span key,
    enum direction direction, struct err *err)
{
#define X(name, number, text) number,
	static const int states[] = { KEPT_STATES(X) };
#undef X

	if (p->ask->state || way == WAY_ID || way == WAY_WORDS || way == WAY_ASKED)
		return walk(d, p, way, kind, p->ask->state, key, direction, err);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (walk(d, p, way, kind, states[i], key, direction, err) == -1)
			return -1;
	return 0;
}

static int
walk_kinds(struct db *d, struct page *p, enum way way, struct span key, enum direction direction,
    struct err *err)
{
	static const enum outcome kinds[] = { OUTCOME_HOLD, OUTCOME_QUARANTINE };

	for (size_t i = 0; i < 2; i++)
		if ((p->ask->kind == OUTCOME_UNJUDGED || p->ask->kind == kinds[i]) &&
		    walk_states(d, p, way, kinds[i], key, direction, err) == -1)
			return -1;
	return 0;
}

static bool
is_address(struct span s)
{
	return span_find(s, '@') < s.n && s.p[0] != '@';
}

static struct span
lower_domain(struct span s, struct arena *a)
{
	s = arena_lower(a, s);
	return s.n && s.p[0] == '@' ? span_from(s, 1) : s;
}

static int
walk_all(struct db *d, struct page *p, struct err *err)
{
	const struct kept_ask *k = p->ask;
	struct span none = { 0 };

	if (k->id)
		return walk_kinds(d, p, WAY_ID, none, DIRECTION_NONE, err);
	if (is_address(k->to))
		return walk_kinds(d, p, WAY_TO, k->to, DIRECTION_NONE, err);
	if (is_address(k->from))
		return walk_kinds(d, p, WAY_FROM, k->from, DIRECTION_NONE, err);
	if (k->asked)
		return walk_kinds(d, p, WAY_ASKED, none, DIRECTION_NONE, err);
	if (k->q.n >= WORD_MIN)
		return walk_kinds(d, p, WAY_WORDS, none, DIRECTION_NONE, err);
	if (k->from.n)
		return walk_kinds(d, p, WAY_FROM_DOMAIN, lower_domain(k->from, p->a), DIRECTION_NONE, err);
	if (k->to.n)
		return walk_kinds(d, p, WAY_TO_DOMAIN, lower_domain(k->to, p->a), DIRECTION_NONE, err);
	if (k->class.n)
		return walk_kinds(d, p, WAY_CLASS, k->class, DIRECTION_NONE, err);
	if (k->queue.n)
		return walk_kinds(d, p, WAY_QUEUE, k->queue, DIRECTION_NONE, err);
	return walk_kinds(d, p, WAY_STATE, none, DIRECTION_NONE, err);
}

/* What these addresses and domains may see: kept_view.h says which, the walks come close to it. */
static int
walk_own(struct db *d, struct page *p, const struct principal *who, struct err *err)
{
	for (size_t i = 0; i < who->ndomains && principal_is(who, PRINCIPAL_BIT(DOMAIN_ADMIN)); i++) {
		struct span name = lower_domain(who->domains[i], p->a);

		if (walk_kinds(d, p, WAY_TO_DOMAIN, name, DIRECTION_NONE, err) == -1 ||
		    walk_kinds(d, p, WAY_FROM_DOMAIN, name, DIRECTION_NONE, err) == -1)
			return -1;
	}
	if (p->ask->kind == OUTCOME_HOLD)
		return 0;
	for (size_t i = 0; i < who->naddresses && principal_is(who, PRINCIPAL_BIT(USER)); i++)
		if (walk_states(d, p, WAY_TO, OUTCOME_QUARANTINE, who->addresses[i], DIRECTION_INBOUND,
		    err) == -1)
			return -1;
	return 0;
}

static int
newest_first(const void *x, const void *y)
{
	int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;

	return a < b ? 1 : a > b ? -1 : 0;
}

int
kept_page(struct db *d, const struct kept_ask *ask, const struct principal *who, struct arena *a,
    int64_t **kids, size_t *n, bool *more, struct err *err)
{
	struct page p = { ask, a, ask->limit + 1, NULL, 0, 0 };
	size_t k = 0;
	int r;

	ASSERT(ask->limit > 0 && ask->limit <= KEPT_PAGE_MAX);
	if (ask->q.n > TEXT_MAX)
		return err_set(err, EINVAL, "what is searched for is too long");
	db_budget(d, KEPT_PAGE_BUDGET_US);
	r = who && !principal_sees_all(who) ? walk_own(d, &p, who, err) : walk_all(d, &p, err);
	db_budget(d, 0);
	if (r == -1)
		return -1;
	if (p.n)
		qsort(p.kids, p.n, sizeof(*p.kids), newest_first);
	for (size_t i = 0; i < p.n; i++)
		if (k == 0 || p.kids[k - 1] != p.kids[i])
			p.kids[k++] = p.kids[i];
	*more = k > ask->limit;
	*n = *more ? ask->limit : k;
	*kids = p.kids;
	return 0;
}

/* ---- one of them ---- */

static void
knumber(struct json *j, const char *key, sqlite3_stmt *st, int i)
{
	json_key(j, key);
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		json_null(j);
	else
		json_int(j, sqlite3_column_int64(st, i));
}

static void
ktext(struct json *j, const char *key, sqlite3_stmt *st, int i)
{
	json_key(j, key);
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		json_null(j);
	else
		json_str(j, db_column(st, i));
}

static void
put_row(sqlite3_stmt *st, const struct kept *k, struct json *j)
{
	static const char *const names[] = { "kind", "queue", "sender", "client", "subject", "by",
		"on_expire", "class", "virus", "time", "expires", "decided", "size", "confirmed" };
	static const char *const directions[] = { NULL, "outbound", "inbound" };
	char id[ID_SIZE], kid[KEPT_NAME];

	json_kint(j, "v", 1);
	json_kcstr(j, "kid", kept_name(k, kid));
	if (k->guest)
		json_kstr(j, "node", k->home_node);
	json_kcstr(j, "id", id_format(k->id, id));
	json_kcstr(j, "new_id", k->new_id ? id_format(k->new_id, id) : NULL);
	json_kcstr(j, "state", kept_state_name(k->state));
	for (int i = 0; i < 14; i++)
		if (i < 9)
			ktext(j, names[i], st, i);
		else
			knumber(j, names[i], st, i);
	json_kcstr(j, "direction", directions[k->env.direction]);
}

int
kept_item(struct db *d, int64_t kid, const struct principal *who, struct buf *out, struct err *err)
{
	struct arena *a = arena_new(0);
	sqlite3_stmt *st;
	struct kept k = { 0 };
	struct json j;
	bool *mine;
	int r = kept_load(d, kid, false, a, &k, err);

	/* All of it is there but its record, whose key is lost: it is shown, for somebody has to see it. */
	if (r == -1 && k.kid == kid && k.kind != OUTCOME_UNJUDGED && k.env.nrecipients > 0)
		r = 1;
	if (r != 1)
		goto out;
	mine = arena_array(a, k.env.nrecipients, sizeof(*mine));
	memset(mine, true, k.env.nrecipients * sizeof(*mine));
	if (who && (r = kept_reach(who, &k, KEPT_MAY_SEE, mine) > 0) == 0)
		goto out;
	st = db_stmt(d, "SELECT kind, queue, sender, client, subject, by, on_expire, class, virus, time,"
	    " expires, decided, size, confirmed FROM kept WHERE kid=?", err);
	if (st)
		db_int(st, 1, kid);
	if (st == NULL || (r = db_step(d, st, err)) != 1) {
		r = -1;
		goto out;
	}
	json_begin(&j, out);
	json_object(&j);
	put_row(st, &k, &j);
	sqlite3_reset(st);
	json_key(&j, "recipients");
	json_array(&j);
	for (size_t i = 0; i < k.env.nrecipients; i++)
		if (mine[i])
			json_str(&j, k.env.recipients[i].address);
	json_end_array(&j);
	if (requests_json(d, &k, mine, &j, err) == -1 ||
	    approvals_json(d, kid, k.env.sender, &j, err) == -1 || undo_json(d, kid, &j, err) == -1)
		r = -1;
	json_end_object(&j);
	buf_putc(out, '\n');
out:
	arena_free(&a);
	return r;
}

int
kept_list(struct db *d, const struct kept_filter *f, size_t limit, struct buf *out,
    size_t *found, struct err *err)
{
	struct arena *a = arena_new(0);
	int64_t *kids;
	size_t n;
	int r;

	*found = 0;
	r = kept_select_newest(d, f, limit, a, &kids, &n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		switch (kept_item(d, kids[i], NULL, out, err)) {
		case -1:
			r = -1;
			break;
		case 1:
			++*found;
		}
	arena_free(&a);
	return r;
}
