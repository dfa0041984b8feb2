/* messages_lists.c -- codec of the lists of senders; see messages_lists.h. */
#include "ipc/messages_lists.h"

ENCODE(lists)
	enc_u64(&e, m->generation);
	enc_u32(&e, m->entries);
	enc_u64(&e, m->size);
}
DECODE(lists)
	m->generation = dec_u64(&d);
	m->entries = dec_u32(&d);
	m->size = dec_u64(&d);
	d.bad |= fd == -1;
DECODED
