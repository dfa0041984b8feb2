/* asking.c -- recipients of whom somebody has to be asked; see asking.h.
 *
 * In this order: a stranger is told to come back where the domain greylists; then what is
 * remembered of the mailbox counts (recall.h); then the server behind us is asked, by a delivery
 * process (RCPT_ASK), or the directory (LOOKUP), which remembers by itself. All
 * sessions that want to know the same wait for one question.
 *
 * What cannot be known is never a refusal: a mailbox that was known to exist within `stale` is
 * taken, for any other the client is told to come back (450). An answer that comes too
 * late is remembered for the next time. A delivery process that retires says so of what it has not
 * asked yet: its successor is asked instead, and nobody notices.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "clock.h"
#include "ipc/messages_count.h"
#include "ipc/messages_rcpt.h"
#include "ipc/ticket.h"
#include "json.h"
#include "log.h"
#include "net/batv.h"
#include "receiver/asking.h"
#include "receiver/counting.h"
#include "receiver/recall.h"

#define QUESTIONS_MAX 2000		/* under way; more clients are told to come back */
#define DELIVERIES_MAX 64		/* three generations of as many as may be configured, and more */
#define DIRECTORY_PATIENCE (20 * US_PER_SEC)
#define AGE_MAX (86000 * US_PER_SEC)	/* recall.c remembers a day before its beginning */
#define KEY_MAX 1400

static const struct span none = { "", 0 };

struct waiter {
	struct waiter *next;
	uint64_t conn, ticket;		/* of the session; conn 0: a control client */
	struct reply *reply;
};

struct question {
	struct question *next, **prev;
	struct arena *arena;
	const struct conf_domain *domain;
	struct span address;
	uint64_t ticket;		/* of the frame */
	struct link *link;		/* who was asked */
	bool known_once;		/* within `stale` */
	struct waiter *first;
};

struct asking {
	struct receiver *rx;
	struct recall_table *recall;
	struct tickets *tickets;
	struct table *by_address;
	struct question *first;
	size_t count;
	uint64_t last_ticket;
	struct link *deliveries[DELIVERIES_MAX];
	struct buf out;
};

struct asking *
asking_new(struct receiver *rx)
{
	struct asking *as = calloc(1, sizeof(*as));

	ASSERT(as != NULL);
	as->rx = rx;
	as->recall = recall_attach(rx->rt->shared->recall, RECALL_BYTES, clock_mono());
	as->tickets = tickets_new();
	as->by_address = table_new();
	buf_init(&as->out, FRAME_SMALL);
	return as;
}

/* ---- what is remembered ---- */

/* 'c' and the address; 'g', the client's network, sender and recipient; 'n' and the network. */
static struct span
key_of(char buf[static KEY_MAX], char space, struct span a, struct span b, struct span c)
{
	int n = snprintf(buf, KEY_MAX, "%c%.*s %.*s %.*s", space, (int)(a.n > 330 ? 330 : a.n), a.p,
	    (int)(b.n > 400 ? 400 : b.n), b.p, (int)(c.n > 400 ? 400 : c.n), c.p);

	return span_make(buf, (size_t)n);
}

static void
remember(struct asking *as, struct span address, enum recall_kind kind)
{
	struct span local, domain;
	const struct conf_domain *d;
	char buf[KEY_MAX];

	recall_put(as->recall, key_of(buf, 'c', address, none, none), kind,
	    clock_mono());
	if (as->rx->counting == NULL || !mailaddr_split(address, &local, &domain) ||
	    (d = config_domain(as->rx->rt->conf, domain)) == NULL)
		return;
	counting_mailbox(as->rx->counting, address, kind, kind == RECALL_UNKNOWN ? d->callout.missing :
	    d->callout.found > d->callout.stale ? d->callout.found : d->callout.stale);
}

static bool
recalled(struct asking *as, struct span address, enum recall_kind *kind, int64_t *age)
{
	char buf[KEY_MAX];
	int64_t now = clock_mono(), when;

	if (!recall_get(as->recall, key_of(buf, 'c', address, none, none), now, kind, &when))
		return false;
	*age = now - when;
	return true;
}

/* ---- answers ---- */

