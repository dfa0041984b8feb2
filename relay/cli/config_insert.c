/* config_insert.c -- a domain more in postern.yaml; see config_insert.h. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/config_insert.h"
#include "fs.h"
#include "master/config.h"

#define INDENT 2

/* Is this line "domains:", and is there nothing behind it? *block: so that lines may follow. */
static bool
is_domains(struct span line, bool *block)
{
	static const char *const spelled[] = { "domains:", "\"domains\":", "'domains':" };

	for (size_t i = 0; i < sizeof(spelled) / sizeof(spelled[0]); i++) {
		struct span rest;

		if (!span_starts(line, span_str(spelled[i])))
			continue;
		rest = span_trim(span_from(line, strlen(spelled[i])));
		*block = rest.n == 0 || rest.p[0] == '#';
		return true;
	}
	return false;
}

/* How the first entry below is indented; INDENT where there is none. */
static size_t
indent_of(struct span rest)
{
	while (rest.n) {
		struct span line = span_sub(rest, 0, span_find(rest, '\n'));
		size_t n = 0;

		rest = span_from(rest, line.n + 1);
		while (n < line.n && line.p[n] == ' ')
			n++;
		if (span_trim(line).n == 0 || line.p[n] == '#')
			continue;
		return n ? n : INDENT;
	}
	return INDENT;
}

static void
put_lines(struct buf *out, struct span lines, size_t indent)
{
	while (lines.n) {
		struct span line = span_sub(lines, 0, span_find(lines, '\n'));

		lines = span_from(lines, line.n + 1);
		for (; line.n && line.p[0] == '\t'; line = span_from(line, 1))
			for (size_t i = 0; i < indent; i++)
				buf_putc(out, ' ');
		buf_span(out, line);
		buf_putc(out, '\n');
	}
}

bool
config_insert(struct span file, struct span lines, struct buf *out)
{
	size_t at = 0;
	bool block;

	while (at < file.n) {
		struct span line = span_from(file, at);

		line.n = span_find(line, '\n');
		at += line.n + 1;
		if (!is_domains(line, &block))
			continue;
		if (!block)
			return false;
		if (at > file.n)	/* the last line, without its end */
			at = file.n;
		buf_span(out, span_sub(file, 0, at));
		if (at && file.p[at - 1] != '\n')
			buf_putc(out, '\n');
		put_lines(out, lines, indent_of(span_from(file, at)));
		buf_span(out, span_from(file, at));
		return true;
	}
	buf_span(out, file);
	if (file.n && file.p[file.n - 1] != '\n')
		buf_putc(out, '\n');
	buf_puts(out, "\ndomains:\n");
	put_lines(out, lines, INDENT);
	return true;
}

/* The new text is one that posternd would take; the first error else. */
static int
check(const char *path, struct span text, struct arena *a, struct err *err)
{
	struct diags d;
	struct config *c;

	diags_init(&d, a);
	c = config_parse(path, path, text, &d);
	if (c == NULL) {
		const struct diag *first = d.first;

		while (first && first->level != DIAG_ERROR)
			first = first->next;
		return err_set(err, 0, "the file would not be valid: line %u: %s", first ? first->line : 0,
		    first ? first->text : "it cannot be read");
	}
	config_free(&c);
	return 0;
}

static int
replace(const char *path, struct span text, const struct stat *st, struct arena *a, struct err *err)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char *folder = slash ? arena_str(a, span_make(path, (size_t)(slash - path) + 1)) : arena_printf(a, ".");
	char *draft = arena_printf(a, ".%s.new", name);
	int dir = -1, fd = -1, rc = -1;

	if ((dir = fs_open(folder, O_RDONLY | O_DIRECTORY, 0, err)) == -1 ||
	    (fd = fs_openat(dir, draft, O_WRONLY | O_CREAT | O_TRUNC, 0600, err)) == -1)
		goto out;
	if (fchmod(fd, st->st_mode & 07777) == -1 || (geteuid() == 0 && fchown(fd, st->st_uid, st->st_gid) == -1)) {
		err_errno(err, "%s", draft);
		goto out;
	}
	if (fs_write_all(fd, text.p, text.n, err) == 0 && fs_fsync(fd, err) == 0 &&
	    fs_renameat(dir, draft, name, err) == 0 && fs_fsync(dir, err) == 0)
		rc = 0;
out:
	if (fd != -1)
		close(fd);
	if (dir != -1)
		close(dir);
	return rc;
}

int
config_add_domain(const char *path, struct span lines, struct arena *a, struct err *err)
{
	char *real = realpath(path, NULL);	/* a link stays one */
	struct span file;
	struct stat st;
	struct buf b;
	int rc = -1;

	buf_init(&b, CONFIG_TEXT_MAX);
	if (real == NULL || stat(real, &st) == -1)
		err_errno(err, "%s", path);
	else if (fs_read(a, real, CONFIG_TEXT_MAX - (64u << 10), &file, err) == 0) {
		if (!config_insert(file, lines, &b))
			err_set(err, 0, "%s: `domains` is written as {…}: put the lines in by hand", path);
		else if (check(real, buf_data(&b), a, err) == 0)
			rc = replace(real, buf_data(&b), &st, a, err);
	}
	buf_release(&b);
	free(real);
	return rc;
}
