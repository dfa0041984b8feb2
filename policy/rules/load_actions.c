/* load_actions.c -- what rules do beside an outcome and header fields: files
 * taken out, texts blackened and appended, senders who may insist. Who is told: load_people.c.
 *
 * Templates and texts may stand in files of the policy folder; they are read,
 * and their variables checked, when the policy is loaded.
 */
#include "load.h"


static bool
is_word(const struct conf_node *n, const char *word)
{
	return n->kind == CONF_SCALAR && !n->quoted && span_is(n->text, word);
}

/* --- texts ------------------------------------------------------------------------------ */

static bool
text_fine(struct load *ld, const struct conf_node *at, struct span s)
{
	return text_check(ld, at, NULL, s);
}

/* A text in the policy, or file:PATH. */
static void
read_one_text(struct load *ld, struct conf_node *n, struct span *out)
{
	struct span s;

	if (!conf_text(ld->d, n, "a text", &s))
		return;
	if (span_starts(s, SPAN_LIT("file:")) && !load_file(ld, n, span_from(s, 5), &s))
		return;
	if (text_fine(ld, n, s))
		*out = arena_span(ld->a, s);
}

static void
read_by_language(struct load *ld, struct conf_node *n, struct texts *out)
{
	if (n->kind != CONF_MAP) {
		read_one_text(ld, n, &out->v[LANG_EN]);
		return;
	}
	CONF_EACH (c, n) {
		int l = 0;

		while (language_names[l] && !span_is(c->key, language_names[l]))
			l++;
		if (language_names[l])
			read_one_text(ld, c, &out->v[l]);
		else
			diag_key(ld->d, DIAG_ERROR, c, "en or fr", "unknown language `" SPAN_FMT "`",
			    SPAN_ARG(c->key));
	}
	if (n->count == 0)
		diag_at(ld->d, DIAG_ERROR, n, "as in {en: text, fr: texte}", "an empty text");
}

/* --- strip_attachment --------------------------------------------------------------------- */

void
strip_matching(struct load *ld, struct conf_node *n, void *obj)
{
	struct strip_ask *ask = obj;
	struct file_cond *f;

	if (is_word(n, "this"))
		return;
	if (n->kind != CONF_MAP) {
		diag_at(ld->d, DIAG_ERROR, n, "or conditions, as in {type: executable}",
		    "expected `this`: what the rule's `attachment` matched");
		return;
	}
	f = arena_zalloc(ld->a, sizeof(*f));
	f->encrypted = f->mismatch = -1;
	if (n->count == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "no conditions: every file would go");
	else if (keys_read(ld, n, SECTION_ATTACHMENT, f))
		ask->file = f;
}

void
strip_notice_read(struct load *ld, struct conf_node *n, void *obj)
{
	struct strip_ask *ask = obj;
	struct span word, name;

	if (conf_text(ld->d, n, "a template", &word))
		template_read(ld, n, word, &name, &ask->notice, NULL);
}

void
then_strip(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct strip_ask *ask = arena_zalloc(ld->a, sizeof(*ask));
	struct span name;

	if (!is_word(n, "this") && !is_word(n, "true")) {
		if (n->kind != CONF_MAP) {
			diag_at(ld->d, DIAG_ERROR, n, "as in {matching: this, notice: stripped}",
			    "expected `this` or a map");
			return;
		}
		keys_read(ld, n, SECTION_STRIP, ask);
	}
	if (!ask->notice.v[LANG_EN].n && !ask->notice.v[LANG_FR].n)
		template_read(ld, n, SPAN_LIT("stripped"), &name, &ask->notice, NULL);
	src->strip_node = n;
	src->rule.then.strip = ask;
}

/* --- redact --------------------------------------------------------------------------------- */

