/* sandbox.h -- what a role may still do once it is running: account, seccomp, landlock.
 *
 * OS differences live in sandbox.c. Where the kernel lacks one of the two the
 * log says so plainly at start. A forbidden system call fails with EPERM (a
 * forbidden exec, ptrace or module call ends the process).
 */
#ifndef MASTER_SANDBOX_H
#define MASTER_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "postern/err.h"

enum {
	SANDBOX_FILES_READ = 1,		/* open files for reading (where landlock lets it) */
	SANDBOX_FILES_WRITE = 2,	/* create, write, rename, unlink likewise */
	SANDBOX_NET_CLIENT = 4,		/* socket, connect, bind to a source address (INET, INET6) */
	SANDBOX_NET_SERVER = 8,		/* accept on sockets handed over */
	SANDBOX_FORK = 16,		/* fork without exec (the scanner's parent) */
	SANDBOX_NET_UNIX = 64,		/* socket, connect (UNIX) */
	SANDBOX_PAIR = 128,		/* socketpair: channels it makes itself */
	SANDBOX_THREADS = 32,		/* a library insists on threads */
};

struct sandbox {
	unsigned may;			/* SANDBOX_… */
};

struct sandbox_paths {			/* landlock: nothing else of the file system is reachable */
	const char *const *read;	/* NULL-terminated; may be NULL */
	const char *const *write;
};

/* Which account a role gets: its own, else nobody (with -f), else the caller's when not root. */
int sandbox_account(const char *account, uid_t *uid, gid_t *gid, bool *fallback, struct err *err);
/* Drops to uid/gid for good (no-op when not root). */
int sandbox_drop(uid_t uid, gid_t gid, struct err *err);
/* Sets no_new_privs, landlock, seccomp. Says in *missing (static text or NULL) what the kernel has not. */
int sandbox_enter(const struct sandbox *sb, const struct sandbox_paths *paths, const char **missing,
    struct err *err);
/* Role's paths are set in start() through here, before the runtime enters the sandbox. */
void sandbox_allow_read(const char *path);
void sandbox_allow_write(const char *path);
/* SANDBOX_NET_CLIENT: TCP only to these ports (where the kernel's landlock knows TCP); none named: to all. */
void sandbox_allow_tcp(uint16_t port);

#endif
