/* type_mismatch.c -- a file that is not what its name or its declared type says; see anatomy/type.h.
 *
 * Told conservatively: among pictures, among sounds and films, among texts
 * and among the office formats of one program none is told; senders mix
 * these up daily. A program under any other name always is one.
 */
#include "anatomy/type.h"

/* What a name or a declared type promises. Families within which nothing is told. */
enum family { ANY, TEXTS, IMAGES, MEDIA, WORD, EXCEL, POWERPOINT, ODF, PDFS, ZIPS, PROGRAMS,
	ARCHIVES, RTFS };

static const struct promise {
	const char *name;
	enum family family;
} ext_promises[] = {
	{ "txt", TEXTS }, { "csv", TEXTS }, { "log", TEXTS }, { "html", TEXTS }, { "htm", TEXTS },
	{ "ics", TEXTS }, { "vcf", TEXTS }, { "xml", TEXTS }, { "json", TEXTS }, { "md", TEXTS },
	{ "png", IMAGES }, { "jpg", IMAGES }, { "jpeg", IMAGES }, { "gif", IMAGES }, { "bmp", IMAGES },
	{ "tif", IMAGES }, { "tiff", IMAGES }, { "webp", IMAGES }, { "ico", IMAGES },
	{ "heic", IMAGES }, { "mp3", MEDIA }, { "wav", MEDIA }, { "ogg", MEDIA }, { "mp4", MEDIA },
	{ "avi", MEDIA }, { "mkv", MEDIA }, { "mov", MEDIA }, { "mpg", MEDIA }, { "mpeg", MEDIA },
	{ "m4a", MEDIA }, { "flac", MEDIA }, { "doc", WORD }, { "docx", WORD }, { "docm", WORD },
	{ "dot", WORD }, { "dotx", WORD }, { "xls", EXCEL }, { "xlsx", EXCEL }, { "xlsm", EXCEL },
	{ "ppt", POWERPOINT }, { "pptx", POWERPOINT }, { "pptm", POWERPOINT }, { "pps", POWERPOINT },
	{ "odt", ODF }, { "ods", ODF }, { "odp", ODF }, { "pdf", PDFS }, { "zip", ZIPS },
	{ "7z", ARCHIVES }, { "rar", ARCHIVES }, { "gz", ARCHIVES }, { "tgz", ARCHIVES },
	{ "bz2", ARCHIVES }, { "xz", ARCHIVES }, { "tar", ARCHIVES }, { "cab", ARCHIVES },
	{ "rtf", RTFS }, { "exe", PROGRAMS }, { "dll", PROGRAMS }, { "scr", PROGRAMS },
	{ "com", PROGRAMS }, { "msi", PROGRAMS }, { "jar", PROGRAMS },
}, mime_promises[] = {
	{ "application/pdf", PDFS }, { "application/zip", ZIPS },
	{ "application/x-zip-compressed", ZIPS }, { "application/rtf", RTFS },
	{ "text/plain", TEXTS }, { "text/csv", TEXTS }, { "text/html", TEXTS },
	{ "text/calendar", TEXTS }, { "image/png", IMAGES }, { "image/jpeg", IMAGES },
	{ "image/jpg", IMAGES }, { "image/gif", IMAGES }, { "image/bmp", IMAGES },
	{ "image/tiff", IMAGES }, { "image/webp", IMAGES }, { "audio/mpeg", MEDIA },
	{ "audio/wav", MEDIA }, { "video/mp4", MEDIA },
	{ "application/vnd.openxmlformats-officedocument.wordprocessingml.document", WORD },
	{ "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", EXCEL },
	{ "application/vnd.openxmlformats-officedocument.presentationml.presentation", POWERPOINT },
	{ "application/vnd.oasis.opendocument.text", ODF },
	{ "application/vnd.oasis.opendocument.spreadsheet", ODF },
};

static bool
keeps(enum family f, enum part_type t)
{
	enum type_class c = part_type_class(t);

	switch (f) {
	case ANY:
		return true;
	case TEXTS:
		return c == CLASS_TEXT || c == CLASS_SCRIPT || c == CLASS_MESSAGE ||
		    t == TYPE_PGP || t == TYPE_PKCS7 || t == TYPE_UUENCODE || t == TYPE_SVG ||
		    t == TYPE_PS || t == TYPE_RTF || t == TYPE_UNKNOWN;
	case IMAGES:
		return c == CLASS_IMAGE;
	case MEDIA:
		return c == CLASS_AUDIO || c == CLASS_VIDEO || t == TYPE_UNKNOWN;
	case WORD:	/* Word opens and writes all of these under .doc */
		return t == TYPE_DOC || t == TYPE_DOCX || t == TYPE_DOCM || t == TYPE_RTF ||
		    t == TYPE_OLE2 || t == TYPE_HTML || t == TYPE_XML;
	case EXCEL:	/* web exports call HTML, CSV and XML .xls */
		return t == TYPE_XLS || t == TYPE_XLSX || t == TYPE_XLSM || t == TYPE_OLE2 ||
		    t == TYPE_HTML || t == TYPE_CSV || t == TYPE_XML || t == TYPE_TEXT;
	case POWERPOINT:
		return t == TYPE_PPT || t == TYPE_PPTX || t == TYPE_PPTM || t == TYPE_OLE2;
	case ODF:
		return t == TYPE_ODT || t == TYPE_ODS || t == TYPE_ODP;
	case PDFS:
		return t == TYPE_PDF;
	case ZIPS:	/* documents are zips too */
		return t == TYPE_ZIP || (c == CLASS_DOCUMENT && t != TYPE_PDF && t != TYPE_RTF &&
		    t != TYPE_PS && t != TYPE_OLE2 && t != TYPE_DOC && t != TYPE_XLS && t != TYPE_PPT &&
		    t != TYPE_SQLITE);
	case PROGRAMS:
		return c == CLASS_EXECUTABLE || c == CLASS_SCRIPT || t == TYPE_UNKNOWN;
	case ARCHIVES:
		return c == CLASS_ARCHIVE || t == TYPE_UNKNOWN;
	case RTFS:
		return t == TYPE_RTF || t == TYPE_DOC;
	}
	return true;
}

bool
type_mismatch(const struct sniffed *s, struct span declared, struct span name)
{
	struct span ext = name_extension(name);
	bool known = false;

	if (s->type == TYPE_EMPTY || s->type == TYPE_MULTIPART)
		return false;
	for (size_t i = 0; ext.n && i < sizeof(ext_promises) / sizeof(ext_promises[0]); i++)
		if (span_is_nocase(ext, ext_promises[i].name)) {
			if (!keeps(ext_promises[i].family, s->type))
				return true;
			known = true;
			break;
		}
	/* A name that was kept outweighs a declared type: senders guess those. */
	for (size_t i = 0; !known && i < sizeof(mime_promises) / sizeof(mime_promises[0]); i++)
		if (span_is(declared, mime_promises[i].name))
			return !keeps(mime_promises[i].family, s->type);
	return false;
}
