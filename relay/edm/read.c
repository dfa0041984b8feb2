/* read.c -- the first pass: an export becomes hashed cells; see edm.h.
 *
 * Nothing of a value goes further than this file. Hashes of values that come
 * again and again (names, dates) are remembered, in a small table that is
 * wiped at the end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edm/build.h"
#include "postern/anatomy.h"
#include "utf8.h"

#define CELL_MAX 4096		/* bytes of a cell */
#define SHOW_EACH 4096		/* records */
#define ENOUGH 20		/* values of a column before its unfit ones are judged as a share */
#define MEMO 32768
#define MEMO_VALUE 44

struct memo {
	uint8_t n;
	char value[MEMO_VALUE];
	uint8_t hash[EXACT_HASH];
	uint64_t filter;
};
struct reading {
	struct build *b;
	struct csv csv;
	int source;
	size_t field[EXACT_COLUMNS];	/* of the record */
	size_t nheader;
	struct arena *arena;
	struct memo *memo[EXACT_COLUMNS];
	uint64_t seen[EXACT_COLUMNS];	/* cells that are not empty */
	bool digitless[EXACT_COLUMNS];
};

static ssize_t
read_source(void *ctx, char *p, size_t n)
{
	const struct reading *r = ctx;

	return read(r->source, p, n);
}

/* Windows-1252, of which Latin-1 is a part for all that people write. */
static struct span
from_1252(struct arena *a, struct span s)
{
	static const uint16_t high[32] = { 0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021,
		0x2c6, 0x2030, 0x160, 0x2039, 0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c,
		0x201d, 0x2022, 0x2013, 0x2014, 0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178 };
	char *out = arena_alloc(a, s.n * 3 + 1), *o = out;

	for (size_t i = 0; i < s.n; i++) {
		unsigned c = (uint8_t)s.p[i];

		if (c >= 0x80 && c < 0xa0)
			c = high[c - 0x80];
		if (c < 0x80) {
			*o++ = (char)c;
		} else if (c < 0x800) {
			*o++ = (char)(0xc0 | c >> 6);
			*o++ = (char)(0x80 | (c & 0x3f));
		} else {
			*o++ = (char)(0xe0 | c >> 12);
			*o++ = (char)(0x80 | (c >> 6 & 0x3f));
			*o++ = (char)(0x80 | (c & 0x3f));
		}
	}
	return span_make(out, (size_t)(o - out));
}

static bool
is_utf8(struct span s)
{
	uint32_t cp;

	for (size_t i = 0, n; i < s.n; i += n)
		if ((n = (uint8_t)s.p[i] < 0x80 ? 1 : utf8_next(s.p + i, s.n - i, &cp)) == 0)
			return false;
	return true;
}

static int
to_utf8(struct reading *r, struct span *s, struct err *err)
{
	if (r->b->d->encoding == EDM_WINDOWS_1252)
		*s = from_1252(r->arena, *s);
	else if (!is_utf8(*s))
		return err_set(err, EILSEQ, "line %llu: this is not UTF-8; is it windows-1252? "
		    "(--encoding)", (unsigned long long)r->csv.line);
	return 0;
}

static void
unfit_note(struct edm_unfit *u, uint64_t line, const char *why)
{
	if (u->n < EDM_UNFIT_LINES) {
		u->lines[u->n] = line;
		u->why[u->n] = why;
	}
	u->n++;
}

/* --- the header line -------------------------------------------------------------------------- */

static int
no_header(struct reading *r, struct span want, const struct span *names, struct err *err)
{
	const char **list = arena_array(r->arena, r->nheader + 1, sizeof(*list)), *near;
	char all[600];
	size_t n = 0;

	for (size_t i = 0; i < r->nheader; i++) {
		int k = snprintf(all + n, sizeof(all) - n, "%s`" SPAN_FMT "`", i ? ", " : "",
		    SPAN_ARG(names[i]));

		list[i] = arena_str(r->arena, names[i]);
		n = k < 0 || n + (size_t)k >= sizeof(all) ? n : n + (size_t)k;
		all[n] = '\0';
	}
	near = conf_nearest(want, list);
	return err_set(err, EINVAL, "the header line has no column `" SPAN_FMT "`%s%s%s; it has %s",
	    SPAN_ARG(want), near ? ", did you mean `" : "", near ? near : "", near ? "`?" : "", all);
}

