/* test_connect.c -- which of several servers gets the connection: the other family of one that does
 * not answer, and those that are not known to be dead.
 *
 * The event loop runs until the connector has spoken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "delivery/connect.h"
#include "delivery/health.h"

#define QUEUE 4			/* connections that nobody accepts fill the queue of a listener */

static struct carrier c;
static struct config conf;
static struct heard {
	bool told;
	int fd;
	size_t target;
	char why[256];
} heard;

static const struct ip v4 = { 4, { 127, 0, 0, 1 } };
static const struct ip v6 = { 6, { [15] = 1 } };

static uint32_t
zero(void *ctx)
{
	return 0;
}

static void
told(void *ctx, int fd, size_t target, const char *why)
{
	heard = (struct heard){ true, fd, target, "" };
	if (why)
		snprintf(heard.why, sizeof(heard.why), "%s", why);
	event_base_loopbreak(c.base);
}

static int
setup(void **state)
{
	memset(&c, 0, sizeof(c));
	memset(&conf, 0, sizeof(conf));
	c.base = event_base_new();
	c.conf = &conf;
	c.health = health_new();
	c.world.random = zero;
	return c.base ? 0 : -1;
}

static int
teardown(void **state)
{
	health_free(&c.health);
	event_base_free(c.base);
	return 0;
}

static int
listen_on(struct ip ip, int backlog, uint16_t *port)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(ip, 0, &ss);
	int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_not_equal(fd, -1);
	assert_int_equal(bind(fd, (struct sockaddr *)&ss, len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ss, &len), 0);
	(void)ip_from_sockaddr((struct sockaddr *)&ss, port);
	return fd;
}

/* A listener that answers no more: its queue is full, and nobody takes from it. */
static int
mute_on(struct ip ip, uint16_t *port, int held[QUEUE])
{
	struct sockaddr_storage ss;
	int fd = listen_on(ip, 0, port);
	socklen_t len = ip_to_sockaddr(ip, *port, &ss);

	for (int i = 0; i < QUEUE; i++) {
		held[i] = socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		assert_int_not_equal(held[i], -1);
		(void)connect(held[i], (struct sockaddr *)&ss, len);
	}
	return fd;
}

static uint16_t
dead_port(void)
{
	uint16_t port;

	close(listen_on(v4, 1, &port));
	return port;
}

static void
add(struct route *r, size_t host, struct ip ip, uint16_t port)
{
	struct plan *p = &r->plan;

	snprintf(p->hosts[host].name, sizeof(p->hosts[host].name), "mx%zu.lab", host);
	if (p->nhosts <= host)
		p->nhosts = host + 1;
	p->targets[p->ntargets++] = (struct target){ .ip = ip, .port = port,
		.pref = (uint16_t)host, .host = (uint16_t)host };
}

static void
try(struct route *r)
{
	uint64_t tried = 0;

	heard.told = false;
	(void)connect_start(&c, r, &tried, told, NULL);
	while (!heard.told)
		assert_int_equal(event_base_loop(c.base, EVLOOP_ONCE), 0);
	if (heard.fd != -1)
		close(heard.fd);
}

static void
test_other_family(void **state)
{
	static struct route r;
	int held[QUEUE], mute, good;
	int64_t began = clock_mono();
	uint16_t port6, port4;

	memset(&r, 0, sizeof(r));
	mute = mute_on(v6, &port6, held);
	good = listen_on(v4, 16, &port4);
	add(&r, 0, v6, port6);
	add(&r, 0, v4, port4);
	try(&r);
	assert_int_not_equal(heard.fd, -1);
	assert_int_equal(heard.target, 1);
	/* another host would have had to wait for five seconds */
	assert_true(clock_mono() - began < 4500000);
	for (int i = 0; i < QUEUE; i++)
		close(held[i]);
	close(mute);
	close(good);
}

static void
test_the_dead_are_last_for_all(void **state)
{
	static struct route one, two;
	uint16_t dead = dead_port(), alive;
	int good = listen_on(v4, 16, &alive);

	memset(&one, 0, sizeof(one));
	memset(&two, 0, sizeof(two));
	add(&one, 0, v4, dead);
	add(&one, 1, v4, alive);
	add(&two, 0, v4, dead);
	add(&two, 1, v4, alive);
	try(&one);
	assert_int_equal(heard.target, 1);
	assert_int_equal(health_failures(c.health, v4, dead), 1);
	/* another site, that has never met it, leaves it alone */
	try(&two);
	assert_int_equal(heard.target, 1);
	assert_int_equal(health_failures(c.health, v4, dead), 1);
	assert_int_equal(two.bad_until[0], 0);
	/* where there is nothing else it is tried all the same */
	memset(&one, 0, sizeof(one));
	add(&one, 0, v4, dead);
	try(&one);
	assert_int_equal(heard.fd, -1);
	assert_non_null(strstr(heard.why, "Connection refused"));
	close(good);
}

static void
test_weights_meet_the_dead(void **state)
{
	static struct route r;
	uint16_t dead = dead_port(), alive;
	int good = listen_on(v4, 16, &alive);

	/* one rank: the first draw falls on the dead one (zero), as every draw here does */
	memset(&r, 0, sizeof(r));
	add(&r, 0, v4, dead);
	add(&r, 1, v4, alive);
	r.plan.targets[1].pref = 0;
	r.plan.hosts[0].weight = 1000;
	r.plan.hosts[1].weight = 1;
	for (int i = 0; i < 5; i++) {
		try(&r);
		assert_int_equal(heard.target, 1);
	}
	assert_int_equal(health_failures(c.health, v4, dead), 1);
	close(good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_other_family, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_dead_are_last_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_weights_meet_the_dead, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
