/* messages_verify.h -- what receivers and verifiers say to each other; codecs as in messages.h.
 *
 * A receiver announces a transaction (IDENTIFY) as soon as it has a recipient:
 * what needs no message begins then. VERIFY brings the same again, with the
 * message, so that any verifier can answer it, also one that has never heard of it.
 */
#ifndef IPC_MESSAGES_VERIFY_H
#define IPC_MESSAGES_VERIFY_H

#include "ipc/messages.h"

/* ---- IDENTIFY: who sends; there is no answer ---- */
struct msg_identify {
	uint64_t id;		/* of the transaction */
	struct ip client;
	struct span helo, sender, listener;
	bool relayed;		/* by a trusted relay: client, family 0 unknown, is what it says */
};

/* ---- VERIFY: the message as received; ticket answers with FACTS ---- */
struct msg_verify {
	struct msg_identify who;
	struct payload payload;
};

/* ---- FACTS ---- */
#define REMOVALS_MAX 1000
struct removal {		/* bytes of the message that must not go on: forged results */
	uint64_t at, n;
};
struct msg_facts {
	struct facts facts;	/* those of inbound mail */
	struct span header;	/* Authentication-Results, a whole field with its CRLF */
	const struct span *signed_by;	/* domains of signatures that fit */
	size_t nsigned_by;
	struct span summary;	/* one line for the log */
	bool refuse;		/* it cannot be made safe; text: "5.6.0 why" */
	struct span text;
	uint32_t forged;	/* fields that is */
	struct removal *removals;	/* rising, apart */
	size_t nremovals;
};
#define FACTS_HEADER_MAX (16u << 10)
#define FACTS_LISTS_MAX 64		/* blocklists a client may be on */
#define FACTS_SYMBOLS_MAX 256
#define FACTS_LINKS_MAX 64
#define FACTS_SIGNED_MAX 32
#define LISTINGS_MAX (2 * LIST_SIDES + ENVELOPE_RECIPIENTS_MAX * LISTINGS_PER_RECIPIENT)

/* Of inbound mail: in FACTS, and on to the scanner in SCAN. */
void facts_put(struct enc *e, const struct facts *f);
void facts_get(struct dec *d, struct arena *a, struct facts *f);

MSG_CODEC(identify);
MSG_CODEC(verify);
MSG_CODEC(facts);

#endif
