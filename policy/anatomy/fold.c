/* fold.c -- what words and keywords are searched in; see text_fold.
 *
 * Each code point folds by itself: compatibility decomposition, marks
 * dropped, case folded, digits of any script and full-width forms made ASCII,
 * letters with a stroke made plain, typographic quotes and dashes made ASCII;
 * default ignorables (zero width, soft hyphen, variation selectors,
 * directional marks) and control characters vanish; every white space is a
 * space, and one only. Kana and Hangul keep their composed forms. Letters of other
 * scripts are read as the Latin ones they look like in words that mix both (lookalike.h).
 *
 * ASCII is folded in vectors of 16; the foldings of other characters come
 * from ICU once each and are kept in a table.
 */
#include <endian.h>

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>

#include "anatomy/charset.h"
#include "anatomy/lookalike.h"
#include "anatomy/textmap.h"
#include "postern/err.h"

#define FOLD_MAX 18		/* bytes one character may become; what grows more stays itself */
#define CACHED 0x20000		/* planes 0 and 1 */
#define TEXT_MAX (UINT32_MAX / 8)	/* bytes of input looked at: the map counts in 32 bits */

enum { NOT_YET, NOTHING, SPACE, FIRST };	/* values of cache[]; from FIRST on: pool offset */
static uint32_t cache[CACHED];
/* The foldings known so far, each a length byte and its UTF-8. */
static char pool[CACHED * 4];
static uint32_t pool_used;

static const struct {
	uint32_t c;
	const char *to;
} special[] = {
	{ 0xe6, "ae" }, { 0xc6, "ae" }, { 0xf8, "o" }, { 0xd8, "o" }, { 0xf0, "d" }, { 0xd0, "d" },
	{ 0xfe, "th" }, { 0xde, "th" }, { 0x110, "d" }, { 0x111, "d" }, { 0x126, "h" },
	{ 0x127, "h" }, { 0x130, "i" }, { 0x131, "i" }, { 0x141, "l" }, { 0x142, "l" },
	{ 0x152, "oe" }, { 0x153, "oe" }, { 0x166, "t" }, { 0x167, "t" }, { 0x14a, "n" },
	{ 0x14b, "n" }, { 0x2018, "'" }, { 0x2019, "'" }, { 0x201a, "'" }, { 0x201b, "'" },
	{ 0x2bc, "'" }, { 0x2032, "'" }, { 0xb4, "'" }, { 0x201c, "\"" }, { 0x201d, "\"" },
	{ 0x201e, "\"" }, { 0x201f, "\"" }, { 0xab, "\"" }, { 0xbb, "\"" }, { 0x2010, "-" },
	{ 0x2011, "-" }, { 0x2012, "-" }, { 0x2013, "-" }, { 0x2014, "-" }, { 0x2015, "-" },
	{ 0x2212, "-" }, { 0xfe58, "-" }, { 0xfe63, "-" }, { 0x2043, "-" }, { 0x2044, "/" },
};

/* The folding of c in out; its length, 0 when c vanishes. */
static unsigned
fold_char(uint32_t c, char out[FOLD_MAX + 4])
{
	UErrorCode err = U_ZERO_ERROR;
	const UNormalizer2 *nfkd;
	UChar src[2], flat[64], folded[64];
	int32_t nsrc = 0, n, i;
	unsigned len = 0;
	UBool bad = false;

	for (size_t k = 0; k < sizeof(special) / sizeof(special[0]); k++)
		if (special[k].c == c) {
			len = (unsigned)strlen(special[k].to);
			memcpy(out, special[k].to, len);
			return len;
		}
	if (u_hasBinaryProperty((UChar32)c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) ||
	    u_charType((UChar32)c) == U_CONTROL_CHAR || u_charType((UChar32)c) == U_FORMAT_CHAR)
		return 0;
	if (u_isUWhiteSpace((UChar32)c)) {
		out[0] = ' ';
		return 1;
	}
	if (u_charDigitValue((UChar32)c) >= 0) {
		out[0] = (char)('0' + u_charDigitValue((UChar32)c));
		return 1;
	}
	if ((c >= 0x3040 && c < 0x3100) || (c >= 0xac00 && c < 0xd7a4))
		return utf8_put(out, c);
	icu_no_files();
	U16_APPEND(src, nsrc, 2, (UChar32)c, bad);
	nfkd = unorm2_getNFKDInstance(&err);
	n = unorm2_normalize(nfkd, src, nsrc, flat, 64, &err);
	n = u_strFoldCase(folded, 64, flat, n, U_FOLD_CASE_DEFAULT, &err);
	/* Folding may bring marks in, as that of U+1E9E or U+0130 does. */
	n = unorm2_normalize(nfkd, folded, n, flat, 64, &err);
	if (bad || U_FAILURE(err))
		return utf8_put(out, c);
	for (i = 0; i < n;) {
		UErrorCode e = U_ZERO_ERROR;
		UChar32 d;

		U16_NEXT(flat, i, n, d);
		/* Marks of all scripts: accents. Those of one script are its letters. */
		if (u_charType(d) == U_NON_SPACING_MARK &&
		    (uscript_getScript(d, &e) == USCRIPT_INHERITED || d < 0x700))
			continue;
		if (u_charType(d) == U_ENCLOSING_MARK ||
		    u_hasBinaryProperty(d, UCHAR_DEFAULT_IGNORABLE_CODE_POINT))
			continue;
		for (size_t k = 0; k < sizeof(special) / sizeof(special[0]); k++)
			if (special[k].c == (uint32_t)d && special[k].to[1] == '\0')
				d = special[k].to[0];
		len += utf8_put(out + len, u_isUWhiteSpace(d) ? ' ' : (uint32_t)d);
		if (len > FOLD_MAX)
			return utf8_put(out, c);
	}
	return len;
}

