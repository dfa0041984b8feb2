/* sts_policy.h -- what a domain says of its mail servers: the record and the policy of MTA-STS
 * (RFC 8461, 3), read and matched.
 *
 * Pure: bytes in, values out. Both texts come from whoever owns a domain: all is bounded, unknown
 * fields are passed over as the RFC wants, and what is not to the letter is no policy. Used by the
 * fetcher (which keeps policies), delivery (which heeds them) and `postern dns`.
 */
#ifndef FETCHER_STS_POLICY_H
#define FETCHER_STS_POLICY_H

#include "buf.h"
#include "postern/span.h"

#define STS_ID_MAX 32
#define STS_BODY_MAX (64u << 10)	/* RFC 8461, 3.3: the larger is not read */
#define STS_MX_MAX 100			/* patterns; with more it is invalid */
#define STS_AGE_MAX 31557600u		/* seconds, about a year (RFC 8461, 3.2); more is that much */

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE, STS_MODES };
const char *sts_mode_name(enum sts_mode m);	/* "enforce" */

struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age;		/* seconds */
	struct span mx[STS_MX_MAX];	/* borrowed from the text: "mx.example.net", "*.example.net" */
	size_t nmx;
};

/* true: id holds the record's. false: it is no record of STSv1, or not to the letter. Which of
 * several TXT records counts is the caller's: more than one that sts_record_is() is none. */
bool sts_record_parse(struct span txt, char id[STS_ID_MAX + 1]);
bool sts_record_is(struct span txt);
/* The body of /.well-known/mta-sts.txt. false: why says what is wrong, a static text. */
bool sts_policy_parse(struct span body, struct sts_policy *p, const char **why);
/* Is this mail server among those named? A wildcard stands for exactly one label (RFC 8461, 4.1). */
bool sts_policy_lists(const struct sts_policy *p, struct span host);
/* One pattern against one name. */
bool sts_pattern_matches(struct span pattern, struct span host);
/* The policy as text again, with the fields we know and no others. */
void sts_policy_write(struct buf *b, const struct sts_policy *p);

#endif
