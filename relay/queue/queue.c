/* queue.c -- the queue role: the only one that may say "accepted".
 *
 * A turn of the loop reads frames, which only change memory and buffer
 * records; at its end come one sync, the answers, and new jobs for the
 * deliveries. So one fdatasync serves everything that arrived while the last
 * one ran, and nothing is answered before it. Before it syncs, a turn lets those
 * run that wait for a processor: what they bring rides along. A turn without new messages
 * syncs its states a moment later (LAZY): that moment is the window in which a
 * crash leads to a second delivery. DONE of what is recorded already may wait longer.
 *
 * The queue never waits for the store: what is to be kept goes there when it is
 * up, events are held until it confirms them.
 */
#include <event2/event.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "ipc/ticket.h"
#include "master/identity.h"
#include "queue/queue.h"

#define LAZY_US 20000
#define DONE_US 500000		/* for the DONE of a message whose end is recorded already */
#define IDLE_US (5 * US_PER_SEC)
#define COMPACT_STEP ((size_t)1 << 20)
#define COMPACT_PAUSE_US 50000
#define RETIRE_US (8 * US_PER_SEC)
#define EVENTS_US (2 * US_PER_SEC)	/* for the store to confirm, when retiring */
#define BROKEN_US US_PER_SEC
#define STORE_WINDOW 64

static struct queue *
queue_of(struct runtime *rt)
{
	return rt->state;
}

static struct timeval
timeval_of(int64_t us)
{
	if (us < 0)
		us = 0;
	return (struct timeval){ .tv_sec = us / US_PER_SEC, .tv_usec = us % US_PER_SEC };
}

uint64_t
queue_new_id(struct queue *q)
{
	return id_new(&q->ids, clock_real());
}

struct message *
queue_find(struct queue *q, uint64_t id)
{
	struct spool_item *it = spool_find(q->sp, id);

	return it ? message_of_item(it) : NULL;
}

int
queue_plan(struct queue *q, const struct message *m, struct arena *a, struct stored *s,
    struct plan *p, struct err *err)
{
	if (spool_read(q->sp, &m->item, a, s, err) == -1)
		return -1;
	if (plan_make(a, s, q->rt->conf->hostname, p) == -1 || p->ntargets != m->ntargets ||
	    p->nlegs != m->nlegs)
		return err_set(err, 0, "what is stored does not fit what is queued");
	return 0;
}

/* ---- what the spool tells ---- */

static struct spool_item *
on_recover(void *ctx, uint64_t id, const struct stored *s)
{
	struct queue *q = ctx;
	struct plan p;
	struct message *m;

	arena_reset(q->scratch);
	if (plan_make(q->scratch, s, q->rt->conf->hostname, &p) == -1)
		return NULL;
	m = queued_new(s, &p);
	queue_took(q, m);
	counter_add(COUNTER_QUEUED, 1);
	/* Where it goes is known now and would have to be read again later. One that is adopted
	 * waits until its state has been read too. */
	if (q->sp == NULL)
		queue_schedule_all(q, m, &p);
	else
		queue_adopted(q, id);
	return &m->item;
}

/* It waits in another line from here on. */
static void
reroute_leg(struct queue *q, const struct spool *sp, struct spool_item *it, struct leg *l,
    const struct state *st)
{
	struct arena *a = arena_new(0);
	struct span site = st->route;
	struct stored s;
	struct plan p;

	l->rerouted = site.n > 0;
	if (site.n == 0 && spool_read(sp, it, a, &s, NULL) == 0 &&
	    plan_make(a, &s, q->rt->conf->hostname, &p) == 0 && l->index < p.nlegs)
		site = p.legs[l->index].site;
	if (l->kind == LEG_DELIVER && l->job.state != JOB_IDLE && site.n > 0) {
		schedule_remove(q->out, &l->job);
		schedule_add(q->out, &l->job, site, st->next);
	}
	arena_free(&a);
}

