/* fuzz_postfix.c -- any bytes as a file of Postfix: the first byte says which. Nothing of a line may be lost:
 * each logical line is an item, what is taken apart lies within it. */
#include "cli/postfix_read.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_within(struct span part, struct span whole)
{
	ASSERT(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void
one_pattern(struct arena *a, struct span p)
{
	struct span alt[32], ext[64];
	struct pf_header h;
	size_t n = pf_alternatives(p, alt, 32), all = 0;

	for (size_t i = 0; i < n; i++) {
		check_within(alt[i], p);
		all += alt[i].n;
		if (pf_header_pattern(a, alt[i], &h)) {
			ASSERT(h.nnames > 0 && h.nnames <= PF_NAMES_MAX);
			check_within(h.rest, alt[i]);
		}
	}
	ASSERT(n == 0 || all + n - 1 == p.n);
	n = pf_extensions(a, p, ext, 64);
	for (size_t i = 0; i < n; i++)
		ASSERT(ext[i].n > 0 && ext[i].n <= 16);
}

static void
main_cf(struct arena *a, struct span text)
{
	struct pf_params p;

	if (pf_main_cf(a, text, &p) == -1)
		return;
	for (size_t i = 0; i < p.n; i++) {
		struct span v;

		ASSERT(p.v[i].name.n > 0 && p.v[i].line > 0);
		if (p.v[i].bad)
			continue;
		ASSERT(pf_find(&p, arena_str(a, p.v[i].name)) == &p.v[i]);
		if (i < 50 && pf_expand(a, &p, p.v[i].value, &v))
			ASSERT(v.n <= PF_VALUE_MAX);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a;
	struct span text, list, word;
	struct pf_service *s;
	struct pf_entry *e;
	struct pf_rule *r;
	size_t n;

	if (size == 0)
		return 0;
	a = arena_new(0);
	text = arena_span(a, span_make((const char *)data + 1, size - 1));
	switch (data[0]) {
	case 'm':
		main_cf(a, text);
		break;
	case 's':
		if (pf_master_cf(a, text, &s, &n) == 0)
			for (size_t i = 0; i < n; i++)
				ASSERT(s[i].bad == (s[i].command.n == 0) && s[i].name.n > 0);
		break;
	case 't':
		if (pf_table(a, text, &e, &n) == 0)
			for (size_t i = 0; i < n; i++)
				ASSERT(e[i].key.n > 0 && e[i].bad == (e[i].value.n == 0));
		break;
	case 'r':
		if (pf_rules(a, text, &r, &n) == 0)
			for (size_t i = 0; i < n; i++) {
				ASSERT(r[i].kind != PF_MATCH || r[i].verb.n > 0);
				check_within(r[i].pattern, r[i].whole);
				check_within(r[i].text, r[i].whole);
				one_pattern(a, r[i].pattern);
			}
		break;
	case 'w':
		for (list = text, n = 0; pf_word(&list, &word); n++)
			check_within(word, text);
		ASSERT(n <= text.n);
		break;
	default:
		one_pattern(a, text);
	}
	arena_free(&a);
	return 0;
}
