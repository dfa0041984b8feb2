/* cmd_edm.c -- `postern edm`: indexes for the detector `exact`; docs/EDM.md.
 *
 * Works on files alone: it needs no configuration and no daemon, so an index
 * can be made where the data are. Values come by the standard input: arguments
 * are everybody's to read in ps. No verb ever shows a value.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/edm_cli.h"
#include "cli/page.h"
#include "json.h"
#include "postern/anatomy.h"

#define LINE_MAX_BYTES 4096
#define PAGE_MAX (1u << 20)

int
edm_key_of(const char *index, const char *option, struct arena *a, uint8_t key[EXACT_KEY],
    const char **path, struct err *err)
{
	*path = option ? option : edm_key_beside(a, index);
	return edm_key_load(*path, key, err);
}

void
edm_put_columns(struct buf *o, const struct cli *cli, const struct exact_header *h)
{
	static const char *const titles[] = { "column", "type", "rows with it", "values",
		"most rows of one", "chance of a number", NULL };
	struct grid g;

	grid_init(&g, cli, titles, "llrrrr");
	for (uint32_t i = 0; i < h->ncolumns; i++) {
		const struct exact_column *c = &h->columns[i];

		grid_text(&g, c->name);
		grid_cstr(&g, exact_type_name(c->type));
		grid_number(&g, c->cells);
		grid_number(&g, c->values);
		grid_number(&g, c->most);
		if (c->density)
			buf_printf(grid_cell(&g), "%.2g", c->density / 1e9);
		else
			buf_putc(grid_cell(&g), '-');
		grid_done(&g, PLAIN);
	}
	grid_print(&g, o, "  ");
	grid_release(&g);
}

void
edm_json_index(struct json *j, const char *path, const struct exact_header *h)
{
	char id[17];

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)h->key_id);
	json_kcstr(j, "index", path);
	json_kint(j, "rows", h->rows);
	json_kint(j, "bytes", (int64_t)h->size);
	json_kint(j, "built", (int64_t)h->built);
	json_kcstr(j, "key", id);
	json_key(j, "columns");
	json_array(j);
	for (uint32_t i = 0; i < h->ncolumns; i++) {
		const struct exact_column *c = &h->columns[i];

		json_object(j);
		json_kstr(j, "name", c->name);
		json_kcstr(j, "type", exact_type_name(c->type));
		json_kint(j, "cells", c->cells);
		json_kint(j, "values", c->values);
		json_kint(j, "most", c->most);
		if (c->density)
			json_kint(j, "chance_in_1e9", c->density);
		json_end_object(j);
	}
	json_end_array(j);
}

/* --- info --------------------------------------------------------------------------------------- */

static void
put_info(const char *path, const struct exact_header *h, const char *unproved, const struct cli *cli)
{
	struct buf o;

	buf_init(&o, PAGE_MAX);
	if (cli->json) {
		struct json j;

		json_begin(&j, &o);
		json_object(&j);
		json_kint(&j, "v", 1);
		edm_json_index(&j, path, h);
		json_kbool(&j, "proved", !unproved);
		json_end_object(&j);
		buf_putc(&o, '\n');
	} else {
		buf_puts(&o, path);
		buf_printf(&o, ": %u rows, ", h->rows);
		page_size(&o, h->size);
		buf_puts(&o, ", built ");
		page_stamp(&o, (int64_t)h->built * 1000000);
		buf_printf(&o, ", key %016llx\n", (unsigned long long)h->key_id);
		edm_put_columns(&o, cli, h);
		if (unproved)
			buf_printf(&o, "only its header was looked at: %s\n", unproved);
		else
			buf_puts(&o, "whole: every byte is as it was built\n");
	}
	page_flush(&o);
	buf_release(&o);
}

