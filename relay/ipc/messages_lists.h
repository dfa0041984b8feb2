/* messages_lists.h -- the lists of senders, as the store hands them out; codec as in messages.h.
 *
 * STORE -> MASTER -> every receiver: the master keeps the newest, so that a receiver that
 * starts while the store is away has it too. The descriptor is a book (lists/book.h) in a sealed memfd.
 */
#ifndef IPC_MESSAGES_LISTS_H
#define IPC_MESSAGES_LISTS_H

#include "ipc/messages.h"

struct msg_lists {
	uint64_t generation;	/* rises */
	uint32_t entries;
	uint64_t size;		/* of the memfd */
};

MSG_CODEC(lists);

#endif
