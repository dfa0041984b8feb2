/* limits_sessions.c -- what all receivers have open together: sessions, memory.
 *
 * Each process writes in a column of its own, so that the end of a process
 * ends what it had open: the master clears the column of a process that
 * died (limits_gone), and one that was not seen for COLUMN_DEAD counts for nothing.
 * Sums are made when they are asked for.
 *
 * A client's row is found by a keyed hash; a full bucket means that this
 * client is counted by its own process alone (8192 clients at once before
 * that begins to happen).
 */
#include "receiver/limits_table.h"
#include "table.h"

static void
column_clear(struct limits_table *t, int c)
{
	for (size_t i = 0; i < PEERS; i++)
		if (atomic_load_explicit(&t->peers[i].open[c], memory_order_relaxed))
			atomic_store_explicit(&t->peers[i].open[c], 0, memory_order_relaxed);
	atomic_store(&t->columns[c].sessions, 0);
	atomic_store(&t->columns[c].memory, 0);
}

int
limits_column(struct limits_table *t, uint32_t instance, int64_t now)
{
	for (int c = 0; c < COLUMNS; c++) {
		int64_t seen = atomic_load(&t->columns[c].alive);

		if (seen && now - seen < COLUMN_DEAD)
			continue;
		if (!atomic_compare_exchange_strong(&t->columns[c].alive, &seen, now))
			continue;
		column_clear(t, c);
		atomic_store(&t->columns[c].instance, instance);
		return c;
	}
	return -1;
}

void
limits_gone(struct limits_table *t, uint32_t instance)
{
	for (int c = 0; c < COLUMNS; c++)
		if (atomic_load(&t->columns[c].alive) &&
		    atomic_load(&t->columns[c].instance) == instance) {
			column_clear(t, c);
			atomic_store(&t->columns[c].alive, 0);
		}
}

void
limits_alive(struct limits_table *t, int column, int64_t now)
{
	if (column != -1)
		atomic_store(&t->columns[column].alive, now);
}

static bool
column_lives(const struct limits_table *t, int c, int64_t now)
{
	int64_t seen = atomic_load_explicit(&t->columns[c].alive, memory_order_relaxed);

	return seen && now - seen < COLUMN_DEAD;
}

/* ---- for each key ---- */

static uint32_t
peer_sum(const struct limits_table *t, struct peer *p, int64_t now)
{
	uint32_t sum = 0;

	for (int c = 0; c < COLUMNS; c++) {
		uint32_t n = atomic_load_explicit(&p->open[c], memory_order_relaxed);

		if (n && column_lives(t, c, now))
			sum += n;
	}
	return sum;
}

uint32_t
limits_open(struct limits_table *t, int column, struct span key, int by, int64_t now)
{
	uint64_t h = siphash(t->key, key.p, key.n) | 1, tag;
	struct peer *row = &t->peers[(h >> 8) % (PEERS / PEER_WAYS) * PEER_WAYS];

	if (column == -1)
		return 0;
	for (int i = 0; i < PEER_WAYS; i++)
		if (atomic_load(&row[i].tag) == h) {
			if (by < 0 && atomic_load(&row[i].open[column]) == 0)
				return peer_sum(t, &row[i], now);
			atomic_fetch_add(&row[i].open[column], (uint32_t)by);
			return peer_sum(t, &row[i], now);
		}
	for (int i = 0; i < PEER_WAYS && by > 0; i++) {
		tag = atomic_load(&row[i].tag);
		if (peer_sum(t, &row[i], now) == 0 &&
		    atomic_compare_exchange_strong(&row[i].tag, &tag, h)) {
			atomic_fetch_add(&row[i].open[column], (uint32_t)by);
			return peer_sum(t, &row[i], now);
		}
	}
	return 0;
}

uint32_t
limits_sessions(struct limits_table *t, int column, struct ip client, int by, int64_t now)
{
	return limits_open(t, column, span_make((const char *)&client, sizeof(client)), by, now);
}

/* ---- over all ---- */

void
limits_publish_sessions(struct limits_table *t, int column, uint32_t sessions)
{
	if (column != -1)
		atomic_store_explicit(&t->columns[column].sessions, sessions, memory_order_relaxed);
}

void
limits_publish_memory(struct limits_table *t, int column, uint64_t memory)
{
	if (column != -1)
		atomic_store_explicit(&t->columns[column].memory, memory, memory_order_relaxed);
}

void
limits_totals(const struct limits_table *t, int except, int64_t now, struct limits_totals *out)
{
	*out = (struct limits_totals){ 0 };
	for (int c = 0; c < COLUMNS; c++) {
		if (c == except || !column_lives(t, c, now))
			continue;
		out->sessions += atomic_load_explicit(&t->columns[c].sessions, memory_order_relaxed);
		out->memory += atomic_load_explicit(&t->columns[c].memory, memory_order_relaxed);
	}
}
