/* bench_record.c -- verdict records: how long, how long it takes to make, write and replay them.
 *
 *	bench_record			the figures
 *	bench_record DB N DIR		fills a store's database with N records of the last six days, judged by
 *					the policy folder DIR, and its archive: for `postern diff`
 *
 * Messages vary in sender, recipients, size, parts and findings; one in ten has findings, one in four an
 * attachment. JSON is what verdict_explain says, which has less in it than a record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "addr.h"
#include "clock.h"
#include "conf.h"
#include "id.h"
#include "json.h"
#include "postern/record.h"
#include "scanner/load_policy.h"
#include "store/basis.h"
#include "store/policies.h"

#define MESSAGES 20000

static uint32_t seed = 7;
static struct err err;

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

static double
seconds(void)
{
	return (double)clock_mono() / 1e6;
}

static const char usual[] =
    "version: 1\nuse: [postern/base, postern/fr-identifiers]\n"
    "detectors: {inv: {pattern: '\\bINV-\\d{6}\\b'}}\nrules:\n"
    "  - {id: invoices, when: {finds: {inv: {min: 2}}}, then: {hold: {for: dpo@example.org}}}\n"
    "  - {id: health, when: {finds: {fr-nir: {min: 1}}}, mode: shadow, review_by: 2031-01-01,"
    " then: {reject: \"5.7.1 no\"}}\n"
    "  - {id: cards, when: {finds: payment-card}, then: {quarantine: cards}}\n"
    "  - {id: words, when: {subject: {words: [confidential]}}, then: {quarantine: words}}\n"
    "  - {id: files, when: {attachment: {type: executable}}, then: {reject: \"5.7.1 no programs\"}}\n"
    "  - {id: large, when: {size: {over: 20MB}}, then: {reject: \"5.7.1 too large\"}}\n";

static struct span
message(struct arena *a, uint32_t i)
{
	static const char *const found[] = { "INV-000007 INV-", "INV-", "NIR 1 84 12 76 451 089 46, no. " };
	struct buf b;
	struct span out;

	buf_init(&b, 1 << 20);
	buf_printf(&b, "From: user%u@example.org\r\nTo: someone%u@dest%u.example\r\nSubject: Minutes %u\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n\r\n", rnd(500), rnd(5000), rnd(900), i);
	for (uint32_t k = 10 + rnd(20); k > 0; k--)
		buf_puts(&b, "The minutes of Monday's meeting will follow, as agreed with everybody.\r\n");
	if (rnd(10) == 0)
		buf_printf(&b, "%s%06u", found[rnd(3)], rnd(1000000));
	buf_puts(&b, "\r\n");
	if (rnd(4) == 0)
		buf_printf(&b, "--b\r\nContent-Type: application/pdf; name=\"report-%u.pdf\"\r\n"
		    "Content-Disposition: attachment\r\n\r\n%%PDF-1.4 %u\r\n", rnd(100000), rnd(100000));
	buf_puts(&b, "--b--\r\n");
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

static void
envelope(struct arena *a, struct envelope *env, uint64_t id, int64_t time)
{
	size_t n = rnd(5) == 0 ? 1 + rnd(6) : 1;

	*env = (struct envelope){ .id = id, .direction = DIRECTION_OUTBOUND, .received = time,
		.listener = SPAN_LIT("smart-host"), .client_name = SPAN_LIT("exchange"),
		.helo = SPAN_LIT("exch1.example.org"), .flags = ENVELOPE_ESMTP, .nrecipients = n };
	ip_parse(SPAN_LIT("10.1.2.3"), &env->client);
	env->sender = span_str(arena_printf(a, "user%u@example.org", rnd(500)));
	env->recipients = arena_array(a, n, sizeof(*env->recipients));
	for (size_t i = 0; i < n; i++)
		env->recipients[i].address = span_str(arena_printf(a, "someone%u@dest%u.example",
		    rnd(5000), rnd(900)));
}

struct judged {
	struct span record, json;
};

static struct judged
judge(const struct policy *p, struct arena *a, uint64_t id, int64_t time, bool record, bool json, bool told)
{
	struct facts facts = { .now = time + 900, .av = AV_CLEAN,
		.av_engine = SPAN_LIT("libclamav 1.4.6/27500"), .av_name = { 0 } };
	struct policy_options opt = { .record = record, .told = told };
	struct judged out = { 0 };
	struct envelope env;
	struct anatomy an;
	struct verdict v;

	envelope(a, &env, id, time);
	anatomy_build(a, message(a, (uint32_t)id), NULL, &an);
	policy_judge(p, &an, &env, &facts, &opt, a, &v);
	out.record = v.record;
	if (json) {
		struct json j;
		struct buf b;

		buf_init(&b, 1 << 20);
		json_begin(&j, &b);
		verdict_explain(&v, p, &an, &env, &facts, NULL, &j);
		out.json = arena_span(a, buf_data(&b));
		buf_release(&b);
	}
	return out;
}

static size_t
zipped(struct span s)
{
	size_t cap = ZSTD_compressBound(s.n), n;
	char *to = malloc(cap);

	n = ZSTD_compress(to, cap, s.p, s.n, 3);
	free(to);
	return n;
}

/* All of a kind, in packs of a thousand as the store makes them. */
static double
packed(const struct span *v, size_t n)
{
	size_t total = 0;
	struct buf b;

	buf_init(&b, 64 << 20);
	for (size_t i = 0; i < n; i++) {
		buf_span(&b, v[i]);
		if (i % PACK_RECORDS == PACK_RECORDS - 1 || i + 1 == n) {
			total += zipped(buf_data(&b));
			buf_reset(&b);
		}
	}
	buf_release(&b);
	return (double)total / (double)n;
}

