/* tlsrpt_record.c -- the TXT record at _smtp._tls; see tlsrpt_record.h. */
#include "addr.h"
#include "store/tlsrpt_record.h"

static struct span
trim_wsp(struct span s)
{
	while (s.n && ascii_is_wsp(s.p[0]))
		s = span_from(s, 1);
	while (s.n && ascii_is_wsp(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
tlsrpt_record_is(struct span txt)
{
	struct span version = SPAN_LIT("v=TLSRPTv1");
	struct span rest = trim_wsp(span_from(txt, version.n));

	return span_starts(txt, version) && rest.n && rest.p[0] == ';';
}

bool
tlsrpt_uri_is_mailto(struct span uri)
{
	return span_starts_nocase(uri, SPAN_LIT("mailto:"));
}

/* Printable ASCII without what a URI must escape. */
static bool
uri_ok(struct span s)
{
	if (s.n == 0 || s.n > TLSRPT_URI_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("\"<>\\^`{|}", s.p[i]))
			return false;
	return true;
}

static bool
uris_take(struct span list, struct span *uris, size_t *n)
{
	while (list.n) {
		struct span uri = trim_wsp(span_sub(list, 0, span_find(list, ',')));

		list = span_from(list, span_find(list, ',') + 1);
		if (!uri_ok(uri))
			return false;
		if (*n < TLSRPT_URIS_MAX && (tlsrpt_uri_is_mailto(uri) ||
		    span_starts_nocase(uri, SPAN_LIT("https://"))))
			uris[(*n)++] = uri;
	}
	return true;
}

bool
tlsrpt_record_parse(struct span txt, struct span uris[TLSRPT_URIS_MAX], size_t *n)
{
	bool rua = false;

	*n = 0;
	if (!tlsrpt_record_is(txt))
		return false;
	for (txt = span_from(txt, span_find(txt, ';') + 1); txt.n;) {
		struct span field = trim_wsp(span_sub(txt, 0, span_find(txt, ';')));
		size_t eq = span_find(field, '=');

		txt = span_from(txt, span_find(txt, ';') + 1);
		if (field.n == 0 && trim_wsp(txt).n == 0)
			break;
		if (eq == 0 || eq + 1 >= field.n)
			return false;
		if (!span_is(span_sub(field, 0, eq), "rua"))
			continue;
		if (rua || !uris_take(span_from(field, eq + 1), uris, n))
			return false;
		rua = true;
	}
	return rua;
}

static int
hex(char c)
{
	c = ascii_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
tlsrpt_uri_address(struct span uri, char out[TLSRPT_ADDRESS_MAX])
{
	struct span s, local, domain;
	size_t n = 0;

	if (!tlsrpt_uri_is_mailto(uri))
		return false;
	s = span_from(uri, 7);
	s = span_sub(s, 0, span_find(s, '?'));	/* headers that the URI asks for are not ours to write */
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
				return false;
			c = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
			i += 2;
		}
		/* One plain address: nothing that ends a path or a header field. */
		if (c <= ' ' || c > '~' || strchr("<>()[],;:\\\"", c) || n + 1 == TLSRPT_ADDRESS_MAX)
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	return mailaddr_split(span_str(out), &local, &domain) && local.n <= 64 && domain.n <= 253 &&
	    span_find(local, '@') == local.n;
}
