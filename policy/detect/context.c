/* context.c -- columns and labels; see context.h.
 *
 * Rows are lines that follow each other with the same number of one separator (tab, semicolon,
 * bar, comma, or U+2003, which html.c writes between cells); blank lines do not end a table. A
 * separator within quotes does not count. The first line has the headings.
 */
#include <stdlib.h>

#include "context.h"
#include "postern/err.h"

#define NSEPS 5
#define LABEL_BYTES_MAX 48	/* looked at in front of a number */
#define WORD_MAX 24

/* Which separator begins at p: 1 + its number and its length; 0: none. */
static unsigned
sep_at(const char *p, size_t n, size_t *len)
{
	*len = 1;
	switch (*p) {
	case '\t':
		return 1;
	case ';':
		return 2;
	case '|':
		return 3;
	case ',':
		return 4;
	case '\xe2':
		if (n >= 3 && p[1] == '\x80' && p[2] == '\x83') {
			*len = 3;
			return 5;
		}
		break;
	}
	return 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\r';
}

/* --- tables ------------------------------------------------------------------------- */

void
tables_reset(struct tables *t)
{
	t->made = t->last.known = false;
	t->n = 0;
	t->serial++;
}

void
tables_release(struct tables *t)
{
	free(t->table);
	*t = (struct tables){ 0 };
}

struct line {
	size_t from, to;
	uint32_t count[NSEPS];
	bool blank;
};

/* The line that begins at i; where the next one does. */
static size_t
line_read(struct span s, size_t i, struct line *l)
{
	bool quoted = false;

	*l = (struct line){ .from = i, .blank = true };
	while (i < s.n && s.p[i] != '\n') {
		size_t len = 1;
		unsigned sep = 0;

		if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted)
			sep = sep_at(s.p + i, s.n - i, &len);
		if (sep)
			l->count[sep - 1]++;
		l->blank = l->blank && is_blank(s.p[i]);
		i += len;
	}
	l->to = i;
	return i + 1;
}

static void
tables_make(struct tables *t, struct span s)
{
	struct line head = { .blank = true }, l;
	struct table *open = NULL;

	t->made = true;
	for (size_t i = 0; i < s.n && t->n < TABLES_MAX;) {
		uint8_t same = 0;

		i = line_read(s, i, &l);
		if (l.blank)
			continue;
		for (unsigned k = 0; k < NSEPS && !head.blank; k++)
			if (l.count[k] && l.count[k] == head.count[k])
				same |= (uint8_t)(1u << k);
		if (open && (open->seps & same)) {
			open->seps &= same;
			open->to = l.to;
			continue;
		}
		open = NULL;
		if (same) {
			if (t->n == t->cap) {
				t->cap = t->cap ? t->cap * 2 : 16;
				t->table = realloc(t->table, t->cap * sizeof(*t->table));
				ASSERT_MEMORY(t->table);
			}
			open = &t->table[t->n++];
			*open = (struct table){ l.from, l.to, head.from, head.to, same };
			continue;
		}
		head = l;
	}
}

/* The separator, if any, that parts the cell from what stands before it, or behind it; 0 none,
 * NSEPS + 1 the end of the line. */
static unsigned
border_before(struct span s, size_t i)
{
	size_t len;

	while (i > 0 && (is_blank(s.p[i - 1]) || s.p[i - 1] == '"'))
		i--;
	if (i == 0 || s.p[i - 1] == '\n')
		return NSEPS + 1;
	if (i >= 3 && sep_at(s.p + i - 3, 3, &len) == 5)
		return 5;
	return sep_at(s.p + i - 1, 1, &len);
}

static unsigned
border_behind(struct span s, size_t i)
{
	size_t len;

	while (i < s.n && (is_blank(s.p[i]) || s.p[i] == '"'))
		i++;
	return i >= s.n || s.p[i] == '\n' ? NSEPS + 1 : sep_at(s.p + i, s.n - i, &len);
}

static const struct table *
table_of(const struct tables *t, size_t at)
{
	size_t lo = 0, hi = t->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->table[mid].to <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < t->n && t->table[lo].from <= at ? &t->table[lo] : NULL;
}

/* Separators `sep` between the begin of the line and `to`; UINT32_MAX: the line is too long. Cells
 * come in order of place, so the count goes on where it was left. */
