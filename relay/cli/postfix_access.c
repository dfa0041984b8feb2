/* postfix_access.c -- restrictions and their maps, TLS policy, copies, rates, as policy; see postfix_import.h.
 *
 * A key of an access map that is a domain is also its subdomains (parent_domain_matches_subdomains as it
 * is unless set). The most particular key decides in Postfix, the most restrictive outcome here: so what is OK
 * becomes an exception of the rules about domains, where no domain of the rule lies below it.
 */
#include <string.h>

#include "addr.h"
#include "cli/postfix_import.h"
#include "conf.h"

/* ---- access maps ---- */

enum who { CLIENT, SENDER, RECIPIENT };
static const char *const who_keys[] = { "client", "from", "to" };

static bool
is_pass(struct span verb)
{
	return span_is_nocase(verb, "OK") || span_is_nocase(verb, "DUNNO") || span_is_nocase(verb, "PERMIT");
}

static struct span
first_word(struct span s, struct span *rest)
{
	size_t n = 0;

	while (n < s.n && !ascii_is_wsp(s.p[n]))
		n++;
	*rest = span_trim(span_from(s, n));
	return span_sub(s, 0, n);
}

/* "192.168.1" as a network; the key as a list's items of YAML. NULL: no key of ours. */
static char *
client_key(struct arena *a, struct span key)
{
	unsigned dots = 0;
	struct cidr c;
	char *text;

	if (cidr_parse(key, &c, NULL) == 0)
		return pf_quote(a, key);
	for (size_t i = 0; i < key.n; i++) {
		dots += key.p[i] == '.';
		if (key.p[i] != '.' && !(key.p[i] >= '0' && key.p[i] <= '9'))
			return NULL;
	}
	if (dots > 2)
		return NULL;
	text = arena_printf(a, SPAN_FMT "%s/%u", SPAN_ARG(key), dots == 0 ? ".0.0.0" : dots == 1 ? ".0.0" : ".0", 8 * (dots + 1));
	return cidr_parse(span_str(text), &c, NULL) == 0 ? pf_quote(a, span_str(text)) : NULL;
}

static bool
is_address(struct span key)
{
	return span_find(key, '@') < key.n || span_is(key, "<>");
}

static char *
address_key(struct arena *a, struct span key)
{
	struct span local, domain, out, bare = span_from(key, key.n && key.p[0] == '.');

	if (span_is(key, "<>"))
		return pf_quote(a, key);
	if (span_find(key, '@') < key.n)
		return mailaddr_split(key, &local, &domain) && domain_normalise(a, domain, &out) ? pf_quote(a, key) : NULL;
	if (!domain_normalise(a, bare, &out))
		return NULL;
	return key.p[0] == '.' ? pf_quote(a, key) :
	    arena_printf(a, "%s, %s", pf_quote(a, key), pf_quote(a, span_str(arena_printf(a, "." SPAN_FMT, SPAN_ARG(key)))));
}

struct access {
	struct pf_import *im;
	const struct pf_source *src;
	const struct pf_entry *e;
	size_t n;
	enum who who;
	char **keys;		/* of each entry; NULL: it was left, or is done */
	const char *guard;	/* another condition, or "" */
};

/* Does the domain `above` cover key's? */
static bool
covers(struct span above, struct span key)
{
	struct span d = span_from(key, span_find(key, '@') + 1);

	if (span_find(key, '@') == key.n)
		d = key;
	return span_ends_nocase(d, above) && (d.n == above.n || d.p[d.n - above.n - 1] == '.');
}

static bool
same_action(const struct pf_entry *a, const struct pf_entry *b)
{
	return span_eq(a->value, b->value) && is_address(a->key) == is_address(b->key);
}

/* What is OK and lies below one of the rule's domains. */
static void
put_unless(const struct access *x, const bool *mine)
{
	struct buf *o = &x->im->rules;
	bool first = true;

	for (size_t i = 0; i < x->n; i++) {
		struct span rest;
		bool below = false, above = false;

		if (x->keys[i] == NULL || !is_pass(first_word(x->e[i].value, &rest)))
			continue;
		for (size_t k = 0; k < x->n; k++) {
			if (!mine[k] || is_address(x->e[k].key))
				continue;
			below |= covers(x->e[k].key, x->e[i].key);
			above |= !is_address(x->e[i].key) && covers(x->e[i].key, x->e[k].key);
		}
		if (!below)
			continue;
		if (above) {
			pf_leave(x->im, PF_LOST, x->src->name, x->e[i].line, x->e[i].key, "an exception that lies above and below what is refused");
			continue;
		}
		buf_printf(o, "%s%s", first ? "    unless: {" : ", ", first ? who_keys[x->who] : "");
		buf_printf(o, "%s%s", first ? ": [" : "", x->keys[i]);
		first = false;
	}
	if (!first)
		buf_puts(o, "]}\n");
}

