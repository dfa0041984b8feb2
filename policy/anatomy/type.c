/* type.c -- what a file really is; see anatomy/type.h.
 *
 * Magic numbers first, then what stands within containers (names in a zip,
 * streams in an OLE2 file), then text by its beginning. Only text, which has
 * no magic, is told apart by declared type and name.
 */
#include "anatomy/type.h"

#include "anatomy/zip.h"

static uint32_t
le16(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return u[0] | (uint32_t)u[1] << 8;
}

static uint32_t
le32(const char *p)
{
	return le16(p) | le16(p + 2) << 16;
}

static bool
has_at(struct span s, size_t at, const char *magic, size_t n)
{
	return at < s.n && s.n - at >= n && memcmp(s.p + at, magic, n) == 0;
}
#define HAS(s, at, magic) has_at(s, at, magic, sizeof(magic) - 1)

static bool
holds(struct span s, const char *what)
{
	return s.n && memmem(s.p, s.n, what, strlen(what)) != NULL;
}

struct span
name_extension(struct span name)
{
	size_t i = name.n;

	while (i > 0 && name.p[i - 1] != '.')
		i--;
	return i ? span_from(name, i) : span_make("", 0);
}

/* --- magic numbers --------------------------------------------------------------------- */

static const struct magic {
	uint16_t at;
	uint8_t n;
	const char *bytes;
	enum part_type type;
} magics[] = {
	{ 0, 4, "\x7f" "ELF", TYPE_ELF }, { 0, 4, "\0asm", TYPE_WASM }, { 0, 4, "dex\n", TYPE_DEX },
	{ 0, 4, "\xfe\xed\xfa\xce", TYPE_MACHO }, { 0, 4, "\xfe\xed\xfa\xcf", TYPE_MACHO },
	{ 0, 4, "\xce\xfa\xed\xfe", TYPE_MACHO }, { 0, 4, "\xcf\xfa\xed\xfe", TYPE_MACHO },
	{ 0, 8, "L\0\0\0\x01\x14\x02\0", TYPE_LNK },
	{ 0, 8, "\x89PNG\r\n\x1a\n", TYPE_PNG }, { 0, 3, "\xff\xd8\xff", TYPE_JPEG },
	{ 0, 6, "GIF87a", TYPE_GIF }, { 0, 6, "GIF89a", TYPE_GIF },
	{ 0, 4, "II*\0", TYPE_TIFF }, { 0, 4, "MM\0*", TYPE_TIFF },
	{ 4, 8, "ftypheic", TYPE_HEIC }, { 4, 8, "ftypheix", TYPE_HEIC },
	{ 4, 8, "ftypmif1", TYPE_HEIC }, { 4, 8, "ftypavif", TYPE_HEIC },
	{ 4, 4, "ftyp", TYPE_MP4 }, { 4, 8, "moov\0\0\0\0", TYPE_MP4 },
	{ 0, 4, "\x1a\x45\xdf\xa3", TYPE_MKV },
	{ 0, 4, "OggS", TYPE_OGG }, { 0, 4, "fLaC", TYPE_FLAC }, { 0, 3, "ID3", TYPE_MP3 },
	{ 0, 2, "\xff\xfb", TYPE_MP3 }, { 0, 2, "\xff\xf3", TYPE_MP3 },
	{ 0, 4, "\0\0\x01\xba", TYPE_MPEG }, { 0, 4, "\0\0\x01\xb3", TYPE_MPEG },
	{ 0, 6, "7z\xbc\xaf\x27\x1c", TYPE_SEVENZIP }, { 0, 6, "Rar!\x1a\x07", TYPE_RAR },
	{ 0, 3, "\x1f\x8b\x08", TYPE_GZIP }, { 0, 6, "\xfd" "7zXZ\0", TYPE_XZ },
	{ 0, 4, "\x28\xb5\x2f\xfd", TYPE_ZSTD }, { 0, 8, "MSCF\0\0\0\0", TYPE_CAB },
	{ 7, 7, "**ACE**", TYPE_ACE }, { 257, 5, "ustar", TYPE_TAR }, { 32769, 5, "CD001", TYPE_ISO },
	{ 0, 4, "\x78\x9f\x3e\x22", TYPE_TNEF }, { 0, 16, "SQLite format 3", TYPE_SQLITE },
	{ 0, 5, "{\\rtf", TYPE_RTF }, { 0, 4, "%!PS", TYPE_PS },
	{ 0, 8, "!<arch>\n", TYPE_AR }, { 0, 6, "070701", TYPE_CPIO }, { 0, 6, "070702", TYPE_CPIO },
	{ 0, 6, "070707", TYPE_CPIO }, { 0, 4, "xar!", TYPE_XAR }, { 0, 8, "MSWIM\0\0\0", TYPE_WIM },
	{ 0, 16, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", TYPE_ONENOTE },
	{ 4, 15, "Standard Jet DB", TYPE_MDB }, { 4, 15, "Standard ACE DB", TYPE_MDB },
	{ 0, 12, "\0\0\0\x0cjP  \r\n\x87\n", TYPE_JP2 }, { 0, 4, "\xff\x4f\xff\x51", TYPE_JP2 },
	{ 0, 4, "OTTO", TYPE_FONT }, { 0, 4, "wOFF", TYPE_FONT }, { 0, 4, "wOF2", TYPE_FONT },
	{ 0, 4, "ttcf", TYPE_FONT }, { 0, 5, "\0\x01\0\0\0", TYPE_FONT },
};

/* The oldest tar has no magic, but a sum over its header in octal digits. */
static bool
tar_sum_is_right(struct span s)
{
	uint32_t told = 0, sum = 8 * ' ';
	bool digits = false;

	if (s.n < 512 || s.p[0] == '\0' || s.p[156] < '\0')
		return false;
	for (size_t i = 148; i < 156; i++)
		if (s.p[i] >= '0' && s.p[i] <= '7') {
			told = told * 8 + (uint32_t)(s.p[i] - '0');
			digits = true;
		} else if (s.p[i] != ' ' && s.p[i] != '\0') {
			return false;
		}
	for (size_t i = 0; i < 512; i++)
		sum += i >= 148 && i < 156 ? 0 : (unsigned char)s.p[i];
	return digits && sum == told;
}

/* dBase has no magic: a version, a day, lengths that agree with the fields and with each other. */
static bool
dbf_is(struct span s)
{
	uint32_t head = s.n > 32 ? le16(s.p + 8) : 0, row = s.n > 32 ? le16(s.p + 10) : 0, sum = 1;

	if (s.n < 65 || head < 65 || head > s.n || row < 2 || s.p[2] < 1 || s.p[2] > 12 || s.p[3] < 1 ||
	    s.p[3] > 31 || strchr("\x02\x03\x04\x05\x30\x31\x32\x43\x7b\x83\x8b\x8e\xf5\xfb", s.p[0]) == NULL ||
	    s.p[0] == '\0')
		return false;
	for (size_t at = 32; at + 32 <= head && s.p[at] != '\r'; at += 32)
		sum += (unsigned char)s.p[at + 16] + (s.p[at + 11] == 'C' ? 256u * (unsigned char)s.p[at + 17] : 0);
	return sum == row;
}

static enum part_type
magic_find(struct span s)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (has_at(s, magics[i].at, magics[i].bytes, magics[i].n))
			return magics[i].type;
	if (HAS(s, 0, "\xca\xfe\xba\xbe") && s.n >= 8)	/* fat Mach-O: a few architectures */
		return (unsigned char)s.p[7] < 30 ? TYPE_MACHO : TYPE_CLASSFILE;
	if (HAS(s, 0, "MZ") && s.n >= 64 && memchr(s.p, '\0', 64))
		return TYPE_EXE;
	if (HAS(s, 0, "BM") && has_at(s, 6, "\0\0\0\0", 4))
		return TYPE_BMP;
	if (HAS(s, 0, "\0\0\x01\0") && s.n > 22 && s.p[4] > 0 && s.p[5] == 0)
		return TYPE_ICO;
	if (HAS(s, 0, "RIFF"))
		return HAS(s, 8, "WEBP") ? TYPE_WEBP : HAS(s, 8, "WAVE") ? TYPE_WAV :
		    HAS(s, 8, "AVI ") ? TYPE_AVI : TYPE_UNKNOWN;
	if (HAS(s, 0, "BZh") && HAS(s, 4, "1AY&SY"))
		return TYPE_BZIP2;
	if (HAS(s, 0, "\x60\xea") && s.n > 30 && le16(s.p + 2) < 2600)
		return TYPE_ARJ;
	if (HAS(s, 2, "-lh") && s.n > 21 && s.p[6] == '-')
		return TYPE_LZH;
	if (tar_sum_is_right(s))
		return TYPE_TAR;
	if (dbf_is(s))
		return TYPE_DBF;
	/* The mark may stand within the first 1,024 bytes (PDF 1.7, appendix H). */
	if (holds(span_sub(s, 0, 1024), "%PDF-"))
		return TYPE_PDF;
	return TYPE_UNKNOWN;
}

