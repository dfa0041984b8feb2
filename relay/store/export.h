/* export.h -- the store's part in `webhooks` and `siem`: events go out in the order of the journal.
 *
 * The journal itself is the queue: each line of postern.yaml has a place in it (setting export:NAME), which moves on
 * when the fetcher says that the other side has what came before. So what waits survives a restart, takes no room of
 * its own, and comes again after a crash in between: at least once, with the same delivery id. One EXPORT of a line
 * is under way at a time; after a failure it waits, twice as long each time. A line that falls further behind than its
 * backlog, or an event nobody takes for GIVE_UP, loses events, counted and logged. Mail never waits for any of it.
 * A new line begins with what happens from then on.
 */
#ifndef STORE_EXPORT_H
#define STORE_EXPORT_H

#include "store/store.h"

struct exports *exports_new(struct store *s);
void exports_peer_up(struct exports *x, struct link *l);
void exports_peer_down(struct exports *x, struct link *l);
int exports_frame(struct exports *x, struct frame *f);	/* EXPORTED */
void exports_tick(struct exports *x);		/* once a second, and when the journal has grown */
void exports_reconfigured(struct exports *x);
void exports_end(struct exports *x);		/* the database goes */

#endif
