/* identity.c -- acting as somebody else, with CAP_SETUID and CAP_SETGID alone; see identity.h.
 *
 * Files: setfsuid(2) changes whom the kernel asks about when a file is opened, and nothing else: no
 * capability comes or goes, nobody may signal us who could not before. Signals: kill(2) asks for the
 * effective account, so for that one call it is the role's; the real and the saved one stay ours, and by those the
 * kernel decides who may signal us. Nothing runs in between: no process here has a second thread.
 *
 * Between two accounts that are not root the kernel takes no capability away, so a role has to put down itself
 * what it was lent, also the ambient set, which would come back with an exec.
 */
#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs.h"
#include "master/identity.h"

enum mode { UNKNOWN, ROOT, LENT, ANYBODY };

static enum mode mode;
static uid_t files;		/* whom files are opened as: LENT only */

static bool
may(const struct __user_cap_data_struct data[2], unsigned cap)
{
	return data[CAP_TO_INDEX(cap)].effective & CAP_TO_MASK(cap);
}

static enum mode
look(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	if (mode != UNKNOWN)
		return mode;
	if (geteuid() == 0)
		return mode = ROOT;
	if (syscall(SYS_capget, &head, data) == -1)
		return mode = ANYBODY;
	return mode = may(data, CAP_SETUID) && may(data, CAP_SETGID) ? LENT : ANYBODY;
}

bool
identity_gives_accounts(void)
{
	return look() != ANYBODY;
}

bool
identity_lent(void)
{
	return look() == LENT;
}

/* A second try of an open that was denied. */
static bool
denied(bool again)
{
	if (files != 0)
		return false;
	setfsuid(again ? geteuid() : 0);
	return true;
}

static void
files_be(uid_t uid, gid_t gid)
{
	if (look() != LENT)
		return;
	setfsgid(gid);
	setfsuid(uid);
	/* They tell what was, not whether it worked; a second call that changes nothing does. */
	ASSERT(setfsuid((uid_t)-1) == (int)uid && setfsgid((gid_t)-1) == (int)gid);
	files = uid;
	fs_denied = uid == 0 ? denied : NULL;
}

void
identity_files_root(void)
{
	files_be(0, 0);
}

void
identity_files_as(uid_t uid, gid_t gid)
{
	files_be(uid, gid);
}

void
identity_files_own(void)
{
	files_be(geteuid(), getegid());
}

void
identity_files_group(gid_t gid)
{
	files_be(geteuid(), gid);
}

int
identity_folder(const char *path, uid_t uid, gid_t gid, struct err *err)
{
	struct stat st;
	int r = 0;

	identity_files_group(gid);
	if (mkdir(path, 0700) == -1 && errno != EEXIST)
		r = err_errno(err, "%s", path);
	else if (look() == ROOT && lchown(path, uid, gid) == -1)
		r = err_errno(err, "%s", path);
	else if (look() == LENT && lstat(path, &st) == 0 && st.st_uid == geteuid() && st.st_gid == gid &&
	    chmod(path, 0770) == -1)
		r = err_errno(err, "%s", path);
	identity_files_own();
	return r;
}

void
identity_kill(pid_t pid, uid_t uid)
{
	uid_t own = geteuid();

	kill(pid, SIGKILL);	/* what has not changed its account yet, or all of it when we are root */
	if (look() != LENT || uid == own || uid == 0 || seteuid(uid) == -1)
		return;
	kill(pid, SIGKILL);
	ASSERT(seteuid(own) == 0);
}

int
identity_give_back(struct err *err)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (look() == ANYBODY)
		return 0;
	fs_denied = NULL;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);	/* a kernel without them lent none */
	if (syscall(SYS_capset, &head, none) == -1)
		return err_errno(err, "giving capabilities back");
	mode = ANYBODY;
	return 0;
}
