/* zone_text.c -- a record as BIND's zone files have it; see zone_text.h. */
#include <string.h>

#include "zone/zone_text.h"

#define STRING_MAX 255

void
zone_text_bind(struct buf *out, const char *name, const char *type, struct span value)
{
	buf_printf(out, "%s. IN %s ", name, type);
	if (strcmp(type, "TXT") != 0) {
		buf_span(out, value);
		buf_putc(out, '\n');
		return;
	}
	for (size_t at = 0; at < value.n; at += STRING_MAX) {
		struct span part = span_sub(value, at, STRING_MAX);

		buf_puts(out, at ? " \"" : "\"");
		for (size_t i = 0; i < part.n; i++) {
			if (part.p[i] == '"' || part.p[i] == '\\')
				buf_putc(out, '\\');
			buf_putc(out, part.p[i]);
		}
		buf_putc(out, '"');
	}
	buf_putc(out, '\n');
}
