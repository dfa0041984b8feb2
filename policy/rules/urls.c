/* urls.c -- the condition `url`, asked of the links of one message.
 *
 * All keys are about the same link. What is expensive is asked once for each
 * link, whatever the number of conditions: the lists its host is in, and for each
 * list of guarded names whether it is like one. Where not all links were kept,
 * a condition that found none has proved nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include "postern/url.h"
#include "rules.h"

/* Steps of the budget, as eval_spend() counts. */
#define STEPS_LIST 4
#define STEPS_LIKE 64
#define STEPS_MISMATCH 16

struct url_eval {
	uint64_t *sets;		/* of each link, `words` words: the lists its host is in */
	size_t words;
	unsigned char **likes;	/* of each list of names, of each link: 0 not asked, 1 no, 2 yes */
	struct span *listed;	/* of the facts, sorted */
	uint32_t *of;		/* of each atom that holds: its link, plus one */
};

static struct url_eval *
urls(struct eval *e)
{
	const struct policy *p = e->p;

	if (!e->urls) {
		e->urls = arena_zalloc(e->arena, sizeof(*e->urls));
		e->urls->of = arena_array(e->arena, p->natoms + 1, sizeof(*e->urls->of));
		e->urls->likes = arena_array(e->arena, p->nlookalikes + 1, sizeof(*e->urls->likes));
	}
	return e->urls;
}

/* --- lists of hosts ------------------------------------------------------------------------- */

static void
sets_mark(const struct policy *p, struct span key, uint64_t *bits)
{
	const struct setlist *l = table_get(p->sets.patterns, key);

	for (uint32_t i = 0; l && i < l->n; i++)
		bit_set(bits, l->ids[i]);
}

static bool
sets_find(struct eval *e, struct url_eval *x)
{
	const struct anatomy *an = e->an;

	if (x->sets)
		return true;
	if (!eval_spend(e, an->nurls * STEPS_LIST))
		return false;
	x->words = BITS_WORDS(e->p->sets.nsets) + 1;
	x->sets = arena_array(e->arena, an->nurls * x->words + 1, sizeof(*x->sets));
	for (size_t i = 0; i < an->nurls; i++) {
		struct span host = an->urls[i].host;
		uint64_t *bits = x->sets + i * x->words;

		if (host.n == 0)
			continue;
		sets_mark(e->p, host, bits);
		for (size_t k = 1; k < host.n; k++)
			if (host.p[k] == '.')
				sets_mark(e->p, span_from(host, k), bits);
	}
	return true;
}

static bool
host_holds(const struct url_cond *c, const uint64_t *bits)
{
	for (size_t i = 0; i < c->nsets; i++)
		if (bit_has(bits, c->sets[i]))
			return !c->not_host;
	return c->not_host;
}

/* --- blocklists --------------------------------------------------------------------------------- */

/* It, or a domain above it. */
static bool
host_listed(struct eval *e, struct url_eval *x, struct span host)
{
	const struct facts *f = e->facts;

	if (f->nlisted_hosts == 0)
		return false;
	if (!x->listed) {
		x->listed = arena_array(e->arena, f->nlisted_hosts, sizeof(*x->listed));
		memcpy(x->listed, f->listed_hosts, f->nlisted_hosts * sizeof(*x->listed));
		qsort(x->listed, f->nlisted_hosts, sizeof(*x->listed), span_order);
	}
	for (; host.n; host = span_from(host, span_find(host, '.') + 1))
		if (bsearch(&host, x->listed, f->nlisted_hosts, sizeof(host), span_order))
			return true;
	return false;
}

/* --- look-alikes --------------------------------------------------------------------------------- */

static bool
like_find(const struct policy *p, const struct url_cond *c, const struct url *u, struct span *name,
    const char **why)
{
	const struct lookalikes *l = p->lookalikes[c->like];

	if (lookalikes_find(l, u->host, name, why))
		return true;
	/* "https://bank.example@evil.test/": people read what stands before the @ */
	if (u->tricks & URL_IS_USERINFO && u->shown.n && lookalikes_has(l, u->shown) &&
	    !lookalikes_has(l, u->host)) {
		*name = u->shown;
		*why = "the name stands before an @";
		return true;
	}
	return false;
}

