/* pipeline.c -- the way of a message behind its end: SCAN, SIGN, SUBMIT, the answer.
 *
 * The verdict decides for each recipient. All rejected: 550. Any to be
 * deferred: 451 for the whole message, and the client tries again. Else the
 * recipients are put into groups that get the same bytes, each group is
 * one entry of the queue; 250 is said when every one of them is on the disk.
 * The first group has the id the client is told, the others are its children.
 *
 * Groups are signed all together, then submitted all together: they ride on
 * the same sync. Should one of several fail there, the client hears 451 and
 * the recipients of the others may get the message twice: never not at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "log.h"
#include "receiver/echo.h"
#include "receiver/message.h"
#include "receiver/scanners.h"
#include "receiver/verifiers.h"

#define SIGN_TIMEOUT (30 * US_PER_SEC)
#define SIGNER_TIMEOUT (5 * US_PER_SEC)	/* to be there at all */
#define SIGNERS_GONE_MAX 2	/* that ended while they had a message */
#define SUBMIT_TIMEOUT (120 * US_PER_SEC)

/* ---- sending ---- */

int
message_send_body(struct message *m, struct link *l, enum frame_type type, uint64_t ticket,
    const struct payload *p)
{
	struct buf *b = &m->all->scratch;
	int fd = -1, r;

	if (buf_failed(b))
		goto fail;
	if (p->fd != -1 && (fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0)) == -1)
		goto fail;
	r = link_send(l, type, ticket, buf_data(b), fd);
	buf_reset(b);
	return r;
fail:
	buf_reset(b);
	return -1;
}

int
message_send_scan(struct message *m, struct link *l, uint64_t ticket)
{
	struct msg_scan msg = { .env = m->t->env, .payload = m->payload,
		.inbound = m->verification.facts };

	msg.inbound.bounce = m->t->bounce;
	if (m->members.grid)
		msg.members = m->members;
	scan_encode(&m->all->scratch, &msg);
	return message_send_body(m, l, FRAME_SCAN, ticket, &m->payload);
}

/* What stands in the queue for a group: `head` above its bytes. */
static int
group_payload(struct message *m, struct group *g, struct span head, struct payload *out,
    struct err *err)
{
	struct arena *a = m->t->arena;
	struct payload own;
	const struct variant *v;

	if (!g->notice) {
		v = &m->verdict.variants[g->copy ? 0 : g->variant];
		return payload_edit(a, &m->payload, head, v->edits, v->nedits, out, err);
	}
	payload_from_span(&own, g->bytes, a);
	return payload_edit(a, &own, head, NULL, 0, out, err);
}

/* Our Received field tells of our own connection, also when a relay speaks for its clients. */
static struct envelope
seen_by_us(const struct message *m)
{
	struct envelope env = m->t->env;

	if (m->t->relayed) {
		env.client = m->t->peer;
		env.client_name = m->t->peer_name;
		env.helo = m->t->peer_helo;
	}
	return env;
}

