/* smtp_dsn.c -- the parameters of RFC 3461: RET and ENVID of MAIL, NOTIFY and ORCPT of RCPT.
 *
 * They are kept as they were sent (xtext and all), so that the next hop gets
 * the same; what they say is checked here, once: everything behind believes it.
 */
#include <ctype.h>

#include "receiver/smtp_dsn.h"
#include "utf8.h"

#define ENVID_MAX 100		/* RFC 3461, 4.4 */
#define ORCPT_MAX 500		/* RFC 3461, 4.2 */

static int
hex(char c)
{
	/* RFC 3461, 4: upper case only */
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* xtext that stands for printable ASCII, which is all a notification may repeat (4.4). wide:
 * for bytes above 127 too, as Postfix writes a UTF-8 address into an ORCPT of rfc822. */
static bool
xtext(struct span s, bool wide)
{
	for (size_t i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];

		if (c < '!' || c > '~' || c == '=')
			return false;
		if (c != '+')
			continue;
		if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
			return false;
		c = hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]);
		if (c < ' ' || c == 0x7f || (c > 0x7f && !wide))
			return false;
		i += 2;
	}
	return true;
}

/* RFC 6533, 3: utf-8-addr-xtext and utf-8-addr-unitext; the latter only under SMTPUTF8. */
static bool
unitext(struct span s, bool utf8)
{
	for (size_t i = 0; i < s.n; ) {
		uint32_t cp;
		size_t n = utf8_next(s.p + i, s.n - i, &cp);

		if (n == 0 || cp <= ' ' || (cp >= 0x7f && cp < 0xa0) || (n > 1 && !utf8) ||
		    cp == '=')
			return false;
		i += n;
	}
	return true;
}

static bool
addr_type(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-')
			return false;
	return s.n > 0 && s.n <= 40;
}

static bool
orcpt(struct span v, bool utf8)
{
	size_t semi = span_find(v, ';');
	struct span type = span_sub(v, 0, semi), addr = span_from(v, semi + 1);

	if (v.n > ORCPT_MAX || semi == v.n || addr.n == 0 || !addr_type(type))
		return false;
	return span_is_nocase(type, "utf-8") ? unitext(addr, utf8) : xtext(addr, true);
}

/* NEVER, or a list of the others (4.1). */
static uint8_t
notify(struct span v)
{
	uint8_t all = 0, one;

	do {
		struct span word = span_sub(v, 0, span_find(v, ','));

		if (span_is_nocase(word, "NEVER"))
			one = NOTIFY_NEVER;
		else if (span_is_nocase(word, "SUCCESS"))
			one = NOTIFY_SUCCESS;
		else if (span_is_nocase(word, "FAILURE"))
			one = NOTIFY_FAILURE;
		else if (span_is_nocase(word, "DELAY"))
			one = NOTIFY_DELAY;
		else
			return 0;
		if (all & one)
			return 0;
		all |= one;
		if (word.n + 1 == v.n)		/* a comma at the end */
			return 0;
		v = span_from(v, word.n + 1);
	} while (v.n);
	return (all & NOTIFY_NEVER) && all != NOTIFY_NEVER ? 0 : all;
}

enum param_status
smtp_dsn_mail(struct arena *a, struct envelope *env, struct span key, struct span value)
{
	if (span_is_nocase(key, "RET")) {
		if (env->ret != RET_NONE)
			return PARAM_BAD;
		env->ret = span_is_nocase(value, "FULL") ? RET_FULL :
		    span_is_nocase(value, "HDRS") ? RET_HDRS : RET_NONE;
		return env->ret == RET_NONE ? PARAM_BAD : PARAM_OK;
	}
	if (!span_is_nocase(key, "ENVID"))
		return PARAM_OTHER;
	if (env->envid.n || value.n == 0 || value.n > ENVID_MAX || !xtext(value, false))
		return PARAM_BAD;
	env->envid = arena_span(a, value);
	return PARAM_OK;
}

enum param_status
smtp_dsn_rcpt(struct arena *a, struct recipient *r, bool utf8, struct span key,
    struct span value)
{
	if (span_is_nocase(key, "NOTIFY")) {
		if (r->notify != NOTIFY_DEFAULT)
			return PARAM_BAD;
		r->notify = notify(value);
		return r->notify == NOTIFY_DEFAULT ? PARAM_BAD : PARAM_OK;
	}
	if (!span_is_nocase(key, "ORCPT"))
		return PARAM_OTHER;
	if (r->orcpt.n || !orcpt(value, utf8))
		return PARAM_BAD;
	r->orcpt = arena_span(a, value);
	return PARAM_OK;
}
