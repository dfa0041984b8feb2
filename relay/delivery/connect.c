/* connect.c -- the first of several targets that answers; see connect.h. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "delivery/connect.h"
#include "delivery/health.h"
#include "delivery/route.h"
#include "postern/err.h"

#define SLOTS 2
#define NEXT_AFTER 5		/* seconds */
#define OTHER_FAMILY_AFTER 300000	/* microseconds: the same host by IPv4 beside IPv6 (RFC 8305, 5) */
#define PATIENCE 30
#define TARGETS_PER_ATTEMPT 10	/* then the queue has its turn again */
#define BAD_FOR (60 * US_PER_SEC)

struct slot {
	struct connector *cn;
	int fd;
	size_t target;
	struct event *ev;
};

struct connector {
	struct carrier *c;
	struct route *route;
	uint64_t *tried;
	uint16_t order[PLAN_TARGETS_MAX];
	connect_cb *cb;
	void *ctx;
	struct slot slots[SLOTS];
	struct event *next;		/* start another, or end it */
	char why[512];
	bool any;
};

char *
target_name(struct arena *a, const struct plan *p, const struct target *t)
{
	char ip[IP_TEXT_MAX];

	ip_format(t->ip, ip);
	return arena_printf(a, "%s[%s]", p->hosts[t->host].name, ip);
}

static void
slot_close(struct slot *s, bool keep_fd)
{
	if (s->ev)
		event_free(s->ev);
	s->ev = NULL;
	if (s->fd != -1 && !keep_fd)
		close(s->fd);
	s->fd = -1;
}

void
connect_cancel(struct connector **cnp)
{
	struct connector *cn = *cnp;

	*cnp = NULL;
	if (cn == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		slot_close(&cn->slots[i], false);
	event_free(cn->next);
	free(cn);
}

static void
tell(struct connector *cn, int fd, size_t target)
{
	connect_cb *cb = cn->cb;
	void *ctx = cn->ctx;
	char why[sizeof(cn->why)];
	bool any = cn->any;

	memcpy(why, cn->why, sizeof(why));
	connect_cancel(&cn);
	cb(ctx, fd, target, any ? why : NULL);
}

static void
target_failed(struct connector *cn, size_t target, int error)
{
	const struct target *t = &cn->route->plan.targets[target];
	char ip[IP_TEXT_MAX];

	cn->route->bad_until[target] = clock_mono() + BAD_FOR;
	health_failed(cn->c->health, t->ip, t->port, clock_mono());
	cn->any = true;
	snprintf(cn->why, sizeof(cn->why), "connect to %s[%s]:%u: %s",
	    cn->route->plan.hosts[t->host].name, ip_format(t->ip, ip), t->port,
	    error == ETIMEDOUT ? "Connection timed out" : strerror(error));
}

/* The next source address of the route's pool and that family, in turn; false when none is configured. */
static bool
next_source(struct carrier *c, const struct route *route, uint8_t family, struct ip *ip)
{
	struct conf_pool pool = route_pool(&c->conf->delivery, route);
	size_t *at = &c->source_at[family == 6];

	for (size_t i = 0; i < pool.nsources; i++) {
		size_t k = (*at + i) % pool.nsources;

		if (pool.sources[k].family == family) {
			*at = k + 1;
			*ip = pool.sources[k];
			return true;
		}
	}
	return false;
}

/* A socket on its way to t, or -1 and errno. */
static int
open_socket(struct carrier *c, const struct route *route, const struct target *t)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(t->ip, t->port, &ss);
	struct ip source;
	int on = 1, fd, saved;

	fd = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (next_source(c, route, t->ip.family, &source)) {
		struct sockaddr_storage from;
		socklen_t from_len = ip_to_sockaddr(source, 0, &from);

		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&from, from_len) == -1)
			goto fail;
	}
	if (connect(fd, (struct sockaddr *)&ss, len) == -1 && errno != EINPROGRESS)
		goto fail;
	return fd;
