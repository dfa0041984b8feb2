/* messages_keys.c -- codec of the frame DKIM_KEY; see messages_keys.h. */
#include "ipc/messages_keys.h"

ENCODE(dkim_key)
	enc_span(&e, m->domain);
	enc_span(&e, m->selector);
	enc_u8(&e, m->ed25519);
	enc_u8(&e, m->state);
	enc_i64(&e, m->since);
	enc_span(&e, m->record);
	enc_span(&e, m->why);
}
DECODE(dkim_key)
	m->domain = dec_span(&d);
	m->selector = dec_span(&d);
	m->ed25519 = dec_enum(&d, 2);
	m->state = (uint8_t)dec_enum(&d, KEY_STATES);
	m->since = dec_i64(&d);
	m->record = dec_span(&d);
	m->why = dec_span(&d);
DECODED
