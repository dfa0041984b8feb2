/* transaction.c -- what the sessions of this process ask: access, limits, where the bytes go.
 *
 * Called from within smtp_session_step(); never calls the session back.
 * Refusals are logged in the shape of Postfix, counted, and told to the
 * journal as far as its channel can take them: the journal never holds up mail.
 */
#include "addr.h"
#include "clock.h"
#include "log.h"
#include "receiver/receiver.h"

#define STORE_BACKLOG_MAX (4u << 20)

const char *
client_text(struct span name, struct ip ip, char *buf)
{
	char text[IP_TEXT_MAX];

	if (name.n == 0)
		name = SPAN_LIT("unknown");
	snprintf(buf, CLIENT_TEXT_MAX, "%.*s[%s]", (int)(name.n > 256 ? 256 : name.n), name.p,
	    ip_format(ip, text));
	return buf;
}

/* ---- refusals ---- */

void
log_refused(uint64_t id, const char *command, struct span client_name, struct ip client,
    unsigned code, struct span text, const struct envelope *env, const struct recipient *rcpt)
{
	char who[CLIENT_TEXT_MAX];
	struct span to = rcpt ? rcpt->address :
	    env && env->nrecipients ? env->recipients[0].address : (struct span){ 0 };

	client_text(client_name, client, who);
	if (env == NULL) {
		log_msg(LOG_LVL_INFO, id, "reject: %s from %s: %u %.*s", command, who, code,
		    SPAN_ARG(text));
		return;
	}
	log_msg(LOG_LVL_INFO, id,
	    "reject: %s from %s: %u %.*s; from=<%.*s> to=<%.*s> proto=%s helo=<%.*s>", command, who,
	    code, SPAN_ARG(text), SPAN_ARG(env->sender), SPAN_ARG(to),
	    env->flags & ENVELOPE_ESMTP ? "ESMTP" : "SMTP", SPAN_ARG(env->helo));
}

void
journal_refused(struct receiver *rx, const struct envelope *env, const struct recipient *rcpt,
    unsigned code, struct span text, enum outcome o, uint64_t size, struct span record)
{
	char reply[1100];
	int n;
	struct msg_event ev = { .kind = EVENT_REFUSED, .id = env->id, .time = clock_real(),
		.size = size, .has_env = true, .env = *env, .record = record };
	struct buf *b = &rx->messages.scratch;

	if (rx->store == NULL || link_backlog(rx->store) > STORE_BACKLOG_MAX) {
		counter_add(COUNTER_EVENTS_LOST, 1);
		return;
	}
	n = snprintf(reply, sizeof(reply), "%u %.*s", code,
	    (int)(text.n > 1000 ? 1000 : text.n), text.p);
	ev.reply = span_make(reply, (size_t)n);
	ev.dsn = span_sub(text, 0, wire_enhanced(text));
	ev.outcome = span_str(o == OUTCOME_REJECT || o == OUTCOME_DEFER ? outcome_name(o) : "");
	if (rcpt)
		ev.rcpt = rcpt->address;
	event_encode(b, &ev);
	if (buf_failed(b) || link_send(rx->store, FRAME_EVENT, 0, buf_data(b), -1) == -1)
		counter_add(COUNTER_EVENTS_LOST, 1);
	buf_reset(b);
}

void
hint_allow(struct receiver *rx, struct door *door, uint64_t id, struct ip client, int64_t now)
{
	char ip[IP_TEXT_MAX];

	if (door->hinted && now - door->hinted < 60 * US_PER_SEC)
		return;
	door->hinted = now;
	log_msg(LOG_LVL_WARN, id, "[%s] is in no permitted network of listener %.*s; to let it "
	    "relay, add it to `allow` at %s:%u", ip_format(client, ip), SPAN_ARG(door->conf->name),
	    rx->rt->conf->path, door->conf->line);
}

static void
op_refused(void *ctx, struct smtp_session *s, const char *command, const struct recipient *rcpt,
    unsigned code, struct span text)
{
	struct conn_mail *c = ctx;
	const struct envelope *env = s->t ? &s->t->env : NULL;

	/* A message's answer is reported where all of it is known: by receiver.c. */
	if (strcmp(command, "END-OF-MESSAGE") == 0)
		return;
	counter_add(COUNTER_REFUSED, 1);
	log_refused(s->id, command, s->client_name, s->client, code, text, env, rcpt);
	if (env)
		journal_refused(c->rx, env, rcpt, code, text, OUTCOME_UNJUDGED, 0, SPAN_LIT(""));
}

/* ---- limits ---- */

static void
over_limit(struct conn_mail *c, struct smtp_session *s, enum limit_unit unit, struct smtp_reply *r)
{
	struct receiver *rx = c->rx;
	struct limits_who who;
	struct limits_hit hit;
	char ip[IP_TEXT_MAX];
	enum outcome o;

	if (rx->nrules == 0)
		return;
	limits_who(&s->t->env, ip, &who);
	o = limits_take(rx->limits, rx->rules, rx->nrules, unit, &who, 1, clock_mono(), &hit);
	if (o == OUTCOME_UNJUDGED)
		return;
	counter_add(COUNTER_LIMIT_HITS, 1);
	log_msg(LOG_LVL_WARN, s->id, "limit %.*s reached by %.*s: %s", SPAN_ARG(hit.rule->id),
	    SPAN_ARG(hit.key), outcome_name(o));
	if (o == OUTCOME_REJECT)
		smtp_refuse(s, r, 550, "5.7.1 over the limit %.*s", SPAN_ARG(hit.rule->id));
	else if (o == OUTCOME_DEFER)
		smtp_refuse(s, r, 451, "4.7.1 over the limit %.*s, try again later",
		    SPAN_ARG(hit.rule->id));
	else if (o == OUTCOME_HOLD) {
		s->t->hold_rule = hit.rule->id;
		s->t->hold = hit.rule->queue;
	}
}

