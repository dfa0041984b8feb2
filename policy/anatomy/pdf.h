/* pdf.h -- the text of PDF files, and what is attached to them. */
#ifndef ANATOMY_PDF_H
#define ANATOMY_PDF_H

#include "anatomy/mime.h"
#include "anatomy/textmap.h"
#include "anatomy/unpack.h"

void pdf_read(struct builder *b, uint16_t index);

/* --- objects (ISO 32000-1, 7.3) ----------------------------------------------------------- */

enum pdf_kind { PDF_END, PDF_NULL, PDF_NUMBER, PDF_STRING, PDF_NAME, PDF_ARRAY, PDF_DICT, PDF_REF,
	PDF_WORD };

/* An array or dictionary is the source between its brackets, read when it is wanted. */
struct pdf_value {
	enum pdf_kind kind;
	double number;
	struct span s;		/* name without slash, string with its brackets, word, inside */
	uint32_t ref;
};

/* A number of the file as a whole one: the file may say any, and C leaves open what a conversion
 * of one that does not fit comes to. 0: it does not fit. */
static inline uint32_t
pdf_whole(double n)
{
	return n > 0 && n <= UINT32_MAX ? (uint32_t)n : 0;
}

struct pdf_object {
	uint32_t num;
	uint32_t order;		/* later ones of a number take the place of earlier ones */
	uint16_t gen;
	struct span src;	/* from behind "obj" on */
	bool packed;		/* within an object stream: its strings have no lock of their own */
	bool seen;		/* its text was read */
};

enum pdf_cipher { PDF_PLAIN, PDF_RC4, PDF_AES128, PDF_AES256 };

struct pdf_lock {
	bool locked;		/* and no password opened it */
	enum pdf_cipher strings, streams;
	unsigned char key[32];
	size_t nkey;
};

struct pdf {
	struct builder *b;
	uint16_t index;
	struct span bytes;
	struct pdf_object *v;	/* by number, then by order */
	size_t sorted;		/* so many are in order */
	size_t n, cap;
	struct pdf_lock lock;
	uint64_t work;		/* bytes that may still be read, again or not */
	bool cut;
	struct textmake main, fields, meta, script, orphans;
	struct textmake *out;
	struct pdf_font **fonts;	/* by number, the last of each slot */
	unsigned nfonts;		/* read so far */
};

struct pdf_lex {
	struct pdf *pdf;
	struct span s;
	size_t at;
	bool refs;		/* "12 0 R" is one value */
};

void pdf_lex_init(struct pdf_lex *l, struct pdf *pdf, struct span s, bool refs);
void pdf_next(struct pdf_lex *l, struct pdf_value *v);	/* PDF_END at the end */
/* The value of a key, references followed; PDF_NULL when there is none. */
struct pdf_value pdf_get(struct pdf *pdf, struct span dict, const char *key);
struct pdf_value pdf_get_raw(struct pdf *pdf, struct span dict, const char *key);
/* "#4a" within a name stands for a character (7.3.5). */
bool pdf_name_is(struct span name, const char *what);
struct pdf_value pdf_follow(struct pdf *pdf, struct pdf_value v);
struct pdf_object *pdf_object(struct pdf *pdf, uint32_t num);
/* An object's value; the stream behind it in *stream when there is one. */
struct pdf_value pdf_object_value(struct pdf *pdf, const struct pdf_object *o, struct span *stream);
/* A string's bytes: escapes undone, unlocked as one of object o (NULL: not locked). */
struct span pdf_string(struct pdf *pdf, struct pdf_value v, const struct pdf_object *o);
/* The same as UTF-8: PDFDocEncoding, UTF-16 or UTF-8 with their marks (7.9.2.2). */
struct span pdf_text(struct pdf *pdf, struct pdf_value v, const struct pdf_object *o);
/* A stream's bytes with its filters undone; false: a filter for pictures, or damage before the first byte. */
bool pdf_stream(struct pdf *pdf, const struct pdf_object *o, struct span dict, struct span raw,
    struct span *out);
void pdf_objects_find(struct pdf *pdf);

/* --- filters, locks, fonts, pages --------------------------------------------------------------- */

bool pdf_filter(struct pdf *pdf, struct span name, struct span parameters, struct span in, struct span *out);
/* Reads the Encrypt dictionary and tries the empty password and those of the message. */
void pdf_lock_open(struct pdf *pdf);
struct span pdf_unlock(struct pdf *pdf, const struct pdf_object *o, enum pdf_cipher c, struct span in);

struct pdf_font *pdf_font(struct pdf *pdf, struct pdf_value ref);
/* The next character code of a string: its UTF-8 in *utf8 and its width in thousandths; bytes taken. */
size_t pdf_font_next(const struct pdf_font *f, struct span s, size_t at, struct span *utf8,
    double *width, bool *space, char buf[4]);
uint32_t pdf_glyph(struct span name);	/* its character; 0: not known */

/* Runs a content stream; resources: the dictionary's inside. */
void pdf_content(struct pdf *pdf, struct span content, struct span resources, unsigned depth);

#endif
