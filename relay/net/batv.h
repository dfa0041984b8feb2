/* batv.h -- envelope senders that bounces can be known by: BATV, the tag `prvs`
 * (draft-levine-smtp-batv-01).
 *
 *	prvs=KDDDSSSSSS=local@domain
 *
 * K is the number of the key, DDD the day it ends (days since 1970, modulo 1000), SSSSSS the first three
 * bytes of HMAC-SHA1(key, "KDDDlocal@domain") in hexadecimal. The address is hashed in lower case: servers
 * on the way change case. Who forges our address as a sender cannot make the tag, and what bounces
 * to an address without one is no bounce of ours.
 *
 * Pure but for batv_keys_load.
 */
#ifndef NET_BATV_H
#define NET_BATV_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

#define BATV_KEYS_MAX 10	/* K is one digit */
#define BATV_SECRET_MAX 64	/* bytes; a block of SHA-1 */
#define BATV_SECRET_MIN 16
#define BATV_DAYS 7		/* a tag is good for so long */
#define BATV_LOCAL_MAX 48	/* RFC 5321, 4.5.3.1.1 allows 64, and the tag has 16: longer ones stay as they are */

/* A key file has a line for each key: its digit, the day it was made, the secret. The first signs, all
 * of them verify. '#' begins a comment.
 *
 *	1 2026-11-22 c0ffee…
 */
struct batv_keys {
	struct batv_key {
		uint8_t digit;
		uint8_t size;
		int32_t made;			/* days since 1970 */
		char secret[BATV_SECRET_MAX];
	} key[BATV_KEYS_MAX];
	size_t n;
};

int batv_keys_parse(struct span text, struct batv_keys *k, struct err *err);
/* Refuses a file that others than its owner may read. */
int batv_keys_load(const char *path, struct batv_keys *k, struct err *err);
void batv_keys_wipe(struct batv_keys *k);
int32_t batv_keys_since(const struct batv_keys *k);	/* the day the eldest was made */
int32_t batv_day(int64_t now);				/* of Unix microseconds */
bool batv_date(struct span text, int32_t *day);		/* "2026-11-22" */

/* The address with the tag of that day; itself where it cannot carry one or has one already, and
 * the null sender. All of a day are the same, so that greylisting elsewhere sees one sender. */
struct span batv_tag(const struct batv_keys *k, struct arena *a, struct span address, int32_t day);

/* Could it carry a tag? Bounces to one that cannot come without. */
bool batv_taggable(struct span address);

/* X(NAME, "name") */
#define BATV_RESULTS(X) X(UNTAGGED, "untagged") X(VALID, "valid") X(EXPIRED, "expired") X(FORGED, "forged")
enum batv_result {
#define X(name, text) BATV_##name,
	BATV_RESULTS(X)
#undef X
	BATV_RESULT_COUNT
};
const char *batv_result_name(enum batv_result r);

/* What it is; *plain: the address without its tag, also of a forged one. */
enum batv_result batv_check(const struct batv_keys *k, struct arena *a, struct span address,
    int32_t day, struct span *plain);
/* Only by its shape: false where there is no tag. */
bool batv_untag(struct arena *a, struct span address, struct span *plain);

#endif
