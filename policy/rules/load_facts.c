/* load_facts.c -- conditions on what others found out about inbound mail, and
 * such facts written down for tests.
 *
 * A score is no condition: `spam:` takes classes. What separates them stands in
 * one place, the section `spam:`, and not in rules.
 */
#include "load.h"

const char *const auth_names[] = { "none", "pass", "fail", "softfail", "neutral", "temperror",
	"permerror", "policy", NULL };
const char *const spam_names[] = { "spam", "suspected", "marketing", "ham", NULL };
static const enum spam_class spam_values[] = { SPAM_SPAM, SPAM_SUSPECTED, SPAM_MARKETING, SPAM_HAM };

/* Which of the names are in the text or list, a bit for each; false: an error was said. */
static bool
read_mask(struct load *ld, struct conf_node *n, const char *const *names, unsigned *mask)
{
	bool fine = true;

	*mask = 0;
	if (n->kind == CONF_LIST && n->count == 0) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
		return false;
	}
	for (struct conf_node *c = n->kind == CONF_LIST ? n->first : n; c;
	     c = n->kind == CONF_LIST ? c->next : NULL) {
		int i;

		if (conf_enum(ld->d, c, names, &i))
			*mask |= 1u << i;
		else
			fine = false;
	}
	return fine;
}

/* Nothing supplies the fact here: the rule is silent, and its author should know. */
static void
missing(struct load *ld, const struct conf_node *n, unsigned fact)
{
	if ((ld->env->facts_missing & fact) && ld->pack.n == 0)
		diag_key(ld->d, DIAG_WARNING, n, NULL,
		    "nothing supplies `" SPAN_FMT "` in this version: the condition never holds",
		    SPAN_ARG(n->key));
}

static void
cond_auth(struct load *ld, struct conf_node *n, struct conds *c, enum auth_fact fact,
    const char *what)
{
	struct atom atom = { .kind = ATOM_AUTH, .key = span_str(what) };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate);
	unsigned mask;
	struct buf key;

	if (!list || !read_mask(ld, list, auth_names, &mask))
		return;
	missing(ld, n, fact == AUTH_FACT_ARC ? FACT_ARC : FACT_SPF << fact);
	atom.auth.fact = fact;
	atom.auth.results = mask << AUTH_NONE;
	key_begin(&key, what);
	buf_printf(&key, "%x", mask);
	conds_push(ld, c, atom_intern(ld, &atom, &key));
}

void
cond_spf(struct load *ld, struct conf_node *n, void *obj)
{
	cond_auth(ld, n, obj, AUTH_FACT_SPF, "spf");
}

void
cond_dkim(struct load *ld, struct conf_node *n, void *obj)
{
	cond_auth(ld, n, obj, AUTH_FACT_DKIM, "dkim");
}

void
cond_dmarc(struct load *ld, struct conf_node *n, void *obj)
{
	cond_auth(ld, n, obj, AUTH_FACT_DMARC, "dmarc");
}

void
cond_arc(struct load *ld, struct conf_node *n, void *obj)
{
	cond_auth(ld, n, obj, AUTH_FACT_ARC, "arc");
}

/* What the domain asks for, which is not whether it fails: p=none fails too. */
void
cond_dmarc_policy(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_AUTH, .key = SPAN_LIT("dmarc_policy") };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate);
	struct buf key;

	if (!list || !read_mask(ld, list, dmarc_asks_names, &atom.auth.results))
		return;
	missing(ld, n, FACT_DMARC);
	atom.auth.fact = AUTH_FACT_ASKS;
	key_begin(&key, "dmarc_policy");
	buf_printf(&key, "%x", atom.auth.results);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

static const char *const bounce_names[] = { "valid", "expired", "forged", "untagged", "grace", NULL };

void
cond_bounce(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_AUTH, .key = SPAN_LIT("bounce") };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate);
	unsigned mask;
	struct buf key;

	if (!list || !read_mask(ld, list, bounce_names, &mask))
		return;
	missing(ld, n, FACT_BOUNCE);
	atom.auth.fact = AUTH_FACT_BOUNCE;
	atom.auth.results = mask << BOUNCE_VALID;
	key_begin(&key, "bounce");
	buf_printf(&key, "%x", mask);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

/* A name that no list has: the rule would never hold. */
static void
blocklist_known(struct load *ld, const struct conf_node *at)
{
	const struct policy_env *env = ld->env;
	const char **names = arena_array(ld->d->arena, env->nblocklists + 1, sizeof(*names));
	const char *near;

	for (size_t i = 0; i < env->nblocklists; i++) {
		if (span_eq_nocase(env->blocklists[i], at->text))
			return;
		names[i] = arena_str(ld->d->arena, env->blocklists[i]);
	}
	near = conf_nearest(at->text, names);
	if (env->nblocklists)
		diag_at(ld->d, DIAG_WARNING, at, near ? arena_printf(ld->d->arena, "did you mean `%s`?", near) :
		    NULL, "no blocklist `" SPAN_FMT "` is asked", SPAN_ARG(at->text));
}