static void
put_reply(const struct question *q, struct reply *r, enum rcpt_told told, struct span relay,
    struct span text, bool asked)
{
	static const char *const names[RCPT_TOLDS] = { "known", "unknown", "unsure" };
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "address", q->address);
	json_kcstr(&j, "recipient", names[told]);
	json_kcstr(&j, "source", !asked ? "remembered" :
	    q->domain->recipients == RECIPIENTS_LDAP ? "ldap" : "callout");
	json_kstr(&j, "relay", relay);
	json_kstr(&j, "text", text);
	json_kbool(&j, "accepted", told == RCPT_KNOWN || (told == RCPT_DOUBT && q->known_once));
	json_end_object(&j);
	buf_putc(reply_buf(r), '\n');
}

static void
decide(const struct question *q, struct conn_mail *c, struct smtp_session *s, enum rcpt_told told,
    struct smtp_reply *r)
{
	struct gate_why why;

	if (told == RCPT_KNOWN)
		return;
	if (told == RCPT_NO_SUCH) {
		counting_begin(c->rx);
		gate_unknown(&c->door->gate, s, q->domain, q->address, clock_mono(), r, &why);
		if ((r->wait = counting_ask(c, s, COUNTED_UNKNOWN, &why, 0, r)) == 0)
			note_limit(c, s, &why);
	} else if (q->known_once) {
		log_msg(LOG_LVL_INFO, s->id, "to=<%.*s> cannot be asked for now; it was known before",
		    SPAN_ARG(q->address));
	} else {
		smtp_refuse(s, r, 450, "4.1.1 <%.*s>: recipient cannot be verified now, try again later",
		    SPAN_ARG(q->address));
	}
}

static void
answer_waiter(struct asking *as, const struct question *q, struct waiter *w, enum rcpt_told told,
    struct span relay, struct span text)
{
	struct smtp_reply r = { 0 };
	struct smtp_session *s;
	struct conn_mail *c;

	if (w->reply) {
		put_reply(q, w->reply, told, relay, text, true);
		reply_end(&w->reply);
		return;
	}
	if ((c = conn_find(as->rx, w->conn, &s)) == NULL || s->ticket != w->ticket)
		return;
	decide(q, c, s, told, &r);
	if (r.wait)
		s->ticket = r.wait;
	else
		conn_answer(as->rx, w->conn, w->ticket, &r);
}

static void
question_over(struct asking *as, struct question *q, enum rcpt_told told, struct span relay,
    struct span text)
{
	struct arena *a = q->arena;

	if (told == RCPT_DOUBT) {
		counter_add(COUNTER_RCPT_DOUBTS, 1);
		log_warn("whether <%.*s> exists is not known: %.*s%s%.*s", SPAN_ARG(q->address),
		    (int)(text.n > 300 ? 300 : text.n), text.p, relay.n && !span_is(relay, "none") ?
		    ", from " : "", (int)(span_is(relay, "none") ? 0 : relay.n), relay.p);
	}
	*q->prev = q->next;
	if (q->next)
		q->next->prev = q->prev;
	table_remove(as->by_address, q->address);
	ticket_close(as->tickets, q->ticket);
	as->count--;
	for (struct waiter *w = q->first, *next; w; w = next) {
		next = w->next;
		answer_waiter(as, q, w, told, relay, text);
	}
	arena_free(&a);
}

/* ---- questions ---- */

/* Of the newest generation's processes one for each domain, so that it can keep `probes`. */
static struct link *
delivery_for(const struct asking *as, struct span domain)
{
	static const uint8_t key[16];
	struct link *newest[DELIVERIES_MAX];
	uint32_t want = as->rx->rt->conf->delivery.processes, n = 0;

	for (size_t i = 0; i < DELIVERIES_MAX; i++) {
		uint32_t newer = 0;

		for (size_t k = 0; as->deliveries[i] && k < DELIVERIES_MAX; k++)
			newer += as->deliveries[k] && link_instance(as->deliveries[k]) >
			    link_instance(as->deliveries[i]);
		if (as->deliveries[i] && newer < want)
			newest[n++] = as->deliveries[i];
	}
	return n == 0 ? NULL : newest[siphash(key, domain.p, domain.n) % n];
}

static bool
ask(struct asking *as, struct question *q)
{
	const struct conf_domain *d = q->domain;
	bool ldap = d->recipients == RECIPIENTS_LDAP;

	buf_reset(&as->out);
	if (ldap) {
		struct msg_lookup m = { d->recipients_ldap.directory->name,
			d->recipients_ldap.filter, SPAN_LIT(""), q->address };

		q->link = as->rx->messages.directory;
		lookup_encode(&as->out, &m);
	} else {
		struct msg_rcpt_ask m = { q->address };

		q->link = delivery_for(as, d->name);
		rcpt_ask_encode(&as->out, &m);
	}
	return q->link && !buf_failed(&as->out) && link_send(q->link,
	    ldap ? FRAME_LOOKUP : FRAME_RCPT_ASK, q->ticket, buf_data(&as->out), -1) == 0;
}

