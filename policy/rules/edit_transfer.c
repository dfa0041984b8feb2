/* edit_transfer.c -- changes of a part's decoded bytes as ranges of the message.
 *
 * Where nothing is encoded each change is a range. Quoted-printable is cut at
 * its true line ends: each piece decodes alone, and only pieces with a change
 * are written anew. Base64 is written anew from the last group before the
 * first change on; where all changes together keep the length, modulo a group,
 * up to the first group behind the last one. What is sloppy (junk within,
 * several runs put together) is written anew as a whole, so that it decodes
 * everywhere to what was decoded here.
 */
#include "base64.h"
#include "buf.h"
#include "edits.h"

#define QP_LINE 76		/* RFC 2045, 6.7 (5) */
#define BASE64_LINE 57		/* bytes: 76 characters, RFC 2045, 6.8 */

/* --- encoding --------------------------------------------------------------------------- */

static void
qp_char(struct buf *b, unsigned char c, size_t *column, const char *eol, bool literal)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t len = literal ? 1 : 3;

	if (*column + len > QP_LINE - 1) {
		buf_putc(b, '=');
		buf_puts(b, eol);
		*column = 0;
	}
	if (literal) {
		buf_putc(b, (char)c);
	} else {
		buf_putc(b, '=');
		buf_putc(b, hex[c >> 4]);
		buf_putc(b, hex[c & 15]);
	}
	*column += len;
}

static void
put_qp(struct buf *b, struct span s, const char *eol)
{
	size_t column = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool last;

		if (c == '\n' || (c == '\r' && i + 1 < s.n && s.p[i + 1] == '\n')) {
			i += c == '\r';
			buf_puts(b, eol);
			column = 0;
			continue;
		}
		last = i + 1 == s.n || s.p[i + 1] == '\n' || s.p[i + 1] == '\r';
		qp_char(b, c, &column, eol, c == '\t' || c == ' ' ? !last :
		    c > ' ' && c <= '~' && c != '=');
	}
}

static void
put_base64(struct buf *b, struct span s, const char *eol)
{
	for (size_t i = 0; i < s.n; i += BASE64_LINE) {
		base64_encode(b, span_sub(s, i, BASE64_LINE), true);
		buf_puts(b, eol);
	}
}

static struct span
taken(struct arena *a, struct buf *b)
{
	struct span out;

	ASSERT(!buf_failed(b));
	out = arena_span(a, buf_data(b));
	buf_release(b);
	return out;
}

struct span
transfer_encode(struct arena *a, struct span bytes, const char *eol, bool *base64)
{
	size_t odd = 0;
	struct buf b;

	for (size_t i = 0; i < bytes.n; i++)
		odd += (unsigned char)bytes.p[i] > '~' || bytes.p[i] == '=';
	*base64 = odd > bytes.n / 6 + 16;
	buf_init(&b, EDIT_BYTES);
	if (*base64)
		put_base64(&b, bytes, eol);
	else
		put_qp(&b, bytes, eol);
	return taken(a, &b);
}

/* --- changes in decoded bytes ------------------------------------------------------------- */

/* [from, to) of the decoded bytes with the changes within. */
static struct span
changed(struct arena *a, struct span decoded, size_t from, size_t to, const struct change *c,
    size_t n)
{
	size_t room = to - from, at = from, k = 0;
	char *p;

	for (size_t i = 0; i < n; i++)
		room += c[i].with.n;
	p = arena_alloc(a, room + 1);
	for (size_t i = 0; i <= n; i++) {
		size_t end = i < n ? c[i].from : to;

		ASSERT(at <= end && end <= to);
		if (end > at)
			memcpy(p + k, decoded.p + at, end - at);
		k += end - at;
		if (i == n)
			break;
		if (c[i].with.n)
			memcpy(p + k, c[i].with.p, c[i].with.n);
		k += c[i].with.n;
		at = c[i].to;
	}
	return span_make(p, k);
}

static void
push(struct edits *x, struct edit like, uint64_t offset, uint64_t size, struct span with)
{
	like.offset = offset;
	like.size = size;
	like.with = with;
	edit_push(x, like);
}

static void
identity(struct edits *x, const struct part *p, const struct change *c, size_t n,
    struct edit like)
{
	for (size_t i = 0; i < n; i++)
		push(x, like, p->body_offset + c[i].from, c[i].to - c[i].from, c[i].with);
}

/* The body is written anew as a whole. */
static void
anew(struct edits *x, const struct part *p, const struct change *c, size_t n, struct edit like,
    bool base64)
{
	struct span bytes = changed(x->e->arena, p->decoded, 0, p->decoded.n, c, n);
	struct buf b;

	buf_init(&b, EDIT_BYTES);
	if (base64)
		put_base64(&b, bytes, x->eol);
	else
		put_qp(&b, bytes, x->eol);
	/* the line end before the boundary is not the body's */
	if (base64 && buf_size(&b) > strlen(x->eol))
		b.n -= strlen(x->eol);
	push(x, like, p->body_offset, p->body_size, taken(x->e->arena, &b));
}

