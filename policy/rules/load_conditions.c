/* load_conditions.c -- from `when:` and `unless:` to conditions over atoms.
 *
 * Equal conditions of different rules become one atom: each is keyed by a
 * canonical spelling. What is asked of detectors goes through measures (how
 * often did it match, this sure, in these places), so `min: 3` and `min: 10`
 * of the same detector count once.
 */
#include <stdlib.h>

#include "load.h"

/* --- collecting -------------------------------------------------------------------------- */

void
conds_push(struct load *ld, struct conds *c, struct cond one)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 4;

		c->v = arena_grow(ld->a, c->v, c->cap * sizeof(*c->v), cap * sizeof(*c->v));
		c->cap = cap;
	}
	c->v[c->n++] = one;
}

static unsigned char
atom_cost(enum atom_kind k)
{
	switch (k) {
	case ATOM_CLIENT:
		return 2;
	case ATOM_FILE:
		return 3;
	case ATOM_URL:
		return 5;
	case ATOM_SIGN:
		return 6;
	case ATOM_TEXT:
	case ATOM_FINDS:
		return 4;
	case ATOM_SCHEDULE:
		return 2;
	case ATOM_HEADER:
		return 9;
	default:
		return 1;
	}
}

/* The atom of that spelling, made when it is new. */
struct cond
atom_intern(struct load *ld, const struct atom *atom, struct buf *key)
{
	struct policy *p = ld->p;
	uint32_t *had;

	buf_printf(key, "|%d%d", atom->kind, atom->negate);
	had = table_get(ld->atoms, buf_data(key));
	if (!had) {
		if (p->natoms == ld->cap_atoms) {
			size_t cap = ld->cap_atoms ? ld->cap_atoms * 2 : 64;

			p->atoms = arena_grow(ld->a, p->atoms, p->natoms * sizeof(*p->atoms),
			    cap * sizeof(*p->atoms));
			ld->cap_atoms = cap;
		}
		p->atoms[p->natoms] = *atom;
		had = arena_alloc(ld->tmp, sizeof(*had));
		*had = (uint32_t)p->natoms++;
		table_put(ld->atoms, arena_span(ld->tmp, buf_data(key)), had);
	}
	buf_release(key);
	return (struct cond){ .op = COND_ATOM, .cost = atom_cost(atom->kind), .atom = *had };
}

void
key_begin(struct buf *b, const char *what)
{
	buf_init(b, 64 << 20);
	buf_puts(b, what);
}

void
key_texts(struct buf *b, const struct spans *s)
{
	buf_printf(b, "|%zu", s->n);
	for (size_t i = 0; i < s->n; i++) {
		buf_printf(b, "|%zu:", s->v[i].n);
		buf_span(b, s->v[i]);
	}
}

static uint32_t
measure_intern(struct load *ld, int detector, enum confidence floor, unsigned where)
{
	struct policy *p = ld->p;
	char key[64];
	uint32_t *had;

	snprintf(key, sizeof(key), "%d|%d|%u", detector, floor, where);
	had = table_get(ld->measures, span_str(key));
	if (!had) {
		if (p->nmeasures == ld->cap_measures) {
			size_t cap = ld->cap_measures ? ld->cap_measures * 2 : 64;

			p->measures = arena_grow(ld->a, p->measures,
			    p->nmeasures * sizeof(*p->measures), cap * sizeof(*p->measures));
			ld->cap_measures = cap;
		}
		p->measures[p->nmeasures] = (struct measure){ (uint32_t)detector, floor, where };
		had = arena_alloc(ld->tmp, sizeof(*had));
		*had = (uint32_t)p->nmeasures++;
		table_put(ld->measures, arena_span(ld->tmp, span_str(key)), had);
	}
	return *had;
}

static int
cond_order(const void *a, const void *b)
{
	const struct cond *x = a, *y = b;

	if (x->cost != y->cost)
		return x->cost - y->cost;
	return (x->atom > y->atom) - (x->atom < y->atom);
}

void
conds_sort(struct conds *c)
{
	if (c->n)
		qsort(c->v, c->n, sizeof(*c->v), cond_order);
}

void
when_read(struct load *ld, struct conf_node *n, const struct cond **v, size_t *nv)
{
	struct conds c = { 0 };

	if (!keys_read(ld, n, SECTION_WHEN, &c))
		return;
	conds_sort(&c);
	*v = c.v;
	*nv = c.n;
}

