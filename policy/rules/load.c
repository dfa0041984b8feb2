/* load.c -- from sources to one policy.
 *
 * All files are read before anything is judged, so that a rule of one file may
 * use a group of another, in any order. Then: networks and groups, detectors
 * (compiled, samples tried), rules and exceptions. Every error is kept with
 * its place and all of them are shown; with one error there is no policy.
 *
 * The trees live in the arena of the diagnostics; the policy copies what it
 * keeps. Called by the daemon's parent at start and reload, by `postern check`,
 * the tests and the fuzzer; it opens nothing itself.
 */
#include <stdlib.h>

#include "load.h"

#define DAY_US (INT64_C(86400) * 1000000)

/* --- shared readers ------------------------------------------------------------------ */

const char *
nearest_hint(struct load *ld, const char *nearest)
{
	return nearest ? arena_printf(ld->d->arena, "did you mean `%s`?", nearest) : NULL;
}

void
push_u32(struct arena *a, uint32_t **v, size_t *n, size_t *cap, uint32_t x)
{
	if (*n == *cap) {
		size_t more = *cap ? *cap * 2 : 4;

		*v = arena_grow(a, *v, *cap * sizeof(**v), more * sizeof(**v));
		*cap = more;
	}
	(*v)[(*n)++] = x;
}

bool
read_texts(struct load *ld, struct conf_node *n, const char *what, struct spans *out)
{
	struct span *v;
	size_t i = 0;
	bool fine = true;

	if (n->kind == CONF_SCALAR) {
		v = arena_array(ld->a, 1, sizeof(*v));
		if (!conf_text(ld->d, n, what, &v[0]))
			return false;
		v[0] = arena_span(ld->a, v[0]);
		*out = (struct spans){ v, 1 };
		return true;
	}
	if (!conf_want(ld->d, n, CONF_LIST, what))
		return false;
	v = arena_array(ld->a, n->count ? n->count : 1, sizeof(*v));
	CONF_EACH (c, n) {
		if (!conf_text(ld->d, c, what, &v[i])) {
			fine = false;
			continue;
		}
		v[i] = arena_span(ld->a, v[i]);
		i++;
	}
	*out = (struct spans){ v, i };
	return fine;
}

static bool
digits(struct span s, unsigned *v)
{
	*v = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*v = *v * 10 + (unsigned)(s.p[i] - '0');
	}
	return s.n > 0;
}

/* 2027-03-01, and only days that exist. */
bool
parse_date(struct span s, int64_t *us)
{
	static const unsigned char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned y, m, d, last;
	int64_t yy, era, doe;

	if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !digits(span_sub(s, 0, 4), &y) ||
	    !digits(span_sub(s, 5, 2), &m) || !digits(span_sub(s, 8, 2), &d))
		return false;
	if (y < 1970 || m < 1 || m > 12)
		return false;
	last = lengths[m - 1] + (m == 2 && y % 4 == 0 && (y % 100 != 0 || y % 400 == 0));
	if (d < 1 || d > last)
		return false;
	yy = (int64_t)y - (m <= 2);
	era = yy / 400;
	doe = yy - era * 400;
	doe = doe * 365 + doe / 4 - doe / 100 + (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	*us = (era * 146097 + doe - 719468) * DAY_US;
	return true;
}

bool
read_date(struct load *ld, struct conf_node *n, int64_t *us)
{
	struct span s;

	if (!conf_text(ld->d, n, "a date", &s))
		return false;
	if (parse_date(s, us))
		return true;
	diag_at(ld->d, DIAG_ERROR, n, "as in 2027-03-01", "`" SPAN_FMT "` is not a date",
	    SPAN_ARG(s));
	return false;
}

static bool
id_fine(struct span s)
{
	if (s.n == 0 || s.n > 64)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!word && (i == 0 || (c != '-' && c != '_' && c != '.')))
			return false;
	}
	return true;
}

bool
read_id(struct load *ld, struct conf_node *n, struct span *out)
{
	struct span s;

	if (!conf_text(ld->d, n, "an id", &s))
		return false;
	if (!id_fine(s)) {
		diag_at(ld->d, DIAG_ERROR, n, "letters, digits, `-`, `_` and `.`, at most 64",
		    "`" SPAN_FMT "` cannot be an id", SPAN_ARG(s));
		return false;
	}
	*out = arena_span(ld->a, s);
	return true;
}

