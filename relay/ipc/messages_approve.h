/* messages_approve.h -- the bodies of the frames between the page of a link and the store. */
#ifndef IPC_MESSAGES_APPROVE_H
#define IPC_MESSAGES_APPROVE_H

#include "ipc/messages.h"

/* ---- APPROVE_ASK: what does this token lead to? ticket answers with APPROVE_TOLD ---- */
enum approve_what { APPROVE_SHOW, APPROVE_YES, APPROVE_NO, APPROVE_WHATS };
struct msg_approve_ask {
	enum approve_what what;
	struct span token;	/* as it came: nothing has looked at it */
	struct span reason;
};

enum approve_told {
	APPROVE_UNKNOWN,	/* no token of ours, or too old; text: why, for the log alone */
	APPROVE_FAULT,		/* the store cannot say now */
	APPROVE_OPEN,		/* it waits for this person */
	APPROVE_SPOKEN,		/* this person has; text: "approve" or "deny" */
	APPROVE_OVER,		/* others have decided, or the time has */
	APPROVE_TOLDS
};
struct msg_approve_told {
	enum approve_told told;
	struct span text;
	/* From here on only when the token is good */
	uint64_t id;
	struct span as;		/* whose link it is */
	struct span state;	/* of the message: "waiting", "approved", "denied", "released", … */
	/* APPROVE_OPEN */
	int64_t until;
	struct span sender, recipients;
	struct span on_expire;
	struct span record;	/* the verdict's JSON; "" none */
	struct span approvals;	/* JSON: {"approvals": […], "votes": […]} */
};

MSG_CODEC(approve_ask);
MSG_CODEC(approve_told);

#endif
