/* bench_detect.c -- what detectors cost: a clean mail of 4 KiB, and 10 MiB of text.
 *
 * With all built-ins, 200 patterns and 1,000 words; beside it the same patterns run by
 * PCRE2 one after the other over the whole text. Then a lexicon of 50,000 words, and fingerprints of
 * 1, 100 and 1,000 documents of ten pages, over 4 KiB and 1 MiB: once over text that they have nothing to
 * say about, once over what is made of them. `bench_detect graded` runs these alone. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "buf.h"
#include "detect/detect.h"
#include "detect/lexicon.h"
#include "postern/arena.h"
#include "postern/err.h"
#include "postern/fingerprint.h"

#define NPATTERNS 200
#define NWORDS 1000

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

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);	/* others work here too */
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static char *
pattern_text(struct arena *a, size_t i)
{
	int x = (int)('A' + i % 26), y = (int)('A' + i / 26);
	unsigned n = 3 + (unsigned)i % 5;

	switch (i % 5) {
	case 0:
		return arena_printf(a, "\\b%c%c-\\d{4}-\\d{%u}\\b", x, y, n);
	case 1:
		return arena_printf(a, "\\b%c%c[A-Z]{2}\\d{%u}[A-Z]\\b", x, y, n);
	case 2:
		return arena_printf(a, "(?i)\\b%c%cproject[ -]?(?:code|name)[ :]+\\w{%u}", x, y, n);
	case 3:
		return arena_printf(a, "\\b\\d{5}[ -]?%c%c\\d{%u}\\b", x, y, n);
	default:
		return arena_printf(a, "(?<![\\w.])%c%c\\d{%u}(?:\\.\\d+)?(?!\\w)", x, y, n);
	}
}

static struct detectors *
make(struct arena *a, bool patterns, bool words, size_t builtins)
{
	struct detectors *d = detectors_new();
	struct span *w = arena_array(a, NWORDS, sizeof(*w));
	struct err err = { 0 };

	static const char *const three[] = { "payment-card", "iban", "fr-nir" };

	for (size_t i = 0; builtins == 3 && i < 3; i++)
		ASSERT(detectors_add_builtin(d, span_str(three[i]), NULL) >= 0);
	for (size_t i = 0; builtins != 3 && i < builtins && detector_builtin(i, NULL); i++)
		ASSERT(detectors_add_builtin(d, span_str(detector_builtin(i, NULL)), NULL) >= 0);
	for (size_t i = 0; i < NWORDS; i++)
		w[i] = span_str(arena_printf(a, "%s %zu%s", i % 3 ? "projet" : "dossier", i * 7919 % 100003,
		    i % 2 ? "a" : " confidentiel"));
	if (words)
		ASSERT(detectors_add_words(d, SPAN_LIT("words"), w, NWORDS, NULL) >= 0);
	for (size_t i = 0; patterns && i < NPATTERNS; i++) {
		struct detector_pattern p = { .pattern = span_str(pattern_text(a, i)) };

		if (detectors_add_pattern(d, span_str(arena_printf(a, "p%zu", i)), &p, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			exit(1);
		}
	}
	ASSERT(detectors_compile(d, NULL) == 0);
	return d;
}

static void
measure_on(const char *what, const struct detectors *d, size_t bytes, struct span source)
{
	struct arena *a = arena_new(0), *run = arena_new(1 << 16);
	char *p = arena_alloc(a, bytes);
	struct text text = { .s = { p, bytes } }, folded;
	struct surface surface = { .where = WHERE_BODY, .text = &text, .folded = &folded };
	struct anatomy an = { .surfaces = &surface, .nsurfaces = 1 };
	struct detection out;
	double t, best = 1e18;
	size_t end;

	for (size_t i = 0; i < bytes; i++)
		p[i] = source.p[i % source.n];
	for (end = bytes; end && ((uint8_t)p[end - 1] & 0x80); end--)
		;	/* no character cut at the end */
	text.s.n = end;
	text_fold(a, &text, &folded);
	for (int i = 0; i < (bytes > 1000000 ? 5 : 2000); i++) {
		arena_reset(run);
		t = now();
		detectors_run(d, &an, run, &out);
		t = now() - t;
		if (t < best)
			best = t;
	}
	printf("%-34s %9zu bytes  %10.1f us  %8.1f MB/s  %u matches%s\n", what, bytes, best,
	    (double)bytes / best, (unsigned)out.nmatches, out.undecided ? ", undecided" : "");
	arena_free(&a);
	arena_free(&run);
}

static void
measure(const char *what, const struct detectors *d, size_t bytes)
{
	measure_on(what, d, bytes, span_make(prose, sizeof(prose) - 1));
}

/* --- lexicons and fingerprints ------------------------------------------------------------ */

static uint64_t seed = 1;

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % n;
}

