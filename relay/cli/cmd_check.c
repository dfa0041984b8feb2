/* cmd_check.c -- `postern check [DIR|FILE]`: configuration and policy, all errors at once.
 *
 * Without an argument: the configuration, the keys it names and its policy
 * folder. A folder is a policy; a file is a configuration or a policy, told by
 * its keys. `posternd -n` and every reload go through here.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authenticator/users.h"
#include "cli/cli.h"
#include "cli/diag_out.h"
#include "clock.h"
#include "counters/redis.h"
#include "directory/directory.h"
#include "directory/filter.h"
#include "fetcher/oidc.h"
#include "fs.h"
#include "net/batv_book.h"
#include "net/tls_server.h"
#include "net/transport.h"
#include "reader/program.h"
#include "scanner/load_policy.h"
#include "scanner/stamps.h"
#include "signer/dkim_ring.h"
#include "signer/dkim_sign.h"

struct check {
	const struct cli *cli;
	struct arena *arena;
	struct diags diags;
	struct config *conf;
	struct policy *policy;
};

/* Keys of a policy that no configuration has. */
static bool
looks_like_policy(const struct conf_node *root)
{
	static const char *const keys[] = { "rules", "detectors", "groups", "use", "exceptions",
		"limits", "defaults", "schedules", "spam", NULL };

	if (conf_get(root, "hostname") || conf_get(root, "listeners") || conf_get(root, "spool"))
		return false;
	for (size_t i = 0; keys[i]; i++)
		if (conf_get(root, keys[i]))
			return true;
	return false;
}

static bool
is_policy_file(struct check *c, const char *path)
{
	struct arena *a = arena_new(0);
	struct diags d;
	struct span text;
	bool is = false;

	diags_init(&d, a);
	if (fs_read(a, path, POLICY_FILE_MAX, &text, NULL) == 0)
		is = looks_like_policy(conf_parse(path, text, &d));
	arena_free(&a);
	return is;
}

/* The keys are read as the signer will read them; what this user may not read is left out. */
static void
check_keys(struct check *c, const char *shown)
{
	struct conf_file *file = arena_zalloc(c->arena, sizeof(*file));
	struct err err;

	file->name = arena_str(c->arena, span_str(shown));
	fs_read(c->arena, c->conf->path, 4u << 20, &file->text, NULL);
	for (size_t i = 0; i < c->conf->ndomains; i++) {
		const struct conf_domain *d = &c->conf->domains[i];
		const struct domain_key *keys;
		size_t n;

		if (domain_keys(c->conf, d, c->arena, &keys, &n, &err) == -1) {
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
			continue;
		}
		for (size_t k = 0; k < n; k++) {
			struct conf_node at = { .file = file, .line = keys[k].line, .column = 1,
				.width = 1 };
			struct dkim_key *key;

			if (access(keys[k].path, R_OK) == -1 && access(keys[k].path, F_OK) == 0)
				continue;
			key = dkim_key_load(d->name, keys[k].selector, keys[k].path, keys[k].ed25519,
			    &err);
			if (key == NULL)
				diag_at(&c->diags, DIAG_ERROR, keys[k].line ? &at : NULL, NULL, "%s",
				    err.text);
			dkim_key_free(&key);
		}
	}
}

/* As receivers and delivery will read them; what this user may not read is left out. */
static void
check_batv(struct check *c)
{
	struct batv_book *book = NULL;
	struct err err;

	for (size_t i = 0; i < c->conf->ndomains; i++) {
		const char *key = c->conf->domains[i].batv.key;

		if (key && access(key, R_OK) == -1 && access(key, F_OK) == 0)
			return;
	}
	if (batv_book_load(c->conf, &book, &err) == -1)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
	batv_book_free(&book);
}

