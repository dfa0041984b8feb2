/* config_base.c -- `store`: this node's own database, and the shared base of many nodes.
 *
 *	store: sqlite:PATH				one node
 *	store: postgresql://USER@HOST:PORT/DATABASE	a node of a cluster: its own database stays where it is
 *	store: {base: "postgresql://…", password_file: FILE, local: "sqlite:PATH"}
 *
 * A password in clear on a network, or to a server that nothing proves, is an error, not a default. No
 * password stands in postern.yaml.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "master/config_read.h"

#define LOCAL_DEFAULT "sqlite:/var/lib/postern/store.db"

static const char *const taken[] = { "sslmode", "sslrootcert", "host", "port", "user", "dbname", NULL };

static bool
is_base(struct span s)
{
	return span_starts(s, SPAN_LIT("postgresql://")) || span_starts(s, SPAN_LIT("postgres://"));
}

static void
read_local(struct reader *r, const struct conf_node *n, struct span s)
{
	static const struct span sqlite = { "sqlite:", 7 };

	if (!span_starts(s, sqlite)) {
		diag_at(r->d, DIAG_ERROR, n, LOCAL_DEFAULT, "`sqlite:PATH`, or of many nodes "
		    "`postgresql://USER@HOST/DATABASE`");
		return;
	}
	r->c->store = arena_span(r->a, s);
	r->c->store_path = path_of(r, span_from(s, sqlite.n));
}

/* ---- the address of the base ---- */

static const char *
value_of(const PQconninfoOption *list, const char *name)
{
	for (; list->keyword; list++)
		if (strcmp(list->keyword, name) == 0)
			return list->val && *list->val ? list->val : NULL;
	return NULL;
}

static const char *
copy_of(struct reader *r, const PQconninfoOption *list, const char *name)
{
	const char *v = value_of(list, name);

	return v ? arena_str(r->a, span_str(v)) : NULL;
}

static bool
port_read(struct span s, uint16_t *port)
{
	uint64_t n;

	*port = 5432;
	if (s.n && (!parse_uint(s, 65535, &n) || n == 0))
		return false;
	if (s.n)
		*port = (uint16_t)n;
	return true;
}

/* The i-th of a list with commas; "" behind its end. */
static struct span
part(struct span list, size_t i)
{
	while (i-- > 0)
		list = span_from(list, span_find(list, ',') + 1);
	return span_sub(list, 0, span_find(list, ','));
}

static void
read_base_hosts(struct reader *r, const struct conf_node *n, const PQconninfoOption *list)
{
	struct conf_base *b = &r->c->base;
	struct span hosts = span_str(value_of(list, "host") ? value_of(list, "host") : "");
	struct span ports = span_str(value_of(list, "port") ? value_of(list, "port") : "");

	if (hosts.n == 0)
		hosts = SPAN_LIT("/var/run/postgresql");
	if (hosts.p[0] == '/') {
		b->socket = arena_str(r->a, hosts);
		if (span_find(hosts, ',') < hosts.n || !port_read(ports, &b->port))
			error_at(r, n, NULL, "one folder of a socket, and one port");
		return;
	}
	for (size_t i = 0; i == 0 || part(hosts, i).n; i++) {
		struct span name = part(hosts, i), domain;
		struct conf_host *h;

		if (b->nhosts == BASE_HOSTS_MAX) {
			error_at(r, n, NULL, "at most 8 servers");
			return;
		}
		h = &b->hosts[b->nhosts++];
		h->name = arena_span(r->a, name);
		if ((!ip_parse(name, &h->ip) && !domain_normalise(r->a, name, &domain)) ||
		    !port_read(part(ports, span_find(ports, ',') < ports.n ? i : 0), &h->port)) {
			diag_at(r->d, DIAG_ERROR, n, "postgresql://postern@db.example.org:5432/postern",
			    "`" SPAN_FMT "` is no server", SPAN_ARG(name));
			return;
		}
	}
}

static bool
all_here(const struct conf_base *b)
{
	for (size_t i = 0; i < b->nhosts; i++)
		if (!b->hosts[i].ip.family || !ip_is_loopback(b->hosts[i].ip))
			return false;
	return true;
}

