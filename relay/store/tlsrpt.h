/* tlsrpt.h -- the store's part in TLS reports (RFC 8460): what was seen is written down, and once a day told.
 *
 *	TLS_SEEN	-> the tables (tlsrpt_db.c), gathered for a moment
 *	a day is over	-> for each domain of it: who wants to hear of it? (delivery looks it up)
 *	somebody does	-> mailto: signed, and into our own queue; https: by the fetcher
 *
 * Reports go at a random time in the hours after midnight UTC, so that not all the world's relays
 * write at once. What does not get through is tried again for a day. A report under way when this
 * process ends is sent again; it has the same id, by which receivers know it.
 */
#ifndef STORE_TLSRPT_H
#define STORE_TLSRPT_H

#include "store/store.h"

struct jval;
struct tls_reports;

struct tls_reports *reports_new(struct store *s);
void reports_free(struct tls_reports **t);	/* what is under way is taken up by the next */
/* TLS_SEEN, RUA, SIGNED, POSTED; -1: it breaks the rules. */
int reports_frame(struct tls_reports *t, struct link *l, struct frame *f);
/* Is this ACCEPTED for one of our reports? */
bool reports_accepted(struct tls_reports *t, const struct msg_accepted *m);
void reports_peer_up(struct tls_reports *t, struct link *l);
void reports_peer_down(struct tls_reports *t, struct link *l);
void reports_tick(struct tls_reports *t, int64_t real, int64_t mono);	/* once a second */
void reports_flush(struct tls_reports *t);		/* what was seen, to the disk now */

/* tlsrpt_control.c: "tlsrpt.show", "tlsrpt.send". Both take the reply and end it. */
void reports_client(struct tls_reports *t, const struct jval *req, struct reply *reply);

#endif
