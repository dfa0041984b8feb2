/* bayes_db.c -- what the classifier has learnt, in the database; see bayes_db.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "store/bayes_db.h"
#include "store/sealed.h"
#include "table.h"

#define EXPIRE_SLICE 500

const char *
bayes_class_name(enum bayes_class c)
{
	return c == BAYES_SPAM ? "spam" : c == BAYES_HAM ? "ham" : "none";
}

const char *
bayes_done_name(enum bayes_done d)
{
	static const char *const names[] = { "learnt", "changed", "known", "stranger", "limit" };

	return names[d];
}

/* Negative, which no id of a message is before 2046. */
int64_t
bayes_file_id(const struct bayes_key *key, struct span content)
{
	return (int64_t)(siphash(key->bytes, content.n ? content.p : "", content.n) | UINT64_C(1) << 63);
}

/* ---- reading it ---- */

/* Sealed: without the ring of keys, which lies elsewhere, the hashes say nothing. */
static int
read_key(struct bayes_db *b, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "SELECT bytes FROM bayes_secret WHERE one=1", err);
	struct arena *a;
	struct span key;
	int r;

	if (st == NULL)
		return -1;
	a = arena_new(0);
	r = db_step(b->db, st, err);
	if (r == 1 && sealed_column(b->db, st, 0, SEALED_BAYES, 1, a, &key, err) == -1)
		r = -1;
	else if (r == 1 && key.n == sizeof(b->table.head.key.bytes))
		memcpy(b->table.head.key.bytes, key.p, key.n);
	else if (r == 1)
		r = err_set(err, EIO, "the classifier's secret is damaged");
	sqlite3_reset(st);
	arena_free(&a);
	return r;
}

static int
write_key(struct bayes_db *b, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "INSERT OR REPLACE INTO bayes_secret(one, bytes) VALUES(1,?)",
	    err);
	const struct span key = { (const char *)b->table.head.key.bytes, sizeof(b->table.head.key.bytes) };

	if (st == NULL || sealed_bind(b->db, st, 1, SEALED_BAYES, 1, key, err) == -1)
		return -1;
	return db_run(b->db, st, err);
}

static int
new_key(struct bayes_db *b, struct err *err)
{
	if (getrandom(b->table.head.key.bytes, sizeof(b->table.head.key.bytes), 0) !=
	    sizeof(b->table.head.key.bytes))
		return err_errno(err, "getrandom");
	return write_key(b, err);
}

static int
read_totals(struct bayes_db *b, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "SELECT spam, ham, since FROM bayes_total", err);
	int r;

	if (st == NULL)
		return -1;
	r = db_step(b->db, st, err);
	if (r == 1) {
		b->table.head.spam = (uint32_t)sqlite3_column_int64(st, 0);
		b->table.head.ham = (uint32_t)sqlite3_column_int64(st, 1);
		b->since = sqlite3_column_int64(st, 2);
	}
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

static int
evict(struct bayes_db *b, struct err *err)
{
	struct bayes_eviction e;
	sqlite3_stmt *st = db_stmt(b->db, "DELETE FROM bayes_token WHERE spam+ham<=?1 AND"
	    " (day<?2 OR (day=?2 AND token<=?3))", err);

	if (st == NULL)
		return -1;
	bayes_table_evict(&b->table, &e);
	db_int(st, 1, e.count);
	db_int(st, 2, e.day);
	db_int(st, 3, e.token);
	return db_run(b->db, st, err);
}

