/* limits.c -- how much anyone may send: compiled for the receiver, which counts.
 *
 * The policy only says what is allowed; it keeps no count.
 */
#include "load.h"

/* "6000 recipients / 1h", "10 connections" */
void
limit_allow(struct load *ld, struct conf_node *n, void *obj)
{
	static const struct { const char *name; enum limit_unit unit; } units[] = {
		{ "message", LIMIT_MESSAGES }, { "messages", LIMIT_MESSAGES },
		{ "recipient", LIMIT_RECIPIENTS }, { "recipients", LIMIT_RECIPIENTS },
		{ "connection", LIMIT_CONNECTIONS }, { "connections", LIMIT_CONNECTIONS },
		{ "unique recipients", LIMIT_UNIQUE }, { "invalid recipients", LIMIT_INVALID },
	};
	struct limit_src *l = obj;
	struct span s, count, unit, window;
	size_t at;
	bool known = false;

	l->allow = n;
	if (!conf_text(ld->d, n, "as in 300 recipients / 1h", &s))
		return;
	at = span_find(s, '/');
	window = span_trim(span_from(s, at + (at < s.n)));
	s = span_trim(span_sub(s, 0, at));
	count = span_sub(s, 0, span_find(s, ' '));
	unit = span_trim(span_from(s, count.n));
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (span_is(unit, units[i].name)) {
			l->rule.unit = units[i].unit;
			known = true;
		}
	if (!known || !parse_uint(count, UINT32_MAX, &l->rule.allow) || l->rule.allow == 0) {
		diag_at(ld->d, DIAG_ERROR, n, "as in 300 recipients / 1h, 500 unique recipients / 1d, 10 connections",
		    "cannot read this limit");
		return;
	}
	if (l->rule.unit == LIMIT_CONNECTIONS) {
		if (window.n)
			diag_at(ld->d, DIAG_ERROR, n, "as in 10 connections",
			    "connections are counted at one time, not over a time");
		return;
	}
	if (!parse_duration(window, &l->rule.window) || l->rule.window <= 0)
		diag_at(ld->d, DIAG_ERROR, n, "as in 300 recipients / 1h", "the time is missing or wrong");
}

void
limit_reject(struct load *ld, struct conf_node *n, void *obj)
{
	struct limit_src *l = obj;
	bool b;

	if (conf_bool(ld->d, n, &b) && b)
		l->rule.then = OUTCOME_REJECT;
}

void
limit_defer(struct load *ld, struct conf_node *n, void *obj)
{
	struct limit_src *l = obj;
	bool b;

	if (conf_bool(ld->d, n, &b) && b && l->rule.then < OUTCOME_DEFER)
		l->rule.then = OUTCOME_DEFER;
}

void
limit_hold(struct load *ld, struct conf_node *n, void *obj)
{
	struct limit_src *l = obj;
	struct conf_node *who = n;

	if (n->kind == CONF_MAP) {
		who = conf_get(n, "for");
		CONF_EACH (c, n)
			if (!span_is(c->key, "for"))
				diag_key(ld->d, DIAG_ERROR, c, NULL,
				    "`" SPAN_FMT "`: the `hold` of a limit takes only `for`",
				    SPAN_ARG(c->key));
		if (!who) {
			diag_key(ld->d, DIAG_ERROR, n, "as in {for: group:dpo}",
			    "`hold` needs `for`: who decides");
			return;
		}
	}
	if (read_decider(ld, who, &l->rule.queue) && l->rule.then < OUTCOME_HOLD)
		l->rule.then = OUTCOME_HOLD;
}

