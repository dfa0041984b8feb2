/* volumes.c -- archives in several files; see anatomy/volumes.h.
 *
 * By name, within one container, without regard to case: "x.001, x.002" as 7-Zip and
 * others cut; "x.z01, x.z02, x.zip" as zip does; "x.part1.rar, x.part2.rar" and
 * "x.rar, x.r00, x.r01" as RAR does. What is missing is said by a defect, never
 * guessed: the parts that are there are read as far as they go.
 */
#include "anatomy/volumes.h"

#include "anatomy/ole2.h"
#include "anatomy/type.h"
#include "table.h"

#define JOINS 16		/* split archives put together, of one message */
#define END_REACH 65557		/* an end record of a zip with the longest comment */

enum scheme { NO_VOLUME, NUMBERED, ZIP_PIECE, ZIP_LAST, RAR_PART, RAR_FIRST, RAR_OLD };

struct volume {
	enum scheme scheme;
	unsigned number;	/* from 1 on */
	struct span stem;
};

static unsigned
digits(struct span s, bool *all)
{
	unsigned n = 0;

	*all = s.n > 0 && s.n <= 4;
	for (size_t i = 0; i < s.n && *all; i++) {
		*all = s.p[i] >= '0' && s.p[i] <= '9';
		n = n * 10 + (unsigned)(s.p[i] - '0');
	}
	return *all ? n : 0;
}

static struct volume
volume_of(struct span name)
{
	struct span ext = name_extension(name), stem, mid;
	struct volume v = { .scheme = NO_VOLUME };
	bool all;

	if (ext.n < 2 || name.n < ext.n + 2)
		return v;
	stem = span_sub(name, 0, name.n - ext.n - 1);
	v.stem = stem;
	if (ext.n == 3 && (v.number = digits(ext, &all)) > 0) {
		v.scheme = NUMBERED;
	} else if (ascii_lower(ext.p[0]) == 'z' && (v.number = digits(span_from(ext, 1), &all)) > 0) {
		v.scheme = ZIP_PIECE;
	} else if (span_is_nocase(ext, "zip")) {
		v.scheme = ZIP_LAST;
	} else if (ext.n == 3 && ascii_lower(ext.p[0]) >= 'r' && ascii_lower(ext.p[0]) <= 'y' &&
	    (v.number = digits(span_from(ext, 1), &all), all)) {
		/* .r00 is the second, .s00 the hundred and second */
		v.number += 2 + 100u * (unsigned)(ascii_lower(ext.p[0]) - 'r');
		v.scheme = RAR_OLD;
	} else if (span_is_nocase(ext, "rar") || span_is_nocase(ext, "exe")) {
		mid = name_extension(stem);
		v.scheme = RAR_FIRST;
		v.number = 1;
		if (mid.n > 4 && span_starts_nocase(mid, SPAN_LIT("part"))) {
			unsigned n = digits(span_from(mid, 4), &all);

			if (n > 0) {
				v = (struct volume){ RAR_PART, n, span_sub(stem, 0, stem.n - mid.n - 1) };
				return v;
			}
		}
	}
	return v;
}

/* --- finding them ------------------------------------------------------------------------------------
 *
 * A message may hold thousands of files with such names, each of which looks for others: so they are
 * found by hash, made as parts come. Of several with one name the first counts.
 */

struct volume_slot {
	uint64_t hash;
	uint16_t index;		/* PART_NONE: free */
};

struct volume_book {
	struct volume_slot *slots;
	size_t cap, n;		/* a power of two; slots in use */
	size_t seen;		/* parts looked at so far */
};

static uint64_t
volume_hash(uint16_t parent, enum scheme scheme, struct span stem, unsigned number)
{
	uint64_t key[2] = { (uint64_t)parent << 48 | (uint64_t)scheme << 32 | number, stem.n };
	uint8_t k[16];
	char piece[64];
	size_t n = 0;

	do {
		struct span s = span_sub(stem, n, sizeof(piece));

		for (size_t i = 0; i < s.n; i++)
			piece[i] = ascii_lower(s.p[i]);
		memcpy(k, key, sizeof(k));
		key[1] = siphash(k, piece, s.n);
		n += s.n;
	} while (n < stem.n);
	return key[1];
}

/* Where it stands, or the free slot where it would. */
static struct volume_slot *
slot_find(const struct builder *b, uint64_t hash, uint16_t parent, enum scheme scheme,
    struct span stem, unsigned number)
{
	const struct volume_book *k = b->volumes;
	size_t at = hash & (k->cap - 1);

	for (; k->slots[at].index != PART_NONE; at = (at + 1) & (k->cap - 1)) {
		const struct part *p = &b->out->parts[k->slots[at].index];
		struct volume v;

		if (k->slots[at].hash != hash || p->parent != parent)
			continue;
		v = volume_of(p->name);
		if (v.scheme == scheme && v.number == number && span_eq_nocase(v.stem, stem))
			break;
	}
	return &k->slots[at];
}

