/* digest_link.c -- what the page of a digest's link asks, and does: DIGEST_ASK of the console.
 *
 * The console is trusted with nothing: the token is checked here, each time. To look decides
 * nothing. An act, the token it uses and its line in the audit log are one transaction; a release then
 * goes the way of one that voices have decided (approve.c), so that it is carried out whatever ends in
 * between, and not before a scanner has looked again. A link is good once for the message and once for its
 * sender (the recipient's list of those blocked or allowed); one that was used says what was done with it.
 */
#include "clock.h"
#include "ipc/messages_digest.h"
#include "store/audit.h"
#include "store/digest.h"
#include "store/kept_view.h"
#include "store/lists_db.h"
#include "store/request_db.h"

#define TOO_OLD_US (30 * INT64_C(86400) * US_PER_SEC)

struct asking {
	struct store *s;
	struct arena *a;
	struct token t;
	struct kept k;
	size_t mine;			/* which recipient */
};

static const char *
act_name(enum digest_act act)
{
	static const char *const names[] = {
#define X(name, text) text,
		DIGEST_ACTS(X)
#undef X
	};

	return names[act];
}

static bool
of_sender(enum digest_act act)
{
	return act == DIGEST_BLOCK || act == DIGEST_ALLOW;
}

/* Under which its use is remembered: for the message, for the sender. */
static void
nonce_of(const struct token *t, bool sender, unsigned char out[APPROVAL_NONCE])
{
	memcpy(out, t->nonce, APPROVAL_NONCE);
	if (sender)
		out[0] ^= 0xff;
}

/* The act it was used for. 1, 0 not used, -1 */
static int
used_for(struct db *d, const struct token *t, bool sender, enum digest_act *act, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT what FROM digest_used WHERE nonce=?", err);
	unsigned char nonce[APPROVAL_NONCE];
	int r;

	if (st == NULL)
		return -1;
	nonce_of(t, sender, nonce);
	db_blob(st, 1, nonce, sizeof(nonce));
	if ((r = db_step(d, st, err)) != 1)
		return r;
	*act = DIGEST_SHOW;
	for (int i = 0; i < DIGEST_ACT_COUNT; i++)
		if (span_is(db_column(st, 0), act_name((enum digest_act)i)))
			*act = (enum digest_act)i;
	sqlite3_reset(st);
	return 1;
}

/* The newest row of that message in which that person is a recipient: it may have been split. */
static int
find_row(struct asking *q, struct err *err)
{
	sqlite3_stmt *st = db_stmt(q->s->db, "SELECT k.kid, r.address FROM kept k INDEXED BY kept_id"
	    " JOIN kept_rcpt r ON r.kid=k.kid WHERE k.id=? AND k.kind='quarantine' ORDER BY k.kid DESC", err);
	unsigned char person[8];
	int64_t kid = 0;
	int r;

	if (st == NULL)
		return -1;
	db_id(st, 1, q->t.id);
	while ((r = db_step(q->s->db, st, err)) == 1 && kid == 0) {
		token_person(db_column(st, 1), person);
		if (memcmp(person, q->t.person, sizeof(person)) == 0)
			kid = sqlite3_column_int64(st, 0);
	}
	sqlite3_reset(st);
	if (r == -1 || kid == 0)
		return r == -1 ? -1 : 0;
	r = kept_load(q->s->db, kid, false, q->a, &q->k, err);
	for (size_t i = 0; r == 1 && i < q->k.env.nrecipients; i++) {
		token_person(q->k.env.recipients[i].address, person);
		if (memcmp(person, q->t.person, sizeof(person)) == 0) {
			q->mine = i;
			return 1;
		}
	}
	return r == -1 ? -1 : 0;
}

