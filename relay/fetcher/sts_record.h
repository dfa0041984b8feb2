/* sts_record.h -- the one record of MTA-STS among the TXT records of a name. */
#ifndef FETCHER_STS_RECORD_H
#define FETCHER_STS_RECORD_H

#include "net/dns.h"
#include "fetcher/sts_policy.h"

/* What was answered for _mta-sts.DOMAIN. Others are passed over; two of them, or one that is not to
 * the letter, are as good as none (RFC 8461, 3.1). */
bool sts_record_of(const struct dns_answer *a, char id[STS_ID_MAX + 1]);

#endif
