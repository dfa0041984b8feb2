/* message_header.c -- the little a receiver reads of a header, and the field it adds.
 *
 * Not MIME: anatomy does that, in the scanner's cage. Here only field names at
 * the start of a line and one address are looked at, in the first
 * MESSAGE_HEAD_MAX bytes, with nothing copied but the result.
 */
#include <ctype.h>

#include "addr.h"
#include "clock.h"
#include "id.h"
#include "receiver/message.h"

bool
header_next(struct span *rest, struct span *name, struct span *value)
{
	struct span s = *rest;
	size_t end = 0, colon;

	if (s.n == 0 || s.p[0] == '\r' || s.p[0] == '\n')
		return false;
	do
		end += span_find(span_from(s, end), '\n') + 1;
	while (end < s.n && ascii_is_wsp(s.p[end]));
	if (end > s.n)
		end = s.n;
	*rest = span_from(s, end);
	s = span_sub(s, 0, end);
	colon = span_find(s, ':');
	*name = span_trim(span_sub(s, 0, colon));
	*value = span_from(s, colon + 1);
	return true;
}

unsigned
header_hops(struct span header)
{
	struct span name, value;
	unsigned n = 0;

	while (header_next(&header, &name, &value))
		n += span_is_nocase(name, "Received");
	return n;
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 5321, 4.4: "by" and a name, as words of their own. */
static bool
says_by(struct span v, struct span host)
{
	bool by = false;

	while (v.n) {
		size_t n = 0;
		struct span word;

		while (v.n && is_space(v.p[0]))
			v = span_from(v, 1);
		while (n < v.n && !is_space(v.p[n]) && v.p[n] != ';')
			n++;
		word = span_sub(v, 0, n);
		v = span_from(v, n + (n < v.n));
		if (by && span_eq_nocase(word, host))
			return true;
		by = span_is_nocase(word, "by");
	}
	return false;
}

unsigned
header_hops_by(struct span header, struct span host)
{
	struct span name, value;
	unsigned n = 0;

	while (header_next(&header, &name, &value))
		n += span_is_nocase(name, "Received") && says_by(value, host);
	return n;
}

const char *
header_loop(struct span header, struct span our_name)
{
	header = span_sub(header, 0, MESSAGE_HEAD_MAX);
	if (header_hops(header) > MESSAGE_HOPS_MAX)
		return "5.4.6 too many hops: this message is in a loop";
	/* Once is a message that left and was sent on to us again; twice is a loop. */
	if (header_hops_by(header, our_name) > MESSAGE_OWN_HOPS_MAX)
		return "5.4.6 this message was here before: it is in a loop";
	return NULL;
}

/* RFC 5322, 3.4: the domain behind the last @ of the first address, outside quotes and
 * comments; that within <> wins. */
static struct span
address_domain(struct span v)
{
	size_t at = v.n, end = v.n, depth = 0;
	bool quoted = false, angle = false;

	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];

		if ((quoted || depth) && c == '\\') {
			i++;
			continue;
		}
		if (c == '"' && !depth)
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (c == '(')
			depth++;
		else if (c == ')' && depth)
			depth--;
		else if (depth)
			continue;
		else if (c == '<') {
			angle = true;
			at = end = v.n;
		} else if (c == '@') {
			at = i;
			end = v.n;
		} else if (c == '>' || (c == ',' && !angle)) {
			end = i;
			break;
		}
	}
	if (at == v.n)
		return (struct span){ 0 };
	v = span_sub(v, at + 1, end - at - 1);
	/* a comment or white space may stand behind the domain */
	for (size_t i = 0; i < v.n; i++)
		if (!isalnum((unsigned char)v.p[i]) && v.p[i] != '-' && v.p[i] != '.' &&
		    v.p[i] != '_' && (unsigned char)v.p[i] < 128) {
			if (i == 0)
				return (struct span){ 0 };
			return span_sub(v, 0, i);
		}
	return v;
}

