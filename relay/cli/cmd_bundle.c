/* cmd_bundle.c -- `postern bundle make|sign|keygen`, and the arguments of check and apply (cmd_bundle_apply.c).
 *
 * A bundle is made where the configuration is kept, signed by who answers for it, and applied on each node.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/bundle_cli.h"
#include "cli/commands.h"
#include "clock.h"
#include "fs.h"
#include "json.h"

#define KEY_FILE_MAX ((size_t)64 << 10)
#define SAID_MAX ((size_t)4 << 20)
#define WATCHED_MAX 1000

int
bundle_say(const struct err *err)
{
	fprintf(stderr, "postern: %s\n", err->text);
	return CLI_FINDINGS;
}

const char *
bundle_folder(struct arena *a, const struct cli *cli)
{
	char real[PATH_MAX], *dir = arena_str(a, span_str(cli->config_path)), *slash = strrchr(dir, '/');

	if (slash == NULL)
		dir = arena_str(a, SPAN_LIT("."));
	else
		slash[slash == dir] = '\0';
	return realpath(dir, real) ? arena_str(a, span_str(real)) : dir;
}

int
bundle_try(const char *config_path, bool files, struct buf *said)
{
	struct cli cli = { .config_path = config_path, .quiet = true, .list_files = files };
	char *none[] = { (char *)(uintptr_t)"check", NULL };
	struct err err;
	int fd = fs_memfd("check", &err), status;
	struct arena *a;
	struct span text;
	pid_t pid;

	if (fd == -1)
		return bundle_say(&err);
	fflush(NULL);
	if ((pid = fork()) == 0) {
		dup2(fd, 1);
		dup2(fd, 2);
		status = cmd_check(1, none, &cli);
		fflush(NULL);
		_exit(status);
	}
	if (pid == -1 || waitpid(pid, &status, 0) == -1) {
		perror("postern: the check");
		close(fd);
		return CLI_FINDINGS;
	}
	a = arena_new(0);
	if (lseek(fd, 0, SEEK_SET) == 0 && fs_read_fd(a, fd, SAID_MAX, &text, &err) == 0)
		buf_span(said, text);
	arena_free(&a);
	close(fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : CLI_FINDINGS;
}

/* ---- keys ---- */

static struct bundle_key *
read_key(struct arena *a, const char *path, struct err *err)
{
	struct span text;

	if (fs_read(a, path, KEY_FILE_MAX, &text, err) == -1)
		return NULL;
	return bundle_key_private(text, BUNDLE_SIGN, path, err);
}

/* O_EXCL: a key that is there may be the only one. */
static int
write_new(const char *path, struct span text, mode_t mode, struct err *err)
{
	int fd = fs_open(path, O_WRONLY | O_CREAT | O_EXCL, mode, err), r;

	if (fd == -1)
		return -1;
	r = fs_write_all(fd, text.p, text.n, err);
	if (r == 0)
		r = fs_fsync(fd, err);
	close(fd);
	return r;
}

static int
keygen(const struct bundle_args *args, const struct cli *cli)
{
	struct arena *a = arena_new(0);
	const char *stem = args->file ? args->file : args->node ?
	    arena_printf(a, "%s/keys/node", bundle_folder(a, cli)) : "bundle";
	const char *private = arena_printf(a, "%s.key", stem), *public = arena_printf(a, "%s.pub", stem);
	struct bundle_keys keys = { .n = 0 };
	struct buf x, y;
	struct err err;
	int status = CLI_OK;

	buf_init(&x, KEY_FILE_MAX);
	buf_init(&y, KEY_FILE_MAX);
	if (bundle_key_make(args->node ? BUNDLE_SEAL : BUNDLE_SIGN, &x, &y, &err) == -1 ||
	    bundle_keys_read(buf_data(&y), args->node ? BUNDLE_SEAL : BUNDLE_SIGN, public, &keys, &err) == -1 ||
	    write_new(private, buf_data(&x), 0600, &err) == -1 ||
	    write_new(public, buf_data(&y), 0644, &err) == -1)
		status = bundle_say(&err);
	else if (cli->json)
		printf("{\"v\":1,\"key\":\"%s\",\"private\":\"%s\",\"public\":\"%s\"}\n",
		    bundle_key_id(keys.v[0]), private, public);
	else
		printf("key %s: %s (keep it), %s (give it away)\n", bundle_key_id(keys.v[0]), private, public);
	bundle_keys_free(&keys);
	OPENSSL_cleanse(x.p, x.n);
	buf_release(&x);
	buf_release(&y);
	arena_free(&a);
	return status;
}

/* ---- make and sign ---- */

