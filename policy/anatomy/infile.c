/* infile.c -- uuencode, its base64 form, yEnc, BinHex, data URLs within a text; see anatomy/infile.h.
 *
 * uuencode: POSIX.1-2017, uuencode, "Output"; yEnc: yenc-draft.1.3; BinHex 4.0: RFC 1741, appendix A;
 * data URLs: RFC 2397; the inline values of calendars and address cards: RFC 5545, 3.1.3, RFC 2426.
 *
 * Prose may say "begin 644 days ago" too: a sign counts only when what follows it is a
 * line of data. Decoders of mail readers are lenient, so is this one: missing spaces at a line's
 * end, a check character behind it, empty lines in between, no end line.
 */
#include "anatomy/infile.h"

#include <zlib.h>

#include "anatomy/decode.h"

static const struct span signs[INFILE_KINDS] = {
	[INFILE_UU] = { "begin ", 6 },
	[INFILE_BASE64] = { "begin-base64", 12 },
	[INFILE_YENC] = { "=ybegin ", 8 },
	[INFILE_BINHEX] = { "(This file must be converted with BinHex", 40 },
	[INFILE_DATA] = { "base64", 6 },
};

#define DATA_MIN 16		/* bytes of a data URL that are worth a part */

/* ";base64," of a data URL, or ";ENCODING=BASE64" of a calendar, in any case and anywhere. */
static size_t
data_find(struct span text, size_t at)
{
	while (at < text.n) {
		const char *p = memchr(text.p + at, '6', text.n - at);
		size_t i;

		if (p == NULL)
			break;
		i = (size_t)(p - text.p);
		at = i + 1;
		if (at == text.n || text.p[at] != '4')
			continue;
		at++;
		if (i >= 5 && span_eq_nocase(span_sub(text, i - 4, 6), signs[INFILE_DATA]) &&
		    ((text.p[i - 5] == ';' && at < text.n && text.p[at] == ',') ||
		    (i >= 13 && span_eq_nocase(span_sub(text, i - 13, 9), SPAN_LIT("encoding=")))))
			return i - 4;
	}
	return SIZE_MAX;
}

/* Where the line behind the one at `at` begins. A CR alone ends a line, too. */
static size_t
next_line(struct span text, size_t at)
{
	const char *p = text.p + at, *lf = memchr(p, '\n', text.n - at);
	size_t n = lf ? (size_t)(lf - p) + 1 : text.n - at;
	const char *cr = memchr(p, '\r', n);

	return cr && cr + 1 != lf ? at + (size_t)(cr - p) + 1 : at + n;
}

static bool
sign_at(struct span text, int kind, size_t at)
{
	return text.p[at] == signs[kind].p[0] && span_starts(span_from(text, at), signs[kind]);
}

/* Where the sign of a kind stands from `at` on: at the beginning of a line, but for data URLs. */
static size_t
sign_find(struct span text, int kind, size_t at)
{
	if (kind == INFILE_DATA)
		return data_find(text, at);
	if (at && at < text.n && text.p[at - 1] != '\n' && text.p[at - 1] != '\r')
		at = next_line(text, at);
	for (; at < text.n; at = next_line(text, at))
		if (sign_at(text, kind, at))
			return at;
	return SIZE_MAX;
}

/* All kinds in one walk: most texts have none. */
void
infiles_begin(struct infiles *s, struct span text)
{
	*s = (struct infiles){ .text = text };
	for (int k = 0; k < INFILE_KINDS; k++)
		s->next[k] = SIZE_MAX;
	s->next[INFILE_DATA] = data_find(text, 0);
	for (size_t at = 0; at < text.n; at = next_line(text, at)) {
		if (text.p[at] != 'b' && text.p[at] != '=' && text.p[at] != '(')
			continue;
		for (int k = 0; k < INFILE_KINDS; k++)
			if (k != INFILE_DATA && s->next[k] == SIZE_MAX && sign_at(text, k, at))
				s->next[k] = at;
	}
}