/* --- containers -------------------------------------------------------------------------- */

static void
sniff_zip(struct span bytes, struct sniffed *out)
{
	bool word = false, xl = false, ppt = false, vba = false, manifest = false, content = false,
	    android = false, first = true;
	struct zip_entry e;
	struct zip z;

	out->type = TYPE_ZIP;
	if (!zip_open(&z, bytes)) {
		/* Cut off: the flags of the first header are all there is. */
		out->encrypted = bytes.n > 7 && (bytes.p[6] & 1);
		out->encryption = out->encrypted ? ENCRYPTION_ZIP : ENCRYPTION_NONE;
		return;
	}
	while (zip_next(&z, &e)) {
		out->encrypted |= e.encrypted;
		if (e.encrypted && out->encryption != ENCRYPTION_ZIP_AES)
			out->encryption = e.method == ZIP_AES ? ENCRYPTION_ZIP_AES : ENCRYPTION_ZIP;
		if (first && span_is(e.name, "mimetype") && e.method == 0) {
			static const struct {
				const char *mime;
				enum part_type type;
			} known[] = {
				{ "application/vnd.oasis.opendocument.text", TYPE_ODT },
				{ "application/vnd.oasis.opendocument.spreadsheet", TYPE_ODS },
				{ "application/vnd.oasis.opendocument.presentation", TYPE_ODP },
				{ "application/epub+zip", TYPE_EPUB },
			};

			for (size_t i = 0; i < 4; i++)
				if (span_starts(e.data, span_str(known[i].mime)))
					out->type = known[i].type;
		}
		first = false;
		word |= span_starts(e.name, SPAN_LIT("word/"));
		xl |= span_starts(e.name, SPAN_LIT("xl/"));
		ppt |= span_starts(e.name, SPAN_LIT("ppt/"));
		vba |= span_ends_nocase(e.name, SPAN_LIT("/vbaProject.bin"));
		manifest |= span_is(e.name, "META-INF/MANIFEST.MF");
		android |= span_is(e.name, "AndroidManifest.xml") || span_is(e.name, "classes.dex");
		content |= span_is(e.name, "content.xml");
	}
	if (out->type != TYPE_ZIP)
		return;
	if (word)
		out->type = vba ? TYPE_DOCM : TYPE_DOCX;
	else if (xl)
		out->type = vba ? TYPE_XLSM : TYPE_XLSX;
	else if (ppt)
		out->type = vba ? TYPE_PPTM : TYPE_PPTX;
	else if (manifest || android)
		out->type = TYPE_JAR;
	else if (content)
		out->type = TYPE_ODT;
}

