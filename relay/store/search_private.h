/* search_private.h -- what the files of the index share; see search.h. */
#ifndef STORE_SEARCH_PRIVATE_H
#define STORE_SEARCH_PRIVATE_H

#include "buf.h"
#include "clock.h"
#include "id.h"
#include "ipc/json_read.h"
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
void doc_names(struct doc *d, const struct jval *record);

#endif
