/* delivery.c -- the role that carries messages to other servers.
 *
 * The queue announces segments of the spool and hands over jobs (DELIVER);
 * each ends in one RESULT with the same ticket. Nothing is kept here: what is
 * lost when this process dies, the queue hands out again.
 *
 * DNS runs inside the event loop (resolver.c), so there is no thread, no
 * helper process, and no file is opened once the sandbox is entered.
 */
#include <event2/event.h>
#include <ifaddrs.h>
#include <stdlib.h>

#include "clock.h"
#include "delivery/alert.h"
#include "delivery/callout.h"
#include "delivery/dispatch.h"
#include "delivery/dkim_watch.h"
#include "delivery/probe_client.h"
#include "delivery/report.h"
#include "net/batv_book.h"
#include "net/resolver.h"
#include "delivery/route.h"
#include "delivery/segment.h"
#include "delivery/show_route.h"
#include "delivery/sts.h"
#include "delivery/tlsrpt.h"
#include "delivery/zone_book.h"
#include "net/transport.h"
#include "json.h"
#include "log.h"
#include "ipc/principal.h"
#include "ipc/newest.h"
#include "master/runtime.h"
#include "scanner/load_policy.h"

#define GRACE_SECONDS 8		/* for what is running when the role retires */
#define DNS_SERVERS_MAX 8

struct delivery {
	struct runtime *rt;
	struct carrier carrier;
	struct callouts *callouts;
	struct dispatch *dispatch;
	struct policy *groups;		/* sender_routes ask for some; else NULL */
	struct segments *segments;
	struct newest directories;
	struct alerts *alerts;
	struct batv_book *batv;		/* NULL: no domain tags its senders */
	struct zone_books *zones;	/* what the DNS says of our domains, for people */
	struct dkim_watch *watch;	/* NULL: no key is to be watched */
	struct link *queue, *store;
	struct event *second;		/* what was seen of TLS goes to the store; time limits */
	uint32_t epoch;			/* of the queue's channel: its jobs die with it */
	struct buf out;
	struct arena *arena;		/* as long as the process */
	struct policy *policy;		/* for its limits per destination */
	struct conf_host dns[DNS_SERVERS_MAX];
	size_t ndns;
	struct span anchors;		/* "": no DNSSEC */
	struct event *grace;
};

/* A job and the channel it came through. */
struct order {
	struct job job;		/* first */
	uint32_t epoch;
};

/* --- start --- */

static void
own_address(struct delivery *d, struct own_socket **list, size_t *n, struct ip ip, uint16_t port)
{
	*list = arena_grow(d->arena, *list, *n * sizeof(**list), (*n + 1) * sizeof(**list));
	(*list)[(*n)++] = (struct own_socket){ ip, port };
}

static bool
is_any(struct ip ip)
{
	static const struct ip any4 = { .family = 4 }, any6 = { .family = 6 };

	return ip_eq(ip, any4) || ip_eq(ip, any6);
}

/* All that we are called: by EHLO, in our Received fields, in banners. */
static void
know_names(struct delivery *d)
{
	const struct config *conf = d->rt->conf;
	struct span *names = arena_array(d->arena, 1 + conf->nlisteners + conf->delivery.npools +
	    conf->delivery.nlines, sizeof(*names));
	size_t n = 0;

	names[n++] = conf->hostname;
	for (size_t i = 0; i < conf->nlisteners; i++)
		names[n++] = conf->listeners[i].hostname;
	for (size_t i = 0; i < conf->delivery.nlines; i++)
		if (conf->delivery.lines[i]->pool.hello.n)
			names[n++] = conf->delivery.lines[i]->pool.hello;
	d->carrier.world.names = names;
	d->carrier.world.nnames = n;
}

