/* test_cli_policy.c -- check, test and explain as people and scripts run them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/cli.h"
#include "fs.h"
#include "scanner_test.h"
#include "dkim_test.h"

static char *dir;
static struct arena *arena;
static struct cli cli;
static struct span out, errors;		/* what the last command said */

static const char config[] =
    "version: 1\nhostname: gw1.example.org\nrun: run\nspool: spool\nstore: sqlite:store.db\n"
    "policy: policy.d\n"
    "listeners: [{name: l, address: \"127.0.0.1:8025\", direction: outbound, allow: [10.0.0.0/8]}]\n"
    "domains:\n"
    "  example.org:\n"
    "    dkim: [{selector: s, key: key.pem, algorithm: rsa-sha256}]\n"
    "antivirus: {engine: libclamav, databases: databases}\n";

static const char policy[] =
    "version: 1\n"
    "use: [postern/base]\n"
    "rules:\n"
    "  - {id: virus, severity: critical, when: {virus: true}, then: {quarantine: virus}}\n"
    "  - {id: cards, when: {to: {not: [group:our-domains]}, finds: {payment-card: {min: 1}}},\n"
    "     then: {hold: {for: dpo@example.org}}}\n";

static char *
path(const char *name)
{
	return arena_printf(arena, "%s/%s", dir, name);
}

static int
setup(void **state)
{
	arena = arena_new(0);
	dir = test_dir();
	test_databases(arena, dir, "0");
	if (mkdir(path("policy.d"), 0755) == -1 || mkdir(path("policy.d/tests"), 0755) == -1)
		return -1;
	test_write(path("postern.yaml"), config);
	test_write(path("policy.d/10.yaml"), policy);
	dkim_make_key(path("key.pem"), false, 2048);
	cli = (struct cli){ .config_path = path("postern.yaml") };
	return 0;
}

static int
teardown(void **state)
{
	test_remove(dir);
	free(dir);
	arena_free(&arena);
	return 0;
}

/* Runs a command with its output in files. */
static int
run(int (*cmd)(int, char **, const struct cli *), const char *a, const char *b, const char *c)
{
	char *argv[] = { (char *)(uintptr_t)"cmd", (char *)(uintptr_t)a, (char *)(uintptr_t)b,
		(char *)(uintptr_t)c, NULL };
	int argc = 1 + !!a + (a && b) + (a && b && c), status, was[2];

	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		int fd = open(path(i ? "err" : "out"), O_RDWR | O_CREAT | O_TRUNC, 0600);

		was[i] = dup(i + 1);
		assert_true(fd != -1 && was[i] != -1 && dup2(fd, i + 1) != -1);
		close(fd);
	}
	status = cmd(argc, argv, &cli);
	fflush(NULL);
	for (int i = 0; i < 2; i++) {
		dup2(was[i], i + 1);
		close(was[i]);
	}
	assert_int_equal(fs_read(arena, path("out"), 1u << 20, &out, NULL), 0);
	assert_int_equal(fs_read(arena, path("err"), 1u << 20, &errors, NULL), 0);
	return status;
}

static void
says(struct span s, const char *text)
{
	if (memmem(s.p, s.n, text, strlen(text)) == NULL)
		fail_msg("`%s` is not in: %.*s", text, (int)s.n, s.p);
}

static void
check_good(void **state)
{
	assert_int_equal(run(cmd_check, NULL, NULL, NULL), CLI_OK);
	says(out, "3 rules");
	assert_int_equal(errors.n, 0);
	cli.quiet = true;
	assert_int_equal(run(cmd_check, NULL, NULL, NULL), CLI_OK);
	assert_int_equal(out.n, 0);
	assert_int_equal(run(cmd_check, path("policy.d"), NULL, NULL), CLI_OK);
	assert_int_equal(run(cmd_check, path("policy.d/10.yaml"), NULL, NULL), CLI_OK);
	assert_int_equal(run(cmd_check, path("postern.yaml"), NULL, NULL), CLI_OK);
	assert_int_equal(run(cmd_check, "a", "b", NULL), CLI_USAGE);
}

