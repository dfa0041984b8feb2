/* json_scan.c -- see json_scan.h.
 *
 * The state is a place and one bit, so nothing nests here and nothing can be too deep. Whatever is not as it
 * should be moves the place to the end: all loops over members and items end there.
 */
#include "json_scan.h"

void
json_scan_init(struct json_scan *s, struct span text)
{
	*s = (struct json_scan){ text.p ? text.p : "", text.p ? text.p + text.n : "" };
}

static void
fail(struct json_scan *s)
{
	s->p = s->end;
}

/* What stands next behind white space; 0 at the end. */
static char
next(struct json_scan *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
		s->p++;
	return s->p < s->end ? *s->p : '\0';
}

/* What is between the quotes of a text; false: it does not end. */
static bool
text(struct json_scan *s, struct span *raw, bool *escaped)
{
	const char *from = s->p + 1, *p = from;

	*escaped = false;
	for (; p < s->end && *p != '"'; p++)
		if (*p == '\\') {
			*escaped = true;
			p++;
		}
	if (p >= s->end) {
		fail(s);
		return false;
	}
	*raw = span_make(from, (size_t)(p - from));
	s->p = p + 1;
	return true;
}

void
json_scan_skip(struct json_scan *s)
{
	size_t depth = 0;
	struct span raw;
	bool escaped;

	if (next(s) == '\0')
		return;
	do {
		switch (*s->p) {
		case '"':
			if (!text(s, &raw, &escaped))
				return;
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (depth == 0)		/* a value is missing */
				return;
			depth--;
			break;
		case ',':
			if (depth == 0)		/* behind a number, or a word */
				return;
			break;
		}
		s->p++;
	} while (s->p < s->end && (depth > 0 || (*s->p != ',' && *s->p != '}' && *s->p != ']')));
}

static bool
enter(struct json_scan *s, char open)
{
	if (next(s) != open) {
		json_scan_skip(s);
		return false;
	}
	s->p++;
	s->fresh = true;
	return true;
}

bool
json_scan_object(struct json_scan *s)
{
	return enter(s, '{');
}

bool
json_scan_array(struct json_scan *s)
{
	return enter(s, '[');
}

/* To the next one; false at the end, which is passed. */
static bool
advance(struct json_scan *s, char close)
{
	char c = next(s);

	if (c == close) {
		s->p++;
		s->fresh = false;	/* a value of what is around it */
		return false;
	}
	if (!s->fresh) {
		if (c != ',') {
			fail(s);
			return false;
		}
		s->p++;
	}
	s->fresh = false;
	return next(s) != '\0';
}

bool
json_scan_member(struct json_scan *s, struct span *key)
{
	bool escaped;

	if (!advance(s, '}'))
		return false;
	if (*s->p != '"' || !text(s, key, &escaped) || next(s) != ':') {
		fail(s);
		return false;
	}
	s->p++;
	return true;
}

bool
json_scan_item(struct json_scan *s)
{
	return advance(s, ']');
}

/* ---- texts ---- */

static bool
hex4(const char *p, const char *end, uint32_t *v)
{
	*v = 0;
	if (end - p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = ascii_lower(p[i]);

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		*v = *v << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	return true;
}

static char *
put_character(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
	} else if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
		*to++ = (char)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 63));
		*to++ = (char)(0x80 | (c & 63));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 63));
		*to++ = (char)(0x80 | (c >> 6 & 63));
		*to++ = (char)(0x80 | (c & 63));
	}
	return to;
}

/* Behind `\u`: one character, of one or two of them; half a pair is U+FFFD. */
static const char *
unescape_u(const char *p, const char *end, char **to)
{
	uint32_t c, low;

	if (!hex4(p, end, &c)) {
		*to = put_character(*to, '?');	/* U+FFFD is longer than what stands there */
		return p;
	}
	p += 4;
	if (c >= 0xd800 && c <= 0xdbff && end - p >= 6 && p[0] == '\\' && p[1] == 'u' && hex4(p + 2, end, &low) &&
	    low >= 0xdc00 && low <= 0xdfff) {
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		p += 6;
	} else if (c >= 0xd800 && c <= 0xdfff) {
		c = 0xfffd;
	}
	*to = put_character(*to, c);
	return p;
}

/* An escape is never shorter than what it stands for. */
static struct span
unescape(struct span raw, struct arena *a)
{
	static const char from[] = "bfnrt", is[] = "\b\f\n\r\t";
	char *out = arena_alloc(a, raw.n), *to = out;
	const char *end = raw.p + raw.n;

	for (const char *p = raw.p; p < end;) {
		const char *known;

		if (*p != '\\' || p + 1 == end) {
			*to++ = *p++;
			continue;
		}
		p++;
		if (*p == 'u') {
			p = unescape_u(p + 1, end, &to);
			continue;
		}
		known = memchr(from, *p, sizeof(from) - 1);
		*to++ = known ? is[known - from] : *p;
		p++;
	}
	return span_make(out, (size_t)(to - out));
}

bool
json_scan_text(struct json_scan *s, struct arena *a, struct span *out)
{
	struct span raw;
	bool escaped;

	if (next(s) != '"') {
		json_scan_skip(s);
		return false;
	}
	if (!text(s, &raw, &escaped))
		return false;
	*out = escaped ? unescape(raw, a) : raw;
	return true;
}
