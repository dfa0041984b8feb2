/* fuzz_dns.c -- DNS packets from strangers: whatever they hold, records stay within bounds and
 * names are host names. */
#include "net/dns.h"
#include "postern/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = { DNS_A, DNS_MX, DNS_AAAA, DNS_TXT, DNS_TLSA, DNS_CNAME,
		DNS_PTR };
	static struct dns_answer a;

	for (size_t t = 0; t < sizeof(types) / sizeof(*types); t++) {
		dns_read(span_make((const char *)data, size), types[t], &a);
		ASSERT(a.n + a.odd <= DNS_RECORDS_MAX);
		for (size_t i = 0; i < a.odd; i++)
			ASSERT(!dns_name_ok(span_str(a.records[DNS_RECORDS_MAX - 1 - i].name)));
		ASSERT(a.ndata <= DNS_DATA_MAX);
		ASSERT((a.n > 0) == (a.status == DNS_OK));
		for (size_t i = 0; i < a.n; i++) {
			struct span name = span_str(a.records[i].name);

			if (types[t] == DNS_TXT || types[t] == DNS_TLSA)
				ASSERT(a.records[i].at + a.records[i].size <= a.ndata);
			else if (types[t] != DNS_A && types[t] != DNS_AAAA)
				ASSERT(name.n == 0 || dns_name_ok(name));
			else
				ASSERT(a.records[i].ip.family == 4 || a.records[i].ip.family == 6);
		}
	}
	return 0;
}
