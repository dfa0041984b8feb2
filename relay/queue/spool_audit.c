/* spool_audit.c -- reads a spool folder and changes nothing; see spool_audit.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "fs.h"
#include "id.h"
#include "queue/crc32c.h"
#include "queue/spool_audit.h"
#include "queue/spool_internal.h"

#define PIECE ((size_t)1 << 20)
#define WHOM_MAX 5		/* recipients named in a report */

struct reading {
	struct audit *a;
	struct audit_segment *as;
	struct arena *scratch;
};

/* ---- damage ---- */

static struct audit_damage *
damage_add(struct audit *a)
{
	if (a->ndamage == a->cap_damage) {
		size_t cap = a->cap_damage ? a->cap_damage * 2 : 16;

		a->damage = arena_grow(a->arena, a->damage, a->ndamage * sizeof(*a->damage),
		    cap * sizeof(*a->damage));
		a->cap_damage = cap;
	}
	a->damage[a->ndamage] = (struct audit_damage){ .type = "none", .whom = "" };
	return &a->damage[a->ndamage++];
}

/* People must be able to ask the sender: whom did it concern? */
static const char *
whom(struct audit *a, const struct stored *s)
{
	struct buf b;
	const char *text;

	buf_init(&b, 4096);
	buf_printf(&b, "from <" SPAN_FMT "> to", SPAN_ARG(s->env.sender));
	for (size_t i = 0; i < s->env.nrecipients && i < WHOM_MAX; i++)
		buf_printf(&b, "%s <" SPAN_FMT ">", i ? "," : "",
		    SPAN_ARG(s->env.recipients[i].address));
	if (s->env.nrecipients > WHOM_MAX)
		buf_printf(&b, " and %zu more", s->env.nrecipients - WHOM_MAX);
	text = buf_failed(&b) ? "" : arena_str(a->arena, buf_data(&b));
	buf_release(&b);
	return text;
}

static void
on_damage(void *ctx, struct segment *s, const struct segment_damage *d)
{
	struct reading *r = ctx;
	struct audit_damage *x;
	struct record rec;
	struct span meta;
	struct stored st;
	bool whole = d->id != 0 && strstr(d->what, "cut short") == NULL;

	/* As a start would tell them apart. */
	if (d->tail && !s->ended && (!whole || s->space > 0)) {
		r->as->torn_at = d->offset;
		r->as->torn = d->size;
		return;
	}
	r->as->damaged++;
	x = damage_add(r->a);
	x->segment = s->number;
	x->offset = d->offset;
	x->size = d->size;
	x->id = d->id;
	x->type = record_type_name(d->type);
	x->what = d->what;
	arena_reset(r->scratch);
	if (d->type == RECORD_MESSAGE && segment_read_meta(s, d->offset, r->scratch, &rec, &meta,
	    NULL) == 0 && stored_decode(meta, r->scratch, &st) == 0)
		x->whom = whom(r->a, &st);
}

/* ---- records ---- */

static struct audit_message *
found_message(struct reading *r, struct segment *s, uint64_t offset, const struct record *rec)
{
	struct audit_message *m = idtable_get(r->a->messages, rec->id);

	if (m == NULL) {
		m = arena_zalloc(r->a->arena, sizeof(*m));
		idtable_put(r->a->messages, rec->id, m);
	}
	m->id = rec->id;
	m->segment = s->number;
	m->offset = offset;
	m->big = (rec->flags & RECORD_BIG) != 0;
	return m;
}

static void
place_state(struct audit *a, struct audit_message *m, uint32_t segment, uint64_t offset, uint16_t first)
{
	struct audit_state *s = m->states;

	while (s && s->first != first)
		s = s->next;
	if (s == NULL) {
		s = arena_zalloc(a->arena, sizeof(*s));
		s->next = m->states;
		m->states = s;
	}
	s->segment = segment;
	s->first = first;
	s->offset = offset;
}

