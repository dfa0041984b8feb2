/* postfix_yaml.c -- main.cf and master.cf as postern.yaml; see postfix_import.h. */
#include <string.h>

#include "addr.h"
#include "cli/postfix_import.h"
#include "conf.h"

#define DOMAINS_MAX 5000

static void
comment(struct pf_import *im, const struct pf_param *p)
{
	struct buf *o = &im->yaml;

	if (p == NULL || p->line == 0)
		return;
	buf_printf(o, "# main.cf:%u: " SPAN_FMT " = ", p->line, SPAN_ARG(p->name));
	for (size_t i = 0; i < p->value.n && i < 200; i++)
		buf_putc(o, (unsigned char)p->value.p[i] < ' ' ? ' ' : p->value.p[i]);
	buf_puts(o, p->value.n > 200 ? " ...\n" : "\n");
}

static bool
number(struct span s, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || *out > UINT64_MAX / 100)
			return false;
		*out = *out * 10 + (uint64_t)(s.p[i] - '0');
	}
	return s.n > 0;
}

/* "[host]:25", "host:smtp", "host" as ours; in brackets: no MX. Empty: none. */
static struct span
next_hop(struct pf_import *im, struct span s, bool *mx)
{
	struct span host, port = { 0 }, name;
	uint64_t n = 25;
	struct ip ip;

	*mx = true;
	if (s.n && s.p[0] == '[') {
		size_t end = span_find(s, ']');

		host = span_sub(s, 1, end - 1);
		if (end < s.n && span_from(s, end + 1).n)
			port = span_from(s, end + 2);
		*mx = false;
	} else {
		size_t colon = span_find(s, ':');

		host = span_sub(s, 0, colon);
		if (colon < s.n)
			port = span_from(s, colon + 1);
	}
	if (span_starts_nocase(host, SPAN_LIT("ipv6:")))
		host = span_from(host, 5);
	if (port.n && !number(port, &n))
		n = span_is(port, "submission") ? 587 : span_is(port, "smtp") ? 25 : 0;
	if (n == 0 || n > 65535)
		return (struct span){ 0 };
	if (ip_parse(host, &ip)) {
		*mx = false;
		return span_str(arena_printf(im->a, ip.family == 6 ? "[" SPAN_FMT "]:%u" : SPAN_FMT ":%u", SPAN_ARG(host), (unsigned)n));
	}
	if (!domain_normalise(im->a, host, &name))
		return (struct span){ 0 };
	return span_str(arena_printf(im->a, SPAN_FMT ":%u", SPAN_ARG(name), (unsigned)n));
}

/* ---- networks and listeners ---- */

static void
networks(struct pf_import *im)
{
	struct pf_param *p;
	struct span list = pf_take(im, "mynetworks", &p), w;
	bool first = true;

	buf_putc(&im->yaml, '\n');
	comment(im, p);
	buf_puts(&im->yaml, "networks:\n  internal: [");
	if (p == NULL) {
		buf_puts(&im->yaml, "127.0.0.1, \"::1\"");
		pf_leave(im, PF_LOST, "main.cf", 0, SPAN_LIT("mynetworks"), "is not set: Postfix then takes the machine's own networks "
		    "(mynetworks_style). Write who may relay under `networks`");
	}
	while (p && pf_word(&list, &w)) {
		struct span plain = w;
		struct cidr c;
		size_t end;

		if (w.p[0] == '[' && (end = span_find(w, ']')) < w.n)
			plain = span_str(arena_printf(im->a, SPAN_FMT SPAN_FMT, SPAN_ARG(span_sub(w, 1, end - 1)), SPAN_ARG(span_from(w, end + 1))));
		if (cidr_parse(plain, &c, NULL) == -1) {
			pf_leave(im, PF_LOST, "main.cf", p->line, w, w.p[0] == '!' ? "exceptions within networks: write the networks without it" :
			    "no address and no network: write what it holds under `networks`");
			continue;
		}
		buf_printf(&im->yaml, "%s%s", first ? "" : ", ", pf_quote(im->a, plain));
		first = false;
	}
	buf_puts(&im->yaml, "]\n");
}

static const char *
own_address(struct pf_import *im)
{
	struct pf_param *p;
	struct span list = pf_take(im, "inet_interfaces", &p), w;
	struct ip ip;
	char text[IP_TEXT_MAX];

	if (p == NULL || !pf_word(&list, &w) || span_is(w, "all"))
		return "0.0.0.0";
	if (span_is(w, "loopback-only") || span_is(w, "localhost"))
		return "127.0.0.1";
	if (list.n)
		pf_leave(im, PF_LOST, "main.cf", p->line, span_trim(list), "further addresses: a listener for each");
	if (ip_parse(w, &ip))
		return arena_printf(im->a, ip.family == 6 ? "[%s]" : "%s", ip_format(ip, text));
	pf_leave(im, PF_LOST, "main.cf", p->line, w, "a name: write its address into the listener");
	return "0.0.0.0";
}

