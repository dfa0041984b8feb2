/* diag_out.h -- errors and warnings of files, shown to people or as JSON lines. */
#ifndef CLI_DIAG_OUT_H
#define CLI_DIAG_OUT_H

#include <stdio.h>

#include "cli/cli.h"
#include "json.h"

void cli_remove_tree(const char *path);		/* a temporary folder of ours */
void cli_write(FILE *to, struct span s);	/* s may be empty */
/* In the house format to `to`; with --json one object a line on stdout. */
void diags_show(const struct diags *d, const struct cli *cli, FILE *to);
/* NULL: the reasons are in d. The config has an arena of its own; d refers to a. */
struct config *config_read(const char *path, struct arena *a, struct diags *d);
/* For its networks and domains, where a policy can do without: NULL when there is none. */
struct config *config_read_quiet(const struct cli *cli);

#endif
