/* spf_eval.c -- check_host() of RFC 7208 as a machine that stops where an answer is missing.
 *
 * Every step may be repeated: a term asks the book for what it needs, and when
 * something is missing it returns WAIT and is judged again from its beginning
 * later. What must happen once (charging the limits, asking ahead) is
 * remembered in the frame. An include pushes a frame, a redirect replaces one;
 * each costs one of ten terms, so there are never more frames than that.
 *
 * When a term must wait, the questions that later terms of the record will
 * surely ask are asked too. The order in which terms decide does not change,
 * and what was asked for nothing is not charged.
 */
#include <stdlib.h>

#include "addr.h"
#include "postern/err.h"
#include "verifier/spf_eval.h"

enum outcome {
	NO_MATCH,
	MATCH,
	WAIT,		/* for an answer */
	TURNED,		/* a frame was pushed or replaced, or the whole is finished */
};

static const struct span none = { "", 0 };

struct span
spf_reverse_name(struct arena *a, struct ip ip)
{
	static const char hex[] = "0123456789abcdef";
	char out[64];
	size_t n = 0;

	if (ip.family == 4)
		return span_str(arena_printf(a, "%u.%u.%u.%u.in-addr.arpa", ip.b[3], ip.b[2], ip.b[1],
		    ip.b[0]));
	for (size_t i = 16; i-- > 0;) {
		out[n++] = hex[ip.b[i] & 15];
		out[n++] = '.';
		out[n++] = hex[ip.b[i] >> 4];
		out[n++] = '.';
	}
	return span_str(arena_printf(a, "%.*sip6.arpa", (int)n, out));
}

static struct spf_frame *
top(struct spf_eval *e)
{
	return &e->frames[e->depth];
}

static struct span
current_term(const struct spf_frame *f)
{
	return f->fetched && f->at < f->record.n ? f->record.terms[f->at].text : none;
}

/* The record that decided, and an explanation for a fail, are those of the outermost frame (6.2). */
void
spf_eval_finish(struct spf_eval *e, enum auth_result r, struct span problem)
{
	struct spf_result *out = e->result;

	if (e->phase == SPF_FINISHED)
		return;
	if (e->phase == SPF_EXPLAINING) {
		e->phase = SPF_FINISHED;	/* the result stands; there is no explanation */
		return;
	}
	out->result = r;
	out->problem = problem;
	out->record = e->frames[0].fetched ? e->frames[0].text : none;
	out->record_domain = e->frames[0].domain;
	if (r == AUTH_TEMPERROR || r == AUTH_PERMERROR || r == AUTH_NONE) {
		for (size_t i = 0; i <= e->depth; i++)
			e->path[i] = (struct spf_match){ e->frames[i].domain, current_term(&e->frames[i]) };
		e->npath = e->depth + 1;
	}
	out->path = e->path;
	out->npath = e->npath;
	e->phase = r == AUTH_FAIL && e->explain && e->frames[0].record.exp.p ? SPF_EXPLAINING :
	    SPF_FINISHED;
}

static enum outcome
fail(struct spf_eval *e, enum auth_result r, const char *what)
{
	struct spf_frame *f = top(e);
	struct span t = current_term(f);

	spf_eval_finish(e, r, span_str(t.n ? arena_printf(e->a, SPAN_FMT ": `" SPAN_FMT "`: %s",
	    SPAN_ARG(f->domain), SPAN_ARG(span_sub(t, 0, 100)), what) :
	    arena_printf(e->a, SPAN_FMT ": %s", SPAN_ARG(f->domain), what)));
	return TURNED;
}

static enum outcome
dns_failed(struct spf_eval *e, struct span name, const struct dns_reply *r)
{
	return fail(e, AUTH_TEMPERROR, arena_printf(e->a, SPAN_FMT ": %s", SPAN_ARG(name),
	    dns_status_text(r->status)));
}

