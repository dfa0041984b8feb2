/* release.c -- decisions about kept messages, carried to the queue.
 *
 * A release is a SUBMIT like a receiver's: a new id, the kept message as
 * parent, DELIVER for the recipients kept. A rejection is the same with
 * REJECT, so that the queue, which alone writes notices, tells the sender.
 * The row is marked before the SUBMIT leaves and done when ACCEPTED is back; in
 * between the queue or this process may die. Then the message is offered
 * again under the same id, unless the journal knows that id already.
 *
 * Before a release a scanner looks at it once more, with today's signatures: what came before its
 * virus was known is not handed on (look.h). The policy's other rules do not hold it again: whoever
 * releases it has decided, and what else they asked for is in its record.
 *
 * The file is long because a decision has many ways and one end: they stand side by side.
 */
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "ipc/json_read.h"
#include "log.h"
#include "store/audit.h"
#include "store/claim.h"
#include "store/look.h"
#include "store/request_db.h"
#include "store/bayes.h"
#include "store/reputation_db.h"
#include "store/share.h"
#include "store/store.h"
#include "store/undo.h"

#define FLIGHTS_MAX 16			/* of one act, waiting for the queue */
#define ANSWER_US (60 * US_PER_SEC)
#define EXPIRY_US (30 * US_PER_SEC)
#define DUE_MAX 1000

struct act {
	struct store *s;
	enum act_verb verb;
	bool resume;			/* the rows are marked already */
	struct arena *arena;
	struct span by, text;
	struct reply *reply;
	const int64_t *kids;
	size_t n, next, flying, done, failed;
	bool pumping;
};

struct flight {
	struct ticket_kind kind;	/* must be first */
	struct act *act;
	int64_t kid;
	uint64_t id, new_id, ticket;
	bool reject;
	struct flight *next;
};

struct looking {		/* by a scanner */
	struct act *act;
	int64_t kid;
	uint64_t id;
};

/* ---- what the asker reads ---- */

static void
line(struct act *a, int64_t kid, uint64_t id, const char *state, uint64_t new_id, const char *error)
{
	char text[ID_SIZE], number[KEPT_NAME];
	struct json j;

	if (error)
		log_msg(LOG_LVL_WARN, id, "not decided: %s", error);
	if (a->reply == NULL)
		return;
	json_begin(&j, reply_buf(a->reply));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "kid", kept_name_of(a->s->db, kid, number));
	if (id)
		json_kcstr(&j, "id", id_format(id, text));
	json_kbool(&j, "ok", error == NULL);
	if (state)
		json_kcstr(&j, "state", state);
	if (new_id)
		json_kcstr(&j, "new_id", id_format(new_id, text));
	if (error)
		json_kcstr(&j, "error", error);
	json_end_object(&j);
	buf_putc(reply_buf(a->reply), '\n');
	reply_send(a->reply);
}

static void
act_end(struct act *a)
{
	struct json j;

	if (a->reply) {
		json_begin(&j, reply_buf(a->reply));
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kuint(&j, "done", a->done);
		json_kuint(&j, "failed", a->failed);
		json_end_object(&j);
		buf_putc(reply_buf(a->reply), '\n');
		reply_end(&a->reply);
	}
	arena_free(&a->arena);
	free(a);
}

/* One event for each recipient: a message may be kept for some of them only. */
static void
journal(struct act *a, const struct kept *k, enum event_kind kind, uint64_t new_id,
    struct span reply)
{
	struct msg_event ev = { .kind = kind, .id = k->id, .parent = new_id, .time = clock_real(),
		.size = k->size, .by = a->resume ? k->by : a->by, .reply = reply };

	for (size_t i = 0; i < k->env.nrecipients; i++) {
		ev.rcpt = k->env.recipients[i].address;
		store_event(a->s, &ev);
	}
	log_msg(LOG_LVL_INFO, k->id, "%s by " SPAN_FMT, event_name(kind), SPAN_ARG(ev.by));
}

