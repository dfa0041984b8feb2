/* smtp_lines.c -- what becomes of a bare CR or LF inside a message: refused or made CRLF.
 *
 * Called by smtp_session.c behind smtp_data.c (when the listener normalises)
 * and by smtp_bdat.c for every chunk. Where a message ends is not decided here:
 * DATA ends at CRLF.CRLF and a chunk at its length, whatever the lines look
 * like. So a message that went through here has whole lines only, each ended by
 * CRLF, and no server behind us can read two messages into it (RFC 5321, 2.3.8;
 * CVE-2023-51764 and its kin).
 *
 * NUL and long lines are noted and passed on: the anatomy makes defects of
 * them, which rules can judge.
 *
 * A CR is held back until the next byte shows what it is; everything else is
 * handed on as spans of the input, found with memchr.
 */
#include "postern/err.h"
#include "receiver/smtp_data.h"
#include "receiver/smtp_lines.h"

enum {
	AT_START,		/* of a line */
	IN_LINE,
	AFTER_CR,		/* not handed on yet */
	FINISHED,
};

static const struct span CRLF = { "\r\n", 2 };

void
smtp_lines_init(struct smtp_lines *l, bool normalise)
{
	*l = (struct smtp_lines){ .state = AT_START, .normalise = normalise };
}

static void
note(struct smtp_lines *l, struct span run)
{
	if (!(l->flags & DATA_HAS_NUL) && memchr(run.p, '\0', run.n))
		l->flags |= DATA_HAS_NUL;
	if (run.n > DATA_LINE_MAX || l->line + run.n > DATA_LINE_MAX)
		l->flags |= DATA_LONG_LINE;
	else
		l->line += (uint32_t)run.n;
}

static enum lines_status
bare(struct smtp_lines *l, size_t at, size_t *used)
{
	*used = at;
	l->state = FINISHED;
	return LINES_BARE;
}

/* A line is over; its end, however it was written, is handed on as CRLF. */
static enum lines_status
line_end(struct smtp_lines *l, size_t at, size_t *used, struct span *out)
{
	*used = at;
	*out = CRLF;
	l->state = AT_START;
	l->line = 0;
	return LINES_BYTES;
}

enum lines_status
smtp_lines_step(struct smtp_lines *l, struct span in, size_t *used, struct span *out)
{
	const char *p = in.p, *end = in.p + in.n;

	ASSERT(l->state != FINISHED);
	*out = (struct span){ 0 };
	if (in.n == 0) {
		*used = 0;
		return LINES_MORE;
	}
	if (l->state == AFTER_CR) {
		if (*p != '\n' && !l->normalise)
			return bare(l, 0, used);
		return line_end(l, *p == '\n', used, out);
	}
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf ? lf : end;
		const char *cr = memchr(p, '\r', (size_t)(stop - p));

		if (cr && lf && cr + 1 == lf) {		/* the common case: a whole line */
			note(l, span_make(p, (size_t)(cr - p)));
			l->line = 0;
			l->state = AT_START;
			p = lf + 1;
			continue;
		}
		if (cr)
			stop = cr;
		if (stop > p) {
			note(l, span_make(p, (size_t)(stop - p)));
			l->state = IN_LINE;
			p = stop;
		}
		if (p > in.p || stop == end)
			break;
		if (cr == NULL) {			/* an LF stands first */
			if (!l->normalise)
				return bare(l, 0, used);
			return line_end(l, 1, used, out);
		}
		l->state = AFTER_CR;
		*used = 1;
		return LINES_MORE;
	}
	*used = (size_t)(p - in.p);
	*out = span_make(in.p, *used);
	return LINES_BYTES;
}

enum lines_status
smtp_lines_end(struct smtp_lines *l, struct span *out)
{
	bool open = l->state == IN_LINE || l->state == AFTER_CR, cr = l->state == AFTER_CR;

	*out = open ? CRLF : (struct span){ 0 };
	l->state = FINISHED;
	return cr && !l->normalise ? LINES_BARE : open ? LINES_BYTES : LINES_MORE;
}
