/* test_store_basis.c -- verdict records in the database, and the policies they refer to. */
#include "conf.h"
#include "postern/record.h"
#include "scanner/archive.h"
#include "store/basis.h"
#include "store/policies.h"
#include "store/zip.h"
#include "store_test.h"

static const char yaml[] =
    "version: 1\nrules:\n  - {id: big, when: {size: {over: 10}}, then: {hold: {for: a@b.example}}}\n"
    "  - {id: seen, when: {to: [x.example]}, mode: shadow, review_by: 2031-01-01, then: {reject: \"5.7.1 no\"}}\n";

static struct policy *
load(const char *text)
{
	struct policy_source file = { "policy.d/10.yaml", span_str(text) };
	struct policy_env env = { .now = T0 };
	struct policy *p;
	struct diags d;

	diags_init(&d, test_arena);
	p = policy_load(&file, 1, &env, &d);
	assert_non_null(p);
	return p;
}

/* The record of message n to x.example, or to y.example. */
static struct span
record(const struct policy *p, unsigned n, bool x)
{
	struct envelope env = test_envelope(n, "a@example.org", (const char *const[]){
	    x ? "b@x.example" : "b@y.example", "c@y.example", NULL });
	struct facts facts = { .now = T0 + n * US_PER_SEC };
	struct policy_options opt = { .record = true };
	struct anatomy an;
	struct verdict v;

	anatomy_build(test_arena, SPAN_LIT("Subject: x\r\n\r\nHello, everybody.\r\n"), NULL, &an);
	policy_judge(p, &an, &env, &facts, &opt, test_arena, &v);
	assert_true(v.record.n > 0);
	return v.record;
}

static void
put(struct db *d, struct bases *b)
{
	OK(db_begin(d, false, &test_err));
	OK(basis_write(d, b, &test_err));
	OK(db_commit(d, &test_err));
	bases_reset(b);
}

static void
add(struct bases *b, const struct policy *p, unsigned n, bool x)
{
	struct msg_basis m = { .id = test_id(n), .basis = record(p, n, x) };

	assert_int_equal(bases_add(b, &m), 0);
}

static int64_t
rows(struct db *d)
{
	return test_number(d, "SELECT count(*) FROM verdict");
}

static int64_t
packs(struct db *d)
{
	return test_number(d, "SELECT count(*) FROM verdict_pack");
}

static void
get_is(struct db *d, unsigned n, struct span want)
{
	struct span got;

	assert_int_equal(basis_get(d, test_id(n), test_arena, &got, &test_err), 1);
	assert_true(span_eq(got, want));
}

/* All ids, in the order of reading. */
static size_t
read_all(struct db *d, int64_t since, uint64_t *ids)
{
	struct basis_pack p;
	struct span raw, one;
	int64_t after = 0;
	struct buf loose;
	uint64_t n;
	size_t total = 0, at;
	int r;

	while ((r = basis_next_pack(d, after, since, test_arena, &p, &test_err)) == 1) {
		OK(unzip(test_arena, p.bytes, PACK_MAX, &raw, &test_err));
		for (at = 0, n = 0; pack_next(raw, &at, &ids[total], &one); n++)
			total++;
		assert_int_equal(at, raw.n);
		assert_int_equal(n, p.n);
		after = p.seq;
	}
	assert_int_equal(r, 0);
	buf_init(&loose, BASES_BYTES);
	OK(basis_loose(d, since, &loose, &n, &test_err));
	for (at = 0; pack_next(buf_data(&loose), &at, &ids[total], &one);)
		total++;
	buf_release(&loose);
	return total;
}

