/* widen.c -- translates a PCRE2 pattern into a wider one over bytes; see widen.h.
 *
 * Hyperscan compiles Unicode classes slowly (`\w{5}` half a second, half a
 * megabyte) and knows another Unicode than PCRE2 does. So its copy of a pattern
 * is a regular expression over bytes in which a character above 127 is any
 * bytes above 127: `\d{4}` becomes [0-9\x80-\xff]{4,16}. Anchors, word boundaries
 * and look-around are left out, laziness and atomic groups are forgotten, a
 * back-reference is anything, long repetitions lose their upper bound. Each of
 * these widens. Whatever is not understood ends the translation.
 */
#include "buf.h"
#include "utf8.h"
#include "widen.h"

#define OUT_MAX ((size_t)64 << 10)
#define MANY UINT32_MAX
#define SET_TIMES 16u		/* repetitions of a class that are still counted */
#define GROUP_TIMES 8u

struct set {			/* of characters: exact in ASCII, all or nothing above */
	bool has[128];
	bool high;
};

enum piece { PIECE_NOTHING, PIECE_SET, PIECE_CHAR, PIECE_ANYTHING, PIECE_LINE_END };

struct widen {
	struct span s;
	size_t at;
	struct buf out;
	bool caseless;
	bool failed;
};

static int
peek(const struct widen *w, size_t ahead)
{
	return w->at + ahead < w->s.n ? (uint8_t)w->s.p[w->at + ahead] : -1;
}

static bool
looking_at(const struct widen *w, const char *text)
{
	return span_starts(span_from(w->s, w->at), span_str(text));
}

/* --- sets --------------------------------------------------------------------------- */

static void
set_range(struct set *s, uint32_t from, uint32_t to)
{
	for (uint32_t c = from; c <= to && c < 128; c++)
		s->has[c] = true;
	if (to >= 128)
		s->high = true;
}

/* The set of \d, \w … ; false: none of these letters. Capitals are the others. */
static bool
set_escape(struct set *s, char letter)
{
	struct set t = { .high = true };

	switch (letter | 32) {
	case 'd':
		set_range(&t, '0', '9');
		break;
	case 'w':
		set_range(&t, '0', '9');
		set_range(&t, 'A', 'Z');
		set_range(&t, 'a', 'z');
		set_range(&t, '_', '_');
		break;
	case 's':
		set_range(&t, '\t', '\r');
		set_range(&t, ' ', ' ');
		break;
	case 'h':
		set_range(&t, '\t', '\t');
		set_range(&t, ' ', ' ');
		break;
	case 'v':
		set_range(&t, '\n', '\r');
		break;
	default:
		return false;
	}
	for (size_t i = 0; i < 128; i++)
		s->has[i] |= (letter & 32) ? t.has[i] : !t.has[i];
	s->high = true;
	return true;
}

static void
set_fold(struct set *s)
{
	for (int c = 'A'; c <= 'Z'; c++)
		s->has[c] = s->has[c | 32] = s->has[c] || s->has[c | 32];
}

/* U+017F and U+212A are s and k to a caseless match. */
static void
set_fold_high(struct set *s)
{
	if (s->high)
		s->has['s'] = s->has['S'] = s->has['k'] = s->has['K'] = true;
	if (s->has['s'] || s->has['k'])
		s->high = true;
}

static void
put_byte(struct widen *w, unsigned c)
{
	buf_printf(&w->out, "\\x%02x", c);
}

static void
put_times(struct widen *w, uint32_t min, uint32_t max)
{
	if (max == MANY)
		buf_printf(&w->out, "{%u,}", min);
	else if (min != 1 || max != 1)
		buf_printf(&w->out, "{%u,%u}", min, max);
}

