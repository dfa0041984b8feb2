/* cmd_restore.c -- `postern restore FILE`: a backup onto a fresh machine, or over an old one when --force says so.
 *
 * The file is read twice. The first time everything is opened, so that a wrong passphrase, a damaged byte
 * or a cut end is known before anything is written, and all places are looked at. The second time each file is
 * made beside its place and renamed; what was there with --force stays as NAME.before-restore. posternd must
 * not run. Entries lie below etc/ or abs/ without `..`, or the backup is refused whole: it was not made by us.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/backup.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/diag_out.h"
#include "cli/page.h"
#include "fs.h"
#include "json.h"
#include "store/schema.h"

#define YAML_MAX (4u << 20)
#define EXISTING_SHOWN 20

struct restore {
	const struct cli *cli;
	struct arena *a;
	const char *file, *folder;
	struct vault_secret secret;
	struct vault *vault;
	struct err err;		/* of the vault, within libarchive's callback */
	struct buf out;
	bool force, check;
	/* of the first reading */
	struct span manifest, yaml;
	const char *store_path;	/* NULL: the backup has no store */
	bool has_store;
	const char *existing[EXISTING_SHOWN];
	size_t nexisting, files;
	uint64_t bytes;
	char part[65536];
};

static la_ssize_t
from_vault(struct archive *tar, void *ctx, const void **p)
{
	struct restore *r = ctx;
	struct span s;

	if (vault_read(r->vault, &s, &r->err) == -1) {
		archive_set_error(tar, EIO, "%s", r->err.text);
		return -1;
	}
	*p = s.p;
	return (la_ssize_t)s.n;
}

/* Where an entry goes; NULL: it is none of ours. "" for the manifest and the store. */
static const char *
place_of(struct restore *r, const char *name)
{
	struct span s = span_str(name);

	if (span_is(s, "MANIFEST") || span_is(s, "store.db"))
		return "";
	if (strstr(name, "/../") || span_ends_nocase(s, SPAN_LIT("/..")))
		return NULL;
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	if (span_is(s, "etc"))
		return r->folder;
	if (span_starts(s, SPAN_LIT("etc/")))
		return arena_printf(r->a, "%s/" SPAN_FMT, r->folder, SPAN_ARG(span_from(s, 4)));
	if (span_starts(s, SPAN_LIT("abs/")))
		return arena_str(r->a, span_from(s, 3));
	return NULL;
}

/* ---- each entry, twice ---- */

typedef int entry_fn(struct restore *r, struct archive *tar, struct archive_entry *e, const char *place, struct err *err);

static int
read_entries(struct restore *r, struct archive *tar, entry_fn *fn, struct err *err)
{
	struct archive_entry *e;
	int code;

	while ((code = archive_read_next_header(tar, &e)) == ARCHIVE_OK) {
		const char *name = archive_entry_pathname(e), *place = name ? place_of(r, name) : NULL;

		if (place == NULL)
			return err_set(err, EBADMSG, "%s: an entry that no backup has", r->file);
		if (fn(r, tar, e, place, err) == -1)
			return -1;
	}
	if (code != ARCHIVE_EOF)
		return err_set(err, EBADMSG, "%s: %s", r->file, archive_error_string(tar));
	return 0;
}

/* To the very end: what stands behind the archive's is authenticated too. */
static int
drain(struct restore *r, struct err *err)
{
	struct span s = { "", 1 };

	while (s.n)
		if (vault_read(r->vault, &s, err) == -1)
			return -1;
	return 0;
}

static int
read_backup(struct restore *r, entry_fn *fn, struct err *err)
{
	int fd = fs_open(r->file, O_RDONLY, 0, err), rc = -1;
	struct archive *tar;

	if (fd == -1)
		return -1;
	ASSERT_MEMORY(tar = archive_read_new());
	if ((r->vault = vault_open(fd, &r->secret, err)) != NULL) {
		archive_read_support_format_tar(tar);
		archive_read_support_filter_zstd(tar);
		if (archive_read_open(tar, r, NULL, from_vault, NULL) != ARCHIVE_OK)
			err_set(err, EBADMSG, "%s", r->err.text[0] ? r->err.text : archive_error_string(tar));
		else
			rc = read_entries(r, tar, fn, err);
		if (rc == 0)
			rc = drain(r, err);
	}
	archive_read_free(tar);
	vault_free(&r->vault);
	close(fd);
	return rc;
}

