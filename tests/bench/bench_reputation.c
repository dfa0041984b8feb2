/* bench_reputation.c -- what our own experience and the signs cost for one message, CPU of one core.
 *
 * In a full table, each message of another client and domain (the worst for caches), and of the same few.
 * What a receiver and a verifier do for one message: ask at RCPT, ask with the domain, note it twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "detect/signs.h"
#include "master/counters.h"
#include "receiver/reputation.h"

#define N 200000
#define NOW (INT64_C(1795341600) * 1000000)

static double
cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
message(const struct reputation *r, uint32_t i)
{
	struct reputation_who who = { .client = { .family = 4, .b = { (uint8_t)(i >> 16), (uint8_t)(i >> 8), 7, (uint8_t)i } } };
	struct reputation_answer a;
	char domain[32];

	reputation_ask(r, &who, NOW, &a);
	who.domain = span_make(domain, (size_t)snprintf(domain, sizeof(domain), "d%u.example", i / 4));
	reputation_ask(r, &who, NOW, &a);
	reputation_note(r, &who, REPUTATION_MESSAGES, 1, NOW);
	reputation_note(r, &who, i % 3 ? REPUTATION_CLEAN : REPUTATION_SPAM, 1, NOW);
}

static void
signs(void)
{
	static const char text[] = "Received: from a.test by b.test; Sun, 22 Nov 2026 10:00:00 +0100\r\n"
	    "Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@other.test>\r\nTo: u@example.org\r\n"
	    "From: Marie Durand <m.durand@other.test>\r\nReply-To: <n@elsewhere.test>\r\nSubject: Hello\r\n\r\nHello you.\r\n";
	struct confusables *c = confusables_open();
	struct lookalikes *own = lookalikes_new(c), *brands = lookalikes_new(c);
	struct facts f = { .now = NOW, .spf = AUTH_NONE, .reverse = HOST_PROVED, .reverse_name = SPAN_LIT("mail.other.test") };
	struct envelope env = { .direction = DIRECTION_INBOUND, .helo = SPAN_LIT("mail.other.test") };
	struct arena *a = arena_new(0), *one = arena_new(0);
	struct person p = { person_name(a, SPAN_LIT("Marie Durand")), SPAN_LIT("m.durand@example.org") };
	struct sign_guards g = { own, brands, &p, 1 };
	struct anatomy an;
	struct signs s;
	double from;

	lookalikes_add(own, SPAN_LIT("example.org"));
	lookalikes_add(brands, SPAN_LIT("paypal.com"));
	anatomy_build(a, span_str(text), NULL, &an);
	from = cpu();
	for (int i = 0; i < N / 10; i++) {
		signs_find(&an, &env, &f, &g, one, &s);
		arena_reset(one);
	}
	printf("signs of a message                     %6.2f us\n", (cpu() - from) / (N / 10));
}

int
main(void)
{
	void *memory = aligned_alloc(4096, REPUTATION_BYTES);
	struct reputation r;
	double from;

	if (memory == NULL)
		return 1;
	memset(memory, 0, REPUTATION_BYTES);
	reputation_open(&r, memory, REPUTATION_BYTES, REPUTATION_HALF_LIFE);
	for (uint32_t i = 0; i < N; i++)
		message(&r, i);
	from = cpu();
	for (uint32_t i = 0; i < N; i++)
		message(&r, 5000000 + i);
	printf("experience, clients nobody knows       %6.2f us\n", (cpu() - from) / N);
	from = cpu();
	for (uint32_t i = 0; i < N; i++)
		message(&r, i % 1000);
	printf("experience, a thousand clients         %6.2f us\n", (cpu() - from) / N);
	signs();
	return 0;
}
