/* claim.c -- see claim.h. */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "store/claim.h"
#include "store/share.h"

#define AGAIN_US 200000
#define TRIES 20		/* for a row that is on its way to the base */

struct claim {
	struct store *s;
	uint64_t token;
	int64_t home, home_kid;
	bool guest;
	enum kept_state to;
	char by[256];
	claim_cb *cb;
	void *ctx;
	int tries;
};

int
claim_carried_out(struct db *d, int64_t kid, struct err *err)
{
	return db_run_int(d, "UPDATE claim SET state=3, (final, new_id, by, decided)="
	    "(SELECT k.state, k.new_id, k.by, k.decided FROM kept k WHERE k.kid=claim.kid) WHERE kid=?1 AND state<3",
	    kid, err);
}

int
claim_given_back(struct db *d, int64_t kid, struct err *err)
{
	return db_run_int(d, "UPDATE claim SET state=3, final=1, new_id=NULL, by=NULL, decided=NULL WHERE kid=?1 AND state<3",
	    kid, err);
}

int
claims_begin(struct db *d, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE claim SET state=3, final=1 WHERE state=1 OR (state=2 AND NOT EXISTS("
	    "SELECT 1 FROM kept k WHERE k.kid=claim.kid AND k.state IN (2, 3)))", err);

	return st == NULL ? -1 : db_run(d, st, err);
}

static void ask(struct claim *c);

static void
end(struct claim *c, bool ours, const char *why)
{
	const char *sql = ours ? "UPDATE claim SET state=2 WHERE token=?1" : "DELETE FROM claim WHERE token=?1";
	struct err err;

	store_settle(c->s);
	if (db_run_int(c->s->db, sql, (int64_t)c->token, &err) == -1)
		log_error("a claim: %s", err.text);
	c->cb(c->ctx, ours, why);
	share_wake(c->s);
	free(c);
}

/* It may have been won, or not: it is given back in either case. */
static void
unknown(struct claim *c, const char *why)
{
	char text[400];
	struct err err;

	snprintf(text, sizeof(text), "busy: %s; decisions on mail of a node that shares wait for it", why);
	store_settle(c->s);
	if (db_run_int(c->s->db, "UPDATE claim SET state=3, final=1 WHERE token=?1", (int64_t)c->token, &err) == -1)
		log_error("a claim: %s", err.text);
	c->cb(c->ctx, false, text);
	share_wake(c->s);
	free(c);
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	ask(arg);
}

static void
lost(struct claim *c, const struct base_value *v)
{
	enum kept_state state = (enum kept_state)v[1].i;
	char text[400], by[200] = "";

	if (v[3].type == BASE_TEXT && v[3].s.n)
		snprintf(by, sizeof(by), " by " SPAN_FMT, SPAN_ARG(span_sub(v[3].s, 0, 150)));
	if (state == KEPT_RELEASING || state == KEPT_REJECTING)
		snprintf(text, sizeof(text), "somebody was faster: it is being decided%s", by);
	else
		snprintf(text, sizeof(text), "somebody was faster: it is %s%s", kept_state_name(state), by);
	end(c, false, text);
}

static void
on_told(void *ctx, const struct msg_base_told *m, int fd, const char *why)
{
	static const struct timeval soon = { 0, AGAIN_US };
	struct claim *c = ctx;
	struct base_value v[BASE_COLUMNS_MAX];
	struct base_reader r;
	enum base_table t;

	if (m == NULL) {
		unknown(c, why);
		return;
	}
	r.rest = m->rows;
	if (base_row_next(&r, &t, v) == 1 && t == BASE_DONE) {
		if (v[0].i == (int64_t)c->token)
			end(c, true, NULL);
		else
			lost(c, v);
	} else if (!c->guest && ++c->tries < TRIES) {
		/* kept a moment ago: it goes with the next rows */
		share_wake(c->s);
		event_base_once(c->s->rt->base, -1, EV_TIMEOUT, on_again, c, &soon);
	} else {
		end(c, false, c->guest ? "it is gone" : "the shared base does not know it yet: try again in a moment");
	}
}

static void
ask(struct claim *c)
{
	struct buf b;

	buf_init(&b, 4096);
	base_int(&b, c->home);
	base_int(&b, c->home_kid);
	base_int(&b, (int64_t)c->token);
	base_int(&b, c->to == KEPT_REJECTING ? KEPT_REJECTING : KEPT_RELEASING);
	base_text(&b, span_str(c->by));
	base_int(&b, share_self(c->s));
	base_ask(c->s, BASE_ASK_CLAIM, &b, on_told, c);
	buf_release(&b);
}

int
claim_start(struct store *s, const struct kept *k, uint64_t token, enum kept_state to, struct span by,
    claim_cb *cb, void *ctx, struct err *err)
{
	sqlite3_stmt *st;
	struct claim *c;

	if (db_begin(s->db, true, err) == -1)
		return -1;
	if ((st = db_stmt(s->db, "INSERT INTO claim(token, kid, state) VALUES(?,?,1)", err)) != NULL) {
		db_int(st, 1, (int64_t)token);
		db_int(st, 2, k->kid);
	}
	if (st == NULL || db_run(s->db, st, err) == -1 || db_commit(s->db, err) == -1) {
		db_rollback(s->db);
		return -1;
	}
	c = calloc(1, sizeof(*c));
	ASSERT(c != NULL);
	*c = (struct claim){ .s = s, .token = token, .home = k->guest ? k->home : share_self(s),
		.home_kid = k->guest ? k->home_kid : k->kid, .guest = k->guest, .to = to, .cb = cb, .ctx = ctx };
	snprintf(c->by, sizeof(c->by), SPAN_FMT " on " SPAN_FMT, SPAN_ARG(span_sub(by, 0, 120)),
	    SPAN_ARG(span_sub(s->rt->conf->node, 0, 120)));
	ask(c);
	return 0;
}
