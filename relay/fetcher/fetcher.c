/* fetcher.c -- the role that alone speaks HTTPS: policies of MTA-STS, and reports to those who want them.
 *
 * libcurl is large, and what it reads comes from strangers: so it has a process with the network
 * and one folder, and nothing else; it sees no mail. Names are resolved by our own resolver.
 * Delivery asks for policies (STS_ASK), the store hands over reports (POST) and events (EXPORT: export.h), and asks the
 * provider at which people sign in (OIDC_ASK: oidc.h). What is under way when
 * this process ends is asked for again by whoever wanted it.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "net/resolver.h"
#include "fetcher/export.h"
#include "fetcher/fetcher.h"
#include "fetcher/oidc.h"
#include "fs.h"
#include "ipc/principal.h"
#include "log.h"
#include "master/identity.h"

#define DNS_SERVERS_MAX 8
#define POST_TIMEOUT (60 * US_PER_SEC)
#define POST_ANSWER_MAX (64u << 10)

struct post {
	struct fetcher *f;
	struct post *next;
	struct link *from;		/* NULL: gone */
	uint64_t ticket;
	struct arena *arena;
	struct https *https;
};

struct own {
	struct fetcher f;		/* first */
	struct arena *arena, *scratch;
	struct conf_host dns[DNS_SERVERS_MAX];
	size_t ndns;
	struct span anchors;
	struct exporter *exporter;
	struct oidc *oidc;		/* NULL: none is configured */
};

static int
cache_folder(struct runtime *rt, struct sts_cache **cache, struct err *err)
{
	const char *folder = rt->conf->delivery.sts_cache;

	if (fs_mkdirs(folder, 0700, err) == -1)
		return -1;
	if (rt->privileged && chown(folder, rt->uid, rt->gid) == -1)
		return err_errno(err, "%s", folder);
	return (*cache = sts_cache_open(folder, clock_real(), err)) ? 0 : -1;
}

static int
fetcher_start(struct runtime *rt, struct err *err)
{
	struct own *o = calloc(1, sizeof(*o));
	int r;

	ASSERT(o != NULL);
	rt->state = o;
	o->f.rt = rt;
	o->arena = arena_new(0);
	o->scratch = arena_new(0);
	o->anchors = SPAN_LIT("");
	if (rt->conf->ndns == 0)
		o->ndns = resolver_system_servers(o->dns, DNS_SERVERS_MAX, o->arena);
	if (rt->conf->dnssec &&
	    resolver_anchors(rt->conf->trust_anchor, o->arena, &o->anchors, err) == -1)
		return -1;
	identity_files_as(rt->uid, rt->gid);
	r = cache_folder(rt, &o->f.cache, err);
	identity_files_root();
	if (r == -1 || https_global(rt->conf->delivery.roots, &o->f.world.roots, err) == -1)
		return -1;
	if ((o->exporter = exporter_start(rt, o->arena, err)) == NULL || oidc_start(rt, &o->oidc, err) == -1)
		return -1;
	sandbox_allow_write(rt->conf->delivery.sts_cache);
	return 0;
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	sts_fetch_tick(arg);
}

static int
fetcher_run(struct runtime *rt, struct err *err)
{
	static const struct timeval second = { 1, 0 };
	struct own *o = rt->state;
	struct fetcher *f = &o->f;

	f->world.base = rt->base;
	f->world.resolver = rt->conf->ndns ?
	    resolver_new(rt->base, rt->conf->dns, rt->conf->ndns, o->anchors, err) :
	    resolver_new(rt->base, o->dns, o->ndns, o->anchors, err);
	if (f->world.resolver == NULL)
		return -1;
	sts_fetch_init(f);
	exporter_run(o->exporter, &f->world);
	oidc_run(o->oidc, &f->world);
	f->tick = event_new(rt->base, -1, EV_PERSIST, on_tick, f);
	ASSERT(f->tick != NULL);
	event_add(f->tick, &second);
	if (sts_cache_count(f->cache))
		log_info("MTA-STS: %zu policies are known", sts_cache_count(f->cache));
	return 0;
}

/* ---- reports ---- */

