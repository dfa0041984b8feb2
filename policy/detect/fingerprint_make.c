/* fingerprint_make.c -- makes and changes an index of fingerprints; see fingerprint.h.
 *
 * Pairs of hash and document, sorted when the file is written: n log n in the
 * whole, and 16 bytes for each hash meanwhile. Documents keep their number
 * until then; one that was removed or replaced has none any more.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "buf.h"
#include "postern/fingerprint.h"
#include "table.h"
#include "winnow.h"

#define NOBODY UINT32_MAX
#define SHARED (UINT32_C(1) << 31)

struct pair {
	uint64_t hash;
	uint32_t document;
};

struct pairs {
	struct pair *v;
	size_t n, cap;
};

struct fingerprint_maker {
	struct arena *arena;
	uint8_t key[16];
	struct fingerprint_document *documents;
	size_t ndocuments, cap;
	struct table *by_name;	/* number + 1 */
	struct pairs pairs;
	struct pairs text;	/* of the document in hand */
	uint32_t letters;
};

static void
pair_put(struct pairs *p, uint64_t hash, uint32_t document)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 1024;
		p->v = realloc(p->v, p->cap * sizeof(*p->v));
		ASSERT_MEMORY(p->v);
	}
	p->v[p->n++] = (struct pair){ hash, document };
}

static int
pair_order(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->document > y->document) - (x->document < y->document);
}

static void
pairs_sort(struct pairs *p)
{
	size_t n = 0;

	if (p->n)
		qsort(p->v, p->n, sizeof(*p->v), pair_order);
	for (size_t i = 0; i < p->n; i++)
		if (n == 0 || pair_order(&p->v[n - 1], &p->v[i]) != 0)
			p->v[n++] = p->v[i];
	p->n = n;
}

struct fingerprint_maker *
fingerprint_maker_new(const uint8_t key[16])
{
	struct arena *a = arena_new(0);
	struct fingerprint_maker *m = arena_zalloc(a, sizeof(*m));

	m->arena = a;
	m->by_name = table_new();
	memcpy(m->key, key, 16);
	return m;
}

void
fingerprint_maker_free(struct fingerprint_maker **mp)
{
	struct fingerprint_maker *m = *mp;
	struct arena *a;

	if (m == NULL)
		return;
	free(m->pairs.v);
	free(m->text.v);
	table_free(&m->by_name);
	a = m->arena;
	*mp = NULL;
	arena_free(&a);
}

static uint32_t
document_put(struct fingerprint_maker *m, const struct fingerprint_document *d)
{
	if (m->ndocuments == m->cap) {
		size_t cap = m->cap ? m->cap * 2 : 64;

		m->documents = arena_grow(m->arena, m->documents, m->cap * sizeof(*m->documents),
		    cap * sizeof(*m->documents));
		m->cap = cap;
	}
	m->documents[m->ndocuments] = *d;
	m->documents[m->ndocuments].name = arena_span(m->arena, d->name);
	table_put(m->by_name, m->documents[m->ndocuments].name,
	    (void *)(uintptr_t)(m->ndocuments + 1));
	return (uint32_t)m->ndocuments++;
}

bool
fingerprint_maker_remove(struct fingerprint_maker *m, struct span name)
{
	uintptr_t had = (uintptr_t)table_remove(m->by_name, name);

	if (had)
		m->documents[had - 1].name = (struct span){ 0 };
	return had != 0;
}

void
fingerprint_maker_take(struct fingerprint_maker *m, const struct fingerprints *f)
{
	uint32_t base = (uint32_t)m->ndocuments;

	for (uint32_t i = 0; i < f->ndocuments; i++)
		document_put(m, &f->documents[i]);
	for (uint32_t i = 0; i < f->nhashes; i++) {
		uint64_t hash = 0;
		const uint8_t *owner = f->owners + (size_t)i * 4, *list;
		uint32_t x, n;

		for (unsigned k = 0; k < 6; k++)
			hash |= (uint64_t)f->hashes[(size_t)i * 6 + k] << (8 * k);
		memcpy(&x, owner, 4);
		x = le32toh(x);
		if (!(x & SHARED)) {
			pair_put(&m->pairs, hash, base + x);
			continue;
		}
		list = f->lists + (size_t)(x & ~SHARED) * 4;
		memcpy(&n, list, 4);
		n = le32toh(n);
		for (uint32_t k = 1; k <= n; k++) {
			memcpy(&x, list + (size_t)k * 4, 4);
			pair_put(&m->pairs, hash, base + le32toh(x));
		}
	}
}

static void
on_gram(void *ctx, const struct winnow_gram *g)
{
	struct fingerprint_maker *m = ctx;

	pair_put(&m->text, fingerprint_hash(m->key, g->key, g->n), 0);
}

void
fingerprint_maker_text(struct fingerprint_maker *m, struct span folded)
{
	size_t n = winnow(folded, on_gram, m);

	m->letters = n > UINT32_MAX - m->letters ? UINT32_MAX : m->letters + (uint32_t)n;
	pairs_sort(&m->text);
}

uint32_t
fingerprint_maker_hashes(const struct fingerprint_maker *m, uint32_t *letters)
{
	*letters = m->letters;
	return (uint32_t)m->text.n;
}

void
fingerprint_maker_drop(struct fingerprint_maker *m)
{
	m->text.n = 0;
	m->letters = 0;
}

