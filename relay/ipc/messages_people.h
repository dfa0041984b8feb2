/* messages_people.h -- the bodies of the frames about people who sign in to the console.
 *
 * PERSON_ASK and PERSON_TOLD carry JSON, one object each; see store/people.c. SCRYPT is the store's question to
 * the authenticator, which alone computes hashes: it takes 80 ms, in which the store would stop.
 */
#ifndef IPC_MESSAGES_PEOPLE_H
#define IPC_MESSAGES_PEOPLE_H

#include "ipc/messages.h"

/* ---- SCRYPT: ticket answers with SCRYPTED ---- */
struct msg_scrypt {
	struct span password;
	struct span hash;	/* is it that password's? "": make one */
};
struct msg_scrypted {
	enum login_status status;	/* RIGHT also of a hash that was made */
	struct span hash;	/* the one that was made */
};

MSG_CODEC(scrypt);
MSG_CODEC(scrypted);

#endif
