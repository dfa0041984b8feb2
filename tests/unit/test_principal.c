/* test_principal.c -- who may see what, and who may say for whom he asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "ipc/principal.h"

static struct arena *arena;
static struct jval *request;

static int
from_json(const char *json, uint32_t uid, struct principal *p, struct err *err)
{
	jval_free(&request);
	request = jval_parse(span_str(json), err);
	assert_non_null(request);
	return principal_read(request, uid, arena, p, err);
}

static void
test_who_may_ask_for_whom(void **state)
{
	struct principal p;
	struct err err;

	assert_int_equal(from_json("{\"cmd\":\"x\"}", 0, &p, &err), 0);
	assert_true(p.local && principal_sees_all(&p) && principal_is(&p, PRINCIPAL_BIT(REVIEWER)));
	assert_int_equal(from_json("{\"cmd\":\"x\",\"as\":{\"name\":\"a\",\"roles\":[\"admin\"]}}", 0, &p, &err), -1);
	assert_non_null(strstr(err.text, "the console alone"));
	assert_int_equal(from_json("{\"cmd\":\"x\",\"as\":\"a@b.example\"}", 0, &p, &err), 0);
	assert_true(p.local);
	assert_int_equal(from_json("{\"cmd\":\"x\"}", UID_CONSOLE, &p, &err), -1);
	assert_int_equal(from_json("{\"as\":{\"roles\":[\"admin\"]}}", UID_CONSOLE, &p, &err), -1);
	assert_int_equal(from_json("{\"as\":{\"name\":\"a\",\"roles\":[\"root\"]}}", UID_CONSOLE, &p, &err), -1);
	assert_int_equal(from_json("{\"as\":{\"name\":\"a\",\"domains\":[\"\"]}}", UID_CONSOLE, &p, &err), -1);
	assert_int_equal(from_json("{\"as\":\"a\"}", UID_CONSOLE, &p, &err), -1);
}

static void
test_what_is_seen(void **state)
{
	struct principal p;
	struct err err;

	assert_int_equal(from_json("{\"as\":{\"name\":\"a\",\"roles\":[\"user\"],"
	    "\"addresses\":[\"A@x.example\"],\"domains\":[\"x.example\"]}}", UID_CONSOLE, &p, &err), 0);
	assert_true(principal_sees(&p, SPAN_LIT("a@X.example")));
	assert_false(principal_sees(&p, SPAN_LIT("b@x.example")));	/* domains are of domain_admin */
	assert_false(principal_sees(&p, SPAN_LIT("")));
	assert_false(principal_sees_all(&p));

	assert_int_equal(from_json("{\"as\":{\"name\":\"a\",\"roles\":[\"domain_admin\"],"
	    "\"addresses\":[\"me@z.example\"],\"domains\":[\"x.example\"]}}", UID_CONSOLE, &p, &err), 0);
	assert_true(principal_sees(&p, SPAN_LIT("b@x.EXAMPLE")));
	assert_true(principal_sees_domain(&p, SPAN_LIT("x.example")));
	assert_false(principal_sees(&p, SPAN_LIT("b@y.example")));
	assert_false(principal_sees(&p, SPAN_LIT("x.example")));	/* no address */
	assert_false(principal_sees(&p, SPAN_LIT("b@sub.x.example")));
	assert_false(principal_sees(&p, SPAN_LIT("me@z.example")));	/* addresses are of user */
	assert_false(principal_is(&p, PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(USER)));

	assert_int_equal(from_json("{\"as\":{\"name\":\"a\",\"roles\":[\"auditor\"]}}", UID_CONSOLE, &p, &err), 0);
	assert_true(principal_sees(&p, SPAN_LIT("b@y.example")));
	assert_false(principal_is(&p, PRINCIPAL_BIT(OPERATOR)));
	assert_int_equal(from_json("{\"as\":{\"name\":\"a\"}}", UID_CONSOLE, &p, &err), 0);
	assert_false(principal_sees(&p, SPAN_LIT("b@y.example")));
}

static void
test_bounded(void **state)
{
	static char json[64 << 10];
	struct principal p;
	struct err err;
	size_t n = (size_t)snprintf(json, sizeof(json), "{\"as\":{\"name\":\"a\",\"addresses\":[\"a\"");

	for (int i = 0; i < PRINCIPAL_NAMES_MAX; i++)
		n += (size_t)snprintf(json + n, sizeof(json) - n, ",\"a%d\"", i);
	snprintf(json + n, sizeof(json) - n, "]}}");
	assert_int_equal(from_json(json, UID_CONSOLE, &p, &err), -1);
	assert_non_null(strstr(err.text, "as.addresses"));
	assert_int_equal(principal_role_parse(SPAN_LIT("operators")), PRINCIPAL_ROLE_COUNT);
	for (int r = 0; r < PRINCIPAL_ROLE_COUNT; r++)
		assert_int_equal(principal_role_parse(span_str(principal_role_name(r))), r);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_may_ask_for_whom),
		cmocka_unit_test(test_what_is_seen),
		cmocka_unit_test(test_bounded),
	};
	int rc;

	arena = arena_new(0);
	rc = cmocka_run_group_tests_name("principal", tests, NULL, NULL);
	jval_free(&request);
	arena_free(&arena);
	return rc;
}
