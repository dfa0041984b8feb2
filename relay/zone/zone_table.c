/* zone_table.c -- what the DNS must say about a domain; see zone.h. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "addr.h"
#include "fetcher/sts_policy.h"
#include "fetcher/sts_record.h"
#include "signer/dkim_record.h"
#include "signer/dkim_ring.h"
#include "store/tlsrpt_record.h"
#include "zone/zone.h"

const char *
zone_verdict_word(enum zone_verdict v)
{
	static const char *const words[] = { [ZONE_UNCHECKED] = "-", [ZONE_OK] = "ok",
		[ZONE_NOTE] = "optional", [ZONE_MISSING] = "missing", [ZONE_WRONG] = "wrong",
		[ZONE_UNKNOWN] = "unknown" };

	return words[v];
}

static struct zone_line *
line(struct zone *z, const struct zone_topic *t, const char *name, const char *type,
    const char *value)
{
	struct zone_line *l;

	z->lines = arena_grow(z->a, z->lines, z->n * sizeof(*z->lines), (z->n + 1) * sizeof(*z->lines));
	l = &z->lines[z->n++];
	*l = (struct zone_line){ .topic = t, .name = name, .type = type, .value = span_str(value),
		.detail = "" };
	return l;
}

static char *
under(struct zone *z, const char *label)
{
	return arena_printf(z->a, "%s." SPAN_FMT, label, SPAN_ARG(z->name));
}

static const char *
hello(const struct zone *z)
{
	return arena_str(z->a, z->conf->delivery.hello);
}

/* Do we take mail from the Internet? Then the MX and what belongs to it is our business. */
static bool
receives(const struct zone *z)
{
	for (size_t i = 0; i < z->conf->nlisteners; i++)
		if (z->conf->listeners[i].direction != LISTEN_OUTBOUND)
			return true;
	return false;
}

const struct dns_answer *
zone_ask(struct zone *z, const char *name, uint16_t type)
{
	static const struct dns_answer nothing = { .status = DNS_TIMEOUT };
	const struct dns_answer *a = z->answers->ask(z->answers->ctx, name, type);

	z->pending |= a == NULL;
	return a ? a : &nothing;
}

/* The question of a line; its verdict is set when there is no answer to look at. */
static bool
ask(struct zone *z, struct zone_line *l, uint16_t type, struct dns_answer *a)
{
	struct dns_answer *kept = arena_alloc(z->a, sizeof(*kept));

	*kept = *zone_ask(z, l->name, type);
	*a = *kept;
	l->seen = kept;
	if (a->status >= DNS_SERVFAIL) {
		l->verdict = ZONE_UNKNOWN;
		l->detail = dns_status_text(a->status);
		return false;
	}
	if (a->n == 0) {
		l->verdict = l->topic->optional ? ZONE_NOTE : ZONE_MISSING;
		return false;
	}
	return true;
}

static void
verdict(struct zone_line *l, bool ok, const char *detail)
{
	l->verdict = ok ? ZONE_OK : ZONE_WRONG;
	l->detail = ok ? "" : detail;
}

/* ---- address and reverse name of this gateway ---- */

/* As the Internet sees them: public_addresses where addresses are translated on the way, else what we send from. */
const struct ip *
zone_addresses(const struct config *c, size_t *n)
{
	*n = c->npublic ? c->npublic : c->delivery.nsources;
	return c->npublic ? c->public_addresses : c->delivery.sources;
}

static void
advise_address(struct zone *z, const struct zone_topic *t)
{
	char text[IP_TEXT_MAX];
	size_t n;
	const struct ip *own = zone_addresses(z->conf, &n);

	for (size_t i = 0; i < n; i++) {
		const struct ip *ip = &own[i];

		line(z, t, hello(z), ip->family == 4 ? "A" : "AAAA",
		    arena_printf(z->a, "%s", ip_format(*ip, text)))->what = ip;
	}
}

