/* fuzz_widen.c -- a pattern's twin for the prefilter must be wider than the pattern.
 *
 * Patterns and texts are put together from pieces that meet at the edges of Unicode, case
 * and line ends. What a pattern finds alone it must find behind the prefilter too. */
#include <stdint.h>
#include <stdlib.h>

#include "detect/detect.h"
#include "detect/widen.h"
#include "postern/anatomy.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pattern_pieces[] = {
	"a", "s", "K", "k", "1", " ", "-", "_", "\xc3\xa9", "\xc5\xbf", "\xe2\x84\xaa", "\xf0\x9f\x98\x80",
	"\\d", "\\D", "\\w", "\\W", "\\s", "\\S", "\\h", "\\v", "\\R", "\\N", ".", "\\b", "\\B", "^", "$",
	"\\A", "\\z", "\\Z", "\\x41", "\\x{e9}", "\\t", "\\.", "\\1", "\\p{L}", "\\PN", "[as]", "[^as]",
	"[a-k]", "[^\\w]", "[\\d_-]", "[\xc3\xa9k]", "[^\xc5\xbf]", "[]a]", "[^]a]", "[\\]\\x{41}-Z]",
	"[[:alpha:]]", "(?i)", "(?-i)", "(?s)", "(?m)", "(?i:", "(?:", "(", "(?>", "(?=", "(?!", "(?<=",
	"(?<!", "(?<n>", "(?|", ")", ")", ")", "|", "*", "+", "?", "*?", "++", "{2}", "{1,3}", "{0,2}",
	"{3,}", "{,2}", "{", "}", "\\Qa.\\E", "\\K", "(?1)",
};
static const char *const text_pieces[] = {
	"a", "s", "S", "k", "K", "1", " ", "-", "_", "\xc3\xa9", "\xc3\x89", "\xc5\xbf", "\xe2\x84\xaa",
	"\xd9\xa3", "\r\n", "\r", "\n", "\t", "\xc2\xa0", "\xe2\x80\xa8", ".", "aa", "11", "\xf0\x9f\x98\x80",
	"A", "]", "{", "}",
};
#define PIECES(x) (sizeof(x) / sizeof(*(x)))

static struct span
assemble(struct arena *a, const uint8_t *data, size_t n, const char *const *pieces, size_t npieces)
{
	char *out = arena_alloc(a, n * 16 + 1), *o = out;

	for (size_t i = 0; i < n; i++) {
		const char *s = pieces[data[i] % npieces];

		memcpy(o, s, strlen(s));
		o += strlen(s);
	}
	return (struct span){ out, (size_t)(o - out) };
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(0);
	struct detectors *d = detectors_new();
	size_t n = size > 0 ? data[0] % 12 : 0;
	struct detector_pattern p = { .alone = CONFIDENCE_LOW }, other = { .pattern = SPAN_LIT("zz") };
	struct text text, folded;
	struct surface surface = { .where = WHERE_BODY, .text = &text, .folded = &folded };
	struct anatomy an = { .surfaces = &surface, .nsurfaces = 1 };
	struct detection all, alone;

	if (size < n + 1 || size > 60)
		goto out;
	p.pattern = assemble(a, data + 1, n, pattern_pieces, PIECES(pattern_pieces));
	if (detectors_add_pattern(d, SPAN_LIT("p"), &p, NULL) < 0 || pattern_widen(a, p.pattern) == NULL)
		goto out;
	ASSERT(detectors_add_pattern(d, SPAN_LIT("z"), &other, NULL) == 1);
	ASSERT(detectors_compile(d, NULL) == 0);
	text = (struct text){ .s = assemble(a, data + 1 + n, size - 1 - n, text_pieces,
	    PIECES(text_pieces)) };
	text_fold(a, &text, &folded);
	detectors_run(d, &an, a, &all);
	detectors_run_text(d, 0, text.s, a, &alone);
	ASSERT(all.first[1] == alone.first[1]);
out:
	detectors_free(&d);
	arena_free(&a);
	return 0;
}
