/* search_private.h -- what the files of the index share; see search.h. */
#ifndef STORE_SEARCH_PRIVATE_H
#define STORE_SEARCH_PRIVATE_H

#include "buf.h"
#include "clock.h"
#include "id.h"
#include "store/search.h"

#define WEEK_US (INT64_C(7) * 24 * 3600 * US_PER_SEC)
#define WEEK_IDS ((uint64_t)WEEK_US * ID_SLOTS)
#define SEARCH_SQL_MAX 1000

enum column { COL_KEYS, COL_SENDER, COL_RCPT, COL_SUBJECT, COL_FILES, COL_CLIENT, COL_RULES, COLUMNS };

struct doc {
	uint64_t id;
	bool reply;		/* only col[0] */
	struct buf col[COLUMNS];
};

struct search_batch {
	struct doc *docs;
	size_t n, room;
};

struct doc *doc_of(struct search_batch *b, uint64_t id, bool reply);
void doc_words(struct buf *b, struct span s);
void doc_key(struct doc *d, enum search_key kind, struct span value);
void doc_address(struct doc *d, struct span address, enum search_key kind,
    enum search_key domain_kind, enum column words);
void doc_names(struct doc *d, const struct record_words *w);

/* ---- search_join.c ---- */

#define SEARCH_BELOW 4		/* the parameter that bounds a list's ids from above */

struct search_list {
	sqlite3_stmt *st;	/* its first column: ids, falling, below ?4 */
	bool prefix;		/* expensive to begin, cheap to go on */
	bool kept;		/* db_stmt's: not to be finalized */
	bool end;
	uint64_t id;		/* where it stands, unless at its end */
};
struct search_part {		/* what stands in one of these lists */
	struct search_list lists[2];
	size_t n;
};
/* To its first id. -1 also where there is no statement. */
int search_list_open(struct search_list *l, struct db *d, struct err *err);
void search_list_close(struct search_list *l);
/* 1 more, 0 enough, -1. */
typedef int search_take(void *ctx, uint64_t id);
/* Ids that all the parts have, newest first. */
int search_join(struct search_part *parts, size_t n, struct db *d, search_take *take, void *ctx, struct err *err);

#endif
