/* zone_world.h -- the table of zone.h in the tool: keys from their files, answers by waiting for them. */
#ifndef CLI_ZONE_WORLD_H
#define CLI_ZONE_WORLD_H

#include "cli/cli.h"
#include "cli/lookup.h"
#include "zone/zone.h"

/* Fills z for the domain, keys included, and advises; z->a is set. false: said on stderr. */
bool zone_of(struct zone *z, const struct config *conf, const char *domain);
/* Checks by the servers of postern.yaml; l stays the caller's. */
void zone_check_by(struct zone *z, struct lookup *l);
/* And by each of these resolvers. -1: err */
int zone_check_resolvers(struct zone *z, const struct conf_host *v, size_t n, struct err *err);
/* One line for each verdict, and what it should say; *bad is set when something must be done. */
void zone_print_checks(struct buf *out, const struct cli *cli, const struct zone *z, bool *bad);

#endif
