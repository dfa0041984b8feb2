/* verifiers.c -- which verifier finds out who sent a message, and what happens when one dies of it.
 *
 * A verifier has many messages under way at once: they wait for the DNS, not
 * for each other. When it dies, nobody can say which of them it died of: all become
 * suspects. A suspect is asked again, elsewhere when there is another, and a verifier
 * never has two of them: of a verifier that dies with one aboard, that one is held,
 * never delivered unchecked. (A fresh killer beside an innocent suspect makes us hold the
 * innocent: a person will release it.) No answer within the time of a message and SLACK
 * counts as death, and the master is asked to end the verifier.
 *
 * The announcement (IDENTIFY) at the first recipient is a favour: nothing is lost when the
 * verifier that heard it is not the one that gets the message.
 *
 * Without any verifier a message waits for PATIENCE, then its client hears 451.
 */
#include <stdlib.h>

#include "log.h"
#include "master/counters.h"
#include "receiver/scanners.h"
#include "receiver/verifiers.h"

#define VERIFIERS_MAX 64
#define DEPTH 500			/* messages at one verifier */
#define WAITING_MAX 2000
#define SLACK (INT64_C(10) * 1000000)
#define PATIENCE (INT64_C(15) * 1000000)
#define KILLS_MAX 2

struct worker {
	struct link *l;
	unsigned n, suspects;
	bool retiring;
};

struct verifiers {
	struct messages *all;
	struct worker workers[VERIFIERS_MAX];
	size_t n;
	struct message *first, *last;	/* waiting */
	size_t waiting;
};

struct verifiers *
verifiers_new(struct messages *all)
{
	struct verifiers *v = calloc(1, sizeof(*v));

	ASSERT(v != NULL);
	v->all = all;
	return v;
}

void
verifiers_free(struct verifiers **v)
{
	free(*v);
	*v = NULL;
}

size_t
verifiers_count(const struct verifiers *v)
{
	return v->n;
}

static struct worker *
find(struct verifiers *v, const struct link *l)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->workers[i].l == l)
			return &v->workers[i];
	return NULL;
}

/* ---- the line ---- */

static void
wait_put(struct verifiers *v, struct message *m)
{
	struct verification *x = &m->verification;

	ASSERT(!x->waiting && x->at == NULL);
	x->waiting = true;
	x->next = NULL;
	x->prev = v->last;
	*(v->last ? &v->last->verification.next : &v->first) = m;
	v->last = m;
	v->waiting++;
}

static void
wait_remove(struct verifiers *v, struct message *m)
{
	struct verification *x = &m->verification;

	if (!x->waiting)
		return;
	*(x->prev ? &x->prev->verification.next : &v->first) = x->next;
	*(x->next ? &x->next->verification.prev : &v->last) = x->prev;
	x->waiting = false;
	v->waiting--;
}

/* ---- asking ---- */

static bool
may_take(const struct worker *w, bool suspect)
{
	return !w->retiring && w->n < DEPTH && !(suspect && w->suspects);
}

/* Who heard of it first, else who has the least. */
static struct worker *
choose(struct verifiers *v, const struct message *m)
{
	bool suspect = m->verification.kills > 0;
	struct worker *best = NULL;

	for (size_t i = 0; i < v->n; i++) {
		struct worker *w = &v->workers[i];

		if (!may_take(w, suspect))
			continue;
		if (!suspect && link_instance(w->l) == m->t->announced)
			return w;
		if (best == NULL || w->n < best->n)
			best = w;
	}
	return best;
}

static struct msg_identify
identity(const struct smtp_transaction *t)
{
	return (struct msg_identify){ .id = t->env.id, .client = t->env.client, .helo = t->env.helo,
		.sender = t->env.sender, .listener = t->env.listener,
		.relayed = t->relayed };
}

static int
send_verify(struct verifiers *v, struct worker *w, struct message *m, uint64_t ticket)
{
	struct msg_verify msg = { .who = identity(m->t), .payload = m->payload };

	verify_encode(&v->all->scratch, &msg);
	return message_send_body(m, w->l, FRAME_VERIFY, ticket, &m->payload);
}

static void
hand_out(struct verifiers *v, int64_t now)
{
	struct message *m, *next;

	for (m = v->first; m; m = next) {
		struct verification *x = &m->verification;
		struct worker *w = choose(v, m);

		next = x->next;
		if (w == NULL && x->kills == 0)
			break;		/* nobody has room: for those behind neither */
		if (w == NULL)
			continue;
		wait_remove(v, m);
		x->ticket = ticket_open(v->all->tickets, m, INT64_MAX);
		if (send_verify(v, w, m, x->ticket) == -1) {
			ticket_close(v->all->tickets, x->ticket);
			x->ticket = 0;
			message_finish(m, 451, "4.7.1 the sender cannot be checked now");
			continue;
		}
		x->at = w->l;
		x->until = now + v->all->conf->verify.timeout + SLACK;
		w->n++;
		w->suspects += x->kills > 0;
	}
}

bool
verifiers_ask(struct verifiers *v, struct message *m, int64_t now)
{
	if (v->waiting >= WAITING_MAX)
		return false;
	m->verification.pending = true;
	m->verification.until = now + PATIENCE;
	wait_put(v, m);
	hand_out(v, now);
	return true;
}

