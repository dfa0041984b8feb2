/* commit.c -- which commit a policy folder stands at, read from .git without running git.
 *
 * The folder may belong to somebody less trusted than who reads it: a `.git`
 * there may be a link to anywhere. So nothing that is read is ever shown or
 * kept unless it is a hexadecimal name, files are small, and names of branches
 * stay below refs/. What is uncommitted in the work tree is not seen.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "scanner/archive.h"

#define FILE_MAX 4096
#define PACKED_MAX ((size_t)4 << 20)
#define LEVELS 20		/* of folders above the policy */
#define HOPS 5			/* of symbolic names */

static bool
is_commit(struct span s)
{
	if (s.n != 40 && s.n != 64)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f')))
			return false;
	return true;
}

static bool
is_ref(struct span s)
{
	if (!span_starts(s, SPAN_LIT("refs/")) || s.n > 255)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if ((unsigned char)c <= ' ' || c == 0x7f || strchr("~^:?*[\\", c) ||
		    (c == '.' && (i + 1 == s.n || s.p[i + 1] == '.' || s.p[i - 1] == '/')))
			return false;
	}
	return true;
}

static bool
read_small(struct arena *a, const char *dir, const char *name, size_t max, struct span *out)
{
	char *path = arena_printf(a, "%s/%s", dir, name);
	struct stat st;
	struct err err;

	if (stat(path, &st) == -1 || !S_ISREG(st.st_mode) || fs_read(a, path, max, out, &err) == -1)
		return false;
	*out = span_trim(*out);
	return true;
}

/* A path that a file of git names, seen from dir. */
static const char *
follow(struct arena *a, const char *dir, struct span path)
{
	if (path.n == 0 || memchr(path.p, '\0', path.n) || path.n > PATH_MAX)
		return NULL;
	if (path.p[0] == '/')
		return arena_str(a, path);
	return arena_printf(a, "%s/" SPAN_FMT, dir, SPAN_ARG(path));
}

/* dir/.git, or what that file points at (a linked work tree, a submodule). */
static const char *
git_folder(struct arena *a, const char *dir)
{
	static const struct span head = { "gitdir:", 7 };
	char *path = arena_printf(a, "%s/.git", dir);
	struct span text;
	struct stat st;

	if (stat(path, &st) == -1)
		return NULL;
	if (S_ISDIR(st.st_mode))
		return path;
	if (!read_small(a, dir, ".git", FILE_MAX, &text) || !span_starts(text, head))
		return NULL;
	return follow(a, dir, span_trim(span_from(text, head.n)));
}

static bool
packed(struct arena *a, const char *git, struct span ref, struct span *out)
{
	struct span text;

	if (!read_small(a, git, "packed-refs", PACKED_MAX, &text))
		return false;
	while (text.n) {
		size_t eol = span_find(text, '\n'), blank;
		struct span line = span_sub(text, 0, eol);

		blank = span_find(line, ' ');
		if (is_commit(span_sub(line, 0, blank)) && span_eq(span_from(line, blank + 1), ref)) {
			*out = span_sub(line, 0, blank);
			return true;
		}
		text = span_from(text, eol + 1);
	}
	return false;
}

static bool
resolve(struct arena *a, const char *git, struct span *out)
{
	static const struct span symbolic = { "ref:", 4 };
	const char *shared = git;
	struct span text;

	if (read_small(a, git, "commondir", FILE_MAX, &text))
		shared = follow(a, git, text);
	if (shared == NULL || !read_small(a, git, "HEAD", FILE_MAX, &text))
		return false;
	for (int i = 0; i < HOPS; i++) {
		struct span ref;

		if (is_commit(text)) {
			*out = text;
			return true;
		}
		if (!span_starts(text, symbolic))
			return false;
		ref = span_trim(span_from(text, symbolic.n));
		if (!is_ref(ref))
			return false;
		if (!read_small(a, git, arena_str(a, ref), FILE_MAX, &text) &&
		    !read_small(a, shared, arena_str(a, ref), FILE_MAX, &text))
			return packed(a, shared, ref, out);
	}
	return false;
}

void
commit_of(const char *dir, char out[ARCHIVE_COMMIT + 1])
{
	struct arena *a = arena_new(0);
	char *at = realpath(dir, NULL);
	struct span commit;

	out[0] = '\0';
	for (int i = 0; at && i < LEVELS; i++) {
		const char *git = git_folder(a, at);
		char *slash;

		if (git) {
			if (resolve(a, git, &commit)) {
				memcpy(out, commit.p, commit.n);
				out[commit.n] = '\0';
			}
			break;
		}
		slash = strrchr(at, '/');
		if (slash == NULL || slash == at)
			break;
		*slash = '\0';
	}
	free(at);
	arena_free(&a);
}
