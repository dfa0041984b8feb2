/* fuzz_spool.c -- any bytes as what stands in a segment.
 *
 * The first byte chooses: the metas by themselves (whatever decodes must
 * encode to the same bytes again); or records put together from the input
 * with right sums here and wrong ones there, in a file that is then scanned:
 * every record with right sums must be found, in order, and nothing else.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fs.h"
#include "queue/crc32c.h"
#include "queue/message.h"
#include "queue/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
metas(struct span in)
{
	struct arena *a = arena_new(0);
	struct stored m;
	struct state st;
	struct plan p;
	struct buf b;

	buf_init(&b, RECORD_META_MAX);
	if (stored_decode(in, a, &m) == 0) {
		stored_encode(&b, &m);
		ASSERT(span_eq(buf_data(&b), in));
		if (plan_make(a, &m, SPAN_LIT("gw.example"), &p) == 0) {
			ASSERT(p.ntargets > 0 && p.ntargets <= TARGETS_MAX && p.nlegs > 0);
			for (size_t i = 0; i < p.ntargets; i++)
				ASSERT(p.targets[i].leg < p.nlegs);
		}
	}
	buf_reset(&b);
	if (state_decode(in, a, &st) == 0) {
		struct state again;

		/* Texts written out in full where "same" would do are allowed. */
		state_encode(&b, &st);
		ASSERT(state_decode(buf_data(&b), a, &again) == 0);
		ASSERT(again.ntargets == st.ntargets && again.next == st.next);
	}
	buf_release(&b);
	arena_free(&a);
}

struct found {
	uint64_t ids[256];
	size_t n;
	uint64_t last;
};

static void
on_record(void *ctx, struct segment *s, uint64_t offset, const struct record *r, struct span meta,
    struct span data)
{
	struct found *f = ctx;

	ASSERT(offset >= f->last && offset % 8 == 0);
	ASSERT(crc32c(0, meta.p, meta.n) == r->meta_crc && crc32c(0, data.p, data.n) == r->data_crc);
	f->last = offset + record_bytes(r);
	if (f->n < 256)
		f->ids[f->n++] = r->id;
}

static void
on_damage(void *ctx, struct segment *s, const struct segment_damage *d)
{
	ASSERT(d->size > 0 && d->offset + d->size <= s->size);
}

static void
scan(struct span in)
{
	struct segment s = { .number = 1, .wfd = -1, .salt = 0x0123456789abcdef };
	struct found f = { .last = 0 };
	struct segment_visitor v = { on_record, on_damage, &f };
	static const char zeros[8];
	uint64_t good[256];
	size_t ngood = 0;
	struct buf b;

	buf_init(&b, 16u << 20);
	buf_put(&b, in.p, in.n < SEGMENT_HEAD ? in.n : SEGMENT_HEAD);
	while (buf_size(&b) < SEGMENT_HEAD)
		buf_putc(&b, 0);
	/* Each step: a byte of what is wrong, one of meta size, one of data size, then bytes. */
	for (uint64_t id = 1; in.n >= 3 && ngood < 200; id++) {
		unsigned wrong = (unsigned char)in.p[0];
		size_t n1 = (unsigned char)in.p[1], n2 = (unsigned char)in.p[2];
		struct span meta = span_sub(in, 3, n1), rest = span_from(in, 3 + meta.n);
		struct span body = span_sub(rest, 0, n2);
		struct record r = { .type = RECORD_MESSAGE + wrong % 3, .id = id,
			.meta_size = (uint32_t)meta.n, .data_size = (uint32_t)body.n,
			.meta_crc = crc32c(0, meta.p, meta.n), .data_crc = crc32c(0, body.p, body.n) };
		char head[RECORD_HEAD];

		record_head_write(head, s.salt, &r);
		if (wrong & 64)
			head[wrong % RECORD_HEAD] ^= 1;
		else if (!(wrong & 128) || (meta.n == 0 && body.n == 0))
			good[ngood++] = id;
		buf_put(&b, head, sizeof(head));
		if ((wrong & 128) && !(wrong & 64) && (meta.n || body.n)) {
			/* one bit of the contents */
			for (size_t i = 0; i < meta.n + body.n; i++) {
				char c = i < meta.n ? meta.p[i] : body.p[i - meta.n];

				buf_putc(&b, i == wrong % (meta.n + body.n) ? (char)(c ^ 16) : c);
			}
		} else {
			buf_span(&b, meta);
			buf_span(&b, body);
		}
		buf_put(&b, zeros, -buf_size(&b) & 7);
		in = span_from(rest, body.n);
	}
	buf_span(&b, in);
	s.fd = memfd_create("segment", MFD_CLOEXEC);
	ASSERT(s.fd != -1 && write(s.fd, b.p, buf_size(&b)) == (ssize_t)buf_size(&b));
	s.size = buf_size(&b);
	ASSERT(segment_scan(&s, 0, UINT64_MAX, &v, NULL) == 0);
	ASSERT(f.n == ngood);
	for (size_t i = 0; i < ngood; i++)
		ASSERT(f.ids[i] == good[i]);
	close(s.fd);
	buf_release(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_make((const char *)data + 1, size ? size - 1 : 0);

	if (size == 0 || in.n > 65536)
		return 0;
	if (data[0] & 1)
		metas(in);
	else
		scan(in);
	return 0;
}
