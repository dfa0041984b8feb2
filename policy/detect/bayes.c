/* bayes.c -- what of a message counts for the classifier; see postern/bayes.h.
 *
 * In this order, until there are BAYES_TOKENS: what its header and parts are like, who wrote it,
 * where its links lead, its subject, then the words of its visible texts and each two that
 * stand side by side (the pairs are what tells "account" from "your account"). Texts are
 * folded already (case, accents, compatibility forms, invisible characters), so that "Vía" and "via"
 * are one word. Of scripts without spaces each character is a word, and the pairs do the rest.
 *
 * Numbers are no words: from four digits on a word's digits all become 0. So neither a telephone number nor an
 * account number can be found again by trying, and the table is not filled with what never comes
 * again.
 *
 * Left out: trace headers and what filters before us wrote (it would learn from their verdict, and a
 * forged one), and the texts of attachments (bounded time; other detectors read them).
 */
#include <stdio.h>
#include <string.h>

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "postern/anatomy.h"
#include "postern/bayes.h"
#include "postern/err.h"
#include "postern/url.h"
#include "table.h"

#define SET (4u * BAYES_TOKENS)		/* a quarter full at most */
#define DIGITS_MAX 3			/* of a word that stays as it is */
#define WORD_MIN 3			/* characters of a word that counts alone */
#define FILES_MAX 16
#define PARTS_MAX 16

static const struct { const char *name; bool content; } kinds[] = {
#define X(name, text, content) { text, content },
	BAYES_KINDS(X)
#undef X
};

/* Their being there says something, and who archives mail does not add them. */
static const char *const told[] = { "List-Unsubscribe", "List-Id", "List-Post", "Precedence", "Reply-To",
	"In-Reply-To", "References", "Message-ID", "Date", "Sender", "Cc", "MIME-Version", "X-Priority",
	"Importance", "Auto-Submitted", "Organization", "Content-Language", "Feedback-ID", "X-Mailer",
	"User-Agent", "Disposition-Notification-To", "Return-Receipt-To", "X-PHP-Originating-Script" };

struct maker {
	const struct bayes_key *key;
	struct arena *a;
	struct bayes_tokens *out;
	uint64_t pair[2];	/* odd multipliers, of the key */
	size_t left;		/* of BAYES_READ */
	uint32_t set[SET];
};

const char *
bayes_kind_name(enum bayes_kind k)
{
	ASSERT(k < BAYES_KIND_COUNT);
	return kinds[k].name;
}

bool
bayes_kind_is_content(enum bayes_kind k)
{
	ASSERT(k < BAYES_KIND_COUNT);
	return kinds[k].content;
}

/* ---- the set ---- */

static bool
full(const struct maker *m)
{
	return m->out->n == BAYES_TOKENS;
}

static void
put(struct maker *m, enum bayes_kind kind, uint64_t h, struct span text)
{
	uint32_t hash = (uint32_t)(h >> 32), at;

	if (hash == 0)
		hash = 1;
	if (full(m))
		return;
	for (at = hash & (SET - 1); m->set[at]; at = (at + 1) & (SET - 1))
		if (m->set[at] == hash)
			return;
	m->set[at] = hash;
	m->out->v[m->out->n++] = (struct bayes_token){ hash, kind, text };
}

/* Keyed, and told apart by kind: "free" of a subject is not "free" of a text. */
static uint64_t
hash_of(const struct maker *m, enum bayes_kind kind, struct span s)
{
	char b[1 + BAYES_WORD];
	size_t n = s.n < BAYES_WORD ? s.n : BAYES_WORD;

	b[0] = (char)('A' + (int)kind);
	memcpy(b + 1, s.n ? s.p : "", n);
	return siphash(m->key->bytes, b, n + 1);
}

static void
fact(struct maker *m, enum bayes_kind kind, const char *what, struct span value)
{
	const char *text = arena_printf(m->a, "%s%s" SPAN_FMT, what, *what && value.n ? ":" : "",
	    SPAN_ARG(span_sub(value, 0, BAYES_WORD)));
	struct span s = span_sub(span_str(text), 0, BAYES_WORD);
	char *p = (char *)(uintptr_t)s.p;

	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(p[i]);
	put(m, kind, hash_of(m, kind, s), s);
}

static void
bucket(struct maker *m, const char *what, uint64_t v)
{
	int log = 0;

	for (; v; v >>= 1)
		log++;
	fact(m, BAYES_SHAPE, what, span_str(arena_printf(m->a, "2^%d", log)));
}

/* ---- words ---- */

enum sort { SORT_NONE, SORT_WORD, SORT_DIGIT, SORT_ALONE, SORT_INNER };
/* ALONE: a word by itself. INNER: belongs to a word when it stands within one. */

static enum sort
sort_ascii(uint8_t c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return SORT_WORD;
	if (c >= '0' && c <= '9')
		return SORT_DIGIT;
	return c == '$' || c == '%' || c == '!' ? SORT_ALONE : c == '\'' || c == '-' ? SORT_INNER : SORT_NONE;
}

