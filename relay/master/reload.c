/* reload.c -- a new configuration beside the running one; see master.h.
 *
 * SIGHUP or `postern reload`: the configuration and the policy are checked by
 * a process of their own (`posternd -n`); with an error the running ones stay,
 * whole. Else a new generation is started, and only when all of it is ready
 * does it take over the listening sockets and the old one retires. Its
 * receivers live on until their sessions have ended, RELOAD_GRACE at the most, judged by
 * the new scanners; when reloads follow each other, the eldest but GENERATIONS are hurried: their
 * sessions have HURRY_GRACE left, so that a client who came a moment ago is served and not sent away.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs.h"
#include "log.h"
#include "clock.h"
#include "master/av_watch.h"
#include "master/identity.h"
#include "master/master.h"

#define SETTLE_US (5 * US_PER_SEC)
#define RELOAD_GRACE 600	/* seconds */
#define COUNTERS_GRACE 60	/* seconds, to say what was counted alone: Redis may be away just then */
#define HURRY_GRACE 20		/* seconds; the last eight of them for goodbyes */
#define GENERATIONS 4		/* of receivers that end their sessions beside the one in force */

void
reload_begin(struct master *m, const char *how, uint32_t uid)
{
	char state[64];
	struct err err;

	if (m->phase != PHASE_RUNNING || m->check || m->next.conf) {
		control_reload_done(m, false, SPAN_LIT("a start or reload is under way"));
		return;
	}
	if ((m->check = reload_check_start(m, true, &err)) == -1) {
		m->check = 0;
		log_error("reload: %s", err.text);
		return;
	}
	m->asked = (struct asked){ how, uid, clock_real() };
	log_info("reload: checking %s", m->path);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono());
	notify(state);
}

/* It says what it has to say into a memory file: whatever its length it never waits for a reader. */
pid_t
reload_check_start(struct master *m, bool quietly, struct err *err)
{
	pid_t pid;

	if ((m->check_fd = fs_memfd("check", err)) == -1)
		return -1;
	if ((pid = fork()) == 0) {
		dup2(m->check_fd, 1);
		if (quietly)
			dup2(m->check_fd, 2);
		execl(own_exe(m), "posternd", quietly ? "-nl" : "-nlq", "-c", m->path, (char *)NULL);
		_exit(127);
	}
	if (pid == -1) {
		err_errno(err, "cannot start the check");
		close(m->check_fd);
		m->check_fd = -1;
	}
	return pid;
}

/* As far as there is room for it. */
struct span
reload_check_said(struct master *m)
{
	off_t at = 0;
	char *room;
	ssize_t n;

	buf_reset(&m->check_out);
	while ((room = buf_room(&m->check_out, 4096)) != NULL &&
	    (n = pread(m->check_fd, room, 4096, at)) > 0) {
		buf_commit(&m->check_out, (size_t)n);
		at += n;
	}
	close(m->check_fd);
	m->check_fd = -1;
	return buf_data(&m->check_out);
}

static void
log_lines(struct span text)
{
	while (text.n) {
		size_t eol = span_find(text, '\n');

		if (eol)
			log_error("reload: " SPAN_FMT, SPAN_ARG(span_sub(text, 0, eol)));
		text = span_from(text, eol + 1);
	}
}

/* For `postern status`, until a reload succeeds: the first error of a check, with its place. */
static void
refused(struct master *m, struct span why)
{
	static const char arrow[] = "\n  --> ";
	const char *at = why.n ? memmem(why.p, why.n, "error: ", 7) : NULL;
	struct span place = { 0 };

	if (at)
		why = span_from(why, (size_t)(at - why.p));
	at = why.n ? memmem(why.p, why.n, arrow, sizeof(arrow) - 1) : NULL;
	if (at) {
		place = span_from(why, (size_t)(at - why.p) + sizeof(arrow) - 1);
		place = span_sub(place, 0, span_find(place, '\n'));
	}
	why = span_sub(why, 0, span_find(why, '\n'));
	free(m->refused);
	if (asprintf(&m->refused, SPAN_FMT "%s" SPAN_FMT, SPAN_ARG(why), place.n ? ", " : "",
	    SPAN_ARG(place)) == -1)
		m->refused = NULL;
}

