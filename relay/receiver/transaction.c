/* transaction.c -- what the sessions of this process ask: access, limits, where the bytes go.
 *
 * Called from within smtp_session_step(); never calls the session back.
 * Refusals are logged in the shape of Postfix, counted, and told to the
 * journal as far as its channel can take them: the journal never holds up mail.
 */
#include "addr.h"
#include "clock.h"
#include "log.h"
#include "receiver/asking.h"
#include "receiver/counting.h"
#include "receiver/experience.h"
#include "receiver/listed.h"
#include "receiver/login.h"
#include "receiver/receiver.h"
#include "receiver/upstream.h"
#include "receiver/verifiers.h"

#define STORE_BACKLOG_MAX (4u << 20)
#define NOTIFY_AGAIN (3600 * US_PER_SEC)	/* a limit tells of one key once in it */
#define BASIS_BACKLOG_MAX (16u << 20)	/* then verdict records are lost, and counted */

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

static const char *
stage_of(const char *command)
{
	static const char *const stages[][2] = { { "CONNECT", "connect" }, { "HELO", "helo" },
		{ "EHLO", "helo" }, { "AUTH", "auth" }, { "STARTTLS", "tls" }, { "MAIL", "mail" },
		{ "RCPT", "rcpt" }, { "DATA", "data" }, { "BDAT", "data" },
		{ "END-OF-MESSAGE", "message" } };

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (strcmp(command, stages[i][0]) == 0)
			return stages[i][1];
	return "other";
}

void
count_refused(const char *command, unsigned code, struct span text)
{
	struct span reason = span_sub(text, 0, span_find(text, ' '));
	char number[12];
	size_t dots = 0;

	for (size_t i = 0; i < reason.n; i++) {
		dots += reason.p[i] == '.';
		if (reason.p[i] != '.' && (reason.p[i] < '0' || reason.p[i] > '9'))
			dots = 3;
	}
	if (dots != 2 || reason.n > 9 || (reason.p[0] != '4' && reason.p[0] != '5')) {
		snprintf(number, sizeof(number), "%u", code);	/* RFC 3463: not for every command */
		reason = span_str(number);
	}
	counter_add(COUNTER_REFUSED, 1);
	label_add(LABEL_REFUSED, span_str(stage_of(command)), reason, 1);
}

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
journal_send(struct receiver *rx, const struct msg_event *ev)
{
	struct buf *b = &rx->messages.scratch;

	if (rx->store == NULL || link_backlog(rx->store) > STORE_BACKLOG_MAX) {
		counter_add(COUNTER_EVENTS_LOST, 1);
		return;
	}
	ASSERT(buf_size(b) == 0);
	event_encode(b, ev);
	if (buf_failed(b) || link_send(rx->store, FRAME_EVENT, 0, buf_data(b), -1) == -1)
		counter_add(COUNTER_EVENTS_LOST, 1);
	buf_reset(b);
}

void
journal_acted(struct receiver *rx, uint32_t uid, struct span what, struct span subject)
{
	struct msg_event ev = { .kind = EVENT_AUDIT, .time = clock_real(), .rcpt = what,
		.relay = subject };
	char by[32];

	snprintf(by, sizeof(by), "uid %u", uid);
	ev.by = span_str(by);
	journal_send(rx, &ev);
}

void
journal_refused(struct receiver *rx, const struct envelope *env, const struct recipient *rcpt,
    unsigned code, struct span text, enum outcome o, uint64_t size, struct span record)
{
	char reply[1100];
	int n;
	struct msg_event ev = { .kind = EVENT_REFUSED, .id = env->id, .time = clock_real(),
		.size = size, .has_env = true, .env = *env, .record = record };

	n = snprintf(reply, sizeof(reply), "%u %.*s", code,
	    (int)(text.n > 1000 ? 1000 : text.n), text.p);
	ev.reply = span_make(reply, (size_t)n);
	ev.dsn = span_sub(text, 0, wire_enhanced(text));
	ev.outcome = span_str(o == OUTCOME_REJECT || o == OUTCOME_DEFER ? outcome_name(o) : "");
	if (rcpt)
		ev.rcpt = rcpt->address;
	journal_send(rx, &ev);
}

