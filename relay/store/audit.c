/* audit.c -- the chain of who changed what; see audit.h.
 *
 * hash(n) = HMAC-SHA256(key, label, hash(n-1), seq, time, key number, then each text behind its
 * length), SHA-256 where there is no key (tests, and a database older than its key). The first row
 * follows 32 zeros. Rows that retention deleted are remembered by the last one's number and hash in
 * audit_base, under a MAC of the same key: who deletes rows at the front must forge that.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "clock.h"
#include "log.h"
#include "store/audit.h"
#include "store/db_keys.h"
#include "store/audit_query.h"

#define ENC_MAX (5 * (AUDIT_TEXT_MAX + 8) + 256)

struct row {
	int64_t seq, time, key;
	struct span who, what, subject, detail;
	unsigned char hash[AUDIT_HASH];
};

static void
put_u64(struct buf *b, uint64_t v)
{
	char raw[8];

	for (int i = 0; i < 8; i++)
		raw[i] = (char)(v >> (56 - 8 * i));
	buf_span(b, span_make(raw, sizeof(raw)));
}

static void
put_text(struct buf *b, struct span s)
{
	put_u64(b, s.n);
	buf_span(b, s);
}

/* `number` 0: no key. False: that key is not here. */
static bool
digest(const struct db *d, int64_t number, struct span in, unsigned char out[AUDIT_HASH])
{
	const unsigned char *key;
	unsigned n = AUDIT_HASH;

	if (number == 0) {
		ASSERT(EVP_Digest(in.p, in.n, out, &n, EVP_sha256(), NULL) == 1);
		return true;
	}
	if ((key = db_audit_key(d, number)) == NULL)
		return false;
	ASSERT(HMAC(EVP_sha256(), key, DB_KEY_SIZE, (const unsigned char *)in.p, in.n, out, &n));
	return true;
}

static bool
row_hash(const struct db *d, const struct row *r, const unsigned char before[AUDIT_HASH],
    unsigned char out[AUDIT_HASH])
{
	struct buf b;
	bool ok;

	buf_init(&b, (size_t)1 << 30);	/* a forged row may be of any size */
	buf_puts(&b, "postern audit 1\n");
	buf_span(&b, span_make((const char *)before, AUDIT_HASH));
	put_u64(&b, (uint64_t)r->seq);
	put_u64(&b, (uint64_t)r->time);
	put_u64(&b, (uint64_t)r->key);
	put_text(&b, r->who);
	put_text(&b, r->what);
	put_text(&b, r->subject);
	put_text(&b, r->detail);
	ok = !buf_failed(&b) && digest(d, r->key, buf_data(&b), out);
	buf_release(&b);
	return ok;
}

void
audit_hex(const unsigned char hash[AUDIT_HASH], char out[2 * AUDIT_HASH + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < AUDIT_HASH; i++) {
		out[2 * i] = digits[hash[i] >> 4];
		out[2 * i + 1] = digits[hash[i] & 15];
	}
	out[2 * AUDIT_HASH] = '\0';
}

bool
audit_unhex(struct span text, unsigned char hash[AUDIT_HASH])
{
	if (text.n != 2 * AUDIT_HASH)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = ascii_lower(text.p[i]);
		int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (v == -1)
			return false;
		hash[i / 2] = (unsigned char)(i % 2 ? hash[i / 2] << 4 | v : v);
	}
	return true;
}

/* ---- writing ---- */

static int
base_load(struct db *d, struct audit_head *h, int64_t *key, unsigned char mac[AUDIT_HASH],
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT seq, hash, key, mac FROM audit_base", err);
	int r = st ? db_step(d, st, err) : -1;

	*h = (struct audit_head){ 0 };
	if (r != 1)
		return r;
	h->seq = sqlite3_column_int64(st, 0);
	*key = sqlite3_column_int64(st, 2);
	if (db_column(st, 1).n == AUDIT_HASH)
		memcpy(h->hash, db_column(st, 1).p, AUDIT_HASH);
	memset(mac, 0, AUDIT_HASH);
	if (db_column(st, 3).n == AUDIT_HASH)
		memcpy(mac, db_column(st, 3).p, AUDIT_HASH);
	sqlite3_reset(st);
	return 1;
}

