/* scan.c -- one message, judged; see scan.h.
 *
 * Order: the anatomy once, then the antivirus over it, then the policy with
 * what both have found. An antivirus that could not look means that the
 * message is not judged by rules at all: the policy's on_scan_error decides
 * (the sender tries again later), for a verdict without the virus rule would
 * be one that fails open. So it is with an index of exact data that is not as it was when it
 * was proved (index_map.h).
 */
#include <string.h>

#include "clock.h"
#include "json.h"
#include "log.h"
#include "postern/record.h"
#include "scanner/index_map.h"
#include "scanner/load_policy.h"
#include "scanner/scan.h"

#define INDEX_AWAY "The policy is being updated, try again later"
#define AV_AWAY "The antivirus engine is not available, try again later"

int
judge_open(struct judge *j, const struct config *conf, struct diags *d, struct err *err)
{
	*j = (struct judge){ .arena = arena_new(64u << 10) };
	j->policy = policy_load_parts(conf, j->arena, d, &j->parts);
	if (j->policy)
		return 0;
	judge_close(j);
	return err_set(err, 0, "the policy in %s has errors", conf->policy_dir);
}

int
judge_antivirus(struct judge *j, const struct config *conf, const char *tmpdir, struct err *err)
{
	struct antivirus_limits limits = { 0 };

	if (conf->av == AV_OFF)
		return 0;
	/* A map must be given up before the worker's own alarm: that costs a process. */
	if (conf->scan_timeout >= 2 * US_PER_SEC)
		limits.ms = (uint32_t)(conf->scan_timeout / 1000 / 2);
	j->antivirus = antivirus_new(conf->av_databases, tmpdir, &limits, err);
	return j->antivirus ? 0 : -1;
}

void
judge_close(struct judge *j)
{
	if (j->policy)
		policy_free(&j->policy);
	antivirus_free(&j->antivirus);
	arena_free(&j->arena);
}

static double
ms_since(int64_t *at)
{
	int64_t now = clock_mono();
	double ms = (double)(now - *at) / 1000;

	*at = now;
	return ms;
}

static void
failed(const struct judge *j, const struct envelope *env, struct span reason, struct arena *a,
    struct judgement *out)
{
	policy_verdict_failed(j->policy, env, false, reason, a, &out->verdict);
	out->verdict.record = record_failed(j->policy, &out->anatomy, env, &out->facts, &out->verdict,
	    reason, a);
}

void
judge_message(const struct judge *j, const struct envelope *env, struct span raw,
    const struct policy_options *opt, struct arena *a, struct judgement *out)
{
	struct policy_options options = opt ? *opt : (struct policy_options){ 0 };
	const struct anatomy_limits limits = { .pictures = j->pictures };
	int64_t at = clock_mono();
	const char *changed;

	*out = (struct judgement){ .trouble = "", .ms = { -1, -1, -1, -1 } };
	options.stopwatch = clock_mono;
	options.record = true;
	if (options.known)
		out->facts = *options.known;
	if (out->facts.now == 0)
		out->facts.now = clock_real();
	anatomy_build(a, raw, &limits, &out->anatomy);
	out->ms.anatomy = ms_since(&at);
	if (j->antivirus) {
		antivirus_scan(j->antivirus, &out->anatomy, a, &out->facts);
		out->ms.antivirus = ms_since(&at);
	}
	if (out->facts.av == AV_FAILED) {
		out->trouble = antivirus_trouble(j->antivirus);
		failed(j, env, SPAN_LIT(AV_AWAY), a, out);
		return;
	}
	if (index_changed() == NULL)
		policy_judge(j->policy, &out->anatomy, env, &out->facts, &options, a, &out->verdict);
	if ((changed = index_changed()) != NULL) {
		out->trouble = arena_printf(a, "%s was written into where it lies: nothing is judged by it "
		    "before it has been loaded anew; replace it by rename", changed);
		failed(j, env, SPAN_LIT(INDEX_AWAY), a, out);
		return;
	}
	out->ms.detect = (double)out->verdict.us_detect / 1000;
	out->ms.evaluate = (double)out->verdict.us_evaluate / 1000;
}

static bool
explain_into(struct buf *b, const struct judge *j, const struct envelope *env,
    const struct judgement *ju, size_t parts, size_t findings)
{
	struct verdict v = ju->verdict;
	struct anatomy an = ju->anatomy;
	struct json js;

	if (an.nparts > parts)
		an.nparts = parts;
	if (v.nfindings > findings)
		v.nfindings = findings;
	if (v.nnear_misses > findings)
		v.nnear_misses = findings;
	buf_reset(b);
	json_begin(&js, b);
	verdict_explain(&v, j->policy, &an, env, &ju->facts, &ju->ms, &js);
	return !buf_failed(b);
}

struct span
judgement_record(const struct judge *j, const struct envelope *env, const struct judgement *ju,
    size_t max, struct arena *a)
{
	static const size_t cuts[][2] = { { SIZE_MAX, SIZE_MAX }, { 200, 200 }, { 20, 20 }, { 1, 0 } };
	struct span record = SPAN_LIT("{\"v\":1,\"cut\":true}");
	struct buf b;

	buf_init(&b, max);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
		if (explain_into(&b, j, env, ju, cuts[i][0], cuts[i][1])) {
			record = buf_data(&b);
			break;
		}
	record = arena_span(a, record);
	buf_release(&b);
	return record;
}

void
judgement_message(const struct judgement *ju, struct span record, struct arena *a,
    struct msg_verdict *out)
{
	const struct verdict *v = &ju->verdict;

	*out = (struct msg_verdict){ .unscannable = v->unscannable, .ndecisions = v->ndecisions,
		.variants = v->variants, .nvariants = v->nvariants, .record = record,
		.bcc = v->bcc, .nbcc = v->nbcc, .notices = v->notices, .nnotices = v->nnotices,
		.basis = v->record };
	out->decisions = arena_array(a, v->ndecisions, sizeof(*out->decisions));
	for (size_t i = 0; i < v->ndecisions; i++) {
		const struct decision *d = &v->decisions[i];

		out->decisions[i] = (struct msg_decision){ .outcome = d->outcome,
			.variant = d->variant, .require_tls = d->require_tls, .reply = d->reply,
			.queue = d->queue, .expires = d->expires, .on_expire = d->on_expire,
			.rule = d->nrules ? d->rules[0] : (struct span){ 0 },
			.redirect = (struct span *)(uintptr_t)d->redirect,
			.nredirect = d->nredirect };
	}
}
