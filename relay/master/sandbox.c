/* sandbox.c -- accounts, seccomp and landlock; see sandbox.h.
 *
 * The allow-lists are by purpose, not by role: what every event loop needs,
 * then files, network, fork. A call outside the list fails with EPERM, so that
 * a library that merely tries something is not killed; exec, ptrace and what
 * loads code into the kernel end the process, for nothing honest tries those.
 *
 * Landlock is called by number: Debian 12's C library has no wrappers, and
 * its headers know fewer rights than the kernel it may run on.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "master/identity.h"
#include "master/sandbox.h"

#define PATHS_MAX 32
#define PORTS_MAX 16

static const char *read_paths[PATHS_MAX + 1], *write_paths[PATHS_MAX + 1];

static uint16_t tcp_ports[PORTS_MAX];
static size_t ntcp_ports;

static void
path_add(const char **list, const char *path)
{
	size_t n = 0;

	while (list[n])
		n++;
	ASSERT(n < PATHS_MAX);
	list[n] = strdup(path);
	ASSERT(list[n] != NULL);
}

void
sandbox_allow_read(const char *path)
{
	path_add(read_paths, path);
}

void
sandbox_allow_write(const char *path)
{
	path_add(write_paths, path);
}

void
sandbox_allow_tcp(uint16_t port)
{
	ASSERT(ntcp_ports < PORTS_MAX);
	tcp_ports[ntcp_ports++] = port;
}

int
sandbox_account(const char *account, uid_t *uid, gid_t *gid, bool *fallback, struct err *err)
{
	struct passwd *pw;

	*fallback = false;
	if (!identity_gives_accounts()) {
		*uid = geteuid();
		*gid = getegid();
		return 0;
	}
	if ((pw = getpwnam(account)) == NULL) {
		*fallback = true;
		if ((pw = getpwnam("nobody")) == NULL)
			return err_set(err, ENOENT, "neither account %s nor nobody exists", account);
	}
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

int
sandbox_drop(uid_t uid, gid_t gid, struct err *err)
{
	if (!identity_gives_accounts())
		return 0;
	if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		return err_errno(err, "dropping to uid %u", (unsigned)uid);
	if (uid != 0 && identity_give_back(err) == -1)
		return -1;
	if (uid != 0 && setuid(0) != -1)
		return err_set(err, EPERM, "privileges came back after they were dropped");
	return 0;
}

/* ---- landlock (kernel: Documentation/userspace-api/landlock.rst) ---- */

struct ll_ruleset {
	uint64_t fs, net, scoped;
};

struct ll_port {
	uint64_t access, port;
};
#define LL_CONNECT_TCP 2

