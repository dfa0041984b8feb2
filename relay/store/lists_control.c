/* lists_control.c -- the lists of senders, as the control socket takes them.
 *
 *	{"cmd":"lists.list","scope","owner","list","state","q","after":N,"limit":N}	one line for each;
 *		last line {"v":1,"found":N,"more":BOOL,"next":N}
 *	{"cmd":"lists.add","scope","owner","list","what","reason","expires","forever":BOOL,
 *		"unauthenticated":BOOL}	the entry; with "items":[…] many: behind what is said of each
 *		{"v":1,"item":I,"added":BOOL}
 *	{"cmd":"lists.request", as add}		waits for an operator
 *	{"cmd":"lists.approve","number":N,"expires"} (else 90 days), {"cmd":"lists.deny","number":N,"reason"}
 *	{"cmd":"lists.remove","number":N}	or "numbers":[…]
 *	{"cmd":"lists.check","sender","recipient","client","from"}	what decides, when the sender is proved
 *		and when he is not
 *
 * list and check are answered by lists_show.c.
 *
 * "expires" is a time ("30d"), a day ("2027-03-01", the last one), Unix microseconds, or "never". Every
 * error has a "code": invalid, not-found, conflict, limit, forbidden. Whose list a principal may not
 * see does not exist for it.
 */
#include <errno.h>
#include <stdio.h>

#include "clock.h"
#include "conf.h"
#include "json.h"
#include "log.h"
#include "postern/policy.h"
#include "store/audit.h"
#include "store/lists_asked.h"

#define ITEMS_MAX 5000
#define DAY_US (INT64_C(86400) * US_PER_SEC)
#define APPROVED_FOR (90 * DAY_US)	/* where neither request nor approval says how long */

void
lists_refuse(struct asked *q, const char *code, const char *fmt, ...)
{
	struct json j = open_line(q->reply);
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_kcstr(&j, "error", text);
	json_kcstr(&j, "code", code);
	close_line(q->reply, &j);
}

/* ---- who may ---- */

static bool
among(const struct span *v, size_t n, struct span s)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(v[i], s))
			return true;
	return false;
}

bool
lists_may(const struct asked *q, enum list_scope scope, struct span owner, bool seeing)
{
	const struct principal *p = &q->who;
	struct span local, domain = owner;

	if (principal_is(p, MANAGERS) || (seeing && principal_is(p, PRINCIPAL_BIT(AUDITOR))))
		return true;
	if (scope == LIST_ALL)
		return false;
	if (scope == LIST_USER && !mailaddr_split(owner, &local, &domain))
		return false;
	if ((p->roles & PRINCIPAL_BIT(DOMAIN_ADMIN)) && among(p->domains, p->ndomains, domain))
		return true;
	return scope == LIST_USER && (p->roles & PRINCIPAL_BIT(USER)) &&
	    among(p->addresses, p->naddresses, owner);
}

void
lists_not_his(struct asked *q, const char *cmd, struct span what)
{
	struct err err;

	if (audit_put(q->s->db, asked_by(q), AUDIT_WHAT_REFUSED, span_str(cmd), what, clock_real(), &err) == -1)
		log_error("%s", err.text);
	lists_refuse(q, "not-found", "there is no such entry");
}

/* ---- what is asked ---- */

static bool
word(struct span s, const char *const *names, int *out)
{
	for (int i = 0; names[i]; i++)
		if (span_is(s, names[i])) {
			*out = i;
			return true;
		}
	return false;
}

bool
lists_choose(struct asked *q, const char *key, struct span s, const char *const *names, int *out)
{
	const char *near;

	if (word(s, names, out))
		return true;
	near = conf_nearest(s, names);
	lists_refuse(q, "invalid", "`%s` is not " SPAN_FMT "%s%s%s", key, SPAN_ARG(span_sub(s, 0, 60)),
	    near ? ": did you mean `" : "", near ? near : "", near ? "`?" : "");
	return false;
}

/* "30d", "2027-03-01", "never"; a number of microseconds as in answers. */
static bool
end_read(struct asked *q, const struct jval *item, int64_t now, bool *said, int64_t *end)
{
	struct span s = jval_text(item, "expires");

	*said = jval_has(item, "expires");
	*end = 0;
	if (!*said || span_is(s, "never") || span_is(s, "forever"))
		return true;
	if (s.n == 0) {
		*end = jval_int(item, "expires", -1);
	} else if (s.n >= 10 && s.p[4] == '-' && policy_moment_parse(s, end)) {
		if (s.n == 10)
			*end += DAY_US;		/* the last day on which it holds */
	} else if (parse_duration(s, end)) {
		if (*end <= 0 || __builtin_add_overflow(*end, now, end))
			*end = -1;
	} else {
		*end = -1;
	}
	if (*end > now)
		return true;
	lists_refuse(q, "invalid", *end > 0 ? "it would have ended already" :
	    "`expires`: as in 30d, 2027-03-01 or never");
	return false;
}

