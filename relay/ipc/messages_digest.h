/* messages_digest.h -- the bodies of the frames between the page of a digest's link and the store. */
#ifndef IPC_MESSAGES_DIGEST_H
#define IPC_MESSAGES_DIGEST_H

#include "ipc/messages.h"

/* ---- DIGEST_ASK: what is this token worth, or do it; ticket answers with DIGEST_TOLD ---- */
/* X(NAME, "name of the form's decision") */
#define DIGEST_ACTS(X) \
	X(SHOW, "show") X(RELEASE, "release") X(REQUEST, "request") X(BLOCK, "block") X(ALLOW, "allow")
enum digest_act {
#define X(name, text) DIGEST_##name,
	DIGEST_ACTS(X)
#undef X
	DIGEST_ACT_COUNT
};
struct msg_digest_ask {
	enum digest_act act;
	struct span token;	/* as it came: nothing has looked at it */
};

enum digest_told_what {
	DIGEST_UNKNOWN,		/* forged, too old, not known: text says why, for the log alone */
	DIGEST_FAULT,		/* the store cannot say now */
	DIGEST_OPEN,		/* it waits, and these acts are offered */
	DIGEST_USED,		/* this link did `act`, now or before */
	DIGEST_OVER,		/* the message is decided, by whomever */
	DIGEST_TOLDS
};
struct msg_digest_told {
	enum digest_told_what told;
	struct span text;
	/* From here on only when the token is good */
	enum digest_act act;	/* USED */
	uint8_t offers;		/* OPEN: 1 << enum digest_act */
	uint64_t id;
	int64_t time;
	struct span as;		/* whose link it is */
	struct span state;	/* of the message */
	struct span sender, subject, class;
};

MSG_CODEC(digest_ask);
MSG_CODEC(digest_told);

#endif
