/* test_config.c -- postern.yaml: what it yields, and what each slip says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "master/config_cluster.h"

static struct arena *arena;
static struct diags diags;

static struct config *
parse(const char *text)
{
	diags_init(&diags, arena);
	return config_parse("/etc/postern/postern.yaml", "postern.yaml", span_str(text), &diags);
}

#define HEAD "version: 1\nhostname: gw.example.org\n"
#define TLS "tls: {certificate: a, key: b}\n"
#define LISTEN "listeners: [{name: a, address: '127.0.0.1:8025'}]\n"

/* Who says so loudly is in the group. */
static bool
is_loud(void *ctx, struct span group, struct span sender)
{
	return span_is(group, "loud") && span_starts(sender, SPAN_LIT("loud@"));
}

static const struct conf_route *
route_for(const struct config *c, const char *to, const char *from)
{
	struct route_question q = { span_str(to), span_str(from), is_loud, NULL };

	return config_route(c, &q);
}

static const struct conf_host *
hosts_for(const struct config *c, const char *to, const char *from, size_t *n)
{
	const struct conf_route *r = route_for(c, to, from);

	*n = r ? r->nhosts : 0;
	return r ? r->hosts : NULL;
}

static void
test_whole(void **state)
{
	struct config *c = parse(HEAD
	    "run: /run/p\nspool: spool\nstore: sqlite:/var/s.db\npolicy: /etc/pol\n"
	    "journal: {records: 14d}\n"
	    "networks: {exchange: [10.1.2.3, 10.2.0.0/16], six: ['2001:db8::/32']}\n"
	    "listeners:\n"
	    "  - {name: out, address: '0.0.0.0:8025', direction: outbound,\n"
	    "     allow: [network:exchange, 192.0.2.7], max_size: 30MB,\n     bare_newlines: normalise, limits: {recipients: 50, messages: 7}}\n"
	    "  - {name: mx, address: '[::]:25', direction: auto, allow: [network:six]}\n"
	    "domains:\n"
	    "  Example.ORG:\n"
	    "    deliver_to: ['10.1.2.3:2525', mail2.example.org]\n"
	    "    recipients: 'file:rcpt.txt'\n"
	    "    dkim: [{selector: s1, key: keys/k.pem}, {selector: s2, key: /k2, algorithm: ed25519-sha256}]\n"
	    "delivery:\n"
	    "  port: 2526\n  routes: {partner.example: ['relay.partner.example:26'], .wide.example: [192.0.2.9], '*': [192.0.2.10]}\n"
	    "  retry: [1m, 90s]\n  expire: 2d\n  per_site: {connections: 7}\n  tls: {floor: encrypted, policy: none, roots: ca.pem}\n"
	    "dns: {servers: ['127.0.0.1:5399', '::1'], dnssec: no}\n"
	    "queue: {messages: 1000, bytes: 2GB, memory: 100MiB, free: 1GB, segment: 4MiB}\n"
	    "antivirus: {engine: off}\nscanners: {processes: 3, timeout: 500ms}\n");
	const struct conf_host *h;
	size_t n;

	assert_non_null(c);
	assert_int_equal(diags.errors, 0);
	assert_string_equal(c->spool, "/etc/postern/spool");
	assert_true(c->journal_records == INT64_C(14) * 86400 * 1000000);
	assert_string_equal(c->policy_dir, "/etc/pol");
	assert_int_equal(c->nlisteners, 2);
	assert_int_equal(c->listeners[0].nallow, 3);
	assert_true(span_is(c->listeners[0].allow_net[1], "exchange"));
	assert_int_equal(c->listeners[0].allow_net[2].n, 0);
	assert_int_equal(c->listeners[0].max_size, 30000000);
	assert_int_equal(c->listeners[0].limits.recipients, 50);
	assert_int_equal(c->listeners[0].limits.sessions, 1000);
	assert_int_equal(c->listeners[0].limits.messages, 7);
	assert_int_equal(c->listeners[1].limits.messages, 10000);
	assert_true(c->listeners[0].normalise);
	assert_false(c->listeners[1].normalise);
	assert_int_equal(c->listeners[1].ip.family, 6);
	assert_int_equal(c->listeners[1].direction, LISTEN_AUTO);
	assert_non_null(config_domain(c, SPAN_LIT("EXAMPLE.org")));
	assert_null(config_domain(c, SPAN_LIT("sub.example.org")));
	assert_string_equal(c->domains[0].dkim[0].key.p, "/etc/postern/keys/k.pem");
	assert_true(c->domains[0].dkim[1].ed25519);
	assert_int_equal(c->delivery.retry[RETRY_DEFAULT].n, 2);
	assert_int_equal(c->delivery.retry[RETRY_DEFAULT].pause[1], 90 * 1000000);
	assert_int_equal(c->delivery.expire, INT64_C(172800) * 1000000);
	assert_int_equal(c->delivery.site_connections, 7);
	assert_int_equal(c->delivery.floor, FLOOR_ENCRYPTED);
	assert_int_equal(c->queue.messages, 1000);
	assert_int_equal(c->queue.bytes, 2000000000);
	assert_int_equal(c->queue.memory, 100 << 20);
	assert_int_equal(c->queue.free, 1000000000);
	assert_int_equal(c->queue.segment, 4 << 20);
	assert_int_equal(c->ndns, 2);
	assert_int_equal(c->dns[0].port, 5399);
	assert_int_equal(c->dns[1].port, 53);
	assert_false(c->dnssec);
	assert_false(c->delivery.dane);
	assert_string_equal(c->delivery.roots, "/etc/postern/ca.pem");
	assert_null(c->trust_anchor);
	assert_int_equal(c->antivirus.engine, AV_OFF);
	assert_int_equal(c->scan_timeout, 500000);
	/* Routes: the domain itself, then a parent, then our own deliver_to, then "*". */
	h = hosts_for(c, "Partner.Example", "", &n);
	assert_true(span_is(h[0].name, "relay.partner.example"));
	assert_int_equal(h[0].port, 26);
	h = hosts_for(c, "a.wide.example", "", &n);
	assert_int_equal(h[0].ip.b[3], 9);
	assert_int_equal(h[0].port, 2526);
	h = hosts_for(c, "wide.example", "", &n);
	assert_int_equal(h[0].ip.b[3], 10);
	h = hosts_for(c, "example.org", "", &n);
	assert_int_equal(n, 2);
	assert_int_equal(h[0].port, 2525);
	config_free(&c);
	assert_null(c);
}