static struct span
reject_text(struct act *a, const struct kept *k, struct arena *scratch)
{
	char id[ID_SIZE];

	if (a->text.n)
		return span_str(arena_printf(scratch, "5.7.1 " SPAN_FMT " (ref %s)",
		    SPAN_ARG(a->text), id_format(k->id, id)));
	return span_str(arena_printf(scratch, "5.7.1 %s (ref %s)", a->verb == ACT_EXPIRE ?
	    "nobody released the message in time" : "the message was not released",
	    id_format(k->id, id)));
}

/* ---- what it becomes ---- */

/* Who decides lifts the holds. What other rules asked for stays: where it goes instead, how well
 * its way must be protected, and, when approvers decided and not who operates the gateway, that
 * it is quarantined or dropped. The verdict's record has it (explain.c). */
static void
decide_as_recorded(const struct jval *record, struct span address, bool approved,
    struct arena *a, struct msg_decision *d)
{
	static const char *const tls[] = { "", "opportunistic", "encrypted", "verified", "dane" };
	const struct jval *list = jval_get(record, "recipients"), *r, *to;
	enum outcome after = OUTCOME_DELIVER;
	size_t i = 0;

	while ((r = jval_at(list, i++)) != NULL && !span_eq(jval_text(r, "address"), address))
		;
	for (int t = 1; r && t <= TLS_DANE; t++)
		if (span_is(jval_text(r, "require_tls"), tls[t]))
			d->require_tls = (enum require_tls)t;
	if (r == NULL)
		return;
	outcome_from_name(jval_text(r, "after"), &after);
	to = jval_get(r, "redirect");
	d->nredirect = jval_count(to);
	d->redirect = arena_array(a, d->nredirect, sizeof(*d->redirect));
	for (size_t k = 0; k < d->nredirect; k++)
		d->redirect[k] = arena_span(a, jval_str(jval_at(to, k)));
	if (approved && (after == OUTCOME_QUARANTINE || after == OUTCOME_DISCARD)) {
		d->outcome = after;
		d->queue = arena_span(a, jval_text(r, "after_queue"));
		if (d->queue.n == 0)
			d->queue = SPAN_LIT("quarantine");
	} else if (d->nredirect) {
		d->outcome = OUTCOME_REDIRECT;
	}
}

static void
decisions_make(struct act *a, const struct kept *k, bool reject, struct span text,
    struct msg_decision *d, struct arena *scratch)
{
	struct jval *record = !reject && k->record.n ? jval_parse(k->record, NULL) : NULL;
	struct span by = a->resume ? k->by : a->by;
	bool expired = span_is(by, "expiry") && k->on_expire == OUTCOME_QUARANTINE;
	bool approved = k->voted == APPROVAL_GIVEN && !span_starts(by, SPAN_LIT("uid "));

	for (size_t i = 0; i < k->env.nrecipients; i++) {
		d[i] = (struct msg_decision){ .outcome = reject ? OUTCOME_REJECT : OUTCOME_DELIVER,
			.reply = text };
		if (!reject && expired) {
			d[i].outcome = OUTCOME_QUARANTINE;
			d[i].queue = SPAN_LIT("expired");
		} else if (!reject) {
			decide_as_recorded(record, k->env.recipients[i].address, approved, scratch, &d[i]);
		}
	}
	jval_free(&record);
}

/* ---- one message ---- */

int
store_payload(struct span content, struct arena *a, struct payload *p, struct err *err)
{
	int fd;

	if (content.n <= PAYLOAD_INLINE_MAX) {
		payload_from_span(p, content, a);
		return 0;
	}
	if ((fd = fs_memfd("message", err)) == -1)
		return -1;
	if (fs_write_all(fd, content.p, content.n, err) == -1 || fs_memfd_seal(fd, err) == -1) {
		close(fd);
		return -1;
	}
	payload_from_fd(p, fd, content.n, a);
	return 0;
}

