/* messages_tls.c -- codecs of the frames about MTA-STS and TLS reports; see messages_tls.h. */
#include "ipc/messages_tls.h"
#include "postern/err.h"

const char *
tls_result_name(enum tls_result r)
{
	static const char *const names[TLS_RESULT_COUNT] = {
#define X(name, text) [TLS_RESULT_##name] = text,
		TLS_RESULTS(X)
#undef X
	};

	ASSERT(r < TLS_RESULT_COUNT);
	return names[r];
}

const char *
tls_kind_name(enum tls_kind k)
{
	static const char *const names[TLS_KINDS] = { [TLS_KIND_NONE] = "no-policy-found",
		[TLS_KIND_TLSA] = "tlsa", [TLS_KIND_STS] = "sts" };

	ASSERT(k < TLS_KINDS);
	return names[k];
}

ENCODE(sts_ask)
	enc_span(&e, m->domain);
	enc_span(&e, m->id);
}
DECODE(sts_ask)
	m->domain = dec_span(&d);
	m->id = dec_span(&d);
DECODED

ENCODE(sts_answer)
	enc_u8(&e, m->found);
	enc_u8(&e, m->cached);
	enc_i64(&e, m->fetched);
	enc_span(&e, m->id);
	enc_span(&e, m->body);
	enc_u8(&e, (uint8_t)m->trouble);
	enc_u8(&e, m->repeated);
	enc_span(&e, m->why);
}
DECODE(sts_answer)
	m->found = dec_enum(&d, 2);
	m->cached = dec_enum(&d, 2);
	m->fetched = dec_i64(&d);
	m->id = dec_span(&d);
	m->body = dec_span(&d);
	m->trouble = (enum tls_result)dec_enum(&d, TLS_RESULT_COUNT);
	m->repeated = dec_enum(&d, 2);
	m->why = dec_span(&d);
DECODED

ENCODE(tls_seen)
	enc_i64(&e, m->day);
	enc_u32(&e, m->count);
	enc_span(&e, m->domain);
	enc_u8(&e, (uint8_t)m->kind);
	enc_span(&e, m->policy);
	enc_span(&e, m->mx);
	enc_u8(&e, (uint8_t)m->result);
	enc_ip(&e, m->local);
	enc_ip(&e, m->remote);
	enc_span(&e, m->host);
	enc_span(&e, m->helo);
	enc_span(&e, m->reason);
}
DECODE(tls_seen)
	m->day = dec_i64(&d);
	m->count = dec_u32(&d);
	m->domain = dec_span(&d);
	m->kind = (enum tls_kind)dec_enum(&d, TLS_KINDS);
	m->policy = dec_span(&d);
	m->mx = dec_span(&d);
	m->result = (enum tls_result)dec_enum(&d, TLS_RESULT_COUNT);
	m->local = dec_ip(&d);
	m->remote = dec_ip(&d);
	m->host = dec_span(&d);
	m->helo = dec_span(&d);
	m->reason = dec_span(&d);
	if (m->policy.n > TLS_POLICY_MAX || m->mx.n > TLS_POLICY_MAX || m->host.n > TLS_TEXT_MAX ||
	    m->helo.n > TLS_TEXT_MAX || m->reason.n > TLS_TEXT_MAX || m->domain.n > TLS_TEXT_MAX)
		d.bad = true;
DECODED

ENCODE(rua_ask)
	enc_span(&e, m->domain);
}
DECODE(rua_ask)
	m->domain = dec_span(&d);
DECODED

ENCODE(rua)
	enc_u8(&e, (uint8_t)m->status);
	enc_span(&e, m->text);
}
DECODE(rua)
	m->status = (enum rua_status)dec_enum(&d, RUA_STATUSES);
	m->text = dec_span(&d);
DECODED

ENCODE(post)
	enc_span(&e, m->url);
	enc_span(&e, m->body);
}
DECODE(post)
	m->url = dec_span(&d);
	m->body = dec_span(&d);
DECODED

ENCODE(posted)
	enc_u8(&e, m->ok);
	enc_span(&e, m->text);
}
DECODE(posted)
	m->ok = dec_enum(&d, 2);
	m->text = dec_span(&d);
DECODED
