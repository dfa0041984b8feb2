/* messages_rcpt.c -- codecs of the frames about recipients; see messages_rcpt.h. */
#include "ipc/messages_rcpt.h"

ENCODE(rcpt_ask)
	enc_span(&e, m->address);
}
DECODE(rcpt_ask)
	m->address = dec_span(&d);
DECODED

ENCODE(rcpt_told)
	enc_u8(&e, (uint8_t)m->told);
	enc_span(&e, m->address);
	enc_span(&e, m->relay);
	enc_span(&e, m->text);
}
DECODE(rcpt_told)
	m->told = (enum rcpt_told)dec_enum(&d, RCPT_TOLDS);
	m->address = dec_span(&d);
	m->relay = dec_span(&d);
	m->text = dec_span(&d);
DECODED
