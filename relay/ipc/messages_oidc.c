/* messages_oidc.c -- codecs of OIDC_ASK and OIDC_TOLD; see messages_oidc.h. */
#include "ipc/messages_oidc.h"

ENCODE(oidc_ask)
	enc_u8(&e, (uint8_t)m->question);
	enc_span(&e, m->redirect);
	enc_span(&e, m->state);
	enc_span(&e, m->nonce);
	enc_span(&e, m->verifier);
	enc_span(&e, m->language);
	enc_span(&e, m->code);
	enc_span(&e, m->iss);
}
DECODE(oidc_ask)
	m->question = (enum oidc_question)dec_enum(&d, OIDC_QUESTIONS);
	m->redirect = dec_span(&d);
	m->state = dec_span(&d);
	m->nonce = dec_span(&d);
	m->verifier = dec_span(&d);
	m->language = dec_span(&d);
	m->code = dec_span(&d);
	m->iss = dec_span(&d);
DECODED

ENCODE(oidc_told)
	enc_u8(&e, (uint8_t)m->status);
	enc_span(&e, m->text);
	enc_span(&e, m->url);
	enc_span(&e, m->issuer);
	enc_span(&e, m->subject);
	enc_span(&e, m->name);
	enc_span(&e, m->mail);
	enc_u32(&e, m->roles);
	enc_span(&e, m->domains);
}
DECODE(oidc_told)
	m->status = (enum oidc_status)dec_enum(&d, OIDC_STATUSES);
	m->text = dec_span(&d);
	m->url = dec_span(&d);
	m->issuer = dec_span(&d);
	m->subject = dec_span(&d);
	m->name = dec_span(&d);
	m->mail = dec_span(&d);
	m->roles = dec_u32(&d);
	m->domains = dec_span(&d);
DECODED
