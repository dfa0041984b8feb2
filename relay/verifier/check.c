/* check.c -- all that is found out about who sent one message; see check.h. */
#include <event2/event.h>
#include <stdlib.h>

#include "clock.h"
#include "master/counters.h"
#include "net/resolver.h"
#include "verifier/check.h"
#include "verifier/dmarc_from.h"
#include "verifier/answer.h"

#define HOSTS_GRACE 2		/* seconds */

struct asked {			/* a question on its way */
	struct check *c;
	struct asked *next;
	struct question *q;	/* NULL: answered */
	unsigned id;
};

struct check {
	struct check_world w;
	struct arena *a;
	struct msg_identify who;
	struct dns_book *book;
	struct asked *asked;
	struct event *timer, *wake;
	bool late;		/* the time is up */
	struct spf_request spf_request;
	struct spf *spf;
	bool spf_done;
	struct dnsbl *dnsbl;
	bool dnsbl_done;
	struct uribl *uribl;	/* NULL: no list is asked about links */
	bool uribl_done;
	struct hosts *hosts;	/* NULL: the client is not known */
	bool hosts_done, hurried;
	/* with the message */
	struct mail mail;
	struct signatures *signatures;
	struct seals *seals;
	bool signatures_done, seals_done, filter_done;
	struct filter *filter;	/* of spam, outside; NULL: none is asked */
	struct facts rated;	/* its spam facts, if it knows */
	const char *unrated;	/* why not */
	struct dmarc_request dmarc_request;
	struct dmarc *dmarc;
	struct span vouched;	/* by that trusted sealer */
	bool done;
	check_cb *cb;
	void *ctx;
};

static void pump(struct check *c);

/* ---- DNS ---- */

static void
heard(void *ctx, const struct dns_answer *answer)
{
	struct asked *q = ctx;
	struct check *c = q->c;

	q->q = NULL;
	dns_book_answer(c->book, q->id, answer);
	pump(c);
}

static void
ask_all(struct check *c)
{
	struct dns_question q;

	while (!c->late && dns_book_next(c->book, &q)) {
		struct asked *x = arena_zalloc(c->a, sizeof(*x));

		*x = (struct asked){ .c = c, .id = q.id, .next = c->asked };
		c->asked = x;
		x->q = resolver_ask(c->w.resolver, q.name, q.type, heard, x);
	}
}

static void
give_up(struct check *c)
{
	for (struct asked *x = c->asked; x; x = x->next)
		if (x->q)
			resolver_cancel(&x->q);
}

/* ---- the steps ---- */

/* Also with a null sender, whose domain is that of HELO: RFC 7208, 2.4. */
static void
begin_spf(struct check *c)
{
	c->spf_request = (struct spf_request){ .ip = c->who.client, .helo = c->who.helo,
		.mail_from = c->who.sender, .receiver = c->w.conf->hostname, .now = clock_real(),
		.engine = (enum spf_engine)c->w.conf->verify.spf };
	if (c->who.client.family == 0)		/* nobody knows where it comes from */
		c->spf_done = true;
	else
		c->spf = spf_new(c->a, c->book, &c->spf_request);
}

static void
begin_dnsbl(struct check *c)
{
	const struct conf_verify *v = &c->w.conf->verify;

	if (v->ndnsbl == 0 || c->who.client.family == 0)
		c->dnsbl_done = true;
	else
		c->dnsbl = dnsbl_new(c->a, c->book, v->dnsbl, v->ndnsbl, c->who.client);
}

static void
begin_hosts(struct check *c)
{
	c->hosts_done = c->who.client.family == 0;
	if (!c->hosts_done)
		c->hosts = hosts_new(c->a, c->book, c->who.client, c->who.helo);
}

