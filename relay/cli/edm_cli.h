/* edm_cli.h -- what the verbs of `postern edm` share. */
#ifndef CLI_EDM_CLI_H
#define CLI_EDM_CLI_H

#include "cli/cli.h"
#include "edm/edm.h"

int edm_verb_build(int argc, char **argv, bool new_key, const struct cli *cli);

/* The key of an index: of --key FILE, or beside it. */
int edm_key_of(const char *index, const char *option, struct arena *a,
    uint8_t key[EXACT_KEY], const char **path, struct err *err);
/* "nir  nir  9,999,120 values", …; JSON: the same as members of the object in hand. */
struct buf;
struct json;
void edm_put_columns(struct buf *o, const struct cli *cli, const struct exact_header *h);
void edm_json_index(struct json *j, const char *path, const struct exact_header *h);

#endif
