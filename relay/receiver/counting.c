/* counting.c -- decisions that are counted with the other nodes; see counting.h.
 *
 * What the gate would count is noted (struct gate_count), asked in one frame, and the command goes on
 * where it stopped when the answer is there. What other nodes know of strangers, mailboxes and clients comes with the
 * same answer and is remembered here first: then the same code as without other nodes reads it.
 *
 * No process `counters`, Redis away, no answer in time: the decision is taken at once, by the same limits in this
 * node's memory with its share of each allowance (`counters.share`), and what was taken is told (COUNT_OWE), or
 * kept until there is somebody to tell. A process that does not answer at all is not asked again until it says something.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ipc/ticket.h"
#include "log.h"
#include "receiver/asking.h"
#include "receiver/counting.h"
#include "receiver/experience.h"
#include "receiver/limits_shared.h"

#define PENDING_MAX 20000
#define GRACE (US_PER_SEC / 2)		/* over `timeout`, for the process `counters` itself */
#define BACKLOG_MAX (1u << 20)		/* bytes of COUNT_OWE that nobody can be told */
#define OURS (UINT64_C(1) << 63)	/* tickets of sessions: asking.c has its own */

struct pending {
	struct pending *next, **prev;
	struct arena *arena;
	uint64_t conn, session, ticket;	/* session: the ticket it waits for */
	int64_t asked;
	struct link *link;
	enum counted what;
	struct gate_count count;
	struct limits_items items;
	struct msg_count_ask ask;
	struct gate_why why;
	struct smtp_reply reply;	/* unless a limit says otherwise */
	uint64_t max;
};

struct counting {
	struct receiver *rx;
	struct tickets *tickets;
	struct newest roles;
	struct pending *first, **end;
	size_t count;
	const struct link *mute;	/* did not answer */
	struct event *timer;
	uint64_t last;
	struct arena *share_arena;
	struct limit_rule *share;	/* the rules, with `percent` of their allowance */
	uint32_t percent;
	struct buf out, backlog;
};

static void on_timer(evutil_socket_t fd, short what, void *arg);

static bool
noted(void *ctx, const struct reputation_who *who, enum reputation_event e, double n)
{
	return counting_reputation(ctx, who, e, n);
}

struct counting *
counting_new(struct receiver *rx)
{
	struct counting *cg;

	if (!rx->rt->conf->counters.shared)
		return NULL;
	cg = calloc(1, sizeof(*cg));
	ASSERT(cg != NULL);
	cg->rx = rx;
	cg->tickets = tickets_new();
	cg->end = &cg->first;
	cg->timer = evtimer_new(rx->rt->base, on_timer, cg);
	ASSERT(cg->timer != NULL);
	buf_init(&cg->out, FRAME_SMALL);
	buf_init(&cg->backlog, BACKLOG_MAX);
	if (rx->nrules > COUNT_ITEMS_MAX)
		log_error("the policy has %zu limits: of those that apply to one command the first %d are counted",
		    rx->nrules, COUNT_ITEMS_MAX);
	rx->reputation.noted = noted;
	rx->reputation.ctx = cg;
	return cg;
}

/* ---- alone ---- */

static const struct limit_rule *
share(struct counting *cg)
{
	uint32_t percent = config_share(cg->rx->rt->conf, (uint32_t)counter_get(COUNTER_COUNT_NODES));

	if (cg->percent != percent) {
		arena_free(&cg->share_arena);
		cg->share_arena = arena_new(0);
		cg->share = limits_share(cg->rx->rules, cg->rx->nrules, percent, cg->share_arena);
		cg->percent = percent;
	}
	return cg->share;
}

static struct link *
role(const struct counting *cg)
{
	struct link *l = newest_get(&cg->roles);

	return l == cg->mute ? NULL : l;
}

static void
owe(struct counting *cg, const struct msg_count_owe *m)
{
	struct link *l = newest_get(&cg->roles);
	struct span body;
	uint32_t n;

	buf_reset(&cg->out);
	count_owe_encode(&cg->out, m);
	body = buf_data(&cg->out);
	if (buf_failed(&cg->out) || (l && link_send(l, FRAME_COUNT_OWE, 0, body, -1) == 0) || m->decision)
		return;
	n = (uint32_t)body.n;
	if (buf_size(&cg->backlog) + sizeof(n) + n > BACKLOG_MAX) {
		counter_add(COUNTER_COUNT_LOST, m->nitems);
		return;
	}
	buf_put(&cg->backlog, &n, sizeof(n));
	buf_span(&cg->backlog, body);
}

