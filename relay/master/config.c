/* config.c -- postern.yaml into struct config; see config.h.
 *
 * Each section has a function and its list of known keys, so that a key that
 * is not in the list is an error with a did-you-mean. A key of the
 * configuration page that this version does not honour yet is an error that
 * says so, never something silently accepted. Nothing is opened here.
 *
 * Long because every section of the file is read in this one place, one after the other.
 */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "directory/filter.h"
#include "master/config_read.h"

void
error_at(struct reader *r, const struct conf_node *n, const char *hint, const char *text)
{
	diag_at(r->d, DIAG_ERROR, n, hint, "%s", text);
}

const char *
path_of(struct reader *r, struct span s)
{
	return fs_beside(r->a, r->c->path, s);
}

bool
text_of(struct reader *r, const struct conf_node *n, const char *what, struct span *out)
{
	struct span s;

	if (n == NULL || !conf_text(r->d, n, what, &s))
		return false;
	*out = arena_span(r->a, s);
	return true;
}

void
duration_of(struct reader *r, const struct conf_node *map, const char *key, int64_t *out)
{
	const struct conf_node *n = conf_get(map, key);

	if (n)
		conf_duration(r->d, n, out);
}

void
u32_of(struct reader *r, const struct conf_node *map, const char *key, uint64_t min, uint64_t max,
    uint32_t *out)
{
	const struct conf_node *n = conf_get(map, key);
	uint64_t v;

	if (n && conf_uint(r->d, n, min, max, &v))
		*out = (uint32_t)v;
}

/* ---- networks ---- */

/* The domains a network may send from: "example.org" itself, ".example.org" its subdomains. */
static void
read_from(struct reader *r, const struct conf_node *list, struct conf_net *net)
{
	struct span *out;

	if (!conf_want(r->d, list, CONF_LIST, "a list of domains"))
		return;
	net->from = out = arena_array(r->a, list->count, sizeof(*out));
	CONF_EACH(item, list) {
		struct span s, name;
		bool sub;

		if (!conf_text(r->d, item, "a domain", &s))
			continue;
		sub = s.n > 1 && s.p[0] == '.';
		if (!domain_normalise(r->a, span_from(s, sub), &name)) {
			diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT "` is no domain name",
			    SPAN_ARG(s));
			continue;
		}
		out[net->nfrom++] = sub ? span_str(arena_printf(r->a, "." SPAN_FMT,
		    SPAN_ARG(name))) : name;
	}
	if (list->count == 0)
		error_at(r, list, "leave `from` out", "an empty `from` would permit no sender");
}

static void
read_network(struct reader *r, const struct conf_node *n, struct conf_net *net)
{
	static const char *const known[] = { "addresses", "from", NULL };
	const struct conf_node *list = n;
	struct cidr *cidrs;
	struct span *texts;
	struct err err;

	net->name = arena_span(r->a, n->key);
	net->line = n->key_line;
	if (n->kind == CONF_MAP) {
		conf_check_keys(r->d, n, "networks", known);
		if (conf_get(n, "from"))
			read_from(r, conf_get(n, "from"), net);
		if ((list = conf_get(n, "addresses")) == NULL) {
			error_at(r, n, "{addresses: [10.1.2.3], from: [example.org]}",
			    "a network needs its `addresses`");
			return;
		}
	}
	if (!conf_want(r->d, list, CONF_LIST, "a list of addresses and networks"))
		return;
	net->cidrs = cidrs = arena_array(r->a, list->count, sizeof(*cidrs));
	net->texts = texts = arena_array(r->a, list->count, sizeof(*texts));
	CONF_EACH(item, list) {
		struct span s;

		if (!conf_text(r->d, item, "an address or network", &s))
			continue;
		if (cidr_parse(s, &cidrs[net->n], &err) == -1) {
			diag_at(r->d, DIAG_ERROR, item, NULL, "%s", err.text);
			continue;
		}
		texts[net->n++] = arena_span(r->a, s);
	}
}

static void
read_networks(struct reader *r, const struct conf_node *map)
{
	struct conf_net *nets;
	size_t k = 0;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "networks by name"))
		return;
	nets = arena_array(r->a, map->count, sizeof(*nets));
	CONF_EACH(n, map)
		read_network(r, n, &nets[k++]);
	r->c->networks = nets;
	r->c->nnetworks = k;
}

const struct conf_net *
config_network(const struct config *c, struct span name)
{
	for (size_t i = 0; i < c->nnetworks; i++)
		if (span_eq(c->networks[i].name, name))
			return &c->networks[i];
	return NULL;
}

static const char *
network_hint(struct reader *r, struct span name)
{
	const char **names = arena_array(r->a, r->c->nnetworks + 1, sizeof(*names));
	const char *near;

	for (size_t i = 0; i < r->c->nnetworks; i++)
		names[i] = r->c->networks[i].name.p;
	near = conf_nearest(name, names);
	return near ? arena_printf(r->a, "did you mean `network:%s`?", near) : NULL;
}

/* A list of networks, by name or written out: allow, proxy_protocol … */
static size_t
read_allow(struct reader *r, const struct conf_node *list, const struct cidr **cidrs,
    const struct span **nets)
{
	static const struct span head = { "network:", 8 };
	struct cidr *out;
	struct span *from;
	size_t n = 0, room = 0;

	if (!conf_want(r->d, list, CONF_LIST, "a list of networks"))
		return 0;
	CONF_EACH(item, list) {
		const struct conf_net *net = NULL;

		if (item->kind == CONF_SCALAR && span_starts(item->text, head))
			net = config_network(r->c, span_from(item->text, head.n));
		room += net ? net->n : 1;
	}
	out = arena_array(r->a, room, sizeof(*out));
	from = arena_array(r->a, room, sizeof(*from));
	CONF_EACH(item, list) {
		struct span s;
		struct err err;

		if (!conf_text(r->d, item, "network:NAME, an address or a network", &s))
			continue;
		if (span_starts(s, head)) {
			const struct conf_net *net = config_network(r->c, span_from(s, head.n));

			if (net == NULL) {
				diag_at(r->d, DIAG_ERROR, item, network_hint(r, span_from(s, head.n)),
				    "no network `" SPAN_FMT "`", SPAN_ARG(span_from(s, head.n)));
				continue;
			}
			for (size_t i = 0; i < net->n; i++) {
				out[n] = net->cidrs[i];
				from[n++] = net->name;
			}
			continue;
		}
		if (cidr_parse(s, &out[n], &err) == -1) {
			diag_at(r->d, DIAG_ERROR, item, NULL, "%s", err.text);
			continue;
		}
		n++;
	}
	*cidrs = out;
	*nets = from;
	return n;
}

