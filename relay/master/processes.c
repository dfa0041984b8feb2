/* processes.c -- starts, wires, watches and ends the roles; see master.h.
 *
 * A role is this program executed again, so that each has an address space of
 * its own making. When a process is ready it gets a channel to each process
 * it has to talk to (LINKS in frame.h): the master makes the pair and hands
 * one end to each; it keeps none.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "id.h"
#include "log.h"
#include "master/av_watch.h"
#include "master/identity.h"
#include "master/master.h"
#include "master/startup.h"
#include "reader/program.h"
#include "receiver/limits.h"

#define RESPAWN_FIRST (INT64_C(100) * 1000)
#define RESPAWN_MAX (INT64_C(5) * US_PER_SEC)
#define LIVED_WELL (INT64_C(10) * US_PER_SEC)	/* then its end is no sign of a loop */

static struct proc *
proc_find(const struct master *m, enum role role, uint32_t instance)
{
	for (struct proc *p = m->procs; p; p = p->next)
		if (p->role == role && p->instance == instance)
			return p;
	return NULL;
}

size_t
proc_count(const struct master *m, enum role role, uint32_t generation, int state)
{
	size_t n = 0;

	for (const struct proc *p = m->procs; p; p = p->next)
		if (p->role == role && !p->worker &&
		    (generation == 0 || p->generation == generation) &&
		    (state == -1 || (int)p->state == state))
			n++;
	return n;
}

static void
proc_free(struct master *m, struct proc *gone)
{
	for (struct proc **pp = &m->procs; *pp; pp = &(*pp)->next)
		if (*pp == gone) {
			*pp = gone->next;
			link_close(&gone->control);
			free(gone->ill);
			free(gone);
			reload_settle(m, false);
			return;
		}
}

/* ---- wiring ---- */

