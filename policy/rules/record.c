/* record.c -- an evaluation written down; see postern/record.h.
 *
 * Layout: version, manifest, flags, session, facts, the message's parts, what
 * detectors found, answers of text conditions, the verdict; behind it tagged
 * extensions to the end. Numbers are LEB128, texts have their length in front.
 *
 * Matches keep their order, confidence, surface and value (by number, in order
 * of first sight), so that every measure can be taken again; places and masked
 * evidence only where a finding shows them (the first FINDING_PLACES). The rest
 * is run-length coded: ten thousand equal matches are a few bytes.
 *
 * What would be longer than RECORD_BYTES_MAX is first left without evidence,
 * then without parts and findings; it says so, and is not replayed as if it were whole.
 */
#include "record.h"
#include "wire.h"

static const struct eval nothing;

enum depth { WHOLE, THIN, CUT };

/* --- session, facts, parts --------------------------------------------------------------------- */

static void
put_session(struct buf *b, const struct envelope *env)
{
	size_t n = env->client.family == 4 ? 4 : env->client.family == 6 ? 16 : 0;

	wire_put_fixed(b, env->id);
	wire_put(b, env->direction);
	wire_put(b, env->flags);
	wire_put_int(b, env->received);
	wire_put(b, n);
	buf_put(b, env->client.b, n);
	wire_put_span(b, env->client_name);
	wire_put_span(b, env->listener);
	wire_put_span(b, env->helo);
	wire_put_span(b, env->user);
	wire_put_span(b, env->tls);
	wire_put_span(b, env->sender);
	wire_put(b, env->nrecipients);
	for (size_t i = 0; i < env->nrecipients; i++)
		wire_put_span(b, env->recipients[i].address);
}

static void
put_spans(struct buf *b, const struct span *v, size_t n)
{
	wire_put(b, n);
	for (size_t i = 0; i < n; i++)
		wire_put_span(b, v[i]);
}

/* Who was in which group of a directory, as it was told. */
static void
put_members(struct buf *b, const struct memberships *m)
{
	put_spans(b, m->addresses, m->naddresses);
	put_spans(b, m->groups, m->ngroups);
	buf_put(b, m->grid, m->naddresses * m->ngroups);
}

static void
put_facts(struct buf *b, const struct facts *f, const struct envelope *env)
{
	uint64_t score;

	memcpy(&score, &f->spam_score, sizeof(score));
	wire_put_int(b, f->now - env->received);
	wire_put(b, (uint64_t)f->av | (uint64_t)f->av_kinds << 3);
	wire_put_span(b, f->av_name);
	wire_put_span(b, f->av_engine);
	wire_put_span(b, f->av_part);
	wire_put(b, (uint64_t)f->spf | (uint64_t)f->dkim << 4 | (uint64_t)f->dmarc << 8 |
	    (uint64_t)f->dnsbl_known << 12 | (uint64_t)f->spam_known << 13 |
	    (uint64_t)f->reputation_known << 14 | (uint64_t)f->arc << 15 |
	    (uint64_t)f->dmarc_asks << 19 | (uint64_t)f->spam_by << 21 |
	    (uint64_t)f->bayes_known << 24 | (uint64_t)f->bounce << 25 |
	    (uint64_t)f->experience_known << 28);
	if (f->dnsbl_known)
		put_spans(b, f->dnsbl, f->ndnsbl);
	if (f->spam_known) {
		wire_put_fixed(b, score);
		put_spans(b, f->spam_symbols, f->nspam_symbols);
		wire_put_span(b, f->spam_class);
	}
	if (f->reputation_known)
		wire_put(b, f->reputation);
	if (f->bayes_known)
		wire_put(b, f->bayes);
	if (f->experience_known)
		wire_put(b, f->experience);
	put_members(b, &f->members);
}

