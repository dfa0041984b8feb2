/* queue_control.c -- the operator's hand.
 *
 * Requests are JSON objects, answers JSON lines with "v":1:
 *
 *	{"cmd":"queue.summary"}
 *	{"cmd":"queue.list", "by":"site|sender|reason", "limit":N}   without by: messages
 *	{"cmd":"queue.show", SELECTOR}
 *	{"cmd":"queue.retry|hold|release|fail", SELECTOR, "count":true, "silent":true}
 *	{"cmd":"queue.reroute", SELECTOR, "to":"relay.example.net:25|[192.0.2.1]:25|default"}
 *	{"cmd":"queue.drain", "selector":"all", "to":"host:port|off"}
 *	{"cmd":"queue.pause|resume", "site":"example.net"}
 *
 * SELECTOR is "id":ID, "site":S, "sender":A, or "selector":"all", an ID, an address (it has
 * an @, or is <>) or a site. "count" only says how many it would be; "silent"
 * fails without a notice to the sender. A pause holds jobs back without
 * counting attempts. Every act is journalled with the uid that asked for it.
 *
 * Acts on many messages are done step by step, mail in between, and answered
 * when they are done; what came in after their beginning is not touched.
 */
#include <event2/event.h>
#include <stdlib.h>

#include "addr.h"
#include "clock.h"
#include "ipc/json_read.h"
#include "queue/queue_show.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 100000
/* An act on many works this long, then rests as long: acceptance goes on beside it. */
#define STEP_US 5000
#define STEP_PAUSE_US 1000
#define STEP_MAX 2000

struct asked {
	struct queue *q;
	const struct jval *req;
	uint32_t uid;
	struct buf *out;
	struct span to;			/* of a reroute: "host:port", or empty */
	/* What a walk takes over, and sets to NULL here. */
	struct jval **owned;
	struct reply **reply;
};

/* ---- words of a request ---- */

static size_t
limit_of(const struct jval *req)
{
	int64_t n = jval_int(req, "limit", LIMIT_DEFAULT);

	return n <= 0 ? LIMIT_DEFAULT : n > LIMIT_MAX ? LIMIT_MAX : (size_t)n;
}

static void
say_error(struct asked *k, const char *text)
{
	struct json j;

	json_begin(&j, k->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "error", text);
	json_end_object(&j);
	buf_putc(k->out, '\n');
}

struct selector {
	bool all;
	uint64_t id;
	struct span site, sender;
	bool by_sender;
};

static bool
selector_of(const struct jval *req, struct selector *s)
{
	struct span any = jval_text(req, "selector"), id = jval_text(req, "id");

	*s = (struct selector){ .site = jval_text(req, "site"), .sender = jval_text(req, "sender") };
	s->by_sender = jval_has(req, "sender");
	if (id.n)
		return id_parse(id, &s->id);
	if (s->site.n || s->by_sender)
		return true;
	if (any.n == 0)
		return false;
	if (span_is(any, "all"))
		s->all = true;
	else if (id_parse(any, &s->id))
		;
	else if (span_is(any, "<>"))
		s->by_sender = true;
	else if (span_find(any, '@') < any.n)
		s->sender = any, s->by_sender = true;
	else
		s->site = any;
	return true;
}

static bool
selected(struct queue *q, const struct selector *s, struct message *m, struct arena *a)
{
	struct stored st;
	struct plan p;

	if (m->item.state != ITEM_LIVE)
		return false;
	if (s->all)
		return true;
	if (s->id)
		return m->item.id == s->id;
	arena_reset(a);
	if (s->by_sender)
		return spool_read(q->sp, &m->item, a, &st, NULL) == 0 &&
		    span_eq_nocase(st.env.sender, s->sender);
	for (size_t i = 0; i < m->nlegs; i++)
		if (m->legs[i].job.site != NULL && m->legs[i].kind == LEG_DELIVER &&
		    span_eq_nocase(schedule_job_site(&m->legs[i].job), s->site))
			return true;
	/* Held messages are in no site's line. */
	if (!(m->flags & STATE_HELD) || queue_plan(q, m, a, &st, &p, NULL) == -1)
		return false;
	for (size_t i = 0; i < p.nlegs; i++)
		if (p.legs[i].kind == LEG_DELIVER && span_eq_nocase(p.legs[i].site, s->site))
			return true;
	return false;
}

