/* cmd_bundle_apply.c -- `postern bundle check|apply FILE`: is it good, what would change; make it so.
 *
 * Both unpack it beside the folder in force (bundle/stage.c) and load it from there with the node's own files, as posternd would.
 * check stops there. apply lets the two folders change places, asks the daemon to reload, and when the daemon refuses,
 * lets them change back. A bundle older than the one in force is refused: who replays one gets nothing.
 */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/bundle_cli.h"
#include "cli/diag_out.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "cli/textdiff.h"
#include "clock.h"
#include "fs.h"
#include "table.h"

#define KEY_FILE_MAX ((size_t)64 << 10)
#define SAID_MAX ((size_t)4 << 20)
#define PAGE_MAX ((size_t)256 << 20)
#define BUSY_US (60 * US_PER_SEC)	/* so long another reload is waited for */

struct applying {
	const struct bundle_args *args;
	const struct cli *cli;
	struct arena *a;
	const char *dir, *staged;
	struct bundle b;
	struct bundle_file *files;	/* with its secrets, sorted */
	size_t nfiles;
	struct bundle_state old;
	struct buf out;			/* the page */
	size_t added, changed, removed;
	bool was_in_force;		/* staged is the folder that was: not to be removed */
	struct err err;
};

/* ---- is it good ---- */

static int
read_trusted(struct applying *x, struct bundle_keys *keys)
{
	const char *path = x->args->trust ? x->args->trust :
	    arena_printf(x->a, "%s/" BUNDLE_TRUST_FILE, x->dir);
	struct span text;

	if (fs_read(x->a, path, KEY_FILE_MAX, &text, &x->err) == -1)
		return errno == ENOENT ? err_set(&x->err, ENOENT, "%s is not there: put the public key there whose bundles "
		    "count (`postern bundle keygen`)", path) : -1;
	return bundle_keys_read(text, BUNDLE_SIGN, path, keys, &x->err);
}

/* A store key that is here and not in the bundle's file opens what lies sealed on this node. */
static int
keeps_store_key(struct applying *x, const struct bundle_file *f)
{
	struct span have, line;

	if (!span_is(f->name, "keys/store.key") ||
	    fs_read(x->a, arena_printf(x->a, "%s/keys/store.key", x->dir), KEY_FILE_MAX, &have, NULL) == -1)
		return 0;
	for (; have.n > 0; have = span_from(have, line.n + 1)) {
		line = span_sub(have, 0, span_find(have, '\n'));
		if (line.n > 0 && line.p[0] != '#' && memmem(f->data.p, f->data.n, line.p, line.n) == NULL)
			return err_set(&x->err, EEXIST, "keys/store.key of this node has a key that the bundle's has not: what is "
			    "sealed here could not be read any more; put this node's key into the bundle's file "
			    "first, or leave out keys with --without-secrets");
	}
	return 0;
}

static int
open_secrets(struct applying *x)
{
	const char *path = arena_printf(x->a, "%s/" BUNDLE_NODE_KEY, x->dir);
	struct bundle_key *own = NULL;
	struct bundle_file *more;
	struct span text, plain;
	size_t n = 0;
	int r = -1;

	x->files = x->b.files;
	x->nfiles = x->b.nfiles;
	if (x->b.sealed.n == 0 || x->args->without_secrets)
		return 0;
	if (fs_read(x->a, path, KEY_FILE_MAX, &text, &x->err) == 0 &&
	    (own = bundle_key_private(text, BUNDLE_SEAL, path, &x->err)) != NULL &&
	    bundle_unseal(x->a, x->b.sealed, own, &plain, &x->err) == 0 &&
	    bundle_read_files(x->a, plain, true, &more, &n, &x->err) == 0)
		r = 0;
	bundle_key_free(&own);
	for (size_t i = 0; i < n && r == 0; i++)
		r = keeps_store_key(x, &more[i]);
	if (r == -1)
		return -1;
	x->files = arena_array(x->a, x->nfiles + n + 1, sizeof(*x->files));
	memcpy(x->files, x->b.files, x->b.nfiles * sizeof(*x->files));
	if (n)
		memcpy(x->files + x->nfiles, more, n * sizeof(*more));
	x->nfiles += n;
	bundle_sort(x->files, x->nfiles);
	for (size_t i = 1; i < x->nfiles; i++)
		if (span_eq(x->files[i - 1].name, x->files[i].name))
			return err_set(&x->err, EBADMSG, SPAN_FMT " is twice in it", SPAN_ARG(x->files[i].name));
	return 0;
}

