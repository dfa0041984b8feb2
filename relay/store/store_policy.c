/* store_policy.c -- policies and verdict records: taken, forgotten in time, and told to people.
 *
 *	{"cmd":"records.page","after":SEQ,"since":US,"total":BOOL}
 *		{"v":1,"pack":SEQ,"n":N,"zstd":"base64"} …, at the end also {"v":1,"n":N,"plain":"base64"};
 *		then {"v":1,"next":SEQ,"end":BOOL}, with "total": how many there are since
 *	{"cmd":"records.get","id":"ID"}		{"v":1,"record":"base64"}
 *	{"cmd":"policy.manifest","key":"HEX"}	{"v":1,"raw":"base64"} …
 *	{"cmd":"policy.archive","policy":"HASH"} or "key":"HEX"	{"v":1,"raw":"base64"} …
 *	{"cmd":"policy.history","limit":N}	a line for each time a policy came into force, newest first
 *	{"cmd":"policy.hits"}			a line for each rule that hit
 *
 * Records leave in pages, packed as they lie: reading a million of them costs this process little,
 * and events are written between the pages.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base64.h"
#include "clock.h"
#include "log.h"
#include "store/asked.h"
#include "store/audit.h"
#include "store/policies.h"

#define RAW_PIECE 48000			/* bytes in one line; a multiple of 3 */
#define PAGE_BYTES ((size_t)2 << 20)	/* packed, of one answer; a pack more may stand behind */
#define EXPIRE_US (600 * US_PER_SEC)
#define HISTORY_SHOWN 1000

/* {"cmd":"policy.edited","what":"apply|back","policy":HASH,"files":TEXT,"message":TEXT}: the editor
 * writes down who changes the policy before it does, and when it is taken back. */
void
do_policy_edited(struct asked *q, int fd)
{
	struct span what = jval_text(q->req, "what");
	char *detail = arena_printf(q->arena, SPAN_FMT ": " SPAN_FMT, SPAN_ARG(jval_text(q->req, "files")),
	    SPAN_ARG(jval_text(q->req, "message")));
	struct json j;
	struct err err;

	if (!span_is(what, "apply") && !span_is(what, "back"))
		say_error(q, "what: apply or back");
	else if (audit_put(q->s->db, asked_by(q), span_is(what, "apply") ? "policy.apply" : "policy.back",
	    jval_text(q->req, "policy"), span_str(detail), clock_real(), &err) == -1)
		say_error(q, err.text);
	else {
		j = open_line(q->reply);
		json_kbool(&j, "ok", true);
		close_line(q->reply, &j);
	}
}

/* ---- the policy in force ---- */

static int
policy_audit(struct store *s, struct err *err)
{
	char who[32] = "postern", detail[128];

	if (s->policy.msg.uid != (uint32_t)-1)
		snprintf(who, sizeof(who), "uid %u", s->policy.msg.uid);
	snprintf(detail, sizeof(detail), "%s%s%s", s->policy.how, *s->policy.commit ? ", commit " : "",
	    s->policy.commit);
	return audit_put(s->db, span_str(who), "policy", span_str(s->policy.hash), span_str(detail),
	    s->policy.msg.time, err);
}

void
store_policy_write(struct store *s)
{
	struct err err;
	char by[32] = "";
	int r;

	if (s->policy.bytes == NULL || s->batch.failing)
		return;
	store_settle(s);
	if ((r = db_begin(s->db, false, &err)) == 0) {
		r = policies_note(s->db, &s->policy.msg, span_make(s->policy.bytes, s->policy.n), &err);
		if (r == 1 && policy_audit(s, &err) == -1)
			r = -1;
		if (r == -1)
			db_rollback(s->db);
		else if (db_commit(s->db, &err) == -1)
			r = -1;
	}
	if (r == -1) {
		log_error("policy %s is not kept: %s", s->policy.hash, err.text);
		if (err.code == EIO || err.code == ENOSPC || err.code == EBUSY || err.code == EACCES)
			return;		/* again, in a moment */
	} else if (r == 1) {
		if (s->policy.msg.uid != (uint32_t)-1)
			snprintf(by, sizeof(by), " by uid %u", s->policy.msg.uid);
		log_info("policy %s is in force: %s%s%s%s", s->policy.hash, s->policy.how, by,
		    *s->policy.commit ? ", commit " : "", s->policy.commit);
	}
	free(s->policy.bytes);
	s->policy.bytes = NULL;
}

