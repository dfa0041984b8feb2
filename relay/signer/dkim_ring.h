/* dkim_ring.h -- the keys of a domain that `postern dkim` looks after, and where each stands.
 *
 *	publish -> active -> retired -> (removed)
 *
 * A key is made, published, found in the DNS, and only then signs; the one
 * before it signs no more but stays in the DNS until mail that is under way
 * has been verified. The states stand in a text file beside the keys,
 * keys/DOMAIN.dkim, one line for each: selector, algorithm, state, since when.
 * It is replaced as a whole (rename), so every step can be begun again.
 */
#ifndef SIGNER_DKIM_RING_H
#define SIGNER_DKIM_RING_H

#include "master/config.h"
#include "postern/arena.h"
#include "postern/err.h"

#define RING_KEYS_MAX 32
#define RING_RETIRE_DAYS 7	/* a retired key stays published that long */

enum ring_state { RING_PUBLISH, RING_ACTIVE, RING_RETIRED, RING_STATES };
const char *ring_state_name(enum ring_state s);

struct ring_key {
	struct span selector;
	bool ed25519;
	enum ring_state state;
	int64_t since;		/* Unix seconds */
	const char *path;	/* of the private key */
};

struct ring {
	const char *path;
	struct span domain;
	struct ring_key keys[RING_KEYS_MAX];
	size_t n;
};

/* No file: an empty ring. conf_path: postern.yaml. */
int ring_load(struct ring *r, const char *conf_path, struct span domain, struct arena *a,
    struct err *err);
int ring_save(const struct ring *r, struct err *err);
/* The file of a key of that selector, whether it is there or not. */
const char *ring_key_path(const char *conf_path, struct span selector, struct span domain,
    struct arena *a);
/* A key more, in state RING_PUBLISH; NULL: there are too many. */
struct ring_key *ring_add(struct ring *r, struct span selector, bool ed25519, const char *path,
    int64_t now);
void ring_remove(struct ring *r, size_t i);

/* Keys of a domain from both places, postern.yaml (they are active) and its ring. */
struct domain_key {
	struct span selector;
	bool ed25519;
	enum ring_state state;
	int64_t since;		/* 0: in postern.yaml */
	const char *path;
	unsigned line;		/* in postern.yaml; 0: of the ring */
};
/* -1: the ring cannot be read. */
int domain_keys(const struct config *c, const struct conf_domain *d, struct arena *a,
    const struct domain_key **out, size_t *n, struct err *err);

#endif