struct ll_path {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

#define LL_CREATE 444
#define LL_ADD 445
#define LL_RESTRICT 446
#define LL_EXECUTE (UINT64_C(1) << 0)
#define LL_WRITE_FILE (UINT64_C(1) << 1)
#define LL_READ_FILE (UINT64_C(1) << 2)
#define LL_READ_DIR (UINT64_C(1) << 3)
#define LL_REFER (UINT64_C(1) << 13)
#define LL_TRUNCATE (UINT64_C(1) << 14)
#define LL_IOCTL_DEV (UINT64_C(1) << 15)
#define LL_FS_V1 ((UINT64_C(1) << 13) - 1)
#define LL_READ (LL_READ_FILE | LL_READ_DIR)
#define LL_FILE_ONLY (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV)

static int
ll_add(int ruleset, const char *path, uint64_t access, struct err *err)
{
	struct ll_path rule = { .access = access };
	struct stat st;

	rule.fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.fd == -1)
		return errno == ENOENT ? 0 : err_errno(err, "landlock: %s", path);
	if (fstat(rule.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.access &= LL_FILE_ONLY;
	if (syscall(LL_ADD, ruleset, 1 /* path beneath */, &rule, 0) == -1) {
		err_errno(err, "landlock: %s", path);
		close(rule.fd);
		return -1;
	}
	close(rule.fd);
	return 0;
}

static int
ll_add_ports(int ruleset, struct err *err)
{
	for (size_t i = 0; i < ntcp_ports; i++) {
		struct ll_port rule = { LL_CONNECT_TCP, tcp_ports[i] };

		if (syscall(LL_ADD, ruleset, 2 /* net port */, &rule, 0) == -1)
			return err_errno(err, "landlock: port %u", tcp_ports[i]);
	}
	return 0;
}

static int
landlock_enter(unsigned may, const struct sandbox_paths *paths, bool *have, struct err *err)
{
	struct ll_ruleset rs = { .fs = LL_FS_V1 };
	long abi = syscall(LL_CREATE, NULL, 0, 1 /* version */);
	uint64_t write;
	int fd, r = -1;

	*have = abi >= 1;
	if (!*have)
		return 0;
	if (abi >= 2)
		rs.fs |= LL_REFER;
	if (abi >= 3)
		rs.fs |= LL_TRUNCATE;
	if (abi >= 5)
		rs.fs |= LL_IOCTL_DEV;
	if (abi >= 4)	/* TCP: bind and connect only where the role may */
		rs.net = may & SANDBOX_NET_CLIENT ? ntcp_ports ? LL_CONNECT_TCP : 0 : 3;
	if (abi >= 6)
		rs.scoped = may & SANDBOX_FORK ? 1 : 3;	/* abstract sockets; signals */
	fd = (int)syscall(LL_CREATE, &rs, abi >= 6 ? 24 : abi >= 4 ? 16 : 8, 0);
	if (fd == -1)
		return err_errno(err, "landlock");
	write = rs.fs & ~(LL_EXECUTE | LL_IOCTL_DEV);
	for (size_t i = 0; paths && paths->read && paths->read[i]; i++)
		if (ll_add(fd, paths->read[i], LL_READ, err) == -1)
			goto out;
	for (size_t i = 0; paths && paths->write && paths->write[i]; i++)
		if (ll_add(fd, paths->write[i], write, err) == -1)
			goto out;
	if (rs.net == LL_CONNECT_TCP && ll_add_ports(fd, err) == -1)
		goto out;
	if (syscall(LL_RESTRICT, fd, 0) == -1) {
		err_errno(err, "landlock");
		goto out;
	}
	r = 0;
out:
	close(fd);
	return r;
}

/* ---- seccomp ---- */

#define CALLS(name, ...) static const int name[] = { __VA_ARGS__, __NR_SCMP_ERROR }

CALLS(calls_always,
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(preadv), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmmsg),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(poll), SCMP_SYS(ppoll),
    SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
    SCMP_SYS(lseek), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(munmap), SCMP_SYS(mremap),
    SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(futex), SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getresuid), SCMP_SYS(getresgid), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigpending), SCMP_SYS(sigaltstack), SCMP_SYS(exit),
    SCMP_SYS(exit_group), SCMP_SYS(getrandom), SCMP_SYS(fcntl), SCMP_SYS(ioctl), SCMP_SYS(dup),
    SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(eventfd2),
    SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(restart_syscall), SCMP_SYS(tgkill), SCMP_SYS(sysinfo),
    SCMP_SYS(prlimit64), SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(uname),
    SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(setitimer),
    SCMP_SYS(alarm), SCMP_SYS(prctl), SCMP_SYS(rseq), SCMP_SYS(set_robust_list),
    SCMP_SYS(membarrier), SCMP_SYS(fadvise64), SCMP_SYS(umask), SCMP_SYS(getcwd),
    SCMP_SYS(arch_prctl), SCMP_SYS(set_tid_address), SCMP_SYS(getcpu));
CALLS(calls_send, SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg));
CALLS(calls_read,
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(stat), SCMP_SYS(lstat),
    SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
    SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(statfs),
    SCMP_SYS(fstatfs), SCMP_SYS(chdir), SCMP_SYS(fchdir));
CALLS(calls_write,
    SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(rename),
    SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(rmdir), SCMP_SYS(chmod), SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat), SCMP_SYS(fchown), SCMP_SYS(fdatasync), SCMP_SYS(fsync),
    SCMP_SYS(fallocate), SCMP_SYS(flock), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(pwrite64),
    SCMP_SYS(pwritev), SCMP_SYS(sync_file_range), SCMP_SYS(copy_file_range), SCMP_SYS(sendfile),
    SCMP_SYS(splice), SCMP_SYS(utimensat), SCMP_SYS(truncate), SCMP_SYS(msync), SCMP_SYS(creat));
CALLS(calls_server, SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(listen));
CALLS(calls_client, SCMP_SYS(connect), SCMP_SYS(bind));
CALLS(calls_fork, SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone), SCMP_SYS(wait4),
    SCMP_SYS(waitid), SCMP_SYS(kill), SCMP_SYS(socketpair),
    /* a child's own, narrower sandbox */
    SCMP_SYS(seccomp), LL_CREATE, LL_ADD, LL_RESTRICT);
CALLS(calls_deadly,
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(kexec_load), SCMP_SYS(bpf), SCMP_SYS(perf_event_open),
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(process_vm_writev),
    SCMP_SYS(userfaultfd), SCMP_SYS(reboot));

static int
calls_add(scmp_filter_ctx ctx, uint32_t action, const int *calls)
{
	for (; *calls != __NR_SCMP_ERROR; calls++) {
		int r = seccomp_rule_add(ctx, action, *calls, 0);

		if (r != 0 && r != -EDOM)	/* EDOM: not on this architecture */
			return r;
	}
	return 0;
}

