/* kept.c -- messages that wait for a decision; see kept.h for their states. */
#include <errno.h>

#include "addr.h"
#include "conf.h"
#include "id.h"
#include "ipc/json_read.h"
#include "json.h"
#include "store/approval_db.h"
#include "store/kept.h"
#include "store/sealed.h"

#define SUBJECT_MAX 1000
#define SELECTORS "an id, all, or queue=, from=, to=, older=, newer= joined by commas"

const char *
kept_state_name(enum kept_state s)
{
	switch (s) {
#define X(name, number, text) case KEPT_##name: return text;
	KEPT_STATES(X)
#undef X
	}
	return "?";
}

/* ---- keeping ---- */

/* The value of Subject: as it stands, unfolded; the store decodes nothing of a stranger's. */
static struct span
raw_subject(struct span content, struct arena *a)
{
	static const struct span name = { "subject:", 8 };
	size_t at = 0, n = 0;
	char *out;

	while (at < content.n && content.p[at] != '\r' && content.p[at] != '\n') {
		struct span rest = span_from(content, at);
		size_t eol = span_find(rest, '\n');

		if (span_starts_nocase(rest, name)) {
			rest = span_sub(span_from(rest, name.n), 0, SUBJECT_MAX);
			out = arena_alloc(a, rest.n);
			for (size_t i = 0; i < rest.n; i++) {
				if (rest.p[i] == '\n' &&
				    (i + 1 == rest.n || !ascii_is_wsp(rest.p[i + 1])))
					break;
				if (rest.p[i] != '\r' && rest.p[i] != '\n')
					out[n++] = rest.p[i];
			}
			return span_trim(span_make(out, n));
		}
		at += eol + 1;
	}
	return (struct span){ 0 };
}

/* The scanner's record may have it decoded. */
static struct span
subject_of(const struct msg_keep *m, struct span content, struct arena *a)
{
	struct jval *v = m->record.n ? jval_parse(m->record, NULL) : NULL;
	struct span s = arena_span(a, span_sub(jval_text(v, "subject"), 0, SUBJECT_MAX));

	jval_free(&v);
	return s.n ? s : raw_subject(content, a);
}

static int
is_kept(struct db *d, const struct msg_keep *m, struct span address, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT 1 FROM kept k JOIN kept_rcpt r ON r.kid=k.kid"
	    " WHERE k.id=?1 AND k.kind=?2 AND k.queue IS ?3 AND r.address=?4", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, (int64_t)m->env.id);
	db_text(st, 2, span_str(outcome_name(m->kind)));
	db_text(st, 3, m->queue);
	db_text_always(st, 4, address);
	r = db_step(d, st, err);
	sqlite3_reset(st);
	return r;
}

static int
put_row(struct db *d, const struct msg_keep *m, const struct envelope *env, struct span content,
    int64_t now, struct arena *a, struct err *err)
{
	char client[IP_TEXT_MAX];
	struct buf blob;
	struct enc e = { &blob };
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO kept(id, parent, kind, queue, time, expires,"
	    " on_expire, sender, client, subject, size, state, envelope, record)"
	    " VALUES(?,?,?,?,?,?,?,?,?,?,?,1,?,?)", err);
	int r;

	if (st == NULL)
		return -1;
	buf_init(&blob, FRAME_BIG);
	envelope_encode(&e, env);
	db_int(st, 1, (int64_t)env->id);
	db_id(st, 2, m->parent);
	db_text(st, 3, span_str(outcome_name(m->kind)));
	db_text(st, 4, m->queue);
	db_int(st, 5, now);
	if (m->expires > 0 && m->on_expire != OUTCOME_UNJUDGED) {
		db_int(st, 6, m->expires);
		db_text(st, 7, span_str(outcome_name(m->on_expire)));
	}
	db_text_always(st, 8, env->sender);
	if (env->client.family)
		db_text(st, 9, span_str(ip_format(env->client, client)));
	db_text(st, 10, subject_of(m, content, a));
	db_int(st, 11, (int64_t)content.n);
	db_blob(st, 12, buf_data(&blob).p, buf_size(&blob));
	r = buf_failed(&blob) ? err_set(err, E2BIG, "the envelope is too large") : 0;
	if (r == 0 && m->record.n)
		r = sealed_bind_zip(d, st, 13, SEALED_KEPT_RECORD, (int64_t)env->id, m->record, err);
	if (r == 0)
		r = db_run(d, st, err);
	buf_release(&blob);
	return r;
}

