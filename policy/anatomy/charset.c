/* charset.c -- any character set to valid UTF-8; see anatomy/charset.h.
 *
 * US-ASCII, UTF-8, ISO-8859-1 and windows-1252 are done here; ICU's tables do
 * the rest. Labels are read as the WHATWG's encoding standard reads them
 * (latin1 means windows-1252, gb2312 means GB 18030, …), because that is what
 * readers show; where it names the "replacement" decoder for the sake of
 * browsers (ISO-2022-KR, HZ), mail still needs the real one.
 *
 * ICU is told to look into its own data library only: no file is opened.
 * Converters are kept open, a few at a time, since opening one costs more
 * than a header's worth of text.
 */
#include "anatomy/charset.h"

#include <unicode/ucnv.h>
#include <unicode/ucnv_cb.h>
#include <unicode/udata.h>

#include "anatomy/textmap.h"

/* Compared by address. */
static const char ASCII[] = "us-ascii";
static const char UTF_8[] = "utf-8";
static const char CP1252[] = "windows-1252";

/* Label, decoder. Labels that ICU knows by itself in the same sense need no line. */
static const struct label {
	const char *label, *decoder;
} labels[] = {
	{ "us-ascii", ASCII }, { "ascii", ASCII }, { "ansi_x3.4-1968", ASCII },
	{ "iso646-us", ASCII }, { "iso-ir-6", ASCII }, { "us", ASCII }, { "7bit", ASCII },
	{ "utf-8", UTF_8 }, { "utf8", UTF_8 }, { "unicode-1-1-utf-8", UTF_8 },
	{ "unicode11utf8", UTF_8 }, { "unicode20utf8", UTF_8 }, { "x-unicode20utf8", UTF_8 },
	{ "cp65001", UTF_8 }, { "utf-8n", UTF_8 }, { "utf-8-sig", UTF_8 },
	{ "windows-1252", CP1252 }, { "cp1252", CP1252 }, { "x-cp1252", CP1252 },
	{ "cp819", CP1252 }, { "csisolatin1", CP1252 }, { "ibm819", CP1252 },
	{ "iso-8859-1", CP1252 }, { "iso-ir-100", CP1252 }, { "iso8859-1", CP1252 },
	{ "iso88591", CP1252 }, { "iso_8859-1", CP1252 }, { "iso_8859-1:1987", CP1252 },
	{ "l1", CP1252 }, { "latin1", CP1252 }, { "latin-1", CP1252 }, { "ansi", CP1252 },
	{ "x-ansi", CP1252 }, { "8859-1", CP1252 }, { "iso-8859-1-windows-3.1-latin-1", CP1252 },
	{ "iso-8859-8-i", "iso-8859-8" }, { "iso-8859-8-e", "iso-8859-8" },
	{ "csiso88598i", "iso-8859-8" }, { "csiso88598e", "iso-8859-8" },
	{ "logical", "iso-8859-8" }, { "visual", "iso-8859-8" },
	{ "iso-8859-6-i", "iso-8859-6" }, { "iso-8859-6-e", "iso-8859-6" },
	{ "csiso88596i", "iso-8859-6" }, { "csiso88596e", "iso-8859-6" },
	{ "asmo-708", "iso-8859-6" }, { "ecma-114", "iso-8859-6" },
	{ "sun_eu_greek", "iso-8859-7" }, { "elot_928", "iso-8859-7" },
	{ "iso-8859-9", "windows-1254" }, { "iso8859-9", "windows-1254" },
	{ "iso88599", "windows-1254" }, { "iso_8859-9", "windows-1254" },
	{ "iso_8859-9:1989", "windows-1254" }, { "iso-ir-148", "windows-1254" },
	{ "csisolatin5", "windows-1254" }, { "l5", "windows-1254" },
	{ "latin5", "windows-1254" }, { "x-cp1254", "windows-1254" },
	{ "iso-8859-11", "windows-874-2000" }, { "iso8859-11", "windows-874-2000" },
	{ "iso885911", "windows-874-2000" }, { "tis-620", "windows-874-2000" },
	{ "tis620", "windows-874-2000" }, { "dos-874", "windows-874-2000" },
	{ "windows-874", "windows-874-2000" },
	{ "x-cp1250", "windows-1250" }, { "x-cp1251", "windows-1251" },
	{ "x-cp1253", "windows-1253" }, { "x-cp1255", "windows-1255" },
	{ "x-cp1256", "windows-1256" }, { "x-cp1257", "windows-1257" },
	{ "x-cp1258", "windows-1258" },
	{ "iso88592", "iso-8859-2" }, { "iso88593", "iso-8859-3" }, { "iso88594", "iso-8859-4" },
	{ "iso88595", "iso-8859-5" }, { "iso88596", "iso-8859-6" }, { "iso88597", "iso-8859-7" },
	{ "iso88598", "iso-8859-8" }, { "iso885910", "iso-8859-10" },
	{ "iso885913", "iso-8859-13" }, { "iso885914", "iso-8859-14" },
	{ "iso885915", "iso-8859-15" }, { "csisolatin9", "iso-8859-15" },
	{ "l9", "iso-8859-15" }, { "iso8859-15", "iso-8859-15" },
	{ "iso_8859-15", "iso-8859-15" }, { "latin9", "iso-8859-15" },
	{ "koi", "koi8-r" }, { "koi8", "koi8-r" }, { "koi8_r", "koi8-r" },
	{ "cskoi8r", "koi8-r" }, { "koi8-ru", "koi8-u" },
	{ "866", "ibm-866" }, { "cp866", "ibm-866" }, { "csibm866", "ibm-866" },
	{ "csmacintosh", "macintosh" }, { "mac", "macintosh" }, { "x-mac-roman", "macintosh" },
	{ "x-mac-ukrainian", "x-mac-cyrillic" },
	{ "gb2312", "gb18030" }, { "gb_2312", "gb18030" }, { "gb_2312-80", "gb18030" },
	{ "gbk", "gb18030" }, { "x-gbk", "gb18030" }, { "csgb2312", "gb18030" },
	{ "chinese", "gb18030" }, { "csiso58gb231280", "gb18030" }, { "iso-ir-58", "gb18030" },
	{ "euc-cn", "gb18030" }, { "cp936", "gb18030" }, { "gb18030-2022", "gb18030" },
	{ "big5", "big5-hkscs" }, { "big-5", "big5-hkscs" }, { "big5-hkscs", "big5-hkscs" },
	{ "cn-big5", "big5-hkscs" }, { "csbig5", "big5-hkscs" }, { "x-x-big5", "big5-hkscs" },
	{ "cp950", "big5-hkscs" },
	{ "x-euc-jp", "euc-jp" }, { "cseucpkdfmtjapanese", "euc-jp" },
	{ "csiso2022jp", "iso-2022-jp" }, { "iso-2022-jp-ms", "iso-2022-jp" },
	{ "shift_jis", "windows-31j" }, { "shift-jis", "windows-31j" },
	{ "sjis", "windows-31j" }, { "x-sjis", "windows-31j" }, { "ms_kanji", "windows-31j" },
	{ "csshiftjis", "windows-31j" }, { "ms932", "windows-31j" }, { "cp932", "windows-31j" },
	{ "euc-kr", "windows-949" }, { "cseuckr", "windows-949" }, { "csksc56011987", "windows-949" },
	{ "iso-ir-149", "windows-949" }, { "korean", "windows-949" },
	{ "ks_c_5601-1987", "windows-949" }, { "ks_c_5601-1989", "windows-949" },
	{ "ksc5601", "windows-949" }, { "ksc_5601", "windows-949" },
	{ "ks_c_5601", "windows-949" }, { "cp949", "windows-949" }, { "uhc", "windows-949" },
	{ "hz-gb-2312", "HZ" }, { "csiso2022kr", "iso-2022-kr" },
	{ "unicode", "utf-16le" }, { "csunicode", "utf-16le" }, { "ucs-2", "utf-16le" },
	{ "iso-10646-ucs-2", "utf-16le" }, { "unicodefeff", "utf-16le" },
	{ "unicodefffe", "utf-16be" }, { "utf-16", "utf-16le" }, { "utf16", "utf-16le" },
	{ "utf-7", "utf-7" }, { "unicode-1-1-utf-7", "utf-7" }, { "utf7", "utf-7" },
	{ "unicode-2-0-utf-7", "utf-7" }, { "x-unicode-2-0-utf-7", "utf-7" },
};

