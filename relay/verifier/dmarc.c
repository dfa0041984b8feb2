/* dmarc.c -- DMARC, evaluated over a book of answers; see dmarc.h.
 *
 * Nothing is kept between steps but what is decided: each step asks the book
 * again, and stops at what is not there. The questions a step can foresee
 * leave together.
 *
 * From: with several domains is judged for each; the gravest result counts
 * (RFC 7489, 6.6.1): fail, temperror, permerror, none, pass.
 */
#include "addr.h"
#include "verifier/dmarc_from.h"
#include "verifier/dmarc_psl.h"
#include "verifier/dmarc_record.h"
#include "verifier/dmarc_walk.h"

struct judged {		/* one domain of From: */
	struct dmarc_result r;
	bool done;
};

struct dmarc {
	struct arena *a;
	struct dns_book *book;
	struct dmarc_request q;
	struct span spf_domain;			/* normalised; n 0: none */
	struct dmarc_dkim dkim[DMARC_SIGNATURES_MAX];
	size_t ndkim;
	struct judged domains[DMARC_DOMAINS_MAX];
	size_t n;
	struct dmarc_result result;
	bool done;
};

enum state { WAIT, YES, NO, FAILED };

static const struct span none = { "", 0 };

const char *
dmarc_discovery_name(enum dmarc_discovery d)
{
	return d == DMARC_PSL ? "psl" : "tree-walk";
}

static void
end(struct dmarc *d, enum auth_result r, const char *reason)
{
	d->result.result = r;
	d->result.reason = span_str(reason);
	d->done = true;
}

struct dmarc *
dmarc_new(struct arena *a, struct dns_book *book, const struct dmarc_request *q)
{
	struct dmarc *d = arena_zalloc(a, sizeof(*d));
	struct span from[DMARC_DOMAINS_MAX];
	const char *problem;
	bool too_many;

	d->a = a;
	d->book = book;
	d->q = *q;
	d->result.tag = "";
	if (!domain_normalise(a, q->spf_domain, &d->spf_domain))
		d->spf_domain = none;
	for (size_t i = 0; i < q->ndkim && d->ndkim < DMARC_SIGNATURES_MAX; i++) {
		struct dmarc_dkim *k = &d->dkim[d->ndkim];

		*k = q->dkim[i];
		if (domain_normalise(a, k->domain, &k->domain))
			d->ndkim++;
	}
	if (!dmarc_from_domains(a, q->from, q->nfrom, from, DMARC_DOMAINS_MAX, &d->n, &too_many, &problem))
		end(d, AUTH_PERMERROR, problem);
	else if (too_many)
		end(d, AUTH_PERMERROR, "From: names more than 8 different domains");
	for (size_t i = 0; i < d->n; i++)
		d->domains[i].r = (struct dmarc_result){ .from = from[i], .tag = "" };
	if (d->n)
		d->result.from = from[0];
	return d;
}

/* ---- which record ---- */

struct found {
	struct dmarc_record record;
	struct span domain;		/* whose it is */
	struct span organisation;	/* of From: */
};

/* RFC 7489, 6.6.3; a public suffix has a say when it says that it is one (RFC 9091, psd=y). */
static enum state
discover_psl(struct dmarc *d, struct span from, struct found *f)
{
	struct span org = dmarc_psl_organisation(d->q.psl, from), tries[3] = { from };
	struct dmarc_found found[3];
	size_t n = 1;

	f->organisation = org;
	if (!span_eq(org, from))
		tries[n++] = org;
	if (span_find(org, '.') < org.n)
		tries[n++] = span_from(org, span_find(org, '.') + 1);
	for (size_t i = 0; i < n && i < 2; i++)	/* both leave at once */
		found[i] = dmarc_look(d->book, tries[i]);
	for (size_t i = 0; i < n; i++) {
		bool suffix = tries[i].n < org.n;

		if (i == 2 || suffix)
			found[i] = dmarc_look(d->book, tries[i]);
		if (found[i].state == DMARC_LOOK_WAIT)
			return WAIT;
		if (found[i].state == DMARC_LOOK_FAILED)
			return FAILED;
		if (found[i].state == DMARC_LOOK_SEVERAL)
			return NO;	/* ends it (6.6.3, step 5) */
		if (found[i].state != DMARC_LOOK_ONE || (suffix && found[i].record.psd != DMARC_PSD_YES))
			continue;
		f->record = found[i].record;
		f->domain = tries[i];
		return dmarc_record_settle(&f->record, false) ? YES : NO;
	}
	return NO;
}

