/* records.h -- the verdict records and policies of the running daemon, as the tool reads them.
 *
 * Records come in pages of packs and are given out one by one: memory does not
 * grow with their number.
 */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include "cli/cli.h"
#include "postern/record.h"
#include "scanner/archive.h"

struct records_progress {
	uint64_t done, total;
	int64_t started;
	bool shown;
};
/* Each record since then, in the order of writing. An exit status. */
typedef void records_each(void *ctx, uint64_t id, struct span record);
int records_read(const struct cli *cli, int64_t since, records_each *each, void *ctx,
    struct records_progress *p);

/* One record: CLI_OK, or said on stderr (unless quiet) and a status. */
int records_get(const struct cli *cli, const char *id, bool quiet, struct arena *a,
    struct span *out);
/* An archive by the first digits of a policy's hash, or (hash NULL) by the key of its manifest. */
int records_archive(const struct cli *cli, const char *hash, uint64_t key, bool quiet,
    struct arena *a, struct archive *out);

/* A policy and the manifests that records refer to: each is asked for once. */
struct plans;
struct plans *plans_new(const struct cli *cli, const struct policy *p);
void plans_free(struct plans **pl);		/* NULL-safe */
/* NULL: the policy it was judged by is no longer kept. */
const struct record_plan *plans_get(struct plans *pl, uint64_t manifest);

/* "7d", "24h": the moment so long ago; false: said on stderr. */
bool records_since(const char *last, int64_t *since);

#endif
