/* passwords.c -- the passwords that a message tells of what it carries; see passwords_find.
 *
 * "Password: x", "le mot de passe est x", "PW = x" on a line of its own or
 * within a sentence: what stands behind the word, behind a colon or a verb, up
 * to white space, with and without what encloses it. The number is bounded
 * (anatomy_limits.passwords), since each is tried on each locked file.
 */
#include "anatomy/unpack.h"

#define LOOKED_AT ((size_t)256 << 10)	/* of each text */
#define REACH 60			/* bytes from the word to the colon */
#define LENGTH_MAX 128

static const char *const words[] = {
	"password", "passwort", "passcode", "passphrase", "kennwort", "mot de passe", "mdp", "pwd",
	"pw", "contrase\xc3\xb1" "a", "clave", "senha", "parola", "wachtwoord", "has\xc5\x82o",
	"\xd0\xbf\xd0\xb0\xd1\x80\xd0\xbe\xd0\xbb\xd1\x8c", "code",
};
static const char *const verbs[] = { "is", "est", "ist", "es", "=", "->", "=>", ":-" };
/* What everybody uses for samples. */
static const char *const usual[] = { "infected", "virus" };

struct finder {
	struct builder *b;
	struct span *v;
	size_t n;
};

static void
candidate(struct finder *f, struct span s)
{
	if (s.n == 0 || s.n > LENGTH_MAX || f->n == f->b->max_passwords ||
	    memchr(s.p, '\0', s.n))
		return;
	for (size_t i = 0; i < f->n; i++)
		if (span_eq(f->v[i], s))
			return;
	f->v[f->n++] = arena_span(f->b->a, s);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The token at the beginning of s, as it stands, and without quotes and final punctuation. */
static void
token(struct finder *f, struct span s)
{
	static const char *const quotes[][2] = { { "\"", "\"" }, { "'", "'" }, { "`", "`" },
		{ "<", ">" }, { "(", ")" }, { "[", "]" }, { "\xc2\xab", "\xc2\xbb" },
		{ "\xe2\x80\x9c", "\xe2\x80\x9d" }, { "\xe2\x80\x98", "\xe2\x80\x99" } };
	size_t n = 0;
	struct span t;

	while (s.n && is_space(s.p[0]))
		s = span_from(s, 1);
	for (size_t i = 0; i < sizeof(quotes) / sizeof(quotes[0]); i++) {
		struct span open = span_str(quotes[i][0]), close = span_str(quotes[i][1]), in;
		const char *end;

		if (!span_starts(s, open))
			continue;
		in = span_sub(span_from(s, open.n), 0, LENGTH_MAX);
		end = in.n ? memmem(in.p, in.n, close.p, close.n) : NULL;
		if (end)
			candidate(f, span_trim(span_sub(in, 0, (size_t)(end - in.p))));
	}
	while (n < s.n && !is_space(s.p[n]))
		n++;
	t = span_sub(s, 0, n);
	candidate(f, t);
	while (t.n && strchr(".,;:!?)\"'>]", t.p[t.n - 1]))
		t.n--;
	candidate(f, t);
}

/* s: what stands behind the word. */
static void
behind(struct finder *f, struct span s)
{
	size_t line = span_find(s, '\n'), colon = span_find(span_sub(s, 0, REACH), ':');
	size_t equals = span_find(span_sub(s, 0, REACH), '=');
	struct span rest;

	if (equals < colon)
		colon = equals;
	if (colon < line && colon < REACH && colon < s.n) {
		token(f, span_from(s, colon + 1));
		return;
	}
	rest = span_sub(s, 0, line);
	for (size_t i = 0; i < rest.n && i < REACH; i++)
		for (size_t k = 0; k < sizeof(verbs) / sizeof(verbs[0]); k++) {
			struct span v = span_str(verbs[k]);

			if (i && is_space(rest.p[i - 1]) && span_starts_nocase(span_from(rest, i), v) &&
			    i + v.n < rest.n && is_space(rest.p[i + v.n])) {
				token(f, span_from(rest, i + v.n));
				return;
			}
		}
	if (s.n && is_space(s.p[0]))
		token(f, s);
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || ((unsigned char)c & 0x80);
}

static void
text_search(struct finder *f, struct span s)
{
	struct span low;
	char *p;

	s = span_sub(s, 0, LOOKED_AT);
	if (s.n == 0)
		return;
	p = arena_alloc(f->b->a, s.n);
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	low = span_make(p, s.n);
	for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
		struct span w = span_str(words[k]);
		size_t at = 0;

		while (at < low.n && f->n < f->b->max_passwords) {
			const char *q = memmem(low.p + at, low.n - at, w.p, w.n);
			size_t from;

			if (q == NULL)
				break;
			from = (size_t)(q - low.p);
			at = from + w.n;
			if ((from == 0 || !is_letter(low.p[from - 1])) &&
			    (at == low.n || !is_letter(low.p[at])))
				behind(f, span_from(s, at));
		}
	}
}

const struct span *
passwords_find(struct builder *b, size_t *n)
{
	struct finder f = { .b = b };

	if (!b->passwords_known) {
		size_t own = b->max_passwords > 2 ? 2 : 0;

		b->passwords_known = true;
		b->passwords = f.v = arena_array(b->a, b->max_passwords + 1, sizeof(*f.v));
		b->max_passwords -= (uint32_t)own;
		for (size_t i = 0; i < b->out->parts[0].nheaders; i++)
			if (span_is_nocase(b->out->parts[0].headers[i].name, "Subject"))
				text_search(&f, b->out->parts[0].headers[i].value);
		for (size_t i = 0; i < b->out->nparts; i++)
			if (!b->out->parts[i].unpacked)
				text_search(&f, b->out->parts[i].text.s);
		b->max_passwords += (uint32_t)own;
		for (size_t i = 0; i < own; i++)
			candidate(&f, span_str(usual[i]));
		b->npasswords = f.n;
	}
	*n = b->npasswords;
	return b->passwords;
}