struct span
header_from_domain(struct span header, char buf[static 256])
{
	struct span name, value, found = { 0 };
	bool any = false;

	while (header_next(&header, &name, &value)) {
		if (!span_is_nocase(name, "From"))
			continue;
		if (any)
			return SPAN_LIT("");
		any = true;
		found = address_domain(value);
	}
	if (found.n == 0 || found.n > 255)
		return SPAN_LIT("");
	for (size_t i = 0; i < found.n; i++)
		buf[i] = ascii_lower(found.p[i]);
	return span_make(buf, found.n);
}

static bool
is_plain(char c)
{
	return (unsigned char)c > ' ' && c != 127 && strchr("<>()[]:;,\\\"", c) == NULL;
}

/* What stands before the domain in "Name <local@domain>" or "local@domain". */
struct span
header_from_address(struct span header, char buf[static MEMBERS_AUTHOR_MAX])
{
	struct span name, value, domain;
	char text[256];
	size_t at, from;

	if (header_from_domain(header, text).n == 0)
		return SPAN_LIT("");
	while (header_next(&header, &name, &value))
		if (span_is_nocase(name, "From"))
			break;
	domain = address_domain(value);
	at = (size_t)(domain.p - value.p);
	if (at < 2 || value.p[at - 1] != '@')
		return SPAN_LIT("");
	for (from = at - 1; from > 0 && is_plain(value.p[from - 1]); from--)
		;
	if (from == at - 1 || at - from + domain.n > MEMBERS_AUTHOR_MAX)
		return SPAN_LIT("");
	memcpy(buf, value.p + from, at - from);
	for (size_t i = 0; i < domain.n; i++)
		buf[at - from + i] = ascii_lower(domain.p[i]);
	return span_make(buf, at - from + domain.n);
}

/* The protocol of RFC 3848, and of RFC 6531, 4.3, for a message sent with SMTPUTF8. */
static const char *
protocol(uint32_t flags)
{
	static const char *const names[2][4] = {
		{ "ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA" },
		{ "UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA" },
	};

	if (!(flags & ENVELOPE_ESMTP))
		return "SMTP";
	return names[(flags & ENVELOPE_SMTPUTF8) != 0][((flags & ENVELOPE_TLS) != 0) +
	    2 * ((flags & ENVELOPE_AUTH) != 0)];
}

static char *
put(char *to, struct span s)
{
	if (s.n)
		memcpy(to, s.p, s.n);
	return to + s.n;
}

/* RFC 5321, 4.4. What the client said of itself was checked to be harmless in a header. Written without printf: one for
 * each message. */
struct span
header_received(struct arena *a, const struct envelope *env, uint64_t id, struct span hostname,
    struct span node, struct span only_recipient)
{
	char ip[IP_TEXT_MAX], text_id[ID_SIZE], date[CLOCK_DATE_MAX];
	struct span helo = env->helo.n ? env->helo : SPAN_LIT("unknown");
	struct span name = env->client_name.n ? env->client_name : SPAN_LIT("unknown");
	bool for_it = only_recipient.n > 0;
	/* "Received: from HELO (NAME [IPv6:IP])\r\n\tby HOST (Postern NODE) with PROTOCOL id ID\r\n\tfor <RCPT>; DATE\r\n" */
	struct span pieces[] = { SPAN_LIT("Received: from "), helo, SPAN_LIT(" ("), name, SPAN_LIT(" ["),
		span_str(env->client.family == 6 ? "IPv6:" : ""), span_str(ip_format(env->client, ip)),
		SPAN_LIT("])\r\n\tby "), hostname, SPAN_LIT(" (Postern"), span_str(node.n ? " " : ""), node,
		SPAN_LIT(") with "), span_str(protocol(env->flags)), SPAN_LIT(" id "),
		span_str(id_format(id, text_id)), span_str(for_it ? "\r\n\tfor <" : ""), only_recipient,
		span_str(for_it ? ">" : ""), SPAN_LIT("; "), span_str(clock_date(env->received, date)),
		SPAN_LIT("\r\n") };
	size_t n = 0;
	char *text, *to;

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		n += pieces[i].n;
	text = to = arena_alloc(a, n);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++)
		to = put(to, pieces[i]);
	return span_make(text, n);
}