static void
check_antivirus(struct check *c)
{
	const struct conf_antivirus *av = &c->conf->antivirus;
	struct stamps *stamps;
	bool readable = true;
	struct err err;

	if (av->engine == AV_LIBCLAMAV && access(av->databases, F_OK) == -1)
		diag_at(&c->diags, DIAG_WARNING, NULL, NULL, "antivirus databases %s are not there",
		    av->databases);
	for (size_t i = 0; i < av->nstamp_keys; i++)
		readable &= access(av->stamp_keys[i], R_OK) == 0 || errno != EACCES;
	if (!readable)
		return;
	if ((stamps = stamps_new(av, &err)) == NULL)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
	stamps_free(&stamps);
}

/* As the receiver will read them, likewise. */
static void
check_tls(struct check *c)
{
	const struct config *conf = c->conf;
	bool seen = false;

	if (conf->delivery.roots) {
		struct ssl_ctx_st *client;
		struct err err;

		if ((client = transport_context(conf->delivery.roots, &err)) == NULL)
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
		else
			transport_context_free(&client);
	}
	for (size_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];
		struct tls_server t = { conf->tls_certificate, conf->tls_key, conf->tls_only13,
			l->client_ca };
		struct ssl_ctx_st *ctx;
		char text[128];
		struct err err;

		if (l->tls == LISTEN_TLS_OFF || (seen && l->client_ca == NULL) ||
		    (access(t.key, R_OK) == -1 && access(t.key, F_OK) == 0))
			continue;
		seen = true;
		if ((ctx = tls_server_context(&t, &err)) == NULL)
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
		else if (tls_server_warning(ctx, clock_real() / US_PER_SEC, text, sizeof(text)))
			diag_at(&c->diags, DIAG_WARNING, NULL, NULL, "%s: %s", t.certificate, text);
		tls_server_context_free(&ctx);
	}
}

static void
check_console(struct check *c)
{
	const struct conf_console *console = &c->conf->console;
	struct tls_server t = { console->certificate, console->key, c->conf->tls_only13, NULL };
	struct ssl_ctx_st *ctx;
	char text[128];
	struct err err;

	if (t.certificate == NULL || (access(t.key, R_OK) == -1 && access(t.key, F_OK) == 0))
		return;
	if ((ctx = tls_server_context(&t, &err)) == NULL)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "console: %s", err.text);
	else if (tls_server_warning(ctx, clock_real() / US_PER_SEC, text, sizeof(text)))
		diag_at(&c->diags, DIAG_WARNING, NULL, NULL, "console: %s: %s", t.certificate, text);
	tls_server_context_free(&ctx);
}

/* As the fetcher will read them. */
static void
check_oidc(struct check *c)
{
	const struct conf_console_oidc *oidc = &c->conf->console.oidc;
	struct ssl_ctx_st *client;
	struct span secret;
	struct err err;

	if (oidc->issuer.n == 0)
		return;
	if (oidc->roots && (client = transport_context(oidc->roots, &err)) == NULL)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "console.login.oidc.ca: %s", err.text);
	else if (oidc->roots)
		transport_context_free(&client);
	if (access(oidc->secret, R_OK) == -1 && access(oidc->secret, F_OK) == 0)
		return;
	if (oidc_secret(oidc, c->arena, &secret, &err) == -1)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "console.login.oidc: %s", err.text);
	else
		explicit_bzero((void *)(uintptr_t)secret.p, secret.n);
}

static void
check_users(struct check *c)
{
	const char *path = c->conf->auth_file;
	struct users *u;
	struct err err;

	if (path == NULL || (access(path, R_OK) == -1 && access(path, F_OK) == 0))
		return;
	if ((u = users_load(path, &err)) == NULL)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
	users_free(&u);
}

