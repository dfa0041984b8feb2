/* talk.c -- what was said in an attempt; see talk.h.
 *
 * An entry: milliseconds (4 bytes), who (1), length (2), text. The end is
 * kept in two halves: when the second is full it becomes the first.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "delivery/talk.h"
#include "postern/err.h"

#define ENTRY_HEAD 7

void
talk_begin(struct talk *t, int64_t now)
{
	t->began = now;
	t->nhead = t->ntail[0] = t->ntail[1] = t->nline = 0;
	t->lost = t->body = 0;
}

void
talk_release(struct talk *t)
{
	free(t->head);
	free(t->tail[0]);
	free(t->tail[1]);
	*t = (struct talk){ 0 };
}

static void
put(char *to, uint32_t ms, char who, struct span text)
{
	uint16_t n = (uint16_t)text.n;

	memcpy(to, &ms, 4);
	to[4] = who;
	memcpy(to + 5, &n, 2);
	memcpy(to + ENTRY_HEAD, text.p, text.n);
}

static void
room(char **p, size_t n)
{
	if (*p == NULL)
		*p = malloc(n);
	ASSERT(*p != NULL);
}

static void
add(struct talk *t, int64_t now, char who, struct span text)
{
	uint32_t ms = (uint32_t)((now - t->began) / 1000);
	size_t n;

	if (text.n > TALK_LINE)
		text.n = TALK_LINE;
	n = ENTRY_HEAD + text.n;
	if (t->ntail[0] + t->ntail[1] == 0 && t->nhead + n <= TALK_HEAD) {
		room(&t->head, TALK_HEAD);
		put(t->head + t->nhead, ms, who, text);
		t->nhead = (uint16_t)(t->nhead + n);
		return;
	}
	if (t->ntail[1] + n > TALK_TAIL) {
		char *old = t->tail[0];

		t->lost += t->ntail[0];
		t->tail[0] = t->tail[1];
		t->ntail[0] = t->ntail[1];
		t->tail[1] = old;
		t->ntail[1] = 0;
	}
	room(&t->tail[1], TALK_TAIL);
	put(t->tail[1] + t->ntail[1], ms, who, text);
	t->ntail[1] = (uint16_t)(t->ntail[1] + n);
}

static void
body_over(struct talk *t, int64_t now)
{
	char text[64];
	int n;

	if (t->body == 0)
		return;
	n = snprintf(text, sizeof(text), "(%llu bytes of the message)", (unsigned long long)t->body);
	t->body = 0;
	add(t, now, 'C', span_make(text, (size_t)n));
}

void
talk_said(struct talk *t, struct span lines, int64_t now)
{
	body_over(t, now);
	while (lines.n) {
		struct span line = span_sub(lines, 0, span_find(lines, '\n'));

		lines = span_from(lines, line.n + 1);
		if (span_starts_nocase(line, SPAN_LIT("AUTH ")))
			line = SPAN_LIT("AUTH (not shown)");
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		add(t, now, 'C', line);
	}
}

void
talk_body(struct talk *t, size_t n)
{
	t->body += n;
}

static void
line_over(struct talk *t, int64_t now)
{
	if (t->nline && t->line[t->nline - 1] == '\r')
		t->nline--;
	add(t, now, 'S', span_make(t->line, t->nline));
	t->nline = 0;
}

void
talk_heard(struct talk *t, struct span bytes, int64_t now)
{
	body_over(t, now);
	while (bytes.n) {
		struct span part = span_sub(bytes, 0, span_find(bytes, '\n'));
		bool whole = part.n < bytes.n;
		size_t n = part.n < (size_t)(TALK_LINE - t->nline) ? part.n : (size_t)(TALK_LINE - t->nline);

		if (n)
			memcpy(t->line + t->nline, part.p, n);
		t->nline = (uint16_t)(t->nline + n);
		bytes = span_from(bytes, part.n + 1);
		if (whole)
			line_over(t, now);
	}
}

void
talk_note(struct talk *t, int64_t now, const char *fmt, ...)
{
	char text[TALK_LINE];
	va_list ap;
	int n;

	body_over(t, now);
	if (t->nline)
		line_over(t, now);
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ASSERT(n >= 0);
	add(t, now, '-', span_make(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

#define SHOWN_MAX (4 * (TALK_HEAD + 2 * TALK_TAIL) + 256)

static void
show(struct buf *b, const char *p, size_t n)
{
	for (size_t at = 0; at < n; ) {
		uint32_t ms;
		uint16_t len;
		char who = p[at + 4];

		memcpy(&ms, p + at, 4);
		memcpy(&len, p + at + 5, 2);
		at += ENTRY_HEAD;
		buf_printf(b, "%3u.%03u ", ms / 1000, ms % 1000);
		buf_puts(b, who == '-' ? "-- " : who == 'C' ? "C: " : "S: ");
		for (size_t i = 0; i < len; i++) {
			char c = p[at + i];

			buf_putc(b, c >= ' ' && c <= '~' ? c : c == '\t' ? ' ' : '?');
		}
		buf_putc(b, '\n');
		at += len;
	}
}

struct span
talk_text(struct talk *t, struct arena *a, int64_t now)
{
	struct buf b;
	struct span out;

	body_over(t, now);
	if (t->nline)
		line_over(t, now);
	buf_init(&b, SHOWN_MAX);
	show(&b, t->head, t->nhead);
	if (t->lost)
		buf_printf(&b, "        -- %llu bytes are left out here\n", (unsigned long long)t->lost);
	for (int i = 0; i < 2; i++)
		show(&b, t->tail[i], t->ntail[i]);
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}