#define ACCESS_MAX 5000		/* lines of one map: rules are made by comparing them */

static void
put_rules(struct access *x)
{
	struct pf_import *im = x->im;
	bool *done = arena_array(im->a, x->n + 1, sizeof(*done)), *mine = arena_array(im->a, x->n + 1, sizeof(*mine));

	for (size_t i = 0; i < x->n; i++) {
		struct span text, verb = first_word(x->e[i].value, &text);
		const char *then, *why = "";
		bool first = true;

		if (x->keys[i] == NULL || done[i] || is_pass(verb))
			continue;
		if ((then = pf_action(im, x->src->name, x->e[i].line, verb, text, (struct span){ 0 }, &why)) == NULL) {
			pf_leave(im, PF_LOST, x->src->name, x->e[i].line, x->e[i].value, "%s", why);
			continue;
		}
		memset(mine, 0, x->n * sizeof(*mine));
		pf_rule_begin(im, x->src->name, x->e[i].line, span_str(arena_printf(im->a, SPAN_FMT " " SPAN_FMT,
		    SPAN_ARG(x->e[i].key), SPAN_ARG(x->e[i].value))), "");
		buf_printf(&im->rules, "    when:\n      %s: [", who_keys[x->who]);
		for (size_t k = i; k < x->n; k++)
			if (x->keys[k] && !done[k] && same_action(&x->e[i], &x->e[k])) {
				done[k] = mine[k] = true;
				buf_printf(&im->rules, "%s%s", first ? "" : ", ", x->keys[k]);
				first = false;
			}
		buf_printf(&im->rules, "]\n%s", x->guard);
		if (x->who != CLIENT)
			put_unless(x, mine);
		buf_printf(&im->rules, "    then: %s\n", then);
	}
}

static void
access_map(struct pf_import *im, struct pf_param *p, struct span map, enum who who, bool inside_pass)
{
	struct pf_entry *e;
	struct pf_source src;
	struct access x = { .im = im, .src = &src, .who = who };

	if (!pf_open(im, p, map, &src))
		return;
	if (pf_is_pattern(&src)) {
		pf_leave(im, PF_LOST, src.name, 0, map, "patterns over addresses: write the addresses and domains they mean as a group");
		return;
	}
	if (pf_table(im->a, src.text, &e, &x.n) == -1 || x.n > ACCESS_MAX) {
		pf_leave(im, PF_LOST, src.name, 0, map, "more than %d lines: `postern lists import` is for lists of that size", ACCESS_MAX);
		return;
	}
	x.e = e;
	x.keys = arena_array(im->a, x.n + 1, sizeof(*x.keys));
	x.guard = inside_pass && who != CLIENT ? "      client: {not: [network:internal]}\n" : "";
	im->uses_internal |= *x.guard != '\0';
	buf_printf(&im->rules, "\n  # ---- %s ----\n", src.path);
	for (size_t i = 0; i < x.n; i++) {
		x.keys[i] = e[i].bad ? NULL : who == CLIENT ? client_key(im->a, e[i].key) : address_key(im->a, e[i].key);
		if (x.keys[i] == NULL)
			pf_leave(im, PF_LOST, src.name, e[i].line, e[i].key, e[i].bad ? "a key without an action" : who == CLIENT ?
			    "clients are known by their addresses here, not by names" : "no address and no domain: user@ alone has no counterpart");
	}
	put_rules(&x);
}

/* ---- restrictions ---- */