/* The sanitizers' run time needs calls of its own (ptrace and clone to look for leaks, …): with
 * them everything but what nobody may is allowed, and no role gets a socket it should not have. */
#ifdef POSTERN_SANITIZED
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static int
seccomp_network(scmp_filter_ctx ctx)
{
	int r = calls_add(ctx, SCMP_ACT_ALLOW, calls_client);

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, AF_INET));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, AF_INET6));
	return r;
}

/* Sending, but not with MSG_FASTOPEN, which is a connect(2) that no rule about connect sees. Who may
 * connect may do it so, too: libunbound does. */
static int
seccomp_send(scmp_filter_ctx ctx, unsigned may)
{
	int r;

	if (may & SANDBOX_NET_CLIENT)
		return calls_add(ctx, SCMP_ACT_ALLOW, calls_send);
	r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
	    SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendmmsg), 1,
		    SCMP_A3(SCMP_CMP_MASKED_EQ, MSG_FASTOPEN, 0));
	/* The kernel remembers which calls are allowed whatever their arguments, and asks the filter for others each time:
	 * those come first in it. */
	if (r == 0)
		r = seccomp_syscall_priority(ctx, SCMP_SYS(sendto), 255);
	if (r == 0)
		r = seccomp_syscall_priority(ctx, SCMP_SYS(sendmsg), 255);
	return r;
}

static int
seccomp_unix(scmp_filter_ctx ctx)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
		    SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	return r;
}

static int
seccomp_rules(scmp_filter_ctx ctx, unsigned may)
{
	int r = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(ptrace), 0);

	if (r == 0)
		r = calls_add(ctx, SCMP_ACT_ALLOW, calls_always);
	if (r == 0)
		r = seccomp_send(ctx, may);
	if (r == 0 && may & (SANDBOX_FILES_READ | SANDBOX_FILES_WRITE))
		r = calls_add(ctx, SCMP_ACT_ALLOW, calls_read);
	if (r == 0 && may & SANDBOX_FILES_WRITE)
		r = calls_add(ctx, SCMP_ACT_ALLOW, calls_write);
	if (r == 0 && may & SANDBOX_PAIR)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 0);
	if (r == 0 && may & SANDBOX_NET_SERVER)
		r = calls_add(ctx, SCMP_ACT_ALLOW, calls_server);
	if (r == 0 && may & SANDBOX_NET_CLIENT)
		r = seccomp_network(ctx);
	if (r == 0 && may & SANDBOX_NET_UNIX)
		r = seccomp_unix(ctx);
	if (r == 0 && may & SANDBOX_FORK)
		r = calls_add(ctx, SCMP_ACT_ALLOW, calls_fork);
	if (r == 0 && may & SANDBOX_THREADS && !(may & SANDBOX_FORK))
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		    SCMP_A0(SCMP_CMP_MASKED_EQ, 0x00010000 /* CLONE_THREAD */, 0x00010000));
	/* clone3's flags lie in memory, out of a filter's reach: the C library falls back to clone. */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r;
}

static int
seccomp_enter(unsigned may, bool *have, struct err *err)
{
	scmp_filter_ctx ctx;
	int r;

	ctx = seccomp_init(sanitized ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
	if (ctx == NULL)
		return err_set(err, ENOMEM, "seccomp: out of memory");
	r = calls_add(ctx, SCMP_ACT_KILL_PROCESS, calls_deadly);
	if (r == 0 && !sanitized)
		r = seccomp_rules(ctx, may);
	if (r == 0 && sanitized && !(may & (SANDBOX_NET_CLIENT | SANDBOX_NET_UNIX)))
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 0);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	*have = r == 0;
	if (r == -EINVAL || r == -ENOSYS)	/* a kernel without it */
		return 0;
	if (r != 0)
		return err_set(err, -r, "seccomp: %s", strerror(-r));
	return 0;
}

int
sandbox_enter(const struct sandbox *sb, const struct sandbox_paths *paths, const char **missing,
    struct err *err)
{
	struct sandbox_paths own = { read_paths, write_paths };
	bool have_landlock = false, have_seccomp = false;

	*missing = NULL;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return err_errno(err, "no_new_privs");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (landlock_enter(sb->may, paths ? paths : &own, &have_landlock, err) == -1 ||
	    seccomp_enter(sb->may, &have_seccomp, err) == -1)
		return -1;
	if (!have_landlock && !have_seccomp)
		*missing = "neither landlock nor seccomp";
	else if (!have_landlock)
		*missing = "no landlock";
	else if (!have_seccomp)
		*missing = "no seccomp";
	return 0;
}
