/* page.c -- columns, times, sizes, texts that strangers wrote; see page.h. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cli/page.h"
#include "clock.h"
#include "conf.h"
#include "ipc/json_read.h"
#include "postern/err.h"
#include "utf8.h"

#define GRID_TEXT_MAX ((size_t)256 << 20)

/* Control characters, and what makes a line read otherwise than it is. */
static bool
is_unsafe(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || c == 0x200e || c == 0x200f ||
	    (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

void
page_text(struct buf *out, struct span s)
{
	for (size_t i = 0; i < s.n;) {
		uint32_t c;
		size_t n = utf8_next(s.p + i, s.n - i, &c);

		if (n == 0) {
			buf_printf(out, "\\x%02x", (unsigned char)s.p[i]);
			n = 1;
		} else if (!is_unsafe(c)) {
			buf_put(out, s.p + i, n);
		} else if (c < 0x80) {
			buf_printf(out, "\\x%02x", c);
		} else {
			buf_printf(out, "\\u{%x}", c);
		}
		i += n;
	}
}

void
page_lines(struct buf *out, const char *indent, struct span s)
{
	while (s.n) {
		size_t eol = span_find(s, '\n');
		struct span l = span_sub(s, 0, eol);

		if (l.n && l.p[l.n - 1] == '\r')
			l.n--;
		buf_puts(out, indent);
		while (l.n) {	/* a tab is harmless here */
			size_t tab = span_find(l, '\t');

			page_text(out, span_sub(l, 0, tab));
			if (tab < l.n)
				buf_puts(out, "    ");
			l = span_from(l, tab + 1);
		}
		buf_putc(out, '\n');
		s = span_from(s, eol + 1);
	}
}

void
page_stamp(struct buf *out, int64_t us)
{
	time_t t = (time_t)(us / US_PER_SEC);
	char text[64];
	struct tm tm;

	if (us == 0 || localtime_r(&t, &tm) == NULL ||
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
		buf_putc(out, '-');
	else
		buf_puts(out, text);
}

void
page_time(struct buf *out, int64_t us, int64_t now)
{
	time_t t = (time_t)(us / US_PER_SEC), n = (time_t)(now / US_PER_SEC);
	char text[64] = "-";
	struct tm tm, today;

	if (us != 0 && localtime_r(&t, &tm) && localtime_r(&n, &today)) {
		if (tm.tm_year != today.tm_year)
			strftime(text, sizeof(text), "%Y-%m-%d", &tm);
		else if (tm.tm_yday != today.tm_yday)
			strftime(text, sizeof(text), "%e %b %H:%M", &tm);
		else
			strftime(text, sizeof(text), "%H:%M:%S", &tm);
	}
	buf_puts(out, text);
}

void
page_age(struct buf *out, int64_t us)
{
	long long s = us / US_PER_SEC;

	if (s < 0)
		s = 0;
	if (s < 60)
		buf_printf(out, "%llds", s);
	else if (s < 3600)
		buf_printf(out, "%lldm", s / 60);
	else if (s < 48 * 3600)
		buf_printf(out, "%lldh %lldm", s / 3600, s / 60 % 60);
	else
		buf_printf(out, "%lldd", s / 86400);
}

int64_t
page_when(const struct jval *object, const char *key)
{
	double t = jval_num(jval_get(object, key), 0);

	/* Seconds reach 1e12 in the year 33658. */
	return t >= 1e12 ? jval_int(object, key, 0) : (int64_t)(t * 1e6);
}

void
page_size(struct buf *out, uint64_t bytes)
{
	if (bytes < 1000)
		buf_printf(out, "%llu B", (unsigned long long)bytes);
	else if (bytes < 1000000)
		buf_printf(out, "%.1f kB", (double)bytes / 1e3);
	else if (bytes < 1000000000)
		buf_printf(out, "%.1f MB", (double)bytes / 1e6);
	else
		buf_printf(out, "%.1f GB", (double)bytes / 1e9);
}

void
page_count(struct buf *out, uint64_t n, const char *one, const char *many)
{
	buf_printf(out, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

void
page_who(struct buf *out, struct span by)
{
	static const struct span head = { "uid ", 4 };
	uint64_t uid;
	struct passwd *pw = NULL;

	if (span_starts(by, head) && parse_uint(span_from(by, head.n), UINT32_MAX, &uid))
		pw = getpwuid((uid_t)uid);
	page_text(out, pw ? span_str(pw->pw_name) : by);
}

void
page_flush(struct buf *out)
{
	if (buf_size(out) > 0)
		fwrite(buf_data(out).p, 1, buf_size(out), stdout);
	fflush(stdout);
	buf_reset(out);
}

static const char *const codes[] = { [PLAIN] = "", [BOLD] = "\033[1m", [DIM] = "\033[2m",
	[RED] = "\033[31m", [GREEN] = "\033[32m", [YELLOW] = "\033[33m" };

void
page_begin(struct buf *out, const struct cli *cli, enum page_colour c)
{
	if (cli->colour && c != PLAIN)
		buf_puts(out, codes[c]);
}

void
page_end(struct buf *out, const struct cli *cli, enum page_colour c)
{
	if (cli->colour && c != PLAIN)
		buf_puts(out, "\033[0m");
}

enum page_colour
page_colour_of(struct span status)
{
	static const struct { const char *word; enum page_colour c; } words[] = {
		{ "sent", GREEN }, { "released", GREEN }, { "ready", GREEN }, { "deliver", GREEN },
		{ "running", GREEN }, { "queued", PLAIN }, { "deferred", YELLOW }, { "held", YELLOW },
		{ "hold", YELLOW }, { "quarantined", YELLOW }, { "quarantine", YELLOW },
		{ "waiting", YELLOW }, { "defer", YELLOW }, { "redirect", YELLOW },
		{ "starting", YELLOW }, { "failed", RED }, { "refused", RED }, { "rejected", RED },
		{ "reject", RED }, { "expired", RED }, { "discarded", RED }, { "discard", RED },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_is(status, words[i].word))
			return words[i].c;
	return PLAIN;
}

/* ---- columns ---- */

void
grid_init(struct grid *g, const struct cli *cli, const char *const *titles, const char *right)
{
	*g = (struct grid){ .cli = cli };
	buf_init(&g->text, GRID_TEXT_MAX);
	for (; titles[g->columns]; g->columns++) {
		ASSERT(g->columns < GRID_COLUMNS);
		if (right[g->columns] == 'r')
			g->right |= 1u << g->columns;
		buf_puts(grid_cell(g), titles[g->columns]);
		grid_done(g, BOLD);
	}
}

struct buf *
grid_cell(struct grid *g)
{
	if (g->ncells == g->room) {
		g->room = g->room ? 2 * g->room : 64;
		g->cells = realloc(g->cells, g->room * sizeof(*g->cells));
		ASSERT(g->cells != NULL);
	}
	g->cells[g->ncells].n = buf_size(&g->text);
	return &g->text;
}

void
grid_done(struct grid *g, enum page_colour c)
{
	size_t from = g->cells[g->ncells].n;

	g->cells[g->ncells].n = buf_size(&g->text) - from;
	g->cells[g->ncells++].colour = (uint8_t)c;
}

void
grid_text(struct grid *g, struct span s)
{
	page_text(grid_cell(g), s.n ? s : SPAN_LIT("-"));
	grid_done(g, PLAIN);
}

void
grid_cstr(struct grid *g, const char *s)
{
	grid_text(g, span_str(s));
}

void
grid_number(struct grid *g, int64_t n)
{
	buf_printf(grid_cell(g), "%lld", (long long)n);
	grid_done(g, PLAIN);
}

size_t
grid_rows(const struct grid *g)
{
	return g->columns ? g->ncells / g->columns - 1 : 0;
}

/* Characters, not bytes; wide ones count as one: the terminal is asked nothing. */
static size_t
width(struct span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static void
pad(struct buf *out, size_t n)
{
	while (n-- > 0)
		buf_putc(out, ' ');
}

static void
print_cell(const struct grid *g, struct buf *out, size_t i, struct span s, size_t wide)
{
	enum page_colour c = (enum page_colour)g->cells[i].colour;
	size_t column = i % g->columns, fill = wide - width(s);
	bool right = g->right >> column & 1, last = column + 1 == g->columns;

	if (right)
		pad(out, fill);
	page_begin(out, g->cli, c);
	buf_span(out, s);
	page_end(out, g->cli, c);
	if (last) {
		buf_putc(out, '\n');
		return;
	}
	if (!right)
		pad(out, fill);
	buf_puts(out, "  ");
}

void
grid_print(struct grid *g, struct buf *out, const char *indent)
{
	size_t wide[GRID_COLUMNS] = { 0 }, at = 0;
	struct span all = buf_data(&g->text);

	ASSERT(g->columns && g->ncells % g->columns == 0);
	for (size_t i = 0; i < g->ncells; at += g->cells[i++].n) {
		size_t w = width(span_sub(all, at, g->cells[i].n));

		if (w > wide[i % g->columns])
			wide[i % g->columns] = w;
	}
	at = 0;
	for (size_t i = 0; i < g->ncells; at += g->cells[i++].n) {
		if (i % g->columns == 0)
			buf_puts(out, indent);
		print_cell(g, out, i, span_sub(all, at, g->cells[i].n), wide[i % g->columns]);
	}
}

void
grid_release(struct grid *g)
{
	buf_release(&g->text);
	free(g->cells);
	*g = (struct grid){ 0 };
}