/* The ids first: acting may add messages, and free some. */
static uint64_t *
select_all(struct queue *q, const struct selector *s, size_t *n)
{
	struct arena *a = arena_new(0);
	struct spool_item *it;
	uint64_t *ids;
	size_t at = 0, max;
	struct spool_stats st;

	spool_stats(q->sp, &st);
	max = s->id ? 1 : (size_t)st.messages;
	ids = calloc(max + 1, sizeof(*ids));
	ASSERT(ids != NULL);
	*n = 0;
	if (s->id) {
		struct message *m = queue_find(q, s->id);

		if (m != NULL && selected(q, s, m, a))
			ids[(*n)++] = s->id;
	} else
		while (*n < max && (it = spool_next(q->sp, &at)) != NULL)
			if (selected(q, s, message_of_item(it), a))
				ids[(*n)++] = it->id;
	arena_free(&a);
	return ids;
}

/* ---- acts on one message ---- */

typedef bool act_fn(struct asked *k, struct message *m);

static bool
act_retry(struct asked *k, struct message *m)
{
	bool any = false;

	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];
		struct schedule *s = queue_schedule_of(k->q, l);

		if (l->job.state != JOB_WAITING && l->job.state != JOB_READY)
			continue;
		schedule_wake_site(s, schedule_job_site(&l->job));
		schedule_hurry(s, &l->job);
		any = true;
	}
	return any;
}

static bool
flag_set(struct asked *k, struct message *m, uint8_t flags)
{
	struct queue *q = k->q;
	struct stored s;
	struct plan p;

	arena_reset(q->work);
	if (queue_plan(q, m, q->work, &s, &p, NULL) == -1)
		return false;
	m->flags = flags;
	queue_remember(q, m, &m->legs[0], &p, NULL, 0);
	if (!(flags & STATE_HELD))
		queue_schedule_all(q, m, &p);
	return true;
}

static bool
act_hold(struct asked *k, struct message *m)
{
	if (m->flags & STATE_HELD)
		return false;
	for (size_t i = 0; i < m->nlegs; i++) {
		int64_t next = m->legs[i].job.node.when;

		queue_unschedule(k->q, &m->legs[i]);
		m->legs[i].job.node.when = next;
	}
	return flag_set(k, m, m->flags | STATE_HELD);
}

static bool
act_release(struct asked *k, struct message *m)
{
	return (m->flags & STATE_HELD) && flag_set(k, m, m->flags & (uint8_t)~STATE_HELD);
}

static bool
act_fail(struct asked *k, struct message *m)
{
	struct queue *q = k->q;
	bool silent = jval_bool(k->req, "silent"), any = false;
	struct stored s;
	struct plan p;

	arena_reset(q->work);
	arena_reset(q->scratch);
	if (queue_plan(q, m, q->work, &s, &p, NULL) == -1)
		return false;
	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];
		struct fate *o = arena_array(q->work, p.ntargets, sizeof(*o));
		size_t n = 0;

		/* What is out at this moment may be delivered at this moment. */
		if (l->kind != LEG_DELIVER || l->job.state == JOB_OUT || l->settling)
			continue;
		for (size_t t = 0; t < p.ntargets; t++)
			if (p.targets[t].leg == l->index &&
			    message_status(m)[t] == TARGET_PENDING)
				o[n++] = (struct fate){ .target = (uint16_t)t,
					.status = silent ? TARGET_DROPPED : TARGET_FAILED,
					.cls = FAIL_LOCAL, .dsn = SPAN_LIT("5.7.0"),
					.relay = SPAN_LIT("none"),
					.reply = SPAN_LIT("given up by the postmaster") };
		if (n == 0)
			continue;
		queue_unschedule(q, l);
		queue_settle(q, m, l, &s, &p, o, n);
		any = true;
	}
	return any;
}

/* Out of the line it waits in, into the one where it belongs now, at once. */
static bool
leg_moves(struct queue *q, struct message *m, struct leg *l, const struct plan *p)
{
	if (l->kind != LEG_DELIVER || l->job.state == JOB_OUT || l->settling ||
	    !leg_pending(m, p, l))
		return false;
	queue_unschedule(q, l);
	l->job.node.when = clock_real();
	return true;
}