void
limit_then(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = { "defer", "reject", "wait", NULL };
	struct limit_src *l = obj;
	int i;

	l->then = n;
	l->rule.then = OUTCOME_DELIVER;
	if (n->kind == CONF_MAP) {
		if (keys_read(ld, n, SECTION_LIMIT_THEN, l) && n->count == 0)
			diag_at(ld->d, DIAG_ERROR, n, NULL, "`then` says nothing");
		/* A lock refuses: whoever is locked tries again later, unless `reject` says more. */
		if (l->rule.lock && l->rule.then < OUTCOME_DEFER) {
			if (l->rule.then == OUTCOME_HOLD)
				diag_at(ld->d, DIAG_ERROR, n, "two limits, one for each",
				    "`hold` lets messages in and `lock` refuses them");
			l->rule.then = OUTCOME_DEFER;
		}
	} else if (n->kind == CONF_SCALAR && span_is(n->text, "notify")) {
		diag_at(ld->d, DIAG_ERROR, n, "as in {notify: postmaster}", "`notify` needs to know whom");
	} else if (n->kind == CONF_SCALAR && span_is(n->text, "wait")) {
		l->wait = true;
	} else if (conf_enum(ld->d, n, names, &i)) {
		l->rule.then = i == 0 ? OUTCOME_DEFER : OUTCOME_REJECT;
	}
}

void
limit_wait(struct load *ld, struct conf_node *n, void *obj)
{
	struct limit_src *l = obj;

	conf_bool(ld->d, n, &l->wait);
}

