/* verifier.c -- the role that finds out who sent a message from the world.
 *
 * It parses what strangers write (signatures, seals, DNS records), so it has a process
 * without files, and the network for the DNS alone. One event loop: messages wait for the DNS side by side,
 * nothing blocks, and each has its time limit (check.h).
 *
 * Receivers announce a transaction (IDENTIFY), so that SPF is under way while the client
 * still sends; what is announced and never comes is forgotten, the eldest first. The message
 * (VERIFY) brings everything again. The answer (FACTS) goes to who asked.
 *
 * A verifier that retires tells its receivers (RETIRE, the other way), answers what it has, and is
 * let go by each of them, as scanners do.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "master/runtime.h"
#include "net/resolver.h"
#include "receiver/reputation.h"
#include "table.h"
#include "verifier/check.h"

#define DNS_SERVERS_MAX 8
#define ANNOUNCED_MAX 2000
#define ANNOUNCED_FOR (900 * US_PER_SEC)	/* then it is not expected any more */
#define PEERS_MAX 256

struct job {
	struct verifier *v;
	struct job *prev, *next;	/* the eldest first */
	struct link *from;
	uint64_t id;			/* of the transaction */
	uint64_t ticket;		/* 0: only announced */
	int64_t since;			/* clock_mono */
	struct check *check;
	struct arena *arena;		/* the message's */
	struct payload payload;
};

struct jobs {
	struct job *first, *last;
	size_t n;
};

struct verifier {
	struct runtime *rt;
	struct arena *arena;
	struct conf_host dns[DNS_SERVERS_MAX];
	size_t ndns;
	struct span anchors;
	struct dmarc_psl *psl;
	struct check_world world;
	struct reputation reputation;
	struct jobs announced, asked;
	struct idtable *by_id;		/* the announced */
	struct link *peers[PEERS_MAX];
	size_t npeers;
	struct event *tick;
	struct buf out;
};

/* ---- jobs ---- */

static void
job_add(struct jobs *l, struct job *j)
{
	j->next = NULL;
	j->prev = l->last;
	*(l->last ? &l->last->next : &l->first) = j;
	l->last = j;
	l->n++;
}

static void
job_remove(struct jobs *l, struct job *j)
{
	*(j->prev ? &j->prev->next : &l->first) = j->next;
	*(j->next ? &j->next->prev : &l->last) = j->prev;
	l->n--;
}

static void
job_free(struct job *j)
{
	struct verifier *v = j->v;

	if (j->ticket)
		job_remove(&v->asked, j);
	else {
		job_remove(&v->announced, j);
		idtable_remove(v->by_id, j->id);
	}
	check_free(&j->check);
	payload_unmap(&j->payload);
	arena_free(&j->arena);
	free(j);
}

static struct job *
job_new(struct verifier *v, struct link *from, const struct msg_identify *who)
{
	struct job *j = calloc(1, sizeof(*j));

	ASSERT(j != NULL);
	j->v = v;
	j->from = from;
	j->id = who->id;
	j->since = clock_mono();
	j->payload.fd = -1;
	j->check = check_new(&v->world, who);
	return j;
}

/* ---- the messages ---- */

static void
maybe_finish(struct verifier *v)
{
	if (v->rt->retiring && v->npeers == 0)
		runtime_finish(v->rt);
}

static void
count(const struct facts *f)
{
	counter_add(COUNTER_VERIFIED, 1);
	counter_add(COUNTER_VERIFIED_LATE, f->dmarc == AUTH_TEMPERROR);
	counter_add(COUNTER_DMARC_FAILED, f->dmarc == AUTH_FAIL);
}

static void
checked(void *ctx, struct check *c)
{
	struct job *j = ctx;
	struct verifier *v = j->v;
	struct msg_facts facts;

	check_answer(c, j->arena, &facts);
	count(&facts.facts);
	facts_encode(&v->out, &facts);
	ASSERT(!buf_failed(&v->out));
	if (link_send(j->from, FRAME_FACTS, j->ticket, buf_data(&v->out), -1) == -1)
		log_msg(LOG_LVL_ERROR, j->id, "the receiver does not take an answer");
	buf_reset(&v->out);
	job_free(j);
}

static void
announce(struct verifier *v, struct link *l, const struct msg_identify *who)
{
	struct job *j = idtable_get(v->by_id, who->id);

	if (j)
		job_free(j);
	if (v->announced.n == ANNOUNCED_MAX)
		job_free(v->announced.first);
	j = job_new(v, l, who);
	job_add(&v->announced, j);
	idtable_put(v->by_id, j->id, j);
}

static bool
same_sender(const struct msg_identify *a, const struct msg_identify *b)
{
	return ip_eq(a->client, b->client) && span_eq(a->helo, b->helo) &&
	    span_eq(a->sender, b->sender);
}

static int
verify(struct verifier *v, struct link *l, struct frame *f)
{
	struct arena *a = arena_new(0);
	struct msg_verify m;
	struct job *j;
	struct err err;

	if (verify_decode(f->body, f->fd, a, &m) == -1) {
		arena_free(&a);
		return -1;
	}
	/* The descriptor is closed behind us; its mapping stays. */
	if (payload_map(&m.payload, &err) == -1) {
		log_msg(LOG_LVL_ERROR, m.who.id, "%s", err.text);
		arena_free(&a);
		return 0;	/* without an answer: the receiver's deadline ends it */
	}
	j = idtable_get(v->by_id, m.who.id);
	if (j && j->from == l && same_sender(check_who(j->check), &m.who)) {
		job_remove(&v->announced, j);
		idtable_remove(v->by_id, j->id);
	} else
		j = job_new(v, l, &m.who);
	j->ticket = f->ticket;
	j->arena = a;
	j->payload = m.payload;
	j->payload.fd = -1;
	j->payload.bytes = arena_span(a, m.payload.bytes);
	job_add(&v->asked, j);
	check_message(j->check, payload_flat(&j->payload, a), checked, j);
	return 0;
}

