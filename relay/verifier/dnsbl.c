/* dnsbl.c -- lists of addresses and domains in the DNS; see dnsbl.h. */
#include "addr.h"
#include "verifier/dnsbl.h"
#include "verifier/spf_eval.h"

#define REPUTATION_UNKNOWN 50
#define TTL_MIN 60
#define TTL_MAX 3600
#define TTL_NOTHING 300		/* of "not listed", and of what is not known */

struct dnsbl {
	const struct dnsbl_list *lists;
	size_t n;
	struct dns_book *book;
	struct span names[DNSBL_LISTS_MAX];
	struct dnsbl_result result;
	bool done;
};

/* One part of a pattern: "7", "4-11", "*". */
static bool
read_part(struct span s, uint8_t *from, uint8_t *to)
{
	unsigned v[2] = { 0, 0 };
	size_t n = 0, digits = 0;

	if (span_is(s, "*")) {
		*from = 0;
		*to = 255;
		return true;
	}
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '-' && n == 0 && digits) {
			n = 1;
			digits = 0;
			continue;
		}
		if (s.p[i] < '0' || s.p[i] > '9' || ++digits > 3)
			return false;
		v[n] = v[n] * 10 + (unsigned)(s.p[i] - '0');
	}
	if (n == 0)
		v[1] = v[0];
	*from = (uint8_t)v[0];
	*to = (uint8_t)v[1];
	return digits && v[0] <= v[1] && v[1] <= 255;
}

int
dnsbl_code_parse(struct span text, struct dnsbl_code *out, struct err *err)
{
	struct dnsbl_code c = { .weight = out->weight };
	struct span rest = text;
	bool ok = true;

	for (size_t n = 0; n < 4 && ok; n++) {
		struct span part = span_sub(rest, 0, span_find(rest, '.'));

		/* a dot behind each but the last */
		ok = read_part(part, &c.from[n], &c.to[n]) && (part.n < rest.n) == (n < 3);
		rest = span_from(rest, part.n + 1);
	}
	if (!ok)
		return err_set(err, 0, "`" SPAN_FMT "` is no answer of a list: 127.0.0.2, 127.0.0.4-11, 127.0.*.3",
		    SPAN_ARG(text));
	if (c.from[0] != 127 || c.to[0] != 127)
		return err_set(err, 0, "`" SPAN_FMT "`: lists answer in 127.0.0.0/8 (RFC 5782, 2.1)", SPAN_ARG(text));
	*out = c;
	return 0;
}

struct span
dnsbl_address_name(struct arena *a, struct ip ip, struct span zone)
{
	struct span reverse = spf_reverse_name(a, ip);

	/* without in-addr.arpa, ip6.arpa */
	reverse.n -= ip.family == 4 ? sizeof("in-addr.arpa") - 1 : sizeof("ip6.arpa") - 1;
	if (reverse.n + zone.n > DNS_NAME_MAX - 1)
		return (struct span){ 0 };
	return span_str(arena_printf(a, SPAN_FMT SPAN_FMT, SPAN_ARG(reverse), SPAN_ARG(zone)));
}

struct span
dnsbl_domain_name(struct arena *a, struct span domain, struct span zone)
{
	if (domain.n == 0 || domain.n + 1 + zone.n > DNS_NAME_MAX - 1)
		return (struct span){ 0 };
	return span_str(arena_printf(a, SPAN_FMT "." SPAN_FMT, SPAN_ARG(domain), SPAN_ARG(zone)));
}

/* Answers that say something of us, or of the list, and nothing of the address. */
static const char *
no_answer(const struct dnsbl_list *l, struct ip ip)
{
	if (ip.b[0] != 127)
		return "the list answers outside 127.0.0.0/8: its domain may have another owner";
	if (ip.b[1] == 255 && ip.b[2] == 255)
		switch (ip.b[3]) {
		case 252:
			return "the list says that its name is misspelt";
		case 254:
			return "the list does not answer public resolvers";
		case 255:
			return "the list is asked too much from here";
		default:
			return "the list refuses to answer";
		}
	if (ip.b[1] == 0 && ip.b[2] == 0 && ip.b[3] == 1)
		return "the list answers 127.0.0.1, which means nothing (RFC 5782, 2.1)";
	if (l->allow && ip.b[1] == 0 && ip.b[2] == 0 && ip.b[3] == 255)
		return "the list is asked too much from here";
	return NULL;
}

static bool
code_has(const struct dnsbl_code *c, struct ip ip)
{
	for (size_t i = 0; i < 4; i++)
		if (ip.b[i] < c->from[i] || ip.b[i] > c->to[i])
			return false;
	return true;
}

