/* pdf_object.c -- finding and reading the objects of a PDF; see anatomy/pdf.h.
 *
 * The cross-reference table is not believed: every "N G obj" of the file is
 * an object, the last of a number counts, and older ones stay there to be
 * read as what the file still carries. Dictionaries are read anew when they
 * are asked, against a budget of work.
 */
#include "anatomy/pdf.h"

#include <stdlib.h>

#include "anatomy/charset.h"
#include "anatomy/decode.h"

#define OBJECTS_MAX 200000
#define NESTING 100
#define FOLLOW_MAX 16
#define FILTERS_MAX 8

static bool
is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == '\0';
}

static bool
is_delimiter(char c)
{
	return c == '(' || c == ')' || c == '<' || c == '>' || c == '[' || c == ']' || c == '{' ||
	    c == '}' || c == '/' || c == '%';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* --- tokens ---------------------------------------------------------------------------------- */

void
pdf_lex_init(struct pdf_lex *l, struct pdf *pdf, struct span s, bool refs)
{
	*l = (struct pdf_lex){ .pdf = pdf, .s = s, .refs = refs };
}

/* Behind the string that begins at `at`. */
static size_t
string_end(struct span s, size_t at)
{
	unsigned depth = 0;

	for (; at < s.n; at++) {
		if (s.p[at] == '\\')
			at++;
		else if (s.p[at] == '(')
			depth++;
		else if (s.p[at] == ')' && --depth == 0)
			return at + 1;
	}
	return s.n;
}

static size_t
comment_end(struct span s, size_t at)
{
	while (at < s.n && s.p[at] != '\n' && s.p[at] != '\r')
		at++;
	return at;
}

/* Behind the bracket that closes the one at `at`, with *end at it. */
static size_t
bracket_end(struct span s, size_t at, size_t *end)
{
	unsigned depth = 0;

	while (at < s.n) {
		char c = s.p[at];
		bool twice = at + 1 < s.n && s.p[at + 1] == c;

		if (c == '(') {
			at = string_end(s, at);
		} else if (c == '%') {
			at = comment_end(s, at);
		} else if (c == '[' || (c == '<' && twice)) {
			depth++;
			at += c == '[' ? 1 : 2;
		} else if (c == ']' || (c == '>' && twice)) {
			*end = at;
			at += c == ']' ? 1 : 2;
			if (--depth == 0)
				return at;
		} else if (c == '<') {
			at += span_find(span_from(s, at), '>') + 1;
		} else {
			at++;
		}
		if (depth > NESTING)
			break;
	}
	*end = s.n;
	return s.n;
}

static double
number(struct span s)
{
	double v = 0, scale = 1;
	bool negative = false, point = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '-')
			negative = true;
		else if (s.p[i] == '.')
			point = true;
		else if (is_digit(s.p[i]) && point)
			v += (s.p[i] - '0') * (scale /= 10);
		else if (is_digit(s.p[i]))
			v = v * 10 + (s.p[i] - '0');
	}
	return negative ? -v : v;
}

/* "G R" behind a number: where it ends, or 0. */
static size_t
reference_end(struct span s, size_t at)
{
	size_t from = at;

	while (at < s.n && is_space(s.p[at]) && at - from < 16)
		at++;
	from = at;
	while (at < s.n && is_digit(s.p[at]) && at - from < 6)
		at++;
	if (at == from || at >= s.n || !is_space(s.p[at]))
		return 0;
	while (at < s.n && is_space(s.p[at]))
		at++;
	if (at >= s.n || s.p[at] != 'R')
		return 0;
	at++;
	return at == s.n || is_space(s.p[at]) || is_delimiter(s.p[at]) ? at : 0;
}

