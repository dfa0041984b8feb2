/* test_edm.c -- making indexes of exact data: exports, descriptions, sorting on disk, keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "buf.h"
#include "edm/spill.h"
#include "edm_fixture.h"

/* --- exports ----------------------------------------------------------------------------------- */

struct source {
	const char *p;
	size_t n, at, piece;	/* bytes at once */
};

static ssize_t
give(void *ctx, char *p, size_t n)
{
	struct source *s = ctx;
	size_t left = s->n - s->at;

	if (n > s->piece)
		n = s->piece;
	if (n > left)
		n = left;
	memcpy(p, s->p + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

/* "a|b/c|d": fields and records, or the error. */
static void
csv_is(const char *in, size_t n, const char *want)
{
	for (size_t piece = 1; piece < 8; piece += 3) {
		struct source s = { in, n, 0, piece };
		struct err err = { 0 };
		struct csv c;
		struct buf b;
		size_t records = 0;
		int got;

		buf_init(&b, 1 << 20);
		csv_init(&c, give, &s, ';');
		while ((got = csv_next(&c, &err)) == 1) {
			if (records++)
				buf_putc(&b, '/');
			for (size_t i = 0; i < c.nfields; i++) {
				if (i)
					buf_putc(&b, '|');
				buf_span(&b, c.fields[i]);
			}
		}
		buf_putc(&b, '\0');
		if (got == -1 ? !strstr(err.text, want) : strcmp(buf_data(&b).p, want) != 0)
			fail_msg("`%s`: `%s` instead of `%s`", in, got == -1 ? err.text : buf_data(&b).p, want);
		csv_release(&c);
		buf_release(&b);
	}
}
#define CSV(in, want) csv_is(in, sizeof(in) - 1, want)

static void
test_csv(void **state)
{
	CSV("", "");
	CSV("a;b\nc;d\n", "a|b/c|d");
	CSV("a;b\r\nc;d", "a|b/c|d");
	CSV("a;b\rc;d\r", "a|b/c|d");
	CSV("\n\na;b\n\n\nc\n", "a|b/c");
	CSV("\xef\xbb\xbf" "a;b", "a|b");
	CSV("\"a;b\";\"c\"\"d\"\n", "a;b|c\"d");
	CSV("\"a\nb\";c\n", "a\nb|c");
	CSV("a;\n;b\n", "a|/|b");
	CSV("\"\"\nx\n", "/x");
	CSV("a\"b;c\n", "a\"b|c");
	CSV("a;\"b\n", "line 1: a quote that never ends");
	CSV("x\n\"a\"b;c\n", "line 2: text behind a closing quote");
	CSV("x\n\"a\nb\nc\"d", "line 4: text behind a closing quote");
	CSV("a\0b", "line 1: a NUL byte");
	CSV("\xff\xfe" "a", "UTF-16");
}

static void
test_csv_delimiter(void **state)
{
	static const char *const in[] = { "a,b;c,d\n", "a;b,c;d\n", "a\tb\tc\n", "a|b|c\n", "\"a;b;c\",d\n", "a\n" };
	static const char want[] = ",;\t|,,";

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		struct source s = { in[i], strlen(in[i]), 0, 1 + i % 2 * 100 };
		struct csv c;

		csv_init(&c, give, &s, 0);
		assert_int_equal(csv_next(&c, NULL), 1);
		assert_int_equal(c.delimiter, want[i]);
		csv_release(&c);
	}
}

static void
test_csv_limits(void **state)
{
	size_t n = CSV_RECORD_MAX + 10;
	char *p = malloc(n);
	struct source s = { p, n, 0, 65536 };
	struct err err;
	struct csv c;

	memset(p, 'a', n);
	csv_init(&c, give, &s, ',');
	assert_int_equal(csv_next(&c, &err), -1);
	assert_non_null(strstr(err.text, "line 1: a record of more than"));
	csv_release(&c);
	memset(p, ',', n);
	s.at = 0;
	csv_init(&c, give, &s, ',');
	assert_int_equal(csv_next(&c, &err), -1);
	assert_non_null(strstr(err.text, "more than 1000 fields"));
	csv_release(&c);
	free(p);
}

/* --- descriptions --------------------------------------------------------------------------------- */

static const char *
described(struct arena *a, const char *yaml, struct edm_description *d)
{
	struct diags diags;
	struct buf b;
	char *said;

	diags_init(&diags, a);
	*d = (struct edm_description){ 0 };
	buf_init(&b, 1 << 20);
	if (edm_description_read("x.yaml", span_str(yaml), &diags, d))
		return NULL;
	diags_print(&diags, &b, NULL, false);
	said = arena_str(a, buf_data(&b));
	buf_release(&b);
	return said;
}

static void
test_description(void **state)
{
	struct arena *a = arena_new(0);
	struct edm_description d;

	assert_null(described(a, "version: 1\ndelimiter: tab\nencoding: latin-1\ncolumns:\n  nir: nir\n"
	    "  last_name: {type: name, header: \"Nom de naissance\"}\n", &d));
	assert_int_equal(d.n, 2);
	assert_int_equal(d.delimiter, '\t');
	assert_int_equal(d.encoding, EDM_WINDOWS_1252);
	assert_string_equal(d.columns[1].name, "last_name");
	assert_int_equal(d.columns[1].type, EXACT_NAME);
	assert_true(span_is(d.columns[1].header, "Nom de naissance"));
	assert_non_null(strstr(described(a, "colums: {a: name}\n", &d), "did you mean `columns`?"));
	assert_non_null(strstr(described(a, "columns: {a: nam}\n", &d), "unknown type `nam`; did you mean `name`?"));
	assert_non_null(strstr(described(a, "columns: {a b: name}\n", &d), "a column's name has"));
	assert_non_null(strstr(described(a, "columns: {a: {typ: name}}\n", &d), "did you mean `type`?"));
	assert_non_null(strstr(described(a, "encoding: utf-16\n", &d), "unknown encoding"));
	assert_non_null(strstr(described(a, "delimiter: x\n", &d), "is no delimiter"));
	arena_free(&a);
}

/* --- builds ---------------------------------------------------------------------------------------- */

static void
fails(const char *csv, const char *columns, bool strict, const char *why)
{
	struct edm_fixture f = { 0 };

	if (edm_fixture_build(&f, csv, columns, strict) == 0 || !strstr(f.err.text, why))
		fail_msg("`%s` instead of `%s`", f.err.text, why);
	assert_int_equal(access(f.path, F_OK), -1);	/* nothing is left */
	assert_int_equal(rmdir(f.dir), 0);
}

static void
test_refused(void **state)
{
	char many[4096] = "d;n\n";
	size_t n = strlen(many);

	fails("", "a=name", false, "the export is empty");
	fails("a;b\n", "a=name", false, "no row");
	fails("nir;nom\n1;2\n", "nri=digits", false, "no column `nri`, did you mean `nir`?; it has `nir`, `nom`");
	fails("a;A\n1;2\n", "a=digits", false, "`a` twice");
	fails("a;b\n;x\n", "a=digits b=name", false, "column a is empty");
	fails("a\nx\n", "a=digits", true, "line 2, column a: not only digits");
	fails("a;b\n1;2;3\n", "a=digits", true, "line 2: 3 fields, the header has 2");
	fails("a\n\xe9\n", "a=name", false, "line 2: this is not UTF-8; is it windows-1252?");
	fails("a\n\"x\n", "a=name", false, "line 2: a quote that never ends");
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "%02d/30/2000;x\n", i % 12 + 1);
	fails(many, "d=date n=name", false, "40 of 40 values are no `date`");
}