/* ---- hosts ---- */

bool
read_host(struct reader *r, const struct conf_node *n, uint16_t port, struct conf_host *h)
{
	struct span s, host;
	struct err err;

	if (!conf_text(r->d, n, "a host or address, with or without a port", &s))
		return false;
	if (hostport_parse(s, port, &host, &h->port, &err) == -1) {
		diag_at(r->d, DIAG_ERROR, n, NULL, "%s", err.text);
		return false;
	}
	if (!ip_parse(host, &h->ip)) {
		h->ip = (struct ip){ 0 };
		if (!domain_normalise(r->a, host, &h->name)) {
			diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT
			    "` is neither an address nor a host name", SPAN_ARG(host));
			return false;
		}
	} else {
		h->name = arena_span(r->a, host);
	}
	return true;
}

static size_t
read_hosts(struct reader *r, const struct conf_node *list, uint16_t port,
    const struct conf_host **out)
{
	struct conf_host *h;
	size_t n = 0;

	if (!conf_want(r->d, list, CONF_LIST, "a list of hosts"))
		return 0;
	h = arena_array(r->a, list->count, sizeof(*h));
	CONF_EACH(item, list)
		if (read_host(r, item, port, &h[n]))
			n++;
	if (list->count == 0)
		error_at(r, list, NULL, "an empty list of hosts");
	*out = h;
	return n;
}

/* ---- listeners ---- */

static void
read_listener_limits(struct reader *r, const struct conf_node *map, struct listener_limits *l)
{
	static const char *const known[] = { "sessions", "sessions_per_client", "recipients",
		"errors", "messages", "command_timeout", "data_timeout", NULL };

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "limits"))
		return;
	conf_check_keys(r->d, map, "limits", known);
	u32_of(r, map, "sessions", 1, 1000000, &l->sessions);
	u32_of(r, map, "sessions_per_client", 1, 1000000, &l->sessions_per_client);
	u32_of(r, map, "recipients", 1, ENVELOPE_RECIPIENTS_MAX, &l->recipients);
	u32_of(r, map, "errors", 1, 10000, &l->errors);
	u32_of(r, map, "messages", 1, 1000000000, &l->messages);
	duration_of(r, map, "command_timeout", &l->command_timeout);
	duration_of(r, map, "data_timeout", &l->data_timeout);
}

/* Keys of the page that this version cannot honour: an error when they ask for something. */
static void
refuse_later(struct reader *r, const struct conf_node *map, const char *const *keys)
{
	for (; *keys; keys++) {
		const struct conf_node *n = conf_get(map, *keys);

		if (n && !(n->kind == CONF_SCALAR && span_is(n->text, "off")))
			diag_key(r->d, DIAG_ERROR, n, NULL, "`%s` is not in this version", *keys);
	}
}

/* What a listener calls itself. The banner may hold spaces and signs, but no second line. */
static void
read_greeting(struct reader *r, const struct conf_node *n, struct conf_listener *l)
{
	const struct conf_node *k;
	struct span name;

	l->hostname = r->c->hostname;
	l->banner = SPAN_LIT("ESMTP Postern");
	if ((k = conf_get(n, "hostname")) && text_of(r, k, "a host name", &l->hostname) &&
	    !domain_normalise(r->a, l->hostname, &name))
		diag_at(r->d, DIAG_ERROR, k, NULL, "`" SPAN_FMT "` is no host name",
		    SPAN_ARG(l->hostname));
	if ((k = conf_get(n, "banner")) == NULL || !text_of(r, k, "a text", &l->banner))
		return;
	for (size_t i = 0; i < l->banner.n; i++)
		if (l->banner.p[i] < ' ' || l->banner.p[i] > '~') {
			error_at(r, k, NULL, "a banner is one line of ASCII");
			return;
		}
	if (l->banner.n > 200)
		error_at(r, k, NULL, "a banner has 200 characters at most");
	else if (!span_starts_nocase(l->banner, SPAN_LIT("ESMTP")))
		diag_at(r->d, DIAG_WARNING, k, "ESMTP ...", "a banner without ESMTP in front: "
		    "old clients then say HELO");
}

static void
read_client_certificates(struct reader *r, const struct conf_node *n, struct conf_listener *l)
{
	static const char *const known[] = { "ca", "names", NULL };
	const struct conf_node *list = conf_get(n, "names");
	struct span ca, *names;

	if (!conf_want(r->d, n, CONF_MAP, "{ca: FILE, names: [NAME]}"))
		return;
	conf_check_keys(r->d, n, "client_certificates", known);
	if (!text_of(r, conf_get(n, "ca"), "a file of CA certificates", &ca))
		error_at(r, n, "ca: tls/nodes-ca.pem", "`client_certificates` needs its `ca`");
	else
		l->client_ca = path_of(r, ca);
	if (list == NULL || list->count == 0)
		error_at(r, n, "names: [gw2.example.org]", "`client_certificates` needs the `names` "
		    "that may relay");
	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "a list of host names"))
		return;
	names = arena_array(r->a, list->count, sizeof(*names));
	CONF_EACH(item, list) {
		struct span s;

		if (!conf_text(r->d, item, "a host name", &s))
			continue;
		if (!domain_normalise(r->a, s, &names[l->nclient_names]))
			diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT "` is no host name",
			    SPAN_ARG(s));
		else
			l->nclient_names++;
	}
	l->client_names = names;
}

