/* header.c -- a header block into fields (RFC 5322, 2.2), a value into text (RFC 2047).
 *
 * Nothing that stands before the empty line is lost: a line that is no field
 * becomes a field without a name, so that its text is searched, and reading
 * goes on behind it, since the fields below it still rule how the body is
 * shown. Only when the very first line is no field there is no header at all,
 * and the body begins at once.
 *
 * Encoded words are decoded wherever they stand, also where RFC 2047 forbids
 * them: readers do so. Neighbours of one character set are joined as bytes
 * first, because senders cut within characters.
 */
#include "anatomy/header.h"

#include "anatomy/charset.h"
#include "anatomy/decode.h"
#include "anatomy/textmap.h"

/* Fields that may stand once: RFC 5322, 3.6, and those of MIME. */
static const char *const once[] = {
	"date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to",
	"references", "subject", "mime-version", "content-type", "content-transfer-encoding",
	"content-disposition", "content-id", "content-description",
};

/* Length of the field name that line begins with, 0 when it begins with none. *colon:
 * where the colon stands; white space before it is obsolete, but readers take it. */
static size_t
name_length(struct span line, size_t *colon, uint32_t *defects)
{
	size_t n = 0, i;

	while (n < line.n && line.p[n] > ' ' && line.p[n] < 0x7f && line.p[n] != ':')
		n++;
	for (i = n; i < line.n && ascii_is_wsp(line.p[i]); i++)
		;
	if (n == 0 || i == line.n || line.p[i] != ':')
		return 0;
	if (i > n)
		*defects |= DEFECT_HEADER_MALFORMED;
	*colon = i;
	return n;
}

static void
field_add(struct header_block *b, struct arena *a, size_t max, struct header h)
{
	if (b->n >= max) {
		b->defects |= DEFECT_TOO_MANY_HEADERS;
		return;
	}
	if (b->n == b->cap) {
		size_t cap = b->cap ? b->cap * 2 : 64;

		b->fields = arena_grow(a, b->fields, b->cap * sizeof(*b->fields),
		    cap * sizeof(*b->fields));
		b->cap = cap;
	}
	b->fields[b->n++] = h;
	for (size_t i = 0; h.name.n && i < sizeof(once) / sizeof(once[0]); i++)
		if (ascii_lower(h.name.p[0]) == once[i][0] && span_is_nocase(h.name, once[i])) {
			if (b->once & (1u << i))
				b->defects |= DEFECT_HEADER_DUPLICATE;
			b->once |= 1u << i;
			break;
		}
}

/* The line at src[at]: without its end. *next: where the following one begins. */
static struct span
line_at(struct span src, size_t at, size_t *next)
{
	const char *nl = memchr(src.p + at, '\n', src.n - at);
	size_t end = nl ? (size_t)(nl - src.p) : src.n;

	*next = nl ? end + 1 : end;
	if (nl && end > at && src.p[end - 1] == '\r')
		end--;
	return span_make(src.p + at, end - at);
}

void
header_block_read(struct header_block *b, struct arena *a, struct span src, size_t at,
    size_t max, header_stop_fn *stop, void *arg)
{
	size_t start = at;

	b->n = 0;
	b->defects = 0;
	b->once = 0;
	b->blank_body = 0;
	b->src = src;
	while (at < src.n) {
		size_t next, colon = 0, from = at, n;
		struct span line = line_at(src, at, &next), raw;

		if (line.n == 0) {
			at = next;
			break;
		}
		if (line.n >= 2 && line.p[0] == '-' && line.p[1] == '-' && stop && stop(arg, line))
			break;
		n = name_length(line, &colon, &b->defects);
		if (n == 0) {
			/* An mbox line or a stray continuation may stand above a header. */
			b->defects |= DEFECT_HEADER_MALFORMED;
			if (from == start && !span_starts(line, SPAN_LIT("From ")) &&
			    !ascii_is_wsp(line.p[0]))
				break;
		}
		raw = n ? span_from(line, colon + 1) : line;
		if (line.n > 998)
			b->defects |= DEFECT_LINE_TOO_LONG;
		/* Continuations: any line that begins with white space. */
		while (next < src.n && ascii_is_wsp(src.p[next])) {
			line = line_at(src, next, &next);
			if (line.n > 998)
				b->defects |= DEFECT_LINE_TOO_LONG;
			if (b->blank_body == 0 && span_trim(line).n == 0) {
				b->blank_field = b->n;
				b->blank_body = next;
			}
			raw.n = (size_t)(line.p + line.n - raw.p);
		}
		if (raw.n && memchr(raw.p, '\0', raw.n))
			b->defects |= DEFECT_HEADER_NUL;
		field_add(b, a, max, (struct header){
		    .name = span_make(src.p + from, n), .raw = raw,
		    .offset = (uint32_t)from, .size = (uint32_t)(next - from) });
		at = next;
	}
	b->body = at;
}