#define ROUTES \
	"domains: {example.org: {deliver_to: {to: [{to: 10.0.0.1, weight: 3}, {to: 10.0.0.2}, "\
	"{to: 10.0.0.3, backup: true}, {to: 10.0.0.4, backup: true}]}}}\n"\
	"delivery:\n  source: [10.9.0.1]\n"\
	"  pools: {bulk: {source: [10.9.0.2, '2001:db8::2'], hello: bulk.example.org}}\n"\
	"  routes:\n    boss@Partner.example: 10.1.0.1\n    partner.example: 10.1.0.2\n"\
	"    .partner.example: 10.1.0.3\n    .deep.partner.example: 10.1.0.4\n"\
	"    .org: 10.1.0.5\n    '*': 10.1.0.6\n"\
	"  sender_routes:\n    news@example.org: {pool: bulk}\n    example.org: 10.2.0.2\n"\
	"    .example.org: 10.2.0.3\n    group:loud: {to: 10.2.0.4, source: 10.9.0.3}\n"

static void
test_routes(void **state)
{
	/* The last byte of the first hop tells the line; 0: by MX. */
	static const struct { const char *to, *from; unsigned char hop[2]; } rows[] = {
		/* what the recipient decides goes before what the sender decides … */
		{ "BOSS@partner.EXAMPLE", "news@example.org", { 1, 1 } },
		{ "a@partner.example", "news@example.org", { 1, 2 } },
		{ "a@x.partner.example", "x@example.org", { 1, 3 } },
		{ "a@x.deep.partner.example", "x@example.org", { 1, 4 } },
		{ "a@deep.partner.example", "x@example.org", { 1, 3 } },
		{ "a@example.org", "x@example.org", { 0, 1 } },		/* deliver_to before .org */
		{ "a@other.org", "x@example.org", { 1, 5 } },
		/* … and the sender before "*" */
		{ "a@else.example", "news@example.org", { 0, 0 } },
		{ "a@else.example", "X@Example.org", { 2, 2 } },
		{ "a@else.example", "x@sub.example.org", { 2, 3 } },
		{ "a@else.example", "loud@else.example", { 2, 4 } },
		{ "a@else.example", "quiet@else.example", { 1, 6 } },
		{ "a@else.example", "", { 1, 6 } },
	};
	struct config *c = parse(HEAD LISTEN ROUTES);
	const struct conf_route *r;
	const struct conf_host *h;
	size_t n;

	assert_non_null(c);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		h = hosts_for(c, rows[i].to, rows[i].from, &n);
		if (h == NULL || n == 0)
			assert_int_equal(rows[i].hop[1], 0);
		else {
			assert_int_equal(h[0].ip.b[1], rows[i].hop[0]);
			assert_int_equal(h[0].ip.b[3], rows[i].hop[1]);
		}
	}
	/* three and one in four, then the backups in order */
	h = hosts_for(c, "example.org", "", &n);
	assert_int_equal(n, 4);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(h[i].ip.b[3], i + 1);
		assert_int_equal(h[i].weight, i == 0 ? 3 : i == 1);
		assert_int_equal(h[i].rank, i < 2 ? 0 : i - 1);
	}
	r = route_for(c, "a@else.example", "news@example.org");
	assert_true(span_is(r->pool.hello, "bulk.example.org"));
	assert_int_equal(r->pool.nsources, 2);
	assert_int_equal(r->nhosts, 0);
	config_free(&c);
}

#define CORP "directory:\n  corp:\n    servers: [ldaps://dc1.example.org, 'ldap://[::1]:3890']\n"\
	"    base: DC=example,DC=org\n    bind: CN=postern,DC=example,DC=org\n"\
	"    password_file: ldap.pw\n"

static void
test_directory(void **state)
{
	struct config *c = parse(HEAD TLS CORP "    cache: {stale: 2d}\n    timeout: 2s\n"
	    "auth: {ldap: {filter: (uid=%u)}}\n"
	    "listeners: [{name: a, address: '1.2.3.4:25', tls: required, auth: ldap}]\n"
	    "delivery: {routes: {example.net: {ldap: {directory: corp, attribute: mailHost}, "
	    "to: 10.0.0.9}}}\n");
	const struct conf_directory *d;
	const struct conf_route *r;

	assert_non_null(c);
	d = config_directory(c, SPAN_LIT("corp"));
	assert_non_null(d);
	assert_int_equal(d->nservers, 2);
	assert_true(d->servers[0].ldaps);
	assert_int_equal(d->servers[0].port, 636);
	assert_string_equal(d->servers[0].host, "dc1.example.org");
	assert_int_equal(d->servers[0].ip.family, 0);
	assert_int_equal(d->servers[1].port, 3890);
	assert_int_equal(d->servers[1].ip.family, 6);
	assert_false(d->starttls);	/* what is not ldaps is this machine */
	assert_string_equal(d->password_file, "/etc/postern/ldap.pw");
	assert_int_equal(d->timeout, 2000000);
	assert_int_equal(d->stale, INT64_C(172800) * 1000000);
	assert_int_equal(d->found, INT64_C(600) * 1000000);
	assert_ptr_equal(c->auth_ldap.directory, d);
	assert_true(c->listeners[0].auth && c->listeners[0].auth_ldap);
	assert_int_equal(c->authenticators, 0);
	r = route_for(c, "a@example.net", "");
	assert_ptr_equal(r->ldap.directory, d);
	assert_true(span_is(r->ldap.attribute, "mailHost"));
	assert_true(span_is(r->ldap.filter, "(mail=%m)"));
	assert_int_equal(r->nhosts, 1);
	config_free(&c);

	c = parse(HEAD LISTEN "directory: {far: {servers: [ldap://dc.example.org], base: dc=x}}\n");
	assert_non_null(c);
	assert_true(c->directories[0].starttls);	/* nobody said that it may be in clear */
	assert_null(c->directories[0].bind);
	config_free(&c);
}

