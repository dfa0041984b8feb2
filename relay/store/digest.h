/* digest.h -- mails that tell users of their quarantine, and the links in them.
 *
 * At its hours a domain's recipients with something new are written down (digest_todo), in one
 * transaction with how far that reaches; from there each becomes a mail in the outbox, in one transaction
 * too. So everybody is told once of each message, whatever ends in between.
 *
 * A link names one message and one recipient; it is signed with a key that lies beside the database
 * (digest.key), not in it, and is good for one act: what was done with it is remembered.
 */
#ifndef STORE_DIGEST_H
#define STORE_DIGEST_H

#include "store/asked.h"

#define DIGEST_LIFE (INT64_C(14) * 86400)	/* seconds a link is good */

struct digests {
	unsigned char key[APPROVAL_KEY];
	bool keyed;
	int64_t look_at;		/* clock_mono: then the hours are looked at */
	bool counting;			/* an hour is not written down whole: nobody is told yet */
	bool todo;			/* there may be some who are not told yet */
};

/* The key, made where there is none. */
int digest_open(struct digests *g, const char *store_path, struct err *err);
void digest_tick(struct store *s);
/* The latest of these hours that is not after now, both Unix microseconds; 0: there are no hours. */
int64_t digest_slot(const struct conf_digest *d, int64_t now);
/* digest.send, digest.preview: digest_control.c */
bool digest_command(struct asked *q);
/* One user's mail, of what came behind `after` up to `upto`, into subject, text, html; *n: messages. */
struct buf;
int digest_make(struct store *s, struct span address, int64_t after, int64_t upto, struct arena *a,
    struct buf *subject, struct buf *text, struct buf *html, uint64_t *n, struct err *err);
/* digest_db.c: writes down whom the hour concerns, a piece of it at a time: 1 there is more, 0 all, -1. */
int digest_due(struct db *d, const struct config *c, const struct conf_digest *one, int64_t slot,
    int64_t now, struct err *err);
struct digest_one { struct span address; int64_t after, upto; };
int digest_next(struct db *d, struct span behind, struct arena *a, struct digest_one *o, struct err *err);
int digest_told(struct db *d, struct span address, struct err *err);
/* What came for him behind `after` up to `upto` and waits: the newest rows, and how many there are. */
struct digest_row;
struct digest_kept { int64_t kid; uint64_t id; };
int digest_rows(struct db *d, struct span address, int64_t after, int64_t upto, struct arena *a,
    struct digest_row *rows, struct digest_kept *kept, size_t *n, uint64_t *total, struct err *err);

/* digest_link.c: DIGEST_ASK of the console */
int digest_link(struct store *s, struct link *l, struct frame *f);

#endif