/* tls, auth, client_certificates: what a session must or may prove. */
static void
read_listener_proofs(struct reader *r, const struct conf_node *n, struct conf_listener *l)
{
	static const char *const tls[] = { "off", "offered", "required", NULL };
	const struct conf_node *k;
	int v;

	if ((k = conf_get(n, "tls")) && conf_enum(r->d, k, tls, &v))
		l->tls = (enum listener_tls)v;
	if (l->tls && r->c->tls_certificate == NULL)
		error_at(r, k, "tls: {certificate: FILE, key: FILE} at the top",
		    "TLS needs a certificate and its key");
	if ((k = conf_get(n, "auth"))) {
		static const char *const auth[] = { "off", "file", "ldap", NULL };

		if (conf_enum(r->d, k, auth, &v)) {
			l->auth = v > 0;
			l->auth_ldap = v == 2;
		}
	}
	if (l->auth && !l->auth_ldap && r->c->auth_file == NULL)
		error_at(r, k, "auth: {file: users.txt} at the top", "`auth: file` needs its file");
	if (l->auth_ldap && r->c->auth_ldap.directory == NULL)
		error_at(r, k, "auth: {ldap: {directory: NAME}} at the top",
		    "`auth: ldap` needs its directory");
	if (l->auth && l->tls == LISTEN_TLS_OFF)
		error_at(r, k, "tls: required", "`auth` needs TLS on the listener: passwords do not "
		    "travel in clear");
	if ((k = conf_get(n, "client_certificates"))) {
		read_client_certificates(r, k, l);
		if (l->tls == LISTEN_TLS_OFF)
			error_at(r, k, "tls: offered", "`client_certificates` need TLS on the listener");
	}
}

static void
read_listener(struct reader *r, const struct conf_node *n, struct conf_listener *l)
{
	static const char *const known[] = { "name", "address", "direction", "allow", "tls", "auth",
		"client_certificates", "proxy_protocol", "xclient", "hostname", "banner", "max_size",
		"limits", "bare_newlines", NULL };
	static const char *const newlines[] = { "refuse", "normalise", NULL };
	static const char *const directions[] = { "outbound", "inbound", "auto", NULL };
	const struct conf_node *k;
	struct span s;
	struct err err;
	int v;

	*l = (struct conf_listener){ .line = n->line, .direction = LISTEN_OUTBOUND,
		.max_size = UINT64_C(20000000), .limits = { .sessions = 1000,
		.sessions_per_client = 100, .recipients = 1000, .errors = 20, .messages = 10000,
		.command_timeout = 5 * MINUTE, .data_timeout = 10 * MINUTE } };
	if (!conf_want(r->d, n, CONF_MAP, "a listener: {name, address, direction, allow}"))
		return;
	conf_check_keys(r->d, n, "listeners", known);
	if (!text_of(r, conf_get(n, "name"), "a name", &l->name))
		error_at(r, n, NULL, "a listener needs a `name`");
	if ((k = conf_get(n, "address")) == NULL)
		error_at(r, n, "\"0.0.0.0:8025\"", "a listener needs an `address`");
	else if (conf_text(r->d, k, "address:port", &s) &&
	    hostport_parse_ip(s, 0, &l->ip, &l->port, &err) == -1)
		diag_at(r->d, DIAG_ERROR, k, NULL, "%s", err.text);
	if ((k = conf_get(n, "direction")) && conf_enum(r->d, k, directions, &v))
		l->direction = (enum listener_direction)v;
	if ((k = conf_get(n, "allow"))) {
		l->line = k->key_line;
		l->nallow = read_allow(r, k, &l->allow, &l->allow_net);
	}
	read_listener_proofs(r, n, l);
	if (l->nallow == 0 && l->direction != LISTEN_INBOUND && !l->auth && !l->client_ca)
		diag_at(r->d, DIAG_WARNING, n, "allow: [network:NAME]",
		    "listener `" SPAN_FMT "` permits nobody to relay", SPAN_ARG(l->name));
	if ((k = conf_get(n, "proxy_protocol")))
		l->proxy.n = read_allow(r, k, &l->proxy.cidrs, &l->proxy.names);
	if ((k = conf_get(n, "xclient")))
		l->xclient.n = read_allow(r, k, &l->xclient.cidrs, &l->xclient.names);
	read_greeting(r, n, l);
	if ((k = conf_get(n, "max_size")))
		conf_size(r->d, k, &l->max_size);
	if (l->max_size > UINT64_C(1) << 30)
		error_at(r, k, NULL, "`max_size` may be 1 GiB at most");
	if ((k = conf_get(n, "bare_newlines")) && conf_enum(r->d, k, newlines, &v))
		l->normalise = v == 1;
	read_listener_limits(r, conf_get(n, "limits"), &l->limits);
}

static void
read_listeners(struct reader *r, const struct conf_node *list)
{
	struct conf_listener *l;
	bool asked = false;
	size_t n = 0;

	if (list == NULL) {
		error_at(r, NULL, NULL, "`listeners` is missing: nothing would be received");
		return;
	}
	if (!conf_want(r->d, list, CONF_LIST, "a list of listeners"))
		return;
	l = arena_array(r->a, list->count, sizeof(*l));
	CONF_EACH(item, list) {
		read_listener(r, item, &l[n]);
		for (size_t i = 0; i < n; i++)
			if (l[n].name.n && span_eq(l[i].name, l[n].name))
				diag_at(r->d, DIAG_ERROR, item, NULL, "listener `" SPAN_FMT
				    "` stands twice", SPAN_ARG(l[n].name));
		n++;
	}
	if (n == 0)
		error_at(r, list, NULL, "`listeners` is empty: nothing would be received");
	r->c->listeners = l;
	r->c->nlisteners = n;
	for (size_t i = 0; i < n; i++)
		asked |= l[i].auth && !l[i].auth_ldap;
	if (!asked)
		r->c->authenticators = 0;
}

/* ---- domains ---- */

#define CREDENTIALS "/run/credentials/postern.service"

/* `credential:NAME` is a file that systemd has put there for us (LoadCredential). */
static struct span
key_path(struct reader *r, const struct conf_node *n, struct span key)
{
	struct span name = span_from(key, 11);
	const char *folder = getenv("CREDENTIALS_DIRECTORY");

	if (!span_starts(key, SPAN_LIT("credential:")))
		return span_str(path_of(r, key));
	if (name.n == 0 || span_find(name, '/') < name.n || name.p[0] == '.')
		diag_at(r->d, DIAG_ERROR, n, "credential:NAME, with LoadCredential=NAME:FILE in the unit",
		    "`" SPAN_FMT "` is no name of a credential", SPAN_ARG(name));
	return span_str(arena_printf(r->a, "%s/" SPAN_FMT, folder ? folder : CREDENTIALS,
	    SPAN_ARG(name)));
}

