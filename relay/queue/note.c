/* note.c -- see note.h. */
#include "addr.h"
#include "base64.h"
#include "clock.h"
#include "id.h"
#include "queue/note.h"
#include "utf8.h"

#define WORD_BYTES 42		/* of text in one encoded word: 75 characters, RFC 2047, 2 */
#define SUBJECT_BYTES 400
#define QP_LINE 75		/* RFC 2045, 6.7 (5), without the soft line end */

static bool
plain(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~' || (s.p[i] == '=' && i + 1 < s.n && s.p[i + 1] == '?'))
			return false;
	return s.n <= 60;
}

/* Encoded words of whole characters; what is not UTF-8 or ends a line becomes `?` or a space. */
static void
put_words(struct buf *b, struct span s)
{
	char word[WORD_BYTES];
	size_t n = 0;
	bool first = true;

	s = span_sub(s, 0, SUBJECT_BYTES);
	if (plain(s)) {
		buf_span(b, s);
		return;
	}
	for (size_t i = 0; i < s.n || n;) {
		uint32_t c = 0;
		size_t len = i < s.n ? utf8_next(s.p + i, s.n - i, &c) : 0;
		size_t take = len ? len : 1;

		if (i >= s.n || n + take > sizeof(word)) {
			buf_puts(b, first ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?");
			base64_encode(b, span_make(word, n), true);
			buf_puts(b, "?=");
			first = false;
			n = 0;
			continue;
		}
		for (size_t k = 0; k < take; k++)
			word[n++] = len == 0 ? '?' : c < ' ' || c == 0x7f ? ' ' : s.p[i + k];
		i += take;
	}
}

static void
put_quoted(struct buf *b, struct span s)
{
	size_t column = 0, good = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool literal, end = i + 1 == s.n || s.p[i + 1] == '\n';
		uint32_t cp;

		if (i >= good)		/* the next character, or a byte that is none */
			good = i + utf8_next(s.p + i, s.n - i, &cp);
		if (i >= good || (c < ' ' && c != '\n' && c != '\t'))
			c = '?';
		literal = c > ' ' && c <= '~' && c != '=';

		if (c == '\n') {
			buf_puts(b, "\r\n");
			column = 0;
			continue;
		}
		if (c == ' ' || c == '\t')
			literal = !end;
		if (c == '.' && column == 0)	/* no line is a dot alone, whoever sends it on */
			literal = false;
		if (column + (literal ? 1u : 3u) > QP_LINE) {
			buf_puts(b, "=\r\n");
			column = 0;
		}
		if (literal)
			buf_putc(b, (char)c);
		else
			buf_printf(b, "=%02X", c);
		column += literal ? 1 : 3;
	}
	if (column)
		buf_puts(b, "\r\n");
}

static void
put_part(struct buf *b, const char *kind, struct span text)
{
	buf_printf(b, "Content-Type: text/%s; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: quoted-printable\r\n\r\n", kind);
	put_quoted(b, text);
}

void
note_build(struct buf *b, const struct note *n)
{
	char id[ID_SIZE], date[CLOCK_DATE_MAX];

	id_format(n->id, id);
	buf_printf(b, "From: Postern <" SPAN_FMT ">\r\nTo: <" SPAN_FMT ">\r\nSubject: ",
	    SPAN_ARG(n->from), SPAN_ARG(n->to));
	put_words(b, n->subject);
	buf_printf(b, "\r\nDate: %s\r\nMessage-ID: <%s@" SPAN_FMT ">\r\n", clock_date(n->now, date), id,
	    SPAN_ARG(n->hostname));
	if (n->answers.n)		/* RFC 3834, 3.1.5 */
		buf_printf(b, "In-Reply-To: " SPAN_FMT "\r\nReferences: " SPAN_FMT "\r\n", SPAN_ARG(n->answers),
		    SPAN_ARG(n->answers));
	buf_printf(b, "Auto-Submitted: %s\r\nMIME-Version: 1.0\r\n", n->answer ? "auto-replied" : "auto-generated");
	if (n->language.n)
		buf_printf(b, "Content-Language: " SPAN_FMT "\r\n", SPAN_ARG(n->language));
	if (n->html.n == 0) {
		put_part(b, "plain", n->text);
		return;
	}
	/* "=_" stands in no quoted-printable text (RFC 2045, 6.7). The richest comes last (RFC 2046, 5.1.4). */
	buf_printf(b, "Content-Type: multipart/alternative; boundary=\"=_%s\"\r\n\r\n--=_%s\r\n", id, id);
	put_part(b, "plain", n->text);
	buf_printf(b, "\r\n--=_%s\r\n", id);
	put_part(b, "html", n->html);
	buf_printf(b, "\r\n--=_%s--\r\n", id);
}

struct span
note_signing_domain(const struct config *c, struct span address)
{
	struct span local, name;

	if (!mailaddr_split(address, &local, &name))
		name = c->hostname;
	for (size_t dot; name.n > 0; name = span_from(name, dot + 1)) {
		const struct conf_domain *d = config_domain(c, name);

		if (d != NULL && (d->ndkim > 0 || d->dkim_managed))
			return d->name;
		if ((dot = span_find(name, '.')) == name.n)
			break;
	}
	return (struct span){ 0 };
}
