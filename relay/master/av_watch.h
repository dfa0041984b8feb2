/* av_watch.h -- the master's side of the antivirus: new signatures, its state. */
#ifndef MASTER_AV_WATCH_H
#define MASTER_AV_WATCH_H

#include "master/master.h"

struct json;

uint64_t av_print(const struct generation *g);	/* of the databases as they are now; 0: none are read */
void av_watch_look(struct master *m);		/* at each tick */
void av_watch_worker(struct master *m, const struct proc *worker);	/* became ready */
void av_watch_cancel(struct master *m);		/* a reload begins: it loads the signatures, too */
/* A process ended. True: it was a trial, and that is all it was. */
bool av_watch_died(struct master *m, struct proc *p, const char *how);
int av_watch_heard(struct master *m, struct proc *p, const struct frame *f);	/* ANTIVIRUS; -1: nonsense */
void av_watch_status(const struct master *m, struct json *j);

#endif