static int
submit(struct act *a, const struct kept *k, uint64_t new_id, bool reject, uint64_t ticket,
    struct arena *scratch, struct err *err)
{
	struct msg_submit m = { .env = k->env, .parent = k->id, .record = k->record };
	struct span text = reject ? reject_text(a, k, scratch) : (struct span){ 0 };
	struct buf b;
	int r;

	m.env.id = new_id;
	m.env.received = clock_real();	/* its life in the queue begins now */
	m.ndecisions = k->env.nrecipients;
	m.decisions = arena_array(scratch, m.ndecisions, sizeof(*m.decisions));
	decisions_make(a, k, reject, text, m.decisions, scratch);
	if (store_payload(k->content, scratch, &m.payload, err) == -1)
		return -1;
	buf_init(&b, FRAME_BIG);
	submit_encode(&b, &m);
	if (buf_failed(&b)) {
		if (m.payload.fd != -1)
			close(m.payload.fd);
		r = err_set(err, 0, "its envelope is too large");
	} else {
		r = link_send(a->s->queue, FRAME_SUBMIT, ticket, buf_data(&b), m.payload.fd);
		if (r == -1)
			err_set(err, 0, "the queue takes nothing now");
	}
	buf_release(&b);
	return r;
}

/* The decision in one transaction: what it is, who made it, and what those are told who asked for the
 * message. 1, 0 somebody was faster, -1. */
static int
decide(struct act *a, const struct kept *k, enum kept_state to, uint64_t new_id,
    struct arena *scratch, struct err *err)
{
	static const char *const what[] = { [ACT_RELEASE] = "release", [ACT_REJECT] = "reject",
		[ACT_DELETE] = "delete", [ACT_EXPIRE] = "expire", [ACT_APPROVE] = "release",
		[ACT_ANYWAY] = "release-anyway" };
	char verb[40], id[ID_SIZE];
	struct db *d = a->s->db;
	int r;

	snprintf(verb, sizeof(verb), "%s.%s", k->kind == OUTCOME_HOLD ? "held" : "quarantine",
	    what[a->verb]);
	if (db_begin(d, true, err) == -1)
		return -1;
	r = kept_decide(d, k->kid, to, new_id, a->by, clock_real(), err);
	if (r == 1 && undo_over(d, k->kid, err) == -1)
		r = -1;
	if (r == 1 && (((!span_is(a->by, "expiry") && !span_is(a->by, "retention")) &&
	    audit_put(d, a->by, verb, span_str(id_format(k->id, id)), a->text, clock_real(), err) == -1) ||
	    requests_decide(d, k, to == KEPT_RELEASING, a->by, a->text, a->s->rt->conf, clock_real(),
	    scratch, err) == -1))
		r = -1;
	if (r == 1 && db_commit(d, err) == -1)
		return -1;
	if (r != 1)
		db_rollback(d);
	a->s->outbox_at = 0;
	return r;
}

/* token: of the claim, and the id it will have; 0: of a node that does not share. */
static int
carry_out(struct act *a, const struct kept *k, bool reject, uint64_t token, struct arena *scratch, struct err *err)
{
	struct store *s = a->s;
	struct flight *f;
	uint64_t new_id = a->resume ? k->new_id : token ? token : id_new(&s->ids, clock_real());
	int r;

	if (s->queue == NULL)
		return err_set(err, 0, "the queue is away; try again in a moment");
	if (!a->resume) {
		r = decide(a, k, reject ? KEPT_REJECTING : KEPT_RELEASING, new_id, scratch, err);
		if (r != 1)
			return r == 0 ? err_set(err, 0, "somebody was faster") : -1;
	}
	f = calloc(1, sizeof(*f));
	ASSERT(f != NULL);
	*f = (struct flight){ .act = a, .kid = k->kid, .id = k->id, .new_id = new_id,
		.reject = reject, .next = s->flights };
	f->ticket = ticket_open(s->tickets, f, clock_mono() + ANSWER_US);
	if (submit(a, k, new_id, reject, f->ticket, scratch, err) == -1) {
		ticket_close(s->tickets, f->ticket);
		free(f);
		kept_undo(s->db, k->kid, NULL);
		return -1;
	}
	s->flights = f;
	a->flying++;
	return 0;
}

