/* cmd_backup.c -- `postern backup FILE`: configuration, policy, keys, lists and the store, in one encrypted file.
 *
 * Runs beside posternd: the database is copied by SQLite's backup interface, which sees one moment of it and keeps
 * no writer waiting. The file is 0600, made beside its place and renamed when it is whole. What is in it: backup.h.
 */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/backup.h"
#include "cli/commands.h"
#include "cli/page.h"
#include "cli/store_reader.h"
#include "clock.h"
#include "fs.h"
#include "json.h"
#include "signer/dkim_ring.h"
#include "store/db_copy.h"
#include "store/schema.h"

#define PASSPHRASE_MIN 12
#define PART 65536

struct backup {
	const struct config *conf;
	struct arena *a;
	struct archive *tar;
	struct vault *vault;
	struct err err;		/* of the vault, within libarchive's callback */
	const char *folder;
	size_t files;
	uint64_t bytes;
	char part[PART];
};

/* ---- secrets ---- */

int
backup_secret(struct arena *a, const char *passphrase_file, const char *key, bool new, struct vault_secret *out)
{
	char one[512], two[512];
	struct span text;
	struct err err;

	*out = (struct vault_secret){ .key = key };
	if (key && passphrase_file) {
		fputs("postern: a passphrase or a key, not both\n", stderr);
		return -1;
	}
	if (key)
		return 0;
	if (passphrase_file) {
		if (fs_read(a, passphrase_file, sizeof(one), &text, &err) == -1) {
			fprintf(stderr, "postern: %s\n", err.text);
			return -1;
		}
		out->passphrase = span_trim(span_sub(text, 0, span_find(text, '\n')));
	} else {
		if (!password_ask("Passphrase of the backup: ", one, sizeof(one))) {
			fputs("postern: no passphrase\n", stderr);
			return -1;
		}
		if (new && isatty(STDIN_FILENO) && (!password_ask("Once more: ", two, sizeof(two)) || strcmp(one, two) != 0)) {
			fputs("postern: they are not the same\n", stderr);
			return -1;
		}
		out->passphrase = arena_span(a, span_str(one));
	}
	if (new && out->passphrase.n < PASSPHRASE_MIN) {
		fprintf(stderr, "postern: a passphrase has %d characters at least: keys are in the backup\n", PASSPHRASE_MIN);
		return -1;
	}
	return 0;
}

/* ---- the archive ---- */

static la_ssize_t
into_vault(struct archive *tar, void *ctx, const void *p, size_t n)
{
	struct backup *b = ctx;

	if (vault_write(b->vault, p, n, &b->err) == -1) {
		archive_set_error(tar, EIO, "%s", b->err.text);
		return -1;
	}
	return (la_ssize_t)n;
}

static int
tar_error(struct backup *b, const char *what, struct err *err)
{
	return err_set(err, 0, "%s: %s", what, archive_error_string(b->tar));
}

static int
put_head(struct backup *b, const char *name, const struct stat *st, const char *link, struct err *err)
{
	struct archive_entry *e = archive_entry_new();
	const struct passwd *pw = getpwuid(st->st_uid);
	const struct group *gr = getgrgid(st->st_gid);
	int rc;

	ASSERT_MEMORY(e);
	archive_entry_set_pathname(e, name);
	archive_entry_set_mode(e, st->st_mode);
	archive_entry_set_mtime(e, st->st_mtime, 0);
	archive_entry_set_size(e, link ? 0 : st->st_size);
	if (link)
		archive_entry_set_symlink(e, link);
	/* By name: another machine has other numbers. */
	if (pw)
		archive_entry_set_uname(e, pw->pw_name);
	if (gr)
		archive_entry_set_gname(e, gr->gr_name);
	rc = archive_write_header(b->tar, e) == ARCHIVE_OK ? 0 : tar_error(b, name, err);
	archive_entry_free(e);
	b->files++;
	return rc;
}

static int
put_text(struct backup *b, const char *name, struct span text, struct err *err)
{
	struct stat st = { .st_mode = S_IFREG | 0600, .st_size = (off_t)text.n };

	if (put_head(b, name, &st, NULL, err) == -1)
		return -1;
	return archive_write_data(b->tar, text.p, text.n) == (la_ssize_t)text.n ? 0 : tar_error(b, name, err);
}

/* A file that grows meanwhile is taken as long as it was; one that shrinks is an error. */
static int
put_file(struct backup *b, const char *name, const char *path, struct err *err)
{
	int fd = fs_open(path, O_RDONLY | O_NOFOLLOW, 0, err), rc = -1;
	struct stat st;
	uint64_t left;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == -1) {
		err_errno(err, "%s", path);
		goto out;
	}
	if (put_head(b, name, &st, NULL, err) == -1)
		goto out;
	for (left = (uint64_t)st.st_size; left;) {
		ssize_t n = read(fd, b->part, left < PART ? left : PART);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0) {
			n == 0 ? err_set(err, 0, "%s became shorter meanwhile", path) : err_errno(err, "%s", path);
			goto out;
		}
		if (archive_write_data(b->tar, b->part, (size_t)n) != n) {
			tar_error(b, path, err);
			goto out;
		}
		left -= (uint64_t)n;
		b->bytes += (uint64_t)n;
	}
	rc = 0;
