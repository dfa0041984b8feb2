/* cfb.c -- compound files (MS-CFB): sectors, chains and the directory; see anatomy/ole2.h.
 *
 * A FAT in a file: the allocation table gives each sector's next. All chains
 * are walked with a count, so a loop ends after as many steps as there are
 * sectors; the directory is a list first and a tree second, so what the tree
 * hides is found all the same. A stream whose sectors follow each other is
 * borrowed from the file.
 */
#include "anatomy/ole2.h"

#define HEADER 512
#define SECTOR_MAX 0xfffffffau		/* above: free, end, and the tables' own */

bool
ole2_is(struct span s)
{
	return s.n >= HEADER && memcmp(s.p, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8) == 0;
}

struct span
text_of_utf16(struct arena *a, struct span s)
{
	return decode_exact(a, SPAN_LIT("utf-16le"), span_sub(s, 0, s.n & ~(size_t)1));
}

struct span
text_of_1252(struct arena *a, struct span s)
{
	return decode_exact(a, SPAN_LIT("windows-1252"), s);
}

/* Sector n of the file; short at the end of a file that is cut off. */
static struct span
sector(const struct cfb *c, uint32_t n)
{
	uint64_t at = ((uint64_t)n + 1) << c->shift;

	return at < c->bytes.n ? span_sub(c->bytes, (size_t)at, (size_t)1 << c->shift) :
	    span_make(NULL, 0);
}

static uint32_t
next_of(const struct cfb *c, uint32_t n)
{
	return n < c->nfat ? c->fat[n] : CFB_NONE;
}

/* The sectors of a chain, put together or borrowed. most: bytes wanted. */
static struct span
chain(struct cfb *c, uint32_t first, uint64_t most)
{
	size_t size = (size_t)1 << c->shift, n = 1, limit = c->nfat + 1;
	uint32_t at = first, next;
	struct pour o;

	if (first >= SECTOR_MAX || most == 0)
		return span_make("", 0);
	while ((next = next_of(c, at)) == at + 1 && n * size < most && n < limit) {
		at = next;
		n++;
	}
	if (next >= SECTOR_MAX || n * size >= most) {
		uint64_t from = ((uint64_t)first + 1) << c->shift, want = (uint64_t)n * size;

		if (want > most)
			want = most;
		if (from >= c->bytes.n)
			return span_make("", 0);
		/* Paid for as if it were copied: many streams may name the same sectors. */
		if (want > c->bytes.n - from)
			want = c->bytes.n - from;
		if (want > c->b->left) {
			want = c->b->left;
			c->cut = true;
		}
		c->b->left -= want;
		return span_sub(c->bytes, (size_t)from, (size_t)want);
	}
	pour_begin(&o, c->b, c->bytes.n, most > c->bytes.n ? 0 : most);
	at = first;
	for (n = 0; at < SECTOR_MAX && o.n < most; n++) {
		struct span s = sector(c, at);

		if (n > limit || s.n == 0) {
			c->broken = true;
			break;
		}
		if (s.n > most - o.n)
			s.n = (size_t)(most - o.n);
		if (!pour_put(&o, s.p, s.n))
			break;
		at = next_of(c, at);
	}
	c->cut |= o.cut;
	return pour_end(&o);
}

/* The table itself lies in sectors that the header lists, and in a chain of such lists. */
static bool
fat_read(struct cfb *c)
{
	struct span h = c->bytes;
	size_t per = ((size_t)1 << c->shift) / 4, most = (c->bytes.n >> c->shift) + 1, seen = 0;
	uint32_t more = get32(h, 68), list;
	size_t cap = most + per;

	c->fat = arena_alloc(c->b->a, cap * sizeof(*c->fat));
	for (size_t i = 0; i < 109 + most && c->nfat < most; i++) {
		struct span s, difat;

		if (i < 109) {
			list = get32(h, 76 + i * 4);
		} else {
			size_t k = (i - 109) % (per - 1);

			if (more >= SECTOR_MAX || seen > most)
				break;
			difat = sector(c, more);
			list = get32(difat, k * 4);
			if (k == per - 2) {
				more = get32(difat, (per - 1) * 4);
				seen++;
			}
		}
		if (list >= SECTOR_MAX) {
			if (i < 109)
				continue;
			break;
		}
		s = sector(c, list);
		for (size_t k = 0; k < per && c->nfat < most; k++)
			c->fat[c->nfat++] = s.n >= k * 4 + 4 ? get32(s, k * 4) : CFB_NONE;
	}
	return c->nfat > 0;
}

