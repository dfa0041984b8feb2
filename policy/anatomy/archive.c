/* archive.c -- libarchive over memory; see anatomy/archive.h.
 *
 * One layer at a time: a .tar.gz is a gzip with one member, which is a tar.
 * So each level counts, and nothing recurses. Only the format that the bytes
 * show is offered to the library: none of its others can be reached.
 *
 * libarchive opens neither RAR nor 7z under a password: they are rewritten
 * without it first (anatomy/unlock.h). Where no password fits, members are
 * parts without bytes, with their names and kind of lock.
 * It runs where the whole anatomy runs, in the scanner's caged worker; a crash
 * costs that message, see relay/scanner/worker.c.
 */
#include "anatomy/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include "anatomy/type.h"
#include "anatomy/unlock.h"
#include "anatomy/unpack.h"
#include "anatomy/volumes.h"

#define HEADERS_MAX 50000	/* looked at in one archive: folders, links and empty files too */
#define NEAR 64		/* members tried for a name */
#define PIECE ((size_t)1 << 20)
#define SOUND_PIECE ((size_t)64 << 10)

static struct archive *
reader_open(struct span bytes, enum part_type t)
{
	struct archive *ar = archive_read_new();

	if (ar == NULL)
		return NULL;
	switch (t) {
	case TYPE_ZIP:
		archive_read_support_format_zip_seekable(ar);
		break;
	case TYPE_SEVENZIP:
		archive_read_support_format_7zip(ar);
		break;
	case TYPE_RAR:
		archive_read_support_format_rar(ar);
		archive_read_support_format_rar5(ar);
		break;
	case TYPE_TAR:
		archive_read_support_format_tar(ar);
		break;
	case TYPE_CAB:
		archive_read_support_format_cab(ar);
		break;
	case TYPE_ISO:
		archive_read_support_format_iso9660(ar);
		break;
	case TYPE_LZH:
		archive_read_support_format_lha(ar);
		break;
	case TYPE_AR:
		archive_read_support_format_ar(ar);
		break;
	case TYPE_CPIO:
		archive_read_support_format_cpio(ar);
		break;
	case TYPE_XAR:
		archive_read_support_format_xar(ar);
		break;
	default:
		archive_read_support_format_raw(ar);
	}
	/* Named, so that the library does not look for further layers within. */
	if (t == TYPE_GZIP)
		archive_read_append_filter(ar, ARCHIVE_FILTER_GZIP);
	else if (t == TYPE_BZIP2)
		archive_read_append_filter(ar, ARCHIVE_FILTER_BZIP2);
	else if (t == TYPE_XZ)
		archive_read_append_filter(ar, ARCHIVE_FILTER_XZ);
	else if (t == TYPE_ZSTD)
		archive_read_append_filter(ar, ARCHIVE_FILTER_ZSTD);
	return ar;
}

static bool
reader_start(struct archive *ar, struct span bytes)
{
	return archive_read_open_memory(ar, bytes.p, bytes.n) == ARCHIVE_OK;
}

/* Several volumes: the library takes one after the other. */
struct volume_at {
	struct span bytes;
	size_t at;
};

static la_ssize_t
volume_read(struct archive *ar, void *arg, const void **buf)
{
	struct volume_at *v = arg;
	struct span s = span_sub(v->bytes, v->at, PIECE);

	v->at += s.n;
	*buf = s.p;
	return (la_ssize_t)s.n;
}

static la_int64_t
volume_skip(struct archive *ar, void *arg, la_int64_t n)
{
	struct volume_at *v = arg;
	size_t left = v->bytes.n - v->at;

	if (n < 0)
		return 0;
	if ((uint64_t)n < left)
		left = (size_t)n;
	v->at += left;
	return (la_int64_t)left;
}

static la_int64_t
volume_seek(struct archive *ar, void *arg, la_int64_t offset, int whence)
{
	struct volume_at *v = arg;
	la_int64_t base = whence == SEEK_SET ? 0 : (la_int64_t)(whence == SEEK_CUR ? v->at : v->bytes.n);

	if (offset < -base || base + offset > (la_int64_t)v->bytes.n)
		return ARCHIVE_FATAL;
	v->at = (size_t)(base + offset);
	return base + offset;
}

static int
volume_switch(struct archive *ar, void *from, void *to)
{
	((struct volume_at *)to)->at = 0;
	return ARCHIVE_OK;
}

