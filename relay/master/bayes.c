/* bayes.c -- the classifier's model on its way: from the store to all workers of the scanners.
 *
 * The store publishes, the master keeps the last one (a sealed memfd, which it never
 * reads) and hands it to whoever judges: to all workers when it is new, to a worker when it becomes
 * ready. A store that was started anew publishes anew. Without a model mail is judged all the same,
 * only the classifier has nothing to say.
 */
#include <fcntl.h>
#include <unistd.h>

#include "ipc/messages_bayes.h"
#include "log.h"
#include "master/master.h"

static void
send_model(const struct master *m, struct proc *p)
{
	struct msg_bayes msg = { m->bayes.generation, m->bayes.size };
	struct buf b;
	int fd;

	if (p->control == NULL || (fd = fcntl(m->bayes.fd, F_DUPFD_CLOEXEC, 10)) == -1)
		return;
	buf_init(&b, FRAME_SMALL);
	bayes_encode(&b, &msg);
	link_send(p->control, FRAME_BAYES, 0, buf_data(&b), fd);
	buf_release(&b);
}

void
bayes_tell(const struct master *m, struct proc *p)
{
	if (p->worker && m->bayes.fd > 0)
		send_model(m, p);
}

int
bayes_published(struct master *m, const struct proc *p, struct frame *f)
{
	struct msg_bayes msg;

	if (p->role != ROLE_STORE || bayes_decode(f->body, f->fd, m->scratch, &msg) == -1)
		return -1;
	if (m->bayes.fd > 0)
		close(m->bayes.fd);
	m->bayes.generation = msg.generation;
	m->bayes.size = msg.size;
	m->bayes.fd = f->fd;
	f->fd = -1;
	for (struct proc *q = m->procs; q; q = q->next)
		if (q->state == PROC_READY)
			bayes_tell(m, q);
	return 0;
}