static unsigned
column_of(struct tables *t, struct span s, size_t to, unsigned sep)
{
	size_t i = to, len;
	unsigned n = 0;
	bool quoted = false;

	if (t->last.known && t->last.sep == sep && t->last.at <= to &&
	    to - t->last.at <= TABLE_LINE_MAX) {
		i = t->last.at;
		n = t->last.column;
		quoted = t->last.quoted;
	} else {
		while (i > 0 && s.p[i - 1] != '\n')
			if (to - --i > TABLE_LINE_MAX)
				return UINT32_MAX;
	}
	for (; i < to; i += len) {
		unsigned here = sep_at(s.p + i, s.n - i, &len);

		if (s.p[i] == '\n') {
			n = 0;
			quoted = false;
			continue;
		}
		if (s.p[i] == '"')
			quoted = !quoted;
		n += !quoted && here == sep;
	}
	t->last.at = to;
	t->last.sep = sep;
	t->last.column = n;
	t->last.quoted = quoted;
	t->last.known = true;
	return n;
}

/* The cell of that column in the line of headings, without the blanks around it. */
static void
heading_find(struct span s, const struct table *table, unsigned sep, unsigned column,
    struct found *f)
{
	size_t end = table->head_to, i = table->head, len;
	bool quoted = false, within = false;

	if (end - i > HEADING_LINE_MAX)
		end = i + HEADING_LINE_MAX;
	for (; i < end; i += len) {
		unsigned here = sep_at(s.p + i, s.n - i, &len);

		if (column == 0 && !within) {
			within = true;
			f->from = f->to = i;
		}
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && here == sep && column-- == 0)
			break;
		if (within)
			f->to = i + len;
	}
	while (f->from < f->to && is_blank(s.p[f->from]))
		f->from++;
	while (f->to > f->from && is_blank(s.p[f->to - 1]))
		f->to--;
}

bool
tables_heading(struct tables *t, struct span s, size_t from, size_t to, size_t *head_from,
    size_t *head_to)
{
	unsigned before = border_before(s, from), behind = border_behind(s, to), sep, column;
	const struct table *table;
	struct found *f;

	if (before == 0 || behind == 0)
		return false;
	sep = before <= NSEPS ? before : behind;
	if (sep > NSEPS || (behind <= NSEPS && behind != sep))
		return false;
	if (!t->made)
		tables_make(t, s);
	if ((table = table_of(t, from)) == NULL || !(table->seps >> (sep - 1) & 1))
		return false;
	if ((column = column_of(t, s, from, sep)) == UINT32_MAX)
		return false;
	f = &t->found[(table->head + column) % HEADINGS];
	if (f->serial != t->serial + 1 || f->head != table->head || f->column != column) {
		*f = (struct found){ .serial = t->serial + 1, .head = table->head, .column = column };
		heading_find(s, table, sep, column, f);
	}
	*head_from = f->from;
	*head_to = f->to;
	return f->to > f->from && f->to - f->from <= CELL_BYTES_MAX;
}

size_t
heading_spaced(char *out, struct span h)
{
	size_t n = 0;

	for (size_t i = 0; i < h.n; i++) {
		char c = h.p[i], was = i ? h.p[i - 1] : ' ';

		if (c >= 'A' && c <= 'Z' && was >= 'a' && was <= 'z')
			out[n++] = ' ';
		out[n++] = c == '_' ? ' ' : c;
	}
	return n;
}

/* --- labels ------------------------------------------------------------------------- */

static bool
one_of(struct span word, const char *const *list)
{
	for (size_t i = 0; list[i]; i++)
		if (span_eq_nocase(word, span_str(list[i])))
			return true;
	return false;
}

/* Words between a label and its number. */
static const char *const fill[] = { "n", "no", "nr", "num", "nb", "number", "numbers", "numero",
	"num\xc3\xa9ro", "nummer", "is", "est", "le", "la", "the", "of", "de", "du", "id", "was", "code", NULL };

