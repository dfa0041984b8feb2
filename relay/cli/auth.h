/* auth.h -- `postern auth`: what the verifier would say, asked by hand. */
#ifndef CLI_AUTH_H
#define CLI_AUTH_H

#include "cli/cli.h"

/* argv: what stands behind the name, without --dns; conf: whose DNS is asked. */
int auth_spf(int argc, char **argv, const struct cli *cli, const struct config *conf);
int auth_dkim(int argc, char **argv, const struct cli *cli, const struct config *conf);
int auth_dmarc(int argc, char **argv, const struct cli *cli, const struct config *conf);

#endif