out:
	close(fd);
	return rc;
}

static int put_folder(struct backup *b, const char *name, const char *path, unsigned depth, struct err *err);

static int
put_one(struct backup *b, const char *name, const char *path, unsigned depth, struct err *err)
{
	char link[4096], *real;
	struct stat st;
	ssize_t n;
	int rc;

	if (lstat(path, &st) == -1)
		return errno == ENOENT ? 0 : err_errno(err, "%s", path);
	if (b->files >= BACKUP_FILES)
		return err_set(err, 0, "%s: more than %d files beside postern.yaml", path, BACKUP_FILES);
	if (S_ISDIR(st.st_mode))
		return put_folder(b, name, path, depth, err);
	if (S_ISREG(st.st_mode))
		return put_file(b, name, path, err);
	if (!S_ISLNK(st.st_mode))
		return 0;	/* sockets and their kind are made anew */
	/* What a link outside the folder leads to (a certificate of certbot's) is taken as a file: it would lead nowhere. */
	if ((real = realpath(path, NULL)) != NULL) {
		bool outside = strncmp(real, b->folder, strlen(b->folder)) != 0 && stat(real, &st) == 0 && S_ISREG(st.st_mode);

		rc = outside ? put_file(b, name, real, err) : 0;
		free(real);
		if (outside)
			return rc;
		if (lstat(path, &st) == -1)
			return err_errno(err, "%s", path);
	}
	if ((n = readlink(path, link, sizeof(link) - 1)) == -1)
		return err_errno(err, "%s", path);
	link[n] = '\0';
	return put_head(b, name, &st, link, err);
}