static int
put_content(struct db *d, int64_t kid, struct span content, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO kept_content(kid, method, bytes) VALUES(?,1,?)",
	    err);
	int r;

	if (st == NULL || sealed_bind_zip(d, st, 2, SEALED_CONTENT, kid, content, err) == -1)
		return -1;
	db_int(st, 1, kid);
	r = db_run(d, st, err);
	sqlite3_clear_bindings(st);
	return r;
}

static int
put_rcpts(struct db *d, int64_t kid, const struct envelope *env, struct err *err)
{
	for (size_t i = 0; i < env->nrecipients; i++) {
		sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO kept_rcpt(kid, address)"
		    " VALUES(?,?)", err);

		if (st == NULL)
			return -1;
		db_int(st, 1, kid);
		db_text_always(st, 2, env->recipients[i].address);
		if (db_run(d, st, err) == -1)
			return -1;
	}
	return 0;
}

int
kept_put(struct db *d, const struct msg_keep *m, struct span content, int64_t now,
    struct arena *a, struct err *err)
{
	struct envelope env = m->env;
	int64_t kid;

	env.recipients = arena_array(a, m->env.nrecipients, sizeof(*env.recipients));
	env.nrecipients = 0;
	for (size_t i = 0; i < m->env.nrecipients; i++)
		switch (is_kept(d, m, m->env.recipients[i].address, err)) {
		case -1:
			return -1;
		case 0:
			env.recipients[env.nrecipients++] = m->env.recipients[i];
		}
	if (env.nrecipients == 0)
		return 0;
	if (put_row(d, m, &env, content, now, a, err) == -1)
		return -1;
	kid = db_last_rowid(d);
	if (put_content(d, kid, content, err) == -1 || put_rcpts(d, kid, &env, err) == -1)
		return -1;
	return 1;
}

int64_t
kept_put_row(const struct db *d)
{
	return db_last_rowid(d);	/* kept_content has the same number, kept_rcpt has none */
}

/* ---- which ones ---- */

static int
filter_one(struct span key, struct span value, int64_t now, struct arena *a,
    struct kept_filter *f, struct err *err)
{
	int64_t us;

	if (span_is(key, "queue"))
		f->queue = value;
	else if (span_is(key, "from"))
		f->from = mailaddr_normalise(a, value);
	else if (span_is(key, "to"))
		f->to = mailaddr_normalise(a, value);
	else if (span_is(key, "older") && parse_duration(value, &us))
		f->before = now - us;
	else if (span_is(key, "newer") && parse_duration(value, &us))
		f->after = now - us;
	else if (span_is(key, "older") || span_is(key, "newer"))
		return err_set(err, EINVAL, "`" SPAN_FMT "` wants a time such as 30m, 2h or 7d",
		    SPAN_ARG(key));
	else
		return err_set(err, EINVAL, "`" SPAN_FMT "` is no selector: " SELECTORS, SPAN_ARG(key));
	return 0;
}

