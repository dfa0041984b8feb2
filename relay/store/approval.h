/* approval.h -- who must approve a held message, who has, and the links that let them: pure.
 *
 * A hold may ask for one or two persons of a group. Each rule that holds the
 * message is asked for on its own; one person's voice counts for every rule he
 * may speak for, once. The first refusal decides. The sender has no voice.
 *
 * A token is what a link in a mail carries: 65 bytes in base64url,
 *
 *	version 1 | row 8 | message id 8 | end of validity 8 | nonce 12 | address 8 | MAC 20
 *
 * (numbers big-endian; the address as the first bytes of its SHA-256, lower case; the MAC
 * HMAC-SHA256 over all before it, behind the text "postern approval", cut to 20 bytes). It
 * names one person and one held message, decides nothing when it is looked at, and is good
 * for one act: the store remembers its nonce.
 */
#ifndef STORE_APPROVAL_H
#define STORE_APPROVAL_H

#include "postern/arena.h"
#include "postern/err.h"
#include "postern/span.h"

#define APPROVAL_KEY 32
#define APPROVAL_NONCE 12
#define APPROVAL_TOKEN_TEXT 88		/* characters and the NUL */
#define APPROVAL_REASON_MAX 200
#define APPROVER_ANYBODY "anybody here"	/* a pattern that is no address: whoever may release, see two_persons.h */

struct token {
	int64_t kid;
	uint64_t id;
	int64_t expires;		/* Unix seconds */
	unsigned char nonce[APPROVAL_NONCE];
	unsigned char person[8];
};

/* For another purpose than approvals: the text before what is signed. */
#define TOKEN_APPROVAL "postern approval"
#define TOKEN_DIGEST "postern digest"
void token_write_as(const char *purpose, const struct token *t, const unsigned char key[APPROVAL_KEY],
    char out[APPROVAL_TOKEN_TEXT]);
bool token_read_as(const char *purpose, struct span text, const unsigned char key[APPROVAL_KEY],
    int64_t now, struct token *t, const char **why);

void token_person(struct span address, unsigned char out[8]);
void token_write(const struct token *t, const unsigned char key[APPROVAL_KEY],
    char out[APPROVAL_TOKEN_TEXT]);
/* false, and *why for people: not ours, changed on the way, or too old. now: Unix seconds. */
bool token_read(struct span text, const unsigned char key[APPROVAL_KEY], int64_t now,
    struct token *t, const char **why);

struct need {
	struct span rule;
	unsigned approvals;		/* 0: only who operates the gateway may release it */
	const struct span *approvers;	/* addresses, domains, .domains in lower case */
	size_t napprovers;
};
struct vote {
	struct span address;
	bool approve;
};
enum approval_state { APPROVAL_WAITS, APPROVAL_GIVEN, APPROVAL_DENIED };	/* numbers stand in the database */

bool approver_may(const struct need *n, struct span sender, struct span address);
/* So many of the voices count for it. */
unsigned need_approved(const struct need *n, struct span sender, const struct vote *v, size_t nv);
enum approval_state approval_judge(const struct need *n, size_t nn, struct span sender,
    const struct vote *v, size_t nv);

#endif
