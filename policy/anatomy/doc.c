/* doc.c -- the text of Word's binary documents (MS-DOC); see anatomy/ole2.h.
 *
 * The text lies in pieces all over the WordDocument stream; the piece table
 * (the Clx in the table stream) puts them in order. Body, foot notes, headers,
 * comments, end notes and text boxes follow each other in one count of
 * characters; each but the first becomes a side text. Deleted, hidden and field text is in the
 * pieces like any other. Word 6 and 95 have no table: there the text is
 * what lies between fcMin and fcMac.
 */
#include "anatomy/ole2.h"

#include "anatomy/textmap.h"

enum { FIB_IDENT = 0, FIB_VERSION = 2, FIB_FLAGS = 10, FIB_MIN = 24, FIB_MAC = 28, FIB_COUNTS = 76,
	FIB_CLX = 418 };
#define VERSION_97 193
#define PIECES_MAX 1000000

static const char *const origins[] = { "", "foot notes", "headers and footers", "macros",
	"comments", "end notes", "text boxes", "text boxes of headers" };
#define STORIES (sizeof(origins) / sizeof(origins[0]))

struct doc {
	struct builder *b;
	struct span word;
	struct textmake story[STORIES];
	uint32_t until[STORIES];	/* first character behind each */
	uint64_t left;
};

/* MS-DOC 2.4.1: what the control characters are to a reader. */
static void
put_char(struct textmake *t, uint32_t c)
{
	switch (c) {
	case 7:
	case 9:
	case 0x14:
		textmake_put(t, "\t", 1, 0);
		break;
	case 0x0b:
	case 0x0c:
	case 0x0d:
		textmake_put(t, "\n", 1, 0);
		break;
	case 0x13:
	case 0x15:
		textmake_put(t, " ", 1, 0);
		break;
	case 0x1e:
		textmake_put(t, "-", 1, 0);
		break;
	default:
		if (c >= ' ')
			textmake_char(t, c, 0);
	}
}

/* The upper half of windows-1252; 0 where nothing is. */
static uint32_t
from_1252(unsigned char c)
{
	static const uint16_t high[32] = {
		0x20ac, 0, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039,
		0x152, 0, 0x17d, 0, 0, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
		0x2dc, 0x2122, 0x161, 0x203a, 0x153, 0, 0x17e, 0x178,
	};

	return c >= 0x80 && c < 0xa0 ? high[c - 0x80] : c;
}

/* Characters first … first + n - 1 stand at `at`. False: the budget is spent. */
static bool
piece_put(struct doc *d, uint32_t first, uint32_t n, size_t at, bool wide)
{
	size_t k = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t c, low;

		while (k < STORIES - 1 && first + i >= d->until[k])
			k++;
		if (at + (wide ? 2 : 1) > d->word.n)
			break;
		if (d->left == 0)
			return false;
		d->left--;
		c = wide ? get16(d->word, at) : from_1252((unsigned char)d->word.p[at]);
		at += wide ? 2 : 1;
		if (wide && c >= 0xd800 && c < 0xdc00 && i + 1 < n) {
			low = get16(d->word, at);
			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
				at += 2;
				i++;
			}
		}
		put_char(&d->story[k], c);
	}
	return true;
}

/* The piece table within the Clx (MS-DOC 2.9.38). */
static struct span
pieces_find(struct span clx)
{
	size_t at = 0;

	while (get8(clx, at) == 1 && at + 3 < clx.n)
		at += 3 + get16(clx, at + 1);
	if (get8(clx, at) != 2)
		return span_make(NULL, 0);
	return span_sub(clx, at + 5, get32(clx, at + 1));
}

static bool
pieces_read(struct doc *d, struct span plc)
{
	size_t n = plc.n >= 16 ? (plc.n - 4) / 12 : 0;

	if (n == 0 || n > PIECES_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t from = get32(plc, i * 4), to = get32(plc, i * 4 + 4);
		uint32_t fc = get32(plc, (n + 1) * 4 + i * 8 + 2);
		bool wide = !(fc & 0x40000000);

		fc &= 0x3fffffff;
		if (to < from)
			return false;
		if (!piece_put(d, from, to - from, wide ? fc : fc / 2, wide)) {
			return true;
		}
	}
	return true;
}

static struct span
story_end(struct textmake *t)
{
	return span_make(t->p, t->n);
}

bool
doc_read(struct cfb *c, struct builder *b, uint16_t index)
{
	struct part *p = &b->out->parts[index];
	uint32_t at = cfb_find(c, 0, "WordDocument");
	struct doc d = { .b = b, .left = b->left };
	struct text none = { 0 }, main;
	struct span table, plc;
	uint64_t count = 0;
	bool good = true;

	if (at == CFB_NONE)
		return false;
	d.word = cfb_stream(c, at);
	if (get16(d.word, FIB_IDENT) != 0xa5ec && get16(d.word, FIB_IDENT) != 0xa5dc)
		return false;
	if (get16(d.word, FIB_FLAGS) & 0x100) {
		p->encrypted = true;
		p->encryption = ENCRYPTION_OLE2;
		return true;
	}
	for (size_t i = 0; i < STORIES; i++) {
		textmake_init(&d.story[i], b->a, &none, i ? 64 : d.word.n / 2 + 64, false);
		count += get32(d.word, FIB_COUNTS + i * 4);
		d.until[i] = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
	}
	if (get16(d.word, FIB_VERSION) < VERSION_97) {
		uint32_t from = get32(d.word, FIB_MIN), to = get32(d.word, FIB_MAC);

		d.until[0] = UINT32_MAX;
		good = to > from && to <= d.word.n && piece_put(&d, 0, to - from, from, false);
	} else {
		table = cfb_stream(c, cfb_find(c, 0, get16(d.word, FIB_FLAGS) & 0x200 ? "1Table" : "0Table"));
		plc = pieces_find(span_sub(table, get32(d.word, FIB_CLX), get32(d.word, FIB_CLX + 4)));
		good = pieces_read(&d, plc);
	}
	p = &b->out->parts[index];
	if (d.left == 0)
		p->defects |= DEFECT_TOO_LARGE;
	b->left = d.left;
	main = (struct text){ .s = story_end(&d.story[0]) };
	text_set(b, index, &main);
	for (size_t i = 1; i < STORIES; i++)
		side_add_utf8(b, index, span_str(origins[i]), story_end(&d.story[i]));
	return good;
}
