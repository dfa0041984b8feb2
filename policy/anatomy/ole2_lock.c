/* ole2_lock.c -- .doc and .xls under a password: RC4 of Office 97 and of CryptoAPI, XOR left shut.
 *
 * MS-OFFCRYPTO 2.3.5 and 2.3.6. The streams are copied and read in plain; the
 * copies say that they are not locked, so the readers need not know. What is
 * never locked (the head of a Word file, the heads of Excel's records) is not
 * touched, though the key stream runs on beneath it.
 */
#include <nettle/arcfour.h>
#include <nettle/md5.h>
#include <nettle/sha1.h>

#include "anatomy/ole2.h"
#include "anatomy/unlock.h"

#define FIB_FLAGS 10
#define FIB_KEY 14		/* bytes of the header of the lock, in the table stream */
#define FIB_ENCRYPTED 0x100
#define FIB_OBFUSCATED 0x8000
#define FIB_PLAIN 68
#define R_FILEPASS 0x2f
#define R_NOTHING 0xffff

struct rc4_lock {
	bool api;		/* CryptoAPI, else Office 97's own */
	struct span salt, proof, told;
	size_t nkey;
	uint8_t base[20];
};

static bool
lock_read(struct span s, struct rc4_lock *l)
{
	uint32_t major = get16(s, 0), minor = get16(s, 2);
	size_t header = get32(s, 8), at;
	uint32_t bits;

	*l = (struct rc4_lock){ 0 };
	if (major == 1 && minor == 1) {
		l->salt = span_sub(s, 4, 16);
		l->proof = span_sub(s, 20, 16);
		l->told = span_sub(s, 36, 16);
		return l->told.n == 16;
	}
	if (minor != 2 || major < 2 || major > 4 || header > s.n || s.n - header < 12)
		return false;
	bits = get32(s, 12 + 16);
	at = 12 + header;
	*l = (struct rc4_lock){ .api = true, .salt = span_sub(s, at + 4, 16), .proof = span_sub(s, at + 20, 16),
		.told = span_sub(s, at + 40, 20), .nkey = bits ? bits / 8 : 5 };
	return get32(s, at) == 16 && l->told.n == 20 && l->nkey >= 5 && l->nkey <= 16;
}

static void
block_key(const struct rc4_lock *l, uint32_t block, struct arcfour_ctx *rc4)
{
	uint8_t n[4] = { (uint8_t)block, (uint8_t)(block >> 8), (uint8_t)(block >> 16),
		(uint8_t)(block >> 24) }, key[20] = { 0 };

	if (l->api) {
		struct sha1_ctx c;

		sha1_init(&c);
		sha1_update(&c, 20, l->base);
		sha1_update(&c, 4, n);
		sha1_digest(&c, 20, key);
		if (l->nkey == 5)	/* 2.3.5.2: 40 bits are 128, most of them zero */
			memset(key + 5, 0, 11);
		arcfour_set_key(rc4, l->nkey == 5 ? 16 : l->nkey, key);
	} else {
		struct md5_ctx c;

		md5_init(&c);
		md5_update(&c, 5, l->base);
		md5_update(&c, 4, n);
		md5_digest(&c, 16, key);
		arcfour_set_key(rc4, 16, key);
	}
}

static bool
password_fits(struct builder *b, struct rc4_lock *l, struct span password)
{
	struct span utf16 = key_utf16(b, password);
	uint8_t proof[16], told[20], sum[20];
	struct arcfour_ctx rc4;

	if (l->api) {
		struct sha1_ctx c;

		sha1_init(&c);
		sha1_update(&c, l->salt.n, (const uint8_t *)l->salt.p);
		sha1_update(&c, utf16.n, (const uint8_t *)utf16.p);
		sha1_digest(&c, 20, l->base);
	} else {
		struct md5_ctx c;
		uint8_t first[16];

		md5_init(&c);
		md5_update(&c, utf16.n, (const uint8_t *)utf16.p);
		md5_digest(&c, 16, first);
		for (int i = 0; i < 16; i++) {
			md5_update(&c, 5, first);
			md5_update(&c, 16, (const uint8_t *)l->salt.p);
		}
		md5_digest(&c, 16, l->base);
	}
	block_key(l, 0, &rc4);
	arcfour_crypt(&rc4, 16, proof, (const uint8_t *)l->proof.p);
	arcfour_crypt(&rc4, l->told.n, told, (const uint8_t *)l->told.p);
	if (l->api) {
		struct sha1_ctx c;

		sha1_init(&c);
		sha1_update(&c, 16, proof);
		sha1_digest(&c, 20, sum);
	} else {
		struct md5_ctx c;

		md5_init(&c);
		md5_update(&c, 16, proof);
		md5_digest(&c, 16, sum);
	}
	return memcmp(sum, told, l->told.n) == 0;
}

