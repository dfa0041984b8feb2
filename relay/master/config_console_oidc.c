/* config_console_oidc.c -- `console: {login: {oidc: {issuer, client_id, client_secret_file, roles, …}}}`: who signs in to
 * the console by a provider of OpenID Connect, and what the groups in its token make of him.
 *
 * A group is compared with the claim byte for byte: providers send names (Keycloak, Authentik) or identifiers
 * (Entra ID). Whether the issuer answers is not asked here: `postern doctor` does.
 */
#include "addr.h"
#include "ipc/principal.h"
#include "master/config_read.h"

#define GROUP_MAX 512		/* bytes */
#define SCOPES_MAX 16
#define MEANS_MAX 16
#define TEXT_MAX 200
#define BUTTON_MAX 60
#define ISSUER_MAX 1000

static bool
is_word(struct span s, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.n > 0 && s.n <= max;
}

static bool
take_group(struct reader *r, const struct conf_node *n, const void *ctx, struct span *group)
{
	if (!text_of(r, n, "a group", group))
		return false;
	if (group->n == 0 || group->n > GROUP_MAX) {
		error_at(r, n, NULL, "a group has 1 to 512 bytes");
		return false;
	}
	return true;
}

/* ---- the provider ---- */

static void
read_issuer(struct reader *r, const struct conf_node *map, struct conf_console_oidc *o)
{
	const struct conf_node *n = conf_get(map, "issuer"), *id = conf_get(map, "client_id"),
	    *secret = conf_get(map, "client_secret_file"), *ca = conf_get(map, "ca");
	struct span s;

	if (n == NULL)
		error_at(r, map, "issuer: https://idp.example.org/realms/main", "it needs its `issuer`");
	else if (text_of(r, n, "https://…", &s)) {
		if (!span_starts(s, SPAN_LIT("https://")) || !is_word(s, ISSUER_MAX) || span_find(s, '?') < s.n ||
		    span_find(s, '#') < s.n || span_find(s, '@') < s.n)
			error_at(r, n, "https://idp.example.org/realms/main",
			    "an issuer is an https: URL without a user, ? or #");
		o->issuer = s;
	}
	if (id == NULL)
		error_at(r, map, "client_id: postern", "it needs the `client_id` that the provider knows us by");
	else if (text_of(r, id, "a client's name", &o->client_id) && !is_word(o->client_id, TEXT_MAX))
		error_at(r, id, NULL, "a `client_id` has 1 to 200 printable bytes");
	if (secret == NULL)
		error_at(r, map, "client_secret_file: keys/oidc.secret", "it needs the `client_secret_file`");
	else if (text_of(r, secret, "a file", &s))
		o->secret = secret_of(r, secret, s);
	if (ca && text_of(r, ca, "a file", &s))
		o->roots = path_of(r, s);
}

static void
read_scopes(struct reader *r, const struct conf_node *list, struct conf_console_oidc *o)
{
	bool openid = false;
	struct span s, all = { 0 };

	o->scopes = SPAN_LIT("openid profile email");
	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "[openid, profile, email]"))
		return;
	if (list->count > SCOPES_MAX)
		diag_at(r->d, DIAG_ERROR, list, NULL, "more than %d scopes", SCOPES_MAX);
	CONF_EACH(n, list) {
		if (!text_of(r, n, "a scope", &s))
			continue;
		if (!is_word(s, TEXT_MAX) || span_find(s, '"') < s.n || span_find(s, '\\') < s.n)	/* RFC 6749, 3.3 */
			error_at(r, n, NULL, "a scope has no space, quote or backslash");
		openid |= span_is(s, "openid");
		all = span_str(arena_printf(r->a, SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(all), all.n ? " " : "", SPAN_ARG(s)));
	}
	if (!openid)
		error_at(r, list, "scopes: [openid, profile, email]", "`openid` has to be among the scopes");
	o->scopes = all;
}

static size_t
read_means(struct reader *r, const struct conf_node *list, const struct span **out)
{
	struct span *v;
	size_t k = 0;

	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "a list"))
		return 0;
	if (list->count == 0 || list->count > MEANS_MAX) {
		diag_at(r->d, DIAG_ERROR, list, NULL, "1 to %d of them", MEANS_MAX);
		return 0;
	}
	v = arena_array(r->a, list->count, sizeof(*v));
	CONF_EACH(n, list) {
		if (text_of(r, n, "a text", &v[k]) && !is_word(v[k], TEXT_MAX))
			error_at(r, n, NULL, "it has 1 to 200 printable bytes, and no space");
		k++;
	}
	*out = v;
	return k;
}

