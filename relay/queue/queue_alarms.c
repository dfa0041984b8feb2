/* queue_alarms.c -- what somebody must know now: said once when it begins, once when it is over.
 *
 * Each goes to the log, to the journal (an `alarm` event, which programs can
 * follow with `postern tail --json`) and stands in queue.summary, which `postern
 * status` shows, for as long as it lasts. Each has a way back that is some steps from
 * the way in, so that it does not flicker.
 */
#include <stdarg.h>

#include "clock.h"
#include "queue/queue.h"

static const struct {
	const char *name;
	enum log_level level;
	const char *over;
} alarms[ALARMS] = {
#define X(name, text, level, over) { text, LOG_LVL_##level, over },
	ALARM_TABLE(X)
#undef X
};

const char *
queue_alarm_name(enum queue_alarm a)
{
	return alarms[a].name;
}

static void
tell(struct queue *q, enum queue_alarm a, bool begins, const char *text)
{
	char line[ALARM_TEXT_MAX + 80];
	struct msg_event ev = { .kind = EVENT_ALARM, .time = clock_real() };

	log_msg(begins ? alarms[a].level : LOG_LVL_INFO, 0, "%s", text);
	snprintf(line, sizeof(line), "%s %s: %s", alarms[a].name, begins ? "begins" : "is over", text);
	ev.reply = span_str(line);
	queue_event(q, &ev);
}

void
queue_alarm(struct queue *q, enum queue_alarm a, const char *fmt, ...)
{
	va_list ap;

	if (q->alarms[a].since != 0)
		return;
	q->alarms[a].since = clock_real();
	va_start(ap, fmt);
	vsnprintf(q->alarms[a].text, sizeof(q->alarms[a].text), fmt, ap);
	va_end(ap);
	tell(q, a, true, q->alarms[a].text);
}

void
queue_alarm_over(struct queue *q, enum queue_alarm a)
{
	if (q->alarms[a].since == 0)
		return;
	q->alarms[a].since = 0;
	tell(q, a, false, alarms[a].over);
}

/* Before the floor is reached and mail is refused. Looked at in idle turns. */
void
queue_watch_disk(struct queue *q)
{
	uint64_t floor = q->rt->conf->queue.free ? q->rt->conf->queue.free : SPOOL_FLOOR_BYTES;
	uint64_t bytes, inodes;

	if (spool_space(q->sp, &bytes, &inodes) == -1)
		return;
	if (bytes < 2 * floor || inodes < 16 * SPOOL_FLOOR_INODES)
		queue_alarm(q, ALARM_DISK, "the spool's disk is nearly full: %llu MB and %llu inodes "
		    "left; below %llu MB or %d inodes new messages are refused",
		    (unsigned long long)(bytes / 1000000), (unsigned long long)inodes,
		    (unsigned long long)(floor / 1000000), SPOOL_FLOOR_INODES);
	else if (bytes > 2 * floor + floor / 2 && inodes > 20 * SPOOL_FLOOR_INODES)
		queue_alarm_over(q, ALARM_DISK);
}