struct conf_node *
unwrap_not(struct load *ld, struct conf_node *n, bool *negate)
{
	*negate = false;
	if (n->kind != CONF_MAP)
		return n;
	if (n->count == 1 && span_is(n->first->key, "not")) {
		*negate = true;
		return n->first;
	}
	diag_at(ld->d, DIAG_ERROR, n, NULL, "expected a list, or {not: [...]}");
	return NULL;
}

/* --- facts of the session ---------------------------------------------------------------- */

static void
cond_address(struct load *ld, struct conf_node *n, struct conds *c, enum who who, const char *what)
{
	struct atom atom = { .kind = ATOM_ADDRESS, .key = span_str(what) };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate);
	struct buf key;

	atom.address.who = who;
	if (!list || !read_addresses(ld, list, &atom.address.sets, &atom.address.n))
		return;
	key_begin(&key, what);
	for (size_t i = 0; i < atom.address.n; i++)
		buf_printf(&key, ",%u", atom.address.sets[i]);
	conds_push(ld, c, atom_intern(ld, &atom, &key));
}

void
cond_from(struct load *ld, struct conf_node *n, void *obj)
{
	cond_address(ld, n, obj, WHO_FROM, "from");
}

void
cond_header_from(struct load *ld, struct conf_node *n, void *obj)
{
	cond_address(ld, n, obj, WHO_HEADER_FROM, "header_from");
}

void
cond_to(struct load *ld, struct conf_node *n, void *obj)
{
	cond_address(ld, n, obj, WHO_TO, "to");
}

void
cond_to_all(struct load *ld, struct conf_node *n, void *obj)
{
	cond_address(ld, n, obj, WHO_TO_ALL, "to_all");
}

void
cond_client(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_CLIENT, .key = SPAN_LIT("client") };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate);
	struct buf key;

	if (!list || !read_cidrs(ld, list, &atom.client.v, &atom.client.n))
		return;
	if (atom.client.n == 0) {
		diag_at(ld->d, DIAG_ERROR, list, NULL, "an empty list: this would never hold");
		return;
	}
	key_begin(&key, "client");
	for (size_t i = 0; i < atom.client.n; i++) {
		buf_printf(&key, ",%u/%u:", atom.client.v[i].ip.family, atom.client.v[i].bits);
		buf_put(&key, atom.client.v[i].ip.b, 16);
	}
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

void
cond_bool(struct load *ld, struct conf_node *n, struct conds *c, enum atom_kind kind,
    const char *what)
{
	struct atom atom = { .kind = kind, .key = span_str(what) };
	struct buf key;

	if (!conf_bool(ld->d, n, &atom.want))
		return;
	key_begin(&key, what);
	buf_putc(&key, atom.want ? '+' : '-');
	conds_push(ld, c, atom_intern(ld, &atom, &key));
}

static void
cond_names(struct load *ld, struct conf_node *n, struct conds *c, enum atom_kind kind,
    const char *what)
{
	struct atom atom = { .kind = kind, .key = span_str(what) };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate);
	struct buf key;

	if (!list || !read_texts(ld, list, what, &atom.names))
		return;
	if (atom.names.n == 0) {
		diag_at(ld->d, DIAG_ERROR, list, NULL, "an empty list: this would never hold");
		return;
	}
	key_begin(&key, what);
	key_texts(&key, &atom.names);
	conds_push(ld, c, atom_intern(ld, &atom, &key));
}

void
cond_authenticated(struct load *ld, struct conf_node *n, void *obj)
{
	bool b;

	if (n->kind == CONF_SCALAR && !n->quoted && (span_is(n->text, "true") ||
	    span_is(n->text, "false") || span_is(n->text, "yes") || span_is(n->text, "no") ||
	    span_is(n->text, "on") || span_is(n->text, "off"))) {
		struct atom atom = { .kind = ATOM_USER, .key = SPAN_LIT("authenticated") };
		struct buf key;

		conf_bool(ld->d, n, &b);
		atom.negate = !b;	/* no names: anybody */
		key_begin(&key, "authenticated");
		conds_push(ld, obj, atom_intern(ld, &atom, &key));
		return;
	}
	cond_names(ld, n, obj, ATOM_USER, "authenticated");
}

void
cond_tls(struct load *ld, struct conf_node *n, void *obj)
{
	cond_bool(ld, n, obj, ATOM_TLS, "tls");
}

