/* collect.c -- which files of a configuration folder all nodes share; see folder.h.
 *
 * postern.yaml, the folders of the policy and of templates, keys/, and every file beside them that the configuration or the
 * policy names. What node.yaml names is the node's own, and so are node.yaml, bundle.pub, bundle.state and
 * the key that opens secrets. What lies outside the folder stays what it is on each node.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/folder.h"
#include "fs.h"
#include "master/config_cluster.h"
#include "table.h"

#define FILE_MAX ((size_t)32 << 20)
#define DEPTH_MAX 8

struct collecting {
	struct arena *a;
	const char *dir;	/* real path */
	size_t ndir;
	struct table *seen;	/* names that are in, or that stay out */
	struct bundle *out;
	size_t cap;
	struct err *err;
};

static bool
is_secret(struct span name)
{
	return span_starts(name, SPAN_LIT("keys/")) || span_ends_nocase(name, SPAN_LIT(".key"));
}

/* The name within the folder; "" when it lies elsewhere. */
static struct span
name_of(struct collecting *c, const char *path)
{
	char real[PATH_MAX];
	struct span name = { 0 };

	if (strncmp(path, c->dir, c->ndir) == 0 && path[c->ndir] == '/')
		name = span_from(span_str(path), c->ndir + 1);
	if (!bundle_name_ok(name) && realpath(path, real) && strncmp(real, c->dir, c->ndir) == 0 &&
	    real[c->ndir] == '/')
		name = arena_span(c->a, span_from(span_str(real), c->ndir + 1));
	return name;
}

static void
need(struct collecting *c, struct span name)
{
	struct bundle *b = c->out;

	b->needs = arena_grow(c->a, b->needs, b->nneeds * sizeof(*b->needs), (b->nneeds + 1) * sizeof(*b->needs));
	b->needs[b->nneeds++] = name;
}

static int
add(struct collecting *c, const char *path, bool secret)
{
	struct span name = name_of(c, path), data;
	struct bundle *b = c->out;
	struct stat st;

	if (name.n == 0 || table_get(c->seen, name))
		return 0;
	if (stat(path, &st) == -1)
		return errno == ENOENT ? 0 : err_errno(c->err, "%s", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	if (!bundle_name_ok(name))
		return err_set(c->err, EINVAL, "%s: a file of this name cannot be in a bundle (letters, digits, "
		    "`._-+@=,`; %d at most)", path, BUNDLE_NAME_MAX - 4);
	name = arena_span(c->a, name);
	table_put(c->seen, name, c);
	if ((uint64_t)st.st_size > FILE_MAX) {
		need(c, name);
		return 0;
	}
	if (fs_read(c->a, path, FILE_MAX, &data, c->err) == -1)
		return -1;
	if (b->nfiles == BUNDLE_FILES_MAX)
		return err_set(c->err, EFBIG, "more than %d files", BUNDLE_FILES_MAX);
	if (b->nfiles == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;

		b->files = arena_grow(c->a, b->files, c->cap * sizeof(*b->files), cap * sizeof(*b->files));
		c->cap = cap;
	}
	b->files[b->nfiles++] = (struct bundle_file){ name, data, secret || is_secret(name) };
	return 0;
}

static int
walk(struct collecting *c, const char *path, unsigned depth)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int r = 0;

	if (d == NULL)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_errno(c->err, "%s", path);
	while (r == 0 && (e = readdir(d)) != NULL) {
		size_t n = strlen(e->d_name);
		struct stat st;
		char *p;

		if (e->d_name[0] == '.' || e->d_name[n - 1] == '~')	/* an editor's */
			continue;
		p = arena_printf(c->a, "%s/%s", path, e->d_name);
		if (stat(p, &st) == -1)
			continue;
		if (S_ISDIR(st.st_mode))
			r = depth == DEPTH_MAX ? err_set(c->err, ELOOP, "%s is too deep", p) : walk(c, p, depth + 1);
		else
			r = add(c, p, false);
	}
	closedir(d);
	return r;
}

