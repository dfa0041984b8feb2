/* config_console.c -- `console: {address, certificate, key, tls, names, login, policy, addresses}`: the pages for people.
 *
 * What is decided there goes over TLS. Without it the pages are served to this machine alone, where a
 * reverse proxy may stand, and only when `tls: off` says so.
 */
#include "addr.h"
#include "master/config_read.h"

static void
read_address(struct reader *r, const struct conf_node *n)
{
	struct conf_console *c = &r->c->console;
	struct span s;
	struct err err;

	if (!conf_text(r->d, n, "address:port", &s))
		return;
	if (hostport_parse_ip(s, 8443, &c->ip, &c->port, &err) == -1) {
		diag_at(r->d, DIAG_ERROR, n, "127.0.0.1:8443", "%s", err.text);
		return;
	}
	for (size_t i = 0; i < r->c->nlisteners; i++)
		if (r->c->listeners[i].port == c->port && ip_eq(r->c->listeners[i].ip, c->ip))
			diag_at(r->d, DIAG_ERROR, n, NULL, "listener `" SPAN_FMT "` has this address",
			    SPAN_ARG(r->c->listeners[i].name));
}

static void
read_certificate(struct reader *r, const struct conf_node *map)
{
	struct conf_console *c = &r->c->console;
	const struct conf_node *cert = conf_get(map, "certificate"), *key = conf_get(map, "key");
	struct span s;

	if ((cert == NULL) != (key == NULL)) {
		error_at(r, map, NULL, "`certificate` and `key` go together");
		return;
	}
	c->certificate = r->c->tls_certificate;
	c->key = r->c->tls_key;
	if (cert && text_of(r, cert, "a file", &s))
		c->certificate = secret_of(r, cert, s);
	if (key && text_of(r, key, "a file", &s))
		c->key = secret_of(r, key, s);
	if (c->certificate == NULL)
		error_at(r, map, "tls: {certificate: tls/gw1.pem, key: tls/gw1.key}",
		    "the console needs a certificate and its key, its own or those of `tls`");
}

/* The host names it answers to; the one that links to approve name is one of them. */
static void
read_names(struct reader *r, const struct conf_node *list)
{
	struct conf_console *c = &r->c->console;
	struct span url = r->c->approval_url, *names;
	size_t at = url.n > 8 ? 8 : url.n;

	if (list && !conf_want(r->d, list, CONF_LIST, "a list of host names"))
		list = NULL;
	names = arena_array(r->a, (list ? list->count : 0) + 1, sizeof(*names));
	if (span_starts_nocase(url, SPAN_LIT("https://"))) {
		url = span_from(url, at);
		url.n = span_find(url, '/');
		names[c->nnames++] = span_sub(url, 0, span_find(url, ':'));
	}
	CONF_EACH(n, list)
		if (text_of(r, n, "a host name", &names[c->nnames]))
			c->nnames++;
	c->names = names;
}

static void
read_login(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "idle", "lasts", "totp", "links", "ldap", "oidc", NULL };
	static const char *const modes[] = { "optional", "required", NULL };
	struct conf_console *c = &r->c->console;
	const struct conf_node *n;
	int v;

	c->idle = 30 * MINUTE;
	c->lasts = 12 * 60 * MINUTE;
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{idle, lasts, totp, links, ldap, oidc}"))
		return;
	conf_check_keys(r->d, map, "login", known);
	duration_of(r, map, "idle", &c->idle);
	duration_of(r, map, "lasts", &c->lasts);
	if (c->idle < MINUTE || c->lasts < c->idle || c->lasts > 30 * 24 * 60 * MINUTE)
		error_at(r, map, NULL, "`idle` is a minute at least, `lasts` no less, and 30 days at most");
	if ((n = conf_get(map, "ldap")))
		read_console_ldap(r, n);
	if ((n = conf_get(map, "links")))
		conf_bool(r->d, n, &c->links);
	if ((n = conf_get(map, "totp")) && conf_enum(r->d, n, modes, &v))
		c->totp_required = v == 1;
	if ((n = conf_get(map, "oidc")))
		read_console_oidc(r, n);
}

struct span
config_console_url(const struct config *c, struct arena *a)
{
	struct span url = c->approval_url;

	if (span_starts_nocase(url, SPAN_LIT("https://")))
		return span_sub(url, 0, 8 + span_find(span_from(url, 8), '/'));
	return span_str(arena_printf(a, "https://" SPAN_FMT ":%u", SPAN_ARG(c->hostname), c->console.port));
}

void
read_console(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "address", "certificate", "key", "tls", "names", "login",
		"policy", "addresses", NULL };
	static const char *const modes[] = { "off", "required", NULL };
	static const char *const policies[] = { "show", "edit", NULL };
	const struct conf_node *n;
	int v = 1, edits = 0;

	if (map == NULL || (map->kind == CONF_SCALAR && span_is(map->text, "off")) ||
	    !conf_want(r->d, map, CONF_MAP, "{address, certificate, key}"))
		return;
	conf_check_keys(r->d, map, "console", known);
	if ((n = conf_get(map, "address")) == NULL) {
		error_at(r, map, "address: 127.0.0.1:8443", "the console needs its `address`");
		return;
	}
	read_address(r, n);
	if ((n = conf_get(map, "tls")))
		conf_enum(r->d, n, modes, &v);
	read_names(r, conf_get(map, "names"));
	read_login(r, conf_get(map, "login"));
	if ((n = conf_get(map, "policy")))
		conf_enum(r->d, n, policies, &edits);
	r->c->console.edits = edits == 1;
	if ((n = conf_get(map, "addresses")))
		conf_bool(r->d, n, &r->c->console.addresses);
	n = conf_get(map, "tls");
	if (v == 1)
		read_certificate(r, map);
	else if (!ip_is_loopback(r->c->console.ip))
		error_at(r, n, NULL, "without TLS the console listens on a loopback address alone, "
		    "behind a reverse proxy of this machine");
	if (r->c->approval_url.n == 0)
		diag_at(r->d, DIAG_WARNING, map, "approvals: {url: \"https://gw1.example.org:8443/approve\"}",
		    "the mails to approvers carry no link to the console: `approvals: {url: …}` is missing");
}
