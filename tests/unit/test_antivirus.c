/* test_antivirus.c -- the engine finds what it must, and never says clean when it is blind. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <clamav.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

#include "buf.h"
#include "clock.h"
#include "scanner/antivirus.h"
#include "scanner_test.h"

static char *dir, *databases, *tmp;
static struct arena *arena;

static int
setup(void **state)
{
	arena = arena_new(0);
	dir = test_dir();
	databases = test_databases(arena, dir, "0");
	tmp = arena_printf(arena, "%s/tmp", dir);
	return mkdir(tmp, 0700);
}

static int
teardown(void **state)
{
	clock_virtual = NULL;
	test_remove(dir);
	free(dir);
	arena_free(&arena);
	return 0;
}

static struct antivirus *
engine(void)
{
	struct err err;
	struct antivirus *av = antivirus_new(databases, tmp, NULL, &err);

	if (av == NULL)
		fail_msg("%s", err.text);
	return av;
}

/* A message of one part, as the anatomy would describe it. */
static struct anatomy
single(struct span raw, struct span decoded, struct part *part)
{
	*part = (struct part){ .number = SPAN_LIT("1"), .parent = PART_NONE, .decoded = decoded,
		.type = TYPE_TEXT };
	return (struct anatomy){ .raw = raw, .parts = part, .nparts = 1 };
}

static struct facts
scan(struct antivirus *av, const struct anatomy *an)
{
	struct facts f = { 0 };

	antivirus_scan(av, an, arena, &f);
	return f;
}

static void
clean_is_clean(void **state)
{
	struct antivirus *av = engine();
	struct span raw = SPAN_LIT("From: a@example.org\r\nSubject: hello\r\n\r\nNothing.\r\n");
	struct part p;
	struct anatomy an = single(raw, span_from(raw, raw.n - 10), &p);
	struct facts f = scan(av, &an);

	assert_int_equal(f.av, AV_CLEAN);
	assert_true(span_starts(f.av_engine, SPAN_LIT("libclamav 1.")));
	assert_true(span_ends_nocase(f.av_engine, SPAN_LIT("/sigs 1")));
	assert_int_equal(antivirus_signatures(av)->count, 1);
	antivirus_free(&av);
	assert_null(av);
}

static void
raw_eicar_is_found_and_placed(void **state)
{
	struct antivirus *av = engine();
	struct span raw = span_str(arena_printf(arena, "From: a@example.org\r\n\r\n%s\r\n",
	    test_eicar(arena)));
	struct part p;
	struct anatomy an = single(raw, span_from(raw, span_find(raw, 'X')), &p);
	struct facts f = scan(av, &an);

	assert_int_equal(f.av, AV_VIRUS);
	assert_true(span_starts(f.av_name, SPAN_LIT("Eicar-Test")));
	assert_true(span_is(f.av_part, "1"));
	antivirus_free(&av);
}

/* The engine's own reader sees nothing in these bytes; only the part we decoded has it. */
static void
decoded_part_is_scanned(void **state)
{
	struct antivirus *av = engine();
	struct span raw = SPAN_LIT("From: a@example.org\r\n\r\nonly we can decode this\r\n");
	struct part p[3] = {
		{ .number = SPAN_LIT(""), .parent = PART_NONE, .type = TYPE_MULTIPART,
			.decoded = SPAN_LIT("ignored, it has children") },
		{ .number = SPAN_LIT("1"), .parent = 0, .type = TYPE_TEXT,
			.decoded = SPAN_LIT("harmless") },
		{ .number = SPAN_LIT("2"), .parent = 0, .type = TYPE_UNKNOWN,
			.decoded = span_str(test_eicar(arena)) },
	};
	struct anatomy an = { .raw = raw, .parts = p, .nparts = 3 };
	struct facts f = scan(av, &an);

	assert_int_equal(f.av, AV_VIRUS);
	assert_true(span_is(f.av_part, "2"));
	an.nparts = 2;
	assert_int_equal(scan(av, &an).av, AV_CLEAN);
	antivirus_free(&av);
}

/* A first field the engine does not know: it takes the message for a plain file, and a test
 * file at an offset is not found in it. Our own part is scanned then. */
static void
unknown_first_field(void **state)
{
	struct antivirus *av = engine();
	struct span raw = span_str(arena_printf(arena, "Comments: x\r\nSubject: a\r\n\r\n%s\r\n",
	    test_eicar(arena)));
	struct part p;
	struct anatomy an = single(raw, span_from(raw, raw.n - 70), &p);
	struct facts f;

	an.nparts = 0;
	assert_int_equal(scan(av, &an).av, AV_CLEAN);	/* why this test exists */
	an.nparts = 1;
	f = scan(av, &an);
	assert_int_equal(f.av, AV_VIRUS);
	assert_true(span_is(f.av_part, "1"));
	antivirus_free(&av);
}

