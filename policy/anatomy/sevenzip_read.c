/* sevenzip_read.c -- the header of a 7z archive, as far as its streams; see anatomy/sevenzip.h.
 *
 * Format: 7zFormat.txt of the LZMA SDK. Nothing in it is believed: counts end
 * where the bytes end, and streams lie within the file.
 */
#include "anatomy/sevenzip.h"

#include "anatomy/ole2.h"
#include "anatomy/unlock.h"

#define FOLDERS 4096
#define PACKED 65536		/* streams */

static const char aes_id[] = "\x06\xf1\x07\x01";


unsigned
sevenzip_byte(struct sevenzip_reader *r)
{
	if (r->at >= r->s.n) {
		r->bad = true;
		return 0;
	}
	return (unsigned char)r->s.p[r->at++];
}

/* The number of leading ones in the first byte is that of the bytes that follow. */
static uint64_t
number(struct sevenzip_reader *r)
{
	unsigned first = sevenzip_byte(r), mask = 0x80;
	uint64_t v = 0;

	for (unsigned i = 0; i < 8; i++, mask >>= 1) {
		if (!(first & mask))
			return v | (uint64_t)(first & (mask - 1)) << (8 * i);
		v |= (uint64_t)sevenzip_byte(r) << (8 * i);
	}
	return v;
}

/* A count of things that take a byte each at least. */
static size_t
count(struct sevenzip_reader *r, size_t most)
{
	uint64_t n = number(r);

	if (n > most || n > r->s.n) {
		r->bad = true;
		return 0;
	}
	return (size_t)n;
}

static bool *
bits(struct sevenzip_reader *r, size_t n)
{
	bool *v = arena_zalloc(r->b->a, n + 1);
	unsigned b = 0, mask = 0;

	if (sevenzip_byte(r)) {
		memset(v, 1, n);
		return v;
	}
	for (size_t i = 0; i < n && !r->bad; i++, mask >>= 1) {
		if (mask == 0) {
			b = sevenzip_byte(r);
			mask = 0x80;
		}
		v[i] = b & mask;
	}
	return v;
}

static uint32_t
u32(struct sevenzip_reader *r)
{
	uint32_t v = get32(r->s, r->at);

	if (r->s.n - r->at < 4)
		r->bad = true;
	else
		r->at += 4;
	return v;
}

static void
folder_read(struct sevenzip_reader *r, struct sevenzip_folder *f)
{
	f->ncoders = (unsigned)count(r, SEVENZIP_CODERS);
	f->coders = arena_zalloc(r->b->a, (f->ncoders + 1) * sizeof(*f->coders));
	for (unsigned i = 0; i < f->ncoders && !r->bad; i++) {
		struct sevenzip_coder *c = &f->coders[i];
		unsigned flags = sevenzip_byte(r);

		c->id = span_sub(r->s, r->at, flags & 15);
		r->at += c->id.n;
		c->in = c->out = 1;
		if (flags & 0x10) {
			c->in = count(r, SEVENZIP_STREAMS);
			c->out = count(r, SEVENZIP_STREAMS);
		}
		if (flags & 0x20) {
			size_t n = count(r, 256);

			c->props = span_sub(r->s, r->at, n);
			r->at += c->props.n;
		}
		c->first_in = f->nin;
		c->first_out = f->nout;
		f->nin += (unsigned)c->in;
		f->nout += (unsigned)c->out;
		c->aes = span_eq(c->id, span_make(aes_id, 4)) && c->in == 1 && c->out == 1;
		f->aes |= c->aes;
		r->bad |= f->nin > SEVENZIP_STREAMS || f->nout > SEVENZIP_STREAMS || flags & 0x80;
	}
	if (r->bad || f->nout == 0 || f->nin < f->nout - 1) {
		r->bad = true;
		return;
	}
	f->nbinds = f->nout - 1;
	for (unsigned i = 0; i < f->nbinds; i++) {
		f->bind_in[i] = (unsigned)count(r, SEVENZIP_STREAMS);
		f->bind_out[i] = (unsigned)count(r, SEVENZIP_STREAMS);
	}
	f->npacked = f->nin - f->nbinds;
	for (unsigned i = 0; i < f->npacked && f->npacked > 1; i++)
		f->packed[i] = (unsigned)count(r, SEVENZIP_STREAMS);
	for (unsigned i = 0; i < f->nin && f->npacked == 1; i++) {
		bool bound = false;

		for (unsigned k = 0; k < f->nbinds; k++)
			bound |= f->bind_in[k] == i;
		if (!bound)
			f->packed[0] = i;
	}
}

static void
pack_read(struct sevenzip_reader *r, struct sevenzip_streams *s)
{
	unsigned id;

	s->pack_at = number(r);
	s->npack = count(r, PACKED);
	s->pack_sizes = arena_array(r->b->a, s->npack + 1, sizeof(*s->pack_sizes));
	s->pack_places = arena_array(r->b->a, s->npack + 1, sizeof(*s->pack_places));
	while ((id = sevenzip_byte(r)) != ID_END && !r->bad) {
		if (id == ID_SIZE) {
			uint64_t at = s->pack_at;

			for (size_t i = 0; i < s->npack && !r->bad; i++) {
				s->pack_sizes[i] = number(r);
				s->pack_places[i] = at;
				if (s->pack_sizes[i] > UINT32_MAX || at > UINT32_MAX)
					r->bad = true;
				at += s->pack_sizes[i];
			}
		} else if (id == ID_CRC) {
			bool *has = bits(r, s->npack);

			for (size_t i = 0; i < s->npack && !r->bad; i++)
				if (has[i])
					u32(r);
		} else {
			r->bad = true;
		}
	}
}

static void
unpack_read(struct sevenzip_reader *r, struct sevenzip_streams *s)
{
	uint64_t pack = 0;
	unsigned id;

	if (sevenzip_byte(r) != ID_FOLDER)
		r->bad = true;
	s->nfolders = count(r, FOLDERS);
	if (sevenzip_byte(r) != 0)	/* folders elsewhere: nobody writes that */
		r->bad = true;
	s->folders = arena_array(r->b->a, s->nfolders + 1, sizeof(*s->folders));
	for (size_t i = 0; i < s->nfolders && !r->bad; i++) {
		folder_read(r, &s->folders[i]);
		s->folders[i].first_pack = pack;
		pack += s->folders[i].npacked;
		s->aes |= s->folders[i].aes;
	}
	if (r->bad || pack > s->npack || sevenzip_byte(r) != ID_CODER_SIZES) {
		r->bad = true;
		return;
	}
	for (size_t i = 0; i < s->nfolders; i++)
		for (unsigned k = 0; k < s->folders[i].nout && !r->bad; k++)
			s->folders[i].sizes[k] = number(r);
	while ((id = sevenzip_byte(r)) != ID_END && !r->bad) {
		bool *has;

		if (id != ID_CRC) {
			r->bad = true;
			return;
		}
		has = bits(r, s->nfolders);
		for (size_t i = 0; i < s->nfolders && !r->bad; i++) {
			s->folders[i].has_sum = has[i];
			if (has[i])
				s->folders[i].sum = u32(r);
		}
	}
}

bool
sevenzip_streams_read(struct sevenzip_reader *r, struct sevenzip_streams *s)
{
	*s = (struct sevenzip_streams){ 0 };
	if (sevenzip_byte(r) != ID_PACK)
		return false;
	pack_read(r, s);
	if (r->bad || sevenzip_byte(r) != ID_UNPACK)
		return false;
	unpack_read(r, s);
	s->end = r->at;
	return !r->bad;
}
