/* cmd_fingerprint.c -- `postern fingerprint`: the index of documents that a policy recognises.
 *
 * `add` reads documents as the scanner would read them in a message, and keeps
 * their fingerprints (postern/fingerprint.h); the running policy takes the new
 * index by itself within seconds, as every file it refers to. All documents
 * of one call come into force together. One that cannot be read, or has too
 * little text, is told and left out; the others are added, and the status is 1.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/diag_out.h"
#include "cli/fingerprint_folder.h"
#include "cli/page.h"
#include "clock.h"
#include "scanner/archive.h"
#include "table.h"
#include "utf8.h"

#define OUTPUT_MAX ((size_t)64 << 20)
#define DEPTH_MAX 32

struct document {
	const char *path, *name;
	bool ignored;
};

struct ask {
	const struct cli *cli;
	const char *dir;
	struct arena *arena;
	struct document *documents;
	size_t n, cap;
	struct table *names;	/* of this call -> path */
	int status;
};

static void
complain(struct ask *q, const char *path, const char *why)
{
	fprintf(stderr, "postern: %s: %s\n", path, why);
	q->status = CLI_FINDINGS;
}

/* --- which documents ------------------------------------------------------------------------ */

static bool
name_fine(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > FINGERPRINT_NAME_MAX)
		return false;
	for (size_t i = 0; i < n;) {
		uint32_t c;
		size_t len = utf8_next(name + i, n - i, &c);

		if (len == 0 || c < 0x20 || c == 0x7f)
			return false;
		i += len;
	}
	return true;
}

static void
document_add(struct ask *q, const char *path, const char *name, bool ignored)
{
	const char *had;

	if (!name_fine(name)) {
		complain(q, path, "its name is not UTF-8, or has more than 255 bytes: give it another with --name");
		return;
	}
	if ((had = table_get(q->names, span_str(name))) != NULL) {
		complain(q, path, arena_printf(q->arena, "%s is called `%s` too: add one of them by itself, with --name",
		    had, name));
		return;
	}
	if (q->n == q->cap) {
		size_t cap = q->cap ? q->cap * 2 : 32;

		q->documents = arena_grow(q->arena, q->documents, q->cap * sizeof(*q->documents),
		    cap * sizeof(*q->documents));
		q->cap = cap;
	}
	name = arena_str(q->arena, span_str(name));
	path = arena_str(q->arena, span_str(path));
	q->documents[q->n++] = (struct document){ path, name, ignored };
	table_put(q->names, span_str(name), (void *)(uintptr_t)path);
}

static int
not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* All files of a folder and those below it, by their path within it. */
static void
folder_add(struct ask *q, const char *path, const char *within, bool ignored, unsigned depth)
{
	struct dirent **names;
	int n = depth < DEPTH_MAX ? scandir(path, &names, not_hidden, alphasort) : -1;

	if (n == -1) {
		complain(q, path, depth < DEPTH_MAX ? strerror(errno) : "folders within folders, too deep");
		return;
	}
	for (int i = 0; i < n; i++) {
		const char *at = arena_printf(q->arena, "%s/%s", path, names[i]->d_name);
		const char *name = arena_printf(q->arena, "%s%s%s", within, *within ? "/" : "",
		    names[i]->d_name);
		struct stat st;

		if (lstat(at, &st) == -1)
			complain(q, at, strerror(errno));
		else if (S_ISDIR(st.st_mode))
			folder_add(q, at, name, ignored, depth + 1);
		else if (S_ISREG(st.st_mode))
			document_add(q, at, name, ignored);
		free(names[i]);
	}
	free(names);
}

