/* upstream.c -- whom a trusted relay in front of us got a message from; see upstream.h.
 *
 * A Received field mixes what its writer saw (the address of the connection) with what the
 * client said (HELO), and each program in its own way. Only the former is taken, from the places
 * where the programs below put it; an address that stands alone where HELO stands is not believed.
 */
#include "receiver/gate.h"
#include "receiver/upstream.h"

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span
skip_space(struct span s)
{
	while (s.n && is_space(s.p[0]))
		s = span_from(s, 1);
	return s;
}

static struct span
word(struct span *s)
{
	struct span w;
	size_t n = 0;

	*s = skip_space(*s);
	while (n < s->n && !is_space(s->p[n]) && s->p[n] != '(' && s->p[n] != ';')
		n++;
	w = span_sub(*s, 0, n);
	*s = span_from(*s, n);
	return w;
}

/* What stands in the brackets that s begins with; false: it does not, or they do not close. */
static bool
comment(struct span *s, struct span *inside)
{
	unsigned depth = 0;

	*s = skip_space(*s);
	for (size_t i = 0; i < s->n; i++) {
		if (s->p[i] == '(')
			depth++;
		else if (depth == 0)
			return false;
		else if (s->p[i] == '\\')
			i++;
		else if (s->p[i] == ')' && --depth == 0) {
			*inside = span_trim(span_sub(*s, 1, i - 1));
			*s = span_from(*s, i + 1);
			return true;
		}
	}
	return false;
}

/* "10.1.2.3", "[10.1.2.3]", "[IPv6:2001:db8::1]" */
static bool
address(struct span s, struct ip *ip)
{
	if (s.n && s.p[0] == '[') {
		s = span_from(s, 1);
		s = span_sub(s, 0, span_find(s, ']'));
	}
	if (span_starts_nocase(s, SPAN_LIT("IPv6:")))
		s = span_from(s, 5);
	return ip_parse(s, ip);
}

/* helo=NAME in a comment of Exim. */
static struct span
exim_helo(struct span c)
{
	while (c.n) {
		struct span w = word(&c);

		if (span_starts_nocase(w, SPAN_LIT("helo=")))
			return span_from(w, 5);
		if (w.n == 0)
			c = span_from(c, 1);
	}
	return SPAN_LIT("");
}

bool
received_from(struct span v, struct origin *out)
{
	struct span first, c, bracket;

	*out = (struct origin){ 0 };
	if (!span_is_nocase(word(&v), "from"))
		return false;
	first = word(&v);
	out->helo = first;
	if (!comment(&v, &c))
		return false;
	bracket = span_from(c, span_find(c, '['));
	if (span_starts_nocase(c, SPAN_LIT("HELO ")) || span_starts_nocase(c, SPAN_LIT("EHLO "))) {
		/* qmail: from NAME (HELO h) (ADDRESS) */
		out->name = first;
		out->helo = span_trim(span_from(c, 5));
		if (!comment(&v, &c))
			return false;
		return address(span_from(c, span_find(c, '@') < c.n ? span_find(c, '@') + 1 : 0),
		    &out->ip);
	}
	if (first.n && first.p[0] == '[' && (span_starts_nocase(c, SPAN_LIT("helo=")) ||
	    span_starts_nocase(c, SPAN_LIT("port=")))) {
		/* Exim, no name: from [ADDRESS] (helo=h) */
		out->helo = exim_helo(c);
		return address(first, &out->ip);
	}
	if (bracket.n == 0)	/* Exchange: from h (ADDRESS) */
		return address(c, &out->ip);
	if (c.p[0] == '[' && exim_helo(c).n) {	/* Exim: from NAME ([ADDRESS] helo=h) */
		out->name = first;
		out->helo = exim_helo(c);
	} else		/* Postfix, Sendmail: from h (NAME [ADDRESS]) */
		out->name = span_trim(span_sub(c, 0, c.n - bracket.n));
	if (span_is_nocase(out->name, "unknown"))
		out->name = SPAN_LIT("");
	return address(bracket, &out->ip);
}

/* The body of the next Received field. */
static bool
next_received(struct span *header, struct span *value)
{
	while (header->n && header->p[0] != '\r' && header->p[0] != '\n') {
		struct span s = *header;
		size_t end = 0, colon;

		do
			end += span_find(span_from(s, end), '\n') + 1;
		while (end < s.n && ascii_is_wsp(s.p[end]));
		s = span_sub(s, 0, end);
		*header = span_from(*header, s.n);
		colon = span_find(s, ':');
		if (span_is_nocase(span_trim(span_sub(s, 0, colon)), "Received")) {
			*value = span_from(s, colon + 1);
			return true;
		}
	}
	return false;
}

void
upstream_origin(struct span header, const struct conf_nets *trusted, struct origin *out)
{
	struct span value;

	for (int i = 0; i < UPSTREAM_HOPS_MAX && next_received(&header, &value); i++) {
		if (!received_from(value, out))
			break;
		/* its content filter hands mail back to it */
		if (!ip_is_loopback(out->ip) && !nets_have(trusted, out->ip))
			return;
	}
	*out = (struct origin){ 0 };
}
