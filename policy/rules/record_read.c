/* record_read.c -- a record back into structs; any bytes may come.
 *
 * Nothing is allocated that the bytes do not pay for: counts are bounded by
 * what is left to read. What has no meaning (an outcome there is not, a
 * surface of a part that is not there) is damage, and the record is refused.
 */
#include "record.h"
#include "wire.h"

static struct span *
get_spans(struct wire *w, struct arena *a, size_t *n)
{
	struct span *v;

	*n = wire_get_count(w, RECORD_BYTES_MAX);
	v = arena_array(a, *n + 1, sizeof(*v));
	for (size_t i = 0; i < *n; i++)
		v[i] = wire_get_span(w);
	return v;
}

static void
get_session(struct wire *w, struct arena *a, struct envelope *env)
{
	uint64_t n;

	env->id = wire_get_fixed(w);
	env->direction = (enum direction)wire_get_max(w, DIRECTION_INBOUND);
	env->flags = (uint32_t)wire_get_max(w, UINT32_MAX);
	env->received = wire_get_int(w);
	n = wire_get_max(w, 16);
	w->bad |= (n != 0 && n != 4 && n != 16) || n > w->in.n - w->at;
	if (w->bad)
		return;
	env->client.family = n == 16 ? 6 : (uint8_t)n;
	if (n)
		memcpy(env->client.b, w->in.p + w->at, (size_t)n);
	w->at += (size_t)n;
	env->client_name = wire_get_span(w);
	env->listener = wire_get_span(w);
	env->helo = wire_get_span(w);
	env->user = wire_get_span(w);
	env->tls = wire_get_span(w);
	env->sender = wire_get_span(w);
	env->nrecipients = wire_get_count(w, ENVELOPE_RECIPIENTS_MAX);
	env->recipients = arena_array(a, env->nrecipients + 1, sizeof(*env->recipients));
	for (size_t i = 0; i < env->nrecipients; i++)
		env->recipients[i].address = wire_get_span(w);
}

static void
get_members(struct wire *w, struct arena *a, struct memberships *m)
{
	size_t n;

	m->addresses = get_spans(w, a, &m->naddresses);
	m->groups = get_spans(w, a, &m->ngroups);
	w->bad |= m->ngroups > EXTERNAL_GROUPS_MAX ||
	    (m->ngroups && m->naddresses > (w->in.n - w->at) / m->ngroups);
	if (w->bad) {
		*m = (struct memberships){ 0 };
		return;
	}
	n = m->naddresses * m->ngroups;
	m->grid = (const uint8_t *)w->in.p + w->at;
	for (size_t i = 0; i < n; i++)
		w->bad |= m->grid[i] >= MEMBER_STATES;
	w->at += n;
}

static void
get_facts(struct wire *w, struct arena *a, struct facts *f, const struct envelope *env)
{
	uint64_t packed, score;
	int64_t later = wire_get_int(w);

	w->bad |= __builtin_add_overflow(env->received, later, &f->now);
	packed = wire_get_max(w, ((UINT64_C(1) << AV_KIND_COUNT) - 1) << 3 | 7);
	f->av = (enum av_state)(packed & 7);
	w->bad |= f->av >= AV_STATES;
	/* Records of before there were kinds have none. */
	f->av_kinds = (uint8_t)(packed >> 3 ? packed >> 3 : f->av == AV_VIRUS ? AV_MALWARE : 0);
	f->av_name = wire_get_span(w);
	f->av_engine = wire_get_span(w);
	f->av_part = wire_get_span(w);
	packed = wire_get_max(w, 0x1fffffff);
	f->spf = (enum auth_result)(packed & 15);
	f->dkim = (enum auth_result)(packed >> 4 & 15);
	f->dmarc = (enum auth_result)(packed >> 8 & 15);
	f->dnsbl_known = packed >> 12 & 1;
	f->spam_known = packed >> 13 & 1;
	f->reputation_known = packed >> 14 & 1;
	f->bayes_known = packed >> 24 & 1;
	f->arc = (enum auth_result)(packed >> 15 & 15);
	f->dmarc_asks = (enum dmarc_asks)(packed >> 19 & 3);
	f->spam_by = (enum spam_source)(packed >> 21 & 7);
	f->experience_known = packed >> 28 & 1;
	f->bounce = (enum bounce_fact)(packed >> 25 & 7);
	w->bad |= f->spf > AUTH_POLICY || f->dkim > AUTH_POLICY || f->dmarc > AUTH_POLICY ||
	    f->arc > AUTH_POLICY || f->dmarc_asks >= DMARC_ASKS_COUNT ||
	    f->spam_by >= SPAM_SOURCES || f->bounce >= BOUNCE_FACTS;
	if (f->dnsbl_known)
		f->dnsbl = get_spans(w, a, &f->ndnsbl);
	if (f->spam_known) {
		score = wire_get_fixed(w);
		memcpy(&f->spam_score, &score, sizeof(score));
		f->spam_symbols = get_spans(w, a, &f->nspam_symbols);
		f->spam_class = wire_get_span(w);
	}
	if (f->reputation_known)
		f->reputation = (uint8_t)wire_get_max(w, 100);
	if (f->bayes_known)
		f->bayes = (uint8_t)wire_get_max(w, 100);
	if (f->experience_known)
		f->experience = (uint8_t)wire_get_max(w, 100);
	get_members(w, a, &f->members);
}

