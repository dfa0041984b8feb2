/* text_of.c -- prints every text that detectors would search in a message: part, name, origin, text.
 * With a second argument: the file alone, as the attachment of that name. */
#include <stdio.h>

#include "fs.h"
#include "postern/anatomy.h"
#include "postern/err.h"

int
main(int argc, char **argv)
{
	struct arena *a = arena_new(0);
	struct anatomy an;
	struct span raw;
	struct err err;

	if (argc < 2 || fs_read(a, argv[1], 256u << 20, &raw, &err) == -1) {
		fprintf(stderr, "usage: text_of FILE [NAME]\n");
		return 2;
	}
	if (argc > 2) {
		const char *head = arena_printf(a, "Content-Type: application/octet-stream; name=\"%s\"\r\n"
		    "Content-Transfer-Encoding: binary\r\n\r\n", argv[2]);
		char *p = arena_alloc(a, strlen(head) + raw.n);

		memcpy(p, head, strlen(head));
		memcpy(p + strlen(head), raw.p, raw.n);
		raw = span_make(p, strlen(head) + raw.n);
	}
	anatomy_build(a, raw, NULL, &an);
	for (size_t i = 0; i < an.nsurfaces; i++) {
		const struct surface *s = &an.surfaces[i];

		printf("== " SPAN_FMT " " SPAN_FMT " (" SPAN_FMT ")\n", SPAN_ARG(an.parts[s->part].number),
		    SPAN_ARG(s->name), SPAN_ARG(s->origin));
		fwrite(s->text->s.p, 1, s->text->s.n, stdout);
		putchar('\n');
	}
	arena_free(&a);
	return 0;
}
