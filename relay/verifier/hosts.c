/* hosts.c -- the names of a client; see hosts.h.
 *
 * What the DNS cannot say now is unknown, never "none". A HELO that is an address literal or has no
 * dot is not asked for: it is a sign by itself.
 */
#include "addr.h"
#include "verifier/hosts.h"
#include "verifier/spf_eval.h"

struct hosts {
	struct arena *a;
	struct dns_book *book;
	struct ip client;
	struct span helo;		/* normalised; "" not asked for */
	struct span names[HOSTS_NAMES];
	size_t nnames;
	bool have_names, reverse_done, helo_done;
	enum host_state reverse, helo_state;
	struct span name;		/* the proved one, else the first */
};

struct hosts *
hosts_new(struct arena *a, struct dns_book *book, struct ip client, struct span helo)
{
	struct hosts *h = arena_zalloc(a, sizeof(*h));
	struct ip literal;

	h->a = a;
	h->book = book;
	h->client = client;
	h->reverse_done = client.family == 0;
	if (helo.n == 0 || helo.p[0] == '[' || span_find(helo, '.') == helo.n || ip_parse(helo, &literal) ||
	    !domain_normalise(a, helo, &h->helo))
		h->helo = SPAN_LIT("");
	h->helo_done = h->helo.n == 0;
	return h;
}

/* UNKNOWN with *wait: not answered yet. */
static enum host_state
leads_to(struct hosts *h, struct span name, uint16_t type, bool *wait)
{
	const struct dns_reply *r = dns_book_ask(h->book, name, type);

	if (r == NULL) {
		*wait = true;
		return HOST_UNKNOWN;
	}
	if (dns_reply_failed(r))
		return HOST_UNKNOWN;
	for (size_t i = 0; i < r->n; i++)
		if (ip_eq(r->items[i].ip, h->client))
			return HOST_PROVED;
	return r->n ? HOST_UNPROVED : HOST_NONE;
}

static void
reverse_step(struct hosts *h)
{
	uint16_t type = h->client.family == 4 ? DNS_A : DNS_AAAA;
	bool wait = false, unknown = false;

	if (!h->have_names) {
		const struct dns_reply *r = dns_book_ask(h->book, spf_reverse_name(h->a, h->client), DNS_PTR);

		if (r == NULL)
			return;
		if (r->n == 0) {
			h->reverse = dns_reply_failed(r) ? HOST_UNKNOWN : HOST_NONE;
			h->reverse_done = true;
			return;
		}
		for (size_t i = 0; i < r->n && h->nnames < HOSTS_NAMES; i++)
			if (r->items[i].text.n)
				h->names[h->nnames++] = arena_span(h->a, r->items[i].text);
		h->have_names = true;
	}
	h->name = h->nnames ? h->names[0] : SPAN_LIT("");
	for (size_t i = 0; i < h->nnames; i++) {
		enum host_state s = leads_to(h, h->names[i], type, &wait);

		unknown |= s == HOST_UNKNOWN;
		if (s == HOST_PROVED) {
			h->name = h->names[i];
			h->reverse = HOST_PROVED;
			h->reverse_done = true;
			return;
		}
	}
	if (wait)
		return;
	h->reverse = unknown ? HOST_UNKNOWN : h->nnames ? HOST_UNPROVED : HOST_NONE;
	h->reverse_done = true;
}

/* A name with an MX alone is a mail domain and no host; it exists all the same, as people set up servers. */
static void
helo_step(struct hosts *h)
{
	bool wait = false, unknown = false, there = false;
	static const uint16_t types[] = { DNS_A, DNS_AAAA };
	const struct dns_reply *mx;

	for (size_t i = 0; i < 2; i++) {
		enum host_state s = leads_to(h, h->helo, types[i], &wait);

		unknown |= s == HOST_UNKNOWN;
		there |= s == HOST_UNPROVED;
		if (s == HOST_PROVED) {
			h->helo_state = s;
			h->helo_done = true;
			return;
		}
	}
	if (wait)
		return;
	if (!there && !unknown) {
		if ((mx = dns_book_ask(h->book, h->helo, DNS_MX)) == NULL)
			return;
		unknown = dns_reply_failed(mx);
		there = mx->n > 0;
	}
	h->helo_state = there ? HOST_UNPROVED : unknown ? HOST_UNKNOWN : HOST_NONE;
	h->helo_done = true;
}

bool
hosts_step(struct hosts *h)
{
	if (!h->reverse_done)
		reverse_step(h);
	if (!h->helo_done)
		helo_step(h);
	return h->reverse_done && h->helo_done;
}

void
hosts_abort(struct hosts *h)
{
	h->reverse_done = h->helo_done = true;
}

void
hosts_facts(const struct hosts *h, struct arena *a, struct facts *f)
{
	f->reverse = h->reverse;
	f->reverse_name = h->reverse == HOST_PROVED || h->reverse == HOST_UNPROVED ?
	    arena_span(a, h->name) : SPAN_LIT("");
	f->helo = h->helo_state;
}
