/* worker.h -- a forked scanner: judges one message after the other. */
#ifndef SCANNER_WORKER_H
#define SCANNER_WORKER_H

#include <signal.h>

#include "master/runtime.h"
#include "master/startup.h"
#include "scanner/scan.h"

struct worker_env {		/* made by the parent, shared by fork */
	const struct config *conf;
	struct judge judge;
	uint32_t instance;	/* of the parent */
	sigset_t sigmask;	/* while waiting */
};

/* Runs until it is retired or the master is gone; the exit status. Takes control. tmpdir exists. */
int worker_main(struct worker_env *env, uint32_t instance, const char *tmpdir, int control);

#endif