static void
submit(struct message *m, int64_t now)
{
	struct envelope *env = &m->t->env;
	struct arena *a = m->t->arena;
	char id[ID_SIZE];
	bool any = false;

	m->state = MESSAGE_SUBMIT;
	for (size_t i = 0; i < m->ngroups; i++) {
		struct group *g = &m->groups[i];
		struct msg_submit msg = { .env = g->env, .parent = g->parent,
			.decisions = g->decisions, .ndecisions = g->env.nrecipients,
			.record = g->copy ? (struct span){ 0 } : m->verdict.record };
		struct envelope from = seen_by_us(m);
		struct span received = g->notice ? (struct span){ 0 } : header_received(a, &from, g->id,
		    message_hostname(m), m->all->conf->node_number ? m->all->conf->node :
		    (struct span){ 0 }, env->nrecipients == 1 && !g->copy ?
		    env->recipients[0].address : (struct span){ 0 });
		struct span results = g->notice ? (struct span){ 0 } : m->verification.header;
		struct span head = received;
		struct err err;

		if (g->passes) {
			g->accepted = true;
			if (group_payload(m, g, SPAN_LIT(""), &g->out, &err) == -1) {
				log_msg(LOG_LVL_ERROR, m->id, "edits that do not fit the message: %s",
				    err.text);
				message_finish(m, 451,
				    "4.3.0 the message cannot be changed as the policy asks");
				return;
			}
			continue;
		}
		if (g->signature.n || results.n)
			head = span_str(arena_printf(a, SPAN_FMT SPAN_FMT SPAN_FMT,
			    SPAN_ARG(g->signature), SPAN_ARG(received), SPAN_ARG(results)));
		if (m->all->queue == NULL) {
			message_finish(m, 451, "4.3.0 the spool is not available, try again later");
			return;
		}
		if (group_payload(m, g, head, &msg.payload, &err) == -1) {
			log_msg(LOG_LVL_ERROR, m->id, "edits that do not fit the message: %s",
			    err.text);
			message_finish(m, 451, "4.3.0 the message cannot be changed as the policy asks");
			return;
		}
		g->ticket = ticket_open(m->all->tickets, m, now + SUBMIT_TIMEOUT);
		ASSERT(buf_size(&m->all->scratch) == 0);
		submit_encode(&m->all->scratch, &msg);
		if (message_send_body(m, m->all->queue, FRAME_SUBMIT, g->ticket, &msg.payload) == -1) {
			message_finish(m, 452, "4.3.1 the spool cannot take more now");
			return;
		}
		g->sent = true;
		any = true;
	}
	if (!any)		/* all of it goes on with the MTA */
		message_finish(m, 250, "2.0.0 passed as %s", id_format(m->id, id));
}

static bool
leaves(const struct group *g)
{
	for (size_t i = 0; i < g->env.nrecipients; i++)
		switch (g->decisions[i].outcome) {
		case OUTCOME_DELIVER:
		case OUTCOME_REDIRECT:
		case OUTCOME_QUARANTINE:
		case OUTCOME_HOLD:
			return true;
		default:
			break;
		}
	return false;
}

/* Hands a group to the signer, or leaves it waiting for the next one. false: the message is answered. */
static bool
ask_signer(struct message *m, struct group *g)
{
	struct msg_sign msg = { .id = g->id, .domain = g->sign_domain, .amended = m->t->milter };
	struct err err;

	g->asked = m->all->signer;
	if (g->asked == NULL)
		return true;
	if (group_payload(m, g, SPAN_LIT(""), &msg.payload, &err) == -1) {
		message_finish(m, 451, "4.3.0 the message cannot be changed as the policy asks");
		return false;
	}
	sign_encode(&m->all->scratch, &msg);
	if (message_send_body(m, g->asked, FRAME_SIGN, g->ticket, &msg.payload) == -1) {
		message_finish(m, 451, "4.3.0 the signer is not available, try again later");
		return false;
	}
	return true;
}

void
message_sign(struct message *m, int64_t now)
{
	bool any = false;

	for (size_t i = 0; i < m->ngroups; i++) {
		struct group *g = &m->groups[i];

		if (g->sign_domain.n == 0 || !leaves(g))
			continue;
		g->ticket = ticket_open(m->all->tickets, m, now + (m->all->signer ? SIGN_TIMEOUT : SIGNER_TIMEOUT));
		any = true;
		if (!ask_signer(m, g))
			return;
	}
	m->state = MESSAGE_SIGN;
	if (!any)
		submit(m, now);
}

/* ---- the verdict ---- */

static struct group *
group_for(struct message *m, uint16_t variant, bool passes)
{
	struct envelope *env = &m->t->env;
	struct group *g;

	for (size_t i = 0; i < m->ngroups; i++)
		if (m->groups[i].variant == variant && m->groups[i].passes == passes)
			return &m->groups[i];
	g = &m->groups[m->ngroups];
	*g = (struct group){ .variant = variant, .passes = passes, .env = *env, .sign_domain = m->sign_domain,
		.id = m->ngroups ? id_new(m->all->ids, env->received) : m->id };
	g->parent = m->ngroups ? m->id : 0;
	g->env.id = g->id;
	g->env.nrecipients = 0;
	g->env.recipients = arena_array(m->t->arena, env->nrecipients, sizeof(*env->recipients));
	g->decisions = arena_array(m->t->arena, env->nrecipients, sizeof(*g->decisions));
	m->ngroups++;
	return g;
}

