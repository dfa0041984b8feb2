/* arj.c -- ARJ archives: stored members and methods 1 to 4; see anatomy/arj.h.
 *
 * Format: technote.txt of ARJ. Methods 1 to 3 are LZ77 with Huffman codes that are given anew for
 * each block (as in LHA, with a window of 26 KiB); method 4 is LZ77 with codes that
 * are fixed. A "garbled" member is XORed with the password: those of the message are tried, and its
 * sum says which is right. Members that go on in another volume are read as far as they go.
 *
 * Each member's sum is looked at: where it is wrong the member is kept and the archive not
 * all readable.
 */
#include "anatomy/arj.h"

#include <zlib.h>

#include "anatomy/ole2.h"
#include "anatomy/unpack.h"

#define MEMBERS 20000
#define HEADER_MAX 2600
#define THRESHOLD 3		/* the shortest match */
#define WINDOW 26624

#define CODES 510		/* bytes, and lengths 3 to 256 */
#define POINTERS 17
#define TEMPORARY 19		/* codes of code lengths */
#define LENGTH_MAX 16

enum { GARBLED = 1, VOLUME = 4, CONTINUED = 8 };

/* --- bits, the highest first --------------------------------------------------------------- */

struct bits {
	struct span s;
	size_t at;		/* of the next bit */
	bool over;
};

static unsigned
bit(struct bits *b)
{
	size_t byte = b->at >> 3;

	if (byte >= b->s.n) {
		b->over = true;
		return 0;
	}
	return ((unsigned char)b->s.p[byte] >> (7 - (b->at++ & 7))) & 1;
}

static unsigned
bits(struct bits *b, unsigned n)
{
	unsigned v = 0;

	while (n--)
		v = v << 1 | bit(b);
	return v;
}

/* A canonical code: so many of each length, the symbols in order. */
struct code {
	uint16_t count[LENGTH_MAX + 1], symbol[CODES];
	int only;		/* the one symbol there is, without a bit; -1: as the table says */
};

static bool
code_make(struct code *c, const uint8_t *lengths, unsigned n)
{
	uint16_t at[LENGTH_MAX + 2] = { 0 };
	int left = 1;

	memset(c->count, 0, sizeof(c->count));
	c->only = -1;
	for (unsigned i = 0; i < n; i++)
		c->count[lengths[i]]++;
	c->count[0] = 0;
	for (unsigned len = 1; len <= LENGTH_MAX; len++) {
		left = left * 2 - c->count[len];
		if (left < 0)
			return false;
		at[len + 1] = (uint16_t)(at[len] + c->count[len]);
	}
	for (unsigned i = 0; i < n; i++)
		if (lengths[i])
			c->symbol[at[lengths[i]]++] = (uint16_t)i;
	return true;
}

static unsigned
code_next(const struct code *c, struct bits *b)
{
	int code = 0, first = 0, index = 0;

	if (c->only >= 0)
		return (unsigned)c->only;
	for (unsigned len = 1; len <= LENGTH_MAX; len++) {
		code |= (int)bit(b);
		if (code - c->count[len] < first)
			return c->symbol[index + (code - first)];
		index += c->count[len];
		first = (first + c->count[len]) << 1;
		code <<= 1;
	}
	b->over = true;		/* no such code */
	return 0;
}

/* --- methods 1 to 3 ---------------------------------------------------------------------------- */

/* The lengths of a small code; special: behind so many a run of up to three zeros. */
static bool
small_code(struct bits *b, struct code *c, unsigned most, unsigned special)
{
	uint8_t lengths[32] = { 0 };
	unsigned n = bits(b, 5);

	if (n == 0) {
		c->only = (int)bits(b, 5);
		return (unsigned)c->only < most;
	}
	if (n > most)
		return false;
	for (unsigned i = 0; i < n && !b->over;) {
		unsigned len = bits(b, 3);

		while (len >= 7 && len <= LENGTH_MAX && bit(b))
			len++;
		if (len > LENGTH_MAX)
			return false;
		lengths[i++] = (uint8_t)len;
		if (i == special)
			for (unsigned k = bits(b, 2); k && i < n; k--)
				lengths[i++] = 0;
	}
	return !b->over && code_make(c, lengths, most);
}

