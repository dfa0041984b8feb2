/* test_av_layers.c -- each file of a message is looked at once, and none is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <clamav.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <sys/stat.h>

#include "buf.h"
#include "clock.h"
#include "scanner/antivirus.h"
#include "scanner/av_layers.h"
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
	test_remove(dir);
	free(dir);
	arena_free(&arena);
	return 0;
}

/* ---- what is noted ---- */

static void
enter_and_leave(struct av_layers *l, const char *bytes, bool clean)
{
	av_layers_enter(l, span_str(bytes), "CL_TYPE_ANY");
	av_layers_leave(l, clean);
}

static void
the_same_bytes_are_seen(void **state)
{
	const struct span files[] = { SPAN_LIT("one"), SPAN_LIT("two"), { 0 }, SPAN_LIT("three"), SPAN_LIT("two"),
		SPAN_LIT("whole") };
	struct av_layers l;

	av_layers_init(&l, files, 6, arena);
	av_layers_enter(&l, SPAN_LIT("whole"), "CL_TYPE_MAIL");
	assert_true(l.mail);
	enter_and_leave(&l, "two", true);
	enter_and_leave(&l, "thre", true);
	enter_and_leave(&l, "threE", true);
	enter_and_leave(&l, "one", false);
	enter_and_leave(&l, "", true);
	av_layers_leave(&l, true);
	assert_false(av_layers_saw(&l, 0));	/* not clean */
	assert_true(av_layers_saw(&l, 1));
	assert_false(av_layers_saw(&l, 2));
	assert_false(av_layers_saw(&l, 3));
	assert_true(av_layers_saw(&l, 4));	/* the same file once more */
	assert_false(av_layers_saw(&l, 5));	/* the outermost is no file within */
	av_layers_forget(&l);
	assert_false(av_layers_saw(&l, 1));
}

static void
layers_within_layers(void **state)
{
	const struct span files[] = { SPAN_LIT("outer"), SPAN_LIT("inner") };
	struct av_layers l;

	for (int broken = 0; broken < 3; broken++) {
		av_layers_init(&l, files, 2, arena);
		av_layers_enter(&l, SPAN_LIT("mail"), "CL_TYPE_MAIL");
		av_layers_enter(&l, SPAN_LIT("outer"), "CL_TYPE_ZIP");
		enter_and_leave(&l, "inner", true);
		assert_false(av_layers_saw(&l, 1));	/* not before the end of all */
		if (broken != 1)
			av_layers_leave(&l, true);
		av_layers_leave(&l, true);
		if (broken == 2)
			av_layers_leave(&l, true);
		assert_int_equal(av_layers_saw(&l, 0), broken == 0);
		assert_int_equal(av_layers_saw(&l, 1), broken == 0);
	}
	/* Deeper than is noted: nothing is believed of it, and what is above is still known. */
	av_layers_init(&l, files, 2, arena);
	for (int i = 0; i < 2 * AV_LAYERS_DEEP; i++)
		av_layers_enter(&l, i == 1 ? SPAN_LIT("outer") : SPAN_LIT("inner"), "CL_TYPE_ZIP");
	for (int i = 2 * AV_LAYERS_DEEP; i-- > 0; )
		av_layers_leave(&l, i < 2 || i >= AV_LAYERS_DEEP);
	assert_true(av_layers_saw(&l, 0));
	assert_false(av_layers_saw(&l, 1));
	assert_false(l.mail);
}

/* Thousands of one size, all alike but for the end: all are found where the order is the same, and an order that is not
 * costs files that are scanned by themselves, nothing else. */
static void
many_of_one_size(void **state)
{
	enum { N = 3000 };
	struct span files[N];
	struct av_layers l;
	unsigned seen = 0;

	for (int i = 0; i < N; i++)
		files[i] = span_str(arena_printf(arena, "%0200d", i));
	av_layers_init(&l, files, N, arena);
	av_layers_enter(&l, SPAN_LIT("mail"), "CL_TYPE_MAIL");
	for (int i = 0; i < N; i++)
		enter_and_leave(&l, files[i].p, true);
	av_layers_leave(&l, true);
	for (int i = 0; i < N; i++)
		assert_true(av_layers_saw(&l, (size_t)i));
	av_layers_init(&l, files, N, arena);
	av_layers_enter(&l, SPAN_LIT("mail"), "CL_TYPE_MAIL");
	for (int i = N - 1; i > 100; i--)
		enter_and_leave(&l, files[i].p, true);
	av_layers_leave(&l, true);
	for (int i = 0; i < N; i++)
		seen += av_layers_saw(&l, (size_t)i);
	assert_int_equal(seen, 0);
}

/* ---- with libclamav ---- */

static struct antivirus *
engine(bool remember)
{
	const struct antivirus_options o = { .remember = remember };
	struct err err;
	struct antivirus *av = antivirus_new(databases, tmp, &o, &err);

	if (av == NULL)
		fail_msg("%s", err.text);
	return av;
}

static unsigned looks;		/* files the engine began to look at */

static cl_error_t
count_looks(int fd, const char *type, void *ctx)
{
	looks++;
	return CL_CLEAN;
}

static struct facts
scan(struct antivirus *av, struct span raw, struct anatomy *an)
{
	struct facts f = { 0 };

	anatomy_build(arena, raw, NULL, an);
	looks = 0;
	antivirus_scan(av, an, arena, &f);
	return f;
}

