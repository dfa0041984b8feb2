/* queue_control.c -- the operator's hand.
 *
 * Requests are JSON objects, answers JSON lines with "v":1:
 *
 *	{"cmd":"queue.summary"}
 *	{"cmd":"queue.list", "by":"site|sender|reason", "limit":N}   without by: messages
 *	{"cmd":"queue.show", SELECTOR, "limit":N}   a last line {"more":N} where not all are shown
 *	{"cmd":"queue.retry|hold|release|fail", SELECTOR, "count":true, "silent":true}
 *	{"cmd":"queue.reroute", SELECTOR, "to":"relay.example.net:25|[192.0.2.1]:25|default"}
 *	{"cmd":"queue.drain", "selector":"all", "to":"host:port|off"}
 *	{"cmd":"queue.pause|resume", "site":"example.net"}
 *	{"cmd":"queue.offer|handed|keep"}	of a hand-over to another node (queue_handover.c)
 *	{"cmd":"queue.reserve"}, {"cmd":"queue.adopt", "segment":N}   of an import (queue_adopt.c)
 *
 * SELECTOR is "selector":TEXT, see queue_select.h; or "id":ID, "site":S, "sender":A.
 * "count" only says how many it would be; "silent" fails without a notice to the
 * sender. A pause holds jobs back without counting attempts. Every act is
 * journalled with the uid that asked for it.
 *
 * Whatever looks at many messages is done step by step, mail in between, and
 * answered when it is done (queue_walk.c).
 */
#include <stdlib.h>

#include "addr.h"
#include "clock.h"
#include "queue/queue_acts.h"
#include "queue/queue_show.h"

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 100000

/* ---- words of a request ---- */

static size_t
limit_of(const struct jval *req)
{
	int64_t n = jval_int(req, "limit", LIMIT_DEFAULT);

	return n <= 0 ? LIMIT_DEFAULT : n > LIMIT_MAX ? LIMIT_MAX : (size_t)n;
}

void
asked_error(struct asked *k, const char *text)
{
	struct json j;

	json_begin(&j, k->out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "error", text);
	json_end_object(&j);
	buf_putc(k->out, '\n');
}

static void
event_by(struct asked *k, uint64_t id, const char *text)
{
	struct msg_event ev = { .kind = EVENT_OPERATOR, .id = id, .time = clock_real() };

	ev.by = span_str(k->by);
	ev.reply = span_str(text);
	queue_event(k->q, &ev);
}

void
asked_event(struct asked *k, const char *verb, uint64_t id, struct span what)
{
	char text[500];

	snprintf(text, sizeof(text), "%s " SPAN_FMT, verb, SPAN_ARG(span_sub(what, 0, 400)));
	event_by(k, id, text);
}

/* The whole act, for the audit log. */
static void
audit(struct asked *k, const char *verb, struct span what, size_t n)
{
	char act[64], count[32];
	struct msg_event ev = { .kind = EVENT_AUDIT, .time = clock_real(),
		.relay = span_sub(what, 0, 400) };

	snprintf(act, sizeof(act), "queue.%s", verb);
	snprintf(count, sizeof(count), "%zu", n);
	ev.by = span_str(k->by);
	ev.rcpt = span_str(act);
	ev.reply = span_str(count);
	queue_event(k->q, &ev);
}

void
asked_journal(struct asked *k, const char *verb, uint64_t id, struct span what, size_t n)
{
	char text[600];

	snprintf(text, sizeof(text), "%s " SPAN_FMT ": %zu", verb, SPAN_ARG(span_sub(what, 0, 400)),
	    n);
	log_msg(LOG_LVL_INFO, id, "operator %s: %s", k->by, text);
	event_by(k, id, text);
	audit(k, verb, what, n);
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
	size_t limit = limit_of(k->req);

	if (by.n == 0)
		walk_show(k, limit, false);
	else if (span_is(by, "site"))
		walk_sites(k, limit);
	else if (span_is(by, "sender") || span_is(by, "reason"))
		walk_groups(k, limit, span_is(by, "sender"));
	else
		asked_error(k, "by site, sender or reason");
}

