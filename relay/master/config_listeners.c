/* config_listeners.c -- postern.yaml: networks, hosts, listeners; see config.h and config_read.h. */
#include "master/config_read.h"

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

void
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
size_t
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

void
read_nets(struct reader *r, const struct conf_node *list, struct conf_nets *out)
{
	out->n = read_allow(r, list, &out->cidrs, &out->names);
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

size_t
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
void
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
		"client_certificates", "proxy_protocol", "xclient", "upstream", "hostname", "banner", "max_size",
		"limits", "bare_newlines", "milter", "mtas", "socket_mode", "socket_group", NULL };
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
	if ((k = conf_get(n, "milter")))
		read_milter(r, n, k, l);
	else if ((k = conf_get(n, "address")) == NULL)
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
	if (!l->milter)
		refuse_milter_keys(r, n);
	if (l->nallow == 0 && !l->milter && l->direction != LISTEN_INBOUND && !l->auth && !l->client_ca)
		diag_at(r->d, DIAG_WARNING, n, "allow: [network:NAME]",
		    "listener `" SPAN_FMT "` permits nobody to relay", SPAN_ARG(l->name));
	if ((k = conf_get(n, "proxy_protocol")))
		read_nets(r, k, &l->proxy);
	if ((k = conf_get(n, "xclient")))
		read_nets(r, k, &l->xclient);
	if ((k = conf_get(n, "upstream"))) {
		read_nets(r, k, &l->upstream);
		if (l->direction == LISTEN_OUTBOUND)
			error_at(r, k, "direction: inbound", "`upstream` is for mail that comes in");
		else if (k->count == 0)
			error_at(r, k, NULL, "leave `upstream` out: nobody could send");
	}
	read_greeting(r, n, l);
	if ((k = conf_get(n, "max_size")))
		conf_size(r->d, k, &l->max_size);
	if (l->max_size > UINT64_C(1) << 30)
		error_at(r, k, NULL, "`max_size` may be 1 GiB at most");
	if ((k = conf_get(n, "bare_newlines")) && conf_enum(r->d, k, newlines, &v))
		l->normalise = v == 1;
	read_listener_limits(r, conf_get(n, "limits"), &l->limits);
}

void
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
