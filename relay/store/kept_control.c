/* kept_control.c -- what people ask of kept messages, each as far as he may (kept_view.h).
 *
 *	{"cmd":"kept.list","kind":"hold|quarantine","queue","class","state","from","to","q","asked":BOOL,
 *	    "limit":N,"before":"CURSOR"}	items, then {"v":1,"found":N,"more":BOOL,"next":"CURSOR"}
 *	{"cmd":"kept.show","kid":"N"}		the item; with "record", the verdict's, for who sees all
 *	{"cmd":"kept.preview","kid":"N"}	{"headers","text","truncated","parts"}: text alone
 *	{"cmd":"kept.release","kids":["N",…],"reason":"…"}	a line for each, then {"v":1,"done","failed"};
 *	    also reject, delete, confirm (it is spam indeed), request (its recipient asks for it), rescan
 *	    with "undo":true release, reject and delete wait for a moment (undo.h): "state":"pending"
 *	{"cmd":"kept.undo","kids":["N",…]}
 *	{"cmd":"kept.approve","kid":"N","reason":"…"}		also deny
 *
 * "kids" may be "selector" (kept_filter_parse) where "kind" is said and the asker sees all. What
 * somebody may not see does not exist for him: "not-found", and a line in the audit log. Of a
 * message for several a recipient decides about his own: the row is split, the others' stays.
 *
 * The file is long because all verbs stand in one place, behind one way to find out who may.
 */
#include <errno.h>
#include <stdlib.h>

#include "addr.h"
#include "clock.h"
#include "log.h"
#include "store/approval_db.h"
#include "store/audit.h"
#include "store/bayes.h"
#include "store/kept_control.h"
#include "store/kept_page.h"
#include "store/reputation_db.h"
#include "store/request_db.h"
#include "store/share.h"
#include "store/two_persons.h"
#include "store/undo.h"

#define LIMIT 100
#define KIDS_MAX 10000
#define REASON_MAX 200

/* ---- words ---- */

void
say_coded(struct asked *q, const char *code, const char *text)
{
	struct json j = open_line(q->reply);

	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	close_line(q->reply, &j);
}

void
audit_refused(struct asked *q, const char *what, struct span subject)
{
	struct err err;

	if (q->who.local)
		return;
	q->s->unwritten = true;
	if (q->s->reads)
		return;
	store_settle(q->s);
	if (audit_put(q->s->db, asked_by(q), "refused", subject, span_str(what), clock_real(), &err) == -1)
		log_error("audit: %s", err.text);
}

void
say_refused(struct asked *q, int64_t kid, const char *code, const char *text)
{
	struct json j = open_line(q->reply);
	char number[KEPT_NAME];

	json_kcstr(&j, "kid", kept_name_of(q->s->db, kid, number));
	json_kbool(&j, "ok", false);
	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	close_line(q->reply, &j);
}

bool
kept_kid(struct span text, int64_t *kid)
{
	uint64_t n;

	if (!parse_uint(text, INT64_MAX, &n) || n == 0)
		return false;
	*kid = (int64_t)n;
	return true;
}

struct span
kept_reason(struct asked *q)
{
	struct span s = jval_text(q->req, "reason");
	char *p;

	if (s.n == 0)
		s = jval_text(q->req, "text");
	s = span_sub(s, 0, REASON_MAX);
	while (s.n && s.n == REASON_MAX && ((unsigned char)s.p[s.n - 1] & 0x80))
		s.n--;		/* not within a character */
	p = arena_str(q->arena, s);
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
			p[i] = ' ';
	return span_trim(span_make(p, s.n));
}

/* ---- what may be asked for ---- */

int
kept_asked(struct asked *q, int64_t kid, enum kept_right right, struct kept *k, bool *mine, size_t *n)
{
	char what[64], number[24];
	struct err err = { 0 };
	int r;

	snprintf(what, sizeof(what), "kept.%s", kept_right_name(right));
	snprintf(number, sizeof(number), "%lld", (long long)kid);
	store_settle(q->s);
	r = kept_load(q->s->db, kid, false, q->arena, k, &err);
	if (r == 1 && ((q->kind != OUTCOME_UNJUDGED && q->kind != k->kind) ||
	    kept_reach(&q->who, k, KEPT_MAY_SEE, NULL) == 0)) {
		audit_refused(q, what, span_str(number));
		r = 0;
	}
	if (r != 1) {
		say_refused(q, kid, r == 0 ? "not-found" : "busy", r == 0 ?
		    "no message with this number is kept here" : err.text);
		return 0;
	}
	if ((*n = kept_reach(&q->who, k, right, mine)) == 0) {
		audit_refused(q, what, span_str(number));
		say_refused(q, kid, "forbidden", "your roles do not allow it");
		return 0;
	}
	return 1;
}