static int
remove_it(struct act *a, const struct kept *k, struct arena *scratch, struct err *err)
{
	int r = decide(a, k, KEPT_DELETED, 0, scratch, err);

	if (r != 1)
		return r == 0 ? err_set(err, 0, "somebody was faster") : -1;
	journal(a, k, EVENT_DISCARDED, 0, (struct span){ 0 });
	line(a, k->kid, k->id, "deleted", 0, NULL);
	a->done++;
	return 0;
}

/* ---- of a node that shares: the base says who decides ---- */

struct claiming {
	struct act *act;
	int64_t kid;
	uint64_t id, token;
	enum kept_state to;
};

static void act_pump(struct act *a);

static int
won(struct claiming *c, struct arena *scratch, struct err *err)
{
	struct act *a = c->act;
	struct kept k;
	int r;

	store_settle(a->s);
	r = kept_load(a->s->db, c->kid, c->to != KEPT_DELETED, scratch, &k, err);
	if (r != 1)
		return r == 0 ? err_set(err, 0, "it is gone") : -1;
	if (c->to == KEPT_DELETED)
		return remove_it(a, &k, scratch, err);
	return carry_out(a, &k, c->to == KEPT_REJECTING, c->token, scratch, err);
}

static void
on_claimed(void *ctx, bool ours, const char *why)
{
	struct claiming *c = ctx;
	struct act *a = c->act;
	struct arena *scratch = arena_new(0);
	struct err err = { 0 };

	a->flying--;
	if (!ours)
		err_set(&err, 0, "%s", why);
	if (!ours || won(c, scratch, &err) == -1) {
		if (ours)
			claim_given_back(a->s->db, c->kid, NULL);
		a->failed++;
		line(a, c->kid, c->id, NULL, 0, err.text);
	}
	arena_free(&scratch);
	free(c);
	if (!a->pumping)
		act_pump(a);
}

static int
claim(struct act *a, const struct kept *k, enum kept_state to, struct err *err)
{
	struct claiming *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	*c = (struct claiming){ a, k->kid, k->id, id_new(&a->s->ids, clock_real()), to };
	a->flying++;
	if (claim_start(a->s, k, c->token, to, a->by, on_claimed, c, err) == 0)
		return 0;
	a->flying--;
	free(c);
	return -1;
}

static int
take_off(struct act *a, const struct kept *k, bool reject, struct arena *scratch, struct err *err)
{
	if (!a->resume && share_on(a->s))
		return claim(a, k, reject ? KEPT_REJECTING : KEPT_RELEASING, err);
	return carry_out(a, k, reject, 0, scratch, err);
}

static int
delete_one(struct act *a, const struct kept *k, struct arena *scratch, struct err *err)
{
	return share_on(a->s) ? claim(a, k, KEPT_DELETED, err) : remove_it(a, k, scratch, err);
}

/* Decided, accepted by the queue, written down. */
static int
arrived(struct act *a, const struct kept *k, uint64_t new_id, bool reject, struct arena *scratch,
    struct err *err)
{
	if (kept_done(a->s->db, k->kid, err) == -1)
		return -1;
	if (!reject)
		bayes_decided(a->s, k, BAYES_HAM, a->resume ? k->by : a->by);
	if (!reject && a->verb != ACT_EXPIRE && !span_is(k->by, "expiry"))
		experience_released(a->s->experience, k, clock_real());
	journal(a, k, reject ? EVENT_REJECTED : EVENT_RELEASED, new_id,
	    reject ? reject_text(a, k, scratch) : (struct span){ 0 });
	line(a, k->kid, k->id, reject ? "rejected" : "released", new_id, NULL);
	a->done++;
	return 0;
}