static bool
reader_start_volumes(struct archive *ar, struct arena *a, const struct span *v, size_t n,
    struct volume_at **volumes)
{
	struct volume_at *at = arena_array(a, n, sizeof(*at));

	*volumes = at;
	for (size_t i = 0; i < n; i++) {
		at[i].bytes = v[i];
		if (archive_read_append_callback_data(ar, &at[i]) != ARCHIVE_OK)
			return false;
	}
	archive_read_set_read_callback(ar, volume_read);
	archive_read_set_skip_callback(ar, volume_skip);
	archive_read_set_seek_callback(ar, volume_seek);
	archive_read_set_switch_callback(ar, volume_switch);
	return archive_read_open1(ar) == ARCHIVE_OK;
}

static bool
is_packed_file(enum part_type t)
{
	return t == TYPE_GZIP || t == TYPE_BZIP2 || t == TYPE_XZ || t == TYPE_ZSTD;
}

/* All of one member. False: it broke off. */
static bool
member_pour(struct archive *ar, struct pour *o)
{
	for (;;) {
		size_t room;
		char *to = pour_room(o, &room);
		la_ssize_t n;

		if (to == NULL)
			return true;
		n = archive_read_data(ar, to, room < PIECE ? room : PIECE);
		if (n == 0)
			return true;
		if (n == ARCHIVE_RETRY)
			continue;
		if (n < 0)
			return n == ARCHIVE_WARN;
		pour_took(o, (size_t)n);
	}
}

static struct span
entry_name(struct archive_entry *e)
{
	const char *name = archive_entry_pathname_utf8(e);

	if (name == NULL)
		name = archive_entry_pathname(e);
	return span_str(name ? name : "");
}

/* "report.csv.gz" holds "report.csv", ".tgz" a ".tar". */
static struct span
packed_name(struct builder *b, struct span name)
{
	struct span ext = name_extension(name);

	if (ext.n == 0)
		return name;
	if (span_is_nocase(ext, "tgz") || span_is_nocase(ext, "tbz2") || span_is_nocase(ext, "txz"))
		return span_str(arena_printf(b->a, SPAN_FMT "tar",
		    SPAN_ARG(span_sub(name, 0, name.n - ext.n))));
	return span_sub(name, 0, name.n - ext.n - 1);
}

static enum encryption
kind_of_lock(enum part_type t, bool names)
{
	if (t == TYPE_RAR)
		return names ? ENCRYPTION_RAR_NAMES : ENCRYPTION_RAR;
	if (t == TYPE_SEVENZIP)
		return names ? ENCRYPTION_SEVENZIP_NAMES : ENCRYPTION_SEVENZIP;
	return ENCRYPTION_ZIP;
}

struct walk {
	struct builder *b;
	uint16_t index;
	enum part_type type;
	struct span bytes;
	struct archive *ar;
	uint64_t out;		/* bytes that came, for the ratio over the whole archive */
	unsigned members;
	uint32_t defects;
	bool locked;
	size_t reached;		/* volumes that were begun */
};

/* One member. False: a budget is spent. */
static bool
walk_member(struct walk *w, struct archive_entry *e)
{
	struct builder *b = w->b;
	struct span name = entry_name(e), bytes;
	struct pour o;
	bool whole;

	/* Some libraries' readers give no type for files; what is a folder or a link says so. */
	if (archive_entry_filetype(e) != AE_IFREG && archive_entry_filetype(e) != 0)
		return true;
	if (archive_entry_hardlink(e) && archive_entry_size(e) == 0)
		return true;
	name = is_packed_file(w->type) ? packed_name(b, b->out->parts[w->index].name) :
	    arena_span(b->a, name);
	w->members++;
	if (archive_entry_is_data_encrypted(e)) {
		w->locked = true;
		blob_add_locked(b, w->index, name, kind_of_lock(w->type, false));
		return b->entries > 0;
	}
	pour_begin(&o, b, w->bytes.n, archive_entry_size_is_set(e) && archive_entry_size(e) > 0 ?
	    (uint64_t)archive_entry_size(e) : 0);
	whole = member_pour(w->ar, &o);
	if (!whole)
		w->defects |= DEFECT_ARCHIVE_UNREADABLE;
	if (o.cut)
		w->defects |= DEFECT_TOO_LARGE;
	bytes = pour_end(&o);
	w->out += bytes.n;
	if (blob_add(b, w->index, bytes, name) == PART_NONE)
		return false;
	if (w->out > ANATOMY_RATIO_FREE && w->out / ANATOMY_RATIO > w->bytes.n) {
		w->defects |= DEFECT_TOO_LARGE;
		return false;
	}
	return !o.cut;
}

