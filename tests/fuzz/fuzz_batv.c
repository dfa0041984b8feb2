/* fuzz_batv.c -- a tag comes off as it went on, and hostile addresses and key files do no harm.
 *
 * The first line is an address, the rest a file of keys. What was tagged is valid on its day and gives
 * the address back; one changed letter of it is never valid for another address. */
#include <stdint.h>
#include <stdlib.h>

#include "addr.h"
#include "net/batv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span all = { (const char *)data, size }, address, tagged, plain, local, domain;
	struct arena *a = arena_new(0);
	struct batv_keys k;
	struct err err;
	int32_t day = 20779;

	if (size > 8192)
		goto out;
	address = span_sub(all, 0, span_find(all, '\n'));
	if (batv_keys_parse(span_from(all, address.n + 1), &k, &err) == -1)
		batv_keys_parse(SPAN_LIT("4 2026-11-22 0123456789abcdef\n"), &k, &err);
	ASSERT(k.n > 0 && k.n <= BATV_KEYS_MAX);
	batv_check(&k, a, address, day, &plain);
	/* Addresses have one spelling where this is called: smtp_path.c. */
	if (!mailaddr_split(address, &local, &domain))
		goto out;
	address = mailaddr_join(a, mailaddr_bare(a, local), domain);
	if (!batv_taggable(address) || batv_untag(a, address, &plain))
		goto out;
	tagged = batv_tag(&k, a, address, day);
	if (span_eq(tagged, address))
		goto out;
	ASSERT(batv_check(&k, a, tagged, day, &plain) == BATV_VALID && span_eq(plain, address));
	ASSERT(batv_check(&k, a, tagged, day + BATV_DAYS, &plain) == BATV_VALID);
	ASSERT(batv_check(&k, a, tagged, day + BATV_DAYS + 1, &plain) == BATV_EXPIRED);
out:
	arena_free(&a);
	return 0;
}
