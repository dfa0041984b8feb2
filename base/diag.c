/* diag.c -- what is wrong with a file, where, and what was probably meant.
 *
 * Collects all of it and prints it the way compilers do. Texts come partly
 * from the file itself: on the way out control characters are written as
 * \xNN, so that a policy cannot drive the terminal of who checks it. Columns
 * count characters, not bytes. Very long lines are shown around the caret.
 */
#include <stdarg.h>
#include <stdio.h>

#include "conf.h"
#include "utf8.h"

#define SHOWN_MAX 160		/* characters of a source line */

void
diags_init(struct diags *d, struct arena *a)
{
	*d = (struct diags){ .arena = a };
	d->tail = &d->first;
}

static char *
format(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;
	char *p;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	ASSERT(n >= 0);
	p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	return p;
}

static void
put(struct diags *d, struct diag place, const char *hint, const char *fmt, va_list ap)
{
	struct diag *g;

	if (place.level == DIAG_ERROR)
		d->errors++;
	else
		d->warnings++;
	if (d->errors + d->warnings > DIAGS_MAX)
		return;
	g = arena_alloc(d->arena, sizeof(*g));
	*g = place;
	if (g->width == 0)
		g->width = 1;
	g->text = format(d->arena, fmt, ap);
	g->hint = hint ? arena_str(d->arena, span_str(hint)) : NULL;
	*d->tail = g;
	d->tail = &g->next;
}

void
diag_at(struct diags *d, enum diag_level level, const struct conf_node *node, const char *hint,
    const char *fmt, ...)
{
	struct diag place = { .level = level };
	va_list ap;

	if (node) {
		place.file = node->file;
		place.line = node->line;
		place.column = node->column;
		place.width = node->width;
	}
	va_start(ap, fmt);
	put(d, place, hint, fmt, ap);
	va_end(ap);
}

void
diag_key(struct diags *d, enum diag_level level, const struct conf_node *node, const char *hint,
    const char *fmt, ...)
{
	struct diag place = { .level = level };
	va_list ap;

	if (node) {
		bool keyed = node->key_line != 0;

		place.file = node->file;
		place.line = keyed ? node->key_line : node->line;
		place.column = keyed ? node->key_column : node->column;
		place.width = keyed ? node->key_width : node->width;
	}
	va_start(ap, fmt);
	put(d, place, hint, fmt, ap);
	va_end(ap);
}

void
diag_place(struct diags *d, enum diag_level level, const struct conf_file *file, uint32_t line,
    uint32_t column, uint32_t width, const char *hint, const char *fmt, ...)
{
	struct diag place = { .level = level, .file = file, .line = line, .column = column,
		.width = width };
	va_list ap;

	va_start(ap, fmt);
	put(d, place, hint, fmt, ap);
	va_end(ap);
}

/* --- source lines --- */

/* Length up to the line's end: LF, CR, or CRLF, as libyaml counts lines. */
static size_t
line_length(struct span rest)
{
	size_t lf = span_find(rest, '\n');

	return span_find(span_sub(rest, 0, lf), '\r');
}

struct span
conf_line(const struct conf_file *file, uint32_t line)
{
	struct span rest = file->text;

	if (line == 0)
		return (struct span){ 0 };
	if (file->lines) {
		if (line > file->nlines)
			return (struct span){ 0 };
		rest = span_from(rest, file->lines[line - 1]);
	} else {
		for (uint32_t i = 1; i < line; i++) {
			size_t n = line_length(rest);

			if (n == rest.n)
				return (struct span){ 0 };
			n += rest.p[n] == '\r' && n + 1 < rest.n && rest.p[n + 1] == '\n' ? 2 : 1;
			rest = span_from(rest, n);
		}
	}
	return span_sub(rest, 0, line_length(rest));
}