/* true: any list; else names of lists. */
void
cond_dnsbl(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_DNSBL, .key = SPAN_LIT("dnsbl") };
	struct conf_node *list;
	struct buf key;
	bool b;

	missing(ld, n, FACT_DNSBL);
	if (n->kind == CONF_SCALAR && !n->quoted && (span_is(n->text, "true") ||
	    span_is(n->text, "false"))) {
		conf_bool(ld->d, n, &b);
		atom.negate = !b;
	} else {
		list = unwrap_not(ld, n, &atom.negate);
		if (!list || !read_texts(ld, list, "the name of a list", &atom.names))
			return;
		if (atom.names.n == 0) {
			diag_at(ld->d, DIAG_ERROR, list, NULL, "an empty list: this would never hold");
			return;
		}
		if (list->kind == CONF_SCALAR)
			blocklist_known(ld, list);
		else
			CONF_EACH (item, list)
				blocklist_known(ld, item);
	}
	key_begin(&key, "dnsbl");
	key_texts(&key, &atom.names);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

struct cond
spam_cond(struct load *ld, unsigned classes, bool negate)
{
	struct atom atom = { .kind = ATOM_SPAM, .key = SPAN_LIT("spam"), .negate = negate,
		.spam = { .classes = classes } };
	struct buf key;

	key_begin(&key, "spam");
	buf_printf(&key, "%x", classes);
	return atom_intern(ld, &atom, &key);
}

/* "spam", "symbol BULK" */
static bool
spam_item(struct load *ld, struct conf_node *n, struct atom *a, struct span *symbols)
{
	static const struct span head = { "symbol ", 7 };
	struct span s;
	int i;

	if (n->kind == CONF_SCALAR && span_starts(n->text, head)) {
		s = span_trim(span_from(n->text, head.n));
		symbols[a->spam.symbols.n++] = arena_span(ld->a, s);
		return s.n > 0;
	}
	if (!conf_enum(ld->d, n, spam_names, &i))
		return false;
	a->spam.classes |= 1u << spam_values[i];
	return true;
}

void
cond_spam(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_SPAM, .key = SPAN_LIT("spam") };
	struct conf_node *list;
	struct span *symbols;
	struct buf key;

	if (n->kind == CONF_MAP && n->count && !conf_get(n, "not")) {
		diag_at(ld->d, DIAG_ERROR, n, "as in spam: [spam, suspected]; the scores stand in the section `spam:`",
		    "a score gives only a class, never an outcome");
		return;
	}
	if ((list = unwrap_not(ld, n, &atom.negate)) == NULL)
		return;
	if (list->kind == CONF_LIST && list->count == 0) {
		diag_at(ld->d, DIAG_ERROR, list, NULL, "an empty list: this would never hold");
		return;
	}
	symbols = arena_array(ld->a, list->kind == CONF_LIST ? list->count : 1, sizeof(*symbols));
	atom.spam.symbols.v = symbols;
	for (struct conf_node *c = list->kind == CONF_LIST ? list->first : list; c;
	     c = list->kind == CONF_LIST ? c->next : NULL)
		if (!spam_item(ld, c, &atom, symbols))
			return;
	ld->asks_spam = n;
	key_begin(&key, "spam");
	buf_printf(&key, "%x", atom.spam.classes);
	if (atom.spam.symbols.n)
		key_texts(&key, &atom.spam.symbols);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

/* A number of 0 to 100 that others found. */
static void
cond_hundred(struct load *ld, struct conf_node *n, struct conds *c, struct atom atom, unsigned fact,
    const char *range)
{
	const char *name = arena_str(ld->a, atom.key);
	struct range *r = &atom.reputation;
	struct buf key;

	if (!read_range(ld, n, false, r))
		return;
	if (r->over > 100 || r->under > 101) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "%s", range);
		return;
	}
	missing(ld, n, fact);
	key_begin(&key, name);
	buf_printf(&key, "%d:%u,%d:%u", r->has_over, (unsigned)r->over, r->has_under,
	    (unsigned)r->under);
	conds_push(ld, c, atom_intern(ld, &atom, &key));
}

void
cond_reputation(struct load *ld, struct conf_node *n, void *obj)
{
	cond_hundred(ld, n, obj, (struct atom){ .kind = ATOM_REPUTATION, .key = SPAN_LIT("reputation") },
	    FACT_REPUTATION, "a reputation is 0, the worst, to 100, the best");
}

void
cond_bayes(struct load *ld, struct conf_node *n, void *obj)
{
	cond_hundred(ld, n, obj, (struct atom){ .kind = ATOM_BAYES, .key = SPAN_LIT("bayes") },
	    FACT_BAYES, "the classifier says 0, ham, to 100, spam");
}

