/* rar_lock.c -- takes the lock of a RAR archive off; see anatomy/unlock.h.
 *
 * The archive is written again block by block: files in plain, their headers
 * without what tells of the lock, and libarchive unpacks that. What is no file
 * (comments, recovery records) is left out. RAR 5 may tell whether a password is
 * right, RAR 4 only by a header that makes sense or a file that unpacks.
 *
 * RAR 4: technote.txt; AES-128, and keys of 2^18 rounds with a salt for each
 * file. The ciphers of RAR before 2.9 stay shut. RAR 5: its own technote; AES-256.
 * Files that go on in another volume stay shut too.
 */
#include "anatomy/unlock.h"

#include <zlib.h>

#include "anatomy/archive.h"
#include "anatomy/ole2.h"
#include "anatomy/volumes.h"

#define BLOCKS 20000
#define HEADER_MAX ((size_t)2 << 20)

struct rar {
	struct builder *b;
	struct span file;
	size_t at;
	struct span word;	/* the password being tried */
	bool names;		/* headers are locked */
	uint8_t key[32];	/* RAR 5: of the headers */
	bool first_only;	/* one locked file is enough, to prove the password */
	bool proved, wrong, left_out;
	bool summed;		/* the sum of the file that proves it */
	uint32_t sum;
	struct pour out;
};

static struct span
plain_of(struct rar *r, const uint8_t *key, size_t nkey, const uint8_t *iv, struct span in)
{
	uint8_t *to;

	in.n &= ~(size_t)15;
	to = in.n ? unlock_room(r->b, in.n) : NULL;
	if (to == NULL)
		return span_make("", 0);
	aes_cbc_open(key, nkey, iv, in, to);
	return span_make((char *)to, in.n);
}

static void
set32(char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (8 * i));
}

static struct unlocked
unlock_all(struct builder *b, struct span file, bool names, bool (*walk)(struct rar *))
{
	struct unlocked u = { LOCK_SHUT, names, { 0 } };
	const struct span *words;
	uint64_t left = b->left, spent = 0;
	size_t n;

	words = passwords_find(b, &n);
	for (size_t i = 0; i < n; i++) {
		struct rar r = { .b = b, .file = file, .word = words[i], .names = names,
			.first_only = true };
		struct span trial;

		pour_begin(&r.out, b, file.n, 0);
		if (!walk(&r) || r.wrong || r.out.cut) {
			unlock_refund(b, left, &spent);
			continue;
		}
		trial = pour_end(&r.out);
		unlock_refund(b, left, &spent);
		/* What nothing proves stays shut: any password would make bytes of it. */
		if (!r.proved && !(r.summed && archive_sound(trial, TYPE_RAR, &r.sum)))
			continue;
		r = (struct rar){ .b = b, .file = file, .word = words[i], .names = names };
		pour_begin(&r.out, b, file.n, file.n);
		u.lock = walk(&r) && !r.left_out && !r.wrong && !r.out.cut ? LOCK_OPEN : LOCK_SHUT;
		u.bytes = pour_end(&r.out);
		return u;
	}
	return u;
}

/* --- RAR 4 ------------------------------------------------------------------------------------- */

enum { R4_MAIN = 0x73, R4_FILE = 0x74, R4_END = 0x7b };
enum { R4_LONG = 0x8000, R4_SPLIT = 3, R4_LOCKED = 4, R4_BIG = 0x100, R4_SALT = 0x400, R4_NAMES = 0x80 };

static bool
rar4_sum_fits(struct span h)
{
	return (crc32(0, (const Bytef *)h.p + 2, (uInt)h.n - 2) & 0xffff) == get16(h, 0);
}

static void
rar4_put(struct rar *r, const char *h, size_t n)
{
	char *copy = arena_alloc(r->b->a, n);
	uint32_t sum;

	memcpy(copy, h, n);
	copy[5] = (char)n;
	copy[6] = (char)(n >> 8);
	sum = (uint32_t)crc32(0, (Bytef *)copy + 2, (uInt)n - 2);
	copy[0] = (char)sum;
	copy[1] = (char)(sum >> 8);
	pour_put(&r->out, copy, n);
}

