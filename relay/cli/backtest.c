/* backtest.c -- see backtest.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base64.h"
#include "cli/backtest.h"
#include "cli/backtest_groups.h"
#include "cli/control_client.h"
#include "cli/page.h"
#include "cli/records.h"
#include "clock.h"
#include "id.h"

#define MESSAGE_MAX ((size_t)64 << 20)

struct backtest {
	const struct cli *cli;
	const struct backtest_options *o;
	struct plans *plans;
	struct policy_as_if as_if;
	struct policy_options options;
	struct arena *arena;		/* of one record */
	struct backtest_sums sums;
	size_t fetched;
};

/* ---- the bytes of a message that is still kept ---- */

static void
on_raw(void *ctx, const struct jval *v, struct span text)
{
	struct buf *b = ctx;

	if (base64_decode(b, jval_text(v, "raw")) == -1)
		b->failed = true;
}

static bool
fetch(struct backtest *t, uint64_t id, bool held, struct span *raw)
{
	struct request r;
	char text[ID_SIZE];
	struct buf b;
	bool found;

	buf_init(&b, MESSAGE_MAX);
	request_begin(&r, held ? "held.show" : "quarantine.show");
	json_kcstr(&r.j, "id", id_format(id, text));
	json_kbool(&r.j, "raw", true);
	found = control_ask_quietly(t->cli, &r, on_raw, &b) == CLI_OK && !buf_failed(&b) &&
	    buf_size(&b);
	if (found)
		*raw = arena_span(t->arena, buf_data(&b));
	buf_release(&b);
	return found;
}

static bool
was(const struct verdict *v, enum outcome o)
{
	for (size_t i = 0; i < v->ndecisions; i++)
		if (v->decisions[i].outcome == o)
			return true;
	return false;
}

/* What is kept has the edits of its recipients in it: only a message that had none is judged as it
 * was received. */
static bool
judge_kept(struct backtest *t, const struct record *r, struct verdict *out)
{
	struct anatomy an;
	struct span raw;
	bool held = was(&r->verdict, OUTCOME_HOLD);

	if (r->edits || t->fetched >= BACKTEST_FETCHED ||
	    (!held && !was(&r->verdict, OUTCOME_QUARANTINE)) ||
	    !fetch(t, r->env.id, held, &raw))
		return false;
	t->fetched++;
	anatomy_build(t->arena, raw, NULL, &an);
	policy_judge(t->o->policy, &an, &r->env, &r->facts, &t->options, t->arena, out);
	return true;
}

/* ---- one record ---- */

static void
unknown(struct backtest *t, struct span why)
{
	t->sums.unknown++;
	sums_why(&t->sums, why);
}

static void
each(void *ctx, uint64_t id, struct span bytes)
{
	const struct record_plan *plan;
	struct backtest *t = ctx;
	struct verdict before, after;
	struct replay again;
	struct record r;

	arena_reset(t->arena);
	t->sums.total++;
	if (record_read(bytes, t->arena, &r) == -1) {
		unknown(t, SPAN_LIT("a record of another version"));
		return;
	}
	if ((plan = plans_get(t->plans, r.manifest)) == NULL) {
		unknown(t, SPAN_LIT("the policy of that day is no longer kept"));
		return;
	}
	record_replay(plan, &r, &t->options, t->arena, &again);
	after = again.verdict;
	if (again.unsure && !judge_kept(t, &r, &after)) {
		unknown(t, again.why);
		sums_unsure(&t->sums, &again.verdict, &again.upper);
		return;
	}
	before = r.verdict;
	record_limit(t->o->policy, &r, &after);
	if (r.limit_rule.n)	/* it held then, whatever has become of the limit */
		for (size_t i = 0; i < before.ndecisions; i++)
			if (before.decisions[i].outcome < OUTCOME_HOLD)
				before.decisions[i].outcome = OUTCOME_HOLD;
	sums_compare(&t->sums, id, &before, &after, t->o->rule);
}

/* ---- what people read ---- */

static void
put_ids(struct buf *o, const struct backtest *t, const struct change *c)
{
	size_t n = c->nids < t->o->ids ? c->nids : t->o->ids;
	char text[ID_SIZE];

	if (n == 0)
		return;
	buf_puts(o, "     ");
	for (size_t i = 0; i < n; i++)
		buf_printf(o, " %s", id_format(c->ids[i], text));
	if (c->n > n)
		buf_printf(o, " and %llu more", (unsigned long long)(c->n - n));
	buf_putc(o, '\n');
}

