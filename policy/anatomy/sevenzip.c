/* sevenzip.c -- takes the lock of a 7z archive off; see anatomy/unlock.h.
 *
 * In 7z AES-256 is one coder of a folder's chain, before those that pack. An
 * archive that opens is written again with that coder out of its chains and
 * the streams it reads in plain; the rest of its header (names, sizes, sums)
 * is copied as it is. libarchive unpacks the result. A header that is packed
 * or locked itself is unpacked the same way, as the one file of an archive
 * made for that.
 *
 * There is no check value. A password is taken when the padding of each stream
 * is zero, the first byte fits the coder behind, the header (if locked) has its
 * sum, and the first file unpacks with its sum. All locked folders have one
 * password, as 7-Zip writes them.
 */
#include "anatomy/unlock.h"

#include <zlib.h>

#include "anatomy/archive.h"
#include "anatomy/ole2.h"
#include "anatomy/sevenzip.h"

#define HEAD 32			/* signature, version, place and sums of the header */
#define HEADER_MAX ((size_t)16 << 20)

/* One file for each folder: libarchive wants to be told. */
static const char substreams[] = { ID_SUBSTREAMS, ID_END };

/* --- unlocking ------------------------------------------------------------------------------ */

static struct span
pack_stream(struct span file, const struct sevenzip_streams *s, uint64_t i)
{
	if (s->pack_sizes[i] > file.n || s->pack_places[i] > file.n - HEAD)
		return span_make("", 0);
	return span_sub(file, HEAD + (size_t)s->pack_places[i], (size_t)s->pack_sizes[i]);
}

static int
aes_coder(const struct sevenzip_folder *f, unsigned in)
{
	for (unsigned i = 0; i < f->ncoders; i++)
		if (f->coders[i].aes && f->coders[i].first_in == in)
			return (int)i;
	return -1;
}

struct cipher {
	uint8_t key[32], iv[16];
};

/* 7zAES's properties: rounds and what is there; sizes; salt; start. */
static bool
cipher_make(struct builder *b, struct span props, struct span password, struct cipher *c)
{
	unsigned first = get8(props, 0), second = get8(props, 1);
	size_t salt = (first >> 7) + (second >> 4), iv = ((first >> 6) & 1) + (second & 15);
	struct span rest = span_from(props, 2);

	*c = (struct cipher){ 0 };
	if (props.n == 0 || salt > 16 || iv > 16 || (props.n > 1 && rest.n < salt + iv))
		return false;
	memcpy(c->iv, span_sub(rest, salt, iv).n ? rest.p + salt : "", span_sub(rest, salt, iv).n);
	return key_sevenzip(b, span_sub(rest, 0, salt), password, first & 0x3f, c->key);
}

/* What the coder that reads the plain bytes begins with. */
static bool
begins_well(const struct sevenzip_folder *f, const struct sevenzip_coder *aes, unsigned char c)
{
	for (unsigned i = 0; i < f->nbinds; i++) {
		if (f->bind_out[i] != aes->first_out)
			continue;
		for (unsigned k = 0; k < f->ncoders; k++) {
			const struct sevenzip_coder *next = &f->coders[k];

			if (f->bind_in[i] < next->first_in || f->bind_in[i] >= next->first_in + next->in)
				continue;
			if (span_eq(next->id, span_make("\x03\x01\x01", 3)) ||
			    span_eq(next->id, span_make("\x03\x04\x01", 3)))
				return c == 0;		/* a range coder's first byte */
			if (span_eq(next->id, span_make("\x21", 1)))
				return c == 1 || c >= 0xe0;	/* LZMA2 resets all first */
			if (span_eq(next->id, span_make("\x04\x02\x02", 3)))
				return c == 'B';
		}
	}
	return true;
}