static void
book_grow(struct builder *b)
{
	struct volume_book *k = b->volumes;
	size_t cap = k->cap ? k->cap * 4 : 64;
	struct volume_slot *old = k->slots;

	k->slots = arena_array(b->a, cap, sizeof(*k->slots));
	for (size_t i = 0; i < cap; i++)
		k->slots[i].index = PART_NONE;
	for (size_t i = 0; i < k->cap; i++) {
		size_t at = old[i].hash & (cap - 1);

		if (old[i].index == PART_NONE)
			continue;
		while (k->slots[at].index != PART_NONE)
			at = (at + 1) & (cap - 1);
		k->slots[at] = old[i];
	}
	k->cap = cap;
}

static uint16_t
volume_find(struct builder *b, uint16_t parent, enum scheme scheme, struct span stem,
    unsigned number)
{
	struct volume_book *k = b->volumes;

	if (k == NULL)
		k = b->volumes = arena_zalloc(b->a, sizeof(*k));
	for (; k->seen < b->out->nparts; k->seen++) {
		const struct part *p = &b->out->parts[k->seen];
		struct volume v = volume_of(p->name);
		struct volume_slot *slot;
		uint64_t hash;

		if (v.scheme == NO_VOLUME)
			continue;
		if (k->n * 2 >= k->cap)
			book_grow(b);
		hash = volume_hash(p->parent, v.scheme, v.stem, v.number);
		slot = slot_find(b, hash, p->parent, v.scheme, v.stem, v.number);
		if (slot->index != PART_NONE)
			continue;
		*slot = (struct volume_slot){ hash, (uint16_t)k->seen };
		k->n++;
	}
	if (k->cap == 0)
		return PART_NONE;
	return slot_find(b, volume_hash(parent, scheme, stem, number), parent, scheme, stem,
	    number)->index;
}

/* --- bytes of one file ---------------------------------------------------------------------------- */

static bool
numbered_join(struct builder *b, uint16_t index, struct volume v)
{
	struct part *p = &b->out->parts[index];
	uint16_t next = index;
	struct span whole;
	struct pour o;
	unsigned n = 1;

	if (part_type_class(p->type) == CLASS_TEXT)
		return false;
	if (v.number > 1) {
		if (volume_find(b, p->parent, NUMBERED, v.stem, 1) == PART_NONE && p->type == TYPE_UNKNOWN)
			p->defects |= DEFECT_ARCHIVE_SPLIT;
		return false;
	}
	if (volume_find(b, p->parent, NUMBERED, v.stem, 2) == PART_NONE) {
		/* Alone: whole, or the first of several. Its reader will tell. */
		return false;
	}
	if (b->joins >= JOINS) {
		p->defects |= DEFECT_ARCHIVE_SPLIT;
		return false;
	}
	b->joins++;
	pour_begin(&o, b, UINT64_MAX / ANATOMY_RATIO / 2, 0);
	while (next != PART_NONE && n <= VOLUMES_MAX) {
		struct span bytes = b->out->parts[next].decoded;

		if (!pour_put(&o, bytes.p, bytes.n))
			break;
		next = volume_find(b, p->parent, NUMBERED, v.stem, ++n);
	}
	whole = pour_end(&o);
	if (o.cut)
		p->defects |= DEFECT_TOO_LARGE;
	blob_add(b, index, whole, v.stem);
	return true;
}

/* --- zip ---------------------------------------------------------------------------------------------- */

static void
set32(char *p, uint64_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (char)(v >> (8 * i));
}

/* How many pieces the end record tells of; 0: there is none. */
static unsigned
zip_pieces(struct span s)
{
	size_t end = s.n < 22 ? 0 : s.n - 22, low = s.n > END_REACH ? s.n - END_REACH : 0;

	while (end > low && memcmp(s.p + end, "PK\5\6", 4) != 0)
		end--;
	if (s.n < 22 || memcmp(s.p + end, "PK\5\6", 4) != 0 || get16(s, end + 4) > VOLUMES_MAX)
		return 0;
	return get16(s, end + 4) + 1;
}

/* A split archive's directory counts from the beginning of each piece: now all are one (APPNOTE 4.4.19
 * to 4.4.24). False: its directory does not say what the pieces are. */
static bool
directory_turn(char *p, size_t n, const size_t *starts, unsigned pieces)
{
	struct span s = span_make(p, n);
	size_t end = n < 22 ? 0 : n - 22, low = n > END_REACH ? n - END_REACH : 0, at;
	uint32_t disk;

	while (end > low && memcmp(p + end, "PK\5\6", 4) != 0)
		end--;
	if (n < 22 || memcmp(p + end, "PK\5\6", 4) != 0 || get16(s, end + 4) + 1 != pieces)
		return false;
	disk = get16(s, end + 6);
	if (disk >= pieces)
		return false;
	at = starts[disk] + get32(s, end + 16);
	set32(p + end + 16, at);
	memset(p + end + 4, 0, 4);
	p[end + 8] = p[end + 10];
	p[end + 9] = p[end + 11];
	while (at < end && end - at >= 46 && memcmp(p + at, "PK\1\2", 4) == 0) {
		disk = get16(s, at + 34);
		if (disk >= pieces)
			return false;
		set32(p + at + 42, starts[disk] + (uint64_t)get32(s, at + 42));
		p[at + 34] = p[at + 35] = 0;
		at += 46 + (size_t)get16(s, at + 28) + get16(s, at + 30) + get16(s, at + 32);
	}
	return true;
}