static enum sort
sort_unicode(UChar32 c)
{
	int lb;

	if (c < 0)
		return SORT_NONE;
	if (u_charType(c) == U_CURRENCY_SYMBOL || u_hasBinaryProperty(c, UCHAR_EMOJI_PRESENTATION))
		return SORT_ALONE;
	if (u_isdigit(c))
		return SORT_DIGIT;
	if (!u_isalnum(c) && u_charType(c) != U_NON_SPACING_MARK)
		return SORT_NONE;
	if (c < 0xe00)
		return SORT_WORD;
	lb = u_getIntPropertyValue(c, UCHAR_LINE_BREAK);
	return lb == U_LB_IDEOGRAPHIC || lb == U_LB_COMPLEX_CONTEXT ||
	    lb == U_LB_CONDITIONAL_JAPANESE_STARTER || lb == U_LB_NONSTARTER ? SORT_ALONE : SORT_WORD;
}

struct word {
	struct span s;		/* n 0: no more */
	size_t letters, digits;
	bool alone;
};

static enum sort
next(struct span s, size_t *at)
{
	uint8_t c = (uint8_t)s.p[*at];
	UChar32 u;

	if (c < 0x80) {
		++*at;
		return sort_ascii(c);
	}
	U8_NEXT((const uint8_t *)s.p, *at, s.n, u);
	return sort_unicode(u);
}

static struct word
word_next(struct span s, size_t *at)
{
	struct word w = { 0 };
	size_t from = 0, to = 0, i = *at;

	while (i < s.n) {
		size_t was = i;
		enum sort k = next(s, &i);

		if (k == SORT_WORD || k == SORT_DIGIT) {
			if (to == 0)
				from = was;
			w.letters++;
			w.digits += k == SORT_DIGIT;
			to = i;
		} else if (k == SORT_ALONE && to == 0) {
			w.alone = true;
			from = was;
			to = i;
			break;
		} else if (to && !(k == SORT_INNER && to == was)) {
			i = was;	/* it may be a word by itself */
			break;
		}
	}
	*at = i;
	w.s = to ? span_make(s.p + from, to - from) : (struct span){ 0 };
	return w;
}

/* What stands for the word: itself, or its shape. */
static struct span
word_text(struct maker *m, const struct word *w)
{
	char *p;

	if (w->s.n > BAYES_WORD)
		return span_str(arena_printf(m->a, "long:%zu", w->s.n / 16));
	if (w->digits <= DIGITS_MAX)
		return w->s;
	p = arena_str(m->a, w->s);
	for (size_t i = 0; i < w->s.n; i++)
		if (p[i] >= '0' && p[i] <= '9')
			p[i] = '0';
	return span_make(p, w->s.n);
}

/* The words of a text, and (pairs) each two side by side. */
static void
words(struct maker *m, struct span text, enum bayes_kind kind, bool pairs)
{
	struct span last = { 0 };
	uint64_t before = 0;
	size_t at = 0;

	text = span_sub(text, 0, m->left);
	m->left -= text.n;
	while (!full(m)) {
		struct word w = word_next(text, &at);
		struct span s, both;
		uint64_t h;

		if (w.s.n == 0)
			break;
		s = word_text(m, &w);
		h = hash_of(m, kind, s);
		if (w.alone || w.letters >= WORD_MIN)
			put(m, kind, h, s);
		if (pairs && before) {
			/* Both are secret already: a sum of products with odd secrets is as good. */
			both = s.p == w.s.p && last.p >= text.p && last.p < s.p ?
			    span_make(last.p, (size_t)(s.p + s.n - last.p)) :
			    span_str(arena_printf(m->a, SPAN_FMT " " SPAN_FMT, SPAN_ARG(last), SPAN_ARG(s)));
			put(m, BAYES_PAIR, before * m->pair[0] + h * m->pair[1], both);
		}
		before = h ? h : 1;
		last = s;
	}
}

/* ---- what else ---- */

static struct span
domain_of(struct span address)
{
	size_t at = address.n;

	while (at > 0 && address.p[at - 1] != '@')
		at--;
	return at ? span_from(address, at) : (struct span){ 0 };
}

/* "Microsoft Outlook" of "Microsoft Outlook 16.0". */
static struct span
without_version(struct span s)
{
	size_t n = 0;

	while (n < s.n && n < BAYES_WORD && !(s.p[n] >= '0' && s.p[n] <= '9') && s.p[n] != '/' &&
	    s.p[n] != '(')
		n++;
	return span_trim(span_sub(s, 0, n));
}

