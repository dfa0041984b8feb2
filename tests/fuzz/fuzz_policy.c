/* fuzz_policy.c -- any bytes as a policy, any bytes as a message for it, any bytes as policy tests.
 *
 * Input: the policy; after a line "8<" the message. A policy that loads judges it and must keep
 * every promise its callers rely on.
 */
#include <stdio.h>

#include "addr.h"
#include "buf.h"
#include "conf.h"
#include "json.h"
#include "postern/policy_tests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char usual[] =
    "From: a@example.org\r\nTo: x@webmail.example\r\nSubject: Files =?utf-8?q?=C3=A9t=C3=A9?=\r\n"
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    "Card 4111 1111 1111 1111, NIR 1 84 12 76 451 089 46, INV-2026-000123 secret\r\n--b\r\n"
    "Content-Type: application/pdf; name=a.exe\r\n\r\nMZ\r\n--b--\r\n";

static int
read_file(void *ctx, struct span path, struct span *text, struct err *err)
{
	if (span_ends_nocase(path, SPAN_LIT(".tsv"))) {
		*text = SPAN_LIT("secret\t3\nfiles\t2.5\nzero\t0\n");
		return 0;
	}
	if (path.n % 2)
		return err_set(err, 2, "no such file");
	*text = SPAN_LIT("a.example\n.b.example # x\nc@d.example\n");
	return 0;
}

/* A real zone's first and last letters (RFC 8536): no transitions, a footer with summer time. */
static int
read_zone(void *ctx, struct span name, struct span *tzif, struct err *err)
{
#define ZEROS4 "\0\0\0\0"
#define BLOCK "TZif2" ZEROS4 ZEROS4 ZEROS4 "\0\0\0" ZEROS4 ZEROS4 ZEROS4 ZEROS4 "\0\0\0\1" "\0\0\0\4" \
	"\0\0\16\20" "\0\0" "CET\0"
	static const char data[] = BLOCK BLOCK "\nCET-1CEST,M3.5.0,M10.5.0/3\n";

	if (name.n % 3 == 0)
		return err_set(err, 2, "no such zone");
	*tzif = span_make(data, sizeof(data) - 1);
	return 0;
}

static void
one_line(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		ASSERT(s.p[i] >= ' ' && s.p[i] <= '~');
}

static void
check(const struct verdict *v, const struct envelope *env, struct span raw)
{
	ASSERT(v->ndecisions == env->nrecipients && v->nvariants >= 1);
	ASSERT(v->variants[0].nedits == 0);
	for (size_t i = 0; i < v->ndecisions; i++) {
		const struct decision *d = &v->decisions[i];

		ASSERT(d->outcome > OUTCOME_UNJUDGED && d->outcome < OUTCOME_COUNT);
		ASSERT(d->variant < v->nvariants);
		ASSERT((d->reply.n > 0) == (d->outcome >= OUTCOME_DEFER) && d->reply.n <= 500);
		ASSERT((d->queue.n > 0) == (d->outcome == OUTCOME_HOLD ||
		    d->outcome == OUTCOME_QUARANTINE));
		one_line(d->reply);
	}
	for (size_t i = 0; i < v->nvariants; i++) {
		uint64_t at = 0;

		for (size_t k = 0; k < v->variants[i].nedits; k++) {
			const struct edit *e = &v->variants[i].edits[k];
			bool start = true;

			ASSERT(e->offset >= at && e->offset + e->size <= raw.n);
			at = e->offset + e->size;
			/* a line that a value begins would be a header of its own */
			for (size_t c = 0; c < e->with.n; c++) {
				if (e->with.p[c] == '\r' || e->with.p[c] == '\n') {
					start = true;
				} else {
					ASSERT(!start || c == 0 || e->with.p[c] == ' ' || k > 0 ||
					    e->offset == 0);
					start = false;
				}
			}
		}
	}
}

static void
judge(const struct policy *p, struct span raw)
{
	struct recipient to[3] = { { .address = SPAN_LIT("x@webmail.example") },
		{ .address = SPAN_LIT("y@partner.example") }, { .address = SPAN_LIT("z@example.org") } };
	struct envelope env = { .id = 1, .direction = (enum direction)(raw.n / 7 % 3),
		.sender = SPAN_LIT("m.durand@example.org"), .recipients = to, .nrecipients = 3 };
	static const struct span symbol = { "BULK", 4 }, evil = { "evil.example", 12 };
	struct facts facts = { .now = INT64_C(1795343000000000), .av = (enum av_state)(raw.n % 5),
		.spf = (enum auth_result)(raw.n % 9), .dmarc = (enum auth_result)(raw.n / 9 % 9),
		.dnsbl_known = raw.n % 2, .dnsbl = &symbol, .ndnsbl = raw.n / 2 % 2,
		.listed_known = raw.n % 4 > 0, .listed_hosts = &evil, .nlisted_hosts = raw.n / 4 % 2,
		.spam_known = raw.n % 3 > 0, .spam_score = (double)(raw.n % 20), .spam_symbols = &symbol,
		.nspam_symbols = raw.n % 4 == 0, .reputation_known = raw.n % 5 > 0,
		.reputation = (uint8_t)(raw.n % 101), .experience_known = raw.n % 7 > 0,
		.experience = (uint8_t)(raw.n % 97) };
	struct policy_options opt = { .near_misses = true };
	struct arena *a = arena_new(0);
	struct anatomy an;
	struct verdict v;
	struct json j;
	struct buf b;

	ip_parse(SPAN_LIT("10.1.2.3"), &env.client);
	anatomy_build(a, raw, NULL, &an);
	policy_judge(p, &an, &env, &facts, &opt, a, &v);
	check(&v, &env, raw);
	buf_init(&b, 64 << 20);
	json_begin(&j, &b);
	verdict_explain(&v, p, &an, &env, &facts, NULL, &j);
	buf_release(&b);
	arena_free(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct span domain = { "example.org", 11 };
	struct span all = span_make((const char *)data, size), raw = span_make(usual, sizeof(usual) - 1);
	const char *cut = size ? memmem(data, size, "\n8<\n", 4) : NULL;
	struct policy_source file = { "fuzz.yaml", all };
	struct policy_env env = { .read_file = read_file, .read_zone = read_zone, .now = INT64_C(1795343000000000),
		.domains = &domain, .ndomains = 1 };
	struct policy_test_env tenv = { .now = env.now };
	struct policy_test_result result;
	struct arena *a;
	struct policy *p;
	struct diags d;
	struct buf b;

	if (size > 64 << 10)
		return 0;
	if (cut) {
		file.text = span_make((const char *)data, (size_t)(cut - (const char *)data) + 1);
		raw = span_make(cut + 4, size - (size_t)(cut + 4 - (const char *)data));
	}
	a = arena_new(0);
	diags_init(&d, a);
	{
		struct facts f = { 0 };

		policy_facts_read("facts", file.text, &d, &f);	/* any text as facts */
	}
	diags_init(&d, a);
	buf_init(&b, 16 << 20);
	p = policy_load(&file, 1, &env, &d);
	diags_print(&d, &b, NULL, false);
	ASSERT((p == NULL) == (d.errors > 0));
	if (p) {
		size_t n;

		judge(p, raw);
		policy_limits(p, &n);
		policy_tests_run(p, &file, 1, &tenv, &d, &b, &result);
		policy_free(&p);
	}
	env.limits_only = true;
	p = policy_load(&file, 1, &env, &d);
	policy_free(&p);
	buf_release(&b);
	arena_free(&a);
	return 0;
}
