/* export_format.h -- an event as a log server wants it: RFC 5424 around JSON, ECS or CEF.
 *
 * Pure: no database, no clock. All texts may be hostile: whatever stands in them, the message is one line of valid
 * UTF-8, and no text can end its field. docs/LOGS.md has the fields.
 */
#ifndef STORE_EXPORT_FORMAT_H
#define STORE_EXPORT_FORMAT_H

#include "buf.h"
#include "ipc/messages.h"
#include "master/config.h"

#define EXPORT_MESSAGE_MAX (32u << 10)	/* of one event; texts in it are cut at EXPORT_TEXT_MAX */
#define EXPORT_TEXT_MAX 1024
#define EXPORT_TO_MAX 20		/* recipients told of one event */

struct export_about {
	struct span hostname, version;
};
/* One message of RFC 5424, without an end of line. */
void export_syslog(struct buf *b, const struct export_about *about, enum export_format format,
    const struct msg_event *ev, int64_t seq);
/* What stands in it. */
void export_cef(struct buf *b, const struct export_about *about, const struct msg_event *ev, int64_t seq);
void export_ecs(struct buf *b, const struct export_about *about, const struct msg_event *ev, int64_t seq);
/* A value of CEF's extension: `\`, `=`, ends of lines; what is no UTF-8 or controls a terminal is \xNN. */
void export_cef_value(struct buf *b, struct span text);

#endif