void
pdf_next(struct pdf_lex *l, struct pdf_value *v)
{
	struct span s = l->s;
	size_t at = l->at, from, end;
	char c;

	*v = (struct pdf_value){ .kind = PDF_END };
	for (;;) {
		while (at < s.n && is_space(s.p[at]))
			at++;
		if (at < s.n && s.p[at] == '%')
			at = comment_end(s, at);
		else
			break;
	}
	if (at >= s.n || l->pdf->work == 0) {
		l->at = s.n;
		return;
	}
	c = s.p[at];
	from = at;
	if (c == '(') {
		at = string_end(s, at);
		*v = (struct pdf_value){ .kind = PDF_STRING, .s = span_sub(s, from, at - from) };
	} else if (c == '<' && !(at + 1 < s.n && s.p[at + 1] == '<')) {
		at += span_find(span_from(s, at), '>') + 1;
		*v = (struct pdf_value){ .kind = PDF_STRING, .s = span_sub(s, from, at - from) };
	} else if (c == '[' || c == '<') {
		at = bracket_end(s, at, &end);
		from += c == '[' ? 1 : 2;
		*v = (struct pdf_value){ .kind = c == '[' ? PDF_ARRAY : PDF_DICT,
			.s = span_sub(s, from, end > from ? end - from : 0) };
	} else if (c == '/') {
		at++;
		while (at < s.n && !is_space(s.p[at]) && !is_delimiter(s.p[at]))
			at++;
		*v = (struct pdf_value){ .kind = PDF_NAME, .s = span_sub(s, from + 1, at - from - 1) };
	} else if (is_delimiter(c)) {
		at++;		/* a bracket that closes nothing */
		*v = (struct pdf_value){ .kind = PDF_WORD, .s = span_sub(s, from, 1) };
	} else {
		while (at < s.n && !is_space(s.p[at]) && !is_delimiter(s.p[at]))
			at++;
		v->s = span_sub(s, from, at - from);
		v->kind = PDF_WORD;
		if (is_digit(c) || c == '-' || c == '+' || c == '.') {
			v->kind = PDF_NUMBER;
			v->number = number(v->s);
			if (l->refs && is_digit(c) && (end = reference_end(s, at)) != 0) {
				v->kind = PDF_REF;
				v->ref = v->number < 1e9 ? (uint32_t)v->number : 0;
				at = end;
			}
		} else if (span_is(v->s, "null")) {
			v->kind = PDF_NULL;
		}
	}
	if (at > s.n)
		at = s.n;
	if (l->pdf->work <= at - l->at) {
		l->pdf->work = 0;
		l->pdf->cut = true;
	} else {
		l->pdf->work -= at - l->at;
	}
	l->at = at;
}

/* --- values -------------------------------------------------------------------------------------- */

bool
pdf_name_is(struct span name, const char *what)
{
	size_t n = strlen(what), k = 0;

	/* "#4a" stands for a character (7.3.5). */
	for (size_t i = 0; i < name.n; i++, k++) {
		int a = -1, b = -1;
		char c = name.p[i];

		if (c == '#' && i + 2 < name.n) {
			a = hex_value(name.p[i + 1]);
			b = hex_value(name.p[i + 2]);
		}
		if (a >= 0 && b >= 0) {
			c = (char)(a << 4 | b);
			i += 2;
		}
		if (k >= n || what[k] != c)
			return false;
	}
	return k == n;
}

struct pdf_value
pdf_get_raw(struct pdf *pdf, struct span dict, const char *key)
{
	struct pdf_value k, v = { .kind = PDF_NULL };
	struct pdf_lex l;

	pdf_lex_init(&l, pdf, dict, true);
	for (;;) {
		pdf_next(&l, &k);
		if (k.kind == PDF_END)
			return (struct pdf_value){ .kind = PDF_NULL };
		if (k.kind != PDF_NAME)
			continue;
		pdf_next(&l, &v);
		if (pdf_name_is(k.s, key))
			return v;
	}
}

struct pdf_value
pdf_get(struct pdf *pdf, struct span dict, const char *key)
{
	return pdf_follow(pdf, pdf_get_raw(pdf, dict, key));
}

struct pdf_value
pdf_follow(struct pdf *pdf, struct pdf_value v)
{
	struct span stream;

	for (int i = 0; v.kind == PDF_REF; i++) {
		struct pdf_object *o = i < FOLLOW_MAX ? pdf_object(pdf, v.ref) : NULL;

		if (o == NULL)
			return (struct pdf_value){ .kind = PDF_NULL };
		v = pdf_object_value(pdf, o, &stream);
	}
	return v;
}

