/* cmd_edm_build.c -- `postern edm build SOURCE INDEX` and `rekey`; see cmd_edm.c. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "cli/commands.h"
#include "cli/diag_out.h"
#include "cli/edm_cli.h"
#include "cli/page.h"
#include "fs.h"
#include "json.h"

#define DESCRIPTION_MAX (1u << 20)
#define PAGE_MAX (1u << 20)

struct job {
	const struct cli *cli;
	const char *source, *index, *key_option, *columns;
	struct edm_description d;
	struct arena *arena;
	bool new_key;
	/* progress */
	bool terminal;
	int64_t begun, shown;
	char what[64];
};

static void
show(void *ctx, const char *what, const char *unit, uint64_t done, uint64_t total)
{
	struct job *j = ctx;
	int64_t now = clock_mono();
	double rate;

	if (!j->terminal)
		return;
	if (strcmp(what, j->what) != 0) {
		snprintf(j->what, sizeof(j->what), "%s", what);
		j->begun = now;
		j->shown = 0;
	}
	if (done < total && now - j->shown < US_PER_SEC / 5)
		return;
	j->shown = now;
	rate = now > j->begun ? (double)done * 1e6 / (double)(now - j->begun) : 0;
	fprintf(stderr, "\r%s: %llu %s", what, (unsigned long long)done, unit);
	if (total)
		fprintf(stderr, " of %s%llu, %.0f %%", done < total ? "about " : "",
		    (unsigned long long)total, 100.0 * (double)done / (double)total);
	fprintf(stderr, ", %.0f/s", rate);
	if (total && rate > 0)
		fprintf(stderr, ", %.0fs left", (double)(total - done) / rate);
	fputs(" \033[K", stderr);
}

static void
clear_progress(const struct job *j)
{
	if (j->terminal)
		fputs("\r\033[K", stderr);
}

static int
say(const struct err *err)
{
	fprintf(stderr, "postern: %s\n", err->text);
	return -1;
}

/* --- the options --------------------------------------------------------------------------------- */

static int
read_description(struct job *j)
{
	struct diags d;
	struct span text;
	struct err err;
	bool good;

	if (fs_read(j->arena, j->columns, DESCRIPTION_MAX, &text, &err) == -1)
		return say(&err);
	diags_init(&d, j->arena);
	good = edm_description_read(j->columns, text, &d, &j->d);
	diags_show(&d, j->cli, stderr);
	return good ? 0 : -1;
}

/* 1: taken with its value; 0: it is none of these; -1: said. */
static int
option(struct job *j, const char *name, const char *value)
{
	struct err err;
	int r = 0;

	if (strcmp(name, "--key") == 0)
		j->key_option = value;
	else if (strcmp(name, "--columns") == 0)
		j->columns = value;
	else if (strcmp(name, "--column") == 0)
		r = edm_column_add(&j->d, span_str(value), &err);
	else if (strcmp(name, "--delimiter") == 0)
		r = edm_delimiter_set(&j->d, span_str(value), &err);
	else if (strcmp(name, "--encoding") == 0 &&
	    !edm_encoding_from_name(span_str(value), &j->d.encoding))
		r = err_set(&err, EINVAL, "unknown encoding `%s`: utf-8, windows-1252 or latin-1", value);
	else if (strcmp(name, "--encoding") != 0)
		return 0;
	return r == 0 ? 1 : say(&err);
}

static int
options(struct job *j, int argc, char **argv)
{
	const char *names[2];
	int n = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--strict") == 0) {
			j->d.strict = true;
		} else if (strncmp(argv[i], "--", 2) == 0) {
			int r = i + 1 < argc ? option(j, argv[i], argv[i + 1]) : 0;

			if (r == -1)
				return CLI_USAGE;
			if (r == 0)
				return command_usage("edm");
			i++;
		} else if (n < 2) {
			names[n++] = argv[i];
		} else {
			return command_usage("edm");
		}
	}
	if (n < 2)
		return command_usage("edm");
	j->source = names[0];
	j->index = names[1];
	if (j->columns && read_description(j) == -1)
		return CLI_FINDINGS;
	if (j->d.n == 0) {
		fputs("postern: which columns? --column NAME=TYPE[:HEADER], or --columns FILE.yaml; types are:\n",
		    stderr);
		for (size_t i = 0; i < EXACT_TYPE_COUNT; i++)
			fprintf(stderr, "  %-9s %s\n", exact_type_name((enum exact_type)i),
			    exact_type_help((enum exact_type)i));
		return CLI_USAGE;
	}
	return CLI_OK;
}

