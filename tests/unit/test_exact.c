/* test_exact.c -- exact data: values, where they stand in a text, the file, the detector. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "detect/detect.h"
#include "detect/exact.h"
#include "edm_fixture.h"
#include "postern/anatomy.h"

/* --- values ---------------------------------------------------------------------------------- */

static void
test_values(void **state)
{
	static const struct {
		enum exact_type type;
		const char *in, *out;	/* NULL: it is none */
	} cases[] = {
		{ EXACT_DIGITS, "12 34-56.7/8", "12345678" }, { EXACT_DIGITS, "12a4", NULL },
		{ EXACT_DIGITS, "", NULL }, { EXACT_DIGITS, " - ", NULL },
		{ EXACT_DIGITS, "\xef\xbc\x91\xef\xbc\x92", "12" },	/* full width */
		{ EXACT_CODE, "AB-12_c", "ab12c" }, { EXACT_CODE, "AB+12", NULL },
		{ EXACT_NIR, "1 84 12 76 451 089 46", "1841276451089" },
		{ EXACT_NIR, "1841276451089", "1841276451089" },
		{ EXACT_NIR, "2 69 05 2A 451 089 12", "269052a451089" },
		{ EXACT_NIR, "2 69 05 3A 451 089 12", NULL }, { EXACT_NIR, "984127645108946", NULL },
		{ EXACT_NIR, "18412764510894", NULL },
		{ EXACT_PHONE, "+33 (0)6 12 34 56 78", "612345678" },
		{ EXACT_PHONE, "0033612345678", "612345678" }, { EXACT_PHONE, "06.12.34.56.78", "612345678" },
		{ EXACT_PHONE, "12345678", NULL }, { EXACT_PHONE, "1234567890123456", NULL },
		{ EXACT_NAME, "D\xe2\x80\x99" "Artagnan-L\xc3\xa9v\xc3\xaaque", "d artagnan leveque" },
		{ EXACT_NAME, "  DE  LA\tFONTAINE ", "de la fontaine" },
		{ EXACT_NAME, "M\xc3\x9cLLER", "muller" }, { EXACT_NAME, "Bj\xc3\xb8rn \xc5\x81ukasz", "bjorn lukasz" },
		{ EXACT_NAME, "\xce\x94\xce\xb7\xce\xbc\xce\xae", "\xce\xb4\xce\xb7\xce\xbc\xce\xb7" },	/* Greek, without its accent */
		{ EXACT_NAME, "...", NULL }, { EXACT_NAME, "a b c d e f g h i j k l m", NULL },
		{ EXACT_EMAIL, "<J.Dupont@Example.ORG>", "j.dupont@example.org" },
		{ EXACT_EMAIL, "a@b@c", NULL }, { EXACT_EMAIL, "a b@c", NULL }, { EXACT_EMAIL, "@c", NULL },
		{ EXACT_TEXT, "12, rue de la Paix", "12 rue de la paix" },
		{ EXACT_DATE, "07/12/1984", "19841207" }, { EXACT_DATE_MDY, "07/12/1984", "19840712" },
		{ EXACT_DATE, "7.12.1984", "19841207" }, { EXACT_DATE, "1984-12-07", "19841207" },
		{ EXACT_DATE, "1984-12-07T00:00:00", "19841207" }, { EXACT_DATE, "1984-12-07 00:00", "19841207" },
		{ EXACT_DATE, "19841207", "19841207" }, { EXACT_DATE, "07121984", "19841207" },
		{ EXACT_DATE, "7 d\xc3\xa9" "cembre 1984", "19841207" }, { EXACT_DATE, "1er ao\xc3\xbbt 1984", "19840801" },
		{ EXACT_DATE, "7 d\xc3\xa9" "c. 1984", "19841207" }, { EXACT_DATE, "7th of December, 1984", "19841207" },
		{ EXACT_DATE, "December 7, 1984", "19841207" }, { EXACT_DATE, "Dec 7th 1984", "19841207" },
		{ EXACT_DATE, "07-DEC-1984", "19841207" }, { EXACT_DATE, "13/04/1984", "19840413" },
		{ EXACT_DATE, "04/13/1984", NULL }, { EXACT_DATE_MDY, "04/13/1984", "19840413" },
		{ EXACT_DATE_MDY, "13/04/1984", NULL }, { EXACT_DATE_MDY, "1984-04-13", "19840413" },
		{ EXACT_DATE_MDY, "05/05/1984", "19840505" }, { EXACT_DATE_MDY, "13 April 1984", "19840413" },
		{ EXACT_DATE, "31/02/1984", NULL }, { EXACT_DATE, "29/02/1900", NULL },
		{ EXACT_DATE, "29/02/2000", "20000229" }, { EXACT_DATE, "07/12/84", NULL },
		{ EXACT_DATE, "00/00/0000", NULL }, { EXACT_DATE, "soon", NULL },
		{ EXACT_DATE, "07/12/19845", NULL },
	};
	struct arena *a = arena_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct exact_value v;
		const char *why;
		bool good = exact_normalise(cases[i].type, text_fold_word(a, span_str(cases[i].in)), &v, &why);

		if (good != (cases[i].out != NULL) || (good && strcmp(v.p, cases[i].out) != 0))
			fail_msg("%s `%s`: `%s`, expected `%s`", exact_type_name(cases[i].type), cases[i].in,
			    good ? v.p : why, cases[i].out ? cases[i].out : "none");
	}
	arena_free(&a);
}

