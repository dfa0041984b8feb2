/* gate.h -- what a client may do at a listener: access, senders, limits, sizes.
 *
 * Decides, and says why; it opens no socket, logs nothing and knows no event
 * loop, so that `postern simulate` asks the same questions as the receiver
 * and gets the same answers.
 */
#ifndef RECEIVER_GATE_H
#define RECEIVER_GATE_H

#include "receiver/access.h"
#include "receiver/limits.h"
#include "receiver/smtp_session.h"

struct batv_book;

/* What a command would count; filled instead of counting where nodes count together (counting.c). */
struct gate_count {
	bool check;			/* nothing is taken: locks, and limits that are full */
	enum limit_unit units[2];	/* one after the other */
	size_t n;
	struct limits_who who;		/* borrows from the transaction, and of */
	char ip[IP_TEXT_MAX];
};

struct gate {
	const struct config *conf;
	const struct conf_listener *listener;
	const struct access *access;
	struct limits_table *limits;
	const struct limit_rule *rules;
	size_t nrules;
	const struct batv_book *batv;	/* NULL: no domain tags its senders */
	struct gate_count *count;	/* NULL: limits are counted at once, in this node */
};

/* What decided, for people. */
struct gate_why {
	const char *file;	/* NULL: no line decided it, but the protocol */
	uint32_t line;
	char text[160];
	enum outcome limit;	/* UNJUDGED: no limit was hit; else what the limit asks for … */
	struct limits_hit hit;	/* … and which it is */
};

void gate_because(struct gate_why *why, const char *file, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool nets_have(const struct conf_nets *n, struct ip ip);

struct gate_client {
	bool permitted;		/* may relay */
	struct span name;	/* of its network; "" */
};
/* At connect. 0: welcome; else the code of the refusal and its text. */
unsigned gate_connect(const struct gate *g, struct ip client, struct gate_client *out,
    const char **text, struct gate_why *why);
/* The answer to a limit that was exceeded: o is what it asks for. UNJUDGED: none was. */
void gate_over_limit(struct smtp_session *s, enum outcome o, const struct limits_hit *hit,
    struct smtp_reply *r, struct gate_why *why);
/* MAIL, RCPT, DATA: r.code 0: go on. A limit that says hold writes it into the transaction. */
void gate_mail(const struct gate *g, struct smtp_session *s, int64_t now, struct smtp_reply *r,
    struct gate_why *why);
void gate_rcpt(const struct gate *g, struct smtp_session *s, const struct recipient *rcpt,
    int64_t now, struct smtp_reply *r, struct gate_why *why);
/* In front of gate_rcpt: takes a tag (BATV) off the recipient; s->t->bounce is what the null sender's
 * mail proves by it. */
void gate_bounce(const struct gate *g, struct smtp_session *s, struct recipient *rcpt,
    struct smtp_reply *r, struct gate_why *why);
/* May a recipient of the domain d be greylisted for this client, if it is a stranger? */
bool gate_greylists(const struct config *conf, const struct smtp_session *s,
    const struct conf_domain *d);
/* Behind gate_rcpt: what asking.c would go on to ask about the recipient; why stays where it is nothing. */
void gate_asks(const struct gate *g, const struct smtp_session *s, const struct recipient *rcpt,
    struct gate_why *why);
/* Behind the end of the data: limits of the client that a trusted relay names, s->t->env.client. */
void gate_relayed(const struct gate *g, struct smtp_session *s, int64_t now,
    struct smtp_reply *r, struct gate_why *why);
/* It was asked for, and does not exist. */
void gate_unknown(const struct gate *g, struct smtp_session *s, const struct conf_domain *d,
    struct span address, int64_t now, struct smtp_reply *r, struct gate_why *why);
/* max: bytes this message may have. */
void gate_data(const struct gate *g, struct smtp_session *s, int64_t now, uint64_t *max,
    struct smtp_reply *r, struct gate_why *why);

#endif