/* Left between SUBMIT and ACCEPTED: did it arrive? */
static int
resume_one(struct act *a, const struct kept *k, struct arena *scratch, struct err *err)
{
	bool reject = k->state == KEPT_REJECTING;

	switch (journal_knows(a->s->db, k->new_id, err)) {
	case -1:
		return -1;
	case 1:
		return arrived(a, k, k->new_id, reject, scratch, err);
	default:
		return take_off(a, k, reject, scratch, err);
	}
}

/* ---- a last look before it goes ---- */

/* It is known now: it stays, and says why. */
static int
virus_found(struct act *a, const struct kept *k, struct span name, struct arena *scratch,
    struct err *err)
{
	struct msg_event ev = { .kind = EVENT_OPERATOR, .id = k->id, .time = clock_real(), .size = k->size,
		.by = a->by, .reply = span_str(arena_printf(scratch, "not released: today's signatures "
		"find a virus in it: " SPAN_FMT, SPAN_ARG(name.n ? name : SPAN_LIT("without a name")))) };

	if (kept_virus(a->s->db, k->kid, name, err) == -1 || undo_over(a->s->db, k->kid, err) == -1 ||
	    (a->verb == ACT_EXPIRE && kept_stay(a->s->db, k->kid, err) == -1))
		return -1;
	store_event(a->s, &ev);
	return err_set(err, 0, "a virus is found in it by today's signatures: " SPAN_FMT "; it stays",
	    SPAN_ARG(name.n ? name : SPAN_LIT("one without a name")));
}

static int
seen(struct act *a, struct looking *g, const struct msg_inspected *m, const char *why,
    struct arena *scratch, struct err *err)
{
	struct kept k;
	int r;

	if (m == NULL)
		return err_set(err, 0, "not released, for it cannot be looked at now: %s", why);
	store_settle(a->s);
	r = kept_load(a->s->db, g->kid, true, scratch, &k, err);
	if (r != 1)
		return r == 0 ? err_set(err, 0, "it is gone") : -1;
	if (k.state != KEPT_WAITING)
		return err_set(err, 0, "it is %s already", kept_state_name(k.state));
	if (m->av == AV_VIRUS)
		return virus_found(a, &k, m->virus, scratch, err);
	return take_off(a, &k, false, scratch, err);
}

static void
on_seen(void *ctx, const struct msg_inspected *m, const char *why)
{
	struct looking *g = ctx;
	struct act *a = g->act;
	struct arena *scratch = arena_new(0);
	struct err err = { 0 };

	a->flying--;
	if (seen(a, g, m, why, scratch, &err) == -1) {
		a->failed++;
		line(a, g->kid, g->id, NULL, 0, err.text);
	}
	arena_free(&scratch);
	free(g);
	if (!a->pumping)
		act_pump(a);
}

static int
release_one(struct act *a, const struct kept *k, struct arena *scratch, struct err *err)
{
	struct looking *g;

	if (a->s->rt->conf->antivirus.engine == AV_OFF || a->verb == ACT_ANYWAY)
		return take_off(a, k, false, scratch, err);
	if (a->s->queue == NULL)
		return err_set(err, 0, "the queue is away; try again in a moment");
	if (look_pending(a->s, k->kid))
		return a->reply ? err_set(err, 0, "somebody is releasing it") : 0;
	g = calloc(1, sizeof(*g));
	ASSERT(g != NULL);
	*g = (struct looking){ a, k->kid, k->id };
	a->flying++;
	look_start(a->s, INSPECT_JUDGE, k->kid, on_seen, g);
	return 0;
}

