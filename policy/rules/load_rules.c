/* load_rules.c -- rules, what they do, and the exceptions from them.
 *
 * Rules end up sorted by id: no order of writing survives into the policy. A
 * rule of a pack gives way to one of the policy with the same id.
 *
 * Long because a rule, what it does and the exceptions from it are one grammar.
 */
#include <stdlib.h>

#include "load.h"

#define HEADER_TEXT_MAX 2000
#define DAY_US (INT64_C(86400) * 1000000)

/* --- small keys of a rule --------------------------------------------------------------- */

void
rule_title(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule *r = obj;
	struct span s;

	if (n->kind == CONF_MAP) {
		CONF_EACH (c, n)
			if (conf_text(ld->d, c, "a text", &s) && (span_is(c->key, "en") || !r->title.n))
				r->title = arena_span(ld->a, s);
	} else if (conf_text(ld->d, n, "a text", &s)) {
		r->title = arena_span(ld->a, s);
	}
}

void
rule_when(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;

	ld->rule = src;
	src->when = n;
	when_read(ld, n, &src->rule.when, &src->rule.nwhen);
	ld->rule = NULL;
}

void
rule_unless(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;

	src->unless = n;
	when_read(ld, n, &src->rule.unless, &src->rule.nunless);
}

/* --- outcomes ----------------------------------------------------------------------------- */

/* Notes that the rule asks for this outcome; true when it is its strictest so far. */
static bool
outcome_take(struct rule_src *src, enum outcome o, const struct conf_node *n)
{
	src->outcome_nodes[o] = n;
	if (o <= src->rule.then.outcome)
		return false;
	src->rule.then.outcome = o;
	return true;
}

static bool
want_true(struct load *ld, struct conf_node *n)
{
	bool b;

	if (!conf_bool(ld->d, n, &b))
		return false;
	if (!b)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "leave `" SPAN_FMT "` out instead", SPAN_ARG(n->key));
	return b;
}

/* "5.7.1 " at the front of a text: its length, or 0. */
static size_t
enhanced_code(struct span s)
{
	size_t i = 0;

	if (s.n < 6 || s.p[0] < '0' || s.p[0] > '9' || s.p[1] != '.')
		return 0;
	for (int part = 0; part < 2; part++) {
		size_t from = i = part ? i + 1 : 2;

		while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9' && i - from < 3)
			i++;
		if (i == from || i == s.n || s.p[i] != (part ? ' ' : '.'))
			return 0;
	}
	return i;
}

static void
then_reply(struct load *ld, struct conf_node *n, struct rule_src *src, enum outcome o,
    char class, const char *deflt)
{
	struct span s = { 0 }, code = span_str(deflt);
	size_t len;

	if (n->kind == CONF_SCALAR && !n->quoted && span_is(n->text, "true")) {
		/* the usual text */
	} else if (!read_template(ld, n, &s)) {
		return;
	} else if (s.n == 0) {
		diag_at(ld->d, DIAG_ERROR, n, "or write `true`", "an empty text");
		return;
	}
	if ((len = enhanced_code(s)) > 0) {
		code = span_sub(s, 0, len);
		s = span_trim(span_from(s, len));
		if (code.p[0] != class) {
			diag_at(ld->d, DIAG_ERROR, n, NULL, "the code of `" SPAN_FMT "` begins with %c",
			    SPAN_ARG(n->key), class);
			return;
		}
	} else if (s.n > 4 && s.p[3] == ' ' && (s.p[0] == '4' || s.p[0] == '5') && s.p[1] >= '0' &&
	    s.p[1] <= '9' && s.p[2] >= '0' && s.p[2] <= '9') {
		diag_at(ld->d, DIAG_ERROR, n, "as in \"5.7.1 text\"",
		    "leave the reply code out: `" SPAN_FMT "` is sent as %s", SPAN_ARG(n->key),
		    class == '5' ? "550" : "451");
		return;
	}
	if (s.n > REPLY_MAX - 80) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "a reply holds %d bytes, this is %zu",
		    REPLY_MAX - 80, s.n);
		return;
	}
	if (outcome_take(src, o, n)) {
		src->rule.then.code = code;
		src->rule.then.text = s;
	}
}

void
then_reject(struct load *ld, struct conf_node *n, void *obj)
{
	then_reply(ld, n, obj, OUTCOME_REJECT, '5', "5.7.1");
}

