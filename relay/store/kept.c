/* kept.c -- messages that wait for a decision; see kept.h for their states. */
#include <errno.h>

#include "addr.h"
#include "conf.h"
#include "id.h"
#include "ipc/json_read.h"
#include "store/claim.h"
#include "store/kept.h"
#include "store/sealed.h"

#define SUBJECT_MAX 1000
#define WORDS_RECIPIENTS 100
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

const char *
kept_name(const struct kept *k, char text[KEPT_NAME])
{
	snprintf(text, KEPT_NAME, "%s%lld", k->guest ? "g" : "", (long long)(k->guest ? k->home_gid : k->kid));
	return text;
}

const char *
kept_name_of(struct db *d, int64_t kid, char text[KEPT_NAME])
{
	sqlite3_stmt *st = db_stmt(d, "SELECT home_gid FROM kept WHERE kid=? AND home IS NOT NULL", NULL);
	struct kept k = { .kid = kid };

	if (st)
		db_int(st, 1, kid);
	if (st && db_step(d, st, NULL) == 1) {
		k.guest = true;
		k.home_gid = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	return kept_name(&k, text);
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

/* What the scanner's record says of it. */
struct summary {
	struct span subject;	/* decoded there; else as it stands */
	struct span class, virus;
};

static struct summary
summary_of(const struct msg_keep *m, struct span content, struct arena *a)
{
	struct jval *v = m->record.n ? jval_parse(m->record, NULL) : NULL;
	struct span spam = jval_text(jval_get(v, "spam"), "class");
	struct summary s = {
		.subject = arena_span(a, span_sub(jval_text(v, "subject"), 0, SUBJECT_MAX)),
		.virus = arena_span(a, jval_text(jval_get(v, "virus"), "name")),
	};

	s.class = jval_get(v, "virus") && jval_is_object(jval_get(v, "virus")) ? SPAN_LIT("virus") :
	    jval_bool(v, "unscannable") ? SPAN_LIT("unscannable") : spam.n ? arena_span(a, spam) :
	    SPAN_LIT("policy");
	jval_free(&v);
	if (s.subject.n == 0)
		s.subject = raw_subject(content, a);
	return s;
}

static struct span
domain_of(struct span address, struct arena *a)
{
	size_t at = span_find(address, '@');
	struct span d = arena_span(a, span_from(address, at + 1));

	for (size_t i = 0; i < d.n; i++)
		((char *)(uintptr_t)d.p)[i] = ascii_lower(d.p[i]);
	return d;
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
put_row(struct db *d, const struct msg_keep *m, const struct envelope *env,
    const struct summary *s, struct span content, int64_t now, struct arena *a, struct err *err)
{
	char client[IP_TEXT_MAX];
	struct buf blob;
	struct enc e = { &blob };
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO kept(id, parent, kind, queue, time, expires,"
	    " on_expire, sender, client, subject, size, state, envelope, record, direction, class,"
	    " sender_domain, virus) VALUES(?,?,?,?,?,?,?,?,?,?,?,1,?,?,?,?,?,?)", err);
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
	db_text(st, 10, s->subject);
	db_int(st, 11, (int64_t)content.n);
	db_blob(st, 12, buf_data(&blob).p, buf_size(&blob));
	db_int(st, 14, env->direction);
	db_text(st, 15, s->class);
	db_text(st, 16, domain_of(env->sender, a));
	db_text(st, 17, s->virus);
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
put_rcpts(struct db *d, int64_t kid, const struct envelope *env, struct arena *a, struct err *err)
{
	for (size_t i = 0; i < env->nrecipients; i++) {
		sqlite3_stmt *st = db_stmt(d, "INSERT OR IGNORE INTO kept_rcpt(kid, address, domain, state,"
		    " kind) SELECT ?1, ?2, ?3, state, kind FROM kept WHERE kid=?1", err);

		if (st == NULL)
			return -1;
		db_int(st, 1, kid);
		db_text_always(st, 2, env->recipients[i].address);
		db_text(st, 3, domain_of(env->recipients[i].address, a));
		if (db_run(d, st, err) == -1)
			return -1;
	}
	return 0;
}

/* What is searched: its kind, so that a search in one need not pass the others; sender, subject, the
 * first recipients. */
static int
put_words(struct db *d, int64_t kid, enum outcome kind, const struct envelope *env,
    struct span subject, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "INSERT INTO kept_words(rowid, words) VALUES(?,?)", err);
	struct buf b;
	int r;

	if (st == NULL)
		return -1;
	buf_init(&b, FRAME_BIG);
	buf_printf(&b, "#%s " SPAN_FMT " ", outcome_name(kind), SPAN_ARG(env->sender));
	buf_span(&b, subject);
	for (size_t i = 0; i < env->nrecipients && i < WORDS_RECIPIENTS; i++) {
		buf_putc(&b, ' ');
		buf_span(&b, env->recipients[i].address);
	}
	db_int(st, 1, kid);
	db_text_always(st, 2, buf_data(&b));
	r = db_run(d, st, err);
	buf_release(&b);
	return r;
}

int
kept_put(struct db *d, const struct msg_keep *m, struct span content, int64_t now,
    struct arena *a, struct err *err)
{
	struct envelope env = m->env;
	struct summary s;
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
	s = summary_of(m, content, a);
	if (put_row(d, m, &env, &s, content, now, a, err) == -1)
		return -1;
	kid = db_last_rowid(d);
	if (put_words(d, kid, m->kind, &env, s.subject, err) == -1 || put_rcpts(d, kid, &env, a, err) == -1 ||
	    put_content(d, kid, content, err) == -1)
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
	" AND (?8 IS NULL OR k.time<?8) AND (?9 IS NULL OR k.time>=?9) AND k.home IS NULL"
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
kept_select_newest(struct db *d, const struct kept_filter *f, size_t max, struct arena *a,
    int64_t **kids, size_t *n, struct err *err)
{
	static const char *const ways[] = WAYS("SELECT k.kid", " ORDER BY k.kid DESC");

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
	k->class = arena_span(a, db_column(st, 13));
	k->virus = arena_span(a, db_column(st, 14));
	k->guest = sqlite3_column_type(st, 15) != SQLITE_NULL;
	k->home = sqlite3_column_int64(st, 15);
	k->home_kid = sqlite3_column_int64(st, 16);
	k->home_gid = sqlite3_column_int64(st, 17);
	k->home_node = arena_span(a, db_column(st, 18));
	if (k->guest && sqlite3_column_int(st, 5) == KEPT_GUEST)
		k->state = KEPT_WAITING;
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
	    " on_expire, by, envelope, record, voted, class, virus, home, home_kid, home_gid, home_node FROM kept"
	    " WHERE kid=?", err);
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
	    " WHERE kid=? AND state IN (1, 7)", err);

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
	if (to == KEPT_DELETED && (drop_content(d, kid, err) == -1 || claim_carried_out(d, kid, err) == -1))
		return -1;
	return 1;
}

int
kept_done(struct db *d, int64_t kid, struct err *err)
{
	if (db_run_int(d, "UPDATE kept SET state=state+2 WHERE kid=? AND state IN (2, 3)", kid,
	    err) == -1 || claim_carried_out(d, kid, err) == -1)
		return -1;
	return drop_content(d, kid, err);
}

int
kept_undo(struct db *d, int64_t kid, struct err *err)
{
	if (db_run_int(d, "UPDATE kept SET state=CASE WHEN home IS NULL THEN 1 ELSE 7 END, new_id=NULL, by=NULL,"
	    " decided=NULL WHERE kid=? AND state IN (2, 3)", kid, err) == -1)
		return -1;
	return claim_given_back(d, kid, err);
}

int
kept_stay(struct db *d, int64_t kid, struct err *err)
{
	return db_run_int(d, "UPDATE kept SET expires=NULL WHERE kid=?", kid, err);
}

int
kept_virus(struct db *d, int64_t kid, struct span name, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE kept SET virus=?, class='virus' WHERE kid=?", err);

	if (st == NULL)
		return -1;
	db_text(st, 1, name.n ? name : SPAN_LIT("unnamed"));
	db_int(st, 2, kid);
	return db_run(d, st, err);
}

/* ---- a row for some of the recipients ---- */

static int
set_envelope(struct db *d, int64_t kid, const struct envelope *env, struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, "UPDATE kept SET envelope=? WHERE kid=?", err);
	struct buf blob;
	struct enc e = { &blob };
	int r;

	if (st == NULL)
		return -1;
	buf_init(&blob, FRAME_BIG);
	envelope_encode(&e, env);
	db_blob(st, 1, buf_data(&blob).p, buf_size(&blob));
	db_int(st, 2, kid);
	r = buf_failed(&blob) ? err_set(err, E2BIG, "the envelope is too large") : db_run(d, st, err);
	buf_release(&blob);
	return r;
}

static int
two_numbers(struct db *d, const char *sql, int64_t one, int64_t other, struct span text,
    struct err *err)
{
	sqlite3_stmt *st = db_stmt(d, sql, err);

	if (st == NULL)
		return -1;
	db_int(st, 1, one);
	db_int(st, 2, other);
	db_text(st, 3, text);
	return db_run(d, st, err);
}

int
kept_split(struct db *d, const struct kept *k, const bool *mine, struct arena *a, int64_t *kid,
    struct err *err)
{
	struct envelope moved = k->env, left = k->env;
	struct span subject = { 0 };
	sqlite3_stmt *st;

	*kid = k->kid;
	moved.recipients = arena_array(a, k->env.nrecipients, sizeof(*moved.recipients));
	left.recipients = arena_array(a, k->env.nrecipients, sizeof(*left.recipients));
	moved.nrecipients = left.nrecipients = 0;
	for (size_t i = 0; i < k->env.nrecipients; i++)
		if (mine[i])
			moved.recipients[moved.nrecipients++] = k->env.recipients[i];
		else
			left.recipients[left.nrecipients++] = k->env.recipients[i];
	if (left.nrecipients == 0)
		return 0;
	if (two_numbers(d, "INSERT INTO kept(id, parent, kind, queue, time, expires, on_expire, sender,"
	    " client, subject, size, state, envelope, record, voted, direction, class, sender_domain, virus)"
	    " SELECT id, parent, kind, queue, time, expires, on_expire, sender, client, subject, size,"
	    " state, envelope, record, voted, direction, class, sender_domain, virus FROM kept"
	    " WHERE kid=?1 AND ?2=?2", k->kid, 0, (struct span){ 0 }, err) == -1)
		return -1;
	*kid = db_last_rowid(d);
	if ((st = db_stmt(d, "SELECT subject FROM kept WHERE kid=?", err)) == NULL)
		return -1;
	db_int(st, 1, *kid);
	if (db_step(d, st, err) == 1)
		subject = arena_span(a, db_column(st, 0));
	sqlite3_reset(st);
	if (set_envelope(d, *kid, &moved, err) == -1 || set_envelope(d, k->kid, &left, err) == -1 ||
	    put_words(d, *kid, k->kind, &moved, subject, err) == -1 ||
	    put_content(d, *kid, k->content, err) == -1)
		return -1;
	for (size_t i = 0; i < moved.nrecipients; i++)
		if (two_numbers(d, "UPDATE kept_rcpt SET kid=?1 WHERE kid=?2 AND address=?3", *kid, k->kid,
		    moved.recipients[i].address, err) == -1 ||
		    two_numbers(d, "UPDATE kept_request SET kid=?1 WHERE kid=?2 AND address=?3", *kid,
		    k->kid, moved.recipients[i].address, err) == -1)
			return -1;
	if (two_numbers(d, "INSERT INTO approval(kid, rule, decider, approvals) SELECT ?1, rule, decider,"
	    " approvals FROM approval WHERE kid=?2", *kid, k->kid, (struct span){ 0 }, err) == -1 ||
	    two_numbers(d, "INSERT INTO approver(kid, rule, pattern) SELECT ?1, rule, pattern"
	    " FROM approver WHERE kid=?2", *kid, k->kid, (struct span){ 0 }, err) == -1)
		return -1;
	return two_numbers(d, "INSERT INTO vote(kid, address, approve, time, via, reason) SELECT ?1, address,"
	    " approve, time, via, reason FROM vote WHERE kid=?2", *kid, k->kid, (struct span){ 0 }, err);
}
