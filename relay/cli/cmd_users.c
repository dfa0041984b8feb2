/* cmd_users.c -- `postern users`: who may sign in to the console, and as what.
 *
 * The first administrator is made here, on the machine: there is no account and no password to begin with. A
 * password is never an argument: those are everybody's to read.
 */
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"
#include "store/people.h"

#define OPTIONS_MAX 64

/* ---- what is shown ---- */

static void
join(struct buf *out, const struct jval *list)
{
	for (size_t i = 0; i < jval_count(list); i++) {
		buf_puts(out, i ? ", " : "");
		page_text(out, jval_str(jval_at(list, i)));
	}
	if (jval_count(list) == 0)
		buf_putc(out, '-');
}

static void
cell_list(struct grid *g, const struct jval *v, const char *key)
{
	join(grid_cell(g), jval_get(v, key));
	grid_done(g, PLAIN);
}

static void
list_line(void *ctx, const struct jval *v, struct span text)
{
	struct grid *g = ctx;

	if (jval_text(v, "name").n == 0)
		return;
	grid_text(g, jval_text(v, "name"));
	cell_list(g, v, "roles");
	cell_list(g, v, "domains");
	cell_list(g, v, "addresses");
	grid_cstr(g, jval_bool(v, "totp") ? "yes" : "no");
	page_stamp(grid_cell(g), page_when(v, "last"));
	grid_done(g, PLAIN);
	grid_cstr(g, jval_has(v, "issuer") ? "at the provider" : jval_bool(v, "disabled") ? "disabled" : jval_bool(v, "password") ? "" : "no password");
}

static int
list(const struct cli *cli)
{
	static const char *const titles[] = { "name", "roles", "domains", "addresses", "code", "signed in",
		"", NULL };
	struct request r;
	struct grid g;
	struct buf out;
	int status;

	grid_init(&g, cli, titles, "lllllll");
	request_begin(&r, "users.list");
	status = control_ask(cli, &r, CONTROL_SHOW, list_line, &g);
	buf_init(&out, 16u << 20);
	if (grid_rows(&g) > 0)
		grid_print(&g, &out, "");
	else if (status == CLI_OK && !cli->json)
		buf_puts(&out, "nobody has an account: postern users add NAME --role admin\n");
	page_flush(&out);
	buf_release(&out);
	grid_release(&g);
	return status;
}

static void
person_line(void *ctx, const struct jval *v, struct span text)
{
	struct buf b;

	buf_init(&b, 64u << 10);
	page_text(&b, jval_text(v, "name"));
	buf_puts(&b, ": ");
	join(&b, jval_get(v, "roles"));
	if (jval_bool(v, "disabled"))
		buf_puts(&b, ", disabled");
	buf_putc(&b, '\n');
	page_flush(&b);
	buf_release(&b);
}

static void
totp_line(void *ctx, const struct jval *v, struct span text)
{
	const struct jval *codes = jval_get(v, "recovery");
	struct buf b;

	buf_init(&b, 64u << 10);
	if (!jval_bool(v, "totp")) {
		buf_puts(&b, "no code is asked for any more\n");
	} else {
		buf_puts(&b, "For the app that makes codes (shown once):\n\n  secret  ");
		page_text(&b, jval_text(v, "secret"));
		buf_puts(&b, "\n  uri     ");
		page_text(&b, jval_text(v, "uri"));
		buf_puts(&b, "\n\nFor the day the device is lost, each good once:\n\n");
		for (size_t i = 0; i < jval_count(codes); i++) {
			buf_puts(&b, "  ");
			page_text(&b, jval_str(jval_at(codes, i)));
			buf_putc(&b, '\n');
		}
	}
	page_flush(&b);
	buf_release(&b);
}

static void
removed_line(void *ctx, const struct jval *v, struct span text)
{
	puts("removed, and signed out");
}

/* ---- what is asked ---- */

struct options {
	const char *roles[OPTIONS_MAX], *domains[OPTIONS_MAX], *addresses[OPTIONS_MAX];
	size_t nroles, ndomains, naddresses;
	const char *language;
	bool no_password, disable, enable, off;
};

static bool
take(const char **list, size_t *n, const char *value)
{
	if (value == NULL || *n == OPTIONS_MAX)
		return false;
	list[(*n)++] = value;
	return true;
}