struct pdf_object *
pdf_object(struct pdf *pdf, uint32_t num)
{
	size_t lo = 0, hi = pdf->sorted;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (pdf->v[mid].num <= num)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && pdf->v[lo - 1].num == num ? &pdf->v[lo - 1] : NULL;
}

/* What stands behind "stream", by its length where that is right, else up to "endstream". */
static struct span
stream_find(struct pdf *pdf, struct span rest, struct span dict)
{
	struct pdf_value length;
	const char *q;
	size_t n;

	while (rest.n && is_space(rest.p[0]))
		rest = span_from(rest, 1);
	if (!span_starts(rest, SPAN_LIT("stream")))
		return span_make(NULL, 0);
	rest = span_from(rest, 6);
	if (span_starts(rest, SPAN_LIT("\r\n")))
		rest = span_from(rest, 2);
	else if (rest.n && (rest.p[0] == '\n' || rest.p[0] == '\r'))
		rest = span_from(rest, 1);
	length = pdf_get(pdf, dict, "Length");
	if (length.kind == PDF_NUMBER && length.number >= 0 && length.number < (double)rest.n) {
		n = (size_t)length.number;
		if (memmem(rest.p + n, rest.n - n < 32 ? rest.n - n : 32, "endstream", 9))
			return span_sub(rest, 0, n);
	}
	q = memmem(rest.p, rest.n, "endstream", 9);
	n = q ? (size_t)(q - rest.p) : rest.n;
	if (pdf->work <= n) {
		pdf->work = 0;
		pdf->cut = true;
	} else {
		pdf->work -= n;
	}
	return span_sub(rest, 0, n);
}

struct pdf_value
pdf_object_value(struct pdf *pdf, const struct pdf_object *o, struct span *stream)
{
	struct pdf_value v;
	struct pdf_lex l;

	*stream = span_make(NULL, 0);
	pdf_lex_init(&l, pdf, o->src, true);
	pdf_next(&l, &v);
	if (v.kind == PDF_DICT && !o->packed && v.s.n + 4 < o->src.n) {
		size_t at = l.at;

		/* Only a dictionary that "stream" follows costs the look for its length. */
		while (at < o->src.n && is_space(o->src.p[at]))
			at++;
		if (span_starts(span_from(o->src, at), SPAN_LIT("stream")))
			*stream = stream_find(pdf, span_from(o->src, at), v.s);
	}
	return v;
}

/* --- streams ---------------------------------------------------------------------------------------------- */

bool
pdf_stream(struct pdf *pdf, const struct pdf_object *o, struct span dict, struct span raw,
    struct span *out)
{
	struct pdf_value filter = pdf_get(pdf, dict, "Filter"), parms = pdf_get(pdf, dict, "DecodeParms");
	struct pdf_value type = pdf_get(pdf, dict, "Type");
	struct pdf_lex lf, lp;

	if (!(type.kind == PDF_NAME && pdf_name_is(type.s, "XRef")))
		raw = pdf_unlock(pdf, o, pdf->lock.streams, raw);
	*out = raw;
	if (filter.kind == PDF_NULL)
		filter = pdf_get(pdf, dict, "F");
	if (parms.kind == PDF_NULL)
		parms = pdf_get(pdf, dict, "DP");
	if (filter.kind == PDF_NAME)
		return pdf_filter(pdf, filter.s, parms.kind == PDF_DICT ? parms.s : span_make("", 0), raw,
		    out);
	if (filter.kind != PDF_ARRAY)
		return true;
	pdf_lex_init(&lf, pdf, filter.s, true);
	pdf_lex_init(&lp, pdf, parms.kind == PDF_ARRAY ? parms.s : span_make("", 0), true);
	for (int i = 0; i < FILTERS_MAX; i++) {
		struct pdf_value f, p;

		pdf_next(&lf, &f);
		pdf_next(&lp, &p);
		f = pdf_follow(pdf, f);
		p = pdf_follow(pdf, p);
		if (f.kind != PDF_NAME)
			return true;
		if (!pdf_filter(pdf, f.s, p.kind == PDF_DICT ? p.s : span_make("", 0), *out, out))
			return false;
	}
	return false;
}

/* --- the table ---------------------------------------------------------------------------------------------- */

