/* cmd_store_copy.c -- `postern store check|backup|restore`: the database as a whole.
 *
 * They open it themselves, the daemon need not run; a backup and a check do not disturb one that does. What SQLite
 * makes beside the database (-wal, -shm) is made as its owner; copies are root's, mode 600. A backup is one file, in
 * which what is sealed stays sealed: without store_key it tells nobody more than the database on a stolen disk.
 * A restore is refused while the store runs, and looks at the copy before anything is moved; what was
 * there is kept aside.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/page.h"
#include "cli/spool_folder.h"
#include "cli/store_reader.h"
#include "clock.h"
#include "fs.h"
#include "json.h"
#include "store/db_copy.h"
#include "store/keyring.h"

struct copying {
	const struct cli *cli;
	char *store, *key_path;		/* of the configuration */
	struct keyring *keys;		/* NULL: there is no such file */
	bool quick, anyway;
	int faults;
	struct buf out;
};

/* ---- what was found ---- */

static void
tell(void *ctx, enum check_level level, const char *what, const char *text)
{
	static const char *const names[] = { "fine", "note", "fault" };
	static const enum page_colour colours[] = { GREEN, YELLOW, RED };
	struct copying *c = ctx;
	struct json j;

	c->faults += level == CHECK_FAULT;
	if (c->cli->json) {
		json_begin(&j, &c->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "level", names[level]);
		json_kcstr(&j, "what", what);
		json_kcstr(&j, "text", text);
		json_end_object(&j);
		buf_putc(&c->out, '\n');
	} else {
		page_begin(&c->out, c->cli, colours[level]);
		buf_printf(&c->out, "%-6s", names[level]);
		page_end(&c->out, c->cli, colours[level]);
		buf_printf(&c->out, "%s: ", what);
		page_text(&c->out, span_str(text));
		buf_putc(&c->out, '\n');
	}
	page_flush(&c->out);
}

static int
failed(const char *what, const struct err *err, int status)
{
	fprintf(stderr, "postern: %s: %s\n", what, err->text);
	return status;
}

static int
copying_begin(struct copying *c, const struct cli *cli)
{
	struct config *conf = cli_load_config(cli);
	struct err err;
	bool made;

	*c = (struct copying){ .cli = cli };
	if (conf == NULL)
		return -1;
	umask(077);
	c->store = strdup(conf->store_path);
	c->key_path = strdup(conf->store_key);
	ASSERT(c->store != NULL && c->key_path != NULL);
	if (conf != cli->conf)
		config_free(&conf);
	buf_init(&c->out, 1u << 20);
	/* Looked at, never made here. */
	if (access(c->key_path, R_OK) == 0 && (c->keys = keyring_open(c->key_path, &made, &err)) == NULL) {
		failed("its key", &err, 0);
		return -1;
	}
	return 0;
}

static void
copying_end(struct copying *c)
{
	keyring_free(&c->keys);
	buf_release(&c->out);
	free(c->store);
	free(c->key_path);
}

struct db *
store_reader_open(const char *path, struct err *err)
{
	struct db *d;

	if (access(path, F_OK) == -1) {
		err_errno(err, "%s", path);
		return NULL;
	}
	if (spool_become_owner(path) == -1) {
		err_set(err, EPERM, "%s: its account cannot be taken", path);
		return NULL;
	}
	d = db_open_reader(path, err);
	if (geteuid() != getuid() && (seteuid(getuid()) == -1 || setegid(getgid()) == -1))
		abort();
	return d;
}

/* ---- files ---- */

static int
folder_open(const char *path, struct err *err)
{
	char *folder = strdup(path), *slash;
	int fd;

	ASSERT(folder != NULL);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	fd = fs_open(slash ? folder : ".", O_RDONLY | O_DIRECTORY, 0, err);
	free(folder);
	return fd;
}

/* A name that was made or changed there is on the disk. */
static int
folder_sync(const char *path, struct err *err)
{
	int fd = folder_open(path, err), r = fd == -1 ? -1 : fs_fsync(fd, err);

	if (fd != -1)
		close(fd);
	return r;
}

static int
file_copy(const char *from, const char *to, struct err *err)
{
	static char room[1u << 20];
	int in = fs_open(from, O_RDONLY, 0, err), out = -1, r = in == -1 ? -1 : 0;
	ssize_t n = 1;

	if (r == 0)
		r = out = fs_open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, err);
	while (r != -1 && n > 0) {
		n = read(in, room, sizeof(room));
		if (n == -1 && errno == EINTR)
			n = 1;
		else if (n == -1)
			r = err_errno(err, "%s", from);
		else if (n > 0 && fs_write_all(out, room, (size_t)n, err) == -1)
			r = -1;
	}
	if (out != -1)
		close(out);
	if (in != -1)
		close(in);
	return r == -1 ? -1 : 0;
}

