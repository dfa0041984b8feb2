/* smtp_path.h -- the arguments of EHLO, MAIL and RCPT, read by the letter of RFC 5321. */
#ifndef RECEIVER_SMTP_PATH_H
#define RECEIVER_SMTP_PATH_H

#include <stdint.h>

#include "postern/arena.h"
#include "postern/span.h"

enum path_status {
	PATH_OK,
	PATH_SYNTAX,		/* 501 5.1.7 / 5.1.3 */
	PATH_LONG,		/* a part above its limit (RFC 5321, 4.5.3.1) */
	PATH_UTF8,		/* bytes above 127 where none may stand: 553 5.6.7 */
};

#define PATH_LOCAL_MAX 64
#define PATH_DOMAIN_MAX 255
#define PATH_MAX_SIZE 256	/* with its angle brackets */

/* Reads "<…>" at the start of text; *rest is what follows it. The null path "<>" gives the
 * empty address; "<Postmaster>" without a domain gives it without a domain (RCPT only, the
 * caller decides). A source route is read and dropped (RFC 5321, appendix C). Quotes and
 * backslashes that the local part does not need are taken away, so that one mailbox has one
 * spelling for every rule that looks at it. utf8: UTF-8 is taken in both parts (RFC 6531,
 * 3.3); a domain becomes A-labels in any case. The address lives in the arena. */
enum path_status smtp_path(struct arena *a, struct span text, bool utf8, struct span *address,
    struct span *rest);
bool smtp_is_ascii(struct span s);

/* EHLO and HELO: a domain, or an address literal; letters, digits and what real machines
 * put into their names. */
bool smtp_helo_valid(struct span name);

/* Takes " KEYWORD=VALUE" off the front of *rest. 1 one, 0 no more, -1 no parameter syntax. */
int smtp_param(struct span *rest, struct span *keyword, struct span *value);

#endif
