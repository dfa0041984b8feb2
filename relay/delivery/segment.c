/* segment.c -- the spool's bytes, mapped read-only; see segment.h.
 *
 * Reading past the end of a mapped file kills the process: every reference
 * is checked against the size of the file first. Segments are append-only,
 * so a size once seen holds.
 *
 * What was read is the kernel's to keep, not ours: after every HELD_MAX bytes given out the pages are let go of
 * (they stay in its cache), or a day's mail would count as this process's memory. A job that still reads
 * faults its page in again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "delivery/segment.h"
#include "table.h"

#define HELD_MAX ((uint64_t)1 << 20)
#define MAP_AHEAD ((uint64_t)72 << 20)	/* a segment ends soon after 64 MiB */

struct mapping {
	unsigned refs;		/* one is the segment's while it is announced */
	int fd;
	char *p;
	uint64_t mapped;
	uint64_t size;		/* of the file, as last seen */
	bool read;		/* since its pages were let go of */
};

struct segments {
	struct idtable *by_number;
	uint64_t given;		/* bytes, since pages were let go of */
};

struct segments *
segments_new(void)
{
	struct segments *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->by_number = idtable_new();
	return s;
}

static struct mapping *
mapping_new(int fd)
{
	struct mapping *m = calloc(1, sizeof(*m));

	ASSERT(m != NULL);
	m->refs = 1;
	m->fd = fd;
	return m;
}

void
segment_release(void *mapping)
{
	struct mapping *m = mapping;

	if (m == NULL || --m->refs > 0)
		return;
	if (m->p)
		munmap(m->p, m->mapped);
	if (m->fd != -1)
		close(m->fd);
	free(m);
}

void
segments_add(struct segments *s, uint32_t number, int fd)
{
	segments_drop(s, number);
	idtable_put(s->by_number, number, mapping_new(fd));
}

void
segments_drop(struct segments *s, uint32_t number)
{
	segment_release(idtable_remove(s->by_number, number));
}

void
segments_drop_all(struct segments *s)
{
	uint64_t number;
	void *value;

	for (size_t at = 0; idtable_next(s->by_number, &at, &number, &value); ) {
		idtable_remove(s->by_number, number);
		segment_release(value);
	}
}

void
segments_free(struct segments **sp)
{
	if (*sp == NULL)
		return;
	segments_drop_all(*sp);
	idtable_free(&(*sp)->by_number);
	free(*sp);
	*sp = NULL;
}

/* Maps [0, end) at least. A segment is mapped once unless it outgrows what was foreseen. */
static int
map_until(struct mapping *m, uint64_t end, uint64_t ahead, struct err *err)
{
	struct stat st;
	void *p;

	if (end > m->size) {
		if (fstat(m->fd, &st) == -1)
			return err_errno(err, "segment");
		m->size = (uint64_t)st.st_size;
		if (end > m->size)
			return err_set(err, EINVAL, "segment: %llu bytes are there, %llu were announced",
			    (unsigned long long)m->size, (unsigned long long)end);
	}
	if (m->p)
		return end <= m->mapped ? 0 : err_set(err, EFBIG, "segment: longer than mapped");
	if (ahead < m->size)
		ahead = m->size;
	if (ahead == 0)
		return 0;
	p = mmap(NULL, ahead, PROT_READ, MAP_SHARED, m->fd, 0);
	if (p == MAP_FAILED)
		return err_errno(err, "mmap");
	m->p = p;
	m->mapped = ahead;
	return 0;
}

static struct mapping *
find(struct segments *s, const struct spool_ref *ref, int fd, uint64_t end, struct err *err)
{
	struct mapping *m, *bigger;

	if (ref->segment == 0) {
		if (fd == -1) {
			err_set(err, EINVAL, "a message without a file");
			return NULL;
		}
		if ((fd = dup(fd)) == -1) {
			err_errno(err, "dup");
			return NULL;
		}
		m = mapping_new(fd);
		if (map_until(m, end, 0, err) == -1) {
			segment_release(m);
			return NULL;
		}
		return m;
	}
	if ((m = idtable_get(s->by_number, ref->segment)) == NULL) {
		err_set(err, ENOENT, "segment %u was not announced", ref->segment);
		return NULL;
	}
	if (m->p && end > m->mapped) {
		/* Jobs still read from the old mapping: a new one beside it. */
		if ((fd = dup(m->fd)) == -1) {
			err_errno(err, "dup");
			return NULL;
		}
		bigger = mapping_new(fd);
		idtable_put(s->by_number, ref->segment, bigger);
		segment_release(m);
		m = bigger;
	}
	if (map_until(m, end, MAP_AHEAD, err) == -1)
		return NULL;
	m->refs++;
	return m;
}

static void
let_go(struct segments *s)
{
	uint64_t number;
	void *value;

	s->given = 0;
	for (size_t at = 0; idtable_next(s->by_number, &at, &number, &value); ) {
		struct mapping *m = value;

		if (m->read)
			madvise(m->p, m->mapped, MADV_DONTNEED);
		m->read = false;
	}
}

void *
segment_bytes(struct segments *s, const struct spool_ref *ref, int fd, struct span *out,
    struct err *err)
{
	struct mapping *m;
	uint64_t end;

	if (__builtin_add_overflow(ref->offset, ref->size, &end) || end > INT64_MAX) {
		err_set(err, EINVAL, "a message beyond all bounds");
		return NULL;
	}
	if ((m = find(s, ref, fd, end, err)) == NULL)
		return NULL;
	if (ref->segment && m->p) {
		if ((s->given += ref->size) > HELD_MAX)
			let_go(s);
		m->read = true;
	}
	*out = span_make(m->p ? m->p + ref->offset : "", ref->size);
	return m;
}