static void
check_address(struct zone *z, struct zone_line *l)
{
	const struct ip *ip = l->what;
	struct dns_answer a;
	bool found = false;

	if (!ask(z, l, ip->family == 4 ? DNS_A : DNS_AAAA, &a))
		return;
	for (size_t i = 0; i < a.n; i++)
		found |= ip_eq(a.records[i].ip, *ip);
	verdict(l, found, "the name has other addresses");
}

static void
advise_ptr(struct zone *z, const struct zone_topic *t)
{
	size_t n;
	const struct ip *own = zone_addresses(z->conf, &n);

	for (size_t i = 0; i < n; i++)
		line(z, t, zone_reverse(z->a, own[i]), "PTR", arena_printf(z->a, "%s.", hello(z)))->what =
		    &own[i];
}

/* Forward-confirmed: the name of the reverse record has that address among its own. */
static bool
leads_back(struct zone *z, const struct ip *ip)
{
	struct dns_answer a = *zone_ask(z, hello(z), ip->family == 4 ? DNS_A : DNS_AAAA);

	for (size_t i = 0; i < a.n; i++)
		if (ip_eq(a.records[i].ip, *ip))
			return true;
	return a.status >= DNS_SERVFAIL;	/* not known is not wrong */
}

static void
check_ptr(struct zone *z, struct zone_line *l)
{
	struct dns_answer a;
	bool found = false;

	if (!ask(z, l, DNS_PTR, &a))
		return;
	for (size_t i = 0; i < a.n; i++)
		found |= strcasecmp(a.records[i].name, hello(z)) == 0;
	verdict(l, found, arena_printf(z->a, "it says %s", a.records[0].name));
	if (found && !leads_back(z, l->what))
		verdict(l, false, arena_printf(z->a, "%s does not lead back to the address: the two must agree",
		    hello(z)));
}

/* ---- MX ---- */

static void
advise_mx(struct zone *z, const struct zone_topic *t)
{
	if (receives(z))
		line(z, t, arena_str(z->a, z->name), "MX", arena_printf(z->a, "10 " SPAN_FMT ".",
		    SPAN_ARG(z->conf->hostname)));
	for (size_t i = 0; receives(z) && z->domain && i < z->domain->nbackup_mx; i++)
		line(z, t, arena_str(z->a, z->name), "MX", arena_printf(z->a, "%u " SPAN_FMT ".", 20 + 10 * (unsigned)i,
		    SPAN_ARG(z->domain->backup_mx[i])))->what = &z->domain->backup_mx[i];
}

static bool
mx_is_known(const struct zone *z, struct span host)
{
	for (size_t i = 0; i < z->conf->nlisteners; i++)
		if (span_eq_nocase(z->conf->listeners[i].hostname, host))
			return true;
	for (size_t i = 0; z->domain && i < z->domain->nbackup_mx; i++)
		if (span_eq_nocase(z->domain->backup_mx[i], host))
			return true;
	return span_eq_nocase(z->conf->hostname, host);
}

static void
check_mx(struct zone *z, struct zone_line *l)
{
	struct dns_answer a;
	const struct span *backup = l->what;
	bool found = false;

	if (!ask(z, l, DNS_MX, &a))
		return;
	for (size_t i = 0; i < a.n; i++)
		found |= span_eq_nocase(span_str(a.records[i].name), backup ? *backup : z->conf->hostname);
	if (backup) {
		l->verdict = found ? ZONE_OK : ZONE_NOTE;
		l->detail = found ? "" : "a backup that is not there: mail goes without";
		return;
	}
	verdict(l, found, "the MX records name other servers: mail does not come here");
	for (size_t i = 0; found && i < a.n; i++)
		if (!mx_is_known(z, span_str(a.records[i].name)))
			verdict(l, false, arena_printf(z->a, "%s takes its mail, too, around the filter: take it out, or name it "
			    "(domains." SPAN_FMT ".backup_mx) where it is ours or must stay", a.records[i].name, SPAN_ARG(z->name)));
}