static int
header_read(struct reading *r, struct err *err)
{
	const struct edm_description *d = r->b->d;
	struct span *names;
	int got = csv_next(&r->csv, err);

	if (got <= 0)
		return got == -1 ? -1 : err_set(err, EINVAL, "the export is empty");
	r->nheader = r->csv.nfields;
	names = arena_array(r->arena, r->nheader, sizeof(*names));
	for (size_t i = 0; i < r->nheader; i++) {
		names[i] = span_trim(r->csv.fields[i]);
		if (to_utf8(r, &names[i], err) == -1)
			return -1;
	}
	for (size_t c = 0; c < d->n; c++) {
		struct span want = d->columns[c].header.n ? d->columns[c].header :
		    span_str(d->columns[c].name);
		size_t found = SIZE_MAX;

		for (size_t i = 0; i < r->nheader; i++) {
			if (!span_eq_nocase(names[i], want))
				continue;
			if (found != SIZE_MAX)
				return err_set(err, EINVAL, "the header line has `" SPAN_FMT "` twice",
				    SPAN_ARG(want));
			found = i;
		}
		if (found == SIZE_MAX)
			return no_header(r, want, names, err);
		r->field[c] = found;
	}
	return 0;
}

/* --- cells ------------------------------------------------------------------------------------------ */

static void
cell_hash(struct reading *r, size_t c, const struct exact_value *v, struct cell *out)
{
	const struct exact_column_key *k = (const struct exact_column_key *)(const void *)
	    r->b->keys[c].room;
	struct span value = span_make(v->p, v->n);
	uint64_t filter = exact_filter_hash(k, value);
	struct memo *m = &r->memo[c][filter % MEMO];

	if (v->n <= MEMO_VALUE && m->n == v->n && memcmp(m->value, v->p, v->n) == 0) {
		memcpy(out->hash, m->hash, EXACT_HASH);
	} else {
		exact_hash(k, value, out->hash);
		if (v->n <= MEMO_VALUE) {
			m->n = (uint8_t)v->n;
			memcpy(m->value, v->p, v->n);
			memcpy(m->hash, out->hash, EXACT_HASH);
		}
	}
	memcpy(out->filter, &filter, sizeof(out->filter));
}

/* 1: there was a value; 0: none, or an unfit one; -1. */
static int
cell_read(struct reading *r, size_t c, struct span s, uint32_t row, struct err *err)
{
	struct build *b = r->b;
	const struct edm_column *col = &b->d->columns[c];
	struct exact_value v;
	struct cell cell;
	const char *why = "longer than any value";
	unsigned length;

	s = span_trim(s);
	if (s.n == 0)
		return 0;
	if (to_utf8(r, &s, err) == -1)
		return -1;
	r->seen[c]++;
	if (s.n > CELL_MAX || !exact_normalise(col->type, text_fold_word(r->arena, s), &v, &why)) {
		if (b->d->strict)
			return err_set(err, EINVAL, "line %llu, column %s: %s",
			    (unsigned long long)r->csv.line, col->name, why);
		unfit_note(&b->report->unfit[c], r->csv.line, why);
		return 0;
	}
	cell_hash(r, c, &v, &cell);
	for (int i = 0; i < 4; i++)
		cell.row[i] = (uint8_t)(row >> (24 - 8 * i));
	length = exact_length(col->type, span_make(v.p, v.n));
	b->lengths[c][length]++;
	b->h.columns[c].lengths |= UINT64_C(1) << length;
	if (!r->digitless[c])
		r->digitless[c] = strcspn(v.p, "0123456789") == v.n;
	explicit_bzero(&v, sizeof(v));
	b->h.columns[c].cells++;
	return spill_put(&b->cells[c], &cell, sizeof(cell), err) == -1 ? -1 : 1;
}

