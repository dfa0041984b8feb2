/* console.c -- the role that serves people: the pages, the API behind them, links of mails, over HTTPS.
 *
 * It holds a certificate's key and nothing else: no message, no password's hash, no key of tokens.
 * Who asks, and what a token is worth, the store says, each time; what is shown and done the
 * role that answers a command limits to him (ipc/principal.h). The files are named in console.h.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "console/console.h"
#include "console/page.h"
#include "log.h"
#include "net/tls_server.h"

#define ACCEPTS_PER_TURN 16
#define RETIRE_TIME (5 * US_PER_SEC)

/* ---- connections ---- */

/* The sockets stay readable meanwhile: without a rest the loop would do nothing else. */
static void
rest(struct console *c)
{
	struct timeval tv = { .tv_sec = 1 };

	log_error("accept: %s; the console rests for a second", strerror(errno));
	if (c->accept)
		event_del(c->accept);
	if (c->metrics_accept)
		event_del(c->metrics_accept);
	evtimer_add(c->rested, &tv);
}

static void
on_rested(evutil_socket_t fd, short what, void *arg)
{
	struct console *c = arg;

	if (c->accept)
		event_add(c->accept, NULL);
	if (c->metrics_accept)
		event_add(c->metrics_accept, NULL);
}

static void
on_accept(evutil_socket_t fd, short what, void *arg)
{
	struct console *c = arg;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage ss;
		socklen_t len = sizeof(ss);
		uint16_t port;
		int client = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (client == -1 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (client == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS)) {
			rest(c);
			return;
		}
		if (client == -1)
			return;
		client_new(c, client, ip_from_sockaddr((struct sockaddr *)&ss, &port), fd == c->metrics_fd);
	}
}

/* ---- the role ---- */

static int
console_start(struct runtime *rt, struct err *err)
{
	const struct conf_console *conf = &rt->conf->console;
	const struct tls_server t = { conf->certificate, conf->key, rt->conf->tls_only13, NULL };
	struct console *c = calloc(1, sizeof(*c));
	char warning[128];

	ASSERT(c != NULL);
	rt->state = c;
	c->rt = rt;
	c->fd = c->metrics_fd = -1;
	c->tickets = tickets_new();
	c->scratch = arena_new(0);
	files_start();
	if (conf->certificate == NULL)
		return 0;
	if ((c->tls = tls_server_context(&t, err)) == NULL)
		return -1;
	if (tls_server_warning(c->tls, clock_real() / US_PER_SEC, warning, sizeof(warning)))
		log_warn("console: %s", warning);
	return 0;
}

static void
on_leave(evutil_socket_t fd, short what, void *arg)
{
	struct console *c = arg;

	runtime_finish(c->rt);
}

static int
console_run(struct runtime *rt, struct err *err)
{
	struct console *c = rt->state;

	c->leave = evtimer_new(rt->base, on_leave, c);
	c->rested = evtimer_new(rt->base, on_rested, c);
	ASSERT(c->leave != NULL && c->rested != NULL);
	console_page_security();
	return 0;
}

static void
console_listener(struct runtime *rt, uint32_t index, int fd)
{
	struct console *c = rt->state;

	bool metrics = config_endpoint_is_metrics(rt->conf, index);
	struct event **accept_on = metrics ? &c->metrics_accept : &c->accept;
	int *to = metrics ? &c->metrics_fd : &c->fd;

	if (*to != -1 || rt->retiring) {
		close(fd);
		return;
	}
	*to = fd;
	*accept_on = event_new(rt->base, fd, EV_READ | EV_PERSIST, on_accept, c);
	ASSERT(*accept_on != NULL);
	event_add(*accept_on, NULL);
}

static int
console_frame(struct runtime *rt, struct link *l, struct frame *f)
{
	struct console *c = rt->state;
	struct client *k;

	if (f->type != FRAME_APPROVE_TOLD && f->type != FRAME_PERSON_TOLD && f->type != FRAME_DIGEST_TOLD)
		return -1;
	if ((k = ticket_close(c->tickets, f->ticket)) == NULL)
		return 0;
	k->ticket = 0;
	k->told(k, f);
	return 0;
}

static void
console_peer_up(struct runtime *rt, struct link *l)
{
	struct console *c = rt->state;

	c->store = l;
}

static void
console_peer_down(struct runtime *rt, struct link *l)
{
	struct console *c = rt->state;

	if (c->store == l) {
		c->store = NULL;
		clients_store_gone(c);
	}
}

static void
stop_listening(struct event **accept_on, int *fd)
{
	if (*accept_on == NULL)
		return;
	event_free(*accept_on);
	*accept_on = NULL;
	close(*fd);
	*fd = -1;
}

static void
console_retire(struct runtime *rt)
{
	struct console *c = rt->state;
	struct timeval tv = { .tv_sec = RETIRE_TIME / US_PER_SEC };

	stop_listening(&c->accept, &c->fd);
	stop_listening(&c->metrics_accept, &c->metrics_fd);
	clients_retire(c);
	if (c->n == 0)
		runtime_finish(rt);
	else
		evtimer_add(c->leave, &tv);
}

static const struct sandbox console_sandbox = { SANDBOX_NET_SERVER | SANDBOX_PAIR };

const struct role_ops console_ops = {
	.role = ROLE_CONSOLE,
	.sandbox = &console_sandbox,
	.start = console_start,
	.run = console_run,
	.peer_up = console_peer_up,
	.peer_down = console_peer_down,
	.frame = console_frame,
	.listener = console_listener,
	.retire = console_retire,
};
