/* messages_approve.c -- codecs of the frames about links to approve; see messages_approve.h. */
#include "ipc/messages_approve.h"

ENCODE(approve_ask)
	enc_u8(&e, (uint8_t)m->what);
	enc_span(&e, m->token);
	enc_span(&e, m->reason);
}
DECODE(approve_ask)
	m->what = (enum approve_what)dec_enum(&d, APPROVE_WHATS);
	m->token = dec_span(&d);
	m->reason = dec_span(&d);
DECODED

ENCODE(approve_told)
	enc_u8(&e, (uint8_t)m->told);
	enc_span(&e, m->text);
	enc_u64(&e, m->id);
	enc_span(&e, m->as);
	enc_span(&e, m->state);
	enc_i64(&e, m->until);
	enc_span(&e, m->sender);
	enc_span(&e, m->recipients);
	enc_span(&e, m->on_expire);
	enc_span(&e, m->record);
	enc_span(&e, m->approvals);
}
DECODE(approve_told)
	m->told = (enum approve_told)dec_enum(&d, APPROVE_TOLDS);
	m->text = dec_span(&d);
	m->id = dec_u64(&d);
	m->as = dec_span(&d);
	m->state = dec_span(&d);
	m->until = dec_i64(&d);
	m->sender = dec_span(&d);
	m->recipients = dec_span(&d);
	m->on_expire = dec_span(&d);
	m->record = dec_span(&d);
	m->approvals = dec_span(&d);
DECODED
