/* signatures.h -- the DKIM signatures of a message (RFC 6376, 8301, 8463), without a socket.
 *
 * Pumped like SPF (dns_question.h): first all keys are asked for, then
 * libopendkim verifies from memory, at once and without waiting. Ours is what stands
 * before and behind it: how many are tried, what is well-formed, which keys
 * will do, and what its answers are worth (see dependencies: PASSED and BH_MATCH
 * both, l= against the body's true length).
 *
 *	pass		good, and worth something
 *	fail		it does not fit the message
 *	policy		we do not accept it: key too short or too long, expired, dated ahead, or l=
 *			leaves a part of the body to anybody
 *	neutral		no well-formed signature, not tried, or its key is for testing (t=y: 3.6.1)
 *	permerror	no key, or none that can be used; rsa-sha1
 *	temperror	the key cannot be looked up now
 */
#ifndef VERIFIER_SIGNATURES_H
#define VERIFIER_SIGNATURES_H

#include "verifier/mail.h"
#include "verifier/public_key.h"

#define SIGNATURES_TRIED 10	/* the first so many; the others are neutral */
#define SIGNATURES_SHOWN 30	/* and of these no more are remembered */
#define SIGNATURE_FIELD_MAX (16u << 10)
#define SIGNATURE_NAMES_MAX 400	/* header fields one may name in h= */
#define SIGNATURE_DRIFT (INT64_C(300))	/* seconds a clock may be wrong (3.5, t=) */

struct signature {
	enum auth_result result;
	const char *why;		/* not pass: for people; NULL nothing to add */
	struct span domain, selector;	/* lower case; "" unknown */
	struct span b;			/* the first characters of b=: which one it is (RFC 6008) */
	const char *algorithm;		/* "rsa-sha256"; NULL unknown */
	unsigned bits;			/* of its key; 0 unknown */
};

struct signatures;

/* m outlives it. now: Unix seconds. */
struct signatures *signatures_new(struct arena *a, struct dns_book *book, const struct mail *m,
    int64_t now);
bool signatures_step(struct signatures *s);	/* true: done */
void signatures_abort(struct signatures *s);	/* keys that have not come are temperror */
void signatures_free(struct signatures *s);	/* NULL-safe: what does not lie in the arena */
const struct signature *signatures_get(const struct signatures *s, size_t *n);
enum auth_result signatures_best(const struct signatures *s);	/* the fact: none, or the best */

/* ---- signatures_lib.c: libopendkim ---- */
struct signature_work {
	const struct signature *sig;	/* d and s are known, its key will do */
	struct span field;		/* the whole field */
	const struct public_key *key;
	/* out: */
	enum auth_result result;
	const char *why;
};
/* work: as they stand in the message. */
void signatures_verify(const struct mail *m, struct signature_work *work, size_t n);

#endif
