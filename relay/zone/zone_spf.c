/* zone_spf.c -- does the SPF record of a domain let one of our addresses send?
 *
 * Judged by the evaluator that judges strangers, so what is said here is what
 * receivers will say. `+all` lets us send too, and is wrong all the same.
 */
#include "verifier/dns_question.h"
#include "verifier/spf.h"
#include "zone/zone.h"

/* false: an answer is on its way. */
static bool
pump(struct zone *z, struct dns_book *b, struct spf *s)
{
	struct dns_question q;

	while (!spf_step(s))
		while (dns_book_next(b, &q)) {
			const struct dns_answer *a = zone_ask(z, q.name, q.type);

			if (z->pending)
				return false;
			dns_book_answer(b, q.id, a);
		}
	return true;
}

static bool
is_all(struct span term)
{
	return span_is_nocase(term, "all") || span_is_nocase(term, "+all");
}

bool
spf_covers(struct zone *z, const char *domain, struct ip ip, const char **why)
{
	struct spf_request q = { .ip = ip, .helo = span_str(domain), .helo_only = true, .serial = true,
		.receiver = z->conf->hostname };
	struct dns_book *b = dns_book_new(z->a);
	struct spf *s = spf_new(z->a, b, &q);
	const struct spf_result *r;

	*why = NULL;
	if (!pump(z, b, s))
		return true;		/* judged when it is there */
	r = spf_result(s);
	if (r->result == AUTH_PERMERROR || r->result == AUTH_TEMPERROR)
		*why = arena_printf(z->a, "receivers will call it an error: " SPAN_FMT, SPAN_ARG(r->problem));
	else if (r->result == AUTH_PASS && r->npath && is_all(r->path[r->npath - 1].term))
		*why = "`+all` lets the whole world send in your name";
	return r->result == AUTH_PASS;
}
