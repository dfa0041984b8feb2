/* fuzz_signs.c -- signs of a message: address fields, dates, ids, traces, names of people and clients.
 *
 * The first byte says what is known of the session; the rest is a message, whose first line is HELO and the
 * client's name too. What is found must be the same a second time, and its texts bounded.
 */
#include <stdlib.h>

#include "detect/mail_date.h"
#include "detect/mailbox.h"
#include "detect/signs.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lookalikes *own, *brands;
static struct person people[1];

static void
begin(void)
{
	struct confusables *c = confusables_open();
	struct arena *a = arena_new(0);

	ASSERT(c != NULL);
	own = lookalikes_new(c);
	brands = lookalikes_new(c);
	ASSERT(lookalikes_add(own, SPAN_LIT("example.org")) && lookalikes_add(brands, SPAN_LIT("paypal.com")));
	people[0] = (struct person){ person_name(a, SPAN_LIT("Marie Durand")), SPAN_LIT("m.durand@example.org") };
}

static void
check_values(struct arena *a, struct span raw)
{
	size_t at = 0, n = 0;
	struct mailbox m;
	int64_t seconds;

	while (n <= raw.n && mailbox_next(a, raw, &at, &m)) {
		ASSERT(m.name.n <= raw.n && m.address.n <= raw.n && at <= raw.n);
		n++;
	}
	ASSERT(n <= raw.n);
	if (mail_date(raw, &seconds))
		ASSERT(seconds > INT64_C(-70000000000) && seconds < INT64_C(260000000000));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sign_guards g = { 0 };
	struct facts f = { .now = INT64_C(1795341600) * 1000000 };
	struct envelope env = { .direction = DIRECTION_INBOUND };
	struct signs one, two;
	struct anatomy an;
	struct arena *a;
	struct span raw, line;

	if (own == NULL)
		begin();
	if (size < 1 || size > 65536)
		return 0;
	a = arena_new(0);
	raw = span_make((const char *)data + 1, size - 1);
	line = span_sub(raw, 0, span_find(span_sub(raw, 0, 255), '\r'));
	env.helo = line;
	env.client = (struct ip){ .family = data[0] & 1 ? 4 : 6, .b = { 192, 0, 2, 7 } };
	f.spf = data[0] & 2 ? AUTH_NONE : AUTH_UNKNOWN;
	f.helo = (enum host_state)(data[0] >> 2 & 3);
	f.reverse = (enum host_state)(data[0] >> 4 & 3);
	f.reverse_name = line;
	g = (struct sign_guards){ own, brands, people, 1 };
	check_values(a, line);
	anatomy_build(a, raw, NULL, &an);
	signs_find(&an, &env, &f, &g, a, &one);
	signs_find(&an, &env, &f, &g, a, &two);
	ASSERT(one.mask == two.mask && one.mask >> SIGN_COUNT == 0);
	for (int i = 0; i < SIGN_COUNT; i++)
		ASSERT(one.why[i].n < 512 && span_eq(one.why[i], two.why[i]) && ((one.mask >> i & 1) || one.why[i].n == 0));
	arena_free(&a);
	return 0;
}
