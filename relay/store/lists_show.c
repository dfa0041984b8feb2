/* lists_show.c -- lists.list and lists.check: what there is, and what decides; see lists_control.c. */
#include "clock.h"
#include "store/lists_asked.h"

#define LIST_LIMIT 1000
#define LIST_LIMIT_MAX 20000
#define BUDGET_US (2 * US_PER_SEC)

/* ---- the list ---- */

static bool
filter_read(struct asked *q, struct lists_filter *f)
{
	static const char *const states[] = { "active", "requested", NULL };
	struct span s;
	int v;

	*f = (struct lists_filter){ .owner = span_trim(jval_text(q->req, "owner")),
		.text = span_trim(jval_text(q->req, "q")),
		.after = (uint64_t)jval_int(q->req, "after", 0) };
	if (f->owner.n && f->owner.p[0] == '@')
		f->owner = span_from(f->owner, 1);
	if (f->owner.n)
		f->owner = address_untagged(q->arena, address_folded(q->arena, f->owner));
	if ((s = jval_text(q->req, "scope")).n) {
		if (!lists_choose(q, "all, domain or user", s, list_scope_names, &v))
			return false;
		f->has_scope = true;
		f->scope = (enum list_scope)v;
	}
	if ((s = jval_text(q->req, "list")).n) {
		if (!lists_choose(q, "allow or block", s, list_side_names, &v))
			return false;
		f->has_side = true;
		f->side = (enum list_side)v;
	}
	if ((s = jval_text(q->req, "state")).n) {
		if (!lists_choose(q, "active or requested", s, states, &v))
			return false;
		f->has_state = true;
		f->state = (enum list_state)v;
	}
	if (principal_is(&q->who, MANAGERS | PRINCIPAL_BIT(AUDITOR)))
		return true;
	if (q->who.roles & PRINCIPAL_BIT(USER)) {
		f->owners = q->who.addresses;
		f->nowners = q->who.naddresses;
	}
	if (q->who.roles & PRINCIPAL_BIT(DOMAIN_ADMIN)) {
		f->domains = q->who.domains;
		f->ndomains = q->who.ndomains;
	}
	if (f->nowners || f->ndomains)
		return true;
	lists_not_his(q, "lists.list", f->owner);
	return false;
}

void
do_lists_list(struct asked *q, int fd)
{
	int64_t limit = jval_int(q->req, "limit", LIST_LIMIT);
	struct lists_filter f;
	struct list_row *rows;
	struct err err = { 0 };
	struct json j;
	bool more;
	size_t n;
	int r;

	if (!filter_read(q, &f))
		return;
	if (limit < 1 || limit > LIST_LIMIT_MAX)
		limit = LIST_LIMIT_MAX;
	store_settle(q->s);
	db_budget(q->s->db, BUDGET_US);
	r = lists_select(q->s->db, &f, (size_t)limit, q->arena, &rows, &n, &more, &err);
	db_budget(q->s->db, 0);
	if (r == -1) {
		say_error(q, err.text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		lists_put(q, &rows[i]);
	j = open_line(q->reply);
	json_kuint(&j, "found", n);
	json_kbool(&j, "more", more);
	json_kuint(&j, "next", more && n ? rows[n - 1].e.number : 0);
	close_line(q->reply, &j);
}

/* ---- what decides ---- */

/* In the words of docs/LISTS.md. */
static const char *
effect(bool decided, enum list_scope scope, enum list_side side)
{
	if (!decided)
		return "none";
	if (side == LIST_ALLOW)
		return "not-spam";
	return scope == LIST_USER ? "quarantine" : "reject";
}

static void
put_case(struct asked *q, struct json *j, const char *key, const struct book_answer *is)
{
	enum list_scope scope = LIST_ALL;
	enum list_side side = LIST_ALLOW;
	bool decided = lists_decide(is->mask, &scope, &side);
	uint64_t number = 0;

	for (size_t i = 0; decided && i < is->n; i++)
		if (is->v[i].scope == scope && is->v[i].side == side && lists_may(q, scope, is->v[i].owner, true))
			number = is->v[i].number;
	json_key(j, key);
	json_object(j);
	json_kcstr(j, "effect", effect(decided, scope, side));
	json_key(j, "number");
	if (number)
		json_uint(j, number);
	else
		json_null(j);
	json_end_object(j);
}

static void
put_hit(struct asked *q, struct book_answer *is, size_t i)
{
	const struct listed *l = &is->v[i];
	struct json j = open_line(q->reply);

	json_kuint(&j, "number", l->number);
	json_kcstr(&j, "scope", list_scope_names[l->scope]);
	json_kstr(&j, "owner", l->owner);
	json_kcstr(&j, "list", list_side_names[l->side]);
	json_kstr(&j, "what", l->what);
	json_kcstr(&j, "by", list_by_names[l->by]);
	json_kstr(&j, "reason", l->reason);
	json_key(&j, "expires");
	if (is->expires[i])
		json_int(&j, is->expires[i]);
	else
		json_null(&j);
	close_line(q->reply, &j);
}

void
do_lists_check(struct asked *q, int fd)
{
	struct span to = address_folded(q->arena, span_trim(jval_text(q->req, "recipient")));
	struct span client = span_trim(jval_text(q->req, "client")), local, domain;
	struct book_answer proved = { 0 }, unproved = { 0 };
	const unsigned all = (1u << LIST_SCOPES) - 1;
	struct book_ask ask = { .now = clock_real() };
	struct json j;

	ask.sender = address_folded(q->arena, span_trim(jval_text(q->req, "sender")));
	ask.from = address_folded(q->arena, span_trim(jval_text(q->req, "from")));
	if (span_is(ask.sender, "<>"))
		ask.sender = SPAN_LIT("");
	if (!mailaddr_split(to, &local, &domain) || (ask.sender.n &&
	    !mailaddr_split(ask.sender, &local, &local)) || (ask.from.n &&
	    !mailaddr_split(ask.from, &local, &local))) {
		lists_refuse(q, "invalid", "a sender and a recipient: two addresses");
		return;
	}
	if (client.n && !ip_parse(client, &ask.client)) {
		lists_refuse(q, "invalid", "`" SPAN_FMT "` is no IP address", SPAN_ARG(span_sub(client, 0, 60)));
		return;
	}
	if (!lists_may(q, LIST_USER, address_untagged(q->arena, to), true)) {
		lists_not_his(q, "lists.check", to);
		return;
	}
	if (principal_is(&q->who, MANAGERS))	/* others may not make it work */
		lists_now(q->s);
	book_find(&q->s->lists.book, &ask, to, all, &unproved);
	ask.sender_proved = ask.from_proved = true;
	book_find(&q->s->lists.book, &ask, to, all, &proved);
	for (size_t i = 0; i < proved.n; i++)
		if (lists_may(q, (enum list_scope)proved.v[i].scope, proved.v[i].owner, true))
			put_hit(q, &proved, i);
	j = open_line(q->reply);
	json_kuint(&j, "generation", q->s->lists.book.generation);
	put_case(q, &j, "proved", &proved);
	put_case(q, &j, "unproved", &unproved);
	close_line(q->reply, &j);
}