/* A name no listener has: the rule would never hold, or always. */
static void
listener_known(struct load *ld, const struct conf_node *at)
{
	const struct policy_env *env = ld->env;
	const char **names = arena_array(ld->d->arena, env->nlisteners + 1, sizeof(*names));

	for (size_t i = 0; i < env->nlisteners; i++) {
		if (span_eq_nocase(env->listeners[i], at->text))
			return;
		names[i] = arena_str(ld->d->arena, env->listeners[i]);
	}
	if (env->nlisteners)
		diag_at(ld->d, DIAG_WARNING, at, nearest_hint(ld, conf_nearest(at->text, names)),
		    "there is no listener `" SPAN_FMT "`", SPAN_ARG(at->text));
}

void
cond_listener(struct load *ld, struct conf_node *n, void *obj)
{
	struct conf_node *list = n->kind == CONF_MAP ? conf_get(n, "not") : n;

	if (list && list->kind == CONF_SCALAR)
		listener_known(ld, list);
	else
		CONF_EACH (c, list)
			if (c->kind == CONF_SCALAR)
				listener_known(ld, c);
	cond_names(ld, n, obj, ATOM_LISTENER, "listener");
}

void
cond_direction(struct load *ld, struct conf_node *n, void *obj)
{
	struct atom atom = { .kind = ATOM_DIRECTION, .key = SPAN_LIT("direction") };
	struct buf key;
	int i;

	if (!conf_enum(ld->d, n, direction_names, &i) || i == 0)
		return;
	atom.direction = (enum direction)i;
	key_begin(&key, "direction");
	buf_printf(&key, "%d", i);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

/* --- facts of the message ------------------------------------------------------------------ */

static void
cond_quantity(struct load *ld, struct conf_node *n, struct conds *c, enum quantity what,
    const char *name)
{
	struct atom atom = { .kind = ATOM_RANGE, .key = span_str(name) };
	struct range *r = &atom.quantity.range;
	struct buf key;

	atom.quantity.what = what;
	if (!read_range(ld, n, what == QUANTITY_SIZE, r))
		return;
	key_begin(&key, name);
	buf_printf(&key, ",%d:%llu,%d:%llu", r->has_over, (unsigned long long)r->over,
	    r->has_under, (unsigned long long)r->under);
	conds_push(ld, c, atom_intern(ld, &atom, &key));
}

void
cond_recipients(struct load *ld, struct conf_node *n, void *obj)
{
	cond_quantity(ld, n, obj, QUANTITY_RECIPIENTS, "recipients");
}

void
cond_size(struct load *ld, struct conf_node *n, void *obj)
{
	cond_quantity(ld, n, obj, QUANTITY_SIZE, "size");
}

void
cond_attachments(struct load *ld, struct conf_node *n, void *obj)
{
	cond_quantity(ld, n, obj, QUANTITY_ATTACHMENTS, "attachments");
}

void
cond_unscannable(struct load *ld, struct conf_node *n, void *obj)
{
	if (ld->rule)
		ld->rule->asks_unscannable = true;
	cond_bool(ld, n, obj, ATOM_UNSCANNABLE, "unscannable");
}

void
cond_encrypted(struct load *ld, struct conf_node *n, void *obj)
{
	cond_bool(ld, n, obj, ATOM_ENCRYPTED, "encrypted");
}

void
cond_defect(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = {
#define X(name, bit, text, help) text,
		DEFECTS(X)
#undef X
		NULL
	};
	struct atom atom = { .kind = ATOM_DEFECT, .key = SPAN_LIT("defect") };
	struct conf_node *list = unwrap_not(ld, n, &atom.negate), *at;
	struct spans texts = { 0 };
	bool fine = true;
	struct buf key;

	if (!list || !read_texts(ld, list, "defect", &texts))
		return;
	at = list->kind == CONF_LIST ? list->first : list;
	for (size_t i = 0; i < texts.n; i++, at = at->next) {
		uint32_t bit = 0;

		if (!defect_from_name(texts.v[i], &bit)) {
			diag_at(ld->d, DIAG_ERROR, at, nearest_hint(ld, conf_nearest(texts.v[i], names)),
			    "unknown defect `" SPAN_FMT "`", SPAN_ARG(texts.v[i]));
			fine = false;
		}
		atom.defects |= bit;
	}
	if (!fine)
		return;
	if (!atom.defects) {
		diag_at(ld->d, DIAG_ERROR, list, NULL, "an empty list: this would never hold");
		return;
	}
	key_begin(&key, "defect");
	buf_printf(&key, "%x", atom.defects);
	conds_push(ld, obj, atom_intern(ld, &atom, &key));
}

/* --- texts -------------------------------------------------------------------------------------- */

void
text_present(struct load *ld, struct conf_node *n, void *obj)
{
	struct text_src *t = obj;
	bool b;

	if (conf_bool(ld->d, n, &b))
		t->present = b;
}

/* {words: ...} or {pattern: ...}: the detector, or -1. A bare text or list is not guessed at. */
static int
text_detector(struct load *ld, struct conf_node *n, enum section s, struct text_src *t)
{
	size_t errors = ld->d->errors;

	*t = (struct text_src){ .present = -1 };
	if (n->kind != CONF_MAP) {
		diag_at(ld->d, DIAG_ERROR, n, "as in {words: [...]}",
		    "expected {words: [...]} or {pattern: '...'}");
		return -1;
	}
	keys_read(ld, n, s, t);
	if (ld->d->errors > errors)
		return -1;
	if (t->present >= 0 && !t->words && !t->pattern)
		return -1;
	if (!t->words == !t->pattern || t->present >= 0) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "expected one of `words` and `pattern`");
		return -1;
	}
	return detector_hidden(ld, t->words, t->pattern);
}