static void
test_defaults(void **state)
{
	struct config *c = parse(HEAD LISTEN);

	assert_non_null(c);
	assert_string_equal(c->run, "/run/postern");
	assert_int_equal(c->delivery.port, 25);
	assert_int_equal(c->queue.messages, 2000000);
	assert_int_equal(c->queue.free, 64 << 20);
	assert_true(span_is(c->delivery.hello, "gw.example.org"));
	assert_true(span_is(c->postmaster, "postmaster@gw.example.org"));
	assert_int_equal(c->listeners[0].nallow, 0);
	assert_false(c->dnssec);	/* a forwarder that strips it must not stop all mail */
	assert_int_equal(diags.warnings, 1);	/* it permits nobody */
	config_free(&c);
}

static void
test_tls(void **state)
{
	struct config *c = parse(HEAD "tls: {certificate: tls/a.pem, key: /k, minimum: '1.3'}\n"
	    "auth: {file: users.txt}\n"
	    "listeners:\n"
	    "  - {name: a, address: '127.0.0.1:25', direction: inbound}\n"
	    "  - {name: b, address: '127.0.0.1:26', tls: offered,\n"
	    "     client_certificates: {ca: ca.pem, names: [GW2.example.org, gw3.example.org]}}\n"
	    "  - {name: c, address: '127.0.0.1:27', tls: required, auth: file}\n");

	assert_non_null(c);
	assert_int_equal(diags.warnings, 0);	/* whoever logs in may relay */
	assert_string_equal(c->tls_certificate, "/etc/postern/tls/a.pem");
	assert_string_equal(c->tls_key, "/k");
	assert_true(c->tls_only13);
	assert_string_equal(c->auth_file, "/etc/postern/users.txt");
	assert_int_equal(c->authenticators, 2);
	assert_int_equal(c->listeners[0].tls, LISTEN_TLS_OFF);
	assert_int_equal(c->listeners[1].tls, LISTEN_TLS_OFFERED);
	assert_string_equal(c->listeners[1].client_ca, "/etc/postern/ca.pem");
	assert_int_equal(c->listeners[1].nclient_names, 2);
	assert_true(span_is(c->listeners[1].client_names[0], "gw2.example.org"));
	assert_int_equal(c->listeners[2].tls, LISTEN_TLS_REQUIRED);
	assert_true(c->listeners[2].auth && !c->listeners[1].auth);
	config_free(&c);
	/* a file of users that no listener asks for starts no process */
	c = parse(HEAD LISTEN "auth: {file: users.txt, processes: 3}\n");
	assert_non_null(c);
	assert_int_equal(c->authenticators, 0);
	config_free(&c);
}

static void
test_sts(void **state)
{
	struct config *c = parse(HEAD LISTEN);

	assert_non_null(c);
	assert_true(c->delivery.dane && c->delivery.sts && config_fetches(c));
	assert_int_equal(c->delivery.sts_port, 443);
	assert_int_equal(c->delivery.sts_timeout, 60000000);
	assert_string_equal(c->delivery.sts_cache, "/var/lib/postern/mta-sts");
	assert_false(c->reports.send);		/* in whose name? */
	config_free(&c);
	c = parse(HEAD LISTEN "delivery: {tls: {policy: dane}}\n");
	assert_true(c && c->delivery.dane && !c->delivery.sts && !config_fetches(c));
	config_free(&c);
	c = parse(HEAD LISTEN "delivery: {tls: {policy: mta-sts, mta_sts: {cache: c, timeout: 5s, port: 8443}}}\n");
	assert_true(c && !c->delivery.dane && c->delivery.sts);
	assert_string_equal(c->delivery.sts_cache, "/etc/postern/c");
	assert_int_equal(c->delivery.sts_timeout, 5000000);
	assert_int_equal(c->delivery.sts_port, 8443);
	config_free(&c);
}

#define OWN "domains: {example.org: {dkim: [{selector: s, key: k.pem, algorithm: rsa-sha256}]}, plain.example: {recipients: any}}\n"