void
journal_basis(struct receiver *rx, const struct message *m)
{
	struct msg_basis msg = { m->id, m->verdict.basis, m->t->hold_rule, m->t->hold,
		m->verdict.tokens };
	struct buf *b = &rx->messages.scratch;

	if (msg.basis.n == 0)
		return;
	if (rx->store == NULL || link_backlog(rx->store) > BASIS_BACKLOG_MAX) {
		counter_add(COUNTER_BASES_LOST, 1);
		return;
	}
	basis_encode(b, &msg);
	if (buf_failed(b) || link_send(rx->store, FRAME_BASIS, 0, buf_data(b), -1) == -1)
		counter_add(COUNTER_BASES_LOST, 1);
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
	    "%s at %s:%u", ip_format(client, ip), SPAN_ARG(door->conf->name),
	    door->conf->upstream.n && door->conf->direction == LISTEN_INBOUND ?
	    "send, add it to `upstream`" : "relay, add it to `allow`",
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
	count_refused(command, code, text);
	experience_refused(c, s, command, code, text);
	log_refused(s->id, command, s->client_name, s->client, code, text, env, rcpt);
	if (env)
		journal_refused(c->rx, env, rcpt, code, text, OUTCOME_UNJUDGED, 0, SPAN_LIT(""));
}

/* ---- limits ---- */

/* Somebody broke out: the notice stands in the log and in the journal. */
static void
journal_locked(struct conn_mail *c, struct smtp_session *s, const struct limits_hit *hit)
{
	const struct limit_rule *rule = hit->rule;
	char text[512];
	int n = snprintf(text, sizeof(text), "%.*s is locked for %lld s by the limit %.*s%s%.*s",
	    (int)(hit->key.n > 256 ? 256 : hit->key.n), hit->key.p,
	    (long long)(rule->lock / US_PER_SEC), (int)(rule->id.n > 64 ? 64 : rule->id.n),
	    rule->id.p, rule->notify.n ? "; notify " : "",
	    (int)(rule->notify.n > 128 ? 128 : rule->notify.n), rule->notify.p);
	struct msg_event ev = { .kind = EVENT_LOCKED, .id = s->id, .time = clock_real(),
		.has_env = true, .env = s->t->env, .reply = span_make(text, (size_t)n) };

	log_msg(LOG_LVL_WARN, s->id, "%s", text);
	journal_send(c->rx, &ev);
}

/* Who is to be told of a limit gets mail: of a key once in NOTIFY_AGAIN, for who is over a
 * limit is so at every command. */
static void
notify_limit(struct conn_mail *c, struct smtp_session *s, const struct gate_why *why)
{
	const struct limit_rule *rule = why->hit.rule;
	struct limit_rule once = { .id = SPAN_LIT("notice-of-limit"), .per = LIMIT_SENDER,
		.unit = LIMIT_MESSAGES, .allow = 1, .window = NOTIFY_AGAIN, .then = OUTCOME_DEFER };
	struct messages *all = &c->rx->messages;
	char key[400], subject[200], text[1200], id[ID_SIZE];
	struct limits_who who = { .real = clock_real() };
	struct limits_hit hit;
	int n;

	n = snprintf(key, sizeof(key), "%.*s %.*s", (int)(rule->id.n > 64 ? 64 : rule->id.n), rule->id.p,
	    (int)(why->hit.key.n > 300 ? 300 : why->hit.key.n), why->hit.key.p);
	who.sender = span_make(key, (size_t)n);
	if (all->limits && limits_take(all->limits, &once, 1, LIMIT_MESSAGES, &who, 1, clock_mono(),
	    &hit) != OUTCOME_UNJUDGED)
		return;
	snprintf(subject, sizeof(subject), "Limit %.*s reached by %.*s",
	    (int)(rule->id.n > 64 ? 64 : rule->id.n), rule->id.p,
	    (int)(why->hit.key.n > 100 ? 100 : why->hit.key.n), why->hit.key.p);
	snprintf(text, sizeof(text), "The limit %.*s (%s:%u) was reached by %.*s: %s%s.\n\n"
	    "Reference: %s\n\npostern limits shows who is above which; "
	    "postern limits reset KEY lets one go on.\n", (int)(rule->id.n > 64 ? 64 : rule->id.n),
	    rule->id.p, rule->file ? rule->file : "", rule->line,
	    (int)(why->hit.key.n > 300 ? 300 : why->hit.key.n), why->hit.key.p,
	    outcome_name(why->limit), why->hit.locked ? ", locked" : "", id_format(s->id, id));
	note_send(all, s->id, rule->notify, rule->id, span_str(subject), span_str(text), clock_mono());
}

void
note_limit(struct conn_mail *c, struct smtp_session *s, const struct gate_why *why)
{
	const struct limit_rule *rule = why->hit.rule;

	if (why->limit == OUTCOME_UNJUDGED)
		return;
	counter_add(COUNTER_LIMIT_HITS, 1);
	label_add(LABEL_LIMIT, rule->id, (struct span){ 0 }, 1);
	log_msg(LOG_LVL_WARN, s->id, "limit %.*s reached by %.*s: %s%s%.*s", SPAN_ARG(rule->id),
	    SPAN_ARG(why->hit.key), outcome_name(why->limit),
	    rule->notify.n ? "; notify " : "", SPAN_ARG(rule->notify));
	if (why->hit.locked)
		journal_locked(c, s, &why->hit);
	if (rule->notify.n)
		notify_limit(c, s, why);
}