/* ---- SPF ---- */

static void
advise_spf(struct zone *z, const struct zone_topic *t)
{
	const char *v = "v=spf1";
	char text[IP_TEXT_MAX];
	size_t n;
	const struct ip *own = zone_addresses(z->conf, &n);

	for (size_t i = 0; i < n; i++)
		v = arena_printf(z->a, "%s ip%u:%s", v, own[i].family, ip_format(own[i], text));
	if (n == 0)
		v = arena_printf(z->a, "%s a:%s", v, hello(z));
	line(z, t, arena_str(z->a, z->name), "TXT", arena_printf(z->a, "%s -all", v));
}

static void
check_spf(struct zone *z, struct zone_line *l)
{
	size_t nown;
	const struct ip *own = zone_addresses(z->conf, &nown);
	const char *why = NULL;
	struct dns_answer a;
	struct ip ips[16];
	char text[IP_TEXT_MAX];
	size_t n = 0;
	bool any = false;

	if (!ask(z, l, DNS_TXT, &a))
		return;
	for (size_t i = 0; i < a.n; i++)
		any |= span_starts_nocase(dns_data(&a, &a.records[i]), SPAN_LIT("v=spf1"));
	if (!any) {
		l->verdict = ZONE_MISSING;
		return;
	}
	for (; n < nown && n < 16; n++)
		ips[n] = own[n];
	if (nown == 0) {
		a = *zone_ask(z, hello(z), DNS_A);
		for (size_t i = 0; i < a.n && n < 16; i++)
			ips[n++] = a.records[i].ip;
	}
	if (n == 0) {
		l->verdict = ZONE_UNKNOWN;
		l->detail = "no `public_addresses` nor `delivery: source` in postern.yaml, and the EHLO name has no address";
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!spf_covers(z, l->name, ips[i], &why) || why) {
			verdict(l, false, why ? why : arena_printf(z->a, "it does not name %s: add ip%u:%s",
			    ip_format(ips[i], text), ips[i].family, text));
			return;
		}
	verdict(l, true, "");
}

/* ---- DKIM ---- */

static void
advise_dkim(struct zone *z, const struct zone_topic *t)
{
	if (z->keys_why)
		line(z, t, under(z, "_domainkey"), "TXT", "")->detail = z->keys_why;
	for (size_t i = 0; i < z->nkeys; i++) {
		const struct zone_key *k = &z->keys[i];
		struct zone_line *l;

		/* One that signs no more is left alone: dkim rotate says when it may go. */
		if (k->state == RING_RETIRED)
			continue;
		l = line(z, t, under(z, arena_printf(z->a, SPAN_FMT "._domainkey", SPAN_ARG(k->selector))),
		    "TXT", k->record);
		if (l->value.n == 0)
			l->detail = k->why;
		l->what = k;
	}
}

static void
check_dkim(struct zone *z, struct zone_line *l)
{
	enum dkim_match m = DKIM_NO_RECORD;
	struct dns_answer a;

	if (l->value.n == 0) {
		l->verdict = ZONE_UNKNOWN;
		return;
	}
	if (!ask(z, l, DNS_TXT, &a))
		return;
	for (size_t i = 0; i < a.n && m == DKIM_NO_RECORD; i++)
		m = dkim_compare_record(z->a, l->value, dns_data(&a, &a.records[i]));
	verdict(l, m == DKIM_MATCHES, dkim_match_text(m));
	if (m == DKIM_NO_RECORD)
		l->verdict = ZONE_MISSING;
}

/* ---- texts that begin with their version: DMARC, TLSRPT ---- */

static void
advise_dmarc(struct zone *z, const struct zone_topic *t)
{
	line(z, t, under(z, "_dmarc"), "TXT", arena_printf(z->a, "v=DMARC1; p=none; rua=mailto:"
	    SPAN_FMT, SPAN_ARG(z->conf->postmaster)));
}

