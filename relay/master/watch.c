/* watch.c -- files a policy refers to (`file:lists/partners.txt`) are taken anew
 * when they change.
 *
 * The check that precedes every start and reload names them (`posternd -n -l`);
 * the master does not read the policy. Once a second each is looked at with
 * stat(2), which sees files replaced, written in place, mounted from elsewhere
 * and behind links alike. What has changed and then stood still for a second,
 * and has another content than before, begins an ordinary reload: a bad line
 * refuses it, the running policy stays, and `postern status` says so until a
 * reload succeeds.
 *
 * Of indexes of exact data, which are large, and of their keys nothing is read:
 * another stat is another content.
 *
 * A reload takes everything. So when policy files or postern.yaml have been
 * changed as well and nobody has asked for a reload, the list waits for it: an
 * edit that is half done must not come into force because a list was updated.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "fs.h"
#include "log.h"
#include "master/config_cluster.h"
#include "master/identity.h"
#include "master/master.h"
#include "table.h"

#define LOOK_US INT64_C(1000000)
#define WATCHED_MAX 1000
#define WATCHED_BYTES (64u << 20)
#define MARK "watch: "
#define MARK_PRINT "watch-print: "

struct print {			/* what stat says of a file; zero: it is not there */
	uint64_t dev, ino, size;
	int64_t mtime, ctime;
};
struct watched {
	char *path;
	struct print known;	/* as of the reload in force */
	struct print seen;	/* at the last look */
	uint64_t content;
	bool print_only;	/* its content is not read */
};
struct watch {
	struct watched *v;
	size_t n;
	uint64_t policy;	/* of the names and prints of postern.yaml and the policy folder */
	int64_t looked;		/* clock_mono */
	bool told;		/* that a list waits for somebody's reload */
};

static struct print
print_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) == -1)
		return (struct print){ 0 };
	return (struct print){ st.st_dev, st.st_ino, (uint64_t)st.st_size,
		(int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
		(int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec };
}

static bool
print_eq(const struct print *a, const struct print *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	uint8_t key[16] = "watched";

	memcpy(key + 8, &h, 8);
	return siphash(key, n ? p : "", n);
}

/* Names and prints of a folder's files, in any order; of a file: its bytes. */
static uint64_t
content_of(const struct watched *x)
{
	const char *path = x->path;
	struct arena *a = arena_new(0);
	DIR *d = x->print_only ? NULL : opendir(path);
	struct dirent *e;
	struct span text;
	uint64_t h = 0;

	if (x->print_only) {
		struct print p = print_of(path);

		h = mix(5, &p, sizeof(p));
	} else if (d) {
		while ((e = readdir(d)) != NULL) {
			struct print p;

			if (e->d_name[0] == '.')
				continue;
			p = print_of(arena_printf(a, "%s/%s", path, e->d_name));
			h ^= mix(mix(1, e->d_name, strlen(e->d_name)), &p, sizeof(p));
		}
		closedir(d);
	} else if (fs_read(a, path, WATCHED_BYTES, &text, NULL) == 0) {
		h = mix(2, text.p, text.n);
	}
	arena_free(&a);
	return h;
}

/* postern.yaml and the policy's own files; not what lies in its subfolders. */
static uint64_t
policy_print(const struct master *m)
{
	struct arena *a = arena_new(0);
	struct print conf = print_of(m->path);
	struct print own = print_of(fs_beside(a, m->path, SPAN_LIT(NODE_FILE)));
	const char *dir = (m->next.conf ? m->next.conf : m->now.conf)->policy_dir;
	DIR *d = opendir(dir);
	struct dirent *e;
	uint64_t h = mix(mix(3, &conf, sizeof(conf)), &own, sizeof(own));

	while (d && (e = readdir(d)) != NULL) {
		struct print p;

		if (e->d_name[0] == '.' ||
		    !span_ends_nocase(span_str(e->d_name), SPAN_LIT(".yaml")))
			continue;
		p = print_of(arena_printf(a, "%s/%s", dir, e->d_name));
		h ^= mix(mix(4, e->d_name, strlen(e->d_name)), &p, sizeof(p));
	}
	if (d)
		closedir(d);
	arena_free(&a);
	return h;
}

void
watch_failed(struct master *m)
{
	if (m->watch)
		m->watch->policy = 0;	/* the next change of a list waits for somebody */
}

static void
clear(struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i].path);
	free(w->v);
	*w = (struct watch){ .looked = w->looked };
}

void
watch_take(struct master *m, struct span said)
{
	struct watch *w = m->watch;

	if (w == NULL) {
		w = m->watch = calloc(1, sizeof(*w));
		ASSERT(w != NULL);
	}
	clear(w);
	w->v = calloc(WATCHED_MAX, sizeof(*w->v));
	ASSERT(w->v != NULL);
	identity_files_root();
	while (said.n) {
		size_t eol = span_find(said, '\n');
		struct span line = span_sub(said, 0, eol);
		struct watched *x = &w->v[w->n];

		said = span_from(said, eol + 1);
		x->print_only = span_starts(line, SPAN_LIT(MARK_PRINT));
		if (!(x->print_only || span_starts(line, SPAN_LIT(MARK))) || w->n == WATCHED_MAX)
			continue;
		line = span_from(line, x->print_only ? sizeof(MARK_PRINT) - 1 : sizeof(MARK) - 1);
		x->path = strndup(line.p, line.n);
		ASSERT(x->path != NULL);
		x->known = x->seen = print_of(x->path);
		x->content = content_of(x);
		w->n++;
	}
	w->policy = policy_print(m);
	identity_files_own();
	w->looked = clock_mono();
}

/* The first file that has changed and stands still; NULL: none. */
static const char *
changed(struct watch *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct watched *x = &w->v[i];
		struct print now = print_of(x->path);
		bool still = print_eq(&now, &x->seen);
		uint64_t content;

		x->seen = now;
		if (!still || print_eq(&now, &x->known))
			continue;
		content = content_of(x);
		x->known = now;
		if (content == x->content)
			continue;	/* touched, or written again as it was */
		x->content = content;
		return x->path;
	}
	return NULL;
}

void
watch_look(struct master *m)
{
	struct watch *w = m->watch;
	int64_t now = clock_mono();
	const char *path;
	bool settled;

	if (w == NULL || m->phase != PHASE_RUNNING || m->check || m->next.conf ||
	    now - w->looked < LOOK_US)
		return;
	w->looked = now;
	identity_files_root();
	path = changed(w);
	settled = path && policy_print(m) == w->policy;
	identity_files_own();
	if (path == NULL)
		return;
	if (settled) {
		log_info("%s has changed: reloading", path);
		reload_begin(m, "list", (uint32_t)-1);
		return;
	}
	if (!w->told)
		log_warn("%s has changed, and so have policy files or %s: they wait for "
		    "`postern reload`", path, m->path);
	w->told = true;
}

bool
watch_waits(const struct master *m)
{
	return m->watch && m->watch->told;
}