static void
read_dkim_keys(struct reader *r, const struct conf_node *list, struct conf_domain *dom)
{
	static const char *const known[] = { "selector", "key", "algorithm", NULL };
	static const char *const algorithms[] = { "rsa-sha256", "ed25519-sha256", NULL };
	struct conf_dkim *out;

	if (!conf_want(r->d, list, CONF_LIST, "a list of keys: [{selector, key}]"))
		return;
	out = arena_array(r->a, list->count, sizeof(*out));
	CONF_EACH(n, list) {
		struct conf_dkim *k = &out[dom->ndkim];
		const struct conf_node *alg;
		int v = 0;

		if (!conf_want(r->d, n, CONF_MAP, "a key: {selector, key, algorithm}"))
			continue;
		conf_check_keys(r->d, n, "dkim", known);
		k->line = n->line;
		if (!text_of(r, conf_get(n, "selector"), "a selector", &k->selector))
			error_at(r, n, NULL, "a key needs its `selector`");
		if (!text_of(r, conf_get(n, "key"), "a file", &k->key))
			error_at(r, n, NULL, "a key needs its file: `key`");
		else
			k->key = key_path(r, conf_get(n, "key"), k->key);
		if ((alg = conf_get(n, "algorithm")) && conf_enum(r->d, alg, algorithms, &v))
			k->ed25519 = v == 1;
		dom->ndkim++;
	}
	dom->dkim = out;
}

/* A list of keys; `managed`; or {keys, managed, check}. */
static void
read_dkim(struct reader *r, const struct conf_node *node, struct conf_domain *dom)
{
	static const char *const known[] = { "keys", "managed", "check", NULL };
	const struct conf_node *n;

	if (node->kind == CONF_SCALAR && span_is(node->text, "managed")) {
		dom->dkim_managed = true;
		return;
	}
	if (node->kind != CONF_MAP) {
		read_dkim_keys(r, node, dom);
		return;
	}
	conf_check_keys(r->d, node, "dkim", known);
	if ((n = conf_get(node, "keys")))
		read_dkim_keys(r, n, dom);
	if ((n = conf_get(node, "managed")))
		conf_bool(r->d, n, &dom->dkim_managed);
	if ((n = conf_get(node, "check")))
		conf_bool(r->d, n, &dom->dkim_check);
}

static void
read_recipients(struct reader *r, const struct conf_node *n, struct conf_domain *dom)
{
	static const struct span file = { "file:", 5 };
	struct span s;

	dom->recipients = RECIPIENTS_ANY;
	if (n == NULL || !conf_text(r->d, n, "any or \"file:PATH\"", &s))
		return;
	if (span_starts(s, file)) {
		dom->recipients = RECIPIENTS_FILE;
		dom->recipients_file = span_str(path_of(r, span_from(s, file.n)));
	} else if (span_is(s, "callout") || span_is(s, "ldap")) {
		diag_at(r->d, DIAG_ERROR, n, "any, or \"file:PATH\"", "`recipients: " SPAN_FMT
		    "` is not in this version", SPAN_ARG(s));
	} else if (!span_is(s, "any")) {
		diag_at(r->d, DIAG_ERROR, n, "any, or \"file:PATH\"", "`" SPAN_FMT
		    "` is no way to check recipients", SPAN_ARG(s));
	}
}

static void
read_domains(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "deliver_to", "recipients", "dkim", "max_size", NULL };
	struct conf_domain *out;
	size_t n = 0;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "domains by name"))
		return;
	out = arena_array(r->a, map->count, sizeof(*out));
	CONF_EACH(node, map) {
		struct conf_domain *dom = &out[n];
		const struct conf_node *k;

		if (!domain_normalise(r->a, node->key, &dom->name)) {
			diag_key(r->d, DIAG_ERROR, node, NULL, "`" SPAN_FMT "` is no domain name",
			    SPAN_ARG(node->key));
			continue;
		}
		dom->line = node->key_line;
		n++;
		if (!conf_want(r->d, node, CONF_MAP, "what is known of the domain"))
			continue;
		conf_check_keys(r->d, node, "domains", known);
		if ((k = conf_get(node, "deliver_to")))
			dom->deliver_to = read_route(r, k, ROUTE_DOMAIN, dom->name, 25);
		read_recipients(r, conf_get(node, "recipients"), dom);
		if ((k = conf_get(node, "dkim")))
			read_dkim(r, k, dom);
		if ((k = conf_get(node, "max_size")))
			conf_size(r->d, k, &dom->max_size);
	}
	r->c->domains = out;
	r->c->ndomains = n;
}

/* ---- delivery ---- */

static void
read_curve(struct reader *r, const struct conf_node *list, struct retry_curve *curve)
{
	int64_t *out;
	size_t n = 0;

	if (!conf_want(r->d, list, CONF_LIST, "a list of durations: [1m, 5m, 15m]"))
		return;
	if (list->count > RETRY_STEPS_MAX) {
		diag_at(r->d, DIAG_ERROR, list, NULL, "more than %d retries", RETRY_STEPS_MAX);
		return;
	}
	out = arena_array(r->a, list->count, sizeof(*out));
	CONF_EACH(item, list)
		if (conf_duration(r->d, item, &out[n])) {
			if (out[n] < 1000000)
				error_at(r, item, NULL, "a retry sooner than one second");
			n++;
		}
	if (n == 0) {
		error_at(r, list, "[1m, 5m, 15m, 30m, 1h]", "an empty list of retries");
		return;
	}
	*curve = (struct retry_curve){ out, n };
}

/* A list is the curve of all classes. A map names some; the others take its `default` when there
 * is one, else their own of the table. */
static void
read_retry(struct reader *r, const struct conf_node *n, struct conf_delivery *dl)
{
	const char *known[RETRY_CLASSES + 1] = { NULL };
	bool all = n->kind != CONF_MAP || conf_get(n, retry_name(RETRY_DEFAULT)) != NULL;

	for (int c = 0; c < RETRY_CLASSES; c++) {
		known[c] = retry_name((enum retry_class)c);
		if (all && c != RETRY_DEFAULT)
			dl->retry[c] = (struct retry_curve){ 0 };
	}
	if (n->kind == CONF_LIST) {
		read_curve(r, n, &dl->retry[RETRY_DEFAULT]);
		return;
	}
	if (!conf_want(r->d, n, CONF_MAP, "[1m, 5m, 15m], or {default: [...], greylisted: [...]}"))
		return;
	conf_check_keys(r->d, n, "retry", known);
	for (int c = 0; c < RETRY_CLASSES; c++) {
		const struct conf_node *list = conf_get(n, known[c]);

		if (list != NULL)
			read_curve(r, list, &dl->retry[c]);
	}
}

/* As the Internet sees us, where addresses are translated on the way (NAT). */
static void
read_public(struct reader *r, const struct conf_node *list)
{
	r->c->npublic = read_sources(r, list, &r->c->public_addresses);
}

