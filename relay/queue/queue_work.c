/* queue_work.c -- jobs go out to delivery processes and to the store, and come back.
 *
 * Which delivery process gets a job follows from its site, so that one
 * process sees all that goes to a site and can reuse its connections. A
 * process that hands a job back is on its way out and gets nothing more; one
 * that dies leaves jobs that return to the schedule as they were.
 */
#include <stdlib.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "queue/queue.h"

#define BACKLOG_MAX ((size_t)8 << 20)
#define DISPATCH_US 5000	/* of one turn */
#define INNER_RETRY (60 * US_PER_SEC)

struct schedule *
queue_schedule_of(struct queue *q, const struct leg *l)
{
	return l->kind == LEG_DELIVER ? q->out : q->inner;
}

struct span
queue_site(struct queue *q, const struct leg *l, const struct plan *p, struct arena *a)
{
	struct state st;

	if (l->kind != LEG_DELIVER)
		return l->kind == LEG_KEEP ? SPAN_LIT(STORE_SITE) : SPAN_LIT(LOCAL_SITE);
	if (q->drain.n > 0)
		return q->drain;
	if (l->rerouted && l->at.segment != 0 &&
	    spool_read_state(q->sp, &l->at, a, &st, NULL) == 0 && st.route.n > 0)
		return st.route;
	return p->legs[l->index].site;
}

/* Every leg with something left to do, at its time. */
void
queue_schedule_all(struct queue *q, struct message *m, const struct plan *p)
{
	struct arena *a = NULL;

	if (m->flags & STATE_STILL)
		return;
	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];

		if (l->job.state != JOB_IDLE || l->settling || !leg_pending(m, p, l))
			continue;
		if (l->rerouted && a == NULL)
			a = arena_new(0);
		schedule_add(queue_schedule_of(q, l), &l->job, queue_site(q, l, p, a),
		    l->job.node.when);
	}
	arena_free(&a);
	queue_live(q, m);
}

void
queue_unschedule(struct queue *q, struct leg *l)
{
	if (l->job.state == JOB_WAITING || l->job.state == JOB_READY)
		schedule_remove(queue_schedule_of(q, l), &l->job);
}

/* ---- out ---- */

static struct flight *
flight_new(struct queue *q, const struct message *m, const struct leg *l, struct link *to,
    uint32_t segment, uint64_t *ticket)
{
	struct flight *f = calloc(1, sizeof(*f));

	ASSERT(f != NULL);
	*f = (struct flight){ .id = m->item.id, .leg = l->index, .to = to, .segment = segment };
	*ticket = ++q->last_ticket;
	idtable_put(q->flights, *ticket, f);
	return f;
}

/* The flight of a ticket, taken out of the table; NULL: not open, or not this link's. */
static bool
flight_end(struct queue *q, struct link *from, uint64_t ticket, struct flight *out)
{
	struct flight *f = idtable_get(q->flights, ticket);

	if (f == NULL || f->to != from)
		return false;
	idtable_remove(q->flights, ticket);
	*out = *f;
	free(f);
	spool_unpin(q->sp, out->segment);
	return true;
}

static struct link *
link_for(struct queue *q, struct span site)
{
	static const uint8_t key[16];
	struct link *open[QUEUE_LINKS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < q->ndelivery; i++)
		if (link_data(q->delivery[i]) == NULL)	/* set: it hands back */
			open[n++] = q->delivery[i];
	return n ? open[siphash(key, site.p, site.n) % n] : NULL;
}

/* Reading or showing what is stored failed: tried again later, and said. */
static void
put_off(struct queue *q, struct message *m, struct leg *l, const char *why)
{
	log_msg(LOG_LVL_ERROR, m->item.id, "put off: %s", why);
	schedule_postpone(queue_schedule_of(q, l), &l->job, clock_real() + INNER_RETRY);
}

