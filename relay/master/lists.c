/* lists.c -- the lists of senders on their way from the store to the receivers.
 *
 * The master keeps the newest book and does not look into it. A receiver hears of it before it gets a
 * listening socket, so no session is served without it once there was one; and it outlives the
 * store, which may be away.
 */
#include <fcntl.h>
#include <unistd.h>

#include "ipc/messages_lists.h"
#include "log.h"
#include "master/master.h"

static void
tell(const struct master *m, struct proc *p)
{
	struct msg_lists msg = { m->lists.generation, m->lists.entries, m->lists.size };
	int fd;
	struct buf b;

	if (p->role != ROLE_RECEIVER || p->state == PROC_STARTING || p->control == NULL ||
	    (fd = fcntl(m->lists.fd, F_DUPFD_CLOEXEC, 10)) == -1)
		return;
	buf_init(&b, FRAME_SMALL);
	lists_encode(&b, &msg);
	link_send(p->control, FRAME_LISTS, 0, buf_data(&b), fd);
	buf_release(&b);
}

void
lists_tell(struct master *m, struct proc *p)
{
	if (m->lists.fd <= 0)
		return;
	if (p) {
		tell(m, p);
		return;
	}
	for (p = m->procs; p; p = p->next)
		tell(m, p);
}

int
lists_seen(struct master *m, const struct proc *p, struct frame *f)
{
	struct msg_lists msg;

	if (p->role != ROLE_STORE || lists_decode(f->body, f->fd, m->scratch, &msg) == -1)
		return -1;
	if (m->lists.fd > 0)
		close(m->lists.fd);
	m->lists.fd = f->fd;
	f->fd = -1;
	m->lists.generation = msg.generation;
	m->lists.entries = msg.entries;
	m->lists.size = msg.size;
	log_debug("lists of senders: %u entries", msg.entries);
	lists_tell(m, NULL);
	return 0;
}