static void
header_facts(struct maker *m, const struct anatomy *an)
{
	const struct part *root = &an->parts[0];
	const struct header *h;

	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		if (part_header(root, told[i]))
			fact(m, BAYES_HEADER, told[i], (struct span){ 0 });
	if ((h = part_header(root, "X-Mailer")) || (h = part_header(root, "User-Agent")))
		fact(m, BAYES_HEADER, "mailer", without_version(h->value));
	if ((h = part_header(root, "X-Priority")))
		fact(m, BAYES_HEADER, "x-priority", span_sub(h->value, 0, 1));
	if (an->header_from.n) {
		struct span domain = domain_of(an->header_from), own = host_domain(domain);

		fact(m, BAYES_FROM, "", domain);
		if (own.n != domain.n)
			fact(m, BAYES_FROM, "", own);
	}
	if ((h = part_header(root, "Reply-To"))) {
		struct span d = domain_of(h->value);

		d = span_sub(d, 0, span_find(d, '>'));
		if (!span_eq_nocase(d, domain_of(an->header_from)))
			fact(m, BAYES_HEADER, "answers", d);
	}
}

static void
part_facts(struct maker *m, const struct anatomy *an)
{
	size_t files = 0, leaves = 0;

	for (size_t i = 0; i < an->nparts; i++) {
		const struct part *p = &an->parts[i];
		size_t dot = p->name.n;

		if (p->unpacked || p->reading)
			continue;
		if (leaves++ < PARTS_MAX) {
			fact(m, BAYES_SHAPE, "part", p->declared);
			if (p->charset.n)
				fact(m, BAYES_SHAPE, "charset", p->charset);
			if (p->encoding.n)
				fact(m, BAYES_SHAPE, "encoding", p->encoding);
		}
		if (!p->attachment || files++ >= FILES_MAX)
			continue;
		fact(m, BAYES_FILE, "type", span_str(part_type_name(p->type)));
		while (dot > 0 && p->name.p[dot - 1] != '.')
			dot--;
		if (dot > 0 && p->name.n - dot <= 10)
			fact(m, BAYES_FILE, "extension", span_from(p->name, dot));
	}
	bucket(m, "size", an->raw.n);
	bucket(m, "files", files);
	bucket(m, "links", an->nurls);
}

static void
hosts(struct maker *m, const struct anatomy *an)
{
	struct url_host *v;
	bool cut;
	size_t n = anatomy_hosts(an, m->a, BAYES_HOSTS, &v, &cut);

	for (size_t i = 0; i < n; i++) {
		fact(m, BAYES_HOST, "", v[i].domain);
		if (!span_eq(v[i].host, v[i].domain))
			fact(m, BAYES_HOST, "", v[i].host);
	}
	for (size_t i = 0; i < an->nurls && i < BAYES_HOSTS; i++)
		if (url_mismatch(&an->urls[i]))
			fact(m, BAYES_SHAPE, "false-link", (struct span){ 0 });
}

void
bayes_tokenise(const struct anatomy *an, const struct bayes_key *key, struct arena *a,
    struct bayes_tokens *out)
{
	static const char label[2] = { 'p', 'q' };
	struct maker *m = arena_zalloc(a, sizeof(*m));

	*out = (struct bayes_tokens){ .v = arena_array(a, BAYES_TOKENS, sizeof(*out->v)) };
	m->key = key;
	m->a = a;
	m->out = out;
	m->left = BAYES_READ;
	for (int i = 0; i < 2; i++)
		m->pair[i] = siphash(key->bytes, &label[i], 1) | 1;
	if (an->nparts == 0)
		return;
	header_facts(m, an);
	part_facts(m, an);
	hosts(m, an);
	for (size_t i = 0; i < an->nsurfaces; i++)
		if (an->surfaces[i].where == WHERE_SUBJECT)
			words(m, surface_folded(&an->surfaces[i], a)->s, BAYES_SUBJECT, true);
	for (size_t i = 0; i < an->nsurfaces && m->left; i++) {
		const struct surface *s = &an->surfaces[i];
		bool hidden = s->text == &an->parts[s->part].hidden;

		if (s->where == WHERE_BODY)
			words(m, surface_folded(s, a)->s, hidden ? BAYES_HIDDEN : BAYES_TEXT, !hidden);
	}
}

struct span
bayes_pack(const struct bayes_tokens *t, struct arena *a)
{
	uint8_t *p = arena_alloc(a, 4 * t->n);

	for (size_t i = 0; i < t->n; i++)
		for (int k = 0; k < 4; k++)
			p[4 * i + (size_t)k] = (uint8_t)(t->v[i].hash >> 8 * k);
	return span_make((char *)p, 4 * t->n);
}

bool
bayes_unpack(struct span packed, uint32_t *hashes, size_t *n)
{
	const uint8_t *p = (const uint8_t *)packed.p;

	*n = 0;
	if (packed.n % 4 || packed.n / 4 > BAYES_TOKENS)
		return false;
	for (size_t i = 0; i < packed.n; i += 4) {
		uint32_t h = p[i] | (uint32_t)p[i + 1] << 8 | (uint32_t)p[i + 2] << 16 |
		    (uint32_t)p[i + 3] << 24;

		if (h == 0)
			return false;
		hashes[(*n)++] = h;
	}
	return true;
}