static void
path_add(struct ask *q, const char *path, const char *name, bool ignored)
{
	const char *slash = strrchr(path, '/');
	struct stat st;

	if (stat(path, &st) == -1)
		complain(q, path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		folder_add(q, path, name ? name : "", ignored, 0);
	else
		document_add(q, path, name ? name : slash ? slash + 1 : path, ignored);
}

/* --- add --------------------------------------------------------------------------------------- */

static void
show_progress(const struct ask *q, size_t done, int64_t began)
{
	double s = (double)(clock_mono() - began) / US_PER_SEC, rate = s > 0 ? (double)done / s : 0;

	if (q->cli->json || q->n < 20 || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, "\r%zu of %zu documents, %.0f/s, %.0fs left \033[K%s", done, q->n, rate,
	    rate > 0 ? (double)(q->n - done) / rate : 0, done == q->n ? "\n" : "");
}

/* The document's fingerprints into the maker; false: told why not. */
static bool
fingerprints_take(struct ask *q, const struct document *doc, struct fingerprint_maker *m, struct arena *a)
{
	struct anatomy an;
	struct err err;
	const char *doubt;
	uint32_t letters;

	if (document_read(doc->path, a, &an, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		q->status = CLI_FINDINGS;
		return false;
	}
	for (size_t i = 0; i < an.nsurfaces; i++)
		fingerprint_maker_text(m, surface_folded(&an.surfaces[i], a)->s);
	doubt = document_doubt(&an);
	if (fingerprint_maker_hashes(m, &letters) == 0 || letters < FINGERPRINT_LETTERS) {
		complain(q, doc->path, doubt ? arena_printf(a, "not added: no text was found, %s", doubt) :
		    arena_printf(a, "not added: a text of %u letters and digits, and it takes %d to be "
		    "recognised", letters, FINGERPRINT_LETTERS));
		fingerprint_maker_drop(m);
		return false;
	}
	if (doubt)
		complain(q, doc->path, arena_printf(a, "added, but not all of it could be read: %s", doubt));
	return true;
}

static void
said_added(const struct ask *q, struct buf *out, const struct fingerprint_document *d, bool replaced)
{
	struct json j;

	if (q->cli->json) {
		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, "name", d->name);
		json_kcstr(&j, "done", replaced ? "replaced" : "added");
		json_kuint(&j, "hashes", d->hashes);
		json_kuint(&j, "letters", d->letters);
		json_kuint(&j, "counted", d->counted);
		json_kbool(&j, "ignored", d->ignored);
		json_end_object(&j);
		buf_putc(out, '\n');
		return;
	}
	page_text(out, d->name);
	buf_printf(out, ": %s%s, %u hashes of %u letters\n", replaced ? "replaced" : "added",
	    d->ignored ? " as ignored" : "", d->hashes, d->letters);
	if (!d->ignored && d->counted == 0)
		buf_puts(out, "  nothing of it is left beside what is ignored: it cannot be found\n");
}

/* What the file now says of the documents of this call. */
static void
show_added(struct ask *q, struct span index, const bool *done, const bool *replaced)
{
	struct fingerprints f;
	struct err err;
	struct buf out;

	ASSERT(fingerprints_read(index, q->arena, &f, &err) == 0);
	buf_init(&out, OUTPUT_MAX);
	for (size_t i = 0; i < q->n; i++)
		for (uint32_t lo = 0, hi = f.ndocuments; done[i] && lo < hi;) {
			uint32_t mid = lo + (hi - lo) / 2;
			struct span name = span_str(q->documents[i].name), at = f.documents[mid].name;
			int r = memcmp(name.p, at.p, name.n < at.n ? name.n : at.n);

			if (r == 0)
				r = (name.n > at.n) - (name.n < at.n);
			if (r == 0) {
				said_added(q, &out, &f.documents[mid], replaced[i]);
				break;
			}
			if (r < 0)
				hi = mid;
			else
				lo = mid + 1;
		}
	page_flush(&out);
	buf_release(&out);
}

static int
write_index(struct fingerprint_folder *f, struct fingerprint_maker *m, struct buf *b)
{
	struct err err = { 0 };

	buf_init(b, FINGERPRINT_BYTES_MAX);
	if (fingerprint_maker_write(m, clock_real() / US_PER_SEC, b, &err) == 0 &&
	    fingerprint_folder_write(f, buf_data(b), &err) == 0) {
		if (buf_size(b) > ARCHIVE_LISTS_MAX)
			fprintf(stderr, "postern: the index is larger than what the history of policies keeps "
			    "(%zu MiB): mail judged with it cannot be replayed with the policy of that day\n",
			    ARCHIVE_LISTS_MAX >> 20);
		return CLI_OK;
	}
	fprintf(stderr, "postern: %s\n", err.text);
	return CLI_FINDINGS;
}

static struct fingerprint_maker *
maker_of(const struct fingerprint_folder *f)
{
	struct fingerprint_maker *m;
	uint8_t key[16];

	if (f->bytes.n == 0)
		ASSERT(getrandom(key, sizeof(key), 0) == (ssize_t)sizeof(key));
	m = fingerprint_maker_new(f->bytes.n ? f->index.key : key);
	if (f->bytes.n)
		fingerprint_maker_take(m, &f->index);
	return m;
}

static int
add_all(struct ask *q)
{
	bool *done = arena_array(q->arena, q->n + 1, 1), *replaced = arena_array(q->arena, q->n + 1, 1);
	struct arena *a = arena_new(1 << 20);
	struct fingerprint_folder f;
	struct fingerprint_maker *m;
	int64_t began = clock_mono();
	struct err err = { 0 };
	size_t added = 0;
	struct buf b;

	if (fingerprint_folder_open(&f, q->dir, true, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		arena_free(&a);
		return CLI_FINDINGS;
	}
	m = maker_of(&f);
	for (size_t i = 0; i < q->n; i++) {
		const struct document *doc = &q->documents[i];

		arena_reset(a);
		if ((done[i] = fingerprints_take(q, doc, m, a))) {
			replaced[i] = fingerprint_maker_put(m, span_str(doc->name),
			    clock_real() / US_PER_SEC, doc->ignored);
			added++;
		}
		show_progress(q, i + 1, began);
	}
	if (added) {
		if (write_index(&f, m, &b) == CLI_OK)
			show_added(q, buf_data(&b), done, replaced);
		else
			q->status = CLI_FINDINGS;
		buf_release(&b);
	}
	fingerprint_maker_free(&m);
	fingerprint_folder_close(&f);
	arena_free(&a);
	return q->status;
}

static int
add(struct ask *q, int argc, char **argv)
{
	const char **ignore = arena_array(q->arena, (size_t)argc + 1, sizeof(*ignore));
	const char **files = arena_array(q->arena, (size_t)argc + 1, sizeof(*files)), *name = NULL;
	size_t nignore = 0, nfiles = 0;
	bool plain = false;

	for (int i = 0; i < argc; i++) {
		if (!plain && strcmp(argv[i], "--") == 0)
			plain = true;
		else if (!plain && strcmp(argv[i], "--name") == 0 && i + 1 < argc)
			name = argv[++i];
		else if (!plain && strcmp(argv[i], "--ignore") == 0 && i + 1 < argc)
			ignore[nignore++] = argv[++i];
		else if (!plain && argv[i][0] == '-')
			return command_usage("fingerprint");
		else
			files[nfiles++] = argv[i];
	}
	if (nfiles + nignore == 0 || (name && nfiles + nignore != 1))
		return command_usage("fingerprint");
	for (size_t i = 0; i < nignore; i++)
		path_add(q, ignore[i], name, true);
	for (size_t i = 0; i < nfiles; i++)
		path_add(q, files[i], name, false);
	return q->n ? add_all(q) : CLI_FINDINGS;
}

/* --- list, remove ---------------------------------------------------------------------------------- */

static void
list_json(const struct fingerprints *f, struct buf *out)
{
	for (uint32_t i = 0; i < f->ndocuments; i++) {
		const struct fingerprint_document *d = &f->documents[i];
		struct json j;

		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, "name", d->name);
		json_kint(&j, "added", d->added);
		json_kuint(&j, "hashes", d->hashes);
		json_kuint(&j, "letters", d->letters);
		json_kuint(&j, "counted", d->counted);
		json_kbool(&j, "ignored", d->ignored);
		json_end_object(&j);
		buf_putc(out, '\n');
	}
}

static void
list_page(const struct cli *cli, const struct fingerprint_folder *f, struct buf *out)
{
	static const char *const titles[] = { "document", "added", "hashes", "letters", "", NULL };
	struct grid g;

	grid_init(&g, cli, titles, "llrrl");
	for (uint32_t i = 0; i < f->index.ndocuments; i++) {
		const struct fingerprint_document *d = &f->index.documents[i];

		grid_text(&g, d->name);
		page_time(grid_cell(&g), d->added * US_PER_SEC, clock_real());
		grid_done(&g, PLAIN);
		grid_number(&g, d->hashes);
		grid_number(&g, d->letters);
		grid_cstr(&g, d->ignored ? "ignored" : d->counted == 0 ? "nothing left of it" :
		    d->counted < d->hashes ? arena_printf(f->arena, "%u counted", d->counted) : " ");
	}
	grid_print(&g, out, "");
	grid_release(&g);
	page_count(out, f->index.ndocuments, "document", "documents");
	buf_printf(out, ", %u hashes, ", f->index.nhashes);
	page_size(out, f->bytes.n);
	buf_puts(out, "; recognised from ");
	buf_printf(out, "%d letters and digits in a row\n", FINGERPRINT_LETTERS);
}

static int
list(struct ask *q)
{
	struct fingerprint_folder f;
	struct err err = { 0 };
	struct buf out;

	if (fingerprint_folder_open(&f, q->dir, false, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	buf_init(&out, OUTPUT_MAX);
	if (q->cli->json)
		list_json(&f.index, &out);
	else
		list_page(q->cli, &f, &out);
	page_flush(&out);
	buf_release(&out);
	fingerprint_folder_close(&f);
	return CLI_OK;
}

static const char *
name_near(const struct fingerprint_folder *f, const char *name)
{
	const char **names = arena_array(f->arena, f->index.ndocuments + 1, sizeof(*names));

	for (uint32_t i = 0; i < f->index.ndocuments; i++)
		names[i] = arena_str(f->arena, f->index.documents[i].name);
	return conf_nearest(span_str(name), names);
}

static int
remove_documents(struct ask *q, int argc, char **argv)
{
	struct fingerprint_folder f;
	struct fingerprint_maker *m;
	struct err err = { 0 };
	int removed = 0;
	struct buf b;

	if (fingerprint_folder_open(&f, q->dir, false, &err) == 0) {
		fingerprint_folder_close(&f);	/* removing makes no folder */
		fingerprint_folder_open(&f, q->dir, true, &err);
	}
	if (f.fd == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	m = maker_of(&f);
	for (int i = 0; i < argc; i++) {
		const char *near;

		if (fingerprint_maker_remove(m, span_str(argv[i]))) {
			removed++;
			continue;
		}
		near = name_near(&f, argv[i]);
		complain(q, argv[i], near ? arena_printf(q->arena,
		    "there is no such document; did you mean `%s`?", near) : "there is no such document");
	}
	if (removed) {
		if (write_index(&f, m, &b) == CLI_FINDINGS)
			q->status = CLI_FINDINGS;
		else if (q->cli->json)
			printf("{\"v\":1,\"removed\":%d}\n", removed);
		else
			printf("%d removed\n", removed);
		buf_release(&b);
	}
	fingerprint_maker_free(&m);
	fingerprint_folder_close(&f);
	return q->status;
}

/* --- check --------------------------------------------------------------------------------------------- */

static void
show_found(const struct ask *q, const char *path, const struct fingerprint_overlap *v, size_t n,
    struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct fingerprint_document *d = v[i].document;
		struct json j;

		if (!q->cli->json) {
			page_text(out, span_str(path));
			buf_printf(out, ": %.1f %% ", v[i].overlap);
			page_text(out, d->name);
			buf_printf(out, " (%u of %u hashes)\n", v[i].hashes, d->counted);
			continue;
		}
		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, "file", span_str(path));
		json_kstr(&j, "document", d->name);
		json_key(&j, "overlap");
		json_num(&j, v[i].overlap);
		json_kuint(&j, "hashes", v[i].hashes);
		json_kuint(&j, "of", d->counted);
		json_end_object(&j);
		buf_putc(out, '\n');
	}
	if (n == 0 && !q->cli->json) {
		page_text(out, span_str(path));
		buf_puts(out, ": none of these documents\n");
	}
}

static void
check_one(struct ask *q, const struct fingerprints *f, const char *path, struct buf *out)
{
	struct arena *a = arena_new(1 << 20);
	struct fingerprint_overlap *v;
	struct anatomy an;
	struct err err;
	size_t n;

	if (document_read(path, a, &an, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		q->status = CLI_FINDINGS;
	} else {
		if (document_doubt(&an))
			complain(q, path, arena_printf(a, "not all of it could be read: %s",
			    document_doubt(&an)));
		n = fingerprints_check(f, &an, a, &v);
		if (n)
			q->status = CLI_FINDINGS;
		show_found(q, path, v, n, out);
	}
	arena_free(&a);
}

static int
check(struct ask *q, int argc, char **argv)
{
	struct fingerprint_folder f;
	struct err err = { 0 };
	struct buf out;

	if (fingerprint_folder_open(&f, q->dir, false, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	buf_init(&out, OUTPUT_MAX);
	for (int i = 0; i < argc; i++) {
		check_one(q, &f.index, argv[i], &out);
		page_flush(&out);
	}
	buf_release(&out);
	fingerprint_folder_close(&f);
	return q->status;
}

int
cmd_fingerprint(int argc, char **argv, const struct cli *cli)
{
	struct ask q = { .cli = cli, .status = CLI_OK };
	const char *verb = argc > 2 ? argv[1] : "";
	int status;

	if (argc < 3 || argv[2][0] == '-')
		return command_usage("fingerprint");
	q.arena = arena_new(0);
	q.names = table_new();
	argc -= 3;
	argv += 3;
	if ((q.dir = fingerprint_folder_path(cli, argv[-1], q.arena)) == NULL)
		status = CLI_FINDINGS;
	else if (strcmp(verb, "add") == 0)
		status = add(&q, argc, argv);
	else if (strcmp(verb, "list") == 0 && argc == 0)
		status = list(&q);
	else if (strcmp(verb, "remove") == 0 && argc > 0)
		status = remove_documents(&q, argc, argv);
	else if (strcmp(verb, "check") == 0 && argc > 0)
		status = check(&q, argc, argv);
	else
		status = command_usage("fingerprint");
	table_free(&q.names);
	arena_free(&q.arena);
	return status;
}
