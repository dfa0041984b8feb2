/* key_book.h -- the public halves of all keys, in whatever state, for who asks the DNS about them.
 *
 * Made before the sandbox: keys that are still to be published, or have retired, are read here once
 * and forgotten; what stays is what the DNS should say.
 */
#ifndef SIGNER_KEY_BOOK_H
#define SIGNER_KEY_BOOK_H

#include "signer/dkim_ring.h"
#include "signer/dkim_sign.h"

struct key_book;
struct link;

struct key_book *key_book_new(void);
/* k NULL: it cannot be read, why says why. The domain's name is borrowed. */
void key_book_add(struct key_book *b, struct span domain, const struct domain_key *c, const struct dkim_key *k,
    const struct err *why);
/* All of it, as frames DKIM_KEY. */
void key_book_tell(const struct key_book *b, struct link *delivery);

#endif
