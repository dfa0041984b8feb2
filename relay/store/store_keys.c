/* store_keys.c -- the store's keys, while it runs: said to people, and what older ones sealed sealed anew.
 *
 *	{"cmd":"store.keys"}	a line {"v":1,"key":"hex","active":BOOL,"contents":N} for each key, and for each that
 *		is missing ("missing":true); then {"v":1,"done":BOOL}: all is sealed with the active one
 *	{"cmd":"store.restart"}	the role ends and is started anew: it has read its file of keys before the sandbox
 *
 * The administrator's of this machine alone.
 */
#include "clock.h"
#include "log.h"
#include "store/asked.h"
#include "store/audit.h"
#include "store/keyring.h"

#define MOVE_ROWS 5000		/* looked at every second */

/* ---- to the newest key ---- */

/* All was sealed with it once: then only what is new can be there, and that is, too. */
static bool
noted(struct db *d)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT value FROM setting WHERE name='sealed'", NULL);
	bool same = false;

	if (st && db_step(d, st, NULL) == 1) {
		same = sqlite3_column_int64(st, 0) == keyring_active(db_keys(d));
		sqlite3_reset(st);
	}
	return same;
}

static int
note(struct db *d, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO setting(name, value) VALUES('sealed', ?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, keyring_active(db_keys(d)));
	return db_run(d, st, err);
}

void
store_keys_begin(struct store *s)
{
	struct err err;
	uint64_t all, lost;

	db_use_keys(s->db, s->keys);
	s->moving.row = INT64_MIN;
	if (s->keys == NULL)
		return;
	s->moving.done = noted(s->db);
	if (sealed_unreadable(s->db, &all, &lost, &err) == -1)
		log_error("%s", err.text);
	else if (lost)
		log_error("%llu of %llu kept messages cannot be read: the key they are sealed with is not in %s. "
		    "Put its line back, before the others, and start anew; until then they stay as they are",
		    (unsigned long long)lost, (unsigned long long)all, s->rt->conf->store_key);
}

void
store_keys_tick(struct store *s)
{
	struct err err;
	int r;

	if (s->keys == NULL || s->moving.done || s->batch.failing)
		return;
	store_settle(s);
	r = sealed_migrate(s->db, &s->moving.kind, &s->moving.row, MOVE_ROWS, &err);
	if (r == 0)
		r = note(s->db, &err) == -1 ? -1 : 0;
	if (r == -1)
		log_warn("what older keys have sealed stays as it is for now: %s", err.text);
	s->moving.done = r != 1;
}

/* ---- said to people ---- */

static bool
local(struct asked *q, const char *what)
{
	if (q->who.local)
		return true;
	asked_refuse(q, what);
	return false;
}

static void
put_key(struct asked *q, int64_t number, bool missing, uint64_t contents)
{
	struct json j = open_line(q->reply);

	json_kcstr(&j, "key", arena_printf(q->arena, "%014llx", (unsigned long long)number));
	json_kbool(&j, "active", number == keyring_active(q->s->keys));
	json_kbool(&j, "missing", missing);
	json_kuint(&j, "contents", contents);
	close_line(q->reply, &j);
}

void
do_store_keys(struct asked *q, int fd)
{
	int64_t numbers[2 * KEYRING_MAX];
	uint64_t counts[2 * KEYRING_MAX] = { 0 };
	size_t n = keyring_count(q->s->keys), own = n;
	struct err err = { 0 };
	sqlite3_stmt *st;
	struct json j;
	int r = -1;

	if (!local(q, "store.keys"))
		return;
	for (size_t i = 0; i < n; i++)
		numbers[i] = keyring_number(q->s->keys, i);
	store_settle(q->s);
	if ((st = db_stmt(q->s->db, "SELECT substr(bytes, 1, ?) FROM kept_content", &err)) != NULL) {
		db_int(st, 1, SEAL_EXTRA);
		while ((r = db_step(q->s->db, st, &err)) == 1) {
			int64_t number = sealed_by(db_column(st, 0));
			size_t i = 0;

			while (number && i < n && numbers[i] != number)
				i++;
			if (number && i == n && n < 2 * KEYRING_MAX)
				numbers[n++] = number;
			if (number && i < n)
				counts[i]++;
		}
	}
	if (r == -1) {
		say_error(q, err.text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		put_key(q, numbers[i], i >= own, counts[i]);
	j = open_line(q->reply);
	json_kbool(&j, "done", q->s->moving.done);
	close_line(q->reply, &j);
}

void
do_store_restart(struct asked *q, int fd)
{
	struct err err;
	struct json j;

	if (!local(q, "store.restart"))
		return;
	store_settle(q->s);
	if (audit_put(q->s->db, asked_by(q), "store.restart", (struct span){ 0 }, jval_text(q->req, "why"),
	    clock_real(), &err) == -1 || store_flush(q->s) == -1) {
		say_error(q, "the database cannot be written now");
		return;
	}
	j = open_line(q->reply);
	json_kbool(&j, "ok", true);
	close_line(q->reply, &j);
	reply_end(&q->reply);
	log_info("starting anew: asked for by " SPAN_FMT, SPAN_ARG(asked_by(q)));
	runtime_finish(q->s->rt);
}
