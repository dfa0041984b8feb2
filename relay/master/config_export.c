/* config_export.c -- `webhooks` and `siem`: who hears of events; see config.h, docs/LOGS.md. */
#include <string.h>

#include "ipc/messages.h"
#include "master/config_read.h"

#define BACKLOG_DEFAULT 100000
#define BACKLOG_MAX 10000000
/* What waits for nobody's look is not sent unless it is asked for. */
#define EVENTS_DEFAULT (~(UINT64_C(1) << EVENT_ATTEMPT))

static void
read_events(struct reader *r, const struct conf_node *list, uint64_t *out)
{
	const char *names[EVENT_COUNT + 1] = { NULL };
	uint64_t got = 0;
	int v;

	for (int i = 0; i < EVENT_COUNT; i++)
		names[i] = event_name((enum event_kind)i);
	*out = EVENTS_DEFAULT;
	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "a list of events: [held, rejected]"))
		return;
	CONF_EACH(n, list)
		if (conf_enum(r->d, n, names, &v))
			got |= UINT64_C(1) << v;
	if (list->count == 0)
		error_at(r, list, "events: [held, quarantined, refused]", "no events: nothing would be sent");
	*out = got;
}

static bool
name_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-'))
			return false;
	return s.n > 0 && s.n <= 32;
}

static void
read_name(struct reader *r, const struct conf_node *n, const struct conf_export *all, size_t nall,
    struct conf_export *x)
{
	if (!text_of(r, conf_get(n, "name"), "a name", &x->name)) {
		error_at(r, n, "name: soc", "it needs a `name`: what was sent is remembered under it");
		return;
	}
	if (!name_ok(x->name))
		error_at(r, conf_get(n, "name"), NULL, "a name has a-z, 0-9 and `-`, 32 of them at most");
	for (size_t i = 0; i < nall; i++)
		if (span_eq(all[i].name, x->name))
			diag_at(r->d, DIAG_ERROR, conf_get(n, "name"), NULL, "the name `" SPAN_FMT
			    "` is taken, on line %u", SPAN_ARG(x->name), all[i].line);
}

static void
read_backlog(struct reader *r, const struct conf_node *map, struct conf_export *x)
{
	const struct conf_node *n = conf_get(map, "backlog");

	x->backlog = BACKLOG_DEFAULT;
	if (n)
		conf_uint(r->d, n, 1, BACKLOG_MAX, &x->backlog);
}

static bool
printable(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return true;
}

static void
read_webhook(struct reader *r, const struct conf_node *n, struct conf_export *x)
{
	static const char *const known[] = { "name", "url", "secret_file", "events", "backlog", NULL };
	const struct conf_node *k;
	struct span s;

	conf_check_keys(r->d, n, "webhooks", known);
	x->way = EXPORT_WEBHOOK;
	if (!text_of(r, conf_get(n, "url"), "https://…", &s))
		error_at(r, n, "url: https://soc.example.org/postern", "a webhook needs its `url`");
	else if (!span_starts(s, SPAN_LIT("https://")) || s.n > 1000 || !printable(s))
		error_at(r, conf_get(n, "url"), "https://soc.example.org/postern",
		    "a webhook goes to an https: URL, without spaces");
	else
		x->url = s.p;
	if ((k = conf_get(n, "secret_file")) == NULL)
		error_at(r, n, "secret_file: keys/soc.secret", "a webhook needs the `secret_file` that signs it");
	else if (text_of(r, k, "a file", &s))
		x->secret = secret_of(r, k, s);
}

/* `to`: udp:HOST:PORT, tcp:…, tls:…, unix:/dev/log */
static void
read_to(struct reader *r, const struct conf_node *n, struct conf_export *x)
{
	static const struct { const char *word; enum export_way way; uint16_t port; } ways[] = {
		{ "udp:", EXPORT_UDP, 514 }, { "tcp:", EXPORT_TCP, 601 }, { "tls:", EXPORT_TLS, 6514 },
		{ "unix:", EXPORT_UNIX, 0 } };
	struct conf_node host;
	struct span s;

	if (!text_of(r, n, "tls:siem.example.org:6514", &s))
		return;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (!span_starts(s, span_str(ways[i].word)))
			continue;
		x->way = ways[i].way;
		s = span_from(s, strlen(ways[i].word));
		if (x->way == EXPORT_UNIX) {
			x->path = arena_str(r->a, s);
			if (s.n < 2 || s.p[0] != '/' || s.n > 100)
				error_at(r, n, "unix:/dev/log", "a socket is named by its whole path");
			return;
		}
		host = *n;
		host.text = s;
		read_host(r, &host, ways[i].port, &x->host);
		return;
	}
	error_at(r, n, "tls:siem.example.org:6514", "`to` begins with udp:, tcp:, tls: or unix:");
}

static void
read_siem(struct reader *r, const struct conf_node *n, struct conf_export *x)
{
	static const char *const known[] = { "name", "to", "format", "ca", "events", "backlog", NULL };
	static const char *const formats[] = { "json", "ecs", "cef", NULL };
	const struct conf_node *k;
	struct span s;
	int v;

	conf_check_keys(r->d, n, "siem", known);
	x->format = EXPORT_CEF;
	if ((k = conf_get(n, "to")) == NULL)
		error_at(r, n, "to: \"tls:siem.example.org:6514\"", "a log server needs its `to`");
	else
		read_to(r, k, x);
	if ((k = conf_get(n, "format")) && conf_enum(r->d, k, formats, &v))
		x->format = (enum export_format)v;
	if ((k = conf_get(n, "ca")) && text_of(r, k, "a file", &s)) {
		x->roots = path_of(r, s);
		if (x->way != EXPORT_TLS)
			error_at(r, k, NULL, "`ca` is for tls: alone");
	}
}

static void
read_list(struct reader *r, const struct conf_node *list, struct conf_export *out, size_t *n,
    void (*read)(struct reader *, const struct conf_node *, struct conf_export *))
{
	if (list == NULL || !conf_want(r->d, list, CONF_LIST, "a list"))
		return;
	CONF_EACH(node, list) {
		if (*n == EXPORTS_MAX) {
			diag_at(r->d, DIAG_ERROR, node, NULL, "more than %d webhooks and log servers", EXPORTS_MAX);
			return;
		}
		if (!conf_want(r->d, node, CONF_MAP, "{name, …}"))
			continue;
		out[*n].line = node->line;
		read_name(r, node, out, *n, &out[*n]);
		read(r, node, &out[*n]);
		read_events(r, conf_get(node, "events"), &out[*n].events);
		read_backlog(r, node, &out[*n]);
		(*n)++;
	}
}

void
read_exports(struct reader *r, const struct conf_node *webhooks, const struct conf_node *siem)
{
	struct conf_export *out = arena_array(r->a, EXPORTS_MAX, sizeof(*out));

	read_list(r, webhooks, out, &r->c->nexports, read_webhook);
	read_list(r, siem, out, &r->c->nexports, read_siem);
	r->c->exports = out;
}
