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
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

#include "buf.h"
#include "clock.h"
#include "fs.h"
#include "scanner/antivirus.h"
#include "scanner/remember.h"
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

/* --- the world fails ------------------------------------------------------------------------ */

/* In a child, because it takes itself away. 0: as it should be. */
static void
in_child(int (*what)(void))
{
	pid_t pid = fork();
	int status;

	assert_int_not_equal(pid, -1);
	if (pid == 0)
		_exit(what());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static struct span
infected(void)
{
	return span_str(arena_printf(arena, "From: a@b.example\r\n\r\n%s\r\n", test_eicar(arena)));
}

/* A tmpfs of its own, filled to the last byte. */
static int
full_child(void)
{
	struct antivirus *av = engine();
	struct part p;
	struct span raw = infected();
	struct anatomy an = single(raw, span_from(raw, span_find(raw, 'X')), &p);
	static char block[65536];
	struct facts f;
	int fd;

	if (unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("tmpfs", tmp, "tmpfs", 0, "size=2m") == -1)
		return 2;
	if (scan(av, &an).av != AV_VIRUS)
		return 3;
	fd = open(arena_printf(arena, "%s/filler", tmp), O_WRONLY | O_CREAT, 0600);
	memset(block, 'x', sizeof(block));
	while (write(fd, block, sizeof(block)) > 0)
		;
	f = scan(av, &an);
	if (f.av != AV_FAILED || !strstr(antivirus_trouble(av), "full") || antivirus_well(av))
		return 4;
	if (ftruncate(fd, 0) == -1)
		return 5;
	return scan(av, &an).av == AV_VIRUS && antivirus_well(av) ? 0 : 6;
}

static void
full_tmpdir_is_failure(void **state)
{
	in_child(full_child);
}

#ifndef POSTERN_SANITIZED		/* a sanitizer needs the memory itself */
/* The engine runs out of the memory a worker may have (CL_EMEM, or it gives up in another way): held, and never
 * clean. An OLE2 file, whose properties it copies, and a mail as long as all that is allowed. */
static int
memory_child(void)
{
	struct antivirus *av = engine();
	struct span eicar = span_str(test_eicar(arena));
	size_t n = 24u << 20;
	char *big = arena_alloc(arena, n);
	struct rlimit rl = { 1 << 20, 1 << 20 };
	struct facts f = { 0 };
	struct anatomy an = { 0 };

	memset(big, 'A', n);
	memcpy(big, "From: a@b.example\r\nContent-Type: text/html\r\n\r\n<html>", 51);
	for (size_t i = 100; i < n; i += 100)
		memcpy(big + i, "\r\n<a>", 5);
	memcpy(big + n - 70, eicar.p, eicar.n);
	an.raw = span_make(big, n);
	if (setrlimit(RLIMIT_DATA, &rl) == -1)
		return 2;
	antivirus_scan(av, &an, arena, &f);
	return f.av == AV_UNSCANNABLE ? 0 : 10 + (int)f.av;
}

static void
no_memory_is_unscannable(void **state)
{
	in_child(memory_child);
}
#endif

/* What the engine would do by itself, and must not: see dependencies. */
static void
engine_is_set_as_it_must_be(void **state)
{
	struct antivirus *av = engine();
	int rc;

	assert_int_equal(cl_engine_get_num(antivirus_handle(av), CL_ENGINE_DISABLE_CACHE, &rc), 1);
	assert_int_equal(cl_engine_get_num(antivirus_handle(av), CL_ENGINE_BYTECODE_SECURITY, &rc),
	    CL_BYTECODE_TRUST_NOTHING);
	assert_int_equal(cl_engine_get_num(antivirus_handle(av), CL_ENGINE_DB_VERSION, &rc), 0);
	antivirus_free(&av);
}

/* --- kinds ------------------------------------------------------------------------------------ */

static struct facts
scan_text(const struct antivirus_options *o, const char *text)
{
	struct err err;
	struct antivirus *av = antivirus_new(databases, tmp, o, &err);
	struct span raw = span_str(arena_printf(arena, "From: a@b.example\r\n\r\n%s\r\n", text));
	struct part p;
	struct anatomy an = single(raw, span_from(raw, 21), &p);
	struct facts f;

	assert_non_null(av);
	f = scan(av, &an);
	antivirus_free(&av);
	return f;
}

static const char *
hex(const char *s)
{
	char *out = arena_alloc(arena, 2 * strlen(s) + 1);

	for (size_t i = 0; s[i]; i++)
		snprintf(out + 2 * i, 3, "%02x", (unsigned char)s[i]);
	return out;
}

static void
kinds_are_told_apart(void **state)
{
	const struct antivirus_options all = { .pua = true }, few = { .no_phishing = true };
	struct facts f;

	test_write(arena_printf(arena, "%s/kinds.ndb", databases), arena_printf(arena,
	    "PUA.Tool.Test:0:*:%s\nWorm.Test:0:*:%s\nPhishing.Test:0:*:%s\n", hex("TOOL-THAT-NOBODY-WANTS"),
	    hex("WORM-THAT-IS-CERTAIN"), hex("PASSWORD-PLEASE-HERE")));
	f = scan_text(&all, "TOOL-THAT-NOBODY-WANTS");
	assert_int_equal(f.av, AV_SUSPECT);
	assert_int_equal(f.av_kinds, 1u << AV_KIND_PUA);
	assert_true(span_is(f.av_name, "PUA.Tool.Test.UNOFFICIAL"));
	assert_true(span_is(f.av_part, "1"));
	/* Whichever it meets first. */
	for (int turn = 0; turn < 2; turn++) {
		f = scan_text(&all, turn ? "WORM-THAT-IS-CERTAIN TOOL-THAT-NOBODY-WANTS" :
		    "TOOL-THAT-NOBODY-WANTS WORM-THAT-IS-CERTAIN");
		assert_int_equal(f.av, AV_VIRUS);
		assert_true(f.av_kinds & AV_MALWARE);
		assert_true(span_is(f.av_name, "Worm.Test.UNOFFICIAL"));
	}
	f = scan_text(&all, "PASSWORD-PLEASE-HERE TOOL-THAT-NOBODY-WANTS");
	assert_int_equal(f.av, AV_SUSPECT);
	assert_int_equal(f.av_kinds, 1u << AV_KIND_PUA | 1u << AV_KIND_PHISHING);
	assert_true(span_is(f.av_name, "Phishing.Test.UNOFFICIAL"));
	/* What is not looked for is not found, and hides nothing. */
	assert_int_equal(scan_text(&few, "PASSWORD-PLEASE-HERE TOOL-THAT-NOBODY-WANTS").av, AV_CLEAN);
	assert_int_equal(scan_text(NULL, "TOOL-THAT-NOBODY-WANTS").av, AV_CLEAN);
	f = scan_text(&few, "PASSWORD-PLEASE-HERE TOOL-THAT-NOBODY-WANTS WORM-THAT-IS-CERTAIN");
	assert_int_equal(f.av, AV_VIRUS);
	assert_int_equal(f.av_kinds, AV_MALWARE);
}

/* --- age and name of the signatures ------------------------------------------------------------ */

static void
old_signatures(void **state)
{
	const int64_t made = 1795000000, day = 86400 * US_PER_SEC;
	const struct timespec then[2] = { { made, 0 }, { made, 0 } };
	static const enum av_state want[] = { [ANTIVIRUS_OLD_WARN] = AV_CLEAN,
		[ANTIVIRUS_OLD_DEFER] = AV_FAILED, [ANTIVIRUS_OLD_UNSCANNABLE] = AV_UNSCANNABLE };

	assert_int_equal(utimensat(AT_FDCWD, arena_printf(arena, "%s/test.ndb", databases), then, 0), 0);
	for (int what = 0; what < 3; what++) {
		const struct antivirus_options o = { .max_age = 3 * day, .on_old = (enum antivirus_old)what };
		struct err err;
		struct antivirus *av = antivirus_new(databases, tmp, &o, &err);
		struct facts f = { .av = AV_CLEAN, .now = made * US_PER_SEC + 3 * day };

		assert_int_equal(antivirus_signatures(av)->made, made);
		antivirus_age(av, arena, &f);
		assert_int_equal(f.av, AV_CLEAN);
		f.now++;
		antivirus_age(av, arena, &f);
		assert_int_equal(f.av, want[what]);
		assert_true((*antivirus_trouble(av) != 0) == (f.av == AV_FAILED));
		f.av = AV_VIRUS;
		antivirus_age(av, arena, &f);
		assert_int_equal(f.av, AV_VIRUS);
		antivirus_free(&av);
	}
}

static char *
id_of(const char *folder)
{
	struct signatures s;
	struct err err;

	assert_int_equal(signatures_read(folder, &s, &err), 0);
	signatures_name(&s, 7, 0);
	return arena_printf(arena, "%s", s.id);
}

static void
signatures_have_a_name(void **state)
{
	char *other = arena_printf(arena, "%s/other", dir), *first = id_of(databases);
	char *path = arena_printf(arena, "%s/test.ndb", other);
	uint64_t print = signatures_print(databases);
	struct span text;

	assert_int_equal(mkdir(other, 0755), 0);
	assert_int_equal(signatures_print(other), 0);
	assert_int_equal(fs_read(arena, arena_printf(arena, "%s/test.ndb", databases), 1 << 20, &text, NULL), 0);
	test_write(path, text.p);
	assert_string_equal(id_of(other), first);	/* the same there, made at another time */
	assert_true(signatures_print(other) && signatures_print(other) != print);
	test_write(arena_printf(arena, "%s/notes.txt", other), "no database");
	test_write(arena_printf(arena, "%s/.hidden.ndb", other), "nor this");
	assert_string_equal(id_of(other), first);
	print = signatures_print(other);
	test_write(arena_printf(arena, "%s/b.ndb", other), "");
	assert_string_not_equal(id_of(other), first);
	assert_true(signatures_print(other) != print);
	assert_int_equal(unlink(arena_printf(arena, "%s/b.ndb", other)), 0);
	assert_true(signatures_print(other) == print);
	test_write(path, arena_printf(arena, "%s ", text.p));
	assert_string_not_equal(id_of(other), first);
	assert_true(strstr(first, "daily0+main0+set") == first && strstr(first, "+n7+opt0"));
}

/* --- what is remembered ------------------------------------------------------------------------ */

static void
memory_is_bounded(void **state)
{
	struct memory *m = memory_new(64);
	unsigned char h[REMEMBER_HASH] = { 0 };
	unsigned kept = 0;

	for (unsigned i = 0; i < 10000; i++) {
		memcpy(h, &i, sizeof(i));
		assert_false(memory_has(m, h));
		memory_add(m, h);
		assert_true(memory_has(m, h));
	}
	for (unsigned i = 0; i < 10000; i++) {
		memcpy(h, &i, sizeof(i));
		kept += memory_has(m, h);
	}
	assert_int_equal(kept, 64);
	h[31] = 1;	/* all 256 bits count, not those that choose a bucket */
	assert_false(memory_has(m, h));
	memory_forget(m);
	h[31] = 0;
	assert_false(memory_has(m, h));
	memory_free(&m);
	memory_free(&m);
}

static struct facts
again(struct antivirus *av, const char *header, const char *attachment, unsigned *known)
{
	struct span raw = span_str(arena_printf(arena, "From: a@b.example\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n%s\r\n\r\n%s\r\n--b--\r\n",
	    header, attachment));
	struct anatomy an;
	struct facts f;

	anatomy_build(arena, raw, NULL, &an);
	f = scan(av, &an);
	*known = antivirus_remembered(av);
	return f;
}

static void
only_the_same_is_remembered(void **state)
{
#define OCTETS "Content-Type: application/octet-stream; name=a"
	const struct antivirus_options o = { .remember = true };
	char *zeros = arena_alloc(arena, 8001), *worse;
	struct antivirus *av;
	struct err err;
	unsigned known;

	memset(zeros, 'A', 8000);
	memcpy(zeros, "GIF89a", 6);
	for (size_t i = 70; i < 7990; i += 72)
		memcpy(zeros + i, "\r\n", 2);
	zeros[8000] = '\0';
	worse = arena_printf(arena, "%s", zeros);
	memcpy(worse + 6000, "WORM-THAT-IS-CERTAIN", 20);
	test_write(arena_printf(arena, "%s/w.ndb", databases), arena_printf(arena, "Worm.Test:0:*:%s\n",
	    hex("WORM-THAT-IS-CERTAIN")));
	av = antivirus_new(databases, tmp, &o, &err);
	assert_int_equal(again(av, OCTETS, zeros, &known).av, AV_CLEAN);
	assert_int_equal(known, 0);
	assert_int_equal(again(av, OCTETS "\r\nContent-ID: <drawn.anew@b.example>", zeros, &known).av, AV_CLEAN);
	assert_int_equal(known, 1);
	again(av, OCTETS "\r\nContent-Transfer-Encoding: base64", zeros, &known);
	assert_int_equal(known, 0);
	again(av, OCTETS "b", zeros, &known);
	assert_int_equal(known, 0);
	for (int i = 0; i < 3; i++) {	/* a virus is found each time */
		assert_int_equal(again(av, OCTETS, worse, &known).av, AV_VIRUS);
		assert_int_equal(known, 0);
	}
	/* Not what came in a message that was not clean in all its parts. */
	again(av, OCTETS "\r\n\r\nWORM-THAT-IS-CERTAIN\r\n--b\r\n" OCTETS "c", zeros, &known);
	again(av, OCTETS "c", zeros, &known);
	assert_int_equal(known, 0);
	again(av, OCTETS "c", zeros, &known);
	assert_int_equal(known, 1);
	/* Another process, other limits, another folder: from the beginning. */
	assert_int_equal(antivirus_tmpdir(av, tmp, &err), 0);
	again(av, OCTETS, zeros, &known);
	assert_int_equal(known, 0);
	antivirus_free(&av);
	av = engine();	/* switched off */
	again(av, OCTETS, zeros, &known);
	again(av, OCTETS, zeros, &known);
	assert_int_equal(known, 0);
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
		T(canary_unknown_is_an_error), T(full_tmpdir_is_failure),
#ifndef POSTERN_SANITIZED
		T(no_memory_is_unscannable),
#endif
		T(engine_is_set_as_it_must_be), T(kinds_are_told_apart), T(old_signatures),
		T(signatures_have_a_name), T(memory_is_bounded), T(only_the_same_is_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
