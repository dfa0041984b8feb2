/* edit_text.c -- what becomes of the text of one part: blackened here and
 * there, and something appended.
 *
 * Everything is worked out on characters and leads back, through the maps of the
 * anatomy, to the bytes each was made of. So markup between the letters of a
 * match stays, a character reference goes as a whole, white space and line ends
 * stay where they are.
 *
 * The part keeps its character set and its transfer encoding as long as they can
 * say what is put in: HTML says everything with references, a mark falls back to
 * `*`. Only a text to be appended that cannot be said makes the part UTF-8, and
 * so does a character set with states (ISO-2022-JP, UTF-7), where nothing can be cut
 * out without what stands behind changing its meaning.
 */
#include "anatomy/charset.h"
#include "anatomy/html.h"
#include "anatomy/param.h"
#include "buf.h"
#include "edits.h"
#include "utf8.h"

#define MARK "\xe2\x96\x88"	/* a full block */
#define FLOWED_WIDTH 76		/* RFC 3676, 4.2 */

struct run {			/* characters [from, to) of the source become `with`, UTF-8 */
	size_t from, to;
	size_t marks;		/* 0: `with` as it stands */
	struct span with;
};

struct writer {
	struct edits *x;
	const struct part *p;
	struct span used;	/* character set of the bytes */
	struct text utf8;	/* the decoded part as UTF-8 */
	bool html;		/* to those who search it; */
	bool markup;		/* to those who append to it */
	bool eight;		/* bytes above 127 may stand in it */
	bool newer;		/* it becomes UTF-8 */
	struct run *runs;
	size_t n, cap;
};

size_t
text_offset(const struct text *t, size_t origin)
{
	size_t lo = 0, hi = t->s.n;

	if (t->map.n == 0)
		return origin < hi ? origin : hi;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (offmap_origin(&t->map, mid) < origin)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
run_add(struct writer *w, size_t from, size_t to, bool mark, struct span with)
{
	struct run *last = w->n ? &w->runs[w->n - 1] : NULL;

	if (last && last->to == from && (last->marks > 0) == mark && !with.n && from < to) {
		last->to = to;
		last->marks += mark;
		return;
	}
	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 32;

		w->runs = arena_grow(w->x->e->arena, w->runs, w->cap * sizeof(*w->runs),
		    cap * sizeof(*w->runs));
		w->cap = cap;
	}
	w->runs[w->n++] = (struct run){ from, to, mark, with };
}

/* --- blackening --------------------------------------------------------------------------- */

/* The characters of `seen` that come from source offsets [from, to). */
static void
blacken(struct writer *w, const struct text *seen, size_t from, size_t to, struct span *with,
    bool mark)
{
	struct span src = w->utf8.s;
	size_t i = text_offset(seen, from), next;

	for (; i < seen->s.n; i = next) {
		size_t o = offmap_origin(&seen->map, i), len;
		uint32_t c, made;

		next = i + utf8_next(seen->s.p + i, seen->s.n - i, &c);
		if (next == i)
			next++;
		if (o >= to || o >= src.n)
			return;
		if (o < from || src.p[o] == '\r' || src.p[o] == '\n' || c == '\n')
			continue;
		if (mark && (c == ' ' || c == '\t'))
			continue;
		len = w->html && src.p[o] == '&' ? html_entity(src, o, &made) : 0;
		if (len == 0)
			len = utf8_next(src.p + o, src.n - o, &made);
		if (len == 0 || (w->html && made != c))
			continue;	/* white space that a tag stands for */
		run_add(w, o, o + len, mark, *with);
		*with = (struct span){ 0 };
	}
}

static int
run_order(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from ? 1 : (x->to > y->to) - (x->to < y->to);
}

/* Overlapping redactions are one, with the words of the first. */
static void
blacken_all(struct writer *w, const struct redaction *r, size_t n)
{
	struct text plain = { .s = w->utf8.s }, seen = plain, hidden = { 0 };

	if (w->html)
		html_text(w->x->e->arena, &plain, NULL, &seen, &hidden);
	for (size_t i = 0; i < n;) {
		size_t k = i + 1, to = r[i].to;
		struct span with = r[i].with;
		bool mark = with.n == 0;
		size_t from, end;

		while (k < n && r[k].from < to) {
			if (r[k].to > to)
				to = r[k].to;
			k++;
		}
		from = text_offset(&w->utf8, r[i].from);
		end = text_offset(&w->utf8, to);
		blacken(w, &seen, from, end, &with, mark);
		if (hidden.s.n)
			blacken(w, &hidden, from, end, &with, mark);
		i = k;
	}
	if (w->n)
		qsort(w->runs, w->n, sizeof(*w->runs), run_order);
}

/* --- appending ----------------------------------------------------------------------------- */