static bool
large_code(struct bits *b, struct code *c, const struct code *temporary)
{
	uint8_t lengths[CODES] = { 0 };
	unsigned n = bits(b, 9);

	if (n == 0) {
		c->only = (int)bits(b, 9);
		return c->only < CODES;
	}
	if (n > CODES)
		return false;
	for (unsigned i = 0; i < n && !b->over;) {
		unsigned v = code_next(temporary, b);

		if (v > 2)
			lengths[i++] = (uint8_t)(v - 2);
		else
			i += v == 0 ? 1 : v == 1 ? bits(b, 4) + 3 : bits(b, 9) + 20;
	}
	return !b->over && code_make(c, lengths, CODES);
}

static bool
repeat(struct pour *o, size_t back, size_t n)
{
	return back <= WINDOW && pour_repeat(o, back, n);
}

static bool
decode_blocks(struct span s, struct pour *o, uint64_t size)
{
	static struct code temporary, codes, pointers;
	struct bits b = { .s = s };
	unsigned left = 0;

	while (o->n < size && !b.over) {
		unsigned c;

		if (left == 0) {
			left = bits(&b, 16);
			if (left == 0 || !small_code(&b, &temporary, TEMPORARY, 3) ||
			    !large_code(&b, &codes, &temporary) || !small_code(&b, &pointers, POINTERS, 0))
				return false;
		}
		left--;
		c = code_next(&codes, &b);
		if (b.over)
			return false;
		if (c < 256) {
			char byte = (char)c;

			if (!pour_put(o, &byte, 1))
				return false;
		} else {
			unsigned p = code_next(&pointers, &b);

			if (p > 1)
				p = (1u << (p - 1)) + bits(&b, p - 1);
			if (b.over || !repeat(o, (size_t)p + 1, c - 256 + THRESHOLD))
				return false;
		}
	}
	return o->n == size;
}

/* --- method 4 -------------------------------------------------------------------------------------- */

static unsigned
fixed(struct bits *b, unsigned from, unsigned to)
{
	unsigned plus = 0, power = 1u << from, width = from;

	for (; width < to && bit(b); width++) {
		plus += power;
		power <<= 1;
	}
	return plus + bits(b, width);
}

static bool
decode_fast(struct span s, struct pour *o, uint64_t size)
{
	struct bits b = { .s = s };

	while (o->n < size && !b.over) {
		unsigned n = fixed(&b, 0, 7);

		if (n == 0) {
			char byte = (char)bits(&b, 8);

			if (b.over || !pour_put(o, &byte, 1))
				return false;
		} else {
			unsigned back = fixed(&b, 9, 13) + 1;

			if (b.over || !repeat(o, back, n - 1 + THRESHOLD))
				return false;
		}
	}
	return o->n == size;
}

/* --- the archive ---------------------------------------------------------------------------------------- */

struct member {
	unsigned flags, method, type, modifier;
	uint64_t size;
	uint32_t sum;
	struct span name, data;
};

/* The header at *at; false: the end, or none that can be. `broken` tells which. */
static bool
header_next(struct span s, size_t *at, struct member *m, bool *broken)
{
	struct span h;
	size_t n = get16(s, *at + 2), first;
	uint32_t sum;

	*broken = true;
	if (get16(s, *at) != 0xea60 || n > HEADER_MAX)
		return false;
	if (n == 0) {
		*broken = false;
		return false;
	}
	h = span_sub(s, *at + 4, n);
	if (h.n < 30 || s.n - (*at + 4) < n + 6)
		return false;
	sum = (uint32_t)crc32(0, (const Bytef *)h.p, (uInt)h.n);
	if (sum != get32(s, *at + 4 + n))
		return false;
	first = get8(h, 0);
	*m = (struct member){ .flags = get8(h, 4), .method = get8(h, 5), .type = get8(h, 6),
		.modifier = get8(h, 7), .size = get32(h, 16), .sum = get32(h, 20),
		.name = span_from(h, first) };
	m->name.n = span_find(m->name, '\0');
	*at += 4 + n + 4;
	while (get16(s, *at)) {		/* extended headers, each with its sum */
		size_t more = (size_t)get16(s, *at) + 6;

		if (more > s.n - *at)
			return false;
		*at += more;
	}
	*at += 2;
	m->data = span_sub(s, *at, m->type == 2 ? 0 : get32(h, 12));
	*broken = m->type != 2 && m->data.n < get32(h, 12);
	*at += m->data.n;
	return true;
}