static int
expire_one(struct act *a, const struct kept *k, struct arena *scratch, struct err *err)
{
	switch (k->on_expire) {
	case OUTCOME_DELIVER:
		return release_one(a, k, scratch, err);
	case OUTCOME_REJECT:
	case OUTCOME_QUARANTINE:
		return take_off(a, k, k->on_expire == OUTCOME_REJECT, scratch, err);
	case OUTCOME_DISCARD:
		return delete_one(a, k, scratch, err);
	default:	/* what else a policy may say: it waits for a person */
		return kept_stay(a->s->db, k->kid, err);
	}
}

static int
act_one(struct act *a, int64_t kid, struct arena *scratch, uint64_t *id, struct err *err)
{
	struct kept k;
	int r = kept_load(a->s->db, kid, false, scratch, &k, err);

	if (r != 1)
		return r == 0 ? err_set(err, 0, "it is gone") : -1;
	*id = k.id;
	if (!a->resume && k.state != KEPT_WAITING)
		return err_set(err, 0, "it is %s already", kept_state_name(k.state));
	if (a->verb != ACT_DELETE && kept_load(a->s->db, kid, true, scratch, &k, err) != 1)
		return -1;
	if (a->resume)
		return resume_one(a, &k, scratch, err);
	switch (a->verb) {
	case ACT_RELEASE:
	case ACT_APPROVE:
	case ACT_ANYWAY:
		return release_one(a, &k, scratch, err);
	case ACT_REJECT:
		return take_off(a, &k, true, scratch, err);
	case ACT_DELETE:
		return delete_one(a, &k, scratch, err);
	case ACT_EXPIRE:
		return expire_one(a, &k, scratch, err);
	}
	return 0;
}

/* Starts what may fly at once; ends the act when nothing is left. */
static void
act_pump(struct act *a)
{
	a->pumping = true;
	store_settle(a->s);
	while (a->next < a->n && a->flying < FLIGHTS_MAX) {
		struct arena *scratch = arena_new(0);
		struct err err = { 0 };
		uint64_t id = 0;

		if (act_one(a, a->kids[a->next++], scratch, &id, &err) == -1) {
			a->failed++;
			line(a, a->kids[a->next - 1], id, NULL, 0, err.text);
		}
		arena_free(&scratch);
	}
	a->pumping = false;
	if (a->next == a->n && a->flying == 0)
		act_end(a);
}

static void
act_new(struct store *s, enum act_verb verb, bool resume, const int64_t *kids, size_t n,
    struct span by, struct span text, struct reply *reply, size_t done, size_t failed)
{
	struct act *a = calloc(1, sizeof(*a));
	int64_t *own;

	ASSERT(a != NULL);
	a->s = s;
	a->verb = verb;
	a->resume = resume;
	a->arena = arena_new(0);
	a->by = arena_span(a->arena, by);
	a->text = arena_span(a->arena, text);
	a->reply = reply;
	a->done = done;
	a->failed = failed;
	own = arena_array(a->arena, n, sizeof(*own));
	if (n)
		memcpy(own, kids, n * sizeof(*own));
	a->kids = own;
	a->n = n;
	act_pump(a);
}

void
act_start(struct store *s, enum act_verb verb, const int64_t *kids, size_t n, struct span by,
    struct span text, struct reply *reply)
{
	act_new(s, verb, false, kids, n, by, text, reply, 0, 0);
}

void
act_start_some(struct store *s, enum act_verb verb, const int64_t *kids, size_t n,
    struct span by, struct span text, struct reply *reply, size_t done, size_t failed)
{
	act_new(s, verb, false, kids, n, by, text, reply, done, failed);
}

/* ---- answers, and none ---- */

static void
flight_remove(struct store *s, struct flight *gone)
{
	for (struct flight **pp = &s->flights; *pp; pp = &(*pp)->next)
		if (*pp == gone) {
			*pp = gone->next;
			break;
		}
	gone->act->flying--;
}

