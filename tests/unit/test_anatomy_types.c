/* test_anatomy_types.c -- true types, mismatches, encryption, the text of office documents. */
#include <stdlib.h>
#include <zlib.h>

#include "test_anatomy.h"

#include "anatomy/type.h"

/* --- a zip writer ------------------------------------------------------------------------- */

struct zipper {
	char *p, *dir;
	size_t n, ndir;
	unsigned entries;
	unsigned flags;		/* for the members to come */
	bool store;
};

#define ZIP_ROOM (4u << 20)

static struct zipper
zip_begin(void)
{
	return (struct zipper){ .p = arena_alloc(arena, ZIP_ROOM), .dir = arena_alloc(arena, 1 << 16) };
}

static void
le(char **p, uint32_t v, int bytes)
{
	for (; bytes-- > 0; v >>= 8)
		*(*p)++ = (char)v;
}

static void
zip_put(struct zipper *z, const char *name, struct span data)
{
	size_t len = strlen(name), local = z->n, packed;
	char *p = z->p + z->n, *d = z->dir + z->ndir, *size;
	z_stream s = { 0 };

	le(&p, 0x04034b50, 4);
	le(&p, 20, 2);
	le(&p, z->flags, 2);
	le(&p, z->store ? 0 : 8, 2);
	le(&p, 0, 4);
	le(&p, 0, 4);
	size = p;
	le(&p, 0, 4);
	le(&p, (uint32_t)data.n, 4);
	le(&p, (uint32_t)len, 2);
	le(&p, 0, 2);
	memcpy(p, name, len);
	p += len;
	if (z->store) {
		memcpy(p, data.p, data.n);
		packed = data.n;
	} else {
		assert_int_equal(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
		s.next_in = (Bytef *)(uintptr_t)data.p;
		s.avail_in = (uInt)data.n;
		s.next_out = (Bytef *)p;
		s.avail_out = (uInt)(ZIP_ROOM - (size_t)(p - z->p));
		assert_int_equal(deflate(&s, Z_FINISH), Z_STREAM_END);
		packed = s.total_out;
		deflateEnd(&s);
	}
	le(&size, (uint32_t)packed, 4);
	z->n = (size_t)(p - z->p) + packed;
	le(&d, 0x02014b50, 4);
	le(&d, 20, 2);
	le(&d, 20, 2);
	le(&d, z->flags, 2);
	le(&d, z->store ? 0 : 8, 2);
	le(&d, 0, 4);
	le(&d, 0, 4);
	le(&d, (uint32_t)packed, 4);
	le(&d, (uint32_t)data.n, 4);
	le(&d, (uint32_t)len, 2);
	for (int i = 0; i < 3; i++)
		le(&d, 0, 4);
	le(&d, (uint32_t)local, 4);
	memcpy(d, name, len);
	z->ndir = (size_t)(d + len - z->dir);
	z->entries++;
}

static struct span
zip_end(struct zipper *z)
{
	char *p = z->p + z->n;

	memcpy(p, z->dir, z->ndir);
	p += z->ndir;
	le(&p, 0x06054b50, 4);
	le(&p, 0, 4);
	le(&p, z->entries, 2);
	le(&p, z->entries, 2);
	le(&p, (uint32_t)z->ndir, 4);
	le(&p, (uint32_t)z->n, 4);
	le(&p, 0, 2);
	z->n = (size_t)(p - z->p);
	return span_make(z->p, z->n);
}

static struct span
zip_of(const char *const *members)
{
	struct zipper z = zip_begin();

	for (; *members; members += 2) {
		z.store = strcmp(members[0], "mimetype") == 0;
		zip_put(&z, members[0], span_str(members[1]));
	}
	return zip_end(&z);
}
#define ZIP(...) zip_of((const char *const[]){ __VA_ARGS__, NULL })

/* A message whose body is these bytes under that name. */
static const struct part *
attach(const char *name, const char *declared, struct span bytes)
{
	char *raw = arena_printf(arena, "Content-Type: %s\r\nContent-Transfer-Encoding: binary\r\n"
	    "Content-Disposition: attachment; filename=\"%s\"\r\n\r\n", declared, name);
	size_t n = strlen(raw);
	char *all = arena_alloc(arena, n + bytes.n);

	memcpy(all, raw, n);
	if (bytes.n)
		memcpy(all + n, bytes.p, bytes.n);
	build(span_make(all, n + bytes.n), NULL);
	return &an.parts[0];
}

/* --- types --------------------------------------------------------------------------------- */

#define B(s) { s, sizeof(s) - 1 }

static void
test_magic(void **state)
{
	static const char tar[512] = { [257] = 'u', 's', 't', 'a', 'r' };
	static const struct {
		enum part_type type;
		struct { const char *p; size_t n; } bytes;
	} cases[] = {
		{ TYPE_EMPTY, B("") }, { TYPE_TEXT, B("just text") }, { TYPE_UNKNOWN, B("\x01\x02\0\x03") },
		{ TYPE_PDF, B("%PDF-1.7\n") }, { TYPE_PDF, B("junk\n%PDF-1.7\n") }, { TYPE_RTF, B("{\\rtf1 x}") },
		{ TYPE_PS, B("%!PS-Adobe") }, { TYPE_PNG, B("\x89PNG\r\n\x1a\n\0\0") },
		{ TYPE_JPEG, B("\xff\xd8\xff\xe0\0\x10JFIF") }, { TYPE_GIF, B("GIF89a\x01\0") },
		{ TYPE_BMP, B("BM\x10\0\0\0\0\0\0\0\x36") }, { TYPE_TIFF, B("II*\0\x08\0\0\0") },
		{ TYPE_WEBP, B("RIFF\0\0\0\0WEBPVP8 ") }, { TYPE_WAV, B("RIFF\0\0\0\0WAVEfmt ") },
		{ TYPE_AVI, B("RIFF\0\0\0\0AVI LIST") }, { TYPE_HEIC, B("\0\0\0\x18" "ftypheic\0") },
		{ TYPE_MP4, B("\0\0\0\x18" "ftypisom\0") }, { TYPE_MKV, B("\x1a\x45\xdf\xa3\x01") },
		{ TYPE_OGG, B("OggS\0") }, { TYPE_FLAC, B("fLaC\0") }, { TYPE_MP3, B("ID3\x04\0") },
		{ TYPE_MPEG, B("\0\0\x01\xba\x44") }, { TYPE_SEVENZIP, B("7z\xbc\xaf\x27\x1c\0\x04") },
		{ TYPE_RAR, B("Rar!\x1a\x07\x01\0") }, { TYPE_GZIP, B("\x1f\x8b\x08\0") },
		{ TYPE_BZIP2, B("BZh91AY&SY\0") }, { TYPE_XZ, B("\xfd" "7zXZ\0\0") },
		{ TYPE_ZSTD, B("\x28\xb5\x2f\xfd\0") }, { TYPE_CAB, B("MSCF\0\0\0\0\x10") },
		{ TYPE_ACE, B("\0\0\0\0\0\0\0**ACE**") }, { TYPE_LZH, B("\x20\x01-lh5-\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
		{ TYPE_TAR, { tar, sizeof(tar) } }, { TYPE_ELF, B("\x7f" "ELF\x02\x01") },
		{ TYPE_EXE, B("MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
		{ TYPE_MACHO, B("\xcf\xfa\xed\xfe\x07") }, { TYPE_MACHO, B("\xca\xfe\xba\xbe\0\0\0\x02") },
		{ TYPE_CLASSFILE, B("\xca\xfe\xba\xbe\0\0\0\x34") }, { TYPE_WASM, B("\0asm\x01") },
		{ TYPE_DEX, B("dex\n035\0") }, { TYPE_LNK, B("L\0\0\0\x01\x14\x02\0") },
		{ TYPE_TNEF, B("\x78\x9f\x3e\x22\0") }, { TYPE_SQLITE, B("SQLite format 3\0\x10") },
		{ TYPE_FONT, B("wOFF\0\x01") }, { TYPE_ICO, B("\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0\0\0\0\0\0\0\0\0\0") },
		{ TYPE_PKCS7, B("\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80\0") },
		{ TYPE_PGP, B("-----BEGIN PGP MESSAGE-----\n") }, { TYPE_CALENDAR, B("BEGIN:VCALENDAR\r\n") },
		{ TYPE_VCARD, B("BEGIN:VCARD\r\n") }, { TYPE_HTML, B("\xef\xbb\xbf <!DOCTYPE html>") },
		{ TYPE_XML, B("<?xml version=\"1.0\"?><a/>") }, { TYPE_SVG, B("<?xml version=\"1.0\"?><svg/>") },
		{ TYPE_SHELL, B("#!/bin/sh\n") }, { TYPE_PYTHON, B("#!/usr/bin/env python3\n") },
		{ TYPE_UUENCODE, B("begin 644 a.txt\n") },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sniffed s;

		type_sniff(span_make(cases[i].bytes.p, cases[i].bytes.n),
		    SPAN_LIT("application/octet-stream"), SPAN_LIT("file"), &s);
		if (s.type != cases[i].type)
			fail_msg("case %zu: %s, expected %s", i, part_type_name(s.type),
			    part_type_name(cases[i].type));
	}
}

static void
test_by_name(void **state)
{
	static const struct {
		const char *name, *declared, *bytes;
		enum part_type type;
	} cases[] = {
		{ "a.csv", "application/octet-stream", "a;b\n", TYPE_CSV }, { "a.json", "text/plain", "{}", TYPE_JSON },
		{ "a.bat", "text/plain", "@echo off", TYPE_BATCH }, { "a.ps1", "text/plain", "Get-X", TYPE_POWERSHELL },
		{ "a.js", "text/plain", "var x;", TYPE_JAVASCRIPT }, { "a.vbs", "text/plain", "Dim x", TYPE_VBSCRIPT },
		{ "a.hta", "text/plain", "<html><hta:application>", TYPE_HTA }, { "a.txt", "text/plain", "<html>", TYPE_HTML },
		{ "", "text/calendar", "x", TYPE_CALENDAR }, { "", "text/html", "x", TYPE_HTML },
		{ "", "text/plain", "<html>", TYPE_TEXT }, { "", "text/plain", "#!/bin/sh", TYPE_TEXT },
		{ "", "text/plain", "MZ is no program here", TYPE_TEXT }, { "", "text/plain", "GIF89a is a format", TYPE_TEXT },
		{ "", "text/plain", "In %PDF-1.4 the mark", TYPE_TEXT }, { "", "text/plain", "\r\n \r\n", TYPE_EMPTY },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sniffed s;

		type_sniff(span_str(cases[i].bytes), span_str(cases[i].declared), span_str(cases[i].name), &s);
		if (s.type != cases[i].type)
			fail_msg("case %zu: %s", i, part_type_name(s.type));
	}
}

static void
test_zip_kinds(void **state)
{
	static const struct {
		enum part_type type;
		const char *members[7];
	} cases[] = {
		{ TYPE_ZIP, { "a.txt", "x" } },
		{ TYPE_DOCX, { "[Content_Types].xml", "x", "word/document.xml", "x" } },
		{ TYPE_DOCM, { "word/document.xml", "x", "word/vbaProject.bin", "x" } },
		{ TYPE_XLSX, { "xl/workbook.xml", "x" } }, { TYPE_XLSM, { "xl/a", "x", "xl/vbaProject.bin", "x" } },
		{ TYPE_PPTX, { "ppt/presentation.xml", "x" } },
		{ TYPE_ODT, { "mimetype", "application/vnd.oasis.opendocument.text" } },
		{ TYPE_ODS, { "mimetype", "application/vnd.oasis.opendocument.spreadsheet" } },
		{ TYPE_ODP, { "mimetype", "application/vnd.oasis.opendocument.presentation" } },
		{ TYPE_EPUB, { "mimetype", "application/epub+zip" } },
		{ TYPE_JAR, { "META-INF/MANIFEST.MF", "x", "a.class", "x" } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct span z = zip_of(cases[i].members);
		struct sniffed s;

		type_sniff(z, SPAN_LIT("a/b"), SPAN_LIT("x"), &s);
		assert_int_equal(s.type, cases[i].type);
		assert_false(s.encrypted);
		/* Without its directory the local headers tell. */
		type_sniff(span_sub(z, 0, z.n - 22), SPAN_LIT("a/b"), SPAN_LIT("x"), &s);
		assert_int_equal(s.type, cases[i].type);
	}
}

static void
test_encrypted(void **state)
{
	struct zipper z = zip_begin();
	const struct part *p;

	zip_put(&z, "clear.txt", SPAN_LIT("x"));
	z.flags = 1;
	zip_put(&z, "secret.txt", SPAN_LIT("x"));
	p = attach("a.zip", "application/zip", zip_end(&z));
	assert_int_equal(p->type, TYPE_ZIP);
	assert_true(p->encrypted);
	assert_true(attach("a.pdf", "application/pdf", SPAN_LIT("%PDF-1.4\ntrailer << /Encrypt 5 0 R >>"))->encrypted);
	assert_false(attach("a.pdf", "application/pdf", SPAN_LIT("%PDF-1.4\n/EncryptMetadata true"))->encrypted);
	assert_true(attach("a.asc", "text/plain", SPAN_LIT("-----BEGIN PGP MESSAGE-----\n\nx"))->encrypted);
	assert_false(attach("a.asc", "text/plain", SPAN_LIT("-----BEGIN PGP PUBLIC KEY BLOCK-----\n"))->encrypted);
	assert_true(attach("a.gpg", "application/octet-stream", SPAN_LIT("\x85\x01\0\x03"))->encrypted);
	assert_true(attach("smime.p7m", "application/pkcs7-mime",
	    SPAN_LIT("\x30\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x82"))->encrypted);
	assert_false(attach("smime.p7s", "application/pkcs7-signature",
	    SPAN_LIT("\x30\x82\x01\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x82"))->encrypted);
	assert_true(attach("a.rar", "a/b", SPAN_LIT("Rar!\x1a\x07\0\xce\x99\x73\x80\0\x0d\0\0\0\0\0\0\0"))->encrypted);
	build_str("Content-Type: multipart/encrypted; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n");
	assert_true(an.parts[0].encrypted);
}

/* An OLE2 file of 512-byte sectors: allocation table in sector 0, directory in sector 1. */
static struct span
ole2(const char *stream)
{
	static char f[512 * 3];
	char *d = f + 1024, *p;

	memset(f, 0, sizeof(f));
	memcpy(f, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8);
	f[30] = 9;
	f[48] = 1;
	memset(f + 512, 0xff, 512);
	p = f + 512 + 4;
	le(&p, 0xfffffffe, 4);		/* the directory's chain ends */
	memset(f + 80, 0xff, 432);
	memcpy(d, "R\0o\0o\0t\0", 8);
	d[64] = 10;
	for (size_t i = 0; i < strlen(stream); i++)
		d[128 + i * 2] = stream[i];
	d[128 + 64] = (char)(strlen(stream) * 2 + 2);
	return span_make(f, sizeof(f));
}

static void
test_ole2(void **state)
{
	assert_int_equal(attach("a.doc", "application/msword", ole2("WordDocument"))->type, TYPE_DOC);
	assert_int_equal(attach("a.xls", "a/b", ole2("Workbook"))->type, TYPE_XLS);
	assert_int_equal(attach("a.ppt", "a/b", ole2("PowerPoint Document"))->type, TYPE_PPT);
	assert_int_equal(attach("a.msg", "a/b", ole2("__properties_version1.0"))->type, TYPE_MSG);
	assert_int_equal(attach("a.bin", "a/b", ole2("Other"))->type, TYPE_OLE2);
	assert_true(attach("a.docx", "a/b", ole2("EncryptedPackage"))->encrypted);
	assert_int_equal(an.parts[0].type, TYPE_DOCX);
	assert_false(an.defects & DEFECT_TYPE_MISMATCH);
}

static void
test_mismatch(void **state)
{
	static const struct {
		const char *name, *declared, *bytes;
		bool mismatch;
	} cases[] = {
		{ "a.pdf", "application/pdf", "%PDF-1.4", false },
		{ "a.pdf", "application/octet-stream", "\x7f" "ELF\x02\x01\x01", true },
		{ "a.pdf", "application/octet-stream", "just text", true },
		{ "a.jpg", "image/jpeg", "\x89PNG\r\n\x1a\n", false },	/* pictures among each other */
		{ "a.jpg", "image/jpeg", "\x7f" "ELF\x02\x01\x01", true },
		{ "a.txt", "text/plain", "\x7f" "ELF\x02\x01\x01", true },
		{ "a.txt", "text/plain", "<html>", false },
		{ "a.doc", "application/msword", "{\\rtf1}", false },
		{ "a.xls", "application/vnd.ms-excel", "<html>", false },
		{ "a.exe", "application/octet-stream", "\x7f" "ELF\x02\x01\x01", false },
		{ "unknown.xyz", "application/octet-stream", "%PDF-1.4", false },
		{ "", "application/pdf", "GIF89a\x01\x01", true },
		{ "a.gif", "application/pdf", "GIF89a\x01\x01", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		attach(cases[i].name, cases[i].declared, span_str(cases[i].bytes));
		/* Most of these bytes end behind their magic number. */
		an.defects &= ~(uint32_t)(DEFECT_DOCUMENT_BROKEN | DEFECT_ARCHIVE_UNREADABLE);
		if (an.defects != (cases[i].mismatch ? DEFECT_TYPE_MISMATCH : 0))
			fail_msg("case %zu: %#x, %s", i, an.defects, part_type_name(an.parts[0].type));
	}
}

static struct span
side(const struct part *p, const char *origin)
{
	for (size_t i = 0; i < p->nsides; i++)
		if (span_is(p->sides[i].origin, origin))
			return p->sides[i].text.s;
	fail_msg("no text from %s", origin);
	return span_make("", 0);
}

/* --- office documents ------------------------------------------------------------------------- */

static void
test_docx(void **state)
{
	const struct part *p = attach("a.docx",
	    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	    ZIP("[Content_Types].xml", "<Types/>", "word/footnotes.xml", "<w:p><w:r><w:t>A note</w:t></w:r></w:p>",
	    "word/document.xml",
	    "<?xml version=\"1.0\"?><!-- no > text --><w:document><w:body><w:p w:rsid=\"a>b\"><w:r><w:t>IBAN FR76 3000</w:t>"
	    "</w:r><w:proofErr/><w:r><w:t xml:space=\"preserve\">6000 0112</w:t></w:r><w:r><w:t>34567890189</w:t></w:r></w:p>"
	    "<w:p><w:r><w:t>caf&#233; &amp; th&#xE9; &lt;x&gt; &bomb;</w:t><w:tab/><w:t>y</w:t><w:br/><w:t>z</w:t></w:r></w:p>"
	    "<w:p><w:del><w:delText>struck</w:delText></w:del><w:t/><w:instrText>FIELD</w:instrText></w:p></w:body></w:document>"));

	assert_int_equal(p->type, TYPE_DOCX);
	assert_true(p->attachment);
	assert_span(p->text.s, "IBAN FR76 30006000 011234567890189\ncaf\xc3\xa9 & th\xc3\xa9 <x> &bomb;\ty\nz\n");
	assert_span(side(p, "deleted text"), "struck\n");
	assert_span(side(p, "field codes"), "FIELD\n");
	assert_span(side(p, "foot notes"), "A note\n");
	assert_int_equal(p->text.map.n, 0);
	assert_int_equal(an.nsurfaces, 4);
	assert_int_equal(an.surfaces[0].where, WHERE_ATTACHMENT);
	/* the archive stands in the message as it is */
	assert_int_equal(an.defects, DEFECT_BODY_NUL);
}

static void
test_other_office(void **state)
{
	const struct part *p;

	assert_span(attach("a.xlsx", "a/b", ZIP("xl/worksheets/sheet1.xml",
	    "<worksheet><row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\"><v>1234</v></c></row>"
	    "<row><c t=\"inlineStr\"><is><t>in line</t></is></c></row></worksheet>",
	    "xl/sharedStrings.xml", "<sst><si><t>na</t><t>me</t></si><si><r><t>two</t></r></si></sst>"))->text.s,
	    "name\t1234\t\nin line\t\n");
	/* Cells that a sheet leaves out, or that are empty, have borders: columns are columns. */
	assert_span(attach("a.xlsx", "a/b", ZIP("xl/worksheets/sheet1.xml",
	    "<worksheet><row><c r=\"A1\"><v>1</v></c><c r=\"B1\"/><c r=\"D1\"><v>4</v></c></row>"
	    "<row><c r=\"B2\"><v>2</v></c></row><row><c r=\"XFD3\"/></row></worksheet>"))->text.s,
	    "1\t\t\t4\t\n\t2\t\n"
	    "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t"
	    "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\n");
	assert_span(attach("a.docx", "a/b", ZIP("word/document.xml",
	    "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p/></w:tc><w:tc><w:p>"
	    "<w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr><w:tr><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"))->text.s,
	    "a\t\tc\t\n1\t\n");
	p = attach("a.pptx", "a/b", ZIP("ppt/slides/slide1.xml",
	    "<p:sld><a:p><a:r><a:t>Sli</a:t></a:r><a:r><a:t>de</a:t></a:r></a:p></p:sld>",
	    "ppt/notesSlides/n1.xml", "<a:p><a:t>Note</a:t></a:p>"));
	assert_span(p->text.s, "Slide\n");
	assert_span(side(p, "speaker notes"), "Note\n");
	assert_span(attach("a.odt", "a/b", ZIP("mimetype", "application/vnd.oasis.opendocument.text",
	    "content.xml", "<office:text><text:p>One<text:s/>two<text:span>three</text:span></text:p>"
	    "<text:p>b<text:tab/>c<![CDATA[<d>]]></text:p></office:text>"))->text.s, "One twothree\nb\tc<d>\n");
	assert_span(attach("a.ods", "a/b", ZIP("mimetype", "application/vnd.oasis.opendocument.spreadsheet",
	    "content.xml", "<table:table-row><table:table-cell><text:p>a</text:p></table:table-cell><table:table-cell/>"
	    "<table:table-cell><text:p>c</text:p></table:table-cell></table:table-row>"))->text.s, "a\t\tc\t\n");
}

/* A document that inflates beyond all measure ends as a defect; what came before is text. */
static void
test_bomb(void **state)
{
	size_t n = 48u << 20;
	char *xml = malloc(n);
	struct zipper z = zip_begin();
	struct anatomy_limits limits = { .decoded = 1 << 20 };
	const struct part *p;
	struct span raw;

	assert_non_null(xml);
	memset(xml, ' ', n);
	memcpy(xml, "<w:t>first</w:t>", 16);
	zip_put(&z, "word/document.xml", span_make(xml, n));
	free(xml);
	p = attach("a.docx", "a/b", zip_end(&z));
	assert_true(p->defects & DEFECT_TOO_LARGE);
	assert_span(span_sub(p->text.s, 0, 5), "first");
	raw = an.raw;
	build(raw, &limits);
	assert_true(an.defects & DEFECT_TOO_LARGE);
	/* Entities of its own are never expanded. */
	p = attach("a.docx", "a/b", ZIP("word/document.xml", "<!DOCTYPE x [<!ENTITY lol \"lol\">"
	    "<!ENTITY lol2 \"&lol;&lol;\">]><w:p><w:t>&lol2;</w:t></w:p>"));
	assert_span(p->text.s, "&lol2;\n");
	assert_true(p->defects & DEFECT_DOCUMENT_BROKEN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_magic), TEST(test_by_name), TEST(test_zip_kinds), TEST(test_encrypted),
		TEST(test_ole2), TEST(test_mismatch), TEST(test_docx), TEST(test_other_office),
		TEST(test_bomb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