static void
walk_all(struct walk *w)
{
	struct archive_entry *e;

	for (unsigned i = 0;; i++) {
		int rc = archive_read_next_header(w->ar, &e);

		if (rc == ARCHIVE_EOF)
			return;
		if (rc == ARCHIVE_RETRY && i < HEADERS_MAX)
			continue;
		if (rc == ARCHIVE_FATAL || rc == ARCHIVE_FAILED) {
			if (archive_read_has_encrypted_entries(w->ar) > 0)
				w->locked = true;
			w->defects |= DEFECT_ARCHIVE_UNREADABLE;
			return;
		}
		if (i >= HEADERS_MAX) {
			w->defects |= DEFECT_TOO_MANY_PARTS;
			return;
		}
		if (!walk_member(w, e))
			return;
	}
}

/* A volume of a set (RAR 4: technote; RAR 5: main archive header; MS-CAB 2.1). */
static bool
is_volume(struct span s, enum part_type t)
{
	const unsigned char *u = (const unsigned char *)s.p;

	if (t == TYPE_RAR && s.n > 16 && memcmp(s.p, "Rar!\x1a\x07\x00", 7) == 0)
		return u[9] == 0x73 && (u[10] & 1);
	if (t == TYPE_RAR && s.n > 24 && u[6] == 1) {
		/* crc32, size (vint), type 1, flags, [extra size], archive flags */
		size_t at = 12;

		while (at < 16 && u[at] & 0x80)
			at++;
		at++;
		if (u[at] != 1)
			return false;
		at++;
		if (u[at] & 1)
			while (++at < 22 && u[at] & 0x80)
				;
		return u[at + 1] & 1;
	}
	return t == TYPE_CAB && s.n > 36 && (u[30] & 3);
}

static struct walk
walk(struct builder *b, uint16_t index, struct span bytes, enum part_type t,
    const struct span *volumes, size_t n)
{
	struct walk w = { .b = b, .index = index, .type = t, .bytes = bytes };
	struct volume_at *at = NULL;

	for (size_t i = 1; i < n; i++)
		w.bytes.n += volumes[i].n;	/* for the ratio */
	w.ar = reader_open(bytes, t);
	if (w.ar && (n ? reader_start_volumes(w.ar, b->a, volumes, n, &at) : reader_start(w.ar, bytes)))
		walk_all(&w);
	else
		w.defects |= DEFECT_ARCHIVE_UNREADABLE;
	archive_read_free(w.ar);
	for (w.reached = 1; at && w.reached < n && at[w.reached].at > 0; w.reached++)
		;
	return w;
}

struct span
archive_first(struct builder *b, struct span bytes, enum part_type t)
{
	struct archive *ar = reader_open(bytes, t);
	struct span out = { NULL, 0 };
	struct archive_entry *e;
	struct pour o;

	if (ar && reader_start(ar, bytes) && archive_read_next_header(ar, &e) == ARCHIVE_OK) {
		pour_begin(&o, b, bytes.n, 0);
		if (member_pour(ar, &o) && !o.cut)
			out = pour_end(&o);
	}
	archive_read_free(ar);
	return out;
}

bool
archive_sound(struct span bytes, enum part_type t, const uint32_t *sum)
{
	static char sink[SOUND_PIECE];
	struct archive *ar = reader_open(bytes, t);
	struct archive_entry *e;
	bool sound = ar && reader_start(ar, bytes);
	uLong crc = crc32(0, Z_NULL, 0);

	while (sound) {
		uint64_t seen = 0;
		la_ssize_t n = 1;
		int rc = archive_read_next_header(ar, &e);

		sound = rc == ARCHIVE_OK || rc == ARCHIVE_EOF || rc == ARCHIVE_WARN;
		if (!sound || rc == ARCHIVE_EOF)
			break;
		while (n > 0 && seen < ANATOMY_DECODED) {
			n = archive_read_data(ar, sink, sizeof(sink));
			if (n <= 0)
				break;
			seen += (uint64_t)n;
			crc = crc32(crc, (const Bytef *)sink, (uInt)n);
		}
		sound = n == 0;
		if (seen) {
			sound &= sum == NULL || crc == *sum;
			break;
		}
	}
	archive_read_free(ar);
	return sound;
}

