/* page.h -- what people read: columns, times, sizes, and texts that strangers wrote.
 *
 * Nothing from mail reaches the terminal as it is: control characters, those
 * that turn the direction of writing, and bytes that are no UTF-8 are shown
 * as \xNN or \u{N}.
 */
#ifndef CLI_PAGE_H
#define CLI_PAGE_H

#include <stdint.h>

#include "buf.h"
#include "cli/cli.h"

void page_text(struct buf *out, struct span s);		/* escaped */
void page_lines(struct buf *out, const char *indent, struct span s);	/* the same, line by line */
/* "11:19:42" today, "22 Nov 11:19" this year, else "2026-11-22"; local. 0: "-". */
void page_time(struct buf *out, int64_t us, int64_t now);
void page_stamp(struct buf *out, int64_t us);		/* "2026-11-22 11:19:42"; 0: "-" */
void page_age(struct buf *out, int64_t us);		/* a span of time: "3m", "2h 10m", "5d" */
/* A time in an answer: Unix microseconds, or seconds with a fraction; 0 when there is none. */
struct jval;
int64_t page_when(const struct jval *object, const char *key);
void page_size(struct buf *out, uint64_t bytes);	/* "48.2 kB" */
void page_count(struct buf *out, uint64_t n, const char *one, const char *many);	/* "1 message" */
/* An account by its uid, as the journal has it ("uid 0"): its name when there is one. */
void page_who(struct buf *out, struct span by);
/* What was said in the attempts that failed, from a line of `trace`. */
void journal_put_attempts(struct buf *out, const struct cli *cli, const struct jval *v);
void page_flush(struct buf *out);			/* to stdout, and empty */

enum page_colour { PLAIN, BOLD, DIM, RED, GREEN, YELLOW };
void page_begin(struct buf *out, const struct cli *cli, enum page_colour c);
void page_end(struct buf *out, const struct cli *cli, enum page_colour c);
/* Good, waiting or bad, from a word such as "sent", "deferred", "ready". */
enum page_colour page_colour_of(struct span status);

/* Columns as wide as their widest cell; the last one is not padded. */
#define GRID_COLUMNS 12
struct grid {
	const struct cli *cli;
	struct buf text;		/* all cells, one behind the other */
	struct { size_t n; uint8_t colour; } *cells;
	size_t ncells, room;
	size_t columns;
	uint32_t right;			/* bit for each column set flush right */
};
/* titles: NULL-terminated. right: a letter for each column, 'r' or 'l'. */
void grid_init(struct grid *g, const struct cli *cli, const char *const *titles, const char *right);
/* Writes the cell into the buffer returned, then … */
struct buf *grid_cell(struct grid *g);
void grid_done(struct grid *g, enum page_colour c);	/* … closes it */
void grid_text(struct grid *g, struct span s);		/* escaped; "" shows as "-" */
void grid_cstr(struct grid *g, const char *s);
void grid_number(struct grid *g, int64_t n);
size_t grid_rows(const struct grid *g);
void grid_print(struct grid *g, struct buf *out, const char *indent);
void grid_release(struct grid *g);

#endif
