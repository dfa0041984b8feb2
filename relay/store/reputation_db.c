/* reputation_db.c -- our own experience with senders, kept over restarts; see reputation_db.h.
 *
 * The counts live in memory that all processes share; this process writes down what has changed,
 * a slice each second, so that a minute is lost at most when everything dies at once. A row
 * that has faded or was forgotten is deleted. Of those whom newer ones drove out of memory some
 * stay in the table, ROWS_MAX at most and none older than ten half-lives; a start loads the
 * newest.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "ipc/json_read.h"
#include "ipc/messages_count.h"
#include "ipc/newest.h"
#include "log.h"
#include "receiver/reputation.h"
#include "store/reputation_db.h"

#define SLICES 60
#define ROWS_MAX 131072
#define HALF_LIVES 10		/* then a thousandth is left */
#define TIDY_EVERY 60		/* turns of all slices */
#define COUNT_MAX 1e6f

struct experience {
	struct db *db;
	struct reputation r;
	struct newest counters;
	int64_t saved[SLICES];	/* Unix seconds: changes before are written */
	unsigned slice, turns;
	bool failing;
};

/* ---- rows ---- */

static size_t
pack(const struct reputation_counts *c, unsigned char out[static 4 * REPUTATION_EVENT_COUNT])
{
	for (size_t i = 0; i < REPUTATION_EVENT_COUNT; i++) {
		float f = (float)c->n[i];
		uint32_t bits;

		memcpy(&bits, &f, sizeof(bits));
		for (size_t k = 0; k < 4; k++)
			out[4 * i + k] = (unsigned char)(bits >> 8 * k);
	}
	return (size_t)4 * REPUTATION_EVENT_COUNT;
}

/* What an older version did not count yet is 0. */
static void
unpack(struct span s, struct reputation_counts *c)
{
	for (size_t i = 0; i < REPUTATION_EVENT_COUNT && 4 * i + 4 <= s.n; i++) {
		uint32_t bits = 0;
		float f;

		for (size_t k = 0; k < 4; k++)
			bits |= (uint32_t)(unsigned char)s.p[4 * i + k] << 8 * k;
		memcpy(&f, &bits, sizeof(f));
		c->n[i] = isfinite(f) && f > 0 && f <= COUNT_MAX ? (double)f : 0;
	}
}

static int
load(struct experience *x, int64_t now, size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(x->db, "SELECT name, at, since, counts FROM reputation "
	    "ORDER BY at DESC LIMIT ?1", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, REPUTATION_ROWS);
	while ((r = db_step(x->db, st, err)) == 1) {
		struct reputation_row row = { 0 };
		struct span name = db_column(st, 0);
		int64_t at = sqlite3_column_int64(st, 1);

		if (name.n < 2 || name.n > sizeof(row.name) || at <= 0)
			continue;
		row.kind = name.p[0];
		memcpy(row.name, name.p + 1, name.n - 1);
		row.counts.since = sqlite3_column_int64(st, 2);
		unpack(db_column(st, 3), &row.counts);
		at *= US_PER_SEC;
		reputation_add(&x->r, &row, at < now ? at : now);
		(*n)++;
	}
	return r;
}

static int
write_row(struct experience *x, const struct reputation_row *row, int64_t now, struct err *err)
{
	unsigned char bytes[4 * REPUTATION_EVENT_COUNT];
	char name[REPUTATION_NAME_MAX + 1];
	sqlite3_stmt *st;

	name[0] = row->kind;
	memcpy(name + 1, row->name, sizeof(row->name));
	st = row->counts.there ?
	    db_stmt(x->db, "INSERT INTO reputation(name, at, since, counts) VALUES(?1, ?2, ?3, ?4) "
	    "ON CONFLICT DO UPDATE SET at=excluded.at, since=excluded.since, counts=excluded.counts", err) :
	    db_stmt(x->db, "DELETE FROM reputation WHERE name=?1", err);
	if (st == NULL)
		return -1;
	db_text(st, 1, span_str(name));
	if (row->counts.there) {
		db_int(st, 2, now / US_PER_SEC);
		db_int(st, 3, row->counts.since);
		db_blob(st, 4, bytes, pack(&row->counts, bytes));
	}
	return db_run(x->db, st, err);
}