static void
test_left_out(void **state)
{
	char csv[8192] = "nir;d\n";
	struct edm_fixture f = { 0 };
	size_t n = strlen(csv);

	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(csv + n, sizeof(csv) - n, i == 40 ? "%d;31/02/1980\n" : i == 50 ? "%d\n" :
		    i == 60 ? ";\n" : "%d;28/02/1980\n", 1000 + i);
	assert_int_equal(edm_fixture_build(&f, csv, "nir=digits d=date", false), 0);
	assert_int_equal(f.report.records, 100);
	assert_int_equal(f.report.header.rows, 98);
	assert_int_equal(f.report.unfit[1].n, 1);
	assert_int_equal(f.report.unfit[1].lines[0], 42);
	assert_string_equal(f.report.unfit[1].why[0], "no date");
	assert_int_equal(f.report.ragged.n, 1);
	assert_int_equal(f.report.ragged.lines[0], 52);
	assert_int_equal(f.report.empty, 1);
	assert_int_equal(f.report.header.columns[0].values, 98);
	assert_int_equal(f.report.header.columns[1].values, 1);
	/* 98 of 10,000 numbers of four digits */
	assert_in_range(f.report.header.columns[0].density, 9799999, 9800001);
	edm_fixture_end(&f);
}

static void
test_replaced(void **state)
{
	struct edm_fixture f = { 0 };
	struct exact_index *ix;
	struct span old;
	struct stat st;

	assert_int_equal(edm_fixture_build(&f, "a\nx\n", "a=name", false), 0);
	assert_int_equal(edm_map(f.path, &old, &f.err), 0);
	assert_int_equal(chmod(f.path, 0604), 0);
	assert_int_equal(edm_fixture_build(&f, "a\nx\ny\n", "a=name", false), 0);
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0604);
	/* who had it open has it still */
	assert_non_null(ix = exact_open(old, f.key, &f.err));
	assert_int_equal(exact_info(ix)->rows, 1);
	exact_close(&ix);
	edm_unmap(old);
	/* a build that fails leaves what was there */
	assert_int_equal(edm_fixture_build(&f, "a\n", "a=name", false), -1);
	assert_int_equal(edm_map(f.path, &f.map, &f.err), 0);
	assert_non_null(ix = exact_open(f.map, f.key, &f.err));
	assert_int_equal(exact_info(ix)->rows, 2);
	exact_close(&ix);
	edm_fixture_end(&f);
}

