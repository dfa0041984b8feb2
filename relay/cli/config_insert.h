/* config_insert.h -- a domain more in postern.yaml, without touching anything that stands there.
 *
 * Lines are put in below `domains:`, or with it at the end; what came of it is read as postern.yaml before
 * it takes its place, in one rename. Nothing is ever replaced or moved, comments included.
 */
#ifndef CLI_CONFIG_INSERT_H
#define CLI_CONFIG_INSERT_H

#include "buf.h"
#include "postern/arena.h"
#include "postern/err.h"

#define CONFIG_TEXT_MAX ((size_t)8 << 20)

/* The file's new text. lines: the domain's, indented by `indent` for each "\t" at their beginning.
 * false: `domains` is written in a way that lines cannot be put in ({…}), or is not where it is looked for. */
bool config_insert(struct span file, struct span lines, struct buf *out);
/* Reads, inserts, checks, replaces. -1: nothing has changed, err says why. */
int config_add_domain(const char *path, struct span lines, struct arena *a, struct err *err);

#endif
