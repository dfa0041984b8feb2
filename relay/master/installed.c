/* installed.c -- the program that runs, and the one that is installed.
 *
 * An upgrade puts another posternd in this one's place while it runs. What the
 * master starts from then on, a role that died or the check before a reload,
 * must be the program that it is itself, for frames have no versions. The kernel
 * keeps it as /proc/self/exe (postern-ocr by a descriptor); while both are the same file the path is used,
 * which reads better in ps(1).
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "master/master.h"
#include "reader/program.h"

#define SELF "/proc/self/exe"

static bool
same_file(const char *a, const char *b)
{
	struct stat one, other;

	return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
	    one.st_ino == other.st_ino;
}

bool
own_exe_replaced(const struct master *m)
{
	return !same_file(m->exe, SELF);
}

void
installed_open(struct master *m)
{
	char path[PATH_MAX];
	int fd;

	if (!reader_program(m->exe, path, sizeof(path)) ||
	    (fd = open(path, O_PATH | O_CLOEXEC)) == -1)
		return;
	m->reader_fd = fcntl(fd, F_DUPFD_CLOEXEC, 16);	/* away from the numbers that roles use */
	close(fd);
}

bool
own_reader(const struct master *m, char path[PATH_MAX])
{
	char held[64];

	snprintf(held, sizeof(held), "/proc/self/fd/%d", m->reader_fd);
	if (reader_program(m->exe, path, PATH_MAX) &&
	    (m->reader_fd == -1 || same_file(path, held)))
		return true;
	snprintf(path, PATH_MAX, "%s", held);
	return m->reader_fd != -1;
}

const char *
own_exe(const struct master *m)
{
	return own_exe_replaced(m) ? SELF : m->exe;
}