/* Reports are sent when somebody has said in whose name, and a key can sign for him. */
static void
test_reports(void **state)
{
	static const struct { const char *text, *from; bool send; size_t warnings; } rows[] = {
		{ OWN, "", false, 0 },
		{ OWN "postmaster: pm@example.org\n", "pm@example.org", true, 0 },
		{ OWN "postmaster: pm@plain.example\n", "pm@plain.example", false, 0 },
		{ OWN "tls_reports: {from: TLS@EXAMPLE.org}\n", "TLS@example.org", true, 0 },
		{ OWN "tls_reports: {from: tls@plain.example}\n", "tls@plain.example", false, 1 },
		{ OWN "tls_reports: {from: tls@plain.example, send: true}\n", "tls@plain.example", true, 1 },
		{ OWN "postmaster: pm@example.org\ntls_reports: {send: false}\n", "pm@example.org", false, 0 },
	};

	size_t usual = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		struct config *c;

		snprintf(text, sizeof(text), "%s%s%s", HEAD, LISTEN, rows[i].text);
		if ((c = parse(text)) == NULL)
			fail_msg("%s: %s", text, diags.first ? diags.first->text : "");
		assert_true(span_is(c->reports.from, rows[i].from));
		assert_true(span_is(c->reports.contact, rows[i].from));
		if (i == 0)
			usual = diags.warnings;
		if (c->reports.send != rows[i].send || diags.warnings != usual + rows[i].warnings)
			fail_msg("%s: send %d, %zu warnings", rows[i].text, c->reports.send, diags.warnings);
		config_free(&c);
	}
}