static char *
base64(const char *bytes, size_t n)
{
	char *out = arena_alloc(arena, n * 3 / 2 + 100), *to = out;

	for (size_t i = 0; i < n; i += 57) {
		size_t k = n - i < 57 ? n - i : 57;

		to += EVP_EncodeBlock((unsigned char *)to, (const unsigned char *)bytes + i, (int)k);
		to += sprintf(to, "\r\n");
	}
	return out;
}

/* A mail with a text and an attachment. */
static struct span
mail(const char *first, const char *text, const char *bytes, size_t n)
{
	return span_str(arena_printf(arena, "%sSubject: s\r\nMIME-Version: 1.0\r\n"
	    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n%s\r\n--b\r\n"
	    "Content-Type: application/octet-stream; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	    "%s--b--\r\n", first, text, base64(bytes, n)));
}

static const char *
binary(size_t n)
{
	char *out = arena_alloc(arena, n);
	unsigned seed = 99;

	for (size_t i = 0; i < n; i++)
		out[i] = (char)(rand_r(&seed) >> 7);
	memcpy(out, "\x01\x02\x81\x90", 4);
	return out;
}

/* The mail, its text, its attachment; and the attachment by itself where the engine could not read the mail so. */
static void
each_file_is_looked_at_once(void **state)
{
	static const struct {
		const char *first;
		unsigned looks;
	} t[] = {
		{ "From: a@example.org\r\n", 3 }, { "Received: by x\r\n", 3 },
		{ "X-First: a field the engine does not know\r\n", 3 }, { "from: a@example.org\r\n", 3 },
	};
	struct antivirus *av = engine(false);
	struct anatomy an;

	cl_engine_set_clcb_pre_scan(antivirus_handle(av), count_looks);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct span raw = mail(t[i].first, "Some words.", binary(3000), 3000);

		assert_int_equal(scan(av, raw, &an).av, AV_CLEAN);
		assert_int_equal(an.defects, 0);
		if (looks != t[i].looks)
			fail_msg("%s%u looks", t[i].first, looks);
		/* The engine is told less than we have: our file is not in what it saw. */
		an.parts[2].decoded = span_str(arena_printf(arena, "another file"));
		looks = 0;
		antivirus_scan(av, &an, arena, &(struct facts){ 0 });
		assert_int_equal(looks, t[i].looks + 1);
	}
	antivirus_free(&av);
}

static void
add_signature(const char *name, int target, const char *text)
{
	char *path = arena_printf(arena, "%s/%s.ndb", databases, name), *hex = arena_alloc(arena, 2 * strlen(text) + 1);

	for (size_t i = 0; text[i]; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text[i]);
	test_write(path, arena_printf(arena, "%s:%d:*:%s\n", name, target, hex));
}

/* Signatures for mails (target 4) see header and encoded bytes, whatever the first field is; those for any
 * file see each form; those for text see the decoded text. Also when the attachment was seen before. */
static void
signatures_of_all_targets_hit(void **state)
{
	static const struct {
		const char *name, *text, *attachment;
	} t[] = {
		{ "Mail.In.Header", "x-mailer: THE WORM MAILER", NULL },
		{ "Mail.In.Body", "A LETTER BY THE WORM", NULL },
		{ "Any.In.Text", "ANY FILE HAS THIS WORM", NULL },
		{ "Any.In.File", NULL, "THE WORM IN A FILE" },
		{ "Any.Encoded", NULL, "ENCODED-WORM" },
	};
	static const char *const firsts[] = { "From: a@example.org\r\n", "X-First: a\r\n", "Date: today\r\n" };
	struct antivirus *av;
	struct anatomy an;

	add_signature(t[0].name, 4, "THE WORM MAILER");
	add_signature(t[1].name, 4, "A LETTER BY THE WORM");
	add_signature(t[2].name, 0, "ANY FILE HAS THIS WORM");
	add_signature(t[3].name, 0, "THE WORM IN A FILE");
	add_signature(t[4].name, 4, "RU5DT0RFRC1XT1JN");	/* as base64 has it */
	av = engine(true);
	for (size_t f = 0; f < sizeof(firsts) / sizeof(firsts[0]); f++)
		for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++)
			for (int again = 0; again < 2; again++) {
				char *bytes = arena_alloc(arena, 6000);
				const char *first = firsts[f], *text = t[i].text ? t[i].text : "words";
				struct facts facts;

				memcpy(bytes, binary(6000), 6000);
				/* "again" the clean attachment was remembered; the others are new. */
				assert_int_equal(scan(av, mail(first, "words", bytes, 6000), &an).av, AV_CLEAN);
				if (t[i].attachment)
					memcpy(bytes + 3 * 57, t[i].attachment, strlen(t[i].attachment));
				if (i == 0) {
					first = arena_printf(arena, "%s%s\r\n", first, t[0].text);
					text = "words";
				}
				facts = scan(av, mail(first, text, bytes, 6000), &an);
				if (facts.av != AV_VIRUS || !span_starts(facts.av_name, span_str(t[i].name)))
					fail_msg("%s, %s: %d %.*s", first, t[i].name, facts.av, SPAN_ARG(facts.av_name));
				assert_int_equal(antivirus_remembered(av) > 0, t[i].attachment == NULL);
			}
	antivirus_free(&av);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(the_same_bytes_are_seen), T(layers_within_layers), T(many_of_one_size),
		T(each_file_is_looked_at_once), T(signatures_of_all_targets_hit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
