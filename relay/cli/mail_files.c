/* mail_files.c -- messages in files, mboxes and folders; see mail_files.h.
 *
 * An mbox is read line by line, so that one of many GB costs the memory of its largest message. Its
 * quoting (">From ") is left as it is: nobody here needs the bytes that were signed.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "cli/mail_files.h"

#define DEPTH_MAX 32

struct walk {
	mail_file *take;
	mail_complaint *complain;
	void *ctx;
	struct arena *arena;
};

static int
take(struct walk *w, const char *name, struct span content)
{
	arena_reset(w->arena);
	return w->take(w->ctx, name, content, w->arena);
}

/* The message gathered, if there is one. */
static int
mbox_end(struct walk *w, const char *path, unsigned long n, struct buf *b)
{
	char name[4200];
	int r = 0;

	snprintf(name, sizeof(name), "%s#%lu", path, n);
	if (buf_failed(b))
		w->complain(w->ctx, name, "larger than 64 MiB: left out");
	else if (buf_size(b))
		r = take(w, name, buf_data(b));
	buf_release(b);
	buf_init(b, MAIL_FILE_MAX);
	return r;
}

static int
mbox_walk(struct walk *w, const char *path, FILE *f)
{
	char *line = NULL;
	size_t room = 0;
	unsigned long number = 0;
	bool blank = true;
	struct buf b;
	ssize_t n;
	int r = 0;

	buf_init(&b, MAIL_FILE_MAX);
	while (r == 0 && (n = getline(&line, &room, f)) > 0) {
		if (blank && n > 5 && memcmp(line, "From ", 5) == 0) {
			if (number++)
				r = mbox_end(w, path, number - 1, &b);
		} else {
			buf_put(&b, line, (size_t)n);
		}
		blank = n == 1 || (n == 2 && line[0] == '\r');
	}
	if (ferror(f))
		w->complain(w->ctx, path, strerror(errno));
	if (r == 0)
		r = mbox_end(w, path, number, &b);
	buf_release(&b);
	free(line);
	return r;
}

static int
file_walk(struct walk *w, const char *path)
{
	char head[5] = "";
	FILE *f = fopen(path, "r");
	struct buf b;
	size_t n;
	int r = 0;

	if (f == NULL) {
		w->complain(w->ctx, path, strerror(errno));
		return 0;
	}
	n = fread(head, 1, sizeof(head), f);
	rewind(f);
	if (n == sizeof(head) && memcmp(head, "From ", 5) == 0) {
		r = mbox_walk(w, path, f);
		fclose(f);
		return r;
	}
	buf_init(&b, MAIL_FILE_MAX);
	for (;;) {
		char *to = buf_room(&b, 65536);

		if (to == NULL || (n = fread(to, 1, 65536, f)) == 0)
			break;
		buf_commit(&b, n);
	}
	if (ferror(f))
		w->complain(w->ctx, path, strerror(errno));
	else if (buf_failed(&b))
		w->complain(w->ctx, path, "larger than 64 MiB: left out");
	else if (buf_size(&b))
		r = take(w, path, buf_data(&b));
	buf_release(&b);
	fclose(f);
	return r;
}

static int
not_hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static bool
is_maildir(const char *path)
{
	char at[4096];
	struct stat st;

	return snprintf(at, sizeof(at), "%s/cur", path) < (int)sizeof(at) && stat(at, &st) == 0 &&
	    S_ISDIR(st.st_mode) && snprintf(at, sizeof(at), "%s/new", path) < (int)sizeof(at) &&
	    stat(at, &st) == 0 && S_ISDIR(st.st_mode);
}

static int
folder_walk(struct walk *w, const char *path, unsigned depth)
{
	bool maildir = is_maildir(path);
	struct dirent **names;
	int n = depth < DEPTH_MAX ? scandir(path, &names, not_hidden, alphasort) : -1, r = 0;

	if (n == -1) {
		w->complain(w->ctx, path, depth < DEPTH_MAX ? strerror(errno) :
		    "folders within folders, too deep");
		return 0;
	}
	for (int i = 0; i < n; i++) {
		char at[4096];
		struct stat st;

		if (r == -1 || (maildir && strcmp(names[i]->d_name, "cur") && strcmp(names[i]->d_name, "new")))
			;
		else if (snprintf(at, sizeof(at), "%s/%s", path, names[i]->d_name) >= (int)sizeof(at))
			w->complain(w->ctx, path, "a path too long");
		else if (lstat(at, &st) == -1)
			w->complain(w->ctx, at, strerror(errno));
		else if (S_ISDIR(st.st_mode))
			r = folder_walk(w, at, depth + 1);
		else if (S_ISREG(st.st_mode))
			r = file_walk(w, at);
		free(names[i]);
	}
	free(names);
	return r;
}

int
mail_files_walk(const char *path, mail_file *call, mail_complaint *complain, void *ctx)
{
	struct walk w = { call, complain, ctx, arena_new(1u << 20) };
	struct stat st;
	int r = 0;

	if (stat(path, &st) == -1)
		complain(ctx, path, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		r = folder_walk(&w, path, 0);
	else
		r = file_walk(&w, path);
	arena_free(&w.arena);
	return r;
}