static void
put_message(struct buf *b, const struct anatomy *an, enum depth depth)
{
	wire_put(b, an->raw.n);
	wire_put(b, an->defects);
	wire_put_span(b, an->header_from);
	wire_put(b, depth == CUT ? 0 : an->nparts);
	for (size_t i = 0; depth != CUT && i < an->nparts; i++) {
		const struct part *p = &an->parts[i];

		wire_put_span(b, p->number);
		wire_put_span(b, span_str(part_type_name(p->type)));
		wire_put(b, (uint64_t)p->depth << 7 | (uint64_t)(p->encryption != 0) << 6 |
		    (uint64_t)p->opened << 5 | (uint64_t)p->unpacked << 4 |
		    (uint64_t)(p->naliases > 0) << 3 | (uint64_t)p->reading << 2 |
		    (uint64_t)p->attachment << 1 | p->encrypted);
		wire_put(b, p->decoded.n);
		wire_put(b, p->defects);
		wire_put_span(b, p->declared);
		wire_put_span(b, p->name);
		if (p->naliases)
			put_spans(b, p->aliases, p->naliases);
		if (p->encryption)
			wire_put_span(b, span_str(encryption_name(p->encryption)));
	}
}

/* --- matches ------------------------------------------------------------------------------------ */

struct numbering {		/* of the values of one detector: a small open table */
	uint64_t *values;
	uint32_t *numbers;
	size_t cap;
	uint32_t n;
};