/* Beside its place and renamed into it; "-": the standard output. */
static int
put_out(struct arena *a, const char *path, struct span bytes, struct err *err)
{
	const char *tmp;
	int fd, r;

	if (strcmp(path, "-") == 0)
		return fs_write_all(STDOUT_FILENO, bytes.p, bytes.n, err);
	tmp = arena_printf(a, "%s.tmp", path);
	if ((fd = fs_open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600, err)) == -1)
		return -1;
	r = fs_write_all(fd, bytes.p, bytes.n, err);
	if (r == 0)
		r = fs_fsync(fd, err);
	close(fd);
	if (r == 0 && rename(tmp, path) == -1)
		r = err_errno(err, "%s", path);
	return r;
}

static size_t
watched(struct arena *a, struct span said, const char **out)
{
	static const struct span marks[] = { { "watch: ", 7 }, { "watch-print: ", 13 } };
	size_t n = 0;

	while (said.n && n < WATCHED_MAX) {
		size_t eol = span_find(said, '\n');
		struct span line = span_sub(said, 0, eol);

		said = span_from(said, eol + 1);
		for (size_t i = 0; i < 2; i++)
			if (span_starts(line, marks[i]))
				out[n++] = arena_str(a, span_from(line, marks[i].n));
	}
	return n;
}

/* SOURCE_DATE_EPOCH (reproducible-builds.org): the same files are then the same bytes. */
static int64_t
serial_of(const struct bundle_args *args)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t n;

	if (args->serial)
		return args->serial;
	if (epoch && parse_uint(span_str(epoch), INT64_MAX / US_PER_SEC, &n) && n > 0)
		return (int64_t)n * US_PER_SEC;
	return clock_real();
}

static int
seal(struct arena *a, const struct bundle_args *args, struct bundle *b, struct buf *sealed, struct err *err)
{
	struct bundle_keys to = { .n = 0 };
	struct buf plain;
	struct span text;
	int r = 0;

	buf_init(&plain, BUNDLE_MAX);
	for (size_t i = 0; i < args->nto && r == 0; i++)
		if ((r = fs_read(a, args->to[i], KEY_FILE_MAX, &text, err)) == 0)
			r = bundle_keys_read(text, BUNDLE_SEAL, args->to[i], &to, err);
	if (r == 0 && to.n) {
		bundle_write_secrets(&plain, b->files, b->nfiles);
		r = buf_failed(&plain) ? err_set(err, EFBIG, "the secrets are too large") :
		    bundle_seal(sealed, buf_data(&plain), &to, err);
		b->sealed = buf_data(sealed);
	}
	OPENSSL_cleanse(plain.p, plain.n);
	buf_release(&plain);
	bundle_keys_free(&to);
	return r;
}

static void
say_made(const struct bundle_args *args, const struct cli *cli, const struct bundle *b, const char *key)
{
	FILE *to = strcmp(args->out, "-") == 0 ? stderr : stdout;
	size_t secrets = 0;

	for (size_t i = 0; i < b->nfiles; i++)
		secrets += b->files[i].secret;
	if (cli->json) {
		fprintf(to, "{\"v\":1,\"serial\":%lld,\"files\":%zu,\"secrets\":%zu,\"sealed\":%s,\"key\":%s%s%s}\n",
		    (long long)b->serial, b->nfiles - secrets, secrets, b->sealed.n ? "true" : "false",
		    key ? "\"" : "", key ? key : "null", key ? "\"" : "");
		return;
	}
	fprintf(to, "bundle %lld: %zu files, %zu keys %s, %s%s\n", (long long)b->serial, b->nfiles - secrets, secrets,
	    b->sealed.n ? "sealed for the nodes" : "left out (--to NODE.pub takes them along)",
	    key ? "signed with " : "not signed", key ? key : "");
	for (size_t i = 0; i < b->nneeds; i++)
		fprintf(to, "  too large for a bundle, must be on each node: " SPAN_FMT "\n", SPAN_ARG(b->needs[i]));
}

