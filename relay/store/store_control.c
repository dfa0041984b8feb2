/* store_control.c -- what people ask the store; requests and answers are JSON lines.
 *
 *	{"cmd":"trace","q":"TEXT","limit":N,"before":"ID"}	messages, newest first (search_query.h); last line
 *		{"v":1,"found":N,"more":BOOL,"partial":BOOL,"next":"ID or null"}; "unindexed" while old ones are missing
 *	{"cmd":"tail"}				events as they come, until the client closes
 *	{"cmd":"explain","id":"ID"}		the verdict record
 *	{"cmd":"journal.stats","hours":N}	recipients by status, kept messages that wait
 *	{"cmd":"held.list","selector":"S","limit":N,"all":BOOL}	also quarantine.*
 *	{"cmd":"held.show","id":"ID","raw":BOOL}
 *	{"cmd":"held.release","selector":"S","count":BOOL}	also reject (with "text"), delete
 *	{"cmd":"held.approve", …}, {"cmd":"approval.show", …}	see approve_control.c
 *	{"cmd":"overview"}			see overview.c
 *	records.*, policy.*			see store_policy.c, policy_rules.c
 *	lists.*, domains.*			see lists_control.c, domains_control.c
 *	audit.*, store.*			see audit_control.c, store_keys.c, retention.c
 *	kept.*					see kept_control.c; held.* and quarantine.* too, for who signed in
 *
 * The file is long because the table of all commands stands here, with those that are a few lines.
 *
 * S: see kept_filter_parse. With "count" a verb only says how many it would
 * act on: {"v":1,"count":N}. Every failure is {"v":1,"error":"…"}.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "ipc/json_read.h"
#include "log.h"
#include "store/apart.h"
#include "store/asked.h"
#include "store/hours.h"
#include "store/search.h"
#include "store/share.h"
#include "store/bayes.h"
#include "store/people.h"
#include "store/digest.h"
#include "store/incident_control.h"
#include "store/kept_control.h"
#include "store/kept_page.h"
#include "store/request_db.h"
#include "store/tlsrpt.h"

#define TAIL_BACKLOG ((size_t)8 << 20)	/* a client slower than that has lost */
#define TAILS_MAX 32
#define LIST_LIMIT 1000
#define HOURS_SHOWN 168
#define LIST_LIMIT_MAX 20000
#define ACT_MAX 100000
#define HEAD_MAX 16384			/* of a message's header, shown */
#define REASON_MAX 200
#define RAW_MAX ((size_t)40 << 20)	/* more does not pass the control socket */

/* ---- lines ---- */

void
say_error(struct asked *q, const char *text)
{
	struct json j;

	json_begin(&j, reply_buf(q->reply));
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "error", text);
	json_end_object(&j);
	buf_putc(reply_buf(q->reply), '\n');
}

struct json
open_line(struct reply *r)
{
	struct json j;

	json_begin(&j, reply_buf(r));
	json_object(&j);
	json_kint(&j, "v", 1);
	return j;
}

void
close_line(struct reply *r, struct json *j)
{
	json_end_object(j);
	buf_putc(reply_buf(r), '\n');
}

struct span
asked_by(const struct asked *q)
{
	return q->who.local ? span_str(arena_printf(q->arena, "uid %u", q->uid)) : q->who.name;
}

struct asked *
asked_keep(struct asked *q)
{
	struct asked *kept = malloc(sizeof(*kept));

	ASSERT(kept != NULL);
	*kept = *q;
	q->req = NULL;
	q->arena = NULL;
	q->reply = NULL;
	return kept;
}

void
asked_end(struct asked *q)
{
	struct jval *v = (struct jval *)(uintptr_t)q->req;

	q->req = NULL;
	jval_free(&v);
	arena_free(&q->arena);
	reply_end(&q->reply);
}

/* JSON that others wrote: one answer stays one line. */
struct span
store_one_line(struct arena *a, struct span record)
{
	char *p = arena_str(a, record);

	for (size_t i = 0; i < record.n; i++)
		if (p[i] == '\n' || p[i] == '\r')
			p[i] = ' ';
	return span_make(p, record.n);
}

/* ---- tail ---- */

struct tail {
	struct store *s;
	struct reply *reply;
	struct event *closed;
	struct tail *next;
};

