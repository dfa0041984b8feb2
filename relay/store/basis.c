/* basis.c -- see basis.h.
 *
 * At full speed a batch of events brings hundreds of records: they go straight
 * into a pack. A lookup by id opens the few packs whose range holds it; ids
 * rise with time, so ranges hardly overlap.
 */
#include <errno.h>
#include <stdlib.h>

#include "id.h"
#include "json.h"
#include "postern/record.h"
#include "store/basis.h"
#include "store/sealed.h"
#include "store/zip.h"

#define PACK_FROM 200		/* so many at once make a pack of their own */
#define EXPIRE_SLICE 50		/* packs deleted in one go */
#define HITS_DAYS 90		/* hits are kept longer than records: they are small */
#define HOUR_US (INT64_C(3600) * 1000000)
#define LOOSE_SHOWN ((size_t)LOOSE_MAX * 10)	/* more never wait, unless packing fails */
#define LOOKUPS 16		/* packs that may overlap */

/* ---- records that came together ---- */

void
bases_init(struct bases *b)
{
	*b = (struct bases){ 0 };
	buf_init(&b->bytes, BASES_BYTES);
}

void
bases_release(struct bases *b)
{
	buf_release(&b->bytes);
	free(b->v);
	*b = (struct bases){ 0 };
}

void
bases_reset(struct bases *b)
{
	buf_reset(&b->bytes);
	b->n = 0;
}

static void
put_number(char *to, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		to[i] = (char)(v >> (8 * i));
}

static uint64_t
get_number(const char *p, int bytes)
{
	uint64_t v = 0;

	for (int i = bytes; i-- > 0;)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

void
pack_put(struct buf *b, uint64_t id, struct span record)
{
	char head[PACK_HEAD];

	put_number(head, id, 8);
	put_number(head + 8, record.n, 4);
	buf_put(b, head, sizeof(head));
	buf_span(b, record);
}

bool
pack_next(struct span pack, size_t *at, uint64_t *id, struct span *record)
{
	size_t n;

	if (pack.n - *at < PACK_HEAD)
		return false;
	*id = get_number(pack.p + *at, 8);
	n = (size_t)get_number(pack.p + *at + 8, 4);
	if (n > pack.n - *at - PACK_HEAD)
		return false;
	*record = span_sub(pack, *at + PACK_HEAD, n);
	*at += PACK_HEAD + n;
	return true;
}

int
bases_add(struct bases *b, const struct msg_basis *m)
{
	size_t from = buf_size(&b->bytes);
	struct buf extended;

	if (from + m->basis.n + m->limit.n + m->limit_queue.n + 64 > BASES_BYTES)
		return -1;
	if (b->n == b->room) {
		b->room = b->room ? b->room * 2 : 256;
		b->v = realloc(b->v, b->room * sizeof(*b->v));
		ASSERT(b->v != NULL);
	}
	buf_init(&extended, BASIS_MAX * 2);
	if (m->limit.n) {
		buf_span(&extended, m->basis);
		record_add_limit(&extended, m->limit, m->limit_queue);
	}
	pack_put(&b->bytes, m->id, m->limit.n ? buf_data(&extended) : m->basis);
	buf_release(&extended);
	b->v[b->n++] = (struct basis_at){ m->id, (uint32_t)from,
		(uint32_t)(buf_size(&b->bytes) - from) };
	return 0;
}

/* ---- hits of rules ---- */

struct hit {
	char mode;		/* 'e' enforced, 's' shadow, 'x' cancelled */
	struct span rule;
	int64_t hour, last;
	uint64_t n, id;		/* id: counted last */
};

static void
hit_rules(struct table *t, struct arena *a, char mode, const struct span *rules, size_t n,
    uint64_t id)
{
	int64_t time = id_time(id);

	for (size_t i = 0; i < n; i++) {
		struct span key = span_str(arena_printf(a, "%c%lld " SPAN_FMT, mode,
		    (long long)(time / HOUR_US), SPAN_ARG(rules[i])));
		struct hit *h = table_get(t, key);

		if (h == NULL) {
			h = arena_zalloc(a, sizeof(*h));
			*h = (struct hit){ .mode = mode, .rule = arena_span(a, rules[i]),
				.hour = time / HOUR_US };
			table_put(t, key, h);
		}
		if (h->id == id)	/* for another recipient */
			continue;
		h->id = id;
		h->n++;
		if (time > h->last)
			h->last = time;
	}
}

static void
count_hits(struct table *t, struct arena *a, struct arena *tmp, uint64_t id, struct span record)
{
	const struct span *seen = NULL;
	struct record r;

	arena_reset(tmp);
	if (record_read_decisions(record, tmp, &r) == -1)
		return;
	for (size_t i = 0; i < r.verdict.ndecisions; i++) {
		const struct decision *d = &r.verdict.decisions[i];

		if (d->rules == seen)	/* the same decision as before */
			continue;
		seen = d->rules;
		hit_rules(t, a, 'e', d->rules, d->nrules, id);
		hit_rules(t, a, 's', d->shadow, d->nshadow, id);
		hit_rules(t, a, 'x', d->skipped, d->nskipped, id);
	}
}

static int
write_hits(struct db *d, const struct table *t, struct err *err)
{
	struct span key;
	size_t at = 0;
	void *v;

	while (table_next(t, &at, &key, &v)) {
		const struct hit *h = v;
		sqlite3_stmt *st = db_stmt(d, "INSERT INTO rule_hits(rule, mode, hour, n, last)"
		    " VALUES(?,?,?,?,?) ON CONFLICT DO UPDATE SET n=n+excluded.n,"
		    " last=max(last, excluded.last)", err);

		if (st == NULL)
			return -1;
		db_text_always(st, 1, h->rule);
		db_text(st, 2, span_make(&h->mode, 1));
		db_int(st, 3, h->hour);
		db_int(st, 4, (int64_t)h->n);
		db_int(st, 5, h->last);
		if (db_run(d, st, err) == -1)
			return -1;
	}
	return 0;
}

int
basis_hits(struct db *d, int64_t now, struct buf *out, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT rule, sum(n*(mode='e')*(hour>?1)), sum(n*(mode='s')*(hour>?1)),"
	    " sum(n*(mode='x')*(hour>?1)), sum(n*(mode='e')*(hour>?2)), sum(n*(mode='s')*(hour>?2)),"
	    " sum(n*(mode='x')*(hour>?2)), max(last*(mode<>'x')) FROM rule_hits GROUP BY rule", err);
	static const char *const names[] = { "h24", "h24_shadow", "h24_skipped", "d7", "d7_shadow",
		"d7_skipped", "last" };
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, now / HOUR_US - 24);
	db_int(st, 2, now / HOUR_US - 24 * 7);
	while ((r = db_step(d, st, err)) == 1) {
		struct json j;

		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, "rule", db_column(st, 0));
		for (int i = 0; i < 7; i++)
			json_kint(&j, names[i], sqlite3_column_int64(st, i + 1));
		json_end_object(&j);
		buf_putc(out, '\n');
	}
	return r;
}