static int
verifier_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct verifier *v = rt->state;
	struct msg_identify who;

	switch (f->type) {
	case FRAME_IDENTIFY:
		if (identify_decode(f->body, f->fd, v->arena, &who) == -1)
			return -1;
		announce(v, l, &who);
		return 0;
	case FRAME_VERIFY:
		return verify(v, l, f);
	default:
		return -1;
	}
}

/* ---- peers ---- */

static void
verifier_peer_up(struct runtime *rt, struct link *l)
{
	struct verifier *v = rt->state;

	if (v->npeers == PEERS_MAX)
		log_error("more than %d receivers", PEERS_MAX);
	else
		v->peers[v->npeers++] = l;
	if (rt->retiring)
		link_send(l, FRAME_RETIRE, 0, (struct span){ 0 }, -1);
}

static void
forget_link(struct jobs *l, const struct link *from)
{
	struct job *j, *next;

	for (j = l->first; j; j = next) {
		next = j->next;
		if (j->from == from)
			job_free(j);
	}
}

static void
verifier_peer_down(struct runtime *rt, struct link *l)
{
	struct verifier *v = rt->state;

	for (size_t i = 0; i < v->npeers; i++)
		if (v->peers[i] == l)
			v->peers[i--] = v->peers[--v->npeers];
	forget_link(&v->announced, l);
	forget_link(&v->asked, l);
	maybe_finish(v);
}

static void
verifier_retire(struct runtime *rt)
{
	struct verifier *v = rt->state;

	for (size_t i = 0; i < v->npeers; i++)
		link_send(v->peers[i], FRAME_RETIRE, 0, (struct span){ 0 }, -1);
	maybe_finish(v);
}

/* ---- start ---- */

/* Over TCP nothing but the DNS: libunbound needs it for answers that do not fit a datagram. */
static void
allow_servers(const struct conf_host *servers, size_t n)
{
	sandbox_allow_tcp(53);
	for (size_t i = 0; i < n && i < DNS_SERVERS_MAX; i++)
		if (servers[i].port && servers[i].port != 53)
			sandbox_allow_tcp(servers[i].port);
}

static int
verifier_start(struct runtime *rt, struct err *err)
{
	struct verifier *v = calloc(1, sizeof(*v));

	ASSERT(v != NULL);
	rt->state = v;
	v->rt = rt;
	v->arena = arena_new(0);
	v->anchors = SPAN_LIT("");
	buf_init(&v->out, FRAME_BIG);
	if (rt->conf->ndns == 0)
		v->ndns = resolver_system_servers(v->dns, DNS_SERVERS_MAX, v->arena);
	if (rt->conf->dnssec &&
	    resolver_anchors(rt->conf->trust_anchor, v->arena, &v->anchors, err) == -1)
		return -1;
	if ((v->psl = dmarc_psl_new(NULL, err)) == NULL)
		return -1;
	if (rt->conf->filter.kind)
		sandbox_allow_tcp(rt->conf->filter.host.port);
	allow_servers(rt->conf->ndns ? rt->conf->dns : v->dns, rt->conf->ndns ? rt->conf->ndns : v->ndns);
	return 0;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct verifier *v = arg;

	while (v->announced.first && clock_mono() - v->announced.first->since > ANNOUNCED_FOR)
		job_free(v->announced.first);
	if (v->rt->retiring && v->rt->retire_by && clock_mono() > v->rt->retire_by)
		runtime_finish(v->rt);
	maybe_finish(v);
}

static int
verifier_run(struct runtime *rt, struct err *err)
{
	static const struct timeval second = { 1, 0 };
	struct verifier *v = rt->state;

	v->by_id = idtable_new();
	v->world = (struct check_world){ .base = rt->base, .conf = rt->conf, .psl = v->psl,
		.rate = true, .reputation = &v->reputation };
	reputation_open(&v->reputation, rt->shared->reputation, REPUTATION_BYTES,
	    rt->conf->verify.reputation.half_life);
	v->world.resolver = rt->conf->ndns ?
	    resolver_new(rt->base, rt->conf->dns, rt->conf->ndns, v->anchors, err) :
	    resolver_new(rt->base, v->dns, v->ndns, v->anchors, err);
	if (v->world.resolver == NULL)
		return -1;
	v->tick = event_new(rt->base, -1, EV_PERSIST, on_tick, v);
	ASSERT(v->tick != NULL);
	event_add(v->tick, &second);
	return 0;
}

static const struct sandbox verifier_sandbox = { .may = SANDBOX_NET_CLIENT };

const struct role_ops verifier_ops = {
	.role = ROLE_VERIFIER,
	.sandbox = &verifier_sandbox,
	.start = verifier_start,
	.run = verifier_run,
	.peer_up = verifier_peer_up,
	.peer_down = verifier_peer_down,
	.frame = verifier_frame,
	.retire = verifier_retire,
};