/* What node.yaml says as a text somewhere is not shared. */
static void
leave_out(struct collecting *c, const struct conf_node *n)
{
	struct span name;

	if (n->kind == CONF_SCALAR && n->text.n) {
		name = name_of(c, fs_beside(c->a, arena_printf(c->a, "%s/x", c->dir), n->text));
		if (name.n)
			table_put(c->seen, arena_span(c->a, name), c);
		return;
	}
	CONF_EACH(k, n)
		leave_out(c, k);
}

static void
own_files(struct collecting *c)
{
	static const char *const own[] = { NODE_FILE, BUNDLE_TRUST_FILE, BUNDLE_STATE_FILE, BUNDLE_NODE_KEY,
		BUNDLE_NODE_PUB, NULL };
	struct arena *a = c->a;
	struct conf_node *root;
	struct span text;
	struct diags d;

	for (size_t i = 0; own[i]; i++)
		table_put(c->seen, span_str(own[i]), c);
	diags_init(&d, a);
	if (fs_read(a, arena_printf(a, "%s/%s", c->dir, NODE_FILE), 4u << 20, &text, NULL) == 0 &&
	    (root = conf_parse(NODE_FILE, text, &d)) != NULL)
		leave_out(c, root);
}

static int
named_files(struct collecting *c, const struct config *conf)
{
	const struct { const char *path; bool secret; } v[] = {
		{ conf->store_key, true }, { conf->tls_certificate, false }, { conf->tls_key, true },
		{ conf->auth_file, true }, { conf->trust_anchor, false }, { conf->console.certificate, false },
		{ conf->console.key, true }, { conf->delivery.roots, false },
	};
	int r = 0;

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]) && r == 0; i++)
		r = v[i].path ? add(c, v[i].path, v[i].secret) : 0;
	for (size_t i = 0; i < conf->ndirectories && r == 0; i++) {
		const struct conf_directory *d = &conf->directories[i];

		if ((d->password_file && (r = add(c, d->password_file, true)) == -1) || !d->ca)
			continue;
		r = add(c, d->ca, false);
	}
	for (size_t i = 0; i < conf->nlisteners && r == 0; i++)
		r = conf->listeners[i].client_ca ? add(c, conf->listeners[i].client_ca, false) : 0;
	for (size_t i = 0; i < conf->antivirus.nstamp_keys && r == 0; i++)
		r = add(c, conf->antivirus.stamp_keys[i], true);
	for (size_t i = 0; i < conf->ndomains && r == 0; i++) {
		const struct conf_domain *d = &conf->domains[i];

		if (d->recipients_file.n)
			r = add(c, arena_str(c->a, d->recipients_file), false);
		if (r == 0 && d->batv.key)
			r = add(c, d->batv.key, true);
		for (size_t k = 0; k < d->ndkim && r == 0; k++)
			r = add(c, arena_str(c->a, d->dkim[k].key), true);
	}
	return r;
}

static int
owned_folder(struct collecting *c, const char *path, struct span *out)
{
	*out = name_of(c, path);
	return walk(c, path, 0);
}

int
bundle_collect(struct arena *a, const struct config *conf, const char *const *watched, size_t nwatched,
    struct bundle *out, struct err *err)
{
	struct collecting c = { .a = a, .out = out, .err = err, .seen = table_new() };
	char *dir = arena_str(a, span_str(conf->path)), real[PATH_MAX];
	struct span policy, templates;
	int r = -1;

	*strrchr(dir, '/') = '\0';
	if (realpath(dir, real) == NULL) {
		err_errno(err, "%s", dir);
		goto out;
	}
	c.dir = real;
	c.ndir = strlen(real);
	own_files(&c);
	if (add(&c, conf->path, false) == -1 || owned_folder(&c, conf->policy_dir, &policy) == -1 ||
	    owned_folder(&c, conf->templates_dir, &templates) == -1 ||
	    walk(&c, arena_printf(a, "%s/keys", real), 0) == -1 || named_files(&c, conf) == -1)
		goto out;
	for (size_t i = 0; i < nwatched; i++)
		if (add(&c, watched[i], false) == -1)
			goto out;
	bundle_sort(out->files, out->nfiles);
	r = 0;
out:
	table_free(&c.seen);
	return r;
}