/* The next header, unlocked; its end in r->at. p NULL: the end, or not this password. */
static struct span
rar4_header(struct rar *r, bool locked)
{
	struct span none = { NULL, 0 }, rest = span_from(r->file, r->at), h;
	uint8_t key[16], iv[16];
	size_t size;

	if (!locked) {
		size = get16(rest, 5);
		if (size < 7 || size > rest.n)
			return none;
		r->at += size;
		return span_sub(rest, 0, size);
	}
	if (rest.n < 24 || !key_rar4(r->b, span_sub(rest, 0, 8), r->word, key, iv))
		return none;
	h = plain_of(r, key, 16, iv, span_sub(rest, 8, 16));
	size = get16(h, 5);
	if (h.n < 16 || size < 7 || size > rest.n - 8)
		return none;
	h = plain_of(r, key, 16, iv, span_sub(rest, 8, (size + 15) & ~(size_t)15));
	if (h.n < size || !rar4_sum_fits(span_sub(h, 0, size)))
		return none;
	r->at += 8 + ((size + 15) & ~(size_t)15);
	return span_sub(h, 0, size);
}

static void
rar4_file(struct rar *r, struct span h, struct span data)
{
	uint32_t flags = get16(h, 3), version = get8(h, 24), method = get8(h, 25);
	size_t name = get16(h, 26), salt = 32 + (flags & R4_BIG ? 8 : 0) + name;
	uint8_t key[16], iv[16];
	char *copy;

	if (!(flags & R4_LOCKED)) {
		if (!r->first_only) {
			rar4_put(r, h.p, h.n);
			pour_put(&r->out, data.p, data.n);
		}
		return;
	}
	if (version < 29 || flags & R4_SPLIT || salt > h.n || (flags & R4_SALT && h.n - salt < 8)) {
		r->left_out = true;
		return;
	}
	if (!key_rar4(r->b, flags & R4_SALT ? span_sub(h, salt, 8) : span_make("", 0), r->word, key, iv)) {
		r->left_out = true;
		return;
	}
	data = plain_of(r, key, 16, iv, data);
	if (method == 0x30 && !(flags & R4_BIG) && get32(h, 11) <= data.n)
		data.n = get32(h, 11);
	copy = arena_alloc(r->b->a, h.n);
	memcpy(copy, h.p, h.n);
	flags &= ~(uint32_t)R4_LOCKED;
	if (flags & R4_SALT) {
		memmove(copy + salt, copy + salt + 8, h.n - salt - 8);
		h.n -= 8;
		flags &= ~(uint32_t)R4_SALT;
	}
	r->summed = true;
	r->sum = get32(h, 16);
	copy[3] = (char)flags;
	copy[4] = (char)(flags >> 8);
	set32(copy + 7, (uint32_t)data.n);
	rar4_put(r, copy, h.n);
	pour_put(&r->out, data.p, data.n);
}

static bool
rar4_walk(struct rar *r)
{
	bool any = false;

	pour_put(&r->out, r->file.p, 7);
	r->at = 7;
	for (unsigned i = 0; i < BLOCKS; i++) {
		struct span h = rar4_header(r, r->names && i > 0), data = { 0 };
		uint32_t type = get8(h, 2), flags = get16(h, 3);
		uint64_t size = flags & R4_LONG || type == R4_FILE ? get32(h, 7) : 0;

		if (h.p == NULL) {
			/* Locked headers: the first tells of the password. */
			r->left_out |= r->names && i > 1;
			return any || (i > 1 && !r->names);
		}
		any |= r->names && i > 0;
		r->proved |= r->names && i > 0;
		if (type == R4_FILE && flags & R4_BIG)
			size |= (uint64_t)get32(h, 32) << 32;
		data = span_from(r->file, r->at);
		if (size > data.n) {
			size = data.n;
			r->left_out = true;
		}
		data.n = (size_t)size;
		r->at += data.n;
		if (type == R4_MAIN) {
			char main[13] = { 0, 0, R4_MAIN };

			if (h.n < 13)
				return false;
			memcpy(main + 3, h.p + 3, 10);
			main[3] = (char)(flags & ~(uint32_t)(R4_NAMES | 2));
			rar4_put(r, main, 13);
		} else if (type == R4_FILE && h.n >= 32) {
			rar4_file(r, h, data);
			if (r->first_only && flags & R4_LOCKED)
				return true;
		} else if (type == R4_END) {
			return true;
		}
	}
	return true;
}

