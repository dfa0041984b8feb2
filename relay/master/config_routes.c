/* config_routes.c -- where mail goes: delivery.routes, delivery.sender_routes, domains.X.deliver_to.
 *
 * A value is a host, a list of hosts, or a map:
 *
 *	["a:25", "b:25"]			in order: b when a does not answer
 *	[{to: a, weight: 3}, {to: b}, {to: c, backup: true}]	three and one in four; c when neither
 *	{to: [...], pool: bulk}			and from which address, under which name
 *	{ldap: {directory, filter, attribute}, to: [...]}	what the directory says; `to` when it
 *						knows nothing of the address
 */
#include <string.h>

#include "master/config_read.h"

/* ---- pools ---- */

size_t
read_sources(struct reader *r, const struct conf_node *list, const struct ip **to)
{
	const struct conf_node *item = list->kind == CONF_LIST ? list->first : list;
	struct ip *out;
	size_t n = 0;

	if (list->kind == CONF_MAP && !conf_want(r->d, list, CONF_LIST, "a list of our own addresses"))
		return 0;
	out = arena_array(r->a, list->kind == CONF_LIST ? list->count : 1, sizeof(*out));
	for (; item; item = list->kind == CONF_LIST ? item->next : NULL) {
		struct span s;

		if (!conf_text(r->d, item, "an address", &s))
			continue;
		if (!ip_parse(s, &out[n]))
			diag_at(r->d, DIAG_ERROR, item, NULL, "`" SPAN_FMT "` is no address",
			    SPAN_ARG(s));
		else
			n++;
	}
	*to = out;
	return n;
}

static void
read_leaving(struct reader *r, const struct conf_node *map, struct conf_pool *p)
{
	const struct conf_node *n;
	struct span s;

	if ((n = conf_get(map, "source")))
		p->nsources = read_sources(r, n, &p->sources);
	if ((n = conf_get(map, "hello")) && text_of(r, n, "a host name", &p->hello) &&
	    !domain_normalise(r->a, p->hello, &s))
		diag_at(r->d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "` is no host name",
		    SPAN_ARG(p->hello));
}

void
read_pools(struct reader *r, const struct conf_node *map)
{
	static const char *const known[] = { "source", "hello", NULL };
	struct conf_delivery *dl = &r->c->delivery;
	struct conf_pool *out;

	if (map == NULL || !conf_want(r->d, map, CONF_MAP, "pools by name"))
		return;
	out = arena_array(r->a, map->count, sizeof(*out));
	CONF_EACH(node, map) {
		struct conf_pool *p = &out[dl->npools++];

		p->name = arena_span(r->a, node->key);
		if (!conf_want(r->d, node, CONF_MAP, "{source, hello}"))
			continue;
		conf_check_keys(r->d, node, "pools", known);
		read_leaving(r, node, p);
	}
	dl->pools = out;
}

static void
use_pool(struct reader *r, const struct conf_node *n, struct conf_pool *to)
{
	const struct conf_delivery *dl = &r->c->delivery;
	const char **names = arena_array(r->a, dl->npools + 1, sizeof(*names));
	const char *near;
	struct span s;

	if (!conf_text(r->d, n, "the name of a pool", &s))
		return;
	for (size_t i = 0; i < dl->npools; i++) {
		names[i] = dl->pools[i].name.p;
		if (span_eq(dl->pools[i].name, s)) {
			*to = dl->pools[i];
			return;
		}
	}
	near = conf_nearest(s, names);
	diag_at(r->d, DIAG_ERROR, n, near ? arena_printf(r->d->arena, "did you mean `%s`?", near) :
	    dl->npools ? NULL : "delivery: {pools: {NAME: {source: [...]}}}",
	    "no pool `" SPAN_FMT "`", SPAN_ARG(s));
}

/* ---- next hops ---- */