/* One more term that asks the DNS. false: one too many, and all is finished. */
static bool
charge(struct spf_eval *e)
{
	if (e->result->terms < SPF_TERMS_MAX) {
		e->result->terms++;
		return true;
	}
	fail(e, AUTH_PERMERROR, "more than 10 terms that ask the DNS (RFC 7208, 4.6.4)");
	return false;
}

/* The term was answered by nothing. It is charged once, however many hosts an mx has. */
static enum outcome
charge_void(struct spf_eval *e)
{
	struct spf_frame *f = top(e);

	if (!f->voided) {
		f->voided = true;
		if (e->result->voids == SPF_VOID_MAX)
			return fail(e, AUTH_PERMERROR,
			    "more than 2 terms that nothing in the DNS answers (RFC 7208, 4.6.4)");
		e->result->voids++;
	}
	return NO_MATCH;
}

static bool
same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool
covers(const struct spf_eval *e, struct ip net, const struct spf_term *t)
{
	return net.family == e->names.ip.family &&
	    same_bits(net.b, e->names.ip.b, net.family == 4 ? t->bits4 : t->bits6);
}

static uint16_t
address_type(const struct spf_eval *e)
{
	return e->names.ip.family == 4 ? DNS_A : DNS_AAAA;
}

/* Does the name lead back to the client (5.5)? */
static enum outcome
validates(struct spf_eval *e, struct span name)
{
	const struct dns_reply *r;

	if (!dns_question_ok(name))
		return NO_MATCH;
	if ((r = dns_book_ask(e->book, name, address_type(e))) == NULL)
		return WAIT;
	for (size_t i = 0; i < r->n; i++)
		if (ip_eq(r->items[i].ip, e->names.ip))
			return MATCH;
	return NO_MATCH;
}

static bool
is_below(struct span name, struct span domain)
{
	return name.n > domain.n + 1 && name.p[name.n - domain.n - 1] == '.' &&
	    span_ends_nocase(name, domain);
}

/* %{p}: the validated name of the client, of the current domain if there is one, else below it,
 * else any (7.3). All forward questions leave at once. */
static enum outcome
validated_name(struct spf_eval *e, struct span domain, struct span *out)
{
	const struct dns_reply *r = dns_book_ask(e->book, spf_reverse_name(e->a, e->names.ip), DNS_PTR);
	unsigned best = 0;
	bool waiting = false;

	*out = SPAN_LIT("unknown");
	if (r == NULL)
		return WAIT;
	for (size_t i = 0; i < r->n && i < SPF_NAMES_MAX; i++) {
		struct span name = r->items[i].text;
		enum outcome v = validates(e, name);
		unsigned rank = span_eq_nocase(name, domain) ? 3 : is_below(name, domain) ? 2 : 1;

		waiting |= v == WAIT;
		if (v == MATCH && rank > best) {
			best = rank;
			*out = name;
		}
	}
	return waiting && best < 3 ? WAIT : MATCH;
}

/* Macros filled in. MATCH: *out is there. TURNED: too long, or too many terms. */
static enum outcome
expand(struct spf_eval *e, struct span spec, struct span *out)
{
	struct spf_names names = e->names;

	names.domain = top(e)->domain;
	if (spf_macro_needs_name(spec)) {
		if (!e->name_counted) {
			/* its PTR question is among the ten (4.6.4); an explanation comes after them */
			if (e->phase == SPF_CHECKING && !charge(e))
				return TURNED;
			e->name_counted = true;
		}
		if (validated_name(e, names.domain, &names.validated) == WAIT)
			return WAIT;
	}
	if (!spf_macro_expand(e->a, spec, &names, out))
		return fail(e, AUTH_PERMERROR, "macros make more than 4096 bytes of it");
	return MATCH;
}

static enum outcome
target_name(struct spf_eval *e, struct span spec, struct span *out)
{
	enum outcome r = MATCH;

	if (spec.p == NULL) {
		*out = top(e)->domain;
		return MATCH;
	}
	if ((r = expand(e, spec, out)) == MATCH)
		*out = spf_macro_domain(*out);
	return r;
}

