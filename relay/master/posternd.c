/* posternd.c -- the daemon's program: options, start, signals, end.
 *
 *	posternd [-c FILE] [-f] [-n]
 *
 * The master reads and checks the configuration, binds the ports while it
 * still may, starts the roles and watches over them. SIGTERM and SIGINT:
 * receivers and deliveries finish what is under way, then scanners and signer,
 * then the queue, the store last; whatever is not gone after STOP_SECONDS is
 * killed. SIGHUP: reload.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "clock.h"
#include "fs.h"
#include "log.h"
#include "master/av_watch.h"
#include "master/config_cluster.h"
#include "master/identity.h"
#include "master/master.h"
#include "master/runtime.h"
#include "master/startup.h"

#define STOP_SECONDS 9
#define TICK_US 100000

static void
usage(FILE *to)
{
	fputs("usage: posternd [-c /etc/postern/postern.yaml] [-f] [-n]\n"
	    "  -c FILE  the configuration\n"
	    "  -f       stay in the foreground, log to stderr\n"
	    "  -n       check configuration and policy, then exit\n"
	    "  -V       print the version\n", to);
}

int
generation_load(struct master *m, struct generation *g, bool print, struct err *err)
{
	struct arena *a = arena_new(0);
	struct diags d;
	struct span text;
	int fd = -1, r = -1;

	diags_init(&d, a);
	identity_files_root();
	r = config_text(a, m->path, &text, err);
	identity_files_own();
	if (r == -1)
		goto out;
	r = -1;
	g->conf = config_parse(m->path, m->path, text, &d);
	if (g->conf == NULL) {
		if (print) {
			struct buf b;

			buf_init(&b, 1u << 20);
			diags_print(&d, &b, NULL, isatty(2));
			if (write(2, buf_data(&b).p, buf_size(&b)) == -1)
				r = -1;
			buf_release(&b);
		}
		err_set(err, 0, "%s has errors", m->path);
		goto out;
	}
	if ((fd = fs_memfd("postern.yaml", err)) == -1 ||
	    fs_write_all(fd, text.p, text.n, err) == -1 || fs_memfd_seal(fd, err) == -1) {
		config_free(&g->conf);
		if (fd != -1)
			close(fd);
		goto out;
	}
	g->fd = fd;
	r = 0;
out:
	arena_free(&a);
	return r;
}

/* ---- folders ---- */

/* We cannot give it away; it was made so when the package was installed (systemd/postern.tmpfiles). */
static int
folder_lent(const char *path, mode_t mode, const char *account, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;
	int r;

	identity_files_as(uid, gid);
	r = fs_mkdirs(path, mode, err);
	identity_files_own();
	if (r == 0 && stat(path, &st) == 0 && st.st_uid == uid)
		return 0;
	return err_set(err, EACCES, "%s must belong to %s: install -d -o %s -g %s -m %04o %s && chown -R %s: %s",
	    path, account, account, account, (unsigned)mode, path, account, path);
}

static int
folder(const char *path, mode_t mode, const char *account, bool *told, struct err *err)
{
	bool fallback;
	uid_t uid;
	gid_t gid;

	if (account == NULL || !identity_gives_accounts())
		return fs_mkdirs(path, mode, err);
	if (sandbox_account(account, &uid, &gid, &fallback, err) == -1)
		return -1;
	if (fallback && !*told) {
		log_warn("there are no _postern accounts: roles run as nobody");
		*told = true;
	}
	if (identity_lent())
		return folder_lent(path, mode, fallback ? "nobody" : account, uid, gid, err);
	if (fs_mkdirs(path, mode, err) == -1)
		return -1;
	if (chown(path, uid, gid) == -1)
		return err_errno(err, "%s", path);
	return 0;
}

static int
folders(const struct config *c, struct err *err)
{
	char store[PATH_MAX];
	bool told = false;
	char *slash;

	if (snprintf(store, sizeof(store), "%s", c->store_path) >= (int)sizeof(store))
		return err_set(err, ENAMETOOLONG, "store: the path is too long");
	slash = strrchr(store, '/');
	if (slash && slash != store)
		*slash = '\0';
	if (folder(c->run, 0755, NULL, &told, err) == -1 ||
	    folder(c->spool, 0700, role_account(ROLE_QUEUE), &told, err) == -1)
		return -1;
	/* Others may pass through: the fetcher's folder lies in it unless said. */
	return folder(store, 0751, role_account(ROLE_STORE), &told, err);
}