/* Length of the folding and where it stands. A lone space is told as " ". */
static unsigned
fold_lookup(uint32_t c, char room[FOLD_MAX + 4], const char **to)
{
	uint32_t v;
	unsigned n;

	if (c >= CACHED) {
		*to = room;
		return fold_char(c, room);
	}
	v = cache[c];
	if (v == NOT_YET) {
		n = fold_char(c, room);
		if (n == 0) {
			v = NOTHING;
		} else if (n == 1 && room[0] == ' ') {
			v = SPACE;
		} else if (sizeof(pool) - pool_used < n + 1 + FIRST) {
			*to = room;	/* the pool is full: as good, only slower */
			return n;
		} else {
			pool[pool_used] = (char)n;
			memcpy(pool + pool_used + 1, room, n);
			v = FIRST + pool_used;
			pool_used += n + 1;
		}
		cache[c] = v;
	}
	if (v == NOTHING)
		return 0;
	if (v == SPACE) {
		*to = " ";
		return 1;
	}
	*to = pool + (v - FIRST) + 1;
	return (unsigned)pool[v - FIRST];
}

/* --- ASCII, sixteen at a time ------------------------------------------------------- */

typedef uint8_t v16 __attribute__((vector_size(16)));

/* Index of the first byte of v that is not zero, 16 when all are. */
static inline unsigned
v16_first(v16 v)
{
	uint64_t w[2];

	memcpy(w, &v, sizeof(w));
	if (w[0])
		return (unsigned)__builtin_ctzll(le64toh(w[0])) / 8;
	return w[1] ? 8 + (unsigned)__builtin_ctzll(le64toh(w[1])) / 8 : 16;
}

/* Folds bytes while they are printable ASCII without two spaces in a row; the number done.
 * out has room for 16 bytes more. */
static size_t
fold_plain(const char *p, size_t n, char *out)
{
	size_t i = 0;

	while (n - i > 16) {
		v16 v, next, bad;
		unsigned good;

		memcpy(&v, p + i, 16);
		memcpy(&next, p + i + 1, 16);
		bad = (v16)((v16)(v - 0x20) >= 0x5f) | ((v16)(v == ' ') & (v16)(next == ' '));
		good = v16_first(bad);
		v += (v16)((v16)(v - 'A') < 26) & 32;
		memcpy(out + i, &v, 16);
		i += good;
		if (good < 16)
			break;
	}
	return i;
}

static inline bool
plain(unsigned char c)
{
	return c > ' ' && c < 0x7f;
}

static void
fold(struct arena *a, const struct text *in, bool want_map, struct text *out)
{
	struct textmake t;
	const char *p = in->s.p;
	size_t n = in->s.n, i = 0;
	bool spaced = false;	/* a space stands last */
	size_t word_end = 0;	/* of the run of letters looked at last */
	bool mixed = false;	/* it has look-alikes between Latin letters */

	if (n > TEXT_MAX)
		n = TEXT_MAX;
	textmake_init(&t, a, in, n + 16, want_map);
	while (i < n) {
		unsigned char c = (unsigned char)p[i];
		char room[FOLD_MAX + 4];
		const char *to = NULL;
		uint32_t cp;
		unsigned len, k;

		if (plain(c) || (c == ' ' && !spaced)) {
			size_t from = i, run;

			/* Each input byte left has its room already, or is given it here. */
			textmake_room(&t, n - i + 16);
			run = fold_plain(p + i, n - i, t.p + t.n);
			if (run == 0)
				do {
					t.p[t.n + run] = ascii_lower(p[from + run]);
					run++;
				} while (run < 32 && from + run < n && (plain((unsigned char)p[from + run]) ||
				    (p[from + run] == ' ' && p[from + run - 1] != ' ')));
			textmap_copy(&t.map, t.n, from, run);
			t.n += run;
			i += run;
			spaced = t.p[t.n - 1] == ' ';
			continue;
		}
		if (c < 0x80) {
			if ((c >= '\t' && c <= '\r') || c == ' ') {
				if (!spaced)
					textmake_put(&t, " ", 1, i);
				spaced = true;
			}
			i++;	/* the other control characters vanish */
			continue;
		}
		k = utf8_get(p, n, i, &cp);
		if (k == 0) {	/* not a valid text after all */
			textmake_char(&t, 0xfffd, i);
			i++;
			continue;
		}
		if (lookalike_latin(cp)) {
			if (i >= word_end)
				mixed = lookalike_word(p, n, i, t.n && t.p[t.n - 1] >= 'a' &&
				    t.p[t.n - 1] <= 'z', &word_end);
			if (mixed) {
				room[0] = lookalike_latin(cp);
				textmake_put(&t, room, 1, i);
				spaced = false;
				i += k;
				continue;
			}
		}
		len = fold_lookup(cp, room, &to);
		if (len == 1 && to[0] == ' ') {
			if (!spaced)
				textmake_put(&t, " ", 1, i);
			spaced = true;
		} else if (len) {
			if (len == k && memcmp(to, p + i, k) == 0)
				textmake_copy(&t, i, k);
			else
				textmake_put(&t, to, len, i);
			spaced = false;
		}
		i += k;
	}
	textmake_finish(&t, n, out);
}

void
text_fold(struct arena *a, const struct text *in, struct text *out)
{
	struct text t;

	fold(a, in, true, &t);
	*out = t;
}

struct span
text_fold_word(struct arena *a, struct span word)
{
	struct text in = { .s = word }, out;

	fold(a, &in, false, &out);
	return span_trim(out.s);
}