static void
tail_end(struct tail *t)
{
	for (struct tail **pp = &t->s->tails; *pp; pp = &(*pp)->next)
		if (*pp == t) {
			*pp = t->next;
			break;
		}
	event_free(t->closed);		/* before its descriptor is closed */
	reply_end(&t->reply);
	free(t);
}

static void
on_tail_readable(evutil_socket_t fd, short what, void *arg)
{
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		tail_end(arg);
}

void
store_tell(struct store *s, const struct msg_event *ev, int64_t seq)
{
	for (struct tail *t = s->tails, *next; t; t = next) {
		struct json j;

		next = t->next;
		if (buf_size(reply_buf(t->reply)) > TAIL_BACKLOG) {
			log_warn("tail: a client that does not read is left");
			buf_reset(reply_buf(t->reply));
			tail_end(t);
			continue;
		}
		j = open_line(t->reply);
		journal_event_json(&j, ev, seq);
		close_line(t->reply, &j);
		reply_send(t->reply);
	}
}

void
store_tails_end(struct store *s)
{
	while (s->tails)
		tail_end(s->tails);
}

static void
do_tail(struct asked *q, int fd)
{
	struct tail *t;
	size_t n = 0;

	for (t = q->s->tails; t; t = t->next)
		n++;
	if (n >= TAILS_MAX) {
		say_error(q, "too many follow the journal already");
		return;
	}
	t = calloc(1, sizeof(*t));
	ASSERT(t != NULL);
	t->s = q->s;
	t->reply = q->reply;
	t->closed = event_new(q->s->rt->base, fd, EV_READ | EV_PERSIST, on_tail_readable, t);
	ASSERT(t->closed != NULL);
	event_add(t->closed, NULL);
	t->next = q->s->tails;
	q->s->tails = t;
	q->reply = NULL;
}

/* ---- the journal ---- */

