/* report.h -- what became of a job: log lines for people, RESULT for the queue. */
#ifndef DELIVERY_REPORT_H
#define DELIVERY_REPORT_H

#include "buf.h"
#include "delivery/job.h"

/* One line for each recipient, as Postfix writes them, and the counters. */
void report_log(const struct job *job);
void report_result(struct buf *b, const struct job *job);

/* "0.31", "4", "0": seconds as Postfix shows delays. */
#define DELAY_TEXT_MAX 24
const char *report_delay(int64_t us, char text[DELAY_TEXT_MAX]);

#endif