/* With "count" a verb only says how many: -1. */
static int
count_only(struct asked *q, size_t n)
{
	struct json j;

	if (!jval_bool(q->req, "count"))
		return 0;
	j = open_line(q->reply);
	json_kuint(&j, "count", n);
	close_line(q->reply, &j);
	return -1;
}

/* Parts of a message that are decided already are no matter, where another waits. */
static void
waiting_only(struct asked *q, int64_t *kids, size_t *n)
{
	size_t k = 0;
	struct kept kept;
	struct err err;

	for (size_t i = 0; i < *n && *n > 1; i++)
		if (kept_load(q->s->db, kids[i], false, q->arena, &kept, &err) == 1 &&
		    kept.state == KEPT_WAITING)
			kids[k++] = kids[i];
	if (k)
		*n = k;
}

/* 0: of another node, and cannot be had; that is said. */
static bool
kid_of(struct asked *q, struct span text, int64_t *kid)
{
	struct json j;

	if (kept_kid_of(q, text, kid))
		return true;
	if (!q->fetched || text.n < 2 || text.p[0] != 'g')
		return false;
	*kid = 0;
	j = open_line(q->reply);
	json_kstr(&j, "kid", text);
	json_kbool(&j, "ok", false);
	json_kcstr(&j, "error", "no message with this number is kept, or it is being decided now");
	json_kcstr(&j, "code", "not-found");
	close_line(q->reply, &j);
	return true;
}

/* The rows that a request names, as they are given. -1: said what there is to say. */
static int
kids_of(struct asked *q, int64_t **kids, size_t *n)
{
	const struct jval *list = jval_get(q->req, "kids");
	struct span one = jval_text(q->req, "kid"), selector = jval_text(q->req, "selector");
	struct kept_filter f = { .kind = q->kind };
	struct err err = { 0 };

	*n = jval_count(list);
	if (selector.n == 0)
		selector = jval_text(q->req, "id");
	if (*n == 0 && one.n == 0 && selector.n && q->kind != OUTCOME_UNJUDGED &&
	    principal_sees_all(&q->who)) {
		if (kept_filter_parse(selector, clock_real(), q->arena, &f, &err) == -1 ||
		    kept_select(q->s->db, &f, KIDS_MAX, q->arena, kids, n, &err) == -1) {
			say_coded(q, "invalid", err.text);
			return -1;
		}
		if (q->nguests) {
			int64_t *all = arena_array(q->arena, *n + q->nguests, sizeof(*all));

			if (*n)
				memcpy(all, *kids, *n * sizeof(*all));
			memcpy(all + *n, q->guests, q->nguests * sizeof(*all));
			*kids = all;
			*n += q->nguests;
		}
		if (f.id)
			waiting_only(q, *kids, n);
		if (*n >= KIDS_MAX) {
			say_coded(q, "limit", "too many at once: 10000 at most");
			return -1;
		}
		if (*n == 0 && f.id)
			say_coded(q, "not-found", "no message with this id is kept here");
		return *n == 0 && f.id ? -1 : count_only(q, *n);
	}
	if (*n > KIDS_MAX) {
		say_coded(q, "limit", "too many at once: 10000 at most");
		return -1;
	}
	*kids = arena_array(q->arena, *n + 1, sizeof(**kids));
	for (size_t i = 0; i < *n; i++)
		if (!kid_of(q, jval_str(jval_at(list, i)), &(*kids)[i])) {
			say_coded(q, "invalid", "`kids` are numbers, as texts");
			return -1;
		}
	if (*n == 0 && one.n && kid_of(q, one, &(*kids)[0]))
		*n = 1;
	if (*n == 0) {
		say_coded(q, "invalid", "which ones? `kids` is missing");
		return -1;
	}
	return count_only(q, *n);
}

