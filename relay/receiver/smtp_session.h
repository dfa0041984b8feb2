/* smtp_session.h -- the server's side of one SMTP session, as a pure machine.
 *
 * step(machine, input) -> MORE, SAY, WAIT(ticket), TLS, DONE. No socket, no event
 * loop, no clock: bytes, answers and the time come in, replies go out through
 * `out`, and what needs knowledge of the world is asked of smtp_ops. So the
 * daemon, `postern simulate`, the tests and the fuzzers run the same machine.
 */
#ifndef RECEIVER_SMTP_SESSION_H
#define RECEIVER_SMTP_SESSION_H

#include "buf.h"
#include "id.h"
#include "postern/envelope.h"
#include "postern/facts.h"
#include "receiver/smtp_auth.h"
#include "receiver/smtp_data.h"
#include "receiver/smtp_lines.h"
#include "receiver/smtp_wire.h"
#include "receiver/xclient.h"

/* X(NAME, "name", "a phrase for people": "lost connection while …") */
#define SMTP_STATES(X) \
	X(CONNECT, "connect", "waiting for EHLO") \
	X(GREETED, "greeted", "waiting for a message") \
	X(SENDER, "sender", "waiting for the first recipient") \
	X(RECIPIENTS, "recipients", "waiting for more recipients or DATA") \
	X(ASKING, "asking", "asking whether it may go on") \
	X(BODY, "body", "receiving the message") \
	X(CHUNK, "chunk", "receiving a chunk of the message") \
	X(CHUNKS, "chunks", "waiting for the next chunk") \
	X(SKIP, "skip", "skipping a refused chunk") \
	X(JUDGED, "judged", "waiting for the verdict and the spool: may be sent more than once") \
	X(HANDSHAKE, "handshake", "shaking hands for TLS") \
	X(AUTH, "auth", "waiting for credentials") \
	X(CHECKING, "checking", "checking credentials") \
	X(OVER, "over", "closing")
enum smtp_state {
#define X(name, text, phrase) SMTP_##name,
	SMTP_STATES(X)
#undef X
	SMTP_STATE_COUNT
};
const char *smtp_state_name(enum smtp_state s);
const char *smtp_state_phrase(enum smtp_state s);

/* What comes now is a message, not commands. */
static inline bool
smtp_receives(enum smtp_state s)
{
	return s == SMTP_BODY || s == SMTP_CHUNK || s == SMTP_CHUNKS || s == SMTP_SKIP;
}

/* What a listener promises; shared by its sessions, outlives them. */
struct smtp_site {
	struct span hostname;
	struct span banner;		/* text of the 220 behind the name; empty: "ESMTP Postern" */
	struct span postmaster;		/* whom RCPT TO:<postmaster> means */
	uint64_t max_size;
	uint32_t recipients;		/* for each message */
	uint32_t errors;		/* without delivering a message; then 421 */
	bool tls, tls_required;		/* STARTTLS is offered; nothing goes on without it */
	bool auth;			/* AUTH is offered behind TLS */
	uint32_t messages;		/* MAIL in one session; then 421 */
	bool normalise;			/* bare CR and LF in a message become CRLF */
};

/* text starts with the enhanced code: "5.7.1 no". It is copied before the call that takes it
 * returns. code 0: no reply, go on. */
struct smtp_reply {
	unsigned code;
	struct span text;
	bool close;
	uint64_t wait;		/* MAIL, DATA: not decided yet; SMTP_ANSWER of this ticket will come */
};

/* From MAIL to the answer behind the end of data. All of it lives in its arena, itself too. */
struct smtp_transaction {
	struct arena *arena;
	struct envelope env;
	size_t room;			/* recipients there is room for */
	struct recipient asked;		/* ASKING: not in the envelope yet */
	uint64_t declared;		/* SIZE=, 0: not said */
	struct span hold_rule;		/* the limit that wants it held; empty: none does */
	struct span hold;		/* who decides then */
	enum bounce_fact bounce;	/* null sender: what the tag of its recipient says */
	bool foreign;			/* comes from the world: who sent it is to be found out */
	bool relayed;			/* by a trusted relay: env.client is whom it had it from, family 0 unknown; */
	struct ip peer;			/* this is the relay */
	struct span peer_name, peer_helo;
	uint32_t announced;		/* to that verifier, an instance; 0: to none */
};

void smtp_transaction_free(struct smtp_transaction **t);	/* NULL-safe */

struct smtp_session;

/* BDAT, RFC 3030: smtp_bdat.c */
struct smtp_chunk {
	uint64_t left;			/* bytes of it still to come */
	uint64_t total;			/* of all chunks of the message, this one too */
	bool last;
	enum smtp_state back;		/* SKIP: the state behind it … */
	unsigned code;			/* … and what is said then */
	struct span why;
};