/* Errors of the configuration's key file and of two policy files, all in one run. */
static void
check_shows_all_errors(void **state)
{
	test_write(path("policy.d/20.yaml"), "version: 1\nrules:\n  - {id: a, when: {viruss: true}, "
	    "then: {discard: true}}\n  - {id: cards, then: {discard: true}}\n");
	test_write(path("policy.d/30.yaml"), "version: 1\nrulez: []\n");
	assert_int_equal(chmod(path("key.pem"), 0644), 0);
	assert_int_equal(run(cmd_check, NULL, NULL, NULL), CLI_FINDINGS);
	says(errors, "policy.d/20.yaml:3:");
	says(errors, "did you mean `virus`?");
	says(errors, "policy.d/30.yaml:2:1");
	says(errors, "postern.yaml:10:");
	says(errors, "chmod o-rwx");
	cli.json = true;
	assert_int_equal(run(cmd_check, path("policy.d/30.yaml"), NULL, NULL), CLI_FINDINGS);
	says(out, "{\"v\":1,\"level\":\"error\",\"file\":");
	assert_int_equal(run(cmd_check, path("gone"), NULL, NULL), CLI_FINDINGS);
	says(out, "No such file");
}

static void
explain_for_people(void **state)
{
	/* LF line ends, as editors save them; recipients from the header. */
	test_write(path("m.eml"), "From: A <a@Example.org>\nTo: \"B, b\" <b@example.net>, c@example.org\n"
	    "Subject: s\n\nMy card number is 4111 1111 1111 1111.\n");
	assert_int_equal(run(cmd_explain, path("m.eml"), NULL, NULL), CLI_OK);
	says(out, "b@example.net: hold for dpo@example.org");
	says(out, "because of cards");
	says(out, "c@example.org: deliver");
	says(out, "antivirus: clean (libclamav 1.");
	says(out, "payment-card: ");
	says(out, "1111");
	assert_null(memmem(out.p, out.n, "4111", 4));	/* masked */
}

static void
explain_json(void **state)
{
	json_error_t e;
	json_t *j, *r;

	test_write(path("m.eml"), arena_printf(arena, "From: a@example.org\n\n%s\n",
	    test_eicar(arena)));
	cli.json = true;
	assert_int_equal(run(cmd_explain, path("m.eml"), "--to=x@example.net,y@example.org",
	    "--client=10.1.2.3"), CLI_OK);
	j = json_loadb(out.p, out.n, 0, &e);
	assert_non_null(j);
	assert_true(json_is_null(json_object_get(j, "id")));
	assert_int_equal(json_array_size(json_object_get(j, "recipients")), 2);
	r = json_array_get(json_object_get(j, "recipients"), 0);
	assert_string_equal(json_string_value(json_object_get(r, "outcome")), "quarantine");
	assert_string_equal(json_string_value(json_object_get(json_object_get(j, "virus"), "part")),
	    "1");
	json_decref(j);
}