static bool
send_deliver(struct queue *q, struct message *m, struct leg *l)
{
	const uint8_t *status = message_status(m);
	struct link *to = link_for(q, schedule_job_site(&l->job));
	struct msg_deliver d = { .id = m->item.id,
		.started = clock_real(), .site = schedule_job_site(&l->job) };
	struct stored s;
	struct plan p;
	struct err err;
	struct buf b;
	uint64_t ticket;
	int fd, r;

	if (to == NULL || link_backlog(to) > BACKLOG_MAX) {
		schedule_return(q->out, &l->job);
		return false;
	}
	arena_reset(q->work);
	if (queue_plan(q, m, q->work, &s, &p, &err) == -1 ||
	    spool_pin(q->sp, &m->item, &s, &d.ref, &fd, &err) == -1) {
		put_off(q, m, l, err.text);
		return true;
	}
	d.received = s.env.received;
	d.sender = s.env.sender;
	d.envid = s.env.envid;
	d.ret = s.env.ret;
	d.flags = s.env.flags & (ENVELOPE_8BITMIME | ENVELOPE_SMTPUTF8 | ENVELOPE_REQUIRETLS);
	d.require_tls = p.legs[l->index].require_tls;
	d.recipients = arena_array(q->work, p.ntargets, sizeof(*d.recipients));
	d.index = arena_array(q->work, p.ntargets, sizeof(*d.index));
	for (size_t i = 0; i < p.ntargets; i++)
		if (p.targets[i].leg == l->index && status[i] == TARGET_PENDING) {
			d.recipients[d.nrecipients] = p.targets[i].rcpt;
			d.index[d.nrecipients++] = (uint16_t)i;
		}
	flight_new(q, m, l, to, d.ref.segment, &ticket);
	buf_init(&b, FRAME_BIG);
	deliver_encode(&b, &d);
	r = buf_failed(&b) ? -1 : link_send(to, FRAME_DELIVER, ticket, buf_data(&b), fd);
	if (buf_failed(&b) && fd != -1)
		close(fd);
	buf_release(&b);
	if (r == -1) {
		struct flight f;

		(void)flight_end(q, to, ticket, &f);
		put_off(q, m, l, "the delivery process does not take it");
	}
	return true;
}

static bool
send_keep(struct queue *q, struct message *m, struct leg *l)
{
	const uint8_t *status = message_status(m);
	struct msg_keep k;
	struct recipient *rcpts;
	struct stored s;
	struct plan p;
	struct err err;
	struct buf b;
	uint64_t ticket;
	size_t n = 0;
	int fd, r;

	if (q->store == NULL || link_backlog(q->store) > BACKLOG_MAX) {
		schedule_return(q->inner, &l->job);
		return false;
	}
	arena_reset(q->work);
	k = (struct msg_keep){ 0 };
	if (queue_plan(q, m, q->work, &s, &p, &err) == -1 ||
	    spool_read_json(q->sp, &m->item, &s, q->work, &k.record, &err) == -1 ||
	    spool_pin(q->sp, &m->item, &s, &k.ref, &fd, &err) == -1) {
		put_off(q, m, l, err.text);
		return true;
	}
	rcpts = arena_array(q->work, p.ntargets, sizeof(*rcpts));
	for (size_t i = 0; i < p.ntargets; i++)
		if (p.targets[i].leg == l->index && status[i] == TARGET_PENDING)
			rcpts[n++] = p.targets[i].rcpt;
	k.kind = s.decisions[p.legs[l->index].decision].outcome;
	k.queue = s.decisions[p.legs[l->index].decision].queue;
	k.expires = s.decisions[p.legs[l->index].decision].expires;
	k.on_expire = s.decisions[p.legs[l->index].decision].on_expire;
	k.env = s.env;
	k.env.recipients = rcpts;
	k.env.nrecipients = n;
	k.parent = s.parent;
	flight_new(q, m, l, q->store, k.ref.segment, &ticket);
	buf_init(&b, FRAME_BIG);
	keep_encode(&b, &k);
	r = buf_failed(&b) ? -1 : link_send(q->store, FRAME_KEEP, ticket, buf_data(&b), fd);
	if (buf_failed(&b) && fd != -1)
		close(fd);
	buf_release(&b);
	if (r == -1) {
		struct flight f;

		(void)flight_end(q, q->store, ticket, &f);
		put_off(q, m, l, "the store does not take it");
	}
	return true;
}