static void
test_one_at_a_time(void **state)
{
	struct edm_fixture f = { 0 };
	char temp[128];
	int fd;

	assert_int_equal(edm_fixture_build(&f, "a\nx\n", "a=name", false), 0);
	snprintf(temp, sizeof(temp), "%s/.x.idx.new", f.dir);
	fd = open(temp, O_RDWR | O_CREAT, 0600);	/* another one, under way … */
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(write(fd, "something", 9), 9);
	assert_int_equal(edm_fixture_build(&f, "a\nx\ny\n", "a=name", false), -1);
	assert_non_null(strstr(f.err.text, "another build of x.idx is under way"));
	close(fd);					/* … that was killed */
	assert_int_equal(edm_fixture_build(&f, "a\nx\ny\n", "a=name", false), 0);
	assert_int_equal(access(temp, F_OK), -1);
	assert_int_equal(edm_map(f.path, &f.map, &f.err), 0);
	edm_fixture_end(&f);
}

/* Two builds of the same export have rows in another order: neither tells the export's. */
static void
test_order_is_random(void **state)
{
	char csv[32768] = "n\n";
	size_t n = 2, same = 0;
	struct edm_fixture f = { 0 };
	struct exact_index *ix;

	for (int i = 0; i < 1000; i++)
		n += (size_t)snprintf(csv + n, sizeof(csv) - n, "%06d\n", i);
	assert_int_equal(edm_fixture_build(&f, csv, "n=digits", false), 0);
	assert_int_equal(edm_map(f.path, &f.map, &f.err), 0);
	assert_non_null(ix = exact_open(f.map, f.key, &f.err));
	for (uint32_t i = 0; i < 1000; i++) {
		struct exact_rows r;
		char text[8];
		bool maybe;

		snprintf(text, sizeof(text), "%06u", i);
		r = exact_rows(ix, 0, exact_lookup(ix, 0, span_str(text), &maybe));
		assert_int_equal(r.n, 1);
		same += exact_row_at(&r, 0) == i;
	}
	assert_true(same < 20);		/* about one by chance */
	exact_close(&ix);
	edm_fixture_end(&f);
}

