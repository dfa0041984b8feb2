/* hostile_dns.h -- answers made of the lines of a fuzzer's input: the same question always gets the same one.
 *
 * A line's first letter says what it is: t TIMEOUT, s SERVFAIL, b BOGUS, x NXDOMAIN, n NODATA, m
 * "more than was read"; anything else is data. Its words are addresses, names or, whole, a TXT.
 */
#ifndef FUZZ_HOSTILE_DNS_H
#define FUZZ_HOSTILE_DNS_H

#include "addr.h"
#include "postern/err.h"
#include "verifier/dns_question.h"

#define HOSTILE_LINES 64

struct hostile {
	struct span lines[HOSTILE_LINES];
	size_t n;
};

static inline struct span
hostile_line(struct span *rest)
{
	struct span l = span_sub(*rest, 0, span_find(*rest, '\n'));

	*rest = span_from(*rest, l.n + 1);
	return l;
}

static inline void
hostile_load(struct hostile *h, struct span rest)
{
	h->n = 0;
	while (rest.n && h->n < HOSTILE_LINES)
		h->lines[h->n++] = hostile_line(&rest);
}

static inline void
hostile_word(struct dns_answer *out, struct span w, uint16_t type)
{
	struct dns_record *r = &out->records[out->n];

	*r = (struct dns_record){ 0 };
	if (type == DNS_A || type == DNS_AAAA) {
		if (!ip_parse(w, &r->ip) || r->ip.family != (type == DNS_A ? 4 : 6))
			return;
	} else {
		if (w.n >= sizeof(r->name))
			return;
		memcpy(r->name, w.p, w.n);
	}
	out->n++;
}

static inline void
hostile_answer(const struct hostile *h, const struct dns_question *q, struct dns_answer *out)
{
	static const char letters[] = "tsbxn";
	static const enum dns_status states[] = { DNS_TIMEOUT, DNS_SERVFAIL, DNS_BOGUS, DNS_NXDOMAIN,
		DNS_NODATA };
	uint32_t hash = q->type;
	struct span l;
	const char *at;

	*out = (struct dns_answer){ .status = DNS_NXDOMAIN };
	if (h->n == 0)
		return;
	for (const char *p = q->name; *p; p++)
		hash = hash * 31 + (unsigned char)*p;
	l = h->lines[q->id == 0 ? 0 : hash % h->n];
	if (l.n == 1 && (at = memchr(letters, l.p[0], 5)) != NULL) {
		out->status = states[at - letters];
		return;
	}
	out->status = DNS_OK;
	if (l.n && l.p[0] == 'm')
		out->more = true;
	if (q->type == DNS_TXT) {
		out->n = 1;
		out->ndata = l.n < sizeof(out->data) ? l.n : sizeof(out->data);
		out->records[0].size = (uint16_t)out->ndata;
		memcpy(out->data, l.p, out->ndata);
		return;
	}
	while (l.n && out->n < DNS_RECORDS_MAX) {
		struct span w = span_sub(l, 0, span_find(l, ' '));

		l = span_from(l, w.n + 1);
		hostile_word(out, w, q->type);
	}
}

#endif