uint32_t
verifiers_announce(struct verifiers *v, const struct smtp_transaction *t)
{
	struct msg_identify msg = identity(t);
	struct worker *best = NULL;
	struct buf *b = &v->all->scratch;
	int sent;

	for (size_t i = 0; i < v->n; i++)
		if (may_take(&v->workers[i], false) && (best == NULL || v->workers[i].n < best->n))
			best = &v->workers[i];
	if (best == NULL)
		return 0;
	identify_encode(b, &msg);
	sent = buf_failed(b) ? -1 : link_send(best->l, FRAME_IDENTIFY, 0, buf_data(b), -1);
	buf_reset(b);
	return sent == -1 ? 0 : link_instance(best->l);
}

/* ---- verifiers come and go ---- */

void
verifiers_up(struct verifiers *v, struct link *l, int64_t now)
{
	if (v->n == VERIFIERS_MAX) {
		log_error("more than %d verifiers: one is not used", VERIFIERS_MAX);
		return;
	}
	v->workers[v->n++] = (struct worker){ .l = l };
	hand_out(v, now);
}

/* Its question is open no more. */
static void
leave(struct verifiers *v, struct message *m)
{
	struct verification *x = &m->verification;
	struct worker *w = find(v, x->at);

	if (w) {
		w->n--;
		w->suspects -= x->kills > 0;
	}
	ticket_close(v->all->tickets, x->ticket);
	x->ticket = 0;
	x->at = NULL;
}

static void
take_back(struct verifiers *v, struct link *l, int64_t now)
{
	struct messages *all = v->all;
	struct message *m, *next;

	for (m = all->first; m; m = next) {
		struct verification *x = &m->verification;

		next = m->next;
		if (x->at != l)
			continue;
		leave(v, m);
		if (++x->kills >= KILLS_MAX) {
			x->pending = false;
			log_msg(LOG_LVL_ERROR, m->id, "was at the death of %u verifiers: held as "
			    "unscannable", x->kills);
			scanners_forget(all->scanners, m);	/* the directory is not asked any more */
			message_unscannable(m, "the message ended two verifiers: held as unscannable",
			    now);
			continue;
		}
		log_msg(LOG_LVL_WARN, m->id, "its verifier[%u] died: asked once more", link_instance(l));
		x->until = now + PATIENCE + all->conf->verify.timeout;
		wait_put(v, m);
	}
}

bool
verifiers_down(struct verifiers *v, struct link *l, int64_t now)
{
	struct worker *w = find(v, l);
	bool busy;

	if (w == NULL)
		return false;
	busy = w->n > 0;
	*w = v->workers[--v->n];
	take_back(v, l, now);
	hand_out(v, now);
	return busy;
}

static void
let_go(struct verifiers *v, struct worker *w)
{
	struct link *l = w->l;

	if (!w->retiring || w->n)
		return;
	*w = v->workers[--v->n];
	link_close(&l);
}

void
verifiers_retire(struct verifiers *v, struct link *l)
{
	struct worker *w = find(v, l);

	if (w == NULL)
		return;
	w->retiring = true;
	let_go(v, w);
}

void
verifiers_forget(struct verifiers *v, struct message *m)
{
	struct verification *x = &m->verification;
	struct link *at = x->at;

	wait_remove(v, m);
	x->pending = false;
	if (at == NULL)
		return;
	leave(v, m);
	if (find(v, at))
		let_go(v, find(v, at));
}

/* The rest of a hung verifier's life is the master's business. */
static void
hung(struct verifiers *v, struct link *l, int64_t now)
{
	log_error("verifier[%u] does not answer", link_instance(l));
	counter_add(COUNTER_VERIFIER_DEATHS, verifiers_down(v, l, now));
	v->all->hung(v->all->ctx, l);
}

void
verifiers_tick(struct verifiers *v, int64_t now)
{
	struct message *m, *next;

	hand_out(v, now);
	for (m = v->first; m; m = next) {
		next = m->verification.next;
		if (now < m->verification.until)
			continue;
		wait_remove(v, m);
		message_finish(m, 451, "4.7.1 the sender cannot be checked now, try again later");
	}
	for (m = v->all->first; m; m = m->next)
		if (m->verification.at && now > m->verification.until) {
			hung(v, m->verification.at, now);
			break;		/* the list has changed: the next at the next tick */
		}
}

int
verifiers_facts(struct verifiers *v, struct link *l, struct frame *f, int64_t now)
{
	struct message *m = ticket_owner(v->all->tickets, f->ticket);
	struct worker *w = find(v, l);
	struct msg_facts facts;

	if (m == NULL || m->verification.ticket != f->ticket)
		return 0;
	/* Only the verifier that was asked may answer. */
	if (m->verification.at != l || w == NULL ||
	    facts_decode(arena_span(m->t->arena, f->body), f->fd, m->t->arena, &facts) == -1)
		return -1;
	leave(v, m);
	m->verification.pending = false;
	message_identified(m, &facts, now);
	let_go(v, w);
	hand_out(v, now);
	return 0;
}
