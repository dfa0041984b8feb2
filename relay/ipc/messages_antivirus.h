/* messages_antivirus.h -- the body of the frame about the state of the antivirus. */
#ifndef IPC_MESSAGES_ANTIVIRUS_H
#define IPC_MESSAGES_ANTIVIRUS_H

#include "ipc/messages.h"

/* ---- ANTIVIRUS: a scanner tells the master ---- */
/* LOADED: by the parent, once; also where the engine is off. REFUSED: by the parent, before it ends.
 * WELL, ILL: by a worker, when that changes. */
enum av_report { AV_REPORT_LOADED, AV_REPORT_REFUSED, AV_REPORT_WELL, AV_REPORT_ILL, AV_REPORTS };
struct msg_antivirus {
	enum av_report report;
	uint32_t signatures;	/* how many; 0: not told */
	int64_t made;		/* Unix seconds; 0: not known */
	struct span engine;	/* "libclamav 1.4.6/27850"; "" off */
	struct span id;		/* of the signatures, as in stamps; "" none */
	struct span text;	/* REFUSED, ILL: why; WELL: but … */
};
MSG_CODEC(antivirus);

#endif
