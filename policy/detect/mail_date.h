/* mail_date.h -- the date of a message (RFC 5322, 3.3). */
#ifndef DETECT_MAIL_DATE_H
#define DETECT_MAIL_DATE_H

#include "postern/span.h"

/* Unix seconds. false: it cannot be read as a moment. Obsolete forms too: two-digit years, names of
 * zones; a zone nobody knows counts as UTC, as RFC 5322, 4.3 wants it. */
bool mail_date(struct span s, int64_t *seconds);

#endif
