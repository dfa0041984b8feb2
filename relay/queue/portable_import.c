/* portable_import.c -- a file of messages becomes segments of a spool; see portable.h.
 *
 * A segment is made beside the others in steps, so that a crash anywhere leads
 * neither to a loss nor to a second copy:
 *
 *   1. seg-N.import, and big/ID.import, are written whole and synced
 *   2. imported/EXPORT-N, which lists old and new ids, is written and renamed into place
 *   3. big/ID is linked to big/ID.import; seg-N.import is renamed to seg-N; the .import go
 *
 * Where posternd runs, it gives the number N, of which it makes no segment itself, and after step 3
 * it is asked to adopt seg-N (queue_adopt.c). Should it, or this, be killed in between, its next start, or the next import, finds
 * what step 3 has put in place.
 *
 * What step 2 has listed is never imported again, whatever file it comes in;
 * where step 3 is missing, the next import does it first. What step 1 left
 * unlisted is begun anew. posternd looks at none of these names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "addr.h"
#include "clock.h"
#include "fs.h"
#include "id.h"
#include "ipc/json_read.h"
#include "queue/crc32c.h"
#include "queue/portable.h"
#include "queue/portable_states.h"
#include "queue/spool.h"
#include "queue/spool_internal.h"

#define LIST_MAX ((size_t)256 << 20)
#define IMPORT_PLACE (ID_PROCESSES - 1)	/* of ids: no process of a daemon has it */
#define PIECE ((size_t)1 << 20)

struct import {
	const char *spool;
	struct audit *a;	/* holds the lock, when no daemon does */
	const struct portable_daemon *d;	/* NULL: none runs */
	int lockfd;		/* one import at a time */
	FILE *in;
	char name[32];		/* of the export */
	int listfd;		/* imported/ */
	bool handover;		/* tries and expiry go on where they were */
	struct idtable *seen;	/* old ids; the value is the new one */
	struct idtable *fresh;	/* those in the segment being made: not durable yet */
	struct id_source ids;
	struct arena *arena;	/* of one message */
	struct buf rec, list;
	struct segment seg;	/* being made; fd -1: none */
	uint64_t at;
	uint64_t listed;	/* messages in it */
	struct portable_count *n;
	char *line;
	size_t cap_line, line_size;
};

static const char *
import_name(uint32_t number, char out[80])
{
	char name[SEGMENT_NAME_MAX];

	snprintf(out, 80, "%s.import", segment_name(number, name));
	return out;
}

/* 1: live here under the id it has in the file. */
static void *
as_value(uint64_t id)
{
	return (void *)(uintptr_t)id;
}

static void
taken(struct import *im, uint64_t old)
{
	uint64_t fresh = (uint64_t)(uintptr_t)idtable_get(im->seen, old);

	if (im->n->taken)
		im->n->taken(im->n->ctx, old, fresh == 1 ? 0 : fresh);
}

/* All that a finished segment holds. */
static void
taken_all(struct import *im)
{
	struct span line, rest = buf_data(&im->list);
	uint64_t old;

	for (; rest.n > 0; rest = span_from(rest, line.n + 1)) {
		line = span_sub(rest, 0, span_find(rest, '\n'));
		if (id_parse(span_sub(line, 0, span_find(line, ' ')), &old))
			taken(im, old);
	}
}

/* ---- steps 2 and 3 ---- */

static int
take_up_line(struct import *im, struct span line, struct err *err)
{
	struct span old = span_sub(line, 0, span_find(line, ' '));
	struct span new = span_from(line, old.n + 1);
	char from[80], to[64];
	uint64_t a, b;

	if (!id_parse(old, &a) || !id_parse(new, &b))
		return err_set(err, EBADMSG, "imported/: a line that is none");
	idtable_put(im->seen, a, as_value(b));
	spool_big_name(b, to);
	snprintf(from, sizeof(from), "%s.import", to);
	if (linkat(im->a->bigfd, from, im->a->bigfd, to, 0) == -1 && errno != ENOENT &&
	    errno != EEXIST)
		return err_errno(err, "big/%s", to);
	return 0;
}

