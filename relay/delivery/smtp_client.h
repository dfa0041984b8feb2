/* smtp_client.h -- the SMTP conversation of a client, without a socket.
 *
 * Pure: bytes heard go in through smtp_client_step(), bytes to say come out
 * through smtp_client_out(); time, TLS and the choice of servers are the
 * caller's (session.c). Each state has a name, a phrase for people, the time
 * RFC 5321 (4.5.3.2) grants it, and two functions: one that says it, one that
 * hears the answer. With PIPELINING the whole envelope and DATA are said at
 * once and only heard one by one. Where CHUNKING is offered (RFC 3030) a
 * message goes by BDAT: up to BDAT_AHEAD bytes together with the envelope, in one
 * breath; a larger one in chunks once somebody is accepted, the next said
 * while the answer to the one before is on its way.
 *
 * What ends the session (greeting refused, 421, connection lost, nonsense) is
 * in ->fail, and recipients without a result stay so: the caller decides
 * whether to try elsewhere or to give them that failure.
 */
#ifndef DELIVERY_SMTP_CLIENT_H
#define DELIVERY_SMTP_CLIENT_H

#include "buf.h"
#include "delivery/dotstuff.h"
#include "delivery/reply.h"
#include "ipc/messages.h"
#include "postern/arena.h"
#include "postern/envelope.h"

/* X(NAME, "what people call the command", "phrase", seconds granted) */
#define CLIENT_STATES(X) \
	X(GREETING, "initial greeting", "receiving the initial server greeting", 300) \
	X(EHLO, "EHLO", "performing the EHLO handshake", 300) \
	X(HELO, "HELO", "performing the HELO handshake", 300) \
	X(STARTTLS, "STARTTLS", "performing the STARTTLS handshake", 120) \
	X(TLS, "TLS handshake", "performing the TLS handshake", 60) \
	X(IDLE, "nothing", "waiting for a message", 5) \
	X(RSET, "RSET", "sending RSET", 60) \
	X(MAIL, "MAIL FROM", "sending MAIL FROM", 300) \
	X(RCPT, "RCPT TO", "sending RCPT TO", 300) \
	X(DATA, "DATA", "sending DATA command", 120) \
	X(BODY, "message body", "sending message body", 180) \
	X(BDAT, "BDAT", "sending message chunks", 180) \
	X(DOT, "end of DATA", "sending end of data -- message may be sent more than once", 600) \
	X(QUIT, "QUIT", "sending QUIT", 5) \
	X(CLOSED, "nothing", "after the end", 5)

enum client_state {
#define X(name, command, phrase, seconds) CLIENT_##name,
	CLIENT_STATES(X)
#undef X
	CLIENT_STATE_COUNT
};
const char *client_state_name(enum client_state s);	/* "MAIL" */
const char *client_state_command(enum client_state s);	/* "MAIL FROM" */
const char *client_state_phrase(enum client_state s);

enum client_tls { CLIENT_TLS_NEVER, CLIENT_TLS_OFFERED, CLIENT_TLS_REQUIRED };

enum { CAP_ESMTP = 1, CAP_PIPELINING = 2, CAP_SIZE = 4, CAP_8BITMIME = 8, CAP_STARTTLS = 16,
	CAP_DSN = 32, CAP_SMTPUTF8 = 64, CAP_CHUNKING = 128, CAP_REQUIRETLS = 256 };

struct smtp_result {		/* of one recipient */
	bool set;
	enum rcpt_status status;
	enum fail_class cls;
	char dsn[DSN_TEXT_MAX];
	struct span reply;	/* in the message's arena */
	bool remote;
	bool notifies;		/* SENT by a server that offers DSN: it was told RET, NOTIFY … */
	enum client_state when;
};

struct smtp_message {		/* one transaction; all of it borrowed from the job */
	struct arena *arena;	/* for the texts of results */
	struct span sender, envid;
	enum dsn_ret ret;
	uint32_t flags;		/* ENVELOPE_… */
	const struct recipient *recipients;
	struct smtp_result *results;
	size_t n;		/* at most SMTP_RCPT_MAX */
	struct span bytes;
	bool eightbit;		/* span_has_8bit(bytes) */
	bool utf8_header;	/* message_utf8_header(bytes) */
	bool lines;		/* span_has_lines(bytes): fit for BDAT */
	bool probe;		/* ends behind RCPT: does each recipient exist? */
};
#define BDAT_AHEAD (64u << 10)
#define BDAT_CHUNK (1u << 20)
#define SMTP_RCPT_MAX 100	/* RFC 5321, 4.5.3.1.8: every server takes that many */

