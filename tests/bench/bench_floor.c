/* bench_floor.c -- what judging and signing a message cost beside the least they could.
 *
 *   bench_floor [--signatures FOLDER] [--rounds N] [--lines] [--alone WHAT SIZE]
 *
 * The floor is one RSA-2048 signature and one libclamav scan of the message as it came, by the same
 * engine with the same options. Beside it stand the steps alone, and the whole: what a scanner's worker does with
 * a message (everything on, 200 patterns of one's own) and what the signer does. Messages are text, HTML and an
 * attachment in base64; no two are alike. "again": nine of ten attachments were there before.
 * The figures are CPU time of this process; what is compared takes turns, message by message.
 *
 * --signatures: a folder of databases (tests/bench/signatures.py makes one); else one with the test file alone.
 * --lines: lines of one letter, as smtp-source writes them, in place of --alone's mail with an attachment.
 * --alone: only that step, for a profiler; or "again", the scan with nine of ten attachments seen before.
 */
#include <clamav.h>
#include <hs/hs.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "ipc/messages.h"
#include "master/config.h"
#include "postern/record.h"
#include "scanner/scan.h"
#include "scanner_test.h"
#include "dkim_test.h"
#include "signer/dkim_sign.h"

#define NPATTERNS 200
#define VERIFY_EVERY 100		/* as the signer does */
#define AGAIN 9				/* of ten attachments */

enum { LINES, TEXT, MIXED };		/* LINES: as smtp-source writes them */

static char *dir;
static struct arena *keep;

struct stand {
	struct judge all;		/* everything on */
	struct judge patterns;		/* no antivirus */
	struct judge plain;		/* no antivirus, no patterns */
	struct dkim_key *rsa, *ed;
	hs_database_t *db;
	hs_scratch_t *scratch;
	struct arena *a;		/* of one message */
	unsigned nsigned;
};

static double
cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void
die(const char *why)
{
	fprintf(stderr, "bench_floor: %s\n", why);
	exit(1);
}

/* ---- messages ---- */

static unsigned
draw(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(*seed >> 33);
}

static size_t
prose(char *out, size_t size, uint64_t *seed, const char *wrap)
{
	static const char *const words[] = { "the", "report", "of", "this", "week", "says", "that",
		"all", "is", "well", "and", "orders", "arrive", "on", "Monday", "with", "care", "invoice",
		"2026", "14.50", "see", "https://intranet.example.org/docs/q3", "m.durand@example.org" };
	size_t n = 0, line = 0;

	while (n < size) {
		const char *w = words[draw(seed) % (sizeof(words) / sizeof(words[0]))];

		n += (size_t)sprintf(out + n, "%s%s%u ", line == 0 ? wrap : "", w, draw(seed) % 100);
		line += strlen(w) + 3;
		if (line > 60) {
			n += (size_t)sprintf(out + n, "\r\n");
			line = 0;
		}
	}
	return n + (size_t)sprintf(out + n, "\r\n");
}