static int
record_read(struct reading *r, struct err *err)
{
	struct build *b = r->b;
	bool any = false;

	b->report->records++;
	if (r->csv.nfields != r->nheader) {
		if (b->d->strict)
			return err_set(err, EINVAL, "line %llu: %zu fields, the header has %zu",
			    (unsigned long long)r->csv.line, r->csv.nfields, r->nheader);
		unfit_note(&b->report->ragged, r->csv.line, "another number of fields than the header");
		return 0;
	}
	if (b->h.rows + 1 == EXACT_ROWS_MAX)
		return err_set(err, EFBIG, "more than %u rows", EXACT_ROWS_MAX - 1);
	arena_reset(r->arena);
	for (size_t c = 0; c < b->d->n; c++) {
		int got = cell_read(r, c, r->csv.fields[r->field[c]], b->h.rows, err);

		if (got == -1)
			return -1;
		any |= got == 1;
	}
	if (any)
		b->h.rows++;
	else
		b->report->empty++;
	return 0;
}

/* A column most of whose values do not fit has been called by the wrong name. */
static int
judge_fit(const struct reading *r, struct err *err)
{
	const struct build *b = r->b;
	const struct edm_report *p = b->report;

	if (p->records >= ENOUGH && p->ragged.n * 100 > p->records * EDM_UNFIT_PERCENT)
		return err_set(err, EINVAL, "%llu of %llu records have another number of fields than the header "
		    "(the first on line %llu): is the delimiter right?", (unsigned long long)p->ragged.n,
		    (unsigned long long)p->records, (unsigned long long)p->ragged.lines[0]);
	for (size_t c = 0; c < b->d->n; c++) {
		const struct edm_column *col = &b->d->columns[c];
		const struct edm_unfit *u = &p->unfit[c];

		if ((r->seen[c] >= ENOUGH || u->n == r->seen[c]) &&
		    u->n * 100 > r->seen[c] * EDM_UNFIT_PERCENT)
			return err_set(err, EINVAL, "column %s: %llu of %llu values are no `%s` (line %llu: "
			    "%s): is it of another type?", col->name, (unsigned long long)u->n,
			    (unsigned long long)r->seen[c], exact_type_name(col->type),
			    (unsigned long long)u->lines[0], u->why[0]);
		if (b->h.columns[c].cells == 0)
			return err_set(err, EINVAL, "column %s is empty", col->name);
	}
	return 0;
}

static int
read_all(struct reading *r, uint64_t size, struct err *err)
{
	struct build *b = r->b;
	int got;

	if (header_read(r, err) == -1)
		return -1;
	while ((got = csv_next(&r->csv, err)) == 1) {
		if (record_read(r, err) == -1)
			return -1;
		if (b->report->records % SHOW_EACH == 0) {
			/* rows are what people count; bytes say how many there will be */
			double share = size ? (double)r->csv.bytes / (double)size : 0;

			build_show(b, "reading", "rows", b->report->records,
			    share > 0 ? (uint64_t)((double)b->report->records / share) : 0);
		}
	}
	if (got == -1)
		return -1;
	if (b->report->records == 0)
		return err_set(err, EINVAL, "the export has a header line and no row");
	build_show(b, "reading", "rows", b->report->records, b->report->records);
	return judge_fit(r, err);
}

int
build_read(struct build *b, int source, uint64_t size, struct err *err)
{
	struct reading r = { .b = b, .source = source, .arena = arena_new(64u << 10) };
	int rc = 0;

	csv_init(&r.csv, read_source, &r, b->d->delimiter);
	for (size_t c = 0; c < b->d->n && rc == 0; c++) {
		r.memo[c] = calloc(MEMO, sizeof(*r.memo[c]));
		ASSERT_MEMORY(r.memo[c]);
		rc = spill_open(&b->cells[c], b->dir, err);
	}
	if (rc == 0)
		rc = read_all(&r, size, err);
	for (size_t c = 0; c < b->d->n; c++) {
		b->h.columns[c].digit = !r.digitless[c];
		if (r.memo[c])
			explicit_bzero(r.memo[c], MEMO * sizeof(*r.memo[c]));
		free(r.memo[c]);
	}
	csv_release(&r.csv);
	arena_free(&r.arena);
	return rc;
}
