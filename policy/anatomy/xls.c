/* xls.c -- the text of Excel's binary workbooks (MS-XLS, BIFF8 and BIFF5); see anatomy/ole2.h.
 *
 * A sheet's cells become lines of values parted by tabs, so that a number and
 * the word beside it stand beside each other. Shared strings are looked up
 * where they are used. Hidden sheets, comments and text boxes are side texts.
 * Formulas show the value that was computed last; sheets of Excel 4 macros
 * are told as the defect macro.
 */
#include "anatomy/ole2.h"

#include <stdio.h>

#include "anatomy/textmap.h"

#define SHEETS_MAX 1024

enum { R_FORMULA = 0x06, R_HEADER = 0x14, R_FOOTER = 0x15, R_FILEPASS = 0x2f, R_CONTINUE = 0x3c,
	R_BOUNDSHEET = 0x85, R_MULRK = 0xbd, R_RSTRING = 0xd6, R_SST = 0xfc, R_LABELSST = 0xfd,
	R_TXO = 0x1b6, R_HLINK = 0x1b8, R_NUMBER = 0x203, R_LABEL = 0x204, R_STRING = 0x207,
	R_RK = 0x27e, R_BOF = 0x809 };

struct sheet {
	uint32_t at;		/* of its BOF */
	uint8_t state;		/* 0 visible, 1 hidden, 2 hidden from the menus too */
	struct span name;
};

struct xls {
	struct builder *b;
	struct span s;
	bool biff8;
	struct sheet sheets[SHEETS_MAX];
	size_t nsheets;
	const struct sheet *sheet;	/* NULL: the globals */
	struct span *shared;
	size_t nshared;
	struct textmake main, cells, beside;
	uint32_t row;
	bool begun;		/* a cell of this row was put */
	uint32_t column;	/* borders put in this row */
	uint32_t at;		/* the column of the next cell */
	bool want_string;	/* a formula whose value stands in the next record */
	bool cut, broken;
};

static void
textmake_begin(struct textmake *t, struct builder *b)
{
	struct text none = { 0 };

	textmake_init(t, b->a, &none, 256, false);
}

static void
put(struct xls *x, struct textmake *t, struct span s)
{
	if (s.n > x->b->left) {
		x->cut = true;
		return;
	}
	x->b->left -= s.n;
	textmake_put(t, s.p, s.n, 0);
}

/* --- strings ------------------------------------------------------------------------------ */

static struct span
chars(struct xls *x, struct span s, bool wide)
{
	return wide ? text_of_utf16(x->b->a, s) : text_of_1252(x->b->a, s);
}

/* A string with a count of `bytes` bytes at `at`; BIFF5 has no flags. */
static struct span
string_at(struct xls *x, struct span r, size_t at, unsigned bytes)
{
	size_t n = bytes == 1 ? get8(r, at) : get16(r, at);
	bool wide;

	at += bytes;
	if (!x->biff8)
		return chars(x, span_sub(r, at, n), false);
	wide = get8(r, at) & 1;
	return chars(x, span_sub(r, at + 1, wide ? n * 2 : n), wide);
}

/* Reads through a record and the CONTINUE records behind it. */
struct tape {
	struct span s;		/* the whole stream */
	size_t at, end;		/* within the record in hand */
	size_t next;		/* the record behind it */
};

static bool
tape_turn(struct tape *t)
{
	if (get16(t->s, t->next) != R_CONTINUE || t->next + 4 > t->s.n)
		return false;
	t->at = t->next + 4;
	t->end = t->at + get16(t->s, t->next + 2);
	if (t->end > t->s.n)
		t->end = t->s.n;
	t->next = t->end;
	return true;
}

static uint32_t
tape_get(struct tape *t, unsigned bytes)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < bytes; i++) {
		if (t->at >= t->end && !tape_turn(t))
			return v;
		v |= get8(t->s, t->at++) << (8 * i);
	}
	return v;
}

static void
tape_skip(struct tape *t, uint64_t n)
{
	while (n) {
		size_t here = t->end > t->at ? t->end - t->at : 0;

		if (here >= n) {
			t->at += (size_t)n;
			return;
		}
		n -= here;
		t->at = t->end;
		if (!tape_turn(t))
			return;
	}
}