/* Lines of a text/plain part; format=flowed wants long ones soft-broken and some stuffed. */
static void
put_lines(struct buf *b, struct span s, const char *eol, bool flowed)
{
	while (s.n) {
		struct span line = span_sub(s, 0, span_find(s, '\n'));

		s = span_from(s, line.n + 1);
		while (line.n && (ascii_is_wsp(line.p[line.n - 1]) || line.p[line.n - 1] == '\r'))
			line.n--;
		if (flowed && line.n && (line.p[0] == ' ' || line.p[0] == '>' ||
		    span_starts(line, SPAN_LIT("From "))))
			buf_putc(b, ' ');
		while (flowed && line.n > FLOWED_WIDTH) {
			size_t n = FLOWED_WIDTH;

			while (n && line.p[n - 1] != ' ')
				n--;
			if (n == 0)
				break;
			buf_span(b, span_sub(line, 0, n));
			buf_puts(b, eol);
			line = span_from(line, n);
			if (line.n && (line.p[0] == ' ' || line.p[0] == '>'))
				buf_putc(b, ' ');
		}
		buf_span(b, line);
		buf_puts(b, eol);
	}
}

static size_t
find_last_tag(struct span s, const char *tag)
{
	size_t n = strlen(tag);

	for (size_t i = s.n; i-- > 0;)
		if (s.p[i] == '<' && span_eq_nocase(span_sub(s, i, n), span_make(tag, n)))
			return i;
	return SIZE_MAX;
}

static size_t
append_at(const struct writer *w)
{
	size_t at;

	if (!w->markup)
		return w->utf8.s.n;
	at = find_last_tag(w->utf8.s, "</body");
	if (at == SIZE_MAX)
		at = find_last_tag(w->utf8.s, "</html");
	return at == SIZE_MAX ? w->utf8.s.n : at;
}

static bool
is_flowed(struct writer *w)
{
	const struct header *h = part_header(w->p, "Content-Type");
	struct params ps;
	struct span v;

	if (h == NULL)
		return false;
	params_parse(&ps, w->x->e->arena, span_trim(h->raw));
	return params_plain(&ps, "format", 0, &v) && span_is_nocase(v, "flowed");
}

static void
append_all(struct writer *w, const struct append *ap, size_t n)
{
	size_t at = append_at(w);
	bool flowed = !w->markup && is_flowed(w);
	struct buf b;

	if (n == 0)
		return;
	buf_init(&b, EDIT_BYTES);
	if (!w->markup && w->utf8.s.n && w->utf8.s.p[w->utf8.s.n - 1] != '\n')
		buf_puts(&b, w->x->eol);
	for (size_t i = 0; i < n; i++) {
		if (!w->markup)
			buf_puts(&b, w->x->eol);
		put_lines(&b, ap[i].text, w->x->eol, flowed);
	}
	/* the line end before the boundary is there already */
	if (!w->markup && at == w->utf8.s.n && at && w->utf8.s.p[at - 1] != '\n')
		b.n -= strlen(w->x->eol);
	run_add(w, at, at, false, arena_span(w->x->e->arena, buf_data(&b)));
	buf_release(&b);
}

/* --- into bytes ------------------------------------------------------------------------------ */

static bool
is_ascii(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] > 0x7f)
			return false;
	return true;
}