/* windows-1252, 0x80 to 0x9f; the five holes are the C1 controls, as the WHATWG has it. */
static const uint16_t cp1252[32] = {
	0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021,
	0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f,
	0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
	0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
};

static const char *
decoder_of(struct span label)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (span_is_nocase(label, labels[i].label))
			return labels[i].decoder;
	return NULL;
}

bool
charset_hides_ascii(struct span label)
{
	static const char *const heads[] = { "utf-7", "utf-16", "utf-32", "iso-2022-", "hz" };
	const char *decoder = decoder_of(label);
	struct span name = decoder ? span_str(decoder) : label;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (span_starts_nocase(name, span_str(heads[i])))
			return true;
	return false;
}

struct span
charset_mark(struct span bytes)
{
	if (span_starts(bytes, SPAN_LIT("\xff\xfe")))
		return SPAN_LIT("utf-16le");
	if (span_starts(bytes, SPAN_LIT("\xfe\xff")))
		return SPAN_LIT("utf-16be");
	return span_make("", 0);
}

bool
charset_same(struct span a, struct span b)
{
	const char *da, *db;

	if (span_eq_nocase(a, b))
		return true;
	da = decoder_of(a);
	db = decoder_of(b);
	return da && db && strcmp(da, db) == 0;
}

static void
decode_1252(struct arena *a, const struct text *in, bool want_map, struct text *out)
{
	struct textmake t;
	size_t n = in->s.n, high = 0;

	for (size_t i = 0; i < n; i++)
		high += (unsigned char)in->s.p[i] >> 7;
	textmake_init(&t, a, in, n + high, want_map);
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)in->s.p[i];

		if (c < 0x80) {
			size_t run = ascii_until(span_from(in->s, i));

			textmake_copy(&t, i, run);
			i += run;
			continue;
		}
		textmake_char(&t, c < 0xa0 ? cp1252[c - 0x80] : c, i);
		i++;
	}
	textmake_finish(&t, n, out);
}