static bool
service_port(struct pf_import *im, struct span name, const char *own, const char **address)
{
	struct span host, port = name;
	uint64_t n = 0;
	size_t colon = name.n;

	while (colon > 0 && name.p[colon - 1] != ':')
		colon--;
	if (colon > 0) {
		host = span_sub(name, 0, colon - 1);
		port = span_from(name, colon);
		own = arena_str(im->a, host);
	}
	if (!number(port, &n))
		n = span_is(port, "smtp") ? 25 : span_is(port, "submission") ? 587 : span_is(port, "smtps") || span_is(port, "submissions") ? 465 : 0;
	*address = arena_printf(im->a, "%s:%u", own, (unsigned)n);
	return n > 0 && n < 65536;
}

/* What a service of Postfix's own is called, as it ships. */
static bool
is_standard(const struct pf_service *s)
{
	static const char *const own[] = { "pickup", "cleanup", "qmgr", "oqmgr", "tlsmgr", "trivial-rewrite", "bounce", "flush", "proxymap",
		"smtp", "showq", "error", "discard", "local", "virtual", "lmtp", "anvil", "scache", "postlogd", "verify", "dnsblog",
		"tlsproxy", "postscreen" };

	if (span_is(s->type, "inet"))
		return false;
	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
		if (span_is(s->command, own[i]))
			return true;
	return false;
}

static void
listeners(struct pf_import *im, bool inbound, struct span size)
{
	const char *own = own_address(im), *address;
	unsigned n = 0;

	buf_puts(&im->yaml, "\nlisteners:\n");
	for (size_t i = 0; i < im->nservices; i++) {
		const struct pf_service *s = &im->services[i];

		if (s->bad) {
			pf_leave(im, PF_LOST, "master.cf", s->line, s->name, "not eight columns: Postfix does not understand it either");
			continue;
		}
		if (!span_is(s->type, "inet") || (!span_is(s->command, "smtpd") && !span_is(s->command, "postscreen"))) {
			if (!is_standard(s))
				pf_leave(im, PF_LOST, "master.cf", s->line, s->name, "a service (" SPAN_FMT ") that Postern has not", SPAN_ARG(s->command));
			else if (s->args.n)
				pf_leave(im, PF_LOST, "master.cf", s->line, span_str(arena_printf(im->a, SPAN_FMT " " SPAN_FMT, SPAN_ARG(s->name),
				    SPAN_ARG(s->args))), "options of a service of Postfix's own");
			continue;
		}
		if (!service_port(im, s->name, own, &address)) {
			pf_leave(im, PF_LOST, "master.cf", s->line, s->name, "no port is known by that name");
			continue;
		}
		if (s->args.n)
			pf_leave(im, PF_LOST, "master.cf", s->line, s->args, "options of this listener: see `tls`, `auth`, `allow`, `limits` of listeners");
		buf_printf(&im->yaml, "  # master.cf:%u: " SPAN_FMT " inet " SPAN_FMT "\n  - name: postfix-%u\n    address: \"%s\"\n    direction: %s\n"
		    "    allow: [network:internal]\n", s->line, SPAN_ARG(s->name), SPAN_ARG(s->command), ++n, address, inbound ? "auto" : "outbound");
		if (size.n)
			buf_printf(&im->yaml, "    max_size: " SPAN_FMT "\n", SPAN_ARG(size));
	}
	if (n == 0) {
		buf_printf(&im->yaml, "  # master.cf has no smtpd that listens\n  - {name: smart-host, address: \"%s:8025\", direction: outbound, "
		    "allow: [network:internal]}\n", "127.0.0.1");
	}
}

/* ---- domains and routes ---- */

struct names {
	struct span v[DOMAINS_MAX];
	size_t n;
};

static void
add_domain(struct pf_import *im, struct names *d, const char *file, uint32_t line, struct span s)
{
	struct span name;

	if (!domain_normalise(im->a, s, &name)) {
		pf_leave(im, PF_LOST, file, line, s, "no domain name");
		return;
	}
	for (size_t i = 0; i < d->n; i++)
		if (span_eq(d->v[i], name))
			return;
	if (d->n == DOMAINS_MAX)
		pf_leave(im, PF_LOST, file, line, s, "more than %d domains", DOMAINS_MAX);
	else
		d->v[d->n++] = name;
}