/* ---- list, show ---- */

static bool
state_of(struct span text, int *state)
{
	*state = KEPT_WAITING;
	if (text.n == 0)
		return true;
	if (span_is(text, "all")) {
		*state = 0;
		return true;
	}
#define X(name, number, word) \
	if (span_is(text, word)) { \
		*state = number; \
		return true; \
	}
	KEPT_STATES(X)
#undef X
	return false;
}

/* Where a page of all nodes ends: our own row, and the time of the last one of others: "17.1795344099000000". A
 * "." alone instead of a part: there are no more. */
struct cursor {
	int64_t time;		/* of others; 0: from the newest */
	bool own_end, end;
};

static bool
cursor_read(struct span s, int64_t *kid, struct cursor *c)
{
	size_t dot = span_find(s, '.');
	struct span own = span_sub(s, 0, dot), others = span_from(s, dot + 1);

	if (dot == s.n)
		return kept_kid(s, kid);
	c->own_end = span_is(own, "e");
	c->end = span_is(others, "e");
	return (c->own_end || span_is(own, "0") || kept_kid(own, kid)) &&
	    (c->end || span_is(others, "0") || kept_kid(others, &c->time));
}

struct listing {
	struct asked *q;
	struct kept_ask ask;
	struct cursor c;
	const int64_t *kids;
	size_t n;
	bool more;
};

static int64_t
time_of(struct db *d, int64_t kid)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT time FROM kept WHERE kid=?", NULL);
	int64_t v = 0;

	if (st == NULL)
		return 0;
	db_int(st, 1, kid);
	if (db_step(d, st, NULL) == 1) {
		v = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return v;
}

/* Rows of others, newest first, as numbers in mem. */
static size_t
others(struct db *mem, int64_t *kids, int64_t *times, size_t max)
{
	sqlite3_stmt *st = db_stmt(mem, "SELECT kid, time FROM kept ORDER BY time DESC, kid DESC", NULL);
	size_t n = 0;

	while (st && n < max && db_step(mem, st, NULL) == 1) {
		kids[n] = sqlite3_column_int64(st, 0);
		times[n++] = sqlite3_column_int64(st, 1);
	}
	if (st)
		sqlite3_reset(st);
	return n;
}

/* Both lists as one, by time. */
static void
on_page(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct listing *l = ctx;
	struct asked *q = l->q;
	struct db *mem = NULL;
	struct err err = { 0 };
	size_t max = l->ask.limit, i = 0, k = 0, n = 0, shown = 0, found = 0;
	int64_t *gids = arena_array(q->arena, max + 1, sizeof(*gids));
	int64_t *times = arena_array(q->arena, max + 1, sizeof(*times));
	int64_t own = l->ask.before, time = l->c.time;
	struct json j;
	char next[64];

	store_settle(q->s);
	if (m && ((mem = base_db(q->s, &err)) == NULL || base_load(mem, m->rows, fd, q->arena, NULL, &err) == -1)) {
		why = err.text;
		mem = NULL;
	}
	if (mem)
		n = others(mem, gids, times, max + 1);
	for (; shown < max && (i < l->n || k < n); shown++) {
		bool theirs = k < n && (i == l->n || times[k] > time_of(q->s->db, l->kids[i]));
		int r = theirs ? kept_item(mem, gids[k], &q->who, reply_buf(q->reply), &err) :
		    kept_item(q->s->db, l->kids[i], &q->who, reply_buf(q->reply), &err);

		found += r == 1;
		if (theirs)
			time = times[k++];
		else
			own = l->kids[i++];
	}
	l->more = l->more || i < l->n;
	j = open_line(q->reply);
	json_kuint(&j, "found", found);
	json_kbool(&j, "more", l->more || k < n);
	snprintf(next, sizeof(next), l->more ? "%lld." : "e.", (long long)own);
	snprintf(next + strlen(next), sizeof(next) - strlen(next), k < n ? "%lld" : "e", (long long)time);
	json_kcstr(&j, "next", l->more || k < n ? next : NULL);
	json_kbool(&j, "partial", mem == NULL);
	if (mem == NULL)
		json_kcstr(&j, "base", why);
	close_line(q->reply, &j);
	asked_end(q);
	free(q);
	free(l);
}