bool
read_template(struct load *ld, struct conf_node *n, struct span *out)
{
	static const char *const variables[] = { "$ref", "$rule", "$sender", "$filenames",
		"$findings", NULL };
	struct span s, bad;

	if (!conf_text(ld->d, n, "a text", &s))
		return false;
	if (!expand_check(s, &bad)) {
		const char *near = conf_nearest(bad, variables);

		diag_at(ld->d, DIAG_ERROR, n, near ? nearest_hint(ld, near) :
		    "there are $ref, $rule, $sender, $filenames, $findings; $$ is a dollar sign",
		    "unknown variable `" SPAN_FMT "`", SPAN_ARG(bad));
		return false;
	}
	*out = arena_span(ld->a, s);
	return true;
}

bool
read_range(struct load *ld, struct conf_node *n, bool sizes, struct range *out)
{
	struct range_src src = { 0 };
	struct range r = { 0 };
	size_t errors = ld->d->errors;

	if (n->kind != CONF_MAP) {
		diag_at(ld->d, DIAG_ERROR, n, sizes ? "as in {over: 20MB}" : "as in {over: 50}",
		    "expected {over: ...} or {under: ...}");
		return false;
	}
	keys_read(ld, n, SECTION_RANGE, &src);
	if (src.over)
		r.has_over = sizes ? conf_size(ld->d, src.over, &r.over) :
		    conf_uint(ld->d, src.over, 0, UINT32_MAX, &r.over);
	if (src.under)
		r.has_under = sizes ? conf_size(ld->d, src.under, &r.under) :
		    conf_uint(ld->d, src.under, 0, UINT32_MAX, &r.under);
	if (ld->d->errors > errors)
		return false;
	if (!r.has_over && !r.has_under) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "expected {over: ...} or {under: ...}");
		return false;
	}
	if (r.has_over && r.has_under && (r.under == 0 || r.over >= r.under - 1)) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "nothing is over %llu and under %llu",
		    (unsigned long long)r.over, (unsigned long long)r.under);
		return false;
	}
	*out = r;
	return true;
}

/* --- ids ------------------------------------------------------------------------------ */

void
pendings_init(struct pendings *l)
{
	*l = (struct pendings){ .by_id = table_new() };
	l->tail = &l->first;
}

void
pendings_free(struct pendings *l)
{
	table_free(&l->by_id);
}

struct pending *
pendings_add(struct load *ld, struct pendings *l, const char *what, struct span id,
    const struct conf_node *node, void *value)
{
	struct pending *had = table_get(l->by_id, id), *p;

	if (had) {
		const struct conf_node *at = had->node;

		diag_at(ld->d, DIAG_ERROR, node, NULL, "%s `" SPAN_FMT "` stands twice (first at %s:%u)",
		    what, SPAN_ARG(id), at && at->file ? at->file->name : "postern.yaml",
		    at ? at->line : 0);
		return NULL;
	}
	p = arena_zalloc(ld->tmp, sizeof(*p));
	*p = (struct pending){ .id = id, .node = node, .value = value };
	*l->tail = p;
	l->tail = &p->next;
	l->n++;
	table_put(l->by_id, id, p);
	return p;
}

void *
pendings_get(const struct pendings *l, struct span id)
{
	struct pending *p = table_get(l->by_id, id);

	return p ? p->value : NULL;
}

const char *
pendings_nearest(struct load *ld, const struct pendings *l, struct span word)
{
	const char **names = arena_array(ld->tmp, l->n + 1, sizeof(*names));
	size_t n = 0;

	for (const struct pending *p = l->first; p; p = p->next)
		names[n++] = arena_str(ld->d->arena, p->id);
	return conf_nearest(word, names);
}

/* --- files the policy refers to --------------------------------------------------------- */

void
load_hash(struct load *ld, struct span s)
{
	uint8_t key[16] = "postern policy";

	for (int i = 0; i < 8; i++)
		key[8 + i] = (uint8_t)(ld->hash >> (8 * i));
	ld->hash = siphash(key, s.n ? s.p : "", s.n);
}