static void
get_decision(struct wire *w, struct arena *a, struct decision *d, int64_t now, size_t nvariants)
{
	uint64_t packed = wire_get_max(w, 0xfff);

	d->outcome = (enum outcome)(packed & 15);
	d->on_expire = (enum outcome)(packed >> 4 & 15);
	d->require_tls = (enum require_tls)(packed >> 8);
	w->bad |= d->outcome == OUTCOME_UNJUDGED || d->outcome >= OUTCOME_COUNT ||
	    d->on_expire >= OUTCOME_COUNT || d->require_tls > TLS_DANE;
	d->variant = (uint16_t)wire_get_max(w, nvariants ? nvariants - 1 : 0);
	d->reply = wire_get_span(w);
	d->queue = wire_get_span(w);
	if (wire_get_max(w, 1))
		w->bad |= __builtin_add_overflow(now, wire_get_int(w), &d->expires);
	d->redirect = get_spans(w, a, &d->nredirect);
	d->rules = get_spans(w, a, &d->nrules);
	d->shadow = get_spans(w, a, &d->nshadow);
	d->skipped = get_spans(w, a, &d->nskipped);
}

static void
get_verdict(struct wire *w, struct arena *a, struct record *r)
{
	struct verdict *v = &r->verdict;
	uint64_t flags = wire_get_max(w, 3);
	struct decision *distinct;
	size_t n;

	v->unscannable = flags & 1;
	v->undecided = flags >> 1;
	v->nvariants = wire_get_count(w, ENVELOPE_RECIPIENTS_MAX + 1);
	w->bad |= v->nvariants == 0;
	v->variants = arena_array(a, v->nvariants + 1, sizeof(*v->variants));
	for (size_t i = 0; i < v->nvariants; i++)
		r->edits += wire_get_max(w, UINT32_MAX);
	n = wire_get_count(w, r->env.nrecipients);
	w->bad |= (n == 0) != (r->env.nrecipients == 0);
	distinct = arena_array(a, n + 1, sizeof(*distinct));
	for (size_t i = 0; i < n && !w->bad; i++)
		get_decision(w, a, &distinct[i], r->facts.now, v->nvariants);
	v->ndecisions = r->env.nrecipients;
	v->decisions = arena_array(a, v->ndecisions + 1, sizeof(*v->decisions));
	for (size_t i = 0; i < v->ndecisions; i++)
		v->decisions[i] = distinct[n > 1 ? wire_get_max(w, n - 1) : 0];
}

static void
get_part(struct wire *w, struct arena *a, struct part *p)
{
	struct span type;
	uint64_t packed;

	p->number = wire_get_span(w);
	type = wire_get_span(w);
	if (!part_type_from_name(type, &p->type))
		p->type = TYPE_UNKNOWN;		/* of another version */
	packed = wire_get_max(w, (UINT64_C(1) << 23) - 1);
	p->depth = (uint16_t)(packed >> 7);
	p->opened = packed >> 5 & 1;
	p->unpacked = packed >> 4 & 1;
	p->reading = packed >> 2 & 1;
	p->attachment = packed >> 1 & 1;
	p->encrypted = packed & 1;
	/* there are no bytes: whoever reads them has no message in hand, and should know it */
	p->decoded.n = (size_t)wire_get_max(w, SIZE_MAX >> 1);
	p->defects = (uint32_t)wire_get_max(w, UINT32_MAX);
	p->declared = wire_get_span(w);
	p->name = wire_get_span(w);
	if (packed >> 3 & 1)
		p->aliases = get_spans(w, a, &p->naliases);
	if (packed >> 6 & 1 && !encryption_from_name(wire_get_span(w), &p->encryption))
		p->encryption = ENCRYPTION_NONE;	/* of another version */
	p->parent = PART_NONE;
}