static struct spool_pos *
on_recover_state(void *ctx, const struct spool *sp, struct spool_item *it, uint8_t flags,
    const struct state *st)
{
	struct queue *q = ctx;
	struct message *m = message_of_item(it);
	uint8_t *status = message_status(m);
	struct leg *leg = NULL;
	bool pending = false;
	struct stored s;
	struct plan p;

	queue_flags(q, m, flags);
	if (st->since > 0 && st->since != m->since) {
		queue_gave(q, m);
		m->since = st->since;
		queue_took(q, m);
	}
	if (st->ntargets == 0 || st->targets[0].target >= m->ntargets)
		return NULL;
	if (m->nlegs == 1)
		leg = &m->legs[0];
	else {
		/* Which leg a target belongs to stands in the message. */
		arena_reset(q->scratch);
		if (spool_read(sp, it, q->scratch, &s, NULL) == -1 ||
		    plan_make(q->scratch, &s, q->rt->conf->hostname, &p) == -1 ||
		    p.ntargets != m->ntargets || p.nlegs != m->nlegs)
			return NULL;
		leg = &m->legs[p.targets[st->targets[0].target].leg];
	}
	for (size_t i = 0; i < st->ntargets; i++)
		if (st->targets[i].target < m->ntargets)
			status[st->targets[i].target] = (uint8_t)st->targets[i].status;
	for (size_t i = 0; i < st->ntargets; i++)
		pending = pending || st->targets[i].status == TARGET_PENDING;
	leg->attempts = st->attempts;
	queue_leg_read(leg, st);
	if (st->route.n > 0 || leg->rerouted)
		reroute_leg(q, sp, it, leg, st);
	if (leg->job.state == JOB_IDLE)
		leg->job.node.when = st->next;
	else if (pending)
		schedule_move(queue_schedule_of(q, leg), &leg->job, st->next);
	else
		queue_unschedule(q, leg);
	queue_live(q, m);
	return &leg->at;
}

static void
on_gone(void *ctx, struct spool_item *it)
{
	struct queue *q = ctx;
	struct message *m = message_of_item(it);

	for (size_t i = 0; i < m->nlegs; i++)
		queue_unschedule(q, &m->legs[i]);
	if (m->life.next != NULL)
		wheel_remove(&q->lives, &m->life);
	counter_add(COUNTER_QUEUED, -1);
	if (q->sp != NULL)	/* not while replaying */
		log_later(m->item.id, "removed");
	queue_gave(q, m);
	queued_free(&m);
}

static struct spool_pos *
on_position(void *ctx, struct spool_item *it, size_t i)
{
	struct message *m = message_of_item(it);

	return i < m->nlegs ? &m->legs[i].at : NULL;
}

static uint8_t
on_flags(void *ctx, const struct spool_item *it)
{
	return ((const struct message *)it)->flags;
}

static void
on_paused(void *ctx, const struct span *sites, size_t n)
{
	struct queue *q = ctx;

	for (size_t i = 0; i < n; i++)
		schedule_pause(q->out, sites[i], true);
}

static void
announce(void *ctx, uint32_t number, int fd)
{
	struct link *l = ctx;
	struct msg_segment seg = { number };
	struct buf b;

	if ((fd = dup(fd)) == -1) {
		log_error("segment %u cannot be shown to %s", number, role_name(link_peer(l)));
		return;
	}
	buf_init(&b, FRAME_SMALL);
	segment_encode(&b, &seg);
	(void)link_send(l, FRAME_SEGMENT, 0, buf_data(&b), fd);
	buf_release(&b);
}

static void
on_segment_new(void *ctx, uint32_t number, int fd)
{
	struct queue *q = ctx;

	for (size_t i = 0; i < q->ndelivery; i++)
		announce(q->delivery[i], number, fd);
	if (q->store)
		announce(q->store, number, fd);
}

static void
drop(struct link *l, struct span body)
{
	(void)link_send(l, FRAME_SEGMENT_DROP, 0, body, -1);
}

static void
on_segment_gone(void *ctx, uint32_t number)
{
	struct queue *q = ctx;
	struct msg_segment seg = { number };
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	segment_encode(&b, &seg);
	for (size_t i = 0; i < q->ndelivery; i++)
		drop(q->delivery[i], buf_data(&b));
	if (q->store)
		drop(q->store, buf_data(&b));
	buf_release(&b);
}