static int
by_number(const void *a, const void *b)
{
	const struct pdf_object *x = a, *y = b;

	if (x->num != y->num)
		return x->num < y->num ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void
object_put(struct pdf *pdf, struct pdf_object o)
{
	if (pdf->n == OBJECTS_MAX) {
		pdf->cut = true;
		return;
	}
	if (pdf->n == pdf->cap) {
		size_t cap = pdf->cap ? pdf->cap * 2 : 256;

		pdf->v = arena_grow(pdf->b->a, pdf->v, pdf->cap * sizeof(*pdf->v), cap * sizeof(*pdf->v));
		pdf->cap = cap;
	}
	o.order = (uint32_t)pdf->n;
	pdf->v[pdf->n++] = o;
}

/* The number that ends before `at`; where it begins in *from. */
static bool
number_before(struct span s, size_t at, size_t *from, uint32_t *n)
{
	uint64_t v = 0, scale = 1;
	size_t end = at;

	while (at > 0 && is_digit(s.p[at - 1]) && end - at < 9) {
		at--;
		v += (uint64_t)(s.p[at] - '0') * scale;
		scale *= 10;
	}
	*from = at;
	*n = (uint32_t)v;
	return at < end;
}

static void
objects_scan(struct pdf *pdf)
{
	struct span s = pdf->bytes;
	size_t at = 0;

	while (at < s.n) {
		const char *q = memmem(s.p + at, s.n - at, "obj", 3);
		struct pdf_object o = { 0 };
		size_t i, from;
		uint32_t gen;

		if (q == NULL)
			break;
		i = (size_t)(q - s.p);
		at = i + 3;
		o.src = span_from(s, at);
		while (i > 0 && is_space(s.p[i - 1]))
			i--;
		if (!number_before(s, i, &from, &gen) || from == 0 || !is_space(s.p[from - 1]))
			continue;
		i = from;
		while (i > 0 && is_space(s.p[i - 1]))
			i--;
		if (!number_before(s, i, &from, &o.num))
			continue;
		o.gen = (uint16_t)gen;
		object_put(pdf, o);
	}
}

/* Objects within an object stream (7.5.7). */
static void
packed_read(struct pdf *pdf, struct pdf_object holder)
{
	struct span raw, bytes;
	struct pdf_value v = pdf_object_value(pdf, &holder, &raw), first, n;
	struct pdf_lex l;

	if (v.kind != PDF_DICT || raw.p == NULL ||
	    !pdf_stream(pdf, &holder, v.s, raw, &bytes))
		return;
	first = pdf_get(pdf, v.s, "First");
	n = pdf_get(pdf, v.s, "N");
	if (first.kind != PDF_NUMBER || n.kind != PDF_NUMBER || first.number < 0 ||
	    first.number > (double)bytes.n)
		return;
	pdf_lex_init(&l, pdf, span_sub(bytes, 0, (size_t)first.number), false);
	for (double i = 0; i < n.number; i++) {
		struct pdf_value num, at;

		pdf_next(&l, &num);
		pdf_next(&l, &at);
		if (num.kind != PDF_NUMBER || at.kind != PDF_NUMBER || at.number < 0 ||
		    num.number < 0 || num.number > 1e9 || at.number > (double)bytes.n)
			return;
		object_put(pdf, (struct pdf_object){ .num = (uint32_t)num.number, .packed = true,
			.src = span_from(bytes, (size_t)(first.number + at.number)) });
	}
}

void
pdf_objects_find(struct pdf *pdf)
{
	size_t plain;

	objects_scan(pdf);
	plain = pdf->n;
	if (plain)
		qsort(pdf->v, plain, sizeof(*pdf->v), by_number);
	pdf->sorted = plain;
	pdf_lock_open(pdf);
	if (pdf->lock.locked)
		return;
	for (size_t i = 0; i < plain; i++) {
		struct span head = span_sub(pdf->v[i].src, 0, 512);

		if (head.n && memmem(head.p, head.n, "ObjStm", 6))
			packed_read(pdf, pdf->v[i]);
	}
	if (pdf->n > plain)
		qsort(pdf->v, pdf->n, sizeof(*pdf->v), by_number);
	pdf->sorted = pdf->n;
}