static void
get_message(struct wire *w, struct arena *a, struct anatomy *an)
{
	struct part *parts;

	an->raw.n = (size_t)wire_get_max(w, SIZE_MAX >> 1);
	an->defects = (uint32_t)wire_get_max(w, UINT32_MAX);
	an->header_from = wire_get_span(w);
	an->nparts = wire_get_count(w, UINT16_MAX);
	parts = arena_array(a, an->nparts + 1, sizeof(*parts));
	for (size_t i = 0; i < an->nparts; i++)
		get_part(w, a, &parts[i]);
	an->parts = parts;
	if (an->nparts == 0)		/* cut: the root is always there */
		an->nparts = 1;
}

static void
get_surfaces(struct wire *w, struct arena *a, struct anatomy *an)
{
	struct surface *v;

	an->nsurfaces = wire_get_count(w, UINT16_MAX);
	v = arena_array(a, an->nsurfaces + 1, sizeof(*v));
	for (size_t i = 0; i < an->nsurfaces; i++) {
		uint64_t where = wire_get_max(w, WHERE_ANY);

		w->bad |= where == 0 || (where & (where - 1)) != 0;
		v[i].where = (enum where)where;
		v[i].part = (uint16_t)wire_get_max(w, an->nparts - 1);
		v[i].name = wire_get_span(w);
		v[i].origin = wire_get_span(w);
	}
	an->surfaces = v;
}

bool
record_next_match(struct found_reader *f)
{
	unsigned char head;
	uint32_t count = 1;

	if (f->left == 0 || f->w.bad)
		return false;
	if (f->run) {
		f->run--;
	} else {
		head = (unsigned char)wire_get_max(&f->w, 63);
		f->confidence = (enum confidence)(head & 3);
		f->fresh = head >> 2 & 1;
		f->surface = (uint16_t)wire_get_max(&f->w, f->nsurfaces ? f->nsurfaces - 1 : 0);
		f->number = f->fresh ? 0 : (uint32_t)wire_get_max(&f->w, f->values ?
		    f->values - 1 : 0);
		f->w.bad |= f->confidence == CONFIDENCE_NONE || f->nsurfaces == 0 ||
		    (!f->fresh && f->values == 0);
		f->place = (struct place){ 0 };
		f->masked = (struct span){ 0 };
		if (head >> 3 & 1) {
			f->place.from = (uint32_t)wire_get_max(&f->w, UINT32_MAX);
			f->place.to = f->place.from +
			    (uint32_t)wire_get_max(&f->w, UINT32_MAX - f->place.from);
		}
		if (head >> 4 & 1)
			f->masked = wire_get_span(&f->w);
		if (head >> 5)
			count = (uint32_t)wire_get_max(&f->w, f->left);
		f->w.bad |= count == 0;
		f->run = count ? count - 1 : 0;
	}
	if (f->fresh)
		f->number = f->values++;
	f->left--;
	return !f->w.bad;
}

bool
record_next_detector(struct found_reader *f)
{
	if (f->detectors == 0 || f->w.bad)
		return false;
	while (record_next_match(f))
		;
	f->detectors--;
	f->detector = (uint32_t)wire_get_max(&f->w, UINT16_MAX);
	f->left = f->n = (uint32_t)wire_get_max(&f->w, DETECT_MATCHES_MAX);
	f->run = f->values = 0;
	return !f->w.bad;
}

void
record_found(struct found_reader *f, const struct record *r)
{
	*f = (struct found_reader){ .w = { .in = r->found }, .nsurfaces = r->an.nsurfaces };
	f->detectors = wire_get_count(&f->w, UINT16_MAX);
}

/* Read through once, so that a replay need not ask whether it is sound. */
static void
get_found(struct wire *w, struct record *r)
{
	struct found_reader f;

	r->found = span_from(w->in, w->at);
	record_found(&f, r);
	while (record_next_detector(&f))
		;
	while (record_next_match(&f))
		;
	w->bad |= f.w.bad || f.left > 0;
	r->found = span_sub(r->found, 0, f.w.at);
	w->at += f.w.at;
}

