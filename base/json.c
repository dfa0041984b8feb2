/* json.c -- writes JSON into a buf; see json.h.
 *
 * The writer keeps one bit for each depth: has a value been written there?
 * That is all a comma needs. A full buffer shows in buf_failed at the end.
 */
#include <math.h>

#include "json.h"
#include "postern/err.h"
#include "utf8.h"

void
json_begin(struct json *j, struct buf *b)
{
	*j = (struct json){ .b = b };
}

/* What stands before a value: nothing behind a key, else a comma when needed.
 * At depth 0 nothing: the caller parts its values (JSON lines). */
static void
before_value(struct json *j)
{
	uint64_t bit = UINT64_C(1) << j->depth;

	if (j->after_key) {
		j->after_key = false;
		return;
	}
	if (j->depth > 0 && (j->has & bit))
		buf_putc(j->b, ',');
	j->has |= bit;
}

static void
open_level(struct json *j, char c)
{
	before_value(j);
	ASSERT(j->depth < JSON_DEPTH_MAX);
	j->depth++;
	j->has &= ~(UINT64_C(1) << j->depth);
	buf_putc(j->b, c);
}

static void
close_level(struct json *j, char c)
{
	ASSERT(j->depth > 0 && !j->after_key);
	j->depth--;
	buf_putc(j->b, c);
}

void
json_object(struct json *j)
{
	open_level(j, '{');
}

void
json_end_object(struct json *j)
{
	close_level(j, '}');
}

void
json_array(struct json *j)
{
	open_level(j, '[');
}

void
json_end_array(struct json *j)
{
	close_level(j, ']');
}

static void
put_escape(struct buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char u[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	switch (c) {
	case '"': buf_put(b, "\\\"", 2); break;
	case '\\': buf_put(b, "\\\\", 2); break;
	case '\b': buf_put(b, "\\b", 2); break;
	case '\f': buf_put(b, "\\f", 2); break;
	case '\n': buf_put(b, "\\n", 2); break;
	case '\r': buf_put(b, "\\r", 2); break;
	case '\t': buf_put(b, "\\t", 2); break;
	default: buf_put(b, u, 6); break;
	}
}

static void
put_string(struct buf *b, struct span s)
{
	size_t from = 0, i = 0;

	buf_putc(b, '"');
	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];
		uint32_t cp;
		size_t len;

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			i++;
			continue;
		}
		if (c >= 0x80 && (len = utf8_next(s.p + i, s.n - i, &cp)) != 0) {
			i += len;
			continue;
		}
		buf_put(b, s.p + from, i - from);
		if (c >= 0x80)
			buf_put(b, "\xef\xbf\xbd", 3);
		else
			put_escape(b, c);
		from = ++i;
	}
	if (s.n)
		buf_put(b, s.p + from, s.n - from);
	buf_putc(b, '"');
}

void
json_key(struct json *j, const char *key)
{
	ASSERT(j->depth > 0 && !j->after_key);
	before_value(j);
	put_string(j->b, span_str(key));
	buf_putc(j->b, ':');
	j->after_key = true;
}

void
json_str(struct json *j, struct span s)
{
	before_value(j);
	put_string(j->b, s);
}

void
json_cstr(struct json *j, const char *s)
{
	if (s == NULL)
		json_null(j);
	else
		json_str(j, span_str(s));
}

static void
put_uint(struct buf *b, uint64_t v)
{
	char t[20], *p = t + sizeof(t);

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	buf_put(b, p, (size_t)(t + sizeof(t) - p));
}

void
json_int(struct json *j, int64_t v)
{
	before_value(j);
	if (v < 0)
		buf_putc(j->b, '-');
	put_uint(j->b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void
json_uint(struct json *j, uint64_t v)
{
	before_value(j);
	put_uint(j->b, v);
}

/* v where it is a whole number of thousandths, as times and scores are: false, when printf must round. */
static bool
put_thousandths(struct buf *b, double v)
{
	int64_t n;

	if (fabs(v) >= 1e9)
		return false;
	n = llrint(v * 1000);
	if ((double)n / 1000 != v)
		return false;
	if (n < 0)
		buf_putc(b, '-');
	n = n < 0 ? -n : n;
	put_uint(b, (uint64_t)n / 1000);
	if (n % 1000) {
		char t[4] = { '.', (char)('0' + n / 100 % 10), (char)('0' + n / 10 % 10), (char)('0' + n % 10) };

		buf_put(b, t, n % 10 ? 4 : n % 100 ? 3 : 2);
	}
	return true;
}

/* JSON has no NaN and no infinity: null. Beyond 2^53 a reader would lose
 * digits anyway, so the exponent form serves there. */
void
json_num(struct json *j, double v)
{
	char t[64];
	char *dot;

	before_value(j);
	if (!isfinite(v)) {
		buf_puts(j->b, "null");
		return;
	}
	if (put_thousandths(j->b, v))
		return;
	if (fabs(v) >= 9e15) {
		snprintf(t, sizeof(t), "%.17g", v);
		if ((dot = strchr(t, ',')) != NULL)
			*dot = '.';
		buf_puts(j->b, t);
		return;
	}
	snprintf(t, sizeof(t), "%.3f", v);
	if ((dot = strpbrk(t, ".,")) != NULL) {		/* a locale may write a comma */
		size_t n = strlen(t);

		*dot = '.';
		while (t[n - 1] == '0')
			t[--n] = '\0';
		if (t[n - 1] == '.')
			t[--n] = '\0';
	}
	buf_puts(j->b, strcmp(t, "-0") == 0 ? "0" : t);
}

void
json_bool(struct json *j, bool v)
{
	before_value(j);
	buf_puts(j->b, v ? "true" : "false");
}

void
json_null(struct json *j)
{
	before_value(j);
	buf_puts(j->b, "null");
}

void
json_raw(struct json *j, struct span already_json)
{
	before_value(j);
	buf_span(j->b, already_json);
}

void
json_kstr(struct json *j, const char *key, struct span s)
{
	json_key(j, key);
	json_str(j, s);
}

void
json_kcstr(struct json *j, const char *key, const char *s)
{
	json_key(j, key);
	json_cstr(j, s);
}

void
json_kint(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	json_int(j, v);
}

void
json_kuint(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_uint(j, v);
}

void
json_kbool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}
