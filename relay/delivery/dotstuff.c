/* dotstuff.c -- a message made ready for DATA, as borrowed pieces; see dotstuff.h.
 *
 * A message with proper lines and no leading dot is one piece: the mapping
 * goes to the socket as it is. memchr finds the line ends; each byte is looked
 * at twice (LF over the rest, CR within the line).
 */
#include "delivery/dotstuff.h"

static const struct span CRLF = { "\r\n", 2 };
static const struct span DOT = { ".", 1 };
static const struct span END = { ".\r\n", 3 };

void
dotstuff_init(struct dotstuff *d, struct span message)
{
	*d = (struct dotstuff){ .rest = message, .line_start = true };
}

/* Hands out n bytes of the message now; `then` stands in for the `skip` bytes behind them. */
static bool
hand_out(struct dotstuff *d, size_t n, struct span then, size_t skip, struct span *out)
{
	if (n == 0) {
		*out = then;
		d->rest = span_from(d->rest, skip);
		return true;
	}
	*out = span_sub(d->rest, 0, n);
	d->rest = span_from(d->rest, n);
	d->next = then;
	d->skip = skip;
	return true;
}

bool
dotstuff_next(struct dotstuff *d, struct span *out)
{
	const char *start = d->rest.p, *end, *p;

	if (d->finished)
		return false;
	if (d->next.n) {
		*out = d->next;
		d->rest = span_from(d->rest, d->skip);
		d->next = (struct span){ 0 };
		return true;
	}
	if (d->rest.n == 0) {
		if (!d->line_start) {
			d->line_start = true;
			*out = CRLF;
			return true;
		}
		d->finished = true;
		*out = END;
		return true;
	}
	end = start + d->rest.n;
	for (p = start; p < end; ) {
		const char *lf, *line_end, *cr;

		if (d->line_start && *p == '.' && !d->dotted) {
			d->dotted = true;	/* the dot itself stays with its line */
			return hand_out(d, (size_t)(p - start), DOT, 0, out);
		}
		if (d->line_start && (size_t)(p - start) >= DOTSTUFF_RUN_MAX)
			return hand_out(d, (size_t)(p - start), (struct span){ 0 }, 0, out);
		d->line_start = d->dotted = false;
		lf = memchr(p, '\n', (size_t)(end - p));
		line_end = lf ? lf : end;
		cr = memchr(p, '\r', (size_t)(line_end - p));
		if (cr == NULL && lf == NULL)
			break;
		d->line_start = true;
		if (cr && lf && cr + 1 == lf) {
			p = lf + 1;
			continue;
		}
		p = cr ? cr : lf;
		return hand_out(d, (size_t)(p - start), CRLF, 1, out);
	}
	return hand_out(d, d->rest.n, (struct span){ 0 }, 0, out);
}

bool
span_has_lines(struct span s)
{
	const char *p = s.p, *end = s.p + s.n;

	if (!span_ends_nocase(s, CRLF))
		return false;
	while (p < end) {
		const char *lf = memchr(p, '\n', (size_t)(end - p));

		/* The first CR of a line stands before its LF. */
		if (lf == p || memchr(p, '\r', (size_t)(lf - p)) != lf - 1)
			return false;
		p = lf + 1;
	}
	return true;
}

bool
span_has_8bit(struct span s)
{
	const char *p = s.p;
	size_t n = s.n;
	uint64_t w[4];

	for (; n >= sizeof(w); p += sizeof(w), n -= sizeof(w)) {
		memcpy(w, p, sizeof(w));
		if ((w[0] | w[1] | w[2] | w[3]) & UINT64_C(0x8080808080808080))
			return true;
	}
	for (; n; p++, n--)
		if (*p & 0x80)
			return true;
	return false;
}