/* ---- the way of a transaction ---- */

static void
op_mail(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	struct conn_mail *c = ctx;
	const struct messages *all = &c->rx->messages;

	/* Who may relay by network alone was let in at the door. */
	if (c->door->conf->direction == LISTEN_OUTBOUND && !s->permitted && s->user.n == 0) {
		if (c->door->conf->auth)	/* RFC 4954, 6 */
			smtp_refuse(s, r, 530, "5.7.0 authentication required");
		else
			smtp_refuse(s, r, 554, "5.7.1 this client is not permitted to relay");
	} else if (all->queue == NULL)
		smtp_refuse(s, r, 451, "4.3.0 the spool is not available, try again later");
	else if (s->t->declared > all->memory_max - all->memory)
		smtp_refuse(s, r, 452, "4.3.1 too much mail at once, try again later");
}

static void
op_rcpt(void *ctx, struct smtp_session *s, struct recipient *rcpt, struct smtp_reply *r)
{
	struct conn_mail *c = ctx;
	struct envelope *env = &s->t->env;
	char who[CLIENT_TEXT_MAX];

	switch (access_recipient(c->rx->access, c->rx->rt->conf, c->door->conf,
	    s->permitted || s->user.n > 0, rcpt->address)) {
	case ACCESS_OUTBOUND:
		env->direction = DIRECTION_OUTBOUND;
		break;
	case ACCESS_INBOUND:
		env->direction = DIRECTION_INBOUND;
		break;
	case ACCESS_NO_RELAY:
		smtp_refuse(s, r, 554, "5.7.1 <%.*s>: not permitted to relay",
		    SPAN_ARG(rcpt->address));
		hint_allow(c->rx, (struct door *)(uintptr_t)c->door, s->id, s->client, clock_mono());
		return;
	case ACCESS_UNKNOWN:
		smtp_refuse(s, r, 550, "5.1.1 <%.*s>: no such recipient here",
		    SPAN_ARG(rcpt->address));
		return;
	}
	over_limit(c, s, LIMIT_RECIPIENTS, r);
	if (r->code == 0 && env->nrecipients == 0)
		log_msg(LOG_LVL_INFO, s->id, "client=%s%s%.*s",
		    client_text(s->client_name, s->client, who),
		    s->user.n ? ", sasl_username=" : "", SPAN_ARG(s->user));
}

static uint64_t
size_limit(const struct conn_mail *c, const struct envelope *env)
{
	uint64_t max = c->door->conf->max_size;

	for (size_t i = 0; env->direction == DIRECTION_INBOUND && i < env->nrecipients; i++) {
		const struct conf_domain *d;
		struct span local, domain;

		if (mailaddr_split(env->recipients[i].address, &local, &domain) &&
		    (d = config_domain(c->rx->rt->conf, domain)) != NULL && d->max_size &&
		    d->max_size < max)
			max = d->max_size;
	}
	return max;
}

static void
op_data(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	struct conn_mail *c = ctx;
	uint64_t max = size_limit(c, &s->t->env);

	if (s->t->declared > max) {
		smtp_refuse(s, r, 552, "5.3.4 message too large: at most %llu bytes",
		    (unsigned long long)max);
		return;
	}
	over_limit(c, s, LIMIT_MESSAGES, r);
	if (r->code == 0)
		c->m = message_new(&c->rx->messages, s->id, c->conn, max);
}

static void
op_body(void *ctx, struct smtp_session *s, struct span bytes)
{
	struct conn_mail *c = ctx;

	message_put(c->m, bytes);
}

static uint64_t
op_end(void *ctx, struct smtp_session *s, struct smtp_transaction *t, unsigned flags,
    struct smtp_reply *r)
{
	struct conn_mail *c = ctx;
	struct smtp_reply why;

	if (message_end(c->m, t, clock_mono(), &why) == 0) {
		c->m = NULL;
		return s->id;
	}
	smtp_refuse(s, r, why.code, "%.*s", SPAN_ARG(why.text));
	counter_add(COUNTER_REFUSED, 1);
	log_refused(s->id, "END-OF-MESSAGE", s->client_name, s->client, r->code, r->text, &t->env,
	    NULL);
	journal_refused(c->rx, &t->env, NULL, r->code, r->text, OUTCOME_UNJUDGED, c->m->size,
	    SPAN_LIT(""));
	message_free(&c->m);
	return 0;
}

static void
op_abandon(void *ctx, struct smtp_session *s)
{
	struct conn_mail *c = ctx;

	message_free(&c->m);
}

const struct smtp_ops transaction_ops = {
	.mail = op_mail, .rcpt = op_rcpt, .data = op_data, .body = op_body, .end = op_end,
	.abandon = op_abandon, .refused = op_refused,
};