static int
put_folder(struct backup *b, const char *name, const char *path, unsigned depth, struct err *err)
{
	struct dirent *e;
	struct stat st;
	int rc = 0;
	DIR *d;

	if (depth > BACKUP_DEPTH)
		return err_set(err, 0, "%s: more than %d folders deep", path, BACKUP_DEPTH);
	if ((d = opendir(path)) == NULL || fstat(dirfd(d), &st) == -1) {
		if (d)
			closedir(d);
		return err_errno(err, "%s", path);
	}
	st.st_size = 0;
	rc = put_head(b, name, &st, NULL, err);
	while (rc == 0 && (errno = 0, e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = put_one(b, arena_printf(b->a, "%s/%s", name, e->d_name), arena_printf(b->a, "%s/%s", path, e->d_name),
			    depth + 1, err);
	closedir(d);
	return rc;
}

/* A file that postern.yaml names; below its folder it is in already. What a link leads to is taken as a file. */
static int
put_named(struct backup *b, const char *path, struct err *err)
{
	size_t n = strlen(b->folder);
	char *real;
	int rc;

	if (path == NULL || access(path, F_OK) == -1 || (strncmp(path, b->folder, n) == 0 && path[n] == '/'))
		return 0;
	if ((real = realpath(path, NULL)) == NULL)
		return err_errno(err, "%s", path);
	rc = put_one(b, arena_printf(b->a, "abs%s", path), real, 0, err);
	free(real);
	return rc;
}

static int
put_all_named(struct backup *b, struct err *err)
{
	const struct config *c = b->conf;
	const char *const paths[] = { c->policy_dir, c->templates_dir, c->store_key, c->tls_certificate, c->tls_key, c->auth_file,
		c->console.certificate, c->console.key, c->delivery.roots, c->trust_anchor };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		if (put_named(b, paths[i], err) == -1)
			return -1;
	for (size_t i = 0; i < c->ndomains; i++) {
		const struct domain_key *keys;
		size_t n;

		if (domain_keys(c, &c->domains[i], b->a, &keys, &n, err) == -1 || put_named(b, c->domains[i].batv.key, err) == -1)
			return -1;
		for (size_t k = 0; k < n; k++)
			if (put_named(b, keys[k].path, err) == -1)
				return -1;
		if (c->domains[i].recipients_file.n &&
		    put_named(b, fs_beside(b->a, c->path, c->domains[i].recipients_file), err) == -1)
			return -1;
	}
	for (size_t i = 0; i < c->antivirus.nstamp_keys; i++)
		if (put_named(b, c->antivirus.stamp_keys[i], err) == -1)
			return -1;
	for (size_t i = 0; i < c->ndirectories; i++)
		if (put_named(b, c->directories[i].password_file, err) == -1 || put_named(b, c->directories[i].ca, err) == -1)
			return -1;
	return 0;
}

/* ---- the store ---- */

/* One moment of the database, in a file of its own, as `postern store backup` makes it. */
static int
copy_store(const char *path, const char *to, struct err *err)
{
	struct db *from = store_reader_open(path, err);
	int r;

	if (from == NULL)
		return -1;
	unlink(to);
	r = db_copy(from, to, NULL, NULL, err);
	db_close(&from);
	return r;
}

static int
put_store(struct backup *b, const char *file, struct err *err)
{
	const char *copy = arena_printf(b->a, "%s.store", file);
	int rc;

	if (access(b->conf->store_path, F_OK) == -1)
		return 0;	/* never started */
	if (copy_store(b->conf->store_path, copy, err) == -1)
		return -1;
	rc = put_file(b, "store.db", copy, err);
	unlink(copy);
	return rc;
}

/* ---- the whole ---- */

static int
put_all(struct backup *b, const char *file, struct err *err)
{
	char host[256] = "";
	const char *manifest;

	gethostname(host, sizeof(host) - 1);
	manifest = arena_printf(b->a, "format %d\npostern %s\nschema %d\nmade %lld\nhost %s\nfolder %s\n", BACKUP_FORMAT, POSTERN_VERSION,
	    schema_version(), (long long)(clock_real() / US_PER_SEC), host, b->folder);
	if (put_text(b, "MANIFEST", span_str(manifest), err) == -1 || put_folder(b, "etc", b->folder, 0, err) == -1 ||
	    put_all_named(b, err) == -1 || put_store(b, file, err) == -1)
		return -1;
	return archive_write_close(b->tar) == ARCHIVE_OK ? vault_finish(b->vault, err) : tar_error(b, file, err);
}

static int
write_backup(struct backup *b, const char *file, const struct vault_secret *secret, struct err *err)
{
	const char *part = arena_printf(b->a, "%s.part", file);
	int fd, rc = -1;

	unlink(part);
	if ((fd = fs_open(part, O_WRONLY | O_CREAT | O_EXCL, 0600, err)) == -1)
		return -1;
	ASSERT_MEMORY(b->tar = archive_write_new());
	if ((b->vault = vault_create(fd, secret, err)) != NULL) {
		if (archive_write_set_format_pax_restricted(b->tar) != ARCHIVE_OK || archive_write_add_filter_zstd(b->tar) != ARCHIVE_OK ||
		    archive_write_set_bytes_in_last_block(b->tar, 1) != ARCHIVE_OK ||
		    archive_write_open(b->tar, b, NULL, into_vault, NULL) != ARCHIVE_OK)
			tar_error(b, file, err);
		else
			rc = put_all(b, file, err);
	}
	archive_write_free(b->tar);
	vault_free(&b->vault);
	if (rc == 0)
		rc = fs_fsync(fd, err);
	close(fd);
	if (rc == 0 && link(part, file) == -1)
		rc = err_errno(err, "%s", file);
	unlink(part);
	return rc;
}

static int
make(struct backup *b, const struct cli *cli, const char *file, const struct vault_secret *secret)
{
	struct stat st = { 0 };
	struct buf out;
	struct err err;

	if (access(file, F_OK) == 0) {
		fprintf(stderr, "postern: %s exists: a backup writes over nothing\n", file);
		return CLI_FINDINGS;
	}
	if (write_backup(b, file, secret, &err) == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		return CLI_FINDINGS;
	}
	stat(file, &st);
	buf_init(&out, 64u << 10);
	if (cli->json) {
		struct json j;

		json_begin(&j, &out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "file", file);
		json_kuint(&j, "files", b->files);
		json_kuint(&j, "size", (uint64_t)st.st_size);
		json_end_object(&j);
	} else {
		buf_printf(&out, "%s: %zu files, ", file, b->files);
		page_size(&out, (uint64_t)st.st_size);
		buf_puts(&out, ". The queue is not in it: `postern drain` or `postern queue export` take mail elsewhere.\n"
		    "Keep it away from this machine, and the passphrase away from it. Try it: postern restore --check FILE");
	}
	buf_putc(&out, '\n');
	page_flush(&out);
	buf_release(&out);
	return CLI_OK;
}

int
cmd_backup(int argc, char **argv, const struct cli *cli)
{
	const char *file = NULL, *passphrase = NULL, *recipient = NULL;
	struct vault_secret secret;
	struct backup *b;
	struct config *conf;
	struct arena *a;
	struct err err;
	int status = CLI_FINDINGS;

	if (argc == 3 && strcmp(argv[1], "key") == 0) {
		if (vault_make_key(argv[2], &err) == -1) {
			fprintf(stderr, "postern: %s\n", err.text);
			return CLI_FINDINGS;
		}
		if (!cli->json)
			printf("%s.pub makes backups; %s alone reads them: keep it elsewhere\n", argv[2], argv[2]);
		return CLI_OK;
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--passphrase-file") == 0 && i + 1 < argc)
			passphrase = argv[++i];
		else if (strcmp(argv[i], "--recipient") == 0 && i + 1 < argc)
			recipient = argv[++i];
		else if (argv[i][0] == '-' || file)
			return command_usage("backup");
		else
			file = argv[i];
	}
	if (file == NULL)
		return command_usage("backup");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	a = arena_new(0);
	b = arena_zalloc(a, sizeof(*b));
	b->a = a;
	b->conf = conf;
	b->folder = arena_str(a, span_make(conf->path, (size_t)(strrchr(conf->path, '/') - conf->path)));
	if (backup_secret(a, passphrase, recipient, true, &secret) == 0)
		status = make(b, cli, file, &secret);
	arena_free(&a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
