/* messages.h -- the bodies of the frames, as structs with their codecs.
 *
 * X_encode appends to a buf; X_decode checks everything (counts, enums,
 * ranges, nothing left over), borrows texts from the body and puts arrays in
 * the arena. It returns -1 for a body that breaks the rules.
 */
#ifndef IPC_MESSAGES_H
#define IPC_MESSAGES_H

#include "ipc/payload.h"
#include "ipc/role.h"
#include "postern/envelope.h"
#include "postern/facts.h"
#include "postern/verdict.h"

void envelope_encode(struct enc *e, const struct envelope *env);
void envelope_decode(struct dec *d, struct arena *a, struct envelope *env);

/* ---- control ---- */
struct msg_listener { uint32_t index; };	/* in config.listeners; the console's: their number */
struct msg_peer { enum role role; uint32_t instance; };	/* also READY (own), FAULT (whom) */
struct msg_worker { uint32_t instance; uint32_t pid; };
struct msg_retire { uint32_t seconds; };	/* RETIRE may also be empty: the role's own haste */
struct msg_client { uint32_t uid; struct span request; };	/* one JSON object */

/* ---- SCAN: the message as received; ticket answers with VERDICT ---- */
struct msg_scan {
	struct envelope env;
	struct memberships members;	/* in groups of directories */
	struct facts inbound;	/* what a verifier found out */
	struct payload payload;
};
/* ---- VERDICT ---- */
struct msg_decision {
	enum outcome outcome;
	uint16_t variant;
	enum require_tls require_tls;
	struct span reply;	/* "5.7.1 text (ref ID)" */
	struct span queue;	/* hold: who decides; quarantine: its name */
	int64_t expires;
	enum outcome on_expire;
	struct span rule;	/* the first rule that hit, for logs; "" none */
	struct span *redirect;
	size_t nredirect;
};
enum rating { RATING_NONE, RATING_HAM, RATING_MARKETING, RATING_SUSPECTED, RATING_SPAM, RATINGS };
struct msg_verdict {
	bool unscannable;
	struct msg_decision *decisions;	/* as many as recipients in the envelope */
	size_t ndecisions;
	struct variant *variants;	/* edits on the message as received */
	size_t nvariants;
	struct bcc_copy *bcc;
	size_t nbcc;
	struct notice *notices;
	size_t nnotices;
	struct span record;	/* the JSON of verdict_explain, at most RECORD_MAX bytes */
	struct span basis;	/* what it rests on: see postern/record.h; "" none */
	struct span tokens;	/* what the classifier may learn of it: bayes_pack; "" nothing */
	enum rating rating;
	bool virus;		/* malware, for certain */
};
#define RECORD_MAX (256u << 10)

/* ---- PICTURE: the ticket answers with PICTURE_TEXT; the descriptor is a sealed memfd ---- */
struct msg_picture { uint32_t ms; uint64_t size; };
#define PICTURE_MS_MAX 600000
#define PICTURE_SIZE_MAX (UINT64_C(256) << 20)
struct msg_picture_text { uint8_t status; struct span text; };	/* enum picture_status */

/* ---- SIGN: the edited bytes ---- */
struct msg_sign {
	uint64_t id;
	struct span domain;	/* whose keys: the domain of the author (From:), else of the sender */
	bool amended;		/* an MTA may still add a Date, Message-ID or To that is missing */
	struct payload payload;
};
/* UNPUBLISHED: there are keys, none stands in the DNS, and that was asked for */
enum sign_status { SIGN_OK, SIGN_NO_KEY, SIGN_FAILED, SIGN_UNPUBLISHED, SIGN_STATUSES };
struct msg_signed {
	enum sign_status status;
	struct span headers;	/* whole header fields with CRLF, to stand on top */
	struct span text;	/* SIGN_FAILED: why */
};

/* ---- PUBLISHED: the DNS was asked for a key; unasked, and again when something changes ---- */
#define PUBLISHED_TEXTS_MAX 16
#define PUBLISHED_TEXT_MAX 4096
struct msg_published {
	struct span domain, selector;
	bool known;		/* false: the DNS does not answer, or not credibly */
	struct span *texts;	/* TXT records, their strings joined */
	size_t ntexts;
};

/* ---- SUBMIT: the final bytes and what is to be done for each recipient ---- */
struct msg_submit {
	struct envelope env;	/* env.id names the entry; unique in the queue */
	uint64_t parent;	/* the id told to the client when a message was split, or the kept message released; 0 */
	struct msg_decision *decisions;	/* one for each recipient: DELIVER REDIRECT DISCARD QUARANTINE HOLD REJECT */
	size_t ndecisions;
	struct span record;	/* JSON, kept with the message */
	struct payload payload;
};
enum accept_status { ACCEPT_OK, ACCEPT_FULL, ACCEPT_IO };	/* 250; 452; 451 */
struct msg_accepted {
	uint64_t id;
	enum accept_status status;
	struct span text;	/* why not */
};