static int
pid_lock(struct master *m, struct err *err)
{
	char path[PATH_MAX], text[32];
	int n;

	snprintf(path, sizeof(path), "%s/posternd.pid", m->now.conf->run);
	m->pid_fd = fs_open(path, O_RDWR | O_CREAT, 0644, err);
	if (m->pid_fd == -1)
		return -1;
	if (flock(m->pid_fd, LOCK_EX | LOCK_NB) == -1) {
		ssize_t got = pread(m->pid_fd, text, sizeof(text) - 1, 0);

		text[got > 0 ? got : 0] = '\0';
		text[strcspn(text, "\n")] = '\0';
		return err_set(err, EBUSY, "another posternd runs here already (pid %s, %s)", text, path);
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (fs_truncate(m->pid_fd, 0, err) == -1)
		return -1;
	return fs_pwrite_all(m->pid_fd, text, (size_t)n, 0, err);
}

/* ---- the end ---- */

static bool
any(const struct master *m, unsigned roles)
{
	for (const struct proc *p = m->procs; p; p = p->next)
		if (roles & (1u << p->role) && !p->worker)
			return true;
	return false;
}

static void
retire_roles(struct master *m, unsigned roles)
{
	for (struct proc *p = m->procs; p; p = p->next)
		if (roles & (1u << p->role))
			proc_retire(m, p, 0);
}

/* Those who make work go before those who do it. */
static void
stop_advance(struct master *m)
{
	if (clock_mono() > m->stop_by)
		for (struct proc *p = m->procs; p; p = p->next)
			proc_kill(p);
	retire_roles(m, R(RECEIVER) | R(DELIVERY) | R(CONSOLE) | R(EDITOR));
	if (any(m, R(RECEIVER)))
		return;
	retire_roles(m, R(SCANNER) | R(READER) | R(SIGNER) | R(AUTHENTICATOR) | R(DIRECTORY) | R(VERIFIER) |
	    R(COUNTERS));
	if (any(m, R(DELIVERY)))
		return;
	retire_roles(m, R(QUEUE));
	if (any(m, R(QUEUE)))
		return;
	retire_roles(m, R(STORE) | R(FETCHER) | R(CLUSTER));
	if (m->procs == NULL || !any(m, ~0u))
		event_base_loopbreak(m->base);
}

void
master_stop(struct master *m)
{
	if (m->phase == PHASE_STOPPING)
		return;
	m->phase = PHASE_STOPPING;
	m->stop_by = clock_mono() + STOP_SECONDS * US_PER_SEC;
	bounds_close(m);
	log_info("stopping");
	notify("STOPPING=1");
	stop_advance(m);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	struct master *m = arg;

	switch (sig) {
	case SIGCHLD:
		proc_reap(m);
		if (m->phase == PHASE_STOPPING)
			stop_advance(m);
		break;
	case SIGHUP:
		reload_begin(m, "signal", (uint32_t)-1);
		break;
	case SIGTERM:
	case SIGINT:
		master_stop(m);
		break;
	}
}

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct master *m = arg;

	if (m->phase == PHASE_STOPPING)
		stop_advance(m);
	else
		procs_fill(m);
	reload_settle(m, false);
	watch_look(m);
	av_watch_look(m);
	watchdog_look(m);
}

/* ---- the start ---- */

/* The same check as `posternd -n`, in a process of its own: it reads the policy, which the
 * master never does. */
static int
check_first(struct master *m, struct err *err)
{
	int status;
	pid_t pid = reload_check_start(m, false, err);

	if (pid == -1)
		return -1;
	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return err_errno(err, "waitpid");
	watch_take(m, reload_check_said(m));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 :
	    err_set(err, 0, "the policy has errors");
}

static void
watch_signals(struct master *m)
{
	static const int sigs[] = { SIGCHLD, SIGHUP, SIGTERM, SIGINT };
	struct timeval tv = { .tv_usec = TICK_US };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		m->sig[i] = evsignal_new(m->base, sigs[i], on_signal, m);
		ASSERT(m->sig[i] != NULL);
		event_add(m->sig[i], NULL);
	}
	m->tick = event_new(m->base, -1, EV_PERSIST, on_tick, m);
	ASSERT(m->tick != NULL);
	event_add(m->tick, &tv);
}

static int
master_start(struct master *m, struct err *err)
{
	char text[BOUND_TEXT_MAX];
	struct rlimit rl;
	int r;

	activation_take(m);
	watchdog_open(m);
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	m->now.number = ++m->last_generation;
	if (generation_load(m, &m->now, true, err) == -1)
		return -1;
	m->now.asked = (struct asked){ "start", getuid(), clock_real() };
	if (check_first(m, err) == -1)
		return -1;
	identity_files_root();
	r = log_open(config_log_to(m->now.conf, m->foreground), m->now.conf->log_format, err);
	identity_files_own();
	if (r == -1 || folders(m->now.conf, err) == -1 || pid_lock(m, err) == -1 ||
	    generation_bind(m, &m->now, err) == -1 ||
	    (m->shared_fd = shared_create(err)) == -1 ||
	    (m->shared = shared_map(m->shared_fd, err)) == NULL)
		return -1;
	for (const struct bound *b = m->bound; b; b = b->next) {
		if (!bound_used(b, m->now.conf))
			log_warn("%s comes from the starter, but is no listener of %s",
			    bound_text(b, text), m->path);
	}
	return 0;
}

