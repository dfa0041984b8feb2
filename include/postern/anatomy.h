/* anatomy.h -- what a message is made of.
 *
 * anatomy_build() never fails: hostile or broken input yields a tree with
 * defects, which rules can judge. Everything is borrowed from the raw bytes
 * (which must stay and must not change) or lives in the arena given.
 *
 * Part numbers are those of IMAP (RFC 9051, 6.4.5): "1" is the body of a
 * message that is not multipart, "2.1" the first part within the second; the
 * parts of an attached message/rfc822 "3" are "3.1", "3.2" … An attached message
 * is a part of its own within the message/rfc822 part, so that its headers have
 * a place; when it is multipart itself, that part's number is "3.TEXT".
 *
 * Where mail programs read the same bytes differently (a header twice, two boundaries), each further
 * reading of part "2" is a part too: "2~1", "2~2", with the parts in it. A rule judges the union.
 *
 * Parts within a container that had to be decoded first (an attached message
 * in base64) don't lie in the message: they have the container's body_offset
 * and body_size, and their headers have size 0.
 *
 * What is found within a file (a member of an archive, an object in a document)
 * is a part of that file's part: "2" a zip, "2.1" its first member, "2.1.1" the first
 * member of that. These parts have `unpacked` set, and stand behind the message's own.
 */
#ifndef POSTERN_ANATOMY_H
#define POSTERN_ANATOMY_H

#include <stdint.h>

#include "postern/arena.h"
#include "postern/span.h"

/* X(NAME, bit, "name-in-policies", "what it means") */
#define DEFECTS(X) \
	X(HEADER_MALFORMED, 0, "header-malformed", "a header line without a colon or with a bad name") \
	X(HEADER_NUL, 1, "header-nul", "a NUL byte in a header") \
	X(HEADER_8BIT, 2, "header-8bit", "bytes above 127 in a header that are not UTF-8") \
	X(HEADER_DUPLICATE, 3, "header-duplicate", "a header that may stand once stands twice") \
	X(LINE_TOO_LONG, 4, "line-too-long", "a line above 998 bytes (RFC 5322, 2.1.1)") \
	X(BOUNDARY_MISSING, 5, "boundary-missing", "multipart without a boundary") \
	X(BOUNDARY_DUPLICATE, 6, "boundary-duplicate", "two boundary parameters or the same boundary nested") \
	X(BOUNDARY_UNCLOSED, 7, "boundary-unclosed", "the closing boundary is missing") \
	X(CONTENT_TYPE_MALFORMED, 8, "content-type-malformed", "a Content-Type that cannot be read") \
	X(ENCODING_UNKNOWN, 9, "encoding-unknown", "an unknown Content-Transfer-Encoding") \
	X(ENCODING_MALFORMED, 10, "encoding-malformed", "base64 or quoted-printable that breaks its rules") \
	X(ENCODING_ON_MULTIPART, 11, "encoding-on-multipart", "a transfer encoding on a multipart or message") \
	X(CHARSET_UNKNOWN, 12, "charset-unknown", "a character set nobody knows") \
	X(CHARSET_MALFORMED, 13, "charset-malformed", "bytes that are not in their character set") \
	X(TOO_DEEP, 14, "too-deep", "nesting beyond the limit") \
	X(TOO_MANY_PARTS, 15, "too-many-parts", "more parts than the limit") \
	X(TOO_MANY_HEADERS, 16, "too-many-headers", "more headers than the limit") \
	X(TOO_LARGE, 17, "too-large", "decoded content above the limit") \
	X(MESSAGE_PARTIAL, 18, "message-partial", "a message in fragments (message/partial)") \
	X(EXTERNAL_BODY, 19, "external-body", "a body that lies elsewhere (message/external-body)") \
	X(TYPE_MISMATCH, 20, "type-mismatch", "name or declared type say one thing, the bytes another") \
	X(BODY_NUL, 21, "body-nul", "a NUL byte in a body, which RFC 5321 forbids") \
	X(ARCHIVE_AMBIGUOUS, 22, "archive-ambiguous", "an archive that programs unpack differently: all readings were taken") \
	X(ARCHIVE_UNREADABLE, 23, "archive-unreadable", "an archive of which not all could be unpacked") \
	X(ARCHIVE_SPLIT, 24, "archive-split", "a volume of an archive whose other volumes are missing") \
	X(DOCUMENT_BROKEN, 25, "document-broken", "a document that breaks its format: whatever looks like text in it was searched") \
	X(MACRO, 26, "macro", "a document with a program in it: VBA or Excel 4 macros") \
	X(ACTIVE_CONTENT, 27, "active-content", "a document that acts by itself: script, launch, DDE, a template from elsewhere") \
	X(AMBIGUOUS, 28, "ambiguous", "mail programs read it differently: every reading was searched") \
	X(READINGS_TOO_MANY, 29, "readings-too-many", "more ways to read it than were looked at") \
	X(OCR_INCOMPLETE, 30, "ocr-incomplete", "a picture whose text was not read, or not all of it") \
	X(URLS_CUT, 31, "urls-cut", "links to more hosts than were kept, or one too long to read")

