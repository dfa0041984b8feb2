/* handover.h -- the queue of one node goes to another: cmd_handover.c, cmd_spool_adopt.c and cmd_spool.c. */
#ifndef CLI_HANDOVER_H
#define CLI_HANDOVER_H

#include "cli/cli.h"

/* `drain --to NODE|ADDRESS [--via COMMAND]`. */
int drain_to(const char *to, const char *via, const struct cli *cli);
/* `drain off --keep`: what was offered is delivered here. */
int drain_keep(const struct cli *cli);
/* `spool adopt DIR [--force]`. */
int spool_adopt_folder(const char *dir, bool force, const struct cli *cli);
/* The import of cmd_spool.c, from a descriptor into the configured spool; acks: a line of JSON for each message on stdout. */
int queue_import_from(const struct cli *cli, const char *path, int fd, bool acks);

#endif
