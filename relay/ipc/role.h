/* role.h -- the roles of the house; one process (or several) for each trust. */
#ifndef IPC_ROLE_H
#define IPC_ROLE_H

#include <stdint.h>

/* X(NAME, "name", "account") */
#define ROLES(X) \
	X(MASTER, "master", "_postern-master") \
	X(RECEIVER, "receiver", "_postern-receiver") \
	X(SCANNER, "scanner", "_postern-scanner") \
	X(SIGNER, "signer", "_postern-signer") \
	X(QUEUE, "queue", "_postern-queue") \
	X(DELIVERY, "delivery", "_postern-delivery") \
	X(STORE, "store", "_postern-store") \
	X(VERIFIER, "verifier", "_postern-verifier") \
	X(CONSOLE, "console", "_postern-console") \
	X(AUTHENTICATOR, "authenticator", "_postern-authenticator") \
	X(DIRECTORY, "directory", "_postern-directory") \
	X(FETCHER, "fetcher", "_postern-fetcher") \
	X(READER, "reader", "_postern-reader") \
	X(EDITOR, "editor", "_postern-editor") \
	X(COUNTERS, "counters", "_postern-counters") \
	X(CLUSTER, "cluster", "_postern-cluster")

enum role {
	ROLE_NONE,
#define X(name, text, account) ROLE_##name,
	ROLES(X)
#undef X
	ROLE_COUNT
};
const char *role_name(enum role r);		/* "receiver" */
const char *role_account(enum role r);		/* "_postern-receiver" */
enum role role_from_name(const char *name);	/* ROLE_NONE: no such */

#endif