void
then_defer(struct load *ld, struct conf_node *n, void *obj)
{
	then_reply(ld, n, obj, OUTCOME_DEFER, '4', "4.7.1");
}

void
hold_for(struct load *ld, struct conf_node *n, void *obj)
{
	struct hold_src *h = obj;

	read_decider(ld, n, &h->decider);
}

void
then_hold(struct load *ld, struct conf_node *n, void *obj)
{
	static const enum outcome expire[] = { OUTCOME_REJECT, OUTCOME_QUARANTINE, OUTCOME_DISCARD,
		OUTCOME_DELIVER, OUTCOME_DELIVER, OUTCOME_DISCARD };
	struct rule_src *src = obj;
	struct hold_src h = { 0 };
	size_t errors = ld->d->errors;

	if (n->kind == CONF_MAP) {
		keys_read(ld, n, SECTION_HOLD, &h);
		if (ld->d->errors == errors && !h.decider.n)
			diag_key(ld->d, DIAG_ERROR, n, "as in {for: group:dpo}",
			    "`hold` needs `for`: who decides");
		if (conf_get(n, "on_expire") && !h.expires && ld->d->errors == errors)
			diag_key(ld->d, DIAG_ERROR, conf_get(n, "on_expire"), NULL,
			    "`on_expire` without `expires`");
	} else {
		if (n->kind == CONF_SCALAR && !n->quoted && span_is(n->text, "true"))
			diag_at(ld->d, DIAG_ERROR, n, "as in {for: group:dpo}",
			    "`hold` needs a group or an address: who decides");
		else
			read_decider(ld, n, &h.decider);
	}
	if (ld->d->errors > errors || !outcome_take(src, OUTCOME_HOLD, n))
		return;
	approvers_read(ld, n, src, h.approvals);
	src->rule.then.queue = h.decider;
	src->rule.then.expires = h.expires;
	src->rule.then.on_expire = h.expires ? expire[h.on_expire] : OUTCOME_UNJUDGED;
}

void
then_quarantine(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct quarantine_src q = { .name = SPAN_LIT("quarantine") };
	size_t errors = ld->d->errors;

	if (n->kind == CONF_MAP)
		keys_read(ld, n, SECTION_QUARANTINE, &q);
	else if (!(n->kind == CONF_SCALAR && !n->quoted && span_is(n->text, "true")) &&
	    !read_id(ld, n, &q.name))
		return;
	if (ld->d->errors > errors || !outcome_take(src, OUTCOME_QUARANTINE, n))
		return;
	src->rule.then.queue = q.name;
	src->rule.then.approvals = (uint8_t)q.approvals;
}

void
then_discard(struct load *ld, struct conf_node *n, void *obj)
{
	if (want_true(ld, n))
		outcome_take(obj, OUTCOME_DISCARD, n);
}

void
then_deliver(struct load *ld, struct conf_node *n, void *obj)
{
	if (want_true(ld, n))
		outcome_take(obj, OUTCOME_DELIVER, n);
}

void
then_redirect(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct spans items = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	struct span *v;
	size_t errors = ld->d->errors;

	if (!read_texts(ld, n, "an address", &items))
		return;
	v = arena_array(ld->a, items.n ? items.n : 1, sizeof(*v));
	for (size_t i = 0; i < items.n; i++, at = at->next) {
		struct err err = { 0 };
		struct span normal;

		if (span_find(items.v[i], '@') == items.v[i].n)
			diag_at(ld->d, DIAG_ERROR, at, NULL, "`" SPAN_FMT "` is not an address",
			    SPAN_ARG(items.v[i]));
		else if (!addrpattern_normalise(ld->tmp, items.v[i], &normal, &err) || !normal.n)
			diag_at(ld->d, DIAG_ERROR, at, NULL, "%s",
			    err.text[0] ? err.text : "expected an address");
		else
			v[i] = mailaddr_normalise(ld->a, items.v[i]);
	}
	if (items.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: the message would go nowhere");
	if (ld->d->errors == errors && outcome_take(src, OUTCOME_REDIRECT, n))
		src->rule.then.redirect = (struct spans){ v, items.n };
}

/* --- modifications -------------------------------------------------------------------------- */

/* RFC 5322, 2.2: any printable ASCII but the colon. */
static bool
header_name_fine(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || s.p[i] == ':')
			return false;
	return s.n > 0 && s.n <= 76;
}

static bool
header_is_structure(struct span s)
{
	return span_starts_nocase(s, SPAN_LIT("content-")) || span_is_nocase(s, "mime-version");
}

