/* bayes_control.c -- what people ask the classifier and teach it; requests and answers as in
 * store_control.c.
 *
 *	{"cmd":"bayes.status"}
 *	{"cmd":"bayes.key"}				the secret its hashes are made with: local alone
 *	{"cmd":"bayes.train","class":"spam|ham|none","messages":[
 *		{"id":"ID"} | {"file":"16 hex digits","tokens":"base64"} …]}
 *	{"cmd":"bayes.ask","tokens":"base64"}		what it says of these
 *	{"cmd":"bayes.clear"}				forgets everything
 *	{"cmd":"bayes.export","after":TOKEN}		a page: {"v":1,"tokens":[[token,spam,ham,day]…],"more":BOOL}
 *	{"cmd":"bayes.import","step":"begin","key":"hex"}, {…"step":"tokens","tokens":[[…]…]},
 *		{…"step":"end","spam":N,"ham":N,"since":T}
 *
 * Operators see and teach; the secret, the whole table and its end are the machine's administrator's.
 */
#include <string.h>

#include "base64.h"
#include "clock.h"
#include "id.h"
#include "store/asked.h"
#include "store/audit.h"
#include "store/bayes.h"

#define TRAIN_MAX 200			/* of one request */
#define PAGE_MAX 10000

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
hex_bytes(struct span s, uint8_t *out, size_t n)
{
	if (s.n != 2 * n)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		int d = hex_digit(s.p[i]);

		if (d == -1)
			return false;
		out[i / 2] = (uint8_t)((i % 2 ? out[i / 2] << 4 : 0) | d);
	}
	return true;
}

static void
put_hex(struct json *j, const char *key, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * sizeof(struct bayes_key)];

	ASSERT(2 * n <= sizeof(text));
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[p[i] >> 4];
		text[2 * i + 1] = digits[p[i] & 15];
	}
	json_kstr(j, key, span_make(text, 2 * n));
}

/* ---- how it is ---- */

