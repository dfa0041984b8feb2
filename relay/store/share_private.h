/* share_private.h -- what share.c and its neighbours share; see share.h. */
#ifndef STORE_SHARE_PRIVATE_H
#define STORE_SHARE_PRIVATE_H

#include "store/share.h"


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