/* Where we can be reached, so that mail to ourselves is seen as the loop it is. */
static int
know_thyself(struct delivery *d, struct err *err)
{
	const struct config *conf = d->rt->conf;
	struct plan_world *w = &d->carrier.world;
	struct own_socket *own = NULL;
	struct ifaddrs *all;
	size_t n = 0;
	bool have6 = false;

	if (getifaddrs(&all) == -1)
		return err_errno(err, "getifaddrs");
	for (size_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (!is_any(l->ip)) {
			own_address(d, &own, &n, l->ip, l->port);
			continue;
		}
		for (struct ifaddrs *a = all; a; a = a->ifa_next) {
			struct ip ip = { 0 };

			if (a->ifa_addr)
				ip = ip_from_sockaddr(a->ifa_addr, NULL);
			if (ip.family == 4 || (ip.family == 6 && l->ip.family == 6))
				own_address(d, &own, &n, ip, l->port);
		}
	}
	for (struct ifaddrs *a = all; a; a = a->ifa_next)
		have6 |= a->ifa_addr && a->ifa_addr->sa_family == AF_INET6;
	freeifaddrs(all);
	w->name = conf->delivery.hello;
	know_names(d);
	w->own = own;
	w->nown = n;
	w->no6 = !have6;
	if (conf->delivery.nsources) {
		w->no4 = w->no6 = true;
		for (size_t i = 0; i < conf->delivery.nsources; i++) {
			w->no4 &= conf->delivery.sources[i].family != 4;
			w->no6 &= conf->delivery.sources[i].family != 6;
		}
	}
	return 0;
}

/* The policy's groups, when a line of sender_routes asks for one. */
static int
load_groups(struct delivery *d, struct err *err)
{
	const struct config *conf = d->rt->conf;
	static const struct span head = { "group:", 6 };
	struct diags diags;

	diags_init(&diags, d->arena);
	for (size_t i = 0; i < conf->delivery.nlines; i++) {
		const struct conf_route *l = conf->delivery.lines[i];

		if (!span_starts(l->match, head))
			continue;
		if (d->groups == NULL)
			d->groups = policy_load_conf(conf, true, d->arena, &diags);
		if (d->groups == NULL)
			return err_set(err, 0, "the policy in %s: %s", conf->policy_dir,
			    diags.first ? diags.first->text : "not readable");
		if (!policy_has_group(d->groups, span_from(l->match, head.n)))
			return err_set(err, 0, "delivery.sender_routes, line %u: the policy has no group `"
			    SPAN_FMT "`", l->line, SPAN_ARG(span_from(l->match, head.n)));
	}
	return 0;
}

static int
know_limits(struct delivery *d, struct err *err)
{
	struct diags diags;

	diags_init(&diags, d->arena);
	d->policy = policy_load_conf(d->rt->conf, true, d->arena, &diags);
	if (d->policy == NULL)
		return err_set(err, 0, "the policy in %s: %s", d->rt->conf->policy_dir,
		    diags.first ? diags.first->text : "not readable");
	d->carrier.limits = policy_limits(d->policy, &d->carrier.nlimits);
	return 0;
}

static int
delivery_start(struct runtime *rt, struct err *err)
{
	struct delivery *d = calloc(1, sizeof(*d));

	ASSERT(d != NULL);
	rt->state = d;
	d->rt = rt;
	d->arena = arena_new(0);
	buf_init(&d->out, FRAME_BIG);
	d->segments = segments_new();
	d->alerts = alerts_new();
	if (know_thyself(d, err) == -1 || batv_book_load(rt->conf, &d->batv, err) == -1 || load_groups(d, err) == -1 ||
	    dkim_watch_new(rt->conf, &d->watch, err) == -1)
		return -1;
	if (rt->conf->ndns == 0)
		d->ndns = resolver_system_servers(d->dns, DNS_SERVERS_MAX, d->arena);
	d->anchors = SPAN_LIT("");
	if (rt->conf->dnssec &&
	    resolver_anchors(rt->conf->trust_anchor, d->arena, &d->anchors, err) == -1)
		return -1;
	d->zones = zone_books_new(rt->conf, d->anchors);
	if ((d->carrier.tls = transport_context(rt->conf->delivery.roots, err)) == NULL)
		return -1;
	return know_limits(d, err);
}

static void job_over(void *ctx, struct job *job);

static void
tls_failed(void *ctx, const struct job *job, struct span relay, struct span why)
{
	alert_tls(((struct delivery *)dispatch_context(ctx))->alerts, job, relay, why, clock_real());
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct delivery *d = arg;

	tlsrpt_flush(d->carrier.tlsrpt, d->store);
	dispatch_tick(d->dispatch, clock_mono());
}

