/* config.c -- postern.yaml into struct config; see config.h.
 *
 * Each section has a function and its list of known keys, so that a key that
 * is not in the list is an error with a did-you-mean. A key of the
 * configuration page that this version does not honour yet is an error that
 * says so, never something silently accepted. Nothing is opened here.
 * Sections of their own files: config_directory.c, config_routes.c, config_listeners.c, config_delivery.c, config_cluster.c.
 */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "directory/filter.h"
#include "master/config_cluster.h"
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

/* ---- domains ---- */

#define CREDENTIALS "/run/credentials/postern.service"

/* `credential:NAME` is a file that systemd has put there for us (LoadCredential). */
struct span
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

/* The file of a secret or of a certificate: beside postern.yaml, or a credential. */
const char *
secret_of(struct reader *r, const struct conf_node *n, struct span s)
{
	return key_path(r, n, s).p;
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

/* Other servers that may stand in the domain's MX records. */
static size_t
read_backup_mx(struct reader *r, const struct conf_node *list, const struct span **out)
{
	struct span *v, s;
	size_t n = 0;

	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "a list of host names"))
		return 0;
	v = arena_array(r->a, list->count, sizeof(*v));
	CONF_EACH(item, list)
		if (text_of(r, item, "a host name", &s)) {
			if (domain_normalise(r->a, s, &v[n]))
				n++;
			else
				error_at(r, item, NULL, "not a host name");
		}
	*out = v;
	return n;
}

static void
read_domains(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "deliver_to", "recipients", "greylist", "dkim", "max_size", "backup_mx",
		"batv", NULL };
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
		read_greylist(r, conf_get(node, "greylist"), &dom->greylist);
		if ((k = conf_get(node, "dkim")))
			read_dkim(r, k, dom);
		read_batv(r, conf_get(node, "batv"), &dom->batv);
		if ((k = conf_get(node, "max_size")))
			conf_size(r->d, k, &dom->max_size);
		dom->nbackup_mx = read_backup_mx(r, conf_get(node, "backup_mx"), &dom->backup_mx);
	}
	r->c->domains = out;
	r->c->ndomains = n;
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
		r->c->tls_certificate = secret_of(r, conf_get(map, "certificate"), s);
	if (!text_of(r, conf_get(map, "key"), "a file", &s))
		error_at(r, map, "key: tls/gw1.key", "`tls` needs its `key`");
	else
		r->c->tls_key = secret_of(r, conf_get(map, "key"), s);
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
		r->c->auth_file = secret_of(r, conf_get(map, "file"), s);
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

static size_t
read_dns_servers(struct reader *r, const struct conf_node *list, const struct conf_host **out)
{
	size_t n = read_hosts(r, list, 53, out);

	for (size_t i = 0; i < n; i++)
		if ((*out)[i].ip.family == 0)
			diag_at(r->d, DIAG_ERROR, list, NULL, "`" SPAN_FMT "`: a DNS server "
			    "is named by its address", SPAN_ARG((*out)[i].name));
	return n;
}

static void
read_dns(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "servers", "dnssec", "trust_anchor", "resolvers", NULL };
	const struct conf_node *n;
	struct span s;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{servers, dnssec, trust_anchor, resolvers}"))
		return;
	conf_check_keys(r->d, map, "dns", known);
	if ((n = conf_get(map, "servers")))
		r->c->ndns = read_dns_servers(r, n, &r->c->dns);
	if ((n = conf_get(map, "resolvers")))
		r->c->nresolvers = read_dns_servers(r, n, &r->c->resolvers);
	if (r->c->nresolvers > CONF_RESOLVERS_MAX)
		diag_at(r->d, DIAG_ERROR, n, NULL, "more than %d resolvers", CONF_RESOLVERS_MAX);
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
read_scanners(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "processes", "timeout", "memory", "ocr", NULL };
	const struct conf_node *n;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	r->c->scanners = cpus < 1 ? 1 : cpus > 64 ? 64 : (uint32_t)cpus;
	r->c->scan_timeout = MINUTE;
	r->c->scan_memory = SCAN_MEMORY;
	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "{processes, timeout, memory, ocr}"))
		return;
	conf_check_keys(r->d, map, "scanners", known);
	if ((n = conf_get(map, "processes")) && !(n->kind == CONF_SCALAR && span_is(n->text, "auto")))
		u32_of(r, map, "processes", 1, 256, &r->c->scanners);
	duration_of(r, map, "timeout", &r->c->scan_timeout);
	if ((n = conf_get(map, "memory")) && conf_size(r->d, n, &r->c->scan_memory) &&
	    r->c->scan_memory < SCAN_MEMORY_MIN)
		error_at(r, n, NULL, "`memory` is 64 MiB at least");
	read_ocr(r, conf_get(map, "ocr"));
}

