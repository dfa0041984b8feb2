/* worker.h -- a forked scanner: judges one message after the other. */
#ifndef SCANNER_WORKER_H
#define SCANNER_WORKER_H

#include <signal.h>

#include "master/runtime.h"
#include "master/startup.h"
#include "scanner/scan.h"

/* The parent's answer to a worker's byte on `dial`: a message with the connection, or with the text of
 * why there is none. */
#define DIAL_TEXT_MAX 256

struct worker_env {		/* made by the parent, shared by fork */
	const struct config *conf;
	struct judge judge;
	uint32_t instance;	/* of the parent */
	int dial;		/* a worker's: asks the parent for connections to clamd; -1: none */
	sigset_t sigmask;	/* while waiting */
};

/* As antivirus_dial wants it; ctx: the worker_env. For who was forked with a `dial`. */
int worker_dial(void *ctx, struct err *err);
/* Runs until it is retired or the master is gone; the exit status. Takes control. tmpdir exists. */
int worker_main(struct worker_env *env, uint32_t instance, const char *tmpdir, int control);

#endif