/* Does the padding at the end say that the key is right? Before anything large is done. */
static bool
stream_fits(const struct sevenzip_folder *f, const struct sevenzip_coder *aes, struct span in, const struct cipher *c)
{
	uint64_t size = f->sizes[aes->first_out];
	uint8_t out[16], iv[16];

	if (in.n == 0 || in.n % 16 || size > in.n || in.n - size > 15)
		return false;
	aes_cbc_open(c->key, 32, c->iv, span_sub(in, 0, 16), out);
	if (!begins_well(f, aes, out[0]))
		return false;
	memcpy(iv, in.n > 16 ? (const uint8_t *)in.p + in.n - 32 : c->iv, 16);
	aes_cbc_open(c->key, 32, iv, span_from(in, in.n - 16), out);
	for (size_t i = 16 - (in.n - (size_t)size); i < 16; i++)
		if (out[i])
			return false;
	return true;
}

/* --- writing -------------------------------------------------------------------------------- */

struct out {
	struct builder *b;
	char *p;
	size_t n, cap;
};

static void
put(struct out *o, const void *p, size_t n)
{
	if (n > o->cap - o->n) {
		size_t cap = o->cap * 2 + n;

		o->p = arena_grow(o->b->a, o->p, o->cap, cap);
		o->cap = cap;
	}
	if (n)
		memcpy(o->p + o->n, p, n);
	o->n += n;
}

static void
put_byte(struct out *o, unsigned c)
{
	char b = (char)c;

	put(o, &b, 1);
}

static void
put_number(struct out *o, uint64_t v)
{
	char b[9];

	if (v < 0x80) {
		put_byte(o, (unsigned)v);
		return;
	}
	b[0] = (char)0xff;
	for (int i = 0; i < 8; i++)
		b[i + 1] = (char)(v >> (8 * i));
	put(o, b, 9);
}

static void
put_u32(struct out *o, uint32_t v)
{
	char b[4] = { (char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24) };

	put(o, b, 4);
}

/* The numbers that are left when those of the AES coders are gone. */
static unsigned
renumber(const struct sevenzip_folder *f, unsigned stream, bool in)
{
	unsigned less = 0;

	for (unsigned i = 0; i < f->ncoders; i++)
		less += f->coders[i].aes && (in ? f->coders[i].first_in : f->coders[i].first_out) < stream;
	return stream - less;
}

/* What reads an AES coder's output: an input, or none when it is the last of the chain. */
static unsigned
reader_of(const struct sevenzip_folder *f, const struct sevenzip_coder *aes)
{
	for (unsigned i = 0; i < f->nbinds; i++)
		if (f->bind_out[i] == aes->first_out)
			return f->bind_in[i];
	return SEVENZIP_STREAMS;
}

static void
put_folder(struct out *o, const struct sevenzip_folder *f)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < f->ncoders; i++)
		kept += !f->coders[i].aes;
	if (kept == 0) {	/* stored: the coder that copies */
		put(o, "\1\1\0", 3);
		return;
	}
	put_number(o, kept);
	for (unsigned i = 0; i < f->ncoders; i++) {
		const struct sevenzip_coder *c = &f->coders[i];
		bool complex = c->in != 1 || c->out != 1;

		if (c->aes)
			continue;
		put_byte(o, (unsigned)c->id.n | (complex ? 0x10 : 0) | (c->props.n ? 0x20 : 0));
		put(o, c->id.p, c->id.n);
		if (complex) {
			put_number(o, c->in);
			put_number(o, c->out);
		}
		if (c->props.n) {
			put_number(o, c->props.n);
			put(o, c->props.p, c->props.n);
		}
	}
	for (unsigned i = 0; i < f->nbinds; i++) {
		bool from_aes = false;

		for (unsigned k = 0; k < f->ncoders; k++)
			from_aes |= f->coders[k].aes && f->coders[k].first_out == f->bind_out[i];
		if (from_aes)
			continue;
		put_number(o, renumber(f, f->bind_in[i], true));
		put_number(o, renumber(f, f->bind_out[i], false));
	}
	for (unsigned i = 0; i < f->npacked && f->npacked > 1; i++) {
		int k = aes_coder(f, f->packed[i]);
		unsigned in = k == -1 ? f->packed[i] : reader_of(f, &f->coders[k]);

		put_number(o, renumber(f, in, true));
	}
}