static void
read_button(struct reader *r, const struct conf_node *map, struct conf_console_oidc *o)
{
	static const char *const known[] = { "en", "fr", NULL };
	struct span *const to[] = { &o->button_en, &o->button_fr };
	const struct conf_node *n;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{en: TEXT, fr: TEXT}"))
		return;
	conf_check_keys(r->d, map, "button", known);
	for (int i = 0; i < 2; i++)
		if ((n = conf_get(map, known[i])) && text_of(r, n, "a text", to[i]) &&
		    (to[i]->n == 0 || to[i]->n > BUTTON_MAX))
			error_at(r, n, NULL, "a button's text has 1 to 60 bytes");
}

static void
read_claim(struct reader *r, const struct conf_node *map, const char *key, struct span otherwise, struct span *out)
{
	const struct conf_node *n = conf_get(map, key);

	*out = otherwise;
	if (n && text_of(r, n, "a claim", out) && !is_word(*out, TEXT_MAX))
		error_at(r, n, NULL, "a claim has 1 to 200 printable bytes, and no space");
}

static void
read_times(struct reader *r, const struct conf_node *map, struct conf_console_oidc *o)
{
	o->lasts = r->c->console.lasts;
	o->skew = MINUTE;
	o->timeout = MINUTE / 6;
	duration_of(r, map, "lasts", &o->lasts);
	duration_of(r, map, "clock_skew", &o->skew);
	duration_of(r, map, "timeout", &o->timeout);
	if (o->lasts < MINUTE || o->lasts > r->c->console.lasts)
		error_at(r, map, NULL, "`lasts` is a minute at least, and no more than that of `login`");
	if (o->skew < 0 || o->skew > 5 * MINUTE)
		error_at(r, conf_get(map, "clock_skew"), "clock_skew: 1m", "`clock_skew` is 5 minutes at most");
	if (o->timeout < MINUTE / 60 || o->timeout > MINUTE / 6)
		error_at(r, conf_get(map, "timeout"), "timeout: 10s", "`timeout` is a second at least, and 10 seconds at most");
}

void
read_console_oidc(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "issuer", "client_id", "client_secret_file", "ca", "scopes", "groups_claim",
		"name_claim", "mail", "roles", "domains", "acr", "amr", "button", "lasts", "clock_skew", "timeout",
		"logout", NULL };
	static const char *const mails[] = { "verified", "claimed", "off", NULL };
	static const char *const logouts[] = { "provider", "local", NULL };
	struct conf_console_oidc *o = &r->c->console.oidc;
	const struct conf_groups *g;
	const struct conf_node *n;
	int v;

	if (!conf_want(r->d, map, CONF_MAP, "{issuer, client_id, client_secret_file, roles}"))
		return;
	conf_check_keys(r->d, map, "oidc", known);
	read_issuer(r, map, o);
	read_scopes(r, conf_get(map, "scopes"), o);
	read_claim(r, map, "groups_claim", SPAN_LIT("groups"), &o->groups_claim);
	read_claim(r, map, "name_claim", SPAN_LIT("preferred_username"), &o->name_claim);
	if ((n = conf_get(map, "mail")) && conf_enum(r->d, n, mails, &v))
		o->mail = (enum oidc_mail)v;
	if ((n = conf_get(map, "logout")) && conf_enum(r->d, n, logouts, &v))
		o->logout_local = v == 1;
	o->nacr = read_means(r, conf_get(map, "acr"), &o->acr);
	o->namr = read_means(r, conf_get(map, "amr"), &o->amr);
	read_button(r, conf_get(map, "button"), o);
	read_times(r, map, o);
	g = read_console_roles(r, map, take_group, NULL);
	o->roles = g->list;
	o->nroles = g->n;
	o->users = g->users;
	if (r->c->console.totp_required && o->nacr + o->namr == 0)
		diag_at(r->d, DIAG_WARNING, map, "amr: [mfa, otp]", "`totp: required` does not ask those for a code whom "
		    "the provider vouches for: say with `acr` or `amr` how they have to prove themselves there");
}