enum {
#define X(name, bit, text, help) DEFECT_##name = UINT32_C(1) << (bit),
	DEFECTS(X)
#undef X
};

/* Those after which not everything was looked at: the message is unscannable. */
#define DEFECTS_UNSCANNABLE (DEFECT_TOO_DEEP | DEFECT_TOO_MANY_PARTS | DEFECT_TOO_MANY_HEADERS | \
	DEFECT_TOO_LARGE | DEFECT_ENCODING_UNKNOWN | DEFECT_ARCHIVE_UNREADABLE | DEFECT_ARCHIVE_SPLIT | \
	DEFECT_READINGS_TOO_MANY)

/* How a part is locked. X(NAME, "name") */
#define ENCRYPTIONS(X) \
	X(NONE, "none") X(ZIP, "zip") X(ZIP_AES, "zip-aes") X(SEVENZIP, "7z") \
	X(SEVENZIP_NAMES, "7z-names") X(RAR, "rar") X(RAR_NAMES, "rar-names") X(PDF, "pdf") \
	X(OOXML, "ooxml") X(OLE2, "ole2") X(ODF, "odf") X(SMIME, "smime") X(PGP, "pgp") \
	X(ARJ, "arj")
enum encryption {
#define X(name, text) ENCRYPTION_##name,
	ENCRYPTIONS(X)
#undef X
	ENCRYPTION_COUNT
};
const char *encryption_name(enum encryption e);
bool encryption_from_name(struct span name, enum encryption *e);

/* True types, by content. X(NAME, "name", class): classes are what rules usually ask for. */
enum type_class { CLASS_NONE, CLASS_TEXT, CLASS_DOCUMENT, CLASS_IMAGE, CLASS_AUDIO, CLASS_VIDEO,
	CLASS_ARCHIVE, CLASS_EXECUTABLE, CLASS_SCRIPT, CLASS_MESSAGE, CLASS_CRYPTO };