/* All of a member, unpacked. True: its sum is right. */
static bool
member_pour(const struct member *m, struct span data, struct pour *o)
{
	bool good;

	if (m->method == 0)
		good = pour_put(o, data.p, data.n);
	else if (m->method <= 3)
		good = decode_blocks(data, o, m->size);
	else
		good = m->method == 4 && decode_fast(data, o, m->size);
	return good && o->n <= UINT32_MAX && crc32(0, (const Bytef *)o->p, (uInt)o->n) == m->sum;
}

static struct span
ungarbled(struct builder *b, const struct member *m, struct span password)
{
	char *out = arena_alloc(b->a, m->data.n + 1);

	for (size_t i = 0; i < m->data.n; i++)
		out[i] = (char)(m->data.p[i] ^ (char)((unsigned char)password.p[i % password.n] + m->modifier));
	return span_make(out, m->data.n);
}

/* A garbled member: false when no password opens it. */
static bool
locked_read(struct builder *b, const struct member *m, struct span *word, struct pour *o)
{
	size_t n;
	const struct span *words = passwords_find(b, &n);
	uint64_t cost = m->data.n;

	for (size_t i = 0; i < n; i++) {
		/* What opened one is tried alone on the next. */
		if (word->p && !span_eq(words[i], *word))
			continue;
		if (cost > b->left || words[i].n == 0)
			return false;
		b->left -= cost;
		pour_begin(o, b, m->data.n, m->size);
		if (member_pour(m, ungarbled(b, m, words[i]), o)) {
			*word = words[i];
			return true;
		}
		o->n = 0;
		pour_end(o);
	}
	return false;
}

void
arj_unpack(struct builder *b, uint16_t index)
{
	struct span s = b->out->parts[index].decoded, word = { NULL, 0 };
	bool broken = false, locked = false, shut = false;
	unsigned members = 0;
	struct member m;
	size_t at = 0;

	for (unsigned i = 0; i < MEMBERS && header_next(s, &at, &m, &broken); i++) {
		struct part *p = &b->out->parts[index];
		struct pour o;
		bool good;

		if (m.flags & (VOLUME | CONTINUED))
			p->defects |= DEFECT_ARCHIVE_SPLIT;
		if (m.type > 1)		/* the archive itself, folders, labels */
			continue;
		members++;
		if (m.flags & GARBLED) {
			locked = true;
			if (shut || !locked_read(b, &m, &word, &o)) {
				shut = true;
				blob_add_locked(b, index, m.name, ENCRYPTION_ARJ);
				continue;
			}
			good = true;
		} else {
			pour_begin(&o, b, m.data.n, m.size);
			good = member_pour(&m, m.data, &o);
		}
		if (o.cut)
			p->defects |= DEFECT_TOO_LARGE;
		else if (!good && !(m.flags & VOLUME))
			p->defects |= DEFECT_ARCHIVE_UNREADABLE;
		if (blob_add_charset(b, index, pour_end(&o), m.name, SPAN_LIT("ibm437")) == PART_NONE || o.cut)
			return;
	}
	if (broken)
		b->out->parts[index].defects |= DEFECT_ARCHIVE_UNREADABLE;
	if (locked) {
		b->out->parts[index].encrypted = true;
		b->out->parts[index].encryption = ENCRYPTION_ARJ;
		b->out->parts[index].opened = !shut;
	}
	b->nothing_within = members == 0 && !broken;
}