static void
on_report(void *ctx, enum log_level level, uint64_t id, const char *text)
{
	log_msg(level, id, "%s", text);
}

const struct spool_ops queue_spool_ops = { on_recover, on_recover_state, on_gone, on_position,
	on_flags, on_paused, on_segment_new, on_segment_gone, on_report };

/* ---- turns ---- */

void
queue_turn(struct queue *q)
{
	if (q->turning || q->turn == NULL)
		return;
	q->turning = true;
	event_active(q->turn, EV_TIMEOUT, 0);
}

static void
finish_retiring(struct queue *q)
{
	int64_t left = q->retire_by - clock_mono();
	bool events = q->store && queue_events_waiting(q) > 0 && left > RETIRE_US - EVENTS_US;
	struct timeval tv = timeval_of(events ? left - (RETIRE_US - EVENTS_US) : left);

	if (left > 0 && (idtable_count(q->flights) > 0 || events)) {
		evtimer_add(q->idle, &tv);
		return;
	}
	if (idtable_count(q->flights) > 0)
		log_warn("%zu jobs are still out; they may be delivered twice",
		    idtable_count(q->flights));
	q->finishing = true;
	queue_walks_end(q);
	queue_adoptions_end(q);
	spool_close(&q->sp);
	runtime_finish(q->rt);
}

static void
arm_timer(struct queue *q)
{
	int64_t next = schedule_next(q->out), b = schedule_next(q->inner), c = wheel_next(&q->lives);
	struct timeval tv;

	next = b < next ? b : next;
	next = c < next ? c : next;
	if (q->more)
		next = 0;
	if (next == WHEEL_NEVER) {
		evtimer_del(q->timer);
		return;
	}
	/* Not at once even when it is overdue: what came in meanwhile goes first. */
	tv = timeval_of(next == 0 ? 0 : next - clock_real() + 1000);
	evtimer_add(q->timer, &tv);
}

/* Whoever could run now may have more for the same sync: it goes first. Where nobody waits for a processor this
 * takes no time; and a message that is alone, as the one before was, is not held up at all. */
static bool
gather(struct queue *q)
{
	q->gathering = !q->gathering && (q->nawaiting > 1 || q->batch > 1);
	if (q->gathering) {
		sched_yield();
		evtimer_add(q->gather, &(struct timeval){ 0 });	/* behind what they brought */
	}
	return q->gathering;
}

/* What only waits in memory is durable soon, also when no message comes to take it along. */
static void
arm_lazy(struct queue *q)
{
	struct timeval tv = timeval_of(queue_alarmed(q, ALARM_SPOOL) ? BROKEN_US :
	    q->soon ? LAZY_US : DONE_US);

	if (spool_dirty(q->sp) && (!evtimer_pending(q->lazy, NULL) || q->soon != q->lazy_soon)) {
		q->lazy_soon = q->soon;
		evtimer_add(q->lazy, &tv);
	}
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	int64_t now = clock_real();

	q->turning = false;
	if (q->finishing)
		return;
	if (q->nawaiting > 0) {
		if (gather(q))
			return;
		q->batch = q->nawaiting;
		queue_sync(q);
	}
	schedule_advance(q->out, now);
	schedule_advance(q->inner, now);
	queue_lives(q);
	queue_dispatch(q);
	/* What dispatch did for ourselves (notices) is new mail like any other. */
	if (q->nawaiting > 0)
		queue_turn(q);
	else
		arm_lazy(q);
	arm_timer(q);
	if (q->rt->retiring)
		finish_retiring(q);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	queue_turn(arg);
}

static void
on_lazy(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;

	if (!q->finishing && spool_dirty(q->sp)) {
		queue_sync(q);
		queue_turn(q);
	}
}

