/* load_policy.c -- reads the policy folder for the policy library, which opens no file itself.
 *
 * What a policy refers to must lie within its folder: a path that is absolute,
 * has a `..` or leads out through a symbolic link is refused, so that who may
 * write a policy cannot read the machine's other files through error messages.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "edm/edm.h"
#include "fs.h"
#include "scanner/index_map.h"
#include "scanner/load_policy.h"
#include "verifier/dnsbl.h"

#define ZONEINFO "/usr/share/zoneinfo"
#define TEMPLATES "templates/"
#define ZONE_MAX (256u << 10)

static bool
stays_inside(struct span path)
{
	struct span rest = path;

	if (path.n == 0 || path.p[0] == '/' || memchr(path.p, '\0', path.n))
		return false;
	while (rest.n) {
		size_t n = span_find(rest, '/');

		if (span_is(span_sub(rest, 0, n), ".."))
			return false;
		rest = span_from(rest, n + 1);
	}
	return true;
}

/* RESOLVE_BENEATH also stops symbolic links; a kernel without openat2 (before 5.6) gets the
 * check of the text alone. */
static int
open_beneath(int dirfd, const char *path)
{
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
	int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	if (fd == -1 && errno == ENOSYS)
		fd = openat(dirfd, path, (int)how.flags);
	return fd;
}

/* What the overlay says of a file; NULL: nothing. */
static const struct overlay_file *
overlaid(const struct policy_folder *f, const char *path)
{
	size_t skip = f->within ? strlen(f->within) : 0;

	for (size_t i = 0; f->over && i < f->over->n; i++) {
		struct span name = f->over->files[i].name;

		if ((skip == 0 || span_starts(name, span_str(f->within))) && span_is(span_from(name, skip), path))
			return &f->over->files[i];
	}
	return NULL;
}

static int
read_beneath(struct policy_folder *f, const char *path, size_t max, struct span *text, struct err *err)
{
	const struct overlay_file *o = overlaid(f, path);
	struct stat st;
	int fd, rc;

	if (o && o->text.n > max)
		return err_set(err, EFBIG, "%s is longer than %zu bytes", path, max);
	if (o && !o->gone) {
		*text = o->text;
		return 0;
	}
	if (o)
		errno = ENOENT;
	fd = o ? -1 : open_beneath(f->fd, path);
	if (fd == -1) {
		if (errno == EXDEV)
			return err_set(err, EXDEV, "%s leads out of the policy folder", path);
		return err_errno(err, "%s", path);
	}
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode))
		rc = err_set(err, EINVAL, "%s is not a file", path);
	else
		rc = fs_read_fd(f->arena, fd, max, text, err);
	close(fd);
	return rc;
}

int
policy_folder_open(struct policy_folder *f, const char *dir, struct arena *a, struct err *err)
{
	f->arena = a;
	f->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return f->fd == -1 ? err_errno(err, "policy folder %s", dir) : 0;
}

void
policy_folder_close(struct policy_folder *f)
{
	if (f->fd != -1)
		close(f->fd);
	f->fd = -1;
}

static void
note_list(struct policy_folder *f, struct span path, struct span text)
{
	struct policy_parts *p = f->parts;

	if (p->nlists == p->caplists) {
		size_t cap = p->caplists ? p->caplists * 2 : 16;

		p->lists = arena_grow(f->arena, p->lists, p->caplists * sizeof(*p->lists),
		    cap * sizeof(*p->lists));
		p->caplists = cap;
	}
	p->lists[p->nlists++] = (struct archive_list){ arena_span(f->arena, path), text, false };
}

/* `templates` of postern.yaml. */
static int
read_template(struct policy_folder *f, struct span path, struct span *text, struct err *err)
{
	struct policy_folder second = { .fd = -1 };
	int rc;

	if (f->templates == NULL || !span_starts(path, SPAN_LIT(TEMPLATES)))
		return -1;
	if (access(f->templates, F_OK) == -1 && errno == ENOENT)
		return -1;		/* the default need not be there */
	if (policy_folder_open(&second, f->templates, f->arena, err) == -1)
		return -1;
	rc = read_beneath(&second, arena_str(f->arena, span_from(path, sizeof(TEMPLATES) - 1)),
	    POLICY_LIST_MAX, text, err);
	policy_folder_close(&second);
	return rc;
}

