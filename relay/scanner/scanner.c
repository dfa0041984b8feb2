/* scanner.c -- the parent: loads policy and antivirus once, keeps the workers alive.
 *
 * The parent never sees a byte of mail. It loads, gives up its privileges,
 * says READY and forks the workers, which share what it loaded (copy on
 * write); the master is sent one end of each worker's control channel in a
 * WORKER frame. A worker that dies is replaced, at once when it had lived for
 * a while, later and later when they die young.
 *
 * Temporary folders: BASE/PID of the parent/N of the worker. The engine makes
 * folders for every scan, which costs 0.25 ms a 4 KiB message on a tmpfs, 0.5 ms
 * on an idle ext4 and 6 ms on a busy one. BASE is RUN/scanner where RUN is a
 * tmpfs (as /run is), else a folder in /dev/shm when there is room for the
 * largest scan, else RUN/scanner all the same. What a worker leaves behind is
 * removed by the parent; what a parent leaves behind, by the next one.
 *
 * With clamd the parent is also the one who connects: it alone may, and to nowhere else but there
 * (it is told no address by anybody). A worker asks with one byte and is handed
 * the connection, still connecting perhaps, so that nobody waits here.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "ipc/messages_antivirus.h"
#include "log.h"
#include "master/identity.h"
#include "scanner/clamd.h"
#include "scanner/worker.h"

#define WORKERS_MAX 1024
#define YOUNG_US INT64_C(2000000)	/* death before this age means back-off */
#define WAIT_FIRST_US INT64_C(100000)
#define WAIT_MAX_US INT64_C(10000000)
#define SHM_ROOM (UINT64_C(512) << 20)	/* above ANTIVIRUS_SCAN_SIZE */
#define WORKER_BITS 12			/* instance of a worker: the parent's << 12 | n */

struct slot {
	pid_t pid;		/* 0: none */
	uint32_t n;		/* of its folder and instance */
	int dial;		/* its questions for connections to clamd; 0: none */
	int64_t started, not_before, wait;
};

struct parent {
	struct worker_env env;
	struct chan control;
	const char *base;
	const char *tmp;	/* BASE/PID */
	struct slot *slots;
	size_t nslots;
	uint32_t last_n;
	bool retiring, orphan;
	uid_t uid;		/* of the role */
	gid_t gid;
};

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	remove(path);
	return 0;
}

static void
remove_tree(const char *path)
{
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Folders of parents that are no more. */
static void
remove_stale(const char *base)
{
	DIR *d = opendir(base);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		char path[4096];
		uint64_t pid;

		if (!parse_uint(span_str(e->d_name), INT32_MAX, &pid) || pid == 0 ||
		    (kill((pid_t)pid, 0) == 0 || errno != ESRCH) ||
		    snprintf(path, sizeof(path), "%s/%s", base, e->d_name) >= (int)sizeof(path))
			continue;
		remove_tree(path);
	}
	if (d)
		closedir(d);
}

static bool
is_tmpfs(const char *path, uint64_t room)
{
	struct statfs st;

	return statfs(path, &st) == 0 && st.f_type == TMPFS_MAGIC &&
	    (uint64_t)st.f_bavail * (uint64_t)st.f_bsize >= room;
}

/* /dev/shm is everybody's: a folder that somebody else made there before is not taken. */
static bool
own_in_shm(const char *path, uid_t uid, gid_t gid)
{
	struct stat st;
	bool made;

	identity_files_as(uid, gid);
	made = mkdir(path, 0700) == 0 || errno == EEXIST;
	identity_files_own();
	if (!made)
		return false;
	if (lstat(path, &st) == -1 || !S_ISDIR(st.st_mode) || (st.st_mode & 077) ||
	    (st.st_uid != uid && st.st_uid != geteuid()))
		return false;
	return st.st_uid == uid || lchown(path, uid, gid) == 0;
}