/* The copy belongs to whom the database, or its folder, belongs. */
static int
give_away(const char *path, const char *store, struct err *err)
{
	struct stat st;
	int fd = -1, r = stat(store, &st);

	if (r == -1 && (fd = folder_open(store, err)) != -1)
		r = fstat(fd, &st);
	if (fd != -1)
		close(fd);
	if (r == -1 || (geteuid() == 0 && chown(path, st.st_uid, st.st_gid) == -1))
		return err_errno(err, "%s", path);
	return 0;
}

/* ---- check ---- */

static int
check_open(struct copying *c, struct db *d)
{
	struct err err;
	int n;

	db_use_keys(d, c->keys);
	if (c->keys == NULL)
		tell(c, CHECK_NOTE, "key", "there is none at store_key: what is sealed cannot be opened");
	n = db_check(d, c->quick, tell, c, &err);
	return n == -1 ? failed("it cannot be read", &err, CLI_UNREACHABLE) : n ? CLI_FINDINGS : CLI_OK;
}

static int
check(struct copying *c, const char *path)
{
	struct err err;
	struct db *d = store_reader_open(path, &err);
	int status;

	if (d == NULL && err.code == EUCLEAN) {
		tell(c, CHECK_FAULT, "structure", err.text);
		return CLI_FINDINGS;
	}
	if (d == NULL)
		return failed("check", &err, CLI_UNREACHABLE);
	status = check_open(c, d);
	db_close(&d);
	return status;
}

/* ---- backup ---- */

static void
progress(void *ctx, int64_t done, int64_t pages)
{
	static int64_t said;

	if (!isatty(STDERR_FILENO) || clock_mono() - said < US_PER_SEC)
		return;
	said = clock_mono();
	fprintf(stderr, "\r%lld%%", (long long)(done * 100 / (pages ? pages : 1)));
	if (done == pages)
		fputs("\r    \r", stderr);
}

/* FILE, or FOLDER/store-TIME.db */
static char *
target(const char *to)
{
	struct stat st;
	char stamp[32], *path;
	time_t now = time(NULL);
	struct tm tm;

	if (stat(to, &st) == -1 || !S_ISDIR(st.st_mode))
		return strdup(to);
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	return asprintf(&path, "%s/store-%s.db", to, stamp) == -1 ? NULL : path;
}

static int
backup_to(struct copying *c, const char *path, struct err *err)
{
	struct db *from, *copy;
	char *part;
	int r = -1;

	if (access(path, F_OK) == 0)
		return err_set(err, EEXIST, "%s is there already", path);
	if (asprintf(&part, "%s.part", path) == -1)
		return err_set(err, ENOMEM, "no memory");
	unlink(part);		/* of one that was interrupted */
	if ((from = store_reader_open(c->store, err)) != NULL) {
		r = db_copy(from, part, progress, NULL, err);
		db_close(&from);
	}
	if (r == 0) {		/* what was written is read again */
		if ((copy = db_open_reader(part, err)) == NULL) {
			r = -1;
		} else {
			c->quick = true;
			r = check_open(c, copy) == CLI_OK ? 0 : err_set(err, EUCLEAN, "the database is not sound: see above");
			db_close(&copy);
		}
	}
	if (r == 0 || (err->code == EUCLEAN && c->anyway)) {
		r = rename(part, path) == -1 ? err_errno(err, "%s", path) : folder_sync(path, err);
	} else {
		unlink(part);
	}
	free(part);
	return r;
}

static int
backup(struct copying *c, const char *to)
{
	char *path = target(to);
	struct err err;
	struct stat st;
	struct json j;

	ASSERT(path != NULL);
	if (backup_to(c, path, &err) == -1) {
		free(path);
		return failed("no backup", &err, c->faults ? CLI_FINDINGS : CLI_UNREACHABLE);
	}
	if (stat(path, &st) == -1)
		st.st_size = 0;
	if (c->cli->json) {
		json_begin(&j, &c->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "file", path);
		json_kint(&j, "bytes", st.st_size);
		json_end_object(&j);
		buf_putc(&c->out, '\n');
	} else {
		buf_printf(&c->out, "%s: ", path);
		page_size(&c->out, (uint64_t)st.st_size);
		buf_printf(&c->out, "; what is sealed stays sealed: without the key (%s) nobody reads it,\n"
		    "nor do you: keep a copy of that file too, elsewhere\n", c->key_path);
	}
	page_flush(&c->out);
	free(path);
	return CLI_OK;
}

