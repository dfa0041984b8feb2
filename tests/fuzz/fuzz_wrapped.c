/* fuzz_wrapped.c -- files within a text, winmail.dat, compressed RTF: any bytes. */
#include <stdint.h>

#include "anatomy/infile.h"
#include "anatomy/lzfu.h"
#include "anatomy/tnef.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST 100000

static volatile unsigned char sink;

static void
touch(struct span s)
{
	ASSERT(s.n == 0 || s.p != NULL);
	for (size_t i = 0; i < s.n; i++)
		sink ^= (unsigned char)s.p[i];
}

struct told {
	struct arena *a;
	unsigned items, depth;
};

static bool
item_check(void *arg, const struct tnef_item *item)
{
	struct told *t = arg;

	touch(item->bytes);
	touch(item->name);
	touch(item->charset);
	ASSERT(item->bytes.n || item->kind == TNEF_FILE);
	if (item->kind == TNEF_MESSAGE && t->depth < 4) {
		struct told in = { t->a, 0, t->depth + 1 };

		tnef_read(t->a, item->bytes, MOST, item_check, &in);
	}
	return ++t->items < 1000;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make((const char *)data, size), out;
	struct arena *a = arena_new(0);
	struct told told = { .a = a };
	struct infiles files;
	struct infile f;
	size_t last = 0;
	bool broken, cut;

	infiles_begin(&files, in);
	while (infiles_next(&files, a, MOST, &f)) {
		ASSERT(f.from >= last && f.to > f.from && f.to <= size);
		ASSERT(f.bytes.n <= MOST && f.resource.n <= MOST);
		last = f.from;
		touch(f.bytes);
		touch(f.resource);
		touch(f.name);
	}
	tnef_read(a, in, MOST, item_check, &told);
	if (lzfu_decode(a, in, MOST, &out, &broken, &cut)) {
		ASSERT(out.n <= MOST);
		touch(out);
	}
	arena_free(&a);
	return 0;
}