/* ---- mechanisms ---- */

static enum outcome
judge_a(struct spf_eval *e, const struct spf_term *t, struct span name)
{
	const struct dns_reply *r;

	if (!dns_question_ok(name))
		return NO_MATCH;
	if ((r = dns_book_ask(e->book, name, t->kind == SPF_EXISTS ? DNS_A : address_type(e))) == NULL)
		return WAIT;
	if (dns_reply_failed(r))
		return dns_failed(e, name, r);
	if (r->n == 0)
		return charge_void(e);
	if (t->kind == SPF_EXISTS)
		return MATCH;
	for (size_t i = 0; i < r->n; i++)
		if (covers(e, r->items[i].ip, t))
			return MATCH;
	return r->more ? fail(e, AUTH_PERMERROR, "more addresses than are read") : NO_MATCH;
}

/* One host of an mx. */
static enum outcome
judge_host(struct spf_eval *e, const struct spf_term *t, struct span host,
    const struct dns_reply **failed, bool *answered)
{
	const struct dns_reply *r;

	if (!dns_question_ok(host))
		return NO_MATCH;
	if ((r = dns_book_ask(e->book, host, address_type(e))) == NULL)
		return WAIT;
	if (dns_reply_failed(r))
		*failed = r;
	*answered |= r->n > 0;
	for (size_t i = 0; i < r->n; i++)
		if (covers(e, r->items[i].ip, t))
			return MATCH;
	return NO_MATCH;
}

/* The hosts are asked for together. They have no order (5.4), so one that matches decides though
 * another could not be asked. */
static enum outcome
judge_mx(struct spf_eval *e, const struct spf_term *t, struct span name)
{
	const struct dns_reply *r, *failed = NULL;
	bool waiting = false, answered = false;

	if (!dns_question_ok(name))
		return NO_MATCH;
	if ((r = dns_book_ask(e->book, name, DNS_MX)) == NULL)
		return WAIT;
	if (dns_reply_failed(r))
		return dns_failed(e, name, r);
	if (r->n == 0)
		return charge_void(e);
	if (r->n > SPF_NAMES_MAX)
		return fail(e, AUTH_PERMERROR, "more than 10 mail servers (RFC 7208, 4.6.4)");
	for (size_t i = 0; i < r->n; i++) {
		enum outcome o = judge_host(e, t, r->items[i].text, &failed, &answered);

		if (o == MATCH)
			return MATCH;
		waiting |= o == WAIT;
	}
	if (waiting)
		return WAIT;
	if (failed)
		return dns_failed(e, name, failed);
	return answered ? NO_MATCH : charge_void(e);
}

/* Errors are no match here (5.5); only names that could match are led back. */
static enum outcome
judge_ptr(struct spf_eval *e, struct span name)
{
	const struct dns_reply *r = dns_book_ask(e->book, spf_reverse_name(e->a, e->names.ip), DNS_PTR);
	bool waiting = false;

	if (r == NULL)
		return WAIT;
	if (r->n == 0)
		return dns_reply_failed(r) ? NO_MATCH : charge_void(e);
	for (size_t i = 0; i < r->n && i < SPF_NAMES_MAX; i++) {
		struct span host = r->items[i].text;
		enum outcome o;

		if (!span_eq_nocase(host, name) && !is_below(host, name))
			continue;
		if ((o = validates(e, host)) == MATCH)
			return MATCH;
		waiting |= o == WAIT;
	}
	return waiting ? WAIT : NO_MATCH;
}

static enum outcome
push(struct spf_eval *e, struct span domain)
{
	ASSERT(e->depth < SPF_DEPTH_MAX);
	e->depth++;
	*top(e) = (struct spf_frame){ .domain = domain };
	return TURNED;
}

