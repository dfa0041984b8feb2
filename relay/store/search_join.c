/* search_join.c -- ids that stand in several lists at once, newest first; see search_private.h.
 *
 * Each list is a statement that runs from the newest id to the oldest: words of a week, replies of a week,
 * recipients with a status. The list that is ahead goes to where the last one is: some steps, and where these
 * are not enough the statement begins anew just there, which an index finds at once. So a rare list
 * leads a frequent one, whichever of them it is, and nothing is looked at that two of them
 * do not have between them.
 *
 * A word of which only the beginning is known has its list made before its first id comes: such a
 * statement is never begun anew.
 */
#include "store/search_private.h"

#define STEPS_MAX 64		/* then it is begun anew: that costs as much as some hundred steps */
#define LATE_EVERY 64		/* turns between two looks at the clock */

/* The next id, whatever it is. */
static int
list_step(struct search_list *l, struct db *d, struct err *err)
{
	int r = db_step(d, l->st, err);

	l->end = r != 1;
	l->id = r == 1 ? db_column_id(l->st, 0) : 0;
	return r == -1 ? -1 : 0;
}

int
search_list_open(struct search_list *l, struct db *d, struct err *err)
{
	return l->st == NULL ? -1 : list_step(l, d, err);
}

void
search_list_close(struct search_list *l)
{
	if (l->kept)
		sqlite3_reset(l->st);
	else
		sqlite3_finalize(l->st);
	l->st = NULL;
}

/* To its newest id that is not above `id`. */
static int
list_seek(struct search_list *l, struct db *d, uint64_t id, struct err *err)
{
	for (int n = 0; !l->end && l->id > id; n++) {
		if (n == STEPS_MAX && !l->prefix) {
			sqlite3_reset(l->st);
			db_int(l->st, SEARCH_BELOW, (int64_t)id + 1);
		}
		if (list_step(l, d, err) == -1)
			return -1;
	}
	return 0;
}

/* A part: one list, or what stands in either of two. */
static int
part_seek(struct search_part *p, struct db *d, uint64_t id, struct err *err)
{
	for (size_t i = 0; i < p->n; i++)
		if (list_seek(&p->lists[i], d, id, err) == -1)
			return -1;
	return 0;
}

static bool
part_end(const struct search_part *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->lists[i].end)
			return false;
	return true;
}

static uint64_t
part_id(const struct search_part *p)
{
	uint64_t id = 0;

	for (size_t i = 0; i < p->n; i++)
		if (!p->lists[i].end && p->lists[i].id > id)
			id = p->lists[i].id;
	return id;
}

int
search_join(struct search_part *parts, size_t n, struct db *d, search_take *take, void *ctx, struct err *err)
{
	for (unsigned turn = 1;; turn++) {
		uint64_t low = UINT64_MAX;
		bool all = true;

		if (turn % LATE_EVERY == 0 && db_late(d, err))
			return -1;
		for (size_t i = 0; i < n; i++) {
			if (part_end(&parts[i]))
				return 0;
			if (part_id(&parts[i]) < low)
				low = part_id(&parts[i]);
		}
		for (size_t i = 0; i < n && all; i++) {
			if (part_seek(&parts[i], d, low, err) == -1)
				return -1;
			all = !part_end(&parts[i]) && part_id(&parts[i]) == low;
		}
		if (!all)
			continue;
		switch (take(ctx, low)) {
		case -1:
			return -1;
		case 0:
			return 0;
		}
		if (low == 0 || part_seek(&parts[0], d, low - 1, err) == -1)
			return low == 0 ? 0 : -1;
	}
}