static int
is_newer(struct applying *x)
{
	char hex[65];

	bundle_digest(&x->b, hex);
	if (x->b.serial > x->old.serial || x->args->force ||
	    (x->b.serial == x->old.serial && span_is(x->old.digest, hex)))
		return 0;
	return err_set(&x->err, EALREADY, "it is number %lld, and %lld is in force: an older one is taken with --force only",
	    (long long)x->b.serial, (long long)x->old.serial);
}

static bool
brings(const struct applying *x, const char *name)
{
	for (size_t i = 0; i < x->nfiles; i++)
		if (span_is(x->files[i].name, name))
			return true;
	return false;
}

static int
open_it(struct applying *x)
{
	static const char *const never[] = { "node.yaml", BUNDLE_TRUST_FILE, BUNDLE_STATE_FILE, BUNDLE_NODE_KEY, NULL };
	struct bundle_keys keys = { .n = 0 };
	const char *config = strrchr(x->cli->config_path, '/');
	struct span bytes;
	int r = -1;

	config = config ? config + 1 : x->cli->config_path;
	if (fs_read(x->a, x->args->file, BUNDLE_MAX, &bytes, &x->err) == 0 &&
	    bundle_read(x->a, bytes, &x->b, &x->err) == 0 && read_trusted(x, &keys) == 0 &&
	    bundle_verify(&x->b, &keys, &x->err) == 0 &&
	    bundle_state_read(x->a, x->dir, &x->old, &x->err) == 0 && is_newer(x) == 0)
		r = open_secrets(x);
	bundle_keys_free(&keys);
	for (size_t i = 0; never[i] && r == 0; i++)
		if (brings(x, never[i]))
			r = err_set(&x->err, EBADMSG, "%s is this node's own; no bundle may bring it", never[i]);
	if (r == 0 && !brings(x, config))
		r = err_set(&x->err, EBADMSG, "it has no %s", config);
	return r;
}

/* ---- what would change ---- */

static void
put_line(void *ctx, char sign, struct span line)
{
	struct applying *x = ctx;

	page_begin(&x->out, x->cli, sign == '+' ? GREEN : sign == '-' ? RED : DIM);
	buf_printf(&x->out, "    %c", sign);
	page_text(&x->out, line);
	page_end(&x->out, x->cli, sign == '+' ? GREEN : sign == '-' ? RED : DIM);
	buf_putc(&x->out, '\n');
}

static void
put_change(struct applying *x, const char *what, struct span name, bool secret)
{
	if (x->cli->json) {
		struct json j;

		json_begin(&j, &x->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "change", what);
		json_kstr(&j, "file", name);
		json_kbool(&j, "secret", secret);
		json_end_object(&j);
	} else {
		buf_printf(&x->out, "  %-8s ", what);
		page_text(&x->out, name);
	}
	buf_putc(&x->out, '\n');
}

static void
compare(struct applying *x, const struct bundle_file *f)
{
	struct span have;
	bool there = fs_read(x->a, arena_printf(x->a, "%s/" SPAN_FMT, x->dir, SPAN_ARG(f->name)), BUNDLE_MAX, &have,
	    NULL) == 0;

	if (there && span_eq(have, f->data))
		return;
	*(there ? &x->changed : &x->added) += 1;
	put_change(x, there ? "changed" : "new", f->name, f->secret);
	if (there && !f->secret && !x->cli->json && !x->args->brief && memchr(f->data.p, 0, f->data.n) == NULL)
		textdiff(have, f->data, put_line, x);
}

static struct applying *walking;	/* nftw has no argument for its caller's */

