/* bench_edm.c -- what a text costs with an index of exact data; run by tests/bench/edm.
 *
 * bench_edm INDEX KEY EXPORT [INDEX KEY EXPORT]: the same texts with a small index and with a
 * large one, prose and rows of the export, and two texts made to cost: numbers, and dates of which
 * each stands in many rows. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "detect/detect.h"
#include "detect/exact.h"
#include "edm/edm.h"

#define ROUNDS 5
#define MIB ((size_t)1 << 20)

static const char prose[] =
    "Bonjour,\r\n\r\nVeuillez trouver ci-joint le compte rendu de la r\xc3\xa9union du 14 mars 2026. "
    "The budget for the third quarter was discussed at length; see https://intranet.example.org/docs/2026/q3 "
    "for the figures (12,450.00 EUR, +3.2 %). L'\xc3\xa9quipe se r\xc3\xa9unira le 21 \xc3\xa0 10:30, salle 204.\r\n"
    "Please call +33 1 44 55 66 77 or write to m.durand@example.org if anything is unclear. "
    "Nous avons not\xc3\xa9 que la commande 2026-004512 a \xc3\xa9t\xc3\xa9 livr\xc3\xa9" "e en deux fois.\r\n";

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

enum { NUMBER, NAME, DATE };	/* what is looked for in the whole text */

struct set {
	struct exact_index *ix;
	struct span map;
	const char *export;
	struct detectors *by[3], *none;
};

static struct detectors *
detector(const struct exact_index *ix, uint16_t require, uint16_t of)
{
	struct detectors *d = detectors_new();
	struct exact_plan p = { .ix = ix, .require = require, .of = of, .min = of ? 1 : 0, .within = 300 };
	struct span word = SPAN_LIT("never said");

	if (ix)
		ASSERT(detectors_add_exact(d, SPAN_LIT("rows"), &p, CONFIDENCE_NONE, CONFIDENCE_HIGH, NULL) ==
		    0);
	else	/* reads and folds the text, no more */
		ASSERT(detectors_add_words(d, SPAN_LIT("rows"), &word, 1, NULL) == 0);
	ASSERT(detectors_compile(d, NULL) == 0);
	return d;
}

static void
load(struct set *s, char **argv)
{
	uint8_t key[EXACT_KEY];
	struct err err;
	double at;

	if (edm_key_load(argv[1], key, &err) == -1 || edm_map(argv[0], &s->map, &err) == -1) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	at = now();
	if ((s->ix = exact_open(s->map, key, &err)) == NULL) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	printf("%u rows: opened and proved in %.0f ms\n", exact_info(s->ix)->rows, now() - at);
	s->export = argv[2];
	s->by[NUMBER] = detector(s->ix, 1, 2 | 8);	/* nir, any of last_name, birth_date */
	s->by[NAME] = detector(s->ix, 2 | 8, 0);	/* last_name and birth_date */
	s->by[DATE] = detector(s->ix, 8, 2 | 4);	/* birth_date, any of the names */
	s->none = detector(NULL, 0, 0);
}

static double
run(const struct detectors *d, struct span text, struct detection *out, struct arena *a)
{
	double best = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		double at;

		arena_reset(a);
		at = now();
		detectors_run_text(d, 0, text, a, out);
		at = now() - at;
		if (at < best)
			best = at;
	}
	return best;
}

static void
line(struct set *sets, size_t n, const char *what, struct span text, int by)
{
	struct arena *a = arena_new(0);
	struct detection out;

	printf("%-34s %9.3f ms", what, run(sets[0].none, text, &out, a));
	for (size_t i = 0; i < n; i++) {
		double ms = run(sets[i].by[by], text, &out, a);

		printf("   %9.3f ms, %5zu found%s", ms, out.nmatches, out.undecided ? ", undecided" : "");
	}
	putchar('\n');
	fflush(stdout);
	arena_free(&a);
}

static struct span
repeated(struct arena *a, const char *s, size_t n)
{
	char *p = arena_alloc(a, n);

	for (size_t i = 0; i < n; i++)
		p[i] = s[i % strlen(s)];
	return span_make(p, n);
}

static struct span
rows_of(struct arena *a, const char *path, size_t n)
{
	char *p = arena_alloc(a, n);
	FILE *f = fopen(path, "r");
	size_t got;

	ASSERT(f != NULL);
	got = fread(p, 1, n, f);
	fclose(f);
	return span_make(p, got);
}

int
main(int argc, char **argv)
{
	size_t n = argc == 7 ? 2 : 1;
	struct arena *a = arena_new(0);
	struct set sets[2] = { 0 };
	unsigned x = 1;
	char *p;

	if (argc != 4 && argc != 7)
		return 2;
	for (size_t i = 0; i < n; i++)
		load(&sets[i], argv + 1 + i * 3);
	printf("%-34s %12s", "", "without");
	for (size_t i = 0; i < n; i++)
		printf("   %15u rows      ", exact_info(sets[i].ix)->rows);
	putchar('\n');
	line(sets, n, "number required: prose, 4 KiB", repeated(a, prose, 4096), NUMBER);
	line(sets, n, "number required: prose, 1 MiB", repeated(a, prose, MIB), NUMBER);
	line(sets, n, "number required: prose, 10 MiB", repeated(a, prose, 10 * MIB), NUMBER);
	line(sets, n, "name and date: prose, 4 KiB", repeated(a, prose, 4096), NAME);
	line(sets, n, "name and date: prose, 1 MiB", repeated(a, prose, MIB), NAME);
	line(sets, n, "name and date: prose, 10 MiB", repeated(a, prose, 10 * MIB), NAME);
	line(sets, n, "rows of the export, 1 MiB", rows_of(a, sets[n - 1].export, MIB), NUMBER);
	p = arena_alloc(a, 10 * MIB);
	for (size_t i = 0; i < 10 * MIB; i++) {
		x = x * 1103515245 + 12345;
		p[i] = x >> 16 & 3 ? (char)('0' + (x >> 18) % 10) : ' ';
	}
	line(sets, n, "numbers, 10 MiB", span_make(p, 10 * MIB), NUMBER);
	p = arena_alloc(a, 10 * MIB + 16);
	for (size_t i = 0; i < 10 * MIB; i += 11) {
		x = x * 1103515245 + 12345;
		snprintf(p + i, 12, "%02u/%02u/%04u ", 1 + (x >> 16) % 28, 1 + (x >> 21) % 12, 1920 +
		    (x >> 12) % 100);
	}
	line(sets, n, "dates that many rows have, 10 MiB", span_make(p, 10 * MIB), DATE);
	arena_free(&a);
	return 0;
}