static bool
talk(enum role a, enum role b)
{
#define X(one, other) \
	if ((a == ROLE_##one && b == ROLE_##other) || (b == ROLE_##one && a == ROLE_##other)) \
		return true;
	LINKS(X)
#undef X
	return false;
}

/* A receiver whose sessions live on after a reload needs new scanners and queues as any other. */
static bool
has_peers(const struct proc *p)
{
	bool lives = p->state == PROC_READY || (p->state == PROC_RETIRING && p->grace);

	return lives && p->control && (p->role != ROLE_SCANNER || p->worker);
}

static void
send_peer(struct proc *to, const struct proc *peer, int fd)
{
	struct msg_peer m = { peer->role, peer->instance };
	struct buf b;

	buf_init(&b, FRAME_SMALL);
	peer_encode(&b, &m);
	link_send(to->control, FRAME_PEER, 0, buf_data(&b), fd);
	buf_release(&b);
}

static void
proc_wire(struct master *m, struct proc *p)
{
	for (struct proc *q = m->procs; q; q = q->next) {
		int sv[2], size = 1 << 20;

		if (q == p || !has_peers(q) || !talk(p->role, q->role))
			continue;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1) {
			log_error("socketpair: %s", strerror(errno));
			continue;
		}
		for (int i = 0; i < 2; i++)
			setsockopt(sv[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
		send_peer(p, q, sv[0]);
		send_peer(q, p, sv[1]);
	}
}

static bool
listens(enum role role)
{
	return role == ROLE_RECEIVER || role == ROLE_CONSOLE;
}

static void
send_listeners(struct master *m, struct proc *p, const struct config *conf)
{
	for (size_t i = 0; i < config_endpoints(conf); i++) {
		struct msg_listener msg = { (uint32_t)i };

		if ((i >= conf->nlisteners) != (p->role == ROLE_CONSOLE))
			continue;
		for (struct bound *b = m->bound; b; b = b->next) {
			struct buf body;

			if (!bound_is(b, conf, i))
				continue;
			buf_init(&body, FRAME_SMALL);
			listener_encode(&body, &msg);
			link_send(p->control, FRAME_LISTENER, 0, buf_data(&body),
			    fcntl(b->fd, F_DUPFD_CLOEXEC, 10));
			buf_release(&body);
		}
	}
	link_send(p->control, FRAME_GO, 0, (struct span){ 0 }, -1);
}

void
generation_listen(struct master *m, const struct generation *g)
{
	for (struct proc *p = m->procs; p; p = p->next)
		if (listens(p->role) && p->generation == g->number &&
		    p->state == PROC_READY && p->control)
			send_listeners(m, p, g->conf);
}

/* ---- what processes say ---- */

static void
proc_ready(struct master *m, struct proc *p)
{
	if (p->state != PROC_STARTING)
		return;
	p->state = PROC_READY;
	log_debug("%s[%d] is ready", role_name(p->role), (int)p->pid);
	bayes_tell(m, p);
	if (has_peers(p))
		proc_wire(m, p);
	if (p->role == ROLE_STORE)
		history_tell(m);
	lists_tell(m, p);
	if (p->worker)
		av_watch_worker(m, p);
	if (m->next.conf && p->generation == m->next.number) {
		reload_advance(m);
		return;
	}
	if (m->phase == PHASE_RUNNING && listens(p->role))
		send_listeners(m, p, m->now.conf);
	if (m->phase == PHASE_STARTING && generation_ready(m, &m->now)) {
		m->phase = PHASE_RUNNING;
		generation_listen(m, &m->now);
		log_info("Postern %s is ready: %s", POSTERN_VERSION, m->path);
		notify("READY=1");
	}
}

static void proc_frame(void *ctx, struct link *l, struct frame *f);
static void proc_closed(void *ctx, struct link *l, const struct err *why);
static const struct link_ops proc_link_ops = { proc_frame, proc_closed };

static struct proc *
proc_new(struct master *m, enum role role, uint32_t instance, uint32_t generation, int fd)
{
	struct proc *p = calloc(1, sizeof(*p));

	ASSERT(p != NULL);
	p->role = role;
	p->instance = instance;
	p->generation = generation;
	p->started = clock_mono();
	p->next = m->procs;
	m->procs = p;
	p->control = link_new(m->base, fd, ROLE_MASTER, role, instance, &proc_link_ops, m);
	link_set_data(p->control, p);
	return p;
}

/* A peer says that somebody sent nonsense: it costs that one its life. */
static void
proc_fault(struct master *m, const struct proc *by, const struct msg_peer *whom)
{
	struct proc *p = proc_find(m, whom->role, whom->instance);

	if (p == NULL || !talk(by->role, p->role))
		return;
	log_error("%s[%d] sent nonsense to %s[%d]: ended", role_name(p->role), (int)p->pid,
	    role_name(by->role), (int)by->pid);
	if (p->worker)	/* its pid is hearsay: end the family, by the parent we forked */
		p = proc_find(m, ROLE_SCANNER, p->parent);
	if (p)
		proc_kill(p);
}

static int
proc_says(struct master *m, struct proc *p, struct frame *f)
{
	struct msg_peer peer;
	struct msg_worker worker;
	struct proc *w;

	switch (f->type) {
	case FRAME_READY:
		if (peer_decode(f->body, -1, m->scratch, &peer) == -1 || peer.role != p->role)
			return -1;
		proc_ready(m, p);
		return 0;
	case FRAME_FAULT:
		if (peer_decode(f->body, -1, m->scratch, &peer) == -1)
			return -1;
		proc_fault(m, p, &peer);
		return 0;
	case FRAME_ANTIVIRUS:
		return av_watch_heard(m, p, f);
	case FRAME_POLICY:
		return history_seen(m, p, f);
	case FRAME_LISTS:
		return lists_seen(m, p, f);
	case FRAME_BAYES:
		return bayes_published(m, p, f);
	case FRAME_AS:
		return control_as(m, f);
	case FRAME_ALIVE:
		watchdog_heard(p);
		return 0;
	case FRAME_WORKER:
		if (worker_decode(f->body, f->fd, m->scratch, &worker) == -1 || p->worker)
			return -1;
		w = proc_new(m, ROLE_SCANNER, worker.instance, p->generation, f->fd);
		f->fd = -1;
		w->worker = true;
		w->parent = p->instance;
		w->pid = (pid_t)worker.pid;
		return 0;
	default:
		return -1;
	}
}

static void
proc_frame(void *ctx, struct link *l, struct frame *f)
{
	struct master *m = ctx;
	struct proc *p = link_data(l);

	arena_reset(m->scratch);
	if (proc_says(m, p, f) == -1) {
		log_error("%s[%d] sent nonsense to the master: ended", role_name(p->role), (int)p->pid);
		proc_kill(p->worker ? proc_find(m, ROLE_SCANNER, p->parent) : p);
	}
}

static void
proc_closed(void *ctx, struct link *l, const struct err *why)
{
	struct master *m = ctx;
	struct proc *p = link_data(l);

	p->control = NULL;
	if (p->worker) {	/* its parent reaps it and announces another */
		if (p->state == PROC_READY && m->phase == PHASE_RUNNING)
			counter_add(COUNTER_RESTARTS, 1);
		proc_free(m, p);
	} else if (why->code == EPROTO) {
		log_error("%s[%d]: %s", role_name(p->role), (int)p->pid, why->text);
		proc_kill(p);
	}
}

/* ---- start and end ---- */

/* Only what a role needs of the environment. */
static char **
role_environment(void)
{
	static const char *const keep[] = { "TZ", "LANG", "JOURNAL_STREAM", "ASAN_OPTIONS",
		"UBSAN_OPTIONS", "LSAN_OPTIONS", "CREDENTIALS_DIRECTORY", NULL };
	/* What reads pictures would start a thread for each processor. */
	static char one_thread[] = "OMP_THREAD_LIMIT=1";
	static char *env[9] = { one_thread };
	size_t n = 1;

	for (size_t i = 0; keep[i]; i++) {
		const char *v = getenv(keep[i]);

		if (v && env[n] == NULL && asprintf(&env[n], "%s=%s", keep[i], v) == -1)
			env[n] = NULL;
		if (v && env[n])
			n++;
	}
	return env;
}

static _Noreturn void
exec_role(const struct master *m, enum role role, uint32_t instance, uint32_t place, int control,
    int conf, int shared, char **env)
{
	char number[16], seat[16], program[PATH_MAX];
	const char *argv[] = { "posternd", "--role", role_name(role), "--instance", number,
		"--place", seat, "--config", m->path, m->foreground ? "--foreground" : NULL, NULL };
	int fds[3] = { control, conf, shared };
	sigset_t none;

	snprintf(number, sizeof(number), "%u", instance);
	snprintf(seat, sizeof(seat), "%u", place);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	for (int i = 0; i < 3; i++)	/* out of the way of 3, 4 and 5 first */
		if ((fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 16)) == -1)
			_exit(126);
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], FD_CONTROL + i) == -1)
			_exit(126);
	if (role == ROLE_READER && !own_reader(m, program)) {
		dprintf(2, "posternd: there is no %s beside %s\n", READER_PROGRAM, m->exe);
		_exit(STARTUP_FAILED);
	}
	execve(role == ROLE_READER ? program : own_exe(m), (char *const *)(uintptr_t)argv, env);
	dprintf(2, "posternd: cannot execute %s: %s\n", m->exe, strerror(errno));
	_exit(127);
}

