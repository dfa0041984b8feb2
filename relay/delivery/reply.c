/* reply.c -- what an SMTP server answers, read byte by byte; see reply.h.
 *
 * Lines end with LF, with or without CR: a lenience that costs nothing here,
 * since nothing a server says is ever passed on as a command. All lines of
 * a reply must be of one class (RFC 5321, 4.2.1 wants the very same code): one
 * that says 250 first and 550 last is broken, not a choice.
 */
#include "delivery/reply.h"
#include "postern/err.h"

void
smtp_reply_init(struct smtp_reply *r)
{
	*r = (struct smtp_reply){ .status = REPLY_MORE };
	buf_init(&r->text, REPLY_TOTAL_MAX + REPLY_LINES_MAX);
}

void
smtp_reply_release(struct smtp_reply *r)
{
	buf_release(&r->text);
}

void
smtp_reply_reset(struct smtp_reply *r)
{
	r->code = 0;
	r->dsn[0] = '\0';
	r->nlines = 0;
	r->broken = NULL;
	buf_reset(&r->text);
	r->total = r->line_at = 0;
	r->in_line = r->cr = false;
	r->status = REPLY_MORE;
}

bool
smtp_reply_begun(const struct smtp_reply *r)
{
	return r->total > 0;
}

struct span
smtp_reply_text(const struct smtp_reply *r)
{
	return buf_data(&r->text);
}

struct span
smtp_reply_line(const struct smtp_reply *r, size_t i)
{
	ASSERT(i < r->nlines);
	return span_from(span_sub(smtp_reply_text(r), r->lines[i].at, r->lines[i].n), 4);
}

static size_t
digits(struct span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

size_t
dsn_parse(struct span text, char out[DSN_TEXT_MAX])
{
	size_t n, at;

	if (text.n < 5 || (text.p[0] != '2' && text.p[0] != '4' && text.p[0] != '5'))
		return 0;
	at = 1;
	for (int i = 0; i < 2; i++) {
		if (at >= text.n || text.p[at] != '.')
			return 0;
		n = digits(span_from(text, at + 1));
		if (n < 1 || n > 3)
			return 0;
		at += 1 + n;
	}
	if (at < text.n && !ascii_is_wsp(text.p[at]))
		return 0;
	memcpy(out, text.p, at);
	out[at] = '\0';
	return at;
}

static enum reply_status
broken(struct smtp_reply *r, const char *why)
{
	r->broken = why;
	return r->status = REPLY_BROKEN;
}

/* Copies what a line still has room for; bytes that could forge anything become '?'. */
static void
keep(struct smtp_reply *r, const char *p, size_t n)
{
	size_t have = buf_size(&r->text) - r->line_at;
	char *to;

	if (have >= REPLY_LINE_MAX || n == 0)
		return;
	if (n > REPLY_LINE_MAX - have)
		n = REPLY_LINE_MAX - have;
	to = buf_room(&r->text, n);
	ASSERT(to != NULL);		/* total and lines are bounded below the maximum */
	for (size_t i = 0; i < n; i++)
		to[i] = (p[i] < ' ' || p[i] > '~') ? (p[i] == '\t' ? ' ' : '?') : p[i];
	buf_commit(&r->text, n);
}

static enum reply_status
line_end(struct smtp_reply *r)
{
	struct span line = span_from(buf_data(&r->text), r->line_at);
	char dsn[DSN_TEXT_MAX];
	uint16_t code;
	char sep;

	if (line.n < 3 || digits(span_sub(line, 0, 4)) != 3 || line.p[0] < '2' || line.p[0] > '5')
		return broken(r, "the server's reply is not an SMTP reply");
	code = (uint16_t)((line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0'));
	sep = line.n > 3 ? line.p[3] : ' ';
	if (sep != ' ' && sep != '-')
		return broken(r, "the server's reply is not an SMTP reply");
	if (r->nlines && r->code / 100 != code / 100)
		return broken(r, "the server's reply contradicts itself");
	r->code = code;
	if (dsn_parse(span_from(line, 4), dsn) && dsn[0] == line.p[0])
		memcpy(r->dsn, dsn, sizeof(dsn));
	r->lines[r->nlines].at = r->line_at;
	r->lines[r->nlines].n = (uint32_t)line.n;
	r->nlines++;
	r->in_line = r->cr = false;
	if (sep == ' ')
		return r->status = REPLY_WHOLE;
	if (r->nlines == REPLY_LINES_MAX)
		return broken(r, "the server's reply has too many lines");
	return REPLY_MORE;
}

enum reply_status
smtp_reply_feed(struct smtp_reply *r, struct span in, size_t *used)
{
	size_t at = 0;

	while (r->status == REPLY_MORE && at < in.n) {
		const char *p = in.p + at, *lf;
		size_t n, take;

		if (in.n - at > REPLY_TOTAL_MAX - r->total)
			n = REPLY_TOTAL_MAX - r->total;
		else
			n = in.n - at;
		if (n == 0) {
			broken(r, "the server's reply is too long");
			break;
		}
		if (!r->in_line) {
			if (r->nlines)
				buf_putc(&r->text, ' ');
			r->line_at = (uint32_t)buf_size(&r->text);
			r->in_line = true;
		}
		lf = memchr(p, '\n', n);
		take = lf ? (size_t)(lf - p) : n;
		at += take + (lf != NULL);
		r->total += (uint32_t)(take + (lf != NULL));
		if (r->cr && take)
			keep(r, "\r", 1);	/* it was not the line's end after all */
		if (take)
			r->cr = p[take - 1] == '\r';
		keep(r, p, take - (take && r->cr));
		if (lf)
			line_end(r);
	}
	*used = at;
	return r->status;
}