static bool
list_all(struct asked *q, const struct kept_ask *ask, const struct cursor *c, const int64_t *kids, size_t n, bool more)
{
	struct listing *l;

	if (!share_on(q->s) || ask->asked)
		return false;
	l = calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	*l = (struct listing){ asked_keep(q), *ask, *c, kids, n, more };
	return base_kept_page(l->q, ask, c->time, ask->limit + 1, on_page, l);
}

static void
do_list(struct asked *q)
{
	int64_t limit = jval_int(q->req, "limit", LIMIT), *kids;
	struct span kind = jval_text(q->req, "kind"), before = jval_text(q->req, "before");
	struct kept_ask ask = { .kind = q->kind, .queue = jval_text(q->req, "queue"),
		.class = jval_text(q->req, "class"), .from = jval_text(q->req, "from"),
		.to = jval_text(q->req, "to"), .q = span_trim(jval_text(q->req, "q")),
		.asked = jval_bool(q->req, "asked") };
	struct err err = { 0 };
	char next[24] = "";
	size_t n, found = 0;
	struct cursor c = { 0 };
	struct json j;
	bool more;

	ask.limit = limit < 1 || limit > KEPT_PAGE_MAX ? KEPT_PAGE_MAX : (size_t)limit;
	if (before.n && !cursor_read(before, &ask.before, &c)) {
		say_coded(q, "invalid", "`before` is what `next` said");
		return;
	}
	if ((kind.n && (!outcome_from_name(kind, &ask.kind) || (ask.kind != OUTCOME_HOLD &&
	    ask.kind != OUTCOME_QUARANTINE))) || !state_of(jval_text(q->req, "state"), &ask.state)) {
		say_coded(q, "invalid", "`kind` is hold or quarantine, `state` waiting, released, rejected, "
		    "deleted or all, `before` what `next` said");
		return;
	}
	if (id_parse(ask.q, &ask.id)) {
		ask.q = (struct span){ 0 };
		ask.state = 0;
	}
	store_settle(q->s);
	kids = NULL;
	n = 0;
	more = false;
	if (!c.own_end && kept_page(q->s->db, &ask, &q->who, q->arena, &kids, &n, &more, &err) == -1) {
		say_coded(q, err.code == EINVAL ? "invalid" : "busy", err.text);
		return;
	}
	if (!c.end && list_all(q, &ask, &c, kids, n, more))
		return;
	for (size_t i = 0; i < n; i++)
		switch (kept_item(q->s->db, kids[i], &q->who, reply_buf(q->reply), &err)) {
		case -1:
			say_coded(q, "busy", err.text);
			return;
		case 1:
			found++;
		}
	j = open_line(q->reply);
	json_kuint(&j, "found", found);
	json_kbool(&j, "more", more);
	if (more && n)
		snprintf(next, sizeof(next), "%lld", (long long)kids[n - 1]);
	json_kcstr(&j, "next", more ? next : NULL);
	close_line(q->reply, &j);
}

static bool *
mask_of(struct asked *q)
{
	return arena_array(q->arena, ENVELOPE_RECIPIENTS_MAX, sizeof(bool));
}

static bool
one_kid(struct asked *q, int64_t *kid)
{
	struct kept_filter f = { .kind = q->kind };
	struct err err;
	int64_t *kids;
	size_t n;

	if (kid_of(q, jval_text(q->req, "kid"), kid))
		return *kid != 0;
	if (q->kind != OUTCOME_UNJUDGED && principal_sees_all(&q->who) &&
	    id_parse(jval_text(q->req, "id"), &f.id)) {
		if (kept_select_newest(q->s->db, &f, 1, q->arena, &kids, &n, &err) == 0 && n == 1) {
			*kid = kids[0];
			return true;
		}
		if (q->nguests) {
			*kid = q->guests[0];
			return true;
		}
		say_coded(q, "not-found", "no message with this id is kept here");
		return false;
	}
	say_coded(q, "invalid", "which one? `kid` is a number, as a text");
	return false;
}

