/* share_words.c -- words as our own index takes them, for PostgreSQL; see share.h.
 *
 * Both must find the same: so texts are cut into words by SQLite's own tokenizer (unicode61 without marks),
 * for what is stored and for what is looked for. A word of the base is the number of its column and the
 * word; columns lie behind each other in one tsvector, so a phrase never crosses from one to the next, for
 * its words would have different numbers.
 */
#include <sqlite3.h>
#include <stdlib.h>

#include "addr.h"
#include "store/search_private.h"
#include "store/share.h"

#define WORD_MAX 200		/* of a token; PostgreSQL takes 2046 bytes */
#define POSITION_MAX 16000	/* a tsvector counts to 16383 */
#define TERM_WORDS 40
#define VECTOR_MAX (700u << 10)	/* a tsvector is below 1 MiB */

struct base_words {
	fts5_tokenizer how;
	Fts5Tokenizer *t;
	unsigned at;		/* the last position */
};

struct base_words *
base_words_new(struct db *d, struct err *err)
{
	static const char *args[] = { "remove_diacritics", "2" };
	sqlite3_stmt *st = db_stmt(d, "SELECT fts5(?1)", err);
	struct base_words *w = calloc(1, sizeof(*w));
	fts5_api *api = NULL;
	void *ud;

	ASSERT(w != NULL);
	if (st)
		sqlite3_bind_pointer(st, 1, (void *)&api, "fts5_api_ptr", NULL);
	if (st == NULL || db_run(d, st, err) == -1 || api == NULL ||
	    api->xFindTokenizer(api, "unicode61", &ud, &w->how) != SQLITE_OK ||
	    w->how.xCreate(ud, args, 2, &w->t) != SQLITE_OK) {
		free(w);
		err_set(err, 0, "this SQLite has no FTS5");
		return NULL;
	}
	return w;
}

void
base_words_free(struct base_words **wp)
{
	if (*wp && (*wp)->t)
		(*wp)->how.xDelete((*wp)->t);
	free(*wp);
	*wp = NULL;
}

static void
put_word(struct buf *out, char column, struct span word)
{
	buf_putc(out, '\'');
	buf_putc(out, column);
	for (size_t i = 0; i < word.n; i++) {
		if (word.p[i] == '\'' || word.p[i] == '\\')
			buf_putc(out, word.p[i]);
		if (word.p[i] != '\0')
			buf_putc(out, word.p[i]);
	}
	buf_putc(out, '\'');
}

static struct span
cut(const char *p, int n)
{
	size_t m = (size_t)n;

	if (m > WORD_MAX)
		for (m = WORD_MAX; m && ((unsigned char)p[m] & 0xc0) == 0x80; m--)
			;
	return span_make(p, m);
}

struct adding {
	struct base_words *w;
	struct buf *out;
	char column;
};

static int
on_word(void *ctx, int flags, const char *p, int n, int start, int end)
{
	struct adding *a = ctx;

	if (buf_size(a->out) > VECTOR_MAX)
		return SQLITE_OK;
	if (a->w->at < POSITION_MAX)
		a->w->at++;
	put_word(a->out, a->column, cut(p, n));
	buf_printf(a->out, ":%u ", a->w->at);
	return SQLITE_OK;
}

void
base_words_add(struct base_words *w, char column, struct span text, struct buf *out)
{
	struct adding a = { w, out, column };

	if (buf_size(out) == 0)
		w->at = 0;
	if (w->at < POSITION_MAX)
		w->at++;		/* no phrase from one text into the next */
	if (text.n)
		w->how.xTokenize(w->t, &a, FTS5_TOKENIZE_DOCUMENT, text.p, (int)text.n, on_word);
}

/* ---- questions ---- */

struct phrase {
	struct span word[TERM_WORDS];
	size_t n;
	struct arena *a;
};

static int
on_part(void *ctx, int flags, const char *p, int n, int start, int end)
{
	struct phrase *f = ctx;

	if (f->n < TERM_WORDS)
		f->word[f->n++] = arena_span(f->a, cut(p, n));
	return SQLITE_OK;
}

static void
phrase_of(struct base_words *w, struct span text, struct arena *a, struct phrase *f)
{
	*f = (struct phrase){ .a = a };
	if (text.n)
		w->how.xTokenize(w->t, f, FTS5_TOKENIZE_QUERY, text.p, (int)text.n, on_part);
}

/* In any of the columns. */
static bool
put_phrase(struct base_words *w, struct buf *out, const char *columns, struct span text, bool prefix, struct arena *a)
{
	struct phrase f;

	phrase_of(w, text, a, &f);
	if (f.n == 0)
		return false;
	buf_putc(out, '(');
	for (const char *c = columns; *c; c++) {
		buf_puts(out, c == columns ? "(" : " | (");
		for (size_t i = 0; i < f.n; i++) {
			if (i)
				buf_puts(out, " <-> ");
			put_word(out, *c, f.word[i]);
			if (prefix && i + 1 == f.n)
				buf_puts(out, ":*");
		}
		buf_putc(out, ')');
	}
	buf_putc(out, ')');
	return true;
}

static void
put_keys(struct buf *out, int one, int other, struct span value)
{
	char key[SEARCH_KEY];

	buf_printf(out, "('0%s'", search_key((enum search_key)one, value, key));
	if (other)
		buf_printf(out, " | '0%s'", search_key((enum search_key)other, value, key));
	buf_putc(out, ')');
}

