/* cache.h -- what directories have answered, for a while.
 *
 * Pure: time is passed in (clock_real, so that what was saved keeps its age). An answer is fresh for
 * `found` or `missing`, and usable for `stale` beyond that, but only by who could not ask
 * (cache_get says which). Of a full cache the entry goes that was used longest ago. Keys and
 * values are copied.
 */
#ifndef DIRECTORY_CACHE_H
#define DIRECTORY_CACHE_H

#include "buf.h"
#include "postern/arena.h"
#include "postern/err.h"

#define CACHE_VALUES_MAX 1000		/* of one answer */
#define CACHE_BYTES_MAX (64u << 20)	/* of all keys and values together */

struct cache;

enum cache_age { CACHE_NONE, CACHE_FRESH, CACHE_STALE };

struct cached {
	bool found;			/* there is such an entry; else a certain no */
	const struct span *values;	/* borrowed until the next call that changes the cache */
	size_t n;
	int64_t made;			/* clock_real */
};

struct cache *cache_new(uint32_t entries);
void cache_free(struct cache **c);
void cache_put(struct cache *c, struct span key, bool found, const struct span *values, size_t n,
    int64_t now, int64_t fresh_for, int64_t stale_for);
enum cache_age cache_get(struct cache *c, struct span key, int64_t now, struct cached *out);
/* Entries whose key begins so are forgotten; how many. */
size_t cache_forget(struct cache *c, struct span prefix);
size_t cache_count(const struct cache *c);
uint64_t cache_changes(const struct cache *c);	/* grows with each answer that is kept */

/* As bytes, for a process that comes after this one: what is still usable at `now`, most recently
 * used first, as far as max bytes go. */
void cache_save(const struct cache *c, int64_t now, size_t max, struct buf *b);
/* -1: damaged; what was read before the damage is not kept. */
int cache_load(struct cache *c, struct span bytes, int64_t now, struct err *err);

#endif
