/* test_scan.c -- a message through anatomy, antivirus and policy: EICAR in its wrappings, an engine
 * that is blind, records that keep within their bound; and the policy folder's walls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <clamav.h>
#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "clock.h"
#include "ipc/frame.h"
#include "scanner/load_policy.h"
#include "scanner/scan.h"
#include "scanner_test.h"

static char *dir;
static struct arena *arena;
static struct judge judge;
static struct recipient rcpts[2];
static struct envelope env;

static const char policy[] =
    "version: 1\n"
    "use: [postern/base]\n"
    "groups: {partners: \"file:lists/partners.txt\"}\n"
    "rules:\n"
    "  - {id: virus, severity: critical, when: {virus: true}, then: {quarantine: virus}}\n"
    "  - {id: cards, when: {to: {not: [group:partners]}, finds: {payment-card: {min: 1}}},\n"
    "     then: {reject: \"5.7.1 cards\"}}\n"
    "  - {id: mark, when: {to: [group:partners]}, then: {add_header: {X-Partner: \"yes\"}}}\n";

static void
put(const char *name, const char *text)
{
	test_write(arena_printf(arena, "%s/policy.d/%s", dir, name), text);
}

static int
setup(void **state)
{
	struct config conf = { 0 };
	struct diags d;
	struct err err;

	arena = arena_new(0);
	dir = test_dir();
	diags_init(&d, arena);
	conf.policy_dir = arena_printf(arena, "%s/policy.d", dir);
	conf.antivirus.databases = test_databases(arena, dir, "0");
	conf.scan_timeout = 30 * US_PER_SEC;
	if (mkdir(conf.policy_dir, 0755) == -1 ||
	    mkdir(arena_printf(arena, "%s/policy.d/lists", dir), 0755) == -1 ||
	    mkdir(arena_printf(arena, "%s/tmp", dir), 0700) == -1)
		return -1;
	put("lists/partners.txt", "partner.example\n");
	put("10.yaml", policy);
	if (judge_open(&judge, &conf, &d, &err) == -1 ||
	    judge_antivirus(&judge, &conf, arena_printf(arena, "%s/tmp", dir), &err) == -1) {
		print_error("%s: %s\n", err.text, d.first ? d.first->text : "");
		return -1;
	}
	rcpts[0] = (struct recipient){ .address = SPAN_LIT("x@example.net") };
	rcpts[1] = (struct recipient){ .address = SPAN_LIT("y@partner.example") };
	env = (struct envelope){ .id = 1, .direction = DIRECTION_OUTBOUND,
		.client = { .family = 4, .b = { 10, 1, 2, 3 } }, .sender = SPAN_LIT("a@example.org"),
		.recipients = rcpts, .nrecipients = 2 };
	return 0;
}

static int
teardown(void **state)
{
	judge_close(&judge);
	test_remove(dir);
	free(dir);
	arena_free(&arena);
	return 0;
}

static struct judgement
judged(const char *message)
{
	struct judgement ju;

	judge_message(&judge, &env, span_str(message), NULL, arena, &ju);
	assert_int_equal(ju.verdict.ndecisions, 2);
	return ju;
}

static const char *
base64(const char *text)
{
	size_t n = strlen(text);
	unsigned char *out = arena_alloc(arena, n * 2 + 8);

	EVP_EncodeBlock(out, (const unsigned char *)text, (int)n);
	return (const char *)out;
}

static void
clean_goes_out(void **state)
{
	struct judgement ju = judged("From: a@example.org\r\nSubject: s\r\n\r\nHello.\r\n");

	assert_int_equal(ju.facts.av, AV_CLEAN);
	assert_int_equal(ju.verdict.decisions[0].outcome, OUTCOME_DELIVER);
	assert_int_equal(ju.verdict.decisions[1].outcome, OUTCOME_DELIVER);
	assert_true(ju.ms.anatomy >= 0 && ju.ms.antivirus >= 0 && ju.ms.detect >= 0);
}

static void
eicar_in_wrappings(void **state)
{
	const char *e = test_eicar(arena);
	const char *mixed = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
	    "--b\r\n\r\ntext\r\n--b\r\n";
	const char *inner = arena_printf(arena, "From: b@example.org\r\nSubject: inner\r\n%s"
	    "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	    "%s\r\n--b--\r\n", mixed, base64(e));
	const struct { const char *name, *message; } wrapped[] = {
		{ "plain", arena_printf(arena, "From: a@example.org\r\n\r\n%s\r\n", e) },
		{ "unknown first field", arena_printf(arena, "Comments: c\r\n\r\n%s\r\n", e) },
		{ "no header at all", arena_printf(arena, "\r\n%s\r\n", e) },
		{ "base64", arena_printf(arena, "From: a@example.org\r\n%sContent-Type: "
		    "application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n"
		    "--b--\r\n", mixed, base64(e)) },
		{ "base64 in capitals", arena_printf(arena, "SUBJECT: s\r\n%sCONTENT-TYPE: "
		    "APPLICATION/OCTET-STREAM\r\nCONTENT-TRANSFER-ENCODING: BASE64\r\n\r\n%s\r\n"
		    "--b--\r\n", mixed, base64(e)) },
		{ "quoted-printable", arena_printf(arena, "From: a@example.org\r\n%sContent-Transfer-"
		    "Encoding: quoted-printable\r\n\r\n=58%s\r\n--b--\r\n", mixed, e + 1) },
		{ "unclosed boundary", arena_printf(arena, "From: a@example.org\r\n%sContent-Transfer-"
		    "Encoding: base64\r\n\r\n%s\r\n", mixed, base64(e)) },
		{ "message/rfc822", arena_printf(arena, "From: a@example.org\r\nMIME-Version: 1.0\r\n"
		    "Content-Type: message/rfc822\r\n\r\n%s", inner) },
		{ "message/rfc822 in multipart", arena_printf(arena, "From: a@example.org\r\n"
		    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
		    "Content-Type: message/rfc822\r\n\r\n%s--o--\r\n", inner) },
	};

	for (size_t i = 0; i < sizeof(wrapped) / sizeof(wrapped[0]); i++) {
		struct judgement ju = judged(wrapped[i].message);

		if (ju.facts.av != AV_VIRUS || ju.verdict.decisions[0].outcome != OUTCOME_QUARANTINE ||
		    ju.facts.av_part.n == 0)
			fail_msg("%s: %d, %s, part `%.*s`", wrapped[i].name, ju.facts.av,
			    outcome_name(ju.verdict.decisions[0].outcome), SPAN_ARG(ju.facts.av_part));
	}
}

/* A blind engine is never "no virus", whatever the rules would say. */
static void
blind_engine_defers_all(void **state)
{
	struct judgement ju;

	assert_int_equal(rmdir(arena_printf(arena, "%s/tmp", dir)), 0);
	ju = judged("From: a@example.org\r\n\r\nHello.\r\n");
	assert_int_equal(ju.facts.av, AV_FAILED);
	assert_int_equal(ju.verdict.decisions[0].outcome, OUTCOME_DEFER);
	assert_int_equal(ju.verdict.decisions[1].outcome, OUTCOME_DEFER);
	assert_true(span_starts(ju.verdict.decisions[0].reply, SPAN_LIT("4.7.1 ")));
	assert_non_null(strstr(ju.trouble, "temporary folder"));
	/* What the client is told holds nothing of this machine. */
	assert_null(memmem(ju.verdict.decisions[0].reply.p, ju.verdict.decisions[0].reply.n, dir,
	    strlen(dir)));
}

