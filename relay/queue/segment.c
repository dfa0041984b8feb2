/* segment.c -- one file of the spool; see segment.h.
 *
 * Reading never gives up: what does not match its sum is reported with its
 * place, then the next head with this segment's salt is looked for, and
 * reading goes on there. A page the disk cannot deliver reads as zeros, and so
 * becomes damage like any other.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "fs.h"
#include "queue/crc32c.h"
#include "queue/segment.h"

#define MAGIC "PSTNSPL\n"
#define WINDOW ((size_t)1 << 20)

const char *
segment_name(uint32_t number, char buf[SEGMENT_NAME_MAX])
{
	snprintf(buf, SEGMENT_NAME_MAX, "seg-%08u", number);
	return buf;
}

static bool
name_parse(const char *name, const char *prefix, uint32_t *number)
{
	const char *digits = name + strlen(prefix), *p = digits;
	uint64_t v = 0;

	if (strncmp(name, prefix, strlen(prefix)) != 0)
		return false;
	for (; *p >= '0' && *p <= '9' && p - digits < 11; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (*p != '\0' || p - digits < 8 || v == 0 || v > UINT32_MAX)
		return false;
	*number = (uint32_t)v;
	return true;
}

bool
segment_name_parse(const char *name, uint32_t *number)
{
	return name_parse(name, "seg-", number);
}

const char *
spare_name(uint32_t number, char buf[SEGMENT_NAME_MAX])
{
	snprintf(buf, SEGMENT_NAME_MAX, "spare-%08u", number);
	return buf;
}

bool
spare_name_parse(const char *name, uint32_t *number)
{
	return name_parse(name, "spare-", number);
}

bool
segment_is_ours(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_WRLCK) == -1)
		return false;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return true;
}

/* ---- the file's head: magic, version, number, salt, space, CRC ---- */

static void
head_write(char h[SEGMENT_HEAD], const struct segment *s)
{
	struct buf b;
	struct enc e = { &b };

	buf_init(&b, SEGMENT_HEAD);
	buf_put(&b, MAGIC, 8);
	enc_u32(&e, SPOOL_VERSION);
	enc_u32(&e, s->number);
	enc_u64(&e, s->salt);
	enc_u32(&e, (uint32_t)s->space);
	enc_u32(&e, crc32c(0, buf_data(&b).p, SEGMENT_HEAD - 4));
	ASSERT(!buf_failed(&b) && buf_size(&b) == SEGMENT_HEAD);
	memcpy(h, buf_data(&b).p, SEGMENT_HEAD);
	buf_release(&b);
}

int
segment_head_put(int fd, const struct segment *s, struct err *err)
{
	char h[SEGMENT_HEAD];

	head_write(h, s);
	return fs_pwrite_all(fd, h, sizeof(h), 0, err);
}

static int
head_read(struct segment *s, struct err *err)
{
	char h[SEGMENT_HEAD + RECORD_HEAD];
	struct dec d;
	struct record r;
	uint32_t version, number, space, sum;
	uint64_t salt;

	if (s->size < SEGMENT_HEAD)
		return err_set(err, EBADMSG, "segment %u is too short", s->number);
	memset(h, 0, sizeof(h));
	if (segment_pread(s, 0, h, s->size < sizeof(h) ? s->size : sizeof(h), err) == -1)
		return -1;
	dec_init(&d, span_make(h + 8, SEGMENT_HEAD - 8));
	version = dec_u32(&d);
	number = dec_u32(&d);
	s->salt = dec_u64(&d);
	space = dec_u32(&d);
	sum = dec_u32(&d);
	if (memcmp(h, MAGIC, 8) == 0 && sum == crc32c(0, h, SEGMENT_HEAD - 4)) {
		if (version < SPOOL_VERSION_OLDEST || version > SPOOL_VERSION)
			return err_set(err, ENOTSUP, "segment %u is of version %u, this "
			    "program reads %u to %u", s->number, version, SPOOL_VERSION_OLDEST,
			    SPOOL_VERSION);
		if (number != s->number)
			return err_set(err, EBADMSG, "segment %u says it is number %u",
			    s->number, number);
		s->space = space;
		return 0;
	}
	/* The head is damaged: every record repeats the salt, the first one will do. */
	dec_init(&d, span_make(h + SEGMENT_HEAD, 8));
	salt = dec_u64(&d);
	if (!record_head_read(h + SEGMENT_HEAD, salt, &r))
		return err_set(err, EBADMSG, "segment %u has no readable head", s->number);
	s->salt = salt;
	s->damaged = true;
	return 0;
}