static void
do_status(struct asked *q)
{
	const struct bayes_book *b = q->s->bayes;
	const struct bayes_head *h = &b->db.table.head;
	uint64_t remembered;
	struct err err;
	struct json j;

	if (bayes_db_remembered(&q->s->bayes->db, &remembered, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kbool(&j, "on", true);
	json_kbool(&j, "ready", bayes_model_ready(h));
	json_kuint(&j, "spam", h->spam);
	json_kuint(&j, "ham", h->ham);
	json_kuint(&j, "minimum", h->minimum_spam);
	json_kuint(&j, "tokens", h->tokens);
	json_kuint(&j, "tokens_max", b->db.table.max);
	json_kuint(&j, "remembered", remembered);
	json_kuint(&j, "limited", b->limited);
	json_key(&j, "since");
	if (b->db.since)
		json_int(&j, b->db.since);
	else
		json_null(&j);
	json_kint(&j, "published", b->published);
	json_kbool(&j, "changed", b->db.changed);
	close_line(q->reply, &j);
}

void
bayes_json(const struct store *s, struct json *j)
{
	const struct bayes_head *h = s->bayes ? &s->bayes->db.table.head : NULL;

	json_key(j, "bayes");
	if (h == NULL) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kbool(j, "ready", bayes_model_ready(h));
	json_kuint(j, "spam", h->spam);
	json_kuint(j, "ham", h->ham);
	json_kuint(j, "minimum", h->minimum_spam);
	json_end_object(j);
}

static void
do_key(struct asked *q)
{
	const struct bayes_head *h = &q->s->bayes->db.table.head;
	struct json j = open_line(q->reply);

	put_hex(&j, "key", h->key.bytes, sizeof(h->key.bytes));
	json_kuint(&j, "spam", h->spam);
	json_kuint(&j, "ham", h->ham);
	json_kint(&j, "since", q->s->bayes->db.since);
	close_line(q->reply, &j);
}

/* ---- teaching ---- */

static bool
tokens_of(struct asked *q, const struct jval *v, struct span *out)
{
	uint32_t hashes[BAYES_TOKENS];
	struct buf b;
	bool good;
	size_t n;

	buf_init(&b, TOKENS_MAX);
	good = base64_decode(&b, jval_text(v, "tokens")) == 0 &&
	    bayes_unpack(buf_data(&b), hashes, &n) && n > 0;
	*out = arena_span(q->arena, buf_data(&b));
	buf_release(&b);
	return good;
}

/* false: it makes no sense. */
static bool
lesson_of(struct asked *q, const struct jval *v, struct bayes_lesson *l)
{
	struct span file = jval_text(v, "file");
	uint8_t bytes[8];
	uint64_t id = 0;

	if (file.n) {
		if (!hex_bytes(file, bytes, sizeof(bytes)))
			return false;
		for (size_t i = 0; i < sizeof(bytes); i++)
			id = id << 8 | bytes[i];
		if (!(id >> 63))
			return false;
		l->id = (int64_t)id;
		return (l->as == BAYES_NONE && !jval_has(v, "tokens")) || tokens_of(q, v, &l->tokens);
	}
	if (!id_parse(span_trim(jval_text(v, "id")), &id))
		return false;
	l->id = (int64_t)id;
	return true;
}

static void
do_train(struct asked *q)
{
	const struct jval *list = jval_get(q->req, "messages"), *v;
	struct span as = jval_text(q->req, "class");
	size_t n = jval_count(list), done[BAYES_LIMIT + 1] = { 0 };
	struct bayes_lesson *l;
	enum bayes_done *did;
	struct err err;
	struct json j;

	if (n == 0 || n > TRAIN_MAX) {
		say_error(q, "train wants 1 to 200 messages");
		return;
	}
	if (!span_is(as, "spam") && !span_is(as, "ham") && !span_is(as, "none")) {
		say_error(q, "`class` is spam, ham or none");
		return;
	}
	l = arena_array(q->arena, n, sizeof(*l));
	did = arena_array(q->arena, n, sizeof(*did));
	for (size_t i = 0; i < n; i++) {
		v = jval_at(list, i);
		l[i] = (struct bayes_lesson){ .by = asked_by(q), .limited = !q->who.local,
			.as = span_is(as, "spam") ? BAYES_SPAM : span_is(as, "ham") ? BAYES_HAM : BAYES_NONE };
		if (!lesson_of(q, v, &l[i])) {
			say_error(q, "a message is {id}, or {file, tokens}");
			return;
		}
	}
	if (bayes_learn_all(q->s, l, n, asked_by(q), did, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	for (size_t i = 0; i < n; i++)
		done[did[i]]++;
	j = open_line(q->reply);
	for (int i = 0; i <= BAYES_LIMIT; i++)
		json_kuint(&j, bayes_done_name((enum bayes_done)i), done[i]);
	close_line(q->reply, &j);
}

static void
do_clear(struct asked *q)
{
	struct err err;
	struct json j;

	store_flush(q->s);
	store_settle(q->s);
	if (db_begin(q->s->db, true, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	if (bayes_db_clear(&q->s->bayes->db, false, &err) == -1 || audit_put(q->s->db, asked_by(q),
	    "bayes.clear", (struct span){ 0 }, (struct span){ 0 }, clock_real(), &err) == -1 ||
	    db_commit(q->s->db, &err) == -1) {
		db_rollback(q->s->db);
		say_error(q, err.text);
		bayes_db_reload(&q->s->bayes->db, &err);
		return;
	}
	j = open_line(q->reply);
	json_kbool(&j, "cleared", true);
	close_line(q->reply, &j);
}

/* ---- asking ---- */

static void
do_ask(struct asked *q)
{
	const struct bayes_model m = { &q->s->bayes->db.table.head, q->s->bayes->db.table.slots };
	uint32_t hashes[BAYES_TOKENS];
	struct bayes_rating r;
	struct span packed;
	struct json j;
	size_t n;

	if (!tokens_of(q, q->req, &packed) || !bayes_unpack(packed, hashes, &n)) {
		say_error(q, "`tokens` cannot be read");
		return;
	}
	bayes_rate(&m, hashes, n, &r);
	j = open_line(q->reply);
	json_kbool(&j, "known", r.known);
	json_kuint(&j, "spam", r.percent);
	json_key(&j, "p");
	json_num(&j, r.p);
	json_kcstr(&j, "says", r.known ? bayes_says(r.percent) : NULL);
	json_kuint(&j, "used", r.used);
	json_kuint(&j, "seen", r.seen);
	json_key(&j, "clues");
	json_array(&j);
	for (size_t i = 0; i < r.nclues; i++) {
		const struct bayes_slot *s = bayes_model_find(&m, hashes[r.clues[i].token]);

		json_object(&j);
		json_kuint(&j, "token", r.clues[i].token);
		json_kuint(&j, "spam", (uint64_t)(r.clues[i].p * 100 + 0.5));
		json_kuint(&j, "in_spam", s ? s->spam : 0);
		json_kuint(&j, "in_ham", s ? s->ham : 0);
		json_end_object(&j);
	}
	json_end_array(&j);
	close_line(q->reply, &j);
}

/* ---- all of it ---- */

static void
do_export(struct asked *q)
{
	struct bayes_slot *v = arena_array(q->arena, PAGE_MAX, sizeof(*v));
	int64_t after = jval_int(q->req, "after", 0);
	struct err err;
	struct json j;
	size_t n;

	if (after < 0 || after > UINT32_MAX) {
		say_error(q, "`after` is a token");
		return;
	}
	if (bayes_db_page(&q->s->bayes->db, (uint32_t)after, PAGE_MAX, v, &n, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kbool(&j, "more", n == PAGE_MAX);
	json_key(&j, "tokens");
	json_array(&j);
	for (size_t i = 0; i < n; i++) {
		const uint32_t four[4] = { v[i].token, v[i].spam, v[i].ham, v[i].day };

		json_array(&j);
		for (int k = 0; k < 4; k++)
			json_uint(&j, four[k]);
		json_end_array(&j);
	}
	json_end_array(&j);
	close_line(q->reply, &j);
}

static bool
slot_of(const struct jval *v, struct bayes_slot *s)
{
	uint32_t four[4];

	if (jval_count(v) != 4)
		return false;
	for (size_t k = 0; k < 4; k++) {
		double d = jval_num(jval_at(v, k), -1);

		if (d < 0 || d > UINT32_MAX)
			return false;
		four[k] = (uint32_t)d;
	}
	*s = (struct bayes_slot){ four[0], four[1], four[2], four[3] };
	return s->token != 0;
}

static int
import_tokens(struct asked *q, size_t *taken, struct err *err)
{
	const struct jval *list = jval_get(q->req, "tokens");
	size_t n = jval_count(list);
	struct bayes_slot *v;

	if (n > PAGE_MAX)
		return err_set(err, 0, "too many tokens at once");
	v = arena_array(q->arena, n, sizeof(*v));
	for (size_t i = 0; i < n; i++)
		if (!slot_of(jval_at(list, i), &v[i]))
			return err_set(err, 0, "a token is four numbers: hash, spam, ham, day");
	return bayes_db_take(&q->s->bayes->db, v, n, taken, err);
}

static int
import_step(struct asked *q, size_t *taken, struct err *err)
{
	struct bayes_db *b = &q->s->bayes->db;
	struct span step = jval_text(q->req, "step");
	struct bayes_key key;
	int64_t spam, ham;

	if (span_is(step, "begin")) {
		if (!hex_bytes(jval_text(q->req, "key"), key.bytes, sizeof(key.bytes)))
			return err_set(err, 0, "`key` is 32 hex digits");
		return bayes_db_clear(b, true, err) == -1 || bayes_db_set_key(b, &key, err) == -1 ? -1 : 0;
	}
	if (span_is(step, "tokens"))
		return import_tokens(q, taken, err);
	spam = jval_int(q->req, "spam", -1);
	ham = jval_int(q->req, "ham", -1);
	if (!span_is(step, "end") || spam < 0 || spam > UINT32_MAX || ham < 0 || ham > UINT32_MAX)
		return err_set(err, 0, "`step` is begin, tokens, or end with `spam` and `ham`");
	if (audit_put(b->db, asked_by(q), "bayes.import", (struct span){ 0 }, span_str(arena_printf(q->arena,
	    "%u tokens, %lld spam, %lld ham", b->table.head.tokens, (long long)spam, (long long)ham)),
	    clock_real(), err) == -1)
		return -1;
	return bayes_db_totals(b, (uint32_t)spam, (uint32_t)ham, jval_int(q->req, "since", 0), err);
}

static void
do_import(struct asked *q)
{
	size_t taken = 0;
	struct err err;
	struct json j;

	store_flush(q->s);
	store_settle(q->s);
	if (db_begin(q->s->db, false, &err) == -1) {
		say_error(q, err.text);
		return;
	}
	if (import_step(q, &taken, &err) == -1 || db_commit(q->s->db, &err) == -1) {
		struct err ignored;

		db_rollback(q->s->db);
		bayes_db_reload(&q->s->bayes->db, &ignored);
		say_error(q, err.text);
		return;
	}
	j = open_line(q->reply);
	json_kuint(&j, "taken", taken);
	close_line(q->reply, &j);
}

/* ---- which ---- */

#define OPERATORS (PRINCIPAL_BIT(OPERATOR))
#define READERS (OPERATORS | PRINCIPAL_BIT(AUDITOR))

static const struct {
	const char *name;
	bool local;		/* of the control socket alone */
	unsigned roles;
	void (*run)(struct asked *q);
} commands[] = {
	{ "bayes.status", false, READERS, do_status },
	{ "bayes.ask", false, OPERATORS, do_ask },
	{ "bayes.train", false, OPERATORS, do_train },
	{ "bayes.key", true, 0, do_key },
	{ "bayes.clear", true, 0, do_clear },
	{ "bayes.export", true, 0, do_export },
	{ "bayes.import", true, 0, do_import },
};

void
bayes_client(struct asked *q)
{
	struct span cmd = jval_text(q->req, "cmd");

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (!span_is(cmd, commands[i].name))
			continue;
		if (commands[i].local ? !q->who.local : !principal_is(&q->who, commands[i].roles))
			say_error(q, "that is not yours to ask");
		else if (q->s->bayes)
			commands[i].run(q);
		else if (span_is(cmd, "bayes.status")) {
			struct json j = open_line(q->reply);

			json_kbool(&j, "on", false);
			close_line(q->reply, &j);
		} else
			say_error(q, "the classifier is off: `antispam: {bayes: off}`, or its table cannot be read "
			    "(see the log)");
		return;
	}
	say_error(q, "the store knows no such command");
}