void
then_add_header(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const ours[] = { "received", "return-path", "dkim-signature", "bcc",
		"from", "date", "message-id", "to", "cc", "sender", NULL };
	struct rule_src *src = obj;
	struct header_add *v;
	size_t k = 0;

	if (!conf_want(ld->d, n, CONF_MAP, "{Name: text}"))
		return;
	v = arena_array(ld->a, n->count ? n->count : 1, sizeof(*v));
	if (n->count == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "expected {Name: text}");
	CONF_EACH (c, n) {
		struct span text;
		const char *bad = NULL;

		if (!header_name_fine(c->key)) {
			diag_key(ld->d, DIAG_ERROR, c, NULL, "`" SPAN_FMT "` is no header name",
			    SPAN_ARG(c->key));
			continue;
		}
		for (size_t i = 0; ours[i]; i++)
			if (span_is_nocase(c->key, ours[i]))
				bad = "the message's own fields cannot be added";
		if (span_is_nocase(c->key, "subject"))
			bad = "use `prefix_subject`";
		if (header_is_structure(c->key))
			bad = "it would change how the message is read";
		if (bad) {
			diag_key(ld->d, DIAG_ERROR, c, NULL, "`" SPAN_FMT "`: %s", SPAN_ARG(c->key), bad);
			continue;
		}
		if (!read_template(ld, c, &text))
			continue;
		if (text.n > HEADER_TEXT_MAX) {
			diag_at(ld->d, DIAG_ERROR, c, NULL, "a header holds %d bytes, this is %zu",
			    HEADER_TEXT_MAX, text.n);
			continue;
		}
		v[k++] = (struct header_add){ arena_span(ld->a, c->key), text };
	}
	src->rule.then.add = v;
	src->rule.then.nadd = k;
}

void
then_remove_header(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct spans items = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;

	if (!read_texts(ld, n, "a header name", &items))
		return;
	if (items.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "expected a header name");
	for (size_t i = 0; i < items.n; i++, at = at->next) {
		struct span s = items.v[i], stem = s;

		if (stem.n && stem.p[stem.n - 1] == '*')
			stem.n--;
		if (stem.n < 3 || !header_name_fine(stem) || span_find(stem, '*') < stem.n)
			diag_at(ld->d, DIAG_ERROR, at, "a `*` may stand at the end, after three letters",
			    "`" SPAN_FMT "` is no header name", SPAN_ARG(s));
		else if (header_is_structure(stem) || span_is_nocase(s, "from") ||
		    (stem.n < s.n && (span_starts_nocase(SPAN_LIT("content-"), stem) ||
		    span_starts_nocase(SPAN_LIT("mime-version"), stem) ||
		    span_starts_nocase(SPAN_LIT("from"), stem))))
			diag_at(ld->d, DIAG_ERROR, at, NULL,
			    "`" SPAN_FMT "`: it would change how the message is read", SPAN_ARG(s));
	}
	src->rule.then.remove = items;
}

void
then_prefix_subject(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct span s;

	if (!read_template(ld, n, &s))
		return;
	if (span_trim(s).n == 0 || s.n > 200)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "expected a text of 1 to 200 bytes");
	else
		src->rule.then.prefix = arena_span(ld->a, span_trim(s));
}

void
then_require_tls(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = { "opportunistic", "encrypted", "verified", "dane", NULL };
	struct rule_src *src = obj;
	int i;

	if (conf_enum(ld->d, n, names, &i))
		src->rule.then.require_tls = (enum require_tls)(i + TLS_OPPORTUNISTIC);
}

void
rule_then(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const alone[] = { "reject", "defer", "discard", "deliver", NULL };
	struct rule_src *src = obj;
	const char *usual[] = { "5.7.1", "4.7.1", "", "" };
	enum outcome o;
	int i;

	src->then = n;
	if (n->kind == CONF_SCALAR) {	/* `then: discard` */
		if (span_is(n->text, "hold") || span_is(n->text, "redirect")) {
			diag_at(ld->d, DIAG_ERROR, n,
			    span_is(n->text, "hold") ? "as in {hold: group:dpo}" : "as in {redirect: a@b}",
			    "`" SPAN_FMT "` needs to know for whom", SPAN_ARG(n->text));
		} else if (span_is(n->text, "quarantine")) {
			outcome_take(src, OUTCOME_QUARANTINE, n);
			src->rule.then.queue = SPAN_LIT("quarantine");
		} else if (conf_enum(ld->d, n, alone, &i)) {
			outcome_from_name(span_str(alone[i]), &o);
			outcome_take(src, o, n);
			src->rule.then.code = span_str(usual[i]);
		}
		return;
	}
	if (keys_read(ld, n, SECTION_THEN, src) && n->count == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "`then` says nothing");
}

