/* rule_source.c -- see rule_source.h. */
#include <string.h>

#include "cli/rule_source.h"

static size_t
line_start(struct span text, uint32_t line)
{
	size_t at = 0;

	for (uint32_t i = 1; i < line && at < text.n; i++)
		at += span_find(span_from(text, at), '\n') + 1;
	return at < text.n ? at : text.n;
}

static size_t
indent_of(struct span line)
{
	size_t n = 0;

	while (n < line.n && line.p[n] == ' ')
		n++;
	return n;
}

/* A list item goes on as long as its lines are blank or set in deeper than its dash; comments that
 * follow at the dash's depth are the next one's. */
static struct span
item_text(struct span text, size_t from)
{
	struct span first = span_sub(text, from, span_find(span_from(text, from), '\n'));
	size_t dash = indent_of(first), at = from + first.n + 1, end = at;

	while (at < text.n) {
		struct span line = span_sub(text, at, span_find(span_from(text, at), '\n'));
		bool blank = span_trim(line).n == 0;

		if (!blank && indent_of(line) <= dash)
			break;
		at += line.n + 1;
		if (!blank)
			end = at;
	}
	return span_sub(text, from, end - from);
}

static const struct conf_node *
find_rule(const struct conf_node *root, struct span id)
{
	CONF_EACH (r, conf_get(root, "rules")) {
		const struct conf_node *n = conf_get(r, "id");

		if (n && n->kind == CONF_SCALAR && span_eq(n->text, id))
			return r;
	}
	return NULL;
}

static const struct conf_node *
find_detector(const struct conf_node *root, struct span id)
{
	CONF_EACH (n, conf_get(root, "detectors")) {
		if (span_eq(n->key, id))
			return n;
	}
	return NULL;
}

static bool
find(const struct policy_parts *parts, struct span id, struct arena *a, struct rule_source *out,
    const struct conf_node *(*in)(const struct conf_node *root, struct span id))
{
	for (size_t i = 0; i < parts->nfiles; i++) {
		const struct policy_source *f = &parts->files[i];
		const struct conf_node *node;
		struct diags d;

		if (f->text.n < id.n || memmem(f->text.p, f->text.n, id.p, id.n) == NULL)
			continue;
		diags_init(&d, a);
		node = in(conf_parse(f->name, f->text, &d), id);
		if (node == NULL)
			continue;
		*out = (struct rule_source){ i, node, in == find_rule ? node->line : node->key_line,
			{ 0 } };
		out->text = item_text(f->text, line_start(f->text, out->line));
		return true;
	}
	return false;
}

bool
rule_source_find(const struct policy_parts *parts, struct span id, struct arena *a,
    struct rule_source *out)
{
	return find(parts, id, a, out, find_rule);
}

bool
detector_source_find(const struct policy_parts *parts, struct span id, struct arena *a,
    struct rule_source *out)
{
	return find(parts, id, a, out, find_detector);
}

bool
scalar_place(struct span text, const struct conf_node *scalar, size_t *at)
{
	size_t i = line_start(text, scalar->line);

	/* columns count characters */
	for (uint32_t c = 1; c < scalar->column && i < text.n; c++) {
		i++;
		while (i < text.n && ((unsigned char)text.p[i] & 0xc0) == 0x80)
			i++;
	}
	if (i < text.n && (text.p[i] == '"' || text.p[i] == '\''))
		i++;
	*at = i;
	return scalar->text.n > 0 && span_eq(span_sub(text, i, scalar->text.n), scalar->text);
}
