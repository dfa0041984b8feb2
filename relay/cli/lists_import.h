/* lists_import.h -- `postern lists import FILE`. */
#ifndef CLI_LISTS_IMPORT_H
#define CLI_LISTS_IMPORT_H

#include "cli/cli.h"

/* Lines as `lists export` writes them, or `allow|block WHAT [OWNER]  # reason`; "-": standard input. */
int lists_import(const char *file, const struct cli *cli);

#endif