static void
owe_backlog(struct counting *cg, struct link *l)
{
	uint32_t n;

	while (buf_size(&cg->backlog) >= sizeof(n)) {
		struct span b = buf_data(&cg->backlog);

		memcpy(&n, b.p, sizeof(n));
		if (link_send(l, FRAME_COUNT_OWE, 0, span_sub(b, sizeof(n), n), -1) == -1)
			return;
		buf_consume(&cg->backlog, sizeof(n) + n);
	}
	buf_reset(&cg->backlog);
}

/* What one call of limits_take() has taken, of the items of its group. */
static void
taken(struct pending *p, uint32_t group, const struct limits_hit *hit, enum outcome o, bool *known,
    struct msg_count_owe *out)
{
	if (o >= OUTCOME_DEFER)
		return;
	for (size_t i = 0; i < p->items.n; i++)
		if (p->items.v[i].group == group && p->items.rule[i] != hit->rule && !known[i])
			out->items[out->nitems++] = p->items.v[i];
}

/* decision: what the process `counters` calls it; 0: it was never asked. owes: whether what is taken is told. */
static void
alone(struct counting *cg, struct pending *p, struct smtp_session *s, bool owes, uint64_t decision,
    struct smtp_reply *r, struct gate_why *why)
{
	struct receiver *rx = cg->rx;
	const struct limit_rule *rules = share(cg);
	struct count_item items[COUNT_ITEMS_MAX];
	struct msg_count_owe m = { .decision = decision, .items = items };
	int64_t now = clock_mono();
	struct limits_hit hit;
	enum outcome o = OUTCOME_UNJUDGED;
	bool known[COUNT_ITEMS_MAX];

	counter_add(COUNTER_COUNT_ALONE, 1);
	for (size_t i = 0; i < p->items.n; i++)
		known[i] = p->items.v[i].kind == COUNT_UNIQUE &&
		    limits_remembers(rx->limits, p->items.rule[i], &p->count.who, now);
	if (p->count.check) {
		o = limits_check(rx->limits, rules, rx->nrules, &p->count.who, now, &hit);
		if (hit.rule)
			hit.rule = &rx->rules[hit.rule - rules];
		gate_over_limit(s, o, &hit, r, why);
	}
	for (uint32_t g = 0; g < p->count.n && o < OUTCOME_DEFER; g++) {
		o = limits_take(rx->limits, rules, rx->nrules, p->count.units[g], &p->count.who, 1, now, &hit);
		if (hit.rule)
			hit.rule = &rx->rules[hit.rule - rules];
		taken(p, g, &hit, o, known, &m);
		gate_over_limit(s, o, &hit, r, why);
	}
	if (decision || (owes && m.nitems))
		owe(cg, &m);
}

/* ---- asking ---- */

void
counting_begin(struct receiver *rx)
{
	rx->count.n = 0;
	rx->count.check = false;
}

static void
keep_who(struct gate_count *to, const struct gate_count *from, struct arena *a)
{
	*to = *from;
	if (from->n == 0 && !from->check)
		to->who = (struct limits_who){ 0 };
	to->who.client = arena_span(a, to->who.client);
	to->who.sender = arena_span(a, to->who.sender);
	to->who.sender_domain = arena_span(a, to->who.sender_domain);
	to->who.user = arena_span(a, to->who.user);
	to->who.recipient = arena_span(a, to->who.recipient);
}

static struct pending *
pending_for(struct conn_mail *c, struct smtp_session *s, enum counted what, struct smtp_reply *r)
{
	struct receiver *rx = c->rx;
	struct arena *a = arena_new(sizeof(struct pending) + 1024);
	struct pending *p = arena_zalloc(a, sizeof(*p));

	p->arena = a;
	p->conn = c->conn;
	p->what = what;
	keep_who(&p->count, &rx->count, a);
	if (p->count.check)
		limits_items_check(rx->rules, rx->nrules, &p->count.who, a, &p->items);
	for (uint32_t g = 0; g < p->count.n; g++)
		limits_items_take(rx->rules, rx->nrules, p->count.units[g], &p->count.who, 1, g, a, &p->items);
	p->ask.items = p->items.v;
	p->ask.nitems = p->items.n;
	if (what == COUNTED_RCPT && r->code == 0) {
		asking_shared(rx->asking, s, s->t->asked.address, a, &p->ask);
		if (s->t->env.nrecipients == 0 && experience_counts(c, s))
			p->ask.client = s->client;
	}
	return p;
}

