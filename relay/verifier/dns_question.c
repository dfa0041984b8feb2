/* dns_question.c -- the book of questions and answers; see dns_question.h. */
#include <stdlib.h>

#include "postern/err.h"
#include "verifier/dns_question.h"

#define BUCKETS 64

struct entry {
	struct entry *same;		/* in its bucket */
	struct dns_question q;
	size_t n;			/* of q.name */
	const struct dns_reply *reply;	/* NULL: unanswered */
};

struct dns_book {
	struct arena *a;
	struct entry *buckets[BUCKETS];
	struct entry *entries[DNS_BOOK_MAX];
	size_t n, handed;
};

static const struct dns_reply no_such_name = { .status = DNS_NXDOMAIN };
static const struct dns_reply book_full = { .status = DNS_SERVFAIL };

struct dns_book *
dns_book_new(struct arena *a)
{
	struct dns_book *b = arena_zalloc(a, sizeof(*b));

	b->a = a;
	return b;
}

bool
dns_question_ok(struct span name)
{
	size_t label = 0;

	if (name.n == 0 || name.n > DNS_NAME_MAX - 1)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (c < ' ' || c > '~' || c == '\\' || ++label > 63)
			return false;
	}
	return label > 0;
}

static unsigned
bucket(const char *name, size_t n, uint16_t type)
{
	uint32_t h = 2166136261u ^ type;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return (h ^ h >> 16) % BUCKETS;
}

const struct dns_reply *
dns_book_ask(struct dns_book *b, struct span name, uint16_t type)
{
	char low[DNS_NAME_MAX];
	struct entry **head, *e;

	if (name.n > 1 && name.p[name.n - 1] == '.')
		name.n--;
	if (!dns_question_ok(name))
		return &no_such_name;
	for (size_t i = 0; i < name.n; i++)
		low[i] = ascii_lower(name.p[i]);
	head = &b->buckets[bucket(low, name.n, type)];
	for (e = *head; e; e = e->same)
		if (e->q.type == type && e->n == name.n && memcmp(e->q.name, low, name.n) == 0)
			return e->reply;
	if (b->n == DNS_BOOK_MAX)
		return &book_full;
	e = arena_zalloc(b->a, sizeof(*e));
	e->q.id = (unsigned)b->n;
	e->q.type = type;
	e->q.name = arena_str(b->a, span_make(low, name.n));
	e->n = name.n;
	e->same = *head;
	*head = e;
	b->entries[b->n++] = e;
	return NULL;
}

bool
dns_book_next(struct dns_book *b, struct dns_question *q)
{
	if (b->handed == b->n)
		return false;
	*q = b->entries[b->handed++]->q;
	return true;
}

void
dns_book_answer(struct dns_book *b, unsigned id, const struct dns_answer *answer)
{
	struct dns_reply *r = arena_zalloc(b->a, sizeof(*r));
	struct dns_item *items;
	struct entry *e;

	ASSERT(id < b->handed && b->entries[id]->reply == NULL);
	e = b->entries[id];
	r->status = answer->odd ? DNS_OK : answer->status;
	r->secure = answer->secure;
	if (r->status == DNS_OK) {
		r->n = answer->n + answer->odd;
		r->more = answer->more;
		r->ttl = answer->ttl;
		items = arena_array(b->a, r->n, sizeof(*items));
		for (size_t i = 0; i < r->n; i++) {
			const struct dns_record *rec = &answer->records[i < answer->n ? i :
			    DNS_RECORDS_MAX - (i - answer->n) - 1];

			items[i].ip = rec->ip;
			items[i].pref = rec->pref;
			items[i].text = arena_span(b->a, e->q.type == DNS_TXT || e->q.type == DNS_TLSA ?
			    dns_data(answer, rec) : span_str(rec->name));
		}
		r->items = items;
		if (r->n == 0)
			r->status = DNS_NODATA;
	}
	e->reply = r;
}

size_t
dns_book_count(const struct dns_book *b)
{
	return b->n;
}

void
dns_book_get(const struct dns_book *b, size_t i, struct dns_question *q,
    const struct dns_reply **reply)
{
	ASSERT(i < b->n);
	*q = b->entries[i]->q;
	*reply = b->entries[i]->reply;
}
