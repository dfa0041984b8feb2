/* directory_control.c -- `postern directory`: what the directories are, and what they know of an address.
 *
 * People are told what LDAP says now, and beside it what the cache had: the question at
 * three in the morning is whether the two differ.
 */
#include <stdlib.h>

#include "clock.h"
#include "directory/directory.h"
#include "ipc/principal.h"
#include "directory/filter.h"
#include "json.h"
#include "log.h"
#include "master/counters.h"

struct visit {			/* a client, until all its questions are answered */
	struct directory *d;
	struct arena *arena;
	struct reply *reply;
	const struct conf_directory *dir;
	struct span address;
	size_t waiting;
};

struct visit_question {
	struct visit *v;
	const char *what;	/* "groups", "route" … */
	uint32_t line;		/* of a route, in postern.yaml */
	struct span filter, attribute;
	int64_t began;
};

/* ---- list ---- */

static void
list_one(struct directory *d, const struct conf_directory *dir, struct json *j)
{
	struct pool *p = asker_pool(d->asker, dir);
	struct pool_server servers[DIRECTORY_SERVERS_MAX];
	size_t n = pool_servers(p, servers);

	json_object(j);
	json_kint(j, "v", 1);
	json_kstr(j, "name", dir->name);
	json_kcstr(j, "base", dir->base);
	json_kcstr(j, "bind", dir->bind);
	json_kbool(j, "down", pool_down(p));
	json_kuint(j, "cached", cache_count(d->cache));
	json_key(j, "servers");
	json_array(j);
	for (size_t i = 0; i < n; i++) {
		json_object(j);
		json_kstr(j, "url", servers[i].conf->url);
		json_kbool(j, "starttls", dir->starttls && !servers[i].conf->ldaps);
		json_kbool(j, "used", servers[i].used);
		json_kuint(j, "failures", servers[i].failures);
		json_kint(j, "rests", servers[i].rests / US_PER_SEC);
		json_kcstr(j, "error", servers[i].why[0] ? servers[i].why : NULL);
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
}

static void
list(struct directory *d, int fd)
{
	struct reply *r = reply_new(d->rt, fd);
	struct json j;

	for (size_t i = 0; i < d->rt->conf->ndirectories; i++) {
		json_begin(&j, reply_buf(r));
		list_one(d, &d->rt->conf->directories[i], &j);
		buf_putc(reply_buf(r), '\n');
	}
	reply_end(&r);
}

static void
flush(struct directory *d, int fd, const struct conf_directory *dir)
{
	struct reply *r = reply_new(d->rt, fd);
	struct json j;
	size_t n = 0;

	for (const char *kind = "vge"; *kind; kind++) {
		struct buf b;

		buf_init(&b, 4096);
		buf_putc(&b, *kind);
		buf_span(&b, dir->name);
		buf_putc(&b, '\0');
		n += cache_forget(d->cache, buf_data(&b));
		buf_release(&b);
	}
	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kuint(&j, "forgotten", n);
	json_end_object(&j);
	buf_putc(reply_buf(r), '\n');
	reply_end(&r);
}

/* ---- test and lookup ---- */

static void
one_less(struct visit *v)
{
	struct arena *a = v->arena;

	if (--v->waiting > 0)
		return;
	reply_end(&v->reply);
	arena_free(&a);
}

static void
heard(void *ctx, const struct answer *a)
{
	static const char *const statuses[ASK_STATUSES] = { [ASK_FOUND] = "found",
		[ASK_MISSING] = "missing", [ASK_UNKNOWN] = "unknown" };
	static const char *const ages[] = { [CACHE_NONE] = "nothing", [CACHE_FRESH] = "fresh",
		[CACHE_STALE] = "stale" };
	struct visit_question *q = ctx;
	struct visit *v = q->v;
	struct json j;

	json_begin(&j, reply_buf(v->reply));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "what", q->what);
	if (q->line)
		json_kuint(&j, "line", q->line);
	json_kstr(&j, "directory", v->dir->name);
	json_kcstr(&j, "filter", a->filter);
	json_kstr(&j, "attribute", q->attribute);
	json_kcstr(&j, "status", statuses[a->status]);
	json_kbool(&j, "stale", a->stale);
	json_kcstr(&j, "dn", a->dn);
	json_key(&j, "values");
	json_array(&j);
	for (size_t i = 0; i < a->n; i++)
		json_str(&j, a->values[i]);
	json_end_array(&j);
	json_kcstr(&j, "server", a->server);
	json_kcstr(&j, "cache", ages[a->was]);
	json_kint(&j, "cache_age", a->was ? (clock_real() - a->was_made) / US_PER_SEC : 0);
	json_kint(&j, "ms", (clock_mono() - q->began) / 1000);
	json_kcstr(&j, "error", a->status == ASK_UNKNOWN || a->stale ? a->text : NULL);
	json_end_object(&j);
	buf_putc(reply_buf(v->reply), '\n');
	one_less(v);
}

