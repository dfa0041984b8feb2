/* queue_show.h -- the queue as JSON; used by queue_control.c. */
#ifndef QUEUE_SHOW_H
#define QUEUE_SHOW_H

#include "json.h"
#include "queue/queue.h"

/* One object each, no line end. whole: everything about every recipient. */
void queue_show_message(struct json *j, struct queue *q, struct message *m, bool whole);
void queue_show_site(struct json *j, const struct site_info *t);
void queue_show_summary(struct json *j, struct queue *q);
/* Lines: messages counted by sender, or by the reason why they are still here. */
void queue_show_groups(struct buf *out, struct queue *q, bool by_sender, size_t limit);

#endif