/* Everything a list names is put in its place, unless that has been done. */
static int
take_up(struct import *im, const char *list, struct err *err)
{
	const char *dash = strrchr(list, '-');
	struct arena *a = arena_new(0);
	struct span text, line;
	char from[80], name[SEGMENT_NAME_MAX], big[64];
	uint64_t id;
	int fd = fs_openat(im->listfd, list, O_RDONLY, 0, err), r = -1;

	if (fd == -1 || fs_read_fd(a, fd, LIST_MAX, &text, err) == -1)
		goto out;
	for (struct span rest = text; rest.n > 0; rest = span_from(rest, line.n + 1)) {
		line = span_sub(rest, 0, span_find(rest, '\n'));
		if (take_up_line(im, line, err) == -1)
			goto out;
	}
	import_name((uint32_t)strtoul(dash + 1, NULL, 10), from);
	segment_name((uint32_t)strtoul(dash + 1, NULL, 10), name);
	if (fs_fsync(im->a->bigfd, err) == -1)
		goto out;
	if (renameat2(im->a->dirfd, from, im->a->dirfd, name, RENAME_NOREPLACE) == -1 &&
	    errno != ENOENT) {
		err_errno(err, "%s", from);
		goto out;
	}
	if (fs_fsync(im->a->dirfd, err) == -1)
		goto out;
	for (struct span rest = text; rest.n > 0; rest = span_from(rest, line.n + 1)) {
		line = span_sub(rest, 0, span_find(rest, '\n'));
		if (id_parse(span_from(line, span_find(line, ' ') + 1), &id)) {
			snprintf(from, sizeof(from), "%s.import", spool_big_name(id, big));
			(void)unlinkat(im->a->bigfd, from, 0);
		}
	}
	r = 0;
out:
	if (fd != -1)
		close(fd);
	arena_free(&a);
	return r;
}

/* A running daemon is told of what stands in its folder now; what it knows it takes once. */
static int
have_adopted(struct import *im, const char *list, struct err *err)
{
	uint32_t number = (uint32_t)strtoul(strrchr(list, '-') + 1, NULL, 10);
	char name[SEGMENT_NAME_MAX];

	if (im->d == NULL || faccessat(im->a->dirfd, segment_name(number, name), F_OK, 0) == -1)
		return 0;
	return im->d->adopt(im->d->ctx, number, err);
}

