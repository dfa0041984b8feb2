/* facts.c -- conditions on the moment and on what others found out: SPF, DKIM,
 * DMARC, blocklists, spam filter, reputation.
 *
 * What is not known proves nothing: such a condition does not hold, with
 * `not` as without. So a rule of inbound facts is silent on outbound mail, and
 * while the filter behind a fact is down; near misses say so.
 */
#include <stdio.h>

#include "rules.h"

#define DAY_SECONDS 86400

static const char *const results[] = { [AUTH_UNKNOWN] = NULL, [AUTH_NONE] = "none",
	[AUTH_PASS] = "pass", [AUTH_FAIL] = "fail", [AUTH_SOFTFAIL] = "softfail",
	[AUTH_NEUTRAL] = "neutral", [AUTH_TEMPERROR] = "temperror",
	[AUTH_PERMERROR] = "permerror", [AUTH_POLICY] = "policy" };

const char *const dmarc_asks_names[] = { "none", "quarantine", "reject", NULL };
const char *const spam_class_names[] = { "unknown", "ham", "marketing", "suspected", "spam", NULL };

const char *
auth_result_name(enum auth_result r)
{
	return (size_t)r < sizeof(results) / sizeof(results[0]) ? results[r] : NULL;
}

/* --- schedules --------------------------------------------------------------------------- */

static bool
begins_on(const struct schedule *s, const struct hours *h, int64_t day, unsigned weekday)
{
	if (!(h->days >> weekday & 1))
		return false;
	for (size_t i = 0; i < s->nholidays; i++)
		if (s->holidays[i] == day)
			return false;
	return true;
}

bool
schedule_has(const struct schedule *s, int64_t now_us)
{
	int64_t at = now_us / 1000000 - (now_us % 1000000 < 0);
	struct local_time l = zone_local(s->zone, at);

	for (size_t i = 0; i < s->nhours; i++) {
		const struct hours *h = &s->hours[i];
		bool over = h->to <= h->from;	/* ends on the day after */

		if (l.second >= h->from && (over || l.second < h->to) &&
		    begins_on(s, h, l.day, l.weekday))
			return true;
		if (over && l.second < h->to && begins_on(s, h, l.day - 1, (l.weekday + 6) % 7))
			return true;
	}
	return false;
}

/* --- spam ----------------------------------------------------------------------------------- */

static bool
has_symbol(const struct facts *f, struct span name)
{
	for (size_t i = 0; i < f->nspam_symbols; i++)
		if (span_eq_nocase(f->spam_symbols[i], name))
			return true;
	return false;
}

static bool
spam_test(const struct spam_test *t, const struct facts *f)
{
	return t->symbol.n ? has_symbol(f, t->symbol) : t->above ? f->spam_score > t->score :
	    f->spam_score >= t->score;
}

enum spam_class
spam_class_of(const struct policy *p, const struct facts *f)
{
	if (!f->spam_known)
		return SPAM_UNKNOWN;
	for (int c = SPAM_HAM; c < SPAM_CLASSES; c++)
		if (span_is(f->spam_class, spam_class_names[c]))
			return (enum spam_class)c;
	for (int c = SPAM_SPAM; c > SPAM_HAM; c--)
		for (size_t i = 0; i < p->spam.classes[c].n; i++)
			if (spam_test(&p->spam.classes[c].v[i], f))
				return (enum spam_class)c;
	return SPAM_HAM;
}

const char *
policy_spam_class(const struct policy *p, const struct facts *f)
{
	enum spam_class c = spam_class_of(p, f);

	return c == SPAM_UNKNOWN ? NULL : spam_class_names[c];
}

enum spam_source
policy_spam_source(const struct policy *p)
{
	return p->spam.source;
}

static const char *const bounce_fact_names[BOUNCE_FACTS] = { [BOUNCE_VALID] = "valid",
	[BOUNCE_EXPIRED] = "expired", [BOUNCE_FORGED] = "forged", [BOUNCE_UNTAGGED] = "untagged",
	[BOUNCE_GRACE] = "grace" };

const char *
bounce_fact_name(enum bounce_fact b)
{
	return bounce_fact_names[b];
}

/* --- asking ----------------------------------------------------------------------------------- */

static enum auth_result
auth_of(const struct atom *a, const struct facts *f)
{
	switch (a->auth.fact) {
	case AUTH_FACT_SPF:
		return f->spf;
	case AUTH_FACT_DKIM:
		return f->dkim;
	case AUTH_FACT_DMARC:
	case AUTH_FACT_ASKS:
		return f->dmarc;
	case AUTH_FACT_ARC:
		return f->arc;
	case AUTH_FACT_BOUNCE:
		break;
	}
	return AUTH_UNKNOWN;
}

