/* messages_oidc.h -- the bodies of the frames by which people sign in at a provider of OpenID Connect.
 *
 * The store asks, the fetcher answers, which alone speaks with the provider and reads what it says. Nothing of
 * a token goes further than the fetcher: what is told is who he is and what he may.
 */
#ifndef IPC_MESSAGES_OIDC_H
#define IPC_MESSAGES_OIDC_H

#include "ipc/messages.h"

/* ---- OIDC_ASK: ticket answers with OIDC_TOLD ---- */
enum oidc_question {
	OIDC_START,		/* where the browser is to go */
	OIDC_CODE,		/* it came back: who is it? */
	OIDC_QUESTIONS
};
struct msg_oidc_ask {
	enum oidc_question question;
	struct span redirect;	/* where it comes back to */
	struct span state;	/* START */
	struct span nonce;
	struct span verifier;	/* PKCE (RFC 7636, 4.1) */
	struct span language;	/* START: "en", "fr" */
	struct span code;	/* CODE */
	struct span iss;	/* CODE: as it came back (RFC 9207); "" none */
};

/* ---- OIDC_TOLD ---- */
enum oidc_status {
	OIDC_REFUSED,		/* the provider, or we, do not take it */
	OIDC_FAILED,		/* the provider cannot be asked now */
	OIDC_DONE,
	OIDC_STATUSES
};
struct msg_oidc_told {
	enum oidc_status status;
	struct span text;	/* why not; "" DONE */
	struct span url;	/* START: where to go; CODE: where one signs out there, "" nowhere */
	/* CODE: who it is; all of it was vouched for */
	struct span issuer, subject, name, mail;
	uint32_t roles;		/* PRINCIPAL_BIT */
	struct span domains;	/* lines */
};

MSG_CODEC(oidc_ask);
MSG_CODEC(oidc_told);

#endif