static void
sizes(const struct policy *p)
{
	struct arena *a = arena_new(64u << 20), *tmp = arena_new(1 << 20);
	struct span *records = calloc(MESSAGES, sizeof(*records)), *jsons = calloc(MESSAGES, sizeof(*jsons));
	struct span *whys = calloc(MESSAGES, sizeof(*whys));
	size_t nr = 0, nj = 0, zr = 0, zj = 0, nw = 0, zw = 0;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct judged j;

		arena_reset(tmp);
		j = judge(p, tmp, (uint64_t)(clock_real() + i) * ID_SLOTS, clock_real(), true, true, false);
		records[i] = arena_span(a, j.record);
		jsons[i] = arena_span(a, j.json);
		nr += j.record.n;
		nj += j.json.n;
		zr += zipped(j.record);
		zj += zipped(j.json);
		arena_reset(tmp);
		whys[i] = arena_span(a, judge(p, tmp, (uint64_t)(clock_real() + i) * ID_SLOTS, clock_real(), true,
		    true, true).json);
		nw += whys[i].n;
		zw += zipped(whys[i]);
	}
	printf("bytes a message, mean of %d      alone   zstd alone   zstd, 1000 together\n", MESSAGES);
	printf("  JSON (without the inputs)      %6.0f       %6.0f                %6.1f\n",
	    (double)nj / MESSAGES, (double)zj / MESSAGES, packed(jsons, MESSAGES));
	printf("  JSON that says why             %6.0f       %6.0f                %6.1f\n",
	    (double)nw / MESSAGES, (double)zw / MESSAGES, packed(whys, MESSAGES));
	printf("  record                         %6.0f       %6.0f                %6.1f\n",
	    (double)nr / MESSAGES, (double)zr / MESSAGES, packed(records, MESSAGES));
	free(records);
	free(jsons);
	free(whys);
	arena_free(&tmp);
	arena_free(&a);
}

/* Of this process alone: others of the machine are not counted. */
static double
cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double
judging(const struct policy *p, bool record, bool told)
{
	struct arena *tmp = arena_new(1 << 20);
	double from;

	seed = 7;
	from = cpu_seconds();
	for (uint32_t i = 0; i < MESSAGES; i++) {
		arena_reset(tmp);
		judge(p, tmp, (uint64_t)(clock_real() + i) * ID_SLOTS, clock_real(), record, false, told);
	}
	arena_free(&tmp);
	return (cpu_seconds() - from) * 1e6 / MESSAGES;
}

static void
making(const struct policy *p)
{
	double without = judging(p, false, false), with = judging(p, true, false), why = judging(p, true, true);

	for (int i = 0; i < 4; i++) {	/* in turns, the best of each */
		double x = judging(p, false, false), y = judging(p, true, false), z = judging(p, true, true);

		without = x < without ? x : without;
		with = y < with ? y : with;
		why = z < why ? z : why;
	}
	printf("making it: %.2f us a message, and why, rule by rule: %.2f us, of %.1f us\n", with - without,
	    why - with, why);
}

