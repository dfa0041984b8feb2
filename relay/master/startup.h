/* startup.h -- how a role's process comes up: shared by runtime.c, the scanner and the master. */
#ifndef MASTER_STARTUP_H
#define MASTER_STARTUP_H

#include "master/config.h"
#include "master/sandbox.h"
#include "ipc/role.h"

/* Descriptors every role finds open. */
enum { FD_CONTROL = 3, FD_CONFIG = 4, FD_SHARED = 5 };

#define STARTUP_FAILED 78	/* exit status: the configuration does not let it start (EX_CONFIG) */

struct startup {
	uint32_t instance;
	uint32_t place;			/* in ids (base/id.h): no other living process of this master has it */
	const char *config_path;	/* as shown in errors; the text comes from FD_CONFIG */
	bool foreground;		/* log to stderr */
};

/* Reads FD_CONFIG from its start, opens the log. */
int startup_config(const char *path, bool foreground, struct config **out, struct err *err);
void startup_signals(void);
/* Account, then sandbox; logs what the kernel has not. */
int startup_confine(enum role role, uid_t uid, gid_t gid, const struct sandbox *sb, struct err *err);
/* The body of a READY frame. */
void startup_ready(struct buf *b, enum role role, uint32_t instance);

#endif
