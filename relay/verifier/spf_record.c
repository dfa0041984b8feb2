/* spf_record.c -- the text of an SPF record as terms; see spf_record.h. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "verifier/spf_macro.h"
#include "verifier/spf_record.h"

#define VERSION "v=spf1"

static const struct {
	const char *name;
	enum { NO_SPEC, MAY_SPEC, MUST_SPEC, MUST_NET } wants;
	bool cidr;
} mechanisms[] = {
	[SPF_ALL] = { "all", NO_SPEC, false },
	[SPF_INCLUDE] = { "include", MUST_SPEC, false },
	[SPF_A] = { "a", MAY_SPEC, true },
	[SPF_MX] = { "mx", MAY_SPEC, true },
	[SPF_PTR] = { "ptr", MAY_SPEC, false },
	[SPF_IP4] = { "ip4", MUST_NET, true },
	[SPF_IP6] = { "ip6", MUST_NET, true },
	[SPF_EXISTS] = { "exists", MUST_SPEC, false },
};
#define NMECHANISMS (sizeof(mechanisms) / sizeof(*mechanisms))

bool
spf_record_is(struct span txt)
{
	return span_starts_nocase(txt, SPAN_LIT(VERSION)) &&
	    (txt.n == sizeof(VERSION) - 1 || txt.p[sizeof(VERSION) - 1] == ' ');
}

bool
spf_term_asks(const struct spf_term *t)
{
	return t->kind != SPF_ALL && t->kind != SPF_IP4 && t->kind != SPF_IP6;
}

static bool
is_alpha(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ) */
static size_t
name_length(struct span s)
{
	size_t n = 0;

	if (s.n == 0 || !is_alpha(s.p[0]))
		return 0;
	while (n < s.n && (is_alpha(s.p[n]) || is_digit(s.p[n]) || s.p[n] == '-' || s.p[n] == '_' ||
	    s.p[n] == '.'))
		n++;
	return n;
}

/* "/" ( "0" / %x31-39 0*1DIGIT ) and so on: no leading zeros. */
static bool
prefix_length(struct span digits, unsigned max, uint8_t *out)
{
	unsigned v = 0;

	if (digits.n == 0 || digits.n > 3 || (digits.n > 1 && digits.p[0] == '0'))
		return false;
	for (size_t i = 0; i < digits.n; i++)
		v = v * 10 + (unsigned)(digits.p[i] - '0');
	*out = (uint8_t)v;
	return v <= max;
}

/* The digits at the end of s behind `slashes` slashes, cut off; n 0: there are none. */
static struct span
cut_digits(struct span *s, size_t slashes)
{
	size_t i = s->n;
	struct span digits;

	while (i > 0 && is_digit(s->p[i - 1]))
		i--;
	digits = span_from(*s, i);
	if (digits.n == 0 || i < slashes)
		return (struct span){ 0 };
	for (size_t k = 1; k <= slashes; k++)
		if (s->p[i - k] != '/')
			return (struct span){ 0 };
	*s = span_sub(*s, 0, i - slashes);
	return digits;
}

/* dual-cidr-length off the end; false: a length that is none. */
static bool
cut_dual(struct span *s, struct spf_term *t)
{
	struct span digits = cut_digits(s, 2);

	if (digits.n && !prefix_length(digits, 128, &t->bits6))
		return false;
	digits = cut_digits(s, 1);
	return digits.n == 0 || prefix_length(digits, 32, &t->bits4);
}

static bool
read_net(struct span s, struct spf_term *t)
{
	char text[48];
	bool v4 = t->kind == SPF_IP4;
	struct span digits;

	if (span_find(s, '/') < s.n) {
		digits = cut_digits(&s, 1);
		if (!prefix_length(digits, v4 ? 32 : 128, v4 ? &t->bits4 : &t->bits6))
			return false;
	}
	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	t->net.family = v4 ? 4 : 6;
	/* inet_pton takes neither short forms nor leading zeros nor zones. */
	return inet_pton(v4 ? AF_INET : AF_INET6, text, t->net.b) == 1;
}