static size_t
read_zones(struct reader *r, const struct conf_node *list, const struct span **out)
{
	struct span *names;
	size_t n = 0;

	if (!conf_want(r->d, list, CONF_LIST, "a list of domain names"))
		return 0;
	names = arena_array(r->a, list->count, sizeof(*names));
	CONF_EACH(item, list) {
		struct span s;

		if (!conf_text(r->d, item, "a domain name", &s))
			continue;
		if (domain_normalise(r->a, s, &names[n]))
			n++;
		else
			diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT "` is no domain name", SPAN_ARG(s));
	}
	*out = names;
	return n;
}

/* What `postern doctor` asks others. */
static void
read_doctor(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "probe", "blocklists", NULL };
	static const struct span probes[] = { SPAN_LIT("gmail.com"), SPAN_LIT("outlook.com") };
	static const struct span lists[] = { SPAN_LIT("zen.spamhaus.org"), SPAN_LIT("bl.spamcop.net"),
		SPAN_LIT("b.barracudacentral.org"), SPAN_LIT("psbl.surriel.com") };
	struct config *c = r->c;
	const struct conf_node *n;

	c->probes = probes;
	c->nprobes = sizeof(probes) / sizeof(*probes);
	c->blocklists = lists;
	c->nblocklists = sizeof(lists) / sizeof(*lists);
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{probe, blocklists}"))
		return;
	conf_check_keys(r->d, map, "doctor", known);
	if ((n = conf_get(map, "probe")))
		c->nprobes = read_zones(r, n, &c->probes);
	if ((n = conf_get(map, "blocklists")))
		c->nblocklists = read_zones(r, n, &c->blocklists);
}

static void
read_sts(struct reader *r, const struct conf_node *map, struct conf_delivery *dl)
{
	static const char *const known[] = { "port", "timeout", "cache", NULL };
	const struct conf_node *n;
	struct span s;
	uint64_t v;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{timeout, cache, port}"))
		return;
	conf_check_keys(r->d, map, "mta_sts", known);
	if ((n = conf_get(map, "port")) && conf_uint(r->d, n, 1, 65535, &v))
		dl->sts_port = (uint16_t)v;
	duration_of(r, map, "timeout", &dl->sts_timeout);
	if (dl->sts_timeout < 1000000 || dl->sts_timeout > 10 * MINUTE)
		error_at(r, conf_get(map, "timeout"), NULL, "`timeout` is between 1s and 10m");
	if ((n = conf_get(map, "cache")) && conf_text(r->d, n, "a folder", &s))
		dl->sts_cache = path_of(r, s);
}

static void
read_delivery_tls(struct reader *r, const struct conf_node *map, struct conf_delivery *dl)
{
	static const char *const known[] = { "policy", "floor", "roots", "mta_sts", NULL };
	static const char *const floors[] = { "none", "opportunistic", "encrypted", NULL };
	static const char *const policies[] = { "none", "dane", "mta-sts", "dane+mta-sts", NULL };
	const struct conf_node *n;
	struct span s;
	int v;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{policy, floor, roots, mta_sts}"))
		return;
	conf_check_keys(r->d, map, "tls", known);
	if ((n = conf_get(map, "floor")) && conf_enum(r->d, n, floors, &v))
		dl->floor = (enum tls_floor)v;
	if ((n = conf_get(map, "policy")) && conf_enum(r->d, n, policies, &v)) {
		dl->dane = v == 1 || v == 3;
		dl->sts = v == 2 || v == 3;
	}
	if ((n = conf_get(map, "roots")) && conf_text(r->d, n, "a file of certificates", &s))
		dl->roots = path_of(r, s);
	read_sts(r, conf_get(map, "mta_sts"), dl);
}

/* "600/m": messages each second, minute or hour, as the time from one to the next. */
static void
read_rate(struct reader *r, const struct conf_node *n, int64_t *interval)
{
	static const struct { const char *unit; int64_t us; } units[] = { { "s", 1000000 },
		{ "m", MINUTE }, { "h", 60 * MINUTE } };
	struct span text, unit;
	uint64_t v = 0;
	size_t at = 0;

	if (!conf_text(r->d, n, "messages in a time, as 600/m", &text))
		return;
	for (; at < text.n && text.p[at] >= '0' && text.p[at] <= '9' && v < 1000000; at++)
		v = v * 10 + (uint64_t)(text.p[at] - '0');
	unit = span_from(text, at + 1);
	for (size_t i = 0; v && at < text.n && text.p[at] == '/' && i < 3; i++)
		if (span_is(unit, units[i].unit) && units[i].us >= (int64_t)v) {
			*interval = units[i].us / (int64_t)v;
			return;
		}
	diag_at(r->d, DIAG_ERROR, n, "600/m", "`" SPAN_FMT "` is no rate: messages in a second (s), "
	    "minute (m) or hour (h)", SPAN_ARG(text));
}

static void
read_delivery(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "port", "hello", "source", "routes", "retry",
		"delay_notice", "expire", "per_site", "tls", "processes", "pools",
		"sender_routes", NULL };
	static const char *const site[] = { "connections", "messages_per_connection", "rate", NULL };
	struct conf_delivery *dl = &r->c->delivery;
	const struct conf_node *n, *k;
	uint64_t v;

	*dl = (struct conf_delivery){ .lines = dl->lines, .nlines = dl->nlines, .pools = dl->pools,
		.npools = dl->npools, .port = 25, .hello = r->c->hostname,
		.delay_notice = 240 * MINUTE,
		.expire = 5 * 24 * 60 * MINUTE, .site_connections = 20, .site_messages = 100,
		.processes = 1, .floor = FLOOR_OPPORTUNISTIC, .dane = true, .sts = true,
		.sts_port = 443, .sts_timeout = MINUTE };
	if (r->c->store_path)
		dl->sts_cache = fs_beside(r->a, r->c->store_path, SPAN_LIT("mta-sts"));
	for (int c = 0; c < RETRY_CLASSES; c++)
		dl->retry[c] = retry_default((enum retry_class)c);
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "settings of the delivery"))
		return;
	conf_check_keys(r->d, map, "delivery", known);
	if ((n = conf_get(map, "port")) && conf_uint(r->d, n, 1, 65535, &v))
		dl->port = (uint16_t)v;
	text_of(r, conf_get(map, "hello"), "a host name", &dl->hello);
	if ((n = conf_get(map, "source")))
		dl->nsources = read_sources(r, n, &dl->sources);
	if ((n = conf_get(map, "routes")))
		read_routes(r, n, ROUTE_RECIPIENT);
	if ((n = conf_get(map, "sender_routes")))
		read_routes(r, n, ROUTE_SENDER);
	if ((n = conf_get(map, "retry")))
		read_retry(r, n, dl);
	duration_of(r, map, "delay_notice", &dl->delay_notice);
	duration_of(r, map, "expire", &dl->expire);
	u32_of(r, map, "processes", 1, 64, &dl->processes);
	if ((n = conf_get(map, "per_site")) && conf_want(r->d, n, CONF_MAP, "{connections, …}")) {
		conf_check_keys(r->d, n, "per_site", site);
		u32_of(r, n, "connections", 1, 1000, &dl->site_connections);
		u32_of(r, n, "messages_per_connection", 1, 100000, &dl->site_messages);
		if ((k = conf_get(n, "rate")))
			read_rate(r, k, &dl->site_interval);
	}
	read_delivery_tls(r, conf_get(map, "tls"), dl);
}

