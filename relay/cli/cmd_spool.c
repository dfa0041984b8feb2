/* cmd_spool.c -- `postern spool check|repair [DIR]`: a spool as it lies on the disk;
 * `postern queue export|import FILE`: a spool as a file to be carried.
 *
 * Without DIR: the one of the configuration. Meant for a stopped daemon's spool
 * and for copies; of a running one a check is a glance (what is being
 * written just now may look torn), a repair is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/diag_out.h"
#include "cli/handover.h"
#include "cli/page.h"
#include "cli/spool_folder.h"
#include "fs.h"
#include "id.h"
#include "json.h"
#include "queue/portable.h"
#include "table.h"

#define REPORT_MAX ((size_t)256 << 20)
#define REPAIR_ROUNDS 3		/* a message seen twice is set aside place by place */

/* What is made in the spool must belong to whom the spool belongs to. */
int
spool_become_owner(const char *path)
{
	struct stat st;

	if (geteuid() != 0 || stat(path, &st) == -1 || st.st_uid == 0)
		return 0;
	if (setegid(st.st_gid) == -1 || seteuid(st.st_uid) == -1) {
		perror("postern: the account of the spool");
		return -1;
	}
	return 0;
}

char *
spool_folder(const struct cli *cli, const char *dir)
{
	struct config *conf = dir ? NULL : cli_load_config(cli);
	char *path = dir ? strdup(dir) : conf ? strdup(conf->spool) : NULL;

	if (conf != cli->conf)
		config_free(&conf);
	return path;
}

static void
put_number(struct buf *o, const char *what, uint64_t n)
{
	if (n > 0)
		buf_printf(o, ", %llu %s", (unsigned long long)n, what);
}

static void
put_segment(struct buf *o, const struct audit *a, const struct audit_segment *s)
{
	buf_printf(o, "  seg-%08u  ", s->number);
	if (s->unreadable) {
		buf_printf(o, "nothing can be read: %s\n", s->unreadable);
		return;
	}
	page_size(o, s->bytes);
	put_number(o, "records", s->records);
	put_number(o, "messages", s->messages);
	put_number(o, "still to be delivered", s->live);
	put_number(o, "damaged", s->damaged);
	if (s->bad_head)
		buf_puts(o, ", its head is damaged");
	if (s->torn)
		buf_printf(o, a->in_use ? ", %llu bytes at %llu are being written" :
		    ", a torn tail of %llu bytes at %llu (nothing in it was acknowledged)",
		    (unsigned long long)s->torn, (unsigned long long)s->torn_at);
	else if (!s->ended)
		buf_puts(o, a->in_use ? ", open" : ", not ended (the daemon was cut off)");
	buf_putc(o, '\n');
}

static void
put_damage(struct buf *o, const struct audit_damage *d)
{
	char id[ID_SIZE];

	if (d->segment)
		buf_printf(o, "  seg-%08u at %llu, %llu bytes: record %s: %s", d->segment,
		    (unsigned long long)d->offset, (unsigned long long)d->size, d->type, d->what);
	else
		buf_printf(o, "  big/%s, %llu bytes: %s", id_format(d->id, id),
		    (unsigned long long)d->size, d->what);
	if (d->segment && d->id)
		buf_printf(o, "; message %s", id_format(d->id, id));
	if (*d->whom) {
		buf_puts(o, "\n    ");
		page_text(o, span_str(d->whom));
	}
	buf_putc(o, '\n');
}