static void
cond_words(struct load *ld, struct conf_node *n, struct conds *c, unsigned where, const char *what)
{
	struct atom atom = { .kind = ATOM_TEXT, .key = span_str(what) };
	struct text_src src;
	int detector = text_detector(ld, n, SECTION_TEXT, &src);
	struct buf key;

	if (detector < 0)
		return;
	atom.finds.measure = measure_intern(ld, detector, CONFIDENCE_LOW, where);
	atom.finds.min = 1;
	atom.finds.all = true;
	key_begin(&key, what);
	buf_printf(&key, "%u", atom.finds.measure);
	conds_push(ld, c, atom_intern(ld, &atom, &key));
}

void
cond_subject(struct load *ld, struct conf_node *n, void *obj)
{
	cond_words(ld, n, obj, WHERE_SUBJECT, "subject");
}

void
cond_body(struct load *ld, struct conf_node *n, void *obj)
{
	cond_words(ld, n, obj, WHERE_BODY, "body");
}

void
cond_text(struct load *ld, struct conf_node *n, void *obj)
{
	cond_words(ld, n, obj, WHERE_SUBJECT | WHERE_BODY | WHERE_ATTACHMENT, "text");
}

struct cond
header_present_cond(struct load *ld, struct span name)
{
	struct atom atom = { .kind = ATOM_HEADER };
	char *lower = arena_str(ld->a, name);
	struct buf key;

	for (char *q = lower; *q; q++)
		*q = ascii_lower(*q);
	atom.key = span_str(arena_printf(ld->a, "header " SPAN_FMT, SPAN_ARG(name)));
	atom.header.name = span_str(lower);
	atom.header.detector = -1;
	key_begin(&key, "header");
	buf_printf(&key, "%d %s", -1, lower);
	return atom_intern(ld, &atom, &key);
}

void
cond_header(struct load *ld, struct conf_node *n, void *obj)
{
	if (!conf_want(ld->d, n, CONF_MAP, "header"))
		return;
	if (n->count == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "expected {Name: {words: [...]}}");
	CONF_EACH (c, n) {
		struct atom atom = { .kind = ATOM_HEADER };
		struct text_src src;
		struct buf key;
		char *name;
		int detector;

		if (c->key.n == 0 || span_find(c->key, ' ') < c->key.n ||
		    span_find(c->key, ':') < c->key.n) {
			diag_key(ld->d, DIAG_ERROR, c, NULL, "`" SPAN_FMT "` is no header name",
			    SPAN_ARG(c->key));
			continue;
		}
		detector = text_detector(ld, c, SECTION_HEADER_TEXT, &src);
		if (detector < 0 && src.present < 0)
			continue;
		name = arena_str(ld->a, c->key);
		for (char *q = name; *q; q++)
			*q = ascii_lower(*q);
		atom.key = span_str(arena_printf(ld->a, "header " SPAN_FMT, SPAN_ARG(c->key)));
		atom.header.name = span_str(name);
		atom.header.detector = detector;
		atom.negate = src.present == 0;
		key_begin(&key, "header");
		buf_printf(&key, "%d %s", detector, name);
		conds_push(ld, obj, atom_intern(ld, &atom, &key));
	}
}

