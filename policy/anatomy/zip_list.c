/* zip_list.c -- every member of a zip that any program may see; see zip_list in anatomy/zip.h.
 *
 * Programs find members in three ways: by the directory that the last end
 * record names, by another end record's, or by walking the local headers.
 * An archive on which they differ shows one thing to a scanner and another to
 * its reader. So all directories count, and each local header that lies
 * neither within a member's data nor in a directory; what is found in one way
 * only is a member like the others, and the archive ambiguous.
 */
#include <stdlib.h>

#include "anatomy/zip.h"

#define ENDS_MAX 8		/* end records followed */
#define END_REACH 65557		/* an end record with the longest comment */
#define NAME_MAX_BYTES 1024

static int
by_place(const void *a, const void *b)
{
	const struct zip_entry *x = a, *y = b;

	if (x->local != y->local)
		return x->local < y->local ? -1 : 1;
	return x->data.n < y->data.n ? 1 : x->data.n > y->data.n ? -1 : 0;
}

static int
by_name(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int c = n ? memcmp(x->p, y->p, n) : 0;

	return c ? c : x->n < y->n ? -1 : x->n > y->n;
}

struct lister {
	struct arena *a;
	struct span bytes;
	struct zip_listing *out;
	size_t cap;
};

static void
list_put(struct lister *l, const struct zip_entry *e)
{
	struct zip_listing *out = l->out;

	if (out->n == ZIP_ENTRIES) {
		out->cut = true;
		return;
	}
	if (out->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;

		out->v = arena_grow(l->a, out->v, l->cap * sizeof(*out->v), cap * sizeof(*out->v));
		l->cap = cap;
	}
	out->v[out->n++] = *e;
}

static bool
within_member(const struct lister *l, size_t at)
{
	for (size_t i = 0; i < l->out->n; i++) {
		const struct zip_entry *e = &l->out->v[i];

		if (e->data.p && at >= (size_t)(e->data.p - l->bytes.p) &&
		    at < (size_t)(e->data.p - l->bytes.p) + e->data.n)
			return true;
	}
	return false;
}

/* The members of each directory that an end record names; the number of directories. */
static unsigned
directories_read(struct lister *l)
{
	struct span s = l->bytes;
	size_t low = s.n > END_REACH ? s.n - END_REACH : 0;
	size_t seen[ENDS_MAX];
	unsigned nseen = 0;

	for (size_t i = s.n < 22 ? 0 : s.n - 22 + 1; i-- > low && nseen < ENDS_MAX;) {
		struct zip z = { .bytes = s };
		struct zip_entry e;
		size_t before = l->out->n;
		bool again = false;

		if (s.p[i] != 'P' || memcmp(s.p + i, "PK\5\6", 4) != 0)
			continue;
		if (s.p[i + 4] || s.p[i + 5])
			l->out->split = true;
		if (!zip_open_end(&z, i) || within_member(l, i))
			continue;
		for (unsigned k = 0; k < nseen; k++)
			again |= seen[k] == z.at;
		if (again)
			continue;
		seen[nseen++] = z.at;
		while (zip_next(&z, &e))
			list_put(l, &e);
		if (z.left == 0)
			l->out->cut = true;
		if (nseen > 1 && l->out->n > before)
			l->out->ambiguous = true;
	}
	return nseen;
}

static bool
method_known(uint16_t m)
{
	return m <= 20 || (m >= 93 && m <= 99);
}

/* Local headers from `from` to `to`, where no member of a directory lies. */
static size_t
gap_read(struct lister *l, size_t from, size_t to)
{
	size_t found = 0;

	while (from + 30 <= to && !l->out->cut) {
		const char *q = memmem(l->bytes.p + from, to - from, "PK\3\4", 4);
		struct zip_entry e;

		if (q == NULL)
			break;
		from = (size_t)(q - l->bytes.p);
		if (!zip_local(l->bytes, from, &e) || !method_known(e.method) || e.name.n == 0 ||
		    e.name.n > NAME_MAX_BYTES || memchr(e.name.p, '\0', e.name.n)) {
			from += 4;
			continue;
		}
		list_put(l, &e);
		found++;
		from = (size_t)(e.data.p - l->bytes.p);
		if (from + e.data.n <= to)
			from += e.data.n;
	}
	return found;
}

/* Members with the same name, of which one program takes the first and another the last. */
static bool
names_twice(struct lister *l)
{
	struct zip_listing *out = l->out;
	struct span *names;
	bool twice = false;

	if (out->n < 2)
		return false;
	names = arena_alloc(l->a, out->n * sizeof(*names));
	for (size_t i = 0; i < out->n; i++)
		names[i] = out->v[i].name;
	qsort(names, out->n, sizeof(*names), by_name);
	for (size_t i = 1; i < out->n; i++)
		twice |= span_eq(names[i - 1], names[i]);
	return twice;
}

void
zip_list(struct arena *a, struct span bytes, struct zip_listing *out)
{
	struct lister l = { .a = a, .bytes = bytes, .out = out };
	size_t at = 0, known, kept = 0;
	unsigned directories;

	*out = (struct zip_listing){ 0 };
	if (bytes.n < 22)
		return;
	directories = directories_read(&l);
	known = out->n;
	if (known > 1)
		qsort(out->v, known, sizeof(*out->v), by_place);
	/* The same member of two directories is one. */
	for (size_t i = 0; i < known; i++)
		if (kept == 0 || out->v[kept - 1].local != out->v[i].local ||
		    !span_eq(out->v[kept - 1].name, out->v[i].name))
			out->v[kept++] = out->v[i];
	out->n = known = kept;
	for (size_t i = 0; i < known; i++) {
		struct zip_entry e = out->v[i];

		out->ambiguous |= e.differs;
		if (e.data.p == NULL)
			continue;
		if (e.local > at && gap_read(&l, at, (size_t)e.local))
			out->ambiguous = true;
		if (e.local < at)
			out->ambiguous = true;	/* members that share bytes */
		if ((size_t)(e.data.p - bytes.p) + e.data.n > at)
			at = (size_t)(e.data.p - bytes.p) + e.data.n;
	}
	if (gap_read(&l, at, bytes.n) && directories)
		out->ambiguous = true;
	out->ambiguous |= names_twice(&l);
	if (memcmp(bytes.p, "PK\7\10", 4) == 0 && directories == 0)
		out->split = true;
}

bool
zip_has_end(struct span s)
{
	size_t low = s.n > END_REACH ? s.n - END_REACH : 0;
	const char *q = s.p + low, *end = s.p + s.n;

	if (s.n < 22 + 46)
		return false;
	while (end - q >= 22 && (q = memmem(q, (size_t)(end - q), "PK\5\6", 4)) != NULL && end - q >= 22) {
		struct zip z = { .bytes = s };
		struct zip_entry e;

		if (zip_open_end(&z, (size_t)(q - s.p)) && zip_next(&z, &e) && e.data.p)
			return true;
		q += 4;
	}
	return false;
}