/* --- rules -------------------------------------------------------------------------------------- */

static void
rule_read(struct load *ld, struct conf_node *n)
{
	struct rule_src *src = arena_zalloc(ld->tmp, sizeof(*src));
	struct rule *r = &src->rule;
	size_t errors = ld->d->errors;

	src->node = n;
	r->severity = SEVERITY_MEDIUM;
	r->mode = MODE_ENFORCE;
	r->file_atom = -1;
	r->from_pack = ld->pack.n > 0;
	if (r->from_pack) {
		struct conf_node *id = conf_get(n, "id");

		if (id && pendings_get(&ld->rules, id->text))
			return;
	}
	if (!keys_read(ld, n, SECTION_RULE, src))
		return;
	if (!conf_get(n, "id") && ld->d->errors == errors)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "a rule needs an `id`");
	if (!conf_get(n, "then") && ld->d->errors == errors)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "rule `" SPAN_FMT "` needs `then`", SPAN_ARG(r->id));
	if (r->mode == MODE_SHADOW && !conf_get(n, "review_by"))
		diag_at(ld->d, DIAG_ERROR, conf_get(n, "mode"), "as in review_by: 2027-03-01",
		    "a shadow rule needs `review_by`");
	if (r->review_by && ld->env->now >= r->review_by + DAY_US)
		diag_at(ld->d, DIAG_WARNING, conf_get(n, "review_by"), NULL,
		    "rule `" SPAN_FMT "` was to be reviewed by this date", SPAN_ARG(r->id));
	if (ld->d->errors == errors)
		actions_check(ld, src);
	r->judges_virus = src->asks_virus && r->then.outcome != OUTCOME_UNJUDGED;
	r->judges_suspect = src->asks_suspect && r->then.outcome != OUTCOME_UNJUDGED;
	r->judges_unscannable = src->asks_unscannable && r->then.outcome != OUTCOME_UNJUDGED;
	r->detectors = src->detectors;
	r->ndetectors = src->ndetectors;
	r->file = n->file ? arena_str(ld->a, span_str(n->file->name)) : "";
	r->line = n->line;
	if (r->id.n)
		pendings_add(ld, &ld->rules, "rule", r->id, conf_get(n, "id"), src);
}

void
rules_read(struct load *ld, struct conf_node *n, void *obj)
{
	if (conf_want(ld->d, n, CONF_LIST, "a list of rules"))
		CONF_EACH (c, n)
			rule_read(ld, c);
}

static int
rule_order(const void *a, const void *b)
{
	const struct rule_src *const *x = a, *const *y = b;
	struct span s = (*x)->rule.id, t = (*y)->rule.id;
	size_t n = s.n < t.n ? s.n : t.n;
	int r = n ? memcmp(s.p, t.p, n) : 0;

	return r ? r : (s.n > t.n) - (s.n < t.n);
}

void
rules_finish(struct load *ld)
{
	struct policy *p = ld->p;
	struct rule_src **order = arena_array(ld->tmp, ld->rules.n + 1, sizeof(*order));
	size_t n = 0;

	p->exceptions = arena_array(ld->a, ld->exceptions.n + 1, sizeof(*p->exceptions));
	for (struct pending *q = ld->exceptions.first; q; q = q->next) {
		struct exception_src *x = q->value;

		exception_resolve(ld, x, (uint32_t)p->nexceptions);
		p->exceptions[p->nexceptions++] = x->ex;
	}
	for (struct pending *q = ld->rules.first; q; q = q->next)
		order[n++] = q->value;
	if (n)
		qsort(order, n, sizeof(*order), rule_order);
	p->rules = arena_array(ld->a, n + 1, sizeof(*p->rules));
	for (size_t i = 0; i < n; i++) {
		order[i]->rule.exceptions = order[i]->exceptions;
		order[i]->rule.nexceptions = order[i]->nexceptions;
		p->rules[i] = order[i]->rule;
	}
	p->nrules = n;
	if (!ld->d->errors)
		signals_build(ld);
}
