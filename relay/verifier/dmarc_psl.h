/* dmarc_psl.h -- organisational domains by the Public Suffix List (RFC 7489, 3.2), through libpsl. */
#ifndef VERIFIER_DMARC_PSL_H
#define VERIFIER_DMARC_PSL_H

#include "verifier/dmarc.h"

/* The public suffix and one label more; the domain itself when it is a public suffix. domain: A-labels,
 * lower case. The span lies in domain. */
struct span dmarc_psl_organisation(const struct dmarc_psl *l, struct span domain);

#endif