static void
put_changes(struct buf *o, struct backtest *t)
{
	const struct change *c;

	for (size_t i = 0; (c = sums_change(&t->sums, i)) != NULL; i++) {
		buf_puts(o, "  ");
		page_begin(o, t->cli, c->is > c->was ? YELLOW : GREEN);
		buf_printf(o, "%s -> %s", outcome_name(c->was), outcome_name(c->is));
		page_end(o, t->cli, c->is > c->was ? YELLOW : GREEN);
		buf_puts(o, ": ");
		page_count(o, c->n, "message", "messages");
		buf_puts(o, c->gone ? ", no longer " : ", ");
		page_text(o, c->rule);
		buf_putc(o, '\n');
		put_ids(o, t, c);
	}
}

static void
put_rules(struct buf *o, struct backtest *t)
{
	static const char *const titles[] = { "rule", "mode", "hit then", "would hit", "newly",
		"no longer", "unknown", NULL };
	struct policy_rule_info info;
	struct grid g;

	grid_init(&g, t->cli, titles, "llrrrrr");
	for (size_t i = 0; policy_rule_info(t->o->policy, i, &info); i++) {
		const struct rule_sum *s = sums_rule(&t->sums, info.id);
		static const struct rule_sum none;

		if (t->o->rule.n && !span_eq(t->o->rule, info.id))
			continue;
		s = s ? s : &none;
		grid_text(&g, info.id);
		grid_cstr(&g, t->o->rule.n ? "enforce" : info.mode);
		grid_number(&g, (int64_t)s->was);
		grid_number(&g, (int64_t)s->is);
		grid_number(&g, (int64_t)s->newly);
		grid_number(&g, (int64_t)s->gone);
		grid_number(&g, (int64_t)s->unsure);
	}
	if (grid_rows(&g))
		grid_print(&g, o, "  ");
	grid_release(&g);
}

static void
put_tally(struct buf *o, const struct backtest *t)
{
	static const struct { enum outcome o; const char *verb; } verbs[] = {
		{ OUTCOME_REJECT, "reject" }, { OUTCOME_DEFER, "defer" }, { OUTCOME_HOLD, "hold" },
		{ OUTCOME_QUARANTINE, "quarantine" }, { OUTCOME_DISCARD, "discard" },
		{ OUTCOME_REDIRECT, "redirect" },
	};
	const char *between = "would newly ";

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		uint64_t n = t->sums.newly[verbs[i].o];

		if (n == 0)
			continue;
		buf_printf(o, "%s%s %llu", between, verbs[i].verb, (unsigned long long)n);
		between = ", ";
	}
	if (t->sums.released)
		buf_printf(o, "%srelease %llu", *between == ',' ? between : "would ",
		    (unsigned long long)t->sums.released);
	else if (*between != ',')
		buf_puts(o, "would change nothing");
	buf_putc(o, '\n');
}

static void
put_page(struct backtest *t, double seconds)
{
	const struct why_sum *w;
	struct buf o;

	buf_init(&o, 64u << 20);
	page_count(&o, t->sums.total, "message", "messages");
	buf_printf(&o, " of the last %s, judged again by policy %s (%s)\n", t->o->last,
	    policy_hash(t->o->policy), t->o->heading);
	put_tally(&o, t);
	put_changes(&o, t);
	if (t->o->rules)
		put_rules(&o, t);
	buf_printf(&o, "%llu as they were", (unsigned long long)t->sums.same);
	if (t->fetched)
		buf_printf(&o, ", %zu judged from the message itself", t->fetched);
	buf_putc(&o, '\n');
	if (t->sums.unknown) {
		page_count(&o, t->sums.unknown, "message", "messages");
		buf_puts(&o, " cannot be replayed without the message itself:\n");
	}
	for (size_t i = 0; (w = sums_whys(&t->sums, i)) != NULL; i++) {
		buf_printf(&o, "  %llu: ", (unsigned long long)w->n);
		page_text(&o, w->why);
		buf_putc(&o, '\n');
	}
	if (t->sums.total >= 10000)
		buf_printf(&o, "%.1f s, %.0f records/s\n", seconds, (double)t->sums.total / seconds);
	page_flush(&o);
	buf_release(&o);
}

/* ---- JSON: one line for each change and each rule, then the sums ---- */

