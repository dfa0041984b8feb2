/* bench_scan.c -- what one message costs the scanner and the signer, by stage.
 *
 *   bench_scan [TMPDIR]    where the engine makes its folders; /dev/shm when it is there
 *   bench_scan --dkim      the signer alone
 *   bench_scan --again     the same attachment to 500 people, remembered and not
 */
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "master/config.h"
#include "scanner/scan.h"
#include "scanner_test.h"
#include "dkim_test.h"
#include "signer/dkim_sign.h"

static char *dir;
static struct arena *keep;

/* Text with sentences, and an attachment in base64; every message is different. */
static struct span
message(struct arena *a, size_t size, unsigned seed)
{
	static const char *const words[] = { "the", "report", "of", "this", "week", "says", "that",
		"all", "is", "well", "and", "orders", "arrive", "on", "Monday", "with", "care" };
	char *out = arena_alloc(a, size + 200);
	size_t n = (size_t)sprintf(out, "From: A <a@example.org>\r\nTo: b@example.net\r\nSubject: "
	    "number %u\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%u@example.org>\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", seed, seed);
	size_t line = 0;

	while (n < size) {
		const char *w = words[(size_t)rand_r(&seed) % (sizeof(words) / sizeof(words[0]))];

		n += (size_t)sprintf(out + n, "%s ", w);
		line += strlen(w) + 1;
		if (line > 66) {
			n += (size_t)sprintf(out + n, "\r\n");
			line = 0;
		}
	}
	n += (size_t)sprintf(out + n, "\r\n");
	return span_make(out, n);
}

static void
open_judge(struct judge *j, const char *tmp, bool remember)
{
	struct config conf = { .scan_timeout = 60 * US_PER_SEC, .antivirus.remember = remember };
	struct diags d;
	struct err err;

	diags_init(&d, keep);
	conf.policy_dir = arena_printf(keep, "%s/policy.d", dir);
	conf.antivirus.databases = arena_printf(keep, "%s/databases", dir);
	if (mkdir(conf.policy_dir, 0755) == 0)
		test_databases(keep, dir, "0");
	test_write(arena_printf(keep, "%s/policy.d/10.yaml", dir),
	    "version: 1\nuse: [postern/base]\nrules:\n"
	    "  - {id: virus, when: {virus: true}, then: {quarantine: virus}}\n"
	    "  - {id: cards, when: {finds: {any: [payment-card, iban]}}, then: {hold: {for: d@example.org}}}\n");
	if (judge_open(j, &conf, &d, &err) == -1 || judge_antivirus(j, &conf, tmp, &err) == -1) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
}

static void
bench_stages(const struct judge *j, size_t size, int rounds)
{
	struct recipient r = { .address = SPAN_LIT("b@example.net") };
	struct envelope env = { .id = 1, .direction = DIRECTION_OUTBOUND, .recipients = &r,
		.nrecipients = 1, .sender = SPAN_LIT("a@example.org") };
	struct explain_times sum = { 0 };
	struct arena *a = arena_new(1u << 20), *texts = arena_new(1u << 20);
	int64_t record = 0, all = 0, at;

	for (int i = -rounds / 10; i < rounds; i++) {
		struct span raw = message(texts, size, (unsigned)(i + rounds));
		struct judgement ju;

		at = clock_mono();
		judge_message(j, &env, raw, NULL, a, &ju);
		if (i >= 0) {
			all += clock_mono() - at;
			sum.anatomy += ju.ms.anatomy;
			sum.antivirus += ju.ms.antivirus;
			sum.detect += ju.ms.detect;
			sum.evaluate += ju.ms.evaluate;
		}
		at = clock_mono();
		judgement_record(j, &env, &ju, RECORD_MAX, a);
		record += i >= 0 ? clock_mono() - at : 0;
		arena_reset(a);
		arena_reset(texts);
	}
	printf("%7zu bytes: anatomy %.1f  antivirus %.1f  detect %.1f  evaluate %.1f  record %.1f  "
	    "all %.1f us\n", size, sum.anatomy * 1000 / rounds, sum.antivirus * 1000 / rounds,
	    sum.detect * 1000 / rounds, sum.evaluate * 1000 / rounds, (double)record / rounds,
	    (double)(all + record) / rounds);
	arena_free(&a);
	arena_free(&texts);
}