static void
size_at_least(struct reader *r, const struct conf_node *map, const char *key, uint64_t min,
    uint64_t *out)
{
	const struct conf_node *n = conf_get(map, key);
	uint64_t v;

	if (n == NULL || !conf_size(r->d, n, &v))
		return;
	if (v < min)
		error_at(r, n, NULL, "less than the queue can work with");
	else
		*out = v;
}

static void
read_queue(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "messages", "bytes", "memory", "free", "segment", NULL };
	struct conf_queue *q = &r->c->queue;
	const struct conf_node *n;

	*q = (struct conf_queue){ .messages = 2000000, .bytes = UINT64_C(50000000000),
		.memory = 1000000000, .free = UINT64_C(64) << 20, .segment = SEGMENT_SIZE_MAX };
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{messages, bytes, memory, free, segment}"))
		return;
	conf_check_keys(r->d, map, "queue", known);
	if ((n = conf_get(map, "messages")))
		conf_uint(r->d, n, 1, 100000000, &q->messages);
	size_at_least(r, map, "bytes", 1 << 20, &q->bytes);
	size_at_least(r, map, "memory", 1 << 20, &q->memory);
	size_at_least(r, map, "free", 1 << 20, &q->free);
	size_at_least(r, map, "segment", 1 << 20, &q->segment);
	if (q->segment > SEGMENT_SIZE_MAX)
		error_at(r, conf_get(map, "segment"), NULL, "segments of the spool have 64 MiB at most");
}

/* ---- TLS and AUTH of the listeners ---- */

static void
read_tls(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "certificate", "key", "minimum", NULL };
	static const char *const versions[] = { "1.2", "1.3", NULL };
	const struct conf_node *n;
	struct span s;
	int v;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{certificate, key, minimum}"))
		return;
	conf_check_keys(r->d, map, "tls", known);
	if (!text_of(r, conf_get(map, "certificate"), "a file", &s))
		error_at(r, map, "certificate: tls/gw1.pem", "`tls` needs its `certificate`");
	else
		r->c->tls_certificate = path_of(r, s);
	if (!text_of(r, conf_get(map, "key"), "a file", &s))
		error_at(r, map, "key: tls/gw1.key", "`tls` needs its `key`");
	else
		r->c->tls_key = path_of(r, s);
	if ((n = conf_get(map, "minimum")) && conf_enum(r->d, n, versions, &v))
		r->c->tls_only13 = v == 1;
}

/* uid=%u,ou=people,dc=example,dc=org: who needs no search. */
static void
read_auth_dn(struct reader *r, const struct conf_node *n)
{
	struct span s;
	struct err err;

	if (n == NULL || !text_of(r, n, "a distinguished name", &s))
		return;
	if (!template_check(TEMPLATE_DN, s, &err))
		diag_at(r->d, DIAG_ERROR, n, "uid=%u,ou=people,dc=example,dc=org", "%s", err.text);
	r->c->auth_dn = s;
}

static void
read_auth(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "file", "processes", "ldap", NULL };
	const struct conf_node *n;
	struct span s;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{file, ldap, processes}"))
		return;
	conf_check_keys(r->d, map, "auth", known);
	if (text_of(r, conf_get(map, "file"), "a file", &s))
		r->c->auth_file = path_of(r, s);
	if ((n = conf_get(map, "ldap"))) {
		read_lookup(r, n, false, &r->c->auth_ldap);
		read_auth_dn(r, conf_get(n, "dn"));
	}
	if (n == NULL && conf_get(map, "file") == NULL)
		error_at(r, map, "file: users.txt", "`auth` needs its `file` or `ldap`");
	r->c->authenticators = 2;
	u32_of(r, map, "processes", 1, 16, &r->c->authenticators);
}

/* ---- the rest ---- */

static void
read_dns(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "servers", "dnssec", "trust_anchor", NULL };
	const struct conf_node *n;
	struct span s;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{servers, dnssec, trust_anchor}"))
		return;
	conf_check_keys(r->d, map, "dns", known);
	if ((n = conf_get(map, "servers"))) {
		r->c->ndns = read_hosts(r, n, 53, &r->c->dns);
		for (size_t i = 0; i < r->c->ndns; i++)
			if (r->c->dns[i].ip.family == 0)
				diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "`: a DNS server "
				    "is named by its address", SPAN_ARG(r->c->dns[i].name));
	}
	if ((n = conf_get(map, "dnssec")))
		conf_bool(r->d, n, &r->c->dnssec);
	if ((n = conf_get(map, "trust_anchor")) && conf_text(r->d, n, "a file", &s)) {
		r->c->trust_anchor = path_of(r, s);
		if (!r->c->dnssec)
			diag_at(r->d, DIAG_WARNING, n, "dnssec: true",
			    "a trust anchor, but `dnssec` is off");
	}
}

static void
read_antivirus(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "engine", "databases", "socket", NULL };
	static const char *const engines[] = { "libclamav", "off", NULL };
	const struct conf_node *n;
	struct span s;
	int v;

	r->c->av = AV_LIBCLAMAV;
	r->c->av_databases = "/var/lib/clamav";
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{engine, databases}"))
		return;
	conf_check_keys(r->d, map, "antivirus", known);
	if ((n = conf_get(map, "engine")) && n->kind == CONF_SCALAR && span_is(n->text, "clamd"))
		error_at(r, n, "libclamav", "`engine: clamd` is not in this version");
	else if (n && conf_enum(r->d, n, engines, &v))
		r->c->av = (enum av_engine)v;
	if ((n = conf_get(map, "databases")) && conf_text(r->d, n, "a folder", &s))
		r->c->av_databases = path_of(r, s);
}