/* A domain of ours: entries of others would never speak of anything. */
static bool
owner_is_ours(struct asked *q, enum list_scope scope, struct span owner)
{
	const struct config *conf = q->s->rt->conf;
	const char **names = arena_array(q->arena, conf->ndomains + 1, sizeof(*names)), *near;
	struct span local, domain = owner;

	if (scope == LIST_ALL)
		return true;
	if (scope == LIST_USER)
		mailaddr_split(owner, &local, &domain);
	if (config_domain(conf, domain))
		return true;
	for (size_t i = 0; i < conf->ndomains; i++)
		names[i] = arena_str(q->arena, conf->domains[i].name);
	near = conf_nearest(domain, names);
	lists_refuse(q, "invalid", "`" SPAN_FMT "` is no domain of ours%s%s%s", SPAN_ARG(domain),
	    near ? ": did you mean `" : "", near ? near : "", near ? "`?" : "");
	return false;
}

static bool
owner_read(struct asked *q, const struct jval *item, enum list_scope scope, struct span *owner)
{
	struct span text = jval_text(item, "owner");
	struct err err;

	/* His own is meant, where there is but one. */
	if (text.n == 0 && scope == LIST_USER && q->who.naddresses == 1)
		text = q->who.addresses[0];
	if (text.n == 0 && scope == LIST_DOMAIN && q->who.ndomains == 1)
		text = q->who.domains[0];
	if (entry_owner(q->arena, scope, text, owner, &err) == 0)
		return true;
	lists_refuse(q, "invalid", "%s", err.text);
	return false;
}

static bool
plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

/* All that it says by itself; whether it may be is asked later. */
static bool
row_read(struct asked *q, const struct jval *item, int64_t now, struct list_row *row, bool *ends)
{
	struct entry *e = &row->e;
	struct span owner = jval_text(item, "owner"), reason = span_trim(jval_text(item, "reason"));
	struct span scope = jval_text(item, "scope"), list = jval_text(item, "list");
	int v;
	struct err err;

	*row = (struct list_row){ .time = now, .by = asked_by(q) };
	if (scope.n == 0 && !q->who.local && (q->who.roles & PRINCIPAL_BIT(USER)))
		scope = SPAN_LIT("user");
	if (scope.n == 0)
		scope = owner.n == 0 ? SPAN_LIT("all") : span_find(owner, '@') < owner.n &&
		    owner.p[0] != '@' ? SPAN_LIT("user") : SPAN_LIT("domain");
	if (!lists_choose(q, "all, domain or user", scope, list_scope_names, &v))
		return false;
	e->scope = (enum list_scope)v;
	if (!lists_choose(q, "allow or block", list, list_side_names, &v))
		return false;
	e->side = (enum list_side)v;
	if (!owner_read(q, item, e->scope, &e->owner) || !end_read(q, item, now, ends, &e->expires))
		return false;
	if (entry_what(q->arena, jval_text(item, "what"), &e->kind, &e->what, &err) == -1) {
		lists_refuse(q, "invalid", "%s", err.text);
		return false;
	}
	if (reason.n > LISTS_REASON_MAX || !plain(reason)) {
		lists_refuse(q, "invalid", "the reason is one line of at most %d bytes", LISTS_REASON_MAX);
		return false;
	}
	if (e->side == LIST_ALLOW && e->kind == ENTRY_DOMAIN && span_find(e->what, '.') == e->what.n) {
		lists_refuse(q, "invalid", "`" SPAN_FMT "` is half the world: a domain with a dot, to allow it",
		    SPAN_ARG(e->what));
		return false;
	}
	e->reason = reason;
	e->unauthenticated = jval_bool(item, "unauthenticated");
	/* For all the owner is whoever answers for it. */
	e->who = e->scope == LIST_ALL && owner.n && owner.n <= LISTS_OWNER_MAX && plain(owner) ? owner :
	    row->by;
	return true;
}