/* What the administrator wrote, the line it must name, words it must say. */
static const struct slip { const char *text; unsigned line; const char *says, *hint; } slips[] = {
	{ HEAD "listenres: []\n" LISTEN, 3, "unknown key `listenres`", "did you mean `listeners`?" },
	{ "hostname: a.example\n" LISTEN, 1, "`version` is missing", NULL },
	{ "version: 2\n" LISTEN, 1, "version 1", NULL },
	{ HEAD LISTEN "delivery: {per_site: {rate: fast}}\n", 4, "`fast` is no rate", "600/m" },
	{ HEAD LISTEN "delivery: {per_site: {rate: 0/m}}\n", 4, "`0/m` is no rate", "600/m" },
	{ HEAD LISTEN "delivery: {per_site: {rate: 60}}\n", 4, "`60` is no rate", "600/m" },
	{ HEAD LISTEN "delivery: {per_site: {rate: 60/d}}\n", 4, "`60/d` is no rate", "600/m" },
	{ HEAD LISTEN "dkim_verify: 0\n", 4, "dkim_verify", NULL },
	{ HEAD LISTEN "public_addresses: [gw]\n", 4, "`gw` is no address", NULL },
	{ HEAD LISTEN "doctor: {blocklists: ['a b']}\n", 4, "`a b` is no domain name", NULL },
	{ HEAD LISTEN "domains: {a.example: {dkim: {manage: true}}}\n", 4, "unknown key `manage`", "did you mean `managed`?" },
	{ HEAD LISTEN "domains: {a.example: {dkim: [{selector: s, key: 'credential:a/b'}]}}\n", 4,
	    "`a/b` is no name of a credential", NULL },
	{ HEAD, 0, "`listeners` is missing", NULL },
	{ HEAD "listeners: []\n", 3, "empty", NULL },
	{ HEAD "listeners: [{name: a, address: '1.2.3.4:25', bare_newlines: normalize}]\n", 3,
	    "normalize", NULL },
	{ HEAD "listeners: [{name: a, address: '1.2.3.4:25', limits: {messages: 0}}]\n", 3, "1", NULL },
	{ HEAD "listeners: [{name: a, address: '10.0.0.1'}]\n", 3, "port", NULL },
	{ HEAD "listeners: [{name: a, address: 'x:25'}]\n", 3, "x", NULL },
	{ HEAD "networks: {exchange: [10.1.2.3]}\nlisteners:\n  - {name: a, address: '0.0.0.0:25',\n"
	    "     allow: [network:exchagne]}\n", 6, "no network `exchagne`", "did you mean `network:exchange`?" },
	{ HEAD "networks: {n: [10.1.2.3/8]}\n" LISTEN, 3, "10.1.2.3/8", NULL },
	{ HEAD LISTEN "delivery: {retry: [soon]}\n", 4, "soon", NULL },
	{ HEAD LISTEN "approvals: {url: 'http://gw.example.org/approve'}\n", 4, "over https only",
	    "https://gw1.example.org/approve" },
	{ HEAD LISTEN "approvals: {link: 'https://gw.example.org/'}\n", 4, "unknown key `link`", NULL },
	{ HEAD LISTEN "queue: {segment: 1GB}\n", 4, "64 MiB at most", NULL },
	{ HEAD LISTEN "delivery: {retry: []}\n", 4, "empty", NULL },
	{ HEAD LISTEN "delivery: {retry: {greylist: [5m]}}\n", 4, "greylist", "did you mean `greylisted`?" },
	{ HEAD LISTEN "delivery: {retry: {greylisted: 5m}}\n", 4, "a list of durations", NULL },
	{ HEAD LISTEN "delivery: {retry: {rate: [10ms]}}\n", 4, "sooner than one second", NULL },
	{ HEAD LISTEN "delivery: {retry: 5m}\n", 4, "greylisted: [...]", NULL },
	{ HEAD LISTEN "delivery: {port: 70000}\n", 4, "65535", NULL },
	{ HEAD LISTEN "domains: {ex ample: {}}\n", 4, "no domain name", NULL },
	{ HEAD LISTEN "domains: {a.example: {dkim: [{key: k}]}}\n", 4, "selector", NULL },
	{ HEAD LISTEN "domains: {a.example: {recipients: callout}}\n", 4, "`callout` asks the servers in `deliver_to`",
	    "deliver_to: [\"10.1.2.3:25\"]" },
	{ HEAD LISTEN "domains: {a.example: {recipients: calout}}\n", 4, "no way to check", "did you mean `callout`?" },
	{ HEAD LISTEN "domains: {a.example: {recipients: ldap}}\n", 4, "needs a `directory`", NULL },
	{ HEAD LISTEN "domains: {a.example: {recipients: {callout: {}, ldap: {}}, deliver_to: [a.b]}}\n", 4,
	    "one way to check", NULL },
	{ HEAD LISTEN "domains: {a.example: {recipients: {callout: {fuond: 1d}}, deliver_to: [a.b]}}\n", 4,
	    "unknown key `fuond`", "did you mean `found`?" },
	{ HEAD LISTEN "domains: {a.example: {recipients: {callout: {stale: 1h}}, deliver_to: [a.b]}}\n", 4,
	    "not less than `found`", NULL },
	{ HEAD LISTEN "domains: {a.example: {recipients: {callout: {timeout: 5m}}, deliver_to: [a.b]}}\n", 4,
	    "between 1s and 4m", "timeout: 20s" },
	{ HEAD LISTEN "domains: {a.example: {recipients: {callout: {probes: 0}}, deliver_to: [a.b]}}\n", 4, "1", NULL },
	{ HEAD LISTEN "domains: {a.example: {batv: {mode: refuse}}}\n", 4, "`batv` needs its `key`", NULL },
	{ HEAD LISTEN "domains: {a.example: {batv: {key: k, mod: refuse}}}\n", 4, "mod", "did you mean `mode`?" },
	{ HEAD LISTEN "domains: {a.example: {batv: {key: k, mode: refused}}}\n", 4, "refused", "did you mean `refuse`?" },
	{ HEAD LISTEN "domains: {a.example: {batv: {key: k, grace: 36h}}}\n", 4, "a number of days", NULL },
	{ HEAD LISTEN "domains: {a.example: {batv: {key: k, since: 2026-02-30}}}\n", 4, "the day senders began", NULL },
	{ HEAD LISTEN "domains: {a.example: {batv: {key: k, exempt: [\"a b\"]}}}\n", 4, "a b", NULL },
	{ HEAD LISTEN "domains: {a.example: {greylist: {delay: 3d}}}\n", 4, "comes back after `delay`", NULL },
	{ HEAD LISTEN "domains: {a.example: {greylist: {exempt: [network:none]}}}\n", 4, "no network `none`", NULL },
	{ HEAD LISTEN "antispam: {rspamd: filter.example}\n", 4, "is no address", NULL },
	{ HEAD LISTEN "antispam: {bayes: of}\n", 4, "of", NULL },
	{ HEAD LISTEN "antispam: {bayes: {minimun: 20}}\n", 4, "unknown key `minimun`", "did you mean `minimum`?" },
	{ HEAD LISTEN "antispam: {bayes: {minimum: 0}}\n", 4, "1", NULL },
	{ HEAD LISTEN "antispam: {bayes: {tokens: 10}}\n", 4, "4096", NULL },
	{ HEAD LISTEN "antispam: {bayes: {delivered: 101}}\n", 4, "100", NULL },
	{ HEAD LISTEN "antispam: {bayes: {remember: 1h}}\n", 4, "between one day and 366", NULL },
	{ HEAD LISTEN "antispam: {rspam: '127.0.0.1'}\n", 4, "unknown key `rspam`", "did you mean `rspamd`?" },
	{ HEAD LISTEN "antispam: {rspamd: '127.0.0.1', spamd: '127.0.0.1'}\n", 4, "one filter", NULL },
	{ HEAD LISTEN "antispam: {rspamd: {timeout: 1s}}\n", 4, "needs its `address`", NULL },
	{ HEAD LISTEN "antispam: {spamd: {address: '127.0.0.1', timeout: 1h}}\n", 4, "between 100ms and 5m", NULL },
	{ HEAD LISTEN "tls: {certificate: a}\n", 4, "`tls` needs its `key`", "key: tls/gw1.key" },
	{ HEAD LISTEN "tls: {certificate: a, key: b, minimum: '1.1'}\n", 4, "1.1", NULL },
	{ HEAD LISTEN "tls: {certificat: a, key: b}\n", 4, "unknown key `certificat`",
	    "did you mean `certificate`?" },
	{ HEAD "listeners: [{name: a, address: '1.2.3.4:25', tls: required}]\n", 3,
	    "TLS needs a certificate", NULL },
	{ HEAD TLS "listeners: [{name: a, address: '1.2.3.4:25', tls: offered, auth: file}]\n", 4,
	    "needs its file", NULL },
	{ HEAD TLS "auth: {file: u}\nlisteners: [{name: a, address: '1.2.3.4:25', auth: file}]\n", 5,
	    "passwords do not travel in clear", "tls: required" },
	{ HEAD TLS "auth: {file: u}\nlisteners: [{name: a, address: '1.2.3.4:25', tls: offered,"
	    " auth: ldap}]\n", 5, "needs its directory", "auth: {ldap: {directory: NAME}} at the top" },
	{ HEAD LISTEN "auth: {ldap: {}}\n", 4, "needs a `directory` at the top", NULL },
	{ HEAD LISTEN CORP "auth: {ldap: {directory: crop}}\n", 10, "no directory `crop`",
	    "did you mean `corp`?" },
	{ HEAD LISTEN CORP "auth: {ldap: {filter: (uid=x)}}\n", 10, "the same for every address",
	    NULL },
	{ HEAD LISTEN CORP "auth: {ldap: {filter: (uid=%x)}}\n", 10, "none of %m", NULL },
	{ HEAD LISTEN CORP "auth: {ldap: {filter: '(|(uid=%u)(mail=%m)'}}\n", 10,
	    "come in pairs", "(mail=%m)" },
	{ HEAD LISTEN CORP "delivery: {routes: {a.example: {ldap: {filter: (mail=%m)}}}}\n", 10,
	    "which `attribute`", "attribute: mailHost" },
	{ HEAD LISTEN "directory: {servers: [ldap://x.example]}\n", 4, "a directory has a name",
	    NULL },
	{ HEAD LISTEN "directory: {c: {servers: [dc1.example], base: dc=x}}\n", 4,
	    "written ldaps://HOST", "ldaps://dc1.example" },
	{ HEAD LISTEN "directory: {c: {server: [ldaps://dc1.example], base: dc=x}}\n", 4,
	    "unknown key `server`", "did you mean `servers`?" },
	{ HEAD LISTEN "directory: {c: {servers: [ldaps://d.example], base: nonsense}}\n", 4,
	    "not a distinguished name", NULL },
	{ HEAD LISTEN "directory: {c: {servers: [ldaps://d.example], base: dc=x, bind: cn=a}}\n", 4,
	    "anonymous (RFC 4513", "password_file: ldap.password" },
	{ HEAD LISTEN "directory: {c: {servers: [ldaps://d.example], base: dc=x, bind: cn=a,"
	    " password: geheim}}\n", 4, "does not stand in postern.yaml", "password_file: FILE" },
	{ HEAD LISTEN "delivery: {routes: {'a b': 10.0.0.1}}\n", 4,
	    "neither a domain nor an address", NULL },
	{ HEAD LISTEN "delivery: {routes: {a.example: [{too: 10.0.0.1}]}}\n", 4,
	    "unknown key `too`", "did you mean `to`?" },
	{ HEAD LISTEN "delivery: {routes: {a.example: {to: 10.0.0.1, weight: 2}}}\n", 4,
	    "belongs to one of several", NULL },
	{ HEAD LISTEN "delivery: {pools: {bulk: {}}, routes: {a.example: {pool: bulc}}}\n", 4,
	    "no pool `bulc`", "did you mean `bulk`?" },
	{ HEAD TLS "listeners: [{name: a, address: '1.2.3.4:25', tls: offered,"
	    " client_certificates: {ca: c}}]\n", 4, "needs the `names`", NULL },
	{ HEAD TLS "listeners: [{name: a, address: '1.2.3.4:25',"
	    " client_certificates: {ca: c, names: [n.example]}}]\n", 4, "need TLS", NULL },
	{ HEAD LISTEN "store: mysql://x\n", 4, "sqlite", NULL },
	{ HEAD LISTEN "store: postgresql://x\n", 4, "the user is missing", NULL },
	{ HEAD LISTEN "store: postgresql://p:geheim@10.0.0.1/p\n", 4, "a password does not stand", NULL },
	{ HEAD LISTEN "store: postgresql://p@db.example.org/p?sslmode=require\n", 4, "would believe any server", NULL },
	{ HEAD LISTEN "store: postgresql://p@db.example.org/p?sslmode=disable\n", 4, "in clear", NULL },
	{ HEAD LISTEN "store: postgresql://p@db.example.org/p?sslrotcert=x\n", 4, "sslrotcert", NULL },
	{ HEAD LISTEN "store: postgresql://p@db.example.org:99999/p\n", 4, "is no server", NULL },
	{ HEAD LISTEN "store: postgresql://p@127.0.0.1/p?connect_timeout=3\n", 4, "is not taken here", NULL },
	{ HEAD LISTEN "store: {base: \"sqlite:x\"}\n", 4, "PostgreSQL", NULL },
	{ HEAD LISTEN "store: {bas: \"postgresql://p@127.0.0.1/p\"}\n", 4, "bas", NULL },
	{ HEAD LISTEN "store: postgresql://p@127.0.0.1/p\n", 4, "nodes that share a base have numbers", NULL },
	{ HEAD LISTEN "journal: {records: 5m}\n", 4, "one hour", NULL },
	{ HEAD LISTEN "journal: {record: 5d}\n", 4, "record", "did you mean `records`?" },
	{ HEAD LISTEN "dns: {servers: [ns.example.org]}\n", 4, "address", NULL },
	{ HEAD LISTEN "dns: {trust_ancor: x}\n", 4, "trust_ancor", "did you mean `trust_anchor`?" },
	{ HEAD LISTEN "delivery: {tls: {policy: dain}}\n", 4, "dain", "did you mean `dane`?" },
	{ HEAD LISTEN "delivery: {tls: {policy: dane+mtasts}}\n", 4, "dane+mtasts", "did you mean `dane+mta-sts`?" },
	{ HEAD LISTEN "delivery: {tls: {mta_sts: {time: 1s}}}\n", 4, "unknown key `time`", NULL },
	{ HEAD LISTEN "delivery: {tls: {mta_sts: {timeout: 1h}}}\n", 4, "between 1s and 10m", NULL },
	{ HEAD LISTEN "tls_reports: {form: a@b.example}\n", 4, "unknown key `form`", "did you mean `from`?" },
	{ HEAD LISTEN "tls_reports: {from: nobody}\n", 4, "no mail address", NULL },
	{ HEAD LISTEN "tls_reports: {send: true}\n", 4, "need a sender", "from: postmaster@…" },
	{ HEAD LISTEN "dkim_missing: refuze\n", 4, "refuze", "did you mean `refuse`?" },
	{ HEAD LISTEN "antivirus: {engine: clamscan}\n", 4, "clamscan", NULL },
	{ HEAD LISTEN "antivirus: {engine: clamav}\n", 4, "clamav", "did you mean `clamd`?" },
	{ HEAD LISTEN "antivirus: {max_aeg: 3d}\n", 4, "unknown key `max_aeg`", "did you mean `max_age`?" },
	{ HEAD LISTEN "antivirus: {max_age: 1m}\n", 4, "between 1h and ten years", NULL },
	{ HEAD LISTEN "antivirus: {on_old: defre}\n", 4, "defre", "did you mean `defer`?" },
	{ HEAD LISTEN "antivirus: {max_age: 0, on_old: defer}\n", 4, "needs a `max_age`", NULL },
	{ HEAD LISTEN "antivirus: {reload: beneath}\n", 4, "beneath", NULL },
	{ HEAD LISTEN "antivirus: {engine: clamd, databases: x}\n", 4, "goes with `engine: libclamav`",
	    "clamd.conf says it: see docs/ANTIVIRUS.md" },
	{ HEAD LISTEN "antivirus: {socket: /run/x}\n", 4, "goes with `engine: clamd`", NULL },
	{ HEAD LISTEN "antivirus: {engine: clamd, socket: clamd.example.org}\n", 4, "address and port",
	    "/run/clamav/clamd.ctl, or 127.0.0.1:3310" },
	{ HEAD LISTEN "antivirus: {engine: clamd, max_size: 1kB}\n", 4, "between 1 MiB and 4 GiB", NULL },
	{ HEAD LISTEN "antivirus: {stamp: {trust: [10.0.0.1]}}\n", 4, "needs its `key`", NULL },
	{ HEAD LISTEN "antivirus: {stamp: {key: k, trust: [network:hubs]}}\n", 4, "no network `hubs`", NULL },
	{ HEAD LISTEN "antivirus: {stamp: {key: k, authenticated: yes}}\n", 4, "goes with `trust`", NULL },
	{ HEAD LISTEN "antivirus: {stamp: {key: k, expires: 30d}}\n", 4, "between 1m and 7d", NULL },
	{ HEAD LISTEN "hostname: twice.example\n", 4, "hostname", NULL },
	{ HEAD "listeners: [{name: a, address: '1.2.3.4:25'}, {name: a, address: '1.2.3.4:26'}]\n", 3,
	    "stands twice", NULL },
};

