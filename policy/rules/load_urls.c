/* load_urls.c -- the condition `url`: everything about one link.
 *
 * `host` and `lookalike_of` take what address lists take, less the addresses: a link leads to a
 * host. What is imitated is put into look-up tables here, once for each distinct list.
 */
#include <stdlib.h>

#include "load.h"

struct url_src {
	struct conf_node *host, *like;
	struct url_cond cond;
};

void
url_host(struct load *ld, struct conf_node *n, void *obj)
{
	((struct url_src *)obj)->host = n;
}

void
url_lookalike(struct load *ld, struct conf_node *n, void *obj)
{
	((struct url_src *)obj)->like = n;
}

static void
read_bool(struct load *ld, struct conf_node *n, signed char *to)
{
	bool b;

	if (conf_bool(ld->d, n, &b))
		*to = b;
}

void
url_listed(struct load *ld, struct conf_node *n, void *obj)
{
	struct url_src *src = obj;

	if ((ld->env->facts_missing & FACT_LISTED) && ld->pack.n == 0)
		diag_key(ld->d, DIAG_WARNING, n, NULL,
		    "nothing supplies `listed` in this version: the condition never holds");
	read_bool(ld, n, &src->cond.listed);
}

void
url_text_mismatch(struct load *ld, struct conf_node *n, void *obj)
{
	struct url_src *src = obj;

	read_bool(ld, n, &src->cond.mismatch);
}

/* --- lists of hosts --------------------------------------------------------------------------- */

static bool
no_addresses(struct load *ld, const struct conf_node *n)
{
	bool fine = true;

	for (const struct conf_node *c = n->kind == CONF_LIST ? n->first : n; c;
	     c = n->kind == CONF_LIST ? c->next : NULL) {
		size_t at = c->kind == CONF_SCALAR ? span_find(c->text, '@') : c->text.n;
		size_t scheme = c->kind == CONF_SCALAR ? span_find(c->text, '/') : c->text.n;

		if (c->kind != CONF_SCALAR || span_starts(c->text, SPAN_LIT("file:")) ||
		    span_starts(c->text, SPAN_LIT("group:")))
			continue;
		if (span_starts(c->text, SPAN_LIT("ldap:"))) {
			diag_at(ld->d, DIAG_ERROR, c, NULL,
			    "a directory has addresses: no link leads to one");
			fine = false;
		} else if (scheme < c->text.n) {
			diag_at(ld->d, DIAG_ERROR, c, "the host alone, as in bank.example",
			    "`" SPAN_FMT "` is no host", SPAN_ARG(c->text));
			fine = false;
		} else if (at < c->text.n) {
			diag_at(ld->d, DIAG_ERROR, c, arena_printf(ld->d->arena, "did you mean `" SPAN_FMT
			    "`?", SPAN_ARG(span_from(c->text, at + 1))),
			    "`" SPAN_FMT "` is an address: a link leads to a host", SPAN_ARG(c->text));
			fine = false;
		}
	}
	return fine;
}

static bool
in_sets(const struct setlist *l, const uint32_t *sets, size_t n)
{
	for (uint32_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < n; k++)
			if (l->ids[i] == sets[k])
				return true;
	return false;
}

/* The hosts and .hosts of these sets, sorted; addresses are left out. */
static struct spans
hosts_of(struct load *ld, const uint32_t *sets, size_t nsets)
{
	struct span key, *v = NULL;
	size_t at = 0, n = 0, cap = 0;
	void *value;

	while (table_next(ld->p->sets.patterns, &at, &key, &value)) {
		if (key.n == 0 || span_find(key, '@') < key.n || !in_sets(value, sets, nsets))
			continue;
		if (n == cap) {
			size_t more = cap ? cap * 2 : 16;

			v = arena_grow(ld->tmp, v, cap * sizeof(*v), more * sizeof(*v));
			cap = more;
		}
		v[n++] = key;
	}
	if (n)
		qsort(v, n, sizeof(*v), span_order);
	return (struct spans){ v, n };
}

static bool
has_directory(const struct load *ld, const uint32_t *sets, size_t n)
{
	for (size_t i = 0; i < ld->p->nexternals; i++)
		if (in_sets(&ld->p->external_sets[i], sets, n))
			return true;
	return false;
}

/* false: an error was said. */
static bool
read_hosts(struct load *ld, struct conf_node *n, const uint32_t **sets, size_t *nsets,
    struct spans *hosts)
{
	if (!no_addresses(ld, n) || !read_addresses(ld, n, sets, nsets))
		return false;
	*hosts = hosts_of(ld, *sets, *nsets);
	if (hosts->n)
		return true;
	for (size_t i = 0; i < *nsets; i++)
		if (ld->p->sets.counts[(*sets)[i]]) {
			diag_at(ld->d, DIAG_WARNING, n, NULL, has_directory(ld, *sets, *nsets) ?
			    "a directory has addresses: no link leads to one" :
			    "the list holds addresses alone: no link leads to one");
			break;
		}
	return true;
}

