/* spool_spares.c -- the files of dead segments: used again, or freed without haste.
 *
 * Freeing 64 MiB costs the file system 40 to 110 ms (ext4 with discards), and
 * whoever closes the file last waits for it. So up to SPARES_MAX files are kept
 * under the name spare-N and become the next segments: in a steady flow of mail
 * nothing is freed and nothing grows. What is left over, after a flood, loses its
 * name at once and its blocks in steps (spool_free), between which mail is accepted.
 *
 * Neither is done to a file that anybody else has open or mapped: a delivery
 * that outlived a crash of ours may still be sending from it, and must neither
 * send a stranger's mail nor read where nothing is. The kernel tells
 * (segment_is_ours); until it says yes a spare waits, and where it never
 * does, files are removed as they are.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "queue/spool_internal.h"

#define FREE_STEP ((uint64_t)2 << 20)	/* 4 to 8 ms */
#define FREE_WAIT (60 * US_PER_SEC)	/* for others to let go; then they pay for it */
#define DYING_MAX 256

/* Room for spares beside what is kept free anyway? */
static bool
disk_is_roomy(struct spool *sp)
{
	uint64_t bytes, inodes;

	return fs_free(sp->dirfd, &bytes, &inodes, NULL) == 0 &&
	    bytes > sp->floor_bytes && bytes - sp->floor_bytes > 2 * SPARES_MAX * sp->segment_max;
}

/* The name goes now, the blocks later. */
static int
free_slowly(struct spool *sp, const char *name, struct err *err)
{
	struct stat st = { 0 };
	int fd = sp->ndying < DYING_MAX ? openat(sp->dirfd, name, O_WRONLY | O_CLOEXEC) : -1;

	if (fs_unlinkat(sp->dirfd, name, err) == -1) {
		if (fd != -1)
			close(fd);
		return -1;
	}
	if (fd == -1 || fstat(fd, &st) == -1 || (uint64_t)st.st_size <= FREE_STEP) {
		if (fd != -1)
			close(fd);
		return 0;
	}
	sp->dying = realloc(sp->dying, (sp->ndying + 1) * sizeof(*sp->dying));
	ASSERT(sp->dying != NULL);
	sp->dying[sp->ndying++] = (struct dying){ fd, (uint64_t)st.st_size, clock_mono() };
	return 0;
}

int
spool_dispose(struct spool *sp, const struct segment *s, bool *spare, struct err *err)
{
	char name[SEGMENT_NAME_MAX], to[SEGMENT_NAME_MAX];
	uint64_t bytes = s->space > s->size ? s->space : s->size;

	segment_name(s->number, name);
	*spare = !sp->no_reuse && sp->nspares + sp->spares_coming < SPARES_MAX && bytes >= sp->segment_max / 2 &&
	    bytes <= 2 * sp->segment_max && disk_is_roomy(sp);
	if (!*spare)
		return free_slowly(sp, name, err);
	if (fs_renameat(sp->dirfd, name, spare_name(s->number, to), err) == -1)
		return -1;
	sp->spares_coming++;
	return 0;
}

void
spool_spare_add(struct spool *sp, uint32_t number)
{
	if (sp->spares_coming > 0)
		sp->spares_coming--;
	if (sp->nspares < SPARES_MAX)
		sp->spares[sp->nspares++] = number;
}

static void
spare_forget(struct spool *sp, size_t i)
{
	memmove(&sp->spares[i], &sp->spares[i + 1], (--sp->nspares - i) * sizeof(sp->spares[0]));
}

struct segment *
spool_spare_take(struct spool *sp, uint32_t number)
{
	for (size_t i = 0; i < sp->nspares; ) {
		struct err err = { 0 };
		struct segment *s = segment_reuse(sp->dirfd, sp->spares[i], number, &err);

		if (s != NULL) {
			spare_forget(sp, i);
			sp->stats.reused++;
			return s;
		}
		if (err.code == EBUSY)
			i++;	/* perhaps another time */
		else
			spare_forget(sp, i);	/* the next start looks at it again */
	}
	return NULL;
}

void
spool_spares_drop(struct spool *sp)
{
	char name[SEGMENT_NAME_MAX];

	while (sp->nspares > 0)
		(void)fs_unlinkat(sp->dirfd, spare_name(sp->spares[--sp->nspares], name), NULL);
}

/* At the start. That a name is a spare's may not be durable yet: it must be before the file is
 * written to. */
void
spool_spares_found(struct spool *sp, const uint32_t *numbers, size_t n)
{
	char name[SEGMENT_NAME_MAX];

	if (n == 0 || fs_fsync(sp->dirfd, NULL) == -1)
		return;
	for (size_t i = 0; i < n; i++)
		if (i < SPARES_MAX && disk_is_roomy(sp))
			spool_spare_add(sp, numbers[i]);
		else
			(void)free_slowly(sp, spare_name(numbers[i], name), NULL);
}

/* ---- freeing ---- */

static void
dying_forget(struct spool *sp, size_t i)
{
	close(sp->dying[i].fd);
	sp->dying[i] = sp->dying[--sp->ndying];
}

bool
spool_free(struct spool *sp)
{
	for (size_t i = 0; i < sp->ndying; i++) {
		struct dying *d = &sp->dying[i];

		if (!segment_is_ours(d->fd)) {
			if (clock_mono() - d->since > FREE_WAIT)
				dying_forget(sp, i);
			continue;
		}
		d->size = d->size > FREE_STEP ? d->size - FREE_STEP : 0;
		/* No fs_truncate: the file has no name, what becomes of it harms nobody. */
		if (ftruncate(d->fd, (off_t)d->size) == -1 || d->size == 0)
			dying_forget(sp, i);
		break;
	}
	return sp->ndying > 0;
}

void
spool_dying_end(struct spool *sp)
{
	while (sp->ndying > 0)
		close(sp->dying[--sp->ndying].fd);
	free(sp->dying);
	sp->dying = NULL;
}
