/* explain.c -- a verdict as the JSON object of `postern explain --json`. */
#include <string.h>

#include "id.h"
#include "json.h"
#include "postern/bayes.h"
#include "postern/url.h"
#include "rules.h"

#define SUBJECT_MAX 400
#define IDENTITY_LIST_MAX 50	/* lists, links, symbols that are named */

static void
put_spans(struct json *j, const char *key, const struct span *v, size_t n)
{
	json_key(j, key);
	json_array(j);
	for (size_t i = 0; i < n; i++)
		json_str(j, v[i]);
	json_end_array(j);
}

bool
policy_rule_info(const struct policy *p, size_t i, struct policy_rule_info *out)
{
	static const char *const modes[] = { "off", "shadow", "enforce" };
	static const char *const severities[] = { "low", "medium", "high", "critical" };
	static const char *const directions[] = { "any", "outbound", "inbound" };
	const struct rule *r;

	if (i >= p->nrules)
		return false;
	r = &p->rules[i];
	*out = (struct policy_rule_info){ .id = r->id, .title = r->title, .mode = modes[r->mode],
		.severity = severities[r->severity], .direction = directions[r->direction],
		.review_by = r->review_by, .outcome = r->then.outcome, .file = r->file,
		.line = r->line, .from_pack = r->from_pack };
	return true;
}

static void
put_recipient(struct json *j, struct span address, const struct decision *d)
{
	static const char *const tls[] = { NULL, "opportunistic", "encrypted", "verified", "dane" };

	json_object(j);
	json_kstr(j, "address", address);
	json_kcstr(j, "outcome", outcome_name(d->outcome));
	json_key(j, "reply");
	if (d->reply.n)
		json_str(j, d->reply);
	else
		json_null(j);
	put_spans(j, "rules", d->rules, d->nrules);
	put_spans(j, "shadow", d->shadow, d->nshadow);
	put_spans(j, "skipped", d->skipped, d->nskipped);
	if (d->queue.n)
		json_kstr(j, "queue", d->queue);
	if (d->approvals)
		json_kuint(j, "approvals", d->approvals);
	if (d->expires) {
		json_kint(j, "expires", d->expires / 1000000);
		json_kcstr(j, "on_expire", outcome_name(d->on_expire));
	}
	if (d->nredirect)
		put_spans(j, "redirect", d->redirect, d->nredirect);
	if (d->require_tls)
		json_kcstr(j, "require_tls", tls[d->require_tls]);
	if (d->variant)
		json_kuint(j, "variant", d->variant);
	if (d->nholds) {
		json_key(j, "holds");
		json_array(j);
		for (size_t i = 0; i < d->nholds; i++)
			json_str(j, d->holds[i].rule);
		json_end_array(j);
		json_kcstr(j, "after", outcome_name(d->after));
		if (d->after_queue.n)
			json_kstr(j, "after_queue", d->after_queue);
	}
	if (d->noverridden) {
		json_key(j, "overridden");
		json_array(j);
		for (size_t i = 0; i < d->noverridden; i++) {
			json_object(j);
			json_kstr(j, "rule", d->overridden[i].rule);
			json_kstr(j, "reason", d->overridden[i].reason);
			json_end_object(j);
		}
		json_end_array(j);
	}
	json_end_object(j);
}

/* Whose approvals the rules want that hold it for anybody, each rule once. */
static void
put_holds(struct json *j, const struct verdict *v)
{
	const struct decision *last = NULL;

	json_key(j, "holds");
	json_array(j);
	for (size_t i = 0; i < v->ndecisions; i++) {
		const struct decision *d = &v->decisions[i];

		if (last && d->holds == last->holds)	/* of the same class */
			continue;
		last = d;
		for (size_t k = 0; k < d->nholds; k++) {
			bool had = false;

			for (size_t s = 0; s < i && !had; s++)
				for (size_t x = 0; x < v->decisions[s].nholds && !had; x++)
					had = span_eq(v->decisions[s].holds[x].rule, d->holds[k].rule);
			if (had)
				continue;
			json_object(j);
			json_kstr(j, "rule", d->holds[k].rule);
			json_kstr(j, "for", d->holds[k].decider);
			json_kuint(j, "approvals", d->holds[k].approvals);
			put_spans(j, "approvers", d->holds[k].approvers, d->holds[k].napprovers);
			json_kstr(j, "language", d->holds[k].language);
			json_end_object(j);
		}
	}
	json_end_array(j);
}