/* DISCARD and REJECT need nobody else. */
static void
do_local(struct queue *q, struct message *m, struct leg *l)
{
	const uint8_t *status = message_status(m);
	struct stored s;
	struct plan p;
	struct fate *o;
	struct err err;
	size_t n = 0;

	arena_reset(q->work);
	arena_reset(q->scratch);
	if (queue_plan(q, m, q->work, &s, &p, &err) == -1) {
		put_off(q, m, l, err.text);
		return;
	}
	o = arena_array(q->work, p.ntargets, sizeof(*o));
	for (size_t i = 0; i < p.ntargets; i++) {
		struct span reply = s.decisions[p.targets[i].recipient].reply;
		size_t sp = span_find(reply, ' ');

		if (p.targets[i].leg != l->index || status[i] != TARGET_PENDING)
			continue;
		o[n] = (struct fate){ .target = (uint16_t)i, .relay = SPAN_LIT("none") };
		if (l->kind == LEG_REFUSE) {
			o[n].status = TARGET_REFUSED;
			o[n].dsn = sp < reply.n ? span_sub(reply, 0, sp) : SPAN_LIT("5.7.1");
			o[n].reply = sp < reply.n ? span_from(reply, sp + 1) : reply;
		} else {
			o[n].status = TARGET_DISCARDED;
			o[n].dsn = SPAN_LIT("2.0.0");
			o[n].reply = SPAN_LIT("discarded by policy");
		}
		n++;
	}
	schedule_done(q->inner, &l->job, FAIL_NONE);
	queue_settle(q, m, l, &s, &p, o, n);
}

void
queue_dispatch(struct queue *q)
{
	int64_t until = clock_mono() + DISPATCH_US;
	struct job *j;

	q->more = false;
	if (q->rt->retiring)
		return;
	while ((j = schedule_take(q->inner)) != NULL) {
		struct leg *l = leg_of_job(j);
		struct message *m = message_of_leg(l);

		if (l->kind != LEG_KEEP)
			do_local(q, m, l);
		else if (!send_keep(q, m, l))
			break;
	}
	if (q->ndelivery == 0)
		return;
	/* With a million messages waiting there are thousands to hand out at once. */
	while ((q->more = clock_mono() >= until) == false && (j = schedule_take(q->out)) != NULL) {
		struct leg *l = leg_of_job(j);

		if (!send_deliver(q, message_of_leg(l), l))
			break;
	}
}

/* ---- back ---- */

/* When every recipient that is put off is so for the site's sake, the site is to blame. */
static enum fail_class
blame(const struct msg_result *r)
{
	enum fail_class cls = FAIL_NONE;

	for (size_t i = 0; i < r->nrcpts; i++) {
		enum fail_class c = r->rcpts[i].cls;

		if (r->rcpts[i].status != RCPT_DEFERRED || c == FAIL_RECIPIENT ||
		    c == FAIL_MESSAGE || c == FAIL_NONE)
			return FAIL_NONE;
		cls = c;
	}
	return cls;
}

static int
fates_of(struct queue *q, struct message *m, struct leg *l, const struct plan *p,
    const struct msg_result *r, struct fate *o)
{
	static const enum target_status as[] = { [RCPT_SENT] = TARGET_SENT,
		[RCPT_DEFERRED] = TARGET_PENDING, [RCPT_FAILED] = TARGET_FAILED };
	const uint8_t *status = message_status(m);

	for (size_t i = 0; i < r->nrcpts; i++) {
		const struct rcpt_result *x = &r->rcpts[i];

		if (x->index >= p->ntargets || p->targets[x->index].leg != l->index ||
		    status[x->index] != TARGET_PENDING)
			return -1;
		for (size_t k = 0; k < i && r->nrcpts <= 64; k++)
			if (o[k].target == x->index)
				return -1;
		o[i] = (struct fate){ .target = x->index, .status = as[x->status],
			.cls = x->cls, .dsn = x->dsn, .reply = x->reply, .relay = x->relay,
			.remote = x->remote, .tls = x->tls,
			.relayed = x->status == RCPT_SENT && !x->notifies };
	}
	return 0;
}