enum smtp_step {
	SMTP_MORE,	/* hears: come back with more bytes */
	SMTP_SAY,	/* smtp_client_out() has bytes for the server */
	SMTP_WAIT,	/* state TLS: shake hands, then smtp_client_tls_done(); IDLE: the message
			 * (if any) is done with, every recipient has its result: give another or quit */
	SMTP_DONE,	/* close */
};

#define CLIENT_OUT_SPANS 64

struct smtp_client {
	/* set by the caller before the first step */
	struct span hello;
	struct span peer;		/* "mx1.example.net[203.0.113.9]", for texts */
	enum client_tls tls;
	bool requiretls;		/* RFC 8689: a server without REQUIRETLS will not do */
	bool loop_detect;		/* a server that calls itself by our name is ourselves */

	/* to be read */
	enum client_state state;
	uint32_t caps;
	uint64_t size_limit;		/* 0: none told */
	bool tls_active;
	bool failed;			/* ->fail holds */
	bool heard;			/* something other than 421 was heard since the message was given */
	bool bdat_unknown;		/* BDAT was offered, and then not known */
	struct smtp_result fail;	/* reply lies in fail_text */
	struct smtp_message *msg;

	/* private */
	struct smtp_reply reply;
	struct buf say;
	struct buf fail_text;
	size_t pending;			/* bytes of input behind the reply under way */
	size_t rcpt, accepted;
	bool ahead;			/* the whole envelope was said already */
	bool doomed;			/* MAIL was refused: the rest is heard and ignored */
	bool absurd;			/* … and a recipient accepted all the same */
	bool need_rset;
	bool bdat;			/* this message goes by BDAT */
	bool all_said;			/* … and its last byte has gone */
	bool refused;			/* a chunk was: what is left of this one, and no more */
	struct span rest, chunk;	/* not said yet: behind the chunk, and of it */
	unsigned chunks_said, chunks_heard;
	struct dotstuff body;
	struct span out[CLIENT_OUT_SPANS];
	size_t out_at, out_n;
};

void smtp_client_init(struct smtp_client *m);
void smtp_client_release(struct smtp_client *m);
enum smtp_step smtp_client_step(struct smtp_client *m, struct span in, size_t *used);

/* What is to be said next, at most max pieces, borrowed until the next step or sent. */
size_t smtp_client_out(struct smtp_client *m, struct span *v, size_t max);
void smtp_client_sent(struct smtp_client *m, size_t n);
/* Of what smtp_client_out gives, that many bytes are commands; the rest is the message. */
size_t smtp_client_commands(const struct smtp_client *m);
/* Bytes of the message are on their way. */
bool smtp_client_in_body(const struct smtp_client *m);
/* The server may have the whole message, and has not said so. */
bool smtp_client_promised(const struct smtp_client *m);

/* State IDLE. false: this server or SMTP cannot carry it, every recipient has its result. */
bool smtp_client_message(struct smtp_client *m, struct smtp_message *msg);
void smtp_client_tls_done(struct smtp_client *m);
void smtp_client_quit(struct smtp_client *m);	/* state IDLE */
/* The connection is gone: `fmt` names it; "%s" of the current phrase is appended: "lost
 * connection with PEER while PHRASE". */
void smtp_client_lost(struct smtp_client *m, const char *what);
void smtp_client_timeout(struct smtp_client *m);
/* An end decided outside, with our own words. */
void smtp_client_fail(struct smtp_client *m, enum rcpt_status status, enum fail_class cls,
    const char *dsn, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Gives ->fail to every recipient that has no result. */
void smtp_client_fail_rest(const struct smtp_client *m, struct smtp_message *msg);
/* Microseconds granted to the state it is in. */
int64_t smtp_client_patience(const struct smtp_client *m);

/* Bytes above 127 in the header: under SMTPUTF8 that is a header of RFC 6532. */
bool message_utf8_header(struct span bytes);

/* Sets one result with our own words. */
void smtp_result_set(struct smtp_result *r, enum client_state when, enum rcpt_status status,
    enum fail_class cls, const char *dsn, struct span reply, bool remote);

#endif