static struct segment *
segment_blank(uint32_t number)
{
	struct segment *s = calloc(1, sizeof(*s));

	ASSERT(s != NULL);
	s->number = number;
	s->fd = s->wfd = -1;
	return s;
}

/* Its head is on the disk: so is its name, and it can be read. */
static int
segment_begin(struct segment *s, int dirfd, const char *name, struct err *err)
{
	if (fs_fsync(dirfd, err) == -1 || (s->fd = fs_openat(dirfd, name, O_RDONLY, 0, err)) == -1) {
		fs_unlinkat(dirfd, name, NULL);
		return -1;
	}
	s->size = SEGMENT_HEAD;
	return 0;
}

static void
segment_failed(struct segment **s, uint32_t number, struct err *err)
{
	err_wrap(err, "new spool segment %u", number);
	segment_free(s);
}

struct segment *
segment_create(int dirfd, uint32_t number, struct err *err)
{
	char name[SEGMENT_NAME_MAX], h[SEGMENT_HEAD];
	struct segment *s = segment_blank(number);

	segment_name(number, name);
	if (getrandom(&s->salt, sizeof(s->salt), 0) != (ssize_t)sizeof(s->salt)) {
		err_errno(err, "no random bytes");
		goto fail;
	}
	if ((s->wfd = fs_openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, 0600, err)) == -1)
		goto fail;
	head_write(h, s);
	if (fs_pwrite_all(s->wfd, h, sizeof(h), 0, err) == -1 || fs_fsync(s->wfd, err) == -1) {
		fs_unlinkat(dirfd, name, NULL);
		goto fail;
	}
	if (segment_begin(s, dirfd, name, err) == 0)
		return s;
fail:
	segment_failed(&s, number, err);
	return NULL;
}

struct segment *
segment_reuse(int dirfd, uint32_t of, uint32_t number, struct err *err)
{
	char from[SEGMENT_NAME_MAX], name[SEGMENT_NAME_MAX], h[SEGMENT_HEAD + RECORD_HEAD];
	struct segment *s = segment_blank(number);
	struct stat st;

	spare_name(of, from);
	segment_name(number, name);
	if ((s->wfd = fs_openat(dirfd, from, O_WRONLY, 0, err)) == -1)
		goto fail;
	if (fstat(s->wfd, &st) == -1 ||
	    getrandom(&s->salt, sizeof(s->salt), 0) != (ssize_t)sizeof(s->salt)) {
		err_errno(err, "%s", from);
		goto fail;
	}
	if (!segment_is_ours(s->wfd)) {
		err_set(err, EBUSY, "%s is still open elsewhere", from);
		goto fail;
	}
	/* The first record of the earlier segment goes with its head, in one sector. */
	s->space = st.st_size > (off_t)sizeof(h) && st.st_size <= UINT32_MAX ?
	    (uint64_t)st.st_size : sizeof(h);
	head_write(h, s);
	record_head_write(h + SEGMENT_HEAD, s->salt, &(struct record){ .type = RECORD_TAIL });
	if (fs_pwrite_all(s->wfd, h, sizeof(h), 0, err) == -1 || fs_fsync(s->wfd, err) == -1 ||
	    fs_renameat(dirfd, from, name, err) == -1)
		goto fail;
	if (segment_begin(s, dirfd, name, err) == 0)
		return s;
fail:
	segment_failed(&s, number, err);
	return NULL;
}