static void
test_slips(void **state)
{
	for (size_t i = 0; i < sizeof(slips) / sizeof(slips[0]); i++) {
		struct config *c = parse(slips[i].text);
		bool found = false;

		assert_null(c);
		for (const struct diag *d = diags.first; d; d = d->next)
			found |= d->level == DIAG_ERROR && strstr(d->text, slips[i].says) &&
			    d->line == slips[i].line &&
			    (!slips[i].hint || (d->hint && strcmp(d->hint, slips[i].hint) == 0));
		if (!found)
			print_error("slip %zu: %s\n", i, diags.first ? diags.first->text : "nothing said");
		assert_true(found);
	}
}

/* All errors at once. */
#define THREE "cluster: {nodes: {gw1: 1, gw2: {number: 7, address: root@10.0.0.2}, north-3: 127}}\n"

/* node.yaml, behind the form feed, is laid over postern.yaml. */
static void
test_node(void **state)
{
	struct config *c = parse(HEAD LISTEN TLS THREE "delivery: {hello: gw.example.org, port: 26}\n"
	    "\fnode: gw2\nhostname: gw2.example.org\nlisteners: {a: {address: '10.0.0.2:25'}}\n"
	    "delivery: {source: [10.0.0.2]}\n");

	assert_non_null(c);
	assert_true(span_is(c->node, "gw2"));
	assert_int_equal(c->node_number, 7);
	assert_int_equal(c->nnodes, 3);
	assert_true(span_is(c->nodes[1].address, "root@10.0.0.2"));
	assert_true(span_is(config_node_name(c, 127), "north-3"));
	assert_true(span_is(config_node_name(c, 2), ""));
	assert_true(span_is(c->hostname, "gw2.example.org"));
	assert_int_equal(c->listeners[0].port, 25);
	assert_true(span_is(c->listeners[0].name, "a"));
	assert_int_equal(c->delivery.port, 26);
	assert_int_equal(c->delivery.nsources, 1);
	config_free(&c);

	/* A list: numbers by place. Alone: the host's name, and no number. */
	c = parse(HEAD LISTEN "cluster: {nodes: [a, b]}\nnode: b\n");
	assert_non_null(c);
	assert_int_equal(c->node_number, 2);
	config_free(&c);
	c = parse(HEAD LISTEN);
	assert_non_null(c);
	assert_true(span_is(c->node, "gw.example.org"));
	assert_int_equal(c->node_number, 0);
	config_free(&c);
}