static void
recipients_are_told_apart(void **state)
{
	struct judgement ju = judged("From: a@example.org\r\n\r\nCard 4111 1111 1111 1111\r\n");
	struct span record = judgement_record(&judge, &env, &ju, RECORD_MAX, arena);
	struct msg_verdict m, back;
	struct buf b;

	assert_int_equal(ju.verdict.decisions[0].outcome, OUTCOME_REJECT);
	assert_int_equal(ju.verdict.decisions[1].outcome, OUTCOME_DELIVER);
	judgement_message(&ju, record, arena, &m);
	buf_init(&b, FRAME_BIG);
	verdict_encode(&b, &m);
	assert_int_equal(verdict_decode(buf_data(&b), -1, arena, &back), 0);
	assert_int_equal(back.ndecisions, 2);
	assert_true(span_is(back.decisions[0].rule, "cards"));
	assert_int_equal(back.variants[back.decisions[1].variant].nedits, 1);
	assert_true(span_eq(back.record, record));
	buf_release(&b);
}

static void
is_json(struct span record)
{
	json_error_t e;
	json_t *j = json_loadb(record.p, record.n, 0, &e);

	if (j == NULL)
		fail_msg("%s in %.*s", e.text, (int)record.n, record.p);
	assert_int_equal(json_integer_value(json_object_get(j, "v")), 1);
	json_decref(j);
}