/* Makers of ids have places that no other living process has. They go round, so that one is not had again
 * until its last owner's newest ids are long past; the last place is `postern queue import`'s. */
static uint32_t
place_of(struct master *m)
{
	for (unsigned i = 0; i < ID_PROCESSES; i++) {
		bool taken = false;

		m->last_place = (m->last_place + 1) % (ID_PROCESSES - 1);
		for (const struct proc *p = m->procs; p && !taken; p = p->next)
			taken = !p->worker && p->place == m->last_place;
		if (!taken)
			return m->last_place;
	}
	return ID_PROCESSES;
}

int
proc_start(struct master *m, enum role role, const struct generation *g, struct err *err)
{
	uint32_t instance = ++m->last_instance, place = place_of(m);
	uint64_t print = role == ROLE_SCANNER ? av_print(g) : 0;
	char **env = role_environment();
	struct proc *p;
	bool fallback;
	int sv[2];
	pid_t pid;
	uid_t uid;
	gid_t gid;

	if (place == ID_PROCESSES)
		return err_set(err, EAGAIN, "%u processes live already", ID_PROCESSES - 1);
	if (sandbox_account(role_account(role), &uid, &gid, &fallback, err) == -1)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) == -1)
		return err_errno(err, "socketpair");
	pid = fork();
	if (pid == -1) {
		close(sv[0]);
		close(sv[1]);
		return err_errno(err, "fork");
	}
	if (pid == 0)
		exec_role(m, role, instance, place, sv[1], g->fd, m->shared_fd, env);
	close(sv[1]);
	p = proc_new(m, role, instance, g->number, sv[0]);
	p->pid = pid;
	p->uid = uid;
	p->place = place;
	p->print = print;
	return 0;
}

