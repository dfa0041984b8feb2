/* acts.h -- what verbs on many messages have in common, and the record of a verdict. */
#ifndef CLI_ACTS_H
#define CLI_ACTS_H

#include "buf.h"
#include "cli/cli.h"
#include "ipc/json_read.h"

struct act_words {
	const char *verb;	/* "release" */
	const char *done;	/* "released" */
	bool each;		/* the daemon answers for each one, not only how many */
};
/* argv: SELECTOR [--yes] [--text REASON] [--silent]. Asks NOUN.VERB how many there are, prints that, and acts
 * when it is one message or --yes stands there. */
int act_on(int argc, char **argv, const struct cli *cli, const char *noun,
    const struct act_words *words);

/* The stored verdict of a message (interfaces.md), as `explain FILE` prints one. */
void record_put(struct buf *out, const struct cli *cli, const struct jval *record);

#endif