static int
look_removed(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	const char *name = path + strlen(walking->dir) + 1;

	if (kind != FTW_F && kind != FTW_SL)
		return 0;
	if (access(arena_printf(walking->a, "%s/%s", walking->staged, name), F_OK) == -1 && errno == ENOENT) {
		put_change(walking, "removed", span_str(name), false);
		walking->removed++;
	}
	return 0;
}

static void
put_changes(struct applying *x)
{
	for (size_t i = 0; i < x->nfiles; i++)
		compare(x, &x->files[i]);
	walking = x;
	nftw(x->dir, look_removed, 8, FTW_PHYS);
}

static int
stage(struct applying *x)
{
	const char *base = strrchr(x->cli->config_path, '/'), *slash = strrchr(x->dir, '/');
	const char *beside = arena_printf(x->a, "%.*s/.%s.bundle", (int)(slash - x->dir), x->dir, slash + 1);
	struct buf said;
	struct span text;
	int status;

	if (access(arena_printf(x->a, "%s/.git", x->dir), F_OK) == 0)
		return err_set(&x->err, EEXIST, "%s is kept with git: use its own way (docs/CLUSTER.md), not both", x->dir);
	if (bundle_stage(x->a, x->dir, beside, &x->b, x->files, x->nfiles, &x->old, &x->staged, &x->err) == -1)
		return -1;
	buf_init(&said, SAID_MAX);
	status = bundle_try(arena_printf(x->a, "%s/%s", beside, base ? base + 1 : x->cli->config_path), false, &said);
	text = arena_span(x->a, buf_data(&said));
	buf_release(&said);
	if (status == CLI_OK)
		return 0;
	fwrite(text.p, 1, text.n, stderr);
	return err_set(&x->err, EINVAL, "it does not load on this node: nothing was changed");
}

static void
unstage(struct applying *x)
{
	const char *slash = strrchr(x->dir, '/');

	if (!x->was_in_force)
		cli_remove_tree(arena_printf(x->a, "%.*s/.%s.bundle", (int)(slash - x->dir), x->dir, slash + 1));
}

static void
say_title(struct applying *x)
{
	char hex[65];

	if (x->cli->json)
		return;
	bundle_digest(&x->b, hex);
	buf_printf(&x->out, "bundle %lld of ", (long long)x->b.serial);
	page_text(&x->out, x->b.made);
	buf_puts(&x->out, " (");
	page_stamp(&x->out, x->b.serial);
	buf_printf(&x->out, "), signed with " SPAN_FMT ", %.16s\n", SPAN_ARG(x->b.keyid), hex);
	if (x->b.sealed.n == 0 || x->args->without_secrets)
		buf_puts(&x->out, "  no keys in it: this node's own stay\n");
}

static void
say_end(struct applying *x, const char *end)
{
	if (x->cli->json) {
		struct json j;

		json_begin(&j, &x->out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "result", end);
		json_kint(&j, "serial", x->b.serial);
		json_kint(&j, "in_force", x->old.serial);
		json_kstr(&j, "key", x->b.keyid);
		json_kuint(&j, "new", x->added);
		json_kuint(&j, "changed", x->changed);
		json_kuint(&j, "removed", x->removed);
		json_end_object(&j);
		buf_putc(&x->out, '\n');
	} else
		buf_printf(&x->out, "%s: %zu new, %zu changed, %zu removed\n", end, x->added, x->changed, x->removed);
	page_flush(&x->out);
}

static void
begin(struct applying *x, const struct bundle_args *args, const struct cli *cli)
{
	*x = (struct applying){ .args = args, .cli = cli, .a = arena_new(0) };
	buf_init(&x->out, PAGE_MAX);
	x->dir = bundle_folder(x->a, cli);
}

static int
end(struct applying *x, int r)
{
	int status = r == -1 ? bundle_say(&x->err) : CLI_OK;

	buf_release(&x->out);
	arena_free(&x->a);
	return status;
}

