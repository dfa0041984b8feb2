/* config_directory.c -- the section `directory` of postern.yaml, and the look-ups in them.
 *
 * What would send a password or an answer in clear over a network is an error, not a default:
 * ldap:// means StartTLS unless the server is this machine or `starttls: off` says otherwise.
 */
#include <limits.h>
#include <string.h>

#include "directory/filter.h"
#include "master/config_read.h"

#define LDAP_PORT 389
#define LDAPS_PORT 636

const struct conf_directory *
config_directory(const struct config *c, struct span name)
{
	for (size_t i = 0; i < c->ndirectories; i++)
		if (span_eq(c->directories[i].name, name))
			return &c->directories[i];
	return NULL;
}

static bool
read_server(struct reader *r, const struct conf_node *n, struct conf_ldap_server *s)
{
	static const struct span plain = { "ldap://", 7 }, tls = { "ldaps://", 8 };
	struct span text, host, name;
	struct err err;

	if (!conf_text(r->d, n, "ldaps://HOST or ldap://HOST", &text))
		return false;
	*s = (struct conf_ldap_server){ .url = arena_span(r->a, text) };
	s->ldaps = span_starts_nocase(text, tls);
	if (!s->ldaps && !span_starts_nocase(text, plain)) {
		diag_at(r->d, DIAG_ERROR, n, arena_printf(r->d->arena, "ldaps://" SPAN_FMT,
		    SPAN_ARG(text)), "a server is written ldaps://HOST or ldap://HOST");
		return false;
	}
	text = span_from(text, s->ldaps ? tls.n : plain.n);
	if (text.n && text.p[text.n - 1] == '/')
		text.n--;
	if (hostport_parse(text, s->ldaps ? LDAPS_PORT : LDAP_PORT, &host, &s->port, &err) == -1) {
		diag_at(r->d, DIAG_ERROR, n, NULL, "%s", err.text);
		return false;
	}
	if (ip_parse(host, &s->ip)) {
		s->host = arena_str(r->a, host);
	} else if (domain_normalise(r->a, host, &name)) {
		s->ip = (struct ip){ 0 };
		s->host = arena_str(r->a, name);
	} else {
		diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT
		    "` is neither an address nor a host name", SPAN_ARG(host));
		return false;
	}
	return true;
}

static void
read_servers(struct reader *r, const struct conf_node *map, struct conf_directory *d)
{
	const struct conf_node *list = conf_get(map, "servers");
	struct conf_ldap_server *out;

	if (list == NULL) {
		error_at(r, map, "servers: [ldaps://dc1.example.org]",
		    "a directory needs its `servers`");
		return;
	}
	if (!conf_want(r->d, list, CONF_LIST, "a list of servers"))
		return;
	if (list->count == 0)
		error_at(r, list, "ldaps://dc1.example.org", "an empty list of servers");
	if (list->count > DIRECTORY_SERVERS_MAX)
		diag_at(r->d, DIAG_ERROR, list, NULL, "more than %d servers",
		    DIRECTORY_SERVERS_MAX);
	d->servers = out = arena_array(r->a, list->count, sizeof(*out));
	CONF_EACH(item, list)
		d->nservers += read_server(r, item, &out[d->nservers]);
}

static const char *
read_dn(struct reader *r, const struct conf_node *n, const char *what)
{
	struct span s, normal;

	if (n == NULL || !text_of(r, n, what, &s))
		return NULL;
	if (!dn_normalise(r->a, s, &normal)) {
		diag_at(r->d, DIAG_ERROR, n, "DC=example,DC=org", "`" SPAN_FMT
		    "` is not a distinguished name", SPAN_ARG(s));
		return NULL;
	}
	return arena_str(r->a, s);
}

static void
read_identity(struct reader *r, const struct conf_node *map, struct conf_directory *d)
{
	const struct conf_node *n;
	struct span s;

	if (conf_get(map, "base") == NULL)
		error_at(r, map, "base: \"DC=example,DC=org\"", "a directory needs its `base`");
	d->base = read_dn(r, conf_get(map, "base"), "a distinguished name");
	d->bind = read_dn(r, conf_get(map, "bind"), "a distinguished name");
	if ((n = conf_get(map, "password_file")) && conf_text(r->d, n, "a file", &s))
		d->password_file = secret_of(r, n, s);
	if ((n = conf_get(map, "password")))
		diag_key(r->d, DIAG_ERROR, n, "password_file: FILE",
		    "a password does not stand in postern.yaml");
	if (conf_get(map, "bind") && conf_get(map, "password_file") == NULL)
		error_at(r, conf_get(map, "bind"), "password_file: ldap.password",
		    "`bind` needs its `password_file`: a bind without a password is anonymous "
		    "(RFC 4513, 5.1.2)");
	else if (d->password_file && conf_get(map, "bind") == NULL)
		error_at(r, n, "bind: \"CN=postern,…\"", "`password_file` needs the name to `bind` as");
}