static void
report(struct buf *o, const struct cli *cli, const struct audit *a)
{
	size_t live = idtable_count(a->messages);

	buf_printf(o, "%s: %zu segments, ", a->path, a->nsegments);
	page_count(o, live, "message", "messages");
	buf_puts(o, " to be delivered");
	if (a->nspares)
		buf_printf(o, "; %zu files kept to be used again", a->nspares);
	buf_putc(o, '\n');
	if (a->in_use)
		buf_puts(o, "posternd is running on it: this is a glance at a moving thing\n");
	for (size_t i = 0; i < a->nsegments; i++)
		put_segment(o, a, &a->segments[i]);
	if (a->ndamage) {
		page_begin(o, cli, RED);
		page_count(o, a->ndamage, "place is", "places are");
		buf_puts(o, " damaged:\n");
		page_end(o, cli, RED);
	}
	for (size_t i = 0; i < a->ndamage; i++)
		put_damage(o, &a->damage[i]);
	for (size_t i = 0; i < a->nstrays && !a->in_use; i++)
		buf_printf(o, "  big/%s belongs to no message; a start would remove it\n",
		    a->strays[i]);
	if (audit_clean(a))
		buf_puts(o, "all is well\n");
	else
		buf_puts(o, "a start reads past all this; `postern spool repair` makes it good\n");
}

static void
report_json(struct buf *o, const struct audit *a)
{
	struct json j;
	char id[ID_SIZE];

	json_begin(&j, o);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "spool", a->path);
	json_kbool(&j, "clean", audit_clean(a));
	json_kbool(&j, "in_use", a->in_use);
	json_kuint(&j, "messages", idtable_count(a->messages));
	json_kuint(&j, "spares", a->nspares);
	json_key(&j, "segments");
	json_array(&j);
	for (size_t i = 0; i < a->nsegments; i++) {
		const struct audit_segment *s = &a->segments[i];

		json_object(&j);
		json_kuint(&j, "number", s->number);
		json_kcstr(&j, "error", s->unreadable);
		json_kuint(&j, "bytes", s->bytes);
		json_kuint(&j, "records", s->records);
		json_kuint(&j, "messages", s->messages);
		json_kuint(&j, "live", s->live);
		json_kuint(&j, "damaged", s->damaged);
		json_kbool(&j, "head_damaged", s->bad_head);
		json_kuint(&j, "torn_at", s->torn_at);
		json_kuint(&j, "torn_bytes", s->torn);
		json_kbool(&j, "ended", s->ended);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_key(&j, "damage");
	json_array(&j);
	for (size_t i = 0; i < a->ndamage; i++) {
		const struct audit_damage *d = &a->damage[i];

		json_object(&j);
		json_kuint(&j, "segment", d->segment);
		json_kuint(&j, "offset", d->offset);
		json_kuint(&j, "size", d->size);
		json_kcstr(&j, "id", d->id ? id_format(d->id, id) : NULL);
		json_kcstr(&j, "type", d->type);
		json_kcstr(&j, "what", d->what);
		json_kcstr(&j, "whom", d->whom);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_key(&j, "strays");
	json_array(&j);
	for (size_t i = 0; i < a->nstrays; i++)
		json_cstr(&j, a->strays[i]);
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(o, '\n');
}

static struct audit *
look(const char *path)
{
	struct err err;
	struct audit *a = audit_spool(path, &err);

	if (a == NULL)
		fprintf(stderr, "postern: %s\n", err.text);
	return a;
}

static int
show(const struct cli *cli, const struct audit *a)
{
	struct buf o;

	buf_init(&o, REPORT_MAX);
	if (cli->json)
		report_json(&o, a);
	else
		report(&o, cli, a);
	page_flush(&o);
	buf_release(&o);
	return audit_clean(a) ? CLI_OK : CLI_FINDINGS;
}

static void
said(void *ctx, const char *text)
{
	fprintf(stderr, "%s\n", text);
}

static int
repair(const struct cli *cli, const char *path)
{
	struct audit *a;
	struct err err;
	int status;

	for (int round = 0; ; round++) {
		if ((a = look(path)) == NULL)
			return CLI_FINDINGS;
		if ((audit_clean(a) && !a->in_use) || round == REPAIR_ROUNDS)
			break;
		if (audit_repair(a, said, NULL, &err) == -1) {
			fprintf(stderr, "postern: %s\n", err.text);
			audit_free(&a);
			return CLI_FINDINGS;
		}
		audit_free(&a);
	}
	status = show(cli, a);
	audit_free(&a);
	return status;
}

int
cmd_spool(int argc, char **argv, const struct cli *cli)
{
	struct audit *a = NULL;
	int status = CLI_FINDINGS;
	char *path;

	if (argc >= 3 && argc <= 4 && strcmp(argv[1], "adopt") == 0 && argv[2][0] != '-' &&
	    (argc == 3 || strcmp(argv[3], "--force") == 0))
		return spool_adopt_folder(argv[2], argc == 4, cli);
	if (argc < 2 || argc > 3 || (argc == 3 && argv[2][0] == '-') ||
	    (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "repair") != 0))
		return command_usage("spool");
	if ((path = spool_folder(cli, argc == 3 ? argv[2] : NULL)) == NULL)
		return CLI_FINDINGS;
	if (strcmp(argv[1], "repair") == 0) {
		if (spool_become_owner(path) == 0)
			status = repair(cli, path);
	} else if ((a = look(path)) != NULL)
		status = show(cli, a);
	audit_free(&a);
	free(path);
	return status;
}