static void
said(const char *text, const char *what, const char *file, uint32_t line)
{
	assert_null(parse(text));
	assert_non_null(diags.first);
	if (strstr(diags.first->text, what) == NULL)
		fail_msg("`%s` instead of `%s`", diags.first->text, what);
	assert_string_equal(diags.first->file->name, file);
	assert_int_equal(diags.first->line, line);
}

static void
test_node_slips(void **state)
{
	said(HEAD THREE, "`gw.example.org` is none of", "postern.yaml", 3);
	said(HEAD THREE "\f\n\nnode: gw4\n", "`gw4` is none of", "node.yaml", 3);
	said(HEAD "cluster: {nodes: {a: 1, b: 1}}\nnode: a\n", "`a` and `b` have the same number", "postern.yaml", 3);
	said(HEAD "cluster: {nodes: [a, a]}\nnode: a\n", "the same name", "postern.yaml", 3);
	said(HEAD "cluster: {nodes: {a: 128}}\nnode: a\n", "127", "postern.yaml", 3);
	said(HEAD "cluster: {nodes: {a: 0}}\nnode: a\n", "from 1 to 127", "postern.yaml", 3);
	said(HEAD "node: Gw1\n", "no name of a node", "postern.yaml", 3);
	said(HEAD LISTEN "\flisteners: {b: {address: '10.0.0.2:25'}}\n", "the name of no entry", "node.yaml", 1);
	said(HEAD "\fhostnam: x\n", "unknown key `hostnam`", "node.yaml", 1);
	said(HEAD "cluster: {nodes: {a: {number: 1, address: -oProxyCommand=x}}}\nnode: a\n", "no address",
	    "postern.yaml", 3);
}

