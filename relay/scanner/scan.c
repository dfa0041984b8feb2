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
#include "scanner/clamd.h"
#include "scanner/classify.h"
#include "scanner/index_map.h"
#include "scanner/load_policy.h"
#include "scanner/scan.h"
#include "scanner/stamps.h"

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

/* An unconfined program (`postern explain`) connects to clamd by itself. */
static int
dial_directly(void *ctx, struct err *err)
{
	return clamd_dial(ctx, err);
}

int
judge_antivirus(struct judge *j, const struct config *conf, const char *tmpdir, struct err *err)
{
	const struct conf_antivirus *c = &conf->antivirus;
	struct antivirus_options o = { .pua = c->pua, .macros = c->macros, .no_phishing = !c->phishing,
		.no_encrypted = !c->encrypted, .remember = c->remember, .max_age = c->max_age,
		.on_old = (enum antivirus_old)c->on_old };

	if (c->engine == AV_OFF)
		return 0;
	/* A map must be given up before the worker's own alarm: that costs a process. */
	if (conf->scan_timeout >= 2 * US_PER_SEC)
		o.ms = (uint32_t)(conf->scan_timeout / 1000 / 2);
	if (c->engine == AV_CLAMD) {
		const struct antivirus_dial direct = { dial_directly, (void *)(uintptr_t)c,
			c->clamd.family == 0 };

		o.file_size = c->max_size;
		j->antivirus = antivirus_new_clamd(j->dial.dial ? &j->dial : &direct, &o, err);
	} else {
		j->antivirus = antivirus_new(c->databases, tmpdir, &o, err);
	}
	return j->antivirus ? 0 : -1;
}

int
judge_stamps(struct judge *j, const struct config *conf, struct err *err)
{
	if (conf->antivirus.engine == AV_OFF || conf->antivirus.nstamp_keys == 0)
		return 0;
	j->stamps = stamps_new(&conf->antivirus, err);
	return j->stamps ? 0 : -1;
}

void
judge_close(struct judge *j)
{
	if (j->policy)
		policy_free(&j->policy);
	antivirus_free(&j->antivirus);
	stamps_free(&j->stamps);
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
	struct stamps_seen seen;

	*out = (struct judgement){ .trouble = "", .ms = { -1, -1, -1, -1 } };
	options.stopwatch = clock_mono;
	options.record = true;
	if (options.known)
		out->facts = *options.known;
	if (out->facts.now == 0)
		out->facts.now = clock_real();
	anatomy_build(a, raw, &limits, &out->anatomy);
	if (j->bayes.head && env->direction == DIRECTION_INBOUND)
		classify(&j->bayes, &out->anatomy, a, &out->facts, &out->tokens);
	out->ms.anatomy = ms_since(&at);
	stamps_look(j->stamps, j->antivirus, env, raw, out->facts.now, a, &seen);
	out->stamp_accepted = seen.accepted;
	out->stamp_refused = seen.trusted && !seen.accepted;
	out->stamps_stripped = seen.trusted ? 0 : seen.fields;
	if (j->antivirus) {
		if (seen.accepted) {
			out->facts.av = AV_CLEAN;
			out->facts.av_engine = antivirus_engine(j->antivirus);
		} else {
			antivirus_scan(j->antivirus, &out->anatomy, a, &out->facts);
		}
		antivirus_age(j->antivirus, a, &out->facts);
		out->ms.antivirus = ms_since(&at);
	}
	if (out->facts.av == AV_FAILED) {
		out->trouble = antivirus_trouble(j->antivirus);
		failed(j, env, SPAN_LIT(AV_AWAY), a, out);
		stamps_edit(NULL, NULL, &seen, false, out->facts.now, raw, a, &out->verdict);
		return;
	}
	if (index_changed() == NULL)
		policy_judge(j->policy, &out->anatomy, env, &out->facts, &options, a, &out->verdict);
	if ((changed = index_changed()) != NULL) {
		out->trouble = arena_printf(a, "%s was written into where it lies: nothing is judged by it "
		    "before it has been loaded anew; replace it by rename", changed);
		failed(j, env, SPAN_LIT(INDEX_AWAY), a, out);
		stamps_edit(NULL, NULL, &seen, false, out->facts.now, raw, a, &out->verdict);
		return;
	}
	out->stamped = stamps_edit(j->stamps, j->antivirus, &seen, out->facts.av == AV_CLEAN,
	    out->facts.now, raw, a, &out->verdict);
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
	if (v.ntold > findings)
		v.ntold = findings;
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

static enum rating
rating_of(const char *class)
{
	static const char *const names[RATINGS] = { [RATING_HAM] = "ham",
		[RATING_MARKETING] = "marketing", [RATING_SUSPECTED] = "suspected",
		[RATING_SPAM] = "spam" };

	for (int i = RATING_HAM; class && i < RATINGS; i++)
		if (strcmp(class, names[i]) == 0)
			return (enum rating)i;
	return RATING_NONE;
}

void
judgement_message(const struct judgement *ju, struct span record, struct arena *a,
    struct msg_verdict *out)
{
	const struct verdict *v = &ju->verdict;

	*out = (struct msg_verdict){ .unscannable = v->unscannable, .ndecisions = v->ndecisions,
		.variants = v->variants, .nvariants = v->nvariants, .record = record,
		.bcc = v->bcc, .nbcc = v->nbcc, .notices = v->notices, .nnotices = v->nnotices,
		.basis = v->record, .rating = rating_of(v->spam.class),
		.virus = ju->facts.av == AV_VIRUS && ju->facts.av_kinds & AV_MALWARE };
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