#define PART_TYPES(X) \
	X(UNKNOWN, "unknown", NONE) X(EMPTY, "empty", NONE) X(MULTIPART, "multipart", NONE) \
	X(TEXT, "text", TEXT) X(HTML, "html", TEXT) X(CSV, "csv", TEXT) X(XML, "xml", TEXT) \
	X(CALENDAR, "calendar", TEXT) X(VCARD, "vcard", TEXT) X(JSON, "json", TEXT) \
	X(MESSAGE, "message", MESSAGE) X(TNEF, "tnef", MESSAGE) X(MSG, "msg", MESSAGE) \
	X(PDF, "pdf", DOCUMENT) X(RTF, "rtf", DOCUMENT) X(DOC, "doc", DOCUMENT) X(XLS, "xls", DOCUMENT) \
	X(PPT, "ppt", DOCUMENT) X(OLE2, "ole2", DOCUMENT) X(DOCX, "docx", DOCUMENT) X(XLSX, "xlsx", DOCUMENT) \
	X(PPTX, "pptx", DOCUMENT) X(DOCM, "docm", DOCUMENT) X(XLSM, "xlsm", DOCUMENT) X(PPTM, "pptm", DOCUMENT) \
	X(ODT, "odt", DOCUMENT) X(ODS, "ods", DOCUMENT) X(ODP, "odp", DOCUMENT) X(EPUB, "epub", DOCUMENT) \
	X(PS, "postscript", DOCUMENT) \
	X(ZIP, "zip", ARCHIVE) X(JAR, "jar", EXECUTABLE) X(SEVENZIP, "7z", ARCHIVE) X(RAR, "rar", ARCHIVE) \
	X(TAR, "tar", ARCHIVE) X(GZIP, "gzip", ARCHIVE) X(BZIP2, "bzip2", ARCHIVE) X(XZ, "xz", ARCHIVE) \
	X(ZSTD, "zstd", ARCHIVE) X(CAB, "cab", ARCHIVE) X(ISO, "iso", ARCHIVE) X(ARJ, "arj", ARCHIVE) \
	X(LZH, "lzh", ARCHIVE) X(ACE, "ace", ARCHIVE) X(UUENCODE, "uuencode", ARCHIVE) \
	X(AR, "ar", ARCHIVE) X(CPIO, "cpio", ARCHIVE) X(XAR, "xar", ARCHIVE) X(WIM, "wim", ARCHIVE) \
	X(ONENOTE, "onenote", DOCUMENT) X(DBF, "dbf", DOCUMENT) X(IWA, "iwa", DOCUMENT) X(MDB, "mdb", DOCUMENT) \
	X(JP2, "jpeg2000", IMAGE) \
	X(PNG, "png", IMAGE) X(JPEG, "jpeg", IMAGE) X(GIF, "gif", IMAGE) X(BMP, "bmp", IMAGE) X(TIFF, "tiff", IMAGE) \
	X(WEBP, "webp", IMAGE) X(SVG, "svg", IMAGE) X(ICO, "ico", IMAGE) X(HEIC, "heic", IMAGE) \
	X(WAV, "wav", AUDIO) X(MP3, "mp3", AUDIO) X(OGG, "ogg", AUDIO) X(FLAC, "flac", AUDIO) \
	X(MP4, "mp4", VIDEO) X(AVI, "avi", VIDEO) X(MKV, "matroska", VIDEO) X(MPEG, "mpeg", VIDEO) \
	X(EXE, "exe", EXECUTABLE) X(ELF, "elf", EXECUTABLE) X(MACHO, "mach-o", EXECUTABLE) X(MSI, "msi", EXECUTABLE) \
	X(CLASSFILE, "java-class", EXECUTABLE) X(LNK, "lnk", EXECUTABLE) X(WASM, "wasm", EXECUTABLE) X(DEX, "dex", EXECUTABLE) \
	X(SHELL, "shell-script", SCRIPT) X(BATCH, "batch", SCRIPT) X(POWERSHELL, "powershell", SCRIPT) \
	X(JAVASCRIPT, "javascript", SCRIPT) X(VBSCRIPT, "vbscript", SCRIPT) X(HTA, "hta", SCRIPT) X(PYTHON, "python", SCRIPT) \
	X(PGP, "pgp", CRYPTO) X(PKCS7, "pkcs7", CRYPTO) X(SQLITE, "sqlite", DOCUMENT) X(FONT, "font", NONE)

