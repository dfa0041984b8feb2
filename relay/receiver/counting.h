/* counting.h -- decisions that are counted with the other nodes: asked of the role `counters`, or, when that
 * cannot answer in time, taken within this node's share. */
#ifndef RECEIVER_COUNTING_H
#define RECEIVER_COUNTING_H

#include "receiver/recall.h"
#include "receiver/receiver.h"

struct counting;

enum counted { COUNTED_MAIL, COUNTED_RCPT, COUNTED_DATA, COUNTED_UNKNOWN };

struct counting *counting_new(struct receiver *rx);
void counting_up(struct counting *cg, struct link *l);
void counting_down(struct counting *cg, const struct link *l);
int counting_told(struct counting *cg, struct link *l, struct frame *f);	/* COUNT_TOLD. -1: nonsense */

/* Before the gate is asked: nothing is noted yet to be counted. Does nothing without other nodes. */
void counting_begin(struct receiver *rx);
/* Behind the gate, with r and why as it left them: counts what it noted. A ticket, whose answer goes to
 * conn_answer(); 0: r and why say how it is. RCPT asks for the client's reputation and the like as well. */
uint64_t counting_ask(struct conn_mail *c, struct smtp_session *s, enum counted what,
    struct gate_why *why, uint64_t max, struct smtp_reply *r);

/* ---- what is learnt ---- */
void counting_mailbox(struct counting *cg, struct span address, enum recall_kind kind, int64_t keep);
void counting_forget_mailbox(struct counting *cg, struct span address);
/* false: nobody can be told. */
bool counting_reputation(struct counting *cg, const struct reputation_who *who, enum reputation_event e,
    double n);
void counting_forget_reputation(struct counting *cg, const struct reputation_who *who);

/* ---- for people (counting_list.c): limits.show, .locked, .reset. true: r is answered when Redis has; false: count here ---- */
bool counting_show(struct receiver *rx, bool only_locked, struct reply **r);
bool counting_reset(struct receiver *rx, struct span limit, struct span key, bool here, struct reply **r);
int counting_listed(struct receiver *rx, struct link *l, struct frame *f);	/* COUNT_LISTED. -1: nonsense */
void counting_list_down(struct receiver *rx, const struct link *l);
/* Who answers now; NULL: nobody. */
struct link *counting_link(const struct counting *cg);
/* receiver_control.c. name: "rule key"; left: microseconds. The number of rows written. */
size_t limits_row(struct receiver *rx, struct span name, bool locked, int64_t left, bool only_locked,
    struct buf *out);
void limits_show(struct receiver *rx, bool only_locked, struct buf *out);
void limits_forgotten(struct buf *out, bool any);

#endif