int
bayes_db_reload(struct bayes_db *b, struct err *err)
{
	sqlite3_stmt *st;
	int r;

	bayes_table_clear(&b->table);
	b->since = 0;
	b->changed = true;
	if (read_key(b, err) == -1 || read_totals(b, err) == -1 ||
	    (st = db_stmt(b->db, "SELECT token, spam, ham, day FROM bayes_token ORDER BY spam+ham DESC",
	    err)) == NULL)
		return -1;
	/* The table may be smaller than it was: then the most seen stay. */
	while ((r = db_step(b->db, st, err)) == 1) {
		const struct bayes_slot s = { (uint32_t)sqlite3_column_int64(st, 0),
			(uint32_t)sqlite3_column_int64(st, 1), (uint32_t)sqlite3_column_int64(st, 2),
			(uint32_t)sqlite3_column_int64(st, 3) };

		if (s.token && !bayes_table_put(&b->table, &s))
			break;
	}
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

static void
take_conf(struct bayes_db *b, const struct conf_bayes *c)
{
	b->conf = *c;
	b->table.head.minimum_spam = b->table.head.minimum_ham = c->minimum;
	b->table.head.delivered = c->delivered;
}

int
bayes_db_open(struct bayes_db *b, struct db *d, const struct conf_bayes *c, struct err *err)
{
	int r;

	*b = (struct bayes_db){ .db = d };
	if (bayes_table_init(&b->table, c->tokens) == -1)
		return err_set(err, ENOMEM, "no memory for the classifier's %u tokens", c->tokens);
	take_conf(b, c);
	if ((r = read_key(b, err)) == 0)
		r = new_key(b, err);
	if (r == -1 || bayes_db_reload(b, err) == -1) {
		bayes_db_close(b);
		return -1;
	}
	return 0;
}

void
bayes_db_close(struct bayes_db *b)
{
	bayes_table_release(&b->table);
}

int
bayes_db_configure(struct bayes_db *b, const struct conf_bayes *c, struct err *err)
{
	struct bayes_db fresh;

	b->changed = true;
	if (c->tokens == b->conf.tokens) {
		take_conf(b, c);
		return 0;
	}
	if (bayes_db_open(&fresh, b->db, c, err) == -1)
		return -1;
	bayes_db_close(b);
	*b = fresh;
	return 0;
}

/* ---- messages ---- */

int
bayes_db_remember(struct bayes_db *b, int64_t id, struct span tokens, int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "INSERT OR IGNORE INTO bayes_message(id, time, learnt, tokens)"
	    " VALUES(?,?,0,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, id);
	db_int(st, 2, now);
	db_blob(st, 3, tokens.p, tokens.n);
	return db_run(b->db, st, err);
}

struct known {
	bool found;
	enum bayes_class learnt;
	uint32_t hashes[BAYES_TOKENS];
	size_t n;
	bool has_tokens;
};

static int
find(struct bayes_db *b, int64_t id, struct known *k, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "SELECT learnt, tokens FROM bayes_message WHERE id=?", err);
	int r;

	k->found = k->has_tokens = false;
	k->learnt = BAYES_NONE;
	if (st == NULL)
		return -1;
	db_int(st, 1, id);
	r = db_step(b->db, st, err);
	if (r == 1) {
		k->found = true;
		k->learnt = (enum bayes_class)sqlite3_column_int(st, 0);
		k->has_tokens = sqlite3_column_type(st, 1) != SQLITE_NULL &&
		    bayes_unpack(db_column(st, 1), k->hashes, &k->n);
	}
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

/* -1; 1: there is room for one more; 0: there is none. */
static int
room_for(struct bayes_db *b, const char *sql, struct span who, enum bayes_class as, int64_t now,
    int64_t max, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, sql, err);
	int r;

	if (st == NULL)
		return -1;
	db_text(st, 1, who);
	db_int(st, 2, now - BAYES_DAY);
	db_int(st, 3, as);
	r = db_step(b->db, st, err);
	if (r == 1)
		r = sqlite3_column_int64(st, 0) < max;
	sqlite3_reset(st);
	return r;
}

static int
within_limits(struct bayes_db *b, const struct bayes_lesson *l, int64_t now, struct err *err)
{
	int r = 1;

	if (!l->limited || l->as == BAYES_NONE)
		return 1;
	if (l->by.n && !span_starts(l->by, SPAN_LIT("uid ")))	/* who may train files anyway */
		r = room_for(b, "SELECT count(*) FROM bayes_message WHERE by=?1 AND decided>?2 AND learnt>0"
		    " AND ?3=?3", l->by, l->as, now, BAYES_BY_PERSON, err);
	if (r == 1 && l->source.n)
		r = room_for(b, "SELECT count(*) FROM bayes_message WHERE source=?1 AND decided>?2"
		    " AND learnt=?3", l->source, l->as, now, BAYES_BY_SENDER, err);
	return r;
}

/* ---- counting ---- */

