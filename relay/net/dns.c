/* dns.c -- DNS answers as values, and how they are read off the wire; see dns.h. */
#include "net/dns.h"

#define HEADER 12

struct cursor {
	const unsigned char *p;
	size_t n, at;
	bool bad;
};

const char *
dns_status_text(enum dns_status s)
{
	switch (s) {
	case DNS_OK:
		return "found";
	case DNS_NODATA:
		return "Host found but no data record of requested type";
	case DNS_NXDOMAIN:
		return "Host not found";
	case DNS_SERVFAIL:
		return "Host not found, try again";
	case DNS_TIMEOUT:
		return "Host not found, the name server did not answer in time";
	case DNS_BOGUS:
		return "DNSSEC validation failed";
	}
	return "?";
}

bool
dns_name_ok(struct span name)
{
	size_t label = 0;

	if (name.n == 0 || name.n > 253)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0;
}

static unsigned
u8(struct cursor *c)
{
	if (c->at >= c->n) {
		c->bad = true;
		return 0;
	}
	return c->p[c->at++];
}

static unsigned
u16(struct cursor *c)
{
	unsigned hi = u8(c);

	return hi << 8 | u8(c);
}

static uint32_t
u32(struct cursor *c)
{
	uint32_t hi = u16(c);

	return hi << 16 | u16(c);
}

static void
skip(struct cursor *c, size_t n)
{
	if (n > c->n - c->at)
		c->bad = true;
	else
		c->at += n;
}

/* Reads a name; out may be NULL. false in *host: it is no host name (still read to its end). */
static void
read_name(struct cursor *c, char out[DNS_NAME_MAX], bool *host)
{
	size_t at = c->at, limit = c->at, n = 0;
	bool jumped = false, dotted = false;

	*host = true;
	for (;;) {
		unsigned len;

		if (at >= c->n) {
			c->bad = true;
			return;
		}
		len = c->p[at++];
		if (len >= 0xc0) {
			size_t to;

			if (at >= c->n) {
				c->bad = true;
				return;
			}
			to = (size_t)(len & 0x3f) << 8 | c->p[at++];
			if (!jumped)
				c->at = at;
			jumped = true;
			if (to >= limit) {	/* only ever backwards: it ends */
				c->bad = true;
				return;
			}
			limit = at = to;
			continue;
		}
		if (len > 63 || len > c->n - at) {
			c->bad = true;
			return;
		}
		if (len == 0)
			break;
		if (n + len + 1 >= DNS_NAME_MAX) {
			c->bad = true;
			return;
		}
		if (out) {
			if (n)
				out[n++] = '.';
			for (unsigned i = 0; i < len; i++) {
				out[n++] = ascii_lower((char)c->p[at + i]);
				dotted |= c->p[at + i] == '.';
			}
		} else
			n += len + 1;
		at += len;
	}
	if (!jumped)
		c->at = at;
	if (out) {
		out[dotted ? 0 : n] = '\0';
		*host = n == 0 || (!dotted && dns_name_ok(span_make(out, n)));
	}
}

/* TXT as one text, TLSA as it is. */
static void
read_data(struct cursor *c, uint16_t type, size_t size, struct dns_answer *out)
{
	struct dns_record *r = &out->records[out->n];
	size_t end = c->at + size;

	if (size > DNS_DATA_MAX - out->ndata) {
		c->bad = true;
		return;
	}
	r->at = (uint16_t)out->ndata;
	while (c->at < end) {
		size_t n = type == DNS_TXT ? u8(c) : size;

		if (n > end - c->at) {
			out->ndata = r->at;	/* a string longer than its record */
			return;
		}
		memcpy(out->data + out->ndata, c->p + c->at, n);
		out->ndata += n;
		c->at += n;
	}
	r->size = (uint16_t)(out->ndata - r->at);
	out->n++;
}

/* Printable ASCII: SPF follows such names (RFC 7208, 7.1), delivery never does. */
static bool
is_odd(const char *name)
{
	for (const char *p = name; *p; p++)
		if (*p < ' ' || *p > '~' || *p == '\\')
			return false;
	return name[0] != '\0';
}

static void
read_record(struct cursor *c, uint16_t type, size_t size, struct dns_answer *out)
{
	struct dns_record *r = &out->records[out->n];
	size_t end = c->at + size;
	bool host;

	*r = (struct dns_record){ 0 };
	if (type == DNS_TXT || type == DNS_TLSA) {
		read_data(c, type, size, out);
		return;
	}
	if (type == DNS_MX || type == DNS_NS || type == DNS_CNAME || type == DNS_PTR) {
		if (type == DNS_MX)
			r->pref = (uint16_t)u16(c);
		read_name(c, r->name, &host);
		if (c->bad || c->at != end)
			return;
		if (host)
			out->n++;
		else if ((type == DNS_MX || type == DNS_PTR) && is_odd(r->name))
			out->records[DNS_RECORDS_MAX - ++out->odd] = *r;
		return;
	}
	if (size != (type == DNS_A ? 4 : 16))
		return;
	r->ip.family = type == DNS_A ? 4 : 6;
	memcpy(r->ip.b, c->p + c->at, size);
	if (type == DNS_AAAA) {
		static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };

		if (memcmp(r->ip.b, mapped, 12) == 0) {
			r->ip = (struct ip){ .family = 4 };
			memcpy(r->ip.b, c->p + c->at + 12, 4);
		}
	}
	out->n++;
}

void
dns_read(struct span packet, uint16_t type, struct dns_answer *out)
{
	struct cursor c = { (const unsigned char *)packet.p, packet.n, 0, false };
	unsigned flags, questions, answers, rcode;
	char owner[DNS_NAME_MAX];
	bool host;

	out->status = DNS_SERVFAIL;
	out->n = out->odd = out->ndata = 0;
	out->more = false;
	out->canonical[0] = '\0';
	out->ttl = UINT32_MAX;
	if (packet.n < HEADER)
		return;
	u16(&c);
	flags = u16(&c);
	questions = u16(&c);
	answers = u16(&c);
	skip(&c, 4);
	rcode = flags & 0xf;
	if (rcode == 3) {
		out->status = DNS_NXDOMAIN;
		return;
	}
	if (rcode != 0)
		return;
	for (; questions && !c.bad; questions--) {
		read_name(&c, NULL, &host);
		skip(&c, 4);
	}
	for (; answers && !c.bad && out->n + out->odd < DNS_RECORDS_MAX; answers--) {
		unsigned rtype, class;
		uint32_t ttl;
		size_t size, next;

		read_name(&c, owner, &host);
		rtype = u16(&c);
		class = u16(&c);
		ttl = u32(&c);
		size = u16(&c);
		if (c.bad || size > c.n - c.at) {
			c.bad = true;
			break;
		}
		if (ttl < out->ttl)
			out->ttl = ttl;
		next = c.at + size;
		if (rtype == type && class == 1) {
			if (host)
				memcpy(out->canonical, owner, sizeof(owner));
			read_record(&c, type, size, out);
		}
		c.at = next;
	}
	if (c.bad) {
		out->n = out->odd = 0;
		return;
	}
	out->more = answers > 0;
	if (out->ttl == UINT32_MAX)
		out->ttl = 0;
	out->status = out->n ? DNS_OK : DNS_NODATA;
}
