/* load_spam.c -- the section `spam:`: a score gives a class, the recipient's
 * domain a profile, and the two together what happens.
 *
 * It is compiled into ordinary rules, one for each profile and class with
 * something to do, named `spam/PROFILE/CLASS` (an administrator's ids have no
 * `/`), so that they are joined, explained, tested and excepted (tag `spam`)
 * as all others are: a discard by a profile never destroys what another rule
 * holds. `spam/forged` takes away header fields that only tagging may write.
 *
 * The profiles of the table below are there without being written down, as are
 * the classes and the tagging; what a policy writes takes their place.
 */
#include "load.h"

enum action { ACTION_DELIVER, ACTION_TAG_HEADER, ACTION_TAG, ACTION_QUARANTINE, ACTION_DISCARD,
	ACTION_REJECT };
const char *const spam_actions[] = { "deliver", "tag-header", "tag", "quarantine", "discard",
	"reject", NULL };
const char *const spam_sources[] = { "built-in", "rspamd", "spamd", "header", NULL };
/* Classes that something is decided for: `ham` is none. */
const char *const spam_decided[] = { "spam", "suspected", "marketing" };
const enum spam_class spam_decided_class[] = { SPAM_SPAM, SPAM_SUSPECTED, SPAM_MARKETING };
#define DECIDED POLICY_SPAM_CLASSES

struct profile {
	struct span name;
	enum action actions[DECIDED];
	const struct conf_node *node;	/* NULL: built in */
	uint32_t set;		/* recipients it holds for */
	bool used;
	struct policy_spam_profile *shown;	/* NULL: not yet; see spam_info.c */
};

static const struct {
	const char *name;
	enum action actions[DECIDED];
} usual[] = {
	{ "erase-suspects", { ACTION_DISCARD, ACTION_DISCARD, ACTION_TAG } },
	{ "tag-suspects", { ACTION_DISCARD, ACTION_TAG, ACTION_TAG } },
	{ "tag-suspects-only", { ACTION_DISCARD, ACTION_TAG, ACTION_DELIVER } },
	{ "tag-all-spam", { ACTION_TAG, ACTION_TAG, ACTION_DELIVER } },
	{ "header-only", { ACTION_TAG_HEADER, ACTION_DELIVER, ACTION_DELIVER } },
	{ "prudent", { ACTION_QUARANTINE, ACTION_QUARANTINE, ACTION_TAG } },
};

/* --- classes ------------------------------------------------------------------------------- */

/* ">= 12", "> 5.5", "symbol BULK" */
static bool
test_parse(struct load *ld, struct span s, struct spam_test *t)
{
	*t = (struct spam_test){ 0 };
	if (span_starts(s, SPAN_LIT("symbol "))) {
		t->symbol = arena_span(ld->a, span_trim(span_from(s, 7)));
		return t->symbol.n > 0;
	}
	if (span_starts(s, SPAN_LIT(">=")))
		s = span_from(s, 2);
	else if (span_starts(s, SPAN_LIT(">"))) {
		t->above = true;
		s = span_from(s, 1);
	} else {
		return false;
	}
	return parse_score(span_trim(s), &t->score);
}

