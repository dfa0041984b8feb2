/* spf.h -- SPF (RFC 7208), evaluated strictly and without a socket.
 *
 * A state machine over a book of DNS questions (dns_question.h says how it is
 * pumped). It opens nothing, waits for nothing, and knows no clock but
 * request.now. What a stranger can make it do is bounded by the limits below;
 * includes and redirects are frames in the arena, never the C stack.
 *
 * The strict engine is the authority. libspf2 may run beside it or in its
 * place (spf_libspf2.h says what it gets wrong); with SPF_BOTH its answer is
 * only compared; the verifier counts where it disagrees.
 */
#ifndef VERIFIER_SPF_H
#define VERIFIER_SPF_H

#include "postern/facts.h"
#include "postern/ip.h"
#include "verifier/dns_question.h"

#define SPF_TERMS_MAX 10	/* terms that ask the DNS (4.6.4) */
#define SPF_VOID_MAX 2		/* of them those to which nothing answered (4.6.4) */
#define SPF_NAMES_MAX 10	/* hosts of one mx, names of one ptr (4.6.4) */
#define SPF_DEPTH_MAX (SPF_TERMS_MAX + 1)
#define SPF_RECORD_MAX 8000	/* bytes of a record; more is permerror. All TXT of an answer: DNS_DATA_MAX */
#define SPF_EXPANSION_MAX 4096	/* bytes that macros may make of one text */
#define SPF_SENDER_MAX 1024	/* bytes of MAIL FROM and of HELO */
#define SPF_EXPLANATION_MAX 400	/* bytes; a longer one is none */

enum spf_engine { SPF_STRICT, SPF_LIBSPF2, SPF_BOTH };
const char *spf_engine_name(enum spf_engine e);

struct spf_request {		/* borrowed until the evaluation is done */
	struct ip ip;		/* of the client */
	struct span helo;	/* as given; address literals and junk too */
	struct span mail_from;	/* "" the null sender: postmaster@helo is checked (2.4) */
	struct span receiver;	/* our own name, for %{r}; "" "unknown" */
	int64_t now;		/* Unix time in microseconds, for %{t} */
	bool helo_only;		/* check HELO though there is a sender (2.3) */
	bool explain;		/* fetch the explanation of a fail (6.2) */
	bool serial;		/* never ask ahead: one term after the other */
	enum spf_engine engine;
};

enum spf_identity { SPF_MAILFROM, SPF_HELO };

struct spf_match {
	struct span domain;	/* whose record */
	struct span term;	/* as written there, "-all"; "" no term: the default (4.7) */
};

/* All texts live in the arena. They may hold what strangers wrote: visible ASCII in terms,
 * domains and explanation, never a control character. */
struct spf_result {
	enum auth_result result;	/* never AUTH_UNKNOWN, AUTH_POLICY */
	enum spf_identity identity;	/* smtp.mailfrom or smtp.helo */
	struct span domain;		/* that was checked, A-labels, lower case: for DMARC */
	const struct spf_match *path;	/* what decided, from the outermost record inwards */
	size_t npath;
	struct span record;		/* the record at the top (behind redirects the one that decided) */
	struct span record_domain;	/* where it came from */
	struct span problem;		/* one sentence for people: why temperror, permerror, none; else "" */
	struct span explanation;	/* the domain's own words, for the client of a fail; else "" */
	unsigned terms, voids;		/* spent of the limits */
	bool compared;			/* SPF_BOTH: libspf2 has judged too … */
	bool disagrees;			/* … and says otherwise: */
	enum auth_result second;	/* this */
};

struct spf;

struct spf *spf_new(struct arena *a, struct dns_book *book, const struct spf_request *r);
/* true: done. false: an answer is awaited. */
bool spf_step(struct spf *s);
/* Time is up: the result is temperror, unless it is there already. spf_step() is true then. */
void spf_abort(struct spf *s);
const struct spf_result *spf_result(const struct spf *s);	/* once spf_step() was true */

#endif
