/* fuzz_lists.c -- any bytes as a book of lists: it is refused, or every look-up stays within it and says
 * something sensible. The first 16 bytes choose what is asked; of the rest the sizes of the head are put
 * right, so that more than the first check is reached. */
#include <stdlib.h>

#include "lists/book_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
mend(char *p, size_t n)
{
	struct book_head *h = (struct book_head *)(void *)p;
	uint64_t rest;

	if (n < sizeof(*h))
		return;
	memcpy(h->magic, BOOK_MAGIC, sizeof(BOOK_MAGIC));
	rest = n - sizeof(*h);
	h->slots = 16;
	h->n %= 9;
	if (rest < h->n * sizeof(struct book_entry) + 16 * 4)
		return;
	h->size = n;
	h->texts = rest - h->n * sizeof(struct book_entry) - 16 * 4;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span addresses[] = { { "x@evil.example", 14 }, { "", 0 },
		{ "bob+t@a.b.partner.example", 25 }, { "@", 1 }, { "ann@example.org", 15 } };
	struct book_ask ask = { .now = 1, .client = { .family = 4, .b = { 192, 0, 2, 7 } } };
	struct book_answer is = { 0 };
	struct err err = { 0 };
	struct book b;
	char *copy;
	size_t n;

	if (size < 16)
		return 0;
	n = size - 16;
	copy = malloc(n + 1);
	memcpy(copy, data + 16, n);
	if (data[0] & 1)
		mend(copy, n);
	ask.sender = addresses[data[1] % 5];
	ask.from = addresses[data[2] % 5];
	ask.sender_proved = data[3] & 1;
	ask.from_proved = data[3] & 2;
	if (data[4] & 1)
		ask.client.family = 6;
	if (book_open(span_make(copy, n), &b, &err) == -1) {
		ASSERT(err.text[0] != '\0');
	} else {
		book_find(&b, &ask, addresses[data[5] % 5], 7, &is);
		ASSERT(is.n <= LISTINGS_PER_RECIPIENT && (is.mask & ~is.seen) == 0);
		for (size_t i = 0; i < is.n; i++) {
			ASSERT(is.v[i].scope < LIST_SCOPES && is.v[i].side < LIST_SIDES);
			ASSERT(is.v[i].what.n <= LISTS_WHAT_MAX + 1);
			ASSERT(!is.expires[i] || is.expires[i] > ask.now);
		}
		book_find_client(&b, ask.client, 1, &is);
	}
	free(copy);
	return 0;
}
