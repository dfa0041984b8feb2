/* fetcher.h -- what the fetcher's own files share. */
#ifndef FETCHER_FETCHER_H
#define FETCHER_FETCHER_H

#include "fetcher/https.h"
#include "fetcher/sts_cache.h"
#include "ipc/messages_tls.h"
#include "master/runtime.h"

struct fetch;
struct table;

struct fetcher {
	struct runtime *rt;
	struct https_world world;
	struct sts_cache *cache;
	struct fetch *fetches, *waiting, **last;	/* under way; waiting for their turn */
	size_t nfetches;
	struct table *failures;		/* domain -> struct failure */
	struct event *tick;
	struct post *posts;
};

/* sts_fetch.c: whoever asks for the policy of a domain is answered, soon or after a fetch. */
void sts_fetch_init(struct fetcher *f);
void sts_fetch_ask(struct fetcher *f, struct link *from, uint64_t ticket,
    const struct msg_sts_ask *m);
void sts_fetch_forget(struct fetcher *f, const struct link *l);	/* it is gone */
void sts_fetch_tick(struct fetcher *f);		/* refreshes; once a second */

#endif
