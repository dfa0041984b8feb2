/* pdf_content.c -- the text that a content stream shows (ISO 32000-1, 9); see anatomy/pdf.h.
 *
 * Glyphs are placed, spaces and lines are not written. So the place where each
 * string begins is compared with where the last one ended, along the line and
 * across it, in units of the font's size: a gap is a space, a large one a tab,
 * a step across or far back a new line. Text that is clipped, white or invisible counts
 * like any other.
 */
#include "anatomy/pdf.h"

#include <math.h>

#define OPERANDS 512
#define STATES 32
#define DEPTH_MAX 8

struct matrix {
	double a, b, c, d, e, f;
};

struct state {
	struct matrix ctm;
	struct pdf_font *font;
	double size, chars, words, scale, leading, rise;
};

struct runner {
	struct pdf *pdf;
	struct span resources;
	unsigned depth;
	struct pdf_value v[OPERANDS];
	size_t n;
	struct state stack[STATES], now;
	size_t states;
	struct matrix text, line;
	bool begun;		/* something was shown */
	double x, y;		/* where it ended */
	struct span font_name;	/* of the font in hand: the same again costs nothing */
};

static const struct matrix unit = { 1, 0, 0, 1, 0, 0 };

static struct matrix
times(struct matrix m, struct matrix n)
{
	return (struct matrix){ m.a * n.a + m.b * n.c, m.a * n.b + m.b * n.d,
		m.c * n.a + m.d * n.c, m.c * n.b + m.d * n.d,
		m.e * n.a + m.f * n.c + n.e, m.e * n.b + m.f * n.d + n.f };
}

static double
operand(const struct runner *r, size_t from_end)
{
	return r->n >= from_end && r->v[r->n - from_end].kind == PDF_NUMBER ?
	    r->v[r->n - from_end].number : 0;
}

static struct matrix
matrix_of(const struct runner *r)
{
	return (struct matrix){ operand(r, 6), operand(r, 5), operand(r, 4), operand(r, 3),
		operand(r, 2), operand(r, 1) };
}

static void
put(struct runner *r, struct span s)
{
	if (s.n > r->pdf->b->left) {
		r->pdf->cut = true;
		return;
	}
	r->pdf->b->left -= s.n;
	textmake_put(r->pdf->out, s.p, s.n, 0);
}

static bool
ends_blank(const struct runner *r)
{
	const struct textmake *t = r->pdf->out;

	return t->n == 0 || t->p[t->n - 1] == ' ' || t->p[t->n - 1] == '\n' || t->p[t->n - 1] == '\t';
}

/* What parts the next glyph from the last one. */
static void
gap(struct runner *r)
{
	struct matrix m = times(r->text, r->now.ctm);
	double size = fabs(r->now.size) * sqrt(fabs(m.a * m.d - m.b * m.c));
	double length = sqrt(m.a * m.a + m.b * m.b), dx = m.e - r->x, dy = m.f - r->y, along, across;

	if (!r->begun)
		return;
	if (!(length > 0) || !(size > 0)) {
		length = 1;
		m.a = 1;
		m.b = 0;
		size = 1;
	}
	along = (dx * m.a + dy * m.b) / length;
	across = (dy * m.a - dx * m.b) / length;
	if (!(fabs(across) <= size * 0.5) || along < -size * 1.2) {
		if (r->pdf->out->n && r->pdf->out->p[r->pdf->out->n - 1] != '\n')
			put(r, SPAN_LIT("\n"));
	} else if (along > size * 0.17 && !ends_blank(r)) {
		put(r, along > size * 2 ? SPAN_LIT("\t") : SPAN_LIT(" "));
	}
}