/* ---- SEGMENT: number and a read-only descriptor; DELIVER and KEEP refer to it ---- */
struct msg_segment { uint32_t number; };

/* Where a message's bytes lie: in a segment announced before, or (segment 0) in the
 * frame's own descriptor. */
struct spool_ref {
	uint32_t segment;
	uint64_t offset;
	uint64_t size;
};

/* The first byte of the name of a site for mail that no TLS policy of the destination holds up
 * (ENVELOPE_TLS_OPTIONAL): it has connections and a schedule of its own. In no domain name. */
#define SITE_LAX '!'

/* ---- DELIVER: one message, recipients of one site; ticket answers with RESULT ---- */
struct msg_deliver {
	uint64_t id;
	int64_t received;	/* of the message, Unix microseconds */
	int64_t started;	/* when this attempt was handed over */
	struct span site;	/* the destination domain (A-labels) or address literal, as `site` everywhere; perhaps behind SITE_LAX */
	struct span sender;
	struct span envid;
	enum dsn_ret ret;
	uint32_t flags;		/* ENVELOPE_8BITMIME, _SMTPUTF8, _REQUIRETLS */
	enum require_tls require_tls;
	struct recipient *recipients;
	uint16_t *index;	/* of each recipient in the message */
	size_t nrecipients;
	struct spool_ref ref;
};
/* ---- RESULT ---- */
enum rcpt_status { RCPT_SENT, RCPT_DEFERRED, RCPT_FAILED };
enum fail_class { FAIL_NONE, FAIL_DNS, FAIL_CONNECT, FAIL_TLS, FAIL_GREETING, FAIL_SITE /* 421 or
	4xx before RCPT */, FAIL_RECIPIENT, FAIL_MESSAGE, FAIL_LOCAL, FAIL_CLASSES };
struct rcpt_result {
	uint16_t index;
	enum rcpt_status status;
	enum fail_class cls;
	struct span dsn;	/* "2.0.0" */
	struct span reply;	/* remote reply word for word, lines joined by a space; or our own reason */
	struct span relay;	/* "mx1.example.net[203.0.113.9]:25"; "none" */
	struct span tls;	/* of its connection, as msg_result.tls */
	bool remote;		/* the reply is the remote server's, not ours */
	bool notifies;		/* SENT, and the server took over what RFC 3461 asks for */
};
#define POSTPONED_MAX (INT64_C(3600) * 1000000)
struct msg_result {
	uint64_t id;
	struct span site;
	int64_t t_start, t_conn, t_ready, t_end;	/* clock_real: job taken, connecting, session ready, done */
	struct span tls;	/* "TLSv1.3 TLS_AES_256_GCM_SHA384 unverified"; "" none */
	bool handed_back;	/* RETIRE: not tried; queue it as it was */
	int64_t postponed;	/* not tried, too many wait for those servers: once more after so many microseconds */
	struct rcpt_result *rcpts;
	size_t nrcpts;
};

/* ---- KEEP: quarantine and hold; ticket answers with KEPT once it is committed ---- */
struct msg_keep {
	enum outcome kind;	/* HOLD or QUARANTINE */
	struct span queue;
	int64_t expires;
	enum outcome on_expire;
	struct envelope env;	/* with just the recipients kept */
	uint64_t parent;
	struct span record;
	struct spool_ref ref;
};
struct msg_kept {
	bool ok;
	struct span text;	/* why not */
};

/* ---- BASIS: what a verdict rests on, told once the client has its answer ---- */
struct msg_basis {
	uint64_t id;
	struct span basis;	/* see postern/record.h */
	struct span limit, limit_queue;	/* a limit that held it; "" none */
	struct span tokens;	/* bayes_pack; "" none */
};
#define TOKENS_MAX (4 * 1024)
#define BASIS_MAX ((256u << 10) + 8192)
/* ---- POLICY: which policy is in force, and why; its archive (scanner/archive.h) comes as a file ---- */
struct msg_policy {
	struct span hash;	/* policy_hash */
	struct span commit;	/* of the work tree it lies in, hexadecimal; "" none */
	uint64_t size;		/* of the archive */
	/* by the master */
	int64_t time;
	struct span how;	/* "start", "reload", "signal", "list", "restart" */
	uint32_t uid;		/* who asked */
};

/* ---- LOGIN: a name and a password; ticket answers with LOGIN_RESULT ---- */
struct msg_login { struct span user, password; };
enum login_status { LOGIN_RIGHT, LOGIN_WRONG, LOGIN_FAILED /* could not be checked */, LOGIN_STATUSES };
struct msg_login_result { enum login_status status; };