/* The route is durable with the next sync; until then a crash would lead to the old one. */
static bool
act_reroute(struct asked *k, struct message *m)
{
	struct queue *q = k->q;
	struct span to = k->to;
	struct stored s;
	struct plan p;
	bool any = false;

	arena_reset(q->work);
	if (queue_plan(q, m, q->work, &s, &p, NULL) == -1)
		return false;
	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];

		if (!leg_moves(q, m, l, &p))
			continue;
		queue_remember_route(q, m, l, &p, to);
		if (!(m->flags & STATE_HELD))
			schedule_add(q->out, &l->job, q->drain.n ? q->drain : to.n ? to :
			    p.legs[i].site, l->job.node.when);
		any = true;
	}
	return any;
}

/* To the node that takes over, or back; nothing is written: a restart ends a drain. */
static bool
act_drain(struct asked *k, struct message *m)
{
	struct queue *q = k->q;
	struct stored s;
	struct plan p;
	bool any = false;

	arena_reset(q->work);
	if ((m->flags & STATE_HELD) || queue_plan(q, m, q->work, &s, &p, NULL) == -1)
		return false;
	for (size_t i = 0; i < m->nlegs; i++) {
		struct leg *l = &m->legs[i];

		if (!leg_moves(q, m, l, &p))
			continue;
		schedule_add(q->out, &l->job, queue_site(q, l, &p, q->work), l->job.node.when);
		any = true;
	}
	return any;
}

static void
journal(struct asked *k, const char *verb, uint64_t id, struct span what, size_t n)
{
	char by[32], text[600];
	struct msg_event ev = { .kind = EVENT_OPERATOR, .id = id, .time = clock_real() };

	snprintf(by, sizeof(by), "uid %u", k->uid);
	snprintf(text, sizeof(text), "%s " SPAN_FMT ": %zu", verb, SPAN_ARG(span_sub(what, 0, 400)),
	    n);
	ev.by = span_str(by);
	ev.reply = span_str(text);
	log_msg(LOG_LVL_INFO, id, "operator %s: %s", by, text);
	queue_event(k->q, &ev);
}

/* ---- acts on many, step by step ---- */

struct walk {
	struct asked k;			/* its own request */
	struct jval *own;
	struct reply *reply;
	struct selector sel;
	char to[300];
	const char *verb;
	act_fn *fn;
	uint64_t *ids;			/* all there were at its beginning */
	size_t n, at, matched, done;
	struct arena *a;
	struct event *step;
	struct walk *next;
};

static void
walk_end(struct walk *w, const char *error)
{
	struct span what = jval_text(w->k.req, "selector");
	struct queue *q = w->k.q;
	struct json j;

	for (struct walk **p = &q->walks; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			break;
		}
	if (what.n == 0)
		what = w->sel.site.n ? w->sel.site : w->sel.by_sender ? w->sel.sender :
		    jval_text(w->k.req, "id");
	if (w->done > 0)
		journal(&w->k, w->verb, w->sel.id, what, w->done);
	json_begin(&j, w->k.out);
	json_object(&j);
	json_kint(&j, "v", 1);
	if (error)
		json_kcstr(&j, "error", error);
	json_kcstr(&j, "act", w->verb);
	json_kuint(&j, "matched", w->matched);
	json_kuint(&j, "done", w->done);
	json_end_object(&j);
	buf_putc(w->k.out, '\n');
	reply_end(&w->reply);
	if (w->step)
		event_free(w->step);
	jval_free(&w->own);
	arena_free(&w->a);
	free(w->ids);
	free(w);
}

/* Some milliseconds of it, then mail has its turn. */
static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = { 0, STEP_PAUSE_US };
	struct walk *w = arg;
	struct queue *q = w->k.q;
	int64_t until = clock_mono() + STEP_US;
	bool counting = jval_bool(w->k.req, "count");

	for (size_t k = 0; w->at < w->n && k < STEP_MAX && (k % 16 != 0 || clock_mono() < until); k++) {
		struct message *m = queue_find(q, w->ids[w->at++]);

		if (m == NULL || !selected(q, &w->sel, m, w->a))
			continue;
		w->matched++;
		if (!counting && w->fn(&w->k, m))
			w->done++;
	}
	queue_turn(q);
	if (w->at == w->n)
		walk_end(w, NULL);
	else
		evtimer_add(w->step, &soon);
}