/* The world, as far as a session may ask. Refusals are formatted with smtp_refuse(). */
struct smtp_ops {
	/* MAIL, RCPT and DATA (or the first BDAT) are good by the standard: may they go on? code 0: yes, unless
	 * r->wait. rcpt is
	 * called before the recipient is added to the envelope; a ticket: it has to be asked
	 * for, and SMTP_ANSWER will come (never from within this call), code 0: it may go on. */
	void (*mail)(void *ctx, struct smtp_session *s, struct smtp_reply *r);
	uint64_t (*rcpt)(void *ctx, struct smtp_session *s, struct recipient *rcpt,
	    struct smtp_reply *r);
	void (*data)(void *ctx, struct smtp_session *s, struct smtp_reply *r);
	/* The message's bytes. Always taken; a message that grew too large is refused at its end. */
	void (*body)(void *ctx, struct smtp_session *s, struct span bytes);
	/* The message is complete: a ticket, whose SMTP_ANSWER will come (never from within this
	 * call); 0: r is the answer. Takes the transaction. flags: DATA_HAS_NUL … */
	uint64_t (*end)(void *ctx, struct smtp_session *s, struct smtp_transaction *t,
	    unsigned flags, struct smtp_reply *r);
	/* Are the name and the password right? A ticket, whose SMTP_ANSWER will come: 235, 535 or a
	 * 4xx (never from within this call); 0: r is that answer. The texts are wiped afterwards. */
	uint64_t (*auth)(void *ctx, struct smtp_session *s, struct span user, struct span password,
	    struct smtp_reply *r);
	/* The transaction is given up (RSET, bare LF, closing …) before its end. */
	void (*abandon)(void *ctx, struct smtp_session *s);
	/* XCLIENT was well-formed, and the session is as new: who is it now? r: the refusal at
	 * the door, if there is one. NULL: never asked, as s->may_xclient is never set. */
	void (*xclient)(void *ctx, struct smtp_session *s, const struct xclient *x,
	    struct smtp_reply *r);
	/* What was heard and said, for transcripts; may be NULL. Secrets are masked already. */
	void (*heard)(void *ctx, struct smtp_session *s, struct span line);
	void (*said)(void *ctx, struct smtp_session *s, struct span replies);
	/* A reply of 4xx or 5xx is on its way; command is "RCPT", … Journal, log, counters. */
	void (*refused)(void *ctx, struct smtp_session *s, const char *command,
	    const struct recipient *rcpt, unsigned code, struct span text);
};

enum smtp_asks { SMTP_ASKS_RCPT, SMTP_ASKS_MAIL, SMTP_ASKS_DATA, SMTP_ASKS_BDAT };

struct smtp_session {
	const struct smtp_site *site;
	const struct smtp_ops *ops;
	void *ctx;
	struct id_source *ids;
	struct buf out;			/* replies, ready to be written */
	struct wire wire;
	struct smtp_data data;
	struct smtp_lines lines;	/* BDAT; DATA when the site normalises */
	struct smtp_chunk chunk;
	enum smtp_state state;
	bool esmtp;
	bool retiring;
	bool id_used;			/* by a transaction */
	uint32_t errors;		/* refused commands since the last message */
	uint32_t mails;			/* MAIL commands of this session */
	uint32_t idle;			/* commands that carry no mail since the last message */
	uint64_t id;			/* of the transaction; before the first: of the session */
	uint64_t ticket;		/* JUDGED, CHECKING, ASKING */
	enum smtp_asks asks;		/* ASKING: behind which command */
	int64_t now;			/* Unix microseconds, of the input under way */
	struct span helo;		/* in helo_text */
	struct smtp_transaction *t;	/* SENDER, RECIPIENTS, ASKING, BODY, CHUNK, CHUNKS */
	/* who it is; set by the owner before SMTP_OPEN */
	enum direction direction;	/* NONE: decided at the first recipient */
	struct span listener;
	struct ip client;
	uint16_t client_port;
	struct span client_name;
	bool permitted;			/* the client may relay */
	bool vouched;			/* the administrators' allow list names its network */
	bool after_auth;		/* for transcripts: no command since AUTH */
	bool may_xclient;		/* the client may speak for others */
	struct arena *claims;		/* XCLIENT's texts */
	struct xclient xclient;		/* the last one; HELO, PROTO and LOGIN hold until the end */
	struct span user;		/* authenticated as, in auth.user; empty: not */
	struct span tls;		/* "TLSv1.3 TLS_AES_256_GCM_SHA384", in tls_text; empty: none */
	struct smtp_auth auth;
	char *helo_text, *tls_text;
};

/* It waits for the answer of its ticket. */
static inline bool
smtp_waiting(const struct smtp_session *s)
{
	return s->state == SMTP_JUDGED || s->state == SMTP_CHECKING || s->state == SMTP_ASKING;
}

enum smtp_input_kind {
	SMTP_OPEN,		/* once, first. refusal.code set: turned away at the door */
	SMTP_BYTES,
	SMTP_ANSWER,		/* of the ticket waited for; of another one: ignored */
	SMTP_TIMEOUT,		/* a deadline has passed */
	SMTP_RETIRE,		/* no new transactions */
	SMTP_SECURED,		/* the handshake is done; bytes: what was agreed upon */
};
struct smtp_input {
	enum smtp_input_kind kind;
	int64_t now;
	struct span bytes;
	struct smtp_reply reply;	/* OPEN, ANSWER */
	uint64_t ticket;
};

enum smtp_step {
	SMTP_MORE,		/* give it bytes */
	SMTP_SAY,		/* write `out`, then give it bytes */
	SMTP_WAIT,		/* write `out` if there is any; no bytes before the answer of `ticket` */
	SMTP_TLS,		/* write `out`, forget what was read, shake hands, then SMTP_SECURED */
	SMTP_DONE,		/* write `out`, close */
};

void smtp_session_init(struct smtp_session *s, const struct smtp_site *site,
    const struct smtp_ops *ops, void *ctx, struct id_source *ids);
void smtp_session_release(struct smtp_session *s);	/* abandons what is under way */
/* *used: how many of in->bytes are done with; the rest is to be given again, with what comes
 * behind it. All of a pipelined group's replies are in `out` when it returns. */
enum smtp_step smtp_session_step(struct smtp_session *s, const struct smtp_input *in,
    size_t *used);
void smtp_session_check(const struct smtp_session *s);	/* asserts the invariants */

/* Makes a refusal, " (ref ID)" behind it unless it names one already. text: "5.7.1 …".
 * Lives until the next smtp_refuse of any session. */
void smtp_refuse(const struct smtp_session *s, struct smtp_reply *r, unsigned code,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