static bool
zip_join(struct builder *b, uint16_t index, struct volume v)
{
	struct part *p = &b->out->parts[index];
	size_t *starts;
	struct span whole;
	struct pour o;
	unsigned n = 0;
	uint16_t piece;

	if (v.scheme == ZIP_PIECE) {
		if (volume_find(b, p->parent, ZIP_LAST, v.stem, 0) == PART_NONE && (p->type == TYPE_UNKNOWN ||
		    span_starts(p->decoded, SPAN_LIT("PK\7\10"))))
			p->defects |= DEFECT_ARCHIVE_SPLIT;
		return false;
	}
	if (b->joins >= JOINS || volume_find(b, p->parent, ZIP_PIECE, v.stem, 1) == PART_NONE) {
		/* Its end tells of pieces before it. */
		if (zip_pieces(p->decoded) > 1)
			p->defects |= DEFECT_ARCHIVE_SPLIT;
		return false;
	}
	b->joins++;
	starts = arena_alloc(b->a, (VOLUMES_MAX + 1) * sizeof(*starts));
	pour_begin(&o, b, UINT64_MAX / ANATOMY_RATIO / 2, 0);
	while (n < VOLUMES_MAX && !o.cut &&
	    (piece = volume_find(b, p->parent, ZIP_PIECE, v.stem, n + 1)) != PART_NONE) {
		starts[n++] = o.n;
		pour_put(&o, b->out->parts[piece].decoded.p, b->out->parts[piece].decoded.n);
	}
	starts[n++] = o.n;
	pour_put(&o, p->decoded.p, p->decoded.n);
	whole = pour_end(&o);
	if (o.cut)
		p->defects |= DEFECT_TOO_LARGE;
	/* A piece is missing, or these are none: the last one is read as it is. */
	if (o.cut || !directory_turn((char *)(uintptr_t)whole.p, whole.n, starts, n)) {
		p->defects |= DEFECT_ARCHIVE_SPLIT;
		return false;
	}
	/* The mark of a split archive becomes that of one that might have been split (APPNOTE 8.5.4). */
	if (span_starts(whole, SPAN_LIT("PK\7\10PK")))
		memcpy((char *)(uintptr_t)whole.p, "PK00", 4);
	p->type = TYPE_ZIP;
	p->defects &= ~(uint32_t)DEFECT_TYPE_MISMATCH;
	blob_add(b, index, whole, p->name);
	return true;
}

bool
volumes_join(struct builder *b, uint16_t index)
{
	struct volume v = volume_of(b->out->parts[index].name);

	switch (v.scheme) {
	case NUMBERED:
		return numbered_join(b, index, v);
	case ZIP_PIECE:
	case ZIP_LAST:
		return zip_join(b, index, v);
	default:
		return false;
	}
}

/* --- RAR ------------------------------------------------------------------------------------------------ */

static uint16_t
rar_volume(struct builder *b, uint16_t parent, struct volume v, unsigned number)
{
	if (v.scheme == RAR_PART)
		return volume_find(b, parent, RAR_PART, v.stem, number);
	return volume_find(b, parent, number == 1 ? RAR_FIRST : RAR_OLD, v.stem, number);
}

uint16_t
volumes_lead(struct builder *b, uint16_t index)
{
	const struct part *p = &b->out->parts[index];
	struct volume v = volume_of(p->name);

	if (v.scheme != RAR_PART && v.scheme != RAR_FIRST && v.scheme != RAR_OLD)
		return PART_NONE;
	return rar_volume(b, p->parent, v, 1);
}

size_t
volumes_rar(struct builder *b, uint16_t lead, struct span **out, uint16_t **set)
{
	const struct part *p = &b->out->parts[lead];
	struct volume v = volume_of(p->name);
	uint16_t next = lead;
	size_t n = 0;

	if (b->joins >= JOINS || rar_volume(b, p->parent, v, 2) == PART_NONE)
		return 0;
	b->joins++;
	*out = arena_alloc(b->a, VOLUMES_MAX * sizeof(**out));
	*set = arena_alloc(b->a, VOLUMES_MAX * sizeof(**set));
	while (next != PART_NONE && n < VOLUMES_MAX) {
		(*set)[n] = next;
		(*out)[n++] = b->out->parts[next].decoded;
		next = rar_volume(b, p->parent, v, (unsigned)n + 1);
	}
	return n;
}
