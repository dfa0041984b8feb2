/* messages_inspect.h -- the frames by which the store has a kept message looked at again.
 *
 * The store opens nothing that a stranger wrote. A scanner, which may do next to nothing, looks: is there
 * a virus by today's signatures, what would today's policy say, what may be shown of it as
 * text. It answers with JSON of its own making, which the store hands on.
 */
#ifndef IPC_MESSAGES_INSPECT_H
#define IPC_MESSAGES_INSPECT_H

#include "ipc/messages.h"

/* ---- INSPECT: a kept message; ticket answers with INSPECTED ---- */
enum inspect_what {
	INSPECT_JUDGE,		/* antivirus and policy of today; text: the verdict's record */
	INSPECT_PREVIEW,	/* text: {"headers":[{name,value}],"text","truncated","parts":[…]} */
	INSPECT_EVIDENCE,	/* text: {"findings":[{detector,part,where,name,"values":[…]}]}, not masked */
	INSPECT_WHATS
};
struct msg_inspect {
	enum inspect_what what;
	struct envelope env;
	struct payload payload;
};

enum inspect_status {
	INSPECT_DONE,
	INSPECT_FAILED,		/* the antivirus or the policy cannot judge now: nothing is known; why */
	INSPECT_STATUSES
};
struct msg_inspected {
	enum inspect_status status;
	enum av_state av;	/* of INSPECT_JUDGE */
	struct span virus;	/* its name; with AV_VIRUS it may be empty */
	struct span why;
	struct span text;	/* JSON */
};

MSG_CODEC(inspect);
MSG_CODEC(inspected);

#endif