void
proc_retire(struct master *m, struct proc *p, uint32_t grace)
{
	struct msg_retire msg = { grace };
	struct buf b;

	if (p->state == PROC_RETIRING && (p->grace == 0 || grace >= p->grace))
		return;
	p->state = PROC_RETIRING;
	p->grace = grace;
	buf_init(&b, FRAME_SMALL);
	if (grace)
		retire_encode(&b, &msg);
	if (p->control)
		link_send(p->control, FRAME_RETIRE, 0, buf_data(&b), -1);
	buf_release(&b);
	if (p->role == ROLE_SCANNER && !p->worker)
		for (struct proc *w = m->procs; w; w = w->next)
			if (w->worker && w->parent == p->instance)
				proc_retire(m, w, 0);
}

/* The process and, for a scanner's parent, its workers: each role leads a process group. */
void
proc_kill(struct proc *p)
{
	if (p == NULL || p->worker || p->pid <= 1)
		return;
	identity_kill(-p->pid, p->uid);
	identity_kill(p->pid, p->uid);	/* before it leads its group */
}

static void
died(struct master *m, struct proc *p, int status)
{
	bool expected = p->state == PROC_RETIRING || m->phase == PHASE_STOPPING;
	bool failed_start = WIFEXITED(status) && WEXITSTATUS(status) == STARTUP_FAILED;
	int64_t now = clock_mono();
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "exit status %d", WEXITSTATUS(status));
	if (!expected && av_watch_died(m, p, how)) {
		identity_kill(-p->pid, p->uid);
		proc_free(m, p);
		return;
	}
	if (!expected || (status != 0 && m->phase != PHASE_STOPPING)) {
		log_error("%s[%d] ended: %s%s", role_name(p->role), (int)p->pid, how,
		    expected ? "" : "; it is started again");
		counter_add(COUNTER_RESTARTS, expected ? 0 : 1);
	}
	if (p->role == ROLE_SCANNER && !p->worker)
		identity_kill(-p->pid, p->uid);	/* workers without a parent */
	if (p->role == ROLE_RECEIVER)		/* what it had open is closed */
		limits_gone(limits_attach(m->shared->limits, LIMITS_BYTES, now), p->instance);
	if (!expected && p->generation == m->next.number && m->next.conf) {
		reload_failed(m, "a process of the new configuration did not start");
	} else if (!expected && m->phase == PHASE_STARTING && failed_start) {
		m->status = 1;
		master_stop(m);
	} else if (!expected) {
		int64_t *delay = &m->respawn[p->role].delay;

		*delay = now - p->started > LIVED_WELL || *delay == 0 ? RESPAWN_FIRST : *delay * 2;
		if (*delay > RESPAWN_MAX)
			*delay = RESPAWN_MAX;
		m->respawn[p->role].not_before = now - p->started > LIVED_WELL ? now : now + *delay;
	}
	proc_free(m, p);
}

