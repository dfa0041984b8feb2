/* lookalike.c -- letters of other scripts that people take for Latin ones; see anatomy/lookalike.h.
 *
 * "Pr\u043ej\u0435ct" with two Cyrillic letters reads as "Project" to people and as something else to
 * a search. A word that mixes scripts so is read as Latin; a word of one script is what
 * it is: \u0441\u043e\u0440 in a Russian text is no "cop". The table has what Unicode TS #39
 * (confusables.txt) calls confusable with a Latin letter of one of the cases, and the small letters
 * that only look like Latin capitals. In a mixed word it can be generous: such words are rarely honest.
 */
#include "anatomy/lookalike.h"

#include <unicode/uchar.h>

#include "anatomy/textmap.h"

/* Sorted by code point. */
static const struct {
	uint16_t c;
	char latin;
} table[] = {
	{ 0x185, 'b' }, { 0x251, 'a' }, { 0x261, 'g' }, { 0x262, 'g' }, { 0x269, 'i' },
	{ 0x26a, 'i' }, { 0x26f, 'w' }, { 0x274, 'n' }, { 0x27e, 'r' }, { 0x280, 'r' },
	{ 0x28b, 'u' }, { 0x28f, 'y' }, { 0x299, 'b' }, { 0x29c, 'h' }, { 0x29f, 'l' },
	{ 0x391, 'a' }, { 0x392, 'b' }, { 0x395, 'e' }, { 0x396, 'z' }, { 0x397, 'h' },
	{ 0x399, 'i' }, { 0x39a, 'k' }, { 0x39c, 'm' }, { 0x39d, 'n' }, { 0x39f, 'o' },
	{ 0x3a1, 'p' }, { 0x3a4, 't' }, { 0x3a5, 'y' }, { 0x3a7, 'x' }, { 0x3b1, 'a' },
	{ 0x3b2, 'b' }, { 0x3b3, 'y' }, { 0x3b5, 'e' }, { 0x3b7, 'n' }, { 0x3b9, 'i' },
	{ 0x3ba, 'k' }, { 0x3bd, 'v' }, { 0x3bf, 'o' }, { 0x3c1, 'p' }, { 0x3c3, 'o' },
	{ 0x3c4, 't' }, { 0x3c5, 'u' }, { 0x3c7, 'x' }, { 0x3c9, 'w' }, { 0x3cf, 'k' },
	{ 0x3dc, 'f' }, { 0x3f2, 'c' }, { 0x3f3, 'j' }, { 0x3f9, 'c' }, { 0x405, 's' },
	{ 0x406, 'i' }, { 0x408, 'j' }, { 0x410, 'a' }, { 0x412, 'b' }, { 0x415, 'e' },
	{ 0x41a, 'k' }, { 0x41c, 'm' }, { 0x41d, 'h' }, { 0x41e, 'o' }, { 0x420, 'p' },
	{ 0x421, 'c' }, { 0x422, 't' }, { 0x423, 'y' }, { 0x425, 'x' }, { 0x430, 'a' },
	{ 0x432, 'b' }, { 0x433, 'r' }, { 0x435, 'e' }, { 0x438, 'u' }, { 0x43a, 'k' },
	{ 0x43c, 'm' }, { 0x43d, 'h' }, { 0x43e, 'o' }, { 0x43f, 'n' }, { 0x440, 'p' },
	{ 0x441, 'c' }, { 0x442, 't' }, { 0x443, 'y' }, { 0x445, 'x' }, { 0x44c, 'b' },
	{ 0x455, 's' }, { 0x456, 'i' }, { 0x458, 'j' }, { 0x461, 'w' }, { 0x472, 'o' },
	{ 0x473, 'o' }, { 0x474, 'v' }, { 0x475, 'v' }, { 0x4a1, 'k' }, { 0x4ab, 'c' },
	{ 0x4ae, 'y' }, { 0x4af, 'y' }, { 0x4ba, 'h' }, { 0x4bb, 'h' }, { 0x4bd, 'e' },
	{ 0x4c0, 'i' }, { 0x4cf, 'l' }, { 0x4d3, 'a' }, { 0x4e7, 'o' }, { 0x4e8, 'o' },
	{ 0x4e9, 'o' }, { 0x500, 'd' }, { 0x501, 'd' }, { 0x509, 'n' }, { 0x50c, 'g' },
	{ 0x50d, 'g' }, { 0x51a, 'q' }, { 0x51b, 'q' }, { 0x51c, 'w' }, { 0x51d, 'w' },
	{ 0x53c, 'l' }, { 0x548, 'n' }, { 0x54d, 'u' }, { 0x54f, 's' }, { 0x555, 'o' },
	{ 0x561, 'w' }, { 0x563, 'q' }, { 0x565, 't' }, { 0x566, 'q' }, { 0x570, 'h' },
	{ 0x575, 'j' }, { 0x578, 'n' }, { 0x57d, 'u' }, { 0x581, 'g' }, { 0x585, 'o' },
	{ 0x13a0, 'd' }, { 0x13a1, 'r' }, { 0x13a2, 't' }, { 0x13aa, 'a' },
	{ 0x13ab, 'j' }, { 0x13ac, 'e' }, { 0x13b3, 'w' }, { 0x13b7, 'm' },
	{ 0x13bb, 'h' }, { 0x13c0, 'g' }, { 0x13c3, 'z' }, { 0x13d9, 'v' },
	{ 0x13da, 's' }, { 0x13de, 'l' }, { 0x13df, 'c' }, { 0x13e2, 'p' },
	{ 0x13e6, 'k' }, { 0x13f4, 'b' }, { 0x1d00, 'a' }, { 0x1d04, 'c' },
	{ 0x1d05, 'd' }, { 0x1d07, 'e' }, { 0x1d0a, 'j' }, { 0x1d0b, 'k' },
	{ 0x1d0d, 'm' }, { 0x1d0f, 'o' }, { 0x1d18, 'p' }, { 0x1d1b, 't' },
	{ 0x1d1c, 'u' }, { 0x1d20, 'v' }, { 0x1d21, 'w' }, { 0x1d22, 'z' },
};

char
lookalike_latin(uint32_t c)
{
	size_t lo = 0, hi = sizeof(table) / sizeof(table[0]);

	if (c < table[0].c || c > table[hi - 1].c)
		return 0;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (table[mid].c == c)
			return table[mid].latin;
		if (table[mid].c < c)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

static int
is_mark(uint32_t c)
{
	return u_charType((UChar32)c) == U_NON_SPACING_MARK ||
	    u_hasBinaryProperty((UChar32)c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT);
}

int
lookalike_word(const char *p, size_t n, size_t at, int before, size_t *end)
{
	int latin = before, alike = 0, other = 0;

	while (at < n) {
		unsigned char b = (unsigned char)p[at];
		uint32_t c;
		unsigned k;

		if (b < 0x80) {
			if ((b | 32) < 'a' || (b | 32) > 'z')
				break;
			latin = 1;
			at++;
			continue;
		}
		k = utf8_get(p, n, at, &c);
		if (k == 0)
			break;
		if (lookalike_latin(c))
			alike = 1;
		else if (u_isalpha((UChar32)c))
			other |= c >= 0x250;	/* accented Latin is Latin */
		else if (!is_mark(c))
			break;
		at += k;
	}
	*end = at;
	return latin && alike && !other;
}
