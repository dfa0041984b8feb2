/* config_console_roles.c -- `roles: {ROLE: GROUP}` and `domains: {DOMAIN: GROUP}` of a login: which groups make what of
 * those who are in them. What a group looks like is for the caller to say: a directory's has a distinguished
 * name, a provider's any text.
 */
#include "ipc/principal.h"
#include "master/config_read.h"

static void
read_group(struct reader *r, struct conf_groups *to, const struct conf_node *n, unsigned role, struct span domain)
{
	struct span s;

	if (!to->take(r, n, to->ctx, &s))
		return;
	if (to->n == CONSOLE_GROUPS_MAX)
		diag_at(r->d, DIAG_ERROR, n, NULL, "more than %d groups", CONSOLE_GROUPS_MAX);
	else
		to->list[to->n++] = (struct conf_console_role){ s, role, domain };
}

/* One group, or a list of them. */
static void
read_groups_of(struct reader *r, struct conf_groups *to, const struct conf_node *n, unsigned role, struct span domain)
{
	if (n->kind == CONF_SCALAR)
		read_group(r, to, n, role, domain);
	else if (conf_want(r->d, n, CONF_LIST, "a group, or a list of groups"))
		CONF_EACH(item, n)
			read_group(r, to, item, role, domain);
}

static void
read_roles(struct reader *r, struct conf_groups *to, const struct conf_node *map)
{
	static const char *const known[] = { "user", "operator", "editor", "reviewer", "auditor", "admin", NULL };

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{admin: GROUP, operator: GROUP}"))
		return;
	CONF_EACH(n, map) {
		enum principal_role role = principal_role_parse(n->key);

		if (role == PRINCIPAL_DOMAIN_ADMIN)
			diag_key(r->d, DIAG_ERROR, n, "domains: {example.org: GROUP}",
			    "a domain_admin is one of some domains: say which");
		else if (role < PRINCIPAL_ROLE_COUNT)
			read_groups_of(r, to, n, 1u << role, (struct span){ 0 });
		else
			continue;
		to->users |= role == PRINCIPAL_USER;
	}
	if (conf_get(map, "domain_admin") == NULL)
		conf_check_keys(r->d, map, "roles", known);
}

static void
read_domains(struct reader *r, struct conf_groups *to, const struct conf_node *map)
{
	struct span domain;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{example.org: GROUP}"))
		return;
	CONF_EACH(n, map) {
		if (domain_normalise(r->a, n->key, &domain))
			read_groups_of(r, to, n, PRINCIPAL_BIT(DOMAIN_ADMIN), domain);
		else
			diag_key(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "` is no domain name", SPAN_ARG(n->key));
	}
}

const struct conf_groups *
read_console_roles(struct reader *r, const struct conf_node *login, conf_group_taker *take, const void *ctx)
{
	struct conf_groups *to = arena_zalloc(r->a, sizeof(*to));

	to->take = take;
	to->ctx = ctx;
	read_roles(r, to, conf_get(login, "roles"));
	read_domains(r, to, conf_get(login, "domains"));
	return to;
}