static bool
send_ask(struct counting *cg, struct pending *p)
{
	struct link *l = role(cg);

	if (l == NULL || counter_get(COUNTER_COUNT_AWAY) || cg->count >= PENDING_MAX)
		return false;
	p->asked = clock_mono();
	p->link = l;
	buf_reset(&cg->out);
	count_ask_encode(&cg->out, &p->ask);
	if (buf_failed(&cg->out))
		return false;
	p->ticket = ticket_open(cg->tickets, p, p->asked);
	if (link_send(l, FRAME_COUNT_ASK, p->ticket, buf_data(&cg->out), -1) == 0)
		return true;
	ticket_close(cg->tickets, p->ticket);
	return false;
}

static void
arm(struct counting *cg)
{
	int64_t left = cg->first->asked + cg->rx->rt->conf->counters.timeout + GRACE - clock_mono();
	struct timeval tv = { left > 0 ? left / US_PER_SEC : 0, left > 0 ? left % US_PER_SEC : 0 };

	evtimer_add(cg->timer, &tv);
}

uint64_t
counting_ask(struct conn_mail *c, struct smtp_session *s, enum counted what, struct gate_why *why,
    uint64_t max, struct smtp_reply *r)
{
	struct counting *cg = c->rx->counting;
	struct pending *p;
	struct arena *a;

	/* Refused already, and nothing to be counted for it. */
	if (cg == NULL || (r->code && c->rx->count.n == 0))
		return 0;
	p = pending_for(c, s, what, r);
	a = p->arena;
	if (p->items.n == 0 && p->ask.grey.friend.n == 0 && p->ask.mailbox.n == 0 && p->ask.client.family == 0) {
		arena_free(&a);
		return 0;
	}
	if (!send_ask(cg, p)) {
		alone(cg, p, s, true, 0, r, why);
		arena_free(&a);
		return 0;
	}
	p->why = *why;
	p->reply = *r;
	p->reply.text = arena_span(a, r->text);
	p->max = max;
	p->session = OURS | ++cg->last;
	p->prev = cg->end;
	*cg->end = p;
	cg->end = &p->next;
	if (cg->count++ == 0)
		arm(cg);
	return p->session;
}

/* ---- answers ---- */

static void
unlist(struct counting *cg, struct pending *p)
{
	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	else
		cg->end = p->prev;
	ticket_close(cg->tickets, p->ticket);
	if (--cg->count == 0)
		evtimer_del(cg->timer);
}

static void
take_told(struct counting *cg, struct pending *p, struct smtp_session *s, const struct msg_count_told *m,
    struct smtp_reply *r)
{
	struct receiver *rx = cg->rx;
	int64_t now = clock_mono();
	struct limits_hit hit;

	for (uint32_t g = 0; g < COUNT_GROUPS; g++) {
		enum outcome o = limits_items_told(&p->items, &m->groups[g], now, &hit);

		gate_over_limit(s, o, &hit, r, &p->why);
		for (size_t i = 0; i < p->items.n && o < OUTCOME_DEFER; i++)
			if (p->items.v[i].kind == COUNT_UNIQUE && p->items.v[i].group == g &&
			    p->items.rule[i] != hit.rule)
				limits_remember(rx->limits, p->items.rule[i], &p->count.who, now);
	}
	asking_heard(rx->asking, &p->ask, m);
}

static void
go_on(struct conn_mail *c, struct smtp_session *s, struct pending *p, struct smtp_reply *r)
{
	uint64_t ticket = 0;

	switch (p->what) {
	case COUNTED_MAIL:
		transaction_mail_counted(c, s, &p->why, r);
		break;
	case COUNTED_RCPT:
		ticket = transaction_rcpt_counted(c, s, &s->t->asked, &p->why, r);
		break;
	case COUNTED_DATA:
		transaction_data_counted(c, s, &p->why, p->max, r);
		break;
	case COUNTED_UNKNOWN:
		note_limit(c, s, &p->why);
		break;
	}
	if (ticket)
		s->ticket = ticket;
	else
		conn_answer(c->rx, p->conn, p->session, r);
}