bool
fingerprint_maker_put(struct fingerprint_maker *m, struct span name, int64_t added, bool ignored)
{
	struct fingerprint_document d = { .name = name, .added = added, .ignored = ignored,
		.hashes = (uint32_t)m->text.n, .letters = m->letters };
	bool had = fingerprint_maker_remove(m, name);
	uint32_t number = document_put(m, &d);

	for (size_t i = 0; i < m->text.n; i++)
		pair_put(&m->pairs, m->text.v[i].hash, number);
	fingerprint_maker_drop(m);
	return had;
}

/* --- writing ---------------------------------------------------------------------------- */

static void
put(struct buf *b, uint64_t v, unsigned bytes)
{
	char out[8];

	for (unsigned i = 0; i < bytes; i++)
		out[i] = (char)(v >> (8 * i));
	buf_put(b, out, bytes);
}

static int
name_order(const void *a, const void *b)
{
	const struct fingerprint_document *const *x = a, *const *y = b;
	size_t n = (*x)->name.n < (*y)->name.n ? (*x)->name.n : (*y)->name.n;
	int r = n ? memcmp((*x)->name.p, (*y)->name.p, n) : 0;

	return r ? r : ((*x)->name.n > (*y)->name.n) - ((*x)->name.n < (*y)->name.n);
}

/* Those that are still there, by name, have new numbers; the pairs of the others go. */
static size_t
renumber(struct fingerprint_maker *m, struct arena *a, const struct fingerprint_document ***order)
{
	const struct fingerprint_document **v = arena_array(a, m->ndocuments + 1, sizeof(*v));
	uint32_t *number = arena_array(a, m->ndocuments + 1, sizeof(*number));
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < m->ndocuments; i++) {
		number[i] = NOBODY;
		if (m->documents[i].name.n)
			v[n++] = &m->documents[i];
	}
	if (n)
		qsort(v, n, sizeof(*v), name_order);
	for (size_t i = 0; i < n; i++)
		number[v[i] - m->documents] = (uint32_t)i;
	for (size_t i = 0; i < m->pairs.n; i++) {
		uint32_t to = number[m->pairs.v[i].document];

		if (to != NOBODY)
			m->pairs.v[kept++] = (struct pair){ m->pairs.v[i].hash, to };
	}
	m->pairs.n = kept;
	*order = v;
	return n;
}

/* What the maker holds afterwards is what it has written. */
static void
settle(struct fingerprint_maker *m, const struct fingerprint_document *const *order, size_t n,
    struct arena *a)
{
	struct fingerprint_document *v = arena_array(a, n + 1, sizeof(*v));

	for (size_t i = 0; i < n; i++)
		v[i] = *order[i];
	m->ndocuments = 0;
	for (size_t i = 0; i < n; i++)
		document_put(m, &v[i]);
}

int
fingerprint_maker_write(struct fingerprint_maker *m, int64_t now, struct buf *out, struct err *err)
{
	struct arena *a = arena_new(0);
	const struct fingerprint_document **order;
	size_t n = renumber(m, a, &order), nhashes = 0, nlists = 0, documents = 0, next = 0;
	const struct pair *p;
	uint64_t sum;

	pairs_sort(&m->pairs);
	p = m->pairs.v;
	for (size_t i = 0, k; i < m->pairs.n; i = k, nhashes++) {
		for (k = i + 1; k < m->pairs.n && p[k].hash == p[i].hash; k++)
			;
		nlists += k - i > 1 ? k - i + 1 : 0;
	}
	for (size_t i = 0; i < n; i++)
		documents += 19 + order[i]->name.n;
	buf_put(out, "PSTNFPR1", 8);
	put(out, WINNOW_GRAM, 4);
	put(out, WINNOW_WINDOW, 4);
	put(out, 0, 8);
	buf_put(out, m->key, 16);
	put(out, n, 4);
	put(out, nhashes, 4);
	put(out, nlists, 4);
	put(out, documents, 4);
	put(out, (uint64_t)now, 8);
	for (size_t i = 0; i < n; i++) {
		put(out, order[i]->ignored, 1);
		put(out, (uint64_t)order[i]->added, 8);
		put(out, order[i]->hashes, 4);
		put(out, order[i]->letters, 4);
		put(out, order[i]->name.n, 2);
		buf_span(out, order[i]->name);
	}
	for (size_t i = 0; i < m->pairs.n; i++)
		if (i == 0 || p[i].hash != p[i - 1].hash)
			put(out, p[i].hash, 6);
	for (size_t i = 0, k; i < m->pairs.n; i = k) {
		for (k = i + 1; k < m->pairs.n && p[k].hash == p[i].hash; k++)
			;
		put(out, k - i > 1 ? SHARED | next : p[i].document, 4);
		next += k - i > 1 ? k - i + 1 : 0;
	}
	for (size_t i = 0, k; i < m->pairs.n; i = k) {
		for (k = i + 1; k < m->pairs.n && p[k].hash == p[i].hash; k++)
			;
		if (k - i > 1)
			put(out, k - i, 4);
		for (size_t s = i; k - i > 1 && s < k; s++)
			put(out, p[s].document, 4);
	}
	settle(m, order, n, a);
	arena_free(&a);
	if (buf_failed(out) || n > FINGERPRINT_DOCUMENTS_MAX)
		return err_set(err, EFBIG, "the index of fingerprints would be larger than %zu MiB or "
		    "hold more than %d documents: use two folders", out->max >> 20,
		    FINGERPRINT_DOCUMENTS_MAX);
	sum = fingerprints_checksum(buf_data(out));
	for (unsigned i = 0; i < 8; i++)
		out->p[out->head + 16 + i] = (char)(sum >> (8 * i));
	return 0;
}
