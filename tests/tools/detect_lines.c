/* detect_lines.c -- runs all built-in detectors over many texts, for tests/accuracy.
 *
 * Standard input: any number of "T|M ID BYTES\n" followed by that many bytes; T is the text of a
 * body (UTF-8), M a whole message. Standard output: a line for each match, "ID detector
 * confidence from to", offsets as evidence shows them, and "ID done". With -l it prints a line of JSON
 * for each built-in instead. */
#include <stdio.h>
#include <stdlib.h>

#include "detect/detect.h"
#include "detect/identifiers.h"
#include "fs.h"
#include "postern/arena.h"

#define INPUT_MAX ((size_t)2 << 30)

static void
string_put(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			putchar('\\');
		putchar(*s);
	}
	putchar('"');
}

static void
list(void)
{
	for (size_t i = 0; builtins[i]; i++) {
		const struct builtin *b = builtins[i];

		printf("{\"name\":\"%s\",\"help\":", b->name);
		string_put(b->help);
		printf(",\"within\":%u,\"mask_last\":%u,\"keywords\":[", b->within, b->mask_last);
		for (size_t k = 0; b->keywords[k]; k++) {
			if (k)
				putchar(',');
			string_put(b->keywords[k]);
		}
		printf("]}\n");
	}
}

static void
matches_print(const struct detectors *d, const char *id, const struct detection *out)
{
	for (size_t i = 0; i < out->nmatches; i++) {
		const struct match *m = &out->matches[i];

		printf("%s " SPAN_FMT " %s %u %u\n", id, SPAN_ARG(detectors_id(d, m->detector)),
		    confidence_name(m->confidence), m->place.from, m->place.to);
	}
	printf("%s done%s\n", id, out->undecided ? " undecided" : "");
}

static void
text_run(const struct detectors *d, const char *id, struct span s, struct arena *a)
{
	struct text text = { .s = s }, folded;
	struct surface surface = { .where = WHERE_BODY, .text = &text, .folded = &folded };
	struct anatomy an = { .surfaces = &surface, .nsurfaces = 1 };
	struct detection out;

	text_fold(a, &text, &folded);
	detectors_run(d, &an, a, &out);
	matches_print(d, id, &out);
}

static void
message_run(const struct detectors *d, const char *id, struct span s, struct arena *a)
{
	struct anatomy an;
	struct detection out;

	anatomy_build(a, s, NULL, &an);
	detectors_run(d, &an, a, &out);
	matches_print(d, id, &out);
}

int
main(int argc, char **argv)
{
	struct arena *input = arena_new(0), *a = arena_new(1 << 20);
	struct detectors *d = detectors_new();
	struct err err = { 0 };
	struct span in;

	if (argc == 2 && strcmp(argv[1], "-l") == 0) {
		list();
		return 0;
	}
	if (argc > 1) {
		fprintf(stderr, "usage: detect_lines [-l]\n");
		return 2;
	}
	for (size_t i = 0; builtins[i]; i++)
		ASSERT(detectors_add_builtin(d, span_str(builtins[i]->name), NULL) >= 0);
	ASSERT(detectors_compile(d, NULL) == 0);
	if (fs_read_fd(input, 0, INPUT_MAX, &in, &err) == -1) {
		fprintf(stderr, "detect_lines: %s\n", err.text);
		return 2;
	}
	while (in.n > 0) {
		char head[128], kind, id[64];
		size_t line = span_find(in, '\n'), bytes;

		snprintf(head, sizeof(head), SPAN_FMT, SPAN_ARG(span_sub(in, 0, line)));
		if (sscanf(head, "%c %63s %zu", &kind, id, &bytes) != 3 || line == in.n ||
		    bytes > in.n - line - 1 || (kind != 'T' && kind != 'M')) {
			fprintf(stderr, "detect_lines: bad header: %s\n", head);
			return 2;
		}
		in = span_from(in, line + 1);
		if (kind == 'M')
			message_run(d, id, span_sub(in, 0, bytes), a);
		else
			text_run(d, id, span_sub(in, 0, bytes), a);
		in = span_from(in, bytes);
		arena_reset(a);
	}
	arena_free(&a);
	arena_free(&input);
	detectors_free(&d);
	return 0;
}