static void
test_encodings(void **state)
{
	struct edm_fixture f = { 0 };
	struct edm_description d = { .encoding = EDM_WINDOWS_1252 };
	struct exact_index *ix;
	int fd = fs_memfd("csv", &f.err);
	bool maybe;

	snprintf(f.dir, sizeof(f.dir), "/tmp/edm-unit-XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.path, sizeof(f.path), "%s/x.idx", f.dir);
	assert_int_equal(fs_write_all(fd, "Pr\xe9nom\nZo\xeb\n\x8cuvre\n", 17, &f.err), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(edm_column_add(&d, SPAN_LIT("first=name:Pr\xc3\xa9nom"), &f.err), 0);
	assert_int_equal(edm_build(fd, 17, &d, f.key, f.path, NULL, &f.report, &f.err), 0);
	close(fd);
	assert_int_equal(edm_map(f.path, &f.map, &f.err), 0);
	assert_non_null(ix = exact_open(f.map, f.key, &f.err));
	assert_int_not_equal(exact_lookup(ix, 0, SPAN_LIT("zoe"), &maybe), EXACT_NONE);
	assert_int_not_equal(exact_lookup(ix, 0, SPAN_LIT("oeuvre"), &maybe), EXACT_NONE);
	exact_close(&ix);
	edm_fixture_end(&f);
}

/* --- sorting ----------------------------------------------------------------------------------------- */

static int
by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

/* Many runs, many equal hashes: what comes out of the merge is what qsort says. */
static void
test_sorting(void **state)
{
	enum { N = 20000, RUN = 1777 };
	struct cell *v = calloc(N, sizeof(*v)), *want = calloc(N, sizeof(*want)), c;
	uint64_t ends[N / RUN + 1];
	struct spill s = { 0 };
	struct merge m;
	struct err err;
	uint32_t x = 1;
	size_t n = 0;

	for (size_t i = 0; i < N; i++) {
		for (size_t k = 0; k < EXACT_HASH; k++) {
			x = x * 1103515245 + 12345;
			v[i].hash[k] = i % 3 ? (uint8_t)(x >> 16) : k == 11 ? (uint8_t)(x >> 20 & 3) : 0;
		}
		v[i].row[2] = (uint8_t)(x >> 24);
		v[i].row[3] = (uint8_t)(x >> 16);
	}
	memcpy(want, v, N * sizeof(*v));
	qsort(want, N, sizeof(*want), by_bytes);
	assert_int_equal(spill_open(&s, "/tmp", &err), 0);
	for (size_t i = 0; i < N; i += RUN) {
		size_t k = N - i < RUN ? N - i : RUN;

		cells_sort(v + i, k);
		for (size_t j = 0; j < k; j++)
			assert_int_equal(spill_put(&s, &v[i + j], sizeof(c), &err), 0);
		ends[n++] = s.size;
	}
	assert_int_equal(spill_rewind(&s, 0, s.size, &err), 0);
	assert_int_equal(merge_begin(&m, &s, ends, n, &err), 0);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(merge_next(&m, &c, &err), 1);
		assert_memory_equal(&c, &want[i], 16);
	}
	assert_int_equal(merge_next(&m, &c, &err), 0);
	merge_end(&m);
	spill_close(&s);
	free(v);
	free(want);
}

static void
test_spill(void **state)
{
	struct spill s = { 0 };
	uint32_t v, seen = 0, mark = 77;
	struct err err;

	assert_int_equal(spill_open(&s, "/tmp", &err), 0);
	for (uint32_t i = 0; i < 200000; i++)
		assert_int_equal(spill_put(&s, &i, 4, &err), 0);
	assert_int_equal(spill_patch(&s, 400, &mark, &err), 0);		/* on the disk */
	assert_int_equal(spill_patch(&s, 199999 * 4, &mark, &err), 0);	/* not yet */
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(spill_rewind(&s, 0, s.size, &err), 0);
		for (seen = 0; spill_get(&s, &v, 4, &err) == 1; seen++)
			assert_int_equal(v, seen == 100 || seen == 199999 ? mark : seen);
		assert_int_equal(seen, 200000);
	}
	spill_close(&s);
	spill_close(&s);
}

/* --- keys --------------------------------------------------------------------------------------------- */

static void
test_keys(void **state)
{
	char dir[] = "/tmp/edm-unit-XXXXXX", path[64];
	uint8_t key[EXACT_KEY], again[EXACT_KEY];
	struct arena *a = arena_new(0);
	struct stat st;
	struct err err;
	int fd;

	assert_string_equal(edm_key_beside(a, "edm/patients.idx"), "edm/patients.key");
	assert_string_equal(edm_key_beside(a, "edm/patients"), "edm/patients.key");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/x.key", dir);
	assert_int_equal(edm_key_make(path, key, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(edm_key_load(path, again, &err), 0);
	assert_memory_equal(key, again, EXACT_KEY);
	assert_int_equal(edm_key_make(path, key, &err), -1);	/* never over another */
	assert_int_equal(err.code, EEXIST);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(edm_key_load(path, again, &err), -1);
	assert_non_null(strstr(err.text, "may be read by others than its owner (mode 0640)"));
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "postern-edm-key-1:0123\n", 23), 23);
	close(fd);
	assert_int_equal(edm_key_load(path, again, &err), -1);
	assert_non_null(strstr(err.text, "is no key of `postern edm`"));
	unlink(path);
	rmdir(dir);
	arena_free(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_csv_delimiter),
		cmocka_unit_test(test_csv_limits),
		cmocka_unit_test(test_description),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_left_out),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_order_is_random),
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_sorting),
		cmocka_unit_test(test_spill),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