static void
advise_tlsrpt(struct zone *z, const struct zone_topic *t)
{
	if (receives(z))
		line(z, t, under(z, "_smtp._tls"), "TXT", arena_printf(z->a,
		    "v=TLSRPTv1; rua=mailto:" SPAN_FMT, SPAN_ARG(z->conf->postmaster)));
}

static void
check_version(struct zone *z, struct zone_line *l)
{
	struct span v = span_sub(l->value, 0, span_find(l->value, ';'));
	const char *must = span_is(v, "v=DMARC1") ? "p=" : "rua=";
	struct dns_answer a;
	struct span text = { 0 };
	unsigned n = 0;

	if (!ask(z, l, DNS_TXT, &a))
		return;
	for (size_t i = 0; i < a.n; i++)
		if (span_starts_nocase(dns_data(&a, &a.records[i]), v)) {
			text = dns_data(&a, &a.records[i]);
			n++;
		}
	if (n == 1 && span_is(v, "v=TLSRPTv1")) {
		struct span uris[TLSRPT_URIS_MAX];
		size_t nuris;

		verdict(l, tlsrpt_record_parse(text, uris, &nuris) && nuris > 0,
		    "it is not to the letter, or names neither mailto: nor https:");
	} else if (n == 0)
		l->verdict = l->topic->optional ? ZONE_NOTE : ZONE_MISSING;
	else if (n > 1)
		verdict(l, false, "there are several: none of them counts");
	else
		verdict(l, memmem(text.p, text.n, must, strlen(must)) != NULL,
		    arena_printf(z->a, "it has no %s", must));
}

/* ---- TLSA ---- */

char *
zone_certificate(struct arena *a, const char *path)
{
	unsigned char *der = NULL, hash[32];
	char *out = NULL;
	FILE *f = fopen(path, "r");
	X509 *cert = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	int n = cert ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der) : -1;

	if (n > 0 && EVP_Digest(der, (size_t)n, hash, NULL, EVP_sha256(), NULL) == 1) {
		out = arena_alloc(a, 65);
		for (int i = 0; i < 32; i++)
			snprintf(out + 2 * i, 3, "%02x", hash[i]);
	}
	OPENSSL_free(der);
	X509_free(cert);
	if (f)
		fclose(f);
	return out;
}

static void
advise_tlsa(struct zone *z, const struct zone_topic *t)
{
	if (receives(z) && z->certificate)
		line(z, t, arena_printf(z->a, "_25._tcp." SPAN_FMT, SPAN_ARG(z->conf->hostname)), "TLSA",
		    arena_printf(z->a, "3 1 1 %s", z->certificate));
}

static void
check_tlsa(struct zone *z, struct zone_line *l)
{
	struct dns_answer a;
	bool found = false;

	if (!ask(z, l, DNS_TLSA, &a))
		return;
	for (size_t i = 0; i < a.n; i++) {
		struct span d = dns_data(&a, &a.records[i]);
		char hex[65] = "";

		if (d.n != 35 || memcmp(d.p, "\3\1\1", 3) != 0)
			continue;
		for (int k = 0; k < 32; k++)
			snprintf(hex + 2 * k, 3, "%02x", (unsigned char)d.p[3 + k]);
		found |= span_ends_nocase(l->value, span_str(hex));
	}
	verdict(l, found, "it names another key: servers that heed DANE will not deliver here");
	if (found && !a.secure)
		verdict(l, false, "the zone is not signed by DNSSEC: nobody heeds the record");
}

/* ---- MTA-STS ---- */

#define STS_ADVISED_AGE 604800

/* What the web server should say. Testing first: enforce once reports say that all is well. */
static void
sts_advised(const struct zone *z, struct buf *b)
{
	struct sts_policy p = { .mode = STS_MODE_TESTING, .max_age = STS_ADVISED_AGE,
		.mx = { z->conf->hostname }, .nmx = 1 };

	buf_init(b, STS_BODY_MAX);
	sts_policy_write(b, &p);
}

