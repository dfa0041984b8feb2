/* lists.c -- networks and groups, and the sets of addresses rules ask for.
 *
 * Every pattern of every set stands in one table, so that asking in which of
 * a thousand lists an address is costs as much as asking of one. An inline
 * list is a set without a name; equal lists are one set.
 */
#include <errno.h>
#include <stdlib.h>

#include "load.h"

#define ADDR_MAX 1024

/* --- sets ------------------------------------------------------------------------------ */

uint32_t
addrsets_new(struct addrsets *s, struct span name)
{
	if (s->nsets == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;

		s->names = arena_grow(s->arena, s->names, s->cap * sizeof(*s->names),
		    cap * sizeof(*s->names));
		s->counts = arena_grow(s->arena, s->counts, s->cap * sizeof(*s->counts),
		    cap * sizeof(*s->counts));
		s->cap = cap;
	}
	s->names[s->nsets] = name;
	s->counts[s->nsets] = 0;
	return s->nsets++;
}

bool
addrpattern_normalise(struct arena *a, struct span pattern, struct span *out, struct err *err)
{
	struct span p = span_trim(pattern), local, domain;
	size_t at = span_find(p, '@');
	char *to;

	if (span_is(p, "<>") || span_is(p, "@")) {
		*out = SPAN_LIT("");
		return true;
	}
	if (p.n == 0) {
		err_set(err, EINVAL, "an empty address");
		return false;
	}
	if (at == 0 || (at == 1 && p.p[0] == '*')) {
		err_set(err, EINVAL, "a whole domain is written without `@`: `" SPAN_FMT "`",
		    SPAN_ARG(span_from(p, at + 1)));
		return false;
	}
	if (span_starts(p, SPAN_LIT("*."))) {
		err_set(err, EINVAL, "subdomains are written with a dot in front: `" SPAN_FMT "`",
		    SPAN_ARG(span_from(p, 1)));
		return false;
	}
	if (at == p.n) {
		size_t dot = p.p[0] == '.';

		if (!domain_normalise(a, span_from(p, dot), &domain)) {
			err_set(err, EINVAL, "`" SPAN_FMT "` is neither an address nor a domain",
			    SPAN_ARG(p));
			return false;
		}
		to = arena_alloc(a, dot + domain.n);
		if (dot)
			to[0] = '.';
		memcpy(to + dot, domain.p, domain.n);
		*out = span_make(to, dot + domain.n);
		return true;
	}
	if (!mailaddr_split(p, &local, &domain) || p.n > ADDR_MAX / 2) {
		err_set(err, EINVAL, "`" SPAN_FMT "` is not an address", SPAN_ARG(p));
		return false;
	}
	if (domain.p[0] != '[' && !domain_normalise(a, domain, &domain)) {
		err_set(err, EINVAL, "`" SPAN_FMT "`: `" SPAN_FMT "` is not a domain", SPAN_ARG(p),
		    SPAN_ARG(domain));
		return false;
	}
	to = arena_alloc(a, local.n + 1 + domain.n);
	for (size_t i = 0; i < local.n; i++)
		to[i] = ascii_lower(local.p[i]);
	to[local.n] = '@';
	for (size_t i = 0; i < domain.n; i++)
		to[local.n + 1 + i] = ascii_lower(domain.p[i]);
	*out = span_make(to, local.n + 1 + domain.n);
	return true;
}

bool
setlist_add(struct arena *a, struct setlist *l, uint32_t id)
{
	for (uint32_t i = l->n; i-- > 0; )
		if (l->ids[i] == id)
			return false;
	if (l->n == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 1;

		l->ids = arena_grow(a, l->ids, l->cap * sizeof(*l->ids), cap * sizeof(*l->ids));
		l->cap = cap;
	}
	l->ids[l->n++] = id;
	return true;
}

static void
sets_put(struct addrsets *s, uint32_t set, struct span normal)
{
	struct setlist *l = table_get(s->patterns, normal);

	if (!l) {
		l = arena_zalloc(s->arena, sizeof(*l));
		table_put(s->patterns, arena_span(s->arena, normal), l);
	}
	s->counts[set] += setlist_add(s->arena, l, set);
}

int
addrsets_add(struct addrsets *s, uint32_t set, struct span pattern, struct err *err)
{
	struct span normal;

	if (!addrpattern_normalise(s->arena, pattern, &normal, err))
		return -1;
	sets_put(s, set, normal);
	return 0;
}