static void
records_keep_their_bound(void **state)
{
	char *message = arena_printf(arena, "From: a@example.org\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
	struct judgement ju;
	struct span all;

	for (int i = 0; i < 60; i++)
		message = arena_printf(arena, "%s--b\r\nContent-Type: text/plain; name=file%d.txt\r\n\r\n"
		    "4111 1111 1111 1111\r\n", message, i);
	ju = judged(message);
	all = judgement_record(&judge, &env, &ju, RECORD_MAX, arena);
	is_json(all);
	assert_true(all.n > 6000);
	for (size_t max = 40; max < all.n; max = max * 3 / 2) {
		struct span cut = judgement_record(&judge, &env, &ju, max, arena);

		assert_true(cut.n <= max);
		is_json(cut);
	}
}

/* ---- the policy folder ---- */

static struct diags
loaded(bool good)
{
	struct diags d;
	struct policy *p;

	diags_init(&d, arena);
	p = policy_load_dir(arena_printf(arena, "%s/policy.d", dir), "policy.d", NULL, false, arena,
	    &d);
	if (good != (p != NULL))
		fail_msg("%s", d.first ? d.first->text : "loaded");
	if (p)
		policy_free(&p);
	return d;
}

static void
says(const struct diags *d, const char *text)
{
	for (const struct diag *g = d->first; g; g = g->next)
		if (strstr(g->text, text))
			return;
	fail_msg("nothing says `%s`: %s", text, d->first ? d->first->text : "no error");
}

static void
lists_stay_inside(void **state)
{
	struct diags d;

	test_write(arena_printf(arena, "%s/secret.txt", dir), "secret.example\n");
	loaded(true);
	put("20.yaml", "version: 1\ngroups: {g: \"file:../secret.txt\"}\n");
	d = loaded(false);
	says(&d, "../secret.txt");
	put("20.yaml", "version: 1\ngroups: {g: \"file:/etc/passwd\"}\n");
	d = loaded(false);
	says(&d, "/etc/passwd");
	assert_int_equal(symlink("../../secret.txt", arena_printf(arena, "%s/policy.d/lists/l.txt",
	    dir)), 0);
	put("20.yaml", "version: 1\ngroups: {g: \"file:lists/l.txt\"}\n");
	d = loaded(false);
	says(&d, "out of the policy folder");
}

static void
all_files_are_one_policy(void **state)
{
	struct diags d;

	put("05.yaml", "version: 1\nrules:\n  - {id: cards, when: {virus: true}, then: {discard: true}}\n");
	d = loaded(false);
	says(&d, "cards");
	put("05.yaml", "version: 1\n");
	put("note.txt", "not: [yaml");
	put(".hidden.yaml", "not: [yaml");
	loaded(true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(clean_goes_out), T(eicar_in_wrappings), T(blind_engine_defers_all),
		T(recipients_are_told_apart), T(records_keep_their_bound), T(lists_stay_inside),
		T(all_files_are_one_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
