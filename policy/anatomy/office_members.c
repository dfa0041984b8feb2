/* office_members.c -- which member of an office document holds what; see anatomy/office.h.
 *
 * The first line that fits counts. What no line knows is not left out: XML is
 * text like the rest, anything else a file that someone put there.
 */
#include "anatomy/office.h"

enum family { ANY, OOXML, WORD, EXCEL, POWERPOINT, ODF };

/* A pattern that ends with "/" or "*" is a beginning, one that begins with "*" an end. */
static const struct line {
	enum family family;
	const char *pattern;
	enum member_use use;
	const char *origin;
} lines[] = {
	{ ANY, "*/", USE_NONE, NULL },
	{ ANY, "*.rels", USE_RELATIONS, "links" },
	{ OOXML, "*/vbaProject.bin", USE_PROJECT, NULL },
	{ OOXML, "*/vbaData.xml", USE_NONE, NULL },
	{ OOXML, "[Content_Types].xml", USE_NONE, NULL },
	{ OOXML, "docProps/thumbnail*", USE_PICTURE, NULL },
	{ OOXML, "docProps/*", USE_TEXT, "properties" },
	{ OOXML, "customXml/*", USE_TEXT, "custom XML" },
	{ WORD, "word/document.xml", USE_TEXT, "" },
	{ WORD, "word/comments*", USE_TEXT, "comments" },
	{ WORD, "word/footnotes.xml", USE_TEXT, "foot notes" },
	{ WORD, "word/endnotes.xml", USE_TEXT, "end notes" },
	{ WORD, "word/header*", USE_TEXT, "headers and footers" },
	{ WORD, "word/footer*", USE_TEXT, "headers and footers" },
	{ WORD, "word/diagrams/", USE_TEXT, "diagrams and charts" },
	{ WORD, "word/charts/", USE_TEXT, "diagrams and charts" },
	{ WORD, "word/styles*", USE_NONE, NULL },
	{ WORD, "word/fontTable.xml", USE_NONE, NULL },
	{ WORD, "word/fonts/", USE_NONE, NULL },
	{ WORD, "word/theme/", USE_NONE, NULL },
	{ WORD, "word/media/", USE_PICTURE, NULL },
	{ EXCEL, "xl/sharedStrings.xml", USE_INDEX, NULL },
	{ EXCEL, "xl/workbook.xml", USE_INDEX, NULL },
	{ EXCEL, "xl/worksheets/", USE_TEXT, "" },
	{ EXCEL, "xl/macrosheets/", USE_MACRO, "Excel 4 macros" },
	{ EXCEL, "xl/dialogsheets/", USE_TEXT, "dialogs" },
	{ EXCEL, "xl/comments*", USE_TEXT, "comments" },
	{ EXCEL, "xl/threadedComments/", USE_TEXT, "comments" },
	{ EXCEL, "xl/drawings/", USE_TEXT, "text boxes" },
	{ EXCEL, "xl/charts/", USE_TEXT, "diagrams and charts" },
	{ EXCEL, "xl/styles.xml", USE_NONE, NULL },
	{ EXCEL, "xl/calcChain.xml", USE_NONE, NULL },
	{ EXCEL, "xl/theme/", USE_NONE, NULL },
	{ EXCEL, "xl/media/", USE_PICTURE, NULL },
	{ EXCEL, "xl/printerSettings/", USE_NONE, NULL },
	{ POWERPOINT, "ppt/slides/", USE_TEXT, "" },
	{ POWERPOINT, "ppt/notesSlides/", USE_TEXT, "speaker notes" },
	{ POWERPOINT, "ppt/comments*", USE_TEXT, "comments" },
	{ POWERPOINT, "ppt/slideMasters/", USE_TEXT, "master slides" },
	{ POWERPOINT, "ppt/slideLayouts/", USE_TEXT, "master slides" },
	{ POWERPOINT, "ppt/diagrams/", USE_TEXT, "diagrams and charts" },
	{ POWERPOINT, "ppt/charts/", USE_TEXT, "diagrams and charts" },
	{ POWERPOINT, "ppt/theme/", USE_NONE, NULL },
	{ POWERPOINT, "ppt/fonts/", USE_NONE, NULL },
	{ POWERPOINT, "ppt/media/", USE_PICTURE, NULL },
	{ POWERPOINT, "ppt/tableStyles.xml", USE_NONE, NULL },
	{ ODF, "content.xml", USE_TEXT, "" },
	{ ODF, "styles.xml", USE_TEXT, "headers and footers" },
	{ ODF, "meta.xml", USE_TEXT, "properties" },
	{ ODF, "mimetype", USE_NONE, NULL },
	{ ODF, "META-INF/manifest.xml", USE_MANIFEST, NULL },
	{ ODF, "settings.xml", USE_NONE, NULL },
	{ ODF, "Basic/", USE_MACRO, "macros" },
	{ ODF, "Scripts/", USE_MACRO, "macros" },
	{ ODF, "Dialogs/", USE_TEXT, "dialogs" },
	{ ODF, "Configurations2/", USE_NONE, NULL },
	{ ODF, "Thumbnails/", USE_PICTURE, NULL },
	{ ODF, "Pictures/", USE_PICTURE, NULL },
	{ ODF, "*.rdf", USE_NONE, NULL },
	{ ODF, "*/settings.xml", USE_NONE, NULL },
	{ ODF, "*/styles.xml", USE_NONE, NULL },
	{ ODF, "*/content.xml", USE_TEXT, "embedded object" },
	{ ANY, "*.xml", USE_TEXT, "other parts of the file" },
	{ ANY, "*.vml", USE_TEXT, "text boxes" },
};

static bool
fits(struct span name, struct span pattern)
{
	if (pattern.p[0] == '*')
		return span_ends_nocase(name, span_from(pattern, 1));
	if (pattern.p[pattern.n - 1] == '*')
		return span_starts_nocase(name, span_sub(pattern, 0, pattern.n - 1));
	if (pattern.p[pattern.n - 1] == '/')
		return span_starts_nocase(name, pattern);
	return span_eq_nocase(name, pattern);
}

static bool
is_of(enum family f, enum part_type t)
{
	bool odf = t == TYPE_ODT || t == TYPE_ODS || t == TYPE_ODP;

	switch (f) {
	case ANY:
		return true;
	case OOXML:
		return !odf;
	case ODF:
		return odf;
	default:
		/* By the folders they have, a file may be all three at once. */
		return !odf;
	}
}

struct member
office_member(struct span name, enum part_type t)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (is_of(lines[i].family, t) && fits(name, span_str(lines[i].pattern)))
			return (struct member){ lines[i].use, lines[i].origin };
	return (struct member){ USE_PART, NULL };
}
