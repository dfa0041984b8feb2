/* approve_control.c -- decisions of approvers, as the control socket takes them.
 *
 *	{"cmd":"held.approve","id":"ID","as":"ADDRESS","text":"why"}	also held.deny
 *	{"cmd":"approval.show","token":"T"}	what there is to decide; decides nothing
 *	{"cmd":"approval.act","token":"T","decision":"approve","text":"why"}	or "deny"
 *
 * Who may use the socket speaks for the person he names, and the journal names
 * both. A token speaks for the person it was sent to; whoever shows the page of a
 * link asks with `show` and acts only when that person has pressed a button.
 */
#include "addr.h"
#include "clock.h"
#include "json.h"
#include "store/approval_db.h"
#include "store/asked.h"

#define KEPT_MAX 100

static struct span
reason_of(struct asked *q)
{
	struct span s = span_sub(jval_text(q->req, "text"), 0, APPROVAL_REASON_MAX);
	char *p = arena_str(q->arena, s);

	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)p[i] < ' ' || p[i] == 0x7f)
			p[i] = ' ';
	return span_make(p, s.n);
}

static void
answer(struct asked *q, const struct kept *k, struct span who, bool approve,
    enum approval_state state)
{
	static const char *const states[] = { "waits", "approved", "denied" };
	char id[ID_SIZE];
	struct json j = open_line(q->reply);

	json_kcstr(&j, "id", id_format(k->id, id));
	json_kstr(&j, "as", who);
	json_kcstr(&j, "decision", approve ? "approve" : "deny");
	json_kcstr(&j, "state", states[state]);
	close_line(q->reply, &j);
}

/* One message may be held twice, for different recipients and deciders: the first row that this
 * person may speak for. */
static void
by_name(struct asked *q, bool approve)
{
	struct kept_filter f = { .kind = q->kind };
	struct span who = jval_text(q->req, "as"), local, domain;
	enum approval_state state = APPROVAL_WAITS;
	struct err err = { 0 };
	int64_t *kids;
	size_t n;

	if (!id_parse(span_trim(jval_text(q->req, "id")), &f.id)) {
		say_error(q, "which one? approve and deny want a message id");
		return;
	}
	if (!mailaddr_split(who, &local, &domain)) {
		say_error(q, "who decides? `as` wants an address");
		return;
	}
	who = mailaddr_normalise(q->arena, who);
	if (kept_select(q->s->db, &f, KEPT_MAX, q->arena, &kids, &n, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	if (n == 0)
		err_set(&err, 0, "no message with this id is kept here");
	for (size_t i = 0; i < n; i++) {
		struct kept k;

		if (kept_load(q->s->db, kids[i], false, q->arena, &k, &err) != 1)
			continue;
		if (k.state != KEPT_WAITING) {
			err_set(&err, 0, "it is %s already", kept_state_name(k.state));
			continue;
		}
		if (approve_vote(q->s, &k, who, approve, asked_by(q), reason_of(q), NULL, q->arena, &state, &err) == 0) {
			answer(q, &k, who, approve, state);
			return;
		}
	}
	say_error(q, err.text);
}

/* ---- by a link ---- */

/* -1: said why not. */
static int
of_token(struct asked *q, struct token *t, struct span *who, struct kept *k)
{
	struct err err = { 0 };
	int r;

	store_settle(q->s);
	r = approval_token(q->s->db, jval_text(q->req, "token"), clock_real(), q->arena, t, who, &err);
	if (r == 1) {
		r = kept_load(q->s->db, t->kid, false, q->arena, k, &err);
		if (r == 0 || (r == 1 && k->id != t->id))
			r = err_set(&err, 0, "the message is gone");
		else if (r == 1 && k->state != KEPT_WAITING)
			r = err_set(&err, 0, "it is %s already", kept_state_name(k->state));
	}
	if (r == 1)
		return 0;
	say_error(q, err.text);
	return -1;
}

static void
act(struct asked *q, bool approve)
{
	enum approval_state state = APPROVAL_WAITS;
	struct err err = { 0 };
	struct token t;
	struct kept k;
	struct span who;

	if (of_token(q, &t, &who, &k) == -1)
		return;
	if (approve_vote(q->s, &k, who, approve, SPAN_LIT("link"), reason_of(q), &t, q->arena, &state,
	    &err) == -1)
		say_error(q, err.text);
	else
		answer(q, &k, who, approve, state);
}

void
do_approve(struct asked *q, int fd)
{
	if (jval_text(q->req, "token").n)
		act(q, true);
	else
		by_name(q, true);
}

void
do_deny(struct asked *q, int fd)
{
	if (jval_text(q->req, "token").n)
		act(q, false);
	else
		by_name(q, false);
}

void
do_approval_act(struct asked *q, int fd)
{
	struct span decision = jval_text(q->req, "decision");

	if (!span_is(decision, "approve") && !span_is(decision, "deny"))
		say_error(q, "`decision` is approve or deny");
	else
		act(q, span_is(decision, "approve"));
}

void
do_approval_show(struct asked *q, int fd)
{
	struct kept_filter f = { .kind = OUTCOME_HOLD };
	struct err err = { 0 };
	struct token t;
	struct span who;
	struct json j;
	struct kept k;
	size_t found;

	if (of_token(q, &t, &who, &k) == -1)
		return;
	f.id = k.id;
	if (kept_list(q->s->db, &f, KEPT_MAX, reply_buf(q->reply), &found, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kstr(&j, "as", who);
	json_kint(&j, "until", t.expires * US_PER_SEC);
	if (k.record.n) {
		struct span record = arena_span(q->arena, k.record);
		char *p = (char *)(uintptr_t)record.p;

		for (size_t i = 0; i < record.n; i++)
			if (p[i] == '\n' || p[i] == '\r')
				p[i] = ' ';
		json_key(&j, "record");
		json_raw(&j, record);
	}
	close_line(q->reply, &j);
}