static struct visit_question *
question(struct visit *v, const char *what)
{
	struct visit_question *q = arena_zalloc(v->arena, sizeof(*q));

	q->v = v;
	q->what = what;
	q->began = clock_mono();
	v->waiting++;
	return q;
}

static void
ask_lookup(struct visit *v, const char *what, uint32_t line, struct span filter,
    struct span attribute)
{
	struct visit_question *q = question(v, what);

	q->line = line;
	q->attribute = attribute;
	ask_values(v->d->asker, v->dir, filter, attribute, v->address, true, heard, q);
}

/* All that Postern ever asks this directory about an address. */
static void
lookup(struct visit *v)
{
	const struct config *conf = v->d->rt->conf;

	ask_groups(v->d->asker, v->dir, v->address, true, heard, question(v, "groups"));
	for (size_t i = 0; i < conf->delivery.nlines; i++) {
		const struct conf_route *r = conf->delivery.lines[i];

		if (r->ldap.directory == v->dir)
			ask_lookup(v, "route", r->line, r->ldap.filter, r->ldap.attribute);
	}
	if (conf->auth_ldap.directory == v->dir && conf->auth_dn.n == 0)
		ask_lookup(v, "login", 0, conf->auth_ldap.filter, SPAN_LIT(""));
}

/* Whether a search works, as Postern would send one: the base has to be there. */
static void
test(struct visit *v)
{
	struct span base;

	if (!dn_normalise(v->arena, span_str(v->dir->base), &base))
		base = span_str(v->dir->base);
	ask_exists(v->d->asker, v->dir, base, true, heard, question(v, "base"));
}

void
directory_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	struct directory *d = rt->state;
	struct arena *a = arena_new(0);
	struct visit *v = arena_zalloc(a, sizeof(*v));
	const struct conf_directory *dir = NULL;
	struct span cmd, name, address = { 0 };
	struct conf_node *root;
	struct diags diags;
	struct err err;

	/* JSON is YAML, and base's reader is bounded. */
	diags_init(&diags, a);
	root = conf_parse("request", arena_span(a, request), &diags);
	if (principal_may(request, uid, 0, NULL, &err) == -1) {
		reply_error(rt, fd, err.text);
	} else if (root == NULL || !conf_text(&diags, conf_get(root, "cmd"), "cmd", &cmd)) {
		reply_error(rt, fd, "unknown command");
	} else if (span_is(cmd, "directory")) {
		list(d, fd);
	} else if (!conf_text(&diags, conf_get(root, "name"), "name", &name) ||
	    (dir = config_directory(rt->conf, name)) == NULL) {
		reply_error(rt, fd, "no such directory in postern.yaml");
	} else if (span_is(cmd, "directory.flush")) {
		flush(d, fd, dir);
	} else if (span_is(cmd, "directory.test") || (span_is(cmd, "directory.lookup") &&
	    conf_text(&diags, conf_get(root, "address"), "address", &address) && address.n)) {
		*v = (struct visit){ .d = d, .arena = a, .dir = dir, .waiting = 1,
			.address = mailaddr_normalise(a, address), .reply = reply_new(rt, fd) };
		if (address.n)
			lookup(v);
		else
			test(v);
		one_less(v);
		return;
	} else {
		reply_error(rt, fd, "unknown command");
	}
	arena_free(&a);
}
