/* watchdog.c -- is everybody still there? Asks the roles, and tells systemd while they answer.
 *
 * Every `every` microseconds each role that is READY is sent a PULSE; its
 * event loop answers ALIVE. One that owes an answer for longer than `patience`
 * hangs: the log and `postern status` name it, and systemd is not told
 * WATCHDOG=1 any more (sd_watchdog_enabled(3)), so that it ends and restarts the
 * service: what was accepted is on the disk. Without systemd it is said and
 * nothing else is done: a slow disk is no reason to kill.
 *
 * A worker of the scanner is not asked: it may work as long as scanners.timeout,
 * and an alarm of its own ends it. A role that retires has its deadline already.
 */
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "master/master.h"

#define EVERY_US (10 * US_PER_SEC)	/* without systemd */
#define PATIENCE_US (60 * US_PER_SEC)

struct watchdog {
	int64_t every, patience;	/* µs */
	int64_t asked, told;		/* clock_mono of the last round, of the last WATCHDOG=1 */
	bool systemd;
};

void
watchdog_open(struct master *m)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	struct watchdog *w = calloc(1, sizeof(*w));
	uint64_t limit = 0;

	ASSERT(w != NULL);
	w->every = EVERY_US;
	w->patience = PATIENCE_US;
	if (usec && (pid == NULL || strtol(pid, NULL, 10) == (long)getpid()) &&
	    parse_uint(span_str(usec), INT64_MAX, &limit) && limit > 0) {
		w->systemd = true;
		w->every = (int64_t)limit / 4;
		w->patience = (int64_t)limit / 2;
	}
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	m->watchdog = w;
}

int64_t
watchdog_silent(const struct master *m, const struct proc *p)
{
	int64_t since = p->asked ? clock_mono() - p->asked : 0;

	return since > m->watchdog->patience ? since : 0;
}

void
watchdog_heard(struct proc *p)
{
	if (p->hangs)
		log_warn("%s[%d] answers again", role_name(p->role), (int)p->pid);
	p->hangs = false;
	p->asked = 0;
}

/* A role that owes an answer is not asked again: its channel does not fill while it hangs. */
static void
ask(struct master *m, int64_t now)
{
	for (struct proc *p = m->procs; p; p = p->next)
		if (p->state == PROC_READY && !p->worker && p->control && p->asked == 0) {
			p->asked = now;
			link_send(p->control, FRAME_PULSE, 0, (struct span){ 0 }, -1);
		}
}

static bool
somebody_hangs(struct master *m)
{
	bool any = false;

	for (struct proc *p = m->procs; p; p = p->next) {
		int64_t silent = p->state == PROC_READY ? watchdog_silent(m, p) : 0;

		if (silent == 0)
			continue;
		if (!p->hangs)
			log_error("%s[%d] has not answered for %lld ms: it hangs", role_name(p->role),
			    (int)p->pid, (long long)(silent / 1000));
		p->hangs = true;
		any = true;
	}
	return any;
}

void
watchdog_look(struct master *m)
{
	struct watchdog *w = m->watchdog;
	int64_t now = clock_mono();

	if (m->phase != PHASE_RUNNING)
		return;
	if (now - w->asked >= w->every) {
		w->asked = now;
		ask(m, now);
	}
	if (!somebody_hangs(m) && w->systemd && now - w->told >= w->every) {
		w->told = now;
		notify("WATCHDOG=1");
	}
}