static void
read_scanners(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "processes", "timeout", "memory", NULL };
	const struct conf_node *n;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	r->c->scanners = cpus < 1 ? 1 : cpus > 64 ? 64 : (uint32_t)cpus;
	r->c->scan_timeout = MINUTE;
	r->c->scan_memory = SCAN_MEMORY;
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{processes, timeout, memory}"))
		return;
	conf_check_keys(r->d, map, "scanners", known);
	if ((n = conf_get(map, "processes")) && !(n->kind == CONF_SCALAR && span_is(n->text, "auto")))
		u32_of(r, map, "processes", 1, 256, &r->c->scanners);
	duration_of(r, map, "timeout", &r->c->scan_timeout);
	if ((n = conf_get(map, "memory")) && conf_size(r->d, n, &r->c->scan_memory) &&
	    r->c->scan_memory < SCAN_MEMORY_MIN)
		error_at(r, n, NULL, "`memory` is 64 MiB at least");
}

static void
read_log(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "to", "format", NULL };
	static const char *const formats[] = { "text", "json", NULL };
	const struct conf_node *n;
	struct span s;
	int v;

	r->c->log_to = SPAN_LIT("journal");
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{to, format}"))
		return;
	conf_check_keys(r->d, map, "log", known);
	if ((n = conf_get(map, "to")) && conf_text(r->d, n, "journal, stderr or file:PATH", &s)) {
		if (span_starts(s, SPAN_LIT("file:")))
			r->c->log_to = span_str(arena_printf(r->a, "file:%s",
			    path_of(r, span_from(s, 5))));
		else if (span_is(s, "journal") || span_is(s, "stderr"))
			r->c->log_to = arena_span(r->a, s);
		else
			error_at(r, n, NULL, "the log goes to `journal`, `stderr` or `file:PATH`");
	}
	if ((n = conf_get(map, "format")) && conf_enum(r->d, n, formats, &v))
		r->c->log_format = v ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
}

static void
read_store(struct reader *r, const struct conf_node *n)
{
	static const struct span sqlite = { "sqlite:", 7 };
	struct span s = SPAN_LIT("sqlite:/var/lib/postern/store.db");

	if (n && !conf_text(r->d, n, "sqlite:PATH", &s))
		return;
	if (!span_starts(s, sqlite)) {
		diag_at(r->d, DIAG_ERROR, n, "sqlite:/var/lib/postern/store.db",
		    "only `sqlite:PATH` is in this version");
		return;
	}
	r->c->store = arena_span(r->a, s);
	r->c->store_path = path_of(r, span_from(s, sqlite.n));
}

static void
read_journal(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "records", NULL };
	int64_t *keep = &r->c->journal_records;

	*keep = 30 * 24 * 60 * MINUTE;
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{records}"))
		return;
	conf_check_keys(r->d, map, "journal", known);
	duration_of(r, map, "records", keep);
	if (*keep && (*keep < 60 * MINUTE || *keep > 3660 * 24 * 60 * MINUTE))
		error_at(r, conf_get(map, "records"), NULL,
		    "`records` is 0, or between one hour and ten years");
}

static void
read_metrics(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "address", NULL };
	const struct conf_node *n;
	struct span s;
	struct err err;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{address}"))
		return;
	conf_check_keys(r->d, map, "metrics", known);
	if ((n = conf_get(map, "address")) && conf_text(r->d, n, "address:port", &s) &&
	    hostport_parse_ip(s, 0, &r->c->metrics_ip, &r->c->metrics_port, &err) == -1)
		diag_at(r->d, DIAG_ERROR, n, NULL, "%s", err.text);
}

static void
read_approvals(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "url", NULL };
	const struct conf_node *n;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{url}"))
		return;
	conf_check_keys(r->d, map, "approvals", known);
	if ((n = conf_get(map, "url")) == NULL || !text_of(r, n, "https://…", &r->c->approval_url))
		return;
	if (!span_starts(r->c->approval_url, SPAN_LIT("https://")) || r->c->approval_url.n > 300 ||
	    r->c->approval_url.n < 10)
		error_at(r, n, "https://gw1.example.org/approve", "links that decide go over https only");
	for (size_t i = 0; i < r->c->approval_url.n; i++)
		if (r->c->approval_url.p[i] <= ' ' || r->c->approval_url.p[i] > '~') {
			error_at(r, n, NULL, "a URL has no spaces and is ASCII");
			break;
		}
}

static void
read_limits(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "memory", "sessions", NULL };
	struct receiver_limits *l = &r->c->limits;
	const struct conf_node *n;

	*l = (struct receiver_limits){ .memory = UINT64_C(1000000000), .sessions = 10000 };
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{memory, sessions}"))
		return;
	conf_check_keys(r->d, map, "limits", known);
	if ((n = conf_get(map, "memory")) && conf_size(r->d, n, &l->memory) &&
	    l->memory < UINT64_C(1000000))
		error_at(r, n, NULL, "`memory` is 1 MB at least");
	u32_of(r, map, "sessions", 1, 1000000, &l->sessions);
}

