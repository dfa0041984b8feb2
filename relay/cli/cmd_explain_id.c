/* cmd_explain_id.c -- `postern explain ID`: the verdict that the store keeps, and what nearly hit.
 *
 * Evidence is shown as it was stored: masked. The layout is that of `explain FILE`.
 */
#include <stdio.h>
#include <string.h>

#include "cli/acts.h"
#include "cli/commands.h"
#include "cli/control_client.h"
#include "cli/identity_line.h"
#include "cli/page.h"
#include "cli/records.h"

#define PAGE_MAX ((size_t)64 << 20)

static void
put_list(struct buf *o, const char *what, const struct jval *list)
{
	const struct jval *v;

	if (jval_count(list) == 0)
		return;
	buf_printf(o, "    %s ", what);
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		if (i)
			buf_puts(o, ", ");
		page_text(o, jval_str(v));
	}
	buf_putc(o, '\n');
}

static void
put_recipient(struct buf *o, const struct cli *cli, const struct jval *r)
{
	struct span outcome = jval_text(r, "outcome"), queue = jval_text(r, "queue");
	enum page_colour c = page_colour_of(outcome);
	const struct jval *v;

	page_text(o, jval_text(r, "address"));
	buf_puts(o, ": ");
	page_begin(o, cli, c);
	page_text(o, outcome);
	page_end(o, cli, c);
	if (queue.n) {
		buf_puts(o, span_is(outcome, "hold") ? " for " : " in ");
		page_text(o, queue);
	}
	buf_putc(o, '\n');
	put_list(o, "because of", jval_get(r, "rules"));
	put_list(o, "would also hit (shadow):", jval_get(r, "shadow"));
	put_list(o, "cancelled by an exception:", jval_get(r, "skipped"));
	put_list(o, "goes to", jval_get(r, "redirect"));
	for (size_t i = 0; (v = jval_at(jval_get(r, "overridden"), i)) != NULL; i++) {
		buf_puts(o, "    overridden by the sender: ");
		page_text(o, jval_text(v, "rule"));
		buf_puts(o, ": ");
		page_text(o, jval_text(v, "reason"));
		buf_putc(o, '\n');
	}
	if (jval_text(r, "reply").n) {
		buf_puts(o, "    answer: ");
		page_text(o, jval_text(r, "reply"));
		buf_putc(o, '\n');
	}
}

static void
put_finding(struct buf *o, const struct jval *f)
{
	const struct jval *at = jval_get(f, "offsets"), *masked = jval_get(f, "masked"), *v;

	buf_puts(o, "  ");
	page_text(o, jval_text(f, "detector"));
	buf_puts(o, ": ");
	page_text(o, jval_text(f, "confidence"));
	buf_printf(o, ", %lld found, %lld different, in the ", (long long)jval_int(f, "count", 0),
	    (long long)jval_int(f, "distinct", 0));
	page_text(o, jval_text(f, "where"));
	if (jval_text(f, "part").n) {
		buf_puts(o, ", part ");
		page_text(o, jval_text(f, "part"));
	}
	if (jval_text(f, "name").n) {
		buf_puts(o, " (");
		page_text(o, jval_text(f, "name"));
		buf_puts(o, ")");
	}
	buf_putc(o, '\n');
	if (jval_text(f, "grade").n) {
		buf_puts(o, "    ");
		page_text(o, jval_text(f, "grade"));
		buf_putc(o, '\n');
	}
	for (size_t i = 0; (v = jval_at(at, i)) != NULL; i++)
		buf_printf(o, "%s%.0f-%.0f", i ? ", " : "    at ", jval_num(jval_at(v, 0), 0),
		    jval_num(jval_at(v, 1), 0));
	for (size_t i = 0; (v = jval_at(masked, i)) != NULL; i++) {
		buf_puts(o, i ? ", " : ": ");
		page_text(o, jval_str(v));
	}
	if (jval_count(at) || jval_count(masked))
		buf_putc(o, '\n');
}

static void
put_part(struct buf *o, const struct jval *p)
{
	buf_puts(o, "  ");
	page_text(o, jval_text(p, "part").n ? jval_text(p, "part") : SPAN_LIT("-"));
	buf_puts(o, "  ");
	page_text(o, jval_text(p, "type"));
	buf_puts(o, " (declared ");
	page_text(o, jval_text(p, "declared"));
	buf_printf(o, "), %lld bytes", (long long)jval_int(p, "size", 0));
	if (jval_text(p, "name").n) {
		buf_puts(o, ", ");
		page_text(o, jval_text(p, "name"));
	}
	buf_puts(o, jval_bool(p, "encrypted") ? ", encrypted\n" : "\n");
}

static void
put_words(struct buf *o, const char *what, const struct jval *list)
{
	const struct jval *v;

	if (jval_count(list) == 0)
		return;
	buf_printf(o, "%s:", what);
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		buf_putc(o, ' ');
		page_text(o, jval_str(v));
	}
	buf_putc(o, '\n');
}

