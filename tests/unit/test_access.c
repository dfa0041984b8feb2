/* test_access.c -- who may send what through which listener. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "fs.h"
#include "receiver/access.h"

static struct cidr nets[2];
static const struct span net_names[2] = { { "exchange", 8 }, { "", 0 } };
static struct conf_domain domains[2];
static struct config conf;
static struct access *acc;
static char dir[64], list[128];

static int
setup(void **state)
{
	static const char text[] = "# ours\nanna@example.org\r\n\n  bert@example.org  # trailing\n";
	static char path[128];
	struct err err;
	int fd;

	assert_int_equal(cidr_parse(SPAN_LIT("10.1.0.0/16"), &nets[0], &err), 0);
	assert_int_equal(cidr_parse(SPAN_LIT("2001:db8::/32"), &nets[1], &err), 0);
	snprintf(dir, sizeof(dir), "/tmp/postern-access-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(list, sizeof(list), "%s/people", dir);
	snprintf(path, sizeof(path), "%s/postern.yaml", dir);
	fd = open(list, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fs_write_all(fd, text, sizeof(text) - 1, &err), 0);
	close(fd);
	domains[0] = (struct conf_domain){ .name = SPAN_LIT("example.org"),
		.recipients = RECIPIENTS_FILE, .recipients_file = SPAN_LIT("people") };
	domains[1] = (struct conf_domain){ .name = SPAN_LIT("open.example") };
	conf = (struct config){ .path = path, .domains = domains, .ndomains = 2 };
	assert_int_equal(access_load(&conf, &acc, &err), 0);
	return 0;
}

static int
teardown(void **state)
{
	access_free(&acc);
	unlink(list);
	rmdir(dir);
	return 0;
}

static struct ip
ip(const char *text)
{
	struct ip a;

	assert_true(ip_parse(span_str(text), &a));
	return a;
}

static void
permitted(void **state)
{
	struct conf_listener l = { .allow = nets, .allow_net = net_names, .nallow = 2 };
	struct conf_listener none = { 0 };
	struct span name;

	assert_true(access_permitted(&l, ip("10.1.255.1"), &name));
	assert_true(span_is(name, "exchange"));
	assert_true(access_permitted(&l, ip("2001:db8::5"), &name));
	assert_true(span_is(name, ""));
	/* one client, one spelling */
	assert_true(access_permitted(&l, ip("::ffff:10.1.2.3"), &name));
	assert_false(access_permitted(&l, ip("10.2.0.1"), &name));
	assert_false(access_permitted(&l, ip("::1"), &name));
	/* fails closed */
	assert_false(access_permitted(&none, ip("127.0.0.1"), &name));
	assert_false(access_permitted(&none, ip("::1"), &name));
}

static enum access_answer
ask(enum listener_direction d, bool may, const char *to)
{
	struct conf_listener l = { .direction = d, .allow = nets, .nallow = 2 };

	return access_recipient(acc, &conf, &l, may, span_str(to));
}

static void
directions(void **state)
{
	static const enum listener_direction all[] = { LISTEN_OUTBOUND, LISTEN_INBOUND, LISTEN_AUTO };

	assert_int_equal(ask(LISTEN_OUTBOUND, true, "a@world.example"), ACCESS_OUTBOUND);
	assert_int_equal(ask(LISTEN_AUTO, true, "a@world.example"), ACCESS_OUTBOUND);
	assert_int_equal(ask(LISTEN_AUTO, true, "anna@example.org"), ACCESS_OUTBOUND);
	assert_int_equal(ask(LISTEN_INBOUND, true, "a@world.example"), ACCESS_NO_RELAY);
	assert_int_equal(ask(LISTEN_INBOUND, true, "anna@example.org"), ACCESS_INBOUND);
	assert_int_equal(ask(LISTEN_AUTO, false, "anna@example.org"), ACCESS_INBOUND);
	assert_int_equal(ask(LISTEN_OUTBOUND, false, "anna@example.org"), ACCESS_NO_RELAY);
	/* what an open relay test tries */
	for (size_t i = 0; i < 3; i++) {
		static const char *const tries[] = { "a@world.example", "a%world.example@[10.0.0.1]",
			"\"a@world.example\"@world.example", "a@sub.example.org",
			"a@example.org.world.example", "a@xexample.org", "postmaster" };

		for (size_t k = 0; k < sizeof(tries) / sizeof(tries[0]); k++)
			assert_int_equal(ask(all[i], false, tries[k]), ACCESS_NO_RELAY);
	}
}

static void
recipients(void **state)
{
	assert_int_equal(ask(LISTEN_INBOUND, false, "anna@example.org"), ACCESS_INBOUND);
	assert_int_equal(ask(LISTEN_INBOUND, false, "Bert@EXAMPLE.org"), ACCESS_INBOUND);
	assert_int_equal(ask(LISTEN_INBOUND, false, "carl@example.org"), ACCESS_UNKNOWN);
	assert_int_equal(ask(LISTEN_INBOUND, false, "Postmaster@example.org"), ACCESS_INBOUND);
	assert_int_equal(ask(LISTEN_INBOUND, false, "anyone@open.example"), ACCESS_INBOUND);
}

static void
missing_list(void **state)
{
	struct access *other = NULL;
	struct err err;

	domains[0].recipients_file = SPAN_LIT("not-there");
	assert_int_equal(access_load(&conf, &other, &err), -1);
	assert_null(other);
	assert_non_null(strstr(err.text, "not-there"));
	domains[0].recipients_file = SPAN_LIT("people");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permitted),
		cmocka_unit_test(directions),
		cmocka_unit_test(recipients),
		cmocka_unit_test(missing_list),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
