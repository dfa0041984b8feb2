/* smtp_data.c -- undo dot-stuffing and find the one true end of a message.
 *
 * Only CRLF.CRLF ends a message. A bare CR or LF refuses it: leniency here
 * lets a second message hide in the first (CVE-2023-51764 and its kin: what
 * one server takes for an end of data another passes on as text). A lenient
 * one passes bare CR and LF on to smtp_lines.c, which makes CRLF of them; a
 * dot behind such a line end is text and stays, for only a client that speaks
 * SMTP stuffs dots, and it writes CRLF.
 *
 * Nothing is copied and nothing is held back: the dot at the start of a line
 * is never part of the message, and a CR may be handed on before its LF is
 * seen because a CR without one refuses the message anyway. So each run of
 * output is a span of the input. In the middle of a line two memchr do all
 * the work, which libc runs at the speed of memory.
 */
#include "postern/err.h"
#include "smtp_data.h"

enum {
	AT_START,		/* of a line: behind DATA or CRLF */
	IN_LINE,
	AFTER_CR,		/* of a line's end: LF must follow */
	AFTER_DOT,		/* a line began with a dot, which was dropped */
	AFTER_DOT_CR,		/* … and a CR: only LF, the end, may follow */
	FINISHED,
};

void
smtp_data_init(struct smtp_data *d, bool lenient)
{
	*d = (struct smtp_data){ .state = AT_START, .lenient = lenient };
}

static void
count_line(struct smtp_data *d, size_t n)
{
	if (n > DATA_LINE_MAX || d->line + n > DATA_LINE_MAX)
		d->flags |= DATA_LONG_LINE;
	else
		d->line += (uint32_t)n;
}

/* Runs over whole lines until the bytes end, a line starts with a dot, or something is wrong.
 * Starts in AT_START, IN_LINE or AFTER_CR; returns how many bytes belong to the message. */
static size_t
run_lines(struct smtp_data *d, struct span in, bool *bare)
{
	const char *p = in.p, *end = in.p + in.n;

	*bare = false;
	while (p < end) {
		const char *lf, *cr;

		if (d->state == AFTER_CR) {
			if (*p != '\n')
				goto bad;
			p++;
			d->line = 0;
			d->state = AT_START;
			continue;
		}
		if (d->state == AT_START && *p == '.')
			break;
		lf = memchr(p, '\n', (size_t)(end - p));
		cr = memchr(p, '\r', (size_t)((lf ? lf : end) - p));
		if (lf ? cr != lf - 1 || lf == p : cr && cr != end - 1)
			goto bad;
		count_line(d, (size_t)((cr ? cr : end) - p));
		if (lf) {
			d->line = 0;
			d->state = AT_START;
			p = lf + 1;
		} else {
			d->state = cr ? AFTER_CR : IN_LINE;
			p = end;
		}
	}
	return (size_t)(p - in.p);
bad:
	*bare = true;
	return (size_t)(p - in.p);
}

/* The same for a lenient one: stops only where a dot stands behind CRLF. */
static size_t
run_lenient(struct smtp_data *d, struct span in)
{
	const char *p = in.p, *end = in.p + in.n;

	while (p < end) {
		const char *lf;

		if (d->state == AT_START && *p == '.')
			break;
		if ((lf = memchr(p, '\n', (size_t)(end - p))) == NULL) {
			d->state = end[-1] == '\r' ? AFTER_CR : IN_LINE;
			return in.n;
		}
		d->state = (lf > p ? lf[-1] == '\r' : d->state == AFTER_CR) ? AT_START : IN_LINE;
		p = lf + 1;
	}
	return (size_t)(p - in.p);
}

enum data_status
smtp_data_step(struct smtp_data *d, struct span in, size_t *used, struct span *out)
{
	size_t at = 0, n;
	bool bare;

	ASSERT(d->state != FINISHED);
	*out = (struct span){ 0 };
	while (at < in.n) {
		char c = in.p[at];

		switch (d->state) {
		case AFTER_DOT:
			if (c == '\n' && !d->lenient)
				goto bad;
			d->state = c == '\r' ? AFTER_DOT_CR : IN_LINE;
			at += c == '\r';
			continue;
		case AFTER_DOT_CR:
			if (c != '\n' && !d->lenient)
				goto bad;
			if (c != '\n') {	/* no end: the CR was a byte of the message */
				d->state = IN_LINE;
				*out = SPAN_LIT("\r");
				*used = at;
				return DATA_BYTES;
			}
			d->state = FINISHED;
			*used = at + 1;
			return DATA_END;
		case AT_START:
			if (c == '.') {
				d->state = AFTER_DOT;
				at++;
				continue;
			}
			break;
		default:
			break;
		}
		bare = false;
		n = d->lenient ? run_lenient(d, span_from(in, at)) :
		    run_lines(d, span_from(in, at), &bare);
		if (bare)
			goto bad;
		*out = span_sub(in, at, n);
		if (!(d->flags & DATA_HAS_NUL) && memchr(out->p, '\0', n))
			d->flags |= DATA_HAS_NUL;
		*used = at + n;
		return DATA_BYTES;
	}
	*used = at;
	return DATA_MORE;
bad:
	*used = at;
	d->state = FINISHED;
	return DATA_BARE;
}
