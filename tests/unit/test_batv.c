/* test_batv.c -- tags on envelope senders, against vectors that Python's hmac made:
 *
 *	hmac.new(secret, ("%d%03d" % (key, (day + 7) % 1000) + address.lower()).encode(), sha1).hexdigest()[:6]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addr.h"
#include "net/batv.h"

#define TODAY 20779		/* 2026-11-22 */

static const char two_keys[] = "# a comment\n\n0 2026-11-22 0123456789abcdef0123456789abcdef01234567\n"
    "  3\t2024-02-29   correct-horse-battery-staple  \r\n";

static struct batv_keys
keys(const char *text)
{
	struct batv_keys k;
	struct err err;

	assert_int_equal(batv_keys_parse(span_str(text), &k, &err), 0);
	return k;
}

static void
same(struct span got, const char *want)
{
	assert_int_equal(got.n, strlen(want));
	assert_memory_equal(got.p, want, got.n);
}

static const struct vector {
	const char *address, *tagged;
	int32_t day;
} vectors[] = {
	{ "m.durand@example.org", "prvs=0786c89542=m.durand@example.org", TODAY },
	{ "M.Durand@example.org", "prvs=0786c89542=M.Durand@example.org", TODAY },
	{ "m.durand@example.org", "prvs=0002f7bcde=m.durand@example.org", 20995 },	/* 21002 days */
	{ "bounces+user=example.net@example.org", "prvs=0786260316=bounces+user=example.net@example.org", TODAY },
	{ "\"john doe\"@example.org", "\"prvs=07869d3b03=john doe\"@example.org", TODAY },
	/* the tag in front takes away the need for quotes; they come back with the address */
	{ "\".john\"@example.org", "prvs=0786ba0505=.john@example.org", TODAY },
	{ "\xc3\xa9@example.org", "prvs=0786ce0dea=\xc3\xa9@example.org", TODAY },
};

static void
known_tags(void **state)
{
	struct batv_keys k = keys(two_keys);
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
		const struct vector *v = &vectors[i];
		struct span plain;

		same(batv_tag(&k, a, span_str(v->address), v->day), v->tagged);
		assert_int_equal(batv_check(&k, a, span_str(v->tagged), v->day, &plain), BATV_VALID);
		same(plain, v->address);
		assert_true(batv_untag(a, span_str(v->tagged), &plain));
		same(plain, v->address);
	}
	arena_free(&a);
}

static void
what_it_is(void **state)
{
	static const struct {
		const char *address, *plain;
		enum batv_result want;
		int32_t day;
	} cases[] = {
		/* the second key, which does not sign */
		{ "prvs=37864bb0c1=m.durand@example.org", "m.durand@example.org", BATV_VALID, TODAY },
		/* servers on the way change case */
		{ "PRVS=0786C89542=M.DURAND@example.org", "M.DURAND@example.org", BATV_VALID, TODAY },
		{ "prvs=0786c89542=m.durand@example.org", "m.durand@example.org", BATV_VALID, TODAY + 7 },
		{ "prvs=0786c89542=m.durand@example.org", "m.durand@example.org", BATV_EXPIRED, TODAY + 8 },
		{ "prvs=0786c89542=m.durand@example.org", "m.durand@example.org", BATV_EXPIRED, TODAY + 400 },
		/* a clock that is a day ahead is believed, not one that is two */
		{ "prvs=0786c89542=m.durand@example.org", "m.durand@example.org", BATV_VALID, TODAY - 1 },
		{ "prvs=0786c89542=m.durand@example.org", "m.durand@example.org", BATV_EXPIRED, TODAY - 2 },
		{ "prvs=0786c89542=n.durand@example.org", "n.durand@example.org", BATV_FORGED, TODAY },
		{ "prvs=0786c89542=m.durand@example.com", "m.durand@example.com", BATV_FORGED, TODAY },
		{ "prvs=0786c89543=m.durand@example.org", "m.durand@example.org", BATV_FORGED, TODAY },
		{ "prvs=0787c89542=m.durand@example.org", "m.durand@example.org", BATV_FORGED, TODAY },
		{ "prvs=5786c89542=m.durand@example.org", "m.durand@example.org", BATV_FORGED, TODAY },	/* no such key */
		{ "m.durand@example.org", "m.durand@example.org", BATV_UNTAGGED, TODAY },
		{ "prvs=0786c8954=m.durand@example.org", "prvs=0786c8954=m.durand@example.org", BATV_UNTAGGED, TODAY },
		{ "prvs=0786c8954g=m.durand@example.org", "prvs=0786c8954g=m.durand@example.org", BATV_UNTAGGED, TODAY },
		{ "prvs=078bc89542=m.durand@example.org", "prvs=078bc89542=m.durand@example.org", BATV_UNTAGGED, TODAY },
		{ "prvs=0786c89542=@example.org", "prvs=0786c89542=@example.org", BATV_UNTAGGED, TODAY },
		{ "prvs=m.durand/0786c89542@example.org", "prvs=m.durand/0786c89542@example.org", BATV_UNTAGGED, TODAY },
		{ "", "", BATV_UNTAGGED, TODAY },
		{ "postmaster", "postmaster", BATV_UNTAGGED, TODAY },
	};
	struct batv_keys k = keys(two_keys);
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct span plain;

		assert_int_equal(batv_check(&k, a, span_str(cases[i].address), cases[i].day, &plain),
		    cases[i].want);
		same(plain, cases[i].plain);
	}
	arena_free(&a);
}

