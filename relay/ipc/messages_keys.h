/* messages_keys.h -- the body of the frame by which the signer says the public halves of its keys. */
#ifndef IPC_MESSAGES_KEYS_H
#define IPC_MESSAGES_KEYS_H

#include "ipc/messages.h"

/* ---- DKIM_KEY: one for each key of postern.yaml and of the rings, unasked, to each delivery that comes ---- */
#define KEY_STATES 3			/* those of enum ring_state (signer/dkim_ring.h) */
struct msg_dkim_key {
	struct span domain, selector;
	bool ed25519;
	uint8_t state;
	int64_t since;			/* Unix seconds; 0: in postern.yaml */
	struct span record;		/* "v=DKIM1; …"; "" when it cannot be read */
	struct span why;		/* why not */
};
MSG_CODEC(dkim_key);

#endif
