/* dkim_canon.c -- relaxed canonicalisation, as a stream; see dkim_canon.h.
 *
 * Most bytes of a body stay as they are, so the body is cut into runs that
 * need no change and those go to the hash where they lie. A run ends only
 * where white space is doubled, tabbed or stands before a line end, or where
 * an empty line might be one of those at the end. The few bytes around such
 * a place take the slow way, byte by byte through a machine of three states.
 */
#include <string.h>

#include "signer/dkim_canon.h"

void
canon_init(struct canon *c, EVP_MD_CTX *md)
{
	c->md = md;
	c->n = 0;
	c->lines = 0;
	c->wsp = c->cr = c->any = c->failed = false;
}

static void
pass_gathered(struct canon *c)
{
	if (c->n && EVP_DigestUpdate(c->md, c->gather, c->n) != 1)
		c->failed = true;
	c->n = 0;
}

static void
pass(struct canon *c, const char *p, size_t n)
{
	c->any = true;
	if (n > sizeof(c->gather) - c->n)
		pass_gathered(c);
	if (n > sizeof(c->gather) / 2) {
		pass_gathered(c);
		if (EVP_DigestUpdate(c->md, p, n) != 1)
			c->failed = true;
		return;
	}
	memcpy(c->gather + c->n, p, n);
	c->n += n;
}

static void
pass_lines(struct canon *c)
{
	for (; c->lines; c->lines--)
		pass(c, "\r\n", 2);
}

static void
pass_pending(struct canon *c)
{
	pass_lines(c);
	if (c->wsp)
		pass(c, " ", 1);
	c->wsp = false;
}

static void
slow_byte(struct canon *c, char b)
{
	if (c->cr) {
		c->cr = false;
		if (b == '\n') {
			c->wsp = false;		/* white space at the end of a line */
			c->lines++;
			return;
		}
		pass_pending(c);		/* a CR alone is a byte like any other */
		pass(c, "\r", 1);
	}
	if (b == '\r') {
		c->cr = true;
	} else if (ascii_is_wsp(b)) {
		c->wsp = true;
	} else {
		pass_pending(c);
		pass(c, &b, 1);
	}
}

/* Must the byte at p take the slow way? Looks two bytes ahead. */
static inline bool
needs_care(const char *p)
{
	if (*p == '\t')
		return true;
	if (*p == ' ')
		return ascii_is_wsp(p[1]) || p[1] == '\r';
	if (*p == '\r')
		return p[1] != '\n' || ascii_is_wsp(p[2]) || p[2] == '\r';
	return false;
}

/* The same question for sixteen bytes at once: true when none must. */
typedef unsigned char block __attribute__((vector_size(16)));

static inline bool
block_is_plain(const char *p)
{
	block a, b, c, wsp1, wsp2, care;
	uint64_t any[2];

	memcpy(&a, p, 16);
	memcpy(&b, p + 1, 16);
	memcpy(&c, p + 2, 16);
	wsp1 = (block)((b == ' ') | (b == '\t') | (b == '\r'));
	wsp2 = (block)((c == ' ') | (c == '\t') | (c == '\r'));
	care = (block)(a == '\t') | ((block)(a == ' ') & wsp1) |
	    ((block)(a == '\r') & ((block)(b != '\n') | wsp2));
	memcpy(any, &care, 16);
	return (any[0] | any[1]) == 0;
}

/* How many bytes of s need no change. */
static size_t
plain_run(struct span s)
{
	size_t i = 0;

	for (; i + 18 <= s.n; i += 16)
		if (!block_is_plain(s.p + i)) {
			while (!needs_care(s.p + i))
				i++;
			return i;
		}
	while (i + 2 < s.n && !needs_care(s.p + i))
		i++;
	return i;
}

void
canon_body(struct canon *c, struct span piece)
{
	while (piece.n) {
		if (!c->wsp && !c->cr) {
			size_t n = plain_run(piece);

			if (n) {
				pass_lines(c);
				pass(c, piece.p, n);
				piece = span_from(piece, n);
			}
		}
		slow_byte(c, *piece.p);
		piece = span_from(piece, 1);
	}
}

int
canon_body_end(struct canon *c)
{
	if (c->cr) {
		pass_pending(c);
		pass(c, "\r", 1);
	}
	/* Empty lines at the end go; a body that has anything ends with one CRLF. */
	if (c->any)
		pass(c, "\r\n", 2);
	pass_gathered(c);
	return c->failed ? -1 : 0;
}

struct span
canon_field_name(struct span field)
{
	size_t colon = span_find(field, ':');

	return colon == field.n ? span_make(NULL, 0) : span_trim(span_sub(field, 0, colon));
}

void
canon_field(struct buf *out, struct span field)
{
	struct span name = canon_field_name(field), value;
	bool wsp = false, begun = false;

	for (size_t i = 0; i < name.n; i++)
		buf_putc(out, ascii_lower(name.p[i]));
	buf_putc(out, ':');
	value = span_from(field, span_find(field, ':') + 1);
	for (size_t i = 0; i < value.n; i++) {
		char b = value.p[i];

		if (b == '\r' || b == '\n')
			continue;
		if (ascii_is_wsp(b)) {
			wsp = true;
			continue;
		}
		if (wsp && begun)
			buf_putc(out, ' ');
		wsp = false;
		begun = true;
		buf_putc(out, b);
	}
}
