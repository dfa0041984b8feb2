/* approve.c -- approvals carried out: who is asked, who answers, what then happens.
 *
 * Mails of the store's own (to approvers, to senders) stand in the outbox of the
 * database and leave it when the queue has them; the queue has them signed. Each is
 * offered under an id that is written down first: after a crash under the same, which the
 * journal or the queue may know already. So none is lost and none is sent twice. What voices have decided stands in
 * the row and is carried out by the clock as long as it is not, like everything
 * else that waits for the queue.
 */
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "json.h"
#include "log.h"
#include "queue/note.h"
#include "store/approval_db.h"
#include "store/store.h"

#define ERRANDS_MAX 16
#define ANSWER_US (60 * US_PER_SEC)
#define DECIDED_MAX 100

/* ---- the outbox ---- */

struct errand {
	struct ticket_kind kind;	/* must be first */
	int64_t oid;
	uint64_t about;
	uint64_t ticket;
	struct errand *next;
};

static int
send_note(struct store *s, const struct outgoing *o, uint64_t ticket, struct arena *a)
{
	const struct config *c = s->rt->conf;
	struct recipient rcpt = { .address = o->rcpt };
	struct msg_decision d = { .outcome = OUTCOME_DELIVER, .rule = SPAN_LIT("notice") };
	struct msg_submit m = { .parent = o->about, .decisions = &d, .ndecisions = 1,
		.env = { .id = o->mid, .received = clock_real(),
		.direction = DIRECTION_OUTBOUND, .helo = c->hostname, .recipients = &rcpt,
		.nrecipients = 1 } };
	struct note n = { .id = m.env.id, .about = o->about, .hostname = c->hostname,
		.from = c->postmaster, .to = o->rcpt, .subject = o->subject, .text = o->text,
		.html = o->html, .language = o->language, .now = clock_real() };
	struct err err;
	struct buf b;
	int r;

	for (size_t i = 0; i < o->rcpt.n; i++)
		if ((unsigned char)o->rcpt.p[i] > 0x7f)
			m.env.flags = ENVELOPE_SMTPUTF8 | ENVELOPE_8BITMIME;
	buf_init(&b, NOTE_MAX);
	note_build(&b, &n);
	r = buf_failed(&b) ? -1 : store_payload(arena_span(a, buf_data(&b)), a, &m.payload, &err);
	buf_release(&b);
	if (r == -1)
		return -1;
	buf_init(&b, FRAME_BIG);
	submit_encode(&b, &m);
	if (buf_failed(&b) && m.payload.fd != -1)
		close(m.payload.fd);
	r = buf_failed(&b) ? -1 : link_send(s->queue, FRAME_SUBMIT, ticket, buf_data(&b), m.payload.fd);
	buf_release(&b);
	return r;
}

static bool
is_out(const struct store *s, int64_t oid)
{
	for (const struct errand *e = s->errands; e; e = e->next)
		if (e->oid == oid)
			return true;
	return false;
}

/* Its id, in the database before the queue hears it. 1 send it, 0 not now or no more, -1. */
static int
name_it(struct store *s, struct outgoing *o, struct err *err)
{
	if (o->mid == 0) {
		o->mid = id_new(&s->ids, clock_real());
		return outbox_offer(s->db, o->oid, o->mid, err) == -1 ? -1 : 1;
	}
	/* Offered before we ended, or the queue: what it took it tells in its events by and by. */
	if (clock_mono() < s->settled_at)
		return 0;
	if (store_flush(s) == -1)
		return 0;
	switch (journal_knows(s->db, o->mid, err)) {
	case -1:
		return -1;
	case 1:
		return outbox_done(s->db, o->oid, err);
	default:
		return 1;
	}
}

static void
outbox_pump(struct store *s)
{
	struct arena *a = arena_new(0);
	struct outgoing o = { 0 };
	struct err err;
	size_t n = 0;
	int r = 0;

	for (const struct errand *e = s->errands; e; e = e->next)
		n++;
	store_settle(s);
	while (n < ERRANDS_MAX && s->queue && (r = outbox_next(s->db, o.oid, a, &o, &err)) == 1) {
		struct errand *e;

		if (is_out(s, o.oid))
			continue;
		if ((r = name_it(s, &o, &err)) == -1)
			break;
		if (r == 0)
			continue;
		e = calloc(1, sizeof(*e));
		ASSERT(e != NULL);
		*e = (struct errand){ .kind = { true }, .oid = o.oid, .about = o.about };
		e->ticket = ticket_open(s->tickets, e, clock_mono() + ANSWER_US);
		if (send_note(s, &o, e->ticket, a) == -1) {
			ticket_close(s->tickets, e->ticket);
			free(e);
			break;
		}
		e->next = s->errands;
		s->errands = e;
		n++;
	}
	if (r == -1)
		log_error("mail of our own waits: %s", err.text);
	arena_free(&a);
}

static void
errand_remove(struct store *s, struct errand *gone)
{
	for (struct errand **pp = &s->errands; *pp; pp = &(*pp)->next)
		if (*pp == gone) {
			*pp = gone->next;
			break;
		}
}

