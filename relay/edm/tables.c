/* tables.c -- the second pass: the hashed cells of a column become its tables; see edm.h.
 *
 * Cells are sorted by hash, then row, in runs of SORT_BYTES that are merged.
 * Each distinct hash is a value; its number is its rank. Which value each row
 * has is put away by stretches of rows and written stretch by stretch.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "edm/build.h"
#include "fs.h"

#define STRETCH (UINT32_C(1) << 22)	/* rows whose values are in memory at once */
#define SHOW_EACH 65536
#define NANO 1e9

struct tables {
	struct build *b;
	struct exact_column *c;
	const char *what;
	struct spill runs, entries, rows, filter, *stretches;
	uint64_t *run_ends;
	size_t nruns, nstretches;
	/* the value in hand */
	struct cell first;
	uint32_t n;		/* rows it has */
	uint64_t place;		/* of their number in rows */
};

/* --- sorting --------------------------------------------------------------------------------- */

static int
sort_runs(struct tables *t, struct err *err)
{
	struct spill *from = &t->b->cells[t->c - t->b->h.columns];
	struct cell *v = malloc(SORT_BYTES);
	size_t cap = SORT_BYTES / sizeof(*v), n = 0;
	uint32_t row = 0, is = 0;	/* the next one of the order, and its new number */
	int got = 0;

	ASSERT_MEMORY(v);
	if (spill_rewind(from, 0, from->size, err) == -1 ||
	    spill_rewind(&t->b->order, 0, t->b->order.size, err) == -1)
		goto fail;
	do {
		struct cell c;

		if ((got = spill_get(from, &c, sizeof(c), err)) == -1)
			goto fail;
		if (got == 1) {
			uint32_t want, number;

			memcpy(&want, c.row, 4);
			for (want = be32toh(want); row <= want; row++)
				if (spill_get(&t->b->order, &is, 4, err) != 1)
					goto fail;
			number = htobe32(is);
			memcpy(c.row, &number, 4);
			v[n++] = c;
		}
		if (n == 0 || (n < cap && got == 1))
			continue;
		if (t->nruns == SORT_RUNS) {
			err_set(err, EFBIG, "too many rows");
			goto fail;
		}
		cells_sort(v, n);
		for (size_t i = 0; i < n; i++)
			if (spill_put(&t->runs, &v[i], sizeof(v[i]), err) == -1)
				goto fail;
		t->run_ends[t->nruns++] = t->runs.size;
		n = 0;
	} while (got == 1);
	free(v);
	spill_close(from);	/* its disk is needed */
	return 0;
fail:
	free(v);
	return -1;
}

/* --- values ------------------------------------------------------------------------------------- */

/* Its only row stands in the entry; more of them have a list. */
static int
value_end(struct tables *t, struct err *err)
{
	uint8_t entry[EXACT_ENTRY];
	uint32_t is, row;

	if (t->n == 0)
		return 0;
	memcpy(&row, t->first.row, 4);
	row = be32toh(row);
	is = htole32(t->n == 1 ? EXACT_ONE | row : (uint32_t)(t->place / 4));
	memcpy(entry, t->first.hash, EXACT_HASH);
	memcpy(entry + EXACT_HASH, &is, 4);
	if (t->n > 1) {
		uint32_t n = htole32(t->n);

		if (spill_patch(&t->rows, t->place, &n, err) == -1)
			return -1;
	}
	if (t->n > t->c->most)
		t->c->most = t->n;
	t->c->values++;
	t->n = 0;
	return spill_put(&t->entries, entry, sizeof(entry), err);
}

static int
row_put(struct tables *t, const uint8_t row[4], struct err *err)
{
	uint32_t r;

	memcpy(&r, row, 4);
	r = htole32(be32toh(r));
	return spill_put(&t->rows, &r, 4, err);
}

