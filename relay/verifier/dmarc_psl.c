/* dmarc_psl.c -- organisational domains by the Public Suffix List; see dmarc_psl.h. */
#include <libpsl.h>
#include <stdlib.h>

#include "verifier/dmarc_psl.h"

#define PSL_FILE "/usr/share/publicsuffix/public_suffix_list.dafsa"

struct dmarc_psl {
	psl_ctx_t *psl;
};

struct dmarc_psl *
dmarc_psl_new(const char *file, struct err *err)
{
	struct dmarc_psl *l;
	/* psl_latest: the file, unless what libpsl was built with is newer */
	psl_ctx_t *psl = file ? psl_load_file(file) : psl_latest(PSL_FILE);

	if (psl == NULL || psl_suffix_count(psl) == 0) {
		psl_free(psl);
		err_set(err, 0, "the Public Suffix List %s cannot be read", file ? file : "of the system");
		return NULL;
	}
	l = calloc(1, sizeof(*l));
	ASSERT_MEMORY(l);
	l->psl = psl;
	return l;
}

void
dmarc_psl_free(struct dmarc_psl **lp)
{
	struct dmarc_psl *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	psl_free(l->psl);
	free(l);
}

struct span
dmarc_psl_organisation(const struct dmarc_psl *l, struct span domain)
{
	char text[DNS_NAME_MAX];
	const char *org;

	if (domain.n >= sizeof(text))
		return domain;
	memcpy(text, domain.p, domain.n);
	text[domain.n] = '\0';
	org = psl_registrable_domain(l->psl, text);
	return org ? span_from(domain, (size_t)(org - text)) : domain;
}