static int
take_up_all(struct import *im, struct err *err)
{
	int fd = openat(im->listfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *d = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (d == NULL)
		return err_errno(err, "cannot list imported/");
	while (r == 0 && (e = readdir(d)) != NULL)
		if (strchr(e->d_name, '-') != NULL && strchr(e->d_name, '.') == NULL)
			r = take_up(im, e->d_name, err) == -1 ? -1 : have_adopted(im, e->d_name, err);
	closedir(d);
	return r;
}

static int
segment_finish(struct import *im, struct err *err)
{
	char rec[RECORD_HEAD], list[64], tmp[80];
	int fd, r = -1;

	if (im->seg.wfd == -1)
		return 0;
	record_head_write(rec, im->seg.salt, &(struct record){ .type = RECORD_END });
	if (fs_pwrite_all(im->seg.wfd, rec, sizeof(rec), (off_t)im->at, err) == -1 ||
	    fs_fsync(im->seg.wfd, err) == -1 || fs_fsync(im->a->bigfd, err) == -1 ||
	    fs_fsync(im->a->dirfd, err) == -1)
		goto out;
	/* A number may come again when all segments are gone; what a list says must stay. */
	snprintf(list, sizeof(list), "%s-%08u", im->name, im->seg.number);
	for (unsigned k = 1; faccessat(im->listfd, list, F_OK, 0) == 0; k++)
		snprintf(list, sizeof(list), "%s_%u-%08u", im->name, k, im->seg.number);
	snprintf(tmp, sizeof(tmp), "%s.tmp", list);
	fd = fs_openat(im->listfd, tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600, err);
	if (fd == -1)
		goto out;
	r = fs_write_all(fd, buf_data(&im->list).p, buf_size(&im->list), err);
	if (r == 0)
		r = fs_fsync(fd, err);
	close(fd);
	if (r == -1 || (r = fs_renameat(im->listfd, tmp, list, err)) == -1 ||
	    (r = fs_fsync(im->listfd, err)) == -1)
		goto out;
	r = take_up(im, list, err) == -1 ? -1 : have_adopted(im, list, err);
	if (r == 0) {
		im->n->messages += im->listed;
		taken_all(im);
		idtable_free(&im->fresh);
		im->fresh = idtable_new();
	}
out:
	segment_close_writer(&im->seg);
	buf_reset(&im->list);
	im->listed = 0;
	return r;
}

/* ---- step 1 ---- */

/* Numbers under which there is anything are not given again by a start of posternd: once our file
 * is there and no segment is, N is ours. */
static int
segment_begin(struct import *im, struct err *err)
{
	char name[80], taken[SEGMENT_NAME_MAX];

	for (;;) {
		if (im->d == NULL)
			im->seg.number = ++im->a->last_number;
		else if (im->d->reserve(im->d->ctx, &im->seg.number, err) == -1)
			return -1;
		im->seg.wfd = fs_openat(im->a->dirfd, import_name(im->seg.number, name),
		    O_WRONLY | O_CREAT | O_TRUNC, 0600, err);
		if (im->seg.wfd == -1)
			return -1;
		if (faccessat(im->a->dirfd, segment_name(im->seg.number, taken), F_OK, 0) == -1)
			return 0;
		segment_close_writer(&im->seg);
		(void)unlinkat(im->a->dirfd, name, 0);
	}
}

static int
segment_room(struct import *im, size_t bytes, struct err *err)
{
	if (im->seg.wfd != -1 && im->at + bytes > SEGMENT_MAX && segment_finish(im, err) == -1)
		return -1;
	if (im->seg.wfd != -1)
		return 0;
	if (getrandom(&im->seg.salt, sizeof(im->seg.salt), 0) != (ssize_t)sizeof(im->seg.salt))
		return err_errno(err, "no random bytes");
	if (segment_begin(im, err) == -1)
		return -1;
	im->at = SEGMENT_HEAD;
	return segment_head_put(im->seg.wfd, &im->seg, err);
}

static int
put_record(struct import *im, enum record_type type, uint8_t flags, uint64_t id, size_t meta,
    struct err *err)
{
	static const char zeros[8];
	size_t n = buf_size(&im->rec);
	char *p = im->rec.p, head[RECORD_HEAD];
	struct record r = { .type = type, .flags = flags, .id = id, .meta_size = (uint32_t)meta,
		.data_size = (uint32_t)(n - meta) };

	if (buf_failed(&im->rec) || meta > RECORD_META_MAX || n - meta > RECORD_DATA_MAX)
		return err_set(err, EMSGSIZE, "a record is too large");
	r.meta_crc = crc32c(0, p, meta);
	r.data_crc = crc32c(0, p + meta, n - meta);
	record_head_write(head, im->seg.salt, &r);
	buf_put(&im->rec, zeros, -(size_t)(RECORD_HEAD + n) & 7);
	if (fs_pwrite_all(im->seg.wfd, head, sizeof(head), (off_t)im->at, err) == -1 ||
	    fs_pwrite_all(im->seg.wfd, im->rec.p, buf_size(&im->rec),
	    (off_t)(im->at + RECORD_HEAD), err) == -1)
		return -1;
	im->at += record_bytes(&r);
	return 0;
}

static int
read_n(struct import *im, char *p, size_t n, struct err *err)
{
	if (fread(p, 1, n, im->in) != n)
		return err_set(err, EBADMSG, "the file is cut off");
	return 0;
}

/* A large message goes to big/ID.import as it is read. */
static int
read_large(struct import *im, const struct stored *s, uint32_t *sum, uint32_t *crc, struct err *err)
{
	char big[64], name[80], *p;
	int fd, r = 0;

	snprintf(name, sizeof(name), "%s.import", spool_big_name(s->env.id, big));
	fd = fs_openat(im->a->bigfd, name, O_WRONLY | O_CREAT | O_TRUNC, 0600, err);
	if (fd == -1)
		return -1;
	p = malloc(PIECE);
	ASSERT(p != NULL);
	*crc = 0;
	for (uint64_t done = 0; done < s->size && r == 0; ) {
		size_t n = s->size - done < PIECE ? (size_t)(s->size - done) : PIECE;

		if ((r = read_n(im, p, n, err)) == 0)
			r = fs_write_all(fd, p, n, err);
		*crc = crc32c(*crc, p, n);
		*sum = crc32c(*sum, p, n);
		done += n;
	}
	if (r == 0)
		r = fs_fsync(fd, err);
	free(p);
	close(fd);
	return r;
}

static int
read_sum(struct import *im, uint32_t sum, struct err *err)
{
	char text[16], want[16];

	if (read_n(im, text, 10, err) == -1)
		return -1;
	text[10] = '\0';
	snprintf(want, sizeof(want), "\n%08x\n", sum);
	return strcmp(text, want) == 0 ? 0 :
	    err_set(err, EBADMSG, "a message does not match its sum");
}

static int
put_state(void *ctx, uint64_t id, uint8_t flags, const struct state *st, struct err *err)
{
	struct import *im = ctx;

	buf_reset(&im->rec);
	state_encode(&im->rec, st);
	return put_record(im, RECORD_STATE, flags, id, buf_size(&im->rec), err);
}

/* What stands behind the head: the record of the verdict, the bytes, their sum. */
static int
read_message(struct import *im, const struct jval *head, struct stored *s, uint64_t old, bool skip,
    struct err *err)
{
	bool big = s->size > SPOOL_INLINE_MAX;
	uint32_t sum, crc = 0;
	char *json = arena_alloc(im->arena, s->json_size), *body;
	char a[ID_SIZE], b[ID_SIZE], large[64], name[80];
	size_t meta;

	if (read_n(im, json, s->json_size, err) == -1)
		return -1;
	sum = crc32c(0, json, s->json_size);
	body = arena_alloc(im->arena, big ? 1 : s->size);
	if (big ? read_large(im, s, &sum, &crc, err) == -1 : read_n(im, body, s->size, err) == -1)
		return -1;
	if (!big)
		sum = crc32c(sum, body, s->size);
	if (read_sum(im, sum, err) == -1)
		return -1;
	if (skip) {
		snprintf(name, sizeof(name), "%s.import", spool_big_name(s->env.id, large));
		if (big)
			(void)unlinkat(im->a->bigfd, name, 0);
		im->n->skipped++;
		if (!idtable_get(im->fresh, old))
			taken(im, old);
		return 0;
	}
	s->big_crc = crc;
	buf_reset(&im->rec);
	stored_encode(&im->rec, s);
	meta = buf_size(&im->rec);
	buf_put(&im->rec, json, s->json_size);
	if (!big)
		buf_put(&im->rec, body, s->size);
	if (segment_room(im, buf_size(&im->rec) + 1024 + im->line_size, err) == -1 ||
	    put_record(im, RECORD_MESSAGE, big ? RECORD_BIG : 0, s->env.id, meta, err) == -1)
		return -1;
	if (portable_states(im->arena, head, im->handover, s->env.id, put_state, im, err) == -1)
		return -1;
	buf_printf(&im->list, "%s %s\n", id_format(old, a), id_format(s->env.id, b));
	idtable_put(im->seen, old, as_value(s->env.id));
	idtable_put(im->fresh, old, im);
	im->listed++;
	im->n->recipients += s->env.nrecipients;
	im->n->bytes += s->size;
	return 0;
}

/* ---- the head of a message ---- */

static int
read_recipient(struct import *im, const struct jval *v, struct recipient *r, struct msg_decision *d)
{
	const struct jval *list = jval_get(v, "redirect");
	int64_t tls = jval_int(v, "require_tls", 0), notify = jval_int(v, "notify", 0);

	*r = (struct recipient){ .address = jval_text(v, "address"),
		.orcpt = jval_text(v, "orcpt"), .notify = (uint8_t)notify };
	*d = (struct msg_decision){ .reply = jval_text(v, "reply"), .queue = jval_text(v, "queue"),
		.rule = jval_text(v, "rule"), .expires = jval_int(v, "expires", 0),
		.require_tls = (enum require_tls)tls, .nredirect = jval_count(list) };
	if (r->address.n == 0 || tls < 0 || tls > TLS_DANE || notify < 0 || notify > 15 ||
	    !outcome_from_name(jval_text(v, "outcome"), &d->outcome) || d->nredirect > TARGETS_MAX ||
	    (jval_has(v, "on_expire") &&
	    !outcome_from_name(jval_text(v, "on_expire"), &d->on_expire)))
		return -1;
	d->redirect = arena_array(im->arena, d->nredirect, sizeof(*d->redirect));
	for (size_t i = 0; i < d->nredirect; i++)
		d->redirect[i] = jval_str(jval_at(list, i));
	return 0;
}

static int
read_head(struct import *im, const struct jval *v, struct stored *s, uint64_t *old)
{
	const struct jval *list = jval_get(v, "recipients");
	int64_t record = jval_int(v, "record", -1), size = jval_int(v, "size", -1);
	struct envelope *e = &s->env;
	size_t n = jval_count(list);

	*s = (struct stored){ .ndecisions = n };
	if (!id_parse(jval_text(v, "id"), old) || record < 0 || record > RECORD_MAX || size < 0 ||
	    size > (INT64_C(1) << 30) || n == 0 || n > ENVELOPE_RECIPIENTS_MAX)
		return -1;
	s->parent = *old;
	s->json_size = (uint32_t)record;
	s->size = (uint64_t)size;
	*e = (struct envelope){ .id = id_new(&im->ids, clock_real()), .sender = jval_text(v, "sender"),
		.direction = span_is(jval_text(v, "direction"), "inbound") ? DIRECTION_INBOUND :
		DIRECTION_OUTBOUND, .received = jval_int(v, "received", 0),
		.flags = (uint32_t)(jval_int(v, "flags", 0) & 63),
		.ret = (enum dsn_ret)(jval_int(v, "ret", 0) & 3), .envid = jval_text(v, "envid"),
		.listener = jval_text(v, "listener"), .helo = jval_text(v, "helo"),
		.client_port = (uint16_t)jval_int(v, "client_port", 0),
		.client_name = jval_text(v, "client_name"), .user = jval_text(v, "user"),
		.tls = jval_text(v, "tls"), .nrecipients = n };
	if (e->ret > RET_HDRS)
		return -1;
	if (jval_has(v, "client") && !ip_parse(jval_text(v, "client"), &e->client))
		return -1;
	e->recipients = arena_array(im->arena, n, sizeof(*e->recipients));
	s->decisions = arena_array(im->arena, n, sizeof(*s->decisions));
	for (size_t i = 0; i < n; i++)
		if (read_recipient(im, jval_at(list, i), &e->recipients[i], &s->decisions[i]) == -1)
			return -1;
	return 0;
}

/* ---- the file ---- */

static struct jval *
read_line(struct import *im, struct err *err)
{
	ssize_t n = getline(&im->line, &im->cap_line, im->in);

	if (n <= 0 || im->line[n - 1] != '\n') {
		err_set(err, EBADMSG, "the file is cut off");
		return NULL;
	}
	im->line_size = (size_t)n;
	return jval_parse(span_make(im->line, (size_t)n - 1), err);
}

static int
read_begin(struct import *im, struct err *err)
{
	struct jval *v = read_line(im, err);
	struct span name = jval_text(v, "export");
	int r = 0;

	if (v == NULL || !span_is(jval_text(v, "format"), "postern-queue") || name.n != 16)
		r = err_set(err, EBADMSG, "this is no export of a queue");
	else if (jval_int(v, "v", 0) != 1)
		r = err_set(err, ENOTSUP, "an export of version %lld; this program reads 1",
		    (long long)jval_int(v, "v", 0));
	for (size_t i = 0; r == 0 && i < name.n; i++)
		if (strchr("0123456789abcdef", name.p[i]) == NULL)
			r = err_set(err, EBADMSG, "an export with a bad name");
	if (r == 0)
		snprintf(im->name, sizeof(im->name), SPAN_FMT, SPAN_ARG(name));
	im->handover = jval_bool(v, "handover");
	jval_free(&v);
	return r;
}

/* 1: the end was reached. */
static int
read_one(struct import *im, struct err *err)
{
	struct jval *v = read_line(im, err);
	struct stored s;
	uint64_t old;
	int r;

	if (v == NULL)
		return -1;
	if (jval_has(v, "end")) {
		jval_free(&v);
		return 1;
	}
	arena_reset(im->arena);
	if (read_head(im, v, &s, &old) == -1)
		r = err_set(err, EBADMSG, "a message whose head is not understood");
	else
		r = read_message(im, v, &s, old, idtable_get(im->seen, old) != NULL, err);
	jval_free(&v);
	return r;
}

static int
import_open(struct import *im, struct err *err)
{
	char path[4096];
	size_t at = 0;
	uint64_t id;
	void *v;
	int fd;

	if (spool_prepare(im->spool, (uid_t)-1, (gid_t)-1, err) == -1)
		return -1;
	if (snprintf(path, sizeof(path), "%s/lock", im->spool) >= (int)sizeof(path))
		return err_set(err, ENAMETOOLONG, "%s", im->spool);
	if ((fd = fs_open(path, O_RDWR | O_CREAT, 0600, err)) == -1)
		return -1;
	close(fd);
	if ((im->a = audit_spool(im->spool, err)) == NULL)
		return -1;
	if (im->a->in_use && im->d == NULL)
		return err_set(err, EBUSY, "posternd is running on %s, and not the one of this "
		    "configuration: stop it first", im->spool);
	if (!im->a->in_use)
		im->d = NULL;
	snprintf(path, sizeof(path), "%s/imported", im->spool);
	if (fs_mkdirs(path, 0700, err) == -1)
		return -1;
	im->listfd = fs_openat(im->a->dirfd, "imported", O_RDONLY | O_DIRECTORY, 0, err);
	if (im->listfd == -1 ||
	    (im->lockfd = fs_openat(im->listfd, "lock.file", O_RDWR | O_CREAT, 0600, err)) == -1)
		return -1;
	if (flock(im->lockfd, LOCK_EX | LOCK_NB) == -1)
		return err_set(err, EBUSY, "another import into %s is under way", im->spool);
	while (idtable_next(im->a->messages, &at, &id, &v))
		idtable_put(im->seen, id, as_value(1));
	return take_up_all(im, err);
}

int
portable_import(const char *spool, int fd, const struct portable_daemon *daemon,
    uint32_t node, struct portable_count *n, struct err *err)
{
	struct import im = { .spool = spool, .d = daemon, .n = n, .listfd = -1, .lockfd = -1, .seg = { .fd = -1, .wfd = -1 },
		.ids = { .slot = id_slot(node, IMPORT_PLACE) } };
	struct err later;
	int r = -1, own = dup(fd);

	im.in = own == -1 ? NULL : fdopen(own, "r");
	if (im.in == NULL)
		return err_errno(err, "cannot read the export");
	im.seen = idtable_new();
	im.fresh = idtable_new();
	im.arena = arena_new(0);
	buf_init(&im.rec, RECORD_META_MAX + RECORD_DATA_MAX + 64);
	buf_init(&im.list, LIST_MAX);
	if (import_open(&im, err) == 0 && read_begin(&im, err) == 0) {
		while ((r = read_one(&im, err)) == 0)
			;
		/* What was read before a fault is whole: it stays imported. */
		if (segment_finish(&im, r == -1 ? &later : err) == -1)
			r = -1;
	}
	segment_close_writer(&im.seg);
	/* The next import has the same place in its ids: the clock must be past ours. */
	while (im.ids.last >= clock_real())
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	if (im.listfd != -1)
		close(im.listfd);
	if (im.lockfd != -1)
		close(im.lockfd);
	free(im.line);
	buf_release(&im.rec);
	buf_release(&im.list);
	arena_free(&im.arena);
	idtable_free(&im.seen);
	idtable_free(&im.fresh);
	audit_free(&im.a);
	fclose(im.in);
	return r == -1 ? -1 : 0;
}
