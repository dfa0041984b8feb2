/* spf_libspf2.c -- libspf2 as the second engine; see spf_libspf2.h. */
#include <netdb.h>
#include <netinet/in.h>
#include <spf2/spf.h>
#include <spf2/spf_log.h>

#include "postern/err.h"
#include "verifier/spf_libspf2.h"

#define HOSTS_MAX 64

struct spf_second {
	struct arena *a;
	struct dns_book *book;
	const struct spf_names *names;
	SPF_dns_server_t dns;
	struct span problem;
	/* of the run under way */
	bool missing;		/* a question without an answer: the run is worth nothing */
	bool over;		/* over one of our limits: permerror */
	bool late;		/* one TXT beyond the limit: the explanation, which it always fetches, if it failed */
	unsigned questions, lookups, voids;
	struct span hosts[HOSTS_MAX];	/* named by an mx or a ptr: their look-ups are not terms of their own */
	size_t nhosts;
};

static bool
is_host(const struct spf_second *s, struct span name)
{
	for (size_t i = 0; i < s->nhosts; i++)
		if (span_eq_nocase(s->hosts[i], name))
			return true;
	return false;
}

static void
fill(SPF_dns_rr_t *rr, int i, ns_type type, const struct dns_item *item)
{
	size_t n = type == ns_t_a ? 4 : type == ns_t_aaaa ? 16 : item->text.n + 1;

	if (SPF_dns_rr_buf_realloc(rr, i, n) != SPF_E_SUCCESS)
		memory_failed();
	if (type == ns_t_a || type == ns_t_aaaa) {
		memcpy(rr->rr[i], item->ip.b, n);
		return;
	}
	memcpy(rr->rr[i]->txt, item->text.p, item->text.n);
	rr->rr[i]->txt[item->text.n] = '\0';
}

static SPF_dns_rr_t *
reply(SPF_dns_server_t *dns, const char *domain, ns_type type, SPF_dns_stat_t status)
{
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(dns, domain, type, 0, status);

	ASSERT_MEMORY(rr);
	return rr;
}

static bool
usable(ns_type type, const struct dns_item *item)
{
	if (type == ns_t_a)
		return item->ip.family == 4;
	if (type == ns_t_aaaa)
		return item->ip.family == 6;
	return item->text.n == 0 || memchr(item->text.p, '\0', item->text.n) == NULL;
}

static SPF_dns_rr_t *
records(struct spf_second *s, const char *domain, ns_type type, const struct dns_reply *r)
{
	SPF_dns_rr_t *rr;
	int n = 0;

	rr = reply(&s->dns, domain, type, NETDB_SUCCESS);
	for (size_t i = 0; i < r->n; i++) {
		if (!usable(type, &r->items[i]))
			continue;
		fill(rr, n++, type, &r->items[i]);
		if ((type == ns_t_mx || type == ns_t_ptr) && s->nhosts < HOSTS_MAX)
			s->hosts[s->nhosts++] = r->items[i].text;
	}
	rr->num_rr = n;
	if (n == 0)
		rr->herrno = NO_DATA;
	return rr;
}

/* One more question. */
static bool
within_limits(struct spf_second *s, struct span name, ns_type type)
{
	bool of_host = (type == ns_t_a || type == ns_t_aaaa) && is_host(s, name);

	if (!of_host && s->lookups == SPF_SECOND_LOOKUPS_MAX && type == ns_t_txt && !s->late)
		s->late = true;
	else if (!of_host && ++s->lookups > SPF_SECOND_LOOKUPS_MAX)
		s->over = true;
	if (++s->questions > SPF_SECOND_QUESTIONS_MAX)
		s->over = true;
	return !s->over;
}

static SPF_dns_rr_t *
look_up(SPF_dns_server_t *dns, const char *domain, ns_type type, int cache)
{
	struct spf_second *s = dns->hook;
	struct span name = span_str(domain);
	const struct dns_reply *r;

	/* records of type SPF are no more (RFC 7208, 3.1) */
	if (type != ns_t_a && type != ns_t_aaaa && type != ns_t_mx && type != ns_t_ptr && type != ns_t_txt)
		return reply(dns, domain, type, NO_DATA);
	if (s->missing || !within_limits(s, name, type))
		return reply(dns, domain, type, TRY_AGAIN);
	if ((r = dns_book_ask(s->book, name, (uint16_t)type)) == NULL) {
		s->missing = true;
		return reply(dns, domain, type, TRY_AGAIN);
	}
	if (dns_reply_failed(r))
		return reply(dns, domain, type, TRY_AGAIN);
	if (r->n)
		return records(s, domain, type, r);
	if (type != ns_t_txt && !is_host(s, name) && ++s->voids > SPF_VOID_MAX) {
		s->over = true;
		return reply(dns, domain, type, TRY_AGAIN);
	}
	return reply(dns, domain, type, r->status == DNS_NXDOMAIN ? HOST_NOT_FOUND : NO_DATA);
}