struct unlocked
rar4_unlock(struct builder *b, struct span file)
{
	uint32_t main = get16(file, 10);
	bool locked = main & R4_NAMES;
	size_t at = 7;

	if (get8(file, 9) != R4_MAIN)
		return (struct unlocked){ LOCK_NONE };
	for (unsigned i = 0; i < BLOCKS && !locked && file.n - at > 7 && at < file.n; i++) {
		struct span h = span_from(file, at);
		size_t size = get16(h, 5);

		if (size < 7)
			break;
		locked |= get8(h, 2) == R4_FILE && get16(h, 3) & R4_LOCKED;
		if (get16(h, 3) & R4_LONG || get8(h, 2) == R4_FILE)
			size += get32(h, 7);
		at += size;
	}
	if (!locked)
		return (struct unlocked){ LOCK_NONE };
	return unlock_all(b, file, main & R4_NAMES, rar4_walk);
}

/* --- RAR 5 ---------------------------------------------------------------------------------------- */

enum { R5_MAIN = 1, R5_FILE, R5_SERVICE, R5_LOCK, R5_END };
enum { R5_EXTRA = 1, R5_DATA = 2, R5_BEFORE = 8, R5_AFTER = 16 };

static uint64_t
vint(struct span s, size_t *at)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 63 && *at < s.n; shift += 7) {
		unsigned c = get8(s, (*at)++);

		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return v;
	}
	*at = s.n;
	return 0;
}

struct rar5_header {
	uint64_t type, flags, extra, data;
	struct span body;	/* what is this type's own, without the extra area */
	struct span extras;
};

/* Of the bytes from a header's sum on; the bytes it takes, 0: none. */
static size_t
rar5_parse(struct span s, struct rar5_header *h)
{
	size_t at = 4, from, n;
	uint64_t size = vint(s, &at);

	*h = (struct rar5_header){ 0 };
	if (size == 0 || size > HEADER_MAX || at > s.n || size > s.n - at)
		return 0;
	n = at + (size_t)size;
	if (crc32(0, (const Bytef *)s.p + 4, (uInt)(n - 4)) != get32(s, 0))
		return 0;
	s.n = n;
	h->type = vint(s, &at);
	h->flags = vint(s, &at);
	if (h->flags & R5_EXTRA)
		h->extra = vint(s, &at);
	if (h->flags & R5_DATA)
		h->data = vint(s, &at);
	from = at;
	if (h->extra > n - from)
		return 0;
	h->body = span_sub(s, from, n - from - (size_t)h->extra);
	h->extras = span_from(s, n - (size_t)h->extra);
	return n;
}