/* Characters that hide, reorder or command: never copied to a terminal. */
static bool
unprintable(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 ||
	    (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static size_t
next_char(struct span s, uint32_t *cp)
{
	size_t n = utf8_next(s.p, s.n, cp);

	if (n == 0) {
		*cp = 0;		/* shown as '?' */
		n = 1;
	}
	return n;
}

static void
put_text(struct buf *out, const char *text)
{
	struct span s = span_str(text);

	while (s.n) {
		uint32_t cp;
		size_t n = utf8_next(s.p, s.n, &cp);

		if (n > 0 && !unprintable(cp))
			buf_put(out, s.p, n);
		else
			for (size_t i = 0; i < (n ? n : 1); i++)
				buf_printf(out, "\\x%02X", (unsigned char)s.p[i]);
		s = span_from(s, n ? n : 1);
	}
}

static void
pad(struct buf *out, size_t n)
{
	while (n--)
		buf_putc(out, ' ');
}

/* The source line into out (a tab goes to the next multiple of 8); where the
 * caret begins and how far it reaches, in columns of what was written. */
static void
put_source(struct buf *out, const struct diag *g, size_t *caret, size_t *width)
{
	struct span s = conf_line(g->file, g->line);
	size_t chars = 0, column = 1, shown = 0, first = 1, last, from, to;
	uint32_t cp;

	for (struct span t = s; t.n; chars++)
		t = span_from(t, next_char(t, &cp));
	if (chars > SHOWN_MAX && g->column > SHOWN_MAX * 2 / 3)
		first = g->column > chars ? chars - SHOWN_MAX / 2 : g->column - SHOWN_MAX / 2;
	last = chars >= first + SHOWN_MAX ? first + SHOWN_MAX - 1 : chars;
	if (first > 1) {
		buf_puts(out, "...");
		shown = 3;
	}
	from = to = SIZE_MAX;
	for (; s.n && column <= last; column++) {
		size_t n = next_char(s, &cp);

		if (column == g->column)
			from = shown;
		if (from != SIZE_MAX && to == SIZE_MAX && column >= (size_t)g->column + g->width)
			to = shown;
		if (column >= first && cp == '\t') {
			pad(out, 8 - shown % 8);
			shown += 8 - shown % 8;
		} else if (column >= first) {
			if (unprintable(cp))
				buf_putc(out, '?');
			else
				buf_put(out, s.p, n);
			shown++;
		}
		s = span_from(s, n);
	}
	if (last < chars)
		buf_puts(out, "...");
	*caret = from != SIZE_MAX ? from : shown;
	*width = to != SIZE_MAX ? to - *caret : shown - *caret;
	if (*width == 0)
		*width = 1;
}

static void
print_place(const struct diag *g, struct buf *out, const char *dim, const char *bold,
    const char *plain)
{
	size_t caret, width, digits = 0;

	for (uint32_t n = g->line; n; n /= 10)
		digits++;
	if (digits < 2)
		digits = 2;
	pad(out, digits);
	buf_printf(out, "%s-->%s ", dim, plain);
	put_text(out, g->file->name);
	if (g->line == 0) {
		buf_putc(out, '\n');
		return;
	}
	buf_printf(out, ":%u:%u\n", g->line, g->column);
	pad(out, digits + 1);
	buf_printf(out, "%s|%s\n", dim, plain);
	buf_printf(out, "%s%*u |%s", dim, (int)digits, g->line, plain);
	if (conf_line(g->file, g->line).n)
		buf_putc(out, ' ');
	put_source(out, g, &caret, &width);
	buf_putc(out, '\n');
	pad(out, digits + 1);
	buf_printf(out, "%s|%s ", dim, plain);
	pad(out, caret);
	buf_puts(out, bold);
	while (width--)
		buf_putc(out, '^');
	if (g->hint) {
		buf_putc(out, ' ');
		put_text(out, g->hint);
	}
	buf_printf(out, "%s\n", plain);
}

static int
compare(const struct diag *a, const struct diag *b)
{
	int c;

	if (a->file == NULL || b->file == NULL)
		return (a->file != NULL) - (b->file != NULL);
	if (a->file != b->file && (c = strcmp(a->file->name, b->file->name)) != 0)
		return c;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return a->column < b->column ? -1 : a->column > b->column;
}

void
diags_print(const struct diags *d, struct buf *out, const char *trailer, bool colour)
{
	const char *dim = colour ? "\033[34m" : "", *plain = colour ? "\033[0m" : "";
	const struct diag *sorted[DIAGS_MAX];
	size_t n = 0, all = d->errors + d->warnings;

	/* Stable: what was found first at one place is said first. */
	for (const struct diag *g = d->first; g; g = g->next, n++) {
		size_t i = n;

		for (; i > 0 && compare(g, sorted[i - 1]) < 0; i--)
			sorted[i] = sorted[i - 1];
		sorted[i] = g;
	}
	for (size_t i = 0; i < n; i++) {
		const struct diag *g = sorted[i];
		bool error = g->level == DIAG_ERROR;
		const char *bold = !colour ? "" : error ? "\033[1;31m" : "\033[1;33m";

		if (i > 0)
			buf_putc(out, '\n');
		buf_printf(out, "%s%s%s: ", bold, error ? "error" : "warning", plain);
		put_text(out, g->text);
		buf_putc(out, '\n');
		if (g->file)
			print_place(g, out, dim, bold, plain);
		if (g->hint && (g->file == NULL || g->line == 0)) {
			buf_puts(out, "   = ");
			put_text(out, g->hint);
			buf_putc(out, '\n');
		}
		if (error && trailer) {
			size_t digits = 2;

			for (uint32_t v = g->file ? g->line / 100 : 0; v; v /= 10)
				digits++;
			pad(out, digits + 1);
			buf_puts(out, "= ");
			put_text(out, trailer);
			buf_putc(out, '\n');
		}
	}
	if (all > n)
		buf_printf(out, "\nand %zu more\n", all - n);
}
