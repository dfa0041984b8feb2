/* kept_page.h -- kept messages as people read them: a page of those one may see, one as JSON. */
#ifndef STORE_KEPT_PAGE_H
#define STORE_KEPT_PAGE_H

#include "ipc/principal.h"
#include "store/kept.h"

#define KEPT_PAGE_MAX 1000
#define KEPT_PAGE_BUDGET_US (2 * INT64_C(1000000))	/* then the page ends early, and says so */

/* Every filter that is set must hold. */
struct kept_ask {
	enum outcome kind;	/* HOLD, QUARANTINE; UNJUDGED both */
	int state;		/* enum kept_state; 0 any */
	uint64_t id;
	struct span queue, class;
	struct span from, to;	/* address, or domain without @ */
	struct span q;		/* three characters at least of sender, subject or a recipient */
	bool asked;		/* somebody asks for it and has no answer yet */
	int64_t before;		/* kid: those older than it; 0: from the newest */
	size_t limit;
};

/* Newest first, at most ask->limit; *more: there are older ones. -1; err->code ETIME: took too long. */
int kept_page(struct db *d, const struct kept_ask *ask, const struct principal *who, struct arena *a,
    int64_t **kids, size_t *n, bool *more, struct err *err);

/* One line: {"v":1,"kid",…}, with the recipients that `who` may see; who NULL: all. 1, 0 no such row or
 * nothing of it to be seen, -1. */
int kept_item(struct db *d, int64_t kid, const struct principal *who, struct buf *out,
    struct err *err);

#endif