/* ---- restore ---- */

/* A copy of the copy, beside the database, of this version, and sound. */
static int
prepare(struct copying *c, const char *from, const char *to, struct err *err)
{
	struct db *d = NULL;
	int r;

	unlink(to);
	if (file_copy(from, to, err) == -1)
		return -1;
	if ((d = db_open(to, err)) == NULL)	/* an older one is brought up */
		return -1;
	r = check_open(c, d);
	db_close(&d);
	if (r == CLI_UNREACHABLE || (r == CLI_FINDINGS && !c->anyway))
		return err_set(err, EUCLEAN, "%s is not sound: see above (--anyway takes it all the same)", from);
	return give_away(to, c->store, err);
}

/* store.db and what SQLite has beside it. */
static int
put_aside(const char *store, char **aside, struct err *err)
{
	static const char *const ends[] = { "", "-wal", "-shm" };
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	*aside = NULL;
	if (access(store, F_OK) == -1)
		return 0;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	if (asprintf(aside, "%s.before-%s", store, stamp) == -1)
		return err_set(err, ENOMEM, "no memory");
	for (size_t i = 0; i < 3; i++) {
		char *from = NULL, *to = NULL;
		int r = asprintf(&from, "%s%s", store, ends[i]) == -1 || asprintf(&to, "%s%s", *aside, ends[i]) == -1 ||
		    (rename(from, to) == -1 && errno != ENOENT) ? -1 : 0;

		if (r == -1)
			err_errno(err, "%s", from ? from : store);
		free(from);
		free(to);
		if (r == -1)
			return -1;
	}
	return 0;
}

static int
restore(struct copying *c, const char *from)
{
	char *to, *aside = NULL;
	pid_t pid = db_used_by(c->store);
	struct err err;
	int status = CLI_OK;

	if (pid) {
		fprintf(stderr, "postern: the store is open in process %ld: stop Postern before\n", (long)pid);
		return CLI_FINDINGS;
	}
	if (access(from, R_OK) == -1) {
		err_errno(&err, "%s", from);
		return failed("no backup", &err, CLI_UNREACHABLE);
	}
	if (asprintf(&to, "%s.restore", c->store) == -1)
		return CLI_UNREACHABLE;
	if (prepare(c, from, to, &err) == -1) {
		status = failed("nothing was changed", &err, err.code == EUCLEAN ? CLI_FINDINGS : CLI_UNREACHABLE);
		unlink(to);
	} else if ((pid = db_used_by(c->store)) != 0) {
		fprintf(stderr, "postern: the store has been started meanwhile: nothing was changed\n");
		unlink(to);
		status = CLI_FINDINGS;
	} else if (put_aside(c->store, &aside, &err) == -1 || (rename(to, c->store) == -1 &&
	    err_errno(&err, "%s", c->store) == -1) || folder_sync(c->store, &err) == -1) {
		status = failed("restore", &err, CLI_UNREACHABLE);
	} else if (!c->cli->json) {
		buf_printf(&c->out, "%s is in place. ", from);
		if (aside)
			buf_printf(&c->out, "What was there is kept: %s\n", aside);
		buf_puts(&c->out, "Start Postern. The journal has nothing of the time since the copy; what was kept since is in the "
		    "file put aside\n");
		page_flush(&c->out);
	}
	free(aside);
	free(to);
	return status;
}

/* ---- which ---- */

int
store_copy(int argc, char **argv, const struct cli *cli)
{
	const char *verb = argv[1], *path = NULL;
	bool is_check = strcmp(verb, "check") == 0, is_backup = strcmp(verb, "backup") == 0, quick = false, anyway = false;
	struct copying c;
	int status;

	for (int i = 2; i < argc; i++)
		if (is_check && strcmp(argv[i], "--quick") == 0)
			quick = true;
		else if (!is_check && strcmp(argv[i], "--anyway") == 0)
			anyway = true;
		else if (argv[i][0] == '-' || path)
			return command_usage("store");
		else
			path = argv[i];
	if (path == NULL && !is_check)
		return command_usage("store");
	if (copying_begin(&c, cli) == -1)
		return CLI_FINDINGS;
	c.quick = quick;
	c.anyway = anyway;
	status = is_check ? check(&c, path ? path : c.store) : is_backup ? backup(&c, path) : restore(&c, path);
	copying_end(&c);
	return status;
}