/* ---- memory ---- */

/* The envelope grows with each recipient: it is paid for like the message. */
static bool
charge_envelope(struct conn_mail *c, struct smtp_session *s)
{
	uint64_t used = arena_used(s->t->arena);

	if (used <= c->charged)
		return true;
	if (!messages_charge(&c->rx->messages, used - c->charged))
		return false;
	c->charged = used;
	return true;
}

static void
give_back_envelope(struct conn_mail *c)
{
	messages_give_back(&c->rx->messages, c->charged);
	c->charged = 0;
}

/* ---- the way of a transaction ---- */

static void
op_mail(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	struct conn_mail *c = ctx;
	struct gate_why why;

	counting_begin(c->rx);
	gate_mail(&c->door->gate, s, clock_mono(), r, &why);
	if ((r->wait = counting_ask(c, s, COUNTED_MAIL, &why, 0, r)) == 0)
		transaction_mail_counted(c, s, &why, r);
}

void
transaction_mail_counted(struct conn_mail *c, struct smtp_session *s, const struct gate_why *why,
    struct smtp_reply *r)
{
	struct messages *all = &c->rx->messages;

	note_limit(c, s, why);
	if (r->code)
		return;
	if (all->queue == NULL)
		smtp_refuse(s, r, 451, "4.3.0 the spool is not available, try again later");
	else if (!charge_envelope(c, s) || !messages_charge(all, s->t->declared))
		smtp_refuse(s, r, 452, "4.3.1 too much mail at once, try again later");
	else
		messages_give_back(all, s->t->declared);
}

static bool
is_foreign(const struct smtp_session *s, const struct envelope *env)
{
	return env->direction == DIRECTION_INBOUND && !s->permitted && s->user.n == 0;
}

/* At the first recipient that is taken: who sends is looked up while the client goes on. */
static void
announce(struct conn_mail *c, struct smtp_session *s)
{
	struct messages *all = &c->rx->messages;

	s->t->foreign = is_foreign(s, &s->t->env);
	if (s->t->foreign && all->verifiers && c->door->conf->upstream.n == 0)
		s->t->announced = verifiers_announce(all->verifiers, s->t);
}

static void
note_bounce(struct smtp_session *s, const struct recipient *rcpt, const struct smtp_reply *r)
{
	if (s->t->bounce == BOUNCE_UNKNOWN || r->code == 452)
		return;
	counter_add(s->t->bounce == BOUNCE_VALID ? COUNTER_BOUNCES_PROVED : COUNTER_BOUNCES_UNPROVED, 1);
	log_msg(LOG_LVL_INFO, s->id, "to=<%.*s>, bounce=%s", SPAN_ARG(rcpt->address),
	    bounce_fact_name(s->t->bounce));
}

static uint64_t
op_rcpt(void *ctx, struct smtp_session *s, struct recipient *rcpt, struct smtp_reply *r)
{
	struct conn_mail *c = ctx;
	struct gate_why why;
	uint64_t ticket;

	if (!charge_envelope(c, s)) {
		smtp_refuse(s, r, 452, "4.3.1 too much mail at once, try again later");
		return 0;
	}
	gate_bounce(&c->door->gate, s, rcpt, r, &why);
	note_bounce(s, rcpt, r);
	if (r->code)
		return 0;
	listed_client(c, s);
	counting_begin(c->rx);
	gate_rcpt(&c->door->gate, s, rcpt, clock_mono(), r, &why);
	if ((ticket = counting_ask(c, s, COUNTED_RCPT, &why, 0, r)) != 0)
		return ticket;
	return transaction_rcpt_counted(c, s, rcpt, &why, r);
}

uint64_t
transaction_rcpt_counted(struct conn_mail *c, struct smtp_session *s, struct recipient *rcpt,
    const struct gate_why *why, struct smtp_reply *r)
{
	struct envelope *env = &s->t->env;
	char who[CLIENT_TEXT_MAX];

	note_limit(c, s, why);
	if (r->code == 0 && is_foreign(s, env))
		listed_rcpt(c, s, rcpt->address, r);
	if (r->code == 0 && env->nrecipients == 0)
		experience_rcpt(c, s, r);
	if (r->code == 554)
		hint_allow(c->rx, (struct door *)(uintptr_t)c->door, s->id, s->client, clock_mono());
	if (r->code == 0 && env->nrecipients == 0)
		announce(c, s);
	/* For pflogsumm that line means a message received: the queue writes it when there is one. */
	if (r->code == 0 && env->nrecipients == 0 && !log_postfix())
		log_later(s->id, "client=%s%s%.*s",
		    client_text(s->client_name, s->client, who),
		    s->user.n ? ", sasl_username=" : "", SPAN_ARG(s->user));
	return r->code ? 0 : asking_rcpt(c, s, rcpt, r);
}

