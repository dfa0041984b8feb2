/* rtf.c -- Rich Text Format 1.9.1; see anatomy/rtf.h.
 *
 * One pass with a stack of groups. Destinations that hold no text (fonts,
 * styles, pictures) are passed over; any other, also one that nobody knows,
 * is text: what readers skip travels all the same. Headers, notes, comments,
 * hidden text and properties are side texts. Texts lead back to the bytes they were written with.
 *
 * An embedded object is hexadecimal in \objdata; it becomes a part. \bin
 * takes as many raw bytes as it says, which is where other readers lose their way.
 */
#include "anatomy/rtf.h"

#include "anatomy/ole2.h"
#include "anatomy/textmap.h"

#define GROUPS_MAX 512		/* deeper ones are counted, their state is their parent's */
#define WORD_MAX 32
#define PENDING_MAX 256

enum story { MAIN, HIDDEN, HEADERS, NOTES, COMMENTS, PROPERTIES, STORIES };
static const char *const origins[STORIES] = { "", "hidden text", "headers and footers", "foot notes",
	"comments", "properties" };

struct group {
	uint8_t story;
	bool skip;		/* holds no text */
	bool object;		/* \objdata */
	bool hidden;		/* \v */
	uint16_t uc;		/* characters behind \u that stand for it */
};

struct rtf {
	struct builder *b;
	uint16_t index;
	struct span s;
	size_t at;
	struct group stack[GROUPS_MAX];
	size_t depth, deeper;
	struct group now;
	bool star;		/* \* was the last word */
	unsigned skip;		/* characters to pass over, behind \u */
	char pending[PENDING_MAX];	/* bytes of the code page, not yet characters */
	size_t npending, pending_at;
	struct span charset;
	bool wide;		/* a code page of two bytes */
	struct textmake story[STORIES];
	struct pour object;
	bool pouring;
	int nibble;
	uint32_t high;		/* the first half of a pair of \u */
};

static struct textmake *
story(struct rtf *r)
{
	return &r->story[r->now.hidden && r->now.story == MAIN ? HIDDEN : r->now.story];
}

static void
flush(struct rtf *r)
{
	struct span utf8;

	if (r->npending == 0)
		return;
	utf8 = decode_exact(r->b->a, r->charset, span_make(r->pending, r->npending));
	textmake_put(story(r), utf8.p, utf8.n, r->pending_at);
	r->npending = 0;
}

static void
byte_put(struct rtf *r, char c, size_t at)
{
	if (r->now.skip)
		return;
	if (r->skip) {
		r->skip--;
		return;
	}
	if (r->npending == PENDING_MAX)
		flush(r);
	if (r->npending == 0)
		r->pending_at = at;
	r->pending[r->npending++] = c;
}

static void
char_put(struct rtf *r, uint32_t c, size_t at)
{
	flush(r);
	if (!r->now.skip)
		textmake_char(story(r), c, at);
}

/* --- embedded objects ------------------------------------------------------------------------ */

/* MS-OLEDS 2.2.5: version, format, class, topic, item, size, bytes. */
static void
object_end(struct rtf *r)
{
	struct builder *b = r->b;
	struct span s = pour_end(&r->object), class;
	size_t at = 8;
	uint32_t n;

	r->pouring = false;
	if (r->object.cut)
		b->out->parts[r->index].defects |= DEFECT_TOO_LARGE;
	if (s.n < 12)
		return;
	class = span_sub(s, at + 4, get32(s, at));
	if (class.n && class.p[class.n - 1] == '\0')
		class.n--;
	/* The old equation editor: nobody has a use for it but attackers (CVE-2017-11882). */
	if (class.n >= 8 && span_starts_nocase(class, SPAN_LIT("equation")))
		b->out->parts[r->index].defects |= DEFECT_ACTIVE_CONTENT;
	at += 4 + class.n + 1;
	at += 4 + (size_t)get32(s, at);
	at += 4 + (size_t)get32(s, at);
	n = get32(s, at);
	if (at + 4 < s.n && n && n <= s.n - at - 4) {
		struct span data = span_sub(s, at + 4, n);

		if (span_is_nocase(class, "package"))
			ole2_native(b, r->index, data);
		else
			blob_add(b, r->index, data, class);
	} else {
		blob_add(b, r->index, s, SPAN_LIT("object"));
	}
}

static void
object_char(struct rtf *r, char c)
{
	int d = hex_value(c);
	char byte;

	if (d < 0)
		return;
	if (!r->pouring) {
		pour_begin(&r->object, r->b, r->s.n, 0);
		r->pouring = true;
		r->nibble = -1;
	}
	if (r->nibble < 0) {
		r->nibble = d;
		return;
	}
	byte = (char)(r->nibble << 4 | d);
	r->nibble = -1;
	pour_put(&r->object, &byte, 1);
}

/* --- words --------------------------------------------------------------------------------------- */

