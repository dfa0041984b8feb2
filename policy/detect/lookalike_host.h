/* lookalike_host.h -- hosts that people take for others. */
#ifndef DETECT_LOOKALIKE_HOST_H
#define DETECT_LOOKALIKE_HOST_H

#include "postern/arena.h"
#include "postern/span.h"

#define LOOKALIKE_NAMES 5000	/* of one condition */

/* What libicu knows of confusable characters (UTS #39), opened once for a policy: no file is read
 * later. NULL: libicu has no such data. */
struct confusables;
struct confusables *confusables_open(void);
void confusables_close(struct confusables **c);

/* The names that are imitated. */
struct lookalikes;
struct lookalikes *lookalikes_new(const struct confusables *c);
void lookalikes_free(struct lookalikes **l);
/* A host in A-labels. false: a public suffix or an address, which nobody imitates. */
bool lookalikes_add(struct lookalikes *l, struct span host);
size_t lookalikes_count(const struct lookalikes *l);
/* One of the names, below one, or of the same domain. */
bool lookalikes_has(const struct lookalikes *l, struct span host);
/* Is it taken for one of the names, and none of them nor below one? Then which, and why, for people. */
bool lookalikes_find(const struct lookalikes *l, struct span host, struct span *name,
    const char **why);
/* A label alone, as people read it ("paypa1"): the same as that of one of the names, or looking the same. */
bool lookalikes_named(const struct lookalikes *l, struct span label, struct span *name);
/* Is `host` taken for `name`, which is guarded by nobody? l: for what it knows of characters. */
bool lookalikes_pair(const struct lookalikes *l, struct span name, struct span host, const char **why);

#endif