static int
rising(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
test_slow_and_fast(void **state)
{
	struct policy *p = load(yaml);
	struct db *d = test_open();
	uint64_t *ids = calloc(10000, sizeof(*ids)), n;
	struct bases b;
	struct span got;

	bases_init(&b);
	for (unsigned i = 0; i < 20; i++)
		add(&b, p, 19 - i, false);		/* in any order */
	put(d, &b);
	assert_int_equal(rows(d), 20);
	OK(basis_tidy(d, &test_err));			/* too few for a pack */
	assert_int_equal(packs(d), 0);
	for (unsigned i = 20; i < 2520; i++)
		add(&b, p, i, false);
	put(d, &b);					/* many at once: packs */
	assert_int_equal(rows(d), 20);
	assert_int_equal(packs(d), 3);
	for (unsigned k = 0; k < 6; k++) {
		for (unsigned i = 0; i < 180; i++)
			add(&b, p, 2520 + k * 180 + i, false);
		put(d, &b);
		OK(basis_tidy(d, &test_err));
	}
	assert_int_equal(packs(d), 4);			/* 20 + 6 * 180 = 1100: one more of 1000 … */
	assert_in_range(rows(d), 80, 120);		/* … when it had come that far */
	for (unsigned i = 0; i < 3600; i += 7)
		get_is(d, i, record(p, i, false));
	assert_int_equal(basis_get(d, test_id(5000), test_arena, &got, &test_err), 0);

	assert_int_equal(read_all(d, 0, ids), 3600);
	qsort(ids, 3600, sizeof(*ids), rising);
	for (unsigned i = 0; i < 3600; i++)
		assert_true(ids[i] == test_id(i));
	OK(basis_count(d, 0, &n, &test_err));
	assert_int_equal(n, 3600);

	/* older than message 2520 and its second: whole packs and rows go */
	OK(db_begin(d, false, &test_err));
	assert_int_equal(basis_expire(d, T0 + 2525 * US_PER_SEC, &test_err), 0);
	OK(db_commit(d, &test_err));
	assert_int_equal(basis_get(d, test_id(100), test_arena, &got, &test_err), 0);
	get_is(d, 3599, record(p, 3599, false));
	bases_release(&b);
	free(ids);
	policy_free(&p);
	db_close(&d);
}

static void
test_children_and_limits(void **state)
{
	struct policy *p = load(yaml);
	struct db *d = test_open();
	struct msg_basis m = { .id = test_id(1), .basis = record(p, 1, true),
		.limit = SPAN_LIT("per-sender"), .limit_queue = SPAN_LIT("dpo@example.org") };
	struct msg_event child = test_accepted(2, "a@example.org", (const char *const[]){ "c@y.example", NULL });
	struct bases b;
	struct record r;
	struct span got;

	bases_init(&b);
	assert_int_equal(bases_add(&b, &m), 0);
	put(d, &b);
	child.parent = test_id(1);
	test_add(d, child);
	assert_int_equal(basis_get(d, test_id(2), test_arena, &got, &test_err), 1);
	assert_int_equal(record_read(got, test_arena, &r), 0);
	assert_true(r.env.id == test_id(1));
	assert_string_equal(arena_str(test_arena, r.limit_rule), "per-sender");
	assert_string_equal(arena_str(test_arena, r.limit_queue), "dpo@example.org");
	bases_release(&b);
	policy_free(&p);
	db_close(&d);
}

static void
test_hits(void **state)
{
	struct policy *p = load(yaml);
	struct db *d = test_open();
	struct bases b;
	struct jval *v;
	struct buf out;

	bases_init(&b);
	buf_init(&out, 1 << 20);
	for (unsigned i = 0; i < 10; i++)
		add(&b, p, i, i < 3);		/* two recipients: one hit */
	put(d, &b);
	add(&b, p, 10, true);
	put(d, &b);
	OK(basis_hits(d, T0 + 3600 * US_PER_SEC, &out, &test_err));
	v = test_line(buf_data(&out), 0);
	test_text_is(v, "rule", "big");
	assert_int_equal(jval_int(v, "h24", -1), 11);
	assert_int_equal(jval_int(v, "h24_shadow", -1), 0);
	assert_int_equal(jval_int(v, "last", -1), T0 + 10 * US_PER_SEC);
	jval_free(&v);
	v = test_line(buf_data(&out), 1);
	test_text_is(v, "rule", "seen");
	assert_int_equal(jval_int(v, "d7_shadow", -1), 4);
	assert_int_equal(jval_int(v, "h24", -1), 0);
	jval_free(&v);
	buf_reset(&out);
	OK(basis_hits(d, T0 + 2 * 86400 * US_PER_SEC, &out, &test_err));
	v = test_line(buf_data(&out), 0);
	assert_int_equal(jval_int(v, "h24", -1), 0);
	assert_int_equal(jval_int(v, "d7", -1), 11);
	jval_free(&v);
	buf_release(&out);
	bases_release(&b);
	policy_free(&p);
	db_close(&d);
}

static void
test_too_many_wait(void **state)
{
	static char big[200 << 10];
	struct msg_basis m = { .id = 1, .basis = { big, sizeof(big) } };
	struct bases b;
	unsigned n = 0;

	bases_init(&b);
	while (bases_add(&b, &m) == 0)
		n++;
	assert_in_range(n, 150, 170);		/* 32 MiB */
	bases_reset(&b);
	assert_int_equal(bases_add(&b, &m), 0);
	bases_release(&b);
}

/* ---- policies ---- */

static struct span
archive(const struct policy *p, const char *text)
{
	struct policy_source file = { "policy.d/10.yaml", span_str(text) };
	struct policy_parts parts = { .files = &file, .nfiles = 1 };
	struct config conf = { 0 };
	struct span out;
	char *bytes;
	size_t n;

	OK(policy_archive_pack(p, &parts, &conf, &bytes, &n, &test_err));
	out = arena_span(test_arena, span_make(bytes, n));
	free(bytes);
	return out;
}

static int
note(struct db *d, const char *text, int64_t time, const char *how, uint32_t uid)
{
	struct policy *p = load(text);
	struct msg_policy m = { .hash = span_str(policy_hash(p)), .time = time, .how = span_str(how),
		.uid = uid, .commit = SPAN_LIT("") };
	int r;

	OK(db_begin(d, false, &test_err));
	r = policies_note(d, &m, archive(p, text), &test_err);
	OK(r);
	OK(db_commit(d, &test_err));
	policy_free(&p);
	return r;
}

static void
test_policies(void **state)
{
	static const char other[] = "version: 1\n";
	struct policy *p = load(yaml);
	struct db *d = test_open();
	struct archive ar;
	struct span got;
	struct buf out;
	struct jval *v;

	assert_int_equal(note(d, yaml, T0, "start", 0), 1);
	assert_int_equal(note(d, yaml, T0, "start", 0), 0);	/* the store was started anew */
	assert_int_equal(note(d, other, T0 + 10, "reload", 1000), 1);
	assert_int_equal(note(d, yaml, T0 + 20, "signal", (uint32_t)-1), 1);	/* and back */
	assert_int_equal(test_number(d, "SELECT count(*) FROM policy"), 2);

	buf_init(&out, 1 << 20);
	OK(policies_history(d, 10, &out, &test_err));
	v = test_line(buf_data(&out), 0);
	test_text_is(v, "how", "signal");
	test_text_is(v, "policy", policy_hash(p));
	assert_false(jval_has(v, "uid"));
	jval_free(&v);
	v = test_line(buf_data(&out), 1);
	assert_int_equal(jval_int(v, "uid", -1), 1000);
	assert_true(jval_bool(v, "kept"));
	jval_free(&v);

	assert_int_equal(policies_archive(d, span_sub(span_str(policy_hash(p)), 0, 6), 0, test_arena,
	    &got, &test_err), 1);
	OK(policy_archive_unpack(got, test_arena, &ar, &test_err));
	assert_true(span_eq(ar.parts.files[0].text, span_str(yaml)));
	assert_int_equal(policies_archive(d, SPAN_LIT(""), 0, test_arena, &got, &test_err), 2);
	assert_int_equal(policies_archive(d, SPAN_LIT("zz"), 0, test_arena, &got, &test_err), 0);
	assert_int_equal(policies_manifest(d, manifest_key(policy_manifest(p)), test_arena, &got,
	    &test_err), 1);
	assert_true(span_eq(got, policy_manifest(p)));

	/* the one in force stays, however old */
	OK(policies_expire(d, T0 + 1000, &test_err));
	assert_int_equal(test_number(d, "SELECT count(*) FROM policy"), 1);
	assert_int_equal(policies_archive(d, span_str(policy_hash(p)), 0, test_arena, &got, &test_err), 1);
	buf_release(&out);
	policy_free(&p);
	db_close(&d);
}

static void
test_bad_archives(void **state)
{
	struct policy *p = load(yaml);
	struct db *d = test_open();
	struct msg_policy m = { .hash = SPAN_LIT("0123456789abcdef"), .time = T0, .how = SPAN_LIT("x") };
	struct span whole = archive(p, yaml);
	struct archive ar;

	OK(db_begin(d, false, &test_err));
	assert_int_equal(policies_note(d, &m, whole, &test_err), -1);	/* of another policy */
	assert_int_equal(policies_note(d, &m, SPAN_LIT("nonsense"), &test_err), -1);
	db_rollback(d);
	for (size_t i = 0; i < whole.n; i++)
		assert_int_equal(policy_archive_unpack(span_sub(whole, 0, i), test_arena, &ar, &test_err), -1);
	policy_free(&p);
	db_close(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_slow_and_fast, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(test_children_and_limits, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(test_hits, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(test_too_many_wait, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(test_policies, test_setup, test_teardown),
		cmocka_unit_test_setup_teardown(test_bad_archives, test_setup, test_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