static void
group_add(struct message *m, struct group *g, size_t i)
{
	g->env.recipients[g->env.nrecipients] = m->t->env.recipients[i];
	g->decisions[g->env.nrecipients++] = m->verdict.decisions[i];
}

/* The first group that the queue gets. */
static struct group *
group_of_queue(struct message *m)
{
	for (size_t i = 0; i < m->ngroups; i++)
		if (!m->groups[i].passes)
			return &m->groups[i];
	return group_for(m, 0, false);
}

/* Recipients whose copy goes nowhere need no bytes of their own: they join the first group. */
static bool
needs_bytes(enum outcome o)
{
	return o != OUTCOME_REJECT && o != OUTCOME_DISCARD;
}

static void
make_groups(struct message *m)
{
	size_t n = m->verdict.ndecisions, variants = m->verdict.nvariants;

	m->groups = arena_array(m->t->arena, variants + 2 + notes_wanted(m), sizeof(*m->groups));
	message_choose_passing(m);
	for (size_t i = 0; i < n; i++)
		if (needs_bytes(m->verdict.decisions[i].outcome))
			group_add(m, group_for(m, m->verdict.decisions[i].variant,
			    message_passes(m, &m->verdict.decisions[i])), i);
	for (size_t i = 0; i < n; i++)
		if (!needs_bytes(m->verdict.decisions[i].outcome))
			group_add(m, group_of_queue(m), i);
}

/* A limit that says hold is as strict as a rule that does. */
static void
apply_limit_hold(struct message *m)
{
	if (m->t->hold_rule.n == 0)
		return;
	for (size_t i = 0; i < m->verdict.ndecisions; i++) {
		struct msg_decision *d = &m->verdict.decisions[i];

		if (d->outcome >= OUTCOME_HOLD)
			continue;
		d->outcome = OUTCOME_HOLD;
		d->queue = m->t->hold;
		d->rule = m->t->hold_rule;
		d->expires = 0;
		d->on_expire = OUTCOME_UNJUDGED;
	}
}

unsigned
verdict_answer(const struct msg_decision *d, size_t n, struct span *text)
{
	size_t rejected = 0, deferred = 0;
	enum outcome o;

	for (size_t i = 0; i < n; i++) {
		rejected += d[i].outcome == OUTCOME_REJECT;
		deferred += d[i].outcome == OUTCOME_DEFER;
	}
	if (rejected < n && deferred == 0)
		return 0;
	o = rejected == n ? OUTCOME_REJECT : OUTCOME_DEFER;
	*text = o == OUTCOME_REJECT ? SPAN_LIT("5.7.1 refused by policy") :
	    SPAN_LIT("4.7.1 deferred by policy, try again later");
	for (size_t i = 0; i < n; i++)
		if (d[i].outcome == o && d[i].reply.n) {
			*text = d[i].reply;
			break;
		}
	return o == OUTCOME_REJECT ? 550 : 451;
}

void
message_judged(struct message *m, int64_t now)
{
	struct span text;
	unsigned code;

	apply_limit_hold(m);
	echo_judged(m);
	code = verdict_answer(m->verdict.decisions, m->verdict.ndecisions, &text);
	if (code) {
		m->outcome = code == 550 ? OUTCOME_REJECT : OUTCOME_DEFER;
		if (code != 550 || notes_wanted(m) == 0 || m->all->queue == NULL) {
			message_finish(m, code, "%.*s", SPAN_ARG(text));
			return;
		}
		m->refusal = (struct smtp_reply){ .code = code, .text = text };
		m->groups = arena_array(m->t->arena, notes_wanted(m), sizeof(*m->groups));
	} else {
		make_groups(m);
	}
	notes_add(m);
	if (m->ngroups == 0)		/* nothing to be told any more */
		message_finish(m, code, "%.*s", SPAN_ARG(text));
	else
		message_sign(m, now);
}