/* `same`: the attachment is that of every other message with the same. */
static struct span
message(struct arena *a, int shape, size_t size, unsigned id, unsigned same)
{
	static const char signs[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint64_t seed = id * UINT64_C(7919) + 1, file = same ? same : seed + 1;
	char *out = arena_alloc(a, size + size / 30 + 4000);
	size_t n = (size_t)sprintf(out, "Received: from client.example.org ([192.0.2.1]) by mx.example.org; Sun, 22 Nov 2026 10:00:00 +0000\r\n"
	    "From: A <a@example.org>\r\nTo: b@example.net\r\nSubject: number %u\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
	    "Message-ID: <%u@example.org>\r\nMIME-Version: 1.0\r\n", id, id), text;

	if (shape == LINES) {
		for (n += (size_t)sprintf(out + n, "\r\n"); n < size; n += (size_t)sprintf(out + n, "\r\n"))
			for (int k = 0; k < 78; k++)
				out[n++] = 'X';
		return span_make(out, n);
	}
	if (shape == TEXT) {
		n += (size_t)sprintf(out + n, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
		n += prose(out + n, size > n ? size - n : 0, &seed, "");
		return span_make(out, n);
	}
	text = size / 8 < 20000 ? size / 8 : 20000;
	n += (size_t)sprintf(out + n, "Content-Type: multipart/mixed; boundary=\"m%u\"\r\n\r\n--m%u\r\n"
	    "Content-Type: multipart/alternative; boundary=\"a%u\"\r\n\r\n--a%u\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
	    id, id, id, id);
	n += prose(out + n, text, &seed, "");
	n += (size_t)sprintf(out + n, "--a%u\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n", id);
	n += prose(out + n, text, &seed, "<p class=\"x\">");
	n += (size_t)sprintf(out + n, "</body></html>\r\n--a%u--\r\n--m%u\r\nContent-Type: application/octet-stream; name=\"report%u.bin\"\r\n"
	    "Content-Disposition: attachment; filename=\"report%u.bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", id, id,
	    same ? same : id, same ? same : id);
	while (n + 80 < size) {
		for (int k = 0; k < 76; k++)
			out[n++] = signs[draw(&file) & 63];
		n += (size_t)sprintf(out + n, "\r\n");
	}
	return span_make(out, n + (size_t)sprintf(out + n, "--m%u--\r\n", id));
}

/* ---- the stand ---- */

static void
pattern(char *out, size_t max, unsigned i)
{
	int x = (int)('A' + i % 26), y = (int)('A' + i / 26);
	unsigned n = 3 + i % 5;

	switch (i % 4) {
	case 0:
		snprintf(out, max, "\\b%c%c-\\d{4}-\\d{%u}\\b", x, y, n);
		break;
	case 1:
		snprintf(out, max, "\\b%c%c[A-Z]{2}\\d{%u}[A-Z]\\b", x, y, n);
		break;
	case 2:
		snprintf(out, max, "(?i)\\b%c%cproject[ -]?(?:code|name)[ :]+\\w{%u}", x, y, n);
		break;
	default:
		snprintf(out, max, "\\b\\d{5}[ -]?%c%c\\d{%u}\\b", x, y, n);
	}
}

static void
write_policy(const char *path, bool all)
{
	FILE *f = fopen(path, "w");
	char text[96];

	if (f == NULL)
		die(path);
	fputs("version: 1\nuse: [postern/base]\n", f);
	if (all) {
		fputs("detectors:\n", f);
		for (unsigned i = 0; i < NPATTERNS; i++) {
			pattern(text, sizeof(text), i);
			fprintf(f, "  p%u: {pattern: '%s'}\n", i, text);
		}
		fputs("rules:\n  - {id: virus, when: {virus: true}, then: {quarantine: virus}}\n"
		    "  - {id: own, when: {finds: {any: [", f);
		for (unsigned i = 0; i < NPATTERNS; i++)
			fprintf(f, "%sp%u", i ? ", " : "", i);
		fputs("]}}, then: {hold: {for: d@example.org}}}\n", f);
	}
	if (fclose(f) == EOF)
		die(path);
}

static void
open_judge(struct judge *j, const char *tmp, const char *databases, bool patterns)
{
	struct config conf = { .scan_timeout = 60 * US_PER_SEC, .antivirus.remember = true,
		.antivirus.phishing = true, .antivirus.encrypted = true };
	struct diags d;
	struct err err;

	diags_init(&d, keep);
	conf.policy_dir = arena_printf(keep, "%s/policy%d%d", dir, patterns, databases != NULL);
	conf.antivirus.databases = databases;
	if (databases == NULL)
		conf.antivirus.engine = AV_OFF;
	if (mkdir(conf.policy_dir, 0755) == -1)
		die(conf.policy_dir);
	write_policy(arena_printf(keep, "%s/10.yaml", conf.policy_dir), patterns);
	if (judge_open(j, &conf, &d, &err) == -1 || judge_antivirus(j, &conf, tmp, &err) == -1)
		die(err.text);
}

static void
compile_patterns(struct stand *s)
{
	const char *exprs[NPATTERNS];
	unsigned ids[NPATTERNS], flags[NPATTERNS];
	hs_compile_error_t *error;
	char text[96];

	for (unsigned i = 0; i < NPATTERNS; i++) {
		pattern(text, sizeof(text), i);
		exprs[i] = arena_printf(keep, "%s", text);
		ids[i] = i;
		flags[i] = HS_FLAG_DOTALL | HS_FLAG_ALLOWEMPTY | HS_FLAG_SINGLEMATCH;
	}
	if (hs_compile_multi(exprs, flags, ids, NPATTERNS, HS_MODE_BLOCK, NULL, &s->db, &error) != HS_SUCCESS ||
	    hs_alloc_scratch(s->db, &s->scratch) != HS_SUCCESS)
		die("hyperscan");
}

static struct dkim_key *
make_key(bool ed)
{
	char *path = arena_printf(keep, "%s/key%d.pem", dir, ed);
	struct dkim_key *k;
	struct err err;

	dkim_make_key(path, ed, 2048);
	k = dkim_key_load(SPAN_LIT("example.org"), SPAN_LIT("s"), path, ed, &err);
	if (k == NULL)
		die(err.text);
	return k;
}

/* ---- steps ---- */

static void
step_signature(const struct dkim_key *k)
{
	unsigned char sig[1024], text[300] = { 1 };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	size_t n = sizeof(sig);

	if (EVP_DigestSignInit(md, NULL, k->ed25519 ? NULL : EVP_sha256(), NULL, k->key) != 1 ||
	    EVP_DigestSign(md, sig, &n, text, sizeof(text)) != 1)
		die("signing");
	EVP_MD_CTX_free(md);
}

static void
step_rsa(struct stand *s, struct span raw)
{
	step_signature(s->rsa);
}

static void
step_ed(struct stand *s, struct span raw)
{
	step_signature(s->ed);
}

/* As clamd looks at a message: all is parsed, nothing is remembered. */
static void
step_clam(struct stand *s, struct span raw)
{
	struct cl_scan_options o = { .general = CL_SCAN_GENERAL_HEURISTICS, .parse = ~(uint32_t)0 };
	cl_fmap_t *map = cl_fmap_open_memory(raw.p, raw.n);
	unsigned long scanned = 0;
	const char *name = NULL;

	if (map == NULL || cl_scanmap_callback(map, NULL, &name, &scanned,
	    antivirus_handle(s->all.antivirus), &o, NULL) != CL_CLEAN)
		die("libclamav");
	cl_fmap_close(map);
}

static void
step_anatomy(struct stand *s, struct span raw)
{
	struct anatomy an;

	anatomy_build(s->a, raw, NULL, &an);
}

static int
on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void *ctx)
{
	return 0;
}

static void
step_hyperscan(struct stand *s, struct span raw)
{
	if (hs_scan(s->db, raw.p, (unsigned)raw.n, 0, s->scratch, on_match, NULL) != HS_SUCCESS)
		die("hs_scan");
}

static void
step_sha256(struct stand *s, struct span raw)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)raw.p, raw.n, hash);
}

