/* test_authenticator.c -- base64 to the letter, scrypt hashes, the file of users. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "authenticator/scrypt.h"
#include "authenticator/users.h"
#include "base64.h"
#include "fs.h"

static void
test_base64(void **state)
{
	/* RFC 4648, 10 */
	static const char *const good[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" } };
	static const char *const bad[] = { "Zg", "Zg=", "Zg===", "Z", "Zh==", "Zm9=", "Zm9v=", "=",
		"====", "Zm 9v", "Zm9v\n", "Z-9v", "Zg==Zg==", "Zm9\xc3" };
	struct buf b;

	buf_init(&b, 64);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		buf_reset(&b);
		assert_int_equal(base64_decode(&b, span_str(good[i][1])), 0);
		assert_true(span_is(buf_data(&b), good[i][0]));
		buf_reset(&b);
		base64_encode(&b, span_str(good[i][0]), true);
		assert_true(span_is(buf_data(&b), good[i][1]));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_reset(&b);
		if (base64_decode(&b, span_str(bad[i])) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	}
	buf_release(&b);
	buf_init(&b, 5);	/* the maximum of a buffer is kept */
	assert_int_equal(base64_decode(&b, SPAN_LIT("Zm9vYmFy")), -1);
	buf_release(&b);
}

/* RFC 7914, 12: the vector whose salt is long enough to be taken. */
static void
test_vectors(void **state)
{
	static const struct { const char *hash, *password; } known[] = {
		/* RFC 7914: scrypt("pleaseletmein", "SodiumChloride", 16384, 8, 1) */
		{ "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
		    "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUk"
		    "Kpr55h6F3A1lHkDfzwF7RVdYhw",
		    "pleaseletmein" },
	};
	struct scrypt_hash h;
	struct err err;
	bool right;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (scrypt_parse(span_str(known[i].hash), &h, &err) == -1)
			fail_msg("%s", err.text);
		assert_int_equal(scrypt_check(&h, span_str(known[i].password), &right, &err), 0);
		assert_true(right);
		assert_int_equal(scrypt_check(&h, SPAN_LIT("pleaseletmeiN"), &right, &err), 0);
		assert_false(right);
	}
}

static void
test_make(void **state)
{
	struct scrypt_hash h;
	struct buf a, b;
	struct err err;
	bool right;

	buf_init(&a, 1024);
	buf_init(&b, 1024);
	assert_int_equal(scrypt_make(SPAN_LIT("p\xc3\xa9"), &a, &err), 0);
	assert_int_equal(scrypt_make(SPAN_LIT("p\xc3\xa9"), &b, &err), 0);
	assert_false(span_eq(buf_data(&a), buf_data(&b)));	/* salted */
	assert_true(span_starts(buf_data(&a), SPAN_LIT("$scrypt$ln=15,r=8,p=1$")));
	assert_int_equal(scrypt_parse(buf_data(&a), &h, &err), 0);
	assert_int_equal(scrypt_check(&h, SPAN_LIT("p\xc3\xa9"), &right, &err), 0);
	assert_true(right);
	assert_int_equal(scrypt_check(&h, SPAN_LIT("pe"), &right, &err), 0);
	assert_false(right);
	buf_release(&a);
	buf_release(&b);
}

#define SALT "MDEyMzQ1Njc4OWFiY2RlZg"
#define HASH "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"

static void
test_bad_hashes(void **state)
{
	static const char *const bad[] = { "", "secret", "$6$x$y", "$scrypt$", "$scrypt$ln=15,r=8,p=1",
		"$scrypt$ln=15,r=8,p=1$" SALT, "$scrypt$ln=15,r=8,p=1$" SALT "$",
		"$scrypt$ln=15,r=8,p=1$" SALT "$" HASH "$", "$scrypt$ln=15,r=8$" SALT "$" HASH,
		"$scrypt$ln=0,r=8,p=1$" SALT "$" HASH, "$scrypt$ln=21,r=8,p=1$" SALT "$" HASH,
		"$scrypt$ln=20,r=32,p=1$" SALT "$" HASH /* 4 GiB */, "$scrypt$ln=15,r=8,p=99$" SALT "$" HASH,
		"$scrypt$ln=x,r=8,p=1$" SALT "$" HASH, "$scrypt$ln=15,r=8,p=1$MDE$" HASH,
		"$scrypt$ln=15,r=8,p=1$" SALT "$MDEyMzQ1", "$scrypt$ln=15,r=8,p=1$!$" HASH,
		"$scrypt$ln=15,r=8,p=1$" SALT "$" HASH "=", "$scrypt$ln=15,r=8,p=1$" SALT "$" HASH HASH HASH };
	struct scrypt_hash h;
	struct err err;

	assert_int_equal(scrypt_parse(SPAN_LIT("$scrypt$ln=15,r=8,p=1$" SALT "$" HASH), &h, &err), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (scrypt_parse(span_str(bad[i]), &h, &err) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
}

static struct users *
load(const char *text, mode_t mode, struct err *err)
{
	char path[] = "/tmp/postern-users-XXXXXX";
	int fd = mkstemp(path);
	struct users *u;

	assert_true(fd != -1);
	assert_int_equal(fs_write_all(fd, text, strlen(text), err), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	u = users_load(path, err);
	unlink(path);
	return u;
}

/* costs as low as they go: this is about the file */
#define LINE(name) name ":$scrypt$ln=4,r=8,p=1$U29kaXVtQ2hsb3JpZGU$" HASH "\n"

static void
test_users(void **state)
{
	struct err err;
	struct users *u = load("# our users\n\n" LINE("marie") LINE("paul@example.org"), 0600, &err);
	bool right = true;

	assert_non_null(u);
	assert_int_equal(users_count(u), 2);
	assert_int_equal(users_check(u, SPAN_LIT("marie"), SPAN_LIT("wrong"), &right, &err), 0);
	assert_false(right);
	right = true;
	assert_int_equal(users_check(u, SPAN_LIT("nobody"), SPAN_LIT("wrong"), &right, &err), 0);
	assert_false(right);
	users_free(&u);
	assert_null(u);

	assert_null(load(LINE("marie"), 0604, &err));
	assert_non_null(strstr(err.text, "everybody may read"));
	assert_null(load(LINE("marie") "\n" LINE("marie"), 0600, &err));
	assert_non_null(strstr(err.text, ":3: this user stands twice"));
	assert_null(load(LINE("marie") "paul:secret\n", 0600, &err));
	assert_non_null(strstr(err.text, ":2: "));
	assert_null(strstr(err.text, "secret"));	/* what it is is not said */
	assert_null(load("marie\n", 0600, &err));
	assert_null(users_load("/nonexistent/users", &err));
	u = load("", 0600, &err);
	assert_non_null(u);
	users_free(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_bad_hashes),
		cmocka_unit_test(test_users),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