static bool
all_here(const struct conf_directory *d)
{
	for (size_t i = 0; i < d->nservers; i++)
		if (!d->servers[i].ldaps && !ip_is_loopback(d->servers[i].ip))
			return false;
	return true;
}

static void
read_directory_tls(struct reader *r, const struct conf_node *map, struct conf_directory *d)
{
	static const char *const known[] = { "starttls", "ca", NULL };
	static const char *const starttls[] = { "off", "required", NULL };
	const struct conf_node *tls = conf_get(map, "tls"), *n;
	struct span s;
	int v;

	d->starttls = !all_here(d);
	if (tls == NULL || !conf_want(r->d, tls, CONF_MAP, "{starttls, ca}"))
		return;
	conf_check_keys(r->d, tls, "tls", known);
	if ((n = conf_get(tls, "starttls")) && conf_enum(r->d, n, starttls, &v)) {
		d->starttls = v == 1;
		if (!d->starttls && !all_here(d))
			diag_at(r->d, DIAG_WARNING, n, "required",
			    "passwords and answers travel in clear");
	}
	if ((n = conf_get(tls, "ca")) && conf_text(r->d, n, "a file of CA certificates", &s))
		d->ca = path_of(r, s);
}

static void
read_directory_cache(struct reader *r, const struct conf_node *map, struct conf_directory *d)
{
	static const char *const known[] = { "found", "missing", "stale", "entries", NULL };
	const struct conf_node *n = conf_get(map, "cache");

	d->found = 10 * MINUTE;
	d->missing = MINUTE;
	d->stale = 24 * 60 * MINUTE;
	d->entries = 100000;
	if (n == NULL || !conf_want(r->d, n, CONF_MAP, "{found, missing, stale, entries}"))
		return;
	conf_check_keys(r->d, n, "cache", known);
	duration_of(r, n, "found", &d->found);
	duration_of(r, n, "missing", &d->missing);
	duration_of(r, n, "stale", &d->stale);
	u32_of(r, n, "entries", 100, 10000000, &d->entries);
}

/* Names of attributes, as they may stand in a filter (RFC 4512, 2.5: letters, digits, hyphen;
 * or an OID). */
bool
attribute_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.')
			return false;
	}
	return s.n > 0 && s.n <= 128;
}

static void
read_groups(struct reader *r, const struct conf_node *map, struct conf_directory *d)
{
	static const char *const known[] = { "person", "members", "nested", NULL };
	static const char *const nested[] = { "search", "chain", "off", NULL };
	static const struct span usual[] = { { "member", 6 }, { "uniqueMember", 12 } };
	const struct conf_node *groups = conf_get(map, "groups"), *n;
	struct span *out, s;
	struct err err;
	int v;

	d->person = SPAN_LIT("(|(mail=%m)(proxyAddresses=smtp:%m))");
	d->members = usual;
	d->nmembers = sizeof(usual) / sizeof(usual[0]);
	if (groups == NULL || !conf_want(r->d, groups, CONF_MAP, "{person, members, nested}"))
		return;
	conf_check_keys(r->d, groups, "groups", known);
	if ((n = conf_get(groups, "person")) && text_of(r, n, "a filter", &s)) {
		if (!template_check(TEMPLATE_FILTER, s, &err))
			diag_at(r->d, DIAG_ERROR, n, "(mail=%m)", "%s", err.text);
		else
			d->person = s;
	}
	if ((n = conf_get(groups, "nested")) && conf_enum(r->d, n, nested, &v))
		d->nested = (enum nested_groups)v;
	if ((n = conf_get(groups, "members")) == NULL ||
	    !conf_want(r->d, n, CONF_LIST, "a list of attributes"))
		return;
	if (n->count == 0 || n->count > 8)
		error_at(r, n, "[member, uniqueMember]", "one to eight attributes");
	d->members = out = arena_array(r->a, n->count, sizeof(*out));
	d->nmembers = 0;
	CONF_EACH(item, n)
		if (text_of(r, item, "an attribute", &s)) {
			if (!attribute_ok(s))
				diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT
				    "` is no name of an attribute", SPAN_ARG(s));
			else
				out[d->nmembers++] = s;
		}
}

static void
read_directory_domains(struct reader *r, const struct conf_node *map, struct conf_directory *d)
{
	const struct conf_node *list = conf_get(map, "domains");
	struct span *out, s;

	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "a list of domains"))
		return;
	d->domains = out = arena_array(r->a, list->count, sizeof(*out));
	CONF_EACH(item, list)
		if (conf_text(r->d, item, "a domain", &s)) {
			if (!domain_normalise(r->a, s, &out[d->ndomains]))
				diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT
				    "` is no domain name", SPAN_ARG(s));
			else
				d->ndomains++;
		}
	if (list->count == 0)
		error_at(r, list, "leave `domains` out",
		    "an empty `domains` would leave nobody to ask for");
}