static void
put_word(struct buf *b)
{
	static const char *const syllables[] = { "ba", "con", "de", "fi", "lar", "mo", "nu", "per", "qui",
		"ro", "sta", "tion", "u", "ven", "za", "gri", "i\xc3\xa8", "\xc3\xa9" };

	for (uint32_t n = 2 + rnd(3); n > 0; n--)
		buf_puts(b, syllables[rnd(18)]);
}

/* So many words, blanks between them. */
static struct span
words_made(struct arena *a, size_t n)
{
	struct buf b;
	struct span s;

	buf_init(&b, 64 << 20);
	for (size_t i = 0; i < n; i++) {
		put_word(&b);
		buf_puts(&b, i % 12 == 11 ? ".\r\n" : " ");
	}
	s = arena_span(a, buf_data(&b));
	buf_release(&b);
	return s;
}

static bool
no_problem(void *ctx, uint32_t line, uint32_t column, uint32_t width, const char *hint, const char *text)
{
	fprintf(stderr, "%u:%u: %s\n", line, column, text);
	exit(1);
}

static void
measure_lexicon(struct arena *a, size_t n)
{
	struct detectors *d = detectors_new();
	struct detector_lexicon l = { .medium = 10000, .high = 20000, .distinct = 5 };
	struct detector_term *terms = arena_array(a, n, sizeof(*terms));
	struct lexicon x;
	struct span text;
	struct buf b;
	double t;

	buf_init(&b, 64 << 20);
	for (size_t i = 0; i < n; i++) {
		put_word(&b);
		buf_putc(&b, ' ');
		put_word(&b);
		buf_printf(&b, "%zu\t%u\n", i % 7, 1 + rnd(10));
	}
	text = buf_data(&b);
	t = now();
	lexicon_parse(a, text, no_problem, NULL, &x);
	for (size_t i = 0; i < x.n; i++)
		terms[i] = (struct detector_term){ x.terms[i].word, x.terms[i].weight };
	l.terms = terms;
	l.nterms = x.n;
	ASSERT(detectors_add_lexicon(d, SPAN_LIT("lexicon"), &l, NULL) >= 0);
	ASSERT(detectors_compile(d, NULL) == 0);
	printf("lexicon of %zu words (%zu bytes) loaded in %.1f ms\n", n, text.n, (now() - t) / 1e3);
	measure("lexicon, prose", d, 4096);
	measure("lexicon, prose", d, 1 << 20);
	for (char *p = (char *)(uintptr_t)text.p; p < text.p + text.n; p++)
		*p = *p == '\t' || *p == '\n' ? ' ' : *p;
	measure_on("lexicon, of its words", d, 4096, text);
	measure_on("lexicon, of its words", d, 1 << 20, text);
	buf_release(&b);
	detectors_free(&d);
}