/* The question about an address: the one under way, or a new one. NULL: nobody can be asked. */
static struct question *
question_for(struct asking *as, const struct conf_domain *d, struct span address, bool known_once)
{
	struct question *q = table_get(as->by_address, address);
	struct arena *a;

	if (q || as->count >= QUESTIONS_MAX)
		return q;
	a = arena_new(512);
	q = arena_zalloc(a, sizeof(*q));
	q->arena = a;
	q->domain = d;
	q->address = arena_span(a, address);
	q->known_once = known_once;
	q->ticket = ticket_open(as->tickets, q, clock_mono() +
	    (d->recipients == RECIPIENTS_LDAP ? DIRECTORY_PATIENCE : d->callout.timeout));
	if (!ask(as, q)) {
		ticket_close(as->tickets, q->ticket);
		arena_free(&a);
		return NULL;
	}
	counter_add(COUNTER_RCPT_ASKED, 1);
	q->next = as->first;
	q->prev = &as->first;
	if (q->next)
		q->next->prev = &q->next;
	as->first = q;
	as->count++;
	table_put(as->by_address, q->address, q);
	return q;
}

static struct waiter *
wait_for(struct asking *as, struct question *q)
{
	struct waiter *w = arena_zalloc(q->arena, sizeof(*w));

	w->ticket = ++as->last_ticket;
	w->next = q->first;
	q->first = w;
	return w;
}

/* ---- strangers ---- */

/* The network a client belongs to: /24 and /64, so that a farm of senders is one. */
static struct span
network_of(struct ip ip, char text[static IP_TEXT_MAX])
{
	struct ip net = ip;

	if (ip.family == 4)
		net.b[3] = 0;
	else
		memset(net.b + 8, 0, 8);
	return span_str(ip_format(net, text));
}

struct stranger {
	char came[KEY_MAX], friend[KEY_MAX];
	struct span came_key, friend_key;
};

static void
stranger_of(struct smtp_session *s, const struct conf_domain *d, struct span address,
    struct stranger *out)
{
	char net[IP_TEXT_MAX];
	struct span sender;

	/* A sender with a tag is another every day, and the same to us. */
	if (!batv_untag(s->t->arena, s->t->env.sender, &sender))
		sender = s->t->env.sender;
	out->came_key = key_of(out->came, 'g', network_of(s->client, net), sender, address);
	out->friend_key = key_of(out->friend, 'n', span_str(net), d->name, none);
}

/* true: told to come back. A network of which somebody came back is no stranger to any of the
 * domain's recipients. */
static bool
greylisted(struct asking *as, struct smtp_session *s, const struct conf_domain *d,
    struct span address, struct smtp_reply *r)
{
	const struct conf_greylist *g = &d->greylist;
	int64_t now = clock_mono(), when;
	enum recall_kind kind;
	struct stranger who;

	if (!gate_greylists(as->rx->rt->conf, s, d))
		return false;
	stranger_of(s, d, address, &who);
	if (recall_get(as->recall, who.friend_key, now, &kind, &when) && now - when < g->keep) {
		recall_put(as->recall, who.friend_key, RECALL_FRIEND, now);
		return false;
	}
	if (!recall_get(as->recall, who.came_key, now, &kind, &when) || now - when > g->retry) {
		recall_put(as->recall, who.came_key, RECALL_CAME, now);
		when = now;
	}
	if (now - when >= g->delay) {
		recall_put(as->recall, who.friend_key, RECALL_FRIEND, now);
		return false;
	}
	counter_add(COUNTER_GREYLISTED, 1);
	smtp_refuse(s, r, 451, "4.7.1 <%.*s>: greylisted, come back in %lld s", SPAN_ARG(address),
	    (long long)((g->delay - (now - when)) / US_PER_SEC + 1));
	return true;
}

/* ---- at RCPT ---- */

static const struct conf_domain *
domain_asked(const struct asking *as, struct span address, struct span *local)
{
	struct span domain;

	return mailaddr_split(address, local, &domain) ? config_domain(as->rx->rt->conf, domain) : NULL;
}

static int64_t
age_of(const struct asking *as, struct span key, int64_t now)
{
	enum recall_kind kind;
	int64_t when;

	return recall_get(as->recall, key, now, &kind, &when) ? now - when : -1;
}

