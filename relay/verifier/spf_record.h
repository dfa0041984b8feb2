/* spf_record.h -- the text of an SPF record as terms (RFC 7208, 4.5, 4.6, 12).
 *
 * The whole record is read before any of it is judged: a slip anywhere makes
 * it unusable (4.6). Spans borrow from the text.
 */
#ifndef VERIFIER_SPF_RECORD_H
#define VERIFIER_SPF_RECORD_H

#include "postern/arena.h"
#include "postern/facts.h"
#include "postern/ip.h"

enum spf_kind { SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS };

struct spf_term {
	struct span text;	/* as written */
	enum spf_kind kind;
	enum auth_result result;	/* of a match: the qualifier */
	struct span spec;	/* domain-spec, with macros; p NULL: the current domain */
	struct ip net;		/* ip4, ip6 */
	uint8_t bits4, bits6;	/* prefix lengths; all bits unless written */
};

struct spf_record {
	const struct spf_term *terms;
	size_t n;
	struct span redirect, exp;	/* domain-spec; p NULL: none */
	bool all;			/* an `all` stands somewhere: redirect has no say (6.1) */
};

/* Does the TXT record begin as one of SPF (4.5)? */
bool spf_record_is(struct span txt);
/* false: *problem says what is wrong with which term (in a). */
bool spf_record_parse(struct arena *a, struct span txt, struct spf_record *out,
    struct span *problem);
/* Does the term ask the DNS, and so count against the limit (4.6.4)? */
bool spf_term_asks(const struct spf_term *t);

#endif