static bool
is_address(struct span s)
{
	size_t at = span_find(s, '@');

	return at > 0 && at + 1 < s.n;
}

/* As put_party of search_query.c. */
static bool
put_party(struct base_words *w, struct buf *out, const struct search_term *t, struct arena *a, int address, int domain,
    int other_address, int other_domain, const char *columns)
{
	struct span s = t->text, d;

	if (s.n == 0 || (is_address(s) && !t->prefix)) {
		put_keys(out, address, other_address, s.n ? mailaddr_normalise(a, s) : s);
		return true;
	}
	if (s.p[0] == '@' && !t->prefix && domain_normalise(a, span_from(s, 1), &d)) {
		put_keys(out, domain, other_domain, d);
		return true;
	}
	if (!t->prefix && span_find(s, '.') < s.n && domain_normalise(a, s, &d)) {
		buf_putc(out, '(');
		put_keys(out, domain, other_domain, d);
		buf_puts(out, " | ");
		if (!put_phrase(w, out, columns, s, false, a))
			put_keys(out, domain, other_domain, d);
		buf_putc(out, ')');
		return true;
	}
	return put_phrase(w, out, columns, s, t->prefix, a);
}

static bool
put_term(struct base_words *w, struct buf *out, const struct search_term *t, struct arena *a)
{
	char canonical[IP_TEXT_MAX];
	struct ip ip;

	switch (t->field) {
	case SEARCH_FROM:
		return put_party(w, out, t, a, KEY_SENDER, KEY_SENDER_DOMAIN, 0, 0, "1");
	case SEARCH_TO:
		return put_party(w, out, t, a, KEY_RCPT, KEY_RCPT_DOMAIN, 0, 0, "2");
	case SEARCH_SUBJECT:
		return put_phrase(w, out, "3", t->text, t->prefix, a);
	case SEARCH_FILE:
		return put_phrase(w, out, "4", t->text, t->prefix, a);
	case SEARCH_CLIENT:
		return put_phrase(w, out, "5", t->text, t->prefix, a);
	case SEARCH_REPLY:
		return put_phrase(w, out, "7", t->text, t->prefix, a);
	case SEARCH_RULE:
		if (t->prefix)
			return put_phrase(w, out, "6", t->text, true, a);
		put_keys(out, KEY_RULE, 0, t->text);
		return true;
	default:
		if (!t->prefix && ip_parse(t->text, &ip)) {
			put_keys(out, KEY_CLIENT, 0, span_str(ip_format(ip, canonical)));
			return true;
		}
		return put_party(w, out, t, a, KEY_SENDER, KEY_SENDER_DOMAIN, KEY_RCPT, KEY_RCPT_DOMAIN, "123456");
	}
}

static void
join(struct buf *out)
{
	if (buf_size(out))
		buf_puts(out, " & ");
}

/* What this one may see: nothing else is found. */
static void
put_limits(struct buf *out, const struct principal *p)
{
	char key[SEARCH_KEY];

	join(out);
	buf_puts(out, "('0nothing'");
	for (size_t i = 0; principal_is(p, PRINCIPAL_BIT(DOMAIN_ADMIN)) && i < p->ndomains; i++) {
		buf_printf(out, " | '0%s'", search_key(KEY_SENDER_DOMAIN, p->domains[i], key));
		buf_printf(out, " | '0%s'", search_key(KEY_RCPT_DOMAIN, p->domains[i], key));
	}
	for (size_t i = 0; principal_is(p, PRINCIPAL_BIT(USER)) && i < p->naddresses; i++) {
		buf_printf(out, " | '0%s'", search_key(KEY_SENDER, p->addresses[i], key));
		buf_printf(out, " | '0%s'", search_key(KEY_RCPT, p->addresses[i], key));
	}
	buf_putc(out, ')');
}

void
base_words_query(struct base_words *w, const struct search_query *q, const struct principal *who, struct arena *a,
    struct span *words, struct span *replies, bool *anywhere)
{
	struct buf main, reply, all;
	bool named = who != NULL, any = false;

	buf_init(&main, 256u << 10);
	buf_init(&reply, 256u << 10);
	buf_init(&all, 256u << 10);
	for (size_t i = 0; i < q->n; i++) {
		const struct search_term *t = &q->terms[i];
		struct buf *to = t->field == SEARCH_REPLY ? &reply : &main;
		struct buf one;

		named |= t->field != SEARCH_ANY;
		any |= t->field == SEARCH_REPLY;
		buf_init(&one, 128u << 10);
		if (put_term(w, &one, t, a)) {
			join(to);
			buf_span(to, buf_data(&one));
		}
		buf_reset(&one);
		if (put_phrase(w, &one, "7", t->text, t->prefix, a)) {
			join(&all);
			buf_span(&all, buf_data(&one));
		}
		buf_release(&one);
	}
	if (who)
		put_limits(&main, who);
	*anywhere = !named && !any && buf_size(&all) && buf_size(&main);
	*words = arena_span(a, buf_data(&main));
	*replies = arena_span(a, *anywhere ? buf_data(&all) : buf_data(&reply));
	buf_release(&main);
	buf_release(&reply);
	buf_release(&all);
}