/* The tables of one distinct list. */
static struct lookalikes *
lookalikes_make(struct load *ld, const struct conf_node *at, const struct spans *hosts)
{
	struct policy *p = ld->p;
	struct lookalikes *l;

	if (!p->confusables)
		p->confusables = confusables_open();
	if (!p->confusables) {
		diag_at(ld->d, DIAG_ERROR, at, NULL, "libicu has no table of confusable characters");
		return NULL;
	}
	if (hosts->n > LOOKALIKE_NAMES) {
		diag_at(ld->d, DIAG_ERROR, at, NULL, "%zu names: at most %d can be guarded in one list",
		    hosts->n, LOOKALIKE_NAMES);
		return NULL;
	}
	l = lookalikes_new(p->confusables);
	for (size_t i = 0; i < hosts->n; i++) {
		size_t dot = hosts->v[i].p[0] == '.';

		if (!lookalikes_add(l, span_from(hosts->v[i], dot)))
			diag_at(ld->d, DIAG_WARNING, at, NULL,
			    "`" SPAN_FMT "` is nobody's own name: nothing is like it",
			    SPAN_ARG(hosts->v[i]));
	}
	p->lookalikes = arena_grow(p->arena, p->lookalikes, p->nlookalikes * sizeof(*p->lookalikes),
	    (p->nlookalikes + 1) * sizeof(*p->lookalikes));
	p->lookalikes[p->nlookalikes] = l;
	return l;
}

static uint64_t
hosts_hash(const struct spans *s)
{
	return hash_spans(s->v, s->n);
}

/* Equal lists share their tables. */
static bool
lookalikes_read(struct load *ld, struct url_src *src)
{
	struct policy *p = ld->p;
	const uint32_t *sets;
	struct spans hosts;
	struct buf key;
	uint32_t *had;
	size_t n;

	if (src->like->kind == CONF_MAP) {
		diag_at(ld->d, DIAG_ERROR, src->like, NULL, "expected a list of hosts and groups");
		return false;
	}
	if (!read_hosts(ld, src->like, &sets, &n, &hosts))
		return false;
	src->cond.like_hash = hosts_hash(&hosts);
	key_begin(&key, "lookalikes");
	key_texts(&key, &hosts);
	had = table_get(ld->atoms, buf_data(&key));
	if (!had) {
		if (!lookalikes_make(ld, src->like, &hosts)) {
			buf_release(&key);
			return false;
		}
		had = arena_alloc(ld->tmp, sizeof(*had));
		*had = (uint32_t)p->nlookalikes++;
		table_put(ld->atoms, arena_span(ld->tmp, buf_data(&key)), had);
	}
	buf_release(&key);
	src->cond.like = (int)*had;
	return true;
}

static bool
hosts_read(struct load *ld, struct url_src *src)
{
	struct conf_node *list = unwrap_not(ld, src->host, &src->cond.not_host);
	struct spans hosts;

	if (!list || !read_hosts(ld, list, &src->cond.sets, &src->cond.nsets, &hosts))
		return false;
	src->cond.host_hash = hosts_hash(&hosts);
	return true;
}

void
cond_url(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_URL, .key = SPAN_LIT("url") };
	struct url_src src = { .cond = { .like = -1, .listed = -1, .mismatch = -1 } };
	size_t errors = ld->d->errors;
	struct url_cond *c;
	struct buf key;

	if (n->kind == CONF_SCALAR || n->kind == CONF_LIST) {
		diag_at(ld->d, DIAG_ERROR, n, "as in url: {host: [...]}",
		    "expected {host: [...]}, {lookalike_of: [...]}, {listed: true} or {text_mismatch: true}");
		return;
	}
	if (!keys_read(ld, n, SECTION_URL, &src) || ld->d->errors > errors)
		return;
	if (n->count == 0) {
		diag_at(ld->d, DIAG_ERROR, n, "as in url: {host: [...]}", "nothing is asked of the link");
		return;
	}
	if ((src.host && !hosts_read(ld, &src)) || (src.like && !lookalikes_read(ld, &src)))
		return;
	c = arena_zalloc(ld->a, sizeof(*c));
	*c = src.cond;
	atom.url = c;
	key_begin(&key, "url");
	buf_printf(&key, "|%d,%d,%d,%d", c->like, c->listed, c->mismatch, c->not_host);
	for (size_t i = 0; i < c->nsets; i++)
		buf_printf(&key, ",%u", c->sets[i]);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

/* --- facts for tests --------------------------------------------------------------------------- */

void
fact_listed(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	struct spans names = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	struct span *v;

	if (!read_texts(ld, n, "a host", &names))
		return;
	v = arena_array(ld->a, names.n + 1, sizeof(*v));
	for (size_t i = 0; i < names.n; i++, at = at->next)
		if (!domain_normalise(ld->a, names.v[i], &v[i]))
			diag_at(ld->d, DIAG_ERROR, at, NULL, "`" SPAN_FMT "` is no host",
			    SPAN_ARG(names.v[i]));
	f->listed_known = true;
	f->listed_hosts = v;
	f->nlisted_hosts = names.n;
}