/* ---- writing ---- */

static int
by_id(const void *a, const void *b)
{
	const struct basis_at *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int
write_pack(struct db *d, struct span raw, const struct basis_at *v, size_t n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO verdict_pack(first, last, n, bytes)"
	    " VALUES(?,?,?,?)", err);
	int r;

	if (st == NULL || sealed_bind_zip(d, st, 4, SEALED_PACK, (int64_t)v[0].id, raw, err) == -1)
		return -1;
	db_int(st, 1, (int64_t)v[0].id);
	db_int(st, 2, (int64_t)v[n - 1].id);
	db_int(st, 3, (int64_t)n);
	r = db_run(d, st, err);
	sqlite3_clear_bindings(st);
	return r;
}

/* v: sorted by id, places in bytes. */
static int
write_packs(struct db *d, struct span bytes, const struct basis_at *v, size_t n, struct err *err)
{
	struct buf raw;
	size_t from = 0;
	int r = 0;

	buf_init(&raw, PACK_MAX);
	for (size_t i = 0; i < n && r == 0; i++) {
		buf_span(&raw, span_sub(bytes, v[i].at, v[i].n));
		if (i + 1 < n && i + 1 - from < PACK_RECORDS && buf_size(&raw) < PACK_BYTES)
			continue;
		ASSERT(!buf_failed(&raw));
		r = write_pack(d, buf_data(&raw), v + from, i + 1 - from, err);
		from = i + 1;
		buf_reset(&raw);
	}
	buf_release(&raw);
	return r;
}

static int
write_loose(struct db *d, const struct bases *b, struct err *err)
{
	for (size_t i = 0; i < b->n; i++) {
		sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO verdict(id, bytes) VALUES(?,?)", err);

		if (st == NULL)
			return -1;
		db_int(st, 1, (int64_t)b->v[i].id);
		if (sealed_bind(d, st, 2, SEALED_VERDICT, (int64_t)b->v[i].id,
		    span_sub(buf_data(&b->bytes), b->v[i].at + PACK_HEAD, b->v[i].n - PACK_HEAD), err) == -1 ||
		    db_run(d, st, err) == -1)
			return -1;
	}
	return 0;
}

