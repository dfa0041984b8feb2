/* pdf_glyphs.c -- the characters of glyph names: a table of the Latin and Greek ones; see pdf_glyph.
 *
 * As Adobe's glyph list names them: "eacute", "uni00E9", "u1F600", "one.oldstyle". One letter is
 * itself. Sorted by the name's bytes.
 */
#include "anatomy/decode.h"
#include "anatomy/pdf.h"

static const struct {
	const char *name;
	uint16_t c;
} glyphs[] = {
	{ "AE", 0xc6 }, { "Aacute", 0xc1 }, { "Abreve", 0x102 }, { "Acaron", 0x1cd },
	{ "Acircumflex", 0xc2 }, { "Adieresis", 0xc4 }, { "Adotaccent", 0x226 },
	{ "Agrave", 0xc0 }, { "Alpha", 0x391 }, { "Amacron", 0x100 }, { "Aogonek", 0x104 },
	{ "Aring", 0xc5 }, { "Atilde", 0xc3 }, { "Bdotaccent", 0x1e02 }, { "Beta", 0x392 },
	{ "Cacute", 0x106 }, { "Ccaron", 0x10c }, { "Ccedilla", 0xc7 },
	{ "Ccircumflex", 0x108 }, { "Cdotaccent", 0x10a }, { "Chi", 0x3a7 },
	{ "Dcaron", 0x10e }, { "Dcedilla", 0x1e10 }, { "Dcroat", 0x110 },
	{ "Ddotaccent", 0x1e0a }, { "Delta", 0x394 }, { "Eacute", 0xc9 },
	{ "Ebreve", 0x114 }, { "Ecaron", 0x11a }, { "Ecedilla", 0x228 },
	{ "Ecircumflex", 0xca }, { "Edieresis", 0xcb }, { "Edotaccent", 0x116 },
	{ "Egrave", 0xc8 }, { "Emacron", 0x112 }, { "Eng", 0x14a }, { "Eogonek", 0x118 },
	{ "Epsilon", 0x395 }, { "Eta", 0x397 }, { "Eth", 0xd0 }, { "Etilde", 0x1ebc },
	{ "Euro", 0x20ac }, { "Fdotaccent", 0x1e1e }, { "Gacute", 0x1f4 },
	{ "Gamma", 0x393 }, { "Gbreve", 0x11e }, { "Gcaron", 0x1e6 },
	{ "Gcedilla", 0x122 }, { "Gcircumflex", 0x11c }, { "Gcommaaccent", 0x122 },
	{ "Gdotaccent", 0x120 }, { "Gmacron", 0x1e20 }, { "Hbar", 0x126 },
	{ "Hcaron", 0x21e }, { "Hcedilla", 0x1e28 }, { "Hcircumflex", 0x124 },
	{ "Hdieresis", 0x1e26 }, { "Hdotaccent", 0x1e22 }, { "IJ", 0x132 },
	{ "Iacute", 0xcd }, { "Ibreve", 0x12c }, { "Icaron", 0x1cf },
	{ "Icircumflex", 0xce }, { "Idieresis", 0xcf }, { "Idotaccent", 0x130 },
	{ "Igrave", 0xcc }, { "Imacron", 0x12a }, { "Iogonek", 0x12e }, { "Iota", 0x399 },
	{ "Itilde", 0x128 }, { "Jcircumflex", 0x134 }, { "Kacute", 0x1e30 },
	{ "Kappa", 0x39a }, { "Kcaron", 0x1e8 }, { "Kcedilla", 0x136 },
	{ "Kcommaaccent", 0x136 }, { "Lacute", 0x139 }, { "Lambda", 0x39b },
	{ "Lcaron", 0x13d }, { "Lcedilla", 0x13b }, { "Lcommaaccent", 0x13b },
	{ "Lslash", 0x141 }, { "Macute", 0x1e3e }, { "Mdotaccent", 0x1e40 },
	{ "Mu", 0x39c }, { "Nacute", 0x143 }, { "Ncaron", 0x147 }, { "Ncedilla", 0x145 },
	{ "Ncommaaccent", 0x145 }, { "Ndotaccent", 0x1e44 }, { "Ngrave", 0x1f8 },
	{ "Ntilde", 0xd1 }, { "Nu", 0x39d }, { "OE", 0x152 }, { "Oacute", 0xd3 },
	{ "Obreve", 0x14e }, { "Ocaron", 0x1d1 }, { "Ocircumflex", 0xd4 },
	{ "Odieresis", 0xd6 }, { "Odotaccent", 0x22e }, { "Ograve", 0xd2 },
	{ "Ohungarumlaut", 0x150 }, { "Omacron", 0x14c }, { "Omega", 0x3a9 },
	{ "Omicron", 0x39f }, { "Oogonek", 0x1ea }, { "Oslash", 0xd8 }, { "Otilde", 0xd5 },
	{ "Pacute", 0x1e54 }, { "Pdotaccent", 0x1e56 }, { "Phi", 0x3a6 }, { "Pi", 0x3a0 },
	{ "Psi", 0x3a8 }, { "Racute", 0x154 }, { "Rcaron", 0x158 }, { "Rcedilla", 0x156 },
	{ "Rcommaaccent", 0x156 }, { "Rdotaccent", 0x1e58 }, { "Rho", 0x3a1 },
	{ "Sacute", 0x15a }, { "Scaron", 0x160 }, { "Scedilla", 0x15e },
	{ "Scircumflex", 0x15c }, { "Scommaaccent", 0x218 }, { "Sdotaccent", 0x1e60 },
	{ "Sigma", 0x3a3 }, { "Tau", 0x3a4 }, { "Tbar", 0x166 }, { "Tcaron", 0x164 },
	{ "Tcedilla", 0x162 }, { "Tcommaaccent", 0x162 }, { "Tdotaccent", 0x1e6a },
	{ "Theta", 0x398 }, { "Thorn", 0xde }, { "Uacute", 0xda }, { "Ubreve", 0x16c },
	{ "Ucaron", 0x1d3 }, { "Ucircumflex", 0xdb }, { "Udieresis", 0xdc },
	{ "Ugrave", 0xd9 }, { "Uhungarumlaut", 0x170 }, { "Umacron", 0x16a },
	{ "Uogonek", 0x172 }, { "Upsilon", 0x3a5 }, { "Uring", 0x16e },
	{ "Utilde", 0x168 }, { "Vtilde", 0x1e7c }, { "Wacute", 0x1e82 },
	{ "Wcircumflex", 0x174 }, { "Wdieresis", 0x1e84 }, { "Wdotaccent", 0x1e86 },
	{ "Wgrave", 0x1e80 }, { "Xdieresis", 0x1e8c }, { "Xdotaccent", 0x1e8a },
	{ "Xi", 0x39e }, { "Yacute", 0xdd }, { "Ycircumflex", 0x176 },
	{ "Ydieresis", 0x178 }, { "Ydotaccent", 0x1e8e }, { "Ygrave", 0x1ef2 },
	{ "Ymacron", 0x232 }, { "Ytilde", 0x1ef8 }, { "Zacute", 0x179 },
	{ "Zcaron", 0x17d }, { "Zcircumflex", 0x1e90 }, { "Zdotaccent", 0x17b },
	{ "Zeta", 0x396 }, { "aacute", 0xe1 }, { "abreve", 0x103 }, { "acaron", 0x1ce },
	{ "acircumflex", 0xe2 }, { "acute", 0xb4 }, { "adieresis", 0xe4 },
	{ "adotaccent", 0x227 }, { "ae", 0xe6 }, { "agrave", 0xe0 }, { "alpha", 0x3b1 },
	{ "amacron", 0x101 }, { "ampersand", 0x26 }, { "aogonek", 0x105 },
	{ "approxequal", 0x2248 }, { "aring", 0xe5 }, { "arrowleft", 0x2190 },
	{ "arrowright", 0x2192 }, { "asciicircum", 0x5e }, { "asciitilde", 0x7e },
	{ "asterisk", 0x2a }, { "at", 0x40 }, { "atilde", 0xe3 }, { "backslash", 0x5c },
	{ "bar", 0x7c }, { "bdotaccent", 0x1e03 }, { "beta", 0x3b2 },
	{ "braceleft", 0x7b }, { "braceright", 0x7d }, { "bracketleft", 0x5b },
	{ "bracketright", 0x5d }, { "breve", 0x2d8 }, { "brokenbar", 0xa6 },
	{ "bullet", 0x2022 }, { "cacute", 0x107 }, { "caron", 0x2c7 }, { "ccaron", 0x10d },
	{ "ccedilla", 0xe7 }, { "ccircumflex", 0x109 }, { "cdotaccent", 0x10b },
	{ "cedilla", 0xb8 }, { "cent", 0xa2 }, { "chi", 0x3c7 }, { "circumflex", 0x2c6 },
	{ "colon", 0x3a }, { "comma", 0x2c }, { "copyright", 0xa9 }, { "currency", 0xa4 },
	{ "dagger", 0x2020 }, { "daggerdbl", 0x2021 }, { "dcaron", 0x10f },
	{ "dcedilla", 0x1e11 }, { "dcroat", 0x111 }, { "ddotaccent", 0x1e0b },
	{ "degree", 0xb0 }, { "delta", 0x3b4 }, { "dieresis", 0xa8 }, { "divide", 0xf7 },
	{ "dollar", 0x24 }, { "dotaccent", 0x2d9 }, { "dotlessi", 0x131 },
	{ "dotlessj", 0x237 }, { "eacute", 0xe9 }, { "ebreve", 0x115 },
	{ "ecaron", 0x11b }, { "ecedilla", 0x229 }, { "ecircumflex", 0xea },
	{ "edieresis", 0xeb }, { "edotaccent", 0x117 }, { "egrave", 0xe8 },
	{ "eight", 0x38 }, { "eightoldstyle", 0x38 }, { "ellipsis", 0x2026 },
	{ "emacron", 0x113 }, { "emdash", 0x2014 }, { "endash", 0x2013 }, { "eng", 0x14b },
	{ "eogonek", 0x119 }, { "epsilon", 0x3b5 }, { "equal", 0x3d }, { "eta", 0x3b7 },
	{ "eth", 0xf0 }, { "etilde", 0x1ebd }, { "euro", 0x20ac }, { "exclam", 0x21 },
	{ "exclamdown", 0xa1 }, { "fdotaccent", 0x1e1f }, { "ff", 0xfb00 },
	{ "ffi", 0xfb03 }, { "ffl", 0xfb04 }, { "fi", 0xfb01 }, { "five", 0x35 },
	{ "fiveoldstyle", 0x35 }, { "fl", 0xfb02 }, { "florin", 0x192 }, { "four", 0x34 },
	{ "fouroldstyle", 0x34 }, { "fraction", 0x2044 }, { "gacute", 0x1f5 },
	{ "gamma", 0x3b3 }, { "gbreve", 0x11f }, { "gcaron", 0x1e7 },
	{ "gcedilla", 0x123 }, { "gcircumflex", 0x11d }, { "gcommaaccent", 0x123 },
	{ "gdotaccent", 0x121 }, { "germandbls", 0xdf }, { "gmacron", 0x1e21 },
	{ "grave", 0x60 }, { "greater", 0x3e }, { "greaterequal", 0x2265 },
	{ "guillemotleft", 0xab }, { "guillemotright", 0xbb }, { "guilsinglleft", 0x2039 },
	{ "guilsinglright", 0x203a }, { "hbar", 0x127 }, { "hcaron", 0x21f },
	{ "hcedilla", 0x1e29 }, { "hcircumflex", 0x125 }, { "hdieresis", 0x1e27 },
	{ "hdotaccent", 0x1e23 }, { "hungarumlaut", 0x2dd }, { "hyphen", 0x2d },
	{ "hyphenminus", 0x2d }, { "iacute", 0xed }, { "ibreve", 0x12d },
	{ "icaron", 0x1d0 }, { "icircumflex", 0xee }, { "idieresis", 0xef },
	{ "igrave", 0xec }, { "ij", 0x133 }, { "imacron", 0x12b }, { "infinity", 0x221e },
	{ "integral", 0x222b }, { "iogonek", 0x12f }, { "iota", 0x3b9 },
	{ "itilde", 0x129 }, { "jcaron", 0x1f0 }, { "jcircumflex", 0x135 },
	{ "kacute", 0x1e31 }, { "kappa", 0x3ba }, { "kcaron", 0x1e9 },
	{ "kcedilla", 0x137 }, { "kcommaaccent", 0x137 }, { "kgreenlandic", 0x138 },
	{ "lacute", 0x13a }, { "lambda", 0x3bb }, { "lcaron", 0x13e },
	{ "lcedilla", 0x13c }, { "lcommaaccent", 0x13c }, { "ldot", 0x140 },
	{ "less", 0x3c }, { "lessequal", 0x2264 }, { "logicalnot", 0xac },
	{ "longs", 0x17f }, { "lozenge", 0x25ca }, { "lslash", 0x142 }, { "macron", 0xaf },
	{ "macute", 0x1e3f }, { "mdotaccent", 0x1e41 }, { "minus", 0x2212 },
	{ "mu", 0xb5 }, { "multiply", 0xd7 }, { "nacute", 0x144 }, { "nbspace", 0xa0 },
	{ "ncaron", 0x148 }, { "ncedilla", 0x146 }, { "ncommaaccent", 0x146 },
	{ "ndotaccent", 0x1e45 }, { "ngrave", 0x1f9 }, { "nine", 0x39 },
	{ "nineoldstyle", 0x39 }, { "nonbreakingspace", 0xa0 }, { "notequal", 0x2260 },
	{ "ntilde", 0xf1 }, { "nu", 0x3bd }, { "numbersign", 0x23 }, { "numero", 0x2116 },
	{ "oacute", 0xf3 }, { "obreve", 0x14f }, { "ocaron", 0x1d2 },
	{ "ocircumflex", 0xf4 }, { "odieresis", 0xf6 }, { "odotaccent", 0x22f },
	{ "oe", 0x153 }, { "ogonek", 0x2db }, { "ograve", 0xf2 },
	{ "ohungarumlaut", 0x151 }, { "omacron", 0x14d }, { "omega", 0x3c9 },
	{ "omicron", 0x3bf }, { "one", 0x31 }, { "onehalf", 0xbd },
	{ "oneoldstyle", 0x31 }, { "onequarter", 0xbc }, { "onesuperior", 0xb9 },
	{ "oogonek", 0x1eb }, { "ordfeminine", 0xaa }, { "ordmasculine", 0xba },
	{ "oslash", 0xf8 }, { "otilde", 0xf5 }, { "pacute", 0x1e55 },
	{ "paragraph", 0xb6 }, { "parenleft", 0x28 }, { "parenright", 0x29 },
	{ "partialdiff", 0x2202 }, { "pdotaccent", 0x1e57 }, { "percent", 0x25 },
	{ "period", 0x2e }, { "periodcentered", 0xb7 }, { "perthousand", 0x2030 },
	{ "phi", 0x3c6 }, { "pi", 0x3c0 }, { "plus", 0x2b }, { "plusminus", 0xb1 },
	{ "product", 0x220f }, { "psi", 0x3c8 }, { "question", 0x3f },
	{ "questiondown", 0xbf }, { "quotedbl", 0x22 }, { "quotedblbase", 0x201e },
	{ "quotedblleft", 0x201c }, { "quotedblright", 0x201d }, { "quoteleft", 0x2018 },
	{ "quoteright", 0x2019 }, { "quotesinglbase", 0x201a }, { "quotesingle", 0x27 },
	{ "racute", 0x155 }, { "radical", 0x221a }, { "rcaron", 0x159 },
	{ "rcedilla", 0x157 }, { "rcommaaccent", 0x157 }, { "rdotaccent", 0x1e59 },
	{ "registered", 0xae }, { "rho", 0x3c1 }, { "ring", 0x2da }, { "sacute", 0x15b },
	{ "scaron", 0x161 }, { "scedilla", 0x15f }, { "scircumflex", 0x15d },
	{ "scommaaccent", 0x219 }, { "sdotaccent", 0x1e61 }, { "section", 0xa7 },
	{ "semicolon", 0x3b }, { "seven", 0x37 }, { "sevenoldstyle", 0x37 },
	{ "sfthyphen", 0xad }, { "sigma", 0x3c3 }, { "sigma1", 0x3c2 }, { "six", 0x36 },
	{ "sixoldstyle", 0x36 }, { "slash", 0x2f }, { "space", 0x20 },
	{ "sterling", 0xa3 }, { "summation", 0x2211 }, { "tau", 0x3c4 }, { "tbar", 0x167 },
	{ "tcaron", 0x165 }, { "tcedilla", 0x163 }, { "tcommaaccent", 0x163 },
	{ "tdieresis", 0x1e97 }, { "tdotaccent", 0x1e6b }, { "theta", 0x3b8 },
	{ "thorn", 0xfe }, { "three", 0x33 }, { "threeoldstyle", 0x33 },
	{ "threequarters", 0xbe }, { "threesuperior", 0xb3 }, { "tilde", 0x2dc },
	{ "trademark", 0x2122 }, { "two", 0x32 }, { "twooldstyle", 0x32 },
	{ "twosuperior", 0xb2 }, { "uacute", 0xfa }, { "ubreve", 0x16d },
	{ "ucaron", 0x1d4 }, { "ucircumflex", 0xfb }, { "udieresis", 0xfc },
	{ "ugrave", 0xf9 }, { "uhungarumlaut", 0x171 }, { "umacron", 0x16b },
	{ "underscore", 0x5f }, { "uogonek", 0x173 }, { "upsilon", 0x3c5 },
	{ "uring", 0x16f }, { "utilde", 0x169 }, { "visiblespace", 0x2423 },
	{ "vtilde", 0x1e7d }, { "wacute", 0x1e83 }, { "wcircumflex", 0x175 },
	{ "wdieresis", 0x1e85 }, { "wdotaccent", 0x1e87 }, { "wgrave", 0x1e81 },
	{ "wring", 0x1e98 }, { "xdieresis", 0x1e8d }, { "xdotaccent", 0x1e8b },
	{ "xi", 0x3be }, { "yacute", 0xfd }, { "ycircumflex", 0x177 },
	{ "ydieresis", 0xff }, { "ydotaccent", 0x1e8f }, { "yen", 0xa5 },
	{ "ygrave", 0x1ef3 }, { "ymacron", 0x233 }, { "yring", 0x1e99 },
	{ "ytilde", 0x1ef9 }, { "zacute", 0x17a }, { "zcaron", 0x17e },
	{ "zcircumflex", 0x1e91 }, { "zdotaccent", 0x17c }, { "zero", 0x30 },
	{ "zerooldstyle", 0x30 }, { "zeta", 0x3b6 },
};

static uint32_t
hexadecimal(struct span s)
{
	uint32_t v = 0;

	if (s.n < 4 || s.n > 6)
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		int d = hex_value(s.p[i]);

		if (d < 0)
			return 0;
		v = v << 4 | (uint32_t)d;
	}
	return v;
}

static int
compare(struct span name, const char *known)
{
	size_t n = strlen(known);
	int c = memcmp(name.p, known, name.n < n ? name.n : n);

	return c ? c : name.n < n ? -1 : name.n > n;
}

uint32_t
pdf_glyph(struct span name)
{
	size_t lo = 0, hi = sizeof(glyphs) / sizeof(glyphs[0]), dot = span_find(name, '.');

	if (dot && dot < name.n)
		name = span_sub(name, 0, dot);
	if (name.n == 0)
		return 0;
	if (name.n == 1)
		return (unsigned char)name.p[0];
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = compare(name, glyphs[mid].name);

		if (c == 0)
			return glyphs[mid].c;
		if (c > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (span_starts(name, SPAN_LIT("uni")) && name.n >= 7)
		return hexadecimal(span_sub(name, 3, 4));
	return name.p[0] == 'u' ? hexadecimal(span_from(name, 1)) : 0;
}
