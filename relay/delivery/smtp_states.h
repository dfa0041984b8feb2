/* smtp_states.h -- what the files of the SMTP client machine share, and nobody else.
 *
 * smtp_client.c has the tables and the loop, smtp_handshake.c the states up
 * to IDLE, smtp_mail.c those of a transaction.
 */
#ifndef DELIVERY_SMTP_STATES_H
#define DELIVERY_SMTP_STATES_H

#include "delivery/smtp_client.h"

/* One of each for a state; NULL where there is nothing to say or to hear. */
struct client_act {
	void (*perform)(struct smtp_client *m);
	void (*response)(struct smtp_client *m);
};
extern const struct client_act client_acts[CLIENT_STATE_COUNT];

/* The one setter; asserts the machine's invariants. */
void client_set(struct smtp_client *m, enum client_state to);
/* The same, and says what that state says, unless it was said ahead. */
void client_enter(struct smtp_client *m, enum client_state to);
/* Every recipient has its result: IDLE again. */
void client_finish(struct smtp_client *m);

/* The server's own words end the session. */
void client_fail_reply(struct smtp_client *m, enum fail_class cls);
/* An answer that has no meaning where it stands. */
void client_fail_nonsense(struct smtp_client *m);
/* The reply decides for recipients [from, to) that have no result yet. */
void client_settle(struct smtp_client *m, size_t from, size_t to, enum fail_class cls);

/* The next chunk is to be said, unless there is none left or one was refused. */
void client_chunk(struct smtp_client *m);

#define CLIENT_ACT(name) \
	void perform_##name(struct smtp_client *m); \
	void name##_response(struct smtp_client *m)
void greeting_response(struct smtp_client *m);
CLIENT_ACT(ehlo);
CLIENT_ACT(helo);
CLIENT_ACT(starttls);
CLIENT_ACT(rset);
CLIENT_ACT(mail);
CLIENT_ACT(rcpt);
CLIENT_ACT(data);
CLIENT_ACT(body);
CLIENT_ACT(bdat);
void dot_response(struct smtp_client *m);
#undef CLIENT_ACT

#endif
