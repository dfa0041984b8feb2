/* sign.h -- what header, session and make of a message say against it: odd, false, or disguised.
 *
 * Conditions ask for signs by name (`sign: from-lookalike`); the pack postern/antispam weighs them. A sign
 * alone proves little: each stands in honest mail too, now and then.
 */
#ifndef POSTERN_SIGN_H
#define POSTERN_SIGN_H

#include "postern/arena.h"
#include "postern/span.h"

/* X(NAME, "name-in-policies", "what it means") */
#define SIGNS(X) \
	X(FROM_SEVERAL, "from-several", "From: names several authors") \
	X(FROM_UNREADABLE, "from-unreadable", "From: has no address that can be read") \
	X(OWN_UNPROVED, "own-unproved", "From: is of our domain, comes from outside, and nothing proves it") \
	X(FROM_LOOKALIKE, "from-lookalike", "the author's domain looks like one of ours") \
	X(FROM_OUR_NAME, "from-our-name", "the author's domain is ours with another ending") \
	X(FROM_BRAND, "from-brand", "the author's domain looks like one that is protected (`protect`, and well-known ones)") \
	X(NAME_OURS, "name-ours", "the author's name shows our domain, the address is another's") \
	X(NAME_PERSON, "name-person", "the author's name is one of our people's (`people`), the address is not theirs") \
	X(NAME_BRAND, "name-brand", "the author's name is a protected one's, the address is another's, and it is not proved") \
	X(REPLY_LOOKALIKE, "reply-lookalike", "answers go to a domain that looks like the author's") \
	X(HELO_OURS, "helo-ours", "the client says that it is one of us") \
	X(HELO_ADDRESS, "helo-address", "the client gives an address as its name") \
	X(HELO_PLAIN, "helo-plain", "the client's name has no dot") \
	X(HELO_UNKNOWN, "helo-unknown", "the client's name does not exist") \
	X(NO_REVERSE, "no-reverse", "the client's address has no name") \
	X(REVERSE_UNPROVED, "reverse-unproved", "the client's address has a name that does not lead back to it") \
	X(REVERSE_POOL, "reverse-pool", "the client's name is one of a pool, as of customers' lines") \
	X(DATE_UNREADABLE, "date-unreadable", "Date: is no date") \
	X(DATE_OLD, "date-old", "dated more than two weeks back") \
	X(DATE_AHEAD, "date-ahead", "dated more than a day ahead") \
	X(ID_MALFORMED, "id-malformed", "Message-ID: is none") \
	X(ID_OURS, "id-ours", "Message-ID: is of our domain, the author is not") \
	X(RECEIVED_BACKWARDS, "received-backwards", "Received: goes more than a day backwards") \
	X(NO_RECIPIENT, "no-recipient", "neither To: nor Cc:") \
	X(UNDISCLOSED, "undisclosed", "To: hides who else gets it") \
	X(MIXED_SCRIPTS, "mixed-scripts", "subject or author's name has words of letters of two scripts") \
	X(CHARSET_IDLE, "charset-idle", "text in a character set of another script, of which it has no letter") \
	X(HTML_ONLY, "html-only", "HTML without a plain text") \
	X(PICTURE_ONLY, "picture-only", "HTML with little text and a large picture")

enum sign {
#define X(name, text, help) SIGN_##name,
	SIGNS(X)
#undef X
	SIGN_COUNT
};
const char *sign_name(enum sign s);
const char *sign_help(enum sign s);
bool sign_from_name(struct span name, enum sign *s);

struct signs {
	uint64_t mask;			/* 1 << enum sign */
	struct span why[SIGN_COUNT];	/* for people: "examp1e.org looks like example.org"; "" nothing to add */
};

#endif
