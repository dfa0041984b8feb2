/* experience.h -- what the receiver notes of its clients (reputation.h), and when it puts one off. */
#ifndef RECEIVER_EXPERIENCE_H
#define RECEIVER_EXPERIENCE_H

#include "receiver/receiver.h"

/* A command of a stranger was refused with a 5xx. */
void experience_refused(struct conn_mail *c, const struct smtp_session *s, const char *command,
    unsigned code, struct span text);
/* A message from the world has its answer. */
void experience_judged(struct receiver *rx, const struct message *m, unsigned code);
/* It is one whose behaviour counts. */
bool experience_counts(const struct conn_mail *c, const struct smtp_session *s);
/* At the first recipient: r.code 451 when the client's own score is below `defer`, and well founded. */
void experience_rcpt(struct conn_mail *c, struct smtp_session *s, struct smtp_reply *r);

/* reputation.show, reputation.list, reputation.forget. */
void experience_client(struct receiver *rx, struct span request, uint32_t uid, struct buf *out);

#endif
