/* spf.c -- who is to be checked, and by which engine; see spf.h. */
#include "addr.h"
#include "master/counters.h"
#include "verifier/spf_eval.h"
#include "verifier/spf_libspf2.h"

struct spf {
	struct arena *a;
	struct spf_request r;
	struct spf_eval eval;
	struct spf_second *second;	/* NULL: not asked, or not begun */
	struct spf_result result;
	bool begun_second;
	bool done;
};

const char *
spf_engine_name(enum spf_engine e)
{
	static const char *const names[] = { [SPF_STRICT] = "strict", [SPF_LIBSPF2] = "libspf2",
		[SPF_BOTH] = "both" };

	return names[e];
}

/* A-labels, where it is not ASCII; as written else. false: no domain. */
static bool
to_ascii(struct arena *a, struct span d, struct span *out)
{
	*out = d;
	if (d.n && d.p[d.n - 1] == '.')
		out->n--;
	for (size_t i = 0; i < d.n; i++)
		if ((unsigned char)d.p[i] >= 0x80)
			return domain_normalise(a, *out, out);
	return true;
}

/* The last @ separates; without one, or with nothing before it, it is the postmaster's (4.3). */
static void
split(struct span sender, struct span *local, struct span *domain)
{
	size_t at = sender.n;

	while (at > 0 && sender.p[at - 1] != '@')
		at--;
	*local = span_sub(sender, 0, at ? at - 1 : 0);
	*domain = span_from(sender, at);
	if (local->n == 0)
		*local = SPAN_LIT("postmaster");
}

/* Family 4 for what is written as ::ffff:1.2.3.4, wherever the address comes from (5). */
static struct ip
unmapped(struct ip ip)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct ip v4 = { .family = 4 };

	if (ip.family != 6 || memcmp(ip.b, mapped, sizeof(mapped)) != 0)
		return ip;
	memcpy(v4.b, ip.b + 12, 4);
	return v4;
}

static void
nothing_to_check(struct spf *s, const char *why)
{
	s->result.result = AUTH_NONE;
	s->result.problem = span_str(why);
	s->done = true;
}

struct spf *
spf_new(struct arena *a, struct dns_book *book, const struct spf_request *r)
{
	struct spf *s = arena_zalloc(a, sizeof(*s));
	struct spf_eval *e = &s->eval;
	struct span domain;

	s->a = a;
	s->r = *r;
	e->a = a;
	e->book = book;
	e->explain = r->explain;
	e->serial = r->serial;
	e->result = &s->result;
	e->names = (struct spf_names){ .receiver = r->receiver, .ip = unmapped(r->ip), .now = r->now };
	s->result.identity = r->helo_only || r->mail_from.n == 0 ? SPF_HELO : SPF_MAILFROM;
	if (r->helo.n > SPF_SENDER_MAX || r->mail_from.n > SPF_SENDER_MAX) {
		nothing_to_check(s, "the sender or the name of HELO is longer than 1024 bytes");
		return s;
	}
	if (!to_ascii(a, r->helo, &e->names.helo))
		e->names.helo = r->helo;
	if (s->result.identity == SPF_HELO) {
		e->names.local = SPAN_LIT("postmaster");
		domain = r->helo;
	} else
		split(r->mail_from, &e->names.local, &domain);
	if (r->ip.family == 0) {
		nothing_to_check(s, "the address of the client is not known");
		return s;
	}
	if (!to_ascii(a, domain, &domain) || !dns_name_ok(domain) ||
	    span_find(domain, '.') == domain.n) {
		nothing_to_check(s, s->result.identity == SPF_HELO ?
		    "HELO does not name a domain that could have a record" :
		    "the sender has no domain that could have a record");
		return s;
	}
	e->names.sender_domain = domain;
	s->result.domain = arena_lower(a, domain);
	spf_eval_begin(e, domain);
	return s;
}

static bool
step_second(struct spf *s)
{
	enum auth_result r;

	if (!s->begun_second) {
		s->begun_second = true;
		s->second = spf_second_new(s->a, s->eval.book, &s->eval.names);
	}
	if (!spf_second_step(s->second, &r))
		return false;
	if (s->r.engine == SPF_LIBSPF2) {
		s->result.result = r;
		s->result.record_domain = s->result.domain;
		s->result.problem = spf_second_problem(s->second);
		return true;
	}
	s->result.compared = true;
	s->result.second = r;
	s->result.disagrees = r != s->result.result;
	counter_add(COUNTER_SPF_COMPARED, 1);
	counter_add(COUNTER_SPF_DISAGREEMENTS, s->result.disagrees);
	return true;
}

bool
spf_step(struct spf *s)
{
	if (s->done)
		return true;
	if (s->r.engine != SPF_LIBSPF2 && !spf_eval_step(&s->eval))
		return false;
	if (s->r.engine != SPF_STRICT && !step_second(s))
		return false;
	s->done = true;
	return true;
}

void
spf_abort(struct spf *s)
{
	if (s->done)
		return;
	s->done = true;
	if (s->r.engine == SPF_LIBSPF2) {
		s->result.result = AUTH_TEMPERROR;
		s->result.problem = SPAN_LIT("the DNS did not answer in time");
	} else
		spf_eval_finish(&s->eval, AUTH_TEMPERROR, SPAN_LIT("the DNS did not answer in time"));
}

const struct spf_result *
spf_result(const struct spf *s)
{
	ASSERT(s->done);
	return &s->result;
}