static void
do_show(struct asked *q)
{
	struct buf *out = reply_buf(q->reply);
	struct err err = { 0 };
	struct kept k;
	struct buf b;
	int64_t kid;
	size_t n;

	if (!one_kid(q, &kid) || !kept_asked(q, kid, KEPT_MAY_SEE, &k, NULL, &n))
		return;
	buf_init(&b, FRAME_BIG);
	if (kept_item(q->s->db, kid, &q->who, &b, &err) == -1) {
		say_coded(q, "busy", err.text);
	} else if (k.record.n && principal_sees_all(&q->who)) {	/* it names all recipients */
		struct span item = span_trim(buf_data(&b));

		buf_span(out, span_sub(item, 0, item.n - 1));
		buf_puts(out, ",\"record\":");
		buf_span(out, store_one_line(q->arena, k.record));
		buf_puts(out, "}\n");
	} else {
		buf_span(out, buf_data(&b));
	}
	buf_release(&b);
}

static void
do_preview(struct asked *q)
{
	bool *mine = mask_of(q);
	struct kept k;
	int64_t kid;
	size_t n;

	if (!one_kid(q, &kid) || !kept_asked(q, kid, KEPT_MAY_READ, &k, mine, &n))
		return;
	if (k.state != KEPT_WAITING)
		say_refused(q, kid, "conflict", "its content is no longer stored");
	else
		kept_preview(q, &k, mine);
}

/* ---- verbs that decide ---- */

/* Beside what its recipient may do as such: is there another reason to let him decide? */
static size_t
reach_of_office(const struct principal *who, const struct kept *k, enum kept_right right, bool *mine)
{
	struct principal p = *who;

	p.roles &= ~PRINCIPAL_BIT(USER);
	return kept_reach(&p, k, right, mine);
}

/* The row that holds just the recipients one decides for. -1: said why not. */
static int
own_row(struct asked *q, const struct kept *row, const bool *mine, int64_t *kid)
{
	struct err err = { 0 };
	struct kept whole, *k = &whole;
	int r;

	if (kept_load(q->s->db, row->kid, true, q->arena, k, &err) == 1 && db_begin(q->s->db, true, &err) == 0) {
		r = kept_split(q->s->db, k, mine, q->arena, kid, &err);
		if (r == 0 && db_commit(q->s->db, &err) == 0)
			return 0;
		db_rollback(q->s->db);
	}
	say_refused(q, row->kid, "busy", err.text);
	return -1;
}

static void
say_at_home(struct asked *q, const struct kept *k)
{
	char text[300];

	snprintf(text, sizeof(text), "this is done on the node that keeps it: " SPAN_FMT, SPAN_ARG(k->home_node));
	say_refused(q, k->kid, "conflict", text);
}

/* A voice where two are wanted; false: refused. */
static bool
voice(struct asked *q, const struct kept *k)
{
	struct err err = { 0 };
	char number[24];
	struct json j;
	bool given;

	if (two_persons_voice(q->s, k, &q->who, asked_by(q), kept_reason(q), q->arena, &given, &err) == -1) {
		say_refused(q, k->kid, err.code ? "busy" : "conflict", err.text);
		return false;
	}
	j = open_line(q->reply);
	snprintf(number, sizeof(number), "%lld", (long long)k->kid);
	json_kcstr(&j, "kid", number);
	json_kbool(&j, "ok", true);
	json_kcstr(&j, "state", given ? "releasing" : "waiting");
	json_kuint(&j, "approvals", given ? 2 : 1);
	json_kuint(&j, "needed", 2);
	close_line(q->reply, &j);
	return true;
}

/* A rule that holds it asks for two approvers: nobody overrides them by himself but who has the
 * gateway's own command, or an administrator who says so (`anyway`). */
static int
approvers_wanted(struct asked *q, const struct kept *k, struct err *err)
{
	struct approval ap;

	if (k->kind != OUTCOME_HOLD || q->who.local)
		return 0;
	if (approval_load(q->s->db, k->kid, q->arena, &ap, err) == -1)
		return -1;
	for (size_t i = 0; i < ap.nneeds; i++)
		if (ap.needs[i].approvals > 1)
			return 1;
	return 0;
}

