/* routes.h -- the one table of the API: what may be asked, by whom, and which command answers.
 *
 * X(method, path, shape, command, members, roles, summary). Path: behind /api/v1; {name} is a
 * member of the command, too. Members come from the query (GET, DELETE) or from the JSON body:
 * "name:type", type s text, i number, b yes or no, a list of texts, o any value; ! where it has to be there;
 * "before:i>after" is called otherwise by its command. {number} is a number. Nobody else's members reach a command. Roles: those who may; an administrator may all of it.
 *
 * The roles stand here for a clear refusal (403). Which mail a person sees, the role that answers
 * decides (ipc/principal.h), and again whether he may do it at all.
 */
#ifndef CONSOLE_ROUTES_H
#define CONSOLE_ROUTES_H

#include "console/console.h"
#include "ipc/principal.h"

/* How an answer is made of a command's lines. */
enum shape {
	SHAPE_OWN,		/* session.c answers; command names what */
	SHAPE_OBJECT,		/* the last line */
	SHAPE_ITEMS,		/* {"v":1,"items":[each line],"more":…} */
	SHAPE_MESSAGE,		/* {"v":1,"message":trace,"events":[…],"explain":…} */
	SHAPE_OVERVIEW,		/* the store's object, with what queue and master know */
	SHAPE_LIVE,		/* text/event-stream */
	SHAPES
};

#define R_(role) PRINCIPAL_BIT(role)
#define BY_ANYBODY 0u		/* nobody has to sign in */
#define BY_ALL ((1u << PRINCIPAL_ROLE_COUNT) - 1)
#define BY_ADMIN R_(ADMIN)
#define BY_OPERATOR R_(OPERATOR)
#define BY_READERS (R_(OPERATOR) | R_(AUDITOR))
#define BY_STAFF (R_(DOMAIN_ADMIN) | R_(OPERATOR) | R_(EDITOR) | R_(REVIEWER) | R_(AUDITOR))
#define BY_KEEPERS (R_(USER) | R_(DOMAIN_ADMIN) | R_(OPERATOR))	/* of quarantine and lists */
#define BY_KEPT (BY_KEEPERS | R_(REVIEWER) | R_(AUDITOR))
#define BY_POLICY (R_(EDITOR) | R_(OPERATOR) | R_(AUDITOR) | R_(REVIEWER))
#define BY_EDITOR R_(EDITOR)
#define BY_REVIEWER R_(REVIEWER)
#define BY_DOMAINS (R_(DOMAIN_ADMIN) | R_(OPERATOR) | R_(AUDITOR))
#define BY_AUDITOR R_(AUDITOR)