static void
step_judge(struct stand *s, const struct judge *j, struct span raw)
{
	struct recipient r = { .address = SPAN_LIT("b@example.net") };
	struct envelope env = { .id = 1, .direction = DIRECTION_OUTBOUND, .recipients = &r,
		.nrecipients = 1, .sender = SPAN_LIT("a@example.org") };
	struct policy_options opt = { .told = true };
	struct judgement ju;
	struct msg_verdict m;
	struct buf answer;

	judge_message(j, &env, raw, &opt, s->a, &ju);
	if (j->antivirus && ju.facts.av != AV_CLEAN)
		die("the message is not clean");
	judgement_message(&ju, judgement_record(j, &env, &ju, RECORD_MAX, s->a), s->a, &m);
	buf_init(&answer, RECORD_MAX * 2);
	verdict_encode(&answer, &m);
	if (buf_failed(&answer))
		die("encoding");
	buf_release(&answer);
}

static void
step_scan(struct stand *s, struct span raw)
{
	step_judge(s, &s->all, raw);
}

static void
step_patterns(struct stand *s, struct span raw)
{
	step_judge(s, &s->patterns, raw);
}

static void
step_plain(struct stand *s, struct span raw)
{
	step_judge(s, &s->plain, raw);
}

static void
step_sign(struct stand *s, struct span raw)
{
	struct dkim_message m;
	struct span pieces[2];
	struct payload p;
	struct buf out;
	struct err err;

	buf_init(&out, DKIM_SIGNATURE_MAX);
	payload_from_span(&p, raw, s->a);
	if (dkim_message_open(&p, s->a, &m, &err) == -1 ||
	    dkim_sign_fast(s->rsa, &m, clock_real() / US_PER_SEC, s->a, &out, &err) == -1)
		die(err.text);
	pieces[0] = buf_data(&out);
	pieces[1] = raw;
	if (s->nsigned++ % VERIFY_EVERY == VERIFY_EVERY / 2 && dkim_verify_own(s->rsa, pieces, 2, s->a, &err) == -1)
		die(err.text);
	buf_release(&out);
}

