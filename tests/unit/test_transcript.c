/* test_transcript.c -- the ring of transcripts, alone and with several writers at once. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "receiver/transcript.h"

#define SIZE ((size_t)256 << 10)
#define SEC INT64_C(1000000)

static struct transcript *t;
static void *memory;
static const struct ip here = { .family = 4, .b = { 127, 0, 0, 1 } };

static int
setup(void **state)
{
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	t = transcript_attach(memory, SIZE);
	return 0;
}

static int
teardown(void **state)
{
	munmap(memory, SIZE);
	return 0;
}

static void
wanted(void **state)
{
	struct ip other = { .family = 4, .b = { 10, 0, 0, 1 } };
	struct cidr net;

	assert_int_equal(cidr_parse(SPAN_LIT("127.0.0.0/8"), &net, NULL), 0);
	assert_false(transcript_wants(t, here, 5 * SEC));
	transcript_start(t, net, false, 60 * SEC);
	assert_true(transcript_wants(t, here, 59 * SEC));
	assert_false(transcript_wants(t, other, 59 * SEC));
	assert_false(transcript_wants(t, here, 60 * SEC));
	transcript_start(t, net, true, 120 * SEC);
	assert_true(transcript_wants(t, other, 60 * SEC));
	transcript_stop(t);
	assert_false(transcript_wants(t, other, 60 * SEC));
}

static void
lines(void **state)
{
	struct transcript_state st;
	struct transcript_line l;
	char text[1000];
	uint64_t at = 0;
	size_t n = 0;

	transcript_start(t, (struct cidr){ 0 }, true, 60 * SEC);
	assert_false(transcript_next(t, &at, &l));
	transcript_add(t, 7, 5 * SEC, TRANSCRIPT_SERVER, here, SPAN_LIT("250-a\r\n250 b\r\n"));
	assert_true(transcript_next(t, &at, &l));
	assert_string_equal(l.text, "250-a");
	assert_int_equal(l.session, 7);
	assert_int_equal(l.kind, TRANSCRIPT_SERVER);
	assert_true(transcript_next(t, &at, &l));
	assert_string_equal(l.text, "250 b");
	assert_false(transcript_next(t, &at, &l));
	/* What is too long is cut where everybody sees it. */
	memset(text, 'x', sizeof(text));
	transcript_add(t, 7, 5 * SEC, TRANSCRIPT_CLIENT, here, span_make(text, sizeof(text)));
	assert_true(transcript_next(t, &at, &l));
	assert_int_equal(strlen(l.text), TRANSCRIPT_TEXT + 3);
	assert_string_equal(l.text + TRANSCRIPT_TEXT, "...");
	/* The ring goes round: the oldest are gone, and it says how many. */
	for (int i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "line %d", i);
		transcript_add(t, 8, 5 * SEC, TRANSCRIPT_CLIENT, here, span_str(text));
	}
	transcript_state(t, 5 * SEC, &st);
	assert_int_equal(st.lines, 2003);
	for (at = 0; transcript_next(t, &at, &l); n++)
		;
	assert_int_equal(n, st.lines - st.lost);
	assert_true(st.lost > 1000);
	assert_string_equal(l.text, "line 1999");
	/* A new start forgets it. */
	transcript_start(t, (struct cidr){ 0 }, true, 60 * SEC);
	at = 0;
	assert_false(transcript_next(t, &at, &l));
}

/* Three processes write, one is killed in the middle of it; no line is ever read that nobody wrote. */
static void
many_writers(void **state)
{
	struct transcript_line l;
	pid_t pids[3];
	size_t seen = 0;

	transcript_start(t, (struct cidr){ 0 }, true, 60 * SEC);
	for (int p = 0; p < 3; p++)
		if ((pids[p] = fork()) == 0) {
			char text[300];

			for (unsigned i = 0; p == 2 || i < 50000; i++) {
				memset(text, 'a' + (int)(i % 26), sizeof(text));
				transcript_add(t, i % 26, p, TRANSCRIPT_CLIENT, here,
				    span_make(text, 100 + i % 200));
			}
			_exit(0);
		}
	for (int round = 0; round < 200 || seen < 10000; round++) {
		uint64_t at = 0;

		while (transcript_next(t, &at, &l)) {
			char want = (char)('a' + l.session);

			for (char *c = l.text; *c; c++)
				if (*c != want)
					fail_msg("a line of two: %s", l.text);
			seen++;
		}
		if (round == 100)
			kill(pids[2], SIGKILL);
	}
	kill(pids[2], SIGKILL);
	for (int p = 0; p < 3; p++)
		waitpid(pids[p], NULL, 0);
	assert_true(seen >= 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wanted, setup, teardown),
		cmocka_unit_test_setup_teardown(lines, setup, teardown),
		cmocka_unit_test_setup_teardown(many_writers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
