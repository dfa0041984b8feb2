/* index_map.c -- see index_map.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scanner/index_map.h"

struct mapped {
	struct span bytes;
	int fd;
	off_t size;
	struct timespec mtime;
	char *name;
	struct mapped *next;
};
static struct mapped *mapped;	/* of this process and those it forks */

int
index_map(int fd, const char *name, struct span *out, struct err *err)
{
	struct mapped *m;
	struct stat st;
	void *p = NULL;

	if (fstat(fd, &st) == -1)
		return err_errno(err, "%s", name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, EINVAL, "%s is not a file", name);
	if (st.st_size > 0 && (p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0)) ==
	    MAP_FAILED)
		return err_errno(err, "%s", name);
	*out = span_make(p, (size_t)st.st_size);
	if (st.st_size == 0)
		return 0;
	m = calloc(1, sizeof(*m));
	ASSERT_MEMORY(m);
	*m = (struct mapped){ .bytes = *out, .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .size = st.st_size,
		.mtime = st.st_mtim, .name = strdup(name), .next = mapped };
	if (m->fd == -1) {
		err_errno(err, "%s", name);
		munmap(p, (size_t)st.st_size);
		free(m->name);
		free(m);
		return -1;
	}
	ASSERT_MEMORY(m->name);
	mapped = m;
	return 0;
}

void
index_unmap(void *ctx, struct span bytes)
{
	for (struct mapped **at = &mapped; *at; at = &(*at)->next) {
		struct mapped *m = *at;

		if (m->bytes.p != bytes.p)
			continue;
		*at = m->next;
		munmap((void *)(uintptr_t)m->bytes.p, m->bytes.n);
		close(m->fd);
		free(m->name);
		free(m);
		return;
	}
}

const char *
index_changed(void)
{
	for (const struct mapped *m = mapped; m; m = m->next) {
		struct stat st;

		if (fstat(m->fd, &st) == -1 || st.st_size != m->size ||
		    st.st_mtim.tv_sec != m->mtime.tv_sec || st.st_mtim.tv_nsec != m->mtime.tv_nsec)
			return m->name;
	}
	return NULL;
}