struct segment *
segment_open(int dirfd, uint32_t number, struct err *err)
{
	char name[SEGMENT_NAME_MAX];
	struct segment *s = calloc(1, sizeof(*s));
	struct stat st;

	ASSERT(s != NULL);
	s->number = number;
	s->wfd = -1;
	s->fd = fs_openat(dirfd, segment_name(number, name), O_RDONLY, 0, err);
	if (s->fd == -1)
		goto fail;
	if (fstat(s->fd, &st) == -1) {
		err_errno(err, "segment %u", number);
		goto fail;
	}
	s->size = (uint64_t)st.st_size;
	if (head_read(s, err) == -1)
		goto fail;
	return s;
fail:
	segment_free(&s);
	return NULL;
}

void
segment_close_writer(struct segment *s)
{
	if (s->wfd != -1)
		close(s->wfd);
	s->wfd = -1;
}

void
segment_free(struct segment **sp)
{
	struct segment *s = *sp;

	if (s == NULL)
		return;
	segment_close_writer(s);
	if (s->fd != -1)
		close(s->fd);
	free(s->deps);
	free(s);
	*sp = NULL;
}

void
segment_dep_add(struct segment *s, uint32_t on)
{
	for (size_t i = 0; i < s->ndeps; i++)
		if (s->deps[i].segment == on) {
			s->deps[i].n++;
			return;
		}
	s->deps = realloc(s->deps, (s->ndeps + 1) * sizeof(*s->deps));
	ASSERT(s->deps != NULL);
	s->deps[s->ndeps++] = (struct segment_dep){ on, 1 };
}

void
segment_dep_gone(struct segment *s, uint32_t gone)
{
	for (size_t i = 0; i < s->ndeps; i++)
		if (s->deps[i].segment == gone)
			s->deps[i--] = s->deps[--s->ndeps];
}

/* ---- reading ---- */

int
segment_pread(const struct segment *s, uint64_t offset, void *mem, size_t n, struct err *err)
{
	char *p = mem;

	while (n > 0) {
		ssize_t r = pread(s->fd, p, n, (off_t)offset);

		if (r == -1 && errno == EINTR)
			continue;
		if (r == -1)
			return err_errno(err, "cannot read segment %u at %llu", s->number,
			    (unsigned long long)offset);
		if (r == 0)
			return err_set(err, EBADMSG, "segment %u ends before %llu", s->number,
			    (unsigned long long)offset);
		p += r;
		offset += (uint64_t)r;
		n -= (size_t)r;
	}
	return 0;
}

int
segment_read_meta(const struct segment *s, uint64_t offset, struct arena *a, struct record *r,
    struct span *meta, struct err *err)
{
	/* Most metas are a few hundred bytes: one read brings head and meta. */
	char first[1024];
	size_t have = sizeof(first);
	char *p;

	if (offset > s->size || s->size - offset < RECORD_HEAD)
		return err_set(err, EBADMSG, "no record in segment %u at %llu", s->number,
		    (unsigned long long)offset);
	if (have > s->size - offset)
		have = s->size - offset;
	if (segment_pread(s, offset, first, have, err) == -1)
		return -1;
	if (!record_head_read(first, s->salt, r))
		return err_set(err, EBADMSG, "no record head in segment %u at %llu", s->number,
		    (unsigned long long)offset);
	if (r->meta_size > s->size - offset - RECORD_HEAD)
		return err_set(err, EBADMSG, "record cut short in segment %u at %llu",
		    s->number, (unsigned long long)offset);
	p = arena_alloc(a, r->meta_size);
	have -= RECORD_HEAD;
	if (have > r->meta_size)
		have = r->meta_size;
	memcpy(p, first + RECORD_HEAD, have);
	if (segment_pread(s, offset + RECORD_HEAD + have, p + have, r->meta_size - have, err) == -1)
		return -1;
	if (crc32c(0, p, r->meta_size) != r->meta_crc)
		return err_set(err, EBADMSG, "damaged record in segment %u at %llu", s->number,
		    (unsigned long long)offset);
	*meta = span_make(p, r->meta_size);
	return 0;
}

struct window {
	const struct segment *s;
	char *p;
	size_t cap;
	uint64_t at;		/* offset of p[0] */
	size_t n;
};

