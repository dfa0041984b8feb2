/* doctor_listeners.c -- `postern doctor`: does each listener answer, and is it posternd that does? */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/control_client.h"
#include "cli/doctor.h"
#include "cli/port_owner.h"

#define BANNER_MS 5000

/* A greeting, or what a milter says to an MTA that begins. How many bytes of it there are. */
static ssize_t
greeting(const struct sockaddr *sa, socklen_t len, bool milter, char *text, size_t room)
{
	static const char negotiate[] = "\0\0\0\15O\0\0\0\6\0\0\1\xff\0\x1f\xff\xff";
	struct pollfd p = { .events = POLLIN };
	ssize_t n = -1;

	p.fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p.fd != -1 && connect(p.fd, sa, len) == 0 && (!milter ||
	    send(p.fd, negotiate, sizeof(negotiate) - 1, MSG_NOSIGNAL) > 0) && poll(&p, 1, BANNER_MS) == 1)
		n = recv(p.fd, text, room, 0);
	if (p.fd != -1)
		close(p.fd);
	return n;
}

static bool
is_ours(const char *text, ssize_t n, bool milter)
{
	if (milter)
		return n > 4 && text[4] == 'O';
	/* 554: for those it does not know. */
	return n >= 3 && (strncmp(text, "220", 3) == 0 || strncmp(text, "554", 3) == 0);
}

static void
look_local(struct doctor *d, const struct conf_listener *l, const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	char text[8] = "";
	size_t n = strlen(path);

	if (n >= sizeof(sun.sun_path)) {
		doctor_say(d, ILL, "listener", SPAN_FMT ": %s is too long a path", SPAN_ARG(l->name), path);
		return;
	}
	memcpy(sun.sun_path, path, n + 1);
	if (is_ours(text, greeting((struct sockaddr *)&sun, sizeof(sun), true, text, sizeof(text) - 1), true))
		doctor_say(d, HEALTHY, "listener", SPAN_FMT " answers on %s", SPAN_ARG(l->name), path);
	else
		doctor_say(d, ILL, "listener", SPAN_FMT " does not answer on %s: %s", SPAN_ARG(l->name), path,
		    access(path, F_OK) == -1 ? "there is no such socket" : "posternd does not listen there");
}

static void
look_port(struct doctor *d, const struct conf_listener *l, struct ip at, uint16_t port)
{
	static const struct ip any4 = { .family = 4 }, any6 = { .family = 6 };
	struct ip ip = ip_eq(at, any4) ? (struct ip){ 4, { 127, 0, 0, 1 } } :
	    ip_eq(at, any6) ? (struct ip){ 6, { [15] = 1 } } : at;
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(ip, port, &ss);
	char text[8] = "", addr[IP_TEXT_MAX];
	ssize_t n = greeting((struct sockaddr *)&ss, len, l->milter, text, sizeof(text) - 1);
	/* Somebody else's 220 is none of ours: a Postfix on port 25, when we could not have it. What was handed
	 * to us has its holder's name, too. */
	const char *owner = n >= 3 && l->activated == NULL ? port_owner(d->a, at, port) : NULL;

	if (owner && strncmp(owner, "posternd", 8) != 0 && strncmp(owner, "another", 7) != 0 &&
	    strncmp(owner, "systemd", 7) != 0)
		doctor_say(d, ILL, "listener", SPAN_FMT ": on %s:%u answers %s, not posternd", SPAN_ARG(l->name),
		    ip_format(ip, addr), port, owner);
	else if (is_ours(text, n, l->milter))
		doctor_say(d, HEALTHY, "listener", SPAN_FMT " answers on %s:%u", SPAN_ARG(l->name),
		    ip_format(ip, addr), port);
	else if ((owner = port_owner(d->a, at, port)) == NULL)
		doctor_say(d, ILL, "listener", SPAN_FMT " does not answer on %s:%u: nobody listens there",
		    SPAN_ARG(l->name), ip_format(ip, addr), port);
	else
		doctor_say(d, ILL, "listener", SPAN_FMT " does not answer on %s:%u: the port belongs to %s",
		    SPAN_ARG(l->name), ip_format(ip, addr), port, owner);
}

/* ---- where systemd's sockets are says the daemon, which was given them ---- */

struct held {
	const struct conf_listener *l;
	struct arena *a;
	struct span address;
	uint16_t port;
};

static void
heard(void *ctx, const struct jval *v, struct span text)
{
	const struct jval *list = jval_get(v, "listeners"), *one;
	struct held *h = ctx;

	for (size_t i = 0; (one = jval_at(list, i)) != NULL; i++)
		if (span_eq(jval_text(one, "name"), h->l->name)) {
			h->address = arena_span(h->a, jval_text(one, "address"));
			h->port = (uint16_t)jval_int(one, "port", 0);
		}
}

static void
look_held(struct doctor *d, const struct conf_listener *l)
{
	struct held h = { l, d->a, { 0 }, 0 };
	struct request r;
	struct ip ip;

	request_begin(&r, "status");
	if (control_ask_quietly(d->cli, &r, heard, &h) != CLI_OK || h.address.n == 0)
		doctor_say(d, ILL, "listener", SPAN_FMT " waits for systemd's socket %s: see "
		    "`systemctl list-sockets`", SPAN_ARG(l->name), l->activated);
	else if (h.address.p[0] == '/')
		look_local(d, l, h.address.p);
	else if (ip_parse(h.address, &ip))
		look_port(d, l, ip, h.port);
}

void
doctor_listeners(struct doctor *d)
{
	for (size_t i = 0; i < d->conf->nlisteners; i++) {
		const struct conf_listener *l = &d->conf->listeners[i];

		if (l->activated)
			look_held(d, l);
		else if (l->local)
			look_local(d, l, l->local);
		else
			look_port(d, l, l->ip, l->port);
	}
}
