/* domains_control.c -- our domains, as postern.yaml has them, for people.
 *
 *	{"cmd":"domains.list"}		{"v":1,"domain","deliver_to":[…],"recipients","max_size","dkim":[{"selector",
 *		"algorithm"}],"dkim_managed"}, then {"v":1,"found":N,"more":false}
 *	{"cmd":"domains.show","domain":D}	the same, and what else is set for it
 *	{"cmd":"domains.spam","domain":D}	{"v":1,"domain","on","source","profile","by","classes":[{"class","tests",
 *		"action"}],"checks","addresses":[{"address","profile"}],"addresses_more","file","line"}: what the policy in
 *		force does with spam to it. on: false, and no more, where it has no section `spam`.
 *
 * The store reads its configuration and no file. So keys that `postern dkim` looks after are not named
 * (dkim_managed: there may be such): dns.keys of the delivery names them, as dns.check says what a zone
 * should say.
 */
#include "clock.h"
#include "store/asked.h"
#include "postern/policy.h"
#include "store/kept_control.h"
#include "store/policy_rules.h"

#define READERS (PRINCIPAL_BIT(DOMAIN_ADMIN) | PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR))

#define ADDRESSES_MAX 100		/* of a domain with profiles of their own that are shown */

static const char *
check_name(enum recipients_check c)
{
	switch (c) {
	case RECIPIENTS_ANY:
		return "any";
	case RECIPIENTS_FILE:
		return "file";
	case RECIPIENTS_LDAP:
		return "ldap";
	case RECIPIENTS_CALLOUT:
		return "callout";
	}
	return NULL;
}

/* Hosts; "ldap" where a directory says; none: by MX. */
static void
put_route(struct asked *q, struct json *j, const struct conf_route *r)
{
	json_key(j, "deliver_to");
	json_array(j);
	for (size_t i = 0; r && i < r->nhosts; i++)
		json_cstr(j, arena_printf(q->arena, SPAN_FMT ":%u", SPAN_ARG(r->hosts[i].name),
		    r->hosts[i].port));
	if (r && r->ldap.directory)
		json_cstr(j, "ldap");
	json_end_array(j);
}

static void
put_domain(struct asked *q, struct json *j, const struct conf_domain *d)
{
	json_kstr(j, "domain", d->name);
	put_route(q, j, d->deliver_to);
	json_kcstr(j, "recipients", check_name(d->recipients));
	json_key(j, "dkim");
	json_array(j);
	for (size_t i = 0; i < d->ndkim; i++) {
		json_object(j);
		json_kstr(j, "selector", d->dkim[i].selector);
		json_kcstr(j, "algorithm", d->dkim[i].ed25519 ? "ed25519" : "rsa");
		json_end_object(j);
	}
	json_end_array(j);
	json_kbool(j, "dkim_managed", d->dkim_managed);
	json_key(j, "max_size");
	if (d->max_size)
		json_uint(j, d->max_size);
	else
		json_null(j);
}

static bool
may(struct asked *q, const char *what)
{
	if (principal_is(&q->who, READERS))
		return true;
	asked_refuse(q, what);
	return false;
}

void
do_domains_list(struct asked *q, int fd)
{
	const struct config *c = q->s->rt->conf;
	size_t found = 0;
	struct json j;

	if (!may(q, "domains.list"))
		return;
	for (size_t i = 0; i < c->ndomains; i++) {
		if (!q->who.local && !principal_sees_domain(&q->who, c->domains[i].name))
			continue;
		found++;
		j = open_line(q->reply);
		put_domain(q, &j, &c->domains[i]);
		close_line(q->reply, &j);
	}
	j = open_line(q->reply);
	json_kuint(&j, "found", found);
	json_kbool(&j, "more", false);
	close_line(q->reply, &j);
}

/* NULL: it is said that there is none, or none to be seen. */
static const struct conf_domain *
asked_domain(struct asked *q, const char *what)
{
	struct span name = jval_text(q->req, "domain");
	const struct conf_domain *d = config_domain(q->s->rt->conf, name);

	if (!may(q, what))
		return NULL;
	if (d && (q->who.local || principal_sees_domain(&q->who, d->name)))
		return d;
	if (d)
		audit_refused(q, what, name);
	say_coded(q, "not-found", "no such domain");
	return NULL;
}

void
do_domains_show(struct asked *q, int fd)
{
	const struct conf_domain *d = asked_domain(q, "domains.show");
	struct json j;

	if (d == NULL)
		return;
	j = open_line(q->reply);
	put_domain(q, &j, d);
	json_kbool(&j, "dkim_check", d->dkim_check);
	json_kint(&j, "greylist_seconds", d->greylist.delay / US_PER_SEC);
	json_kbool(&j, "batv", d->batv.key != NULL);
	close_line(q->reply, &j);
}

/* Recipients with a profile of their own. */
static void
put_addresses(struct json *j, const struct policy_spam *s, struct span domain)
{
	size_t n = 0;

	json_key(j, "addresses");
	json_array(j);
	for (size_t i = 0; i < s->ndomains; i++) {
		struct span x = s->domains[i].pattern;
		size_t at = span_find(x, '@');

		if (at == x.n || !span_eq_nocase(span_from(x, at + 1), domain) || n++ >= ADDRESSES_MAX)
			continue;
		json_object(j);
		json_kstr(j, "address", x);
		json_kstr(j, "profile", s->domains[i].profile->name);
		json_end_object(j);
	}
	json_end_array(j);
	json_kbool(j, "addresses_more", n > ADDRESSES_MAX);
}

static void
put_spam(struct json *j, const struct policy_spam *s, struct span domain)
{
	struct span by;
	const struct policy_spam_profile *p = policy_spam_for(s, domain, &by);

	json_kcstr(j, "source", s->source);
	json_kstr(j, "profile", p->name);
	json_kstr(j, "by", by.n ? by : SPAN_LIT("default"));
	json_key(j, "classes");
	json_array(j);
	for (int i = 0; i < POLICY_SPAM_CLASSES; i++) {
		json_object(j);
		json_kcstr(j, "class", s->classes[i]);
		json_kstr(j, "tests", s->tests[i]);
		json_kcstr(j, "action", p->actions[i]);
		json_end_object(j);
	}
	json_end_array(j);
	json_kuint(j, "checks", s->nchecks);
	put_addresses(j, s, domain);
	json_kcstr(j, "file", s->file);
	json_kuint(j, "line", s->line);
}

void
do_domains_spam(struct asked *q, int fd)
{
	const struct conf_domain *d = asked_domain(q, "domains.spam");
	const struct policy_spam *s;
	struct err err = { 0 };
	struct json j;

	if (d == NULL)
		return;
	if (policy_rules_spam(q, &s, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kstr(&j, "domain", d->name);
	json_kbool(&j, "on", s != NULL);
	if (s)
		put_spam(&j, s, d->name);
	close_line(q->reply, &j);
}