/* min to max characters of the set, as bytes. */
static void
put_set(struct widen *w, const struct set *s, uint32_t min, uint32_t max)
{
	bool any = s->high;

	buf_putc(&w->out, '[');
	for (unsigned c = 0; c < 128; c++) {
		unsigned to = c;

		if (!s->has[c])
			continue;
		any = true;
		while (to + 1 < 128 && s->has[to + 1])
			to++;
		put_byte(w, c);
		buf_putc(&w->out, '-');
		put_byte(w, to);
		c = to;
	}
	if (s->high)
		buf_puts(&w->out, "\\x80-\\xff");
	buf_putc(&w->out, ']');
	w->failed |= !any;
	if (max > SET_TIMES)
		max = MANY;
	if (min > SET_TIMES)
		min = SET_TIMES;
	put_times(w, min, max != MANY && s->high ? max * 4 : max);
}

/* --- what stands in a pattern ------------------------------------------------------- */

static int
hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t
hex_escape(struct widen *w)
{
	uint32_t v = 0;

	if (peek(w, 0) == '{') {
		for (w->at++; hex_digit(peek(w, 0)) >= 0; w->at++)
			v = v * 16 + (uint32_t)hex_digit(peek(w, 0));
		w->failed |= peek(w, 0) != '}' || v > 0x10ffff;
		w->at++;
		return v;
	}
	for (int i = 0; i < 2 && hex_digit(peek(w, 0)) >= 0; i++, w->at++)
		v = v * 16 + (uint32_t)hex_digit(peek(w, 0));
	return v;
}

/* Behind a backslash. */
static enum piece
escape(struct widen *w, bool class, struct set *s, uint32_t *c)
{
	int e = peek(w, 0);

	w->at++;
	*s = (struct set){ 0 };
	if (e > 0 && set_escape(s, (char)e))
		return PIECE_SET;
	switch (e) {
	case 'a': *c = 7; return PIECE_CHAR;
	case 'e': *c = 27; return PIECE_CHAR;
	case 'f': *c = 12; return PIECE_CHAR;
	case 'n': *c = 10; return PIECE_CHAR;
	case 'r': *c = 13; return PIECE_CHAR;
	case 't': *c = 9; return PIECE_CHAR;
	case 'x':
		*c = hex_escape(w);
		return PIECE_CHAR;
	case 'p': case 'P':
		set_range(s, 0, 128);
		if (peek(w, 0) == '{') {
			while (peek(w, 0) >= 0 && peek(w, 0) != '}')
				w->at++;
		}
		w->at++;
		return PIECE_SET;
	case 'b':
		*c = 8;
		return class ? PIECE_CHAR : PIECE_NOTHING;
	case 'B': case 'A': case 'z': case 'Z': case 'G': case 'K':
		w->failed |= class;
		return PIECE_NOTHING;
	case 'R':
		w->failed |= class;
		return PIECE_LINE_END;
	case 'N':
		w->failed |= class || peek(w, 0) == '{';
		set_range(s, 0, 128);
		return PIECE_SET;
	default:
		break;
	}
	if (e >= '1' && e <= '9') {
		w->failed |= class || (peek(w, 0) >= '0' && peek(w, 0) <= '9');
		return PIECE_ANYTHING;
	}
	w->failed |= e < 0 || e >= 0x80 || (e >= '0' && e <= '9') ||
	    ((e | 32) >= 'a' && (e | 32) <= 'z');
	*c = (uint32_t)e;
	return PIECE_CHAR;
}

static uint32_t
character(struct widen *w)
{
	uint32_t c = 0;
	size_t n = w->at < w->s.n ? utf8_next(w->s.p + w->at, w->s.n - w->at, &c) : 0;

	w->failed |= n == 0;
	w->at += n ? n : 1;
	return c;
}

/* One character or set within a class; true: a character. */
static bool
class_item(struct widen *w, struct set *s, uint32_t *c)
{
	if (peek(w, 0) != '\\') {
		*c = character(w);
		return true;
	}
	w->at++;
	w->failed |= peek(w, 0) == 'p' || peek(w, 0) == 'P';
	return escape(w, true, s, c) == PIECE_CHAR;
}