static void
show(struct runner *r, struct pdf_value v)
{
	struct span s = pdf_string(r->pdf, v, NULL);
	struct matrix m;

	if (s.n == 0)
		return;
	if (r->now.font == NULL)
		r->now.font = pdf_font(r->pdf, (struct pdf_value){ .kind = PDF_NULL });
	gap(r);
	r->begun = true;
	for (size_t at = 0; at < s.n;) {
		struct span utf8;
		double width, step;
		bool space;
		char buf[4];

		at += pdf_font_next(r->now.font, s, at, &utf8, &width, &space, buf);
		if (utf8.n)
			put(r, utf8);
		step = (width / 1000 * r->now.size + r->now.chars + (space ? r->now.words : 0)) *
		    r->now.scale;
		r->text.e += step * r->text.a;
		r->text.f += step * r->text.b;
	}
	m = times(r->text, r->now.ctm);
	r->x = m.e;
	r->y = m.f;
}

static void
show_array(struct runner *r, struct pdf_value array)
{
	struct pdf_value v;
	struct pdf_lex l;

	if (array.kind != PDF_ARRAY)
		return;
	pdf_lex_init(&l, r->pdf, array.s, false);
	for (pdf_next(&l, &v); v.kind != PDF_END; pdf_next(&l, &v)) {
		double step;

		if (v.kind == PDF_STRING) {
			show(r, v);
		} else if (v.kind == PDF_NUMBER) {
			step = -v.number / 1000 * r->now.size * r->now.scale;
			r->text.e += step * r->text.a;
			r->text.f += step * r->text.b;
		}
	}
}

static void
move(struct runner *r, double x, double y)
{
	r->line = times((struct matrix){ 1, 0, 0, 1, x, y }, r->line);
	r->text = r->line;
}

static struct pdf_value
resource(struct runner *r, const char *kind, struct span name)
{
	struct pdf_value all = pdf_get(r->pdf, r->resources, kind);
	char key[128];

	if (all.kind != PDF_DICT || name.n >= sizeof(key))
		return (struct pdf_value){ .kind = PDF_NULL };
	memcpy(key, name.p, name.n);
	key[name.n] = '\0';
	return pdf_get_raw(r->pdf, all.s, key);
}

static void
font_set(struct runner *r)
{
	if (r->n < 2 || r->v[r->n - 2].kind != PDF_NAME)
		return;
	r->now.size = operand(r, 1);
	if (r->now.font && span_eq(r->font_name, r->v[r->n - 2].s))
		return;
	r->font_name = r->v[r->n - 2].s;
	r->now.font = pdf_font(r->pdf, resource(r, "Font", r->font_name));
}

/* A form shows its own content, with its own resources or ours. */
static void
form_show(struct runner *r)
{
	struct pdf_value ref = r->n ? resource(r, "XObject", r->v[r->n - 1].s) : (struct pdf_value){ 0 };
	struct pdf_object *o = ref.kind == PDF_REF ? pdf_object(r->pdf, ref.ref) : NULL;
	struct pdf_value v, sub, own;
	struct span raw, content;

	if (o == NULL || r->n == 0 || r->v[r->n - 1].kind != PDF_NAME || r->depth >= DEPTH_MAX)
		return;
	v = pdf_object_value(r->pdf, o, &raw);
	if (v.kind != PDF_DICT || raw.p == NULL)
		return;
	sub = pdf_get(r->pdf, v.s, "Subtype");
	/* A form is shown where it is first used; its text is the same every time. */
	if (sub.kind != PDF_NAME || !pdf_name_is(sub.s, "Form") || o->seen)
		return;
	o->seen = true;
	if (!pdf_stream(r->pdf, o, v.s, raw, &content))
		return;
	own = pdf_get(r->pdf, v.s, "Resources");
	if (r->begun && !ends_blank(r))
		put(r, SPAN_LIT("\n"));
	pdf_content(r->pdf, content, own.kind == PDF_DICT ? own.s : r->resources, r->depth + 1);
}