static const struct {
	const char *word;
	enum pf_left_kind kind;
	const char *why;
} words[] = {
	{ "permit_mynetworks", PF_NOTHING, "`networks` and `allow` of the listener" },
	{ "permit", PF_NOTHING, "what nothing refuses passes" },
	{ "permit_sasl_authenticated", PF_DIFFERS, "`auth: file|ldap` of the listener; accounts are to be made anew" },
	{ "reject_unauth_destination", PF_NOTHING, "always so" },
	{ "defer_unauth_destination", PF_NOTHING, "always so, as a refusal" },
	{ "reject_unlisted_recipient", PF_DIFFERS, "`recipients` of the domain" },
	{ "reject_unverified_recipient", PF_DIFFERS, "`recipients: callout` of the domain" },
	{ "reject_unauth_pipelining", PF_NOTHING, "always so" },
	{ "reject_rbl_client", PF_LOST, "write the zone under `verify: {dnsbl: [...]}`" },
	{ "reject_rhsbl_sender", PF_LOST, "write the zone under `verify: {uribl: [...]}`" },
	{ "check_policy_service", PF_LOST, "policy services are not asked: greylisting is `greylist`, rates are `limits`" },
	{ "reject", PF_LOST, "a closed list: say in `when` what is refused" },
	{ NULL, PF_LOST, "no counterpart: a rule on `sign`, `spf`, `dmarc` or `client` may say it" },
};

static void
restriction(struct pf_import *im, struct pf_param *p, struct span word)
{
	size_t i = 0;

	while (words[i].word && !span_is(word, words[i].word))
		i++;
	pf_leave(im, words[i].kind, "main.cf", p->line, span_str(arena_printf(im->a, SPAN_FMT ": " SPAN_FMT, SPAN_ARG(p->name),
	    SPAN_ARG(word))), "%s", words[i].why);
}

static void
restrictions(struct pf_import *im, const char *name)
{
	static const struct { const char *word; int who; } maps[] = { { "check_client_access", CLIENT },
		{ "check_sender_access", SENDER }, { "check_recipient_access", RECIPIENT } };
	struct pf_param *p;
	struct span list = pf_take(im, name, &p), word, arg;
	bool inside_pass = false;

	while (p && pf_word(&list, &word)) {
		size_t i = 0;

		while (i < 3 && !span_is(word, maps[i].word))
			i++;
		if (i < 3) {
			if (pf_word(&list, &arg))
				access_map(im, p, arg, (enum who)maps[i].who, inside_pass);
			continue;
		}
		inside_pass |= span_is(word, "permit_mynetworks");
		if (span_starts(word, SPAN_LIT("check_")) || span_starts(word, SPAN_LIT("reject_rbl")) ||
		    span_starts(word, SPAN_LIT("reject_rhsbl"))) {
			struct span head = word;

			if (pf_word(&list, &arg))
				word = span_str(arena_printf(im->a, SPAN_FMT " " SPAN_FMT, SPAN_ARG(word), SPAN_ARG(arg)));
			for (i = 0; words[i].word && !span_is(head, words[i].word); i++)
				;
			pf_leave(im, words[i].kind, "main.cf", p->line, word, "%s", words[i].why);
			continue;
		}
		restriction(im, p, word);
	}
}

/* ---- TLS of the other side, copies, rates ---- */

static const char *
tls_level(struct span level)
{
	static const char *const levels[][2] = { { "may", "opportunistic" }, { "encrypt", "encrypted" }, { "verify", "verified" },
		{ "secure", "verified" }, { "dane", "opportunistic" }, { "dane-only", "dane" } };

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++)
		if (span_is(level, levels[i][0]))
			return levels[i][1];
	return NULL;
}

static void
tls_policy(struct pf_import *im)
{
	struct pf_param *p;
	struct span list = pf_take(im, "smtp_tls_policy_maps", &p), map;

	while (p && pf_word(&list, &map)) {
		struct pf_entry *e;
		struct pf_source src;
		size_t n;

		if (!pf_open(im, p, map, &src))
			continue;
		if (pf_is_pattern(&src) || pf_table(im->a, src.text, &e, &n) == -1) {
			pf_leave(im, PF_LOST, src.name, 0, map, "patterns over next hops");
			continue;
		}
		for (size_t i = 0; i < n; i++) {
			struct span rest, level = first_word(e[i].value, &rest), name;
			const char *require = tls_level(level);

			if (require == NULL || !domain_normalise(im->a, span_from(e[i].key, e[i].key.n && e[i].key.p[0] == '.'), &name)) {
				pf_leave(im, PF_LOST, src.name, e[i].line, e[i].key, require ? "a next hop, not a domain" :
				    "this level has no counterpart (opportunistic, encrypted, verified, dane)");
				continue;
			}
			pf_rule_begin(im, src.name, e[i].line, span_str(arena_printf(im->a, SPAN_FMT " " SPAN_FMT, SPAN_ARG(e[i].key),
			    SPAN_ARG(e[i].value))), "");
			buf_printf(&im->rules, "    when: {to: [%s]}\n    then: {require_tls: %s}\n", pf_quote(im->a, e[i].key), require);
			if (rest.n)
				pf_leave(im, PF_DIFFERS, src.name, e[i].line, rest, "names and fingerprints are not compared: the host's own name is");
		}
	}
}

