/* dnsbl_cache.c -- what the lists said of an address; see dnsbl_cache.h.
 *
 * A table of buckets of eight. The hash is seeded, so that nobody can choose
 * addresses that push out a certain other one.
 */
#include <stdlib.h>

#include "addr.h"
#include "clock.h"
#include "verifier/dnsbl_cache.h"

#define UNKNOWN_TTL 60

struct entry {
	struct ip ip;			/* family 0: free */
	int64_t until;
	struct dnsbl_known known;
};

struct dnsbl_cache {
	size_t buckets;			/* a power of two */
	uint64_t seed;
	struct entry *entries;
};

struct dnsbl_cache *
dnsbl_cache_new(size_t entries, uint64_t seed)
{
	struct dnsbl_cache *c = calloc(1, sizeof(*c));

	ASSERT_MEMORY(c);
	c->seed = seed;
	for (c->buckets = 1; c->buckets * DNSBL_CACHE_WAYS < entries; c->buckets *= 2)
		;
	c->entries = calloc(c->buckets * DNSBL_CACHE_WAYS, sizeof(*c->entries));
	ASSERT_MEMORY(c->entries);
	return c;
}

void
dnsbl_cache_free(struct dnsbl_cache **cp)
{
	struct dnsbl_cache *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	free(c->entries);
	free(c);
}

void
dnsbl_cache_clear(struct dnsbl_cache *c)
{
	memset(c->entries, 0, c->buckets * DNSBL_CACHE_WAYS * sizeof(*c->entries));
}

static struct entry *
bucket(const struct dnsbl_cache *c, struct ip ip)
{
	uint64_t h = c->seed ^ ip.family, word;

	for (size_t i = 0; i < sizeof(ip.b); i += sizeof(word)) {
		memcpy(&word, ip.b + i, sizeof(word));
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return c->entries + (h & (c->buckets - 1)) * DNSBL_CACHE_WAYS;
}

bool
dnsbl_cache_get(const struct dnsbl_cache *c, struct ip ip, int64_t now, struct dnsbl_known *out)
{
	const struct entry *e = bucket(c, ip);

	for (size_t i = 0; i < DNSBL_CACHE_WAYS && e[i].ip.family; i++)
		if (ip_eq(e[i].ip, ip)) {
			if (e[i].until <= now)
				return false;
			*out = e[i].known;
			return true;
		}
	return false;
}

void
dnsbl_cache_put(struct dnsbl_cache *c, struct ip ip, int64_t now, const struct dnsbl_result *r)
{
	uint32_t ttl = r->unknown && r->ttl > UNKNOWN_TTL ? UNKNOWN_TTL : r->ttl;
	struct entry *e = bucket(c, ip);
	size_t at = 0;

	while (at < DNSBL_CACHE_WAYS - 1 && e[at].ip.family && !ip_eq(e[at].ip, ip))
		at++;
	/* the newest stands first; the last of a full bucket falls out */
	memmove(e + 1, e, at * sizeof(*e));
	e[0] = (struct entry){ ip, now + ttl * US_PER_SEC,
		{ r->blocked, r->allowed, r->unknown, r->score } };
}
