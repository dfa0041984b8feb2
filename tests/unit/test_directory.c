/* test_directory.c -- filters from hostile addresses, names, and what is kept of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "directory/ask.h"
#include "directory/cache.h"
#include "directory/filter.h"

static struct arena *arena;

#define assert_span(s, text) do { \
		struct span s_ = (s); \
		assert_int_equal(s_.n, strlen(text)); \
		assert_memory_equal(s_.p, text, s_.n); \
	} while (0)

static struct span
expand(enum template_kind kind, const char *template, const char *address)
{
	struct span out;
	struct err err;

	assert_int_equal(template_expand(kind, span_str(template), span_str(address), arena, &out,
	    &err), 0);
	return out;
}

static void
test_filters(void **state)
{
	static const struct { const char *template, *address, *want; } rows[] = {
		{ "(mail=%m)", "ann@example.lab", "(mail=ann@example.lab)" },
		{ "(&(uid=%u)(ou=%d))", "ann@example.lab", "(&(uid=ann)(ou=example.lab))" },
		{ "(uid=%u)", "ann", "(uid=ann)" },
		{ "(|(x=%d)(y=%m))", "ann", "(|(x=)(y=ann))" },
		{ "(cn=100%% %u)", "a", "(cn=100% a)" },
		/* RFC 4515, 4: the examples of what has to be escaped */
		{ "(o=%u)", "Parens R Us (for all your parenthetical needs)",
		    "(o=Parens\\20R\\20Us\\20\\28for\\20all\\20your\\20parenthetical\\20needs\\29)" },
		{ "(cn=%u)", "*", "(cn=\\2a)" },
		{ "(filename=%u)", "C:\\MyFile", "(filename=C:\\5cMyFile)" },
		{ "(sn=%u)", "Lu\xc4\x8di\xc4\x87", "(sn=Lu\\c4\\8di\\c4\\87)" },
		/* what an attacker would like to say */
		{ "(&(uid=%u)(o=x))", "*)(uid=*", "(&(uid=\\2a\\29\\28uid=\\2a)(o=x))" },
		{ "(uid=%u)", "x)(|(objectClass=*", "(uid=x\\29\\28|\\28objectClass=\\2a)" },
		{ "(uid=%u)", "%m%u%d", "(uid=%m%u%d)" },	/* a value is not a template */
		{ "(uid=%u)", "a\nb\tc\x7f", "(uid=a\\0ab\\09c\\7f)" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_span(expand(TEMPLATE_FILTER, rows[i].template, rows[i].address),
		    rows[i].want);
}

static void
test_nul(void **state)
{
	struct span out;
	struct err err;

	assert_int_equal(template_expand(TEMPLATE_FILTER, SPAN_LIT("(uid=%u)"),
	    span_make("a\0)(b", 5), arena, &out, &err), 0);
	assert_span(out, "(uid=a\\00\\29\\28b)");
}

static void
test_too_long(void **state)
{
	static char address[FILTER_MAX];
	struct span out;
	struct err err;

	memset(address, '*', sizeof(address));
	assert_int_equal(template_expand(TEMPLATE_FILTER, SPAN_LIT("(mail=%m)"),
	    span_make(address, sizeof(address)), arena, &out, &err), -1);
}

static void
test_names_from_templates(void **state)
{
	/* RFC 4514, 2.4 and 4 */
	assert_span(expand(TEMPLATE_DN, "uid=%u,dc=x", "ann"), "uid=ann,dc=x");
	assert_span(expand(TEMPLATE_DN, "uid=%u,dc=x", "a,b+c"), "uid=a\\2cb\\2bc,dc=x");
	assert_span(expand(TEMPLATE_DN, "uid=%u,dc=x", "James \"Jim\" Smith, III"),
	    "uid=James \\22Jim\\22 Smith\\2c III,dc=x");
	assert_span(expand(TEMPLATE_DN, "uid=%u,dc=x", "#x"), "uid=\\23x,dc=x");
	assert_span(expand(TEMPLATE_DN, "uid=%u,dc=x", " x "), "uid=\\20x\\20,dc=x");
	assert_span(expand(TEMPLATE_DN, "uid=%u,dc=x", "admin,dc=y"), "uid=admin\\2cdc\\3dy,dc=x");
}