/* A picture for 500 people: texts and Content-IDs differ, the attachment does not. */
static struct span
circular(struct arena *a, size_t size, unsigned n)
{
	static const char signs[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *out = arena_alloc(a, size + size / 70 + 1000);
	unsigned seed = 1;
	size_t at = (size_t)sprintf(out, "From: A <a@example.org>\r\nTo: b%u@example.net\r\nSubject: For number %u\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
	    "Dear number %u, see the picture.\r\n--b\r\nContent-Type: image/gif; name=p.gif\r\nContent-ID: <%u@x>\r\n"
	    "Content-Transfer-Encoding: base64\r\n\r\nR0lGODlh", n, n, n, n), end = at + size;

	for (size_t i = 1; at < end; i++) {
		for (int k = 0; k < 68; k++)
			out[at++] = signs[(unsigned)rand_r(&seed) >> 8 & 63];
		at += (size_t)sprintf(out + at, "\r\n");
	}
	return span_make(out, at + (size_t)sprintf(out + at, "--b--\r\n"));
}

static double
bench_circular(const struct judge *j, size_t size, int rounds)
{
	struct recipient r = { .address = SPAN_LIT("b@example.net") };
	struct envelope env = { .id = 1, .direction = DIRECTION_OUTBOUND, .recipients = &r,
		.nrecipients = 1, .sender = SPAN_LIT("a@example.org") };
	struct arena *a = arena_new(1u << 20), *texts = arena_new(1u << 20);
	double sum = 0;

	for (int i = 0; i < rounds; i++) {
		struct span raw = circular(texts, size, (unsigned)i);
		struct judgement ju;

		judge_message(j, &env, raw, NULL, a, &ju);
		if (ju.facts.av != AV_CLEAN)
			exit(1);
		sum += ju.ms.antivirus;
		arena_reset(a);
		arena_reset(texts);
	}
	arena_free(&a);
	arena_free(&texts);
	return sum / rounds;
}

static void
bench_again(const char *tmp)
{
	static const size_t sizes[] = { 20u << 10, 100u << 10, 1u << 20 };

	puts("the same attachment to 500 people: the antivirus, ms a message");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		double ms[2];

		for (int on = 0; on < 2; on++) {
			struct judge j;

			open_judge(&j, tmp, on);
			ms[on] = bench_circular(&j, sizes[i], 500);
			judge_close(&j);
		}
		printf("%7zu bytes: looked at each time %.3f  remembered %.3f  %.1fx\n", sizes[i], ms[0], ms[1],
		    ms[0] / ms[1]);
	}
}

typedef int sign_fn(const struct dkim_key *, const struct dkim_message *, int64_t, struct arena *,
    struct buf *, struct err *);

/* Of this process: other work on the machine does not show. */
static int64_t
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * US_PER_SEC + ts.tv_nsec / 1000;
}

static double
bench_sign(const struct dkim_key *k, sign_fn *fn, size_t size, int rounds)
{
	struct arena *a = arena_new(1u << 20);
	struct span raw = message(keep, size, 1);
	struct buf out;
	struct err err;
	int64_t at = cpu_us();

	buf_init(&out, DKIM_SIGNATURE_MAX);
	for (int i = 0; i < rounds; i++) {
		struct dkim_message m;
		struct payload p;

		payload_from_span(&p, raw, a);
		buf_reset(&out);
		if (dkim_message_open(&p, a, &m, &err) == -1 ||
		    fn(k, &m, 1795000000 + i, a, &out, &err) == -1) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
		arena_reset(a);
	}
	buf_release(&out);
	arena_free(&a);
	return (double)(cpu_us() - at) / 1000 / rounds;
}