#define ROUTES(X) \
	X(POST, "/session", OWN, "sign-in", "name:s! password:s! code:s", BY_ANYBODY, "sign in") \
	X(GET, "/session", OWN, "who", "", BY_ALL, "who am I") \
	X(PATCH, "/session", OWN, "language", "language:s!", BY_ALL, "choose a language") \
	X(DELETE, "/session", OWN, "sign-out", "everywhere:b", BY_ALL, "sign out") \
	X(POST, "/session/password", OWN, "password", "old:s! password:s!", BY_ALL, "a new password of one's own") \
	X(GET, "/session/ways", OWN, "ways", "", BY_ANYBODY, "how one may sign in here") \
	X(POST, "/session/link", OWN, "link", "address:s!", BY_ANYBODY, "mail me a link to sign in") \
	X(POST, "/session/link/use", OWN, "link-use", "token:s!", BY_ANYBODY, "sign in by that link") \
	X(GET, "/overview", OVERVIEW, "overview", "", BY_STAFF, "what needs somebody, and the last 24 hours") \
	X(GET, "/trace", ITEMS, "trace", "q:s! limit:i before:s", BY_STAFF, "search the journal") \
	X(GET, "/messages/{id}", MESSAGE, "trace", "", BY_STAFF, "a message, its events and its verdict") \
	X(GET, "/queue", ITEMS, "queue.list", "by:s limit:i", BY_READERS, "the queue by site, sender or reason") \
	X(GET, "/queue/summary", OBJECT, "queue.summary", "", BY_READERS, "the queue in figures") \
	X(GET, "/queue/messages", ITEMS, "queue.list", "selector:s limit:i", BY_READERS, "messages in the queue") \
	X(GET, "/queue/messages/{id}", OBJECT, "queue.show", "", BY_READERS, "why a message is still here") \
	X(POST, "/queue/retry", OBJECT, "queue.retry", "selector:s! count:b", BY_OPERATOR, "try now") \
	X(POST, "/queue/hold", OBJECT, "queue.hold", "selector:s! count:b", BY_OPERATOR, "hold back") \
	X(POST, "/queue/release", OBJECT, "queue.release", "selector:s! count:b", BY_OPERATOR, "let go what is held back") \
	X(POST, "/queue/fail", OBJECT, "queue.fail", "selector:s! count:b silent:b", BY_OPERATOR, "return to senders") \
	X(POST, "/queue/pause", OBJECT, "queue.pause", "site:s!", BY_OPERATOR, "no more to this site") \
	X(POST, "/queue/resume", OBJECT, "queue.resume", "site:s!", BY_OPERATOR, "on with it") \
	X(GET, "/kept", ITEMS, "kept.list", "kind:s queue:s q:s state:s class:s from:s to:s asked:b limit:i before:s", BY_KEPT, "held and quarantined messages") \
	X(GET, "/kept/{kid}", OBJECT, "kept.show", "", BY_KEPT, "one of them") \
	X(GET, "/kept/{kid}/preview", OBJECT, "kept.preview", "", BY_KEEPERS | R_(REVIEWER), "its text, made safe") \
	X(POST, "/kept/release", ITEMS, "kept.release", "kids:a! reason:s undo:b", BY_KEEPERS, "send on") \
	X(POST, "/kept/reject", ITEMS, "kept.reject", "kids:a! reason:s undo:b", BY_KEEPERS, "refuse, with a notice to the sender") \
	X(POST, "/kept/delete", ITEMS, "kept.delete", "kids:a! reason:s undo:b", BY_KEEPERS, "delete") \
	X(POST, "/kept/undo", ITEMS, "kept.undo", "kids:a!", BY_KEEPERS, "take a decision back, while it waits") \
	X(POST, "/kept/request", ITEMS, "kept.request", "kids:a! reason:s", BY_KEEPERS, "ask an operator to send on") \
	X(POST, "/kept/rescan", ITEMS, "kept.rescan", "kids:a!", BY_OPERATOR, "judge again") \
	X(POST, "/kept/confirm", ITEMS, "kept.confirm", "kids:a! reason:s", BY_KEEPERS, "it is spam indeed") \
	X(POST, "/kept/approve", OBJECT, "kept.approve", "kid:s! reason:s", R_(USER) | R_(DOMAIN_ADMIN) | R_(OPERATOR) | R_(REVIEWER), "a voice for sending on") \
	X(POST, "/kept/deny", OBJECT, "kept.deny", "kid:s! reason:s", R_(USER) | R_(DOMAIN_ADMIN) | R_(OPERATOR) | R_(REVIEWER), "a voice against it") \
	X(GET, "/lists", ITEMS, "lists.list", "scope:s owner:s list:s state:s q:s limit:i before:i>after", BY_KEEPERS | R_(AUDITOR), "who is allowed or blocked") \
	X(GET, "/lists/check", ITEMS, "lists.check", "sender:s! recipient:s! client:s from:s", BY_KEEPERS | R_(AUDITOR), "which line would decide") \
	X(POST, "/lists", OBJECT, "lists.add", "scope:s! owner:s list:s! what:s! reason:s expires:o forever:b unauthenticated:b", BY_KEEPERS, "a new line") \
	X(POST, "/lists/request", OBJECT, "lists.request", "scope:s! owner:s list:s! what:s! reason:s expires:o", BY_KEEPERS, "ask an operator for a line") \
	X(POST, "/lists/{number}/approve", OBJECT, "lists.approve", "expires:o", BY_OPERATOR, "agree to what was asked for") \
	X(POST, "/lists/{number}/deny", OBJECT, "lists.deny", "reason:s", BY_OPERATOR, "do not") \
	X(DELETE, "/lists/{number}", OBJECT, "lists.remove", "", BY_KEEPERS, "remove a line") \
	X(GET, "/incidents", ITEMS, "incidents.list", "q:s rule:s state:s limit:i before:s", R_(REVIEWER) | R_(AUDITOR), "what rules have found") \
	X(GET, "/incidents/{id}", OBJECT, "incidents.show", "", R_(REVIEWER) | R_(AUDITOR), "one of them, masked") \
	X(POST, "/incidents/{id}/reveal", OBJECT, "incidents.reveal", "reason:s!", BY_REVIEWER, "what was found, word for word; audited") \
	X(POST, "/incidents/{id}/close", OBJECT, "incidents.close", "resolution:s! note:s", BY_REVIEWER, "close it") \
	X(GET, "/policy", OBJECT, "policy.rules", "", BY_POLICY, "the rules in force and how often they hit") \
	X(GET, "/policy/files", OBJECT, "editor.files", "", BY_POLICY, "its files") \
	X(GET, "/policy/files/{name}", OBJECT, "editor.read", "", BY_POLICY, "one of them") \
	X(POST, "/policy/check", OBJECT, "editor.check", "files:o!", BY_EDITOR, "errors of an edited policy") \
	X(POST, "/policy/test", OBJECT, "editor.test", "files:o!", BY_EDITOR, "run its tests") \
	X(POST, "/policy/diff", ITEMS, "editor.diff", "files:o! days:i", BY_EDITOR, "what it would change of past mail") \
	X(POST, "/policy/apply", OBJECT, "editor.apply", "files:o! message:s! base:s!", BY_EDITOR, "bring it into force") \
	X(GET, "/history", ITEMS, "policy.history", "limit:i", BY_POLICY, "which policies were in force") \
	X(GET, "/live", LIVE, "tail", "", BY_READERS, "events as they come") \
	X(GET, "/domains", ITEMS, "domains.list", "", BY_DOMAINS, "our domains") \
	X(GET, "/domains/{domain}", OBJECT, "domains.show", "", BY_DOMAINS, "one of them") \
	X(GET, "/domains/{domain}/spam", OBJECT, "domains.spam", "", BY_DOMAINS, "what the policy in force does with spam to it") \
	X(GET, "/domains/{domain}/dns", ITEMS, "dns.check", "", BY_DOMAINS, "what its zone should say, and does") \
	X(POST, "/probe", OBJECT, "probe", "host:s! port:i", R_(DOMAIN_ADMIN) | R_(OPERATOR), "what a mail server says of itself") \
	X(GET, "/domains/{domain}/keys", ITEMS, "dns.keys", "", BY_DOMAINS, "its DKIM keys, and where each stands") \
	X(GET, "/domains/{domain}/letter", OBJECT, "dns.letter", "language:s", BY_DOMAINS, "a letter to its DNS operator") \
	X(GET, "/health", OBJECT, "status", "", BY_STAFF, "processes, listeners, counters") \
	X(GET, "/reputation/{address}", OBJECT, "reputation.show", "", BY_READERS, "what is known of a client") \
	X(GET, "/audit", ITEMS, "audit.list", "q:s limit:i before:i", BY_AUDITOR, "who did what") \
	X(GET, "/users", ITEMS, "users.list", "", BY_AUDITOR, "accounts of this console") \
	X(POST, "/users", OBJECT, "users.add", "name:s! password:s roles:a! domains:a addresses:a language:s", BY_ADMIN, "a new account") \
	X(PATCH, "/users/{name}", OBJECT, "users.set", "password:s roles:a domains:a addresses:a language:s disabled:b", BY_ADMIN, "change it") \
	X(DELETE, "/users/{name}", OBJECT, "users.remove", "", BY_ADMIN, "remove it") \
	X(POST, "/users/{name}/totp", OBJECT, "users.totp", "off:b", BY_ADMIN, "a new secret for codes (TOTP)")