/* UTF-8 with each bad byte made U+FFFD. */
static void
decode_utf8(struct arena *a, const struct text *in, bool want_map, struct text *out)
{
	struct textmake t;
	size_t n = in->s.n;

	textmake_init(&t, a, in, n + n / 8, want_map);
	for (size_t i = 0; i < n;) {
		size_t good = utf8_valid_until(span_from(in->s, i));

		textmake_copy(&t, i, good);
		i += good;
		if (i < n)
			textmake_char(&t, 0xfffd, i++);
	}
	textmake_finish(&t, n, out);
}

/* --- ICU --------------------------------------------------------------------------- */

struct kept {
	char name[40];
	UConverter *cnv;	/* NULL: ICU does not know it */
};
static struct kept kept[16];
static unsigned kept_next;
static bool bad_input;		/* set by the callback during one conversion */

static void U_CALLCONV
on_bad_input(const void *context, UConverterToUnicodeArgs *args, const char *units,
    int32_t length, UConverterCallbackReason reason, UErrorCode *err)
{
	static const UChar replacement = 0xfffd;

	if (reason > UCNV_IRREGULAR)
		return;		/* reset, close, clone */
	bad_input = true;
	*err = U_ZERO_ERROR;
	/* ucnv_cbToUWriteSub would write U+001A for single bytes. */
	ucnv_cbToUWriteUChars(args, &replacement, 1, 0, err);
}

void
icu_no_files(void)
{
	static bool told;
	UErrorCode err = U_ZERO_ERROR;

	if (!told)
		udata_setFileAccess(UDATA_NO_FILES, &err);
	told = true;
}

