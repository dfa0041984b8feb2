/* request_db.c -- see request_db.h. */
#include "id.h"
#include "json.h"
#include "store/approval_db.h"
#include "store/request_db.h"

static const char *
state_name(enum request_state s)
{
	switch (s) {
#define X(name, number, text) case REQUEST_##name: return text;
	REQUEST_STATES(X)
#undef X
	}
	return "?";
}

int
request_put(struct db *d, int64_t kid, struct span address, struct span reason, int64_t now,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO kept_request(kid, address, time, reason,"
	    " state) VALUES(?,?,?,?,1)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	db_text_always(st, 2, address);
	db_int(st, 3, now);
	db_text(st, 4, reason);
	if (db_run(d, st, err) == -1)
		return -1;
	return db_changes(d) > 0;
}

static int
tell(struct db *d, const struct kept *k, struct span to, bool granted, struct span why, bool french,
    struct arena *a, struct err *err)
{
	const char *text = granted ? french ?
	    "Le message que vous avez demandé est libéré et arrive.\n" :
	    "The message that you asked for has been released and is on its way.\n" : french ?
	    "Le message que vous avez demandé ne vous sera pas remis.\n" :
	    "The message that you asked for will not be released.\n";
	char id[ID_SIZE];

	id_format(k->id, id);
	return outbox_put(d, k->id, 0, to, span_str(arena_printf(a, granted ? french ?
	    "Message %s libéré" : "Message %s is released" : french ?
	    "Message %s : demande refusée" : "Message %s: your request is refused", id)),
	    span_str(arena_printf(a, "%s%s" SPAN_FMT "%s\n%s%s\n", text, why.n ? "\n" : "", SPAN_ARG(why),
	    why.n ? "\n" : "", french ? "Référence : " : "Reference: ", id)),
	    french ? SPAN_LIT("fr") : SPAN_LIT("en"), err);
}

static int
answer(struct db *d, int64_t kid, struct span address, bool granted, struct span by, int64_t now,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE kept_request SET state=?, by=?, decided=?"
	    " WHERE kid=? AND address=? AND state=1", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, granted ? REQUEST_GRANTED : REQUEST_REFUSED);
	db_text(st, 2, by);
	db_int(st, 3, now);
	db_int(st, 4, kid);
	db_text_always(st, 5, address);
	return db_run(d, st, err) == -1 ? -1 : db_changes(d);
}

int
requests_decide(struct db *d, const struct kept *k, bool granted, struct span by, struct span why,
    const struct config *c, int64_t now, struct arena *a, struct err *err)
{
	for (size_t i = 0; i < k->env.nrecipients; i++) {
		struct span to = k->env.recipients[i].address;

		switch (answer(d, k->kid, to, granted, by, now, err)) {
		case -1:
			return -1;
		case 0:
			continue;
		default:
			if (tell(d, k, to, granted, why, config_digest(c, to)->french, a, err) == -1)
				return -1;
		}
	}
	return 0;
}

int
requests_json(struct db *d, const struct kept *k, const bool *mine, struct json *j, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT address, time, reason, state, by FROM kept_request WHERE kid=?"
	    " ORDER BY time", err);
	bool any = false;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, k->kid);
	while ((r = db_step(d, st, err)) == 1) {
		bool seen = false;

		for (size_t i = 0; i < k->env.nrecipients && !seen; i++)
			seen = mine[i] && span_eq_nocase(k->env.recipients[i].address, db_column(st, 0));
		if (!seen)
			continue;
		if (!any) {
			json_key(j, "requests");
			json_array(j);
		}
		any = true;
		json_object(j);
		json_kstr(j, "address", db_column(st, 0));
		json_kint(j, "time", sqlite3_column_int64(st, 1));
		if (db_column(st, 2).n)
			json_kstr(j, "reason", db_column(st, 2));
		json_kcstr(j, "state", state_name((enum request_state)sqlite3_column_int(st, 3)));
		json_end_object(j);
	}
	if (any)
		json_end_array(j);
	return r;
}

int
requests_count(struct db *d, uint64_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT count(DISTINCT q.kid) FROM kept_request q JOIN kept k ON"
	    " k.kid=q.kid WHERE q.state=1 AND k.state=1", err);
	int r = st ? db_step(d, st, err) : -1;

	if (r == 1) {
		*n = (uint64_t)sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return r == 1 ? 0 : -1;
}
