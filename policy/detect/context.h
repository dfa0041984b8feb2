/* context.h -- what the surroundings of a match say of it: the heading of its column, the
 * label right in front of it.
 *
 * A keyword at some distance is a hint; these two are what a reader goes by. A value
 * that fills a cell of a table is named by the cell of the first row, however far above. A
 * number with another label directly before it ("order no. 732829320") is that other thing, whatever
 * keyword stands near.
 *
 * Both look at plain text and know no detector. Columns are found in one walk over the
 * surface, which is made when the first cell asks for it.
 */
#ifndef DETECT_CONTEXT_H
#define DETECT_CONTEXT_H

#include "postern/span.h"

#define TABLES_MAX 4096			/* of one surface; further ones have no headings */
#define HEADINGS 512			/* kept; further columns are looked up anew */
#define HEADING_LINE_MAX 65536		/* bytes of a line of headings that are looked at */
#define CELL_BYTES_MAX 200		/* of a heading that is looked at */
#define TABLE_LINE_MAX 4096		/* bytes of a row in front of a cell */

struct tables {
	bool made;
	struct table {
		size_t from, to;	/* rows without the heading; ends at the last one's line end */
		size_t head, head_to;	/* the line of the headings */
		uint8_t seps;		/* what may part its columns, a bit for each */
	} *table;
	size_t n, cap;
	/* Where the last cell was and which it was: the next one is counted from there. */
	struct {
		size_t at;
		unsigned sep, column;
		bool quoted, known;
	} last;
	/* Headings found, by table and column. */
	size_t serial;		/* of the surface */
	struct found {
		size_t serial, head;	/* serial: one more; 0 is an empty place */
		unsigned column;
		size_t from, to;
	} found[HEADINGS];
};

/* Forgets the tables of the last surface. */
void tables_reset(struct tables *t);
void tables_release(struct tables *t);
/* Where the heading of the column stands whose cell [from, to) fills: false when it fills none
 * or stands in no table. */
bool tables_heading(struct tables *t, struct span text, size_t from, size_t to, size_t *head_from,
    size_t *head_to);
/* The heading with blanks where words meet: "CARD_NUMBER", "cardNumber"; at most twice as long. */
size_t heading_spaced(char *out, struct span heading);

/* Does the label that stands right before `from`, or the unit right behind `to`, name something that
 * is nobody's number? *label_from is where the clause
 * of that label begins; `to` itself for a unit. */
bool other_label(struct span text, size_t from, size_t to, size_t *label_from);

#endif