static void
cmd_show(struct asked *k)
{
	walk_show(k, limit_of(k->req), true);
}

static void
cmd_retry(struct asked *k)
{
	walk_act(k, "retry", act_retry);
}

static void
cmd_hold(struct asked *k)
{
	walk_act(k, "hold", act_hold);
}

static void
cmd_release(struct asked *k)
{
	walk_act(k, "release", act_release);
}

static void
cmd_fail(struct asked *k)
{
	walk_act(k, "fail", act_fail);
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
		asked_error(k, err.text);
		return false;
	}
	if (ip_parse(host, &ip))
		*hop = span_str(arena_printf(a, "[%s]:%u", ip_format(ip, ip_text), port));
	else if (domain_normalise(a, host, &name))
		*hop = span_str(arena_printf(a, SPAN_FMT ":%u", SPAN_ARG(name), port));
	else {
		asked_error(k, "a host, or host:port");
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
		walk_act(k, "reroute", act_reroute);
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
		log_info("operator %s: %s " SPAN_FMT, k->by, off ? "drain off" :
		    "the queue is handed over to", SPAN_ARG(hop));
		walk_act(k, "drain", act_drain);
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
	const void *at = NULL;
	struct json j;
	size_t n = 0;

	if (site.n == 0)
		site = jval_text(k->req, "selector");
	if (site.n == 0 || !domain_normalise(a, site, &site)) {
		asked_error(k, "which site?");
		arena_free(&a);
		return;
	}
	schedule_pause(q->out, site, pause);
	names = arena_array(a, schedule_paused(q->out) + 1, sizeof(*names));
	while (schedule_each_paused(q->out, &at, &names[n]))
		n++;
	spool_paused(q->sp, names, n);
	queue_sync(q);
	asked_journal(k, pause ? "pause" : "resume", 0, site, 1);
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

/* Who of those who signed in to the console may. */
#define READS (PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR))
#define ACTS PRINCIPAL_BIT(OPERATOR)
#define LOCAL 0u		/* the tool on this machine alone */

static const struct { const char *name; void (*fn)(struct asked *k); unsigned roles; } commands[] = {
	{ "queue", cmd_list, READS }, { "queue.list", cmd_list, READS },
	{ "queue.summary", cmd_summary, READS }, { "queue.show", cmd_show, READS },
	{ "queue.retry", cmd_retry, ACTS }, { "queue.hold", cmd_hold, ACTS },
	{ "queue.release", cmd_release, ACTS }, { "queue.fail", cmd_fail, ACTS },
	{ "queue.reroute", cmd_reroute, LOCAL }, { "queue.drain", cmd_drain, LOCAL },
	{ "queue.pause", cmd_pause, ACTS }, { "queue.resume", cmd_resume, ACTS },
	{ "queue.offer", handover_offer, LOCAL }, { "queue.handed", handover_done, LOCAL },
	{ "queue.keep", handover_keep, LOCAL },
	{ "queue.reserve", adopt_reserve, LOCAL }, { "queue.adopt", adopt_segment, LOCAL },
};

void
queue_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	struct queue *q = rt->state;
	struct reply *r = reply_new(rt, fd);
	struct err err;
	struct jval *req = jval_parse(request, &err);
	struct asked k = { .q = q, .req = req, .out = reply_buf(r), .owned = &req, .reply = &r };
	struct span cmd = jval_text(req, "cmd");
	size_t i, n = sizeof(commands) / sizeof(commands[0]);

	for (i = 0; i < n && !span_is(cmd, commands[i].name); i++)
		;
	/* What is shown is read from the disk: let it be there. */
	if (q != NULL && !q->finishing && spool_dirty(q->sp))
		queue_sync(q);
	if (req == NULL || q == NULL || q->finishing)
		asked_error(&k, req == NULL ? err.text : "the queue is stopping");
	else if (i == n)
		asked_error(&k, "no such command");
	else if (principal_may(request, uid, commands[i].roles, k.by, &err) == -1)
		asked_error(&k, err.text);
	else
		commands[i].fn(&k);
	jval_free(&req);
	reply_end(&r);
	if (q != NULL)
		queue_turn(q);
}