fail:
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static void
slot_event(evutil_socket_t efd, short what, void *arg)
{
	struct slot *s = arg;
	struct connector *cn = s->cn;
	int error = ETIMEDOUT;
	socklen_t len = sizeof(error);

	if ((what & EV_WRITE) && getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error == 0) {
		int fd = s->fd;
		size_t target = s->target;

		const struct target *t = &cn->route->plan.targets[target];

		cn->route->bad_until[target] = 0;
		health_good(cn->c->health, t->ip, t->port);
		slot_close(s, true);
		tell(cn, fd, target);
		return;
	}
	target_failed(cn, s->target, error);
	slot_close(s, false);
	event_active(cn->next, EV_TIMEOUT, 0);
}

/* The next target to try (trying: it is about to be): in the order drawn, but first those that did not fail lately. */
static size_t
choose(const struct connector *cn, bool trying)
{
	const struct route *r = cn->route;
	int64_t now = clock_mono();
	size_t late = SIZE_MAX, count = 0;

	for (size_t i = 0; i < r->plan.ntargets; i++) {
		if (*cn->tried & UINT64_C(1) << i) {
			if (++count >= TARGETS_PER_ATTEMPT)
				return SIZE_MAX;
		}
	}
	for (size_t k = 0; k < r->plan.ntargets; k++) {
		size_t i = cn->order[k];
		const struct target *t = &r->plan.targets[i];

		if (*cn->tried & UINT64_C(1) << i)
			continue;
		if (r->bad_until[i] <= now && health_until(cn->c->health, t->ip, t->port) <= now) {
			if (trying)
				health_trying(cn->c->health, t->ip, t->port, now);
			return i;
		}
		if (late == SIZE_MAX)
			late = i;
	}
	return late;
}

/* Comes now an address of the other family of the same host? */
static bool
has_other_family(const struct connector *cn, size_t target)
{
	const struct target *t = cn->route->plan.targets;
	size_t after = choose(cn, false);

	return after != SIZE_MAX && t[after].host == t[target].host &&
	    t[after].ip.family != t[target].ip.family;
}

static void
next(evutil_socket_t efd, short what, void *arg)
{
	static const struct timeval again = { NEXT_AFTER, 0 }, patience = { PATIENCE, 0 },
	    other_family = { 0, OTHER_FAMILY_AFTER };
	struct connector *cn = arg;
	struct slot *free_slot = NULL;
	size_t target, busy = 0;

	for (size_t i = 0; i < SLOTS; i++) {
		if (cn->slots[i].fd == -1)
			free_slot = &cn->slots[i];
		else
			busy++;
	}
	if (free_slot == NULL)
		return;		/* all are waiting: one of them will end, by itself or by its time */
	while ((target = choose(cn, true)) != SIZE_MAX) {
		*cn->tried |= UINT64_C(1) << target;
		free_slot->fd = open_socket(cn->c, cn->route,
		    &cn->route->plan.targets[target]);
		if (free_slot->fd == -1) {
			target_failed(cn, target, errno);
			continue;
		}
		free_slot->target = target;
		free_slot->ev = event_new(cn->c->base, free_slot->fd, EV_WRITE, slot_event, free_slot);
		ASSERT(free_slot->ev != NULL);
		event_add(free_slot->ev, &patience);
		evtimer_add(cn->next, has_other_family(cn, target) ? &other_family : &again);
		return;
	}
	if (busy == 0)
		tell(cn, -1, 0);
}

struct connector *
connect_start(struct carrier *c, struct route *route, uint64_t *tried, connect_cb *cb, void *ctx)
{
	struct connector *cn = calloc(1, sizeof(*cn));

	ASSERT(cn != NULL);
	cn->c = c;
	cn->route = route;
	cn->tried = tried;
	cn->cb = cb;
	cn->ctx = ctx;
	plan_order(&route->plan, &c->world, cn->order);
	for (size_t i = 0; i < SLOTS; i++) {
		cn->slots[i].cn = cn;
		cn->slots[i].fd = -1;
	}
	cn->next = event_new(c->base, -1, 0, next, cn);
	ASSERT(cn->next != NULL);
	event_active(cn->next, EV_TIMEOUT, 0);
	return cn;
}