/* 1: to be acted on as *kid; 0: refused; 2: a voice that counts, and no more yet. */
static int
sieve(struct asked *q, int64_t *kid, enum kept_right right, bool anyway)
{
	bool *mine = mask_of(q), office;
	struct err err = { 0 };
	struct kept k;
	size_t n;
	int two;

	if (*kid == 0 || !kept_asked(q, *kid, right, &k, mine, &n))
		return 0;
	if (k.state != KEPT_WAITING) {
		char text[64];

		snprintf(text, sizeof(text), "it is %s already", kept_state_name(k.state));
		say_refused(q, *kid, "conflict", text);
		return 0;
	}
	if ((two = undo_waits(q->s->db, *kid, &err)) != 0) {
		say_refused(q, *kid, two == -1 ? "busy" : "conflict", two == -1 ? err.text :
		    "it is decided, and can be undone for a moment");
		return 0;
	}
	office = reach_of_office(&q->who, &k, right, NULL) > 0;
	if (office)
		n = reach_of_office(&q->who, &k, right, mine);
	if (right == KEPT_MAY_RELEASE && !office && !kept_own_release(q->s->rt->conf, &k)) {
		audit_refused(q, "kept.release", span_str("of a quarantine that recipients may not release from"));
		say_refused(q, *kid, "forbidden", "you cannot release it yourself: ask for it");
		return 0;
	}
	/* Parts of a message, and voices, are counted where it is kept. */
	if (k.guest && (n < k.env.nrecipients || (right == KEPT_MAY_RELEASE && !anyway &&
	    two_persons_wanted(q->s->db, q->s->rt->conf, &k, &err) == 1))) {
		say_at_home(q, &k);
		return 0;
	}
	if (n < k.env.nrecipients && own_row(q, &k, mine, kid) == -1)
		return 0;
	if (*kid != k.kid && kept_load(q->s->db, *kid, false, q->arena, &k, &(struct err){ 0 }) != 1)
		return 0;
	if (right != KEPT_MAY_RELEASE || anyway)
		return 1;
	if ((two = approvers_wanted(q, &k, &err)) == 1) {
		audit_refused(q, "kept.release", span_str("a rule asks for two approvers"));
		say_refused(q, *kid, "forbidden", "a rule asks for two approvers: it is theirs to approve");
		return 0;
	}
	if (two == 0)
		two = two_persons_wanted(q->s->db, q->s->rt->conf, &k, &err);
	if (two == -1) {
		say_refused(q, *kid, "busy", err.text);
		return 0;
	}
	if (two == 0)
		return 1;
	if (!office) {
		audit_refused(q, "kept.release", span_str("two persons must release it"));
		say_refused(q, *kid, "forbidden", "two persons must release it, and no recipient: ask for it");
		return 0;
	}
	return voice(q, &k) ? 2 : 0;
}

static void
act_on(struct asked *q, enum act_verb verb, enum kept_right right)
{
	bool anyway = verb == ACT_RELEASE && jval_bool(q->req, "anyway");
	int64_t *kids;
	size_t n, k = 0, voices = 0;

	if (anyway && !principal_is(&q->who, 0)) {
		audit_refused(q, "kept.release", span_str("anyway"));
		say_coded(q, "forbidden", "`anyway` is for administrators");
		return;
	}
	if (kids_of(q, &kids, &n) == -1)
		return;
	for (size_t i = 0; i < n; i++)
		switch (sieve(q, &kids[i], right, anyway)) {
		case 1:
			kids[k++] = kids[i];
			break;
		case 2:
			voices++;
		}
	if (undo_wanted(q)) {
		undo_later(q, anyway ? ACT_ANYWAY : verb, kids, k, kept_reason(q), voices, n - k - voices);
		return;
	}
	act_start_some(q->s, anyway ? ACT_ANYWAY : verb, kids, k, asked_by(q), kept_reason(q), q->reply,
	    voices, n - k - voices);
	q->reply = NULL;
}

static void
do_release(struct asked *q)
{
	act_on(q, ACT_RELEASE, KEPT_MAY_RELEASE);
}

static void
do_reject(struct asked *q)
{
	if (!span_is_plain(kept_reason(q)))
		say_coded(q, "invalid", "the reason stands in an SMTP reply: plain ASCII only");
	else
		act_on(q, ACT_REJECT, KEPT_MAY_REJECT);
}

static void
do_delete(struct asked *q)
{
	act_on(q, ACT_DELETE, KEPT_MAY_DELETE);
}

/* ---- verbs that only say something ---- */