static void
file_note(struct policy *p, struct span path)
{
	if (p->nfiles == p->capfiles) {
		size_t cap = p->capfiles ? p->capfiles * 2 : 8;

		p->files = arena_grow(p->arena, p->files, p->nfiles * sizeof(*p->files),
		    cap * sizeof(*p->files));
		p->capfiles = cap;
	}
	p->files[p->nfiles++] = arena_span(p->arena, path);
}

bool
load_file(struct load *ld, const struct conf_node *at, struct span path, struct span *text)
{
	return load_file_or(ld, at, path, NULL, text);
}

bool
load_file_or(struct load *ld, const struct conf_node *at, struct span path, const char *hint,
    struct span *text)
{
	struct span *had = table_get(ld->files, path), *keep;
	struct err err = { 0 };

	if (had) {
		*text = *had;
		ld->file_hash = hash_numbers(ld->file_hash, hash_spans(text, 1));
		return true;
	}
	if (!ld->env->read_file) {
		diag_at(ld->d, DIAG_ERROR, at, NULL, "`" SPAN_FMT "` cannot be read here",
		    SPAN_ARG(path));
		return false;
	}
	if (ld->env->read_file(ld->env->ctx, path, text, &err) == -1) {
		diag_at(ld->d, DIAG_ERROR, at, hint, "%s", err.text[0] ? err.text : "cannot read it");
		return false;
	}
	keep = arena_alloc(ld->tmp, sizeof(*keep));
	*keep = *text;
	table_put(ld->files, arena_span(ld->tmp, path), keep);
	file_note(ld->p, path);
	load_hash(ld, path);
	load_hash(ld, *text);
	ld->file_hash = hash_numbers(ld->file_hash, hash_spans(text, 1));
	return true;
}

/* --- the top of a file -------------------------------------------------------------------- */

void
version_read(struct load *ld, struct conf_node *n, void *obj)
{
	struct span s;

	if (conf_text(ld->d, n, "version", &s) && !span_is(s, "1"))
		diag_at(ld->d, DIAG_ERROR, n, "this is version 1", "unknown version `" SPAN_FMT "`",
		    SPAN_ARG(s));
}

void
use_read(struct load *ld, struct conf_node *n, void *obj)
{
	/* read_packs() has done it */
}

void
default_scan_error(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = { "defer", "reject", "hold", "quarantine", NULL };
	int i;

	if (ld->on_scan_error) {
		diag_key(ld->d, DIAG_ERROR, n, NULL, "`on_scan_error` stands in another file already");
		return;
	}
	ld->on_scan_error = n;
	if (conf_enum(ld->d, n, names, &i))
		outcome_from_name(span_str(names[i]), &ld->p->on_scan_error);
}

void
default_unscannable(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = { "hold", "quarantine", "reject", "defer", "deliver", NULL };
	int i;

	if (ld->on_unscannable) {
		diag_key(ld->d, DIAG_ERROR, n, NULL, "`on_unscannable` stands in another file already");
		return;
	}
	ld->on_unscannable = n;
	if (conf_enum(ld->d, n, names, &i))
		outcome_from_name(span_str(names[i]), &ld->p->on_unscannable);
}

void
defaults_read(struct load *ld, struct conf_node *n, void *obj)
{
	keys_read(ld, n, SECTION_DEFAULTS, ld->p);
}

/* Sections in the order in which the next ones need them. */
static void
read_section(struct load *ld, struct conf_node *const *roots, const struct span *packs, size_t n,
    const char *name)
{
	const struct key *k = NULL;

	for (size_t i = 0; i < npolicy_keys && !k; i++)
		if (policy_keys[i].section == SECTION_TOP && strcmp(policy_keys[i].name, name) == 0)
			k = &policy_keys[i];
	ASSERT(k && k->parse);
	for (size_t i = 0; i < n; i++) {
		struct conf_node *at = conf_get(roots[i], name);

		ld->pack = packs[i];
		if (at)
			k->parse(ld, at, NULL);
	}
	ld->pack = (struct span){ 0 };
}