/* n characters; where the record changes, a byte says anew how wide they are (2.4.58). */
static struct span
tape_chars(struct xls *x, struct tape *t, size_t n, bool wide)
{
	struct textmake out = { 0 };
	size_t size, here;

	while (n) {
		struct span s;

		if (t->at >= t->end) {
			if (!tape_turn(t))
				break;
			wide = get8(t->s, t->at++) & 1;
		}
		size = wide ? 2 : 1;
		here = (t->end - t->at) / size;
		if (here == 0) {
			t->at = t->end;
			continue;
		}
		if (here > n)
			here = n;
		s = chars(x, span_sub(t->s, t->at, here * size), wide);
		if (here == n && out.n == 0) {
			t->at += here * size;
			return s;
		}
		if (out.a == NULL)
			textmake_begin(&out, x->b);
		textmake_put(&out, s.p, s.n, 0);
		t->at += here * size;
		n -= here;
	}
	return span_make(out.p, out.n);
}

static void
shared_read(struct xls *x, struct span r, size_t next)
{
	struct tape t = { .s = x->s, .at = (size_t)(r.p - x->s.p), .next = next };
	uint32_t n;

	t.end = t.at + r.n;
	tape_skip(&t, 4);
	n = tape_get(&t, 4);
	if (n > x->s.n / 3) {
		x->broken = true;
		n = (uint32_t)(x->s.n / 3);
	}
	x->shared = arena_array(x->b->a, n + 1u, sizeof(*x->shared));
	while (x->nshared < n && (t.at < t.end || tape_turn(&t))) {
		size_t length = tape_get(&t, 2);
		uint32_t flags = tape_get(&t, 1);
		uint32_t runs = flags & 8 ? tape_get(&t, 2) : 0;
		uint32_t ext = flags & 4 ? tape_get(&t, 4) : 0;

		x->shared[x->nshared++] = tape_chars(x, &t, length, flags & 1);
		tape_skip(&t, (uint64_t)runs * 4 + ext);
	}
}

/* --- cells ---------------------------------------------------------------------------------- */

#define PADDING_MAX 64		/* cells that are not there and have borders all the same */

/* Empty cells have no records: their borders are put, so that columns are columns. */
static void
cell(struct xls *x, uint32_t row, struct span value)
{
	if (x->cells.n && row != x->row) {
		textmake_put(&x->cells, "\n", 1, 0);
		x->column = 0;
	} else if (x->begun) {
		textmake_put(&x->cells, "\t", 1, 0);
		x->column++;
	}
	for (; x->column < x->at && x->column < PADDING_MAX; x->column++)
		textmake_put(&x->cells, "\t", 1, 0);
	x->row = row;
	x->begun = true;
	put(x, &x->cells, value);
}

static void
cell_number(struct xls *x, uint32_t row, double v)
{
	char text[40];

	/* Excel keeps 15 digits; what has no fraction is shown without one. */
	if (v > -1e17 && v < 1e17 && v == (double)(int64_t)v)
		snprintf(text, sizeof(text), "%lld", (long long)v);
	else
		snprintf(text, sizeof(text), "%.15g", v);
	cell(x, row, span_str(text));
}