static void
op_data(void *ctx, struct smtp_session *s, struct smtp_reply *r)
{
	struct conn_mail *c = ctx;
	struct gate_why why;
	uint64_t max;

	counting_begin(c->rx);
	gate_data(&c->door->gate, s, clock_mono(), &max, r, &why);
	if ((r->wait = counting_ask(c, s, COUNTED_DATA, &why, max, r)) == 0)
		transaction_data_counted(c, s, &why, max, r);
}

void
transaction_data_counted(struct conn_mail *c, struct smtp_session *s, const struct gate_why *why,
    uint64_t max, struct smtp_reply *r)
{
	note_limit(c, s, why);
	if (r->code == 0)
		c->m = message_new(&c->rx->messages, s->id, c->conn, max);
}

static void
op_body(void *ctx, struct smtp_session *s, struct span bytes)
{
	struct conn_mail *c = ctx;

	message_put(c->m, bytes);
}

/* Whom the trusted relay had it from: from here on that is the client. */
static void
find_origin(struct conn_mail *c, struct smtp_session *s, struct smtp_transaction *t,
    struct smtp_reply *r)
{
	struct envelope *env = &t->env;
	struct gate_why why;
	struct origin o;
	char who[CLIENT_TEXT_MAX];

	upstream_origin(buf_data(&c->m->head), &c->door->conf->upstream, &o);
	t->relayed = true;
	t->peer = env->client;
	t->peer_name = env->client_name;
	t->peer_helo = env->helo;
	env->client = o.ip;
	env->client_port = 0;
	env->client_name = arena_span(t->arena, o.name);
	env->helo = arena_span(t->arena, o.helo);
	log_msg(LOG_LVL_INFO, s->id, "origin=%s", client_text(env->client_name, env->client, who));
	s->t = t;	/* these ask of a transaction under way */
	gate_relayed(&c->door->gate, s, clock_mono(), r, &why);
	note_limit(c, s, &why);
	s->t = NULL;
	r->text = arena_span(t->arena, r->text);	/* it lay where the next refusal is made */
}

static uint64_t
op_end(void *ctx, struct smtp_session *s, struct smtp_transaction *t, unsigned flags,
    struct smtp_reply *r)
{
	struct conn_mail *c = ctx;
	struct smtp_reply why;

	message_charged(c->m, c->charged);
	c->charged = 0;
	conn_note(c, "a message of %llu bytes", (unsigned long long)c->m->size);
	why = (struct smtp_reply){ 0 };
	t->milter = c->door->conf->milter;
	t->foreign = is_foreign(s, &t->env);	/* whatever was announced, or not */
	if (t->foreign && c->door->conf->upstream.n)
		find_origin(c, s, t, &why);
	if (why.code)
		c->m->t = t;	/* it goes with the message */
	else if (message_end(c->m, t, clock_mono(), &why) == 0) {
		c->m = NULL;
		return s->id;
	}
	smtp_refuse(s, r, why.code, "%.*s", SPAN_ARG(why.text));
	count_refused("END-OF-MESSAGE", r->code, r->text);
	log_refused(s->id, "END-OF-MESSAGE", s->client_name, s->client, r->code, r->text, &t->env,
	    NULL);
	journal_refused(c->rx, &t->env, NULL, r->code, r->text, OUTCOME_UNJUDGED, c->m->size,
	    SPAN_LIT(""));
	message_free(&c->m);
	return 0;
}

static uint64_t
op_auth(void *ctx, struct smtp_session *s, struct span user, struct span password,
    struct smtp_reply *r)
{
	struct conn_mail *c = ctx;

	return login_start(c->rx->logins,
	    c->door->conf->auth_ldap ? ROLE_DIRECTORY : ROLE_AUTHENTICATOR, c->conn, s, user, password, r);
}

static void
op_abandon(void *ctx, struct smtp_session *s)
{
	struct conn_mail *c = ctx;

	message_free(&c->m);
	give_back_envelope(c);
}

static void
op_heard(void *ctx, struct smtp_session *s, struct span line)
{
	conn_heard(ctx, false, line);
}

static void
op_said(void *ctx, struct smtp_session *s, struct span replies)
{
	conn_heard(ctx, true, replies);
}

const struct smtp_ops transaction_ops = {
	.mail = op_mail, .rcpt = op_rcpt, .data = op_data, .body = op_body, .end = op_end,
	.auth = op_auth,
	.abandon = op_abandon, .refused = op_refused, .xclient = conn_xclient,
	.heard = op_heard, .said = op_said,
};