/* What has faded, and the oldest of too many. */
static int
tidy(struct experience *x, int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(x->db, "DELETE FROM reputation WHERE at < ?1 OR name IN "
	    "(SELECT name FROM reputation ORDER BY at DESC LIMIT -1 OFFSET ?2)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (now - HALF_LIVES * x->r.half_life) / US_PER_SEC);
	db_int(st, 2, ROWS_MAX);
	return db_run(x->db, st, err);
}

/* ---- slices ---- */

static int
save_slice(struct experience *x, unsigned slice, int64_t now, struct err *err)
{
	size_t at = (size_t)REPUTATION_ROWS / SLICES * slice;
	size_t end = slice == SLICES - 1 ? SIZE_MAX : (size_t)REPUTATION_ROWS / SLICES * (slice + 1);
	struct reputation_row row;
	bool begun = false;

	while (at < end && reputation_next(&x->r, &at, now, &row) && at <= end) {
		if (row.changed < x->saved[slice])
			continue;
		if (!begun && db_begin(x->db, false, err) == -1)
			return -1;
		begun = true;
		if (write_row(x, &row, now, err) == -1) {
			db_rollback(x->db);
			return -1;
		}
	}
	if (begun && db_commit(x->db, err) == -1) {
		db_rollback(x->db);
		return -1;
	}
	x->saved[slice] = now / US_PER_SEC;	/* the same second is written once more */
	return 0;
}

static void
report(struct experience *x, int r, const struct err *err)
{
	if (r == -1 && !x->failing)
		log_warn("our experience with senders is not written down: %s", err->text);
	else if (r == 0 && x->failing)
		log_info("our experience with senders is written down again");
	x->failing = r == -1;
}

void
experience_tick(struct experience *x, int64_t now)
{
	struct err err;
	int r;

	if (db_in_transaction(x->db))	/* KEEPs; in a second, then */
		return;
	r = save_slice(x, x->slice, now, &err);
	if (r == 0 && ++x->slice == SLICES) {
		x->slice = 0;
		if (x->turns++ % TIDY_EVERY == 0)
			r = tidy(x, now, &err);
	}
	report(x, r, &err);
}

void
experience_save(struct experience *x, int64_t now)
{
	struct err err;

	for (unsigned i = 0; i < SLICES; i++)
		if (save_slice(x, i, now, &err) == -1) {
			report(x, -1, &err);
			return;
		}
}

struct experience *
experience_new(struct db *d, struct shared *shared, const struct config *conf)
{
	struct experience *x = calloc(1, sizeof(*x));
	int64_t now = clock_real();
	struct err err;
	size_t n = 0;

	ASSERT_MEMORY(x);
	x->db = d;
	reputation_open(&x->r, shared->reputation, REPUTATION_BYTES, conf->verify.reputation.half_life);
	if (!reputation_loads(&x->r))
		return x;
	if (load(x, now, &n, &err) == -1)
		log_warn("our experience with senders cannot be read: %s", err.text);
	else if (n)
		log_info("experience with %zu senders", n);
	return x;
}

/* ---- other nodes ---- */

static bool
tell(void *ctx, const struct reputation_who *who, enum reputation_event e, double n)
{
	const struct experience *x = ctx;
	struct msg_count_note m = { COUNT_NOTE_REPUTATION, who->domain, who->client, (uint32_t)e, 0,
		(int64_t)(n * 1000) };
	struct link *l = newest_get(&x->counters);
	struct buf b;
	bool told;

	buf_init(&b, FRAME_SMALL);
	count_note_encode(&b, &m);
	told = l && !buf_failed(&b) && link_send(l, FRAME_COUNT_NOTE, 0, buf_data(&b), -1) == 0;
	buf_release(&b);
	return told;
}

void
experience_peer_up(struct experience *x, struct link *l)
{
	newest_add(&x->counters, l);
	x->r.noted = tell;
	x->r.ctx = x;
}

void
experience_peer_down(struct experience *x, const struct link *l)
{
	newest_remove(&x->counters, l);
}

/* ---- what people decide ---- */

/* What it was counted as; MESSAGES: as nothing good or bad. */
static enum reputation_event
was_rated(const struct jval *record)
{
	struct span class = jval_text(jval_get(record, "spam"), "class");

	if (jval_has(record, "virus"))
		return REPUTATION_VIRUS;
	return span_is(class, "spam") ? REPUTATION_SPAM :
	    span_is(class, "suspected") ? REPUTATION_SUSPECTED : REPUTATION_MESSAGES;
}

static void
correct(const struct experience *x, const struct kept *k, bool wanted, int64_t now)
{
	struct jval *record = k->record.n ? jval_parse(k->record, NULL) : NULL;
	const struct jval *identity = jval_get(record, "identity");
	struct reputation_who who = { k->env.client, jval_text(identity, "proved") };
	enum reputation_event was = was_rated(record);

	/* Without an identity it did not come from the world, and was not counted. */
	if (jval_is_object(identity) && was != REPUTATION_MESSAGES &&
	    (wanted || was == REPUTATION_SUSPECTED))
		reputation_correct(&x->r, &who, was, wanted ? REPUTATION_CLEAN : REPUTATION_SPAM,
		    k->env.received, now);
	jval_free(&record);
}

void
experience_released(const struct experience *x, const struct kept *k, int64_t now)
{
	correct(x, k, true, now);
}

void
experience_confirmed(const struct experience *x, const struct kept *k, int64_t now)
{
	correct(x, k, false, now);
}