int
policy_folder_read(void *ctx, struct span path, struct span *text, struct err *err)
{
	struct policy_folder *f = ctx;

	if (!stays_inside(path))
		return err_set(err, EXDEV, SPAN_FMT " is not within the policy folder",
		    SPAN_ARG(path));
	if (read_beneath(f, arena_str(f->arena, path), POLICY_LIST_MAX, text, err) == -1 &&
	    (err->code != ENOENT || read_template(f, path, text, err) == -1))
		return -1;
	if (f->parts)
		note_list(f, path, *text);
	return 0;
}

/* /usr/share/zoneinfo/NAME; links in it lead to its other files. */
static int
read_zone(void *ctx, struct span name, struct span *tzif, struct err *err)
{
	struct policy_folder *f = ctx;
	struct policy_folder zones = { .arena = f->arena };
	int rc;

	zones.fd = open(ZONEINFO, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (zones.fd == -1)
		return err_errno(err, "%s", ZONEINFO);
	rc = !stays_inside(name) ? err_set(err, EXDEV, "not within %s", ZONEINFO) :
	    read_beneath(&zones, arena_str(f->arena, name), ZONE_MAX, tzif, err);
	close(zones.fd);
	if (rc == 0 && f->parts)
		note_list(f, span_str(arena_printf(f->arena, ARCHIVE_ZONES SPAN_FMT, SPAN_ARG(name))),
		    *tzif);
	return rc;
}

/* Its content is none of the archive's: what it is called and how it was made is. */
static int
read_index(void *ctx, struct span path, struct span key_path, struct policy_index *out, struct err *err)
{
	struct policy_folder *f = ctx;
	const char *names[2] = { arena_str(f->arena, path), arena_str(f->arena, key_path) };
	int fds[2] = { -1, -1 }, rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		if (!stays_inside(span_str(names[i])))
			rc = err_set(err, EXDEV, "%s is not within the policy folder", names[i]);
		else if ((fds[i] = open_beneath(f->fd, names[i])) == -1 && i == 1 && f->over && errno == EACCES)
			out->header_only = true;
		else if (fds[i] == -1)
			rc = errno == EXDEV ? err_set(err, EXDEV, "%s leads out of the policy folder", names[i]) :
			    err_errno(err, "%s", names[i]);
	}
	if (rc == 0 && fds[1] != -1)
		rc = edm_key_load_fd(fds[1], names[1], out->key, err);
	if (rc == 0)
		rc = index_map(fds[0], names[0], &out->bytes, err);
	if (rc == 0 && f->parts)
		note_list(f, span_str(arena_printf(f->arena, ARCHIVE_INDEX "%s", names[0])),
		    arena_span(f->arena, span_sub(out->bytes, 0, EXACT_HEADER)));
	for (int i = 0; i < 2; i++)
		if (fds[i] != -1)
			close(fds[i]);
	return rc;
}

static int
not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
by_source_name(const void *a, const void *b)
{
	return strcmp(((const struct policy_source *)a)->name, ((const struct policy_source *)b)->name);
}

/* Files of this folder that the overlay alone has. files: as many more fit. */
static void
add_overlay(const struct policy_folder *f, const char *shown, const char *ending,
    struct policy_source *files, size_t *nfiles)
{
	size_t skip = f->within ? strlen(f->within) : 0, was = *nfiles;