static void
put_people(struct json *j, const struct verdict *v)
{
	json_key(j, "bcc");
	json_array(j);
	for (size_t i = 0; i < v->nbcc; i++) {
		json_object(j);
		json_kstr(j, "address", v->bcc[i].address);
		json_kstr(j, "rule", v->bcc[i].rule);
		json_end_object(j);
	}
	json_end_array(j);
	json_key(j, "notices");
	json_array(j);
	for (size_t i = 0; i < v->nnotices; i++) {
		json_object(j);
		json_kstr(j, "to", v->notices[i].to);
		json_kstr(j, "rule", v->notices[i].rule);
		json_kstr(j, "template", v->notices[i].template);
		json_kstr(j, "language", v->notices[i].language);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
put_finding(struct json *j, const struct finding *f)
{
	json_object(j);
	json_kstr(j, "detector", f->detector);
	json_kcstr(j, "confidence", confidence_name(f->confidence));
	json_kuint(j, "count", f->count);
	json_kuint(j, "distinct", f->distinct);
	json_kstr(j, "part", f->part);
	json_kcstr(j, "where", f->where);
	json_kstr(j, "name", f->name);
	if (f->origin.n)
		json_kstr(j, "origin", f->origin);
	if (f->grade.n)
		json_kstr(j, "grade", f->grade);
	json_key(j, "offsets");
	json_array(j);
	for (size_t i = 0; i < f->nplaces; i++) {
		json_array(j);
		json_uint(j, f->places[i].from);
		json_uint(j, f->places[i].to);
		json_end_array(j);
	}
	json_end_array(j);
	put_spans(j, "masked", f->masked, f->nmasked);
	json_end_object(j);
}

static void
put_url(struct json *j, const struct url_evidence *u)
{
	static const char *const tricks[] = {
#define X(name, bit, text) [bit] = text,
		URL_TRICKS(X)
#undef X
	};

	json_object(j);
	json_kstr(j, "rule", u->rule);
	json_kstr(j, "url", u->url);
	json_kstr(j, "why", u->why);
	json_kcstr(j, "kind", u->kind);
	json_kstr(j, "part", u->part);
	json_kuint(j, "offset", u->offset);
	json_key(j, "tricks");
	json_array(j);
	for (size_t i = 0; i < sizeof(tricks) / sizeof(tricks[0]); i++)
		if (u->tricks >> i & 1)
			json_cstr(j, tricks[i]);
	json_end_array(j);
	json_end_object(j);
}

static void
put_defects(struct json *j, uint32_t defects)
{
	json_key(j, "defects");
	json_array(j);
	for (uint32_t bit = 1; bit; bit <<= 1)
		if (defects & bit)
			json_cstr(j, defect_name(bit));
	json_end_array(j);
}

static void
put_part(struct json *j, const struct part *p)
{
	json_object(j);
	json_kstr(j, "part", p->number);
	json_kcstr(j, "type", part_type_name(p->type));
	json_kstr(j, "declared", p->declared);
	json_kstr(j, "name", p->name);
	json_kuint(j, "size", p->decoded.n);
	json_kbool(j, "encrypted", p->encrypted);
	if (p->encrypted && p->encryption)
		json_kcstr(j, "encryption", encryption_name(p->encryption));
	if (p->opened)
		json_kbool(j, "opened", true);
	json_kuint(j, "depth", p->depth);
	put_defects(j, p->defects);
	json_kbool(j, "attachment", p->attachment);
	json_end_object(j);
}

static void
put_edits(struct json *j, const struct verdict *v)
{
	json_key(j, "edits");
	json_array(j);
	for (size_t i = 1; i < v->nvariants; i++)
		for (size_t k = 0; k < v->variants[i].nedits; k++) {
			const struct edit *e = &v->variants[i].edits[k];

			json_object(j);
			json_kuint(j, "variant", i);
			json_kcstr(j, "action", e->action);
			json_kstr(j, "part", e->part);
			json_kstr(j, "rule", e->rule);
			json_kuint(j, "offset", e->offset);
			json_kuint(j, "size", e->size);
			if (e->opaque)	/* the message's own words stand around what was changed */
				json_kuint(j, "with_size", e->with.n);
			else
				json_kstr(j, "with", e->with);
			json_end_object(j);
		}
	json_end_array(j);
	json_key(j, "refused_edits");
	json_array(j);
	for (size_t i = 0; i < v->nrefused; i++) {
		json_object(j);
		json_kcstr(j, "action", v->refused[i].action);
		json_kstr(j, "part", v->refused[i].part);
		json_kstr(j, "rule", v->refused[i].rule);
		json_kcstr(j, "why", v->refused[i].why);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
put_ms(struct json *j, const char *key, double v)
{
	if (v < 0)
		return;
	json_key(j, key);
	json_num(j, v);
}

static void
put_times(struct json *j, const struct explain_times *ms)
{
	json_key(j, "ms");
	json_object(j);
	if (ms) {
		put_ms(j, "anatomy", ms->anatomy);
		put_ms(j, "antivirus", ms->antivirus);
		put_ms(j, "detect", ms->detect);
		put_ms(j, "evaluate", ms->evaluate);
	}
	json_end_object(j);
}


/* For the journal's searches. What a detector found is evidence and never stands in clear: then
 * the subject stays out. */
static void
put_subject(struct json *j, const struct verdict *v, const struct anatomy *an)
{
	for (size_t i = 0; i < v->nfindings; i++)
		if (strcmp(v->findings[i].where, where_name(WHERE_SUBJECT)) == 0)
			return;
	json_kstr(j, "subject", span_sub(an->subject, 0, SUBJECT_MAX));
}

static void
put_spam(struct json *j, const struct spam_report *s)
{
	json_key(j, "spam");
	if (s->class == NULL) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kcstr(j, "class", s->class);
	json_key(j, "score");
	json_num(j, s->score);
	json_key(j, "symbols");
	json_array(j);
	for (size_t i = 0; i < s->nsymbols; i++) {
		json_object(j);
		json_kstr(j, "name", s->symbols[i].name);
		json_key(j, "score");
		json_num(j, s->symbols[i].score);
		if (s->symbols[i].title.n)
			json_kstr(j, "title", s->symbols[i].title);
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
}

/* What header, session and make of it say against it, with what there is to add. */
static void
put_signs(struct json *j, const struct signs *s)
{
	json_key(j, "signs");
	json_array(j);
	for (int i = 0; s && i < SIGN_COUNT; i++)
		if (s->mask >> i & 1) {
			json_object(j);
			json_kcstr(j, "name", sign_name((enum sign)i));
			json_kstr(j, "why", s->why[i].n ? s->why[i] : span_str(sign_help((enum sign)i)));
			json_end_object(j);
		}
	json_end_array(j);
}

static void
put_known(struct json *j, const char *key, bool known, const struct span *v, size_t n)
{
	if (known)
		put_spans(j, key, v, n < IDENTITY_LIST_MAX ? n : IDENTITY_LIST_MAX);
	else
		json_kcstr(j, key, NULL);
}

/* What the filter outside or the relay in front said; what the policy makes of it is `spam`. */
static void
put_rating(struct json *j, const struct facts *f)
{
	json_key(j, "spam");
	if (!f->spam_known) {
		json_null(j);
		return;
	}
	json_object(j);
	json_key(j, "score");
	json_num(j, f->spam_score);
	json_key(j, "class");
	if (f->spam_class.n)
		json_str(j, f->spam_class);
	else
		json_null(j);
	put_known(j, "symbols", true, f->spam_symbols, f->nspam_symbols);
	json_end_object(j);
}

/* The entries of the lists of senders that speak of it, those too that do not count. */
static void
put_listings(struct json *j, const struct facts *f)
{
	json_key(j, "lists");
	if (!f->lists_known) {
		json_null(j);
		return;
	}
	json_array(j);
	for (size_t i = 0; i < f->nlistings && i < IDENTITY_LIST_MAX; i++) {
		const struct listed *l = &f->listings[i];

		json_object(j);
		json_kuint(j, "number", l->number);
		json_kcstr(j, "scope", list_scope_names[l->scope]);
		json_kstr(j, "owner", l->owner);
		json_kcstr(j, "list", list_side_names[l->side]);
		json_kstr(j, "what", l->what);
		json_kcstr(j, "by", list_by_names[l->by]);
		json_kbool(j, "counts", l->counts);
		json_kstr(j, "reason", l->reason);
		json_end_object(j);
	}
	json_end_array(j);
}

static void
put_bayes(struct json *j, const struct facts *f)
{
	json_key(j, "bayes");
	if (!f->bayes_known) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kuint(j, "spam", f->bayes);
	json_kcstr(j, "says", bayes_says(f->bayes));
	json_key(j, "clues");
	json_array(j);
	for (size_t i = 0; i < f->nbayes_told; i++) {
		json_object(j);
		json_kstr(j, "word", f->bayes_told[i].word);
		json_kuint(j, "spam", (uint64_t)(f->bayes_told[i].p * 100 + 0.5));
		json_end_object(j);
	}
	json_end_array(j);
	json_end_object(j);
}

void
facts_identity(const struct facts *f, struct json *j)
{
	static const char *const asks[DMARC_ASKS_COUNT] = { "none", "quarantine", "reject" };

	if (!f->spf && !f->dkim && !f->dmarc && !f->arc && !f->dnsbl_known && !f->listed_known &&
	    !f->spam_known && !f->reputation_known && !f->bayes_known && !f->bounce && !f->lists_known &&
	    !f->experience_known) {
		json_null(j);
		return;
	}
	json_object(j);
	json_kcstr(j, "spf", auth_result_name(f->spf));
	json_kcstr(j, "dkim", auth_result_name(f->dkim));
	json_kcstr(j, "dmarc", auth_result_name(f->dmarc));
	json_kcstr(j, "dmarc_policy", f->dmarc ? asks[f->dmarc_asks] : NULL);
	json_kcstr(j, "arc", auth_result_name(f->arc));
	json_kcstr(j, "bounce", bounce_fact_name(f->bounce));
	put_known(j, "dnsbl", f->dnsbl_known, f->dnsbl, f->ndnsbl);
	json_key(j, "reputation");
	if (f->reputation_known)
		json_uint(j, f->reputation);
	else
		json_null(j);
	put_bayes(j, f);
	json_key(j, "experience");
	if (f->experience_known)
		json_uint(j, f->experience);
	else
		json_null(j);
	if (f->proved.n)
		json_kstr(j, "proved", f->proved);
	else
		json_kcstr(j, "proved", NULL);
	put_known(j, "links", f->listed_known, f->listed_hosts, f->nlisted_hosts);
	put_rating(j, f);
	put_listings(j, f);
	json_end_object(j);
}

/* Why, rule by rule: each condition with its state, as a tree written down in order. */
static void
put_told(struct json *j, const struct verdict *v)
{
	json_key(j, "why");
	json_array(j);
	for (size_t i = 0; i < v->ntold; i++) {
		const struct told_rule *t = &v->told[i];

		json_object(j);
		json_kstr(j, "rule", t->rule);
		json_kcstr(j, "as", t->as);
		json_kstr(j, "recipient", t->recipient);
		json_key(j, "conditions");
		json_array(j);
		for (size_t k = 0; k < t->nlines; k++) {
			const struct told_line *l = &t->lines[k];

			json_object(j);
			json_kcstr(j, "of", l->of);
			if (l->depth)
				json_kuint(j, "depth", l->depth);
			json_key(j, "held");
			if (l->state == TOLD_NOT_ASKED)
				json_null(j);
			else
				json_bool(j, l->state == TOLD_HELD);
			json_kstr(j, "text", l->text);
			if (l->nmasked)
				put_spans(j, "masked", l->masked, l->nmasked);
			json_end_object(j);
		}
		json_end_array(j);
		json_end_object(j);
	}
	json_end_array(j);
}

void
verdict_explain(const struct verdict *v, const struct policy *p, const struct anatomy *an,
    const struct envelope *env, const struct facts *facts, const struct explain_times *ms,
    struct json *j)
{
	char id[ID_SIZE];

	json_object(j);
	json_kuint(j, "v", 1);
	json_kcstr(j, "id", env->id ? id_format(env->id, id) : NULL);
	json_kcstr(j, "policy", policy_hash(p));
	json_key(j, "virus");
	if (facts->av == AV_VIRUS || facts->av == AV_SUSPECT) {
		enum av_kind kind = AV_KIND_MALWARE;

		av_kind_of(facts->av_name, &kind);
		json_object(j);
		json_kstr(j, "name", facts->av_name);
		json_kstr(j, "engine", facts->av_engine);
		json_kstr(j, "part", facts->av_part);
		json_kcstr(j, "kind", av_kind_name(facts->av == AV_VIRUS ? AV_KIND_MALWARE : kind));
		json_end_object(j);
	} else {
		json_null(j);
	}
	json_key(j, "recipients");
	json_array(j);
	for (size_t i = 0; i < v->ndecisions && i < env->nrecipients; i++)
		put_recipient(j, env->recipients[i].address, &v->decisions[i]);
	json_end_array(j);
	json_key(j, "findings");
	json_array(j);
	for (size_t i = 0; i < v->nfindings; i++)
		put_finding(j, &v->findings[i]);
	json_end_array(j);
	json_key(j, "urls");
	json_array(j);
	for (size_t i = 0; i < v->nurls; i++)
		put_url(j, &v->urls[i]);
	json_end_array(j);
	json_key(j, "parts");
	json_array(j);
	for (size_t i = 0; i < an->nparts; i++)
		if (an->parts[i].type != TYPE_MULTIPART)
			put_part(j, &an->parts[i]);
	json_end_array(j);
	put_defects(j, an->defects);
	put_edits(j, v);
	put_holds(j, v);
	for (size_t i = 0; i < v->ndecisions; i++)
		if (v->decisions[i].nholds) {	/* who has no voice in it, beside the sender */
			json_kstr(j, "author", an->header_from);
			break;
		}
	put_people(j, v);
	json_key(j, "near_misses");
	json_array(j);
	for (size_t i = 0; i < v->nnear_misses; i++) {
		json_object(j);
		json_kstr(j, "rule", v->near_misses[i].rule);
		json_kstr(j, "text", v->near_misses[i].text);
		json_end_object(j);
	}
	json_end_array(j);
	if (v->ntold)
		put_told(j, v);
	put_subject(j, v, an);
	put_spam(j, &v->spam);
	put_signs(j, v->spam.signs);
	json_key(j, "identity");	/* the store cuts it out between these two keys */
	facts_identity(facts, j);
	json_kbool(j, "unscannable", v->unscannable);
	json_kbool(j, "undecided", v->undecided);
	put_times(j, ms);
	json_end_object(j);
}