static bool
like_holds(struct eval *e, struct url_eval *x, const struct url_cond *c, size_t i)
{
	const struct url *u = &e->an->urls[i];
	unsigned char **known = &x->likes[c->like];
	struct span name;
	const char *why;

	if (!*known)
		*known = arena_zalloc(e->arena, e->an->nurls);
	if (!(*known)[i]) {
		if (!eval_spend(e, STEPS_LIKE))
			return false;
		(*known)[i] = like_find(e->p, c, u, &name, &why) ? 2 : 1;
	}
	return (*known)[i] == 2;
}

/* --- one link ------------------------------------------------------------------------------------ */

enum { KEY_NONE, KEY_HOST, KEY_LISTED, KEY_MISMATCH, KEY_LIKE };

/* The first key that does not hold of link i, and how many do. */
static int
fails(struct eval *e, struct url_eval *x, const struct url_cond *c, size_t i, unsigned *hold)
{
	const struct url *u = &e->an->urls[i];
	int first = KEY_NONE;

	*hold = 0;
	if (c->nsets) {
		if (host_holds(c, x->sets + i * x->words))
			++*hold;
		else
			first = KEY_HOST;
	}
	if (c->listed >= 0) {
		if ((host_listed(e, x, u->host) || host_listed(e, x, u->target)) == (c->listed == 1))
			++*hold;
		else if (!first)
			first = KEY_LISTED;
	}
	if (c->mismatch >= 0 && (!first || e->url_why)) {
		if (url_mismatch(u) == (c->mismatch == 1))
			++*hold;
		else if (!first)
			first = KEY_MISMATCH;
	}
	if (c->like >= 0 && (!first || e->url_why)) {
		if (like_holds(e, x, c, i))
			++*hold;
		else if (!first)
			first = KEY_LIKE;
	}
	return first;
}

bool
url_ask(struct eval *e, const struct atom *a)
{
	const struct url_cond *c = a->url;
	const struct anatomy *an = e->an;
	struct url_eval *x;
	unsigned hold;

	if (c->listed >= 0 && !e->facts->listed_known)
		return false;	/* what is not known does not hold */
	if (an->nurls > 0) {
		x = urls(e);
		if (c->nsets && !sets_find(e, x))
			return false;
		for (size_t i = 0; i < an->nurls; i++) {
			if (!eval_spend(e, c->mismatch >= 0 && an->urls[i].shown.n ? STEPS_MISMATCH : 1))
				return false;
			if (an->urls[i].host.n && fails(e, x, c, i, &hold) == KEY_NONE) {
				x->of[a - e->p->atoms] = (uint32_t)i + 1;
				return true;
			}
		}
	}
	if (an->defects & DEFECT_URLS_CUT)
		eval_give_up(e);
	return false;
}

/* --- for people --------------------------------------------------------------------------------- */

struct span
url_why_not(struct eval *e, const struct atom *a, bool *partly)
{
	const struct url_cond *c = a->url;
	unsigned keys = (c->nsets > 0) + (c->listed >= 0) + (c->mismatch >= 0) + (c->like >= 0);
	unsigned best = 0, hold;
	size_t at = SIZE_MAX, n = 0;
	int failed = KEY_NONE;
	struct url_eval *x;
	const char *why;

	if (e->recorded)
		return SPAN_LIT("url: no link was like that");
	for (size_t i = 0; i < e->an->nurls; i++)
		n += e->an->urls[i].host.n > 0;
	if (n == 0)
		return SPAN_LIT("url: the message has no link");
	if (c->listed >= 0 && !e->facts->listed_known)
		return span_str(arena_printf(e->arena, "url: listed: not known: %s",
		    e->env->direction == DIRECTION_OUTBOUND ? "only inbound mail is asked for it" :
		    "nothing has checked it"));
	x = urls(e);
	if (c->nsets && !sets_find(e, x))
		return SPAN_LIT("url: the budget is spent");
	e->url_why = true;
	for (size_t i = 0; i < e->an->nurls && keys > 1; i++) {
		int first = e->an->urls[i].host.n ? fails(e, x, c, i, &hold) : KEY_NONE;

		if (first && hold > best) {
			best = hold;
			at = i;
			failed = first;
		}
	}
	e->url_why = false;
	if (at == SIZE_MAX)
		return span_str(arena_printf(e->arena, "url: none of %zu is like that", n));
	*partly = true;
	switch (failed) {
	case KEY_HOST:
		why = c->not_host ? "its host is in the list" : "its host is not in the list";
		break;
	case KEY_LISTED:
		why = c->listed == 1 ? "it is not listed" : "it is listed";
		break;
	case KEY_MISMATCH:
		why = c->mismatch == 1 ? "its text shows no other host" : "its text shows another host";
		break;
	default:
		why = "it is like none of the names";
	}
	return span_str(arena_printf(e->arena, "url: " SPAN_FMT ": %s",
	    SPAN_ARG(url_defang(e->arena, &e->an->urls[at])), why));
}