/* Marked content may say what it stands for (14.9.4). */
static void
marked(struct runner *r)
{
	struct pdf_value v, text;

	if (r->n == 0)
		return;
	v = r->v[r->n - 1];
	if (v.kind != PDF_DICT)
		return;
	text = pdf_get_raw(r->pdf, v.s, "ActualText");
	if (text.kind == PDF_STRING) {
		struct span s = pdf_text(r->pdf, text, NULL);

		textmake_put(&r->pdf->fields, s.p, s.n, 0);
		textmake_put(&r->pdf->fields, "\n", 1, 0);
	}
}

/* The data of a picture within the stream: up to "EI" between white space. */
static void
picture_skip(struct pdf_lex *l)
{
	while (l->at + 3 < l->s.n) {
		const char *q = memmem(l->s.p + l->at, l->s.n - l->at, "EI", 2);
		size_t i;

		if (q == NULL) {
			l->at = l->s.n;
			return;
		}
		i = (size_t)(q - l->s.p);
		l->at = i + 2;
		if (i > 0 && strchr(" \n\r\t", q[-1]) && (l->at >= l->s.n || strchr(" \n\r\tQ", q[2])))
			return;
	}
}

static void
state_operator(struct runner *r, struct span op)
{
	struct state *s = &r->now;

	if (span_is(op, "q")) {
		if (r->states < STATES)
			r->stack[r->states++] = *s;
	} else if (span_is(op, "Q")) {
		if (r->states)
			*s = r->stack[--r->states];
		r->font_name = span_make(NULL, 0);
	} else if (span_is(op, "cm")) {
		s->ctm = times(matrix_of(r), s->ctm);
	} else if (span_is(op, "Tc")) {
		s->chars = operand(r, 1);
	} else if (span_is(op, "Tw")) {
		s->words = operand(r, 1);
	} else if (span_is(op, "Tz")) {
		s->scale = operand(r, 1) / 100;
	} else if (span_is(op, "TL")) {
		s->leading = operand(r, 1);
	} else if (span_is(op, "Tf")) {
		font_set(r);
	}
}

static void
operator(struct runner *r, struct span op, struct pdf_lex *l)
{
	struct pdf_value last = r->n ? r->v[r->n - 1] : (struct pdf_value){ .kind = PDF_NULL };

	if (span_is(op, "Tj")) {
		show(r, last);
	} else if (span_is(op, "TJ")) {
		show_array(r, last);
	} else if (span_is(op, "'") || span_is(op, "\"")) {
		move(r, 0, -r->now.leading);
		show(r, last);
	} else if (span_is(op, "BT")) {
		r->text = r->line = unit;
	} else if (span_is(op, "Td")) {
		move(r, operand(r, 2), operand(r, 1));
	} else if (span_is(op, "TD")) {
		r->now.leading = -operand(r, 1);
		move(r, operand(r, 2), operand(r, 1));
	} else if (span_is(op, "T*")) {
		move(r, 0, -r->now.leading);
	} else if (span_is(op, "Tm")) {
		r->text = r->line = matrix_of(r);
	} else if (span_is(op, "Do")) {
		form_show(r);
	} else if (span_is(op, "BDC")) {
		marked(r);
	} else if (span_is(op, "ID")) {
		picture_skip(l);
	} else {
		state_operator(r, op);
	}
}

void
pdf_content(struct pdf *pdf, struct span content, struct span resources, unsigned depth)
{
	struct runner runner = { .pdf = pdf, .resources = resources, .depth = depth }, *r = &runner;
	struct pdf_value v;
	struct pdf_lex l;

	r->now = (struct state){ .ctm = unit, .scale = 1, .size = 1 };
	r->text = r->line = unit;
	pdf_lex_init(&l, pdf, content, false);
	for (pdf_next(&l, &v); v.kind != PDF_END; pdf_next(&l, &v)) {
		if (v.kind == PDF_WORD) {
			operator(r, v.s, &l);
			r->n = 0;
		} else if (r->n < OPERANDS) {
			r->v[r->n++] = v;
		}
	}
	if (!ends_blank(r))
		put(r, SPAN_LIT("\n"));
}