static void
entry_read(struct cfb *c, struct span s)
{
	struct cfb_entry *e = &c->v[c->n];
	size_t n = get16(s, 64);
	struct span name;

	*e = (struct cfb_entry){ .kind = (uint8_t)get8(s, 66), .left = get32(s, 68),
		.right = get32(s, 72), .child = get32(s, 76), .start = get32(s, 116),
		.size = get32(s, 120), .parent = CFB_NONE };
	if (c->shift == 12)	/* version 4 has 64 bits */
		e->size |= (uint64_t)get32(s, 124) << 32;
	c->n++;
	if (e->kind != 1 && e->kind != 2 && e->kind != 5)
		return;
	name = text_of_utf16(c->b->a, span_sub(s, 0, n >= 2 && n <= 64 ? n - 2 : 0));
	e->nname = name.n < CFB_NAME ? name.n : CFB_NAME;
	memcpy(e->name, name.p, e->nname);
}

/* Gives the entries of a storage their parent, without recursion: a stack of siblings. */
static void
tree_read(struct cfb *c)
{
	uint32_t *stack = arena_alloc(c->b->a, (c->n * 3 + 1) * sizeof(*stack));
	uint32_t *parents = arena_alloc(c->b->a, (c->n * 3 + 1) * sizeof(*parents));
	bool *seen = arena_zalloc(c->b->a, c->n + 1);
	size_t n = 0;

	stack[n] = c->v[0].child;
	parents[n++] = 0;
	seen[0] = true;
	while (n) {
		uint32_t i = stack[--n], up = parents[n];
		struct cfb_entry *e;

		if (i >= c->n || seen[i])
			continue;
		seen[i] = true;
		e = &c->v[i];
		e->parent = up;
		stack[n] = e->left;
		parents[n++] = up;
		stack[n] = e->right;
		parents[n++] = up;
		if (e->kind == 1) {
			stack[n] = e->child;
			parents[n++] = i;
		}
	}
}

bool
cfb_open(struct cfb *c, struct builder *b, struct span bytes)
{
	struct span dir, table;

	*c = (struct cfb){ .b = b, .bytes = bytes };
	if (!ole2_is(bytes))
		return false;
	c->shift = get16(bytes, 30);
	c->mini_shift = get16(bytes, 32);
	c->cutoff = get32(bytes, 56);
	if (c->shift < 7 || c->shift > 16 || c->mini_shift < 2 || c->mini_shift >= c->shift)
		return false;
	if (!fat_read(c))
		return false;
	dir = chain(c, get32(bytes, 48), (uint64_t)CFB_ENTRIES * 128);
	if (dir.n < 128)
		return false;
	c->v = arena_array(b->a, dir.n / 128, sizeof(*c->v));
	for (size_t i = 0; i + 128 <= dir.n; i += 128)
		entry_read(c, span_sub(dir, i, 128));
	if (dir.n == (size_t)CFB_ENTRIES * 128)
		c->cut = true;
	tree_read(c);
	c->mini = chain(c, c->v[0].start, c->v[0].size);
	table = chain(c, get32(bytes, 60), bytes.n);
	c->nminis = table.n / 4;
	c->minis = arena_alloc(b->a, (c->nminis + 1) * sizeof(*c->minis));
	for (size_t i = 0; i < c->nminis; i++)
		c->minis[i] = get32(table, i * 4);
	return true;
}

uint32_t
cfb_find(const struct cfb *c, uint32_t storage, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].kind && (storage == CFB_NONE || c->v[i].parent == storage) &&
		    span_is_nocase(cfb_name(c, (uint32_t)i), name))
			return (uint32_t)i;
	return CFB_NONE;
}

struct span
cfb_stream(struct cfb *c, uint32_t entry)
{
	const struct cfb_entry *e;
	size_t size = (size_t)1 << c->mini_shift, steps = 0;
	struct pour o;
	uint32_t at;

	if (entry >= c->n)
		return span_make("", 0);
	e = &c->v[entry];
	if (e->kind != 2)
		return span_make("", 0);
	if (e->plain.p)
		return e->plain;
	if (e->size >= c->cutoff)
		return chain(c, e->start, e->size);
	pour_begin(&o, c->b, c->bytes.n, e->size);
	for (at = e->start; at < SECTOR_MAX && o.n < e->size; at = at < c->nminis ? c->minis[at] :
	    CFB_NONE) {
		struct span s = span_sub(c->mini, (size_t)at << c->mini_shift, size);

		if (++steps > c->nminis + 1 || s.n == 0) {
			c->broken = true;
			break;
		}
		if (s.n > e->size - o.n)
			s.n = (size_t)(e->size - o.n);
		if (!pour_put(&o, s.p, s.n))
			break;
	}
	c->cut |= o.cut;
	return pour_end(&o);
}