void
limit_match(struct load *ld, struct conf_node *n, void *obj)
{
	struct limit_src *l = obj;
	struct spans items = { 0 };

	l->match = n;
	if (!read_texts(ld, n, "whom it counts", &items))
		return;
	if (items.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
	l->rule.match = items.v;
	l->rule.nmatch = items.n;
}

/* Once `per` is known: addresses of clients, or patterns, in the spelling they are compared in. */
static void
match_check(struct load *ld, struct limit_src *l)
{
	const struct conf_node *at = l->match && l->match->kind == CONF_LIST ? l->match->first :
	    l->match;
	struct span *v = arena_array(ld->a, l->rule.nmatch + 1, sizeof(*v));

	for (size_t i = 0; i < l->rule.nmatch; i++, at = at->next) {
		struct span s = l->rule.match[i];
		struct err err = { 0 };
		struct cidr c;

		if (l->rule.per == LIMIT_CLIENT ? cidr_parse(s, &c, &err) == -1 :
		    !addrpattern_normalise(ld->a, s, &v[i], &err))
			diag_at(ld->d, DIAG_ERROR, at, NULL, "%s", err.text);
		else if (l->rule.per == LIMIT_DESTINATION && span_find(s, '@') < s.n)
			diag_at(ld->d, DIAG_ERROR, at, NULL, "a destination is a domain, `" SPAN_FMT "` is not",
			    SPAN_ARG(s));
		if (l->rule.per == LIMIT_CLIENT)
			v[i] = s;
	}
	l->rule.match = v;
}

/* What delivery counts: connections to a domain's servers, above which messages wait. */
static void
destination_check(struct load *ld, struct limit_src *l, struct conf_node *n)
{
	if (l->rule.per != LIMIT_DESTINATION) {
		if (l->wait)
			diag_at(ld->d, DIAG_ERROR, l->then, NULL, "only a limit per destination lets mail wait");
		return;
	}
	if (l->rule.unit != LIMIT_CONNECTIONS)
		diag_at(ld->d, DIAG_ERROR, l->allow, "as in 10 connections; `delivery.per_site.rate` in "
		    "postern.yaml paces messages", "per destination connections are counted");
	if (!l->match)
		diag_at(ld->d, DIAG_ERROR, n, "as in match: [isp.example]; `delivery.per_site` in postern.yaml "
		    "holds for all", "a limit per destination needs `match`");
	if (l->then && !l->wait)
		diag_at(ld->d, DIAG_ERROR, l->then, "then: wait",
		    "what cannot be delivered yet waits: nothing else is left to decide");
	l->rule.then = OUTCOME_DELIVER;
}

/* ---- exemptions ---- */

#define DAY_US (INT64_C(86400) * 1000000)

void
limit_exempt_until(struct load *ld, struct conf_node *n, void *obj)
{
	struct limit_exempt *x = obj;

	if (!read_date(ld, n, &x->until))
		return;
	x->until += DAY_US;
	if (ld->env->now >= x->until)
		diag_at(ld->d, DIAG_WARNING, n, "prolong it, or take it out",
		    "this exemption has expired");
}

void
limit_exempt_list(struct load *ld, struct conf_node *n, void *obj)
{
	struct limit_src *l = obj;
	struct limit_exempt *out;

	if (!conf_want(ld->d, n, CONF_LIST, "a list of exemptions: [{match, owner, until, reason}]"))
		return;
	l->rule.exempt = out = arena_array(ld->a, n->count, sizeof(*out));
	CONF_EACH (c, n) {
		struct limit_exempt *x = &out[l->rule.nexempt];
		static const char *const wanted[] = { "match", "owner", "until", NULL };

		if (!keys_read(ld, c, SECTION_LIMIT_EXEMPT, x))
			continue;
		l->rule.nexempt++;
		for (size_t i = 0; wanted[i]; i++)
			if (!conf_get(c, wanted[i]))
				diag_at(ld->d, DIAG_ERROR, c, "as in {match: news@example.org, "
				    "owner: it@example.org, until: 2027-12-31}",
				    "an exemption needs `%s`", wanted[i]);
	}
}

static void
limit_read(struct load *ld, struct conf_node *n)
{
	static const enum limit_key keys[] = { LIMIT_CLIENT, LIMIT_SENDER, LIMIT_SENDER_DOMAIN,
		LIMIT_USER, LIMIT_DESTINATION };
	struct limit_src *l = arena_zalloc(ld->tmp, sizeof(*l));
	struct conf_node *per = conf_get(n, "per");
	size_t errors = ld->d->errors;

	l->per = -1;
	l->rule.then = OUTCOME_DEFER;
	if (!keys_read(ld, n, SECTION_LIMIT, l))
		return;
	if (ld->d->errors > errors)
		return;
	if (!conf_get(n, "id"))
		diag_at(ld->d, DIAG_ERROR, n, NULL, "a limit needs an `id`");
	if (!per)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "a limit needs `per`: what is counted for each of");
	if (!l->allow)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "a limit needs `allow`");
	if (l->per >= 0)
		l->rule.per = keys[l->per];
	if (l->rule.unit == LIMIT_CONNECTIONS && l->rule.per != LIMIT_CLIENT &&
	    l->rule.per != LIMIT_DESTINATION && ld->d->errors == errors)
		diag_at(ld->d, DIAG_ERROR, per, NULL, "connections are counted per client or destination");
	if (ld->d->errors == errors) {
		destination_check(ld, l, n);
		match_check(ld, l);
	}
	if ((l->rule.unit == LIMIT_UNIQUE || l->rule.unit == LIMIT_INVALID) &&
	    l->rule.window > 30 * DAY_US && ld->d->errors == errors)
		diag_at(ld->d, DIAG_ERROR, l->allow, "30d", "recipients are remembered for 30 days at most");
	if (l->rule.unit == LIMIT_CONNECTIONS && l->rule.lock && ld->d->errors == errors)
		diag_at(ld->d, DIAG_ERROR, l->then, NULL, "connections above the limit are refused; "
		    "they lock nobody");
	l->rule.file = n->file ? arena_str(ld->a, span_str(n->file->name)) : "";
	l->rule.line = n->line;
	if (l->rule.id.n && ld->d->errors == errors)
		pendings_add(ld, &ld->limits, "limit", l->rule.id, conf_get(n, "id"), l);
}

void
limits_read(struct load *ld, struct conf_node *n, void *obj)
{
	struct policy *p = ld->p;
	size_t k = 0;

	if (!conf_want(ld->d, n, CONF_LIST, "a list of limits"))
		return;
	CONF_EACH (c, n)
		limit_read(ld, c);
	p->limits = arena_array(ld->a, ld->limits.n + 1, sizeof(*p->limits));
	for (struct pending *q = ld->limits.first; q; q = q->next)
		p->limits[k++] = ((struct limit_src *)q->value)->rule;
	p->nlimits = k;
}

const struct limit_rule *
policy_limits(const struct policy *p, size_t *n)
{
	*n = p->nlimits;
	return p->limits;
}