void
errand_over(struct store *s, void *owner, const struct msg_accepted *m)
{
	struct errand *e = owner;
	struct err err;

	ticket_close(s->tickets, e->ticket);
	errand_remove(s, e);
	if (m && m->status == ACCEPT_OK) {
		store_settle(s);
		if (outbox_done(s->db, e->oid, &err) == -1)
			log_msg(LOG_LVL_ERROR, e->about, "a notice may be sent again: %s", err.text);
		s->outbox_at = 0;
		free(e);
		if (s->queue && !s->rt->retiring)
			outbox_pump(s);
		return;
	} else {	/* later again */
		s->outbox_at = clock_mono() + 5 * US_PER_SEC;
	}
	free(e);
}

void
errands_gone(struct store *s)
{
	while (s->errands)
		errand_over(s, s->errands, NULL);
}

/* ---- what voices have decided ---- */

static void
carry_out(struct store *s, enum approval_state which)
{
	struct arena *a = arena_new(0);
	struct span by, reason;
	struct err err;
	int64_t *kids;
	size_t n;

	if (approval_decided(s->db, which, DECIDED_MAX, a, &kids, &n, &err) == -1)
		log_error("approvals: %s", err.text);
	else
		for (size_t i = 0; i < n; i++)
			if (approval_by(s->db, kids[i], which == APPROVAL_GIVEN, a, &by, &reason,
			    &err) == 0)
				act_start(s, which == APPROVAL_GIVEN ? ACT_APPROVE : ACT_REJECT, &kids[i],
				    1, by, which == APPROVAL_DENIED && span_is_plain(reason) ? reason :
				    (struct span){ 0 }, NULL);
	arena_free(&a);
}

void
approve_tick(struct store *s)
{
	int64_t now = clock_mono();

	if (s->queue == NULL || s->rt->retiring)
		return;
	if (now >= s->outbox_at)
		outbox_pump(s);
	if (now >= s->decided_at) {
		s->decided_at = now + 5 * US_PER_SEC;
		carry_out(s, APPROVAL_GIVEN);
		carry_out(s, APPROVAL_DENIED);
	}
}

int
approve_vote(struct store *s, const struct kept *k, struct span address, bool approve,
    struct span via, struct span reason, const struct token *used, struct arena *a,
    enum approval_state *state, struct err *err)
{
	struct msg_event ev = { .kind = EVENT_OPERATOR, .id = k->id, .time = clock_real(),
		.size = k->size, .by = address };
	int r;

	store_settle(s);
	r = approval_vote(s->db, k->kid, k->env.sender, address, approve, via, reason, used,
	    clock_real(), a, state, err);
	if (r == -1) {
		log_msg(LOG_LVL_WARN, k->id, "a decision by <" SPAN_FMT "> (" SPAN_FMT ") is refused: %s",
		    SPAN_ARG(address), SPAN_ARG(via), err->text);
		return -1;
	}
	ev.reply = span_str(arena_printf(a, "%s by approver, %s, via " SPAN_FMT "%s" SPAN_FMT,
	    approve ? "approved" : "denied", *state == APPROVAL_GIVEN ? "all approvals are there" :
	    *state == APPROVAL_DENIED ? "which decides" : "more are needed", SPAN_ARG(via),
	    reason.n ? ": " : "", SPAN_ARG(reason)));
	store_event(s, &ev);
	log_msg(LOG_LVL_INFO, k->id, "<" SPAN_FMT ">: " SPAN_FMT, SPAN_ARG(address), SPAN_ARG(ev.reply));
	s->decided_at = 0;
	approve_tick(s);
	return 0;
}

/* ---- shown ---- */

/* Whose approvals it needs and who has spoken; nothing where nobody is asked. */
int
approvals_json(struct db *d, int64_t kid, struct span sender, struct json *j, struct err *err)
{
	struct arena *a = arena_new(0);
	struct approval ap;
	int r = approval_load(d, kid, a, &ap, err);

	if (r == 0 && ap.nneeds > 0) {
		json_key(j, "approvals");
		json_array(j);
		for (size_t i = 0; i < ap.nneeds; i++) {
			const struct need *n = &ap.needs[i];

			json_object(j);
			json_kstr(j, "rule", n->rule);
			json_kuint(j, "needed", n->approvals);
			json_kuint(j, "given", need_approved(n, sender, ap.votes, ap.nvotes));
			json_key(j, "approvers");
			json_array(j);
			for (size_t k = 0; k < n->napprovers; k++)
				json_str(j, n->approvers[k]);
			json_end_array(j);
			json_end_object(j);
		}
		json_end_array(j);
		json_key(j, "votes");
		json_array(j);
		for (size_t i = 0; i < ap.nvotes; i++) {
			json_object(j);
			json_kstr(j, "address", ap.votes[i].address);
			json_kcstr(j, "decision", ap.votes[i].approve ? "approve" : "deny");
			json_end_object(j);
		}
		json_end_array(j);
	}
	arena_free(&a);
	return r;
}