static const char *
on_one_line(struct arena *a, struct span text)
{
	const char *out = "";

	for (size_t eol; text.n; text = span_from(text, eol + 1)) {
		eol = span_find(text, '\n');
		out = arena_printf(a, "%s%s" SPAN_FMT, out, *out ? " | " : "",
		    SPAN_ARG(span_sub(text, 0, eol)));
	}
	return out;
}

static void
advise_sts(struct zone *z, const struct zone_topic *t)
{
	unsigned char hash[32];
	struct zone_line *l;
	struct buf b;
	char id[17];

	if (!receives(z))
		return;
	sts_advised(z, &b);
	/* The id changes when what it stands for does. */
	if (EVP_Digest(buf_data(&b).p, buf_size(&b), hash, NULL, EVP_sha256(), NULL) == 1) {
		for (int i = 0; i < 8; i++)
			snprintf(id + 2 * i, 3, "%02x", hash[i]);
		line(z, t, under(z, "_mta-sts"), "TXT", arena_printf(z->a, "v=STSv1; id=%s;", id));
		l = line(z, t, under(z, "mta-sts"), "page", "");
		l->detail = arena_printf(z->a, "a web server must answer https://mta-sts." SPAN_FMT
		    "/.well-known/mta-sts.txt, as text/plain, with the lines: %s", SPAN_ARG(z->name),
		    on_one_line(z->a, buf_data(&b)));
	}
	buf_release(&b);
}

static void
check_sts_page(struct zone *z, struct zone_line *l)
{
	const struct dns_answer *record = zone_ask(z, arena_printf(z->a, "_%s", l->name), DNS_TXT);
	struct sts_policy p;
	const char *why = "";

	l->detail = "";
	if (record->status >= DNS_SERVFAIL) {
		l->verdict = ZONE_UNKNOWN;
		l->detail = dns_status_text(record->status);
		return;
	}
	if (record->n == 0) {
		l->verdict = ZONE_NOTE;		/* nobody will ask for it */
		return;
	}
	switch (z->answers->policy(z->answers->ctx, z->a, l->name, &p, &why)) {
	case ZONE_PAGE_READ:
		break;
	case ZONE_PAGE_BAD:
		verdict(l, false, arena_printf(z->a, "the policy cannot be had: %s", why));
		return;
	case ZONE_PAGE_PENDING:
		z->pending = true;
		return;
	case ZONE_PAGE_NOT_ASKED:
		l->verdict = ZONE_NOTE;
		l->detail = why;
		return;
	}
	verdict(l, p.mode == STS_MODE_NONE || sts_policy_lists(&p, z->conf->hostname),
	    arena_printf(z->a, "the policy (mode %s) does not list " SPAN_FMT "%s", sts_mode_name(p.mode),
	    SPAN_ARG(z->conf->hostname), p.mode == STS_MODE_ENFORCE ?
	    ": servers that heed it will not deliver here" : ""));
	if (l->verdict == ZONE_OK)
		l->detail = arena_printf(z->a, "mode %s", sts_mode_name(p.mode));
}

static void
check_sts(struct zone *z, struct zone_line *l)
{
	char id[STS_ID_MAX + 1];
	struct dns_answer a;

	if (l->value.n == 0)
		check_sts_page(z, l);
	else if (ask(z, l, DNS_TXT, &a))
		verdict(l, sts_record_of(&a, id), "there are several, or it is not to the letter: no "
		    "server will heed it");
}

/* ---- the table ---- */

