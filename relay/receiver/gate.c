/* gate.c -- what a client may do at a listener; see gate.h.
 *
 * The order is that of the dialogue: who it is, for whom it speaks, to whom
 * it writes, how much. Every refusal names the line of the configuration
 * or of the policy that an operator would edit to change it.
 */
#include <stdio.h>

#include "clock.h"
#include "receiver/gate.h"

void
gate_because(struct gate_why *why, const char *file, uint32_t line, const char *fmt, ...)
{
	va_list ap;

	why->file = file;
	why->line = line;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
}

bool
nets_have(const struct conf_nets *n, struct ip ip)
{
	for (size_t i = 0; i < n->n; i++)
		if (cidr_has(n->cidrs[i], ip))
			return true;
	return false;
}

unsigned
gate_connect(const struct gate *g, struct ip client, struct gate_client *out, const char **text,
    struct gate_why *why)
{
	const struct conf_listener *l = g->listener;

	*why = (struct gate_why){ 0 };
	out->permitted = access_permitted(l, client, &out->name);
	gate_because(why, g->conf->path, l->line, out->permitted ? out->name.n ?
	    "`allow` of listener %.*s: network %.*s" : "`allow` of listener %.*s%.*s" :
	    "`allow` of listener %.*s: in none of its networks%.*s", SPAN_ARG(l->name),
	    SPAN_ARG(out->name));
	if (!out->permitted && l->upstream.n && !nets_have(&l->upstream, client) && !l->auth &&
	    !l->client_ca) {
		gate_because(why, g->conf->path, l->line, "`upstream` of listener %.*s", SPAN_ARG(l->name));
		*text = "5.7.1 only known relays may send here";
		return 554;
	}
	/* Who may prove itself later is asked at MAIL. */
	if (out->permitted || l->direction != LISTEN_OUTBOUND || l->auth || l->client_ca)
		return 0;
	*text = "5.7.1 this client is not permitted to relay";
	return 554;
}

/* ---- limits ---- */

/* A trusted relay speaks for others. */
static bool
is_relay(const struct gate *g, const struct smtp_session *s)
{
	return g->listener->upstream.n && !s->permitted && s->user.n == 0;
}

static void
who_asks(const struct smtp_session *s, bool relayed, char ip[static IP_TEXT_MAX],
    struct limits_who *who)
{
	limits_who(&s->t->env, ip, who);
	who->real = s->now;
	if (relayed)		/* its own clients are counted: gate_relayed */
		who->client = SPAN_LIT("");
}

void
gate_over_limit(struct smtp_session *s, enum outcome o, const struct limits_hit *hit,
    struct smtp_reply *r, struct gate_why *why)
{
	const struct limit_rule *rule = hit->rule;

	if (o == OUTCOME_UNJUDGED)
		return;
	why->limit = o;
	why->hit = *hit;
	gate_because(why, rule->file, rule->line, "limit %.*s", SPAN_ARG(rule->id));
	if (o == OUTCOME_REJECT)
		smtp_refuse(s, r, 550, "5.7.1 %s the limit %.*s", hit->until ? "locked by" : "over",
		    SPAN_ARG(rule->id));
	else if (o == OUTCOME_DEFER)
		smtp_refuse(s, r, 451, "4.7.1 %s the limit %.*s, try again later",
		    hit->until ? "locked by" : "over", SPAN_ARG(rule->id));
	else if (o == OUTCOME_HOLD) {
		s->t->hold_rule = rule->id;
		s->t->hold = rule->queue;
	}
}

static void
take(const struct gate *g, struct smtp_session *s, enum limit_unit unit, struct span recipient,
    int64_t now, struct smtp_reply *r, struct gate_why *why)
{
	struct limits_who who;
	struct limits_hit hit;
	char ip[IP_TEXT_MAX];
	enum outcome o;

	if (g->nrules == 0 || r->code)
		return;
	if (g->count) {
		ASSERT(g->count->n < 2);
		who_asks(s, is_relay(g, s), g->count->ip, &g->count->who);
		g->count->who.recipient = recipient;
		g->count->units[g->count->n++] = unit;
		return;
	}
	who_asks(s, is_relay(g, s), ip, &who);
	who.recipient = recipient;
	o = limits_take(g->limits, g->rules, g->nrules, unit, &who, 1, now, &hit);
	gate_over_limit(s, o, &hit, r, why);
}