static bool
options_read(int argc, char **argv, struct options *o)
{
	bool ok = true;

	for (int i = 0; ok && i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--role") == 0)
			ok = take(o->roles, &o->nroles, value), i++;
		else if (strcmp(argv[i], "--domain") == 0)
			ok = take(o->domains, &o->ndomains, value), i++;
		else if (strcmp(argv[i], "--address") == 0)
			ok = take(o->addresses, &o->naddresses, value), i++;
		else if (strcmp(argv[i], "--language") == 0)
			o->language = value, ok = value != NULL, i++;
		else if (strcmp(argv[i], "--no-password") == 0)
			o->no_password = true;
		else if (strcmp(argv[i], "--disable") == 0)
			o->disable = true;
		else if (strcmp(argv[i], "--enable") == 0)
			o->enable = true;
		else if (strcmp(argv[i], "--off") == 0)
			o->off = true;
		else
			ok = false;
	}
	return ok && !(o->disable && o->enable);
}

static void
put_list(struct json *j, const char *key, const char *const *list, size_t n)
{
	if (n == 0)
		return;
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < n; i++)
		json_cstr(j, list[i]);
	json_end_array(j);
}

static bool
ask_twice(char *password, size_t size)
{
	char again[PASSWORD_MAX + 2] = "";
	bool ok = password_ask("Password: ", password, size);
	const char *fault = ok ? password_fault(span_str(password)) : "no password, or one too long";

	if (fault == NULL && isatty(STDIN_FILENO) == 1 &&
	    (!password_ask("Once more: ", again, sizeof(again)) || strcmp(password, again) != 0))
		fault = "these are not the same";
	if (fault)
		fprintf(stderr, "postern: %s\n", fault);
	OPENSSL_cleanse(again, sizeof(again));
	return fault == NULL;
}

static int
change(const struct cli *cli, const char *cmd, const char *name, const struct options *o, bool password)
{
	char text[PASSWORD_MAX + 2] = "";
	struct request r;
	int status;

	if (password && !ask_twice(text, sizeof(text)))
		return CLI_FINDINGS;
	request_begin(&r, cmd);
	json_kcstr(&r.j, "name", name);
	put_list(&r.j, "roles", o->roles, o->nroles);
	put_list(&r.j, "domains", o->domains, o->ndomains);
	put_list(&r.j, "addresses", o->addresses, o->naddresses);
	if (o->language)
		json_kcstr(&r.j, "language", o->language);
	if (o->disable || o->enable)
		json_kbool(&r.j, "disabled", o->disable);
	if (password)
		json_kcstr(&r.j, "password", text);
	OPENSSL_cleanse(text, sizeof(text));
	status = control_ask(cli, &r, CONTROL_SHOW, person_line, NULL);
	return status;
}

static int
totp(const struct cli *cli, const char *name, bool off)
{
	struct request r;

	request_begin(&r, "users.totp");
	json_kcstr(&r.j, "name", name);
	if (off)
		json_kbool(&r.j, "off", true);
	return control_ask(cli, &r, CONTROL_SHOW, totp_line, NULL);
}

static int
remove_one(const struct cli *cli, const char *name)
{
	struct request r;

	request_begin(&r, "users.remove");
	json_kcstr(&r.j, "name", name);
	return control_ask(cli, &r, CONTROL_SHOW, removed_line, NULL);
}

int
cmd_users(int argc, char **argv, const struct cli *cli)
{
	const char *what = argc > 1 ? argv[1] : "list", *name = argc > 2 ? argv[2] : NULL;
	struct options o = { 0 };
	bool more = argc > 3;

	if (strcmp(what, "list") == 0 && argc <= 2)
		return list(cli);
	if (name == NULL || name[0] == '-' || !options_read(argc - 3, argv + 3, &o))
		return command_usage("users");
	if (strcmp(what, "add") == 0 && o.nroles && !o.off)
		return change(cli, "users.add", name, &o, !o.no_password);
	if (strcmp(what, "set") == 0 && more && !o.off && !o.no_password)
		return change(cli, "users.set", name, &o, false);
	if (strcmp(what, "password") == 0 && !more)
		return change(cli, "users.set", name, &o, true);
	if (strcmp(what, "totp") == 0 && (!more || o.off))
		return totp(cli, name, o.off);
	if (strcmp(what, "remove") == 0 && !more)
		return remove_one(cli, name);
	return command_usage("users");
}