static char *
read_all(int fd, size_t n, struct err *err)
{
	char *to = malloc(n ? n : 1);
	size_t at = 0;

	ASSERT(to != NULL);
	while (at < n) {
		ssize_t r = pread(fd, to + at, n - at, (off_t)at);

		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0) {
			free(to);
			err_set(err, EIO, "the archive of the policy cannot be read");
			return NULL;
		}
		at += (size_t)r;
	}
	return to;
}

static void
take_text(char *to, size_t size, struct span s, struct span *kept)
{
	size_t n = s.n < size ? s.n : size - 1;

	if (n)
		memcpy(to, s.p, n);
	to[n] = '\0';
	*kept = span_make(to, n);
}

int
store_policy(struct runtime *rt, struct frame *f)
{
	struct store *s = rt->state;
	struct msg_policy m;
	struct err err;
	char *bytes;

	if (f->type == FRAME_EVENT)
		return store_told(s, f);
	arena_reset(s->scratch);
	if (policy_decode(f->body, f->fd, s->scratch, &m) == -1 || m.size > POLICY_ARCHIVE_MAX)
		return -1;
	if ((bytes = read_all(f->fd, (size_t)m.size, &err)) == NULL) {
		log_error("%s", err.text);
		return 0;
	}
	free(s->policy.bytes);
	s->policy.bytes = bytes;
	s->policy.n = (size_t)m.size;
	s->policy.msg = m;
	take_text(s->policy.hash, sizeof(s->policy.hash), m.hash, &s->policy.msg.hash);
	take_text(s->policy.commit, sizeof(s->policy.commit), m.commit, &s->policy.msg.commit);
	take_text(s->policy.how, sizeof(s->policy.how), m.how, &s->policy.msg.how);
	store_policy_write(s);
	return 0;
}

/* ---- what is too old ---- */

void
store_expire(struct store *s)
{
	int64_t keep = s->rt->conf->journal_records, now = clock_mono();
	struct err err;
	int r;

	if (now < s->expire_at || s->batch.failing)
		return;
	s->expire_at = now + EXPIRE_US;
	store_settle(s);
	if (db_begin(s->db, false, &err) == -1)
		return;
	r = basis_expire(s->db, clock_real() - keep, &err);
	if (r == 0 && policies_expire(s->db, clock_real() - keep, &err) == -1)
		r = -1;
	if (r == -1) {
		log_warn("old verdict records cannot be deleted: %s", err.text);
		db_rollback(s->db);
		return;
	}
	if (db_commit(s->db, &err) == 0 && r == 1)
		s->expire_at = now;	/* the next slice, in a second */
}

/* ---- answers ---- */

void
say_bytes(struct asked *q, struct span bytes)
{
	for (size_t at = 0; at < bytes.n; at += RAW_PIECE) {
		buf_puts(reply_buf(q->reply), "{\"v\":1,\"raw\":\"");
		base64_encode(reply_buf(q->reply), span_sub(bytes, at, RAW_PIECE), true);
		buf_puts(reply_buf(q->reply), "\"}\n");
	}
}

static void
put_pack(struct asked *q, int64_t seq, uint64_t n, const char *what, struct span bytes)
{
	struct buf *b = reply_buf(q->reply);

	buf_printf(b, "{\"v\":1,\"pack\":%lld,\"n\":%llu,\"%s\":\"", (long long)seq,
	    (unsigned long long)n, what);
	base64_encode(b, bytes, true);
	buf_puts(b, "\"}\n");
}

static int
put_loose(struct asked *q, int64_t since, int64_t seq, struct err *err)
{
	struct buf loose;
	uint64_t n;
	int r;

	buf_init(&loose, BASES_BYTES);
	r = basis_loose(q->s->db, since, &loose, &n, err);
	if (r == 0 && n)
		put_pack(q, seq, n, "plain", buf_data(&loose));
	buf_release(&loose);
	return r;
}

