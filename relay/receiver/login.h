/* login.h -- credentials on their way to an authenticator, and the answers on their way back. */
#ifndef RECEIVER_LOGIN_H
#define RECEIVER_LOGIN_H

#include "receiver/receiver.h"

struct logins;

/* Wrong passwords of a client: counted beside the policy's limits, for `postern limits`. */
extern const struct limit_rule login_rule;

struct logins *logins_new(struct receiver *rx);
void logins_up(struct logins *lg, struct link *l);
void logins_down(struct logins *lg, struct link *l);
/* A ticket, whose answer goes to conn_answer(); 0: r is the answer. */
uint64_t login_start(struct logins *lg, enum role by, uint64_t conn, const struct smtp_session *s,
    struct span user, struct span password, struct smtp_reply *r);
/* -1: the body breaks the rules. */
int logins_result(struct logins *lg, struct frame *f, int64_t now);
void logins_tick(struct logins *lg, int64_t now);	/* every second */

#endif
