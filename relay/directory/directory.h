/* directory.h -- the directory's process: what its two files share. */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "directory/ask.h"
#include "master/runtime.h"

struct event;
struct ticket_of;

struct directory {
	struct runtime *rt;
	struct asker *asker;
	struct cache *cache;
	struct resolver *resolver;
	struct pool_setup setups[DIRECTORIES_MAX];
	struct conf_host dns[8];
	size_t ndns;
	struct arena *arena;		/* as long as the process */
	struct arena *scratch;		/* of one frame */
	struct buf out;
	struct ticket_of *open;		/* who waits for an answer */
	int cache_fd;
	uint64_t saved;			/* cache_changes() when it was */
	uint32_t seconds, retire_at;
	struct event *tick;
};

/* What password_file says, in the arena: the caller's to wipe. -1: not readable, readable for all, empty. */
int directory_password(const struct conf_directory *dir, struct arena *a, struct span *out,
    struct err *err);
/* The directory in which a group lies: the one with the longest base above it. NULL: none. */
const struct conf_directory *directory_of(const struct config *conf, struct span dn,
    struct arena *a);

/* control.c: `postern directory` */
void directory_client(struct runtime *rt, int fd, uint32_t uid, struct span request);

#endif