void
queue_walks_end(struct queue *q)
{
	while (q->walks)
		walk_end(q->walks, "the queue is stopping: not all were reached");
}

static void
act(struct asked *k, const char *verb, act_fn *fn)
{
	struct walk *w;
	struct selector sel;
	struct spool_stats st;
	struct spool_item *it;
	size_t at = 0;

	if (!selector_of(k->req, &sel)) {
		say_error(k, "which messages? an id, a site, a sender, or all");
		return;
	}
	w = calloc(1, sizeof(*w));
	ASSERT(w != NULL);
	/* The request and the answer go with it. */
	w->k = *k;
	w->own = *k->owned;
	*k->owned = NULL;
	w->reply = *k->reply;
	*k->reply = NULL;
	w->k.to = span_make(w->to, k->to.n < sizeof(w->to) ? k->to.n : 0);
	if (w->k.to.n)
		memcpy(w->to, k->to.p, w->k.to.n);
	w->sel = sel;
	w->verb = verb;
	w->fn = fn;
	w->a = arena_new(0);
	w->step = evtimer_new(k->q->rt->base, on_step, w);
	spool_stats(k->q->sp, &st);
	w->ids = calloc((sel.id ? 1 : st.messages) + 1, sizeof(*w->ids));
	ASSERT(w->ids != NULL && w->step != NULL);
	if (sel.id)
		w->ids[w->n++] = sel.id;
	/* The ids first: acting may add messages, and free some. */
	while (!sel.id && w->n < st.messages && (it = spool_next(k->q->sp, &at)) != NULL)
		w->ids[w->n++] = it->id;
	w->next = k->q->walks;
	k->q->walks = w;
	on_step(-1, 0, w);
}

/* ---- commands ---- */

static void
cmd_summary(struct asked *k)
{
	struct json j;

	json_begin(&j, k->out);
	queue_show_summary(&j, k->q);
	buf_putc(k->out, '\n');
}

static void
cmd_list(struct asked *k)
{
	struct span by = jval_text(k->req, "by");
	size_t limit = limit_of(k->req), at = 0;
	struct site_info site;
	struct spool_item *it;
	struct json j;

	if (span_is(by, "sender") || span_is(by, "reason")) {
		queue_show_groups(k->out, k->q, span_is(by, "sender"), limit);
		return;
	}
	if (span_is(by, "site")) {
		while (limit > 0 && schedule_each_site(k->q->out, &at, &site)) {
			json_begin(&j, k->out);
			queue_show_site(&j, &site);
			buf_putc(k->out, '\n');
			limit--;
		}
		return;
	}
	if (by.n) {
		say_error(k, "by site, sender or reason");
		return;
	}
	while (limit > 0 && (it = spool_next(k->q->sp, &at)) != NULL) {
		if (it->state != ITEM_LIVE)
			continue;
		json_begin(&j, k->out);
		queue_show_message(&j, k->q, message_of_item(it), false);
		buf_putc(k->out, '\n');
		limit--;
	}
}

static void
cmd_show(struct asked *k)
{
	size_t n, limit = limit_of(k->req);
	struct selector sel;
	struct json j;
	uint64_t *ids;

	if (!selector_of(k->req, &sel)) {
		say_error(k, "which message?");
		return;
	}
	ids = select_all(k->q, &sel, &n);
	for (size_t i = 0; i < n && i < limit; i++) {
		struct message *m = queue_find(k->q, ids[i]);

		json_begin(&j, k->out);
		queue_show_message(&j, k->q, m, true);
		buf_putc(k->out, '\n');
	}
	if (n == 0)
		say_error(k, "no such message in the queue");
	free(ids);
}

static void
cmd_retry(struct asked *k)
{
	act(k, "retry", act_retry);
}

static void
cmd_hold(struct asked *k)
{
	act(k, "hold", act_hold);
}

static void
cmd_release(struct asked *k)
{
	act(k, "release", act_release);
}

static void
cmd_fail(struct asked *k)
{
	act(k, "fail", act_fail);
}

