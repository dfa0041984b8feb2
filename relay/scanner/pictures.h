/* pictures.h -- has text in pictures read by the reader, within the message's time for that. */
#ifndef SCANNER_PICTURES_H
#define SCANNER_PICTURES_H

#include "ipc/channel.h"
#include "postern/anatomy.h"

struct pictures {
	struct chan chan;
	bool there;
	uint32_t instance;	/* of that reader */
	uint64_t ticket;
	int64_t each, all;	/* microseconds: for a picture, for a message */
	int64_t spent;		/* of this message's */
};

void pictures_connect(struct pictures *p, int fd, uint32_t instance);	/* takes fd */
void pictures_begin(struct pictures *p);		/* of a message */
/* For struct picture_reader; ctx: struct pictures. */
bool pictures_ask(void *ctx, struct span picture, struct arena *a, struct span *out);

#endif