static void
found_state(struct reading *r, const struct segment *seg, uint64_t offset, const struct record *rec,
    struct span meta)
{
	struct audit_message *m = idtable_get(r->a->messages, rec->id);
	struct state st;

	if (m == NULL || state_decode(meta, r->scratch, &st) == -1)
		return;
	m->flags = rec->flags;
	if (st.ntargets)
		place_state(r->a, m, seg->number, offset, st.targets[0].target);
	for (size_t i = 0; i < st.ntargets; i++) {
		size_t t = st.targets[i].target;

		if (t >= m->nstatus) {
			uint8_t *old = m->status;

			m->status = arena_zalloc(r->a->arena, t + 1);
			if (m->nstatus)
				memcpy(m->status, old, m->nstatus);
			m->nstatus = t + 1;
		}
		m->status[t] = (uint8_t)st.targets[i].status;
	}
}

static void
on_record(void *ctx, struct segment *s, uint64_t offset, const struct record *rec,
    struct span meta, struct span data)
{
	struct reading *r = ctx;
	struct audit_message *m;
	struct audit_damage *x;
	struct stored st;
	struct dec d;

	arena_reset(r->scratch);
	r->as->records++;
	switch (rec->type) {
	case RECORD_MESSAGE:
		r->as->messages++;
		if (stored_decode(meta, r->scratch, &st) == -1 ||
		    (!(rec->flags & RECORD_BIG) && st.size + st.json_size != rec->data_size)) {
			r->as->damaged++;
			x = damage_add(r->a);
			*x = (struct audit_damage){ .segment = s->number, .offset = offset,
				.size = record_bytes(rec), .id = rec->id, .type = "message",
				.what = "its sums are right, its contents are not", .whom = "" };
			break;
		}
		found_message(r, s, offset, rec);
		break;
	case RECORD_STATE:
		r->as->states++;
		found_state(r, s, offset, rec, meta);
		break;
	case RECORD_DONE:
		r->as->dones++;
		dec_init(&d, meta);
		m = idtable_get(r->a->messages, rec->id);
		if (m != NULL && m->segment == dec_u32(&d))
			idtable_remove(r->a->messages, rec->id);
		break;
	default:
		break;
	}
}

/* ---- large files ---- */