static void
relay_domains(struct pf_import *im, struct names *d, struct pf_param **p)
{
	struct span list = pf_take(im, "relay_domains", p), w;

	while (*p && pf_word(&list, &w)) {
		struct pf_source src;
		struct pf_entry *e;
		size_t n;

		if (span_find(w, ':') == w.n && span_find(w, '/') == w.n) {
			add_domain(im, d, "main.cf", (*p)->line, w);
			continue;
		}
		if (!pf_open(im, *p, w, &src))
			continue;
		if (pf_is_pattern(&src) || pf_table(im->a, src.text, &e, &n) == -1) {
			pf_leave(im, PF_LOST, src.name, 0, w, "patterns over domains: write the domains");
			continue;
		}
		for (size_t i = 0; i < n; i++)
			add_domain(im, d, src.name, e[i].line, e[i].key);
	}
}

/* "ldap:/etc/postfix/x.cf", "proxy:ldap:x": what stands behind. */
static bool
is_ldap(struct span map, struct span *name)
{
	if (span_starts(map, SPAN_LIT("proxy:")))
		map = span_from(map, 6);
	*name = span_from(map, 5);
	return span_starts(map, SPAN_LIT("ldap:"));
}

/* Into the file of recipients, or a directory; false: there is no map, so every address is taken. Who exists
 * is said by one of both. */
static bool
recipients(struct pf_import *im)
{
	struct pf_param *p;
	struct span list = pf_take(im, "relay_recipient_maps", &p), w;
	bool any = false;

	while (p && pf_word(&list, &w)) {
		struct pf_source src;
		struct pf_entry *e;
		struct span name;
		size_t n;

		any = true;
		if (is_ldap(w, &name)) {
			if (buf_size(&im->recipients) || im->ldap_filter)
				pf_leave(im, PF_LOST, "main.cf", p->line, w, "one source says who exists: the file of the other "
				    "maps, one directory, or `recipients: callout`");
			else
				pf_ldap(im, p, w, name);
			continue;
		}
		if (im->ldap_filter) {
			pf_leave(im, PF_LOST, "main.cf", p->line, w, "one source says who exists: the directory in front of it");
			continue;
		}
		if (!pf_open(im, p, w, &src))
			continue;
		if (pf_is_pattern(&src) || pf_table(im->a, src.text, &e, &n) == -1) {
			pf_leave(im, PF_LOST, src.name, 0, w, "patterns over addresses: write the addresses, or `recipients: callout`");
			continue;
		}
		buf_printf(&im->recipients, "# %s\n", src.path);
		for (size_t i = 0; i < n; i++) {
			struct span key = e[i].key, local, domain;

			if (key.n > 1 && key.p[0] == '@')
				buf_printf(&im->recipients, SPAN_FMT "\n", SPAN_ARG(span_from(key, 1)));
			else if (mailaddr_split(key, &local, &domain))
				buf_printf(&im->recipients, SPAN_FMT "\n", SPAN_ARG(key));
			else
				pf_leave(im, PF_LOST, src.name, e[i].line, key, "no address");
		}
	}
	return any;
}

/* A line of the transport table into the routes; `lines` is delivery.routes. */
static void
transport_line(struct pf_import *im, const char *file, const struct pf_entry *e, struct buf *lines)
{
	size_t colon = span_find(e->value, ':');
	struct span kind = span_sub(e->value, 0, colon), hop = span_from(e->value, colon + 1), to, name;
	bool mx, star = span_is(e->key, "*");

	if (colon == e->value.n) {
		kind = e->value;
		hop = (struct span){ 0 };
	}
	if (span_is(kind, "error") || span_is(kind, "discard") || span_is(kind, "hold") || span_is(kind, "retry")) {
		const char *why = "", *then = pf_action(im, file, e->line, span_is(kind, "error") ? SPAN_LIT("REJECT") :
		    span_is(kind, "discard") ? SPAN_LIT("DISCARD") : span_is(kind, "hold") ? SPAN_LIT("HOLD") : SPAN_LIT("DEFER"), hop,
		    (struct span){ 0 }, &why);

		pf_rule_begin(im, file, e->line, e->value, "");
		if (star)
			buf_printf(&im->rules, "    then: %s\n", then);
		else
			buf_printf(&im->rules, "    when: {to: [%s]}\n    then: %s\n", pf_quote(im->a, e->key), then);
		return;
	}
	if (kind.n && !span_is(kind, "smtp") && !span_is(kind, "relay") && !span_is(kind, "esmtp")) {
		pf_leave(im, PF_LOST, file, e->line, e->value, "mail is delivered by SMTP alone: `" SPAN_FMT "` is none of it", SPAN_ARG(kind));
		return;
	}
	if (hop.n == 0) {
		pf_leave(im, star ? PF_NOTHING : PF_DIFFERS, file, e->line, e->key, "by MX, as without a route; a route for all (\"*\") or for a "
		    ".domain above it would count here");
		return;
	}
	if (!star && span_find(e->key, '@') == e->key.n && !domain_normalise(im->a, span_from(e->key, e->key.n && e->key.p[0] == '.'), &name)) {
		pf_leave(im, PF_LOST, file, e->line, e->key, "no address, no domain");
		return;
	}
	to = next_hop(im, hop, &mx);
	if (to.n == 0) {
		pf_leave(im, PF_LOST, file, e->line, e->value, "the next hop is not understood");
		return;
	}
	buf_printf(lines, "    # %s:%u: " SPAN_FMT " " SPAN_FMT "\n    %s: [%s]\n", file, e->line, SPAN_ARG(e->key), SPAN_ARG(e->value),
	    pf_quote(im->a, e->key), pf_quote(im->a, to));
	if (mx)
		pf_leave(im, PF_DIFFERS, file, e->line, e->value, "without brackets Postfix asks for the MX of that name; Postern for its address");
}

