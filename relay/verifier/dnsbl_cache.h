/* dnsbl_cache.h -- what the lists said of an address, remembered as long as they meant it.
 *
 * The resolver has a cache of its own; this one saves the questions: a client
 * that connects again costs one look here instead of one for each list. Bounded:
 * when it is full, the entry that has lain longest in its bucket makes room. Pure.
 */
#ifndef VERIFIER_DNSBL_CACHE_H
#define VERIFIER_DNSBL_CACHE_H

#include "verifier/dnsbl.h"

#define DNSBL_CACHE_WAYS 8	/* entries that share a bucket */

struct dnsbl_known {
	uint32_t blocked, allowed, unknown;
	int score;
};

struct dnsbl_cache;

/* entries: rounded up to a power of two, 8 at least; 48 bytes each. */
struct dnsbl_cache *dnsbl_cache_new(size_t entries, uint64_t seed);
void dnsbl_cache_free(struct dnsbl_cache **c);
/* now: microseconds of any clock that never goes back. */
bool dnsbl_cache_get(const struct dnsbl_cache *c, struct ip ip, int64_t now, struct dnsbl_known *out);
/* A result with unknown lists is kept for a minute at most. */
void dnsbl_cache_put(struct dnsbl_cache *c, struct ip ip, int64_t now, const struct dnsbl_result *r);
void dnsbl_cache_clear(struct dnsbl_cache *c);	/* the lists have changed */

#endif
