/* test_sts_cache.c -- policies that hold: for their time, across restarts, whatever lies in the folder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "delivery/sts.h"
#include "fetcher/https.h"
#include "fetcher/sts_cache.h"
#include "fs.h"

#define T0 (INT64_C(1795344099) * US_PER_SEC)
#define SECOND US_PER_SEC

static char folder[64];
static struct err err;

static int
setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/postern-test-sts-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int
teardown(void **state)
{
	DIR *d = opendir(folder);
	struct dirent *de;

	fs_fault = NULL;
	while ((de = readdir(d)) != NULL)
		if (de->d_name[0] != '.' || strcmp(de->d_name, ".new") == 0)
			unlinkat(dirfd(d), de->d_name, 0);
	closedir(d);
	return rmdir(folder);
}

static struct sts_cache *
cache_open(int64_t now)
{
	struct sts_cache *c = sts_cache_open(folder, now, &err);

	if (c == NULL)
		fail_msg("%s", err.text);
	return c;
}

static void
put(struct sts_cache *c, const char *domain, const char *id, uint32_t age, int64_t now)
{
	struct sts_policy p = { .mode = STS_MODE_ENFORCE, .max_age = age, .nmx = 1,
		.mx = { SPAN_LIT("*.example.net") } };

	assert_int_equal(sts_cache_put(c, span_str(domain), id, &p, now, &err), 0);
}

static void
write_file(const char *name, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int
files(void)
{
	DIR *d = opendir(folder);
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void
test_lasts(void **state)
{
	struct sts_cache *c = cache_open(T0);
	struct sts_entry *e;

	put(c, "a.example", "1", 100, T0);
	put(c, "b.example", "2", 1000, T0);
	put(c, "a.example", "3", 100, T0 + SECOND);
	sts_cache_close(&c);
	c = cache_open(T0 + 50 * SECOND);
	assert_int_equal(sts_cache_count(c), 2);
	e = sts_cache_get(c, SPAN_LIT("a.example"), T0 + 50 * SECOND);
	assert_non_null(e);
	assert_string_equal(e->id, "3");
	assert_int_equal(e->fetched, T0 + SECOND);
	assert_int_equal(e->mode, STS_MODE_ENFORCE);
	assert_true(span_is(span_make(e->body, e->size),
	    "version: STSv1\nmode: enforce\nmx: *.example.net\nmax_age: 100\n"));
	/* to the second, and then its file goes too */
	assert_non_null(sts_cache_get(c, SPAN_LIT("a.example"), T0 + 101 * SECOND - 1));
	assert_null(sts_cache_get(c, SPAN_LIT("a.example"), T0 + 101 * SECOND));
	assert_int_equal(files(), 1);
	assert_non_null(sts_cache_get(c, SPAN_LIT("b.example"), T0 + 101 * SECOND));
	assert_null(sts_cache_get(c, SPAN_LIT("c.example"), T0));
	sts_cache_close(&c);
}

static void
test_odd_files(void **state)
{
	static const char *const bad[] = { "", "postern-mta-sts 1\n", "postern-mta-sts 2\ndomain x0.example\n",
		"postern-mta-sts 1\ndomain other.example\nid 1\nfetched 1\n\nversion: STSv1\nmode: none\nmax_age: 9\n",
		"postern-mta-sts 1\ndomain x4.example\nid 1\nfetched x\n\nversion: STSv1\nmode: none\nmax_age: 9\n",
		"postern-mta-sts 1\ndomain x5.example\nid 1\nfetched 1\n\nversion: STSv1\nmode: enfor" };
	struct sts_cache *c;
	char name[32], text[256];
	struct sts_entry *e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(name, sizeof(name), "x%zu.example", i);
		write_file(name, bad[i]);
	}
	/* One that was written by a clock that ran ahead: it lives no longer for it. */
	snprintf(text, sizeof(text), "postern-mta-sts 1\ndomain y.example\nid \nfetched %lld\n\n"
	    "version: STSv1\nmode: none\nmax_age: 9\n", (long long)(T0 + 1000000 * SECOND));
	write_file("y.example", text);
	c = cache_open(T0);
	assert_int_equal(sts_cache_count(c), 1);
	e = sts_cache_get(c, SPAN_LIT("y.example"), T0);
	assert_true(e != NULL && e->fetched == T0 && e->id[0] == '\0');
	/* A new policy takes the place of what could not be read. */
	put(c, "x5.example", "1", 100, T0);
	sts_cache_close(&c);
	c = cache_open(T0);
	assert_int_equal(sts_cache_count(c), 2);
	sts_cache_close(&c);
}

static int failing;

static int
fault(enum fs_op op, const char *path, int fd, size_t *n)
{
	return (int)op == failing ? 28 /* ENOSPC */ : 0;
}

/* The disk fails: the policy holds all the same, and the one before stays on the disk whole. */
static void
test_disk_fails(void **state)
{
	static const enum fs_op ops[] = { FS_OPEN, FS_WRITE, FS_FDATASYNC, FS_RENAME };
	struct sts_policy p = { .mode = STS_MODE_NONE, .max_age = 500 };

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		struct sts_cache *c = cache_open(T0);

		put(c, "a.example", "1", 100, T0);
		failing = (int)ops[i];
		fs_fault = fault;
		assert_int_equal(sts_cache_put(c, SPAN_LIT("a.example"), "2", &p, T0, &err), -1);
		fs_fault = NULL;
		assert_string_equal(sts_cache_get(c, SPAN_LIT("a.example"), T0)->id, "2");
		sts_cache_close(&c);
		c = cache_open(T0);
		assert_string_equal(sts_cache_get(c, SPAN_LIT("a.example"), T0)->id, "1");
		sts_cache_close(&c);
	}
}

