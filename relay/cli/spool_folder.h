/* spool_folder.h -- which spool the tool works on, and as whom. */
#ifndef CLI_SPOOL_FOLDER_H
#define CLI_SPOOL_FOLDER_H

#include "cli/cli.h"

/* dir, or the configured one, to be freed; NULL: no configuration (said on stderr). */
char *spool_folder(const struct cli *cli, const char *dir);
/* Root becomes the owner of the folder, so that posternd can read what is written. -1: said. */
int spool_become_owner(const char *path);
/* `postern queue export|import FILE [DIR]`, without the first two words. */
int queue_export(int argc, char **argv, const struct cli *cli);
int queue_import(int argc, char **argv, const struct cli *cli);

#endif