static void
begin_dmarc(struct check *c)
{
	struct dmarc_request *r = &c->dmarc_request;
	const struct spf_result *spf = c->spf ? spf_result(c->spf) : NULL;
	const struct signature *sigs;
	struct dmarc_dkim *dkim;
	struct span *from;
	size_t n;

	sigs = signatures_get(c->signatures, &n);
	dkim = arena_array(c->a, n, sizeof(*dkim));
	for (size_t i = 0; i < n; i++)
		dkim[i] = (struct dmarc_dkim){ sigs[i].result, sigs[i].domain };
	from = arena_array(c->a, c->mail.nfields, sizeof(*from));
	*r = (struct dmarc_request){ .from = from, .dkim = dkim, .ndkim = n,
		.spf = spf ? spf->result : AUTH_NONE,
		.spf_domain = spf ? spf->domain : SPAN_LIT(""),
		.discovery = c->w.conf->verify.tree_walk ? DMARC_TREE_WALK : DMARC_PSL,
		.psl = c->w.psl,
		/* the same for the same message, and as good as drawn */
		.sample = (uint8_t)((c->who.id * UINT64_C(0x9e3779b97f4a7c15) >> 32) % 100) };
	for (size_t i = 0; i < c->mail.nfields; i++)
		if (span_is_nocase(mail_field_name(c->mail.fields[i]), "From"))
			from[r->nfrom++] = mail_field_body(c->mail.fields[i]);
	c->dmarc = dmarc_new(c->a, c->book, r);
}

static void
finish(struct check *c)
{
	const struct dmarc_result *d = dmarc_result(c->dmarc);
	const struct conf_verify *conf = &c->w.conf->verify;

	if (d->result == AUTH_FAIL)
		c->vouched = seals_vouch(c->seals, conf->arc_trust, conf->narc_trust);
	c->done = true;
	give_up(c);
	event_del(c->timer);
	event_active(c->wake, EV_TIMEOUT, 0);
}

/* All else is there. Names of clients often lie in zones that nobody looks after: they get a
 * little more time, not all of it. */
static void
hurry(struct check *c)
{
	static const struct timeval grace = { HOSTS_GRACE, 0 };

	if (!c->hurried)
		event_add(c->timer, &grace);
	c->hurried = true;
}

static void
step_message(struct check *c)
{
	if (!c->signatures_done)
		c->signatures_done = signatures_step(c->signatures);
	if (!c->seals_done)
		c->seals_done = seals_step(c->seals);
	if (c->late && !c->signatures_done) {
		signatures_abort(c->signatures);
		c->signatures_done = true;
	}
	if (c->late && !c->seals_done) {
		seals_abort(c->seals);
		c->seals_done = true;
	}
	if (c->late && !c->filter_done) {
		filter_cancel(&c->filter);
		c->filter_done = true;
		c->unrated = "it takes too long";
	}
	if (!c->uribl_done)
		c->uribl_done = uribl_step(c->uribl);
	if (c->late && !c->uribl_done) {
		uribl_abort(c->uribl);
		c->uribl_done = true;
	}
	if (!c->spf_done || !c->dnsbl_done || !c->signatures_done || !c->seals_done ||
	    !c->filter_done || !c->uribl_done)
		return;
	if (c->dmarc == NULL)
		begin_dmarc(c);
	if (!dmarc_step(c->dmarc)) {
		if (!c->late)
			return;
		dmarc_abort(c->dmarc);
	}
	if (!c->hosts_done && !c->late) {
		hurry(c);
		return;
	}
	finish(c);
}

static void
pump(struct check *c)
{
	if (c->done)
		return;
	if (!c->spf_done)
		c->spf_done = spf_step(c->spf);
	if (!c->spf_done && c->late) {
		spf_abort(c->spf);
		c->spf_done = true;
	}
	if (!c->dnsbl_done)
		c->dnsbl_done = dnsbl_step(c->dnsbl);
	if (!c->dnsbl_done && c->late) {
		dnsbl_abort(c->dnsbl);
		c->dnsbl_done = true;
	}
	if (!c->hosts_done)
		c->hosts_done = hosts_step(c->hosts);
	if (!c->hosts_done && c->late) {
		hosts_abort(c->hosts);
		c->hosts_done = true;
	}
	if (c->signatures)
		step_message(c);
	if (!c->done)
		ask_all(c);
}

static void
timed_out(evutil_socket_t fd, short what, void *arg)
{
	struct check *c = arg;

	c->late = true;
	give_up(c);
	pump(c);
}

static void
woken(evutil_socket_t fd, short what, void *arg)
{
	struct check *c = arg;

	c->cb(c->ctx, c);
}

/* DMARC will ask for it when SPF and DKIM are done: it may be on its way meanwhile. */
static void
ask_ahead(struct check *c)
{
	struct span *from = arena_array(c->a, c->mail.nfields, sizeof(*from)), domain;
	const char *problem;
	size_t n = 0, found = 0;
	bool more;

	for (size_t i = 0; i < c->mail.nfields; i++)
		if (span_is_nocase(mail_field_name(c->mail.fields[i]), "From"))
			from[n++] = mail_field_body(c->mail.fields[i]);
	if (dmarc_from_domains(c->a, from, n, &domain, 1, &found, &more, &problem) && found == 1 && !more)
		dns_book_ask(c->book, span_str(arena_printf(c->a, "_dmarc." SPAN_FMT, SPAN_ARG(domain))),
		    DNS_TXT);
}

