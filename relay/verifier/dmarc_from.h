/* dmarc_from.h -- the domains in From: (RFC 5322, 3.4, 3.6.2, with the obsolete forms of 4.4). Pure.
 *
 * Written for judging, not for showing: where a field can be read in two ways,
 * all domains that a reader might take for the author's are listed.
 */
#ifndef VERIFIER_DMARC_FROM_H
#define VERIFIER_DMARC_FROM_H

#include "postern/arena.h"

/* The different domains of all fields, A-labels, lower case; n at most max, more than max is said by
 * *too_many. false: *problem says why a field names none (an address without domain, a literal, junk). */
bool dmarc_from_domains(struct arena *a, const struct span *fields, size_t nfields,
    struct span *out, size_t max, size_t *n, bool *too_many, const char **problem);

#endif
