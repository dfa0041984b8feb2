/* messages_export.c -- codecs of EXPORT and EXPORTED; see messages_export.h. */
#include "ipc/messages_export.h"

ENCODE(export)
	enc_span(&e, m->name);
	enc_span(&e, m->delivery);
	enc_span(&e, m->event);
	enc_span(&e, m->body);
}
DECODE(export)
	m->name = dec_span(&d);
	m->delivery = dec_span(&d);
	m->event = dec_span(&d);
	m->body = dec_span(&d);
DECODED

ENCODE(exported)
	enc_u8(&e, m->ok);
	enc_span(&e, m->text);
}
DECODE(exported)
	m->ok = dec_enum(&d, 2);
	m->text = dec_span(&d);
DECODED
