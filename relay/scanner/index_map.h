/* index_map.h -- indexes of exact data as memory: shared by all who map them, never copied.
 *
 * An index that is replaced (rename) lives on for those who have mapped it. One
 * that is written into where it lies, as scp over it does, is not what was proved
 * any more: index_changed() says so, before and after a message, and its
 * verdict is none. A file cut short under us ends the process (SIGBUS), which
 * costs the message no more than a crash does: it is tried again, then held.
 */
#ifndef SCANNER_INDEX_MAP_H
#define SCANNER_INDEX_MAP_H

#include "postern/err.h"
#include "postern/span.h"

/* Keeps a descriptor of its own. name: for people. */
int index_map(int fd, const char *name, struct span *out, struct err *err);
void index_unmap(void *ctx, struct span bytes);	/* as policy_env.release_index */
/* The name of one that is not as it was when it was mapped; NULL: all are. */
const char *index_changed(void);

#endif
