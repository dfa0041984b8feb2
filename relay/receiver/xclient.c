/* xclient.c -- the arguments of XCLIENT (Postfix's XCLIENT_README).
 *
 *	XCLIENT SP attribute=value …
 *
 * Values are xtext (RFC 3461, 4); "[UNAVAILABLE]" and "[TEMPUNAVAIL]", in any
 * case, say that the value is not known. What goes into Received and the log
 * is checked as if the client had said it itself: a value that may stand in
 * neither is an error, never repaired.
 */
#include "addr.h"
#include "receiver/smtp_path.h"
#include "receiver/xclient.h"

#define VALUE_MAX 255

static int
hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
xtext(struct arena *a, struct span in, struct span *out)
{
	char *p = arena_alloc(a, in.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '+') {
			int hi = i + 2 < in.n ? hex(in.p[i + 1]) : -1;
			int lo = i + 2 < in.n ? hex(in.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		}
		if (c < 33 || c > 126)	/* no header or log line may be opened by it */
			return false;
		p[n++] = c;
	}
	*out = span_make(p, n);
	return n <= VALUE_MAX;
}

static bool
set_addr(struct xclient *x, struct span v)
{
	static const struct span v6 = { "IPV6:", 5 };

	if (v.n == 0)
		return true;
	return ip_parse(span_starts_nocase(v, v6) ? span_from(v, v6.n) : v, &x->addr);
}

static bool
set_port(struct xclient *x, struct span v)
{
	uint32_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9' || i > 4)
			return false;
		n = 10 * n + (uint32_t)(v.p[i] - '0');
	}
	x->port = (uint16_t)n;
	return n <= 65535;
}

static bool
set(struct xclient *x, struct span key, struct span v)
{
	static const struct { const char *name; unsigned bit; } names[] = {
		{ "NAME", XCLIENT_NAME }, { "ADDR", XCLIENT_ADDR }, { "PORT", XCLIENT_PORT },
		{ "PROTO", XCLIENT_PROTO }, { "HELO", XCLIENT_HELO }, { "LOGIN", XCLIENT_LOGIN },
	};
	unsigned bit = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_is_nocase(key, names[i].name))
			bit = names[i].bit;
	x->has |= bit;
	switch (bit) {
	case XCLIENT_NAME:
		x->name = v;
		return v.n == 0 || smtp_helo_valid(v);
	case XCLIENT_ADDR:
		return set_addr(x, v);
	case XCLIENT_PORT:
		return set_port(x, v);
	case XCLIENT_PROTO:
		if (v.n == 0)
			x->has &= ~(unsigned)XCLIENT_PROTO;
		x->esmtp = span_is_nocase(v, "ESMTP");
		return x->esmtp || v.n == 0 || span_is_nocase(v, "SMTP");
	case XCLIENT_HELO:
		x->helo = v;
		return v.n == 0 || smtp_helo_valid(v);
	case XCLIENT_LOGIN:
		x->login = v;
		return true;
	default:
		return span_is_nocase(key, "DESTADDR") || span_is_nocase(key, "DESTPORT");
	}
}

bool
xclient_parse(struct arena *a, struct span args, struct xclient *x, struct span *bad)
{
	*x = (struct xclient){ 0 };
	*bad = args = span_trim(args);
	if (args.n == 0)
		return false;
	while (args.n) {
		struct span word = span_sub(args, 0, span_find(args, ' ')), value;
		size_t eq = span_find(word, '=');

		*bad = word;
		args = span_trim(span_from(args, word.n));
		if (eq == word.n || !xtext(a, span_from(word, eq + 1), &value))
			return false;
		if (span_is_nocase(value, "[UNAVAILABLE]") || span_is_nocase(value, "[TEMPUNAVAIL]"))
			value.n = 0;
		else if (value.n == 0)
			return false;
		if (!set(x, span_sub(word, 0, eq), value))
			return false;
	}
	return true;
}