static bool
read_hop(struct reader *r, const struct conf_node *n, uint16_t port, struct conf_host *h)
{
	static const char *const known[] = { "to", "weight", "backup", NULL };
	const struct conf_node *to = n, *k;
	uint64_t weight;
	bool backup = false;

	*h = (struct conf_host){ 0 };
	if (n->kind == CONF_MAP) {
		conf_check_keys(r->d, n, "a next hop", known);
		if ((to = conf_get(n, "to")) == NULL) {
			error_at(r, n, "{to: \"host:25\", weight: 3}", "a next hop needs its `to`");
			return false;
		}
		if ((k = conf_get(n, "weight")) && conf_uint(r->d, k, 1, 1000, &weight))
			h->weight = (uint16_t)weight;
		if ((k = conf_get(n, "backup")) && conf_bool(r->d, k, &backup) && backup &&
		    h->weight)
			diag_at(r->d, DIAG_WARNING, k, NULL,
			    "backups are tried in order: this `weight` says nothing");
	}
	if (!read_host(r, to, port, h))
		return false;
	h->rank = backup;
	return true;
}

/* Without any weight the list is tried in order. With one, those that are no backups share by
 * weight, 1 unless it is given; backups come behind, in order. read_hop left 1 in the rank of
 * a backup. */
static const struct conf_host *
rank_hops(struct reader *r, const struct conf_host *in, size_t n)
{
	struct conf_host *out = arena_array(r->a, n, sizeof(*out));
	bool weighted = false;
	uint16_t rank = 0;
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		weighted |= in[i].rank == 0 && in[i].weight > 0;
	for (unsigned backup = 0; backup < 2; backup++) {
		for (size_t i = 0; i < n; i++) {
			if (in[i].rank != backup)
				continue;
			out[k] = in[i];
			out[k].weight = 0;
			if (weighted && !backup) {
				out[k].rank = 0;
				out[k].weight = in[i].weight ? in[i].weight : 1;
			} else {
				out[k].rank = rank++;
			}
			k++;
		}
		if (weighted && rank == 0)
			rank = 1;
	}
	return out;
}

static void
read_hops(struct reader *r, const struct conf_node *n, uint16_t port, struct conf_route *out)
{
	struct conf_host *h;
	size_t count = n->kind == CONF_LIST ? n->count : 1, k = 0;

	h = arena_array(r->a, count ? count : 1, sizeof(*h));
	if (n->kind == CONF_LIST) {
		if (n->count == 0)
			error_at(r, n, NULL, "an empty list of hosts");
		if (n->count > ROUTE_HOSTS_MAX)
			diag_at(r->d, DIAG_ERROR, n, NULL, "more than %d next hops",
			    ROUTE_HOSTS_MAX);
		CONF_EACH(item, n)
			k += read_hop(r, item, port, &h[k]);
	} else {
		k += read_hop(r, n, port, &h[k]);
	}
	out->hosts = rank_hops(r, h, k);
	out->nhosts = k;
}

static void
read_route_map(struct reader *r, const struct conf_node *n, uint16_t port, struct conf_route *out)
{
	static const char *const known[] = { "to", "ldap", "pool", "source", "hello", "weight",
		"backup", NULL };
	const struct conf_node *k;

	conf_check_keys(r->d, n, "a route", known);
	if ((k = conf_get(n, "weight")) || (k = conf_get(n, "backup")))
		diag_key(r->d, DIAG_ERROR, k, "to: [{to: HOST, weight: 3}, …]",
		    "`" SPAN_FMT "` belongs to one of several next hops", SPAN_ARG(k->key));
	if ((k = conf_get(n, "pool")))
		use_pool(r, k, &out->pool);
	read_leaving(r, n, &out->pool);
	if ((k = conf_get(n, "to")))
		read_hops(r, k, port, out);
	if ((k = conf_get(n, "ldap")))
		read_lookup(r, k, true, &out->ldap);
	else if (out->nhosts == 0 && conf_get(n, "to") == NULL && out->pool.nsources == 0 &&
	    out->pool.hello.n == 0)
		error_at(r, n, "{to: [\"relay.example.net:25\"]}", "a route needs a `to`, `ldap`, "
		    "`pool`, `source` or `hello`");
}

const struct conf_route *
read_route(struct reader *r, const struct conf_node *n, enum route_by by, struct span match,
    uint16_t port)
{
	struct conf_delivery *dl = &r->c->delivery;
	struct conf_route *out = arena_zalloc(r->a, sizeof(*out));

	*out = (struct conf_route){ .by = by, .match = match, .line = n->line,
		.index = (uint32_t)dl->nlines };
	if (n->key_line)
		out->line = n->key_line;
	if (n->kind == CONF_MAP)
		read_route_map(r, n, port, out);
	else
		read_hops(r, n, port, out);
	r->lines = arena_grow(r->a, r->lines, dl->nlines * sizeof(*r->lines),
	    (dl->nlines + 1) * sizeof(*r->lines));
	r->lines[dl->nlines++] = out;
	dl->lines = r->lines;
	return out;
}