static void
put_streams(struct out *o, const struct sevenzip_streams *s, const uint64_t *sizes)
{
	put_byte(o, ID_PACK);
	put_number(o, 0);
	put_number(o, s->npack);
	put_byte(o, ID_SIZE);
	for (size_t i = 0; i < s->npack; i++)
		put_number(o, sizes[i]);
	put_byte(o, ID_END);
	put_byte(o, ID_UNPACK);
	put_byte(o, ID_FOLDER);
	put_number(o, s->nfolders);
	put_byte(o, 0);
	for (size_t i = 0; i < s->nfolders; i++)
		put_folder(o, &s->folders[i]);
	put_byte(o, ID_CODER_SIZES);
	for (size_t i = 0; i < s->nfolders; i++) {
		const struct sevenzip_folder *f = &s->folders[i];
		unsigned kept = 0;

		for (unsigned k = 0; k < f->ncoders; k++) {
			if (f->coders[k].aes)
				continue;
			kept++;
			for (unsigned j = 0; j < f->coders[k].out; j++)
				put_number(o, f->sizes[f->coders[k].first_out + j]);
		}
		if (kept == 0)
			put_number(o, f->sizes[0]);
	}
	put_byte(o, ID_CRC);
	put_byte(o, 0);
	for (size_t i = 0; i < s->nfolders; i += 8) {
		unsigned b = 0;

		for (size_t k = i; k < i + 8 && k < s->nfolders; k++)
			b |= s->folders[k].has_sum ? 0x80u >> (k - i) : 0;
		put_byte(o, b);
	}
	for (size_t i = 0; i < s->nfolders; i++)
		if (s->folders[i].has_sum)
			put_u32(o, s->folders[i].sum);
	put_byte(o, ID_END);
}

/* All packed streams, those under AES in plain. False: the password does not fit, or a budget ended it. */
static bool
put_data(struct out *o, struct span file, const struct sevenzip_streams *s, struct span password,
    uint64_t *sizes)
{
	struct builder *b = o->b;

	for (int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < s->nfolders; i++)
			for (unsigned k = 0; k < s->folders[i].npacked; k++) {
				const struct sevenzip_folder *f = &s->folders[i];
				uint64_t n = f->first_pack + k;
				struct span in = pack_stream(file, s, n);
				int which = aes_coder(f, f->packed[k]);
				struct cipher c;
				uint8_t *to;

				if (which == -1) {
					sizes[n] = in.n;
					if (pass)
						put(o, in.p, in.n);
					continue;
				}
				/* An empty stream: there is nothing to open. */
				if (s->pack_sizes[n] == 0 && f->sizes[f->coders[which].first_out] == 0)
					continue;
				if (!cipher_make(b, f->coders[which].props, password, &c) ||
				    !stream_fits(f, &f->coders[which], in, &c))
					return false;
				if (pass == 0)
					continue;
				to = unlock_room(b, in.n);
				if (to == NULL)
					return false;
				aes_cbc_open(c.key, 32, c.iv, in, to);
				sizes[n] = f->sizes[f->coders[which].first_out];
				put(o, to, (size_t)sizes[n]);
			}
	return true;
}

static void
head_set(struct out *o, size_t header)
{
	struct span h = span_make(o->p + header, o->n - header);
	uint64_t v[2] = { header - HEAD, h.n };
	uint32_t sum = (uint32_t)crc32(0, (const Bytef *)h.p, (uInt)h.n);

	memcpy(o->p, "7z\xbc\xaf\x27\x1c\0\4", 8);
	for (size_t i = 0; i < 16; i++)
		o->p[12 + i] = (char)(v[i / 8] >> (8 * (i % 8)));
	for (size_t i = 0; i < 4; i++)
		o->p[28 + i] = (char)(sum >> (8 * i));
	sum = (uint32_t)crc32(0, (Bytef *)o->p + 12, 20);
	for (size_t i = 0; i < 4; i++)
		o->p[8 + i] = (char)(sum >> (8 * i));
}

static struct out
out_new(struct builder *b, size_t room)
{
	struct out o = { .b = b, .cap = HEAD + room };

	o.p = arena_alloc(b->a, o.cap);
	o.n = HEAD;
	return o;
}

/* --- the whole -------------------------------------------------------------------------------- */