/* --- values ------------------------------------------------------------------------- */

static bool
is_folded(struct span s)
{
	return s.n && (memchr(s.p, '\n', s.n) || memchr(s.p, '\0', s.n) ||
	    memchr(s.p, '\r', s.n));
}

/* CR, LF and NUL left out. */
static void
unfold(struct arena *a, const struct text *in, bool want_map, struct text *out)
{
	struct textmake t;
	size_t i = 0, n = in->s.n;

	textmake_init(&t, a, in, n, want_map);
	while (i < n) {
		size_t from = i;

		while (i < n && in->s.p[i] != '\r' && in->s.p[i] != '\n' && in->s.p[i] != '\0')
			i++;
		textmake_copy(&t, from, i - from);
		while (i < n && (in->s.p[i] == '\r' || in->s.p[i] == '\n' || in->s.p[i] == '\0'))
			i++;
	}
	textmake_finish(&t, n, out);
}

struct span
header_unfold(struct arena *a, struct span raw)
{
	struct text in = { .s = raw }, out;

	if (!is_folded(raw))
		return raw;
	unfold(a, &in, false, &out);
	return out.s;
}

struct word {
	struct span charset, text;
	char encoding;		/* 'b' or 'q' */
	size_t end;		/* behind the "?=" */
};

/* The encoded word at s[at], where "=?" stands. *closed is cleared when no "?=" follows any more. */
static bool
word_parse(struct span s, size_t at, struct word *w, bool *closed)
{
	size_t i = at + 2, from = i;
	const char *end;

	while (i < s.n && i - from < 80 && s.p[i] != '?' && s.p[i] != '*' &&
	    (unsigned char)s.p[i] > ' ')
		i++;
	w->charset = span_sub(s, from, i - from);
	if (i < s.n && s.p[i] == '*')		/* RFC 2231, 5: the language */
		while (i < s.n && i - from < 120 && s.p[i] != '?')
			i++;
	if (w->charset.n == 0 || i + 2 >= s.n || s.p[i] != '?' || s.p[i + 2] != '?')
		return false;
	w->encoding = ascii_lower(s.p[i + 1]);
	if (w->encoding != 'b' && w->encoding != 'q')
		return false;
	i += 3;
	if (!*closed || i > s.n)
		return false;
	end = memmem(s.p + i, s.n - i, "?=", 2);
	if (end == NULL) {
		*closed = false;
		return false;
	}
	w->text = span_sub(s, i, (size_t)(end - s.p) - i);
	w->end = (size_t)(end - s.p) + 2;
	return true;
}

/* Where the bytes of joined words stand: asked for rising places only. */
#define PIECES_MAX 64		/* words of one run; and … */
#define FINE_MAX 4096		/* … bytes of text: what is longer is one place, its beginning */

struct pieces {
	struct piece {
		size_t byte, src, n;	/* its first byte, its text in the source, and how long that is */
		char encoding;
	} v[PIECES_MAX];
	size_t n, at;
	size_t byte, src;	/* of a word in Q: read so far */
};

static void
pieces_add(struct pieces *p, const struct word *w, struct span s, size_t byte)
{
	if (p->n < PIECES_MAX)
		p->v[p->n] = (struct piece){ byte, (size_t)(w->text.p - s.p), w->text.n, w->encoding };
	p->n++;
}

/* In base64 three bytes are four letters; in Q a byte is one, or three. */
static size_t
piece_origin(struct pieces *p, struct span s, size_t byte)
{
	const struct piece *k;
	size_t off;

	while (p->at + 1 < p->n && p->v[p->at + 1].byte <= byte) {
		p->at++;
		p->byte = p->src = 0;
	}
	k = &p->v[p->at];
	off = byte - k->byte;
	if (k->encoding == 'b') {
		off = off / 3 * 4 + off % 3;
	} else {
		while (p->byte < off && p->src < k->n) {
			p->src += s.p[k->src + p->src] == '=' ? 3 : 1;
			p->byte++;
		}
		off = p->src;
	}
	return k->src + (off < k->n ? off : k->n ? k->n - 1 : 0);
}

