/* fuzz_sts.c -- what strangers say of their TLS: the MTA-STS record, the policy, the TLSRPT record.
 * What is taken stays in its bounds, is safe to print, and reads the same once written again. */
#include "fetcher/sts_policy.h"
#include "postern/err.h"
#include "store/tlsrpt_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
policy(struct span in)
{
	static struct sts_policy p, q;
	const char *why = NULL;
	struct buf b;

	if (!sts_policy_parse(in, &p, &why)) {
		ASSERT(why != NULL);
		return;
	}
	ASSERT(p.nmx <= STS_MX_MAX && p.max_age <= STS_AGE_MAX && p.mode < STS_MODES);
	ASSERT(p.mode == STS_MODE_NONE || p.nmx > 0);
	for (size_t i = 0; i < p.nmx; i++) {
		ASSERT(p.mx[i].n > 0 && p.mx[i].n <= 255);
		for (size_t k = 0; k < p.mx[i].n; k++)
			ASSERT(p.mx[i].p[k] > ' ' && p.mx[i].p[k] <= '~');
		ASSERT(sts_policy_lists(&p, p.mx[i]) || p.mx[i].p[0] == '*');
	}
	buf_init(&b, STS_BODY_MAX);
	sts_policy_write(&b, &p);
	ASSERT(!buf_failed(&b) && sts_policy_parse(buf_data(&b), &q, &why));
	ASSERT(q.mode == p.mode && q.max_age == p.max_age && q.nmx == p.nmx);
	for (size_t i = 0; i < p.nmx; i++)
		ASSERT(span_eq(p.mx[i], q.mx[i]));
	buf_release(&b);
}

static void
tlsrpt(struct span in)
{
	struct span uris[TLSRPT_URIS_MAX];
	char address[TLSRPT_ADDRESS_MAX];
	size_t n;

	if (!tlsrpt_record_parse(in, uris, &n))
		return;
	ASSERT(n <= TLSRPT_URIS_MAX);
	for (size_t i = 0; i < n; i++) {
		ASSERT(uris[i].n <= TLSRPT_URI_MAX);
		if (tlsrpt_uri_address(uris[i], address))
			for (const char *p = address; *p; p++)
				ASSERT(*p > ' ' && *p <= '~' && *p != '<' && *p != '>');
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = { (const char *)data, size };
	char id[STS_ID_MAX + 1];

	if (sts_record_parse(in, id))
		ASSERT(sts_record_is(in) && id[0] != '\0' && strlen(id) <= STS_ID_MAX);
	policy(in);
	tlsrpt(in);
	return 0;
}