int
kept_filter_parse(struct span text, int64_t now, struct arena *a, struct kept_filter *f,
    struct err *err)
{
	text = span_trim(text);
	if (span_is(text, "all"))
		return 0;
	if (id_parse(text, &f->id))
		return 0;
	/* A slip must never select everything: each part is KEY=VALUE, and there is one. */
	for (;;) {
		struct span part = span_sub(text, 0, span_find(text, ','));
		size_t eq = span_find(part, '=');
		struct span value = span_from(part, eq + 1);

		if (eq < part.n && value.n == 0)
			return err_set(err, EINVAL, "nothing stands behind `" SPAN_FMT "`",
			    SPAN_ARG(part));
		if (eq == part.n)
			return err_set(err, EINVAL, "`" SPAN_FMT "` is no selector: " SELECTORS,
			    SPAN_ARG(part));
		if (filter_one(span_sub(part, 0, eq), value, now, a, f, err) == -1)
			return -1;
		if (part.n == text.n)
			return 0;
		text = span_from(text, part.n + 1);
	}
}

/* The filter in SQL: each literal is one of three ways to the rows times what is asked of them. */
#define REST " AND (?3 IS NULL OR k.queue=?3)" \
	" AND (?4 IS NULL OR k.sender=?4 COLLATE NOCASE)" \
	" AND (?5 IS NULL OR substr(k.sender,-length(?5))=?5 COLLATE NOCASE)" \
	" AND (?6 IS NULL OR EXISTS(SELECT 1 FROM kept_rcpt r WHERE r.kid=k.kid" \
	" AND r.address=?6 COLLATE NOCASE))" \
	" AND (?7 IS NULL OR EXISTS(SELECT 1 FROM kept_rcpt r WHERE r.kid=k.kid" \
	" AND substr(r.address,-length(?7))=?7 COLLATE NOCASE))" \
	" AND (?8 IS NULL OR k.time<?8) AND (?9 IS NULL OR k.time>=?9)"
#define WAYS(head, tail) { \
	head " FROM kept k WHERE k.state=1 AND k.kind=?1" REST tail, \
	head " FROM kept k WHERE k.kind=?1" REST tail, \
	head " FROM kept k WHERE k.id=?2 AND k.kind=?1" REST tail }

static void
bind_address(sqlite3_stmt *st, int exact, struct span s, struct arena *a)
{
	if (s.n == 0)
		return;
	if (span_find(s, '@') < s.n && s.p[0] != '@')
		db_text(st, exact, s);
	else
		db_text(st, exact + 1, span_str(arena_printf(a, "%s" SPAN_FMT,
		    s.p[0] == '@' ? "" : "@", SPAN_ARG(s))));
}

static sqlite3_stmt *
filtered(struct db *d, const char *const ways[3], const struct kept_filter *f, struct arena *a,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, ways[f->id ? 2 : f->all ? 1 : 0], err);

	if (st == NULL)
		return NULL;
	db_text(st, 1, span_str(outcome_name(f->kind)));
	if (f->id)
		db_id(st, 2, f->id);
	db_text(st, 3, f->queue);
	bind_address(st, 4, f->from, a);
	bind_address(st, 6, f->to, a);
	if (f->before)
		db_int(st, 8, f->before);
	if (f->after)
		db_int(st, 9, f->after);
	return st;
}

static int
numbers(struct db *d, sqlite3_stmt *st, size_t max, struct arena *a, int64_t **kids, size_t *n,
    struct err *err)
{
	size_t count = 0, room = 0;
	int64_t *list = NULL;
	int r;

	if (st == NULL)
		return -1;
	while ((r = db_step(d, st, err)) == 1 && count < max) {
		if (count == room) {
			room = room ? 2 * room : 64;
			list = arena_grow(a, list, count * sizeof(*list), room * sizeof(*list));
		}
		list[count++] = sqlite3_column_int64(st, 0);
	}
	sqlite3_reset(st);
	if (r == -1)
		return -1;
	*kids = list;
	*n = count;
	return 0;
}

int
kept_select(struct db *d, const struct kept_filter *f, size_t max, struct arena *a,
    int64_t **kids, size_t *n, struct err *err)
{
	static const char *const ways[] = WAYS("SELECT k.kid", " ORDER BY k.kid");

	return numbers(d, filtered(d, ways, f, a, err), max, a, kids, n, err);
}