static void
class_read(struct load *ld, struct conf_node *n, enum spam_class c)
{
	struct spans items = { 0 };
	struct conf_node *at = n->kind == CONF_LIST ? n->first : n;
	struct spam_test *v;

	if (!read_texts(ld, n, "as in \">= 12\" or symbol BULK", &items))
		return;
	v = arena_array(ld->a, items.n + 1, sizeof(*v));
	if (items.n == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
	for (size_t i = 0; i < items.n; i++, at = at->next)
		if (!test_parse(ld, items.v[i], &v[i]))
			diag_at(ld->d, DIAG_ERROR, at, "as in \">= 12\", \"> 5.5\" or symbol BULK",
			    "cannot read this test of a score");
	ld->p->spam.classes[c].v = v;
	ld->p->spam.classes[c].n = items.n;
}

void
spam_class_spam(struct load *ld, struct conf_node *n, void *obj)
{
	class_read(ld, n, SPAM_SPAM);
}

void
spam_class_suspected(struct load *ld, struct conf_node *n, void *obj)
{
	class_read(ld, n, SPAM_SUSPECTED);
}

void
spam_class_marketing(struct load *ld, struct conf_node *n, void *obj)
{
	class_read(ld, n, SPAM_MARKETING);
}

void
spam_defaults(struct load *ld)
{
	static const char *const tests[] = { ">= 12", ">= 6", "symbol BULK" };

	for (int i = 0; i < DECIDED; i++) {
		struct spam_test *t = arena_zalloc(ld->a, sizeof(*t));
		bool fine = test_parse(ld, span_str(tests[i]), t);

		ASSERT(fine);
		ld->p->spam.classes[spam_decided_class[i]].v = t;
		ld->p->spam.classes[spam_decided_class[i]].n = 1;
	}
}

/* A class whose score lies above that of a stricter one is never given by it. */
static void
classes_check(struct load *ld, const struct conf_node *n)
{
	const struct spam_policy *s = &ld->p->spam;

	for (size_t i = 0; i < s->classes[SPAM_SPAM].n; i++)
		for (size_t k = 0; k < s->classes[SPAM_SUSPECTED].n; k++) {
			const struct spam_test *x = &s->classes[SPAM_SPAM].v[i];
			const struct spam_test *y = &s->classes[SPAM_SUSPECTED].v[k];

			if (!x->symbol.n && !y->symbol.n && y->score >= x->score)
				diag_at(ld->d, DIAG_WARNING, n, NULL,
				    "`suspected` begins at a score that is `spam` already");
		}
}

/* --- tagging -------------------------------------------------------------------------------- */

static struct rule_src *
tag_new(struct load *ld, const struct conf_node *n)
{
	struct rule_src *t = arena_zalloc(ld->tmp, sizeof(*t));

	t->node = n;
	return t;
}

static void
tag_read(struct load *ld, struct conf_node *n, int i)
{
	ld->tags[i] = tag_new(ld, n);
	keys_read(ld, n, SECTION_TAG, ld->tags[i]);
}

void
tagging_spam(struct load *ld, struct conf_node *n, void *obj)
{
	tag_read(ld, n, 0);
}

void
tagging_suspected(struct load *ld, struct conf_node *n, void *obj)
{
	tag_read(ld, n, 1);
}

void
tagging_marketing(struct load *ld, struct conf_node *n, void *obj)
{
	tag_read(ld, n, 2);
}

static void
tagging_usual(struct load *ld)
{
	static const char *const value[] = { "yes", "suspected", "marketing" };
	static const char *const prefix[] = { "[SPAM]", "[SPAM?]", "[PUB]" };

	for (int i = 0; i < DECIDED; i++) {
		struct header_add *h = arena_zalloc(ld->a, sizeof(*h));

		*h = (struct header_add){ SPAN_LIT("X-Spam-Status"), span_str(value[i]) };
		ld->tags[i] = tag_new(ld, NULL);
		ld->tags[i]->rule.then.add = h;
		ld->tags[i]->rule.then.nadd = 1;
		ld->tags[i]->rule.then.prefix = span_str(prefix[i]);
	}
}

/* --- profiles and domains --------------------------------------------------------------------- */

static void
profile_add(struct load *ld, struct span name, struct conf_node *n, const enum action *actions)
{
	struct profile *p = arena_zalloc(ld->tmp, sizeof(*p));
	struct profile_src src = { { -1, -1, -1 } };

	p->name = name;
	p->node = n;
	if (actions)
		memcpy(p->actions, actions, sizeof(p->actions));
	if (!pendings_add(ld, &ld->profiles, "profile", name, n, p) || !n)
		return;
	if (!keys_read(ld, n, SECTION_PROFILE, &src))
		return;
	for (int i = 0; i < DECIDED; i++) {
		if (!conf_get(n, spam_decided[i]))
			diag_key(ld->d, DIAG_ERROR, n, "`deliver` leaves it alone",
			    "profile `" SPAN_FMT "` does not say what happens to `%s`", SPAN_ARG(name),
			    spam_decided[i]);
		else if (src.actions[i] >= 0)
			p->actions[i] = (enum action)src.actions[i];
	}
}

static void
profiles_read(struct load *ld, struct conf_node *n)
{
	if (n && conf_want(ld->d, n, CONF_MAP, "profiles"))
		CONF_EACH (c, n) {
			struct conf_node id = *c;
			struct span name;

			id.kind = CONF_SCALAR;
			id.text = c->key;
			if (read_id(ld, &id, &name))
				profile_add(ld, name, c, NULL);
		}
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (!pendings_get(&ld->profiles, span_str(usual[i].name)))
			profile_add(ld, span_str(usual[i].name), NULL, usual[i].actions);
}

static struct profile *
profile_find(struct load *ld, struct conf_node *n)
{
	struct profile *p;
	struct span s;

	if (!conf_text(ld->d, n, "a profile", &s))
		return NULL;
	p = pendings_get(&ld->profiles, s);
	if (!p)
		diag_at(ld->d, DIAG_ERROR, n,
		    nearest_hint(ld, pendings_nearest(ld, &ld->profiles, s)),
		    "unknown profile `" SPAN_FMT "`", SPAN_ARG(s));
	else
		p->used = true;
	return p;
}

static const struct policy_spam_profile *
profile_shown(struct load *ld, struct profile *p)
{
	if (p->shown)
		return p->shown;
	p->shown = arena_zalloc(ld->a, sizeof(*p->shown));
	p->shown->name = arena_span(ld->a, p->name);
	for (int i = 0; i < DECIDED; i++)
		p->shown->actions[i] = spam_actions[p->actions[i]];
	return p->shown;
}

/* Domains into the sets of their profiles; what holds for all others, or NULL. */
static struct profile *
domains_read(struct load *ld, struct conf_node *n)
{
	struct addrsets *sets = &ld->p->sets;
	struct profile *other = pendings_get(&ld->profiles, SPAN_LIT("prudent"));
	struct table *seen = table_new();
	struct policy_spam_domain *shown;
	size_t lines = 0;

	if (n && n->kind == CONF_MAP)
		CONF_EACH (c, n)
			lines++;
	shown = arena_array(ld->a, lines + 1, sizeof(*shown));
	sets->only_from = sets->nsets;
	for (struct pending *q = ld->profiles.first; q; q = q->next)
		((struct profile *)q->value)->set = addrsets_new(sets, (struct span){ 0 });
	sets->only_to = sets->nsets;
	if (n && conf_want(ld->d, n, CONF_MAP, "domains and their profiles"))
		CONF_EACH (c, n) {
			struct profile *p = profile_find(ld, c);
			struct span normal;
			struct err err = { 0 };

			if (span_is(c->key, "default")) {
				other = p;
			} else if (!addrpattern_normalise(ld->tmp, c->key, &normal, &err)) {
				diag_key(ld->d, DIAG_ERROR, c, NULL, "%s", err.text);
			} else if (table_get(seen, normal)) {
				diag_key(ld->d, DIAG_ERROR, c, NULL, "domain `" SPAN_FMT "` stands twice",
				    SPAN_ARG(normal));
			} else if (p) {
				table_put(seen, normal, p);
				shown[ld->p->spam.ndomains++] = (struct policy_spam_domain){
					arena_span(ld->a, normal), profile_shown(ld, p) };
				addrsets_add(sets, p->set, c->key, &err);
			}
		}
	table_free(&seen);
	ld->p->spam.domains = shown;
	if (other) {
		other->used = true;
		ld->p->spam.others = profile_shown(ld, other);
	}
	return other;
}

/* --- rules ------------------------------------------------------------------------------------- */

static struct cond
to_cond(struct load *ld, const uint32_t *sets, size_t n, bool negate)
{
	struct atom atom = { .kind = ATOM_ADDRESS, .key = SPAN_LIT("to"), .negate = negate };
	struct buf key;

	atom.address.who = WHO_TO;
	atom.address.sets = sets;
	atom.address.n = n;
	key_begin(&key, "to");
	for (size_t i = 0; i < n; i++)
		buf_printf(&key, ",%u", sets[i]);
	return atom_intern(ld, &atom, &key);
}

/* The recipients of the profile; those of no profile as well when it is for all others. */
static struct cond
profile_cond(struct load *ld, const struct profile *p, bool others)
{
	const struct addrsets *s = &ld->p->sets;
	uint32_t *own = arena_array(ld->a, 1, sizeof(*own)), *all, n = s->only_to - s->only_from;
	struct cond *kids;

	*own = p->set;
	if (!others)
		return to_cond(ld, own, 1, false);
	all = arena_array(ld->a, n, sizeof(*all));
	for (uint32_t i = 0; i < n; i++)
		all[i] = s->only_from + i;
	kids = arena_array(ld->a, 2, sizeof(*kids));
	kids[0] = to_cond(ld, own, 1, false);
	kids[1] = to_cond(ld, all, n, true);
	return (struct cond){ .op = COND_ANY, .cost = 2, .atom = kids[0].atom, .n = 2, .kids = kids };
}

static struct rule_src *
rule_new(struct load *ld, const struct conf_node *node, struct span id, const char *title)
{
	static const struct span tag = { "spam", 4 };
	struct rule_src *src = arena_zalloc(ld->tmp, sizeof(*src));

	src->node = src->then = node;
	src->made = true;
	src->rule = (struct rule){ .id = id, .title = span_str(title), .tags = { &tag, 1 },
		.direction = DIRECTION_INBOUND, .severity = SEVERITY_LOW, .mode = MODE_ENFORCE,
		.file_atom = -1, .line = node->line };
	src->rule.file = node->file ? arena_str(ld->a, span_str(node->file->name)) : "";
	pendings_add(ld, &ld->rules, "rule", id, node, src);
	return src;
}

static void
rule_when_is(struct load *ld, struct rule_src *src, struct cond a, struct cond b)
{
	struct conds c = { 0 };

	conds_push(ld, &c, a);
	conds_push(ld, &c, b);
	conds_sort(&c);
	src->rule.when = c.v;
	src->rule.nwhen = c.n;
}

static void
effects_make(struct load *ld, struct rule_src *src, enum action act, int i, const struct conf_node *at)
{
	struct effects *t = &src->rule.then;
	const struct effects *tag = &ld->tags[i]->rule.then;

	switch (act) {
	case ACTION_TAG:
		t->prefix = tag->prefix;
		/* fall through */
	case ACTION_TAG_HEADER:
		t->add = tag->add;
		t->nadd = tag->nadd;
		if (!tag->nadd && !t->prefix.n)
			diag_at(ld->d, DIAG_ERROR, at, "write it under `tagging:`",
			    "`%s` is to be tagged, and nothing says how", spam_decided[i]);
		break;
	case ACTION_QUARANTINE:
		t->outcome = OUTCOME_QUARANTINE;
		t->queue = SPAN_LIT("spam");
		break;
	case ACTION_DISCARD:
		t->outcome = OUTCOME_DISCARD;
		break;
	case ACTION_REJECT:
		t->outcome = OUTCOME_REJECT;
		t->code = SPAN_LIT("5.7.1");
		t->text = SPAN_LIT("The message looks like spam");
		break;
	case ACTION_DELIVER:
		break;
	}
}

static void
profile_rules(struct load *ld, const struct conf_node *n, const struct profile *p, bool others)
{
	for (int i = 0; i < DECIDED; i++) {
		const struct conf_node *at = p->node ? p->node : n;
		struct rule_src *src;

		if (p->actions[i] == ACTION_DELIVER)
			continue;
		src = rule_new(ld, at, span_str(arena_printf(ld->a, "spam/" SPAN_FMT "/%s",
		    SPAN_ARG(p->name), spam_decided[i])), spam_decided[i]);
		rule_when_is(ld, src, spam_cond(ld, 1u << spam_decided_class[i], false),
		    profile_cond(ld, p, others));
		effects_make(ld, src, p->actions[i], i, at);
	}
}

/* What only tagging writes is taken from what comes in. */
static void
forged_rule(struct load *ld, const struct conf_node *n)
{
	struct conds c = { 0 };
	struct span *names;
	size_t count = 0, max = 0;
	struct rule_src *src;

	for (int i = 0; i < DECIDED; i++)
		max += ld->tags[i]->rule.then.nadd;
	if (max == 0)
		return;
	names = arena_array(ld->a, max, sizeof(*names));
	for (int i = 0; i < DECIDED; i++)
		for (size_t k = 0; k < ld->tags[i]->rule.then.nadd; k++) {
			struct span name = ld->tags[i]->rule.then.add[k].name;
			bool had = false;

			for (size_t s = 0; s < count && !had; s++)
				had = span_eq_nocase(names[s], name);
			if (had)
				continue;
			names[count++] = name;
			conds_push(ld, &c, header_present_cond(ld, name));
		}
	src = rule_new(ld, n, SPAN_LIT("spam/forged"), "forged spam tags");
	src->rule.tags.n = 0;	/* whoever is spared being rated may not rate himself */
	if (count > 1) {
		struct cond *one = arena_array(ld->a, 1, sizeof(*one));

		*one = (struct cond){ .op = COND_ANY, .cost = 20, .atom = c.v[0].atom,
			.n = (uint32_t)count, .kids = c.v };
		src->rule.when = one;
	} else {
		src->rule.when = c.v;
	}
	src->rule.nwhen = 1;
	src->rule.then.remove = (struct spans){ names, count };
}

void
spam_read(struct load *ld, struct conf_node *n, void *obj)
{
	struct spam_src src = { .source = 0 };
	size_t errors = ld->d->errors;
	struct profile *other;

	if (ld->pack.n) {		/* a pack brings checks alone */
		checks_read(ld, conf_get(n, "checks"));
		return;
	}
	if (ld->spam) {
		diag_key(ld->d, DIAG_ERROR, n, NULL, "`spam` stands in another file already");
		return;
	}
	ld->spam = n;
	tagging_usual(ld);
	if (!keys_read(ld, n, SECTION_SPAM, &src))
		return;
	ld->p->spam.source = (enum spam_source)(src.source + SPAM_SOURCE_BUILT_IN);
	if (src.classes && keys_read(ld, src.classes, SECTION_CLASSES, NULL))
		classes_check(ld, src.classes);
	if (src.tagging) {
		for (int i = 0; i < DECIDED; i++)
			ld->tags[i] = tag_new(ld, src.tagging);
		keys_read(ld, src.tagging, SECTION_TAGGING, NULL);
	}
	if (src.checks)
		checks_read(ld, src.checks);
	if (src.protect)
		signs_protect(ld, src.protect);
	if (src.people)
		signs_people(ld, src.people);
	profiles_read(ld, src.profiles);
	other = domains_read(ld, src.domains);
	ld->p->spam.file = n->file ? arena_str(ld->a, span_str(n->file->name)) : "";
	ld->p->spam.line = n->line;
	if (ld->d->errors > errors)
		return;
	for (struct pending *q = ld->profiles.first; q; q = q->next) {
		const struct profile *p = q->value;

		if (p->used)
			profile_rules(ld, n, p, p == other);
	}
	forged_rule(ld, n);
}