static void
measure_fingerprints(struct arena *a, unsigned documents)
{
	struct fingerprint_maker *m = fingerprint_maker_new((const uint8_t *)"sixteen bytes ok");
	struct detector_fingerprints f = { .medium = 3000, .high = 6000 };
	struct detectors *d = detectors_new();
	struct span all = { 0 };
	char what[64];
	struct buf b;
	double t = now();

	for (unsigned i = 0; i < documents; i++) {
		struct span text = words_made(a, 4000);	/* ten pages */

		fingerprint_maker_text(m, text_fold_word(a, text));
		fingerprint_maker_put(m, span_str(arena_printf(a, "document-%u.docx", i)), 0, false);
		if (i == 0)
			all = text;
	}
	buf_init(&b, FINGERPRINT_BYTES_MAX);
	ASSERT(fingerprint_maker_write(m, 0, &b, NULL) == 0);
	printf("%u documents: %zu bytes, made in %.1f ms", documents, buf_size(&b), (now() - t) / 1e3);
	t = now();
	f.index = buf_data(&b);
	ASSERT(detectors_add_fingerprints(d, SPAN_LIT("documents"), &f, NULL) >= 0);
	ASSERT(detectors_compile(d, NULL) == 0);
	printf(", loaded in %.1f ms\n", (now() - t) / 1e3);
	snprintf(what, sizeof(what), "%u documents, prose", documents);
	measure(what, d, 4096);
	measure(what, d, 1 << 20);
	measure_on(what, d, 1 << 20, words_made(a, 60000));
	snprintf(what, sizeof(what), "%u documents, one of them", documents);
	measure_on(what, d, 4096, all);
	measure_on(what, d, 1 << 20, all);
	fingerprint_maker_free(&m);
	buf_release(&b);
	detectors_free(&d);
}

static void
measure_graded(void)
{
	struct arena *a = arena_new(0);

	measure_lexicon(a, 50000);
	measure_fingerprints(a, 1);
	measure_fingerprints(a, 100);
	measure_fingerprints(a, 1000);
	arena_free(&a);
}

static void
measure_pcre2(size_t bytes)
{
	struct arena *a = arena_new(0);
	char *p = arena_alloc(a, bytes);
	pcre2_code *code[NPATTERNS];
	pcre2_match_data *md = pcre2_match_data_create(1, NULL);
	double t = 0, best = 1e18;

	for (size_t i = 0; i < bytes; i++)
		p[i] = prose[i % (sizeof(prose) - 1)];
	while (bytes && ((uint8_t)p[bytes - 1] & 0x80))
		bytes--;
	for (size_t i = 0; i < NPATTERNS; i++) {
		char *s = pattern_text(a, i);
		PCRE2_SIZE at;
		int e;

		code[i] = pcre2_compile((PCRE2_SPTR)s, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &e, &at,
		    NULL);
		pcre2_jit_compile(code[i], PCRE2_JIT_COMPLETE);
	}
	for (int k = 0; k < (bytes > 1000000 ? 2 : 200); k++) {
		t = now();
		for (size_t i = 0; i < NPATTERNS; i++)
			pcre2_match(code[i], (PCRE2_SPTR)p, bytes, 0, PCRE2_NO_UTF_CHECK, md, NULL);
		t = now() - t;
		if (t < best)
			best = t;
	}
	printf("%-34s %9zu bytes  %10.1f us  %8.1f MB/s\n", "PCRE2 JIT, pattern by pattern", bytes, best,
	    (double)bytes / best);
	for (size_t i = 0; i < NPATTERNS; i++)
		pcre2_code_free(code[i]);
	pcre2_match_data_free(md);
	arena_free(&a);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		bool patterns, words;
		size_t builtins;
	} sets[] = {
		{ "payment-card, iban, fr-nir", false, false, 3 },
		{ "all built-ins", false, false, SIZE_MAX },
		{ "1,000 words", false, true, 0 },
		{ "200 patterns", true, false, 0 },
		{ "3 built-ins, words, patterns", true, true, 3 },
		{ "all built-ins, words, patterns", true, true, SIZE_MAX },
	};
	static const size_t sizes[] = { 4096, 10 << 20 };
	struct arena *a = arena_new(0);

	if (argc > 1) {
		measure_graded();
		arena_free(&a);
		return 0;
	}
	for (size_t i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		double t = now();
		struct detectors *d = make(a, sets[i].patterns, sets[i].words, sets[i].builtins);

		printf("%-34s made in %.1f ms\n", sets[i].name, (now() - t) / 1e3);
		for (size_t k = 0; k < 2; k++)
			measure(sets[i].name, d, sizes[k]);
		detectors_free(&d);
	}
	for (size_t k = 0; k < 2; k++)
		measure_pcre2(sizes[k]);
	measure_graded();
	arena_free(&a);
	return 0;
}