/* NULL: nobody knows that name. */
static UConverter *
converter(struct span label)
{
	const char *decoder = decoder_of(label);
	struct kept *k;
	UErrorCode err = U_ZERO_ERROR;
	char name[sizeof(k->name)];
	size_t n = 0;

	icu_no_files();
	if (decoder)
		label = span_str(decoder);
	if (label.n >= sizeof(name))
		return NULL;
	for (; n < label.n; n++) {
		char c = ascii_lower(label.p[n]);

		/* Nothing that ICU might take for options or a path. */
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
		    c == ':' || c == '.'))
			return NULL;
		name[n] = c;
	}
	name[n] = '\0';
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(kept[i].name, name) == 0 && n) {
			if (kept[i].cnv)
				ucnv_reset(kept[i].cnv);
			return kept[i].cnv;
		}
	if (n == 0)
		return NULL;
	k = &kept[kept_next++ % (sizeof(kept) / sizeof(kept[0]))];
	if (k->cnv)
		ucnv_close(k->cnv);
	memcpy(k->name, name, n + 1);
	k->cnv = ucnv_open(name, &err);
	if (U_FAILURE(err)) {
		k->cnv = NULL;
	} else {
		err = U_ZERO_ERROR;
		ucnv_setToUCallBack(k->cnv, on_bad_input, NULL, NULL, NULL, &err);
	}
	return k->cnv;
}

#define CHUNK 2048

static uint32_t
decode_icu(struct arena *a, UConverter *cnv, const struct text *in, bool want_map,
    struct text *out)
{
	const char *src = in->s.p, *end = in->s.p + in->s.n;
	struct textmake t;
	UChar units[CHUNK];
	int32_t offsets[CHUNK];
	UErrorCode err;
	uint32_t lead = 0;
	size_t lead_at = 0, at = 0;

	bad_input = false;
	textmake_init(&t, a, in, in->s.n + in->s.n / 8, want_map);
	do {
		UChar *u = units;
		size_t base = (size_t)(src - in->s.p);

		err = U_ZERO_ERROR;
		ucnv_toUnicode(cnv, &u, units + CHUNK, &src, end, offsets, true, &err);
		for (size_t i = 0; i < (size_t)(u - units); i++) {
			/* An offset of -1 belongs to the character before. Never go back. */
			if (offsets[i] >= 0 && base + (size_t)offsets[i] > at)
				at = base + (size_t)offsets[i];
			if (at > in->s.n)
				at = in->s.n;
			if (lead) {
				if (U16_IS_TRAIL(units[i])) {
					textmake_char(&t, (uint32_t)U16_GET_SUPPLEMENTARY(lead,
					    units[i]), lead_at);
					lead = 0;
					continue;
				}
				textmake_char(&t, 0xfffd, lead_at);
				bad_input = true;
				lead = 0;
			}
			if (U16_IS_LEAD(units[i])) {
				lead = units[i];
				lead_at = at;
				continue;
			}
			if (U16_IS_TRAIL(units[i]))
				bad_input = true;	/* textmake_char makes it U+FFFD */
			textmake_char(&t, units[i], at);
		}
	} while (err == U_BUFFER_OVERFLOW_ERROR);
	if (U_FAILURE(err))
		bad_input = true;
	if (lead) {
		textmake_char(&t, 0xfffd, lead_at);
		bad_input = true;
	}
	textmake_finish(&t, in->s.n, out);
	return bad_input ? DEFECT_CHARSET_MALFORMED : 0;
}

/* --- the choice --------------------------------------------------------------------- */

/* A byte order mark: the charset it tells, and its length. */
static const char *
mark_of(struct span s, size_t *n)
{
	if (span_starts(s, SPAN_LIT("\xef\xbb\xbf")))
		return *n = 3, UTF_8;
	if (span_starts(s, SPAN_LIT("\xff\xfe")))
		return *n = 2, "utf-16le";
	if (span_starts(s, SPAN_LIT("\xfe\xff")))
		return *n = 2, "utf-16be";
	*n = 0;
	return NULL;
}

uint32_t
charset_decode(struct arena *a, struct span label, const struct text *in, bool want_map,
    struct text *out)
{
	const char *decoder = label.n ? decoder_of(label) : NULL, *mark;
	uint32_t defects = 0;
	UConverter *cnv;
	size_t n;