struct spf_second *
spf_second_new(struct arena *a, struct dns_book *book, const struct spf_names *names)
{
	struct spf_second *s = arena_zalloc(a, sizeof(*s));

	/* It would print to stderr. What it calls an error is out of memory, and aborts. */
	SPF_warning_handler = NULL;
	SPF_info_handler = NULL;
	SPF_debug_handler = NULL;
	s->a = a;
	s->book = book;
	s->names = names;
	s->dns.lookup = look_up;
	s->dns.name = "book";
	s->dns.hook = s;
	return s;
}

static SPF_request_t *
request(const struct spf_second *s, SPF_server_t *server)
{
	SPF_request_t *r = SPF_request_new(server);
	struct in_addr v4;
	struct in6_addr v6;

	ASSERT_MEMORY(r);
	if (s->names->ip.family == 4) {
		memcpy(&v4, s->names->ip.b, sizeof(v4));
		SPF_request_set_ipv4(r, v4);
	} else {
		memcpy(&v6, s->names->ip.b, sizeof(v6));
		SPF_request_set_ipv6(r, v6);
	}
	SPF_request_set_helo_dom(r, arena_str(s->a, s->names->helo));
	SPF_request_set_env_from(r, arena_printf(s->a, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(s->names->local),
	    SPAN_ARG(s->names->sender_domain)));
	return r;
}

static enum auth_result
result_of(SPF_result_t r)
{
	switch (r) {
	case SPF_RESULT_PASS:
		return AUTH_PASS;
	case SPF_RESULT_FAIL:
		return AUTH_FAIL;
	case SPF_RESULT_SOFTFAIL:
		return AUTH_SOFTFAIL;
	case SPF_RESULT_NEUTRAL:
		return AUTH_NEUTRAL;
	case SPF_RESULT_NONE:
		return AUTH_NONE;
	case SPF_RESULT_TEMPERROR:
		return AUTH_TEMPERROR;
	default:
		return AUTH_PERMERROR;
	}
}

bool
spf_second_step(struct spf_second *s, enum auth_result *out)
{
	SPF_server_t *server = SPF_server_new_dns(&s->dns, 0);
	SPF_response_t *response = NULL;
	SPF_request_t *r;

	ASSERT_MEMORY(server);
	s->missing = s->over = s->late = false;
	s->questions = s->lookups = s->voids = 0;
	s->nhosts = 0;
	SPF_server_set_max_dns_mech(server, SPF_TERMS_MAX);
	SPF_server_set_max_dns_ptr(server, SPF_NAMES_MAX);
	SPF_server_set_max_dns_mx(server, SPF_NAMES_MAX);
	SPF_server_set_rec_dom(server, s->names->receiver.n ? arena_str(s->a, s->names->receiver) : "unknown");
	r = request(s, server);
	SPF_request_query_mailfrom(r, &response);
	if (!s->missing) {
		s->over |= s->late && response && SPF_response_result(response) != SPF_RESULT_FAIL;
		*out = s->over ? AUTH_PERMERROR : response ? result_of(SPF_response_result(response)) :
		    AUTH_PERMERROR;
		s->problem = SPAN_LIT("");
		if (s->over)
			s->problem = SPAN_LIT("libspf2 asked for more than RFC 7208, 4.6.4 allows");
		else if (response && SPF_response_errcode(response) != SPF_E_SUCCESS)
			s->problem = span_str(arena_printf(s->a, "libspf2: %s",
			    SPF_strerror(SPF_response_errcode(response))));
	}
	if (response)
		SPF_response_free(response);
	SPF_request_free(r);
	SPF_server_free(server);
	return !s->missing;
}

struct span
spf_second_problem(const struct spf_second *s)
{
	return s->problem;
}
