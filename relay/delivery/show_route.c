/* show_route.c -- `postern route`: the way of one address, for people; see show_route.h. */
#include <stdlib.h>

#include "clock.h"
#include "delivery/health.h"
#include "delivery/hub.h"
#include "net/resolver.h"
#include "delivery/route.h"
#include "delivery/show_route.h"
#include "delivery/sts.h"
#include "json.h"

struct ask {
	struct carrier *c;
	struct reply *reply;
	struct routing *routing;
	struct arena *arena;
	struct span address, domain, sender;
	const struct conf_route *line;	/* what decided; NULL: none */
	bool asked, stale;		/* the directory was; what it said is old */
};

/* The line of postern.yaml, as people find it. */
static void
write_line(struct json *j, const struct ask *ask)
{
	static const char *const kinds[] = { [ROUTE_RECIPIENT] = "delivery.routes",
		[ROUTE_DOMAIN] = "domains", [ROUTE_SENDER] = "delivery.sender_routes" };
	const struct conf_route *l = ask->line;

	json_key(j, "by");
	if (l == NULL) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kcstr(j, "section", kinds[l->by]);
	json_kstr(j, "match", l->match);
	json_kuint(j, "line", l->line);
	if (l->ldap.directory) {
		json_kstr(j, "directory", l->ldap.directory->name);
		json_kbool(j, "directory_used", ask->asked);
		json_kbool(j, "stale", ask->stale);
	}
	json_end_object(j);
}

static void
write_targets(struct json *j, const struct carrier *c, const struct plan *p)
{
	static const char *const dane[] = { [DANE_NONE] = "none", [DANE_USABLE] = "usable",
		[DANE_UNUSABLE] = "unusable", [DANE_FAILED] = "failed" };

	json_key(j, "targets");
	json_array(j);
	for (size_t i = 0; i < p->ntargets; i++) {
		const struct target *t = &p->targets[i];
		int64_t rests = health_until(c->health, t->ip, t->port) - clock_mono();
		char ip[IP_TEXT_MAX];

		json_object(j);
		json_kint(j, "preference", t->pref);
		json_kcstr(j, "host", p->hosts[t->host].name);
		json_kcstr(j, "address", ip_format(t->ip, ip));
		json_kint(j, "port", t->port);
		json_kcstr(j, "dane", dane[p->hosts[t->host].dane]);
		json_kuint(j, "weight", p->hosts[t->host].weight);
		json_kuint(j, "failures", health_failures(c->health, t->ip, t->port));
		json_kint(j, "rests", rests > 0 ? rests / US_PER_SEC + 1 : 0);
		json_end_object(j);
	}
	json_end_array(j);
}

/* From where and under which name it would leave. */
static void
write_pool(struct json *j, const struct conf_delivery *conf, const struct route *route)
{
	struct conf_pool p = route_pool(conf, route);

	json_key(j, "source");
	json_array(j);
	for (size_t i = 0; i < p.nsources; i++) {
		char ip[IP_TEXT_MAX];

		json_cstr(j, ip_format(p.sources[i], ip));
	}
	json_end_array(j);
	json_kstr(j, "hello", p.hello);
}