static const char *
read_mechanism(struct span text, struct spf_term *t)
{
	static const char marks[] = "+-~?";
	static const enum auth_result results[] = { AUTH_PASS, AUTH_FAIL, AUTH_SOFTFAIL, AUTH_NEUTRAL };
	struct span rest = text, name;
	const char *mark;
	size_t k;

	*t = (struct spf_term){ .text = text, .result = AUTH_PASS, .bits4 = 32, .bits6 = 128 };
	if (rest.n && (mark = memchr(marks, rest.p[0], 4)) != NULL) {
		t->result = results[mark - marks];
		rest = span_from(rest, 1);
	}
	name = span_sub(rest, 0, name_length(rest));
	rest = span_from(rest, name.n);
	for (k = 0; k < NMECHANISMS; k++)
		if (span_is_nocase(name, mechanisms[k].name))
			break;
	if (k == NMECHANISMS)
		return rest.n && rest.p[0] == '=' ? "a modifier has no qualifier" :
		    "there is no such mechanism";
	t->kind = (enum spf_kind)k;
	if (mechanisms[k].wants == MUST_NET) {
		if (rest.n == 0 || rest.p[0] != ':' || !read_net(span_from(rest, 1), t))
			return "no network of that kind";
		return NULL;
	}
	if (mechanisms[k].cidr && !cut_dual(&rest, t))
		return "no prefix length";
	if (rest.n == 0)
		return mechanisms[k].wants == MUST_SPEC ? "a domain is missing" : NULL;
	if (rest.p[0] != ':' || mechanisms[k].wants == NO_SPEC)
		return "what stands behind its name does not belong there";
	t->spec = span_from(rest, 1);
	return spf_macro_domain_ok(t->spec) ? NULL : "no domain name, or a macro that is none";
}

static const char *
read_modifier(struct span name, struct span value, struct spf_record *r)
{
	struct span *known = span_is_nocase(name, "redirect") ? &r->redirect :
	    span_is_nocase(name, "exp") ? &r->exp : NULL;

	if (known == NULL)
		return spf_macro_ok(value) ? NULL : "a macro that is none";
	if (known->p)
		return "it stands there twice";
	*known = value;
	return spf_macro_domain_ok(value) ? NULL : "no domain name, or a macro that is none";
}

bool
spf_record_parse(struct arena *a, struct span txt, struct spf_record *out, struct span *problem)
{
	struct span rest = span_from(txt, sizeof(VERSION) - 1);
	struct spf_record r = { 0 };
	struct spf_term *terms;
	size_t max = 0;

	for (size_t i = 0; i < txt.n; i++) {
		if (txt.p[i] < ' ' || txt.p[i] > '~') {
			*problem = span_str(arena_printf(a, "the record holds the byte 0x%02x "
			    "(RFC 7208, 4.6)", (unsigned char)txt.p[i]));
			return false;
		}
		max += txt.p[i] == ' ';
	}
	r.terms = terms = arena_array(a, max, sizeof(*terms));
	while (rest.n) {
		struct span t;
		size_t n;
		const char *why;

		if (rest.p[0] == ' ') {
			rest = span_from(rest, 1);
			continue;
		}
		t = span_sub(rest, 0, span_find(rest, ' '));
		rest = span_from(rest, t.n);
		n = name_length(t);
		if (n && n < t.n && t.p[n] == '=') {
			why = read_modifier(span_sub(t, 0, n), span_from(t, n + 1), &r);
		} else {
			why = read_mechanism(t, &terms[r.n]);
			r.all |= why == NULL && terms[r.n].kind == SPF_ALL;
			r.n++;
		}
		if (why) {
			*problem = span_str(arena_printf(a, "`" SPAN_FMT "`: %s",
			    SPAN_ARG(span_sub(t, 0, 100)), why));
			return false;
		}
	}
	*out = r;
	return true;
}
