/* dkim_page.h -- what the files of `postern dkim` share. */
#ifndef CLI_DKIM_PAGE_H
#define CLI_DKIM_PAGE_H

#include "buf.h"
#include "cli/cli.h"
#include "cli/lookup.h"
#include "signer/dkim_record.h"

struct dkim_page {
	const struct cli *cli;
	const struct config *conf;
	struct arena *a;
	struct buf out;
	bool bad;
};

#define DKIM_RSA_BITS 2048

/* What the DNS says of the key at `name`; the verdict is for people. */
enum dkim_match dkim_look_up(struct dkim_page *p, struct lookup *l, const struct dkim_key *k,
    const char *name, const char **verdict);
/* "SELECTOR._domainkey.DOMAIN" */
char *dkim_name(struct dkim_page *p, struct span selector, struct span domain);
/* argv[0]: the domain. The exit status. */
int dkim_rotate(struct dkim_page *p, int argc, char **argv);

#endif
