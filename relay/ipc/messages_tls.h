/* messages_tls.h -- the bodies of the frames about MTA-STS (RFC 8461) and TLS reports (RFC 8460). */
#ifndef IPC_MESSAGES_TLS_H
#define IPC_MESSAGES_TLS_H

#include "ipc/messages.h"

/* What TLS with a server came to, as RFC 8460, 4.3 names it. X(NAME, "result-type") */
#define TLS_RESULTS(X) \
	X(SUCCESS, "success") \
	X(STARTTLS, "starttls-not-supported") \
	X(HOST_MISMATCH, "certificate-host-mismatch") \
	X(EXPIRED, "certificate-expired") \
	X(NOT_TRUSTED, "certificate-not-trusted") \
	X(VALIDATION, "validation-failure") \
	X(TLSA_INVALID, "tlsa-invalid") \
	X(DNSSEC_INVALID, "dnssec-invalid") \
	X(DANE_REQUIRED, "dane-required") \
	X(STS_FETCH, "sts-policy-fetch-error") \
	X(STS_INVALID, "sts-policy-invalid") \
	X(STS_WEBPKI, "sts-webpki-invalid")
enum tls_result {
#define X(name, text) TLS_RESULT_##name,
	TLS_RESULTS(X)
#undef X
	TLS_RESULT_COUNT
};
const char *tls_result_name(enum tls_result r);

/* The kind of policy a server was held against (RFC 8460, 4.4: policy-type). */
enum tls_kind { TLS_KIND_NONE, TLS_KIND_TLSA, TLS_KIND_STS, TLS_KINDS };
const char *tls_kind_name(enum tls_kind k);	/* "no-policy-found" … */

/* ---- STS_ASK: the policy of a domain; ticket answers with STS_ANSWER ---- */
struct msg_sts_ask {
	struct span domain;	/* A-labels, lower case */
	struct span id;		/* of its TXT record; "": there is none, or none could be had */
};
struct msg_sts_answer {
	bool found;		/* a policy that holds now */
	bool cached;		/* it was there already */
	int64_t fetched;	/* Unix microseconds */
	struct span id;
	struct span body;	/* the policy, as sts_policy_write wrote it */
	enum tls_result trouble;	/* what kept a new policy from being had; SUCCESS: nothing */
	bool repeated;		/* the trouble is not of this moment: it was told before */
	struct span why;
};

/* ---- TLS_SEEN: so many sessions came to this ---- */
#define TLS_TEXT_MAX 1024	/* each text below; policy and mx: TLS_POLICY_MAX */
#define TLS_POLICY_MAX (32u << 10)
struct msg_tls_seen {
	int64_t day;		/* UTC, days since 1970 */
	uint32_t count;
	struct span domain;
	enum tls_kind kind;
	struct span policy;	/* lines of the policy, TLSA records; '\n' between */
	struct span mx;		/* patterns of the policy, '\n' between */
	enum tls_result result;
	struct ip local, remote;
	struct span host, helo;	/* of the receiving server */
	struct span reason;
};

/* ---- RUA_ASK: ticket answers with RUA ---- */
struct msg_rua_ask { struct span domain; };
enum rua_status { RUA_FOUND, RUA_NONE, RUA_FAILED /* ask again later */, RUA_STATUSES };
struct msg_rua {
	enum rua_status status;
	struct span text;	/* the record */
};

/* ---- POST: a report to an https: URL; ticket answers with POSTED ---- */
struct msg_post { struct span url, body; };
struct msg_posted {
	bool ok;
	struct span text;	/* "HTTP status 201", or why not */
};

MSG_CODEC(sts_ask);
MSG_CODEC(sts_answer);
MSG_CODEC(tls_seen);
MSG_CODEC(rua_ask);
MSG_CODEC(rua);
MSG_CODEC(post);
MSG_CODEC(posted);

#endif