static enum state
discover_walk(struct dmarc *d, struct span from, struct found *f)
{
	struct dmarc_walk w;

	switch (dmarc_walk(d->book, from, &w)) {
	case DMARC_WALK_WAIT:
		return WAIT;
	case DMARC_WALK_FAILED:
		return FAILED;
	case DMARC_WALK_DONE:
		break;
	}
	f->organisation = w.organisation;
	if (!w.has_policy)
		return NO;
	f->record = w.policy;
	f->domain = w.policy_domain;
	return dmarc_record_settle(&f->record, true) ? YES : NO;
}

/* ---- alignment ---- */

static bool
is_within(struct span name, struct span domain)
{
	return span_eq(name, domain) || (name.n > domain.n && name.p[name.n - domain.n - 1] == '.' &&
	    span_ends_nocase(name, domain));
}

static enum state
aligned(struct dmarc *d, const struct found *f, struct span from, struct span domain, bool strict)
{
	struct dmarc_walk w;

	if (domain.n == 0)
		return NO;
	if (span_eq(domain, from))
		return YES;
	if (strict || !is_within(domain, f->organisation))
		return NO;
	if (d->q.discovery == DMARC_PSL)
		return span_eq(dmarc_psl_organisation(d->q.psl, domain), f->organisation) ? YES : NO;
	switch (dmarc_walk(d->book, domain, &w)) {
	case DMARC_WALK_WAIT:
		return WAIT;
	case DMARC_WALK_FAILED:
		return FAILED;
	case DMARC_WALK_DONE:
		break;
	}
	return span_eq(w.organisation, f->organisation) ? YES : NO;
}

struct vouched {
	bool waiting;
	bool unsure;		/* something aligned, or perhaps aligned, could not be checked */
};

static void
vouch(struct dmarc *d, const struct found *f, struct dmarc_result *r, enum auth_result result,
    struct span domain, bool strict, bool *set, struct vouched *v)
{
	if (result != AUTH_PASS && result != AUTH_TEMPERROR)
		return;
	switch (aligned(d, f, r->from, domain, strict)) {
	case WAIT:
		v->waiting = true;
		break;
	case FAILED:
		v->unsure = true;
		break;
	case YES:
		if (result == AUTH_PASS) {
			*set = true;
			if (r->aligned.n == 0)
				r->aligned = domain;
		} else
			v->unsure = true;
		break;
	case NO:
		break;
	}
}

/* ---- policy ---- */

/* RFC 9091, 2.7: neither A nor AAAA nor MX. RFC 9989: NXDOMAIN. What is not known is taken for there. */
static enum state
exists(struct dmarc *d, struct span from)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA, DNS_MX };
	size_t n = d->q.discovery == DMARC_PSL ? 3 : 1;
	bool waiting = false, there = false;

	for (size_t i = 0; i < n; i++) {
		const struct dns_reply *r = dns_book_ask(d->book, from, types[i]);

		if (r == NULL)
			waiting = true;
		else
			there |= dns_reply_failed(r) || r->n > 0 ||
			    (n == 1 && r->status != DNS_NXDOMAIN);
	}
	return there ? YES : waiting ? WAIT : NO;
}

/* p, sp or np: false while it hangs on an answer. Where nothing hangs on it np is not looked into. */
static bool
choose_policy(struct dmarc *d, const struct found *f, struct dmarc_result *r, bool matters)
{
	const struct dmarc_record *c = &f->record;
	enum state there = YES;

	r->policy = c->p;
	r->tag = "p";
	if (span_eq(f->domain, r->from))
		return true;
	if (c->has_sp) {
		r->policy = c->sp;
		r->tag = "sp";
	}
	if (matters && c->has_np && c->np != r->policy && (there = exists(d, r->from)) == WAIT)
		return false;
	if (there == NO) {
		r->policy = c->np;
		r->tag = "np";
	}
	return true;
}

/* What is wished for now: pct= spares some (RFC 7489, 6.6.4), t=y all, by one step (RFC 9989, 4.7). */
static void
soften(struct dmarc *d, const struct dmarc_record *c, struct dmarc_result *r)
{
	r->disposition = r->policy;
	if (d->q.discovery == DMARC_PSL)
		r->sampled_out = r->policy != DMARC_NONE && d->q.sample >= c->pct;
	else
		r->testing = r->policy != DMARC_NONE && c->testing;
	if (r->sampled_out || r->testing)
		r->disposition = r->policy == DMARC_REJECT ? DMARC_QUARANTINE : DMARC_NONE;
}

static bool
wants_report(const struct dmarc *d, const struct dmarc_record *c, const struct dmarc_result *r)
{
	bool dkim_failed = false;

	for (size_t i = 0; i < d->ndkim; i++)
		dkim_failed |= d->dkim[i].result != AUTH_PASS;
	return c->ruf && (((c->fo & DMARC_FO_ALL) && !r->spf_aligned && !r->dkim_aligned) ||
	    ((c->fo & DMARC_FO_ANY) && !(r->spf_aligned && r->dkim_aligned)) ||
	    ((c->fo & DMARC_FO_DKIM) && dkim_failed) ||
	    ((c->fo & DMARC_FO_SPF) && d->q.spf != AUTH_PASS && d->q.spf != AUTH_NONE));
}