/* How it is with the link. */
static int
look(struct asking *q, struct span text, struct msg_digest_told *m, struct err *err)
{
	enum digest_act listed;
	const char *why;
	int r;

	if (!q->s->digests->keyed || !token_read_as(TOKEN_DIGEST, text, q->s->digests->key,
	    clock_real() / US_PER_SEC, &q->t, &why)) {
		*m = (struct msg_digest_told){ .told = DIGEST_UNKNOWN, .text = q->s->digests->keyed ?
			span_str(why) : SPAN_LIT("there is no key") };
		return 0;
	}
	store_settle(q->s);
	if ((r = find_row(q, err)) != 1) {
		*m = (struct msg_digest_told){ .told = DIGEST_UNKNOWN,
			.text = SPAN_LIT("the message is gone") };
		return r;
	}
	m->id = q->k.id;
	m->as = q->k.env.recipients[q->mine].address;
	m->state = span_str(kept_state_name(q->k.state));
	m->sender = q->k.env.sender;
	m->class = q->k.class;
	if ((r = used_for(q->s->db, &q->t, false, &m->act, err)) == -1)
		return -1;
	m->told = r == 1 ? DIGEST_USED : q->k.state == KEPT_WAITING && !q->k.voted ? DIGEST_OPEN : DIGEST_OVER;
	m->offers = kept_own_release(q->s->rt->conf, &q->k) ? 1u << DIGEST_RELEASE : 1u << DIGEST_REQUEST;
	if (q->k.env.sender.n && (r = used_for(q->s->db, &q->t, true, &listed, err)) == 0)
		m->offers |= 1u << DIGEST_BLOCK | 1u << DIGEST_ALLOW;
	return q->k.env.sender.n && r == -1 ? -1 : 0;
}

static int
describe(struct asking *q, struct msg_digest_told *m, struct err *err)
{
	sqlite3_stmt *st = db_stmt(q->s->db, "SELECT subject, time FROM kept WHERE kid=?", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, q->k.kid);
	if (db_step(q->s->db, st, err) != 1)
		return -1;
	m->subject = arena_span(q->a, db_column(st, 0));
	m->time = sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return 0;
}

/* ---- acts, within a transaction ---- */

static int
use(struct asking *q, enum digest_act act, struct err *err)
{
	sqlite3_stmt *st = db_stmt(q->s->db, "DELETE FROM digest_used WHERE expires<?", err);
	unsigned char nonce[APPROVAL_NONCE];

	if (st == NULL)
		return -1;
	db_int(st, 1, clock_real() - TOO_OLD_US);
	if (db_run(q->s->db, st, err) == -1 || (st = db_stmt(q->s->db,
	    "INSERT INTO digest_used(nonce, what, expires) VALUES(?,?,?)", err)) == NULL)
		return -1;
	nonce_of(&q->t, of_sender(act), nonce);
	db_blob(st, 1, nonce, sizeof(nonce));
	db_text_always(st, 2, span_str(act_name(act)));
	db_int(st, 3, q->t.expires * US_PER_SEC);
	return db_run(q->s->db, st, err);
}

/* His part of it in a row of its own, decided by his voice. */
static int
release(struct asking *q, struct err *err)
{
	bool *mine = arena_array(q->a, q->k.env.nrecipients, sizeof(*mine));
	struct span who = q->k.env.recipients[q->mine].address;
	struct kept whole;
	sqlite3_stmt *st;
	int64_t kid;

	mine[q->mine] = true;
	if (kept_load(q->s->db, q->k.kid, true, q->a, &whole, err) != 1 ||
	    kept_split(q->s->db, &whole, mine, q->a, &kid, err) == -1 ||
	    (st = db_stmt(q->s->db, "INSERT OR IGNORE INTO vote(kid, address, approve, time, via)"
	    " VALUES(?,?,1,?,'digest')", err)) == NULL)
		return -1;
	db_int(st, 1, kid);
	db_text_always(st, 2, who);
	db_int(st, 3, clock_real());
	if (db_run(q->s->db, st, err) == -1 ||
	    (st = db_stmt(q->s->db, "UPDATE kept SET voted=? WHERE kid=? AND state=1", err)) == NULL)
		return -1;
	db_int(st, 1, APPROVAL_GIVEN);
	db_int(st, 2, kid);
	return db_run(q->s->db, st, err);
}

