/* overview.c -- {"cmd":"overview"}: what needs somebody, and what the last day was like.
 *
 *	{"v":1,"needs":[{"kind","text","count","more"?,"href"}],"hours":[{"t":unix seconds,"received","delivered",
 *	"deferred","held","quarantined","rejected"}×24]}
 *
 * Pages ask for it every half minute: each figure is one walk down an index that ends at COUNT_MAX
 * ("more": there are more than that). Who sees part of the mail hears of his part alone, counted among
 * what /kept would list him; counts by hour know no domain, and he has no "hours". "needs" has nothing that its reader
 * could not open.
 */
#include "clock.h"
#include "store/asked.h"
#include "store/kept_page.h"
#include "store/lists_db.h"

#define COUNT_MAX 10000
#define OWN_MAX 100		/* of a domain's administrator: each is looked at */
#define HOURS 24
#define HOUR_US (INT64_C(3600) * US_PER_SEC)
#define BUDGET_US (1 * US_PER_SEC)
#define STAFF (PRINCIPAL_BIT(DOMAIN_ADMIN) | PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(EDITOR) | \
	PRINCIPAL_BIT(REVIEWER) | PRINCIPAL_BIT(AUDITOR))
#define KEPT (PRINCIPAL_BIT(DOMAIN_ADMIN) | PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(REVIEWER) | \
	PRINCIPAL_BIT(AUDITOR))

#define OWN(from) "SELECT k.kid FROM (" from " LIMIT ?1) k WHERE" \
	" k.sender_domain IN (SELECT lower(value) FROM json_each(?2)) OR EXISTS(SELECT 1 FROM kept_rcpt r" \
	" WHERE r.kid=k.kid AND r.domain IN (SELECT lower(value) FROM json_each(?2))) LIMIT ?3"

/* sql counts ?1 at most. own: kids for who sees but part of it; NULL: he is not told. */
static const struct waiting_for {
	const char *kind, *text, *href;
	unsigned roles;
	const char *sql, *own;
} needs[] = {
	{ "held", "messages on hold wait for a decision", "/kept?kind=hold", KEPT,
	    "SELECT count(*) FROM (SELECT 1 FROM kept INDEXED BY kept_state WHERE state=1 AND kind='hold' LIMIT ?1)",
	    OWN("SELECT kid, sender_domain FROM kept INDEXED BY kept_state WHERE state=1 AND kind='hold'"
	    " ORDER BY kid DESC") },
	{ "approvals", "messages on hold wait for voices", "/kept?kind=hold", PRINCIPAL_BIT(OPERATOR) |
	    PRINCIPAL_BIT(REVIEWER) | PRINCIPAL_BIT(AUDITOR),
	    "SELECT count(*) FROM (SELECT kid FROM kept INDEXED BY kept_state WHERE state=1 AND kind='hold'"
	    " AND +voted IS NULL ORDER BY kid DESC LIMIT ?1) k"
	    " WHERE EXISTS(SELECT 1 FROM approval a WHERE a.kid=k.kid AND a.approvals>0)", NULL },
	{ "requests", "quarantined messages are asked for", "/kept?kind=quarantine&asked=true",
	    PRINCIPAL_BIT(DOMAIN_ADMIN) | PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR),
	    "SELECT count(*) FROM (SELECT DISTINCT q.kid FROM kept_request q INDEXED BY kept_request_open"
	    " CROSS JOIN kept k ON k.kid=q.kid WHERE q.state=1 AND k.state=1 AND k.kind='quarantine' LIMIT ?1)",
	    OWN("SELECT DISTINCT k.kid, k.sender_domain FROM kept_request q INDEXED BY kept_request_open"
	    " CROSS JOIN kept k ON k.kid=q.kid WHERE q.state=1 AND k.state=1 AND k.kind='quarantine'"
	    " ORDER BY q.kid DESC") },
	{ "incidents", "incidents are open", "/incidents", PRINCIPAL_BIT(REVIEWER) | PRINCIPAL_BIT(AUDITOR),
	    "SELECT count(*) FROM (SELECT 1 FROM incident INDEXED BY incident_state WHERE state=1 LIMIT ?1)", NULL },
	{ "lists", "lines are asked for in the lists of senders", "/lists?state=requested",
	    PRINCIPAL_BIT(OPERATOR) | PRINCIPAL_BIT(AUDITOR),
	    "SELECT count(*) FROM (SELECT 1 FROM list_entry INDEXED BY list_entry_requested WHERE state=1 LIMIT ?1)", NULL },
};
_Static_assert(LIST_ASKED_FOR == 1, "stands in the query and in its index");
_Static_assert(KEPT_WAITING == 1, "stands in the queries");