static int
make_base(struct parent *p, uid_t uid, gid_t gid, struct err *err)
{
	const struct config *c = p->env.conf;
	struct stat st;

	if (fs_mkdirs(c->run, 0755, err) == -1)
		return -1;
	if (!is_tmpfs(c->run, 0) && is_tmpfs("/dev/shm", SHM_ROOM) && stat(c->run, &st) == 0) {
		p->base = arena_printf(c->arena, "/dev/shm/postern-%llx-%llx",
		    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
		if (own_in_shm(p->base, uid, gid))
			return 0;
	}
	p->base = arena_printf(c->arena, "%s/scanner", c->run);
	return identity_folder(p->base, uid, gid, err);
}

static int
make_folders(struct parent *p, uid_t uid, gid_t gid, struct err *err)
{
	identity_files_own();
	if (make_base(p, uid, gid, err) == -1)
		return -1;
	p->uid = uid;
	p->gid = gid;
	p->tmp = arena_printf(p->env.conf->arena, "%s/%ld", p->base, (long)getpid());
	log_debug("temporary folders in %s", p->tmp);
	identity_files_as(uid, gid);
	remove_stale(p->base);
	if (mkdir(p->tmp, 0700) == -1 && errno != EEXIST)
		return err_errno(err, "%s", p->tmp);
	if (geteuid() == 0 && lchown(p->tmp, uid, gid) == -1)
		return err_errno(err, "%s", p->tmp);
	return 0;
}

static int
load(struct parent *p, struct err *err)
{
	struct arena *a = arena_new(0);
	struct diags d;
	int rc;

	diags_init(&d, a);
	identity_files_root();
	rc = judge_open(&p->env.judge, p->env.conf, &d, err);
	for (const struct diag *g = d.first; g; g = g->next)
		log_msg(g->level == DIAG_ERROR ? LOG_LVL_ERROR : LOG_LVL_WARN, 0, "%s:%u:%u: %s",
		    g->file ? g->file->name : "policy", g->line, g->column, g->text);
	arena_free(&a);
	p->env.judge.dial = (struct antivirus_dial){ worker_dial, &p->env,
		p->env.conf->antivirus.clamd.family == 0 };
	if (rc == 0)
		rc = judge_stamps(&p->env.judge, p->env.conf, err);
	identity_files_as(p->uid, p->gid);	/* signatures are unpacked into its folder */
	if (rc == 0)
		rc = judge_antivirus(&p->env.judge, p->env.conf, p->tmp, err);
	if (rc == 0)
		log_info("policy %s, %zu rules, %s", policy_hash(p->env.judge.policy),
		    policy_rule_count(p->env.judge.policy), p->env.judge.antivirus ?
		    antivirus_engine(p->env.judge.antivirus).p : "antivirus off");
	return rc;
}

/* Sends what is queued, waiting where the master is slow. */
static int
flush_control(struct parent *p, struct err *err)
{
	int rc;

	while ((rc = chan_flush(&p->control, err)) == 1) {
		struct pollfd pfd = { .fd = p->control.fd, .events = POLLOUT };

		poll(&pfd, 1, -1);
	}
	return rc;
}

static int
say(struct parent *p, enum frame_type type, struct buf *body, int fd, struct err *err)
{
	int rc = chan_push(&p->control, type, 0, buf_data(body), fd);

	buf_release(body);
	if (rc == -1)
		return err_set(err, ENOBUFS, "the master does not read its channel");
	return flush_control(p, err);
}

static const char *
worker_folder(const struct parent *p, uint32_t n, char *path, size_t size)
{
	snprintf(path, size, "%s/%u", p->tmp, n);
	return path;
}

static uint32_t
free_number(struct parent *p)
{
	bool used = true;

	while (used) {
		p->last_n = (p->last_n + 1) & ((1u << WORKER_BITS) - 1);
		used = false;
		for (size_t i = 0; i < p->nslots; i++)
			used |= p->slots[i].pid && p->slots[i].n == p->last_n;
	}
	return p->last_n;
}

_Noreturn static void
become_worker(struct parent *p, uint32_t n, int fd, pid_t parent)
{
	char path[4096];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	close(p->control.fd);
	for (size_t i = 0; i < p->nslots; i++)
		if (p->slots[i].dial)
			close(p->slots[i].dial);
	worker_folder(p, n, path, sizeof(path));
	_exit(worker_main(&p->env, p->env.instance << WORKER_BITS | n, path, fd));
}

static void
hang_up(struct slot *s)
{
	if (s->dial)
		close(s->dial);
	s->dial = 0;
}

/* A worker wants a connection to clamd. */
static void
answer_dial(struct parent *p, struct slot *s)
{
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } ctl = { 0 };
	struct iovec iov = { (void *)(uintptr_t)"!", 1 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct err err;
	char asked[8];
	int fd;

	if (recv(s->dial, asked, sizeof(asked), MSG_DONTWAIT) <= 0) {
		hang_up(s);
		return;
	}
	if ((fd = clamd_dial(&p->env.conf->antivirus, &err)) != -1) {
		mh.msg_control = &ctl;
		mh.msg_controllen = sizeof(ctl.room);
		ctl.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&ctl.h), &fd, sizeof(fd));
	} else {
		iov = (struct iovec){ err.text, strnlen(err.text, DIAL_TEXT_MAX) };
	}
	if (sendmsg(s->dial, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) == -1)
		hang_up(s);	/* it asks and does not listen */
	if (fd != -1)
		close(fd);
}