static void
routes(struct pf_import *im, struct buf *lines)
{
	struct pf_param *p;
	struct span list = pf_take(im, "transport_maps", &p), w, relay;
	bool star = false, mx;

	while (p && pf_word(&list, &w)) {
		struct pf_source src;
		struct pf_entry *e;
		size_t n;

		if (!pf_open(im, p, w, &src))
			continue;
		if (pf_is_pattern(&src) || pf_table(im->a, src.text, &e, &n) == -1) {
			pf_leave(im, PF_LOST, src.name, 0, w, "patterns over addresses: write the domains under `delivery: {routes}`");
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			if (e[i].bad)
				pf_leave(im, PF_LOST, src.name, e[i].line, e[i].key, "a key without a transport");
			else
				transport_line(im, src.name, &e[i], lines);
			star |= span_is(e[i].key, "*");
		}
	}
	relay = pf_take(im, "relayhost", &p);
	if (p && relay.n && !star) {
		struct span to = next_hop(im, relay, &mx);

		if (to.n)
			buf_printf(lines, "    # main.cf:%u: relayhost = " SPAN_FMT "\n    \"*\": [%s]\n", p->line, SPAN_ARG(relay), pf_quote(im->a, to));
		else
			pf_leave(im, PF_LOST, "main.cf", p->line, relay, "the next hop is not understood");
		if (mx && to.n)
			pf_leave(im, PF_DIFFERS, "main.cf", p->line, relay, "without brackets Postfix asks for the MX of that name; Postern for its address");
	}
}

static void
domains(struct pf_import *im, const struct names *d, const struct pf_param *p, bool listed)
{
	if (d->n == 0)
		return;
	buf_putc(&im->yaml, '\n');
	comment(im, p);
	buf_puts(&im->yaml, "domains:\n");
	for (size_t i = 0; i < d->n; i++)
		buf_printf(&im->yaml, "  " SPAN_FMT ": {recipients: %s, dkim: {managed: true, check: true}}\n", SPAN_ARG(d->v[i]),
		    im->ldap_filter ? arena_printf(im->a, "{ldap: {directory: postfix, filter: %s}}", im->ldap_filter) :
		    listed ? "\"file:recipients-postfix.txt\"" : "any");
}

/* A duration of Postfix: 5d, 4h, a bare number in its unit. */
static struct span
duration(struct pf_import *im, const char *name, char unit, struct pf_param **p)
{
	struct span v = pf_take(im, name, p);
	int64_t us;
	uint64_t n;

	if (*p && number(v, &n))
		return span_str(arena_printf(im->a, SPAN_FMT "%c", SPAN_ARG(v), unit));
	if (*p && !parse_duration(v, &us)) {
		pf_leave(im, PF_LOST, "main.cf", (*p)->line, v, "no time");
		*p = NULL;
	}
	return v;
}

static struct span
own_source(struct pf_import *im, const char *name)
{
	struct pf_param *p;
	struct span s = pf_take(im, name, &p);
	struct ip ip;

	if (p == NULL || s.n == 0 || ip_parse(s, &ip))
		return s;
	pf_leave(im, PF_LOST, "main.cf", p->line, s, "no address");
	return (struct span){ 0 };
}

