/* frame.h -- the typed, length-checked frames the roles speak, and the one
 * table of who may send what to whom.
 *
 * On the wire (a stream socketpair on one machine, host byte order): struct
 * frame_head, then head.size bytes of body, encoded by the codec named in the
 * table (messages.h), never a memcpy of a struct. A frame that does not
 * decode, or that a role may not send, costs its sender its life, never the
 * receiver's.
 */
#ifndef IPC_FRAME_H
#define IPC_FRAME_H

#include "ipc/role.h"
#include "postern/span.h"

#define R(name) (1u << ROLE_##name)
#define R_ANY (R(RECEIVER) | R(SCANNER) | R(SIGNER) | R(QUEUE) | R(DELIVERY) | R(STORE) | \
	R(VERIFIER) | R(CONSOLE) | R(AUTHENTICATOR) | R(DIRECTORY) | R(FETCHER) | R(READER) | R(EDITOR) | \
	R(COUNTERS) | R(CLUSTER))

#define FRAME_SMALL (64u << 10)
#define FRAME_BIG (4u << 20)	/* the hard bound of every body */

/* X(NAME, from, to, largest body, file descriptors) */
#define FRAMES(X) \
	/* control: master and role */ \
	X(LISTENER, R(MASTER), R(RECEIVER) | R(CONSOLE), FRAME_SMALL, 1)	/* a bound socket */ \
	X(GO, R(MASTER), R_ANY, FRAME_SMALL, 0)			/* everything was handed over: work */ \
	X(READY, R_ANY, R(MASTER), FRAME_SMALL, 0)		/* loaded and sandboxed */ \
	X(PEER, R(MASTER), R_ANY, FRAME_SMALL, 1)		/* a channel to another role */ \
	X(CONFIG, R(MASTER), R_ANY, FRAME_SMALL, 1)		/* postern.yaml anew, a sealed memfd */ \
	X(LOG, R(MASTER), R_ANY, FRAME_SMALL, 1)		/* where to log from here on; without a descriptor: stderr */ \
	X(RETIRE, R(MASTER) | R(SCANNER) | R(VERIFIER), R_ANY, FRAME_SMALL, 0)	/* finish what is under way, then exit 0; a scanner or verifier: send me no more */ \
	X(WORKER, R(SCANNER), R(MASTER), FRAME_SMALL, 1)	/* the parent forked a worker: its control channel */ \
	X(CLIENT, R(MASTER), R_ANY, FRAME_BIG, 1)		/* a control client's socket and its request */ \
	X(POLICY, R(MASTER) | R(SCANNER), R(MASTER) | R(STORE), FRAME_SMALL, 1)	/* the policy in force: its archive */ \
	X(LISTS, R(STORE) | R(MASTER), R(MASTER) | R(RECEIVER), FRAME_SMALL, 1)	/* messages_lists.h */ \
	X(ANTIVIRUS, R(SCANNER), R(MASTER), FRAME_SMALL, 0)	/* how it is: messages_antivirus.h */ \
	X(BAYES, R(STORE) | R(MASTER), R(MASTER) | R(SCANNER), FRAME_SMALL, 1)	/* the classifier's model: messages_bayes.h */ \
	X(PULSE, R(MASTER), R_ANY, FRAME_SMALL, 0)		/* are you there? */ \
	X(ALIVE, R_ANY, R(MASTER), FRAME_SMALL, 0)		/* I am */ \
	X(FAULT, R_ANY, R(MASTER), FRAME_SMALL, 0)		/* that peer sent nonsense */ \
	/* the way of a message */ \
	X(IDENTIFY, R(RECEIVER), R(VERIFIER), FRAME_SMALL, 0)	/* messages_verify.h */ \
	X(VERIFY, R(RECEIVER), R(VERIFIER), FRAME_BIG, 1) \
	X(FACTS, R(VERIFIER), R(RECEIVER), FRAME_BIG, 0) \
	X(SCAN, R(RECEIVER), R(SCANNER), FRAME_BIG, 1) \
	X(VERDICT, R(SCANNER), R(RECEIVER), FRAME_BIG, 0) \
	X(INSPECT, R(STORE), R(SCANNER), FRAME_BIG, 1)		/* messages_inspect.h */ \
	X(INSPECTED, R(SCANNER), R(STORE), FRAME_BIG, 0) \
	X(PICTURE, R(SCANNER), R(READER), FRAME_SMALL, 1)	/* text in it is to be read */ \
	X(PICTURE_TEXT, R(READER), R(SCANNER), FRAME_BIG, 0) \
	X(SIGN, R(RECEIVER) | R(QUEUE) | R(STORE), R(SIGNER), FRAME_BIG, 1) \
	X(SIGNED, R(SIGNER), R(RECEIVER) | R(QUEUE) | R(STORE), FRAME_SMALL, 0) \
	X(PUBLISHED, R(DELIVERY), R(SIGNER), FRAME_SMALL, 0)	/* what the DNS says of a key */ \
	X(DKIM_KEY, R(SIGNER), R(DELIVERY), FRAME_SMALL, 0)	/* what the DNS should say of one: messages_keys.h */ \
	X(SUBMIT, R(RECEIVER) | R(STORE), R(QUEUE), FRAME_BIG, 1) \
	X(ACCEPTED, R(QUEUE), R(RECEIVER) | R(STORE), FRAME_SMALL, 0) \
	X(SEGMENT, R(QUEUE), R(DELIVERY) | R(STORE), FRAME_SMALL, 1)	/* a spool segment, read-only */ \
	X(SEGMENT_DROP, R(QUEUE), R(DELIVERY) | R(STORE), FRAME_SMALL, 0) \
	X(DELIVER, R(QUEUE), R(DELIVERY), FRAME_BIG, 1) \
	X(RESULT, R(DELIVERY), R(QUEUE), FRAME_BIG, 0) \
	X(KEEP, R(QUEUE), R(STORE), FRAME_BIG, 1) \
	X(KEPT, R(STORE), R(QUEUE), FRAME_SMALL, 0) \
	X(RCPT_ASK, R(RECEIVER), R(DELIVERY), FRAME_SMALL, 0)	/* messages_rcpt.h */ \
	X(RCPT_TOLD, R(DELIVERY), R(RECEIVER), FRAME_SMALL, 0) \
	X(BASIS, R(RECEIVER), R(STORE), FRAME_BIG, 0)		/* what a verdict rests on */ \
	X(LOGIN, R(RECEIVER), R(AUTHENTICATOR) | R(DIRECTORY), FRAME_SMALL, 0)	/* secret: wiped once sent or read */ \
	X(LOGIN_RESULT, R(AUTHENTICATOR) | R(DIRECTORY), R(RECEIVER), FRAME_SMALL, 0) \
	X(LOOKUP, R(RECEIVER) | R(DELIVERY), R(DIRECTORY), FRAME_SMALL, 0)	/* an attribute, for an address */ \
	X(FOUND, R(DIRECTORY), R(RECEIVER) | R(DELIVERY), FRAME_BIG, 0) \
	X(MEMBERS, R(RECEIVER) | R(DELIVERY), R(DIRECTORY), FRAME_BIG, 0)	/* which of these are in which groups? */ \
	X(MEMBERSHIPS, R(DIRECTORY), R(RECEIVER) | R(DELIVERY), FRAME_BIG, 0) \
	X(AS, R(CONSOLE) | R(EDITOR), R(MASTER), FRAME_BIG, 1)		/* as CLIENT, for one who signed in: principal.h */ \
	X(PERSON_ASK, R(CONSOLE), R(STORE), FRAME_SMALL, 0)	/* secret; who signs in, who asks: store/people.c */ \
	X(PERSON_TOLD, R(STORE), R(CONSOLE), FRAME_BIG, 0) \
	X(SCRYPT, R(STORE), R(AUTHENTICATOR), FRAME_SMALL, 0)	/* secret; messages_people.h */ \
	X(SCRYPTED, R(AUTHENTICATOR), R(STORE), FRAME_SMALL, 0) \
	X(ENTER, R(STORE), R(DIRECTORY), FRAME_SMALL, 0)	/* secret; messages_people.h */ \
	X(ENTERED, R(DIRECTORY), R(STORE), FRAME_BIG, 0) \
	X(OIDC_ASK, R(STORE), R(FETCHER), FRAME_SMALL, 0)	/* secret; messages_oidc.h */ \
	X(OIDC_TOLD, R(FETCHER), R(STORE), FRAME_BIG, 0) \
	X(APPROVE_ASK, R(CONSOLE), R(STORE), FRAME_SMALL, 0)	/* messages_approve.h */ \
	X(APPROVE_TOLD, R(STORE), R(CONSOLE), FRAME_BIG, 0) \
	X(DIGEST_ASK, R(CONSOLE), R(STORE), FRAME_SMALL, 0)	/* messages_digest.h */ \
	X(DIGEST_TOLD, R(STORE), R(CONSOLE), FRAME_BIG, 0) \
	X(EVENT, R(MASTER) | R(RECEIVER) | R(QUEUE) | R(DELIVERY) | R(COUNTERS), R(STORE), FRAME_BIG, 0) \
	X(EVENT_ACK, R(STORE), R(QUEUE), FRAME_SMALL, 0) \
	/* what nodes count together: messages_count.h */ \
	X(COUNT_ASK, R(RECEIVER), R(COUNTERS), FRAME_SMALL, 0) \
	X(COUNT_TOLD, R(COUNTERS), R(RECEIVER), FRAME_SMALL, 0) \
	X(COUNT_OWE, R(RECEIVER), R(COUNTERS), FRAME_SMALL, 0)	/* taken alone, to be counted later */ \
	X(COUNT_NOTE, R(RECEIVER) | R(STORE), R(COUNTERS), FRAME_SMALL, 0) \
	X(COUNT_LIST, R(RECEIVER), R(COUNTERS), FRAME_BIG, 0)	/* for people */ \
	X(COUNT_LISTED, R(COUNTERS), R(RECEIVER), FRAME_BIG, 0) \
	/* MTA-STS and TLS reports: messages_tls.h */ \
	X(STS_ASK, R(DELIVERY), R(FETCHER), FRAME_SMALL, 0) \
	X(STS_ANSWER, R(FETCHER), R(DELIVERY), FRAME_BIG, 0) \
	X(TLS_SEEN, R(DELIVERY), R(STORE), FRAME_BIG, 0) \
	X(RUA_ASK, R(STORE), R(DELIVERY), FRAME_SMALL, 0)	/* who wants to hear of a domain's TLS? */ \
	X(RUA, R(DELIVERY), R(STORE), FRAME_SMALL, 0) \
	X(POST, R(STORE), R(FETCHER), FRAME_BIG, 0) \
	X(POSTED, R(FETCHER), R(STORE), FRAME_SMALL, 0) \
	X(EXPORT, R(STORE), R(FETCHER), FRAME_BIG, 0)		/* events for others: messages_export.h */ \
	X(EXPORTED, R(FETCHER), R(STORE), FRAME_SMALL, 0) \
	/* the shared base: messages_base.h */ \
	X(SHARE, R(STORE), R(CLUSTER), FRAME_BIG, 1)		/* rows for it */ \
	X(SHARED, R(CLUSTER), R(STORE), FRAME_SMALL, 0)		/* it has them; how it is */ \
	X(BASE_ASK, R(STORE), R(CLUSTER), FRAME_BIG, 0) \
	X(BASE_TOLD, R(CLUSTER), R(STORE), FRAME_BIG, 1)

