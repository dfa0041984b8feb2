/* portable.h -- a queue as one file that can be carried to another node (docs/SPOOL.md).
 *
 * Export reads a spool through an audit and writes, for each message, what is
 * still to be done: recipients already served are left out. Import makes whole segments beside
 * those that are there, under new ids, the old id being the parent; never
 * the same export twice, also when it is cut off and begun again.
 */
#ifndef QUEUE_PORTABLE_H
#define QUEUE_PORTABLE_H

#include "queue/spool_audit.h"

struct portable_count {
	uint64_t messages, recipients, bytes;
	uint64_t skipped;	/* import: there already. export: cannot be read (reported) */
	/* import: for each message that is in the queue, durably, now or since an earlier import.
	 * fresh 0: it is not known under which id. NULL: nobody asks. */
	void (*taken)(void *ctx, uint64_t old, uint64_t fresh);
	void *ctx;
};

typedef void portable_say(void *ctx, const char *text);

/* fd: where to; hostname: this node's, for addresses without a domain and for the head. only: ids of
 * those that are meant: it is a hand-over, tries and expiry go on where they were; NULL: all of them. */
int portable_export(struct audit *a, int fd, struct span hostname, const struct idtable *only, struct portable_count *n,
    portable_say *say, void *ctx, struct err *err);
/* A running posternd, asked through its control socket. Both -1 with the reason. */
struct portable_daemon {
	void *ctx;
	int (*reserve)(void *ctx, uint32_t *number, struct err *err);
	int (*adopt)(void *ctx, uint32_t number, struct err *err);
};
/* fd: a file or pipe. node: this one's number, for the new ids. d: whom to ask when posternd uses the spool; NULL: then it is refused.
 * What is counted is in the queue, durably. */
int portable_import(const char *spool, int fd, const struct portable_daemon *d, uint32_t node,
    struct portable_count *n, struct err *err);

#endif
