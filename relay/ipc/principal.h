/* principal.h -- on whose behalf a control request is made, and what that one may see.
 *
 * A request of `<run>/control.sock` is the administrator's of this machine: everything. The
 * console asks (frame AS, which the master passes on with UID_CONSOLE) on behalf of those who
 * signed in, and must say who:
 *
 *	"as":{"name":"a.durand","roles":["user"],"addresses":["a.durand@example.org"],"domains":[]}
 *
 * The role that answers (store, queue, …) limits what it shows and does to it: the console
 * cannot forget to. What a principal may not see does not exist for it: the answer is that
 * of an id nobody knows.
 */
#ifndef IPC_PRINCIPAL_H
#define IPC_PRINCIPAL_H

#include "ipc/json_read.h"
#include "postern/arena.h"

#define UID_CONSOLE ((uint32_t)-2)	/* no account's: of a request that came in a frame AS */
#define PRINCIPAL_NAMES_MAX 256		/* addresses, and domains */

/* X(NAME, "name"): user: own quarantine and lists; domain_admin: all of its domains; operator: queue,
 * quarantine, lists, health of all; editor: the policy; reviewer: incidents and what they hold;
 * auditor: sees all but contents, changes nothing; admin: all of them, and users. */
#define PRINCIPAL_ROLES(X) \
	X(USER, "user") X(DOMAIN_ADMIN, "domain_admin") X(OPERATOR, "operator") \
	X(EDITOR, "editor") X(REVIEWER, "reviewer") X(AUDITOR, "auditor") X(ADMIN, "admin")
enum principal_role {
#define X(name, text) PRINCIPAL_##name,
	PRINCIPAL_ROLES(X)
#undef X
	PRINCIPAL_ROLE_COUNT
};
#define PRINCIPAL_BIT(role) (1u << PRINCIPAL_##role)

const char *principal_role_name(enum principal_role r);
/* PRINCIPAL_ROLE_COUNT: none of that name. */
enum principal_role principal_role_parse(struct span name);

struct principal {
	bool local;		/* of the control socket: everything */
	struct span name;	/* for `by` and the audit log; "" local */
	unsigned roles;		/* PRINCIPAL_BIT */
	struct span *addresses;	/* of a user: its own */
	size_t naddresses;
	struct span *domains;	/* of a domain's administrator: its own */
	size_t ndomains;
};

/* Reads request's "as"; uid as it came with the request. -1: malformed, missing, or not the caller's to
 * say: nothing may be answered but err's text. Texts are borrowed from the request. */
int principal_read(const struct jval *request, uint32_t uid, struct arena *a, struct principal *p,
    struct err *err);
/* Has it one of `roles` (PRINCIPAL_BIT, joined)? ADMIN and a local request have all. */
bool principal_is(const struct principal *p, unsigned roles);
/* All mail, whoever's: local, operator, reviewer, editor, auditor, admin. */
bool principal_sees_all(const struct principal *p);
/* Mail of this address (case folded): its own, or of its domain. */
bool principal_sees(const struct principal *p, struct span address);
bool principal_sees_domain(const struct principal *p, struct span domain);

/* Is this request its to make, where a role shows all or nothing? roles 0: nobody's of the console. by (may
 * be NULL): "uid N", or the name. -1: err is the answer, "code" forbidden. A local request always may. */
#define PRINCIPAL_BY 96
int principal_may(struct span request, uint32_t uid, unsigned roles, char *by, struct err *err);

#endif