static bool
password_find(struct builder *b, struct rc4_lock *l)
{
	size_t n;
	const struct span *words = passwords_find(b, &n);

	for (size_t i = 0; i < n; i++)
		if (password_fits(b, l, words[i]))
			return true;
	return password_fits(b, l, SPAN_LIT("VelvetSweatshop"));
}

/* All of a stream, by blocks that have a key each. */
static uint8_t *
stream_open(struct builder *b, const struct rc4_lock *l, struct span s, size_t block)
{
	uint8_t *out = s.n ? unlock_room(b, s.n) : NULL;
	struct arcfour_ctx rc4;

	for (size_t at = 0; out && at < s.n; at += block) {
		block_key(l, (uint32_t)(at / block), &rc4);
		arcfour_crypt(&rc4, s.n - at < block ? s.n - at : block, out + at,
		    (const uint8_t *)s.p + at);
	}
	return out;
}

static void
stream_set(struct cfb *c, uint32_t entry, const uint8_t *p, size_t n)
{
	c->v[entry].plain = span_make((const char *)p, n);
}

/* --- Word ------------------------------------------------------------------------------------------ */

static bool
word_unlock(struct cfb *c, struct builder *b)
{
	uint32_t word = cfb_find(c, 0, "WordDocument"), data = cfb_find(c, 0, "Data"), table;
	struct span w = cfb_stream(c, word), t;
	uint32_t flags = get16(w, FIB_FLAGS), nkey = get32(w, FIB_KEY);
	struct rc4_lock l;
	uint8_t *out;

	if (!(flags & FIB_ENCRYPTED) || flags & FIB_OBFUSCATED || w.n < FIB_PLAIN)
		return false;
	table = cfb_find(c, 0, flags & 0x200 ? "1Table" : "0Table");
	t = cfb_stream(c, table);
	if (table == CFB_NONE || nkey > t.n || !lock_read(span_sub(t, 0, nkey), &l) ||
	    !password_find(b, &l))
		return false;
	out = stream_open(b, &l, w, 512);
	if (out == NULL)
		return false;
	memcpy(out, w.p, FIB_PLAIN);
	out[FIB_FLAGS + 1] &= (uint8_t)~(FIB_ENCRYPTED >> 8);
	stream_set(c, word, out, w.n);
	out = stream_open(b, &l, t, 512);
	if (out)
		stream_set(c, table, out, t.n);
	if (data != CFB_NONE) {
		struct span d = cfb_stream(c, data);

		out = stream_open(b, &l, d, 512);
		if (out)
			stream_set(c, data, out, d.n);
	}
	return true;
}

/* --- Excel ------------------------------------------------------------------------------------------- */

/* MS-XLS 2.2.10: these are never locked. */
static bool
record_is_plain(uint32_t type)
{
	return type == 0x809 || type == R_FILEPASS || type == 0x194 || type == 0x195 || type == 0xe1 ||
	    type == 0x196 || type == 0x138;
}

static bool
excel_unlock(struct cfb *c, struct builder *b)
{
	uint32_t book = cfb_find(c, 0, "Workbook");
	struct span s = cfb_stream(c, book), pass = { 0 };
	struct rc4_lock l;
	uint8_t *out;

	for (size_t i = 0; i + 4 <= s.n && i < 4096; i += 4 + (size_t)get16(s, i + 2))
		if (get16(s, i) == R_FILEPASS) {
			pass = span_sub(s, i + 4, get16(s, i + 2));
			break;
		}
	if (get16(pass, 0) != 1 || !lock_read(span_from(pass, 2), &l) || !password_find(b, &l))
		return false;
	out = stream_open(b, &l, s, 1024);
	if (out == NULL)
		return false;
	for (size_t i = 0; i + 4 <= s.n;) {
		uint32_t type = get16(s, i);
		size_t n = get16(s, i + 2), keep = record_is_plain(type) ? n : type == 0x85 && n >= 4 ? 4 : 0;

		memcpy(out + i, s.p + i, 4);
		if (type == R_FILEPASS)
			out[i] = out[i + 1] = R_NOTHING & 0xff;
		if (keep > s.n - i - 4)
			keep = s.n - i - 4;
		memcpy(out + i + 4, s.p + i + 4, keep);
		i += 4 + n;
	}
	stream_set(c, book, out, s.n);
	return true;
}

void
ole2_unlock(struct cfb *c, struct builder *b, uint16_t index)
{
	bool open = false;

	if (cfb_find(c, 0, "WordDocument") != CFB_NONE)
		open |= word_unlock(c, b);
	if (cfb_find(c, 0, "Workbook") != CFB_NONE)
		open |= excel_unlock(c, b);
	if (!open)
		return;
	b->out->parts[index].encrypted = b->out->parts[index].opened = true;
	b->out->parts[index].encryption = ENCRYPTION_OLE2;
}