static void
check_top(struct load *ld, const struct conf_node *root)
{
	CONF_EACH (n, root) {
		bool known = false, later = false;

		for (size_t i = 0; i < npolicy_keys; i++)
			if (policy_keys[i].section == SECTION_TOP &&
			    span_is(n->key, policy_keys[i].name)) {
				known = true;
				later = policy_keys[i].later;
			}
		if (!known)
			keys_unknown(ld, n, SECTION_TOP);
		else if (later && !ld->p->limits_only)
			keys_later(ld, n);
	}
}

static int
source_order(const void *a, const void *b)
{
	const struct policy_source *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* Which packs the files use, each once, sorted as pack_names is. */
static void
read_packs(struct load *ld, struct conf_node *const *roots, size_t n)
{
	struct span *v;
	bool used[64] = { false };
	size_t nv = 0;

	for (size_t i = 0; i < n; i++) {
		struct conf_node *use = conf_get(roots[i], "use");
		struct spans names = { 0 };

		if (!use || !read_texts(ld, use, "use", &names))
			continue;
		for (size_t k = 0; k < names.n; k++) {
			struct conf_node *at = use->kind == CONF_LIST ? use->first : use;
			size_t p = 0;

			for (size_t s = 0; s < k; s++)
				at = at->next;
			while (pack_names[p] && !span_is(names.v[k], pack_names[p]))
				p++;
			if (pack_names[p])
				used[p] = true;
			else
				diag_at(ld->d, DIAG_ERROR, at,
				    nearest_hint(ld, conf_nearest(names.v[k], pack_names)),
				    "unknown pack `" SPAN_FMT "`", SPAN_ARG(names.v[k]));
		}
	}
	v = arena_array(ld->a, 64, sizeof(*v));
	for (size_t p = 0; pack_names[p]; p++)
		if (used[p])
			v[nv++] = span_str(pack_names[p]);
	ld->packs = (struct spans){ v, nv };
}

/* Networks and our own domains are part of the policy, though they stand in postern.yaml. */
static void
hash_env(struct load *ld)
{
	for (size_t i = 0; i < ld->env->nnetworks; i++) {
		load_hash(ld, ld->env->networks[i].name);
		for (size_t k = 0; k < ld->env->networks[i].nmembers; k++)
			load_hash(ld, ld->env->networks[i].members[k]);
	}
	for (size_t i = 0; i < ld->env->ndomains; i++)
		load_hash(ld, ld->env->domains[i]);
}

static void
load_all(struct load *ld, const struct policy_source *files, size_t nfiles)
{
	const struct policy_source **order = arena_array(ld->tmp, nfiles + 1, sizeof(*order));
	struct conf_node **roots = arena_array(ld->tmp, nfiles + 64, sizeof(*roots));
	struct span *packs = arena_array(ld->tmp, nfiles + 64, sizeof(*packs));
	size_t n = 0;

	hash_env(ld);
	for (size_t i = 0; i < nfiles; i++)
		order[i] = &files[i];
	if (nfiles)
		qsort(order, nfiles, sizeof(*order), source_order);
	for (size_t i = 0; i < nfiles; i++) {
		load_hash(ld, span_str(order[i]->name));
		load_hash(ld, order[i]->text);
		roots[n] = conf_parse(order[i]->name, order[i]->text, ld->d);
		if (roots[n] && conf_want(ld->d, roots[n], CONF_MAP, "a policy")) {
			check_top(ld, roots[n]);
			n++;
		}
	}
	if (!ld->p->limits_only) {
		size_t own = n;

		read_packs(ld, roots, own);
		for (size_t i = 0; i < ld->packs.n; i++) {
			const char *name = arena_str(ld->a, ld->packs.v[i]);

			roots[n] = conf_parse(name, span_str(pack_text(ld->packs.v[i])), ld->d);
			ASSERT(roots[n] != NULL);
			packs[n++] = ld->packs.v[i];
			load_hash(ld, span_str(name));
			load_hash(ld, span_str(pack_text(ld->packs.v[i])));
		}
	}
	read_section(ld, roots, packs, n, "version");
	read_section(ld, roots, packs, n, "networks");
	read_section(ld, roots, packs, n, "groups");
	lists_builtin(ld);
	lists_resolve(ld);
	if (!ld->p->limits_only) {
		read_section(ld, roots, packs, n, "defaults");
		read_section(ld, roots, packs, n, "schedules");
		read_section(ld, roots, packs, n, "detectors");
		read_section(ld, roots, packs, n, "rules");
		spam_defaults(ld);
		read_section(ld, roots, packs, n, "spam");
		checks_finish(ld);
		read_section(ld, roots, packs, n, "exceptions");
		signs_finish(ld);
		detectors_finish(ld);
		rules_finish(ld);
	} else {
		for (size_t i = 0; i < n; i++) {
			externals_collect(ld, conf_get(roots[i], "rules"));
			externals_collect(ld, conf_get(roots[i], "exceptions"));
		}
	}
	read_section(ld, roots, packs, n, "limits");
}

struct policy *
policy_load(const struct policy_source *files, size_t nfiles, const struct policy_env *env,
    struct diags *d)
{
	struct policy *p = calloc(1, sizeof(*p));
	size_t before = d->errors;
	struct load ld;

	ASSERT(p != NULL);
	p->arena = arena_new(64 << 10);
	p->sets = (struct addrsets){ .arena = p->arena, .patterns = table_new() };
	p->on_scan_error = OUTCOME_DEFER;
	p->on_unscannable = OUTCOME_HOLD;
	p->limits_only = env->limits_only;
	ld = (struct load){ .p = p, .a = p->arena, .tmp = arena_new(64 << 10), .env = env, .d = d,
		.inline_sets = table_new(), .atoms = table_new(), .measures = table_new(),
		.hidden = table_new(), .files = table_new(), .zones = table_new(),
		.indexes = table_new() };
	pendings_init(&ld.groups);
	pendings_init(&ld.networks);
	pendings_init(&ld.schedules);
	pendings_init(&ld.customs);
	pendings_init(&ld.profiles);
	pendings_init(&ld.checks);
	pendings_init(&ld.rules);
	pendings_init(&ld.exceptions);
	pendings_init(&ld.limits);

	load_all(&ld, files, nfiles);
	if (d->errors == before && !p->limits_only)
		policy_lint(&ld);
	snprintf(p->hash, sizeof(p->hash), "%016llx", (unsigned long long)ld.hash);
	if (d->errors == before && !p->limits_only)
		manifest_build(p, ld.packs.v, ld.packs.n);

	pendings_free(&ld.groups);
	pendings_free(&ld.networks);
	pendings_free(&ld.schedules);
	pendings_free(&ld.customs);
	pendings_free(&ld.profiles);
	pendings_free(&ld.checks);
	pendings_free(&ld.rules);
	pendings_free(&ld.exceptions);
	pendings_free(&ld.limits);
	table_free(&ld.inline_sets);
	table_free(&ld.atoms);
	table_free(&ld.measures);
	table_free(&ld.hidden);
	table_free(&ld.files);
	table_free(&ld.zones);
	table_free(&ld.indexes);
	arena_free(&ld.tmp);
	if (d->errors > before)
		policy_free(&p);
	return p;
}

void
policy_free(struct policy **p)
{
	if (!*p)
		return;
	detectors_free(&(*p)->detectors);
	exact_release(*p);
	for (size_t i = 0; i < (*p)->nlookalikes; i++)
		lookalikes_free(&(*p)->lookalikes[i]);
	confusables_close(&(*p)->confusables);
	table_free(&(*p)->sets.patterns);
	arena_free(&(*p)->arena);
	free(*p);
	*p = NULL;
}

const char *
policy_hash(const struct policy *p)
{
	return p->hash;
}

const struct span *
policy_refers_to(const struct policy *p, size_t *n)
{
	*n = p->nfiles;
	return p->files;
}

const struct span *
policy_indexes(const struct policy *p, size_t *n)
{
	*n = p->nindex_files;
	return p->index_files;
}

size_t
policy_rule_count(const struct policy *p)
{
	return p->nrules;
}

bool
policy_rule_place(const struct policy *p, struct span id, const char **file, uint32_t *line)
{
	const struct rule *r = policy_rule(p, id);

	if (r == NULL)
		return false;
	*file = r->file;
	*line = r->line;
	return true;
}

const struct rule *
policy_rule(const struct policy *p, struct span id)
{
	for (size_t i = 0; i < p->nrules; i++)
		if (span_eq(p->rules[i].id, id))
			return &p->rules[i];
	return NULL;
}