static int
cell_take(struct tables *t, const struct cell *c, struct err *err)
{
	uint32_t pair[2], zero = 0, row;

	if (t->n && memcmp(t->first.hash, c->hash, EXACT_HASH) != 0 && value_end(t, err) == -1)
		return -1;
	if (t->n == 0) {
		t->first = *c;
		if (spill_put(&t->filter, c->filter, 8, err) == -1)
			return -1;
	} else {
		if (t->n == 1) {
			t->place = t->rows.size;
			if (t->place / 4 >= EXACT_ONE)
				return err_set(err, EFBIG, "too many rows");
			if (spill_put(&t->rows, &zero, 4, err) == -1 ||
			    row_put(t, t->first.row, err) == -1)
				return -1;
		}
		if (row_put(t, c->row, err) == -1)
			return -1;
	}
	t->n++;
	memcpy(&row, c->row, 4);
	row = be32toh(row);
	pair[0] = row % STRETCH;
	pair[1] = t->c->values;
	return spill_put(&t->stretches[row / STRETCH], pair, sizeof(pair), err);
}

static int
merge_all(struct tables *t, struct err *err)
{
	uint64_t done = 0, total = t->c->cells;
	struct merge m = { 0 };
	struct cell c;
	int got = -1;

	if (spill_rewind(&t->runs, 0, 0, err) == -1 ||
	    merge_begin(&m, &t->runs, t->run_ends, t->nruns, err) == -1)
		goto out;
	while ((got = merge_next(&m, &c, err)) == 1) {
		if (cell_take(t, &c, err) == -1) {
			got = -1;
			break;
		}
		if (++done % SHOW_EACH == 0)
			build_show(t->b, t->what, "values", done, total);
	}
	if (got == 0)
		got = value_end(t, err);
out:
	merge_end(&m);
	return got;
}

/* --- writing --------------------------------------------------------------------------------------- */

static int
copy_at(struct tables *t, struct spill *s, uint64_t at, struct err *err)
{
	char buf[16384];
	uint64_t left = s->size;

	if (spill_rewind(s, 0, s->size, err) == -1)
		return -1;
	while (left) {
		size_t n = left < sizeof(buf) ? (size_t)left : sizeof(buf);

		if (spill_get(s, buf, n, err) != 1 ||
		    fs_pwrite_all(t->b->out, buf, n, (off_t)at, err) == -1)
			return -1;
		at += n;
		left -= n;
	}
	return 0;
}

static int
write_filter(struct tables *t, struct err *err)
{
	size_t n = (size_t)t->c->filter_blocks * EXACT_FILTER_BLOCK;
	uint8_t *f = calloc(1, n);
	uint64_t hash;
	int got = -1;

	ASSERT_MEMORY(f);
	if (spill_rewind(&t->filter, 0, t->filter.size, err) == 0) {
		while ((got = spill_get(&t->filter, &hash, 8, err)) == 1)
			exact_filter_put(f, t->c->filter_blocks, hash);
		if (got == 0)
			got = fs_pwrite_all(t->b->out, f, n, (off_t)t->c->filter, err);
	}
	free(f);
	return got;
}

/* For each beginning of a hash, the first value that begins so or later. */
static int
write_directory(struct tables *t, struct err *err)
{
	unsigned bits = t->c->directory_bits;
	size_t slots = (size_t)1 << bits, next = 0;
	uint32_t *dir = calloc(slots + 1, sizeof(*dir)), value = 0;
	uint8_t e[EXACT_ENTRY];
	int got = -1;

	ASSERT_MEMORY(dir);
	if (spill_rewind(&t->entries, 0, t->entries.size, err) == -1)
		goto out;
	for (; (got = spill_get(&t->entries, e, sizeof(e), err)) == 1; value++) {
		uint32_t top = (uint32_t)e[0] << 24 | (uint32_t)e[1] << 16 | (uint32_t)e[2] << 8 | e[3];
		size_t slot = bits ? top >> (32 - bits) : 0;

		while (next <= slot)
			dir[next++] = htole32(value);
	}
	while (next <= slots)
		dir[next++] = htole32(value);
	if (got == 0)
		got = fs_pwrite_all(t->b->out, dir, (slots + 1) * sizeof(*dir), (off_t)t->c->directory, err);
out:
	free(dir);
	return got;
}

