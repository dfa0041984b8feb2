/* config_console_ldap.c -- `console: {login: {ldap: {directory, filter, name, roles, domains}}}`: who signs in to the
 * console by a bind, and what the groups he is in make of him.
 *
 * A group that no directory could have is an error here. Whether it exists is not asked: nobody is in one that
 * does not.
 */
#include "directory/filter.h"
#include "ipc/principal.h"
#include "master/config_read.h"

#define GROUPS_OF_ROLES_MAX 256

struct roles {
	const struct conf_directory *dir;
	struct span base;
	struct conf_console_role list[GROUPS_OF_ROLES_MAX];
	size_t n;
};

static void
read_group(struct reader *r, struct roles *to, const struct conf_node *n, unsigned role, struct span domain)
{
	struct span s, normal;

	if (!text_of(r, n, "a group's distinguished name", &s))
		return;
	if (!dn_normalise(r->a, s, &normal)) {
		diag_at(r->d, DIAG_ERROR, n, "CN=mail admins,OU=groups,DC=example,DC=org", "`" SPAN_FMT
		    "` is not a distinguished name", SPAN_ARG(s));
	} else if (to->dir && to->base.n && !dn_within(normal, to->base)) {
		diag_at(r->d, DIAG_ERROR, n, arena_printf(r->d->arena, "…,%s", to->dir->base), "`" SPAN_FMT
		    "` does not lie below the `base` of directory `" SPAN_FMT "`", SPAN_ARG(s),
		    SPAN_ARG(to->dir->name));
	} else if (to->n == GROUPS_OF_ROLES_MAX) {
		diag_at(r->d, DIAG_ERROR, n, NULL, "more than %d groups", GROUPS_OF_ROLES_MAX);
	} else {
		to->list[to->n++] = (struct conf_console_role){ normal, role, domain };
	}
}

/* One group, or a list of them. */
static void
read_groups_of(struct reader *r, struct roles *to, const struct conf_node *n, unsigned role, struct span domain)
{
	if (n->kind == CONF_SCALAR)
		read_group(r, to, n, role, domain);
	else if (conf_want(r->d, n, CONF_LIST, "a group, or a list of groups"))
		CONF_EACH(item, n)
			read_group(r, to, item, role, domain);
}

static void
read_roles(struct reader *r, struct roles *to, const struct conf_node *map)
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
		r->c->console.ldap.users |= role == PRINCIPAL_USER;
	}
	if (conf_get(map, "domain_admin") == NULL)
		conf_check_keys(r->d, map, "roles", known);
}

static void
read_role_domains(struct reader *r, struct roles *to, const struct conf_node *map)
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

void
read_console_ldap(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "directory", "filter", "name", "lasts", "again", "roles", "domains", NULL };
	struct conf_console_ldap *l = &r->c->console.ldap;
	struct roles *to = arena_zalloc(r->a, sizeof(*to));
	const struct conf_node *n;
	struct err err;
	struct span s;

	if (!conf_want(r->d, map, CONF_MAP, "{directory, filter, name, roles}"))
		return;
	conf_check_keys(r->d, map, "ldap", known);
	l->find.directory = to->dir = read_which(r, map);
	l->find.filter = SPAN_LIT("(|(uid=%m)(mail=%m))");
	l->name = SPAN_LIT("uid");
	l->lasts = r->c->console.lasts;
	duration_of(r, map, "lasts", &l->lasts);
	if ((n = conf_get(map, "lasts")) && (l->lasts < MINUTE || l->lasts > r->c->console.lasts))
		error_at(r, n, NULL, "`lasts` is a minute at least, and no more than that of `login`");
	l->again = 5 * MINUTE;
	duration_of(r, map, "again", &l->again);
	if ((n = conf_get(map, "again")) && (l->again < MINUTE / 60 || l->again > l->lasts))
		error_at(r, n, NULL, "`again` is a second at least, and no more than `lasts`");
	if (to->dir && (to->dir->base == NULL || !dn_normalise(r->a, span_str(to->dir->base), &to->base)))
		to->base = (struct span){ 0 };
	if ((n = conf_get(map, "filter")) && text_of(r, n, "a filter", &s)) {
		if (!template_check(TEMPLATE_FILTER, s, &err))
			diag_at(r->d, DIAG_ERROR, n, "(sAMAccountName=%u)", "%s", err.text);
		l->find.filter = s;
	}
	if ((n = conf_get(map, "name")) && text_of(r, n, "an attribute", &s)) {
		if (!attribute_ok(s))
			diag_at(r->d, DIAG_ERROR, n, "sAMAccountName", "`" SPAN_FMT "` is no name of an attribute",
			    SPAN_ARG(s));
		l->name = s;
	}
	read_roles(r, to, conf_get(map, "roles"));
	read_role_domains(r, to, conf_get(map, "domains"));
	l->roles = to->list;
	l->nroles = to->n;
}
