/* spam_headers.h -- what a trusted relay in front of us says of spam, in its header fields. Pure. */
#ifndef VERIFIER_SPAM_HEADERS_H
#define VERIFIER_SPAM_HEADERS_H

#include "postern/facts.h"
#include "verifier/mail.h"

#define SPAM_TESTS_MAX 100

/* SpamAssassin's X-Spam-Status, X-Spam-Score and X-Spam-Flag, rspamd's X-Spamd-Result, Exchange's SCL: the
 * first of each, for a relay writes above what was there. Fills the spam facts; none when it says nothing. */
void spam_headers_read(const struct mail *m, struct arena *a, struct facts *f);

#endif