/* Character references for what is not ASCII. */
static struct span
referenced(struct arena *a, struct span s)
{
	struct span out;
	struct buf b;

	buf_init(&b, EDIT_BYTES);
	for (size_t i = 0; i < s.n;) {
		uint32_t c = '?';
		size_t len = utf8_next(s.p + i, s.n - i, &c);

		if (len == 1)
			buf_putc(&b, s.p[i]);
		else
			buf_printf(&b, "&#%u;", c);
		i += len ? len : 1;
	}
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

static struct span
marks(struct arena *a, const char *mark, size_t n)
{
	size_t len = strlen(mark);
	char *p = arena_alloc(a, n * len + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(p + i * len, mark, len);
	return span_make(p, n * len);
}

/* false: the part's character set or encoding cannot say it. */
static bool
say(const struct writer *w, struct span s, struct span *out)
{
	return charset_encode(w->x->e->arena, w->used, s, out) && (w->eight || is_ascii(*out));
}

static bool
say_run(const struct writer *w, const struct run *r, struct span *out)
{
	struct arena *a = w->x->e->arena;
	struct span s = r->marks ? marks(a, MARK, r->marks) : r->with;

	if (say(w, s, out))
		return true;
	if (w->html)
		return say(w, referenced(a, s), out);
	return r->marks && say(w, marks(a, "*", r->marks), out);
}

static struct change *
changes_of(struct writer *w)
{
	struct change *c = arena_array(w->x->e->arena, w->n + 1, sizeof(*c));

	w->newer = !charset_stateless(w->used);
	for (size_t i = 0; i < w->n && !w->newer; i++) {
		const struct run *r = &w->runs[i];

		c[i].from = offmap_origin(&w->utf8.map, r->from);
		c[i].to = r->to > r->from ? offmap_origin(&w->utf8.map, r->to) : c[i].from;
		if (i && c[i].from < c[i - 1].to)
			c[i].from = c[i - 1].to;
		if (c[i].to < c[i].from)
			c[i].to = c[i].from;
		w->newer = !say_run(w, r, &c[i].with);
	}
	return c;
}

/* --- the part becomes UTF-8 ------------------------------------------------------------------- */

/* The Content-Type with charset=utf-8 and everything else it said. */
static struct span
retyped(struct writer *w, const struct header *h)
{
	struct arena *a = w->x->e->arena;
	struct params ps = { .value = w->p->declared };
	struct span out;
	struct buf b;

	if (h)
		params_parse(&ps, a, span_trim(h->raw));
	buf_init(&b, 64 << 10);
	buf_span(&b, w->p->declared);
	buf_puts(&b, "; charset=utf-8");
	for (size_t i = 0; i < ps.n; i++) {
		const struct param *q = &ps.list[i];

		/* What is not ASCII has no place there (RFC 2045, 5.1): it would make words of it all. */
		if (span_is_nocase(q->name, "charset") || !is_ascii(q->name) || !is_ascii(q->value))
			continue;
		buf_puts(&b, "; ");
		buf_span(&b, q->name);
		if (q->continued)
			buf_printf(&b, "*%u", q->section);
		buf_puts(&b, q->extended ? "*=" : "=\"");
		for (size_t k = 0; k < q->value.n; k++) {
			char c = q->value.p[k];

			if (!q->extended && (c == '"' || c == '\\'))
				buf_putc(&b, '\\');
			buf_putc(&b, c < ' ' && c >= 0 ? ' ' : c);
		}
		if (!q->extended)
			buf_putc(&b, '"');
	}
	out = edit_field(w->x, SPAN_LIT("Content-Type"), arena_span(a, buf_data(&b)));
	buf_release(&b);
	return out;
}

static void
field_set(struct writer *w, const char *name, struct span field, struct edit like)
{
	const struct header *h = part_header(w->p, name);

	like.offset = h ? h->offset : w->p->header_offset;
	like.size = h ? h->size : 0;
	like.with = field;
	edit_push(w->x, like);
}

static void
write_newer(struct writer *w, struct edit like)
{
	struct arena *a = w->x->e->arena;
	const struct header *type = part_header(w->p, "Content-Type");
	struct span body;
	size_t at = 0;
	struct buf b;
	bool base64;

	buf_init(&b, EDIT_BYTES);
	for (size_t i = 0; i < w->n; i++) {
		buf_span(&b, span_sub(w->utf8.s, at, w->runs[i].from - at));
		buf_span(&b, w->runs[i].marks ? marks(a, MARK, w->runs[i].marks) : w->runs[i].with);
		at = w->runs[i].to;
	}
	buf_span(&b, span_from(w->utf8.s, at));
	body = transfer_encode(a, buf_data(&b), w->x->eol, &base64);
	buf_release(&b);
	if (w->p == w->x->e->an->parts && !root_has(w->x->e->an, "MIME-Version"))
		field_set(w, "MIME-Version", edit_field(w->x, SPAN_LIT("MIME-Version"),
		    SPAN_LIT("1.0")), like);
	field_set(w, "Content-Type", retyped(w, type), like);
	field_set(w, "Content-Transfer-Encoding", edit_field(w->x,
	    SPAN_LIT("Content-Transfer-Encoding"), base64 ? SPAN_LIT("base64") :
	    SPAN_LIT("quoted-printable")), like);
	like.offset = w->p->body_offset;
	like.size = w->p->body_size;
	like.with = body;
	edit_push(w->x, like);
}

void
edit_text(struct edits *x, size_t part, const struct redaction *r, size_t nr,
    const struct append *ap, size_t nap)
{
	struct arena *a = x->e->arena;
	struct writer w = { .x = x, .p = &x->e->an->parts[part] };
	struct text decoded = { .s = w.p->decoded };
	struct edit like = { .part = w.p->number, .action = nr ? nap ? "redact+append_text" :
	    "redact" : "append_text", .opaque = true };
	struct span charset = w.p->charset;
	struct change *c;

	for (size_t i = 0; i < nr + nap; i++) {
		struct span rule = i < nr ? r[i].rule : ap[i - nr].rule;

		if (!span_eq(like.rule, rule) && (like.rule.n < rule.n ||
		    memmem(like.rule.p, like.rule.n, rule.p, rule.n) == NULL))
			like.rule = text_join(a, like.rule, ",", rule);
	}
	w.html = w.p->type == TYPE_HTML;
	w.markup = nap && ap[0].how == APPEND_HTML;
	if (charset.n == 0 && w.html)
		charset = html_charset(w.p->decoded);
	w.used = charset_used(charset, w.p->decoded);
	charset_decode(a, charset, &decoded, true, &w.utf8);
	w.eight = encoding_from_name(w.p->encoding) == ENCODING_BASE64 ||
	    encoding_from_name(w.p->encoding) == ENCODING_QP || span_is(w.p->encoding, "8bit") ||
	    span_is(w.p->encoding, "binary") || !is_ascii(w.p->decoded);
	blacken_all(&w, r, nr);
	append_all(&w, ap, nap);
	if (w.n == 0)
		return;
	qsort(w.runs, w.n, sizeof(*w.runs), run_order);
	c = changes_of(&w);
	if (w.newer)
		write_newer(&w, like);
	else
		edit_transfer(x, part, c, w.n, like);
}
