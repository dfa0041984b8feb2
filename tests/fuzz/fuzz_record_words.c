/* fuzz_record_words.c -- the walk over JSON takes of it what a parser of the whole would take.
 *
 * Any bytes: it ends, and reads nothing beyond them. Where libjansson reads them as an object in which no key
 * stands twice, subject, files and rules are the same as in its tree.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json_read.h"
#include "store/record_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same_files(const struct jval *tree, const struct record_words *w)
{
	const struct jval *list = jval_get(tree, "parts"), *v;
	size_t n = 0;

	for (size_t i = 0; n < RECORD_NAMES_MAX && jval_is_array(list) && (v = jval_at(list, i)) != NULL; i++)
		if (jval_text(v, "name").n) {
			ASSERT(n < w->nfiles && span_eq(jval_text(v, "name"), w->files[n]));
			n++;
		}
	ASSERT(n == w->nfiles);
}

static void
same_rules(const struct jval *tree, const struct record_words *w)
{
	const struct jval *list = jval_get(tree, "recipients"), *r, *rule;
	size_t n = 0;

	for (size_t i = 0; jval_is_array(list) && (r = jval_at(list, i)) != NULL; i++) {
		const struct jval *rules = jval_get(r, "rules");

		for (size_t k = 0; n < RECORD_NAMES_MAX && jval_is_array(rules) && (rule = jval_at(rules, k)) != NULL; k++) {
			bool had = jval_str(rule).n == 0;

			for (size_t x = 0; x < n && !had; x++)
				had = span_eq(w->rules[x], jval_str(rule));
			if (had)
				continue;
			ASSERT(n < w->nrules && span_eq(jval_str(rule), w->rules[n]));
			n++;
		}
	}
	ASSERT(n == w->nrules);
}

/* A letter of a key may be written as an escape: the walk does not know it then. */
static bool
letters_escaped(struct span text)
{
	return memmem(text.p, text.n, "\\u006", 5) != NULL || memmem(text.p, text.n, "\\u007", 5) != NULL;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct arena *a = arena_new(0);
	struct record_words w;
	struct jval *tree;

	if (size > (1u << 16))
		goto out;
	record_words(text, a, &w);
	ASSERT(w.nfiles <= RECORD_NAMES_MAX && w.nrules <= RECORD_NAMES_MAX);
	if ((tree = jval_parse(text, NULL)) != NULL && jval_is_object(tree) && !letters_escaped(text)) {
		ASSERT(span_eq(w.subject, jval_text(tree, "subject")));
		same_files(tree, &w);
		same_rules(tree, &w);
	}
	jval_free(&tree);
out:
	arena_free(&a);
	return 0;
}