static int
read_text(struct restore *r, struct archive *tar, struct archive_entry *e, size_t max, struct span *out, struct err *err)
{
	struct buf b;
	la_ssize_t n;

	buf_init(&b, max);
	while ((n = archive_read_data(tar, r->part, sizeof(r->part))) > 0)
		buf_put(&b, r->part, (size_t)n);
	*out = arena_span(r->a, buf_data(&b));
	if (n < 0 || buf_failed(&b))
		err_set(err, EBADMSG, "%s: %s", r->file, n < 0 ? archive_error_string(tar) : "a file is too large");
	n = n < 0 || buf_failed(&b) ? -1 : 0;
	buf_release(&b);
	return (int)n;
}

static void
exists(struct restore *r, const char *path)
{
	struct stat st;

	if (path == NULL || lstat(path, &st) == -1 || S_ISDIR(st.st_mode))
		return;
	if (r->nexisting < EXISTING_SHOWN)
		r->existing[r->nexisting] = path;
	r->nexisting++;
}

static int
look(struct restore *r, struct archive *tar, struct archive_entry *e, const char *place, struct err *err)
{
	const char *name = archive_entry_pathname(e);
	la_ssize_t n;

	if (++r->files > 2 * BACKUP_FILES)
		return err_set(err, EBADMSG, "%s: too many files", r->file);
	if (strcmp(name, "MANIFEST") == 0)
		return read_text(r, tar, e, 64u << 10, &r->manifest, err);
	if (strcmp(name, "etc/postern.yaml") == 0) {
		exists(r, place);
		return read_text(r, tar, e, YAML_MAX, &r->yaml, err);
	}
	r->has_store |= strcmp(name, "store.db") == 0;
	if (*place)
		exists(r, place);
	while ((n = archive_read_data(tar, r->part, sizeof(r->part))) > 0)
		r->bytes += (uint64_t)n;
	return n < 0 ? err_set(err, EBADMSG, "%s: %s", r->file, archive_error_string(tar)) : 0;
}

/* ---- writing ---- */

static void
own(int fd, struct archive_entry *e)
{
	const char *u = archive_entry_uname(e), *g = archive_entry_gname(e);
	const struct passwd *pw = u ? getpwnam(u) : NULL;
	const struct group *gr = g ? getgrnam(g) : NULL;

	/* An account that is not here: then it is root's, as what we make is. */
	if (geteuid() == 0 && (pw || gr) && fchown(fd, pw ? pw->pw_uid : 0, gr ? gr->gr_gid : 0) == -1)
		fprintf(stderr, "postern: %s: %s\n", archive_entry_pathname(e), strerror(errno));
}

/* What was there gets out of the way, and stays. */
static int
step_aside(const char *path, struct arena *a, struct err *err)
{
	const char *aside = arena_printf(a, "%s.before-restore", path);
	struct stat st;

	if (lstat(path, &st) == -1)
		return 0;
	return rename(path, aside) == 0 ? 0 : err_errno(err, "%s", path);
}

static int
parents(struct restore *r, const char *path, mode_t mode, struct err *err)
{
	const char *slash = strrchr(path, '/');

	return slash == path || slash == NULL ? 0 : fs_mkdirs(arena_str(r->a, span_make(path, (size_t)(slash - path))), mode, err);
}

static int
put_file(struct restore *r, struct archive *tar, const char *path, struct archive_entry *e, mode_t mode, bool keep_owner, struct err *err)
{
	const char *part = arena_printf(r->a, "%s.restore", path);
	int fd, rc = 0;
	la_ssize_t n = 0;

	unlink(part);
	if ((fd = fs_open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, err)) == -1)
		return -1;
	while (rc == 0 && (n = archive_read_data(tar, r->part, sizeof(r->part))) > 0)
		rc = fs_write_all(fd, r->part, (size_t)n, err);
	if (n < 0)
		rc = err_set(err, EBADMSG, "%s: %s", r->file, archive_error_string(tar));
	if (rc == 0 && keep_owner)
		own(fd, e);
	if (rc == 0 && fchmod(fd, mode) == -1)
		rc = err_errno(err, "%s", part);
	if (rc == 0)
		rc = fs_fsync(fd, err);
	close(fd);
	if (rc == 0)
		rc = step_aside(path, r->a, err);
	if (rc == 0 && rename(part, path) == -1)
		rc = err_errno(err, "%s", path);
	if (rc == -1)
		unlink(part);
	return rc;
}