static void
read_item(const struct dnsbl_list *l, struct ip ip, struct dnsbl_verdict *v)
{
	for (size_t i = 0; i < l->ncodes || (i == 0 && l->ncodes == 0); i++) {
		int weight = l->ncodes ? l->codes[i].weight : l->weight;

		if (l->ncodes && !code_has(&l->codes[i], ip))
			continue;
		if (v->state != DNSBL_LISTED || weight > v->weight)
			*v = (struct dnsbl_verdict){ DNSBL_LISTED, weight, ip, "" };
	}
}

struct dnsbl_verdict
dnsbl_read(const struct dnsbl_list *l, const struct dns_reply *r)
{
	struct dnsbl_verdict v = { .state = DNSBL_CLEAR, .why = "" };

	if (dns_reply_failed(r))
		return (struct dnsbl_verdict){ .why = dns_status_text(r->status) };
	/* One answer that is none spoils the others: whoever gives it does not mean the address. */
	for (size_t i = 0; i < r->n; i++) {
		const char *why = no_answer(l, r->items[i].ip);

		if (why)
			return (struct dnsbl_verdict){ .code = r->items[i].ip, .why = why };
	}
	for (size_t i = 0; i < r->n; i++)
		read_item(l, r->items[i].ip, &v);
	return v;
}

static struct dnsbl *
begin(struct arena *a, struct dns_book *book, const struct dnsbl_list *lists, size_t n)
{
	struct dnsbl *d = arena_zalloc(a, sizeof(*d));

	ASSERT(n <= DNSBL_LISTS_MAX);
	d->lists = lists;
	d->n = n;
	d->book = book;
	d->result.ttl = TTL_MAX;
	return d;
}

struct dnsbl *
dnsbl_new(struct arena *a, struct dns_book *book, const struct dnsbl_list *lists, size_t n,
    struct ip ip)
{
	struct dnsbl *d = begin(a, book, lists, n);

	for (size_t i = 0; i < n && ip.family; i++)
		d->names[i] = dnsbl_address_name(a, ip, lists[i].zone);
	return d;
}

struct dnsbl *
dnsbl_new_domain(struct arena *a, struct dns_book *book, const struct dnsbl_list *lists, size_t n,
    struct span domain)
{
	struct dnsbl *d = begin(a, book, lists, n);

	for (size_t i = 0; i < n; i++)
		d->names[i] = dnsbl_domain_name(a, domain, lists[i].zone);
	return d;
}

static void
count(struct dnsbl_result *r, size_t i, const struct dnsbl_list *l, uint32_t ttl)
{
	const struct dnsbl_verdict *v = &r->verdicts[i];

	if (v->state == DNSBL_UNKNOWN)
		r->unknown |= 1u << i;
	if (v->state == DNSBL_LISTED) {
		*(l->allow ? &r->allowed : &r->blocked) |= 1u << i;
		r->score += l->allow ? -v->weight : v->weight;
	} else
		ttl = TTL_NOTHING;
	ttl = ttl < TTL_MIN ? TTL_MIN : ttl;
	r->ttl = ttl < r->ttl ? ttl : r->ttl;
}

static void
conclude(struct dnsbl *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct dns_reply *reply = d->names[i].n ?
		    dns_book_ask(d->book, d->names[i], DNS_A) : NULL;

		d->result.verdicts[i] = reply ? dnsbl_read(&d->lists[i], reply) :
		    (struct dnsbl_verdict){ .why = d->names[i].n ? "the list did not answer in time" :
		    "there is no name to ask the list for" };
		count(&d->result, i, &d->lists[i], reply ? reply->ttl : 0);
	}
	d->done = true;
}

bool
dnsbl_step(struct dnsbl *d)
{
	bool all = true;

	if (d->done)
		return true;
	for (size_t i = 0; i < d->n; i++)
		all &= d->names[i].n == 0 || dns_book_ask(d->book, d->names[i], DNS_A) != NULL;
	if (all)
		conclude(d);
	return all;
}

void
dnsbl_abort(struct dnsbl *d)
{
	if (!d->done)
		conclude(d);
}

const struct dnsbl_result *
dnsbl_result(const struct dnsbl *d)
{
	ASSERT(d->done);
	return &d->result;
}

int
dnsbl_reputation(const struct dnsbl_result *r, size_t n)
{
	int v = REPUTATION_UNKNOWN - r->score;

	if ((size_t)__builtin_popcount(r->unknown) == n)
		return -1;
	return v < 0 ? 0 : v > 100 ? 100 : v;
}