static int
make(const struct bundle_args *args, const struct cli *cli)
{
	const char *files[WATCHED_MAX];
	struct arena *a = arena_new(0);
	struct bundle_key *key = NULL;
	struct config *conf = NULL;
	struct buf said, out, sealed;
	struct bundle b = { 0 };
	struct err err;
	int status = CLI_FINDINGS;

	buf_init(&said, SAID_MAX);
	buf_init(&out, BUNDLE_MAX);
	buf_init(&sealed, BUNDLE_MAX);
	if (bundle_try(cli->config_path, true, &said) != CLI_OK) {
		fwrite(buf_data(&said).p, 1, buf_size(&said), stderr);
		fputs("postern: what does not load is not made into a bundle\n", stderr);
		goto out;
	}
	if ((conf = cli_load_config(cli)) == NULL)
		goto out;
	b.serial = serial_of(args);
	b.version = SPAN_LIT(POSTERN_VERSION);
	b.made = conf->node;
	if ((args->key && (key = read_key(a, args->key, &err)) == NULL) ||
	    bundle_collect(a, conf, files, watched(a, buf_data(&said), files), &b, &err) == -1 ||
	    seal(a, args, &b, &sealed, &err) == -1 || bundle_write(&out, &b, &err) == -1 ||
	    (key && bundle_sign(&out, key, &err) == -1)) {
		bundle_say(&err);
		goto out;
	}
	if (key == NULL)
		bundle_end(&out);
	if (buf_failed(&out)) {
		fprintf(stderr, "postern: a bundle is at most %zu bytes\n", BUNDLE_MAX);
		goto out;
	}
	if (put_out(a, args->out, buf_data(&out), &err) == -1) {
		bundle_say(&err);
		goto out;
	}
	say_made(args, cli, &b, key ? bundle_key_id(key) : NULL);
	status = CLI_OK;
out:
	bundle_key_free(&key);
	if (conf != cli->conf)
		config_free(&conf);
	buf_release(&said);
	buf_release(&out);
	buf_release(&sealed);
	arena_free(&a);
	return status;
}

static int
sign(const struct bundle_args *args, const struct cli *cli)
{
	struct arena *a = arena_new(0);
	struct bundle_key *key = NULL;
	struct span bytes;
	struct bundle b;
	struct buf out;
	struct err err;
	int status = CLI_OK;

	buf_init(&out, BUNDLE_MAX);
	if (fs_read(a, args->file, BUNDLE_MAX, &bytes, &err) == -1 || bundle_read(a, bytes, &b, &err) == -1 ||
	    (key = read_key(a, args->key, &err)) == NULL)
		status = bundle_say(&err);
	else {
		buf_span(&out, b.signed_part);
		if (bundle_sign(&out, key, &err) == -1 ||
		    put_out(a, args->out ? args->out : args->file, buf_data(&out), &err) == -1)
			status = bundle_say(&err);
		else if (cli->json)
			printf("{\"v\":1,\"serial\":%lld,\"key\":\"%s\"}\n", (long long)b.serial, bundle_key_id(key));
		else
			printf("bundle %lld is signed with %s\n", (long long)b.serial, bundle_key_id(key));
	}
	bundle_key_free(&key);
	buf_release(&out);
	arena_free(&a);
	return status;
}

/* ---- arguments ---- */

/* 1: taken, with its value; 0: no such option. */
static int
option(struct bundle_args *args, const char *name, const char *value)
{
	const struct { const char *name; const char **to; } texts[] = {
		{ "--key", &args->key }, { "-o", &args->out }, { "--trust", &args->trust } };
	uint64_t n;

	if (value == NULL)
		return 0;
	for (size_t i = 0; i < 3; i++)
		if (strcmp(name, texts[i].name) == 0) {
			*texts[i].to = value;
			return 1;
		}
	if (strcmp(name, "--to") == 0 && args->nto < BUNDLE_KEYS_MAX) {
		args->to[args->nto++] = value;
		return 1;
	}
	if (strcmp(name, "--serial") == 0 && parse_uint(span_str(value), INT64_MAX, &n) && n > 0) {
		args->serial = (int64_t)n;
		return 1;
	}
	return 0;
}

static bool
read_args(int argc, char **argv, struct bundle_args *args)
{
	const struct { const char *name; bool *to; } flags[] = { { "--force", &args->force },
		{ "--without-secrets", &args->without_secrets }, { "--node", &args->node }, { "--brief", &args->brief } };

	for (int i = 0; i < argc; i++) {
		bool taken = false;

		for (size_t k = 0; k < sizeof(flags) / sizeof(flags[0]); k++)
			if (strcmp(argv[i], flags[k].name) == 0)
				*flags[k].to = taken = true;
		if (taken)
			continue;
		if (argv[i][0] == '-' && argv[i][1] != '\0') {
			if (!option(args, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
				return false;
			i++;
		} else if (args->file) {
			return false;
		} else {
			args->file = argv[i];
		}
	}
	return true;
}

int
cmd_bundle(int argc, char **argv, const struct cli *cli)
{
	struct bundle_args args = { 0 };

	if (argc < 2 || !read_args(argc - 2, argv + 2, &args))
		return command_usage("bundle");
	if (strcmp(argv[1], "make") == 0 && !args.file && args.out)
		return make(&args, cli);
	if (strcmp(argv[1], "sign") == 0 && args.file && args.key)
		return sign(&args, cli);
	if (strcmp(argv[1], "check") == 0 && args.file)
		return bundle_check(&args, cli);
	if (strcmp(argv[1], "apply") == 0 && args.file)
		return bundle_apply(&args, cli);
	if (strcmp(argv[1], "keygen") == 0)
		return keygen(&args, cli);
	return command_usage("bundle");
}
