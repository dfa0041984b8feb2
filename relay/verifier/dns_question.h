/* dns_question.h -- the book of DNS questions and answers that judging one message rests on.
 *
 * The evaluators (SPF, DMARC) are pure: they write a question into the book and
 * stop until the answer stands there. Whoever owns the message pumps:
 *
 *	struct dns_book *book = dns_book_new(arena);
 *	struct spf *spf = spf_new(arena, book, &request);
 *
 *	while (!spf_step(spf)) {
 *		while (dns_book_next(book, &q))
 *			ask the resolver; each question is handed out once
 *		when an answer comes: dns_book_answer(book, q.id, answer);
 *	}
 *
 * Several evaluators may share a book: what one has asked is not asked again.
 * When all are done, or time is up (spf_abort), questions still on their way are
 * the caller's to cancel. The book lives in the arena it was made in.
 */
#ifndef VERIFIER_DNS_QUESTION_H
#define VERIFIER_DNS_QUESTION_H

#include "net/dns.h"
#include "postern/arena.h"

#define DNS_BOOK_MAX 400	/* questions for one message; what is asked beyond fails (SERVFAIL) */

struct dns_question {
	unsigned id;
	uint16_t type;
	const char *name;	/* lower case, no final dot; passes dns_question_ok */
};

struct dns_item {
	struct span text;	/* TXT, its strings joined; MX, PTR, NS: the name, "" the root */
	struct ip ip;		/* A, AAAA */
	uint16_t pref;		/* MX */
};

struct dns_reply {
	enum dns_status status;
	bool secure;		/* proved by DNSSEC */
	bool more;		/* there were more records than are read (DNS_RECORDS_MAX) */
	uint32_t ttl;		/* of what was found, seconds; 0 where nothing was */
	size_t n;		/* > 0 only with DNS_OK */
	const struct dns_item *items;
};

struct dns_book;

struct dns_book *dns_book_new(struct arena *a);
/* The answer; NULL: it has not come yet. A name that cannot be asked for does not exist. */
const struct dns_reply *dns_book_ask(struct dns_book *b, struct span name, uint16_t type);
/* The next question that has not been handed out. false: none. */
bool dns_book_next(struct dns_book *b, struct dns_question *q);
/* Once for each question handed out; the answer is copied. */
void dns_book_answer(struct dns_book *b, unsigned id, const struct dns_answer *answer);
/* All questions in the order they were asked, for people. reply NULL: unanswered. */
size_t dns_book_count(const struct dns_book *b);
void dns_book_get(const struct dns_book *b, size_t i, struct dns_question *q,
    const struct dns_reply **reply);

/* A name that may be asked for: 253 bytes in labels of 1 to 63, of printable ASCII without the
 * backslash. Wider than dns_name_ok: macros of SPF make names that are no host names. */
bool dns_question_ok(struct span name);
/* The servers failed: the answer may be another one later. */
static inline bool
dns_reply_failed(const struct dns_reply *r)
{
	return r->status == DNS_SERVFAIL || r->status == DNS_TIMEOUT || r->status == DNS_BOGUS;
}

#endif
