/* tnef.h -- winmail.dat: what Outlook and Exchange wrap a message and its files in ([MS-OXTNEF]). */
#ifndef ANATOMY_TNEF_H
#define ANATOMY_TNEF_H

#include "postern/anatomy.h"

enum tnef_kind {
	TNEF_FILE,		/* an attached file; name may be "" */
	TNEF_MESSAGE,		/* an attached message: TNEF again */
	TNEF_SUBJECT,		/* text in `charset` */
	TNEF_BODY,		/* the same */
	TNEF_HTML,
	TNEF_RTF,		/* decompressed */
};

struct tnef_item {
	enum tnef_kind kind;
	struct span bytes;	/* borrowed, or in the arena */
	struct span name;	/* bytes in `charset` */
	struct span charset;	/* a label; "" unknown */
};

/* False ends the reading. */
typedef bool tnef_sink_fn(void *arg, const struct tnef_item *item);

bool is_tnef(struct span in);
/* max: bytes that decompression may bring. Returns false when the stream is broken or cut: all that
 * came before has been told. Linear in the input. */
bool tnef_read(struct arena *a, struct span in, size_t max, tnef_sink_fn *sink, void *arg);

#endif