void
gate_relayed(const struct gate *g, struct smtp_session *s, int64_t now, struct smtp_reply *r,
    struct gate_why *why)
{
	const struct smtp_transaction *t = s->t;
	static const enum limit_unit units[] = { LIMIT_MESSAGES, LIMIT_RECIPIENTS };
	struct limits_hit hit;
	char ip[IP_TEXT_MAX];
	struct limits_who who = { .client = span_str(ip_format(t->env.client, ip)), .real = s->now };

	*why = (struct gate_why){ 0 };
	for (size_t i = 0; i < 2 && g->nrules && r->code == 0 && t->env.client.family; i++)
		gate_over_limit(s, limits_take(g->limits, g->rules, g->nrules, units[i], &who,
		    i ? (uint32_t)t->env.nrecipients : 1, now, &hit), &hit, r, why);
}

/* ---- MAIL ---- */

/* RFC 5321 has no code for it; 553 with 5.7.1 is what mail servers expect of one that binds
 * senders to clients. The null sender belongs to nobody, and bounces must pass. */
static bool
may_send_as(const struct conf_net *net, struct span sender)
{
	struct span local, domain;

	if (net == NULL || net->nfrom == 0 || sender.n == 0)
		return true;
	if (!mailaddr_split(sender, &local, &domain))
		return false;
	for (size_t i = 0; i < net->nfrom; i++) {
		struct span f = net->from[i];

		if (f.p[0] == '.' ? domain.n > f.n && span_ends_nocase(domain, f) :
		    span_eq_nocase(domain, f))
			return true;
	}
	return false;
}

void
gate_mail(const struct gate *g, struct smtp_session *s, int64_t now, struct smtp_reply *r,
    struct gate_why *why)
{
	const struct conf_net *net = NULL;
	struct limits_who who;
	struct limits_hit hit;
	struct span name;
	char ip[IP_TEXT_MAX];

	*why = (struct gate_why){ 0 };
	if (g->listener->direction == LISTEN_OUTBOUND && !s->permitted && s->user.n == 0) {
		gate_because(why, g->conf->path, g->listener->line, "`allow` of listener %.*s",
		    SPAN_ARG(g->listener->name));
		if (g->listener->auth)		/* RFC 4954, 6 */
			smtp_refuse(s, r, 530, "5.7.0 authentication required");
		else
			smtp_refuse(s, r, 554, "5.7.1 this client is not permitted to relay");
		return;
	}
	if (is_relay(g, s) && !nets_have(&g->listener->upstream, s->client)) {
		gate_because(why, g->conf->path, g->listener->line, "`upstream` of listener %.*s",
		    SPAN_ARG(g->listener->name));
		smtp_refuse(s, r, 554, "5.7.1 only known relays may send here");
		return;
	}
	if (access_permitted(g->listener, s->client, &name))
		net = config_network(g->conf, name);
	if (!may_send_as(net, s->t->env.sender)) {
		gate_because(why, g->conf->path, net->line, "`from` of network %.*s",
		    SPAN_ARG(net->name));
		smtp_refuse(s, r, 553, "5.7.1 <%.*s>: this client may not send from this domain",
		    SPAN_ARG(s->t->env.sender));
		return;
	}
	if (g->nrules == 0)
		return;
	if (g->count) {
		who_asks(s, is_relay(g, s), g->count->ip, &g->count->who);
		g->count->check = true;
		return;
	}
	who_asks(s, is_relay(g, s), ip, &who);
	gate_over_limit(s, limits_check(g->limits, g->rules, g->nrules, &who, now, &hit), &hit, r, why);
}

/* ---- RCPT ---- */

static const struct conf_domain *
domain_of(const struct gate *g, struct span address)
{
	struct span local, domain;

	return mailaddr_split(address, &local, &domain) ? config_domain(g->conf, domain) : NULL;
}

void
gate_unknown(const struct gate *g, struct smtp_session *s, const struct conf_domain *d,
    struct span address, int64_t now, struct smtp_reply *r, struct gate_why *why)
{
	*why = (struct gate_why){ 0 };
	if (!s->vouched)
		take(g, s, LIMIT_INVALID, address, now, r, why);
	if (r->code)
		return;
	gate_because(why, g->conf->path, d->line, "`recipients` of domain %.*s", SPAN_ARG(d->name));
	smtp_refuse(s, r, 550, "5.1.1 <%.*s>: no such recipient here", SPAN_ARG(address));
}