static void
do_trace(struct asked *q, int fd)
{
	struct trace_result res;
	struct err err = { 0 };
	struct json j;
	int64_t limit = jval_int(q->req, "limit", 20);
	struct span text = jval_text(q->req, "q"), before = jval_text(q->req, "before");
	uint64_t below = 0;
	char id[ID_SIZE];

	if (span_trim(text).n == 0) {
		say_error(q, "trace wants something to look for");
		return;
	}
	if (before.n && !id_parse(before, &below)) {
		say_error(q, "`before` wants the id of a message");
		return;
	}
	store_flush(q->s);	/* what came a moment ago is asked for most */
	if (base_trace(q, below, limit < 1 || limit > TRACE_LIMIT_MAX ? TRACE_LIMIT_MAX : (uint32_t)limit))
		return;
	if (journal_trace(q->s->db, text, q->who.local ? NULL : &q->who, below, limit < 1 || limit > TRACE_LIMIT_MAX ? TRACE_LIMIT_MAX :
	    (uint32_t)limit, reply_buf(q->reply), &res, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kuint(&j, "found", res.found);
	json_kbool(&j, "more", res.more);
	json_kbool(&j, "partial", res.partial);
	if (res.unindexed)
		json_kbool(&j, "unindexed", true);
	json_kcstr(&j, "next", res.more ? id_format(res.last, id) : NULL);
	close_line(q->reply, &j);
}

/* A record names all recipients and what was found: it is the sender's side's, or of whoever sees all of
 * them. */
static int
explain_sees(struct asked *q, uint64_t id, struct err *err)
{
	bool sender;
	int r = search_sees(q->s->db, &q->who, id, &sender, err);

	return r == 1 && !sender ? search_sees_whole(q->s->db, &q->who, id, err) : r;
}

static void
do_explain(struct asked *q, int fd)
{
	struct span text = jval_text(q->req, "id"), record;
	struct err err = { 0 };
	uint64_t id;
	int r;

	if (!id_parse(span_trim(text), &id)) {
		say_error(q, "a message id has 11 letters and digits");
		return;
	}
	store_flush(q->s);
	r = explain_sees(q, id, &err);
	if (r == 1)
		r = journal_record(q->s->db, id, q->arena, &record, &err);
	if (r == 0 && base_explain(q, id))
		return;
	if (r != 1) {
		say_error(q, r == 0 ? "no message with this id has a record" : err.text);
		return;
	}
	buf_span(reply_buf(q->reply), store_one_line(q->arena, record));
	buf_putc(reply_buf(q->reply), '\n');
}

static int
put_waiting(struct asked *q, struct json *j, const char *key, enum outcome kind, struct err *err)
{
	struct kept_filter f = { .kind = kind };
	uint64_t n;

	if (kept_count(q->s->db, &f, &n, err) == -1)
		return -1;
	json_kuint(j, key, n);
	return 0;
}

/* No more than a chart shows. */
static int
put_hours(struct asked *q, struct json *j, int64_t hours, struct err *err)
{
	json_key(j, "by_hour");
	return hours_json(q->s->db, clock_real(), hours > HOURS_SHOWN ? HOURS_SHOWN : (unsigned)hours, j, err);
}

static int
put_requested(struct asked *q, struct json *j, struct err *err)
{
	uint64_t n;

	if (requests_count(q->s->db, &n, err) == -1)
		return -1;
	json_kuint(j, "requested", n);
	return 0;
}

static void
do_stats(struct asked *q, int fd)
{
	int64_t hours = jval_int(q->req, "hours", 24);
	struct err err = { 0 };
	struct buf b;
	struct json j;

	store_flush(q->s);
	if (hours < 1 || hours > 24 * 366)
		hours = 24;
	buf_init(&b, 64u << 10);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kint(&j, "hours", hours);
	db_budget(q->s->db, TRACE_BUDGET_US);
	if (journal_stats(q->s->db, clock_real() - hours * 3600 * US_PER_SEC, &j, &err) == -1 ||
	    put_waiting(q, &j, "held", OUTCOME_HOLD, &err) == -1 ||
	    put_waiting(q, &j, "quarantined", OUTCOME_QUARANTINE, &err) == -1 ||
	    put_requested(q, &j, &err) == -1 ||
	    put_hours(q, &j, hours, &err) == -1) {
		say_error(q, err.text);
	} else {
		bayes_json(q->s, &j);
		share_status(q->s, &j);
		json_end_object(&j);
		buf_span(reply_buf(q->reply), buf_data(&b));
		buf_putc(reply_buf(q->reply), '\n');
	}
	db_budget(q->s->db, 0);
	buf_release(&b);
}

/* ---- holds and quarantine ---- */

static int
filter(struct asked *q, struct kept_filter *f)
{
	struct span text = jval_text(q->req, "selector");
	struct err err;

	*f = (struct kept_filter){ .kind = q->kind, .all = jval_bool(q->req, "all") };
	if (text.n == 0)
		text = jval_text(q->req, "id");
	if (text.n == 0)
		text = SPAN_LIT("all");
	if (kept_filter_parse(text, clock_real(), q->arena, f, &err) == -1) {
		say_error(q, err.text);
		return -1;
	}
	return 0;
}

/* Those of other nodes, behind our own. */
struct listing {
	struct asked *q;
	int64_t after;
	size_t found;
	uint64_t total;
};

static void
on_others(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	struct listing *l = ctx;
	struct asked *q = l->q;
	struct err err = { 0 };
	struct db *mem = m ? base_db(q->s, &err) : NULL;
	sqlite3_stmt *st = NULL;
	struct json j;

	if (mem && base_load(mem, m->rows, fd, q->arena, NULL, &err) == -1)
		mem = NULL;
	if (mem)
		st = db_stmt(mem, "SELECT kid, time FROM kept ORDER BY time DESC, kid DESC", &err);
	while (st && db_step(mem, st, &err) == 1)
		if (sqlite3_column_int64(st, 1) >= l->after &&
		    kept_item(mem, sqlite3_column_int64(st, 0), &q->who, reply_buf(q->reply), &err) == 1) {
			l->found++;
			l->total++;
		}
	j = open_line(q->reply);
	json_kuint(&j, "found", l->found);
	json_kuint(&j, "total", l->total);
	json_kbool(&j, "partial", mem == NULL || m->partial);
	if (mem == NULL)
		json_kcstr(&j, "base", m ? err.text : why);
	close_line(q->reply, &j);
	asked_end(q);
	free(q);
	free(l);
}

static bool
list_others(struct asked *q, const struct kept_filter *f, size_t limit, size_t found, uint64_t total)
{
	struct kept_ask ask = { .kind = f->kind, .state = f->all || f->id ? 0 : KEPT_WAITING, .id = f->id,
		.queue = f->queue, .from = f->from, .to = f->to };
	struct listing *l;

	if (!share_on(q->s))
		return false;
	l = calloc(1, sizeof(*l));
	ASSERT(l != NULL);
	*l = (struct listing){ asked_keep(q), f->after, found, total };
	return base_kept_page(l->q, &ask, f->before, limit < 1000 ? limit : 1000, on_others, l);
}

static void
do_list(struct asked *q, int fd)
{
	int64_t limit = jval_int(q->req, "limit", LIST_LIMIT);
	struct kept_filter f;
	struct err err;
	uint64_t total;
	size_t found;
	struct json j;

	if (filter(q, &f) == -1)
		return;
	if (limit < 1 || limit > LIST_LIMIT_MAX)
		limit = LIST_LIMIT_MAX;
	if (kept_list(q->s->db, &f, (size_t)limit, reply_buf(q->reply), &found, &err) == -1 ||
	    kept_count(q->s->db, &f, &total, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	if (list_others(q, &f, (size_t)limit, found, total))
		return;
	j = open_line(q->reply);
	json_kuint(&j, "found", found);
	json_kuint(&j, "total", total);
	close_line(q->reply, &j);
}

/* What the same selector chose of other nodes. */
static void
with_guests(struct asked *q, int64_t **kids, size_t *n)
{
	int64_t *all;

	if (q->nguests == 0)
		return;
	all = arena_array(q->arena, *n + q->nguests, sizeof(*all));
	if (*n)
		memcpy(all, *kids, *n * sizeof(*all));
	memcpy(all + *n, q->guests, q->nguests * sizeof(*all));
	*kids = all;
	*n += q->nguests;
}

static void
put_raw(struct asked *q, struct span content)
{
	if (content.n > RAW_MAX)
		say_error(q, "the message is too large to be shown");
	else
		say_bytes(q, content);
}

static void
put_head(struct asked *q, const struct kept *k)
{
	struct json j = open_line(q->reply);
	struct span head = span_sub(k->content, 0, HEAD_MAX);
	const char *end = head.n ? memmem(head.p, head.n, "\r\n\r\n", 4) : NULL;

	json_kstr(&j, "header", end ? span_make(head.p, (size_t)(end - head.p)) : head);
	close_line(q->reply, &j);
	if (k->record.n) {
		j = open_line(q->reply);
		json_key(&j, "record");
		json_raw(&j, store_one_line(q->arena, k->record));
		close_line(q->reply, &j);
	}
}

static void
do_show(struct asked *q, int fd)
{
	struct kept_filter f;
	struct err err = { 0 };
	int64_t *kids;
	size_t n, found;

	if (filter(q, &f) == -1)
		return;
	if (f.id == 0) {
		say_error(q, "show wants a message id");
		return;
	}
	if (kept_select(q->s->db, &f, 100, q->arena, &kids, &n, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	with_guests(q, &kids, &n);
	if (n == 0) {
		say_error(q, "no message with this id is kept here");
		return;
	}
	for (size_t i = 0; !jval_bool(q->req, "raw") && i < q->nguests; i++)
		kept_item(q->s->db, q->guests[i], &q->who, reply_buf(q->reply), &err);
	if (!jval_bool(q->req, "raw") &&
	    kept_list(q->s->db, &f, 100, reply_buf(q->reply), &found, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	for (size_t i = n; i-- > 0;) {	/* the latest has it all; decided ones have no content */
		struct kept k;

		if (kept_load(q->s->db, kids[i], true, q->arena, &k, &err) != 1)
			continue;
		if (jval_bool(q->req, "raw"))
			put_raw(q, k.content);
		else
			put_head(q, &k);
		return;
	}
	if (jval_bool(q->req, "raw"))
		say_error(q, err.text[0] ? err.text : "its content is no longer stored");
}

static void
do_act(struct asked *q, enum act_verb verb)
{
	struct kept_filter f;
	struct err err;
	int64_t *kids;
	size_t n;

	if (jval_text(q->req, "selector").n == 0 && jval_text(q->req, "id").n == 0) {
		say_error(q, "which ones? an id, a selector, or all");
		return;
	}
	if (filter(q, &f) == -1)
		return;
	f.all = false;
	if (kept_select(q->s->db, &f, ACT_MAX, q->arena, &kids, &n, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	with_guests(q, &kids, &n);
	if (jval_bool(q->req, "count")) {
		struct json j = open_line(q->reply);

		json_kuint(&j, "count", n);
		close_line(q->reply, &j);
		return;
	}
	if (n == 0 && f.id) {
		say_error(q, "no message with this id is kept here");
		return;
	}
	act_start(q->s, verb, kids, n, asked_by(q),
	    span_sub(jval_text(q->req, "text"), 0, REASON_MAX), q->reply);
	q->reply = NULL;
}

static void
do_release(struct asked *q, int fd)
{
	do_act(q, jval_bool(q->req, "anyway") ? ACT_ANYWAY : ACT_RELEASE);
}

bool
span_is_plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

/* The reason goes into an SMTP reply and a notice: one line of printable ASCII. */
static void
do_reject(struct asked *q, int fd)
{
	struct span text = jval_text(q->req, "text");

	if (text.n > REASON_MAX) {
		say_error(q, "the reason is too long: 200 characters");
		return;
	}
	if (!span_is_plain(text)) {
		say_error(q, "the reason stands in an SMTP reply: plain ASCII only");
		return;
	}
	do_act(q, ACT_REJECT);
}

static void
do_delete(struct asked *q, int fd)
{
	do_act(q, ACT_DELETE);
}

/* ---- which ---- */

#define SEES_ALL (PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(REVIEWER) | PRINCIPAL_BIT(EDITOR) | \
	PRINCIPAL_BIT(AUDITOR))
#define POLICY SEES_ALL
#define ITSELF (~0u)		/* it limits what it shows and does */
#define EDITS PRINCIPAL_BIT(EDITOR)	/* what the role editor asks for them */

static const struct command {
	const char *name;	/* behind "held." or "quarantine." when kept */
	bool kept;
	void (*run)(struct asked *q, int fd);
	unsigned roles;		/* who of those who signed in may: a command that does not say it is the tool's */
} commands[] = {
	{ "overview", false, do_overview, ITSELF },
	{ "trace", false, do_trace, ITSELF },
	{ "tail", false, do_tail, SEES_ALL },
	{ "explain", false, do_explain, ITSELF },
	{ "journal.stats", false, do_stats, SEES_ALL },
	{ "records.page", false, do_records_page, EDITS },
	{ "records.get", false, do_records_get, EDITS },
	{ "policy.manifest", false, do_policy_manifest, EDITS },
	{ "policy.archive", false, do_policy_archive, EDITS },
	{ "policy.edited", false, do_policy_edited, EDITS },
	{ "policy.history", false, do_policy_history, POLICY },
	{ "policy.hits", false, do_policy_hits, POLICY },
	{ "policy.rules", false, do_policy_rules, POLICY },
	{ "domains.list", false, do_domains_list, ITSELF },
	{ "domains.show", false, do_domains_show, ITSELF },
	{ "domains.spam", false, do_domains_spam, ITSELF },
	{ "lists.list", false, do_lists_list, ITSELF },
	{ "lists.add", false, do_lists_add, ITSELF },
	{ "lists.request", false, do_lists_request, ITSELF },
	{ "lists.remove", false, do_lists_remove, ITSELF },
	{ "lists.approve", false, do_lists_approve, ITSELF },
	{ "lists.deny", false, do_lists_deny, ITSELF },
	{ "lists.check", false, do_lists_check, ITSELF },
	{ "list", true, do_list },
	{ "show", true, do_show, EDITS },
	{ "release", true, do_release },
	{ "reject", true, do_reject },
	{ "delete", true, do_delete },
	{ "approve", true, do_approve },
	{ "deny", true, do_deny },
	{ "approval.show", false, do_approval_show },
	{ "approval.act", false, do_approval_act },
	{ "audit.list", false, do_audit_list, ITSELF },
	{ "store.keys", false, do_store_keys },
	{ "store.status", false, do_store_status },
	{ "store.restart", false, do_store_restart },
	{ "audit.head", false, do_audit_head, ITSELF },
	{ "audit.verify", false, do_audit_verify, ITSELF },
	{ "audit.nodes", false, do_audit_nodes, ITSELF },
	{ "audit.note", false, do_audit_note },
};

static const struct command *
command_find(struct span cmd, enum outcome *kind)
{
	static const struct span held = { "held.", 5 }, quarantine = { "quarantine.", 11 };
	bool kept = true;

	*kind = OUTCOME_UNJUDGED;
	if (span_starts(cmd, held)) {
		*kind = OUTCOME_HOLD;
		cmd = span_from(cmd, held.n);
	} else if (span_starts(cmd, quarantine)) {
		*kind = OUTCOME_QUARANTINE;
		cmd = span_from(cmd, quarantine.n);
	} else {
		kept = false;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (commands[i].kept == kept && span_is(cmd, commands[i].name))
			return &commands[i];
	return NULL;
}

/* May it be asked for by who signed in? A command that does not say whose it is is the tool's alone. */
static bool
may_ask(const struct asked *q, const struct command *c)
{
	return q->who.local || (c->roles && principal_is(&q->who, c->roles));
}

/* kept.*, and all that is asked of kept messages for somebody who signed in, or by a kid: limited
 * to what he may (kept_control.c). */
static bool
kept_first(struct asked *q)
{
	static const struct { struct span prefix; enum outcome kind; } prefixes[] = {
		{ { "kept.", 5 }, OUTCOME_UNJUDGED }, { { "held.", 5 }, OUTCOME_HOLD },
		{ { "quarantine.", 11 }, OUTCOME_QUARANTINE } };
	struct span cmd = jval_text(q->req, "cmd");

	for (size_t i = 0; i < 3; i++) {
		if (!span_starts(cmd, prefixes[i].prefix))
			continue;
		q->kind = prefixes[i].kind;
		cmd = span_from(cmd, prefixes[i].prefix.n);
		/* The administrator's of this machine have selectors, and texts of their own. */
		if (q->kind != OUTCOME_UNJUDGED && q->who.local && !jval_has(q->req, "kid") &&
		    !jval_has(q->req, "kids") && (span_is(cmd, "list") || span_is(cmd, "show") ||
		    span_is(cmd, "reject") || span_is(cmd, "delete") || span_is(cmd, "approve") ||
		    span_is(cmd, "deny") || (span_is(cmd, "release") && q->kind == OUTCOME_HOLD)))
			return false;
		return kept_command(q, cmd);
	}
	return false;
}

void
store_dispatch(struct asked *q, int fd)
{
	const struct jval *v = q->req;
	const struct command *c;

	if (q->who.local && span_starts(jval_text(v, "cmd"), SPAN_LIT("tlsrpt."))) {
		reports_client(q->s->tls, v, q->reply);
		q->reply = NULL;
	} else if (span_starts(jval_text(v, "cmd"), SPAN_LIT("bayes."))) {
		bayes_client(q);
	} else if (span_starts(jval_text(v, "cmd"), SPAN_LIT("users."))) {
		users_client(q, jval_text(v, "cmd"));
	} else if (kept_first(q) || digest_command(q) || incident_command(q))
		;
	else if (!q->who.local && q->kind != OUTCOME_UNJUDGED)
		say_error(q, "the store knows no such command");
	else if ((c = command_find(jval_text(v, "cmd"), &q->kind)) == NULL)
		say_error(q, "the store knows no such command");
	else if (!may_ask(q, c))
		say_error(q, "not allowed");
	else
		c->run(q, fd);
}

void
store_answer(struct asked *q)
{
	store_dispatch(q, -1);
	asked_end(q);
}

void
store_client(struct runtime *rt, int fd, uint32_t uid, struct span request)
{
	struct asked q = { .s = rt->state, .uid = uid };
	struct err err;

	q.reply = reply_new(rt, fd);
	q.arena = arena_new(0);
	q.req = jval_parse(arena_span(q.arena, request), &err);
	if (q.req == NULL || principal_read(q.req, uid, q.arena, &q.who, &err) == -1)
		say_error(&q, err.text);
	/* What the shared base has a part in is answered here, when that has told its part. */
	else if (!base_kept(&q) && (share_on(q.s) || !apart_take(&q, request)))
		store_dispatch(&q, fd);
	asked_end(&q);
}