static void
test_all_at_once(void **state)
{
	assert_null(parse(HEAD "runn: /x\nspooool: /y\nlisteners: [{name: a}]\nscanners: {processes: many}\n"));
	assert_true(diags.errors >= 4);
}

static int
setup(void **state)
{
	arena = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

static void
test_clients(void **state)
{
	struct config *c = parse(HEAD
	    "networks: {lb: [192.0.2.1], mail: {addresses: [10.1.2.3], from: [example.org, .Sub.example]}}\n"
	    "limits: {memory: 64MB, sessions: 500}\n"
	    "listeners:\n"
	    "  - {name: a, address: '0.0.0.0:25', direction: auto, allow: [network:mail],\n"
	    "     proxy_protocol: [network:lb], xclient: [127.0.0.0/8], hostname: mx.example.org,\n"
	    "     banner: 'ESMTP at your service'}\n"
	    "  - {name: b, address: '0.0.0.0:26', allow: [10.0.0.0/8]}\n");

	assert_non_null(c);
	assert_int_equal(diags.warnings, 0);
	assert_int_equal(c->limits.memory, 64000000);
	assert_int_equal(c->limits.sessions, 500);
	assert_int_equal(c->listeners[0].proxy.n, 1);
	assert_true(span_is(c->listeners[0].proxy.names[0], "lb"));
	assert_int_equal(c->listeners[0].xclient.n, 1);
	assert_true(span_is(c->listeners[0].hostname, "mx.example.org"));
	assert_true(span_is(c->listeners[0].banner, "ESMTP at your service"));
	assert_true(span_is(c->listeners[1].hostname, "gw.example.org"));
	assert_true(span_is(c->listeners[1].banner, "ESMTP Postern"));
	assert_int_equal(config_network(c, SPAN_LIT("mail"))->nfrom, 2);
	assert_true(span_is(config_network(c, SPAN_LIT("mail"))->from[1], ".sub.example"));
	assert_int_equal(config_network(c, SPAN_LIT("lb"))->nfrom, 0);
	config_free(&c);
	/* Defaults of the limits over all. */
	c = parse(HEAD LISTEN);
	assert_int_equal(c->limits.memory, 1000000000);
	assert_int_equal(c->limits.sessions, 10000);
	config_free(&c);
}

static void
test_client_errors(void **state)
{
	static const char *const bad[] = {
		"networks: {a: {from: [x.example]}}\n",
		"networks: {a: {addresses: [10.1.2.3], from: []}}\n",
		"networks: {a: {addresses: [10.1.2.3], from: ['a b']}}\n",
		"networks: {a: {adresses: [10.1.2.3]}}\n",
		"limits: {memory: 100}\n",
		"limits: {memroy: 1GB}\n",
		NULL };
	static const char *const listener[] = { "proxy_protocol: [network:none]",
		"proxy_protocol: yes", "xclient: [1.2.3]", "hostname: 'a b'", "banner: \"a\\nb\"", NULL };
	char text[512];

	for (size_t i = 0; bad[i]; i++) {
		snprintf(text, sizeof(text), HEAD LISTEN "%s", bad[i]);
		if (parse(text))
			fail_msg("taken: %s", bad[i]);
		assert_true(diags.first->line > 0);
	}
	for (size_t i = 0; listener[i]; i++) {
		snprintf(text, sizeof(text), HEAD "listeners: [{name: a, address: '127.0.0.1:25', %s}]\n",
		    listener[i]);
		if (parse(text))
			fail_msg("taken: %s", listener[i]);
	}
}

/* A list is for all classes; a map names some, the others take its default or their own. */
static void
test_retry(void **state)
{
	struct config *c = parse(HEAD LISTEN "delivery: {retry: {greylisted: [6m, 7m]}}\n");

	assert_non_null(c);
	assert_true(retry_pause(c->delivery.retry, RETRY_GREYLISTED, 2) == INT64_C(420000000));
	assert_true(retry_pause(c->delivery.retry, RETRY_MAILBOX_FULL, 1) == INT64_C(3600000000));
	assert_true(retry_pause(c->delivery.retry, RETRY_DEFAULT, 1) == INT64_C(60000000));
	c = parse(HEAD LISTEN "delivery: {retry: {default: [2m], rate: [9m]}}\n");
	assert_non_null(c);
	assert_true(retry_pause(c->delivery.retry, RETRY_RATE, 5) == INT64_C(540000000));
	assert_true(retry_pause(c->delivery.retry, RETRY_MAILBOX_FULL, 1) == INT64_C(120000000));
	c = parse(HEAD LISTEN "delivery: {retry: [3m]}\n");
	assert_non_null(c);
	for (int i = 0; i < RETRY_CLASSES; i++)
		assert_true(retry_pause(c->delivery.retry, (enum retry_class)i, 1) ==
		    INT64_C(180000000));
	c = parse(HEAD LISTEN);
	assert_non_null(c);
	assert_true(retry_pause(c->delivery.retry, RETRY_GREYLISTED, 1) == INT64_C(300000000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_client_errors),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_tls), cmocka_unit_test(test_retry),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_sts),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_slips),
		cmocka_unit_test(test_node),
		cmocka_unit_test(test_node_slips),
		cmocka_unit_test(test_all_at_once),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
