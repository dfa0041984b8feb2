/* base_load.c -- rows of the shared base into a database in memory, where they are looked at as our own
 * are; see share.h.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "fs.h"
#include "store/kept.h"
#include "store/share.h"
#include "table.h"

static void
bind_value(sqlite3_stmt *st, int i, const struct base_value *v)
{
	switch (v->type) {
	case BASE_INT:
		db_int(st, i, v->i);
		break;
	case BASE_TEXT:
		db_text_always(st, i, v->s);
		break;
	case BASE_BLOB:
		db_blob(st, i, v->s.p, v->s.n);
		break;
	default:
		break;
	}
}

/* Values `from` .. `to` of the row, in this order, as the next parameters. */
static void
bind_range(sqlite3_stmt *st, int *at, const struct base_value *v, int from, int to)
{
	for (int i = from; i <= to; i++)
		bind_value(st, ++*at, &v[i]);
}

static int
load_message(struct db *d, const struct base_value *v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO message(id, parent, time, direction, listener, client,"
	    " client_name, helo, user, tls, sender, sender_domain, subject, size)"
	    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)", err);
	int at = 0;

	if (st == NULL)
		return -1;
	bind_range(st, &at, v, 0, 13);
	return db_run(d, st, err);
}

static int
load_recipient(struct db *d, const struct base_value *v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO recipient(id, address, domain, outcome, status, dsn, relay,"
	    " reply, tls, time, attempts) VALUES(?,?,?,?,?,?,?,?,?,?,?)", err);
	int at = 0;

	if (st == NULL)
		return -1;
	bind_range(st, &at, v, 0, 10);
	return db_run(d, st, err);
}

/* Numbers of events are a node's own: two nodes' would be the same. */
static int
load_event(struct db *d, const struct base_value *v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO event(id, key, time, kind, rcpt, outcome, dsn, relay, reply,"
	    " tls, by, parent) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", err);
	int at = 0;

	if (st == NULL)
		return -1;
	bind_range(st, &at, v, 0, 1);
	bind_range(st, &at, v, 3, 12);
	return db_run(d, st, err);
}

static int
load_record(struct db *d, const struct base_value *v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR REPLACE INTO record(id, json) VALUES(?,?)", err);
	int at = 0;

	if (st == NULL)
		return -1;
	bind_range(st, &at, v, 0, 1);
	return db_run(d, st, err);
}

static int
load_kept(struct db *d, const struct base_value *v, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO kept(home, home_kid, home_node, id, parent, kind, queue, time, expires,"
	    " on_expire, sender, client, subject, size, state, new_id, by, decided, envelope, record, voted, direction,"
	    " class, sender_domain, virus, confirmed, kid, home_gid)"
	    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", err);
	int at = 0;

	if (st == NULL)
		return -1;
	bind_range(st, &at, v, 0, 25);
	bind_range(st, &at, v, 28, 28);
	bind_range(st, &at, v, 28, 28);
	return db_run(d, st, err);
}

int
base_load(struct db *d, struct span rows, int fd, struct arena *a, struct idtable *nodes, struct err *err)
{
	struct base_reader r = { rows };
	struct base_value v[BASE_COLUMNS_MAX];
	enum base_table t;
	int x, done;

	while ((x = base_row_next(&r, &t, v)) == 1) {
		switch (t) {
		case BASE_MESSAGE:
			done = load_message(d, v, err);
			if (nodes && v[14].type == BASE_TEXT) {
				struct span *name = arena_alloc(a, sizeof(*name));

				*name = arena_span(a, v[14].s);
				idtable_put(nodes, (uint64_t)v[0].i, name);
			}
			break;
		case BASE_RECIPIENT:
			done = load_recipient(d, v, err);
			break;
		case BASE_EVENT:
			done = load_event(d, v, err);
			break;
		case BASE_RECORD:
			done = load_record(d, v, err);
			break;
		case BASE_KEPT:
			done = load_kept(d, v, err);
			break;
		default:
			done = 0;
		}
		if (done == -1)
			return -1;
	}
	return x == -1 ? err_set(err, 0, "rows of the shared base that cannot be read") : 0;
}
