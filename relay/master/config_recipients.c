/* config_recipients.c -- who exists in a domain of ours: domains.X.recipients, callout, greylist.
 *
 *	recipients: any | callout | ldap | "file:lists/people.txt"
 *	recipients: {callout: {found: 1d, stale: 7d, missing: 1h, timeout: 20s, probes: 20}}
 *	recipients: {ldap: {directory: NAME, filter: "(mail=%m)"}}
 *	greylist: 5m, or {delay: 5m, retry: 2d, keep: 35d, exempt: [network:partners]}
 */
#include "master/config_read.h"

#define SECOND (INT64_C(1) * 1000000)
#define DAY (24 * 60 * MINUTE)
#define WHAT "any, callout, ldap or \"file:PATH\""

/* Active Directory has every address of a mailbox in proxyAddresses, others in mail. */
#define LDAP_FILTER "(|(mail=%m)(proxyAddresses=smtp:%m))"

static void
read_callout(struct reader *r, const struct conf_node *map, struct conf_callout *c)
{
	static const char *const known[] = { "found", "stale", "missing", "timeout", "probes", NULL };

	if (!conf_want(r->d, map, CONF_MAP, "{found, stale, missing, timeout, probes}"))
		return;
	conf_check_keys(r->d, map, "callout", known);
	duration_of(r, map, "found", &c->found);
	duration_of(r, map, "stale", &c->stale);
	duration_of(r, map, "missing", &c->missing);
	duration_of(r, map, "timeout", &c->timeout);
	u32_of(r, map, "probes", 1, 1000, &c->probes);
	if (c->stale < c->found)
		error_at(r, conf_get(map, "stale"), NULL,
		    "`stale` is how long a mailbox counts while the server is away: not less than `found`");
	/* A client waits five minutes for the answer to RCPT (RFC 5321, 4.5.3.2.3). */
	if (c->timeout < SECOND || c->timeout > 4 * MINUTE)
		error_at(r, conf_get(map, "timeout"), "timeout: 20s",
		    "a client waits five minutes for an answer: `timeout` is between 1s and 4m");
	if (c->stale > CALLOUT_KEEP_MAX || c->missing > CALLOUT_KEEP_MAX)
		error_at(r, map, NULL, "nothing is remembered for longer than a year");
}

static bool
needs_deliver_to(struct reader *r, const struct conf_node *n, const struct conf_domain *dom)
{
	if (dom->deliver_to)
		return true;
	/* Its MX may be ourselves. */
	diag_at(r->d, DIAG_ERROR, n, "deliver_to: [\"10.1.2.3:25\"]",
	    "`callout` asks the servers in `deliver_to`, and there are none");
	return false;
}

void
read_recipients(struct reader *r, const struct conf_node *n, struct conf_domain *dom)
{
	static const struct span file = { "file:", 5 };
	static const char *const words[] = { "any", "callout", "ldap", NULL };
	static const char *const known[] = { "callout", "ldap", NULL };
	const struct conf_node *k;
	const char *near;
	struct span s;

	dom->recipients = RECIPIENTS_ANY;
	dom->callout = (struct conf_callout){ DAY, 7 * DAY, 60 * MINUTE, 20 * SECOND, 20 };
	if (n == NULL)
		return;
	if (n->kind == CONF_MAP) {
		conf_check_keys(r->d, n, "recipients", known);
		if (n->count != 1)
			diag_at(r->d, DIAG_ERROR, n, NULL, "one way to check recipients: {callout: {...}} or {ldap: {...}}");
		if ((k = conf_get(n, "callout")) && needs_deliver_to(r, k, dom)) {
			dom->recipients = RECIPIENTS_CALLOUT;
			read_callout(r, k, &dom->callout);
		} else if ((k = conf_get(n, "ldap"))) {
			dom->recipients = RECIPIENTS_LDAP;
			read_lookup(r, k, false, &dom->recipients_ldap);
			if (conf_get(k, "filter") == NULL)
				dom->recipients_ldap.filter = SPAN_LIT(LDAP_FILTER);
		}
		return;
	}
	if (!conf_text(r->d, n, WHAT, &s))
		return;
	if (span_starts(s, file)) {
		dom->recipients = RECIPIENTS_FILE;
		dom->recipients_file = span_str(path_of(r, span_from(s, file.n)));
	} else if (span_is(s, "callout")) {
		if (needs_deliver_to(r, n, dom))
			dom->recipients = RECIPIENTS_CALLOUT;
	} else if (span_is(s, "ldap")) {
		dom->recipients = RECIPIENTS_LDAP;
		dom->recipients_ldap = (struct conf_lookup){ .filter = SPAN_LIT(LDAP_FILTER) };
		if (r->c->ndirectories == 1)
			dom->recipients_ldap.directory = &r->c->directories[0];
		else
			diag_at(r->d, DIAG_ERROR, n, "recipients: {ldap: {directory: NAME}}",
			    r->c->ndirectories ? "there are several directories: which one?" :
			    "a look-up by LDAP needs a `directory` at the top of postern.yaml");
	} else if (!span_is(s, "any")) {
		near = conf_nearest(s, words);
		diag_at(r->d, DIAG_ERROR, n, near ? arena_printf(r->d->arena, "did you mean `%s`?",
		    near) : WHAT, "`" SPAN_FMT "` is no way to check recipients", SPAN_ARG(s));
	}
}

void
read_greylist(struct reader *r, const struct conf_node *n, struct conf_greylist *g)
{
	static const char *const known[] = { "delay", "retry", "keep", "exempt", NULL };
	const struct conf_node *k;

	if (n == NULL)
		return;
	*g = (struct conf_greylist){ .delay = 5 * MINUTE, .retry = 2 * DAY, .keep = 35 * DAY };
	if (n->kind == CONF_SCALAR) {
		conf_duration(r->d, n, &g->delay);
	} else if (conf_want(r->d, n, CONF_MAP, "{delay, retry, keep, exempt}")) {
		conf_check_keys(r->d, n, "greylist", known);
		duration_of(r, n, "delay", &g->delay);
		duration_of(r, n, "retry", &g->retry);
		duration_of(r, n, "keep", &g->keep);
		if ((k = conf_get(n, "exempt")))
			read_nets(r, k, &g->exempt);
	}
	if (g->delay >= g->retry || g->retry > CALLOUT_KEEP_MAX || g->keep > CALLOUT_KEEP_MAX)
		error_at(r, n, "greylist: {delay: 5m, retry: 2d, keep: 35d}",
		    "a stranger comes back after `delay` and within `retry`; `keep` is a year at most");
}