void
proc_reap(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == m->check) {
			m->check = 0;
			reload_check_done(m, status);
			continue;
		}
		for (struct proc *p = m->procs; p; p = p->next)
			if (p->pid == pid && !p->worker) {
				died(m, p, status);
				break;
			}
	}
	procs_fill(m);
}

static size_t
wanted(const struct config *c, enum role role)
{
	switch (role) {
	case ROLE_RECEIVER:
		return c->receivers;
	case ROLE_DELIVERY:
		return c->delivery.processes;
	case ROLE_AUTHENTICATOR:
		return c->authenticators > 0 ? c->authenticators : c->console.port > 0;
	case ROLE_VERIFIER:
		return config_verifies(c) ? c->verify.processes : 0;
	case ROLE_FETCHER:
		return config_fetches(c);
	case ROLE_DIRECTORY:
		return c->ndirectories > 0;
	case ROLE_READER:
		return c->ocr.on;
	case ROLE_CONSOLE:
		return c->console.port > 0 || c->metrics_port > 0;
	case ROLE_EDITOR:
		return c->console.edits;
	case ROLE_COUNTERS:
		return c->counters.shared;
	case ROLE_CLUSTER:
		return c->base.on;
	case ROLE_SCANNER:
	case ROLE_SIGNER:
	case ROLE_QUEUE:
	case ROLE_STORE:
		return 1;
	default:
		return 0;
	}
}

static bool
lives_through_reloads(enum role role)
{
	return role == ROLE_QUEUE || role == ROLE_STORE;
}

static void
fill(struct master *m, const struct generation *g)
{
	int64_t now = clock_mono();
	struct err err;

	for (int role = ROLE_RECEIVER; role < ROLE_COUNT; role++) {
		uint32_t number = lives_through_reloads(role) ? 0 : g->number;
		size_t want = wanted(g->conf, role), have = 0;
		bool wait = role == ROLE_SCANNER && g->conf->antivirus.reload_after;

		/* Signatures that shall not be in memory twice are loaded when the old ones have gone. */
		for (const struct proc *p = m->procs; p && wait; p = p->next)
			if (p->role == ROLE_SCANNER && !p->worker && p->state == PROC_RETIRING &&
			    p->generation == g->number)
				want = 0;
		for (const struct proc *p = m->procs; p; p = p->next)
			if (p->role == (enum role)role && !p->worker &&
			    (number == 0 ? true : p->generation == number) &&
			    (number == 0 || p->state != PROC_RETIRING))
				have++;
		for (; have < want && m->respawn[role].not_before <= now; have++)
			if (proc_start(m, (enum role)role, g, &err) == -1) {
				log_error("starting %s: %s", role_name(role), err.text);
				m->respawn[role].not_before = now + RESPAWN_MAX;
			}
	}
}

void
procs_fill(struct master *m)
{
	if (m->phase == PHASE_STOPPING)
		return;
	fill(m, &m->now);
	if (m->next.conf)
		fill(m, &m->next);
}

bool
generation_ready(const struct master *m, const struct generation *g)
{
	bool worker = false;

	for (int role = ROLE_RECEIVER; role < ROLE_COUNT; role++)
		if (proc_count(m, role, lives_through_reloads(role) ? 0 : g->number, PROC_READY) <
		    wanted(g->conf, role))
			return false;
	for (const struct proc *p = m->procs; p; p = p->next)
		worker |= p->worker && p->generation == g->number && p->state == PROC_READY;
	return worker;
}
