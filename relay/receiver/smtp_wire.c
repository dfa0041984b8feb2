/* smtp_wire.c -- SMTP lines in, SMTP replies out.
 *
 * Only CRLF ends a command. A bare CR or LF is not repaired: whoever sends
 * one may be hiding a command from a stricter proxy in front of us, so the
 * session ends there. A line that is too long is skipped to its end, which
 * costs one reply and no memory.
 *
 * Replies are only ever appended to a buffer: the answers to a pipelined
 * group leave in one write (RFC 2920, 3.2). No text from outside can add a
 * line or a code of its own to a reply.
 */
#include "postern/err.h"
#include "smtp_wire.h"

/* RFC 5321, 4.5.3.1.5: a reply line has 512 octets at most, "NNN " and CRLF included. */
#define REPLY_TEXT_MAX (512 - 4 - 2)

static enum wire_status
skip(struct wire *w, struct span in, size_t *used)
{
	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n') {
			*used = i + 1;
			if (!w->cr)
				return WIRE_BARE;
			*w = (struct wire){ 0 };
			return WIRE_LONG;
		}
		if (w->cr) {
			*used = i;
			return WIRE_BARE;
		}
		w->cr = in.p[i] == '\r';
	}
	*used = in.n;
	return WIRE_MORE;
}

enum wire_status
wire_line(struct wire *w, struct span in, size_t *used, struct span *line)
{
	size_t look = in.n < WIRE_LINE_MAX ? in.n : WIRE_LINE_MAX, lf, cr;

	*used = 0;
	if (w->skipping)
		return skip(w, in, used);
	lf = span_find(span_sub(in, 0, look), '\n');
	cr = span_find(span_sub(in, 0, lf), '\r');
	if (lf < look) {
		*used = lf + 1;
		if (lf == 0 || cr != lf - 1)
			return WIRE_BARE;
		*line = span_sub(in, 0, cr);
		return WIRE_LINE;
	}
	if (cr + 1 < look) {
		*used = cr + 1;
		return WIRE_BARE;
	}
	if (look < WIRE_LINE_MAX)
		return WIRE_MORE;
	w->skipping = true;
	return skip(w, in, used);
}

size_t
wire_enhanced(struct span t)
{
	size_t i = 0;

	if (t.n < 5 || (t.p[0] != '2' && t.p[0] != '4' && t.p[0] != '5'))
		return 0;
	for (int part = 0; part < 3; part++) {
		size_t digits = 0;

		while (i < t.n && t.p[i] >= '0' && t.p[i] <= '9')
			i++, digits++;
		if (digits == 0 || digits > 3)
			return 0;
		if (part < 2 && (i >= t.n || t.p[i++] != '.'))
			return 0;
	}
	return (i == t.n || t.p[i] == ' ') ? i : 0;
}

/* How much of the text stands on the next line: up to an LF, or to the last space that fits. */
static size_t
line_size(struct span text, size_t max)
{
	size_t n = span_find(text, '\n');

	if (n <= max)
		return n;
	for (n = max; n > max / 2; n--)
		if (text.p[n] == ' ')
			return n;
	return max;
}

int
wire_reply(struct buf *out, unsigned code, struct span text)
{
	size_t enh = wire_enhanced(text);
	struct span enhanced = span_sub(text, 0, enh);

	ASSERT(code >= 200 && code <= 599);
	text = span_from(text, enh < text.n ? enh + (enh > 0) : enh);
	do {
		size_t n = line_size(text, REPLY_TEXT_MAX - (enh ? enh + 1 : 0));
		size_t skipped = n < text.n && (text.p[n] == '\n' || text.p[n] == ' ');
		char head[4] = { (char)('0' + code / 100), (char)('0' + code / 10 % 10),
		    (char)('0' + code % 10), n + skipped < text.n ? '-' : ' ' };
		char *to;

		buf_put(out, head, sizeof(head));
		if (enh) {
			buf_span(out, enhanced);
			buf_putc(out, ' ');
		}
		if ((to = buf_room(out, n + 2)) == NULL)
			return -1;
		for (size_t i = 0; i < n; i++)
			to[i] = text.p[i] >= ' ' && text.p[i] < 0x7f ? text.p[i] : '?';
		to[n] = '\r';
		to[n + 1] = '\n';
		buf_commit(out, n + 2);
		text = span_from(text, n + skipped);
	} while (text.n);
	return buf_failed(out) ? -1 : 0;
}