/* Asked from the pattern that says most to the one that says least. only: one of the sets of
 * which an address is in one at most has been found. */
static void
sets_hit(const struct addrsets *s, struct span key, uint64_t *bits, bool *only)
{
	const struct setlist *l = table_get(s->patterns, key);

	for (uint32_t i = 0; l && i < l->n; i++) {
		uint32_t id = l->ids[i];

		if (id >= s->only_from && id < s->only_to) {
			if (*only)
				continue;
			*only = true;
		}
		bit_set(bits, id);
	}
}

void
addrsets_find(const struct addrsets *s, struct span addr, uint64_t *bits)
{
	char key[ADDR_MAX];
	struct span local, domain;
	bool only = false;
	char *d;
	size_t n;

	if (addr.n == 0) {
		sets_hit(s, addr, bits, &only);
		return;
	}
	if (!mailaddr_split(addr, &local, &domain))
		return;
	/* "a@example.org." is the same mailbox: no way around a rule. */
	if (domain.n > 1 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (domain.n > ADDR_MAX / 2 - 1)
		return;
	/* A local part too long for any pattern is left out: its domain still counts. */
	n = local.n < ADDR_MAX / 2 ? local.n : 0;
	for (size_t i = 0; i < n; i++)
		key[i] = ascii_lower(local.p[i]);
	key[n] = '@';
	d = key + n + 1;
	for (size_t i = 0; i < domain.n; i++)
		d[i] = ascii_lower(domain.p[i]);
	if (n > 0)
		sets_hit(s, span_make(key, n + 1 + domain.n), bits, &only);
	sets_hit(s, span_make(d, domain.n), bits, &only);
	for (size_t i = 1; i < domain.n; i++)
		if (d[i] == '.')
			sets_hit(s, span_make(d + i, domain.n - i), bits, &only);
}

static const char *
hint_prefixed(struct load *ld, const char *prefix, const char *nearest)
{
	return nearest ? arena_printf(ld->d->arena, "did you mean `%s%s`?", prefix, nearest) : NULL;
}

/* --- networks ---------------------------------------------------------------------------- */

static void
network_add(struct load *ld, struct network *w, struct conf_node *at, struct span text)
{
	struct err err = { 0 };

	if (cidr_parse(text, &w->v[w->n], &err) == 0)
		w->n++;
	else if (at)
		diag_at(ld->d, DIAG_ERROR, at, NULL, "%s", err.text);
	else
		diag_at(ld->d, DIAG_ERROR, NULL, NULL, "network `" SPAN_FMT "` of the configuration: %s",
		    SPAN_ARG(w->name), err.text);
}

void
networks_read(struct load *ld, struct conf_node *n, void *obj)
{
	if (!conf_want(ld->d, n, CONF_MAP, "networks"))
		return;
	CONF_EACH (c, n) {
		struct network *w = arena_zalloc(ld->tmp, sizeof(*w));
		struct spans members = { 0 };
		struct conf_node *at = c->kind == CONF_LIST ? c->first : c;

		w->name = arena_span(ld->a, c->key);
		if (!pendings_add(ld, &ld->networks, "network", w->name, c, w) ||
		    !read_texts(ld, c, "addresses and networks", &members))
			continue;
		w->v = arena_array(ld->a, members.n + 1, sizeof(*w->v));
		for (size_t i = 0; i < members.n; i++, at = at->next)
			network_add(ld, w, at, members.v[i]);
	}
}

bool
read_cidrs(struct load *ld, struct conf_node *n, const struct cidr **out, size_t *nout)
{
	struct spans items = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	struct cidr *v = NULL;
	size_t nv = 0;
	bool fine = true;

	if (!read_texts(ld, n, "addresses and networks", &items))
		return false;
	for (size_t i = 0; i < items.n; i++, at = at->next) {
		struct span s = items.v[i];
		bool named = span_starts(s, SPAN_LIT("network:"));
		struct span name = named ? span_from(s, 8) : s;
		struct network *w = pendings_get(&ld->networks, name);
		struct err err = { 0 };
		struct cidr one;

		if (named && w) {
			w->used = true;
			v = arena_grow(ld->a, v, nv * sizeof(*v), (nv + w->n) * sizeof(*v));
			if (w->n)
				memcpy(v + nv, w->v, w->n * sizeof(*v));
			nv += w->n;
		} else if (named) {
			diag_at(ld->d, DIAG_ERROR, at,
			    hint_prefixed(ld, "network:", pendings_nearest(ld, &ld->networks, name)),
			    "unknown network `" SPAN_FMT "`", SPAN_ARG(name));
			fine = false;
		} else if (w) {
			diag_at(ld->d, DIAG_ERROR, at,
			    arena_printf(ld->d->arena, "did you mean `network:" SPAN_FMT "`?", SPAN_ARG(s)),
			    "`" SPAN_FMT "` is not an address", SPAN_ARG(s));
			fine = false;
		} else if (cidr_parse(s, &one, &err) == -1) {
			diag_at(ld->d, DIAG_ERROR, at, NULL, "%s", err.text);
			fine = false;
		} else {
			v = arena_grow(ld->a, v, nv * sizeof(*v), (nv + 1) * sizeof(*v));
			v[nv++] = one;
		}
	}
	*out = v;
	*nout = nv;
	return fine;
}

/* --- groups ---------------------------------------------------------------------------------- */

static struct span our_domains = { "our-domains", 11 };

void
groups_read(struct load *ld, struct conf_node *n, void *obj)
{
	if (!conf_want(ld->d, n, CONF_MAP, "groups"))
		return;
	CONF_EACH (c, n) {
		struct group *g = arena_zalloc(ld->tmp, sizeof(*g));

		g->name = arena_span(ld->a, c->key);
		g->node = c;
		if (pendings_add(ld, &ld->groups, "group", g->name, c, g))
			g->set = addrsets_new(&ld->p->sets, g->name);
	}
}

void
lists_builtin(struct load *ld)
{
	for (size_t i = 0; i < ld->env->nnetworks; i++) {
		const struct policy_network *from = &ld->env->networks[i];
		struct network *w;

		if (pendings_get(&ld->networks, from->name))
			continue;
		w = arena_zalloc(ld->tmp, sizeof(*w));
		w->name = arena_span(ld->a, from->name);
		w->v = arena_array(ld->a, from->nmembers + 1, sizeof(*w->v));
		for (size_t k = 0; k < from->nmembers; k++)
			network_add(ld, w, NULL, from->members[k]);
		pendings_add(ld, &ld->networks, "network", w->name, NULL, w);
	}
	if (!pendings_get(&ld->groups, our_domains)) {
		struct group *g = arena_zalloc(ld->tmp, sizeof(*g));

		g->name = our_domains;
		g->set = addrsets_new(&ld->p->sets, g->name);
		pendings_add(ld, &ld->groups, "group", g->name, NULL, g);
	}
}

static bool list_item(struct load *ld, struct conf_node *at, struct span s, uint32_t set,
    unsigned depth);

/* One entry a line, # comments. */
static bool
list_file(struct load *ld, struct conf_node *at, struct span path, uint32_t set)
{
	struct conf_file *file = arena_zalloc(ld->d->arena, sizeof(*file));
	struct span text;
	unsigned line = 0;
	bool fine = true;

	if (!load_file(ld, at, path, &text))
		return false;
	*file = (struct conf_file){ .name = arena_str(ld->d->arena, path), .text = text };
	while (text.n) {
		size_t end = span_find(text, '\n');
		struct span s = span_sub(text, 0, end);
		const char *start = s.p;
		struct err err = { 0 };

		line++;
		text = span_from(text, end + 1);
		s = span_trim(span_sub(s, 0, span_find(s, '#')));
		if (s.n && addrsets_add(&ld->p->sets, set, s, &err) == -1) {
			diag_place(ld->d, DIAG_ERROR, file, line, (uint32_t)(s.p - start) + 1,
			    (uint32_t)s.n, NULL, "%s", err.text);
			fine = false;
			if (ld->d->errors > DIAGS_MAX)
				break;
		}
	}
	return fine;
}

static struct group *
group_find(struct load *ld, const struct conf_node *at, struct span name)
{
	struct group *g = pendings_get(&ld->groups, name);

	if (!g)
		diag_at(ld->d, DIAG_ERROR, at,
		    hint_prefixed(ld, "group:", pendings_nearest(ld, &ld->groups, name)),
		    "unknown group `" SPAN_FMT "`", SPAN_ARG(name));
	else
		g->used = true;
	return g;
}

/* Puts what the group holds into set. Each group enters one set once. */
static bool
group_fill(struct load *ld, struct group *g, uint32_t set, unsigned depth)
{
	struct conf_node *c = (struct conf_node *)g->node;
	bool fine = true;

	if (g->state == 2)
		return true;
	g->state = 1;
	if (!c)
		for (size_t i = 0; i < ld->env->ndomains; i++) {
			struct err err = { 0 };

			if (addrsets_add(&ld->p->sets, set, ld->env->domains[i], &err) == -1) {
				diag_at(ld->d, DIAG_ERROR, NULL, NULL, "our-domains: %s", err.text);
				fine = false;
			}
		}
	else if (c->kind == CONF_SCALAR)
		fine = list_item(ld, c, c->text, set, depth);
	else if (conf_want(ld->d, c, CONF_LIST, "a list of addresses"))
		CONF_EACH (item, c) {
			struct span s;

			if (!conf_text(ld->d, item, "an address", &s) ||
			    !list_item(ld, item, s, set, depth))
				fine = false;
		}
	g->state = 2;
	return fine;
}

static bool
list_item(struct load *ld, struct conf_node *at, struct span s, uint32_t set, unsigned depth)
{
	struct err err = { 0 };

	if (span_starts(s, SPAN_LIT("group:"))) {
		struct group *g = group_find(ld, at, span_from(s, 6));

		if (!g)
			return false;
		if (g->state == 1) {
			diag_at(ld->d, DIAG_ERROR, at, NULL, "group `" SPAN_FMT "` contains itself",
			    SPAN_ARG(g->name));
			return false;
		}
		return group_fill(ld, g, set, depth + 1);
	}
	if (span_starts(s, SPAN_LIT("file:")))
		return list_file(ld, at, span_from(s, 5), set);
	if (span_starts(s, SPAN_LIT("ldap:")))
		return external_add(ld, at, span_from(s, 5), set);
	if (span_find(s, '@') == s.n && pendings_get(&ld->groups, s)) {
		diag_at(ld->d, DIAG_ERROR, at,
		    arena_printf(ld->d->arena, "did you mean `group:" SPAN_FMT "`?", SPAN_ARG(s)),
		    "`" SPAN_FMT "` is a group", SPAN_ARG(s));
		return false;
	}
	if (addrsets_add(&ld->p->sets, set, s, &err) == -1) {
		diag_at(ld->d, DIAG_ERROR, at, NULL, "%s", err.text);
		return false;
	}
	return true;
}

void
lists_resolve(struct load *ld)
{
	for (struct pending *p = ld->groups.first; p; p = p->next) {
		struct group *g = p->value;

		for (struct pending *q = ld->groups.first; q; q = q->next)
			((struct group *)q->value)->state = 0;
		if (!group_fill(ld, g, g->set, 0) && ld->d->errors > DIAGS_MAX)
			break;
	}
	for (struct pending *p = ld->groups.first; p; p = p->next)
		((struct group *)p->value)->state = 0;
}

int
span_order(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int r = n ? memcmp(x->p, y->p, n) : 0;

	return r ? r : (x->n > y->n) - (x->n < y->n);
}

/* The set of an inline list; equal lists are one set. */
static uint32_t
inline_set(struct load *ld, struct span *normal, size_t n)
{
	struct buf key;
	uint32_t *had, set;

	qsort(normal, n, sizeof(*normal), span_order);
	buf_init(&key, 64 << 20);
	for (size_t i = 0; i < n; i++) {
		buf_span(&key, normal[i]);
		buf_putc(&key, '\n');
	}
	had = table_get(ld->inline_sets, buf_data(&key));
	if (!had) {
		set = addrsets_new(&ld->p->sets, (struct span){ 0 });
		for (size_t i = 0; i < n; i++)
			sets_put(&ld->p->sets, set, normal[i]);
		had = arena_alloc(ld->tmp, sizeof(*had));
		*had = set;
		table_put(ld->inline_sets, arena_span(ld->tmp, buf_data(&key)), had);
	}
	buf_release(&key);
	return *had;
}

bool
read_addresses(struct load *ld, struct conf_node *n, const uint32_t **sets, size_t *nsets)
{
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	size_t count = n->kind == CONF_LIST ? n->count : 1, nv = 0, cap = 0, nnormal = 0;
	struct span *normal = arena_array(ld->tmp, count + 1, sizeof(*normal));
	uint32_t *v = NULL;
	bool fine = true;

	if (n->kind == CONF_MAP)
		return conf_want(ld->d, n, CONF_LIST, "a list of addresses");
	if (count == 0) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
		return false;
	}
	for (; at; at = n->kind == CONF_LIST ? at->next : NULL) {
		struct span s;
		struct err err = { 0 };

		if (!conf_text(ld->d, at, "an address", &s)) {
			fine = false;
		} else if (span_starts(s, SPAN_LIT("group:"))) {
			struct group *g = group_find(ld, at, span_from(s, 6));

			if (g)
				push_u32(ld->a, &v, &nv, &cap, g->set);
			else
				fine = false;
		} else if (span_starts(s, SPAN_LIT("file:"))) {
			uint32_t *had = table_get(ld->inline_sets, s);

			if (!had) {
				had = arena_alloc(ld->tmp, sizeof(*had));
				*had = addrsets_new(&ld->p->sets, (struct span){ 0 });
				table_put(ld->inline_sets, arena_span(ld->tmp, s), had);
				fine &= list_file(ld, at, span_from(s, 5), *had);
			}
			push_u32(ld->a, &v, &nv, &cap, *had);
		} else if (span_starts(s, SPAN_LIT("ldap:"))) {
			uint32_t *had = table_get(ld->inline_sets, s);

			if (!had) {
				had = arena_alloc(ld->tmp, sizeof(*had));
				*had = addrsets_new(&ld->p->sets, (struct span){ 0 });
				table_put(ld->inline_sets, arena_span(ld->tmp, s), had);
				fine &= external_add(ld, at, span_from(s, 5), *had);
			}
			push_u32(ld->a, &v, &nv, &cap, *had);
		} else if (pendings_get(&ld->groups, s)) {
			diag_at(ld->d, DIAG_ERROR, at,
			    arena_printf(ld->d->arena, "did you mean `group:" SPAN_FMT "`?", SPAN_ARG(s)),
			    "`" SPAN_FMT "` is a group", SPAN_ARG(s));
			fine = false;
		} else if (!addrpattern_normalise(ld->tmp, s, &normal[nnormal], &err)) {
			diag_at(ld->d, DIAG_ERROR, at, NULL, "%s", err.text);
			fine = false;
		} else {
			nnormal++;
		}
	}
	if (nnormal)
		push_u32(ld->a, &v, &nv, &cap, inline_set(ld, normal, nnormal));
	*sets = v;
	*nsets = nv;
	return fine;
}