static bool
get_lists(struct wire *w, struct arena *a, struct facts *f)
{
	size_t n = wire_get_count(w, RECORD_BYTES_MAX);
	struct listed *v = arena_array(a, n + 1, sizeof(*v));

	for (size_t i = 0; i < n && !w->bad; i++) {
		uint64_t packed;

		v[i].recipient = (uint16_t)wire_get_max(w, UINT16_MAX);
		packed = wire_get_max(w, 127);
		v[i].scope = packed & 3;
		v[i].side = packed >> 2 & 3;
		v[i].by = packed >> 4 & 3;
		v[i].counts = packed >> 6;
		v[i].number = wire_get(w);
		v[i].owner = wire_get_span(w);
		v[i].what = wire_get_span(w);
		v[i].reason = wire_get_span(w);
		w->bad |= v[i].scope >= LIST_SCOPES || v[i].side >= LIST_SIDES || v[i].by >= LIST_BYS;
	}
	if (w->bad)
		return false;
	f->lists_known = true;
	f->listings = v;
	f->nlistings = n;
	return true;
}

static void
get_extensions(struct wire *w, struct arena *a, struct record *r)
{
	while (w->at < w->in.n && !w->bad) {
		uint64_t tag = wire_get(w);
		struct wire body = { .in = wire_get_span(w) };

		if (tag == EXTENSION_ACTIONS) {
			r->override_header = wire_get_span(&body);
			r->override_subject = wire_get_span(&body);
			r->refused = get_spans(&body, a, &r->nrefused);
			w->bad |= body.bad;
			continue;
		}
		if (tag == EXTENSION_GRADES) {
			struct grades_reader g;
			struct grade one;

			r->grades = body.in;
			record_grades(&g, r);
			while (record_next_grade(&g, &one))
				;
			w->bad |= g.w.bad || g.left > 0;
			continue;
		}
		if (tag == EXTENSION_LISTS) {
			w->bad |= !get_lists(&body, a, &r->facts);
			continue;
		}
		if (tag != EXTENSION_LIMIT)	/* of a newer version: it may stay unread */
			continue;
		r->limit_rule = wire_get_span(&body);
		r->limit_queue = wire_get_span(&body);
		w->bad |= body.bad;
	}
}

static void
get_front(struct wire *w, struct arena *a, struct record *r)
{
	uint64_t flags;

	w->at = 1;
	r->manifest = wire_get_fixed(w);
	flags = wire_get_max(w, 31);
	r->failed = flags & RECORD_FAILED;
	r->cut = flags & RECORD_CUT;
	r->thin = flags & RECORD_THIN;
	r->exhausted = flags & RECORD_EXHAUSTED;
	r->began_undecided = flags & RECORD_UNDECIDED;
	if (r->failed)
		r->reason = wire_get_span(w);
	get_session(w, a, &r->env);
	get_facts(w, a, &r->facts, &r->env);
	get_verdict(w, a, r);
}

int
record_read_decisions(struct span bytes, struct arena *a, struct record *r)
{
	struct wire w = { .in = bytes };

	if (bytes.n == 0 || bytes.n > RECORD_BYTES_MAX + 8192 || bytes.p[0] != RECORD_VERSION)
		return -1;
	*r = (struct record){ 0 };
	get_front(&w, a, r);
	return w.bad ? -1 : 0;
}

int
record_read(struct span bytes, struct arena *a, struct record *r)
{
	struct wire w = { .in = bytes };
	size_t n;

	if (bytes.n == 0 || bytes.n > RECORD_BYTES_MAX + 8192 || bytes.p[0] != RECORD_VERSION)
		return -1;
	*r = (struct record){ 0 };
	get_front(&w, a, r);
	if (w.bad)
		return -1;
	get_message(&w, a, &r->an);
	get_surfaces(&w, a, &r->an);
	get_found(&w, r);
	n = (size_t)(wire_get_max(&w, UINT32_MAX) + 3) / 4;
	w.bad |= n > w.in.n - w.at;
	r->texts = span_sub(w.in, w.at, n);
	w.at += r->texts.n;
	get_extensions(&w, a, r);
	return w.bad ? -1 : 0;
}