/* n bytes at offset, which lie within the segment. */
static const char *
window_at(struct window *w, uint64_t offset, size_t n)
{
	const struct segment *s = w->s;
	size_t want = n > WINDOW ? n : WINDOW;

	if (offset >= w->at && offset - w->at <= w->n && w->n - (offset - w->at) >= n)
		return w->p + (offset - w->at);
	if (want > s->size - offset)
		want = s->size - offset;
	if (want > w->cap) {
		w->p = realloc(w->p, want);
		ASSERT(w->p != NULL);
		w->cap = want;
	}
	if (segment_pread(s, offset, w->p, want, NULL) == -1) {
		memset(w->p, 0, want);
		for (size_t i = 0; i < want; i += 4096)
			(void)segment_pread(s, offset + i, w->p + i,
			    want - i < 4096 ? want - i : 4096, NULL);
	}
	w->at = offset;
	w->n = want;
	return w->p;
}

/* Where the next head stands behind `offset`, or the segment's end. Records
 * begin at multiples of 8. */
static uint64_t
resync(struct window *w, uint64_t offset)
{
	struct record r;

	for (offset = (offset + 8) & ~UINT64_C(7); offset + RECORD_HEAD <= w->s->size; offset += 8)
		if (record_head_read(window_at(w, offset, RECORD_HEAD), w->s->salt, &r))
			return offset;
	return w->s->size;
}

/* What is wrong with the record at offset; NULL: nothing. *next: where the one behind begins,
 * when its head can be believed. */
static const char *
inspect(struct window *w, uint64_t offset, struct record *r, struct span *meta, struct span *data,
    uint64_t *next)
{
	const char *p;

	*r = (struct record){ 0 };
	*next = 0;
	if (w->s->size - offset < RECORD_HEAD)
		return "a head is cut short";
	if (!record_head_read(window_at(w, offset, RECORD_HEAD), w->s->salt, r))
		return "no head where one should be";
	if (record_bytes(r) > w->s->size - offset)
		return "a record is cut short";
	*next = offset + record_bytes(r);
	p = window_at(w, offset, record_bytes(r)) + RECORD_HEAD;
	if (crc32c(0, p, r->meta_size) != r->meta_crc)
		return "meta do not match their sum";
	if (crc32c(0, p + r->meta_size, r->data_size) != r->data_crc)
		return "data do not match their sum";
	*meta = span_make(p, r->meta_size);
	*data = span_make(p + r->meta_size, r->data_size);
	return NULL;
}

uint64_t
segment_scan(struct segment *s, uint64_t from, uint64_t budget, const struct segment_visitor *v,
    uint64_t *valid)
{
	struct window w = { .s = s };
	uint64_t at = from ? from : SEGMENT_HEAD, end = at, start = at;
	uint64_t mark = 0;	/* where records end if nothing of ours follows: behind END, at TAIL */

	while (at < s->size && at - start < budget) {
		struct record r;
		struct span meta, data;
		uint64_t next;
		const char *what = inspect(&w, at, &r, &meta, &data, &next);

		if (what == NULL) {
			mark = 0;
			if (r.type == RECORD_END)
				mark = next, s->ended = true;
			else if (r.type == RECORD_TAIL)
				mark = at, s->space = s->space ? s->space : s->size;
			else
				v->record(v->ctx, s, at, &r, meta, data);
			end = r.type == RECORD_TAIL ? at : next;
			at = next;
			continue;
		}
		/* A head that is right tells where the next one is; nothing else does. In a reused
		 * file it may be a torn one, and what stands behind it not ours. */
		if (next == 0)
			next = resync(&w, at);
		else if (s->space > 0 && !s->ended && next < s->size &&
		    resync(&w, next - 8) >= s->size)
			next = s->size;
		if (mark != 0 && r.type == RECORD_NONE && next >= s->size)
			break;
		mark = 0;
		v->damage(v->ctx, s, &(struct segment_damage){ .segment = s->number,
		    .offset = at, .size = next - at, .id = r.id, .type = r.type, .what = what,
		    .tail = next >= s->size });
		at = next;
	}
	free(w.p);
	if (mark != 0 && (at >= s->size || at - start < budget))
		at = s->size = mark;
	if (valid != NULL)
		*valid = end;
	return at < s->size ? at : 0;
}