/* An archive under a password of the message, without it. */
static struct unlocked
unlock(struct builder *b, struct span bytes, enum part_type t)
{
	if (t == TYPE_SEVENZIP)
		return sevenzip_unlock(b, bytes);
	if (t == TYPE_RAR)
		return bytes.n > 7 && bytes.p[6] == '\1' ? rar5_unlock(b, bytes) : rar4_unlock(b, bytes);
	return (struct unlocked){ LOCK_NONE };
}

/* The names of what stays locked, where libarchive gives up at the first. */
static void
locked_names(struct builder *b, uint16_t index, enum part_type t)
{
	struct span name;
	size_t at = 0;

	while (t == TYPE_RAR && rar5_locked_name(b->out->parts[index].decoded, &at, &name))
		blob_add_locked(b, index, name, ENCRYPTION_RAR);
}

/* All volumes of a set. The library goes on to the next only in the midst of a file, so what it did not come
 * to is begun anew. */
static struct walk
volumes_walk(struct builder *b, uint16_t index, const struct span *v, size_t n)
{
	struct walk all = walk(b, index, v[0], TYPE_RAR, v, n), w = all;
	size_t at = w.reached;

	while (at < n && b->entries > 0) {
		w = walk(b, index, v[at], TYPE_RAR, v + at, n - at);
		all.members += w.members;
		all.defects |= w.defects;
		all.locked |= w.locked;
		at += w.reached;
	}
	if (rar_goes_on(v[n - 1]))
		all.defects |= DEFECT_ARCHIVE_SPLIT;
	return all;
}

/* A volume of RAR: true, when the whole set was read from its first. */
static bool
volumes_unpack(struct builder *b, uint16_t index)
{
	uint16_t lead = volumes_lead(b, index), *set;
	struct span *v;
	struct walk w;
	size_t n;

	if (b->nodes[index].joined)
		return b->nothing_within = true;
	if (lead == PART_NONE || b->nodes[lead].joined || !is_volume(b->out->parts[lead].decoded, TYPE_RAR) ||
	    b->out->parts[lead].type != TYPE_RAR || (n = volumes_rar(b, lead, &v, &set)) == 0)
		return false;
	/* Under a lock each is read by itself: their names, and that they are locked. */
	for (size_t i = 0; i < n; i++)
		if (b->out->parts[set[i]].type != TYPE_RAR ||
		    unlock(b, v[i], TYPE_RAR).lock != LOCK_NONE)
			return false;
	for (size_t i = 0; i < n; i++)
		b->nodes[set[i]].joined = true;
	w = volumes_walk(b, lead, v, n);
	b->out->parts[lead].defects |= w.defects;
	if (w.locked) {
		b->out->parts[lead].encrypted = true;
		b->out->parts[lead].encryption = ENCRYPTION_RAR;
	}
	/* Those before `lead` had their turn, those behind will see that they are done. */
	return b->nothing_within = b->nodes[index].joined;
}

void
archive_unpack(struct builder *b, uint16_t index)
{
	enum part_type t = b->out->parts[index].type;
	struct unlocked u;
	struct walk w;
	struct part *p;

	if (t == TYPE_RAR && is_volume(b->out->parts[index].decoded, t) && volumes_unpack(b, index))
		return;
	u = unlock(b, b->out->parts[index].decoded, t);
	w = walk(b, index, u.bytes.n ? u.bytes : b->out->parts[index].decoded, t, NULL, 0);
	p = &b->out->parts[index];
	if (u.bytes.n) {
		p->encrypted = true;
		p->encryption = kind_of_lock(t, u.names);
		p->opened = u.lock == LOCK_OPEN && !w.locked;
	} else if (u.lock == LOCK_SHUT) {
		p->encrypted = true;
		p->encryption = kind_of_lock(t, u.names);
		if (w.members == 0)
			locked_names(b, index, t);
		p = &b->out->parts[index];
	} else if (w.locked) {
		p->encrypted = true;
		p->encryption = kind_of_lock(t, w.members == 0);
	}
	if (is_volume(p->decoded, t))
		p->defects |= DEFECT_ARCHIVE_SPLIT;
	/* Locked names are no damage: `encrypted` says what is to be said. */
	if (p->encrypted && w.members == 0)
		w.defects &= ~(uint32_t)DEFECT_ARCHIVE_UNREADABLE;
	p->defects |= w.defects;
	b->nothing_within = w.members == 0 && w.defects == 0;
}

