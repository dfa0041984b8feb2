/* receiver.h -- the receiver's process: what its files share. */
#ifndef RECEIVER_RECEIVER_H
#define RECEIVER_RECEIVER_H

#include "ipc/newest.h"
#include "master/runtime.h"
#include "net/transport.h"
#include "receiver/access.h"
#include "receiver/gate.h"
#include "receiver/limits.h"
#include "receiver/message.h"
#include "receiver/reputation.h"
#include "receiver/smtp_session.h"
#include "receiver/transcript.h"
#include "table.h"

#define READ_MAX (64u << 10)

struct asking;
struct counting;
struct conn;
struct conn_mail;
struct event;

struct door {			/* a listener of this process */
	struct receiver *rx;
	const struct conf_listener *conf;
	struct smtp_site site;
	struct gate gate;
	struct ssl_ctx_st *tls;	/* rx->tls of this listener */
	int fd;
	struct event *accept;
	bool open;		/* the accept event is in the loop */
	uint32_t sessions;	/* of this process */
	int64_t hinted;		/* when the log last named the line to edit */
	int64_t crowded;	/* when the log last said that it is full */
};

struct receiver {
	struct runtime *rt;
	struct messages messages;
	struct scanners *scanners;
	struct access *access;
	struct ssl_ctx_st **tls;	/* for each listener; NULL: no TLS */
	struct policy *policy;
	struct arena *policy_arena;
	const struct limit_rule *rules;
	size_t nrules;
	struct limits_table *limits;
	struct batv_book *batv;	/* NULL: no domain tags its senders */
	struct transcript *transcript;
	struct reputation reputation;
	int column;		/* in the shared counts of sessions */
	struct table *clients;	/* address -> sessions open in this process */
	uint32_t sessions;	/* open in this process */
	struct id_source ids;
	struct door **doors;
	size_t ndoors;
	struct idtable *conns;
	uint64_t last_conn;
	struct conn *first, *doomed;
	struct link *store;
	struct lists_held *lists;	/* listed.c; NULL: none came yet */
	struct newest directories, signers;
	struct logins *logins;
	struct asking *asking;
	struct counting *counting;	/* NULL: nothing is counted with other nodes */
	struct gate_count count;	/* of the command under way */
	size_t nscanners;
	bool serving;		/* the peers are there: doors are open */
	int64_t started;
	int64_t retire_by;	/* clock_mono: then the last sessions are told 421 */
	bool hurried;		/* they have been */
	struct event *tick, *settle;
	char *read_buf;		/* READ_MAX, for one read at a time */
};

/* ---- connection.c ---- */
void door_add(struct receiver *rx, const struct conf_listener *l, int fd);
void doors_open(struct receiver *rx);
void doors_close(struct receiver *rx);			/* for good */
void conn_answer(struct receiver *rx, uint64_t conn, uint64_t ticket,
    const struct smtp_reply *r);
/* NULL: it is gone. */
struct conn_mail *conn_find(struct receiver *rx, uint64_t conn, struct smtp_session **s);
void conns_retire(struct receiver *rx);
void conns_tick(struct receiver *rx, int64_t now);
void conns_bury(struct receiver *rx);			/* frees the doomed */
/* "exchange[10.1.2.3]"; buf of CLIENT_TEXT_MAX. */
#define CLIENT_TEXT_MAX 320
const char *client_text(struct span name, struct ip ip, char *buf);

/* Who the client is now, by XCLIENT; refuses as at the door. */
void conn_xclient(void *ctx, struct smtp_session *s, const struct xclient *x, struct smtp_reply *r);
/* For a transcript, when one is wanted. */
void conn_heard(struct conn_mail *c, bool by_us, struct span text);
void conn_note(struct conn_mail *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- milter_pass.c ---- */
struct milter;
/* m is accepted: its connection's MTA is told what to do with it. */
void milter_accepted(struct receiver *rx, const struct message *m);
void milter_written(struct receiver *rx, struct milter *mt);	/* the MTA has all, or is gone */

/* ---- receiver_control.c ---- */
void receiver_client(struct runtime *rt, int fd, uint32_t uid, struct span request);

/* ---- transaction.c: what the sessions of this process ask ---- */
struct conn_mail {		/* the context of smtp_ops: a connection, as far as mail goes */
	struct receiver *rx;
	const struct door *door;
	uint64_t conn;
	struct message *m;	/* being collected */
	uint64_t charged;	/* for the envelope */
	uint64_t session;	/* by what its transcript is known; 0: there is none */
};
extern const struct smtp_ops transaction_ops;
/* What MAIL, RCPT and DATA do once their limits have been counted; r as the gate left it. rcpt: a ticket, or 0. */
void transaction_mail_counted(struct conn_mail *c, struct smtp_session *s, const struct gate_why *why,
    struct smtp_reply *r);
uint64_t transaction_rcpt_counted(struct conn_mail *c, struct smtp_session *s, struct recipient *rcpt,
    const struct gate_why *why, struct smtp_reply *r);
void transaction_data_counted(struct conn_mail *c, struct smtp_session *s, const struct gate_why *why,
    uint64_t max, struct smtp_reply *r);
/* A limit was hit, or not: log, journal, notices. */
void note_limit(struct conn_mail *c, struct smtp_session *s, const struct gate_why *why);
/* An event for the journal; lost and counted when the store is away. */
void journal_send(struct receiver *rx, const struct msg_event *ev);
/* A person's act, for the audit log. */
void journal_acted(struct receiver *rx, uint32_t uid, struct span what, struct span subject);
/* A message's answer is 4xx or 5xx, or a session's command was refused. */
/* What the verdict rests on, for replays; lost rather than waited for. */
void journal_basis(struct receiver *rx, const struct message *m);
void journal_refused(struct receiver *rx, const struct envelope *env, const struct recipient *rcpt,
    unsigned code, struct span text, enum outcome o, uint64_t size, struct span record);
/* One more refusal, by the stage of the dialogue and the (enhanced) code. */
void count_refused(const char *command, unsigned code, struct span text);
void log_refused(uint64_t id, const char *command, struct span client_name, struct ip client,
    unsigned code, struct span text, const struct envelope *env, const struct recipient *rcpt);
void hint_allow(struct receiver *rx, struct door *door, uint64_t id, struct ip client, int64_t now);

#endif