/* The sender onto the recipient's own list; one that stands there already stays as it is. */
static int
put_on_list(struct asking *q, enum digest_act what, struct err *err)
{
	struct span who = q->k.env.recipients[q->mine].address;
	struct list_row had, row = { .by = who, .time = clock_real(), .state = LIST_IN_FORCE,
		.e = { .scope = LIST_USER, .side = what == DIGEST_BLOCK ? LIST_BLOCK : LIST_ALLOW,
		.reason = SPAN_LIT("by the link of a digest") } };
	uint64_t n = 0;

	if (entry_owner(q->a, LIST_USER, who, &row.e.owner, err) == -1 ||
	    entry_what(q->a, q->k.env.sender, &row.e.kind, &row.e.what, err) == -1 ||
	    lists_count(q->s->db, LIST_USER, row.e.owner, &n, err) == -1)
		return -1;
	row.e.who = row.e.owner;
	if (n >= LISTS_USER_MAX)
		return err_set(err, 0, "the list is full");
	return lists_add(q->s->db, &row, q->a, &had, err);
}

/* 1: what was asked for is done within the transaction, -1. */
static int
carry_out(struct asking *q, enum digest_act what, struct err *err)
{
	struct span who = q->k.env.recipients[q->mine].address;
	char id[ID_SIZE];

	if (use(q, what, err) == -1)
		return -1;
	if (of_sender(what))
		return put_on_list(q, what, err);
	if ((what == DIGEST_RELEASE ? release(q, err) : request_put(q->s->db, q->k.kid, who,
	    (struct span){ 0 }, clock_real(), err)) == -1)
		return -1;
	return audit_put(q->s->db, who, what == DIGEST_RELEASE ? "quarantine.release" : "quarantine.request",
	    span_str(id_format(q->k.id, id)), SPAN_LIT("by the link of a digest"), clock_real(), err);
}

static int
act(struct asking *q, enum digest_act what, struct msg_digest_told *m, struct err *err)
{
	if (!(m->offers >> what & 1)) {
		*m = (struct msg_digest_told){ .told = DIGEST_FAULT, .text = SPAN_LIT("not offered") };
		return 0;
	}
	if (db_begin(q->s->db, true, err) == -1)
		return -1;
	if (carry_out(q, what, err) == -1) {
		db_rollback(q->s->db);
		return -1;
	}
	if (db_commit(q->s->db, err) == -1)
		return -1;
	m->told = DIGEST_USED;
	m->act = what;
	if (of_sender(what)) {
		lists_changed(q->s);
		return 0;
	}
	q->s->decided_at = 0;
	approve_tick(q->s);
	return 0;
}

int
digest_link(struct store *s, struct link *l, struct frame *f)
{
	struct asking q = { .s = s };
	struct msg_digest_told m = { 0 };
	struct msg_digest_ask ask;
	struct err err = { 0 };
	struct buf b;
	int r;

	if (digest_ask_decode(f->body, f->fd, s->scratch, &ask) == -1)
		return -1;
	q.a = arena_new(0);
	r = look(&q, ask.token, &m, &err);
	if (r == 0 && m.told == DIGEST_OPEN)
		r = ask.act == DIGEST_SHOW ? describe(&q, &m, &err) : act(&q, ask.act, &m, &err);
	if (r == -1)
		m = (struct msg_digest_told){ .told = DIGEST_FAULT, .text = span_str(err.text) };
	buf_init(&b, FRAME_BIG);
	digest_told_encode(&b, &m);
	link_send(l, FRAME_DIGEST_TOLD, f->ticket, buf_data(&b), -1);
	buf_release(&b);
	arena_free(&q.a);
	return 0;
}