static void
done_line(struct asked *q, const struct kept *k, const char *state)
{
	struct json j = open_line(q->reply);
	char id[ID_SIZE], number[KEPT_NAME];

	json_kcstr(&j, "kid", kept_name(k, number));
	json_kcstr(&j, "id", id_format(k->id, id));
	json_kbool(&j, "ok", true);
	json_kcstr(&j, "state", state);
	close_line(q->reply, &j);
}

static void
end_line(struct asked *q, size_t done, size_t failed)
{
	struct json j = open_line(q->reply);

	json_kuint(&j, "done", done);
	json_kuint(&j, "failed", failed);
	close_line(q->reply, &j);
}

static int
confirm(struct asked *q, const struct kept *k, struct err *err)
{
	sqlite3_stmt *st;
	char id[ID_SIZE];
	bool first;

	if (db_begin(q->s->db, true, err) == -1)
		return -1;
	st = db_stmt(q->s->db, "UPDATE kept SET confirmed=? WHERE kid=? AND confirmed IS NULL", err);
	if (st) {
		db_int(st, 1, clock_real());
		db_int(st, 2, k->kid);
	}
	if (st == NULL || db_run(q->s->db, st, err) == -1) {
		db_rollback(q->s->db);
		return -1;
	}
	first = db_changes(q->s->db) > 0;
	if (audit_put(q->s->db, asked_by(q), "confirm", span_str(id_format(k->id, id)), kept_reason(q),
	    clock_real(), err) == -1) {
		db_rollback(q->s->db);
		return -1;
	}
	if (db_commit(q->s->db, err) == -1)
		return -1;
	bayes_decided(q->s, k, BAYES_SPAM, asked_by(q));
	if (first)
		experience_confirmed(q->s->experience, k, clock_real());
	return 0;
}

/* Each recipient of the asker's own that is in it. */
static int
request(struct asked *q, const struct kept *k, const bool *mine, struct err *err)
{
	struct principal own = q->who;
	char id[ID_SIZE];

	own.roles &= PRINCIPAL_BIT(USER);
	if (db_begin(q->s->db, true, err) == -1)
		return -1;
	for (size_t i = 0; i < k->env.nrecipients; i++) {
		struct span to = k->env.recipients[i].address;

		if (!mine[i] || (!own.local && !principal_sees(&own, to)))
			continue;
		if (request_put(q->s->db, k->kid, to, kept_reason(q), clock_real(), err) == -1 ||
		    audit_put(q->s->db, asked_by(q), "request", span_str(id_format(k->id, id)), to,
		    clock_real(), err) == -1) {
			db_rollback(q->s->db);
			return -1;
		}
	}
	return db_commit(q->s->db, err);
}

static void
say_each(struct asked *q, enum kept_right right,
    int (*run)(struct asked *q, const struct kept *k, const bool *mine, struct err *err))
{
	bool *mine = mask_of(q);
	size_t n, reach, done = 0;
	int64_t *kids;

	if (kids_of(q, &kids, &n) == -1)
		return;
	for (size_t i = 0; i < n; i++) {
		struct err err = { 0 };
		struct kept k;

		if (kids[i] == 0 || !kept_asked(q, kids[i], right, &k, mine, &reach))
			continue;
		if (k.guest) {
			say_at_home(q, &k);
		} else if (k.state != KEPT_WAITING) {
			say_refused(q, kids[i], "conflict", "it is decided already");
		} else if (run(q, &k, mine, &err) == -1) {
			say_refused(q, kids[i], "busy", err.text);
		} else {
			done_line(q, &k, right == KEPT_MAY_REQUEST ? "requested" : "confirmed");
			done++;
		}
	}
	end_line(q, done, n - done);
}

static int
run_confirm(struct asked *q, const struct kept *k, const bool *mine, struct err *err)
{
	return confirm(q, k, err);
}

static void
do_confirm(struct asked *q)
{
	say_each(q, KEPT_MAY_CONFIRM, run_confirm);
}

static void
do_request(struct asked *q)
{
	say_each(q, KEPT_MAY_REQUEST, request);
}