static const char *const others[] = { "order", "orders", "commande", "commandes", "bestellung",
	"pedido", "ordine", "bestelling", "po", "purchase", "invoice", "invoices", "facture",
	"factures", "rechnung", "rechnungsnummer", "factura", "fattura", "factuur", "devis", "quote",
	"quotation", "avoir", "tel", "t\xc3\xa9l", "phone", "telephone", "t\xc3\xa9l\xc3\xa9phone", "telefon",
	"mobile", "portable", "fax", "ligne", "directe", "office", "call", "appelez", "ref", "r\xc3\xa9" "f", "reference", "r\xc3\xa9" "f\xc3\xa9rence", "referenz",
	"ticket", "tickets", "case", "incident", "dossier", "contrat", "contract", "article", "item",
	"client", "customer", "produit", "product", "sku", "lot", "batch", "asset", "serial", "tag", "tracking", "suivi",
	"colis", "parcel", "shipment", "waybill", "sendungsnummer", "fedex", "dhl", "ups",
	"colissimo", "chronopost", "isbn", "issn", "ean", "gtin", "barres", "barcode", "version",
	"build", "rev", "revision", "pmid", "doi", "bug", "issue", "commit", "budget", "total",
	"montant", "amount", "population", "session", "pid", "uid", "ts", "timestamp", "port", "line", "thread",
	"meeting", "r\xc3\xa9union", "fid\xc3\xa9lit\xc3\xa9", "loyalty", "cadeau", "gift", "\xc3\xa9tudiant",
	"net", "ca", "page", "pages", "rfc", NULL };

static const char *const units[] = { "\xe2\x82\xac", "$", "\xc2\xa3", "%", "k\xe2\x82\xac", "eur", "euros", "usd", "dollars", "gbp",
	"chf", "habitants", "km", "kg", "mo", "ko", "kb", "mb", "gb", "bytes", "octets", "ms", NULL };

static bool
word_byte(char c)
{
	return (c & 0x80) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* Signs between a label and its number; of "n°" too, which end in bytes above 127. */
static size_t
signs_before(struct span s, size_t i, size_t least)
{
	while (i > least) {
		if (i >= least + 2 && (span_is(span_sub(s, i - 2, 2), "\xc2\xb0") ||
		    span_is(span_sub(s, i - 2, 2), "\xc2\xba") || span_is(span_sub(s, i - 2, 2), "\xc2\xa0")))
			i -= 2;
		else if (i >= least + 3 && span_is(span_sub(s, i - 3, 3), "\xe2\x80\xaf"))
			i -= 3;
		else if (strchr(" :#=.-", s.p[i - 1]))
			i--;
		else
			break;
	}
	return i;
}

/* Where the clause begins that goes on at i: behind a sign, a number, the end of a sentence (but
 * not behind the point of "no."). */
static size_t
clause_begin(struct span s, size_t i, size_t least)
{
	while (i > least && !strchr(",;:!?()\n\t", s.p[i - 1]) &&
	    !(s.p[i - 1] >= '0' && s.p[i - 1] <= '9')) {
		if (i >= 4 && s.p[i - 1] == '.' && s.p[i] == ' ' && word_byte(s.p[i - 2]) &&
		    word_byte(s.p[i - 3]) && word_byte(s.p[i - 4]))
			break;
		i--;
	}
	return i;
}

static bool
label_before(struct span s, size_t from, size_t *label_from)
{
	size_t least = from > LABEL_BYTES_MAX ? from - LABEL_BYTES_MAX : 0, i = from;

	for (unsigned words = 0; words < 5; words++) {
		struct span word;
		size_t to = i = signs_before(s, i, least);

		while (i > least && word_byte(s.p[i - 1]))
			i--;
		word = span_sub(s, i, to - i);
		if (word.n == 0 || word.n > WORD_MAX)
			return false;
		if (one_of(word, others)) {
			*label_from = clause_begin(s, i, least);
			return true;
		}
		if (!one_of(word, fill))
			return false;
	}
	return false;
}

static bool
unit_behind(struct span s, size_t to)
{
	size_t i = to, from;

	if (i < s.n && s.p[i] == ' ')
		i++;
	else if (i + 1 < s.n && span_is(span_sub(s, i, 2), "\xc2\xa0"))
		i += 2;
	else if (i + 2 < s.n && span_is(span_sub(s, i, 3), "\xe2\x80\xaf"))
		i += 3;
	from = i;
	if (i < s.n && (s.p[i] == '$' || s.p[i] == '%'))
		return true;
	while (i < s.n && i - from <= WORD_MAX && word_byte(s.p[i]))
		i++;
	return one_of(span_sub(s, from, i - from), units);
}

bool
other_label(struct span s, size_t from, size_t to, size_t *label_from)
{
	if (label_before(s, from, label_from))
		return true;
	*label_from = to;
	return unit_behind(s, to);
}
