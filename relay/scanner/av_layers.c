/* av_layers.c -- files of a message that an engine has looked at with it; see av_layers.h.
 *
 * A layer is compared with at most TRIES files of its size, so that ten thousand members of one size that
 * differ in their last byte cost no more than ten thousand times that. A file that was not
 * compared is scanned: a bound costs time, nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "postern/err.h"
#include "scanner/av_layers.h"

#define TRIES 4

struct layer_file {
	struct span bytes;
	size_t at;		/* among the files as they were given */
	size_t taken_run;	/* of the first of a size: so many from it on are taken */
	bool taken;
};

static int
by_size(const void *a, const void *b)
{
	const struct layer_file *x = a, *y = b;

	if (x->bytes.n != y->bytes.n)
		return x->bytes.n < y->bytes.n ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

void
av_layers_init(struct av_layers *l, const struct span *files, size_t n, struct arena *a)
{
	*l = (struct av_layers){ .nfiles = n };
	l->files = arena_array(a, n, sizeof(*l->files));
	l->seen = arena_array(a, n, sizeof(*l->seen));
	for (size_t i = 0; i < n; i++)
		l->files[i] = (struct layer_file){ .bytes = files[i], .at = i };
	qsort(l->files, n, sizeof(*l->files), by_size);
}

static struct layer_file *
find(struct av_layers *l, struct span bytes)
{
	size_t lo = 0, hi = l->nfiles, first;
	unsigned tries = 0;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (l->files[mid].bytes.n < bytes.n)
			lo = mid + 1;
		else
			hi = mid;
	}
	first = lo;
	if (first < l->nfiles)
		lo += l->files[first].taken_run;
	for (; lo < l->nfiles && l->files[lo].bytes.n == bytes.n && tries < TRIES; lo++) {
		struct layer_file *f = &l->files[lo];

		if (f->taken) {
			if (lo == first + l->files[first].taken_run)
				l->files[first].taken_run++;
			else
				tries++;
			continue;
		}
		tries++;
		if (memcmp(f->bytes.p, bytes.p, bytes.n) == 0)
			return f;
	}
	return NULL;
}

void
av_layers_enter(struct av_layers *l, struct span bytes, const char *type)
{
	size_t at = l->depth++;

	if (at == 0)
		l->mail = type && strcmp(type, "CL_TYPE_MAIL") == 0;
	if (at < AV_LAYERS_DEEP)
		l->open[at] = at && bytes.n && bytes.p ? find(l, bytes) : NULL;
}

/* Equal files are told apart by nothing: one look is as good for all of them. */
static void
note(struct av_layers *l, struct layer_file *f)
{
	struct layer_file *end = l->files + l->nfiles;
	unsigned tries = 0;

	f->taken = true;
	l->seen[f->at] = 1;
	for (struct layer_file *g = f + 1; g < end && g->bytes.n == f->bytes.n && tries++ < TRIES; g++)
		if (!g->taken && memcmp(g->bytes.p, f->bytes.p, f->bytes.n) == 0) {
			g->taken = true;
			l->seen[g->at] = 1;
		}
}

void
av_layers_leave(struct av_layers *l, bool clean)
{
	struct layer_file *f;

	if (l->depth == 0) {
		l->astray = true;
		return;
	}
	f = --l->depth < AV_LAYERS_DEEP ? l->open[l->depth] : NULL;
	if (f && clean)
		note(l, f);
}

void
av_layers_forget(struct av_layers *l)
{
	memset(l->seen, 0, l->nfiles);
	l->astray = true;
}

bool
av_layers_saw(const struct av_layers *l, size_t file)
{
	ASSERT(file < l->nfiles || l->nfiles == 0);
	return l->nfiles && !l->astray && l->depth == 0 && l->seen[file];
}
