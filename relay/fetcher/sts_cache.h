/* sts_cache.h -- policies that hold, in memory and on the disk.
 *
 * One file for each domain, replaced whole (written beside it, synced, renamed); memory is what
 * counts, the files are read once at the start. Bounded: with STS_CACHE_MAX domains or
 * STS_CACHE_BYTES of policies the one that was asked for least lately goes.
 *
 * A policy lives for its max_age from when it was fetched, whatever the DNS says meanwhile: that is
 * the protection (RFC 8461, 10.2).
 */
#ifndef FETCHER_STS_CACHE_H
#define FETCHER_STS_CACHE_H

#include "net/dns.h"
#include "fetcher/sts_policy.h"
#include "postern/err.h"

#define STS_CACHE_MAX 10000
#define STS_CACHE_BYTES (64u << 20)

struct sts_cache;

struct sts_entry {
	char domain[DNS_NAME_MAX];
	char id[STS_ID_MAX + 1];	/* "": not known */
	int64_t fetched;		/* clock_real */
	uint32_t max_age;
	enum sts_mode mode;
	int64_t refresh_at;		/* clock_real: when to look whether it has changed */
	int64_t asked;			/* clock_real: for a delivery, last */
	char *body;
	size_t size;
};

/* Reads the folder. Before the sandbox. */
struct sts_cache *sts_cache_open(const char *path, int64_t now, struct err *err);
void sts_cache_close(struct sts_cache **c);
/* What holds now, or NULL. Good until the cache changes. */
struct sts_entry *sts_cache_get(struct sts_cache *c, struct span domain, int64_t now);
/* Body as sts_policy_write wrote it. It holds from now on, even when -1 says that the disk has not
 * got it. */
int sts_cache_put(struct sts_cache *c, struct span domain, const char *id,
    const struct sts_policy *p, int64_t now, struct err *err);
/* Calls back for each whose refresh_at has come, at most max; entries out of time are forgotten. */
void sts_cache_tick(struct sts_cache *c, int64_t now, size_t max,
    void (*due)(void *ctx, struct sts_entry *e), void *ctx);
size_t sts_cache_count(const struct sts_cache *c);

#endif
