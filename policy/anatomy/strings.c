/* strings.c -- what reads as text in a file that nobody knows how to read; see unpack.h.
 *
 * A run of enough characters, in one byte each or in two (UTF-16, little endian, Latin-1). The leftmost is taken, and
 * the search goes on behind it.
 *
 * An attachment of the unknown kind is searched whole, and in most of it there is nothing. So only one byte in
 * `least` is looked at: a run that begins in the `least` bytes from i on covers the last of them with a
 * character or, in UTF-16, with the zero behind one. Where that byte is neither, no run begins before the next.
 */
#include "anatomy/textmap.h"
#include "anatomy/unpack.h"

#define RUN_DAMAGED 4	/* characters that make a text */
#define RUN_UNKNOWN 8

enum { OTHER, PRINT, ZERO };

struct strings {
	const char *p;
	size_t n, least;
	uint8_t kind[256];
	struct textmake t;
};

static void
kinds(struct strings *x, bool latin)
{
	for (unsigned c = 0; c < 256; c++)
		if ((c >= ' ' && c < 0x7f) || c == '\t' || (latin && c >= 0xa0 && c != 0xff))
			x->kind[c] = PRINT;
	x->kind[0] = ZERO;
}

static unsigned
kind(const struct strings *x, size_t at)
{
	return x->kind[(unsigned char)x->p[at]];
}

static size_t
run_of_bytes(const struct strings *x, size_t i)
{
	size_t k = i;

	while (k < x->n && kind(x, k) == PRINT)
		k++;
	return k - i;
}

/* In characters. */
static size_t
run_of_pairs(const struct strings *x, size_t i)
{
	size_t k = i;

	while (k + 1 < x->n && x->p[k + 1] == '\0' && kind(x, k) == PRINT)
		k += 2;
	return (k - i) / 2;
}

static void
put_pairs(struct strings *x, size_t i, size_t n)
{
	char piece[128];

	while (n) {
		size_t k = n < sizeof(piece) ? n : sizeof(piece);

		for (size_t c = 0; c < k; c++)
			piece[c] = x->p[i + 2 * c];
		textmake_put(&x->t, piece, k, 0);
		i += 2 * k;
		n -= k;
	}
}

/* Takes the run that begins at i, if one does. Returns where it ends, or i. */
static size_t
take(struct strings *x, size_t i)
{
	size_t n = run_of_bytes(x, i);

	if (n >= x->least) {
		textmake_put(&x->t, x->p + i, n, 0);
		i += n;
	} else if ((n = run_of_pairs(x, i)) >= x->least) {
		put_pairs(x, i, n);
		i += 2 * n;
	} else {
		return i;
	}
	textmake_put(&x->t, "\n", 1, 0);
	return i;
}

/* Whether a run of pairs may begin in the `least` bytes from i on: it goes through the end of them. */
static bool
pairs_may_begin(const struct strings *x, size_t i)
{
	size_t last = i + x->least - 1;

	if (kind(x, last) == ZERO)
		return kind(x, last - 1) == PRINT && kind(x, last + 1) == PRINT;
	return kind(x, last + 1) == ZERO && kind(x, last + 2) == PRINT;
}

/* The first place from i on where a run may begin. */
static size_t
skip(const struct strings *x, size_t i)
{
	for (; i + 2 * x->least <= x->n; i += x->least) {
		size_t from = i + x->least - 1;
		unsigned k = kind(x, from);

		if (k == OTHER)
			continue;
		if (pairs_may_begin(x, i))
			return i;
		while (k == PRINT && from > i && kind(x, from - 1) == PRINT)
			from--;
		if (k == PRINT && run_of_bytes(x, from) >= x->least)
			return from;
	}
	return i;
}

struct span
strings_find(struct arena *a, struct span s, bool latin)
{
	struct strings x = { .p = s.p, .n = s.n, .least = latin ? RUN_DAMAGED : RUN_UNKNOWN };
	struct text none = { 0 };
	struct span raw;

	kinds(&x, latin);
	textmake_init(&x.t, a, &none, s.n / 16 + 64, false);
	for (size_t i = skip(&x, 0); i < s.n; ) {
		size_t end = take(&x, i);

		i = end > i ? end : i + 1;
		i = skip(&x, i);
	}
	raw = span_make(x.t.p, x.t.n);
	return decode_exact(a, utf8_valid_until(raw) == raw.n ? SPAN_LIT("utf-8") :
	    SPAN_LIT("windows-1252"), raw);
}