static void
delivery(struct pf_import *im)
{
	struct buf lines, *o = &im->yaml;
	struct span s, six, level;
	struct pf_param *p;
	uint64_t n;

	buf_init(&lines, 8u << 20);
	routes(im, &lines);
	buf_puts(o, "\ndelivery:\n");
	if (buf_size(&lines)) {
		buf_puts(o, "  routes:\n");
		buf_span(o, buf_data(&lines));
	}
	buf_release(&lines);
	s = pf_take(im, "smtp_helo_name", &p);
	if (p && s.n && domain_normalise(im->a, s, &s))
		buf_printf(o, "  hello: " SPAN_FMT "          # main.cf:%u\n", SPAN_ARG(s), p->line);
	s = own_source(im, "smtp_bind_address");
	six = own_source(im, "smtp_bind_address6");
	if (s.n || six.n)
		buf_printf(o, "  source: [%s%s%s]\n", s.n ? pf_quote(im->a, s) : "", s.n && six.n ? ", " : "", six.n ? pf_quote(im->a, six) : "");
	s = duration(im, "maximal_queue_lifetime", 'd', &p);
	if (p)
		buf_printf(o, "  expire: " SPAN_FMT "              # main.cf:%u\n", SPAN_ARG(s), p->line);
	s = duration(im, "delay_warning_time", 'h', &p);
	if (p && !span_is(s, "0h"))
		buf_printf(o, "  delay_notice: " SPAN_FMT "        # main.cf:%u\n", SPAN_ARG(s), p->line);
	s = pf_take(im, "smtp_destination_concurrency_limit", &p);
	if (p == NULL)
		s = pf_take(im, "default_destination_concurrency_limit", &p);
	if (p && number(s, &n) && n > 0 && n <= 1000)
		buf_printf(o, "  per_site: {connections: %u}       # main.cf:%u\n", (unsigned)n, p->line);
	level = pf_take(im, "smtp_tls_security_level", &p);
	if (p && level.n == 0)
		level = SPAN_LIT("none");
	buf_printf(o, "  tls: {policy: %s, floor: %s}\n", span_starts(level, SPAN_LIT("dane")) ? "dane+mta-sts" : "mta-sts",
	    span_is(level, "encrypt") ? "encrypted" : span_is(level, "none") ? "none" : "opportunistic");
	if (p && !span_is(level, "may") && !span_is(level, "none") && !span_is(level, "encrypt") && !span_is(level, "dane"))
		pf_leave(im, PF_LOST, "main.cf", p->line, level, "a level for all: a rule with require_tls says it");
	if (span_starts(level, SPAN_LIT("dane")))
		buf_puts(o, "dns: {dnssec: true}\n");
}

void
pf_write_yaml(struct pf_import *im)
{
	struct names *d = arena_zalloc(im->a, sizeof(*d));
	struct pf_param *p, *q, *rd;
	struct span s, size;
	uint64_t n;
	bool listed;

	s = pf_take(im, "myhostname", &p);
	buf_puts(&im->yaml, "# postern.yaml, from Postfix by `postern import postfix`. What is not in it: NOT-TRANSLATED.txt.\nversion: 1\n\n");
	comment(im, p);
	if (s.n && domain_normalise(im->a, s, &s))
		buf_printf(&im->yaml, "hostname: " SPAN_FMT "\n", SPAN_ARG(s));
	buf_puts(&im->yaml, "run: /run/postern\nspool: /var/spool/postern\nstore: sqlite:/var/lib/postern/store.db\npolicy: policy.d\n");
	buf_printf(&im->yaml, "postmaster: %s\n", pf_quote(im->a, span_str(im->admin)));
	relay_domains(im, d, &rd);
	networks(im);
	s = pf_take(im, "smtpd_tls_cert_file", &p);
	size = pf_take(im, "smtpd_tls_key_file", &q);
	if (p && s.n) {
		comment(im, p);
		buf_printf(&im->yaml, "tls: {certificate: %s, key: %s}\n", pf_quote(im->a, s), pf_quote(im->a, q && size.n ? size : s));
		pf_leave(im, PF_DIFFERS, "main.cf", p->line, p->name, "say `tls: offered` in the listeners once postern may read both");
	}
	size = pf_take(im, "message_size_limit", &p);
	if (p && (!number(size, &n) || n == 0 || n > UINT64_C(1) << 30)) {
		pf_leave(im, PF_LOST, "main.cf", p->line, size, "no limit, or above 1 GiB, which is the most");
		size = (struct span){ 0 };
	}
	listeners(im, d->n > 0, size);
	listed = recipients(im);
	domains(im, d, rd, listed && d->n);
	delivery(im);
	buf_puts(&im->yaml, "antivirus: {engine: off}          # docs/ANTIVIRUS.md\nlog: {to: journal}\n");
}
