/* lists_of_senders.c -- the condition `listed`: an entry of an allow or block list speaks of the message.
 *
 * Who looks into the lists (the receiver, relay/lists/) gives the entries that fit as facts;
 * here they are only asked for. An allow of somebody whom nothing proves to be him is
 * shown and does not count. The order of the lists stands in rules (packs.c: postern/inbound),
 * where it can be read and changed: docs/LISTS.md has it as a table.
 */
#include "load.h"

const char *const list_scope_names[] = { "all", "domain", "user", NULL };
const char *const list_side_names[] = { "allow", "block", NULL };
const char *const list_by_names[] = { "sender", "header_from", "client", NULL };

#define LISTING_NOBODY (LISTING_EVERYONE - 1)

unsigned
listed_mask(const struct facts *f, size_t i)
{
	unsigned mask = 0;

	for (size_t k = 0; k < f->nlistings; k++) {
		const struct listed *l = &f->listings[k];

		if (l->counts && (l->recipient == LISTING_EVERYONE || l->recipient == i))
			mask |= LISTED_BIT(l->scope, l->side);
	}
	return mask;
}

struct span
listed_why(struct eval *e, const struct atom *a)
{
	const struct facts *f = e->facts;

	if (!f->lists_known)
		return SPAN_LIT("listed: not known: only mail from the world is looked for in the lists");
	for (size_t k = 0; k < f->nlistings && !a->negate; k++)
		if (!f->listings[k].counts &&
		    (a->listed & LISTED_BIT(f->listings[k].scope, f->listings[k].side)))
			return span_str(arena_printf(e->arena, "listed: entry %llu does not count: nothing "
			    "proves the sender", (unsigned long long)f->listings[k].number));
	return a->negate ? SPAN_LIT("listed: an entry speaks of it") :
	    SPAN_LIT("listed: no entry speaks of it for this recipient");
}

/* --- the condition ----------------------------------------------------------------------- */

struct listed_ask {
	unsigned scopes, sides;		/* 0: not asked */
};

static void
names_mask(struct load *ld, struct conf_node *n, const char *const *names, unsigned *mask)
{
	if (n->kind == CONF_LIST && n->count == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
	for (struct conf_node *c = n->kind == CONF_LIST ? n->first : n; c;
	     c = n->kind == CONF_LIST ? c->next : NULL) {
		int i;

		if (conf_enum(ld->d, c, names, &i))
			*mask |= 1u << i;
	}
}

void
listed_scope(struct load *ld, struct conf_node *n, void *obj)
{
	names_mask(ld, n, list_scope_names, &((struct listed_ask *)obj)->scopes);
}

void
listed_side(struct load *ld, struct conf_node *n, void *obj)
{
	names_mask(ld, n, list_side_names, &((struct listed_ask *)obj)->sides);
}

/* {scope: user, list: allow}, {not: {...}} */
void
cond_listed(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_LISTED, .key = SPAN_LIT("listed") };
	struct listed_ask src = { 0 };
	size_t errors = ld->d->errors;
	struct buf key;

	if (n->kind == CONF_MAP && n->count == 1 && span_is(n->first->key, "not")) {
		atom.negate = true;
		n = n->first;
	}
	if (!keys_read(ld, n, SECTION_LISTED, &src) || ld->d->errors > errors)
		return;
	if (src.scopes == 0)
		src.scopes = (1u << LIST_SCOPES) - 1;
	if (src.sides == 0)
		src.sides = (1u << LIST_SIDES) - 1;
	for (unsigned scope = 0; scope < LIST_SCOPES; scope++)
		for (unsigned side = 0; side < LIST_SIDES; side++)
			if ((src.scopes >> scope & 1) && (src.sides >> side & 1))
				atom.listed |= LISTED_BIT(scope, side);
	key_begin(&key, "listed");
	buf_printf(&key, "%x", atom.listed);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

/* --- facts for tests ----------------------------------------------------------------------- */

void
fact_lists(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	struct listed *v;

	if (!conf_want(ld->d, n, CONF_LIST, "a list of entries"))
		return;
	f->listings = v = arena_array(ld->a, n->count + 1, sizeof(*v));
	f->lists_known = true;
	CONF_EACH (c, n) {
		struct listing_src src = { .side = LIST_ALLOW, .counts = true };

		if (!keys_read(ld, c, SECTION_FACT_LISTING, &src))
			continue;
		v[f->nlistings] = (struct listed){ .recipient = LISTING_EVERYONE,
			.scope = (uint8_t)src.scope, .side = (uint8_t)src.side, .counts = src.counts,
			.number = f->nlistings + 1, .owner = src.to, .what = src.what };
		f->nlistings++;
	}
}

void
listings_resolve(struct facts *f, const struct envelope *env)
{
	struct listed *v = (struct listed *)(uintptr_t)f->listings;

	for (size_t i = 0; i < f->nlistings; i++) {
		if (v[i].owner.n == 0)
			continue;
		v[i].recipient = LISTING_NOBODY;
		for (size_t k = 0; k < env->nrecipients; k++)
			if (span_eq_nocase(env->recipients[k].address, v[i].owner))
				v[i].recipient = (uint16_t)k;
	}
}