static void
put_vint(char *p, size_t *n, uint64_t v)
{
	do {
		p[(*n)++] = (char)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
}

static void
rar5_put(struct rar *r, const struct rar5_header *h, struct span body, struct span data)
{
	char head[40], own[40];
	size_t n = 0, m = 4;
	uint32_t sum;

	put_vint(own, &n, h->type);
	put_vint(own, &n, h->flags & ~(uint64_t)(R5_EXTRA | R5_BEFORE | R5_AFTER));
	if (h->flags & R5_DATA)
		put_vint(own, &n, data.n);
	put_vint(head, &m, n + body.n);
	sum = (uint32_t)crc32(0, (Bytef *)head + 4, (uInt)(m - 4));
	sum = (uint32_t)crc32(sum, (Bytef *)own, (uInt)n);
	sum = (uint32_t)crc32(sum, (const Bytef *)body.p, (uInt)body.n);
	set32(head, sum);
	pour_put(&r->out, head, m);
	pour_put(&r->out, own, n);
	pour_put(&r->out, body.p, body.n);
	pour_put(&r->out, data.p, data.n);
}

struct rar5_lock {
	bool found, checked, tweaked;
	unsigned power;
	struct span salt, iv, check;
};

/* The record of a file's extra area that tells of its lock. */
static struct rar5_lock
rar5_lock_read(struct span extras)
{
	struct rar5_lock l = { 0 };
	size_t at = 0;

	while (at < extras.n) {
		uint64_t size = vint(extras, &at), flags;
		struct span rec = span_sub(extras, at, size > extras.n ? extras.n : (size_t)size);
		size_t k = 0;

		if (rec.n == 0)
			break;
		at += rec.n;
		if (vint(rec, &k) != 1 || vint(rec, &k) != 0)
			continue;
		flags = vint(rec, &k);
		l.power = get8(rec, k);
		l.salt = span_sub(rec, k + 1, 16);
		l.iv = span_sub(rec, k + 17, 16);
		l.checked = flags & 1;
		l.tweaked = flags & 2;
		l.check = span_sub(rec, k + 33, 8);
		l.found = l.iv.n == 16;
	}
	return l;
}

/* The key, when the password is not known to be wrong. */
static bool
rar5_key(struct rar *r, const struct rar5_lock *l, uint8_t key[32])
{
	uint8_t sums[32], v[32], check[8] = { 0 };

	if (!key_rar5(r->b, l->salt, r->word, l->power, key, sums, v))
		return false;
	if (!l->checked || l->check.n != 8)
		return true;
	for (size_t i = 0; i < 32; i++)
		check[i % 8] ^= v[i];
	if (memcmp(check, l->check.p, 8) != 0)
		return false;
	r->proved = true;
	return true;
}

static void
rar5_file(struct rar *r, const struct rar5_header *h, struct span data)
{
	struct rar5_lock l = rar5_lock_read(h->extras);
	size_t at = 0, sum, n = 0;
	uint64_t flags, size, method;
	struct span body = h->body;
	uint8_t key[32];
	char *copy;

	if (!l.found) {
		if (!r->first_only)
			rar5_put(r, h, body, data);
		return;
	}
	if (h->flags & (R5_BEFORE | R5_AFTER)) {
		r->left_out = true;
		return;
	}
	if (!rar5_key(r, &l, key)) {
		r->wrong = true;
		return;
	}
	flags = vint(body, &at);
	size = vint(body, &at);
	vint(body, &at);
	at += flags & 2 ? 4 : 0;
	sum = at;
	at += flags & 4 ? 4 : 0;
	method = vint(body, &at);
	data = plain_of(r, key, 32, (const uint8_t *)l.iv.p, data);
	if ((method >> 7 & 7) == 0 && size <= data.n && !(flags & 8))
		data.n = (size_t)size;
	if (l.tweaked && flags & 4 && sum + 4 <= body.n) {
		/* The sum is mixed with the key: without it. */
		copy = arena_alloc(r->b->a, body.n + 1);
		at = 0;
		vint(body, &at);
		put_vint(copy, &n, flags & ~UINT64_C(4));
		memcpy(copy + n, body.p + at, sum - at);
		n += sum - at;
		memcpy(copy + n, body.p + sum + 4, body.n - sum - 4);
		body = span_make(copy, n + body.n - sum - 4);
	}
	r->summed = flags & 4 && !l.tweaked && sum + 4 <= h->body.n;
	r->sum = get32(h->body, sum);
	rar5_put(r, h, body, data);
}

static bool
rar5_walk(struct rar *r)
{
	pour_put(&r->out, r->file.p, 8);
	r->at = 8;
	for (unsigned i = 0; i < BLOCKS && r->at < r->file.n && !r->wrong; i++) {
		struct span rest = span_from(r->file, r->at), in = rest, data;
		struct rar5_header h;
		size_t n;

		if (r->names && i > 0) {
			/* A block of its own cipher: the size stands in its first bytes. */
			size_t at = 4, size;

			in = plain_of(r, r->key, 32, (const uint8_t *)rest.p,
			    rest.n < 32 ? span_make("", 0) : span_sub(rest, 16, 16));
			size = (size_t)vint(in, &at);
			if (in.n < 16 || size == 0 || size > HEADER_MAX) {
				r->wrong = i == 1;
				return i > 1;
			}
			size = (at + size + 15) & ~(size_t)15;
			in = plain_of(r, r->key, 32, (const uint8_t *)rest.p, span_sub(rest, 16, size));
			n = rar5_parse(in, &h);
			if (n == 0) {
				r->wrong = i == 1;
				r->left_out = true;
				return i > 1;
			}
			r->proved = true;
			r->at += 16 + size;
		} else {
			n = rar5_parse(in, &h);
			if (n == 0) {
				r->left_out = true;
				return i > 0;
			}
			r->at += n;
		}
		data = span_from(r->file, r->at);
		if (h.data > data.n)
			r->left_out = true;
		else
			data.n = (size_t)h.data;
		r->at += data.n;
		if (h.type == R5_LOCK) {
			struct rar5_lock l = { .found = true };
			size_t at = 0;

			vint(h.body, &at);
			l.checked = vint(h.body, &at) & 1;
			l.power = get8(h.body, at);
			l.salt = span_sub(h.body, at + 1, 16);
			l.check = span_sub(h.body, at + 17, 8);
			if (l.salt.n != 16 || !rar5_key(r, &l, r->key)) {
				r->wrong = true;
				return false;
			}
		} else if (h.type == R5_MAIN) {
			rar5_put(r, &h, SPAN_LIT("\0"), span_make("", 0));
		} else if (h.type == R5_FILE) {
			rar5_file(r, &h, data);
			if (r->first_only && rar5_lock_read(h.extras).found)
				return true;
		} else if (h.type == R5_END) {
			rar5_put(r, &h, SPAN_LIT("\0"), span_make("", 0));
			return true;
		}
	}
	return true;
}

struct unlocked
rar5_unlock(struct builder *b, struct span file)
{
	struct rar5_header h;
	bool locked = false, names = false;
	size_t at = 8, n;

	for (unsigned i = 0; i < BLOCKS && at < file.n && !locked; i++) {
		n = rar5_parse(span_from(file, at), &h);
		if (n == 0 || h.type == R5_END || h.data > file.n)
			break;
		names |= i == 0 && h.type == R5_LOCK;
		locked |= names || (h.type == R5_FILE && rar5_lock_read(h.extras).found);
		at += n + (size_t)h.data;
	}
	if (!locked)
		return (struct unlocked){ LOCK_NONE };
	return unlock_all(b, file, names, rar5_walk);
}

bool
rar5_locked_name(struct span file, size_t *at, struct span *name)
{
	struct rar5_header h;

	if (file.n < 8 || memcmp(file.p, "Rar!\x1a\x07\1", 8) != 0)
		return false;
	if (*at == 0)
		*at = 8;
	while (*at < file.n) {
		size_t n = rar5_parse(span_from(file, *at), &h), k = 0;
		uint64_t flags, length;

		if (n == 0 || h.type == R5_END || h.type == R5_LOCK || h.data > file.n)
			break;
		*at += n + (size_t)h.data;
		if (h.type != R5_FILE || !rar5_lock_read(h.extras).found)
			continue;
		flags = vint(h.body, &k);
		vint(h.body, &k);
		vint(h.body, &k);
		k += (flags & 2 ? 4 : 0) + (flags & 4 ? 4 : 0);
		vint(h.body, &k);
		vint(h.body, &k);
		length = vint(h.body, &k);
		*name = span_sub(h.body, k, length > h.body.n ? h.body.n : (size_t)length);
		return true;
	}
	*at = file.n;
	return false;
}

/* --- volumes ------------------------------------------------------------------------------------- */

/* The last block of a volume tells (RAR 4: end of archive, flag 1; RAR 5: the same). One without it ended. */
bool
rar_goes_on(struct span s)
{
	size_t at = 7;

	if (s.n > 8 && s.p[6] == '\1') {
		struct rar5_header h;

		at = 8;
		for (unsigned i = 0; i < BLOCKS && at < s.n; i++) {
			size_t n = rar5_parse(span_from(s, at), &h), k = 0;

			if (n == 0 || h.data > s.n)
				return false;
			if (h.type == R5_END)
				return vint(h.body, &k) & 1;
			at += n + (size_t)h.data;
		}
		return false;
	}
	for (unsigned i = 0; i < BLOCKS && at < s.n; i++) {
		struct span h = span_from(s, at);
		uint32_t type = get8(h, 2), flags = get16(h, 3);
		size_t size = get16(h, 5);

		if (size < 7)
			return false;
		if (type == R4_END)
			return flags & 1;
		if (flags & R4_LONG || type == R4_FILE)
			size += get32(h, 7);
		at += size;
	}
	return false;
}
