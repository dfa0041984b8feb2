/* payload.c -- the bytes of a message between processes; see payload.h. */
#include <errno.h>
#include <sys/mman.h>

#include "fs.h"
#include "ipc/payload.h"

void
payload_from_span(struct payload *p, struct span bytes, struct arena *a)
{
	*p = (struct payload){ .bytes = bytes, .fd = -1, .npieces = 1, .size = bytes.n };
	p->pieces = arena_zalloc(a, sizeof(*p->pieces));
	p->pieces[0].n = bytes.n;
}

void
payload_from_fd(struct payload *p, int fd, uint64_t size, struct arena *a)
{
	*p = (struct payload){ .fd = fd, .fd_size = size, .npieces = 1, .size = size };
	p->pieces = arena_zalloc(a, sizeof(*p->pieces));
	p->pieces[0] = (struct piece){ true, 0, size };
}

/* The edits must be sorted, apart, and inside the message. */
static int
edits_check(const struct payload *in, const struct edit *edits, size_t nedits, struct err *err)
{
	uint64_t at = 0;

	for (size_t i = 0; i < nedits; i++) {
		const struct edit *e = &edits[i];

		if (e->offset < at || e->offset > in->size || e->size > in->size - e->offset)
			return err_set(err, EINVAL, "edit %zu lies outside the message or overlaps", i);
		at = e->offset + e->size;
	}
	return 0;
}

struct builder {
	struct payload *out;
	char *bytes;		/* inline bytes being gathered */
	size_t n;
};

static void
add_piece(struct builder *b, bool from_fd, uint64_t off, uint64_t n)
{
	struct payload *out = b->out;
	struct piece *last = out->npieces ? &out->pieces[out->npieces - 1] : NULL;

	if (n == 0)
		return;
	out->size += n;
	if (last && last->from_fd == from_fd && last->off + last->n == off) {
		last->n += n;
		return;
	}
	out->pieces[out->npieces++] = (struct piece){ from_fd, off, n };
}

static void
add_bytes(struct builder *b, struct span s)
{
	if (s.n)
		memcpy(b->bytes + b->n, s.p, s.n);
	add_piece(b, false, b->n, s.n);
	b->n += s.n;
}

/* The range [from, to) of the old message, piece by piece. */
static void
add_range(struct builder *b, const struct payload *in, uint64_t from, uint64_t to)
{
	uint64_t at = 0;

	for (size_t i = 0; i < in->npieces && at < to; i++) {
		const struct piece *pc = &in->pieces[i];
		uint64_t lo = from > at ? from - at : 0;
		uint64_t hi = to - at < pc->n ? to - at : pc->n;

		if (lo < hi) {
			if (pc->from_fd)
				add_piece(b, true, pc->off + lo, hi - lo);
			else
				add_bytes(b, span_sub(in->bytes, pc->off + lo, hi - lo));
		}
		at += pc->n;
	}
}

int
payload_edit(struct arena *a, const struct payload *in, struct span head,
    const struct edit *edits, size_t nedits, struct payload *out, struct err *err)
{
	struct payload p = { .fd = in->fd, .fd_size = in->fd_size };
	struct builder b = { .out = &p };
	size_t room = in->bytes.n + head.n;
	uint64_t at = 0;

	if (edits_check(in, edits, nedits, err) == -1)
		return -1;
	for (size_t i = 0; i < nedits; i++)
		if (__builtin_add_overflow(room, edits[i].with.n, &room))
			return err_set(err, EOVERFLOW, "edits too large");
	if (in->npieces + 2 * nedits + 2 > PAYLOAD_PIECES_MAX)
		return err_set(err, E2BIG, "too many edits");
	p.pieces = arena_array(a, in->npieces + 2 * nedits + 2, sizeof(*p.pieces));
	b.bytes = arena_alloc(a, room);
	add_bytes(&b, head);
	for (size_t i = 0; i < nedits; i++) {
		add_range(&b, in, at, edits[i].offset);
		add_bytes(&b, edits[i].with);
		at = edits[i].offset + edits[i].size;
	}
	add_range(&b, in, at, in->size);
	ASSERT(b.n <= room);
	p.bytes = span_make(b.bytes, b.n);
	*out = p;
	return 0;
}

int
payload_map(struct payload *p, struct err *err)
{
	void *m;

	if (p->fd == -1 || p->map || p->fd_size == 0)
		return 0;
	m = mmap(NULL, p->fd_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, p->fd, 0);
	if (m == MAP_FAILED)
		return err_errno(err, "mapping a message of %llu bytes",
		    (unsigned long long)p->fd_size);
	p->map = m;
	return 0;
}

void
payload_unmap(struct payload *p)
{
	if (p->map)
		munmap((void *)(uintptr_t)p->map, p->fd_size);
	p->map = NULL;
}

struct span
payload_piece(const struct payload *p, size_t i)
{
	const struct piece *pc = &p->pieces[i];

	ASSERT(i < p->npieces && (!pc->from_fd || p->map || pc->n == 0));
	if (pc->from_fd)
		return span_make(p->map + pc->off, pc->n);
	return span_sub(p->bytes, pc->off, pc->n);
}

struct span
payload_flat(const struct payload *p, struct arena *a)
{
	char *all;
	size_t n = 0;

	if (p->npieces == 1)
		return payload_piece(p, 0);
	all = arena_alloc(a, p->size);
	for (size_t i = 0; i < p->npieces; i++) {
		struct span s = payload_piece(p, i);

		if (s.n)
			memcpy(all + n, s.p, s.n);
		n += s.n;
	}
	return span_make(all, n);
}

void
payload_encode(struct enc *e, const struct payload *p)
{
	enc_u8(e, p->fd != -1);
	enc_span(e, p->bytes);
	enc_u32(e, (uint32_t)p->npieces);
	for (size_t i = 0; i < p->npieces; i++) {
		enc_u8(e, p->pieces[i].from_fd);
		enc_u64(e, p->pieces[i].off);
		enc_u64(e, p->pieces[i].n);
	}
}

static bool
piece_ok(const struct payload *p, const struct piece *pc)
{
	uint64_t limit = pc->from_fd ? p->fd_size : p->bytes.n;

	return pc->off <= limit && pc->n <= limit - pc->off;
}

int
payload_decode(struct dec *d, int fd, struct arena *a, struct payload *p)
{
	bool has_fd = dec_enum(d, 2);

	*p = (struct payload){ .fd = -1 };
	p->bytes = dec_span(d);
	p->npieces = dec_count(d, PAYLOAD_PIECES_MAX, 17);
	p->pieces = arena_array(a, p->npieces, sizeof(*p->pieces));
	if (has_fd != (fd != -1))
		d->bad = true;
	if (!d->bad && has_fd) {
		p->fd = fd;
		if (fs_memfd_check(fd, &p->fd_size, NULL) == -1)
			d->bad = true;
	}
	for (size_t i = 0; i < p->npieces && !d->bad; i++) {
		struct piece *pc = &p->pieces[i];

		pc->from_fd = dec_enum(d, 2);
		pc->off = dec_u64(d);
		pc->n = dec_u64(d);
		if (!piece_ok(p, pc) || __builtin_add_overflow(p->size, pc->n, &p->size))
			d->bad = true;
	}
	return d->bad ? -1 : 0;
}