static uint32_t
number_of(struct numbering *t, uint64_t value, bool *fresh)
{
	uint64_t v = value ? value : 1;
	size_t at = (size_t)(v * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (t->cap - 1);

	while (t->values[at] && t->values[at] != v)
		at = (at + 1) & (t->cap - 1);
	*fresh = !t->values[at];
	if (*fresh) {
		t->values[at] = v;
		t->numbers[at] = t->n++;
	}
	return t->numbers[at];
}

struct shown {			/* of a finding: what of it is evidence */
	uint32_t nplaces, nmasked;
	uint32_t values[FINDING_PLACES];
};

/* As finding_add() of evaluate.c keeps them. */
static void
evidence(struct shown *s, uint32_t number, bool *place, bool *masked)
{
	*place = s->nplaces < FINDING_PLACES;
	s->nplaces += *place;
	*masked = false;
	for (uint32_t i = 0; i < s->nmasked; i++)
		if (s->values[i] == number)
			return;
	if (s->nmasked == FINDING_PLACES)
		return;
	s->values[s->nmasked++] = number;
	*masked = true;
}

struct run {			/* matches without evidence that follow each other */
	uint32_t surface, number, count;
	unsigned confidence;
	bool fresh;
};

static void
put_head(struct buf *b, unsigned confidence, bool fresh, bool place, bool masked, bool run)
{
	buf_putc(b, (char)(confidence | (unsigned)fresh << 2 | (unsigned)place << 3 |
	    (unsigned)masked << 4 | (unsigned)run << 5));
}

static void
flush_run(struct buf *b, struct run *r)
{
	if (r->count == 0)
		return;
	put_head(b, r->confidence, r->fresh, false, false, true);
	wire_put(b, r->surface);
	if (!r->fresh)
		wire_put(b, r->number);
	wire_put(b, r->count);
	r->count = 0;
}

static void
put_match(struct buf *b, const struct match *m, uint32_t surface, uint32_t number, bool fresh,
    bool place, bool masked)
{
	put_head(b, (unsigned)m->confidence, fresh, place, masked, false);
	wire_put(b, surface);
	if (!fresh)
		wire_put(b, number);
	if (place) {
		wire_put(b, m->place.from);
		wire_put(b, m->place.to - m->place.from);
	}
	if (masked)
		wire_put_span(b, m->masked);
}

static void
put_detector(struct buf *b, const struct eval *e, uint32_t detector, const uint16_t *surfaces,
    struct arena *a, enum depth depth)
{
	const struct detection *d = &e->detection;
	uint32_t from = d->first[detector], n = d->first[detector + 1] - from;
	struct numbering t = { .cap = 16 };
	struct shown *shown = arena_array(a, e->an->nsurfaces + 1, sizeof(*shown));
	struct run run = { 0 };

	while (t.cap < (size_t)n * 2)
		t.cap *= 2;
	t.values = arena_array(a, t.cap, sizeof(*t.values));
	t.numbers = arena_array(a, t.cap, sizeof(*t.numbers));
	wire_put(b, detector);
	wire_put(b, n);
	for (uint32_t i = 0; i < n; i++) {
		const struct match *m = &d->matches[from + i];
		uint32_t surface = surfaces[m->surface], number;
		bool fresh, place = false, masked = false;

		number = number_of(&t, m->value, &fresh);
		if (depth == WHOLE)
			evidence(&shown[m->surface], number, &place, &masked);
		if (run.count && (place || masked || run.surface != surface ||
		    run.confidence != (unsigned)m->confidence || run.fresh != fresh ||
		    (!fresh && run.number != number)))
			flush_run(b, &run);
		if (place || masked) {
			put_match(b, m, surface, number, fresh, place, masked);
		} else {
			run = (struct run){ surface, number, run.count + 1,
				(unsigned)m->confidence, fresh };
		}
	}
	flush_run(b, &run);
}

static bool
named(const struct eval *e, uint32_t detector)
{
	struct span id = detectors_id(e->p->detectors, detector);

	return !(id.n && id.p[0] == ' ') &&
	    e->detection.first[detector] < e->detection.first[detector + 1];
}

static void
put_found(struct buf *b, const struct eval *e, struct arena *a, enum depth depth)
{
	const struct detection *d = &e->detection;
	const struct anatomy *an = e->an;
	size_t ndet = d->first && e->p->detectors && depth != CUT ?
	    detectors_count(e->p->detectors) : 0, nsurfaces = 0, nfound = 0;
	uint16_t *number = arena_array(a, (an ? an->nsurfaces : 0) + 1, sizeof(*number));

	for (uint32_t i = 0; i < ndet; i++) {
		if (!named(e, i))
			continue;
		nfound++;
		for (uint32_t k = d->first[i]; k < d->first[i + 1]; k++)
			number[d->matches[k].surface] = 1;
	}
	for (size_t i = 0; nfound && i < an->nsurfaces; i++)
		nsurfaces += number[i];
	wire_put(b, nsurfaces);
	nsurfaces = 0;
	for (size_t i = 0; nfound && i < an->nsurfaces; i++) {
		if (!number[i])
			continue;
		number[i] = (uint16_t)nsurfaces++;
		wire_put(b, an->surfaces[i].where);
		wire_put(b, an->surfaces[i].part);
		wire_put_span(b, an->surfaces[i].name);
		wire_put_span(b, an->surfaces[i].origin);
	}
	wire_put(b, nfound);
	for (uint32_t i = 0; i < ndet; i++)
		if (named(e, i))
			put_detector(b, e, i, number, a, depth);
}

/* --- text conditions ----------------------------------------------------------------------------- */

#define HEADERS_ASKED 16	/* conditions on headers and links that no rule came to, asked for the record */

/* Each in two bits: enum answer. Those on texts are known anyway; one on a header or a link that no
 * rule came to is asked now, in a copy of the evaluation, so that the record changes no verdict. */
static void
put_texts(struct buf *b, const struct eval *e)
{
	const struct policy *p = e->p;
	struct eval again = *e;
	unsigned char four = 0;
	size_t n = p->ntexts, asked = 0;
	bool gave_up = e->detection.undecided && !e->began_undecided;

	if (!e->memo)
		n = 0;
	wire_put(b, n);
	for (size_t i = 0; i < n; i++) {
		const struct atom *at = &p->atoms[p->texts[i]];
		enum answer answer = e->memo[p->texts[i]] == 2 ? ANSWER_YES :
		    e->memo[p->texts[i]] == 1 ? ANSWER_NO : ANSWER_UNKNOWN;

		/* which of them gave up is not kept: none that said no may be believed */
		if (answer == ANSWER_NO && gave_up && at->kind != ATOM_TEXT)
			answer = ANSWER_GAVE_UP;
		if (answer == ANSWER_UNKNOWN && (at->kind == ATOM_TEXT ||
		    (asked++ < HEADERS_ASKED && again.steps > EVAL_STEPS / 2))) {
			bool before = again.detection.undecided, yes;

			again.detection.undecided = false;
			yes = eval_cond(&again, &(struct cond){ .op = COND_ATOM,
			    .atom = p->texts[i] });
			answer = again.detection.undecided ? ANSWER_GAVE_UP :
			    yes ? ANSWER_YES : ANSWER_NO;
			again.detection.undecided = before;
		}
		four |= (unsigned char)((unsigned)answer << (i % 4 * 2));
		if (i % 4 == 3 || i + 1 == n) {
			buf_putc(b, (char)four);
			four = 0;
		}
	}
}

/* --- the verdict ---------------------------------------------------------------------------------- */

static void
put_decision(struct buf *b, const struct decision *d, int64_t now)
{
	wire_put(b, (uint64_t)d->outcome | (uint64_t)d->on_expire << 4 |
	    (uint64_t)d->require_tls << 8);
	wire_put(b, d->variant);
	wire_put_span(b, d->reply);
	wire_put_span(b, d->queue);
	wire_put(b, d->expires != 0);
	if (d->expires)
		wire_put_int(b, d->expires - now);
	put_spans(b, d->redirect, d->nredirect);
	put_spans(b, d->rules, d->nrules);
	put_spans(b, d->shadow, d->nshadow);
	put_spans(b, d->skipped, d->nskipped);
}

static bool
spans_equal(const struct span *x, size_t nx, const struct span *y, size_t ny)
{
	if (nx != ny)
		return false;
	if (x == y)
		return true;
	for (size_t i = 0; i < nx; i++)
		if (!span_eq(x[i], y[i]))
			return false;
	return true;
}

bool
decision_same(const struct decision *x, const struct decision *y)
{
	return x->outcome == y->outcome && x->variant == y->variant &&
	    x->require_tls == y->require_tls && x->expires == y->expires &&
	    x->on_expire == y->on_expire && span_eq(x->reply, y->reply) &&
	    span_eq(x->queue, y->queue) &&
	    spans_equal(x->redirect, x->nredirect, y->redirect, y->nredirect) &&
	    spans_equal(x->rules, x->nrules, y->rules, y->nrules) &&
	    spans_equal(x->shadow, x->nshadow, y->shadow, y->nshadow) &&
	    spans_equal(x->skipped, x->nskipped, y->skipped, y->nskipped);
}

#define DECISIONS_COMPARED 16	/* of those met before: recipients with the same one share it */

static void
put_verdict(struct buf *b, const struct verdict *v, const struct facts *f, struct arena *a)
{
	uint32_t *distinct = arena_array(a, v->ndecisions + 1, sizeof(*distinct));
	uint32_t *of = arena_array(a, v->ndecisions + 1, sizeof(*of)), n = 0;

	for (size_t i = 0; i < v->ndecisions; i++) {
		uint32_t k = n, lowest = n > DECISIONS_COMPARED ? n - DECISIONS_COMPARED : 0;

		while (k > lowest && !decision_same(&v->decisions[distinct[k - 1]],
		    &v->decisions[i]))
			k--;
		if (k > lowest) {
			of[i] = k - 1;
		} else {
			distinct[n] = (uint32_t)i;
			of[i] = n++;
		}
	}
	wire_put(b, (uint64_t)v->unscannable | (uint64_t)v->undecided << 1);
	wire_put(b, v->nvariants);
	for (size_t i = 0; i < v->nvariants; i++)
		wire_put(b, v->variants[i].nedits);
	wire_put(b, n);
	for (uint32_t i = 0; i < n; i++)
		put_decision(b, &v->decisions[distinct[i]], f->now);
	for (size_t i = 0; n > 1 && i < v->ndecisions; i++)
		wire_put(b, of[i]);
}

/* --- actions --------------------------------------------------------------------------------------- */

/* What of the message's own a rule's actions hang on: the words of an override, and which edits
 * could not be made. */
static void
put_actions(struct buf *record, const struct eval *e, const struct verdict *v)
{
	struct span header, subject, last = { 0 };
	size_t n = 0;
	struct buf b;

	override_words(e, &header, &subject);
	for (size_t i = 0; i < v->nrefused; i++) {
		n += i == 0 || !span_eq(v->refused[i].rule, last);
		last = v->refused[i].rule;
	}
	if (header.n + subject.n + n == 0)
		return;
	buf_init(&b, RECORD_BYTES_MAX);
	wire_put_span(&b, header);
	wire_put_span(&b, subject);
	wire_put(&b, n);
	for (size_t i = 0; i < v->nrefused; i++)
		if (i == 0 || !span_eq(v->refused[i].rule, v->refused[i - 1].rule))
			wire_put_span(&b, v->refused[i].rule);
	wire_put(record, EXTENSION_ACTIONS);
	wire_put_span(record, buf_data(&b));
	buf_release(&b);
}

/* Which entries of lists spoke of it. Without the extension nobody looked. The texts are for people: what
 * is too large goes without. */
static void
put_lists(struct buf *record, const struct facts *f, enum depth depth)
{
	const struct span none = { 0 };
	struct buf b;

	if (!f->lists_known)
		return;
	buf_init(&b, RECORD_BYTES_MAX);
	wire_put(&b, f->nlistings);
	for (size_t i = 0; i < f->nlistings; i++) {
		const struct listed *l = &f->listings[i];

		wire_put(&b, l->recipient);
		wire_put(&b, (uint64_t)l->scope | (uint64_t)l->side << 2 | (uint64_t)l->by << 4 |
		    (uint64_t)l->counts << 6);
		wire_put(&b, l->number);
		wire_put_span(&b, depth == WHOLE ? l->owner : none);
		wire_put_span(&b, depth == WHOLE ? l->what : none);
		wire_put_span(&b, depth == WHOLE ? l->reason : none);
	}
	record->failed |= buf_failed(&b);	/* it would not fit either */
	wire_put(record, EXTENSION_LISTS);
	wire_put_span(record, buf_data(&b));
	buf_release(&b);
}

/* --- the whole ------------------------------------------------------------------------------------- */

static struct span
put_record(const struct eval *e, const struct verdict *v, const struct span *reason,
    struct arena *a)
{
	const struct policy *p = e->p;
	struct span out = { 0 };
	struct buf b;

	if (p->manifest.n == 0)
		return out;
	buf_init(&b, RECORD_BYTES_MAX);
	for (int depth = WHOLE; depth <= CUT; depth++) {
		buf_reset(&b);
		buf_putc(&b, RECORD_VERSION);
		wire_put_fixed(&b, p->manifest_key);
		buf_putc(&b, (char)((reason ? RECORD_FAILED : 0) |
		    (depth == CUT ? RECORD_CUT : depth == THIN ? RECORD_THIN : 0) |
		    (e->exhausted ? RECORD_EXHAUSTED : 0) |
		    (e->began_undecided ? RECORD_UNDECIDED : 0)));
		if (reason)
			wire_put_span(&b, *reason);
		put_session(&b, e->env);
		put_facts(&b, e->given, e->env);
		put_verdict(&b, v, e->facts, a);
		put_message(&b, e->an, depth);
		put_found(&b, e, a, depth);
		put_texts(&b, e);
		if (!reason) {
			put_actions(&b, e, v);
			put_grades(&b, e);
		}
		put_lists(&b, e->given, depth);
		if (!buf_failed(&b)) {
			out = arena_span(a, buf_data(&b));
			break;
		}
	}
	buf_release(&b);
	return out;
}

struct span
record_make(const struct eval *e, const struct verdict *v)
{
	return put_record(e, v, NULL, e->arena);
}

struct span
record_failed(const struct policy *p, const struct anatomy *an, const struct envelope *env,
    const struct facts *facts, const struct verdict *v, struct span reason, struct arena *a)
{
	struct eval e = nothing;

	e.p = p;
	e.an = an;
	e.env = env;
	e.given = e.facts = facts;
	e.arena = a;
	return put_record(&e, v, &reason, a);
}

void
record_add_limit(struct buf *record, struct span rule, struct span queue)
{
	struct buf b;

	buf_init(&b, 4096);
	wire_put_span(&b, rule);
	wire_put_span(&b, queue);
	if (!buf_failed(&b)) {
		wire_put(record, EXTENSION_LIMIT);
		wire_put_span(record, buf_data(&b));
	}
	buf_release(&b);
}