#define DIR_SECTORS 128

/* The next sector of a chain, by the first 109 sectors of the allocation table. */
static uint32_t
ole2_next(struct span s, uint32_t sector, unsigned shift)
{
	uint32_t per = 1u << (shift - 2), table = sector / per;
	uint64_t at;

	if (table >= 109)
		return UINT32_MAX;
	at = ((uint64_t)le32(s.p + 76 + table * 4) + 1) << shift;
	at += (uint64_t)(sector % per) * 4;
	return at + 4 <= s.n ? le32(s.p + at) : UINT32_MAX;
}

static bool
ole2_name_is(const char *entry, const char *name)
{
	size_t n = strlen(name);

	if (le16(entry + 64) != (n + 1) * 2)
		return false;
	for (size_t i = 0; i < n; i++)
		if (entry[i * 2] != name[i] || entry[i * 2 + 1] != '\0')
			return false;
	return true;
}

static void
sniff_ole2(struct span s, struct span name, struct sniffed *out)
{
	static const struct {
		const char *stream;
		enum part_type type;
	} streams[] = {
		{ "WordDocument", TYPE_DOC }, { "Workbook", TYPE_XLS }, { "Book", TYPE_XLS },
		{ "PowerPoint Document", TYPE_PPT }, { "__properties_version1.0", TYPE_MSG },
	};
	uint32_t sector;
	unsigned shift;

	out->type = TYPE_OLE2;
	if (s.n < 512)
		return;
	shift = le16(s.p + 30);
	sector = le32(s.p + 48);
	if (shift < 7 || shift > 16)
		return;
	for (unsigned k = 0; k < DIR_SECTORS && sector < UINT32_MAX - 5; k++) {
		uint64_t at = ((uint64_t)sector + 1) << shift;

		for (uint32_t i = 0; i < (1u << shift) && at + i + 128 <= s.n; i += 128) {
			const char *e = s.p + at + i;

			if (k == 0 && i == 0 && has_at(s, at + 80,
			    "\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", 16))
				out->type = TYPE_MSI;
			if (ole2_name_is(e, "EncryptedPackage")) {
				out->encrypted = true;
				out->encryption = ENCRYPTION_OOXML;
			}
			for (size_t j = 0; j < sizeof(streams) / sizeof(streams[0]); j++)
				if (out->type == TYPE_OLE2 && ole2_name_is(e, streams[j].stream))
					out->type = streams[j].type;
		}
		sector = ole2_next(s, sector, shift);
	}
	if (out->encrypted && out->type == TYPE_OLE2) {
		struct span ext = name_extension(name);

		out->type = span_is_nocase(ext, "docx") ? TYPE_DOCX : span_is_nocase(ext, "xlsx") ?
		    TYPE_XLSX : span_is_nocase(ext, "pptx") ? TYPE_PPTX : TYPE_OLE2;
	}
}