static struct span
unscannable_record(struct message *m, const char *why)
{
	struct envelope *env = &m->t->env;
	char id[ID_SIZE];
	struct buf b;
	struct json j;
	struct span r;

	buf_init(&b, RECORD_MAX);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "id", id_format(m->id, id));
	json_kcstr(&j, "policy", NULL);
	json_kcstr(&j, "virus", NULL);
	json_kcstr(&j, "error", why);
	json_key(&j, "recipients");
	json_array(&j);
	for (size_t i = 0; i < env->nrecipients; i++) {
		json_object(&j);
		json_kstr(&j, "address", env->recipients[i].address);
		json_kcstr(&j, "outcome", "hold");
		json_kcstr(&j, "reply", NULL);
		for (int k = 0; k < 3; k++) {
			json_key(&j, k == 0 ? "rules" : k == 1 ? "shadow" : "skipped");
			json_array(&j);
			json_end_array(&j);
		}
		json_end_object(&j);
	}
	json_end_array(&j);
	for (int k = 0; k < 5; k++) {
		static const char *const empty[] = { "findings", "parts", "defects", "edits",
			"near_misses" };

		json_key(&j, empty[k]);
		json_array(&j);
		json_end_array(&j);
	}
	json_end_object(&j);
	r = buf_failed(&b) ? SPAN_LIT("{\"v\":1,\"error\":\"unscannable\"}") :
	    arena_span(m->t->arena, buf_data(&b));
	buf_release(&b);
	return r;
}

void
message_unscannable(struct message *m, const char *why, int64_t now)
{
	struct envelope *env = &m->t->env;
	struct msg_verdict *v = &m->verdict;

	*v = (struct msg_verdict){ .unscannable = true, .ndecisions = env->nrecipients,
		.nvariants = 1 };
	v->decisions = arena_array(m->t->arena, v->ndecisions, sizeof(*v->decisions));
	v->variants = arena_array(m->t->arena, 1, sizeof(*v->variants));
	for (size_t i = 0; i < v->ndecisions; i++) {
		v->decisions[i].outcome = OUTCOME_HOLD;
		v->decisions[i].queue = SPAN_LIT("unscannable");
		v->decisions[i].rule = SPAN_LIT("unscannable");
	}
	v->record = unscannable_record(m, why);
	message_judged(m, now);
}

/* ---- answers ---- */

int
messages_verdict(struct messages *all, struct link *l, struct frame *f, int64_t now)
{
	struct message *m = ticket_owner(all->tickets, f->ticket);
	struct msg_verdict v;
	struct span body;

	if (m == NULL || m->ticket != f->ticket) {
		scanners_answered(all->scanners, l, f->ticket, now);
		return 0;
	}
	body = arena_span(m->t->arena, f->body);
	if (verdict_decode(body, f->fd, m->t->arena, &v) == -1 ||
	    v.ndecisions != m->t->env.nrecipients || v.nvariants == 0)
		return -1;
	for (size_t i = 0; i < v.ndecisions; i++)
		if (v.decisions[i].outcome == OUTCOME_UNJUDGED)
			return -1;
	/* Only the scanner that was asked may answer. */
	if (scanners_answered(all->scanners, l, f->ticket, now) != m)
		return -1;
	m->verdict = v;
	message_judged(m, now);
	return 0;
}

static struct group *
group_of(struct messages *all, struct message **m, uint64_t ticket, enum message_state state)
{
	*m = ticket_owner(all->tickets, ticket);
	if (*m == NULL || (*m)->state != state)
		return NULL;
	for (size_t i = 0; i < (*m)->ngroups; i++)
		if ((*m)->groups[i].ticket == ticket)
			return &(*m)->groups[i];
	return NULL;
}

static bool
all_answered(const struct message *m)
{
	for (size_t i = 0; i < m->ngroups; i++)
		if (m->groups[i].ticket)
			return false;
	return true;
}

int
messages_signed(struct messages *all, struct frame *f, int64_t now)
{
	struct message *m;
	struct group *g = group_of(all, &m, f->ticket, MESSAGE_SIGN);
	struct arena *a;
	struct msg_signed s;

	if (g == NULL)
		return 0;
	a = m->t->arena;
	if (signed_decode(arena_span(a, f->body), f->fd, a, &s) == -1)
		return -1;
	ticket_close(all->tickets, g->ticket);
	g->ticket = 0;
	if (s.status == SIGN_FAILED) {
		log_msg(LOG_LVL_ERROR, m->id, "not signed for %.*s: %.*s",
		    SPAN_ARG(m->sign_domain), SPAN_ARG(s.text));
		message_finish(m, 451, "4.3.0 the message cannot be signed now");
		return 0;
	}
	if (s.status == SIGN_UNPUBLISHED) {
		log_msg(LOG_LVL_WARN, m->id, "no DKIM key of %.*s is published: postern dkim check %.*s",
		    SPAN_ARG(m->sign_domain), SPAN_ARG(m->sign_domain));
		if (all->conf->dkim_missing == DKIM_MISSING_REFUSE) {
			message_finish(m, 550, "5.7.1 no DKIM key of the author's domain is published: "
			    "this relay's administrator can say more");
			return 0;
		}
	}
	if (s.status == SIGN_OK)
		g->signature = s.headers;
	if (all_answered(m))
		submit(m, now);
	return 0;
}