static int
landed(struct flight *f, const struct msg_accepted *m, struct arena *scratch, struct err *err)
{
	struct act *a = f->act;
	struct kept k;
	int r;

	if (m->status != ACCEPT_OK) {
		if (kept_undo(a->s->db, f->kid, err) == -1)
			return -1;
		return err_set(err, 0, "the queue does not take it: " SPAN_FMT, SPAN_ARG(m->text));
	}
	r = kept_load(a->s->db, f->kid, false, scratch, &k, err);
	if (r == 0)
		return err_set(err, 0, "it is gone");
	return r == -1 ? -1 : arrived(a, &k, f->new_id, f->reject, scratch, err);
}

void
act_accepted(struct store *s, uint64_t ticket, const struct msg_accepted *m)
{
	struct ticket_kind *owner = ticket_owner(s->tickets, ticket);
	struct flight *f = (struct flight *)owner;
	struct arena *scratch;
	struct err err = { 0 };
	struct act *a;

	if (owner && owner->errand) {
		errand_over(s, owner, m);
		return;
	}
	ticket_close(s->tickets, ticket);
	if (f == NULL)	/* late: unfinished decisions are taken up by the clock */
		return;
	a = f->act;
	scratch = arena_new(0);
	store_settle(s);
	flight_remove(s, f);
	if (landed(f, m, scratch, &err) == -1) {
		a->failed++;
		line(a, f->kid, f->id, NULL, 0, err.text);
	}
	arena_free(&scratch);
	free(f);
	act_pump(a);
}

static void
flight_lost(struct store *s, struct flight *f, const char *why)
{
	struct act *a = f->act;

	ticket_close(s->tickets, f->ticket);
	flight_remove(s, f);
	a->failed++;
	line(a, f->kid, f->id, NULL, 0, why);
	free(f);
	if (!a->pumping)
		act_pump(a);
}

void
act_queue_gone(struct store *s)
{
	while (s->flights)
		flight_lost(s, s->flights, "the queue went away; the decision stands, and is "
		    "carried out once it is back");
}

static void
resume_unfinished(struct store *s)
{
	struct arena *a = arena_new(0);
	int64_t *kids;
	size_t n;
	struct err err;

	if (kept_unfinished(s->db, DUE_MAX, a, &kids, &n, &err) == -1)
		log_error("unfinished decisions: %s", err.text);
	else if (n > 0 && s->flights == NULL)
		act_new(s, ACT_RELEASE, true, kids, n, (struct span){ 0 }, (struct span){ 0 }, NULL, 0, 0);
	arena_free(&a);
}

static void
expire(struct store *s)
{
	struct arena *a = arena_new(0);
	int64_t *kids;
	size_t n;
	struct err err;

	if (share_on(s) && !share_there(s))
		n = 0;		/* nobody says whether others have decided: it waits */
	else if (kept_due(s->db, clock_real(), DUE_MAX, a, &kids, &n, &err) == -1)
		log_error("holds whose time is up: %s", err.text);
	else if (n > 0)
		act_start(s, ACT_EXPIRE, kids, n, SPAN_LIT("expiry"), (struct span){ 0 }, NULL);
	arena_free(&a);
}

void
act_tick(struct store *s)
{
	int64_t now = clock_mono();
	uint64_t ticket;

	while ((ticket = ticket_expired(s->tickets, now)) != 0) {
		struct ticket_kind *owner = ticket_owner(s->tickets, ticket);

		if (owner->errand)
			errand_over(s, owner, NULL);
		else
			flight_lost(s, (struct flight *)owner, "the queue did not answer; the "
			    "decision stands, and is tried again");
	}
	if (s->queue == NULL || s->rt->retiring)
		return;
	if (s->settle_at && now >= s->settle_at && s->flights == NULL) {
		/* Not while others fly: their rows look the same. Later again for what was lost. */
		s->settle_at = now + ANSWER_US;
		resume_unfinished(s);
	}
	if (now >= s->expiry_at) {
		s->expiry_at = now + EXPIRY_US;
		expire(s);
	}
}
