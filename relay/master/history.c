/* history.c -- which policy came into force, when, and who asked: from the scanner to the store.
 *
 * The scanner's parent says what it has loaded and packs it; the master adds
 * who asked and passes the file on, unread. The store is told when a generation
 * takes over, and again whenever it was started anew: it knows what it knows.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "master/master.h"

void
history_forget(struct generation *g)
{
	if (g->policy.fd > 0)
		close(g->policy.fd);
	g->policy = (struct seen_policy){ 0 };
}

/* For the audit log, which takes the same act once however often it is told. */
static void
tell_act(const struct generation *g, struct proc *p)
{
	char by[32];
	struct msg_event ev = { .kind = EVENT_AUDIT, .time = g->asked.time,
		.rcpt = span_str(g->asked.how), .relay = span_str(g->policy.hash) };
	struct buf b;

	if (g->asked.uid == (uint32_t)-1)
		return;
	snprintf(by, sizeof(by), "uid %u", g->asked.uid);
	ev.by = span_str(by);
	buf_init(&b, FRAME_SMALL);
	event_encode(&b, &ev);
	link_send(p->control, FRAME_EVENT, 0, buf_data(&b), -1);
	buf_release(&b);
}

void
history_tell(struct master *m)
{
	const struct generation *g = &m->now;
	struct msg_policy msg = { .hash = span_str(g->policy.hash),
		.commit = span_str(g->policy.commit), .size = g->policy.size,
		.time = g->asked.time, .how = span_str(g->asked.how), .uid = g->asked.uid };

	if (g->policy.fd <= 0)
		return;
	for (struct proc *p = m->procs; p; p = p->next) {
		struct buf b;

		if (p->role != ROLE_STORE || p->state != PROC_READY || p->control == NULL)
			continue;
		buf_init(&b, FRAME_SMALL);
		policy_encode(&b, &msg);
		link_send(p->control, FRAME_POLICY, 0, buf_data(&b),
		    fcntl(g->policy.fd, F_DUPFD_CLOEXEC, 10));
		buf_release(&b);
		tell_act(g, p);
	}
}

int
history_seen(struct master *m, const struct proc *p, struct frame *f)
{
	struct generation *g = p->generation == m->now.number ? &m->now :
	    m->next.conf && p->generation == m->next.number ? &m->next : NULL;
	struct msg_policy msg;

	if (p->worker || p->role != ROLE_SCANNER ||
	    policy_decode(f->body, f->fd, m->scratch, &msg) == -1)
		return -1;
	if (g == NULL)
		return 0;
	/* A scanner that had to be started anew has read the folder anew. */
	if (g->policy.fd > 0 && !span_is(msg.hash, g->policy.hash)) {
		log_warn("the policy folder was changed without a reload: the scanner that was started "
		    "anew judges by policy " SPAN_FMT, SPAN_ARG(msg.hash));
		g->asked = (struct asked){ "restart", (uint32_t)-1, clock_real() };
	}
	history_forget(g);
	memcpy(g->policy.hash, msg.hash.p, 16);
	if (msg.commit.n)
		memcpy(g->policy.commit, msg.commit.p, msg.commit.n);
	g->policy.size = msg.size;
	g->policy.fd = f->fd;
	f->fd = -1;
	if (g == &m->now)
		history_tell(m);
	return 0;
}