static bool
conclude(struct dmarc *d, struct judged *j, enum auth_result result, const char *reason)
{
	j->r.result = result;
	j->r.reason = span_str(reason);
	j->done = true;
	return true;
}

static bool
failed(struct dmarc *d, struct judged *j, const struct found *f)
{
	struct dmarc_result *r = &j->r;

	if (!choose_policy(d, f, r, true))
		return false;
	soften(d, &f->record, r);
	return conclude(d, j, AUTH_FAIL, arena_printf(d->a, "nothing that SPF or DKIM vouches for is aligned "
	    "with " SPAN_FMT "; %s=%s of " SPAN_FMT "%s", SPAN_ARG(r->from), r->tag,
	    dmarc_policy_name(r->policy), SPAN_ARG(f->domain), r->sampled_out ? ", spared by pct=" :
	    r->testing ? ", softened by t=y" : ""));
}

/* true: j is done. */
static bool
judge(struct dmarc *d, struct judged *j)
{
	struct dmarc_result *r = &j->r;
	struct vouched v = { 0 };
	struct found f = { 0 };

	switch (d->q.discovery == DMARC_PSL ? discover_psl(d, r->from, &f) : discover_walk(d, r->from, &f)) {
	case WAIT:
		return false;
	case FAILED:
		return conclude(d, j, AUTH_TEMPERROR, arena_printf(d->a, "the DNS does not say whether "
		    SPAN_FMT " has a policy", SPAN_ARG(r->from)));
	case NO:
		r->organisation = f.organisation;
		return conclude(d, j, AUTH_NONE, arena_printf(d->a, SPAN_FMT " has no usable DMARC record",
		    SPAN_ARG(r->from)));
	case YES:
		break;
	}
	r->organisation = f.organisation;
	r->record = f.record.text;
	r->record_domain = f.domain;
	r->spf_aligned = r->dkim_aligned = false;
	r->aligned = none;
	vouch(d, &f, r, d->q.spf, d->spf_domain, f.record.strict_spf, &r->spf_aligned, &v);
	for (size_t i = 0; i < d->ndkim; i++)
		vouch(d, &f, r, d->dkim[i].result, d->dkim[i].domain, f.record.strict_dkim, &r->dkim_aligned, &v);
	if (v.waiting)
		return false;
	r->report_failure = wants_report(d, &f.record, r);
	if (r->spf_aligned || r->dkim_aligned) {
		(void)choose_policy(d, &f, r, false);
		return conclude(d, j, AUTH_PASS, arena_printf(d->a, "%s vouch%s for " SPAN_FMT ", aligned with "
		    SPAN_FMT, r->spf_aligned && r->dkim_aligned ? "SPF and DKIM" :
		    r->spf_aligned ? "SPF" : "DKIM", r->spf_aligned && r->dkim_aligned ? "" : "es",
		    SPAN_ARG(r->aligned), SPAN_ARG(r->from)));
	}
	if (v.unsure)
		return conclude(d, j, AUTH_TEMPERROR, arena_printf(d->a, "what could vouch for " SPAN_FMT
		    " could not be checked now", SPAN_ARG(r->from)));
	return failed(d, j, &f);
}

static int
gravity(enum auth_result r)
{
	return r == AUTH_FAIL ? 4 : r == AUTH_TEMPERROR ? 3 : r == AUTH_PERMERROR ? 2 : r == AUTH_NONE ? 1 : 0;
}

bool
dmarc_step(struct dmarc *d)
{
	const struct dmarc_result *worst = NULL;
	bool all = true;

	if (d->done)
		return true;
	for (size_t i = 0; i < d->n; i++)
		if (!d->domains[i].done && !judge(d, &d->domains[i]))
			all = false;
	if (!all)
		return false;
	for (size_t i = 0; i < d->n; i++) {
		const struct dmarc_result *r = &d->domains[i].r;

		if (worst == NULL || gravity(r->result) > gravity(worst->result) ||
		    (r->result == AUTH_FAIL && worst->result == AUTH_FAIL && r->disposition > worst->disposition))
			worst = r;
	}
	d->result = *worst;
	d->done = true;
	return true;
}

void
dmarc_abort(struct dmarc *d)
{
	if (!d->done)
		end(d, AUTH_TEMPERROR, "the DNS did not answer in time");
}

const struct dmarc_result *
dmarc_result(const struct dmarc *d)
{
	ASSERT(d->done);
	return &d->result;
}