/* The account that will open it: whoever has the folder, else that of the role (nobody, where there are no accounts). */
static void
give_to_store(const char *path, const char *folder)
{
	const struct passwd *pw = getpwnam("_postern-store");
	struct stat st;

	if (geteuid() != 0)
		return;
	if (pw == NULL)
		pw = getpwnam("nobody");
	if (stat(folder, &st) == 0 && st.st_uid != 0) {
		if (chown(path, st.st_uid, st.st_gid) == 0)
			return;
	} else if (pw && chown(path, pw->pw_uid, pw->pw_gid) == 0) {
		return;
	}
	fprintf(stderr, "postern: %s: %s\n", path, strerror(errno));
}

static int
put_store(struct restore *r, struct archive *tar, struct archive_entry *e, struct err *err)
{
	const char *path = r->store_path, *slash = strrchr(path, '/');
	const char *folder = arena_str(r->a, span_make(path, (size_t)(slash - path)));

	if (parents(r, path, 0751, err) == -1 ||
	    /* Of another database: with ours they would be read into it. */
	    step_aside(arena_printf(r->a, "%s-wal", path), r->a, err) == -1 ||
	    step_aside(arena_printf(r->a, "%s-shm", path), r->a, err) == -1 ||
	    put_file(r, tar, path, e, 0600, false, err) == -1)
		return -1;
	give_to_store(path, folder);
	return 0;
}

static int
put(struct restore *r, struct archive *tar, struct archive_entry *e, const char *place, struct err *err)
{
	mode_t mode = archive_entry_perm(e) & 0777;
	const char *link = archive_entry_symlink(e);
	int fd;

	if (strcmp(archive_entry_pathname(e), "store.db") == 0)
		return put_store(r, tar, e, err);
	if (*place == '\0')
		return 0;
	if (parents(r, place, 0755, err) == -1)
		return -1;
	if (archive_entry_filetype(e) == AE_IFDIR) {
		if (fs_mkdirs(place, mode, err) == -1)
			return -1;
		if ((fd = fs_open(place, O_RDONLY | O_DIRECTORY, 0, err)) == -1)
			return -1;
		own(fd, e);
		if (fchmod(fd, mode) == -1)
			fprintf(stderr, "postern: %s: %s\n", place, strerror(errno));
		close(fd);
		return 0;
	}
	if (link)
		return step_aside(place, r->a, err) == -1 ? -1 : symlink(link, place) == 0 ? 0 : err_errno(err, "%s", place);
	if (archive_entry_filetype(e) != AE_IFREG)
		return err_set(err, EBADMSG, "%s: an entry that no backup has", r->file);
	return put_file(r, tar, place, e, mode, true, err);
}

/* ---- may it be? ---- */

static int64_t
manifest_number(struct restore *r, const char *name)
{
	struct span s = r->manifest;

	while (s.n) {
		struct span line = span_sub(s, 0, span_find(s, '\n'));

		if (span_starts(line, span_str(name)) && line.n > strlen(name) && line.p[strlen(name)] == ' ')
			return strtoll(arena_str(r->a, span_from(line, strlen(name) + 1)), NULL, 10);
		s = span_from(s, line.n + 1);
	}
	return -1;
}

static int
agree(struct restore *r, struct err *err)
{
	struct config *c;
	struct diags d;
	const char *path = arena_printf(r->a, "%s/postern.yaml", r->folder);

	if (manifest_number(r, "format") != BACKUP_FORMAT || manifest_number(r, "schema") > schema_version())
		return err_set(err, 0, "%s was made by a newer Postern: install that version first", r->file);
	if (r->yaml.n == 0)
		return err_set(err, EBADMSG, "%s has no postern.yaml", r->file);
	diags_init(&d, r->a);
	if ((c = config_parse(path, path, r->yaml, &d)) == NULL) {
		diags_show(&d, r->cli, stderr);
		return err_set(err, 0, "the postern.yaml in it does not hold here");
	}
	r->store_path = arena_str(r->a, span_str(c->store_path));
	if (r->has_store)
		exists(r, r->store_path);
	config_free(&c);
	return 0;
}

