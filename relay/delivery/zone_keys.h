/* zone_keys.h -- the public halves of our keys, as the signers have said them (DKIM_KEY).
 *
 * During a reload there are two signers; the one that was started last counts.
 */
#ifndef DELIVERY_ZONE_KEYS_H
#define DELIVERY_ZONE_KEYS_H

#include "ipc/channel.h"
#include "zone/zone.h"

#define ZONE_SIGNERS_MAX 16

struct zone_keys;

struct zone_keys *zone_keys_new(void);
void zone_keys_peer(struct zone_keys *k, struct link *signer, bool up);
/* -1: the body breaks the rules. */
int zone_keys_heard(struct zone_keys *k, struct link *signer, struct frame *f);
/* Those of the domain, in the arena. */
size_t zone_keys_of(const struct zone_keys *k, struct span domain, struct arena *a, const struct zone_key **out);

#endif
