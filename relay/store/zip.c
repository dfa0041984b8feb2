/* zip.c -- zstd, one context for the process; see zip.h. */
#include <errno.h>
#include <zstd.h>

#include "store/zip.h"

#define LEVEL 3

int
zip(struct span in, char **out, size_t *n, struct err *err)
{
	static ZSTD_CCtx *ctx;
	size_t cap = ZSTD_compressBound(in.n), r;
	char *to;

	if (ctx == NULL)
		ctx = ZSTD_createCCtx();
	to = malloc(cap);
	if (ctx == NULL || to == NULL) {
		free(to);
		return err_set(err, ENOMEM, "no memory to compress %zu bytes", in.n);
	}
	r = ZSTD_compressCCtx(ctx, to, cap, in.p, in.n, LEVEL);
	if (ZSTD_isError(r)) {
		free(to);
		return err_set(err, EIO, "zstd: %s", ZSTD_getErrorName(r));
	}
	*out = to;
	*n = r;
	return 0;
}

int
unzip(struct arena *a, struct span in, size_t max, struct span *out, struct err *err)
{
	static const struct span magic = { "\x28\xb5\x2f\xfd", 4 };
	unsigned long long size;
	char *to;
	size_t r;

	if (!span_starts(in, magic)) {
		*out = arena_span(a, in);
		return 0;
	}
	size = ZSTD_getFrameContentSize(in.p, in.n);
	if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size > max)
		return err_set(err, EFBIG, "what is stored is damaged, or larger than %zu bytes", max);
	to = arena_alloc(a, (size_t)size);
	r = ZSTD_decompress(to, (size_t)size, in.p, in.n);
	if (ZSTD_isError(r) || r != size)
		return err_set(err, EIO, "what is stored is damaged: %s", ZSTD_getErrorName(r));
	*out = span_make(to, (size_t)size);
	return 0;
}