/* What is known of inbound mail, and the moment, as an administrator makes them up. */
static void
explain_facts(void **state)
{
	static const char *const with =
	    "version: 1\nschedules: {office: {days: mon-fri, from: 08:00, to: 18:00, zone: Europe/Paris}}\n"
	    "spam: {domains: {default: tag-suspects}}\n"
	    "rules:\n"
	    "  - {id: forged, direction: inbound, when: {dmarc: fail}, then: {quarantine: forged}}\n"
	    "  - {id: night, when: {schedule: {not: office}}, then: {hold: dpo@example.org}}\n";

	test_write(path("policy.d/20.yaml"), with);
	test_write(path("m.eml"), "From: a@else.example\nTo: b@example.org\n\nHello.\n");
	assert_int_equal(run(cmd_explain, path("m.eml"), "--facts={dmarc: fail, spam: {score: 13}}",
	    "--direction=inbound"), CLI_OK);
	says(out, "spam/tag-suspects/spam");
	says(out, "forged");
	says(out, "identity: spf=unknown, dkim=unknown, dmarc=fail, arc=unknown, spam=13.0\n");
	assert_int_equal(run(cmd_explain, path("m.eml"), "--facts={spf: pass, dmarc: fail, "
	    "dmarc_policy: reject, dnsbl: [zen, evil], reputation: 20, bayes: 91}", "--direction=inbound"), CLI_OK);
	says(out, "identity: spf=pass, dkim=unknown, dmarc=fail p=reject, arc=unknown, dnsbl=zen+evil, "
	    "reputation=20, bayes=91% spam\n");
	assert_int_equal(run(cmd_explain, path("m.eml"), "--at=2026-11-20 10:00", NULL), CLI_OK);
	says(out, "b@example.org: deliver");
	assert_int_equal(run(cmd_explain, path("m.eml"), "--at=2026-11-20 17:30", NULL), CLI_OK);
	says(out, "b@example.org: hold for dpo@example.org");
	assert_int_equal(run(cmd_explain, path("m.eml"), "--at=noon", NULL), CLI_USAGE);
	says(errors, "--at noon");
	assert_int_equal(run(cmd_explain, path("m.eml"), "--facts={spf: perhaps}", NULL), CLI_USAGE);
	says(errors, "found `perhaps`");
	assert_int_equal(unlink(path("policy.d/20.yaml")), 0);
}

static void
explain_refuses(void **state)
{
	test_write(path("m.eml"), "From: a@example.org\n\nno recipient\n");
	assert_int_equal(run(cmd_explain, NULL, NULL, NULL), CLI_USAGE);
	assert_int_equal(run(cmd_explain, path("m.eml"), NULL, NULL), CLI_USAGE);
	says(errors, "--to");
	assert_int_equal(run(cmd_explain, path("m.eml"), "--client", "nowhere"), CLI_USAGE);
	assert_int_equal(run(cmd_explain, path("m.eml"), "--colour", "red"), CLI_USAGE);
	assert_int_equal(run(cmd_explain, path("gone.eml"), "--to", "a@b.example"), CLI_USAGE);
	says(errors, "gone.eml");
	/* Without databases the rest is still explained, and that is said. */
	test_remove(path("databases"));
	assert_int_equal(run(cmd_explain, path("m.eml"), "--to", "b@example.net"), CLI_OK);
	says(errors, "explained without it");
	says(out, "antivirus: not asked");
}

static void
tests_beside_the_policy(void **state)
{
	test_write(path("policy.d/tests/fixture.eml"), "From: a@example.org\n\n4111 1111 1111 1111\n");
	test_write(path("policy.d/tests/a.test.yaml"),
	    "version: 1\ntests:\n  - name: held\n    from: a@example.org\n    to: [b@example.net]\n"
	    "    message: {eml: fixture.eml}\n    expect: {b@example.net: {outcome: hold}}\n");
	assert_int_equal(run(cmd_test, NULL, NULL, NULL), CLI_OK);
	says(out, "1 passed, 0 failed");
	test_write(path("policy.d/tests/b.test.yaml"),
	    "version: 1\ntests:\n  - name: wrong\n    from: a@example.org\n    to: [b@example.net]\n"
	    "    message: {eml: fixture.eml}\n    expect: {b@example.net: {outcome: reject}}\n");
	assert_int_equal(run(cmd_test, NULL, NULL, NULL), CLI_FINDINGS);
	says(out, "1 passed, 1 failed");
	says(out, "b.test.yaml:7");
	/* By its path, without any configuration: the policy it stands beside. */
	cli.config_path = path("nowhere.yaml");
	assert_int_equal(run(cmd_test, path("policy.d/tests/a.test.yaml"), NULL, NULL), CLI_OK);
	says(out, "1 passed, 0 failed");
	assert_int_equal(run(cmd_test, path("policy.d/tests/gone.test.yaml"), NULL, NULL),
	    CLI_FINDINGS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(check_good), T(check_shows_all_errors), T(explain_for_people), T(explain_json),
		T(explain_facts), T(explain_refuses), T(tests_beside_the_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