int
kept_count(struct db *d, const struct kept_filter *f, uint64_t *n, struct err *err)
{
	static const char *const ways[] = WAYS("SELECT count(*)", "");
	struct arena *a = arena_new(0);
	sqlite3_stmt *st = filtered(d, ways, f, a, err);
	int r = st ? db_step(d, st, err) : -1;

	if (r == 1) {
		*n = (uint64_t)sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	arena_free(&a);
	return r == 1 ? 0 : -1;
}

int
kept_due(struct db *d, int64_t now, size_t max, struct arena *a, int64_t **kids, size_t *n,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT kid FROM kept WHERE state=1 AND expires IS NOT NULL"
	    " AND expires<=? ORDER BY expires", err);

	if (st)
		db_int(st, 1, now);
	return numbers(d, st, max, a, kids, n, err);
}

int
kept_unfinished(struct db *d, size_t max, struct arena *a, int64_t **kids, size_t *n,
    struct err *err)
{
	return numbers(d, db_stmt(d, "SELECT kid FROM kept WHERE state IN (2, 3)", err), max, a, kids,
	    n, err);
}

/* ---- one of them ---- */

static int
load_row(struct db *d, sqlite3_stmt *st, struct arena *a, struct kept *k, struct err *err)
{
	struct dec dec;

	*k = (struct kept){ .kid = sqlite3_column_int64(st, 0) };
	k->id = db_column_id(st, 1);
	k->parent = db_column_id(st, 2);
	k->queue = arena_span(a, db_column(st, 4));
	k->state = (enum kept_state)sqlite3_column_int(st, 5);
	k->new_id = db_column_id(st, 6);
	k->size = (uint64_t)sqlite3_column_int64(st, 7);
	k->by = arena_span(a, db_column(st, 9));
	k->voted = sqlite3_column_int(st, 12);
	dec_init(&dec, arena_span(a, db_column(st, 10)));
	envelope_decode(&dec, a, &k->env);
	if (!dec_done(&dec) || !outcome_from_name(db_column(st, 3), &k->kind) ||
	    (db_column(st, 8).n && !outcome_from_name(db_column(st, 8), &k->on_expire)))
		return err_set(err, EIO, "the stored message is damaged");
	return sealed_column_zip(d, st, 11, SEALED_KEPT_RECORD, (int64_t)k->id, RECORD_MAX, a, &k->record,
	    err);
}

static int
load_content(struct db *d, struct kept *k, struct arena *a, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT bytes FROM kept_content WHERE kid=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, k->kid);
	r = db_step(d, st, err);
	if (r == 0)
		return err_set(err, ENOENT, "its content is no longer stored");
	if (r == 1 && sealed_column_zip(d, st, 0, SEALED_CONTENT, k->kid, KEPT_CONTENT_MAX, a, &k->content,
	    err) == -1)
		r = -1;
	sqlite3_reset(st);
	if (r == 1 && k->content.n != k->size)
		return err_set(err, EIO, "its content is damaged");
	return r == 1 ? 0 : -1;
}

int
kept_load(struct db *d, int64_t kid, bool with_content, struct arena *a, struct kept *k,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT kid, id, parent, kind, queue, state, new_id, size,"
	    " on_expire, by, envelope, record, voted FROM kept WHERE kid=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	r = db_step(d, st, err);
	if (r == 1 && load_row(d, st, a, k, err) == -1)
		r = -1;
	sqlite3_reset(st);
	if (r == 1 && with_content && load_content(d, k, a, err) == -1)
		return -1;
	return r;
}

static int
drop_content(struct db *d, int64_t kid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "DELETE FROM kept_content WHERE kid=?", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	return db_run(d, st, err);
}