static int
write_of_row(struct tables *t, struct err *err)
{
	uint32_t *v = calloc(STRETCH, sizeof(*v)), pair[2], rows = t->b->h.rows;
	int got = 0;

	ASSERT_MEMORY(v);
	for (size_t i = 0; i < t->nstretches && got == 0; i++) {
		uint32_t from = (uint32_t)(i * STRETCH), n = rows - from < STRETCH ? rows - from : STRETCH;

		memset(v, 0xff, n * sizeof(*v));	/* EXACT_NONE */
		if ((got = spill_rewind(&t->stretches[i], 0, t->stretches[i].size, err)) == -1)
			break;
		while ((got = spill_get(&t->stretches[i], pair, sizeof(pair), err)) == 1)
			v[pair[0]] = htole32(pair[1]);
		if (got == 0)
			got = fs_pwrite_all(t->b->out, v, n * sizeof(*v),
			    (off_t)(t->c->of_row + (uint64_t)from * 4), err);
		spill_close(&t->stretches[i]);
	}
	free(v);
	return got;
}

/* --- how telling a value is ---------------------------------------------------------------------------- */

/* Of all numbers of that length, how many are values: 8-digit numbers of which a million exist are in
 * any mail by accident. The worst length counts. */
static uint32_t
density(const struct build *b, size_t column)
{
	const struct exact_column *c = &b->h.columns[column];
	double worst = 0, each = c->cells ? (double)c->values / c->cells : 0;

	if (c->type != EXACT_DIGITS && c->type != EXACT_CODE && c->type != EXACT_PHONE)
		return 0;
	for (size_t n = 1; n <= EXACT_LENGTH_MAX; n++) {
		double all = 1;

		if (b->lengths[column][n] == 0)
			continue;
		for (size_t i = 0; i < n; i++)
			all *= c->type == EXACT_CODE && i < 2 ? 36 : 10;
		if ((double)b->lengths[column][n] * each / all > worst)
			worst = (double)b->lengths[column][n] * each / all;
	}
	worst = worst > 1 ? NANO : worst * NANO;
	return (uint32_t)(worst < 1 ? 1 : worst);
}

static int
column_make(struct tables *t, struct err *err)
{
	struct build *b = t->b;
	struct spill *all[] = { &t->runs, &t->entries, &t->rows, &t->filter };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (spill_open(all[i], b->dir, err) == -1)
			return -1;
	for (size_t i = 0; i < t->nstretches; i++)
		if (spill_open(&t->stretches[i], b->dir, err) == -1)
			return -1;
	build_show(b, t->what, "values", 0, t->c->cells);
	if (sort_runs(t, err) == -1 || merge_all(t, err) == -1)
		return -1;
	spill_close(&t->runs);
	build_show(b, t->what, "values", t->c->cells, t->c->cells);
	t->c->nrows = t->rows.size / 4;
	t->c->density = density(b, (size_t)(t->c - b->h.columns));
	exact_layout(&b->h);
	return write_filter(t, err) == -1 || write_directory(t, err) == -1 ||
	    copy_at(t, &t->entries, t->c->entries, err) == -1 ||
	    copy_at(t, &t->rows, t->c->rows, err) == -1 || write_of_row(t, err) == -1 ? -1 : 0;
}

int
build_column(struct build *b, size_t column, struct err *err)
{
	char what[EXACT_NAME_SIZE + 16];
	struct tables t = { .b = b, .c = &b->h.columns[column], .what = what,
		.nstretches = b->h.rows / STRETCH + 1 };
	int rc;

	snprintf(what, sizeof(what), "sorting %s", b->d->columns[column].name);
	t.stretches = calloc(t.nstretches, sizeof(*t.stretches));
	t.run_ends = calloc(SORT_RUNS, sizeof(*t.run_ends));
	ASSERT(t.stretches && t.run_ends);
	rc = column_make(&t, err);
	spill_close(&t.runs);
	spill_close(&t.entries);
	spill_close(&t.rows);
	spill_close(&t.filter);
	for (size_t i = 0; i < t.nstretches; i++)
		spill_close(&t.stretches[i]);
	free(t.stretches);
	free(t.run_ends);
	return rc;
}