	mark = mark_of(in->s, &n);
	if (mark && (label.n == 0 || strcmp(mark, UTF_8) != 0) && mark != decoder) {
		/* The bytes themselves tell more than their label. */
		decoder = mark;
		label = span_str(mark);
	}
	if (ascii_until(in->s) == in->s.n && (label.n == 0 || decoder == UTF_8 ||
	    decoder == ASCII || decoder == CP1252)) {
		*out = *in;
		return 0;
	}
	if (decoder == CP1252) {
		decode_1252(a, in, want_map, out);
		return 0;
	}
	if (label.n && decoder != UTF_8 && decoder != ASCII) {
		cnv = converter(label);
		if (cnv)
			return decode_icu(a, cnv, in, want_map, out);
		defects |= DEFECT_CHARSET_UNKNOWN;
	}
	if (utf8_valid_until(in->s) == in->s.n) {
		if (decoder == ASCII)
			defects |= DEFECT_CHARSET_MALFORMED;
		*out = *in;
		return defects;
	}
	if (decoder == UTF_8 || decoder == ASCII)
		defects |= DEFECT_CHARSET_MALFORMED;
	if (decoder == UTF_8)
		decode_utf8(a, in, want_map, out);
	else
		decode_1252(a, in, want_map, out);
	return defects;
}

/* --- the way back ------------------------------------------------------------------- */

struct span
charset_used(struct span label, struct span bytes)
{
	const char *decoder = label.n ? decoder_of(label) : NULL, *mark;
	size_t n;

	mark = mark_of(bytes, &n);
	if (mark && (label.n == 0 || strcmp(mark, UTF_8) != 0) && mark != decoder)
		return span_str(mark);
	if (decoder == ASCII && ascii_until(bytes) < bytes.n)
		return span_make("", 0);	/* it lies */
	if (decoder)
		return span_str(decoder);
	return label.n && converter(label) ? label : span_make("", 0);
}

bool
charset_stateless(struct span used)
{
	return !span_starts_nocase(used, SPAN_LIT("iso-2022")) &&
	    !span_starts_nocase(used, SPAN_LIT("utf-7")) && !span_is_nocase(used, "hz") &&
	    !span_starts_nocase(used, SPAN_LIT("scsu")) &&
	    !span_starts_nocase(used, SPAN_LIT("bocu")) &&
	    !span_starts_nocase(used, SPAN_LIT("imap"));
}

/* What ISO 8859-1 and windows-1252 have in common: the label may mean either. */
static bool
encode_1252(struct arena *a, struct span utf8, struct span *out)
{
	char *p = arena_alloc(a, utf8.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < utf8.n;) {
		uint32_t c;
		unsigned len = utf8_get(utf8.p, utf8.n, i, &c);

		if (len == 0 || c > 0xff || (c >= 0x80 && c < 0xa0))
			return false;
		p[n++] = (char)c;
		i += len;
	}
	*out = span_make(p, n);
	return true;
}

static bool
encode_icu(struct arena *a, UConverter *cnv, struct span utf8, struct span *out)
{
	UChar *units = arena_alloc(a, (utf8.n + 1) * sizeof(*units));
	size_t cap = utf8.n * 4 + 16;
	char *p = arena_alloc(a, cap);
	UErrorCode err = U_ZERO_ERROR;
	int32_t n = 0, made;

	for (size_t i = 0; i < utf8.n;) {
		uint32_t c;
		unsigned len = utf8_get(utf8.p, utf8.n, i, &c);

		if (len == 0)
			return false;
		if (c < 0x10000) {
			units[n++] = (UChar)c;
		} else {
			units[n++] = U16_LEAD(c);
			units[n++] = U16_TRAIL(c);
		}
		i += len;
	}
	ucnv_setFromUCallBack(cnv, UCNV_FROM_U_CALLBACK_STOP, NULL, NULL, NULL, &err);
	made = ucnv_fromUChars(cnv, p, (int32_t)cap, units, n, &err);
	if (U_FAILURE(err))
		return false;
	*out = span_make(p, (size_t)made);
	return true;
}

bool
charset_encode(struct arena *a, struct span used, struct span utf8, struct span *out)
{
	const char *decoder = used.n ? decoder_of(used) : NULL;
	UConverter *cnv;

	if (used.n == 0 || decoder == ASCII || utf8.n > (1u << 24)) {
		*out = utf8;
		return ascii_until(utf8) == utf8.n;
	}
	if (decoder == UTF_8) {
		*out = utf8;
		return true;
	}
	if (decoder == CP1252)
		return encode_1252(a, utf8, out);
	cnv = converter(used);
	return cnv && encode_icu(a, cnv, utf8, out);
}
