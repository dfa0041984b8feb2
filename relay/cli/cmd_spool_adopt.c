/* cmd_spool_adopt.c -- `postern spool adopt DIR`: the queue of a node that is dead, from its disk into this node's.
 *
 * DIR is its spool, mounted here or copied as a whole. Before the first message is taken DIR/adopted says who took it,
 * durably: from then on no posternd starts on that folder, so the node may come back without delivering a second
 * time. Begun again after a cut it goes on: nothing is taken twice (portable_import.c). When all has been taken the
 * segments are renamed to seg-N.adopted and the mark goes: an empty spool.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/handover.h"
#include "cli/spool_folder.h"
#include "fs.h"
#include "queue/portable.h"
#include "queue/spool_internal.h"
#include "table.h"

static int
fails(const struct err *err)
{
	fprintf(stderr, "postern: %s\n", err->text);
	return CLI_FINDINGS;
}

static int
mark(struct audit *a, const struct config *conf, struct err *err)
{
	char text[300];
	int fd = fs_openat(a->dirfd, SPOOL_ADOPTED, O_WRONLY | O_CREAT | O_TRUNC, 0644, err), r;

	if (fd == -1)
		return -1;
	snprintf(text, sizeof(text), SPAN_FMT, SPAN_ARG(conf->node));
	r = fs_write_all(fd, text, strlen(text), err);
	if (r == 0)
		r = fs_fsync(fd, err);
	close(fd);
	return r == 0 ? fs_fsync(a->dirfd, err) : -1;
}

/* What its node had offered to another may be there: only that one can say so. */
static int
may_take(struct audit *a, const struct config *conf, bool force, struct err *err)
{
	struct arena *scratch = arena_new(0);
	struct span to = { 0 };
	size_t at = 0, n = 0;
	uint64_t id;
	void *v;
	int fd, r = 0;

	while (idtable_next(a->messages, &at, &id, &v))
		n += (((struct audit_message *)v)->flags & STATE_OFFERED) != 0;
	fd = openat(a->dirfd, "handover", O_RDONLY | O_CLOEXEC);
	if (fd != -1 && fs_read_fd(scratch, fd, 200, &to, err) == -1)
		to = (struct span){ 0 };
	if (fd != -1)
		close(fd);
	if (n > 0 && !span_eq(to, conf->node) && !force)
		r = err_set(err, EBUSY, "%zu messages were offered to `" SPAN_FMT "` when the node died, and may be there: adopt "
		    "the folder on that node; --force takes them here, perhaps a second time", n, SPAN_ARG(to));
	arena_free(&scratch);
	return r;
}

static void
said(void *ctx, const char *text)
{
	fprintf(stderr, "postern: %s\n", text);
}

/* The child's: everything that is live, with its schedule. 0 only when nothing was left out. */
static int
pour(struct audit *a, const struct config *conf, int fd)
{
	struct portable_count n = { 0 };
	struct idtable *all = idtable_new();
	struct err err;
	size_t at = 0;
	uint64_t id;
	void *v;

	while (idtable_next(a->messages, &at, &id, &v))
		idtable_put(all, id, a);
	if (portable_export(a, fd, conf->hostname, all, &n, said, NULL, &err) == -1)
		return fails(&err);
	return n.skipped ? CLI_FINDINGS : CLI_OK;
}

/* All has been taken: what is left is an empty spool, and the old segments beside it. */
static int
retire(struct audit *a, struct err *err)
{
	char name[SEGMENT_NAME_MAX], to[SEGMENT_NAME_MAX + 16];

	for (size_t i = 0; i < a->nsegments; i++) {
		segment_name(a->segments[i].number, name);
		snprintf(to, sizeof(to), "%s.adopted", name);
		if (fs_renameat(a->dirfd, name, to, err) == -1)
			return -1;
	}
	(void)unlinkat(a->dirfd, "handover", 0);
	if (fs_fsync(a->dirfd, err) == -1)
		return -1;
	return unlinkat(a->dirfd, SPOOL_ADOPTED, 0) == -1 ? err_errno(err, SPOOL_ADOPTED) : fs_fsync(a->dirfd, err);
}

static int
carry(struct audit *a, const struct config *conf, const struct cli *cli, const char *own)
{
	int p[2], status = -1, r;
	pid_t pid;

	if (pipe2(p, O_CLOEXEC) == -1 || (fflush(NULL), pid = fork()) == -1) {
		perror("postern: a pipe");
		return CLI_FINDINGS;
	}
	if (pid == 0) {
		close(p[0]);
		_exit(pour(a, conf, p[1]));
	}
	close(p[1]);
	r = queue_import_from(cli, own, p[0], false);
	close(p[0]);
	if (waitpid(pid, &status, 0) == -1 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		r = CLI_FINDINGS;
	return r;
}

int
spool_adopt_folder(const char *dir, bool force, const struct cli *cli)
{
	struct config *conf = cli_load_config(cli);
	struct audit *a = NULL;
	struct err err;
	int status = CLI_FINDINGS;

	if (conf == NULL)
		return CLI_FINDINGS;
	signal(SIGPIPE, SIG_IGN);
	if ((a = audit_spool(dir, &err)) == NULL)
		status = fails(&err);
	else if (a->in_use)
		fprintf(stderr, "postern: a posternd runs on %s: `postern drain --to` this node there\n", dir);
	else if (may_take(a, conf, force, &err) == -1 || mark(a, conf, &err) == -1)
		status = fails(&err);
	else if ((status = carry(a, conf, cli, conf->spool)) == CLI_OK) {
		if (retire(a, &err) == -1)
			status = fails(&err);
		else if (!cli->json)
			printf("%s is empty now; its messages are in the queue here\n", dir);
	} else
		fprintf(stderr, "postern: not all of it was taken; no posternd starts on %s until the same command has "
		    "ended well\n", dir);
	audit_free(&a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
