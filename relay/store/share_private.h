/* share_private.h -- what share.c and its neighbours share; see share.h. */
#ifndef STORE_SHARE_PRIVATE_H
#define STORE_SHARE_PRIVATE_H

#include "store/share.h"

/* States of a claim. They stand in the database. */
enum claim_state { CLAIM_ASKED = 1, CLAIM_WON, CLAIM_OVER };

/* Has the base got the message of this id lately? (Not: surely it has not.) */
bool share_was_sent(struct store *s, uint64_t id);
void share_sent(struct store *s, uint64_t id);
struct base_words *share_words(struct store *s);
/* The base is asked for what others changed. */
void share_news(struct store *s);

#endif