/* --- what came of it ----------------------------------------------------------------------------------- */

static void
put_unfit(const char *what, const struct edm_unfit *u, bool values)
{
	if (u->n == 0)
		return;
	fprintf(stderr, "warning: %s: %llu %s left out:", what, (unsigned long long)u->n,
	    values ? u->n == 1 ? "value" : "values" : u->n == 1 ? "record" : "records");
	for (size_t i = 0; i < u->n && i < EDM_UNFIT_LINES; i++)
		fprintf(stderr, "%s line %llu (%s)", i ? "," : "", (unsigned long long)u->lines[i], u->why[i]);
	fputs(u->n > EDM_UNFIT_LINES ? ", ...\n" : "\n", stderr);
}

static void
put_report(const struct job *j, const struct edm_report *r, const char *key, bool made)
{
	struct buf o;

	put_unfit(j->source, &r->ragged, false);
	for (size_t i = 0; i < j->d.n; i++)
		put_unfit(j->d.columns[i].name, &r->unfit[i], true);
	buf_init(&o, PAGE_MAX);
	if (j->cli->json) {
		struct json js;
		uint64_t unfit = 0;

		for (size_t i = 0; i < j->d.n; i++)
			unfit += r->unfit[i].n;
		json_begin(&js, &o);
		json_object(&js);
		json_kint(&js, "v", 1);
		edm_json_index(&js, j->index, &r->header);
		json_kint(&js, "records", (int64_t)r->records);
		json_kint(&js, "empty", (int64_t)r->empty);
		json_kint(&js, "ragged", (int64_t)r->ragged.n);
		json_kint(&js, "unfit", (int64_t)unfit);
		json_kbool(&js, "key_made", made);
		json_end_object(&js);
		buf_putc(&o, '\n');
	} else {
		buf_printf(&o, "%s: %u rows, ", j->index, r->header.rows);
		page_size(&o, r->header.size);
		buf_printf(&o, ", key %016llx\n", (unsigned long long)r->header.key_id);
		edm_put_columns(&o, j->cli, &r->header);
		if (made)
			buf_printf(&o, "made the key %s: the gateway needs it too, nobody else does\n", key);
	}
	page_flush(&o);
	buf_release(&o);
}

/* --- building -------------------------------------------------------------------------------------------- */

static int
build(struct job *j, int source, uint64_t size)
{
	const char *key_path, *path;
	uint8_t key[EXACT_KEY];
	struct edm_progress progress = { show, j };
	struct edm_report *report = calloc(1, sizeof(*report));
	struct err err = { 0 };
	bool made = j->new_key;
	int r;

	ASSERT_MEMORY(report);
	path = key_path = j->key_option ? j->key_option : edm_key_beside(j->arena, j->index);
	if (j->new_key) {
		path = arena_printf(j->arena, "%s.new", key_path);
		unlink(path);		/* of a build that was broken off */
		r = edm_key_make(path, key, &err);
	} else if (access(key_path, F_OK) == -1 && errno == ENOENT) {
		made = true;
		r = edm_key_make(key_path, key, &err);
	} else {
		r = edm_key_load(key_path, key, &err);
	}
	if (r == 0)
		r = edm_build(source, size, &j->d, key, j->index, &progress, report, &err);
	explicit_bzero(key, sizeof(key));
	clear_progress(j);
	if (r == 0 && j->new_key && rename(path, key_path) == -1)
		r = err_errno(&err, "%s", key_path);
	if (r == -1) {
		say(&err);
		if (made)
			unlink(path);
	} else {
		put_report(j, report, key_path, made);
	}
	free(report);
	return r == 0 ? CLI_OK : CLI_FINDINGS;
}

int
edm_verb_build(int argc, char **argv, bool new_key, const struct cli *cli)
{
	struct job j = { .cli = cli, .new_key = new_key, .arena = arena_new(0),
		.terminal = isatty(STDERR_FILENO) == 1 };
	int status = options(&j, argc, argv), fd = STDIN_FILENO;
	uint64_t size = 0;
	struct stat st;

	if (status == CLI_OK) {
		if (strcmp(j.source, "-") != 0)
			fd = open(j.source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd == -1) {
			fprintf(stderr, "postern: %s: %s\n", j.source, strerror(errno));
			status = CLI_FINDINGS;
		} else {
			if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
				size = (uint64_t)st.st_size;
			status = build(&j, fd, size);
			if (fd != STDIN_FILENO)
				close(fd);
		}
	}
	arena_free(&j.arena);
	return status;
}