void
cond_experience(struct load *ld, struct conf_node *n, void *obj)
{
	cond_hundred(ld, n, obj, (struct atom){ .kind = ATOM_EXPERIENCE, .key = SPAN_LIT("experience") },
	    FACT_EXPERIENCE, "our own experience is 0, the worst, to 100, the best");
}

/* --- facts for tests ------------------------------------------------------------------------- */

/* "7.5", "-2", three decimals at most */
bool
parse_score(struct span s, double *v)
{
	bool minus = s.n && s.p[0] == '-';
	size_t dot;
	uint64_t whole, part = 0, scale = 1;

	s = span_from(s, minus);
	dot = span_find(s, '.');
	if (!parse_uint(span_sub(s, 0, dot), 1000000, &whole))
		return false;
	if (dot < s.n) {
		struct span tail = span_from(s, dot + 1);

		if (tail.n > 3 || !parse_uint(tail, 999, &part))
			return false;
		for (size_t i = 0; i < tail.n; i++)
			scale *= 10;
	}
	*v = (double)whole + (double)part / (double)scale;
	if (minus)
		*v = -*v;
	return true;
}

static void
fact_auth(struct load *ld, struct conf_node *n, enum auth_result *to)
{
	int i;

	if (conf_enum(ld->d, n, auth_names, &i))
		*to = (enum auth_result)(i + AUTH_NONE);
}

void
fact_spf(struct load *ld, struct conf_node *n, void *obj)
{
	fact_auth(ld, n, &((struct facts *)obj)->spf);
}

void
fact_dkim(struct load *ld, struct conf_node *n, void *obj)
{
	fact_auth(ld, n, &((struct facts *)obj)->dkim);
}

void
fact_dmarc(struct load *ld, struct conf_node *n, void *obj)
{
	fact_auth(ld, n, &((struct facts *)obj)->dmarc);
}

void
fact_arc(struct load *ld, struct conf_node *n, void *obj)
{
	fact_auth(ld, n, &((struct facts *)obj)->arc);
}

void
fact_dmarc_policy(struct load *ld, struct conf_node *n, void *obj)
{
	int i;

	if (conf_enum(ld->d, n, dmarc_asks_names, &i))
		((struct facts *)obj)->dmarc_asks = (enum dmarc_asks)i;
}

void
fact_bounce(struct load *ld, struct conf_node *n, void *obj)
{
	int i;

	if (conf_enum(ld->d, n, bounce_names, &i))
		((struct facts *)obj)->bounce = (enum bounce_fact)(i + BOUNCE_VALID);
}

void
fact_dnsbl(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	struct spans names = { 0 };

	if (!read_texts(ld, n, "the name of a list", &names))
		return;
	f->dnsbl_known = true;
	f->dnsbl = names.v;
	f->ndnsbl = names.n;
}

void
fact_reputation(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	uint64_t v;

	if (!conf_uint(ld->d, n, 0, 100, &v))
		return;
	f->reputation_known = true;
	f->reputation = (uint8_t)v;
}

void
fact_bayes(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	uint64_t v;

	if (!conf_uint(ld->d, n, 0, 100, &v))
		return;
	f->bayes_known = true;
	f->bayes = (uint8_t)v;
}

void
fact_experience(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	uint64_t v;

	if (!conf_uint(ld->d, n, 0, 100, &v))
		return;
	f->experience_known = true;
	f->experience = (uint8_t)v;
}

void
fact_score(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	struct span s;

	if (conf_text(ld->d, n, "a score", &s) && !parse_score(s, &f->spam_score))
		diag_at(ld->d, DIAG_ERROR, n, "as in 7.5", "`" SPAN_FMT "` is no score", SPAN_ARG(s));
}

void
fact_symbols(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	struct spans names = { 0 };

	if (read_texts(ld, n, "a symbol", &names)) {
		f->spam_symbols = names.v;
		f->nspam_symbols = names.n;
	}
}

void
fact_class(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;
	int i;

	if (conf_enum(ld->d, n, spam_names, &i))
		f->spam_class = span_str(spam_names[i]);
}

/* A class alone, or {score, symbols, class}. */
void
fact_spam(struct load *ld, struct conf_node *n, void *obj)
{
	struct facts *f = obj;

	f->spam_known = true;
	if (n->kind == CONF_SCALAR)
		fact_class(ld, n, obj);
	else
		keys_read(ld, n, SECTION_FACT_SPAM, obj);
}

void
test_facts(struct load *ld, struct conf_node *n, void *obj)
{
	struct test_src *t = obj;

	keys_read(ld, n, SECTION_FACTS, &t->facts);
}

bool
policy_facts_read(const char *name, struct span yaml, struct diags *d, struct facts *f)
{
	struct load ld = { .d = d, .a = d->arena, .tmp = d->arena };
	size_t errors = d->errors;
	struct conf_node *root = conf_parse(name, yaml, d);

	if (root)
		keys_read(&ld, root, SECTION_FACTS, f);
	return d->errors == errors;
}
