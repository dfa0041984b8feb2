/* backtest.h -- a policy over the records of past messages: what would have been otherwise.
 *
 * Memory grows with the number of rules, not of messages: each group of
 * changes keeps its first ids only. A message whose outcome hangs on something
 * that its record does not know is counted apart, never guessed; when it is
 * still held or in quarantine it is judged from its bytes.
 */
#ifndef CLI_BACKTEST_H
#define CLI_BACKTEST_H

#include "cli/cli.h"
#include "postern/policy.h"

#define BACKTEST_IDS 1000	/* of a group, at most */
#define BACKTEST_FETCHED 200	/* messages judged from their bytes, at most: each is read whole */

struct backtest;
struct backtest_options {
	const struct policy *policy;
	struct span rule;	/* only what concerns this one, as if it were enforced; "" all */
	int64_t since;
	const char *last;	/* as it was asked for: "7d" */
	size_t ids;		/* of a group to show */
	bool rules;		/* a table of rules */
	const char *heading;	/* what the policy is called: a folder */
};
/* Reads, and prints what it found. A cli_exit status: CLI_FINDINGS when something would change. */
int backtest_run(const struct cli *cli, const struct backtest_options *o);

#endif
