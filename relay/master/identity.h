/* identity.h -- whom the master and a starting role act as: towards files, towards other processes.
 *
 * Three ways to be started:
 *	as root			everything is simply possible (no unit, a test)
 *	with rights lent	an account of its own (User= in the unit) that may change accounts:
 *				CAP_SETUID and CAP_SETGID and, for ports below 1024, CAP_NET_BIND_SERVICE
 *	as anybody		all roles run as the caller (a container)
 * Only the second needs what stands here; for the others these functions change nothing.
 */
#ifndef MASTER_IDENTITY_H
#define MASTER_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "postern/err.h"

/* Roles get accounts of their own. */
bool identity_gives_accounts(void);
/* By rights lent: nothing can be given away (chown) nor opened against its mode. */
bool identity_lent(void);

/* From here on files are opened and made as root, as that account, or as ourselves. What root
 * owns is reached, no more: without CAP_DAC_OVERRIDE it is an owner like another. A file that is denied
 * to root is tried as ourselves (systemd gives credentials to the account of the unit). */
void identity_files_root(void);
void identity_files_as(uid_t uid, gid_t gid);
void identity_files_own(void);
/* A folder for uid and gid, mode 0700: theirs where it can be given, else ours and their group's. */
int identity_folder(const char *path, uid_t uid, gid_t gid, struct err *err);
/* What is made until identity_files_own() has this group. */
void identity_files_group(gid_t gid);

/* SIGKILL to a process group or process that is ours or uid's. */
void identity_kill(pid_t pid, uid_t uid);
/* After the account was changed: nothing of what was lent is left. */
int identity_give_back(struct err *err);

#endif