static const struct zone_topic topics[] = {
	{ "address", false, { "The name this server introduces itself with leads to its addresses.",
	    "Le nom que ce serveur annonce mène à ses adresses." }, advise_address, check_address },
	{ "ptr", false, { "And each address leads back to the name: many servers refuse mail otherwise. "
	    "Whoever provides the address sets this.",
	    "Et chaque adresse ramène au nom : sinon beaucoup de serveurs refusent le courrier. "
	    "C'est le fournisseur de l'adresse qui le règle." }, advise_ptr, check_ptr },
	{ "mx", false, { "Mail for the domain comes to this server.",
	    "Le courrier du domaine arrive sur ce serveur." }, advise_mx, check_mx },
	{ "spf", false, { "SPF: these addresses may send in the domain's name, no others. Any other "
	    "sender of yours must be added.",
	    "SPF : ces adresses peuvent émettre au nom du domaine, et aucune autre. Tout autre "
	    "émetteur légitime doit y être ajouté." }, advise_spf, check_spf },
	{ "dkim", false, { "DKIM: the key with which receivers verify our signature.",
	    "DKIM : la clé avec laquelle les destinataires vérifient notre signature." },
	    advise_dkim, check_dkim },
	{ "dmarc", false, { "DMARC: what receivers do with mail that neither SPF nor DKIM vouches for; "
	    "p=none only reports.",
	    "DMARC : le sort des messages que ni SPF ni DKIM n'authentifient ; p=none se borne aux "
	    "rapports." }, advise_dmarc, check_version },
	{ "tlsa", true, { "DANE: the key of our certificate; it counts only in a zone signed by DNSSEC.",
	    "DANE : la clé de notre certificat ; ne vaut que dans une zone signée par DNSSEC." },
	    advise_tlsa, check_tlsa },
	{ "mta-sts", true, { "MTA-STS: senders that heed it come to the servers of the policy alone, over TLS; "
	    "its id is to change with each change of the policy (RFC 8461).",
	    "MTA-STS : les émetteurs qui l'appliquent ne livrent qu'aux serveurs de la politique, en TLS ; "
	    "son id doit changer à chaque modification de la politique (RFC 8461)." },
	    advise_sts, check_sts },
	{ "tlsrpt", true, { "Senders report here when they could not reach us over TLS (RFC 8460).",
	    "Les émetteurs y signalent leurs échecs TLS vers nous (RFC 8460)." },
	    advise_tlsrpt, check_version },
};

void
zone_advise(struct zone *z)
{
	z->lines = NULL;
	z->n = 0;
	for (size_t i = 0; i < sizeof(topics) / sizeof(*topics); i++)
		topics[i].advise(z, &topics[i]);
}

void
zone_check(struct zone *z)
{
	z->pending = false;
	for (size_t i = 0; i < z->n; i++)
		z->lines[i].topic->check(z, &z->lines[i]);
}

void
zone_check_view(struct zone *z, size_t k, const struct zone_answers *answers)
{
	struct zone other = *z;

	ASSERT(k < z->nviews);
	other.answers = answers;
	other.lines = arena_array(z->a, z->n, sizeof(*other.lines));
	for (size_t i = 0; i < z->n; i++) {
		other.lines[i] = z->lines[i];
		other.lines[i].verdict = ZONE_UNCHECKED;
		other.lines[i].seen = NULL;
		if (z->lines[i].value.n)
			other.lines[i].detail = "";
	}
	zone_check(&other);
	z->pending = other.pending;
	z->views[k].lines = other.lines;
}

char *
zone_reverse(struct arena *a, struct ip ip)
{
	char out[80];
	size_t n = 0;

	if (ip.family == 4)
		return arena_printf(a, "%u.%u.%u.%u.in-addr.arpa", ip.b[3], ip.b[2], ip.b[1], ip.b[0]);
	for (int i = 15; i >= 0; i--) {
		static const char hex[] = "0123456789abcdef";

		out[n++] = hex[ip.b[i] & 15];
		out[n++] = '.';
		out[n++] = hex[ip.b[i] >> 4];
		out[n++] = '.';
	}
	out[n] = '\0';
	return arena_printf(a, "%sip6.arpa", out);
}