static int
start_worker(struct parent *p, struct slot *s, struct err *err)
{
	struct msg_worker m;
	struct buf body;
	char path[4096];
	pid_t self = getpid();
	int sv[2], dial[2] = { 0, -1 };

	s->n = free_number(p);
	worker_folder(p, s->n, path, sizeof(path));
	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		return err_errno(err, "%s", path);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return err_errno(err, "a channel for a worker");
	if (p->env.conf->antivirus.engine == AV_CLAMD &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, dial) == -1) {
		err_errno(err, "a channel for a worker");
		close(sv[0]);
		close(sv[1]);
		return -1;
	}
	p->env.dial = dial[1];
	s->dial = dial[0];
	s->pid = fork();
	if (s->pid == 0) {
		close(sv[0]);
		become_worker(p, s->n, sv[1], self);
	}
	close(sv[1]);
	if (dial[1] != -1)
		close(dial[1]);
	if (s->pid == -1) {
		hang_up(s);
		s->pid = 0;
		close(sv[0]);
		return err_errno(err, "fork");
	}
	s->started = clock_mono();
	m = (struct msg_worker){ p->env.instance << WORKER_BITS | s->n, (uint32_t)s->pid };
	buf_init(&body, FRAME_SMALL);
	worker_encode(&body, &m);
	return say(p, FRAME_WORKER, &body, sv[0], err);
}

static void
worker_died(struct parent *p, struct slot *s, int status)
{
	int64_t now = clock_mono();
	bool young = now - s->started < YOUNG_US;
	char path[4096];

	if (WIFSIGNALED(status))
		log_error("worker [%d] ended by signal %d%s", (int)s->pid, WTERMSIG(status),
		    WTERMSIG(status) == SIGALRM ? ": a message took longer than scanners.timeout" : "");
	else if (WEXITSTATUS(status) || !p->retiring)
		log_error("worker [%d] ended: exit status %d", (int)s->pid, WEXITSTATUS(status));
	remove_tree(worker_folder(p, s->n, path, sizeof(path)));
	hang_up(s);
	s->wait = !young ? 0 : s->wait == 0 ? WAIT_FIRST_US : s->wait * 2;
	if (s->wait > WAIT_MAX_US)
		s->wait = WAIT_MAX_US;
	s->not_before = now + s->wait;
	s->pid = 0;
}

static void
reap(struct parent *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < p->nslots; i++)
			if (p->slots[i].pid == pid)
				worker_died(p, &p->slots[i], status);
}

/* Starts what is due. Milliseconds until the next is, -1: nothing to wait for. */
static int
fill(struct parent *p)
{
	int64_t now = clock_mono(), next = INT64_MAX;
	struct err err;

	for (size_t i = 0; i < p->nslots; i++) {
		struct slot *s = &p->slots[i];

		if (s->pid)
			continue;
		if (s->not_before <= now && start_worker(p, s, &err) == -1) {
			log_error("starting a worker: %s", err.text);
			s->not_before = now + WAIT_MAX_US;
		}
		if (s->pid == 0 && s->not_before < next)
			next = s->not_before;
	}
	return next == INT64_MAX ? -1 : (int)((next - now) / 1000 + 1);
}

