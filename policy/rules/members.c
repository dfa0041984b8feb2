/* members.c -- groups that stand in a directory: who is in them comes with the facts.
 *
 * A set of addresses that is made of such a group, wholly or in part, has two bits for
 * each address: "it is in", and "it cannot be said". What cannot be said is neither yes nor no:
 * conditions over it are answered both ways, and a rule whose answer hangs on that is
 * undecided (evaluate.c). So a directory that is away makes mail wait, and never lets any
 * through that a rule would have stopped.
 */
#include <errno.h>

#include "load.h"

const struct span *
policy_externals(const struct policy *p, size_t *n)
{
	*n = p->nexternals;
	return p->externals;
}

/* Its index, as a new one when it is; false: an error was said. */
static bool
external_index(struct load *ld, const struct conf_node *at, struct span name, size_t *index)
{
	struct policy *p = ld->p;
	size_t i = 0;

	name = span_trim(name);
	if (span_find(name, '=') == name.n) {
		diag_at(ld->d, DIAG_ERROR, at, "\"ldap:CN=Doctors,OU=Groups,DC=example,DC=org\"",
		    "`" SPAN_FMT "` is not the name of a group in a directory", SPAN_ARG(name));
		return false;
	}
	if (ld->env->no_directory) {
		diag_at(ld->d, DIAG_ERROR, at, "directory: {NAME: {servers: …}} in postern.yaml",
		    "`ldap:` needs a directory, and the configuration has none");
		return false;
	}
	while (i < p->nexternals && !span_eq_nocase(p->externals[i], name))
		i++;
	if (i == p->nexternals) {
		if (i == EXTERNAL_GROUPS_MAX) {
			diag_at(ld->d, DIAG_ERROR, at, NULL, "more than %d groups of directories",
			    EXTERNAL_GROUPS_MAX);
			return false;
		}
		p->externals = arena_grow(ld->a, p->externals, i * sizeof(*p->externals),
		    (i + 1) * sizeof(*p->externals));
		p->external_sets = arena_grow(ld->a, p->external_sets,
		    i * sizeof(*p->external_sets), (i + 1) * sizeof(*p->external_sets));
		p->externals[i] = arena_span(ld->a, name);
		p->external_sets[i] = (struct setlist){ 0 };
		p->nexternals++;
	}
	*index = i;
	return true;
}

bool
external_add(struct load *ld, const struct conf_node *at, struct span name, uint32_t set)
{
	size_t i;

	if (!external_index(ld, at, name, &i))
		return false;
	setlist_add(ld->a, &ld->p->external_sets[i], set);
	ld->p->sets.counts[set]++;
	return true;
}

void
externals_collect(struct load *ld, const struct conf_node *n)
{
	size_t i;

	if (n == NULL)
		return;
	if (n->kind == CONF_SCALAR && span_starts(n->text, SPAN_LIT("ldap:")))
		(void)external_index(ld, n, span_from(n->text, 5), &i);
	CONF_EACH (c, n)
		externals_collect(ld, c);
}

/* ---- asking ---- */

static size_t
find(const struct span *v, size_t n, struct span one, size_t guess)
{
	if (guess < n && span_eq_nocase(v[guess], one))
		return guess;
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(v[i], one))
			return i;
	return n;
}

static enum membership
member(const struct memberships *m, size_t row, struct span group, size_t guess)
{
	size_t g = find(m->groups, m->ngroups, group, guess);

	if (m->grid == NULL || g == m->ngroups)
		return MEMBER_UNKNOWN;
	if (row == m->naddresses)
		return m->complete ? MEMBER_NO : MEMBER_UNKNOWN;
	return (enum membership)m->grid[row * m->ngroups + g];
}

void
members_find(const struct policy *p, const struct memberships *m, struct span address,
    size_t guess, uint64_t *in, uint64_t *unsure)
{
	size_t row;

	if (p->nexternals == 0 || address.n == 0)
		return;		/* the null sender is in no group */
	row = find(m->addresses, m->naddresses, address, guess);
	for (size_t i = 0; i < p->nexternals; i++) {
		enum membership is = member(m, row, p->externals[i], i);
		const struct setlist *l = &p->external_sets[i];

		for (uint32_t k = 0; is != MEMBER_NO && k < l->n; k++)
			bit_set(is == MEMBER_YES ? in : unsure, l->ids[k]);
	}
}

static bool
group_set(const struct policy *p, struct span group, uint32_t *set)
{
	for (uint32_t i = 0; i < p->sets.nsets; i++)
		if (group.n && span_eq(p->sets.names[i], group)) {
			*set = i;
			return true;
		}
	return false;
}

bool
policy_has_group(const struct policy *p, struct span group)
{
	uint32_t set;

	return group_set(p, group, &set);
}

enum membership
policy_group_has(const struct policy *p, struct span group, struct span address,
    const struct memberships *members)
{
	size_t words = BITS_WORDS(p->sets.nsets) + 1;
	struct arena *a = arena_new(words * 2 * sizeof(uint64_t) + 256);
	uint64_t *bits = arena_array(a, words * 2, sizeof(*bits));
	enum membership is = MEMBER_UNKNOWN;
	uint32_t set;

	if (group_set(p, group, &set)) {
		addrsets_find(&p->sets, address, bits);
		members_find(p, members, address, 0, bits, bits + words);
		is = bit_has(bits, set) ? MEMBER_YES : bit_has(bits + words, set) ?
		    MEMBER_UNKNOWN : MEMBER_NO;
	}
	arena_free(&a);
	return is;
}

/* ---- as people give them ---- */

/* Which external group is meant: by its own name, or by the group of the policy it is all of. */
static bool
external_of(const struct policy *p, struct span group, size_t *out)
{
	uint32_t set;

	if (span_starts(group, SPAN_LIT("ldap:"))) {
		*out = find(p->externals, p->nexternals, span_trim(span_from(group, 5)), 0);
		return *out < p->nexternals;
	}
	if (!group_set(p, group, &set))
		return false;
	for (size_t i = 0; i < p->nexternals; i++)
		for (uint32_t k = 0; k < p->external_sets[i].n; k++)
			if (p->external_sets[i].ids[k] == set) {
				*out = i;
				return true;
			}
	return false;
}

bool
policy_members_given(const struct policy *p, const struct policy_given *v, size_t n,
    struct arena *a, struct memberships *out, struct span *bad)
{
	struct span *addresses = arena_array(a, n + 1, sizeof(*addresses));
	struct span *groups = arena_array(a, n + 1, sizeof(*groups));
	uint8_t *grid;
	size_t na = 0, ng = 0, at;

	for (size_t i = 0; i < n; i++) {
		if (!external_of(p, v[i].group, &at)) {
			*bad = v[i].group;
			return false;
		}
		if (find(groups, ng, p->externals[at], 0) == ng)
			groups[ng++] = p->externals[at];
		if (v[i].address.n && find(addresses, na, v[i].address, 0) == na)
			addresses[na++] = mailaddr_normalise(a, v[i].address);
	}
	grid = arena_array(a, (na + 1) * (ng + 1), 1);
	memset(grid, MEMBER_NO, (na + 1) * (ng + 1));
	for (size_t i = 0; i < n; i++) {
		struct span address = mailaddr_normalise(a, v[i].address);

		if (address.n && external_of(p, v[i].group, &at))
			grid[find(addresses, na, address, 0) * ng +
			    find(groups, ng, p->externals[at], 0)] = MEMBER_YES;
	}
	*out = (struct memberships){ addresses, na, groups, ng, grid, true };
	return true;
}
