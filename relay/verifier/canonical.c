/* canonical.c -- canonicalisation of bodies and fields (RFC 6376, 3.4); see canonical.h. Pure. */
#include <openssl/evp.h>

#include "verifier/canonical.h"

#define GATHER 4096

struct sink {
	EVP_MD_CTX *md;		/* NULL: only count */
	uint64_t limit, length;
	size_t n;
	bool failed;
	char gather[GATHER];
};

static void
flush(struct sink *s)
{
	if (s->md && s->n && EVP_DigestUpdate(s->md, s->gather, s->n) != 1)
		s->failed = true;
	s->n = 0;
}

static void
put(struct sink *s, struct span x)
{
	uint64_t take = s->limit > s->length ? s->limit - s->length : 0;

	s->length += x.n;
	if (s->md == NULL || take == 0)
		return;
	x = span_sub(x, 0, take > x.n ? x.n : (size_t)take);
	if (x.n > GATHER - s->n)
		flush(s);
	if (x.n >= GATHER) {
		if (EVP_DigestUpdate(s->md, x.p, x.n) != 1)
			s->failed = true;
		return;
	}
	memcpy(s->gather + s->n, x.p, x.n);
	s->n += x.n;
}

/* A line without its CRLF: runs of white space become one, none at the end. */
static void
relaxed_line(struct sink *s, struct span line)
{
	while (line.n && ascii_is_wsp(line.p[line.n - 1]))
		line.n--;
	while (line.n) {
		size_t word = 0, gap;

		while (word < line.n && !ascii_is_wsp(line.p[word]))
			word++;
		/* one space is as it shall be: no need to cut there */
		while (word + 1 < line.n && line.p[word] == ' ' && !ascii_is_wsp(line.p[word + 1]))
			while (++word < line.n && !ascii_is_wsp(line.p[word]))
				;
		put(s, span_sub(line, 0, word));
		for (gap = word; gap < line.n && ascii_is_wsp(line.p[gap]); gap++)
			;
		if (gap > word)
			put(s, SPAN_LIT(" "));
		line = span_from(line, gap);
	}
}

static bool
is_blank(struct span line, bool relaxed)
{
	for (size_t i = 0; relaxed && i < line.n; i++)
		if (!ascii_is_wsp(line.p[i]))
			return false;
	return relaxed || line.n == 0;
}

static void
lines(struct sink *s, struct span body, bool relaxed)
{
	uint64_t empty = 0;
	bool any = false;

	while (body.n) {
		const char *q = memmem(body.p, body.n, "\r\n", 2);
		size_t n = q ? (size_t)(q - body.p) : body.n;
		struct span line = span_sub(body, 0, n);

		body = span_from(body, n + (q ? 2 : 0));
		if (is_blank(line, relaxed)) {	/* empty ones at the end do not count */
			empty++;
			continue;
		}
		for (; empty; empty--)
			put(s, SPAN_LIT("\r\n"));
		if (relaxed)
			relaxed_line(s, line);
		else
			put(s, line);
		put(s, SPAN_LIT("\r\n"));
		any = true;
	}
	/* 3.4.3: the empty body is one line end; 3.4.4: it is nothing */
	if (!any && !relaxed)
		put(s, SPAN_LIT("\r\n"));
}

int
canonical_body(struct span body, bool relaxed, uint64_t limit, unsigned char md[32],
    uint64_t *length)
{
	struct sink s = { .limit = limit };
	unsigned n = 0;

	if (md && ((s.md = EVP_MD_CTX_new()) == NULL ||
	    EVP_DigestInit_ex(s.md, EVP_sha256(), NULL) != 1))
		s.failed = true;
	if (!s.failed)
		lines(&s, body, relaxed);
	flush(&s);
	if (md && !s.failed && EVP_DigestFinal_ex(s.md, md, &n) != 1)
		s.failed = true;
	EVP_MD_CTX_free(s.md);
	*length = s.length;
	return s.failed ? -1 : 0;
}

/* 3.4.2: name in lower case, no white space around the colon, unfolded, runs of it one space. */
static void
relaxed_value(struct buf *out, struct span v, bool *gap)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\r' || v.p[i] == '\n')
			continue;
		if (ascii_is_wsp(v.p[i])) {
			*gap = true;
			continue;
		}
		if (*gap)
			buf_putc(out, ' ');
		*gap = false;
		buf_putc(out, v.p[i]);
	}
}

/* cut: bytes of the field that are left out; n 0: none. */
static void
field(struct buf *out, struct span f, bool relaxed, size_t cut, size_t n)
{
	size_t colon = span_find(f, ':');
	struct span name = span_trim(span_sub(f, 0, colon)), rest;
	bool gap = false;

	if (!relaxed) {
		buf_span(out, span_sub(f, 0, n ? cut : f.n));
		if (n)
			buf_span(out, span_from(f, cut + n));
		return;
	}
	for (size_t i = 0; i < name.n; i++)
		buf_putc(out, ascii_lower(name.p[i]));
	buf_putc(out, ':');
	rest = span_from(f, colon + 1);
	while (rest.n && (ascii_is_wsp(rest.p[0]) || rest.p[0] == '\r' || rest.p[0] == '\n'))
		rest = span_from(rest, 1);
	if (n == 0) {
		relaxed_value(out, rest, &gap);
		return;
	}
	cut -= (size_t)(rest.p - f.p);
	relaxed_value(out, span_sub(rest, 0, cut), &gap);
	relaxed_value(out, span_from(rest, cut + n), &gap);
}

void
canonical_field(struct buf *out, struct span f, bool relaxed)
{
	field(out, f, relaxed, 0, 0);
}

void
canonical_own_field(struct buf *out, struct span f, bool relaxed)
{
	size_t at = span_find(f, ':') + 1;

	while (at < f.n) {
		struct span one = span_sub(f, at, span_find(span_from(f, at), ';'));
		size_t eq = span_find(one, '=');

		if (eq < one.n && span_is(span_trim(span_sub(one, 0, eq)), "b")) {
			/* What stands behind "=" up to the semicolon, white space and all. */
			field(out, f, relaxed, at + eq + 1, one.n - eq - 1);
			return;
		}
		at += one.n + 1;
	}
	field(out, f, relaxed, 0, 0);
}