/* ---- the lines ---- */

/* "a@b", "b", ".b", "*"; for senders also "group:NAME". */
static bool
read_match(struct reader *r, const struct conf_node *n, enum route_by by, struct span *out)
{
	bool sub = n->key.n > 1 && n->key.p[0] == '.';
	struct span local, domain, name;

	if (by == ROUTE_SENDER && span_starts(n->key, SPAN_LIT("group:")) && n->key.n > 6) {
		*out = arena_span(r->a, n->key);
		return true;
	}
	if (by == ROUTE_RECIPIENT && span_is(n->key, "*")) {
		*out = SPAN_LIT("*");
		return true;
	}
	if (mailaddr_split(n->key, &local, &domain) && domain_normalise(r->a, domain, &name)) {
		*out = span_str(arena_printf(r->a, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(local),
		    SPAN_ARG(name)));
		return true;
	}
	if (!domain_normalise(r->a, span_from(n->key, sub), &name)) {
		diag_key(r->d, DIAG_ERROR, n, by == ROUTE_RECIPIENT ?
		    "example.net, .example.net, a@example.net or \"*\"" :
		    "example.org, .example.org, a@example.org or group:NAME",
		    "`" SPAN_FMT "` is neither a domain nor an address", SPAN_ARG(n->key));
		return false;
	}
	*out = sub ? span_str(arena_printf(r->a, "." SPAN_FMT, SPAN_ARG(name))) : name;
	return true;
}

void
read_routes(struct reader *r, const struct conf_node *map, enum route_by by)
{
	struct span match;

	if (!conf_want(r->d, map, CONF_MAP, by == ROUTE_SENDER ? "routes by sender" :
	    "next hops by domain"))
		return;
	CONF_EACH(node, map)
		if (read_match(r, node, by, &match))
			read_route(r, node, by, match, r->c->delivery.port);
}

/* ---- which line ---- */

enum { NO_MATCH, MATCH_ANY, MATCH_GROUP, MATCH_PARENT, MATCH_OURS, MATCH_DOMAIN, MATCH_ADDRESS };

/* How closely the line is about this address, and for parents how long they are. */
static int
closeness(const struct conf_route *line, struct span address, struct span domain,
    const struct route_question *q)
{
	struct span m = line->match;

	if (line->by == ROUTE_DOMAIN)
		return span_eq_nocase(m, domain) ? MATCH_OURS : NO_MATCH;
	if (span_is(m, "*"))
		return MATCH_ANY;
	if (line->by == ROUTE_SENDER && span_starts(m, SPAN_LIT("group:")))
		return q->in_group && q->in_group(q->ctx, span_from(m, 6), address) ?
		    MATCH_GROUP : NO_MATCH;
	if (m.p[0] == '.')
		return domain.n > m.n && span_ends_nocase(domain, m) ? MATCH_PARENT : NO_MATCH;
	if (span_eq_nocase(m, address))
		return MATCH_ADDRESS;
	return span_eq_nocase(m, domain) ? MATCH_DOMAIN : NO_MATCH;
}

static const struct conf_route *
closest(const struct config *c, const struct route_question *q, bool sender)
{
	struct span address = sender ? q->sender : q->recipient, local, domain;
	const struct conf_route *best = NULL;
	int found = NO_MATCH;

	if (!mailaddr_split(address, &local, &domain))
		domain = address;
	for (size_t i = 0; i < c->delivery.nlines; i++) {
		const struct conf_route *line = c->delivery.lines[i];
		int how;

		if ((line->by == ROUTE_SENDER) != sender)
			continue;
		how = closeness(line, address, domain, q);
		if (how > found || (how == MATCH_PARENT && found == how &&
		    line->match.n > best->match.n)) {
			best = line;
			found = how;
		}
	}
	return best;
}

const struct conf_route *
config_route(const struct config *c, const struct route_question *q)
{
	const struct conf_route *to = closest(c, q, false), *from = NULL;

	if (to && !span_is(to->match, "*"))
		return to;
	if (q->sender.n)
		from = closest(c, q, true);
	return from ? from : to;
}
