/* load_exceptions.c -- where rules do not hold, on whose word, and until when.
 *
 * An exception names rules or tags; it is linked to them once all rules are
 * read, so the order of files does not matter.
 */
#include "load.h"

#define DAY_US (INT64_C(86400) * 1000000)

void
exception_when(struct load *ld, struct conf_node *n, void *obj)
{
	struct exception_src *src = obj;

	when_read(ld, n, &src->ex.when, &src->ex.nwhen);
}

void
exceptions_read(struct load *ld, struct conf_node *n, void *obj)
{
	size_t errors;

	if (!conf_want(ld->d, n, CONF_LIST, "a list of exceptions"))
		return;
	CONF_EACH (c, n) {
		struct exception_src *src = arena_zalloc(ld->tmp, sizeof(*src));

		src->node = c;
		errors = ld->d->errors;
		if (!keys_read(ld, c, SECTION_EXCEPTION, src) || ld->d->errors > errors)
			continue;
		if (!conf_get(c, "id"))
			diag_at(ld->d, DIAG_ERROR, c, NULL, "an exception needs an `id`");
		if (!src->rules && !src->tags)
			diag_at(ld->d, DIAG_ERROR, c, NULL, "an exception needs `rules` or `tags`");
		/* A pack's stand as long as the pack is used: what they let through has dates of its own. */
		if (!src->until && ld->pack.n) {
			src->pack = true;
		} else if (!src->until) {
			diag_at(ld->d, DIAG_ERROR, c, "as in until: 2027-12-31",
			    "an exception needs `until`: the last day on which it holds");
		} else if (read_date(ld, src->until, &src->ex.until)) {
			src->ex.until += DAY_US;
			if (ld->env->now >= src->ex.until)
				/* Not an error: a gateway must start again on the day after, too. */
				diag_at(ld->d, DIAG_WARNING, src->until, "prolong it, or take it out",
				    "exception `" SPAN_FMT "` has expired: it has no effect",
				    SPAN_ARG(src->ex.id));
		}
		if (src->ex.id.n && ld->pack.n && pendings_get(&ld->exceptions, src->ex.id))
			continue;	/* the policy's own takes its place */
		if (src->ex.id.n)
			pendings_add(ld, &ld->exceptions, "exception", src->ex.id, conf_get(c, "id"), src);
	}
}

static void
exception_link(struct load *ld, struct rule_src *r, uint32_t e)
{
	for (size_t i = 0; i < r->nexceptions; i++)
		if (r->exceptions[i] == e)
			return;
	push_u32(ld->a, &r->exceptions, &r->nexceptions, &r->capexceptions, e);
}

void
exception_resolve(struct load *ld, struct exception_src *x, uint32_t e)
{
	struct spans ids = { 0 }, tags = { 0 };
	struct conf_node *at;

	if (x->rules && read_texts(ld, x->rules, "rules", &ids)) {
		at = x->rules->kind == CONF_LIST ? x->rules->first : x->rules;
		for (size_t i = 0; i < ids.n; i++, at = at->next) {
			struct rule_src *r = pendings_get(&ld->rules, ids.v[i]);

			if (r)
				exception_link(ld, r, e);
			else
				diag_at(ld->d, DIAG_ERROR, at,
				    nearest_hint(ld, pendings_nearest(ld, &ld->rules, ids.v[i])),
				    "unknown rule `" SPAN_FMT "`", SPAN_ARG(ids.v[i]));
		}
	}
	if (x->tags && read_texts(ld, x->tags, "tags", &tags)) {
		at = x->tags->kind == CONF_LIST ? x->tags->first : x->tags;
		for (size_t i = 0; i < tags.n; i++, at = at->next) {
			bool any = false;

			for (struct pending *p = ld->rules.first; p; p = p->next) {
				struct rule_src *r = p->value;

				for (size_t k = 0; k < r->rule.tags.n; k++)
					if (span_eq(r->rule.tags.v[k], tags.v[i])) {
						exception_link(ld, r, e);
						any = true;
					}
			}
			if (!any && !x->pack)
				diag_at(ld->d, DIAG_ERROR, at, NULL, "no rule has the tag `" SPAN_FMT "`",
				    SPAN_ARG(tags.v[i]));
		}
	}
}

