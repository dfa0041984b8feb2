/* sts_record.c -- the one record of MTA-STS among the TXT records of a name. */
#include "fetcher/sts_record.h"

bool
sts_record_of(const struct dns_answer *a, char id[STS_ID_MAX + 1])
{
	struct span found = { 0 };
	size_t n = 0;

	if (a->status != DNS_OK)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (sts_record_is(dns_data(a, &a->records[i]))) {
			found = dns_data(a, &a->records[i]);
			n++;
		}
	return n == 1 && sts_record_parse(found, id);
}