void
archive_unpack_found(struct builder *b, uint16_t index, struct span bytes, enum part_type t)
{
	struct unlocked u = unlock(b, bytes, t);
	struct walk w = walk(b, index, u.bytes.n ? u.bytes : bytes, t, NULL, 0);

	if (w.members)
		b->out->parts[index].defects |= w.defects;
	if (w.locked || u.lock != LOCK_NONE) {
		b->out->parts[index].encrypted = true;
		b->out->parts[index].encryption = kind_of_lock(t, u.lock != LOCK_NONE ? u.names :
		    w.members == 0);
		b->out->parts[index].opened = u.lock == LOCK_OPEN && !w.locked;
	}
}

/* --- zip: what zip_unpack.c leaves ------------------------------------------------------------ */

/* Both lists are by place in the archive, so the next is nearly always the one. */
static bool
take_rest(const struct zip_entry *rest, size_t n, bool *done, struct span name, size_t *which)
{
	for (size_t k = 0; k < n && k < NEAR; k++) {
		size_t i = (*which + k) % n;

		if (!done[i] && span_eq(rest[i].name, name)) {
			*which = i;
			return true;
		}
	}
	return false;
}

void
zip_unpack_rest(struct builder *b, uint16_t index, const struct zip_entry *rest, size_t n)
{
	struct span bytes = b->out->parts[index].decoded;
	struct archive *ar = reader_open(bytes, TYPE_ZIP);
	bool *done = arena_zalloc(b->a, n), open = true, unread = false, locked = false;
	enum encryption kind = ENCRYPTION_NONE;
	struct archive_entry *e;
	size_t nwords, left = n, which = 0;
	const struct span *words;

	for (size_t i = 0; i < n; i++)
		if (rest[i].encrypted)
			kind = rest[i].method == ZIP_AES ? ENCRYPTION_ZIP_AES :
			    kind ? kind : ENCRYPTION_ZIP;
	if (kind && ar) {
		words = passwords_find(b, &nwords);
		for (size_t i = 0; i < nwords; i++)
			archive_read_add_passphrase(ar, words[i].p);
	}
	if (ar && reader_start(ar, bytes)) {
		for (unsigned i = 0; i < HEADERS_MAX && left; i++) {
			struct zip_entry const *z;
			struct span name, out;
			struct pour o;
			bool whole;
			int rc = archive_read_next_header(ar, &e);

			if (rc == ARCHIVE_EOF || rc == ARCHIVE_FATAL)
				break;
			name = span_str(archive_entry_pathname(e) ? archive_entry_pathname(e) : "");
			if (!take_rest(rest, n, done, name, &which))
				continue;
			z = &rest[which];
			/* When no password opened one, each further would cost all of them again. */
			if (z->encrypted && locked)
				continue;
			pour_begin(&o, b, z->data.n, z->size);
			whole = member_pour(ar, &o);
			if (!whole || (z->encrypted && o.n == 0 && z->size)) {
				o.n = 0;
				pour_end(&o);
				locked |= z->encrypted;
				continue;
			}
			if (o.cut)
				b->out->parts[index].defects |= DEFECT_TOO_LARGE;
			out = pour_end(&o);
			done[which] = true;
			left--;
			if (blob_add_charset(b, index, out, z->name, z->utf8 ? SPAN_LIT("utf-8") :
			    SPAN_LIT("ibm437")) == PART_NONE)
				break;
		}
	}
	archive_read_free(ar);
	for (size_t i = 0; i < n; i++)
		if (!done[i]) {
			open &= !rest[i].encrypted;
			unread |= !rest[i].encrypted;
			if (rest[i].encrypted)
				blob_add_locked(b, index, rest[i].name,
				    rest[i].method == ZIP_AES ? ENCRYPTION_ZIP_AES : ENCRYPTION_ZIP);
		}
	if (kind) {
		b->out->parts[index].encrypted = true;
		b->out->parts[index].encryption = kind;
		b->out->parts[index].opened = open;
	}
	if (unread)
		b->out->parts[index].defects |= DEFECT_ARCHIVE_UNREADABLE;
}
