/* bench_verify.c -- what it costs to find out who sent a message, once the DNS has answered: CPU time of one
 * message in a verifier, by size and by what it carries. Receiving and judging it is not counted. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "postern/err.h"
#include "scanner_test.h"
#include "dkim_test.h"
#include "signer/dkim_record.h"
#include "signer/dkim_sign.h"
#include "verifier/answer.h"

static struct span rsa_record, ed_record;
static struct dmarc_psl *psl;

static double
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static struct span
text_of(const char *name)
{
	if (strcmp(name, "_dmarc.example.org") == 0)
		return SPAN_LIT("v=DMARC1; p=reject");
	if (strcmp(name, "example.org") == 0)
		return SPAN_LIT("v=spf1 ip4:192.0.2.0/24 -all");
	if (strcmp(name, "rsa._domainkey.example.org") == 0)
		return rsa_record;
	if (strcmp(name, "ed._domainkey.example.org") == 0)
		return ed_record;
	return (struct span){ 0 };
}

static void
answer_all(struct dns_book *book)
{
	static struct dns_answer a;
	struct dns_question q;

	while (dns_book_next(book, &q)) {
		struct span t = text_of(q.name);

		a.status = t.n ? DNS_OK : DNS_NXDOMAIN;
		a.n = t.n > 0;
		a.ndata = t.n;
		a.records[0] = (struct dns_record){ .size = (uint16_t)t.n };
		if (t.n)
			memcpy(a.data, t.p, t.n);
		dns_book_answer(book, q.id, &a);
	}
}

/* All that check.c does with a message whose answers are at hand. */
static enum auth_result
verify(struct span raw)
{
	static const struct config conf = { .verify = { .authserv_id = SPAN_LIT("gw.example.net") } };
	const struct msg_identify who = { .id = 1, .client = { 4, { 192, 0, 2, 1 } } };
	struct spf_request spf_asks = { .ip = who.client, .helo = SPAN_LIT("mail.example.org"),
		.mail_from = SPAN_LIT("a@example.org") };
	struct arena *a = arena_new(16384);
	struct dns_book *book = dns_book_new(a);
	struct check_found f = { .who = &who, .conf = &conf };
	struct dmarc_request asks = { .psl = psl };
	struct dmarc_dkim dkim[SIGNATURES_SHOWN];
	struct spf *spf = spf_new(a, book, &spf_asks);
	struct signatures *sigs;
	struct msg_facts out;
	struct dmarc *dmarc;
	struct seals *seals;
	struct span from;
	struct mail m;

	while (!spf_step(spf))
		answer_all(book);
	mail_open(raw, a, &m);
	sigs = signatures_new(a, book, &m, time(NULL));
	seals = seals_new(a, book, &m);
	while (!signatures_step(sigs) || !seals_step(seals))
		answer_all(book);
	f.mail = &m;
	f.spf = spf_result(spf);
	f.signatures = signatures_get(sigs, &f.nsignatures);
	f.dkim = signatures_best(sigs);
	f.seals = seals_result(seals);
	for (size_t i = 0; i < f.nsignatures; i++)
		dkim[i] = (struct dmarc_dkim){ f.signatures[i].result, f.signatures[i].domain };
	asks.dkim = dkim;
	asks.ndkim = f.nsignatures;
	asks.spf = f.spf->result;
	asks.spf_domain = f.spf->domain;
	from = SPAN_LIT(" A <a@example.org>");
	asks.from = &from;
	asks.nfrom = 1;
	dmarc = dmarc_new(a, book, &asks);
	while (!dmarc_step(dmarc))
		answer_all(book);
	f.dmarc = dmarc_result(dmarc);
	answer_make(&f, a, &out);
	signatures_free(sigs);
	seals_free(seals);
	arena_free(&a);
	ASSERT(out.facts.spf == AUTH_PASS && out.facts.dmarc == AUTH_PASS);
	return out.facts.dkim;
}

static struct span
sign(struct arena *a, const struct dkim_key *k, struct span raw)
{
	struct payload p;
	struct dkim_message m;
	struct buf b;
	struct err err;

	buf_init(&b, 64u << 20);
	payload_from_span(&p, raw, a);
	ASSERT(dkim_message_open(&p, a, &m, &err) == 0 &&
	    dkim_sign_fast(k, &m, time(NULL), a, &b, &err) == 0 && buf_span(&b, raw) == 0);
	return arena_span(a, buf_data(&b));
}

static void
measure(const char *what, struct span raw, enum auth_result want)
{
	size_t n = raw.n > 1000000 ? 40 : 1000;
	double start, best = 1e12;

	ASSERT(verify(raw) == want);
	for (int round = 0; round < 3; round++) {
		start = cpu_us();
		for (size_t i = 0; i < n; i++)
			verify(raw);
		if ((cpu_us() - start) / (double)n < best)
			best = (cpu_us() - start) / (double)n;
	}
	printf("  %-36s %8zu bytes %10.0f us %8.0f/s\n", what, raw.n, best, 1e6 / best);
}

int
main(void)
{
	static const size_t sizes[] = { 4096, 65536, 1u << 20, 10u << 20 };
	struct arena *a = arena_new(0);
	const char *dir = test_dir();
	struct dkim_key *keys[2];
	struct span last = { 0 };
	struct err err;

	ASSERT((psl = dmarc_psl_new(NULL, &err)) != NULL);
	for (int ed = 0; ed < 2; ed++) {
		char *path = arena_printf(a, "%s/%d.pem", dir, ed);

		dkim_make_key(path, ed, 2048);
		keys[ed] = dkim_key_load(SPAN_LIT("example.org"), ed ? SPAN_LIT("ed") : SPAN_LIT("rsa"), path, ed, &err);
		ASSERT(keys[ed] != NULL);
	}
	rsa_record = span_str(dkim_record(a, keys[0]));
	ed_record = span_str(dkim_record(a, keys[1]));
	printf("SPF, DKIM, ARC, DMARC and the field, answers of the DNS at hand (CPU, best of three rounds):\n");
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		static const char head[] = "From: A <a@example.org>\r\nTo: b@example.net\r\nSubject: x\r\n"
		    "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\n";
		struct buf b;

		buf_init(&b, 64u << 20);
		buf_puts(&b, head);
		while (buf_size(&b) < sizes[s])
			buf_puts(&b, "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod\r\n");
		last = arena_span(a, buf_data(&b));
		buf_release(&b);
		if (s == 0) {
			measure("unsigned", last, AUTH_NONE);
			measure("ed25519", sign(a, keys[1], last), AUTH_PASS);
			measure("rsa-sha256 and ed25519", sign(a, keys[0], sign(a, keys[1], last)), AUTH_PASS);
		}
		measure("rsa-sha256, 2048 bits", sign(a, keys[0], last), AUTH_PASS);
	}
	arena_free(&a);
	return 0;
}
