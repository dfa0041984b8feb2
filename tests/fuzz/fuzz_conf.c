/* fuzz_conf.c -- any bytes as a configuration file: parsed, asked for every type, and the
 * errors printed. Checks what the header promises of each node. */
#include "conf.h"

static const char *const known[] = { "from", "to", "when", "then", "header_from", "size", NULL };

static void
walk(struct diags *d, const struct conf_node *n, unsigned depth)
{
	struct span text;
	uint64_t u;
	int64_t us;
	size_t count = 0;
	bool b;
	int index;

	ASSERT(depth <= 32);
	ASSERT(n->line >= 1 && n->column >= 1 && n->width >= 1 && n->file);
	ASSERT(n->line <= n->file->nlines);
	ASSERT(n->kind != CONF_SCALAR || (n->text.p && n->text.p[n->text.n] == '\0'));
	ASSERT(memchr(n->text.p ? n->text.p : "", '\0', n->text.n) == NULL);
	conf_check_keys(d, n, "when", known);
	if (conf_text(d, n, "a text", &text))
		ASSERT(n->kind == CONF_SCALAR);
	conf_want(d, n, CONF_LIST, "a list");
	conf_want(d, n, CONF_MAP, NULL);
	conf_bool(d, n, &b);
	if (conf_uint(d, n, 1, 65535, &u))
		ASSERT(u >= 1 && u <= 65535);
	conf_size(d, n, &u);
	if (conf_duration(d, n, &us))
		ASSERT(us >= 0);
	if (conf_enum(d, n, known, &index))
		ASSERT(span_is(n->text, known[index]));
	CONF_EACH(child, n) {
		if (n->kind == CONF_MAP) {
			ASSERT(child->key_line >= 1 && child->key_width >= 1);
			ASSERT(child->key.n > 0);
		}
		walk(d, child, depth + 1);
		count++;
	}
	ASSERT(count == n->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct conf_node *root;
	struct diags d;
	struct buf out;

	diags_init(&d, a);
	buf_init(&out, 4 << 20);
	root = conf_parse("fuzz.yaml", span_make((const char *)data, size), &d);
	ASSERT(root || d.errors > 0);
	if (root)
		walk(&d, root, 0);
	diags_print(&d, &out, "nothing changed", size & 1);
	ASSERT(!buf_failed(&out));
	for (size_t i = 0; i < buf_size(&out); i++) {
		unsigned char c = (unsigned char)buf_data(&out).p[i];

		/* Nothing of the file may drive a terminal. */
		ASSERT((c >= 0x20 && c != 0x7f) || c == '\n' || ((size & 1) && c == 0x1b));
	}
	buf_release(&out);
	arena_free(&a);
	return 0;
}
