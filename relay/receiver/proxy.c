/* proxy.c -- the PROXY protocol's header, versions 1 and 2 (haproxy's proxy-protocol.txt, 2020).
 *
 * Strict where the specification is: nothing is skipped in search of a
 * header, addresses and ports are in their one canonical form, a checksum that is
 * there must be right. A balancer in front of us decides who the client is,
 * so whatever cannot be read to the letter ends the connection.
 *
 * Only TCP over IPv4 or IPv6 names a client. UNKNOWN, LOCAL, and the other
 * families leave the connection to the one who made it. The proxy's TLVs are
 * stepped over, but for the checksum.
 */
#include "addr.h"
#include "queue/crc32c.h"
#include "receiver/proxy.h"

#define V1_MAX 107		/* the longest line the specification knows, with CRLF */
#define V2_HEAD 16
#define TLV_CRC32C 0x03

static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";
#define V2_SIGNATURE ((struct span){ v2_signature, sizeof(v2_signature) - 1 })

/* ---- version 1: one line of text ---- */

static bool
take_word(struct span *rest, struct span *word)
{
	size_t n = span_find(*rest, ' ');

	if (rest->n == 0 || rest->p[0] != ' ')
		return false;
	*rest = span_from(*rest, 1);
	n = span_find(*rest, ' ');
	*word = span_sub(*rest, 0, n);
	*rest = span_from(*rest, n);
	return word->n > 0;
}

static bool
port_of(struct span s, uint16_t *port)
{
	uint32_t v = 0;

	if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[0] == '0'))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint32_t)(s.p[i] - '0');
	}
	*port = (uint16_t)v;
	return v <= 65535;
}

static enum proxy_status
parse_v1(struct span in, struct proxy_header *h)
{
	struct span line = span_sub(in, 0, span_find(span_sub(in, 0, V1_MAX), '\n')), rest, w[5];
	uint8_t family;
	struct ip to;
	uint16_t ignored;

	if (line.n == in.n && in.n < V1_MAX)
		return PROXY_MORE;
	if (line.n == 0 || line.n >= V1_MAX || line.p[line.n - 1] != '\r')
		return PROXY_BAD;
	h->version = 1;
	h->size = line.n + 1;
	rest = span_from(span_sub(line, 0, line.n - 1), 5);
	if (!take_word(&rest, &w[0]))
		return PROXY_BAD;
	if (span_is(w[0], "UNKNOWN"))	/* whatever follows it is to be ignored */
		return PROXY_LOCAL;
	family = span_is(w[0], "TCP4") ? 4 : span_is(w[0], "TCP6") ? 6 : 0;
	for (int i = 1; i < 5; i++)
		if (!take_word(&rest, &w[i]))
			return PROXY_BAD;
	if (family == 0 || rest.n || !ip_parse(w[1], &h->client) || !ip_parse(w[2], &to) ||
	    (span_find(w[1], ':') < w[1].n ? 6 : 4) != family ||
	    (span_find(w[2], ':') < w[2].n ? 6 : 4) != family || !port_of(w[3], &h->port) ||
	    !port_of(w[4], &ignored))
		return PROXY_BAD;
	return PROXY_CLIENT;
}

/* ---- version 2: binary, in network order ---- */

static uint16_t
be16(const char *p)
{
	return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

/* Steps over the TLVs; false when they do not fill their room, or the checksum is wrong. */
static bool
tlvs_good(struct span header, size_t at)
{
	static const char zero[4];

	while (at < header.n) {
		size_t n;
		uint32_t crc, said = 0;

		if (header.n - at < 3)
			return false;
		n = be16(header.p + at + 1);
		if (n > header.n - at - 3)
			return false;
		if (header.p[at] == TLV_CRC32C) {
			const char *v = header.p + at + 3;

			if (n != 4)
				return false;
			for (int i = 0; i < 4; i++)
				said = said << 8 | (unsigned char)v[i];
			crc = crc32c(0, header.p, at + 3);
			crc = crc32c(crc, zero, 4);
			crc = crc32c(crc, v + 4, header.n - at - 7);
			if (crc != said)
				return false;
		}
		at += 3 + n;
	}
	return true;
}

static void
ip_of(struct ip *ip, uint8_t family, const char *p)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };

	if (family == 4) {
		memcpy(&sin.sin_addr, p, 4);
		*ip = ip_from_sockaddr((struct sockaddr *)&sin, NULL);
	} else {
		memcpy(&sin6.sin6_addr, p, 16);
		*ip = ip_from_sockaddr((struct sockaddr *)&sin6, NULL);
	}
}

static enum proxy_status
parse_v2(struct span in, struct proxy_header *h)
{
	size_t addresses, n;
	unsigned command, family;

	if (in.n < V2_HEAD)
		return PROXY_MORE;
	command = (unsigned char)in.p[12];
	family = (unsigned char)in.p[13];
	n = be16(in.p + 14);
	if (command >> 4 != 2 || (command & 15) > 1 || V2_HEAD + n > PROXY_HEADER_MAX)
		return PROXY_BAD;
	if (in.n < V2_HEAD + n)
		return PROXY_MORE;
	h->version = 2;
	h->size = V2_HEAD + n;
	in = span_sub(in, 0, h->size);
	if ((command & 15) == 0)
		return PROXY_LOCAL;
	switch (family) {
	case 0x11:
		addresses = 12;
		break;
	case 0x21:
		addresses = 36;
		break;
	case 0x00:	/* unspecified; datagrams and Unix sockets cannot be an SMTP client */
		return PROXY_LOCAL;
	default:
		return PROXY_BAD;
	}
	if (n < addresses || !tlvs_good(in, V2_HEAD + addresses))
		return PROXY_BAD;
	ip_of(&h->client, family == 0x11 ? 4 : 6, in.p + V2_HEAD);
	h->port = be16(in.p + V2_HEAD + (family == 0x11 ? 8 : 32));
	return PROXY_CLIENT;
}

enum proxy_status
proxy_parse(struct span in, struct proxy_header *h)
{
	static const struct span v1 = { "PROXY", 5 };
	struct span head = span_sub(in, 0, V2_SIGNATURE.n);

	*h = (struct proxy_header){ 0 };
	if (head.n && span_eq(head, span_sub(V2_SIGNATURE, 0, head.n)))
		return parse_v2(in, h);
	head = span_sub(in, 0, v1.n);
	if (span_eq(head, span_sub(v1, 0, head.n)))
		return in.n < v1.n ? PROXY_MORE : parse_v1(in, h);
	return PROXY_BAD;
}
