/* config_console_ldap.c -- `console: {login: {ldap: {directory, filter, name, roles, domains}}}`: who signs in to the
 * console by a bind, and what the groups he is in make of him.
 *
 * A group that no directory could have is an error here. Whether it exists is not asked: nobody is in one that
 * does not.
 */
#include "directory/filter.h"
#include "master/config_read.h"

struct within {
	const struct conf_directory *dir;
	struct span base;		/* normalised; empty: none, or not readable */
};

static bool
take_group(struct reader *r, const struct conf_node *n, const void *ctx, struct span *group)
{
	const struct within *in = ctx;
	struct span s;

	if (!text_of(r, n, "a group's distinguished name", &s))
		return false;
	if (!dn_normalise(r->a, s, group)) {
		diag_at(r->d, DIAG_ERROR, n, "CN=mail admins,OU=groups,DC=example,DC=org", "`" SPAN_FMT
		    "` is not a distinguished name", SPAN_ARG(s));
		return false;
	}
	if (in->dir && in->base.n && !dn_within(*group, in->base)) {
		diag_at(r->d, DIAG_ERROR, n, arena_printf(r->d->arena, "…,%s", in->dir->base), "`" SPAN_FMT
		    "` does not lie below the `base` of directory `" SPAN_FMT "`", SPAN_ARG(s),
		    SPAN_ARG(in->dir->name));
		return false;
	}
	return true;
}

void
read_console_ldap(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "directory", "filter", "name", "lasts", "again", "roles", "domains", NULL };
	struct conf_console_ldap *l = &r->c->console.ldap;
	struct within in = { 0 };
	const struct conf_groups *g;
	const struct conf_node *n;
	struct err err;
	struct span s;

	if (!conf_want(r->d, map, CONF_MAP, "{directory, filter, name, roles}"))
		return;
	conf_check_keys(r->d, map, "ldap", known);
	l->find.directory = in.dir = read_which(r, map);
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
	if (in.dir && (in.dir->base == NULL || !dn_normalise(r->a, span_str(in.dir->base), &in.base)))
		in.base = (struct span){ 0 };
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
	g = read_console_roles(r, map, take_group, &in);
	l->roles = g->list;
	l->nroles = g->n;
	l->users = g->users;
}
