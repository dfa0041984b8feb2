/* incident_control.c -- incidents, as the control socket takes them: reviewers; auditors may look.
 *
 *	{"cmd":"incidents.list","state":"open|closed|all","rule","q","limit":N,"before":"CURSOR"}
 *		items, then {"v":1,"found":N,"more":BOOL,"next":"CURSOR"}
 *	{"cmd":"incidents.show","id":"N"}	the item; "findings", masked, of its verdict record
 *	{"cmd":"incidents.reveal","id":"N","reason":"…"}	"findings" with "values" in clear: who, when and
 *		why stands in the audit log before anything is shown
 *	{"cmd":"incidents.close","id":"N","resolution":"true|false|accepted|duplicate|other","note"}
 *	{"cmd":"incidents.rules"}		for each rule: open, and what its incidents were
 *
 * What is revealed a scanner finds again in the kept message, with the policy of today: of a
 * message that was refused, or decided since, nothing is kept, and what is masked is all there is.
 */
#include <stdlib.h>

#include "clock.h"
#include "json.h"
#include "store/audit.h"
#include "store/incident_control.h"
#include "store/incident_db.h"
#include "store/kept_control.h"
#include "store/look.h"

#define LIMIT 100
#define LIMIT_MAX 1000
#define REASON_MIN 4
#define LISTED_FINDINGS 6

static bool
one(struct asked *q, struct incident *i)
{
	struct err err = { 0 };
	int64_t iid;
	int r;

	if (!kept_kid(jval_text(q->req, "id"), &iid)) {
		say_coded(q, "invalid", "which one? `id` is a number, as a text");
		return false;
	}
	store_settle(q->s);
	store_flush(q->s);
	r = incident_load(q->s->db, iid, i, &err);
	if (r != 1)
		say_coded(q, r == 0 ? "not-found" : "busy", r == 0 ? "there is no such incident" : err.text);
	return r == 1;
}