/* Sorted, since the table they come from has no order. */
struct spans
group_members(struct load *ld, const struct group *g)
{
	size_t at = 0, n = 0, count = ld->p->sets.counts[g->set];
	struct span *v = arena_array(ld->a, count + 1, sizeof(*v)), key;
	void *value;

	while (table_next(ld->p->sets.patterns, &at, &key, &value)) {
		const struct setlist *l = value;

		for (uint32_t i = 0; i < l->n; i++)
			if (l->ids[i] == g->set && n < count)
				v[n++] = arena_span(ld->a, key);
	}
	if (n)
		qsort(v, n, sizeof(*v), span_order);
	return (struct spans){ v, n };
}

bool
read_decider(struct load *ld, struct conf_node *n, struct span *out)
{
	struct span s, name, normal;
	struct err err = { 0 };
	struct group *g;

	if (!conf_text(ld->d, n, "a group or an address", &s))
		return false;
	if (span_find(s, '@') < s.n) {
		if (!addrpattern_normalise(ld->a, s, &normal, &err)) {
			diag_at(ld->d, DIAG_ERROR, n, NULL, "%s", err.text);
			return false;
		}
		*out = arena_span(ld->a, normal);
		return true;
	}
	name = span_starts(s, SPAN_LIT("group:")) ? span_from(s, 6) : s;
	g = pendings_get(&ld->groups, name);
	if (!g) {
		diag_at(ld->d, DIAG_ERROR, n,
		    nearest_hint(ld, pendings_nearest(ld, &ld->groups, name)),
		    "`" SPAN_FMT "` is neither a group nor an address", SPAN_ARG(s));
		return false;
	}
	g->used = true;
	*out = g->name;
	return true;
}
