/* bench_policy.c -- what judging costs, with 10, 100 and 1,000 rules, 200 detectors, a message of 4 KiB.
 *
 * "quiet": a message no content rule has anything to say about. "busy": one that
 * hits rules. Cost should grow with what matches, not with the number of rules: the last table has
 * 1,000 rules of which 10, 100 or all hit. Exit status 1 when a message of one recipient takes more
 * than WANTED_US, or a load more than WANTED_MS, in the best of seven rounds. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "addr.h"
#include "buf.h"
#include "conf.h"
#include "postern/policy.h"

#define WANTED_US 150.0
#define WANTED_MS 2000.0
static int bad;

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t
watch(void)
{
	return now_ns() / 1000;
}

static void
policy_text(struct buf *b, int nrules, int ndetectors)
{
	buf_puts(b, "version: 1\nuse: [postern/base, postern/fr-identifiers]\ngroups:\n");
	for (int i = 0; i < 50; i++) {
		buf_printf(b, "  g%d: [", i);
		for (int k = 0; k < 40; k++)
			buf_printf(b, "%sd%d-%d.example", k ? ", " : "", i, k);
		buf_puts(b, "]\n");
	}
	buf_puts(b, "detectors:\n");
	for (int i = 0; i < ndetectors; i++)
		if (i % 2)
			buf_printf(b, "  det%d: {words: [project%d, 'projet secret %d']}\n", i, i, i);
		else
			buf_printf(b, "  det%d: {pattern: '\\bREF%d-\\d{4}-\\d{6}\\b'}\n", i, i);
	buf_puts(b, "rules:\n");
	for (int i = 0; i < nrules; i++) {
		buf_printf(b, "  - id: r%d\n    direction: outbound\n    when:\n", i);
		switch (i % 6) {
		case 0:
			buf_printf(b, "      to: {not: [group:g%d, group:our-domains]}\n"
			    "      finds: {det%d: {min: 2}}\n", i % 50, i % ndetectors);
			break;
		case 1:
			buf_printf(b, "      to: [group:g%d, x%d.example]\n      size: {over: 1MB}\n", i % 50, i);
			break;
		case 2:
			buf_printf(b, "      subject: {words: [subject%d]}\n      from: example.org\n", i);
			break;
		case 3:
			buf_printf(b, "      attachment: {name: '*%d.xlsx', size: {over: 10KB}}\n", i);
			break;
		case 4:
			buf_printf(b, "      from: [a%d@example.org, group:g%d]\n      finds: [iban, det%d]\n", i,
			    i % 50, i % ndetectors);
			break;
		case 5:
			buf_printf(b, "      finds: {any: [fr-nir, {payment-card: {min: %d}}]}\n"
			    "      recipients: {over: %d}\n", i % 7 + 1, i % 20);
			break;
		}
		buf_printf(b, "    then: {%s}\n", i % 3 ? "quarantine: q" : "add_header: {X-A: b}");
	}
}

static char *
message(size_t size, const char *inject)
{
	static const char line[] = "The minutes of Monday's meeting will follow, as agreed with everybody.\r\n";
	char *p = calloc(1, size + 16384);
	size_t n = (size_t)sprintf(p, "From: a@example.org\r\nTo: x@webmail.example\r\nSubject: Minutes of the meeting\r\n"
	    "Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMessage-ID: <1@example.org>\r\n\r\n%s", inject);

	while (n < size) {
		memcpy(p + n, line, sizeof(line) - 1);
		n += sizeof(line) - 1;
	}
	return p;
}

static int64_t
cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void
measure(const char *what, const struct policy *p, struct span raw, size_t nrcpt)
{
	struct recipient *to = calloc(nrcpt, sizeof(*to));
	struct envelope env = { .id = 1, .direction = DIRECTION_OUTBOUND,
		.sender = SPAN_LIT("m.durand@example.org"), .recipients = to, .nrecipients = nrcpt };
	struct policy_options opt = { .stopwatch = watch };
	struct facts facts = { .now = 1, .av = AV_CLEAN };
	struct arena *a = arena_new(256 << 10), *am = arena_new(256 << 10);
	struct anatomy an;
	struct verdict v;
	double all = 1e18, evaluate = 1e18, told[2] = { 1e18, 1e18 };
	char (*names)[64] = calloc(nrcpt, 64);

	for (size_t i = 0; i < nrcpt; i++) {
		snprintf(names[i], 64, "user%zu@dom%zu.example", i, i % 7);
		to[i].address = span_str(names[i]);
	}
	anatomy_build(am, raw, NULL, &an);
	for (int k = 0; k < 7; k++) {
		int rounds = 300;
		int64_t from = now_ns(), eval = 0;

		for (int i = 0; i < rounds; i++) {
			arena_reset(a);
			policy_judge(p, &an, &env, &facts, &opt, a, &v);
			eval += v.us_evaluate;
		}
		from = now_ns() - from;
		if ((double)from / rounds / 1000 < all) {
			all = (double)from / rounds / 1000;
			evaluate = (double)eval / rounds;
		}
	}
	for (int k = 0; k < 7; k++)	/* as mail is judged: why, rule by rule. In turns, of the process's own time */
		for (int t = 0; t < 2; t++) {
			int64_t from = cpu_ns();

			opt.told = t == 1;
			for (int i = 0; i < 300; i++) {
				arena_reset(a);
				policy_judge(p, &an, &env, &facts, &opt, a, &v);
			}
			from = cpu_ns() - from;
			if ((double)from / 300 / 1000 < told[t])
				told[t] = (double)from / 300 / 1000;
		}
	bad |= nrcpt == 1 && v.decisions[0].nrules < 10 && all > WANTED_US;
	printf("  %-22s %8.1f us  (evaluation %6.1f us)  and why %+5.1f us  %zu rules hit, arena %zu KiB\n", what, all,
	    evaluate, told[1] - told[0], v.decisions[0].nrules, arena_used(a) >> 10);
	arena_free(&a);
	arena_free(&am);
	free(names);
	free(to);
}

