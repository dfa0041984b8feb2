/* messages_export.h -- the bodies of the frames by which events go to webhooks and log servers. */
#ifndef IPC_MESSAGES_EXPORT_H
#define IPC_MESSAGES_EXPORT_H

#include "ipc/messages.h"

/* ---- EXPORT: to a line of `webhooks` or `siem`; ticket answers with EXPORTED ---- */
struct msg_export {
	struct span name;	/* of the line; the fetcher knows where it leads */
	struct span delivery;	/* the same whenever the same is sent again */
	struct span event;	/* webhook: the event's name */
	struct span body;	/* webhook: JSON. Others: messages of RFC 5424, each behind a 32-bit length */
};
struct msg_exported {
	bool ok;
	struct span text;	/* why not */
};
MSG_CODEC(export);
MSG_CODEC(exported);

#endif
