/* approval_db.c -- see approval_db.h. */
#include <errno.h>
#include <sys/random.h>

#include "clock.h"
#include "id.h"
#include "ipc/json_read.h"
#include "store/approval_db.h"
#include "store/two_persons.h"
#include "store/audit.h"
#include "store/kept.h"
#include "store/sealed.h"

#define TOKEN_LIFE (INT64_C(14) * 86400)	/* seconds, where the hold itself never expires */
#define FINDINGS_SHOWN 20

/* ---- the key ---- */

static int
secret(struct db *d, unsigned char key[APPROVAL_KEY], struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT bytes FROM approval_secret WHERE one=1", err);
	unsigned char fresh[APPROVAL_KEY];
	struct arena *a;
	struct span v;
	int r = st ? db_step(d, st, err) : -1;

	if (r == 1) {
		a = arena_new(0);
		if (sealed_column(d, st, 0, SEALED_APPROVAL, 1, a, &v, err) == -1)
			r = -1;
		else if (v.n != APPROVAL_KEY)
			r = err_set(err, EIO, "the key of the approvals is damaged");
		else
			memcpy(key, v.p, APPROVAL_KEY);
		sqlite3_reset(st);
		arena_free(&a);
		return r == 1 ? 0 : -1;
	}
	if (r == -1)
		return -1;
	if (getrandom(fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh))
		return err_errno(err, "no random numbers");
	if ((st = db_stmt(d, "INSERT INTO approval_secret(one, bytes) VALUES(1, ?)", err)) == NULL ||
	    sealed_bind(d, st, 1, SEALED_APPROVAL, 1, span_make((char *)fresh, sizeof(fresh)), err) == -1)
		return -1;
	memcpy(key, fresh, sizeof(fresh));
	return db_run(d, st, err);
}

/* ---- mail of our own ---- */

int
outbox_put(struct db *d, uint64_t about, int64_t kid, struct span rcpt, struct span subject,
    struct span text, struct span language, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO outbox(about, kid, rcpt, subject, text, language)"
	    " VALUES(?,?,?,?,?,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)about);
	if (kid)
		db_int(st, 2, kid);
	db_text_always(st, 3, rcpt);
	db_text_always(st, 4, subject);
	db_text(st, 6, language);
	if (sealed_bind(d, st, 5, SEALED_OUTBOX, (int64_t)about, text, err) == -1)
		return -1;
	return db_run(d, st, err);
}

int
outbox_next(struct db *d, int64_t after, struct arena *a, struct outgoing *o, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT oid, about, rcpt, subject, text, language, html, mid FROM outbox"
	    " WHERE oid>? ORDER BY oid LIMIT 1", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, after);
	if ((r = db_step(d, st, err)) == 1) {
		*o = (struct outgoing){ .oid = sqlite3_column_int64(st, 0),
			.about = db_column_id(st, 1) };
		o->rcpt = arena_span(a, db_column(st, 2));
		o->subject = arena_span(a, db_column(st, 3));
		o->language = arena_span(a, db_column(st, 5));
		r = sealed_column(d, st, 4, SEALED_OUTBOX, (int64_t)o->about, a, &o->text, err);
		o->text = arena_span(a, o->text);
		if (r != -1)
			r = sealed_column(d, st, 6, SEALED_OUTBOX_HTML, (int64_t)o->about, a, &o->html, err);
		o->html = arena_span(a, o->html);
		o->mid = db_column_id(st, 7);
		r = r == -1 ? -1 : 1;
		sqlite3_reset(st);
	}
	return r;
}

int
outbox_html(struct db *d, uint64_t about, struct span html, struct err *err)
{
	int64_t oid = db_last_rowid(d);
	sqlite3_stmt *st = db_stmt(d, "UPDATE outbox SET html=? WHERE oid=?", err);

	if (st == NULL || sealed_bind(d, st, 1, SEALED_OUTBOX_HTML, (int64_t)about, html, err) == -1)
		return -1;
	db_int(st, 2, oid);
	return db_run(d, st, err);
}

int
outbox_offer(struct db *d, int64_t oid, uint64_t mid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE outbox SET mid=? WHERE oid=?", err);

	if (st == NULL)
		return -1;
	db_id(st, 1, mid);
	db_int(st, 2, oid);
	return db_run(d, st, err);
}

