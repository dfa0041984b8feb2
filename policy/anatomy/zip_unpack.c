/* zip_unpack.c -- the members of a zip become parts; see anatomy/zip.h.
 *
 * Stored members are borrowed, deflated ones are inflated into the arena.
 * What else there is (bzip2, LZMA, zstd, members under a password) libarchive
 * reads, see archive.c. A member that says it is encrypted and is not (it
 * inflates, and its checksum is right) is taken as it is: some programs don't
 * look at the flag.
 */
#include "anatomy/zip.h"

#include <zlib.h>

#include "anatomy/archive.h"
#include "anatomy/unpack.h"

enum got { GOT_ALL, GOT_CUT, GOT_BROKEN };

static enum got
inflate_into(const struct zip_entry *e, struct pour *o, bool *sum)
{
	z_stream z = { .next_in = (Bytef *)(uintptr_t)e->data.p, .avail_in = (uInt)e->data.n };
	uLong crc = crc32(0, Z_NULL, 0);
	int rc = Z_OK;

	if (inflateInit2(&z, -MAX_WBITS) != Z_OK)
		return GOT_BROKEN;
	while (rc == Z_OK) {
		size_t room, n;
		char *to = pour_room(o, &room);

		if (to == NULL)
			break;
		if (room > 1u << 20)
			room = 1u << 20;
		z.next_out = (Bytef *)to;
		z.avail_out = (uInt)room;
		rc = inflate(&z, Z_NO_FLUSH);
		n = room - z.avail_out;
		crc = crc32(crc, (Bytef *)to, (uInt)n);
		pour_took(o, n);
	}
	inflateEnd(&z);
	*sum = crc == e->crc;
	return o->cut ? GOT_CUT : rc == Z_STREAM_END ? GOT_ALL : GOT_BROKEN;
}

bool
zip_pour(const struct zip_entry *e, struct pour *o)
{
	bool sum;

	if (e->method == 0)
		return pour_put(o, e->data.p, e->data.n);
	return e->method == Z_DEFLATED && inflate_into(e, o, &sum) == GOT_ALL;
}

/* A member that needs no library and no key. False: it is another kind. */
static bool
member_read(struct builder *b, const struct zip_entry *e, struct span *bytes, enum got *got)
{
	struct pour o;
	bool sum;

	*got = GOT_ALL;
	if (e->data.p == NULL) {
		*got = GOT_BROKEN;
		return true;
	}
	if (e->method == 0 && !e->encrypted) {
		*bytes = e->data;
		if (bytes->n > b->left) {
			*bytes = span_sub(*bytes, 0, (size_t)b->left);
			*got = GOT_CUT;
		}
		b->left -= bytes->n;
		return true;
	}
	if (e->method != Z_DEFLATED)
		return false;
	pour_begin(&o, b, e->data.n, e->size);
	*got = inflate_into(e, &o, &sum);
	if (e->encrypted && !(*got == GOT_ALL && sum)) {
		o.n = 0;
		pour_end(&o);
		return false;
	}
	*bytes = pour_end(&o);
	return true;
}

void
zip_unpack(struct builder *b, uint16_t index)
{
	struct part *p = &b->out->parts[index];
	struct span bytes = p->decoded;
	struct zip_entry *rest;
	struct zip_listing l;
	size_t nrest = 0, folders = 0;

	zip_list(b->a, bytes, &l);
	if (l.ambiguous)
		p->defects |= DEFECT_ARCHIVE_AMBIGUOUS;
	if (l.cut)
		p->defects |= DEFECT_TOO_MANY_PARTS;
	if (l.split)
		p->defects |= DEFECT_ARCHIVE_SPLIT;
	rest = arena_alloc(b->a, (l.n ? l.n : 1) * sizeof(*rest));
	for (size_t i = 0; i < l.n; i++) {
		const struct zip_entry *e = &l.v[i];
		struct span out = span_make("", 0);
		enum got got;

		if (e->name.n && e->name.p[e->name.n - 1] == '/' && e->data.n == 0) {
			folders++;
			continue;
		}
		if (!member_read(b, e, &out, &got)) {
			rest[nrest++] = *e;
			continue;
		}
		p = &b->out->parts[index];
		if (got == GOT_CUT)
			p->defects |= DEFECT_TOO_LARGE;
		else if (got == GOT_BROKEN)
			p->defects |= DEFECT_ARCHIVE_UNREADABLE;
		else if (e->encrypted)
			p->defects |= DEFECT_ARCHIVE_AMBIGUOUS;
		if (blob_add_charset(b, index, out, e->name, e->utf8 ? SPAN_LIT("utf-8") :
		    SPAN_LIT("ibm437")) == PART_NONE)
			return;
	}
	b->nothing_within = l.n == folders;
	if (nrest)
		zip_unpack_rest(b, index, rest, nrest);
}
