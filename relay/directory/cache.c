/* cache.c -- what directories have answered; see cache.h.
 *
 * A table by key and one list by use. The saved form begins with a magic number and ends
 * in a checksum: one process may read while its predecessor writes.
 */
#include <errno.h>
#include <stdlib.h>

#include "directory/cache.h"
#include "ipc/codec.h"
#include "table.h"

#define MAGIC UINT64_C(0x3143504c44415031)	/* and the version */
#define KEY_MAX 16384

struct entry {
	struct entry *newer, *older;
	struct span key;
	int64_t made, fresh_until, stale_until;
	bool found;
	size_t n, bytes;
	struct span values[];
};

struct cache {
	struct table *table;
	struct entry *newest, *oldest;
	uint32_t max;
	size_t bytes;
	uint64_t changes;
};

struct cache *
cache_new(uint32_t entries)
{
	struct cache *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL && entries > 0);
	c->table = table_new();
	c->max = entries;
	return c;
}

static void
unlink_entry(struct cache *c, struct entry *e)
{
	*(e->newer ? &e->newer->older : &c->newest) = e->older;
	*(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void
link_newest(struct cache *c, struct entry *e)
{
	e->newer = NULL;
	e->older = c->newest;
	*(e->older ? &e->older->newer : &c->oldest) = e;
	c->newest = e;
}

static void
drop(struct cache *c, struct entry *e)
{
	table_remove(c->table, e->key);
	unlink_entry(c, e);
	c->bytes -= e->bytes;
	free(e);
}

void
cache_free(struct cache **cp)
{
	struct cache *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	while (c->oldest)
		drop(c, c->oldest);
	table_free(&c->table);
	free(c);
}

/* One block: the struct, its spans, then all texts. */
static struct entry *
entry_new(struct span key, bool found, const struct span *values, size_t n)
{
	size_t bytes = sizeof(struct entry) + n * sizeof(*values) + key.n;
	struct entry *e;
	char *p;

	for (size_t i = 0; i < n; i++)
		bytes += values[i].n;
	e = malloc(bytes);
	ASSERT(e != NULL);
	*e = (struct entry){ .found = found, .n = n, .bytes = bytes };
	p = (char *)&e->values[n];
	e->key = span_make(p, key.n);
	memcpy(p, key.p, key.n);
	p += key.n;
	for (size_t i = 0; i < n; i++) {
		if (values[i].n)
			memcpy(p, values[i].p, values[i].n);
		e->values[i] = span_make(p, values[i].n);
		p += values[i].n;
	}
	return e;
}

static void
insert(struct cache *c, struct entry *e)
{
	struct entry *old = table_get(c->table, e->key);

	if (old)
		drop(c, old);
	while (c->oldest && (table_count(c->table) >= c->max ||
	    c->bytes + e->bytes > CACHE_BYTES_MAX))
		drop(c, c->oldest);
	table_put(c->table, e->key, e);
	link_newest(c, e);
	c->bytes += e->bytes;
}

void
cache_put(struct cache *c, struct span key, bool found, const struct span *values, size_t n,
    int64_t now, int64_t fresh_for, int64_t stale_for)
{
	struct entry *e;

	ASSERT(key.n > 0 && key.n <= KEY_MAX && n <= CACHE_VALUES_MAX);
	c->changes++;
	e = entry_new(key, found, values, n);
	e->made = now;
	e->fresh_until = now + fresh_for;
	e->stale_until = e->fresh_until + stale_for;
	insert(c, e);
}

enum cache_age
cache_get(struct cache *c, struct span key, int64_t now, struct cached *out)
{
	struct entry *e = table_get(c->table, key);

	if (e == NULL)
		return CACHE_NONE;
	/* Made later than now: the clock was set back, and its age cannot be told. */
	if (now < e->made || now >= e->stale_until) {
		drop(c, e);
		return CACHE_NONE;
	}
	unlink_entry(c, e);
	link_newest(c, e);
	*out = (struct cached){ .found = e->found, .values = e->values, .n = e->n,
		.made = e->made };
	return now < e->fresh_until ? CACHE_FRESH : CACHE_STALE;
}

size_t
cache_forget(struct cache *c, struct span prefix)
{
	struct entry *e, *next;
	size_t n = 0;

	for (e = c->newest; e; e = next) {
		next = e->older;
		if (!span_starts(e->key, prefix))
			continue;
		drop(c, e);
		c->changes++;
		n++;
	}
	return n;
}

uint64_t
cache_changes(const struct cache *c)
{
	return c->changes;
}

size_t
cache_count(const struct cache *c)
{
	return table_count(c->table);
}

/* ---- saved ---- */

static uint64_t
checksum(struct span s)
{
	static const uint8_t key[16] = "directory cache";

	return siphash(key, s.p, s.n);
}

static size_t
saved_size(const struct entry *e)
{
	return 4 + e->key.n + 3 * 8 + 1 + 4 + e->bytes + 4 * e->n;
}

void
cache_save(const struct cache *c, int64_t now, size_t max, struct buf *b)
{
	struct enc en = { b };
	size_t from = buf_size(b);
	uint32_t n = 0;
	size_t bytes = 64;
	const struct entry *e;

	/* The most recently used are the first that are kept; the oldest of them comes first in
	 * the file, so that loading leaves them in the same order. */
	for (e = c->newest; e && bytes + saved_size(e) <= max; e = e->older)
		bytes += saved_size(e);
	enc_u64(&en, MAGIC);
	for (const struct entry *k = e ? e->newer : c->oldest; k; k = k->newer)
		n += k->stale_until > now;
	enc_u32(&en, n);
	for (const struct entry *k = e ? e->newer : c->oldest; k; k = k->newer) {
		if (k->stale_until <= now)
			continue;
		enc_span(&en, k->key);
		enc_i64(&en, k->made);
		enc_i64(&en, k->fresh_until);
		enc_i64(&en, k->stale_until);
		enc_u8(&en, k->found);
		enc_u32(&en, (uint32_t)k->n);
		for (size_t i = 0; i < k->n; i++)
			enc_span(&en, k->values[i]);
	}
	if (!buf_failed(b))
		enc_u64(&en, checksum(span_from(buf_data(b), from)));
}

static struct entry *
load_one(struct dec *d, struct span *values)
{
	struct span key = dec_span(d);
	struct entry head = { 0 }, *e;

	head.made = dec_i64(d);
	head.fresh_until = dec_i64(d);
	head.stale_until = dec_i64(d);
	head.found = dec_enum(d, 2);
	head.n = dec_count(d, CACHE_VALUES_MAX, 4);
	for (size_t i = 0; i < head.n; i++)
		values[i] = dec_span(d);
	if (d->bad || key.n == 0 || key.n > KEY_MAX || head.made > head.fresh_until ||
	    head.fresh_until > head.stale_until) {
		d->bad = true;
		return NULL;
	}
	e = entry_new(key, head.found, values, head.n);
	e->made = head.made;
	e->fresh_until = head.fresh_until;
	e->stale_until = head.stale_until;
	return e;
}

int
cache_load(struct cache *c, struct span bytes, int64_t now, struct err *err)
{
	struct span *values;
	struct dec d;
	uint32_t n;

	if (bytes.n < 20)
		return err_set(err, EINVAL, "too short");
	dec_init(&d, span_from(bytes, bytes.n - 8));
	if (dec_u64(&d) != checksum(span_sub(bytes, 0, bytes.n - 8)))
		return err_set(err, EINVAL, "its checksum does not fit");
	dec_init(&d, span_sub(bytes, 0, bytes.n - 8));
	if (dec_u64(&d) != MAGIC)
		return err_set(err, EINVAL, "of another version");
	values = calloc(CACHE_VALUES_MAX, sizeof(*values));
	ASSERT(values != NULL);
	n = dec_count(&d, UINT32_MAX, 4 + 3 * 8 + 1 + 4);
	for (uint32_t i = 0; i < n; i++) {
		struct entry *e = load_one(&d, values);

		if (e == NULL)
			break;
		if (e->stale_until <= now || e->made > now)
			free(e);
		else
			insert(c, e);
	}
	free(values);
	if (dec_done(&d))
		return 0;
	cache_forget(c, SPAN_LIT(""));
	return err_set(err, EINVAL, "damaged");
}