static double
double_at(struct span r, size_t at)
{
	uint64_t bits = get32(r, at) | (uint64_t)get32(r, at + 4) << 32;
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static double
rk_value(uint32_t rk)
{
	uint64_t bits = (uint64_t)(rk & ~3u) << 32;
	double v;

	if (rk & 2)
		v = (double)((int32_t)rk >> 2);
	else
		memcpy(&v, &bits, sizeof(v));
	return rk & 1 ? v / 100 : v;
}

static void
formula(struct xls *x, struct span r)
{
	if (get16(r, 12) != 0xffff)
		cell_number(x, get16(r, 0), double_at(r, 6));
	else if (get8(r, 6) == 0)
		x->want_string = true;
	x->row = x->want_string && !x->begun ? get16(r, 0) : x->row;
}

/* --- sheets ------------------------------------------------------------------------------------ */

static void
sheet_end(struct xls *x, uint16_t index)
{
	struct span cells = span_make(x->cells.p, x->cells.n), beside = span_make(x->beside.p, x->beside.n);

	if (x->sheet && x->sheet->state && cells.n) {
		side_add_utf8(x->b, index, span_str(arena_printf(x->b->a, "hidden sheet " SPAN_FMT,
		    SPAN_ARG(x->sheet->name))), arena_span(x->b->a, cells));
	} else if (cells.n) {
		textmake_put(&x->main, cells.p, cells.n, 0);
		textmake_put(&x->main, "\n", 1, 0);
	}
	if (beside.n)
		side_add_utf8(x->b, index, SPAN_LIT("comments and text boxes"),
		    arena_span(x->b->a, beside));
	x->cells.n = x->beside.n = 0;
	x->begun = false;
	x->column = x->at = 0;
}

static void
sheet_begin(struct xls *x, uint16_t index, size_t at)
{
	sheet_end(x, index);
	x->sheet = NULL;
	for (size_t i = 0; i < x->nsheets; i++)
		if (x->sheets[i].at == at)
			x->sheet = &x->sheets[i];
}

static void
boundsheet(struct xls *x, struct span r, uint16_t index)
{
	struct sheet *s;

	if (get8(r, 5) == 1)
		x->b->out->parts[index].defects |= DEFECT_MACRO;
	if (x->nsheets == SHEETS_MAX)
		return;
	s = &x->sheets[x->nsheets++];
	s->at = get32(r, 0);
	s->state = (uint8_t)(get8(r, 4) & 3);
	s->name = string_at(x, r, 6, 1);
	put(x, &x->beside, s->name);
	textmake_put(&x->beside, "\n", 1, 0);
}

static void
text_object(struct xls *x, struct span r, size_t next)
{
	struct tape t = { .s = x->s, .next = next };
	size_t n = get16(r, 10);
	struct span s;

	if (n == 0 || !tape_turn(&t))
		return;
	s = tape_chars(x, &t, n, tape_get(&t, 1) & 1);
	put(x, &x->beside, s);
	textmake_put(&x->beside, "\n", 1, 0);
}

/* False: nothing more can be read. */
static bool
record(struct xls *x, uint32_t type, struct span r, size_t next, uint16_t index)
{
	switch (type) {
	case R_FILEPASS:
		x->b->out->parts[index].encrypted = true;
		x->b->out->parts[index].encryption = ENCRYPTION_OLE2;
		return false;
	case R_BOF:
		x->biff8 = get16(r, 0) >= 0x600;
		sheet_begin(x, index, (size_t)(r.p - x->s.p) - 4);
		break;
	case R_BOUNDSHEET:
		boundsheet(x, r, index);
		break;
	case R_SST:
		if (x->shared == NULL)
			shared_read(x, r, next);
		break;
	case R_LABELSST:
		x->at = get16(r, 2);
		if (get32(r, 6) < x->nshared)
			cell(x, get16(r, 0), x->shared[get32(r, 6)]);
		break;
	case R_LABEL:
	case R_RSTRING:
		x->at = get16(r, 2);
		cell(x, get16(r, 0), string_at(x, r, 6, 2));
		break;
	case R_NUMBER:
		x->at = get16(r, 2);
		cell_number(x, get16(r, 0), double_at(r, 6));
		break;
	case R_RK:
		x->at = get16(r, 2);
		cell_number(x, get16(r, 0), rk_value(get32(r, 6)));
		break;
	case R_MULRK:
		x->at = get16(r, 2);
		for (size_t at = 4; at + 6 <= r.n - (r.n >= 2 ? 2 : 0); at += 6, x->at++)
			cell_number(x, get16(r, 0), rk_value(get32(r, at + 2)));
		break;
	case R_FORMULA:
		x->at = get16(r, 2);
		formula(x, r);
		break;
	case R_STRING:
		if (x->want_string)
			cell(x, x->row, string_at(x, r, 0, 2));
		x->want_string = false;
		break;
	case R_HEADER:
	case R_FOOTER:
		if (r.n > 2) {
			put(x, &x->beside, string_at(x, r, 0, x->biff8 ? 2 : 1));
			textmake_put(&x->beside, "\n", 1, 0);
		}
		break;
	case R_TXO:
		text_object(x, r, next);
		break;
	case R_HLINK:
		put(x, &x->beside, strings_find(x->b->a, r, true));
		break;
	}
	return !x->cut;
}

bool
xls_read(struct cfb *c, struct builder *b, uint16_t index)
{
	uint32_t at = cfb_find(c, 0, "Workbook");
	static struct xls scratch;	/* too large for each of ten thousand files */
	struct xls *x = &scratch;
	struct text main;
	size_t i = 0;

	if (at == CFB_NONE)
		at = cfb_find(c, 0, "Book");
	if (at == CFB_NONE)
		return false;
	*x = (struct xls){ .b = b };
	x->s = cfb_stream(c, at);
	textmake_begin(&x->main, b);
	textmake_begin(&x->cells, b);
	textmake_begin(&x->beside, b);
	if (get16(x->s, 0) != R_BOF)
		return false;
	while (i + 4 <= x->s.n) {
		uint32_t type = get16(x->s, i);
		struct span r = span_sub(x->s, i + 4, get16(x->s, i + 2));

		i += 4 + r.n;
		if (!record(x, type, r, i, index))
			break;
	}
	sheet_end(x, index);
	if (x->cut)
		b->out->parts[index].defects |= DEFECT_TOO_LARGE;
	main = (struct text){ .s = span_make(x->main.p, x->main.n) };
	text_set(b, index, &main);
	return !x->broken;
}
