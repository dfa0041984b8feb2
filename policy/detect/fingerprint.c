/* fingerprint.c -- reads an index of fingerprints, and looks hashes up in it; see fingerprint.h.
 *
 * Everything is checked once, so that look-ups need not: each number of the
 * file is within its bounds and the parts fill it exactly.
 */
#include "postern/fingerprint.h"
#include "table.h"
#include "utf8.h"
#include "winnow.h"

#define MAGIC "PSTNFPR1"
#define CHECKED 24		/* where what the checksum covers begins */
#define HEAD 64
#define SHARED (UINT32_C(1) << 31)

static uint64_t
get(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static uint32_t
get32(const uint8_t *p)
{
	return (uint32_t)get(p, 4);
}

uint64_t
fingerprint_hash(const uint8_t key[16], const uint8_t *gram, size_t n)
{
	return siphash(key, gram, n) >> 16;
}

uint64_t
fingerprints_checksum(struct span file)
{
	static const uint8_t key[16] = "fingerprint file";

	return file.n < CHECKED ? 0 : siphash(key, file.p + CHECKED, file.n - CHECKED);
}

static bool
name_fine(struct span s)
{
	if (s.n == 0 || s.n > FINGERPRINT_NAME_MAX)
		return false;
	for (size_t i = 0; i < s.n;) {
		uint32_t c;
		size_t n = utf8_next(s.p + i, s.n - i, &c);

		if (n == 0 || c < 0x20 || c == 0x7f)
			return false;
		i += n;
	}
	return true;
}

static bool
name_before(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = memcmp(a.p, b.p, n);

	return r < 0 || (r == 0 && a.n < b.n);
}

static bool
read_documents(struct fingerprints *f, struct span s, struct arena *a)
{
	size_t at = 0;

	if (f->ndocuments > s.n / 19)
		return false;
	f->documents = arena_array(a, f->ndocuments + 1, sizeof(*f->documents));
	for (uint32_t i = 0; i < f->ndocuments; i++) {
		struct fingerprint_document *d = &f->documents[i];
		const uint8_t *p = (const uint8_t *)s.p + at;
		size_t n;

		if (s.n - at < 19)
			return false;
		d->ignored = p[0] & 1;
		d->added = (int64_t)get(p + 1, 8);
		d->hashes = get32(p + 9);
		d->letters = get32(p + 13);
		n = (size_t)get(p + 17, 2);
		at += 19;
		d->name = span_sub(s, at, n);
		if (p[0] > 1 || d->name.n != n || !name_fine(d->name) ||
		    (i > 0 && !name_before(d[-1].name, d->name)))
			return false;
		at += n;
	}
	return at == s.n;
}

static bool
read_hashes(struct fingerprints *f, struct arena *a)
{
	uint32_t b = 0;

	while (f->bits < 24 && (f->nhashes >> (f->bits + 2)) > 0)
		f->bits++;
	f->buckets = arena_array(a, ((size_t)1 << f->bits) + 1, sizeof(*f->buckets));
	for (uint32_t i = 0; i < f->nhashes; i++) {
		uint64_t h = get(f->hashes + (size_t)i * 6, 6);

		if (i > 0 && h <= get(f->hashes + (size_t)(i - 1) * 6, 6))
			return false;
		while (b <= h >> (48 - f->bits))
			f->buckets[b++] = i;
	}
	while (b <= UINT32_C(1) << f->bits)
		f->buckets[b++] = f->nhashes;
	return true;
}

static bool
read_owner(const struct fingerprints *f, uint32_t document, uint32_t *have)
{
	if (document >= f->ndocuments)
		return false;
	have[document]++;
	return true;
}

/* Lists follow each other in the order of the hashes they belong to. */
static bool
read_owners(struct fingerprints *f, struct arena *a)
{
	uint32_t *have = arena_array(a, f->ndocuments + 1, sizeof(*have)), next = 0;

	f->ignored = arena_array(a, (size_t)f->nhashes / 8 + 1, 1);
	for (uint32_t i = 0; i < f->nhashes; i++) {
		uint32_t owner = get32(f->owners + (size_t)i * 4), n = 1, at;
		bool ignored = false;

		if (!(owner & SHARED)) {
			if (!read_owner(f, owner, have))
				return false;
			ignored = f->documents[owner].ignored;
		} else {
			if ((owner & ~SHARED) != next || next >= f->nlists)
				return false;
			n = get32(f->lists + (size_t)next * 4);
			if (n < 2 || n > f->nlists - next - 1)
				return false;
			at = next + 1;
			next += n + 1;
			for (uint32_t k = 0; k < n; k++) {
				uint32_t d = get32(f->lists + (size_t)(at + k) * 4);

				if (!read_owner(f, d, have) ||
				    (k > 0 && d <= get32(f->lists + (size_t)(at + k - 1) * 4)))
					return false;
				ignored |= f->documents[d].ignored;
			}
		}
		if (ignored)
			f->ignored[i / 8] |= (uint8_t)(1 << i % 8);
		for (int64_t d; !ignored && n > 0;)
			if ((d = fingerprints_owner(f, i, --n)) >= 0)
				f->documents[d].counted++;
	}
	for (uint32_t i = 0; i < f->ndocuments; i++)
		if (have[i] != f->documents[i].hashes)
			return false;
	return next == f->nlists;
}

int
fingerprints_read(struct span bytes, struct arena *a, struct fingerprints *out, struct err *err)
{
	const uint8_t *p = (const uint8_t *)bytes.p;
	struct fingerprints f = { 0 };
	uint64_t size;
	uint32_t documents;

	if (bytes.n < 8 || memcmp(p, MAGIC, 8) != 0) {
		if (bytes.n >= 7 && memcmp(p, MAGIC, 7) == 0)
			return err_set(err, 0, "the index of fingerprints is of another version of Postern");
		return err_set(err, 0, "this is no index of fingerprints");
	}
	if (bytes.n < HEAD)
		return err_set(err, 0, "the index of fingerprints is cut off: %zu bytes", bytes.n);
	if (get32(p + 8) != WINNOW_GRAM || get32(p + 12) != WINNOW_WINDOW)
		return err_set(err, 0, "the index of fingerprints was made with grams of %u and windows "
		    "of %u, not %d and %d: make it anew", get32(p + 8), get32(p + 12), WINNOW_GRAM,
		    WINNOW_WINDOW);
	memcpy(f.key, p + 24, 16);
	f.ndocuments = get32(p + 40);
	f.nhashes = get32(p + 44);
	f.nlists = get32(p + 48);
	documents = get32(p + 52);
	f.made = (int64_t)get(p + 56, 8);
	size = HEAD + (uint64_t)documents + (uint64_t)f.nhashes * 10 + (uint64_t)f.nlists * 4;
	if (bytes.n < size)
		return err_set(err, 0, "the index of fingerprints is cut off: %zu of %llu bytes", bytes.n,
		    (unsigned long long)size);
	if (get(p + 16, 8) != fingerprints_checksum(bytes))
		return err_set(err, 0, "the index of fingerprints is damaged: its checksum does not fit");
	f.hashes = p + HEAD + documents;
	f.owners = f.hashes + (size_t)f.nhashes * 6;
	f.lists = f.owners + (size_t)f.nhashes * 4;
	if (bytes.n != size || f.ndocuments > FINGERPRINT_DOCUMENTS_MAX || f.nlists >= SHARED ||
	    !read_documents(&f, span_sub(bytes, HEAD, documents), a) || !read_hashes(&f, a) ||
	    !read_owners(&f, a))
		return err_set(err, 0, "the index of fingerprints is damaged");
	f.bytes = bytes;
	*out = f;
	return 0;
}

int64_t
fingerprints_find(const struct fingerprints *f, uint64_t hash)
{
	uint64_t b = hash >> (48 - f->bits);
	uint32_t lo = f->buckets[b], hi = f->buckets[b + 1];

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		uint64_t h = get(f->hashes + (size_t)mid * 6, 6);

		if (h == hash)
			return mid;
		if (h < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return -1;
}

bool
fingerprints_ignored(const struct fingerprints *f, uint32_t place)
{
	return f->ignored[place / 8] >> place % 8 & 1;
}

int64_t
fingerprints_owner(const struct fingerprints *f, uint32_t place, uint32_t i)
{
	uint32_t owner = get32(f->owners + (size_t)place * 4);

	if (!(owner & SHARED))
		return i == 0 ? (int64_t)owner : -1;
	owner &= ~SHARED;
	if (i >= FINGERPRINT_OWNERS_MAX || i >= get32(f->lists + (size_t)owner * 4))
		return -1;
	return get32(f->lists + (size_t)(owner + 1 + i) * 4);
}