static void
posted(void *ctx, const struct https_answer *a)
{
	struct post *p = ctx;
	struct msg_posted m = { .ok = a->end == HTTPS_ANSWERED && a->status / 100 == 2 };
	struct buf b;
	char text[64];

	p->https = NULL;
	snprintf(text, sizeof(text), "HTTP status %d", a->status);
	m.text = span_str(a->end == HTTPS_ANSWERED ? text : a->why);
	buf_init(&b, FRAME_SMALL);
	posted_encode(&b, &m);
	if (p->from)
		link_send(p->from, FRAME_POSTED, p->ticket, buf_data(&b), -1);
	buf_release(&b);
	for (struct post **pp = &p->f->posts; *pp; pp = &(*pp)->next)
		if (*pp == p) {
			*pp = p->next;
			break;
		}
	arena_free(&p->arena);
	free(p);
}

static void
post(struct fetcher *f, struct link *from, uint64_t ticket, const struct msg_post *m)
{
	struct post *p = calloc(1, sizeof(*p));
	struct https_question q = { .type = "application/tlsrpt+gzip", .max = POST_ANSWER_MAX,
		.timeout = POST_TIMEOUT };

	ASSERT(p != NULL);
	p->f = f;
	p->from = from;
	p->ticket = ticket;
	p->arena = arena_new(0);
	q.url = arena_str(p->arena, m->url);
	q.post = arena_span(p->arena, m->body);
	p->next = f->posts;
	f->posts = p;
	p->https = https_start(&f->world, &q, posted, p);
}

/* ---- the role ---- */

static int
fetcher_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct own *o = rt->state;
	struct msg_sts_ask ask;
	struct msg_export x;
	struct msg_oidc_ask who;
	struct msg_post m;

	arena_reset(o->scratch);
	switch (f->type) {
	case FRAME_STS_ASK:
		if (sts_ask_decode(f->body, f->fd, o->scratch, &ask) == -1)
			return -1;
		sts_fetch_ask(&o->f, l, f->ticket, &ask);
		return 0;
	case FRAME_POST:
		if (post_decode(f->body, f->fd, o->scratch, &m) == -1)
			return -1;
		post(&o->f, l, f->ticket, &m);
		return 0;
	case FRAME_EXPORT:
		if (export_decode(f->body, f->fd, o->scratch, &x) == -1)
			return -1;
		exporter_ask(o->exporter, l, f->ticket, &x);
		return 0;
	case FRAME_OIDC_ASK:
		if (oidc_ask_decode(f->body, f->fd, o->scratch, &who) == -1)
			return -1;
		oidc_ask(o->oidc, l, f->ticket, &who);
		return 0;
	default:
		return -1;
	}
}

/* {"cmd":"oidc.show"}, by the administrator of this machine alone. */
static void
fetcher_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	struct own *o = rt->state;
	char by[PRINCIPAL_BY];
	struct err err;

	if (principal_may(request, uid, 0, by, &err) == -1)
		reply_error(rt, fd, err.text);
	else
		oidc_show(o->oidc, rt, fd);
}

static void
fetcher_peer_up(struct runtime *rt, struct link *l)
{
}

static void
fetcher_peer_down(struct runtime *rt, struct link *l)
{
	struct own *o = rt->state;

	sts_fetch_forget(&o->f, l);
	exporter_forget(o->exporter, l);
	oidc_forget(o->oidc, l);
	for (struct post *p = o->f.posts; p; p = p->next)
		if (p->from == l)
			p->from = NULL;
}

static void
fetcher_retire(struct runtime *rt)
{
	runtime_finish(rt);
}

static const struct sandbox fetcher_sandbox = {
	.may = SANDBOX_NET_CLIENT | SANDBOX_FILES_READ | SANDBOX_FILES_WRITE };

const struct role_ops fetcher_ops = {
	.role = ROLE_FETCHER,
	.sandbox = &fetcher_sandbox,
	.start = fetcher_start,
	.run = fetcher_run,
	.peer_up = fetcher_peer_up,
	.peer_down = fetcher_peer_down,
	.frame = fetcher_frame,
	.client = fetcher_client,
	.retire = fetcher_retire,
};
