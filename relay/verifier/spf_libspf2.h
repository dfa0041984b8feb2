/* spf_libspf2.h -- libspf2 as the second engine, fed from the book.
 *
 * libspf2 blocks in a callback for each question. Here the callback reads the
 * book; where an answer is missing it notes the question and says "try again",
 * the run is thrown away, and the next one begins when the answer is there.
 *
 * What the library does not limit is limited here: names of 253 bytes, ten
 * look-ups behind the record (hosts of an mx or a ptr apart), two void ones,
 * no NUL in TXT. It may still be wrong: docs/SPF.md lists where.
 */
#ifndef VERIFIER_SPF_LIBSPF2_H
#define VERIFIER_SPF_LIBSPF2_H

#include "verifier/spf.h"
#include "verifier/spf_macro.h"

#define SPF_SECOND_LOOKUPS_MAX (SPF_TERMS_MAX + 1)	/* the record, and what it refers to */
#define SPF_SECOND_QUESTIONS_MAX (SPF_TERMS_MAX * (SPF_NAMES_MAX + 2))	/* with hosts */

struct spf_second;

/* names: local, sender_domain, helo, receiver, ip; borrowed. */
struct spf_second *spf_second_new(struct arena *a, struct dns_book *book,
    const struct spf_names *names);
bool spf_second_step(struct spf_second *s, enum auth_result *r);	/* true: done */
/* The library's own words about the result; "" none. */
struct span spf_second_problem(const struct spf_second *s);

#endif