static enum outcome
judge(struct spf_eval *e, const struct spf_term *t)
{
	struct spf_frame *f = top(e);
	struct span name;
	enum outcome o;

	if (t->kind == SPF_ALL)
		return MATCH;
	if (!spf_term_asks(t))
		return covers(e, t->net, t) ? MATCH : NO_MATCH;
	if (!f->counted && !charge(e))
		return TURNED;
	f->counted = true;
	if ((o = target_name(e, t->spec, &name)) != MATCH)
		return o;
	switch (t->kind) {
	case SPF_INCLUDE:
		return push(e, name);
	case SPF_MX:
		return judge_mx(e, t, name);
	case SPF_PTR:
		return judge_ptr(e, name);
	default:
		return judge_a(e, t, name);
	}
}

/* ---- records ---- */

/* Asks what later terms of a record will ask, as far as the limit can let them. */
static void
ask_ahead_of(struct spf_eval *e, struct spf_frame *f)
{
	size_t left = SPF_TERMS_MAX - e->result->terms;

	if (!f->fetched || f->ahead)
		return;
	f->ahead = true;
	for (size_t i = f->at + 1; i < f->record.n && left > 0; i++) {
		const struct spf_term *t = &f->record.terms[i];
		struct span name = t->spec.p ? spf_macro_domain(t->spec) : f->domain;

		if (t->kind == SPF_ALL)
			return;
		if (!spf_term_asks(t))
			continue;
		left--;
		/* names made of macros, and those of exists, may be meant to be asked only when it counts */
		if (span_find(name, '%') < name.n || t->kind == SPF_EXISTS || t->kind == SPF_PTR)
			continue;
		(void)dns_book_ask(e->book, name, t->kind == SPF_INCLUDE ? DNS_TXT :
		    t->kind == SPF_MX ? DNS_MX : address_type(e));
	}
	if (left > 0 && f->record.redirect.p && !f->record.all &&
	    span_find(f->record.redirect, '%') == f->record.redirect.n)
		(void)dns_book_ask(e->book, spf_macro_domain(f->record.redirect), DNS_TXT);
}

static void
ask_ahead(struct spf_eval *e)
{
	for (size_t i = 0; i <= e->depth && !e->serial; i++)
		ask_ahead_of(e, &e->frames[i]);
}

/* Several labels, each of 1 to 63 bytes (4.3). */
static bool
domain_ok(struct span d)
{
	return dns_question_ok(d) && span_find(d, '.') < d.n;
}

static enum outcome decide(struct spf_eval *e, enum auth_result r, const char *why);

static enum outcome
fetch(struct spf_eval *e)
{
	struct spf_frame *f = top(e);
	const struct dns_reply *r;
	struct span problem, found = { 0 };

	if (!domain_ok(f->domain))
		return decide(e, AUTH_NONE, "not a name that could have a record");
	if ((r = dns_book_ask(e->book, f->domain, DNS_TXT)) == NULL)
		return WAIT;
	if (dns_reply_failed(r))
		return fail(e, AUTH_TEMPERROR, dns_status_text(r->status));
	for (size_t i = 0; i < r->n; i++) {
		if (!spf_record_is(r->items[i].text))
			continue;
		if (found.p)
			return fail(e, AUTH_PERMERROR, "several SPF records (RFC 7208, 4.5)");
		found = r->items[i].text;
	}
	if (r->more)
		return fail(e, AUTH_PERMERROR, "more TXT records than are read");
	if (found.p == NULL)
		return decide(e, AUTH_NONE, r->status == DNS_NXDOMAIN ? "there is no such domain" :
		    "no SPF record");
	if (found.n > SPF_RECORD_MAX)
		return fail(e, AUTH_PERMERROR, "an SPF record of more than 8000 bytes");
	if (!spf_record_parse(e->a, found, &f->record, &problem))
		return fail(e, AUTH_PERMERROR, arena_str(e->a, problem));
	f->text = found;
	f->fetched = true;
	return TURNED;
}