static void
tell_route(void *ctx, struct route *route)
{
	static const char *const kinds[] = { [PLAN_MX] = "mx", [PLAN_IMPLICIT] = "address",
		[PLAN_STATIC] = "static" };
	static const char *const policies[] = { "none", "dane", "mta-sts", "dane+mta-sts" };
	static const char *const floors[] = { [FLOOR_NONE] = "none",
		[FLOOR_OPPORTUNISTIC] = "opportunistic", [FLOOR_ENCRYPTED] = "encrypted" };
	struct ask *ask = ctx;
	const struct conf_delivery *conf = &ask->c->conf->delivery;
	const struct plan *p = &route->plan;
	struct arena *a = ask->arena;
	struct json j;

	json_begin(&j, reply_buf(ask->reply));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "address", ask->address);
	json_kstr(&j, "domain", ask->domain);
	json_kbool(&j, "ok", route->ok);
	json_kcstr(&j, "kind", p->nhosts && ask->domain.p[0] == '[' ? "literal" : kinds[p->kind]);
	write_targets(&j, ask->c, p);
	write_line(&j, ask);
	write_pool(&j, conf, route);
	if (!route->ok) {
		json_kcstr(&j, "status", p->status == RCPT_FAILED ? "bounced" : "deferred");
		json_kcstr(&j, "dsn", p->dsn);
		json_kcstr(&j, "error", p->text);
	}
	json_key(&j, "tls");
	json_object(&j);
	json_kcstr(&j, "policy", policies[conf->dane + 2 * conf->sts]);
	json_kcstr(&j, "floor", floors[conf->floor]);
	json_kbool(&j, "mx_secure", p->secure);
	sts_write(&j, route->sts, clock_real());
	json_end_object(&j);
	json_key(&j, "limits");
	json_object(&j);
	json_kint(&j, "connections", conf->site_connections);
	json_kint(&j, "messages_per_connection", conf->site_messages);
	json_end_object(&j);
	if (route->ok)
		hub_write(ask->c, route, &j);
	json_end_object(&j);
	buf_putc(reply_buf(ask->reply), '\n');
	reply_end(&ask->reply);
	route_unref(&route);
	arena_free(&a);
}

/* There is no way: the directory said so, or could not be asked. */
static void
tell_no_way(struct ask *ask, const struct smtp_result *why)
{
	struct arena *a = ask->arena;
	struct json j;

	json_begin(&j, reply_buf(ask->reply));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kstr(&j, "address", ask->address);
	json_kstr(&j, "domain", ask->domain);
	json_kbool(&j, "ok", false);
	json_kcstr(&j, "kind", "ldap");
	write_line(&j, ask);
	json_kcstr(&j, "status", why->status == RCPT_FAILED ? "bounced" : "deferred");
	json_kcstr(&j, "dsn", why->dsn);
	json_kstr(&j, "error", why->reply);
	json_end_object(&j);
	buf_putc(reply_buf(ask->reply), '\n');
	reply_end(&ask->reply);
	arena_free(&a);
}

static void
got_way(void *ctx, const struct dispatch_answer *w)
{
	struct ask *ask = ctx;

	ask->line = w->line;
	ask->asked = w->asked;
	ask->stale = w->stale;
	if (w->way.n == 0)
		tell_no_way(ask, w->why);
	else
		ask->routing = route_find(ask->c, w->way, tell_route, ask);
}

void
show_route(struct runtime *rt, struct carrier *c, struct dispatch *dispatch, int fd,
    struct span request)
{
	struct arena *a = arena_new(0);
	struct ask *ask = arena_zalloc(a, sizeof(*ask));
	struct diags diags;
	struct conf_node *root;
	struct span text, local, domain;

	/* JSON is YAML, and base's reader is bounded. */
	diags_init(&diags, a);
	root = conf_parse("request", arena_span(a, request), &diags);
	if (root == NULL || !conf_get(root, "address") ||
	    !conf_text(&diags, conf_get(root, "address"), "address", &text)) {
		arena_free(&a);
		reply_error(rt, fd, "unknown command");
		return;
	}
	ask->c = c;
	ask->arena = a;
	ask->address = mailaddr_normalise(a, text);
	if (!mailaddr_split(ask->address, &local, &domain) &&
	    !(text.n && text.p[0] == '[' ? (domain = text, true) :
	    domain_normalise(a, text, &domain))) {
		arena_free(&a);
		reply_error(rt, fd, "not a mail address or domain");
		return;
	}
	ask->domain = domain;
	ask->reply = reply_new(rt, fd);
	if (conf_get(root, "from") && conf_text(&diags, conf_get(root, "from"), "from", &text))
		ask->sender = mailaddr_normalise(a, text);
	dispatch_ask(dispatch, ask->domain, ask->address, ask->sender, got_way, ask);
}