static void
put_spam(struct buf *o, const struct jval *v)
{
	const struct jval *list = jval_get(v, "symbols"), *s;

	if (!jval_is_object(v))
		return;
	buf_puts(o, "spam: ");
	page_text(o, jval_text(v, "class"));
	buf_printf(o, ", score %.1f\n", jval_num(jval_get(v, "score"), 0));
	for (size_t i = 0; (s = jval_at(list, i)) != NULL; i++) {
		buf_printf(o, "  %+5.1f  ", jval_num(jval_get(s, "score"), 0));
		page_text(o, jval_text(s, "name"));
		if (jval_text(s, "title").n) {
			buf_puts(o, ": ");
			page_text(o, jval_text(s, "title"));
		}
		buf_putc(o, '\n');
	}
}

static void
put_virus(struct buf *o, const struct jval *v)
{
	if (!jval_is_object(v))
		return;
	buf_puts(o, "antivirus: found ");
	page_text(o, jval_text(v, "name"));
	if (jval_text(v, "part").n) {
		buf_puts(o, " in part ");
		page_text(o, jval_text(v, "part"));
	}
	if (jval_text(v, "engine").n) {
		buf_puts(o, " (");
		page_text(o, jval_text(v, "engine"));
		buf_puts(o, ")");
	}
	buf_putc(o, '\n');
}

/* Each condition with a sign: + it held, - it did not, . nobody asked it. */
static void
put_conditions(struct buf *o, const struct jval *list)
{
	const struct jval *v, *m;
	const char *of = "when";

	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		const struct jval *held = jval_get(v, "held"), *masked = jval_get(v, "masked");

		if (!span_is(jval_text(v, "of"), of)) {
			of = span_is(jval_text(v, "of"), "unless") ? "unless" : "exception";
			buf_printf(o, "    %s\n", of);
		}
		buf_printf(o, "    %*s%s ", (int)(jval_int(v, "depth", 0) & 15) * 2, "",
		    !jval_is_bool(held) ? "." : jval_bool(v, "held") ? "+" : "-");
		page_text(o, jval_text(v, "text"));
		for (size_t k = 0; (m = jval_at(masked, k)) != NULL; k++) {
			buf_puts(o, k ? ", " : " (");
			page_text(o, jval_str(m));
		}
		buf_puts(o, jval_count(masked) ? ")\n" : "\n");
	}
}

static void
put_why(struct buf *o, const struct jval *list)
{
	const struct jval *v;

	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, i ? "  " : "why:\n  ");
		page_text(o, jval_text(v, "rule"));
		buf_puts(o, ": ");
		page_text(o, jval_text(v, "as"));
		buf_puts(o, ", for ");
		page_text(o, jval_text(v, "recipient"));
		buf_putc(o, '\n');
		put_conditions(o, jval_get(v, "conditions"));
	}
}

static void
put_misses(struct buf *o, const struct jval *list)
{
	const struct jval *v;

	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, i ? "  " : "near misses:\n  ");
		if (jval_is_object(v)) {
			page_text(o, jval_text(v, "rule"));
			buf_puts(o, ": ");
			page_text(o, jval_text(v, "text"));
		} else {
			page_text(o, jval_str(v));
		}
		buf_putc(o, '\n');
	}
}

/* A list of objects, each a line: what it is, where, by which rule, and why or how much. */
static void
put_edits(struct buf *o, const char *title, const struct jval *list)
{
	const struct jval *v;

	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		buf_printf(o, "%s%s  ", i ? "" : title, i ? "" : "\n");
		page_text(o, jval_text(v, "action").n ? jval_text(v, "action") : SPAN_LIT("edit"));
		if (jval_text(v, "part").n) {
			buf_puts(o, " in part ");
			page_text(o, jval_text(v, "part"));
		}
		buf_puts(o, ", by ");
		page_text(o, jval_text(v, "rule"));
		buf_puts(o, ": ");
		if (jval_text(v, "why").n)
			page_text(o, jval_text(v, "why"));
		else
			buf_printf(o, "bytes %lld-%lld become %lld", (long long)jval_int(v, "offset", 0),
			    (long long)(jval_int(v, "offset", 0) + jval_int(v, "size", 0)),
			    (long long)jval_int(v, "with_size", (int64_t)jval_text(v, "with").n));
		buf_putc(o, '\n');
	}
}

static void
put_people(struct buf *o, const char *title, const struct jval *list, const char *who,
    const char *what)
{
	const struct jval *v;

	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		buf_puts(o, i ? ", " : title);
		page_text(o, jval_text(v, who));
		buf_puts(o, " (");
		page_text(o, jval_text(v, what));
		buf_putc(o, ')');
	}
	if (jval_count(list))
		buf_putc(o, '\n');
}