static void
next_term(struct spf_frame *f)
{
	f->at++;
	f->counted = f->voided = false;
}

/* Term `at` of the frame at work has decided, with what was decided further in. */
static enum outcome
matched(struct spf_eval *e)
{
	struct spf_frame *f = top(e);
	const struct spf_term *t = &f->record.terms[f->at];

	e->path[e->depth] = (struct spf_match){ f->domain, t->text };
	if (t->kind != SPF_INCLUDE)
		e->npath = e->depth + 1;
	return decide(e, t->result, NULL);
}

/* The check_host() at work has its result: for an include that of its parent's term (5.2). */
static enum outcome
decide(struct spf_eval *e, enum auth_result r, const char *why)
{
	if (e->depth == 0 && !(r == AUTH_NONE && top(e)->redirected)) {
		if (why)
			return fail(e, r, why);
		spf_eval_finish(e, r, none);
		return TURNED;
	}
	if (r == AUTH_NONE)	/* 5.2, 6.1 */
		return fail(e, AUTH_PERMERROR, arena_printf(e->a, "%s, though another record refers to it", why));
	e->depth--;
	if (r == AUTH_PASS)
		return matched(e);
	next_term(top(e));
	return TURNED;
}

static enum outcome
end_of_record(struct spf_eval *e)
{
	struct spf_frame *f = top(e);
	struct span name;
	enum outcome o;

	if (f->record.redirect.p == NULL || f->record.all) {
		e->path[e->depth] = (struct spf_match){ f->domain, none };
		e->npath = e->depth + 1;
		return decide(e, AUTH_NEUTRAL, NULL);		/* 4.7 */
	}
	if (!f->counted && !charge(e))
		return TURNED;
	f->counted = true;
	if ((o = target_name(e, f->record.redirect, &name)) != MATCH)
		return o;
	*f = (struct spf_frame){ .domain = name, .redirected = true };
	return TURNED;
}

static enum outcome
check(struct spf_eval *e)
{
	struct spf_frame *f = top(e);
	enum outcome o;

	o = !f->fetched ? fetch(e) :
	    f->at < f->record.n ? judge(e, &f->record.terms[f->at]) : end_of_record(e);
	if (o == MATCH)
		return matched(e);
	if (o == NO_MATCH)
		next_term(f);
	if (o == WAIT)
		ask_ahead(e);
	return o;
}

/* What the domain has to say to a client that failed (6.2). Whatever is wrong: it says nothing. */
static enum outcome
explain(struct spf_eval *e)
{
	const struct dns_reply *r;
	struct span text;
	enum outcome o;

	e->depth = 0;
	if ((o = target_name(e, e->frames[0].record.exp, &text)) != MATCH)
		return o;
	if (!dns_question_ok(text))
		return NO_MATCH;
	if ((r = dns_book_ask(e->book, text, DNS_TXT)) == NULL)
		return WAIT;
	if (r->n != 1 || r->more || r->items[0].text.n > SPF_EXPANSION_MAX ||
	    !spf_macro_text_ok(r->items[0].text))
		return NO_MATCH;
	if ((o = expand(e, r->items[0].text, &text)) != MATCH)
		return o;
	if (text.n > SPF_EXPLANATION_MAX)
		return NO_MATCH;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < ' ' || text.p[i] > '~')
			return NO_MATCH;
	e->result->explanation = text;
	return NO_MATCH;
}

void
spf_eval_begin(struct spf_eval *e, struct span domain)
{
	e->frames[0] = (struct spf_frame){ .domain = domain };
	e->phase = SPF_CHECKING;
}

bool
spf_eval_step(struct spf_eval *e)
{
	while (e->phase == SPF_CHECKING)
		if (check(e) == WAIT)
			return false;
	if (e->phase == SPF_EXPLAINING) {
		if (explain(e) == WAIT)
			return false;
		e->phase = SPF_FINISHED;
	}
	return true;
}