static int
verb_info(const char *path, const char *option, const struct cli *cli)
{
	struct arena *a = arena_new(0);
	struct err err = { 0 }, no_key = { 0 };
	struct exact_index *ix = NULL;
	uint8_t key[EXACT_KEY];
	const char *key_path;
	struct span map;
	bool have;
	int status = CLI_FINDINGS;

	if (edm_map(path, &map, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		arena_free(&a);
		return CLI_FINDINGS;
	}
	have = edm_key_of(path, option, a, key, &key_path, &no_key) == 0;
	if (!have && option)
		fprintf(stderr, "postern: %s\n", no_key.text);
	else if ((ix = exact_open(have ? map : span_sub(map, 0, EXACT_HEADER), have ? key : NULL, &err)) ==
	    NULL)
		fprintf(stderr, "postern: %s: %s\n", path, err.text);
	else if (!have && exact_info(ix)->size != map.n)
		fprintf(stderr, "postern: %s: it is %s: %zu bytes of %llu\n", path, map.n <
		    exact_info(ix)->size ? "cut short" : "too long", map.n,
		    (unsigned long long)exact_info(ix)->size);
	else {
		put_info(path, exact_info(ix), have ? NULL : no_key.text, cli);
		status = CLI_OK;
	}
	explicit_bzero(key, sizeof(key));
	exact_close(&ix);
	edm_unmap(map);
	arena_free(&a);
	return status;
}

/* --- check ---------------------------------------------------------------------------------------- */

struct asking {
	const struct exact_index *ix;
	const struct cli *cli;
	size_t column;		/* SIZE_MAX: each line names its own */
	uint32_t asked[EXACT_COLUMNS];	/* the value of each column, of one row */
	uint16_t named;
	bool missed;
	unsigned line;
};

static size_t
column_of(const struct exact_header *h, struct span name)
{
	for (size_t i = 0; i < h->ncolumns; i++)
		if (span_eq(h->columns[i].name, name))
			return i;
	return SIZE_MAX;
}

static void
answer(struct asking *q, size_t column, const char *said, uint32_t rows)
{
	const struct exact_column *c = &exact_info(q->ix)->columns[column];

	if (q->cli->json) {
		struct json j;
		struct buf o;

		buf_init(&o, PAGE_MAX);
		json_begin(&j, &o);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kint(&j, "line", q->line);
		json_kstr(&j, "column", c->name);
		json_kbool(&j, "found", rows > 0);
		json_kint(&j, "rows", rows);
		json_kcstr(&j, "says", said);
		json_end_object(&j);
		buf_putc(&o, '\n');
		page_flush(&o);
		buf_release(&o);
	} else if (rows) {
		printf("line %u, " SPAN_FMT ": found, in %u row%s\n", q->line, SPAN_ARG(c->name), rows,
		    rows == 1 ? "" : "s");
	} else {
		printf("line %u, " SPAN_FMT ": %s\n", q->line, SPAN_ARG(c->name), said);
	}
}

static int
ask_value(struct asking *q, struct span line)
{
	const struct exact_header *h = exact_info(q->ix);
	size_t column = q->column, is = span_find(line, '=');
	struct arena *a = arena_new(0);
	struct exact_value v;
	const char *why;
	uint32_t value = EXACT_NONE;
	bool maybe;

	if (column == SIZE_MAX) {
		column = is < line.n ? column_of(h, span_trim(span_sub(line, 0, is))) : SIZE_MAX;
		if (column == SIZE_MAX) {
			fprintf(stderr, "postern: line %u: expected COLUMN=VALUE, with a column of the index\n",
			    q->line);
			arena_free(&a);
			return CLI_USAGE;
		}
		line = span_from(line, is + 1);
	}
	if (!exact_normalise(h->columns[column].type, text_fold_word(a, span_trim(line)), &v, &why))
		answer(q, column, why, 0);
	else if ((value = exact_lookup(q->ix, column, span_make(v.p, v.n), &maybe)) == EXACT_NONE)
		answer(q, column, "not found", 0);
	else
		answer(q, column, "found", exact_rows(q->ix, column, value).n);
	q->missed |= value == EXACT_NONE;
	q->asked[column] = value;
	q->named |= (uint16_t)(1u << column);
	explicit_bzero(&v, sizeof(v));
	arena_free(&a);
	return CLI_OK;
}

/* How many rows have all that was named: by way of the value that stands in fewest. */
static uint32_t
rows_together(const struct asking *q)
{
	struct exact_rows best = { 0 };
	bool begun = false;
	uint32_t n = 0;

	for (size_t c = 0; c < EXACT_COLUMNS; c++) {
		struct exact_rows r;

		if (!(q->named >> c & 1))
			continue;
		if (q->asked[c] == EXACT_NONE)
			return 0;
		r = exact_rows(q->ix, c, q->asked[c]);
		if (!begun || r.n < best.n)
			best = r;
		begun = true;
	}
	for (uint32_t i = 0; i < best.n; i++) {
		uint32_t row = exact_row_at(&best, i);
		bool all = true;

		for (size_t c = 0; c < EXACT_COLUMNS && all; c++)
			all = !(q->named >> c & 1) || exact_value_of(q->ix, c, row) == q->asked[c];
		n += all;
	}
	return n;
}

static int
ask_all(struct asking *q)
{
	char line[LINE_MAX_BYTES];
	int status = CLI_OK;
	uint32_t n;

	if (isatty(STDIN_FILENO) == 1)
		fprintf(stderr, "%s, one a line; Ctrl-D ends\n", q->column == SIZE_MAX ?
		    "COLUMN=VALUE of one row" : "values");
	while (status == CLI_OK && fgets(line, sizeof(line), stdin)) {
		q->line++;
		if (strlen(line) + 1 == sizeof(line)) {
			fprintf(stderr, "postern: line %u: longer than any value\n", q->line);
			status = CLI_USAGE;
		} else if (span_trim(span_str(line)).n) {
			status = ask_value(q, span_trim(span_str(line)));
		}
	}
	explicit_bzero(line, sizeof(line));
	if (status != CLI_OK)
		return status;
	if (q->named == 0) {
		fputs("postern: no value was given\n", stderr);
		return CLI_USAGE;
	}
	if (q->column == SIZE_MAX && (q->named & (q->named - 1))) {
		n = rows_together(q);
		q->missed |= n == 0;
		if (q->cli->json)
			printf("{\"v\":1,\"together\":%u}\n", n);
		else if (n)
			printf("together: %u row%s\n", n, n == 1 ? "" : "s");
		else
			puts("together: no row has all of them");
	}
	return q->missed ? CLI_FINDINGS : CLI_OK;
}

static int
verb_check(const char *path, const char *column, const char *option, const struct cli *cli)
{
	struct arena *a = arena_new(0);
	struct asking q = { .cli = cli, .column = SIZE_MAX };
	struct exact_index *ix = NULL;
	struct span map = { 0 };
	uint8_t key[EXACT_KEY];
	const char *key_path;
	struct err err = { 0 };
	int status = CLI_FINDINGS;

	if (edm_map(path, &map, &err) == -1 ||
	    edm_key_of(path, option, a, key, &key_path, &err) == -1)
		fprintf(stderr, "postern: %s\n", err.text);
	else if ((ix = exact_open(map, key, &err)) == NULL)
		fprintf(stderr, "postern: %s: %s\n", path, err.text);
	else if (column && (q.column = column_of(exact_info(ix), span_str(column))) == SIZE_MAX) {
		fprintf(stderr, "postern: %s has no column `%s`\n", path, column);
		status = CLI_USAGE;
	} else {
		q.ix = ix;
		status = ask_all(&q);
	}
	explicit_bzero(key, sizeof(key));
	exact_close(&ix);
	edm_unmap(map);
	arena_free(&a);
	return status;
}

/* --- the verbs --------------------------------------------------------------------------------------- */

static int
verb_key(const char *path, const struct cli *cli)
{
	uint8_t key[EXACT_KEY];
	struct err err;
	int r = edm_key_make(path, key, &err);

	explicit_bzero(key, sizeof(key));
	if (r == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	if (cli->json) {
		struct json j;
		struct buf o;

		buf_init(&o, PAGE_MAX);
		json_begin(&j, &o);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "key_made", path);
		json_end_object(&j);
		buf_putc(&o, '\n');
		page_flush(&o);
		buf_release(&o);
	} else {
		printf("made the key %s\n", path);
	}
	return CLI_OK;
}

/* Takes --key FILE out; false: it wants one. */
static bool
take_key(int *argc, char **argv, const char **key)
{
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--key") != 0)
			argv[n++] = argv[i];
		else if (++i == *argc)
			return false;
		else
			*key = argv[i];
	}
	*argc = n;
	return true;
}

int
cmd_edm(int argc, char **argv, const struct cli *cli)
{
	const char *key = NULL, *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "build") == 0 || strcmp(verb, "rekey") == 0)
		return edm_verb_build(argc - 1, argv + 1, strcmp(verb, "rekey") == 0, cli);
	if (!take_key(&argc, argv, &key))
		return command_usage("edm");
	for (int i = 2; i < argc; i++)
		if (argv[i][0] == '-') {
			if (strncmp(argv[i], "--value", 7) == 0)
				fputs("postern: values come by the standard input: arguments are everybody's to "
				    "read\n", stderr);
			return command_usage("edm");
		}
	if (strcmp(verb, "info") == 0 && argc == 3)
		return verb_info(argv[2], key, cli);
	if (strcmp(verb, "check") == 0 && (argc == 3 || argc == 4))
		return verb_check(argv[2], argc == 4 ? argv[3] : NULL, key, cli);
	if (strcmp(verb, "key") == 0 && argc == 3 && !key)
		return verb_key(argv[2], cli);
	return command_usage("edm");
}
