/* smtp_dsn.h -- the parameters of RFC 3461: RET and ENVID of MAIL, NOTIFY and ORCPT of RCPT. */
#ifndef RECEIVER_SMTP_DSN_H
#define RECEIVER_SMTP_DSN_H

#include "postern/arena.h"
#include "postern/envelope.h"

enum param_status {
	PARAM_OTHER,		/* not one of these */
	PARAM_OK,
	PARAM_BAD,		/* 501: not by its grammar, or said twice */
};

/* Texts are copied into the arena. utf8: SMTPUTF8 was said at MAIL. */
enum param_status smtp_dsn_mail(struct arena *a, struct envelope *env, struct span key,
    struct span value);
enum param_status smtp_dsn_rcpt(struct arena *a, struct recipient *r, bool utf8, struct span key,
    struct span value);

#endif