static void
test_templates(void **state)
{
	static const struct { enum template_kind kind; const char *text; bool good; } rows[] = {
		{ TEMPLATE_FILTER, "(mail=%m)", true }, { TEMPLATE_FILTER, "(|(a=%u)(b=%d))", true },
		{ TEMPLATE_FILTER, "mail=%m", false }, { TEMPLATE_FILTER, "(mail=%m", false },
		{ TEMPLATE_FILTER, "(mail=%m))", false }, { TEMPLATE_FILTER, "(a=%m)(b=%m)", false },
		{ TEMPLATE_FILTER, "(mail=x)", false }, { TEMPLATE_FILTER, "(mail=%x)", false },
		{ TEMPLATE_FILTER, "(mail=%m)%", false }, { TEMPLATE_FILTER, "(a=%%)", false },
		{ TEMPLATE_FILTER, "", false }, { TEMPLATE_DN, "uid=%u,dc=x", true },
		{ TEMPLATE_DN, "uid=x", false },
	};
	struct err err;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(template_check(rows[i].kind, span_str(rows[i].text), &err),
		    rows[i].good);
}

static bool
same_name(const char *a, const char *b)
{
	struct span x, y;

	assert_true(dn_normalise(arena, span_str(a), &x));
	assert_true(dn_normalise(arena, span_str(b), &y));
	return span_eq(x, y);
}

static void
test_names(void **state)
{
	struct span base, dn;

	assert_true(same_name("CN=Doctors,OU=Groups,DC=example", "cn=doctors, ou=groups , dc=EXAMPLE"));
	assert_true(same_name("cn=a\\2cb,dc=x", "CN=A\\,B,DC=X"));
	assert_false(same_name("cn=a,dc=x", "cn=a,dc=y"));
	assert_false(same_name("cn=a\\,dc\\=y,dc=x", "cn=a,dc=y,dc=x"));
	assert_false(dn_normalise(arena, SPAN_LIT("Doctors"), &dn));
	assert_false(dn_normalise(arena, SPAN_LIT(""), &dn));
	assert_false(dn_normalise(arena, span_make("cn=a\0b", 6), &dn));
	assert_true(dn_normalise(arena, SPAN_LIT("DC=example,DC=org"), &base));
	assert_true(dn_normalise(arena, SPAN_LIT("CN=x,DC=Example,DC=ORG"), &dn));
	assert_true(dn_within(dn, base));
	assert_true(dn_within(base, base));
	assert_true(dn_normalise(arena, SPAN_LIT("DC=notexample,DC=org"), &dn));
	assert_false(dn_within(dn, base));
	assert_false(dn_within(SPAN_LIT("xdc=example,dc=org"), base));
}

static void
test_covers(void **state)
{
	const struct span domains[] = { SPAN_LIT("example.lab"), SPAN_LIT("other.lab") };
	struct conf_directory all = { 0 }, some = { .domains = domains, .ndomains = 2 };

	assert_true(ask_covers(&all, SPAN_LIT("a@far.lab")));
	assert_true(ask_covers(&some, SPAN_LIT("a@Example.LAB")));
	assert_false(ask_covers(&some, SPAN_LIT("a@sub.example.lab")));
	assert_false(ask_covers(&some, SPAN_LIT("a")));
}

/* ---- cache ---- */

static enum cache_age
get(struct cache *c, const char *key, int64_t now, struct cached *out)
{
	return cache_get(c, span_str(key), now, out);
}

static void
test_ages(void **state)
{
	const struct span values[] = { SPAN_LIT("one"), SPAN_LIT(""), SPAN_LIT("three") };
	struct cache *c = cache_new(10);
	struct cached out;

	cache_put(c, SPAN_LIT("a"), true, values, 3, 1000, 100, 50);
	cache_put(c, SPAN_LIT("b"), false, NULL, 0, 1000, 10, 0);
	assert_int_equal(get(c, "a", 1099, &out), CACHE_FRESH);
	assert_true(out.found && out.n == 3 && out.made == 1000);
	assert_span(out.values[0], "one");
	assert_span(out.values[1], "");
	assert_span(out.values[2], "three");
	assert_int_equal(get(c, "a", 1100, &out), CACHE_STALE);
	assert_true(out.found && out.n == 3);
	assert_int_equal(get(c, "a", 1149, &out), CACHE_STALE);
	assert_int_equal(get(c, "b", 1009, &out), CACHE_FRESH);
	assert_false(out.found);
	assert_int_equal(get(c, "b", 1010, &out), CACHE_NONE);
	assert_int_equal(get(c, "c", 1000, &out), CACHE_NONE);
	/* a clock that was set back: how old it is cannot be told */
	assert_int_equal(get(c, "a", 999, &out), CACHE_NONE);
	assert_int_equal(cache_count(c), 0);
	cache_free(&c);
	assert_null(c);
}