static void
read_base_tls(struct reader *r, const struct conf_node *n, const PQconninfoOption *list)
{
	struct conf_base *b = &r->c->base;
	const char *mode = value_of(list, "sslmode"), *roots = value_of(list, "sslrootcert");
	bool here = all_here(b);

	if (roots)
		b->roots = path_of(r, span_str(roots));
	b->sslmode = here ? "disable" : "verify-full";
	if (mode == NULL || strcmp(mode, "verify-full") == 0)
		b->sslmode = mode || roots ? "verify-full" : b->sslmode;
	else if (strcmp(mode, "verify-ca") == 0)
		b->sslmode = "verify-ca";
	else if (strcmp(mode, "disable") == 0 && here)
		b->sslmode = "disable";
	else if (strcmp(mode, "disable") == 0)
		diag_at(r->d, DIAG_ERROR, n, "sslmode=verify-full", "without TLS the password and all mail that is "
		    "kept would cross the network in clear");
	else
		diag_at(r->d, DIAG_ERROR, n, "sslmode=verify-full", "`sslmode` is verify-full, verify-ca, or disable on "
		    "this machine: `%s` would believe any server", mode);
}

static void
read_options(struct reader *r, const struct conf_node *n, const PQconninfoOption *list)
{
	const char *near;

	if (value_of(list, "password"))
		diag_at(r->d, DIAG_ERROR, n, "store: {base: \"postgresql://…\", password_file: base.password}",
		    "a password does not stand in postern.yaml");
	for (; list->keyword; list++) {
		size_t i = 0;

		if (list->val == NULL || *list->val == '\0' || strcmp(list->keyword, "password") == 0)
			continue;
		while (taken[i] && strcmp(taken[i], list->keyword) != 0)
			i++;
		if (taken[i])
			continue;
		near = conf_nearest(span_str(list->keyword), taken);
		diag_at(r->d, DIAG_ERROR, n, near, "`%s` is not taken here: sslmode and sslrootcert are",
		    list->keyword);
	}
}

static void
read_base(struct reader *r, const struct conf_node *n, struct span s)
{
	struct conf_base *b = &r->c->base;
	char *uri = arena_str(r->a, s), *why = NULL;
	PQconninfoOption *list = PQconninfoParse(uri, &why);

	if (list == NULL) {
		struct span text = span_trim(span_str(why ? why : "no memory"));

		diag_at(r->d, DIAG_ERROR, n, "postgresql://postern@db.example.org/postern", SPAN_FMT, SPAN_ARG(text));
		PQfreemem(why);
		return;
	}
	b->on = true;
	b->shown = arena_span(r->a, s);
	b->user = copy_of(r, list, "user");
	b->database = copy_of(r, list, "dbname");
	read_base_hosts(r, n, list);
	read_options(r, n, list);
	read_base_tls(r, n, list);
	if (b->user == NULL)
		diag_at(r->d, DIAG_ERROR, n, "postgresql://postern@db.example.org/postern", "as whom? the user is missing");
	PQconninfoFree(list);
}

/* ---- both ---- */

static void
read_both(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "base", "password_file", "local", NULL };
	const struct conf_node *n;
	struct span s = SPAN_LIT(LOCAL_DEFAULT);

	conf_check_keys(r->d, map, "store", known);
	if ((n = conf_get(map, "local")) == NULL || conf_text(r->d, n, "sqlite:PATH", &s))
		read_local(r, n ? n : map, s);
	if ((n = conf_get(map, "base")) == NULL) {
		error_at(r, map, "base: \"postgresql://postern@db.example.org/postern\"", "`base` is missing");
		return;
	}
	if (!conf_text(r->d, n, "postgresql://USER@HOST/DATABASE", &s))
		return;
	if (is_base(s))
		read_base(r, n, s);
	else
		error_at(r, n, "postgresql://postern@db.example.org/postern", "the shared base is PostgreSQL");
	if ((n = conf_get(map, "password_file")) && conf_text(r->d, n, "a file", &s))
		r->c->base.password_file = arena_str(r->a, key_path(r, n, s));
}

void
read_store(struct reader *r, const struct conf_node *root)
{
	const struct conf_node *n = conf_get(root, "store");
	struct span s = SPAN_LIT(LOCAL_DEFAULT);

	if (n && n->kind == CONF_MAP) {
		read_both(r, n);
		return;
	}
	if (n && !conf_text(r->d, n, "sqlite:PATH, postgresql://USER@HOST/DATABASE or {base, password_file, local}", &s))
		return;
	if (is_base(s)) {
		read_base(r, n, s);
		s = SPAN_LIT(LOCAL_DEFAULT);
	}
	read_local(r, n ? n : root, s);
}

void
check_base(struct reader *r, const struct conf_node *root)
{
	if (r->c->base.on && r->c->node_number == 0 && r->d->errors == 0)
		diag_at(r->d, DIAG_ERROR, conf_get(root, "store"), "cluster: {nodes: {gw1: 1, gw2: 2}}, and `node: gw1`",
		    "nodes that share a base have numbers: without, two messages could have one id");
}
