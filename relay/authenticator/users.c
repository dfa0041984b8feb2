/* users.c -- the file of users; see users.h.
 *
 * A name that is not there is checked against a hash that nothing matches, with the
 * costs of the first in the file, so that the time of the answer says nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authenticator/scrypt.h"
#include "authenticator/users.h"
#include "fs.h"
#include "receiver/smtp_auth.h"
#include "table.h"

#define USERS_FILE_MAX (16u << 20)

struct users {
	struct arena *arena;
	struct table *names;
	struct scrypt_hash nobody;
};

static int
add(struct users *u, struct span line, struct err *err)
{
	struct span name = span_sub(line, 0, span_find(line, ':'));
	struct scrypt_hash *h = arena_alloc(u->arena, sizeof(*h));

	if (name.n == line.n || name.n == 0 || name.n > AUTH_TEXT_MAX)
		return err_set(err, EINVAL, "not a line `name:hash`");
	if (table_get(u->names, name))
		return err_set(err, EEXIST, "this user stands twice");
	if (scrypt_parse(span_from(line, name.n + 1), h, err) == -1)
		return -1;
	if (table_count(u->names) == 0) {
		u->nobody = *h;
		u->nobody.hash[0] ^= 1;
	}
	table_put(u->names, arena_span(u->arena, name), h);
	return 0;
}

static int
read_file(struct arena *a, const char *path, struct span *text, struct err *err)
{
	int fd = fs_open(path, O_RDONLY, 0, err);
	struct stat st;

	if (fd == -1)
		return -1;
	if (fstat(fd, &st) == 0 && (st.st_mode & 007)) {
		close(fd);
		return err_set(err, EPERM, "%s: everybody may read or change it: chmod o-rwx %s",
		    path, path);
	}
	if (fs_read_fd(a, fd, USERS_FILE_MAX, text, err) == -1) {
		close(fd);
		return err_wrap(err, "%s", path);
	}
	close(fd);
	return 0;
}

struct users *
users_load(const char *path, struct err *err)
{
	struct users *u = calloc(1, sizeof(*u));
	unsigned line = 0;
	struct span text;

	ASSERT(u != NULL);
	u->arena = arena_new(0);
	u->names = table_new();
	u->nobody = (struct scrypt_hash){ .ln = SCRYPT_LN, .r = SCRYPT_R, .p = SCRYPT_P,
		.nsalt = SCRYPT_SALT, .nhash = SCRYPT_SIZE };
	if (read_file(u->arena, path, &text, err) == -1)
		goto bad;
	while (text.n) {
		size_t n = span_find(text, '\n');
		struct span entry = span_trim(span_sub(text, 0, n));

		line++;
		text = span_from(text, n + 1);
		if (entry.n == 0 || entry.p[0] == '#')
			continue;
		if (add(u, entry, err) == -1) {
			err_wrap(err, "%s:%u", path, line);
			goto bad;
		}
	}
	return u;
bad:
	err_wrap(err, "auth.file");
	users_free(&u);
	return NULL;
}

void
users_free(struct users **up)
{
	struct users *u = *up;

	*up = NULL;
	if (u == NULL)
		return;
	table_free(&u->names);
	arena_free(&u->arena);
	free(u);
}

size_t
users_count(const struct users *u)
{
	return table_count(u->names);
}

int
users_check(const struct users *u, struct span name, struct span password, bool *right,
    struct err *err)
{
	const struct scrypt_hash *h = table_get(u->names, name);
	bool same;

	if (scrypt_check(h ? h : &u->nobody, password, &same, err) == -1)
		return -1;
	*right = h != NULL && same;
	return 0;
}
