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

/* ---- ENTER: who wants to sign in, to the directory of console.login.ldap; ticket answers with ENTERED ---- */
struct msg_enter {
	struct span user, password;
	bool again;		/* he is in: is he still whom he was? Without a bind, and without a password */
};
struct msg_entered {
	enum login_status status;	/* the rest: of RIGHT */
	struct span name;	/* the one he is known by, whatever he typed; "": his entry has none */
	uint32_t roles;		/* PRINCIPAL_BIT */
	struct span domains, addresses;	/* lines */
};

MSG_CODEC(scrypt);
MSG_CODEC(scrypted);
MSG_CODEC(enter);
MSG_CODEC(entered);

#endif