static void
json_change(struct buf *o, const struct backtest *t, const struct change *c)
{
	struct json j;
	char text[ID_SIZE];

	json_begin(&j, o);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "was", outcome_name(c->was));
	json_kcstr(&j, "is", outcome_name(c->is));
	json_kstr(&j, "rule", c->rule);
	json_kbool(&j, "gone", c->gone);
	json_kuint(&j, "messages", c->n);
	json_key(&j, "ids");
	json_array(&j);
	for (size_t i = 0; i < c->nids && i < t->o->ids; i++)
		json_cstr(&j, id_format(c->ids[i], text));
	json_end_array(&j);
	json_end_object(&j);
	buf_putc(o, '\n');
}

static void
json_rules(struct buf *o, struct backtest *t)
{
	struct policy_rule_info info;
	struct json j;

	for (size_t i = 0; policy_rule_info(t->o->policy, i, &info); i++) {
		const struct rule_sum *s = sums_rule(&t->sums, info.id);

		if (s == NULL || (t->o->rule.n && !span_eq(t->o->rule, info.id)))
			continue;
		json_begin(&j, o);
		json_object(&j);
		json_kint(&j, "v", 1);
		json_kstr(&j, "id", info.id);
		json_kcstr(&j, "mode", t->o->rule.n ? "enforce" : info.mode);
		json_kuint(&j, "was", s->was);
		json_kuint(&j, "would", s->is);
		json_kuint(&j, "newly", s->newly);
		json_kuint(&j, "gone", s->gone);
		json_kuint(&j, "unknown", s->unsure);
		json_end_object(&j);
		buf_putc(o, '\n');
	}
}

static void
json_page(struct backtest *t, double seconds)
{
	const struct why_sum *w;
	const struct change *c;
	struct buf o;
	struct json j;

	buf_init(&o, 256u << 20);
	for (size_t i = 0; (c = sums_change(&t->sums, i)) != NULL; i++)
		json_change(&o, t, c);
	if (t->o->rules)
		json_rules(&o, t);
	json_begin(&j, &o);
	json_object(&j);
	json_kint(&j, "v", 1);
	json_kcstr(&j, "policy", policy_hash(t->o->policy));
	json_kint(&j, "since", t->o->since);
	json_kuint(&j, "messages", t->sums.total);
	json_kuint(&j, "same", t->sums.same);
	json_kuint(&j, "changed", t->sums.changed);
	json_kuint(&j, "cannot_be_replayed", t->sums.unknown);
	json_kuint(&j, "judged_from_message", t->fetched);
	json_key(&j, "newly");
	json_object(&j);
	for (int k = OUTCOME_REDIRECT; k < OUTCOME_COUNT; k++)
		json_kuint(&j, outcome_name((enum outcome)k), t->sums.newly[k]);
	json_kuint(&j, "release", t->sums.released);
	json_end_object(&j);
	json_key(&j, "unknown");
	json_array(&j);
	for (size_t i = 0; (w = sums_whys(&t->sums, i)) != NULL; i++) {
		json_object(&j);
		json_kstr(&j, "why", w->why);
		json_kuint(&j, "messages", w->n);
		json_end_object(&j);
	}
	json_end_array(&j);
	json_key(&j, "seconds");
	json_num(&j, seconds);
	json_end_object(&j);
	buf_putc(&o, '\n');
	page_flush(&o);
	buf_release(&o);
}

int
backtest_run(const struct cli *cli, const struct backtest_options *o)
{
	struct backtest t = { .cli = cli, .o = o, .arena = arena_new(256u << 10) };
	struct records_progress progress;
	int64_t from = clock_mono();
	double seconds;
	int status;

	t.plans = plans_new(cli, o->policy);
	if (o->rule.n) {
		t.as_if = (struct policy_as_if){ o->rule, SPAN_LIT("enforce") };
		t.options = (struct policy_options){ .as_if = &t.as_if, .nas_if = 1 };
	}
	sums_init(&t.sums);
	status = records_read(cli, o->since, each, &t, &progress);
	seconds = (double)(clock_mono() - from) / US_PER_SEC;
	if (status == CLI_OK) {
		if (cli->json)
			json_page(&t, seconds);
		else
			put_page(&t, seconds);
		status = t.sums.changed ? CLI_FINDINGS : CLI_OK;
	}
	sums_release(&t.sums);
	plans_free(&t.plans);
	arena_free(&t.arena);
	return status;
}