enum act { SKIP, STORY, CHAR, OBJECT };
static const struct word {
	const char *name;
	enum act act;
	uint32_t arg;
} known[] = {
	{ "annotation", STORY, COMMENTS }, { "atnauthor", STORY, COMMENTS },
	{ "atnid", STORY, COMMENTS }, { "blipuid", SKIP, 0 }, { "bullet", CHAR, 0x2022 },
	{ "cell", CHAR, '\t' }, { "colorschememapping", SKIP, 0 }, { "colortbl", SKIP, 0 },
	{ "datastore", SKIP, 0 }, { "emdash", CHAR, 0x2014 }, { "emspace", CHAR, ' ' },
	{ "endash", CHAR, 0x2013 }, { "enspace", CHAR, ' ' }, { "filetbl", SKIP, 0 },
	{ "fontemb", SKIP, 0 }, { "fonttbl", SKIP, 0 }, { "footer", STORY, HEADERS },
	{ "footerf", STORY, HEADERS }, { "footerl", STORY, HEADERS }, { "footerr", STORY, HEADERS },
	{ "footnote", STORY, NOTES }, { "header", STORY, HEADERS }, { "headerf", STORY, HEADERS },
	{ "headerl", STORY, HEADERS }, { "headerr", STORY, HEADERS }, { "info", STORY, PROPERTIES },
	{ "latentstyles", SKIP, 0 }, { "ldblquote", CHAR, 0x201c }, { "line", CHAR, '\n' },
	{ "listoverridetable", SKIP, 0 }, { "listtable", SKIP, 0 }, { "lquote", CHAR, 0x2018 },
	{ "mmathPr", SKIP, 0 }, { "nestcell", CHAR, '\t' }, { "nestrow", CHAR, '\n' },
	{ "objclass", SKIP, 0 }, { "objdata", OBJECT, 0 }, { "page", CHAR, '\n' },
	{ "panose", SKIP, 0 }, { "par", CHAR, '\n' }, { "pgptbl", SKIP, 0 }, { "pict", SKIP, 0 },
	{ "rdblquote", CHAR, 0x201d }, { "revtbl", SKIP, 0 }, { "row", CHAR, '\n' },
	{ "rquote", CHAR, 0x2019 }, { "rsidtbl", SKIP, 0 }, { "sect", CHAR, '\n' },
	{ "stylesheet", SKIP, 0 }, { "tab", CHAR, '\t' }, { "themedata", SKIP, 0 },
	{ "wgrffmtfilter", SKIP, 0 }, { "xmlnstbl", SKIP, 0 },
};

