/* message.h -- a message from its first byte to the answer: collected, judged,
 * signed, handed to the queue. No event loop: frames are sent through links, answers come
 * in through the functions below, time is passed in.
 */
#ifndef RECEIVER_MESSAGE_H
#define RECEIVER_MESSAGE_H

#include "buf.h"
#include "ipc/channel.h"
#include "ipc/messages_verify.h"
#include "ipc/ticket.h"
#include "master/config.h"
#include "receiver/limits.h"
#include "receiver/smtp_session.h"

/* X(NAME, "name", "a phrase for people") */
#define MESSAGE_STATES(X) \
	X(COLLECT, "collect", "receiving it") \
	X(MEMBERS, "members", "asking who is in which group") \
	X(VERIFY, "verify", "finding out who sent it") \
	X(SCAN, "scan", "waiting for the verdict") \
	X(SIGN, "sign", "waiting for the signature") \
	X(SUBMIT, "submit", "waiting for the spool: may be sent more than once") \
	X(DONE, "done", "answered")
enum message_state {
#define X(name, text, phrase) MESSAGE_##name,
	MESSAGE_STATES(X)
#undef X
	MESSAGE_STATE_COUNT
};
const char *message_state_name(enum message_state s);

struct book;
struct message;
struct scanners;
struct verifiers;

/* All messages of a process, and what they need. */
struct messages {
	const struct config *conf;
	struct tickets *tickets;
	struct id_source *ids;
	struct scanners *scanners;
	struct verifiers *verifiers;	/* NULL: nothing comes from the world */
	struct link *queue, *signer;	/* NULL: down */
	const struct book *book;	/* lists of senders; NULL: none came yet */
	struct link *directory;		/* the newest; NULL: down, or there is none */
	const struct span *externals;	/* groups of directories that the policy needs */
	size_t nexternals;
	uint64_t memory;		/* bytes of all messages and envelopes that are here */
	uint64_t memory_max;		/* … and in all other receivers, through … */
	struct limits_table *limits;	/* NULL: this process counts alone */
	int column;
	int64_t now;			/* of the last tick */
	struct buf scratch;		/* frame bodies */
	struct message *first;		/* all that are under way */
	struct message *done, **done_tail;	/* to be answered at the end of the turn */
	/* Something stands in `done`: call messages_settle soon, not from within this. */
	void (*wake)(void *ctx);
	/* The answer for a connection's ticket (the message's id). Log and counters too. */
	void (*answered)(void *ctx, const struct message *m, const struct smtp_reply *r);
	/* That peer does not answer any more: it should be ended and replaced. */
	void (*hung)(void *ctx, struct link *l);
	/* That scanner retires and is done: its link is closed now. */
	void (*released)(void *ctx, struct link *l);
	void *ctx;
};

#define MESSAGE_HEAD_MAX PAYLOAD_INLINE_MAX
#define MESSAGE_HOPS_MAX 50
#define MESSAGE_OWN_HOPS_MAX 1

struct group {			/* recipients that get the same bytes: one entry of the queue */
	uint16_t variant;
	uint64_t id;
	struct envelope env;
	struct msg_decision *decisions;
	struct payload signing;	/* what the signer is given */
	struct span signature;	/* header fields from the signer */
	struct span sign_domain;	/* whose key signs; empty: nobody's */
	uint64_t parent;	/* the message it belongs to; 0: it is the message */
	bool copy;		/* of nobody the sender named: notes.c */
	bool notice;		/* a message of our own: */
	struct span bytes;
	uint64_t ticket;	/* open request; 0: none */
	struct link *asked;	/* the signer that has it; NULL: it waits for one */
	bool sent, accepted;
};

struct verification {		/* of who sent it: verifiers.c */
	bool pending;			/* asked, or to be asked */
	bool waiting;			/* for a verifier */
	uint8_t kills;			/* verifiers that died while they had it */
	uint64_t ticket;
	struct link *at;		/* the verifier that has it */
	int64_t until;			/* clock_mono */
	struct message *prev, *next;	/* waiting */
	struct facts facts;
	const struct span *signed_by;	/* domains of signatures that fit */
	size_t nsigned_by;
	struct span header;		/* Authentication-Results */
};

struct message {
	struct messages *all;
	struct message *prev, *next;		/* in all */
	struct message *next_done;
	struct message *prev_wait, *next_wait;	/* for a scanner */
	enum message_state state;
	uint8_t signers_gone;		/* while they had it */
	uint64_t id;
	uint64_t conn;			/* whose it is; 0: it has gone */
	struct smtp_transaction *t;	/* from the end of data on */
	uint64_t max_size;
	/* collected */
	struct buf head;		/* the first MESSAGE_HEAD_MAX bytes: all of a small message */
	struct buf tail;		/* gathered for the next write to fd */
	int fd;				/* memfd, -1 while it is small */
	uint64_t size;
	uint64_t charged;		/* of all->memory */
	bool too_large, no_memory, broken;
	/* judged */
	struct payload payload;		/* as received */
	struct span sign_domain;	/* whose key signs; empty: nobody's */
	struct memberships members;	/* what the directory said; no grid: nothing */
	struct verification verification;
	uint64_t ticket;		/* of SCAN or MEMBERS */
	uint8_t kills;			/* scanners that died of it */
	int64_t wait_until;		/* for a scanner, clock_mono */
	int64_t not_before;		/* clock_mono: no scanner gets it sooner */
	bool waiting;
	struct msg_verdict verdict;
	bool echo;			/* the echo address answers it: echo.c */
	enum outcome echo_outcome;	/* what would have become of that copy */
	struct group *groups;
	size_t ngroups;
	/* answered */
	struct smtp_reply refusal;	/* decided; said once its copies and notices are stored */
	struct smtp_reply reply;
	enum outcome outcome;		/* DEFER, REJECT when the verdict refused it */
};