/* --- finds -------------------------------------------------------------------------------------- */

void
finds_where(struct load *ld, struct conf_node *n, void *obj)
{
	static const char *const names[] = { "subject", "body", "attachment", "header", NULL };
	struct finds_src *f = obj;

	f->where = 0;
	for (struct conf_node *c = n->kind == CONF_LIST ? n->first : n; c;
	     c = n->kind == CONF_LIST ? c->next : NULL) {
		int i;

		if (conf_enum(ld->d, c, names, &i))
			f->where |= 1u << i;
	}
	if (n->kind == CONF_LIST && n->count == 0)
		diag_at(ld->d, DIAG_ERROR, n, NULL, "an empty list: this would never hold");
}

static bool
finds_one(struct load *ld, struct conf_node *at, bool is_key, struct span name,
    struct conf_node *params, struct cond *out)
{
	struct finds_src f = { .min = 1, .where = WHERE_ANY };
	struct atom atom = { .kind = ATOM_FINDS };
	int detector = detector_resolve(ld, at, is_key, name);
	size_t errors = ld->d->errors;
	struct buf key;

	if (params && !(params->kind == CONF_SCALAR && params->text.n == 0))
		keys_read(ld, params, SECTION_FINDS, &f);
	if (detector < 0 || ld->d->errors > errors)
		return false;
	if (f.min > DETECT_MATCHES_MAX) {
		diag_at(ld->d, DIAG_ERROR, params, NULL, "`min` above %d is never reached",
		    DETECT_MATCHES_MAX);
		return false;
	}
	atom.key = span_str(arena_printf(ld->a, "finds " SPAN_FMT, SPAN_ARG(name)));
	atom.finds.measure = measure_intern(ld, detector, (enum confidence)(f.confidence + 1), f.where);
	atom.finds.min = (uint32_t)f.min;
	atom.finds.all = f.count == 1;
	if (ld->rule)
		push_u32(ld->a, &ld->rule->detectors, &ld->rule->ndetectors,
		    &ld->rule->capdetectors, (uint32_t)detector);
	key_begin(&key, "finds");
	buf_printf(&key, "%u,%u,%d", atom.finds.measure, atom.finds.min, atom.finds.all);
	*out = atom_intern(ld, &atom, &key);
	return true;
}

static bool finds_node(struct load *ld, struct conf_node *n, struct cond *out);

static bool
finds_group(struct load *ld, struct conf_node *n, enum cond_op op, struct cond *out)
{
	struct cond *kids = arena_array(ld->a, n->count ? n->count : 1, sizeof(*kids));
	unsigned cost = 0;
	uint32_t k = 0;
	bool fine = true;

	if (n->count == 0) {
		diag_at(ld->d, DIAG_ERROR, n, NULL, "nothing to find");
		return false;
	}
	CONF_EACH (c, n) {
		bool one;

		if (n->kind == CONF_LIST)
			one = finds_node(ld, c, &kids[k]);
		else if (span_is(c->key, "any") || span_is(c->key, "all"))
			one = c->kind == CONF_SCALAR ? finds_node(ld, c, &kids[k]) :
			    finds_group(ld, c, span_is(c->key, "any") ? COND_ANY : COND_ALL, &kids[k]);
		else
			one = finds_one(ld, c, true, c->key, c, &kids[k]);
		if (one)
			cost += kids[k++].cost;
		else
			fine = false;
	}
	if (k == 1)
		*out = kids[0];
	else
		*out = (struct cond){ .op = op, .cost = (unsigned char)(cost > 200 ? 200 : cost),
			.atom = k ? kids[0].atom : 0, .n = k, .kids = kids };
	return fine;
}

/* A name; a list of which any is enough; a map of which all must be found. */
static bool
finds_node(struct load *ld, struct conf_node *n, struct cond *out)
{
	if (n->kind == CONF_SCALAR)
		return finds_one(ld, n, false, n->text, NULL, out);
	return finds_group(ld, n, n->kind == CONF_LIST ? COND_ANY : COND_ALL, out);
}

void
cond_finds(struct load *ld, struct conf_node *n, void *obj)
{
	struct cond c;

	if (finds_node(ld, n, &c))
		conds_push(ld, obj, c);
}
