/* commands.h -- the one table of what `postern` can do, and the way in. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/cli.h"

struct command {
	const char *name;
	const char *help;	/* one line */
	const char *usage;	/* lines behind "usage: postern "; '\n' between them */
	int (*run)(int argc, char **argv, const struct cli *cli);
};

extern const struct command commands[];		/* name NULL behind the last */
const struct command *command_find(const char *name);	/* NULL: no such */
/* Says on stderr how `name` is used; CLI_USAGE. */
int command_usage(const char *name);

/* The whole tool: options, command, exit status. */
int cli_main(int argc, char **argv);

int cmd_addresses(int argc, char **argv, const struct cli *cli);
int cmd_snippet(int argc, char **argv, const struct cli *cli);
int cmd_domain(int argc, char **argv, const struct cli *cli);
int cmd_audit(int argc, char **argv, const struct cli *cli);
int cmd_auth(int argc, char **argv, const struct cli *cli);
int cmd_batv(int argc, char **argv, const struct cli *cli);
int cmd_bundle(int argc, char **argv, const struct cli *cli);
int cmd_cluster(int argc, char **argv, const struct cli *cli);
int cmd_bayes(int argc, char **argv, const struct cli *cli);
int cmd_directory(int argc, char **argv, const struct cli *cli);
int cmd_digest(int argc, char **argv, const struct cli *cli);
int cmd_diff(int argc, char **argv, const struct cli *cli);
int cmd_dkim(int argc, char **argv, const struct cli *cli);
int cmd_dns(int argc, char **argv, const struct cli *cli);
int cmd_doctor(int argc, char **argv, const struct cli *cli);
int cmd_drain(int argc, char **argv, const struct cli *cli);
int cmd_edm(int argc, char **argv, const struct cli *cli);
int cmd_fingerprint(int argc, char **argv, const struct cli *cli);
int cmd_incidents(int argc, char **argv, const struct cli *cli);
int cmd_backup(int argc, char **argv, const struct cli *cli);
int cmd_restore(int argc, char **argv, const struct cli *cli);
int cmd_import(int argc, char **argv, const struct cli *cli);
int cmd_init(int argc, char **argv, const struct cli *cli);
int cmd_held(int argc, char **argv, const struct cli *cli);
int cmd_recipients(int argc, char **argv, const struct cli *cli);
int cmd_lists(int argc, char **argv, const struct cli *cli);
int cmd_limits(int argc, char **argv, const struct cli *cli);
int cmd_passwd(int argc, char **argv, const struct cli *cli);
int cmd_policy(int argc, char **argv, const struct cli *cli);
int cmd_policy_schema(int argc, char **argv, const struct cli *cli);
int cmd_quarantine(int argc, char **argv, const struct cli *cli);
int cmd_policy(int argc, char **argv, const struct cli *cli);
int cmd_probe(int argc, char **argv, const struct cli *cli);
int cmd_queue(int argc, char **argv, const struct cli *cli);
int cmd_reload(int argc, char **argv, const struct cli *cli);
int cmd_replay(int argc, char **argv, const struct cli *cli);
int cmd_reputation(int argc, char **argv, const struct cli *cli);
int cmd_route(int argc, char **argv, const struct cli *cli);
int cmd_send_test(int argc, char **argv, const struct cli *cli);
int cmd_session(int argc, char **argv, const struct cli *cli);
int cmd_simulate(int argc, char **argv, const struct cli *cli);
int cmd_spool(int argc, char **argv, const struct cli *cli);
int cmd_status(int argc, char **argv, const struct cli *cli);
int cmd_store(int argc, char **argv, const struct cli *cli);
int store_copy(int argc, char **argv, const struct cli *cli);	/* store check, backup, restore */
int cmd_tail(int argc, char **argv, const struct cli *cli);
int cmd_tlsrpt(int argc, char **argv, const struct cli *cli);
int cmd_users(int argc, char **argv, const struct cli *cli);
int cmd_trace(int argc, char **argv, const struct cli *cli);
/* What the page of `status` says needs attention; nothing when posternd does not answer. */
void status_attention(const struct cli *cli, void (*each)(void *ctx, bool bad, const char *text), void *ctx);
/* `explain ID`: the record the store has of a message that passed. */
int cmd_explain_id(const char *id, const struct cli *cli);

#endif