static void
retire(struct parent *p)
{
	if (p->retiring)
		return;
	p->retiring = true;
	for (size_t i = 0; i < p->nslots; i++)
		if (p->slots[i].pid)
			kill(p->slots[i].pid, SIGTERM);	/* finish what is under way */
}

static void
hear_master(struct parent *p)
{
	struct frame f = { .fd = -1 };
	struct err err = { 0 };
	int rc = chan_fill(&p->control, &err);

	while (rc != -1 && (rc = chan_next(&p->control, &f, &err)) == 1)
		if (f.type == FRAME_RETIRE)
			retire(p);
		else if (f.type == FRAME_PULSE && (chan_push(&p->control, FRAME_ALIVE, 0,
		    (struct span){ 0 }, -1) == -1 || flush_control(p, &err) == -1))
			rc = -1;
	if (rc == -1) {
		log_warn("the master is gone%s%s", *err.text ? ": " : "", err.text);
		p->orphan = true;
	}
}

static size_t
alive(const struct parent *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->nslots; i++)
		n += p->slots[i].pid != 0;
	return n;
}

static void
on_child(int sig)
{
}

static void
loop(struct parent *p)
{
	struct sigaction sa = { .sa_handler = on_child };
	struct pollfd *pfds = calloc(p->nslots + 1, sizeof(*pfds));
	sigset_t block, open;

	ASSERT(pfds != NULL);

	/* Both come in while waiting in ppoll, and nowhere else. SIGTERM is for the workers;
	 * blocked here, it stays pending for one that was forked just now. */
	sigemptyset(&block);
	sigaddset(&block, SIGCHLD);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &open);
	sigdelset(&open, SIGCHLD);
	sigdelset(&open, SIGTERM);
	p->env.sigmask = open;
	sigaction(SIGCHLD, &sa, NULL);
	while (!p->orphan) {
		struct timespec ts;
		int ms = -1;

		reap(p);
		if (p->retiring && alive(p) == 0)
			break;
		if (!p->retiring)
			ms = fill(p);
		ts = (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
		pfds[0] = (struct pollfd){ .fd = p->control.fd, .events = POLLIN };
		for (size_t i = 0; i < p->nslots; i++)
			pfds[i + 1] = (struct pollfd){ .fd = p->slots[i].dial ? p->slots[i].dial : -1,
				.events = POLLIN };
		if (ppoll(pfds, p->nslots + 1, ms < 0 ? NULL : &ts, &open) <= 0)
			continue;
		for (size_t i = 0; i < p->nslots; i++)
			if (pfds[i + 1].revents)
				answer_dial(p, &p->slots[i]);
		if (pfds[0].revents)
			hear_master(p);
	}
	free(pfds);
}

/* What all share (policy, signatures) counts in each worker too: the limit comes on top of it. Set
 * here, while /proc can be read, and inherited. */
static int
limit_memory(const struct parent *p, struct err *err)
{
	struct rlimit rl;
	struct span text;
	uint64_t pages;

#ifdef POSTERN_SANITIZED
	return 0;		/* its shadow memory would count */
#endif
	/* Pages: size, resident, shared, text, library, data (proc(5)). */
	if (fs_read(p->env.conf->arena, "/proc/self/statm", 4096, &text, err) == -1)
		return -1;
	for (int i = 0; i < 5; i++)
		text = span_from(text, span_find(text, ' ') + 1);
	if (!parse_uint(span_sub(text, 0, span_find(text, ' ')), UINT64_MAX >> 20, &pages))
		return err_set(err, 0, "/proc/self/statm cannot be read");
	rl.rlim_cur = rl.rlim_max = pages * (uint64_t)sysconf(_SC_PAGESIZE) +
	    p->env.conf->scan_memory;
	if (setrlimit(RLIMIT_DATA, &rl) == -1)
		return err_errno(err, "limiting memory");
	return 0;
}

/* The master hands it on to the store, with who asked for it. Without an archive mail is judged all
 * the same. */
