/* messages_bayes.h -- the body of the frame that brings the classifier's model to the scanners. */
#ifndef IPC_MESSAGES_BAYES_H
#define IPC_MESSAGES_BAYES_H

#include "ipc/messages.h"

/* ---- BAYES: the store to the master, the master to each scanner's worker; a sealed memfd (postern/bayes.h)
 * comes with it ---- */
struct msg_bayes {
	uint64_t generation;	/* rises; of one store process */
	uint64_t size;
};
MSG_CODEC(bayes);

#endif