static int
count_all(struct asked *q, const struct waiting_for *need, int64_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(q->s->db, need->sql, err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, COUNT_MAX + 1);
	if ((r = db_step(q->s->db, st, err)) == 1) {
		*n = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return r == 1 ? 0 : -1;
}

static struct span
domains_json(struct asked *q)
{
	struct span text;
	struct buf b;
	struct json j;

	buf_init(&b, FRAME_BIG);
	json_begin(&j, &b);
	json_array(&j);
	for (size_t i = 0; i < q->who.ndomains; i++)
		json_str(&j, q->who.domains[i]);
	json_end_array(&j);
	text = arena_span(q->arena, buf_data(&b));
	buf_release(&b);
	return text;
}

/* Of the newest COUNT_MAX that wait, those with one of his domains; kept_item then is exact. */
static int
own_kids(struct asked *q, const struct waiting_for *need, int64_t kids[OWN_MAX + 1], size_t *n,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(q->s->db, need->own, err);
	int r;

	*n = 0;
	if (st == NULL)
		return -1;
	db_int(st, 1, COUNT_MAX);
	db_text(st, 2, domains_json(q));
	db_int(st, 3, OWN_MAX + 1);
	while ((r = db_step(q->s->db, st, err)) == 1)
		if (*n <= OWN_MAX)
			kids[(*n)++] = sqlite3_column_int64(st, 0);
	return r;
}

static int
count_own(struct asked *q, const struct waiting_for *need, int64_t *n, bool *more, struct err *err)
{
	int64_t kids[OWN_MAX + 1];
	struct buf b;
	size_t found;
	int r = 0;

	*n = 0;
	if (own_kids(q, need, kids, &found, err) == -1)
		return -1;
	*more = found > OWN_MAX;
	buf_init(&b, FRAME_BIG);
	for (size_t i = 0; i < found && i < OWN_MAX && r != -1; i++) {
		buf_reset(&b);
		r = kept_item(q->s->db, kids[i], &q->who, &b, err);
		*n += r == 1;
	}
	buf_release(&b);
	return r == -1 ? -1 : 0;
}

static int
put_need(struct asked *q, const struct waiting_for *need, struct json *j, struct err *err)
{
	bool more = false, all = principal_sees_all(&q->who);
	int64_t n;

	if (!principal_is(&q->who, need->roles) || (!all && need->own == NULL))
		return 0;
	if ((all ? count_all(q, need, &n, err) : count_own(q, need, &n, &more, err)) == -1)
		return -1;
	if (n > COUNT_MAX) {
		n = COUNT_MAX;
		more = true;
	}
	if (n == 0)
		return 0;
	json_object(j);
	json_kcstr(j, "kind", need->kind);
	json_kcstr(j, "text", need->text);
	json_kint(j, "count", n);
	if (more)
		json_kbool(j, "more", true);
	json_kcstr(j, "href", need->href);
	json_end_object(j);
	return 0;
}

/* Received: messages; the rest: recipients, deferred as often as it happened. */
static int
put_hours(struct asked *q, struct json *j, struct err *err)
{
	static const char *const names[] = { "received", "delivered", "deferred", "held", "quarantined",
		"rejected" };
	sqlite3_stmt *st = db_stmt(q->s->db, "SELECT hour, sum(n*(what='accepted')), sum(n*(what='sent')),"
	    " sum(n*(what='deferred')), sum(n*(what='held')), sum(n*(what='quarantined')),"
	    " sum(n*(what IN ('rejected','refused'))) FROM hour_count WHERE hour>?1 AND hour<=?2"
	    " GROUP BY hour ORDER BY hour", err);
	int64_t last = clock_real() / HOUR_US;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, last - HOURS);
	db_int(st, 2, last);
	r = db_step(q->s->db, st, err);
	json_key(j, "hours");
	json_array(j);
	for (int64_t at = last - HOURS + 1; at <= last; at++) {
		bool there = r == 1 && sqlite3_column_int64(st, 0) == at;

		json_object(j);
		json_kint(j, "t", at * 3600);
		for (int i = 0; i < 6; i++)
			json_kint(j, names[i], there ? sqlite3_column_int64(st, i + 1) : 0);
		json_end_object(j);
		if (there)
			r = db_step(q->s->db, st, err);
	}
	json_end_array(j);
	return r == -1 ? -1 : 0;
}

void
do_overview(struct asked *q, int fd)
{
	struct err err = { 0 };
	struct buf b;
	struct json j;
	int r = 0;

	if (!principal_is(&q->who, STAFF)) {
		asked_refuse(q, "overview");
		return;
	}
	store_settle(q->s);
	store_flush(q->s);
	buf_init(&b, 64u << 10);
	json_begin(&j, &b);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_key(&j, "needs");
	json_array(&j);
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]) && r == 0; i++) {
		db_budget(q->s->db, BUDGET_US);
		r = put_need(q, &needs[i], &j, &err);
	}
	json_end_array(&j);
	if (r == 0 && principal_sees_all(&q->who)) {
		db_budget(q->s->db, BUDGET_US);
		r = put_hours(q, &j, &err);
	}
	db_budget(q->s->db, 0);
	json_end_object(&j);
	if (r == -1) {
		say_error(q, err.text);
	} else {
		buf_span(reply_buf(q->reply), buf_data(&b));
		buf_putc(reply_buf(q->reply), '\n');
	}
	buf_release(&b);
}
