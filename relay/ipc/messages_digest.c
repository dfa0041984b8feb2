/* messages_digest.c -- codecs of the frames about links of digests; see messages_digest.h. */
#include "ipc/messages_digest.h"

ENCODE(digest_ask)
	enc_u8(&e, (uint8_t)m->act);
	enc_span(&e, m->token);
}
DECODE(digest_ask)
	m->act = (enum digest_act)dec_enum(&d, DIGEST_ACT_COUNT);
	m->token = dec_span(&d);
DECODED

ENCODE(digest_told)
	enc_u8(&e, (uint8_t)m->told);
	enc_span(&e, m->text);
	enc_u8(&e, (uint8_t)m->act);
	enc_u8(&e, m->offers);
	enc_u64(&e, m->id);
	enc_i64(&e, m->time);
	enc_span(&e, m->as);
	enc_span(&e, m->state);
	enc_span(&e, m->sender);
	enc_span(&e, m->subject);
	enc_span(&e, m->class);
}
DECODE(digest_told)
	m->told = (enum digest_told_what)dec_enum(&d, DIGEST_TOLDS);
	m->text = dec_span(&d);
	m->act = (enum digest_act)dec_enum(&d, DIGEST_ACT_COUNT);
	m->offers = dec_u8(&d);
	m->id = dec_u64(&d);
	m->time = dec_i64(&d);
	m->as = dec_span(&d);
	m->state = dec_span(&d);
	m->sender = dec_span(&d);
	m->subject = dec_span(&d);
	m->class = dec_span(&d);
DECODED