/* The line at *at without its end; *at moves behind it. */
static struct span
line_take(struct span text, size_t *at)
{
	struct span rest = span_from(text, *at), line;
	size_t n = span_find(rest, '\n');

	line = span_sub(rest, 0, n);
	*at += n < rest.n ? n + 1 : n;
	while (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* The word at the start of *s, which moves behind it and the space after it. */
static struct span
word_take(struct span *s)
{
	size_t n = span_find(*s, ' ');
	struct span word = span_sub(*s, 0, n);

	*s = span_from(*s, n < s->n ? n + 1 : n);
	return word;
}

/* --- uuencode ------------------------------------------------------------------------------ */

static bool
is_mode(struct span s)
{
	if (s.n < 3 || s.n > 6)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '7')
			return false;
	return true;
}

/* "begin 644 name": the name, false when it is prose. */
static bool
begin_read(struct span line, size_t skip, struct span *name)
{
	struct span rest = span_from(line, skip);

	while (rest.n && rest.p[0] == ' ')
		rest = span_from(rest, 1);
	if (!is_mode(word_take(&rest)))
		return false;
	*name = span_trim(rest);
	return true;
}

static unsigned
uu_value(char c)
{
	return ((unsigned char)c - 32u) & 63;
}

/* Bytes that a line promises; 0: it is no line of data. */
static unsigned
uu_length(struct span line)
{
	unsigned n, need;

	if (line.n == 0 || line.p[0] <= ' ' || line.p[0] > '`')
		return 0;
	n = uu_value(line.p[0]);
	need = (n + 2) / 3 * 4;
	/* Spaces may be lost at the end; a check character, or padding, may be too many. */
	if (n == 0 || line.n - 1 > need + 3)
		return 0;
	for (size_t i = 1; i < line.n; i++)
		if (line.p[i] < ' ' || line.p[i] > '`')
			return 0;
	return n;
}

static char *
uu_line(struct span line, unsigned n, char *o)
{
	for (size_t i = 1; n; i += 4) {
		unsigned v[4];

		for (size_t k = 0; k < 4; k++)
			v[k] = i + k < line.n ? uu_value(line.p[i + k]) : 0;
		*o++ = (char)(v[0] << 2 | v[1] >> 4);
		if (--n == 0)
			break;
		*o++ = (char)(v[1] << 4 | v[2] >> 2);
		if (--n == 0)
			break;
		*o++ = (char)(v[2] << 6 | v[3]);
		n--;
	}
	return o;
}

/* What a line within the file is: data of n bytes, nothing, or the end. */
enum uu_line { UU_DATA, UU_EMPTY, UU_END, UU_OTHER };

static enum uu_line
uu_classify(struct span line, unsigned *n)
{
	struct span s = span_trim(line);

	if (s.n == 0 || span_is(s, "`"))
		return UU_EMPTY;
	if (span_is(s, "end"))
		return UU_END;
	*n = uu_length(line);
	return *n ? UU_DATA : UU_OTHER;
}

static bool
uu_read(struct infiles *s, struct arena *a, size_t max, struct infile *f)
{
	size_t at = f->from, start, total = 0;
	enum uu_line what = UU_EMPTY;
	struct span line;
	unsigned n = 0;
	char *buf, *o;

	if (!begin_read(line_take(s->text, &at), signs[INFILE_UU].n, &f->name))
		return false;
	start = f->to = at;
	line = line_take(s->text, &at);
	n = uu_length(line);
	if (n == 0 || line.n - 1 < (n + 2) / 3 * 2)	/* prose, or half of it is missing */
		return false;
	for (at = start; at < s->text.n; f->to = at) {
		what = uu_classify(line_take(s->text, &at), &n);
		if (what == UU_OTHER)
			break;
		if (what == UU_DATA)
			total += n;
		if (what == UU_END) {
			f->to = at;
			break;
		}
	}
	f->broken = what != UU_END;
	f->cut = total > max;
	total = f->cut ? max : total;
	buf = o = arena_alloc(a, total);
	for (at = start; at < f->to;) {
		line = line_take(s->text, &at);
		if (uu_classify(line, &n) != UU_DATA)
			continue;
		if (n > total - (size_t)(o - buf))
			n = (unsigned)(total - (size_t)(o - buf));
		o = uu_line(line, n, o);
	}
	f->bytes = span_make(buf, (size_t)(o - buf));
	return true;
}

/* "begin-base64 644 name", ended by "====". */
static bool
base64_read(struct infiles *s, struct arena *a, size_t max, struct infile *f)
{
	size_t at = f->from, start, end;
	struct span line = line_take(s->text, &at), body;
	uint32_t defects = 0;
	char *buf;

	if (!begin_read(line, span_starts(line, SPAN_LIT("begin-base64-encoded ")) ? 21 :
	    signs[INFILE_BASE64].n, &f->name))
		return false;
	start = end = at;
	f->broken = true;
	while (at < s->text.n) {
		line = line_take(s->text, &at);
		if (span_starts(line, SPAN_LIT("===="))) {
			f->broken = false;
			break;
		}
		end = at;
	}
	f->to = at;
	body = span_sub(s->text, start, end - start);
	if (body.n / 4 > max / 3) {
		body.n = max / 3 * 4;
		f->cut = true;
	}
	buf = arena_alloc(a, body.n + 3);
	f->bytes = span_make(buf, decode_base64(body, buf, &defects));
	f->broken |= defects != 0;
	return f->bytes.n > 0;
}

/* --- yEnc ------------------------------------------------------------------------------------ */

/* The number behind " key=" in a line of yEnc. */
static bool
yenc_key(struct span line, const char *key, unsigned base, uint64_t *value)
{
	struct span k = span_str(key);
	const char *p = memmem(line.p, line.n, k.p, k.n);
	size_t i, start;

	if (p == NULL)
		return false;
	start = i = (size_t)(p - line.p) + k.n;
	*value = 0;
	for (; i < line.n && i - start < 16; i++) {
		int d = hex_value(line.p[i]);

		if (d < 0 || (unsigned)d >= base)
			break;
		*value = *value * base + (unsigned)d;
	}
	return i > start;
}

static bool
yenc_read(struct infiles *s, struct arena *a, size_t max, struct infile *f)
{
	size_t at = f->from, start, end;
	struct span head = line_take(s->text, &at), line, foot = { 0 };
	const char *name = memmem(head.p, head.n, " name=", 6);
	uint64_t size = 0, value;
	char *buf, *o;

	if (!yenc_key(head, " line=", 10, &value) || !yenc_key(head, " size=", 10, &size))
		return false;
	if (name)
		f->name = span_trim(span_from(head, (size_t)(name - head.p) + 6));
	f->partial = yenc_key(head, " part=", 10, &value) && (value > 1 ||
	    (yenc_key(head, " total=", 10, &value) && value > 1));
	start = end = at;
	line = line_take(s->text, &at);
	if (span_starts(line, SPAN_LIT("=ypart ")))
		start = end = at;
	else
		at = start;
	while (at < s->text.n) {
		size_t here = at;

		line = line_take(s->text, &at);
		if (span_starts(line, SPAN_LIT("=yend "))) {
			foot = line;
			break;
		}
		if (span_starts(line, signs[INFILE_YENC])) {
			at = here;
			break;
		}
		end = at;
	}
	f->to = at;
	if (end == start)
		return false;
	buf = o = arena_alloc(a, end - start);
	for (size_t i = start; i < end; i++) {
		unsigned char c = (unsigned char)s->text.p[i];

		if (c == '\r' || c == '\n')
			continue;
		if (c == '=' && i + 1 < end)
			c = (unsigned char)(s->text.p[++i] - 64);
		if ((size_t)(o - buf) >= max) {
			f->cut = true;
			break;
		}
		*o++ = (char)(c - 42);
	}
	f->bytes = span_make(buf, (size_t)(o - buf));
	f->broken = foot.n == 0 || (yenc_key(foot, " size=", 10, &value) && value != f->bytes.n);
	if (foot.n && (yenc_key(foot, " pcrc32=", 16, &value) ||
	    (!f->partial && yenc_key(foot, " crc32=", 16, &value))))
		f->broken |= crc32_z(0, (const Bytef *)f->bytes.p, f->bytes.n) != value;
	return true;
}

/* --- BinHex 4.0 -------------------------------------------------------------------------------- */

static const char binhex_alphabet[] =
    "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";

static uint16_t
crc16(struct span s)
{
	uint32_t crc = 0;

	/* CCITT's polynomial, from 0; the two bytes of the sum's own place count as zeros. */
	for (size_t i = 0; i < s.n; i++) {
		crc ^= (uint32_t)(unsigned char)s.p[i] << 8;
		for (int k = 0; k < 8; k++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
		crc &= 0xffff;
	}
	return (uint16_t)crc;
}

static uint32_t
be(const char *p, size_t n)
{
	uint32_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

struct runs {			/* undoes 0x90: the byte before it, so many times */
	char *p;
	size_t n, max;
	bool mark, cut;
};

static void
runs_put(struct runs *r, unsigned char c)
{
	size_t count = 1;

	if (r->mark) {
		r->mark = false;
		if (c) {
			count = c - 1u;
			if (r->n == 0)
				return;
			c = (unsigned char)r->p[r->n - 1];
		} else {
			c = 0x90;
		}
	} else if (c == 0x90) {
		r->mark = true;
		return;
	}
	if (count > r->max - r->n) {
		count = r->max - r->n;
		r->cut = true;
	}
	if (count)
		memset(r->p + r->n, c, count);
	r->n += count;
}

/* The forks of the file, their sums proved. */
static bool
forks_read(struct span s, struct infile *f)
{
	size_t name, at;
	uint32_t data, resource;

	if (s.n < 1)
		return false;
	name = (unsigned char)s.p[0];
	at = 1 + name + 1 + 4 + 4 + 2;
	if (name == 0 || name > 63 || s.n < at + 10)
		return false;
	f->name = span_sub(s, 1, name);
	data = be(s.p + at, 4);
	resource = be(s.p + at + 4, 4);
	if (crc16(span_sub(s, 0, at + 8)) != be(s.p + at + 8, 2))
		f->broken = true;
	at += 10;
	f->bytes = span_sub(s, at, data);
	if (f->bytes.n < data || s.n - at - data < 2) {
		f->broken = true;
		return true;
	}
	f->broken |= crc16(f->bytes) != be(s.p + at + data, 2);
	at += (size_t)data + 2;
	f->resource = span_sub(s, at, resource);
	f->broken |= f->resource.n < resource || s.n - at - resource < 2 ||
	    crc16(f->resource) != be(s.p + at + resource, 2);
	return true;
}

static bool
binhex_read(struct infiles *s, struct arena *a, size_t max, struct infile *f)
{
	static int8_t value[256];
	size_t at = f->from, colon, left;
	uint32_t bits = 0;
	unsigned have = 0;
	struct runs r = { 0 };
	struct span rest;

	if (value['!'] == value['"']) {
		memset(value, -1, sizeof(value));
		for (int i = 0; i < 64; i++)
			value[(unsigned char)binhex_alphabet[i]] = (int8_t)i;
	}
	line_take(s->text, &at);
	rest = span_from(s->text, at);
	while (rest.n && (rest.p[0] == '\r' || rest.p[0] == '\n' || ascii_is_wsp(rest.p[0])))
		rest = span_from(rest, 1);
	if (rest.n == 0 || rest.p[0] != ':')
		return false;
	rest = span_from(rest, 1);
	colon = span_find(rest, ':');
	f->broken = colon == rest.n;
	left = rest.n - colon;
	/* One run gives 254 bytes from three: the room grows as it is needed. */
	for (size_t i = 0; i < colon && !r.cut; i++) {
		unsigned char c = (unsigned char)rest.p[i];

		if (c == '\r' || c == '\n' || c == ' ' || c == '\t')
			continue;
		if (value[c] < 0) {
			f->broken = true;
			break;
		}
		bits = bits << 6 | (uint32_t)value[c];
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (r.max - r.n < 256 && r.max < max) {
			size_t more = r.max * 2 + 4096 < max ? r.max * 2 + 4096 : max;

			r.p = arena_grow(a, r.p, r.n, more);
			r.max = more;
		}
		runs_put(&r, (unsigned char)(bits >> have));
	}
	f->cut = r.cut;
	f->to = s->text.n - left + (left ? 1 : 0);
	return forks_read(span_make(r.p, r.n), f);
}

/* --- data URLs --------------------------------------------------------------------------------------- */

/* Where the value ends: at a quote or bracket in a URL, at a line without a fold in a calendar. */
static size_t
data_end(struct span text, size_t at, bool url)
{
	for (; at < text.n; at++) {
		char c = text.p[at];

		if (url && (c == '"' || c == '\'' || c == '(' || c == ')' || c == '<' || c == '>' || c == '\0'))
			break;
		if (!url && c == '\n' && (at + 1 == text.n || !ascii_is_wsp(text.p[at + 1])))
			break;
	}
	return at;
}

static struct span
percent_undo(struct arena *a, struct span s)
{
	char *p;
	size_t n = 0;

	if (s.n == 0 || memchr(s.p, '%', s.n) == NULL)
		return s;
	p = arena_alloc(a, s.n);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '%' && s.n - i > 2 && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0) {
			p[n++] = (char)(hex_value(s.p[i + 1]) << 4 | hex_value(s.p[i + 2]));
			i += 2;
		} else {
			p[n++] = s.p[i];
		}
	return span_make(p, n);
}

static bool
data_read(struct infiles *s, struct arena *a, size_t max, struct infile *f)
{
	size_t at = f->from + signs[INFILE_DATA].n;
	bool url = at < s->text.n && s->text.p[at] == ',';
	struct span value;
	uint32_t defects = 0;
	char *buf;

	if (!url)		/* further parameters may come before the colon */
		while (at < s->text.n && s->text.p[at] != ':' && s->text.p[at] != '\n')
			at++;
	f->to = at;
	if (at >= s->text.n || s->text.p[at] == '\n')
		return false;
	f->to = data_end(s->text, at + 1, url);
	value = span_sub(s->text, at + 1, f->to - at - 1);
	if (url)
		value = percent_undo(a, value);
	if (value.n / 4 > max / 3) {
		value.n = max / 3 * 4;
		f->cut = true;
	}
	if (value.n / 4 * 3 < DATA_MIN)
		return false;
	buf = arena_alloc(a, value.n + 3);
	f->bytes = span_make(buf, decode_base64(value, buf, &defects));
	f->broken = defects != 0;
	return f->bytes.n >= DATA_MIN;
}

/* --- all ----------------------------------------------------------------------------------------- */

bool
infiles_next(struct infiles *s, struct arena *a, size_t max, struct infile *out)
{
	static bool (*const readers[INFILE_KINDS])(struct infiles *, struct arena *, size_t,
	    struct infile *) = {
		[INFILE_UU] = uu_read, [INFILE_BASE64] = base64_read,
		[INFILE_YENC] = yenc_read, [INFILE_BINHEX] = binhex_read, [INFILE_DATA] = data_read,
	};

	for (;;) {
		int first = 0;
		bool found;

		for (int k = 1; k < INFILE_KINDS; k++)
			if (s->next[k] < s->next[first])
				first = k;
		if (s->next[first] == SIZE_MAX)
			return false;
		*out = (struct infile){ .kind = (enum infile_kind)first, .from = s->next[first],
			.name = span_make("", 0) };
		found = readers[first](s, a, max, out);
		/* Each kind goes its own way: what only looks like one file hides no other. */
		s->next[first] = sign_find(s->text, first, out->to > out->from ? out->to :
		    out->from + signs[first].n);
		if (found)
			return true;
	}
}
