/* asked.h -- a request of a control client, as the store's answering functions share it. */
#ifndef STORE_ASKED_H
#define STORE_ASKED_H

#include "ipc/json_read.h"
#include "ipc/principal.h"
#include "store/store.h"

struct asked {
	struct store *s;
	const struct jval *req;
	enum outcome kind;		/* held.*, quarantine.* */
	uint32_t uid;
	struct principal who;		/* what may be shown and done */
	struct arena *arena;
	bool fetched;			/* what it names of other nodes is here, as guests */
	const int64_t *guests;		/* those that its selector chose */
	size_t nguests;
	struct reply *reply;		/* ended by whoever answers; NULL: kept by a tail or act */
};

/* store_control.c: answered later. All of the request is in what is returned, on the heap, and nothing is
 * left in q; whoever has it ends it and frees it. */
struct asked *asked_keep(struct asked *q);
void asked_end(struct asked *q);
void store_answer(struct asked *q);		/* runs it and ends it */

/* lines of an answer */
void say_error(struct asked *q, const char *text);
struct span asked_by(const struct asked *q);	/* for `by`: "uid N", or the name it signed in with */
struct json open_line(struct reply *r);		/* {"v":1 */
void close_line(struct reply *r, struct json *j);

/* audit_control.c */
/* "not allowed", and a row in the audit log. */
void asked_refuse(struct asked *q, const char *what);
void do_audit_list(struct asked *q, int fd);
void do_audit_head(struct asked *q, int fd);
void do_audit_verify(struct asked *q, int fd);
void do_audit_nodes(struct asked *q, int fd);	/* base_audit.c */
void do_audit_note(struct asked *q, int fd);

/* domains_control.c */
void do_domains_list(struct asked *q, int fd);
void do_domains_show(struct asked *q, int fd);
void do_domains_spam(struct asked *q, int fd);

/* policy_rules.c */
void do_policy_rules(struct asked *q, int fd);

/* overview.c */
void do_overview(struct asked *q, int fd);

/* retention.c */
void do_store_status(struct asked *q, int fd);

/* store_keys.c */
void do_store_keys(struct asked *q, int fd);
void do_store_restart(struct asked *q, int fd);

/* approve_control.c */
void do_approve(struct asked *q, int fd);	/* held.approve, held.deny */
void do_deny(struct asked *q, int fd);
void do_approval_show(struct asked *q, int fd);	/* approval.show, approval.act */
void do_approval_act(struct asked *q, int fd);

/* lists_control.c */
void do_lists_list(struct asked *q, int fd);
void do_lists_add(struct asked *q, int fd);
void do_lists_request(struct asked *q, int fd);
void do_lists_remove(struct asked *q, int fd);
void do_lists_approve(struct asked *q, int fd);
void do_lists_deny(struct asked *q, int fd);
void do_lists_check(struct asked *q, int fd);

/* store_policy.c */
/* The bytes themselves, {"v":1,"raw":"base64"} line after line. */
void say_bytes(struct asked *q, struct span bytes);
void do_records_page(struct asked *q, int fd);
void do_records_get(struct asked *q, int fd);
void do_policy_manifest(struct asked *q, int fd);
void do_policy_archive(struct asked *q, int fd);
void do_policy_edited(struct asked *q, int fd);
void do_policy_history(struct asked *q, int fd);
void do_policy_hits(struct asked *q, int fd);

#endif