	for (size_t i = 0; f->over && i < f->over->n; i++) {
		const struct overlay_file *o = &f->over->files[i];
		struct span rest = span_from(o->name, skip);
		char *name;
		bool known = false;

		if (o->gone || (skip && !span_starts(o->name, span_str(f->within))) ||
		    span_find(rest, '/') < rest.n || !span_ends_nocase(rest, span_str(ending)))
			continue;
		name = arena_printf(f->arena, "%s/" SPAN_FMT, shown, SPAN_ARG(rest));
		for (size_t k = 0; k < was && !known; k++)
			known = strcmp(files[k].name, name) == 0;
		if (!known)
			files[(*nfiles)++] = (struct policy_source){ .name = name, .text = o->text };
	}
	if (*nfiles > was)
		qsort(files, *nfiles, sizeof(*files), by_source_name);
}

bool
policy_folder_sources(struct policy_folder *f, const char *shown, const char *ending,
    struct diags *d, struct policy_source **files, size_t *nfiles)
{
	struct dirent **names = NULL;
	int n = scandirat(f->fd, ".", &names, not_hidden, by_name);
	bool good = n >= 0 && n <= POLICY_FILES_MAX;
	struct err err;

	*files = arena_array(f->arena, (good ? (size_t)n : 1) + (f->over ? f->over->n : 0), sizeof(**files));
	*nfiles = 0;
	if (n < 0)
		diag_at(d, DIAG_ERROR, NULL, NULL, "%s: %s", shown, strerror(errno));
	else if (!good)
		diag_at(d, DIAG_ERROR, NULL, NULL, "%s: more than %d files", shown,
		    POLICY_FILES_MAX);
	for (int i = 0; i < n; i++) {
		struct policy_source *s = &(*files)[*nfiles];
		const struct overlay_file *o = overlaid(f, names[i]->d_name);

		if (good && !(o && o->gone) && span_ends_nocase(span_str(names[i]->d_name), span_str(ending))) {
			s->name = arena_printf(f->arena, "%s/%s", shown, names[i]->d_name);
			if (read_beneath(f, names[i]->d_name, POLICY_FILE_MAX, &s->text, &err) == -1)
				diag_at(d, DIAG_ERROR, NULL, NULL, "%s: %s", shown, err.text);
			else
				(*nfiles)++;
		}
		free(names[i]);
	}
	free(names);
	if (good)
		add_overlay(f, shown, ending, *files, nfiles);
	return good;
}

static void
fill_env(struct policy_env *env, const struct config *conf, struct arena *a)
{
	struct policy_network *nets;
	struct span *domains, *listeners, *lists;

	if (conf == NULL)
		return;
	nets = arena_array(a, conf->nnetworks, sizeof(*nets));
	for (size_t i = 0; i < conf->nnetworks; i++)
		nets[i] = (struct policy_network){ conf->networks[i].name, conf->networks[i].texts,
			conf->networks[i].n };
	domains = arena_array(a, conf->ndomains, sizeof(*domains));
	for (size_t i = 0; i < conf->ndomains; i++)
		domains[i] = conf->domains[i].name;
	listeners = arena_array(a, conf->nlisteners, sizeof(*listeners));
	for (size_t i = 0; i < conf->nlisteners; i++)
		listeners[i] = conf->listeners[i].name;
	lists = arena_array(a, conf->verify.ndnsbl, sizeof(*lists));
	for (size_t i = 0; i < conf->verify.ndnsbl; i++)
		lists[i] = conf->verify.dnsbl[i].name;
	env->blocklists = lists;
	env->nblocklists = conf->verify.ndnsbl;
	env->listeners = listeners;
	env->nlisteners = conf->nlisteners;
	env->networks = nets;
	env->nnetworks = conf->nnetworks;
	env->domains = domains;
	env->ndomains = conf->ndomains;
	env->no_directory = conf->ndirectories == 0;
}

