/* failures.h -- how often signing in has failed, by name and by address: pure, bounded.
 *
 * A count for each key in a table of FAILURES_SLOTS; each loses one every FAILURES_LEAK_US. Keys are hashes
 * (SipHash, a key for each process): who wants to push out another's count has to guess it. Of
 * those that fall into one place the larger counts stay.
 */
#ifndef STORE_FAILURES_H
#define STORE_FAILURES_H

#include "table.h"

#define FAILURES_SLOTS 8192
#define FAILURES_LEAK_US (INT64_C(90) * 1000000)

struct failures {
	uint8_t key[16];
	struct failures_slot { uint64_t key; uint32_t n; int64_t at; } slots[FAILURES_SLOTS];
};

uint32_t failures_count(const struct failures *f, struct span key, int64_t now);
void failures_add(struct failures *f, struct span key, uint32_t n, int64_t now);
void failures_forget(struct failures *f, struct span key);

#endif