int
basis_write(struct db *d, struct bases *b, struct err *err)
{
	struct span bytes = buf_data(&b->bytes);
	struct arena *a, *tmp;
	struct table *t;
	int r;

	if (b->n == 0)
		return 0;
	qsort(b->v, b->n, sizeof(*b->v), by_id);
	r = b->n >= PACK_FROM ? write_packs(d, bytes, b->v, b->n, err) : write_loose(d, b, err);
	if (r == -1)
		return -1;
	a = arena_new(0);
	tmp = arena_new(16u << 10);
	t = table_new();
	for (size_t i = 0; i < b->n; i++)
		count_hits(t, a, tmp, b->v[i].id, span_sub(bytes, b->v[i].at + PACK_HEAD,
		    b->v[i].n - PACK_HEAD));
	r = write_hits(d, t, err);
	table_free(&t);
	arena_free(&tmp);
	arena_free(&a);
	return r;
}

/* ---- loose rows ----
 * One whose key is gone cannot be packed; it goes with the others of its age. */

static int
number_of(struct db *d, sqlite3_stmt *st, int64_t *n, struct err *err)
{
	int r = db_step(d, st, err);

	if (r == 1)
		*n = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r == 1 ? 0 : r == 0 ? err_set(err, EIO, "a count gave nothing") : -1;
}

static int
loose_rows(struct db *d, uint64_t since, size_t max, struct buf *out, struct basis_at *v,
    size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT id, bytes FROM verdict WHERE id>=? ORDER BY id LIMIT ?",
	    err);
	struct arena *a;
	struct err why;
	int r;

	if (st == NULL)
		return -1;
	a = arena_new(64u << 10);
	db_int(st, 1, (int64_t)since);
	db_int(st, 2, (int64_t)max);
	*n = 0;
	while ((r = db_step(d, st, err)) == 1) {
		size_t from = buf_size(out);
		struct span record;

		arena_reset(a);
		if (sealed_column(d, st, 1, SEALED_VERDICT, sqlite3_column_int64(st, 0), a, &record,
		    &why) == -1)
			continue;
		pack_put(out, db_column_id(st, 0), record);
		if (buf_failed(out)) {	/* enough for once */
			r = 0;
			break;
		}
		if (v)
			v[*n] = (struct basis_at){ db_column_id(st, 0), (uint32_t)from,
				(uint32_t)(buf_size(out) - from) };
		++*n;
	}
	sqlite3_reset(st);
	arena_free(&a);
	return r == -1 ? -1 : 0;
}

static int
tidy(struct db *d, struct basis_at *v, struct buf *bytes, struct err *err)
{
	sqlite3_stmt *st;
	size_t n;

	if (loose_rows(d, 0, PACK_RECORDS, bytes, v, &n, err) == -1)
		return -1;
	if (n == 0)
		return 0;
	if (write_packs(d, buf_data(bytes), v, n, err) == -1 ||
	    (st = db_stmt(d, "DELETE FROM verdict WHERE id<=?", err)) == NULL)
		return -1;
	db_int(st, 1, (int64_t)v[n - 1].id);
	return db_run(d, st, err);
}

int
basis_tidy(struct db *d, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT count(*) FROM verdict", err);
	struct basis_at *v;
	struct buf bytes;
	int64_t n = 0;
	int r;

	if (st == NULL || number_of(d, st, &n, err) == -1)
		return -1;
	if (n < LOOSE_MAX)
		return 0;
	v = calloc(PACK_RECORDS, sizeof(*v));
	ASSERT(v != NULL);
	buf_init(&bytes, BASES_BYTES);
	r = db_begin(d, false, err);
	if (r == 0) {
		r = tidy(d, v, &bytes, err);
		if (r == 0)
			r = db_commit(d, err);
		else
			db_rollback(d);
	}
	buf_release(&bytes);
	free(v);
	return r;
}

static int64_t
first_id(int64_t time)
{
	return time <= 0 ? 0 : time > INT64_MAX / ID_SLOTS ? INT64_MAX : time * ID_SLOTS;
}

