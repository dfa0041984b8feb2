/* book_read.c -- looks up in a book; see book.h. */
#include <errno.h>
#include <stdio.h>

#include "lists/book_layout.h"
#include "table.h"

#define PROBES_MAX 4096		/* a table that is never more than half full has no such run */

static const struct book_head *
head_of(const struct book *b)
{
	return (const struct book_head *)(const void *)b->bytes.p;
}

static const struct book_entry *
entries_of(const struct book *b)
{
	return (const struct book_entry *)(const void *)(b->bytes.p + sizeof(struct book_head));
}

static const uint32_t *
slots_of(const struct book *b)
{
	return (const uint32_t *)(const void *)(entries_of(b) + head_of(b)->n);
}

static struct span
text_of(const struct book *b, uint32_t at, uint16_t n)
{
	const struct book_head *h = head_of(b);
	const char *texts = (const char *)(slots_of(b) + h->slots);

	return at <= h->texts && n <= h->texts - at ? span_make(texts + at, n) : SPAN_LIT("");
}

int
book_open(struct span bytes, struct book *b, struct err *err)
{
	const struct book_head *h = (const struct book_head *)(const void *)bytes.p;

	_Static_assert(sizeof(struct book_head) % 8 == 0 && sizeof(struct book_entry) % 8 == 0,
	    "parts stand where they may be read");
	if (bytes.n < sizeof(*h) || ((uintptr_t)bytes.p & 7) != 0 ||
	    memcmp(h->magic, BOOK_MAGIC, sizeof(BOOK_MAGIC)) != 0)
		return err_set(err, EINVAL, "these are no lists");
	if (h->n > LISTS_MAX || h->slots < 16 || (h->slots & (h->slots - 1)) != 0 ||
	    h->slots > 4 * (uint32_t)LISTS_MAX || h->n > h->slots / 2 || h->texts > BOOK_TEXTS_MAX ||
	    h->size != bytes.n || h->size != sizeof(*h) + (uint64_t)h->n * sizeof(struct book_entry) +
	    (uint64_t)h->slots * 4 + h->texts)
		return err_set(err, EINVAL, "the lists are damaged");
	*b = (struct book){ .bytes = bytes, .generation = h->generation, .made = h->made, .n = h->n };
	return 0;
}

static const struct book_entry *
find(const struct book *b, enum list_scope scope, enum entry_kind kind, struct span owner,
    struct span what, int64_t now)
{
	const struct book_head *h = head_of(b);
	const uint32_t *slots = slots_of(b);
	char key[BOOK_KEY_MAX + 1];
	size_t n = book_key(key, scope, kind, owner, what);
	uint32_t at;

	if (n == 0)
		return NULL;
	at = (uint32_t)siphash(h->key, key, n) & (h->slots - 1);
	for (int i = 0; i < PROBES_MAX && slots[at]; i++, at = (at + 1) & (h->slots - 1)) {
		const struct book_entry *e;

		if (slots[at] > h->n)
			return NULL;
		e = &entries_of(b)[slots[at] - 1];
		if (e->scope == scope && e->kind == kind && e->side < LIST_SIDES &&
		    span_eq(text_of(b, e->what, e->what_n), what) &&
		    span_eq(text_of(b, e->owner, e->owner_n), owner))
			return e->expires && e->expires <= now ? NULL : e;
	}
	return NULL;
}

/* ---- the answer ---- */

struct looking {
	const struct book *b;
	enum list_scope scope;
	struct span owner;
	int64_t now;
	struct book_answer *out;
};

/* Of one scope and side the first that counts stays; each look-up goes from the particular to the general. */
static void
found(struct looking *l, const struct book_entry *e, enum list_by by, bool proved)
{
	struct book_answer *out = l->out;
	unsigned bit = LISTED_BIT(e->scope, e->side);
	bool counts = e->side == LIST_BLOCK || proved || e->unauthenticated;
	const struct book *b = l->b;
	struct listed *to = NULL;
	size_t i;

	if (out->mask & bit || (out->seen & bit && !counts))
		return;
	for (i = 0; i < out->n && !to; i++)
		if (out->v[i].scope == e->scope && out->v[i].side == e->side)
			to = &out->v[i];
	if (to)
		i--;
	else
		to = &out->v[i = out->n++];
	*to = (struct listed){ .recipient = LISTING_EVERYONE, .scope = e->scope, .side = e->side,
		.by = (uint8_t)by, .counts = counts, .number = e->number,
		.owner = e->scope == LIST_ALL ? text_of(b, e->who, e->who_n) :
		    text_of(b, e->owner, e->owner_n),
		.what = text_of(b, e->what, e->what_n), .reason = text_of(b, e->reason, e->reason_n) };
	out->expires[i] = e->expires;
	out->seen |= bit;
	if (counts)
		out->mask |= bit;
}