/* The header that these streams hold: they are made an archive with one file, and that is unpacked. */
static struct span
header_unpack(struct builder *b, struct span file, const struct sevenzip_streams *s, struct span password)
{
	/* One file, with a name. */
	static const char files[] = "\x05\x01\x11\x05\0h\0\0\0\0\0";
	struct out o;
	uint64_t *sizes;
	struct span plain;
	size_t header;

	if (s->nfolders != 1 || s->folders[0].nout == 0 || s->folders[0].sizes[0] > HEADER_MAX)
		return span_make(NULL, 0);
	o = out_new(b, 4096);
	sizes = arena_array(b->a, s->npack + 1, sizeof(*sizes));
	if (!put_data(&o, file, s, password, sizes))
		return span_make(NULL, 0);
	header = o.n;
	put(&o, "\1\4", 2);
	put_streams(&o, s, sizes);
	put(&o, substreams, 2);
	put_byte(&o, ID_END);	/* of the streams */
	put(&o, files, sizeof(files) - 1);
	head_set(&o, header);
	plain = archive_first(b, span_make(o.p, o.n), TYPE_SEVENZIP);
	if (plain.p && s->folders[0].has_sum &&
	    crc32(0, (const Bytef *)plain.p, (uInt)plain.n) != s->folders[0].sum)
		return span_make(NULL, 0);
	return plain;
}

static bool
content_unlock(struct builder *b, struct span file, struct span header, const struct sevenzip_streams *s,
    struct span password, struct span *bytes)
{
	struct out o = out_new(b, 4096);
	uint64_t *sizes = arena_array(b->a, s->npack + 1, sizeof(*sizes));
	size_t at;

	if (!put_data(&o, file, s, password, sizes))
		return false;
	at = o.n;
	put(&o, "\1\4", 2);
	put_streams(&o, s, sizes);
	if (get8(header, s->end) != ID_SUBSTREAMS)
		put(&o, substreams, 2);
	put(&o, header.p + s->end, header.n - s->end);
	head_set(&o, at);
	*bytes = span_make(o.p, o.n);
	return archive_sound(*bytes, TYPE_SEVENZIP, NULL);
}

static bool
header_read(struct builder *b, struct span header, struct sevenzip_streams *s)
{
	struct sevenzip_reader r = { .b = b, .s = header };

	return sevenzip_byte(&r) == ID_HEADER && sevenzip_byte(&r) == ID_MAIN && sevenzip_streams_read(&r, s);
}

struct unlocked
sevenzip_unlock(struct builder *b, struct span file)
{
	struct unlocked none = { LOCK_NONE }, shut = { LOCK_SHUT };
	uint64_t at = get32(file, 12) | (uint64_t)get32(file, 16) << 32;
	uint64_t size = get32(file, 20) | (uint64_t)get32(file, 24) << 32;
	uint64_t left = b->left, spent = 0;
	const struct span *words;
	struct sevenzip_streams packed, s;
	struct sevenzip_reader r;
	struct span header;
	size_t n;

	if (file.n < HEAD || at > file.n - HEAD || size > file.n - HEAD - at || size > HEADER_MAX)
		return none;
	header = span_sub(file, HEAD + (size_t)at, (size_t)size);
	r = (struct sevenzip_reader){ .b = b, .s = header };
	if (sevenzip_byte(&r) == ID_ENCODED) {
		if (!sevenzip_streams_read(&r, &packed))
			return none;
		shut.names = packed.aes;
		header = packed.aes ? span_make(NULL, 0) :
		    header_unpack(b, file, &packed, span_make("", 0));
		if (header.p == NULL && !packed.aes)
			return none;
	}
	if (!shut.names && (!header_read(b, header, &s) || !s.aes))
		return none;
	words = passwords_find(b, &n);
	for (size_t i = 0; i < n; i++) {
		struct span plain = shut.names ? header_unpack(b, file, &packed, words[i]) : header;

		if (plain.p == NULL)
			continue;
		if (shut.names && !header_read(b, plain, &s))
			return shut;
		if (content_unlock(b, file, plain, &s, words[i], &shut.bytes)) {
			shut.lock = LOCK_OPEN;
			return shut;
		}
		shut.bytes = span_make(NULL, 0);
		unlock_refund(b, left, &spent);
	}
	return shut;
}