static const struct step {
	const char *name;
	void (*run)(struct stand *, struct span);
} steps[] = {
	{ "rsa-2048", step_rsa }, { "libclamav", step_clam }, { "scan", step_scan }, { "sign", step_sign },
	{ "plain scan", step_plain }, { "with patterns", step_patterns }, { "ed25519", step_ed }, { "anatomy", step_anatomy },
	{ "hyperscan", step_hyperscan }, { "sha256", step_sha256 },
};
enum { S_RSA, S_CLAM, S_SCAN, S_SIGN, NSTEPS = sizeof(steps) / sizeof(steps[0]) };

static void
bench(struct stand *s, int shape, size_t size, int rounds)
{
	struct arena *texts = arena_new(1u << 20);
	double us[NSTEPS] = { 0 }, again = 0, floor, at;

	rounds = (rounds + AGAIN) / (AGAIN + 1) * (AGAIN + 1);	/* so that one of ten is new */
	for (int i = -rounds / 10 - 1; i < rounds; i++) {
		struct span raw = message(texts, shape, size, (unsigned)(i + rounds), 0);
		struct span other = message(texts, shape, size, (unsigned)(i + 3 * rounds),
		    (i + rounds) % (AGAIN + 1) ? 1 : 0);

		for (int k = 0; k < NSTEPS; k++) {
			at = cpu_us();
			steps[k].run(s, raw);
			us[k] += i < 0 ? 0 : cpu_us() - at;
			arena_reset(s->a);
		}
		at = cpu_us();
		step_scan(s, other);
		again += i < 0 ? 0 : cpu_us() - at;
		arena_reset(s->a);
		arena_reset(texts);
	}
	floor = us[S_RSA] + us[S_CLAM];
	printf("%7zu bytes, %s:\n ", size, shape == LINES ? "lines" : shape == TEXT ? "text" : "text, HTML, attachment");
	for (int k = 0; k < NSTEPS; k++)
		printf(" %s %.3f%s", steps[k].name, us[k] / rounds / 1000, k + 1 < NSTEPS ? "," : " ms\n");
	printf("  floor %.3f ms; scan + sign %.3f ms: %.2fx; sign %.2fx of rsa-2048; scan %.2fx of libclamav\n",
	    floor / rounds / 1000, (us[S_SCAN] + us[S_SIGN]) / rounds / 1000, (us[S_SCAN] + us[S_SIGN]) / floor,
	    us[S_SIGN] / us[S_RSA], us[S_SCAN] / us[S_CLAM]);
	if (shape == MIXED)
		printf("  9 of 10 attachments again: scan %.3f, with sign %.3f ms\n", again / rounds / 1000,
		    (again + us[S_SIGN]) / rounds / 1000);
	fflush(stdout);
	arena_free(&texts);
}