static void
do_rescan(struct asked *q)
{
	int64_t *kids;
	size_t n, k = 0, reach;
	struct kept kept;

	if (kids_of(q, &kids, &n) == -1)
		return;
	for (size_t i = 0; i < n; i++) {
		if (kids[i] == 0 || !kept_asked(q, kids[i], KEPT_MAY_RESCAN, &kept, NULL, &reach))
			continue;
		if (kept.state == KEPT_WAITING)
			kids[k++] = kids[i];
		else
			say_refused(q, kids[i], "conflict", "its content is no longer stored");
	}
	kept_rescan(q, kids, k);
}

/* ---- voices ---- */

/* Where a rule asks for persons: as one of his addresses. */
static int
vote(struct asked *q, const struct kept *k, bool yes, enum approval_state *state, struct err *err)
{
	struct approval ap;

	err_set(err, 0, "you are not among those who may decide about it");
	if (approval_load(q->s->db, k->kid, q->arena, &ap, err) == -1)
		return -1;
	for (size_t i = 0; i <= q->who.naddresses; i++) {
		struct span as = i < q->who.naddresses ? q->who.addresses[i] : q->who.name;

		for (size_t n = 0; n < ap.nneeds; n++)
			if (ap.needs[n].approvals && approver_may(&ap.needs[n], k->env.sender, as))
				return approve_vote(q->s, k, as, yes, SPAN_LIT("console"), kept_reason(q),
				    NULL, q->arena, state, err);
	}
	return -1;
}

static void
decide(struct asked *q, bool yes)
{
	static const char *const states[] = { "waiting", "approved", "denied" };
	enum approval_state state = APPROVAL_WAITS;
	struct err err = { 0 };
	struct kept k;
	int64_t kid;
	int r;

	if (!one_kid(q, &kid))
		return;
	store_settle(q->s);
	r = kept_load(q->s->db, kid, false, q->arena, &k, &err);
	if (r == 1 && k.state != KEPT_WAITING) {
		say_refused(q, kid, "conflict", "it is decided already");
		return;
	}
	if (r == 1 && k.guest) {
		if (kept_reach(&q->who, &k, KEPT_MAY_SEE, NULL))
			say_at_home(q, &k);
		else
			say_refused(q, kid, "not-found", "no message with this number is kept here");
		return;
	}
	if (r == 1 && two_persons_wanted(q->s->db, q->s->rt->conf, &k, &err) == 1) {
		if (yes) {	/* one line, as of every voice */
			if (sieve(q, &kid, KEPT_MAY_RELEASE, false) == 1)
				say_refused(q, kid, "conflict", "it is changing: try again");
		} else if (kept_asked(q, kid, KEPT_MAY_REJECT, &k, NULL, &(size_t){ 0 })) {
			if (two_persons_deny(q->s, &k, &err) == -1)
				say_refused(q, kid, "busy", err.text);
			else
				done_line(q, &k, "waiting");
		}
		return;
	}
	/* Who may decide may be somebody who sees nothing else of what is held. */
	if (r == 1)
		r = vote(q, &k, yes, &state, &err);
	if (r == 0 && state != APPROVAL_WAITS)
		done_line(q, &k, states[state]);
	else if (r == 0)
		done_line(q, &k, kept_state_name(KEPT_WAITING));
	else if (kept_reach(&q->who, &k, KEPT_MAY_SEE, NULL)) {
		audit_refused(q, yes ? "kept.approve" : "kept.deny", jval_text(q->req, "kid"));
		say_refused(q, kid, "forbidden", err.text);
	} else {
		audit_refused(q, yes ? "kept.approve" : "kept.deny", jval_text(q->req, "kid"));
		say_refused(q, kid, "not-found", "no message with this number is kept here");
	}
}

static void
do_approve_kid(struct asked *q)
{
	decide(q, true);
}

static void
do_deny_kid(struct asked *q)
{
	decide(q, false);
}

static const struct {
	const char *name;
	void (*run)(struct asked *q);
} verbs[] = {
	{ "list", do_list },
	{ "show", do_show },
	{ "preview", do_preview },
	{ "release", do_release },
	{ "reject", do_reject },
	{ "delete", do_delete },
	{ "confirm", do_confirm },
	{ "request", do_request },
	{ "rescan", do_rescan },
	{ "approve", do_approve_kid },
	{ "deny", do_deny_kid },
	{ "undo", do_undo },
};

bool
kept_command(struct asked *q, struct span verb)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (span_is(verb, verbs[i].name)) {
			verbs[i].run(q);
			return true;
		}
	return false;
}