static int
write_token(struct bayes_db *b, uint32_t token, struct err *err)
{
	const struct bayes_model m = { &b->table.head, b->table.slots };
	const struct bayes_slot *s = bayes_model_find(&m, token);
	sqlite3_stmt *st;

	if (s == NULL)
		return 0;
	st = db_stmt(b->db, "INSERT OR REPLACE INTO bayes_token(token, spam, ham, day) VALUES(?,?,?,?)",
	    err);
	if (st == NULL)
		return -1;
	db_int(st, 1, s->token);
	db_int(st, 2, s->spam);
	db_int(st, 3, s->ham);
	db_int(st, 4, s->day);
	return db_run(b->db, st, err);
}

static int
write_totals(struct bayes_db *b, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "INSERT OR REPLACE INTO bayes_total(one, spam, ham, since)"
	    " VALUES(1,?,?,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, b->table.head.spam);
	db_int(st, 2, b->table.head.ham);
	db_int(st, 3, b->since);
	return db_run(b->db, st, err);
}

static int
count(struct bayes_db *b, const struct known *k, enum bayes_class as, int sign, int64_t now,
    struct err *err)
{
	if (as == BAYES_NONE)
		return 0;
	if (sign > 0 && bayes_table_full(&b->table, k->n) && evict(b, err) == -1)
		return -1;
	bayes_table_learn(&b->table, k->hashes, k->n, as == BAYES_SPAM, sign,
	    (uint32_t)(now / BAYES_DAY));
	b->changed = true;
	for (size_t i = 0; i < k->n; i++)
		if (write_token(b, k->hashes[i], err) == -1)
			return -1;
	return 0;
}

static int
write_lesson(struct bayes_db *b, const struct bayes_lesson *l, const struct known *k, int64_t now,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "INSERT INTO bayes_message(id, time, learnt, tokens, by, source,"
	    " decided) VALUES(?1,?2,?3,?4,?5,?6,?2) ON CONFLICT(id) DO UPDATE SET learnt=?3, tokens=?4,"
	    " by=?5, source=?6, decided=?2", err);
	uint8_t packed[4 * BAYES_TOKENS];

	if (st == NULL)
		return -1;
	for (size_t i = 0; i < 4 * k->n; i++)
		packed[i] = (uint8_t)(k->hashes[i / 4] >> 8 * (i % 4));
	db_int(st, 1, l->id);
	db_int(st, 2, now);
	db_int(st, 3, l->as);
	db_blob(st, 4, packed, 4 * k->n);
	db_text(st, 5, l->by);
	db_text(st, 6, l->source);
	return db_run(b->db, st, err);
}

int
bayes_db_learn(struct bayes_db *b, const struct bayes_lesson *l, int64_t now,
    enum bayes_done *done, struct err *err)
{
	struct known k;
	int r;

	if (find(b, l->id, &k, err) == -1)
		return -1;
	if (k.learnt == l->as && (k.found || l->as == BAYES_NONE)) {
		*done = k.found ? BAYES_KNOWN : BAYES_STRANGER;
		return 0;
	}
	if (!k.has_tokens && (k.found || !bayes_unpack(l->tokens, k.hashes, &k.n) || k.n == 0)) {
		*done = BAYES_STRANGER;
		return 0;
	}
	if ((r = within_limits(b, l, now, err)) != 1) {
		*done = BAYES_LIMIT;
		return r;
	}
	if (b->since == 0)
		b->since = now;
	if (count(b, &k, k.learnt, -1, now, err) == -1 || count(b, &k, l->as, 1, now, err) == -1 ||
	    write_totals(b, err) == -1 || write_lesson(b, l, &k, now, err) == -1)
		return -1;
	*done = k.learnt != BAYES_NONE && l->as != BAYES_NONE ? BAYES_CHANGED : BAYES_LEARNT;
	return 0;
}

/* ---- all of it, for export and import ---- */

int
bayes_db_page(struct bayes_db *b, uint32_t after, size_t max, struct bayes_slot *out, size_t *n,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "SELECT token, spam, ham, day FROM bayes_token WHERE token>?"
	    " ORDER BY token LIMIT ?", err);
	int r;

	*n = 0;
	if (st == NULL)
		return -1;
	db_int(st, 1, after);
	db_int(st, 2, (int64_t)max);
	while ((r = db_step(b->db, st, err)) == 1 && *n < max)
		out[(*n)++] = (struct bayes_slot){ (uint32_t)sqlite3_column_int64(st, 0),
		    (uint32_t)sqlite3_column_int64(st, 1), (uint32_t)sqlite3_column_int64(st, 2),
		    (uint32_t)sqlite3_column_int64(st, 3) };
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