static int
tell_policy(struct parent *p, struct err *err)
{
	const struct judge *j = &p->env.judge;
	char commit[ARCHIVE_COMMIT + 1], *bytes;
	struct msg_policy m = { .hash = span_str(policy_hash(j->policy)) };
	struct err why = { 0 };
	struct buf body;
	size_t n;
	int fd = -1;

	commit_of(p->env.conf->policy_dir, commit);
	m.commit = span_str(commit);
	if (policy_archive_pack(j->policy, &j->parts, p->env.conf, &bytes, &n, &why) == -1) {
		log_warn("the policy is not kept for its history: %s", why.text);
		return 0;
	}
	m.size = n;
	if ((fd = fs_memfd("policy", &why)) == -1 || fs_write_all(fd, bytes, n, &why) == -1 ||
	    fs_memfd_seal(fd, &why) == -1) {
		log_warn("the policy is not kept for its history: %s", why.text);
		if (fd != -1)
			close(fd);
		free(bytes);
		return 0;
	}
	free(bytes);
	buf_init(&body, FRAME_SMALL);
	policy_encode(&body, &m);
	return say(p, FRAME_POLICY, &body, fd, err);
}

/* why NULL: the engine is loaded. */
static int
tell_antivirus(struct parent *p, const char *why, struct err *err)
{
	const struct antivirus *av = p->env.judge.antivirus;
	struct msg_antivirus m = { .report = why ? AV_REPORT_REFUSED : AV_REPORT_LOADED };
	struct buf body;

	if (why)
		m.text = span_str(why);
	if (av) {
		m.engine = antivirus_engine(av);
		m.id = span_str(antivirus_signatures(av)->id);
		m.signatures = antivirus_signatures(av)->count;
		m.made = antivirus_signatures(av)->made;
	}
	buf_init(&body, FRAME_SMALL);
	antivirus_encode(&body, &m);
	return say(p, FRAME_ANTIVIRUS, &body, -1, err);
}

static int
start(struct parent *p, const struct startup *su, struct err *err)
{
	struct sandbox box = { .may = SANDBOX_FORK | SANDBOX_FILES_READ | SANDBOX_FILES_WRITE };
	struct config *conf;
	struct shared *shared;
	struct buf body;
	bool fallback;
	uid_t uid;
	gid_t gid;

	identity_files_root();
	if (startup_config(su->config_path, su->foreground, &conf, err) == -1)
		return -1;
	p->env.conf = conf;
	p->env.dial = -1;
	if (conf->antivirus.engine == AV_CLAMD)
		box.may |= conf->antivirus.clamd.family ? SANDBOX_NET_CLIENT : SANDBOX_NET_UNIX;
	chan_init(&p->control, FD_CONTROL, ROLE_SCANNER, ROLE_MASTER);
	p->nslots = conf->scanners < 1 ? 1 : conf->scanners > WORKERS_MAX ? WORKERS_MAX :
	    conf->scanners;
	p->slots = calloc(p->nslots, sizeof(*p->slots));
	ASSERT(p->slots != NULL);
	if ((shared = shared_map(FD_SHARED, err)) == NULL ||
	    sandbox_account(role_account(ROLE_SCANNER), &uid, &gid, &fallback, err) == -1 ||
	    make_folders(p, uid, gid, err) == -1 || load(p, err) == -1 ||
	    limit_memory(p, err) == -1)
		return -1;
	sandbox_allow_write(p->base);
	if (tell_policy(p, err) == -1 || tell_antivirus(p, NULL, err) == -1)
		return -1;
	if (startup_confine(ROLE_SCANNER, uid, gid, &box, err) == -1)
		return -1;
	startup_ready(&body, ROLE_SCANNER, su->instance);
	return say(p, FRAME_READY, &body, -1, err);
}

int
scanner_main(const struct startup *su)
{
	struct parent *p = calloc(1, sizeof(*p));
	struct err err = { 0 };

	ASSERT(p != NULL);
	p->env.instance = su->instance;
	log_ident(role_name(ROLE_SCANNER));
	startup_signals();
	if (start(p, su, &err) == -1) {
		struct err ignored;

		log_error("scanner does not start: %s", err.text);
		if (p->env.conf)
			tell_antivirus(p, err.text, &ignored);
		if (p->tmp) {
			identity_files_as(p->uid, p->gid);
			remove_tree(p->tmp);
		}
		return STARTUP_FAILED;
	}
	loop(p);
	remove_tree(p->tmp);
	return p->orphan && !p->retiring ? 1 : 0;
}