static void
test_bounds(void **state)
{
	struct cache *c = cache_new(100);
	struct cached out;
	char key[32];

	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		cache_put(c, span_str(key), true, NULL, 0, 0, 1000, 0);
		/* the first is used all the time, and stays */
		assert_int_equal(get(c, "k0", 1, &out), CACHE_FRESH);
		assert_true(cache_count(c) <= 100);
	}
	assert_int_equal(cache_count(c), 100);
	assert_int_equal(get(c, "k1", 1, &out), CACHE_NONE);
	assert_int_equal(get(c, "k999", 1, &out), CACHE_FRESH);
	assert_int_equal(get(c, "k901", 1, &out), CACHE_FRESH);
	assert_int_equal(get(c, "k900", 1, &out), CACHE_NONE);
	/* an answer that replaces another is one */
	cache_put(c, SPAN_LIT("k999"), false, NULL, 0, 5, 1000, 0);
	assert_int_equal(cache_count(c), 100);
	assert_int_equal(get(c, "k999", 6, &out), CACHE_FRESH);
	assert_false(out.found);
	assert_int_equal(cache_forget(c, SPAN_LIT("k99")), 10);	/* k990 to k999 */
	assert_int_equal(cache_count(c), 90);
	cache_free(&c);
}

static void
test_bytes(void **state)
{
	struct cache *c = cache_new(1000000);
	static char big[1 << 20];
	const struct span value = { big, sizeof(big) };
	char key[32];

	for (int i = 0; i < 100; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		cache_put(c, span_str(key), true, &value, 1, 0, 1000, 0);
	}
	/* as many megabytes as are allowed, and a little for each entry */
	assert_in_range(cache_count(c), (CACHE_BYTES_MAX >> 20) - 1, CACHE_BYTES_MAX >> 20);
	cache_free(&c);
}

static void
test_saved(void **state)
{
	const struct span values[] = { SPAN_LIT("one"), SPAN_LIT("two") };
	struct cache *c = cache_new(10), *d = cache_new(10);
	struct cached out;
	struct err err;
	struct buf b;
	struct span s;

	buf_init(&b, 1 << 20);
	cache_put(c, SPAN_LIT("old"), true, values, 2, 0, 10, 10);
	cache_put(c, SPAN_LIT("a"), true, values, 2, 100, 50, 1000);
	cache_put(c, SPAN_LIT("b"), false, NULL, 0, 100, 50, 1000);
	cache_save(c, 120, 1 << 20, &b);
	s = buf_data(&b);
	assert_int_equal(cache_load(d, s, 160, &err), 0);
	assert_int_equal(cache_count(d), 2);		/* `old` is past all use */
	assert_int_equal(get(d, "a", 160, &out), CACHE_STALE);	/* its age went with it */
	assert_true(out.n == 2 && out.made == 100);
	assert_span(out.values[1], "two");
	assert_int_equal(get(d, "b", 149, &out), CACHE_FRESH);
	/* each byte that is wrong or missing is noticed */
	for (size_t i = 0; i < s.n; i++) {
		struct cache *e = cache_new(10);
		char *copy = arena_str(arena, s);

		copy[i] ^= 1;
		assert_int_equal(cache_load(e, span_make(copy, s.n), 160, &err), -1);
		assert_int_equal(cache_count(e), 0);
		assert_int_equal(cache_load(e, span_sub(s, 0, i), 160, &err), -1);
		assert_int_equal(cache_count(e), 0);
		cache_free(&e);
	}
	/* no room for all: the one that was used last is kept */
	buf_reset(&b);
	assert_int_equal(get(c, "a", 120, &out), CACHE_FRESH);
	cache_save(c, 120, 300, &b);
	cache_free(&d);
	d = cache_new(10);
	assert_int_equal(cache_load(d, buf_data(&b), 120, &err), 0);
	assert_int_equal(cache_count(d), 1);
	assert_int_equal(get(d, "a", 120, &out), CACHE_FRESH);
	buf_release(&b);
	cache_free(&c);
	cache_free(&d);
}

static int
setup(void **state)
{
	arena = arena_new(0);
	return 0;
}

static int
teardown(void **state)
{
	arena_free(&arena);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filters),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_names_from_templates),
		cmocka_unit_test(test_templates),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_covers),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_saved),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
