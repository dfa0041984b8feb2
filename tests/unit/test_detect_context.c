/* test_detect_context.c -- headings of columns, labels, and what they make of a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "detect/context.h"
#include "detect/detect.h"
#include "postern/arena.h"

#define EM "\xe2\x80\x83"

static size_t
place(const char *text, const char *of)
{
	const char *p = strstr(text, of);

	assert_non_null(p);
	return (size_t)(p - text);
}

static void
test_heading(void **state)
{
	static const struct {
		const char *text, *cell, *heading;	/* NULL: none */
	} cases[] = {
		{ "a;b;c\n1;2;3\n4;5;6", "5", "b" },
		{ "a;b;c\n1;2;3\n4;5;6", "6", "c" },
		{ "a;b;c\n1;2;3\n4;5;6", "4", "a" },
		{ "a\tb\r\n1\t2\r\n3\t4\r\n", "4", "b" },
		{ "| a | b |\n| 1 | 2 |\n", "2", "b" },
		{ "a" EM "b\n1" EM "2", "2", "b" },
		{ "title\na,b\n1,2\n\n3,4\n", "4", "b" },	/* a blank line is none */
		{ "\"x;y\";b\n\"1;2\";3\n", "3", "b" },	/* within quotes */
		{ "a;b\n1;2\n3;4;5\n6;7;8", "8", "5" },		/* another table */
		{ "a;b\n1;2\n3;4;5\n6;7;8", "2", "b" },
		{ "a;b", "b", NULL },				/* the heading itself */
		{ "a;b\n1;2 and more", "2", NULL },		/* not all of the cell */
		{ "a;b\ntext 2", "2", NULL },
		{ "a;;c\n1;2;3", "2", NULL },			/* an empty heading */
		{ "a b\n1 2", "2", NULL },
		{ "x\n2", "2", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct span s = span_str(cases[i].text), head;
		size_t at = place(cases[i].text, cases[i].cell), from, to;
		struct tables t = { 0 };
		bool found = tables_heading(&t, s, at, at + strlen(cases[i].cell), &from, &to);

		if (found != (cases[i].heading != NULL))
			fail_msg("\"%s\": a heading: %d", cases[i].text, found);
		head = found ? span_sub(s, from, to - from) : SPAN_LIT("");
		if (found && !span_is(head, cases[i].heading))
			fail_msg("\"%s\": \"" SPAN_FMT "\"", cases[i].text, SPAN_ARG(head));
		tables_release(&t);
	}
}

static void
test_heading_spaced(void **state)
{
	char out[64];

	assert_int_equal(heading_spaced(out, SPAN_LIT("cardNumber_1")), 13);
	assert_memory_equal(out, "card Number 1", 13);
	assert_int_equal(heading_spaced(out, SPAN_LIT("SIREN")), 5);
}

static void
test_labels(void **state)
{
	static const struct {
		const char *text;
		bool other;
	} cases[] = {
		{ "order no. 123", true },
		{ "Commande n\xc2\xb0 123", true },
		{ "T\xc3\xa9l. : 123", true },
		{ "INVOICE #123", true },
		{ "order number is 123", true },
		{ "123 EUR", true },
		{ "123\xc2\xa0\xe2\x82\xac", true },
		{ "SIREN 123", false },
		{ "order, then SIREN 123", false },
		{ "in order to see 123", false },
		{ "123", false },
		{ "123 euro-like", false },
		{ "order\n123", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_t at = place(cases[i].text, "123"), label;

		if (other_label(span_str(cases[i].text), at, at + 3, &label) != cases[i].other)
			fail_msg("\"%s\"", cases[i].text);
	}
}

/* Of fr-siren in a text: found at high so many times. */
static size_t
sirens(const struct detectors *d, struct arena *a, const char *text)
{
	size_t index = (size_t)detectors_find(d, SPAN_LIT("fr-siren")), n = 0;
	struct detection out;

	detectors_run_text(d, index, span_str(text), a, &out);
	for (size_t i = 0; i < out.nmatches; i++)
		n += out.matches[i].confidence == CONFIDENCE_HIGH;
	return n;
}

static void
test_values(void **state)
{
	struct detectors *d = detectors_new();
	struct arena *a = arena_new(0);
	char *rows = arena_alloc(a, 200000), *p = rows;

	assert_true(detectors_add_builtin(d, SPAN_LIT("fr-siren"), NULL) >= 0);
	assert_int_equal(detectors_compile(d, NULL), 0);
	assert_int_equal(sirens(d, a, "SIREN 732829320"), 1);
	assert_int_equal(sirens(d, a, "num_siren=732829320"), 1);
	assert_int_equal(sirens(d, a, "{\"numeroSiren\": 732829320}"), 1);
	assert_int_equal(sirens(d, a, "SIREN 732829320, commande n\xc2\xb0 404833048"), 1);
	assert_int_equal(sirens(d, a, "Le SIREN manque. Commande 404833048"), 0);
	assert_int_equal(sirens(d, a, "nom;siren;commande\nx;732829320;404833048\n"), 1);
	assert_int_equal(sirens(d, a, "SIREN;732829320\nRCS;404833048\n"), 2);	/* names in front, not above */
	/* A telephone and an amount end in nine digits. */
	assert_int_equal(sirens(d, a, "SIREN : voir +33 732 829 320 ou 1 732 829 320"), 0);
	/* A thousand rows below its heading, and the rows of another number beside it. */
	p += sprintf(p, "id;NUM_SIREN;commande\n");
	for (int i = 0; i < 1000; i++)
		p += sprintf(p, "%d;732829320;404833048\n", i);
	assert_int_equal(sirens(d, a, rows), 1000);
	arena_free(&a);
	detectors_free(&d);
}

/* Many small tables, and one long line: linear, and within bounds. */
static void
test_large(void **state)
{
	struct detectors *d = detectors_new();
	struct arena *a = arena_new(0);
	size_t n = 400000;
	char *text = arena_alloc(a, n + 1);
	struct detection out;

	assert_true(detectors_add_builtin(d, SPAN_LIT("fr-siren"), NULL) >= 0);
	assert_int_equal(detectors_compile(d, NULL), 0);
	for (size_t i = 0; i < n; i++)
		text[i] = "732829320;1\n732829320;1\n\n732829320\n"[i % 34];
	text[n] = '\0';
	detectors_run_text(d, 0, span_str(text), a, &out);
	assert_int_equal(out.nmatches, 0);
	for (size_t i = 0; i < n; i++)
		text[i] = "732829320;"[i % 10];
	detectors_run_text(d, 0, span_str(text), a, &out);
	assert_int_equal(out.nmatches, 0);
	arena_free(&a);
	detectors_free(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heading),
		cmocka_unit_test(test_heading_spaced),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