/* Why the link fulfils the condition, in words. */
static struct span
says(struct eval *e, const struct url_cond *c, const struct url *u)
{
	struct span s = { 0 }, name;
	const char *why;

	if (c->like >= 0 && like_find(e->p, c, u, &name, &why))
		s = span_str(arena_printf(e->arena, "taken for " SPAN_FMT ": %s",
		    SPAN_ARG(host_defang(e->arena, name)), why));
	if (c->mismatch == 1)
		s = text_join(e->arena, s, "; ", span_str(arena_printf(e->arena, "shown as " SPAN_FMT,
		    SPAN_ARG(host_defang(e->arena, u->shown)))));
	if (c->listed == 1)
		s = text_join(e->arena, s, "; ", SPAN_LIT("on a blocklist"));
	if (c->nsets)
		s = text_join(e->arena, s, "; ", c->not_host ? SPAN_LIT("not in the list") :
		    SPAN_LIT("in the list"));
	return s;
}

static void
evidence_add(struct eval *e, struct verdict *v, const struct rule *r, const struct atom *a)
{
	uint32_t of = e->urls->of[a - e->p->atoms];
	const struct url *u;

	if (!of || v->nurls == URL_EVIDENCE)
		return;
	u = &e->an->urls[of - 1];
	v->urls[v->nurls++] = (struct url_evidence){ .rule = r->id,
		.part = e->an->parts[u->part].number, .kind = url_kind_name(u->kind), .offset = u->offset,
		.url = url_defang(e->arena, u), .why = says(e, a->url, u), .tricks = u->tricks };
}

static bool
decision_names(const struct decision *d, struct span rule)
{
	for (size_t i = 0; i < d->nrules; i++)
		if (span_eq(d->rules[i], rule))
			return true;
	for (size_t i = 0; i < d->nshadow; i++)
		if (span_eq(d->shadow[i], rule))
			return true;
	for (size_t i = 0; i < d->nskipped; i++)
		if (span_eq(d->skipped[i], rule))
			return true;
	return false;
}

/* One entry for each rule that was decided by a link. */
void
url_evidence(struct eval *e, struct verdict *v)
{
	const struct decision *d = v->decisions;
	size_t nd = v->ndecisions;

	if (!e->urls)
		return;
	v->urls = arena_array(e->arena, URL_EVIDENCE, sizeof(*v->urls));
	for (size_t i = 0; i < e->p->nrules; i++) {
		const struct rule *r = &e->p->rules[i];
		bool hit = false;

		for (size_t k = 0; k < r->nwhen && v->nurls < URL_EVIDENCE; k++) {
			const struct cond *c = &r->when[k];

			if (c->op != COND_ATOM || e->p->atoms[c->atom].kind != ATOM_URL ||
			    !e->urls->of[c->atom])
				continue;
			for (size_t s = 0; s < nd && !hit; s++)
				hit = decision_names(&d[s], r->id);
			if (hit)
				evidence_add(e, v, r, &e->p->atoms[c->atom]);
		}
	}
}
