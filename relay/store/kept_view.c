/* kept_view.c -- see kept_view.h. */
#include "store/kept_view.h"

static const struct right {
	const char *name;
	unsigned roles;
	bool domain, own;
} rights[] = {
#define X(name, text, roles, domain, own) [KEPT_MAY_##name] = { text, roles, domain, own },
	KEPT_RIGHTS(X)
#undef X
};

const char *
kept_right_name(enum kept_right r)
{
	return rights[r].name;
}

static struct span
domain_part(struct span address)
{
	size_t at = address.n;

	while (at && address.p[at - 1] != '@')
		at--;
	return at ? span_from(address, at) : (struct span){ 0 };
}

/* As one of its roles alone sees it. */
static bool
role_sees(const struct principal *p, enum principal_role role, struct span address)
{
	struct principal one = *p;

	one.local = false;
	one.roles &= 1u << role;
	return address.n && (role == PRINCIPAL_DOMAIN_ADMIN ?
	    principal_sees_domain(&one, domain_part(address)) : principal_sees(&one, address));
}

size_t
kept_reach(const struct principal *p, const struct kept *k, enum kept_right r, bool *mine)
{
	const struct right *w = &rights[r];
	bool all = principal_is(p, w->roles), own;
	size_t n = 0;

	if (!all && w->domain)
		all = role_sees(p, PRINCIPAL_DOMAIN_ADMIN, k->env.sender);
	own = w->own && k->kind == OUTCOME_QUARANTINE && k->env.direction == DIRECTION_INBOUND;
	for (size_t i = 0; i < k->env.nrecipients; i++) {
		struct span to = k->env.recipients[i].address;
		bool yes = all || (w->domain && role_sees(p, PRINCIPAL_DOMAIN_ADMIN, to)) ||
		    (own && role_sees(p, PRINCIPAL_USER, to));

		if (mine)
			mine[i] = yes;
		n += yes;
	}
	return n;
}

bool
kept_own_release(const struct config *c, const struct kept *k)
{
	if (k->kind != OUTCOME_QUARANTINE || k->virus.n || span_is(k->class, "virus"))
		return false;
	for (size_t i = 0; i < c->quarantine.nusers_release; i++)
		if (span_eq(c->quarantine.users_release[i], k->queue))
			return true;
	return false;
}
