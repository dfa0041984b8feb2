/* conf_merge.c -- one tree laid over another: what a node says for itself over what all nodes share.
 *
 * Maps are laid over key by key; texts and lists take the place of what was there. A map over a list
 * whose entries are maps with a `name` goes to the entries of these names: `listeners: {mx: {address: …}}`.
 * Each node keeps its own file and line, so an error is shown where it was written.
 */
#include "conf.h"

static struct conf_node *
entry_named(const struct conf_node *list, struct span name)
{
	CONF_EACH(n, list) {
		const struct conf_node *its = conf_get(n, "name");

		if (its && its->kind == CONF_SCALAR && span_eq(its->text, name))
			return n;
	}
	return NULL;
}

/* In the place of *at, or behind the last. */
static void
put(struct conf_node *map, struct conf_node **at, struct conf_node *n)
{
	n->next = *at ? (*at)->next : NULL;
	map->count += *at == NULL;
	*at = n;
}

static void
over_list(struct diags *d, struct conf_node *list, struct conf_node *over)
{
	CONF_EACH(n, over) {
		struct conf_node *entry = entry_named(list, n->key);

		if (entry == NULL)
			diag_key(d, DIAG_ERROR, n, NULL, "`" SPAN_FMT "` is the name of no entry of `" SPAN_FMT
			    "`", SPAN_ARG(n->key), SPAN_ARG(over->key));
		else if (conf_want(d, n, CONF_MAP, "what is different in this entry"))
			conf_merge(d, entry, n);
	}
}

void
conf_merge(struct diags *d, struct conf_node *base, struct conf_node *over)
{
	struct conf_node *next;

	if (base->kind != CONF_MAP || over->kind != CONF_MAP)
		return;
	for (struct conf_node *n = over->first; n; n = next) {
		struct conf_node **at = &base->first;

		next = n->next;
		while (*at && !span_eq((*at)->key, n->key))
			at = &(*at)->next;
		if (*at && (*at)->kind == CONF_MAP && n->kind == CONF_MAP)
			conf_merge(d, *at, n);
		else if (*at && (*at)->kind == CONF_LIST && n->kind == CONF_MAP)
			over_list(d, *at, n);
		else
			put(base, at, n);
	}
}
