/* dmarc_cases.h -- the cases of tests/corpus/dmarc/; see spf_cases.h for their zones. */
#ifndef TESTS_DMARC_CASES_H
#define TESTS_DMARC_CASES_H

#include "spf_cases.h"
#include "verifier/dmarc.h"

struct dmarc_case {
	struct spf_case dns;		/* id, rfc, why, want, and the zones */
	struct span record;		/* of _dmarc.example.com; p NULL: the zone's */
	struct span asks, tag, header, domain, org, aligned, reason;
	unsigned questions;		/* 0: any number */
	bool spared, testing, report;
	struct dmarc_request request;
};

struct dmarc_suite {
	struct arena *a;
	struct dmarc_case *cases;
	size_t n;
	struct dmarc_psl *psl;
};

static inline enum auth_result
dmarc_case_result(struct span word)
{
	for (int i = AUTH_NONE; i <= AUTH_POLICY; i++)
		if (span_is(word, auth_result_name((enum auth_result)i)))
			return (enum auth_result)i;
	ASSERT(!"a result");
	return AUTH_UNKNOWN;
}

/* "pass example.com" */
static inline struct span
dmarc_case_pair(struct span s, enum auth_result *r)
{
	size_t at = span_find(s, ' ');

	*r = dmarc_case_result(span_sub(s, 0, at));
	return span_from(s, at + 1);
}

static inline void
dmarc_suite_add(void *suite, struct conf_node *file, struct conf_node *c)
{
	struct dmarc_suite *s = suite;
	static const char *const known[] = { "id", "rfc", "why", "want", "record", "zone", "from", "spf", "dkim",
		"sample", "asks", "tag", "header", "domain", "org", "aligned", "reason", "questions", "spared",
		"testing", "report", NULL };
	struct dmarc_case *k = &s->cases[s->n++];
	struct conf_node *from = conf_get(c, "from"), *dkim = conf_get(c, "dkim");
	struct span spf = spf_field(c, "spf", NULL), *fields;
	struct dmarc_dkim *signatures;
	struct diags d;

	ASSERT(s->n <= SUITE_MAX);
	diags_init(&d, s->a);
	conf_check_keys(&d, c, "case", known);
	ASSERT(d.errors == 0);
	k->dns = (struct spf_case){ .id = spf_field(c, "id", ""), .rfc = spf_field(c, "rfc", ""),
		.why = spf_field(c, "why", ""), .want = spf_field(c, "want", ""), .own = conf_get(c, "zone"),
		.shared = conf_get(file, "zone") };
	ASSERT(k->dns.id.n && k->dns.rfc.n && k->dns.why.n && k->dns.want.n);
	k->record = spf_unescape(s->a, spf_field(c, "record", NULL));
	if (conf_get(c, "record") == NULL)
		k->record.p = NULL;
	k->asks = spf_field(c, "asks", NULL);
	k->tag = spf_field(c, "tag", NULL);
	k->header = spf_field(c, "header", NULL);
	k->domain = spf_field(c, "domain", NULL);
	k->org = spf_field(c, "org", NULL);
	k->aligned = spf_field(c, "aligned", NULL);
	k->reason = spf_field(c, "reason", NULL);
	k->questions = (unsigned)atoi(spf_field(c, "questions", "0").p);
	k->spared = conf_get(c, "spared") != NULL;
	k->testing = conf_get(c, "testing") != NULL;
	k->report = conf_get(c, "report") != NULL;
	k->request.psl = s->psl;
	k->request.sample = (uint8_t)atoi(spf_field(c, "sample", "0").p);
	if (span_is(spf_field(file, "discovery", "psl"), "tree-walk"))
		k->request.discovery = DMARC_TREE_WALK;
	k->request.nfrom = from ? from->count : 1;
	k->request.from = fields = arena_array(s->a, k->request.nfrom + 1, sizeof(*fields));
	fields[0] = SPAN_LIT("user@example.com");
	CONF_EACH(f, from)
		*fields++ = f->text;
	k->request.spf = AUTH_NONE;
	if (spf.p)
		k->request.spf_domain = dmarc_case_pair(spf, &k->request.spf);
	k->request.ndkim = dkim ? dkim->count : 0;
	k->request.dkim = signatures = arena_array(s->a, k->request.ndkim, sizeof(*signatures));
	CONF_EACH(g, dkim) {
		signatures->domain = dmarc_case_pair(g->text, &signatures->result);
		signatures++;
	}
}

static inline void
dmarc_suite_load(struct dmarc_suite *s, const char *pattern)
{
	struct err err;

	s->a = arena_new(1 << 16);
	s->cases = arena_array(s->a, SUITE_MAX, sizeof(*s->cases));
	s->psl = dmarc_psl_new(NULL, &err);
	ASSERT(s->psl != NULL);
	cases_load(s->a, pattern, dmarc_suite_add, s);
}

/* As spf_case_answer; the case's `record` stands for the zone's at _dmarc.example.com. */
static inline void
dmarc_case_answer(struct arena *a, const struct dmarc_case *c, struct span name, uint16_t type,
    struct dns_answer *out)
{
	if (type == DNS_TXT && c->record.p && span_is(name, "_dmarc.example.com")) {
		struct spf_case one = { .spf = c->record };

		spf_case_answer(a, &one, SPAN_LIT("example.com"), type, out);
	} else
		spf_case_answer(a, &c->dns, name, type, out);
}

/* order: 0 answers come as asked, 1 the last question first. */
static inline const struct dmarc_result *
dmarc_case_run(struct arena *a, const struct dmarc_case *c, int order, size_t *questions)
{
	static struct dns_answer answer;
	struct dns_book *book = dns_book_new(a);
	struct dmarc *d = dmarc_new(a, book, &c->request);
	struct dns_question open[DNS_BOOK_MAX], q;
	size_t n = 0;

	while (!dmarc_step(d)) {
		while (dns_book_next(book, &open[n]))
			n++;
		ASSERT(n > 0);
		q = open[order == 0 ? 0 : n - 1];
		if (order == 0)
			memmove(open, open + 1, (n - 1) * sizeof(*open));
		n--;
		dmarc_case_answer(a, c, span_str(q.name), q.type, &answer);
		dns_book_answer(book, q.id, &answer);
	}
	*questions = dns_book_count(book);
	return dmarc_result(d);
}

#endif