static int
delivery_run(struct runtime *rt, struct err *err)
{
	static const struct timeval second = { 1, 0 };
	struct delivery *d = rt->state;
	struct carrier *c = &d->carrier;

	c->base = rt->base;
	c->conf = rt->conf;
	d->dispatch = dispatch_new(&(struct dispatch_setup){ c, d->groups, job_over, d });
	c->batv = d->batv;
	c->done = dispatch_done;
	c->tls_failed = tls_failed;
	c->ctx = d->dispatch;
	d->callouts = callouts_new(c, d->dispatch);
	if (rt->conf->ndns)
		c->resolver = resolver_new(rt->base, rt->conf->dns, rt->conf->ndns, d->anchors, err);
	else
		c->resolver = resolver_new(rt->base, d->dns, d->ndns, d->anchors, err);
	if (c->resolver == NULL)
		return -1;
	carrier_init(c);
	zone_books_begin(d->zones, rt, c, rt->conf->ndns ? rt->conf->dns : d->dns,
	    rt->conf->ndns ? rt->conf->ndns : d->ndns);
	dkim_watch_begin(d->watch, rt->base, c->resolver);
	if (rt->conf->delivery.sts)
		c->sts = sts_client_new(c);
	c->tlsrpt = tlsrpt_new();
	d->second = event_new(rt->base, -1, EV_PERSIST, on_second, d);
	ASSERT(d->second != NULL);
	event_add(d->second, &second);
	return 0;
}

/* --- the end --- */

static void
maybe_finish(struct delivery *d)
{
	if (!d->rt->retiring || d->carrier.njobs > 0 || dispatch_count(d->dispatch) > 0)
		return;
	tlsrpt_flush(d->carrier.tlsrpt, d->store);
	if (d->store)
		link_flush(d->store);
	if (d->queue)
		link_flush(d->queue);	/* the loop ends before the turn does */
	runtime_finish(d->rt);
}

static void
grace_over(evutil_socket_t fd, short what, void *arg)
{
	struct delivery *d = arg;

	carrier_cut(&d->carrier);
	maybe_finish(d);
}

static void
delivery_retire(struct runtime *rt)
{
	static const struct timeval grace = { GRACE_SECONDS, 0 };
	struct delivery *d = rt->state;

	dispatch_retire(d->dispatch);
	carrier_retire(&d->carrier);
	d->grace = evtimer_new(rt->base, grace_over, d);
	ASSERT(d->grace != NULL);
	evtimer_add(d->grace, &grace);
	maybe_finish(d);
}

/* --- the queue --- */

static void
delivery_peer_up(struct runtime *rt, struct link *l)
{
	struct delivery *d = rt->state;

	if (link_peer(l) == ROLE_QUEUE)
		d->queue = l;
	else if (link_peer(l) == ROLE_DIRECTORY) {
		newest_add(&d->directories, l);
		dispatch_directory(d->dispatch, newest_get(&d->directories));
	}
	else if (link_peer(l) == ROLE_STORE)
		alerts_store(d->alerts, d->store = l);
	else if (link_peer(l) == ROLE_FETCHER && d->carrier.sts)
		sts_peer_up(d->carrier.sts, l);
	else if (link_peer(l) == ROLE_SIGNER) {
		dkim_watch_peer(d->watch, l, true);
		zone_books_peer(d->zones, l, true);
	}
}

static void
delivery_peer_down(struct runtime *rt, struct link *l)
{
	struct delivery *d = rt->state;

	callouts_peer_down(d->callouts, l);
	if (newest_remove(&d->directories, l))
		dispatch_directory(d->dispatch, newest_get(&d->directories));
	if (link_peer(l) == ROLE_STORE) {
		alerts_store(d->alerts, d->store = NULL);
		tlsrpt_rua_drop(d->carrier.tlsrpt, l);
	} else if (link_peer(l) == ROLE_FETCHER && d->carrier.sts)
		sts_peer_down(d->carrier.sts, l);
	else if (link_peer(l) == ROLE_SIGNER) {
		dkim_watch_peer(d->watch, l, false);
		zone_books_peer(d->zones, l, false);
	}
	if (l != d->queue)
		return;
	/* The next queue hands everything out again. What is not promised yet is dropped, so
	 * that it does not arrive twice; the rest ends without a reader. */
	d->queue = NULL;
	d->epoch++;
	dispatch_retire(d->dispatch);
	carrier_abandon(&d->carrier);
	segments_drop_all(d->segments);
}

static void
job_over(void *ctx, struct job *job)
{
	struct delivery *d = ctx;
	struct order *o = (struct order *)job;
	struct arena *a = job->arena;

	if (job->probe) {
		callouts_over(d->callouts, job);
		maybe_finish(d);
		return;
	}
	if (!job->handed_back && !job->postponed) {
		report_log(job);
		alert_attempt(d->alerts, job);
	}
	if (d->queue && o->epoch == d->epoch) {
		buf_reset(&d->out);
		report_result(&d->out, job);
		if (buf_failed(&d->out) ||
		    link_send(d->queue, FRAME_RESULT, job->ticket, buf_data(&d->out), -1) == -1)
			log_msg(LOG_LVL_ERROR, job->d.id, "the result cannot be told to the queue");
	}
	segment_release(job->mapping);
	arena_free(&a);
	maybe_finish(d);
}

