/* messages_people.c -- codecs of the frames about people; see messages_people.h. */
#include "ipc/messages_people.h"

ENCODE(scrypt)
	enc_span(&e, m->password);
	enc_span(&e, m->hash);
}
DECODE(scrypt)
	m->password = dec_span(&d);
	m->hash = dec_span(&d);
DECODED

ENCODE(scrypted)
	enc_u8(&e, (uint8_t)m->status);
	enc_span(&e, m->hash);
}
DECODE(scrypted)
	m->status = (enum login_status)dec_enum(&d, LOGIN_STATUSES);
	m->hash = dec_span(&d);
DECODED

ENCODE(enter)
	enc_span(&e, m->user);
	enc_span(&e, m->password);
	enc_u8(&e, m->again);
}
DECODE(enter)
	m->user = dec_span(&d);
	m->password = dec_span(&d);
	m->again = dec_u8(&d) == 1;
DECODED

ENCODE(entered)
	enc_u8(&e, (uint8_t)m->status);
	enc_span(&e, m->name);
	enc_u32(&e, m->roles);
	enc_span(&e, m->domains);
	enc_span(&e, m->addresses);
}
DECODE(entered)
	m->status = (enum login_status)dec_enum(&d, LOGIN_STATUSES);
	m->name = dec_span(&d);
	m->roles = dec_u32(&d);
	m->domains = dec_span(&d);
	m->addresses = dec_span(&d);
DECODED