void
do_records_page(struct asked *q, int fd)
{
	int64_t seq = jval_int(q->req, "after", 0), since = jval_int(q->req, "since", 0);
	struct basis_pack p;
	struct err err = { 0 };
	uint64_t total = 0;
	size_t sent = 0;
	struct json j;
	int r = 1;

	store_flush(q->s);
	if (jval_bool(q->req, "total") && basis_count(q->s->db, since, &total, &err) == -1)
		r = -1;
	while (r == 1 && sent < PAGE_BYTES &&
	    (r = basis_next_pack(q->s->db, seq, since, q->arena, &p, &err)) == 1) {
		put_pack(q, p.seq, p.n, "zstd", p.bytes);
		seq = p.seq;
		sent += p.bytes.n;
	}
	if (r == 0)	/* no pack can come between: what is loose now is in none */
		r = put_loose(q, since, seq, &err) == -1 ? -1 : 0;
	if (r == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kint(&j, "next", seq);
	json_kbool(&j, "end", r == 0);
	if (jval_bool(q->req, "total"))
		json_kuint(&j, "total", total);
	close_line(q->reply, &j);
}

void
do_records_get(struct asked *q, int fd)
{
	struct err err = { 0 };
	struct span record;
	uint64_t id;
	int r;

	if (!id_parse(span_trim(jval_text(q->req, "id")), &id)) {
		say_error(q, "a message id has 11 letters and digits");
		return;
	}
	store_flush(q->s);
	r = basis_get(q->s->db, id, q->arena, &record, &err);
	if (r != 1) {
		say_error(q, r == 0 ? "no verdict record of this id is kept" : err.text);
		return;
	}
	buf_puts(reply_buf(q->reply), "{\"v\":1,\"record\":\"");
	base64_encode(reply_buf(q->reply), record, true);
	buf_puts(reply_buf(q->reply), "\"}\n");
}

static bool
hex_key(struct span s, uint64_t *key)
{
	char text[17], *end;

	if (s.n == 0 || s.n > 16)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	*key = strtoull(text, &end, 16);
	return *end == '\0';
}

void
do_policy_manifest(struct asked *q, int fd)
{
	struct err err = { 0 };
	struct span out;
	uint64_t key;
	int r;

	if (!hex_key(jval_text(q->req, "key"), &key)) {
		say_error(q, "a manifest is known by 16 hexadecimal digits");
		return;
	}
	r = policies_manifest(q->s->db, key, q->arena, &out, &err);
	if (r == 1)
		say_bytes(q, out);
	else
		say_error(q, r == 0 ? "that policy is no longer kept" : err.text);
}

void
do_policy_archive(struct asked *q, int fd)
{
	struct span hash = jval_text(q->req, "policy"), out;
	struct err err = { 0 };
	uint64_t key = 0;
	int r;

	if (hash.n == 0 && !hex_key(jval_text(q->req, "key"), &key)) {
		say_error(q, "which policy? the first digits of its hash");
		return;
	}
	r = policies_archive(q->s->db, hash, key, q->arena, &out, &err);
	if (r == 1)
		say_bytes(q, out);
	else
		say_error(q, r == 0 ? "no such policy is kept" : r == 2 ?
		    "several policies begin so: more digits, please" : err.text);
}

void
do_policy_history(struct asked *q, int fd)
{
	int64_t limit = jval_int(q->req, "limit", HISTORY_SHOWN);
	struct err err = { 0 };

	if (limit < 1 || limit > HISTORY_MAX)
		limit = HISTORY_SHOWN;
	if (policies_history(q->s->db, (size_t)limit, reply_buf(q->reply), &err) == -1)
		say_error(q, err.text);
}

void
do_policy_hits(struct asked *q, int fd)
{
	struct err err = { 0 };

	store_flush(q->s);
	if (basis_hits(q->s->db, clock_real(), reply_buf(q->reply), &err) == -1)
		say_error(q, err.text);
}