/* Behind the next line end that is not a soft one. */
static size_t
line_end(struct span body, size_t at)
{
	for (;;) {
		size_t from = at, text;

		at += span_find(span_from(body, at), '\n');
		text = at;
		if (at == body.n)
			return at;
		at++;
		while (text > from && (ascii_is_wsp(body.p[text - 1]) || body.p[text - 1] == '\r'))
			text--;
		if (text == from || body.p[text - 1] != '=')
			return at;
	}
}

/* Lines [raw, end) decode to [at, at + sum), whatever stands around them. */
static void
quoted(struct edits *x, const struct part *p, const struct change *c, size_t n, struct edit like)
{
	struct span body = span_sub(x->e->an->raw, p->body_offset, p->body_size), out;
	struct arena *tmp = arena_new(0);
	size_t raw = 0, at = 0, k = 0, first = x->n;

	while (k < n && raw < body.n) {
		size_t end = raw, sum = 0, had = k;
		struct buf b;

		do {
			size_t from = end;

			end = line_end(body, from);
			decode_body(tmp, ENCODING_QP, span_sub(body, from, end - from), SIZE_MAX, &out);
			arena_reset(tmp);
			sum += out.n;
			while (k < n && c[k].to <= at + sum &&
			    (c[k].from < at + sum || end == body.n))
				k++;
		} while (end < body.n && k < n && c[k].from < at + sum);
		if (at + sum > p->decoded.n || (k > had && c[k - 1].to > at + sum))
			break;
		if (k > had) {
			buf_init(&b, EDIT_BYTES);
			put_qp(&b, changed(x->e->arena, p->decoded, at, at + sum, c + had, k - had),
			    x->eol);
			push(x, like, p->body_offset + raw, end - raw, taken(x->e->arena, &b));
		}
		at += sum;
		raw = end;
	}
	arena_free(&tmp);
	if (k < n) {	/* not understood: all of it */
		x->n = first;
		anew(x, p, c, n, like, false);
	}
}

static bool
base64_digit(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	    c == '+' || c == '/';
}

/* Behind the n-th digit of the body; SIZE_MAX when something else than white space comes before. */
static size_t
behind_digits(struct span body, size_t i, size_t n)
{
	for (; n && i < body.n; i++) {
		if (base64_digit(body.p[i]))
			n--;
		else if (!ascii_is_wsp(body.p[i]) && body.p[i] != '\r' && body.p[i] != '\n')
			return SIZE_MAX;
	}
	return n ? SIZE_MAX : i;
}

static void
base64(struct edits *x, const struct part *p, const struct change *c, size_t n, struct edit like)
{
	struct span body = span_sub(x->e->an->raw, p->body_offset, p->body_size);
	size_t from = c[0].from / 3 * 3, to = p->decoded.n, begin, end = body.n;
	int64_t grown = 0;
	struct buf b;

	for (size_t i = 0; i < n; i++)
		grown += (int64_t)c[i].with.n - (int64_t)(c[i].to - c[i].from);
	begin = from ? behind_digits(body, 0, from / 3 * 4) : 0;
	if ((p->defects & DEFECT_ENCODING_MALFORMED) || begin == SIZE_MAX) {
		anew(x, p, c, n, like, true);
		return;
	}
	if (grown % 3 == 0 && (c[n - 1].to + 2) / 3 * 3 + 3 <= p->decoded.n) {
		size_t until = (c[n - 1].to + 2) / 3 * 3;
		size_t stop = behind_digits(body, begin, (until - from) / 3 * 4);

		if (stop != SIZE_MAX) {
			to = until;
			end = stop;
		}
	}
	buf_init(&b, EDIT_BYTES);
	if (from)
		buf_puts(&b, x->eol);	/* so that no line grows */
	put_base64(&b, changed(x->e->arena, p->decoded, from, to, c, n), x->eol);
	/* the line end before the boundary, or the one that stands there */
	if (end == body.n || body.p[end] == '\r' || body.p[end] == '\n')
		b.n -= strlen(x->eol) <= buf_size(&b) ? strlen(x->eol) : 0;
	push(x, like, p->body_offset + begin, end - begin, taken(x->e->arena, &b));
}

void
edit_transfer(struct edits *x, size_t part, const struct change *c, size_t n, struct edit like)
{
	const struct part *p = &x->e->an->parts[part];

	if (n == 0)
		return;
	ASSERT(c[n - 1].to <= p->decoded.n);
	switch (encoding_from_name(p->encoding)) {
	case ENCODING_BASE64:
		base64(x, p, c, n, like);
		break;
	case ENCODING_QP:
		quoted(x, p, c, n, like);
		break;
	default:
		identity(x, p, c, n, like);
	}
}