void
asking_shared(struct asking *as, struct smtp_session *s, struct span address, struct arena *a,
    struct msg_count_ask *m)
{
	const struct conf_domain *d;
	int64_t now = clock_mono(), age;
	enum recall_kind kind;
	struct stranger who;
	struct span local;

	if (s->t->env.direction != DIRECTION_INBOUND ||
	    (d = domain_asked(as, address, &local)) == NULL)
		return;
	if (gate_greylists(as->rx->rt->conf, s, d)) {
		stranger_of(s, d, address, &who);
		m->grey = (struct count_strangers){ arena_span(a, who.friend_key), arena_span(a, who.came_key),
			age_of(as, who.friend_key, now), age_of(as, who.came_key, now), d->greylist.delay,
			d->greylist.retry, d->greylist.keep };
	}
	if (d->recipients == RECIPIENTS_CALLOUT && !span_is_nocase(local, "postmaster") &&
	    !(recalled(as, address, &kind, &age) &&
	    age < (kind == RECALL_KNOWN ? d->callout.found : d->callout.missing)))
		m->mailbox = arena_span(a, address);
}

void
asking_heard(struct asking *as, const struct msg_count_ask *m, const struct msg_count_told *told)
{
	int64_t now = clock_mono();
	char buf[KEY_MAX];

	if (told->grey == COUNT_GREY_FRIEND)
		recall_put(as->recall, m->grey.friend, RECALL_FRIEND, now);
	else if (told->grey == COUNT_GREY_CAME)
		recall_put(as->recall, m->grey.came, RECALL_CAME,
		    now - (told->grey_age < AGE_MAX ? told->grey_age : AGE_MAX));
	/* Of what was learnt before this machine was started nothing can be written down. */
	if (told->mailbox_age >= AGE_MAX)
		return;
	if (told->mailbox == RECALL_KNOWN + 1 || told->mailbox == RECALL_UNKNOWN + 1)
		recall_put(as->recall, key_of(buf, 'c', m->mailbox, none, none),
		    (enum recall_kind)(told->mailbox - 1), now - told->mailbox_age);
}

uint64_t
asking_rcpt(struct conn_mail *c, struct smtp_session *s, struct recipient *rcpt,
    struct smtp_reply *r)
{
	struct asking *as = c->rx->asking;
	struct question q = { .address = rcpt->address };
	struct question *to;
	enum recall_kind kind;
	struct span local;
	struct waiter *w;
	int64_t age;

	if (s->t->env.direction != DIRECTION_INBOUND ||
	    (q.domain = domain_asked(as, rcpt->address, &local)) == NULL ||
	    greylisted(as, s, q.domain, rcpt->address, r))
		return 0;
	/* RFC 5321, 4.5.1: the postmaster can always be reached. */
	if (q.domain->recipients < RECIPIENTS_LDAP || span_is_nocase(local, "postmaster") ||
	    config_is_echo(c->rx->rt->conf, rcpt->address))
		return 0;
	if (q.domain->recipients == RECIPIENTS_CALLOUT &&
	    recalled(as, rcpt->address, &kind, &age)) {
		const struct conf_callout *co = &q.domain->callout;

		if (age < (kind == RECALL_KNOWN ? co->found : co->missing)) {
			counter_add(COUNTER_RCPT_REMEMBERED, 1);
			decide(&q, c, s, kind == RECALL_KNOWN ? RCPT_KNOWN : RCPT_NO_SUCH, r);
			return r->wait;
		}
		q.known_once = kind == RECALL_KNOWN && age < co->stale;
	}
	if ((to = question_for(as, q.domain, rcpt->address, q.known_once)) == NULL) {
		counter_add(COUNTER_RCPT_DOUBTS, 1);
		decide(&q, c, s, RCPT_DOUBT, r);
		return 0;
	}
	w = wait_for(as, to);
	w->conn = c->conn;
	return w->ticket;
}

/* ---- what is told ---- */

static void
ask_no_more(struct asking *as, const struct link *l)
{
	for (size_t i = 0; i < DELIVERIES_MAX; i++)
		if (as->deliveries[i] == l)
			as->deliveries[i] = NULL;
}

int
asking_told(struct asking *as, const struct link *from, struct frame *f)
{
	struct question *q = ticket_owner(as->tickets, f->ticket);
	struct msg_rcpt_told m;

	if (rcpt_told_decode(f->body, f->fd, NULL, &m) == -1)
		return -1;
	if (m.told == RCPT_RETIRING) {
		ask_no_more(as, from);
		if (q && q->link == from && !ask(as, q))
			question_over(as, q, RCPT_DOUBT, m.relay, m.text);
		return 0;
	}
	if (m.told != RCPT_DOUBT)
		remember(as, m.address, m.told == RCPT_KNOWN ? RECALL_KNOWN : RECALL_UNKNOWN);
	if (q)
		question_over(as, q, m.told, m.relay, m.text);
	return 0;
}