int
audit_head(struct db *d, struct audit_head *h, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1", err);
	unsigned char mac[AUDIT_HASH];
	int64_t key;
	int r = st ? db_step(d, st, err) : -1;

	*h = (struct audit_head){ 0 };
	if (r == 1) {
		h->seq = sqlite3_column_int64(st, 0);
		if (db_column(st, 1).n == AUDIT_HASH)
			memcpy(h->hash, db_column(st, 1).p, AUDIT_HASH);
		sqlite3_reset(st);
		return 0;
	}
	return r == -1 || base_load(d, h, &key, mac, err) == -1 ? -1 : 0;
}

/* Not in the midst of a UTF-8 character. */
static struct span
cut(struct span s)
{
	size_t n = s.n;

	if (n <= AUDIT_TEXT_MAX)
		return s;
	for (n = AUDIT_TEXT_MAX; n && ((unsigned char)s.p[n] & 0xc0) == 0x80; n--)
		;
	return span_sub(s, 0, n);
}

/* The number the next row has: what was deleted at the end leaves a gap. */
static int
next_seq(struct db *d, int64_t head, int64_t *seq, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT seq FROM sqlite_sequence WHERE name='audit'", err);
	int r = st ? db_step(d, st, err) : -1;

	*seq = head;
	if (r == 1) {
		if (sqlite3_column_int64(st, 0) > head)
			*seq = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	++*seq;
	return r == -1 ? -1 : 0;
}

static int
insert(struct db *d, const struct row *r, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO audit(seq, time, who, what, subject, detail, key,"
	    " hash) VALUES(?,?,?,?,?,?,?,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, r->seq);
	db_int(st, 2, r->time);
	db_text_always(st, 3, r->who);
	db_text_always(st, 4, r->what);
	db_text_always(st, 5, r->subject);
	db_text_always(st, 6, r->detail);
	db_int(st, 7, r->key);
	db_blob(st, 8, r->hash, AUDIT_HASH);
	return db_run(d, st, err);
}

static int
put(struct db *d, struct span who, struct span what, struct span subject, struct span detail,
    int64_t now, struct err *err)
{
	struct row r = { .time = now, .key = db_audit_key_number(d), .who = cut(who),
		.what = cut(what), .subject = cut(subject), .detail = cut(detail) };
	char hex[2 * AUDIT_HASH + 1];
	struct audit_head head;

	if (audit_head(d, &head, err) == -1 || next_seq(d, head.seq, &r.seq, err) == -1)
		return -1;
	ASSERT(row_hash(d, &r, head.hash, r.hash));
	if (insert(d, &r, err) == -1)
		return err_wrap(err, "the audit log");
	audit_hex(r.hash, hex);
	log_info("audit %lld: " SPAN_FMT " by " SPAN_FMT ", %s", (long long)r.seq, SPAN_ARG(r.what),
	    SPAN_ARG(r.who), hex);
	return 0;
}

int
audit_put(struct db *d, struct span who, const char *what, struct span subject,
    struct span detail, int64_t now, struct err *err)
{
	return put(d, who, span_str(what), subject, detail, now, err);
}

int
audit_event(struct db *d, const struct msg_event *ev, struct err *err)
{
	return put(d, ev->by, ev->rcpt, ev->relay, ev->reply, ev->time, err);
}

/* ---- showing ---- */

static void
put_line(sqlite3_stmt *st, struct buf *out)
{
	static const char *const names[] = { "who", "what", "subject", "detail" };
	char hex[2 * AUDIT_HASH + 1] = "";
	struct json j;

	if (db_column(st, 7).n == AUDIT_HASH)
		audit_hex((const unsigned char *)db_column(st, 7).p, hex);
	json_begin(&j, out);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kint(&j, "seq", sqlite3_column_int64(st, 0));
	json_kint(&j, "time", sqlite3_column_int64(st, 1));
	for (int i = 0; i < 4; i++)
		json_kstr(&j, names[i], db_column(st, i + 2));
	json_kstr(&j, "act", audit_act(db_column(st, 3)));
	json_kcstr(&j, "hash", hex);
	json_end_object(&j);
	buf_putc(out, '\n');
}

int
audit_list(struct db *d, struct span q, int64_t before, size_t limit, struct buf *out,
    size_t *found, int64_t *next, struct err *err)
{
	struct audit_query asked;
	sqlite3_stmt *st;
	int64_t last = 0;
	int r;

	*found = 0;
	*next = 0;
	if (audit_query_parse(q, clock_real(), &asked, err) == -1 || (st = db_stmt(d, "SELECT seq, time,"
	    " who, what, subject, detail, key, hash FROM audit WHERE seq<? AND time>=? AND time<?"
	    " ORDER BY seq DESC", err)) == NULL)
		return -1;
	db_int(st, 1, before > 0 ? before : INT64_MAX);
	db_int(st, 2, asked.since);
	db_int(st, 3, asked.before ? asked.before : INT64_MAX);
	while ((r = db_step(d, st, err)) == 1) {
		if (*found == limit) {
			*next = last;
			break;
		}
		last = sqlite3_column_int64(st, 0);
		if (!audit_query_has(&asked, &(struct audit_shown){ db_column(st, 2), db_column(st, 3),
		    db_column(st, 4), db_column(st, 5) }))
			continue;
		put_line(st, out);
		++*found;
	}
	sqlite3_reset(st);
	if (r == -1 && db_interrupted(d) && last) {	/* the next page goes on behind it */
		*next = last;
		return 0;
	}
	return r == -1 ? -1 : 0;
}

/* ---- verifying ---- */

const char *
audit_fault_text(enum audit_fault f)
{
	switch (f) {
	case AUDIT_CHANGED:
		return "is not what was written: its hash does not fit its text and the row before it";
	case AUDIT_MISSING:
		return "is missing: others stand behind it";
	case AUDIT_CUT:
		return "was written and is gone, with all behind it: the log was cut off";
	case AUDIT_WEAK:
		return "has no key, and rows before it have one";
	case AUDIT_SOUND:
		break;
	}
	return "is sound";
}

static void
base_digest_text(struct buf *b, const struct audit_head *h)
{
	buf_puts(b, "postern audit base 1\n");
	put_u64(b, (uint64_t)h->seq);
	buf_span(b, span_make((const char *)h->hash, AUDIT_HASH));
}

static bool
base_mac(const struct db *d, const struct audit_head *h, int64_t key, unsigned char mac[AUDIT_HASH])
{
	struct buf b;
	bool ok;

	buf_init(&b, 256);
	base_digest_text(&b, h);
	ok = digest(d, key, buf_data(&b), mac);
	buf_release(&b);
	return ok;
}

static void
broken(struct audit_walk *w, int64_t seq, enum audit_fault f)
{
	w->fault = f;
	w->broken = seq;
	w->end = true;
}

static int
begin(struct db *d, struct audit_walk *w, struct err *err)
{
	unsigned char mac[AUDIT_HASH], want[AUDIT_HASH];
	struct audit_head base;
	int64_t key = 0;
	int r = base_load(d, &base, &key, mac, err);

	if (r == -1)
		return -1;
	w->begun = true;
	w->seq = base.seq;
	memcpy(w->hash, base.hash, AUDIT_HASH);
	if (r == 1 && !base_mac(d, &base, key, want))
		w->foreign++;
	else if (r == 1 && CRYPTO_memcmp(mac, want, AUDIT_HASH) != 0)
		broken(w, base.seq + 1, AUDIT_CHANGED);
	if (r == 1 && key)
		w->keyed = true;
	return 0;
}

static void
look_at(const struct db *d, struct audit_walk *w, sqlite3_stmt *st)
{
	struct row r = { .seq = sqlite3_column_int64(st, 0), .time = sqlite3_column_int64(st, 1),
		.who = db_column(st, 2), .what = db_column(st, 3), .subject = db_column(st, 4),
		.detail = db_column(st, 5), .key = sqlite3_column_int64(st, 6) };
	struct span hash = db_column(st, 7);

	if (r.seq != w->seq + 1) {
		broken(w, w->seq + 1, AUDIT_MISSING);
		return;
	}
	if (hash.n != AUDIT_HASH) {
		broken(w, r.seq, AUDIT_CHANGED);
		return;
	}
	if (r.key == 0 && w->keyed) {
		broken(w, r.seq, AUDIT_WEAK);
		return;
	}
	if (!row_hash(d, &r, w->hash, r.hash))
		w->foreign++;
	else if (CRYPTO_memcmp(hash.p, r.hash, AUDIT_HASH) != 0) {
		broken(w, r.seq, AUDIT_CHANGED);
		return;
	}
	memcpy(w->hash, hash.p, AUDIT_HASH);
	w->keyed |= r.key != 0;
	w->unkeyed += r.key == 0;
	w->rows++;
	w->seq = r.seq;
}

int
audit_verify(struct db *d, struct audit_walk *w, size_t max, struct err *err)
{
	sqlite3_stmt *st;
	int64_t next;
	int r = 1;

	if (!w->begun && begin(d, w, err) == -1)
		return -1;
	st = db_stmt(d, "SELECT seq, time, who, what, subject, detail, key, hash FROM audit"
	    " WHERE seq>? ORDER BY seq", err);
	if (st == NULL)
		return -1;
	db_int(st, 1, w->seq);
	for (size_t n = 0; n < max && !w->end && (r = db_step(d, st, err)) == 1; n++)
		look_at(d, w, st);
	sqlite3_reset(st);
	if (r == -1)
		return -1;
	if (r == 0 && !w->end) {
		w->end = true;
		if (next_seq(d, w->seq, &next, err) == -1)
			return -1;
		if (next != w->seq + 1)
			broken(w, w->seq + 1, AUDIT_CUT);
	}
	return 0;
}

/* ---- forgetting ---- */

/* The last row that goes: 1, 0 none, -1. */
static int
last_old(struct db *d, int64_t before, size_t max, struct audit_head *h, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT seq, hash, time FROM audit WHERE seq<"
	    "(SELECT max(seq) FROM audit) ORDER BY seq LIMIT ?", err);
	bool any = false;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)max);
	while ((r = db_step(d, st, err)) == 1 && sqlite3_column_int64(st, 2) < before &&
	    db_column(st, 1).n == AUDIT_HASH) {
		any = true;
		h->seq = sqlite3_column_int64(st, 0);
		memcpy(h->hash, db_column(st, 1).p, AUDIT_HASH);
	}
	sqlite3_reset(st);
	return r == -1 ? -1 : any;
}

