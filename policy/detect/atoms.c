/* atoms.c -- reads a text as atoms; see atoms.h.
 *
 * Text without digits is passed over in steps of eight bytes. Around a digit the run is read
 * in full, whatever its length, once: the walk is linear. Only what follows a
 * digit is read ahead, and only as far as a built-in asks.
 */
#include <endian.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "atoms.h"
#include "postern/err.h"

#define BACK_MAX 64		/* characters of a run in front of its first digit */
#define GAP_MAX 40		/* bytes between two atoms that may be a separator */

static bool
is_digit(uint8_t c)
{
	return (uint8_t)(c - '0') < 10;
}

static bool
is_alnum(uint8_t c)
{
	return is_digit(c) || (uint8_t)((c | 32) - 'a') < 26;
}

static bool
passed_over(UChar32 c)
{
	return c == 0xad || c == 0x34f || c == 0x61c || c == 0x180e ||
	    (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x2064) || (c >= 0x206a && c <= 0x206f) ||
	    (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff;
}

/* The ASCII letter or digit a character is read as, or 0. */
static char
ascii_of(UChar32 c)
{
	int d;

	if (c < 0x80)
		return is_alnum((uint8_t)c) ? (char)c : 0;
	if (c >= 0xff21 && c <= 0xff3a)
		return (char)(c - 0xff21 + 'A');
	if (c >= 0xff41 && c <= 0xff5a)
		return (char)(c - 0xff41 + 'a');
	if (c < 0x660 || (d = u_charDigitValue(c)) < 0)
		return 0;
	return (char)('0' + d);
}

static UChar32
char_at(struct span s, size_t *i)
{
	UChar32 c;

	U8_NEXT((const uint8_t *)s.p, *i, s.n, c);
	return c < 0 ? 0xfffd : c;
}

static UChar32
char_before(struct span s, size_t *i)
{
	size_t at = *i - 1;

	while (at > 0 && *i - at < 4 && ((uint8_t)s.p[at] & 0xc0) == 0x80)
		at--;
	*i = at;
	return char_at(s, &at);
}

/* A character beside an atom that makes it a part of something else. In the scripts of East Asia
 * words and numbers stand without a blank between them. */
static bool
sticks(UChar32 c)
{
	return c == '_' || (c >= 0x80 && (c < 0x2e80 || c > 0xd7ff) && u_isalpha(c));
}

/* What stands in [from, to), as one character; see struct atom. */
static char
separator(struct span s, size_t from, size_t to)
{
	unsigned blanks = 0, lines = 0, cells = 0;
	char mark = 0;

	if (to - from > GAP_MAX)
		return 0;
	while (from < to) {
		UChar32 c = char_at(s, &from);

		if (c == 0x2003)
			cells++;
		else if (c == ' ' || c == 0xa0 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f ||
		    c == 0x205f || c == 0x3000)
			blanks++;
		else if (c == '\n')
			lines++;
		else if (c == '\r' || passed_over(c))
			continue;
		else if (mark)
			return 0;
		else if (c == '-' || (c >= 0x2010 && c <= 0x2015) || c == 0x2212 || c == 0xfe58 ||
		    c == 0xfe63 || c == 0xff0d)
			mark = '-';
		else if (c == '.' || c == 0xff0e || c == 0xb7)
			mark = '.';
		else if (c == '/' || c == 0xff0f || c == 0x2044)
			mark = '/';
		else if (c == '+')
			mark = '+';
		else
			return 0;
	}
	if (cells)
		return cells == 1 && !lines && !mark ? '\t' : 0;
	if (lines)
		return lines == 1 && !mark && blanks <= 2 ? '\n' : 0;
	if (mark)
		return blanks == 0 || (blanks <= 2 && mark != '.' && mark != '+') ? mark : 0;
	return blanks == 1 || blanks == 2 ? ' ' : 0;
}

/* Reads the run that begins at `from`, up to its end. */
static void
run_read(struct atoms *a, size_t from, struct atom *o)
{
	struct span s = a->text;
	size_t i = from, n = 0;
	bool digit = false;

	o->from = o->to = from;
	o->usable = true;
	o->upper = o->lower = false;
	o->sep = 0;
	if (from > 0) {
		size_t b = from;

		if (sticks(char_before(s, &b)))
			o->usable = false;
	}
	while (i < s.n) {
		UChar32 c = (uint8_t)s.p[i];
		char ch;

		if (c < 0x80) {
			i++;
			ch = is_alnum((uint8_t)c) ? (char)c : 0;
		} else {
			c = char_at(s, &i);
			ch = ascii_of(c);
		}
		if (ch == 0) {
			if (c >= 0x80 && passed_over(c))
				continue;
			if (sticks(c))
				o->usable = false;
			break;
		}
		o->to = i;
		if (is_digit((uint8_t)ch))
			digit = true;
		else if (ch >= 'a')
			o->lower = true, ch = (char)(ch - 32);
		else
			o->upper = true;
		if (n < ATOM_MAX)
			o->c[n] = ch;
		n++;
	}
	if (n > ATOM_MAX)
		o->usable = false;
	o->n = (uint8_t)(n > ATOM_MAX ? ATOM_MAX : n);
	o->kind = !digit ? ATOM_LETTERS : o->upper || o->lower ? ATOM_MIXED : ATOM_DIGITS;
	a->pos = o->to;
}

/* The next atom of any kind, right behind the last one read. */
static void
ahead(struct atoms *a, struct atom *o)
{
	struct span s = a->text;
	size_t i = a->pos, was = a->pos;

	while (i < s.n) {
		size_t start = i;
		UChar32 c = (uint8_t)s.p[i];

		if (c < 0x80)
			i++;
		else
			c = char_at(s, &i);
		if (ascii_of(c)) {
			run_read(a, start, o);
			o->sep = separator(s, was, start);
			return;
		}
	}
	a->pos = s.n;
	*o = (struct atom){ .from = s.n, .to = s.n };
}

/* No decimal digit of any script begins with a byte below 0xd9 or with 0xe2. */
static bool
begins_digit(struct span s, size_t i)
{
	return u_charDigitValue(char_at(s, &i)) >= 0;
}

static bool
digit_at(struct span s, size_t i)
{
	uint8_t c = (uint8_t)s.p[i];

	return is_digit(c) || (c >= 0xd9 && c != 0xe2 && begins_digit(s, i));
}

/* Bit 7 of each byte of w that is an ASCII digit or begins a character above 127. */
static uint64_t
candidates(uint64_t w)
{
	const uint64_t high = UINT64_C(0x8080808080808080);
	uint64_t t = w ^ UINT64_C(0x3030303030303030);
	uint64_t ten_up = (t & ~high) + UINT64_C(0x7676767676767676);

	return (~(ten_up | t) | (w & w << 1)) & high;
}

static size_t
digit_find(struct span s, size_t i)
{
	for (; s.n - i >= 8; i += 8) {
		uint64_t w, m;

		memcpy(&w, s.p + i, 8);
		for (m = candidates(le64toh(w)); m; m &= m - 1) {
			size_t at = i + (size_t)__builtin_ctzll(m) / 8;

			if (digit_at(s, at))
				return at;
		}
	}
	for (; i < s.n; i++)
		if (digit_at(s, i))
			return i;
	return s.n;
}

/* Where the run around the digit at i begins; not before a->pos. */
static size_t
run_begin(const struct atoms *a, size_t i, bool *long_run)
{
	size_t begin = i, k = i;

	*long_run = false;
	for (unsigned n = 0; k > a->pos; n++) {
		UChar32 c = (uint8_t)a->text.p[k - 1];

		if (c < 0x80) {
			if (!is_alnum((uint8_t)c))
				break;
			k--;
		} else {
			c = char_before(a->text, &k);
		}
		if (k < a->pos)
			break;
		if (ascii_of(c) == 0) {
			if (passed_over(c))
				continue;
			break;
		}
		begin = k;
		if (n >= BACK_MAX) {
			*long_run = true;
			break;
		}
	}
	return begin;
}

void
atoms_begin(struct atoms *a, struct span utf8)
{
	a->text = utf8;
	a->pos = a->claimed = 0;
	a->at = a->end = 0;
	a->before = (struct atom){ 0 };
}

const struct atom *
atoms_peek(struct atoms *a, size_t i)
{
	ASSERT(i <= ATOMS_JOINED_MAX);
	while (a->end <= a->at + i)
		ahead(a, &a->ring[a->end++ % ATOMS_RING]);
	return &a->ring[(a->at + i) % ATOMS_RING];
}

bool
atoms_joined(const struct atoms *a)
{
	struct span rest = span_from(a->text, a->ring[a->at % ATOMS_RING].to);

	if (rest.n < 2)
		return false;
	if (rest.p[0] & 0x80 || rest.p[0] == '\r' || rest.p[0] == '\n')
		return true;
	if (rest.p[0] != ' ' && rest.p[0] != '-' && rest.p[0] != '.' && rest.p[0] != '/' &&
	    rest.p[0] != '+')
		return false;
	return rest.p[1] & 0x80 || is_alnum((uint8_t)rest.p[1]) || strchr(" -/\r\n", rest.p[1]);
}

bool
atoms_next(struct atoms *a)
{
	for (;;) {
		struct atom *o;
		size_t d, from;
		bool long_run;

		while (a->end > a->at) {
			a->before = a->ring[a->at % ATOMS_RING];
			if (++a->at == a->end)
				break;
			o = &a->ring[a->at % ATOMS_RING];
			if (o->kind == ATOM_NONE)
				return false;
			if (o->usable && o->kind != ATOM_LETTERS)
				return true;
		}
		if ((d = digit_find(a->text, a->pos)) >= a->text.n) {
			a->pos = a->text.n;
			a->at = a->end = 0;
			return false;
		}
		from = run_begin(a, d, &long_run);
		o = &a->ring[a->end++ % ATOMS_RING];
		{
			size_t was = a->pos;

			run_read(a, from, o);
			if (a->before.kind == ATOM_NONE || was != a->before.to)
				a->before = (struct atom){ 0 };
			else
				o->sep = separator(a->text, was, from);
			if (o->sep == 0)
				a->before = (struct atom){ 0 };
		}
		if (long_run)
			o->usable = false;
		if (o->usable && o->kind != ATOM_LETTERS)
			return true;
	}
}