int
basis_expire(struct db *d, int64_t before, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM verdict_pack WHERE seq IN"
	    " (SELECT seq FROM verdict_pack WHERE last<? LIMIT ?)", err);
	int gone;

	if (st == NULL)
		return -1;
	db_int(st, 1, first_id(before));
	db_int(st, 2, EXPIRE_SLICE);
	if (db_run(d, st, err) == -1)
		return -1;
	gone = db_changes(d);
	if ((st = db_stmt(d, "DELETE FROM verdict WHERE id<?", err)) == NULL)
		return -1;
	db_int(st, 1, first_id(before));
	if (db_run(d, st, err) == -1 ||
	    (st = db_stmt(d, "DELETE FROM rule_hits WHERE hour<?", err)) == NULL)
		return -1;
	db_int(st, 1, before / HOUR_US - 24 * HITS_DAYS);
	return db_run(d, st, err) == -1 ? -1 : gone == EXPIRE_SLICE;
}

/* ---- reading ---- */

static int
in_pack(struct db *d, uint64_t id, struct arena *a, struct span *out, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT bytes, first FROM verdict_pack WHERE last>=?"
	    " ORDER BY last LIMIT ?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	db_int(st, 2, LOOKUPS);
	while ((r = db_step(d, st, err)) == 1) {
		struct span raw, record;
		uint64_t this;
		size_t at = 0;

		if (db_column_id(st, 1) > id)
			continue;
		if (sealed_column_zip(d, st, 0, SEALED_PACK, sqlite3_column_int64(st, 1), PACK_MAX, a, &raw,
		    err) == -1) {
			r = -1;
			break;
		}
		while (pack_next(raw, &at, &this, &record))
			if (this == id) {
				*out = record;
				sqlite3_reset(st);
				return 1;
			}
	}
	sqlite3_reset(st);
	return r;
}

static int
get_one(struct db *d, uint64_t id, struct arena *a, struct span *out, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT bytes FROM verdict WHERE id=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	if ((r = db_step(d, st, err)) == 1) {
		r = sealed_column(d, st, 0, SEALED_VERDICT, (int64_t)id, a, out, err) == -1 ? -1 : 1;
		if (r == 1)
			*out = arena_span(a, *out);
	}
	sqlite3_reset(st);
	return r ? r : in_pack(d, id, a, out, err);
}

int
basis_get(struct db *d, uint64_t id, struct arena *a, struct span *out, struct err *err)
{
	int r = get_one(d, id, a, out, err);
	uint64_t parent = 0;
	sqlite3_stmt *st;

	if (r)
		return r;
	if ((st = db_stmt(d, "SELECT parent FROM message WHERE id=?", err)) == NULL)
		return -1;
	db_int(st, 1, (int64_t)id);
	if ((r = db_step(d, st, err)) == 1)
		parent = db_column_id(st, 0);
	sqlite3_reset(st);
	return r == -1 ? -1 : parent ? get_one(d, parent, a, out, err) : 0;
}

int
basis_next_pack(struct db *d, int64_t after, int64_t since, struct arena *a,
    struct basis_pack *p, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT seq, n, bytes, first FROM verdict_pack WHERE seq>?"
	    " AND last>=? ORDER BY seq", err);
	struct span bytes;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, after);
	db_int(st, 2, first_id(since));
	while ((r = db_step(d, st, err)) == 1) {
		if (sealed_column(d, st, 2, SEALED_PACK, sqlite3_column_int64(st, 3), a, &bytes, err) == -1) {
			if (err->code == ENOKEY)	/* the others are still worth something */
				continue;
			r = -1;
			break;
		}
		*p = (struct basis_pack){ sqlite3_column_int64(st, 0), db_column_id(st, 1),
			arena_span(a, bytes) };
		break;
	}
	sqlite3_reset(st);
	return r;
}

int
basis_loose(struct db *d, int64_t since, struct buf *out, uint64_t *n, struct err *err)
{
	size_t count;

	if (loose_rows(d, (uint64_t)first_id(since), LOOSE_SHOWN, out, NULL, &count, err) == -1)
		return -1;
	*n = count;
	return 0;
}

int
basis_count(struct db *d, int64_t since, uint64_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT coalesce((SELECT sum(n) FROM verdict_pack WHERE last>=?1), 0)"
	    " + (SELECT count(*) FROM verdict WHERE id>=?1)", err);
	int64_t v;

	if (st == NULL)
		return -1;
	db_int(st, 1, first_id(since));
	if (number_of(d, st, &v, err) == -1)
		return -1;
	*n = (uint64_t)v;
	return 0;
}