int
bundle_check(const struct bundle_args *args, const struct cli *cli)
{
	struct applying x;
	int r;

	begin(&x, args, cli);
	if ((r = open_it(&x)) == 0 && (r = stage(&x)) == 0) {
		say_title(&x);
		put_changes(&x);
		say_end(&x, "fine");
	}
	if (x.b.nfiles)
		unstage(&x);
	return end(&x, r);
}

/* ---- make it so ---- */

struct reloaded {
	bool ok, busy;
	char why[2000];
};

static void
reload_line(void *ctx, const struct jval *v, struct span text)
{
	struct reloaded *r = ctx;
	struct span why = jval_text(v, "error");

	r->ok = jval_bool(v, "ok");
	r->busy = span_is(why, "a start or reload is under way");
	snprintf(r->why, sizeof(r->why), SPAN_FMT, SPAN_ARG(span_sub(why, 0, sizeof(r->why) - 1)));
}

/* 1: in force; 0: no daemon runs; -1: it refuses. */
static int
reload(struct applying *x, const struct cli *daemon)
{
	static const struct timespec pause = { 0, 100000000L };
	int64_t until = clock_mono() + BUSY_US;
	struct reloaded done = { 0 };
	struct request r;

	for (;;) {
		request_begin(&r, "reload");
		if (control_ask_quietly(daemon, &r, reload_line, &done) == CLI_UNREACHABLE)
			return 0;
		if (done.ok)
			return 1;
		if (!done.busy || clock_mono() > until)
			return err_set(&x->err, EINVAL, "posternd refuses it, and it was taken back:\n%s", done.why);
		nanosleep(&pause, NULL);
	}
}

static void
nothing(void *ctx, const struct jval *v, struct span text)
{
}

static void
audit(struct applying *x, const struct cli *daemon, const char *what)
{
	struct request r;

	request_begin(&r, "audit.note");
	json_kcstr(&r.j, "what", what);
	json_kcstr(&r.j, "subject", arena_printf(x->a, "%lld", (long long)x->b.serial));
	json_kcstr(&r.j, "detail", arena_printf(x->a, "made on " SPAN_FMT ", signed with " SPAN_FMT ", %zu new, %zu changed, "
	    "%zu removed%s", SPAN_ARG(x->b.made), SPAN_ARG(x->b.keyid), x->added, x->changed, x->removed,
	    x->args->force ? ", forced" : ""));
	if (control_ask_quietly(daemon, &r, nothing, NULL) != CLI_OK)
		fputs("postern: the audit log could not be told\n", stderr);
}

static int
put_in_force(struct applying *x, const struct cli *daemon)
{
	struct err later;
	int r;

	if (bundle_swap(x->dir, x->staged, &x->err) == -1)
		return -1;
	x->was_in_force = true;
	if ((r = reload(x, daemon)) == -1) {
		if (bundle_swap(x->dir, x->staged, &later) == -1)
			fprintf(stderr, "postern: it could not be taken back: %s; the folder as it was is %s\n", later.text,
			    x->staged);
		else {
			x->was_in_force = false;
			audit(x, daemon, "bundle.refused");
		}
		return -1;
	}
	if (bundle_keep(x->a, x->dir, x->staged, &x->err) == -1)
		return -1;
	if (r == 1)
		audit(x, daemon, "bundle.apply");
	say_end(x, r == 1 ? "in force" : "in its place (posternd does not run: it takes it when it starts)");
	return 0;
}

int
bundle_apply(const struct bundle_args *args, const struct cli *cli)
{
	/* The daemon is where the folder in force says it is. */
	struct cli daemon = *cli;
	struct config *conf = NULL;
	struct applying x;
	int r;

	begin(&x, args, cli);
	if ((r = open_it(&x)) == 0 && (r = stage(&x)) == 0) {
		if (access(cli->config_path, F_OK) == 0 && cli->conf == NULL)
			daemon.conf = conf = cli_load_config(cli);
		say_title(&x);
		put_changes(&x);
		if (x.b.serial == x.old.serial && x.added + x.changed + x.removed == 0)
			say_end(&x, "in force already");
		else
			r = put_in_force(&x, &daemon);
		config_free(&conf);
	}
	if (x.b.nfiles)
		unstage(&x);
	return end(&x, r);
}
