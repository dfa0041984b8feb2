/* approve_link.c -- what the page of a link asks, and does: APPROVE_ASK of the console.
 *
 * The console is trusted with nothing: each question carries the token, which
 * is checked here as on the control socket. To look decides nothing. A link that was
 * used is answered with what its owner has said, so that a reload of the page after a
 * decision, or a second press of the button, does not look like a failure.
 */
#include "clock.h"
#include "ipc/messages_approve.h"
#include "json.h"
#include "store/approval_db.h"
#include "store/store.h"

#define RECIPIENTS_SHOWN 100
#define APPROVALS_MAX (256u << 10)

static void
tell(struct link *l, uint64_t ticket, const struct msg_approve_told *m)
{
	struct buf b;

	buf_init(&b, FRAME_BIG);
	approve_told_encode(&b, m);
	link_send(l, FRAME_APPROVE_TOLD, ticket, buf_data(&b), -1);
	buf_release(&b);
}

static struct span
one_line(struct arena *a, struct span s)
{
	size_t end = s.n > APPROVAL_REASON_MAX ? APPROVAL_REASON_MAX : s.n;
	char *p;

	while (end && end < s.n && (s.p[end] & 0xc0) == 0x80)	/* not within a character */
		end--;
	s.n = end;
	p = arena_str(a, s);
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
			p[i] = ' ';
	return span_trim(span_make(p, s.n));
}

/* What this person has said of it; "" nothing. */
static int
spoken(struct store *s, struct arena *a, int64_t kid, struct span who, struct span *said,
    struct err *err)
{
	struct approval ap;

	*said = (struct span){ 0 };
	if (approval_load(s->db, kid, a, &ap, err) == -1)
		return -1;
	for (size_t i = 0; i < ap.nvotes; i++)
		if (span_eq_nocase(ap.votes[i].address, who))
			*said = ap.votes[i].approve ? SPAN_LIT("approve") : SPAN_LIT("deny");
	return 0;
}

/* How it is with the message for this person: `told`, `state`, `as`. */
static int
look(struct store *s, struct arena *a, struct span text, struct token *t, struct kept *k,
    struct msg_approve_told *m, struct err *err)
{
	int r = approval_token(s->db, text, clock_real(), a, t, &m->as, err);

	if (r == -1)
		return -1;
	if (m->as.n == 0) {	/* forged, too old, not known: nothing is said of the message */
		m->told = APPROVE_UNKNOWN;
		m->text = arena_span(a, span_str(err->text));
		return 0;
	}
	store_settle(s);
	if ((r = kept_load(s->db, t->kid, false, a, k, err)) == -1)
		return -1;
	if (r == 0 || k->id != t->id) {
		m->told = APPROVE_UNKNOWN;
		m->text = SPAN_LIT("the message is gone");
		return 0;
	}
	m->id = k->id;
	m->state = span_str(k->state != KEPT_WAITING ? kept_state_name(k->state) :
	    k->voted == APPROVAL_GIVEN ? "approved" : k->voted == APPROVAL_DENIED ? "denied" : "waiting");
	if (spoken(s, a, k->kid, m->as, &m->text, err) == -1)
		return -1;
	m->told = m->text.n ? APPROVE_SPOKEN :
	    k->state != KEPT_WAITING || k->voted ? APPROVE_OVER : APPROVE_OPEN;
	return 0;
}

static int
describe(struct store *s, struct arena *a, const struct token *t, const struct kept *k,
    struct buf *votes, struct msg_approve_told *m, struct err *err)
{
	struct buf to;
	struct json j;

	buf_init(&to, FRAME_SMALL);
	for (size_t i = 0; i < k->env.nrecipients && i < RECIPIENTS_SHOWN; i++)
		buf_printf(&to, "%s" SPAN_FMT, i ? ", " : "", SPAN_ARG(k->env.recipients[i].address));
	if (k->env.nrecipients > RECIPIENTS_SHOWN)
		buf_printf(&to, " … (%zu)", k->env.nrecipients);
	m->recipients = arena_span(a, buf_data(&to));
	buf_release(&to);
	m->until = t->expires * US_PER_SEC;
	m->sender = k->env.sender;
	m->on_expire = span_str(outcome_name(k->on_expire));
	m->record = k->record;
	json_begin(&j, votes);
	json_object(&j);
	if (approvals_json(s->db, k->kid, k->env.sender, &j, err) == -1)
		return -1;
	json_end_object(&j);
	m->approvals = buf_data(votes);
	return 0;
}

static int
act(struct store *s, struct arena *a, const struct msg_approve_ask *ask,
    const struct token *t, const struct kept *k, struct msg_approve_told *m, struct err *err)
{
	static const char *const states[] = { "waiting", "approved", "denied" };
	enum approval_state state = APPROVAL_WAITS;
	bool yes = ask->what == APPROVE_YES;

	if (approve_vote(s, k, m->as, yes, SPAN_LIT("link"), one_line(a, ask->reason), t,
	    a, &state, err) == -1)
		return -1;
	m->told = APPROVE_SPOKEN;
	m->text = yes ? SPAN_LIT("approve") : SPAN_LIT("deny");
	m->state = span_str(states[state]);
	return 0;
}

int
approve_link(struct store *s, struct link *l, struct frame *f)
{
	struct msg_approve_told m = { 0 };
	struct msg_approve_ask ask;
	struct token t = { 0 };
	struct kept k = { 0 };
	struct err err = { 0 };
	struct arena *a;
	struct buf votes;
	int r;

	if (approve_ask_decode(f->body, f->fd, s->scratch, &ask) == -1)
		return -1;
	a = arena_new(0);
	buf_init(&votes, APPROVALS_MAX);
	r = look(s, a, ask.token, &t, &k, &m, &err);
	if (r == 0 && m.told == APPROVE_OPEN)
		r = ask.what == APPROVE_SHOW ? describe(s, a, &t, &k, &votes, &m, &err) :
		    act(s, a, &ask, &t, &k, &m, &err);
	if (r == -1)
		m = (struct msg_approve_told){ .told = APPROVE_FAULT, .text = span_str(err.text) };
	tell(l, f->ticket, &m);
	buf_release(&votes);
	arena_free(&a);
	return 0;
}