/* m NULL: nobody has answered; whether it was counted is not known, and it is not counted again. */
static void
answered(struct counting *cg, struct pending *p, const struct msg_count_told *m)
{
	struct smtp_reply r = p->reply;
	struct arena *a = p->arena;
	struct smtp_session *s;
	struct conn_mail *c;

	unlist(cg, p);
	c = conn_find(cg->rx, p->conn, &s);
	if (c == NULL || s->ticket != p->session) {
		if (m && m->away && m->decision)
			owe(cg, &(struct msg_count_owe){ .decision = m->decision });
	} else {
		if (m == NULL || m->away)
			alone(cg, p, s, m != NULL, m ? m->decision : 0, &r, &p->why);
		else
			take_told(cg, p, s, m, &r);
		go_on(c, s, p, &r);
	}
	arena_free(&a);
}

int
counting_told(struct counting *cg, struct link *l, struct frame *f)
{
	struct msg_count_told m;
	struct pending *p;

	if (cg == NULL || count_told_decode(f->body, f->fd, NULL, &m) == -1)
		return -1;
	if (cg->mute == l)
		cg->mute = NULL;
	p = ticket_owner(cg->tickets, f->ticket);
	if (p)
		answered(cg, p, &m);
	else if (m.away && m.decision)
		owe(cg, &(struct msg_count_owe){ .decision = m.decision });
	return 0;
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct counting *cg = arg;
	int64_t late = clock_mono() - cg->rx->rt->conf->counters.timeout - GRACE;

	while (cg->first && cg->first->asked <= late) {
		if (cg->mute == NULL)
			log_warn("the process `counters` does not answer: limits go on with %u %% in this node",
			    cg->percent ? cg->percent : 100);
		cg->mute = cg->first->link;
		answered(cg, cg->first, NULL);
	}
	if (cg->first)
		arm(cg);
}

void
counting_up(struct counting *cg, struct link *l)
{
	if (cg == NULL)
		return;
	newest_add(&cg->roles, l);
	owe_backlog(cg, l);
}

void
counting_down(struct counting *cg, const struct link *down)
{
	struct pending *p, *next;

	if (cg == NULL)
		return;
	newest_remove(&cg->roles, down);
	if (cg->mute == down)
		cg->mute = NULL;
	for (p = cg->first; p; p = next) {
		next = p->next;
		if (p->link == down)
			answered(cg, p, NULL);
	}
}

/* ---- what is learnt ---- */

static bool
note(struct counting *cg, const struct msg_count_note *m)
{
	struct link *l = newest_get(&cg->roles);

	buf_reset(&cg->out);
	count_note_encode(&cg->out, m);
	return l && !buf_failed(&cg->out) &&
	    link_send(l, FRAME_COUNT_NOTE, 0, buf_data(&cg->out), -1) == 0;
}

void
counting_mailbox(struct counting *cg, struct span address, enum recall_kind kind, int64_t keep)
{
	note(cg, &(struct msg_count_note){ COUNT_NOTE_MAILBOX, address, .kind = (uint32_t)kind, .keep = keep });
}

void
counting_forget_mailbox(struct counting *cg, struct span address)
{
	note(cg, &(struct msg_count_note){ COUNT_NOTE_FORGET_MAILBOX, address });
}

bool
counting_reputation(struct counting *cg, const struct reputation_who *who, enum reputation_event e, double n)
{
	return note(cg, &(struct msg_count_note){ COUNT_NOTE_REPUTATION, who->domain, who->client, (uint32_t)e, 0,
		(int64_t)(n * 1000) });
}

void
counting_forget_reputation(struct counting *cg, const struct reputation_who *who)
{
	note(cg, &(struct msg_count_note){ COUNT_NOTE_FORGET, who->domain, who->client });
}

struct link *
counting_link(const struct counting *cg)
{
	return counter_get(COUNTER_COUNT_AWAY) ? NULL : role(cg);
}