static void
replaying(const struct policy *p)
{
	struct arena *a = arena_new(64u << 20), *tmp = arena_new(1 << 20);
	struct span *records = calloc(MESSAGES, sizeof(*records));
	struct record_plan *plan;
	struct manifest m;
	size_t differ = 0;
	double from;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		arena_reset(tmp);
		records[i] = arena_span(a, judge(p, tmp, (uint64_t)(clock_real() + i) * ID_SLOTS,
		    clock_real(), true, false, false).record);
	}
	manifest_read(policy_manifest(p), a, &m);
	plan = record_plan_new(p, &m);
	from = seconds();
	for (uint32_t k = 0; k < 5 * MESSAGES; k++) {
		struct record r;
		struct replay again;

		arena_reset(tmp);
		if (record_read(records[k % MESSAGES], tmp, &r) == -1)
			abort();
		record_replay(plan, &r, NULL, tmp, &again);
		differ += !verdict_same(&r.verdict, &again.verdict, &r.env, NULL);
	}
	printf("reading and replaying: %.0f records/s; %zu of %d differ\n",
	    5 * MESSAGES / (seconds() - from), differ, 5 * MESSAGES);
	record_plan_free(&plan);
	free(records);
	arena_free(&tmp);
	arena_free(&a);
}

static int
fill(struct db *d, const struct policy *p, uint32_t n, double *took, uint64_t *bytes)
{
	int64_t span = INT64_C(6) * 86400 * 1000000, from = clock_real() - span;
	struct arena *tmp = arena_new(1 << 20);
	struct bases b;

	bases_init(&b);
	*took = 0;
	*bytes = 0;
	for (uint32_t i = 0; i < n; i++) {
		int64_t time = from + (int64_t)((double)span / n * i);
		uint64_t id = (uint64_t)time * ID_SLOTS + 1;
		struct msg_basis m = { .id = id };
		double at;

		arena_reset(tmp);
		m.basis = judge(p, tmp, id, time, true, false, false).record;
		*bytes += m.basis.n;
		bases_add(&b, &m);
		if (b.n < 1000 && i + 1 < n)
			continue;
		at = seconds();
		if (db_begin(d, false, &err) == -1 || basis_write(d, &b, &err) == -1 ||
		    db_commit(d, &err) == -1)
			return -1;
		*took += seconds() - at;
		bases_reset(&b);
	}
	bases_release(&b);
	arena_free(&tmp);
	return 0;
}

static int64_t
packs_bytes(struct db *d)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT sum(length(bytes)) FROM verdict_pack", &err);
	int64_t n = 0;

	if (st && db_step(d, st, &err) == 1)
		n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

static int
writing(const char *path, const struct policy *p, uint32_t n, const struct config *conf,
    const struct policy_parts *parts)
{
	struct db *d = db_open(path, &err);
	uint64_t bytes;
	double took;
	int r = d ? fill(d, p, n, &took, &bytes) : -1;

	if (r == 0 && parts) {
		struct msg_policy m = { .hash = span_str(policy_hash(p)), .time = clock_real(),
			.how = SPAN_LIT("start") };
		char *archive;
		size_t size;

		r = policy_archive_pack(p, parts, conf, &archive, &size, &err);
		if (r == 0 && (r = db_begin(d, false, &err)) == 0 &&
		    (r = policies_note(d, &m, span_make(archive, size), &err)) != -1)
			r = db_commit(d, &err);
	}
	if (r == -1)
		fprintf(stderr, "%s\n", err.text);
	else
		printf("writing to the database: %.0f records/s, %.1f bytes each there\n", n / took,
		    (double)packs_bytes(d) / n);
	db_close(&d);
	return r == -1;
}

int
main(int argc, char **argv)
{
	const struct policy_source file = { "bench.yaml", { usual, sizeof(usual) - 1 } };
	struct policy_env env = { .now = clock_real() };
	struct arena *a = arena_new(0);
	struct policy_parts parts = { 0 };
	struct config conf = { 0 };
	char dir[] = "/tmp/bench-record-XXXXXX", path[64];
	struct policy *p;
	struct diags d;
	struct buf b;
	int r;

	diags_init(&d, a);
	if (argc == 4) {
		conf.policy_dir = argv[3];
		p = policy_load_parts(&conf, a, &d, &parts);
	} else {
		p = policy_load(&file, 1, &env, &d);
	}
	if (p == NULL) {
		buf_init(&b, 1 << 20);
		diags_print(&d, &b, NULL, false);
		fwrite(buf_data(&b).p, 1, buf_size(&b), stderr);
		return 1;
	}
	if (argc == 4)
		return writing(argv[1], p, (uint32_t)atoi(argv[2]), &conf, &parts);
	sizes(p);
	making(p);
	replaying(p);
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/store.db", dir);
	r = writing(path, p, 5 * MESSAGES, &conf, NULL);
	unlink(path);
	rmdir(dir);
	policy_free(&p);
	arena_free(&a);
	return r;
}
