/* cluster.c -- the role that alone speaks to PostgreSQL, the base that many nodes share.
 *
 * libpq is large and knows a password: it has a process with connections to the base and to the DNS, and the
 * certificates of authorities to read, nothing else. It keeps nothing: what the store sends is acknowledged
 * when the base has committed it, what is asked is answered or said to be unanswerable. Mail never waits for
 * this process; the store waits for it only with what people ask.
 *
 * Two sessions: one for rows, which holds the lock on this node's name as long as it lives, so that two
 * nodes never go by one name; and one for questions, which hears (LISTEN) what others change.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "cluster/cluster.h"
#include "fs.h"
#include "log.h"
#include "net/resolver.h"

#define DNS_SERVERS_MAX 8
#define PASSWORD_MAX 4096
#define WAIT_FIRST (INT64_C(250) * 1000)
#define WAIT_MAX (INT64_C(2) * US_PER_SEC)
#define TICK_MS 100

struct own {
	struct cluster c;		/* first */
	struct conf_host dns[DNS_SERVERS_MAX];
	size_t ndns;
	struct span anchors;
};

static struct sandbox cluster_sandbox = { SANDBOX_FILES_READ };

/* ---- start ---- */

static int
read_password(struct cluster *c, const char *path, struct err *err)
{
	int fd = fs_open(path, O_RDONLY, 0, err);
	struct span text;
	struct stat st;

	if (fd == -1)
		return err_wrap(err, "store: password_file");
	if (fstat(fd, &st) == 0 && (st.st_mode & 007)) {
		close(fd);
		return err_set(err, EPERM, "%s: everybody may read or change it: chmod o-rwx %s", path, path);
	}
	if (fs_read_fd(c->arena, fd, PASSWORD_MAX, &text, err) == -1) {
		close(fd);
		return err_wrap(err, "%s", path);
	}
	close(fd);
	while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	c->world.password = arena_str(c->arena, text);
	return 0;
}

/* What /etc/hosts and the like know of a server; later only the DNS is asked. */
static struct ip
known_address(const struct conf_host *h, struct arena *a)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL;
	struct ip ip = { 0 };

	if (h->ip.family || getaddrinfo(arena_str(a, h->name), NULL, &hints, &list) != 0)
		return ip;
	if (list)
		ip = ip_from_sockaddr(list->ai_addr, NULL);
	freeaddrinfo(list);
	return ip;
}

static void
allow(const struct own *o)
{
	const struct conf_base *base = o->c.world.conf;
	const struct conf_host *dns = o->c.rt->conf->ndns ? o->c.rt->conf->dns : o->dns;
	size_t n = o->c.rt->conf->ndns ? o->c.rt->conf->ndns : o->ndns;

	if (base->socket) {
		cluster_sandbox.may |= SANDBOX_NET_UNIX;
		return;
	}
	cluster_sandbox.may |= SANDBOX_NET_CLIENT;
	sandbox_allow_read(base->roots ? base->roots : PG_ROOTS);
	for (size_t i = 0; i < base->nhosts; i++)
		sandbox_allow_tcp(base->hosts[i].port);
	for (size_t i = 0; i < n && i < DNS_SERVERS_MAX; i++)
		sandbox_allow_tcp(dns[i].port ? dns[i].port : 53);
}

static int
cluster_start(struct runtime *rt, struct err *err)
{
	struct own *o = calloc(1, sizeof(*o));
	struct cluster *c = &o->c;
	const struct conf_base *base = &rt->conf->base;

	ASSERT(o != NULL);
	rt->state = o;
	c->rt = rt;
	c->arena = arena_new(0);
	c->scratch = arena_new(1u << 20);
	c->last = &c->first;
	c->world.conf = base;
	c->world.node = c->node = arena_str(c->arena, rt->conf->node);
	o->anchors = SPAN_LIT("");
	if (rt->conf->ndns == 0)
		o->ndns = resolver_system_servers(o->dns, DNS_SERVERS_MAX, c->arena);
	if (rt->conf->dnssec && resolver_anchors(rt->conf->trust_anchor, c->arena, &o->anchors, err) == -1)
		return -1;
	for (size_t i = 0; i < base->nhosts; i++)
		c->world.known[i] = known_address(&base->hosts[i], c->arena);
	if (base->password_file && read_password(c, base->password_file, err) == -1)
		return -1;
	OPENSSL_init_ssl(0, NULL);	/* it reads its configuration before the sandbox */
	allow(o);
	return 0;
}

/* ---- what is said to the store ---- */

void
cluster_say(struct cluster *c, uint64_t ticket, const struct msg_shared *m)
{
	struct buf b;

	if (c->store == NULL)
		return;
	buf_init(&b, FRAME_SMALL);
	shared_encode(&b, m);
	link_send(c->store, FRAME_SHARED, ticket, buf_data(&b), -1);
	buf_release(&b);
}