static int
deliver(struct delivery *d, struct frame *f)
{
	struct arena *a = arena_new(0);
	struct span body = arena_span(a, f->body);
	struct order *o = arena_zalloc(a, sizeof(*o));
	struct job *job = &o->job;
	struct err err;

	job->arena = a;
	job->ticket = f->ticket;
	o->epoch = d->epoch;
	if (deliver_decode(body, f->fd, a, &job->d) == -1 || job->d.nrecipients == 0) {
		arena_free(&a);
		return -1;
	}
	job->results = arena_array(a, job->d.nrecipients, sizeof(*job->results));
	job->mapping = segment_bytes(d->segments, &job->d.ref, f->fd, &job->bytes, &err);
	if (job->mapping == NULL) {
		struct smtp_result why;

		log_msg(LOG_LVL_ERROR, job->d.id, "the message cannot be read: %s", err.text);
		smtp_result_set(&why, CLIENT_BODY, RCPT_DEFERRED, FAIL_LOCAL, "4.3.0",
		    SPAN_LIT("the message cannot be read from the spool"), false);
		job_fail_rest(job, &why);
	}
	dispatch_take(d->dispatch, job);
	return 0;
}

static int
delivery_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct delivery *d = rt->state;
	struct msg_segment m;

	switch (f->type) {
	case FRAME_SEGMENT:
		if (segment_decode(f->body, f->fd, d->arena, &m) == -1 || f->fd == -1)
			return -1;
		segments_add(d->segments, m.number, f->fd);
		f->fd = -1;
		return 0;
	case FRAME_SEGMENT_DROP:
		if (segment_decode(f->body, f->fd, d->arena, &m) == -1)
			return -1;
		segments_drop(d->segments, m.number);
		return 0;
	case FRAME_RCPT_ASK:
		return callouts_ask(d->callouts, l, f);
	case FRAME_DELIVER:
		return deliver(d, f);
	case FRAME_FOUND:
		return dispatch_found(d->dispatch, f);
	case FRAME_MEMBERSHIPS:
		return dispatch_memberships(d->dispatch, f);
	case FRAME_STS_ANSWER:
		return d->carrier.sts ? sts_frame(d->carrier.sts, f) : -1;
	case FRAME_DKIM_KEY:
		return zone_books_key(d->zones, l, f);
	case FRAME_RUA_ASK:
		return tlsrpt_rua(&d->carrier, l, f);
	default:
		return -1;
	}
}

/* --- control clients --- */

/* `postern status`: what somebody should look at. */
static void
tell_alerts(struct delivery *d, int fd)
{
	struct reply *r = reply_new(d->rt, fd);
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_key(&j, "tls_failed");
	alerts_write(d->alerts, &j, clock_real());
	json_end_object(&j);
	buf_putc(reply_buf(r), '\n');
	reply_end(&r);
}

static void
delivery_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	static const struct span route = { "{\"cmd\":\"route\"", 14 }, dns = { "{\"cmd\":\"dns.", 12 },
	    probe = { "{\"cmd\":\"probe\"", 14 },
	    alerts = { "{\"cmd\":\"delivery.alerts\"", 24 };
	struct delivery *d = rt->state;
	struct err err;

	if (span_starts(request, dns))
		zone_books_client(d->zones, fd, uid, request);
	else if (span_starts(request, probe))
		probe_client(rt, &d->carrier, fd, uid, request);
	else if (principal_may(request, uid, PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR), NULL, &err) == -1)
		reply_error(rt, fd, err.text);
	else if (span_starts(request, route))
		show_route(rt, &d->carrier, d->dispatch, fd, request);
	else if (span_starts(request, alerts))
		tell_alerts(d, fd);
	else
		reply_error(rt, fd, "unknown command");
}

static const struct sandbox delivery_sandbox = { .may = SANDBOX_NET_CLIENT };

const struct role_ops delivery_ops = {
	.role = ROLE_DELIVERY,
	.sandbox = &delivery_sandbox,
	.start = delivery_start,
	.run = delivery_run,
	.peer_up = delivery_peer_up,
	.peer_down = delivery_peer_down,
	.frame = delivery_frame,
	.client = delivery_client,
	.retire = delivery_retire,
};
