/* messages_antivirus.c -- codec of the frame about the state of the antivirus; see messages_antivirus.h. */
#include "ipc/messages_antivirus.h"

ENCODE(antivirus)
	enc_u8(&e, (uint8_t)m->report);
	enc_u32(&e, m->signatures);
	enc_i64(&e, m->made);
	enc_span(&e, m->engine);
	enc_span(&e, m->id);
	enc_span(&e, m->text);
}
DECODE(antivirus)
	m->report = (enum av_report)dec_enum(&d, AV_REPORTS);
	m->signatures = dec_u32(&d);
	m->made = dec_i64(&d);
	m->engine = dec_span(&d);
	m->id = dec_span(&d);
	m->text = dec_span(&d);
DECODED
