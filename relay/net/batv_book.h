/* batv_book.h -- which domains of ours tag their senders (`domains.X.batv`), and by what keys; see batv.h.
 *
 * Read at start by the receivers, which know bounces by it, and by delivery, which tags. The keys are
 * no more secret than these two: delivery says a tag to every server it talks to, a receiver
 * tells everybody which are good, and who has the key can do no more than send us bounces we do
 * not refuse. So they are not the signer's, who would have to be asked at each RCPT and MAIL; a
 * new key (postern batv new) ends what a stolen one is worth.
 */
#ifndef NET_BATV_BOOK_H
#define NET_BATV_BOOK_H

#include "master/config.h"
#include "net/batv.h"

struct batv_domain {
	const struct conf_domain *conf;	/* NULL: this domain does not tag */
	struct batv_keys keys;
	struct addrlist *exempt;	/* recipients for whom senders stay as they are */
	struct addrlist *untagged;	/* ours, to which bounces come without a tag */
	int32_t since;			/* the day senders began to be tagged */
};
struct batv_book;

/* *out NULL: no domain has `batv`. The error names the place in postern.yaml. */
int batv_book_load(const struct config *c, struct batv_book **out, struct err *err);
void batv_book_free(struct batv_book **b);	/* wipes the keys; NULL-safe */
/* The domain of an address, when it tags; else NULL. b may be NULL. */
const struct batv_domain *batv_book_of(const struct batv_book *b, struct span address);
/* The sender as the server of this recipient is to hear it. */
struct span batv_sender(const struct batv_book *b, struct arena *a, struct span sender,
    struct span recipient, int64_t now);

#endif