static void
on_idle(evutil_socket_t fd, short what, void *arg)
{
	struct queue *q = arg;
	struct timeval tv = timeval_of(IDLE_US);

	if (q->finishing)
		return;
	if (q->rt->retiring) {
		queue_turn(q);
		return;
	}
	queue_signing_over(q, false);
	(void)queue_has_room(q);
	queue_watch_disk(q);
	if (q->nawaiting > 0 || spool_compact(q->sp, COMPACT_STEP) || spool_free(q->sp))
		tv = timeval_of(COMPACT_PAUSE_US);
	evtimer_add(q->idle, &tv);
}

/* ---- the role ---- */

static int64_t
jitter(void *ctx, int64_t span)
{
	uint64_t r = 0;

	if (span <= 0 || getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return 0;
	return (int64_t)(r % (uint64_t)(2 * span + 1)) - span;
}

static void
configure(struct queue *q, struct schedule_conf *out)
{
	const struct conf_delivery *d = &q->rt->conf->delivery;

	*out = (struct schedule_conf){ .window = d->site_connections * 2, .total = 10000,
		.jitter = jitter };
	memcpy(out->retry, d->retry, sizeof(out->retry));
}

static int
queue_start(struct runtime *rt, struct err *err)
{
	int r;

	identity_files_as(rt->uid, rt->gid);
	r = spool_prepare(rt->conf->spool, rt->privileged ? rt->uid : (uid_t)-1, rt->gid, err);
	identity_files_root();
	if (r == -1)
		return -1;
	sandbox_allow_write(rt->conf->spool);
	return 0;
}

static int
queue_run(struct runtime *rt, struct err *err)
{
	static const int64_t inner_retry[] = { 10 * US_PER_SEC, 60 * US_PER_SEC };
	struct queue *q = calloc(1, sizeof(*q));
	struct schedule_conf out, inner = { .retry = { { inner_retry, 2 } },
		.window = STORE_WINDOW, .total = 4 * STORE_WINDOW };
	int64_t begun = clock_mono(), now = clock_real();
	struct timeval tv = timeval_of(IDLE_US);
	struct spool_stats st;
	struct spool_item *it;
	size_t at = 0;

	ASSERT(q != NULL);
	rt->state = q;
	q->rt = rt;
	q->ids.slot = runtime_id_slot(rt);
	q->scratch = arena_new(0);
	q->work = arena_new(0);
	q->flights = idtable_new();
	q->size.ages = idtable_new();
	q->events = events_new();
	q->signing = tickets_new();
	configure(q, &out);
	q->out = schedule_new(&out, now);
	q->inner = schedule_new(&inner, now);
	schedule_pause(q->inner, SPAN_LIT(STORE_SITE), true);
	wheel_init(&q->lives, now);
	counter_add(COUNTER_QUEUED, -(int64_t)counter_get(COUNTER_QUEUED));
	q->turn = event_new(rt->base, -1, 0, on_turn, q);
	q->timer = evtimer_new(rt->base, on_timer, q);
	q->lazy = evtimer_new(rt->base, on_lazy, q);
	q->gather = evtimer_new(rt->base, on_timer, q);
	q->idle = evtimer_new(rt->base, on_idle, q);
	ASSERT(q->turn && q->timer && q->lazy && q->gather && q->idle);
	if ((q->sp = spool_open(rt->conf->spool, &queue_spool_ops, q, err)) == NULL)
		return -1;
	/* 0: not configured, as in tests of other things. */
	if (rt->conf->queue.free > 0)
		spool_set_floor(q->sp, rt->conf->queue.free, SPOOL_FLOOR_INODES);
	if (rt->conf->queue.segment > 0)
		spool_set_segment_max(q->sp, rt->conf->queue.segment);
	while ((it = spool_next(q->sp, &at)) != NULL) {
		struct message *m = message_of_item(it);

		for (size_t i = 0; (m->flags & STATE_STILL) && i < m->nlegs; i++)
			queue_unschedule(q, &m->legs[i]);
		if (m->flags & STATE_OFFERED && !message_done(m))
			handover_found(q, it->id);
	}
	queue_retell(q);
	if (handover_open(q, err) == -1)
		return -1;
	spool_stats(q->sp, &st);
	log_info("spool %s: %llu messages in %llu segments, %llu records read in %.1f s, "
	    "%llu damaged", rt->conf->spool, (unsigned long long)st.messages,
	    (unsigned long long)st.segments, (unsigned long long)st.replayed,
	    (double)(clock_mono() - begun) / US_PER_SEC, (unsigned long long)st.damaged);
	if (st.cut_off > 0 && st.messages > 0)
		log_warn("the last run was cut off: what was being delivered at that moment may be "
		    "delivered twice");
	evtimer_add(q->idle, &tv);
	queue_turn(q);
	return 0;
}

static void
queue_peer_up(struct runtime *rt, struct link *l)
{
	struct queue *q = queue_of(rt);

	if (q->finishing)
		return;
	switch (link_peer(l)) {
	case ROLE_DELIVERY:
		if (q->ndelivery == QUEUE_LINKS_MAX) {
			log_error("more than %d delivery processes", QUEUE_LINKS_MAX);
			return;
		}
		q->delivery[q->ndelivery++] = l;
		spool_each_segment(q->sp, announce, l);
		break;
	case ROLE_STORE:
		q->store = l;
		spool_each_segment(q->sp, announce, l);
		schedule_pause(q->inner, SPAN_LIT(STORE_SITE), false);
		schedule_wake_site(q->inner, SPAN_LIT(STORE_SITE));
		queue_events_resend(q);
		break;
	case ROLE_SIGNER:
		q->signer = l;
		break;
	default:
		break;
	}
	queue_turn(q);
}

static void
queue_peer_down(struct runtime *rt, struct link *l)
{
	struct queue *q = queue_of(rt);

	for (size_t i = 0; i < q->ndelivery; i++)
		if (q->delivery[i] == l)
			q->delivery[i--] = q->delivery[--q->ndelivery];
	if (q->store == l) {
		q->store = NULL;
		schedule_pause(q->inner, SPAN_LIT(STORE_SITE), true);
	}
	queue_forget_link(q, l);
	if (q->signer == l) {
		q->signer = NULL;
		if (!q->finishing)
			queue_signing_over(q, true);
	}
	if (!q->finishing)
		queue_link_lost(q, l);
	queue_turn(q);
}

static int
queue_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct queue *q = queue_of(rt);
	int r;

	if (q->finishing)
		return 0;
	arena_reset(q->scratch);
	switch (f->type) {
	case FRAME_SUBMIT:
		r = queue_submit(q, l, f);
		break;
	case FRAME_RESULT:
		r = queue_result(q, l, f);
		break;
	case FRAME_KEPT:
		r = queue_kept(q, l, f);
		break;
	case FRAME_EVENT_ACK:
		r = queue_events_ack(q, f->ticket);
		break;
	case FRAME_SIGNED:
		r = queue_signed(q, f);
		break;
	default:
		r = -1;
	}
	queue_turn(q);
	return r;
}

static void
queue_retire(struct runtime *rt)
{
	struct queue *q = queue_of(rt);

	q->retire_by = clock_mono() + RETIRE_US;
	queue_turn(q);
}

static void
queue_reconfigured(struct runtime *rt)
{
	struct queue *q = queue_of(rt);
	struct schedule_conf out;

	q->ids.slot = runtime_id_slot(rt);
	configure(q, &out);
	schedule_configure(q->out, &out);
	spool_set_floor(q->sp, q->rt->conf->queue.free, SPOOL_FLOOR_INODES);
	if (q->rt->conf->queue.segment > 0)
		spool_set_segment_max(q->sp, q->rt->conf->queue.segment);
	(void)queue_has_room(q);
}

static const struct sandbox queue_sandbox = { SANDBOX_FILES_READ | SANDBOX_FILES_WRITE };

const struct role_ops queue_ops = { .role = ROLE_QUEUE, .sandbox = &queue_sandbox,
	.start = queue_start, .run = queue_run, .peer_up = queue_peer_up,
	.peer_down = queue_peer_down, .frame = queue_frame, .client = queue_client,
	.retire = queue_retire, .reconfigured = queue_reconfigured };
