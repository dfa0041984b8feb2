/* files.c -- the pages, which are in the program: no path of a request ever meets a file system.
 *
 * `/` is /index.html. A path is compared as it came, byte for byte: one with %2e or .. in it is in
 * no table. Each has an ETag, of its content, which browsers show again (If-None-Match).
 */
#include <openssl/evp.h>
#include <stdlib.h>

#include "console/console.h"
#include "console/files.h"

#define ETAG_BYTES 12
#define ETAG_SIZE (2 * ETAG_BYTES + 3)	/* "…" and NUL */

static char (*etags)[ETAG_SIZE];

void
files_start(void)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n;

	etags = calloc(nconsole_files ? nconsole_files : 1, sizeof(*etags));
	ASSERT(etags != NULL);
	for (size_t i = 0; i < nconsole_files; i++) {
		const struct console_file *f = &console_files[i];

		ASSERT(EVP_Digest(f->bytes, (size_t)(f->end - f->bytes), digest, &n, EVP_sha256(), NULL) == 1);
		etags[i][0] = etags[i][ETAG_SIZE - 2] = '"';
		for (size_t k = 0; k < ETAG_BYTES; k++)
			for (int half = 0; half < 2; half++)
				etags[i][1 + 2 * k + (size_t)half] =
				    "0123456789abcdef"[half ? digest[k] & 15 : digest[k] >> 4];
	}
}

static const char *
type_of(struct span path)
{
	static const struct { const char *end, *type; } types[] = {
		{ ".html", "text/html; charset=utf-8" }, { ".js", "text/javascript; charset=utf-8" },
		{ ".mjs", "text/javascript; charset=utf-8" }, { ".css", "text/css; charset=utf-8" },
		{ ".json", "application/json" }, { ".svg", "image/svg+xml" }, { ".png", "image/png" },
		{ ".ico", "image/x-icon" }, { ".woff2", "font/woff2" },
		{ ".webmanifest", "application/manifest+json" },
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (span_ends_nocase(path, span_str(types[i].end)))
			return types[i].type;
	return "text/plain; charset=utf-8";
}

static int
compare(const void *key, const void *member)
{
	const struct span *path = key;
	const struct console_file *f = member;
	size_t n = strlen(f->path), least = n < path->n ? n : path->n;
	int r = memcmp(path->p, f->path, least);

	return r ? r : path->n < n ? -1 : path->n > n;
}

bool
files_serve(struct client *k)
{
	struct span path = span_is(k->r.path, "/") ? SPAN_LIT("/index.html") : k->r.path;
	const struct console_file *f = bsearch(&path, console_files, nconsole_files, sizeof(*f), compare);
	struct span list = k->r.etag;
	const char *tag;
	bool same = false;

	if (f == NULL)
		return false;
	tag = etags[f - console_files];
	while (list.n && !same) {
		size_t n = span_find(list, ',');
		struct span one = span_trim(span_sub(list, 0, n));

		if (span_starts(one, SPAN_LIT("W/")))
			one = span_from(one, 2);
		same = span_is(one, tag) || span_is(one, "*");
		list = span_from(list, n + 1);
	}
	buf_printf(&k->fields, "Cache-Control: no-cache\r\nETag: %s\r\n", tag);
	client_answer_static(k, same ? 304 : 200, type_of(path),
	    span_make(f->bytes, (size_t)(f->end - f->bytes)));
	return true;
}