static const struct word *
word_find(struct span w)
{
	size_t lo = 0, hi = sizeof(known) / sizeof(known[0]);

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strncmp(known[mid].name, w.p, w.n);

		if (c == 0)
			c = known[mid].name[w.n] != '\0';
		if (c == 0)
			return &known[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static void
code_page(struct rtf *r, long n)
{
	r->wide = n == 932 || n == 936 || n == 949 || n == 950;
	r->charset = n == 932 ? SPAN_LIT("shift_jis") : n == 936 ? SPAN_LIT("gbk") :
	    n == 949 ? SPAN_LIT("euc-kr") : n == 950 ? SPAN_LIT("big5") : n == 65001 ?
	    SPAN_LIT("utf-8") : n >= 1250 && n <= 1258 ? span_str(arena_printf(r->b->a,
	    "windows-%ld", n)) : n > 0 && n < 1250 ? span_str(arena_printf(r->b->a, "ibm%ld", n)) :
	    SPAN_LIT("windows-1252");
}

static void
unicode(struct rtf *r, long n, size_t at)
{
	uint32_t c = (uint32_t)(n < 0 ? n + 65536 : n) & 0xffff;

	if (c >= 0xd800 && c < 0xdc00) {
		r->high = c;
	} else {
		if (c >= 0xdc00 && c < 0xe000 && r->high)
			c = 0x10000 + ((r->high - 0xd800) << 10) + (c - 0xdc00);
		r->high = 0;
		char_put(r, c, at);
	}
	r->skip = r->now.uc;
}

static void
control(struct rtf *r, struct span w, bool has_n, long n, size_t at)
{
	const struct word *k = word_find(w);
	bool star = r->star;

	r->star = false;
	if (span_is(w, "u") && has_n) {
		unicode(r, n, at);
		return;
	}
	if (r->skip && !(k && k->act == CHAR))
		r->skip = 0;
	if (r->skip) {
		r->skip--;
		return;
	}
	if (span_is(w, "uc"))
		r->now.uc = n < 0 || n > 16 ? 1 : (uint16_t)n;
	else if (span_is(w, "v"))
		flush(r), r->now.hidden = !has_n || n != 0;
	else if (span_is(w, "plain"))
		flush(r), r->now.hidden = false;
	else if (span_is(w, "ansicpg"))
		code_page(r, n);
	else if (span_is(w, "mac"))
		r->charset = SPAN_LIT("macintosh");
	else if (span_is(w, "bin") && has_n && n > 0)
		r->at += (size_t)n < r->s.n - r->at ? (size_t)n : r->s.n - r->at;
	else if (span_is(w, "objupdate") || span_is(w, "objautlink") || (star && span_is(w, "template")))
		r->b->out->parts[r->index].defects |= DEFECT_ACTIVE_CONTENT;
	if (k == NULL)
		return;
	flush(r);
	if (k->act == SKIP)
		r->now.skip = true;
	else if (k->act == STORY)
		r->now.story = (uint8_t)k->arg;
	else if (k->act == OBJECT)
		r->now.skip = r->now.object = true;
	else
		char_put(r, k->arg, at);
}

/* Behind a backslash. */
static void
escape(struct rtf *r)
{
	size_t at = r->at - 1, from = r->at;
	bool negative = false, has_n = false;
	struct span w;
	long n = 0;
	char c;

	if (r->at >= r->s.n)
		return;
	c = r->s.p[r->at];
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
		while (r->at < r->s.n && r->at - from < WORD_MAX &&
		    ((r->s.p[r->at] | 32) >= 'a' && (r->s.p[r->at] | 32) <= 'z'))
			r->at++;
		w = span_sub(r->s, from, r->at - from);
		if (r->at < r->s.n && r->s.p[r->at] == '-' && r->at + 1 < r->s.n &&
		    r->s.p[r->at + 1] >= '0' && r->s.p[r->at + 1] <= '9') {
			negative = true;
			r->at++;
		}
		while (r->at < r->s.n && r->s.p[r->at] >= '0' && r->s.p[r->at] <= '9') {
			has_n = true;
			if (n < 100000000)
				n = n * 10 + (r->s.p[r->at] - '0');
			r->at++;
		}
		if (r->at < r->s.n && r->s.p[r->at] == ' ')
			r->at++;
		control(r, w, has_n, negative ? -n : n, at);
		return;
	}
	r->at++;
	switch (c) {
	case '\'':
		if (r->at + 1 < r->s.n) {
			int a = hex_value(r->s.p[r->at]), b = hex_value(r->s.p[r->at + 1]);

			r->at += 2;
			if (a >= 0 && b >= 0)
				byte_put(r, (char)(a << 4 | b), at);
		}
		break;
	case '*':
		r->star = true;
		break;
	case '~':
		char_put(r, ' ', at);
		break;
	case '_':
		char_put(r, '-', at);
		break;
	case '\r':
	case '\n':
		char_put(r, '\n', at);
		break;
	case '-':
	case '|':
	case ':':
		break;
	default:
		byte_put(r, c, at);
	}
}

static void
group_end(struct rtf *r)
{
	flush(r);
	if (r->deeper) {
		r->deeper--;
		return;
	}
	if (r->depth == 0)
		return;
	if (r->pouring)
		object_end(r);
	/* Words of one place don't run into the next one's. */
	if (r->now.story != r->stack[r->depth - 1].story)
		textmake_put(story(r), "\n", 1, r->at - 1);
	r->now = r->stack[--r->depth];
}

static void
walk(struct rtf *r)
{
	while (r->at < r->s.n) {
		size_t at = r->at;
		char c = r->s.p[r->at++];

		switch (c) {
		case '{':
			flush(r);
			r->skip = 0;
			if (r->depth < GROUPS_MAX)
				r->stack[r->depth++] = r->now;
			else
				r->deeper++;
			break;
		case '}':
			r->skip = 0;
			group_end(r);
			break;
		case '\\':
			escape(r);
			break;
		case '\r':
		case '\n':
		case '\0':
			break;
		default:
			if (r->now.object) {
				object_char(r, c);
			} else if (r->now.skip) {
				break;
			} else if (r->skip) {
				r->skip--;
			} else if ((unsigned char)c >= 0x80 || (r->wide && r->npending &&
			    (r->npending & 1) && (unsigned char)r->pending[r->npending - 1] >= 0x80)) {
				byte_put(r, c, at);
			} else {
				flush(r);
				textmake_copy(story(r), at, 1);
			}
		}
	}
}

void
rtf_read(struct builder *b, uint16_t index)
{
	struct rtf *r = arena_zalloc(b->a, sizeof(*r));
	struct text source = { .s = b->out->parts[index].decoded }, t;

	*r = (struct rtf){ .b = b, .index = index, .s = source.s, .now = { .uc = 1 },
		.charset = SPAN_LIT("windows-1252") };
	for (int i = 0; i < STORIES; i++)
		textmake_init(&r->story[i], b->a, &source, i ? 64 : 4096, true);
	walk(r);
	flush(r);
	if (r->pouring)
		object_end(r);
	for (int i = 0; i < STORIES; i++) {
		textmake_finish(&r->story[i], source.s.n, &t);
		if (i == MAIN)
			text_set(b, index, &t);
		else
			side_add(b, index, span_str(origins[i]), &t);
	}
	t = b->out->parts[index].text;
	if (t.s.n && (memmem(t.s.p, t.s.n, "DDEAUTO", 7) || memmem(t.s.p, t.s.n, "DDE ", 4)))
		b->out->parts[index].defects |= DEFECT_ACTIVE_CONTENT;
}