int
queue_result(struct queue *q, struct link *from, struct frame *f)
{
	struct msg_result r;
	struct flight fl;
	struct message *m;
	struct leg *l;
	struct stored s;
	struct plan p;
	struct fate *o;
	struct err err;

	if (result_decode(f->body, f->fd, q->scratch, &r) == -1)
		return -1;
	if (!flight_end(q, from, f->ticket, &fl))
		return 0;		/* late */
	m = queue_find(q, fl.id);
	ASSERT(m != NULL);
	l = &m->legs[fl.leg];
	if (r.handed_back || r.id != fl.id) {
		if (r.handed_back)
			link_set_data(from, q);		/* on its way out: no more for it */
		schedule_return(q->out, &l->job);
		return r.handed_back ? 0 : -1;
	}
	if (r.postponed) {
		schedule_postpone(q->out, &l->job, clock_real() + r.postponed);
		return 0;
	}
	if (queue_plan(q, m, q->scratch, &s, &p, &err) == -1) {
		put_off(q, m, l, err.text);
		return 0;
	}
	o = arena_array(q->scratch, r.nrcpts, sizeof(*o));
	if (fates_of(q, m, l, &p, &r, o) == -1) {
		schedule_return(q->out, &l->job);
		return -1;
	}
	/* The node that takes over refuses for good? Then it is not as it should be, and
	 * nobody's mail is to bounce for it. */
	for (size_t i = 0; q->drain.n > 0 && span_eq(schedule_job_site(&l->job), q->drain) &&
	    i < r.nrcpts; i++)
		if (o[i].status == TARGET_FAILED) {
			o[i].status = TARGET_PENDING;
			o[i].cls = r.rcpts[i].cls = FAIL_SITE;
			r.rcpts[i].status = RCPT_DEFERRED;
		}
	l->attempts++;
	schedule_done(q->out, &l->job, blame(&r));
	queue_settle(q, m, l, &s, &p, o, r.nrcpts);
	return 0;
}

int
queue_kept(struct queue *q, struct link *from, struct frame *f)
{
	struct msg_kept k;
	struct flight fl;
	struct message *m;
	struct leg *l;
	struct stored s;
	struct plan p;
	struct fate *o;
	struct err err = { 0 };
	size_t n = 0;

	if (kept_decode(f->body, f->fd, q->scratch, &k) == -1)
		return -1;
	if (!flight_end(q, from, f->ticket, &fl))
		return 0;
	m = queue_find(q, fl.id);
	ASSERT(m != NULL);
	l = &m->legs[fl.leg];
	if (!k.ok || queue_plan(q, m, q->scratch, &s, &p, &err) == -1) {
		char why[256];

		snprintf(why, sizeof(why), "the store did not keep it: " SPAN_FMT,
		    SPAN_ARG(k.ok ? span_str(err.text) : k.text));
		put_off(q, m, l, why);
		return 0;
	}
	o = arena_array(q->scratch, p.ntargets, sizeof(*o));
	for (size_t i = 0; i < p.ntargets; i++)
		if (p.targets[i].leg == l->index && message_status(m)[i] == TARGET_PENDING)
			o[n++] = (struct fate){ .target = (uint16_t)i, .status = TARGET_KEPT,
				.dsn = SPAN_LIT("2.0.0"), .relay = SPAN_LIT("none"),
				.reply = s.decisions[p.legs[l->index].decision].queue };
	schedule_done(q->inner, &l->job, FAIL_NONE);
	queue_settle(q, m, l, &s, &p, o, n);
	return 0;
}

/* Whether the remote server had taken it nobody knows any more: people are told. */
static void
cut_off(struct queue *q, struct message *m, struct leg *l)
{
	struct msg_event ev = { .kind = EVENT_DEFERRED, .id = m->item.id, .time = clock_real(),
		.size = m->size, .relay = SPAN_LIT("none"), .dsn = SPAN_LIT("4.3.0"),
		.reply = SPAN_LIT("its delivery was cut off by a crash; it may be delivered twice") };

	l->cut_off = true;
	log_msg(LOG_LVL_WARN, m->item.id, "delivery to " SPAN_FMT " was cut off by a crash; it may be "
	    "delivered twice", SPAN_ARG(schedule_job_site(&l->job)));
	queue_event(q, &ev);
}

void
queue_link_lost(struct queue *q, struct link *l)
{
	size_t at = 0, n = 0;
	uint64_t ticket;
	void *v;

	while (idtable_next(q->flights, &at, &ticket, &v)) {
		struct flight *f = v, was;
		struct message *m;
		struct leg *leg;

		if (f->to != l || !flight_end(q, l, ticket, &was))
			continue;
		n++;
		m = queue_find(q, was.id);
		ASSERT(m != NULL);
		leg = &m->legs[was.leg];
		if (leg->kind == LEG_DELIVER)
			cut_off(q, m, leg);
		schedule_return(queue_schedule_of(q, leg), &leg->job);
	}
	if (n > 0)
		log_warn("%s process %u is gone; %zu jobs return to the schedule%s",
		    role_name(link_peer(l)), link_instance(l), n,
		    link_peer(l) == ROLE_DELIVERY ? "; they may be delivered twice" : "");
}
