/* test_policy_exact.c -- exact data in policies: what counts, what is shown, blackened and remembered. */
#include "policy_fixture.h"
#include "postern/record.h"

#define DETECTOR \
	"version: 1\n" \
	"detectors:\n" \
	"  patients:\n" \
	"    exact: \"file:edm/patients.idx\"\n" \
	"    columns: {require: [nir], any: {min: 1, of: [last_name, birth_date], within: 100}}\n" \
	"    confidence: {alone: medium, near: high}\n"
#define MARTINS "Martin 1 50 01 99 123 456 70, Martin 2 50 01 99 123 456 34"

/* min counts rows: two of them, and one that is named twice. */
static void
test_rows_count(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, DETECTOR "rules:\n"
	    "  - {id: two, when: {finds: {patients: {min: 2, confidence: high}}}, then: {hold: dpo@example.org}}\n"
	    "  - {id: four, when: {finds: {patients: {min: 4, count: all}}}, then: {quarantine: q}}\n");
	fixture_judge(&f, MAIL(MARTINS));
	assert_outcome(&f, 0, "hold");
	assert_true(HIT(&f, 0, "four"));
	fixture_judge(&f, MAIL("Martin 150019912345670, once more: Martin 1.50.01.99.123.456.70"));
	assert_outcome(&f, 0, "quarantine");
	assert_false(HIT(&f, 0, "two"));
	fixture_judge(&f, MAIL("150019912345670 and 250019912345634"));
	assert_outcome(&f, 0, "deliver");
	fixture_end(&f);
}

/* Evidence names columns; no value of the message is in what is told. */
static void
test_masked(void **state)
{
	struct fixture f;
	char *json;

	fixture_begin(&f);
	fixture_load(&f, DETECTOR "rules: [{id: r, when: {finds: patients}, then: {add_header: {X-Why: $findings}}}]\n");
	fixture_judge(&f, MAIL(MARTINS));
	json = fixture_json(&f);
	assert_non_null(strstr(json, "\"distinct\":2"));
	assert_non_null(strstr(json, "\"masked\":[\"last_name+nir\",\"last_name+nir\"]"));
	assert_null(strstr(json, "Martin"));
	assert_null(strstr(json, "123 456"));
	assert_non_null(strstr(fixture_edited(&f, 0), "X-Why: patients: last_name+nir, last_name+nir"));
	fixture_end(&f);
}

/* All values of the row go, not the number alone; those of nobody stay. */
static void
test_redacted(void **state)
{
	struct fixture f;
	char *out;

	fixture_begin(&f);
	fixture_load(&f, DETECTOR "rules: [{id: r, when: {finds: {patients: {confidence: high}}}, then: {redact: "
	    "{detectors: [patients], with: \"[X]\"}}}]\n");
	fixture_judge(&f, MAIL("M. Martin, born 05/01/1950, 1 50 01 99 123 456 70, of Durand, 01/02/1950."));
	out = fixture_edited(&f, 0);
	assert_non_null(strstr(out, "\r\n\r\nM. [X], born [X], [X], of Durand, 01/02/1950."));
	fixture_end(&f);
}

/* The index is not here, as of a policy of the past: it loads, and proves nothing. */
static void
test_absent(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	fixture_load(&f, "version: 1\n"
	    "detectors:\n"
	    "  patients:\n"
	    "    exact: \"file:edm/header.idx\"\n"
	    "    key: \"file:edm/patients.key\"\n"
	    "    columns: {require: [nir]}\n"
	    "    samples: {match: [\"150019912345670\"]}\n"
	    "rules: [{id: r, when: {finds: patients}, then: {reject: true}}]\n");
	fixture_judge(&f, MAIL("Hello"));
	assert_outcome(&f, 0, "hold");		/* on_unscannable */
	assert_true(f.v.undecided);
	fixture_end(&f);
}

/* A record has the rows as numbers: the same verdict without the message and without the index. */
static void
test_replayed(void **state)
{
	struct fixture f;
	struct record r;
	struct record_plan *plan;
	struct manifest m;
	struct replay again;

	fixture_begin(&f);
	f.opt.record = true;
	fixture_load(&f, DETECTOR "rules:\n"
	    "  - {id: two, when: {finds: {patients: {min: 2, confidence: high}}}, then: {hold: dpo@example.org}}\n"
	    "  - {id: three, when: {finds: {patients: {min: 3}}}, then: {reject: true}}\n");
	fixture_judge(&f, MAIL(MARTINS));
	assert_outcome(&f, 0, "hold");
	assert_null(memmem(f.v.record.p, f.v.record.n, "Martin", 6));
	assert_null(memmem(f.v.record.p, f.v.record.n, "456 70", 6));
	assert_int_equal(record_read(f.v.record, f.arena, &r), 0);
	assert_int_equal(manifest_read(policy_manifest(f.p), f.arena, &m), 0);
	plan = record_plan_new(f.p, &m);
	record_replay(plan, &r, NULL, f.arena, &again);
	assert_false(again.unsure);
	assert_true(verdict_same(&r.verdict, &again.verdict, &r.env, NULL));
	record_plan_free(&plan);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_count),
		cmocka_unit_test(test_masked),
		cmocka_unit_test(test_redacted),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_replayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
