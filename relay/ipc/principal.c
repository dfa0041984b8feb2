/* principal.c -- on whose behalf a request is made; see principal.h. */
#include <errno.h>
#include <stdio.h>

#include "ipc/principal.h"

static const char *const names[] = {
#define X(name, text) [PRINCIPAL_##name] = text,
	PRINCIPAL_ROLES(X)
#undef X
};

const char *
principal_role_name(enum principal_role r)
{
	return names[r];
}

enum principal_role
principal_role_parse(struct span name)
{
	int i = 0;

	while (i < PRINCIPAL_ROLE_COUNT && !span_is(name, names[i]))
		i++;
	return i;
}

/* The array `key` of texts, none of them empty. */
static int
texts_read(const struct jval *as, const char *key, struct arena *a, struct span **out, size_t *n,
    struct err *err)
{
	const struct jval *v = jval_get(as, key);

	*n = jval_count(v);
	if (*n > PRINCIPAL_NAMES_MAX)
		return err_set(err, EINVAL, "as.%s: more than %d", key, PRINCIPAL_NAMES_MAX);
	*out = arena_alloc(a, (*n + 1) * sizeof(**out));
	for (size_t i = 0; i < *n; i++) {
		(*out)[i] = jval_str(jval_at(v, i));
		if ((*out)[i].n == 0)
			return err_set(err, EINVAL, "as.%s: a text is missing", key);
	}
	return 0;
}

int
principal_read(const struct jval *request, uint32_t uid, struct arena *a, struct principal *p,
    struct err *err)
{
	const struct jval *as = jval_get(request, "as"), *roles = jval_get(as, "roles");

	*p = (struct principal){ .local = uid != UID_CONSOLE };
	if (p->local)		/* a text is a command's own: held.approve's address */
		return !jval_is_object(as) ? 0 : err_set(err, EPERM, "as: the console alone may speak for others");
	p->name = jval_text(as, "name");
	if (!jval_is_object(as) || p->name.n == 0)
		return err_set(err, EINVAL, "as: no name");
	for (size_t i = 0; i < jval_count(roles); i++) {
		enum principal_role r = principal_role_parse(jval_str(jval_at(roles, i)));

		if (r == PRINCIPAL_ROLE_COUNT)
			return err_set(err, EINVAL, "as.roles: no such role");
		p->roles |= 1u << r;
	}
	if (texts_read(as, "addresses", a, &p->addresses, &p->naddresses, err) == -1)
		return -1;
	return texts_read(as, "domains", a, &p->domains, &p->ndomains, err);
}

bool
principal_is(const struct principal *p, unsigned roles)
{
	return p->local || (p->roles & (roles | PRINCIPAL_BIT(ADMIN))) != 0;
}

bool
principal_sees_all(const struct principal *p)
{
	return principal_is(p, PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(REVIEWER) | PRINCIPAL_BIT(EDITOR) |
	    PRINCIPAL_BIT(AUDITOR));
}

static bool
among(const struct span *texts, size_t n, struct span s)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(texts[i], s))
			return true;
	return false;
}

bool
principal_sees_domain(const struct principal *p, struct span domain)
{
	return principal_sees_all(p) || (principal_is(p, PRINCIPAL_BIT(DOMAIN_ADMIN)) &&
	    among(p->domains, p->ndomains, domain));
}

bool
principal_sees(const struct principal *p, struct span address)
{
	size_t at = address.n;

	while (at && address.p[at - 1] != '@')
		at--;
	if (principal_sees_all(p) ||
	    (principal_is(p, PRINCIPAL_BIT(USER)) && among(p->addresses, p->naddresses, address)))
		return true;
	return at && principal_sees_domain(p, span_from(address, at));
}

int
principal_may(struct span request, uint32_t uid, unsigned roles, char *by, struct err *err)
{
	struct arena *a;
	struct jval *v;
	struct principal p;
	int r = -1;

	if (by)
		snprintf(by, PRINCIPAL_BY, "uid %u", uid);
	if (uid != UID_CONSOLE)
		return 0;
	a = arena_new(0);
	v = jval_parse(request, err);
	if (v && principal_read(v, uid, a, &p, err) == 0) {
		r = roles && principal_is(&p, roles) ? 0 : err_set(err, EPERM, "not allowed");
		if (by)
			snprintf(by, PRINCIPAL_BY, SPAN_FMT, SPAN_ARG(span_sub(p.name, 0, PRINCIPAL_BY - 1)));
	}
	jval_free(&v);
	arena_free(&a);
	return r;
}
