/* two_persons.c -- see two_persons.h. */
#include "store/two_persons.h"
#include "store/approval_db.h"

#define RULE "two persons"	/* no rule of a policy can have this id */

int
two_persons_wanted(struct db *d, const struct config *c, const struct kept *k, struct err *err)
{
	sqlite3_stmt *st;
	int r;

	if (k->kind != OUTCOME_QUARANTINE)
		return 0;
	for (size_t i = 0; i < c->quarantine.ntwo_persons; i++)
		if (span_eq(c->quarantine.two_persons[i], k->queue))
			return 1;
	st = db_stmt(d, "SELECT 1 FROM approval WHERE kid=? AND rule='" RULE "'", err);
	if (st == NULL)
		return -1;
	db_int(st, 1, k->kid);
	r = db_step(d, st, err);
	sqlite3_reset(st);
	return r;
}

static int
one_number(struct db *d, const char *sql, int64_t kid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	return db_run(d, st, err);
}

int
two_persons_need(struct db *d, int64_t kid, struct err *err)
{
	if (one_number(d, "INSERT OR IGNORE INTO approval(kid, rule, decider, approvals)"
	    " VALUES(?, '" RULE "', NULL, 2)", kid, err) == -1)
		return -1;
	return one_number(d, "INSERT OR IGNORE INTO approver(kid, rule, pattern)"
	    " VALUES(?, '" RULE "', '" APPROVER_ANYBODY "')", kid, err);
}

int
two_persons_voice(struct store *s, const struct kept *k, const struct principal *who,
    struct span by, struct span reason, struct arena *a, bool *given, struct err *err)
{
	enum approval_state state = APPROVAL_WAITS;

	*given = false;
	for (size_t i = 0; i < who->naddresses; i++)
		if (span_eq_nocase(who->addresses[i], k->env.sender))
			return err_set(err, 0, "nobody decides about a message of his own");
	store_settle(s);
	if (two_persons_need(s->db, k->kid, err) == -1)
		return -1;
	if (approve_vote(s, k, by, true, SPAN_LIT("release"), reason, NULL, a, &state, err) == -1)
		return -1;
	*given = state == APPROVAL_GIVEN;
	return 0;
}

int
two_persons_deny(struct store *s, const struct kept *k, struct err *err)
{
	store_settle(s);
	return one_number(s->db, "DELETE FROM vote WHERE kid=? AND EXISTS(SELECT 1 FROM kept k"
	    " WHERE k.kid=vote.kid AND k.state=1 AND k.kind='quarantine')", k->kid, err);
}