bool
fact_known(const struct atom *a, const struct facts *f)
{
	switch (a->kind) {
	case ATOM_AUTH:
		return a->auth.fact == AUTH_FACT_BOUNCE ? f->bounce != BOUNCE_UNKNOWN :
		    auth_of(a, f) != AUTH_UNKNOWN;
	case ATOM_DNSBL:
		return f->dnsbl_known;
	case ATOM_SPAM:
		return f->spam_known;
	case ATOM_REPUTATION:
		return f->reputation_known;
	case ATOM_BAYES:
		return f->bayes_known;
	case ATOM_EXPERIENCE:
		return f->experience_known;
	default:
		return true;
	}
}

static bool
listed(const struct spans *names, const struct facts *f)
{
	if (names->n == 0)
		return f->ndnsbl > 0;
	for (size_t i = 0; i < names->n; i++)
		for (size_t k = 0; k < f->ndnsbl; k++)
			if (span_eq_nocase(names->v[i], f->dnsbl[k]))
				return true;
	return false;
}

static bool
in_range(const struct range *r, uint64_t v)
{
	return (!r->has_over || v > r->over) && (!r->has_under || v < r->under);
}

bool
fact_ask(const struct eval *e, const struct atom *a)
{
	const struct facts *f = e->facts;

	if (!fact_known(a, f))
		return a->negate;	/* does not hold either way */
	switch (a->kind) {
	case ATOM_SCHEDULE:
		for (size_t i = 0; i < a->schedules.n; i++)
			if (schedule_has(a->schedules.v[i], f->now))
				return true;
		return false;
	case ATOM_AUTH:
		return a->auth.results >> (a->auth.fact == AUTH_FACT_ASKS ? (int)f->dmarc_asks :
		    a->auth.fact == AUTH_FACT_BOUNCE ? (int)f->bounce : (int)auth_of(a, f)) & 1;
	case ATOM_DNSBL:
		return listed(&a->names, f);
	case ATOM_SPAM:
		if (a->spam.classes >> spam_class_of(e->p, f) & 1)
			return true;
		for (size_t i = 0; i < a->spam.symbols.n; i++)
			if (has_symbol(f, a->spam.symbols.v[i]))
				return true;
		return false;
	case ATOM_REPUTATION:
		return in_range(&a->reputation, f->reputation);
	case ATOM_BAYES:
		return in_range(&a->reputation, f->bayes);
	case ATOM_EXPERIENCE:
		return in_range(&a->reputation, f->experience);
	default:
		ASSERT(!"a condition on facts");
		return false;
	}
}

/* --- why not ------------------------------------------------------------------------------------ */

static struct span
schedule_why(struct eval *e, const struct atom *a)
{
	static const char *const days[] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
		"Saturday", "Sunday" };
	const struct schedule *s = a->schedules.v[0];
	struct local_time l = zone_local(s->zone, e->facts->now / 1000000);

	return span_str(arena_printf(e->arena, "schedule: %s %02u:%02u is %s " SPAN_FMT,
	    days[l.weekday], l.second / 3600, l.second / 60 % 60, a->negate ? "in" : "outside",
	    SPAN_ARG(s->name)));
}

struct span
fact_why(struct eval *e, const struct atom *a)
{
	const struct facts *f = e->facts;

	if (!fact_known(a, f))
		return span_str(arena_printf(e->arena, SPAN_FMT ": not known: %s", SPAN_ARG(a->key),
		    e->env->direction == DIRECTION_OUTBOUND ? "only inbound mail is asked for it" :
		    a->kind == ATOM_BAYES ? "the classifier has not learnt enough" :
		    "nothing has checked it"));
	switch (a->kind) {
	case ATOM_SCHEDULE:
		return schedule_why(e, a);
	case ATOM_AUTH:
		return span_str(arena_printf(e->arena, SPAN_FMT ": it is %s", SPAN_ARG(a->key),
		    a->auth.fact == AUTH_FACT_ASKS ? dmarc_asks_names[f->dmarc_asks] :
		    a->auth.fact == AUTH_FACT_BOUNCE ? bounce_fact_names[f->bounce] :
		    auth_result_name(auth_of(a, f))));
	case ATOM_DNSBL:
		return span_str(arena_printf(e->arena, "dnsbl: the client is on %zu list%s%s", f->ndnsbl,
		    f->ndnsbl == 1 ? "" : "s", a->names.n && !a->negate && f->ndnsbl ? ", not this" : ""));
	case ATOM_SPAM:
		return span_str(arena_printf(e->arena, "spam: it is %s (score %.1f)",
		    spam_class_names[spam_class_of(e->p, f)], f->spam_score));
	default:
		return span_str(arena_printf(e->arena, SPAN_FMT ": %u", SPAN_ARG(a->key),
		    a->kind == ATOM_BAYES ? f->bayes : a->kind == ATOM_EXPERIENCE ? f->experience :
		    f->reputation));
	}
}