/* As the directory's role will read them: CA certificates and passwords. */
static void
check_directories(struct check *c)
{
	for (size_t i = 0; i < c->conf->ndirectories; i++) {
		const struct conf_directory *dir = &c->conf->directories[i];
		struct ssl_ctx_st *client;
		struct span password;
		struct err err;

		if ((client = transport_context(dir->ca, &err)) == NULL)
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "directory " SPAN_FMT ": %s",
			    SPAN_ARG(dir->name), err.text);
		else
			transport_context_free(&client);
		if (dir->password_file == NULL || (access(dir->password_file, R_OK) == -1 &&
		    access(dir->password_file, F_OK) == 0))
			continue;
		if (directory_password(dir, c->arena, &password, &err) == -1)
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "directory " SPAN_FMT ": %s",
			    SPAN_ARG(dir->name), err.text);
		else
			explicit_bzero((void *)(uintptr_t)password.p, password.n);
	}
}

/* As the role `counters` will read them. */
static void
check_counters(struct check *c)
{
	const struct conf_counters *k = &c->conf->counters;
	struct ssl_ctx_st *client;
	struct span password;
	struct err err;

	if (k->tls && (client = transport_context(k->ca, &err)) == NULL)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "counters: %s", err.text);
	else if (k->tls)
		transport_context_free(&client);
	if (k->password_file == NULL || (access(k->password_file, R_OK) == -1 && access(k->password_file, F_OK) == 0))
		return;
	if (redis_password(k, c->arena, &password, &err) == -1)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "counters: %s", err.text);
	else
		explicit_bzero((void *)(uintptr_t)password.p, password.n);
}

/* Groups of directories: each lies in one. Groups of the policy that routes by sender ask for: each is there. */
static void
check_groups(struct check *c)
{
	const struct conf_delivery *dl = &c->conf->delivery;
	const struct span *groups = NULL;
	size_t n = 0;

	if (c->policy)
		groups = policy_externals(c->policy, &n);
	for (size_t i = 0; i < n; i++) {
		struct span dn;

		if (!dn_normalise(c->arena, groups[i], &dn))
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "policy: `ldap:" SPAN_FMT
			    "` is not a distinguished name", SPAN_ARG(groups[i]));
		else if (directory_of(c->conf, dn, c->arena) == NULL)
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "policy: `ldap:" SPAN_FMT
			    "` lies below the `base` of no directory", SPAN_ARG(groups[i]));
	}
	for (size_t i = 0; c->policy && i < dl->nlines; i++) {
		struct span m = dl->lines[i]->match;

		if (span_starts(m, SPAN_LIT("group:")) &&
		    !policy_has_group(c->policy, span_from(m, 6)))
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "delivery.sender_routes, line %u: "
			    "the policy has no group `" SPAN_FMT "`", dl->lines[i]->line,
			    SPAN_ARG(span_from(m, 6)));
	}
}

/* The program that reads text in pictures, and its languages. */
static void
check_ocr(struct check *c)
{
	struct err err;

	if (c->conf->ocr.on && reader_check(&c->conf->ocr, &err) == -1)
		diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
}

/* A file in `templates` that no rule reads: its name is a slip, or it waits for its rule. */
static void
check_templates(struct check *c)
{
	static const char *const names[] = { "stripped", "held", "rejected", "changed", "incident", NULL };
	DIR *dir = opendir(c->conf->templates_dir);
	struct dirent *e;
	const struct span *used;
	size_t n;

	if (dir == NULL) {
		if (errno != ENOENT || c->conf->templates_line)
			diag_at(&c->diags, DIAG_ERROR, NULL, NULL, "templates %s: %s", c->conf->templates_dir,
			    strerror(errno));
		return;
	}
	used = policy_refers_to(c->policy, &n);
	while ((e = readdir(dir)) != NULL) {
		struct span name = span_str(e->d_name), stem = span_sub(name, 0, span_find(name, '.'));
		const char *near = NULL;
		bool known = e->d_name[0] == '.';

		for (size_t i = 0; names[i]; i++)
			known |= span_is(stem, names[i]);
		for (size_t i = 0; i < n && !known; i++)
			known = span_ends_nocase(used[i], name);
		if (!known && (near = conf_nearest(stem, names)) != NULL)
			diag_at(&c->diags, DIAG_WARNING, NULL, NULL, "%s/%s: no rule asks for this template; did you mean `%s`?",
			    c->conf->templates_dir, e->d_name, near);
		else if (!known)
			diag_at(&c->diags, DIAG_WARNING, NULL, NULL, "%s/%s: no rule asks for this template",
			    c->conf->templates_dir, e->d_name);
	}
	closedir(dir);
}