/* The content type of a CMS structure (RFC 5652, 3) stands first in it. */
static bool
sniff_cms(struct span s, struct sniffed *out)
{
	static const char pkcs7[] = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07";
	static const char smime_ct[] = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01";

	if (s.n < 16 || s.p[0] != '\x30')
		return false;
	for (size_t at = 2; at <= 6; at++) {
		if (has_at(s, at, pkcs7, sizeof(pkcs7) - 1)) {
			char kind = s.p[at + sizeof(pkcs7) - 1];

			out->type = TYPE_PKCS7;
			/* 3 enveloped, 4 signed and enveloped, 6 encrypted */
			out->encrypted = kind == 3 || kind == 4 || kind == 6;
			out->encryption = out->encrypted ? ENCRYPTION_SMIME : ENCRYPTION_NONE;
			return true;
		}
		if (has_at(s, at, smime_ct, sizeof(smime_ct) - 1)) {
			out->type = TYPE_PKCS7;
			out->encrypted = has_at(s, at + sizeof(smime_ct) - 1, "\x17", 1);
			out->encryption = out->encrypted ? ENCRYPTION_SMIME : ENCRYPTION_NONE;
			return true;
		}
	}
	return false;
}

static bool
pdf_encrypted(struct span s)
{
	for (size_t i = 0; i < s.n;) {
		const char *q = memmem(s.p + i, s.n - i, "/Encrypt", 8);

		if (q == NULL)
			return false;
		i = (size_t)(q - s.p) + 8;
		/* "/Encrypt 12 0 R" or "/Encrypt <<"; not "/EncryptMetadata" */
		while (i < s.n && (ascii_is_wsp(s.p[i]) || s.p[i] == '\r' || s.p[i] == '\n'))
			i++;
		if (i < s.n && ((s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '<'))
			return true;
	}
	return false;
}

static enum encryption
rar_encryption(struct span s)
{
	if (HAS(s, 0, "Rar!\x1a\x07\x01\x00"))		/* RAR 5: header type 4 is encryption */
		return s.n > 14 && (s.p[13] == 4 || s.p[12] == 4 || s.p[14] == 4) ?
		    ENCRYPTION_RAR_NAMES : ENCRYPTION_NONE;
	/* RAR 4: the main header's flag, then those of the first file */
	if (s.n > 13 && s.p[9] == 0x73 && (le16(s.p + 10) & 0x80))
		return ENCRYPTION_RAR_NAMES;
	return s.n > 26 && s.p[22] == 0x74 && (le16(s.p + 23) & 4) ? ENCRYPTION_RAR : ENCRYPTION_NONE;
}

/* --- text --------------------------------------------------------------------------------- */

static bool
looks_like_text(struct span s)
{
	struct span head = span_sub(s, 0, 4096);
	size_t odd = 0;

	if (HAS(s, 0, "\xff\xfe") || HAS(s, 0, "\xfe\xff"))
		return true;
	for (size_t i = 0; i < head.n; i++) {
		unsigned char c = (unsigned char)head.p[i];

		if (c == 0)
			return false;
		odd += (c < ' ' && !(c >= '\b' && c <= '\r') && c != 0x1b && c != 0x1a) || c == 0x7f;
	}
	return odd * 50 <= head.n;
}

static bool
starts_markup(struct span s, const char *what)
{
	return span_starts_nocase(s, span_str(what));
}

/* A mail saved as a file: several fields of a mail's header in its first lines. */
static bool
is_mail(struct span s, bool named)
{
	static const char *const fields[] = { "received:", "return-path:", "from:", "to:", "date:",
		"subject:", "message-id:", "mime-version:", "content-type:", "delivered-to:" };
	unsigned found = 0;

	for (int line = 0; line < 40 && s.n; line++) {
		size_t end = span_find(s, '\n');
		struct span l = span_sub(s, 0, end);
		size_t colon = span_find(l, ':');

		if (l.n == 0 || span_is(l, "\r"))
			break;
		if (!ascii_is_wsp(l.p[0])) {
			for (size_t i = 0; i < colon; i++)
				if ((unsigned char)l.p[i] <= ' ' || (unsigned char)l.p[i] >= 0x7f)
					return false;
			if (colon == l.n)
				return false;
			for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
				found += span_starts_nocase(l, span_str(fields[i]));
		}
		s = span_from(s, end + 1);
	}
	return found >= (named ? 1 : 3);
}

static enum part_type
by_beginning(struct span s, bool plain)
{
	struct span head;

	if (HAS(s, 0, "\xef\xbb\xbf"))
		s = span_from(s, 3);
	s = span_trim(span_sub(s, 0, 1024));
	if (starts_markup(s, "-----BEGIN PGP MESSAGE") || starts_markup(s, "-----BEGIN PGP SIGNATURE") ||
	    starts_markup(s, "-----BEGIN PGP PUBLIC") || starts_markup(s, "-----BEGIN PGP PRIVATE"))
		return TYPE_PGP;
	if (starts_markup(s, "-----BEGIN PKCS7") || starts_markup(s, "-----BEGIN CMS"))
		return TYPE_PKCS7;
	if (span_starts(s, SPAN_LIT("BEGIN:VCALENDAR")))
		return TYPE_CALENDAR;
	if (span_starts(s, SPAN_LIT("BEGIN:VCARD")))
		return TYPE_VCARD;
	if (s.n > 11 && span_starts(s, SPAN_LIT("begin ")) && s.p[6] >= '0' && s.p[6] <= '7' &&
	    s.p[9] == ' ')
		return TYPE_UUENCODE;
	if (plain)
		return TYPE_TEXT;	/* readers show the body of a message as it stands */
	if (span_starts(s, SPAN_LIT("#!"))) {
		head = span_sub(s, 0, span_find(s, '\n'));
		return holds(head, "python") ? TYPE_PYTHON : holds(head, "node") ? TYPE_JAVASCRIPT :
		    holds(head, "pwsh") ? TYPE_POWERSHELL : TYPE_SHELL;
	}
	if (starts_markup(s, "<!doctype html") || starts_markup(s, "<html") ||
	    starts_markup(s, "<head") || starts_markup(s, "<body") || starts_markup(s, "<script"))
		return starts_markup(s, "<script") && holds(s, "hta:") ? TYPE_HTA : TYPE_HTML;
	if (starts_markup(s, "<svg"))
		return TYPE_SVG;
	if (starts_markup(s, "<?xml"))
		return holds(s, "<svg") ? TYPE_SVG : holds(s, "<html") ? TYPE_HTML : TYPE_XML;
	return TYPE_UNKNOWN;
}

static const struct {
	const char *ext;
	enum part_type type;
} text_names[] = {
	{ "html", TYPE_HTML }, { "htm", TYPE_HTML }, { "xhtml", TYPE_HTML }, { "csv", TYPE_CSV },
	{ "tsv", TYPE_CSV }, { "xml", TYPE_XML }, { "json", TYPE_JSON }, { "ics", TYPE_CALENDAR },
	{ "vcf", TYPE_VCARD }, { "sh", TYPE_SHELL }, { "bash", TYPE_SHELL }, { "bat", TYPE_BATCH },
	{ "cmd", TYPE_BATCH }, { "ps1", TYPE_POWERSHELL }, { "psm1", TYPE_POWERSHELL },
	{ "js", TYPE_JAVASCRIPT }, { "jse", TYPE_JAVASCRIPT }, { "wsf", TYPE_JAVASCRIPT },
	{ "vbs", TYPE_VBSCRIPT }, { "vbe", TYPE_VBSCRIPT }, { "hta", TYPE_HTA },
	{ "py", TYPE_PYTHON }, { "svg", TYPE_SVG }, { "asc", TYPE_TEXT },
}, text_mimes[] = {
	{ "text/html", TYPE_HTML }, { "application/xhtml+xml", TYPE_HTML }, { "text/csv", TYPE_CSV },
	{ "text/calendar", TYPE_CALENDAR }, { "text/vcard", TYPE_VCARD },
	{ "text/x-vcard", TYPE_VCARD }, { "text/xml", TYPE_XML }, { "application/xml", TYPE_XML },
	{ "application/json", TYPE_JSON }, { "application/javascript", TYPE_JAVASCRIPT },
	{ "text/javascript", TYPE_JAVASCRIPT }, { "image/svg+xml", TYPE_SVG },
	{ "application/x-sh", TYPE_SHELL }, { "application/hta", TYPE_HTA },
};

static enum part_type
text_kind(struct span s, struct span declared, struct span name)
{
	bool plain = span_is(declared, "text/plain") && name.n == 0;
	enum part_type t = by_beginning(s, plain);
	struct span ext = name_extension(name);

	if (!plain && (t == TYPE_UNKNOWN || t == TYPE_TEXT) && !span_starts(declared, SPAN_LIT("text/html")) &&
	    is_mail(s, span_is_nocase(ext, "eml")))
		return TYPE_MESSAGE;

	if (t != TYPE_UNKNOWN && t != TYPE_XML && t != TYPE_HTML)
		return t;
	for (size_t i = 0; ext.n && i < sizeof(text_names) / sizeof(text_names[0]); i++)
		if (span_is_nocase(ext, text_names[i].ext))
			return text_names[i].type;
	for (size_t i = 0; i < sizeof(text_mimes) / sizeof(text_mimes[0]); i++)
		if (span_is(declared, text_mimes[i].ext))
			return text_mimes[i].type;
	return t == TYPE_UNKNOWN ? TYPE_TEXT : t;
}

static bool
is_blank(struct span s)
{
	return span_trim(span_sub(s, 0, 4096)).n == 0 && span_trim(s).n == 0;
}

void
type_sniff(struct span bytes, struct span declared, struct span name, struct sniffed *out)
{
	bool text = span_starts(declared, SPAN_LIT("text/"));
	struct span ext = name_extension(name);

	*out = (struct sniffed){ .type = TYPE_EMPTY };
	if (bytes.n == 0)
		return;
	if (HAS(bytes, 0, "PK\3\4") || HAS(bytes, 0, "PK\5\6") || HAS(bytes, 0, "PK00PK\3\4")) {
		sniff_zip(bytes, out);
		return;
	}
	if (HAS(bytes, 0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")) {
		sniff_ole2(bytes, name, out);
		return;
	}
	if (sniff_cms(bytes, out))
		return;
	out->type = magic_find(bytes);
	switch (out->type) {
	case TYPE_PDF:
		/* A mail that speaks of "%PDF-" is no PDF. */
		if (text && !span_starts(span_trim(span_sub(bytes, 0, 64)), SPAN_LIT("%PDF-"))) {
			out->type = TYPE_UNKNOWN;
			break;
		}
		out->encrypted = pdf_encrypted(bytes);
		out->encryption = out->encrypted ? ENCRYPTION_PDF : ENCRYPTION_NONE;
		return;
	case TYPE_RAR:
		out->encryption = rar_encryption(bytes);
		out->encrypted = out->encryption != ENCRYPTION_NONE;
		return;
	case TYPE_SEVENZIP:
		/* The AES coder's id in the end header. */
		out->encrypted = bytes.n && memmem(bytes.p + (bytes.n > 65536 ? bytes.n - 65536 : 0),
		    bytes.n > 65536 ? 65536 : bytes.n, "\x06\xf1\x07\x01", 4) != NULL;
		out->encryption = out->encrypted ? ENCRYPTION_SEVENZIP : ENCRYPTION_NONE;
		return;
	case TYPE_RTF:
	case TYPE_PS:
		out->text = true;
		return;
	case TYPE_UNKNOWN:
		break;
	default:
		if (text && looks_like_text(bytes))
			break;	/* four letters that happen to begin a text */
		return;
	}
	out->type = TYPE_UNKNOWN;
	if (span_is_nocase(ext, "iwa") && bytes.n > 4 && bytes.p[0] == '\0') {
		out->type = TYPE_IWA;
		return;
	}
	if (!text && !looks_like_text(bytes)) {
		/* Binary OpenPGP has no magic, but new or old packet tags (RFC 9580, 4.2). */
		if (((unsigned char)bytes.p[0] & 0x80) && (span_is_nocase(ext, "pgp") ||
		    span_is_nocase(ext, "gpg") || span_is(declared, "application/pgp-encrypted"))) {
			out->type = TYPE_PGP;
			out->encrypted = true;
			out->encryption = ENCRYPTION_PGP;
		}
		return;
	}
	out->text = true;
	out->type = text_kind(bytes, declared, name);
	if (out->type == TYPE_PGP || out->type == TYPE_PKCS7)
		out->encrypted = starts_markup(span_trim(span_sub(bytes, 0, 256)),
		    "-----BEGIN PGP MESSAGE") || out->type == TYPE_PKCS7;
	if (out->encrypted)
		out->encryption = out->type == TYPE_PGP ? ENCRYPTION_PGP : ENCRYPTION_SMIME;
	if (out->type == TYPE_TEXT && is_blank(bytes))
		out->type = TYPE_EMPTY;
}
