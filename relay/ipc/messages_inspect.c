/* messages_inspect.c -- codecs of the frames about kept messages; see messages_inspect.h. */
#include "ipc/messages_inspect.h"

ENCODE(inspect)
	enc_u8(&e, (uint8_t)m->what);
	envelope_encode(&e, &m->env);
	payload_encode(&e, &m->payload);
}
DECODE(inspect)
	m->what = (enum inspect_what)dec_enum(&d, INSPECT_WHATS);
	envelope_decode(&d, a, &m->env);
	payload_decode(&d, fd, a, &m->payload);
DECODED

ENCODE(inspected)
	enc_u8(&e, (uint8_t)m->status);
	enc_u8(&e, (uint8_t)m->av);
	enc_span(&e, m->virus);
	enc_span(&e, m->why);
	enc_span(&e, m->text);
}
DECODE(inspected)
	m->status = (enum inspect_status)dec_enum(&d, INSPECT_STATUSES);
	m->av = (enum av_state)dec_enum(&d, AV_STATES);
	m->virus = dec_span(&d);
	m->why = dec_span(&d);
	m->text = dec_span(&d);
DECODED