static void
read_log(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "to", "format", NULL };
	static const char *const formats[] = { "text", "json", "postfix", NULL };
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
		r->c->log_format = (enum log_format)v;
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
	static const char *const known[] = { "version", "hostname", "run", "spool", "store", "store_key", "retention",
		"counters", "node", "cluster", "policy", "networks", "listeners", "tls", "domains", "delivery", "queue", "dns",
		"antivirus", "scanners", "receivers", "console", "metrics", "log", "postmaster",
		"auth", "limits", "dkim_missing", "dkim_verify", "templates", "public_addresses", "doctor", "approvals",
		"directory", "journal", "tls_reports", "verify", "antispam", "quarantine", "digest", "echo",
		"webhooks", "siem", NULL };
	static const char *const missing[] = { "warn", "refuse", NULL };
	struct config *c = r->c;
	struct span s;
	const struct conf_node *n;
	int v;
	char host[256] = "";

	conf_check_keys(r->d, root, "postern.yaml", known);
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
	s = SPAN_LIT("templates");
	text_of(r, conf_get(root, "templates"), "a folder", &s);
	c->templates_dir = path_of(r, s);
	if ((n = conf_get(root, "templates")))
		c->templates_line = n->line;
	read_store(r, root);
	s = SPAN_LIT("keys/store.key");
	text_of(r, conf_get(root, "store_key"), "a file", &s);
	c->store_key = secret_of(r, conf_get(root, "store_key"), s);
	read_counters(r, conf_get(root, "counters"));
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

struct config *
config_parse(const char *path, const char *shown, struct span text, struct diags *d)
{
	struct arena *a = arena_new(16384);
	struct config *c = arena_zalloc(a, sizeof(*c));
	struct reader r = { .c = c, .d = d, .a = a };
	struct conf_node *root = config_tree(a, shown, text, d);

	c->arena = a;
	c->path = arena_str(a, span_str(path));
	c->hash = config_hash(text);
	/* Asked for, not assumed: behind a forwarder that strips DNSSEC's records every answer would be
	 * bogus, and all mail would wait. */
	c->dnssec = false;
	if (root) {
		read_networks(&r, conf_get(root, "networks"));
		read_top(&r, root);
		read_cluster(&r, root);
		check_base(&r, root);
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
		read_verify(&r, conf_get(root, "verify"));
		read_filter(&r, conf_get(root, "antispam"));
		read_dns(&r, conf_get(root, "dns"));
		read_antivirus(&r, conf_get(root, "antivirus"));
		read_retention(&r, conf_get(root, "retention"));
		read_scanners(&r, conf_get(root, "scanners"));
		read_journal(&r, conf_get(root, "journal"));
		read_metrics(&r, conf_get(root, "metrics"));
		read_log(&r, conf_get(root, "log"));
		read_exports(&r, conf_get(root, "webhooks"), conf_get(root, "siem"));
		read_approvals(&r, conf_get(root, "approvals"));
		read_console(&r, conf_get(root, "console"));
		read_quarantine(&r, conf_get(root, "quarantine"));
		read_digest(&r, conf_get(root, "digest"));
		read_echo(&r, conf_get(root, "echo"));
		check_milters(&r, root);
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

/* Under systemd stderr is the journal; a file is a file there too. */
const char *
config_log_to(const struct config *c, bool foreground)
{
	return foreground && !span_starts(c->log_to, SPAN_LIT("file:")) ? "stderr" : c->log_to.p;
}

const struct conf_domain *
config_domain(const struct config *c, struct span domain)
{
	for (size_t i = 0; i < c->ndomains; i++)
		if (span_eq_nocase(c->domains[i].name, domain))
			return &c->domains[i];
	return NULL;
}