/* --- candidates ------------------------------------------------------------------------------- */

struct wanted {
	const char *value;
	size_t n, found, from, to;
};

static bool
on_candidate(void *ctx, size_t from, size_t to, struct span value)
{
	struct wanted *w = ctx;

	w->n++;
	if (span_is(value, w->value) && w->found++ == 0) {
		w->from = from;
		w->to = to;
	}
	return true;
}

static void
test_candidates(void **state)
{
#define LENGTH(n) (UINT64_C(1) << (n))
	static const struct {
		struct exact_shape shape;
		const char *text, *value, *at;	/* at NULL: it must not be found */
	} cases[] = {
		{ { EXACT_NIR }, "nir 1 84 12 76 451 089 46, he said", "1841276451089", "1 84 12 76 451 089" },
		{ { EXACT_NIR }, "12 1.84.12.76.451.089.46 99", "1841276451089", "1.84.12.76.451.089" },
		{ { EXACT_NIR }, "x 2690 52a451089 y", "269052a451089", "2690 52a451089" },
		{ { EXACT_NIR }, "9184127645108946", "1841276451089", NULL },	/* within a longer number */
		{ { EXACT_DIGITS, LENGTH(4) }, "12 34 56", "1234", "12 34" },
		{ { EXACT_DIGITS, LENGTH(4) }, "12 34 56", "3456", "34 56" },
		{ { EXACT_DIGITS, LENGTH(4) }, "12,34", "1234", NULL },
		{ { EXACT_DIGITS, LENGTH(4) }, "a1234b", "1234", "1234" },
		{ { EXACT_CODE, LENGTH(6), true }, "ref p-00123 ok", "p00123", "p-00123" },
		{ { EXACT_CODE, LENGTH(6), true }, "refp-00123", "p00123", NULL },
		{ { EXACT_CODE, LENGTH(4), true }, "word word", "word", NULL },	/* all of them have a digit */
		{ { EXACT_PHONE }, "tel. +33 6 12 34 56 78.", "612345678", "33 6 12 34 56 78" },
		{ { EXACT_NAME, LENGTH(3) | LENGTH(1) }, "m. de la fontaine, ne", "de la fontaine", "de la fontaine" },
		{ { EXACT_NAME, LENGTH(3) }, "de la-fontaine", "de la fontaine", "de la-fontaine" },
		{ { EXACT_NAME, LENGTH(2) }, "martin, paul", "martin paul", NULL },
		{ { EXACT_TEXT, LENGTH(2) }, "martin, paul", "martin paul", "martin, paul" },
		{ { EXACT_NAME, LENGTH(1) }, "xmartin", "martin", NULL },
		{ { EXACT_NAME, LENGTH(3) }, "d'artagnan-leveque", "d artagnan leveque", "d'artagnan-leveque" },
		{ { EXACT_EMAIL }, "to <j.d@example.org>.", "j.d@example.org", "j.d@example.org" },
		{ { EXACT_EMAIL }, "write to j.d@example.org.", "j.d@example.org", "j.d@example.org" },
		{ { EXACT_DATE }, "ne le 7 decembre 1984 a", "19841207", "7 decembre 1984" },
		{ { EXACT_DATE }, "ne le 03/04/84", "19840403", "03/04/84" },
		{ { EXACT_DATE }, "ne le 03/04/84", "19840304", "03/04/84" },
		{ { EXACT_DATE }, "ne le 03/04/84", "20840403", "03/04/84" },
		{ { EXACT_DATE }, "le19841207.", "19841207", "19841207" },
		{ { EXACT_DATE }, "119841207", "19841207", NULL },
		{ { EXACT_DATE }, "07 12 1984", "19841207", "07 12 1984" },
		{ { EXACT_DATE }, "december 7th, 1984", "19841207", "december 7th, 1984" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wanted w = { .value = cases[i].value };
		struct span text = span_str(cases[i].text);

		assert_true(exact_find(&cases[i].shape, text, 0, text.n, on_candidate, &w));
		if ((w.found > 0) != (cases[i].at != NULL))
			fail_msg("`%s`: %s was %sfound", cases[i].text, cases[i].value, w.found ? "" : "not ");
		if (w.found && !span_is(span_sub(text, w.from, w.to - w.from), cases[i].at))
			fail_msg("`%s`: %s stands at %zu-%zu", cases[i].text, cases[i].value, w.from, w.to);
	}
}

/* Candidates grow with the text, whatever stands in it: a constant for each byte. */
static void
test_candidates_linear(void **state)
{
	static const char *const texts[] = { "1 ", "a ", "12 34.", "a-", "1/2/1984 ", "a@", "7 mai 1984", "1" };
	static const struct exact_shape shapes[] = { { EXACT_NIR }, { EXACT_DIGITS, ~UINT64_C(1) },
		{ EXACT_CODE, ~UINT64_C(1) }, { EXACT_PHONE }, { EXACT_NAME, 0x1ffe }, { EXACT_TEXT, 0x1ffe },
		{ EXACT_DATE }, { EXACT_EMAIL } };
	enum { SIZE = 1 << 16 };
	char *p = malloc(SIZE);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (size_t k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
			struct wanted w = { .value = "" };

			for (size_t b = 0; b < SIZE; b++)
				p[b] = texts[i][b % strlen(texts[i])];
			exact_find(&shapes[k], span_make(p, SIZE), 0, SIZE, on_candidate, &w);
			assert_true(w.n <= (size_t)SIZE * EXACT_LENGTH_MAX / 2);
		}
	free(p);
}

/* --- the file ------------------------------------------------------------------------------------- */

static void
patients(struct edm_fixture *f)
{
	*f = (struct edm_fixture){ 0 };
	if (edm_fixture_build(f, EDM_PATIENTS, EDM_COLUMNS, true) == -1 ||
	    edm_map(f->path, &f->map, &f->err) == -1)
		fail_msg("%s", f->err.text);
}

static uint32_t
look(const struct exact_index *ix, size_t column, const char *value)
{
	bool maybe;

	return exact_lookup(ix, column, span_str(value), &maybe);
}

static void
test_index(void **state)
{
	struct edm_fixture f;
	struct exact_index *ix;
	struct exact_rows rows, first;
	uint32_t martin, day, row = EXACT_NONE;

	patients(&f);
	assert_non_null(ix = exact_open(f.map, f.key, &f.err));
	assert_true(exact_whole(ix));
	assert_int_equal(exact_info(ix)->rows, 6);
	assert_int_equal(exact_info(ix)->columns[0].cells, 5);
	assert_int_equal(exact_info(ix)->columns[1].values, 5);	/* MARTIN twice */
	assert_int_equal(exact_info(ix)->columns[1].most, 2);
	assert_int_equal(exact_info(ix)->columns[5].lengths, 1 << 7);
	assert_true(exact_info(ix)->columns[5].digit);
	assert_false(exact_info(ix)->columns[1].digit);
	assert_int_not_equal(martin = look(ix, 1, "martin"), EXACT_NONE);
	assert_int_equal(look(ix, 1, "Martin"), EXACT_NONE);	/* it is not folded */
	assert_int_equal(look(ix, 2, "martin"), EXACT_NONE);	/* each column has a key of its own */
	assert_int_not_equal(look(ix, 1, "de la fontaine"), EXACT_NONE);
	rows = exact_rows(ix, 1, martin);
	assert_int_equal(rows.n, 2);
	assert_int_not_equal(exact_row_at(&rows, 0), exact_row_at(&rows, 1));
	/* 5 January 1950: one of the MARTINs, and BERNARD, who has no number */
	day = look(ix, 3, "19500105");
	for (uint32_t i = 0; i < 2; i++)
		if (exact_value_of(ix, 3, exact_row_at(&rows, i)) == day)
			row = exact_row_at(&rows, i);
	assert_int_not_equal(row, EXACT_NONE);
	assert_int_equal(exact_value_of(ix, 0, row), look(ix, 0, "1500199123456"));
	first = exact_rows(ix, 1, look(ix, 1, "bernard"));
	assert_int_equal(exact_value_of(ix, 0, exact_row_at(&first, 0)), EXACT_NONE);
	assert_int_equal(exact_value_of(ix, 3, exact_row_at(&first, 0)), day);
	assert_int_equal(exact_value_of(ix, 3, 6), EXACT_NONE);	/* no such row */
	assert_int_equal(exact_rows(ix, 1, 5).n, 0);
	exact_close(&ix);
	assert_null(ix);
	edm_fixture_end(&f);
}

/* Nothing of the export is in the index. */
static void
test_nothing_in_clear(void **state)
{
	static const char *const words[] = { "FONTAINE", "fontaine", "rtagnan", "184127645108946", "1841276451089",
		"MARTIN", "martin", "19841207", "07/12/1984", "musket", "000123" };
	struct edm_fixture f;

	patients(&f);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_null(memmem(f.map.p, f.map.n, words[i], strlen(words[i])));
	assert_null(memmem(f.map.p, f.map.n, f.key, EXACT_KEY));
	assert_non_null(memmem(f.map.p, f.map.n, "birth_date", 10));	/* columns have names */
	edm_fixture_end(&f);
}

static void
refused(struct span bytes, const uint8_t *key, const char *why)
{
	struct err err = { 0 };
	struct exact_index *ix = exact_open(bytes, key, &err);

	if (ix || !strstr(err.text, why))
		fail_msg("%s instead of %s", ix ? "was taken" : err.text, why);
}

static void
test_damaged(void **state)
{
	uint8_t other[EXACT_KEY] = { 1 };
	struct edm_fixture f;
	char *p;

	patients(&f);
	p = malloc(f.map.n + 8);
	memcpy(p, f.map.p, f.map.n);
	/* every byte counts */
	for (size_t i = 0; i < f.map.n; i++) {
		struct exact_index *ix;

		p[i] ^= 1 << i % 8;
		if ((ix = exact_open(span_make(p, f.map.n), f.key, &f.err)) != NULL)
			fail_msg("byte %zu of %zu may be anything", i, f.map.n);
		p[i] ^= 1 << i % 8;
	}
	/* every length */
	for (size_t i = 0; i < f.map.n; i++)
		assert_null(exact_open(span_make(p, i), f.key, &f.err));
	refused(span_make(p, f.map.n), other, "another key");
	refused(span_make(p, 0), f.key, "empty");
	refused(span_make(p, 100), f.key, "cut short");
	refused(span_make(p, f.map.n - 1), f.key, "cut short");
	refused(span_make(p, f.map.n + 8), f.key, "too long");
	refused(SPAN_LIT("nir;last_name\n1;2\n"), f.key, "no index");
	p[16] = 2;
	refused(span_make(p, f.map.n), f.key, "version 2");
	p[16] = 1;
	p[4096]++;
	refused(span_make(p, f.map.n), f.key, "damaged");
	p[4096]--;
	p[4000]++;	/* of the header, where nothing stands */
	refused(span_make(p, f.map.n), f.key, "header is damaged");
	free(p);
	edm_fixture_end(&f);
}

/* Without the key a header may be looked at, and nothing be asked. */
static void
test_header_only(void **state)
{
	struct edm_fixture f;
	struct exact_index *ix;

	patients(&f);
	assert_non_null(ix = exact_open(span_sub(f.map, 0, EXACT_HEADER), NULL, &f.err));
	assert_false(exact_whole(ix));
	assert_int_equal(exact_info(ix)->rows, 6);
	assert_int_equal(exact_identity(ix).n, EXACT_HEADER);
	exact_close(&ix);
	assert_null(exact_open(span_sub(f.map, 0, EXACT_HEADER), f.key, &f.err));
	edm_fixture_end(&f);
}

/* --- the detector ------------------------------------------------------------------------------------ */

enum { NIR = 1, LAST = 2, FIRST = 4, BIRTH = 8, EMAIL = 16 };

struct run {
	struct edm_fixture f;
	struct exact_index *ix;
	struct arena *a;
	struct detectors *d;
	struct detection out;
};

static void
run_begin(struct run *r, struct exact_plan plan, enum confidence alone)
{
	patients(&r->f);
	r->a = arena_new(0);
	assert_non_null(r->ix = exact_open(r->f.map, r->f.key, &r->f.err));
	plan.ix = r->ix;
	plan.partly = alone != CONFIDENCE_NONE;
	r->d = detectors_new();
	assert_int_equal(detectors_add_exact(r->d, SPAN_LIT("patients"), &plan, alone, CONFIDENCE_HIGH,
	    &r->f.err), 0);
	assert_int_equal(detectors_compile(r->d, &r->f.err), 0);
}

static void
run_end(struct run *r)
{
	detectors_free(&r->d);
	exact_close(&r->ix);
	arena_free(&r->a);
	edm_fixture_end(&r->f);
}

/* Distinct rows that are told with at least that confidence. */
static size_t
rows_in(struct run *r, const char *text, enum confidence floor)
{
	uint64_t seen[64];
	size_t n = 0;

	detectors_run_text(r->d, 0, span_str(text), r->a, &r->out);
	for (size_t i = 0; i < r->out.nmatches; i++) {
		size_t k = 0;

		while (k < n && seen[k] != r->out.matches[i].value)
			k++;
		if (k == n && r->out.matches[i].confidence >= floor)
			seen[n++] = r->out.matches[i].value;
	}
	return n;
}

static void
test_rows(void **state)
{
	struct run r;

	run_begin(&r, (struct exact_plan){ .require = NIR, .of = LAST | BIRTH, .min = 1, .within = 60 },
	    CONFIDENCE_NONE);
	assert_int_equal(rows_in(&r, "M. de La Fontaine, 1 84 12 76 451 089 46", CONFIDENCE_HIGH), 1);
	/* three values, three places */
	assert_int_equal(rows_in(&r, "Jean de La Fontaine, n\xc3\xa9 le 7 d\xc3\xa9" "cembre 1984, 184127645108946",
	    CONFIDENCE_HIGH), 1);
	assert_int_equal(r.out.nmatches, 3);
	assert_true(span_is(r.out.matches[2].masked, "nir+last_name+birth_date"));
	assert_true(span_is(r.out.matches[0].masked, "last_name+nir+birth_date"));
	assert_int_equal(r.out.matches[0].place.from, 5);
	assert_int_equal(r.out.matches[0].place.to, 19);
	/* the number alone; the name of another row; too far away */
	assert_int_equal(rows_in(&r, "184127645108946", CONFIDENCE_LOW), 0);
	assert_int_equal(rows_in(&r, "Martin 184127645108946", CONFIDENCE_LOW), 0);
	assert_int_equal(rows_in(&r, "De la Fontaine ......................................................"
	    "............... 184127645108946", CONFIDENCE_LOW), 0);
	/* one row twice, and two rows */
	assert_int_equal(rows_in(&r, "Martin 150019912345670, Martin 150019912345670", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "Martin 150019912345670, Martin 250019912345634", CONFIDENCE_HIGH), 2);
	assert_int_equal(rows_in(&r, "D'Artagnan L\xc3\xa8v\xc3\xaaque 2 69 05 2a 451 089 12", CONFIDENCE_HIGH), 1);
	/* a line of a spreadsheet */
	assert_int_equal(rows_in(&r, "250019912345634\tMARTIN\tMarie\t14/07/1950", CONFIDENCE_HIGH), 1);
	run_end(&r);
}

static void
test_levels(void **state)
{
	struct run r;

	run_begin(&r, (struct exact_plan){ .require = NIR, .of = LAST | BIRTH, .min = 1, .within = 60 },
	    CONFIDENCE_MEDIUM);
	assert_int_equal(rows_in(&r, "184127645108946", CONFIDENCE_MEDIUM), 1);
	assert_int_equal(rows_in(&r, "184127645108946", CONFIDENCE_HIGH), 0);
	assert_true(span_is(r.out.matches[0].masked, "nir"));
	assert_int_equal(rows_in(&r, "Fontaine (de la): 184127645108946, 07/12/84", CONFIDENCE_HIGH), 1);
	run_end(&r);
}

/* Both required, of one row: the date is MARTIN's and BERNARD's. */
static void
test_several_required(void **state)
{
	struct run r;

	run_begin(&r, (struct exact_plan){ .require = LAST | BIRTH, .within = 40 }, CONFIDENCE_NONE);
	assert_int_equal(rows_in(&r, "Martin, 5 January 1950", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "Bernard, 05.01.1950", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "Martin et Bernard, 05.01.1950", CONFIDENCE_HIGH), 2);
	assert_int_equal(rows_in(&r, "Martin, 05/01/1955", CONFIDENCE_HIGH), 0);	/* M\xc3\xbcller's */
	assert_int_equal(rows_in(&r, "Muller, 05/01/1955", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "M\xc3\xbcller, 01/05/1955", CONFIDENCE_HIGH), 1);	/* an American wrote it */
	run_end(&r);
}

/* Nothing is required: any two of three, wherever the search begins. */
static void
test_any_two(void **state)
{
	struct run r;

	run_begin(&r, (struct exact_plan){ .of = LAST | FIRST | BIRTH, .min = 2, .within = 40 },
	    CONFIDENCE_NONE);
	assert_int_equal(rows_in(&r, "Paul Martin", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "Paul, n\xc3\xa9 le 5/1/1950", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "Bernard 5/1/1950", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "Marie M\xc3\xbcller", CONFIDENCE_HIGH), 0);
	assert_int_equal(rows_in(&r, "Paul", CONFIDENCE_HIGH), 0);
	run_end(&r);
}

/* A mention is one row, however many share its value. */
static void
test_one_mention_one_row(void **state)
{
	struct run r;

	run_begin(&r, (struct exact_plan){ .require = LAST, .within = 40 }, CONFIDENCE_NONE);
	assert_int_equal(rows_in(&r, "Martin", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "Martin, Martin, Martin", CONFIDENCE_HIGH), 1);
	assert_int_equal(r.out.nmatches, 3);
	run_end(&r);
}

/* One word stands for one column. */
static void
test_a_word_is_one_value(void **state)
{
	struct edm_fixture f = { 0 };
	struct exact_plan plan = { .require = 3, .within = 40 };
	struct run r = { .a = arena_new(0), .d = detectors_new() };

	assert_int_equal(edm_fixture_build(&f, "l;f\nMARTIN;Martin\nDUPONT;Luc\n", "l=name f=name", false), 0);
	assert_int_equal(edm_map(f.path, &f.map, &f.err), 0);
	assert_non_null(plan.ix = r.ix = exact_open(f.map, f.key, &f.err));
	assert_int_equal(detectors_add_exact(r.d, SPAN_LIT("p"), &plan, CONFIDENCE_NONE, CONFIDENCE_HIGH, NULL), 0);
	detectors_compile(r.d, NULL);
	assert_int_equal(rows_in(&r, "Martin came", CONFIDENCE_HIGH), 0);
	assert_int_equal(rows_in(&r, "Martin Martin came", CONFIDENCE_HIGH), 1);
	assert_int_equal(rows_in(&r, "Martin, Luc Martin, and Dupont", CONFIDENCE_HIGH), 2);
	detectors_free(&r.d);
	exact_close(&r.ix);
	arena_free(&r.a);
	edm_fixture_end(&f);
}

static void
test_budget(void **state)
{
	struct exact_plan plan = { .require = BIRTH, .of = LAST, .min = 1, .within = 40 };
	struct exact_scratch *s = exact_scratch_new();
	struct span text = SPAN_LIT("05/01/1950 05/01/1950 05/01/1950 05/01/1950 05/01/1950 05/01/1950");
	int64_t steps = 1000;
	struct run r;

	run_begin(&r, plan, CONFIDENCE_NONE);
	plan.ix = r.ix;
	exact_plan_finish(&plan);
	assert_true(exact_search(&plan, s, text, 40, &steps, NULL, NULL));
	steps = 1000 - steps;	/* what it takes */
	for (int64_t few = 0; few < steps; few++) {
		int64_t left = few;

		assert_false(exact_search(&plan, s, text, 40, &left, NULL, NULL));
	}
	assert_true(exact_search(&plan, s, text, 40, &steps, NULL, NULL));
	exact_scratch_free(&s);
	run_end(&r);
}

/* An index of which only the header is here proves nothing. */
static void
test_absent_is_undecided(void **state)
{
	struct exact_plan plan = { .require = NIR, .within = 40 };
	struct detectors *d = detectors_new();
	struct arena *a = arena_new(0);
	struct detection out;
	struct edm_fixture f;
	struct exact_index *ix;

	patients(&f);
	assert_non_null(ix = exact_open(span_sub(f.map, 0, EXACT_HEADER), NULL, &f.err));
	plan.ix = ix;
	assert_int_equal(detectors_add_exact(d, SPAN_LIT("p"), &plan, CONFIDENCE_NONE, CONFIDENCE_HIGH, NULL),
	    0);
	detectors_compile(d, NULL);
	detectors_run_text(d, 0, SPAN_LIT("184127645108946"), a, &out);
	assert_true(out.undecided);
	assert_int_equal(out.nmatches, 0);
	detectors_free(&d);
	exact_close(&ix);
	arena_free(&a);
	edm_fixture_end(&f);
}

/* What costs and yields no candidate counts, too. */
static void
test_work(void **state)
{
	int64_t work = 1000;
	struct exact_shape shape = { EXACT_DIGITS, LENGTH(60), false, &work };
	struct wanted w = { .value = "" };
	char *p = malloc(65536);

	for (size_t i = 0; i < 65536; i += 2)
		memcpy(p + i, "1 ", 2);
	assert_false(exact_find(&shape, span_make(p, 65536), 0, 65536, on_candidate, &w));
	assert_true(work < 0);
	assert_true(w.n < 1000);
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_candidates_linear),
		cmocka_unit_test(test_work),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_nothing_in_clear),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_header_only),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_several_required),
		cmocka_unit_test(test_any_two),
		cmocka_unit_test(test_one_mention_one_row),
		cmocka_unit_test(test_a_word_is_one_value),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_absent_is_undecided),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