static void
alone(struct stand *s, int shape, const char *what, size_t size, int rounds)
{
	struct arena *texts = arena_new(1u << 20);
	bool again = strcmp(what, "again") == 0;
	double us = 0, at;

	for (int i = 0; i < rounds; i++) {
		struct span raw = message(texts, shape, size, (unsigned)i, again && i % (AGAIN + 1));

		at = cpu_us();
		for (int k = 0; k < NSTEPS; k++)
			if (strcmp(steps[k].name, again ? "scan" : what) == 0)
				steps[k].run(s, raw);
		us += cpu_us() - at;
		arena_reset(s->a);
		arena_reset(texts);
	}
	printf("%s %zu bytes: %.3f ms\n", what, size, us / rounds / 1000);
	arena_free(&texts);
}

int
main(int argc, char **argv)
{
	const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", *databases = NULL, *what = NULL;
	int rounds = 200, shape = MIXED, i = 1;
	struct stand s = { 0 };
	size_t size = 0;
	char tmp[64];

	for (; i + 1 < argc; i += 2)
		if (strcmp(argv[i], "--lines") == 0) {
			shape = LINES;
			i--;
		} else if (strcmp(argv[i], "--signatures") == 0) {
			databases = argv[i + 1];
		} else if (strcmp(argv[i], "--rounds") == 0) {
			rounds = atoi(argv[i + 1]);
		} else if (strcmp(argv[i], "--alone") == 0 && i + 2 < argc) {
			what = argv[i + 1];
			size = (size_t)atol(argv[++i + 1]);
		}
	if (i != argc || rounds < 1)
		die("bench_floor [--signatures FOLDER] [--rounds N] [--lines] [--alone STEP SIZE]");
	keep = arena_new(1u << 20);
	dir = test_dir();
	snprintf(tmp, sizeof(tmp), "%s/bench-XXXXXX", base);
	if (mkdtemp(tmp) == NULL)
		die(tmp);
	s.a = arena_new(1u << 20);
	/* A profiler shall see what it was asked to look at. */
	if (what == NULL || (strcmp(what, "plain scan") && strcmp(what, "anatomy"))) {
		open_judge(&s.all, tmp, databases ? databases : test_databases(keep, dir, "0"), true);
		open_judge(&s.patterns, NULL, NULL, true);
		compile_patterns(&s);
		s.rsa = make_key(false);
		s.ed = make_key(true);
	}
	open_judge(&s.plain, tmp, NULL, false);
	if (what) {
		alone(&s, shape, what, size, rounds);
	} else {
		bench(&s, LINES, 4096, rounds);
		bench(&s, TEXT, 4096, rounds);
		bench(&s, MIXED, 4096, rounds);
		bench(&s, MIXED, 100u << 10, rounds / 4 + 1);
		bench(&s, MIXED, 1u << 20, rounds / 20 + 1);
		bench(&s, TEXT, 1u << 20, rounds / 20 + 1);
	}
	hs_free_scratch(s.scratch);
	hs_free_database(s.db);
	dkim_key_free(&s.rsa);
	dkim_key_free(&s.ed);
	judge_close(&s.all);
	judge_close(&s.patterns);
	judge_close(&s.plain);
	arena_free(&s.a);
	test_remove(tmp);
	test_remove(dir);
	free(dir);
	arena_free(&keep);
	return 0;
}