static void
test_bounded(void **state)
{
	struct sts_cache *c = cache_open(T0);
	char name[32];

	/* The disk is not what is looked at here. */
	failing = FS_OPEN;
	fs_fault = fault;
	for (int i = 0; i < STS_CACHE_MAX; i++) {
		struct sts_policy p = { .mode = STS_MODE_NONE, .max_age = 500000 };

		snprintf(name, sizeof(name), "d%d.example", i);
		sts_cache_put(c, span_str(name), "1", &p, T0 + i, &err);
	}
	assert_int_equal(sts_cache_count(c), STS_CACHE_MAX);
	sts_cache_get(c, SPAN_LIT("d0.example"), T0)->asked = T0 + SECOND;
	for (int i = 0; i < 3; i++) {
		struct sts_policy p = { .mode = STS_MODE_NONE, .max_age = 500000 };

		snprintf(name, sizeof(name), "new%d.example", i);
		sts_cache_put(c, span_str(name), "1", &p, T0 + SECOND, &err);
	}
	assert_int_equal(sts_cache_count(c), STS_CACHE_MAX);
	/* Who was asked for lately stays. */
	assert_non_null(sts_cache_get(c, SPAN_LIT("d0.example"), T0 + SECOND));
	for (int i = 1; i < 4; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		assert_null(sts_cache_get(c, span_str(name), T0 + SECOND));
	}
	assert_non_null(sts_cache_get(c, SPAN_LIT("d4.example"), T0 + SECOND));
	fs_fault = NULL;
	sts_cache_close(&c);
}

static void
due(void *ctx, struct sts_entry *e)
{
	(*(int *)ctx)++;
	e->refresh_at = INT64_MAX;
}

static void
test_refresh(void **state)
{
	struct sts_cache *c = cache_open(T0);
	int n = 0;

	put(c, "short.example", "1", 100, T0);
	put(c, "long.example", "1", 31000000, T0);
	sts_cache_tick(c, T0 + 49 * SECOND, 10, due, &n);
	assert_int_equal(n, 0);
	sts_cache_tick(c, T0 + 50 * SECOND, 0, due, &n);
	assert_int_equal(n, 0);			/* no room */
	sts_cache_tick(c, T0 + 50 * SECOND, 10, due, &n);
	assert_int_equal(n, 1);			/* at half its life */
	sts_cache_tick(c, T0 + 86399 * SECOND, 10, due, &n);
	assert_int_equal(n, 1);
	assert_int_equal(sts_cache_count(c), 1);	/* the short one is over */
	sts_cache_tick(c, T0 + 86400 * SECOND, 10, due, &n);
	assert_int_equal(n, 2);			/* once a day */
	sts_cache_close(&c);
}

/* ---- what a policy means for servers (RFC 8461, 2, 4.1, 5) ---- */

static void
test_applied(void **state)
{
	static const struct { enum sts_mode mode; bool found; enum dane_state dane; const char *host; enum sts_state want; } rows[] = {
		{ STS_MODE_ENFORCE, true, DANE_NONE, "mx.example.net", STS_ENFORCED },
		{ STS_MODE_ENFORCE, true, DANE_NONE, "mx.example.org", STS_BARRED },
		{ STS_MODE_TESTING, true, DANE_NONE, "mx.example.net", STS_TESTED },
		{ STS_MODE_TESTING, true, DANE_NONE, "mx.example.org", STS_TEST_BARRED },
		{ STS_MODE_NONE, true, DANE_NONE, "mx.example.org", STS_OFF },
		{ STS_MODE_ENFORCE, false, DANE_NONE, "mx.example.org", STS_OFF },
		{ STS_MODE_ENFORCE, true, DANE_USABLE, "mx.example.org", STS_OFF },
		{ STS_MODE_ENFORCE, true, DANE_UNUSABLE, "mx.example.net", STS_ENFORCED },
		{ STS_MODE_ENFORCE, true, DANE_FAILED, "mx.example.org", STS_BARRED },
	};
	struct plan *p = calloc(1, sizeof(*p));
	struct sts_known *k = calloc(1, sizeof(*k));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		plan_init(p, SPAN_LIT("example.com"));
		p->nhosts = 1;
		p->hosts[0] = (struct plan_host){ .dane = rows[i].dane };
		snprintf(p->hosts[0].name, sizeof(p->hosts[0].name), "%s", rows[i].host);
		k->found = rows[i].found;
		k->policy = (struct sts_policy){ .mode = rows[i].mode, .nmx = 1, .mx = { SPAN_LIT("*.example.net") } };
		sts_apply(p, k);
		if (p->hosts[0].sts != rows[i].want)
			fail_msg("row %zu: %d", i, p->hosts[0].sts);
	}
	free(p);
	free(k);
}

/* What a policy lists proves its own name, and no other will do. */
static void
test_names(void **state)
{
	struct plan *p = calloc(1, sizeof(*p));
	struct span names[PLAN_NAMES_MAX];

	plan_init(p, SPAN_LIT("example.com"));
	p->secure = false;
	p->nhosts = 1;
	snprintf(p->hosts[0].name, sizeof(p->hosts[0].name), "mx.provider.net");
	assert_int_equal(plan_names(p, 0, names), 1);
	assert_true(span_is(names[0], "example.com"));
	p->hosts[0].sts = STS_ENFORCED;
	assert_int_equal(plan_names(p, 0, names), 1);
	assert_true(span_is(names[0], "mx.provider.net"));
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_odd_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refresh, setup, teardown),
		cmocka_unit_test(test_applied),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
