/* spill.c -- see spill.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edm/spill.h"
#include "fs.h"

#define SMALL 24		/* cells sorted by insertion */
#define KEY 16

int
spill_open(struct spill *s, const char *dir, struct err *err)
{
	char path[4096];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd == -1) {
		if (snprintf(path, sizeof(path), "%s/.postern-edm-XXXXXX", dir) >= (int)sizeof(path))
			return err_set(err, ENAMETOOLONG, "%s", dir);
		if ((fd = mkostemp(path, O_CLOEXEC)) == -1)
			return err_errno(err, "a temporary file in %s", dir);
		unlink(path);
	}
	*s = (struct spill){ .fd = fd, .buf = malloc(SPILL_BUFFER) };
	ASSERT_MEMORY(s->buf);
	return 0;
}

void
spill_close(struct spill *s)
{
	if (s->buf == NULL && s->fd == 0)
		return;
	free(s->buf);
	if (s->fd > 0)
		close(s->fd);
	*s = (struct spill){ 0 };
}

static int
flush(struct spill *s, struct err *err)
{
	if (!s->reading && s->n && fs_pwrite_all(s->fd, s->buf, s->n, (off_t)(s->size - s->n), err) == -1)
		return err_wrap(err, "a temporary file");
	s->n = 0;
	return 0;
}

int
spill_put(struct spill *s, const void *p, size_t n, struct err *err)
{
	ASSERT(n <= SPILL_BUFFER && !s->reading);
	if (s->n + n > SPILL_BUFFER && flush(s, err) == -1)
		return -1;
	memcpy(s->buf + s->n, p, n);
	s->n += n;
	s->size += n;
	return 0;
}

int
spill_patch(struct spill *s, uint64_t at, const void *p, struct err *err)
{
	ASSERT(at + 4 <= s->size);
	if (at >= s->size - s->n) {
		memcpy(s->buf + (at - (s->size - s->n)), p, 4);
		return 0;
	}
	if (flush(s, err) == -1)
		return -1;
	return fs_pwrite_all(s->fd, p, 4, (off_t)at, err);
}

int
spill_rewind(struct spill *s, uint64_t from, uint64_t to, struct err *err)
{
	if (flush(s, err) == -1)
		return -1;
	s->reading = true;
	s->at = s->n = 0;
	s->next = from;
	s->end = to;
	return 0;
}

/* More into the buffer, behind what is left of it. */
static int
refill(struct spill *s, struct err *err)
{
	memmove(s->buf, s->buf + s->at, s->n - s->at);
	s->n -= s->at;
	s->at = 0;
	while (s->n < SPILL_BUFFER && s->next < s->end) {
		size_t want = SPILL_BUFFER - s->n;
		ssize_t got;

		if (want > s->end - s->next)
			want = (size_t)(s->end - s->next);
		got = pread(s->fd, s->buf + s->n, want, (off_t)s->next);
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0 ? err_set(err, EIO, "a temporary file has become shorter") :
			    err_errno(err, "a temporary file");
		s->n += (size_t)got;
		s->next += (uint64_t)got;
	}
	return 0;
}

int
spill_get(struct spill *s, void *p, size_t n, struct err *err)
{
	if (s->n - s->at < n && refill(s, err) == -1)
		return -1;
	if (s->n - s->at < n) {
		ASSERT(s->n == s->at);	/* whole records were written */
		return 0;
	}
	memcpy(p, s->buf + s->at, n);
	s->at += n;
	return 1;
}

/* --- sorting: byte by byte from the front, in place -------------------------------------- */

static inline const uint8_t *
key_of(const struct cell *c)
{
	return (const uint8_t *)c;
}

static void
insertion(struct cell *v, size_t n, size_t byte)
{
	for (size_t i = 1; i < n; i++) {
		struct cell c = v[i];
		size_t k = i;

		for (; k > 0 && memcmp(key_of(&v[k - 1]) + byte, key_of(&c) + byte, KEY - byte) > 0; k--)
			v[k] = v[k - 1];
		v[k] = c;
	}
}

static void
sort_from(struct cell *v, size_t n, size_t byte)
{
	size_t count[256] = { 0 }, at[256], end[256], sum = 0;

	for (;;) {
		if (n <= SMALL || byte == KEY) {
			if (byte < KEY)
				insertion(v, n, byte);
			return;
		}
		memset(count, 0, sizeof(count));
		for (size_t i = 0; i < n; i++)
			count[key_of(&v[i])[byte]]++;
		if (count[key_of(&v[0])[byte]] < n)
			break;
		byte++;		/* all alike: the same value many times */
	}
	for (size_t b = 0; b < 256; b++) {
		at[b] = sum;
		sum += count[b];
		end[b] = sum;
	}
	for (size_t b = 0; b < 256; b++)
		while (at[b] < end[b]) {
			struct cell c = v[at[b]];
			size_t home = key_of(&c)[byte];

			while (home != b) {
				struct cell other = v[at[home]];

				v[at[home]++] = c;
				c = other;
				home = key_of(&c)[byte];
			}
			v[at[b]++] = c;
		}
	for (size_t b = 0; b < 256; b++)
		sort_from(v + end[b] - count[b], count[b], byte + 1);
}

void
cells_sort(struct cell *v, size_t n)
{
	sort_from(v, n, 0);
}

/* --- merging --------------------------------------------------------------------------------- */

int
merge_begin(struct merge *m, const struct spill *from, const uint64_t *ends, size_t n,
    struct err *err)
{
	*m = (struct merge){ .n = n };
	m->runs = calloc(n + 1, sizeof(*m->runs));
	m->heads = calloc(n + 1, sizeof(*m->heads));
	m->live = calloc(n + 1, sizeof(*m->live));
	ASSERT(m->runs && m->heads && m->live);
	for (size_t i = 0; i < n; i++) {
		struct spill *s = &m->runs[i];
		int r;

		*s = (struct spill){ .fd = from->fd, .buf = malloc(SPILL_BUFFER), .reading = true };
		ASSERT_MEMORY(s->buf);
		s->next = i ? ends[i - 1] : 0;
		s->end = ends[i];
		if ((r = spill_get(s, &m->heads[i], sizeof(struct cell), err)) == -1)
			return -1;
		m->live[i] = r == 1;
	}
	return 0;
}

int
merge_next(struct merge *m, struct cell *out, struct err *err)
{
	size_t best = m->n;
	int r;

	for (size_t i = 0; i < m->n; i++)
		if (m->live[i] && (best == m->n ||
		    memcmp(&m->heads[i], &m->heads[best], KEY) < 0))
			best = i;
	if (best == m->n)
		return 0;
	*out = m->heads[best];
	if ((r = spill_get(&m->runs[best], &m->heads[best], sizeof(struct cell), err)) == -1)
		return -1;
	m->live[best] = r == 1;
	return 1;
}

void
merge_end(struct merge *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->runs[i].buf);	/* their descriptor is another's */
	free(m->runs);
	free(m->heads);
	free(m->live);
	*m = (struct merge){ 0 };
}
