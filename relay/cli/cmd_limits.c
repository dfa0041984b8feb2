/* cmd_limits.c -- `postern limits`: what is counted, who is locked, whom a limit does not count. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "clock.h"

static void
until_cell(struct grid *g, const struct jval *v, const char *key)
{
	int64_t now = clock_real(), at = page_when(v, key);

	if (at > now)
		page_age(grid_cell(g), at - now);
	else
		buf_puts(grid_cell(g), "-");
	grid_done(g, PLAIN);
}

static void
limit_line(void *ctx, const struct jval *v, struct span text)
{
	struct grid *g = ctx;
	int64_t used = jval_int(v, "used", 0), allow = jval_int(v, "allow", 0);

	grid_text(g, jval_text(v, "limit"));
	grid_text(g, jval_text(v, "key"));
	if (jval_bool(v, "locked")) {
		buf_puts(grid_cell(g), "locked");
		grid_done(g, RED);
		grid_cstr(g, "");
	} else {
		buf_printf(grid_cell(g), "%lld of %lld ", (long long)used, (long long)allow);
		page_text(&g->text, jval_text(v, "unit"));
		grid_done(g, allow > 0 && used >= allow ? RED : PLAIN);
		page_age(grid_cell(g), jval_int(v, "window", 0) * US_PER_SEC);
		grid_done(g, PLAIN);
	}
	until_cell(g, v, "free_at");
}

static void
exempt_line(void *ctx, const struct jval *v, struct span text)
{
	struct grid *g = ctx;

	grid_text(g, jval_text(v, "limit"));
	grid_text(g, jval_text(v, "match"));
	grid_text(g, jval_text(v, "owner"));
	if (jval_bool(v, "expired")) {
		buf_puts(grid_cell(g), "expired");
		grid_done(g, YELLOW);
	} else
		until_cell(g, v, "until");
	grid_text(g, jval_text(v, "reason"));
}

static int
show(const struct cli *cli, const char *cmd, const char *const *titles, const char *right,
    control_line *line, const char *nothing)
{
	struct request r;
	struct grid g;
	struct buf out;
	int status;

	grid_init(&g, cli, titles, right);
	request_begin(&r, cmd);
	status = control_ask(cli, &r, CONTROL_SHOW, line, &g);
	buf_init(&out, 64u << 20);
	if (grid_rows(&g) > 0)
		grid_print(&g, &out, "");
	else if (status == CLI_OK && !cli->json)
		buf_puts(&out, nothing);
	page_flush(&out);
	buf_release(&out);
	grid_release(&g);
	return status;
}

static void
reset_line(void *ctx, const struct jval *v, struct span text)
{
	*(bool *)ctx = jval_bool(v, "reset");
}

int
cmd_limits(int argc, char **argv, const struct cli *cli)
{
	static const char *const counts[] = { "limit", "who", "used", "in", "empty in", NULL };
	static const char *const exempt[] = { "limit", "whom", "owner", "ends in", "reason", NULL };
	bool reset = false;
	struct request r;
	int status;

	if (argc == 1 || (argc == 2 && strcmp(argv[1], "show") == 0))
		return show(cli, "limits.show", counts, "llrrr", limit_line,
		    "no limit has counted anything\n");
	if (argc == 2 && strcmp(argv[1], "locked") == 0)
		return show(cli, "limits.locked", counts, "llrrr", limit_line, "nobody is locked\n");
	if (argc == 2 && strcmp(argv[1], "exempt") == 0)
		return show(cli, "limits.exempt", exempt, "lllrl", exempt_line,
		    "no limit has exemptions\n");
	if (argc != 3 || strcmp(argv[1], "reset") != 0)
		return command_usage("limits");
	request_begin(&r, "limits.reset");
	json_kcstr(&r.j, "key", argv[2]);
	status = control_ask(cli, &r, CONTROL_SHOW, reset_line, &reset);
	if (status == CLI_OK && !cli->json) {
		puts(reset ? "forgotten" : "nothing is counted under this key");
		return reset ? CLI_OK : CLI_FINDINGS;
	}
	return status;
}