void
cluster_away(struct cluster *c, const char *why)
{
	struct msg_shared m = { .kind = SHARED_AWAY, .named = c->named, .newer = c->newer, .text = span_str(why) };

	if (!c->said)
		log_warn("the shared base cannot be had: %s; mail goes on, rows wait", why);
	c->said = true;
	cluster_say(c, 0, &m);
}

/* ---- sessions ---- */

static int64_t
again(int64_t *wait)
{
	*wait = *wait == 0 ? WAIT_FIRST : 2 * *wait > WAIT_MAX ? WAIT_MAX : 2 * *wait;
	return clock_mono() + *wait;
}

static void
ship_ready(void *ctx)
{
	ship_hello(ctx);
}

static void
ship_lost(void *ctx, const char *why)
{
	struct cluster *c = ctx;

	c->ship_at = again(&c->ship_wait);
	if (c->self)
		cluster_away(c, why);
	c->shipping = false;
	ship_go(c);	/* the batch that waits hears of it */
}

static void
listen_done(void *ctx, const struct pg_end *end)
{
	struct cluster *c = ctx;
	struct msg_shared m = { .kind = SHARED_NEWS, .news = SHARED_NEWS_KEPT | SHARED_NEWS_LISTS };

	if (!end->ok) {
		pg_drop(c->asks, end->text);
		return;
	}
	c->listening = true;
	cluster_say(c, 0, &m);	/* what was missed meanwhile */
	ask_go(c);
}

static void
asks_ready(void *ctx)
{
	static const struct pg_query q = { .sql = "LISTEN postern" };
	struct cluster *c = ctx;

	pg_run(c->asks, &q, 1, CLUSTER_ASK_US, NULL, listen_done, c);
}

static void
asks_lost(void *ctx, const char *why)
{
	struct cluster *c = ctx;

	c->asks_at = again(&c->asks_wait);
	c->listening = false;
	ask_away(c);
}

static void
notified(void *ctx, const char *channel, const char *what)
{
	struct msg_shared m = { .kind = SHARED_NEWS, .news = strcmp(what, "lists") == 0 ? SHARED_NEWS_LISTS :
		SHARED_NEWS_KEPT };

	cluster_say(ctx, 0, &m);
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct cluster *c = arg;
	int64_t now = clock_mono();

	if (c->store == NULL)
		return;
	if (c->self && now >= c->ship_at)
		pg_connect(c->ship);
	if (now >= c->asks_at)
		pg_connect(c->asks);
	ship_tick(c);
	ask_go(c);
}

/* ---- the role ---- */

static int
cluster_run(struct runtime *rt, struct err *err)
{
	static const struct pg_ops ship_ops = { ship_ready, ship_lost, NULL },
	    asks_ops = { asks_ready, asks_lost, notified };
	static const struct timeval often = { 0, TICK_MS * 1000 };
	struct own *o = rt->state;
	struct cluster *c = &o->c;

	c->world.base = rt->base;
	if (rt->conf->base.socket == NULL) {
		c->world.resolver = rt->conf->ndns ?
		    resolver_new(rt->base, rt->conf->dns, rt->conf->ndns, o->anchors, err) :
		    resolver_new(rt->base, o->dns, o->ndns, o->anchors, err);
		if (c->world.resolver == NULL)
			return -1;
	}
	c->ship = pg_new(&c->world, &ship_ops, c);
	c->asks = pg_new(&c->world, &asks_ops, c);
	c->tick = event_new(rt->base, -1, EV_PERSIST, on_tick, c);
	ASSERT(c->tick != NULL);
	event_add(c->tick, &often);
	return 0;
}

static int
cluster_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct own *o = rt->state;

	switch (f->type) {
	case FRAME_SHARE:
		return ship_take(&o->c, f);
	case FRAME_BASE_ASK:
		return ask_take(&o->c, f);
	default:
		return -1;
	}
}

static void
cluster_peer_up(struct runtime *rt, struct link *l)
{
	struct own *o = rt->state;

	o->c.store = l;
	on_tick(-1, 0, &o->c);
}

static void
cluster_peer_down(struct runtime *rt, struct link *l)
{
	struct own *o = rt->state;

	if (o->c.store != l)
		return;
	o->c.store = NULL;
	ship_forget(&o->c);
	ask_forget(&o->c);
	if (rt->retiring)
		runtime_finish(rt);
}

/* The store ends at the same time: what it ships last is nobody's loss, it comes again. */
static void
cluster_retire(struct runtime *rt)
{
	runtime_finish(rt);
}

const struct role_ops cluster_ops = {
	.role = ROLE_CLUSTER,
	.sandbox = &cluster_sandbox,
	.start = cluster_start,
	.run = cluster_run,
	.peer_up = cluster_peer_up,
	.peer_down = cluster_peer_down,
	.frame = cluster_frame,
	.retire = cluster_retire,
};