/* ---- export and import ---- */

static void
say_count(const struct cli *cli, const char *verb, const struct portable_count *n)
{
	if (cli->json)
		printf("{\"v\":1,\"act\":\"%s\",\"messages\":%llu,\"recipients\":%llu,\"bytes\":%llu,"
		    "\"skipped\":%llu}\n", verb, (unsigned long long)n->messages,
		    (unsigned long long)n->recipients, (unsigned long long)n->bytes,
		    (unsigned long long)n->skipped);
	else
		fprintf(stderr, "%llu messages %sed, %llu left out\n", (unsigned long long)n->messages,
		    verb, (unsigned long long)n->skipped);
}

static int
export_to(const struct cli *cli, const char *path, int fd)
{
	struct config *conf = cli_load_config(cli);
	struct portable_count n = { 0 };
	struct audit *a;
	struct err err;
	int status = CLI_FINDINGS;

	if (conf == NULL)
		return CLI_FINDINGS;
	if ((a = look(path)) == NULL)
		goto out;
	if (a->in_use)
		fprintf(stderr, "posternd is running: what it delivers from now on is in the export "
		    "too\n");
	if (portable_export(a, fd, conf->hostname, NULL, &n, said, NULL, &err) == -1 ||
	    (fd != STDOUT_FILENO && fs_fsync(fd, &err) == -1)) {
		fprintf(stderr, "postern: %s\n", err.text);
	} else {
		status = n.skipped ? CLI_FINDINGS : CLI_OK;
		if (!cli->json || fd != STDOUT_FILENO)
			say_count(cli, "export", &n);
	}
	audit_free(&a);
out:
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}

/* FILE [DIR]; `-` is the standard output or input. */
int
queue_export(int argc, char **argv, const struct cli *cli)
{
	bool out = argc > 0 && strcmp(argv[0], "-") == 0;
	struct err err;
	int status, fd;
	char *path;

	if (argc < 1 || argc > 2 || (argv[0][0] == '-' && !out))
		return command_usage("queue");
	if ((path = spool_folder(cli, argc == 2 ? argv[1] : NULL)) == NULL)
		return CLI_FINDINGS;
	/* An export already there may be the only copy of something. */
	fd = out ? STDOUT_FILENO : fs_open(argv[0], O_WRONLY | O_CREAT | O_EXCL, 0600, &err);
	if (fd == -1) {
		fprintf(stderr, "postern: %s\n", err.text);
		free(path);
		return CLI_FINDINGS;
	}
	status = export_to(cli, path, fd);
	if (!out)
		close(fd);
	free(path);
	return status;
}

/* ---- the daemon's part of an import ---- */

static void
answer_line(void *ctx, const struct jval *v, struct span text)
{
	*(int64_t *)ctx = jval_int(v, "segment", 0);
}

