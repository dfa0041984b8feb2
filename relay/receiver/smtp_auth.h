/* smtp_auth.h -- AUTH PLAIN and LOGIN of a session (RFC 4954), as far as it is pure. */
#ifndef RECEIVER_SMTP_AUTH_H
#define RECEIVER_SMTP_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "postern/span.h"

/* Of a name or a password, in bytes; more is refused as wrong. */
#define AUTH_TEXT_MAX 255
#define AUTH_FAILURES_MAX 3	/* wrong credentials in one session, then 421 */

enum auth_step {
	AUTH_STEP_NONE,
	AUTH_STEP_PLAIN,	/* "" was said: name and password come in one */
	AUTH_STEP_USER,		/* LOGIN: "Username:" was said */
	AUTH_STEP_PASSWORD,	/* LOGIN: "Password:" was said */
};

struct smtp_auth {
	enum auth_step step;
	uint32_t failures;
	bool secret;		/* the bytes just taken hold credentials: the owner wipes them */
	char user[AUTH_TEXT_MAX + 1];	/* being checked, or authenticated as */
};

struct smtp_session;
struct smtp_reply;

void smtp_auth_command(struct smtp_session *s, struct span args);
void smtp_auth_line(struct smtp_session *s, struct span line);	/* state AUTH */
void smtp_auth_too_long(struct smtp_session *s);
void smtp_auth_answer(struct smtp_session *s, const struct smtp_reply *r);	/* state CHECKING */

#endif