int
kept_decide(struct db *d, int64_t kid, enum kept_state to, uint64_t new_id, struct span by,
    int64_t now, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE kept SET state=?, new_id=?, by=?, decided=?"
	    " WHERE kid=? AND state=1", err);

	if (st == NULL)
		return -1;
	db_int(st, 1, to);
	db_id(st, 2, new_id);
	db_text(st, 3, by);
	db_int(st, 4, now);
	db_int(st, 5, kid);
	if (db_run(d, st, err) == -1)
		return -1;
	if (db_changes(d) == 0)
		return 0;
	if (to == KEPT_DELETED && drop_content(d, kid, err) == -1)
		return -1;
	return 1;
}

static int
one_number(struct db *d, const char *sql, int64_t kid, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	return db_run(d, st, err);
}

int
kept_done(struct db *d, int64_t kid, struct err *err)
{
	if (one_number(d, "UPDATE kept SET state=state+2 WHERE kid=? AND state IN (2, 3)", kid,
	    err) == -1)
		return -1;
	return drop_content(d, kid, err);
}

int
kept_undo(struct db *d, int64_t kid, struct err *err)
{
	return one_number(d, "UPDATE kept SET state=1, new_id=NULL, by=NULL, decided=NULL"
	    " WHERE kid=? AND state IN (2, 3)", kid, err);
}

int
kept_stay(struct db *d, int64_t kid, struct err *err)
{
	return one_number(d, "UPDATE kept SET expires=NULL WHERE kid=?", kid, err);
}

/* ---- shown to people ---- */

static void
knumber(struct json *j, const char *key, sqlite3_stmt *st, int i)
{
	json_key(j, key);
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		json_null(j);
	else
		json_int(j, sqlite3_column_int64(st, i));
}

static void
ktext(struct json *j, const char *key, sqlite3_stmt *st, int i)
{
	json_key(j, key);
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		json_null(j);
	else
		json_str(j, db_column(st, i));
}

static int
put_recipients(struct db *d, int64_t kid, struct json *j, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "SELECT address FROM kept_rcpt WHERE kid=?", err);
	int r;

	if (st == NULL)
		return -1;
	db_int(st, 1, kid);
	json_key(j, "recipients");
	json_array(j);
	while ((r = db_step(d, st, err)) == 1)
		json_str(j, db_column(st, 0));
	json_end_array(j);
	return r;
}

int
kept_list(struct db *d, const struct kept_filter *f, size_t limit, struct buf *out,
    size_t *found, struct err *err)
{
	static const char *const ways[] = WAYS("SELECT k.kid, k.id, k.new_id, k.kind, k.queue, k.sender,"
	    " k.client, k.subject, k.by, k.on_expire, k.time, k.expires, k.decided, k.size, k.state",
	    " ORDER BY k.kid DESC");
	static const char *const names[] = { "kind", "queue", "sender", "client", "subject", "by",
		"on_expire", "time", "expires", "decided", "size" };
	struct arena *a = arena_new(0);
	sqlite3_stmt *st = filtered(d, ways, f, a, err);
	char id[ID_SIZE];
	int r = st ? 0 : -1;

	*found = 0;
	while (r != -1 && *found < limit && (r = db_step(d, st, err)) == 1) {
		struct json j;

		json_begin(&j, out);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kcstr(&j, "id", id_format(db_column_id(st, 1), id));
		json_kcstr(&j, "new_id", db_column_id(st, 2) ?
		    id_format(db_column_id(st, 2), id) : NULL);
		json_kcstr(&j, "state", kept_state_name((enum kept_state)sqlite3_column_int(st, 14)));
		for (int i = 0; i < 11; i++)
			if (i < 7)
				ktext(&j, names[i], st, i + 3);
			else
				knumber(&j, names[i], st, i + 3);
		if (put_recipients(d, sqlite3_column_int64(st, 0), &j, err) == -1 ||
		    (f->kind == OUTCOME_HOLD && approvals_json(d, sqlite3_column_int64(st, 0),
		    db_column(st, 5), &j, err) == -1))
			r = -1;
		json_end_object(&j);
		buf_putc(out, '\n');
		++*found;
	}
	if (st)
		sqlite3_reset(st);
	arena_free(&a);
	return r == -1 ? -1 : 0;
}