int
messages_accepted(struct messages *all, struct frame *f, int64_t now)
{
	struct message *m;
	struct group *g = group_of(all, &m, f->ticket, MESSAGE_SUBMIT);
	struct msg_accepted acc;
	char id[ID_SIZE];

	if (g == NULL)
		return 0;
	if (accepted_decode(arena_span(m->t->arena, f->body), f->fd, m->t->arena, &acc) == -1 ||
	    acc.id != g->id)
		return -1;
	ticket_close(all->tickets, g->ticket);
	g->ticket = 0;
	if (acc.status != ACCEPT_OK) {
		log_msg(LOG_LVL_ERROR, m->id, "the spool did not take it: %.*s", SPAN_ARG(acc.text));
		if (acc.status == ACCEPT_FULL)
			message_finish(m, 452, "4.3.1 the spool is full, try again later");
		else
			message_finish(m, 451, "4.3.0 the spool has an error, try again later");
		return 0;
	}
	g->accepted = true;
	if (all_answered(m))
		message_finish(m, 250, "2.0.0 accepted as %s", id_format(m->id, id));
	return 0;
}

static void
fail_state(struct messages *all, enum message_state state, const char *text)
{
	struct message *m, *next;

	for (m = all->first; m; m = next) {
		next = m->next;
		if (m->state == state)
			message_finish(m, 451, "%s", text);
	}
}

/* Groups whose signer is `gone` (NULL: that have none) are handed to the one there is now. A message that has
 * seen two of them end may be what ends them. */
static void
sign_again(struct messages *all, const struct link *gone)
{
	struct message *m, *next;

	for (m = all->first; m; m = next) {
		bool concerned = false;

		next = m->next;
		if (m->state != MESSAGE_SIGN)
			continue;
		for (size_t i = 0; i < m->ngroups; i++)
			concerned |= m->groups[i].ticket && m->groups[i].asked == gone;
		if (concerned && gone && ++m->signers_gone == SIGNERS_GONE_MAX) {
			message_finish(m, 451, "4.3.0 the signer is not available, try again later");
			continue;
		}
		for (size_t i = 0; concerned && i < m->ngroups; i++)
			if (m->groups[i].ticket && m->groups[i].asked == gone && !ask_signer(m, &m->groups[i]))
				break;
	}
}

void
messages_signer(struct messages *all, struct link *signer, const struct link *gone)
{
	all->signer = signer;
	sign_again(all, gone);
}

void
messages_queue_down(struct messages *all)
{
	all->queue = NULL;
	fail_state(all, MESSAGE_SUBMIT, "4.3.0 the spool is not available, try again later");
}

void
messages_tick(struct messages *all, int64_t now)
{
	uint64_t ticket;

	all->now = now;
	scanners_tick(all->scanners, now);
	if (all->verifiers)
		verifiers_tick(all->verifiers, now);
	while ((ticket = ticket_expired(all->tickets, now)) != 0) {
		struct message *m = ticket_owner(all->tickets, ticket);
		bool signing = m->state == MESSAGE_SIGN;

		if (m->state == MESSAGE_MEMBERS) {
			message_members_late(m, "no answer in time", now);
			continue;
		}
		log_msg(LOG_LVL_ERROR, m->id, "no answer from the %s", signing ? "signer" : "queue");
		message_finish(m, 451, signing ? "4.3.0 the signer does not answer, try again later" :
		    "4.3.0 the spool does not answer, try again later");
		if (ticket_owner(all->tickets, ticket))
			ticket_close(all->tickets, ticket);
	}
}