/* The rules of docs/LISTS.md that are not about spelling. */
static bool
row_is_fit(struct asked *q, const struct list_row *row, const struct jval *item, bool ends)
{
	const struct entry *e = &row->e;
	bool manager = principal_is(&q->who, MANAGERS);

	if (e->unauthenticated && (e->side != LIST_ALLOW || !manager || e->kind == ENTRY_NETWORK)) {
		lists_refuse(q, manager ? "invalid" : "forbidden", manager ?
		    "`unauthenticated` is for an allow of an address or a domain" :
		    "only administrators may allow a sender whom nothing proves");
		return false;
	}
	if (e->kind == ENTRY_NETWORK && e->scope == LIST_USER) {
		lists_refuse(q, "invalid", "networks are for administrators: of all, or of a domain");
		return false;
	}
	if (row->state == LIST_IN_FORCE && e->side == LIST_ALLOW && e->scope != LIST_USER &&
	    e->expires == 0 && !ends && !jval_bool(item, "forever")) {
		lists_refuse(q, "invalid", "until when? an administrator's allow has an end, as in 90d or "
		    "2027-03-01; or say forever");
		return false;
	}
	return owner_is_ours(q, e->scope, e->owner);
}

/* ---- answers ---- */

void
lists_put(struct asked *q, const struct list_row *r)
{
	static const char *const kinds[] = { "address", "domain", "network" };
	const struct entry *e = &r->e;
	struct json j = open_line(q->reply);

	json_kuint(&j, "number", e->number);
	json_kcstr(&j, "scope", list_scope_names[e->scope]);
	json_kstr(&j, "owner", e->scope == LIST_ALL ? e->who : e->owner);
	json_kcstr(&j, "list", list_side_names[e->side]);
	json_kstr(&j, "what", e->what);
	json_kcstr(&j, "kind", kinds[e->kind]);
	json_kstr(&j, "reason", e->reason);
	json_kstr(&j, "by", r->by);
	json_kint(&j, "time", r->time);
	json_key(&j, "expires");
	if (e->expires)
		json_int(&j, e->expires);
	else
		json_null(&j);
	json_kbool(&j, "unauthenticated", e->unauthenticated);
	json_kcstr(&j, "state", list_state_name(r->state));
	close_line(q->reply, &j);
}

static uint64_t
most_of(enum list_scope scope)
{
	return scope == LIST_ALL ? LISTS_ALL_MAX : scope == LIST_DOMAIN ? LISTS_DOMAIN_MAX : LISTS_USER_MAX;
}

/* 1 added, 0 refused (it was said), -1 the database fails. */
static int
add_one(struct asked *q, const struct jval *item, const char *cmd, enum list_state state, int64_t now,
    struct err *err)
{
	struct list_row row, had;
	uint64_t n = 0;
	bool ends;
	int r;

	if (!row_read(q, item, now, &row, &ends))
		return 0;
	row.state = state;
	if (state == LIST_IN_FORCE && !lists_may(q, row.e.scope, row.e.owner, false)) {
		lists_not_his(q, cmd, row.e.what);
		return 0;
	}
	if (!row_is_fit(q, &row, item, ends))
		return 0;
	if (lists_count(q->s->db, row.e.scope, row.e.owner, &n, err) == -1)
		return -1;
	if (n >= most_of(row.e.scope) || q->s->lists.book.n >= LISTS_MAX - ITEMS_MAX) {
		lists_refuse(q, "limit", "this list is full: %llu entries", (unsigned long long)n);
		return 0;
	}
	if ((r = lists_add(q->s->db, &row, q->arena, &had, err)) == 1)
		lists_put(q, &row);
	else if (r == 0)
		lists_refuse(q, "conflict", "entry %llu %s " SPAN_FMT " already%s: take it out first",
		    (unsigned long long)had.e.number, had.e.side == LIST_ALLOW ? "allows" : "blocks",
		    SPAN_ARG(had.e.what), had.state == LIST_ASKED_FOR ? " (asked for)" : "");
	return r;
}