/* libclamav answers CL_CLEAN to EICAR when its folder is gone; we must not. */
static void
missing_tmpdir_is_failure(void **state)
{
	struct antivirus *av = engine();
	struct span raw = span_str(arena_printf(arena, "From: a@b.example\r\n\r\n%s\r\n",
	    test_eicar(arena)));
	struct part p;
	struct anatomy an = single(raw, span_from(raw, span_find(raw, 'X')), &p);

	assert_int_equal(rmdir(tmp), 0);
	assert_int_equal(scan(av, &an).av, AV_FAILED);
	assert_non_null(strstr(antivirus_trouble(av), tmp));
	assert_int_equal(mkdir(tmp, 0700), 0);
	assert_int_equal(scan(av, &an).av, AV_VIRUS);
	assert_string_equal(antivirus_trouble(av), "");
	antivirus_free(&av);
}

static int
unwritable_child(void)
{
	struct antivirus *av = engine();
	struct part p;
	struct anatomy an = single(SPAN_LIT("From: a@b.example\r\n\r\nclean\r\n"),
	    SPAN_LIT("clean"), &p);
	struct facts f;

	if (chmod(tmp, 0500) == -1 || (geteuid() == 0 && setuid(65534) == -1))
		return 2;
	f = scan(av, &an);
	return f.av == AV_FAILED && *antivirus_trouble(av) ? 0 : 1;
}

static void
unwritable_tmpdir_is_failure(void **state)
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0)
		_exit(unwritable_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(chmod(tmp, 0700), 0);
}

static void
canary_runs_every_minute(void **state)
{
	int64_t now = 1000 * US_PER_SEC;
	struct antivirus *av;
	struct part p;
	struct anatomy an = single(SPAN_LIT("From: a@b.example\r\n\r\nclean\r\n"),
	    SPAN_LIT("clean"), &p);
	struct err err;

	clock_virtual = &now;
	av = engine();
	assert_int_equal(scan(av, &an).av, AV_CLEAN);
	assert_int_equal(antivirus_tmpdir(av, tmp, &err), 0);
	assert_int_equal(scan(av, &an).av, AV_CLEAN);
	/* The engine looks elsewhere, behind the back of the check before each message: what
	 * is left to notice it is the canary, once its minute is over. */
	assert_int_equal(cl_engine_set_str(antivirus_handle(av), CL_ENGINE_TMPDIR, "/nowhere"),
	    CL_SUCCESS);
	assert_int_equal(scan(av, &an).av, AV_CLEAN);
	now += ANTIVIRUS_CANARY_US;
	assert_int_equal(scan(av, &an).av, AV_FAILED);
	assert_non_null(strstr(antivirus_trouble(av), "EICAR"));
	/* … and it goes on noticing, and recovers. */
	assert_int_equal(scan(av, &an).av, AV_FAILED);
	assert_int_equal(antivirus_tmpdir(av, tmp, &err), 0);
	assert_int_equal(scan(av, &an).av, AV_CLEAN);
	antivirus_free(&av);
}

static void
limits_are_unscannable(void **state)
{
	struct antivirus_options limits = { .file_size = 4096 };
	struct err err;
	struct antivirus *av = antivirus_new(databases, tmp, &limits, &err);
	char *big = arena_alloc(arena, 10000);
	struct part p;
	struct anatomy an;
	struct facts f;

	assert_non_null(av);
	memset(big, 'a', 10000);
	memcpy(big, "From: a@b.example\r\n\r\n", 21);
	an = single(span_make(big, 10000), span_make(big + 21, 9979), &p);
	f = scan(av, &an);
	if (f.av != AV_UNSCANNABLE)
		fail_msg("%d %.*s: %s", f.av, SPAN_ARG(f.av_name), antivirus_trouble(av));
	assert_true(span_starts(f.av_name, SPAN_LIT("Heuristics.Limits.Exceeded")));
	antivirus_free(&av);
}

static void
no_databases_is_an_error(void **state)
{
	char *empty = arena_printf(arena, "%s/empty", dir), *gone = arena_printf(arena, "%s/gone",
	    dir);
	struct err err;

	assert_int_equal(mkdir(empty, 0700), 0);
	assert_null(antivirus_new(empty, tmp, NULL, &err));
	assert_non_null(strstr(err.text, empty));
	assert_non_null(strstr(err.text, "engine: off"));
	assert_null(antivirus_new(gone, tmp, NULL, &err));
	assert_non_null(strstr(err.text, gone));
	assert_non_null(strstr(err.text, "engine: off"));
	assert_null(antivirus_new(databases, gone, NULL, &err));
	assert_non_null(strstr(err.text, "temporary folder"));
}

/* Databases that do not know EICAR cannot prove that the engine works. */
static void
canary_unknown_is_an_error(void **state)
{
	char *other = arena_printf(arena, "%s/other", dir);
	struct err err;

	assert_int_equal(mkdir(other, 0700), 0);
	test_write(arena_printf(arena, "%s/x.ndb", other), "Other-Test:0:*:6162636465666768696a6b6c\n");
	assert_null(antivirus_new(other, tmp, NULL, &err));
	assert_non_null(strstr(err.text, "EICAR"));
}