static int
big_sum(int bigfd, uint64_t id, uint64_t size, uint32_t want)
{
	char name[64], *p;
	uint32_t crc = 0;
	uint64_t n = 0;
	ssize_t got;
	int fd = openat(bigfd, spool_big_name(id, name), O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return -1;
	p = malloc(PIECE);
	ASSERT(p != NULL);
	while ((got = pread(fd, p, PIECE, (off_t)n)) > 0) {
		crc = crc32c(crc, p, (size_t)got);
		n += (uint64_t)got;
	}
	free(p);
	close(fd);
	return got == 0 && n == size && crc == want ? 1 : 0;
}

static void
look_at_large(struct audit *a, struct arena *scratch)
{
	size_t at = 0;
	uint64_t id;
	void *v;

	while (idtable_next(a->messages, &at, &id, &v)) {
		struct audit_message *m = v;
		struct audit_damage *x;
		struct stored s;
		struct span json;
		int r;

		arena_reset(scratch);
		if (!m->big || audit_read(a, m, scratch, &s, &json, NULL) == -1 ||
		    (r = a->bigfd == -1 ? -1 : big_sum(a->bigfd, id, s.size, s.big_crc)) == 1)
			continue;
		m->bad = true;
		x = damage_add(a);
		x->id = id;
		x->size = s.size;
		x->type = "large file";
		x->missing = r == -1;
		x->what = r == -1 ? "it is missing" : "it does not match its sum";
		x->whom = whom(a, &s);
	}
}

static void
look_for_strays(struct audit *a)
{
	int fd = a->bigfd == -1 ? -1 : openat(a->bigfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	size_t cap = 0;
	struct dirent *e;
	uint64_t id;

	while (d != NULL && (e = readdir(d)) != NULL) {
		if (!id_parse(span_str(e->d_name), &id) || idtable_get(a->messages, id) != NULL)
			continue;
		if (a->nstrays == cap) {
			a->strays = arena_grow(a->arena, a->strays, cap * sizeof(*a->strays),
			    (cap ? cap * 2 : 16) * sizeof(*a->strays));
			cap = cap ? cap * 2 : 16;
		}
		a->strays[a->nstrays++] = arena_str(a->arena, span_str(e->d_name));
	}
	if (d != NULL)
		closedir(d);
}

/* ---- the folder ---- */

static int
by_number(const void *a, const void *b)
{
	const struct audit_segment *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int
list_segments(struct audit *a, struct err *err)
{
	int fd = openat(a->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t cap = 0;
	uint32_t v;

	if (d == NULL)
		return err_errno(err, "cannot list %s", a->path);
	while ((e = readdir(d)) != NULL) {
		char *dot = strchr(e->d_name, '.');

		a->nspares += spare_name_parse(e->d_name, &v);
		if (dot != NULL)
			*dot = '\0';
		if (!segment_name_parse(e->d_name, &v))
			continue;
		if (v > a->last_number)
			a->last_number = v;
		if (dot != NULL)
			continue;
		if (a->nsegments == cap) {
			a->segments = arena_grow(a->arena, a->segments,
			    cap * sizeof(*a->segments), (cap ? cap * 2 : 16) * sizeof(*a->segments));
			cap = cap ? cap * 2 : 16;
		}
		a->segments[a->nsegments++] = (struct audit_segment){ .number = v };
	}
	closedir(d);
	if (a->nsegments > 0)
		qsort(a->segments, a->nsegments, sizeof(*a->segments), by_number);
	a->opened = arena_array(a->arena, a->nsegments, sizeof(struct segment *));
	return 0;
}

static int
read_segments(struct audit *a, struct arena *scratch, struct err *err)
{
	for (size_t i = 0; i < a->nsegments; i++) {
		struct audit_segment *as = &a->segments[i];
		struct reading r = { a, as, scratch };
		struct segment_visitor v = { on_record, on_damage, &r };
		struct err why;

		a->opened[i] = segment_open(a->dirfd, as->number, &why);
		if (a->opened[i] == NULL) {
			if (why.code == ENOTSUP) {
				*err = why;
				return -1;
			}
			as->unreadable = arena_str(a->arena, span_str(why.text));
			continue;
		}
		as->bad_head = a->opened[i]->damaged;
		segment_scan(a->opened[i], 0, UINT64_MAX, &v, NULL);
		as->bytes = a->opened[i]->size;
		as->ended = a->opened[i]->ended;
	}
	return 0;
}

struct audit *
audit_spool(const char *path, struct err *err)
{
	struct audit *a = calloc(1, sizeof(*a));
	struct arena *scratch;
	size_t at = 0;
	uint64_t id;
	void *v;

	ASSERT(a != NULL);
	a->arena = arena_new(0);
	a->messages = idtable_new();
	a->path = arena_str(a->arena, span_str(path));
	a->bigfd = a->lockfd = -1;
	if ((a->dirfd = fs_open(path, O_RDONLY | O_DIRECTORY, 0, err)) == -1 ||
	    list_segments(a, err) == -1) {
		audit_free(&a);
		return NULL;
	}
	a->bigfd = fs_openat(a->dirfd, "big", O_RDONLY | O_DIRECTORY, 0, NULL);
	/* A copy has no lock, and needs none. */
	a->lockfd = fs_openat(a->dirfd, "lock", O_RDONLY, 0, NULL);
	a->in_use = a->lockfd != -1 && flock(a->lockfd, LOCK_EX | LOCK_NB) == -1;
	scratch = arena_new(0);
	if (read_segments(a, scratch, err) == -1) {
		arena_free(&scratch);
		audit_free(&a);
		return NULL;
	}
	look_at_large(a, scratch);
	look_for_strays(a);
	arena_free(&scratch);
	while (idtable_next(a->messages, &at, &id, &v))
		for (size_t i = 0; i < a->nsegments; i++)
			if (a->segments[i].number == ((struct audit_message *)v)->segment)
				a->segments[i].live++;
	return a;
}

void
audit_free(struct audit **ap)
{
	struct audit *a = *ap;

	if (a == NULL)
		return;
	for (size_t i = 0; a->opened && i < a->nsegments; i++)
		segment_free(&a->opened[i]);
	if (a->dirfd != -1)
		close(a->dirfd);
	if (a->bigfd != -1)
		close(a->bigfd);
	if (a->lockfd != -1)
		close(a->lockfd);
	idtable_free(&a->messages);
	arena_free(&a->arena);
	free(a);
	*ap = NULL;
}

bool
audit_clean(const struct audit *a)
{
	for (size_t i = 0; i < a->nsegments; i++)
		if (a->segments[i].unreadable || a->segments[i].bad_head ||
		    (a->segments[i].torn && !a->in_use))
			return false;
	return a->ndamage == 0 && (a->nstrays == 0 || a->in_use);
}

/* ---- reading a message ---- */

static struct segment *
segment_of(const struct audit *a, uint32_t number)
{
	for (size_t i = 0; i < a->nsegments; i++)
		if (a->segments[i].number == number)
			return a->opened[i];
	return NULL;
}

int
audit_read(const struct audit *a, const struct audit_message *m, struct arena *arena,
    struct stored *s, struct span *json, struct err *err)
{
	struct segment *seg = segment_of(a, m->segment);
	struct record r;
	struct span meta;
	char *p;

	ASSERT(seg != NULL);
	if (segment_read_meta(seg, m->offset, arena, &r, &meta, err) == -1)
		return -1;
	if (r.id != m->id || stored_decode(meta, arena, s) == -1)
		return err_set(err, EBADMSG, "the record of a message cannot be read");
	s->env.id = m->id;
	s->meta_size = r.meta_size;
	p = arena_alloc(arena, s->json_size);
	if (segment_pread(seg, m->offset + RECORD_HEAD + r.meta_size, p, s->json_size, err) == -1)
		return -1;
	*json = span_make(p, s->json_size);
	return 0;
}

int
audit_read_state(const struct audit *a, const struct audit_message *m, const struct audit_state *at,
    struct arena *arena, struct state *st, struct err *err)
{
	struct segment *seg = segment_of(a, at->segment);
	struct record r;
	struct span meta;

	if (seg == NULL || segment_read_meta(seg, at->offset, arena, &r, &meta, err) == -1)
		return -1;
	return r.type == RECORD_STATE && r.id == m->id && state_decode(meta, arena, st) == 0 ? 0 :
	    err_set(err, EBADMSG, "the state of a message cannot be read");
}

int
audit_body(const struct audit *a, const struct audit_message *m, const struct stored *s,
    int (*put)(void *ctx, struct span piece), void *ctx, struct err *err)
{
	struct segment file = { .number = m->segment }, *seg = segment_of(a, m->segment);
	uint64_t at = m->offset + RECORD_HEAD + (uint64_t)s->meta_size + s->json_size;
	char name[64], *p;
	int fd = -1, r = 0;

	if (m->big) {
		fd = fs_openat(a->bigfd, spool_big_name(m->id, name), O_RDONLY, 0, err);
		if (fd == -1)
			return -1;
		file.fd = fd;
		seg = &file;
		at = 0;
	}
	p = malloc(PIECE);
	ASSERT(p != NULL);
	for (uint64_t done = 0; done < s->size && r == 0; ) {
		size_t n = s->size - done < PIECE ? (size_t)(s->size - done) : PIECE;

		if ((r = segment_pread(seg, at + done, p, n, err)) == 0)
			r = put(ctx, span_make(p, n));
		done += n;
	}
	free(p);
	if (fd != -1)
		close(fd);
	return r;
}
