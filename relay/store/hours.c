/* hours.c -- see hours.h. */
#include "clock.h"
#include "store/hours.h"

#define HOUR_US (INT64_C(3600) * US_PER_SEC)

void
hours_note(struct hour_counts *h, const struct msg_event *ev)
{
	int64_t hour = ev->time / HOUR_US;
	size_t i = 0;

	while (i < h->n && h->v[i].hour != hour)
		i++;
	if (i == HOURS_AT_ONCE)
		i--;
	if (i == h->n)
		h->v[h->n++] = (struct hour_kinds){ .hour = hour };
	h->v[i].kinds[ev->kind]++;
}

static int
count(struct db *d, int64_t hour, enum event_kind kind, uint32_t n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO hour_count(hour, what, n) VALUES(?,?,?)"
	    " ON CONFLICT(hour, what) DO UPDATE SET n=n+excluded.n", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, hour);
	db_text(st, 2, span_str(event_name(kind)));
	db_int(st, 3, n);
	return db_run(d, st, err);
}

int
hours_write(struct db *d, const struct hour_counts *h, struct err *err)
{
	for (size_t i = 0; i < h->n; i++)
		for (int k = 0; k < EVENT_COUNT; k++)
			if (h->v[i].kinds[k] &&
			    count(d, h->v[i].hour, (enum event_kind)k, h->v[i].kinds[k], err) == -1)
				return -1;
	return 0;
}

int
hours_json(struct db *d, int64_t now, unsigned hours, struct json *j, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT hour, what, n FROM hour_count WHERE hour>=? AND hour<=?"
	    " ORDER BY hour", err);
	int64_t last = now / HOUR_US, first = last - hours + 1;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, first);
	db_int(st, 2, last);
	r = db_step(d, st, err);
	json_array(j);
	for (int64_t at = first; at <= last; at++) {
		json_object(j);
		json_kint(j, "t", at * 3600);
		for (; r == 1 && sqlite3_column_int64(st, 0) == at; r = db_step(d, st, err))
			json_kint(j, (const char *)sqlite3_column_text(st, 1), sqlite3_column_int64(st, 2));
		json_end_object(j);
	}
	json_end_array(j);
	return r == -1 ? -1 : 0;
}

int
hours_expire(struct db *d, int64_t before, size_t max, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM hour_count WHERE (hour, what) IN (SELECT hour, what"
	    " FROM hour_count WHERE hour<? LIMIT ?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, before / HOUR_US);
	db_int(st, 2, (int64_t)max);
	return db_run(d, st, err) == -1 ? -1 : db_changes(d);
}