enum frame_type {
	FRAME_NONE,
#define X(name, from, to, max, fds) FRAME_##name,
	FRAMES(X)
#undef X
	FRAME_COUNT
};
const char *frame_name(enum frame_type t);
struct frame_rule {		/* a row of the table */
	const char *name;
	uint32_t from, to;	/* 1 << role */
	uint32_t max_body;
	uint16_t max_fds;
};
const struct frame_rule *frame_rule(uint16_t type);	/* NULL: no such type */

/* Who has a channel to whom: the master hands both ends out. X(one, other) */
#define LINKS(X) \
	X(RECEIVER, SCANNER) X(RECEIVER, SIGNER) X(RECEIVER, QUEUE) X(RECEIVER, STORE) \
	X(QUEUE, DELIVERY) X(QUEUE, STORE) X(QUEUE, SIGNER) X(DELIVERY, STORE) X(DELIVERY, SIGNER) \
	X(RECEIVER, AUTHENTICATOR) X(RECEIVER, DIRECTORY) X(RECEIVER, DELIVERY) X(DELIVERY, DIRECTORY) \
	X(DELIVERY, FETCHER) X(STORE, FETCHER) X(STORE, SIGNER) X(SCANNER, READER) \
	X(RECEIVER, VERIFIER) X(CONSOLE, STORE) X(STORE, AUTHENTICATOR) X(STORE, SCANNER) X(STORE, DIRECTORY) \
	X(RECEIVER, COUNTERS) X(COUNTERS, STORE) \
	X(STORE, CLUSTER)

/* A request is known by its ticket, never by a pointer: the answer carries the
 * same one, and an answer whose ticket is no longer open is dropped. 0: no request. */
struct frame_head {
	uint32_t size;
	uint16_t type;
	uint16_t nfds;
	uint64_t ticket;
};

struct frame {
	enum frame_type type;
	uint64_t ticket;
	struct span body;	/* borrowed until the channel reads again */
	int fd;			/* -1: none. The handler owns it and sets it to -1 when it keeps it */
};

#endif