enum part_type {
#define X(name, text, class) TYPE_##name,
	PART_TYPES(X)
#undef X
	TYPE_COUNT
};
const char *part_type_name(enum part_type t);
enum type_class part_type_class(enum part_type t);
bool part_type_from_name(struct span name, enum part_type *t);
const char *type_class_name(enum type_class c);		/* "executable" */
bool type_class_from_name(struct span name, enum type_class *c);
const char *defect_name(uint32_t single_bit);
bool defect_from_name(struct span name, uint32_t *bit);

/* Maps an offset in a text back to the bytes it was made from. Runs are
 * sorted by `at`; a run with linear set maps one to one, else every offset in
 * it maps to `from`. No runs: the identity.
 * The text of an office document has no bytes to lead back to: its map is the
 * identity, offsets count in the extracted text. The text of a header surface leads
 * to offsets in the message (within a decoded container: in that). */
struct offrun {
	uint32_t at;		/* first offset in the text */
	uint32_t from;		/* offset in the decoded part */
	bool linear;
};
struct offmap {
	const struct offrun *runs;
	size_t n;
};
size_t offmap_origin(const struct offmap *m, size_t off);
/* The run that off lies in; NULL: none, the identity. */
const struct offrun *offmap_run(const struct offmap *m, size_t off);

/* A text to search: valid UTF-8, and the way back to the part's decoded bytes. */
struct text {
	struct span s;
	struct offmap map;
};

/* Upper-case and accents folded away, compatibility forms unified, runs of
 * white space made one space, zero-width characters dropped: what words and
 * keywords are searched in. Its map leads to the same decoded bytes as the input's. */
void text_fold(struct arena *a, const struct text *in, struct text *out);
/* The same folding of a single word or phrase, for the other side of the comparison. */
struct span text_fold_word(struct arena *a, struct span word);

/* A text of a document beside its main one: comments, notes, hidden sheets, … */
struct side_text {
	struct span origin;	/* for people: "comments", "hidden sheet Prices" */
	struct text text;
	struct text folded;	/* of its surface */
};

struct header {
	struct span name;	/* as written, without the colon */
	struct span raw;	/* value as written, folding included, without the final line end */
	struct span value;	/* unfolded, RFC 2047 decoded to UTF-8, trimmed */
	uint32_t offset;	/* of the field's first byte in the message */
	uint32_t size;		/* of the whole field with its line end */
};

#define PART_NONE UINT16_MAX

struct part {
	struct span number;	/* "2.1"; "" for the message itself when it is multipart */
	uint16_t parent;	/* index, or PART_NONE for the root */
	uint16_t depth;		/* 0: the root */
	const struct header *headers;	/* those of the part (of the root: the message's) */
	size_t nheaders;
	struct span declared;	/* "application/pdf", lower case; the default "text/plain" when absent */
	struct span charset;	/* as declared, lower case; empty: none */
	struct span boundary;
	struct span encoding;	/* as declared, lower case, "" when absent */
	struct span disposition;	/* "attachment", "inline", … lower case; "" when absent */
	struct span name;	/* file name in UTF-8, RFC 2231 and RFC 2047 decoded, no folder; "" none */
	const struct span *aliases;	/* further names that its headers give: readers differ in */
	size_t naliases;		/* which they take */
	uint32_t header_offset;	/* where the part's header begins in the message */
	uint32_t body_offset;	/* where its encoded body begins */
	uint32_t body_size;	/* bytes of the encoded body */
	struct span decoded;	/* transfer decoding undone; borrowed from the message where nothing changed */
	enum part_type type;	/* by content */
	bool attachment;	/* a file to people: disposition, a name, or not text */
	bool encrypted;		/* cannot be read without a key; of an archive: some of its members */
	enum encryption encryption;
	bool opened;		/* encrypted, and a password of the message (or none) opened all of it */
	bool unpacked;		/* found within a file, see above */
	bool reading;		/* another reading of its parent's bytes, where readers differ */
	uint32_t defects;
	struct text text;	/* visible text, for text-like parts; s.p NULL when there is none */
	struct text hidden;	/* HTML: text a reader does not see; multipart: what stands around the parts */
	struct text folded;	/* of its surface */
	struct side_text *sides;
	size_t nsides;
};

