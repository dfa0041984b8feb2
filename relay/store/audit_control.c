/* audit_control.c -- the audit log, shown and verified.
 *
 *	{"cmd":"audit.list","q":"words, who:, what:, since:, before: (audit_query.h)","before":SEQ,"limit":N}	newest first; last line
 *		{"v":1,"found":N,"more":BOOL,"next":SEQ}
 *	{"cmd":"audit.head"}	{"v":1,"seq":N,"hash":"hex","key":"hex or null"}
 *	{"cmd":"audit.verify","after":SEQ,"hash":"hex","keyed":BOOL}	the next rows; all but the first
 *		request say where the answer before stopped. {"v":1,"seq","hash","keyed","rows","unkeyed",
 *		"foreign","end":BOOL}, and "broken":SEQ,"why":"…" where something is wrong
 *	{"cmd":"audit.note","what":"bundle.apply","subject":"…","detail":"…"}	the tool's alone: what it
 *		did by itself, with files. {"v":1}
 *
 * For auditors, operators and administrators; who asks and is none of them is written down.
 */
#include <errno.h>

#include "clock.h"
#include "log.h"
#include "store/asked.h"
#include "store/audit.h"
#include "store/db_keys.h"
#include "store/kept_control.h"
#include "store/share.h"

#define LIST_DEFAULT 100
#define LIST_MAX 1000
#define VERIFY_ROWS 20000		/* of one request: some 50 ms */
#define BUDGET_US (INT64_C(1000) * 1000)

void
asked_refuse(struct asked *q, const char *what)
{
	struct err err;
	struct json j;

	q->s->unwritten = true;
	if (q->s->reads)
		return;
	store_settle(q->s);
	if (audit_put(q->s->db, asked_by(q), AUDIT_WHAT_REFUSED, span_str(what), (struct span){ 0 },
	    clock_real(), &err) == -1)
		log_error("%s", err.text);
	j = open_line(q->reply);
	json_kcstr(&j, "error", "not allowed");
	json_kcstr(&j, "code", "forbidden");
	close_line(q->reply, &j);
}

static bool
may(struct asked *q, const char *what)
{
	if (principal_is(&q->who, PRINCIPAL_BIT(AUDITOR) | PRINCIPAL_BIT(OPERATOR)))
		return true;
	asked_refuse(q, what);
	return false;
}

void
do_audit_list(struct asked *q, int fd)
{
	int64_t limit = jval_int(q->req, "limit", LIST_DEFAULT), next;
	struct err err;
	struct json j;
	size_t found;
	int r;

	if (!may(q, "audit.list"))
		return;
	store_flush(q->s);
	if (limit < 1 || limit > LIST_MAX)
		limit = LIST_MAX;
	if (base_audit_list(q, (size_t)limit))
		return;
	db_budget(q->s->db, BUDGET_US);
	r = audit_list(q->s->db, jval_text(q->req, "q"), jval_int(q->req, "before", 0), (size_t)limit,
	    reply_buf(q->reply), &found, &next, &err);
	db_budget(q->s->db, 0);
	if (r == -1) {
		if (err.code == EINVAL)
			say_coded(q, "invalid", err.text);
		else
			say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kuint(&j, "found", found);
	json_kbool(&j, "more", next != 0);
	json_kint(&j, "next", next);
	close_line(q->reply, &j);
}

static void
put_hash(struct json *j, const unsigned char hash[AUDIT_HASH])
{
	char hex[2 * AUDIT_HASH + 1];

	audit_hex(hash, hex);
	json_kcstr(j, "hash", hex);
}

void
do_audit_head(struct asked *q, int fd)
{
	int64_t key = db_audit_key_number(q->s->db);
	struct audit_head h;
	struct err err;
	struct json j;

	if (!may(q, "audit.head"))
		return;
	store_flush(q->s);
	if (audit_head(q->s->db, &h, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kint(&j, "seq", h.seq);
	put_hash(&j, h.hash);
	json_kcstr(&j, "key", key ? arena_printf(q->arena, "%014llx", (unsigned long long)key) : NULL);
	close_line(q->reply, &j);
}

void
do_audit_verify(struct asked *q, int fd)
{
	struct audit_walk w = { .seq = jval_int(q->req, "after", 0) };
	struct err err;
	struct json j;

	if (!may(q, "audit.verify"))
		return;
	store_flush(q->s);
	if (jval_has(q->req, "after")) {
		w.begun = true;
		w.keyed = jval_bool(q->req, "keyed");
		if (!audit_unhex(jval_text(q->req, "hash"), w.hash)) {
			say_error(q, "`hash` wants 64 hexadecimal digits");
			return;
		}
	}
	if (base_audit_verify(q, &w))
		return;
	if (audit_verify(q->s->db, &w, VERIFY_ROWS, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kint(&j, "seq", w.seq);
	put_hash(&j, w.hash);
	json_kbool(&j, "keyed", w.keyed);
	json_kuint(&j, "rows", w.rows);
	json_kuint(&j, "unkeyed", w.unkeyed);
	json_kuint(&j, "foreign", w.foreign);
	if (w.fault) {
		json_kint(&j, "broken", w.broken);
		json_kcstr(&j, "why", audit_fault_text(w.fault));
	}
	json_kbool(&j, "end", w.end);
	close_line(q->reply, &j);
}

void
do_audit_note(struct asked *q, int fd)
{
	struct span what = jval_text(q->req, "what");
	struct err err;
	struct json j;

	if (what.n == 0 || what.n > 40 || !span_is_plain(what)) {
		say_error(q, "what was done?");
		return;
	}
	store_settle(q->s);
	if (audit_put(q->s->db, asked_by(q), arena_str(q->arena, what), jval_text(q->req, "subject"),
	    jval_text(q->req, "detail"), clock_real(), &err) == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	close_line(q->reply, &j);
}
