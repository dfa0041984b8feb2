/* queue_show.h -- the queue as JSON; used by the files behind the control commands. */
#ifndef QUEUE_SHOW_H
#define QUEUE_SHOW_H

#include "json.h"
#include "queue/queue.h"

/* One object each, no line end. whole: everything about every recipient. */
void queue_show_message(struct json *j, struct queue *q, struct message *m, bool whole);
void queue_show_site(struct json *j, const struct site_info *t);
void queue_show_summary(struct json *j, struct queue *q);
/* Why it is still here: the last reply, or that there is none yet. */
struct span queue_reason(struct queue *q, const struct message *m, struct arena *a);

#endif
