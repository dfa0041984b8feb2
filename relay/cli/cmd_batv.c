/* cmd_batv.c -- `postern batv`: the keys by which bounces are known, and what they say of an address.
 *
 * A new key goes to the top of its file, where the one stands that signs, or with --later to
 * its end, where it only verifies: so that all nodes know it before one uses it. The
 * tenth key but one drives out the last. Nothing is printed that is secret.
 */
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/page.h"
#include "clock.h"
#include "fs.h"
#include "json.h"
#include "net/batv_book.h"

#define SECRET_BYTES 20		/* as many as SHA-1 gives */

/* ---- new ---- */

static bool
in_use(const struct batv_keys *k, unsigned digit)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->key[i].digit == digit)
			return true;
	return false;
}

/* The key that is added, and the number of those that stay. */
static int
make_key(struct batv_keys *k, int32_t day, struct batv_key *new, struct err *err)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char random[SECRET_BYTES];

	*new = (struct batv_key){ .made = day, .size = 2 * SECRET_BYTES };
	if (k->n == BATV_KEYS_MAX)
		k->n--;
	new->digit = k->n ? k->key[0].digit : BATV_KEYS_MAX - 1;
	do
		new->digit = (uint8_t)((new->digit + 1) % BATV_KEYS_MAX);
	while (in_use(k, new->digit));
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return err_errno(err, "no random numbers");
	for (size_t i = 0; i < SECRET_BYTES; i++) {
		new->secret[2 * i] = digits[random[i] >> 4];
		new->secret[2 * i + 1] = digits[random[i] & 15];
	}
	OPENSSL_cleanse(random, sizeof(random));
	return 0;
}

static void
put_key(struct buf *b, const struct batv_key *k)
{
	time_t t = (time_t)k->made * 86400;
	struct tm tm;

	gmtime_r(&t, &tm);
	buf_printf(b, "%u %04d-%02d-%02d %.*s\n", k->digit, tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	    k->size, k->secret);
}

/* Beside its place first, so that a reload reads the old file or the new one. */
static int
write_file(const char *path, struct span text, struct err *err)
{
	char fresh[4096];
	int fd, rc;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return err_set(err, 0, "%s: the name is too long", path);
	unlink(fresh);
	if ((fd = fs_open(fresh, O_WRONLY | O_CREAT | O_EXCL, 0600, err)) == -1)
		return -1;
	rc = fs_write_all(fd, text.p, text.n, err);
	if (rc == 0)
		rc = fs_fsync(fd, err);
	close(fd);
	if (rc == 0)
		rc = fs_renameat(AT_FDCWD, fresh, path, err);
	if (rc == -1)
		unlink(fresh);
	return rc;
}

static int
new_key(const char *path, bool later, const struct cli *cli)
{
	struct batv_keys k = { 0 };
	struct batv_key new;
	struct err err;
	struct buf b;
	int rc = 0;

	if (access(path, F_OK) == 0)
		rc = batv_keys_load(path, &k, &err);
	if (rc == 0)
		rc = make_key(&k, batv_day(clock_real()), &new, &err);
	buf_init(&b, 64u << 10);
	if (rc == 0) {
		buf_puts(&b, "# BATV keys, made by `postern batv new`. The first signs, all of them verify.\n");
		if (!later || k.n == 0)
			put_key(&b, &new);
		for (size_t i = 0; i < k.n; i++)
			put_key(&b, &k.key[i]);
		if (later && k.n)
			put_key(&b, &new);
		rc = write_file(path, buf_data(&b), &err);
		OPENSSL_cleanse((void *)(uintptr_t)buf_data(&b).p, buf_data(&b).n);
	}
	if (rc == -1)
		fprintf(stderr, "postern batv: %s\n", err.text);
	else if (cli->json)
		printf("{\"v\":1,\"key\":%u,\"keys\":%zu,\"signs\":%s}\n", new.digit, k.n + 1,
		    later && k.n ? "false" : "true");
	else
		printf("%s: key %u %s\n", path, new.digit, later && k.n ?
		    "verifies from the next reload on; move its line to the top to sign with it" :
		    "signs from the next reload on");
	batv_keys_wipe(&k);
	OPENSSL_cleanse(&new, sizeof(new));
	buf_release(&b);
	return rc == -1 ? CLI_FINDINGS : CLI_OK;
}

/* ---- tag, check ---- */

static int
say(const struct cli *cli, struct span address, struct span other, const char *what, bool good)
{
	struct json j;
	struct buf o;

	buf_init(&o, 64u << 10);
	if (cli->json) {
		json_begin(&j, &o);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, "address", address);
		json_kcstr(&j, "bounce", what);
		json_kstr(&j, what ? "plain" : "tagged", other);
		json_end_object(&j);
	} else if (what) {
		page_begin(&o, cli, good ? GREEN : RED);
		buf_puts(&o, what);
		page_end(&o, cli, good ? GREEN : RED);
		buf_puts(&o, ": ");
		page_text(&o, other);
	} else
		page_text(&o, other);
	buf_putc(&o, '\n');
	page_flush(&o);
	buf_release(&o);
	return good ? CLI_OK : CLI_FINDINGS;
}

static int
ask(const struct batv_book *book, struct arena *a, const char *text, bool check,
    const struct cli *cli)
{
	struct span address = mailaddr_normalise(a, span_str(text)), other;
	const struct batv_domain *d = batv_book_of(book, address);
	int32_t day = batv_day(clock_real());
	enum batv_result r;

	if (d == NULL) {
		fprintf(stderr, "postern batv: %s is in no domain with `batv` in %s\n", text, cli->config_path);
		return CLI_FINDINGS;
	}
	if (!check) {
		other = batv_tag(&d->keys, a, address, day);
		return say(cli, address, other, NULL, true);
	}
	r = batv_check(&d->keys, a, address, day, &other);
	return say(cli, address, other, batv_result_name(r), r == BATV_VALID);
}

int
cmd_batv(int argc, char **argv, const struct cli *cli)
{
	bool later = argc == 4 && strcmp(argv[3], "--later") == 0, check;
	struct batv_book *book = NULL;
	struct config *conf;
	struct arena *a;
	struct err err;
	int status = CLI_FINDINGS;

	if (argc < 3 || argv[2][0] == '-' || argc > (later ? 4 : 3))
		return command_usage("batv");
	check = strcmp(argv[1], "check") == 0;
	if (strcmp(argv[1], "new") == 0)
		return new_key(argv[2], later, cli);
	if (later || (!check && strcmp(argv[1], "tag") != 0))
		return command_usage("batv");
	if ((conf = cli_load_config(cli)) == NULL)
		return CLI_FINDINGS;
	a = arena_new(0);
	if (batv_book_load(conf, &book, &err) == -1)
		fprintf(stderr, "postern batv: %s\n", err.text);
	else
		status = ask(book, a, argv[2], check, cli);
	batv_book_free(&book);
	arena_free(&a);
	if (conf != cli->conf)
		config_free(&conf);
	return status;
}
