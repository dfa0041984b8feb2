/* seals.h -- the chain of forwarders' seals (ARC, RFC 8617), verified with OpenSSL and without a socket.
 *
 * Pumped like SPF (dns_question.h). The result explains a broken DKIM or SPF; only a
 * chain whose last sealers the administrator trusts outweighs a failed DMARC.
 */
#ifndef VERIFIER_SEALS_H
#define VERIFIER_SEALS_H

#include "verifier/mail.h"
#include "verifier/public_key.h"

#define SEALS_MAX 50		/* sets (RFC 8617, 4.2.1) */

struct seals_result {
	enum auth_result result;	/* none, pass, fail; temperror: a key cannot be looked up now */
	const char *why;		/* fail, temperror: for people */
	unsigned sets;			/* how many there are; 0: none */
	unsigned failed;		/* the set that broke it; 0: the chain itself */
	unsigned oldest_pass;		/* pass: the oldest message signature that still fits; 0: all do (5.2) */
	struct span sealer;		/* pass: d= of the newest seal */
};

struct seals;

struct seals *seals_new(struct arena *a, struct dns_book *book, const struct mail *m);
bool seals_step(struct seals *s);	/* true: done */
void seals_abort(struct seals *s);
void seals_free(struct seals *s);	/* NULL-safe: what does not lie in the arena */
const struct seals_result *seals_result(const struct seals *s);
/* Who of the trusted says that DMARC passed when the message came to him: only sealers that nobody
 * untrusted stands behind count. "" nobody. */
struct span seals_vouch(const struct seals *s, const struct span *trusted, size_t n);

#endif