/* One signature of 32 bytes and nothing else: what no signer can go below. */
static double
bench_floor(const struct dkim_key *k, int rounds)
{
	unsigned char sig[1024], text[32] = { 1 };
	int64_t at = cpu_us();

	for (int i = 0; i < rounds; i++) {
		EVP_MD_CTX *md = EVP_MD_CTX_new();
		size_t n = sizeof(sig);

		if (EVP_DigestSignInit(md, NULL, k->ed25519 ? NULL : EVP_sha256(), NULL, k->key) != 1 ||
		    EVP_DigestSign(md, sig, &n, text, sizeof(text)) != 1)
			exit(1);
		EVP_MD_CTX_free(md);
	}
	return (double)(cpu_us() - at) / 1000 / rounds;
}

/* libopendkim verifies what we signed. */
static double
bench_verify(const struct dkim_key *k, size_t size, int rounds)
{
	struct arena *a = arena_new(0);
	struct span pieces[2] = { { 0 }, message(a, size, 1) };
	struct dkim_message m;
	struct payload p;
	struct buf out;
	struct err err;
	int64_t at;

	buf_init(&out, DKIM_SIGNATURE_MAX);
	payload_from_span(&p, pieces[1], a);
	if (dkim_message_open(&p, a, &m, &err) == -1 ||
	    dkim_sign_fast(k, &m, clock_real() / US_PER_SEC, a, &out, &err) == -1)
		exit(1);
	pieces[0] = buf_data(&out);
	at = cpu_us();
	for (int i = 0; i < rounds; i++)
		if (dkim_verify_own(k, pieces, 2, a, &err) == -1) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
	buf_release(&out);
	arena_free(&a);
	return (double)(cpu_us() - at) / 1000 / rounds;
}

static void
bench_signatures(void)
{
	static const size_t sizes[] = { 4096, 100u << 10, 1u << 20 };

	for (int ed = 0; ed < 2; ed++) {
		char *path = arena_printf(keep, "%s/key%d.pem", dir, ed);
		struct dkim_key *k;
		struct err err;

		dkim_make_key(path, ed, 2048);
		k = dkim_key_load(SPAN_LIT("example.org"), SPAN_LIT("s"), path, ed, &err);
		if (k == NULL)
			exit(1);
		printf("%s: the bare signature %.3f ms\n", ed ? "ed25519-sha256" : "rsa-sha256 2048",
		    bench_floor(k, 200));
		for (size_t i = 0; i < 3; i++)
			printf("%7zu bytes: ours %.3f  libopendkim %.3f  verified by it %.3f ms\n", sizes[i],
			    bench_sign(k, dkim_sign_fast, sizes[i], 200),
			    bench_sign(k, dkim_sign_lib, sizes[i], 100), bench_verify(k, sizes[i], 200));
		dkim_key_free(&k);
	}
}

int
main(int argc, char **argv)
{
	const char *tmp = argc > 1 && argv[1][0] != '-' ? argv[1] : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	char own[256];
	struct judge j;

	keep = arena_new(1u << 20);
	dir = test_dir();
	if (argc > 1 && strcmp(argv[1], "--dkim") == 0) {
		bench_signatures();
		test_remove(dir);
		return 0;
	}
	snprintf(own, sizeof(own), "%s/bench-XXXXXX", tmp);
	if (mkdtemp(own) == NULL) {
		perror(own);
		return 1;
	}
	if (argc > 1 && strcmp(argv[1], "--again") == 0) {
		bench_again(own);
		test_remove(own);
		test_remove(dir);
		return 0;
	}
	open_judge(&j, own, true);
	printf("scanner, engine's folders in %s:\n", tmp);
	bench_stages(&j, 4096, 1000);
	bench_stages(&j, 100u << 10, 100);
	bench_stages(&j, 1u << 20, 20);
	bench_again(own);
	bench_signatures();
	judge_close(&j);
	test_remove(own);
	test_remove(dir);
	return 0;
}