/* What nobody finds out about inbound mail, as this gateway is set up. */
static unsigned
missing_facts(const struct config *conf)
{
	unsigned known;

	if (conf == NULL)	/* a folder by itself */
		return FACTS_INBOUND;
	known = config_verifies(conf) ? FACT_SPF | FACT_DKIM | FACT_DMARC | FACT_ARC : 0;
	if (known && !conf->verify.reputation.off)
		known |= FACT_EXPERIENCE | FACT_REPUTATION;
	if (known && conf->verify.ndnsbl)
		known |= FACT_DNSBL | FACT_REPUTATION;
	if (known && conf->verify.nuribl)
		known |= FACT_LISTED;
	if (known && conf->filter.kind != FILTER_NONE)
		known |= FACT_SPAM;
	if (conf->bayes.on)
		known |= FACT_BAYES;
	for (size_t i = 0; i < conf->nlisteners; i++)
		if (conf->listeners[i].upstream.n)
			known |= FACT_SPAM;
	for (size_t i = 0; i < conf->ndomains; i++)
		if (conf->domains[i].batv.key)
			known |= FACT_BOUNCE;
	return FACTS_INBOUND & ~known;
}

/* only: a single file of the folder, or NULL for all. */
static struct policy *
load_from(const char *dir, const char *shown, const char *only, const struct config *conf,
    bool limits_only, struct arena *a, struct diags *d, struct policy_parts *parts,
    const struct policy_overlay *over)
{
	struct policy_folder f = { .fd = -1, .arena = a, .parts = parts, .over = over,
		.templates = conf ? conf->templates_dir : NULL };
	struct policy_env env = { .read_file = policy_folder_read, .read_zone = read_zone,
		.read_index = read_index, .release_index = index_unmap,
		.ctx = &f, .now = clock_real(), .facts_missing = conf ? missing_facts(conf) : FACTS_INBOUND,
		.limits_only = limits_only };
	struct policy_source *files, one = { .name = shown };
	struct policy *p = NULL;
	size_t nfiles = 1, errors = d->errors;
	struct err err;

	if (policy_folder_open(&f, dir, a, &err) == -1) {
		diag_at(d, DIAG_ERROR, NULL, NULL, "%s", err.text);
		return NULL;
	}
	fill_env(&env, conf, a);
	files = &one;
	if (only && read_beneath(&f, only, POLICY_FILE_MAX, &one.text, &err) == -1)
		diag_at(d, DIAG_ERROR, NULL, NULL, "%s", err.text);
	else if (only || policy_folder_sources(&f, shown, ".yaml", d, &files, &nfiles))
		p = policy_load(files, nfiles, &env, d);
	policy_folder_close(&f);
	if (parts) {
		parts->files = files;
		parts->nfiles = nfiles;
	}
	if (p && d->errors > errors)	/* a file that could not be read */
		policy_free(&p);
	return p;
}

struct policy *
policy_load_dir(const char *dir, const char *dir_shown, const struct config *conf,
    bool limits_only, struct arena *a, struct diags *d)
{
	return load_from(dir, dir_shown, NULL, conf, limits_only, a, d, NULL, NULL);
}

struct policy *
policy_load_file(const char *path, const struct config *conf, struct arena *a, struct diags *d)
{
	const char *slash = strrchr(path, '/');
	const char *dir = !slash ? "." : slash == path ? "/" :
	    arena_str(a, span_make(path, (size_t)(slash - path)));

	return load_from(dir, arena_str(a, span_str(path)), slash ? slash + 1 : path, conf, false, a,
	    d, NULL, NULL);
}

static const char *
shown(const struct config *conf)
{
	const char *slash = strrchr(conf->policy_dir, '/');

	return slash && slash[1] ? slash + 1 : conf->policy_dir;
}

struct policy *
policy_load_conf(const struct config *conf, bool limits_only, struct arena *a, struct diags *d)
{
	return policy_load_dir(conf->policy_dir, shown(conf), conf, limits_only, a, d);
}

struct policy *
policy_load_parts(const struct config *conf, struct arena *a, struct diags *d,
    struct policy_parts *parts)
{
	*parts = (struct policy_parts){ 0 };
	return load_from(conf->policy_dir, shown(conf), NULL, conf, false, a, d, parts, NULL);
}

struct policy *
policy_load_overlay(const struct config *conf, const struct policy_overlay *over, struct arena *a,
    struct diags *d)
{
	return load_from(conf->policy_dir, shown(conf), NULL, conf, false, a, d, NULL, over);
}
