/* bench_spf.c -- evaluations a second when every answer is at hand: what SPF and DMARC cost beside the DNS.
 *
 * The records are shaped like those of large providers: three includes with networks,
 * the match in the last one. Exit status 1 when the strict engine needs more than
 * WANTED_US for one message in the best of seven rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "addr.h"
#include "verifier/dmarc.h"
#include "verifier/spf.h"

#define WANTED_US 100.0
#define ROUNDS 7
#define TIMES 3000

static const struct { const char *name; uint16_t type; const char *data; } zone[] = {
	{ "example.com", DNS_TXT, "v=spf1 include:_a.example.net include:_b.example.net "
	    "include:_c.example.net mx -all" },
	{ "_a.example.net", DNS_TXT, "v=spf1 ip4:198.51.100.0/25 ip4:203.0.113.0/26 ip6:2001:db8:1::/48 "
	    "ip4:198.51.100.128/26 ip4:203.0.113.64/27 ip6:2001:db8:2::/48 ~all" },
	{ "_b.example.net", DNS_TXT, "v=spf1 ip4:198.51.100.192/27 ip4:203.0.113.96/27 ip6:2001:db8:3::/48 "
	    "ip4:198.51.100.224/27 ip4:203.0.113.128/26 ip6:2001:db8:4::/48 ~all" },
	{ "_c.example.net", DNS_TXT, "v=spf1 ip4:10.1.2.0/24 ip4:192.0.2.0/24 ~all" },
	{ "flat.example.com", DNS_TXT, "v=spf1 ip4:192.0.2.0/24 -all" },
	{ "macro.example.com", DNS_TXT, "v=spf1 exists:%{ir}.%{l1r-}.%{v}.x.example.com -all" },
	{ "1.2.0.192.user.in-addr.x.example.com", DNS_A, "127.0.0.2" },
	{ "_dmarc.example.com", DNS_TXT, "v=DMARC1; p=reject; rua=mailto:d@example.com" },
};

static double
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
answer(struct dns_book *b, const struct dns_question *q)
{
	static struct dns_answer a;

	a.status = DNS_NXDOMAIN;
	a.n = 0;
	for (size_t i = 0; i < sizeof(zone) / sizeof(*zone); i++)
		if (zone[i].type == q->type && strcmp(zone[i].name, q->name) == 0) {
			a.status = DNS_OK;
			a.n = 1;
			a.records[0] = (struct dns_record){ .size = (uint16_t)strlen(zone[i].data) };
			memcpy(a.data, zone[i].data, strlen(zone[i].data));
			if (q->type == DNS_A)
				ip_parse(span_str(zone[i].data), &a.records[0].ip);
		}
	dns_book_answer(b, q->id, &a);
}

static void
pump(struct dns_book *b)
{
	struct dns_question q;

	while (dns_book_next(b, &q))
		answer(b, &q);
}

static enum auth_result
one_spf(struct arena *a, const char *from, enum spf_engine engine)
{
	struct spf_request r = { .helo = SPAN_LIT("mail.example.com"), .mail_from = span_str(from),
		.ip = { .family = 4, .b = { 192, 0, 2, 1 } }, .explain = true, .engine = engine };
	struct dns_book *b = dns_book_new(a);
	struct spf *s = spf_new(a, b, &r);

	while (!spf_step(s))
		pump(b);
	return spf_result(s)->result;
}

static enum auth_result
one_dmarc(struct arena *a, const struct dmarc_psl *psl, enum dmarc_discovery discovery)
{
	struct span from = SPAN_LIT("Some Body <user@news.example.com>");
	struct dmarc_dkim dkim = { AUTH_PASS, SPAN_LIT("mail.example.com") };
	struct dmarc_request r = { .from = &from, .nfrom = 1, .spf = AUTH_FAIL, .spf_domain = SPAN_LIT("x.example"),
		.dkim = &dkim, .ndkim = 1, .psl = psl, .discovery = discovery };
	struct dns_book *b = dns_book_new(a);
	struct dmarc *d = dmarc_new(a, b, &r);

	while (!dmarc_step(d))
		pump(b);
	return dmarc_result(d)->result;
}

/* kind: 0..2 SPF by engine, 3, 4 DMARC by discovery. Microseconds, the best round. */
static double
measure(const char *name, const char *from, int kind, const struct dmarc_psl *psl)
{
	struct arena *a = arena_new(64 << 10);
	double best = 1e12;

	for (int r = 0; r < ROUNDS; r++) {
		double start = now_us(), took;

		for (int i = 0; i < TIMES; i++) {
			enum auth_result got = kind < 3 ? one_spf(a, from, (enum spf_engine)kind) :
			    one_dmarc(a, psl, (enum dmarc_discovery)(kind - 3));

			if (got != AUTH_PASS) {
				fprintf(stderr, "%s: %s\n", name, auth_result_name(got));
				exit(1);
			}
			arena_reset(a);
		}
		took = (now_us() - start) / TIMES;
		if (took < best)
			best = took;
	}
	printf("%-38s %8.1f us  %8.0f a second\n", name, best, 1e6 / best);
	arena_free(&a);
	return best;
}

int
main(void)
{
	struct err err;
	struct dmarc_psl *psl = dmarc_psl_new(NULL, &err);
	double strict;

	if (psl == NULL) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	measure("SPF, one network, strict", "user@flat.example.com", SPF_STRICT, NULL);
	strict = measure("SPF, three includes, strict", "user@example.com", SPF_STRICT, NULL);
	measure("SPF, three includes, libspf2", "user@example.com", SPF_LIBSPF2, NULL);
	measure("SPF, three includes, both", "user@example.com", SPF_BOTH, NULL);
	measure("SPF, macros, strict", "user-x@macro.example.com", SPF_STRICT, NULL);
	measure("DMARC by list", NULL, 3, psl);
	measure("DMARC by tree walk", NULL, 4, psl);
	dmarc_psl_free(&psl);
	return strict > WANTED_US;
}