static void
set_timer(struct check *c)
{
	int64_t us = c->w.conf->verify.timeout;
	struct timeval tv = { us / US_PER_SEC, us % US_PER_SEC };

	c->late = false;
	event_add(c->timer, &tv);
}

struct check *
check_new(const struct check_world *w, const struct msg_identify *who)
{
	struct arena *a = arena_new(0);
	struct check *c = arena_zalloc(a, sizeof(*c));

	c->a = a;
	c->w = *w;
	c->who = *who;
	c->who.helo = arena_span(a, who->helo);
	c->who.sender = arena_span(a, who->sender);
	c->who.listener = arena_span(a, who->listener);
	c->book = dns_book_new(a);
	c->timer = evtimer_new(w->base, timed_out, c);
	c->wake = event_new(w->base, -1, 0, woken, c);
	ASSERT(c->timer != NULL && c->wake != NULL);
	set_timer(c);
	begin_spf(c);
	begin_dnsbl(c);
	begin_hosts(c);
	pump(c);
	return c;
}

static void
rated(void *ctx, const struct facts *f, const char *why)
{
	struct check *c = ctx;

	c->rated = *f;
	c->unrated = why;
	filter_cancel(&c->filter);
	c->filter_done = true;
	pump(c);
}

static bool
is_ours(void *ctx, struct span domain)
{
	return config_domain(ctx, domain) != NULL;
}

static void
begin_uribl(struct check *c, struct span raw)
{
	const struct config *conf = c->w.conf;

	c->uribl_done = conf->verify.nuribl == 0;
	if (!c->uribl_done)
		c->uribl = uribl_new(c->a, c->book, conf->verify.uribl, conf->verify.nuribl, raw,
		    is_ours, (void *)(uintptr_t)conf);
}

static void
begin_filter(struct check *c, struct span raw)
{
	const struct conf_filter *conf = &c->w.conf->filter;

	c->filter_done = !c->w.rate || conf->kind == FILTER_NONE || raw.n > conf->max_size;
	if (!c->filter_done)
		c->filter = filter_ask(c->w.base, conf, &c->who, raw, c->a, rated, c);
}

void
check_message(struct check *c, struct span raw, check_cb *cb, void *ctx)
{
	c->cb = cb;
	c->ctx = ctx;
	set_timer(c);
	mail_open(raw, c->a, &c->mail);
	c->signatures = signatures_new(c->a, c->book, &c->mail, clock_real() / US_PER_SEC);
	c->seals = seals_new(c->a, c->book, &c->mail);
	ask_ahead(c);
	begin_uribl(c, raw);
	begin_filter(c, raw);
	pump(c);
}

void
check_free(struct check **cp)
{
	struct check *c = *cp;
	struct arena *a;

	*cp = NULL;
	if (c == NULL)
		return;
	give_up(c);
	event_free(c->timer);
	event_free(c->wake);
	filter_cancel(&c->filter);
	signatures_free(c->signatures);
	seals_free(c->seals);
	a = c->a;
	arena_free(&a);
}

const struct msg_identify *
check_who(const struct check *c)
{
	return &c->who;
}

/* ---- the answer ---- */

static void
collect(const struct check *c, struct check_found *f)
{
	*f = (struct check_found){ .who = &c->who, .mail = &c->mail, .conf = c->w.conf,
		.spf = c->spf ? spf_result(c->spf) : NULL, .seals = seals_result(c->seals),
		.dmarc = dmarc_result(c->dmarc), .vouched = c->vouched,
		.dnsbl = c->dnsbl ? dnsbl_result(c->dnsbl) : NULL, .uribl = c->uribl, .hosts = c->hosts, .rated = &c->rated,
		.unrated = c->unrated, .reputation = c->w.reputation, .now = clock_real() };
	f->signatures = signatures_get(c->signatures, &f->nsignatures);
	f->dkim = signatures_best(c->signatures);
}

void
check_answer(struct check *c, struct arena *a, struct msg_facts *out)
{
	struct check_found f;

	ASSERT(c->done);
	collect(c, &f);
	counter_add(COUNTER_UNRATED, c->unrated != NULL);
	answer_make(&f, a, out);
}