static void
read_top(struct reader *r, const struct conf_node *root)
{
	static const char *const known[] = { "version", "hostname", "run", "spool", "store",
		"counters", "policy", "networks", "listeners", "tls", "domains", "delivery", "queue", "dns",
		"antivirus", "scanners", "receivers", "console", "metrics", "log", "postmaster",
		"auth", "limits", "dkim_missing", "approvals", "dkim_verify", "public_addresses", "doctor",
		"directory", "journal", "tls_reports", NULL };
	static const char *const later[] = { "console", "metrics", NULL };
	static const char *const missing[] = { "warn", "refuse", NULL };
	struct config *c = r->c;
	struct span s;
	const struct conf_node *n;
	int v;
	char host[256] = "";

	conf_check_keys(r->d, root, "postern.yaml", known);
	refuse_later(r, root, later);
	if ((n = conf_get(root, "version")) == NULL)
		error_at(r, root, "version: 1", "`version` is missing");
	else if (n->kind != CONF_SCALAR || !span_is(n->text, "1"))
		error_at(r, n, "version: 1", "this program reads version 1");
	if (!text_of(r, conf_get(root, "hostname"), "a host name", &c->hostname)) {
		gethostname(host, sizeof(host) - 1);
		c->hostname = arena_span(r->a, span_str(host));
	}
	if (!domain_normalise(r->a, c->hostname, &s))
		diag_at(r->d, DIAG_ERROR, conf_get(root, "hostname"), NULL,
		    "`" SPAN_FMT "` is no host name", SPAN_ARG(c->hostname));
	s = SPAN_LIT("/run/postern");
	text_of(r, conf_get(root, "run"), "a folder", &s);
	c->run = path_of(r, s);
	s = SPAN_LIT("/var/spool/postern");
	text_of(r, conf_get(root, "spool"), "a folder", &s);
	c->spool = path_of(r, s);
	s = SPAN_LIT("policy.d");
	text_of(r, conf_get(root, "policy"), "a folder", &s);
	c->policy_dir = path_of(r, s);
	read_store(r, conf_get(root, "store"));
	if ((n = conf_get(root, "counters")) && !(n->kind == CONF_SCALAR && span_is(n->text, "local")))
		error_at(r, n, "local", "only `counters: local` is in this version");
	if (!text_of(r, conf_get(root, "postmaster"), "an address", &c->postmaster))
		c->postmaster = span_str(arena_printf(r->a, "postmaster@" SPAN_FMT,
		    SPAN_ARG(c->hostname)));
	if ((n = conf_get(root, "dkim_missing")) && conf_enum(r->d, n, missing, &v))
		c->dkim_missing = (enum dkim_missing)v;
	c->dkim_verify = 100;
	u32_of(r, root, "dkim_verify", 1, 1000000, &c->dkim_verify);
	if ((n = conf_get(root, "public_addresses")))
		read_public(r, n);
	read_doctor(r, conf_get(root, "doctor"));
	c->receivers = 1;
	u32_of(r, root, "receivers", 1, 64, &c->receivers);
}

/* ---- TLS reports ---- */

static bool
can_sign(const struct config *c, struct span address)
{
	const struct conf_domain *own;
	struct span local, domain;

	return mailaddr_split(address, &local, &domain) && (own = config_domain(c, domain)) != NULL &&
	    own->ndkim > 0;
}

static void
read_reports(struct reader *r, const struct conf_node *map, bool postmaster)
{
	static const char *const known[] = { "from", "contact", "organization", "send", NULL };
	struct conf_reports *rp = &r->c->reports;
	const struct conf_node *n;
	struct span local, domain;
	bool from, send;

	if (map && !conf_want(r->d, map, CONF_MAP, "{from, contact, organization, send}"))
		return;
	if (map)
		conf_check_keys(r->d, map, "tls_reports", known);
	n = conf_get(map, "from");
	if ((from = text_of(r, n, "an address", &rp->from))) {
		rp->from = mailaddr_normalise(r->a, rp->from);
		if (!mailaddr_split(rp->from, &local, &domain))
			diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "` is no mail address",
			    SPAN_ARG(rp->from));
	} else if (postmaster)
		rp->from = r->c->postmaster;
	send = rp->send = can_sign(r->c, rp->from);
	if (conf_get(map, "send") && conf_bool(r->d, conf_get(map, "send"), &send)) {
		if (send && rp->from.n == 0)
			error_at(r, conf_get(map, "send"), "from: postmaster@…",
			    "reports need a sender: `from`");
		else if (send && !rp->send)
			diag_at(r->d, DIAG_WARNING, conf_get(map, "send"), NULL, "no DKIM key of `domains` "
			    "signs for " SPAN_FMT ": reports without a signature are ignored (RFC 8460, 3)",
			    SPAN_ARG(rp->from));
		rp->send = send;
	} else if (from && !rp->send)
		diag_at(r->d, DIAG_WARNING, n, NULL, "no DKIM key of `domains` signs for " SPAN_FMT
		    ": no reports are sent", SPAN_ARG(rp->from));
	rp->contact = rp->from;
	text_of(r, conf_get(map, "contact"), "an address", &rp->contact);
	if (!text_of(r, conf_get(map, "organization"), "a name", &rp->organization) &&
	    mailaddr_split(rp->from, &local, &domain))
		rp->organization = domain;
}

struct config *
config_parse(const char *path, const char *shown, struct span text, struct diags *d)
{
	struct arena *a = arena_new(16384);
	struct config *c = arena_zalloc(a, sizeof(*c));
	struct reader r = { .c = c, .d = d, .a = a };
	struct conf_node *root = conf_parse(shown, text, d);

	c->arena = a;
	c->path = arena_str(a, span_str(path));
	/* Asked for, not assumed: behind a forwarder that strips DNSSEC's records every answer would be
	 * bogus, and all mail would wait. */
	c->dnssec = false;
	if (root) {
		read_networks(&r, conf_get(root, "networks"));
		read_top(&r, root);
		read_limits(&r, conf_get(root, "limits"));
		read_tls(&r, conf_get(root, "tls"));
		read_directories(&r, conf_get(root, "directory"));
		read_auth(&r, conf_get(root, "auth"));
		read_listeners(&r, conf_get(root, "listeners"));
		read_pools(&r, conf_get(conf_get(root, "delivery"), "pools"));
		read_domains(&r, conf_get(root, "domains"));
		read_delivery(&r, conf_get(root, "delivery"));
		read_queue(&r, conf_get(root, "queue"));
		read_reports(&r, conf_get(root, "tls_reports"), conf_get(root, "postmaster") != NULL);
		read_dns(&r, conf_get(root, "dns"));
		read_antivirus(&r, conf_get(root, "antivirus"));
		read_scanners(&r, conf_get(root, "scanners"));
		read_journal(&r, conf_get(root, "journal"));
		read_metrics(&r, conf_get(root, "metrics"));
		read_log(&r, conf_get(root, "log"));
		read_approvals(&r, conf_get(root, "approvals"));
	}
	if (d->errors) {
		config_free(&c);
		return NULL;
	}
	return c;
}

void
config_free(struct config **cp)
{
	struct arena *a;

	if (*cp == NULL)
		return;
	a = (*cp)->arena;
	*cp = NULL;
	arena_free(&a);
}

const struct conf_domain *
config_domain(const struct config *c, struct span domain)
{
	for (size_t i = 0; i < c->ndomains; i++)
		if (span_eq_nocase(c->domains[i].name, domain))
			return &c->domains[i];
	return NULL;
}