static int
base_save(struct db *d, const struct audit_head *h, struct err *err)
{
	unsigned char mac[AUDIT_HASH];
	int64_t key = db_audit_key_number(d);
	sqlite3_stmt *st;

	ASSERT(base_mac(d, h, key, mac));
	st = db_stmt(d, "INSERT OR REPLACE INTO audit_base(one, seq, hash, key, mac)"
	    " VALUES(1,?,?,?,?)", err);
	if (st == NULL)
		return -1;
	db_int(st, 1, h->seq);
	db_blob(st, 2, h->hash, AUDIT_HASH);
	db_int(st, 3, key);
	db_blob(st, 4, mac, AUDIT_HASH);
	return db_run(d, st, err);
}

int
audit_expire(struct db *d, int64_t before, size_t max, int64_t now, struct err *err)
{
	struct audit_head h;
	sqlite3_stmt *st;
	char text[64];
	int r, n;

	if ((r = last_old(d, before, max, &h, err)) != 1)
		return r;
	if (base_save(d, &h, err) == -1)
		return -1;
	if ((st = db_stmt(d, "DELETE FROM audit WHERE seq<=?", err)) == NULL)
		return -1;
	db_int(st, 1, h.seq);
	if (db_run(d, st, err) == -1)
		return -1;
	n = db_changes(d);
	snprintf(text, sizeof(text), "%d rows, up to %lld", n, (long long)h.seq);
	return put(d, SPAN_LIT("retention"), SPAN_LIT("audit.expire"), (struct span){ 0 },
	    span_str(text), now, err) == -1 ? -1 : n;
}