/* control_ask says itself what is wrong. */
static int
ask_segment(const struct cli *cli, const char *cmd, uint32_t number, uint32_t *out, struct err *err)
{
	uid_t owner = geteuid();
	int64_t segment = 0;
	struct request r;
	int status;

	request_begin(&r, cmd);
	if (number)
		json_kuint(&r.j, "segment", number);
	/* Who asks is who called us, not the account that owns the spool. */
	if (getuid() == 0 && seteuid(0) == -1)
		return err_errno(err, "the account of the spool");
	status = control_ask(cli, &r, CONTROL_READ, answer_line, &segment);
	if (getuid() == 0 && seteuid(owner) == -1)
		return err_errno(err, "the account of the spool");
	if (status == CLI_UNREACHABLE)
		return err_set(err, ECONNREFUSED, "posternd has gone: import the file again, nothing is "
		    "taken twice");
	if (status != CLI_OK || segment <= 0)
		return err_set(err, EBUSY, "posternd does not take it");
	if (out)
		*out = (uint32_t)segment;
	return 0;
}

static int
ask_reserve(void *ctx, uint32_t *number, struct err *err)
{
	return ask_segment(ctx, "queue.reserve", 0, number, err);
}

static int
ask_adopt(void *ctx, uint32_t number, struct err *err)
{
	return ask_segment(ctx, "queue.adopt", number, NULL, err);
}

/* Is it the spool of the daemon that the configuration names? */
static bool
spool_is_configured(const struct cli *cli, const char *path)
{
	char *own = spool_folder(cli, NULL);
	struct stat a, b;
	bool same = own && stat(own, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino;

	free(own);
	return same;
}

/* For the ids of what is imported. A folder can be imported into without a configuration. */
static uint32_t
node_number(const struct cli *cli)
{
	struct config *conf = cli->conf ? cli->conf : config_read_quiet(cli);
	uint32_t number = conf ? conf->node_number : 0;

	if (conf != cli->conf)
		config_free(&conf);
	return number;
}

static void
put_ack(void *ctx, uint64_t old, uint64_t fresh)
{
	char a[ID_SIZE], b[ID_SIZE];

	printf("{\"v\":1,\"id\":\"%s\",\"as\":\"%s\"}\n", id_format(old, a), fresh ? id_format(fresh, b) : "");
	fflush(stdout);
}

int
queue_import_from(const struct cli *cli, const char *path, int fd, bool acks)
{
	struct portable_daemon daemon = { (void *)(uintptr_t)cli, ask_reserve, ask_adopt };
	struct portable_count n = { .taken = acks ? put_ack : NULL };
	bool ours = spool_is_configured(cli, path);
	int status = CLI_FINDINGS;
	struct err err;

	if (spool_become_owner(path) == -1)
		return status;
	if (portable_import(path, fd, ours ? &daemon : NULL, node_number(cli), &n, &err) == -1)
		fprintf(stderr, "postern: %s\n", err.text);
	else
		status = CLI_OK;
	say_count(cli, "import", &n);
	if (getuid() == 0 && seteuid(0) == -1)
		perror("postern: the account of the spool");
	return status;
}

int
queue_import(int argc, char **argv, const struct cli *cli)
{
	bool in = argc > 0 && strcmp(argv[0], "-") == 0;
	int status = CLI_FINDINGS, fd;
	struct err err;
	char *path;

	if (argc < 1 || argc > 2 || (argv[0][0] == '-' && !in))
		return command_usage("queue");
	if ((path = spool_folder(cli, argc == 2 ? argv[1] : NULL)) == NULL)
		return CLI_FINDINGS;
	fd = in ? STDIN_FILENO : fs_open(argv[0], O_RDONLY, 0, &err);
	if (fd == -1)
		fprintf(stderr, "postern: %s\n", err.text);
	else
		status = queue_import_from(cli, path, fd, cli->json && in);
	if (fd != -1 && !in)
		close(fd);
	free(path);
	return status;
}