struct message *message_new(struct messages *all, uint64_t id, uint64_t conn, uint64_t max_size);
void message_free(struct message **m);	/* NULL-safe; forgets everything under way */
void message_put(struct message *m, struct span bytes);
/* All is there. Takes the transaction. 0: the ticket's answer will come through `answered`;
 * else m stays with the caller, who sends r and frees it. */
int message_end(struct message *m, struct smtp_transaction *t, int64_t now, struct smtp_reply *r);
/* Its client is gone: given up, unless the queue may have it already. */
void message_orphan(struct message *m);

/* Signs its groups, then submits them: pipeline.c. */
void message_sign(struct message *m, int64_t now);

/* notes.c: groups for the copies and notices of the verdict, behind those there are; how many
 * there may be. */
size_t notes_wanted(const struct message *m);
void notes_add(struct message *m);
/* A notice that belongs to no message, or to one that is not there yet. */
void note_send(struct messages *all, uint64_t about, struct span to, struct span rule,
    struct span subject, struct span text, int64_t now);

/* Takes n bytes of the budget that all receivers share; false: there are not so many left. (Two
 * that ask at the same instant may both get the last ones.) */
bool messages_charge(struct messages *all, uint64_t n);
void messages_give_back(struct messages *all, uint64_t n);
/* m pays from now on for what was charged elsewhere. */
void message_charged(struct message *m, uint64_t n);

void messages_init(struct messages *all);
void messages_release(struct messages *all);
/* Answers from peers. -1: the body breaks the rules. A ticket that is not open: ignored. */
int messages_verdict(struct messages *all, struct link *l, struct frame *f, int64_t now);
int messages_signed(struct messages *all, struct frame *f, int64_t now);
int messages_accepted(struct messages *all, struct frame *f, int64_t now);
int messages_memberships(struct messages *all, struct frame *f, int64_t now);
/* next: who is asked from now on; NULL: nobody. */
void messages_directory_down(struct messages *all, const struct link *down, struct link *next,
    int64_t now);
/* The signer from now on (NULL: none); gone: one that has ended, or NULL. Messages that wait for a signature are
 * handed on. */
void messages_signer(struct messages *all, struct link *signer, const struct link *gone);
void messages_queue_down(struct messages *all);
void messages_tick(struct messages *all, int64_t now);
void messages_settle(struct messages *all);
/* The end is near: what is not with the queue yet is answered 421; its client keeps it. */
void messages_stop(struct messages *all);

/* ---- between message.c, pipeline.c and scanners.c ---- */
void message_finish(struct message *m, unsigned code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void message_judged(struct message *m, int64_t now);	/* m->verdict is there */
/* It killed two scanners or verifiers; why: for people. */
void message_unscannable(struct message *m, const char *why, int64_t now);
/* 1: the directory is asked, and the scanner afterwards; 0: there is nothing to ask. */
int message_ask_members(struct message *m, int64_t now);
void message_members_late(struct message *m, const char *why, int64_t now);
struct span message_hostname(const struct message *m);
int message_send_scan(struct message *m, struct link *l, uint64_t ticket);
/* Sends what stands in all->scratch, and the payload's descriptor with it. */
int message_send_body(struct message *m, struct link *l, enum frame_type type, uint64_t ticket,
    const struct payload *p);

/* ---- identity.c ---- */
bool message_is_foreign(const struct message *m);	/* who sent it is to be found out */
void message_identified(struct message *m, const struct msg_facts *f, int64_t now);
void message_to_scanner(struct message *m, int64_t now);	/* the directory has answered */

/* ---- listed.c ---- */
void message_lists(struct message *m);		/* what the lists of senders say of it, as facts */

/* What the decisions make of the message as a whole: 550 when all reject, 451 when any defers, else 0:
 * it is taken. text: of the refusal. */
unsigned verdict_answer(const struct msg_decision *d, size_t n, struct span *text);

/* ---- message_header.c: what the receiver needs to read of a header ---- */
/* The next field at the front of *rest, folding included; false at the end of the header. */
bool header_next(struct span *rest, struct span *name, struct span *value);
/* Received fields of the header; header: the start of the message, maybe cut. */
unsigned header_hops(struct span header);
/* How many of them say "by HOST", in any case. */
unsigned header_hops_by(struct span header, struct span host);
/* Why a message with this header is in a loop ("5.4.6 …"); NULL: it is not. */
const char *header_loop(struct span header, struct span our_name);
/* Domain of the first address of From:, lower case, in buf of 256; "" when there is none or
 * more than one From. */
struct span header_from_domain(struct span header, char buf[static 256]);
/* The first address of From: likewise, domain in lower case; "" when it is longer, or is not plain. */
#define MEMBERS_AUTHOR_MAX 512
struct span header_from_address(struct span header, char buf[static MEMBERS_AUTHOR_MAX]);
struct span header_received(struct arena *a, const struct envelope *env, uint64_t id,
    struct span hostname, struct span node, struct span only_recipient);

#endif
