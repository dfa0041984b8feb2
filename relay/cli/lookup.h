/* lookup.h -- one DNS question after the other, through the servers postern.yaml names. */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "net/dns.h"
#include "master/config.h"

struct lookup;

/* NULL: err says why. */
struct lookup *lookup_new(const struct config *conf, struct err *err);
/* The same, by these servers. */
struct lookup *lookup_by(const struct config *conf, const struct conf_host *servers, size_t n,
    struct err *err);
void lookup_free(struct lookup **l);
/* Waits for the answer, 8 seconds at most; it stays until the next question. Names that cannot
 * be asked do not exist. */
const struct dns_answer *lookup_ask(struct lookup *l, const char *name, uint16_t type);

/* Fetches one URL and waits for it, as the fetcher would. false: why says what is wrong (in a). */
struct span;
bool lookup_https(struct lookup *l, const char *roots, const char *url, int64_t timeout,
    struct arena *a, struct span *body, const char **why);

#endif