static void
read_directory(struct reader *r, const struct conf_node *n, struct conf_directory *d)
{
	static const char *const known[] = { "servers", "base", "bind", "password_file", "password",
		"tls", "timeout", "searches", "cache", "groups", "domains", NULL };

	*d = (struct conf_directory){ .name = arena_span(r->a, n->key), .line = n->key_line,
		.timeout = 5 * 1000000, .searches = 32 };
	if (!conf_want(r->d, n, CONF_MAP, "a directory: {servers, base, bind, password_file}"))
		return;
	conf_check_keys(r->d, n, "directory", known);
	read_servers(r, n, d);
	read_identity(r, n, d);
	read_directory_tls(r, n, d);
	duration_of(r, n, "timeout", &d->timeout);
	if (d->timeout < 100000 || d->timeout > MINUTE)
		error_at(r, conf_get(n, "timeout"), "5s", "`timeout` is 100ms to 1m");
	u32_of(r, n, "searches", 1, 1000, &d->searches);
	read_directory_cache(r, n, d);
	read_groups(r, n, d);
	read_directory_domains(r, n, d);
}

void
read_directories(struct reader *r, const struct conf_node *map)
{
	struct conf_directory *out;
	size_t n = 0;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "directories by name"))
		return;
	if (conf_get(map, "servers")) {
		error_at(r, map, "directory: {corp: {servers: …}}", "a directory has a name");
		return;
	}
	if (map->count > DIRECTORIES_MAX)
		diag_at(r->d, DIAG_ERROR, map, NULL, "more than %d directories", DIRECTORIES_MAX);
	out = arena_array(r->a, map->count, sizeof(*out));
	CONF_EACH(node, map)
		read_directory(r, node, &out[n++]);
	r->c->directories = out;
	r->c->ndirectories = n;
}

/* ---- look-ups ---- */

const struct conf_directory *
read_which(struct reader *r, const struct conf_node *map)
{
	const struct conf_node *n = conf_get(map, "directory");
	const char *names[DIRECTORIES_MAX + 1] = { NULL };
	const struct conf_directory *d;
	const char *near;
	struct span s;

	if (n == NULL) {
		if (r->c->ndirectories == 1)
			return &r->c->directories[0];
		error_at(r, map, "directory: NAME", r->c->ndirectories ?
		    "there are several directories: which one?" :
		    "a look-up by LDAP needs a `directory` at the top of postern.yaml");
		return NULL;
	}
	if (!conf_text(r->d, n, "the name of a directory", &s) ||
	    (d = config_directory(r->c, s)) != NULL)
		return n->kind == CONF_SCALAR ? config_directory(r->c, n->text) : NULL;
	for (size_t i = 0; i < r->c->ndirectories && i < DIRECTORIES_MAX; i++)
		names[i] = r->c->directories[i].name.p;
	near = conf_nearest(s, names);
	diag_at(r->d, DIAG_ERROR, n, near ? arena_printf(r->d->arena, "did you mean `%s`?", near) :
	    NULL, "no directory `" SPAN_FMT "`", SPAN_ARG(s));
	return NULL;
}

void
read_lookup(struct reader *r, const struct conf_node *map, bool attribute,
    struct conf_lookup *out)
{
	static const char *const with[] = { "directory", "filter", "attribute", NULL };
	static const char *const without[] = { "directory", "filter", "dn", NULL };
	const struct conf_node *n;
	struct span s;
	struct err err;

	if (!conf_want(r->d, map, CONF_MAP, attribute ? "{directory, filter, attribute}" :
	    "{directory, filter}"))
		return;
	conf_check_keys(r->d, map, "ldap", attribute ? with : without);
	out->directory = read_which(r, map);
	out->filter = SPAN_LIT("(mail=%m)");
	if ((n = conf_get(map, "filter")) && text_of(r, n, "a filter", &s)) {
		if (!template_check(TEMPLATE_FILTER, s, &err))
			diag_at(r->d, DIAG_ERROR, n, "(mail=%m)", "%s", err.text);
		out->filter = s;
	}
	if (!attribute)
		return;
	if ((n = conf_get(map, "attribute")) == NULL)
		error_at(r, map, "attribute: mailHost", "which `attribute` says it?");
	else if (text_of(r, n, "an attribute", &s)) {
		if (!attribute_ok(s))
			diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT
			    "` is no name of an attribute", SPAN_ARG(s));
		out->attribute = s;
	}
}
