/* config_cluster.c -- which node this is: `node`, `cluster.nodes`, and node.yaml beside postern.yaml.
 *
 * postern.yaml may be the same on all nodes. What differs stands in node.yaml beside it, with the same keys, and is
 * laid over it (base/conf_merge.c). Both travel as one text, a form feed between them, which neither file may
 * contain: so the roles read from their sealed copy what the master has read.
 */
#include <errno.h>
#include <unistd.h>

#include "fs.h"
#include "id.h"
#include "master/config_cluster.h"
#include "master/config_read.h"
#include "table.h"

#define CONFIG_MAX ((size_t)4 << 20)
#define BETWEEN '\f'
#define NODE_NAME_MAX 63

int
config_text(struct arena *a, const char *path, struct span *text, struct err *err)
{
	struct span shared, own;
	struct buf b;
	char *node = fs_beside(a, path, SPAN_LIT(NODE_FILE));
	int r = 0;

	if (fs_read(a, path, CONFIG_MAX, &shared, err) == -1)
		return -1;
	if (span_find(shared, BETWEEN) < shared.n)
		return err_set(err, EINVAL, "%s: a form feed in it; remove it", path);
	*text = shared;
	if (access(node, F_OK) == -1 && errno == ENOENT)
		return 0;
	if (fs_read(a, node, CONFIG_MAX, &own, err) == -1)
		return -1;
	buf_init(&b, 2 * CONFIG_MAX + 1);
	buf_span(&b, shared);
	buf_putc(&b, BETWEEN);
	buf_span(&b, own);
	*text = arena_span(a, buf_data(&b));
	buf_release(&b);
	return r;
}

uint64_t
config_hash(struct span text)
{
	static const uint8_t key[16] = "postern.yaml";
	struct span shared = span_sub(text, 0, span_find(text, BETWEEN));

	return siphash(key, shared.n ? shared.p : "", shared.n) | 1;
}

struct conf_node *
config_tree(struct arena *a, const char *shown, struct span text, struct diags *d)
{
	size_t end = span_find(text, BETWEEN);
	struct conf_node *root = conf_parse(shown, span_sub(text, 0, end), d), *own;

	if (end == text.n)
		return root;
	own = conf_parse(fs_beside(d->arena, shown, SPAN_LIT(NODE_FILE)), span_from(text, end + 1), d);
	if (root == NULL || own == NULL || !conf_want(d, own, CONF_MAP, "keys of postern.yaml"))
		return NULL;
	conf_merge(d, root, own);
	return root;
}

static bool
name_ok(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
		    ((s.p[i] == '-' || s.p[i] == '.') && i > 0)))
			return false;
	return s.n > 0 && s.n <= NODE_NAME_MAX;
}

static void
read_member(struct reader *r, const struct conf_node *n, struct span name, uint64_t number,
    struct conf_member *m)
{
	const struct conf_node *num = n;

	*m = (struct conf_member){ .name = arena_span(r->a, name) };
	if (!name_ok(name))
		diag_at(r->d, DIAG_ERROR, n, "lower-case letters, digits, `-` and `.`, 63 at most",
		    "`" SPAN_FMT "` is no name of a node", SPAN_ARG(name));
	if (n->kind == CONF_MAP) {
		static const char *const known[] = { "number", "address", NULL };
		const struct conf_node *at = conf_get(n, "address");

		conf_check_keys(r->d, n, "cluster.nodes", known);
		if (at)
			text_of(r, at, "who is logged in to there: root@10.0.0.2", &m->address);
		if (m->address.n && (m->address.p[0] == '-' || m->address.n > 255))
			error_at(r, at, NULL, "this is no address that a node can be reached at");
		if ((num = conf_get(n, "number")) == NULL)
			error_at(r, n, "number: 1", "a node needs its `number`");
	}
	if (number == 0 && num && !conf_uint(r->d, num, 1, ID_NODES - 1, &number))
		return;
	m->number = (uint32_t)number;
}

static void
read_members(struct reader *r, const struct conf_node *nodes)
{
	struct conf_member *out;
	size_t n = 0;

	if (nodes->kind != CONF_LIST && !conf_want(r->d, nodes, CONF_MAP, "{gw1: 1, gw2: 2}"))
		return;
	out = arena_array(r->a, nodes->count, sizeof(*out));
	CONF_EACH(node, nodes) {
		struct conf_member *m = &out[n];
		struct span name = node->key;

		if (nodes->kind == CONF_LIST && !text_of(r, node, "the name of a node", &name))
			continue;
		if (nodes->kind == CONF_LIST && n >= ID_NODES - 1) {
			diag_at(r->d, DIAG_ERROR, node, NULL, "at most %d nodes", ID_NODES - 1);
			return;
		}
		read_member(r, node, name, nodes->kind == CONF_LIST ? n + 1 : 0, m);
		for (size_t i = 0; i < n; i++)
			if (out[i].number == m->number || span_eq(out[i].name, m->name))
				diag_at(r->d, DIAG_ERROR, node, "each has its own, for ever", "nodes `" SPAN_FMT
				    "` and `" SPAN_FMT "` have the same %s", SPAN_ARG(out[i].name),
				    SPAN_ARG(m->name), span_eq(out[i].name, m->name) ? "name" : "number");
		n++;
	}
	r->c->nodes = out;
	r->c->nnodes = n;
}

/* Which of them this is. Its number is in the ids, so it is never guessed. */
static void
read_own_name(struct reader *r, const struct conf_node *n, const struct conf_node *nodes)
{
	struct config *c = r->c;

	c->node = c->hostname;
	if (n && text_of(r, n, "the name of this node", &c->node) && !name_ok(c->node))
		diag_at(r->d, DIAG_ERROR, n, "lower-case letters, digits, `-` and `.`, 63 at most",
		    "`" SPAN_FMT "` is no name of a node", SPAN_ARG(c->node));
	if (nodes == NULL)
		return;
	for (size_t i = 0; i < c->nnodes; i++)
		if (span_eq(c->nodes[i].name, c->node))
			c->node_number = c->nodes[i].number;
	if (c->node_number == 0 && r->d->errors == 0)
		diag_at(r->d, DIAG_ERROR, n ? n : nodes, n ? NULL : "`node: NAME` in " NODE_FILE " beside postern.yaml",
		    "`" SPAN_FMT "` is none of `cluster.nodes`", SPAN_ARG(c->node));
}

void
read_cluster(struct reader *r, const struct conf_node *root)
{
	static const char *const known[] = { "nodes", NULL };
	const struct conf_node *map = conf_get(root, "cluster"), *nodes = NULL;

	if (map && conf_want(r->d, map, CONF_MAP, "{nodes: {gw1: 1, gw2: 2}}")) {
		conf_check_keys(r->d, map, "cluster", known);
		if ((nodes = conf_get(map, "nodes")))
			read_members(r, nodes);
	}
	read_own_name(r, conf_get(root, "node"), nodes);
}

struct span
config_node_name(const struct config *c, uint32_t number)
{
	for (size_t i = 0; i < c->nnodes; i++)
		if (c->nodes[i].number == number)
			return c->nodes[i].name;
	return number == c->node_number ? c->node : SPAN_LIT("");
}