int
asking_found(struct asking *as, struct frame *f)
{
	static const enum rcpt_told of[LOOKUP_STATUSES] = { [LOOKUP_FOUND] = RCPT_KNOWN,
		[LOOKUP_MISSING] = RCPT_NO_SUCH, [LOOKUP_UNKNOWN] = RCPT_DOUBT };
	struct question *q = ticket_owner(as->tickets, f->ticket);
	struct msg_found m;

	if (q == NULL)
		return 0;		/* late */
	if (found_decode(f->body, f->fd, q->arena, &m) == -1)
		return -1;
	question_over(as, q, of[m.status], q->domain->recipients_ldap.directory->name, m.text);
	return 0;
}

void
asking_up(struct asking *as, struct link *l)
{
	for (size_t i = 0; i < DELIVERIES_MAX; i++)
		if (as->deliveries[i] == NULL) {
			as->deliveries[i] = l;
			return;
		}
	log_error("more than %d delivery processes: one is not asked for recipients", DELIVERIES_MAX);
}

void
asking_down(struct asking *as, const struct link *down)
{
	ask_no_more(as, down);
	for (struct question *q = as->first, *next; q; q = next) {
		next = q->next;
		if (q->link != down)
			continue;
		/* Another process may know. */
		if (!ask(as, q))
			question_over(as, q, RCPT_DOUBT, SPAN_LIT("none"),
			    SPAN_LIT("the process that was asked is gone"));
	}
}

void
asking_tick(struct asking *as, int64_t now)
{
	uint64_t ticket;

	while ((ticket = ticket_expired(as->tickets, now)) != 0)
		question_over(as, ticket_owner(as->tickets, ticket), RCPT_DOUBT, SPAN_LIT("none"),
		    SPAN_LIT("no answer in time"));
}

/* ---- for people ---- */

void
asking_test(struct asking *as, struct span address, bool fresh, struct reply **r)
{
	struct question q = { .address = address }, *to;
	enum recall_kind kind;
	struct span local;
	int64_t age;

	q.domain = domain_asked(as, address, &local);
	if (q.domain == NULL || q.domain->recipients < RECIPIENTS_LDAP) {
		bool listed = q.domain && access_recipient(as->rx->access, as->rx->rt->conf,
		    &(struct conf_listener){ .direction = LISTEN_INBOUND }, false, address) ==
		    ACCESS_INBOUND;

		if (q.domain == NULL)
			q.domain = &(struct conf_domain){ 0 };
		put_reply(&q, *r, listed ? RCPT_KNOWN : RCPT_NO_SUCH, SPAN_LIT("none"),
		    q.domain->name.n == 0 ? SPAN_LIT("not in a domain of ours") :
		    q.domain->recipients == RECIPIENTS_FILE ? SPAN_LIT("the file of recipients says it") :
		    SPAN_LIT("`recipients: any` takes every address"), false);
		reply_end(r);
		return;
	}
	if (!fresh && q.domain->recipients == RECIPIENTS_CALLOUT && recalled(as, address, &kind, &age)) {
		const struct conf_callout *co = &q.domain->callout;

		if (age < (kind == RECALL_KNOWN ? co->found : co->missing)) {
			put_reply(&q, *r, kind == RECALL_KNOWN ? RCPT_KNOWN : RCPT_NO_SUCH,
			    SPAN_LIT("none"), SPAN_LIT("the server was asked before"), false);
			reply_end(r);
			return;
		}
		q.known_once = kind == RECALL_KNOWN && age < co->stale;
	}
	if ((to = question_for(as, q.domain, address, q.known_once)) == NULL) {
		put_reply(&q, *r, RCPT_DOUBT, SPAN_LIT("none"), SPAN_LIT("nobody can be asked now"), true);
		reply_end(r);
		return;
	}
	wait_for(as, to)->reply = *r;
	*r = NULL;
}

void
asking_forget(struct asking *as, struct span address)
{
	char buf[KEY_MAX];

	if (as->rx->counting && address.n)
		counting_forget_mailbox(as->rx->counting, address);
	if (address.n == 0)
		recall_forget_all(as->recall);
	else
		recall_forget(as->recall, key_of(buf, 'c', address, none, none));
}
