/* config_milter.c -- postern.yaml: listeners that speak the milter protocol; see config_read.h.
 *
 * `milter` stands where an SMTP listener has its `address`, in the words Postfix and Sendmail use:
 * inet:ADDRESS:PORT, unix:/PATH (local: is the same); systemd:NAME is a socket systemd holds.
 */
#include <stddef.h>
#include <sys/un.h>

#include "master/config_read.h"

#define EXAMPLE "\"inet:127.0.0.1:8891\""

/* "0660", as chmod(1) takes it. */
static void
read_mode(struct reader *r, const struct conf_node *n, struct conf_listener *l)
{
	uint32_t mode = 0;
	struct span s;

	if (!conf_text(r->d, n, "a mode", &s))
		return;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '7' || s.n > 4) {
			diag_at(r->d, DIAG_ERROR, n, "\"0660\"", "`" SPAN_FMT "` is no mode of a file",
			    SPAN_ARG(s));
			return;
		}
		mode = mode * 8 + (uint32_t)(s.p[i] - '0');
	}
	if (s.n == 0 || mode > 0777)
		diag_at(r->d, DIAG_ERROR, n, "\"0660\"", "`" SPAN_FMT "` is no mode of a socket", SPAN_ARG(s));
	else if (mode & 2)
		diag_at(r->d, DIAG_WARNING, n, "0660 and a `socket_group`",
		    "every account of this machine may speak as the mail server then");
	l->local_mode = mode;
}

static void
read_local(struct reader *r, const struct conf_node *map, const struct conf_node *n, struct span path,
    struct conf_listener *l)
{
	static const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	const struct conf_node *k;

	l->local = arena_span(r->a, path).p;
	l->local_mode = 0660;
	if (path.n < 2 || path.p[0] != '/' || path.p[path.n - 1] == '/')
		error_at(r, n, "\"unix:/run/postern/milter.sock\"", "the socket needs a path from / on");
	else if (path.n > max)
		diag_at(r->d, DIAG_ERROR, n, NULL, "the path of a socket has %zu bytes at most", max);
	if ((k = conf_get(map, "socket_mode")))
		read_mode(r, k, l);
	if ((k = conf_get(map, "socket_group")))
		text_of(r, k, "a group", &l->local_group);
}

void
read_milter(struct reader *r, const struct conf_node *map, const struct conf_node *n,
    struct conf_listener *l)
{
	static const char *const smtp[] = { "address", "tls", "auth", "client_certificates",
		"proxy_protocol", "xclient", "upstream", "banner", "bare_newlines", NULL };
	static const char *const local[] = { "socket_mode", "socket_group", NULL };
	static const struct span inet = { "inet:", 5 }, inet6 = { "inet6:", 6 }, file = { "unix:", 5 },
	    other = { "local:", 6 }, held = { "systemd:", 8 };
	struct span s;
	struct err err;

	l->milter = true;
	l->limits.command_timeout = 120 * MINUTE;	/* MTAs keep the line open as long as their client's */
	l->limits.errors = l->limits.messages = 1000000000;
	for (size_t i = 0; smtp[i]; i++)
		if (conf_get(map, smtp[i]))
			diag_key(r->d, DIAG_ERROR, conf_get(map, smtp[i]), NULL,
			    "`%s` is for SMTP: not beside `milter`", smtp[i]);
	if (conf_get(map, "mtas"))
		read_nets(r, conf_get(map, "mtas"), &l->mtas);
	if (!conf_text(r->d, n, "inet:ADDRESS:PORT or unix:/PATH", &s))
		return;
	if (span_starts(s, file) || span_starts(s, other)) {
		read_local(r, map, n, span_from(s, span_starts(s, file) ? file.n : other.n), l);
		if (conf_get(map, "mtas"))
			error_at(r, conf_get(map, "mtas"), "socket_group: postfix",
			    "`mtas` are addresses: a socket of the file system has a mode and a group");
		return;
	}
	for (size_t i = 0; local[i]; i++)
		if (conf_get(map, local[i]))
			diag_key(r->d, DIAG_ERROR, conf_get(map, local[i]), NULL,
			    "`%s` belongs to a `milter: unix:/PATH`", local[i]);
	if (span_starts(s, held)) {
		l->activated = arena_span(r->a, span_from(s, held.n)).p;
		if (s.n == held.n || span_find(s, '/') < s.n)
			error_at(r, n, "\"systemd:postern-milter\"", "systemd's sockets have a name: FileDescriptorName=");
		return;
	}
	if (span_starts(s, inet) || span_starts(s, inet6))
		s = span_from(s, span_starts(s, inet) ? inet.n : inet6.n);
	if (hostport_parse_ip(s, 0, &l->ip, &l->port, &err) == -1)
		diag_at(r->d, DIAG_ERROR, n, EXAMPLE, "%s", err.text);
}

void
refuse_milter_keys(struct reader *r, const struct conf_node *map)
{
	static const char *const keys[] = { "mtas", "socket_mode", "socket_group", NULL };

	for (size_t i = 0; keys[i]; i++)
		if (conf_get(map, keys[i]))
			diag_key(r->d, DIAG_ERROR, conf_get(map, keys[i]), NULL, "`%s` belongs to a `milter`",
			    keys[i]);
}

static void
check_twice(struct reader *r, const struct conf_node *list, const struct conf_listener *l, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		const struct conf_listener *o = &r->c->listeners[k];

		if ((l->local && o->local && strcmp(l->local, o->local) == 0) ||
		    (l->activated && o->activated && strcmp(l->activated, o->activated) == 0))
			diag_at(r->d, DIAG_ERROR, list, NULL, "the listeners `" SPAN_FMT "` and `" SPAN_FMT "` have one socket",
			    SPAN_ARG(o->name), SPAN_ARG(l->name));
	}
}

/* What a milter takes from the MTA goes back to it: by MX it would go past it. */
void
check_milters(struct reader *r, const struct conf_node *root)
{
	const struct conf_node *list = conf_get(root, "listeners");
	bool any = false;

	for (size_t i = 0; i < r->c->nlisteners; i++) {
		any |= r->c->listeners[i].milter;
		check_twice(r, list, &r->c->listeners[i], i);
	}
	if (any && !conf_get(conf_get(conf_get(root, "delivery"), "routes"), "*"))
		error_at(r, list, "delivery: {routes: {\"*\": [\"127.0.0.1:10026\"]}}", "a `milter` needs the route by which "
		    "released mail returns to its MTA, to a port without milters");
}