/* --- members ------------------------------------------------------------------------------ */

static void
put_le(struct buf *b, uint32_t v, int bytes)
{
	for (; bytes-- > 0; v >>= 8)
		buf_putc(b, (char)v);
}

/* A zip with one stored member, as a mail that carries it (7-bit is not asked for here). */
static struct span
mail_with_zip(const char *name, struct span data, unsigned flags)
{
	uint32_t crc = (uint32_t)crc32(0, (const Bytef *)data.p, (uInt)data.n);
	struct buf b;
	size_t from, at;

	buf_init(&b, 64 << 20);
	buf_puts(&b, "From: a@example.org\r\nContent-Type: application/zip; name=a.zip\r\n"
	    "Content-Transfer-Encoding: binary\r\n\r\n");
	from = buf_size(&b);
	for (int entry = 0; entry < 2; entry++) {
		at = buf_size(&b) - from;
		put_le(&b, entry ? 0x02014b50 : 0x04034b50, 4);
		put_le(&b, 20, entry ? 4 : 2);
		put_le(&b, flags, 2);
		put_le(&b, 0, 2);
		put_le(&b, 0, 4);
		put_le(&b, crc, 4);
		put_le(&b, (uint32_t)data.n, 4);
		put_le(&b, (uint32_t)data.n, 4);
		put_le(&b, (uint32_t)strlen(name), 2);
		put_le(&b, 0, entry ? 12 : 2);
		if (entry)
			put_le(&b, 0, 4);
		buf_puts(&b, name);
		if (!entry)
			buf_span(&b, data);
	}
	put_le(&b, 0x06054b50, 4);
	put_le(&b, 0, 4);
	put_le(&b, 1, 2);
	put_le(&b, 1, 2);
	put_le(&b, (uint32_t)(46 + strlen(name)), 4);
	put_le(&b, (uint32_t)at, 4);
	put_le(&b, 0, 2);
	assert_false(buf_failed(&b));
	return buf_data(&b);
}

/* The engine leaves out a member above its limit without a word; scanned by itself it says so. */
static void
large_member_is_not_called_clean(void **state)
{
	const struct antivirus_options limits = { .file_size = 1 << 20, .scan_size = 8 << 20 };
	struct err err;
	struct antivirus *av = antivirus_new(databases, tmp, &limits, &err);
	const char *eicar = test_eicar(arena);
	size_t n = (1 << 20) + 4096;
	char *data = arena_alloc(arena, n);
	struct anatomy an;
	struct facts f;
	struct part alone;

	assert_non_null(av);
	memset(data, 'x', n);
	memcpy(data, eicar, strlen(eicar));
	anatomy_build(arena, mail_with_zip("a.com", span_make(data, n), 0), NULL, &an);
	assert_int_equal(an.nparts, 2);
	assert_true(span_is(an.parts[1].name, "a.com"));
	f = scan(av, &an);
	assert_int_equal(f.av, AV_UNSCANNABLE);
	/* What the engine says when it is left alone with the message: that is why. */
	an = single(an.raw, span_make(NULL, 0), &alone);
	assert_int_not_equal(scan(av, &an).av, AV_VIRUS);
	/* Within the limit the member is found, and named. */
	anatomy_build(arena, mail_with_zip("a.com", span_str(eicar), 0), NULL, &an);
	f = scan(av, &an);
	assert_int_equal(f.av, AV_VIRUS);
	antivirus_free(&av);
}

/* A lock that was opened is no reason any more; one that was not, is. */
static void
opened_lock_is_scanned(void **state)
{
	struct antivirus *av = engine();
	struct span raw = mail_with_zip("a.txt", SPAN_LIT("locked away, or so it says"), 1);
	struct anatomy an;

	anatomy_build(arena, raw, NULL, &an);
	assert_true(an.parts[0].encrypted);
	assert_false(an.parts[0].opened);
	assert_int_equal(scan(av, &an).av, AV_UNSCANNABLE);
	an.parts[0].opened = true;
	an.parts[1].encrypted = false;
	assert_int_equal(scan(av, &an).av, AV_CLEAN);
	an.parts[1].encrypted = false;
	an.parts[1].decoded = span_str(test_eicar(arena));
	assert_int_equal(scan(av, &an).av, AV_VIRUS);
	antivirus_free(&av);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(clean_is_clean), T(large_member_is_not_called_clean),
		T(opened_lock_is_scanned), T(raw_eicar_is_found_and_placed), T(decoded_part_is_scanned),
		T(unknown_first_field), T(missing_tmpdir_is_failure),
		T(unwritable_tmpdir_is_failure), T(canary_runs_every_minute),
		T(limits_are_unscannable), T(no_databases_is_an_error),
		T(canary_unknown_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