static void
look(struct looking *l, enum entry_kind kind, struct span what, enum list_by by, bool proved)
{
	const struct book_entry *e = find(l->b, l->scope, kind, l->owner, what, l->now);

	if (e)
		found(l, e, by, proved);
}

/* The address, without its tag, its domain, the domains above. */
static void
look_address(struct looking *l, struct span address, enum list_by by, bool proved)
{
	char what[LISTS_WHAT_MAX + 1];
	struct span local, domain;
	size_t plus;

	if (address.n == 0 || address.n > LISTS_WHAT_MAX || !mailaddr_split(address, &local, &domain))
		return;
	look(l, ENTRY_ADDRESS, address, by, proved);
	plus = span_find(local, '+');
	if (plus > 0 && plus < local.n && local.p[0] != '"') {
		size_t n = plus + 1 + domain.n;

		memcpy(what, local.p, plus);
		what[plus] = '@';
		memcpy(what + plus + 1, domain.p, domain.n);
		look(l, ENTRY_ADDRESS, span_make(what, n), by, proved);
	}
	for (;;) {
		size_t dot = span_find(domain, '.');

		/* the @ stands before the domain in an address, and a dot before each domain above */
		memcpy(what + 1, domain.p, domain.n);
		what[0] = '@';
		look(l, ENTRY_DOMAIN, span_make(what, domain.n + 1), by, proved);
		if (dot + 1 >= domain.n)
			break;
		domain = span_from(domain, dot + 1);
	}
}

/* Longest prefix first. */
static void
look_client(struct looking *l, struct ip ip)
{
	const struct book_head *h = head_of(l->b);
	int width = ip.family == 4 ? 32 : 128;
	char text[IP_TEXT_MAX], what[IP_TEXT_MAX + 8];

	if (ip.family != 4 && ip.family != 6)
		return;
	for (int bits = width; bits >= 0; bits--) {
		uint64_t word = ip.family == 4 ? h->lengths4 : h->lengths6[bits / 64];
		struct ip net = ip;
		int n;

		if (!(word >> (bits % 64) & 1))
			continue;
		for (int i = 0; i < width / 8; i++)
			if (i * 8 >= bits)
				net.b[i] = 0;
			else if (i * 8 + 8 > bits)
				net.b[i] &= (uint8_t)(0xff << (i * 8 + 8 - bits));
		n = snprintf(what, sizeof(what), bits == width ? "%s" : "%s/%d", ip_format(net, text), bits);
		look(l, ENTRY_NETWORK, span_make(what, (size_t)n), LIST_BY_CLIENT, true);
	}
}

static void
look_all(struct looking *l, const struct book_ask *ask)
{
	if (head_of(l->b)->scopes[l->scope] == 0)
		return;
	/* Whom From: names people see: when both speak, it is told. */
	look_address(l, ask->from, LIST_BY_FROM, ask->from_proved);
	look_address(l, ask->sender, LIST_BY_SENDER, ask->sender_proved);
	look_client(l, ask->client);
}

void
book_find(const struct book *b, const struct book_ask *ask, struct span recipient, unsigned scopes,
    struct book_answer *out)
{
	struct looking l = { .b = b, .now = ask->now, .out = out };
	struct span local, domain;
	char untagged[LISTS_OWNER_MAX];
	size_t plus;

	if (scopes & 1u << LIST_ALL)
		look_all(&l, ask);
	if (recipient.n > LISTS_OWNER_MAX || !mailaddr_split(recipient, &local, &domain))
		return;
	if (scopes & 1u << LIST_DOMAIN) {
		l.scope = LIST_DOMAIN;
		l.owner = domain;
		look_all(&l, ask);
	}
	if (scopes & 1u << LIST_USER) {
		l.scope = LIST_USER;
		l.owner = recipient;
		plus = span_find(local, '+');
		if (plus > 0 && plus < local.n && local.p[0] != '"') {
			memcpy(untagged, local.p, plus);
			untagged[plus] = '@';
			memcpy(untagged + plus + 1, domain.p, domain.n);
			l.owner = span_make(untagged, plus + 1 + domain.n);
		}
		look_all(&l, ask);
	}
}

void
book_find_client(const struct book *b, struct ip client, int64_t now, struct book_answer *out)
{
	struct looking l = { .b = b, .scope = LIST_ALL, .now = now, .out = out };

	*out = (struct book_answer){ 0 };
	if (head_of(b)->scopes[LIST_ALL])
		look_client(&l, client);
}