static void
nothing(void *ctx, const struct jval *v, struct span text)
{
}

/* A daemon that answers where this configuration has its socket. */
static bool
runs(struct restore *r)
{
	struct request req;
	const char *path = arena_printf(r->a, "%s/postern.yaml", r->folder);
	struct cli cli = *r->cli;
	struct diags d;
	bool answers;

	diags_init(&d, r->a);
	cli.config_path = path;
	if ((cli.conf = config_parse(path, path, r->yaml, &d)) == NULL)
		return false;
	request_begin(&req, "status");
	answers = control_ask_quietly(&cli, &req, nothing, NULL) != CLI_UNREACHABLE;
	config_free(&cli.conf);
	return answers;
}

static void
report(struct restore *r, const char *done)
{
	struct json j;

	if (r->cli->json) {
		json_begin(&j, &r->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "done", done);
		json_kstr(&j, "manifest", r->manifest);
		json_kuint(&j, "files", r->files);
		json_kuint(&j, "existing", r->nexisting);
		json_kbool(&j, "store", r->has_store);
		json_end_object(&j);
		buf_putc(&r->out, '\n');
		return;
	}
	page_lines(&r->out, "  ", r->manifest);
	buf_printf(&r->out, "%zu files, %s the store\n", r->files, r->has_store ? "with" : "without");
	if (strcmp(done, "checked") == 0) {
		buf_puts(&r->out, "whole and readable; nothing was written\n");
	} else {
		buf_printf(&r->out, "restored into %s%s\nnext: postern check, then start it, then postern doctor\n", r->folder,
		    r->nexisting ? "; what was there stands beside as NAME.before-restore" : "");
	}
}

static int
run(struct restore *r)
{
	struct err err;

	if (read_backup(r, look, &err) == -1 || agree(r, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	if (r->check) {
		report(r, "checked");
		return CLI_OK;
	}
	if (runs(r)) {
		fputs("postern: posternd runs: stop it first\n", stderr);
		return CLI_FINDINGS;
	}
	if (r->nexisting && !r->force) {
		fprintf(stderr, "postern: %zu files are there already, nothing was written (--force keeps them as NAME.before-restore):\n",
		    r->nexisting);
		for (size_t i = 0; i < r->nexisting && i < EXISTING_SHOWN; i++)
			fprintf(stderr, "  %s\n", r->existing[i]);
		return CLI_FINDINGS;
	}
	if (read_backup(r, put, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	report(r, "restored");
	return CLI_OK;
}

int
cmd_restore(int argc, char **argv, const struct cli *cli)
{
	struct arena *a = arena_new(0);
	struct restore *r = arena_zalloc(a, sizeof(*r));
	const char *passphrase = NULL, *key = NULL;
	char here[4096] = "";
	char *slash, *folder;
	int status = CLI_FINDINGS;

	r->cli = cli;
	r->a = a;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--force") == 0)
			r->force = true;
		else if (strcmp(argv[i], "--check") == 0)
			r->check = true;
		else if (strcmp(argv[i], "--passphrase-file") == 0 && i + 1 < argc)
			passphrase = argv[++i];
		else if (strcmp(argv[i], "--key") == 0 && i + 1 < argc)
			key = argv[++i];
		else if (argv[i][0] == '-' || r->file)
			goto usage;
		else
			r->file = argv[i];
	}
	if (r->file == NULL)
		goto usage;
	if (cli->config_path[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		goto usage;
	folder = arena_printf(a, "%s%s%s", here, *here ? "/" : "", cli->config_path);
	slash = strrchr(folder, '/');
	*slash = '\0';
	r->folder = folder;
	buf_init(&r->out, 1u << 20);
	if (backup_secret(a, passphrase, key, false, &r->secret) == 0)
		status = run(r);
	page_flush(&r->out);
	buf_release(&r->out);
	arena_free(&a);
	return status;
usage:
	arena_free(&a);
	return command_usage("restore");
}