struct route {
	enum http_method method;
	const char *path;
	enum shape shape;
	const char *command, *members;
	unsigned roles;
	const char *summary;
};
extern const struct route routes[];
extern const size_t nroutes;

/* path: behind /api/v1. NULL: none; *known: but there is one for another method. *parameter is as
 * it stands in the path. */
const struct route *api_route(enum http_method method, struct span path, struct span *parameter,
    bool *known);
/* The name of its {parameter}; "" none. */
struct span route_parameter(const struct route *r);
/* The next "name:type" of *members; false: there is none. */
struct member { struct span name, key; char type; bool needed; };	/* key: the command's */
bool route_member(const char **members, struct member *m);

/* api_request.c */
/* The command's request, with `as`. false: what the client sent is not fit; err says what. */
bool api_request(struct client *k, struct buf *b, struct err *err);
/* The command it is about, for those who answer in several steps. */
void api_command(struct client *k, struct json *j, struct buf *b, const char *command);

/* api_forward.c: sends a command; done is called with its lines (answer.n may be 0), or not at all when
 * it failed: then the client has its error. */
typedef void forward_done(struct client *k, struct span answer);
void forward_send(struct client *k, struct span request, forward_done *done);
/* The same, but done is called with an error's line, too. */
void forward_send_whatever(struct client *k, struct span request, forward_done *done);
/* That, with a command that has no members. */
void forward_ask(struct client *k, const char *command, forward_done *done);
/* Lines as they came; -1: it failed, err->text and *status, *code say how. */
int api_failed(struct span lines, int *status, const char **code, struct err *err);
/* The members of an answer: "items":[…] and what the last line says beside. */
void api_items(struct buf *b, struct span lines);
void api_answer_lines(struct client *k, struct span lines);

/* session.c */
void session_serve(struct client *k);		/* SHAPE_OWN */
/* Who is it? then goes on with api_allowed, or has answered. */
void session_find(struct client *k);
bool session_csrf_right(const struct client *k);
#define SESSION_OF "postern session "		/* what the store knows a session by: session_hashed of its secret */
struct span session_hashed(struct arena *a, const char *what, struct span session);	/* hexadecimal SHA-256 */
struct span session_secret(struct client *k);	/* a new one */
void session_put_cookie(struct client *k, struct span session);
/* The head of a PERSON_ASK: what is wanted, for whom. */
void session_question(struct client *k, struct json *j, struct buf *b, const char *what);
/* A row in the audit log: who was refused what. */
void session_refused(struct client *k, const char *what, struct span subject);

/* api.c */
void api_known(struct client *k);		/* session.c: it is known who asks */

/* overview.c */
void overview_serve(struct client *k);

/* live.c */
void live_start(struct client *k);

/* openapi.c */
void openapi_write(struct buf *b);

#endif
