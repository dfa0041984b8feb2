/* milter_private.h -- what milter.c and milter_command.c share; for nobody else. */
#ifndef RECEIVER_MILTER_PRIVATE_H
#define RECEIVER_MILTER_PRIVATE_H

#include "receiver/milter.h"

#define COMMAND_MAX 2000		/* a command we write; the session takes WIRE_LINE_MAX */

enum {				/* steps of the protocol, mfapi.h */
	NR_HDR = 0x80, NOUNKNOWN = 0x100, NODATA = 0x200, NR_UNKN = 0x20000, NR_BODY = 0x80000,
	HDR_LEADSPC = 0x100000,
};
#define STEPS_WANTED (NR_HDR | NOUNKNOWN | NODATA | NR_UNKN | NR_BODY | HDR_LEADSPC)

/* ---- milter.c ---- */
uint32_t milter_be32(const char *p);
void milter_put32(char *p, uint32_t v);
void milter_say(struct milter *mt, char type);
void milter_refuse(struct milter *mt, const char *reply);
void milter_go_on(struct milter *mt, char command);
void milter_forget(struct milter *mt);		/* the message */
/* What the session said to the command becomes a packet; nothing yet: it waits. */
void milter_answer(struct milter *mt, char command);
void milter_give(struct milter *mt, struct span bytes);		/* to the session */
void milter_command(struct milter *mt, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void milter_quietly(struct milter *mt, const char *line);	/* its reply concerns nobody */

/* ---- milter_command.c ---- */
void milter_packet(struct milter *mt, char command, struct span data);
void milter_give_header(struct milter *mt);

#endif