static void
what_stays(void **state)
{
	static const char *const cases[] = { "", "postmaster", "prvs=0786c89542=m.durand@example.org",
		"prvs=1234abcdef=somebody@elsewhere.example",
		/* 49 bytes: with the tag it would be more than 64 */
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.org" };
	struct batv_keys k = keys(two_keys);
	struct arena *a = arena_new(0);
	struct span longest = SPAN_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.org"), tagged,
	    local, domain;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		same(batv_tag(&k, a, span_str(cases[i]), TODAY), cases[i]);
	assert_false(batv_taggable(span_str(cases[4])));
	tagged = batv_tag(&k, a, longest, TODAY);
	assert_true(mailaddr_split(tagged, &local, &domain));
	assert_int_equal(local.n, 64);
	arena_free(&a);
}

static void
key_files(void **state)
{
	static const struct { const char *text, *why; } bad[] = {
		{ "", "there is no key in it" },
		{ "# nothing\n\n", "there is no key in it" },
		{ "x 2026-11-22 0123456789abcdef\n", "line 1: a key begins with its number" },
		{ "10 2026-11-22 0123456789abcdef\n", "line 1: a key begins with its number" },
		{ "1 0123456789abcdef\n", "line 1: the day the key was made" },
		{ "1 2026-02-29 0123456789abcdef\n", "line 1: the day the key was made" },
		{ "1 2026-11-22 0123456789abcde\n", "line 1: a secret has 16 to 64" },
		{ "1 2026-11-22 0123456789abcdef more\n", "line 1: nothing stands behind" },
		{ "1 2026-11-22 0123456789abcd\xc3\xa9\n", "line 1: a secret is of printable" },
		{ "1 2026-11-22 0123456789abcdef\n\n1 2026-11-23 0123456789abcdef\n", "line 3: there is a key 1 already" },
	};
	struct batv_keys k;
	struct err err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(batv_keys_parse(span_str(bad[i].text), &k, &err), -1);
		assert_non_null(strstr(err.text, bad[i].why));
	}
	k = keys(two_keys);
	assert_int_equal(k.n, 2);
	assert_int_equal(k.key[0].digit, 0);
	assert_int_equal(k.key[0].made, TODAY);
	assert_int_equal(batv_keys_since(&k), 19782);		/* 2024-02-29 */
	batv_keys_wipe(&k);
	for (size_t i = 0; i < sizeof(k); i++)
		assert_int_equal(((unsigned char *)&k)[i], 0);
}

static void
key_file_is_ours_alone(void **state)
{
	char path[] = "/tmp/postern-batv-XXXXXX";
	int fd = mkstemp(path);
	struct batv_keys k;
	struct err err;

	assert_true(fd != -1);
	assert_int_equal(write(fd, two_keys, sizeof(two_keys) - 1), sizeof(two_keys) - 1);
	assert_int_equal(batv_keys_load(path, &k, &err), 0);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(batv_keys_load(path, &k, &err), -1);
	assert_non_null(strstr(err.text, "chmod 600"));
	close(fd);
	unlink(path);
	assert_int_equal(batv_keys_load(path, &k, &err), -1);
	assert_int_equal(batv_keys_load("/tmp", &k, &err), -1);
}

static void
dates(void **state)
{
	int32_t day;

	assert_true(batv_date(SPAN_LIT("1970-01-01"), &day));
	assert_int_equal(day, 0);
	assert_true(batv_date(SPAN_LIT("2000-03-01"), &day));
	assert_int_equal(day, 11017);
	assert_false(batv_date(SPAN_LIT("2026-11-31"), &day));
	assert_false(batv_date(SPAN_LIT("2026-1-31"), &day));
	assert_false(batv_date(SPAN_LIT("2026-00-10"), &day));
	assert_int_equal(batv_day(INT64_C(1795305600) * 1000000), TODAY);
	assert_int_equal(batv_day(INT64_C(1795305599) * 1000000), TODAY - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_tags),
		cmocka_unit_test(what_it_is),
		cmocka_unit_test(what_stays),
		cmocka_unit_test(key_files),
		cmocka_unit_test(key_file_is_ours_alone),
		cmocka_unit_test(dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