/* Behind the opening bracket. */
static void
class_read(struct widen *w, struct set *out)
{
	bool negated = peek(w, 0) == '^';

	*out = (struct set){ 0 };
	w->at += negated;
	for (bool first = true; !w->failed && (first || peek(w, 0) != ']'); first = false) {
		struct set s = { 0 };
		uint32_t from = 0, to = 0;

		if (peek(w, 0) < 0 || looking_at(w, "[:") || looking_at(w, "[.") ||
		    looking_at(w, "[="))
			w->failed = true;
		else if (!class_item(w, &s, &from)) {
			for (size_t i = 0; i < 128; i++)
				out->has[i] |= s.has[i];
			out->high |= s.high;
		} else if (peek(w, 0) == '-' && peek(w, 1) != ']' && peek(w, 1) >= 0) {
			w->at++;
			/* A range that ends in a set is PCRE2's affair. */
			w->failed |= peek(w, 0) == '[' || !class_item(w, &s, &to);
			set_range(out, from, to);
		} else {
			set_range(out, from, from);
		}
	}
	w->at++;
	if (w->caseless)
		set_fold(out);
	if (w->caseless && !negated)
		set_fold_high(out);
	if (negated) {
		for (size_t i = 0; i < 128; i++)
			out->has[i] = !out->has[i];
		out->high = true;
	}
}

/* The quantifier here, if any; {1,1} otherwise. */
static void
times_read(struct widen *w, uint32_t *min, uint32_t *max)
{
	size_t at = w->at;
	uint32_t v[2] = { 0, 0 };
	size_t i = 0;
	bool digits = false;

	*min = *max = 1;
	switch (peek(w, 0)) {
	case '*':
		*min = 0;
		*max = MANY;
		break;
	case '+':
		*max = MANY;
		break;
	case '?':
		*min = 0;
		break;
	case '{':
		for (w->at++; peek(w, 0) >= 0; w->at++) {
			int c = peek(w, 0);

			if (c >= '0' && c <= '9' && v[i] < 100000) {
				v[i] = v[i] * 10 + (uint32_t)(c - '0');
				digits = true;
			} else if (c == ',' && i == 0 && digits) {
				i = 1;
				digits = false;
			} else {
				break;
			}
		}
		if (peek(w, 0) != '}' || (i == 0 && !digits)) {
			w->at = at;	/* a brace like any other character */
			return;
		}
		*min = v[0];
		*max = i == 0 ? v[0] : digits ? v[1] : MANY;
		break;
	default:
		return;
	}
	w->at++;
	if (peek(w, 0) == '?' || peek(w, 0) == '+')
		w->at++;
}