/* "host:port" in one way of writing, with its port always there. false: it is none. */
static bool
hop_of(struct asked *k, struct arena *a, struct span text, struct span *hop)
{
	struct span host, name;
	struct ip ip;
	uint16_t port;
	struct err err;
	char ip_text[IP_TEXT_MAX];

	if (hostport_parse(text, 25, &host, &port, &err) == -1) {
		say_error(k, err.text);
		return false;
	}
	if (ip_parse(host, &ip))
		*hop = span_str(arena_printf(a, "[%s]:%u", ip_format(ip, ip_text), port));
	else if (domain_normalise(a, host, &name))
		*hop = span_str(arena_printf(a, SPAN_FMT ":%u", SPAN_ARG(name), port));
	else {
		say_error(k, "a host, or host:port");
		return false;
	}
	return true;
}

static void
cmd_reroute(struct asked *k)
{
	struct arena *a = arena_new(0);
	struct span to = jval_text(k->req, "to");

	k->to = (struct span){ 0 };
	if (span_is(to, "default") || hop_of(k, a, to, &k->to))
		act(k, "reroute", act_reroute);
	arena_free(&a);
}

static void
cmd_drain(struct asked *k)
{
	struct arena *a = arena_new(0);
	struct span to = jval_text(k->req, "to"), hop = { 0 };
	struct queue *q = k->q;
	bool off = span_is(to, "off");

	if ((off || hop_of(k, a, to, &hop)) && hop.n < sizeof(q->drain_text)) {
		if (hop.n)
			memcpy(q->drain_text, hop.p, hop.n);
		q->drain = span_make(q->drain_text, hop.n);
		log_info("operator uid %u: %s " SPAN_FMT, k->uid, off ? "drain off" :
		    "the queue is handed over to", SPAN_ARG(hop));
		act(k, "drain", act_drain);
	}
	arena_free(&a);
}

/* The list of paused sites is written as a whole and outlives a restart. */
static void
pause_or_resume(struct asked *k, bool pause)
{
	struct arena *a = arena_new(0);
	struct queue *q = k->q;
	struct span site = jval_text(k->req, "site"), *names;
	struct site_info info;
	struct json j;
	size_t at = 0, n = 0;

	if (site.n == 0)
		site = jval_text(k->req, "selector");
	if (site.n == 0 || !domain_normalise(a, site, &site)) {
		say_error(k, "which site?");
		arena_free(&a);
		return;
	}
	schedule_pause(q->out, site, pause);
	names = arena_array(a, schedule_sites(q->out), sizeof(*names));
	while (schedule_each_site(q->out, &at, &info))
		if (info.paused)
			names[n++] = info.name;
	spool_paused(q->sp, names, n);
	journal(k, pause ? "pause" : "resume", 0, site, 1);
	json_begin(&j, k->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "site", site);
	json_kbool(&j, "paused", pause);
	json_end_object(&j);
	buf_putc(k->out, '\n');
	arena_free(&a);
}

static void
cmd_pause(struct asked *k)
{
	pause_or_resume(k, true);
}

static void
cmd_resume(struct asked *k)
{
	pause_or_resume(k, false);
}

static const struct { const char *name; void (*fn)(struct asked *k); } commands[] = {
	{ "queue", cmd_list }, { "queue.list", cmd_list }, { "queue.summary", cmd_summary },
	{ "queue.show", cmd_show }, { "queue.retry", cmd_retry }, { "queue.hold", cmd_hold },
	{ "queue.release", cmd_release }, { "queue.fail", cmd_fail },
	{ "queue.reroute", cmd_reroute }, { "queue.drain", cmd_drain },
	{ "queue.pause", cmd_pause }, { "queue.resume", cmd_resume },
};

void
queue_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	struct queue *q = rt->state;
	struct reply *r = reply_new(rt, fd);
	struct err err;
	struct jval *req = jval_parse(request, &err);
	struct asked k = { .q = q, .req = req, .uid = uid, .out = reply_buf(r), .owned = &req,
		.reply = &r };
	struct span cmd = jval_text(req, "cmd");
	size_t i, n = sizeof(commands) / sizeof(commands[0]);

	for (i = 0; i < n && !span_is(cmd, commands[i].name); i++)
		;
	/* What is shown is read from the disk: let it be there. */
	if (q != NULL && !q->finishing && spool_dirty(q->sp))
		queue_sync(q);
	if (req == NULL || q == NULL || q->finishing)
		say_error(&k, req == NULL ? err.text : "the queue is stopping");
	else if (i == n)
		say_error(&k, "no such command");
	else
		commands[i].fn(&k);
	jval_free(&req);
	reply_end(&r);
	if (q != NULL)
		queue_turn(q);
}