void
gate_rcpt(const struct gate *g, struct smtp_session *s, const struct recipient *rcpt, int64_t now,
    struct smtp_reply *r, struct gate_why *why)
{
	const struct conf_domain *d = domain_of(g, rcpt->address);
	struct envelope *env = &s->t->env;
	const struct conf_listener *l = g->listener;

	*why = (struct gate_why){ 0 };
	switch (access_recipient(g->access, g->conf, l, s->permitted || s->user.n > 0,
	    rcpt->address)) {
	case ACCESS_OUTBOUND:
		env->direction = DIRECTION_OUTBOUND;
		gate_because(why, g->conf->path, l->line, "`allow` of listener %.*s", SPAN_ARG(l->name));
		break;
	case ACCESS_INBOUND:
		env->direction = DIRECTION_INBOUND;
		gate_because(why, g->conf->path, d->line, "our domain %.*s", SPAN_ARG(d->name));
		break;
	case ACCESS_NO_RELAY:
		gate_because(why, g->conf->path, l->line, "`allow` of listener %.*s", SPAN_ARG(l->name));
		smtp_refuse(s, r, 554, "5.7.1 <%.*s>: not permitted to relay",
		    SPAN_ARG(rcpt->address));
		return;
	case ACCESS_UNKNOWN:
		gate_unknown(g, s, d, rcpt->address, now, r, why);
		return;
	}
	take(g, s, LIMIT_RECIPIENTS, rcpt->address, now, r, why);
	take(g, s, LIMIT_UNIQUE, rcpt->address, now, r, why);
}

/* A relay in front of us comes back for certain, and is not the stranger. */
static bool
from_upstream(const struct config *conf, const struct smtp_session *s)
{
	for (size_t i = 0; i < conf->nlisteners; i++)
		if (span_eq(conf->listeners[i].name, s->listener))
			return nets_have(&conf->listeners[i].upstream, s->client);
	return false;
}

bool
gate_greylists(const struct config *conf, const struct smtp_session *s, const struct conf_domain *d)
{
	return d->greylist.delay && !s->permitted && !s->vouched && s->user.n == 0 &&
	    !nets_have(&d->greylist.exempt, s->client) && !from_upstream(conf, s);
}

void
gate_asks(const struct gate *g, const struct smtp_session *s, const struct recipient *rcpt,
    struct gate_why *why)
{
	const struct conf_domain *d = domain_of(g, rcpt->address);
	struct span local, domain;
	char grey[60] = "";
	const char *who = NULL;

	if (d == NULL || s->t->env.direction != DIRECTION_INBOUND)
		return;
	if (gate_greylists(g->conf, s, d))
		snprintf(grey, sizeof(grey), "a stranger is told to come back in %lld s",
		    (long long)(d->greylist.delay / US_PER_SEC));
	/* RFC 5321, 4.5.1: the postmaster can always be reached. */
	if (mailaddr_split(rcpt->address, &local, &domain) && !span_is_nocase(local, "postmaster") &&
	    !config_is_echo(g->conf, rcpt->address))
		who = d->recipients == RECIPIENTS_CALLOUT ? "the server behind us is asked whether he exists" :
		    d->recipients == RECIPIENTS_LDAP ? "the directory is asked whether he exists" : NULL;
	if (*grey || who)
		gate_because(why, g->conf->path, d->line, "our domain %.*s; %s%s%s", SPAN_ARG(d->name), grey,
		    *grey && who ? "; " : "", who ? who : "");
}

/* ---- DATA ---- */

void
gate_data(const struct gate *g, struct smtp_session *s, int64_t now, uint64_t *max,
    struct smtp_reply *r, struct gate_why *why)
{
	const struct envelope *env = &s->t->env;

	*why = (struct gate_why){ 0 };
	*max = g->listener->max_size;
	gate_because(why, g->conf->path, g->listener->line, "`max_size` of listener %.*s",
	    SPAN_ARG(g->listener->name));
	for (size_t i = 0; env->direction == DIRECTION_INBOUND && i < env->nrecipients; i++) {
		const struct conf_domain *d = domain_of(g, env->recipients[i].address);

		if (d && d->max_size && d->max_size < *max) {
			*max = d->max_size;
			gate_because(why, g->conf->path, d->line, "`max_size` of domain %.*s",
			    SPAN_ARG(d->name));
		}
	}
	if (s->t->declared > *max) {
		smtp_refuse(s, r, 552, "5.3.4 message too large: at most %llu bytes",
		    (unsigned long long)*max);
		return;
	}
	take(g, s, LIMIT_MESSAGES, (struct span){ 0 }, now, r, why);
}