static void
char_put(struct widen *w, uint32_t c)
{
	uint32_t min, max;
	char bytes[4];
	size_t n = 0;

	times_read(w, &min, &max);
	if (c < 0x80 || w->caseless) {
		struct set s = { 0 };

		set_range(&s, c, c);
		if (w->caseless) {
			set_fold(&s);
			set_fold_high(&s);
		}
		put_set(w, &s, min, max);
		return;
	}
	if (c < 0x800) {
		bytes[n++] = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		bytes[n++] = (char)(0xe0 | c >> 12);
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		bytes[n++] = (char)(0xf0 | c >> 18);
		bytes[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[n++] = (char)(0x80 | (c >> 6 & 0x3f));
	}
	bytes[n++] = (char)(0x80 | (c & 0x3f));
	buf_puts(&w->out, "(?:");
	for (size_t i = 0; i < n; i++)
		put_byte(w, (uint8_t)bytes[i]);
	buf_putc(&w->out, ')');
	put_times(w, min < SET_TIMES ? min : SET_TIMES, max > SET_TIMES ? MANY : max);
}

static void alternatives(struct widen *w);

static void
skip_behind(struct widen *w, char c)
{
	while (peek(w, 0) >= 0 && peek(w, 0) != c)
		w->at++;
	w->at++;
}

/* Behind "(?": letters that switch options. true: the group ends with them. */
static bool
options_read(struct widen *w)
{
	bool on = true;

	for (;; w->at++) {
		switch (peek(w, 0)) {
		case '-':
			on = false;
			break;
		case 'i':
			w->caseless = on;
			break;
		case 'm': case 's': case 'n': case 'J': case 'U':
			break;
		case ')':
			w->at++;
			return true;
		case ':':
			w->at++;
			return false;
		default:
			w->failed = true;
			return true;
		}
	}
}

/* Behind the opening parenthesis. */
static void
group(struct widen *w)
{
	bool caseless = w->caseless, dropped = false;
	size_t begin = w->out.n;
	uint32_t min, max;

	if (peek(w, 0) == '*') {
		w->failed = true;
		return;
	}
	if (peek(w, 0) == '?') {
		w->at++;
		if (looking_at(w, "=") || looking_at(w, "!") || looking_at(w, "<=") ||
		    looking_at(w, "<!")) {
			dropped = true;
			w->at += peek(w, 0) == '<' ? 2 : 1;
		} else if (looking_at(w, "P<") || looking_at(w, "<")) {
			skip_behind(w, '>');
		} else if (looking_at(w, "'")) {
			w->at++;
			skip_behind(w, '\'');
		} else if (looking_at(w, ">") || looking_at(w, "|")) {
			w->at++;
		} else if (options_read(w)) {
			return;		/* for the rest of the group around */
		}
	}
	buf_puts(&w->out, "(?:");
	alternatives(w);
	w->failed |= peek(w, 0) != ')';
	w->at++;
	w->caseless = caseless;
	times_read(w, &min, &max);
	if (w->failed || w->out.failed)
		return;
	if (dropped) {
		w->out.n = begin;
		return;
	}
	buf_putc(&w->out, ')');
	put_times(w, min < GROUP_TIMES ? min : GROUP_TIMES, max > GROUP_TIMES ? MANY : max);
}

static void
piece(struct widen *w)
{
	struct set s = { 0 };
	uint32_t c = 0, min, max;
	enum piece kind = PIECE_SET;

	switch (peek(w, 0)) {
	case '(':
		w->at++;
		group(w);
		return;
	case '[':
		w->at++;
		class_read(w, &s);
		break;
	case '.':
		w->at++;
		set_range(&s, 0, 128);
		break;
	case '^': case '$':
		w->at++;
		kind = PIECE_NOTHING;
		break;
	case '\\':
		w->at++;
		kind = escape(w, false, &s, &c);
		break;
	default:
		c = character(w);
		kind = PIECE_CHAR;
		break;
	}
	if (kind == PIECE_CHAR) {
		char_put(w, c);
		return;
	}
	times_read(w, &min, &max);
	switch (kind) {
	case PIECE_SET:
		put_set(w, &s, min, max);
		break;
	case PIECE_ANYTHING:
		buf_puts(&w->out, "[\\x00-\\xff]*");
		break;
	case PIECE_LINE_END:
		buf_puts(&w->out, "[\\x0a-\\x0d\\x80-\\xff]");
		put_times(w, min < SET_TIMES ? min : SET_TIMES, MANY);
		break;
	default:
		break;
	}
}

static void
alternatives(struct widen *w)
{
	while (!w->failed && !w->out.failed && peek(w, 0) >= 0 && peek(w, 0) != ')') {
		if (peek(w, 0) == '|') {
			w->at++;
			buf_putc(&w->out, '|');
		} else {
			piece(w);
		}
	}
}

char *
pattern_widen(struct arena *a, struct span pattern)
{
	struct widen w = { .s = pattern };
	char *out = NULL;

	buf_init(&w.out, OUT_MAX);
	alternatives(&w);
	if (!w.failed && !w.out.failed && w.at >= pattern.n)
		out = arena_str(a, buf_data(&w.out));
	buf_release(&w.out);
	return out;
}
