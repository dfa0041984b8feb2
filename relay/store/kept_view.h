/* kept_view.h -- which of a kept message's recipients somebody may see, and decide for: pure.
 *
 * Operators, administrators and the control socket: all. The administrator of a domain: all of a
 * message whose sender is of his domain, else the recipients who are. A user: himself, of what
 * came for him and is in quarantine; never what a rule holds of outgoing mail. Reviewers, auditors and
 * editors see all and decide nothing; reviewers alone of these see what stands in a message.
 */
#ifndef STORE_KEPT_VIEW_H
#define STORE_KEPT_VIEW_H

#include "ipc/principal.h"
#include "master/config.h"
#include "store/kept.h"

/* X(NAME, "verb", roles that may it for all, may a domain's administrator, may a recipient) */
#define KEPT_RIGHTS(X) \
	X(SEE, "show", PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(REVIEWER) | PRINCIPAL_BIT(AUDITOR) | \
	    PRINCIPAL_BIT(EDITOR), true, true) \
	X(READ, "preview", PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(REVIEWER), true, true) \
	X(RELEASE, "release", PRINCIPAL_BIT(OPERATOR), true, true) \
	X(REJECT, "reject", PRINCIPAL_BIT(OPERATOR), true, false) \
	X(DELETE, "delete", PRINCIPAL_BIT(OPERATOR), true, true) \
	X(CONFIRM, "confirm", PRINCIPAL_BIT(OPERATOR), true, true) \
	X(REQUEST, "request", PRINCIPAL_BIT(OPERATOR), true, true) \
	X(RESCAN, "rescan", PRINCIPAL_BIT(OPERATOR), true, false)
enum kept_right {
#define X(name, text, roles, domain, own) KEPT_MAY_##name,
	KEPT_RIGHTS(X)
#undef X
	KEPT_RIGHT_COUNT
};
const char *kept_right_name(enum kept_right r);

/* Which recipients (mine: one for each, may be NULL), and how many. */
size_t kept_reach(const struct principal *p, const struct kept *k, enum kept_right r, bool *mine);
/* May a recipient release this one on his own? Else he asks for it. */
bool kept_own_release(const struct config *c, const struct kept *k);

#endif