static void
do_list(struct asked *q)
{
	struct span state = jval_text(q->req, "state"), before = jval_text(q->req, "before");
	int64_t limit = jval_int(q->req, "limit", LIMIT), *iids;
	struct incident_ask ask = { .state = 1, .rule = jval_text(q->req, "rule"),
		.q = span_trim(jval_text(q->req, "q")) };
	struct err err = { 0 };
	char next[24];
	struct json j;
	size_t n;
	bool more;

	ask.limit = limit < 1 || limit > LIMIT_MAX ? LIMIT_MAX : (size_t)limit;
	if (span_is(state, "closed"))
		ask.state = 2;
	else if (span_is(state, "all"))
		ask.state = 0;
	else if (state.n && !span_is(state, "open")) {
		say_coded(q, "invalid", "`state` is open, closed or all");
		return;
	}
	if (before.n && !kept_kid(before, &ask.before)) {
		say_coded(q, "invalid", "`before` is what `next` said");
		return;
	}
	store_settle(q->s);
	store_flush(q->s);
	if (incident_list(q->s->db, &ask, q->arena, &iids, &n, &more, &err) == -1) {
		say_coded(q, "busy", err.text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (incident_item(q->s->db, iids[i], LISTED_FINDINGS, reply_buf(q->reply), &err) == -1) {
			say_coded(q, "busy", err.text);
			return;
		}
	j = open_line(q->reply);
	json_kuint(&j, "found", n);
	json_kbool(&j, "more", more);
	snprintf(next, sizeof(next), "%lld", more ? (long long)iids[n - 1] : 0);
	json_kcstr(&j, "next", more ? next : NULL);
	close_line(q->reply, &j);
}

static void
do_show(struct asked *q)
{
	struct err err = { 0 };
	struct incident i;

	if (one(q, &i) && incident_item(q->s->db, i.iid, SIZE_MAX, reply_buf(q->reply), &err) == -1)
		say_coded(q, "busy", err.text);
}

/* ---- in clear ---- */

struct revealing {
	struct reply *reply;
	int64_t iid;
};

static void
on_evidence(void *ctx, const struct msg_inspected *m, const char *why)
{
	struct revealing *r = ctx;
	struct arena *a = arena_new(0);
	struct json j = open_line(r->reply);

	if (m) {
		json_kint(&j, "id", r->iid);
		store_splice(&j, store_one_line(a, m->text));
	} else {
		json_kcstr(&j, "error", why);
		json_kcstr(&j, "code", "busy");
	}
	close_line(r->reply, &j);
	reply_end(&r->reply);
	arena_free(&a);
	free(r);
}

static void
do_reveal(struct asked *q)
{
	struct span reason = kept_reason(q);
	struct revealing *r;
	struct err err = { 0 };
	struct incident i;
	char number[24];
	struct kept k;

	if (!one(q, &i))
		return;
	snprintf(number, sizeof(number), "%lld", (long long)i.iid);
	if (!principal_is(&q->who, PRINCIPAL_BIT(REVIEWER))) {
		audit_refused(q, "incidents.reveal", span_str(number));
		say_coded(q, "forbidden", "only reviewers see what was found");
		return;
	}
	if (reason.n < REASON_MIN) {
		say_coded(q, "invalid", "why? `reason` says it to the audit log");
		return;
	}
	if (i.kid == 0 || kept_load(q->s->db, i.kid, false, q->arena, &k, &err) != 1 ||
	    k.state != KEPT_WAITING) {
		say_coded(q, "conflict", "the message is not kept (any more): what is masked is all there is");
		return;
	}
	if (audit_put(q->s->db, asked_by(q), "reveal", span_str(number), reason, clock_real(), &err) == -1) {
		say_coded(q, "busy", err.text);
		return;
	}
	r = calloc(1, sizeof(*r));
	ASSERT(r != NULL);
	*r = (struct revealing){ q->reply, i.iid };
	q->reply = NULL;
	look_start(q->s, INSPECT_EVIDENCE, i.kid, on_evidence, r);
}

static void
do_close(struct asked *q)
{
	struct span what = jval_text(q->req, "resolution"), note = span_sub(jval_text(q->req, "note"), 0, 2000);
	struct err err = { 0 };
	struct incident i;
	char number[24];
	struct json j;
	bool known = false;
	int r;

#define X(name, text) known |= span_is(what, text);
	RESOLUTIONS(X)
#undef X
	if (!one(q, &i))
		return;
	snprintf(number, sizeof(number), "%lld", (long long)i.iid);
	if (!principal_is(&q->who, PRINCIPAL_BIT(REVIEWER))) {
		audit_refused(q, "incidents.close", span_str(number));
		say_coded(q, "forbidden", "your roles do not allow it");
		return;
	}
	if (!known) {
		say_coded(q, "invalid", "`resolution` is true, false, accepted, duplicate or other");
		return;
	}
	if (db_begin(q->s->db, true, &err) == -1) {
		say_coded(q, "busy", err.text);
		return;
	}
	r = incident_close(q->s->db, i.iid, what, note, asked_by(q), clock_real(), &err);
	if (r == 1)
		r = audit_put(q->s->db, asked_by(q), "close", span_str(number), what, clock_real(), &err) == -1 ?
		    -1 : 1;
	if (r != 1 || db_commit(q->s->db, &err) == -1) {
		db_rollback(q->s->db);
		say_coded(q, r == 0 ? "conflict" : "busy", r == 0 ? "it is closed already" : err.text);
		return;
	}
	j = open_line(q->reply);
	json_kcstr(&j, "id", number);
	json_kbool(&j, "ok", true);
	json_kcstr(&j, "state", "closed");
	close_line(q->reply, &j);
}

static void
do_rules(struct asked *q)
{
	struct err err = { 0 };

	if (incident_rules(q->s->db, reply_buf(q->reply), &err) == -1)
		say_coded(q, "busy", err.text);
}

bool
incident_command(struct asked *q)
{
	static const struct { const char *name; void (*run)(struct asked *q); } verbs[] = {
		{ "incidents.list", do_list }, { "incidents.show", do_show },
		{ "incidents.reveal", do_reveal }, { "incidents.close", do_close },
		{ "incidents.rules", do_rules },
	};
	struct span cmd = jval_text(q->req, "cmd");

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!span_is(cmd, verbs[i].name))
			continue;
		if (principal_is(&q->who, PRINCIPAL_BIT(REVIEWER) | PRINCIPAL_BIT(AUDITOR))) {
			verbs[i].run(q);
		} else {	/* whether there are any is nobody else's */
			audit_refused(q, verbs[i].name, jval_text(q->req, "id"));
			say_coded(q, jval_has(q->req, "id") ? "not-found" : "forbidden",
			    jval_has(q->req, "id") ? "there is no such incident" : "your roles do not allow it");
		}
		return true;
	}
	return false;
}