static int
daemonise(struct err *err)
{
	int null = open("/dev/null", O_RDWR);
	pid_t pid = fork();

	if (pid == -1 || null == -1)
		return err_errno(err, "fork");
	if (pid > 0)
		_exit(0);
	setsid();
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	if (null > 2)
		close(null);
	return 0;
}

static int
master_main(const char *path, bool foreground)
{
	static char exe[PATH_MAX];
	struct master m = { .foreground = foreground, .shared_fd = -1, .pid_fd = -1, .check_fd = -1, .reader_fd = -1,
		.now = { .fd = -1 }, .next = { .fd = -1 } };
	struct err err = { 0 };
	char *real;

	log_ident("master");
	identity_files_root();
	real = realpath(path, NULL);
	identity_files_own();
	if (real == NULL) {
		fprintf(stderr, "posternd: %s: %s\n", path, strerror(errno));
		return 1;
	}
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) <= 0) {
		fprintf(stderr, "posternd: /proc is not mounted\n");
		return 1;
	}
	m.path = real;
	m.exe = exe;
	installed_open(&m);
	m.since = clock_real();
	m.scratch = arena_new(0);
	buf_init(&m.check_out, 256u << 10);
	if (master_start(&m, &err) == -1 || (!foreground && daemonise(&err) == -1)) {
		fprintf(stderr, "posternd: not started: %s\n", err.text);
		return 1;
	}
	if (!foreground) {	/* the pid of the daemon, not of the starter */
		char text[32];
		int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

		fs_truncate(m.pid_fd, 0, NULL);
		fs_pwrite_all(m.pid_fd, text, (size_t)n, 0, NULL);
	}
	m.base = event_base_new();
	ASSERT(m.base != NULL);
	watch_signals(&m);
	if (control_open(&m, &err) == -1) {
		fprintf(stderr, "posternd: not started: %s\n", err.text);
		return 1;
	}
	procs_fill(&m);
	while (event_base_loop(m.base, EVLOOP_NO_EXIT_ON_EMPTY) == 0 &&
	    !(m.phase == PHASE_STOPPING && !any(&m, ~0u)))
		;
	log_info("stopped");
	return m.status;
}

static int
role_main(const char *name, const struct startup *su)
{
	static const struct role_ops *const ops[] = { &receiver_ops, &signer_ops, &queue_ops,
		&delivery_ops, &store_ops, &authenticator_ops, &directory_ops,
		&fetcher_ops, &verifier_ops, &console_ops, &editor_ops, &counters_ops,
		&cluster_ops };
	enum role role = role_from_name(name);

	prctl(PR_SET_NAME, "posternd");	/* also when it was executed as /proc/self/exe */
	if (role == ROLE_SCANNER)
		return scanner_main(su);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (ops[i]->role == role)
			return runtime_main(ops[i], su);
	fprintf(stderr, "posternd: no role `%s`\n", name);
	return 2;
}

int
main(int argc, char **argv)
{
	static const char *const long_names[] = { "--role", "--instance", "--config",
		"--foreground", "--place" };
	struct startup su = { .config_path = "/etc/postern/postern.yaml" };
	const char *role = NULL;
	bool check = false, list = false, quiet = false;
	int i = 1, c;

	if (argc > 1 && strcmp(argv[1], long_names[0]) == 0) {
		for (; i < argc; i++) {
			const char *v = i + 1 < argc ? argv[i + 1] : "";

			if (strcmp(argv[i], long_names[0]) == 0)
				role = v, i++;
			else if (strcmp(argv[i], long_names[1]) == 0)
				su.instance = (uint32_t)strtoul(v, NULL, 10), i++;
			else if (strcmp(argv[i], long_names[2]) == 0)
				su.config_path = v, i++;
			else if (strcmp(argv[i], long_names[3]) == 0)
				su.foreground = true;
			else if (strcmp(argv[i], long_names[4]) == 0)
				su.place = (uint32_t)strtoul(v, NULL, 10), i++;
		}
		return role_main(role, &su);
	}
	while ((c = getopt(argc, argv, "c:flnqVh")) != -1)
		switch (c) {
		case 'c':
			su.config_path = optarg;
			break;
		case 'f':
			su.foreground = true;
			break;
		case 'n':
			check = true;
			break;
		case 'l':	/* with -n: names the files the policy refers to */
			list = true;
			break;
		case 'q':	/* with -n: say nothing when all is well */
			quiet = true;
			break;
		case 'V':
			puts("posternd " POSTERN_VERSION);
			return 0;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	if (optind != argc) {
		usage(stderr);
		return 2;
	}
	if (check) {
		struct cli cli = { .config_path = su.config_path, .quiet = quiet,
			.list_files = list };
		char *none[] = { (char *)(uintptr_t)"check", NULL };

		identity_files_root();	/* as the roles that will read those files */
		return cmd_check(1, none, &cli);
	}
	return master_main(su.config_path, su.foreground);
}
