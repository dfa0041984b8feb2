/* dkim_watch.h -- are our own DKIM keys published? Asked here, where the DNS is, for the signer, which has none.
 *
 * Only for domains with `dkim: {check: true}`. Asked at the start, then every hour; while a key
 * is not found, or nobody answers, every minute. What is known is told to every
 * signer that comes.
 */
#ifndef DELIVERY_DKIM_WATCH_H
#define DELIVERY_DKIM_WATCH_H

#include "master/config.h"
#include "postern/err.h"

struct dkim_watch;
struct event_base;
struct link;
struct resolver;

#define WATCH_EVERY 3600		/* seconds */
#define WATCH_MISSING 60

/* Reads the rings of keys: before the sandbox. *out NULL: nothing to watch. */
int dkim_watch_new(const struct config *c, struct dkim_watch **out, struct err *err);
void dkim_watch_begin(struct dkim_watch *w, struct event_base *base, struct resolver *r);
void dkim_watch_peer(struct dkim_watch *w, struct link *signer, bool up);	/* w NULL: nothing */

#endif