int
outbox_count(struct db *d, size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT count(*) FROM outbox", err);
	int r = st ? db_step(d, st, err) : -1;

	if (r == 1) {
		*n = (size_t)sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return r == 1 ? 0 : -1;
}

int
outbox_done(struct db *d, int64_t oid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM outbox WHERE oid=?", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, oid);
	return db_run(d, st, err);
}

/* ---- what the record asks for ---- */

/* Does a rule hold it for one of these recipients? */
static bool
concerns(const struct jval *record, struct span rule, const struct envelope *env)
{
	const struct jval *list = jval_get(record, "recipients"), *r, *h;

	for (size_t i = 0; (r = jval_at(list, i)) != NULL; i++) {
		struct span address = jval_text(r, "address");
		bool ours = false;

		for (size_t k = 0; k < env->nrecipients && !ours; k++)
			ours = span_eq(env->recipients[k].address, address);
		for (size_t k = 0; ours && (h = jval_at(jval_get(r, "holds"), k)) != NULL; k++)
			if (span_eq(jval_str(h), rule))
				return true;
	}
	return false;
}

static int
put_need(struct db *d, int64_t kid, const struct jval *hold, struct span author, struct err *err)
{
	const struct jval *list = jval_get(hold, "approvers"), *p;
	sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO approval(kid, rule, decider, approvals)"
	    " VALUES(?,?,?,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	db_text_always(st, 2, jval_text(hold, "rule"));
	db_text(st, 3, jval_text(hold, "for"));
	db_int(st, 4, jval_int(hold, "approvals", 0));
	if (db_run(d, st, err) == -1)
		return -1;
	for (size_t i = 0; (p = jval_at(list, i)) != NULL; i++) {
		if (span_eq_nocase(jval_str(p), author))
			continue;
		st = db_stmt(d, "INSERT OR IGNORE INTO approver(kid, rule, pattern) VALUES(?,?,?)", err);
		if (st == NULL)
			return -1;
		db_int(st, 1, kid);
		db_text_always(st, 2, jval_text(hold, "rule"));
		db_text_always(st, 3, jval_str(p));
		if (db_run(d, st, err) == -1)
			return -1;
	}
	return 0;
}

/* ---- the mails to those who are asked ---- */

struct asking {
	struct db *d;
	int64_t kid, now;
	const struct msg_keep *m;
	const struct jval *record;
	const struct approval_words *w;
	struct span rules;
	bool french;
	struct arena *a;
	unsigned char key[APPROVAL_KEY];
};

static void
put_list(struct buf *b, const char *name, const struct jval *list, const char *key)
{
	const struct jval *v;
	bool any = false;

	for (size_t i = 0; i < FINDINGS_SHOWN && (v = jval_at(list, i)) != NULL; i++) {
		struct span s = key ? jval_text(v, key) : jval_str(v);

		if (s.n == 0)
			continue;
		buf_printf(b, "%s" SPAN_FMT, any ? ", " : name, SPAN_ARG(s));
		any = true;
	}
	if (any)
		buf_putc(b, '\n');
}

/* Masked, as everywhere. */
static void
put_findings(struct buf *b, const struct asking *q)
{
	const struct jval *list = jval_get(q->record, "findings"), *f, *m;

	for (size_t i = 0; i < FINDINGS_SHOWN && (f = jval_at(list, i)) != NULL; i++) {
		buf_printf(b, "  - " SPAN_FMT " (" SPAN_FMT "%s" SPAN_FMT "):", SPAN_ARG(jval_text(f,
		    "detector")), SPAN_ARG(jval_text(f, "where")), jval_text(f, "name").n ? " " : "",
		    SPAN_ARG(jval_text(f, "name")));
		for (size_t k = 0; k < 5 && (m = jval_at(jval_get(f, "masked"), k)) != NULL; k++)
			buf_printf(b, "%s" SPAN_FMT, k ? ", " : " ", SPAN_ARG(jval_str(m)));
		buf_putc(b, '\n');
	}
}

static void
write_mail(const struct asking *q, struct span to, const char *token, int64_t until, struct buf *b)
{
	const struct envelope *env = &q->m->env;
	bool fr = q->french;
	char id[ID_SIZE], date[CLOCK_DATE_MAX];

	id_format(env->id, id);
	buf_puts(b, fr ? "Un message est retenu et attend votre décision.\n\n" :
	    "A message is held and waits for your decision.\n\n");
	buf_printf(b, fr ? "Référence : %s\nRègle : " SPAN_FMT "\nDe : " SPAN_FMT "\n" :
	    "Reference: %s\nRule: " SPAN_FMT "\nFrom: " SPAN_FMT "\n", id, SPAN_ARG(q->rules),
	    SPAN_ARG(env->sender));
	buf_puts(b, fr ? "À : " : "To: ");
	for (size_t i = 0; i < env->nrecipients && i < FINDINGS_SHOWN; i++)
		buf_printf(b, "%s" SPAN_FMT, i ? ", " : "", SPAN_ARG(env->recipients[i].address));
	buf_putc(b, '\n');
	if (jval_text(q->record, "subject").n)
		buf_printf(b, fr ? "Objet : " SPAN_FMT "\n" : "Subject: " SPAN_FMT "\n",
		    SPAN_ARG(jval_text(q->record, "subject")));
	put_list(b, fr ? "Fichiers : " : "Files: ", jval_get(q->record, "parts"), "name");
	if (jval_count(jval_get(q->record, "findings"))) {
		buf_puts(b, fr ? "Constaté (masqué) :\n" : "Found (masked):\n");
		put_findings(b, q);
	}
	buf_printf(b, fr ? "\nÀ décider avant le : %s\n" : "\nTo be decided before: %s\n",
	    clock_date(until * US_PER_SEC, date));
	if (q->w->url.n) {
		buf_puts(b, fr ? "Voir, puis approuver ou refuser (lien personnel, valable une fois) :\n" :
		    "Look at it, then approve or deny (a personal link, good once):\n");
		buf_printf(b, SPAN_FMT "%s%s\n", SPAN_ARG(q->w->url),
		    q->w->url.p[q->w->url.n - 1] == '/' || q->w->url.p[q->w->url.n - 1] == '=' ?
		    "" : "/", token);
	}
	buf_printf(b, fr ? "\nSur la passerelle : postern held approve %s --as " SPAN_FMT "\n" :
	    "\nOn the gateway: postern held approve %s --as " SPAN_FMT "\n", id, SPAN_ARG(to));
	buf_printf(b, fr ? "Jeton : %s\n" : "Token: %s\n", token);
}

static int
ask_one(struct asking *q, struct span to, struct err *err)
{
	struct token t = { .kid = q->kid, .id = q->m->env.id };
	char text[APPROVAL_TOKEN_TEXT], id[ID_SIZE];
	struct span subject;
	sqlite3_stmt *st;
	struct buf b;
	int r;

	t.expires = q->m->expires > 0 ? (q->m->expires + US_PER_SEC - 1) / US_PER_SEC :
	    q->now / US_PER_SEC + TOKEN_LIFE;
	token_person(to, t.person);
	if (getrandom(t.nonce, sizeof(t.nonce), 0) != (ssize_t)sizeof(t.nonce))
		return err_errno(err, "no random numbers");
	token_write(&t, q->key, text);
	if ((st = db_stmt(q->d, "INSERT INTO token(nonce, kid, address) VALUES(?,?,?)", err)) == NULL)
		return -1;
	db_blob(st, 1, t.nonce, sizeof(t.nonce));
	db_int(st, 2, q->kid);
	db_text_always(st, 3, to);
	if (db_run(q->d, st, err) == -1)
		return -1;
	buf_init(&b, 256u << 10);
	write_mail(q, to, text, t.expires, &b);
	subject = span_str(arena_printf(q->a, q->french ? "Décision demandée : message %s retenu" :
	    "Your decision is asked for: message %s is held", id_format(q->m->env.id, id)));
	r = outbox_put(q->d, q->m->env.id, q->kid, to, subject, buf_data(&b), q->french ?
	    SPAN_LIT("fr") : SPAN_LIT("en"), err);
	buf_release(&b);
	return r;
}

/* Each approver with an address of his own once; the sender and the author (From:) never. */
static int
ask_all(struct asking *q, struct err *err)
{
	const struct jval *holds = jval_get(q->record, "holds"), *h, *p;
	const struct envelope *env = &q->m->env;
	struct span *asked = arena_array(q->a, 256, sizeof(*asked));
	size_t n = 0;

	for (size_t i = 0; (h = jval_at(holds, i)) != NULL; i++) {
		if (jval_int(h, "approvals", 0) == 0 || !concerns(q->record, jval_text(h, "rule"), env))
			continue;
		for (size_t k = 0; (p = jval_at(jval_get(h, "approvers"), k)) != NULL; k++) {
			struct span to = jval_str(p);
			bool had = span_find(to, '@') == to.n || span_eq_nocase(to, env->sender) ||
			    span_eq_nocase(to, jval_text(q->record, "author"));

			for (size_t s = 0; s < n && !had; s++)
				had = span_eq_nocase(asked[s], to);
			if (had || n == 256)
				continue;
			asked[n++] = to;
			if (ask_one(q, to, err) == -1)
				return -1;
		}
	}
	return 0;
}

/* A rule wants two persons to release it from quarantine, for one of these recipients at least. */
static bool
two_wanted(const struct msg_keep *m)
{
	static const char mark[] = "\"approvals\":2";
	struct jval *record = m->kind == OUTCOME_QUARANTINE && m->record.n && memmem(m->record.p,
	    m->record.n, mark, sizeof(mark) - 1) ? jval_parse(m->record, NULL) : NULL;
	const struct jval *list = jval_get(record, "recipients"), *r;
	bool two = false;

	for (size_t i = 0; !two && (r = jval_at(list, i)) != NULL; i++)
		for (size_t k = 0; !two && k < m->env.nrecipients; k++)
			two = jval_int(r, "approvals", 0) > 1 &&
			    span_eq(m->env.recipients[k].address, jval_text(r, "address"));
	jval_free(&record);
	return two;
}

int
approval_begin(struct db *d, int64_t kid, const struct msg_keep *m, int64_t now,
    const struct approval_words *w, struct arena *a, struct err *err)
{
	struct jval *record = m->kind == OUTCOME_HOLD && m->record.n ?
	    jval_parse(m->record, NULL) : NULL;
	const struct jval *holds = jval_get(record, "holds"), *h;
	struct asking q = { d, kid, now, m, record, w, { 0 }, false, a, { 0 } };
	bool any = false;
	int r = two_wanted(m) ? two_persons_need(d, kid, err) : 0;

	for (size_t i = 0; r == 0 && (h = jval_at(holds, i)) != NULL; i++)
		if (concerns(record, jval_text(h, "rule"), &m->env)) {
			any |= jval_int(h, "approvals", 0) > 0;
			q.french = span_is(jval_text(h, "language"), "fr");
			q.rules = q.rules.n ? span_str(arena_printf(a, SPAN_FMT ", " SPAN_FMT,
			    SPAN_ARG(q.rules), SPAN_ARG(jval_text(h, "rule")))) : jval_text(h, "rule");
			r = put_need(d, kid, h, jval_text(record, "author"), err);
		}
	if (r == 0 && any)
		r = secret(d, q.key, err) == -1 || ask_all(&q, err) == -1 ? -1 : 0;
	jval_free(&record);
	return r;
}

/* ---- voices ---- */

static int
load_needs(struct db *d, int64_t kid, struct arena *a, struct approval *out, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT a.rule, a.approvals, p.pattern FROM approval a"
	    " LEFT JOIN approver p ON p.kid=a.kid AND p.rule=a.rule WHERE a.kid=?"
	    " ORDER BY a.rule, p.pattern", err);
	struct need *last = NULL;
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	while ((r = db_step(d, st, err)) == 1) {
		struct span rule = db_column(st, 0), pattern = db_column(st, 2), *v;

		if (last == NULL || !span_eq(last->rule, rule)) {
			out->needs = arena_grow(a, out->needs, out->nneeds * sizeof(*last),
			    (out->nneeds + 1) * sizeof(*last));
			last = &out->needs[out->nneeds++];
			*last = (struct need){ .rule = arena_span(a, rule),
				.approvals = (unsigned)sqlite3_column_int(st, 1) };
		}
		if (pattern.n == 0)
			continue;
		v = arena_grow(a, (void *)(uintptr_t)last->approvers, last->napprovers * sizeof(*v),
		    (last->napprovers + 1) * sizeof(*v));
		v[last->napprovers++] = arena_span(a, pattern);
		last->approvers = v;
	}
	return r;
}

