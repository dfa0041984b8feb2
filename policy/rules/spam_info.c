/* spam_info.c -- what people want to know of the section `spam`: its classes, and the profile of a domain.
 *
 * Which rules are made of it is load_spam.c's; policy_spam_for() says the same of a domain as their sets
 * of recipients do (lists.c): the domain, then the longest of .domains, then all others.
 */
#include "load.h"

static struct span
tests_text(const struct spam_test *v, size_t n, struct arena *a)
{
	struct span text;
	struct buf b;

	buf_init(&b, 64 << 10);
	for (size_t i = 0; i < n; i++) {
		buf_puts(&b, i ? ", " : "");
		if (v[i].symbol.n)
			buf_printf(&b, "symbol " SPAN_FMT, SPAN_ARG(v[i].symbol));
		else
			buf_printf(&b, "%s %.6g", v[i].above ? ">" : ">=", v[i].score);
	}
	text = arena_span(a, buf_data(&b));
	buf_release(&b);
	return text;
}

static const struct policy_spam_profile *
profile_copy(const struct policy_spam_profile *from, struct arena *a)
{
	struct policy_spam_profile *p = arena_alloc(a, sizeof(*p));

	*p = *from;		/* names of actions are constants */
	p->name = arena_span(a, from->name);
	return p;
}

bool
policy_spam_info(const struct policy *p, struct arena *a, struct policy_spam *out)
{
	const struct spam_policy *s = &p->spam;
	struct policy_spam_domain *v;

	if (s->others == NULL)
		return false;
	v = arena_array(a, s->ndomains + 1, sizeof(*v));
	*out = (struct policy_spam){ .source = spam_sources[s->source - SPAM_SOURCE_BUILT_IN],
		.nchecks = s->nchecks, .others = profile_copy(s->others, a), .domains = v,
		.ndomains = s->ndomains, .file = arena_str(a, span_str(s->file)), .line = s->line };
	for (int i = 0; i < POLICY_SPAM_CLASSES; i++) {
		out->classes[i] = spam_decided[i];
		out->tests[i] = tests_text(s->classes[spam_decided_class[i]].v,
		    s->classes[spam_decided_class[i]].n, a);
	}
	for (size_t i = 0; i < s->ndomains; i++)
		v[i] = (struct policy_spam_domain){ arena_span(a, s->domains[i].pattern),
			profile_copy(s->domains[i].profile, a) };
	return true;
}

const struct policy_spam_profile *
policy_spam_for(const struct policy_spam *s, struct span domain, struct span *by)
{
	const struct policy_spam_profile *found = s->others;

	*by = (struct span){ 0 };
	for (size_t i = 0; i < s->ndomains; i++) {
		struct span x = s->domains[i].pattern;
		bool below = x.n && x.p[0] == '.' && domain.n > x.n &&
		    span_eq_nocase(span_from(domain, domain.n - x.n), x);

		if (!span_eq_nocase(x, domain) && !below)
			continue;
		if (below && by->n >= x.n)
			continue;
		found = s->domains[i].profile;
		*by = x;
		if (!below)
			break;
	}
	return found;
}
