/* cmd_replay.c -- `postern replay ID [DIR]`: the verdict of a message once more, from its record.
 *
 * With the policy that was in force (it is kept) the verdict must be the same,
 * bit for bit; with another one it says what would be otherwise.
 */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/diag_out.h"
#include "cli/page.h"
#include "cli/policy_args.h"
#include "cli/records.h"
#include "id.h"
#include "json.h"

struct replaying {
	struct arena *arena;
	struct record r;
	struct archive archive;		/* of the policy that was in force */
	struct manifest manifest;
	struct policy *policy;
	struct config *conf;
	const char *dir;
	struct replay again;
	struct buf why;
	bool same;
};

static int
get_policy(struct replaying *p, const struct cli *cli)
{
	struct diags d;
	int status = records_archive(cli, NULL, p->r.manifest, false, p->arena, &p->archive);

	if (status != CLI_OK)
		return status;
	if (manifest_read(p->archive.manifest, p->arena, &p->manifest) == -1) {
		fputs("postern: the manifest of the policy is damaged\n", stderr);
		return CLI_FINDINGS;
	}
	diags_init(&d, p->arena);
	p->policy = p->dir ? policy_open(cli, p->dir, p->arena, &p->conf, NULL) :
	    policy_archive_load(&p->archive, &d);
	if (p->policy == NULL && !p->dir)
		diags_show(&d, cli, stderr);
	return p->policy ? CLI_OK : CLI_FINDINGS;
}

static void
put_replay(struct replaying *p, const struct cli *cli, uint64_t id)
{
	const struct verdict *v = &p->again.verdict;
	char text[ID_SIZE];
	struct buf o;

	buf_init(&o, 16u << 20);
	buf_printf(&o, "%s, judged ", id_format(id, text));
	page_stamp(&o, p->r.facts.now);
	buf_puts(&o, " by policy ");
	page_text(&o, p->manifest.policy);
	buf_puts(&o, ", Postern ");
	page_text(&o, p->manifest.program);
	if (p->r.facts.av_engine.n) {
		buf_puts(&o, ", ");
		page_text(&o, p->r.facts.av_engine);
	}
	for (size_t i = 0; i < p->manifest.npacks; i++) {
		buf_puts(&o, i ? ", " : "\npacks: ");
		page_text(&o, p->manifest.packs[i].name);
		buf_printf(&o, " %08llx", (unsigned long long)(p->manifest.packs[i].hash >> 32));
	}
	buf_printf(&o, "\nreplayed with policy %s: ", policy_hash(p->policy));
	page_begin(&o, cli, p->same && !p->again.unsure ? GREEN : YELLOW);
	buf_puts(&o, p->again.unsure ? "cannot be known" : p->same ? "the same verdict" : "otherwise");
	page_end(&o, cli, p->same && !p->again.unsure ? GREEN : YELLOW);
	buf_putc(&o, '\n');
	if (p->again.unsure) {
		buf_puts(&o, "  without the message itself `");
		page_text(&o, p->again.why);
		buf_puts(&o, "` has no answer here\n");
	}
	if (p->same)
		for (size_t i = 0; i < v->ndecisions; i++) {
			buf_puts(&o, "  ");
			page_text(&o, p->r.env.recipients[i].address);
			buf_printf(&o, ": %s\n", outcome_name(v->decisions[i].outcome));
		}
	else
		page_lines(&o, "  ", buf_data(&p->why));
	if (p->r.limit_rule.n) {
		buf_puts(&o, "  then held by the limit ");
		page_text(&o, p->r.limit_rule);
		buf_putc(&o, '\n');
	}
	page_flush(&o);
	buf_release(&o);
}

static void
json_replay(struct replaying *p, uint64_t id)
{
	const struct verdict *v = &p->again.verdict;
	char text[ID_SIZE];
	struct json j;
	struct buf o;

	buf_init(&o, 16u << 20);
	json_begin(&j, &o);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "id", id_format(id, text));
	json_kstr(&j, "policy", p->manifest.policy);
	json_kcstr(&j, "replayed_with", policy_hash(p->policy));
	json_kstr(&j, "program", p->manifest.program);
	json_kstr(&j, "engine", p->r.facts.av_engine);
	json_kbool(&j, "same", p->same && !p->again.unsure);
	json_kbool(&j, "unsure", p->again.unsure);
	json_kstr(&j, "why", p->again.why);
	json_kstr(&j, "limit", p->r.limit_rule);
	json_kstr(&j, "differences", buf_data(&p->why));
	json_key(&j, "recipients");
	json_array(&j);
	for (size_t i = 0; i < v->ndecisions; i++) {
		json_object(&j);
		json_kstr(&j, "address", p->r.env.recipients[i].address);
		json_kcstr(&j, "was", outcome_name(p->r.verdict.decisions[i].outcome));
		json_kcstr(&j, "outcome", outcome_name(v->decisions[i].outcome));
		json_end_object(&j);
	}
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(&o, '\n');
	page_flush(&o);
	buf_release(&o);
}

static int
replay(struct replaying *p, const struct cli *cli, const char *id, uint64_t number)
{
	struct record_plan *plan;
	struct span bytes;
	int status = records_get(cli, id, false, p->arena, &bytes);

	if (status != CLI_OK)
		return status;
	if (record_read(bytes, p->arena, &p->r) == -1) {
		fputs("postern: the record is damaged, or of a newer version\n", stderr);
		return CLI_FINDINGS;
	}
	if ((status = get_policy(p, cli)) != CLI_OK)
		return status;
	plan = record_plan_new(p->policy, &p->manifest);
	record_replay(plan, &p->r, NULL, p->arena, &p->again);
	p->same = verdict_same(&p->r.verdict, &p->again.verdict, &p->r.env, &p->why);
	record_plan_free(&plan);
	if (cli->json)
		json_replay(p, number);
	else
		put_replay(p, cli, number);
	return p->same && !p->again.unsure ? CLI_OK : CLI_FINDINGS;
}

int
cmd_replay(int argc, char **argv, const struct cli *cli)
{
	struct replaying p = { .dir = argc == 3 ? argv[2] : NULL };
	uint64_t id;
	int status;

	if (argc < 2 || argc > 3 || argv[1][0] == '-' || (p.dir && *p.dir == '-'))
		return command_usage("replay");
	if (!id_parse(span_str(argv[1]), &id)) {
		fputs("postern replay: a message id has 11 letters and digits\n", stderr);
		return CLI_USAGE;
	}
	p.arena = arena_new(64u << 10);
	buf_init(&p.why, 4u << 20);
	status = replay(&p, cli, argv[1], id);
	policy_free(&p.policy);
	buf_release(&p.why);
	if (p.conf != cli->conf)
		config_free(&p.conf);
	arena_free(&p.arena);
	return status;
}