/* 1,000 rules that wait for words of which the message has the first `hits`. */
static void
measure_hits(int hits)
{
	struct policy_env env = { .now = 1 };
	struct policy_source file;
	struct arena *a = arena_new(0);
	struct policy *p;
	struct diags d;
	struct buf b, m;
	char what[40], *raw;

	buf_init(&b, 64 << 20);
	buf_init(&m, 64 << 10);
	buf_puts(&b, "rules:\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&b, "  - {id: r%d, when: {body: {words: w%dx}}, then: {quarantine: q}}\n", i, i);
	for (int i = 0; i < hits; i++)
		buf_printf(&m, "w%dx%s", i, i % 10 == 9 ? "\r\n" : " ");
	raw = message(8192, arena_str(a, buf_data(&m)));
	file = (struct policy_source){ "hits.yaml", buf_data(&b) };
	diags_init(&d, a);
	p = policy_load(&file, 1, &env, &d);
	if (p) {
		snprintf(what, sizeof(what), "%d of 1000 rules hit", hits);
		measure(what, p, span_str(raw), 1);
	}
	policy_free(&p);
	buf_release(&b);
	buf_release(&m);
	arena_free(&a);
	free(raw);
}

/* A newsletter of 1 MiB with 1,000 links, each to a redirector of its own with another host in its
 * query, under conditions on links. */
static void
measure_links(void)
{
	static const char rest[] = "<p style=\"margin:0\">The <b>committee</b> met on Tuesday &amp; agreed.</p>\r\n";
	struct policy_env env = { .now = 1 };
	struct policy_source file;
	struct arena *a = arena_new(0);
	struct policy *p;
	struct diags d;
	struct buf b, m;

	buf_init(&b, 1 << 20);
	buf_init(&m, 4 << 20);
	buf_puts(&b, "groups:\n  guarded: [paypal.com");
	for (int i = 0; i < 200; i++)
		buf_printf(&b, ", brand%d.example", i);
	buf_puts(&b, "]\nrules:\n"
	    "  - {id: like, when: {url: {lookalike_of: group:guarded}}, then: {quarantine: q}}\n"
	    "  - {id: host, when: {url: {host: [evil.test, .evil.test]}}, then: {quarantine: q}}\n"
	    "  - {id: lie, when: {url: {text_mismatch: true, host: {not: .news.example}}}, then: {quarantine: q}}\n"
	    "  - {id: listed, when: {url: {listed: true}}, then: {quarantine: q}}\n");
	buf_puts(&m, "Subject: News\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body>\r\n");
	for (unsigned i = 0; i < 1000; i++) {
		size_t end = buf_size(&m) + 1030;

		buf_printf(&m, "<p><a href=\"https://click%u.news.example/r/%u?m=4711&amp;u="
		    "https%%3A%%2F%%2Fshop%u.example%%2F\">Read <b>more</b></a>\r\n", i, i * 7919, i);
		while (buf_size(&m) < end)
			buf_puts(&m, rest);
	}
	file = (struct policy_source){ "links.yaml", buf_data(&b) };
	diags_init(&d, a);
	p = policy_load(&file, 1, &env, &d);
	if (p)
		measure("2,000 hosts, 4 rules", p, buf_data(&m), 1);
	policy_free(&p);
	buf_release(&b);
	buf_release(&m);
	arena_free(&a);
}

int
main(void)
{
	static const int counts[] = { 10, 100, 1000 };

	for (size_t i = 0; i < 3; i++) {
		struct policy_env env = { .now = 1 };
		struct policy_source file;
		struct arena *a = arena_new(0);
		char *quiet = message(4096, ""), *busy = message(4096,
		    "Card 4111 1111 1111 1111 and 5555 5555 5555 4444, FR14 2004 1010 0505 0001 3M02 606, "
		    "project1 project3 REF0-2026-000123 REF0-2026-000124\r\n");
		struct policy *p;
		struct diags d;
		struct buf b;
		int64_t from;

		buf_init(&b, 64 << 20);
		policy_text(&b, counts[i], 200);
		file = (struct policy_source){ "bench.yaml", buf_data(&b) };
		diags_init(&d, a);
		from = now_ns();
		p = policy_load(&file, 1, &env, &d);
		if (!p) {
			struct buf out;

			buf_init(&out, 1 << 20);
			diags_print(&d, &out, NULL, false);
			fwrite(buf_data(&out).p, 1, buf_size(&out), stderr);
			return 1;
		}
		from = now_ns() - from;
		bad |= (double)from / 1e6 > WANTED_MS;
		printf("%d rules, 200 detectors: loaded in %.0f ms\n", counts[i], (double)from / 1e6);
		measure("quiet, 1 recipient", p, span_str(quiet), 1);
		measure("busy, 1 recipient", p, span_str(busy), 1);
		measure("quiet, 100 recipients", p, span_str(quiet), 100);
		policy_free(&p);
		buf_release(&b);
		arena_free(&a);
		free(quiet);
		free(busy);
	}
	printf("8 KiB\n");
	for (int hits = 1; hits <= 1000; hits *= 10)
		measure_hits(hits);
	printf("1 MiB of HTML, 1,000 links\n");
	measure_links();
	return bad;
}