static void
check_config(struct check *c, const char *path)
{
	c->conf = config_read(path, c->arena, &c->diags);
	if (c->conf == NULL)
		return;
	check_keys(c, path);
	check_batv(c);
	check_antivirus(c);
	check_tls(c);
	check_console(c);
	check_oidc(c);
	check_users(c);
	check_ocr(c);
	check_directories(c);
	check_counters(c);
	c->policy = policy_load_conf(c->conf, false, c->arena, &c->diags);
	check_groups(c);
	if (c->policy)
		check_templates(c);
}

/* For the master, which looks at them (master/watch.c). */
/* The policy folder's own templates go before those of `templates`. */
static const char *
file_place(const struct check *c, struct span name)
{
	static const struct span head = { "templates/", 10 };
	const char *path = arena_printf(c->arena, "%s/" SPAN_FMT, c->conf->policy_dir, SPAN_ARG(name));

	if (!span_starts(name, head) || access(path, F_OK) == 0)
		return path;
	return arena_printf(c->arena, "%s/" SPAN_FMT, c->conf->templates_dir,
	    SPAN_ARG(span_from(name, head.n)));
}

static void
list_files(const struct check *c)
{
	const struct span *v;
	size_t n;

	v = policy_refers_to(c->policy, &n);
	for (size_t i = 0; i < n; i++)
		printf("watch: %s\n", file_place(c, v[i]));
	v = policy_indexes(c->policy, &n);
	for (size_t i = 0; i < n; i++)
		printf("watch-print: %s/" SPAN_FMT "\n", c->conf->policy_dir, SPAN_ARG(v[i]));
	fflush(stdout);
}

static void
report(struct check *c)
{
	if (c->cli->list_files && c->policy && c->conf && c->diags.errors == 0)
		list_files(c);
	diags_show(&c->diags, c->cli, stderr);
	if (c->cli->json || (c->cli->quiet && c->diags.errors == 0))
		return;
	if (c->diags.errors)
		fprintf(stderr, "%zu error%s, %zu warning%s\n", c->diags.errors,
		    c->diags.errors == 1 ? "" : "s", c->diags.warnings,
		    c->diags.warnings == 1 ? "" : "s");
	else if (c->policy)
		printf("fine: policy %s, %zu rule%s\n", policy_hash(c->policy),
		    policy_rule_count(c->policy), policy_rule_count(c->policy) == 1 ? "" : "s");
}

int
cmd_check(int argc, char **argv, const struct cli *cli)
{
	struct check c = { .cli = cli };
	struct stat st;
	int status;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fprintf(stderr, "usage: postern check [DIR|FILE]\n");
		return CLI_USAGE;
	}
	c.arena = arena_new(64u << 10);
	diags_init(&c.diags, c.arena);
	if (argc < 2) {
		check_config(&c, cli->config_path);
	} else if (stat(argv[1], &st) == -1) {
		struct err err;

		err_errno(&err, "%s", argv[1]);
		diag_at(&c.diags, DIAG_ERROR, NULL, NULL, "%s", err.text);
	} else if (S_ISDIR(st.st_mode)) {
		c.conf = config_read_quiet(cli);
		c.policy = policy_load_dir(argv[1], argv[1], c.conf, false, c.arena, &c.diags);
	} else if (is_policy_file(&c, argv[1])) {
		c.conf = config_read_quiet(cli);
		c.policy = policy_load_file(argv[1], c.conf, c.arena, &c.diags);
	} else {
		check_config(&c, argv[1]);
	}
	report(&c);
	status = c.diags.errors ? CLI_FINDINGS : CLI_OK;
	if (c.policy)
		policy_free(&c.policy);
	config_free(&c.conf);
	arena_free(&c.arena);
	return status;
}