static void
add(struct asked *q, const char *cmd, enum list_state state)
{
	const struct jval *items = jval_get(q->req, "items");
	size_t n = items ? jval_count(items) : 1;
	int64_t now = clock_real();
	bool any = false;
	struct err err;

	if (n == 0 || n > ITEMS_MAX) {
		lists_refuse(q, "limit", "at most %d entries at once", ITEMS_MAX);
		return;
	}
	store_settle(q->s);
	if (db_begin(q->s->db, true, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		int r = add_one(q, items ? jval_at(items, i) : q->req, cmd, state, now, &err);

		if (r == -1) {		/* what was said of the others is not so */
			db_rollback(q->s->db);
			buf_reset(reply_buf(q->reply));
			say_error(q, err.text);
			return;
		}
		any |= r == 1;
		if (items) {
			struct json j = open_line(q->reply);

			json_kuint(&j, "item", i);
			json_kbool(&j, "added", r == 1);
			close_line(q->reply, &j);
		}
	}
	if (db_commit(q->s->db, &err) == -1) {
		buf_reset(reply_buf(q->reply));
		say_error(q, err.text);
		return;
	}
	if (any)
		lists_changed(q->s);
}

void
do_lists_add(struct asked *q, int fd)
{
	add(q, "lists.add", LIST_IN_FORCE);
}

/* Anybody who signed in may ask for what he may not do himself. */
void
do_lists_request(struct asked *q, int fd)
{
	add(q, "lists.request", LIST_ASKED_FOR);
}

/* ---- one by its number ---- */

/* 1 found and his, 0 it was said why not, -1. */
static int
row_of(struct asked *q, uint64_t number, const char *cmd, struct list_row *row, struct err *err)
{
	char text[32];
	int r = lists_get(q->s->db, number, q->arena, row, err);

	if (r == 0)
		lists_refuse(q, "not-found", "there is no such entry");
	if (r != 1 || lists_may(q, row->e.scope, row->e.owner, false))
		return r;
	/* What one has asked for may be taken back. */
	if (row->state == LIST_ASKED_FOR && span_eq(row->by, asked_by(q)) && strcmp(cmd, "lists.remove") == 0)
		return 1;
	snprintf(text, sizeof(text), "entry %llu", (unsigned long long)number);
	lists_not_his(q, cmd, span_str(text));
	return 0;
}

/* 1 done, 0 refused, -1. */
typedef int one_act(struct asked *q, struct list_row *row, int64_t now, struct err *err);

static int
act_remove(struct asked *q, struct list_row *row, int64_t now, struct err *err)
{
	return lists_remove(q->s->db, row, asked_by(q), "lists.remove", now, err) == -1 ? -1 : 1;
}

static int
act_deny(struct asked *q, struct list_row *row, int64_t now, struct err *err)
{
	if (row->state != LIST_ASKED_FOR) {
		lists_refuse(q, "conflict", "entry %llu is in force already", (unsigned long long)row->e.number);
		return 0;
	}
	return lists_remove(q->s->db, row, asked_by(q), "lists.deny", now, err) == -1 ? -1 : 1;
}

static int
act_approve(struct asked *q, struct list_row *row, int64_t now, struct err *err)
{
	struct list_row is = *row;
	int64_t end;
	bool ends;

	if (row->state != LIST_ASKED_FOR) {
		lists_refuse(q, "conflict", "entry %llu is in force already", (unsigned long long)row->e.number);
		return 0;
	}
	if (!end_read(q, q->req, now, &ends, &end))
		return 0;
	if (ends || jval_bool(q->req, "forever"))
		is.e.expires = end;
	else if (is.e.expires == 0 && is.e.side == LIST_ALLOW && is.e.scope != LIST_USER)
		is.e.expires = now + APPROVED_FOR;
	is.state = LIST_IN_FORCE;
	if (!row_is_fit(q, &is, q->req, ends))
		return 0;
	if (lists_approve(q->s->db, row, is.e.expires, asked_by(q), now, err) == -1)
		return -1;
	*row = is;
	return 1;
}

static void
act(struct asked *q, const char *cmd, one_act *fn)
{
	const struct jval *numbers = jval_get(q->req, "numbers");
	size_t n = numbers ? jval_count(numbers) : 1;
	int64_t now = clock_real();
	bool any = false;
	struct list_row row;
	struct err err;

	if (n == 0 || n > ITEMS_MAX || (!numbers && jval_int(q->req, "number", 0) <= 0)) {
		lists_refuse(q, "invalid", "which entry? its number");
		return;
	}
	store_settle(q->s);
	if (db_begin(q->s->db, true, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t number = numbers ? (int64_t)jval_num(jval_at(numbers, i), 0) :
		    jval_int(q->req, "number", 0);
		int r = row_of(q, (uint64_t)number, cmd, &row, &err);

		if (r == 1 && (r = fn(q, &row, now, &err)) == 1) {
			lists_put(q, &row);
			any = true;
		}
		if (r == -1)
			goto fail;
	}
	if (db_commit(q->s->db, &err) == -1)
		goto fail;
	if (any)
		lists_changed(q->s);
	return;
fail:
	db_rollback(q->s->db);
	buf_reset(reply_buf(q->reply));
	say_error(q, err.text);
}

void
do_lists_remove(struct asked *q, int fd)
{
	act(q, "lists.remove", act_remove);
}

void
do_lists_approve(struct asked *q, int fd)
{
	act(q, "lists.approve", act_approve);
}

void
do_lists_deny(struct asked *q, int fd)
{
	act(q, "lists.deny", act_deny);
}
