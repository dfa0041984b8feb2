/* messages_rcpt.h -- the bodies of the frames about whether a recipient exists. */
#ifndef IPC_MESSAGES_RCPT_H
#define IPC_MESSAGES_RCPT_H

#include "ipc/messages.h"

/* ---- RCPT_ASK: does the server behind us take this address? ticket answers with RCPT_TOLD ---- */
struct msg_rcpt_ask { struct span address; };

enum rcpt_told {
	RCPT_KNOWN, RCPT_NO_SUCH,
	RCPT_DOUBT,		/* nobody knows now */
	RCPT_RETIRING,		/* not asked, or not to the end: another process is to be asked, this one never again */
	RCPT_TOLDS
};
struct msg_rcpt_told {
	enum rcpt_told told;
	struct span address;	/* for who has given up waiting, but not remembering */
	struct span relay;	/* whom it was asked of; "none" */
	struct span text;	/* his words, or why he could not be asked */
};

MSG_CODEC(rcpt_ask);
MSG_CODEC(rcpt_told);

#endif