void
reload_check_done(struct master *m, int status)
{
	struct span said = reload_check_said(m);
	struct err err;

	if (m->phase != PHASE_RUNNING)
		return;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		log_error("reload refused: %s has errors; the running configuration stays", m->path);
		log_lines(said);
		refused(m, said);
		notify("READY=1");
		control_reload_done(m, false, said);
		return;
	}
	av_watch_cancel(m);
	m->next.number = ++m->last_generation;
	m->next.asked = m->asked;
	if (generation_load(m, &m->next, false, &err) == -1 ||
	    generation_bind(m, &m->next, &err) == -1) {
		reload_failed(m, err.text);
		return;
	}
	watch_take(m, said);
	procs_fill(m);
}

static void
generation_free(struct generation *g)
{
	config_free(&g->conf);
	history_forget(g);
	if (g->fd != -1)
		close(g->fd);
	*g = (struct generation){ .fd = -1 };
}

void
reload_failed(struct master *m, const char *why)
{
	log_error("reload failed: %s; the running configuration stays", why);
	refused(m, span_str(why));
	watch_failed(m);
	for (struct proc *p = m->procs; p; p = p->next)
		if (p->generation == m->next.number && !p->worker) {
			p->state = PROC_RETIRING;
			proc_kill(p);
		}
	generation_free(&m->next);
	notify("READY=1");
	control_reload_done(m, false, span_str(why));
}

/* A log that was rotated, or is another one now, is opened anew: by us alone, for others may not. */
static void
open_log(struct master *m)
{
	struct err err;
	int r;

	identity_files_root();
	r = log_open(config_log_to(m->now.conf, m->foreground), m->now.conf->log_format, &err);
	identity_files_own();
	if (r == -1)
		log_warn("the log stays as it is: %s", err.text);
}

/* Roles that live on, some only until their sessions end, write to it, too. */
static void
tell_log(struct proc *p)
{
	if (p->control)
		link_send(p->control, FRAME_LOG, 0, (struct span){ 0 },
		    log_fd() == STDERR_FILENO ? -1 : fcntl(log_fd(), F_DUPFD_CLOEXEC, 10));
}

void
reload_advance(struct master *m)
{
	uint32_t old = m->now.number;

	if (!generation_ready(m, &m->next))
		return;
	generation_free(&m->now);
	m->now = m->next;
	m->next = (struct generation){ .fd = -1 };
	open_log(m);
	generation_listen(m, &m->now);
	for (struct proc *p = m->procs; p; p = p->next) {
		if (p->role == ROLE_RECEIVER && p->generation != m->now.number)
			tell_log(p);
		if (p->role == ROLE_QUEUE || p->role == ROLE_STORE) {
			p->generation = m->now.number;
			if (p->control)
				link_send(p->control, FRAME_CONFIG, 0, (struct span){ 0 },
				    fcntl(m->now.fd, F_DUPFD_CLOEXEC, 10));
			tell_log(p);
		} else if (p->generation == old) {
			proc_retire(m, p, p->role == ROLE_RECEIVER ? RELOAD_GRACE :
			    p->role == ROLE_COUNTERS ? COUNTERS_GRACE : 0);
		} else if (p->generation + GENERATIONS < m->now.number) {
			proc_retire(m, p, p->role == ROLE_RECEIVER ? HURRY_GRACE : 0);
		}
	}
	bounds_trim(m);
	history_tell(m);
	free(m->refused);
	m->refused = NULL;
	log_info("reload: the new configuration is in force");
	m->settle_by = clock_mono() + SETTLE_US;
	reload_settle(m, false);
}

/* Who asked hears that it is done when nobody judges by the old policy any more: the old scanners have
 * ended. One that is busy with a large message is not waited for longer than SETTLE_US. */
void
reload_settle(struct master *m, bool now)
{
	if (m->settle_by == 0)
		return;
	for (const struct proc *p = m->procs; p && !now; p = p->next)
		if (p->role == ROLE_SCANNER && p->generation != m->now.number &&
		    clock_mono() < m->settle_by)
			return;
	m->settle_by = 0;
	notify("READY=1");
	control_reload_done(m, true, (struct span){ 0 });
}