/* ---- LOOKUP: an attribute of the entry an address has; ticket answers with FOUND ---- */
struct msg_lookup {
	struct span directory;	/* its name in postern.yaml */
	struct span filter;	/* a template */
	struct span attribute;	/* empty: only whether there is such an entry */
	struct span address;
};
enum lookup_status { LOOKUP_FOUND, LOOKUP_MISSING, LOOKUP_UNKNOWN /* LDAP cannot be asked */, LOOKUP_STATUSES };
#define LOOKUP_VALUES_MAX 1000
struct msg_found {
	enum lookup_status status;
	bool stale;		/* from old knowledge */
	struct span *values;
	size_t n;
	struct span text;	/* UNKNOWN: why */
};

/* ---- MEMBERS: which addresses are in which groups; ticket answers with MEMBERSHIPS ---- */
#define MEMBERS_ADDRESSES_MAX (ENVELOPE_RECIPIENTS_MAX + 8)
struct msg_members {
	const struct span *addresses;
	size_t naddresses;
	const struct span *groups;	/* DNs, as the policy has them behind "ldap:" */
	size_t ngroups;
};
struct msg_memberships {
	struct span grid;	/* a byte (enum membership) for each address and group, address by address */
	struct span text;	/* why something is unknown */
};

/* ---- EVENT: one line of a message's life, for the journal ---- */
/* X(NAME, "name") */
#define EVENTS(X) \
	X(REFUSED, "refused")		/* receiver: 4xx/5xx before or after DATA; env as far as known */ \
	X(ACCEPTED, "accepted")		/* queue: env, record */ \
	X(SENT, "sent") X(DEFERRED, "deferred") X(FAILED, "failed") \
	X(HELD, "held") X(QUARANTINED, "quarantined") X(DISCARDED, "discarded") X(REJECTED, "rejected") \
	X(BOUNCED, "bounced")		/* a DSN was queued; parent: its id */ \
	X(DELAYED, "delayed")		/* delay notice queued */ \
	X(EXPIRED, "expired") X(RELEASED, "released") X(OPERATOR, "operator") \
	X(LOCKED, "locked")		/* receiver: a limit locked somebody; reply says whom */ \
	X(ATTEMPT, "attempt")		/* delivery: one failed; reply is what was said, a line for each */ \
	X(TLS_FAILED, "tls-failed")	/* delivery: TLS that is required cannot be had; reply says where and why */ \
	X(ALARM, "alarm")		/* queue: reply says what begins or is over */ \
	X(AUDIT, "audit")		/* a person changed something: by whom; rcpt what, relay to what, reply how */
enum event_kind {
#define X(name, text) EVENT_##name,
	EVENTS(X)
#undef X
	EVENT_COUNT
};
const char *event_name(enum event_kind k);
/* `by` of an event that is told again after a start: whoever has heard it passes over it. */
#define EVENT_RETOLD "(again)"
struct msg_event {
	uint64_t seq;		/* of the sender, rising; 0: not to be acknowledged */
	enum event_kind kind;
	uint64_t id;
	uint64_t parent;
	int64_t time;		/* Unix microseconds */
	uint64_t size;
	bool has_env;
	struct envelope env;	/* REFUSED, ACCEPTED */
	struct span rcpt;	/* the recipient concerned; "" all */
	struct span outcome;	/* outcome_name, or "" */
	struct span dsn, relay, reply, tls;
	struct span by;		/* operator acts: who */
	struct span record;	/* ACCEPTED: JSON */
};

#define MSG_CODEC(name) \
	void name##_encode(struct buf *b, const struct msg_##name *m); \
	int name##_decode(struct span body, int fd, struct arena *a, struct msg_##name *m)
MSG_CODEC(listener);
MSG_CODEC(peer);
MSG_CODEC(worker);
MSG_CODEC(client);
MSG_CODEC(retire);
MSG_CODEC(scan);
MSG_CODEC(verdict);
MSG_CODEC(picture);
MSG_CODEC(picture_text);
MSG_CODEC(sign);
MSG_CODEC(signed);
MSG_CODEC(published);
MSG_CODEC(submit);
MSG_CODEC(accepted);
MSG_CODEC(segment);
MSG_CODEC(deliver);
MSG_CODEC(result);
MSG_CODEC(keep);
MSG_CODEC(kept);
MSG_CODEC(event);
/* An encoded event gets another number. */
void event_number(char *body, uint64_t seq);
MSG_CODEC(basis);
MSG_CODEC(policy);
MSG_CODEC(login);
MSG_CODEC(login_result);
MSG_CODEC(lookup);
MSG_CODEC(found);
MSG_CODEC(members);
MSG_CODEC(memberships);
/* EVENT_ACK has no body: its ticket is the highest seq committed. GO: no body. RETIRE: msg_retire or none.
 * READY, FAULT: msg_peer. SEGMENT_DROP: msg_segment. */

#endif