static void
copies(struct pf_import *im)
{
	static const struct { const char *name, *key; } maps[] = { { "sender_bcc_maps", "from" }, { "recipient_bcc_maps", "to" } };
	struct pf_param *p;
	struct span always = pf_take(im, "always_bcc", &p), local, domain;

	if (p && mailaddr_split(always, &local, &domain)) {
		pf_rule_begin(im, "main.cf", p->line, span_str("always_bcc"), "");
		buf_printf(&im->rules, "    then: {bcc: %s}\n", pf_quote(im->a, always));
	} else if (p && always.n) {
		pf_leave(im, PF_LOST, "main.cf", p->line, always, "an address needs its domain");
	}
	for (size_t m = 0; m < 2; m++) {
		struct span list = pf_take(im, maps[m].name, &p), map;

		while (p && pf_word(&list, &map)) {
			struct pf_entry *e;
			struct pf_source src;
			size_t n = 0;

			if (!pf_open(im, p, map, &src))
				continue;
			if (pf_is_pattern(&src) || pf_table(im->a, src.text, &e, &n) == -1) {
				pf_leave(im, PF_LOST, src.name, 0, map, "patterns over addresses");
				continue;
			}
			for (size_t i = 0; i < n; i++) {
				struct span key = span_from(e[i].key, e[i].key.n && e[i].key.p[0] == '@');

				if (address_key(im->a, key) == NULL || !mailaddr_split(e[i].value, &local, &domain)) {
					pf_leave(im, PF_LOST, src.name, e[i].line, e[i].key, "no address or domain, or a copy to none");
					continue;
				}
				pf_rule_begin(im, src.name, e[i].line, e[i].key, "");
				buf_printf(&im->rules, "    when: {%s: [%s]}\n    then: {bcc: %s}\n", maps[m].key, pf_quote(im->a, key),
				    pf_quote(im->a, e[i].value));
			}
		}
	}
}

static void
rates(struct pf_import *im)
{
	static const struct { const char *name, *what; } of[] = { { "smtpd_client_message_rate_limit", "messages" },
		{ "smtpd_client_recipient_rate_limit", "recipients" } };
	struct span unit = pf_take(im, "anvil_rate_time_unit", NULL), v;
	struct pf_param *p;
	uint64_t n;
	int64_t us;

	if (!parse_duration(unit, &us) || us <= 0)
		unit = SPAN_LIT("60s");		/* anvil_rate_time_unit unless set */
	for (size_t i = 0; i < 2; i++) {
		v = pf_take(im, of[i].name, &p);
		if (p == NULL || span_is(v, "0"))
			continue;
		n = 0;
		for (size_t k = 0; k < v.n && v.p[k] >= '0' && v.p[k] <= '9' && n < 100000000; k++)
			n = 10 * n + (uint64_t)(v.p[k] - '0');
		if (n == 0) {
			pf_leave(im, PF_LOST, "main.cf", p->line, v, "no number");
			continue;
		}
		buf_printf(&im->limits, "  # main.cf:%u\n  - {id: postfix-%s, per: client, allow: %llu %s / " SPAN_FMT ", then: defer}\n",
		    p->line, of[i].what, (unsigned long long)n, of[i].what, SPAN_ARG(unit));
		pf_leave(im, PF_DIFFERS, "main.cf", p->line, p->name, "counts all clients, also those of mynetworks: `exempt` takes some out");
	}
}

void
pf_write_access(struct pf_import *im)
{
	static const char *const lists[] = { "smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions",
		"smtpd_relay_restrictions", "smtpd_recipient_restrictions", "smtpd_data_restrictions",
		"smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++)
		restrictions(im, lists[i]);
	tls_policy(im);
	copies(im);
	rates(im);
}