void
record_put(struct buf *o, const struct cli *cli, const struct jval *record)
{
	const struct jval *list, *v;

	if (jval_text(record, "policy").n) {
		buf_puts(o, "policy ");
		page_text(o, jval_text(record, "policy"));
		buf_putc(o, '\n');
	}
	list = jval_get(record, "recipients");
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++)
		put_recipient(o, cli, v);
	put_virus(o, jval_get(record, "virus"));
	put_spam(o, jval_get(record, "spam"));
	identity_put(o, jval_get(record, "identity"));
	if (jval_bool(record, "unscannable"))
		buf_puts(o, "the message is unscannable\n");
	list = jval_get(record, "findings");
	buf_puts(o, jval_count(list) ? "findings:\n" : "findings: none\n");
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++)
		put_finding(o, v);
	put_why(o, jval_get(record, "why"));
	put_misses(o, jval_get(record, "near_misses"));
	put_edits(o, "edits:", jval_get(record, "edits"));
	put_edits(o, "edits refused:", jval_get(record, "refused_edits"));
	put_people(o, "copies: ", jval_get(record, "bcc"), "address", "rule");
	put_people(o, "notices: ", jval_get(record, "notices"), "to", "template");
	list = jval_get(record, "parts");
	for (size_t i = 0; (v = jval_at(list, i)) != NULL; i++) {
		if (i == 0)
			buf_puts(o, "parts:\n");
		put_part(o, v);
	}
	put_words(o, "defects", jval_get(record, "defects"));
}

struct explaining {
	const struct cli *cli;
	struct arena *arena;
	struct span stored;	/* the JSON the store has */
	struct span misses;	/* near misses of the policy that was in force: a JSON array */
	bool replayed;
};

static void
on_stored(void *ctx, const struct jval *v, struct span text)
{
	struct explaining *e = ctx;

	e->stored = arena_span(e->arena, text);
}

static struct span
misses_json(struct arena *a, const struct verdict *v)
{
	struct span out;
	struct json j;
	struct buf b;

	buf_init(&b, PAGE_MAX);
	json_begin(&j, &b);
	json_array(&j);
	for (size_t i = 0; i < v->nnear_misses; i++) {
		json_object(&j);
		json_kstr(&j, "rule", v->near_misses[i].rule);
		json_kstr(&j, "text", v->near_misses[i].text);
		json_end_object(&j);
	}
	json_end_array(&j);
	out = arena_span(a, buf_data(&b));
	buf_release(&b);
	return out;
}

/* What mail has no time for: which rules nearly hit. From the record of the verdict and the policy
 * that was in force; where one of them is gone, it is left out. */
static void
replay_misses(struct explaining *e, const char *id)
{
	static const struct policy_options opt = { .near_misses = true };
	struct record_plan *plan;
	struct archive ar;
	struct manifest m;
	struct policy *p;
	struct replay again;
	struct record r;
	struct span bytes;
	struct diags d;

	if (records_get(e->cli, id, true, e->arena, &bytes) != CLI_OK ||
	    record_read(bytes, e->arena, &r) == -1 ||
	    records_archive(e->cli, NULL, r.manifest, true, e->arena, &ar) != CLI_OK ||
	    manifest_read(ar.manifest, e->arena, &m) == -1)
		return;
	diags_init(&d, e->arena);
	if ((p = policy_archive_load(&ar, &d)) == NULL)
		return;
	plan = record_plan_new(p, &m);
	record_replay(plan, &r, &opt, e->arena, &again);
	record_plan_free(&plan);
	e->misses = misses_json(e->arena, &again.verdict);
	e->replayed = true;
	policy_free(&p);
}

/* The stored object with the near misses in their place. `"near_misses":[]` cannot stand within a text
 * of it: there its quotes would be escaped. */
static void
put_json(struct explaining *e, struct buf *o)
{
	static const char empty[] = "\"near_misses\":[]";
	const char *at = e->stored.n ? memmem(e->stored.p, e->stored.n, empty, sizeof(empty) - 1) :
	    NULL;
	size_t head = at ? (size_t)(at - e->stored.p) + sizeof(empty) - 3 : 0;

	if (at == NULL || !e->replayed) {
		buf_span(o, e->stored);
		return;
	}
	buf_span(o, span_sub(e->stored, 0, head));
	buf_span(o, e->misses);
	buf_span(o, span_from(e->stored, head + 2));
}

int
cmd_explain_id(const char *id, const struct cli *cli)
{
	struct explaining e = { .cli = cli };
	struct request r;
	struct jval *v;
	struct err err;
	struct buf o;
	int status;

	e.arena = arena_new(64u << 10);
	request_begin(&r, "explain");
	json_kcstr(&r.j, "id", id);
	status = control_ask(cli, &r, CONTROL_READ, on_stored, &e);
	if (status == CLI_FINDINGS && cli->json)
		printf("{\"v\":1,\"id\":\"%s\",\"error\":\"no verdict of this id is kept\"}\n", id);
	if (status == CLI_OK) {
		replay_misses(&e, id);
		buf_init(&o, PAGE_MAX);
		put_json(&e, &o);
		if (cli->json) {
			buf_putc(&o, '\n');
		} else if ((v = jval_parse(buf_data(&o), &err)) != NULL) {
			buf_reset(&o);
			record_put(&o, cli, v);
			jval_free(&v);
		}
		page_flush(&o);
		buf_release(&o);
	}
	arena_free(&e.arena);
	return status;
}
