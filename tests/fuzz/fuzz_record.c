/* fuzz_record.c -- any bytes as a manifest and as a record of it, replayed with a policy.
 *
 * Input: two bytes, the length of a manifest; the manifest (length 0: the policy's own); a record.
 */
#include "buf.h"
#include "conf.h"
#include "json.h"
#include "postern/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char yaml[] =
    "version: 1\nuse: [postern/base, postern/fr-identifiers]\n"
    "detectors:\n  inv: {pattern: 'INV-\\d+'}\n"
    "  lex: {lexicon: {secret: 3, card: 2, files: 1}, score: {medium: 3, high: 5, distinct: 2}}\nrules:\n"
    "  - {id: l, when: {finds: {lex: {confidence: high}}}, then: {quarantine: l}}\n"
    "  - {id: a, when: {finds: {inv: {min: 2}}}, then: {reject: \"5.7.1 $findings $filenames\"}}\n"
    "  - {id: b, when: {body: {words: [secret]}}, then: {hold: {for: dpo@example.org}}}\n"
    "  - {id: c, when: {header: {X-Class: {words: [internal]}}}, then: {prefix_subject: \"[X]\"}}\n"
    "  - {id: d, when: {attachment: {type: [pdf, executable]}}, unless: {subject: {words: [x]}},"
    " then: {quarantine: q}}\n"
    "  - {id: e, when: {to: [webmail.example], size: {over: 10}}, then: {redirect: x@y.example}}\n"
    "  - {id: f, when: {finds: {any: [fr-nir, {iban: {confidence: high}}]}}, mode: shadow,"
    " review_by: 2030-01-01, then: {add_header: {X-A: $findings}}}\n";

static struct policy *
the_policy(void)
{
	static struct policy *p;
	struct policy_source file = { "fuzz.yaml", span_str(yaml) };
	struct policy_env env = { .now = INT64_C(1795343000000000) };
	struct arena *a;
	struct diags d;

	if (p)
		return p;
	a = arena_new(0);
	diags_init(&d, a);
	p = policy_load(&file, 1, &env, &d);
	ASSERT(p != NULL);
	arena_free(&a);
	return p;
}

static void
check(const struct replay *again, const struct record *r, const struct policy *p, struct arena *a)
{
	struct json j;
	struct buf b;

	ASSERT(again->verdict.ndecisions == r->env.nrecipients);
	for (size_t i = 0; i < again->verdict.ndecisions; i++) {
		enum outcome low = again->verdict.decisions[i].outcome,
		    high = again->upper.decisions[i].outcome;

		ASSERT(low > OUTCOME_UNJUDGED && low <= high && high < OUTCOME_COUNT);
	}
	buf_init(&b, 64 << 20);
	json_begin(&j, &b);
	verdict_explain(&again->verdict, p, &r->an, &r->env, &r->facts, NULL, &j);
	buf_reset(&b);
	verdict_same(&r->verdict, &again->verdict, &r->env, &b);
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make((const char *)data, size), own;
	const struct policy_options opt = { .near_misses = true };
	struct policy *p = the_policy();
	struct record_plan *plan;
	struct replay again;
	struct manifest m;
	struct record r;
	struct arena *a;
	size_t n;

	if (size < 2)
		return 0;
	n = (size_t)(data[0] | data[1] << 8);
	in = span_from(in, 2);
	own = n ? span_sub(in, 0, n) : policy_manifest(p);
	in = span_from(in, n);
	a = arena_new(0);
	if (manifest_read(own, a, &m) == 0 && record_read(in, a, &r) == 0) {
		plan = record_plan_new(p, &m);
		record_replay(plan, &r, &opt, a, &again);
		check(&again, &r, p, a);
		record_limit(p, &r, &again.verdict);
		record_plan_free(&plan);
	}
	arena_free(&a);
	return 0;
}
