/* messages_bayes.c -- codec of the frame that brings the classifier's model; see messages_bayes.h. */
#include "ipc/messages_bayes.h"

ENCODE(bayes)
	enc_u64(&e, m->generation);
	enc_u64(&e, m->size);
}
DECODE(bayes)
	m->generation = dec_u64(&d);
	m->size = dec_u64(&d);
	if (fd == -1 || m->size == 0)
		d.bad = true;
DECODED
