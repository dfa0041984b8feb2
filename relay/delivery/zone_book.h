/* zone_book.h -- what the DNS says of our domains, asked in the event loop for the table of zone.h.
 *
 * The table is held against a book of answers, over and over: what is not in the book is asked, and
 * when all that was asked has come it is held against it again, until nothing is missing. One book for each
 * resolver; each has a libunbound context of its own, made for the check and gone with it, so that what is
 * shown is what the servers say now and not what somebody heard an hour ago.
 *
 * Answers the commands dns.check, dns.letter, dns.keys of the control socket and the console. Keys: the
 * signer says their public halves (DKIM_KEY); no private key is ever here.
 */
#ifndef DELIVERY_ZONE_BOOK_H
#define DELIVERY_ZONE_BOOK_H

#include "delivery/job.h"
#include "master/runtime.h"

#define ZONE_CHECKS_MAX 8		/* at once; each asks the servers and up to CONF_RESOLVERS_MAX others */
#define ZONE_ROUNDS_MAX 60		/* of one check; SPF asks one question after the other */
#define ZONE_QUESTIONS_MAX 200		/* of one book */
#define ZONE_PATIENCE (INT64_C(20) * 1000000)

struct zone_books;

/* Reads the certificate: before the sandbox. */
struct zone_books *zone_books_new(const struct config *c, struct span anchors);
/* servers: those that are asked when postern.yaml names none. */
void zone_books_begin(struct zone_books *b, struct runtime *rt, struct carrier *c,
    const struct conf_host *servers, size_t n);
void zone_books_peer(struct zone_books *b, struct link *signer, bool up);
/* -1: the body breaks the rules. */
int zone_books_key(struct zone_books *b, struct link *signer, struct frame *f);
/* A request dns.…: answers on fd. */
void zone_books_client(struct zone_books *b, int fd, uint32_t uid, struct span request);

#endif