/* The words' text, each character from its letters. */
static void
words_map(struct textmake *t, struct span s, size_t at, const struct text *utf8, struct pieces *p)
{
	if (p->n > PIECES_MAX || utf8->s.n > FINE_MAX) {
		textmap_point(&t->map, t->n, at);
		return;
	}
	for (size_t i = 0; i < utf8->s.n; i++)
		if (i == 0)
			textmap_point(&t->map, t->n, at);
		else if (((unsigned char)utf8->s.p[i] & 0xc0) != 0x80)
			textmap_point(&t->map, t->n + i, piece_origin(p, s, offmap_origin(&utf8->map, i)));
}

uint32_t
words_decode(struct arena *a, const struct text *in, bool want_map, struct text *out)
{
	struct span s = in->s;
	struct textmake t;
	struct pieces pieces;
	uint32_t defects = 0;
	bool closed = true;
	size_t i = 0;
	char *bytes = NULL;

	textmake_init(&t, a, in, s.n, want_map);
	while (i < s.n) {
		const char *q = memmem(s.p + i, s.n - i, "=?", 2);
		size_t at = q ? (size_t)(q - s.p) : s.n, n = 0, next;
		struct word w, more;
		struct text joined = { 0 }, utf8 = { 0 };

		textmake_copy(&t, i, at - i);
		if (q == NULL)
			break;
		if (!word_parse(s, at, &w, &closed)) {
			textmake_copy(&t, at, 2);
			i = at + 2;
			continue;
		}
		/* Neighbours: only white space between. Of one character set: joined. */
		if (bytes == NULL)
			bytes = arena_alloc(a, s.n);
		more = w;
		pieces.n = pieces.at = pieces.byte = pieces.src = 0;
		for (;;) {
			pieces_add(&pieces, &more, s, n);
			n += more.encoding == 'b' ? decode_base64(more.text, bytes + n, NULL) :
			    decode_q(more.text, bytes + n);
			for (next = more.end; next < s.n && ascii_is_wsp(s.p[next]); next++)
				;
			if (s.n - next < 8 || s.p[next] != '=' || s.p[next + 1] != '?') {
				i = more.end;
				break;
			}
			if (!word_parse(s, next, &more, &closed)) {
				i = more.end > next ? next : more.end;
				break;
			}
			if (!charset_same(more.charset, w.charset)) {
				i = next;
				break;
			}
		}
		joined.s = span_make(bytes, n);
		defects |= charset_decode(a, w.charset, &joined, want_map && n <= FINE_MAX, &utf8);
		textmake_room(&t, utf8.s.n);
		words_map(&t, s, at, &utf8, &pieces);
		if (utf8.s.n) {
			memcpy(t.p + t.n, utf8.s.p, utf8.s.n);
			t.n += utf8.s.n;
		}
	}
	textmake_finish(&t, s.n, out);
	return defects;
}

uint32_t
header_decode(struct arena *a, struct span raw, size_t base, struct span *value,
    struct offmap *map)
{
	struct offrun start = { 0, 0, true };
	struct text t = { .s = span_trim(raw) }, made;
	uint32_t defects = 0;
	struct span trimmed;
	size_t cut;

	if (map) {
		start.from = (uint32_t)(base + (size_t)(t.s.p - raw.p));
		if (start.from) {
			t.map.runs = arena_alloc(a, sizeof(start));
			memcpy((void *)(uintptr_t)t.map.runs, &start, sizeof(start));
			t.map.n = 1;
		}
	}
	if (is_folded(t.s)) {
		unfold(a, &t, map != NULL, &made);
		t = made;
	}
	if (ascii_until(t.s) < t.s.n && utf8_valid_until(t.s) < t.s.n) {
		defects |= DEFECT_HEADER_8BIT;
		charset_decode(a, SPAN_LIT("windows-1252"), &t, map != NULL, &made);
		t = made;
	}
	if (t.s.n && memmem(t.s.p, t.s.n, "=?", 2)) {
		defects |= words_decode(a, &t, map != NULL, &made);
		t = made;
	}
	/* Encoded words may begin or end with white space or line ends. */
	trimmed = span_trim(t.s);
	cut = trimmed.n ? (size_t)(trimmed.p - t.s.p) : 0;
	if (map && cut) {
		struct textmap m;

		textmap_init(&m, a, &t.map, true);
		textmap_copy(&m, 0, cut, trimmed.n);
		textmap_finish(&m, trimmed.n, cut + trimmed.n, &t.map);
	}
	*value = trimmed;
	if (map)
		*map = t.map;
	return defects;
}
