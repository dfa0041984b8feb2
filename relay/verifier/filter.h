/* filter.h -- rspamd and spamd, asked what they think of a message.
 *
 * What is said and heard is pure (filter_question, filter_heard); filter_ask() does it over a connection
 * of its own, in the event loop. A filter that cannot be reached, is slow, or talks nonsense leaves
 * the message unrated: it is never taken for spam, nor for clean, because of that.
 *
 *	rspamd	POST /checkv2, HTTP/1.1, as its manual describes the protocol of its workers
 *	spamd	SYMBOLS of SPAMC/1.5 (spamd/PROTOCOL of SpamAssassin)
 */
#ifndef VERIFIER_FILTER_H
#define VERIFIER_FILTER_H

#include "ipc/messages_verify.h"
#include "master/config.h"

struct event_base;

#define FILTER_REPLY_MAX (1u << 20)	/* bytes of an answer */
#define FILTER_NAME_MAX 100		/* bytes of a symbol's name; longer ones are left out */

/* Writes what is said before the message's bytes, which follow as they are. */
void filter_question(struct buf *b, const struct conf_filter *conf, const struct msg_identify *who,
    size_t size);

enum filter_status { FILTER_MORE, FILTER_SAID, FILTER_NONSENSE };
/* heard: all of it so far. SAID: the spam facts are in f, its texts in a. NONSENSE: why says what. */
enum filter_status filter_heard(const struct conf_filter *conf, struct span heard, bool eof,
    struct arena *a, struct facts *f, const char **why);

struct filter;
/* why: NULL, and the spam facts of f are known; else they are not. Never from within a call. */
typedef void filter_cb(void *ctx, const struct facts *f, const char *why);
/* raw must stay until it is over or cancelled; the facts' texts live in a. */
struct filter *filter_ask(struct event_base *base, const struct conf_filter *conf,
    const struct msg_identify *who, struct span raw, struct arena *a, filter_cb *cb, void *ctx);
void filter_cancel(struct filter **f);		/* NULL-safe */

#endif