static void
redact_names(struct load *ld, struct conf_node *n, struct redact_ask *ask)
{
	struct spans names = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	uint32_t *v;

	if (is_word(n, "this")) {
		ask->self = true;
		return;
	}
	if (!read_texts(ld, n, "a detector", &names))
		return;
	if (names.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: nothing would be redacted");
	v = arena_array(ld->a, names.n + 1, sizeof(*v));
	for (size_t i = 0; i < names.n; i++, at = at->next) {
		int d = detector_resolve(ld, at, false, names.v[i]);

		if (d >= 0)
			v[ask->n++] = (uint32_t)d;
	}
	ask->detectors = v;
}

void
redact_detectors(struct load *ld, struct conf_node *n, void *obj)
{
	redact_names(ld, n, &((struct redact_src *)obj)->ask);
}

void
redact_with(struct load *ld, struct conf_node *n, void *obj)
{
	struct redact_ask *ask = &((struct redact_src *)obj)->ask;
	struct span s;
	size_t first = 1;

	if (!conf_text(ld->d, n, "a text", &s))
		return;
	if (is_word(n, "mask")) {
		ask->evidence = true;
		return;
	}
	while (first < s.n && ((unsigned char)s.p[first] & 0xc0) == 0x80)
		first++;
	if (s.n == 0 || s.n > 100 || span_find(s, '\n') < s.n || span_find(s, '<') < s.n ||
	    span_find(s, '&') < s.n)
		diag_at(ld->d, DIAG_ERROR, n, "or `mask`: what evidence shows",
		    "expected a text of 1 to 100 bytes on one line, without < and &");
	else if (!span_is(s, "\xe2\x96\x88"))
		ask->with = arena_span(ld->a, s);	/* the block: one for each character */
}

void
then_redact(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct redact_src r = { .confidence = 0 };
	struct redact_ask *ask = arena_zalloc(ld->a, sizeof(*ask));
	size_t errors = ld->d->errors;

	if (n->kind == CONF_MAP) {
		keys_read(ld, n, SECTION_REDACT, &r);
		if (!conf_get(n, "detectors") && ld->d->errors == errors)
			r.ask.self = true;
	} else {
		redact_names(ld, n, &r.ask);
	}
	*ask = r.ask;
	ask->floor = (enum confidence)(r.confidence + 1);
	src->redact_node = n;
	src->rule.then.redact = ask;
}

/* --- append_text ------------------------------------------------------------------------------ */

void
append_text_read(struct load *ld, struct conf_node *n, void *obj)
{
	read_by_language(ld, n, &((struct append_ask *)obj)->text);
}

void
append_html_read(struct load *ld, struct conf_node *n, void *obj)
{
	read_by_language(ld, n, &((struct append_ask *)obj)->html);
}

void
then_append(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct append_ask *ask = arena_zalloc(ld->a, sizeof(*ask));
	size_t errors = ld->d->errors;

	ask->once = true;
	if (n->kind == CONF_MAP && !conf_get(n, "en") && !conf_get(n, "fr")) {
		keys_read(ld, n, SECTION_APPEND, ask);
		if (!conf_get(n, "text") && ld->d->errors == errors)
			diag_at(ld->d, DIAG_ERROR, n, "the HTML is made from it where `html` is not given",
			    "`append_text` needs `text`");
	} else {
		read_by_language(ld, n, &ask->text);
	}
	src->rule.then.append = ask;
}

/* --- override ------------------------------------------------------------------------------------- */

void
override_allow(struct load *ld, struct conf_node *n, void *obj)
{
	struct override_ask *o = obj;

	read_addresses(ld, n, &o->sets, &o->n);
}

void
override_justification(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = { "subject-tag", "header", NULL };
	struct override_ask *o = obj;
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	int i;

	for (; at; at = n->kind == CONF_LIST ? at->next : NULL)
		if (conf_enum(ld->d, at, names, &i)) {
			o->in_subject |= i == 0;
			o->in_header |= i == 1;
		}
}

void
override_until(struct load *ld, struct conf_node *n, void *obj)
{
	struct override_ask *o = obj;

	if (!read_date(ld, n, &o->until))
		return;
	o->until += INT64_C(86400) * 1000000;
	if (ld->env->now >= o->until)
		diag_at(ld->d, DIAG_WARNING, n, "prolong it, or take it out",
		    "the override has expired: nobody may");
}

void
then_override(struct load *ld, struct conf_node *n, void *obj)
{
	struct rule_src *src = obj;
	struct override_ask *o = arena_zalloc(ld->a, sizeof(*o));
	size_t errors = ld->d->errors;

	if (!conf_want(ld->d, n, CONF_MAP, "{allow: group:NAME}"))
		return;
	keys_read(ld, n, SECTION_OVERRIDE, o);
	if (!conf_get(n, "allow") && ld->d->errors == errors)
		diag_key(ld->d, DIAG_ERROR, n, "as in {allow: group:staff}",
		    "`override` needs `allow`: who may");
	if (!o->in_subject && !o->in_header)
		o->in_subject = o->in_header = true;
	src->override_node = n;
	src->rule.then.override = o;
}

/* --- what only the whole rule shows ------------------------------------------------------------------ */

static bool
has_measure(const struct load *ld, const struct cond *c)
{
	const struct atom *a;

	for (uint32_t i = 0; c->op != COND_ATOM && i < c->n; i++)
		if (has_measure(ld, &c->kids[i]))
			return true;
	if (c->op != COND_ATOM)
		return false;
	a = &ld->p->atoms[c->atom];
	return (a->kind == ATOM_FINDS || a->kind == ATOM_TEXT) && !a->negate;
}

void
actions_check(struct load *ld, struct rule_src *src)
{
	struct effects *t = &src->rule.then;
	bool finds = false;

	if (t->strip && !t->strip->file && src->rule.file_atom < 0)
		diag_at(ld->d, DIAG_ERROR, src->strip_node, "or say which: {matching: {type: executable}}",
		    "`this` is what `when: {attachment: ...}` matched, and the rule has none");
	for (size_t i = 0; i < src->rule.nwhen; i++)
		finds |= has_measure(ld, &src->rule.when[i]);
	if (t->redact && t->redact->self && !finds)
		diag_at(ld->d, DIAG_ERROR, src->redact_node, "or say what: {detectors: [iban]}",
		    "`this` is what `when: {finds: ...}` found, and the rule has none");
	if (t->on_fail != OUTCOME_UNJUDGED && !t->strip && !t->redact && !t->append)
		diag_at(ld->d, DIAG_ERROR, src->on_fail_node,
		    "it speaks of strip_attachment, redact and append_text",
		    "`on_fail` in a rule that changes nothing");
	if (t->override && src->asks_virus)
		diag_at(ld->d, DIAG_ERROR, src->override_node, NULL, "a virus cannot be overridden");
	else if (t->override && t->outcome < OUTCOME_DISCARD)
		diag_at(ld->d, DIAG_ERROR, src->override_node, "as in {reject: true, override: ...}",
		    "the rule stops nothing that could be overridden");
	for (size_t i = 0; i < t->nnotify; i++) {
		struct notify_ask *ask = (struct notify_ask *)(uintptr_t)&t->notify[i];

		if (ask->name.n)
			continue;
		ask->name = t->outcome == OUTCOME_HOLD || t->outcome == OUTCOME_QUARANTINE ?
		    SPAN_LIT("held") : t->outcome == OUTCOME_UNJUDGED ? SPAN_LIT("changed") :
		    SPAN_LIT("rejected");
		template_read(ld, src->node, ask->name, &ask->name, &ask->text, &ask->html);
	}
}

void
then_on_fail(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = { "deliver", "quarantine", "hold", "defer", "reject", NULL };
	static const enum outcome outcomes[] = { OUTCOME_UNJUDGED, OUTCOME_QUARANTINE, OUTCOME_HOLD,
		OUTCOME_DEFER, OUTCOME_REJECT };
	struct rule_src *src = obj;
	int i;

	if (!conf_enum(ld->d, n, names, &i))
		return;
	src->on_fail_node = n;
	src->rule.then.on_fail = outcomes[i];
}

void
default_language(struct load *ld, struct conf_node *n, void *obj)
{
	int i;

	if (conf_enum(ld->d, n, language_names, &i))
		ld->p->language = i;
}

void
default_languages(struct load *ld, struct conf_node *n, void *obj)
{
	if (!conf_want(ld->d, n, CONF_MAP, "{fr: addresses}"))
		return;
	CONF_EACH (c, n) {
		int l = 0;

		while (language_names[l] && !span_is(c->key, language_names[l]))
			l++;
		if (language_names[l])
			read_addresses(ld, c, &ld->p->readers[l].v, &ld->p->readers[l].n);
		else
			diag_key(ld->d, DIAG_ERROR, c, "en or fr", "unknown language `" SPAN_FMT "`",
			    SPAN_ARG(c->key));
	}
}