int
approval_load(struct db *d, int64_t kid, struct arena *a, struct approval *out, struct err *err)
{
	sqlite3_stmt *st;
	int r;

	*out = (struct approval){ 0 };
	if (load_needs(d, kid, a, out, err) == -1 ||
	    (st = db_stmt(d, "SELECT address, approve FROM vote WHERE kid=? ORDER BY time", err)) == NULL)
		return -1;
	db_int(st, 1, kid);
	while ((r = db_step(d, st, err)) == 1) {
		out->votes = arena_grow(a, out->votes, out->nvotes * sizeof(*out->votes),
		    (out->nvotes + 1) * sizeof(*out->votes));
		out->votes[out->nvotes++] = (struct vote){ arena_span(a, db_column(st, 0)),
			sqlite3_column_int(st, 1) != 0 };
	}
	return r;
}

static int
put_vote(struct db *d, int64_t kid, struct span address, bool approve, struct span via,
    struct span reason, int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO vote(kid, address, approve, time, via,"
	    " reason) VALUES(?,?,?,?,?,?)", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	db_text_always(st, 2, address);
	db_int(st, 3, approve);
	db_int(st, 4, now);
	db_text(st, 5, via);
	db_text(st, 6, reason);
	if (db_run(d, st, err) == -1)
		return -1;
	return db_changes(d) ? 0 : err_set(err, 0, SPAN_FMT " has decided about it already",
	    SPAN_ARG(address));
}

static int
use_token(struct db *d, const struct token *t, int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE token SET used=? WHERE nonce=? AND used IS NULL", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, now);
	db_blob(st, 2, t->nonce, sizeof(t->nonce));
	if (db_run(d, st, err) == -1)
		return -1;
	return db_changes(d) ? 0 : err_set(err, 0, "the link was used already");
}

static int
set_voted(struct db *d, int64_t kid, enum approval_state state, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE kept SET voted=? WHERE kid=? AND state=1", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, state);
	db_int(st, 2, kid);
	if (db_run(d, st, err) == -1)
		return -1;
	return db_changes(d) ? 0 : err_set(err, 0, "it is decided already");
}

/* Of an approval; a refusal is told by the notice of failure that follows from it. */
static int
tell_sender(struct db *d, int64_t kid, struct span sender, struct arena *a, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT id, record FROM kept WHERE kid=? AND kind='hold'", err);
	struct span text = { 0 };
	struct jval *record;
	char id[ID_SIZE];
	bool fr;
	int r = st ? 0 : -1;

	if (r == 0)
		db_int(st, 1, kid);
	if (r == -1 || sender.n == 0 || (r = db_step(d, st, err)) != 1)
		return r;
	id_format(db_column_id(st, 0), id);
	if (sealed_column_zip(d, st, 1, SEALED_KEPT_RECORD, sqlite3_column_int64(st, 0), RECORD_MAX, a, &text,
	    err) == -1) {
		sqlite3_reset(st);
		return -1;
	}
	record = text.n ? jval_parse(text, NULL) : NULL;
	fr = span_is(jval_text(jval_at(jval_get(record, "holds"), 0), "language"), "fr");
	r = outbox_put(d, db_column_id(st, 0), 0, sender, span_str(arena_printf(a, fr ?
	    "Votre message %s a été approuvé" : "Your message %s was approved", id)),
	    span_str(arena_printf(a, fr ?
	    "Le message que la passerelle retenait a été approuvé : il est envoyé.\n\nRéférence : %s\n" :
	    "The message that the mail gateway held has been approved and is on its way.\n\n"
	    "Reference: %s\n", id)), fr ? SPAN_LIT("fr") : SPAN_LIT("en"), err);
	jval_free(&record);
	sqlite3_reset(st);
	return r;
}

static int
vote(struct db *d, int64_t kid, struct span sender, struct span address, bool approve,
    struct span via, struct span reason, const struct token *used, int64_t now, struct arena *a,
    enum approval_state *state, struct err *err)
{
	struct approval ap;
	bool may = false, asked = false;

	if (approval_load(d, kid, a, &ap, err) == -1)
		return -1;
	for (size_t i = 0; i < ap.nneeds; i++) {
		asked |= ap.needs[i].approvals > 0;
		may |= ap.needs[i].approvals > 0 && approver_may(&ap.needs[i], sender, address);
	}
	if (!asked)
		return err_set(err, 0, "nobody's approval is asked for: release or reject it");
	if (span_eq_nocase(address, sender))
		return err_set(err, 0, "nobody decides about a message of his own");
	if (!may)
		return err_set(err, 0, SPAN_FMT " is not among those who may decide", SPAN_ARG(address));
	if (put_vote(d, kid, address, approve, via, reason, now, err) == -1 ||
	    (used && use_token(d, used, now, err) == -1) ||
	    approval_load(d, kid, a, &ap, err) == -1)
		return -1;
	*state = approval_judge(ap.needs, ap.nneeds, sender, ap.votes, ap.nvotes);
	if (*state == APPROVAL_WAITS)
		return 0;
	if (*state == APPROVAL_GIVEN && tell_sender(d, kid, sender, a, err) == -1)
		return -1;
	return set_voted(d, kid, *state, err);
}

/* Who spoke, for what message, and what it has led to. */
static int
audit_vote(struct db *d, int64_t kid, struct span address, bool approve, struct span via,
    struct span reason, int64_t now, struct arena *a, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT id FROM kept WHERE kid=?", err);
	char id[ID_SIZE] = "";
	int r = st ? 0 : -1;

	if (r == 0) {
		db_int(st, 1, kid);
		if ((r = db_step(d, st, err)) == 1)
			id_format(db_column_id(st, 0), id);
		sqlite3_reset(st);
	}
	if (r == -1)
		return -1;
	return audit_put(d, address, approve ? "held.approve" : "held.deny", span_str(id),
	    span_str(arena_printf(a, "via " SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(via), reason.n ? ": " : "",
	    SPAN_ARG(reason))), now, err);
}

int
approval_vote(struct db *d, int64_t kid, struct span sender, struct span address,
    bool approve, struct span via, struct span reason, const struct token *used, int64_t now,
    struct arena *a, enum approval_state *state, struct err *err)
{
	err->code = 0;
	if (db_begin(d, true, err) == -1)
		return -1;
	if (vote(d, kid, sender, address, approve, via, reason, used, now, a, state, err) == -1 ||
	    audit_vote(d, kid, address, approve, via, reason, now, a, err) == -1) {
		db_rollback(d);
		return -1;
	}
	return db_commit(d, err);
}

int
approval_token(struct db *d, struct span text, int64_t now, struct arena *a, struct token *t,
    struct span *address, struct err *err)
{
	unsigned char key[APPROVAL_KEY], person[8];
	const char *why;
	sqlite3_stmt *st;
	bool used;
	int r;

	err->code = 0;
	if (secret(d, key, err) == -1)
		return -1;
	if (!token_read(text, key, now / US_PER_SEC, t, &why)) {
		err_set(err, 0, "%s", why);
		return 0;
	}
	st = db_stmt(d, "SELECT address, used IS NOT NULL FROM token WHERE nonce=? AND kid=?", err);
	if (st == NULL)
		return -1;
	db_blob(st, 1, t->nonce, sizeof(t->nonce));
	db_int(st, 2, t->kid);
	if ((r = db_step(d, st, err)) != 1) {
		if (r == 0)
			err_set(err, 0, "the link is not known any more");
		return r;
	}
	*address = arena_span(a, db_column(st, 0));
	used = sqlite3_column_int(st, 1);
	sqlite3_reset(st);
	token_person(*address, person);
	if (used || memcmp(person, t->person, sizeof(person)) != 0) {
		err_set(err, 0, used ? "the link was used already" : "the link is another person's");
		return 0;
	}
	return 1;
}

int
approval_decided(struct db *d, enum approval_state which, size_t max, struct arena *a,
    int64_t **kids, size_t *n, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT kid FROM kept WHERE voted=? AND voted IS NOT NULL"
	    " AND state=1 AND (voted<>1 OR virus IS NULL) ORDER BY kid", err);
	int r = 0;

	*n = 0;
	*kids = arena_array(a, max, sizeof(**kids));
	if (st == NULL)
		return -1;
	db_int(st, 1, which);
	while (*n < max && (r = db_step(d, st, err)) == 1)
		(*kids)[(*n)++] = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return r == -1 ? -1 : 0;
}

int
approval_by(struct db *d, int64_t kid, bool approve, struct arena *a, struct span *by,
    struct span *reason, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT address, reason FROM vote WHERE kid=? AND approve=?"
	    " ORDER BY time", err);
	int r;

	*by = *reason = (struct span){ 0 };
	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	db_int(st, 2, approve);
	while ((r = db_step(d, st, err)) == 1) {
		*by = by->n ? span_str(arena_printf(a, SPAN_FMT ", " SPAN_FMT, SPAN_ARG(*by),
		    SPAN_ARG(db_column(st, 0)))) : arena_span(a, db_column(st, 0));
		if (!reason->n)
			*reason = arena_span(a, db_column(st, 1));
	}
	return r;
}