/* What detectors search: one entry for the subject, each further header that
 * people write, each body text and each attachment's text. Trace headers (Received,
 * Message-ID, DKIM-Signature, ARC-…, Authentication-Results, List-…, X-…) are never in it.
 * Hidden text is an entry of its own, beside its part's. All of an attached message, its headers too,
 * is WHERE_ATTACHMENT; the headers' entries have the part whose headers they are. */
enum where { WHERE_SUBJECT = 1, WHERE_BODY = 2, WHERE_ATTACHMENT = 4, WHERE_HEADER = 8,
	WHERE_ANY = 15 };
const char *where_name(enum where w);

struct surface {
	enum where where;
	uint16_t part;		/* index; the root's for headers */
	struct span name;	/* header name or file name */
	struct span origin;	/* of a side text; else empty */
	const struct text *text;
	struct text *folded;	/* text_fold(text): of surface_folded alone */
};
/* Made when it is first asked for: most mail is never folded. a: must live as long as the anatomy. */
const struct text *surface_folded(const struct surface *s, struct arena *a);

struct url;

/* Who reads the text in pictures, one after the other. out: UTF-8 in the arena, or "". False: not all of
 * it was read (time, size, damage, a crash). Called last, while the anatomy is built. */
struct picture_reader {
	bool (*read)(void *ctx, struct span picture, struct arena *a, struct span *out);
	void *ctx;
};

struct anatomy_limits {
	uint32_t parts;		/* 0 in a field: the default below */
	uint32_t depth;
	uint32_t headers;	/* of one part */
	uint64_t decoded;	/* bytes over all parts, members of archives and streams of documents */
	uint32_t entries;	/* members over all archives and documents */
	uint32_t unpack;	/* archives within archives */
	uint64_t text;		/* bytes of text over all parts */
	uint32_t passwords;	/* of the message, tried on what is locked */
	uint32_t urls;		/* entries of url.h */
	uint64_t key_blocks;	/* blocks of 64 bytes hashed to make keys of them */
	const struct picture_reader *pictures;	/* NULL: they are not read, nor taken out of documents */
};
#define ANATOMY_PARTS 2000
#define ANATOMY_DEPTH 40
#define ANATOMY_HEADERS 2000
#define ANATOMY_DECODED (UINT64_C(256) << 20)
#define ANATOMY_ENTRIES 10000
#define ANATOMY_UNPACK 16
#define ANATOMY_TEXT (UINT64_C(128) << 20)
#define ANATOMY_PASSWORDS 20
#define ANATOMY_URLS 5000
/* About five seconds: 70 keys of a 7z or OOXML file, or 150 of a RAR. */
#define ANATOMY_KEY_BLOCKS (UINT64_C(16) << 20)
/* Bytes out for each byte in, of one member or stream; asked only above the second figure. */
#define ANATOMY_RATIO 200
#define ANATOMY_RATIO_FREE (8u << 20)

struct anatomy {
	struct span raw;
	struct part *parts;	/* [0] is the message itself; children follow their parent */
	size_t nparts;
	uint32_t defects;	/* all parts' together */
	struct surface *surfaces;
	size_t nsurfaces;
	struct url *urls;	/* where its links lead, see url.h */
	size_t nurls;
	struct span subject;	/* decoded; "" when absent */
	struct span header_from;	/* address of From:, normalised; "" when absent or unreadable */
	uint32_t header_end;	/* offset of the first body byte of the message */
};

/* raw: the whole message, CRLF line ends as received (LF alone is taken too); at most 2 GiB. */
void anatomy_build(struct arena *a, struct span raw, const struct anatomy_limits *limits,
    struct anatomy *out);
/* First header of that name, or NULL. */
const struct header *part_header(const struct part *p, const char *name);

#endif