int
bayes_db_take(struct bayes_db *b, const struct bayes_slot *v, size_t n, size_t *taken, struct err *err)
{
	*taken = 0;
	b->changed = true;
	for (size_t i = 0; i < n; i++) {
		if (!bayes_table_put(&b->table, &v[i]))
			continue;	/* it is full: a smaller table than the one it comes from */
		if (write_token(b, v[i].token, err) == -1)
			return -1;
		++*taken;
	}
	return 0;
}

int
bayes_db_totals(struct bayes_db *b, uint32_t spam, uint32_t ham, int64_t since, struct err *err)
{
	b->table.head.spam = spam;
	b->table.head.ham = ham;
	b->since = since;
	b->changed = true;
	return write_totals(b, err);
}

int
bayes_db_set_key(struct bayes_db *b, const struct bayes_key *key, struct err *err)
{
	b->table.head.key = *key;
	b->changed = true;
	return write_key(b, err);
}

/* ---- the end of things ---- */

static int
run(struct bayes_db *b, const char *sql, int64_t v, int64_t w, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, sql, err);

	if (st == NULL)
		return -1;
	if (sqlite3_bind_parameter_count(st) > 0)
		db_int(st, 1, v);
	if (sqlite3_bind_parameter_count(st) > 1)
		db_int(st, 2, w);
	return db_run(b->db, st, err);
}

int
bayes_db_clear(struct bayes_db *b, bool everything, struct err *err)
{
	bool fresh = everything;

	if (run(b, "DELETE FROM bayes_token", 0, 0, err) == -1 ||
	    run(b, "DELETE FROM bayes_total", 0, 0, err) == -1 ||
	    run(b, "DELETE FROM bayes_message WHERE id<0 OR tokens IS NULL", 0, 0, err) == -1 ||
	    run(b, fresh ? "DELETE FROM bayes_message" :
	    "UPDATE bayes_message SET learnt=0, by=NULL, source=NULL, decided=NULL", 0, 0, err) == -1)
		return -1;
	if (fresh && new_key(b, err) == -1)
		return -1;
	bayes_table_clear(&b->table);
	b->since = 0;
	b->changed = true;
	return 0;
}

int
bayes_db_expire(struct bayes_db *b, int64_t now, struct err *err)
{
	/* By the number of rows, so that a flood cannot fill the disk; by time, as people were told. */
	if (run(b, "DELETE FROM bayes_message WHERE id IN (SELECT id FROM bayes_message WHERE learnt=0"
	    " ORDER BY time LIMIT max(0, min(?2, (SELECT count(*) FROM bayes_message) - ?1)))",
	    BAYES_REMEMBERED_MAX, EXPIRE_SLICE, err) == -1 ||
	    run(b, "DELETE FROM bayes_message WHERE id IN (SELECT id FROM bayes_message WHERE time<?1 AND"
	    " learnt=0 LIMIT ?2)", now - b->conf.remember, EXPIRE_SLICE, err) == -1 ||
	    run(b, "UPDATE bayes_message SET tokens=NULL WHERE id IN (SELECT id FROM bayes_message WHERE"
	    " time<?1 AND tokens IS NOT NULL LIMIT ?2)", now - b->conf.remember, EXPIRE_SLICE, err) == -1)
		return -1;
	return run(b, "DELETE FROM bayes_message WHERE id IN (SELECT id FROM bayes_message WHERE time<?1"
	    " LIMIT ?2)", now - BAYES_SEEN_DAYS * BAYES_DAY, EXPIRE_SLICE, err);
}

int
bayes_db_remembered(struct bayes_db *b, uint64_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(b->db, "SELECT count(*) FROM bayes_message", err);
	int r;

	if (st == NULL)
		return -1;
	r = db_step(b->db, st, err);
	if (r == 1)
		*n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r == 1 ? 0 : -1;
}
