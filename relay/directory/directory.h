/* directory.h -- the directory's process: what its files share. */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "directory/ask.h"
#include "master/runtime.h"

struct directory;
struct event;

struct ticket_of {			/* who is to be answered */
	struct directory *d;
	struct link *l;			/* NULL: gone */
	uint64_t ticket;
	struct ticket_of *next, **prev;
};

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

/* Who waits for an answer: into the list, what d->out has to him, and out of it. */
void ticket_add(struct directory *d, struct ticket_of *t, struct link *l, uint64_t ticket);
void ticket_send(struct ticket_of *t, enum frame_type type);
void ticket_remove(struct ticket_of *t);

/* enter.c: ENTER of the store. -1: nonsense. */
int enter_ask(struct directory *d, struct link *l, struct frame *f);

/* control.c: `postern directory` */
void directory_client(struct runtime *rt, int fd, uint32_t uid, struct span request);

#endif
