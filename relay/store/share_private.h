/* share_private.h -- what share.c and its neighbours share; see share.h. */
#ifndef STORE_SHARE_PRIVATE_H
#define STORE_SHARE_PRIVATE_H

#include "store/db_keys.h"
#include "store/share.h"

struct asking {
	base_cb *cb;
	void *ctx;
};

struct share {
	struct link *cluster, *before;	/* of an older generation */
	struct event *wake, *patience;
	struct base_words *words;
	struct tickets *tickets;	/* owner: struct asking */
	struct db *mem;			/* base_db */
	struct arena *scratch;
	int64_t self;
	bool there, newer, named;
	int64_t since;			/* clock_real: of `there`, or of its contrary */
	bool alarmed;
	char why[300];
	int64_t event_seq, audit_seq, base_seq;	/* the base has them */
	int64_t saved;			/* event_seq that the database knows */
	int64_t save_at, poll_at;	/* clock_mono */
	uint64_t ticket;		/* of the batch; 0: none is under way */
	struct share_batch batch;
	size_t limit;			/* of the next one */
	struct idtable *recent, *older;
	uint64_t behind;
	bool news_kept, news_lists;
};

/* base_ask.c */
int base_told(struct store *s, struct frame *f);
void base_patience(int fd, short what, void *arg);

/* Has the base got the message of this id lately? (Not: surely it has not.) */
bool share_was_sent(struct store *s, uint64_t id);
void share_sent(struct store *s, uint64_t id);
struct base_words *share_words(struct store *s);
bool share_audit_sent(struct store *s);	/* all of the audit log is there */
/* The base is asked for what others changed. */
void share_news(struct store *s);

/* base_kept.c: what others decided of our own is marked here; guests of before leave */
void base_marks(struct store *s);
int guests_leave(struct db *d, int64_t before, struct err *err);
#define BASE_LISTS_PAGE 2000	/* changes that the base tells at once: cluster/ask.c */
/* base_lists.c: what others changed in the lists is taken over */
void base_lists(struct store *s);

#endif
