/* control_client.h -- asks the running daemon: one request, JSON lines back. */
#ifndef CLI_CONTROL_CLIENT_H
#define CLI_CONTROL_CLIENT_H

#include "cli/cli.h"
#include "ipc/json_read.h"
#include "json.h"

struct request {
	struct buf b;
	struct json j;
};
/* {"cmd":"NAME" must stand first: the master looks no further. Add members to r->j. */
void request_begin(struct request *r, const char *cmd);
void request_release(struct request *r);	/* when control_ask is not called */

/* A line that is no error; may be called many times. */
typedef void control_line(void *ctx, const struct jval *v, struct span text);

enum control_mode {
	CONTROL_SHOW,		/* with --json lines go to stdout as they came, `line` sees none */
	CONTROL_READ,		/* `line` sees them whatever --json says */
};
/* Sends, releases the request, reads to the end. CLI_OK; CLI_FINDINGS when the daemon answered
 * with an error (said on stderr, or passed on with --json); CLI_UNREACHABLE. */
int control_ask(const struct cli *cli, struct request *r, enum control_mode mode,
    control_line *line, void *ctx);
/* The same, but a daemon that does not answer is not said to be one. For pages of several parts. */
int control_ask_quietly(const struct cli *cli, struct request *r, control_line *line, void *ctx);

#endif
